//! Rebuild: makes a new catalog for a base directory whose catalog is damaged or gone.
//!
//! Entry: [`Options::rebuild`](crate::Options::rebuild). The new catalog is made beside the old one
//! and replaces it when it is complete:
//!
//! 1. start with the newest sound backup, or with the published copy if that is newer, or with an
//!    empty catalog; a backup that is dated in the future is taken only if no other is sound. If only
//!    the header of the old catalog was overwritten, start with a copy of it and its log, which lacks
//!    nothing (see `catalog::mend_header`)
//! 2. read the trash: enter removals that are newer than the backup, from their manifests; record
//!    which removals were restored or purged since
//! 3. recover, as every open for writing does
//! 4. take from the damaged catalog what can be read of it and the new one lacks (see
//!    [`rebuild_salvage`](super::rebuild_salvage))
//! 5. read the disk: compare every row with it, and adopt what has no row
//! 6. keep a published copy that has operations which the new catalog lacks under a second name,
//!    because the next one replaces it
//! 7. rename the old files, then rename the new catalog into place
//!
//! # What the trash shows
//! A folder in the trash that the backup does not know is a removal that was made after it, or one
//! that a crash interrupted before its commit; only the lost catalog could distinguish them. So it
//! is entered as kept, and everything in it can be restored. If its unlinking has begun, it was
//! committed, because nothing is unlinked before the commit: the purge goes on. What is at an old
//! path then counts as restored only if it has the time of what was taken: otherwise that was
//! unlinked, and something else was written since. If the thing that a manifest names is at its old
//! path, by its inode, it was never moved or was restored: it gets the row that the manifest has. A
//! manifest is input: one that is inconsistent is reported, and none of it is entered or moved.
//!
//! An item that the backup has as kept leaves its folder only by a restore, until its unlinking
//! begins. So an item that is absent was restored, and its row comes back as it was if something is
//! at its path. If the whole folder is gone, it was restored or unlinked, and whatever is at an old
//! path counts as restored. That may be data that was written later: then the row has the old
//! number and pins, and the comparison with the disk clears its size and its seal.
//!
//! # After a crash
//! Until 7 the old catalog is at its path; then there is no catalog for a moment. The next rebuild
//! starts over and finds done what 2 and 3 did to the trash. See `catalog::replace`.
//!
//! Locks: the turn to write of the old catalog, from the start to the end.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::catalog::backup::{self, Backup, Held};
use crate::catalog::{
    self, Catalog, CatalogError, CatalogOptions, Durability, PUBLISHED_FILE, Pieces, PiecesRead,
    Replacing, Salvaged, Selected,
};
use crate::error::Error;
use crate::model::actor::Agent;
use crate::model::artifact::State;
use crate::model::causes::with_causes;
use crate::model::clock::{Clock, Timestamp};
use crate::model::detail::{BackupUsed, CatalogRebuilt, Detail};
use crate::model::filter::Filter;
use crate::model::key::Kind;
use crate::model::operation::{Action, NewOperation};
use crate::model::progress::{Monitor, Phase};
use crate::model::removal::RemovalId;
use crate::ops::rebuild_salvage::Salvage;
use crate::ops::rebuild_start::{PublishedCopy, Start, check, is_its_own, mended};
use crate::ops::rebuild_trash::TrashReading;
use crate::ops::recover;
use crate::ops::refresh::{self, RefreshOptions};
use crate::ops::scan::{self, ScanOptions, ScanReport};
use crate::store::Base;

pub use crate::ops::rebuild_salvage::RebuildSalvage;
pub use crate::ops::rebuild_start::RefusedBackup;

/// Where the rows of a rebuild come from, before the scan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum RebuildFrom {
    /// The damaged catalog itself if only its header is damaged; else the newest sound backup that
    /// is not dated in the future, or else the newest sound one; the published copy if it has
    /// operations that this backup lacks. Without any, the disk alone. What can be read of a
    /// damaged catalog is added to it.
    #[default]
    Newest,
    /// The backup or published copy in this file, which must be sound and of this registry.
    Backup(PathBuf),
    /// The disk alone: pins, scores and history are lost.
    Disk,
}

/// How to rebuild.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RebuildOptions {
    /// Where the rows come from, before the scan.
    pub from: RebuildFrom,
    /// Rebuild even if the catalog is sound.
    pub force: bool,
    /// What the scan adopts; checkpoints also if the backup has some.
    pub scan: ScanOptions,
}

