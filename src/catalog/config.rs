//! The registry's `config.toml`: a value, read and written as text.
//!
//! [`Config`] is what the file may say. Unknown keys are refused. [`Config::parse`] names the line,
//! the column and the table of a mistake, and for a mistyped key the one that was probably meant.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::clock::parse_duration;
use crate::model::nearest::{did_you_mean, nearest};
use crate::retention::{NamedPolicy, strict};

/// What a base directory's `.dalsegno/config.toml` may say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Config {
    /// Where and how the catalog is kept; `None` means the defaults.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "strict::optional_table"
    )]
    pub catalog: Option<CatalogConfig>,
    /// What happens to removed data.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "strict::optional_table"
    )]
    pub trash: Option<TrashConfig>,
    /// Policies of retention, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub policy: BTreeMap<String, NamedPolicy>,
}

/// The section `[trash]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct TrashConfig {
    /// How long removed data can be restored, such as `72h`; `None` purges it at once.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "write_length",
        deserialize_with = "read_length"
    )]
    pub keep: Option<Duration>,
}

/// The section `[catalog]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct CatalogConfig {
    /// The catalog file, absolute; `None` means `.dalsegno/catalog.sqlite3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Id of the registry that the catalog must belong to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry: Option<String>,
    /// Name of the host that has the catalog file, if `path` is set; `None` in a base directory of
    /// an older version, until its host is learned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The one host that may write; the catalog then works on a network file system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub single_host: Option<String>,
}

/// Mistakes in a text of which the rest is still read.
#[cfg(feature = "cli")]
const MOST_MISTAKES: usize = 64;

fn write_length<S: Serializer>(value: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    value
        .map(|value| humantime::format_duration(value).to_string())
        .serialize(serializer)
}

fn read_length<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).map(Some).map_err(D::Error::custom)
}

/// A mistake in the text of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct ConfigError {
    /// Line and column, from 1 on.
    place: Option<(usize, usize)>,
    /// Path of the table or key, such as `policy.default.prediction`; empty at the top.
    key: String,
    /// What is wrong, and what was probably meant.
    what: String,
}

impl fmt::Display for ConfigError {
    /// Writes `line 3, column 1, in policy.default.prediction: there is no key …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self
            .place
            .map(|(line, column)| format!("line {line}, column {column}"));
        let key = (!self.key.is_empty()).then(|| format!("in {}", self.key));
        let parts: Vec<String> = place.into_iter().chain(key).collect();
        if !parts.is_empty() {
            write!(f, "{}: ", parts.join(", "))?;
        }
        f.write_str(&self.what)
    }
}

