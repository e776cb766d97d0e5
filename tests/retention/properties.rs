//! What holds for every policy and every inventory.

use std::collections::{BTreeMap, BTreeSet};

use dalsegno::model::artifact::{ArtifactId, Origin};
use dalsegno::model::key::{Key, Kind};
use dalsegno::retention::{
    Decision, Disk, Inventory, InventoryRow, KeepRules, Limits, Plan, Policy, RULES, explain, plan,
};
use proptest::prelude::*;
use proptest::sample::select;

use crate::build::*;

/// Rows of two runs; some are pinned, recent, dated in the future or scored. Rows of one iteration
/// have the same scores.
fn rows() -> impl Strategy<Value = Vec<InventoryRow>> {
    let values = prop_oneof![
        3 => (0..5i32).prop_map(|n| Some(f64::from(n))),
        1 => Just(Some(f64::NAN)),
        1 => Just(Some(f64::INFINITY)),
        2 => Just(None),
    ];
    let scores = prop::collection::vec(values, 2 * 12 * 3);
    let one = (
        select(vec!["a", "b"]),
        0..12i64,
        select(vec!["prediction", "p", "q", "checkpoint"]),
        select(vec!["x", "y"]),
        0..40u32,
        0..12u8,
        0..5u64,
    );
    (prop::collection::vec(one, 0..40), scores).prop_map(|(ones, scores)| {
        let mut keys = BTreeSet::new();
        let mut rows = Vec::new();
        for (run, iteration, what, dataset, days, extra, files) in ones {
            if !keys.insert((run, iteration, what, dataset)) {
                continue;
            }
            if what == "checkpoint" && !keys.insert((run, iteration, what, "")) {
                continue;
            }
            let of_run = run.parse().unwrap();
            let key = match what {
                "prediction" => prediction_of(run, iteration, dataset),
                "checkpoint" => Key::Checkpoint {
                    run: of_run,
                    iteration,
                },
                parameters => Key::Output {
                    run: of_run,
                    iteration,
                    dataset: dataset.parse().unwrap(),
                    parameters: parameters.parse().unwrap(),
                    container: None,
                },
            };
            let at = (usize::from(run == "b") * 12 + iteration as usize) * 3;
            let places = [(None, None), (Some("x"), Some("p")), (Some("x"), Some("q"))];
            let scores: Vec<_> = places
                .into_iter()
                .zip(&scores[at..])
                .filter_map(|((dataset, parameters), value)| {
                    value.map(|value| score(dataset, parameters, value))
                })
                .collect();
            let mut row = scored(rows.len() as i64, key, &scores);
            let artifact = &mut row.artifact;
            artifact.written_at = Some(ago(HOUR * 2 + days * DAY));
            artifact.size.as_mut().unwrap().files = files;
            match extra {
                0 => artifact.pins = vec!["pin".to_owned()],
                1 => row.best_links = vec!["x/voi".to_owned()],
                2 => artifact.written_at = Some(NOW),
                3 => artifact.written_at = Some(NOW.plus(DAY)),
                4 => {
                    artifact.origin = Origin::Recorded;
                    artifact.recorded_at = NOW;
                }
                _ => {}
            }
            rows.push(row);
        }
        rows
    })
}

fn keep() -> impl Strategy<Value = KeepRules> {
    let with = prop::collection::vec(select(vec![Kind::Prediction, Kind::Checkpoint]), 0..2);
    let best = (1..5u64, select(vec!["m:min", "m:max"]), with);
    (
        prop::option::of(1..6u64),
        prop::option::of(1..6u64),
        prop::option::of(2..6u64),
        prop::collection::btree_set(0..12i64, 0..3),
        prop::option::of((1..30u32).prop_map(|days| days * DAY)),
        prop::option::of(best),
    )
        .prop_map(|(last, first, every, iterations, within, best)| {
            let useful = |iteration: &i64| every.is_none_or(|every| iteration % every as i64 != 0);
            let mut keep = KeepRules::default().iterations(iterations.into_iter().filter(useful));
            keep.last = last;
            keep.first = first;
            keep.every = every;
            keep.within = within;
            keep.best = best.and_then(|(count, metric, with)| keep_best(count, metric, &with).best);
            keep
        })
        .prop_filter("a rule", |keep| !keep.is_empty())
}

