//! What stays whatever the rules say: newest checkpoints. And metrics that no score has.

use dalsegno::model::filter::Filter;
use dalsegno::model::key::Kind;
use dalsegno::model::score::Score;
use dalsegno::retention::{KeepBest, KeepRules, Policy, SelectRules};
use dalsegno::{Error, GcPlan, GcRequest, GcRules, Registry};

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
    assert!(error.to_string().ends_with("did you mean voi?"), "{error}");

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
