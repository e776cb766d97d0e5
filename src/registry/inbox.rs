//! Leaving notes in the inbox, without a catalog.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Registry, Target, agent};
use crate::error::{Error, Result};
use crate::model::actor::Agent;
use crate::model::clock::{Clock, SystemClock, Timestamp};
use crate::model::key::Key;
use crate::model::layout;
use crate::model::note::{Note, NoteLine, SealNote};
use crate::model::progress::Monitor;
use crate::ops::inbox::{self, InboxState};
use crate::ops::seal::{self, SealOptions};
#[cfg(feature = "cli")]
use crate::ops::seal_places;
use crate::ops::target;
use crate::store::{Base, InboxWriter, MOST_AT_ONCE};

#[cfg(feature = "cli")]
impl Registry {
    /// Returns what is in the inbox: notes that wait, notes that could not be folded, and files that
    /// were changed after they were folded. Changes nothing.
    ///
    /// # Errors
    /// [`Error::Storage`](crate::Error::Storage) if the inbox is not a folder, or cannot be read;
    /// [`Error::Catalog`](crate::Error::Catalog) if the catalog cannot be read.
    pub(crate) fn inbox(&self) -> Result<InboxState> {
        inbox::state(&self.base, Some(&self.catalog))
    }
}

/// Leaves notes in the inbox of a base directory: what a process wants to record, seal or score
/// while it cannot write the catalog. The next command that opens the registry for writing folds
/// them into it. Needs the folder `.dalsegno`, and neither opens nor makes a catalog.
#[derive(Debug)]
pub struct Inbox {
    base: Base,
    writer: Mutex<NoteWriter>,
}

/// Who leaves notes, and where.
#[derive(Debug)]
struct NoteWriter {
    agent: Agent,
    writer: InboxWriter,
}

impl NoteWriter {
    fn new() -> Self {
        let agent = agent::agent();
        let writer = InboxWriter::new(&agent.actor.host, agent.actor.pid);
        Self { agent, writer }
    }
}

impl Inbox {
    /// Opens the inbox of a base directory. Nothing is made before the first note.
    ///
    /// # Errors
    /// [`Error::Storage`](crate::Error::Storage) if the base directory cannot be used.
    pub fn open(base: impl AsRef<Path>) -> Result<Self> {
        Ok(Self {
            base: Base::open(base.as_ref())?,
            writer: Mutex::new(NoteWriter::new()),
        })
    }

    /// The base directory, absolute.
    #[must_use]
    pub fn base(&self) -> &Path {
        self.base.path()
    }

    /// Returns what is in the inbox: notes that wait, and notes that could not be folded. Changes
    /// nothing.
    ///
    /// # Errors
    /// [`Error::Storage`](crate::Error::Storage) if the inbox is not a folder, or cannot be read.
    pub fn state(&self) -> Result<InboxState> {
        inbox::state(&self.base, None)
    }

    /// Leaves a note. It survives a power cut if this succeeds. In a forked child it goes into a
    /// file of the child's own.
    ///
    /// # Errors
    /// [`Error::Storage`](crate::Error::Storage) if there is no folder `.dalsegno`, or the inbox
    /// cannot be written.
    pub fn note(&self, note: Note) -> Result<()> {
        self.note_at(now(), note)
    }

    /// The same, for what was to be written at this time; a time before 1970, or after the year 9999,
    /// becomes the first or the last moment of that range.
    ///
    /// # Errors
    /// As [`Inbox::note`].
    pub fn note_at(&self, at: Timestamp, note: Note) -> Result<()> {
        self.append(known(at), [note])
    }

    /// Leaves many notes, with far fewer writes than one by one. If it fails, the first of them may
    /// have been left.
    ///
    /// # Errors
    /// As [`Inbox::note`].
    pub fn note_many(&self, notes: impl IntoIterator<Item = Note>) -> Result<()> {
        self.append(now(), notes)
    }

    /// Seals data whose catalog is on another host: looks at it as
    /// [`Registry::seal_many`](crate::Registry::seal_many) does, and leaves a note of each key with
    /// what was seen. The command that folds a note refuses it if the data was written since.
    /// Returns what was noted.
    ///
    /// # Errors
    /// As [`Registry::seal_many`](crate::Registry::seal_many), and as [`Inbox::note_many`];
    /// [`Error::OfAnotherUser`](crate::Error::OfAnotherUser) if the data of one is another user's
    /// and this user is not root. If something cannot be sealed, nothing is noted.
    pub fn seal(
        &self,
        keys: &[Key],
        options: SealOptions,
        monitor: &dyn Monitor,
    ) -> Result<Vec<SealNote>> {
        let seals = seal::notes(&self.base, keys, agent::user(), options, monitor)?;
        self.note_many(seals.iter().cloned().map(Note::Seal))?;
        Ok(seals)
    }

