//! What the folders of runs hold beside what is recorded: checkpoints that were not taken in, logs,
//! zips, stray folders.
//!
//! What is recorded is not walked, whether it was counted or not, so that this costs what the rest
//! costs and takes no array for something else.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::catalog::Catalog;
use crate::error::Error;
use crate::model::clock::Timestamp;
use crate::model::filter::Filter;
use crate::model::key::Kind;
use crate::model::progress::Monitor;
use crate::model::size::{ByteCount, Size};
use crate::store::{self, Base, Notice, OthersCount};

/// What lies in the folders of runs and is not recorded.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct OtherUse {
    /// Lengths and number of its files.
    #[serde(flatten)]
    pub size: Size,
    /// Bytes that its files and folders take on disk, a file with several links once. With the
    /// bytes on disk of what is recorded it gives what `du -s` says of the folders.
    pub disk_bytes: ByteCount,
    /// Folders and files that could not be read: `notices` in JSON.
    pub notices: Vec<Notice>,
}

impl OtherUse {
    /// Adds what was counted elsewhere.
    pub(crate) fn merge(&mut self, found: OthersCount) {
        self.size.add(found.size);
        let disk = &mut self.disk_bytes.0;
        *disk = disk.saturating_add(found.disk_bytes.0);
        self.notices.extend(found.notices);
    }
}

/// Counts what the folders of the runs that a filter names hold besides. Other parts of the filter
/// are ignored.
///
/// # Errors
/// [`Error`] if the catalog cannot be read, or the monitor cancels.
pub(crate) fn others(
    catalog: &Catalog,
    base: &Base,
    filter: &Filter,
    now: Timestamp,
    monitor: &dyn Monitor,
) -> Result<OtherUse, Error> {
    let of = Filter {
        kinds: Kind::ALL.to_vec(),
        ..filter.of_runs()
    };
    let mut names = Vec::new();
    catalog.runs(&of, now, |run| {
        names.push(run.run);
        Ok::<_, Error>(())
    })?;
    let mut sum = OtherUse::default();
    for (at, name) in names.iter().enumerate() {
        // A run may lie in the folder of another; names are sorted, so the outer one comes first.
        let is_inside = |outer: &String| Path::new(name).starts_with(outer);
        if names[..at].iter().any(is_inside) {
            continue;
        }
        // Without a look on disk first, a row that was only reserved may have data by now.
        let recorded = catalog.recorded_below(name, catalog.is_read_only())?;
        let counted: HashSet<PathBuf> = recorded.into_iter().collect();
        let is_counted = |path: &Path| counted.contains(path);
        let found = store::count_others(base, [PathBuf::from(name)], &is_counted, monitor)?;
        sum.merge(found);
    }
    Ok(sum)
}
