//! Catalogs to plan in, plans, and what is asked.

use std::time::Duration;

use dalsegno::model::artifact::State;
use dalsegno::model::clock::Timestamp;
use dalsegno::model::filter::{Filter, IterationRange, Pattern};
use dalsegno::model::key::Kind;
use dalsegno::testing::statements::{self, Made};
use rusqlite::{Connection, params_from_iter};

/// The fixed statement of this name.
pub(crate) fn sql(name: &str) -> String {
    let mut all = statements::fixed().into_iter();
    let (_, sql) = all.find(|(known, _)| *known == name).expect(name);
    sql
}

/// The fixed statements of these names.
pub(crate) fn sqls(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| sql(name)).collect()
}

pub(crate) const NOW: Timestamp = Timestamp(1 << 41);

pub(crate) fn empty() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    statements::migrate(&connection).unwrap();
    connection
}

/// Six runs, 300 iterations each, two rows of one container an iteration, with statistics.
pub(crate) fn full() -> Connection {
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
pub(crate) fn plan(connection: &Connection, sql: &str) -> Vec<String> {
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
pub(crate) fn plan_of(connection: &Connection, query: &Made) -> Vec<String> {
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
pub(crate) fn fault(plan: &[String]) -> Option<&String> {
    plan.iter()
        .find(|line| line.starts_with("SCAN ") && *line != "SCAN run" && !is_run_by_index(line))
}

fn is_run_by_index(line: &str) -> bool {
    line.starts_with("SCAN run USING")
}

/// Filters that use every part, alone and together, over all runs and over one.
pub(crate) fn filters() -> Vec<Filter> {
    let pattern = |text: &str| vec![Pattern::from(text)];
    let range = |first, last| vec![IterationRange { first, last }];
    let with = |change: &dyn Fn(&mut Filter)| {
        let mut filter = Filter::default();
        change(&mut filter);
        filter
    };
    type Change = Box<dyn Fn(&mut Filter)>;
    let parts: Vec<Change> = vec![
        Box::new(|_| {}),
        Box::new(|filter| filter.kinds = vec![Kind::Output]),
        Box::new(|filter| filter.kinds = vec![Kind::Output, Kind::Prediction]),
        Box::new(|filter| filter.iterations = vec![100.into()]),
        Box::new(move |filter| filter.iterations = range(Some(100), Some(200))),
        Box::new(move |filter| filter.iterations = range(Some(100), None)),
        Box::new(move |filter| filter.iterations = range(None, Some(100))),
        Box::new(move |filter| filter.iterations = range(None, None)),
        Box::new(move |filter| {
            filter.iterations = vec![1.into(), 2.into()];
            filter.iterations.extend(range(Some(9), None));
        }),
        Box::new(move |filter| filter.datasets = pattern("crop1")),
        Box::new(move |filter| filter.datasets = pattern("crop[12]")),
        Box::new(move |filter| filter.parameters = pattern("threshold=0.5")),
        Box::new(move |filter| filter.parameters = pattern("*")),
        Box::new(|filter| filter.states = vec![State::Present]),
        Box::new(|filter| filter.states = vec![State::Reserved, State::Missing]),
        Box::new(|filter| filter.older_than = Some(Duration::from_millis(100))),
        Box::new(|filter| filter.min_bytes = Some(5)),
        Box::new(|filter| filter.below = vec!["run1".parse().unwrap()]),
        Box::new(|filter| {
            let paths = ["run1/validation.zarr/100/crop1", "run2"];
            filter.below = paths.map(|path| path.parse().unwrap()).to_vec();
        }),
        Box::new(|filter| filter.owners = vec![0, 1000]),
        Box::new(move |filter| {
            filter.kinds = vec![Kind::Output];
            filter.iterations = range(Some(100), Some(200));
            filter.datasets = pattern("crop2");
            filter.parameters = pattern("threshold*");
            filter.states = vec![State::Present];
            filter.written_before = Some(Timestamp(1 << 40));
            filter.min_bytes = Some(1);
        }),
    ];
    let mut filters = vec![
        with(&|filter| filter.runs = pattern("run*")),
        with(&|filter| filter.runs = vec!["run1".into(), "run2".into()]),
    ];
    for runs in [Vec::new(), pattern("run1")] {
        for part in &parts {
            filters.push(with(&|filter| {
                filter.runs.clone_from(&runs);
                part(filter);
            }));
        }
    }
    filters
}
