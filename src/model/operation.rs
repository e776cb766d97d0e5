//! Operations: one change of the catalog each, as the history has it.
//!
//! An operation has an action, an agent, a time, a reason, images of every artifact that it changed
//! before and after, and a [`Detail`]. Its hash covers all of these and the hash of the operation
//! before it, so the history is a chain that shows where it was altered.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::model::actor::Agent;
use crate::model::artifact::{Artifact, ArtifactId, Origin};
use crate::model::clock::Timestamp;
use crate::model::detail::{Detail, RemovalMade};
use crate::model::filter::Pattern;
use crate::model::layout;
use crate::model::name::BasePath;
use crate::model::order::natural;
use crate::model::removal::RemovalFate;

/// The kind of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Action {
    /// Records artifacts.
    Record,
    /// Records the artifacts that a scan found.
    Scan,
    /// Writes what was seen of the data into rows.
    Refresh,
    /// Writes into rows that their writer says the data is whole.
    Seal,
    /// Removes artifacts, rows and data.
    Remove,
    /// Restores removed artifacts from the trash.
    Restore,
    /// Begins or ends unlinking what was removed.
    Purge,
    /// Resolves what a crash left.
    Recover,
    /// Makes a pin, or adds to what it binds.
    Pin,
    /// Deletes a pin, or takes from what it binds.
    Unpin,
    /// Records scores.
    Score,
    /// Deletes scores.
    Unscore,
    /// Makes a new catalog in place of a damaged one.
    Rebuild,
    /// Renames a run: its folder, rows, scores and pins.
    Rename,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 14] = [
        Self::Record,
        Self::Scan,
        Self::Refresh,
        Self::Seal,
        Self::Remove,
        Self::Restore,
        Self::Purge,
        Self::Recover,
        Self::Pin,
        Self::Unpin,
        Self::Score,
        Self::Unscore,
        Self::Rebuild,
        Self::Rename,
    ];

    /// The action as a gerund, for error texts.
    #[must_use]
    pub fn activity(self) -> &'static str {
        match self {
            Self::Record => "recording",
            Self::Scan => "recording what the scan found",
            Self::Refresh => "recording what was seen",
            Self::Seal => "sealing",
            Self::Remove => "removing",
            Self::Restore => "restoring",
            Self::Purge => "recording a purge",
            Self::Recover => "recovering",
            Self::Pin => "pinning",
            Self::Unpin => "unpinning",
            Self::Score => "recording scores",
            Self::Unscore => "deleting scores",
            Self::Rebuild => "rebuilding",
            Self::Rename => "renaming a run",
        }
    }

    /// The name of the action in text, JSON and the catalog.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        // Stored in the catalog and covered by its hashes: a name never changes.
        match self {
            Self::Record => "record",
            Self::Scan => "scan",
            Self::Refresh => "refresh",
            Self::Seal => "seal",
            Self::Remove => "remove",
            Self::Restore => "restore",
            Self::Purge => "purge",
            Self::Recover => "recover",
            Self::Pin => "pin",
            Self::Unpin => "unpin",
            Self::Score => "score",
            Self::Unscore => "unscore",
            Self::Rebuild => "rebuild",
            Self::Rename => "rename",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text does not name an action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no action \"{}\"; actions are {}",
    .0.escape_debug(),
    Action::ALL.map(Action::as_str).join(", ")
)]
#[non_exhaustive]
pub struct ParseActionError(pub String);

impl FromStr for Action {
    type Err = ParseActionError;

    fn from_str(text: &str) -> Result<Self, ParseActionError> {
        Self::ALL
            .into_iter()
            .find(|action| action.as_str() == text)
            .ok_or_else(|| ParseActionError(text.to_owned()))
    }
}

/// An operation that is about to be made.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct NewOperation<'a> {
    /// What it does.
    pub action: Action,
    /// When it is made.
    pub at: Timestamp,
    /// The reason that the caller gave.
    pub reason: Option<&'a str>,
}