/// Both rule sets as one.
fn both(a: &KeepRules, b: &KeepRules) -> KeepRules {
    let every = a.every.or(b.every);
    let iterations: BTreeSet<i64> = a.iterations.iter().chain(&b.iterations).copied().collect();
    let useful = |iteration: &i64| every.is_none_or(|every| iteration % every as i64 != 0);
    let mut keep = KeepRules::default().iterations(iterations.into_iter().filter(useful));
    keep.last = a.last.max(b.last);
    keep.first = a.first.max(b.first);
    keep.every = every;
    keep.within = a.within.max(b.within);
    keep.best = a.best.clone().or(b.best.clone());
    keep
}

fn limit() -> impl Strategy<Value = Limits> {
    (
        prop::option::of(1..3000u64),
        prop::option::of(1..60u64),
        prop::option::of(1..2000u64),
    )
        .prop_map(|(max_bytes, max_files, min_free)| {
            let mut limit = Limits::default();
            limit.max_bytes = max_bytes;
            limit.max_files = max_files;
            limit.min_free = min_free.map(Into::into);
            limit
        })
}

fn policy() -> impl Strategy<Value = Policy> {
    (prop_oneof![keep(), Just(KeepRules::default())], limit())
        .prop_map(|(keep, limit)| keeping(keep).limit(limit))
        .prop_filter("a rule", |policy| policy.check().is_ok())
}

fn of(rows: Vec<InventoryRow>) -> Inventory {
    inventory(rows).disk(Disk::default().free(0))
}

fn gone(plan: &Plan) -> BTreeSet<i64> {
    removed(plan).into_iter().collect()
}

