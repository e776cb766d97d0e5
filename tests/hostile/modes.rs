//! Two users of a group share a registry, whatever their umasks are.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use super::scene::{Scene, User, text};

const GROUP: u32 = 5005;
const USERS: [User; 2] = [User(5001, 6001, &[GROUP]), User(5002, 6002, &[GROUP])];
const UMASKS: [u32; 3] = [0o022, 0o002, 0o077];

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Gives a tree to the group: all of it writable, and its folders setgid.
fn give(path: &Path) {
    chown(path, Some(USERS[0].0), Some(GROUP)).unwrap();
    let is_dir = path.is_dir();
    let mode = if is_dir { 0o2770 } else { 0o660 };
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    if is_dir {
        for entry in fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path());
        }
    }
}

/// Every file and folder of a registry is the group's to use.
fn is_the_groups(path: &Path) {
    let found = path.symlink_metadata().unwrap();
    assert_eq!(found.gid(), GROUP, "{}", path.display());
    let mode = found.mode() & 0o7777;
    let name = path.file_name().unwrap().to_str().unwrap();
    // Who owns these answers for what is in them: others only read them.
    let is_own = name.ends_with(".json") || name.ends_with(".jsonl");
    let needed = match (found.is_dir(), is_own) {
        (true, _) => 0o2770,
        (false, true) => 0o640,
        (false, false) => 0o660,
    };
    assert_eq!(mode & needed, needed, "{} has {mode:o}", path.display());
    assert_eq!(mode & 0o007, 0, "{} has {mode:o}", path.display());
    // Data keeps its own modes.
    let is_data = path.parent().unwrap().parent().unwrap().ends_with("trash");
    if found.is_dir() && !is_data {
        for entry in fs::read_dir(path).unwrap() {
            is_the_groups(&entry.unwrap().path());
        }
    }
}

#[test]
fn two_users_take_turns_at_every_command_with_any_umask() {
    if !is_root() {
        return;
    }
    for umask in UMASKS {
        for asked in [false, true] {
            let scene = Scene::bare();
            give(&scene.base());
            let init: &[&str] = if asked {
                &["init", "--shared"]
            } else {
                &["init"]
            };
            if asked {
                // Without it, the folder of the base directory would say so.
                fs::set_permissions(scene.base(), PermissionsExt::from_mode(0o0770)).unwrap();
            }
            let commands: &[&[&str]] = &[
                init,
                &["scan"],
                &["rm", "--yes", "--trash", "--run", "run", "--iteration", "1"],
                &["restore", "--run", "run"],
                &[
                    "pin",
                    "keep",
                    "--run",
                    "run",
                    "--iteration",
                    "2",
                    "--reason",
                    "r",
                ],
                &["unpin", "keep"],
                &["rm", "--yes", "--trash", "--run", "run", "--iteration", "3"],
                &["trash", "list"],
                &["trash", "empty", "--yes"],
                &["gc", "--run", "run", "--keep-last", "9"],
                &["rm", "--yes", "--run", "run", "--iteration", "4"],
                &["verify"],
                &["refresh"],
                &["history"],
                &["doctor"],
                &["list"],
            ];
            for (number, arguments) in commands.iter().enumerate() {
                let output = scene.run_as(Some(USERS[number % 2]), umask, arguments);
                let code = output.status.code();
                assert!(
                    code == Some(0),
                    "{umask:o} {arguments:?}: {}",
                    text(&output)
                );
                is_the_groups(&scene.base().join(".dalsegno"));
            }
        }
    }
}

#[test]
fn a_registry_below_a_private_folder_stays_private() {
    let scene = Scene::bare();
    for (umask, mode) in [(0o077, 0o700), (0o022, 0o755)] {
        let output = scene.run_as(None, umask, &["init"]);
        assert!(output.status.success(), "{}", text(&output));
        let own = scene.base().join(".dalsegno");
        assert_eq!(own.metadata().unwrap().mode() & 0o777, mode);
        let catalog = own.join("catalog.sqlite3").metadata().unwrap().mode() & 0o777;
        assert_eq!(catalog, mode & 0o666);
        fs::remove_dir_all(own).unwrap();
    }
}
