//! Reading what can be read of a catalog whose pages are damaged.
//!
//! A backup lacks what was recorded since, and of that an identifier without data, a pin or a score
//! is in the damaged catalog alone. Entry: [`read_pieces`], which copies it, row by row, to a new
//! file with the tables of the newest version. That file is input, as the damaged one is: its rows
//! are checked when they are read.
//!
//! A table is read in the order of its row numbers. Where that fails, the rest is cut in two again
//! and again, until only the numbers are left that lie in damaged pages. What such a page held may
//! be elsewhere too: names are in an index, and rows in the history, which has each as it became.
//! If the last that the history has of a row is how it was before, it was removed and stays so.
//!
//! The log counts as a whole, also behind a page that is damaged (see [`log_chain`]). The damaged
//! files are not changed; a private copy is read.
//!
//! # Bounds
//! Of the statements about one table [`MOST_FAILURES`] may fail, reading takes [`LONGEST`] at most,
//! and no more rows are taken than the file can hold.
//!
//! # Locks
//! As [`mend`](super::mend): the caller holds the turn to write, and only a process without another
//! handle of the catalog reads it here.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, Value};
use rusqlite::{Connection, Row, Statement};
use tempfile::TempDir;

use super::budget::{Budget, bytes_of};
use super::connection::{self, REGISTRY_ID};
use super::fork::Registration;
use super::mend::{self, HEADER, PAGE};
use super::place::Place;
use super::{log_chain, schema};
use crate::catalog::error::CatalogError;
use crate::model::causes::with_causes;
use crate::model::clock::Timestamp;
use crate::model::progress::Monitor;

/// Statements about one table that may fail: a damaged page takes two for each row that it held.
const MOST_FAILURES: u32 = 200_000;
/// How long reading may take.
const LONGEST: Duration = Duration::from_secs(600);
/// The highest number of a row that is looked for, if nothing says which is the last.
const LAST_IF_UNKNOWN: i64 = 1 << 16;
/// The highest number of a row that is looked for at all.
const MOST: i64 = 1 << 48;

/// What came of reading a damaged catalog.
pub enum Pieces {
    /// There is no file with content.
    Nothing,
    /// Nothing can be read; why.
    Refused(String),
    /// What was read.
    Read(PiecesRead),
}

/// What was read of a damaged catalog, for as long as it is not dropped.
pub struct PiecesRead {
    folder: TempDir,
    /// The id of its registry; a new one if none is known and its page is damaged.
    pub registry: String,
    /// Row numbers that could not be read, and rows that were refused.
    pub unread: u64,
    /// Whether reading ended at a bound.
    pub is_cut: bool,
}

impl PiecesRead {
    /// The file with the rows, which has no log.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("pieces")
    }
}

/// A table, and by which number its rows are looked for.
struct Table {
    name: &'static str,
    key: &'static str,
    /// Whether each row has a number of its own.
    is_unique: bool,
}

const fn by_id(name: &'static str) -> Table {
    Table {
        name,
        key: "id",
        is_unique: true,
    }
}

/// What the rows of others refer to, with the column that is unique, what other columns a row
/// needs, and their values if only the index can be read.
const NAMES: [(&str, &str, &str, &str); 6] = [
    ("run", "name", "", ""),
    ("dataset", "name", "", ""),
    ("parameters", "text", "", ""),
    ("metric", "name", "", ""),
    // Of a container only the path is read.
    ("container", "path", ", run_id", ", 0"),
    (
        "pin",
        "name",
        ", reason, pinned_at, user, host, pid",
        ", 'its reason could not be read', 0, 'unknown', 'unknown', 0",
    ),
];

/// Numbers of rows, both included.
type Range = (i64, i64);

