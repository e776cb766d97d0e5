//! Folding the inbox into the catalog: every open for writing does it, after recovery.
//!
//! For each file of the inbox:
//!
//! 1. read it, from where it was folded up to
//! 2. in one transaction: each note as an operation of who left it, at the time that it was left;
//!    then how far the file is folded
//! 3. unlink the file if nothing was appended meanwhile; if a line was refused, set the file aside
//!    in `inbox/refused/`
//!
//! A kill before the commit of 2 leaves the file and the catalog as they were; after it, the next
//! fold finds nothing left to fold and goes on with 3. Two processes that fold at once both read
//! the file, and one of them finds within its transaction that it is folded. A file whose process
//! is alive may be unlinked: that process sees it and makes a new one.
//!
//! A file that does not continue what was folded of it was changed by hand. If a line of it was
//! refused, it is the corrected file, put back before a killed fold was resumed, and is folded from
//! its beginning; otherwise it is set aside, because it may hold what was never folded, and what
//! was removed since.
//!
//! Notes are input. A line can record keys, which have valid names, and say of data that it is
//! whole, not whole, or what it scored; the file's owner is who did it, whatever the line says,
//! and a word about data of another user is refused, or about data that is, by its time, another
//! run's. If others than the owner may write the file,
//! its owner is no proof: the user is `unknown`, and no word about data is taken. The number of
//! files and bytes that one open looks at is bounded, and so is the time; the next one goes on.
//!
//! Locks: the turn to write, for each file; the wait for it is short, because the answer of a
//! command that only reads must not wait for a writer that hangs. Then the notes stay.

use std::collections::HashMap;
use std::fmt::Display;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::catalog::{Catalog, CatalogError, Folded, Folding, Recorder, Seal};
use crate::error::Error;
use crate::model::actor::{Actor, Agent};
use crate::model::causes::with_causes;
use crate::model::clock::Timestamp;
use crate::model::key::Key;
use crate::model::layout;
use crate::model::note::{Note, NoteLine, SealNote};
use crate::model::observation::Observation;
use crate::model::operation::{Action, NewOperation};
use crate::model::progress::Silent;
use crate::model::score::Score;
use crate::model::words;
use crate::ops::refresh;
use crate::ops::seal::takes_word;
use crate::ops::twins::Owners;
use crate::store::{
    self, Base, Event, Finished, InboxFile, InboxFolder, Look, StorageError, WalkOptions,
};

/// An open waits so long for its turn to fold.
const PATIENCE: Duration = Duration::from_millis(500);
/// An open begins no further file after this time.
const FOLD_AT_OPEN: Duration = Duration::from_secs(2);
/// Entries of the inbox that are listed.
const MOST_ENTRIES: usize = 10_000;
/// Lines of a file that was set aside that are looked at, and faults that are named: a forged file has
/// millions.
const MOST_READ: usize = 10_000;
const MOST_LINES: usize = 10;
/// Names of folded files that are looked for, to forget those that are gone.
const MOST_FORGOTTEN: u32 = 1_000;

/// The reason that an operation from the inbox has in the history, if it was left on this host.
const REASON: &str = "from the inbox: the catalog could not be written then";

/// Why a seal is refused whose data was written, or went, since.
const STALE: &str = "its data is not as it was when it was sealed";

/// The user of notes in a file that others than its owner may write.
const UNKNOWN: &str = "unknown";

/// What a fold did.
#[derive(Debug, Default)]
pub(crate) struct FoldReport {
    /// Notes that were folded.
    pub(crate) notes: u64,
    /// What could not be folded, as text.
    pub(crate) problems: Vec<String>,
}

impl FoldReport {
    /// Reports what is wrong with a file, and where it is now.
    fn refuse(&mut self, path: &Path, what: &str, aside: &Result<Finished, StorageError>) {
        let file = path.display();
        self.problems.push(match aside {
            Ok(Finished::SetAside(name)) => {
                let now = path.with_file_name("refused").join(name);
                format!("{what}; the file is now {}", now.display())
            }
            Ok(Finished::Left) => {
                format!("{what}; the file is {file} until a later command sets it aside")
            }
            // Another process was faster.
            Ok(Finished::Unlinked) => format!("{what}; the file was {file}"),
            Err(error) => {
                let next = match error {
                    StorageError::Symlink { .. } => "; move the link away",
                    StorageError::NotAFolder { .. } => "; move it away",
                    _ => "",
                };
                let error = with_causes(error);
                format!("{what}; the file stays {file}, as it cannot be set aside: {error}{next}")
            }
        });
    }
}

