//! Hints as text for the command line, which names commands and flags. This is the only table of
//! them.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::io::Errno;
use rustix::process::geteuid;

use super::artifacts::user_name;
use super::render::shell_word;
use crate::catalog::{CatalogError, PUBLISHED_FILE};
use crate::error::{Error, listed};
use crate::model::hint::Hint;
use crate::model::name::REGISTRY_DIR;
use crate::model::operation::UndoError;
use crate::ops::held;
use crate::store::{Base, StorageError, Trash};

/// What to do about an error: the text of its hint, with the values that the error knows. Paths
/// below `base` become absolute, because the current folder can be any. `may_skip`: whether the
/// command has `--keep-going`.
pub(super) fn of(error: &Error, base: Option<&Path>, may_skip: bool) -> Option<String> {
    if let Error::Storage(StorageError::NotMovable {
        share: Some(share), ..
    }) = error
    {
        return Some(or_skip(share.to_string(), may_skip));
    }
    if let (Error::Catalog(CatalogError::NotCopied { path, .. }), Some(base)) = (error, base) {
        return Some(how_to_copy(path, base));
    }
    if let Error::Catalog(CatalogError::Outdated { path, copy, .. }) = error {
        return Some(how_to_take(path, copy));
    }
    if let Error::Catalog(CatalogError::NoRegistry {
        near: Some(near), ..
    }) = error
    {
        let near = shell_word(&near.display().to_string());
        return Some(format!(
            "use that one with --base {near}, or {}",
            text(Hint::Init)
        ));
    }
    if let Error::Catalog(CatalogError::NotHere {
        path,
        keeper: Some(_),
    }) = error
    {
        // The writer of the path may want a catalog in a folder of this user.
        if let Some(writer) = base.and_then(other_writer) {
            return Some(format!(
                "mount its disk, if that is not mounted; {writer} wrote this path into \
                 {REGISTRY_DIR}/config.toml: ask that user, or root, before a catalog is made there"
            ));
        }
        let path = shell_word(&path.display().to_string());
        return Some(format!(
            "mount its disk, if that is not mounted; if the catalog is lost, make a new one, from its \
             published copy or the newest backup, with: dalsegno rebuild --catalog {path}"
        ));
    }
    if let Error::Catalog(CatalogError::AtKeeper {
        path,
        host: Some(host),
        here,
        lost: Some(_),
    }) = error
    {
        let path = shell_word(&path.display().to_string());
        let there = match host == here {
            true => String::new(),
            false => format!("on host {host}, "),
        };
        return Some(format!(
            "{there}take it up again with: dalsegno init --here --catalog {path}; until then what is \
             recorded is noted"
        ));
    }
    if let Error::Storage(StorageError::Io { path, source, .. }) = error
        && source.raw_os_error() == Some(Errno::NAMETOOLONG.raw_os_error())
    {
        return Some(how_to_shorten(path, base));
    }
    if let Error::OfAnotherUser { path, host } = error {
        return Some(who_seals(path, host.as_deref()));
    }
    let hint = error.hint()?;
    if hint == Hint::ShareFolder {
        return Some(or_skip(who_moves(error), may_skip));
    }
    // Running a removal again makes another plan.
    if hint == Hint::PlanAgain && may_skip {
        let next = "it came since the question, so nothing was removed; to see what would go now, \
                    and answer that: run the same command again";
        return Some(next.to_owned());
    }
    if base.is_some_and(is_trash_empty)
        && let Some(text) = without_trash(hint)
    {
        return Some(text.to_owned());
    }
    let text = text(hint);
    if let Error::LostInTrash { removal, .. } = error {
        return Some(text.replace("REMOVAL", removal.as_str()));
    }
    if let Error::RunTaken { removals, .. } = error {
        return Some(text.replacen("REMOVAL", &listed(removals), 1));
    }
    let (placeholder, value) = match error {
        // Of several pins, each must be named in a call of its own.
        Error::Pinned { pins, .. } if !pins.contains(", ") => ("NAME", pins.clone()),
        Error::Catalog(CatalogError::PathTaken { path, .. }) => {
            let base = base.unwrap_or(Path::new(""));
            ("PATH", base.join(path).display().to_string())
        }
        Error::Catalog(CatalogError::NotTheOwner { owner, .. }) => ("USER", user_name(*owner)),
        Error::Catalog(CatalogError::NotHere { path, .. } | CatalogError::Unbound { path, .. }) => {
            ("PATH", path.display().to_string())
        }
        Error::Occupied { path } | Error::MountPoint { path } => {
            ("PATH", path.display().to_string())
        }
        Error::NotRecorded {
            path: Some(path), ..
        } => ("PATH", path.display().to_string()),
        Error::InnerRegistry { registry, .. } => ("DIR", registry.display().to_string()),
        Error::Catalog(CatalogError::NotABackup { path }) => ("FILE", path.display().to_string()),
        Error::Catalog(CatalogError::Undo(
            error @ (UndoError::Never { id, .. }
            | UndoError::Already { id, .. }
            | UndoError::TooLate { id, .. }
            | UndoError::Changed { id, .. }),
        )) => ("N", error.before().unwrap_or(*id).to_string()),
        _ => return Some(text.to_owned()),
    };
    // Quoted, because hints are pasted into a shell and names may hold spaces. Only the first
    // place: a value may itself contain the placeholder.
    Some(text.replacen(placeholder, &shell_word(&value), 1))
}

