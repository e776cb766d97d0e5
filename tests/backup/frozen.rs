//! Catalogs that each released version wrote, with their data. They are never regenerated, least of
//! all by a later program.
//!
//! All hold the run `mito` with two iterations of arrays, an array that was recorded and never
//! written, and the run `er`. From version 2 on, one array was removed for good, one is in the
//! trash, and one was removed and restored. From version 3 on there are pins and scores, from
//! version 4 on a history. In version 5, one array has a content hash.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use dalsegno::RemoveOptions;
use dalsegno::ScoreQuery;
use dalsegno::model::detail::Detail;
use dalsegno::model::filter::Filter;
use dalsegno::model::key::Kind;
use dalsegno::model::operation::HistoryFilter;
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::TrashKeep;
use dalsegno::testing::backup;
use dalsegno::{Registry, RestoreTarget, VerifyOptions};
use rusqlite::Connection;
use tempfile::TempDir;

use super::child::{assert_sound, tree};
use super::{ARRAY, BACKUPS, CATALOG, NAME, NOW, ask, at, backups, names, sql, target};

/// Is in the trash from version 2 on.
const IN_TRASH: &str = "mito/validation.zarr/2000/crop2/prediction";
/// Is removed for good from version 2 on.
const GONE: &str = "er/validation.zarr/500/crop1/prediction";

/// Versions that have a frozen catalog.
pub(crate) fn versions() -> impl Iterator<Item = i64> {
    let newest = newest();
    let has_catalog = |version: &i64| archive(*version).exists();
    let versions: Vec<i64> = (1..=newest).filter(has_catalog).collect();
    // The newest version may not be released yet; every older one is.
    assert!(versions.iter().copied().eq(1..=5), "{versions:?}");
    versions.into_iter()
}

/// The version that this program writes.
pub(crate) fn newest() -> i64 {
    let folder = tempfile::tempdir().unwrap();
    Registry::create(folder.path())
        .unwrap()
        .health()
        .unwrap()
        .schema
}

fn archive(version: i64) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/catalog_v{version}.tar.gz"))
}

/// Unpacks the base directory with the catalog of a version.
pub(crate) fn unpack(version: i64) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let archive = fs::File::open(archive(version)).unwrap();
    tar::Archive::new(flate2::read::GzDecoder::new(archive))
        .unpack(folder.path())
        .unwrap();
    let base = folder.path().join("base");
    (folder, base)
}

/// Every row of the view `artifact_view`, with the columns that every version has.
fn rows(catalog: &Path) -> BTreeSet<String> {
    let connection = Connection::open(catalog).unwrap();
    let mut statement = connection
        .prepare(
            "SELECT concat_ws('|', id, path, run, kind, iteration, dataset, parameters, state,
                 origin, bytes, files, recorded_at, written_at, sealed_at) FROM artifact_view",
        )
        .unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

fn listed(registry: &Registry) -> BTreeSet<String> {
    let everything = Filter::default().kinds(Kind::ALL);
    let artifacts = registry.select(&everything).unwrap().into_iter();
    artifacts
        .map(|artifact| {
            let (size, id) = (artifact.size, artifact.id);
            let size = size.map(|size| (size.bytes.0, size.files));
            format!(
                "{id}|{}|{}|{size:?}",
                artifact.location().path(),
                artifact.state
            )
        })
        .collect()
}

