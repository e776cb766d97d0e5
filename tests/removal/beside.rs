//! A restore beside a training that goes on: what has no counterpart comes back, the rest stays.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use dalsegno::model::filter::Filter;
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::{RemovalId, RemovalState};
use dalsegno::{Registry, RestoreReport, RestoreTarget};

use crate::child::tree;
use crate::{
    RestoreAsPlanned as _, array, base, code, is_trash_empty, kept, key, of_run, paths, target,
    write,
};

const CONTAINER: &str = "r/validation.zarr";
const A1: &str = "r/validation.zarr/1/a/prediction";
const B1: &str = "r/validation.zarr/1/b/prediction";
const A2: &str = "r/validation.zarr/2/a/prediction";
const A3: &str = "r/validation.zarr/3/a/prediction";

fn group(base: &Path, path: &str, text: &str) {
    fs::create_dir_all(base.join(path)).unwrap();
    fs::write(base.join(path).join(".zgroup"), text).unwrap();
}

fn remove(registry: &Registry, path: &str) -> RemovalId {
    let report = registry.remove_target(&target(path), &kept(), &Silent);
    report.unwrap().removal.unwrap()
}

/// A container with three arrays that went as a whole, and a new one with 2 and 3 at its place.
fn scene() -> (tempfile::TempDir, Registry, RemovalId) {
    let (folder, registry) = base();
    for path in [A1, B1, A2] {
        array(&registry, path);
        fs::write(folder.path().join(path).join("0/0/0"), "removed").unwrap();
    }
    group(folder.path(), CONTAINER, "removed");
    group(folder.path(), "r/validation.zarr/1", "removed");
    let id = remove(&registry, CONTAINER);
    for path in [A2, A3] {
        array(&registry, path);
    }
    group(folder.path(), CONTAINER, "live");
    (folder, registry, id)
}

fn chunk(base: &Path, path: &str) -> String {
    fs::read_to_string(base.join(path).join("0/0/0")).unwrap()
}

fn skipped(base: &Path, report: &RestoreReport) -> Vec<(String, &'static str)> {
    let path = |path: &Path| {
        path.strip_prefix(base)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    };
    let all = report.skipped.iter();
    all.map(|one| (path(&one.path), one.code)).collect()
}

/// Everything below a folder, with the numbers of the inodes.
fn exactly(folder: &Path) -> BTreeMap<String, (String, u64)> {
    let inode = |path: &str| Path::new(path).symlink_metadata().unwrap().ino();
    let all = tree(folder).into_iter();
    all.map(|(path, line)| (path.clone(), (line, inode(&path))))
        .collect()
}

#[test]
fn what_has_no_counterpart_comes_back_and_the_rest_later() {
    for by in ["removal", "container", "run"] {
        let (folder, registry, id) = scene();
        let base = folder.path();
        let live = exactly(&base.join("r/validation.zarr/2"));
        let what = match by {
            "removal" => RestoreTarget::Removal(id.clone()),
            "container" => RestoreTarget::Path(CONTAINER.into()),
            _ => RestoreTarget::Path("r".into()),
        };
        let report = registry.restore_as_planned(&what).unwrap();
        assert_eq!(
            skipped(base, &report),
            [(A2.to_owned(), "occupied")],
            "{by}"
        );
        assert_eq!(paths(&registry), [A1, B1, A2, A3], "{by}");
        assert_eq!((report.artifacts.len(), report.moved), (2, 1), "{by}");
        assert_eq!(chunk(base, A1), "removed");
        assert_eq!(exactly(&base.join("r/validation.zarr/2")), live, "{by}");
        let read = |path: &str| fs::read_to_string(base.join(path)).unwrap();
        assert_eq!(read("r/validation.zarr/.zgroup"), "live");
        assert_eq!(read("r/validation.zarr/1/.zgroup"), "removed");

        // The rest comes back as soon as its place is free.
        let again = registry.restore_as_planned(&RestoreTarget::Removal(id.clone()));
        assert_eq!(code(again), "occupied", "{by}");
        let later = remove(&registry, A2);
        let report = registry
            .restore_as_planned(&RestoreTarget::Removal(id.clone()))
            .unwrap();
        // The metadata of the container is left: other metadata is at its place.
        let group = ("r/validation.zarr/.zgroup".to_owned(), "occupied");
        assert_eq!(skipped(base, &report), [group]);
        assert_eq!(chunk(base, A2), "removed");
        let state = registry.removal(&id).unwrap().unwrap();
        assert_eq!((state.state, state.artifacts), (RemovalState::Kept, 0));
        let left = registry.restore(&RestoreTarget::Removal(id.clone()));
        assert_eq!(code(left), "occupied");
        registry.empty_trash(None, &Silent).unwrap();
        assert!(is_trash_empty(base));
        assert_eq!(paths(&registry), [A1, B1, A2, A3]);
        assert_eq!(
            code(registry.restore_as_planned(&RestoreTarget::Removal(later))),
            "not-restorable"
        );
    }
}

