//! The plans of what history asks: the end of it, one operation, and selections.

use dalsegno::model::artifact::ArtifactId;
use dalsegno::model::clock::Timestamp;
use dalsegno::model::operation::{Action, HistoryFilter};
use dalsegno::testing::statements;
use rusqlite::Connection;

use super::scene::{empty, full, plan, plan_of, sql, sqls};

/// The full catalog with an operation for every artifact, with statistics.
fn worked_on() -> Connection {
    let connection = full();
    connection
        .execute_batch(
            "INSERT INTO agent (id, user, host, pid, version)
             SELECT id, 'u', 'h', id, '0' FROM artifact WHERE id <= 500;
             INSERT INTO operation (id, at, agent_id, action, images, hash)
             SELECT id, id, 1 + id % 500, 'record', 1, zeroblob(32) FROM artifact;
             INSERT INTO image (operation_id, number, artifact_id, side, run_id, kind_id, iteration,
                 dataset_id, parameters_id, container_id, array, origin, state, recorded_at)
             SELECT id, 0, id, 1, run_id, kind_id, iteration, dataset_id, parameters_id,
                 container_id, array, origin, state, recorded_at FROM artifact;
             ANALYZE;",
        )
        .unwrap();
    connection
}

/// What walks a table other than that of the operations, in their order, or the small ones.
fn fault(plan: &[String]) -> Option<&String> {
    let may = [
        "SCAN o",
        "SCAN operation",
        "SCAN agent",
        "SCAN j VIRTUAL TABLE",
        "SCAN run",
    ];
    plan.iter().find(|line| {
        line.starts_with("USE TEMP B-TREE FOR ORDER BY")
            || (line.starts_with("SCAN ") && !may.iter().any(|start| line.starts_with(start)))
    })
}

#[test]
fn writing_history_searches() {
    let statements = sqls(&[
        "journal::HEAD",
        "backup::LAST_OPERATION",
        "journal::INSERT_AGENT",
        "journal::INSERT_OPERATION",
        "journal::INSERT_IMAGE",
        "journal::COPY",
        "undo::LATER_ON_PINS",
        "undo::LET_THIS_SCOPE_GO",
        "undo::BIND_NUMBER",
    ]);
    for connection in [empty(), worked_on()] {
        for sql in &statements {
            let plan = plan(&connection, sql);
            let walks = |line: &&String| line.starts_with("SCAN ") && *line != "SCAN operation";
            assert_eq!(plan.iter().find(walks), None, "{sql}\n{plan:#?}");
        }
        // The last operation is the end of its table; what came after one begins there.
        assert_eq!(plan(&connection, &sql("journal::HEAD")), ["SCAN operation"]);
        let later = plan(&connection, &sql("undo::LATER_ON_PINS"));
        assert!(later[0].starts_with("SEARCH operation "), "{later:#?}");
    }
}

#[test]
fn one_operation_and_one_place_are_searched_for() {
    let statements = sqls(&[
        "history::by_id",
        "history::IMAGES",
        "history::EVER_AT",
        "removals::REMOVED_FROM",
    ]);
    for connection in [empty(), worked_on()] {
        for sql in &statements {
            let plan = plan(&connection, sql);
            let walks = |line: &&String| line.starts_with("SCAN ");
            assert_eq!(plan.iter().find(walks), None, "{sql}\n{plan:#?}");
        }
        let plan = plan(&connection, &sql("history::LAST_IMAGED"));
        assert_eq!(plan.len(), 1, "{plan:#?}");
        assert!(plan[0].contains("image"), "{plan:#?}");
        assert_eq!(
            fault(&self::plan(&connection, &sql("history::IN_ORDER"))),
            None
        );
    }
}

/// A listing goes through the operations, the newest first, so that its rows stream and the first
/// come at once. Images are searched for, by operation or by artifact.
#[test]
fn listings_go_through_the_operations_alone() {
    let with = |change: &dyn Fn(&mut HistoryFilter)| {
        let mut filter = HistoryFilter::default();
        change(&mut filter);
        filter
    };
    let filters = [
        with(&|_| {}),
        with(&|filter| filter.most = Some(50)),
        with(&|filter| {
            filter.actions = vec![Action::Remove, Action::Pin];
            filter.users = vec!["u".to_owned()];
            filter.since = Some(Timestamp(1));
            filter.until = Some(Timestamp(9));
        }),
        with(&|filter| filter.runs = vec!["run1".into()]),
        with(&|filter| filter.runs = vec!["run*".into(), "run2".into()]),
        with(&|filter| filter.artifacts = vec![ArtifactId(1), ArtifactId(2)]),
    ];
    // Any of them may be read page by page: each page begins where the one before ended.
    let pages = filters.clone().map(|mut filter| {
        filter.before = Some(5);
        filter.most = Some(2);
        filter
    });
    for connection in [empty(), worked_on()] {
        for filter in filters.iter().chain(&pages) {
            let query = statements::history_of(filter);
            let plan = plan_of(&connection, &query);
            assert_eq!(fault(&plan), None, "{}\n{plan:#?}", query.sql);
            let is_page = filter.before.is_some() && filter.artifacts.is_empty();
            let goes_on = plan.iter().any(|line| line.contains("rowid<?"));
            assert!(!is_page || goes_on, "{}\n{plan:#?}", query.sql);
            let of_images = plan.iter().filter(|line| line.contains(" image "));
            for line in of_images {
                assert!(
                    line.contains("(operation_id=?") || line.contains("(artifact_id=?"),
                    "{}\n{plan:#?}",
                    query.sql
                );
            }
        }
    }
}
