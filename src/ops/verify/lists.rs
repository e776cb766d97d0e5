//! Consolidated metadata that lists what is gone: zarr reads that as fill values.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::comparison::{InFlight, Verify};
use super::finding::{Repair, VerifyClass, VerifyFinding};
use crate::error::Error;
use crate::model::words;
use crate::store;

/// How the base directory is named in a finding.
const BASE: &str = ".";

fn shown(group: &Path) -> String {
    match group.as_os_str().is_empty() {
        true => BASE.to_owned(),
        false => store::escape(group.as_os_str()),
    }
}

/// The group that a finding names.
pub(super) fn group_of(found: &VerifyFinding) -> &str {
    if found.path == BASE { "" } else { &found.path }
}

/// Entries that a finding names.
const MOST_NAMES: usize = 3;

impl Verify<'_> {
    /// Looks at the lists of groups, and once more at what seems to be gone.
    pub(super) fn check_lists(&mut self, groups: BTreeSet<PathBuf>) -> Result<(), Error> {
        for group in groups {
            self.check_links(&group);
            let stale = match store::stale_entries(self.base, &group) {
                Ok(stale) if stale.is_empty() => continue,
                Ok(stale) => stale,
                Err(error) => {
                    self.unreadable(&group.to_string_lossy(), &error);
                    continue;
                }
            };
            // A removal that is in flight has yet to write the list.
            let in_flight = InFlight::read(self.catalog, self.base, self.now)?;
            let is_going = |path: &Path| path.to_str().is_some_and(|path| in_flight.covers(path));
            // If it cannot be read any more, nothing is said about it.
            let still = store::stale_entries(self.base, &group).unwrap_or_default();
            let stale: Vec<String> = stale
                .iter()
                .filter(|path| still.contains(*path) && !is_going(path))
                .map(|path| store::escape(path.as_os_str()))
                .collect();
            if stale.is_empty() {
                continue;
            }
            let mut names = stale[..stale.len().min(MOST_NAMES)].join(", ");
            if stale.len() > MOST_NAMES {
                let more = words::number((stale.len() - MOST_NAMES) as u64);
                names.push_str(&format!(" and {more} more"));
            }
            let path = shown(&group);
            // An escaped path is not the name on disk.
            let is_plain = Path::new(&path) == group || path == BASE;
            self.find(VerifyFinding {
                class: VerifyClass::StaleList,
                path,
                artifact: None,
                detail: format!("its consolidated metadata lists what is gone: {names}"),
                repair: is_plain.then_some(Repair::RewriteList),
                follows: None,
            });
        }
        Ok(())
    }

    /// Names the lists of a group that are symbolic links, which no removal changes.
    fn check_links(&mut self, group: &Path) {
        // A group that cannot be opened is reported with its lists.
        for name in store::linked_lists(self.base, group).unwrap_or_default() {
            self.find(VerifyFinding {
                class: VerifyClass::StaleList,
                path: shown(group),
                artifact: None,
                detail: format!(
                    "its {name} is a symbolic link, which is not followed: whether its \
                     consolidated metadata lists what is gone was not looked at"
                ),
                repair: None,
                follows: None,
            });
        }
    }
}
