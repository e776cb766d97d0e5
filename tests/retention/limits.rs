//! Limits that cannot be met.

use std::time::Duration;

use dalsegno::model::removal::TrashKeep;
use dalsegno::model::size::ByteCount;
use dalsegno::retention::{
    Disk, InventoryRow, KeepRules, Limits, MinFree, Plan, Policy, explain, plan,
};

use crate::build::*;

#[test]
fn a_plan_says_which_limits_it_does_not_meet() {
    let policy = Policy::default().keep(keep_last(2)).limit(
        Limits::default()
            .max_bytes(150)
            .max_files(15)
            .min_free(1 << 20),
    );
    let inventory = inventory(predictions(&[1, 2, 3])).disk(Disk::default().free(924));
    let plan = plan(&policy, &inventory, NOW).unwrap();
    assert_eq!(removed(&plan), [1]);
    assert_eq!(
        plan.unmet,
        [
            "max-size 150 B: 200 B would still be there, kept by rules",
            "max-files 15: 20 files would still be there, kept by rules",
            "min-free 1.0 MiB: only 1.0 KiB would be free, the rest is kept by rules",
        ]
    );
}

#[test]
fn ties_in_age_go_by_iteration_then_by_path() {
    let rows = vec![
        row(1, prediction(10_000)),
        row(2, prediction_of("b", 9000, "x")),
        row(3, prediction_of("a", 9000, "x")),
    ];
    let removed_by = |max_files| {
        let policy = Policy::default()
            .limit(Limits::default().max_files(max_files))
            .allow_empty_group(true);
        removed(&planned(&policy, rows.clone()))
    };
    assert_eq!(removed_by(20), [3]);
    assert_eq!(removed_by(10), [3, 2]);
    assert_eq!(removed_by(9), [3, 2, 1]);
}

#[test]
fn containers_need_no_size() {
    let container = dalsegno::model::key::Key::ValidationContainer {
        run: "run".parse().unwrap(),
    };
    let mut rows = predictions(&[1]);
    let mut container = row(2, container);
    container.artifact.size = None;
    rows.push(container);
    let policy = Policy::default()
        .keep(KeepRules::default())
        .limit(Limits::default().max_bytes(100));
    let plan = planned(&policy, rows);
    assert_eq!(kept(&plan), [1, 2]);
    assert_eq!(plan.totals().kept.size.uncounted, 0);
}

#[test]
fn what_is_in_the_trash_makes_min_free_take_no_more() {
    let policy = Policy::default().limit(Limits::default().min_free(100));
    let planned = |free, trash| {
        let inventory =
            inventory(predictions(&[1, 2, 3])).disk(Disk::default().free(free).trash(trash));
        plan(&policy, &inventory, NOW).unwrap()
    };
    let first = planned(90, 0);
    assert_eq!(removed(&first).len(), 1);
    assert_eq!(first.notices, [""; 0]);
    let night = planned(90, 10);
    assert_eq!(removed(&night), [0; 0]);
    assert!(night.notices[0].contains("90 B are free"), "{night:?}");
    assert!(night.notices[0].contains("the trash has 10 B"), "{night:?}");
}

#[test]
fn a_limit_that_nothing_is_left_for_does_not_blame_the_rules() {
    let policy = Policy::default()
        .limit(Limits::default().min_free(1 << 40))
        .allow_empty_group(true);
    let inventory = inventory(predictions(&[1, 2])).disk(Disk::default().free(1));
    let plan = plan(&policy, &inventory, NOW).unwrap();
    assert_eq!(removed(&plan).len(), 2);
    assert!(plan.unmet[0].contains("everything that is selected goes"));
}

#[test]
fn what_would_go_to_the_trash_is_not_called_free() {
    let policy = Policy::default().limit(Limits::default().min_free(100));
    let planned = |free, keep| {
        let inventory =
            inventory(predictions(&[1, 2, 3])).disk(Disk::default().free(free).keep(keep));
        plan(&policy, &inventory, NOW).unwrap()
    };
    let days = TrashKeep::For(Duration::from_secs(72 * 3600));
    for (keep, until) in [
        (days, "until it has been there for 3d"),
        (TrashKeep::UntilEmptied, "until the trash is emptied"),
    ] {
        let plan = planned(90, keep);
        // As many go as without a trash, no more.
        assert_eq!(removed(&plan).len(), 1);
        let [notice] = plan.notices.as_slice() else {
            panic!("{plan:?}");
        };
        assert!(notice.contains("frees nothing"), "{notice}");
        assert!(notice.contains(until), "{notice}");
        // What is free already needs no removal, and no word about it.
        assert_eq!(planned(100, keep).notices, [""; 0]);
    }
    for keep in [TrashKeep::No, TrashKeep::Configured] {
        assert_eq!(planned(90, keep).notices, [""; 0]);
    }
}

