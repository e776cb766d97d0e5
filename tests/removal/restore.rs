//! Restore: rows and data come back as they were, or everything stays.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use dalsegno::model::filter::Filter;
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::{RemovalState, TrashKeep};
use dalsegno::{Registry, RemoveOptions, RestoreTarget};

use crate::child::tree;
use crate::{
    RestoreAsPlanned as _, array, base, code, is_trash_empty, kept, of_run, paths, target, write,
};

const ONE: &str = "r/validation.zarr/1/a/prediction";
const TWO: &str = "r/validation.zarr/2/a/prediction";
const OTHER: &str = "q/validation.zarr/1/a/prediction";

/// What [`tree`] gives, with times of change and the numbers of the inodes.
fn exactly(folder: &Path) -> BTreeMap<String, String> {
    let add = |(path, line): (String, String)| {
        let stat = Path::new(&path).symlink_metadata().unwrap();
        let time = (stat.mtime(), stat.mtime_nsec());
        let line = format!("{line} {time:?} {}", stat.ino());
        (path, line)
    };
    tree(folder).into_iter().map(add).collect()
}

fn remove(registry: &Registry, path: &str) -> dalsegno::model::removal::RemovalId {
    let report = registry.remove_target(&target(path), &kept(), &Silent);
    report.unwrap().removal.unwrap()
}

#[test]
fn what_comes_back_is_what_went() {
    for by in ["id", "path", "filter", "absolute"] {
        let (folder, registry) = base();
        let sealed = array(&registry, ONE);
        array(&registry, OTHER);
        let path = folder.path().join(ONE);
        fs::set_permissions(path.join("0/0/0"), fs::Permissions::from_mode(0o440)).unwrap();
        fs::set_permissions(path.join("0"), fs::Permissions::from_mode(0o2750)).unwrap();
        let past = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for file in [path.join("0/0/0"), path.join("0"), path.clone()] {
            fs::File::open(file).unwrap().set_modified(past).unwrap();
        }
        let before = exactly(&path);
        let id = remove(&registry, ONE);
        assert!(!path.exists());
        assert_eq!(paths(&registry), [OTHER]);
        let what = match by {
            "id" => RestoreTarget::Removal(id.clone()),
            "path" => RestoreTarget::Path(ONE.into()),
            "absolute" => RestoreTarget::Path(path.clone()),
            _ => RestoreTarget::Filter(of_run("r")),
        };
        let report = registry.restore_as_planned(&what).unwrap();
        assert_eq!(report.removals, std::slice::from_ref(&id), "{by}");
        assert_eq!(report.moved, 1);
        assert_eq!(exactly(&path), before, "{by}");
        let back = registry.get(&target(ONE)).unwrap().unwrap();
        assert_eq!(back, sealed, "{by}: the row, its number included");
        assert_eq!(registry.trash().unwrap(), []);
        let removal = registry.removal(&id).unwrap().unwrap();
        assert_eq!(removal.state, RemovalState::Restored);
        assert!(is_trash_empty(folder.path()));
    }
}

#[test]
fn a_whole_container_comes_back_with_what_the_registry_did_not_know() {
    let (folder, registry) = base();
    array(&registry, ONE);
    array(&registry, TWO);
    write(folder.path(), "r/validation.zarr/3/b/prediction");
    fs::write(folder.path().join("r/validation.zarr/notes"), "x").unwrap();
    let before = exactly(&folder.path().join("r/validation.zarr"));
    let id = remove(&registry, "r/validation.zarr");
    assert!(!folder.path().join("r/validation.zarr").exists());
    // Naming one of its arrays brings back the container.
    let report = registry
        .restore_as_planned(&RestoreTarget::Path(ONE.into()))
        .unwrap();
    assert_eq!((report.moved, report.artifacts.len()), (1, 2));
    assert_eq!(report.removals, [id]);
    assert_eq!(exactly(&folder.path().join("r/validation.zarr")), before);
    assert_eq!(paths(&registry), [ONE, TWO]);
}

