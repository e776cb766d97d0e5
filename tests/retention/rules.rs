//! A table with every rule, and the words that it gives.

use std::collections::BTreeSet;

use dalsegno::model::artifact::{Artifact, Origin, State};
use dalsegno::model::key::{Key, Kind};
use dalsegno::retention::{
    Disk, Inventory, InventoryRow, InventoryRun, KeepRules, Limits, Policy, RECENT, RULES,
    RunInventory, RunPolicy, explain, plan, plan_runs,
};

use crate::build::*;

/// A policy, its inventory, and the plan that is expected.
struct Case {
    policy: Policy,
    rows: Vec<InventoryRow>,
    expected: Vec<&'static str>,
}

fn case(policy: Policy, rows: Vec<InventoryRow>, expected: &[&'static str]) -> Case {
    Case {
        policy,
        rows,
        expected: expected.to_vec(),
    }
}

fn with(id: i64, key: Key, change: impl FnOnce(&mut Artifact)) -> InventoryRow {
    let mut artifact = artifact(id, key);
    change(&mut artifact);
    artifact.into()
}

fn keep_rules() -> Vec<Case> {
    vec![
        case(
            keeping(keep_last(2)),
            predictions(&[9000, 10_000, 9900]),
            &[
                "1 remove | not-kept: no rule keeps it: 3rd newest of 3 iterations",
                "3 keep | keep-last 2: 2nd newest of 3 iterations",
                "2 keep | keep-last 2: newest of 3 iterations",
            ],
        ),
        case(
            keeping(KeepRules::default().first(1)),
            predictions(&[10_000, 9900, -5]),
            &[
                "3 keep | keep-first 1: oldest of 3 iterations",
                "2 remove | not-kept: no rule keeps it: 2nd oldest of 3 iterations",
                "1 remove | not-kept: no rule keeps it: 3rd oldest of 3 iterations",
            ],
        ),
        case(
            keeping(KeepRules::default().every(1000)),
            predictions(&[0, 1500, 2000, -1000]),
            &[
                "4 keep | keep-every 1000: -1000 is divisible by 1000",
                "1 keep | keep-every 1000: 0 is divisible by 1000",
                "2 remove | not-kept: no rule keeps it: 1500 is not divisible by 1000",
                "3 keep | keep-every 1000: 2000 is divisible by 1000",
            ],
        ),
        // Arrays that hold several iterations, in no order, go by the newest.
        case(
            keeping(KeepRules::default().every(1000)),
            vec![
                with(1, snapshot("raw"), |it| {
                    it.iterations = vec![1000, 2500, 2000]
                }),
                with(2, snapshot("raw"), |it| it.iterations = vec![2000, 1500]),
                row(3, snapshot("raw")),
            ],
            &[
                "3 keep | no-iteration: it has no iteration",
                "2 keep | keep-every 1000: 2000 is divisible by 1000",
                "1 remove | not-kept: no rule keeps it: 2500 is not divisible by 1000",
            ],
        ),
        case(
            keeping(keep_last(1)),
            vec![
                with(1, snapshot("raw"), |it| it.iterations = vec![1000, 3000]),
                row(2, snapshot_at(2000, "raw")),
                row(3, snapshot_at(4000, "raw")),
            ],
            &[
                "2 remove | not-kept: no rule keeps it: 3rd newest of 3 iterations",
                "1 remove | not-kept: no rule keeps it: 2nd newest of 3 iterations",
                "3 keep | keep-last 1: newest of 3 iterations",
            ],
        ),
        case(
            keeping(KeepRules::default().iterations(vec![7, 5])),
            predictions(&[5, 6, 7]),
            &[
                "1 keep | keep-iterations 7, 5: iteration 5 is named",
                "2 remove | not-kept: no rule keeps it: iteration 6 is not named",
                "3 keep | keep-iterations 7, 5: iteration 7 is named",
            ],
        ),
        case(
            keeping(KeepRules::default().within(14 * DAY)),
            vec![
                with(1, prediction(1), |it| it.written_at = Some(ago(14 * DAY))),
                with(2, prediction(2), |it| {
                    it.written_at = Some(ago(14 * DAY + HOUR));
                }),
                // The time of writing is unknown: the time of recording counts.
                with(3, prediction(3), |it| {
                    it.written_at = None;
                    it.recorded_at = ago(2 * HOUR);
                }),
            ],
            &[
                "1 keep | keep-within 14d: written 14d ago",
                "2 remove | not-kept: no rule keeps it: written 14d 1h ago",
                "3 keep | keep-within 14d: recorded 2h ago",
            ],
        ),
        case(
            keeping(keep_best(1, "voi:min", &[])),
            vec![
                scored(1, output(1, "a"), &[score(None, None, 0.75)]),
                scored(2, output(2, "a"), &[score(None, None, 0.5)]),
            ],
            &[
                "1 remove | not-kept: no rule keeps it: 2nd best of 2, voi 0.75",
                "2 keep | keep-best 1 voi:min: best of 2, voi 0.5",
            ],
        ),
        case(
            keeping(KeepRules::default().first(1)),
            vec![
                row(1, checkpoint(1)),
                row(2, checkpoint(2)),
                row(3, checkpoint(3)).newest_checkpoint(true),
            ],
            &[
                "1 keep | keep-first 1: oldest of 3 iterations",
                "2 remove | not-kept: no rule keeps it: 2nd oldest of 3 iterations",
                "3 keep | newest-checkpoint: a training resumes from it, and forgets the \
                 statistics after it",
            ],
        ),
        case(
            keeping(KeepRules::default().first(1).within(DAY)),
            vec![
                row(2, prediction(2)).unread(true),
                with(3, prediction(3), |it| {
                    it.data_written_at = Some(ago(2 * HOUR));
                }),
            ],
            &[
                "2 keep | unreadable: its folders cannot be read, so when it was last written is \
                 unknown | keep-first 1: oldest of 2 iterations",
                "3 keep | keep-within 1d: written 2h ago",
            ],
        ),
        // A kept artifact shows all that keeps it, a removed one what each rule found.
        case(
            keeping(keep_last(1).first(1).every(2)),
            predictions(&[1, 2, 3]),
            &[
                "1 keep | keep-first 1: oldest of 3 iterations",
                "2 keep | keep-every 2: 2 is divisible by 2",
                "3 keep | keep-last 1: newest of 3 iterations",
            ],
        ),
        case(
            keeping(keep_last(1).every(3)),
            predictions(&[1, 3]),
            &[
                "1 remove | not-kept: no rule keeps it: 2nd newest of 2 iterations, 1 is not \
                 divisible by 3",
                "2 keep | keep-last 1: newest of 2 iterations | keep-every 3: 3 is divisible by 3",
            ],
        ),
    ]
}

fn always_kept() -> Vec<Case> {
    let linked =
        row(2, prediction(1)).best_links(vec!["crop7/voi".to_owned(), "crop7/f1".to_owned()]);
    let unknown = "no-metric: its voi is unknown";
    assert_eq!(RECENT, HOUR);
    vec![
        case(
            keeping(keep_last(1)),
            vec![
                with(1, prediction(0), |it| {
                    it.pins = vec!["figure-3".to_owned(), "thesis".to_owned()];
                }),
                linked,
                with(3, prediction(2), |it| it.pins = vec!["last".to_owned()]),
                row(4, prediction(-1)).pinned_elsewhere("old/v".to_owned()),
            ],
            &[
                "4 keep | pinned-elsewhere: the data of old/v, which is pinned",
                "1 keep | pinned: figure-3 | pinned: thesis",
                "2 keep | best-link: crop7/voi | best-link: crop7/f1",
                "3 keep | pinned: last | keep-last 1: newest of 4 iterations",
            ],
        ),
        case(
            keeping(keep_last(1)),
            vec![
                with(1, prediction(1), |it| it.written_at = Some(ago(HOUR))),
                with(2, prediction(2), |it| {
                    it.written_at = Some(ago(HOUR).minus(DAY / 86_400))
                }),
                // What a scan takes in just now may be old.
                with(3, prediction(3), |it| it.recorded_at = NOW),
                with(4, prediction(4), |it| {
                    it.origin = Origin::Recorded;
                    it.recorded_at = ago(HOUR / 2);
                }),
                with(5, prediction(5), |it| {
                    it.origin = Origin::Recorded;
                    it.recorded_at = NOW;
                    it.written_at = None;
                }),
                row(6, prediction(6)),
            ],
            &[
                "1 keep | recent: written 1h ago",
                "2 remove | not-kept: no rule keeps it: 5th newest of 6 iterations",
                "3 remove | not-kept: no rule keeps it: 4th newest of 6 iterations",
                "4 keep | recent: recorded 30m ago",
                "5 keep | recent: recorded 0s ago",
                "6 keep | keep-last 1: newest of 6 iterations",
            ],
        ),
        case(
            keeping(keep_last(1)),
            vec![
                with(1, prediction(1), |it| it.written_at = Some(NOW.plus(HOUR))),
                with(2, prediction(2), |it| it.recorded_at = NOW.plus(HOUR)),
                row(3, prediction(3)),
            ],
            &[
                "1 keep | future: written at 2023-11-14T23:13:20.000Z",
                "2 keep | future: recorded at 2023-11-14T23:13:20.000Z",
                "3 keep | keep-last 1: newest of 3 iterations",
            ],
        ),
        case(
            keeping(keep_last(1)),
            vec![row(
                1,
                Key::InputRaw {
                    run: "run".parse().unwrap(),
                    index: None,
                },
            )],
            &["1 keep | no-iteration: it has no iteration"],
        ),
        case(
            keeping(keep_best(1, "voi:min", &[])),
            vec![row(1, output(1, "a")), row(2, prediction(1))],
            &[
                "2 keep | no-rule: the policy has no keep rule for kind prediction",
                &format!("1 keep | {unknown}").leak()[..],
            ],
        ),
    ]
}

fn limits() -> Vec<Case> {
    let limited = |limit| Policy::default().limit(limit).allow_empty_group(true);
    let aged = |id: i64, days: u32| {
        with(id, prediction(id), |it| {
            it.written_at = Some(ago(days * DAY))
        })
    };
    vec![
        case(
            limited(Limits::default().max_bytes(150)),
            vec![aged(1, 5), aged(2, 9), aged(3, 7)],
            &[
                "1 keep | within-budget: no rule keeps it, and the limits are met with it",
                "2 remove | max-size 150 B: oldest first; 300 B are left with it",
                "3 remove | max-size 150 B: oldest first; 200 B are left with it",
            ],
        ),
        case(
            limited(Limits::default().max_files(10).max_bytes(250)),
            vec![aged(1, 5), aged(2, 9), aged(3, 7)],
            &[
                "1 keep | within-budget: no rule keeps it, and the limits are met with it",
                "2 remove | max-size 250 B: oldest first; 300 B are left with it | max-files 10: \
                 oldest first; 30 files are left with it",
                "3 remove | max-files 10: oldest first; 20 files are left with it",
            ],
        ),
        case(
            limited(Limits::default().min_free(60)).keep(KeepRules::default().first(1)),
            vec![aged(1, 9), aged(2, 7), aged(3, 5)],
            &[
                "1 keep | keep-first 1: oldest of 3 iterations",
                "2 remove | min-free 60 B: oldest first; 50 B are free with it",
                "3 keep | within-budget: no rule keeps it, and the limits are met with it",
            ],
        ),
    ]
}

fn inventory_of(rows: Vec<InventoryRow>) -> Inventory {
    inventory(rows).disk(Disk::default().free(50))
}

#[test]
fn every_rule_says_what_it_keeps_and_why() {
    let mut seen = BTreeSet::new();
    for Case {
        policy,
        rows,
        expected,
    } in keep_rules()
        .into_iter()
        .chain(always_kept())
        .chain(limits())
    {
        let plan = plan(&policy, &inventory_of(rows), NOW).unwrap();
        assert_eq!(text(&plan), expected, "{policy:?}");
        let reasons = plan.lines.iter().flat_map(|line| &line.reasons);
        seen.extend(reasons.map(|reason| reason.rule));
    }
    let run = InventoryRun::new(
        "run".parse().unwrap(),
        ago(DAY),
        vec![row(1, prediction(1))],
    );
    let policy = RunPolicy::default().older_than(2 * DAY);
    let runs = RunInventory::new(vec![run]);
    let plan = plan_runs(&policy, &runs, NOW).unwrap();
    seen.insert(plan.lines[0].reasons[0].rule);
    let mut damaged = row(1, prediction(1));
    damaged.artifact.state = State::Damaged;
    let policy = Policy::default().keep(KeepRules::default().last(1));
    let kept = dalsegno::retention::plan(&policy, &inventory_of(vec![damaged]), NOW).unwrap();
    seen.insert(kept.lines[0].reasons[0].rule);
    // Of whole plans, after they are merged; the tests of `gc` cover it.
    seen.insert("last-complete");
    assert_eq!(seen, BTreeSet::from(RULES));
}

#[test]
fn groups_are_runs_kinds_and_datasets() {
    let rows = vec![
        row(1, prediction_of("a", 1, "x")),
        row(2, prediction_of("a", 2, "x")),
        row(3, prediction_of("a", 1, "y")),
        row(4, prediction_of("b", 1, "x")),
        row(5, output(1, "p")),
        row(6, output(2, "p")),
        row(7, output(2, "q")),
    ];
    let plan = planned(&keeping(keep_last(1)), rows);
    assert_eq!(removed(&plan), [1, 5]);
    assert_eq!(
        kept(&plan),
        [2, 3, 4, 6, 7],
        "iterations count, not artifacts"
    );
}

#[test]
fn what_is_not_present_takes_no_place() {
    let mut rows = predictions(&[1, 2, 3]);
    rows[2].artifact.state = State::Missing;
    let plan = planned(&keeping(keep_last(1)), rows);
    assert_eq!(removed(&plan), [1]);
    assert_eq!(kept(&plan), [2]);
}

#[test]
fn lines_are_in_the_order_of_the_table() {
    let rows = vec![
        row(1, output(10_000, "b")),
        row(2, output(10_000, "a")),
        row(3, output(9000, "z")),
        row(4, output_of(1, "crop8", "a")),
        row(5, prediction(99)),
        row(6, prediction_of("other", 5, "x")),
    ];
    let plan = planned(&keeping(keep_last(9)), rows);
    assert_eq!(kept(&plan), [6, 5, 3, 2, 1, 4]);
}

#[test]
fn an_unknown_size_is_counted_as_unknown() {
    let mut rows = predictions(&[1, 2, 3]);
    rows[0].artifact.size = None;
    let totals = planned(&keeping(keep_last(1)), rows).totals();
    assert_eq!(totals.kept.artifacts, 1);
    assert_eq!(totals.removed.artifacts, 2);
    assert_eq!(totals.removed.size.bytes.0, 100);
    assert_eq!(totals.removed.size.uncounted, 1);
}

#[test]
fn a_line_serializes_flat() {
    let plan = planned(&keeping(keep_last(1)), predictions(&[1]));
    let json = serde_json::to_value(&plan).unwrap();
    let line = &json["lines"][0];
    assert_eq!(line["decision"], "keep");
    assert_eq!(line["reasons"][0]["rule"], "keep-last");
    assert_eq!(line["reasons"][0]["detail"], "newest of 1 iteration");
    assert_eq!(line["age_seconds"], 30 * 24 * 3600);
    assert_eq!(line["iteration"], 1);
    assert_eq!(line["path"], "/base/run/validation.zarr/1/crop7/prediction");
    let mut rows = predictions(&[1]);
    rows[0].artifact.written_at = Some(NOW.plus(HOUR));
    let plan = planned(&keeping(keep_last(1)), rows);
    let json = serde_json::to_value(&plan).unwrap();
    assert!(json["lines"][0]["age_seconds"].is_null());
}

#[test]
fn an_explanation_gives_the_verdict_of_every_rule() {
    let policy = Policy::default()
        .keep(
            keep_best(1, "voi:min", &[])
                .every(4)
                .first(1)
                .iterations(vec![5])
                .within(DAY),
        )
        .limit(Limits::default().max_files(55).max_bytes(1 << 40))
        .allow_empty_group(true);
    let iterations = [1, 2, 3, 4, 5, 6];
    let rows: Vec<InventoryRow> = iterations
        .map(|n| scored(n, output(n, "a"), &[score(None, None, 1.0 / n as f64)]))
        .into();
    let inventory = inventory(rows);
    let of = |id: i64| {
        let id = dalsegno::model::artifact::ArtifactId(id);
        explain(&policy, &inventory, NOW, id).unwrap()
    };
    let explanation = of(2).unwrap();
    let verdicts: Vec<String> = explanation
        .verdicts
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        verdicts,
        [
            "keep-first 1: no, it is the 2nd oldest of 6 iterations",
            "keep-every 4: no, 2 is not divisible by 4",
            "keep-iterations 5: no, iteration 2 is not named",
            "keep-within 1d: no, it was written 30d ago",
            "keep-best 1 voi:min: no, it is the 5th best of 6, voi 0.5",
            "max-size 1.0 TiB: yes, it is met with it",
            "max-files 55: no, oldest first; 60 files are left with it",
        ]
    );
    assert_eq!(explanation.group.kind, Kind::Output);
    assert_eq!(
        explanation.group.to_string(),
        "output of run, dataset crop7"
    );
    assert_eq!((explanation.group_kept, explanation.group_removed), (5, 1));
    let explanation = of(1).unwrap();
    let last = explanation.verdicts.last().unwrap().to_string();
    assert_eq!(
        last,
        "max-files 55: yes, limits take nothing that a rule keeps"
    );
    assert!(of(7).is_none());
}

#[test]
fn an_iteration_that_is_kept_in_vain_is_a_notice() {
    let keep = KeepRules::default().iterations([2, 7]);
    let policy = Policy::default().keep(keep.last(1));
    let plan = plan(&policy, &inventory(predictions(&[1, 2, 3])), NOW).unwrap();
    assert_eq!(
        plan.notices,
        ["keep-iterations 7 keeps nothing: nothing of iteration 7 is selected"]
    );
}
