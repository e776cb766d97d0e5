//! The plans of what retention asks: pins, scores, restores, and how large groups are.

use dalsegno::ScoreQuery;
use dalsegno::model::filter::{Filter, Pattern};
use dalsegno::retention::Metric;
use dalsegno::testing::{Selected, statements};
use rusqlite::Connection;

use super::scene::{NOW, empty, fault, filters, full, plan, plan_of, sql, sqls};

/// The full catalog with pins and scores, with statistics.
fn pinned() -> Connection {
    let connection = full();
    connection
        .execute_batch(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50)
             INSERT INTO pin (id, name, reason, pinned_at, user, host, pid)
             SELECT i, 'pin' || i, 'r', i, 'u', 'h', 1 FROM n;
             INSERT INTO pin_scope (pin_id, run_id, first, last)
             SELECT pin.id, run.id, 100, 200 FROM pin, run;
             INSERT INTO pinned (artifact_id, pin_id)
             SELECT artifact.id, pin.id FROM artifact, pin WHERE artifact.id % 900 = 0 AND pin.id < 5;
             INSERT INTO metric (id, name) VALUES (1, 'voi'), (2, 'f1');
             INSERT INTO score (run_id, metric_id, iteration, dataset_id, value, scored_at)
             SELECT DISTINCT run_id, metric.id, iteration, dataset_id, 0.5, 1
             FROM artifact, metric WHERE artifact.kind_id = 2;
             ANALYZE;",
        )
        .unwrap();
    connection
}

/// What a statement may walk beside the runs: the small table of pins.
fn is_of_pins(line: &str) -> bool {
    line == "SCAN pin" || line.starts_with("SCAN pin USING")
}

#[test]
fn statements_of_pins_search() {
    let statements = sqls(&[
        "pins::PINS_OF",
        "pins::HAS_PINS",
        "pins::PIN_BY_NAME",
        "pins::INSERT_PIN",
        "pins::BIND_SCOPE",
        "pins::BIND_ARTIFACT",
        "pins::IS_RECORDED",
        "pins::COUNT_IN_SCOPE",
        "pins::COUNT_ONE_BY_ONE",
        "pins::LET_SCOPE_GO",
        "pins::LET_ARTIFACT_GO",
        "pins::BINDS_ANYTHING",
        "pins::PINS",
        "pins::SCOPES",
    ]);
    let of_letting_go = |(name, _): &(&str, String)| *name == "pins::LET_ALL_GO";
    let letting_go: Vec<String> = statements::fixed()
        .into_iter()
        .filter(of_letting_go)
        .map(|(_, sql)| sql)
        .collect();
    assert_eq!(letting_go.len(), 3);
    for connection in [empty(), pinned()] {
        for sql in statements.iter().chain(&letting_go) {
            let mut plan = plan(&connection, sql);
            plan.retain(|line| !is_of_pins(line));
            // A constant row that the two halves of an `OR` hang on.
            plan.retain(|line| line != "SCAN CONSTANT ROW");
            // The iterations that one row holds.
            plan.retain(|line| !line.starts_with("SCAN held VIRTUAL TABLE"));
            assert_eq!(fault(&plan), None, "{sql}\n{plan:#?}");
        }
    }
}

/// Every artifact that is read asks for its pins, so that question may not walk the pins either.
#[test]
fn the_pins_of_an_artifact_are_found_by_its_number_and_its_run() {
    for connection in [empty(), pinned()] {
        let plan = plan(&connection, &sql("pins::PINS_OF"));
        let has = |part: &str| plan.iter().any(|line| line.contains(part));
        assert!(has("PRIMARY KEY (artifact_id=?"), "{plan:#?}");
        assert!(has("INDEX pin_scope_run (run_id=?"), "{plan:#?}");
        assert!(!plan.iter().any(|line| is_of_pins(line)), "{plan:#?}");
    }
}

#[test]
fn statements_of_scores_search() {
    for connection in [empty(), pinned()] {
        for sql in &sqls(&["scores::PUT", "scores::TAKE", "scores::AT", "scores::VALUE"]) {
            let plan = plan(&connection, sql);
            assert!(
                plan.iter().all(|line| line.starts_with("SEARCH ")
                    || line.starts_with("SCAN CONSTANT")
                    || line == "SCALAR SUBQUERY 1"),
                "{sql}\n{plan:#?}"
            );
        }
        let at = plan(&connection, &sql("scores::AT"));
        assert!(
            at.iter()
                .any(|line| line.contains("artifact_key (run_id=? AND iteration=?)")),
            "{at:#?}"
        );
    }
}

