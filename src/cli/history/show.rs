//! `history show`: everything about one operation.

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use crate::cli::context::Context;
use crate::cli::fail::Failure;
use crate::cli::flags::Output;
use crate::cli::render::{self, escape, or_dash, unbroken};
use crate::model::artifact::Artifact;
use crate::model::operation::{Image, Operation, Side};

/// Show everything about an operation: who, when, why, and each artifact before and after it
#[derive(Debug, Args)]
pub(super) struct HistoryShow {
    /// Number of the operation
    #[arg(value_name = "OP")]
    operation: i64,
    #[command(flatten)]
    output: Output,
}

/// An operation with its images, as JSON.
#[derive(Serialize)]
pub(super) struct WholeOperation<'a> {
    #[serde(flatten)]
    pub(super) operation: &'a Operation,
    pub(super) images: &'a [Image],
}

pub(super) fn run(context: &mut Context, command: &HistoryShow) -> Result<(), Failure> {
    let registry = context.open_read_only()?;
    let (operation, images) = registry.operation(command.operation)?;
    let whole = WholeOperation {
        operation: &operation,
        images: &images,
    };
    let format = context.format(command.output);
    if render::write_json(context, format, "operation", &whole)? {
        return Ok(());
    }
    for (name, value) in describe(&operation) {
        context.folded_line(&format!("{name:<12}{}", escape(&value)), 12)?;
    }
    for (before, after) in pairs(&images) {
        // The newer image: a rename has changed the path, and the id is the same in both.
        let Some(artifact) = after.or(before) else {
            continue;
        };
        context.line("")?;
        let path = artifact.location().path();
        let head = format!("artifact {}", artifact.id);
        context.folded_line(&format!("{head:<12}{}", unbroken(&escape(&path))), 12)?;
        for line in changes(before, after)? {
            context.folded_line(&format!("  {}", escape(&line)), 6)?;
        }
    }
    Ok(())
}

fn describe(operation: &Operation) -> Vec<(&'static str, String)> {
    let actor = &operation.agent.actor;
    vec![
        ("operation", operation.id.to_string()),
        ("time", operation.at.to_string()),
        ("action", operation.action.to_string()),
        (
            "who",
            format!("{}@{}, pid {}", actor.user, actor.host, actor.pid),
        ),
        ("command", or_dash(operation.agent.command.as_ref())),
        ("job", or_dash(operation.agent.job.as_ref())),
        ("version", format!("dalsegno {}", operation.agent.version)),
        ("reason", or_dash(operation.reason.as_ref())),
        ("detail", or_dash(operation.detail.as_ref())),
        ("artifacts", or_dash(operation.artifacts_of())),
        ("now", or_dash(operation.now)),
        ("hash", operation.hash.to_string()),
    ]
}

/// The images of each artifact, before and after, in the order of the changes.
fn pairs(images: &[Image]) -> Vec<(Option<&Artifact>, Option<&Artifact>)> {
    let mut pairs: Vec<(Option<&Artifact>, Option<&Artifact>)> = Vec::new();
    for image in images {
        let artifact = &image.artifact;
        // The two images of a change follow each other, the one before it first.
        match (image.side, pairs.last_mut()) {
            (Side::Before, _) => pairs.push((Some(artifact), None)),
            (Side::After, Some((Some(before), after @ None))) if before.id == artifact.id => {
                *after = Some(artifact);
            }
            (Side::After, _) => pairs.push((None, Some(artifact))),
        }
    }
    pairs
}

/// What a change did to an artifact, one line per field.
fn changes(before: Option<&Artifact>, after: Option<&Artifact>) -> Result<Vec<String>, Failure> {
    let [before, after] = match (before, after) {
        (Some(before), Some(after)) => [fields(before)?, fields(after)?],
        (Some(gone), None) => return whole(gone, "-"),
        (None, Some(new)) => return whole(new, "+"),
        (None, None) => return Ok(Vec::new()),
    };
    // Both lists have the same fields in the same order.
    let changed = before.iter().zip(&after).filter(|(old, new)| old != new);
    Ok(changed
        .map(|((name, old), (_, new))| format!("{name} {old} → {new}"))
        .collect())
}

/// All fields of an artifact that have a value, each with a sign before it.
fn whole(artifact: &Artifact, sign: &str) -> Result<Vec<String>, Failure> {
    let fields = fields(artifact)?.into_iter();
    // A field without a value says nothing of a row that came or went.
    let set = fields.filter(|(_, value)| value != "-");
    Ok(set
        .map(|(name, value)| format!("{sign} {name} {value}"))
        .collect())
}

/// The fields of an artifact as text; `-` for one without a value.
fn fields(artifact: &Artifact) -> Result<Vec<(String, String)>, Failure> {
    let value = serde_json::to_value(artifact)
        .map_err(|error| Failure::Other(format!("an artifact cannot be shown: {error}")))?;
    // Left out: what follows from the key, and what is not part of the row.
    let left_out = ["id", "container", "array", "path", "pins"];
    let text = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let fields = value.as_object().into_iter().flatten();
    let mut fields: Vec<(String, String)> = fields
        .filter(|(name, _)| !left_out.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), text(value)))
        .collect();
    // An artifact's own JSON lacks these two; an image is the whole row.
    fields.push(("origin".to_owned(), artifact.origin.as_str().to_owned()));
    fields.push(("owner".to_owned(), or_dash(artifact.owner)));
    Ok(fields)
}
