//! Queries, compared with the same questions asked of a list in memory, and case by case.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "../common/agent.rs"]
mod agent;
mod cases;
#[path = "../common/mod.rs"]
mod common;
mod model;
mod random;

use std::ops::ControlFlow;
use std::time::Duration;

use dalsegno::model::artifact::{Artifact, State};
use dalsegno::model::clock::Timestamp;
use dalsegno::model::filter::{Except, Filter, IterationRange, Pattern};
use dalsegno::model::key::Kind;
use dalsegno::model::name::BasePath;
use dalsegno::{DuGroup, Registry, SummaryOptions};
use proptest::prelude::*;

use common::NOW;

fn patterns() -> impl Strategy<Value = Vec<Pattern>> {
    let pattern = prop::sample::select(vec![
        "a", "ab", "[mito]", "m", "a/b", "a?c", "p[1-3]*", "p2", "run", "R*", "*", "a*", "?", "??",
        "*b", "[a-m]", "[m-a]", "[^m]*", "run*", "run ?", "p[1-3]", "", "A", "*[*", "[", "[]]",
        "\u{e9}",
    ]);
    prop::collection::vec(pattern.prop_map(Pattern::from), 0..3)
}

fn filter() -> impl Strategy<Value = Filter> {
    let end = || prop::option::of(-1..4_i64);
    let range = (end(), end()).prop_map(|(first, last)| IterationRange { first, last });
    let names = || prop_oneof![2 => Just(Vec::new()), 1 => patterns()];
    let some = |size| 0..size;
    (
        names(),
        prop::collection::vec(prop::sample::select(Kind::ALL.to_vec()), some(3)),
        prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(range, 0..3)],
        names(),
        names(),
        prop::collection::vec(prop::sample::select(State::ALL.to_vec()), some(3)),
        prop::option::of((0..4_u64).prop_map(Duration::from_secs)),
        prop::option::of((-4..4_i64).prop_map(|n| Timestamp(NOW.0 + 1_000 * n))),
        prop::option::weighted(
            0.3,
            prop::sample::select(vec![0, 1, 100, 101, 300, u64::MAX]),
        ),
        prop_oneof![
            3 => Just(Vec::new()),
            1 => prop::collection::vec(prop::sample::select(vec![0, 7, u32::MAX]), 1..3),
        ],
    )
        .prop_map(
            |(
                runs,
                kinds,
                iterations,
                datasets,
                parameters,
                states,
                older_than,
                written_before,
                min_bytes,
                owners,
            )| {
                Filter::default()
                    .runs(runs)
                    .kinds(kinds)
                    .iterations(iterations)
                    .datasets(datasets)
                    .parameters(parameters)
                    .states(states)
                    .older_than(older_than)
                    .written_before(written_before)
                    .min_bytes(min_bytes)
                    .owners(owners)
            },
        )
        .prop_flat_map(|filter| {
            let since =
                prop::option::weighted(0.3, (-4..4_i64).prop_map(|n| Timestamp(NOW.0 + 1_000 * n)));
            (since, except(), below()).prop_map(move |(since, except, below)| {
                let filter = filter.clone().below(below);
                filter.written_since(since).except(except)
            })
        })
}

/// Paths of runs, of folders in them, of folders of runs, and of nothing.
fn below() -> impl Strategy<Value = Vec<BasePath>> {
    let paths = prop::sample::select(vec![
        "run",
        "run 2",
        "a",
        "a/b",
        "m",
        "R*",
        "run/validation.zarr",
        "run/validation.zarr/1",
        "run/validation.zarr/1/a",
        "run/validation.zarr/1/a/b/output",
        "run/validation.zarr/inputs",
        "run/checkpoints",
        "a/b/checkpoints/iterations/1",
        "a/b/other.n5/a",
        "[mito]/snapshot.zarr",
        "run/validation",
        "nothing",
    ]);
    let paths = prop::collection::vec(paths.prop_map(|path| path.parse().unwrap()), 1..3);
    prop_oneof![3 => Just(Vec::new()), 1 => paths]
}

fn except() -> impl Strategy<Value = Except> {
    let names = || prop_oneof![4 => Just(Vec::new()), 1 => patterns()];
    let kinds = prop::collection::vec(prop::sample::select(Kind::ALL.to_vec()), 0..2);
    let kinds = prop_oneof![4 => Just(Vec::new()), 1 => kinds];
    (names(), names(), names(), kinds).prop_map(|(runs, datasets, parameters, kinds)| {
        Except::default()
            .runs(runs)
            .datasets(datasets)
            .parameters(parameters)
            .kinds(kinds)
    })
}

fn compare(registry: &Registry, list: &[Artifact], filter: &Filter) -> Result<(), TestCaseError> {
    let rows = registry.select(filter).unwrap();
    prop_assert_eq!(
        rows.iter().collect::<Vec<_>>(),
        model::selection(filter, list)
    );
    let mut iterations = Vec::new();
    registry
        .iterations_by(filter, &SummaryOptions::default().pinned(true), |row| {
            iterations.push(row);
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    prop_assert_eq!(iterations, model::iterations(filter, list));
    let mut runs = Vec::new();
    registry
        .runs_by(filter, &SummaryOptions::default().pinned(true), |row| {
            runs.push(row);
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    prop_assert_eq!(runs, model::runs(filter, list));
    let counted: u64 = registry.count_of_runs(filter).unwrap().values().sum();
    prop_assert_eq!(counted, rows.len() as u64);
    for group in [
        DuGroup::Run,
        DuGroup::Kind,
        DuGroup::Iteration,
        DuGroup::Dataset,
        DuGroup::Owner,
    ] {
        let rows = registry.du(filter, group).unwrap();
        prop_assert_eq!(rows, model::du(filter, group, list), "{:?}", group);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_query_answers_as_the_list_in_memory(
        rows in random::catalog(),
        filters in prop::collection::vec(filter(), 40),
    ) {
        let base = tempfile::tempdir().unwrap();
        let (registry, list) = random::fill_owned(base.path(), &rows);
        compare(&registry, &list, &Filter::default())?;
        for filter in &filters {
            compare(&registry, &list, filter)?;
        }
    }
}
