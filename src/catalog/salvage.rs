//! What a rebuild takes besides a backup: the published copy of a lost catalog, and what can be
//! read of a damaged one.
//!
//! # The published copy
//! It may be newer than every backup. A rebuild begins with it if it is, and never lets the new
//! catalog's copy replace the only file that has an operation: that one gets a second name first.
//!
//! Any user who may write in `.dalsegno` may put another file in the place of the copy. So it
//! counts only if its owner is oneself, root or the owner of `.dalsegno`, and no other user may
//! write it. What is checked and copied is a private copy of the file that was opened for this,
//! so an exchange of names in between changes nothing.
//!
//! # The damaged catalog
//! What [`read_pieces`](super::read_pieces) read of it is opened as a [`Catalog`] of its own, and
//! is input: a row counts if it reads as a row does, at the path of its key. [`Change`] takes in
//! what the new catalog lacks. It never takes in what was removed since it was recorded.

use std::collections::HashMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::{Row, params};
use rustix::fs::{AtFlags, linkat, renameat};
use rustix::io::Errno;

use super::binding::OTHERS_WRITE;
use super::error::CatalogError;
use super::pins::{ARTIFACTS, BIND_ARTIFACT, BIND_SCOPE, Pinning};
use super::record::Recorder;
use super::removals::Change;
use super::rows::{self, COLUMNS, columns, names};
use super::sqlite::file::Catalog;
use super::sqlite::place::Place;
use super::sqlite::published::{PUBLISHED_FILE, Stamp};
use super::tie::is_trusted;
use crate::disk::{Access, Folder, make_file, open_file};
use crate::model::actor::Actor;
use crate::model::artifact::{Artifact, ArtifactId, Origin};
use crate::model::clock::Timestamp;
use crate::model::detail::{Detail, PinBound};
use crate::model::name::{REGISTRY_DIR, RunName};
use crate::model::pin::{PinName, PinScope};
use crate::model::score::Score;

/// What became of the published copy when it was to be read for a rebuild.
pub enum Salvaged {
    /// There is none.
    Missing,
    /// It is not to be used; why.
    Refused(String),
    /// It was copied as it is, and is to be checked. When the keeper made it, if it says so.
    Copied(Option<Timestamp>),
}

/// Copies the published copy in the folder of a registry to `to`, where nothing is yet.
///
/// # Errors
/// [`CatalogError::Io`] or [`CatalogError::Full`] if `to` cannot be written.
pub fn salvage_published(folder: &Path, to: &Path) -> Result<Salvaged, CatalogError> {
    let path = folder.join(PUBLISHED_FILE);
    let refused =
        |why: &dyn std::fmt::Display| Ok(Salvaged::Refused(format!("{}: {why}", path.display())));
    let opened = Folder::open(folder).and_then(|open| {
        let file = File::from(open_file(&open, PUBLISHED_FILE, Access::Read)?);
        let (found, dir) = (file.metadata()?, folder.metadata()?);
        Ok((file, found, dir))
    });
    let (file, found, dir) = match opened {
        Ok(opened) => opened,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Salvaged::Missing),
        Err(error) => return refused(&error),
    };
    if !is_trusted(found.uid(), &dir) {
        let uid = found.uid();
        return refused(&format!(
            "it belongs to user {uid}, who is neither you nor root nor the owner of \
             {REGISTRY_DIR}"
        ));
    }
    if found.mode() & OTHERS_WRITE != 0 {
        return refused(&"other users may write it");
    }
    let io = |error| CatalogError::io("copying the published copy to", to, error);
    let place = Place::of(to)?;
    let made = make_file(&place, place.name()).map_err(|errno| io(errno.into()))?;
    let at = Stamp::read(&file).map_err(io)?;
    // Without the stamp, which is no part of a catalog.
    let bytes = found.len() - at.map_or(0, |_| Stamp::BYTES);
    std::io::copy(&mut file.take(bytes), &mut File::from(made)).map_err(io)?;
    Ok(Salvaged::Copied(at))
}

