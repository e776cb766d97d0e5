//! The plans of the catalog's statements: none may scan the table of artifacts, and a listing
//! must get its order from an index, so that rows stream. Also what the schema itself promises.

mod check;
mod history;
mod rebuild;
mod retention;

use std::time::Duration;

use rusqlite::{Connection, params, params_from_iter};

use super::query::{Query, Selected, listing};
use super::sqlite::{connection, migrate};
use super::summary::{DuGroup, by_group, by_iteration, by_run, by_space};
use super::{intern, lookup, observe, record, removals};
use crate::model::artifact::State;
use crate::model::clock::Timestamp;
use crate::model::filter::{Filter, IterationRange, Pattern};
use crate::model::key::Kind;

const NOW: Timestamp = Timestamp(1 << 41);

fn empty() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    migrate::migrate(&connection).unwrap();
    connection
}

/// Six runs, 300 iterations each, two rows of one container an iteration, with statistics.
fn full() -> Connection {
    let connection = empty();
    connection
        .execute_batch(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
             INSERT INTO dataset (id, name) SELECT i, 'crop' || i FROM n;
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
             INSERT INTO parameters (id, text) SELECT i, 'threshold=0.' || i FROM n;
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6)
             INSERT INTO run (id, name) SELECT i, 'run' || i FROM n;
             INSERT INTO container (id, run_id, path)
             SELECT id, id, name || '/validation.zarr' FROM run;
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
             INSERT INTO artifact (run_id, kind_id, iteration, dataset_id, parameters_id,
                 container_id, array, origin, state, bytes, files, recorded_at)
             SELECT run.id, 1 + (dataset.id = 2), i, dataset.id, iif(dataset.id = 2, 1 + i % 20, NULL),
                 run.id, i || '/' || dataset.name, 0, i % 20 <> 0, 10, 1, i
             FROM run, n, dataset WHERE dataset.id <= 2;
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
             INSERT INTO removal (id, removed_at, user, host, pid, state)
             SELECT '20260101-000000-' || printf('%06x', i), i, 'u', 'h', 1, iif(i < 9, i % 2, 2)
             FROM n;
             INSERT INTO moved (removal_id, item, path) SELECT id, 0, 'p' FROM removal;
             INSERT INTO removed (removal_id, artifact_id, item, run_id, kind_id, iteration,
                 dataset_id, container_id, array, origin, state, recorded_at)
             SELECT removal.id, 10000 + artifact.id, artifact.id % 3, run_id, kind_id, iteration,
                 dataset_id, container_id, array, 0, 1, 0
             FROM removal, artifact WHERE artifact.id <= 30;
             ANALYZE;",
        )
        .unwrap();
    let rows: i64 = connection
        .query_row("SELECT count(*) FROM artifact", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 3600);
    connection
}

/// The lines of a statement's plan.
fn plan(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection
        .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
        .unwrap();
    let count = statement.parameter_count();
    let lines = statement
        .query_map(params_from_iter((0..count).map(|_| 1)), |row| row.get(3))
        .unwrap();
    asked_each_row(lines.map(Result::unwrap))
}

/// The plan of a query with the values that are bound to it, which decide about globs.
fn plan_of(connection: &Connection, query: &Query) -> Vec<String> {
    let mut statement = connection
        .prepare(&format!("EXPLAIN QUERY PLAN {}", query.sql))
        .unwrap();
    let lines = statement
        .query_map(params_from_iter(&query.values), |row| row.get(3))
        .unwrap();
    asked_each_row(lines.map(Result::unwrap))
}

/// A plan without the question whether a pin binds anything: it is asked once a statement, and the
/// first row that it meets answers it.
fn asked_each_row(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut plan: Vec<String> = Vec::new();
    for line in lines {
        let asks = |head: &String| head.starts_with("SCALAR SUBQUERY");
        let is_any = line == "SCAN pinned USING COVERING INDEX pinned_pin"
            || line == "SCAN pin_scope USING COVERING INDEX pin_scope_pin";
        if is_any && plan.pop_if(|head| asks(head)).is_some() {
            continue;
        }
        plan.push(line);
    }
    plan
}

/// What a plan may not do: walk a whole table other than the small one of runs.
fn fault(plan: &[String]) -> Option<&String> {
    plan.iter()
        .find(|line| line.starts_with("SCAN ") && *line != "SCAN run" && !is_run_by_index(line))
}

fn is_run_by_index(line: &str) -> bool {
    line.starts_with("SCAN run USING")
}

