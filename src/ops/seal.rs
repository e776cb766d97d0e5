//! Seal: records the writer's word that artifacts are whole, with their bytes and files, and with
//! their content hashes if the caller asks for them.
//!
//! A hash reads all data, so everything else that could stop the seal is checked first. Bytes and
//! files are counted after the data was read, and must be equal to what was read: data that was
//! added, removed or rewritten in the meantime stops the seal. The hash is part of the seal and
//! goes with it.
//!
//! Locks: one write transaction at the end, none while looking or reading. A seal that is killed
//! has changed nothing.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::catalog::{Catalog, RegistryDir, Seal};
use crate::error::Error;
use crate::model::array::ChunkSet;
use crate::model::artifact::{Artifact, State};
use crate::model::clock::Timestamp;
use crate::model::content::ContentHash;
use crate::model::key::Key;
use crate::model::layout;
use crate::model::note::SealNote;
use crate::model::observation::{MOST_NAMED, Observation};
use crate::model::operation::{Action, NewOperation};
use crate::model::progress::{Monitor, Phase, Progress, Silent};
use crate::ops::refresh;
use crate::ops::twins::{self, Owners};
use crate::store::{
    self, Base, Event, Hashed, Look, NoticeClass, ReadError, StorageError, WalkOptions,
};

/// How to seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SealOptions {
    /// Read all data and note its [content hash](crate::model::content). Containers are sealed
    /// without: they have none.
    pub hash: bool,
    /// Refuse arrays of which a chunk is missing, or a level if it is a pyramid, or whose chunks
    /// cannot be counted. zarr leaves
    /// out chunks that hold nothing but the fill value, so fewer may be right.
    pub complete: bool,
    /// Number of threads; `None` means a default for the machine.
    pub threads: Option<usize>,
}

impl SealOptions {
    /// Seals without content hashes.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            hash: false,
            complete: false,
            threads: None,
        }
    }

    /// Sets whether to read all data and note its content hash.
    #[must_use]
    pub const fn hash(mut self, hash: bool) -> Self {
        self.hash = hash;
        self
    }

    /// Sets whether to refuse arrays of which a chunk is missing.
    #[must_use]
    pub const fn complete(mut self, complete: bool) -> Self {
        self.complete = complete;
        self
    }

    /// Sets the number of threads; `None` means a default for the machine.
    #[must_use]
    pub const fn threads(mut self, threads: Option<usize>) -> Self {
        self.threads = threads;
        self
    }
}

/// Seals artifacts, and counts their bytes and files.
///
/// # Errors
/// [`Error::NothingWritten`] if one has no data, [`Error::Unreadable`] if something below one
/// cannot be read, [`StorageError::Changed`] if data changed in the meantime;
/// [`Error::ChunksMissing`], [`Error::LevelsMissing`] and [`Error::ChunksUnknown`] if the options
/// ask for complete arrays; [`Error::OfAnotherRun`] if the data of one is, by its time, that of a
/// row of another run or container. No artifact is sealed then.
pub(crate) fn seal(
    catalog: &Catalog,
    base: &Base,
    artifacts: &[Artifact],
    options: SealOptions,
    now: Timestamp,
    monitor: &dyn Monitor,
) -> Result<(), Error> {
    let keys = artifacts.iter().map(|artifact| &artifact.key);
    let mut owners = Owners::new(catalog, base);
    let whole = Sealing::new(base, keys, options, monitor).seen(|sights| {
        let seen = sights.iter();
        let seen = seen.filter_map(|(at, sight)| Some((artifacts.get(*at)?, sight.written_at)));
        match owners.first(seen.collect())? {
            Some((row, owner)) => Err(twins::refusal(row, &owner)),
            None => Ok(()),
        }
    })?;
    let rows: Vec<_> = artifacts
        .iter()
        .zip(whole)
        .map(|(artifact, (sight, content))| {
            let seal = Seal {
                at: now,
                content,
                chunks: sealed_chunks(&sight),
            };
            refresh::observed_row(artifact, Some(sight), Some(seal))
        })
        .collect();
    // In one transaction, so that all of them are sealed or none.
    catalog.observe(NewOperation::new(Action::Seal, now), &rows)?;
    Ok(())
}

/// Looks at the data of keys as [`seal`] does, and returns what a host without the catalog notes of
/// it, in the same order. `user` is the one who leaves the notes, by number.
///
/// # Errors
/// As [`seal`], and [`Error::OfAnotherUser`] if one is of another user: the fold refuses such a note.
pub(crate) fn notes(
    base: &Base,
    keys: &[Key],
    user: u32,
    options: SealOptions,
    monitor: &dyn Monitor,
) -> Result<Vec<SealNote>, Error> {
    let sealing = Sealing::new(base, keys, options, monitor);
    let whole = sealing.seen(|sights| {
        let is_refused = |sight: &Observation| {
            let owner = sight.owner;
            owner.is_some_and(|owner| !takes_word(user, owner))
        };
        let refused = sights.iter().find(|(_, sight)| is_refused(sight));
        match refused.and_then(|(at, _)| keys.get(*at)) {
            Some(key) => Err(Error::OfAnotherUser {
                path: sealing.path(key),
                host: keeper(base),
            }),
            None => Ok(()),
        }
    })?;
    let noted = keys.iter().zip(whole).map(|(key, (sight, content))| {
        let mut note = SealNote::new(
            key.clone(),
            sight.written_at,
            sight.size.unwrap_or_default(),
        );
        note.content_hash = content;
        note
    });
    Ok(noted.collect())
}

