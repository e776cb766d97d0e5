//! Taking in what was found, many at a time: the same rows and the same history as one by one.

use std::path::Path;

use dalsegno::model::clock::Timestamp;
use dalsegno::model::layout;
use dalsegno::model::operation::{Action, NewOperation, OperationHash};
use dalsegno::model::size::{ByteCount, Size};
use dalsegno::testing::{AdoptCounts, Catalog, CatalogOptions, Observation, ScannedArtifact};
use dalsegno::{CatalogError, Durability};
use proptest::prelude::*;

use crate::agent::agent;
use crate::common::{NOW, create};
use crate::key;

/// Artifacts there are; enough that what is inserted together is so several times.
const ARTIFACTS: usize = 120;

/// Artifact `index`: one of two containers with their own artifacts, in the order of places.
fn found(index: usize, written_at: i64) -> ScannedArtifact {
    let inner = index % 40;
    let path = match index / 40 {
        0 => format!("a/snapshot.zarr/{:03}/raw", inner + 100),
        1 => format!("a/validation.zarr/7/crop/output/p{inner:02}"),
        _ => format!("b/validation.zarr/{:03}/crop/prediction", inner + 100),
    };
    let key = key(&path);
    ScannedArtifact {
        location: layout::canonical_location(&key),
        key,
        seen: Observation::new(Timestamp(written_at))
            .size((written_at % 2 == 0).then_some(Size {
                bytes: ByteCount(index as u64),
                files: 4,
            }))
            .owner((written_at % 3 != 0).then_some(1000)),
    }
}

/// Takes in batches in a catalog of their own; gives what each did, and the head of the history.
fn take_in(
    base: &Path,
    batches: &[Vec<ScannedArtifact>],
    together: bool,
) -> (Vec<AdoptCounts>, OperationHash) {
    let registry = create(base);
    let options = CatalogOptions {
        durability: Durability::Relaxed,
        ..CatalogOptions::default()
    };
    let catalog = Catalog::open(registry.catalog_path(), base, Some(agent()), options).unwrap();
    let take_in = |batch: &Vec<ScannedArtifact>| {
        catalog
            .record(NewOperation::new(Action::Scan, NOW), |recorder| {
                if together {
                    return recorder.adopt_all(&batch.iter().collect::<Vec<_>>());
                }
                let mut adopted = AdoptCounts::default();
                for found in batch {
                    adopted += recorder.adopt(found)?;
                }
                Ok::<_, CatalogError>(adopted)
            })
            .unwrap()
    };
    let adopted = batches.iter().map(take_in).collect();
    // The lines that are hashed are those of the rows.
    let chain = catalog.check_chain(None).unwrap();
    assert!(chain.is_whole(), "{chain:?}");
    (adopted, chain.head)
}

/// Takes in batches together and one by one; gives what each did.
fn both(batches: &[Vec<ScannedArtifact>]) -> Vec<AdoptCounts> {
    let bases = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let together = take_in(bases[0].path(), batches, true);
    assert_eq!(together, take_in(bases[1].path(), batches, false));
    together.0
}

fn adopted(new: u64, updated: u64) -> AdoptCounts {
    AdoptCounts {
        new,
        updated,
        levels: 0,
        damaged: 0,
    }
}

#[test]
fn all_are_new_then_known_then_some_between_are_new() {
    let pick = |step, written_at| {
        let picked = (0..ARTIFACTS).step_by(step);
        picked.map(|index| found(index, written_at)).collect()
    };
    let done = both(&[pick(3, 4), pick(3, 4), pick(1, 4), pick(1, 5)]);
    assert_eq!(
        done,
        [
            adopted(40, 0),
            adopted(0, 0),
            adopted(80, 0),
            adopted(0, 120)
        ]
    );
}

#[test]
fn one_that_comes_twice_in_a_batch_has_one_row() {
    let twice = (0..64).flat_map(|index| [found(index, 4), found(index, 5)]);
    let backwards = (64..ARTIFACTS).rev().map(|index| found(index, 4));
    let done = both(&[twice.collect(), backwards.collect()]);
    assert_eq!(done, [adopted(64, 64), adopted(56, 0)]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_batches_give_the_rows_and_history_of_one_by_one(
        batches in prop::collection::vec(
            (prop::collection::vec((0..ARTIFACTS, 0..6_i64), 0..90), any::<bool>()), 1..5,
        )
    ) {
        let batches: Vec<Vec<ScannedArtifact>> = batches
            .into_iter()
            .map(|(mut picked, in_order)| {
                if in_order {
                    picked.sort();
                    picked.dedup_by_key(|(index, _)| *index);
                }
                picked.into_iter().map(|(index, at)| found(index, at)).collect()
            })
            .collect();
        both(&batches);
    }
}
