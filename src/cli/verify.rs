//! `verify`: whether catalog and disk agree.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use serde::Serialize;

use super::context::Context;
use super::fail::Failure;
use super::flags::{Format, Output, Threads};
use super::render::{self, Align, Column, Record, Rows, or_empty};
use super::selection::Selection;
use crate::ops::verify::{Repair, VerifyClass, VerifyFinding, VerifyOptions, VerifyReport};
use crate::registry::Registry;

/// Check that catalog and disk agree, both ways
///
/// Always compared: whether the data of every row is there and of the right type, when its metadata
/// was written, the size of checkpoints; data on disk that no row has; the trash; the catalog's
/// file and its history. Sizes of sealed arrays are compared too, which walks through them: that
/// finds missing chunks, which a zarr reads as fill values, silently. Sizes of other arrays that
/// were ever counted are compared with --measure. With --read-data the data of arrays that were sealed
/// with --hash is read, and its contents are compared too: that finds what has the same size.
///
/// Changes nothing without --repair, and never touches data. The selection says which rows are
/// compared; data without a row is looked for below the runs, and of the kinds, that it names. What
/// the walk notices besides, such as symbolic links or damaged metadata, is a notice and no
/// finding.
///
/// Exit code 4 where there are findings (with --repair, where any are left), 3 where something
/// could not be read, so that what lies there was not judged, 0 where catalog and disk agree.
#[derive(Debug, Args)]
pub(super) struct Verify {
    #[command(flatten)]
    selection: Selection,
    /// Compare the sizes of all arrays that were ever counted, not of sealed ones only
    #[arg(long, conflicts_with = "quick")]
    measure: bool,
    /// Read all data that was sealed with a hash, and compare its contents
    #[arg(long, conflicts_with = "quick")]
    read_data: bool,
    /// Walk through no array, and leave the history alone
    #[arg(long)]
    quick: bool,
    /// Let SQLite check the catalog's indices too; takes long in a large catalog
    #[arg(long)]
    indices: bool,
    /// Mend the catalog: mark rows missing or present, note sizes and times anew (a seal is void
    /// then), take in what has no row, settle interrupted removals
    #[arg(long)]
    repair: bool,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    output: Output,
}

/// What a repair does, in words.
fn words(repair: Repair) -> &'static str {
    match repair {
        Repair::MarkMissing => "mark missing",
        Repair::MarkPresent => "mark present",
        Repair::NoteAnew => "note anew",
        Repair::Adopt => "take in",
        Repair::Settle => "settle",
        Repair::WithParts => "with its parts",
    }
}

/// A finding, and whether it was repaired.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    finding: &'a VerifyFinding,
    /// None where no repair was asked for.
    repaired: Option<bool>,
}

impl Line<'_> {
    fn outcome(&self) -> String {
        match (self.repaired, self.finding.repair) {
            (Some(true), _) => "repaired".to_owned(),
            (_, Some(repair)) => format!("--repair: {}", words(repair)),
            (_, None) => self.finding.class.next().to_owned(),
        }
    }
}

impl Record for Line<'_> {
    const NAME: &'static str = "findings";
    const COLUMNS: &'static [Column] = &[
        Column("CLASS", Align::Left),
        Column("PATH", Align::Text),
        Column("DETAIL", Align::Text),
        Column("NEXT", Align::Text),
    ];
    const FIELDS: &'static [&'static str] = &[
        "class", "path", "artifact", "detail", "repair", "next", "repaired",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.finding.class.to_string(),
            self.finding.path.clone(),
            self.finding.detail.clone(),
            self.outcome(),
        ]
    }

    fn fields(&self) -> Vec<String> {
        vec![
            self.finding.class.to_string(),
            self.finding.path.clone(),
            or_empty(self.finding.artifact),
            self.finding.detail.clone(),
            or_empty(self.finding.repair),
            or_empty(self.finding.next()),
            or_empty(self.repaired),
        ]
    }
}

#[derive(Serialize)]
struct Document<'a> {
    rows: u64,
    measured: u64,
    read: u64,
    unhashed: u64,
    arrays: u64,
    checkpoints: u64,
    operations: Option<u64>,
    is_complete: bool,
    counts: BTreeMap<VerifyClass, u64>,
    findings: Vec<Line<'a>>,
    notices: &'a [crate::store::Notice],
}

