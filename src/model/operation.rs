//! History as values: who changed the catalog, when, why, and what.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::model::actor::Agent;
use crate::model::artifact::{Artifact, ArtifactId, Origin};
use crate::model::clock::Timestamp;
use crate::model::detail::Detail;
use crate::model::filter::Pattern;

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Records artifacts.
    Record,
    /// Takes in what a scan found.
    Scan,
    /// Notes what was seen of the data.
    Refresh,
    /// Notes a writer's word that data is whole.
    Seal,
    /// Removes artifacts, rows and data.
    Remove,
    /// Brings removed artifacts back.
    Restore,
    /// Begins or ends unlinking what was removed.
    Purge,
    /// Undoes what a crash left half done.
    Recover,
    /// Makes a pin, or lets it bind more.
    Pin,
    /// Takes a pin away, or lets it bind less.
    Unpin,
    /// Notes scores.
    Score,
    /// Takes scores away.
    Unscore,
    /// Makes the catalog anew.
    Rebuild,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 13] = [
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
    ];

    /// What it does, in words for an error.
    #[must_use]
    pub fn activity(self) -> &'static str {
        match self {
            Self::Record => "recording",
            Self::Scan => "taking in what was found",
            Self::Refresh => "noting what was seen",
            Self::Seal => "sealing",
            Self::Remove => "removing",
            Self::Restore => "restoring",
            Self::Purge => "noting a purge",
            Self::Recover => "recovering",
            Self::Pin => "pinning",
            Self::Unpin => "unpinning",
            Self::Score => "noting scores",
            Self::Unscore => "taking scores away",
            Self::Rebuild => "rebuilding",
        }
    }

    /// The name that people, JSON and the catalog use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
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
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// An action that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no action \"{}\"; actions are {}",
    .0.escape_debug(),
    Action::ALL.map(Action::as_str).join(", ")
)]
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

/// A change that is to be made, for the history.
#[derive(Debug, Clone, Copy)]
pub struct NewOperation<'a> {
    /// What is done.
    pub action: Action,
    /// When.
    pub at: Timestamp,
    /// Why; none where nobody said.
    pub reason: Option<&'a str>,
}

impl NewOperation<'_> {
    /// An action without a reason.
    #[must_use]
    pub fn new(action: Action, at: Timestamp) -> Self {
        Self {
            action,
            at,
            reason: None,
        }
    }
}

/// The SHA-256 of an operation and of everything before it. `Display` writes 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OperationHash(pub [u8; 32]);

impl OperationHash {
    /// What the first operation follows.
    pub const NONE: Self = Self([0; 32]);
}

impl fmt::Display for OperationHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A text that is no hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{}\" is no hash of 64 hexadecimal digits", .0.escape_debug())]
pub struct ParseOperationHashError(pub String);

impl FromStr for OperationHash {
    type Err = ParseOperationHashError;

    fn from_str(text: &str) -> Result<Self, ParseOperationHashError> {
        let bad = || ParseOperationHashError(text.to_owned());
        // The digits are looked at here: `from_str_radix` takes a sign too.
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(bad());
        }
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
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

/// One operation, as the history has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Operation {
    /// Number, from 1 without a gap.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// What was done.
    pub action: Action,
    /// Who did it.
    #[serde(flatten)]
    pub agent: Agent,
    /// Why; none where nobody said.
    pub reason: Option<String>,
    /// What the images of artifacts do not say, such as the removal or the pin.
    pub detail: Option<Detail>,
    /// Number of images of artifacts.
    #[serde(rename = "image_count")]
    pub images: u64,
    /// Its hash, over what was before it too.
    pub hash: OperationHash,
    /// Number of artifacts that it changed.
    pub artifacts: u64,
    /// Path of the first of them, relative to the base directory.
    pub path: Option<String>,
}

/// On which side of an operation an image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// As it was before.
    Before,
    /// As it was after.
    After,
}

/// An artifact as it was before or after an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Before or after.
    pub side: Side,
    /// The whole row.
    pub artifact: Artifact,
}

impl Serialize for Image {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Flat<'a> {
            side: Side,
            #[serde(flatten)]
            artifact: &'a Artifact,
            origin: Origin,
            owner: Option<u32>,
        }
        Flat {
            side: self.side,
            artifact: &self.artifact,
            origin: self.artifact.origin,
            owner: self.artifact.owner,
        }
        .serialize(serializer)
    }
}

/// Which operations a listing gives. The parts are anded; the values of one part are ored; an empty
/// part selects all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HistoryFilter {
    /// What was done.
    pub actions: Vec<Action>,
    /// Who did it, by user name.
    pub users: Vec<String>,
    /// Since this moment.
    pub since: Option<Timestamp>,
    /// Until this moment.
    pub until: Option<Timestamp>,
    /// Operations on artifacts of these runs, on pins that bind these runs, on their scores.
    pub runs: Vec<Pattern>,
    /// Operations on these artifacts, or on pins that bind them one by one.
    pub artifacts: Vec<ArtifactId>,
    /// Before the operation with this number: where a reader goes on that reads page by page.
    pub before: Option<i64>,
    /// At most this many, the newest.
    pub most: Option<u64>,
}

/// What a check of the chain of hashes found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChainReport {
    /// Operations that fit, from the first on.
    pub operations: u64,
    /// OperationHash of the last of them.
    pub head: OperationHash,
    /// The first that does not fit, and why; none where all do.
    pub broken: Option<BrokenLink>,
    /// The hash that was asked for, if one was.
    pub noted: Option<NotedHash>,
}

impl ChainReport {
    /// Whether every operation fits, and the hash that was asked for is one of theirs.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let is_found = |noted: &NotedHash| noted.operation.is_some();
        self.broken.is_none() && self.noted.as_ref().is_none_or(is_found)
    }
}

/// A hash that somebody noted as the head of a history.
///
/// Where an operation has it, that one and all before it are what they were when the hash was noted:
/// the hash covers them. What came after it, it says nothing about. Where none has it, operations
/// that were there are cut off or written anew, or the hash is of another registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotedHash {
    /// The hash.
    pub hash: OperationHash,
    /// Number of the operation that has it; 0 for the hash of a history without operations; none
    /// where no operation that fits has it.
    pub operation: Option<i64>,
}

/// An operation that does not fit the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BrokenLink {
    /// Number of the operation.
    pub operation: i64,
    /// What does not fit.
    pub detail: String,
}

/// Why an operation cannot be undone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UndoError {
    /// There is no such operation.
    #[error("there is no operation {id}")]
    Unknown {
        /// Its number.
        id: i64,
    },
    /// Operations of its kind are never undone.
    #[error("operation {id} ({action}) cannot be undone: {why}")]
    Never {
        /// Its number.
        id: i64,
        /// What it did.
        action: Action,
        /// Why, and what to do instead.
        why: &'static str,
    },
    /// What it did was undone or taken back since.
    #[error("nothing of operation {id} is left to undo: {why}")]
    Already {
        /// Its number.
        id: i64,
        /// What became of it.
        why: String,
    },
    /// What it removed is gone for good.
    #[error("operation {id} cannot be undone any more: {why}")]
    TooLate {
        /// Its number.
        id: i64,
        /// Why.
        why: String,
    },
    /// What it changed was changed again.
    #[error("operation {id} cannot be undone: {what} changed since")]
    Changed {
        /// Its number.
        id: i64,
        /// What changed.
        what: String,
    },
}

impl UndoError {
    /// Stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "no-operation",
            Self::Never { .. } => "not-undoable",
            Self::Already { .. } => "undone-already",
            Self::TooLate { .. } => "undo-too-late",
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