fn find(rows: &[InventoryRow], id: ArtifactId) -> &InventoryRow {
    rows.iter().find(|row| row.artifact.id == id).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// A policy of `keep-best` alone keeps the kinds that it says nothing of (`no-rule`), so only
    /// from there another rule can make the policy decide on more.
    #[test]
    fn another_keep_rule_never_removes_more(rows in rows(), a in keep(), b in keep()) {
        let mut others = a.clone();
        others.best = None;
        let only_best = others.is_empty();
        let rows: Vec<InventoryRow> = rows
            .into_iter()
            .filter(|row| !only_best || row.artifact.key.kind() == Kind::Output)
            .collect();
        let few = planned(&keeping(a.clone()), rows.clone());
        let more = planned(&keeping(both(&a, &b)), rows);
        prop_assert!(gone(&more).is_subset(&gone(&few)), "{few:#?} {more:#?}");
    }

    #[test]
    fn a_run_never_touches_another(rows in rows(), keep in keep()) {
        let policy = keeping(keep);
        let together = planned(&policy, rows.clone());
        let alone = ["a", "b"].map(|run| {
            let rows = rows.iter().filter(|row| row.artifact.key.run().as_str() == run);
            planned(&policy, rows.cloned().collect())
        });
        // That nothing at all is of an iteration is said of all runs together.
        let of_runs = |mut plan: Plan| {
            plan.notices.retain(|notice| !notice.starts_with("keep-iterations"));
            plan
        };
        prop_assert_eq!(of_runs(together), of_runs(Plan::merge(alone)));
    }

    #[test]
    fn the_order_of_the_inventory_changes_nothing(
        (rows, shuffled) in rows().prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
        policy in policy(),
    ) {
        prop_assert_eq!(plan(&policy, &of(rows), NOW), plan(&policy, &of(shuffled), NOW));
    }

    #[test]
    fn every_line_has_known_reasons_and_lines_are_in_order(rows in rows(), policy in policy()) {
        let plan = plan(&policy, &of(rows.clone()), NOW).unwrap();
        prop_assert_eq!(plan.lines.len(), rows.len());
        for line in &plan.lines {
            prop_assert!(!line.reasons.is_empty());
            prop_assert!(line.reasons.iter().all(|reason| RULES.contains(&reason.rule)));
        }
        let place = |line: &dalsegno::retention::PlanLine| {
            let key = &line.artifact.key;
            (
                key.run().clone(),
                key.kind(),
                key.dataset().cloned(),
                key.iteration(),
                key.parameters().cloned(),
            )
        };
        prop_assert!(plan.lines.is_sorted_by_key(place));
    }

    #[test]
    fn the_newest_by_integer_stay(rows in rows(), count in 1..6u64) {
        let plan = planned(&keeping(keep_last(count)), rows);
        let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for line in &plan.lines {
            let key = &line.artifact.key;
            let group = (key.run().clone(), key.kind(), key.dataset().cloned());
            groups.entry(group).or_default().push(line);
        }
        for lines in groups.values() {
            let iterations: BTreeSet<i64> = lines
                .iter()
                .filter_map(|line| line.artifact.key.iteration())
                .collect();
            let newest: BTreeSet<i64> =
                iterations.iter().rev().take(count as usize).copied().collect();
            for line in lines {
                let is_newest = newest.contains(&line.artifact.key.iteration().unwrap());
                let is_kept = line.reasons.iter().any(|reason| reason.rule == "keep-last");
                prop_assert_eq!(is_newest, is_kept);
            }
        }
    }

    #[test]
    fn limits_take_the_oldest_and_no_more_than_they_need(rows in rows(), policy in policy()) {
        prop_assume!(!policy.limit.is_empty());
        let plan = plan(&policy, &of(rows.clone()), NOW).unwrap();
        let mut open: Vec<_> = plan
            .lines
            .iter()
            .filter(|line| {
                line.decision == Decision::Remove || line.reasons[0].rule == "within-budget"
            })
            .collect();
        open.sort_by_key(|line| {
            let artifact = &line.artifact;
            let path = artifact.location().path();
            (artifact.written_at, artifact.key.iteration(), path)
        });
        let removed = open.partition_point(|line| line.decision == Decision::Remove);
        prop_assert!(open[removed..].iter().all(|line| line.decision == Decision::Keep));
        let left_without = |count: usize| {
            let size = |row: &InventoryRow| row.artifact.size.unwrap();
            let bytes: u64 = rows.iter().map(|row| size(row).bytes.0).sum();
            let files: u64 = rows.iter().map(|row| size(row).files).sum();
            let gone = open[..count].iter().map(|line| line.artifact.size.unwrap());
            let (bytes_gone, files_gone) = gone.fold((0, 0), |(bytes, files), size| {
                (bytes + size.bytes.0, files + size.files)
            });
            let limit = &policy.limit;
            limit.max_bytes.is_none_or(|most| bytes - bytes_gone <= most)
                && limit.max_files.is_none_or(|most| files - files_gone <= most)
                && limit.min_free.is_none_or(|least| bytes_gone >= least.bytes_of(0))
        };
        for count in 0..removed {
            prop_assert!(!left_without(count), "the last was not needed");
        }
        prop_assert_eq!(left_without(removed), plan.unmet.is_empty());
        prop_assert!(plan.unmet.is_empty() || removed == open.len());
    }

    #[test]
    fn nan_is_never_among_the_best(rows in rows(), count in 1..30u64, metric in select(vec!["m:min", "m:max"])) {
        let plan = planned(&keeping(keep_best(count, metric, &[])), rows.clone());
        for line in &plan.lines {
            if line.reasons.iter().any(|reason| reason.rule == "keep-best") {
                let key = &line.artifact.key;
                let scores = &find(&rows, line.artifact.id).scores;
                let own = |dataset: Option<&str>, parameters: Option<&str>| {
                    scores.iter().find(|score| {
                        score.dataset.as_deref() == dataset
                            && score.parameters.as_deref() == parameters
                    })
                };
                let dataset = key.dataset().map(|dataset| dataset.as_str());
                let parameters = key.parameters().map(|parameters| parameters.as_str());
                let own = own(dataset, parameters).or_else(|| own(None, None)).unwrap();
                prop_assert!(!own.value.is_nan());
            }
        }
    }

    #[test]
    fn explanations_agree_with_the_plan(rows in rows(), policy in policy()) {
        let inventory = of(rows);
        let plan = plan(&policy, &inventory, NOW).unwrap();
        for line in plan.lines.iter().step_by(5) {
            let explanation = explain(&policy, &inventory, NOW, line.artifact.id).unwrap().unwrap();
            prop_assert_eq!(&explanation.line, line);
            for verdict in &explanation.verdicts {
                let is_reason = line.reasons.iter().any(|reason| reason.rule == verdict.rule);
                let is_limit = !verdict.rule.starts_with("keep-");
                prop_assert_eq!(verdict.keeps, is_reason != is_limit, "{}", verdict);
            }
            let group = plan.lines.iter().filter(|other| {
                let (a, b) = (&other.artifact.key, &line.artifact.key);
                a.run() == b.run() && a.kind() == b.kind() && a.dataset() == b.dataset()
            });
            let size = group.count() as u64;
            prop_assert_eq!(explanation.group_kept + explanation.group_removed, size);
        }
    }
}
