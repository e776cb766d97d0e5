//! Two users of a group share a registry, whatever their umasks are.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::time::{Duration, SystemTime};

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
                &["init", "--here", "--shared"]
            } else {
                &["init", "--here"]
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

/// Makes data old enough for a plan, which keeps what was written within the hour.
fn age(path: &Path) {
    let long_ago = SystemTime::now() - Duration::from_secs(2 * 86_400);
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            age(&entry.unwrap().path());
        }
    }
    fs::File::open(path)
        .unwrap()
        .set_modified(long_ago)
        .unwrap();
}

#[test]
fn two_users_take_turns_at_what_plans_seals_renames_and_rebuilds() {
    if !is_root() {
        return;
    }
    let scene = Scene::bare();
    age(&scene.base());
    give(&scene.base());
    let file = scene.base().join("plan");
    let file = file.to_str().unwrap();
    let plan: &[&str] = &["gc", "--run", "run", "--keep-last", "5", "--plan-out", file];
    let commands: &[&[&str]] = &[
        &["init", "--here"],
        &["scan", "--measure"],
        &["gc", "--run", "run", "--keep-last", "7", "--apply", "--yes"],
        &["seal", "--run", "run", "--iteration", "9"],
        plan,
        &["gc", "--apply", file, "--yes", "--trash"],
        &["restore", "--run", "run"],
        &["rebuild", "--force"],
        &["rebuild", "--force"],
        &["mv", "run", "walk", "--yes"],
        &["mv", "walk", "run", "--yes"],
        &["rm", "--whole-run", "run", "--trash", "--yes"],
        &["restore", "--run", "run"],
        &["rm", "--whole-run", "run", "--yes"],
    ];
    for (number, arguments) in commands.iter().enumerate() {
        let (user, umask) = [(USERS[0], 0o022), (USERS[1], 0o077)][number % 2];
        let output = scene.run_as(Some(user), umask, arguments);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{arguments:?}: {}",
            text(&output)
        );
        is_the_groups(&scene.base().join(".dalsegno"));
        if arguments == &plan {
            // A plan is a file of its maker, who gives it to the group by hand.
            fs::set_permissions(file, PermissionsExt::from_mode(0o644)).unwrap();
        }
    }
    assert!(!scene.base().join("run").exists());
}

#[test]
fn what_of_anothers_data_cannot_be_moved_is_left_out_if_that_is_asked_for() {
    if !is_root() {
        return;
    }
    let scene = Scene::bare();
    let theirs = scene.base().join("run/validation.zarr/1/d");
    age(&scene.base());
    give(&scene.base());
    // As a training with umask 022 leaves it.
    let private = |path: &Path| {
        chown(path, Some(USERS[1].0), Some(GROUP)).unwrap();
        fs::set_permissions(path, PermissionsExt::from_mode(0o2755)).unwrap();
    };
    private(&theirs);
    private(&theirs.join("prediction"));
    let run = |arguments: &[&str]| {
        let output = scene.run_as(Some(USERS[0]), 0o022, arguments);
        (output.status.code().unwrap(), text(&output))
    };
    for arguments in [&["init", "--here"][..], &["scan", "--measure"]] {
        assert_eq!(run(arguments).0, 0);
    }
    let whole = ["rm", "--yes", "--run", "run", "--iteration", "..3"];
    let (code, said) = run(&whole);
    assert_eq!(code, 1, "{said}");
    let path = theirs.join("prediction").display().to_string();
    let expected = format!(
        "error[not-movable]: {path} cannot be moved: the folder above it belongs to {}, group \
         {GROUP}, mode rwxr-sr-x, and this user may not write there",
        USERS[1].0
    );
    assert!(said.contains(&expected), "{said}");
    let hint = format!("chmod -R g+rwX {}", theirs.display());
    assert!(said.contains(&hint), "{said}");
    assert!(!said.contains("chgrp"), "it has the group already: {said}");
    let gc = [
        "gc",
        "--run",
        "run",
        "--keep-last",
        "7",
        "--apply",
        "--yes",
        "--trash",
    ];
    let keep_going = [&whole[..], &["--keep-going", "--trash"]].concat();
    for arguments in [&keep_going[..], &gc] {
        let (code, said) = run(arguments);
        assert_eq!(code, 3, "{arguments:?}: {said}");
        assert_eq!(said.matches(&path).count(), 1, "{arguments:?}: {said}");
        assert!(theirs.join("prediction/.zarray").exists());
        assert!(!scene.base().join("run/validation.zarr/2").exists());
        assert_eq!(run(&["restore", "--run", "run"]).0, 0);
    }
    // What its owner types by the hint lets the member remove it; first with another group.
    chown(&theirs, Some(USERS[1].0), Some(USERS[1].1)).unwrap();
    let (_, said) = run(&whole);
    let first = format!(
        "chgrp -R {GROUP} {0} && chmod -R g+rwX {0}",
        theirs.display()
    );
    assert!(said.contains(&first), "{said}");
    let typed = std::process::Command::new("sh")
        .args(["-c", &first])
        .status();
    assert!(typed.unwrap().success());
    assert_eq!(run(&whole).0, 0);
}

#[test]
fn a_registry_below_a_private_folder_stays_private() {
    let scene = Scene::bare();
    for (umask, mode) in [(0o077, 0o700), (0o022, 0o755)] {
        let output = scene.run_as(None, umask, &["init", "--here"]);
        assert!(output.status.success(), "{}", text(&output));
        let own = scene.base().join(".dalsegno");
        assert_eq!(own.metadata().unwrap().mode() & 0o777, mode);
        let catalog = own.join("catalog.sqlite3").metadata().unwrap().mode() & 0o777;
        assert_eq!(catalog, mode & 0o666);
        fs::remove_dir_all(own).unwrap();
    }
}
