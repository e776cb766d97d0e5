//! The other side of the catalog's benchmarks: the same tables by plain SQLite, without any of the
//! registry's checks.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use crate::keys::Place;
use crate::measure::Result;

/// An artifact by its path.
const SELECT: &str = "SELECT a.id, run.name, a.kind_id, a.iteration, dataset.name, \
     parameters.text, container.path, a.array, a.state, a.origin, a.bytes, a.files, \
     a.recorded_at, a.written_at, a.sealed_at, a.owner \
     FROM container JOIN artifact AS a ON a.container_id = container.id \
     JOIN run ON run.id = a.run_id LEFT JOIN dataset ON dataset.id = a.dataset_id \
     LEFT JOIN parameters ON parameters.id = a.parameters_id \
     WHERE container.path = ?1 AND a.array = ?2";
/// Outputs of each iteration and dataset of a run.
const ITERATIONS: &str = "SELECT a.iteration, dataset.name, count(*), sum(a.bytes), sum(a.files) \
     FROM run JOIN artifact AS a ON a.run_id = run.id \
     LEFT JOIN dataset ON dataset.id = a.dataset_id \
     WHERE run.name = ?1 AND a.kind_id = 2 AND a.state = 1 \
     GROUP BY a.iteration, a.dataset_id ORDER BY a.iteration, a.dataset_id";
const ARTIFACT: &str = "INSERT INTO artifact (run_id, kind_id, iteration, dataset_id, \
     parameters_id, container_id, array, origin, state, bytes, files, recorded_at, written_at, \
     owner) VALUES (?1, 2, ?2, ?3, ?4, ?5, ?6, 0, 0, NULL, NULL, ?7, NULL, NULL)";
const IMAGE: &str = "INSERT INTO image (operation_id, number, artifact_id, side, run_id, kind_id, \
     iteration, dataset_id, parameters_id, container_id, array, origin, state, bytes, files, \
     recorded_at, written_at, sealed_at, owner) \
     VALUES (?1, ?2, ?3, 1, ?4, 2, ?5, ?6, ?7, ?8, ?9, 0, 0, NULL, NULL, ?10, NULL, NULL, NULL)";
const OPERATION: &str = "INSERT INTO operation (id, at, agent_id, action, reason, detail, images, \
     hash) VALUES (?1, ?2, ?3, 'record', NULL, NULL, ?4, ?5)";
const AGENT: &str = "INSERT INTO agent (user, host, pid, command, job, version) \
     VALUES ('bench', 'bench', 0, 'plain', NULL, '0')";

/// An artifact as a program would hold it.
struct Found {
    id: i64,
    names: (String, Option<String>, Option<String>, String, String),
    numbers: [Option<i64>; 10],
}

/// Outputs of an iteration, by dataset, with bytes and files.
#[derive(Default)]
struct Iteration {
    iteration: i64,
    outputs: u64,
    datasets: Vec<Option<String>>,
    size: [u64; 2],
}

/// A connection with the pragmas of the catalog.
pub(crate) struct Plain {
    pub(crate) connection: Connection,
    ids: HashMap<String, i64>,
    agent: Option<i64>,
}

