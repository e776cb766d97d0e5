//! `verify`: whether catalog and disk agree.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::context::Context;
use super::ended::{Next, Parts};
use super::fail::Failure;
use super::flags::{Format, Output, Threads, Verbose};
use super::render::{self, Align, Column, Record, Rows, or_empty};
use super::selection::Asked;
use crate::model::artifact::ArtifactId;
use crate::model::operation::Action;
use crate::ops::verify::{Repair, VerifyClass, VerifyFinding, VerifyOptions, VerifyReport};
use crate::registry::{Registry, Target};

/// Check that catalog and disk agree, both ways
///
/// Always checks that the data of every row is there, of the right type, and not rewritten since;
/// the size of checkpoints; data on disk without a row; the trash; the catalog file and its
/// history. Walks through sealed arrays to compare their sizes, which finds missing chunks: zarr
/// silently reads those as fill values. --measure also compares the sizes of all other arrays that
/// were counted before. --read-data also reads the arrays that were sealed with --hash and compares
/// their contents, which finds changes that keep the size.
///
/// Changes nothing without --repair, and never touches data. The selection limits the rows that are
/// checked; data without a row is searched for only in the runs and kinds that it names. Symbolic
/// links, damaged metadata and the like are listed as notices, which are not findings.
///
/// Exit code 0 if catalog and disk agree, 4 if there are findings (with --repair, if any are left),
/// 3 if something could not be read and therefore was not checked.
#[derive(Debug, Args)]
pub(super) struct VerifyCommand {
    #[command(flatten)]
    asked: Asked,
    /// Compare the sizes of all arrays that were counted before, not only of sealed ones
    #[arg(long, conflicts_with = "quick")]
    measure: bool,
    /// Read all data that was sealed with a hash, and compare the contents
    #[arg(long, conflicts_with = "quick")]
    read_data: bool,
    /// Skip the walks through arrays and the check of the history
    #[arg(long)]
    quick: bool,
    /// Also let SQLite check the catalog's indices, which takes long in a large catalog
    #[arg(long)]
    indices: bool,
    /// Repair the catalog: mark rows missing or present, update sizes and times (which drops the
    /// seal), add rows for data without one, finish interrupted removals. Also take what is
    /// gone out of consolidated metadata
    #[arg(long)]
    repair: bool,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    verbose: Verbose,
    #[command(flatten)]
    output: Output,
}

/// What shows rows whose data is gone, and what can be done with them.
pub(super) const NEXT_OF_MISSING: &str = "list with: dalsegno list --state missing; if their folder \
     was renamed by hand: dalsegno verify --repair; else take the rows out with: dalsegno rm --state \
     missing";

/// What a repair does, as a phrase.
fn repair_text(repair: Repair) -> &'static str {
    match repair {
        Repair::MarkMissing => "mark missing",
        Repair::MarkPresent => "mark present",
        Repair::MarkDamaged => "mark damaged",
        Repair::UpdateRow => "update the row",
        Repair::Adopt => "add a row",
        Repair::Settle => "settle",
        Repair::Follow => "let the rows follow",
        Repair::RewriteList => "take it out of the list",
        Repair::WithParts => "with its parts",
    }
}

/// What a repair did, as a phrase: it is of the catalog, and not of the data.
fn done_text(repair: Repair) -> &'static str {
    match repair {
        Repair::MarkMissing => "marked missing",
        Repair::MarkPresent => "marked present",
        Repair::MarkDamaged => "marked damaged",
        Repair::UpdateRow => "row updated to what is there",
        Repair::Adopt => "row added",
        Repair::Settle => "settled",
        Repair::Follow => "the rows followed",
        Repair::RewriteList => "taken out of the list",
        Repair::WithParts => "done with its parts",
    }
}

/// A finding, and whether it was repaired.
struct FindingLine<'a> {
    finding: &'a VerifyFinding,
    /// None without --repair.
    repaired: Option<bool>,
    /// The host that has the catalog, if this one does not.
    host: Option<&'a str>,
}

