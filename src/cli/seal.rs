//! `seal`: the writer states that arrays are fully written.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::context::Context;
use super::fail::Failure;
use super::flags::{Format, Output, Threads};
use super::opening::Opened;
use super::render::{Align, Column, Record, Rows};
use super::subjects::{Named, Subjects};
use super::{artifacts, render};
use crate::error::Error;
use crate::model::artifact::Artifact;
use crate::model::clock::Timestamp;
use crate::model::content::ContentHash;
use crate::model::key::Key;
use crate::model::layout;
use crate::model::size::{ByteCount, Size};
use crate::ops::seal::SealOptions;
use crate::registry::{Inbox, Registry, Target};

/// Mark arrays as fully written, and count their bytes and files
///
/// Seals all of them or none: it is an error if one has no data or cannot be read in full. On a
/// host without the catalog, the seals are noted for the host that has it.
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
    /// Print a row for each artifact: without it, a table has at most 20
    #[arg(long)]
    verbose: bool,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    output: Output,
}

impl SealCommand {
    fn options(&self) -> SealOptions {
        SealOptions {
            hash: self.hash,
            complete: self.complete,
            threads: self.threads.get(),
        }
    }

    /// Counts containers. To hash nothing else is refused; beside arrays, they are sealed without.
    fn containers<'a>(
        &self,
        keys: impl ExactSizeIterator<Item = &'a Key> + Clone,
    ) -> Result<usize, Failure> {
        let all = keys.len();
        let run = keys.clone().next().map(|key| key.run().as_str());
        let containers = keys.filter(|key| key.kind().is_container()).count();
        if self.hash && containers > 0 && containers == all {
            let run = render::shell_word(run.unwrap_or("NAME"));
            return Err(Failure::usage(
                "a container gets no hash; the arrays in it do",
                format!(
                    "hash its arrays with: dalsegno seal --hash --run {run}; or seal the container \
                     without --hash"
                ),
            ));
        }
        Ok(containers)
    }

    /// Whether rows are written: a quiet seal writes those that a flag asks for.
    fn wants_rows(&self, context: &Context) -> bool {
        let Output {
            json, jsonl, table, ..
        } = self.output;
        !context.global.quiet || json || jsonl || table
    }

    /// How many rows are written of so many; the others are counted on stderr.
    fn rows_of(&self, context: &Context, format: Format, all: usize) -> usize {
        // A program reads all of them.
        if self.verbose || format != Format::Table || all <= MOST_ROWS {
            return all;
        }
        let are = if all - MOST_ROWS == 1 { "is" } else { "are" };
        let more = render::number((all - MOST_ROWS) as u64);
        context.say(&format!(
            "{more} more {are} not listed; --verbose lists all"
        ));
        MOST_ROWS
    }

    fn say_unhashed(&self, context: &Context, containers: usize) {
        if self.hash && containers > 0 {
            let count = render::count(containers, "container");
            context.say(&format!(
                "{count} got no hash: only arrays and checkpoints get one"
            ));
        }
    }
}

/// Rows of a table; more are counted.
const MOST_ROWS: usize = 20;

/// A seal that was noted for the host that has the catalog.
#[derive(Serialize)]
struct NotedSeal {
    /// Null: only the catalog knows.
    id: Option<u64>,
    #[serde(flatten)]
    key: Key,
    path: PathBuf,
    bytes: u64,
    files: u64,
    written_at: Timestamp,
    content_hash: Option<ContentHash>,
}

impl Record for NotedSeal {
    const NAME: &'static str = Artifact::NAME;
    const COLUMNS: &'static [Column] = &[
        Column("RUN", Align::Text),
        Column("ITERATION", Align::Right),
        Column("KIND", Align::Left),
        Column("DATASET", Align::Text),
        Column("PARAMETERS", Align::Text),
        Column("SIZE", Align::Right),
        Column("FILES", Align::Right),
    ];
    const FIELDS: &'static [&'static str] = &[
        "run",
        "kind",
        "iteration",
        "dataset",
        "parameters",
        "path",
        "bytes",
        "files",
        "written_at",
        "content_hash",
    ];

    fn cells(&self) -> Vec<String> {
        let [bytes, files] = render::size_cells(Some(self.size()));
        vec![
            self.key.run().to_string(),
            render::or_dash(self.key.iteration()),
            self.key.kind().to_string(),
            render::or_dash(self.key.dataset()),
            render::or_dash(self.key.parameters()),
            bytes,
            files,
        ]
    }

    fn fields(&self) -> Vec<String> {
        let [bytes, files] = render::size_fields(Some(self.size()));
        vec![
            self.key.run().to_string(),
            self.key.kind().to_string(),
            render::or_empty(self.key.iteration()),
            render::or_empty(self.key.dataset()),
            render::or_empty(self.key.parameters()),
            self.path.display().to_string(),
            bytes,
            files,
            self.written_at.to_string(),
            render::or_empty(self.content_hash),
        ]
    }
}

