//! `du`: bytes and files on disk, by group.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use nix::unistd::{Uid, User};
use serde::Serialize;

use super::context::Context;
use super::fail::Failure;
use super::flags::{Format, Output};
use super::render::{
    Align, Column, Ink, Record, Rows, number, or_dash, or_empty, total_cells, total_fields,
    total_text,
};
use super::selection::Asked;
use crate::catalog::{DuGroup, DuRow};
use crate::model::key::Kind;
use crate::model::removal::{Removal, RemovalId};
use crate::model::size::{ByteCount, Total};
use crate::ops::others::OtherUse;
use crate::ops::refresh::RefreshOptions;
use crate::registry::Registry;

/// Show how much space artifacts take on disk, largest first
///
/// Counts arrays of unknown size first, which walks their folders; --no-refresh shows what the
/// catalog knows. Containers are left out, because the arrays in them are counted. Recorded arrays
/// without data have a line of their own and take no space. If only runs are selected, what else
/// lies in their folders has a line: ON DISK then adds up to what du -s says of them. Without a
/// selection, the trash has a line too: it takes space until it is emptied.
#[derive(Debug, Args)]
pub(super) struct Du {
    #[command(flatten)]
    asked: Asked,
    /// What to sum by
    #[arg(long, value_enum, default_value_t = By::Run, help_heading = "Output")]
    by: By,
    /// Answer from the catalog, without a look on disk first
    #[arg(long, help_heading = "Output")]
    no_refresh: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    Run,
    Kind,
    Iteration,
    Dataset,
    Owner,
}

impl From<By> for DuGroup {
    fn from(by: By) -> Self {
        match by {
            By::Run => Self::Run,
            By::Kind => Self::Kind,
            By::Iteration => Self::Iteration,
            By::Dataset => Self::Dataset,
            By::Owner => Self::Owner,
        }
    }
}

/// What a line counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum DuPart {
    Present,
    Trash,
    Reserved,
    Other,
}

impl DuPart {
    fn as_str(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Trash => "trash",
            Self::Reserved => "reserved",
            Self::Other => "other",
        }
    }
}

/// A line: the arrays of a group, the trash, or the reserved arrays.
#[derive(Debug, Serialize)]
struct Usage {
    run: Option<String>,
    kind: Option<Kind>,
    iteration: Option<i64>,
    dataset: Option<String>,
    /// User name of the owner; none if sums are not by owner, the owner is unknown, or the uid has
    /// no name on this machine.
    owner: Option<String>,
    uid: Option<u32>,
    arrays: u64,
    /// Of these arrays, those whose metadata cannot be read.
    damaged: u64,
    /// None if no array was counted, and for reserved arrays.
    bytes: Option<ByteCount>,
    files: Option<u64>,
    /// None if no array was counted so, and for reserved arrays.
    disk_bytes: Option<ByteCount>,
    uncounted: u64,
    state: DuPart,
    trash: bool,
    #[serde(skip)]
    total: Total,
    #[serde(skip)]
    by_owner: bool,
    #[serde(skip)]
    bar: String,
}

impl Usage {
    /// A line without a group.
    fn new(state: DuPart, arrays: u64, total: Total) -> Self {
        // Reserved arrays have no data to count; 0 would say that they were counted.
        let is_known = state != DuPart::Reserved && total.is_known();
        Self {
            run: None,
            kind: None,
            iteration: None,
            dataset: None,
            owner: None,
            uid: None,
            arrays,
            damaged: 0,
            bytes: is_known.then_some(total.bytes),
            files: is_known.then_some(total.files),
            disk_bytes: None,
            uncounted: total.uncounted,
            state,
            trash: state == DuPart::Trash,
            total,
            by_owner: false,
            bar: String::new(),
        }
    }

    fn of_group(row: DuRow, by: By) -> Self {
        Self {
            run: row.run,
            kind: row.kind,
            iteration: row.iteration,
            dataset: row.dataset,
            owner: row.owner.and_then(user_name),
            // Users of several machines share a base directory, and not all have names here.
            uid: row.owner,
            damaged: row.damaged,
            disk_bytes: row.disk_bytes,
            by_owner: by == By::Owner,
            ..Self::new(DuPart::Present, row.arrays, row.total)
        }
    }