#[test]
fn metadata_of_a_group_that_is_there_with_the_same_bytes_is_as_good_as_back() {
    for by in ["removal", "run", "selection"] {
        let (folder, registry) = base();
        let base = folder.path();
        array(&registry, A1);
        group(base, CONTAINER, "same");
        group(base, "r/validation.zarr/1", "same");
        let id = remove(&registry, CONTAINER);
        // A training writes the groups again, and another array.
        array(&registry, A2);
        group(base, CONTAINER, "same");
        group(base, "r/validation.zarr/1", "same");
        let live = base.join(CONTAINER).join(".zgroup");
        let inode = fs::metadata(&live).unwrap().ino();
        let what = match by {
            "removal" => RestoreTarget::Removal(id.clone()),
            "run" => RestoreTarget::Path("r".into()),
            _ => RestoreTarget::Filter(of_run("r")),
        };
        let report = registry.restore_as_planned(&what).unwrap();
        assert_eq!(report.skipped, [], "{by}");
        assert_eq!(paths(&registry), [A1, A2], "{by}");
        let state = registry.removal(&id).unwrap().unwrap().state;
        assert_eq!(state, RemovalState::Restored, "{by}");
        assert!(is_trash_empty(base), "{by}");
        assert_eq!(fs::metadata(&live).unwrap().ino(), inode, "{by}");
        assert_eq!(registry.trash().unwrap(), [], "{by}");
    }
}

#[test]
fn metadata_that_was_left_goes_as_soon_as_the_same_is_at_its_place() {
    let (folder, registry, id) = scene();
    let whole = RestoreTarget::Removal(id.clone());
    registry.restore(&whole).unwrap();
    remove(&registry, A2);
    registry.restore(&whole).unwrap();
    assert_eq!(code(registry.restore(&whole)), "occupied");
    group(folder.path(), CONTAINER, "removed");
    let report = registry.restore_as_planned(&whole).unwrap();
    assert_eq!((report.artifacts.len(), report.moved), (0, 0));
    assert_eq!(report.skipped, []);
    let state = registry.removal(&id).unwrap().unwrap();
    assert_eq!(state.state, RemovalState::Restored);
}

#[test]
fn a_part_that_is_asked_for_comes_back_with_the_metadata_of_its_groups() {
    let (folder, registry, id) = scene();
    let base = folder.path();
    let report = registry
        .restore_as_planned(&RestoreTarget::Path(B1.into()))
        .unwrap();
    assert_eq!((report.artifacts.len(), report.skipped.len()), (1, 0));
    assert_eq!(paths(&registry), [B1, A2, A3]);
    let read = |path: &str| fs::read_to_string(base.join(path)).unwrap();
    assert_eq!(read("r/validation.zarr/1/.zgroup"), "removed");
    assert_eq!(read("r/validation.zarr/.zgroup"), "live");
    assert_eq!(registry.removal(&id).unwrap().unwrap().artifacts, 2);
    // An iteration: all of it has a counterpart.
    let second = Filter::default().iterations([2.into()]);
    assert_eq!(
        code(registry.restore_as_planned(&RestoreTarget::Filter(second))),
        "occupied"
    );
    let first = Filter::default().iterations([1.into()]);
    let report = registry
        .restore_as_planned(&RestoreTarget::Filter(first))
        .unwrap();
    assert_eq!((report.artifacts.len(), report.skipped.len()), (1, 0));
    assert_eq!(paths(&registry), [A1, B1, A2, A3]);
}

