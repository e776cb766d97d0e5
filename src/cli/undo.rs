//! `undo`: reverses an operation.

use clap::Args;

use super::context::Context;
use super::fail::Failure;
use super::flags::Output;
use super::render::{self, count};
use super::restore;
use crate::model::operation::Action;
use crate::ops::undo::UndoReport;

/// Reverse an operation
///
/// Restores what it removed from the trash, unpins what it pinned, pins what it unpinned, and sets
/// scores back. Refused if a later operation changed the same things. What cannot be restored is
/// named, with exit code 3.
#[derive(Debug, Args)]
pub(super) struct Undo {
    /// Number of the operation (see: dalsegno history), or `last`: the newest removal, restore, pin,
    /// unpin, score, rename or rebuild that is in effect
    #[arg(id = "undone", value_name = "OP", value_parser = which)]
    operation: Which,
    #[command(flatten)]
    output: Output,
}

/// Which operation is undone.
#[derive(Debug, Clone, Copy)]
enum Which {
    Last,
    Number(i64),
}

fn which(text: &str) -> Result<Which, String> {
    match text {
        "last" => Ok(Which::Last),
        number => number
            .parse()
            .map(Which::Number)
            .map_err(|_| "give the number of an operation, or last".to_owned()),
    }
}

pub(super) fn run(context: &mut Context, command: &Undo) -> Result<(), Failure> {
    // Nothing is purged: what is due may be what the undo puts back.
    let registry = context.open()?;
    let report = context.waiting("undoing", || match command.operation {
        Which::Last => registry.undo_last(),
        Which::Number(number) => registry.undo(number),
    })?;
    let format = context.format(command.output);
    render::write_json(context, format, "undo", &report)?;
    let what = undone(&report);
    context.say(&format!(
        "undid operation {} ({}): {what}",
        report.operation, report.action
    ));
    restore::say_left(context, &registry, &report.skipped);
    restore::say_lost(context, &report.skipped);
    match report.skipped.is_empty() {
        true => Ok(()),
        false => Err(Failure::Partly),
    }
}

/// What an undo did, as a phrase.
fn undone(report: &UndoReport) -> String {
    match (&report.pin, report.action) {
        (Some(pin), action) => {
            let mut parts: Vec<String> = pin.scopes.iter().map(ToString::to_string).collect();
            parts.push(count(pin.artifacts, "artifact"));
            // An undo of an unpin makes the pin again, and the other way round.
            let verb = match action {
                Action::Pin => "unpinned",
                _ => "pinned again",
            };
            format!("{verb} {}", parts.join("; "))
        }
        (None, Action::Remove) => {
            let restored = restore::artifacts_of(report.artifacts.len(), &report.skipped);
            format!("restored {restored}")
        }
        // Besides pins and removals, only scores can be undone.
        (None, _) => format!("set {} back", count(report.scores, "score")),
    }
}
