//! A removal as a value: who took what away, when, why, and whether it can come back.

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
    /// Makes an id from the time and some random bits.
    #[must_use]
    pub fn new(now: Timestamp, random: u32) -> Self {
        let time: String = now
            .to_string()
            .chars()
            .filter(char::is_ascii_digit)
            .take(14)
            .collect();
        let (day, time) = time.split_at(time.len().min(8));
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

/// A text that is no id of a removal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{}\" is no id of a removal; ids look like 20261122-163000-3f9a2c", .0.escape_debug())]
pub struct ParseRemovalIdError(pub String);

impl FromStr for RemovalId {
    type Err = ParseRemovalIdError;

    /// Reads digits, letters a to f and `-`: what can be a folder's name and nothing else.
    fn from_str(text: &str) -> Result<Self, ParseRemovalIdError> {
        let fits = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f' | b'-');
        let dashes = text.bytes().filter(|&byte| byte == b'-').count();
        if (16..=32).contains(&text.len()) && dashes == 2 && text.bytes().all(fits) {
            return Ok(Self(text.to_owned()));
        }
        Err(ParseRemovalIdError(text.to_owned()))
    }
}

/// What has become of a removal's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RemovalState {
    /// In the trash; can be restored.
    Kept,
    /// Being unlinked; cannot be restored any more.
    Purging,
    /// Unlinked.
    Purged,
    /// Back in its place.
    Restored,
}

impl RemovalState {
    /// Every state, in the order of the catalog's numbers.
    pub const ALL: [Self; 4] = [Self::Kept, Self::Purging, Self::Purged, Self::Restored];

    /// The name that people and JSON use.
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
pub struct Removal {
    /// Id.
    pub id: RemovalId,
    /// When.
    pub removed_at: Timestamp,
    /// Who.
    #[serde(flatten)]
    pub actor: Actor,
    /// Why; none where nobody said.
    pub reason: Option<String>,
    /// What has become of it.
    pub state: RemovalState,
    /// When a kept one may be purged; none where it waits until the trash is emptied.
    pub purge_after: Option<Timestamp>,
    /// Number of artifacts whose data is or was in the trash, and not restored.
    pub artifacts: u64,
    /// Their bytes and files, as far as they were counted.
    #[serde(flatten)]
    pub total: Total,
}

/// An artifact that a removal took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedArtifact {
    /// The removal.
    pub removal: RemovalId,
    /// Number of the folder in the trash that holds its data; none where there was no data.
    pub item: Option<u32>,
    /// The row, as it was.
    pub artifact: Artifact,
}

impl Serialize for RemovedArtifact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Flat<'a> {
            removal: &'a RemovalId,
            item: Option<u32>,
            #[serde(flatten)]
            artifact: &'a Artifact,
        }
        Flat {
            removal: &self.removal,
            item: self.item,
            artifact: &self.artifact,
        }
        .serialize(serializer)
    }
}

/// How long removed data stays in the trash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TrashKeep {
    /// It is purged as soon as the removal is committed.
    #[default]
    No,
    /// For this long; the first open for writing after that purges it.
    For(Duration),
    /// Until the trash is emptied.
    UntilEmptied,
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