    /// What is in the trash, kept or being unlinked; none if it is empty.
    fn of_trash(
        removals: &[Removal],
        others: &BTreeMap<RemovalId, Option<OtherUse>>,
        mut disk_bytes: ByteCount,
    ) -> Option<Self> {
        let mut arrays = 0;
        let mut total = Total::default();
        for removal in removals {
            arrays += removal.artifacts;
            total.merge(removal.total);
        }
        for others in others.values().flatten() {
            total.add(Some(others.size));
            disk_bytes.0 = disk_bytes.0.saturating_add(others.disk_bytes.0);
        }
        (!removals.is_empty()).then(|| Self {
            disk_bytes: Some(disk_bytes),
            ..Self::new(DuPart::Trash, arrays, total)
        })
    }

    /// What the runs hold besides; none if it is nothing.
    fn of_others(others: &OtherUse) -> Option<Self> {
        let mut total = Total::default();
        total.add(Some(others.size));
        (others.disk_bytes > ByteCount(0)).then(|| Self {
            disk_bytes: Some(others.disk_bytes),
            ..Self::new(DuPart::Other, 0, total)
        })
    }

    fn what(&self) -> String {
        // These first: they belong to no group, and the arms below would call them `-`.
        match (self.state, &self.run, self.kind, self.iteration) {
            (DuPart::Trash, ..) => "in the trash".to_owned(),
            (DuPart::Other, ..) => "not dalsegno's".to_owned(),
            (DuPart::Reserved, ..) => "reserved, no data seen".to_owned(),
            (_, Some(run), _, Some(iteration)) => format!("{run}  iteration {iteration}"),
            (_, Some(run), ..) => run.clone(),
            (_, None, Some(kind), _) => kind.to_string(),
            _ if self.by_owner => match (&self.owner, self.uid) {
                (Some(name), _) => name.clone(),
                (None, Some(number)) => number.to_string(),
                (None, None) => "?".to_owned(),
            },
            _ => or_dash(self.dataset.as_ref()),
        }
    }
}

/// The name of a user; none if the uid has no name on this machine.
fn user_name(number: u32) -> Option<String> {
    // A user database that does not answer costs the name only; the uid is shown instead.
    let user = User::from_uid(Uid::from_raw(number)).ok()?;
    user.map(|user| user.name)
}

impl Record for Usage {
    const NAME: &'static str = "usage";
    const COLUMNS: &'static [Column] = &[
        Column("SIZE", Align::Right),
        Column("ON DISK", Align::Right),
        Column("FILES", Align::Right),
        Column("ARRAYS", Align::Right),
        Column("", Align::Bar),
        Column("WHAT", Align::Text),
    ];
    const MINOR: &'static [&'static str] = &["FILES", "ARRAYS", "ON DISK"];
    const FIELDS: &'static [&'static str] = &[
        "run",
        "kind",
        "iteration",
        "dataset",
        "owner",
        "uid",
        "arrays",
        "damaged",
        "bytes",
        "files",
        "disk_bytes",
        "uncounted",
        "state",
        "trash",
    ];

    fn cells(&self) -> Vec<String> {
        let [bytes, files] = match self.state {
            DuPart::Reserved => ["-".to_owned(), "-".to_owned()],
            DuPart::Present | DuPart::Trash | DuPart::Other => total_cells(&self.total),
        };
        let disk_bytes = match self.disk_bytes {
            Some(bytes) => bytes.to_string(),
            None if self.state == DuPart::Reserved => "-".to_owned(),
            None => "?".to_owned(),
        };
        let arrays = number(self.arrays);
        let (bar, what) = (self.bar.clone(), self.what());
        vec![bytes, disk_bytes, files, arrays, bar, what]
    }

    fn fields(&self) -> Vec<String> {
        let [bytes, files, uncounted] = match self.state {
            DuPart::Reserved => [String::new(), String::new(), "0".to_owned()],
            DuPart::Present | DuPart::Trash | DuPart::Other => total_fields(&self.total),
        };
        vec![
            or_empty(self.run.as_ref()),
            or_empty(self.kind),
            or_empty(self.iteration),
            or_empty(self.dataset.as_ref()),
            or_empty(self.owner.as_ref()),
            or_empty(self.uid),
            self.arrays.to_string(),
            self.damaged.to_string(),
            bytes,
            files,
            or_empty(self.disk_bytes.map(|bytes| bytes.0)),
            uncounted,
            self.state.as_str().to_owned(),
            self.trash.to_string(),
        ]
    }
}

