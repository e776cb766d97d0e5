//! Checkpoints are removed one by one, and restored unchanged.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use dalsegno::RemoveOptions;
use dalsegno::model::filter::Filter;
use dalsegno::model::key::Kind;
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::{RemovalId, RemovalState, TrashKeep};
use dalsegno::{Registry, RestoreTarget, Target};

use crate::{base, code, common, of_kinds, paths, scan, target, unpack, write};

fn kept() -> RemoveOptions {
    RemoveOptions::default().keep(TrashKeep::UntilEmptied)
}

fn of_run(run: &str, kinds: &[Kind]) -> Filter {
    of_kinds(kinds).runs([run])
}

fn is_trash_empty(base: &Path) -> bool {
    fs::read_dir(base.join(".dalsegno/trash")).map_or(0, Iterator::count) == 0
}

fn remove(registry: &Registry, path: &str) -> RemovalId {
    let report = registry.remove_target(&target(path), &kept(), &Silent);
    report.unwrap().removal.unwrap()
}

#[test]
fn a_run_goes_without_its_checkpoints_unless_their_kind_is_named() {
    let (_folder, tree) = unpack("head_zarr2");
    let registry = common::create(&tree);
    scan(&registry, &Kind::ALL);
    let run = "distance run";
    let options = RemoveOptions::default();
    registry
        .remove_many(&of_run(run, &[]), &options, &Silent)
        .unwrap();
    // The container stays, with nothing but its own files.
    let container = fs::read_dir(tree.join(run).join("validation.zarr"));
    assert!(
        container
            .unwrap()
            .all(|entry| entry.unwrap().path().is_file())
    );
    let left = registry.select(&of_run(run, &Kind::ALL)).unwrap();
    assert_eq!(left.len(), 2);
    for row in &left {
        assert_eq!(row.key.kind(), Kind::Checkpoint);
        assert_eq!(row.path().metadata().unwrap().len(), 9447);
    }

    let filter = of_run(run, &[Kind::Checkpoint]);
    let report = registry.remove_many(&filter, &options, &Silent).unwrap();
    assert_eq!((report.moved, report.total.files), (2, 2));
    assert_eq!(report.total.bytes.0, 2 * 9447);
    let purge = report.purge.unwrap();
    assert_eq!((purge.files, purge.folders, purge.failed), (2, 0, 0));
    assert!(purge.is_done);
    assert!(is_trash_empty(&tree));
    let folder = tree.join(run).join("checkpoints");
    assert_eq!(fs::read_dir(folder.join("iterations")).unwrap().count(), 0);
    assert!(folder.join("trace.pt").exists());
}

#[test]
fn the_links_to_the_best_checkpoints_are_left_alone() {
    let (_folder, tree) = unpack("head_zarr2");
    let registry = common::create(&tree);
    scan(&registry, &[Kind::Checkpoint]);
    let best = tree.join("rawgt_run/checkpoints/crop7");
    let link = fs::read_link(best.join("voi")).unwrap();
    let options = RemoveOptions::default().ignore_best_links(true);
    let path = "rawgt_run/checkpoints/iterations/1";
    registry
        .remove_target(&target(path), &options, &Silent)
        .unwrap();
    assert!(!tree.join(path).exists());
    assert_eq!(fs::read_link(best.join("voi")).unwrap(), link);
    assert_eq!(fs::read_dir(&best).unwrap().count(), 4);
    // Links, notes and their folder are not artifacts.
    for path in ["rawgt_run/checkpoints/crop7/voi", "rawgt_run/checkpoints"] {
        let removed = registry.remove_target(&target(path), &options, &Silent);
        assert_eq!(code(removed), "not-recorded", "{path}");
    }
}

