//! Permissions: folders that may not be written, and files of others in a shared folder.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

use dalsegno::model::filter::Filter;
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::RemovalState;
use dalsegno::{Registry, RemoveOptions};
use rustix::fs::Mode;
use rustix::process::umask;

use crate::child::{command, say, tree};
use crate::{ARRAY, TRASH, array, assert_nothing_left, is_root, names, only, target};

/// Users and a group that no machine gives to people.
const ONE: u32 = 61_001;
const OTHER: u32 = 61_002;
const GROUP: u32 = 61_003;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Runs a child as a user; `None` if the user may not run the test's own program.
fn run_as(user: u32, mut command: Command) -> Option<Output> {
    if is_root() {
        command.uid(user).gid(GROUP);
    }
    match command.output() {
        Ok(output) => Some(output),
        Err(error) => {
            crate::strace::left_out::left_out(&format!(
                "another user cannot run this program: {error}"
            ));
            None
        }
    }
}

/// A folder that belongs to a user, if the test can be several.
fn folder_of(user: u32, mode: u32) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    if is_root() {
        chown(folder.path(), Some(user), Some(GROUP)).unwrap();
    }
    set_mode(folder.path(), mode);
    folder
}

/// In a child that is not root: a folder in an array may not be written or not be read.
pub(crate) fn remove_stuck(base: &Path, mode: &str) {
    let mode = u32::from_str_radix(mode, 8).unwrap();
    let registry = Registry::create(base).unwrap();
    let path = array(&registry, ARRAY).path();
    fs::write(base.join("r/validation.zarr/notes"), "these stay").unwrap();
    for folder in ["0", "1", "2"] {
        fs::create_dir_all(path.join(folder).join("inner")).unwrap();
        for file in ["a", "b", "inner/c"] {
            fs::write(path.join(folder).join(file), "x").unwrap();
        }
    }
    set_mode(&path.join("1"), mode);
    // What cannot be unlinked whole is not removed.
    let error = registry.remove_artifact(&target(ARRAY)).unwrap_err();
    assert_eq!(error.code(), "not-movable");
    assert!(error.to_string().contains("prediction/1 in it"), "{error}");
    assert!(path.join("0/inner/c").exists() && path.join("2/a").exists());
    // Into the trash it goes, because nothing is unlinked; there it is named.
    let kept = crate::kept();
    let report = registry
        .remove_target(&target(ARRAY), &kept, &Silent)
        .unwrap();
    let id = report.removal.unwrap();
    let stuck = base.join(TRASH).join(id.as_str()).join("0/1");
    assert!(!path.exists());
    drop(registry);

    let registry = Registry::open(base).unwrap();
    assert_eq!(registry.recovery().purged, []);
    let emptied = registry.empty_trash(None, &Silent).unwrap();
    assert_eq!(emptied.left, std::slice::from_ref(&id));
    assert!(!emptied.purge.is_done && emptied.purge.failed >= 1);
    assert!(!emptied.purge.failures.is_empty(), "{:?}", emptied.purge);
    assert_eq!(registry.trash().unwrap().len(), 1);

    set_mode(&stuck, 0o755);
    let emptied = registry.empty_trash(None, &Silent).unwrap();
    assert_eq!(
        (&emptied.purged, &emptied.left),
        (&vec![id], &vec![]),
        "{:?}",
        emptied.purge
    );
    assert!(emptied.purge.is_done);
    assert_nothing_left(&registry, &path);
    say("well");
}

#[test]
fn a_folder_that_may_not_be_written_is_named_and_the_rest_goes() {
    for mode in ["555", "000", "444"] {
        let folder = folder_of(ONE, 0o755);
        let child = command(&[], &format!("stuck {mode}"), folder.path());
        let Some(output) = run_as(ONE, child) else {
            return;
        };
        assert_eq!(only(&output), "well", "{mode}");
    }
}

/// In a child: makes a registry, unless there is one, and an array, with this umask.
pub(crate) fn make_group_array(base: &Path, mask: &str) {
    umask(Mode::from_raw_mode(0o002));
    let registry = Registry::create(base).unwrap();
    registry.record(&crate::key(ARRAY)).unwrap();
    umask(Mode::from_raw_mode(u32::from_str_radix(mask, 8).unwrap()));
    let path = array(&registry, ARRAY).path();
    fs::create_dir(path.join("0")).unwrap();
    fs::write(path.join("0/chunk"), "x").unwrap();
    say("made");
}