/// Refuses a note about data of another user, which the fold would refuse. What is not there, or
/// cannot be looked at, passes.
///
/// # Errors
/// [`Error::OfAnotherUser`]; [`Error::Storage`] if the base directory cannot be read.
pub(crate) fn require_own(base: &Base, key: &Key, user: u32) -> Result<(), Error> {
    let sealing = Sealing::new(base, [key], SealOptions::default(), &Silent);
    let options = WalkOptions {
        threads: 1,
        ..WalkOptions::default()
    };
    let looks = sealing.looks(|_| true);
    store::look_at(base, options, &Silent, looks, |event| match event {
        Event::Looked(_, Some(sight))
            if sight.owner.is_some_and(|owner| !takes_word(user, owner)) =>
        {
            Err(Error::OfAnotherUser {
                path: sealing.path(key),
                host: keeper(base),
            })
        }
        _ => Ok(()),
    })
}

/// The host that has the catalog, as the base directory remembers it.
fn keeper(base: &Base) -> Option<String> {
    let folder = RegistryDir::find(base.path()).ok()?;
    folder.host().map(str::to_owned)
}

/// Whether the word of a user is taken from the inbox about data of this owner.
pub(crate) fn takes_word(user: u32, owner: u32) -> bool {
    // Root may write any data, so its word is taken about all of it.
    user == 0 || user == owner
}

/// The chunks that are there, if some are not.
fn sealed_chunks(sight: &Observation) -> Option<ChunkSet> {
    let total = sight.metadata.as_ref()?.grid()?.total();
    let are_all = sight.chunks == Some(total);
    sight.chunk_set.clone().filter(|_| !are_all)
}

/// Refuses an array of which a chunk or a level is missing, or may be.
fn require_complete(path: PathBuf, sight: &Observation) -> Result<(), Error> {
    let metadata = sight.metadata.as_ref();
    let grid = metadata.and_then(|metadata| metadata.grid());
    if let Some(missing) = metadata.and_then(|metadata| metadata.missing_levels()) {
        return Err(Error::LevelsMissing { path, missing });
    }
    let (Some(grid), Some(there)) = (grid, sight.chunks) else {
        return Err(Error::ChunksUnknown { path });
    };
    if there == grid.total() {
        return Ok(());
    }
    let missing = match &sight.chunk_set {
        Some(set) => grid.missing(&set.lacks(None, grid.total(), MOST_NAMED)),
        None => "too many are missing to name them".to_owned(),
    };
    Err(Error::ChunksMissing {
        path,
        there,
        expected: grid.total(),
        missing,
    })
}

/// Removes the seals of present rows. Returns the number of rows that changed.
///
/// # Errors
/// [`Error`] if the catalog cannot be written; no row is unsealed then.
pub(crate) fn unseal(
    catalog: &Catalog,
    artifacts: &[Artifact],
    now: Timestamp,
) -> Result<u64, Error> {
    let sealed: Vec<_> = artifacts
        .iter()
        .filter(|artifact| artifact.sealed_at.is_some())
        .collect();
    // Do not wait for the write lock if there is nothing to change.
    if sealed.is_empty() {
        return Ok(0);
    }
    let operation = NewOperation {
        reason: Some("to be written again"),
        ..NewOperation::new(Action::Seal, now)
    };
    catalog.record(operation, |recorder| {
        let mut changed = 0;
        for artifact in sealed {
            // Read again under the lock: the caller's copy may be old.
            let row = recorder.artifact(artifact.id)?;
            let Some(row) = row.filter(|row| row.state == State::Present) else {
                continue;
            };
            // Nothing was looked at: what the row says of the data stays, without the seal.
            let seen = row
                .written_at
                .map(|written_at| Observation::new(written_at).size(row.size).owner(row.owner));
            changed += u64::from(recorder.observe_changed(&row, seen.as_ref())?);
        }
        Ok(changed)
    })
}

struct Sealing<'a> {
    base: &'a Base,
    /// What is sealed; its place in the list is its number.
    keys: Vec<&'a Key>,
    options: SealOptions,
    monitor: &'a dyn Monitor,
}

impl<'a> Sealing<'a> {
    fn new(
        base: &'a Base,
        keys: impl IntoIterator<Item = &'a Key>,
        options: SealOptions,
        monitor: &'a dyn Monitor,
    ) -> Self {
        Self {
            base,
            keys: keys.into_iter().collect(),
            options,
            monitor,
        }
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.base.path().join(layout::locate(key).path())
    }

