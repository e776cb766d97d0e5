//! A plan on stdout: its lines, what stays and what is removed.

use serde::Serialize;

use super::summary::{self, NOTHING, about, reasons};
use crate::cli::context::Context;
use crate::cli::fail::Failure;
use crate::cli::flags::{Format, Output};
use crate::cli::render::{
    self, Align, Column, Record, Rows, count, or_empty, size_fields, total_text,
};
use crate::model::clock::Timestamp;
use crate::ops::gc::GcPlan;
use crate::registry::Registry;
use crate::retention::{Decision, FreeGoal, Plan, PlanLine, PlanSum, PlanTotals};

impl Record for PlanLine {
    const NAME: &'static str = "lines";
    const COLUMNS: &'static [Column] = &[
        Column("RUN", Align::Text),
        Column("ITERATION", Align::Right),
        Column("KIND", Align::Left),
        Column("CONTAINER", Align::Rare),
        Column("DATASET", Align::Text),
        Column("PARAMETERS", Align::Text),
        Column("AGE", Align::Right),
        Column("SIZE", Align::Right),
        Column("FILES", Align::Right),
        Column("DECISION", Align::Left),
        Column("REASONS", Align::Prose),
    ];
    const MINOR: &'static [&'static str] = &["FILES", "AGE", "SIZE", "KIND"];
    const FIELDS: &'static [&'static str] = &[
        "run",
        "iteration",
        "kind",
        "dataset",
        "parameters",
        "age_seconds",
        "bytes",
        "files",
        "decision",
        "reasons",
        "id",
        "path",
    ];

    fn cells(&self) -> Vec<String> {
        let mut cells = about(self);
        cells.extend([word(self.decision).to_owned(), reasons(self)]);
        cells
    }

    fn fields(&self) -> Vec<String> {
        let key = &self.artifact.key;
        let [bytes, files] = size_fields(self.artifact.size);
        vec![
            key.run().to_string(),
            or_empty(key.iteration()),
            key.kind().to_string(),
            or_empty(key.dataset()),
            or_empty(key.parameters()),
            // In seconds, so that programs can compare them.
            or_empty(self.age.map(|age| age.as_secs())),
            bytes,
            files,
            word(self.decision).to_owned(),
            reasons(self),
            self.artifact.id.to_string(),
            self.artifact.path().display().to_string(),
        ]
    }
}

pub(super) fn word(decision: Decision) -> &'static str {
    match decision {
        Decision::Keep => "keep",
        Decision::Remove => "remove",
    }
}

#[derive(Serialize)]
struct PlanDocument<'a> {
    id: &'a str,
    registry: &'a str,
    made_at: Timestamp,
    policy: &'a str,
    lines: &'a [PlanLine],
    min_free: Option<&'a FreeGoal>,
    unmet: &'a [String],
    notices: &'a [String],
    #[serde(flatten)]
    totals: PlanTotals,
}

/// Shows a plan: its lines, then the sums of what stays and what is removed.
pub(super) fn show(
    context: &mut Context,
    (registry, plan): (&Registry, &GcPlan),
    form: Form,
    output: Output,
) -> Result<(), Failure> {
    let totals = plan.plan.totals();
    let format = context.format(output);
    if format == Format::Json {
        let document = PlanDocument {
            id: &plan.file.id,
            registry: &plan.file.registry,
            made_at: plan.file.made_at,
            policy: &plan.file.policy,
            lines: &plan.plan.lines,
            min_free: plan.plan.min_free.as_ref(),
            unmet: &plan.plan.unmet,
            notices: &plan.plan.notices,
            totals,
        };
        return render::document(context, "plan", &document);
    }
    lines(context, (registry, &plan.plan), form, format)?;
    // Also without lines: a remark may say why the plan is empty.
    for remark in plan.plan.unmet.iter().chain(&plan.plan.notices) {
        context.warn(remark);
    }
    say_goal(context, &plan.plan);
    // Without lines it has been said that nothing matches.
    if !plan.plan.lines.is_empty() {
        let text = |sum: &PlanSum| {
            let disk = sum.disk_bytes.map_or("?".to_owned(), |it| it.to_string());
            format!(
                "{}, {}, {disk} on disk",
                count(sum.artifacts, "artifact"),
                total_text(&sum.size),
            )
        };
        let is_short = format == Format::Table && form == Form::Short;
        let more = match is_short && totals.kept.artifacts > 0 {
            true => "; list them too with: --all",
            false => "",
        };
        context.say(&format!("would keep   {}{more}", text(&totals.kept)));
        context.say(&format!("would remove {}", text(&totals.removed)));
        context.say(&format!("plan {} by {}", plan.file.id, plan.file.policy));
        if let Some(nothing) = summary::nothing_to_remove(&plan.plan) {
            context.say(&nothing);
        }
    }
    Ok(())
}

/// Says what a percentage of the file system comes to.
pub(super) fn say_goal(context: &Context, plan: &Plan) {
    // A size is in the rules as it was typed.
    if let Some(goal) = plan.min_free.as_ref().filter(|goal| goal.is_share()) {
        context.say(&format!("min-free {goal}"));
    }
}

/// How much of a plan a table shows. TSV and JSON have every line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A summary for each run, and what goes.
    Short,
    /// Every line.
    All,
}

/// Shows the lines of a plan.
pub(super) fn lines(
    context: &mut Context,
    (registry, plan): (&Registry, &Plan),
    form: Form,
    format: Format,
) -> Result<(), Failure> {
    let nothing = context.or_new(registry, NOTHING)?;
    if format == Format::Table && form == Form::Short {
        return summary::show(context, plan, &nothing);
    }
    // A table says it itself.
    if plan.lines.is_empty() && format != Format::Table {
        context.say(&nothing);
    }
    let mut rows = Rows::new::<PlanLine>(context, format)?;
    plan.lines.iter().try_for_each(|line| rows.push(line))?;
    rows.finish(&nothing).map(|_| ())
}
