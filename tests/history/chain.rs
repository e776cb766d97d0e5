//! The chain of hashes: no change, deletion or truncation goes unnoticed.

use std::path::Path;

use dalsegno::PinSelection;
use dalsegno::model::filter::Filter;
use dalsegno::model::operation::{ChainReport, OperationHash};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::{ARRAY, CATALOG, OTHER, array, base, key, open, remove, score};

/// A plain SQLite connection to the catalog.
fn raw(base: &Path) -> Connection {
    let connection = Connection::open(base.join(CATALOG)).unwrap();
    connection
        .pragma_update(None, "foreign_keys", false)
        .unwrap();
    connection
}

/// The same, without the triggers that protect the history.
pub(crate) fn freed(base: &Path) -> Connection {
    let connection = raw(base);
    let names: Vec<String> = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(names.len(), 6);
    for name in names {
        connection
            .execute_batch(&format!("DROP TRIGGER {name}"))
            .unwrap();
    }
    connection
}

/// Six operations: record, seal, record, score, pin, remove.
fn worked_on() -> TempDir {
    let (folder, registry) = base();
    array(&registry, ARRAY);
    registry.record(&key(OTHER)).unwrap();
    registry.score(&[score(1000, "voi", 0.1 + 0.2)]).unwrap();
    let filter = Filter::default().iterations([1.into()]).runs(["mito"]);
    let name = "p".parse().unwrap();
    registry
        .pin(&name, Some("why"), &PinSelection::Filter(filter))
        .unwrap();
    remove(&registry, ARRAY);
    assert_eq!(registry.history_head().unwrap().0, 6);
    folder
}

fn check(base: &Path, noted: Option<OperationHash>) -> ChainReport {
    open(base).check_history(noted).unwrap()
}

/// Runs some SQL and returns the first operation that the check finds broken.
fn broken(sql: &str) -> Option<i64> {
    let folder = worked_on();
    let changed = freed(folder.path()).execute_batch(sql);
    assert_eq!(changed, Ok(()), "{sql}");
    let report = check(folder.path(), None);
    let broken = report.broken.as_ref().map(|broken| broken.operation);
    assert_eq!(report.is_whole(), broken.is_none());
    if let Some(operation) = broken {
        assert!(report.operations < operation as u64, "{sql}: {report:?}");
    }
    broken
}

#[test]
fn plain_sql_can_neither_change_nor_delete() {
    let folder = worked_on();
    let connection = raw(folder.path());
    for sql in [
        "UPDATE operation SET reason = 'x' WHERE id = 6",
        "DELETE FROM operation WHERE id = 6",
        "UPDATE agent SET user = 'x'",
        "DELETE FROM agent",
        "UPDATE image SET bytes = 1",
        "DELETE FROM image WHERE operation_id = 6",
    ] {
        let error = connection.execute_batch(sql).unwrap_err().to_string();
        assert!(error.contains("history is only added to"), "{sql}: {error}");
    }
    assert!(check(folder.path(), None).is_whole());
}

#[test]
fn whatever_is_changed_is_named() {
    for (sql, first) in [
        ("SELECT 1", None),
        ("UPDATE operation SET at = at + 1 WHERE id = 2", Some(2)),
        (
            "UPDATE operation SET action = 'refresh' WHERE id = 2",
            Some(2),
        ),
        ("UPDATE operation SET action = 'x' WHERE id = 2", Some(2)),
        ("UPDATE operation SET reason = 'x' WHERE id = 6", Some(6)),
        ("UPDATE operation SET reason = 'x' WHERE id = 1", Some(1)),
        ("UPDATE operation SET detail = NULL WHERE id = 4", Some(4)),
        (
            "UPDATE operation SET detail = replace(detail, '\"mito\"', '\"mit0\"') WHERE id = 4",
            Some(4),
        ),
        (
            "UPDATE operation SET detail = replace(detail, ':', ': ') WHERE id = 5",
            Some(5),
        ),
        ("UPDATE operation SET detail = '{' WHERE id = 5", Some(5)),
        ("UPDATE operation SET images = 5 WHERE id = 6", Some(6)),
        (
            "UPDATE operation SET hash = zeroblob(32) WHERE id = 3",
            Some(3),
        ),
        ("UPDATE agent SET user = user || 'x'", Some(1)),
        ("UPDATE agent SET host = 'x'", Some(1)),
        ("UPDATE agent SET pid = pid + 1", Some(1)),
        ("UPDATE agent SET command = NULL", Some(1)),
        ("UPDATE agent SET job = 'x'", Some(1)),
        ("UPDATE agent SET version = '9'", Some(1)),
        ("DELETE FROM agent", Some(1)),
        ("UPDATE image SET state = 1 WHERE operation_id = 1", Some(1)),
        ("UPDATE image SET side = 0 WHERE operation_id = 3", Some(3)),
        (
            "UPDATE image SET bytes = bytes + 1 WHERE operation_id = 6",
            Some(6),
        ),
        (
            "UPDATE image SET files = NULL WHERE operation_id = 6",
            Some(6),
        ),
        (
            "UPDATE image SET owner = 12345 WHERE operation_id = 6",
            Some(6),
        ),
        (
            "UPDATE image SET recorded_at = 1 WHERE operation_id = 3",
            Some(3),
        ),
        (
            "UPDATE image SET written_at = 1 WHERE operation_id = 6",
            Some(6),
        ),
        (
            "UPDATE image SET sealed_at = 1 WHERE operation_id = 6",
            Some(6),
        ),
        (
            "UPDATE image SET artifact_id = 9 WHERE operation_id = 6",
            Some(6),
        ),
        (
            "UPDATE image SET origin = 1 WHERE operation_id = 6",
            Some(6),
        ),
        (
            "UPDATE image SET iteration = 3 WHERE operation_id = 6",
            Some(6),
        ),
        (
            "UPDATE image SET number = 7 WHERE operation_id = 2 AND number = 0",
            Some(2),
        ),
        (
            "DELETE FROM image WHERE operation_id = 2 AND number = 0",
            Some(2),
        ),
        ("DELETE FROM image WHERE operation_id = 3", Some(3)),
        ("UPDATE run SET name = 'other'", Some(1)),
        ("UPDATE dataset SET name = 'other'", Some(1)),
        ("UPDATE container SET path = 'mito/other.zarr'", Some(1)),
        ("UPDATE operation SET id = 7 WHERE id = 6", Some(7)),
        ("DELETE FROM operation WHERE id = 3", Some(4)),
        ("DELETE FROM operation WHERE id = 1", Some(2)),
        // Its images are still there.
        ("DELETE FROM operation WHERE id = 6", Some(6)),
        (
            "DELETE FROM operation; DELETE FROM image WHERE operation_id <> 3",
            Some(1),
        ),
    ] {
        assert_eq!(broken(sql), first, "{sql}");
    }
}