impl RebuildOptions {
    /// Sets where the rows come from, before the scan.
    #[must_use]
    pub fn from(mut self, from: RebuildFrom) -> Self {
        self.from = from;
        self
    }

    /// Sets whether to rebuild even if the catalog is sound.
    #[must_use]
    pub fn force(mut self, force: bool) -> Self {
        self.force = force;
        self
    }

    /// Sets what the scan adopts.
    #[must_use]
    pub fn scan(mut self, scan: ScanOptions) -> Self {
        self.scan = scan;
        self
    }
}

/// What a rebuild did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RebuildReport {
    /// The catalog file.
    pub catalog: PathBuf,
    /// What was wrong with the old one.
    pub cause: String,
    /// New path of the old catalog; `None` if there was no catalog.
    pub set_aside: Option<PathBuf>,
    /// The backup or published copy that it started with, and when that was made; the old catalog,
    /// with its last change, if only its header was damaged; `None` for the disk alone.
    pub backup: Option<Backup>,
    /// New path of the published copy, if it had operations that the new catalog lacks, or could
    /// not be read.
    pub copy_set_aside: Option<PathBuf>,
    /// Newer backups that are not sound, or their folder if it may not be read, a published copy
    /// that is not to be used, and the old catalog if nothing of it can be read.
    pub refused: Vec<RefusedBackup>,
    /// What was read of the old catalog beside the backup; `None` if nothing was, or if it lacks
    /// nothing.
    pub salvaged: Option<RebuildSalvage>,
    /// Removals in the trash that the backup did not know: kept and restorable, or, if their purge
    /// had begun, being purged or purged.
    pub removals: Vec<RemovalId>,
    /// Removals that a crash had interrupted and whose data is back at its path.
    pub undone: Vec<RemovalId>,
    /// Removals whose purge had begun, and is done.
    pub purged: Vec<RemovalId>,
    /// What could not be settled, as text.
    pub problems: Vec<String>,
    /// Artifacts of the new catalog.
    pub artifacts: u64,
    /// Artifacts of the new catalog whose data is on disk.
    pub present: u64,
    /// Artifacts that the backup had and whose data is gone from the disk.
    pub missing: u64,
    /// What the scan found.
    pub scan: ScanReport,
}

/// Context of a rebuild.
pub(crate) struct Rebuilding<'a> {
    pub(crate) base: &'a Base,
    /// The catalog file.
    pub(crate) path: &'a Path,
    /// Folder of the backups.
    pub(crate) backups: &'a Path,
    /// The registry's folder.
    pub(crate) dir: &'a Path,
    /// Id that the registry must have, if it is known.
    pub(crate) registry: Option<&'a str>,
    /// Whether the catalog is outside the registry's folder.
    pub(crate) is_elsewhere: bool,
    /// Kind of the network file system that the catalog is on.
    pub(crate) network: Option<&'static str>,
    /// How long it waits for a process that makes a backup.
    pub(crate) lock_timeout: Duration,
    pub(crate) agent: Agent,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) options: &'a RebuildOptions,
    pub(crate) monitor: &'a dyn Monitor,
}

/// Whether this user may not read something.
fn is_closed(error: &Error) -> bool {
    let denied = std::io::ErrorKind::PermissionDenied;
    matches!(error, Error::Catalog(CatalogError::Io { source, .. }) if source.kind() == denied)
}