#[test]
fn a_limit_that_is_not_met_says_what_frees_only_later() {
    let policy = Policy::default()
        .keep(keep_last(1))
        .limit(Limits::default().min_free(1 << 20));
    let inventory = inventory(predictions(&[1, 2]))
        .disk(Disk::default().free(924).keep(TrashKeep::UntilEmptied));
    let plan = plan(&policy, &inventory, NOW).unwrap();
    assert_eq!(
        plan.unmet,
        [
            "min-free 1.0 MiB: only 1.0 KiB would be free once the trash is emptied, the rest is kept \
          by rules"
        ]
    );
}

#[test]
fn min_free_counts_what_is_on_disk() {
    let policy = Policy::default().limit(Limits::default().min_free(100));
    let mut rows = predictions(&[1, 2, 3, 4]);
    let planned = |rows: &[InventoryRow]| {
        let inventory = inventory(rows.to_vec()).disk(Disk::default().free(0));
        removed(&plan(&policy, &inventory, NOW).unwrap())
    };
    // Files of 100 bytes each.
    assert_eq!(planned(&rows), [1]);
    for row in &mut rows {
        row.artifact.disk_bytes = Some(ByteCount(40));
    }
    assert_eq!(planned(&rows), [1, 2, 3]);
    rows[0].artifact.disk_bytes = Some(ByteCount(4096));
    assert_eq!(planned(&rows), [1]);
}

#[test]
fn a_percentage_is_of_the_size_of_the_file_system() {
    let policy = Policy::default().limit(Limits::default().min_free(percent("10%")));
    // Files of 100 bytes each; 10 % of 2995 bytes, rounded up, are 300.
    let inventory =
        inventory(predictions(&[1, 2, 3, 4])).disk(Disk::default().free(100).size(2995));
    let plan = plan(&policy, &inventory, NOW).unwrap();
    assert_eq!(removed(&plan), [1, 2]);
    let goal = plan.min_free.unwrap();
    assert_eq!(goal.bytes, ByteCount(300));
    assert_eq!(goal.to_string(), "10 % of 2.9 KiB, which is 300 B");
    let reason = &plan.lines[0].reasons[0];
    let oldest = "min-free 10 % of 2.9 KiB: oldest first; 100 B are free with it";
    assert_eq!(reason.to_string(), oldest);
    let explained = explain(&policy, &inventory, NOW, plan.lines[0].artifact.id).unwrap();
    let verdicts: Vec<String> = explained
        .unwrap()
        .verdicts
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(verdicts[0].contains("10% (300 B)"), "{verdicts:?}");
}

#[test]
fn a_percentage_of_an_unknown_size_is_refused() {
    let policy = Policy::default().limit(Limits::default().min_free(percent("10%")));
    let of = |size: Option<u64>| {
        let inventory = inventory(predictions(&[1, 2])).disk(Disk::default().free(0).size(size));
        plan(&policy, &inventory, NOW).unwrap_err()
    };
    // A file system of 0 bytes does not say its size: 10 % of that would always be free.
    for size in [None, Some(0)] {
        let error = of(size);
        assert_eq!(error.code(), "plan-free-unknown");
        let says = "min-free 10% cannot be held: the file system does not say how large it is; \
                    write a number of bytes, such as min-free 1TB";
        assert_eq!(error.to_string(), says);
    }
}

#[test]
fn merged_plans_have_the_most_that_must_be_free() {
    let planned = |text| {
        let policy = Policy::default().limit(Limits::default().min_free(percent(text)));
        let disk = Disk::default().free(1000).size(1000);
        let inventory = inventory(predictions(&[1, 2, 3, 4])).disk(disk);
        plan(&policy, &inventory, NOW).unwrap()
    };
    let plans = ["10%", "200", "5%"].map(planned);
    let goal = Plan::merge(plans).min_free.unwrap();
    assert_eq!((goal.bytes, goal.is_share()), (ByteCount(200), false));
}

fn percent(text: &str) -> MinFree {
    text.parse().unwrap()
}
