//! How many steps of SQLite one question to a catalog may take.
//!
//! A catalog is input, and its pages too. A file of 250 KB whose pages point again and again to the
//! same page holds, for all that SQLite can see, more rows than it could count in a year: SQLite
//! looks at each page by itself. So every connection has a [`Budget`] of SQLite's steps, which is
//! [`BASE`] and [`PER_BYTE`] for each byte of the file and its log. It is renewed for each question
//! and each change. A change gets [`PER_ROW`] more for each row that it looks up to write it,
//! because its caller may bring more rows than the catalog has.
//!
//! A question that spends more ends, and the catalog counts as damaged. A sound catalog takes a
//! twentieth at most. `docs/src/security.md` says what the numbers bound, and what they do not.
//!
//! Only what SQLite does step by step is bounded. Counting all rows of a table by `count(*)` is one
//! step, as is emptying a table, so no statement does that.

use std::cell::Cell;
use std::ffi::c_int;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use rustix::fs::Stat;

use super::place::Place;
use crate::model::progress::Interrupt;

/// Steps between two looks at what was spent.
const EVERY: c_int = 2_000;
/// Steps between two questions whether a read is to end.
const INTERRUPT: u64 = 10_000;

/// Steps that a question may take of the smallest catalog.
const BASE: u64 = 1_000_000;
/// Steps for each byte of the catalog. One with the shortest rows, without history, takes up to 1.7
/// (the sums of iterations); any other less, and a listing with history 0.4.
const PER_BYTE: u64 = 40;
/// Steps for each row that a change writes: a removal takes 620, a scan 260.
const PER_ROW: u64 = 15_000;
/// Bytes of a catalog for which a migration counts as the change of a row: it takes 5 steps a byte
/// from the oldest version on.
const BYTES_PER_MIGRATED_ROW: u64 = 128;

/// What the error of a spent budget says of the catalog.
pub(super) const TOO_MANY_ROWS: &str = "it answers with more rows than a file of its size can \
     hold, as if pages of it led to the same page again and again";

thread_local! {
    /// Whether the last statement of this thread that was ended had spent its budget: SQLite only
    /// says that it was ended.
    static IS_SPENT: Cell<bool> = const { Cell::new(false) };
}

/// Whether a statement that was ended in this thread had spent its budget. If not, an interrupt
/// ended it.
pub(super) fn is_spent() -> bool {
    IS_SPENT.get()
}

/// What the question that a connection is at has spent, and what ends it.
#[derive(Default)]
struct Account {
    steps: AtomicU64,
    /// Rows that the change was given.
    rows: AtomicU64,
    interrupt: Mutex<Option<Interrupt>>,
}

impl Account {
    fn is_interrupted(&self) -> bool {
        let interrupt = self.interrupt.lock();
        let interrupt = interrupt.unwrap_or_else(PoisonError::into_inner);
        interrupt.as_ref().is_some_and(|ends| ends())
    }
}

/// The budget of a connection.
#[derive(Clone, Default)]
pub(super) struct Budget(Arc<Account>);

impl Budget {
    /// Gives a connection a budget. `bytes` says how many the catalog has.
    pub(super) fn of(
        connection: &mut Connection,
        bytes: impl Fn() -> u64 + Send + 'static,
    ) -> rusqlite::Result<Self> {
        let budget = Self::default();
        let mut meter = Meter {
            account: Arc::clone(&budget.0),
            bytes,
            allowed: BASE,
        };
        connection.progress_handler(EVERY, Some(move || meter.ends()))?;
        Ok(budget)
    }

    /// Begins another question.
    pub(super) fn renew(&self) {
        self.0.steps.store(0, Ordering::Relaxed);
        self.0.rows.store(0, Ordering::Relaxed);
    }

    /// Allows what so many more rows take to be written.
    pub(super) fn add_rows(&self, rows: u64) {
        self.0.rows.fetch_add(rows, Ordering::Relaxed);
    }

    /// Allows what a migration takes, which writes every row again. Only for a catalog whose pages
    /// were checked.
    pub(super) fn add_migration(&self, place: &Place) {
        self.add_rows(bytes_of(place) / BYTES_PER_MIGRATED_ROW);
    }

    /// Lets an interrupt end what the connection does, until it is `None` again.
    pub(super) fn interrupt_by(&self, interrupt: Option<Interrupt>) {
        let mut held = self.0.interrupt.lock();
        **held.as_mut().unwrap_or_else(|poisoned| poisoned.get_mut()) = interrupt;
    }
}