#[test]
fn a_checkpoint_comes_back_as_it_was() {
    for by in ["id", "path", "filter", "absolute"] {
        let (folder, registry) = base();
        let path = write(folder.path(), "r", 5);
        let other = write(folder.path(), "r", 6);
        scan(&registry, &[Kind::Checkpoint]);
        let sealed = registry.seal(&target(&path)).unwrap();
        let full = folder.path().join(&path);
        let before = full.metadata().unwrap();
        let id = remove(&registry, &path);
        assert!(!full.exists());
        assert_eq!(paths(&registry, &Kind::ALL), [other]);
        let target_of = |what| registry.restore(&what);
        let nothing = RestoreTarget::Filter(of_run("r", &[]));
        assert_eq!(code(target_of(nothing)), "not-in-trash", "no kind is named");
        let what = match by {
            "id" => RestoreTarget::Removal(id.clone()),
            "path" => RestoreTarget::Path(path.clone().into()),
            "absolute" => RestoreTarget::Path(full.clone()),
            _ => RestoreTarget::Filter(of_run("r", &[Kind::Checkpoint])),
        };
        let report = registry.restore(&what).unwrap();
        assert_eq!((report.moved, report.artifacts.len()), (1, 1), "{by}");
        let after = full.metadata().unwrap();
        assert_eq!(after.ino(), before.ino());
        assert_eq!(after.mtime_nsec(), before.mtime_nsec());
        assert_eq!(fs::read_to_string(&full).unwrap(), "weights of 5");
        let back = registry.get(&target(&path)).unwrap().unwrap();
        assert_eq!(back, sealed, "{by}: the row, its number included");
        let removal = registry.removal(&id).unwrap().unwrap();
        assert_eq!(removal.state, RemovalState::Restored);
        assert!(is_trash_empty(folder.path()));
    }
}

#[test]
fn emptying_the_trash_unlinks_files_and_folders() {
    let (folder, registry) = base();
    let path = write(folder.path(), "r", 5);
    common::write_array(&folder.path().join("r/validation.zarr/1/d/prediction"));
    scan(&registry, &Kind::ALL);
    let filter = of_run("r", &Kind::ALL);
    let report = registry.remove_many(&filter, &kept(), &Silent).unwrap();
    assert_eq!(report.moved, 2);
    let report = registry.empty_trash(None, &Silent).unwrap();
    assert!(report.purge.is_done);
    assert_eq!(report.purge.files, 1 + common::ARRAY_FILES.len() as u64);
    assert!(is_trash_empty(folder.path()));
    assert!(!folder.path().join(&path).exists());
}

#[test]
fn other_names_of_the_file_stay() {
    let (folder, registry) = base();
    let path = write(folder.path(), "r", 5);
    scan(&registry, &[Kind::Checkpoint]);
    let other = folder.path().join("other");
    fs::hard_link(folder.path().join(&path), &other).unwrap();
    let options = RemoveOptions::default();
    registry
        .remove_target(&target(&path), &options, &Silent)
        .unwrap();
    assert_eq!(fs::read_to_string(other).unwrap(), "weights of 5");
}

#[test]
fn what_is_no_regular_file_is_refused_and_stays() {
    for (what, expected) in [
        ("symlink", "symlink"),
        ("folder", "not-a-file"),
        ("parent", "symlink"),
        ("nothing", "ok"),
    ] {
        let (folder, registry) = base();
        let path = write(folder.path(), "r", 5);
        let other = write(folder.path(), "r", 6);
        scan(&registry, &[Kind::Checkpoint]);
        let full = folder.path().join(&path);
        let beside = folder.path().join("beside");
        match what {
            "symlink" => {
                fs::rename(&full, &beside).unwrap();
                symlink(&beside, &full).unwrap();
            }
            "folder" => {
                fs::remove_file(&full).unwrap();
                fs::create_dir(&full).unwrap();
                fs::write(full.join("precious"), "x").unwrap();
            }
            "parent" => {
                fs::rename(full.parent().unwrap(), &beside).unwrap();
                symlink(&beside, full.parent().unwrap()).unwrap();
            }
            _ => fs::remove_file(&full).unwrap(),
        }
        let filter = of_run("r", &[Kind::Checkpoint]);
        let options = kept().ignore_best_links(true);
        let removed = registry.remove_many(&filter, &options, &Silent);
        assert_eq!(code(removed), expected, "{what}");
        if expected == "ok" {
            continue;
        }
        assert_eq!(paths(&registry, &[Kind::Checkpoint]).len(), 2, "{what}");
        assert!(full.symlink_metadata().is_ok(), "{what}");
        assert!(folder.path().join(&other).exists(), "{what}");
        assert!(is_trash_empty(folder.path()), "{what}");
        let options = options.keep_going(true);
        let report = registry.remove_many(&filter, &options, &Silent).unwrap();
        let skipped = if what == "parent" { 2 } else { 1 };
        assert_eq!(report.skipped.len(), skipped, "{what}");
        assert_eq!(report.skipped[0].code, expected, "{what}");
        assert!(full.symlink_metadata().is_ok(), "{what}");
    }
}

