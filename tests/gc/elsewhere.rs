//! What is the data of a pinned row, from before its run was renamed by hand, stays in a plan.

use std::fs;
use std::path::Path;

use dalsegno::model::filter::Filter;
use dalsegno::model::key::Kind;
use dalsegno::model::progress::Silent;
use dalsegno::retention::{Decision, KeepRules, Limits, Policy, RunPolicy, SelectRules};
use dalsegno::{GcOptions, GcPlan, GcRequest, GcRules, PinSelection, Registry};

use crate::kept::removed;
use crate::scene::{base, days, of_kinds, of_run, scan, write_aged, write_checkpoint};

const ITERATIONS: i64 = 12;

fn array(run: &str, iteration: i64) -> String {
    format!("{run}/validation.zarr/{iteration}/crop1/prediction")
}

/// Run `old` was pinned, but for its last iteration, and is now in the folder `new`, which a scan
/// has seen.
fn renamed() -> (tempfile::TempDir, Registry) {
    let (folder, registry) = base();
    for iteration in 1..=ITERATIONS {
        let age = days(40 - iteration.unsigned_abs());
        write_aged(folder.path(), &array("old", iteration), age);
        write_checkpoint(folder.path(), "old", iteration, age);
    }
    scan(&registry);
    let pinned = of_kinds(&Kind::ALL)
        .runs(["old"])
        .iterations([format!("..{}", ITERATIONS - 1).parse().unwrap()]);
    let what = PinSelection::Filter(pinned);
    registry
        .pin(&"paper".parse().unwrap(), Some("figure 2"), &what)
        .unwrap();
    rename(folder.path(), "old", "new");
    registry.scan(scan_options(), &Silent).unwrap();
    (folder, registry)
}

fn scan_options() -> dalsegno::ScanOptions {
    dalsegno::ScanOptions::default()
        .kinds(Kind::ALL)
        .measure(true)
}

fn rename(base: &Path, from: &str, to: &str) {
    fs::rename(base.join(from), base.join(to)).unwrap();
}

/// The plan for run `new`, and its reasons to keep something because of a pin by another name.
fn plan_of(registry: &Registry, rules: GcRules) -> (GcPlan, Vec<String>) {
    let plan = registry
        .plan_gc(&GcRequest::new(of_run("new"), rules))
        .unwrap();
    let lines = plan.plan.lines.iter();
    let reasons = lines.flat_map(|line| {
        let reasons = line.reasons.iter();
        let reasons = reasons.filter(|reason| reason.rule == "pinned-elsewhere");
        reasons.map(|reason| {
            assert_eq!(line.decision, Decision::Keep);
            reason.detail.clone()
        })
    });
    let reasons = reasons.collect();
    (plan, reasons)
}

fn policy(kind: Kind) -> Policy {
    Policy::default()
        .select(SelectRules::default().kinds([kind]))
        .allow_empty_group(true)
}

fn newest() -> KeepRules {
    KeepRules::default().iterations([999])
}

#[test]
fn a_plan_keeps_what_a_pin_binds_by_the_name_before_a_rename() {
    let (folder, registry) = renamed();
    let owners = |path: &dyn Fn(i64) -> String| {
        let detail = |iteration| format!("the data of {}, which is pinned", path(iteration));
        (1..ITERATIONS).map(detail).collect::<Vec<_>>()
    };
    let arrays = owners(&|iteration| array("old", iteration));
    let files = owners(&|iteration| format!("old/checkpoints/iterations/{iteration}"));

    let rules = GcRules::Policy(policy(Kind::Prediction).keep(newest()));
    let request = GcRequest::new(of_run("new"), rules.clone()).allow_incomplete(true);
    let plan = registry.plan_gc(&request).unwrap();
    assert_eq!(removed(&plan), [array("new", ITERATIONS)]);
    assert_eq!(plan.file.items.len(), 1);
    let kept = plan.plan.lines[0].artifact.id;
    let explained = registry.explain_gc(&request, kept).unwrap().unwrap();
    assert_eq!(explained.line.reasons[0].rule, "pinned-elsewhere");

    let (_, reasons) = plan_of(&registry, rules);
    assert_eq!(reasons, arrays);
    let (_, reasons) = plan_of(
        &registry,
        GcRules::Policy(policy(Kind::Checkpoint).keep(newest())),
    );
    assert_eq!(reasons, files);
    // Each round takes others in place of what may not go.
    let limited = policy(Kind::Prediction).limit(Limits::default().max_files(21));
    let (_, reasons) = plan_of(&registry, GcRules::Policy(limited));
    assert_eq!(reasons, arrays);
    let whole = RunPolicy::default()
        .older_than(days(1))
        .allow_empty_group(true);
    let (plan, reasons) = plan_of(&registry, GcRules::Runs(whole));
    assert_eq!(reasons, arrays);
    assert_eq!(removed(&plan), [array("new", ITERATIONS)]);

    // It is carried out as it was shown.
    let report = registry
        .apply_gc(&plan.file, &GcOptions::default(), &Silent, |_| {})
        .unwrap();
    assert_eq!((report.artifacts, report.skipped), (1, Vec::new()));
    assert!(folder.path().join(array("new", 1)).is_dir());
    assert!(!folder.path().join(array("new", ITERATIONS)).exists());
}

#[test]
fn a_copy_of_pinned_data_goes_by_a_plan() {
    let (folder, registry) = renamed();
    rename(folder.path(), "new", "old");
    let copied = std::process::Command::new("cp")
        .args(["-a", "old", "new"])
        .current_dir(folder.path())
        .status();
    assert!(copied.unwrap().success());
    let (plan, reasons) = plan_of(
        &registry,
        GcRules::Policy(policy(Kind::Prediction).keep(KeepRules::default().last(1))),
    );
    assert_eq!((reasons.len(), removed(&plan).len()), (0, 11));
    let all = Filter::default().pinned(true);
    assert_eq!(registry.select(&all).unwrap().len(), 11);
}