pub(super) fn run(context: &mut Context, command: &Du) -> Result<(), Failure> {
    let counted = |registry: &Registry| {
        let filter = command.asked.filter(context, registry)?;
        Ok(match filter.kinds.is_empty() {
            // Checkpoints that were taken in take space too.
            true => filter.kinds(Kind::ALL),
            false => filter,
        })
    };
    // Sizes that are known are not counted again: that would walk every array of the selection.
    let refresh = (!command.no_refresh).then_some(RefreshOptions::new().measure(true).gone(true));
    let format = context.format(command.output);
    let (registry, filter, mut partly) = context.open_refreshed(counted, refresh, format)?;
    // Without the kinds, which the user did not name.
    let asked = command.asked.filter(context, &registry)?;
    let is_all = asked.is_all();
    // What else lies in a run's folder is of no kind, dataset or age.
    let of_runs = asked.of_runs();
    let with_others = asked == of_runs && !command.no_refresh;
    let mut lines = Vec::new();
    let mut reserved = 0;
    let by = command.by.into();
    for row in context.waiting("reading the catalog", || registry.du(&filter, by))? {
        reserved += row.reserved;
        if row.arrays > 0 {
            lines.push(Usage::of_group(row, command.by));
        }
    }
    // What is in the trash has no row that a filter could match.
    if is_all {
        let monitor = context.monitor();
        let others = match command.no_refresh {
            true => BTreeMap::new(),
            false => registry.trash_others(&monitor)?,
        };
        drop(monitor);
        let bytes = registry.trash_bytes()?;
        lines.extend(Usage::of_trash(&registry.trash()?, &others, bytes));
    }
    if with_others {
        let monitor = context.monitor();
        let others = registry.other_use(&of_runs, &monitor)?;
        drop(monitor);
        context.notices(&others.notices);
        // What could not be read is missing from the sum.
        partly |= !others.notices.is_empty();
        lines.extend(Usage::of_others(&others));
    }
    let total = sum(&lines);
    // A single bar would always have full length.
    if lines.len() > 1 {
        draw(&mut lines);
    }
    // After the sum and the bars, because reserved arrays take no space.
    if reserved > 0 {
        let reserved = Usage::new(DuPart::Reserved, reserved, Total::default());
        lines.push(reserved);
    }
    let nothing = &context.or_new(&registry, "nothing that matches is recorded with data")?;
    let mut rows = Rows::new::<Usage>(context, format)?;
    lines.iter().try_for_each(|line| rows.push(line))?;
    let written = rows.finish(nothing)?;
    // For people: in the other formats the lines can be added up.
    if let Some(total) = total.filter(|_| format == Format::Table) {
        context.say(&total);
    }
    let of = (&command.asked, &filter);
    context.say_nothing(&registry, of, format, (written, nothing))?;
    if partly { Err(Failure::Partly) } else { Ok(()) }
}

/// The sum of the lines, as a sentence; none if there are fewer than two lines.
fn sum(lines: &[Usage]) -> Option<String> {
    let mut total = Total::default();
    lines.iter().for_each(|line| total.merge(line.total));
    let mut text = format!("total {}", total_text(&total));
    let disk_bytes = lines.iter().filter_map(|line| line.disk_bytes);
    let disk_bytes = disk_bytes.fold(0_u64, |sum, bytes| sum.saturating_add(bytes.0));
    if disk_bytes > 0 {
        text.push_str(&format!(", {} on disk", ByteCount(disk_bytes)));
    }
    if let Some(line) = lines.iter().find(|line| line.trash) {
        text.push_str(&format!(
            "; this includes {} in the trash",
            total_text(&line.total)
        ));
    }
    (lines.len() > 1).then_some(text)
}

/// Gives each line its bar.
fn draw(lines: &mut [Usage]) {
    let ink = Ink::of_environment();
    let bytes = |line: &Usage| line.total.bytes.0;
    let longest = lines.iter().map(bytes).max().unwrap_or(0);
    for line in lines {
        line.bar = ink.bar(bytes(line), longest);
    }
}