#[test]
fn part_of_a_removal_comes_back_and_the_rest_later() {
    let (folder, registry) = base();
    for path in [ONE, TWO, OTHER] {
        array(&registry, path);
    }
    fs::write(folder.path().join("r/validation.zarr/notes"), "x").unwrap();
    let report = registry
        .remove_many(&Filter::default(), &kept(), &Silent)
        .unwrap();
    let id = report.removal.unwrap();
    registry
        .restore_as_planned(&RestoreTarget::Path(TWO.into()))
        .unwrap();
    assert_eq!(paths(&registry), [TWO]);
    let listed = registry.trash().unwrap();
    assert_eq!((listed.len(), listed[0].artifacts), (1, 2));
    assert_eq!(listed[0].state, RemovalState::Kept);
    let again = registry.restore_as_planned(&RestoreTarget::Path(TWO.into()));
    assert_eq!(code(again), "not-in-trash");
    registry
        .restore_as_planned(&RestoreTarget::Removal(id))
        .unwrap();
    assert_eq!(paths(&registry), [OTHER, ONE, TWO]);
    assert_eq!(registry.trash().unwrap(), []);
    assert!(is_trash_empty(folder.path()));
}

#[test]
fn of_several_removals_of_one_place_the_last_comes_back() {
    for by_path in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let mut ids = Vec::new();
        for (round, text) in ["first", "second", "third"].iter().enumerate() {
            let later = i64::try_from(round).unwrap() * 100;
            let now = dalsegno::model::clock::Timestamp(crate::NOW.0 + later);
            let registry = crate::open_at(folder.path(), now);
            array(&registry, ONE);
            fs::write(folder.path().join(ONE).join("0/0/0"), text).unwrap();
            ids.push(remove(&registry, ONE));
        }
        let registry = crate::open_at(
            folder.path(),
            dalsegno::model::clock::Timestamp(crate::NOW.0),
        );
        let what = match by_path {
            true => RestoreTarget::Path(ONE.into()),
            false => RestoreTarget::Filter(of_run("r")),
        };
        let read = || fs::read_to_string(folder.path().join(ONE).join("0/0/0")).unwrap();
        let report = registry.restore_as_planned(&what).unwrap();
        assert_eq!(report.removals, std::slice::from_ref(&ids[2]));
        let older: Vec<_> = report
            .older
            .iter()
            .map(|one| (&*one.path, &one.removal))
            .collect();
        assert_eq!(older, [(ONE, &ids[1]), (ONE, &ids[0])]);
        assert_eq!(read(), "third");
        assert_eq!(registry.trash().unwrap().len(), 2);
        // The earlier ones by their ids, once the place is free.
        let first = RestoreTarget::Removal(ids[0].clone());
        assert_eq!(code(registry.restore_as_planned(&first)), "occupied");
        assert_eq!(read(), "third");
        registry
            .remove_target(&target(ONE), &kept(), &Silent)
            .unwrap();
        registry.restore_as_planned(&first).unwrap();
        assert_eq!(read(), "first");
    }
}

#[test]
fn a_file_in_the_place_of_a_folder_above_is_named_for_each_array_and_the_rest_comes_back() {
    let below = |dataset: &str| format!("r/validation.zarr/1/{dataset}/prediction");
    for is_link in [false, true] {
        let (folder, registry) = base();
        for dataset in ["a", "b", "c"] {
            array(&registry, &below(dataset));
        }
        array(&registry, "r/validation.zarr/2/a/prediction");
        let container = target("r/validation.zarr");
        let report = registry
            .remove_target(&container, &kept(), &Silent)
            .unwrap();
        let id = report.removal.unwrap();
        let place = folder.path().join("r/validation.zarr/1");
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        match is_link {
            false => fs::write(&place, "x").unwrap(),
            true => std::os::unix::fs::symlink("nowhere", &place).unwrap(),
        }
        let whole = RestoreTarget::Removal(id.clone());
        let report = registry.restore_as_planned(&whole).unwrap();
        assert_eq!(report.artifacts.len(), 1, "{report:?}");
        assert_eq!(report.skipped.len(), 3, "{report:?}");
        for skipped in &report.skipped {
            assert_eq!(
                skipped.code,
                if is_link { "symlink" } else { "not-a-folder" }
            );
            assert!(
                skipped.reason.contains(place.to_str().unwrap()),
                "{skipped:?}"
            );
        }
        fs::remove_file(&place).unwrap();
        let report = registry
            .restore_as_planned(&RestoreTarget::Removal(id))
            .unwrap();
        assert_eq!((report.artifacts.len(), report.skipped.len()), (3, 0));
    }
}

