//! Which backup a rebuild takes, and what comes from it.

use std::fs;

use dalsegno::model::artifact::State;
use dalsegno::model::clock::Timestamp;
use dalsegno::model::filter::Filter;
use dalsegno::model::pin::PinName;
use dalsegno::model::score::Score;
use dalsegno::{PinSelection, RebuildFrom, RebuildOptions, Registry};
use rusqlite::Connection;

use crate::scene::{
    A1, A2, A3, OUTPUT, Scene, assert_is_a_good_rebuild, backup_name, code, key, rows, with, write,
};

fn pin(registry: &Registry, name: &str, filter: &Filter) {
    let name: PinName = name.parse().unwrap();
    let target = PinSelection::Artifacts(registry.select(filter).unwrap());
    registry.pin(&name, Some("for the paper"), &target).unwrap();
}

fn score(registry: &Registry) {
    let score = Score::new("run".parse().unwrap(), 1, "voi".parse().unwrap(), 0.5);
    registry.score(&[score]).unwrap();
}

fn scores(registry: &Registry) -> usize {
    let mut all = 0;
    registry
        .scores(&dalsegno::ScoreQuery::default(), |_| {
            all += 1;
            Ok(())
        })
        .unwrap();
    all
}

fn operations(registry: &Registry) -> Vec<(i64, String)> {
    let mut all = Vec::new();
    registry
        .whole_history(|operation, _| {
            all.push((operation.id, operation.hash.to_string()));
            Ok(std::ops::ControlFlow::Continue(()))
        })
        .unwrap();
    all
}

#[test]
fn pins_scores_history_numbers_and_seals_come_from_the_backup() {
    let scene = Scene::recorded(&[A1, A2]);
    let registry = scene.open();
    // An identifier without data, whose parameters cannot be read back from a path.
    registry.record(&key(OUTPUT)).unwrap();
    pin(&registry, "paper", &Filter::default());
    score(&registry);
    let (before, history) = (rows(&registry), operations(&registry));
    drop(registry);
    let backup = scene.back_up();

    let registry = scene.open();
    scene.array(&registry, A3);
    drop(registry);
    fs::remove_dir_all(scene.base.join(A2)).unwrap();
    let data = scene.data();
    scene.lose();
    let (registry, report) = scene.rebuild();
    assert_eq!(scene.data(), data);
    assert_eq!(report.backup.as_ref(), Some(&backup));
    assert_eq!(report.refused, []);
    assert_eq!((report.scan.adopted, report.missing), (1, 1));
    let after = rows(&registry);
    assert_eq!(after[A1], before[A1]);
    assert_eq!(after[A1].pins, ["paper"]);
    assert!(after[A1].sealed_at.is_some());
    assert_eq!(after[OUTPUT], before[OUTPUT]);
    assert_eq!(after[A2].state, State::Missing);
    assert_eq!(after[A2].id, before[A2].id);
    assert_eq!(after[A3].state, State::Present);
    assert_eq!(scores(&registry), 1);
    assert_eq!(operations(&registry)[..history.len()], history);
    // The backup is still there.
    assert!(backup.path.exists());
}

#[test]
fn a_damaged_backup_is_passed_over_for_the_next_older_one() {
    let scene = Scene::recorded(&[A1]);
    let older = scene.back_up();
    let registry = scene.open();
    pin(&registry, "paper", &Filter::default());
    drop(registry);
    let newer = scene.back_up();
    fs::write(&newer.path, [0x5A; 20_000]).unwrap();
    // A file whose name is not a backup's is not used.
    fs::write(scene.backups().join("notes.sqlite3"), "notes").unwrap();
    scene.lose();
    let (_, report) = scene.rebuild();
    assert_eq!(report.backup, Some(older));
    let [refused] = &report.refused[..] else {
        panic!("{:?}", report.refused);
    };
    assert_eq!(refused.path, newer.path);
    assert!(refused.reason.contains("not a database"), "{refused:?}");
}

#[test]
fn a_backup_dated_in_the_future_is_taken_only_if_no_other_is_sound() {
    let scene = Scene::recorded(&[A1]);
    let wrong = scene.back_up();
    let future = scene
        .backups()
        .join(backup_name(Timestamp(4_100_000_000_000)));
    fs::rename(wrong.path, &future).unwrap();
    let registry = scene.open();
    pin(&registry, "paper", &Filter::default());
    drop(registry);
    let newest = scene.back_up();
    scene.lose();
    let (registry, report) = scene.rebuild();
    assert_eq!(report.backup.as_ref(), Some(&newest));
    assert_eq!(report.refused, []);
    assert_eq!(rows(&registry)[A1].pins, ["paper"]);
    let found = registry.backups().unwrap();
    assert_eq!(found.first(), Some(&newest));
    assert_eq!(found.last().unwrap().path, future);
    drop(registry);

    fs::write(newest.path, "").unwrap();
    scene.lose();
    let (_, report) = scene.rebuild();
    assert_eq!(report.backup.unwrap().path, future);
}

#[test]
fn without_a_good_backup_it_is_made_from_the_disk() {
    let scene = Scene::recorded(&[A1]);
    let backup = scene.back_up();
    fs::write(&backup.path, "").unwrap();
    scene.lose();
    let (registry, report) = scene.rebuild();
    assert_eq!(report.backup, None);
    assert_eq!(report.refused.len(), 1);
    assert_eq!(rows(&registry)[A1].state, State::Present);
}

fn from(path: impl Into<std::path::PathBuf>) -> RebuildOptions {
    RebuildOptions::default().from(RebuildFrom::Backup(path.into()))
}

