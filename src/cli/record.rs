//! `record KIND`: records an identifier and prints its path.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::context::Context;
use super::fail::{Failure, name_error};
use super::flags::Output;
use super::render::{self, shell_word};
use super::selection;
use crate::catalog::{CatalogError, Recorded};
use crate::error::Error;
use crate::model::artifact::Artifact;
use crate::model::causes::with_causes;
use crate::model::key::{Field, Key, KeyError, KeyParts, Kind, Presence};
use crate::model::layout;
use crate::model::name::{ContainerName, DatasetName, Parameters, RunName, parse_iteration};
use crate::model::note::Note;
use crate::registry::Registry;

/// A command waits so long for its turn to record; then it leaves a note.
const PATIENCE: Duration = Duration::from_secs(5);

/// Record an identifier and print its path
///
/// The same key always gives the same path, the one that DaCapo's own store uses. If the catalog
/// cannot be written within 5 s, the path is printed all the same, with a warning, and the
/// identifier is noted in .dalsegno/inbox/, for the next command that writes. Exit code 3 if it
/// could not be noted either.
///
/// Besides --run, each kind takes these flags:
///
///   prediction            --iteration N --dataset NAME [--container NAME]
///   output                --iteration N --dataset NAME --parameters TEXT [--container NAME]
///   input-raw, input-gt   [--dataset INDEX]
///   best                  --parameters CRITERION [--dataset INDEX]
///   snapshot              --dataset NAME [--iteration N]
///   snapshot-container    none
///   validation-container  none
///   array                 --container NAME --dataset NAME
///   checkpoint            --iteration N
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Record {
    /// Kind of the artifact
    #[arg(value_name = "KIND", value_parser = selection::kind)]
    kind: Kind,
    /// Name of the run
    #[arg(long, value_name = "NAME", value_parser = run_name)]
    run: RunName,
    /// Iteration at which the array or checkpoint is written
    #[arg(long, value_name = "N", value_parser = iteration, allow_hyphen_values = true)]
    iteration: Option<i64>,
    /// Name of the dataset; for input and best arrays, the index
    #[arg(long, value_name = "NAME", value_parser = dataset_name)]
    dataset: Option<DatasetName>,
    /// Parameters of the post-processing; for best arrays, the criterion
    #[arg(long, value_name = "TEXT", value_parser = parameters)]
    parameters: Option<Parameters>,
    /// Folder of the container in the run; without it, validation.zarr
    #[arg(long, value_name = "NAME", value_parser = container_name)]
    container: Option<ContainerName>,
    #[command(flatten)]
    output: Output,
}

fn run_name(text: &str) -> Result<RunName, String> {
    text.parse().map_err(name_error)
}

fn dataset_name(text: &str) -> Result<DatasetName, String> {
    text.parse().map_err(name_error)
}

fn parameters(text: &str) -> Result<Parameters, String> {
    text.parse().map_err(name_error)
}

fn container_name(text: &str) -> Result<ContainerName, String> {
    text.parse().map_err(name_error)
}

fn iteration(text: &str) -> Result<i64, String> {
    parse_iteration(text).map_err(name_error)
}

impl Record {
    fn key(&self) -> Result<Key, Failure> {
        // An array without a dataset is a container that is an array itself. Only scans record
        // those, so that a forgotten flag does not.
        if self.kind == Kind::Array && self.dataset.is_none() {
            return Err(self.usage("needs --dataset"));
        }
        let parts = KeyParts {
            iteration: self.iteration,
            dataset: self.dataset.clone(),
            parameters: self.parameters.clone(),
            container: self.container.clone(),
        };
        // The library names fields; here they are flags.
        Key::from_parts(self.kind, self.run.clone(), parts).map_err(|error| match error {
            KeyError::Missing { field, .. } => self.usage(&format!("needs --{field}")),
            KeyError::Unexpected { field, .. } => self.usage(&format!("takes no --{field}")),
        })
    }

