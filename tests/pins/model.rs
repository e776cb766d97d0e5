//! Random pins, compared with a model in memory.

use std::collections::{BTreeMap, BTreeSet};

use dalsegno::PinSelection;
use dalsegno::model::filter::{Filter, IterationRange};
use dalsegno::model::key::Kind;
use proptest::prelude::*;

use crate::scene::{base, get, key, of_kinds};

const RUNS: [&str; 3] = ["a", "b", "c/d"];
const ITERATIONS: [i64; 4] = [-1, 0, 9000, 10_000];

/// Every artifact of the model: a run, and an iteration or none.
fn artifacts() -> Vec<(&'static str, Option<i64>, String)> {
    let mut artifacts = Vec::new();
    for run in RUNS {
        for iteration in ITERATIONS {
            let path = format!("{run}/validation.zarr/{iteration}/d/prediction");
            artifacts.push((run, Some(iteration), path));
        }
        artifacts.push((run, None, format!("{run}/snapshot.zarr/volumes/raw")));
    }
    artifacts
}

#[derive(Debug, Clone)]
enum Step {
    Scope(usize, Option<(Option<i64>, Option<i64>)>),
    One(usize),
    LetOneGo(usize),
    LetScopesGo(usize),
    LetAllGo,
}

fn end() -> impl Strategy<Value = Option<i64>> {
    prop::option::of(prop::sample::select(vec![-1, 0, 1, 9000, 9900, 10_000]))
}

fn step() -> impl Strategy<Value = (usize, Step)> {
    let kind = prop_oneof![
        3 => (0..RUNS.len(), prop::option::of((end(), end())))
            .prop_filter("not a range", |(_, range)| {
                !matches!(range, Some((Some(first), Some(last))) if first > last)
                    && *range != Some((None, None))
            })
            .prop_map(|(run, range)| Step::Scope(run, range)),
        3 => (0..15_usize).prop_map(Step::One),
        1 => (0..15_usize).prop_map(Step::LetOneGo),
        1 => (0..RUNS.len()).prop_map(Step::LetScopesGo),
        1 => Just(Step::LetAllGo),
    ];
    (0..3_usize, kind)
}

/// The scope of a pin in the model.
#[derive(Debug, Clone, Default)]
struct Known {
    scopes: Vec<(usize, Option<i64>, Option<i64>)>,
    ones: BTreeSet<usize>,
}

fn filter(run: usize, range: Option<(Option<i64>, Option<i64>)>) -> Filter {
    let range = range.map(|(first, last)| IterationRange { first, last });
    Filter::default().runs([RUNS[run]]).iterations(range)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn pins_bind_what_a_model_says(steps in prop::collection::vec(step(), 1..14)) {
        let (_folder, registry) = base();
        let artifacts = artifacts();
        for (_, _, path) in &artifacts {
            registry.record(&key(path)).unwrap();
        }
        let mut model: BTreeMap<String, Known> = BTreeMap::new();
        for (pin, step) in steps {
            let text = format!("pin{pin}");
            let name = text.parse().unwrap();
            let known = model.get(&text).cloned();
            match step {
                Step::Scope(run, range) => {
                    let target = PinSelection::Filter(filter(run, range));
                    registry.pin(&name, Some("x"), &target).unwrap();
                    let (first, last) = range.unwrap_or_default();
                    model.entry(text).or_default().scopes.push((run, first, last));
                }
                Step::One(at) => {
                    let target = PinSelection::Artifacts(vec![get(&registry, &artifacts[at].2)]);
                    registry.pin(&name, Some("x"), &target).unwrap();
                    model.entry(text).or_default().ones.insert(at);
                }
                Step::LetOneGo(at) => {
                    let target = PinSelection::Artifacts(vec![get(&registry, &artifacts[at].2)]);
                    let result = registry.unpin(&name, Some(&target));
                    prop_assert_eq!(result.is_ok(), known.is_some());
                    if let Some(known) = model.get_mut(&text) {
                        known.ones.remove(&at);
                    }
                }
                Step::LetScopesGo(run) => {
                    let target = PinSelection::Filter(filter(run, None));
                    let result = registry.unpin(&name, Some(&target));
                    prop_assert_eq!(result.is_ok(), known.is_some());
                    if let Some(known) = model.get_mut(&text) {
                        known.scopes.retain(|(of, _, _)| *of != run);
                        known.ones.retain(|at| artifacts[*at].0 != RUNS[run]);
                    }
                }
                Step::LetAllGo => {
                    let result = registry.unpin(&name, None);
                    prop_assert_eq!(result.is_ok(), known.is_some());
                    model.remove(&text);
                }
            }
            model.retain(|_, known| !known.scopes.is_empty() || !known.ones.is_empty());
        }

        let names: Vec<String> = registry
            .pins()
            .unwrap()
            .iter()
            .map(|pin| pin.name.to_string())
            .collect();
        prop_assert_eq!(names, model.keys().cloned().collect::<Vec<_>>());
        let mut bound = Vec::new();
        for (at, (run, iteration, path)) in artifacts.iter().enumerate() {
            let binds = |known: &Known| {
                known.ones.contains(&at) || known.scopes.iter().any(|(of, first, last)| {
                    let fits = match (first, last, iteration) {
                        (None, None, _) => true,
                        (_, _, None) => false,
                        (first, last, Some(iteration)) => {
                            first.is_none_or(|first| first <= *iteration)
                                && last.is_none_or(|last| *iteration <= last)
                        }
                    };
                    RUNS[*of] == *run && fits
                })
            };
            let expected: Vec<String> = model
                .iter()
                .filter(|(_, known)| binds(known))
                .map(|(name, _)| name.clone())
                .collect();
            prop_assert_eq!(&get(&registry, path).pins, &expected, "{}", path);
            if !expected.is_empty() {
                bound.push(path.clone());
            }
        }
        let pinned = of_kinds(&Kind::ALL).pinned(true);
        let mut listed: Vec<String> = registry
            .select(&pinned)
            .unwrap()
            .iter()
            .map(|artifact| artifact.location().path())
            .collect();
        listed.sort();
        bound.sort();
        prop_assert_eq!(listed, bound);
    }
}