#[test]
fn a_restore_refuses_an_occupied_place() {
    let (folder, registry) = base();
    let path = write(folder.path(), "r", 5);
    scan(&registry, &[Kind::Checkpoint]);
    let id = remove(&registry, &path);
    fs::write(folder.path().join(&path), "new").unwrap();
    let what = RestoreTarget::Removal(id);
    assert_eq!(code(registry.restore(&what)), "occupied");
    let full = folder.path().join(&path);
    assert_eq!(fs::read_to_string(&full).unwrap(), "new");
    fs::remove_file(&full).unwrap();
    fs::create_dir(&full).unwrap();
    assert_eq!(code(registry.restore(&what)), "not-a-file");
    fs::remove_dir(&full).unwrap();
    registry.restore(&what).unwrap();
    assert_eq!(fs::read_to_string(&full).unwrap(), "weights of 5");
}

#[test]
fn a_folder_in_the_trash_is_not_restored_as_a_checkpoint() {
    let (folder, registry) = base();
    let path = write(folder.path(), "r", 5);
    scan(&registry, &[Kind::Checkpoint]);
    let id = remove(&registry, &path);
    let item = folder
        .path()
        .join(".dalsegno/trash")
        .join(id.as_str())
        .join("0");
    assert_eq!(fs::read_to_string(&item).unwrap(), "weights of 5");
    for turn in ["folder", "symlink"] {
        let _ = fs::remove_file(&item);
        match turn {
            "folder" => fs::create_dir(&item).unwrap(),
            _ => symlink("/etc/passwd", &item).unwrap(),
        }
        let restored = registry.restore(&RestoreTarget::Removal(id.clone()));
        assert_eq!(code(restored), "not-a-file", "{turn}");
        assert!(!folder.path().join(&path).exists());
        let _ = fs::remove_dir(&item);
    }
}

#[test]
fn a_folder_that_is_called_like_a_container_stays() {
    let (folder, registry) = base();
    // By its path the first is an array, but a recorded key takes precedence.
    let paths = [
        "a/x.zarr/checkpoints/iterations/5",
        "r.zarr/checkpoints/iterations/7",
    ];
    for (run, path) in ["a/x.zarr", "r.zarr"].into_iter().zip(paths) {
        let iteration = path.rsplit('/').next().unwrap().parse().unwrap();
        let run: dalsegno::model::name::RunName = run.parse().unwrap();
        write(folder.path(), run.as_str(), iteration);
        let key = dalsegno::model::key::Key::Checkpoint { run, iteration };
        let artifact = registry.record(&key).unwrap().artifact;
        assert_eq!(artifact.location().path(), path);
        let key = Target::Key(key);
        registry.seal(&key).unwrap();
        let report = registry.remove_target(&key, &kept(), &Silent).unwrap();
        assert_eq!(report.moved, 1);
        let full = folder.path().join(path);
        assert!(!full.exists() && full.parent().unwrap().is_dir(), "{path}");
        let what = RestoreTarget::Path(path.into());
        assert_eq!(registry.restore(&what).unwrap().moved, 1);
        assert_eq!(
            fs::read_to_string(&full).unwrap(),
            format!("weights of {iteration}")
        );
    }
}

