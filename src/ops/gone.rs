//! Whether data that is recorded as present has gone, before a question is answered.
//!
//! Looks for the folders of a selection, one system call each, and for those of the levels of
//! pyramids, and reads no metadata. Of a
//! selection with more than [`MOST_PLACES`] rows it looks for the containers alone, and says so: a
//! listing of millions of rows stays a matter of the index. A scan, which finds everything, looks
//! for the rows that it did not find. What is not found is then looked at as a refresh does, so
//! that nothing is taken for gone because of a folder that cannot be read.

use std::collections::HashSet;

use crate::catalog::Catalog;
use crate::error::Error;
use crate::model::artifact::{Artifact, ArtifactId, State};
use crate::model::clock::Timestamp;
use crate::model::filter::Filter;
use crate::store::{AbsenceCheck, Base};

/// Rows that are looked for one by one.
pub(crate) const MOST_PLACES: u64 = 16_384;
/// Threads that look: on network file systems each look waits for a server.
const THREADS: usize = 8;
/// Places for which one more thread is worth its start.
const PLACES_A_THREAD: usize = 512;

/// Rows that are recorded as present, and nothing is at their paths, or at that of a level.
pub(crate) struct Suspects {
    pub(crate) rows: Vec<Artifact>,
    /// Whether only containers were looked for.
    pub(crate) only_containers: bool,
}

/// Finds present rows of a selection at whose paths, or at those of their levels, nothing is.
///
/// # Errors
/// [`Error`] if the catalog cannot be read.
pub(crate) fn suspects(
    catalog: &Catalog,
    base: &Base,
    filter: &Filter,
    now: Timestamp,
) -> Result<Suspects, Error> {
    let mut rows = Vec::new();
    if let Some(places) = catalog.present_places(filter, now, MOST_PLACES)? {
        let mut paths = Vec::with_capacity(places.len());
        for place in places {
            for level in &place.levels {
                paths.push((format!("{}/{level}", place.path), (place.id, true)));
            }
            paths.push((place.path, (place.id, false)));
        }
        let mut known = HashSet::new();
        for (id, is_level) in absent_of(base, paths) {
            // A group has several levels, and each may be absent with it.
            if known.contains(&id) {
                continue;
            }
            let row = catalog.by_id(id)?;
            // A sealed row keeps its levels: that one has gone is known if chunks have.
            let row = row.filter(|row| !is_level || !row.has_lost_chunks());
            known.extend(row.iter().map(|row| row.id));
            rows.extend(row);
        }
        return Ok(Suspects {
            rows,
            only_containers: false,
        });
    }
    // Of too many rows only the containers are looked for: they are few folders.
    let containers = catalog.containers_with_data(filter, now)?;
    let paths = containers.into_iter().map(|path| (path.clone(), path));
    for path in absent_of(base, paths.collect()) {
        let inside = catalog.in_container(&path)?;
        rows.extend(inside.into_iter().filter(|row| row.state == State::Present));
    }
    Ok(Suspects {
        rows,
        only_containers: true,
    })
}

/// Rows by their numbers, at one bit each: a scan may find ten million.
#[derive(Default)]
pub(crate) struct RowSet {
    bits: Vec<u64>,
}

/// Highest number that a set holds, so that a damaged row cannot take the memory.
const MOST_ROWS: i64 = 1 << 32;

impl RowSet {
    /// Adds rows; a number that is too high for the set is left out.
    pub(crate) fn extend(&mut self, rows: impl IntoIterator<Item = ArtifactId>) {
        for row in rows {
            let Some((word, bit)) = bit_of(row) else {
                continue;
            };
            if word >= self.bits.len() {
                self.bits.resize(word + 1, 0);
            }
            self.bits[word] |= bit;
        }
    }

    pub(crate) fn has(&self, row: ArtifactId) -> bool {
        bit_of(row)
            .is_some_and(|(word, bit)| self.bits.get(word).is_some_and(|bits| bits & bit != 0))
    }
}

fn bit_of(row: ArtifactId) -> Option<(usize, u64)> {
    let number = (0..MOST_ROWS).contains(&row.0).then_some(row.0)?;
    Some((usize::try_from(number / 64).ok()?, 1 << (number % 64)))
}

/// Those of these rows at whose paths nothing is. What cannot be looked at is not among them.
pub(crate) fn absent(base: &Base, rows: Vec<Artifact>) -> Vec<Artifact> {
    let places = rows.into_iter().map(|row| (row.location().path(), row));
    absent_of(base, places.collect())
}

/// What goes with those of these paths at which nothing is.
fn absent_of<T: Send + Sync + Clone>(base: &Base, mut places: Vec<(String, T)>) -> Vec<T> {
    // Folder by folder, as a check is cheapest.
    places.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let check = |places: &[(String, T)]| -> Vec<T> {
        // A folder that is moved meanwhile is asked all the same: what is absent is looked at
        // again.
        let mut check = AbsenceCheck::new(base);
        let absent = places.iter().filter(|(path, _)| check.is_absent(path));
        absent.map(|(_, of)| of.clone()).collect()
    };
    let threads = (places.len() / PLACES_A_THREAD + 1).min(THREADS);
    if threads == 1 {
        return check(&places);
    }
    let each = places.len().div_ceil(threads);
    std::thread::scope(|scope| {
        let looks: Vec<_> = places
            .chunks(each)
            .map(|places| scope.spawn(|| check(places)))
            .collect();
        let joined = looks.into_iter().map(|look| {
            look.join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        joined.flatten().collect()
    })
}