    /// Leaves a note that the data of a key is not whole; with `if_written`, only if something is at
    /// its path.
    ///
    /// # Errors
    /// As [`Inbox::note`]; [`Error::OfAnotherUser`](crate::Error::OfAnotherUser) if the data is
    /// another user's and this user is not root: nothing is noted then.
    pub fn fail(&self, key: Key, if_written: bool) -> Result<()> {
        let path = self.base().join(layout::locate(&key).path());
        // What cannot be looked at may be there.
        if if_written && !path.try_exists().unwrap_or(true) {
            return Ok(());
        }
        seal::require_own(&self.base, &key, agent::user())?;
        self.note(Note::Failed(key))
    }

    /// The key of what is, or will be, at a path, absolute or relative to the base directory,
    /// without the catalog: the one that a note in the inbox records there, else the one that the
    /// layout reads from the path.
    ///
    /// # Errors
    /// [`Error::OutsideBase`](crate::Error::OutsideBase),
    /// [`Error::Layout`](crate::Error::Layout) or [`Error::Name`](crate::Error::Name) if it cannot
    /// be the path of an artifact; [`Error::Storage`](crate::Error::Storage) if the inbox cannot be
    /// read.
    pub fn key_at(&self, path: impl AsRef<Path>) -> Result<Key> {
        let place = target::location(&self.base, path.as_ref())?.path();
        match inbox::noted_at(&self.base, &place)? {
            Some(key) => Ok(key),
            None => Ok(layout::parse(&place)?),
        }
    }

    /// The keys of the arrays on disk at a path and below it, absolute or relative to the base
    /// directory, without the catalog; see [`Inbox::key_at`]. Empty if no array is there.
    ///
    /// # Errors
    /// As [`Inbox::key_at`]; [`Error::Storage`](crate::Error::Storage) if something there cannot be
    /// read.
    #[cfg(feature = "cli")]
    pub(crate) fn keys_at(&self, path: &Path, monitor: &dyn Monitor) -> Result<Vec<Key>> {
        seal_places::keys_at(&self.base, path, monitor)
    }

    fn append(&self, at: Timestamp, notes: impl IntoIterator<Item = Note>) -> Result<()> {
        let mut state = self.writer();
        // Forked since: parent and child must not append to one file, and the child is another
        // actor.
        if state.agent.actor.pid != std::process::id() {
            *state = NoteWriter::new();
        }
        let mut lines = Vec::new();
        for note in notes {
            let line = NoteLine::new(at, &state.agent, note).to_line();
            if !lines.is_empty() && lines.len() + line.len() > MOST_AT_ONCE {
                state.writer.append(&self.base, &lines)?;
                lines.clear();
            }
            lines.extend(line);
        }
        if !lines.is_empty() {
            state.writer.append(&self.base, &lines)?;
        }
        Ok(())
    }

    fn writer(&self) -> MutexGuard<'_, NoteWriter> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registry {
    /// The key to note for a target on a host without the catalog: that of its row in the published
    /// copy; of a path without a row, that of [`Inbox::key_at`].
    ///
    /// # Errors
    /// [`Error::NotRecorded`](crate::Error::NotRecorded) if it is no path and has no row, or is a
    /// level of a pyramid; and as [`Registry::get`] and [`Inbox::key_at`].
    pub fn key_to_note(&self, inbox: &Inbox, target: &Target) -> Result<Key> {
        if let Some(artifact) = self.get(target)? {
            return Ok(artifact.key);
        }
        match (target, self.not_recorded(target)) {
            (Target::Path(path), Error::NotRecorded { level_of: None, .. }) => inbox.key_at(path),
            (Target::Key(key), Error::NotRecorded { level_of: None, .. }) => Ok(key.clone()),
            (_, error) => Err(error),
        }
    }
}

fn now() -> Timestamp {
    known(SystemClock.now())
}

/// The time nearest to one that a note may have.
fn known(at: Timestamp) -> Timestamp {
    // A note of a time before 1970 or after 9999 would be refused, and what it notes be missing.
    at.clamp(Timestamp(0), Timestamp::LAST)
}