/// Copies what can be read of a damaged catalog of a registry, if that is known, to a file of its
/// own. `backup` is an earlier copy of the same catalog, if there is one. `is_in_base`: the catalog
/// is in the registry's folder. Without a backup the page that says whose it is may then be damaged
/// too: nothing else knows anything, and a user who can put another file there can also change the
/// rows.
///
/// # Errors
/// [`CatalogError::Io`] if there is no space for the copy, or no temporary folder. Anything else is
/// in the result.
pub fn read_pieces(
    path: &Path,
    registry: Option<&str>,
    is_in_base: bool,
    backup: Option<&Path>,
    monitor: &dyn Monitor,
) -> Result<Pieces, CatalogError> {
    let place = Place::of(path)?;
    if connection::check(&place).is_err() {
        return Ok(Pieces::Nothing);
    }
    if !Registration::new(&place)?.is_only() {
        return Ok(Pieces::Refused("this process has it open".to_owned()));
    }
    let is_of_folder = |error: &CatalogError| {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(error, CatalogError::Io { source, .. }
            if matches!(source.kind(), StorageFull | QuotaExceeded))
    };
    let read = mend::copied(&place).and_then(|folder| match folder {
        Some(folder) => read_copy(folder, registry, is_in_base, backup, monitor),
        None => Ok(Pieces::Refused(
            "its log was begun again and again while it was copied".to_owned(),
        )),
    });
    match read {
        Err(CatalogError::Io { source, .. }) if tempfile::tempdir().is_err() => {
            let folder = std::env::temp_dir();
            let doing = "making a copy of the catalog in";
            Err(CatalogError::io(doing, &folder, source))
        }
        // With space it may work, and then less is lost.
        Err(error) if is_of_folder(&error) => Err(error),
        Err(error) => Ok(Pieces::Refused(with_causes(&error))),
        read => read,
    }
}

/// Whether the log beside a catalog has changes that SQLite does not read, because a page before
/// them is damaged.
#[must_use]
pub fn has_torn_log(path: &Path) -> bool {
    let Ok(place) = Place::of(path) else {
        return false;
    };
    let log = place.open_beside("-wal");
    log.and_then(|log| log_chain::is_torn(&log))
        .unwrap_or(false)
}

fn read_copy(
    folder: TempDir,
    registry: Option<&str>,
    is_in_base: bool,
    backup: Option<&Path>,
    monitor: &dyn Monitor,
) -> Result<Pieces, CatalogError> {
    let copy = folder.path().join("catalog");
    let io = |error| CatalogError::io("reading", &copy, error);
    if let Ok(log) = File::options()
        .read(true)
        .write(true)
        .open(folder.path().join("catalog-wal"))
    {
        log_chain::mend(&log).map_err(io)?;
    }
    let (connection, budget, registry) = match open(&copy, registry, is_in_base, backup)? {
        Ok(opened) => opened,
        // The private copy is gone when this is read.
        Err(why) => {
            let shown = why.replace(&format!("{}: ", copy.display()), "");
            return Ok(Pieces::Refused(shown));
        }
    };
    let pieces = folder.path().join("pieces");
    let sql = |error| CatalogError::sql("reading a damaged catalog into", &pieces, error);
    let wal = false;
    connection::create_file(&Place::of(&pieces)?, &registry, Timestamp(0), wal)?;
    let to = Connection::open(&pieces).map_err(sql)?;
    // A row is taken without what it refers to, and a file that is half written is dropped.
    let begin =
        "PRAGMA foreign_keys = OFF; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN";
    to.execute_batch(begin).map_err(sql)?;
    let bytes = bytes_of(&Place::of(&copy)?);
    let mut copier = Copier {
        from: &connection,
        to: &to,
        budget: &budget,
        monitor,
        ends: Instant::now() + LONGEST,
        failures: 0,
        // The shortest row takes more.
        rows: bytes / 4,
        unread: 0,
        is_cut: false,
    };
    copier.copy().map_err(sql)?;
    // Of a table whose last row is not known, more numbers were looked for than there can be rows.
    let (unread, is_cut) = (copier.unread.min(copier.rows), copier.is_cut);
    to.execute_batch("COMMIT").map_err(sql)?;
    to.close().map_err(|(_, error)| sql(error))?;
    drop(connection);
    Ok(Pieces::Read(PiecesRead {
        folder,
        registry,
        unread,
        is_cut,
    }))
}

