//! What a verification finds, as values.

use std::collections::BTreeMap;
use std::fmt;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::model::artifact::ArtifactId;
use crate::model::name::REGISTRY_DIR;
use crate::store::Notice;

/// Classes of findings; their names are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum VerifyClass {
    /// SQLite finds the catalog's file damaged, or rows that refer to rows that do not exist.
    CatalogDamaged,
    /// The chain of hashes over the history does not fit.
    HistoryBroken,
    /// A row that cannot be read: an unknown kind, names that break the rules, a path that does
    /// not fit its key or leads out of the base directory.
    RowDamaged,
    /// A row whose path, normalized, is that of another row.
    TwoRowsOnePath,
    /// A folder or file that cannot be read: nothing below it is judged.
    Unreadable,
    /// All arrays of a run or container are gone and are, with the same times, at another path. One
    /// finding, with what it explains in [`VerifyFinding::follows`].
    Moved,
    /// Arrays without rows below a run folder that are, by path and metadata, those of one run.
    Copied,
    /// A row says that its data is there, and nothing is at its path.
    RowWithoutData,
    /// A row says that its data is missing, and the data is at its path.
    DataIsBack,
    /// Data on disk that no row has.
    DataWithoutRow,
    /// The folder of an array has files in it, and its array metadata is gone.
    NoMetadata,
    /// The metadata of an array cannot be read.
    DamagedMetadata,
    /// The path of an array or container is not a folder, or that of a checkpoint is not a file: a
    /// symbolic link, for example.
    WrongType,
    /// The number of files is not what was counted; missing chunks read as fill values, silently.
    ChangedFiles,
    /// The number of files is as counted, but the number of bytes is not.
    ChangedSize,
    /// Files and bytes are as many as when it was sealed, but their contents differ.
    ChangedContent,
    /// The metadata was rewritten since it was last seen.
    Rewritten,
    /// Consolidated metadata of a group lists arrays or groups that are gone; they read as fill
    /// values.
    StaleList,
    /// A removal or restore in flight, or one that was interrupted.
    TrashUnsettled,
    /// Something in the trash that belongs to no open removal.
    TrashLeftover,
    /// What a kept removal took is not in the trash.
    TrashMissing,
    /// What a restore found lost, so that its row is missing, lies in the trash of its removal again.
    TrashReturned,
    /// The old place of what a kept removal took is taken, so it cannot be restored there.
    TrashOccupied,
    /// A file of the inbox with a note that could not be folded into the catalog, or something else
    /// that lies in the inbox.
    InboxRefused,
}

impl VerifyClass {
    /// Every class, in the order of a report.
    pub const ALL: [Self; 24] = [
        Self::CatalogDamaged,
        Self::HistoryBroken,
        Self::RowDamaged,
        Self::TwoRowsOnePath,
        Self::Unreadable,
        Self::Moved,
        Self::Copied,
        Self::RowWithoutData,
        Self::DataIsBack,
        Self::DataWithoutRow,
        Self::NoMetadata,
        Self::DamagedMetadata,
        Self::WrongType,
        Self::ChangedFiles,
        Self::ChangedSize,
        Self::ChangedContent,
        Self::Rewritten,
        Self::StaleList,
        Self::TrashUnsettled,
        Self::TrashLeftover,
        Self::TrashMissing,
        Self::TrashReturned,
        Self::TrashOccupied,
        Self::InboxRefused,
    ];

