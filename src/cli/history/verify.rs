//! `history verify`: whether the history is as it was written.

use clap::Args;

use crate::cli::context::Context;
use crate::cli::fail::Failure;
use crate::cli::flags::Output;
use crate::cli::render::{self, count};
use crate::model::operation::OperationHash;

/// Check that no operation was changed or deleted
///
/// Each operation has a hash over itself, its artifacts before and after, and the operation before
/// it. Names the first operation that was changed or is missing; exit code 4.
#[derive(Debug, Args)]
pub(super) struct HistoryVerify {
    /// A hash that `history head` printed; exit code 4 if no operation has it
    #[arg(long, value_name = "HASH")]
    head: Option<OperationHash>,
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(context: &mut Context, command: &HistoryVerify) -> Result<(), Failure> {
    let registry = context.open_read_only()?;
    let monitor = context.bar("checking the history").interruptible();
    let checked = registry.check_history(command.head);
    drop(monitor);
    let report = checked.map_err(|error| {
        context.ended(
            error,
            "the history was not checked to its end, and nothing was changed",
        )
    })?;
    let format = context.format(command.output);
    render::write_json(context, format, "verify", &report)?;
    // stdout first, so that on a terminal the document comes before the messages.
    context.flush()?;
    if let Some(broken) = &report.broken {
        let before = match report.operations {
            0 => "it is the first operation".to_owned(),
            fit => format!("{} before it", matching(fit)),
        };
        let text = format!(
            "the history is broken at operation {}: {}; {before}",
            broken.operation, broken.detail
        );
        // Export and backup: the chain says that something changed, only a copy says what it was.
        let hint =
            context.with_base("compare it with a backup; print it with: dalsegno history export");
        context.error(None, &text, Some(&hint));
    } else {
        context.say(&format!(
            "{}; the head is {}",
            matching(report.operations),
            report.head
        ));
    }
    if let Some(noted) = &report.noted {
        match noted.operation {
            Some(operation) => context.say(&format!(
                "the given head is operation {operation}: it and all operations before it are \
                 unchanged"
            )),
            None => {
                // In a broken history, the head may just be beyond the break, so no cause is
                // claimed.
                let why = match report.broken {
                    Some(_) => "no operation that matches has it",
                    None => {
                        "no operation has it: operations were cut off or rewritten, or it belongs \
                         to another registry"
                    }
                };
                let text = format!("the given head is {}; {why}", noted.hash);
                context.error(None, &text, None);
            }
        }
    }
    match report.is_whole() {
        true => Ok(()),
        false => Err(Failure::Findings),
    }
}

/// How many operations match, as the beginning of a sentence.
fn matching(operations: u64) -> String {
    let verb = if operations == 1 { "matches" } else { "match" };
    format!("{} {verb}", count(operations, "operation"))
}