/// A private copy, what it may do, and the id of its registry.
type Opened = (Connection, Budget, String);

/// Opens a private copy of a damaged catalog: as it is, with the header that it must have had, with
/// the first page of a backup, or with the list of tables of a new catalog. Says why if none of these
/// is a catalog of this registry.
fn open(
    copy: &Path,
    registry: Option<&str>,
    is_in_base: bool,
    backup: Option<&Path>,
) -> Result<Result<Opened, String>, CatalogError> {
    let io = |error| CatalogError::io("reading", copy, error);
    let file = File::options().read(true).write(true).open(copy);
    let file = file.map_err(io)?;
    let pages = file.metadata().map_err(io)?.len() / PAGE as u64;
    let header = mend::header(u32::try_from(pages).unwrap_or(u32::MAX));
    let mut own = [0; PAGE];
    file.read_exact_at(&mut own, 0).map_err(io)?;
    let mut start = [0; HEADER];
    start.copy_from_slice(&own[..HEADER]);
    if !mend::is_header(&start) {
        own[..HEADER].copy_from_slice(&header);
    }
    let mut tries = vec![vec![(0, own)]];
    // A backup is opened as a file that no process changes, so there are no locks on it.
    let of_backup = backup.and_then(|backup| {
        let file = Place::of(backup).ok()?.open_beside("").ok()?;
        let mut first = [0; PAGE];
        file.read_exact_at(&mut first, 0).ok()?;
        first[..HEADER].copy_from_slice(&header);
        Some(vec![(0, first)])
    });
    tries.extend(of_backup);
    let mut of_new = pages_of_schema(&copy.with_file_name("new"))?;
    of_new[0].1[..HEADER].copy_from_slice(&header);
    tries.push(of_new);
    let may_lack_id = is_in_base && backup.is_none();
    let mut why = String::new();
    for pages in tries {
        for (number, page) in pages {
            file.write_all_at(&page, number * PAGE as u64).map_err(io)?;
        }
        match open_as_it_is(copy, registry, may_lack_id) {
            Ok(opened) => return Ok(Ok(opened)),
            Err(error @ CatalogError::Mismatch { .. }) => return Ok(Err(with_causes(&error))),
            // What is wrong with the catalog as it is says the most.
            Err(error) if why.is_empty() => why = with_causes(&error),
            Err(_) => {}
        }
    }
    Ok(Err(why))
}

/// Makes a catalog at `path`, and gives the pages that say which tables it has, with their numbers
/// from 0, the first page first. They are the same in every catalog that this version made and that
/// was not rewritten since.
fn pages_of_schema(path: &Path) -> Result<Vec<(u64, [u8; PAGE])>, CatalogError> {
    let id = uuid::Uuid::new_v4().to_string();
    connection::create_file(&Place::of(path)?, &id, Timestamp(0), false)?;
    let io = |error| CatalogError::io("reading", path, error);
    let file = File::open(path).map_err(io)?;
    let mut found = Vec::new();
    let mut left = vec![1];
    while let Some(number) = left.pop() {
        let mut page = [0; PAGE];
        let number = u64::from(number) - 1;
        file.read_exact_at(&mut page, number * PAGE as u64)
            .map_err(io)?;
        // Behind the header of the file: kind of the page, number of cells, the last page below it,
        // and where its cells are, each of which begins with a page below it. See
        // <https://sqlite.org/fileformat2.html#b_tree_pages>.
        let at = if number == 0 { HEADER } else { 0 };
        if page[at] == 5 {
            let two = |at: usize| usize::from(u16::from_be_bytes([page[at], page[at + 1]]));
            let four = |at: usize| {
                u32::from_be_bytes([page[at], page[at + 1], page[at + 2], page[at + 3]])
            };
            let cells = (0..two(at + 3)).map(|cell| four(two(at + 12 + 2 * cell)));
            left.extend(cells.chain([four(at + 8)]));
        }
        found.push((number, page));
    }
    Ok(found)
}