impl FindingLine<'_> {
    fn outcome(&self) -> String {
        match (self.repaired, self.finding.repair) {
            // First: a finding that was repaired still names its repair.
            (Some(true), Some(repair)) => done_text(repair).to_owned(),
            (Some(true), None) => "repaired".to_owned(),
            (_, Some(repair)) => format!("{}--repair: {}", self.there(), repair_text(repair)),
            (_, None) => self.next().unwrap_or_default(),
        }
    }

    /// What to do, and where, if a repair cannot mend it.
    fn next(&self) -> Option<String> {
        let next = self.finding.next()?;
        Some(format!("{}{next}", self.there()))
    }

    /// Where to repair it, if not here.
    fn there(&self) -> String {
        self.host
            .map_or(String::new(), |host| format!("on host {host}, "))
    }
}

impl Serialize for FindingLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let finding = self.finding;
        let mut out = serializer.serialize_struct("FindingLine", 8)?;
        out.serialize_field("class", &finding.class)?;
        out.serialize_field("path", &finding.path)?;
        out.serialize_field("artifact", &finding.artifact)?;
        out.serialize_field("detail", &finding.detail)?;
        out.serialize_field("repair", &finding.repair)?;
        out.serialize_field("next", &self.next())?;
        out.serialize_field("follows", &finding.follows)?;
        out.serialize_field("repaired", &self.repaired)?;
        out.end()
    }
}

impl Record for FindingLine<'_> {
    const NAME: &'static str = "findings";
    const COLUMNS: &'static [Column] = &[
        Column("CLASS", Align::Left),
        Column("PATH", Align::Text),
        Column("DETAIL; NEXT", Align::Prose),
    ];
    const FIELDS: &'static [&'static str] = &[
        "class", "path", "artifact", "detail", "repair", "next", "repaired",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.finding.class.to_string(),
            self.finding.path.clone(),
            // One column, so that all of it is wrapped, and nothing is cut.
            match self.outcome() {
                next if next.is_empty() => self.finding.detail.clone(),
                next => format!("{}; {next}", self.finding.detail),
            },
        ]
    }

    fn fields(&self) -> Vec<String> {
        vec![
            self.finding.class.to_string(),
            self.finding.path.clone(),
            or_empty(self.finding.artifact),
            self.finding.detail.clone(),
            or_empty(self.finding.repair),
            or_empty(self.next()),
            or_empty(self.repaired),
        ]
    }
}

#[derive(Serialize)]
struct VerifyDocument<'a> {
    rows: u64,
    missing: u64,
    measured: u64,
    read: u64,
    unhashed: u64,
    arrays: u64,
    checkpoints: u64,
    noted: u64,
    newer: u64,
    operations: Option<u64>,
    is_complete: bool,
    counts: BTreeMap<VerifyClass, u64>,
    findings: Vec<FindingLine<'a>>,
    notices: &'a [crate::store::Notice],
}

/// A repair changes some thousand rows at a time.
const PARTS: Parts = Parts {
    actions: &[
        Action::Scan,
        Action::Refresh,
        Action::Rename,
        Action::Recover,
    ],
    nothing: "no row was repaired",
    thing: "row",
    done: "repaired",
    next: Next::Again("repair the rest with"),
};

