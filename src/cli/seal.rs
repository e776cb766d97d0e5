//! `seal`: the writer states that arrays are fully written.

use clap::Args;

use super::context::Context;
use super::fail::Failure;
use super::flags::{Format, Output, Threads};
use super::subjects::Subjects;
use super::{artifacts, render};
use crate::model::artifact::Artifact;
use crate::ops::seal::SealOptions;
use crate::registry::Target;

/// Mark arrays as fully written, and count their bytes and files
///
/// Seals all of them or none: it is an error if one has no data or cannot be read in full.
///
/// With --hash, reads all data and stores a hash of its contents (BLAKE3) with the seal; verify
/// --read-data then finds changes that sizes and times do not show. Sealing again without --hash
/// drops the hash. A container gets no hash; the arrays in it do.
#[derive(Debug, Args)]
pub(super) struct SealCommand {
    #[command(flatten)]
    subjects: Subjects,
    /// Read all data and store a hash of its contents
    #[arg(long)]
    hash: bool,
    /// Seal only arrays that have every chunk that their metadata says
    ///
    /// zarr leaves out chunks that hold nothing but the fill value, so fewer may be right.
    #[arg(long)]
    complete: bool,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    output: Output,
}

/// Says which of the sealed arrays have fewer chunks than their metadata says. That may be right,
/// so it is no error.
fn note_short(context: &Context, sealed: &[Artifact]) {
    let is_short = |artifact: &&Artifact| {
        let chunks = artifact.chunk_counts();
        chunks.is_some_and(|(there, expected)| there < expected)
    };
    let short: Vec<&Artifact> = sealed.iter().filter(is_short).collect();
    let Some(first) = short.first() else {
        return;
    };
    let more = match short.len() - 1 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    context.say(&format!(
        "sealed with chunks missing: {} (chunks {}){more}; that is right if they hold only the \
         fill value, else: dalsegno seal --complete refuses such arrays",
        first.path().display(),
        artifacts::chunks_cell(first),
    ));
}

pub(super) fn run(context: &mut Context, command: &SealCommand) -> Result<(), Failure> {
    let registry = context.open()?;
    let artifacts = command.subjects.find(context, &registry, "seal")?;
    let containers = artifacts.iter().filter(|one| one.key.kind().is_container());
    let containers = containers.count();
    // Only if there is nothing else to hash; beside arrays, containers are sealed without a hash.
    if command.hash && containers > 0 && containers == artifacts.len() {
        let run = artifacts.first().map(|one| one.key.run().as_str());
        let run = render::shell_word(run.unwrap_or("NAME"));
        return Err(Failure::usage(
            "a container gets no hash; the arrays in it do",
            format!(
                "hash its arrays with: dalsegno seal --hash --run {run}; or seal the container \
                 without --hash"
            ),
        ));
    }
    let monitor = context.monitor();
    let options = SealOptions {
        hash: command.hash,
        complete: command.complete,
        threads: command.threads.get(),
    };
    registry.seal_many(&artifacts, options, &monitor)?;
    drop(monitor);
    let format = context.format(command.output);
    // For people; a program reads the rows. If nothing matched, the listing below says so.
    if format == Format::Table && !artifacts.is_empty() {
        let sealed = render::count(artifacts.len(), "artifact");
        context.say(&format!("sealed {sealed}"));
    }
    if command.hash && containers > 0 {
        let count = render::count(containers, "container");
        context.say(&format!(
            "{count} got no hash: only arrays and checkpoints get one"
        ));
    }
    // Read again: sealing changed the rows.
    let mut sealed = Vec::with_capacity(artifacts.len());
    for artifact in &artifacts {
        sealed.extend(registry.get(&Target::Id(artifact.id))?);
    }
    note_short(context, &sealed);
    artifacts::rows(context, format, &sealed)
}