impl NotedSeal {
    fn size(&self) -> Size {
        Size {
            bytes: ByteCount(self.bytes),
            files: self.files,
        }
    }
}

/// Looks at the data, and leaves notes for the host that has the catalog.
fn note(context: &mut Context, command: &SealCommand, inbox: &Inbox) -> Result<(), Failure> {
    let keys = command.subjects.keys_to_note(context, inbox, "seal")?;
    let containers = command.containers(keys.iter())?;
    let monitor = context.monitor();
    let seals = inbox.seal(&keys, command.options(), &monitor);
    drop(monitor);
    let seals = seals.map_err(|error| context.ended(error, "nothing was sealed"))?;
    context.say_noted(seals.len(), "seal");
    command.say_unhashed(context, containers);
    if !command.wants_rows(context) {
        return Ok(());
    }
    let format = context.format(command.output);
    let shown = command.rows_of(context, format, seals.len());
    let mut rows = Rows::new::<NotedSeal>(context, format)?;
    for seal in seals.into_iter().take(shown) {
        rows.push(&NotedSeal {
            id: None,
            path: inbox.base().join(layout::locate(&seal.key).path()),
            key: seal.key,
            bytes: seal.bytes,
            files: seal.files,
            written_at: seal.written_at,
            content_hash: seal.content_hash,
        })?;
    }
    let nothing = "no artifact of the published copy matches; name newer ones by path";
    rows.finish(nothing).map(|_| ())
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
        more => format!(" and {} more", render::number(more as u64)),
    };
    context.say(&format!(
        "sealed with chunks missing: {} (chunks {}){more}; that is right if they hold only the \
         fill value, else: dalsegno seal --complete refuses such arrays",
        first.path().display(),
        artifacts::chunks_cell(first),
    ));
}

pub(super) fn run(context: &mut Context, command: &SealCommand) -> Result<(), Failure> {
    let registry = match context.open_or_note()? {
        Opened::Catalog(registry) => registry,
        Opened::Inbox(inbox) => return note(context, command, &inbox),
    };
    let named = command.subjects.named(context, &registry, "seal", "seal")?;
    let artifacts = command.subjects.find(&registry, &named)?;
    let unrecorded = unrecorded(context, &registry, &named)?;
    let filter = named.filter();
    if artifacts.is_empty() {
        return Err(context.nothing_selected(&registry, &filter, "nothing was sealed")?);
    }
    context.require_runs(&registry, &filter, "nothing was sealed")?;
    let containers = command.containers(artifacts.iter().map(|artifact| &artifact.key))?;
    let monitor = context.monitor();
    let sealed = registry.seal_many(&artifacts, command.options(), &monitor);
    drop(monitor);
    if let Err(error) = sealed {
        if matches!(error, Error::Cancelled { .. }) {
            return Err(context.ended(error, "nothing was sealed"));
        }
        let inbox = context.inbox_instead(error)?;
        return note(context, command, &inbox);
    }
    let format = context.format(command.output);
    // For people; a program reads the rows.
    if format == Format::Table {
        let sealed = render::count(artifacts.len(), "artifact");
        context.say(&format!("sealed {sealed}"));
    }
    command.say_unhashed(context, containers);
    context.purge_due(&registry);
    // Read again: sealing changed the rows.
    let mut sealed = Vec::with_capacity(artifacts.len());
    for artifact in &artifacts {
        sealed.extend(registry.get(&Target::Id(artifact.id))?);
    }
    note_short(context, &sealed);
    if command.wants_rows(context) {
        let shown = command.rows_of(context, format, sealed.len());
        artifacts::rows(context, format, &sealed[..shown])?;
    }
    let Some(first) = unrecorded.first() else {
        return Ok(());
    };
    let more = match unrecorded.len() - 1 {
        0 => String::new(),
        more => format!(" and {} more", render::number(more as u64)),
    };
    let hint = context.with_base("record what is there with: dalsegno scan");
    context.warn(&format!(
        "not recorded, so not sealed: {}{more}; {hint}; then seal it",
        first.display()
    ));
    Err(Failure::Partly)
}

/// Arrays on disk at the paths that are named, or below them, of which nothing is recorded.
fn unrecorded(
    context: &Context,
    registry: &Registry,
    named: &Named,
) -> Result<Vec<PathBuf>, Failure> {
    let Named::Each(targets) = named else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for target in targets {
        if let Target::Path(path) = target {
            found.extend(registry.unrecorded_at(path, &context.monitor())?);
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}
