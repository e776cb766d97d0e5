//! What the trash says to a rebuild: which removals the backup does not know, and what of those
//! that it knows was restored or unlinked since. The header of [`rebuild`](super::rebuild) says how
//! it is read.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use crate::catalog::{Catalog, Change, KeptItem, OpenRemoval};
use crate::error::Error;
use crate::model::artifact::Artifact;
use crate::model::causes::with_causes;
use crate::model::clock::Clock;
use crate::model::operation::{Action, NewOperation};
use crate::model::removal::{RemovalId, RemovalState};
use crate::model::words;
use crate::ops::remove::manifest;
use crate::ops::{recover, restored_rows};
use crate::store::{
    self, Base, EntryId, EntryType, StorageError, Trash, TrashFolder, TrashItem, entry_at,
};

/// Most names that are reported of a folder in the trash.
const MOST_STRANGERS: usize = 100;

/// Makes the removals of a new catalog agree with the trash.
pub(super) struct TrashReading<'a> {
    pub(super) base: &'a Base,
    pub(super) clock: &'a dyn Clock,
    pub(super) catalog: &'a Catalog,
}

/// What was read.
#[derive(Default)]
pub(super) struct TrashRead {
    /// Removals that the backup did not know.
    pub(super) removals: Vec<RemovalId>,
    /// Removals whose folders are left alone.
    pub(super) left_alone: Vec<RemovalId>,
    /// What could not be settled, as text.
    pub(super) problems: Vec<String>,
}

