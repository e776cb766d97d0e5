//! What to do about an error.

use std::path::Path;

use super::{Error, is_full};
use crate::catalog::backup::BACKUPS_DIR;
use crate::catalog::{CatalogError, PUBLISHED_FILE};
use crate::model::hint::Hint;
use crate::model::name::REGISTRY_DIR;
use crate::store::StorageError;

impl Error {
    /// Whether the operation before one that cannot be undone can be.
    fn can_undo_before(&self) -> bool {
        matches!(self, Self::Catalog(CatalogError::Undo(error)) if error.before().is_some())
    }

    /// What to do about it; `None` if there is nothing to say.
    #[must_use]
    pub fn hint(&self) -> Option<Hint> {
        // What is wrong with a copy that another host published is put right by a new copy.
        if let Self::Catalog(error) = self
            && error
                .path()
                .is_some_and(|path| path.ends_with(Path::new(REGISTRY_DIR).join(PUBLISHED_FILE)))
        {
            return Some(match error {
                CatalogError::Io { source, .. } if is_full(source) => Hint::FreeCopySpace,
                // This host makes the copy; what prevents it is in the text.
                CatalogError::Io {
                    operation: "publishing",
                    ..
                } => Hint::FixCause,
                _ => Hint::Publish,
            });
        }
        if let Self::Catalog(CatalogError::Io { path, source, .. }) = self
            && source.kind() == std::io::ErrorKind::PermissionDenied
            && path.iter().rev().take(2).any(|name| name == BACKUPS_DIR)
        {
            return Some(Hint::OpenBackups);
        }
        // The user who made the link chose what it points to: only the link itself is to go.
        if let Self::Storage(StorageError::Symlink { path }) = self
            && path.iter().any(|name| name == REGISTRY_DIR)
        {
            return Some(Hint::MoveAwayFromFolderName);
        }
        if let Self::NotRecorded {
            level_of,
            is_run,
            inside,
            only_checkpoints,
            ..
        } = self
        {
            return Some(match (level_of, is_run, inside, only_checkpoints) {
                (Some(_), ..) => Hint::GivePyramidPath,
                (None, true, ..) => Hint::ListRun,
                (None, false, 1.., _) => Hint::ListFolder,
                (None, false, 0, true) => Hint::ScanCheckpoints,
                (None, false, 0, false) => Hint::RecordOrScan,
            });
        }
        // By code: documents and the Python package list hints by code too.
        Some(match self.code() {
            "no-registry" => Hint::Init,
            "base-not-found" => Hint::CheckBase,
            "base-not-a-folder" => Hint::GiveRunsFolder,
            "base-not-readable" => Hint::AskForAccess,
            "base-unusable" => Hint::GiveLocalFolder,
            // All of these are cured by a new catalog, which keeps the old file.
            "catalog-missing"
            | "catalog-damaged"
            | "catalog-not-a-file"
            | "catalog-row-damaged" => Hint::Rebuild,
            "catalog-replaced" => Hint::Reopen,
            "catalog-sound" => Hint::VerifyOrForce,
            "catalog-folder-missing" => Hint::BringCatalogFolderBack,
            "not-a-backup" => Hint::CopyWholeDatabase,
            "catalog-foreign" => Hint::NameRightCatalog,
            "catalog-too-new" => Hint::UseNewerVersion,
            "catalog-behind" => Hint::Migrate,
            "catalog-mismatch" => Hint::CheckCatalogAndBase,
            "registry-not-a-folder" => Hint::MoveAwayFromFolderName,
            "catalog-taken" => Hint::NameNewCatalog,
            "catalog-other-path" => Hint::LeaveCatalogOut,
            "catalog-elsewhere" => match self {
                Self::Catalog(CatalogError::AtKeeper { lost: Some(_), .. }) => Hint::TakeUpCatalog,
                _ => Hint::UseKeeper,
            },
            "catalog-not-here" => Hint::FindCatalog,
            "catalog-not-copied" => Hint::CopyCatalog,
            "catalog-outdated" => Hint::TakeNewerCatalog,
            "not-the-owner" => Hint::AskTheOwner,
            "catalog-unbound" => Hint::BindCatalog,
            "clock-before-epoch" | "clock-too-far" => Hint::SetClock,
            "not-published" => Hint::Publish,
            "catalog-on-network" => Hint::UseLocalDisk,
            "catalog-other-host" => Hint::UseItsHost,
            "lock-timeout" => Hint::WaitLonger,
            "read-only" => Hint::UseWritable,
            "forked" => Hint::ReopenAfterFork,
            "catalog-full" => match self {
                Self::Catalog(CatalogError::Full { reserve: true, .. }) => Hint::FreeByRemoval,
                _ => Hint::FreeCatalogSpace,
            },
            "path-taken" => Hint::ShowPath,
            "no-backup" => Hint::FreeBackupSpace,
            "config-invalid" => Hint::CorrectConfig,
            "nothing-written" => Hint::WriteFirst,
            "chunks-missing" => Hint::SealWithoutComplete,
            "levels-missing" => Hint::WriteLevels,
            "exclusion-unknown" => Hint::CorrectExclusion,
            "chunks-unknown" => Hint::SealUncounted,
            "nested-artifact" => Hint::SelectBoth,
            "mount-point" => Hint::Unmount,
            "inner-registry" => Hint::UseInnerRegistry,
            "changed-meanwhile" => Hint::LookAgain,
            "trash-untrusted" => Hint::MoveByHand,
            "not-movable" => Hint::ShareFolder,
            "pinned" => Hint::Unpin,
            "best-linked" => Hint::IgnoreBestLinks,
            "of-another-run" => Hint::FollowOrForce,
            "renamed-by-hand" => Hint::NameBackOrForce,
            "below-run" => Hint::GivePathAlone,
            "of-another-user" => Hint::SealAtKeeper,
            "best-link" => Hint::MendBestLink,
            "run-taken" => match self {
                Self::RunTaken { removals, .. } if !removals.is_empty() => Hint::EmptyOfName,
                _ => Hint::GiveOtherName,
            },
            "run-active" => Hint::EndTraining,
            "run-folder-gone" | "pinned-elsewhere" => Hint::RepairMoved,
            // The plan is of a state that is gone.
            "changed-since-plan" | "plan-outdated" => Hint::PlanAgain,
            "scores-invalid" => Hint::CorrectScores,
            "plan-invalid" => Hint::GivePlanFile,
            "plan-elsewhere" => Hint::GivePlanBase,
            "plan-empties-group" => Hint::KeepSomething,
            "plan-unmeasured" => Hint::Measure,
            "no-pin" => Hint::ListPins,
            "pin-taken" => Hint::ChangePinCall,
            "pin-without-reason" => Hint::GiveReason,
            "pin-binds-nothing" => Hint::ListRecorded,
            "no-operation" => Hint::ListOperations,
            _ if self.can_undo_before() => Hint::UndoBefore,
            "not-undoable" | "undone-already" | "undo-too-late" => Hint::ShowOperation,
            "changed-since-operation" => Hint::UndoLaterFirst,
            "no-removal" | "not-in-trash" => Hint::ListTrash,
            "lost-in-trash" => Hint::ForgetLost,
            "internal" => Hint::Report,
            // The text is the system's or SQLite's own, and names the cause.
            "occupied" => Hint::ClearPlace,
            "no-folder" => Hint::MakeFolder,
            "no-space" | "over-quota" => Hint::FreeSpace,
            "other-device" => Hint::RemoveByHand,
            "not-a-folder" | "not-a-file" => Hint::MoveAwayAndVerify,
            "path-outside" => Hint::Verify,
            "symlink" => Hint::RemoveLinkTarget,
            "layout-no-container" => Hint::GiveArrayPath,
            "layout-no-run" => Hint::PutContainerInRun,
            "outside-base" => Hint::GivePathInBase,
            "catalog-io" | "catalog-sql" | "storage-io" | "unreadable" => Hint::FixCause,
            // All codes of names break the same rules, so a new one needs no line here.
            code if code.starts_with("name-") => Hint::CorrectName,
            // The text says what to change, as with policies, or the caller knows, as with an
            // interrupt.
            _ => return None,
        })
    }
}
