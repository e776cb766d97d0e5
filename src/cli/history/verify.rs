//! `history verify`: whether the history is as it was written.

use clap::Args;

use crate::cli::context::Context;
use crate::cli::fail::Failure;
use crate::cli::flags::Output;
use crate::cli::render::{self, count};
use crate::model::operation::OperationHash;

/// Check that no operation was changed or taken out
///
/// Each operation carries a hash over itself, its artifacts before and after, and the operation
/// before it. Exit code 4 where one does not fit; the first that does not is named.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// A hash that `history head` printed; exit code 4 where no operation has it
    #[arg(long, value_name = "HASH")]
    head: Option<OperationHash>,
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(context: &mut Context, command: &Verify) -> Result<(), Failure> {
    let registry = context.open_read_only()?;
    let report = registry.check_history(command.head)?;
    let format = context.format(command.output);
    render::write_json(context, format, "verify", &report)?;
    context.flush()?;
    if let Some(broken) = &report.broken {
        let before = match report.operations {
            0 => "there is none before it".to_owned(),
            fit => format!("those before it fit: {}", count(fit, "operation")),
        };
        let text = format!(
            "operation {} does not fit: {}; {before}",
            broken.operation, broken.detail
        );
        let hint = context.with_base("compare it with a backup: dalsegno history export");
        context.error(None, &text, Some(&hint));
    } else {
        context.say(&format!(
            "{} fit; the head is {}",
            count(report.operations, "operation"),
            report.head
        ));
    }
    if let Some(noted) = &report.noted {
        match noted.operation {
            Some(operation) => context.say(&format!(
                "the head that was noted is operation {operation}: it and all before it are as \
                 they were then"
            )),
            None => {
                let why = match report.broken {
                    Some(_) => "no operation that fits has it",
                    None => {
                        "no operation has it: operations that were there are cut off or written \
                         anew, or it is of another registry"
                    }
                };
                let text = format!("the head that was noted is {}; {why}", noted.hash);
                context.error(None, &text, None);
            }
        }
    }
    match report.is_whole() {
        true => Ok(()),
        false => Err(Failure::Findings),
    }
}
