//! Random catalogs.

use std::collections::BTreeSet;
use std::path::Path;

use dalsegno::Registry;
use dalsegno::model::artifact::{Artifact, State};
use dalsegno::model::clock::Timestamp;
use dalsegno::model::key::Key;
use dalsegno::model::layout;
use dalsegno::model::operation::{Action, NewOperation};
use dalsegno::model::size::{ByteCount, Size};
use dalsegno::testing::{Catalog, CatalogOptions, Observation, ObservedRow};
use proptest::prelude::*;

use crate::agent::agent;
use crate::common::{NOW, create};

/// What is known of an artifact's data.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Data {
    Reserved,
    Present(Timestamp, Option<Size>),
    Missing(Timestamp, Option<Size>),
}

fn runs() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["run", "run 2", "[mito]", "m", "a/b", "R*", "\u{e9}"])
}

fn names() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a", "ab", "[mito]", "m", "a/b", "a?c", "p[1-3]*", "p2",
    ])
}

fn key() -> impl Strategy<Value = Key> {
    (runs(), names(), names(), -1..4_i64, 0..13_usize).prop_map(|(run, name, other, n, kind)| {
        let path = match kind {
            0..=2 => format!("{run}/validation.zarr/{n}/{name}/output/{other}"),
            3..=4 => format!("{run}/validation.zarr/{n}/{name}/prediction"),
            5 => format!("{run}/validation.zarr/inputs/{name}/raw"),
            6 => format!("{run}/validation.zarr/inputs/gt"),
            7 => format!("{run}/validation.zarr/voi"),
            8 => format!("{run}/snapshot.zarr/{n}/{name}"),
            9 => format!("{run}/snapshot.zarr/{name}"),
            10 => format!("{run}/validation.zarr"),
            11 => format!("{run}/checkpoints/iterations/{}", n.max(0)),
            _ => format!("{run}/other.n5/{name}"),
        };
        layout::parse(&path).unwrap()
    })
}

fn data() -> impl Strategy<Value = Data> {
    let time = (0..6_i64).prop_map(|n| Timestamp(NOW.0 + 1_000 * (n - 3)));
    let size = prop::option::of((0..5_u64, 0..3_u64).prop_map(|(bytes, files)| Size {
        bytes: ByteCount(bytes * 100),
        files,
    }));
    prop_oneof![
        1 => Just(Data::Reserved),
        4 => (time.clone(), size.clone()).prop_map(|(time, size)| Data::Present(time, size)),
        1 => (time, size).prop_map(|(time, size)| Data::Missing(time, size)),
    ]
}

/// A row: its key, what is known of its data, when it was recorded, and whose the data is.
pub(crate) type Owned = (Key, Data, i64, Option<u32>);

pub(crate) fn catalog() -> impl Strategy<Value = Vec<Owned>> {
    let owner = prop::sample::select(vec![None, Some(0), Some(7), Some(u32::MAX)]);
    prop::collection::vec((key(), data(), 0..3_i64, owner), 0..40)
}

/// Makes a registry as [`fill_owned`] does, with unknown owners.
pub(crate) fn fill(base: &Path, rows: &[(Key, Data, i64)]) -> (Registry, Vec<Artifact>) {
    let rows = rows.iter().cloned();
    let owned: Vec<Owned> = rows
        .map(|(key, data, recorded)| (key, data, recorded, None))
        .collect();
    fill_owned(base, &owned)
}

/// Makes a registry whose catalog has these rows, and gives the rows in the order of listings.
///
/// A key that comes again gives the same row, so what comes first stays.
pub(crate) fn fill_owned(base: &Path, rows: &[Owned]) -> (Registry, Vec<Artifact>) {
    let registry = create(base);
    let catalog = Catalog::open(
        registry.catalog_path(),
        base,
        Some(agent()),
        CatalogOptions::default(),
    )
    .unwrap();
    let mut paths = BTreeSet::new();
    let mut model = Vec::new();
    let mut written = BTreeSet::new();
    for (key, data, recorded, owner) in rows {
        if !paths.insert(layout::locate(key).path()) {
            continue;
        }
        let recorded_at = Timestamp(NOW.0 + 1_000 * recorded);
        let mut artifact = catalog
            .record(NewOperation::new(Action::Record, recorded_at), |recorder| {
                recorder.record(key)
            })
            .unwrap()
            .artifact;
        let id = artifact.id;
        let note = |state, seen| {
            let note = ObservedRow {
                id,
                state,
                seen,
                seal: None,
            };
            assert_eq!(
                catalog
                    .observe(NewOperation::new(Action::Refresh, NOW), &[note])
                    .unwrap()
                    .changed,
                1
            );
        };
        if let Data::Present(written_at, size) | Data::Missing(written_at, size) = *data {
            // The same time at the same place of two runs may be a rename.
            let path = layout::locate(key).path();
            let place = path.strip_prefix(key.run().as_str()).unwrap().to_owned();
            let mut written_at = written_at;
            while !written.insert((place.clone(), written_at)) {
                written_at.0 += 1;
            }
            let seen = Observation::new(written_at).size(size).owner(*owner);
            note(State::Reserved, Some(seen));
            (artifact.state, artifact.written_at) = (State::Present, Some(written_at));
            (artifact.size, artifact.owner) = (size, *owner);
        }
        if let Data::Missing(..) = data {
            note(State::Present, None);
            artifact.state = State::Missing;
        }
        model.push(artifact);
    }
    model.sort_by_key(|artifact| {
        let key = &artifact.key;
        (
            key.run().to_string(),
            key.iteration(),
            key.kind(),
            key.dataset().map(ToString::to_string),
            key.parameters().map(ToString::to_string),
        )
    });
    (registry, model)
}
