//! Data that lives on under the name that a folder above it was given by hand.
//!
//! The row of what is gone is no reason to stop a removal, and goes. If a folder was renamed, its
//! rows would go with their seals, and the data would stay without any. So each folder above what
//! is gone is looked at for another one in which the same path has data of the row's time. If there
//! is one, the row stays until the user has said what is right.
//!
//! What is there costs nothing here. What is gone costs a listing of each folder above it, once a
//! removal, and some looks: a folder's rows are looked for until [`MOST_MISSES`] of them were
//! nowhere, because a rename takes all of them along. They come in no order, so that what was
//! deleted before the rename does not stand for the rest.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use super::plan::{PlannedItem, RemovalPlan};
use crate::catalog::CatalogError;
use crate::error::Error;
use crate::model::artifact::{Artifact, ArtifactId, Origin, State};
use crate::model::layout::{self, Location};
use crate::ops::twins;
use crate::store::{self, Base, EntryType, NameIn, StorageError};

/// Names of a folder that are looked at.
const MOST_NAMES: usize = 16_384;
/// Rows below a folder that were found nowhere, after which its other rows are only looked for where
/// some were found.
const MOST_MISSES: u32 = 16;
/// Places beside a folder at which rows of other data were found, after which it is taken for one
/// that always was there.
const MOST_OTHERS: u32 = 2;

/// Looks for what is gone under other names.
pub(super) struct Moved<'a> {
    base: &'a Base,
    /// Paths of what goes as a whole: data in it does not live on.
    going: HashSet<&'a str>,
    /// The names in folders that were listed.
    names: HashMap<String, Vec<NameIn>>,
    /// What is known of folders, by the path that they had.
    folders: HashMap<String, Known>,
    /// Rows that were looked for, with the paths that their data has.
    seen: HashMap<ArtifactId, Option<String>>,
}

/// What is known of a folder that has rows whose data is gone.
#[derive(Default)]
struct Known {
    /// Rows that were found nowhere.
    misses: u32,
    /// Names beside it under which rows were found.
    found: Vec<String>,
    /// Names beside it with rows of other data, and how many of these were found.
    others: HashMap<String, u32>,
}

/// What is at another path.
enum There {
    /// Data of the row's time that has no row, or one that a scan made of it.
    Data,
    /// A row of other data, or one that a user gave something that binds it.
    OtherRow,
    Nothing,
}

impl<'a> Moved<'a> {
    /// `stays`: paths of items that will not be removed.
    pub(super) fn new(
        base: &'a Base,
        plan: &'a RemovalPlan,
        stays: impl Fn(&PlannedItem) -> bool,
    ) -> Self {
        let going = plan.items.iter().filter(|item| !stays(item));
        Self {
            base,
            going: going.map(|item| item.path.as_str()).collect(),
            names: HashMap::new(),
            folders: HashMap::new(),
            seen: HashMap::new(),
        }
    }

    /// The errors of rows whose data is not at their paths and lives on at other ones, each with what
    /// the row came with. `at` finds the row at a place.
    ///
    /// # Errors
    /// What `at` returns, but for rows that are damaged.
    pub(super) fn find<T>(
        &mut self,
        mut rows: Vec<(T, &Artifact)>,
        mut at: impl FnMut(&Location) -> Result<Option<Artifact>, CatalogError>,
    ) -> Result<Vec<(T, Error)>, Error> {
        // Those that were there last come first: what was missing before is nowhere.
        rows.sort_by_cached_key(|(_, row)| {
            let mut hasher = DefaultHasher::new();
            row.location().path().hash(&mut hasher);
            (!row.state.has_data(), hasher.finish())
        });
        let mut errors = Vec::new();
        for (of, row) in rows {
            let error = match self.place_of(row, &mut at) {
                Ok(None) => continue,
                Ok(Some(place)) => Error::RenamedByHand {
                    path: row.path(),
                    found: self.base.path().join(place),
                },
                // What cannot be read may hold the data.
                Err(Error::Storage(error)) => error.into(),
                Err(error) => return Err(error),
            };
            errors.push((of, error));
        }
        Ok(errors)
    }

