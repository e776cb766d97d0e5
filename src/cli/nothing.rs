//! Selections that match nothing, in whole or in part, and what to say then.

use std::ops::ControlFlow;

use super::context::Context;
use super::fail::Failure;
use super::flags::Format;
use super::render::shell_word;
use super::report::{self, how_to_scan};
use super::selection::Asked;
use crate::error::Error;
use crate::model::filter::{Filter, Pattern};
use crate::model::key::Kind;
use crate::ops::restore::RestoreTarget;
use crate::ops::unmatched::Unmatched;
use crate::registry::Registry;

impl Context {
    /// Says which names in a selection nothing recorded has, with the nearest ones.
    pub(super) fn say_unmatched(
        &self,
        registry: &Registry,
        filter: &Filter,
    ) -> Result<(), Failure> {
        for unmatched in registry.unmatched(filter)? {
            self.warn(&self.words(registry, &unmatched));
        }
        Ok(())
    }

    /// Says which names that a selection leaves out nothing recorded has: what they were to leave
    /// out is in it.
    pub(super) fn say_excluded(&self, registry: &Registry, filter: &Filter) -> Result<(), Failure> {
        for unmatched in registry.unmatched_exclusions(filter)? {
            self.warn(&unmatched.to_string());
        }
        Ok(())
    }

    /// What is unmatched, and how what is on disk or in the trash of it is taken in.
    fn words(&self, registry: &Registry, unmatched: &Unmatched) -> String {
        let take_in = unmatched.on_disk.and_then(how_to_scan);
        let take_in = take_in.map(|hint| self.with_base(hint));
        let name = &unmatched.name;
        let in_trash = match unmatched.part {
            "run" => {
                let of_run = Filter::default().runs([name.as_str()]);
                let call = format!("--run {}", shell_word(name));
                self.in_trash(registry, &RestoreTarget::Filter(of_run), &call)
            }
            "path" => {
                let call = shell_word(&self.typable(name));
                self.in_trash(registry, &RestoreTarget::Path(name.into()), &call)
            }
            _ => None,
        };
        match (in_trash, take_in) {
            (None, None) => unmatched.to_string(),
            (None, Some(take_in)) => format!("{unmatched}; {take_in}"),
            // What was removed and can come back first: a scan of the rest does not bring it.
            (Some(in_trash), take_in) => {
                let (first, beside) = unmatched.around_trash();
                let mut words = vec![first, in_trash];
                words.extend(beside.map(str::to_owned));
                words.extend(take_in.map(|take_in| take_in.replace("take it in", "take them in")));
                in_one_sentence(&words)
            }
        }
    }

    /// Says which names in a selection nothing recorded has; a path or the name of a run among them
    /// is a failure, because what is named one by one is expected to be there.
    pub(super) fn require_named(
        &self,
        registry: &Registry,
        filter: &Filter,
        asked: &Asked,
    ) -> Result<(), Failure> {
        self.say_excluded(registry, filter)?;
        let (missing, others) = self.partition(registry, filter, asked)?;
        for unmatched in &others {
            self.warn(&self.words(registry, unmatched));
        }
        if missing.is_empty() {
            return Ok(());
        }
        let located = |unmatched: Unmatched| Unmatched {
            nearest: unmatched.nearest.map(|nearest| self.typable(&nearest)),
            ..unmatched
        };
        // A run that --run names is typed by its name in every folder.
        let missing = missing.into_iter().map(|(one, is_place)| match is_place {
            true => located(one),
            false => one,
        });
        let words: Vec<String> = missing.map(|one| self.words(registry, &one)).collect();
        let next = "see what is recorded with: dalsegno list";
        Err(Failure::Nothing(in_one_sentence(&words), next))
    }

    /// Whether a path or the name of a run in a selection is that of nothing recorded.
    pub(super) fn names_in_vain(
        &self,
        registry: &Registry,
        filter: &Filter,
        asked: &Asked,
    ) -> Result<bool, Failure> {
        let (missing, _) = self.partition(registry, filter, asked)?;
        Ok(!missing.is_empty())
    }

    /// The names in a selection that nothing recorded has: things that are named, each with whether
    /// it is a path, and what only selects.
    #[expect(clippy::type_complexity, reason = "two lists that are used at once")]
    fn partition(
        &self,
        registry: &Registry,
        filter: &Filter,
        asked: &Asked,
    ) -> Result<(Vec<(Unmatched, bool)>, Vec<Unmatched>), Failure> {
        let places = asked.places(self, registry)?;
        let is_place = |unmatched: &Unmatched| {
            let is_of_path = ["run", "path"].contains(&unmatched.part);
            is_of_path
                && places
                    .iter()
                    .any(|place| *place.as_str() == *unmatched.name)
        };
        let (mut missing, mut others) = (Vec::new(), Vec::new());
        for unmatched in registry.unmatched(filter)? {
            match (is_place(&unmatched), names_run(&unmatched)) {
                (false, false) => others.push(unmatched),
                (is_place, _) => missing.push((unmatched, is_place)),
            }
        }
        Ok((missing, others))
    }