pub(super) fn run(context: &mut Context, command: &VerifyCommand) -> Result<(), Failure> {
    let registry = open(context, command.repair)?;
    let options = VerifyOptions {
        measure: command.measure,
        read_data: command.read_data,
        quick: command.quick,
        indices: command.indices,
        threads: command.threads.get(),
    };
    let monitor = context.monitor();
    let filter = command.asked.filter(context, &registry)?;
    let compared = registry.verify(&filter, options, &monitor);
    // Takes the bar away before anything is printed.
    drop(monitor);
    let mut report = compared.map_err(|error| context.ended(error, "nothing was changed"))?;
    // No finding about nothing would read as a result.
    let has_looked = report.rows > 0 || report.noted > 0 || report.newer > 0;
    if !filter.is_all() && !has_looked && report.findings.is_empty() {
        return Err(context.nothing_selected(&registry, &filter, "nothing was verified")?);
    }
    let mut repaired = None;
    if command.repair {
        // The comparison held no lock, so each repair looks at its row and its data again.
        let (before, _) = registry.history_head()?;
        let sealed = sealed(&registry, &report.findings)?;
        let monitor = context.monitor();
        let done = registry.repair(&report.findings, &monitor);
        drop(monitor);
        let done = done.map_err(|error| context.ended_partly(error, &registry, before, &PARTS))?;
        repaired = Some(done.repaired.len());
        say_void(context, &registry, &sealed)?;
        report.findings = done.repaired.into_iter().chain(done.left).collect();
    }
    // The repaired findings come first, so the index says which they are.
    let all = report.findings.len();
    let host = context.published.get().map(|copy| copy.copy.host.clone());
    let lines = (0..)
        .zip(&report.findings)
        .map(|(index, finding)| FindingLine {
            finding,
            repaired: repaired.map(|repaired| index < repaired),
            host: host.as_deref(),
        });
    let lines: Vec<FindingLine<'_>> = lines.collect();
    // As the catalog has them by now: they were findings once.
    let missing = registry.count_missing(&filter)?;
    show(context, command, &report, lines, missing)?;
    let left = all - repaired.unwrap_or_default();
    match repaired {
        Some(repaired) => {
            let findings = render::count(repaired, "finding");
            let what = match repaired {
                0 => "",
                _ => "; the catalog was repaired, data is as it was found",
            };
            let left = render::number(left as u64);
            context.say(&format!("{findings} repaired, {left} left{what}"));
        }
        None if report.findings.iter().any(|found| found.repair.is_some()) => {
            // Only the same closer look finds the same findings again.
            let closer = [
                (command.measure, " --measure"),
                (command.read_data, " --read-data"),
            ];
            let closer = closer.into_iter().filter(|(is_set, _)| *is_set);
            let closer: String = closer.map(|(_, flag)| flag).collect();
            let hint = format!("repair the catalog with: dalsegno verify{closer} --repair");
            context.say(&context.with_base(&hint));
        }
        None => {}
    }
    let named = context.require_named(&registry, &filter, &command.asked);
    if command.repair && named.is_ok() {
        context.purge_due(&registry);
    }
    match (report.is_complete, left) {
        // First: as long as something is unchecked, the findings may not be all.
        (false, _) => Err(context.after(named, Failure::Partly)),
        (true, 0) => named,
        (true, _) => Err(context.after(named, Failure::Findings)),
    }
}

fn open(context: &Context, repair: bool) -> Result<Registry, Failure> {
    match repair {
        // Without --repair nothing is written, so it works on a read-only mount too.
        true => context.open(),
        false => context.open_read_only(),
    }
}

fn show(
    context: &mut Context,
    command: &VerifyCommand,
    report: &VerifyReport,
    lines: Vec<FindingLine<'_>>,
    missing: u64,
) -> Result<(), Failure> {
    let format = context.format(command.output);
    if format == Format::Json {
        let document = VerifyDocument {
            rows: report.rows,
            missing,
            measured: report.measured,
            read: report.read,
            unhashed: report.unhashed,
            arrays: report.arrays,
            checkpoints: report.checkpoints,
            noted: report.noted,
            newer: report.newer,
            operations: report.operations,
            is_complete: report.is_complete,
            counts: report.counts(),
            findings: lines,
            notices: &report.notices,
        };
        return render::document(context, "verify", &document);
    }
    let mut rows = Rows::new::<FindingLine<'_>>(context, format)?;
    lines.iter().try_for_each(|line| rows.push(line))?;
    rows.finish("catalog and disk agree")?;
    if format != Format::Jsonl {
        context.notices_of_walk(&report.notices, command.verbose);
    }
    let mut looked = vec![render::count(report.rows, "row")];
    // If the tree was searched for checkpoints only, `0 arrays` would read as a result.
    if report.arrays > 0 || report.checkpoints == 0 {
        looked.push(format!("{} on disk", render::count(report.arrays, "array")));
    }
    if report.checkpoints > 0 {
        let count = render::count(report.checkpoints, "checkpoint");
        looked.push(format!("{count} on disk"));
    }
    if command.read_data {
        let mut read = format!("{} of them read in full", render::number(report.read));
        if report.unhashed > 0 {
            let unhashed = render::number(report.unhashed);
            read.push_str(&format!(", {unhashed} sealed without a hash"));
        }
        // Behind the rows, of which they are a part.
        looked.insert(1, read);
    }
    let counts: Vec<String> = report
        .counts()
        .iter()
        .map(|(class, count)| format!("{} {class}", render::number(*count)))
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
    let missing = match missing {
        0 => None,
        1 => Some("1 row is of an array or checkpoint that is missing".to_owned()),
        some => {
            let some = render::number(some);
            Some(format!(
                "{some} rows are of arrays or checkpoints that are missing"
            ))
        }
    };
    if let Some(missing) = missing {
        context.say(&context.with_base(&format!("{missing}; {NEXT_OF_MISSING}")));
    }
    // A set, because several rows can report the same folder.
    let unread: BTreeSet<&str> = report
        .findings
        .iter()
        .filter(|found| found.class == VerifyClass::Unreadable)
        .map(|found| found.path.as_str())
        .collect();
    say_undecided(context, report);
    if !unread.is_empty() {
        let many = render::count(unread.len(), "place");
        context.warn(&format!(
            "{many} could not be read, so what is there was not checked"
        ));
    }
    Ok(())
}

