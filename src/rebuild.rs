//! Rebuild: a new catalog in the place of one that is damaged or gone.
//!
//! Entry: [`Options::rebuild`](crate::Options::rebuild). The new catalog is made beside the old one
//! and takes its place when it is whole:
//!
//! 1. the newest backup that is sound, or an empty catalog
//! 2. the trash: what was removed since then is entered as its manifest says; what was restored or
//!    purged since then is noted
//! 3. recovery, as at every open for writing
//! 4. the disk: every row is compared with it, and what has no row is taken in
//! 5. the old files are set aside, and the new catalog is renamed into place
//!
//! # What the trash can tell
//! A folder in the trash that the backup does not know is a removal that was made since, or one
//! that a crash interrupted before its commit; without the catalog nothing tells them apart. So it
//! is entered as kept, where everything in it can be restored. Where its unlinking had begun it was
//! committed, because nothing is unlinked before, and the purge goes on.
//!
//! # After a crash
//! Until 5 the old catalog stands where it stood; then there is none for a moment. The next rebuild
//! begins anew: what 2 and 3 did to the trash, it finds done. See `catalog::replace`.
//!
//! Locks: the turn to write of the old catalog, from the beginning to the end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;

use crate::artifact::State;
use crate::catalog::backup::{self, Backup};
use crate::catalog::{
    self, Catalog, CatalogError, CatalogOptions, Change, Durability, KeptItem, OpenRemoval,
    Replacing, Selected,
};
use crate::clock::{Clock, Timestamp};
use crate::error::Error;
use crate::filter::Filter;
use crate::history::{Action, Agent, Doing};
use crate::key::Kind;
use crate::monitor::Monitor;
use crate::recovery;
use crate::refresh::{self, RefreshOptions};
use crate::removal::{self, manifest};
use crate::removals::{Actor, RemovalId, RemovalState};
use crate::scan::{self, ScanOptions, ScanReport};
use crate::storage::{Base, Trash, TrashFolder};

/// What a rebuild begins with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RebuildFrom {
    /// The newest backup that is sound; where there is none, the disk alone.
    #[default]
    Newest,
    /// This backup.
    Backup(PathBuf),
    /// The disk alone: pins, scores and history are lost.
    Disk,
}

/// How to rebuild.
#[derive(Debug, Clone, Default)]
pub struct RebuildOptions {
    /// What to begin with.
    pub from: RebuildFrom,
    /// Rebuild also where the catalog is sound.
    pub force: bool,
    /// What the scan takes in; checkpoints also where the backup has some.
    pub scan: ScanOptions,
}

/// A backup that a rebuild did not take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusedBackup {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

/// What a rebuild did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RebuildReport {
    /// The catalog file.
    pub catalog: PathBuf,
    /// What was wrong with the old one.
    pub cause: String,
    /// Where the old one is now; none where there was none.
    pub set_aside: Option<PathBuf>,
    /// The backup that it began with, and when that was made; none for the disk alone.
    pub backup: Option<Backup>,
    /// Newer backups that are not sound.
    pub refused: Vec<RefusedBackup>,
    /// Removals in the trash that the backup did not know.
    pub removals: Vec<RemovalId>,
    /// What could not be settled, as text.
    pub problems: Vec<String>,
    /// Artifacts of the new catalog.
    pub artifacts: u64,
    /// Of those, how many are present, and how many the backup had and the disk has no more.
    pub present: u64,
    /// See `present`.
    pub missing: u64,
    /// What the scan found.
    pub scan: ScanReport,
}

/// What a rebuild works with.
pub(crate) struct Rebuilding<'a> {
    pub(crate) base: &'a Base,
    /// The catalog file.
    pub(crate) path: &'a Path,
    /// Folder of the backups.
    pub(crate) backups: &'a Path,
    /// Which registry it must be, where that is known.
    pub(crate) registry: Option<&'a str>,
    /// The network file system that the catalog lies on.
    pub(crate) network: Option<&'static str>,
    pub(crate) agent: Agent,
    pub(crate) actor: &'a dyn Fn() -> Actor,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) options: &'a RebuildOptions,
    pub(crate) monitor: &'a dyn Monitor,
}

