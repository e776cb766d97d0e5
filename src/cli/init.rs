//! `init`: creates a registry in a base directory.

use clap::Args;
use serde::Serialize;

use super::context::Context;
use super::fail::Failure;
use super::flags::{Format, Output};
use super::render;

/// Create a registry in the base directory
///
/// Creates the folder .dalsegno with an empty catalog and touches nothing else. If there is a
/// registry already, nothing happens. The base directory is --base, or the current folder. If it is
/// on a network file system, put the catalog on a local disk (--catalog), or make sure that all
/// writers run on this host (--single-host).
///
/// With --catalog, the base directory remembers this host, the keeper. Other hosts answer from a
/// copy that the keeper publishes in .dalsegno, and note what they record for it. If the keeper
/// gets another name, or the catalog is copied to another host, run init --keeper there.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// All writers run on this host: allows a catalog on a network file system
    #[arg(long)]
    single_host: bool,
    /// This host has the catalog from now on: it was renamed, or the catalog given with --catalog
    /// was copied to it
    #[arg(long, conflicts_with = "single_host")]
    keeper: bool,
    /// The group of the base directory shares the registry: it may write in .dalsegno, and owns
    /// what is made there
    #[arg(long)]
    shared: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Created<'a> {
    base: &'a std::path::Path,
    catalog: &'a std::path::Path,
    id: String,
    is_new: bool,
}

pub(super) fn run(context: &mut Context, command: &Init) -> Result<(), Failure> {
    // Not the nearest parent with a registry, as for other commands: a new one is made here.
    let base = context.global.base.clone().unwrap_or_else(|| ".".into());
    let options = context
        .options()
        .single_host(command.single_host)
        .keeper(command.keeper)
        .shared(command.shared);
    let (registry, is_new) = options.create(base)?;
    let format = context.format(command.output);
    // Only these print a result; for people, the messages below say it.
    if matches!(format, Format::Json | Format::Jsonl) {
        let created = Created {
            base: registry.base(),
            catalog: registry.catalog_path(),
            id: registry.id()?,
            is_new,
        };
        render::write_json(context, format, "registry", &created)?;
        return Ok(());
    }
    let base = registry.base().display();
    if is_new {
        let next = context.with_base("add what is on disk with: dalsegno scan");
        context.say(&format!("created a registry in {base}; {next}"));
    } else if command.keeper {
        let catalog = registry.catalog_path().display();
        context.say(&format!(
            "the catalog {catalog} of {base} is on this host from now on"
        ));
    } else {
        context.say(&format!("{base} already has a registry"));
    }
    Ok(())
}