/// Gives the published copy a second name, which the next copy does not replace. Returns that name;
/// `None` if there is no copy.
///
/// # Errors
/// [`CatalogError::Io`] if it cannot get one.
pub fn keep_published(folder: &Path, now: Timestamp) -> Result<Option<PathBuf>, CatalogError> {
    let path = folder.join(PUBLISHED_FILE);
    let io = |error: std::io::Error| CatalogError::io("setting aside", &path, error);
    let dir = Folder::open(folder).map_err(io)?;
    let mut name = format!("{PUBLISHED_FILE}.aside-{}", now.compact());
    let mut number = 2;
    while dir.stat(&*name).map_err(io)?.is_some() {
        name = format!("{PUBLISHED_FILE}.aside-{}-{number}", now.compact());
        number += 1;
    }
    // A link and no rename: after a crash, the next rebuild finds the copy at its place.
    let kept = match linkat(&dir, PUBLISHED_FILE, &dir, &*name, AtFlags::empty()) {
        // Not every file system has links, and a folder has none.
        Err(errno) if errno != Errno::NOENT => renameat(&dir, PUBLISHED_FILE, &dir, &*name),
        linked => linked,
    };
    match kept {
        Ok(()) => dir.sync().map_err(io)?,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(io(errno.into())),
    }
    Ok(Some(folder.join(name)))
}

/// Rows that are read at once.
const ROWS: usize = 1000;

// The last column says whether a name is not there, without which the row would be another's.
pub(super) const ROWS_AFTER: &str = concat!(
    "SELECT ",
    columns!(),
    ", (a.dataset_id IS NOT NULL AND dataset.id IS NULL) \
       OR (a.parameters_id IS NOT NULL AND parameters.id IS NULL) \
     FROM artifact AS a LEFT JOIN run ON run.id = a.run_id \
     LEFT JOIN container ON container.id = a.container_id",
    names!(),
    "WHERE a.id > ?1 ORDER BY a.id LIMIT ?2"
);
/// The columns of a listing of scores, its time, whether a name is not there, and its number.
pub(super) const SCORES_AFTER: &str = "SELECT run.name, a.iteration, dataset.name, parameters.text, \
     metric.name, a.value, a.scored_at, (a.dataset_id IS NOT NULL AND dataset.id IS NULL) \
       OR (a.parameters_id IS NOT NULL AND parameters.id IS NULL), a.rowid \
     FROM score AS a LEFT JOIN run ON run.id = a.run_id LEFT JOIN metric ON metric.id = a.metric_id \
     LEFT JOIN dataset ON dataset.id = a.dataset_id \
     LEFT JOIN parameters ON parameters.id = a.parameters_id \
     WHERE a.rowid > ?1 ORDER BY a.rowid LIMIT ?2";
const PINS: &str = "SELECT id, name, reason, pinned_at, user, host, pid FROM pin ORDER BY id";
const SCOPES: &str = "SELECT run.name, s.first, s.last FROM pin_scope AS s \
     LEFT JOIN run ON run.id = s.run_id WHERE s.pin_id = ?1";
/// Bindings of pins that are not there.
const LOOSE: &str = "SELECT (SELECT count(*) FROM pinned WHERE pin_id NOT IN (SELECT id FROM pin)) \
     + (SELECT count(*) FROM pin_scope WHERE pin_id NOT IN (SELECT id FROM pin))";
/// Whether an artifact at a place was removed at a time or later, and not restored.
pub(super) const IS_REMOVED: &str = "SELECT EXISTS (SELECT 1 FROM container \
     CROSS JOIN removed AS d ON d.container_id = container.id \
     CROSS JOIN removal AS r ON r.id = d.removal_id \
     WHERE container.path = ?1 AND d.array = ?2 AND d.restored_at IS NULL AND r.removed_at >= ?3)";
pub(super) const SCORED_AT: &str = "SELECT max(scored_at) FROM score WHERE run_id = ?1 \
     AND metric_id = ?2 AND iteration = ?3 AND ifnull(dataset_id, 0) = ifnull(?4, 0) \
     AND ifnull(parameters_id, 0) = ifnull(?5, 0)";

/// Some rows of a damaged catalog, in the order of their numbers.
pub struct SomeRows<T> {
    /// Those that make sense.
    pub rows: Vec<T>,
    /// How many do not.
    pub damaged: u64,
    /// The number of the last; `None` if there are no more rows.
    pub last: Option<i64>,
}

/// A pin of a damaged catalog, and what it binds.
pub struct FoundPin {
    name: PinName,
    reason: String,
    pinned_at: Timestamp,
    actor: Actor,
    scopes: Vec<(RunName, PinScope)>,
    /// Artifacts that it binds one by one, as the damaged catalog numbers them.
    pub artifacts: Vec<ArtifactId>,
}