/// Who can move what this user may not, by name if that is known.
fn who_moves(error: &Error) -> String {
    match held::owner_of(error) {
        Some(owner) => {
            format!("ask {owner}, or root, to run a command that writes, such as: dalsegno scan")
        }
        None => text(Hint::ShareFolder).to_owned(),
    }
}

/// Bytes of a path below the base directory that is named to be typed.
const MOST_TYPED: usize = 512;

/// What to do about a path that is too long for the system: names a folder above it that can be
/// moved.
fn how_to_shorten(path: &Path, base: Option<&Path>) -> String {
    let most = base.map_or(0, |base| base.as_os_str().len()) + MOST_TYPED;
    let mut above = path.ancestors();
    let above = above.find(|above| above.as_os_str().len() <= most);
    let folder = shell_word(&above.unwrap_or(path).display().to_string());
    format!(
        "the path is longer than the system takes: move a folder above it out of the run by hand, such \
         as {folder}; then run the same command again"
    )
}

/// What to do, and that the command can go on without what it is about.
fn or_skip(next: String, may_skip: bool) -> String {
    match may_skip {
        true => next + "; --keep-going skips it",
        false => next,
    }
}

/// Who can seal data of another user, where, and with what.
fn who_seals(path: &Path, host: Option<&str>) -> String {
    let seals =
        text(Hint::SealAtKeeper).replacen("PATH", &shell_word(&path.display().to_string()), 1);
    match host {
        Some(host) => seals.replacen(
            "on the host that has the catalog",
            &format!("on host {host}, which has the catalog,"),
            1,
        ),
        None => seals,
    }
}

/// Whether nothing is in the trash of a base directory, so that emptying it frees nothing.
fn is_trash_empty(base: &Path) -> bool {
    let listed = Base::open(base).and_then(|base| match Trash::open(&base)? {
        Some(trash) => trash.list(),
        None => Ok(Default::default()),
    });
    // What cannot be read may hold something.
    listed.is_ok_and(|(removals, _)| removals.is_empty())
}

/// The text of a hint at the trash, if that is empty.
fn without_trash(hint: Hint) -> Option<&'static str> {
    match hint {
        Hint::FreeSpace => Some("free some space; nothing was changed"),
        Hint::FreeByRemoval => {
            Some("free space with: dalsegno rm; a reserve lets it work on a full disk")
        }
        Hint::FreeCopySpace => {
            Some("free space in the base directory with: dalsegno rm; then run: dalsegno publish")
        }
        _ => None,
    }
}

/// What is typed so that the catalog of a base directory is at a path.
fn how_to_copy(path: &Path, base: &Path) -> String {
    let word = |path: &Path| shell_word(&path.display().to_string());
    let copy = base.join(REGISTRY_DIR).join(PUBLISHED_FILE);
    let folder = path.parent().unwrap_or(Path::new("/"));
    let (copy, folder, path) = (word(&copy), word(folder), word(path));
    format!(
        "copy it there, on the host that has it, with: sqlite3 FILE \".backup {path}\"; if that \
         catalog is lost, begin with its published copy: mkdir -p {folder} && cp {copy} {path}; \
         then run the same command again"
    )
}

