//! The plans of what a check of the catalog asks row by row.

use super::super::check;
use super::*;

#[test]
fn statements_of_a_check_search() {
    for connection in [empty(), full()] {
        for (sql, line) in [
            (check::NAMES_RUN, "SEARCH spelled USING COVERING INDEX"),
            (
                check::KEPT_ITEMS,
                "SEARCH r USING COVERING INDEX removal_open (state=?)",
            ),
        ] {
            let mut plan = plan(&connection, sql);
            plan.retain(|line| line != "SCAN CONSTANT ROW");
            assert_eq!(fault(&plan), None, "{sql}\n{plan:#?}");
            let has = plan.iter().any(|found| found.starts_with(line));
            assert!(has, "{sql}\n{plan:#?}");
        }
    }
}