/// Context of a fold.
pub(crate) struct Fold<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) base: &'a Base,
    pub(crate) now: Timestamp,
    /// The name of this host.
    pub(crate) here: &'a str,
    /// The name of a user by number.
    pub(crate) user: &'a dyn Fn(u32) -> String,
}

/// A complete line of a file.
pub(super) struct Line<'a> {
    pub(super) number: usize,
    pub(super) text: &'a [u8],
}

impl Fold<'_> {
    /// Folds what is in the inbox. Takes about eight system calls if it is absent or empty.
    ///
    /// # Errors
    /// [`Error::Cancelled`]. What could not be folded otherwise is in the report, and stays.
    pub(crate) fn fold(&self) -> Result<FoldReport, Error> {
        let mut report = FoldReport::default();
        match self.fold_all(&mut report) {
            Ok(()) => Ok(report),
            // A writer that hangs: the notes wait.
            Err(Error::Catalog(CatalogError::LockTimeout { .. })) => Ok(report),
            Err(error @ Error::Cancelled { .. }) => Err(error),
            Err(error) => {
                let error = with_causes(&error);
                report
                    .problems
                    .push(format!("the inbox was not folded: {error}"));
                Ok(report)
            }
        }
    }

    fn fold_all(&self, report: &mut FoldReport) -> Result<(), Error> {
        let Some(inbox) = InboxFolder::open(self.base)? else {
            return Ok(());
        };
        // First, and at each fold: a file that was set aside may be put back at any time, and is to
        // be folded whole then.
        self.forget_gone(&inbox)?;
        let listing = inbox.list(MOST_ENTRIES)?;
        let deadline = Instant::now() + FOLD_AT_OPEN;
        for name in &listing.files {
            // What is left waits for the next open, because this one has a command to answer.
            if Instant::now() >= deadline {
                break;
            }
            match self.fold_file(&inbox, name, report) {
                Ok(()) => {}
                Err(error) if error.ends_all() => return Err(error),
                // One file that cannot be folded does not hold up the others.
                Err(error) => {
                    let path = inbox.path().join(name);
                    report
                        .problems
                        .push(format!("{} was not folded: {error}", path.display()));
                }
            }
        }
        Ok(())
    }

    /// Forgets files that were folded and are gone. That they are gone is durable first: a file
    /// that a power cut brings back must be known.
    fn forget_gone(&self, inbox: &InboxFolder) -> Result<(), Error> {
        let names = self.catalog.folded_names(MOST_FORGOTTEN)?;
        let gone: Vec<&String> = names.iter().filter(|name| !inbox.has(name)).collect();
        if gone.is_empty() {
            return Ok(());
        }
        inbox.sync()?;
        self.catalog.fold(PATIENCE, |folding| {
            gone.iter().try_for_each(|name| folding.forget(name))
        })?;
        Ok(())
    }

    fn fold_file(
        &self,
        inbox: &InboxFolder,
        name: &str,
        report: &mut FoldReport,
    ) -> Result<(), Error> {
        // Without the lock, and compared once more within the transaction.
        let before = self.catalog.folded(name)?;
        let file = match inbox.read(name) {
            Ok(Some(file)) => file,
            Ok(None) => return Ok(()),
            // Nothing that a process of this program writes: it never becomes readable.
            Err(error) if is_of_no_process(&error) => {
                let aside = inbox.set_aside(name);
                report.refuse(&inbox.path().join(name), &with_causes(&error), &aside);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let from = match continues(&file, before.bytes) {
            true => before,
            false if before.is_refused => Folded::default(),
            false => return self.set_changed_aside(inbox, &file, before, report),
        };
        let (lines, rest) = lines_of(&file.content, from.bytes);
        let mut after = Folded {
            bytes: file.end - rest.len() as u64,
            is_refused: from.is_refused,
        };
        let mut refused = Refused::default();
        // Its process was killed in the middle: a half line stays one.
        if !rest.is_empty() && file.is_settled {
            after.bytes = file.end;
            after.is_refused = true;
            refused.add(0, || "its last line is cut off".to_owned());
        }
        if after != before {
            let notes = self.read_notes(&file, lines, &mut refused)?;
            let is_first = self.catalog.fold(PATIENCE, |folding| {
                if folding.folded(name)? != before {
                    return Ok(false);
                }
                for note in &notes {
                    match self.enter(folding, &file, note)? {
                        Ok(()) => report.notes += 1,
                        Err(reason) => {
                            refused.add_line(note.number, &note.words(self.base, &reason))
                        }
                    }
                }
                after.is_refused |= refused.count > 0;
                folding.set_folded(name, after)?;
                Ok::<_, Error>(true)
            })?;
            // Another process folded it in the meantime, and does the rest too.
            if !is_first {
                return Ok(());
            }
        }
        let finished = match after.bytes < file.end {
            // The last line is still being written: its process needs the file.
            true => Ok(Finished::Left),
            false => {
                // Nothing is unlinked before what was folded is durable.
                self.catalog.sync_log()?;
                inbox.finish(&file, after.is_refused)
            }
        };
        if !after.is_refused {
            return Ok(finished.map(drop)?);
        }
        report.refuse(&inbox.path().join(name), &refused.words(), &finished);
        self.forget_set_aside(inbox, name, &finished)
    }

    /// Sets aside a file that is not what was folded of it.
    fn set_changed_aside(
        &self,
        inbox: &InboxFolder,
        file: &InboxFile,
        before: Folded,
        report: &mut FoldReport,
    ) -> Result<(), Error> {
        let aside = inbox.finish(file, true);
        let what = changed(file, before);
        report.refuse(&inbox.path().join(&file.name), &what, &aside);
        self.forget_set_aside(inbox, &file.name, &aside)
    }

    /// Forgets a file if it was set aside, so that it is folded whole if it is put back.
    fn forget_set_aside(
        &self,
        inbox: &InboxFolder,
        name: &str,
        aside: &Result<Finished, StorageError>,
    ) -> Result<(), Error> {
        if matches!(aside, Ok(Finished::SetAside(_))) {
            inbox.sync()?;
            self.catalog
                .fold(PATIENCE, |folding| folding.forget(name))?;
        }
        Ok(())
    }

    /// Reads the notes of a file, and looks at the data that they are about. Adds the lines that
    /// are no notes to `refused`.
    fn read_notes<'a>(
        &self,
        file: &InboxFile,
        lines: impl Iterator<Item = Line<'a>>,
        refused: &mut Refused,
    ) -> Result<Vec<Read>, Error> {
        let user = file.owner.map_or_else(|| UNKNOWN.to_owned(), self.user);
        read_notes((self.base, Some(self.catalog)), &user, lines, refused)
    }

    /// Enters a note into the catalog; gives the reason if it is refused.
    fn enter(
        &self,
        folding: &mut Folding<'_>,
        file: &InboxFile,
        read: &Read,
    ) -> Result<Result<(), String>, Error> {
        let Read { who, line, .. } = read;
        if let Some(reason) = read.refusal(file) {
            return Ok(Err(reason));
        }
        // A clock that is ahead, or a lie: nothing was left later than now.
        let at = line.at.min(self.now);
        let noted_on = format!("noted on {}", who.actor.host);
        // Another host may not write the catalog at all: nothing failed there.
        let reason = match who.actor.host == self.here {
            true => REASON,
            false => &noted_on,
        };
        let word = |action| NewOperation {
            reason: Some(reason),
            ..NewOperation::new(action, at)
        };
        let entered = match &line.note {
            Note::Record(key) => folding.operate(who, word(Action::Record), |recorder| {
                recorder.record(key).map(|_| Ok(()))
            }),
            Note::Score(score) => folding.operate(who, word(Action::Score), |recorder| {
                let score = Score::from(score.clone());
                recorder.score_unless_later(&score).map(Ok)
            }),
            Note::Seal(seal) => folding.operate(who, word(Action::Seal), |recorder| {
                enter_seal(recorder, seal, read.seen.as_ref(), at)
            }),
            Note::Failed(key) => folding.operate(who, word(Action::Seal), |recorder| {
                enter_failure(recorder, key, read.seen.as_ref(), at)
            }),
        };
        match entered {
            Ok(entered) => Ok(entered),
            // The only error that is about the note; any other is the catalog's and rolls the file
            // back.
            Err(error @ CatalogError::PathTaken { .. }) => Ok(Err(error.to_string())),
            Err(error) => Err(error.into()),
        }
    }
}

