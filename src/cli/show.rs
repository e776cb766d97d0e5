//! `show`: everything about artifacts, also removed ones.

use std::collections::BTreeMap;

use clap::Args;

use super::artifacts::{self, chunks_cell, joined, user_name};
use super::context::Context;
use super::fail::Failure;
use super::flags::{Format, Output};
use super::former::{Shown, last_removed, say_in_trash};
use super::render::{Rows, escape, or_dash, size_text, unbroken};
use super::subjects::{Named, Subjects};
use crate::error::Error;
use crate::model::artifact::{Artifact, Origin};
use crate::ops::restore::RestoreTarget;
use crate::registry::{FormerArtifact, Registry, Target};

/// Show everything about artifacts
///
/// The artifacts of a run or of another folder are shown as a table. If a path is no longer
/// recorded, shows what was last removed from it, by whom and why, and whether it can be restored;
/// of a run or another folder, what the trash has of it.
#[derive(Debug, Args)]
pub(super) struct ShowCommand {
    #[command(flatten)]
    subjects: Subjects,
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(context: &mut Context, command: &ShowCommand) -> Result<(), Failure> {
    let registry = context.open_read_only()?;
    let mut missing = Vec::new();
    let named =
        command
            .subjects
            .named_or_missing(context, &registry, ["show", "show"], &mut missing)?;
    let (shown, is_folder) = find(&command.subjects, &registry, &named, &mut missing)?;
    if shown.is_empty() && !missing.is_empty() {
        return context.after_missing(missing);
    }
    let format = context.format(command.output);
    // One field a line: a table of all fields would fit no terminal. Of a run that would be
    // thousands of lines.
    if format == Format::Table && !is_folder {
        for (index, shown) in shown.iter().enumerate() {
            if index > 0 {
                context.line("")?;
            }
            let mut lines = describe(shown.artifact());
            if let Shown::Former(..) = shown {
                // The state of the row at its removal would read as if the data were still there.
                let state = lines.iter_mut().filter(|(name, _)| *name == "state");
                state.for_each(|(_, value)| *value = format!("removed; it was {value}"));
            }
            lines.extend(shown.lines(context));
            for (name, value) in lines {
                let value = match name {
                    // Alone on its line, a name is in one piece.
                    "path" | "container" | "array" | "dataset" | "run" => unbroken(&escape(&value)),
                    _ => escape(&value),
                };
                context.folded_line(&format!("{name:<12}{value}"), 12)?;
            }
        }
    } else {
        let mut rows = Rows::new::<Shown>(context, format)?;
        shown.iter().try_for_each(|shown| rows.push(shown))?;
        rows.finish("")?;
    }
    // Of a single one, the lines of the table say it.
    if format != Format::Table || is_folder {
        say_in_trash(context, &shown);
    }
    if shown.is_empty() {
        context.say("no artifact matches");
    }
    context.after_missing(missing)?;
    if shown.iter().any(|shown| matches!(shown, Shown::Former(..))) {
        return Ok(());
    }
    context.require_runs(&registry, &named.filter(), "")
}

/// Finds the artifacts, and says whether a path is that of a folder with several; for a path that
/// is no longer recorded, finds what was last removed from it. What is named in vain becomes an
/// error in `missing`.
fn find(
    subjects: &Subjects,
    registry: &Registry,
    named: &Named,
    missing: &mut Vec<Error>,
) -> Result<(Vec<Shown>, bool), Failure> {
    let mut is_folder = false;
    let here = |artifact| Shown::Here(Box::new(artifact));
    let targets = match named {
        Named::Each(targets) => targets,
        Named::Selected(_) => {
            let selected = subjects.find(registry, named)?;
            if selected.is_empty() {
                let removed = RestoreTarget::Filter(named.filter());
                return Ok((in_trash(registry, removed)?, true));
            }
            return Ok((selected.into_iter().map(here).collect(), false));
        }
    };
    let mut found = Vec::new();
    // What is named must exist; a selection may match nothing.
    for target in targets {
        let known = match target {
            Target::Path(path) => registry.at(path)?,
            target => registry.get(target)?.into_iter().collect(),
        };
        if !known.is_empty() {
            is_folder |= known.len() > 1;
            found.extend(known.into_iter().map(here));
            continue;
        }
        // A removed artifact has no row, so an id or a key no longer finds it; its path does. A run
        // is at no such path.
        let former = match target {
            Target::Path(path) => match registry.former_at(path) {
                Err(Error::Layout(_)) => Vec::new(),
                former => former?,
            },
            _ => Vec::new(),
        };
        if let Some((former, older)) = last_removed(former) {
            found.push(Shown::Former(Box::new(former), older.map(Box::new)));
            continue;
        }
        let removed = match target {
            Target::Path(path) => in_trash(registry, RestoreTarget::Path(path.clone()))?,
            _ => Vec::new(),
        };
        if removed.is_empty() {
            missing.push(registry.not_recorded(target));
            continue;
        }
        is_folder = true;
        found.extend(removed);
    }
    Ok((found, is_folder))
}

/// What the trash has of a run, of another folder or of a selection.
fn in_trash(registry: &Registry, target: RestoreTarget) -> Result<Vec<Shown>, Failure> {
    let removed = match registry.restorable(&target) {
        Err(Error::NotInTrash { .. } | Error::Layout(_)) => return Ok(Vec::new()),
        removed => removed?,
    };
    let mut removals = BTreeMap::new();
    let mut found = Vec::with_capacity(removed.len());
    for removed in removed {
        let id = removed.removal.clone();
        if !removals.contains_key(&id) {
            removals.extend(registry.removal(&id)?.map(|removal| (id.clone(), removal)));
        }
        // A removal that is over meanwhile has nothing in the trash.
        if let Some(removal) = removals.get(&id).cloned() {
            let former = FormerArtifact { removed, removal };
            found.push(Shown::Former(Box::new(former), None));
        }
    }
    Ok(found)
}

/// The levels of a pyramid, with their shapes if they are known.
fn levels(artifact: &Artifact) -> String {
    let said = artifact.metadata.iter().flat_map(|says| &says.levels);
    let texts: Vec<String> = said
        .map(|level| match &level.array {
            Some(array) if array.shape.is_some() => {
                format!("{} ({})", level.path, artifacts::axes(array.shape.as_ref()))
            }
            Some(_) => level.path.clone(),
            None => format!("{} (missing)", level.path),
        })
        .collect();
    // What a catalog of an older version knows is only the names.
    match texts.is_empty() {
        true => artifact.levels.join(", "),
        false => texts.join(", "),
    }
}

fn describe(artifact: &Artifact) -> Vec<(&'static str, String)> {
    let size = artifact.size.map_or("? (not counted)".to_owned(), |size| {
        size_text(size.bytes, size.files)
    });
    let metadata = artifact.metadata.as_deref();
    // An array without axes has an empty shape, which is not unknown.
    let axes = |lengths: Option<&Vec<u64>>| match lengths {
        Some(lengths) if lengths.is_empty() => "none".to_owned(),
        Some(_) => artifacts::axes(lengths),
        None => "-".to_owned(),
    };
    let compressor = match metadata.and_then(|it| it.compressor.as_deref()) {
        // The metadata was read and names no compressor; `-` is for metadata that was not read.
        Some("") => "none",
        Some(names) => names,
        None => "-",
    };
    let pins = (!artifact.pins.is_empty()).then(|| artifact.pins.join(", "));
    let origin = match artifact.origin {
        Origin::Recorded => "recorded by a caller",
        Origin::Scanned => "read from its path by a scan",
    };
    // The files are shards: a count of chunks would be another number.
    let counted = match metadata.and_then(|it| it.shards.as_ref()) {
        Some(_) => format!("{} (shards)", chunks_cell(artifact)),
        None => chunks_cell(artifact),
    };
    let mut lines = vec![
        ("id", artifact.id.to_string()),
        ("run", artifact.key.run().to_string()),
        ("kind", artifact.key.kind().to_string()),
        ("iteration", or_dash(artifact.key.iteration())),
        ("dataset", or_dash(artifact.key.dataset())),
        ("parameters", or_dash(artifact.key.parameters())),
        ("container", artifact.container().to_string()),
        ("array", or_dash(artifact.location().array)),
        ("path", artifact.path().display().to_string()),
        ("state", artifact.state.to_string()),
        ("size", size),
        (
            "on disk",
            artifact
                .disk_bytes
                .map_or("?".to_owned(), |bytes| bytes.to_string()),
        ),
        ("chunks", counted),
        ("shape", axes(metadata.and_then(|it| it.shape.as_ref()))),
        (
            "chunk shape",
            axes(metadata.and_then(|it| it.chunks.as_ref())),
        ),
        (
            "shard shape",
            axes(metadata.and_then(|it| it.shards.as_ref())),
        ),
        ("dtype", or_dash(metadata.and_then(|it| it.dtype.as_ref()))),
        (
            "fill value",
            or_dash(metadata.and_then(|it| it.fill_value.as_ref())),
        ),
        ("compressor", compressor.to_owned()),
        ("key", origin.to_owned()),
        ("recorded", artifact.recorded_at.to_string()),
        ("written", or_dash(artifact.written_at)),
        ("sealed", or_dash(artifact.sealed_at)),
        ("contents", or_dash(artifact.content_hash)),
        ("owner", artifact.owner.map_or("?".to_owned(), user_name)),
        ("pins", or_dash(pins)),
    ];
    // Most arrays have neither, and no line for it.
    if !artifact.levels.is_empty() {
        lines.push(("levels", levels(artifact)));
    }
    if !artifact.iterations.is_empty() {
        let held = joined(&artifact.iterations).replace(',', ", ");
        lines.push(("iterations", held));
    }
    lines
}