    /// What the data of each is, and its content hash if the options ask for one. `check` is given
    /// the numbers of all and what was seen, before anything is read.
    fn seen(
        &self,
        mut check: impl FnMut(&[(usize, &Observation)]) -> Result<(), Error>,
    ) -> Result<Vec<(Observation, Option<ContentHash>)>, Error> {
        let mut check_all = |sights: &HashMap<i64, Observation>| {
            let numbered = (0..).zip(0..self.keys.len());
            let seen = numbered.filter_map(|(id, at)| Some((at, sights.get(&id)?)));
            check(&seen.collect::<Vec<_>>())
        };
        // Look, read, look again: sizes and times that are equal before and after show that the
        // data did not change while it was read.
        let (before, contents) = match self.options.hash {
            // The first look needs times alone; sizes are compared with what was read.
            true => {
                let before = self.look(false, &Silent)?;
                check_all(&before)?;
                (before, self.read()?)
            }
            false => Default::default(),
        };
        self.monitor
            .begin(Phase::Measure, Some(self.keys.len() as u64));
        let mut sights = self.look(true, self.monitor)?;
        self.monitor.end();
        check_all(&sights)?;
        let mut seen = Vec::with_capacity(self.keys.len());
        for (number, key) in (0..).zip(&self.keys) {
            let path = self.path(key);
            // One without data has ended the call already.
            let Some(sight) = sights.remove(&number) else {
                return Err(Error::NothingWritten { path });
            };
            let kind = key.kind();
            if self.options.complete && !kind.is_container() && !kind.is_file() {
                require_complete(path.clone(), &sight)?;
            }
            let content = contents.get(&number);
            let is_as_read = content.is_none_or(|content| {
                let before = before.get(&number).map(|before| before.written_at);
                sight.size == Some(content.size) && before == Some(sight.written_at)
            });
            if !is_as_read {
                return Err(StorageError::Changed { path }.into());
            }
            seen.push((sight, content.map(|content| content.hash)));
        }
        Ok(seen)
    }

    /// What to look at of those that `wanted` lets pass.
    fn looks(&self, wanted: impl Fn(&Key) -> bool) -> Vec<Look> {
        let keys = (0..).zip(&self.keys).filter(|(_, key)| wanted(key));
        keys.map(|(id, key)| Look {
            id,
            path: layout::locate(key).path().into(),
            expected: refresh::subject(key.kind()),
        })
        .collect()
    }

    /// Looks at all of them, by number. One without data, or that cannot be read, is an error.
    fn look(
        &self,
        measure: bool,
        monitor: &dyn Monitor,
    ) -> Result<HashMap<i64, Observation>, Error> {
        let defaults = WalkOptions::default();
        let options = WalkOptions {
            measure,
            places: measure,
            threads: self.options.threads.unwrap_or(defaults.threads),
            ..defaults
        };
        let mut sights = HashMap::new();
        let looks = self.looks(|_| true);
        store::look_at(self.base, options, monitor, looks, |event| {
            match event {
                Event::Looked(id, Some(sight)) => drop(sights.insert(id, sight)),
                Event::Looked(id, None) => {
                    let key = usize::try_from(id).ok().and_then(|at| self.keys.get(at));
                    let path = key.map(|key| self.path(key)).unwrap_or_default();
                    return Err(Error::NothingWritten { path });
                }
                Event::Notice(finding) => {
                    let path = self.base.path().join(&finding.path);
                    if finding.class == NoticeClass::DamagedMetadata {
                        let detail = finding.detail;
                        return Err(StorageError::DamagedMetadata { path, detail }.into());
                    }
                    return Err(Error::Unreadable {
                        path,
                        detail: finding.detail,
                    });
                }
                Event::Found(..) => {}
            }
            Ok(())
        })?;
        Ok(sights)
    }

    /// Reads the data of those that have a content hash, by number.
    fn read(&self) -> Result<HashMap<i64, Hashed>, Error> {
        // A container has no data of its own; each array in it has a hash.
        let looks = self.looks(|key| !key.kind().is_container());
        let mut contents = HashMap::new();
        self.monitor.begin(Phase::Read, Some(looks.len() as u64));
        let threads = self.options.threads;
        store::hash(self.base, threads, self.monitor, looks, |id, content| {
            let content = content.map_err(|error| match error {
                ReadError::Changed(path) => Error::from(StorageError::Changed {
                    path: self.base.path().join(path),
                }),
                ReadError::Unreadable(path, detail) => Error::Unreadable {
                    path: self.base.path().join(path),
                    detail,
                },
            })?;
            self.monitor.advance(Progress {
                items: 1,
                ..Progress::default()
            });
            contents.insert(id, content);
            Ok::<_, Error>(())
        })?;
        self.monitor.end();
        Ok(contents)
    }
}
