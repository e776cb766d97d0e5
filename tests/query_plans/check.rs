//! The plans of what a check of the catalog asks row by row.

use super::scene::{empty, fault, full, plan, sql, sqls};

/// What is counted is walked once, by an index if the table is large.
#[test]
fn counts_walk_the_smallest_index() {
    for connection in [empty(), full()] {
        let unseen = plan(&connection, &sql("counts::UNSEEN"));
        assert!(
            unseen.iter().all(|line| line.contains("artifact_unseen")),
            "{unseen:#?}"
        );
        let all = plan(&connection, &sql("backup::ARTIFACTS"));
        assert!(all[0].contains("COVERING INDEX"), "{all:#?}");
        for sql in &sqls(&[
            "counts::REMOVALS",
            "counts::PINS",
            "counts::SCORES",
            "removals::REMOVALS",
        ]) {
            assert_eq!(plan(&connection, sql).len(), 1, "{sql}");
        }
        // Every run is asked for its first artifact, whatever the number of its artifacts.
        let runs = plan(&connection, &sql("counts::RUNS"));
        let is_searched = |line: &String| {
            line.starts_with("SEARCH artifact") && line.contains("COVERING INDEX artifact_key")
        };
        assert!(runs.iter().any(is_searched), "{runs:#?}");
    }
}

#[test]
fn statements_of_a_check_search() {
    for connection in [empty(), full()] {
        for (name, line) in [
            ("query::names_run", "SEARCH spelled USING COVERING INDEX"),
            (
                "removals::KEPT_ITEMS",
                "SEARCH r USING COVERING INDEX removal_open (state=?)",
            ),
        ] {
            let sql = sql(name);
            let mut plan = plan(&connection, &sql);
            plan.retain(|line| line != "SCAN CONSTANT ROW");
            assert_eq!(fault(&plan), None, "{sql}\n{plan:#?}");
            let has = plan.iter().any(|found| found.starts_with(line));
            assert!(has, "{sql}\n{plan:#?}");
        }
    }
}