/// In a child that is another user: removes that array.
pub(crate) fn remove_group_array(base: &Path, mask: &str) {
    umask(Mode::from_raw_mode(u32::from_str_radix(mask, 8).unwrap()));
    let said = Registry::open(base).and_then(|registry| {
        let report = registry.remove_artifact(&target(ARRAY))?;
        assert!(report.purge.unwrap().is_done);
        assert_nothing_left(&registry, &base.join(ARRAY));
        Ok(())
    });
    say(&match said {
        Ok(()) => "removed".to_owned(),
        Err(error) => format!("{} {error}", error.code()),
    });
}

/// Makes an array as one user in a folder that a group shares, and removes it as another.
fn group(makers_mask: &str, removers_mask: &str) -> Option<(tempfile::TempDir, String)> {
    let folder = folder_of(ONE, 0o2775);
    let action = format!("make {makers_mask}");
    let made = run_as(ONE, command(&[], &action, folder.path()))?;
    assert_eq!(only(&made), "made");
    let action = format!("remove {removers_mask}");
    let removed = run_as(OTHER, command(&[], &action, folder.path()))?;
    Some((folder, only(&removed)))
}

#[test]
fn a_group_that_shares_a_folder_removes_each_other_s_arrays() {
    if !is_root() {
        crate::strace::left_out::left_out("it takes two users: arrays of another owner");
        return;
    }
    for mask in ["002", "022", "077"] {
        let Some((folder, said)) = group("002", mask) else {
            return;
        };
        assert_eq!(said, "removed", "umask {mask}");
        assert_eq!(names(&folder.path().join(TRASH)), [""; 0]);
    }
}

#[test]
fn an_array_that_its_owner_keeps_to_himself_is_refused_and_stays() {
    if !is_root() {
        crate::strace::left_out::left_out("it takes two users: arrays of another owner");
        return;
    }
    // With 077 the folder of the run cannot even be opened.
    for mask in ["022", "077"] {
        let Some((folder, said)) = group(mask, "002") else {
            return;
        };
        assert!(said.starts_with("not-movable"), "umask {mask}: {said}");
        assert!(said.contains("r"), "the path is named: {said}");
        let array = folder.path().join(ARRAY);
        assert_eq!(fs::read_to_string(array.join("0/chunk")).unwrap(), "x");
        let registry = Registry::open(folder.path()).unwrap();
        assert_eq!(crate::count(&registry), 1, "umask {mask}");
        assert_eq!(names(&folder.path().join(TRASH)), [""; 0], "umask {mask}");
        assert!(tree(&array).len() >= 4);
    }
}

/// The arrays of a batch of which one or more cannot be moved.
const SOME: [&str; 4] = [
    "r/validation.zarr/1/a/prediction",
    "r/validation.zarr/2/a/prediction",
    "r/validation.zarr/3/a/prediction",
    "q/validation.zarr/1/a/prediction",
];

/// In a child: four arrays for the group, and one thing that keeps others from the second.
pub(crate) fn make_some(base: &Path, obstacle: &str) {
    umask(Mode::from_raw_mode(0o002));
    let registry = Registry::create(base).unwrap();
    for path in SOME {
        array(&registry, path);
    }
    let second = base.join(SOME[1]);
    let above = second.parent().unwrap();
    match obstacle {
        "array" => set_mode(&second, 0o755),
        "parent" => set_mode(above, 0o755),
        "hidden" => set_mode(above, 0o700),
        "sticky" => set_mode(above, 0o3777),
        other => panic!("no obstacle {other}"),
    }
    say("made");
}