pub(super) fn run(context: &mut Context, command: &Verify) -> Result<(), Failure> {
    let registry = open(context, command.repair)?;
    let options = VerifyOptions {
        measure: command.measure,
        read_data: command.read_data,
        quick: command.quick,
        indices: command.indices,
        threads: command.threads.get(),
    };
    let monitor = context.monitor();
    let mut report = registry.verify(&command.selection.filter(), options, &monitor)?;
    let mut repaired = None;
    if command.repair {
        let done = registry.repair(&report.findings, &monitor)?;
        repaired = Some(done.repaired.len());
        report.findings = done.repaired.into_iter().chain(done.left).collect();
    }
    drop(monitor);
    let all = report.findings.len();
    let lines = (0..).zip(&report.findings).map(|(index, finding)| Line {
        finding,
        repaired: repaired.map(|repaired| index < repaired),
    });
    let lines: Vec<Line<'_>> = lines.collect();
    show(context, command, &report, lines)?;
    let left = all - repaired.unwrap_or_default();
    match repaired {
        Some(repaired) => context.say(&format!(
            "{} repaired, {left} left",
            render::count(repaired, "finding")
        )),
        None if report.findings.iter().any(|found| found.repair.is_some()) => {
            // What was found by a closer look is found again by one only.
            let closer = [
                (command.measure, " --measure"),
                (command.read_data, " --read-data"),
            ];
            let closer = closer.into_iter().filter(|(is_set, _)| *is_set);
            let closer: String = closer.map(|(_, flag)| flag).collect();
            let hint = format!("mend the catalog with: dalsegno verify{closer} --repair");
            context.say(&context.with_base(&hint));
        }
        None => {}
    }
    match (report.is_complete, left) {
        (false, _) => Err(Failure::Partly),
        (true, 0) => Ok(()),
        (true, _) => Err(Failure::Findings),
    }
}

fn open(context: &Context, repair: bool) -> Result<Registry, Failure> {
    match repair {
        true => context.open(),
        false => context.open_read_only(),
    }
}

fn show(
    context: &mut Context,
    command: &Verify,
    report: &VerifyReport,
    lines: Vec<Line<'_>>,
) -> Result<(), Failure> {
    let format = context.format(command.output);
    if format == Format::Json {
        let document = Document {
            rows: report.rows,
            measured: report.measured,
            read: report.read,
            unhashed: report.unhashed,
            arrays: report.arrays,
            checkpoints: report.checkpoints,
            operations: report.operations,
            is_complete: report.is_complete,
            counts: report.counts(),
            findings: lines,
            notices: &report.notices,
        };
        return render::document(context, "verify", &document);
    }
    let mut rows = Rows::new::<Line<'_>>(context, format)?;
    lines.iter().try_for_each(|line| rows.push(line))?;
    rows.finish("catalog and disk agree")?;
    if format != Format::Jsonl {
        context.findings(&report.notices);
    }
    let mut looked = vec![render::count(report.rows, "row")];
    if report.arrays > 0 || report.checkpoints == 0 {
        looked.push(format!("{} on disk", render::count(report.arrays, "array")));
    }
    if report.checkpoints > 0 {
        let count = render::count(report.checkpoints, "checkpoint");
        looked.push(format!("{count} on disk"));
    }
    if command.read_data {
        let mut read = format!("{} of them read in full", report.read);
        if report.unhashed > 0 {
            read.push_str(&format!(", {} sealed without a hash", report.unhashed));
        }
        looked.insert(1, read);
    }
    let counts: Vec<String> = report
        .counts()
        .iter()
        .map(|(class, count)| format!("{count} {class}"))
        .collect();
    let counts = match counts.is_empty() {
        true => String::new(),
        false => format!(": {}", counts.join(", ")),
    };
    let notices = match report.notices.len() {
        0 => String::new(),
        some => format!("; {}", render::count(some, "notice")),
    };
    context.say(&format!(
        "compared {}; {}{counts}{notices}",
        looked.join(", "),
        render::count(report.findings.len(), "finding")
    ));
    let unread: BTreeSet<&str> = report
        .findings
        .iter()
        .filter(|found| found.class == VerifyClass::Unreadable)
        .map(|found| found.path.as_str())
        .collect();
    if !unread.is_empty() {
        let many = render::count(unread.len(), "place");
        context.warn(&format!(
            "{many} could not be read; what lies there was not judged"
        ));
    }
    Ok(())
}
