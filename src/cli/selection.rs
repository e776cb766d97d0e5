//! The selection flags, which are the same for every command.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::context::Context;
use super::fail::{Failure, kind_error};
use super::time;
use crate::model::artifact::State;
use crate::model::clock::Timestamp;
use crate::model::filter::{Except, Filter, IterationRange};
use crate::model::key::Kind;
use crate::model::name::BasePath;
use crate::registry::Registry;

/// Selects artifacts that match every flag; a flag with several values matches any of them.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Selection {
    /// Only these runs (name or glob)
    #[arg(long, value_name = "GLOB", value_delimiter = None, help_heading = "Selection")]
    run: Vec<String>,
    /// Only these kinds: prediction, output, input-raw, input-gt, best, snapshot,
    /// snapshot-container, validation-container, array, checkpoint [default: all but checkpoint]
    #[arg(
        long,
        value_name = "KIND",
        value_delimiter = ',',
        value_parser = kind,
        help_heading = "Selection"
    )]
    kind: Vec<Kind>,
    /// Only these iterations: N, A..B, A.. or ..B (both ends included)
    #[arg(
        long,
        value_name = "RANGE",
        value_delimiter = ',',
        allow_hyphen_values = true,
        help_heading = "Selection"
    )]
    iteration: Vec<IterationRange>,
    /// Only these datasets or indices (name or glob)
    #[arg(long, value_name = "GLOB", help_heading = "Selection")]
    dataset: Vec<String>,
    /// Only these parameters or criteria (text or glob)
    #[arg(long, value_name = "GLOB", help_heading = "Selection")]
    parameters: Vec<String>,
    /// Only these states: reserved, present, missing, damaged
    #[arg(
        long,
        value_name = "STATE",
        value_delimiter = ',',
        value_parser = state,
        help_heading = "Selection"
    )]
    state: Vec<State>,
    /// Only what was written longer ago than 14d, or before 2026-05-18; if no data was seen yet,
    /// what was recorded then
    #[arg(long, value_name = "TIME", value_parser = time::age, help_heading = "Selection")]
    older_than: Option<Duration>,
    /// Only what was written or recorded before 2026-05-18, 2026-05-18T08:00:00Z, or 14d ago; days
    /// are in UTC
    #[arg(long, value_name = "TIME", value_parser = time::since, help_heading = "Selection")]
    before: Option<Timestamp>,
    /// Only what was written or recorded at this time or later
    #[arg(long, value_name = "TIME", value_parser = time::since, help_heading = "Selection")]
    since: Option<Timestamp>,
    /// Only pinned artifacts
    #[arg(long, help_heading = "Selection")]
    pinned: bool,
    /// Only data that these users own (user name or uid)
    #[arg(
        long,
        value_name = "USER",
        value_delimiter = ',',
        value_parser = owner,
        help_heading = "Selection"
    )]
    owner: Vec<u32>,
    #[command(flatten)]
    exclude: Exclude,
}

/// The flags that leave artifacts out of a selection.
#[derive(Debug, Clone, Default, Args)]
struct Exclude {
    /// Leave out these runs (name or glob)
    #[arg(long, value_name = "GLOB", help_heading = "Selection")]
    exclude_run: Vec<String>,
    /// Leave out these kinds
    #[arg(
        long,
        value_name = "KIND",
        value_delimiter = ',',
        value_parser = kind,
        help_heading = "Selection"
    )]
    exclude_kind: Vec<Kind>,
    /// Leave out these datasets or indices (name or glob)
    #[arg(long, value_name = "GLOB", help_heading = "Selection")]
    exclude_dataset: Vec<String>,
    /// Leave out these parameters or criteria (text or glob)
    #[arg(long, value_name = "GLOB", help_heading = "Selection")]
    exclude_parameters: Vec<String>,
}

/// Parses a user name or uid.
fn owner(text: &str) -> Result<u32, String> {
    // A uid needs no lookup, and may have no name on this machine.
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    match nix::unistd::User::from_name(text) {
        Ok(Some(user)) => Ok(user.uid.as_raw()),
        Ok(None) => Err("this machine has no such user; give the uid".to_owned()),
        Err(error) => Err(format!(
            "the user cannot be looked up: {error}; give the uid"
        )),
    }
}

pub(super) fn kind(text: &str) -> Result<Kind, String> {
    text.parse().map_err(kind_error)
}

fn state(text: &str) -> Result<State, String> {
    text.parse()
        .map_err(|error: crate::model::artifact::ParseStateError| error.to_string())
}

/// What a question is about: paths, narrowed by the selection flags.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Asked {
    /// Only what is at these paths or below them: runs, containers, folders of iterations and
    /// datasets, arrays, checkpoints
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    selection: Selection,
}

impl Asked {
    /// The flags beside the paths.
    pub(super) fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Whether paths are given.
    pub(super) fn names_paths(&self) -> bool {
        !self.paths.is_empty()
    }

    /// The paths, relative to the base directory; none if one of them is the base directory itself,
    /// which means everything in it.
    pub(super) fn places(
        &self,
        context: &Context,
        registry: &Registry,
    ) -> Result<Vec<BasePath>, Failure> {
        let mut places = Vec::with_capacity(self.paths.len());
        for path in &self.paths {
            let path = context.below_base(registry.base(), path);
            if path.as_os_str().is_empty() || path == registry.base() {
                return Ok(Vec::new());
            }
            places.push(registry.base_path(path)?);
        }
        Ok(places)
    }

    /// The filter that paths and flags make. The base directory itself means everything in it.
    pub(super) fn filter(&self, context: &Context, registry: &Registry) -> Result<Filter, Failure> {
        self.narrowed(self.selection.filter(context), context, registry)
    }

    /// A filter, narrowed to the paths.
    pub(super) fn narrowed(
        &self,
        filter: Filter,
        context: &Context,
        registry: &Registry,
    ) -> Result<Filter, Failure> {
        registry.require_runs(&filter)?;
        let places = self.places(context, registry)?;
        match places.is_empty() {
            true => Ok(filter),
            false => Ok(registry.narrowed(filter, &places)?),
        }
    }
}

impl Exclude {
    fn except(&self, name: impl Fn(&str) -> String) -> Except {
        Except::default()
            .runs(self.exclude_run.iter().map(|run| name(run)))
            .kinds(self.exclude_kind.iter().copied())
            .datasets(&self.exclude_dataset)
            .parameters(&self.exclude_parameters)
    }
}

impl Selection {
    /// The age that `--older-than` gives.
    pub(super) fn age(&self) -> Option<Duration> {
        self.older_than
    }

    /// Whether no flag was given.
    pub(super) fn is_empty(&self) -> bool {
        self.parts(|run| run.to_owned()).is_all()
    }

    /// The filter that these flags make. A run may be given as the path of its folder.
    pub(super) fn filter(&self, context: &Context) -> Filter {
        self.parts(|run| context.run_text(run))
    }

    fn parts(&self, name: impl Fn(&str) -> String) -> Filter {
        Filter {
            runs: self.run.iter().map(|run| name(run).into()).collect(),
            kinds: self.kind.clone(),
            iterations: self.iteration.clone(),
            datasets: self.dataset.iter().map(Into::into).collect(),
            parameters: self.parameters.iter().map(Into::into).collect(),
            states: self.state.clone(),
            older_than: self.older_than,
            written_before: self.before,
            written_since: self.since,
            except: self.exclude.except(&name),
            pinned: self.pinned,
            owners: self.owner.clone(),
            ..Filter::default()
        }
    }
}