/// Every character of every text that belongs to an operation, and every byte of the hashes.
#[test]
fn any_changed_character_is_named() {
    let folder = worked_on();
    let connection = freed(folder.path());
    let registry = open(folder.path());
    let mut changed = 0;
    for (table, column) in [
        ("operation", "action"),
        ("operation", "reason"),
        ("operation", "detail"),
        ("agent", "user"),
        ("agent", "host"),
        ("agent", "command"),
        ("agent", "version"),
        ("run", "name"),
        ("dataset", "name"),
        ("container", "path"),
        ("image", "array"),
    ] {
        let sql = format!("SELECT DISTINCT {column} FROM {table} WHERE {column} IS NOT NULL");
        let texts: Vec<String> = connection
            .prepare(&sql)
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert!(!texts.is_empty(), "{table}.{column}");
        let update = format!("UPDATE {table} SET {column} = ?2 WHERE {column} = ?1");
        for text in texts {
            for (at, old) in text.char_indices() {
                let new = if old == 'x' { 'y' } else { 'x' };
                let mut other = text.clone();
                other.replace_range(at..at + old.len_utf8(), new.encode_utf8(&mut [0; 4]));
                connection.execute(&update, [&text, &other]).unwrap();
                let report = registry.check_history(None).unwrap();
                assert!(report.broken.is_some(), "{table}.{column}: {other}");
                connection.execute(&update, [&other, &text]).unwrap();
                changed += 1;
            }
        }
    }
    assert!(changed > 300, "{changed}");
    let hashes = || -> Vec<(i64, Vec<u8>)> {
        let mut statement = connection
            .prepare("SELECT id, hash FROM operation")
            .unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.unwrap().map(Result::unwrap).collect()
    };
    for (id, hash) in hashes() {
        for at in 0..32 {
            let mut other = hash.clone();
            other[at] ^= 1;
            let update = "UPDATE operation SET hash = ?2 WHERE id = ?1";
            connection.execute(update, (id, &other)).unwrap();
            let broken = registry.check_history(None).unwrap().broken.unwrap();
            assert_eq!(broken.operation, id, "byte {at}");
            connection.execute(update, (id, &hash)).unwrap();
        }
    }
    assert!(registry.check_history(None).unwrap().is_whole());
}

#[test]
fn a_noted_head_tells_a_cut_and_a_rewritten_history() {
    let folder = worked_on();
    let registry = open(folder.path());
    let (last, head) = registry.history_head().unwrap();
    let (third, _) = registry.operation(3).unwrap();
    for (hash, operation) in [
        (head, Some(last)),
        (third.hash, Some(3)),
        // The head before the first operation, which no operation has.
        (OperationHash::NONE, None),
        (OperationHash([7; 32]), None),
    ] {
        let report = registry.check_history(Some(hash)).unwrap();
        assert_eq!(report.noted.as_ref().unwrap().operation, operation);
        assert_eq!(report.is_whole(), operation.is_some());
    }
    drop(registry);

    // Truncation leaves no trace in the chain itself.
    freed(folder.path())
        .execute_batch(
            "DELETE FROM image WHERE operation_id > 4; DELETE FROM operation WHERE id > 4",
        )
        .unwrap();
    assert!(check(folder.path(), None).is_whole());
    let report = check(folder.path(), Some(head));
    assert!(!report.is_whole() && report.broken.is_none());
    assert_eq!(report.operations, 4);
    assert!(check(folder.path(), Some(third.hash)).is_whole());

    // Operations recorded in its place do not give the same hash.
    let registry = open(folder.path());
    for iteration in 0..4 {
        registry.score(&[score(iteration, "f1", 0.5)]).unwrap();
    }
    assert!(registry.check_history(None).unwrap().is_whole());
    assert!(!registry.check_history(Some(head)).unwrap().is_whole());
    assert!(registry.check_history(Some(third.hash)).unwrap().is_whole());
}

#[test]
fn a_history_that_is_broken_after_a_noted_head_is_whole_up_to_it() {
    let folder = worked_on();
    let (third, _) = open(folder.path()).operation(3).unwrap();
    freed(folder.path())
        .execute_batch("UPDATE operation SET at = 1 WHERE id = 5")
        .unwrap();
    let report = check(folder.path(), Some(third.hash));
    assert!(!report.is_whole());
    assert_eq!(report.noted.unwrap().operation, Some(3));
    assert_eq!(report.broken.unwrap().operation, 5);
}