#[test]
fn an_empty_run_that_is_called_like_a_checkpoint_stays() {
    let (folder, registry) = base();
    let run = folder.path().join("x/checkpoints/iterations/5");
    let path = "x/checkpoints/iterations/5/validation.zarr/1/d/prediction";
    common::write_array(&folder.path().join(path));
    scan(&registry, &[]);
    let options = RemoveOptions::default();
    registry
        .remove_target(&target(path), &options, &Silent)
        .unwrap();
    assert!(run.is_dir());
    assert_eq!(
        fs::read_dir(run.join("validation.zarr")).unwrap().count(),
        0
    );
}

#[test]
fn a_named_container_takes_along_a_checkpoint_in_it() {
    let (folder, registry) = base();
    let run = "a/x.zarr";
    let path = write(folder.path(), run, 5);
    let key = dalsegno::model::key::Key::Checkpoint {
        run: run.parse().unwrap(),
        iteration: 5,
    };
    registry.record(&key).unwrap();
    registry.seal(&Target::Key(key.clone())).unwrap();
    common::write_array(&folder.path().join("a/x.zarr/raw"));
    scan(&registry, &[]);
    let chosen = registry.to_remove(&target(run)).unwrap();
    let plan = registry.plan_removal(chosen).unwrap();
    assert_eq!(plan.items.len(), 1);
    assert_eq!(
        (plan.items[0].path.as_str(), plan.artifacts().count()),
        (run, 2)
    );
    assert!(
        plan.items[0].unknown.is_empty(),
        "the registry knows the file"
    );
    let report = registry.remove_planned(&plan, &kept(), &Silent).unwrap();
    assert_eq!((report.moved, report.missing.len()), (1, 0));
    assert!(!folder.path().join(run).exists());
    let what = RestoreTarget::Path(path.clone().into());
    assert_eq!(registry.restore(&what).unwrap().artifacts.len(), 2);
    assert!(folder.path().join(&path).is_file());
}

#[test]
fn an_array_of_a_container_goes_without_the_checkpoint_in_it() {
    let (folder, registry) = base();
    let run = "a/x.zarr";
    let path = write(folder.path(), run, 5);
    let key = dalsegno::model::key::Key::Checkpoint {
        run: run.parse().unwrap(),
        iteration: 5,
    };
    registry.record(&key).unwrap();
    common::write_array(&folder.path().join("a/x.zarr/raw"));
    scan(&registry, &[]);
    let filter = of_run("a", &[]);
    let report = registry
        .remove_many(&filter, &RemoveOptions::default(), &Silent)
        .unwrap();
    assert_eq!((report.moved, report.artifacts.len()), (1, 1));
    assert!(folder.path().join(&path).is_file());
    assert!(registry.get(&Target::Key(key)).unwrap().is_some());
}

