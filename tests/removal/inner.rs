//! A registry below an array: nothing that moves or deletes takes it along.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use dalsegno::model::filter::Filter;
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::RemovalState;
use dalsegno::{
    NoticeClass, Registry, RemoveOptions, RenameOptions, RestoreTarget, ScanOptions, VerifyOptions,
};

use crate::child::tree;
use crate::{RestoreAsPlanned as _, TRASH, array, base, code, kept, of_run, paths, target};

const CONTAINER: &str = "r/validation.zarr";
const ONE: &str = "r/validation.zarr/1/a/prediction";
const TWO: &str = "r/validation.zarr/2/a/prediction";

/// Makes a registry with an array in a folder, and gives what is in it.
fn inner(base: &Path, folder: &str) -> (PathBuf, BTreeMap<String, String>) {
    let folder = base.join(folder);
    fs::create_dir_all(&folder).unwrap();
    let registry = Registry::create(&folder).unwrap();
    array(&registry, "q/validation.zarr/1/a/prediction");
    drop(registry);
    let tree = tree(&folder);
    (folder, tree)
}

#[test]
fn an_array_that_holds_a_registry_is_refused_in_every_removal() {
    for at in [ONE, &format!("{ONE}/deep"), &format!("{ONE}/0/0/deep")] {
        let (folder, registry) = base();
        array(&registry, ONE);
        array(&registry, TWO);
        let (inner, before) = inner(folder.path(), at);
        let chosen = || registry.plan_removal(registry.to_remove(&target(ONE)).unwrap());
        for options in [RemoveOptions::default(), kept()] {
            let error = registry
                .remove_planned(&chosen().unwrap(), &options, &Silent)
                .unwrap_err();
            assert_eq!(error.code(), "inner-registry", "{at}");
            assert!(error.to_string().ends_with(inner.to_str().unwrap()));
        }
        let preview = registry
            .protected(&chosen().unwrap(), &RemoveOptions::default())
            .unwrap();
        assert_eq!(preview[0].code, "inner-registry", "{at}");
        // As a part of its container and of its run.
        let removed = registry.remove_target(&target(CONTAINER), &kept(), &Silent);
        assert_eq!(code(removed), "inner-registry", "{at}");
        let run = registry.plan_run_removal(&"r".parse().unwrap()).unwrap();
        let removed = registry.remove_planned(&run, &kept(), &Silent);
        assert_eq!(code(removed), "inner-registry", "{at}");
        // The rest of a removal goes.
        let options = RemoveOptions::default().keep_going(true);
        let report = registry
            .remove_many(&of_run("r"), &options, &Silent)
            .unwrap();
        assert_eq!((report.moved, report.skipped.len()), (1, 1));
        assert_eq!(report.skipped[0].code, "inner-registry");
        assert_eq!(paths(&registry), [ONE]);
        assert_eq!(tree(&inner), before, "{at}");
    }
}

/// What has the name of the registry's folder and is not a folder, put in a folder.
fn stray(folder: &Path, form: &str, outside: &Path) -> PathBuf {
    fs::create_dir_all(folder).unwrap();
    let place = folder.join(".dalsegno");
    match form {
        "file" => fs::write(&place, "").unwrap(),
        "dangling" => symlink(outside.join("nowhere"), &place).unwrap(),
        "link" => symlink(outside, &place).unwrap(),
        _ => assert!(
            Command::new("mkfifo")
                .arg(&place)
                .status()
                .unwrap()
                .success()
        ),
    }
    place
}

#[test]
fn what_is_no_folder_makes_no_registry_of_what_is_around_it() {
    let outside = tempfile::tempdir().unwrap();
    drop(Registry::create(outside.path()).unwrap());
    let other = outside.path().join(".dalsegno");
    let before = tree(&other);
    for form in ["file", "dangling", "link", "fifo"] {
        for at in [
            "r",
            CONTAINER,
            "r/validation.zarr/1",
            ONE,
            &format!("{ONE}/d"),
        ] {
            let case = format!("{form} in {at}");
            let (folder, registry) = base();
            array(&registry, ONE);
            array(&registry, TWO);
            let place = stray(&folder.path().join(at), form, &other);
            let scan = registry.scan(ScanOptions::default(), &Silent).unwrap();
            assert_eq!((scan.arrays, scan.adopted), (2, 0), "{case}");
            let verified = registry.verify(&Filter::default(), VerifyOptions::default(), &Silent);
            let verified = verified.unwrap();
            assert!(verified.is_complete, "{case}");
            let notices = scan.notices.iter().chain(&verified.notices);
            let classes: Vec<_> = notices.map(|notice| notice.class).collect();
            assert!(!classes.contains(&NoticeClass::InnerRegistry), "{case}");

            let (r, s) = ("r".parse().unwrap(), "s".parse().unwrap());
            let active = RenameOptions::default().active(true);
            registry.rename_run(&r, &s, &active).expect(&case);
            registry.rename_run(&s, &r, &active).expect(&case);
            let removed = registry.remove_target(&target(ONE), &kept(), &Silent);
            let id = removed.expect(&case).removal.unwrap();
            registry.restore(&RestoreTarget::Removal(id)).expect(&case);
            assert!(place.symlink_metadata().is_ok(), "{case}");
            // With the rest of its container; what was not recorded stays in the run.
            let removed = registry.remove_target(&target(CONTAINER), &kept(), &Silent);
            removed.expect(&case);
            assert_eq!(paths(&registry), [""; 0], "{case}");
            assert!(registry.empty_trash(None, &Silent).unwrap().purge.is_done);
            assert_eq!(tree(&other), before, "{case}");
        }
    }
}

