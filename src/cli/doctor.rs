//! `doctor`: what a person needs to know about a registry that behaves oddly.

use std::path::Path;

use clap::Args;
use serde::Serialize;

use super::args::Output;
use super::context::{Context, Form};
use super::fail::Failure;
use super::render;
use crate::catalog::CatalogHealth;
use crate::catalog::backup::Backup;
use crate::clock::Timestamp;
use crate::history::Hash;
use crate::storage::{FsKind, kind_of};

/// Show what a registry stands on, and what is pending
///
/// File systems, journal mode, who holds the lock, interrupted removals, leftovers in the trash.
/// Changes nothing. Exit code 4 where something is to be settled.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Report<'a> {
    version: &'static str,
    sqlite: &'static str,
    base: &'a Path,
    base_file_system: String,
    catalog: &'a Path,
    catalog_file_system: String,
    registry: String,
    #[serde(flatten)]
    health: CatalogHealth,
    operations: i64,
    history_head: Hash,
    notice: Option<&'static str>,
    interrupted: Vec<String>,
    purging: Vec<String>,
    kept: Vec<String>,
    strangers_in_trash: Vec<String>,
    backups: Vec<BackupLine>,
}

/// A backup of the catalog: its file's name, and when it was made.
#[derive(Serialize)]
struct BackupLine {
    name: String,
    at: Timestamp,
}

fn file_system(path: &Path) -> String {
    match kind_of(path) {
        Ok(FsKind::Local) => "local".to_owned(),
        Ok(FsKind::Network(name)) => format!("network ({name})"),
        Err(error) => format!("unknown: {error}"),
    }
}

fn line_of(backup: &Backup) -> BackupLine {
    let name = backup.path.file_name().unwrap_or_default();
    BackupLine {
        name: name.to_string_lossy().into_owned(),
        at: backup.at,
    }
}

pub(super) fn run(context: &mut Context, command: &Doctor) -> Result<(), Failure> {
    let registry = context.options().read_only(true).open(context.base()?)?;
    let pending = registry.pending()?;
    let kept = registry
        .trash()?
        .into_iter()
        .map(|removal| removal.id.to_string());
    let text = |ids: &[crate::removals::RemovalId]| -> Vec<String> {
        ids.iter().map(ToString::to_string).collect()
    };
    let purging = text(&pending.due);
    let (operations, history_head) = registry.history_head()?;
    let catalog = registry.catalog_path();
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        sqlite: CatalogHealth::sqlite_version(),
        base: registry.base(),
        base_file_system: file_system(registry.base()),
        catalog,
        catalog_file_system: file_system(catalog.parent().unwrap_or(Path::new("/"))),
        registry: registry.id()?,
        health: registry.health()?,
        operations,
        history_head,
        notice: registry.notice(),
        interrupted: text(&pending.unsettled),
        kept: kept.filter(|id| !purging.contains(id)).collect(),
        purging,
        strangers_in_trash: pending.strangers.clone(),
        backups: registry.backups()?.iter().map(line_of).collect(),
    };
    let json = serde_json::to_value(&report)
        .map_err(|error| Failure::Other(format!("the report cannot be written: {error}")))?;
    match context.form(command.output) {
        Form::Json => render::document(context, "doctor", &json)?,
        Form::Jsonl => {
            let line = render::json(&json)?;
            context.line(&line)?;
        }
        Form::Table | Form::Tsv => lines(context, &json)?,
    }
    if !pending.unsettled.is_empty() {
        context.say("interrupted removals are settled by the next command that writes");
    }
    if !report.purging.is_empty() {
        context.say(&context.with_base("go on with unlinking: dalsegno trash empty"));
    }
    let is_fine = pending.is_empty() && pending.strangers.is_empty();
    if is_fine {
        Ok(())
    } else {
        Err(Failure::Findings)
    }
}

/// One line a field; lists with a line an entry.
fn lines(context: &mut Context, json: &serde_json::Value) -> Result<(), Failure> {
    let Some(fields) = json.as_object() else {
        return Ok(());
    };
    for (name, value) in fields {
        let name = name.replace('_', " ");
        let values: Vec<String> = match value {
            serde_json::Value::Null => vec!["-".to_owned()],
            serde_json::Value::String(text) => vec![text.clone()],
            serde_json::Value::Array(all) if all.is_empty() => vec!["none".to_owned()],
            serde_json::Value::Array(all) => all
                .iter()
                // A backup is shown by its name, which is its time.
                .map(|value| value.get("name").unwrap_or(value))
                .map(|value| value.as_str().unwrap_or_default().to_owned())
                .collect(),
            other => vec![other.to_string()],
        };
        for value in values {
            context.line(&format!("{name:<22}{}", super::context::escape(&value)))?;
        }
    }
    Ok(())
}
