//! Removals: one call that removes artifacts, and what became of their data.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use crate::model::actor::Actor;
use crate::model::artifact::Artifact;
use crate::model::clock::Timestamp;
use crate::model::size::Total;

/// The id of a removal and the name of its folder in the trash, such as `20261122-163000-3f9a2c`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct RemovalId(String);

impl From<RemovalId> for String {
    fn from(id: RemovalId) -> Self {
        id.0
    }
}

impl TryFrom<String> for RemovalId {
    type Error = ParseRemovalIdError;

    fn try_from(text: String) -> Result<Self, ParseRemovalIdError> {
        text.parse()
    }
}

impl RemovalId {
    /// Makes an id from the time and 24 random bits.
    #[must_use]
    pub fn new(now: Timestamp, random: u32) -> Self {
        // The first 14 digits of RFC 3339 are day and time to the second.
        let time: String = now
            .to_string()
            .chars()
            .filter(char::is_ascii_digit)
            .take(14)
            .collect();
        let (day, time) = time.split_at(time.len().min(8));
        // The random bits tell removals of one second apart.
        Self(format!("{day}-{time}-{:06x}", random & 0xFF_FFFF))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RemovalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The text is not the id of a removal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{}\" is not the id of a removal; ids look like 20261122-163000-3f9a2c",
    .0.escape_debug()
)]
#[non_exhaustive]
pub struct ParseRemovalIdError(pub String);

impl FromStr for RemovalId {
    type Err = ParseRemovalIdError;

    /// Accepts 16 to 32 digits, letters `a` to `f` and two `-`: the id names a folder, so nothing
    /// else is let through.
    fn from_str(text: &str) -> Result<Self, ParseRemovalIdError> {
        // Without `.` and `/`, the id cannot lead out of the trash.
        let fits = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f' | b'-');
        let dashes = text.bytes().filter(|&byte| byte == b'-').count();
        if (16..=32).contains(&text.len()) && dashes == 2 && text.bytes().all(fits) {
            return Ok(Self(text.to_owned()));
        }
        Err(ParseRemovalIdError(text.to_owned()))
    }
}

/// State of the data of a removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum RemovalState {
    /// The data is in the trash and can be restored.
    Kept,
    /// The data is being unlinked and can no longer be restored.
    Purging,
    /// The data is unlinked.
    Purged,
    /// The data is back at its path.
    Restored,
}

impl RemovalState {
    /// Every state, in the order of the catalog's numbers.
    pub const ALL: [Self; 4] = [Self::Kept, Self::Purging, Self::Purged, Self::Restored];

    /// The name of the state in text and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Purging => "purging",
            Self::Purged => "purged",
            Self::Restored => "restored",
        }
    }
}

impl fmt::Display for RemovalState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A removal, without its artifacts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Removal {
    /// Its id, which names its folder in the trash.
    pub id: RemovalId,
    /// When it was made.
    pub removed_at: Timestamp,
    /// Who made it.
    #[serde(flatten)]
    pub actor: Actor,
    /// The reason that the caller gave.
    pub reason: Option<String>,
    /// State of its data.
    pub state: RemovalState,
    /// When its data may be unlinked; `None` if it is kept until the trash is emptied.
    pub purge_after: Option<Timestamp>,
    /// Number of its artifacts that were not restored.
    pub artifacts: u64,
    /// Bytes and files of those artifacts, as far as they were counted.
    #[serde(flatten)]
    pub total: Total,
}

/// What has become of a removal by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RemovalFate {
    /// State of its data.
    pub state: RemovalState,
    /// Number of its artifacts that were restored.
    pub restored: u64,
    /// Number of its artifacts that were not.
    pub left: u64,
    /// When its data was unlinked, or the last of it came back; `None` if neither is so.
    pub ended_at: Option<Timestamp>,
}

impl fmt::Display for RemovalFate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.restored + self.left;
        let state = match (self.state, self.restored) {
            (RemovalState::Kept, 0) => "in the trash",
            (RemovalState::Kept, _) => "partly restored",
            (RemovalState::Purging, _) => "being purged",
            (RemovalState::Purged, _) => "purged",
            (RemovalState::Restored, _) => "restored",
        };
        f.write_str(state)?;
        // To the minute.
        if let Some(at) = self.ended_at {
            write!(f, " at {}", at.to_string()[..16].replace('T', " "))?;
        }
        match (self.state, self.restored) {
            (_, 0) | (RemovalState::Restored, _) => Ok(()),
            (RemovalState::Kept, restored) => {
                write!(f, ": {restored} of {all}; the rest is in the trash")
            }
            (_, restored) => write!(f, "; {restored} of {all} were restored before"),
        }
    }
}

/// An artifact that a removal removed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemovedArtifact {
    /// The removal.
    pub removal: RemovalId,
    /// Number of the folder in the trash that holds its data; `None` if it had no data.
    pub item: Option<u32>,
    /// The row before the removal.
    pub artifact: Artifact,
}

impl Serialize for RemovedArtifact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct FlatArtifact<'a> {
            removal: &'a RemovalId,
            item: Option<u32>,
            #[serde(flatten)]
            artifact: &'a Artifact,
        }
        FlatArtifact {
            removal: &self.removal,
            item: self.item,
            artifact: &self.artifact,
        }
        .serialize(serializer)
    }
}

/// How long removed data stays in the trash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TrashKeep {
    /// As `trash.keep` of the registry's `config.toml` says; not at all if it does not say.
    #[default]
    Configured,
    /// Not at all: it is unlinked as soon as the removal is committed.
    No,
    /// For this long; the first open for writing after that unlinks it.
    For(Duration),
    /// Until a call empties the trash.
    UntilEmptied,
}

impl TrashKeep {
    /// What this means if `trash.keep` is `configured`; never
    /// [`Configured`](Self::Configured).
    #[must_use]
    pub(crate) fn resolve(self, configured: Option<Duration>) -> Self {
        match (self, configured) {
            (Self::Configured, Some(time)) => Self::For(time),
            (Self::Configured, None) => Self::No,
            (keep, _) => keep,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_what_they_write_and_are_no_paths() {
        let id = RemovalId::new(Timestamp(1_700_000_000_123), 0xAB_CDEF);
        assert_eq!(id.as_str(), "20231114-221320-abcdef");
        assert_eq!(id.as_str().parse(), Ok(id));
        for text in [
            "",
            "..",
            "a/b",
            "20231114-221320",
            "20231114-221320-xyz",
            "2023/114-221320-ab",
        ] {
            assert!(text.parse::<RemovalId>().is_err(), "{text}");
        }
    }
}