/// What SQLite asks every few steps whether a statement is to end.
struct Meter<F> {
    account: Arc<Account>,
    /// Bytes of the catalog.
    bytes: F,
    /// Steps that a question may take, as far as was needed yet.
    allowed: u64,
}

impl<F: Fn() -> u64> Meter<F> {
    fn ends(&mut self) -> bool {
        let every = u64::from(EVERY.unsigned_abs());
        let steps = self.account.steps.fetch_add(every, Ordering::Relaxed) + every;
        let is_spent = self.has_no_step(steps);
        IS_SPENT.set(is_spent);
        is_spent || steps.is_multiple_of(INTERRUPT) && self.account.is_interrupted()
    }

    fn has_no_step(&mut self, steps: u64) -> bool {
        let rows = self.account.rows.load(Ordering::Relaxed);
        let more = rows.saturating_mul(PER_ROW);
        if steps > self.allowed.saturating_add(more) {
            // Asked only now: most questions end long before, and a look at a file takes as long as
            // they do.
            self.allowed = steps_for((self.bytes)());
        }
        steps > self.allowed.saturating_add(more)
    }
}

/// Steps that a question may take of a catalog of so many bytes.
fn steps_for(bytes: u64) -> u64 {
    BASE.saturating_add(bytes.saturating_mul(PER_BYTE))
}

/// Bytes of a catalog and its log; none of what cannot be looked at.
pub(super) fn bytes_of(place: &Place) -> u64 {
    let bytes = |suffix| {
        let found = place.stat(suffix).ok().flatten();
        found.map_or(0, |stat| bytes_in(&stat))
    };
    bytes("").saturating_add(bytes("-wal"))
}

