//! Artifacts, inventories and policies for tests, and plans as text.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dalsegno::model::artifact::{Artifact, ArtifactId, Origin, State};
use dalsegno::model::clock::Timestamp;
use dalsegno::model::key::{Key, Kind};
use dalsegno::model::layout;
use dalsegno::model::size::{ByteCount, Size};
use dalsegno::retention::{
    Decision, Inventory, InventoryRow, InventoryScore, KeepBest, KeepRules, Plan, PlanError,
    PlanLine, Policy, plan,
};

pub(crate) const NOW: Timestamp = Timestamp(1_700_000_000_000);

pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

pub(crate) fn ago(time: Duration) -> Timestamp {
    NOW.minus(time)
}

/// An artifact of 100 bytes and 10 files that a scan found, written 30 days ago.
pub(crate) fn artifact(id: i64, key: Key) -> Artifact {
    let base = Arc::from(Path::new("/base"));
    let mut artifact = Artifact::new(ArtifactId(id), key, ago(30 * DAY), base);
    artifact.state = State::Present;
    artifact.origin = Origin::Scanned;
    artifact.size = Some(Size {
        bytes: ByteCount(100),
        files: 10,
    });
    artifact.written_at = Some(ago(30 * DAY));
    artifact
}

pub(crate) fn row(id: i64, key: Key) -> InventoryRow {
    artifact(id, key).into()
}

pub(crate) fn prediction(iteration: i64) -> Key {
    prediction_of("run", iteration, "crop7")
}

pub(crate) fn prediction_of(run: &str, iteration: i64, dataset: &str) -> Key {
    Key::Prediction {
        run: run.parse().unwrap(),
        iteration,
        dataset: dataset.parse().unwrap(),
        container: None,
    }
}

pub(crate) fn output(iteration: i64, parameters: &str) -> Key {
    output_of(iteration, "crop7", parameters)
}

pub(crate) fn output_of(iteration: i64, dataset: &str, parameters: &str) -> Key {
    Key::Output {
        run: "run".parse().unwrap(),
        iteration,
        dataset: dataset.parse().unwrap(),
        parameters: parameters.parse().unwrap(),
        container: None,
    }
}

pub(crate) fn snapshot(dataset: &str) -> Key {
    layout::parse(&format!("r/snapshot.zarr/{dataset}")).unwrap()
}

pub(crate) fn snapshot_at(iteration: i64, dataset: &str) -> Key {
    snapshot(&format!("{iteration}/{dataset}"))
}

pub(crate) fn checkpoint(iteration: i64) -> Key {
    Key::Checkpoint {
        run: "run".parse().unwrap(),
        iteration,
    }
}

/// Predictions of these iterations, with ids from 1 on.
pub(crate) fn predictions(iterations: &[i64]) -> Vec<InventoryRow> {
    (1..)
        .zip(iterations)
        .map(|(id, iteration)| row(id, prediction(*iteration)))
        .collect()
}

pub(crate) fn inventory(rows: Vec<InventoryRow>) -> Inventory {
    Inventory::new(rows)
}

/// A policy with keep rules only, that may empty groups.
pub(crate) fn keeping(keep: KeepRules) -> Policy {
    Policy::default().keep(keep).allow_empty_group(true)
}

pub(crate) fn keep_last(count: u64) -> KeepRules {
    KeepRules::default().last(count)
}

pub(crate) fn keep_best(count: u64, metric: &str, with: &[Kind]) -> KeepRules {
    KeepRules::default().best(KeepBest::new(count, metric.parse().unwrap()).with(with.to_vec()))
}

pub(crate) fn score(dataset: Option<&str>, parameters: Option<&str>, value: f64) -> InventoryScore {
    InventoryScore::new(value)
        .dataset(dataset.map(str::to_owned))
        .parameters(parameters.map(str::to_owned))
}

/// A row with scores.
pub(crate) fn scored(id: i64, key: Key, scores: &[InventoryScore]) -> InventoryRow {
    row(id, key).scores(scores)
}

pub(crate) fn planned(policy: &Policy, rows: Vec<InventoryRow>) -> Plan {
    try_plan(policy, rows).unwrap()
}

pub(crate) fn try_plan(policy: &Policy, rows: Vec<InventoryRow>) -> Result<Plan, PlanError> {
    plan(policy, &inventory(rows), NOW)
}

pub(crate) fn text_of(line: &PlanLine) -> String {
    let decision = match line.decision {
        Decision::Keep => "keep",
        Decision::Remove => "remove",
    };
    let reasons: Vec<String> = line.reasons.iter().map(ToString::to_string).collect();
    format!("{} {decision} | {}", line.artifact.id, reasons.join(" | "))
}

/// A plan as text, a line each: `id decision | reason | reason`.
pub(crate) fn text(plan: &Plan) -> Vec<String> {
    plan.lines.iter().map(text_of).collect()
}

pub(crate) fn removed(plan: &Plan) -> Vec<i64> {
    plan.removed().map(|line| line.artifact.id.0).collect()
}

pub(crate) fn kept(plan: &Plan) -> Vec<i64> {
    plan.kept().map(|line| line.artifact.id.0).collect()
}
