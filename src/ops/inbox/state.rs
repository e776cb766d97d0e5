//! What is in the inbox.

#[cfg(feature = "cli")]
use std::collections::HashMap;
use std::collections::HashSet;

use serde::Serialize;

use super::fold::{changed, continues, lines_of, refusals};
use crate::catalog::Catalog;
use crate::error::Error;
use crate::model::key::Key;
use crate::model::layout;
use crate::model::note::{Note, NoteLine};
use crate::store::{Base, InboxFolder};

/// Entries of a folder that are listed.
const MOST_ENTRIES: usize = 10_000;
/// Bytes of notes that are searched for keys: other users may put any number there.
const MOST_NOTED: u64 = 256 << 20;
/// Names of folded files that are looked for.
const MOST_FOLDED: u32 = 1_000;

/// What is in the inbox of a base directory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct InboxState {
    /// Names of the files whose notes wait for the next command that writes; the first 10,000.
    pub waiting: Vec<String>,
    /// Files with a note that could not be folded; the first 10,000.
    pub refused: Vec<RefusedNotes>,
    /// Files that wait and are not what the catalog says was folded of them, as one that was cut
    /// or put back: the next command that writes sets them aside. Known only if the catalog was
    /// read.
    pub changed: Vec<RefusedNotes>,
    /// Names of entries that are not files of notes; they are left alone.
    pub strangers: Vec<String>,
}

/// A file in `inbox/refused/`, or one that belongs there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RefusedNotes {
    /// Its name.
    pub name: String,
    /// What is wrong with its lines; the first 10, and how many more there are. Empty if nothing is
    /// wrong with one now: then the file was changed after it was folded, or what was wrong with the
    /// data is over.
    pub problems: Vec<String>,
}

/// Reads what is in the inbox, and how far the catalog folded it. Changes nothing.
///
/// # Errors
/// [`Error`] if the inbox is not a folder, or it or the catalog cannot be read.
pub(crate) fn state(base: &Base, catalog: Option<&Catalog>) -> Result<InboxState, Error> {
    let mut state = InboxState::default();
    if let Some(inbox) = InboxFolder::open(base)? {
        let listing = inbox.list(MOST_ENTRIES)?;
        state.waiting = listing.files;
        state.strangers = listing.strangers;
        let names = catalog.map_or(Ok(Vec::new()), |catalog| catalog.folded_names(MOST_FOLDED))?;
        for name in names {
            // What cannot be read is left to the fold, which says why.
            let (Some(catalog), Ok(Some(file))) = (catalog, inbox.read(&name)) else {
                continue;
            };
            let folded = catalog.folded(&name)?;
            if !folded.is_refused && !continues(&file, folded.bytes) {
                let problems = vec![changed(&file, folded)];
                state.changed.push(RefusedNotes { name, problems });
            }
        }
    }
    if let Some(inbox) = InboxFolder::open_refused(base)? {
        let listing = inbox.list(MOST_ENTRIES)?;
        for name in listing.files.into_iter().chain(listing.strangers) {
            let problems = problems((base, catalog), &inbox, &name);
            state.refused.push(RefusedNotes { name, problems });
        }
    }
    Ok(state)
}

/// Paths of the keys that notes are to record and that no command took in yet, of the first files.
/// Changes nothing. What cannot be read is left out.
///
/// # Errors
/// [`Error`] if the inbox is not a folder, or cannot be read.
pub(crate) fn noted(base: &Base) -> Result<HashSet<String>, Error> {
    let mut paths = HashSet::new();
    each_recorded(base, |_, path| {
        paths.insert(path);
    })?;
    Ok(paths)
}

/// The key that the first such note records at a path.
///
/// # Errors
/// As [`noted`].
pub(crate) fn noted_at(base: &Base, path: &str) -> Result<Option<Key>, Error> {
    let mut found = None;
    each_recorded(base, |key, at| {
        if at == path && found.is_none() {
            found = Some(key);
        }
    })?;
    Ok(found)
}

/// The keys that such notes record, the first of each path.
///
/// # Errors
/// As [`noted`].
#[cfg(feature = "cli")]
pub(crate) fn noted_keys(base: &Base) -> Result<HashMap<String, Key>, Error> {
    let mut keys = HashMap::new();
    each_recorded(base, |key, path| {
        keys.entry(path).or_insert(key);
    })?;
    Ok(keys)
}

/// Passes each key that a note is to record, and its path.
fn each_recorded(base: &Base, mut each: impl FnMut(Key, String)) -> Result<(), Error> {
    let Some(inbox) = InboxFolder::open(base)? else {
        return Ok(());
    };
    let mut bytes = 0;
    for name in inbox.list(MOST_ENTRIES)?.files {
        let Ok(Some(file)) = inbox.read(&name) else {
            continue;
        };
        bytes += file.end;
        if bytes > MOST_NOTED {
            break;
        }
        for line in lines_of(&file.content, 0).0 {
            if let Ok(Note::Record(key)) = NoteLine::parse(line.text).map(|line| line.note) {
                let path = layout::locate(&key).path();
                each(key, path);
            }
        }
    }
    Ok(())
}

/// What is wrong with the lines of a refused file, by the catalog and the data as they are now.
fn problems(
    (base, catalog): (&Base, Option<&Catalog>),
    inbox: &InboxFolder,
    name: &str,
) -> Vec<String> {
    let file = match inbox.read(name) {
        Ok(Some(file)) => file,
        Ok(None) => return Vec::new(),
        Err(error) => return vec![crate::model::causes::with_causes(&error)],
    };
    refusals(base, catalog, &file)
        .unwrap_or_else(|error| vec![crate::model::causes::with_causes(&error)])
}
