//! Artifacts as rows, for every command that lists artifacts.

use super::context::Context;
use super::fail::Failure;
use super::flags::Format;
use super::render::{
    Align, Column, Record, Rows, number, or_dash, or_empty, size_cells, size_fields,
};
use crate::model::artifact::Artifact;
use crate::model::key::{Key, Kind};
use crate::model::layout;

impl Record for Artifact {
    const NAME: &'static str = "artifacts";
    const COLUMNS: &'static [Column] = &[
        Column("RUN", Align::Text),
        Column("ITERATION", Align::Right),
        Column("KIND", Align::Left),
        Column("CONTAINER", Align::Rare),
        Column("DATASET", Align::Text),
        Column("PARAMETERS", Align::Text),
        Column("STATE", Align::Left),
        Column("SIZE", Align::Right),
        Column("FILES", Align::Right),
        Column("CHUNKS THERE", Align::Right),
        Column("SHAPE", Align::Bar),
        Column("DTYPE", Align::Bar),
    ];
    const MINOR: &'static [&'static str] = &["CHUNKS THERE", "FILES", "STATE", "SIZE", "KIND"];
    const FIELDS: &'static [&'static str] = &[
        "id",
        "run",
        "kind",
        "iteration",
        "dataset",
        "parameters",
        "container",
        "array",
        "path",
        "state",
        "bytes",
        "files",
        "disk_bytes",
        "recorded_at",
        "written_at",
        "sealed_at",
        "content_hash",
        "levels",
        "iterations",
        "pins",
        "shape",
        "chunks",
        "shards",
        "dtype",
        "fill_value",
        "compressor",
        "chunks_there",
        "chunks_expected",
    ];

    fn cells(&self) -> Vec<String> {
        let [bytes, files] = size_cells(self.size);
        let metadata = self.metadata.as_deref();
        vec![
            self.key.run().to_string(),
            or_dash(self.key.iteration()),
            self.key.kind().to_string(),
            container_cell(&self.key),
            or_dash(self.key.dataset()),
            or_dash(self.key.parameters()),
            self.state.to_string(),
            bytes,
            files,
            chunks_cell(self),
            axes(metadata.and_then(|it| it.shape.as_ref())),
            or_empty(metadata.and_then(|it| it.dtype.as_ref())),
        ]
    }

    fn fields(&self) -> Vec<String> {
        let [bytes, files] = size_fields(self.size);
        let metadata = self.metadata.as_deref();
        vec![
            self.id.to_string(),
            self.key.run().to_string(),
            self.key.kind().to_string(),
            or_empty(self.key.iteration()),
            or_empty(self.key.dataset()),
            or_empty(self.key.parameters()),
            self.container().to_string(),
            or_empty(self.location().array),
            self.path().display().to_string(),
            self.state.to_string(),
            bytes,
            // A plain number: TSV is for programs, and units are for people.
            files,
            or_empty(self.disk_bytes.map(|bytes| bytes.0)),
            self.recorded_at.to_string(),
            or_empty(self.written_at),
            or_empty(self.sealed_at),
            or_empty(self.content_hash),
            self.levels.join(","),
            joined(&self.iterations),
            self.pins.join(","),
            axes(metadata.and_then(|it| it.shape.as_ref())),
            axes(metadata.and_then(|it| it.chunks.as_ref())),
            axes(metadata.and_then(|it| it.shards.as_ref())),
            or_empty(metadata.and_then(|it| it.dtype.as_ref())),
            or_empty(metadata.and_then(|it| it.fill_value.as_ref())),
            or_empty(metadata.and_then(|it| it.compressor.as_ref())),
            or_empty(self.chunks_there),
            or_empty(self.chunks_expected()),
        ]
    }
}

/// Folder of an array's container in its run; `-` if its kind says it.
pub(super) fn container_cell(key: &Key) -> String {
    let location = layout::locate(key);
    let run = format!("{}/", key.run());
    let container = location.container.strip_prefix(&run).unwrap_or_default();
    let usual = match key.kind() {
        Kind::Snapshot => layout::SNAPSHOT_CONTAINER,
        Kind::Array => "",
        _ => layout::VALIDATION_CONTAINER,
    };
    let is_said = location.array.is_none() || key.kind() == Kind::Checkpoint;
    match container {
        "" => "-".to_owned(),
        _ if is_said || container == usual => "-".to_owned(),
        container => container.to_owned(),
    }
}

/// Chunks that are there, of those that the metadata says: `812/1000`; `?` if they were not
/// counted, or if a level of a pyramid is not there.
pub(super) fn chunks_cell(artifact: &Artifact) -> String {
    let chunks = match (artifact.chunks_there, artifact.chunks_expected()) {
        (Some(there), Some(expected)) => format!("{}/{}", number(there), number(expected)),
        (None, Some(expected)) => format!("?/{}", number(expected)),
        (Some(there), None) => format!("{}/?", number(there)),
        (None, None) => "-".to_owned(),
    };
    // A level that is not there is not known to lack chunks: so it is said by itself.
    let named = artifact.metadata.iter().flat_map(|says| &says.levels);
    let (there, absent): (Vec<_>, Vec<_>) = named.partition(|level| level.array.is_some());
    match absent.is_empty() {
        true => chunks,
        false => format!(
            "{chunks}, levels {}/{}",
            there.len(),
            there.len() + absent.len()
        ),
    }
}

/// Lengths along the axes: `128,128,64`; empty if they are unknown.
pub(super) fn axes(lengths: Option<&Vec<u64>>) -> String {
    let lengths = lengths.into_iter().flatten().map(ToString::to_string);
    lengths.collect::<Vec<_>>().join(",")
}

/// Iterations as text, separated by commas.
pub(super) fn joined(iterations: &[i64]) -> String {
    let texts: Vec<String> = iterations.iter().map(i64::to_string).collect();
    texts.join(",")
}

/// Writes artifacts as rows.
pub(super) fn rows(
    context: &mut Context,
    format: Format,
    artifacts: &[Artifact],
) -> Result<(), Failure> {
    let mut rows = Rows::new::<Artifact>(context, format)?;
    artifacts
        .iter()
        .try_for_each(|artifact| rows.push(artifact))?;
    rows.finish("no artifact matches").map(|_| ())
}

/// The name of a user, or the uid if it has no name on this machine.
pub(super) fn user_name(number: u32) -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(number));
    match user {
        Ok(Some(user)) => user.name,
        // Also if the user database does not answer: the number still says whose data it is.
        _ => number.to_string(),
    }
}