/// The rows that [`listed`] must give, read without the library.
fn expected(catalog: &Path) -> BTreeSet<String> {
    let connection = Connection::open(catalog).unwrap();
    let mut statement = connection
        .prepare("SELECT id, path, state, bytes, files FROM artifact_view")
        .unwrap();
    let rows = statement.query_map([], |row| {
        let size: Option<(u64, u64)> = match (row.get(3)?, row.get(4)?) {
            (Some(bytes), Some(files)) => Some((bytes, files)),
            _ => None,
        };
        let (id, path, state): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(format!("{id}|{path}|{state}|{size:?}"))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

#[test]
fn the_catalogs_are_those_of_their_versions() {
    for version in versions() {
        let (_folder, base) = unpack(version);
        let catalog = base.join(CATALOG);
        assert_eq!(
            ask(
                &catalog,
                "SELECT CAST(user_version AS TEXT) FROM pragma_user_version"
            ),
            version.to_string()
        );
        let count = if version == 1 { 11 } else { 9 };
        assert_eq!(rows(&catalog).len(), count, "{version}");
        let last = "SELECT CAST(max(version) AS TEXT) FROM refinery_schema_history";
        assert_eq!(ask(&catalog, last), version.to_string());
    }
}

/// The stored details of operations, by number.
fn details(catalog: &Path) -> Vec<(i64, String)> {
    let connection = Connection::open(catalog).unwrap();
    let mut statement = connection
        .prepare("SELECT id, detail FROM operation WHERE detail IS NOT NULL ORDER BY id")
        .unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

#[test]
fn the_details_of_old_operations_are_known_and_keep_their_text() {
    for version in versions().filter(|version| *version >= 4) {
        let (_folder, base) = unpack(version);
        let registry = Registry::open(&base).unwrap();
        let on_disk = details(&base.join(CATALOG));
        assert!(on_disk.len() > 10, "{version}");
        let mut read = Vec::new();
        registry
            .history(&HistoryFilter::default(), |operation| {
                if let Some(detail) = operation.detail {
                    let is_known = |entry: &Detail| !matches!(entry, Detail::Other(_));
                    assert!(detail.entries().iter().all(is_known), "{detail}");
                    read.insert(0, (operation.id, detail.to_string()));
                }
                Ok(std::ops::ControlFlow::Continue(()))
            })
            .unwrap();
        assert_eq!(read, on_disk);
    }
}

#[test]
fn each_is_migrated_after_a_backup_and_lists_what_it_held() {
    for version in versions() {
        let (_folder, base) = unpack(version);
        let before = rows(&base.join(CATALOG));
        let listing = expected(&base.join(CATALOG));
        let registry = at(NOW).open(&base).unwrap();
        assert_eq!(registry.health().unwrap().schema, newest());
        assert_eq!(listed(&registry), listing, "from {version}");
        drop(registry);
        assert_eq!(rows(&base.join(CATALOG)), before, "from {version}");
        if version == newest() {
            assert_eq!(names(&base), Vec::<String>::new());
            continue;
        }
        assert_eq!(names(&base), [NAME, "lock"], "from {version}");
        let made = backups(&base).remove(0);
        let checked = backup::check(&made.path).unwrap();
        assert_eq!(checked.schema, version);
        assert_eq!(checked.artifacts, before.len() as u64);
        let last = checked.last.map(|last| last.number);
        assert_eq!(last, (version >= 4).then_some(17), "from {version}");
        assert_eq!(rows(&made.path), before, "from {version}");
        assert_sound(&base.join(CATALOG));

        // The second open has nothing to migrate.
        drop(at(NOW).open(&base).unwrap());
        assert_eq!(names(&base), [NAME, "lock"]);
    }
}

#[test]
fn each_agrees_with_its_data_and_has_a_history_that_holds() {
    for version in versions() {
        let (_folder, base) = unpack(version);
        let registry = at(NOW).open(&base).unwrap();
        let report = registry
            .verify(&Filter::default(), VerifyOptions::default(), &Silent)
            .unwrap();
        assert_eq!(report.findings, [], "from {version}");
        let chain = registry.check_history(None).unwrap();
        assert!(chain.is_whole(), "from {version}");
        let operations = if version >= 4 { 17 } else { 0 };
        assert_eq!(registry.history_head().unwrap().0, operations);
        if version >= 4 {
            let mut actions = Vec::new();
            let filter = HistoryFilter::default();
            registry
                .history(&filter, |operation| {
                    actions.push(operation.action.as_str().to_owned());
                    Ok(std::ops::ControlFlow::Continue(()))
                })
                .unwrap();
            assert_eq!(actions.first().unwrap(), "unpin");
            assert_eq!(actions.last().unwrap(), "record");
        }
    }
}

#[test]
fn each_is_worked_on_as_if_it_were_new() {
    for version in versions() {
        let (_folder, base) = unpack(version);
        let registry = at(NOW).open(&base).unwrap();
        if version >= 3 {
            // Pins still bind, and scores are still there.
            let refused = registry.remove_artifact(&target(ARRAY)).unwrap_err();
            assert_eq!(refused.code(), "pinned", "from {version}");
            let mut values = Vec::new();
            let query = ScoreQuery::new(Filter::default()).metrics(&[]);
            registry
                .scores(&query, |score| {
                    values.push(score.value);
                    Ok(())
                })
                .unwrap();
            values.sort_by(f64::total_cmp);
            assert_eq!(values, [0.29, 0.31, 0.8]);
            registry.unpin(&"figure-3".parse().unwrap(), None).unwrap();
        }
        if version >= 2 {
            assert!(registry.get(&target(IN_TRASH)).unwrap().is_none());
            let restored = registry
                .restore(&RestoreTarget::Path(IN_TRASH.into()))
                .unwrap();
            assert_eq!(restored.artifacts.len(), 1, "from {version}");
            assert_eq!(registry.former_at(GONE.as_ref()).unwrap().len(), 1);
        }
        assert!(base.join(IN_TRASH).join(".zarray").exists());
        let options = RemoveOptions::default().keep(TrashKeep::UntilEmptied);
        let before = listed(&registry);
        let removed = registry
            .remove_target(&target(ARRAY), &options, &Silent)
            .unwrap();
        assert_eq!(removed.backup_failed, None);
        assert!(!base.join(ARRAY).exists());
        let target = RestoreTarget::Removal(removed.removal.unwrap());
        registry.restore(&target).unwrap();
        assert_eq!(listed(&registry), before, "from {version}");
        super::array(&registry, "mito/validation.zarr/4000/crop1/prediction");
        assert!(
            registry.check_history(None).unwrap().is_whole(),
            "from {version}"
        );
        drop(registry);
        assert_sound(&base.join(CATALOG));
    }
}

#[test]
fn a_newer_version_is_refused_and_nothing_is_made() {
    let (_folder, base) = unpack(4);
    let catalog = base.join(CATALOG);
    let newer = newest() + 1;
    sql(&catalog, &format!("PRAGMA user_version = {newer}"));
    let before = tree(&base);
    for _ in 0..2 {
        assert_eq!(super::code(at(NOW).open(&base)), "catalog-too-new");
        assert_eq!(
            super::code(at(NOW).read_only(true).open(&base)),
            "catalog-too-new"
        );
    }
    assert_eq!(tree(&base), before);
    assert!(!base.join(BACKUPS).exists());
}
