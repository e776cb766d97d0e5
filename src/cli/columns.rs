//! `list --columns`: artifacts as rows of chosen columns.

use super::context::Context;
use super::fail::Failure;
use super::flags::Format;
use super::render::{
    Align, Heads, Record, Rows, or_dash, or_empty, short_age, short_time, size_cells,
};
use crate::model::artifact::Artifact;
use crate::model::clock::{Clock, SystemClock, Timestamp};

/// A column that may be chosen: a field of an artifact, or its age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chosen {
    /// The field at this index of [`Artifact::FIELDS`].
    Field(usize),
    /// Time since it was written or, if no data was seen, recorded.
    Age,
}

/// Parses the name of a column.
pub(super) fn column(text: &str) -> Result<Chosen, String> {
    if text == AGE {
        return Ok(Chosen::Age);
    }
    let index = Artifact::FIELDS.iter().position(|field| *field == text);
    index.map(Chosen::Field).ok_or_else(|| {
        let names = Artifact::FIELDS.join(", ");
        format!("there is no such column; columns are {AGE}, {names}")
    })
}

const AGE: &str = "age";

/// Rows with the columns of a call.
pub(super) struct ChosenRows<'a> {
    rows: Rows<'a>,
    columns: &'a [Chosen],
    now: Timestamp,
}

impl<'a> ChosenRows<'a> {
    pub(super) fn new(
        context: &'a mut Context,
        format: Format,
        columns: &'a [Chosen],
    ) -> Result<Self, Failure> {
        let name = |column: &Chosen| match column {
            Chosen::Field(index) => Artifact::FIELDS[*index],
            Chosen::Age => AGE,
        };
        let heads = columns.iter().map(|column| {
            let heading = name(column).replace('_', " ").to_uppercase();
            (heading, align(name(column)))
        });
        let heads = Heads {
            columns: heads.collect(),
            minor: &[],
        };
        // In TSV an age is a number, and its unit is in its name, as in plans.
        let fields = columns.iter().map(|column| match column {
            Chosen::Age => "age_seconds",
            Chosen::Field(_) => name(column),
        });
        let fields: Vec<&str> = fields.collect();
        Ok(Self {
            rows: Rows::with(context, format, Artifact::NAME, heads, &fields)?,
            columns,
            now: SystemClock.now(),
        })
    }

    pub(super) fn push(&mut self, artifact: &Artifact) -> Result<(), Failure> {
        let written = artifact.written_at.unwrap_or(artifact.recorded_at);
        let age = written.age_at(self.now);
        let cells = || {
            let fields = artifact.fields();
            let cells = self.columns.iter().map(|column| match column {
                Chosen::Field(index) => cell(artifact, *index, &fields),
                Chosen::Age => or_dash(age.map(short_age)),
            });
            cells.collect()
        };
        let fields = || {
            let fields = artifact.fields();
            let fields = self.columns.iter().map(|column| match column {
                Chosen::Field(index) => fields[*index].clone(),
                Chosen::Age => or_empty(age.map(|age| age.as_secs())),
            });
            fields.collect()
        };
        self.rows.write(artifact, cells, fields)
    }

    pub(super) fn finish(self, nothing: &str) -> Result<u64, Failure> {
        self.rows.finish(nothing)
    }
}

/// A field for people: sizes with units, times to the minute, `-` for what is absent.
fn cell(artifact: &Artifact, index: usize, fields: &[String]) -> String {
    match Artifact::FIELDS[index] {
        "bytes" => {
            let [bytes, _] = size_cells(artifact.size);
            bytes
        }
        "disk_bytes" => or_dash(artifact.disk_bytes),
        "recorded_at" => short_time(artifact.recorded_at),
        "written_at" => or_dash(artifact.written_at.map(short_time)),
        "sealed_at" => or_dash(artifact.sealed_at.map(short_time)),
        _ if fields[index].is_empty() => "-".to_owned(),
        _ => fields[index].clone(),
    }
}

/// Numbers are aligned right; names may be cut on a narrow terminal.
fn align(name: &str) -> Align {
    match name {
        AGE | "id" | "iteration" | "bytes" | "files" | "disk_bytes" | "chunks_there"
        | "chunks_expected" => Align::Right,
        "run" | "dataset" | "parameters" | "container" | "array" | "path" | "pins"
        | "content_hash" | "levels" | "iterations" => Align::Text,
        _ => Align::Left,
    }
}