/// Reads the notes of lines, which a user left, and looks at the data that they are about. Adds the
/// lines that are no notes to `refused`.
fn read_notes<'a>(
    (base, catalog): (&Base, Option<&Catalog>),
    user: &str,
    lines: impl Iterator<Item = Line<'a>>,
    refused: &mut Refused,
) -> Result<Vec<Read>, Error> {
    let mut notes = Vec::new();
    for Line { number, text } in lines {
        match NoteLine::parse(text) {
            Ok(line) => notes.push(Read {
                number,
                who: line.agent(user.to_owned()),
                line,
                seen: None,
                owner: None,
            }),
            Err(error) => refused.add_line(number, &error),
        }
    }
    // Before the transaction: looking at data may take long, and others wait for the turn to
    // write.
    let looks: Vec<Look> = notes
        .iter()
        .enumerate()
        .filter_map(|(at, read)| {
            let key = read.subject()?;
            Some(Look {
                id: i64::try_from(at).ok()?,
                path: layout::canonical_location(key).path().into(),
                expected: refresh::subject(key.kind()),
            })
        })
        .collect();
    if looks.is_empty() {
        return Ok(notes);
    }
    let mut seen: HashMap<i64, Observation> = HashMap::new();
    store::look_at(base, WalkOptions::default(), &Silent, looks, |event| {
        if let Event::Looked(at, Some(observation)) = event {
            seen.insert(at, observation);
        }
        Ok::<_, Error>(())
    })?;
    for (at, read) in (0..).zip(&mut notes) {
        read.seen = seen.remove(&at);
    }
    // A host without the catalog cannot know whose data it was.
    let Some(catalog) = catalog else {
        return Ok(notes);
    };
    let mut owners = Owners::new(catalog, base);
    for read in &mut notes {
        let (Some(key), Some(seen)) = (read.subject(), &read.seen) else {
            continue;
        };
        let row = match catalog.at(&layout::canonical_location(key)) {
            Ok(row) => row,
            // A damaged row is for the entry of the note to report.
            Err(CatalogError::Row { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        let owner = match &row {
            Some(row) => owners.of(row, seen.written_at)?,
            None => None,
        };
        read.owner = owner.map(|owner| owner.location().path());
    }
    Ok(notes)
}

/// Whether a file can be one that was folded up to this byte: no line before it was cut off, or
/// changed in length.
pub(super) fn continues(file: &InboxFile, folded: u64) -> bool {
    let is_newline = |at: u64| {
        let at = usize::try_from(at).ok();
        at.and_then(|at| file.content.get(at)) == Some(&b'\n')
    };
    folded == 0 || folded == file.end || (folded < file.end && is_newline(folded - 1))
}

/// What is said of a file that is not what was folded of it.
pub(super) fn changed(file: &InboxFile, folded: Folded) -> String {
    let (now, then) = (file.end, folded.bytes);
    format!(
        "it was changed after {then} bytes of it were folded: it has {now} bytes; if it was set \
         aside, move it back to the inbox to have it folded from its beginning",
    )
}

/// The lines of a file that were refused. A forged file has millions of them: only the first is
/// kept, unless all are asked for.
#[derive(Default)]
struct Refused {
    /// Number of the first line, and why.
    first: Option<(usize, String)>,
    /// All of them, if they are wanted.
    all: Option<Vec<(usize, String)>>,
    count: usize,
}

impl Refused {
    fn add_line(&mut self, number: usize, reason: &dyn Display) {
        self.add(number, || format!("line {number}: {reason}"));
    }

    fn add(&mut self, number: usize, words: impl FnOnce() -> String) {
        self.count += 1;
        if let Some(all) = &mut self.all {
            all.push((number, words()));
            return;
        }
        if self.first.as_ref().is_none_or(|(first, _)| number < *first) {
            self.first = Some((number, words()));
        }
    }

    /// What is said of them.
    fn words(&self) -> String {
        let Some((_, first)) = &self.first else {
            return "a note could not be folded before".to_owned();
        };
        let more = match self.count {
            1 => String::new(),
            2 => ", and one more line".to_owned(),
            count => format!(", and {} more lines", words::number(count as u64 - 1)),
        };
        format!("a note could not be folded: {first}{more}")
    }
}

/// Whether an error says that no process of this program wrote the file: it is not a regular file,
/// or larger than they become.
fn is_of_no_process(error: &StorageError) -> bool {
    match error {
        StorageError::NotAFile { .. } | StorageError::Symlink { .. } => true,
        StorageError::Io { source, .. } => source.kind() == std::io::ErrorKind::FileTooLarge,
        _ => false,
    }
}

/// A note of a file.
struct Read {
    number: usize,
    who: Agent,
    line: NoteLine,
    /// What its data looks like, if it is about data.
    seen: Option<Observation>,
    /// Path of the row of another run that the data is of, by its time.
    owner: Option<String>,
}

impl Read {
    /// Why the note is refused: what it is about, who left it where, and what to type.
    fn words(&self, base: &Base, reason: &str) -> String {
        let path = |key: &Key| base.path().join(layout::canonical_location(key).path());
        let (what, path) = match &self.line.note {
            Note::Record(key) => ("the record", Some(path(key))),
            Note::Seal(seal) => ("the seal", Some(path(&seal.key))),
            Note::Failed(key) => ("the failed write", Some(path(key))),
            Note::Score(_) => ("a score", None),
        };
        let of = path.as_ref().map(|path| format!(" of {}", path.display()));
        let of = of.unwrap_or_default();
        let Actor { user, host, .. } = &self.who.actor;
        let next = match path.is_some() && reason == STALE {
            true => "; if it is whole, seal it again, then delete the file",
            false => "",
        };
        format!("{what}{of} by {user} on {host}: {reason}{next}")
    }

    /// Why it is refused, whatever the catalog says.
    fn refusal(&self, file: &InboxFile) -> Option<String> {
        if self.line.at.0 < 0 {
            return Some("its time is before 1970".to_owned());
        }
        let owner = self.seen.as_ref().and_then(|seen| seen.owner);
        if owner.is_some_and(|owner| !file.owner.is_some_and(|user| takes_word(user, owner))) {
            return Some("it is about data of another user".to_owned());
        }
        let owner = self.owner.as_ref()?;
        Some(format!(
            "it is about what is, by its time, the data of {owner}: a run was renamed by hand; see: \
             dalsegno verify --repair"
        ))
    }

    /// The key of the data that the note is about.
    fn subject(&self) -> Option<&Key> {
        match &self.line.note {
            Note::Seal(seal) => Some(&seal.key),
            Note::Failed(key) => Some(key),
            Note::Record(_) | Note::Score(_) => None,
        }
    }
}

/// What is wrong with the lines of a file that was set aside, by the catalog and the data as they are
/// now: a sentence each.
///
/// # Errors
/// [`Error`] if the catalog cannot be read.
pub(super) fn refusals(
    base: &Base,
    catalog: Option<&Catalog>,
    file: &InboxFile,
) -> Result<Vec<String>, Error> {
    let (mut lines, rest) = lines_of(&file.content, 0);
    let mut refused = Refused {
        all: Some(Vec::new()),
        ..Refused::default()
    };
    let user = file
        .owner
        .map_or_else(|| UNKNOWN.to_owned(), |user| format!("user {user}"));
    let read = lines.by_ref().take(MOST_READ);
    for note in read_notes((base, catalog), &user, read, &mut refused)? {
        let reason = match note.refusal(file) {
            None => refusal_now(catalog, &note)?,
            refusal => refusal,
        };
        if let Some(reason) = reason {
            refused.add_line(note.number, &note.words(base, &reason));
        }
    }
    let mut all = refused.all.unwrap_or_default();
    if !rest.is_empty() {
        refused.count += 1;
        all.push((usize::MAX, "its last line is cut off".to_owned()));
    }
    all.sort();
    all.truncate(MOST_LINES);
    let mut sentences: Vec<String> = all.into_iter().map(|(_, words)| words).collect();
    match refused.count - sentences.len() {
        0 => {}
        1 => sentences.push("and one more line".to_owned()),
        more => sentences.push(format!("and {} more lines", words::number(more as u64))),
    }
    if lines.next().is_some() {
        sentences.push(format!(
            "lines after the first {MOST_READ} were not looked at"
        ));
    }
    Ok(sentences)
}

/// Why the data or the catalog, as they are now, refuse a note.
fn refusal_now(catalog: Option<&Catalog>, note: &Read) -> Result<Option<String>, Error> {
    if let Note::Seal(seal) = &note.line.note {
        let is_stale = note.seen.as_ref().map(|seen| seen.written_at) != Some(seal.written_at);
        if is_stale {
            return Ok(Some(STALE.to_owned()));
        }
    }
    let key = match &note.line.note {
        Note::Record(key) => Some(key),
        _ => note.subject(),
    };
    let (Some(catalog), Some(key)) = (catalog, key) else {
        return Ok(None);
    };
    match catalog.require_free(key) {
        Err(error @ CatalogError::PathTaken { .. }) => Ok(Some(error.to_string())),
        // Another finding of the verification.
        Err(CatalogError::Row { .. }) => Ok(None),
        free => Ok(free.map(|()| None)?),
    }
}

/// Seals an artifact as its writer did, if its data is still what was sealed.
fn enter_seal(
    recorder: &mut Recorder<'_>,
    note: &SealNote,
    seen: Option<&Observation>,
    at: Timestamp,
) -> Result<Result<(), String>, CatalogError> {
    let Some(seen) = seen.filter(|seen| seen.written_at == note.written_at) else {
        return Ok(Err(STALE.to_owned()));
    };
    let artifact = recorder.record(&note.key)?.artifact;
    // A seal from after the note is the newer word.
    if artifact.sealed_at.is_none_or(|sealed| sealed <= at) {
        let seal = Seal {
            at,
            content: note.content_hash,
            // The note has counts only.
            chunks: None,
        };
        recorder.seal(&artifact, &seen.clone().size(note.size()), seal)?;
    }
    Ok(Ok(()))
}

/// Records what a failed writer left of an artifact, and takes an older seal back.
fn enter_failure(
    recorder: &mut Recorder<'_>,
    key: &Key,
    seen: Option<&Observation>,
    at: Timestamp,
) -> Result<Result<(), String>, CatalogError> {
    let artifact = recorder.record(key)?.artifact;
    // A seal from after the failure is the newer word.
    if artifact.sealed_at.is_none_or(|sealed| sealed <= at) {
        recorder.observe_changed(&artifact, seen)?;
    }
    Ok(Ok(()))
}

/// The complete lines of a file's content that begin at this byte or later, and what is behind the
/// last newline. A fold always ends at the end of a line, so a line begins at that byte.
pub(super) fn lines_of(content: &[u8], from: u64) -> (impl Iterator<Item = Line<'_>>, &[u8]) {
    let is_newline = |byte: &u8| *byte == b'\n';
    let end = content.iter().rposition(is_newline).map_or(0, |at| at + 1);
    let (complete, rest) = content.split_at(end);
    let start = usize::try_from(from).unwrap_or(usize::MAX).min(end);
    let (before, new) = complete.split_at(start);
    let first = 1 + before.iter().filter(|byte| is_newline(byte)).count();
    let lines = new.split_inclusive(is_newline).zip(first..);
    let lines = lines.map(|(line, number)| Line {
        number,
        text: line.strip_suffix(b"\n").unwrap_or(line),
    });
    (lines, rest)
}
