//! What a command says that Ctrl-C ended: what state is left, and what to type.

use std::ops::ControlFlow;

use super::context::Context;
use super::fail::Failure;
use super::interrupt::{self, is_interrupted};
use super::render::{count, escape, number};
use crate::error::Error;
use crate::model::operation::{Action, HistoryFilter};
use crate::registry::Registry;

/// What a call changes one part after the other, in words for the case that Ctrl-C ends it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts {
    /// The call's actions, as the history has them.
    pub(super) actions: &'static [Action],
    /// What was not done if it was nothing: `nothing was added`.
    pub(super) nothing: &'static str,
    /// What the changed things are: `row`.
    pub(super) thing: &'static str,
    /// What was done to them: `added or updated`.
    pub(super) done: &'static str,
    /// What to type for the rest.
    pub(super) next: Next,
}

/// What to type after Ctrl-C.
#[derive(Debug, Clone, Copy)]
pub(super) enum Next {
    /// The same command, with the flags that were given, after these words: `add the rest with`.
    Again(&'static str),
    /// Words with another command.
    Other(&'static str),
}

impl Context {
    /// Sets what is said if Ctrl-C ends a command, between its work or at once, that has begun to
    /// remove or to unlink.
    pub(super) fn begins_to_remove(&self) {
        interrupt::leaves(escape(&self.with_base(
            "each artifact is whole or removed; see which was removed with: dalsegno history; what \
             is in the trash, with: dalsegno trash list",
        )));
    }

    /// The failure of a call that changes all or nothing: if Ctrl-C ended it, `nothing` says what
    /// was not done.
    pub(super) fn ended(&self, error: Error, nothing: &str) -> Failure {
        match error {
            Error::Cancelled { .. } if is_interrupted() => {
                Failure::Interrupted(format!("{nothing}; to do it, run the same command again"))
            }
            error => error.into(),
        }
    }

    /// The failure of a call that changes one part after the other. `before` is the number of the
    /// last operation before the call: what this process did since then was done.
    pub(super) fn ended_partly(
        &self,
        error: Error,
        registry: &Registry,
        before: i64,
        parts: &Parts,
    ) -> Failure {
        if !(is_interrupted() && matches!(error, Error::Cancelled { .. })) {
            return error.into();
        }
        let filter = HistoryFilter {
            actions: parts.actions.to_vec(),
            ..HistoryFilter::default()
        };
        let mut changed = 0;
        // The newest operation comes first.
        let read = registry.history(&filter, |operation| {
            if operation.id <= before {
                return Ok(ControlFlow::Break(()));
            }
            if operation.agent.actor.pid == std::process::id() {
                changed += operation.artifacts;
            }
            Ok(ControlFlow::Continue(()))
        });
        if let Err(error) = read {
            return error.into();
        }
        let next = match parts.next {
            Next::Again(words) => format!("{words}: {}", self.again()),
            Next::Other(words) => words.to_owned(),
        };
        Failure::Interrupted(match changed {
            0 => format!("{}; {next}", parts.nothing),
            _ => {
                let changed = were(changed, parts.thing);
                format!("{changed} {}; {next}", parts.done)
            }
        })
    }
}

/// How many of several things, as the beginning of a sentence: `1,204 of 5,000 artifacts were`.
pub(super) fn part_of(some: u64, all: u64, thing: &str) -> String {
    let was = if some == 1 { "was" } else { "were" };
    format!("{} of {} {was}", number(some), count(all, thing))
}

/// A number of things, as the beginning of a sentence: `5,000 artifacts were`.
pub(super) fn were(things: impl TryInto<u64>, thing: &str) -> String {
    let text = count(things, thing);
    let was = if text.starts_with("1 ") {
        "was"
    } else {
        "were"
    };
    format!("{text} {was}")
}
