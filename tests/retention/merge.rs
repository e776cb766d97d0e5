//! Several plans as one.

use dalsegno::retention::Plan;

use crate::build::*;

#[test]
fn merged_plans_are_in_the_order_of_one() {
    let keep = keeping(keep_last(1));
    let outputs = planned(&keep, vec![row(1, output(1, "a")), row(2, output(2, "a"))]);
    let predictions = planned(&keep, vec![row(3, prediction(1)), row(4, prediction(2))]);
    let merged = Plan::merge([outputs, predictions]);
    let ids: Vec<i64> = merged.lines.iter().map(|line| line.artifact.id.0).collect();
    assert_eq!(ids, [3, 4, 1, 2]);
    assert_eq!(removed(&merged), [3, 1]);
}

#[test]
fn what_one_plan_keeps_no_other_removes() {
    let rows = || predictions(&[1, 2, 3]);
    let last = planned(&keeping(keep_last(1)), rows());
    let two = planned(&keeping(keep_last(2)), rows());
    for plans in [[last.clone(), two.clone()], [two, last]] {
        let merged = Plan::merge(plans);
        assert_eq!(removed(&merged), [1]);
        assert_eq!(merged.lines[2].reasons.len(), 2);
        assert_eq!(
            text(&merged)[1],
            "2 keep | keep-last 2: 2nd newest of 3 iterations"
        );
    }
}