/// The sealed artifacts whose rows a repair takes to what their data is now.
fn sealed(registry: &Registry, findings: &[VerifyFinding]) -> Result<Vec<ArtifactId>, Failure> {
    let updated = |found: &&VerifyFinding| found.repair == Some(Repair::UpdateRow);
    let updated = findings.iter().filter(updated);
    let mut sealed = Vec::new();
    for id in updated.filter_map(|found| found.artifact) {
        let artifact = registry.get(&Target::Id(id))?;
        if artifact.is_some_and(|artifact| artifact.sealed_at.is_some()) {
            sealed.push(id);
        }
    }
    Ok(sealed)
}

/// Says how many of these artifacts a repair has left without their seal.
fn say_void(context: &Context, registry: &Registry, sealed: &[ArtifactId]) -> Result<(), Failure> {
    let mut void = 0_u64;
    for id in sealed {
        let artifact = registry.get(&Target::Id(*id))?;
        void += u64::from(artifact.is_some_and(|artifact| artifact.sealed_at.is_none()));
    }
    let (seals, data, it) = match void {
        0 => return Ok(()),
        1 => ("the seal of 1 artifact is", "its data", "it"),
        _ => ("the seals of artifacts are", "their data", "them"),
    };
    let void = render::number(void);
    let seals = seals.replace("of artifacts", &format!("of {void} artifacts"));
    context.warn(&context.with_base(&format!(
        "{seals} void, because {data} changed since; if the data is right, seal {it} again with: \
         dalsegno seal PATH"
    )));
    Ok(())
}

/// Says what has no row and is no finding for all that, and how far a copy can be believed.
fn say_undecided(context: &Context, report: &VerifyReport) {
    let host = context
        .published
        .get()
        .map(|published| &published.copy.host);
    if report.noted > 0 {
        let by = host.map_or(String::new(), |host| format!(" on host {host}"));
        let (are, them) = match report.noted {
            1 => ("is", "it"),
            _ => ("are", "them"),
        };
        context.say(&format!(
            "{} without a row {are} noted in the inbox; the next command that writes{by} records \
             {them}",
            render::number(report.noted)
        ));
    }
    let Some(host) = host else {
        return;
    };
    if report.newer > 0 {
        let are = match report.newer {
            1 => "is newer than the copy, and was",
            _ => "are newer than the copy, and were",
        };
        let newer = render::number(report.newer);
        context.say(&format!("{newer} without a row {are} not judged"));
    }
    if !report.findings.is_empty() {
        let call = context.with_base(": dalsegno verify");
        context.say(&format!(
            "a finding may be a change since the copy was made; to be sure, run on host \
             {host}{call}"
        ));
    }
}
