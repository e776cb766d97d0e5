//! What stays whatever the rules say: newest checkpoints, last complete iterations. And metrics
//! that no score has.

use dalsegno::model::filter::Filter;
use dalsegno::model::key::Kind;
use dalsegno::model::score::Score;
use dalsegno::retention::{KeepBest, KeepRules, Policy, SelectRules};
use dalsegno::{Error, GcOptions, GcPlan, GcRequest, GcRules, Registry};

use crate::scene::{base, days, prediction, scan, write_aged, write_checkpoint};

pub(crate) fn planned(registry: &Registry, policy: Policy) -> Result<GcPlan, Error> {
    let request = GcRequest::new(Filter::default(), GcRules::Policy(policy));
    registry.plan_gc(&request)
}

pub(crate) fn removed(plan: &GcPlan) -> Vec<String> {
    let path = |line: &dalsegno::retention::PlanLine| line.artifact.location().path();
    plan.plan.removed().map(path).collect()
}

fn best(metric: &str) -> KeepRules {
    KeepRules::default().best(KeepBest::new(1, metric.parse().unwrap()))
}

#[test]
fn the_newest_checkpoint_stays_unless_it_is_named_by_its_number() {
    let (folder, registry) = base();
    for (iteration, age) in [(1000, 30), (2000, 20), (10_000, 10)] {
        write_checkpoint(folder.path(), "mito", iteration, days(age));
    }
    scan(&registry);
    let of = |keep: KeepRules, select: SelectRules| {
        Policy::default()
            .select(select.kinds([Kind::Checkpoint]))
            .keep(keep)
    };
    let plan = planned(
        &registry,
        of(KeepRules::default().first(1), SelectRules::default()),
    )
    .unwrap();
    assert_eq!(removed(&plan), ["mito/checkpoints/iterations/2000"]);
    let last = plan.plan.lines.last().unwrap();
    assert_eq!(last.reasons[0].rule, "newest-checkpoint");

    // It is the newest of the run, not of the selection; a range does not name it.
    let range = || SelectRules::default().iterations(["2000..20000".parse().unwrap()]);
    let plan = planned(&registry, of(KeepRules::default().every(7), range())).unwrap();
    assert_eq!(removed(&plan), ["mito/checkpoints/iterations/2000"]);

    let named = SelectRules::default().iterations([10_000.into()]);
    let plan = planned(&registry, of(KeepRules::default().every(7), named)).unwrap();
    assert_eq!(removed(&plan), ["mito/checkpoints/iterations/10000"]);
}

#[test]
fn keep_best_says_that_the_newest_would_go_and_refuses_an_unknown_metric() {
    let (folder, registry) = base();
    for (iteration, age) in [(1000, 30), (2000, 20)] {
        write_aged(folder.path(), &prediction(iteration), days(age));
    }
    scan(&registry);
    let policy = |metric: &str| {
        Policy::default()
            .select(SelectRules::default().kinds([Kind::Prediction]))
            .keep(best(metric))
    };
    let error = planned(&registry, policy("voi")).unwrap_err().to_string();
    assert!(error.contains("nothing has scores"), "{error}");

    let score = |iteration, value| {
        let metric = "voi".parse().unwrap();
        Score::new("mito".parse().unwrap(), iteration, metric, value)
    };
    registry
        .score(&[score(1000, 0.25), score(2000, 0.5)])
        .unwrap();
    let error = planned(&registry, policy("voii:min")).unwrap_err();
    assert_eq!(error.code(), "policy-metric");
    assert!(
        error.to_string().ends_with("did you mean \"voi\"?"),
        "{error}"
    );

    let plan = planned(&registry, policy("voi:max")).unwrap();
    assert_eq!(removed(&plan), [prediction(1000)]);
    let [notice] = plan.plan.notices.as_slice() else {
        panic!("{:?}", plan.plan.notices)
    };
    assert!(
        notice.contains("lower values of voi are better"),
        "{notice}"
    );

    let plan = planned(&registry, policy("voi")).unwrap();
    assert_eq!(removed(&plan), [prediction(2000)]);
    let [notice] = plan.plan.notices.as_slice() else {
        panic!("{:?}", plan.plan.notices)
    };
    assert!(
        notice.contains("lets the newest iteration go: 2000"),
        "{notice}"
    );
}