#[test]
fn a_selection_comes_back_from_all_removals_or_from_the_last_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let paths = [1, 2, 3].map(|iteration| format!("r/validation.zarr/{iteration}/v/prediction"));
    let mut ids = Vec::new();
    // The second is removed twice, and the last removal is of another run.
    for (round, path) in [&paths[0], &paths[1], &paths[1], &paths[2]]
        .iter()
        .enumerate()
    {
        let later = i64::try_from(round).unwrap() * 100;
        let now = dalsegno::model::clock::Timestamp(crate::NOW.0 + later);
        let registry = crate::open_at(folder.path(), now);
        let path = match round {
            3 => path.replacen("r/", "other/", 1),
            _ => (*path).clone(),
        };
        array(&registry, &path);
        ids.push(remove(&registry, &path));
    }
    let registry = crate::open_at(folder.path(), crate::NOW);
    let last = |target| RestoreTarget::Last(Box::new(target));
    for target in [
        RestoreTarget::Filter(of_run("r")),
        RestoreTarget::Path("r".into()),
    ] {
        let report = registry.plan_restore(&[target]).unwrap();
        assert_eq!(report.artifacts.len(), 2);
        assert_eq!(report.older.len(), 1);
    }
    let report = registry
        .restore_as_planned(&last(RestoreTarget::Path("r".into())))
        .unwrap();
    assert_eq!(report.removals, std::slice::from_ref(&ids[2]));
    assert_eq!(report.artifacts.len(), 1);
    assert_eq!(report.older[0].removal, ids[1]);
    assert!(!folder.path().join(&paths[0]).exists());
    let of_one = Filter::default()
        .runs(["r"])
        .iterations(["1".parse().unwrap()]);
    let report = registry
        .restore_as_planned(&last(RestoreTarget::Filter(of_one)))
        .unwrap();
    assert_eq!(
        (report.removals, report.older),
        (vec![ids[0].clone()], vec![])
    );
}

#[test]
fn an_occupied_place_is_refused_and_both_stay() {
    type Occupy = fn(&Registry);
    let cases: [(&str, Occupy, &str); 4] = [
        (
            "an array",
            |registry| write(registry.base(), ONE),
            "occupied",
        ),
        (
            "a row that says that there is data",
            |registry| {
                array(registry, ONE);
                fs::remove_dir_all(registry.base().join(ONE)).unwrap();
            },
            "occupied",
        ),
        (
            "a file",
            |registry| {
                let path = registry.base().join(ONE);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "x").unwrap();
            },
            "not-a-folder",
        ),
        (
            "a link",
            |registry| {
                let path = registry.base().join(ONE);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::os::unix::fs::symlink("nowhere", path).unwrap();
            },
            "symlink",
        ),
    ];
    for (what, occupy, expected) in cases {
        let (folder, registry) = base();
        array(&registry, ONE);
        array(&registry, OTHER);
        fs::write(folder.path().join("r/validation.zarr/notes"), "x").unwrap();
        let report = registry
            .remove_many(&Filter::default(), &kept(), &Silent)
            .unwrap();
        let id = report.removal.unwrap();
        occupy(&registry);
        let data = |path: &str| {
            let path = folder.path().join(path);
            path.exists().then(|| exactly(&path))
        };
        let trash = format!("{}/{id}", crate::TRASH);
        let (before, rows) = ((data("r"), data("q")), paths(&registry));
        let result = registry.restore_as_planned(&RestoreTarget::Path(ONE.into()));
        assert_eq!(code(result), expected, "{what}");
        assert_eq!((data("r"), data("q")), before, "{what}: nothing has moved");
        assert_eq!(paths(&registry), rows, "{what}");
        let items = || {
            let items = fs::read_dir(folder.path().join(&trash)).unwrap();
            let name = |item: std::io::Result<fs::DirEntry>| {
                let name = item.unwrap().file_name();
                name.into_string().unwrap()
            };
            let mut items: Vec<String> = items.map(name).collect();
            items.sort();
            items
        };
        assert_eq!(items(), ["0", "1", "manifest.json"], "{what}");
        // What is free comes back by itself.
        let report = registry
            .restore_as_planned(&RestoreTarget::Removal(id.clone()))
            .unwrap();
        let skipped = &report.skipped[..];
        assert_eq!(skipped.len(), 1, "{what}");
        assert_eq!(
            (skipped[0].path.clone(), skipped[0].code),
            (folder.path().join(ONE), expected)
        );
        assert_eq!(data("r"), before.0, "{what}");
        assert!(folder.path().join(OTHER).join("0/0/0").exists());
        assert_eq!(items(), ["1", "manifest.json"], "{what}");
    }
}

#[test]
fn what_was_purged_does_not_come_back() {
    let (_folder, registry) = base();
    array(&registry, ONE);
    let id = remove(&registry, ONE);
    registry.empty_trash(None, &Silent).unwrap();
    let restore = |what| code(registry.restore_as_planned(&what));
    assert_eq!(restore(RestoreTarget::Removal(id)), "not-restorable");
    assert_eq!(restore(RestoreTarget::Path(ONE.into())), "not-in-trash");
    assert_eq!(
        restore(RestoreTarget::Filter(Filter::default())),
        "not-in-trash"
    );
    let unknown = RestoreTarget::Removal("20260101-000000-abcdef".parse().unwrap());
    assert_eq!(restore(unknown), "no-removal");
    assert_eq!(paths(&registry), [""; 0]);
}

