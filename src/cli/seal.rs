//! `seal`: the writer's word that arrays are whole.

use clap::Args;

use super::args::Output;
use super::context::Context;
use super::fail::Failure;
use super::show::{self, Subjects};
use crate::registry::Target;

/// Say that arrays are whole, and count their bytes and files
///
/// All of them are sealed, or none: one that has no data, or that cannot be read in full, is an
/// error.
#[derive(Debug, Args)]
pub(super) struct Seal {
    #[command(flatten)]
    subjects: Subjects,
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(context: &mut Context, command: &Seal) -> Result<(), Failure> {
    let registry = context.open()?;
    let artifacts = command.subjects.find(context, &registry, "seal")?;
    let monitor = context.monitor();
    registry.seal_many(&artifacts, &monitor)?;
    drop(monitor);
    let mut sealed = Vec::with_capacity(artifacts.len());
    for artifact in &artifacts {
        sealed.extend(registry.get(&Target::Id(artifact.id))?);
    }
    let form = context.form(command.output);
    show::rows(context, form, &sealed)
}