fn open_as_it_is(
    copy: &Path,
    registry: Option<&str>,
    may_lack_id: bool,
) -> Result<Opened, CatalogError> {
    let sql = |error| CatalogError::sql("reading", copy, error);
    let bytes = bytes_of(&Place::of(copy)?);
    let (connection, budget) = mend::open_copy(copy, bytes).map_err(sql)?;
    // The next try reads the log again.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .map_err(sql)?;
    connection::check_header(copy, &connection)?;
    schema::check(copy, &connection)?;
    let found = connection.query_row(REGISTRY_ID, [], |row| row.get(0));
    // In a damaged catalog it may be any text, or in a damaged page.
    let found = found
        .ok()
        .filter(|id: &String| uuid::Uuid::parse_str(id).is_ok());
    match (registry, found) {
        (Some(expected), Some(found)) if expected != found => Err(CatalogError::Mismatch {
            path: copy.to_owned(),
            expected: expected.to_owned(),
            found,
        }),
        (_, Some(found)) => Ok((connection, budget, found)),
        (expected, None) if may_lack_id => {
            let new = || uuid::Uuid::new_v4().to_string();
            let id = expected.map_or_else(new, str::to_owned);
            Ok((connection, budget, id))
        }
        (_, None) => Err(CatalogError::Damaged {
            path: copy.to_owned(),
            detail: "it does not say which registry it is".to_owned(),
        }),
    }
}

/// Copies tables from a damaged catalog.
struct Copier<'a> {
    from: &'a Connection,
    to: &'a Connection,
    budget: &'a Budget,
    monitor: &'a dyn Monitor,
    ends: Instant,
    /// Statements about this table that failed.
    failures: u32,
    /// Rows that may be taken yet.
    rows: u64,
    unread: u64,
    is_cut: bool,
}

