//! `history export`: every operation with all artifacts before and after it.

use std::io::Write;
use std::ops::ControlFlow;

use clap::{Args, ValueEnum};

use super::show::WholeOperation;
use crate::cli::context::Context;
use crate::cli::fail::Failure;
use crate::cli::render::{self, Record, or_empty};
use crate::model::artifact::Artifact;
use crate::model::operation::{Image, Operation, Side};

/// Write all operations to stdout, oldest first, with the artifacts before and after each
///
/// jsonl has one line per operation. csv has one line per artifact before or after, and one line
/// for an operation without artifacts.
#[derive(Debug, Args)]
pub(super) struct Export {
    /// Format of the export
    #[arg(long, value_enum, default_value_t = ExportFormat::Jsonl)]
    format: ExportFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ExportFormat {
    Jsonl,
    Csv,
}

/// Fields of an image besides those of an artifact in other commands.
const MORE: [&str; 2] = ["origin", "owner"];

pub(super) fn run(context: &mut Context, command: &Export) -> Result<(), Failure> {
    let registry = context.open_read_only()?;
    let out = &mut context.stdout;
    if command.format == ExportFormat::Csv {
        let artifact = Artifact::FIELDS
            .iter()
            .map(|name| format!("artifact_{name}"));
        let names = Operation::FIELDS.iter().map(ToString::to_string);
        let side = std::iter::once("side".to_owned());
        row(out, names.chain(side).chain(artifact))?;
    }
    // The callback returns errors of the library; a failed write is kept for afterwards.
    let mut failure = None;
    registry.whole_history(|operation, images| {
        let written = match command.format {
            ExportFormat::Jsonl => jsonl(out, &operation, &images),
            ExportFormat::Csv => csv(out, &operation, &images),
        };
        Ok(match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        })
    })?;
    failure.map_or(Ok(()), Err)
}

fn jsonl(out: &mut impl Write, operation: &Operation, images: &[Image]) -> Result<(), Failure> {
    let line = render::json(&WholeOperation { operation, images })?;
    Ok(writeln!(out, "{line}")?)
}

fn csv(out: &mut impl Write, operation: &Operation, images: &[Image]) -> Result<(), Failure> {
    let fields = operation.fields();
    // An operation without artifacts has a line too, so that none is missing.
    if images.is_empty() {
        let empty = vec![String::new(); Artifact::FIELDS.len() + MORE.len() + 1];
        return row(out, fields.into_iter().chain(empty));
    }
    for image in images {
        let side = match image.side {
            Side::Before => "before",
            Side::After => "after",
        };
        let side = std::iter::once(side.to_owned());
        let artifact = image.artifact.fields().into_iter().chain([
            image.artifact.origin.as_str().to_owned(),
            or_empty(image.artifact.owner),
        ]);
        row(out, fields.iter().cloned().chain(side).chain(artifact))?;
    }
    Ok(())
}

fn row(out: &mut impl Write, fields: impl Iterator<Item = String>) -> Result<(), Failure> {
    let mut writer = csv::Writer::from_writer(out);
    let written = writer.write_record(fields.map(String::into_bytes));
    written.map_err(std::io::Error::from)?;
    Ok(writer.flush()?)
}