    fn usage(&self, what: &str) -> Failure {
        let mut call = format!(
            "dalsegno record {} --run {}",
            self.kind,
            shell_word(self.run.as_str())
        );
        for (field, presence) in self.kind.fields() {
            let value = match field {
                Field::Iteration => "N",
                Field::Dataset | Field::Container => "NAME",
                Field::Parameters => "TEXT",
            };
            match presence {
                Presence::Absent => {}
                // An array's dataset is optional in a key, but `key` above requires the flag.
                Presence::Optional if self.kind != Kind::Array => {
                    call.push_str(&format!(" [--{field} {value}]"));
                }
                Presence::Optional | Presence::Required => {
                    call.push_str(&format!(" --{field} {value}"));
                }
            }
        }
        Failure::usage(format!("the kind {} {what}", self.kind), call)
    }
}

#[derive(Serialize)]
struct RecordReport {
    is_new: bool,
    #[serde(flatten)]
    artifact: Artifact,
}

pub(super) fn run(context: &mut Context, command: &Record) -> Result<(), Failure> {
    let key = command.key()?;
    let (registry, recorded) = match record(context, &key) {
        Ok(recorded) => recorded,
        Err(Failure::Library(error)) if !is_about_call(&error) => {
            return note(context, command, *error, &key);
        }
        Err(failure) => return Err(failure),
    };
    let outcome = RecordReport {
        is_new: recorded.is_new,
        artifact: recorded.artifact,
    };
    let format = context.format(command.output);
    if !render::write_json(context, format, "artifact", &outcome)? {
        context.line(&outcome.artifact.path().display().to_string())?;
    }
    if !registry.is_read_only() {
        context.purge_due(&registry);
    }
    Ok(())
}

fn record(context: &Context, key: &Key) -> Result<(Registry, Recorded), Failure> {
    let registry = match context.open_within(PATIENCE) {
        // The path of what is already recorded can be printed without writing.
        Err(Failure::Library(error)) if error.code() == "read-only" => context.open_read_only()?,
        opened => opened?,
    };
    let recorded = registry.record(key)?;
    Ok((registry, recorded))
}

/// Whether an error is one of the call rather than one of the catalog: no note would help.
fn is_about_call(error: &Error) -> bool {
    matches!(
        error,
        Error::Name(_)
            | Error::Layout(_)
            | Error::Cancelled { .. }
            | Error::Catalog(
                CatalogError::PathTaken { .. }
                    | CatalogError::NoRegistry { .. }
                    | CatalogError::ClockBeforeEpoch { .. }
                    | CatalogError::ClockTooFar { .. }
            )
    )
}

/// An identifier that was noted for the host that has the catalog.
#[derive(Serialize)]
struct Noted<'a> {
    /// Null: only the catalog knows.
    is_new: Option<bool>,
    /// Null until the catalog gives it one.
    id: Option<u64>,
    #[serde(flatten)]
    key: &'a Key,
    path: PathBuf,
}

/// Leaves a note after an error that kept the catalog from taking the identifier in. The path follows
/// from the key, so it is printed even if no note can be written.
fn note(context: &mut Context, command: &Record, error: Error, key: &Key) -> Result<(), Failure> {
    let is_elsewhere = matches!(error, Error::Catalog(CatalogError::AtKeeper { .. }));
    let why = format!("{} ({})", with_causes(&error), error.code());
    let inbox = match is_elsewhere {
        true => context.inbox_instead(error)?,
        // Without a base directory there is no path either.
        false => context.inbox_here().map_err(|_| Failure::from(error))?,
    };
    let left = inbox.note(Note::Record(key.clone()));
    let noted = Noted {
        is_new: None,
        id: None,
        key,
        path: inbox.base().join(layout::locate(key).path()),
    };
    let format = context.format(command.output);
    if !render::write_json(context, format, "artifact", &noted)? {
        context.line(&noted.path.display().to_string())?;
    }
    if let Err(error) = left {
        context.say_not_noted(&error);
        return Err(Failure::Partly);
    }
    if !is_elsewhere {
        let next = context.with_base("see what is wrong with: dalsegno doctor");
        context.warn(&format!(
            "the catalog did not take it in: {why}; it is noted for the next command that writes; \
             {next}"
        ));
    }
    Ok(())
}