    /// The name that people and JSON use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CatalogDamaged => "catalog-damaged",
            Self::HistoryBroken => "history-broken",
            Self::RowDamaged => "row-damaged",
            Self::TwoRowsOnePath => "two-rows-one-path",
            Self::Unreadable => "unreadable",
            Self::Moved => "moved",
            Self::Copied => "copied",
            Self::RowWithoutData => "row-without-data",
            Self::DataIsBack => "data-is-back",
            Self::DataWithoutRow => "data-without-row",
            Self::NoMetadata => "no-metadata",
            Self::DamagedMetadata => "damaged-metadata",
            Self::WrongType => "wrong-type",
            Self::ChangedFiles => "changed-files",
            Self::ChangedSize => "changed-size",
            Self::ChangedContent => "changed-content",
            Self::Rewritten => "rewritten",
            Self::StaleList => "stale-list",
            Self::TrashUnsettled => "trash-unsettled",
            Self::TrashLeftover => "trash-leftover",
            Self::TrashMissing => "trash-missing",
            Self::TrashReturned => "trash-returned",
            Self::TrashOccupied => "trash-occupied",
            Self::InboxRefused => "inbox-refused",
        }
    }

    /// What to do about a finding that a repair cannot fix. `REMOVAL` is the id of the removal that
    /// it is about.
    #[must_use]
    pub fn next(self) -> &'static str {
        match self {
            // Damaged rows prove nothing about what they were, so no single repair is right.
            Self::CatalogDamaged | Self::RowDamaged | Self::TwoRowsOnePath => {
                "rebuild it from the newest good backup or published copy and the disk with: dalsegno \
                 rebuild"
            }
            Self::HistoryBroken => {
                "keep a copy of the catalog and ask who changed it; nothing can make history whole"
            }
            Self::Unreadable => "fix its permissions or the disk, then run: dalsegno verify",
            Self::Moved => "move it back by hand; then rename it with: dalsegno mv RUN NEW",
            Self::Copied | Self::DataWithoutRow => "add it with: dalsegno scan",
            Self::RowWithoutData | Self::DataIsBack | Self::Rewritten => {
                "record what is there with: dalsegno refresh --all"
            }
            // A seal is right only for data that is whole, so that comes first.
            Self::ChangedFiles | Self::ChangedSize => {
                "write it again, or bring it back from a copy; then: dalsegno seal PATH"
            }
            Self::ChangedContent => {
                "write it again, or bring it back from a copy; then: dalsegno seal --hash PATH"
            }
            Self::NoMetadata | Self::DamagedMetadata => {
                "bring the metadata back from a copy, or remove what is left with: dalsegno rm PATH"
            }
            Self::WrongType => "check what is at that path and move it away",
            Self::StaleList => {
                "make its folder writable, then run: dalsegno verify --repair; or consolidate the \
                 metadata with zarr"
            }
            Self::TrashUnsettled => "finish it with: dalsegno trash empty",
            Self::TrashLeftover => "look at it, and move it away; dalsegno leaves it alone",
            Self::TrashMissing => {
                "it cannot be restored any more; restore what is left of its removal with: dalsegno \
                 restore REMOVAL; if nothing is, forget it with: dalsegno trash empty REMOVAL"
            }
            Self::TrashReturned => "bring it back with: dalsegno restore REMOVAL",
            Self::TrashOccupied => {
                // Never to move away what is there: a training may be writing it.
                "give it up with: dalsegno trash empty REMOVAL; if its removal took more, bring \
                 that back first with: dalsegno restore REMOVAL"
            }
            Self::InboxRefused => {
                "look at it; correct it and move it back to .dalsegno/inbox, or delete it"
            }
        }
    }
}

impl fmt::Display for VerifyClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `pad`, so that a width that the caller gives is kept.
        f.pad(self.as_str())
    }
}

impl Serialize for VerifyClass {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What a repair does about a finding. None of them touches data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Repair {
    /// Marks the row missing.
    MarkMissing,
    /// Marks the row present.
    MarkPresent,
    /// Marks the row damaged: its metadata cannot be read.
    MarkDamaged,
    /// Writes size and time into the row again, and removes its seal.
    UpdateRow,
    /// Adds a row, as a scan does.
    Adopt,
    /// Finishes or reverts an interrupted removal, as every open for writing does.
    Settle,
    /// Gives rows, pins and scores to the new path.
    Follow,
    /// Takes what is gone out of the consolidated metadata of a group.
    RewriteList,
    /// Repairs the findings that it sums up.
    WithParts,
}

impl Repair {
    /// The name that people and JSON use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MarkMissing => "mark-missing",
            Self::MarkPresent => "mark-present",
            Self::MarkDamaged => "mark-damaged",
            Self::UpdateRow => "note-anew",
            Self::Adopt => "adopt",
            Self::Settle => "settle",
            Self::Follow => "follow",
            Self::RewriteList => "rewrite-list",
            Self::WithParts => "with-parts",
        }
    }
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Repair {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Where the data of a run or container is that was renamed by hand, and what follows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Follows {
    /// The new path, relative to the base directory.
    pub to: String,
    /// Number of arrays that are there.
    pub arrays: u64,
    /// Number of pins that bind the run or any of its artifacts.
    pub pins: u64,
    /// Number of scores of the run; 0 for a container.
    pub scores: u64,
    /// Folders in which a scan saw the data on its way. Their rows bind nothing, and go.
    pub passed: Vec<String>,
    /// What is found at the old and new paths only because of the rename.
    pub findings: Vec<VerifyPart>,
}

/// What a finding about a folder explains at a path in it. It is no finding of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct VerifyPart {
    /// What kind of thing.
    pub class: VerifyClass,
    /// Path relative to the base directory.
    pub path: String,
    /// Number of the row that it is about.
    pub artifact: Option<ArtifactId>,
    /// What exactly.
    pub detail: String,
}