/// In a child that is another user: removes all of it, three times.
pub(crate) fn remove_some(base: &Path) {
    umask(Mode::from_raw_mode(0o002));
    let registry = Registry::open(base).unwrap();
    let all = Filter::default();
    let refused = registry.remove_many(&all, &RemoveOptions::default(), &Silent);
    let refused = refused.unwrap_err();
    assert_eq!(names(&base.join(TRASH)), [""; 0], "nothing has moved");
    for path in [SOME[0], SOME[2], SOME[3]] {
        assert!(base.join(path).join(".zarray").exists(), "{path}");
    }
    assert_eq!(crate::count(&registry), 4);
    let options = crate::kept().keep_going(true);
    let report = registry.remove_many(&all, &options, &Silent).unwrap();
    assert_eq!(report.moved, 3);
    let [skipped] = &report.skipped[..] else {
        panic!("{report:?}")
    };
    assert!(skipped.path.ends_with(SOME[1]), "{skipped:?}");
    let reason = skipped.reason.to_lowercase();
    assert!(
        reason.contains("user") || reason.contains("permission"),
        "{reason}"
    );
    assert_eq!(crate::count(&registry), 1);
    say(&format!("{} {}", refused.code(), skipped.code));
}

#[test]
fn what_another_user_keeps_is_skipped_and_named_and_the_rest_goes() {
    if !is_root() {
        crate::strace::left_out::left_out(
            "it takes two users: a batch with an array of another owner",
        );
        return;
    }
    for obstacle in ["array", "parent", "hidden", "sticky"] {
        let folder = folder_of(ONE, 0o2775);
        let action = format!("make-some {obstacle}");
        let Some(made) = run_as(ONE, command(&[], &action, folder.path())) else {
            return;
        };
        assert_eq!(only(&made), "made");
        let removed = run_as(OTHER, command(&[], "remove-some", folder.path())).unwrap();
        assert_eq!(only(&removed), "not-movable not-movable", "{obstacle}");
        assert!(folder.path().join(SOME[1]).join(".zarray").exists());
    }
}

#[test]
fn what_the_file_system_refuses_to_move_is_skipped_too() {
    let immutable = |path: &Path, flag| {
        let set = Command::new("chattr").arg(flag).arg(path).output();
        set.is_ok_and(|set| set.status.success())
    };
    let (folder, registry) = crate::base();
    for path in SOME {
        array(&registry, path);
    }
    // No user may move it, root neither, and no permission says so.
    let stuck = folder.path().join(SOME[1]);
    if !is_root() || !immutable(&stuck, "+i") {
        crate::strace::left_out::left_out("no file can be made immutable here");
        return;
    }
    let all = Filter::default();
    let refused = registry.remove_many(&all, &RemoveOptions::default(), &Silent);
    let count = crate::count(&registry);
    let options = RemoveOptions::default().keep_going(true);
    let report = registry.remove_many(&all, &options, &Silent);
    immutable(&stuck, "-i");
    assert_eq!(refused.unwrap_err().code(), "not-movable");
    assert_eq!(count, 4);
    let report = report.unwrap();
    assert_eq!((report.moved, report.skipped.len()), (3, 1));
    assert!(stuck.join(".zarray").exists());
    assert_eq!(crate::count(&registry), 1);
    assert_eq!(names(&folder.path().join(TRASH)), [""; 0]);
}

/// Whoever may open a folder of the trash can lock it.
#[test]
fn a_removal_whose_folder_another_process_has_locked_stays_restorable() {
    let (_folder, registry) = crate::base();
    let path = array(&registry, ARRAY).path();
    let removed = registry
        .remove_target(&target(ARRAY), &crate::kept(), &Silent)
        .unwrap();
    let id = removed.removal.unwrap();
    let folder = registry.base().join(TRASH).join(id.as_str());
    let held = fs::File::open(&folder).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockShared).unwrap();

    let emptied = registry.empty_trash(None, &Silent).unwrap();
    assert_eq!(emptied.purged, []);
    assert_eq!(emptied.left, std::slice::from_ref(&id));
    let [(at, reason)] = emptied.purge.failures.as_slice() else {
        panic!("{emptied:?}");
    };
    assert!(folder.ends_with(at) || at == &folder, "{at:?}");
    assert!(reason.contains("locked"), "{reason}");
    assert_eq!(registry.trash().unwrap()[0].state, RemovalState::Kept);

    let target = dalsegno::RestoreTarget::Removal(id);
    registry.restore(&target).unwrap();
    assert!(path.join(".zarray").exists());
    drop(held);
    registry
        .remove_target(&crate::target(ARRAY), &crate::kept(), &Silent)
        .unwrap();
    assert_eq!(registry.empty_trash(None, &Silent).unwrap().left, []);
}