    /// Where the data of a row is, if it is not at the row's path.
    fn place_of(
        &mut self,
        row: &Artifact,
        at: &mut impl FnMut(&Location) -> Result<Option<Artifact>, CatalogError>,
    ) -> Result<Option<String>, Error> {
        let has_time = row.written_at.is_some() && row.state != State::Reserved;
        let path = row.location().path();
        if !has_time || row.key.kind().is_container() || !self.base.is_absent(&path) {
            return Ok(None);
        }
        if let Some(place) = self.seen.get(&row.id) {
            return Ok(place.clone());
        }
        // From the innermost folder on: the nearest is what was renamed.
        let ends = path.rmatch_indices('/').map(|(end, _)| end);
        let starts = ends.map(|end| end + 1).chain([0]);
        let mut place = None;
        for start in starts {
            let end = path[start..].find('/').map_or(path.len(), |at| start + at);
            place = self.beside(row, (&path, start, end), at)?;
            if place.is_some() {
                break;
            }
        }
        self.seen.insert(row.id, place.clone());
        Ok(place)
    }

    /// The first path at which the data of a row is, if the folder that ends at `end` of its path,
    /// and whose name starts at `start`, has another name.
    fn beside(
        &mut self,
        row: &Artifact,
        (path, start, end): (&str, usize, usize),
        at: &mut impl FnMut(&Location) -> Result<Option<Artifact>, CatalogError>,
    ) -> Result<Option<String>, Error> {
        let (above, name, rest) = (&path[..start], &path[start..end], &path[end..]);
        let base = self.base;
        let known = self.folders.entry(path[..end].to_owned()).or_default();
        let place = |name: &str| format!("{above}{name}{rest}");
        for name in &known.found {
            let place = place(name);
            if !goes(&self.going, &place)
                && let There::Data = there(base, row, &place, at)?
            {
                return Ok(Some(place));
            }
        }
        if known.misses >= MOST_MISSES {
            return Ok(None);
        }
        if !self.names.contains_key(above) {
            let folder = Path::new(above.trim_end_matches('/'));
            let names = store::names_in(base, folder, MOST_NAMES)?;
            self.names.insert(above.to_owned(), names);
        }
        // A checkpoint is a file; all else is in folders.
        let wanted = match rest.is_empty() && row.key.kind().is_file() {
            true => EntryType::File,
            false => EntryType::Folder,
        };
        for other in self.names.get(above).into_iter().flatten() {
            let has_type = other.entry_type.is_none_or(|found| found == wanted);
            let others = known.others.get(&other.name).copied().unwrap_or_default();
            if other.name == name || !has_type || others >= MOST_OTHERS {
                continue;
            }
            let place = place(&other.name);
            if goes(&self.going, &place) {
                continue;
            }
            match there(base, row, &place, at)? {
                There::Data => {
                    known.found.push(other.name.clone());
                    return Ok(Some(place));
                }
                There::OtherRow => *known.others.entry(other.name.clone()).or_default() += 1,
                There::Nothing => {}
            }
        }
        known.misses += 1;
        Ok(None)
    }
}

/// Whether a path goes with a removal.
fn goes(going: &HashSet<&str>, path: &str) -> bool {
    let mut above = Path::new(path).ancestors().filter_map(Path::to_str);
    above.any(|above| going.contains(above))
}

/// What is at another path that a row's data may have.
fn there(
    base: &Base,
    row: &Artifact,
    path: &str,
    at: &mut impl FnMut(&Location) -> Result<Option<Artifact>, CatalogError>,
) -> Result<There, Error> {
    // The row first: most folders beside one have their own, and are spared the look.
    if let Ok(place) = layout::split(path) {
        match at(&place) {
            Ok(Some(other)) if !is_of_scan_after(&other, row) => return Ok(There::OtherRow),
            // A damaged row says nothing of what is there.
            Ok(_) | Err(CatalogError::Row { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let seen = match store::written_at(base, Path::new(path), row.key.kind()) {
        // Other users have folders beside this one that may not be read, and that say nothing.
        Err(StorageError::Io { .. } | StorageError::DamagedMetadata { .. }) => None,
        seen => seen?,
    };
    let is_it = seen.is_some() && seen == row.written_at && twins::may_own(base, row, path);
    Ok(match is_it {
        true => There::Data,
        false => There::Nothing,
    })
}

/// Whether a row is one that a scan made of another row's data after a rename, and that no word of
/// a user binds.
fn is_of_scan_after(other: &Artifact, row: &Artifact) -> bool {
    other.origin == Origin::Scanned
        && other.pins.is_empty()
        && other.sealed_at.is_none()
        && other.written_at == row.written_at
        && other.recorded_at > row.recorded_at
}