impl NewOperation<'_> {
    /// Makes an operation without a reason.
    #[must_use]
    pub fn new(action: Action, at: Timestamp) -> Self {
        Self {
            action,
            at,
            reason: None,
        }
    }
}

/// SHA-256 of an operation and the hash of the one before it. `Display` writes 64 hexadecimal
/// digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OperationHash(pub [u8; 32]);

impl OperationHash {
    /// The hash that the first operation follows.
    pub const NONE: Self = Self([0; 32]);
}

impl fmt::Display for OperationHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The text is not the hash of an operation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{}\" is not the hash of an operation; it has 64 hexadecimal digits",
    .0.escape_debug()
)]
#[non_exhaustive]
pub struct ParseOperationHashError(pub String);

impl FromStr for OperationHash {
    type Err = ParseOperationHashError;

    fn from_str(text: &str) -> Result<Self, ParseOperationHashError> {
        let bad = || ParseOperationHashError(text.to_owned());
        // `from_str_radix` accepts a sign, so the digits are checked first.
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(bad());
        }
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            // All are ASCII, so a pair never ends inside a character.
            let digits = text.get(2 * at..2 * at + 2).ok_or_else(bad)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| bad())?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for OperationHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One operation of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Operation {
    /// Number; operations are numbered from 1 without gaps.
    pub id: i64,
    /// When it was made.
    pub at: Timestamp,
    /// What it did.
    pub action: Action,
    /// Who made it.
    #[serde(flatten)]
    pub agent: Agent,
    /// The reason that the caller gave.
    pub reason: Option<String>,
    /// What the images do not say, such as the removal or the pin.
    pub detail: Option<Detail>,
    /// Number of images of artifacts, before and after.
    #[serde(rename = "image_count")]
    pub images: u64,
    /// Hash of this operation and all before it.
    pub hash: OperationHash,
    /// Number of artifacts that it changed.
    pub artifacts: u64,
    /// Path of the first of them, relative to the base directory.
    pub path: Option<String>,
    /// What has become by now of the removal that it made; `None` if it made none.
    pub now: Option<RemovalFate>,
}

impl Operation {
    /// The removal that it made.
    #[must_use]
    pub fn removal_made(&self) -> Option<&RemovalMade> {
        let entries = self.detail.iter().flat_map(Detail::entries);
        entries
            .filter_map(|entry| match entry {
                Detail::RemovalMade(made) => Some(made),
                _ => None,
            })
            .next_back()
    }
}

/// Whether an image is from before or after its operation. Exhaustive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The row before the operation.
    Before,
    /// The row after the operation.
    After,
}

/// An artifact as it was before or after an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Image {
    /// Before or after.
    pub side: Side,
    /// The whole row.
    pub artifact: Artifact,
}

impl Image {
    /// Makes an image of a row.
    #[must_use]
    pub fn new(side: Side, artifact: Artifact) -> Self {
        Self { side, artifact }
    }

    /// Images in the order of runs, iterations (as numbers) and paths; the two images of a change stay
    /// together, the one before first.
    pub(crate) fn sorted(images: Vec<Self>) -> Vec<Self> {
        let mut changes: Vec<Vec<Self>> = Vec::with_capacity(images.len());
        for image in images {
            match changes.last_mut() {
                Some(change)
                    if image.side == Side::After
                        && change.len() == 1
                        && change[0].side == Side::Before
                        && change[0].artifact.id == image.artifact.id =>
                {
                    change.push(image);
                }
                _ => changes.push(vec![image]),
            }
        }
        // By the newer image: a rename has changed the path.
        changes.sort_by_cached_key(|change| {
            let key = change.last().map(|image| &image.artifact.key);
            key.map(|key| {
                let path = layout::locate(key).path();
                (key.run().to_string(), key.iteration(), natural(&path))
            })
        });
        changes.into_iter().flatten().collect()
    }
}