impl Config {
    /// Reads the text of a `config.toml`.
    ///
    /// # Errors
    /// [`ConfigError`] if it is not TOML, has an unknown key or a value of another type, or a
    /// policy has a rule that decides nothing.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| ConfigError::new(text, error))
    }

    /// Reads those settings of a text that are right, and leaves out the others: for an answer
    /// that must not fail, and by which nothing is changed.
    #[cfg(feature = "cli")]
    pub(crate) fn parse_what_is_right(text: &str) -> Self {
        let mut lines: Vec<&str> = text.lines().collect();
        // Each round takes a line away, so it ends; a long text of mistakes is not worth the time.
        for _ in 0..MOST_MISTAKES {
            let error = match Self::parse(&lines.join("\n")) {
                Ok(config) => return config,
                Err(error) => error,
            };
            let Some((line, _)) = error.place else { break };
            let wrong = (line - 1).min(lines.len().saturating_sub(1));
            let is_heading = |line: &&str| line.trim_start().starts_with('[');
            let end = match lines.get(wrong) {
                // What follows belongs to it, and must not belong to the table before it.
                Some(line) if is_heading(line) => {
                    let next = lines[wrong + 1..].iter().position(is_heading);
                    next.map_or(lines.len(), |next| wrong + 1 + next)
                }
                Some(_) => wrong + 1,
                None => break,
            };
            lines.drain(wrong..end);
        }
        Self::default()
    }

    /// Writes where the catalog is into the text of a `config.toml`. Everything else in it,
    /// comments included, stays as it is.
    ///
    /// # Errors
    /// [`ConfigError`] if the text is not TOML or has something else under `catalog`.
    pub(crate) fn with_catalog(text: &str, catalog: &CatalogConfig) -> Result<String, ConfigError> {
        // Strictly first: `toml_edit` alone would take text that the registry refuses.
        Self::parse(text)?;
        let mut document: toml_edit::DocumentMut = text
            .parse()
            .map_err(|error: toml_edit::TomlError| ConfigError::edit(error.message()))?;
        let table = document
            .entry("catalog")
            .or_insert(toml_edit::table())
            // An inline table, `catalog = { … }`, stays one.
            .as_table_like_mut()
            .ok_or_else(|| ConfigError::edit("catalog is not a table"))?;
        let path = catalog.path.as_ref().map(|path| path.to_str());
        let path = match path {
            Some(None) => return Err(ConfigError::edit("the path of the catalog is not UTF-8")),
            path => path.flatten(),
        };
        let keys = [
            ("path", path),
            ("registry", catalog.registry.as_deref()),
            ("host", catalog.host.as_deref()),
            ("single-host", catalog.single_host.as_deref()),
        ];
        for (key, value) in keys {
            let Some(value) = value.map(toml_edit::value) else {
                continue;
            };
            // A key that is there keeps the comments before it.
            match table.get_mut(key) {
                Some(item) => *item = value,
                None => drop(table.insert(key, value)),
            }
        }
        Ok(document.to_string())
    }
}

impl ConfigError {
    fn edit(what: &str) -> Self {
        Self {
            place: None,
            key: String::new(),
            what: what.to_owned(),
        }
    }

    fn new(text: &str, mut error: toml::de::Error) -> Self {
        let place = error.span().map(|span| position(text, span.start));
        // Without the text, the error writes the keys that lead to the mistake instead of the line.
        error.set_input(None);
        let written = error.to_string();
        let keys = written
            .rsplit_once("\nin `")
            .and_then(|(_, keys)| keys.trim_end().strip_suffix('`'));
        Self {
            place,
            key: keys.unwrap_or_default().escape_debug().to_string(),
            what: with_advice(error.message()),
        }
    }
}

/// Line and column of an offset, from 1 on; the column counts characters.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

/// The message of serde, but for an unknown key or value, which it gives with every known one:
/// there the nearest is named.
fn with_advice(message: &str) -> String {
    let rest = message.strip_prefix("unknown field `");
    if let Some((name, known)) = rest.and_then(|rest| rest.split_once("`, expected ")) {
        // serde puts each known name between backticks.
        let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
        let advice = match nearest(name, known.iter().copied()) {
            Some(known) => did_you_mean(Some(known)),
            None => format!("; the keys are {}", known.join(", ")),
        };
        let name = name.escape_debug();
        return format!("there is no key \"{name}\"{advice}");
    }
    in_words_of_toml(message)
}

