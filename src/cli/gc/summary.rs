//! A plan in short: for each run what stays, what goes, and why the rest stays; then what goes.

use std::collections::{BTreeMap, HashMap};

use crate::cli::artifacts::container_cell;
use crate::cli::context::Context;
use crate::cli::fail::Failure;
use crate::cli::flags::Format;
use crate::cli::render::{
    Align, Column, Heads, Rows, number, or_dash, short_age, size_cells, total_cells,
};
use crate::model::name::RunName;
use crate::retention::{Decision, Plan, PlanLine, PlanSum, Reason};

/// What to say about a plan without lines.
pub(super) const NOTHING: &str = "no present artifact matches";

const RUNS: &[Column] = &[
    Column("RUN", Align::Text),
    Column("KEEPS", Align::Right),
    Column("REMOVES", Align::Right),
    Column("SIZE", Align::Right),
    Column("FILES", Align::Right),
    Column("WHY THE REST STAYS", Align::Prose),
];

const GOING: &[Column] = &[
    Column("RUN", Align::Text),
    Column("ITERATION", Align::Right),
    Column("KIND", Align::Left),
    Column("CONTAINER", Align::Rare),
    Column("DATASET", Align::Text),
    Column("PARAMETERS", Align::Text),
    Column("AGE", Align::Right),
    Column("SIZE", Align::Right),
    Column("FILES", Align::Right),
    Column("WHY IT GOES", Align::Prose),
];

/// What a plan makes of one run.
#[derive(Default)]
struct RunSum<'a> {
    kept: u64,
    removed: PlanSum,
    /// How many stay for each reason, by its words. An artifact counts for its first reason.
    why: HashMap<String, (u64, &'a str)>,
}

/// What a plan makes of each run.
fn sums(plan: &Plan) -> BTreeMap<&RunName, RunSum<'_>> {
    let mut runs: BTreeMap<&RunName, RunSum<'_>> = BTreeMap::new();
    for line in &plan.lines {
        let sum = runs.entry(line.artifact.key.run()).or_default();
        match line.decision {
            Decision::Keep => {
                sum.kept += 1;
                // The first reason is the strongest: guards come before rules.
                if let Some(reason) = line.reasons.first() {
                    let entry = sum.why.entry(words(reason));
                    entry.or_insert((0, reason.rule)).0 += 1;
                }
            }
            Decision::Remove => sum.removed.add(&line.artifact),
        }
    }
    runs
}

/// Says of a plan that removes nothing why all stays; `None` if it removes something, or is about
/// nothing.
pub(super) fn nothing_to_remove(plan: &Plan) -> Option<String> {
    if plan.lines.is_empty() || plan.removed().next().is_some() {
        return None;
    }
    let mut reasons: HashMap<String, (u64, &str)> = HashMap::new();
    for (words, (count, rule)) in sums(plan).into_values().flat_map(|sum| sum.why) {
        reasons.entry(words).or_insert((0, rule)).0 += count;
    }
    Some(format!("nothing to remove: {}", why(&reasons)))
}

/// Shows a plan in short, as tables; `nothing` is said of a plan without lines.
pub(super) fn show(context: &mut Context, plan: &Plan, nothing: &str) -> Result<(), Failure> {
    let runs = context.waiting("planning", || sums(plan));
    let heads = Heads::new(RUNS, &["FILES"]).keeping(&["KEEPS", "REMOVES"]);
    let mut rows = Rows::with(context, Format::Table, "runs", heads, &[""; 0])?;
    for (run, sum) in &runs {
        let [bytes, files] = total_cells(&sum.removed.size);
        let cells = || {
            vec![
                run.to_string(),
                number(sum.kept),
                number(sum.removed.artifacts),
                bytes,
                files,
                why(&sum.why),
            ]
        };
        rows.write(&(), cells, Vec::new)?;
    }
    rows.finish(nothing)?;
    if plan.removed().next().is_none() {
        return Ok(());
    }
    context.line("")?;
    let heads = Heads::new(GOING, &["FILES", "AGE", "SIZE", "KIND"]).keeping(&["ITERATION"]);
    let mut rows = Rows::with(context, Format::Table, "lines", heads, &[""; 0])?;
    for line in plan.removed() {
        let cells = || {
            let mut cells = about(line);
            cells.push(reasons(line));
            cells
        };
        rows.write(&(), cells, Vec::new)?;
    }
    rows.finish(nothing).map(|_| ())
}

/// What a line is about, by the columns that the tables of a plan begin with.
pub(super) fn about(line: &PlanLine) -> Vec<String> {
    let key = &line.artifact.key;
    let [bytes, files] = size_cells(line.artifact.size);
    vec![
        key.run().to_string(),
        or_dash(key.iteration()),
        key.kind().to_string(),
        container_cell(key),
        or_dash(key.dataset()),
        or_dash(key.parameters()),
        or_dash(line.age.map(short_age)),
        bytes,
        files,
    ]
}

/// All reasons of a line.
pub(super) fn reasons(line: &PlanLine) -> String {
    let reasons: Vec<String> = line.reasons.iter().map(ToString::to_string).collect();
    reasons.join("; ")
}

/// Reasons with their numbers, the most frequent first: `4,651 without a score, 3 within the last
/// hour`.
fn why(reasons: &HashMap<String, (u64, &str)>) -> String {
    let mut reasons: Vec<(&String, &(u64, &str))> = reasons.iter().collect();
    reasons.sort_by(|(a, (many, _)), (b, (few, _))| few.cmp(many).then(a.cmp(b)));
    let texts = reasons
        .into_iter()
        .map(|(words, (count, _))| format!("{} {words}", number(*count)));
    let text = texts.collect::<Vec<_>>().join(", ");
    if text.is_empty() {
        "-".to_owned()
    } else {
        text
    }
}

/// A reason to keep something, after a number of artifacts.
fn words(reason: &Reason) -> String {
    let fixed = match reason.rule {
        "recent" | "future" if reason.detail.starts_with("its run is") => "of a run in use",
        "pinned" => "pinned",
        "pinned-elsewhere" => "that a pin binds by another name",
        "best-link" => "that DaCapo links as best",
        "newest-checkpoint" => "that a training resumes from",
        "last-complete" => "of the last complete iteration",
        "recent" => "within the last hour",
        "future" => "dated in the future",
        "unreadable" => "that cannot be read",
        "damaged" => "damaged",
        "no-metric" if reason.detail.ends_with("is a number") => "whose scores are no numbers",
        "no-metric" => "without a score",
        "no-iteration" => "without an iteration",
        "no-rule" => "of a kind without a rule",
        "within-budget" => "within the limits",
        rule => {
            let setting = reason.setting.as_deref().unwrap_or_default();
            return match rule {
                "older-than" => format!("not older than {setting}"),
                _ => format!("by {rule} {setting}").trim_end().to_owned(),
            };
        }
    };
    fixed.to_owned()
}