fn filters() -> Vec<Filter> {
    let pattern = |text: &str| vec![Pattern::from(text)];
    let range = |first, last| vec![IterationRange { first, last }];
    let all = Filter::default();
    let run = Filter {
        runs: pattern("run1"),
        ..Filter::default()
    };
    let mut filters = vec![
        Filter {
            runs: pattern("run*"),
            ..all.clone()
        },
        Filter {
            runs: vec!["run1".into(), "run2".into()],
            ..all.clone()
        },
    ];
    for start in [all, run] {
        filters.extend([
            start.clone(),
            Filter {
                kinds: vec![Kind::Output],
                ..start.clone()
            },
            Filter {
                kinds: vec![Kind::Output, Kind::Prediction],
                ..start.clone()
            },
            Filter {
                iterations: vec![100.into()],
                ..start.clone()
            },
            Filter {
                iterations: range(Some(100), Some(200)),
                ..start.clone()
            },
            Filter {
                iterations: range(Some(100), None),
                ..start.clone()
            },
            Filter {
                iterations: range(None, Some(100)),
                ..start.clone()
            },
            Filter {
                iterations: range(None, None),
                ..start.clone()
            },
            Filter {
                iterations: vec![
                    1.into(),
                    2.into(),
                    IterationRange {
                        first: Some(9),
                        last: None,
                    },
                ],
                ..start.clone()
            },
            Filter {
                datasets: pattern("crop1"),
                ..start.clone()
            },
            Filter {
                datasets: pattern("crop[12]"),
                ..start.clone()
            },
            Filter {
                parameters: pattern("threshold=0.5"),
                ..start.clone()
            },
            Filter {
                parameters: pattern("*"),
                ..start.clone()
            },
            Filter {
                states: vec![State::Present],
                ..start.clone()
            },
            Filter {
                states: vec![State::Reserved, State::Missing],
                ..start.clone()
            },
            Filter {
                older_than: Some(Duration::from_millis(100)),
                ..start.clone()
            },
            Filter {
                min_bytes: Some(5),
                ..start.clone()
            },
            Filter {
                owners: vec![0, 1000],
                ..start.clone()
            },
            Filter {
                kinds: vec![Kind::Output],
                iterations: range(Some(100), Some(200)),
                datasets: pattern("crop2"),
                parameters: pattern("threshold*"),
                states: vec![State::Present],
                written_before: Some(Timestamp(1 << 40)),
                min_bytes: Some(1),
                ..start
            },
        ]);
    }
    filters
}

#[test]
fn a_scan_of_artifacts_is_seen() {
    for connection in [empty(), full()] {
        for sql in [
            "SELECT id FROM artifact WHERE bytes = 1",
            "SELECT a.id FROM artifact AS a WHERE a.state = ?1",
            "SELECT count(*) FROM artifact_view",
            "SELECT id FROM container",
        ] {
            let plan = plan(&connection, sql);
            assert!(fault(&plan).is_some(), "{sql}\n{plan:#?}");
        }
    }
}

#[test]
fn statements_about_one_artifact_search() {
    let mut statements = vec![
        lookup::BY_ID,
        lookup::BY_PATH,
        record::ARE_BETWEEN,
        record::IS_AT,
        observe::SEE,
        removals::DELETE,
        record::REKEY,
        record::INSERT,
        intern::CONTAINER.0,
        intern::CONTAINER.1,
        connection::REGISTRY_ID,
    ];
    for (select, insert) in intern::INTERN {
        statements.extend([select, insert]);
    }
    for connection in [empty(), full()] {
        for sql in &statements {
            let plan = plan(&connection, sql);
            assert!(
                plan.iter().all(|line| line.starts_with("SEARCH ")),
                "{sql}\n{plan:#?}"
            );
            assert_eq!(plan.is_empty(), sql.starts_with("INSERT"), "{sql}");
        }
    }
}

/// What removals ask is about one artifact, one removal, one container, or the open removals.
#[test]
fn statements_of_removals_search() {
    let one = [
        removals::INSERT_REMOVAL,
        removals::INSERT_MOVED,
        removals::INSERT_REMOVED,
        removals::BRING_BACK,
        removals::MARK_RESTORED,
        removals::SET_STATE,
        removals::STATE_OF,
        removals::OPEN_STATES,
        removals::PATH_OF_ITEM,
        removals::OF_ITEM,
        removals::LEFT_OF_ITEM,
        removals::LEFT,
        lookup::COUNT_IN_CONTAINER,
        lookup::COUNT_BELOW_CONTAINER,
        lookup::IN_CONTAINER,
        lookup::BELOW_CONTAINER,
        lookup::BELOW_ARRAY,
    ];
    let (open, by_id) = (removals::open_removals(), removals::removal_by_id());
    let statements = one.into_iter().chain([open.as_str(), by_id.as_str()]);
    for sql in statements {
        for connection in [empty(), full()] {
            let mut plan = plan(&connection, sql);
            // What a search found is counted.
            plan.retain(|line| !line.starts_with("SCAN (subquery"));
            assert_eq!(fault(&plan), None, "{sql}\n{plan:#?}");
            assert_ne!(plan.is_empty(), !sql.contains(" VALUES ("), "{sql}");
            for line in plan
                .iter()
                .filter(|line| line.contains(" removed ") || line.contains(" d "))
            {
                let is_bound = line.contains("PRIMARY KEY (removal_id=?")
                    || line.contains("INDEX removed_path (container_id=?");
                assert!(is_bound, "{sql}\n{plan:#?}");
            }
        }
    }
}

