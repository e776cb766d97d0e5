//! What `keep-best` ranks, and by which score.

use dalsegno::model::artifact::ArtifactId;
use dalsegno::model::key::Kind;
use dalsegno::retention::{
    InventoryRow, InventoryScore, Limits, Plan, Policy, SelectRules, explain,
};

use crate::build::*;

fn best(count: u64, metric: &str) -> Policy {
    keeping(keep_best(count, metric, &[]))
}

fn selecting(kinds: &[Kind], policy: Policy) -> Policy {
    policy.select(SelectRules::default().kinds(kinds.to_vec()))
}

const CROP: Option<&str> = Some("crop7");

#[test]
fn the_most_specific_score_is_an_artifacts_own() {
    let scores = [
        score(CROP, Some("a"), 1.0),
        score(CROP, None, 2.0),
        score(None, Some("c"), 3.0),
        score(None, None, 4.0),
        score(Some("crop8"), Some("b"), 9.0),
    ];
    let plan = planned(
        &best(1, "f1:max"),
        vec![
            scored(1, output(1, "a"), &scores),
            scored(2, output(1, "b"), &scores),
            scored(3, output_of(1, "crop9", "c"), &scores),
            scored(4, output_of(1, "crop9", "d"), &scores),
        ],
    );
    assert_eq!(
        text(&plan),
        [
            "1 remove | not-kept: no rule keeps it: 2nd best of 2, f1 1",
            "2 keep | keep-best 1 f1:max: best of 2, f1 2",
            "3 remove | not-kept: no rule keeps it: 2nd best of 2, f1 3",
            "4 keep | keep-best 1 f1:max: best of 2, f1 4",
        ]
    );
}

#[test]
fn artifacts_that_share_a_score_count_once() {
    let of = |id, iteration, parameters, value| {
        scored(
            id,
            output(iteration, parameters),
            &[score(CROP, None, value)],
        )
    };
    let rows = vec![
        of(1, 1, "a", 0.5),
        of(2, 1, "b", 0.5),
        of(3, 2, "a", 0.25),
        of(4, 2, "b", 0.25),
        of(5, 3, "a", 0.75),
    ];
    assert_eq!(removed(&planned(&best(2, "voi:min"), rows)), [5]);
}

#[test]
fn ties_go_to_the_later_iteration_then_to_the_first_parameters() {
    let of = |id, iteration, parameters: &str| {
        let scores = ["a", "b"].map(|parameters| score(CROP, Some(parameters), 1.0));
        scored(id, output(iteration, parameters), &scores)
    };
    let rows = || vec![of(1, 9000, "a"), of(2, 10_000, "b"), of(3, 10_000, "a")];
    assert_eq!(kept(&planned(&best(1, "f1:max"), rows())), [3]);
    let plan = planned(&best(2, "f1:max"), rows());
    assert_eq!(kept(&plan), [3, 2]);
    assert_eq!(
        text(&plan)[0],
        "1 remove | not-kept: no rule keeps it: 3rd best of 3, f1 1; of equal scores the latest \
         iteration is the best"
    );
}

#[test]
fn nothing_goes_for_a_metric_that_is_never_a_number() {
    let of = |id, iteration, value| scored(id, output(iteration, "a"), &[score(CROP, None, value)]);
    let along = |id, iteration| scored(id, prediction(iteration), &[score(CROP, None, f64::NAN)]);
    let rows = || {
        vec![
            of(1, 1, f64::NAN),
            of(2, 2, f64::NAN),
            along(3, 1),
            along(4, 2),
        ]
    };
    let policy = keeping(keep_best(1, "voi:min", &[Kind::Prediction]).last(1));
    let plan = planned(&policy, rows());
    assert_eq!(removed(&plan), [0; 0]);
    let reason = "no-metric: no voi that it is compared with is a number";
    assert!(text(&plan)[0].contains(reason), "{:?}", text(&plan));
    // One number is enough to say which are not the best.
    let mut some = rows();
    some.push(of(5, 3, 0.5));
    some.push(along(6, 3));
    let plan = planned(&keeping(keep_best(1, "voi:min", &[Kind::Prediction])), some);
    assert_eq!(kept(&plan), [6, 5]);
}