impl Copier<'_> {
    fn copy(&mut self) -> rusqlite::Result<()> {
        for (name, unique, columns, values) in NAMES {
            let gaps = self.copy_table(&by_id(name))?;
            if !gaps.is_empty() {
                self.copy_names(name, unique, columns, values)?;
            }
        }
        // What the metadata of an array says is read from the data again.
        self.copy_table(&by_id("metadata"))?;
        let gaps = self.copy_table(&by_id("artifact"))?;
        let gaps = self.copy_of_history(gaps)?;
        self.count(&gaps);
        for (name, key, is_unique) in [
            ("pin_scope", "rowid", true),
            ("pinned", "artifact_id", false),
            ("score", "rowid", true),
        ] {
            let table = Table {
                name,
                key,
                is_unique,
            };
            let gaps = self.copy_table(&table)?;
            self.count(&gaps);
        }
        Ok(())
    }

    fn count(&mut self, gaps: &[Range]) {
        for (first, last) in gaps {
            self.unread += (last - first).unsigned_abs() + 1;
        }
    }

    fn is_over(&mut self) -> bool {
        let is_over = self.failures >= MOST_FAILURES
            || self.rows == 0
            || self.monitor.is_cancelled()
            || Instant::now() >= self.ends;
        self.is_cut |= is_over;
        is_over
    }

    /// Reads ranges one after the other, and cuts what fails in two. `read` gives the first number
    /// that it did not read. Gives the numbers that cannot be read.
    fn by_ranges(
        &mut self,
        mut left: Vec<Range>,
        mut read: impl FnMut(&mut Self, Range) -> Result<(), i64>,
    ) -> Vec<Range> {
        let mut gaps: Vec<Range> = Vec::new();
        let mut add = |range: Range| match gaps.last_mut() {
            Some(gap) if gap.1 + 1 == range.0 => gap.1 = range.1,
            _ => gaps.push(range),
        };
        left.reverse();
        self.failures = 0;
        while let Some((first, last)) = left.pop() {
            if self.is_over() {
                add((first, last));
                continue;
            }
            self.budget.renew();
            let Err(next) = read(self, (first, last)) else {
                continue;
            };
            self.failures += 1;
            let next = next.max(first);
            if next == last {
                add((last, last));
            } else if next < last {
                let middle = next + (last - next) / 2;
                left.push((middle + 1, last));
                left.push((next, middle));
            }
        }
        gaps
    }

    /// Copies the rows of a table that can be read; gives the numbers of those that cannot.
    fn copy_table(&mut self, table: &Table) -> rusqlite::Result<Vec<Range>> {
        let Table { name, key, .. } = table;
        let columns = self.columns(name, name);
        let list = columns.join(", ");
        // By the table itself: what an index says of a row may be damage, and may be old.
        let how = if table.is_unique { "NOT INDEXED" } else { "" };
        let select = format!(
            "SELECT {key}, {list} FROM {name} {how} WHERE {key} BETWEEN ?1 AND ?2 ORDER BY {key}"
        );
        // A table that this version of the catalog lacks has no rows.
        let Ok(mut select) = self.from.prepare(&select) else {
            return Ok(Vec::new());
        };
        let mut insert = self.to.prepare(&insert_into(name, &columns))?;
        let last = self.last(table);
        let gaps = self.by_ranges(vec![(1, last)], |this, (first, last)| {
            let mut next = first;
            let mut rows = select.query((first, last)).map_err(|_| next)?;
            while let Some(row) = rows.next().map_err(|_| next)? {
                let number: i64 = row.get(0).map_err(|_| next)?;
                // Pages that lead to the same page again and again have no end.
                if number < next || number > last || this.rows == 0 {
                    return Err(next);
                }
                this.take(&mut insert, row);
                next = number + i64::from(table.is_unique);
            }
            Ok(())
        });
        Ok(gaps)
    }

    /// Takes the columns of a row from the second on.
    fn take(&mut self, insert: &mut Statement<'_>, row: &Row<'_>) {
        self.rows = self.rows.saturating_sub(1);
        let mut put = || -> rusqlite::Result<()> {
            for at in 1..=insert.parameter_count() {
                let value = ToSqlOutput::Borrowed(row.get_ref(at)?);
                insert.raw_bind_parameter(at, value)?;
            }
            insert.raw_execute().map(drop)
        };
        // A value that its column cannot have.
        if put().is_err() {
            self.unread += 1;
        }
    }

    /// The columns that both a table of the damaged catalog and one of the new file have.
    fn columns(&self, from: &str, to: &str) -> Vec<String> {
        let names = |connection: &Connection, table: &str| -> rusqlite::Result<Vec<String>> {
            let mut statement = connection.prepare(&format!("PRAGMA table_info({table})"))?;
            statement.query_map([], |row| row.get(1))?.collect()
        };
        let there = names(self.from, from).unwrap_or_default();
        let here = names(self.to, to).unwrap_or_default();
        here.into_iter()
            .filter(|name| there.contains(name))
            .collect()
    }

    /// The highest number of a row, as far as anything says.
    fn last(&self, table: &Table) -> i64 {
        let Table { name, key, .. } = table;
        let mut questions = vec![
            format!("SELECT max({key}) FROM {name}"),
            format!("SELECT seq FROM sqlite_sequence WHERE name = '{name}'"),
        ];
        if NAMES.iter().any(|(table, ..)| table == name) {
            let index = format!("INDEXED BY sqlite_autoindex_{name}_1");
            questions.push(format!("SELECT max(+id) FROM {name} {index}"));
        }
        if *name == "artifact" {
            questions.push("SELECT max(artifact_id) FROM image".to_owned());
        }
        let answers = questions.iter().map(|question| {
            self.budget.renew();
            let read = |row: &Row<'_>| row.get::<_, Option<i64>>(0);
            self.from.query_row(question, [], read)
        });
        let answers: Vec<_> = answers.collect();
        let known = answers.iter().flatten().flatten().max();
        match (known, &answers[0]) {
            (Some(last), _) => (*last).min(MOST),
            // It is empty.
            (None, Ok(None)) => 0,
            _ => LAST_IF_UNKNOWN,
        }
    }

    /// Copies names whose rows cannot be read from the index that keeps them unique.
    fn copy_names(
        &mut self,
        table: &str,
        unique: &str,
        columns: &str,
        values: &str,
    ) -> rusqlite::Result<()> {
        let insert = format!(
            "INSERT OR IGNORE INTO {table} (id, {unique}{columns}) VALUES (?1, ?2{values})"
        );
        let mut insert = self.to.prepare(&insert)?;
        // From both ends, up to what is damaged.
        for order in ["ASC", "DESC"] {
            let select = format!(
                "SELECT id, {unique} FROM {table} INDEXED BY sqlite_autoindex_{table}_1 \
                 ORDER BY {unique} {order}"
            );
            let Ok(mut select) = self.from.prepare(&select) else {
                return Ok(());
            };
            self.budget.renew();
            let mut rows = select.query([])?;
            let is_whole = loop {
                match rows.next() {
                    Ok(Some(row)) if self.rows > 0 => {
                        self.rows -= 1;
                        let name: Option<(i64, String)> =
                            row.get(0).and_then(|id| Ok((id, row.get(1)?))).ok();
                        if let Some(name) = name {
                            let _ = insert.execute(name);
                        }
                    }
                    Ok(None) => break true,
                    _ => break false,
                }
            };
            if is_whole {
                break;
            }
        }
        Ok(())
    }

    /// Copies artifacts whose rows cannot be read from the history; gives the numbers of which it
    /// cannot be read either.
    fn copy_of_history(&mut self, gaps: Vec<Range>) -> rusqlite::Result<Vec<Range>> {
        let columns = self.columns("image", "artifact");
        let list = columns.join(", ");
        let select = format!(
            "SELECT artifact_id, side, {list} FROM image INDEXED BY image_artifact \
             WHERE artifact_id BETWEEN ?1 AND ?2 ORDER BY artifact_id, operation_id, number"
        );
        let Ok(mut select) = self.from.prepare(&select) else {
            return Ok(gaps);
        };
        let insert = format!(
            "INSERT OR IGNORE INTO artifact (id, {list}) VALUES (?{})",
            ", ?".repeat(columns.len())
        );
        let mut insert = self.to.prepare(&insert)?;
        let gaps = self.by_ranges(gaps, |this, (first, last)| {
            let mut next = first;
            let mut image: Option<Vec<Value>> = None;
            let mut rows = select.query((first, last)).map_err(|_| next)?;
            while let Some(row) = rows.next().map_err(|_| next)? {
                let read = || -> rusqlite::Result<(i64, i64, Vec<Value>)> {
                    let (id, side) = (row.get(0)?, row.get(1)?);
                    let rest = (2..2 + columns.len()).map(|at| row.get(at));
                    let id_too = std::iter::once(Ok(Value::Integer(id)));
                    Ok((id, side, id_too.chain(rest).collect::<Result<_, _>>()?))
                };
                let (id, side, values) = read().map_err(|_| next)?;
                if id < next || id > last || this.rows == 0 {
                    return Err(next);
                }
                this.rows -= 1;
                if id > next {
                    this.put(&mut insert, image.take());
                }
                next = id;
                // What was is only the last of a row that was removed.
                image = (side == 1).then_some(values);
            }
            this.put(&mut insert, image);
            Ok(())
        });
        Ok(gaps)
    }

    fn put(&mut self, insert: &mut Statement<'_>, row: Option<Vec<Value>>) {
        if let Some(row) = row
            && insert.execute(rusqlite::params_from_iter(row)).is_err()
        {
            self.unread += 1;
        }
    }
}

fn insert_into(table: &str, columns: &[String]) -> String {
    let marks = vec!["?"; columns.len()].join(", ");
    let list = columns.join(", ");
    format!("INSERT OR IGNORE INTO {table} ({list}) VALUES ({marks})")
}