#[test]
fn listings_of_scores_search_by_run() {
    let metrics = [
        Vec::new(),
        vec![Pattern::from("voi")],
        vec![Pattern::from("v*"), "f1".into()],
    ];
    for connection in [empty(), pinned()] {
        for filter in filters() {
            for metrics in &metrics {
                let mut of = Filter::default();
                of.runs.clone_from(&filter.runs);
                of.iterations.clone_from(&filter.iterations);
                of.datasets.clone_from(&filter.datasets);
                of.parameters.clone_from(&filter.parameters);
                let query = statements::scores_of(&ScoreQuery::new(of).metrics(metrics));
                let mut plan = plan_of(&connection, &query);
                // There are few metrics.
                plan.retain(|line| line != "SCAN metric");
                assert_eq!(fault(&plan), None, "{}\n{plan:#?}", query.sql);
                assert!(
                    plan.iter()
                        .any(|line| line.starts_with("SEARCH a ") && line.contains("(run_id=?")),
                    "{}\n{plan:#?}",
                    query.sql
                );
            }
        }
    }
}

/// One statement gives the best scores of all runs, and of all iterations. The groups of a run come
/// in the order of the index.
#[test]
fn best_scores_are_grouped_by_the_index() {
    let metrics = ["voi".parse().unwrap(), "iou:max".parse::<Metric>().unwrap()];
    for connection in [empty(), pinned()] {
        for filter in filters() {
            for query in statements::best_scores(&filter, &metrics) {
                let mut plan = plan_of(&connection, &query);
                // There are few metrics.
                plan.retain(|line| line != "SCAN metric");
                assert_eq!(fault(&plan), None, "{}\n{plan:#?}", query.sql);
                assert!(
                    plan.iter()
                        .any(|line| line.starts_with("SEARCH a ") && line.contains("(run_id=?")),
                    "{}\n{plan:#?}",
                    query.sql
                );
            }
        }
    }
}

/// How often anything was restored is counted from the index of what was.
#[test]
fn restores_are_counted_by_their_index() {
    for connection in [empty(), pinned()] {
        let plan = plan(&connection, &sql("removals::RESTORES"));
        assert_eq!(plan.len(), 1, "{plan:#?}");
        assert!(plan[0].contains("INDEX removed_restored"), "{plan:#?}");
    }
}

/// The rows of an item are found by it: a removal may have as many items as a catalog has rows, and
/// each is asked for.
#[test]
fn rows_of_an_item_are_found_by_its_number() {
    for connection in [empty(), pinned()] {
        for name in ["removals::OF_ITEM", "removals::KEPT_ITEMS"] {
            let plan = plan(&connection, &sql(name));
            let found = "removed_item (removal_id=? AND item=?)";
            assert!(plan.iter().any(|line| line.contains(found)), "{plan:#?}");
        }
    }
}

/// What is pinned is found from the pins: runs without any are not gone through.
#[test]
fn what_is_pinned_is_found_from_the_runs_that_have_pins() {
    for connection in [empty(), pinned()] {
        let mut filter = Filter::default();
        filter.pinned = true;
        for query in [
            statements::listing(&filter, NOW, Selected::All),
            statements::pinned_places(),
        ] {
            let plan = plan_of(&connection, &query);
            let walks = |line: &&String| line.starts_with("SCAN ") && line.contains("artifact");
            assert_eq!(plan.iter().find(walks), None, "{plan:#?}");
            for table in ["bound", "a"] {
                let start = format!("SEARCH {table} ");
                assert!(
                    plan.iter().any(|line| line.starts_with(&start)),
                    "{plan:#?}"
                );
            }
        }
    }
}

/// Pins are counted while rows are summed: groups come from the index as without them, and the runs
/// that have pins are read once.
#[test]
fn pins_are_counted_by_the_statement_of_the_sums() {
    for connection in [empty(), pinned()] {
        for filter in filters() {
            for query in statements::sums_with_pins(&filter, NOW) {
                let plan = plan_of(&connection, &query);
                let walks = |line: &&String| {
                    line.starts_with("SCAN a ") || line.starts_with("USE TEMP B-TREE FOR GROUP BY")
                };
                assert_eq!(plan.iter().find(walks), None, "{}\n{plan:#?}", query.sql);
                let searches =
                    |line: &&String| line.starts_with("SEARCH a ") && line.contains("(run_id=?");
                assert!(plan.iter().any(|line| searches(&line)), "{plan:#?}");
                let reads = plan
                    .iter()
                    .filter(|line| line.starts_with("SEARCH bound USING INTEGER PRIMARY KEY"));
                assert!(reads.count() <= 2, "{}\n{plan:#?}", query.sql);
            }
        }
    }
}