impl Rebuilding<'_> {
    /// Rebuilds, with the turn to write in hand.
    ///
    /// # Errors
    /// [`CatalogError::Sound`] if there is nothing to rebuild; any other [`Error`] if the new
    /// catalog cannot be made. The old one is then still at its path.
    pub(crate) fn rebuild(&self, replacing: Replacing) -> Result<RebuildReport, Error> {
        // Even a damaged catalog mostly says which registry it is.
        let known = catalog::registry_of(self.path);
        if let (Some(expected), Some(found)) = (self.registry, &known)
            && expected != found
        {
            // It belongs to another base directory, which still needs it.
            return Err(CatalogError::Mismatch {
                path: self.path.to_owned(),
                expected: expected.to_owned(),
                found: found.clone(),
            }
            .into());
        }
        self.monitor.begin(Phase::Check, None);
        let found = catalog::damage_of(self.path, self.base.path());
        self.monitor.end();
        // SQLite reads a log up to the damage, and takes it for whole.
        let is_torn = matches!(found, Ok(None)) && catalog::has_torn_log(self.path);
        let found = match is_torn {
            true => Ok(Some(
                "its log is, and has changes behind the damage".to_owned(),
            )),
            false => found,
        };
        let is_damaged = match &found {
            Ok(found) => found.is_some(),
            Err(error) => error.is_damage(),
        };
        let cause = match found {
            // Another program may use a folder that is not the registry's own.
            Err(error @ CatalogError::Foreign { .. }) if self.is_elsewhere => {
                return Err(error.into());
            }
            Err(error) if error.is_damage() => with_causes(&error),
            // Above all a sector that cannot be read. It may be a passing fault of the disk, so
            // only `force` takes it for damage.
            Err(error) if self.options.force && error.is_unreadable() => with_causes(&error),
            Err(error) => return Err(error.into()),
            Ok(Some(cause)) => format!("the catalog {} is damaged: {cause}", self.path.display()),
            Ok(None) if self.options.force => "it was asked for, though it is sound".to_owned(),
            Ok(None) => {
                let path = self.path.to_owned();
                return Err(CatalogError::Sound { path }.into());
            }
        };
        let mut refused = Vec::new();
        self.monitor.begin(Phase::Check, None);
        let copy = self.salvage(&replacing, known.as_deref())?;
        let id = self.registry.or(known.as_deref());
        let may_mend = is_damaged && matches!(self.options.from, RebuildFrom::Newest);
        let mend = |backup: Option<&Start>, refused: &mut Vec<RefusedBackup>| match may_mend {
            true => mended(self.path, self.base.path(), id, backup, refused),
            false => Ok(None),
        };
        // First without a backup: the catalog itself lacks nothing, and needs none.
        let mut mended = mend(None, &mut Vec::new())?;
        let (held, mut backup) = match self.backup(known.as_deref(), &copy, &mut refused) {
            Err(error) if mended.is_some() && is_closed(&error) => {
                refused.push(RefusedBackup {
                    path: self.backups.to_owned(),
                    reason: with_causes(&error),
                });
                (None, None)
            }
            found => found?,
        };
        if mended.is_none() {
            mended = mend(backup.as_ref(), &mut refused)?;
        }
        // By name, so that the copy stays until it is copied.
        if let Some((start, _copy)) = &mended {
            let is_newer = |backup: &Start| backup.is_newer_than(start, self.clock.now());
            if !backup.as_ref().map_or(Ok(false), is_newer)? {
                backup = Some(start.clone());
            }
        }
        let loses_copy = copy.is_lost_by(backup.as_ref())?;
        // SQLite's log needs memory that all processes share, as only a local file system has.
        let wal = self.network.is_none();
        let may_read = may_mend && mended.is_none();
        let mut pieces = None;
        match &backup {
            Some(start) => {
                replacing.stage_copy(&start.file, wal)?;
                // Not to mix two registries: an id that cannot be read is none of this one.
                let id = catalog::registry_of(replacing.staging());
                if may_read && id.is_some() {
                    pieces = self.pieces(id.as_deref(), Some(&start.file), &mut refused)?;
                }
                // Backups have the permissions of the catalog, and the published copy its own.
                if start.file != start.backup.path {
                    replacing.take_permissions()?;
                }
            }
            None => {
                // The id stays if anything still knows it: configuration and saved plans name it.
                let new = || uuid::Uuid::new_v4().to_string();
                let mut registry = self.registry.map(str::to_owned).or(known);
                if may_read {
                    pieces = self.pieces(registry.as_deref(), None, &mut refused)?;
                    registry = registry.or_else(|| Some(pieces.as_ref()?.registry.clone()));
                }
                let now = self.clock.now();
                replacing.stage_new(&registry.unwrap_or_else(new), now, wal)?;
            }
        }
        self.monitor.end();
        // The backup is copied: others may make new ones and drop it.
        drop((held, mended));
        let options = CatalogOptions {
            // No process reads it before it is installed, and installing syncs the whole file.
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
            backup: backup.map(|start| start.backup),
            copy_set_aside: None,
            refused,
            salvaged: None,
            removals: Vec::new(),
            undone: Vec::new(),
            purged: Vec::new(),
            problems: Vec::new(),
            artifacts: 0,
            present: 0,
            missing: 0,
            scan: ScanReport::default(),
        };
        // Before recovery, which takes removals that the catalog does not know for interrupted ones
        // and puts their data back.
        let reading = TrashReading {
            base: self.base,
            clock: self.clock,
            catalog: &catalog,
        };
        let read = reading.settle()?;
        report.removals = read.removals;
        report.problems = read.problems;
        let now = self.clock.now();
        let recovery = recover::recover(&catalog, self.base, now, Some("rebuild"))?;
        report.undone = recovery.undone;
        report.purged = recovery.purged;
        // Recovery reports the folders that were just left alone once more.
        let left_alone = read.left_alone;
        let is_new = |problem: &String| !left_alone.iter().any(|id| problem.contains(id.as_str()));
        report
            .problems
            .extend(recovery.problems.into_iter().filter(is_new));
        if let Some(pieces) = pieces {
            let salvage = Salvage {
                base: self.base,
                clock: self.clock,
                catalog: &catalog,
                monitor: self.monitor,
            };
            report.salvaged = Some(salvage.take(&pieces)?);
        }
        // After recovery, because that may have put data back.
        self.compare(&catalog, &mut report)?;
        catalog.change(self.new_operation(), |change| {
            change.add_detail(Detail::CatalogRebuilt(CatalogRebuilt {
                cause: report.cause.clone(),
                backup: report.backup.as_ref().map(|backup| BackupUsed {
                    path: backup.path.display().to_string(),
                    at: backup.at,
                    is_old_catalog: backup.path == self.path,
                }),
                adopted: report.scan.adopted,
                removals: report.removals.clone(),
            }));
            Ok::<_, Error>(())
        })?;
        // Its log has to be folded in before the file is renamed without it.
        drop(catalog);
        if loses_copy && self.is_elsewhere {
            report.copy_set_aside = catalog::keep_published(self.dir, self.clock.now())?;
        }
        report.set_aside = replacing.install(self.clock.now())?;
        Ok(report)
    }

    fn new_operation(&self) -> NewOperation<'static> {
        NewOperation::new(Action::Rebuild, self.clock.now())
    }

    /// What can be read of the damaged catalog, if it is of this registry, or of any if that is not
    /// known. If nothing can, that is added to `refused`.
    fn pieces(
        &self,
        registry: Option<&str>,
        backup: Option<&Path>,
        refused: &mut Vec<RefusedBackup>,
    ) -> Result<Option<PiecesRead>, Error> {
        let is_of_catalog = |refused: &RefusedBackup| refused.path == self.path;
        let is_in_base = !self.is_elsewhere;
        match catalog::read_pieces(self.path, registry, is_in_base, backup, self.monitor)? {
            Pieces::Read(pieces) => {
                // What mending alone could not do with it.
                refused.retain(|refused| !is_of_catalog(refused));
                Ok(Some(pieces))
            }
            Pieces::Nothing => Ok(None),
            Pieces::Refused(reason) => {
                if !refused.iter().any(is_of_catalog) {
                    let path = self.path.to_owned();
                    refused.push(RefusedBackup { path, reason });
                }
                Ok(None)
            }
        }
    }

    /// The published copy, whatever the rebuild begins with: it may have to be kept.
    fn salvage(&self, replacing: &Replacing, known: Option<&str>) -> Result<PublishedCopy, Error> {
        let file = replacing.salvaged();
        let path = self.dir.join(PUBLISHED_FILE);
        let at = match catalog::salvage_published(self.dir, &file)? {
            Salvaged::Missing => return Ok(PublishedCopy::Missing),
            Salvaged::Refused(reason) => {
                return Ok(PublishedCopy::Refused(RefusedBackup { path, reason }));
            }
            Salvaged::Copied(at) => at,
        };
        match check(&file, self.registry.or(known)) {
            Ok(last) => Ok(PublishedCopy::Sound(Start {
                backup: Backup {
                    path,
                    // One of an older version is as old as its last operation, at most.
                    at: at.or(last.map(|last| last.at)).unwrap_or_default(),
                },
                file,
                last,
            })),
            Err(error) => {
                // The private copy is gone when this is read.
                let reason = with_causes(&error)
                    .replace(&file.display().to_string(), &path.display().to_string());
                Ok(PublishedCopy::Refused(RefusedBackup { path, reason }))
            }
        }
    }

    /// The backup or copy to begin with, and the lock of the backups.
    fn backup(
        &self,
        known: Option<&str>,
        copy: &PublishedCopy,
        refused: &mut Vec<RefusedBackup>,
    ) -> Result<(Option<Held>, Option<Start>), Error> {
        // A removal that began before may make a backup just now, and let one go for it.
        let held = match self.options.from {
            RebuildFrom::Disk => None,
            _ => backup::hold(self.backups, self.path, self.lock_timeout, self.clock.now())?,
        };
        let backup = self.choose_backup(known, copy, refused)?;
        Ok((held, backup))
    }

    /// The backup or copy to begin with.
    fn choose_backup(
        &self,
        known: Option<&str>,
        copy: &PublishedCopy,
        refused: &mut Vec<RefusedBackup>,
    ) -> Result<Option<Start>, Error> {
        match &self.options.from {
            RebuildFrom::Disk => Ok(None),
            RebuildFrom::Backup(path) => {
                // It is read as it is, without its log.
                if catalog::has_log(path) {
                    return Err(CatalogError::NotABackup { path: path.clone() }.into());
                }
                // It may be from anywhere, so what is left of the old catalog has a say too.
                let last = check(path, self.registry.or(known))?;
                // If its name does not say when it was made, it is as old as its last change.
                let list = |folder| backup::list(folder, self.clock.now());
                let listed = path.parent().map(list).transpose()?;
                let listed = listed.into_iter().flatten();
                let mut named = listed.filter(|backup| backup.path == *path);
                let path = path.clone();
                let at = last.map_or(Timestamp(0), |last| last.at);
                let backup = named.next().unwrap_or(Backup { path, at });
                Ok(Some(Start::of(backup, last)))
            }
            RebuildFrom::Newest => {
                let newest = self.newest_backup(refused)?;
                match (newest, copy) {
                    (Some(newest), PublishedCopy::Sound(copy)) => {
                        let is_newer = copy.is_newer_than(&newest, self.clock.now())?;
                        Ok(Some(if is_newer { copy.clone() } else { newest }))
                    }
                    (None, PublishedCopy::Sound(copy)) => Ok(Some(copy.clone())),
                    (newest, PublishedCopy::Missing) => Ok(newest),
                    (newest, PublishedCopy::Refused(copy)) => {
                        refused.push(copy.clone());
                        Ok(newest)
                    }
                }
            }
        }
    }

    /// The newest sound backup.
    fn newest_backup(&self, refused: &mut Vec<RefusedBackup>) -> Result<Option<Start>, Error> {
        for backup in backup::list(self.backups, self.clock.now())? {
            match check(&backup.path, self.registry) {
                Ok(last) => return Ok(Some(Start::of(backup, last))),
                Err(error) if is_its_own(&error) => refused.push(RefusedBackup {
                    path: backup.path,
                    reason: with_causes(&error),
                }),
                // It may be sound, and an older one would lose what only it knows.
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    /// Brings the rows up to what the disk has.
    fn compare(&self, catalog: &Catalog, report: &mut RebuildReport) -> Result<(), Error> {
        let everything = Filter {
            kinds: Kind::ALL.to_vec(),
            ..Filter::default()
        };
        let options = RefreshOptions {
            // A backup may be old: rows that it has as present are looked at too.
            all: true,
            measure: self.options.scan.measure,
            ..RefreshOptions::default()
        };
        let now = self.clock.now();
        let refreshed =
            refresh::refresh(catalog, self.base, &everything, options, now, self.monitor)?;
        let mut scan = self.options.scan.clone();
        // A registry that has checkpoints wants to know the new ones too.
        if scan.kinds.is_empty() && self.has_checkpoints(catalog)? {
            scan.kinds = Kind::ALL.to_vec();
        }
        report.scan = scan::scan(catalog, self.base, self.clock, &scan, self.monitor)?;
        report.scan.notices.extend(refreshed.notices);
        catalog.list(&everything, now, Selected::All, |artifact| {
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
        catalog.list(&filter, self.clock.now(), Selected::All, |_| {
            has = true;
            Ok::<_, Error>(std::ops::ControlFlow::Break(()))
        })?;
        Ok(has)
    }
}