#[test]
fn nan_never_wins_and_infinities_are_numbers() {
    let values = [f64::NAN, f64::INFINITY, 1.0, f64::NEG_INFINITY];
    let rows = || -> Vec<InventoryRow> {
        (1..)
            .zip(values)
            .map(|(n, value)| scored(n, output(n, "a"), &[score(None, None, value)]))
            .collect()
    };
    assert_eq!(kept(&planned(&best(1, "voi:min"), rows())), [4]);
    assert_eq!(kept(&planned(&best(1, "f1:max"), rows())), [2]);
    let plan = planned(&best(9, "voi:min"), rows());
    assert_eq!(
        text(&plan)[0],
        "1 remove | not-kept: no rule keeps it: its voi is not a number"
    );
    assert_eq!(kept(&plan), [2, 3, 4]);
}

#[test]
fn a_named_prediction_stays_with_the_best_of_its_outputs() {
    let of = |id, iteration, values: [f64; 2]| {
        let scores = [
            score(CROP, Some("a"), values[0]),
            score(CROP, Some("b"), values[1]),
            score(Some("crop8"), Some("a"), 0.0),
        ];
        scored(id, prediction(iteration), &scores)
    };
    let rows = vec![
        of(1, 1, [0.5, 0.3]),
        of(2, 2, [0.2, f64::NAN]),
        of(3, 3, [0.4, 0.4]),
    ];
    let policy = selecting(&[Kind::Prediction], best(1, "voi:min"));
    assert_eq!(
        text(&planned(&policy, rows)),
        [
            "1 remove | not-kept: no rule keeps it: 2nd best of 3, voi 0.3",
            "2 keep | keep-best 1 voi:min: best of 3, voi 0.2",
            "3 remove | not-kept: no rule keeps it: 3rd best of 3, voi 0.4",
        ]
    );
}

#[test]
fn a_named_checkpoint_has_a_ranking_on_each_dataset() {
    let of = |id, crop7, crop8| {
        let scores = [
            score(CROP, Some("a"), crop7),
            score(Some("crop8"), None, crop8),
        ];
        scored(id, checkpoint(id), &scores)
    };
    let rows = vec![of(1, 0.1, 0.9), of(2, 0.5, 0.5), of(3, 0.9, 0.1)];
    let policy = selecting(&[Kind::Checkpoint], best(1, "voi:min"));
    assert_eq!(
        text(&planned(&policy, rows)),
        [
            "1 keep | keep-best 1 voi:min: best of 3, voi 0.1 on crop7",
            "2 remove | not-kept: no rule keeps it: 2nd best of 3, voi 0.5 on crop7",
            "3 keep | keep-best 1 voi:min: best of 3, voi 0.1 on crop8",
        ]
    );
}

#[test]
fn predictions_and_checkpoints_go_with_the_outputs_that_stay() {
    let policy = keeping(keep_best(
        1,
        "voi:min",
        &[Kind::Prediction, Kind::Checkpoint],
    ));
    let scores = |value| [score(CROP, None, value), score(Some("crop8"), None, value)];
    let rows = vec![
        scored(1, output(1, "a"), &scores(0.5)),
        scored(2, output(2, "a"), &scores(0.25)),
        scored(3, prediction(1), &scores(0.5)),
        scored(4, prediction(2), &scores(0.25)),
        scored(5, prediction_of("run", 2, "crop8"), &scores(0.25)),
        row(6, prediction(3)),
        scored(7, checkpoint(1), &scores(0.5)),
        scored(8, checkpoint(2), &scores(0.25)),
        row(9, checkpoint(3)),
        // Nothing was measured on its dataset.
        scored(10, prediction_of("run", 1, "crop9"), &scores(0.5)),
    ];
    let along = "keep | keep-best 1 voi:min: an artifact of kind output of iteration 2 is among \
                 the best";
    let apart = |iteration: i64| {
        format!(
            "remove | not-kept: no rule keeps it: nothing of iteration {iteration} is among \
                 the best"
        )
    };
    assert_eq!(
        text(&planned(&policy, rows)),
        [
            format!("3 {}", apart(1)),
            format!("4 {along}"),
            "6 keep | no-metric: its voi is unknown".to_owned(),
            format!("5 {}", apart(2)),
            "10 keep | no-metric: its voi is unknown".to_owned(),
            "1 remove | not-kept: no rule keeps it: 2nd best of 2, voi 0.5".to_owned(),
            "2 keep | keep-best 1 voi:min: best of 2, voi 0.25".to_owned(),
            format!("7 {}", apart(1)),
            format!("8 {along}"),
            "9 keep | no-metric: its voi is unknown".to_owned(),
        ]
    );
}

