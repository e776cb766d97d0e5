//! Selections that match nothing, in whole or in part, and what to say then.

use super::context::Context;
use super::fail::Failure;
use super::flags::Format;
use crate::model::filter::Filter;
use crate::registry::Registry;

impl Context {
    /// Says which names in a selection nothing recorded has, with the nearest ones.
    pub(super) fn say_unmatched(
        &self,
        registry: &Registry,
        filter: &Filter,
    ) -> Result<(), Failure> {
        for unmatched in registry.unmatched(filter)? {
            self.warn(&unmatched.to_string());
        }
        Ok(())
    }

    /// Says after the rows of a selection, of which there were `written`, what it named in vain. A
    /// table without rows has said `nothing` itself; programs read stderr too, and get it here.
    pub(super) fn say_nothing(
        &self,
        registry: &Registry,
        filter: &Filter,
        format: Format,
        (written, nothing): (u64, &str),
    ) -> Result<(), Failure> {
        if filter.is_all() {
            return Ok(());
        }
        if written == 0 && format != Format::Table {
            self.say(nothing);
        }
        self.say_unmatched(registry, filter)
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
        let mut words: Vec<String> = unmatched.iter().map(ToString::to_string).collect();
        if words.is_empty() {
            words.push("no artifact matches".to_owned());
        }
        let text = format!("{}; {undone}", words.join("; "));
        // A question mark ends a sentence.
        let text = text.replace("?;", "?");
        let next = match is_of_runs {
            true => "see the runs with: dalsegno runs",
            false => "see what is recorded with: dalsegno list",
        };
        Ok(Failure::Nothing(text, next))
    }
}
