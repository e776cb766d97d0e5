//! `seal`: the writer's word that arrays are whole.

use clap::Args;

use super::context::Context;
use super::fail::Failure;
use super::flags::Output;
use super::subjects::Subjects;
use super::{artifacts, render};
use crate::ops::seal::SealOptions;
use crate::registry::Target;

/// Say that arrays are whole, and count their bytes and files
///
/// All of them are sealed, or none: one that has no data, or that cannot be read in full, is an
/// error.
///
/// With --hash all data is read, and a hash of its contents (BLAKE3) is kept with the seal: by it,
/// verify --read-data finds changes that sizes and times do not show. Sealing again without --hash
/// drops the hash. Containers have none; their arrays do.
#[derive(Debug, Args)]
pub(super) struct Seal {
    #[command(flatten)]
    subjects: Subjects,
    /// Read all data and keep a hash of its contents
    #[arg(long)]
    hash: bool,
    /// Threads; without, four for each core, at least 8 and at most 16
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(context: &mut Context, command: &Seal) -> Result<(), Failure> {
    let registry = context.open()?;
    let artifacts = command.subjects.find(context, &registry, "seal")?;
    let containers = artifacts.iter().filter(|one| one.key.kind().is_container());
    let containers = containers.count();
    if command.hash && containers > 0 && containers == artifacts.len() {
        return Err(Failure::usage(
            "a container has no hash; what lies in it has",
            "hash its arrays with: dalsegno seal --hash --run NAME, or seal it without --hash",
        ));
    }
    let monitor = context.monitor();
    let options = SealOptions {
        hash: command.hash,
        threads: command.threads.map(usize::from),
    };
    registry.seal_many(&artifacts, options, &monitor)?;
    drop(monitor);
    if command.hash && containers > 0 {
        let count = render::count(containers, "container");
        context.say(&format!(
            "{count} sealed without a hash: only arrays and checkpoints have one"
        ));
    }
    let mut sealed = Vec::with_capacity(artifacts.len());
    for artifact in &artifacts {
        sealed.extend(registry.get(&Target::Id(artifact.id))?);
    }
    let format = context.format(command.output);
    artifacts::rows(context, format, &sealed)
}