/// What became of a row of a damaged catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakenIn {
    /// There was no row at its place, and it is there now.
    New(ArtifactId),
    /// The row at its place lacked its seal or its key, and has them now.
    Updated(ArtifactId),
    /// The row at its place lacked nothing.
    Known(ArtifactId),
    /// It was removed since it was recorded.
    Removed,
}

impl Catalog {
    /// Gives the artifacts of what was read of a damaged catalog, without their pins: some of those
    /// whose number is higher.
    ///
    /// # Errors
    /// [`CatalogError`] if the file cannot be read.
    pub fn rows_after(&self, number: i64) -> Result<SomeRows<Artifact>, CatalogError> {
        self.some_rows(ROWS_AFTER, number, 0, |row| {
            let is_loose: bool = rows::field(row, COLUMNS).unwrap_or(true);
            let read = rows::artifact(&self.path, &self.base, row).ok();
            read.filter(|_| !is_loose)
        })
    }

    /// The same of scores, with their times.
    ///
    /// # Errors
    /// As [`Catalog::rows_after`].
    pub fn scores_after(&self, number: i64) -> Result<SomeRows<(Score, Timestamp)>, CatalogError> {
        self.some_rows(SCORES_AFTER, number, 8, |row| {
            let is_loose: bool = rows::field(row, 7).unwrap_or(true);
            let at = rows::field(row, 6).map(Timestamp).ok()?;
            let score = self.score_of(row).ok()?;
            (!is_loose).then_some((score, at))
        })
    }

    fn some_rows<T>(
        &self,
        query: &str,
        number: i64,
        number_at: usize,
        read: impl Fn(&Row<'_>) -> Option<T>,
    ) -> Result<SomeRows<T>, CatalogError> {
        self.read("reading what is left of a catalog", |connection| {
            let mut some = SomeRows {
                rows: Vec::new(),
                damaged: 0,
                last: None,
            };
            let mut statement = connection.prepare_cached(query)?;
            let mut rows = statement.query(params![number, ROWS])?;
            while let Some(row) = rows.next()? {
                some.last = Some(row.get(number_at)?);
                match read(row) {
                    Some(row) => some.rows.push(row),
                    None => some.damaged += 1,
                }
            }
            Ok(some)
        })
    }

    /// Gives the pins of what was read of a damaged catalog, and how many rows about pins make no
    /// sense.
    ///
    /// # Errors
    /// As [`Catalog::rows_after`].
    pub fn found_pins(&self) -> Result<(Vec<FoundPin>, u64), CatalogError> {
        self.read("reading what is left of a catalog", |connection| {
            let mut damaged = connection.query_row(LOOSE, [], |row| row.get(0))?;
            let mut pins = Vec::new();
            let mut statement = connection.prepare(PINS)?;
            let mut scopes = connection.prepare(SCOPES)?;
            let mut artifacts = connection.prepare(ARTIFACTS)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let read = || -> Result<FoundPin, String> {
                    let name: String = rows::field(row, 1)?;
                    Ok(FoundPin {
                        name: name.parse().map_err(|_| name)?,
                        reason: rows::field(row, 2)?,
                        pinned_at: Timestamp(rows::field(row, 3)?),
                        actor: Actor {
                            user: rows::field(row, 4)?,
                            host: rows::field(row, 5)?,
                            pid: rows::field(row, 6)?,
                        },
                        scopes: Vec::new(),
                        artifacts: Vec::new(),
                    })
                };
                let (Ok(id), Ok(mut pin)) = (row.get::<_, i64>(0), read()) else {
                    damaged += 1;
                    continue;
                };
                let mut found = scopes.query([id])?;
                while let Some(row) = found.next()? {
                    let scope = || -> Result<(RunName, PinScope), String> {
                        let name: String = rows::field(row, 0)?;
                        let run: RunName = name.parse().map_err(|_| name.clone())?;
                        let (first, last) = (rows::field(row, 1)?, rows::field(row, 2)?);
                        let run_of_scope = name;
                        Ok((
                            run,
                            PinScope {
                                run: run_of_scope,
                                first,
                                last,
                            },
                        ))
                    };
                    match scope() {
                        Ok(scope) => pin.scopes.push(scope),
                        Err(_) => damaged += 1,
                    }
                }
                let ids = artifacts.query_map([id], |row| row.get(0).map(ArtifactId))?;
                pin.artifacts = ids.collect::<rusqlite::Result<_>>()?;
                pins.push(pin);
            }
            Ok((pins, damaged))
        })
    }
}