impl Rebuilding<'_> {
    /// Rebuilds, with the turn to write in hand.
    ///
    /// # Errors
    /// [`CatalogError::Sound`] where there is nothing to rebuild; [`Error`] where the new catalog
    /// cannot be made. The old one then stands where it stood.
    pub(crate) fn rebuild(&self, replacing: Replacing) -> Result<RebuildReport, Error> {
        let cause = match catalog::damage_of(self.path, self.base.path())? {
            Some(cause) => cause,
            None if self.options.force => "it was sound".to_owned(),
            None => {
                let path = self.path.to_owned();
                return Err(CatalogError::Sound { path }.into());
            }
        };
        let known = catalog::registry_of(self.path);
        if let (Some(expected), Some(found)) = (self.registry, &known)
            && expected != found
        {
            // It belongs to another base directory, whose people would miss it.
            return Err(CatalogError::Mismatch {
                path: self.path.to_owned(),
                expected: expected.to_owned(),
                found: found.clone(),
            }
            .into());
        }
        let mut refused = Vec::new();
        let backup = self.choose(&mut refused)?;
        let wal = self.network.is_none();
        match &backup {
            Some(backup) => replacing.stage_copy(&backup.path, wal)?,
            None => {
                let new = || uuid::Uuid::new_v4().to_string();
                let registry = self.registry.map(str::to_owned).or(known);
                let now = self.clock.now();
                replacing.stage_new(&registry.unwrap_or_else(new), now, wal)?;
            }
        }
        let options = CatalogOptions {
            durability: Durability::Relaxed,
            network: self.network,
            ..CatalogOptions::default()
        };
        let agent = Some(self.agent.clone());
        let catalog = Catalog::open(replacing.staging(), self.base.path(), agent, options)?;
        let mut report = RebuildReport {
            catalog: self.path.to_owned(),
            cause,
            set_aside: None,
            backup,
            refused,
            removals: Vec::new(),
            problems: Vec::new(),
            artifacts: 0,
            present: 0,
            missing: 0,
            scan: ScanReport::default(),
        };
        self.settle_trash(&catalog, &mut report)?;
        let now = self.clock.now();
        let recovery = recovery::recover(&catalog, self.base, self.actor, now, Some("rebuild"))?;
        report.problems.extend(recovery.problems);
        self.compare(&catalog, &mut report)?;
        catalog.change(self.doing(), |change| {
            change.note(json!({
                "cause": report.cause,
                "backup": report.backup,
                "adopted": report.scan.adopted,
                "removals": report.removals,
            }));
            Ok::<_, Error>(())
        })?;
        drop(catalog);
        report.set_aside = replacing.install(self.clock.now())?;
        Ok(report)
    }

    fn doing(&self) -> Doing<'static> {
        Doing::new(Action::Rebuild, self.clock.now())
    }

    /// The backup to begin with.
    fn choose(&self, refused: &mut Vec<RefusedBackup>) -> Result<Option<Backup>, Error> {
        match &self.options.from {
            RebuildFrom::Disk => Ok(None),
            RebuildFrom::Backup(path) => {
                // Where its name does not say when it was made, it is as old as what it knows.
                let last = self.check(path)?;
                let listed = path.parent().map(backup::list).transpose()?;
                let listed = listed.into_iter().flatten();
                let mut named = listed.filter(|backup| backup.path == *path);
                let path = path.clone();
                let at = last.unwrap_or(Timestamp(0));
                Ok(Some(named.next().unwrap_or(Backup { path, at })))
            }
            RebuildFrom::Newest => {
                for backup in backup::list(self.backups)? {
                    match self.check(&backup.path) {
                        Ok(_) => return Ok(Some(backup)),
                        Err(error) => refused.push(RefusedBackup {
                            path: backup.path,
                            reason: error.to_string(),
                        }),
                    }
                }
                Ok(None)
            }
        }
    }

    /// Checks that a backup is sound and of this registry; gives when its last change was.
    fn check(&self, path: &Path) -> Result<Option<Timestamp>, CatalogError> {
        let checked = backup::check(path)?;
        match self.registry {
            Some(expected) if expected != checked.registry => Err(CatalogError::Mismatch {
                path: path.to_owned(),
                expected: expected.to_owned(),
                found: checked.registry,
            }),
            _ => Ok(checked.last.map(|last| last.at)),
        }
    }

    /// Makes the removals of the catalog agree with what is in the trash.
    fn settle_trash(&self, catalog: &Catalog, report: &mut RebuildReport) -> Result<(), Error> {
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
                Some(trash) => trash.folder(id)?,
                None => None,
            };
            catalog.change(self.doing(), |change| {
                self.settle_kept(change, id, items, folder.as_ref())
            })?;
        }
        let Some(trash) = trash else { return Ok(()) };
        for id in folders {
            if catalog.removal(&id)?.is_some() {
                continue;
            }
            let Some(folder) = trash.folder(&id)? else {
                continue;
            };
            let entered = catalog.change(self.doing(), |change| {
                self.enter(catalog, change, &id, &folder)
            })?;
            match entered {
                Entered::Yes => report.removals.push(id),
                // What a crash left before anything was moved; recovery takes it away.
                Entered::Empty => {}
                Entered::No(why) => report.problems.push(format!(
                    "{}: {why}; it is left alone",
                    folder.path().display()
                )),
            }
        }
        Ok(())
    }

    /// Notes what of a kept removal is not in the trash any more: restored since the backup where
    /// something stands in its place, else purged.
    fn settle_kept(
        &self,
        change: &Change<'_>,
        id: &RemovalId,
        items: &[KeptItem],
        folder: Option<&TrashFolder>,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        for item in items {
            let is_here = match folder {
                Some(folder) => folder.has(item.item)?,
                None => false,
            };
            if !is_here && !self.base.lacks(&item.path) {
                change.forget_item(id, item.item, now)?;
            }
        }
        if change.left(id)? == 0 {
            change.set_state(id, RemovalState::Restored, Some(now))?;
        } else if folder.is_none() {
            change.set_state(id, RemovalState::Purged, Some(now))?;
        } else if folder.map_or(Ok(false), TrashFolder::is_purging)? {
            change.set_state(id, RemovalState::Purging, None)?;
        }
        Ok(())
    }

    /// Enters a removal that the catalog does not know, as its manifest says.
    fn enter(
        &self,
        catalog: &Catalog,
        change: &Change<'_>,
        id: &RemovalId,
        folder: &TrashFolder,
    ) -> Result<Entered, Error> {
        if folder.items()?.is_empty() && !folder.is_purging()? {
            return Ok(Entered::Empty);
        }
        let text = folder.manifest_text()?;
        let Some(taken) = text.as_deref().and_then(manifest::read) else {
            return Ok(Entered::No("its manifest cannot be read".to_owned()));
        };
        // All of it is looked at before anything is entered: a manifest is input.
        let mut entries = Vec::new();
        for item in &taken.items {
            let below = format!("{}/", item.path);
            if let Err(error) = removal::place_of(&item.path) {
                return Ok(Entered::No(error.to_string()));
            }
            for row in taken
                .artifacts
                .iter()
                .filter(|row| row.item == Some(item.item))
            {
                let was = row.artifact(catalog);
                let path = was.location().path();
                if path != item.path && !path.starts_with(&below) {
                    return Ok(Entered::No(format!("{path} does not lie in {}", item.path)));
                }
                entries.push((item.item, was));
            }
        }
        let is_purging = folder.is_purging()?;
        let state = match is_purging {
            true => RemovalState::Purging,
            false => RemovalState::Kept,
        };
        let open = OpenRemoval {
            state,
            purge_after: None,
        };
        let (at, actor, reason) = (taken.removed_at, &taken.actor, taken.reason.as_deref());
        change.begin_removal(id, at, actor, reason, &open)?;
        for item in &taken.items {
            // Of an interrupted removal some were never moved; an unlinked one is gone.
            if !is_purging && folder.identify(item.item, item.form)?.is_none() {
                continue;
            }
            change.note_move(id, item.item, &item.path)?;
            for (_, was) in entries.iter().filter(|(number, _)| *number == item.item) {
                let row = change.take_in(was, self.clock.now())?;
                change.remove(id, row.id, Some(item.item))?;
            }
        }
        Ok(Entered::Yes)
    }

    /// Brings the rows up to what the disk has.
    fn compare(&self, catalog: &Catalog, report: &mut RebuildReport) -> Result<(), Error> {
        let everything = Filter {
            kinds: Kind::ALL.to_vec(),
            ..Filter::default()
        };
        let options = RefreshOptions {
            all: true,
            measure: self.options.scan.walk.measure,
        };
        let now = self.clock.now();
        let refreshed =
            refresh::refresh(catalog, self.base, &everything, options, now, self.monitor)?;
        let mut scan = self.options.scan.clone();
        if scan.kinds.is_empty() && self.has_checkpoints(catalog)? {
            scan.kinds = Kind::ALL.to_vec();
        }
        report.scan = scan::scan(catalog, self.base, self.clock, &scan, self.monitor)?;
        report.scan.findings.extend(refreshed.findings);
        catalog.list(&everything, Selected::All, |artifact| {
            report.artifacts += 1;
            report.present += u64::from(artifact.state == State::Present);
            report.missing += u64::from(artifact.state == State::Missing);
            Ok::<_, Error>(std::ops::ControlFlow::Continue(()))
        })?;
        Ok(())
    }

    fn has_checkpoints(&self, catalog: &Catalog) -> Result<bool, Error> {
        let filter = Filter {
            kinds: vec![Kind::Checkpoint],
            ..Filter::default()
        };
        let mut has = false;
        catalog.list(&filter, Selected::All, |_| {
            has = true;
            Ok::<_, Error>(std::ops::ControlFlow::Break(()))
        })?;
        Ok(has)
    }
}

enum Entered {
    Yes,
    Empty,
    No(String),
}
