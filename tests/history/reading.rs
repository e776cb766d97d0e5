//! Queries: selections, removed artifacts, catalogs older than the history, read-only handles.

use std::fs;
use std::ops::ControlFlow;

use dalsegno::model::filter::Filter;
use dalsegno::model::operation::{Action, HistoryFilter, OperationHash};
use dalsegno::model::progress::Silent;
use dalsegno::{Options, PinSelection, Registry};
use rusqlite::Connection;

use crate::{
    ARRAY, CATALOG, NOW, OTHER, array, base, get, history, key, open, remove, score, selected,
    target,
};

fn ids(registry: &Registry, filter: &HistoryFilter) -> Vec<i64> {
    let operations = selected(registry, filter);
    operations.iter().map(|operation| operation.id).collect()
}

#[test]
fn selections_are_anded_and_the_newest_come_first() {
    let (_folder, registry) = base();
    let artifact = array(&registry, ARRAY); // 1 record, 2 seal
    registry.record(&key("er/extra.zarr/mesh")).unwrap(); // 3
    registry.score(&[score(1000, "voi", 0.5)]).unwrap(); // 4
    let name = "p".parse().unwrap();
    let one = PinSelection::Artifacts(vec![artifact.clone()]);
    registry.pin(&name, Some("why"), &one).unwrap(); // 5
    registry.unpin(&name, None).unwrap(); // 6
    remove(&registry, ARRAY); // 7
    let all = HistoryFilter::default();
    assert_eq!(ids(&registry, &all), [7, 6, 5, 4, 3, 2, 1]);
    let run = |name: &str| all.clone().runs([name]);
    assert_eq!(ids(&registry, &run("er")), [3]);
    assert_eq!(ids(&registry, &run("mito")), [7, 4, 2, 1]);
    assert_eq!(ids(&registry, &run("m*")), [7, 4, 2, 1]);
    assert_eq!(ids(&registry, &run("nobody")), Vec::<i64>::new());
    let of = all.clone().artifacts([artifact.id]);
    assert_eq!(ids(&registry, &of), [7, 6, 5, 2, 1]);
    let of = of.actions([Action::Record, Action::Remove]);
    assert_eq!(ids(&registry, &of), [7, 1]);
    let user = |user: &str| all.clone().users([user]);
    let me = &history(&registry)[0].agent.actor.user;
    assert_eq!(ids(&registry, &user(me)).len(), 7);
    assert_eq!(ids(&registry, &user("nobody at all")), Vec::<i64>::new());
    let time = |since: i64, until: i64| {
        let at = |after: i64| dalsegno::model::clock::Timestamp(NOW.0 + after);
        all.clone().since(at(since)).until(at(until))
    };
    assert_eq!(ids(&registry, &time(0, 0)).len(), 7);
    assert_eq!(ids(&registry, &time(1, 2)).len(), 0);
    assert_eq!(ids(&registry, &time(-2, -1)).len(), 0);
    let most = all.clone().most(2);
    assert_eq!(ids(&registry, &most), [7, 6]);
    let page = |before: i64| most.clone().before(before);
    assert_eq!(ids(&registry, &page(6)), [5, 4]);
    assert_eq!(ids(&registry, &page(2)), [1]);
    assert_eq!(ids(&registry, &page(1)), Vec::<i64>::new());
}

#[test]
fn what_is_gone_still_answers() {
    let (_folder, registry) = base();
    let first = array(&registry, ARRAY);
    remove(&registry, ARRAY);
    let second = array(&registry, ARRAY);
    remove(&registry, ARRAY);
    assert_ne!(first.id, second.id);
    let path = ARRAY.as_ref();
    assert_eq!(
        registry.artifacts_ever_at(path).unwrap(),
        [first.id, second.id]
    );
    let gone = registry.former_at(path).unwrap();
    assert_eq!(gone.len(), 2);
    assert_eq!(gone[0].removed.artifact, second);
    assert_eq!(gone[0].removal.reason.as_deref(), Some("superseded"));
    assert!(gone[0].can_be_restored());
    registry.empty_trash(None, &Silent).unwrap();
    let gone = registry.former_at(path).unwrap();
    assert!(gone.iter().all(|gone| !gone.can_be_restored()));
    assert_eq!(gone[0].removed.artifact.size, second.size);
    assert!(
        registry
            .artifacts_ever_at(OTHER.as_ref())
            .unwrap()
            .is_empty()
    );
    assert!(registry.former_at(OTHER.as_ref()).unwrap().is_empty());
}

