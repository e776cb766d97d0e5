//! The plans of what folding the inbox asks, once a file and once a note.

use super::scene::{empty, full, plan, sql, sqls};

#[test]
fn statements_of_the_inbox_search() {
    for connection in [empty(), full()] {
        for sql in &sqls(&["inbox::FOLDED", "inbox::FORGET", "inbox::SCORED_AT"]) {
            let plan = plan(&connection, sql);
            let searches = |line: &String| line.starts_with("SEARCH ");
            assert!(plan.iter().any(searches), "{sql}\n{plan:#?}");
            assert!(plan.iter().all(searches), "{sql}\n{plan:#?}");
        }
        let fold = plan(&connection, &sql("inbox::FOLD"));
        assert!(
            !fold.iter().any(|line| line.starts_with("SCAN folded")),
            "{fold:#?}"
        );
        // Names come in the order of the table, so that the limit ends the walk.
        let names = plan(&connection, &sql("inbox::FOLDED_NAMES"));
        assert_eq!(names, ["SCAN folded"]);
    }
}
