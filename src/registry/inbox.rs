//! Leaving notes in the inbox, without a catalog.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::agent;
use crate::error::Result;
use crate::model::actor::Agent;
use crate::model::clock::{Clock, SystemClock, Timestamp};
use crate::model::note::{Note, NoteLine};
use crate::ops::inbox::{self, InboxState};
use crate::store::{Base, InboxWriter};

/// Leaves notes in the inbox of a base directory: what a process wants to record, seal or score
/// while it cannot write the catalog. The next command that opens the registry for writing folds
/// them into it. Needs the folder `.dalsegno`, and neither opens nor makes a catalog.
#[derive(Debug)]
pub struct Inbox {
    base: Base,
    state: Mutex<NoteWriter>,
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
            state: Mutex::new(NoteWriter::new()),
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
        inbox::state(&self.base)
    }

    /// Leaves a note. It survives a power cut if this succeeds. In a forked child it goes into a
    /// file of the child's own.
    ///
    /// # Errors
    /// [`Error::Storage`](crate::Error::Storage) if there is no folder `.dalsegno`, or the inbox
    /// cannot be written.
    pub fn note(&self, note: Note) -> Result<()> {
        // A note of a time before 1970 would be refused, and what it notes be missing.
        self.note_at(SystemClock.now().max(Timestamp(0)), note)
    }

    /// The same, for what was to be written at this time.
    ///
    /// # Errors
    /// As [`Inbox::note`].
    pub fn note_at(&self, at: Timestamp, note: Note) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Forked since: parent and child must not append to one file, and the child is another
        // actor.
        if state.agent.actor.pid != std::process::id() {
            *state = NoteWriter::new();
        }
        let line = NoteLine::new(at, &state.agent, note).to_line();
        Ok(state.writer.append(&self.base, &line)?)
    }
}
