//! `publish`: copies a catalog elsewhere to where other hosts can read it.

use clap::Args;
use serde::Serialize;

use super::context::Context;
use super::fail::Failure;
use super::flags::{Format, Output};
use super::render;
use crate::model::clock::Timestamp;

/// Publish a copy of the catalog for other hosts
///
/// For a base directory whose catalog is outside of it (init --catalog), on the host that has the
/// catalog. Other hosts answer queries from the copy, .dalsegno/published.sqlite3. A command that
/// changed something publishes by itself when it ends. Of a catalog over 16 MiB, what was only
/// recorded or refreshed is published once a minute; this publishes at once.
#[derive(Debug, Args)]
pub(super) struct Publish {
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct PublishReport {
    /// When the copy was made; null if another process published one meanwhile.
    at: Option<Timestamp>,
}

pub(super) fn run(context: &mut Context, command: &Publish) -> Result<(), Failure> {
    let registry = context.open()?;
    let at = registry.publish()?;
    let format = context.format(command.output);
    if matches!(format, Format::Json | Format::Jsonl) {
        render::write_json(context, format, "publish", &PublishReport { at })?;
        return Ok(());
    }
    context.say(match at {
        Some(_) => "published a copy of the catalog for other hosts",
        None => "another process published a copy of the catalog for other hosts meanwhile",
    });
    Ok(())
}