#[test]
fn an_empty_folder_and_a_row_without_data_are_no_obstacles() {
    for container in [false, true] {
        let (folder, registry) = base();
        let was = array(&registry, A1);
        let path = folder.path().join(A1);
        let before = exactly(&path);
        let what = if container { CONTAINER } else { A1 };
        let id = remove(&registry, what);
        let reserved = registry.record(&key(A1)).unwrap();
        fs::create_dir_all(folder.path().join(A1)).unwrap();
        let report = registry
            .restore_as_planned(&RestoreTarget::Removal(id))
            .unwrap();
        assert_eq!(report.skipped, []);
        assert_eq!(exactly(&path), before);
        let back = registry.get(&target(A1)).unwrap().unwrap();
        // The identifier that was handed out since stays valid.
        assert_eq!(back.id, reserved.artifact.id);
        assert_eq!(
            (back.state, back.size, back.sealed_at, back.content_hash),
            (was.state, was.size, was.sealed_at, was.content_hash)
        );
    }
}

#[test]
fn a_pin_on_what_was_removed_binds_what_comes_back_over_a_row_without_data() {
    let (_folder, registry) = base();
    let artifact = array(&registry, A1);
    let what = dalsegno::PinSelection::Artifacts(vec![artifact]);
    registry
        .pin(&"paper".parse().unwrap(), Some("figure 2"), &what)
        .unwrap();
    let options = kept().force_pinned(true);
    let report = registry
        .remove_target(&target(A1), &options, &Silent)
        .unwrap();
    registry.record(&key(A1)).unwrap();
    registry
        .restore_as_planned(&RestoreTarget::Removal(report.removal.unwrap()))
        .unwrap();
    let refused = registry.remove_target(&target(A1), &kept(), &Silent);
    assert_eq!(code(refused), "pinned");
}

#[test]
fn what_the_registry_does_not_know_comes_back_too_or_is_named() {
    let (folder, registry) = base();
    let at = |path: &str| folder.path().join(CONTAINER).join(path);
    array(&registry, A1);
    for name in ["notes", "more", "1/log"] {
        fs::write(at(name), "removed").unwrap();
    }
    let id = remove(&registry, CONTAINER);
    array(&registry, A2);
    fs::write(at("notes"), "live").unwrap();
    let report = registry
        .restore_as_planned(&RestoreTarget::Removal(id.clone()))
        .unwrap();
    let expected = ("r/validation.zarr/notes".to_owned(), "occupied");
    assert_eq!(skipped(folder.path(), &report), [expected]);
    let read = |name: &str| fs::read_to_string(at(name)).unwrap();
    assert_eq!(
        (read("notes"), read("more"), read("1/log")),
        ("live".into(), "removed".into(), "removed".into())
    );
    let kept = folder.path().join(crate::TRASH).join(id.as_str());
    assert_eq!(fs::read_to_string(kept.join("0/notes")).unwrap(), "removed");
    let state = || registry.removal(&id).unwrap().unwrap().state;
    assert_eq!(state(), RemovalState::Kept);

    // What is left has no row, and comes back by the number of its removal when its place is free.
    let whole = RestoreTarget::Removal(id.clone());
    assert_eq!(code(registry.restore(&whole)), "occupied");
    assert_eq!(read("notes"), "live");
    fs::remove_file(at("notes")).unwrap();
    assert_eq!(registry.restorable(&whole).unwrap(), []);
    let report = registry.restore(&whole).unwrap();
    assert_eq!(skipped(folder.path(), &report), []);
    assert_eq!((report.artifacts.len(), report.moved), (0, 1));
    assert_eq!(report.removals, std::slice::from_ref(&id));
    assert_eq!(read("notes"), "removed");
    assert_eq!(state(), RemovalState::Restored);
    assert!(is_trash_empty(folder.path()));
    assert_eq!(code(registry.restore(&whole)), "not-restorable");
}