/// Bytes that a file has on the disk: a hole may be of any length and holds no row.
fn bytes_in(stat: &Stat) -> u64 {
    let length = u64::try_from(stat.st_size).unwrap_or_default();
    match u64::try_from(stat.st_blocks).unwrap_or_default() {
        // Some file systems count no blocks, or keep small files without one.
        0 => length,
        blocks => length.min(blocks.saturating_mul(512)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use rusqlite::types::Value;
    use rusqlite::{ErrorCode, params_from_iter};

    use super::*;
    use crate::catalog::query::{self, Query, Selected};
    use crate::catalog::sqlite::backup::ARTIFACTS;
    use crate::catalog::sqlite::migrate;
    use crate::catalog::summary;
    use crate::model::clock::Timestamp;
    use crate::model::filter::Filter;

    /// A database with a table of a thousand rows, for a catalog of so many bytes.
    fn database(bytes: u64) -> (Connection, Budget) {
        let mut connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE t (x);
                 WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 1000)
                 INSERT INTO t SELECT i FROM c",
            )
            .unwrap();
        let budget = Budget::of(&mut connection, move || bytes).unwrap();
        (connection, budget)
    }

    /// Goes through so many times a thousand rows; each takes 3 steps or more.
    fn go_through(connection: &Connection, thousands: u32) -> rusqlite::Result<i64> {
        connection.query_row(
            "SELECT count(a.x + b.x) FROM t AS a CROSS JOIN t AS b WHERE a.x <= ?1",
            [thousands],
            |row| row.get(0),
        )
    }

    fn code(result: rusqlite::Result<i64>) -> Option<ErrorCode> {
        result.unwrap_err().sqlite_error_code()
    }

    #[test]
    fn a_question_ends_when_its_steps_are_spent() {
        let (connection, budget) = database(0);
        assert_eq!(go_through(&connection, 50), Ok(50_000));
        budget.renew();
        let ended = code(go_through(&connection, 1000));
        assert_eq!(ended, Some(ErrorCode::OperationInterrupted));
        assert!(is_spent());
        let spent = budget.0.steps.load(Ordering::Relaxed);
        assert!((BASE..BASE + 10_000).contains(&spent), "{spent}");
        // The next question begins at nothing.
        budget.renew();
        assert_eq!(go_through(&connection, 50), Ok(50_000));
    }

    #[test]
    fn many_short_statements_of_one_question_are_counted_together() {
        let (connection, budget) = database(0);
        let mut statement = connection
            .prepare("SELECT x FROM t WHERE x = 1000")
            .unwrap();
        let mut times = 0;
        let error = loop {
            match statement.exists([]) {
                Ok(_) => times += 1,
                Err(error) => break error,
            }
            assert!(times < 10_000);
        };
        assert_eq!(
            error.sqlite_error_code(),
            Some(ErrorCode::OperationInterrupted)
        );
        assert!(times > 100, "{times}");
        budget.renew();
        assert!(statement.exists([]).unwrap());
    }

    #[test]
    fn a_larger_catalog_and_rows_that_are_given_allow_more() {
        let (connection, _) = database(1 << 20);
        assert_eq!(go_through(&connection, 1000), Ok(1_000_000));
        let (connection, budget) = database(0);
        budget.add_rows(1000);
        assert_eq!(go_through(&connection, 1000), Ok(1_000_000));
    }

    #[test]
    fn an_interrupt_ends_a_question_and_is_no_damage() {
        let (connection, budget) = database(0);
        let asked = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&asked);
        budget.interrupt_by(Some(Arc::new(move || {
            ends.store(true, Ordering::Relaxed);
            true
        })));
        let ended = code(go_through(&connection, 50));
        assert_eq!(ended, Some(ErrorCode::OperationInterrupted));
        assert!(asked.load(Ordering::Relaxed) && !is_spent());
        budget.interrupt_by(None);
        assert_eq!(go_through(&connection, 50), Ok(50_000));
    }

    #[test]
    fn a_hole_in_a_file_holds_no_row() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog");
        let file = std::fs::File::create(&path).unwrap();
        std::io::Write::write_all(&mut &file, &[1; 8192]).unwrap();
        file.set_len(1 << 40).unwrap();
        let bytes = bytes_of(&Place::of(&path).unwrap());
        assert!((8192..1 << 20).contains(&bytes), "{bytes}");
    }

    /// Steps of a question, to the next [`EVERY`].
    fn steps_of(connection: &Connection, budget: &Budget, query: &Query) -> u64 {
        budget.renew();
        let mut statement = connection.prepare(&query.sql).unwrap();
        let mut rows = statement.query(params_from_iter(&query.values)).unwrap();
        while rows.next().unwrap().is_some() {}
        budget.0.steps.load(Ordering::Relaxed)
    }

    #[test]
    fn a_sound_catalog_takes_a_twentieth_of_its_steps_at_most() {
        let mut connection = Connection::open_in_memory().unwrap();
        // Rows of the shortest form, without history: a byte of them takes the most steps.
        migrate::migrate_to(&connection, 1).unwrap();
        connection
            .execute_batch(
                "INSERT INTO run (id, name) VALUES (1, 'r');
                 INSERT INTO dataset (id, name) VALUES (1, 'd');
                 INSERT INTO container (id, run_id, path) VALUES (1, 1, 'r/v.zarr');
                 WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 20000)
                 INSERT INTO artifact (run_id, kind_id, iteration, dataset_id, container_id, array,
                     origin, state, recorded_at)
                 SELECT 1, 1, i, 1, 1, i || '/d/p', 0, 1, 0 FROM c",
            )
            .unwrap();
        let budget = Budget::of(&mut connection, || u64::MAX).unwrap();
        migrate::migrate(&connection).unwrap();
        let pragma = |name| -> u64 {
            connection
                .pragma_query_value(None, name, |row| row.get(0))
                .unwrap()
        };
        let bytes = pragma("page_count") * pragma("page_size");
        let migration = budget.0.steps.load(Ordering::Relaxed);
        let for_migration = bytes / BYTES_PER_MIGRATED_ROW * PER_ROW;
        assert!(
            20 * migration < steps_for(bytes) + for_migration,
            "{migration} for {bytes} bytes"
        );
        let (now, everything) = (Timestamp(1), Filter::default());
        let plain = |sql: &str| Query {
            sql: sql.to_owned(),
            values: Vec::<Value>::new(),
        };
        let questions = [
            query::listing(&everything, now, Selected::All),
            summary::by_iteration(&everything, now, true),
            summary::by_run(&everything, now, true),
            summary::by_group(&everything, now),
            plain(ARTIFACTS),
            plain("PRAGMA quick_check(1)"),
            plain("PRAGMA integrity_check(1)"),
            plain("PRAGMA foreign_key_check"),
        ];
        for question in &questions {
            let steps = steps_of(&connection, &budget, question);
            assert!(
                20 * steps < steps_for(bytes) - BASE && steps > 0,
                "{steps} for {bytes} bytes: {}",
                question.sql
            );
        }
    }
}
