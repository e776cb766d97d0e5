//! What to do about an error, as a value.
//!
//! [`Error::hint`](crate::Error::hint) gives one. The library has no words for it: a command line
//! names commands and flags, Python names calls and arguments. Each puts every hint in its own
//! words.

use serde::Serialize;

/// Declares the hints once: the variants, the list of all, and their names.
macro_rules! hints {
    ($($(#[$doc:meta])* $hint:ident = $name:literal,)+) => {
        /// What to do about an error.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
        #[serde(rename_all = "kebab-case")]
        #[non_exhaustive]
        pub enum Hint {
            $($(#[$doc])* $hint,)+
        }

        impl Hint {
            /// Every hint.
            pub const ALL: &'static [Self] = &[$(Self::$hint,)+];

            /// Stable name of the hint, in kebab-case.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$hint => $name,)+
                }
            }
        }
    };
}

hints! {
    /// Make a registry, then scan.
    Init = "init",
    /// Check the path of the base directory, or make the directory.
    CheckBase = "check-base",
    /// Give the folder that holds the runs.
    GiveRunsFolder = "give-runs-folder",
    /// Ask the owner of the base directory for read access.
    AskForAccess = "ask-for-access",
    /// Give a local folder with a UTF-8 name.
    GiveLocalFolder = "give-local-folder",
    /// Rebuild the catalog.
    Rebuild = "rebuild",
    /// Open the registry again.
    Reopen = "reopen",
    /// Verify, or force the rebuild.
    VerifyOrForce = "verify-or-force",
    /// Mount or make the folder of the catalog, then rebuild.
    BringCatalogFolderBack = "bring-catalog-folder-back",
    /// Copy the database together with its log, and rebuild from the copy.
    CopyWholeDatabase = "copy-whole-database",
    /// Name the right catalog file, or rebuild.
    NameRightCatalog = "name-right-catalog",
    /// Use a newer version of this program.
    UseNewerVersion = "use-newer-version",
    /// Open the registry for writing once, which migrates its catalog.
    Migrate = "migrate",
    /// Check that catalog and base directory belong together.
    CheckCatalogAndBase = "check-catalog-and-base",
    /// Move away what has the name of the registry's folder.
    MoveAwayFromFolderName = "move-away-from-folder-name",
    /// Name a catalog file that does not exist yet.
    NameNewCatalog = "name-new-catalog",
    /// Do not name a catalog: the base directory remembers it.
    LeaveCatalogOut = "leave-catalog-out",
    /// Call it on the host that has the catalog, or make this host the keeper.
    UseKeeper = "use-keeper",
    /// Take the catalog up again on the host that has it, by its path.
    TakeUpCatalog = "take-up-catalog",
    /// Use the host or the disk that has the catalog, or make this host the keeper.
    FindCatalog = "find-catalog",
    /// Copy the catalog to the path, from its host, its published copy or a backup.
    CopyCatalog = "copy-catalog",
    /// Take the published copy, which is newer, in place of the catalog.
    TakeNewerCatalog = "take-newer-catalog",
    /// Have the owner of the registry's folder, or root, do it.
    AskTheOwner = "ask-the-owner",
    /// Say that the catalog belongs to the base directory.
    BindCatalog = "bind-catalog",
    /// Set the clock of the machine.
    SetClock = "set-clock",
    /// Publish a copy of the catalog, on the host that has it.
    Publish = "publish",
    /// Keep the catalog on a local disk, or write it on one host only.
    UseLocalDisk = "use-local-disk",
    /// Write on the host that the catalog belongs to, or only read.
    UseItsHost = "use-its-host",
    /// Try again, or wait longer.
    WaitLonger = "wait-longer",
    /// Work as a user who may write the catalog and its folder.
    UseWritable = "use-writable",
    /// Close the registry before the fork, and open it in the child.
    ReopenAfterFork = "reopen-after-fork",
    /// Free space where the catalog is.
    FreeCatalogSpace = "free-catalog-space",
    /// Free space with a removal, or by emptying the trash, for which there is a reserve.
    FreeByRemoval = "free-by-removal",
    /// Free space in the base directory for the published copy, and publish again.
    FreeCopySpace = "free-copy-space",
    /// Let the backups of the catalog be read, or rebuild it without them.
    OpenBackups = "open-backups",
    /// Look at the artifact that has the path.
    ShowPath = "show-path",
    /// Free space for a backup of the catalog.
    FreeBackupSpace = "free-backup-space",
    /// Correct `config.toml`.
    CorrectConfig = "correct-config",
    /// Record the artifact, or scan.
    RecordOrScan = "record-or-scan",
    /// Scan for checkpoints.
    ScanCheckpoints = "scan-checkpoints",
    /// List what is recorded of the run.
    ListRun = "list-run",
    /// List what is recorded in the folder.
    ListFolder = "list-folder",
    /// Write the array first.
    WriteFirst = "write-first",
    /// Seal it without asking for every chunk.
    SealWithoutComplete = "seal-without-complete",
    /// Correct the name that is to be left out.
    CorrectExclusion = "correct-exclusion",
    /// Write the missing levels.
    WriteLevels = "write-levels",
    /// Seal it without counting its chunks.
    SealUncounted = "seal-uncounted",
    /// Select the inner artifact too, or move one away.
    SelectBoth = "select-both",
    /// Unmount the file system.
    Unmount = "unmount",
    /// Remove it with the registry that it belongs to.
    UseInnerRegistry = "use-inner-registry",
    /// Look at the data and repeat the call.
    LookAgain = "look-again",
    /// Ask the owner of the data, or look at it and move it by hand.
    MoveByHand = "move-by-hand",
    /// Let its owner give the folder to the group, or leave it out.
    ShareFolder = "share-folder",
    /// Unpin, or override pins.
    Unpin = "unpin",
    /// Override best links.
    IgnoreBestLinks = "ignore-best-links",
    /// Repair the best link, or override best links.
    MendBestLink = "mend-best-link",
    /// Let the rows follow their data, or override that it is another run's.
    FollowOrForce = "follow-or-force",
    /// Give the folder its old name back, let the rows follow, or take the rows out without data.
    NameBackOrForce = "name-back-or-force",
    /// Seal it on the host that has the catalog, or let its owner seal it.
    SealAtKeeper = "seal-at-keeper",
    /// Delete from the trash what binds the name, or give another name.
    EmptyOfName = "empty-of-name",
    /// Give a name that nothing has.
    GiveOtherName = "give-other-name",
    /// Wait for the end of the training, or say that there is none.
    EndTraining = "end-training",
    /// Repair what was renamed by hand.
    RepairMoved = "repair-moved",
    /// Make a new plan.
    PlanAgain = "plan-again",
    /// Correct the line of the scores file.
    CorrectScores = "correct-scores",
    /// Give a file that a plan was written to.
    GivePlanFile = "give-plan-file",
    /// Give the base directory that the plan was made for.
    GivePlanBase = "give-plan-base",
    /// Keep something of the group, or allow empty groups.
    KeepSomething = "keep-something",
    /// Measure the selection.
    Measure = "measure",
    /// List the pins.
    ListPins = "list-pins",
    /// Leave the reason out, or use another name.
    ChangePinCall = "change-pin-call",
    /// Give a reason.
    GiveReason = "give-reason",
    /// List what is recorded.
    ListRecorded = "list-recorded",
    /// List the operations.
    ListOperations = "list-operations",
    /// Look at the operation.
    ShowOperation = "show-operation",
    /// Undo the later operation first.
    UndoLaterFirst = "undo-later-first",
    /// Undo the operation before the one that cannot be undone.
    UndoBefore = "undo-before",
    /// List the trash.
    ListTrash = "list-trash",
    /// Forget a removal of which nothing is left in the trash.
    ForgetLost = "forget-lost",
    /// Report a bug.
    Report = "report",
    /// Move away what is in the way, and restore again.
    ClearPlace = "clear-place",
    /// Make the registry's folder.
    MakeFolder = "make-folder",
    /// Free space, or empty the trash.
    FreeSpace = "free-space",
    /// Remove it on its own file system.
    RemoveByHand = "remove-by-hand",
    /// Move away what is there instead, and verify.
    MoveAwayAndVerify = "move-away-and-verify",
    /// Verify: the catalog or a manifest was changed by another program.
    Verify = "verify",
    /// Remove what the symbolic link points to, or move the link away from where a restore goes.
    RemoveLinkTarget = "remove-link-target",
    /// Name the pyramid that a path is a level of.
    GivePyramidPath = "give-pyramid-path",
    /// Give a path in a container, or of a checkpoint.
    GiveArrayPath = "give-array-path",
    /// A container lies in the folder of its run.
    PutContainerInRun = "put-container-in-run",
    /// Give a path below the base directory.
    GivePathInBase = "give-path-in-base",
    /// Give the run by its name, and what is in it by its path alone.
    GivePathAlone = "give-path-alone",
    /// Correct the name.
    CorrectName = "correct-name",
    /// Fix the cause and repeat the call.
    FixCause = "fix-cause",
}