#[test]
fn what_is_left_of_a_container_comes_back_at_its_free_place() {
    let (folder, registry, id) = scene();
    let whole = RestoreTarget::Removal(id.clone());
    registry.restore(&whole).unwrap();
    remove(&registry, A2);
    registry.restore(&whole).unwrap();
    // Only the metadata of the container is left now, and the container goes by hand.
    fs::remove_dir_all(folder.path().join(CONTAINER)).unwrap();
    let report = registry.restore(&whole).unwrap();
    assert_eq!((report.artifacts.len(), report.moved), (0, 1));
    let group = folder.path().join(CONTAINER).join(".zgroup");
    assert_eq!(fs::read_to_string(group).unwrap(), "removed");
    let state = registry.removal(&id).unwrap().unwrap();
    assert_eq!(state.state, RemovalState::Restored);
}

#[test]
fn what_is_left_comes_back_beside_what_has_no_place() {
    let (folder, registry) = base();
    let at = |path: &str| folder.path().join(CONTAINER).join(path);
    array(&registry, A1);
    fs::write(at("notes"), "removed").unwrap();
    let id = remove(&registry, CONTAINER);
    write(folder.path(), A1);
    let report = registry
        .restore(&RestoreTarget::Removal(id.clone()))
        .unwrap();
    let expected = [(A1.to_owned(), "occupied")];
    assert_eq!(skipped(folder.path(), &report), expected);
    assert_eq!((report.artifacts.len(), report.moved), (0, 1));
    assert_eq!(fs::read_to_string(at("notes")).unwrap(), "removed");
    let state = registry.removal(&id).unwrap().unwrap();
    assert_eq!((state.state, state.artifacts), (RemovalState::Kept, 1));
}

#[test]
fn arrays_are_never_mixed() {
    let (folder, registry) = base();
    array(&registry, A1);
    let id = remove(&registry, CONTAINER);
    // Where a group was, the training has written an array, without telling the registry.
    write(folder.path(), "r/validation.zarr/1/a");
    let before = exactly(&folder.path().join("r"));
    assert_eq!(
        code(registry.restore_as_planned(&RestoreTarget::Removal(id))),
        "occupied"
    );
    assert_eq!(exactly(&folder.path().join("r")), before);
}

#[test]
fn of_several_removals_what_is_free_comes_back() {
    let (folder, registry) = base();
    array(&registry, A1);
    let first = remove(&registry, A1);
    array(&registry, A2);
    let second = remove(&registry, A2);
    write(folder.path(), A1);
    let report = registry
        .restore_as_planned(&RestoreTarget::Filter(of_run("r")))
        .unwrap();
    assert_eq!(report.removals, [second]);
    assert_eq!(
        skipped(folder.path(), &report),
        [(A1.to_owned(), "occupied")]
    );
    assert_eq!(
        registry.removal(&first).unwrap().unwrap().state,
        RemovalState::Kept
    );
}

#[test]
fn folders_that_are_made_again_have_the_mode_that_they_had() {
    for mode in [0o2775, 0o3770, 0o711] {
        let (folder, registry) = base();
        array(&registry, A1);
        let parent = folder.path().join("r/validation.zarr/1/a");
        let set = |mode| fs::set_permissions(&parent, fs::Permissions::from_mode(mode)).unwrap();
        let mode_of = || fs::metadata(&parent).unwrap().mode() & 0o7777;
        set(mode);
        let id = remove(&registry, A1);
        assert!(!parent.exists());
        registry
            .restore_as_planned(&RestoreTarget::Removal(id))
            .unwrap();
        assert_eq!(mode_of(), mode);
        // A part of a container, whose folder is made again beside it.
        array(&registry, A2);
        array(&registry, B1);
        let id = remove(&registry, CONTAINER);
        array(&registry, A2);
        write(folder.path(), B1);
        registry
            .restore_as_planned(&RestoreTarget::Path(A1.into()))
            .unwrap();
        assert_eq!(mode_of(), mode, "of {id}");
    }
}

