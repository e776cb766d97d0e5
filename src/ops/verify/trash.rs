//! The trash: what is not settled, what is left over, what a kept removal cannot give back.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;
use std::path::Path;

use super::comparison::Verify;
use super::finding::{Repair, VerifyClass, VerifyFinding};
use crate::catalog::{KeptItem, Selected};
use crate::error::Error;
use crate::model::artifact::{Artifact, State};
use crate::model::causes::with_causes;
use crate::model::filter::Filter;
use crate::model::key::Kind;
use crate::model::name::REGISTRY_DIR;
use crate::model::removal::{RemovalId, RemovalState};
use crate::ops::left_alone;
use crate::ops::recover;
use crate::ops::remove;
use crate::store::{self, Trash};

impl Verify<'_> {
    /// Checks the trash, whatever the selection.
    pub(super) fn check_trash(&mut self) -> Result<(), Error> {
        let pending = recover::pending(self.catalog, self.base, self.now)?;
        let trash = Trash::open(self.base)?;
        for name in &pending.strangers {
            self.in_trash(
                VerifyClass::TrashLeftover,
                name,
                "its name is not that of a removal".to_owned(),
                None,
            );
        }
        for id in &pending.unsettled {
            self.unsettled(trash.as_ref(), id)?;
        }
        for (id, open) in self.catalog.open_states()? {
            match open.state {
                RemovalState::Purging => self.in_trash(
                    VerifyClass::TrashUnsettled,
                    id.as_str(),
                    "it is being unlinked, or that was interrupted".to_owned(),
                    None,
                ),
                RemovalState::Kept => self.check_manifest(trash.as_ref(), &id)?,
                _ => {}
            }
        }
        for (id, item, detail) in self.returned(trash.as_ref())? {
            let name = format!("{id}/{item}");
            self.in_trash(VerifyClass::TrashReturned, &name, detail, None);
        }
        let suspects = self.kept(trash.as_ref())?;
        if suspects.is_empty() {
            return Ok(());
        }
        // Items that are being restored or purged are not findings: another process moves them now.
        let unsettled = recover::pending(self.catalog, self.base, self.now)?.unsettled;
        let again = self.kept(trash.as_ref())?;
        for (item, class, detail) in again {
            let was = suspects
                .iter()
                .any(|(other, of, _)| *other == item && *of == class);
            if was && !unsettled.contains(&item.removal) {
                let name = format!("{}/{}", item.removal, item.item);
                self.in_trash(class, &name, detail, None);
            }
        }
        Ok(())
    }

    /// A manifest says who put what into the trash. Without it a restore by another user asks for
    /// more rights.
    fn check_manifest(&mut self, trash: Option<&Trash>, id: &RemovalId) -> Result<(), Error> {
        let Some(Ok(Some(folder))) = trash.map(|trash| trash.folder(id)) else {
            return Ok(());
        };
        let why = match folder.manifest() {
            Ok(Some(_)) => return Ok(()),
            Ok(None) => "it is gone, or damaged".to_owned(),
            Err(error) => with_causes(&error),
        };
        // Asked last: it may have been restored or emptied meanwhile.
        if self
            .catalog
            .removal(id)?
            .is_some_and(|now| now.state == RemovalState::Kept)
        {
            let detail = format!(
                "the list of what removal {id} took cannot be read: {why}; the owner of that data can \
                 still restore it: if users who may write in the trash may not write where it goes \
                 back to, the error of the restore says what to allow"
            );
            self.in_trash(
                VerifyClass::Unreadable,
                &format!("{id}/manifest.json"),
                detail,
                None,
            );
        }
        Ok(())
    }

    fn in_trash(&mut self, class: VerifyClass, name: &str, detail: String, repair: Option<Repair>) {
        self.find(VerifyFinding {
            class,
            path: store::escape(format!("{REGISTRY_DIR}/trash/{name}").as_ref()),
            artifact: None,
            detail,
            repair,
            follows: None,
        });
    }

    fn unsettled(&mut self, trash: Option<&Trash>, id: &RemovalId) -> Result<(), Error> {
        let Some(trash) = trash else {
            return Ok(());
        };
        let folder = match trash.folder(id) {
            Ok(Some(folder)) => folder,
            // It is over meanwhile.
            Ok(None) => return Ok(()),
            Err(error) => {
                let detail = left_alone::unreadable(&error);
                self.in_trash(VerifyClass::TrashLeftover, id.as_str(), detail, None);
                return Ok(());
            }
        };
        let has_items = match folder.is_empty() {
            Ok(is_empty) => !is_empty,
            // It is over, and its folder went while it was read.
            Err(_) if is_gone(trash, id)? => return Ok(()),
            Err(error) => {
                let detail = left_alone::unreadable(&error);
                self.in_trash(VerifyClass::TrashLeftover, id.as_str(), detail, None);
                return Ok(());
            }
        };
        let state = self.catalog.removal(id)?.map(|removal| removal.state);
        if state.is_none()
            && let Some(why) = left_alone::reason(self.catalog, self.base, id, &folder)?
        {
            // It was committed meanwhile, and its purge renames the manifest while it is read.
            if self.catalog.removal(id)?.is_some() {
                return Ok(());
            }
            self.in_trash(VerifyClass::TrashLeftover, id.as_str(), why, None);
            return Ok(());
        }
        let (class, detail, repair) = match state {
            None => (
                VerifyClass::TrashUnsettled,
                "a removal in flight, or one that was interrupted".to_owned(),
                Some(Repair::Settle),
            ),
            Some(RemovalState::Kept) => (
                VerifyClass::TrashUnsettled,
                "a restore in flight, or one that was interrupted".to_owned(),
                Some(Repair::Settle),
            ),
            // Reported with the states of the catalog.
            Some(RemovalState::Purging) => return Ok(()),
            Some(RemovalState::Restored) if has_items && !folder.is_hollow()? => (
                VerifyClass::TrashLeftover,
                recover::left_of_restored(folder.path()),
                None,
            ),
            Some(RemovalState::Purged) if has_items => (
                VerifyClass::TrashLeftover,
                "something is left of a removal that was purged".to_owned(),
                Some(Repair::Settle),
            ),
            Some(RemovalState::Restored | RemovalState::Purged) => (
                VerifyClass::TrashUnsettled,
                "the folder of a removal that is over, or ends just now".to_owned(),
                Some(Repair::Settle),
            ),
        };
        // Asked last: it may have ended while the rest was read.
        if !is_gone(trash, id)? {
            self.in_trash(class, id.as_str(), detail, repair);
        }
        Ok(())
    }

    /// Items of kept removals, by removal and number, with data of rows that are missing. A restore
    /// found it lost, and it was put back into the trash since.
    fn returned(&self, trash: Option<&Trash>) -> Result<Vec<(RemovalId, u32, String)>, Error> {
        let mut found = Vec::new();
        let Some(trash) = trash else {
            return Ok(found);
        };
        let missing = self.missing_rows()?;
        if missing.is_empty() {
            return Ok(found);
        }
        for (id, open) in self.catalog.open_states()? {
            // What cannot be read of it is a finding already.
            let folder = trash.folder(&id).ok().flatten();
            let Some(folder) = folder.filter(|_| open.state == RemovalState::Kept) else {
                continue;
            };
            let Ok(Some(manifest)) = folder.manifest() else {
                continue;
            };
            for item in &manifest.items {
                let rows = missing.range(item.path.clone()..);
                let rows = rows.take_while(|(at, _)| at.starts_with(&item.path));
                let rows = rows.filter_map(|(at, row)| {
                    Some((row, at, Path::new(at).strip_prefix(&item.path).ok()?))
                });
                let mut rows = rows.peekable();
                if rows.peek().is_none() {
                    continue;
                }
                let kept = self
                    .catalog
                    .view_removals(|view| view.of_item(&id, item.item))?;
                let kept: HashSet<String> = kept.iter().map(|row| row.location().path()).collect();
                for (row, at, part) in rows {
                    let kind = row.key.kind();
                    // What can be restored with its row is no finding.
                    if !kept.contains(at)
                        && store::is_in_trash(&folder, item.item, part, at.as_ref(), kind)
                            .unwrap_or(false)
                    {
                        let detail =
                            format!("what was {at} is there again, and its row is missing");
                        found.push((id.clone(), item.item, detail));
                    }
                }
            }
        }
        Ok(found)
    }

    /// Rows of data that is gone, by path, whatever the selection.
    fn missing_rows(&self) -> Result<BTreeMap<String, Artifact>, Error> {
        let filter = Filter {
            kinds: Kind::ALL.to_vec(),
            states: vec![State::Missing],
            ..Filter::default()
        };
        let mut missing = BTreeMap::new();
        self.catalog
            .list(&filter, self.now, Selected::All, |artifact| {
                missing.insert(artifact.location().path(), artifact);
                Ok::<_, Error>(ControlFlow::Continue(()))
            })?;
        Ok(missing)
    }

    /// What kept removals cannot give back.
    fn kept(&self, trash: Option<&Trash>) -> Result<Vec<(KeptItem, VerifyClass, String)>, Error> {
        let mut found = Vec::new();
        self.catalog.kept_items(|item| {
            let folder = match trash.map(|trash| trash.folder(&item.removal)) {
                Some(Ok(folder)) => folder,
                // Something else has its name.
                Some(Err(error)) => {
                    found.push((item, VerifyClass::TrashMissing, error.to_string()));
                    return Ok(());
                }
                None => None,
            };
            let is_there = match &folder {
                Some(folder) => folder.has(item.item)?,
                None => false,
            };
            if !is_there {
                let detail = format!("what was {} is not in the trash", item.path.escape_debug());
                found.push((item, VerifyClass::TrashMissing, detail));
            } else if remove::checked_item(&item.path, |_| true).is_err() {
                let detail = format!(
                    "its old path, \"{}\", is not a path in the base directory",
                    item.path.escape_debug()
                );
                found.push((item, VerifyClass::TrashOccupied, detail));
            } else {
                match self.base.look_whether_absent(&item.path) {
                    Ok(true) => {}
                    Ok(false) => {
                        let detail = format!("its old place, {}, is taken", item.path);
                        found.push((item, VerifyClass::TrashOccupied, detail));
                    }
                    Err(error) => {
                        let detail =
                            format!("its old place cannot be read: {}", with_causes(&error));
                        found.push((item, VerifyClass::Unreadable, detail));
                    }
                }
            }
            Ok::<_, Error>(())
        })?;
        Ok(found)
    }
}

/// Whether a removal that was in flight has ended since, and taken its folder along.
fn is_gone(trash: &Trash, id: &RemovalId) -> Result<bool, Error> {
    Ok(trash.folder(id)?.is_none())
}
