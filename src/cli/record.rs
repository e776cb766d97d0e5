//! `record KIND`: records an identifier and prints its path.

use clap::Args;
use serde::Serialize;

use super::args::Output;
use super::context::{Context, Form};
use super::fail::{Failure, name_error};
use super::render;
use super::selection;
use crate::model::artifact::Artifact;
use crate::model::key::{Key, Kind};
use crate::model::name::{ContainerName, DatasetName, Parameters, RunName, parse_iteration};

/// Record an identifier and print its path
///
/// The same key always gives the same path, which is the one that DaCapo's own store gives.
///
/// What each kind takes, beside --run:
///
///   prediction            --iteration N --dataset NAME
///   output                --iteration N --dataset NAME --parameters TEXT
///   input-raw, input-gt   [--dataset INDEX]
///   best                  --parameters CRITERION [--dataset INDEX]
///   snapshot              --dataset NAME [--iteration N]
///   snapshot-container    nothing
///   validation-container  nothing
///   array                 --container NAME --dataset NAME
///   checkpoint            --iteration N
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Record {
    /// Kind of the artifact
    #[arg(value_name = "KIND", value_parser = selection::kind)]
    kind: Kind,
    /// Run
    #[arg(long, value_name = "NAME", value_parser = run_name)]
    run: RunName,
    /// Iteration
    #[arg(long, value_name = "N", value_parser = iteration, allow_hyphen_values = true)]
    iteration: Option<i64>,
    /// Dataset, or index of an input or best array
    #[arg(long, value_name = "NAME", value_parser = dataset_name)]
    dataset: Option<DatasetName>,
    /// Parameters, or criterion of a best array
    #[arg(long, value_name = "TEXT", value_parser = parameters)]
    parameters: Option<Parameters>,
    /// Folder of the container in the run, for kind array
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

/// Whether a kind takes a flag.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    No,
    Maybe,
    Must,
}

/// What each kind takes: iteration, dataset, parameters, container.
fn takes(kind: Kind) -> [Takes; 4] {
    use Takes::{Maybe, Must, No};
    match kind {
        Kind::Prediction => [Must, Must, No, No],
        Kind::Output => [Must, Must, Must, No],
        Kind::InputRaw | Kind::InputGt => [No, Maybe, No, No],
        Kind::Best => [No, Maybe, Must, No],
        Kind::Snapshot => [Maybe, Must, No, No],
        Kind::SnapshotContainer | Kind::ValidationContainer => [No, No, No, No],
        Kind::Array => [No, Must, No, Must],
        Kind::Checkpoint => [Must, No, No, No],
    }
}

impl Record {
    fn key(&self) -> Result<Key, Failure> {
        let given = [
            ("--iteration", self.iteration.is_some()),
            ("--dataset", self.dataset.is_some()),
            ("--parameters", self.parameters.is_some()),
            ("--container", self.container.is_some()),
        ];
        for ((flag, is_given), takes) in given.into_iter().zip(takes(self.kind)) {
            match takes {
                Takes::Must if !is_given => return Err(self.usage(&format!("needs {flag}"))),
                Takes::No if is_given => return Err(self.usage(&format!("takes no {flag}"))),
                _ => {}
            }
        }
        let run = self.run.clone();
        let (dataset, parameters) = (self.dataset.clone(), self.parameters.clone());
        let (iteration, container) = (self.iteration, self.container.clone());
        match (self.kind, iteration, dataset, parameters, container) {
            (Kind::Prediction, Some(iteration), Some(dataset), ..) => Ok(Key::Prediction {
                run,
                iteration,
                dataset,
            }),
            (Kind::Output, Some(iteration), Some(dataset), Some(parameters), _) => {
                Ok(Key::Output {
                    run,
                    iteration,
                    dataset,
                    parameters,
                })
            }
            (Kind::InputRaw, _, index, ..) => Ok(Key::InputRaw { run, index }),
            (Kind::InputGt, _, index, ..) => Ok(Key::InputGt { run, index }),
            (Kind::Best, _, index, Some(criterion), _) => Ok(Key::Best {
                run,
                criterion,
                index,
            }),
            (Kind::Snapshot, iteration, Some(dataset), ..) => Ok(Key::Snapshot {
                run,
                iteration,
                dataset,
            }),
            (Kind::SnapshotContainer, ..) => Ok(Key::SnapshotContainer { run }),
            (Kind::ValidationContainer, ..) => Ok(Key::ValidationContainer { run }),
            (Kind::Array, _, dataset, _, Some(container)) => Ok(Key::Array {
                run,
                container,
                dataset,
            }),
            (Kind::Checkpoint, Some(iteration), ..) => Ok(Key::Checkpoint { run, iteration }),
            (kind, ..) => Err(self.usage(&format!("{kind} cannot be recorded so"))),
        }
    }

    fn usage(&self, what: &str) -> Failure {
        let flags = [
            "--iteration N",
            "--dataset NAME",
            "--parameters TEXT",
            "--container NAME",
        ];
        let mut call = format!("dalsegno record {} --run NAME", self.kind);
        for (flag, takes) in flags.into_iter().zip(takes(self.kind)) {
            match takes {
                Takes::Must => call.push_str(&format!(" {flag}")),
                Takes::Maybe => call.push_str(&format!(" [{flag}]")),
                Takes::No => {}
            }
        }
        Failure::usage(format!("the kind {} {what}", self.kind), call)
    }
}

#[derive(Serialize)]
struct Outcome {
    is_new: bool,
    #[serde(flatten)]
    artifact: Artifact,
}

pub(super) fn run(context: &mut Context, command: &Record) -> Result<(), Failure> {
    let key = command.key()?;
    let registry = match context.open() {
        // What is recorded already has its path where nothing can be written, too.
        Err(Failure::Library(error)) if error.code() == "read-only" => context.open_read_only()?,
        opened => opened?,
    };
    let recorded = registry.record(&key)?;
    match context.form(command.output) {
        Form::Json => {
            let outcome = Outcome {
                is_new: recorded.is_new,
                artifact: recorded.artifact,
            };
            render::document(context, "artifact", &outcome)
        }
        Form::Jsonl => {
            let outcome = Outcome {
                is_new: recorded.is_new,
                artifact: recorded.artifact,
            };
            let line = render::json(&outcome)?;
            context.line(&line)
        }
        Form::Table | Form::Tsv => context.line(&recorded.artifact.path().display().to_string()),
    }
}