/// Leaves the state of a process that was killed between the renames and the commit of a removal or
/// a restore.
#[test]
fn a_killed_restore_is_completed_and_a_killed_removal_is_undone() {
    let (folder, registry) = base();
    let path = write(folder.path(), "r", 5);
    scan(&registry, &[Kind::Checkpoint]);
    let full = folder.path().join(&path);
    let row = registry.get(&target(&path)).unwrap().unwrap();
    let id = remove(&registry, &path);
    let trash = folder.path().join(".dalsegno/trash").join(id.as_str());
    let manifest = fs::read_to_string(trash.join("manifest.json")).unwrap();
    assert!(manifest.contains(r#""form":"file""#), "{manifest}");
    drop(registry);

    // A restore: the item is back, the catalog does not know it yet.
    let items: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let note = serde_json::json!({ "items": items["items"] }).to_string();
    fs::write(trash.join("restoring.json"), &note).unwrap();
    fs::rename(trash.join("0"), &full).unwrap();
    let registry = common::create(folder.path());
    assert_eq!(registry.recovery().undone, std::slice::from_ref(&id));
    assert_eq!(registry.get(&target(&path)).unwrap().unwrap(), row);
    assert!(full.is_file() && !trash.exists());
    let id = remove(&registry, &path);
    let trash = folder.path().join(".dalsegno/trash").join(id.as_str());
    let manifest = fs::read_to_string(trash.join("manifest.json")).unwrap();
    let items: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let note = serde_json::json!({ "items": items["items"] }).to_string();
    drop(registry);

    // Another file took its place in the meantime; it does not belong to the registry.
    fs::write(trash.join("restoring.json"), &note).unwrap();
    fs::rename(trash.join("0"), folder.path().join("aside")).unwrap();
    fs::write(&full, "new").unwrap();
    let registry = common::create(folder.path());
    assert_eq!(fs::read_to_string(&full).unwrap(), "new");
    assert!(!trash.join("0").exists());
    drop(registry);
    fs::rename(folder.path().join("aside"), trash.join("0")).unwrap();
    fs::remove_file(&full).unwrap();

    // A removal: the item is in the trash, the catalog still has the row.
    let registry = common::create(folder.path());
    registry
        .restore(&RestoreTarget::Removal(id.clone()))
        .unwrap();
    drop(registry);
    let other = "20261122-163000-3f9a2c";
    let manifest = manifest.replace(id.as_str(), other);
    let trash = folder.path().join(".dalsegno/trash").join(other);
    fs::create_dir(&trash).unwrap();
    fs::write(trash.join("manifest.json"), &manifest).unwrap();
    fs::rename(&full, trash.join("0")).unwrap();
    let registry = common::create(folder.path());
    assert_eq!(registry.recovery().problems, Vec::<String>::new());
    assert_eq!(registry.recovery().undone.len(), 1);
    assert_eq!(fs::read_to_string(&full).unwrap(), "weights of 5");
    assert_eq!(registry.get(&target(&path)).unwrap().unwrap(), row);
    assert!(is_trash_empty(folder.path()));
    drop(registry);

    // Something other than a file is there: it is left alone and reported.
    fs::create_dir_all(trash.join("0")).unwrap();
    fs::write(trash.join("manifest.json"), &manifest).unwrap();
    fs::rename(&full, folder.path().join("aside")).unwrap();
    let registry = common::create(folder.path());
    let problems = &registry.recovery().problems;
    assert!(
        problems[0].contains("is not a regular file"),
        "{problems:?}"
    );
    assert!(trash.join("0").is_dir() && !full.exists());
}

#[test]
fn a_removal_that_is_undone_finds_its_place_occupied_and_keeps_both() {
    let (folder, registry) = base();
    let path = write(folder.path(), "r", 5);
    scan(&registry, &[Kind::Checkpoint]);
    let full = folder.path().join(&path);
    let found = full.metadata().unwrap();
    drop(registry);
    let trash = folder.path().join(".dalsegno/trash/20261122-163000-3f9a2c");
    fs::create_dir_all(&trash).unwrap();
    let manifest = serde_json::json!({ "items": [{
        "item": 0, "path": path, "form": "file", "device": found.dev(), "inode": found.ino(),
    }]});
    fs::write(trash.join("manifest.json"), manifest.to_string()).unwrap();
    fs::rename(&full, trash.join("0")).unwrap();
    fs::write(&full, "new").unwrap();
    let registry = common::create(folder.path());
    assert_eq!(registry.recovery().undone.len(), 1);
    assert_eq!(fs::read_to_string(&full).unwrap(), "new");
    assert_eq!(registry.trash().unwrap().len(), 1);
    fs::remove_file(&full).unwrap();
    let what = RestoreTarget::Path(path.into());
    assert_eq!(registry.restore(&what).unwrap().moved, 1);
    assert_eq!(fs::read_to_string(&full).unwrap(), "weights of 5");
}