#[test]
fn the_whole_history_comes_with_its_images_the_oldest_first() {
    let (_folder, registry) = base();
    array(&registry, ARRAY);
    remove(&registry, ARRAY);
    let mut seen = Vec::new();
    registry
        .whole_history(|operation, images| {
            seen.push((operation, images));
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    let single = (1..=3).map(|id| registry.operation(id).unwrap());
    assert_eq!(seen, single.collect::<Vec<_>>());
}

#[test]
fn a_new_registry_has_no_history_and_that_is_whole() {
    let (_folder, registry) = base();
    assert_eq!(registry.history_head().unwrap(), (0, OperationHash::NONE));
    let report = registry.check_history(Some(OperationHash::NONE)).unwrap();
    assert!(report.is_whole() && report.operations == 0);
}

#[test]
fn reading_only_answers_and_undoes_nothing() {
    let (folder, registry) = base();
    array(&registry, ARRAY);
    remove(&registry, ARRAY);
    let expected = history(&registry);
    drop(registry);
    let reader = Options::new().read_only(true).open(folder.path()).unwrap();
    assert_eq!(history(&reader), expected);
    assert!(reader.check_history(None).unwrap().is_whole());
    assert_eq!(reader.former_at(ARRAY.as_ref()).unwrap().len(), 1);
    assert_eq!(crate::code(reader.undo(3)), "read-only");
}

/// A catalog as version 3 left it: one without the tables of the history.
fn as_version_3(base: &std::path::Path) {
    let connection = Connection::open(base.join(CATALOG)).unwrap();
    connection
        .pragma_update(None, "foreign_keys", false)
        .unwrap();
    connection
        .execute_batch(
            "DROP VIEW history_view; DROP TABLE image; DROP TABLE operation; DROP TABLE agent;
             DROP TABLE folded;
             DROP INDEX removed_item;
             DROP VIEW artifact_view;
             ALTER TABLE removed DROP COLUMN content;
             ALTER TABLE removed DROP COLUMN metadata_id;
             ALTER TABLE removed DROP COLUMN chunks;
             ALTER TABLE removed DROP COLUMN sealed_chunks;
             ALTER TABLE artifact DROP COLUMN metadata_id;
             ALTER TABLE artifact DROP COLUMN chunks;
             ALTER TABLE artifact DROP COLUMN sealed_chunks;
             DROP TABLE metadata;
             ALTER TABLE removed DROP COLUMN levels;
             ALTER TABLE removed DROP COLUMN iterations;
             ALTER TABLE removed DROP COLUMN disk_bytes;
             ALTER TABLE artifact DROP COLUMN content;
             ALTER TABLE artifact DROP COLUMN levels;
             ALTER TABLE artifact DROP COLUMN iterations;
             ALTER TABLE artifact DROP COLUMN disk_bytes;
             DELETE FROM refinery_schema_history WHERE version >= 4;
             PRAGMA user_version = 3; PRAGMA writable_schema = ON;",
        )
        .unwrap();
    // Word for word, because a catalog with other tables is taken for damaged.
    let then = Connection::open_in_memory().unwrap();
    for migration in [
        include_str!("../../migrations/V1__catalog.sql"),
        include_str!("../../migrations/V2__removals.sql"),
        include_str!("../../migrations/V3__retention.sql"),
    ] {
        then.execute_batch(migration).unwrap();
    }
    let of = "SELECT sql FROM sqlite_schema WHERE name = ?1";
    let text = |name: &str| {
        then.query_row(of, [name], |row| row.get::<_, String>(0))
            .unwrap()
    };
    for name in ["artifact", "removed"] {
        let set = "UPDATE sqlite_schema SET sql = ?1 WHERE name = ?2";
        assert_eq!(connection.execute(set, [text(name).as_str(), name]), Ok(1));
    }
    connection
        .execute_batch("PRAGMA writable_schema = RESET")
        .unwrap();
    connection.execute_batch(&text("artifact_view")).unwrap();
}

#[test]
fn a_catalog_from_before_starts_with_an_empty_history() {
    let (folder, registry) = base();
    array(&registry, ARRAY);
    array(&registry, OTHER);
    remove(&registry, OTHER);
    drop(registry);
    as_version_3(folder.path());
    let registry = open(folder.path());
    assert_eq!(registry.history_head().unwrap(), (0, OperationHash::NONE));
    assert!(registry.check_history(None).unwrap().is_whole());
    // For an older removal, the answer comes from the removal itself.
    assert_eq!(registry.former_at(OTHER.as_ref()).unwrap().len(), 1);
    registry.record(&key("er/extra.zarr/mesh")).unwrap();
    remove(&registry, ARRAY);
    let actions: Vec<Action> = history(&registry).iter().map(|o| o.action).collect();
    assert_eq!(actions, [Action::Record, Action::Remove]);
    registry.undo(2).unwrap();
    get(&registry, ARRAY);
    assert_eq!(registry.select(&Filter::default()).unwrap().len(), 2);
    assert!(fs::exists(folder.path().join(ARRAY)).unwrap());
    assert!(registry.get(&target(OTHER)).unwrap().is_none());
}

#[test]
fn a_path_selects_what_is_or_was_below_it() {
    let (_folder, registry) = base();
    let path =
        |run: &str, iteration: i64| format!("{run}/validation.zarr/{iteration}/d/prediction");
    array(&registry, &path("r", 1));
    array(&registry, &path("r", 2));
    array(&registry, &path("other", 1));
    remove(&registry, &path("r", 1));
    let at = |paths: &[&str]| {
        let paths: Vec<std::path::PathBuf> = paths
            .iter()
            .map(|path| registry.base().join(path))
            .collect();
        let filter = registry.history_at(HistoryFilter::default(), &paths)?;
        Ok::<_, dalsegno::Error>(selected(&registry, &filter).len())
    };
    // Each array was recorded and sealed; one was removed, too.
    assert_eq!(at(&["r"]).unwrap(), 5);
    assert_eq!(at(&["r/validation.zarr"]).unwrap(), 5);
    assert_eq!(at(&["r/validation.zarr/1"]).unwrap(), 3);
    assert_eq!(at(&["r/validation.zarr/2"]).unwrap(), 2);
    assert_eq!(at(&[&path("r", 1)]).unwrap(), 3);
    assert_eq!(at(&[&path("r", 2), "other"]).unwrap(), 4);
    assert_eq!(
        at(&["r/validation.zarr/3"]).unwrap_err().code(),
        "not-recorded"
    );
}
