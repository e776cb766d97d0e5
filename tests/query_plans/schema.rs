//! What the schema itself promises.

use super::scene::{empty, full};

#[test]
fn the_view_shows_every_column_as_text() {
    let connection = empty();
    connection
        .execute_batch(
            "INSERT INTO run (id, name) VALUES (7, 'r/1');
             INSERT INTO dataset (id, name) VALUES (3, 'crop1');
             INSERT INTO parameters (id, text) VALUES (9, 'threshold=0.5');
             INSERT INTO container (id, run_id, path) VALUES (1, 7, 'r/1/validation.zarr');
             INSERT INTO artifact (run_id, kind_id, iteration, dataset_id, parameters_id,
                 container_id, array, origin, state, bytes, files, recorded_at, written_at,
                 sealed_at, content)
             VALUES
                 (7, 2, 9000, 3, 9, 1, '9000/crop1/output/threshold=0.5', 0, 1, 12, 3,
                  1700000000123, 1700000000000, 0,
                  unhex(replace(hex(zeroblob(32)), '00', 'c7'))),
                 (7, 8, NULL, NULL, NULL, 1, '', 1, 0, NULL, NULL, 0, NULL, NULL, NULL),
                 (7, 1, 5, 3, NULL, 1, '5/crop1/prediction', 0, 2, 1, 1, 0, NULL, NULL, NULL);",
        )
        .unwrap();
    let mut statement = connection
        .prepare(
            "SELECT id, run, kind, iteration, dataset, parameters, container, array, path, state,
                    origin, bytes, files, recorded_at, written_at, sealed_at,
                    content_hash
             FROM artifact_view ORDER BY id",
        )
        .unwrap();
    let rows: Vec<String> = statement
        .query_map([], |row| {
            let cells = (0..17).map(|index| {
                row.get::<_, rusqlite::types::Value>(index)
                    .map(|value| match value {
                        rusqlite::types::Value::Null => "-".to_owned(),
                        rusqlite::types::Value::Integer(number) => number.to_string(),
                        rusqlite::types::Value::Text(text) => text,
                        other => format!("{other:?}"),
                    })
            });
            cells
                .collect::<rusqlite::Result<Vec<_>>>()
                .map(|row| row.join(" "))
        })
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(
        rows,
        [
            "1 r/1 output 9000 crop1 threshold=0.5 r/1/validation.zarr \
             9000/crop1/output/threshold=0.5 \
             r/1/validation.zarr/9000/crop1/output/threshold=0.5 present recorded 12 3 \
             2023-11-14T22:13:20.123Z 2023-11-14T22:13:20.000Z 1970-01-01T00:00:00.000Z \
             c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7",
            "2 r/1 validation-container - - - r/1/validation.zarr - r/1/validation.zarr reserved \
             scanned - - 1970-01-01T00:00:00.000Z - - -",
            "3 r/1 prediction 5 crop1 - r/1/validation.zarr 5/crop1/prediction \
             r/1/validation.zarr/5/crop1/prediction missing recorded 1 1 \
             1970-01-01T00:00:00.000Z - - -",
        ]
    );
}

#[test]
fn tables_are_strict() {
    let connection = full();
    let loose: Vec<String> = connection
        .prepare(
            "SELECT name FROM pragma_table_list
             WHERE schema = 'main' AND type = 'table' AND strict = 0
               AND name NOT LIKE 'sqlite_%' AND name <> 'refinery_schema_history'",
        )
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(loose, Vec::<String>::new());
}

#[test]
fn the_schema_refuses_values_that_make_no_sense() {
    let connection = full();
    connection
        .set_db_config(
            rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY,
            true,
        )
        .unwrap();
    for bad in [
        "UPDATE artifact SET state = 4 WHERE id = 1",
        "UPDATE artifact SET state = 'present' WHERE id = 1",
        "UPDATE artifact SET state = NULL WHERE id = 1",
        "UPDATE artifact SET origin = 2 WHERE id = 1",
        "UPDATE artifact SET bytes = -1 WHERE id = 1",
        "UPDATE artifact SET files = -1 WHERE id = 1",
        "UPDATE artifact SET bytes = 'many' WHERE id = 1",
        "UPDATE artifact SET iteration = 1.5 WHERE id = 1",
        "UPDATE artifact SET array = x'00' WHERE id = 1",
        "UPDATE artifact SET array = NULL WHERE id = 1",
        "UPDATE artifact SET recorded_at = 'now' WHERE id = 1",
        "UPDATE artifact SET recorded_at = NULL WHERE id = 1",
        "UPDATE artifact SET run_id = 99 WHERE id = 1",
        "UPDATE artifact SET kind_id = 0 WHERE id = 1",
        "UPDATE artifact SET kind_id = 11 WHERE id = 1",
        "UPDATE artifact SET dataset_id = 99 WHERE id = 1",
        "UPDATE artifact SET parameters_id = 99 WHERE id = 1",
        "UPDATE artifact SET container_id = 99 WHERE id = 1",
        "UPDATE artifact SET array = '2/crop1' WHERE id = 1",
        "UPDATE container SET run_id = 99 WHERE id = 1",
        "UPDATE container SET path = 'run2/validation.zarr' WHERE id = 1",
        "UPDATE run SET name = 'run2' WHERE id = 1",
        "UPDATE dataset SET name = 'crop2' WHERE id = 1",
        "UPDATE parameters SET text = NULL WHERE id = 1",
        "DELETE FROM run WHERE id = 1",
        "INSERT INTO registry (only, id, created_at) VALUES (2, 'x', 0)",
        "INSERT INTO registry (only, id, created_at) VALUES (1, NULL, 0)",
    ] {
        let result = connection.execute(bad, []);
        assert!(result.is_err(), "{bad}");
    }
    // The same statements with values that do make sense are taken.
    for good in [
        "UPDATE artifact SET state = 2, origin = 1, bytes = 0, files = 0 WHERE id = 1",
        "UPDATE artifact SET kind_id = 9, dataset_id = 2, array = 'new' WHERE id = 1",
        "INSERT INTO registry (only, id, created_at) VALUES (1, 'x', 0)",
    ] {
        assert_eq!(connection.execute(good, []), Ok(1), "{good}");
    }
}

#[test]
fn an_id_is_never_given_out_twice() {
    let connection = full();
    let last = "SELECT max(id) FROM artifact";
    let highest: i64 = connection.query_row(last, [], |row| row.get(0)).unwrap();
    connection
        .execute("DELETE FROM artifact WHERE id = ?1", [highest])
        .unwrap();
    let insert =
        "INSERT INTO artifact (run_id, kind_id, iteration, dataset_id, container_id, array,
                      origin, state, recorded_at)
                  VALUES (1, 1, 9, 1, 1, 'new', 0, 0, 0)";
    connection.execute(insert, []).unwrap();
    assert_eq!(connection.last_insert_rowid(), highest + 1);
}