impl Serialize for Image {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // An artifact's own JSON lacks `origin` and `owner`; an image shows the whole row.
        #[derive(Serialize)]
        struct FlatImage<'a> {
            side: Side,
            #[serde(flatten)]
            artifact: &'a Artifact,
            origin: Origin,
            owner: Option<u32>,
        }
        FlatImage {
            side: self.side,
            artifact: &self.artifact,
            origin: self.artifact.origin,
            owner: self.artifact.owner,
        }
        .serialize(serializer)
    }
}

/// Selects operations. An operation must match every part, and one of the values of each part; an
/// empty part matches all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct HistoryFilter {
    /// What the operations did.
    pub actions: Vec<Action>,
    /// User names.
    pub users: Vec<String>,
    /// Made at or after this time.
    pub since: Option<Timestamp>,
    /// Made at or before this time.
    pub until: Option<Timestamp>,
    /// Runs: operations on their artifacts, on pins that bind them, and on their scores.
    pub runs: Vec<Pattern>,
    /// Artifacts: operations on them, and on pins that bind them one by one.
    pub artifacts: Vec<ArtifactId>,
    /// Operations on artifacts that are or were at these paths or below them.
    pub below: Vec<BasePath>,
    /// Made before the operation with this number: for reading page by page.
    pub before: Option<i64>,
    /// The newest, at most this many.
    pub most: Option<u64>,
}

impl HistoryFilter {
    /// Sets the actions.
    #[must_use]
    pub fn actions(mut self, actions: impl IntoIterator<Item = Action>) -> Self {
        self.actions = actions.into_iter().collect();
        self
    }

    /// Sets the user names.
    #[must_use]
    pub fn users<U: Into<String>>(mut self, users: impl IntoIterator<Item = U>) -> Self {
        self.users = users.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the time of the first operation.
    #[must_use]
    pub fn since(mut self, since: impl Into<Option<Timestamp>>) -> Self {
        self.since = since.into();
        self
    }

    /// Sets the time of the last operation.
    #[must_use]
    pub fn until(mut self, until: impl Into<Option<Timestamp>>) -> Self {
        self.until = until.into();
        self
    }

    /// Sets the patterns of runs.
    #[must_use]
    pub fn runs<P: Into<Pattern>>(mut self, runs: impl IntoIterator<Item = P>) -> Self {
        self.runs = Pattern::list(runs);
        self
    }

    /// Sets the paths.
    #[must_use]
    pub fn below(mut self, below: impl IntoIterator<Item = BasePath>) -> Self {
        self.below = below.into_iter().collect();
        self
    }

    /// Sets the artifacts.
    #[must_use]
    pub fn artifacts(mut self, artifacts: impl IntoIterator<Item = ArtifactId>) -> Self {
        self.artifacts = artifacts.into_iter().collect();
        self
    }

    /// Sets the number of the operation before which the page ends.
    #[must_use]
    pub fn before(mut self, before: impl Into<Option<i64>>) -> Self {
        self.before = before.into();
        self
    }

    /// Sets how many operations to give at most.
    #[must_use]
    pub fn most(mut self, most: impl Into<Option<u64>>) -> Self {
        self.most = most.into();
        self
    }
}

/// Result of checking the chain of hashes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ChainReport {
    /// Number of operations that fit the chain, from the first on.
    pub operations: u64,
    /// Hash of the last of them.
    pub head: OperationHash,
    /// The first operation that does not fit; `None` if all fit.
    pub broken: Option<BrokenLink>,
    /// The hash that the caller asked about.
    pub noted: Option<NotedHash>,
}

impl ChainReport {
    /// Whether every operation fits, and the hash that the caller asked about was found.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let is_found = |noted: &NotedHash| noted.operation.is_some();
        self.broken.is_none() && self.noted.as_ref().is_none_or(is_found)
    }
}

/// A head of the history that the caller wrote down earlier, looked up in today's history.
///
/// If an operation has this hash, that operation and all before it are unchanged since then: the
/// hash covers them, and no later ones. If none has it, operations were cut off or rewritten, or
/// the hash is from another registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct NotedHash {
    /// The hash.
    pub hash: OperationHash,
    /// Number of the operation that has it; 0 for the hash of an empty history; `None` if no
    /// operation that fits the chain has it.
    pub operation: Option<i64>,
}

