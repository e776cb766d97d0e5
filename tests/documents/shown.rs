//! Output as a page shows it, compared with what a command printed.
//!
//! Times, ids, hashes, users and hosts differ from run to run: each matches any other of its form.
//! An id that a page shows means the one that was printed in its place, in later commands too. A
//! line `...` matches any lines, `…` any text in a line. Columns may differ in width, and
//! so may what wraps in them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// The user and the host of the pages.
const USER: &str = "anna";
const HOST: &str = "n7";

/// Forms that stand for any other of their form: removals, plans, hashes, registries, backups.
const FORMS: [&str; 4] = [
    r"\d{8}-\d{6}-[0-9a-f]{6}",
    r"[0-9a-f]{64}",
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    r"\d{8}T\d{6}Z",
];
/// How a line begins that goes on with a column of the line above.
const WRAPPED: &str = "    ";
const TIME: &str = r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?)?";
const VERSION: &str = r"\d+\.\d+\.\d+[^\s\x22]*";

static TOKENS: LazyLock<Regex> = LazyLock::new(|| {
    let forms = FORMS.join("|");
    Regex::new(&format!(
        r"\b(?<id>{forms})\b|(?<time>{TIME})|(?<number>\x22(?:pid|id|owner)\x22: ?\d+|\bpid \d+|^id +\d+)|(?<version>\bdalsegno {VERSION})|(?<who>\b(?:{USER}|{HOST})\b)|(?<any>…|\bdisk_bytes\x22?:? ?\d+|^on disk +.*|, [\d.]+ [KMGT]?i?B on disk|^ *[\d.]+ [KMGT]?i?B +[\d.]+ [KMGT]?i?B\b)|(?<space> +)"
    ))
    .unwrap()
});
static ID: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(&format!(r"\b(?:{})\b", FORMS.join("|"))).unwrap());

/// What the names of a page stand for here.
#[derive(Default)]
pub(crate) struct Names {
    /// Folders of the page, and where they are.
    folders: Vec<(&'static str, String)>,
    /// Ids of the page, and what was printed in their place.
    ids: BTreeMap<String, String>,
    user: String,
    host: String,
}

impl Names {
    pub(crate) fn new(folders: Vec<(&'static str, String)>, user: String, host: String) -> Self {
        Self {
            folders,
            ids: BTreeMap::new(),
            user,
            host,
        }
    }

    /// A command of a page as it is run here.
    pub(crate) fn command(&self, text: &str) -> String {
        let text = self.located(text);
        let text = ID.replace_all(&text, |id: &Captures<'_>| {
            self.ids.get(&id[0]).map_or(&id[0], |id| id).to_owned()
        });
        whole_word(USER)
            .replace_all(&text, self.user.as_str())
            .into_owned()
    }

    /// By how many characters user and host are longer here than on the pages.
    pub(crate) fn longer_than_shown(&self) -> usize {
        (self.user.len() + self.host.len()).saturating_sub(USER.len() + HOST.len())
    }

    /// Replaces the folders of a page by where they are.
    fn located(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (shown, actual) in &self.folders {
            text = text.replace(shown, actual);
        }
        text
    }

    /// Compares what a page shows with what was printed, and takes note of the ids.
    pub(crate) fn agree(&mut self, shown: &[String], printed: &str) -> bool {
        let mut pattern = String::from("^");
        let mut ids = Vec::new();
        for (at, line) in shown.iter().enumerate() {
            match line.trim() {
                "..." => pattern.push_str(r"(?:.*\n)*?"),
                line => {
                    self.pattern(line, &mut pattern, &mut ids);
                    let is_wrapped = shown
                        .get(at + 1)
                        .is_some_and(|next| next.starts_with(WRAPPED));
                    pattern.push_str(if is_wrapped { r"\s+" } else { r"\n" });
                }
            }
        }
        pattern.push('$');
        let Some(found) = Regex::new(&pattern).unwrap().captures(printed) else {
            return false;
        };
        for (at, id) in ids.into_iter().enumerate() {
            self.ids.entry(id).or_insert(found[at + 1].to_owned());
        }
        true
    }

    /// Adds a line to the pattern that the output must match.
    fn pattern(&self, line: &str, pattern: &mut String, ids: &mut Vec<String>) {
        let line = self.located(line);
        let mut rest = 0;
        pattern.push_str(" *");
        for token in TOKENS.captures_iter(&line) {
            let whole = token.get(0).unwrap();
            pattern.push_str(&regex::escape(&line[rest..whole.start()]));
            rest = whole.end();
            let text = whole.as_str();
            let any = if token.name("id").is_some() {
                match (self.ids.get(text), ids.contains(&text.to_owned())) {
                    (Some(known), _) => regex::escape(known),
                    (None, true) => "[0-9a-fTZ-]+".to_owned(),
                    (None, false) => {
                        ids.push(text.to_owned());
                        let form = FORMS.iter().find(|form| {
                            Regex::new(&format!("^(?:{form})$")).unwrap().is_match(text)
                        });
                        format!("({})", form.unwrap())
                    }
                }
            } else if token.name("time").is_some() {
                TIME.to_owned()
            } else if token.name("number").is_some() {
                let digits = text.trim_end_matches(|c: char| c.is_ascii_digit());
                format!(r"{}\d+", regex::escape(digits))
            } else if token.name("version").is_some() {
                format!("dalsegno {VERSION}")
            } else if token.name("who").is_some() {
                r#"[^\s@"]+"#.to_owned()
            } else if token.name("any").is_some() {
                ".*".to_owned()
            } else {
                // The column that wraps is as wide as the names of user and host leave it.
                format!(r"(?: +|\n{WRAPPED} *)")
            };
            pattern.push_str(&any);
        }
        pattern.push_str(&regex::escape(&line[rest..]));
        pattern.push_str(" *");
    }

