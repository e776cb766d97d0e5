//! The plans of the catalog's statements: none may scan the table of artifacts, and a listing
//! must get its order from an index, so that rows stream. Also what the schema itself promises.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot plan a statement has failed"
)]

mod check;
mod history;
mod inbox;
mod rebuild;
mod retention;
mod scene;
mod schema;

use dalsegno::model::filter::Filter;
use dalsegno::testing::{Selected, statements};
use scene::{NOW, empty, fault, filters, full, plan, plan_of, sql, sqls};

#[test]
fn a_scan_of_artifacts_is_seen() {
    for connection in [empty(), full()] {
        for sql in [
            "SELECT id FROM artifact WHERE bytes = 1",
            "SELECT a.id FROM artifact AS a WHERE a.state = ?1",
            "SELECT id FROM container",
        ] {
            let plan = plan(&connection, sql);
            assert!(fault(&plan).is_some(), "{sql}\n{plan:#?}");
        }
    }
}

#[test]
fn statements_about_one_artifact_search() {
    let mut statements = sqls(&[
        "lookup::BY_ID",
        "lookup::BY_PATH",
        "record::ARE_BETWEEN",
        "record::IS_AT",
        "observe::OBSERVE",
        "removals::DELETE",
        "record::REKEY",
        "record::INSERT",
        "connection::REGISTRY_ID",
        "journal::REFERENCES",
    ]);
    let of_names = statements::fixed()
        .into_iter()
        .filter(|(name, _)| *name == "intern");
    statements.extend(of_names.map(|(_, sql)| sql));
    assert_eq!(statements.len(), 22);
    for connection in [empty(), full()] {
        for sql in &statements {
            let plan = plan(&connection, sql);
            assert!(
                plan.iter()
                    .all(|line| line.starts_with("SEARCH ") || line.starts_with("SCALAR SUBQUERY ")),
                "{sql}\n{plan:#?}"
            );
            // An insert looks up nothing.
            assert_eq!(plan.is_empty(), sql.starts_with("INSERT"), "{sql}");
        }
    }
}

/// What removals ask is about one artifact, one removal, one container, or the open removals.
#[test]
fn statements_of_removals_search() {
    let statements = sqls(&[
        "removals::INSERT_REMOVAL",
        "removals::ADD_ITEM",
        "removals::COPY_TO_REMOVAL",
        "removals::REINSTATE",
        "removals::MARK_RESTORED",
        "removals::SET_STATE",
        "removals::STATE_OF",
        "removals::OPEN_STATES",
        "removals::PATH_OF_ITEM",
        "removals::OF_ITEM",
        "removals::MISSING_OF_ITEM",
        "removals::FATE",
        "removals::LEFT",
        "lookup::COUNT_IN_CONTAINER",
        "lookup::COUNT_BELOW_CONTAINER",
        "lookup::IN_CONTAINER",
        "lookup::BELOW_CONTAINER",
        "lookup::BELOW_ARRAY",
        "removals::open_removals",
        "removals::removal_by_id",
    ]);
    for sql in &statements {
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
                    || line.contains("INDEX removed_item (removal_id=? AND item=?)")
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
            let query = statements::removed(&filter, NOW);
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
                let query = statements::listing(&filter, NOW, selected);
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
    for connection in [empty(), full()] {
        for filter in filters() {
            let mut queries = statements::sums(&filter, NOW);
            queries.push(statements::by_iteration(&filter, NOW));
            queries.extend(statements::places(&filter, NOW));
            for query in queries {
                let mut plan = plan_of(&connection, &query);
                // Of containers there are a few a run, and one row of each is enough.
                plan.retain(|line| !line.starts_with("SCAN container"));
                assert_eq!(fault(&plan), None, "{}\n{plan:#?}", query.sql);
            }
        }
    }
}

/// Before a scan, all rows of which the file is known are read once.
#[test]
fn known_files_are_read_by_the_index_of_runs() {
    for connection in [empty(), full()] {
        let sql = sql("known::KNOWN");
        let plan = plan(&connection, &sql);
        assert_eq!(fault(&plan), None, "{sql}\n{plan:#?}");
    }
}

/// Groups come in the order of the index, so the iterations of a catalog stream run by run.
#[test]
fn iterations_are_grouped_by_the_index() {
    for connection in [empty(), full()] {
        for filter in filters() {
            let query = statements::by_iteration(&filter, NOW);
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
    let mut filter = Filter::default();
    filter.runs = vec!["run1".into()];
    filter.iterations = vec![100.into()];
    for connection in [empty(), full()] {
        for query in [
            statements::listing(&filter, NOW, Selected::All),
            statements::by_iteration(&filter, NOW),
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

/// For a list of values SQLite fills a table each time that a row is inserted.
#[test]
fn a_row_is_inserted_without_a_table_for_its_checks() {
    let connection = empty();
    for name in ["record::INSERT", "record::INSERT_TOGETHER"] {
        let program = format!("EXPLAIN {}", sql(name));
        let mut statement = connection.prepare(&program).unwrap();
        let steps = statement.raw_query().mapped(|row| row.get::<_, String>(1));
        let steps: Vec<String> = steps.map(Result::unwrap).collect();
        assert!(steps.iter().any(|step| step == "IdxInsert"), "{steps:?}");
        let fills = steps.iter().any(|step| step == "OpenEphemeral");
        assert!(!fills || name != "record::INSERT", "{steps:?}");
    }
}

/// Every statement compiles with the tables that the migrations make.
#[test]
fn every_statement_compiles() {
    let connection = empty();
    for (name, sql) in statements::fixed() {
        assert!(connection.prepare(&sql).is_ok(), "{name}: {sql}");
    }
}