#[test]
fn a_run_that_holds_a_registry_is_not_renamed_nor_into_one() {
    for at in [format!("{ONE}/deep"), "r/other/deep".to_owned()] {
        let (folder, registry) = base();
        array(&registry, ONE);
        let (inner, before) = inner(folder.path(), &at);
        let options = RenameOptions::default().active(true);
        let rename = |to: &str| {
            let (from, to) = ("r".parse().unwrap(), to.parse().unwrap());
            (
                code(registry.plan_rename(&from, &to)),
                code(registry.rename_run(&from, &to, &options)),
            )
        };
        assert_eq!(rename("s"), ("inner-registry", "inner-registry"), "{at}");
        assert_eq!(tree(&inner), before);
    }
    let (folder, registry) = base();
    array(&registry, ONE);
    inner(folder.path(), "other");
    let (from, to) = ("r".parse().unwrap(), "other/s".parse().unwrap());
    let options = RenameOptions::default().active(true);
    let renamed = registry.rename_run(&from, &to, &options);
    assert_eq!(code(renamed), "inner-registry");
    assert!(folder.path().join(ONE).is_dir());
}

#[test]
fn a_purge_leaves_a_registry_that_it_meets_and_says_so() {
    // The second is deeper than what is looked at before the purge begins.
    for (deep, state) in [
        ("deep".to_owned(), RemovalState::Kept),
        ("d/".repeat(20) + "deep", RemovalState::Purging),
    ] {
        let (folder, registry) = base();
        array(&registry, ONE);
        let report = registry.remove_target(&target(ONE), &kept(), &Silent);
        let id = report.unwrap().removal.unwrap();
        let item = format!("{TRASH}/{id}/0");
        let (inner, before) = inner(folder.path(), &format!("{item}/{deep}"));
        let report = registry.empty_trash(None, &Silent).unwrap().purge;
        assert!(!report.is_done && report.failed == 1, "{report:?}");
        let (path, reason) = &report.failures[0];
        assert_eq!((path.as_path(), tree(&inner)), (inner.as_path(), before));
        assert!(reason.contains("another registry"), "{reason}");
        assert_eq!(registry.removal(&id).unwrap().unwrap().state, state);
        // What the words say to do is the way out.
        fs::rename(&inner, folder.path().join("aside")).unwrap();
        assert!(registry.empty_trash(None, &Silent).unwrap().purge.is_done);
        assert!(crate::is_trash_empty(folder.path()));
    }
}

#[test]
fn a_restore_puts_nothing_into_another_registry() {
    for whole in [false, true] {
        let (folder, registry) = base();
        for path in [ONE, TWO] {
            array(&registry, path);
        }
        let what = if whole { CONTAINER } else { ONE };
        if whole {
            registry.record(&crate::key(CONTAINER)).unwrap();
        }
        let report = registry.remove_target(&target(what), &kept(), &Silent);
        let id = report.unwrap().removal.unwrap();
        let (inner, before) = inner(folder.path(), "r/validation.zarr/1");
        let restored = registry.restore_as_planned(&RestoreTarget::Path(ONE.into()));
        assert_eq!(code(restored), "inner-registry");
        let restored = registry.restore_as_planned(&RestoreTarget::Removal(id.clone()));
        match whole {
            // The rest comes back.
            true => {
                let report = restored.unwrap();
                let codes = report.skipped.iter().map(|skipped| skipped.code);
                assert_eq!(codes.collect::<Vec<_>>(), ["inner-registry"]);
                assert_eq!(paths(&registry), [CONTAINER, TWO]);
            }
            false => assert_eq!(code(restored), "inner-registry"),
        }
        assert_eq!(tree(&inner), before);
        // Nothing is lost: once the folder is free, it comes back.
        fs::rename(&inner, folder.path().join("aside")).unwrap();
        registry.restore(&RestoreTarget::Removal(id)).unwrap();
        assert!(folder.path().join(ONE).join("0/0/0").is_file());
    }
}