#[test]
fn named_kinds_are_ranked_instead_of_outputs() {
    let policy = selecting(&[Kind::Prediction], best(1, "voi:min"));
    let rows = vec![
        scored(1, prediction(1), &[score(None, None, 1.0)]),
        scored(2, output(1, "a"), &[score(None, None, 1.0)]),
    ];
    assert_eq!(
        text(&planned(&policy, rows)),
        [
            "1 keep | keep-best 1 voi:min: best of 1, voi 1",
            "2 keep | no-rule: the policy has no keep rule for kind output",
        ]
    );
}

#[test]
fn many_artifacts_may_share_many_scores() {
    let names: Vec<String> = (0..300).map(|n| format!("p{n}")).collect();
    let mut rows = Vec::new();
    for iteration in 0..100 {
        let scores: std::sync::Arc<[InventoryScore]> = names
            .iter()
            .map(|name| score(CROP, Some(name), iteration as f64))
            .collect();
        for name in &names {
            rows.push(row(rows.len() as i64, output(iteration, name)).scores(scores.clone()));
        }
    }
    let plan = planned(&best(300, "f1:max"), rows);
    assert_eq!(plan.kept().count(), 300);
    assert!(
        plan.kept()
            .all(|line| line.artifact.key.iteration() == Some(99))
    );
}

/// With kinds named, what goes along has rules of its own elsewhere: the other rules, the limits
/// and the refusal to empty a group are about the named kinds.
#[test]
fn kinds_that_are_not_named_are_only_taken_along() {
    let policy = selecting(&[Kind::Output], Policy::default())
        .keep(keep_best(1, "voi:min", &[Kind::Prediction]).every(2))
        .limit(Limits::default().max_bytes(300));
    let scores = |n: i64| [score(None, None, n as f64)];
    let mut rows: Vec<InventoryRow> = (1..=3)
        .flat_map(|n| {
            [
                scored(n, output(n, "a"), &scores(n)),
                scored(10 + n, prediction(n), &scores(n)),
            ]
        })
        .collect();
    rows[1].artifact.size = None;
    let along = planned(&policy, rows.clone());
    assert_eq!(
        text(&along),
        [
            "11 keep | keep-best 1 voi:min: an artifact of kind output of iteration 1 is among the \
             best",
            "12 remove | not-kept: no rule keeps it: nothing of iteration 2 is among the best",
            "13 remove | not-kept: no rule keeps it: nothing of iteration 3 is among the best",
            "1 keep | keep-best 1 voi:min: best of 3, voi 1",
            "2 keep | keep-every 2: 2 is divisible by 2",
            "3 keep | within-budget: no rule keeps it, and the limits are met with it",
        ]
    );
    let own = selecting(&[Kind::Prediction], keeping(keep_last(1)));
    let predictions: Vec<InventoryRow> = rows.iter().skip(1).step_by(2).cloned().collect();
    let merged = Plan::merge([along, planned(&own, predictions)]);
    assert_eq!(removed(&merged), [12]);
    // The prediction of the best was removed before; that is for its own policy to judge.
    rows.remove(1);
    assert_eq!(removed(&planned(&policy, rows.clone())), [12, 13]);
    let explained = explain(&policy, &inventory(rows), NOW, ArtifactId(12)).unwrap();
    let verdicts = explained.unwrap().verdicts;
    assert_eq!(verdicts.len(), 1);
    assert_eq!(verdicts[0].rule, "keep-best");
}