/// One thing in which catalog and disk do not agree.
///
/// Serializes to the fields `class path artifact detail repair next follows`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyFinding {
    /// What kind of thing.
    pub class: VerifyClass,
    /// Path relative to the base directory; what is not printable is escaped. For the catalog's
    /// own findings the absolute path of its file.
    pub path: String,
    /// Number of the row that it is about.
    pub artifact: Option<ArtifactId>,
    /// What exactly.
    pub detail: String,
    /// What a repair does about it; `None` if it needs manual action.
    pub repair: Option<Repair>,
    /// For a run or container that was renamed by hand: what follows it.
    pub follows: Option<Follows>,
}

impl VerifyFinding {
    /// What to do about it, if a repair cannot.
    #[must_use]
    pub fn next(&self) -> Option<String> {
        // Of an item in the trash, the folder that it is in has the id of its removal.
        let removal = self.path.rsplit('/').nth(1).unwrap_or_default();
        let next = || match self.is_of_inbox_itself() {
            true => "move it away; the next command that needs an inbox makes one".to_owned(),
            false => self.class.next().replace("REMOVAL", removal),
        };
        self.repair.is_none().then(next)
    }

    /// Whether it is about what is in the place of the inbox, or of the refused files in it.
    fn is_of_inbox_itself(&self) -> bool {
        let in_registry = self.path.strip_prefix(REGISTRY_DIR);
        self.class == VerifyClass::InboxRefused
            && matches!(in_registry, Some("/inbox" | "/inbox/refused"))
    }
}

impl Serialize for VerifyFinding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Names and order are those that the doc of the type promises.
        let mut out = serializer.serialize_struct("VerifyFinding", 7)?;
        out.serialize_field("class", &self.class)?;
        out.serialize_field("path", &self.path)?;
        out.serialize_field("artifact", &self.artifact)?;
        out.serialize_field("detail", &self.detail)?;
        out.serialize_field("repair", &self.repair)?;
        out.serialize_field("next", &self.next())?;
        out.serialize_field("follows", &self.follows)?;
        out.end()
    }
}

/// What a verification looked at and found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Rows of the selection.
    pub rows: u64,
    /// Rows whose bytes and files were compared by a walk.
    pub measured: u64,
    /// Rows whose data was read, to compare its contents.
    pub read: u64,
    /// Sealed rows that have no content hash to compare; 0 if contents were not compared.
    pub unhashed: u64,
    /// Arrays found on disk.
    pub arrays: u64,
    /// Checkpoints found on disk.
    pub checkpoints: u64,
    /// Arrays and checkpoints without a row whose keys wait in the inbox. They are no findings: the
    /// next command that writes records them.
    pub noted: u64,
    /// Arrays and checkpoints without a row that were written since the published copy was made.
    /// They are no findings: the catalog may have a row for each. 0 if the catalog itself was
    /// compared.
    pub newer: u64,
    /// Operations of the history that fit their chain; `None` if the chain was not checked.
    pub operations: Option<u64>,
    /// Whether everything could be read. What was not read was not judged.
    pub is_complete: bool,
    /// Findings, by class and path.
    pub findings: Vec<VerifyFinding>,
    /// What the walk noticed that does not concern the catalog, by path: metadata that makes no
    /// sense, arrays that no row can have, symbolic links.
    pub notices: Vec<Notice>,
}

impl VerifyReport {
    /// Number of findings of each class that has any.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<VerifyClass, u64> {
        let mut counts = BTreeMap::new();
        for finding in &self.findings {
            *counts.entry(finding.class).or_default() += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_a_name_of_its_own_and_says_what_is_next() {
        let mut names: Vec<_> = VerifyClass::ALL.map(VerifyClass::as_str).to_vec();
        for class in VerifyClass::ALL {
            assert!(!class.next().is_empty());
            assert_eq!(
                serde_json::to_string(&class).unwrap(),
                format!("\"{class}\"")
            );
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), VerifyClass::ALL.len());
    }
}