/// Iterations of `mito` with these parts, each 30 days old: `v1` is a prediction, `v1:t1` an
/// output.
fn validated(folder: &std::path::Path, iterations: &[(i64, &str)]) {
    for (iteration, parts) in iterations {
        for part in parts.split_whitespace() {
            let part = match part.split_once(':') {
                Some((dataset, parameters)) => format!("{dataset}/output/{parameters}"),
                None => format!("{part}/prediction"),
            };
            let path = format!("mito/validation.zarr/{iteration}/{part}");
            write_aged(folder, &path, days(30));
        }
    }
}

const FULL: &str = "v1 v1:t1 v1:t2 v2 v2:t1 v2:t2";

fn iterations_of(paths: &[String]) -> std::collections::BTreeSet<i64> {
    let iteration = |path: &String| path.split('/').nth(2).unwrap().parse().unwrap();
    paths.iter().map(iteration).collect()
}

#[test]
fn keep_last_keeps_the_last_complete_iteration_and_the_torso() {
    let (folder, registry) = base();
    validated(
        folder.path(),
        &[(1000, FULL), (2000, FULL), (3000, "v1 v1:t1")],
    );
    scan(&registry);
    for kinds in [vec![], vec![Kind::Prediction], vec![Kind::Output]] {
        let policy = Policy::default()
            .select(SelectRules::default().kinds(kinds))
            .keep(KeepRules::default().last(1));
        let plan = planned(&registry, policy).unwrap();
        assert_eq!(iterations_of(&removed(&plan)), [1000].into());
    }
    let mut rows = Vec::new();
    registry
        .iterations(&Filter::default().datasets(["v1"]), |row| {
            rows.push((row.iteration, row.complete, row.missing.join(" ")));
            Ok(())
        })
        .unwrap();
    let missing = "v1/output/t2 v2/prediction v2/output/t1 v2/output/t2";
    assert_eq!(
        rows,
        [
            (1000, Some(true), String::new()),
            (2000, Some(true), String::new()),
            (3000, Some(false), missing.to_owned())
        ]
    );
}

#[test]
fn no_plan_takes_the_last_complete_iteration() {
    let (folder, registry) = base();
    validated(folder.path(), &[(1000, FULL), (3000, "v1 v1:t1")]);
    scan(&registry);
    let keep = || KeepRules::default().every(3000);
    let policy = || Policy::default().keep(keep()).allow_empty_group(true);
    let plan = planned(&registry, policy()).unwrap();
    assert_eq!(removed(&plan), [""; 0]);
    let line = &plan.plan.lines[0];
    assert_eq!(line.reasons[0].rule, "last-complete");

    let request = GcRequest::new(Filter::default(), GcRules::Policy(policy()));
    let allowed = registry
        .plan_gc(&request.clone().allow_incomplete(true))
        .unwrap();
    assert_eq!(iterations_of(&removed(&allowed)), [1000].into());
    assert!(allowed.file.allow_incomplete);
    let explained = registry.explain_gc(&request, line.artifact.id).unwrap();
    assert!(!explained.unwrap().line.is_removed());
}

#[test]
fn apply_skips_what_became_the_last_complete_iteration() {
    let (folder, registry) = base();
    validated(
        folder.path(),
        &[(1000, FULL), (2000, FULL), (3000, "v1 v1:t1")],
    );
    scan(&registry);
    let policy = Policy::default().keep(KeepRules::default().last(1));
    let plan = planned(&registry, policy).unwrap();
    for path in removed(&plan) {
        let kept = path.replace("/1000/", "/2000/");
        std::fs::remove_dir_all(folder.path().join(kept)).unwrap();
    }
    scan_again(&registry);
    let report = registry
        .apply_gc(
            &plan.file,
            &GcOptions::default(),
            &dalsegno::model::progress::Silent,
            |_| {},
        )
        .unwrap();
    assert_eq!((report.artifacts, report.skipped.len()), (0, 6));
    assert_eq!(report.skipped[0].code, "plan-empties-group");
}

fn scan_again(registry: &Registry) {
    let options = dalsegno::RefreshOptions::new().all(true);
    let silent = dalsegno::model::progress::Silent;
    registry
        .refresh(&Filter::default(), options, &silent)
        .unwrap();
}
