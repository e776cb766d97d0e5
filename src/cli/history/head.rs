//! `history head`: the number and hash of the last operation.

use clap::Args;
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::fail::Failure;
use crate::cli::flags::Output;
use crate::cli::render;
use crate::model::operation::OperationHash;

/// Print the number and hash of the last operation
///
/// Keep them outside of the registry: `history verify --head HASH` then finds out later whether the
/// history was cut off or rewritten.
#[derive(Debug, Args)]
pub(super) struct Head {
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct HeadDocument {
    operation: i64,
    hash: OperationHash,
}

pub(super) fn run(context: &mut Context, command: &Head) -> Result<(), Failure> {
    let registry = context.open_read_only()?;
    let (operation, hash) = registry.history_head()?;
    let head = HeadDocument { operation, hash };
    let format = context.format(command.output);
    if !render::write_json(context, format, "head", &head)? {
        context.line(&format!("{operation} {hash}"))?;
    }
    Ok(())
}