/// The user who wrote the settings of a base directory, if that is neither root nor this user.
fn other_writer(base: &Path) -> Option<String> {
    let settings = base.join(REGISTRY_DIR).join("config.toml");
    let uid = settings.symlink_metadata().ok()?.uid();
    let is_trusted = uid == 0 || uid == geteuid().as_raw();
    (!is_trusted).then(|| user_name(uid))
}

/// What to type if the published copy is newer than the catalog. The files are moved aside, not
/// removed.
fn how_to_take(path: &Path, copy: &Path) -> String {
    let word = |path: &Path, end: &str| shell_word(&format!("{}{end}", path.display()));
    let (catalog, older) = (word(path, ""), word(path, ".older"));
    // A log that stays would be read into the copy.
    let beside = [word(path, "-wal"), word(path, "-shm")].join(" ");
    let (copy, aside) = (word(copy, ""), word(copy, ".aside"));
    format!(
        "take the newer one, while no command runs: mv {catalog} {older} && rm -f {beside} && cp \
         {copy} {catalog}; then run the same command again; to go on with the older one instead, \
         and lose what came since: mv {copy} {aside}"
    )
}

/// What to do about an error. Commands in it come without `--base`:
/// [`with_base`](super::context::Context::with_base) adds it.
pub(super) fn text(hint: Hint) -> &'static str {
    match hint {
        Hint::Init => {
            // `init` alone leaves the catalog empty, so the scan is named too.
            "create a registry with: dalsegno --base DIR init, then add what is on disk with: \
             dalsegno --base DIR scan"
        }
        Hint::CheckBase => {
            "check the path; to create a new base directory: mkdir DIR && dalsegno --base DIR init --here"
        }
        Hint::GiveRunsFolder => "give the folder that holds the runs",
        Hint::AskForAccess => "ask its owner for permission to read it",
        Hint::GiveLocalFolder => "give a local folder whose name is UTF-8",
        Hint::Rebuild => {
            // Says that the old file is kept, because without that the command looks like a loss.
            "make a new one from the newest good backup or published copy and the disk with: \
             dalsegno rebuild; an old file is kept beside it"
        }
        Hint::Reopen => "open the registry again; the call did nothing",
        Hint::VerifyOrForce => {
            "check it against the disk with: dalsegno verify; or rebuild it anyway with --force"
        }
        Hint::BringCatalogFolderBack => {
            "mount its disk, create the folder, or name another file in .dalsegno/config.toml; \
             then run: dalsegno rebuild"
        }
        Hint::CopyWholeDatabase => {
            // Through SQLite: a plain copy lacks what is still in the write-ahead log.
            "copy it with its log with: sqlite3 FILE \".backup COPY\"; then start from the copy"
        }
        Hint::NameRightCatalog => {
            "name the right file with --catalog, or leave --catalog out; if another file replaced \
             the catalog in .dalsegno: dalsegno rebuild"
        }
        Hint::UseNewerVersion => "use a newer dalsegno; the catalog was not touched",
        Hint::Migrate => {
            // Every open for writing migrates; a refresh changes least besides.
            "migrate it, as a user who may write it, with: dalsegno refresh; it is backed up first"
        }
        Hint::CheckCatalogAndBase => {
            "this catalog belongs to another base directory; check --catalog and --base; if it \
             replaced the right one, move it away, then run: dalsegno rebuild"
        }
        Hint::MoveAwayFromFolderName => {
            "move it away, a link itself and not what it points to; the registry needs this name \
             for its folder"
        }
        Hint::NameNewCatalog => "name a file that does not exist yet",
        Hint::LeaveCatalogOut => "leave --catalog out, or unset DALSEGNO_CATALOG",
        Hint::UseKeeper => {
            "run the command on that host; if that host was renamed, or the catalog moved here: \
             dalsegno init --keeper"
        }
        Hint::TakeUpCatalog => {
            "on the host that has it, take it up again with: dalsegno init --here --catalog PATH, \
             with the path of its file, beside which PATH.base names this base directory; until then \
             what is recorded is noted"
        }
        Hint::FindCatalog => {
            "run the command on the host that has it, or mount its disk; if it is lost, or was copied \
             to this host, say so with: dalsegno init --keeper --catalog PATH"
        }
        Hint::CopyCatalog => {
            "copy it there, on its host, with: sqlite3 FILE \".backup PATH\"; if it is lost, copy \
             .dalsegno/published.sqlite3, or the newest file in .dalsegno/backups; then run the same \
             command again"
        }
        Hint::TakeNewerCatalog => {
            "move the catalog and the files beside it away, copy .dalsegno/published.sqlite3 to its \
             path, then run the same command again"
        }
        Hint::AskTheOwner => "user USER, or root, runs the same command",
        Hint::BindCatalog => {
            "if it is the catalog of this base directory, say so with: dalsegno init --catalog \
             PATH; if not, take the line `path` out of .dalsegno/config.toml"
        }
        Hint::SetClock => "set the clock of this machine, then run the same command again",
        Hint::Publish => "on the host that has the catalog, run: dalsegno publish",
        Hint::UseLocalDisk => {
            "put the catalog on a local disk: dalsegno init --catalog PATH; or, if all writers \
             run on this host: dalsegno init --single-host"
        }
        Hint::UseItsHost => {
            "run the command on that host, or run one that only reads; if that host was renamed: \
             dalsegno init --keeper"
        }
        Hint::WaitLonger => "try again later, or wait longer with --lock-timeout",
        Hint::UseWritable => "run it as a user who may write to the catalog and its folder",
        Hint::ReopenAfterFork => {
            "close the registry in the parent before the fork, and open it in the child after it"
        }
        Hint::FreeCatalogSpace => {
            "delete a file on the file system of the catalog; if it has space, its inodes are used \
             up (df -i), and some files must go by hand"
        }
        Hint::FreeByRemoval => {
            // Both open the catalog with the reserve; other commands leave that to them.
            "free space with: dalsegno rm, or empty the trash with: dalsegno trash empty; a \
             reserve lets both work on a full disk"
        }
        Hint::FreeCopySpace => {
            // A removal publishes when it ends.
            "free space in the base directory with: dalsegno rm, or empty the trash with: dalsegno \
             trash empty; then run: dalsegno publish"
        }
        Hint::OpenBackups => {
            "its owner, or root, can let this user read it; to begin without it: dalsegno rebuild \
             --from BACKUP, or dalsegno rebuild --from-disk, which has no pins and scores"
        }
        Hint::ShowPath => "these two keys share a path; see: dalsegno show PATH",
        Hint::FreeBackupSpace => {
            // The backup is made before the change, so the same command can simply be repeated.
            "free space there for a copy of the catalog, or fix what prevents the copy, then run \
             the same command again; nothing was changed"
        }
        Hint::CorrectConfig => "correct the file; its keys are listed in the documentation",
        Hint::RecordOrScan => {
            "see what is recorded with: dalsegno list; or add what is on disk with: dalsegno scan"
        }
        Hint::ScanCheckpoints => {
            "see what is recorded with: dalsegno list; or add the checkpoints on disk with: dalsegno \
             scan --kind checkpoint"
        }
        Hint::ListRun => "see what is recorded of it with: dalsegno list --run NAME",
        Hint::ListFolder => {
            "see what is in it with: dalsegno list PATH, and give the path of one of these"
        }
        Hint::WriteFirst => "write the array first",
        Hint::SealWithoutComplete => {
            "write the missing chunks; if they hold only the fill value, seal without --complete"
        }
        Hint::CorrectExclusion => {
            "give one name to each flag, as it is recorded; see the names with: dalsegno runs, or \
             dalsegno list"
        }
        Hint::WriteLevels => {
            "write the missing levels; if the rest is all that there will be, seal without --complete"
        }
        Hint::SealUncounted => "seal without --complete",
        Hint::SelectBoth => {
            "select both, or move one of them elsewhere; what has no row yet gets one by: dalsegno scan"
        }
        Hint::Unmount => "unmount it first, with: umount PATH; then run the same command again",
        Hint::UseInnerRegistry => {
            "see what that registry records with: dalsegno --base DIR list; move its folder out of \
             this one, or remove it, then run the same command again"
        }
        Hint::LookAgain => "check it and repeat the command; nothing was done",
        Hint::MoveByHand => {
            "ask the user who put it there to do this, or check what it holds and move it by hand"
        }
        Hint::ShareFolder => "ask its owner to do this, or to give the group the right to",
        Hint::Unpin => {
            // Unpinning comes first: --force-pinned passes over every pin, not only over this one.
            "unpin it with: dalsegno unpin NAME, or remove it anyway with --force-pinned"
        }
        Hint::IgnoreBestLinks => {
            "remove it anyway with --ignore-best-links; the link itself belongs to DaCapo"
        }
        Hint::MendBestLink => {
            "repair it or move it away, or ignore best links with --ignore-best-links"
        }
        Hint::FollowOrForce => {
            "let rows, pins and scores follow their data with: dalsegno verify --repair; if they \
             cannot, take the rows of the old name out with: dalsegno rm OLD --force-pinned; given \
             to the rm that was refused, --force-pinned removes the data all the same"
        }
        Hint::NameBackOrForce => {
            "give the folder its old name back with mv; or, if it is that of a run or a container, \
             let the rows follow with: dalsegno verify --repair; in rm, --force-pinned takes the \
             row out all the same, and leaves the data"
        }
        Hint::SealAtKeeper => {
            "its owner, or root, can seal it here; on the host that has the catalog anyone who may \
             write the registry can: dalsegno seal PATH"
        }
        Hint::PlanAgain => "make a new plan and check it: dalsegno gc … --plan-out FILE",
        Hint::EmptyOfName => {
            "see what it is with: dalsegno trash list; delete it for good with: dalsegno trash \
             empty REMOVAL; or give another name"
        }
        Hint::GiveOtherName => {
            "give a name that no run, folder or removal has; what is in the trash: \
             dalsegno trash list"
        }
        Hint::EndTraining => {
            "wait until the training has ended; or, if none is at work, repeat the command \
             with --yes"
        }
        Hint::RepairMoved => {
            "if it was renamed by hand, rows, pins and scores follow with: dalsegno verify --repair; \
             if its old name was written again, pin the new one: dalsegno pin NAME PATH; in rm, \
             --force-pinned removes it all the same"
        }
        Hint::CorrectScores => "correct the line; no score was recorded",
        Hint::GivePlanFile => "give a file that dalsegno gc --plan-out wrote",
        Hint::GivePlanBase => "give the base directory of the plan with --base",
        Hint::KeepSomething => "keep some of it, or allow this with --allow-empty-group",
        Hint::Measure => "measure them with: dalsegno refresh --measure",
        Hint::ListPins => "list the pins with: dalsegno pin --list",
        Hint::ChangePinCall => "leave --reason out to extend the existing pin, or use another name",
        Hint::GiveReason => "give a reason with --reason TEXT",
        Hint::ListRecorded => "see what is recorded with: dalsegno list",
        Hint::ListOperations => "list the operations with: dalsegno history",
        Hint::ShowOperation => "see what it did with: dalsegno history show N",
        Hint::UndoBefore => "undo the one before it with: dalsegno undo N",
        Hint::UndoLaterFirst => {
            "see what changed it with: dalsegno history; undo the later operation first"
        }
        Hint::ListTrash => "see what can be restored with: dalsegno trash list",
        Hint::ForgetLost => {
            "move it back to where it was in the trash; restore the rest of its removal with: dalsegno \
             restore REMOVAL; if nothing is left of that, forget it with: dalsegno trash empty REMOVAL"
        }
        Hint::Report => {
            "report it as a bug, with what you did before and the output of: dalsegno doctor"
        }
        Hint::ClearPlace => {
            "see what is there with: ls -ld PATH; if it is not needed, move it away, then \
             restore again"
        }
        Hint::MakeFolder => "create it with: dalsegno init --catalog PATH",
        Hint::FreeSpace => {
            "free some space, or empty the trash with: dalsegno trash empty; nothing was changed"
        }
        Hint::RemoveByHand => {
            // EXDEV: a rename cannot cross file systems, and a removal never copies data.
            "remove it on its own file system; it cannot be moved to the trash from there"
        }
        Hint::MoveAwayAndVerify => "check what is there and move it away; see: dalsegno verify",
        Hint::Verify => {
            "another program changed the catalog or a manifest; see: dalsegno verify; no data was \
             touched"
        }
        Hint::RemoveLinkTarget => {
            "to remove what it points to, name that by its own path; to restore, move the link away"
        }
        Hint::GivePyramidPath => {
            "name the path of the pyramid; show lists its levels, and they stay or go with it"
        }
        Hint::GiveArrayPath => {
            "give the path of an array, a container or a checkpoint in the folder of a run"
        }
        Hint::PutContainerInRun => "a container must be in the folder of its run",
        Hint::GivePathInBase => "give a path below the base directory",
        // See `report`, which knows the command.
        Hint::GivePathAlone => "give the name of a run",
        Hint::CorrectName => {
            "use a relative name without the components . and ..; see: dalsegno record --help"
        }
        Hint::FixCause => "fix the cause, then run the same command again",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory as _;

    use super::super::commands::Arguments;
    use super::*;

    #[test]
    fn every_hint_has_a_text_of_its_own() {
        let words: BTreeSet<&str> = Hint::ALL.iter().map(|hint| super::text(*hint)).collect();
        assert_eq!(words.len(), Hint::ALL.len());
        assert!(!words.contains(""));
    }

    #[test]
    fn a_hint_has_the_value_that_the_error_knows() {
        let pinned = |pins: &str| Error::Pinned {
            path: "/b/a.zarr/1".into(),
            pins: pins.to_owned(),
        };
        let taken = CatalogError::PathTaken {
            path: "a b.zarr/1".to_owned(),
            taken_by: "one".to_owned(),
            wanted: "another".to_owned(),
        };
        let late = UndoError::TooLate {
            id: 7,
            why: "it was purged".to_owned(),
            before: None,
        };
        let cases = [
            (pinned("figure-3"), "dalsegno unpin figure-3,"),
            (pinned("a, b"), "dalsegno unpin NAME,"),
            (taken.into(), "dalsegno show '/b/a b.zarr/1'"),
            (CatalogError::from(late).into(), "dalsegno history show 7"),
        ];
        for (error, expected) in cases {
            let hint = of(&error, Some(Path::new("/b")), false).unwrap();
            assert!(hint.contains(expected), "{hint}");
        }
    }

    #[test]
    fn a_path_that_is_too_long_names_a_folder_that_can_be_moved() {
        let path = Path::new("/b/run").join("d/".repeat(3_000));
        let error = Error::from(StorageError::Io {
            operation: "reading",
            path: path.clone(),
            source: Errno::NAMETOOLONG.into(),
        });
        let hint = of(&error, Some(Path::new("/b")), false).unwrap();
        let folder = hint.split_once("such as ").unwrap().1;
        let folder = folder.split_once(';').unwrap().0;
        assert!(
            folder.starts_with("/b/run/d/") && folder.len() <= 514,
            "{hint}"
        );
        assert!(path.starts_with(folder));
    }

    /// Every flag of a command and of the commands below it.
    fn flags(command: &clap::Command, flags: &mut BTreeSet<String>) {
        flags.extend(
            command
                .get_arguments()
                .filter_map(|flag| flag.get_long().map(str::to_owned)),
        );
        command
            .get_subcommands()
            .for_each(|below| self::flags(below, flags));
    }

    #[test]
    fn hints_name_commands_and_flags_that_exist() {
        let mut command = Arguments::command();
        command.build();
        let mut known = BTreeSet::new();
        flags(&command, &mut known);
        let mut named = 0;
        for hint in Hint::ALL {
            let words = super::text(*hint).replace("dalsegno --base DIR ", "dalsegno ");
            for call in words.split("dalsegno ").skip(1) {
                let name = call.split([' ', ';', ',']).next().unwrap();
                assert!(command.find_subcommand(name).is_some(), "{name}: {words}");
                named += 1;
            }
            for flag in words.split("--").skip(1) {
                let flag = flag.split([' ', ';', ',']).next().unwrap();
                assert!(known.contains(flag), "--{flag}: {words}");
            }
        }
        assert!(named > 20, "the commands were not found");
    }
}