#[test]
fn a_folder_that_a_killed_restore_left_half_made_gets_its_mode() {
    let (folder, registry) = base();
    array(&registry, A1);
    let parent = folder.path().join("r/validation.zarr/1/a");
    let set = |mode| fs::set_permissions(&parent, fs::Permissions::from_mode(mode)).unwrap();
    set(0o2775);
    let id = remove(&registry, A1);
    fs::create_dir_all(&parent).unwrap();
    set(0o700);
    registry
        .restore_as_planned(&RestoreTarget::Removal(id))
        .unwrap();
    assert_eq!(fs::metadata(&parent).unwrap().mode() & 0o7777, 0o2775);
}

#[test]
fn a_manifest_without_folders_is_read_as_before() {
    let (folder, registry) = base();
    array(&registry, A1);
    let id = remove(&registry, A1);
    let manifest = folder
        .path()
        .join(crate::TRASH)
        .join(id.as_str())
        .join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(value.as_object_mut().unwrap().remove("folders").is_some());
    fs::write(&manifest, value.to_string()).unwrap();
    registry
        .restore_as_planned(&RestoreTarget::Removal(id))
        .unwrap();
    assert_eq!(paths(&registry), [A1]);
}

/// An access control list as the kernel gives it: what the owner may, user 61001, the group, at
/// most, all others.
fn acl(permissions: [u16; 5]) -> Vec<u8> {
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions) in [1_u16, 2, 4, 0x10, 0x20].into_iter().zip(permissions) {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(permissions.to_le_bytes());
        let id = if tag == 2 { 61_001 } else { u32::MAX };
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 1 << 10];
    let length = rustix::fs::getxattr(path, name, &mut bytes[..]).ok()?;
    bytes.truncate(length);
    Some(bytes)
}

#[test]
fn folders_that_are_made_again_have_the_access_control_list_that_they_had() {
    let (access, default) = ("system.posix_acl_access", "system.posix_acl_default");
    for above_has_one in [false, true] {
        let (folder, registry) = base();
        array(&registry, A1);
        let parent = folder.path().join("r/validation.zarr/1/a");
        let set = |path: &Path, name: &str, list: [u16; 5]| {
            rustix::fs::setxattr(path, name, &acl(list), rustix::fs::XattrFlags::empty())
        };
        if set(&parent, access, [7, 7, 5, 7, 0]).is_err() {
            println!(
                "LEFT OUT: no access control lists in {}",
                folder.path().display()
            );
            return;
        }
        set(&parent, default, [7, 6, 4, 6, 0]).unwrap();
        let mode = fs::metadata(&parent).unwrap().mode() | 0o2000;
        fs::set_permissions(&parent, fs::Permissions::from_mode(mode)).unwrap();
        let of = |path: &Path| {
            let mode = fs::metadata(path).unwrap().mode();
            (mode, attribute(path, access), attribute(path, default))
        };
        let before = of(&parent);
        assert!(before.1.is_some() && before.2.is_some());
        let above = folder.path().join("r/validation.zarr/1");
        let without = of(&above);
        let id = remove(&registry, A1);
        assert!(!above.exists());
        // A list that the folder above hands down takes no part in it.
        if above_has_one {
            set(
                &folder.path().join("r/validation.zarr"),
                default,
                [7, 0, 0, 0, 0],
            )
            .unwrap();
        }
        registry
            .restore_as_planned(&RestoreTarget::Removal(id))
            .unwrap();
        assert_eq!((of(&parent), of(&above)), (before, without));
    }
}