    /// What was printed, as a page shows it that showed `shown`: a line that still agrees stays,
    /// and so does what a page leaves out by `...`.
    pub(crate) fn lines_to_show(&mut self, shown: &[String], printed: &str) -> Vec<String> {
        let printed: Vec<&str> = printed.lines().collect();
        let is_gap = |line: &String| line.trim() == "...";
        let head = shown.iter().position(is_gap);
        let tail = shown.iter().rev().position(is_gap);
        let (Some(head), Some(tail)) = (head, tail) else {
            return self.lines(shown, &printed);
        };
        if head + tail > printed.len() {
            return self.lines(shown, &printed);
        }
        let mut lines = self.lines(&shown[..head], &printed[..head]);
        lines.push("...".to_owned());
        let end = &printed[printed.len() - tail..];
        lines.extend(self.lines(&shown[shown.len() - tail..], end));
        lines
    }

    fn lines(&mut self, shown: &[String], printed: &[&str]) -> Vec<String> {
        let mut lines = Vec::new();
        for (at, printed) in printed.iter().enumerate() {
            let shown = shown.get(at..=at).unwrap_or_default();
            lines.push(match self.agree(shown, &format!("{printed}\n")) {
                true => shown[0].clone(),
                false => self.line_to_show(printed),
            });
        }
        lines
    }

    fn line_to_show(&self, printed: &str) -> String {
        let mut text = printed.to_owned();
        for (shown, actual) in &self.folders {
            text = text.replace(actual, shown);
        }
        for (shown, actual) in &self.ids {
            text = text.replace(actual, shown);
        }
        let text = whole_word(&self.host).replace_all(&text, HOST);
        let text = whole_word(&self.user).replace_all(&text, USER);
        text.trim_end().to_owned()
    }
}

fn whole_word(word: &str) -> Regex {
    Regex::new(&format!(r"\b{}\b", regex::escape(word))).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agree(shown: &[&str], printed: &str) -> bool {
        let shown: Vec<String> = shown.iter().map(|&line| line.to_owned()).collect();
        Names::default().agree(&shown, printed)
    }

    #[test]
    fn what_differs_from_run_to_run_matches_and_the_rest_does_not() {
        assert!(agree(
            &["removal 20261122-163000-3f9a2c by anna@n7, 2026-11-22 16:30"],
            "removal 20271203-010203-abcdef   by root@vm, 2027-12-03 01:02\n"
        ));
        assert!(!agree(&["removed 2 artifacts"], "removed 3 artifacts\n"));
        assert!(!agree(
            &["removed 2 artifacts"],
            "removed 2 artifacts\nmore\n"
        ));
        assert!(agree(&["first", "...", "last"], "first\na\nb\nlast\n"));
        assert!(!agree(&["first", "...", "last"], "first\na\nb\n"));
        assert!(agree(&["free … of 9"], "free 17 GiB of 9\n"));
        let wrapped = [
            "3  remove  affinities/1000",
            "           and 3 more: old",
            "total 4",
        ];
        assert!(agree(
            &wrapped,
            "3  remove  affinities/1000 and 3\n     more: old\ntotal 4\n"
        ));
        assert!(!agree(
            &wrapped,
            "3  remove  affinities/1000 and 3\n     more: new\ntotal 4\n"
        ));
        assert!(!agree(
            &wrapped,
            "3  remove  affinities/1000 and 3\n     more: old total 4\n"
        ));
        assert!(!agree(&["8.0 MiB in 9 files"], "8.1 MiB in 9 files\n"));
    }

    #[test]
    fn an_id_means_the_same_one_from_then_on() {
        let mut names = Names::default();
        let shown = ["removal 20261122-163000-3f9a2c".to_owned()];
        assert!(names.agree(&shown, "removal 20271203-010203-abcdef\n"));
        assert!(names.agree(&shown, "removal 20271203-010203-abcdef\n"));
        assert!(!names.agree(&shown, "removal 20271203-010203-000000\n"));
        let command = names.command("dalsegno restore 20261122-163000-3f9a2c");
        assert_eq!(command, "dalsegno restore 20271203-010203-abcdef");
    }
}
