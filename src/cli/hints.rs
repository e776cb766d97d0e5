//! Hints in the words of the command line: commands and flags.

use crate::model::hint::Hint;

/// What to do about an error. A command in it names no base directory: see
/// [`with_base`](super::context::Context::with_base).
pub(super) fn words(hint: Hint) -> &'static str {
    match hint {
        Hint::Init => "make one with: dalsegno --base DIR init, then: dalsegno --base DIR scan",
        Hint::CheckBase => {
            "check the path; where there is to be a new base directory: mkdir DIR && dalsegno --base DIR init"
        }
        Hint::GiveRunsFolder => "give the folder that holds the runs",
        Hint::AskForAccess => "ask its owner for the right to read it",
        Hint::GiveLocalFolder => "give a folder of this machine, by a name in UTF-8",
        Hint::Rebuild => {
            "set it aside and make a new one, from the newest good backup and what is on disk, with: dalsegno rebuild"
        }
        Hint::Reopen => "open the registry again; what was asked for was not done",
        Hint::VerifyOrForce => {
            "compare it with the disk with: dalsegno verify; rebuild it all the same with --force"
        }
        Hint::BringCatalogFolderBack => {
            "mount its disk, or make the folder, or name another file in .dalsegno/config.toml; then: dalsegno rebuild"
        }
        Hint::CopyWholeDatabase => {
            "copy it whole with: sqlite3 FILE \".backup COPY\"; then begin with the copy"
        }
        Hint::NameRightCatalog => {
            "name the right file with --catalog, or leave --catalog out; where something took its place in .dalsegno: dalsegno rebuild"
        }
        Hint::UseNewerVersion => "use a newer dalsegno; the catalog was not touched",
        Hint::Migrate => {
            "bring it there as a user who may write it: dalsegno refresh; a backup is made first"
        }
        Hint::CheckCatalogAndBase => {
            "this catalog describes another base directory; check --catalog and --base; where it stands in the place of the right one, move it away, then: dalsegno rebuild"
        }
        Hint::MoveAwayFromFolderName => "move it away; the registry's folder has this name",
        Hint::NameNewCatalog => "name a file that does not exist yet",
        Hint::LeaveCatalogOut => "leave --catalog out, or unset DALSEGNO_CATALOG",
        Hint::UseLocalDisk => {
            "put the catalog on a local disk: dalsegno init --catalog PATH; or, where all writers run on this host: dalsegno init --single-host"
        }
        Hint::UseItsHost => "run it there, or read only",
        Hint::WaitLonger => "try again, or wait longer with --lock-timeout",
        Hint::UseWritable => "run it as a user who may write the catalog and the folder around it",
        Hint::ReopenAfterFork => {
            "open the registry in the child after closing it in the parent before the fork"
        }
        Hint::FreeCatalogSpace => "free space on the file system of the catalog",
        Hint::ShowPath => "these two keys share a path; see: dalsegno show PATH",
        Hint::FreeBackupSpace => {
            "free space there for a copy of the catalog, or mend what is in the way, then run the same command again; nothing was changed"
        }
        Hint::CorrectConfig => "correct the file; the documentation lists its keys",
        Hint::RecordOrScan => {
            "see what is recorded with: dalsegno list; or take in what is on disk with: dalsegno scan"
        }
        Hint::WriteFirst => "write the array first",
        Hint::SelectBoth => "select both, or move one of them elsewhere",
        Hint::Unmount => "unmount it first",
        Hint::LookAgain => "look at it again and repeat the command; nothing was done",
        Hint::Unpin => {
            "let it go with: dalsegno unpin NAME, or remove it all the same with --force-pinned"
        }
        Hint::IgnoreBestLinks => {
            "remove it all the same with --ignore-best-links; the link itself is DaCapo's"
        }
        Hint::MendBestLink => "mend or move it, or leave best links aside with --ignore-best-links",
        Hint::PlanAgain => "make a new plan, and look at it: dalsegno gc … --plan-out FILE",
        Hint::CorrectScores => "correct the line; nothing was noted",
        Hint::GivePlanFile => "give a file that dalsegno gc --plan-out wrote",
        Hint::GivePlanBase => "give the base directory that the plan was made for with --base",
        Hint::KeepSomething => "keep something of it, or allow that with --allow-empty-group",
        Hint::Measure => "measure them with: dalsegno refresh --measure",
        Hint::ListPins => "see which there are with: dalsegno pin --list",
        Hint::ChangePinCall => "leave --reason out to let it bind more, or take another name",
        Hint::GiveReason => "say why with --reason TEXT",
        Hint::ListRecorded => "see what is recorded with: dalsegno list",
        Hint::ListOperations => "see which there are with: dalsegno history",
        Hint::ShowOperation => "see what it did with: dalsegno history show N",
        Hint::UndoLaterFirst => {
            "see what changed it with: dalsegno history; undo the later operation first"
        }
        Hint::ListTrash => "see what can be restored with: dalsegno trash list",
        Hint::Report => {
            "report it, with what happened before and what this prints: dalsegno doctor"
        }
        Hint::ClearPlace => "move away what stands there, then restore again",
        Hint::MakeFolder => "make it with: dalsegno init --catalog PATH",
        Hint::FreeSpace => {
            "free some space, or empty the trash with: dalsegno trash empty; nothing was changed"
        }
        Hint::RemoveByHand => "remove it at its own place; a rename cannot take it to the trash",
        Hint::MoveAwayAndVerify => {
            "look at what stands there, and move it away; see: dalsegno verify"
        }
        Hint::Verify => {
            "somebody changed the catalog or a manifest; see: dalsegno verify; no data is touched"
        }
        Hint::RemoveLinkTarget => {
            "remove what it points to at its own place; see also: dalsegno verify"
        }
        Hint::GiveArrayPath => {
            "give a path that lies in a folder ending in .zarr or .n5, or that of a checkpoint"
        }
        Hint::PutContainerInRun => "a container lies in the folder of its run",
        Hint::GivePathInBase => "give a path below the base directory",
        Hint::CorrectName => {
            "names are relative, without the components . and ..; see: dalsegno record --help"
        }
        Hint::FixCause => "mend the cause, then run the same command again",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory as _;

    use super::super::commands::Arguments;
    use super::*;

    #[test]
    fn every_hint_has_words_of_its_own() {
        let words: BTreeSet<&str> = Hint::ALL.iter().map(|hint| super::words(*hint)).collect();
        assert_eq!(words.len(), Hint::ALL.len());
        assert!(!words.contains(""));
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
            let words = super::words(*hint).replace("dalsegno --base DIR ", "dalsegno ");
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
