//! `init`: makes a registry in a base directory.

use clap::Args;
use serde::Serialize;

use super::context::Context;
use super::fail::Failure;
use super::flags::{Format, Output};
use super::render;

/// Make a registry in the base directory
///
/// Makes the folder .dalsegno with an empty catalog; nothing else is touched. Where there is one
/// already, nothing happens. The base directory is --base, or the current folder. On a network
/// file system the catalog must lie elsewhere (--catalog, on a local disk), or all writers must
/// run on this host (--single-host).
#[derive(Debug, Args)]
pub(super) struct Init {
    /// All writers run on this host: then the catalog may lie on a network file system
    #[arg(long)]
    single_host: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Made<'a> {
    base: &'a std::path::Path,
    catalog: &'a std::path::Path,
    id: String,
    is_new: bool,
}

pub(super) fn run(context: &mut Context, command: &Init) -> Result<(), Failure> {
    let base = context.global.base.clone().unwrap_or_else(|| ".".into());
    let options = context.options().single_host(command.single_host);
    let (registry, is_new) = options.create(base)?;
    let format = context.format(command.output);
    if matches!(format, Format::Json | Format::Jsonl) {
        let made = Made {
            base: registry.base(),
            catalog: registry.catalog_path(),
            id: registry.id()?,
            is_new,
        };
        render::write_json(context, format, "registry", &made)?;
        return Ok(());
    }
    let base = registry.base().display();
    if is_new {
        let next = context.with_base("take in what is there with: dalsegno scan");
        context.say(&format!("made a registry in {base}; {next}"));
    } else {
        context.say(&format!("{base} has a registry already"));
    }
    Ok(())
}