impl Plain {
    pub(crate) fn open(catalog: &Path, full: bool) -> Result<Self> {
        let connection = Connection::open(catalog)?;
        connection.busy_timeout(Duration::from_secs(60))?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true)?;
        // Without it SQLite compiles a statement again at every binding here, which costs more than
        // all the rest of a lookup.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.pragma_update(None, "cell_size_check", true)?;
        connection.pragma_update(None, "synchronous", if full { "FULL" } else { "NORMAL" })?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(Self {
            connection,
            ids: HashMap::new(),
            agent: None,
        })
    }

    /// Looks up an output and reads its whole row. Gives its number.
    pub(crate) fn find(&self, place: Place) -> Result<Option<i64>> {
        let mut statement = self.connection.prepare_cached(SELECT)?;
        let row = statement.query_row(params![place.container(), place.array()], |row| {
            let mut numbers = [None; 10];
            numbers[0] = row.get(2)?;
            numbers[1] = row.get(3)?;
            for (index, number) in numbers.iter_mut().enumerate().skip(2) {
                *number = row.get(index + 6)?;
            }
            Ok(Found {
                id: row.get(0)?,
                names: (
                    row.get(1)?,
                    row.get(4)?,
                    row.get(5)?,
                    row.get(6)?,
                    row.get(7)?,
                ),
                numbers,
            })
        });
        let found = row.optional()?;
        // All of it is used, as far as the compiler knows.
        Ok(found.map(|found| {
            std::hint::black_box((found.names, found.numbers));
            found.id
        }))
    }

    /// Iterations, and the outputs in them.
    pub(crate) fn iterations(&self, run: &str) -> Result<Vec<(i64, u64)>> {
        let mut statement = self.connection.prepare_cached(ITERATIONS)?;
        let mut rows = statement.query([run])?;
        let mut found: Vec<Iteration> = Vec::new();
        while let Some(row) = rows.next()? {
            let iteration = row.get(0)?;
            if found.last().is_none_or(|last| last.iteration != iteration) {
                found.push(Iteration {
                    iteration,
                    ..Iteration::default()
                });
            }
            if let Some(last) = found.last_mut() {
                last.datasets.push(row.get(1)?);
                last.outputs += row.get::<_, u64>(2)?;
                last.size[0] += row.get::<_, u64>(3)?;
                last.size[1] += row.get::<_, u64>(4)?;
            }
        }
        Ok(found
            .into_iter()
            .map(|found| {
                std::hint::black_box((found.datasets, found.size));
                (found.iteration, found.outputs)
            })
            .collect())
    }

    fn id(&mut self, table: &str, column: &str, text: &str, run: Option<i64>) -> Result<i64> {
        let name = format!("{table}/{text}");
        if let Some(id) = self.ids.get(&name) {
            return Ok(*id);
        }
        let select = format!("SELECT id FROM {table} WHERE {column} = ?1");
        let found = self
            .connection
            .query_row(&select, [text], |row| row.get(0))
            .optional()?;
        let id = match (found, run) {
            (Some(id), _) => id,
            (None, Some(run)) => {
                let insert = format!("INSERT INTO {table} ({column}, run_id) VALUES (?1, ?2)");
                self.connection
                    .prepare(&insert)?
                    .insert(params![text, run])?
            }
            (None, None) => {
                let insert = format!("INSERT INTO {table} ({column}) VALUES (?1)");
                self.connection.prepare(&insert)?.insert([text])?
            }
        };
        self.ids.insert(name, id);
        Ok(id)
    }

    /// Gives the names of outputs their numbers before anything is measured.
    pub(crate) fn know(&mut self, places: &[Place]) -> Result<()> {
        places.iter().try_for_each(|place| {
            self.id("dataset", "name", &place.dataset(), None)?;
            self.id("parameters", "text", &place.parameters(), None)?;
            Ok(())
        })
    }

    /// Records outputs in one transaction: their rows, an image of each, and one operation.
    pub(crate) fn record(&mut self, places: &[Place], now: i64) -> Result<()> {
        // Names are looked up before, as by a program that knows what it records.
        let mut rows = Vec::with_capacity(places.len());
        for place in places {
            let run = self.id("run", "name", &place.run(), None)?;
            rows.push((
                run,
                self.id("dataset", "name", &place.dataset(), None)?,
                self.id("parameters", "text", &place.parameters(), None)?,
                self.id("container", "path", &place.container(), Some(run))?,
                place.array(),
            ));
        }
        let agent = match self.agent {
            Some(agent) => agent,
            None => *self
                .agent
                .insert(self.connection.prepare(AGENT)?.insert([])?),
        };
        let transaction =
            rusqlite::Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
        {
            let operation: i64 = transaction
                .prepare_cached("SELECT ifnull(max(id), 0) + 1 FROM operation")?
                .query_row([], |row| row.get(0))?;
            let mut artifact = transaction.prepare_cached(ARTIFACT)?;
            let mut image = transaction.prepare_cached(IMAGE)?;
            for (number, (place, row)) in places.iter().zip(&rows).enumerate() {
                let (run, dataset, parameters, container, array) = row;
                let iteration = place.iteration();
                let id = artifact.insert(params![
                    run, iteration, dataset, parameters, container, array, now
                ])?;
                image.execute(params![
                    operation, number, id, run, iteration, dataset, parameters, container, array,
                    now
                ])?;
            }
            transaction.prepare_cached(OPERATION)?.execute(params![
                operation,
                now,
                agent,
                places.len(),
                [0_u8; 32]
            ])?;
        }
        transaction.commit()?;
        Ok(())
    }
}

/// Rows that say whether two catalogs were given the same: artifacts, images, operations.
pub(crate) fn rows(catalog: &Path) -> Result<u64> {
    let connection = Connection::open(catalog)?;
    let sum = "SELECT (SELECT count(*) FROM artifact) + (SELECT count(*) FROM image) \
         + (SELECT count(*) FROM operation)";
    Ok(connection.query_row(sum, [], |row| row.get(0))?)
}
