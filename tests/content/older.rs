//! A catalog from before there were hashes, as the program of then wrote it.

use std::collections::BTreeMap;
use std::fs;

use dalsegno::model::filter::Filter;
use dalsegno::{RestoreTarget, VerifyOptions};
use rusqlite::Connection;

use super::*;

/// Written by version 4, and never changed since.
const CATALOG: &str = include_str!("../data/catalog_v4.sql");
const HEAD: &str = "b66e01704175ecf3392cfb4b49a2b8b56b452da670d695c2df9cc9bf688feec4";
const SEALED: &str = "r/validation.zarr/1/a/prediction";
const REMOVED: &str = "r/validation.zarr/2/a/prediction";

fn older() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(".dalsegno")).unwrap();
    let path = folder.path().join(".dalsegno/catalog.sqlite3");
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(CATALOG).unwrap();
    folder
}

/// Everything that a table had before, by the names of its columns.
fn rows(base: &Path, table: &str) -> Vec<BTreeMap<String, String>> {
    let connection = Connection::open(base.join(".dalsegno/catalog.sqlite3")).unwrap();
    let mut statement = connection
        .prepare(&format!("SELECT * FROM {table}"))
        .unwrap();
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let rows = statement.query_map([], |row| {
        let cell = |(at, name): (usize, &String)| {
            let value: rusqlite::types::Value = row.get(at).unwrap();
            (name.clone(), format!("{value:?}"))
        };
        Ok(names.iter().enumerate().map(cell).collect())
    });
    rows.unwrap().map(Result::unwrap).collect()
}

#[test]
fn an_older_catalog_migrates_with_all_its_rows() {
    let folder = older();
    let tables = [
        "artifact",
        "removed",
        "image",
        "operation",
        "agent",
        "pin",
        "score",
    ];
    let before = tables.map(|table| rows(folder.path(), table));
    let registry = common::create(folder.path());
    for (table, mut before) in tables.into_iter().zip(before) {
        if matches!(table, "artifact" | "removed" | "image") {
            for row in &mut before {
                for column in [
                    "content",
                    "chunks",
                    "sealed_chunks",
                    "metadata_id",
                    "levels",
                    "iterations",
                    "disk_bytes",
                ] {
                    row.insert(column.to_owned(), "Null".to_owned());
                }
                if table == "artifact" {
                    for column in ["metadata_file", "counted"] {
                        row.insert(column.to_owned(), "Null".to_owned());
                    }
                }
            }
        }
        assert_eq!(rows(folder.path(), table), before, "{table}");
    }
    let view = rows(folder.path(), "artifact_view");
    assert!(view.iter().all(|row| row["content_hash"] == "Null"));
    assert_eq!(get(&registry, SEALED).content_hash, None);
    assert!(get(&registry, SEALED).sealed_at.is_some());
}

/// The hashes of operations from then are what they were.
#[test]
fn the_history_of_an_older_catalog_fits() {
    let folder = older();
    let registry = common::create(folder.path());
    let head = registry.history_head().unwrap();
    assert_eq!((head.0, head.1.to_string().as_str()), (6, HEAD));
    let report = registry.check_history(Some(HEAD.parse().unwrap())).unwrap();
    assert!(report.is_whole());
    assert_eq!(
        (report.operations, report.noted.unwrap().operation),
        (6, Some(6))
    );
    // And it goes on, with hashes.
    common::write_array(&folder.path().join(SEALED));
    let hash = hashed(&registry, SEALED);
    assert!(registry.check_history(None).unwrap().is_whole());
    assert_eq!(registry.history_head().unwrap().0, 7);
    let view = rows(folder.path(), "artifact_view");
    assert_eq!(
        view[0]["content_hash"],
        format!("Text({:?})", hash.to_string())
    );
    // A hash that is slipped into an image, or taken out of one, is noticed.
    let connection = Connection::open(folder.path().join(".dalsegno/catalog.sqlite3")).unwrap();
    for (sql, operation) in [
        (
            "UPDATE image SET content = NULL WHERE content IS NOT NULL",
            7,
        ),
        (
            "UPDATE image SET content = zeroblob(32) WHERE operation_id = 1",
            1,
        ),
    ] {
        connection
            .execute_batch(&format!(
                "DROP TRIGGER IF EXISTS image_stays_as_it_is; {sql}"
            ))
            .unwrap();
        let broken = registry.check_history(None).unwrap().broken.unwrap();
        assert_eq!(broken.operation, operation, "{sql}");
    }
}

#[test]
fn what_an_older_program_removed_is_restored() {
    let folder = older();
    let removal = "20261122-220817-12d96f";
    let item = folder.path().join(".dalsegno/trash").join(removal);
    fs::create_dir_all(&item).unwrap();
    common::write_array(&item.join("0"));
    let manifest = format!(
        r#"{{"version":1,"removal":"{removal}","items":[{{"item":0,"path":"{REMOVED}"}}]}}"#
    );
    fs::write(item.join("manifest.json"), manifest).unwrap();
    let registry = common::create(folder.path());
    registry
        .restore(&RestoreTarget::Path(REMOVED.into()))
        .unwrap();
    let row = get(&registry, REMOVED);
    assert_eq!((row.id.0, row.content_hash), (2, None));
    assert!(row.sealed_at.is_some());
}

#[test]
fn rows_without_a_hash_are_counted_and_not_read() {
    let folder = older();
    let registry = common::create(folder.path());
    common::write_array(&folder.path().join(SEALED));
    let options = VerifyOptions::new().read_data(true);
    let report = registry
        .verify(&Filter::default(), options, &Silent)
        .unwrap();
    assert_eq!((report.read, report.unhashed), (0, 1));
}