/// The message of serde about a value of another type, with TOML's names of types.
fn in_words_of_toml(message: &str) -> String {
    const TYPES: [(&str, &str); 9] = [
        ("type: sequence", "type: list"),
        ("type: map", "type: table or date"),
        ("type: string", "type: text"),
        ("expected a sequence", "expected a list"),
        ("expected a map", "expected a table"),
        ("expected a string", "expected text"),
        ("expected path string", "expected a path"),
        ("expected i64", "expected a whole number"),
        ("expected a boolean", "expected true or false"),
    ];
    let words = TYPES.iter();
    words.fold(message.to_owned(), |text, (serde, toml)| {
        text.replace(serde, toml)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::filter::Pattern;
    use crate::model::key::Kind;
    use crate::retention::{Limits, Policy, SelectRules};

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn a_config_reads_what_it_writes_and_refuses_unknown_keys() {
        let config = Config {
            catalog: Some(CatalogConfig {
                path: Some("/local/c.sqlite3".into()),
                registry: Some("r".into()),
                host: Some("node1".into()),
                single_host: None,
            }),
            trash: Some(TrashConfig {
                keep: Some(Duration::from_secs(72 * 3600)),
            }),
            policy: BTreeMap::new(),
        };
        let text = toml::to_string(&config).unwrap();
        assert_eq!(Config::parse(&text), Ok(config));
    }

    #[test]
    fn where_the_catalog_is_is_written_and_the_rest_of_the_text_stays() {
        let catalog = CatalogConfig {
            path: Some("/local/c.sqlite3".into()),
            registry: Some("r".into()),
            host: Some("node2".into()),
            single_host: None,
        };
        let text =
            "# ours\n[trash] # kept\nkeep = \"1h\"\n\n[catalog]\n# where\nhost = \"node1\"\n";
        assert_eq!(
            Config::with_catalog(text, &catalog).unwrap(),
            "# ours\n[trash] # kept\nkeep = \"1h\"\n\n[catalog]\n# where\nhost = \"node2\"\n\
             path = \"/local/c.sqlite3\"\nregistry = \"r\"\n"
        );
        let text = Config::with_catalog("", &catalog).unwrap();
        assert_eq!(Config::parse(&text).unwrap().catalog, Some(catalog));
    }

    /// Checks what the mistake in each text is called.
    fn refused(cases: &[(&str, &str)]) {
        for (text, expected) in cases {
            let error = Config::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}\n{error}\n{expected}");
        }
    }

    #[cfg(feature = "cli")]
    #[test]
    fn a_mistake_leaves_the_other_settings_as_they_are() {
        let right = "[catalog]\npath = \"/c\"\n[trash]\nkeep = \"1h\"\n\
            [policy.weekly.output]\nkeep-last = 1\n";
        let whole = Config::parse(right).unwrap();
        assert_eq!(Config::parse_what_is_right(right), whole);
        for wrong in [
            "[catalogue]\npath = \"/other\"\n",
            "[policy.daily.output]\nkeep-last = \"three\"\n",
            "[policy.daily.output]\nkeep-lst = 3\n",
            "no toml\n",
            "[broken\nkey = 1\n",
        ] {
            for text in [format!("{wrong}{right}"), format!("{right}{wrong}")] {
                let read = Config::parse_what_is_right(&text);
                assert_eq!(read.catalog, whole.catalog, "{text}");
                assert_eq!(read.trash, whole.trash, "{text}");
                assert!(read.policy.contains_key("weekly"), "{text}");
            }
        }
        let nothing = "a b\n".repeat(1_000);
        assert_eq!(Config::parse_what_is_right(&nothing), Config::default());
    }

    #[test]
    fn mistakes_are_named_with_their_place_and_the_nearest_key() {
        refused(&[
            (
                "\n[catalogue]\n",
                "line 2, column 2: there is no key \"catalogue\"; did you mean \"catalog\"?",
            ),
            (
                "[trash]\nkept = \"1h\"\n",
                "line 2, column 1, in trash: there is no key \"kept\"; did you mean \"keep\"?",
            ),
            (
                "[catalog]\nsinglehost = \"a\"\n",
                "there is no key \"singlehost\"; did you mean \"single-host\"?",
            ),
            (
                "[catalog]\nzzz = 1\n",
                "there is no key \"zzz\"; the keys are path, registry, host, single-host",
            ),
            (
                "trash = 5\n",
                "line 1, column 9, in trash: invalid type: integer `5`",
            ),
            (
                "[catalog]\npath = 5\n",
                "line 2, column 8, in catalog.path: invalid type: integer `5`",
            ),
            (
                "[trash]\nkeep = \"72 moons\"\n",
                "line 2, column 8, in trash.keep: \"72 moons\" is not a length of time such as 72h",
            ),
            ("a b", "line 1, column 3: "),
        ]);
    }

    fn policies(text: &str) -> BTreeMap<String, NamedPolicy> {
        Config::parse(text).unwrap().policy
    }

    fn rules(policy: &NamedPolicy, kind: Kind) -> &Policy {
        let rules = policy.kinds.iter().find(|(of, _)| *of == kind);
        &rules.unwrap().1
    }

    const EVERY_KEY: &str = r#"
        [policy.default]
        run = ["crop*", "b"]
        dataset = ["x"]
        older-than = "14d"
        allow-empty-group = true
        prediction = { keep-last = 1, keep-best = "voi:min" }
        snapshot = { max-files = 10, min-free = 5000, older-than = "3d 4h" }

        [policy.default.output]
        keep-last = 3
        keep-first = 2
        keep-every = 1000
        keep-iterations = [1500, -7]
        keep-within = "30d"
        keep-best = { count = 3, metric = "f1_score", with = ["prediction", "checkpoint"] }
        max-size = "500GB"
        iterations = ["1000..2000", "..-1", 5]
        allow-empty-group = false

        [policy."my own"]
        checkpoint = { max-size = "1.5 TiB" }
        "#;

    const EVERY_KEY_WRITTEN: &str = r#"[policy.default]
dataset = ["x"]
run = ["crop*", "b"]

[policy.default.output]
iterations = ["1000..2000", "..-1", "5"]
keep-every = 1000
keep-first = 2
keep-iterations = [1500, -7]
keep-last = 3
keep-within = "30d"
max-size = 500000000000
older-than = "14d"

[policy.default.output.keep-best]
count = 3
metric = "f1_score:max"
with = ["prediction", "checkpoint"]

[policy.default.prediction]
allow-empty-group = true
keep-last = 1
older-than = "14d"

[policy.default.prediction.keep-best]
count = 1
metric = "voi:min"

[policy.default.snapshot]
allow-empty-group = true
max-files = 10
min-free = 5000
older-than = "3d 4h"

[policy."my own".checkpoint]
max-size = 1649267441664
"#;

    #[test]
    fn every_key_of_a_policy_is_read() {
        let policies = policies(EVERY_KEY);
        assert_eq!(policies.len(), 2);
        let policy = &policies["default"];
        assert_eq!(policy.runs, ["crop*".into(), Pattern::from("b")]);
        assert_eq!(policy.datasets, [Pattern::from("x")]);
        let prediction = rules(policy, Kind::Prediction);
        assert_eq!(prediction.select.older_than, Some(14 * DAY));
        assert_eq!(prediction.select.kinds, [Kind::Prediction]);
        assert!(prediction.allow_empty_group);
        let best = prediction.keep.best.as_ref().unwrap();
        assert_eq!(
            (best.count, best.metric.to_string().as_str()),
            (1, "voi:min")
        );
        let snapshot = rules(policy, Kind::Snapshot);
        assert_eq!(snapshot.select.older_than, Some(3 * DAY + DAY / 6));
        assert_eq!(snapshot.limit.max_files, Some(10));
        assert_eq!(snapshot.limit.min_free, Some(5000.into()));
        let output = rules(policy, Kind::Output);
        assert!(!output.allow_empty_group);
        assert_eq!(output.limit.max_bytes, Some(500_000_000_000));
        assert_eq!(output.keep.last, Some(3));
        assert_eq!(output.keep.first, Some(2));
        assert_eq!(output.keep.every, Some(1000));
        assert_eq!(output.keep.iterations, [1500, -7]);
        assert_eq!(output.keep.within, Some(30 * DAY));
        let best = output.keep.best.as_ref().unwrap();
        assert_eq!(best.with, [Kind::Prediction, Kind::Checkpoint]);
        assert_eq!(
            (best.count, best.metric.to_string().as_str()),
            (3, "f1_score:max")
        );
        let own = rules(&policies["my own"], Kind::Checkpoint);
        assert_eq!(own.limit.max_bytes, Some(3 << 39));
    }

    /// A derived reader takes a list for a table, field by field: it must not.
    #[test]
    fn a_list_is_no_table() {
        refused(&[
            (
                "trash = [\"1h\"]",
                "in trash: invalid type: list, expected a table",
            ),
            (
                "trash = []",
                "in trash: invalid type: list, expected a table",
            ),
            (
                "[[trash]]",
                "in trash: invalid type: list, expected a table",
            ),
            (
                "catalog = [\"/x\"]",
                "in catalog: invalid type: list, expected a table",
            ),
            (
                "[[catalog]]\npath = \"/x\"",
                "in catalog: invalid type: list, expected a table",
            ),
            (
                "policy = []",
                "in policy: invalid type: list, expected a table",
            ),
            (
                "[policy]\np = []",
                "in policy.p: invalid type: list, expected a table",
            ),
            (
                "[policy.p]\noutput = [true, [], \"voi:max\"]",
                "in policy.p.output: invalid type: list, expected a table",
            ),
            (
                "[[policy.p.output]]\nkeep-last = 1",
                "in policy.p.output: invalid type: list, expected a table",
            ),
            (
                "[policy.p.output]\nkeep-best = [1, \"voi:max\"]",
                "in policy.p.output.keep-best: invalid type: list, expected a metric",
            ),
            (
                "[policy.p.output]\nkeep-best = { metric = \"voi:max\", with = [{ prediction = {} }] }",
                "in policy.p.output.keep-best.with: invalid type: table",
            ),
        ]);
    }

    #[test]
    fn an_integer_beyond_those_of_toml_is_refused() {
        let keys = [
            "keep-last",
            "keep-first",
            "keep-every",
            "max-files",
            "max-size",
            "min-free",
        ];
        for key in keys {
            let text = format!("[policy.p.output]\n{key} = 9223372036854775808");
            refused(&[(&text, "is over 9223372036854775807")]);
        }
    }

    #[test]
    fn min_free_is_a_size_or_a_percentage() {
        for (written, min_free) in [("5000", "5000"), ("\"2.5%\"", "2.5%"), ("\"10%\"", "10 %")] {
            let text = format!("[policy.p.output]\nmin-free = {written}\n");
            let config = Config::parse(&text).unwrap();
            let limit = &rules(&config.policy["p"], Kind::Output).limit;
            assert_eq!(limit.min_free, Some(min_free.parse().unwrap()));
            assert!(toml::to_string(&config).unwrap().contains(&text));
        }
        refused(&[
            (
                "[policy.p.output]\nmin-free = \"0%\"",
                "in policy.p.output.min-free: 0% means nothing: it always holds; write more than 0%",
            ),
            (
                "[policy.p.output]\nmin-free = \"101%\"",
                "in policy.p.output.min-free: 101% is more than the file system has",
            ),
            (
                "[policy.p.output]\nmin-free = 0.1",
                "expected a number of bytes, or text such as \"1TB\" or \"10%\"",
            ),
        ]);
    }

    #[test]
    fn policies_are_written_with_their_kinds() {
        let config = Config::parse(EVERY_KEY).unwrap();
        let text = toml::to_string(&config).unwrap();
        assert_eq!(text, EVERY_KEY_WRITTEN);
        assert_eq!(Config::parse(&text), Ok(config));
    }

    #[test]
    fn a_size_beyond_the_integers_of_toml_is_written_too() {
        let rules = Policy {
            select: SelectRules {
                kinds: vec![Kind::Output],
                ..SelectRules::default()
            },
            limit: Limits {
                max_bytes: Some((1 << 63) + 2048),
                ..Limits::default()
            },
            ..Policy::default()
        };
        let config = Config {
            policy: BTreeMap::from([(
                "p".to_owned(),
                NamedPolicy {
                    kinds: vec![(Kind::Output, rules)],
                    ..NamedPolicy::default()
                },
            )]),
            ..Config::default()
        };
        let text = toml::to_string(&config).unwrap();
        assert_eq!(Config::parse(&text), Ok(config));
    }

    #[test]
    fn mistakes_in_rules_are_named_with_their_place_and_rule() {
        let cases = [
            (
                "keep-lst = 1",
                1,
                ": there is no key \"keep-lst\"; did you mean \"keep-last\"?",
            ),
            (
                "keep-last = \"1\"",
                13,
                ".keep-last: invalid type: text \"1\", expected a whole number",
            ),
            ("keep-last = -1", 13, ".keep-last: -1 is negative"),
            (
                "keep-first = 1.5",
                14,
                ".keep-first: invalid type: floating point",
            ),
            (
                "keep-iterations = [1, \"a\"]",
                23,
                ".keep-iterations: invalid type: text \"a\", expected a whole number",
            ),
            (
                "keep-iterations = 5",
                19,
                ".keep-iterations: invalid type: integer `5`, expected a list",
            ),
            (
                "keep-within = \"soon\"",
                15,
                ".keep-within: \"soon\" is not a length of time",
            ),
            (
                "keep-within = 14",
                15,
                ".keep-within: invalid type: integer `14`, expected text",
            ),
            (
                "keep-best = \"voi:low\"",
                13,
                ".keep-best: \"voi:low\" is not a metric",
            ),
            (
                "keep-best = \"f1\"",
                13,
                ".keep-best: whether lower or higher values of f1 are better is unknown",
            ),
            (
                "keep-best = 3",
                13,
                ".keep-best: invalid type: integer `3`, expected a metric such as",
            ),
            (
                "keep-best = { count = 3 }",
                13,
                ".keep-best: keep-best has no metric; add metric",
            ),
            (
                "keep-best = { metrc = \"voi\" }",
                15,
                ".keep-best: there is no key \"metrc\"; did you mean \"metric\"?",
            ),
            (
                "keep-best = { metric = \"a:b:min\" }",
                24,
                ".keep-best.metric: \"a:b:min\" is not a metric",
            ),
            (
                "keep-best = { metric = \"voi\", with = [\"outputs\"] }",
                38,
                ".keep-best.with: there is no kind \"outputs\"; kinds are prediction, output,",
            ),
            (
                "max-size = \"lots\"",
                12,
                ".max-size: \"lots\" is not a size; write 500GB",
            ),
            ("max-size = -5", 12, ".max-size: -5 is negative"),
            (
                "max-size = true",
                12,
                ".max-size: invalid type: boolean `true`, expected a number of bytes, or text such",
            ),
            ("max-files = \"5k\"", 13, ".max-files: invalid type: text"),
            (
                "iterations = [\"5..1\"]",
                15,
                ".iterations: \"5..1\" selects no iteration",
            ),
            (
                "allow-empty-group = 1",
                21,
                ".allow-empty-group: invalid type: integer `1`, expected true or false",
            ),
        ];
        for (rule, column, expected) in cases {
            let text = format!("[policy.default.prediction]\n{rule}\n");
            let expected =
                format!("line 2, column {column}, in policy.default.prediction{expected}");
            refused(&[(&text, &expected)]);
        }
    }

    #[test]
    fn mistakes_in_policies_are_named_with_their_place() {
        refused(&[
            (
                "policy = 5",
                "line 1, column 10, in policy: invalid type: integer `5`, expected a table",
            ),
            (
                "[policy]\nrun = [\"a\"]",
                "line 2, column 7, in policy.run: invalid type: list, expected a table of rules",
            ),
            (
                "\n[policy.a]\nrun = [\"a\"]",
                "line 2, column 1, in policy.a: no kind has rules; write some, such as",
            ),
            (
                "[policy.\"a b\"]\npredictions = {}",
                "line 2, column 1, in policy.a b: there is no key \"predictions\"; did \
                 you mean \"prediction\"?",
            ),
            (
                "[policy.a]\nrun = \"a\"",
                "line 2, column 7, in policy.a.run: invalid type: text \"a\", expected a list",
            ),
            (
                "[policy.a]\nprediction = {}",
                "in policy.a: prediction: the policy has no rule",
            ),
            (
                "[policy.a]\nprediction = { keep-last = 0 }",
                "in policy.a: prediction: keep-last 0 keeps nothing",
            ),
            (
                "[policy.a]\nolder-than = \"2d\"\noutput = { keep-within = \"1d\" }",
                "in policy.a: output: keep-within 1d keeps nothing",
            ),
        ]);
    }
}