    /// Says which names in a selection nothing recorded has, before a command changes the rest. The
    /// name of a run among them is a failure; `undone` says what did not happen.
    pub(super) fn require_runs(
        &self,
        registry: &Registry,
        filter: &Filter,
        undone: &str,
    ) -> Result<(), Failure> {
        self.say_excluded(registry, filter)?;
        let unmatched = registry.unmatched(filter)?;
        let (missing, others): (Vec<_>, Vec<_>) = unmatched.into_iter().partition(names_run);
        for unmatched in &others {
            self.warn(&self.words(registry, unmatched));
        }
        if missing.is_empty() {
            return Ok(());
        }
        let mut words: Vec<String> = missing
            .iter()
            .map(|one| self.words(registry, one))
            .collect();
        if !undone.is_empty() {
            words.push(undone.to_owned());
        }
        let next = "see the runs with: dalsegno runs";
        Err(Failure::Nothing(in_one_sentence(&words), next))
    }

    /// The end of a command that has shown what else was named: the first of these errors; each
    /// other one is a warning.
    pub(super) fn after_missing(&self, missing: Vec<Error>) -> Result<(), Failure> {
        let mut missing = missing.into_iter();
        let Some(first) = missing.next() else {
            return Ok(());
        };
        missing.for_each(|error| self.warn(&report::text(&error, self)));
        Err(first.into())
    }

    /// The end of a command that found something of what else was named: a name in vain is then a
    /// warning.
    pub(super) fn after(&self, named: Result<(), Failure>, end: Failure) -> Failure {
        match named {
            Ok(()) => end,
            Err(Failure::Nothing(words, _)) => {
                self.warn(&words);
                end
            }
            Err(failure) => failure,
        }
    }

    /// Says after the rows of a selection, of which there were `written`, what it named in vain. A
    /// table without rows has said `nothing` itself; programs read stderr too, and get it here.
    pub(super) fn say_nothing(
        &self,
        registry: &Registry,
        (asked, filter): (&Asked, &Filter),
        format: Format,
        (written, nothing): (u64, &str),
    ) -> Result<(), Failure> {
        if filter.is_all() {
            if written == 0 && matches!(format, Format::Tsv | Format::Jsonl) && is_new(registry)? {
                self.say(nothing);
            }
            return Ok(());
        }
        if written == 0 && format != Format::Table {
            self.say(nothing);
        }
        let checkpoints = filter.clone().kinds([Kind::Checkpoint]);
        if written == 0
            && filter.kinds.is_empty()
            && !filter.runs.is_empty()
            && registry.names_any(&checkpoints)?
            && !registry.names_any(filter)?
        {
            let hint = self.with_base("list them with: dalsegno list --kind checkpoint");
            self.say(&format!("of that, only checkpoints are recorded; {hint}"));
        }
        self.require_named(registry, filter, asked)
    }

    /// Whether a selection matches anything, as it is: also by state, age, owner and pins.
    pub(super) fn matches_any(
        &self,
        registry: &Registry,
        filter: &Filter,
    ) -> Result<bool, Failure> {
        let mut any = false;
        registry.list(filter, |_| {
            any = true;
            Ok(ControlFlow::Break(()))
        })?;
        Ok(any)
    }

    /// What a listing says that has no rows: `nothing`, or what to type if nothing was ever
    /// recorded.
    pub(super) fn or_new(&self, registry: &Registry, nothing: &str) -> Result<String, Failure> {
        Ok(match is_new(registry)? {
            false => nothing.to_owned(),
            true => {
                self.with_base("nothing is recorded yet; add what is on disk with: dalsegno scan")
            }
        })
    }

    /// The failure of a command that was to change a selection which is empty. `undone` says what
    /// did not happen.
    pub(super) fn nothing_selected(
        &self,
        registry: &Registry,
        filter: &Filter,
        undone: &str,
    ) -> Result<Failure, Failure> {
        let unmatched = registry.unmatched(filter)?;
        let is_of_runs = unmatched.iter().any(|unmatched| unmatched.part == "run");
        let mut words: Vec<String> = unmatched
            .iter()
            .map(|one| self.words(registry, one))
            .collect();
        if words.is_empty() && !is_new(registry)? {
            words.push("no artifact matches".to_owned());
        }
        words.push(undone.to_owned());
        let is_to_scan = unmatched
            .iter()
            .any(|one| one.on_disk.and_then(how_to_scan).is_some());
        let is_new = is_new(registry)? && !is_to_scan;
        if is_new {
            words.insert(0, "nothing is recorded yet".to_owned());
        }
        let text = in_one_sentence(&words);
        let next = match is_of_runs {
            _ if is_new => "add what is on disk with: dalsegno scan",
            true => "see the runs with: dalsegno runs",
            false => "see what is recorded with: dalsegno list",
        };
        Ok(Failure::Nothing(text, next))
    }
}

/// Whether it is the name of a run, and no pattern, which may match nothing.
fn names_run(unmatched: &Unmatched) -> bool {
    unmatched.part == "run" && !Pattern::from(&unmatched.name).is_glob()
}

/// Whether nothing was ever recorded.
pub(super) fn is_new(registry: &Registry) -> Result<bool, Failure> {
    Ok(registry.history_head()?.0 == 0)
}

/// Joins clauses. A question mark ends a sentence.
fn in_one_sentence(words: &[String]) -> String {
    words.join("; ").replace("?;", "?")
}
