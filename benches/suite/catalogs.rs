//! Catalogs of a given size, built once and kept in the data folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use dalsegno::Durability;
use dalsegno::Registry;
use dalsegno::model::clock::{FixedClock, Timestamp};
use dalsegno::model::key::Key;
use rusqlite::Connection;

use crate::Bench;
use crate::keys::{ITERATIONS, OUTPUTS, Place};
use crate::measure::Result;

/// When everything in these catalogs was recorded: long ago, so that retention may let it go.
pub(crate) const THEN: Timestamp = Timestamp(1_700_000_000_000);
/// Keys that one transaction records.
const BATCH: usize = 10_000;
/// Bytes that a row needs at most while it is built: row, image, indices, log.
const ROW: u64 = 1200;

/// A registry that is made for one benchmark.
pub(crate) fn create(base: &Path, durability: Durability) -> Result<Registry> {
    fs::create_dir_all(base)?;
    Ok(options(durability).create(base)?.0)
}

fn options(durability: Durability) -> dalsegno::Options {
    dalsegno::Options::new()
        .durability(durability)
        .clock(FixedClock(THEN))
}

pub(crate) fn keys(indices: impl Iterator<Item = usize>) -> Result<Vec<Key>> {
    indices.map(|index| Place::at(index).key()).collect()
}

/// A base directory without data whose catalog has this many outputs, all present, or all
/// reserved.
pub(crate) fn sized(bench: &Bench, rows: usize, present: bool) -> Result<PathBuf> {
    let state = if present { "present" } else { "reserved" };
    let version = env!("CARGO_PKG_VERSION");
    let base = bench.data.join(format!("catalog-{version}-{rows}-{state}"));
    if Registry::open_read_only(&base).is_ok() {
        return Ok(base);
    }
    let part = bench.data.join(format!("catalog-{rows}.part"));
    if part.exists() {
        fs::remove_dir_all(&part)?;
    }
    let reserved = match present {
        true => Some(sized(bench, rows, false)?),
        false => None,
    };
    bench.require_space(rows as u64 * ROW)?;
    bench.say(&format!("building a catalog of {rows} rows, {state}"));
    let start = Instant::now();
    match reserved {
        Some(reserved) => {
            let (from, to) = (reserved.join(".dalsegno"), part.join(".dalsegno"));
            fs::create_dir_all(&to)?;
            for entry in fs::read_dir(from)? {
                let entry = entry?;
                if entry.file_type()?.is_file() {
                    fs::copy(entry.path(), to.join(entry.file_name()))?;
                }
            }
            see(&to.join("catalog.sqlite3"), rows)?;
        }
        None => {
            let registry = create(&part, Durability::Relaxed)?;
            for first in (0..rows).step_by(BATCH) {
                let keys = keys(first..rows.min(first + BATCH))?;
                registry.record_many(&keys)?;
            }
        }
    }
    fs::rename(&part, &base)?;
    bench.say(&format!(
        "built it in {:.0} s",
        start.elapsed().as_secs_f64()
    ));
    Ok(base)
}

/// Notes of every row that its data was seen, run by run.
fn see(catalog: &Path, rows: usize) -> Result<()> {
    let connection = Connection::open(catalog)?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    let update = "UPDATE artifact SET state = 1, bytes = 65536 + id % 4096, files = 65, \
         written_at = recorded_at, owner = 0 WHERE run_id = (SELECT id FROM run WHERE name = ?1)";
    for first in (0..rows).step_by(ITERATIONS * OUTPUTS) {
        connection
            .prepare_cached(update)?
            .execute([Place::at(first).run()])?;
    }
    connection.close().map_err(|(_, error)| error)?;
    Ok(())
}
