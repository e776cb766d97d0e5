//! File systems that are mounted where a removal would reach them.

use std::fs;
use std::path::Path;
use std::process::Command;

use dalsegno::RemoveOptions;
use dalsegno::model::filter::Filter;
use dalsegno::model::progress::Silent;
use dalsegno::{Registry, Target};

use crate::child::{command, say, tree};
use crate::{ARRAY, TRASH, array, base, can_mount, count, names, only, target};

const NAMESPACE: [&str; 4] = ["unshare", "--mount", "--propagation", "private"];

fn mount(arguments: &[&str], at: &Path) {
    let output = Command::new("mount")
        .args(arguments)
        .arg(at)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn unmount(at: &Path) {
    assert!(Command::new("umount").arg(at).status().unwrap().success());
}

/// In a child with mounts of its own: mounts something in an array, and removes in vain.
pub(crate) fn with_mounts(base: &Path) {
    let registry = Registry::open(base).unwrap();
    let path = base.join(ARRAY);
    let other = base.join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("precious"), "x").unwrap();
    let odd = path.join("a mount\\ with\ttab");
    fs::create_dir(&odd).unwrap();
    let kinds: [(&str, Vec<&str>); 2] = [
        ("tmpfs", vec!["-t", "tmpfs", "tmpfs"]),
        ("bind", vec!["--bind", other.to_str().unwrap()]),
    ];
    for (kind, arguments) in &kinds {
        for at in [
            &path.join("0/0"),
            &odd,
            &path,
            &base.join("r/validation.zarr/1"),
        ] {
            mount(arguments, at);
            if *kind == "tmpfs" {
                fs::write(at.join("precious"), "x").unwrap();
            }
            let before = tree(&base.join("r"));
            let case = format!("{kind} at {}", at.display());
            let results = [
                registry.remove_artifact(&target(ARRAY)),
                registry.remove_artifact(&target("r/validation.zarr")),
                registry.remove_many(&Filter::default(), &RemoveOptions::default(), &Silent),
            ];
            for result in results {
                let error = result.expect_err(&case);
                let expected = ["mount-point", "other-device"];
                assert!(expected.contains(&error.code()), "{case}: {error}");
                assert!(error.to_string().contains("r/validation.zarr"), "{error}");
            }
            assert_eq!(tree(&base.join("r")), before, "{case}");
            assert_eq!(count(&registry), 2, "{case}");
            assert_eq!(names(&base.join(TRASH)), [""; 0], "{case}");
            assert!(at.join("precious").exists(), "{case}");

            unmount(at);
        }
    }
    // One that cannot go does not hold up the others if `keep_going` is set.
    mount(&kinds[1].1, &path.join("0/0"));
    let going = RemoveOptions::default().keep_going(true);
    let chosen = [ARRAY, "r/validation.zarr/2/a/prediction"]
        .iter()
        .flat_map(|path| registry.to_remove(&Target::Path(path.into())).unwrap())
        .take(1)
        .chain(
            registry
                .to_remove(&target("q/validation.zarr/1/a/prediction"))
                .unwrap(),
        );
    let plan = registry.plan_removal(chosen.collect()).unwrap();
    let report = registry.remove_planned(&plan, &going, &Silent).unwrap();
    assert_eq!(report.moved, 1);
    assert_eq!(report.skipped.len(), 1);
    assert_eq!(report.skipped[0].code, "mount-point");
    unmount(&path.join("0/0"));
    // Mounted after it was moved, as in a folder that a mount of another process lies in.
    let kept = crate::kept();
    let kept = registry
        .remove_target(&target(ARRAY), &kept, &Silent)
        .unwrap();
    let item = base
        .join(TRASH)
        .join(kept.removal.unwrap().as_str())
        .join("0");
    for inside in ["0/0", "", "0"] {
        mount(&kinds[1].1, &item.join(inside));
        let report = registry.empty_trash(None, &Silent).unwrap();
        assert!(other.join("precious").exists(), "{inside}");
        assert!(!report.purge.is_done, "{inside}");
        unmount(&item.join(inside));
        if !item.exists() {
            break;
        }
        fs::create_dir_all(item.join("0/0")).unwrap();
    }
    registry.empty_trash(None, &Silent).unwrap();
    assert!(other.join("precious").exists());
    assert_eq!(names(&base.join(TRASH)), [""; 0]);
    assert_eq!(count(&registry), 0);
    say("well");
}

#[test]
fn a_mount_in_what_is_to_be_removed_is_refused_and_nothing_moves() {
    if !can_mount("mounts inside an array") {
        return;
    }
    let (folder, registry) = base();
    for path in [ARRAY, "q/validation.zarr/1/a/prediction"] {
        let path = array(&registry, path).path();
        fs::create_dir_all(path.join("0/0")).unwrap();
        fs::write(path.join("0/0/0"), "x").unwrap();
    }
    drop(registry);
    let output = command(&NAMESPACE, "mounts", folder.path())
        .output()
        .unwrap();
    assert_eq!(only(&output), "well");
}

/// In a child with mounts of its own: the trash is another file system.
pub(crate) fn with_a_mounted_trash(base: &Path) {
    let registry = Registry::open(base).unwrap();
    let trash = base.join(TRASH);
    let before = tree(&base.join("r"));
    mount(&["-t", "tmpfs", "tmpfs"], &trash);
    let error = registry.remove_artifact(&target(ARRAY)).unwrap_err();
    assert_eq!(error.code(), "other-device", "{error}");
    assert!(error.to_string().contains(TRASH), "{error}");
    assert_eq!(tree(&base.join("r")), before);
    assert_eq!(count(&registry), 1);
    assert_eq!(names(&trash), [""; 0]);
    unmount(&trash);
    registry.remove_artifact(&target(ARRAY)).unwrap();
    assert_eq!(count(&registry), 0);
    say("well");
}

#[test]
fn a_trash_on_another_file_system_is_refused_before_anything_moves() {
    if !can_mount("a trash on another file system") {
        return;
    }
    let (folder, registry) = base();
    array(&registry, ARRAY);
    fs::create_dir_all(folder.path().join(TRASH)).unwrap();
    drop(registry);
    let output = command(&NAMESPACE, "trash-mounted", folder.path())
        .output()
        .unwrap();
    assert_eq!(only(&output), "well");
}

#[test]
fn a_trash_that_is_a_link_is_refused_before_anything_moves() {
    let (folder, registry) = base();
    array(&registry, ARRAY);
    let elsewhere = tempfile::tempdir().unwrap();
    let trash = folder.path().join(TRASH);
    std::os::unix::fs::symlink(elsewhere.path(), &trash).unwrap();
    let before = tree(&folder.path().join("r"));
    let error = registry.remove_artifact(&target(ARRAY)).unwrap_err();
    assert_eq!(error.code(), "symlink", "{error}");
    assert_eq!(tree(&folder.path().join("r")), before);
    assert_eq!(names(elsewhere.path()), [""; 0]);
    fs::remove_file(&trash).unwrap();
    assert_eq!(count(&registry), 1);
    registry.remove_artifact(&target(ARRAY)).unwrap();
}
