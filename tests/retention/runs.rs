//! Plans for whole runs.

use std::time::Duration;

use dalsegno::model::artifact::{Origin, State};
use dalsegno::model::key::Key;
use dalsegno::retention::{
    Disk, InventoryRow, InventoryRun, Limits, PlanError, RunInventory, RunPolicy, plan_runs,
};

use crate::build::*;

/// A run of a container and two predictions, all written this long ago. Ids count from `id` on.
fn run(name: &str, id: i64, age: Duration) -> InventoryRun {
    let container = Key::ValidationContainer {
        run: name.parse().unwrap(),
    };
    let mut rows = vec![
        row(id, container),
        row(id + 1, prediction_of(name, 1, "x")),
        row(id + 2, prediction_of(name, 2, "x")),
    ];
    rows[0].artifact.size = None;
    for row in &mut rows {
        row.artifact.written_at = Some(ago(age));
        row.artifact.recorded_at = ago(age);
    }
    InventoryRun::new(name.parse().unwrap(), ago(age), rows)
}

fn three() -> Vec<InventoryRun> {
    vec![
        run("new", 10, DAY),
        run("mid", 20, 10 * DAY),
        run("old", 30, 90 * DAY),
    ]
}

fn inventory(runs: Vec<InventoryRun>) -> RunInventory {
    RunInventory::new(runs).disk(Disk::default().free(0))
}

fn plan_of(policy: &RunPolicy, runs: Vec<InventoryRun>) -> Vec<String> {
    text(&plan_runs(policy, &inventory(runs), NOW).unwrap())
}

fn older_than(time: Duration) -> RunPolicy {
    RunPolicy::default().older_than(time)
}

#[test]
fn runs_go_as_wholes() {
    let policy = older_than(30 * DAY);
    let gone = "remove | not-kept: no rule keeps its run: its newest artifact is 90d old";
    let kept = |age| format!("keep | older-than 30d: its newest artifact is {age} old");
    assert_eq!(
        plan_of(&policy, three()),
        [
            format!("21 {}", kept("10d")),
            format!("22 {}", kept("10d")),
            format!("20 {}", kept("10d")),
            format!("11 {}", kept("1d")),
            format!("12 {}", kept("1d")),
            format!("10 {}", kept("1d")),
            format!("31 {gone}"),
            format!("32 {gone}"),
            format!("30 {gone}"),
        ]
    );
}

#[test]
fn the_newest_runs_and_those_within_a_time_stay() {
    let policy = older_than(5 * DAY).last(1).within(10 * DAY);
    let plan = plan_of(&policy, three());
    assert_eq!(
        plan[0],
        "21 keep | keep-within 10d: its newest artifact is 10d old"
    );
    assert_eq!(
        plan[3],
        "11 keep | older-than 5d: its newest artifact is 1d old | keep-last 1: newest of 3 \
         runs | keep-within 10d: its newest artifact is 1d old"
    );
    assert_eq!(
        plan[6],
        "31 remove | not-kept: no rule keeps its run: its newest artifact is 90d old, 3rd \
         newest of 3 runs"
    );
}

#[test]
fn a_run_that_is_being_written_stays_whole() {
    let mut runs = three();
    runs[2].rows[1].artifact.written_at = Some(ago(HOUR / 2));
    let policy = RunPolicy::default().last(1);
    let plan = plan_of(&policy, runs);
    for line in &plan[6..9] {
        assert!(
            line.ends_with(
                "keep | recent: its run is in use: old/validation.zarr/1/x/prediction written 30m \
                 ago"
            ),
            "{line}"
        );
    }
    let mut runs = three();
    runs[1].rows[0].artifact.state = State::Reserved;
    runs[1].rows[0].artifact.origin = Origin::Recorded;
    runs[1].rows[0].artifact.recorded_at = NOW.plus(HOUR);
    runs[2].newest = NOW.plus(HOUR);
    let plan = plan_of(&older_than(5 * DAY), runs);
    assert!(
        plan[0].starts_with("21 keep | future: its run is in use: mid"),
        "{plan:#?}"
    );
    assert!(
        plan[6].starts_with("31 keep | future: its run is in use: its newest"),
        "{plan:#?}"
    );
}

#[test]
fn what_is_pinned_or_linked_stays_of_a_run_that_goes() {
    let mut runs = three();
    runs[2].rows[1].artifact.pins = vec!["figure-3".to_owned()];
    runs[2].rows[2].best_links = vec!["x/voi".to_owned()];
    let plan = plan_of(&older_than(30 * DAY), runs);
    assert_eq!(plan[6], "31 keep | pinned: figure-3");
    assert_eq!(plan[7], "32 keep | best-link: x/voi");
    assert!(plan[8].starts_with("30 remove"));
}

#[test]
fn limits_take_the_oldest_runs_and_no_more_than_they_need() {
    let limited = |limit| RunPolicy::default().limit(limit);
    let policy = limited(Limits::default().max_bytes(400));
    let plan = plan_of(&policy, three());
    let within = "keep | within-budget: no rule keeps its run, and the limits are met with it";
    assert_eq!(plan[0], format!("21 {within}"));
    assert_eq!(plan[3], format!("11 {within}"));
    assert_eq!(
        plan[6],
        "31 remove | max-size 400 B: oldest first; 600 B are left with it"
    );
    let mut runs = three();
    runs[2].rows[1].artifact.pins = vec!["figure-3".to_owned()];
    runs[1].rows[1].artifact.state = State::Missing;
    let policy = limited(Limits::default().max_files(5).min_free(150)).last(1);
    let plan = plan_runs(&policy, &inventory(runs), NOW).unwrap();
    assert_eq!(removed(&plan), [21, 22, 20, 32, 30]);
    assert_eq!(
        plan.unmet,
        ["max-files 5: 30 files would still be there, kept by rules"]
    );
    let totals = plan.totals();
    assert_eq!(totals.removed.artifacts, 5);
    assert_eq!(
        totals.removed.size.files, 20,
        "what is missing counts nothing"
    );
    assert_eq!(totals.removed.size.uncounted, 0);
}

#[test]
fn all_runs_go_only_where_that_is_allowed() {
    let strict = older_than(5 * DAY);
    let old = || vec![run("mid", 20, 10 * DAY), run("old", 30, 90 * DAY)];
    let error = plan_runs(&strict, &inventory(old()), NOW).unwrap_err();
    assert_eq!(error, PlanError::EveryRun { runs: 2 });
    assert_eq!(error.code(), "plan-empties-group");
    let allowed = strict.clone().allow_empty_group(true);
    assert_eq!(plan_of(&allowed, old()).len(), 6);
    let mut pinned = old();
    pinned[0].rows[0].artifact.pins = vec!["a".to_owned()];
    assert_eq!(plan_of(&strict, pinned).len(), 6);
    assert_eq!(plan_of(&strict, Vec::new()), Vec::<String>::new());
}

#[test]
fn limits_need_every_size_of_what_is_there() {
    let policy = RunPolicy::default()
        .limit(Limits::default().max_bytes(1))
        .allow_empty_group(true);
    let unmeasured = |state| {
        let mut runs = three();
        let row: &mut InventoryRow = &mut runs[0].rows[1];
        row.artifact.size = None;
        row.artifact.state = state;
        plan_runs(&policy, &inventory(runs), NOW)
    };
    let error = unmeasured(State::Present).unwrap_err();
    assert_eq!(error.code(), "plan-unmeasured");
    assert!(unmeasured(State::Reserved).is_ok());
}