/// What can be restored is found from the few open removals, whatever else is selected.
#[test]
fn what_can_be_restored_is_found_from_the_open_removals() {
    for connection in [empty(), full()] {
        for filter in filters() {
            let query = removals::removed_query(&filter, NOW);
            let plan = plan_of(&connection, &query);
            assert_eq!(fault(&plan), None, "{}\n{plan:#?}", query.sql);
            let place = |start: &str, part: &str| {
                plan.iter()
                    .position(|line| line.starts_with(start) && line.contains(part))
            };
            let removal = place("SEARCH r ", "removal_open (state=?)");
            let removed = place("SEARCH removed ", "PRIMARY KEY (removal_id=?)");
            assert!(
                removal.is_some() && removal < removed,
                "{}\n{plan:#?}",
                query.sql
            );
        }
    }
}

#[test]
fn listings_search_artifacts_and_take_their_order_from_the_index() {
    for connection in [empty(), full()] {
        for filter in filters() {
            for selected in [Selected::All, Selected::Unseen] {
                let query = listing(&filter, NOW, selected);
                let plan = plan_of(&connection, &query);
                assert_eq!(fault(&plan), None, "{}\n{plan:#?}", query.sql);
                assert!(
                    !plan
                        .iter()
                        .any(|line| line == "USE TEMP B-TREE FOR ORDER BY"),
                    "{}\n{plan:#?}",
                    query.sql
                );
            }
        }
    }
}

#[test]
fn sums_search_artifacts() {
    let groups = [
        DuGroup::Run,
        DuGroup::Kind,
        DuGroup::Iteration,
        DuGroup::Dataset,
        DuGroup::Owner,
    ];
    for connection in [empty(), full()] {
        for filter in filters() {
            let mut queries = vec![
                by_iteration(&filter, NOW),
                by_run(&filter, NOW),
                by_group(&filter, NOW),
            ];
            queries.extend(groups.map(|group| by_space(&filter, NOW, group)));
            for query in queries {
                let plan = plan_of(&connection, &query);
                assert_eq!(fault(&plan), None, "{}\n{plan:#?}", query.sql);
            }
        }
    }
}

/// Groups come in the order of the index, so the iterations of a catalog stream run by run.
#[test]
fn iterations_are_grouped_by_the_index() {
    for connection in [empty(), full()] {
        for filter in filters() {
            let query = by_iteration(&filter, NOW);
            let plan = plan_of(&connection, &query);
            assert!(
                !plan.iter().any(|line| line.starts_with("USE TEMP B-TREE")),
                "{}\n{plan:#?}",
                query.sql
            );
        }
    }
}

#[test]
fn a_run_and_an_iteration_are_found_by_search() {
    let filter = Filter {
        runs: vec!["run1".into()],
        iterations: vec![100.into()],
        ..Filter::default()
    };
    for connection in [empty(), full()] {
        for query in [
            listing(&filter, NOW, Selected::All),
            by_iteration(&filter, NOW),
        ] {
            let plan = plan_of(&connection, &query);
            let has = |start: &str, part: &str| {
                plan.iter()
                    .any(|line| line.starts_with(start) && line.contains(part))
            };
            assert!(has("SEARCH run ", "(name=?)"), "{plan:#?}");
            assert!(
                has("SEARCH a ", "artifact_key (run_id=? AND iteration"),
                "{plan:#?}"
            );
        }
    }
}

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
        "UPDATE artifact SET state = 3 WHERE id = 1",
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
    connection.execute(removals::DELETE, [highest]).unwrap();
    connection
        .execute(
            record::INSERT,
            params![
                1,
                1,
                9,
                1,
                None::<i64>,
                1,
                "new",
                0,
                0,
                None::<i64>,
                None::<i64>,
                0,
                None::<i64>,
                None::<i64>
            ],
        )
        .unwrap();
    assert_eq!(connection.last_insert_rowid(), highest + 1);
}
