//! What is refused, and in which words.

use std::collections::BTreeMap;
use std::time::Duration;

use dalsegno::model::key::Kind;
use dalsegno::retention::{
    Direction, GroupKey, KeepRules, Limits, Metric, PlanError, Policy, PolicyError, RunPolicy,
    SelectRules, plan,
};

use crate::build::*;

fn refused(policy: &Policy, code: &str, words: &str) -> PolicyError {
    let error = policy.check().unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(words), "{error}");
    let planned = try_plan(policy, predictions(&[1])).unwrap_err();
    assert_eq!(planned.code(), code);
    assert_eq!(planned, PlanError::Policy(error.clone()));
    error
}

fn limiting(limit: Limits) -> Policy {
    Policy::default().limit(limit)
}

#[test]
fn a_policy_without_rules_is_refused() {
    let policy = Policy::default().select(SelectRules::default().older_than(DAY));
    refused(
        &policy,
        "policy-empty",
        "older-than, iterations and kinds only select",
    );
}

#[test]
fn rules_for_damaged_arrays_are_refused() {
    let mut policy = keeping(keep_last(1));
    policy.select.damaged = true;
    let error = policy.check().unwrap_err();
    assert_eq!(
        error.to_string(),
        "rules and limits apply only to arrays that can be read; with state damaged, leave out \
         the rules and limits"
    );
    assert_eq!(error.code(), "policy-useless-rule");
}

#[test]
fn zero_is_refused() {
    let none = KeepRules::default;
    let keeps = [
        ("keep-last 0 keeps nothing", keep_last(0)),
        ("keep-first 0 keeps nothing", none().first(0)),
        ("keep-every 0 means nothing", none().every(0)),
        ("keep-within 0 keeps nothing", none().within(Duration::ZERO)),
        ("keep-best 0 keeps nothing", keep_best(0, "voi:min", &[])),
    ];
    for (words, keep) in keeps {
        refused(&keeping(keep), "policy-zero", words);
    }
    let limits = [
        (
            "max-size 0 would leave nothing",
            Limits::default().max_bytes(0),
        ),
        (
            "max-files 0 would leave nothing",
            Limits::default().max_files(0),
        ),
        ("min-free 0 means nothing", Limits::default().min_free(0)),
    ];
    for (words, limit) in limits {
        refused(&limiting(limit), "policy-zero", words);
    }
}

#[test]
fn a_rule_that_decides_nothing_is_refused() {
    let useless = "policy-useless-rule";
    let every = |every, iterations: &[i64]| {
        keeping(
            KeepRules::default()
                .every(every)
                .iterations(iterations.to_vec()),
        )
    };
    let error = refused(
        &every(1, &[]),
        useless,
        "keep-every 1 keeps every iteration",
    );
    assert_eq!(error, PolicyError::EveryIteration);
    refused(
        &every(1000, &[500, -2000]),
        useless,
        "keep-iterations -2000 changes nothing: keep-every 1000 keeps it",
    );
    let named = |iterations: &[i64]| keeping(KeepRules::default().iterations(iterations.to_vec()));
    refused(&named(&[5, 6, 5]), useless, "names 5 twice");
    let selected = named(&[9, 4, 5]).select(
        SelectRules::default().iterations(vec!["1..4".parse().unwrap(), "9..".parse().unwrap()]),
    );
    refused(
        &selected,
        useless,
        "keep-iterations 5 keeps nothing: only the iterations 1..4, 9.. are selected",
    );
    let within = |within, older_than| {
        keeping(KeepRules::default().within(within))
            .select(SelectRules::default().older_than(older_than))
    };
    refused(&within(DAY, DAY), useless, "keep-within 1d keeps nothing");
    assert_eq!(within(2 * DAY, DAY).check(), Ok(()));
}

#[test]
fn a_kind_that_goes_with_nothing_is_refused() {
    for kind in Kind::ALL {
        let policy = keeping(keep_best(1, "voi:min", &[kind]));
        if matches!(kind, Kind::Prediction | Kind::Checkpoint) {
            assert_eq!(policy.check(), Ok(()));
        } else {
            let error = refused(&policy, "policy-useless-rule", "keeps nothing");
            assert_eq!(error, PolicyError::WithApart { kind });
        }
    }
    let policy = keeping(keep_best(1, "voi:min", &[Kind::Prediction]))
        .select(SelectRules::default().kinds(vec![Kind::Output, Kind::Prediction]));
    refused(&policy, "policy-useless-rule", "ranked by its own scores");
}

#[test]
fn a_metric_without_a_name_is_refused() {
    for name in ["", "a:b", "a\nb"] {
        let error = Metric::new(name, Direction::Min).unwrap_err();
        assert_eq!(error.code(), "policy-metric");
        assert!(error.to_string().contains("is not a metric"), "{error}");
    }
}

#[test]
fn a_policy_for_runs_is_checked_too() {
    let none = RunPolicy::default;
    let cases = [
        (none(), "policy-empty", "no rule"),
        (
            none().older_than(Duration::ZERO),
            "policy-zero",
            "older-than 0",
        ),
        (none().last(0), "policy-zero", "keep-last 0"),
        (
            none().within(Duration::ZERO),
            "policy-zero",
            "keep-within 0",
        ),
        (
            none().limit(Limits::default().max_files(0)),
            "policy-zero",
            "max-files 0",
        ),
        (
            none().older_than(DAY).within(DAY),
            "policy-useless-rule",
            "keep-within 1d",
        ),
    ];
    for (policy, code, words) in cases {
        let error = policy.check().unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn a_group_is_emptied_only_where_that_is_allowed() {
    let strict = keeping(KeepRules::default().iterations(vec![99])).allow_empty_group(false);
    let rows = || predictions(&[1, 2]);
    let error = try_plan(&strict, rows()).unwrap_err();
    assert_eq!(error.code(), "plan-empties-group");
    let group = GroupKey::from(&prediction(1));
    assert_eq!(
        error,
        PlanError::EmptiesGroup {
            groups: vec![group.clone()]
        }
    );
    assert_eq!(
        error.to_string(),
        "nothing would be left of prediction of run, dataset crop7"
    );
    // Others of the group were not selected and stay.
    let part = inventory(rows()).groups(BTreeMap::from([(group.clone(), 3)]));
    assert_eq!(removed(&plan(&strict, &part, NOW).unwrap()), [1, 2]);
    let all = inventory(rows()).groups(BTreeMap::from([(group, 2)]));
    assert!(plan(&strict, &all, NOW).is_err());
    let allowed = strict.allow_empty_group(true);
    assert_eq!(removed(&plan(&allowed, &all, NOW).unwrap()), [1, 2]);
}

#[test]
fn a_limit_needs_to_know_every_size() {
    let policy = limiting(Limits::default().max_bytes(1));
    let mut rows = predictions(&[1, 2]);
    rows[1].artifact.size = None;
    rows[1].artifact.pins = vec!["a-pin".to_owned()];
    let error = try_plan(&policy, rows).unwrap_err();
    assert_eq!(error.code(), "plan-unmeasured");
    assert_eq!(
        error.to_string(),
        "the size is unknown of /base/run/validation.zarr/2/crop7/prediction; a limit cannot be \
         held without it"
    );
    let policy = limiting(Limits::default().min_free(1));
    let error = try_plan(&policy, predictions(&[1])).unwrap_err();
    assert_eq!(error, PlanError::FreeUnknown);
    assert_eq!(error.code(), "plan-free-unknown");
}
