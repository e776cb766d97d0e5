//! The plans of what a rebuild asks of each row that the trash remembers.

use super::scene::{empty, fault, full, plan, sql};

#[test]
fn statements_of_a_rebuild_search() {
    for connection in [empty(), full()] {
        for (name, lines) in [
            ("record::INSERT", &[][..]),
            (
                "reinstate::UPDATE",
                &["SEARCH artifact USING INTEGER PRIMARY KEY"][..],
            ),
            (
                "reinstate::MARK_ITEM_RESTORED",
                &["SEARCH removed USING INDEX removed_item (removal_id=? AND item=?)"][..],
            ),
            (
                "reinstate::IS_KEPT",
                &[
                    "SEARCH r USING COVERING INDEX removal_open (state<?)",
                    "SEARCH d USING PRIMARY KEY (removal_id=? AND artifact_id=?)",
                ][..],
            ),
        ] {
            let sql = sql(name);
            let mut plan = plan(&connection, &sql);
            plan.retain(|line| line != "SCAN CONSTANT ROW");
            assert_eq!(fault(&plan), None, "{sql}\n{plan:#?}");
            for line in lines {
                let has = plan.iter().any(|found| found.starts_with(line));
                assert!(has, "{sql}\n{plan:#?}");
            }
            assert!(!plan.is_empty() || lines.is_empty(), "{sql}");
        }
    }
}