impl TrashReading<'_> {
    fn new_operation(&self) -> NewOperation<'static> {
        NewOperation::new(Action::Rebuild, self.clock.now())
    }

    /// Says why this user may not open a folder in the trash, or a file in it, and what its owner
    /// can type; `None` if rights are not the cause.
    fn closed(&self, error: &Error) -> Option<String> {
        let Error::Storage(storage) = error else {
            return None;
        };
        let path = storage.path().strip_prefix(self.base.path()).ok()?;
        let why = || store::why_unreadable(self.base, path).unwrap_or_else(|| with_causes(error));
        storage.is_permission().then(why)
    }

    /// Makes the removals of the catalog agree with the trash.
    ///
    /// # Errors
    /// [`Error`] if the catalog cannot be written, or the trash cannot be read.
    pub(super) fn settle(&self) -> Result<TrashRead, Error> {
        let catalog = self.catalog;
        let mut read = TrashRead::default();
        let mut problems = Vec::new();
        let trash = Trash::open(self.base)?;
        let folders = match &trash {
            Some(trash) => trash.list()?.0,
            None => Vec::new(),
        };
        let mut kept: BTreeMap<RemovalId, Vec<KeptItem>> = BTreeMap::new();
        catalog.kept_items(|item| {
            kept.entry(item.removal.clone()).or_default().push(item);
            Ok::<_, Error>(())
        })?;
        for (id, items) in &kept {
            let folder = match &trash {
                Some(trash) => trash.folder(id).map_err(Error::from),
                None => Ok(None),
            };
            let settled = folder.and_then(|folder| {
                catalog.change(self.new_operation(), |change| {
                    self.settle_kept(change, id, items, folder.as_ref())
                })
            });
            if let (Err(error), Some(trash)) = (&settled, &trash)
                && let Some(why) = self.closed(error)
            {
                let path = trash.folder_path(id);
                problems.push(format!(
                    "{}: {why}; the new catalog has this removal as the backup has it, whatever \
                     was restored or unlinked since",
                    path.display()
                ));
                read.left_alone.push(id.clone());
                continue;
            }
            settled?;
        }
        let Some(trash) = trash else {
            read.problems = problems;
            return Ok(read);
        };
        for id in folders {
            // Kept ones are settled above; recovery settles the others.
            if catalog.removal(&id)?.is_some() {
                continue;
            }
            let folder = trash.folder(&id).map_err(Error::from);
            let entered = folder.and_then(|folder| match folder {
                None => Ok(Entered::ByRecovery),
                Some(folder) => catalog.change(self.new_operation(), |change| {
                    self.enter(change, &id, &folder)
                }),
            });
            let entered = match entered {
                Err(error) if is_of_another_type(&error) => Entered::No(with_causes(&error)),
                Err(error) => match self.closed(&error) {
                    Some(why) => Entered::Closed(why),
                    // A later open may read it, and take it for a removal that was interrupted: so
                    // that ends the rebuild.
                    None => return Err(error),
                },
                Ok(entered) => entered,
            };
            let path = trash.folder_path(&id);
            let path = path.display();
            match entered {
                Entered::Yes { strangers } => {
                    if !strangers.is_empty() {
                        let names = strangers.join(", ").escape_debug().to_string();
                        read.problems.push(format!(
                            "{path} holds what its manifest does not name: {names}; look at it \
                             before the trash is emptied"
                        ));
                    }
                    read.removals.push(id);
                }
                Entered::ByRecovery => {}
                Entered::No(why) => {
                    problems.push(format!("{path}: {why}; it is left alone"));
                    read.left_alone.push(id);
                }
                Entered::Closed(why) => {
                    // As recovery does with what no catalog explains.
                    problems.push(format!(
                        "{path}: {why}; the new catalog lacks this removal, so the next command \
                         that writes and may open the folder takes it for an interrupted one, and \
                         puts back what it can"
                    ));
                    read.left_alone.push(id);
                }
            }
        }
        let more = problems.len().saturating_sub(recover::MOST_OF_OTHERS);
        problems.truncate(recover::MOST_OF_OTHERS);
        read.problems.extend(problems);
        if more > 0 {
            // Other users can put any number there.
            let more = words::number(more as u64);
            let more = format!("{more} more folders in the trash are left alone");
            read.problems.push(more);
        }
        Ok(read)
    }

    /// Records which items of a kept removal left the trash, and reinstates the rows of those that
    /// were restored.
    fn settle_kept(
        &self,
        change: &Change<'_>,
        id: &RemovalId,
        items: &[KeptItem],
        folder: Option<&TrashFolder>,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let is_purging = folder.map_or(Ok(false), TrashFolder::is_purging)?;
        for item in items {
            let is_here = match folder {
                Some(folder) => folder.has(item.item)?,
                None => false,
            };
            // Parts of it may have been restored since the backup.
            if is_here {
                for row in change.of_item(id, item.item)? {
                    let place = (item.path.as_str(), item.item);
                    if self.has_left(folder, is_purging, place, &row)? {
                        change.reinstate_over(id, &row, now)?;
                    }
                }
                continue;
            }
            let is_gone = self.base.is_absent(&item.path);
            // Of what unlinking took, nothing is restored.
            if is_gone && (is_purging || folder.is_none()) {
                continue;
            }
            let mut is_whole = true;
            if !is_gone {
                for row in change.of_item(id, item.item)? {
                    // Unlinked, and something else was written at its path since.
                    if is_purging && !restored_rows::is_back(self.base, &row) {
                        is_whole &= !restored_rows::had_data(&row);
                        continue;
                    }
                    // Something else may be recorded at its path since the removal.
                    if change.at(&row.location())?.is_none() {
                        change.reinstate(id, row.id, now)?;
                    }
                }
            }
            if is_whole {
                change.mark_item_restored(id, item.item, now)?;
            }
        }
        if change.left(id)? == 0 {
            change.set_state(id, RemovalState::Restored, Some(now))?;
        } else if folder.is_none() {
            // What did not come back and is not in the trash was unlinked.
            change.set_state(id, RemovalState::Purged, Some(now))?;
        } else if is_purging {
            change.set_state(id, RemovalState::Purging, None)?;
        }
        Ok(())
    }

    /// Enters a removal that the catalog does not know, as its manifest says.
    fn enter(
        &self,
        change: &Change<'_>,
        id: &RemovalId,
        folder: &TrashFolder,
    ) -> Result<Entered, Error> {
        if let Some(why) = recover::refusal(self.base, folder)? {
            // Recovery removes an empty one, whatever its notes are.
            return Ok(match folder.is_empty()? {
                true => Entered::ByRecovery,
                false => Entered::No(why),
            });
        }
        let is_purging = folder.is_purging()?;
        let text = folder.manifest_text()?;
        let Some(taken) = text.as_deref().and_then(manifest::read) else {
            // Without rows, recovery settles the folder by its items; an empty one is dropped.
            let has_items = !is_purging && folder.manifest()?.is_some();
            return Ok(match folder.is_empty()? || has_items {
                true => Entered::ByRecovery,
                false => Entered::No("its manifest cannot be read".to_owned()),
            });
        };
        // All of it is looked at before anything is entered.
        if let Some(fault) = taken.fault() {
            return Ok(Entered::No(format!("its manifest makes no sense: {fault}")));
        }
        let known: HashSet<String> = taken
            .items
            .iter()
            .map(|item| item.item.to_string())
            .collect();
        let strangers = folder.strangers(|name| known.contains(name), MOST_STRANGERS)?;
        let rows = taken.artifacts.iter();
        let rows: Vec<(Option<u32>, Artifact)> = rows
            .map(|row| (row.item, row.artifact(self.catalog)))
            .collect();
        let mut by_item: HashMap<u32, Vec<&Artifact>> = HashMap::new();
        for (item, row) in &rows {
            item.map(|item| by_item.entry(item).or_default().push(row));
        }
        let mut fates = BTreeMap::new();
        for item in &taken.items {
            let is_here = folder.identify(item.item, item.entry_type)?.is_some();
            if !is_here && folder.has(item.item)? {
                // Its number is taken by another thing, so what became of it is not known.
                let what = format!("item {} is not what was moved", item.item);
                return Ok(Entered::No(what));
            }
            let of_item = by_item.get(&item.item).map_or(&[][..], Vec::as_slice);
            let is_back = || restored_rows::is_item_back(self.base, item, of_item);
            // An unlinked item is not back, even if something is at its place now.
            let fate = if is_here || (is_purging && !is_back()) {
                Fate::Removed
            } else if self.is_in_place(item) {
                Fate::InPlace
            } else {
                Fate::Unknown
            };
            fates.insert(item.item, fate);
        }
        let paths = taken.items.iter();
        let paths: HashMap<u32, &str> = paths.map(|item| (item.item, item.path.as_str())).collect();
        let now = self.clock.now();
        let is_removed = fates.values().any(|fate| *fate == Fate::Removed);
        if is_removed {
            let state = match is_purging {
                true => RemovalState::Purging,
                false => RemovalState::Kept,
            };
            let open = OpenRemoval {
                state,
                // Not purged by itself: that the removal was ever committed is not certain.
                purge_after: None,
            };
            let reason = taken.reason.as_deref();
            change.begin_removal(id, taken.removed_at, &taken.actor, reason, &open)?;
            for item in &taken.items {
                change.add_item(id, item.item, &item.path)?;
            }
        }
        for (item, was) in &rows {
            let fate = match item.and_then(|item| fates.get(&item)) {
                Some(fate) => *fate,
                // It had no data, and went with those that had.
                None if is_removed && self.base.is_absent(&was.location().path()) => Fate::Removed,
                None => Fate::Unknown,
            };
            let is_back = match item.filter(|_| fate == Fate::Removed) {
                Some(item) => {
                    let path = paths.get(&item).copied().unwrap_or_default();
                    self.has_left(Some(folder), is_purging, (path, item), was)?
                }
                None => false,
            };
            match fate {
                Fate::Removed if is_back => drop(change.reinstate_as(was, now)?),
                Fate::Removed => {
                    let row_of = change.reinstate_as(was, now)?;
                    change.remove(id, row_of.id, *item)?;
                }
                Fate::InPlace if !is_purging => drop(change.reinstate_as(was, now)?),
                Fate::InPlace | Fate::Unknown => {}
            }
        }
        Ok(match is_removed {
            true if is_purging => Entered::Yes {
                strangers: Vec::new(),
            },
            true => Entered::Yes { strangers },
            false => Entered::ByRecovery,
        })
    }

    /// Whether the data of an artifact was restored out of an item: it is not in the trash any
    /// more, and is at its old path; by its time if a purge may have taken it.
    fn has_left(
        &self,
        folder: Option<&TrashFolder>,
        is_purging: bool,
        (path, item): (&str, u32),
        row: &Artifact,
    ) -> Result<bool, Error> {
        let place = row.location().path();
        let part = Path::new(&place).strip_prefix(path).ok();
        let part = part.and_then(Path::to_str).filter(|part| !part.is_empty());
        let (Some(folder), Some(part)) = (folder, part) else {
            return Ok(false);
        };
        // `holds` looks for the name alone, so an entry is not needed.
        let item = TrashItem {
            item,
            path: place.clone(),
            entry_type: EntryType::Folder,
            part: Some(part.to_owned()),
            listed_in: Vec::new(),
            entry: EntryId {
                device: 0,
                inode: 0,
                born: None,
            },
        };
        let is_there = || match is_purging {
            true => restored_rows::is_back(self.base, row),
            false => !self.base.is_absent(&place),
        };
        Ok(!folder.holds(&item)? && is_there())
    }

    /// Whether the thing that a manifest names is at its old path, by its inode.
    fn is_in_place(&self, item: &TrashItem) -> bool {
        let found = entry_at(self.base, Path::new(&item.path), item.entry_type);
        // A device may have another number since a reboot, so only the inode counts.
        matches!(found, Ok(Some(found)) if found.inode == item.entry.inode)
    }
}

/// What has become of an item of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is in the trash, or unlinked.
    Removed,
    /// It was never moved, or is restored.
    InPlace,
    /// Neither: it went some other way.
    Unknown,
}

/// Whether the path has another file type than the artifact: a later look would find the same.
fn is_of_another_type(error: &Error) -> bool {
    match error {
        Error::Storage(StorageError::Io { source, .. }) => {
            source.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
        }
        error => matches!(error.code(), "not-a-folder" | "not-a-file" | "symlink"),
    }
}

/// What has become of a folder in the trash.
enum Entered {
    /// It is a removal of the catalog; what lies in it besides.
    Yes { strangers: Vec<String> },
    /// Nothing was removed: recovery drops it, or puts back what it holds.
    ByRecovery,
    /// It is left alone; why.
    No(String),
    /// This user may not open it; why.
    Closed(String),
}