#[test]
fn a_backup_that_is_named_is_taken_or_refused() {
    let scene = Scene::recorded(&[A1]);
    let older = scene.back_up();
    let registry = scene.open();
    scene.array(&registry, A2);
    drop(registry);
    scene.back_up();
    scene.lose();

    let nowhere = scene.folder.path().join("nowhere");
    assert_eq!(code(scene.try_rebuild(&from(nowhere))), "catalog-missing");
    let garbage = scene.folder.path().join("garbage");
    fs::write(&garbage, [0x5A; 20_000]).unwrap();
    assert_eq!(code(scene.try_rebuild(&from(garbage))), "catalog-damaged");
    assert!(!scene.catalog().exists());

    // Its name does not hold the time when it was made.
    let copy = scene.folder.path().join("older copy.sqlite3");
    fs::copy(&older.path, &copy).unwrap();
    let (registry, report) = scene.try_rebuild(&from(&copy)).unwrap();
    assert_is_a_good_rebuild(&registry);
    assert_eq!(report.backup.unwrap().path, copy);
    assert_eq!(report.scan.adopted, 1);
}

#[test]
fn what_has_a_log_beside_it_is_no_backup() {
    let scene = Scene::recorded(&[A1]);
    let copy = scene.folder.path().join("copy.sqlite3");
    fs::copy(scene.catalog(), &copy).unwrap();
    fs::write(with(&copy, "-wal"), "a log").unwrap();
    scene.lose();
    assert_eq!(code(scene.try_rebuild(&from(copy))), "not-a-backup");
    assert!(!scene.catalog().exists());
}

#[test]
fn a_backup_of_another_registry_is_refused() {
    let scene = Scene::recorded(&[A1]);
    let other = Scene::recorded(&[A2]);
    let backup = other.back_up();
    // The remains of the old catalog name its registry.
    let connection = Connection::open(scene.catalog()).unwrap();
    connection.execute("DROP TABLE score", []).unwrap();
    drop(connection);
    let before = fs::read(scene.catalog()).unwrap();
    let refused = scene.try_rebuild(&from(backup.path));
    assert_eq!(code(refused), "catalog-mismatch");
    assert_eq!(fs::read(scene.catalog()).unwrap(), before);
    assert_eq!(scene.set_aside(), Vec::<String>::new());
}

#[test]
fn a_base_directory_that_names_its_registry_passes_over_backups_of_others() {
    let scene = Scene::recorded(&[A1]);
    let backup = scene.back_up();
    let registry = "00000000-0000-4000-8000-000000000000";
    let config = format!("[catalog]\nregistry = \"{registry}\"\n");
    fs::write(scene.base.join(".dalsegno/config.toml"), config).unwrap();
    scene.lose();
    let refused = scene.try_rebuild(&from(&backup.path));
    assert_eq!(code(refused), "catalog-mismatch");
    let (rebuilt, report) = scene.rebuild();
    assert_eq!(report.backup, None);
    assert_eq!(report.refused[0].path, backup.path);
    assert_eq!(rebuilt.id().unwrap(), registry);
}

#[test]
fn a_backup_of_an_older_version_is_brought_up_to_date() {
    let scene = Scene::recorded(&[A1]);
    fs::create_dir(scene.backups()).unwrap();
    let old = scene.backups().join("20231114T000000Z.sqlite3");
    let connection = Connection::open(&old).unwrap();
    for sql in [
        include_str!("../../migrations/V1__catalog.sql"),
        include_str!("../../migrations/V2__removals.sql"),
    ] {
        connection.execute_batch(sql).unwrap();
    }
    let id = scene.open().id().unwrap();
    connection
        .execute("INSERT INTO registry VALUES (1, ?1, 5)", [id])
        .unwrap();
    connection
        .execute_batch(
            "\
             INSERT INTO run VALUES (1, 'run'); INSERT INTO dataset VALUES (1, 'a'); \
             INSERT INTO container VALUES (1, 1, 'run/validation.zarr'); \
             INSERT INTO artifact (id, run_id, kind_id, iteration, dataset_id, container_id, array, \
               origin, state, recorded_at) VALUES (77, 1, 1, 1, 1, 1, '1/a/prediction', 0, 0, 5);",
        )
        .unwrap();
    refinery_rows(&connection);
    drop(connection);
    let bytes = fs::read(&old).unwrap();
    scene.lose();
    let (registry, report) = scene.rebuild();
    assert_eq!(report.backup.unwrap().path, old);
    assert_eq!(fs::read(&old).unwrap(), bytes);
    let row = &rows(&registry)[A1];
    assert_eq!((row.id.0, row.recorded_at.0), (77, 5));
    assert_eq!(row.state, State::Present);
}

/// The migrations' own table, as it is in a new catalog after the first two.
fn refinery_rows(connection: &Connection) {
    let new = Scene::empty();
    connection
        .execute_batch(&format!("ATTACH '{}' AS new", new.catalog().display()))
        .unwrap();
    let table: String = connection
        .query_row(
            "SELECT sql FROM new.sqlite_schema WHERE name = 'refinery_schema_history'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    connection
        .execute_batch(&format!(
            "{table}; INSERT INTO refinery_schema_history \
               SELECT * FROM new.refinery_schema_history WHERE version <= 2; DETACH new;"
        ))
        .unwrap();
}

#[test]
fn data_that_was_rewritten_since_the_backup_has_no_seal() {
    let scene = Scene::recorded(&[A1]);
    scene.back_up();
    fs::remove_dir_all(scene.base.join(A1)).unwrap();
    write(&scene.base, A1);
    let metadata = fs::File::open(scene.base.join(A1).join(".zarray")).unwrap();
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
    metadata.set_modified(later).unwrap();
    scene.lose();
    let (registry, _) = scene.rebuild();
    let row = &rows(&registry)[A1];
    assert_eq!(
        (row.state, row.sealed_at, row.size),
        (State::Present, None, None)
    );
}