/// An operation that does not fit the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BrokenLink {
    /// Number of the operation.
    pub operation: i64,
    /// What does not fit.
    pub detail: String,
}

/// How the reason of an undo begins; the number of what it undoes follows.
const UNDO_OF: &str = "undo of operation ";

/// The reason of the undo of an operation.
pub(crate) fn undo_of(id: i64) -> String {
    format!("{UNDO_OF}{id}")
}

/// The operation that one with this reason undoes; `None` if it is no undo.
pub(crate) fn undone_by(reason: &str) -> Option<i64> {
    reason.strip_prefix(UNDO_OF)?.parse().ok()
}

/// Why an operation cannot be undone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UndoError {
    /// There is no such operation.
    #[error("there is no operation {id}")]
    Unknown {
        /// Its number.
        id: i64,
    },
    /// Operations with this action cannot be undone.
    #[error("operation {id} ({action}) cannot be undone: {why}{}", or_before(*before))]
    Never {
        /// Its number.
        id: i64,
        /// What it did.
        action: Action,
        /// Why, and what to do instead.
        why: &'static str,
        /// Of the newest operation: the newest one before it that can be undone.
        before: Option<i64>,
    },
    /// Everything that it did was undone or changed back since.
    #[error("nothing of operation {id} is left to undo: {why}{}", or_before(*before))]
    Already {
        /// Its number.
        id: i64,
        /// What became of it.
        why: String,
        /// Of the newest operation: the newest one before it that can be undone.
        before: Option<i64>,
    },
    /// The data that it removed was unlinked.
    #[error("operation {id} cannot be undone any more: {why}{}", or_before(*before))]
    TooLate {
        /// Its number.
        id: i64,
        /// What stops it, as a clause.
        why: String,
        /// Of the newest operation: the newest one before it that can be undone.
        before: Option<i64>,
    },
    /// The history has no operation that could be undone, or all were.
    #[error("there is nothing to undo: no removal, pin or score of the history is left")]
    Nothing,
    /// What it changed was changed again since.
    #[error("operation {id} cannot be undone: {what} changed since{}", or_before(*before))]
    Changed {
        /// Its number.
        id: i64,
        /// What changed.
        what: String,
        /// Of the newest operation: the newest one before it that can be undone.
        before: Option<i64>,
    },
}

/// What an error adds about the operation before it.
fn or_before(before: Option<i64>) -> String {
    before.map_or(String::new(), |id| {
        format!("; the one before it that can be is operation {id}")
    })
}

impl UndoError {
    /// The newest operation before the newest one that can be undone, if the newest cannot be.
    #[must_use]
    pub fn before(&self) -> Option<i64> {
        match self {
            Self::Never { before, .. }
            | Self::Already { before, .. }
            | Self::TooLate { before, .. }
            | Self::Changed { before, .. } => *before,
            Self::Unknown { .. } | Self::Nothing => None,
        }
    }

    /// Stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "no-operation",
            Self::Never { .. } => "not-undoable",
            Self::Already { .. } => "undone-already",
            Self::TooLate { .. } => "undo-too-late",
            Self::Nothing => "nothing-to-undo",
            Self::Changed { .. } => "changed-since-operation",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_and_hashes_read_what_they_write() {
        for action in Action::ALL {
            assert_eq!(action.as_str().parse(), Ok(action));
        }
        assert!("rm".parse::<Action>().is_err());
        let hash = OperationHash(std::array::from_fn(|at| at as u8 * 7));
        assert_eq!(hash.to_string().parse(), Ok(hash));
        for text in ["", "0", &"g".repeat(64), &"é".repeat(32), &"+0".repeat(32)] {
            assert!(text.parse::<OperationHash>().is_err(), "{text}");
        }
    }
}
