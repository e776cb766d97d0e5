//! Times that do not help to decide: equal, reversed, zero, in the future, and of a run's name used
//! again.

use dalsegno::model::artifact::Origin;
use dalsegno::model::clock::Timestamp;
use dalsegno::retention::{InventoryRow, Limits, Policy};

use crate::build::*;

/// Predictions of these iterations, each written at its time.
fn written(iterations: &[(i64, Timestamp)]) -> Vec<InventoryRow> {
    let numbers: Vec<i64> = iterations.iter().map(|(iteration, _)| *iteration).collect();
    let mut rows = predictions(&numbers);
    for (row, (_, time)) in rows.iter_mut().zip(iterations) {
        row.artifact.written_at = Some(*time);
        row.artifact.recorded_at = *time;
    }
    rows
}

#[test]
fn the_last_are_the_highest_integers_whatever_the_times() {
    let old = |days: u32| ago(days * DAY);
    for times in [
        [old(9), old(9), old(9)],
        [old(7), old(8), old(9)],
        [Timestamp(0), Timestamp(0), Timestamp(0)],
        [Timestamp(-1), Timestamp(0), Timestamp(i64::MIN)],
    ] {
        let [a, b, c] = times;
        let rows = written(&[(10_000, a), (9000, b), (9900, c)]);
        let plan = planned(&keeping(keep_last(1)), rows);
        assert_eq!(kept(&plan), [1], "{times:?}");
        assert_eq!(removed(&plan), [2, 3], "{times:?}");
    }
}

#[test]
fn what_is_dated_in_the_future_stays() {
    let rows = written(&[(1, NOW.plus(DAY)), (2, ago(DAY)), (3, Timestamp(i64::MAX))]);
    let plan = planned(&keeping(keep_last(1)), rows);
    assert_eq!(kept(&plan), [1, 3]);
    assert_eq!(removed(&plan), [2]);
}

#[test]
fn equal_times_are_ordered_by_iteration_if_a_limit_takes_the_oldest() {
    let rows = written(&[(10_000, ago(DAY)), (9000, ago(DAY)), (9900, ago(DAY))]);
    let policy = Policy::default().limit(Limits::default().max_files(10));
    let plan = planned(&policy, rows);
    assert_eq!(kept(&plan), [1]);
}

#[test]
fn a_run_whose_name_was_used_again_is_reported() {
    let again = || {
        written(&[
            (9000, ago(90 * DAY)),
            (10_000, ago(80 * DAY)),
            (100, ago(3 * DAY)),
            (200, ago(2 * DAY)),
        ])
    };
    let plan = planned(&keeping(keep_last(1)), again());
    assert_eq!(removed(&plan), [3, 4, 1]);
    let said = "prediction of run, dataset crop7: iteration 200, which would go, was written after \
                iteration 10000, the highest; was the run's name used again?";
    assert_eq!(plan.notices, [said]);
    // Neither keeping the new ones nor the usual order leaves anything to report.
    let keep = keep_last(1).within(7 * DAY);
    assert_eq!(planned(&keeping(keep), again()).notices, [""; 0]);
    let usual = written(&[(1, ago(3 * DAY)), (2, ago(2 * DAY))]);
    assert_eq!(planned(&keeping(keep_last(1)), usual).notices, [""; 0]);
}

/// The same, found by a scan, which shows when data was written and nothing else.
fn scanned(iterations: &[(i64, Timestamp)]) -> Vec<InventoryRow> {
    let mut rows = written(iterations);
    for row in &mut rows {
        row.artifact.origin = Origin::Scanned;
        row.artifact.recorded_at = NOW;
    }
    rows
}

#[test]
fn times_that_a_copy_leaves_are_no_name_used_again() {
    let at = |minutes: u32| ago(9 * DAY - minutes * DAY / 1440);
    for copied in [
        // By name: 10000 before 2000.
        vec![(1000, at(0)), (10_000, at(1)), (2000, at(2)), (9000, at(3))],
        // The highest first, the rest in order.
        vec![(10_000, at(0)), (8000, at(1)), (9000, at(2))],
        // In no order, with long pauses.
        vec![(10_000, at(0)), (8000, at(900)), (7000, at(1800))],
        vec![(10_000, at(900)), (8000, at(1800)), (7000, at(0))],
        // One iteration that came back from a backup.
        vec![(1000, at(5000)), (2000, at(1)), (3000, at(2))],
    ] {
        let plan = planned(&keeping(keep_last(1)), scanned(&copied));
        assert_eq!(plan.notices, [""; 0], "{copied:?}");
    }
    let again = [
        (9000, ago(90 * DAY)),
        (10_000, ago(80 * DAY)),
        (100, ago(3 * DAY)),
        (200, ago(2 * DAY)),
    ];
    let plan = planned(&keeping(keep_last(1)), scanned(&again));
    assert_eq!(plan.notices.len(), 1, "{:?}", plan.notices);
}