#[test]
fn what_was_restored_does_not_come_back_twice() {
    let (_folder, registry) = base();
    array(&registry, ONE);
    let id = remove(&registry, ONE);
    let what = RestoreTarget::Removal(id);
    registry.restore_as_planned(&what).unwrap();
    assert_eq!(code(registry.restore_as_planned(&what)), "not-restorable");
    assert_eq!(paths(&registry), [ONE]);
}

#[test]
fn parents_that_are_gone_are_made_again_and_links_are_not_followed() {
    let (folder, registry) = base();
    array(&registry, ONE);
    let id = remove(&registry, ONE);
    fs::remove_dir_all(folder.path().join("r")).unwrap();
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink("elsewhere", folder.path().join("r")).unwrap();
    let what = RestoreTarget::Removal(id);
    assert_eq!(code(registry.restore_as_planned(&what)), "symlink");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    fs::remove_file(folder.path().join("r")).unwrap();
    registry.restore_as_planned(&what).unwrap();
    assert!(folder.path().join(ONE).join("0/0/0").exists());
}

#[test]
fn a_restore_that_was_cut_off_is_completed_whatever_number_the_device_has_now() {
    let (folder, registry) = base();
    array(&registry, ONE);
    let before = exactly(&folder.path().join(ONE));
    let id = remove(&registry, ONE);
    drop(registry);
    // As after a restore up to its commit, and a reboot that gave the devices new numbers.
    let removal = folder.path().join(crate::TRASH).join(id.as_str());
    let text = fs::read_to_string(removal.join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut item = manifest["items"][0].clone();
    item["device"] = (item["device"].as_u64().unwrap() + 1).into();
    let place = folder.path().join(item["path"].as_str().unwrap());
    let note = serde_json::json!({ "items": [item] }).to_string();
    fs::write(removal.join("restoring.json"), note).unwrap();
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::rename(removal.join("0"), &place).unwrap();

    let registry = crate::open_at(folder.path(), crate::NOW);
    assert_eq!(registry.recovery().problems, [""; 0]);
    assert_eq!(registry.recovery().undone, std::slice::from_ref(&id));
    assert_eq!(exactly(&folder.path().join(ONE)), before);
    assert_eq!(paths(&registry), [ONE]);
    assert!(!removal.exists());
    assert_eq!(registry.trash().unwrap(), []);
}

/// A restore of several that was killed between two of them, after which a training wrote on.
#[test]
fn a_killed_restore_takes_nothing_that_was_written_since() {
    let (folder, registry) = base();
    array(&registry, ONE);
    array(&registry, TWO);
    let keep = TrashKeep::For(Duration::from_secs(1));
    let options = RemoveOptions::default().keep(keep);
    let id = registry
        .remove_many(&Filter::default(), &options, &Silent)
        .unwrap()
        .removal
        .unwrap();
    drop(registry);
    let removal = folder.path().join(crate::TRASH).join(id.as_str());
    let text = fs::read_to_string(removal.join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    let items = manifest["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    let first = &items[0];
    let place = folder.path().join(first["path"].as_str().unwrap());
    let note = serde_json::json!({ "items": items }).to_string();
    fs::write(removal.join("restoring.json"), note).unwrap();
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::rename(removal.join(first["item"].to_string()), &place).unwrap();
    fs::write(place.join("since"), "new").unwrap();

    // Long after the trash is due.
    let late = crate::NOW.plus(Duration::from_secs(1_000_000));
    for _ in 0..2 {
        let registry = crate::open_at(folder.path(), late);
        assert_eq!(registry.recovery().problems, [""; 0]);
        assert_eq!(fs::read_to_string(place.join("since")).unwrap(), "new");
        assert_eq!(paths(&registry), [first["path"].as_str().unwrap()]);
        assert!(!removal.join("restoring.json").exists());
        // The other one was to come back too, and still can.
        assert_eq!(registry.trash().unwrap().len(), 1);
    }
    let registry = crate::open_at(folder.path(), late);
    let restored = registry
        .restore_as_planned(&RestoreTarget::Removal(id))
        .unwrap();
    assert_eq!(restored.artifacts.len(), 1);
    assert_eq!(paths(&registry).len(), 2);
}