impl Change<'_> {
    /// Takes in a row of a damaged catalog if no row is at its place and it was not removed. A
    /// row that is there gets its seal, if that is newer, and its key, if only a path gave one yet.
    ///
    /// # Errors
    /// [`CatalogError::Full`] if there is no space, [`CatalogError::Damaged`] if the catalog is
    /// damaged, [`CatalogError::Sql`] if it cannot be written otherwise.
    pub fn take_in(&self, found: &Artifact, now: Timestamp) -> Result<TakenIn, CatalogError> {
        let place = found.location();
        if let Some(row) = self.at(&place)? {
            let is_named = row.origin == Origin::Scanned
                && found.origin == Origin::Recorded
                && row.key != found.key;
            if !is_named && found.sealed_at <= row.sealed_at {
                return Ok(TakenIn::Known(row.id));
            }
            return Ok(TakenIn::Updated(self.reinstate_as(found, now)?.id));
        }
        let array = place.array.as_deref().unwrap_or_default();
        let is_removed: bool = self
            .transaction
            .prepare_cached(IS_REMOVED)
            .and_then(|mut statement| {
                let values = params![place.container, array, found.recorded_at.0];
                statement.query_row(values, |row| row.get(0))
            })
            .map_err(|error| self.catalog.sql("taking in a row", error))?;
        match is_removed {
            true => Ok(TakenIn::Removed),
            false => Ok(TakenIn::New(self.reinstate_as(found, now)?.id)),
        }
    }

    /// Takes in a pin of a damaged catalog, or what it binds there and not here. `numbers` are
    /// those that its artifacts have here; others are left out. Says whether anything changed.
    ///
    /// # Errors
    /// As [`Change::take_in`].
    pub fn take_in_pin(
        &self,
        found: &FoundPin,
        numbers: &HashMap<ArtifactId, ArtifactId>,
        now: Timestamp,
    ) -> Result<bool, CatalogError> {
        let on = Pinning::new(self.catalog, self.transaction);
        let known = on.by_name(&found.name)?;
        let here = found.artifacts.iter().filter_map(|id| numbers.get(id));
        let here: Vec<ArtifactId> = here.copied().collect();
        if known.is_none() && here.is_empty() && found.scopes.is_empty() {
            return Ok(false);
        }
        let new = known.is_none();
        let pin = match known {
            Some((pin, _)) => pin,
            None => on.insert(&found.name, &found.reason, found.pinned_at, &found.actor)?,
        };
        let (mut scopes, mut artifacts) = (Vec::new(), Vec::new());
        let mut recorder = Recorder::new(self.journal, now);
        for (run, scope) in &found.scopes {
            let run = recorder.intern(0, run.as_str())?;
            if on.execute(BIND_SCOPE, params![pin, run, scope.first, scope.last])? > 0 {
                scopes.push(scope.clone());
            }
        }
        for id in here {
            if on.execute(BIND_ARTIFACT, params![id.0, pin])? > 0 {
                artifacts.push(id);
            }
        }
        let is_changed = new || !scopes.is_empty() || !artifacts.is_empty();
        if is_changed {
            self.journal.detail(Detail::PinBound(PinBound {
                pin: found.name.clone(),
                new,
                scopes,
                artifacts,
            }));
        }
        Ok(is_changed)
    }

    /// Takes in scores of a damaged catalog, unless one that was noted later has their place. Gives
    /// how many it took.
    ///
    /// # Errors
    /// As [`Change::take_in`].
    pub fn take_in_scores(&self, found: &[(Score, Timestamp)]) -> Result<u64, CatalogError> {
        let mut taken = 0;
        let mut recorder = Recorder::new(self.journal, Timestamp(0));
        for (score, at) in found {
            let [run, metric, dataset, parameters] = recorder.score_columns(score)?;
            let known: Option<i64> = self
                .transaction
                .prepare_cached(SCORED_AT)
                .and_then(|mut statement| {
                    let place = params![run, metric, score.iteration, dataset, parameters];
                    statement.query_row(place, |row| row.get(0))
                })
                .map_err(|error| self.catalog.sql("taking in a score", error))?;
            if known.is_some_and(|known| known >= at.0) {
                continue;
            }
            recorder.now = *at;
            recorder.score(score)?;
            taken += 1;
        }
        Ok(taken)
    }
}
