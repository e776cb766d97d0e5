//! Several threads and several handles at once.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Barrier;

use dalsegno::model::filter::Filter;
use dalsegno::model::key::Key;
use dalsegno::{ArrayStore, Registry, Target};

use crate::common::{create, write_array};
use crate::{code, count, key};

const THREADS: i64 = 8;
const ROWS: i64 = 25;

fn prediction(thread: i64, iteration: i64) -> Key {
    key(&format!(
        "run {thread}/validation.zarr/{iteration}/a/prediction"
    ))
}

/// Records rows of every thread's own and rows that all of them want, each thread through the
/// handle that it is given.
fn record_at_once<'a>(handle: impl Fn() -> Handle<'a> + Sync) {
    let barrier = Barrier::new(usize::try_from(THREADS).unwrap());
    let new_shared: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (handle, barrier) = (&handle, &barrier);
                scope.spawn(move || {
                    let handle = handle();
                    barrier.wait();
                    let mut new_shared = 0;
                    for iteration in 0..ROWS {
                        let own = handle.get().record(&prediction(thread, iteration)).unwrap();
                        assert!(own.is_new);
                        let shared = handle.get().record(&prediction(-1, iteration)).unwrap();
                        new_shared += usize::from(shared.is_new);
                    }
                    new_shared
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(
        new_shared,
        usize::try_from(ROWS).unwrap(),
        "one thread makes a row"
    );
}

/// A handle that all threads share, or one of a thread's own.
enum Handle<'a> {
    Shared(&'a Registry),
    Own(Box<Registry>),
}

impl Handle<'_> {
    fn get(&self) -> &Registry {
        match self {
            Self::Shared(registry) => registry,
            Self::Own(registry) => registry,
        }
    }
}

fn check_rows(registry: &Registry) {
    let rows = registry.select(&Filter::default()).unwrap();
    let ids: BTreeSet<_> = rows.iter().map(|row| row.id).collect();
    assert_eq!(ids.len(), rows.len());
    let keys: BTreeSet<String> = rows.iter().map(|row| row.key.to_string()).collect();
    let expected = (-1..THREADS)
        .flat_map(|thread| (0..ROWS).map(move |iteration| prediction(thread, iteration)));
    assert_eq!(keys, expected.map(|key| key.to_string()).collect());
    assert_eq!(keys.len(), rows.len());
}

#[test]
fn threads_that_share_a_handle_lose_no_row() {
    let base = tempfile::tempdir().unwrap();
    let registry = create(base.path());
    record_at_once(|| Handle::Shared(&registry));
    check_rows(&registry);
}

#[test]
fn threads_with_handles_of_their_own_lose_no_row() {
    let base = tempfile::tempdir().unwrap();
    let registry = create(base.path());
    record_at_once(|| Handle::Own(Box::new(Registry::open(base.path()).unwrap())));
    check_rows(&registry);
}

#[test]
fn a_listing_shows_the_catalog_as_it_was_when_it_began() {
    let base = tempfile::tempdir().unwrap();
    let reader = create(base.path());
    let keys: Vec<Key> = (0..300).map(|iteration| prediction(0, iteration)).collect();
    reader.record_many(&keys).unwrap();
    let before = reader.select(&Filter::default()).unwrap();
    let other = Registry::open(base.path()).unwrap();
    let mut seen = Vec::new();
    reader
        .list(&Filter::default(), |row| {
            match seen.len() {
                // By another handle, and by the very handle that lists.
                10 => {
                    other.record(&prediction(0, 1_000)).unwrap();
                    other.remove_artifact(&Target::Id(before[200].id)).unwrap();
                }
                20 => {
                    reader.record(&prediction(0, 2_000)).unwrap();
                    reader.remove_artifact(&Target::Id(before[250].id)).unwrap();
                }
                _ => {}
            }
            seen.push(row);
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    assert_eq!(seen, before);
    let after = reader.select(&Filter::default()).unwrap();
    assert_eq!(after.len(), before.len());
    assert!(!after.contains(&before[200]) && !after.contains(&before[250]));
    assert_eq!(after.last().unwrap().key, prediction(0, 2_000));
}

#[test]
fn a_listing_ends_when_its_callback_breaks() {
    let base = tempfile::tempdir().unwrap();
    let registry = create(base.path());
    let keys: Vec<Key> = (0..10).map(|iteration| prediction(0, iteration)).collect();
    registry.record_many(&keys).unwrap();
    let mut seen = 0;
    registry
        .list(&Filter::default(), |_| {
            seen += 1;
            Ok(if seen == 3 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        })
        .unwrap();
    assert_eq!(seen, 3);
    let failed = registry.list(&Filter::default(), |row| {
        Err(registry.not_recorded(&Target::Id(row.id)))
    });
    assert_eq!(code(failed), Some("not-recorded"));
    assert_eq!(count(&registry), 10);
}

#[test]
fn of_several_that_remove_one_array_one_does() {
    let base = tempfile::tempdir().unwrap();
    let registry = create(base.path());
    let array = registry.validation_prediction_array("r", 1, "a").unwrap();
    write_array(&array.path());
    let barrier = Barrier::new(4);
    let results: Vec<Option<&str>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (array, barrier) = (&array, &barrier);
                let registry = Registry::open(base.path()).unwrap();
                scope.spawn(move || {
                    barrier.wait();
                    code(registry.remove(array))
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let done = results.iter().filter(|result| result.is_none()).count();
    let refused = results
        .iter()
        .filter(|result| **result == Some("not-recorded"))
        .count();
    assert_eq!((done, refused), (1, 3), "{results:?}");
    assert!(!array.path().exists());
}
