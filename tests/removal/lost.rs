//! What was deleted in the trash by hand: the rest comes back, and its row as missing.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use dalsegno::model::artifact::State;
use dalsegno::model::filter::Filter;
use dalsegno::model::operation::{Action, HistoryFilter};
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::RemovalId;
use dalsegno::{Registry, RestoreTarget, VerifyOptions};
use tempfile::TempDir;

use crate::{
    RestoreAsPlanned, TRASH, array, base, child, code, is_trash_empty, kept, key, paths, target,
    write,
};

const ARRAYS: [&str; 3] = [
    "r/validation.zarr/1/a/prediction",
    "r/validation.zarr/1/b/prediction",
    "r/validation.zarr/2/a/prediction",
];

/// Arrays of which one after the other is an item in the trash.
fn removed() -> (TempDir, Registry, RemovalId) {
    let (folder, registry) = base();
    for path in ARRAYS {
        array(&registry, path);
    }
    let removed = registry.remove_many(&Filter::default(), &kept(), &Silent);
    (folder, registry, removed.unwrap().removal.unwrap())
}

fn item(folder: &TempDir, id: &RemovalId, number: u32) -> PathBuf {
    let trash = folder.path().join(TRASH).join(id.as_str());
    trash.join(number.to_string())
}

/// The newest operation of an action: its number and its detail.
fn newest(registry: &Registry, action: Action) -> (i64, String) {
    let mut found = None;
    let filter = HistoryFilter::default().actions([action]);
    registry
        .history(&filter, |operation| {
            let detail = operation.detail.map(|detail| detail.to_string());
            found = Some((operation.id, detail.unwrap_or_default()));
            Ok::<_, dalsegno::Error>(ControlFlow::Break(()))
        })
        .unwrap();
    found.unwrap()
}

#[test]
fn the_rest_comes_back_and_the_row_of_what_is_lost_as_missing() {
    for by_undo in [false, true] {
        let (folder, registry, id) = removed();
        fs::remove_dir_all(item(&folder, &id, 1)).unwrap();
        let (artifacts, skipped) = match by_undo {
            false => {
                let what = RestoreTarget::Removal(id.clone());
                let report = registry.restore_as_planned(&what).unwrap();
                assert_eq!(report.moved, 2);
                (report.artifacts, report.skipped)
            }
            true => {
                let report = registry.undo_last().unwrap();
                (report.artifacts, report.skipped)
            }
        };
        let back: Vec<String> = artifacts.iter().map(|row| row.location().path()).collect();
        assert_eq!(back, [ARRAYS[0], ARRAYS[2]]);
        assert_eq!(skipped.len(), 1);
        assert_eq!(skipped[0].code, "lost-in-trash");
        assert_eq!(skipped[0].path, folder.path().join(ARRAYS[1]));
        assert!(skipped[0].reason.contains(id.as_str()), "{skipped:?}");
        assert_eq!(paths(&registry), ARRAYS);
        let row = registry.get(&target(ARRAYS[1])).unwrap().unwrap();
        assert_eq!(row.state, State::Missing);
        assert!(row.sealed_at.is_some());
        assert!(!folder.path().join(ARRAYS[1]).exists());
        // The history says what was lost, and nothing is left to restore.
        let (_, detail) = newest(&registry, Action::Restore);
        assert!(detail.contains("\"lost\":1"), "{detail}");
        child::assert_sound(registry.catalog_path());
        assert_eq!(registry.trash().unwrap(), []);
        assert_eq!(registry.trash_bytes().unwrap().0, 0);
        assert!(is_trash_empty(folder.path()));
        let restore = |what| code(registry.restore_as_planned(&what));
        assert_eq!(restore(RestoreTarget::Removal(id)), "not-restorable");
        assert_eq!(
            restore(RestoreTarget::Path(ARRAYS[1].into())),
            "not-in-trash"
        );
    }
}

#[test]
fn what_comes_back_as_missing_keeps_its_number_and_its_pins() {
    let (folder, registry) = base();
    let row = array(&registry, ARRAYS[0]);
    array(&registry, ARRAYS[1]);
    let pin = dalsegno::PinSelection::Artifacts(vec![row.clone()]);
    registry
        .pin(&"p".parse().unwrap(), Some("why"), &pin)
        .unwrap();
    let forced = kept().force_pinned(true);
    let removed = registry.remove_many(&Filter::default(), &forced, &Silent);
    let id = removed.unwrap().removal.unwrap();
    fs::remove_dir_all(item(&folder, &id, 0)).unwrap();
    registry.restore(&RestoreTarget::Removal(id)).unwrap();
    let back = registry.get(&target(ARRAYS[0])).unwrap().unwrap();
    assert_eq!((back.id, back.pins), (row.id, vec!["p".to_owned()]));
}

#[test]
fn if_all_that_is_asked_for_is_lost_nothing_changes_and_it_can_be_moved_back_or_forgotten() {
    let (folder, registry, id) = removed();
    let aside = folder.path().join("aside");
    fs::rename(item(&folder, &id, 1), &aside).unwrap();
    let lost = RestoreTarget::Path(ARRAYS[1].into());
    let before = child::tree(folder.path());
    for _ in 0..2 {
        let error = registry.restore_as_planned(&lost).unwrap_err();
        assert_eq!(error.code(), "lost-in-trash");
        assert!(error.to_string().contains(ARRAYS[1]), "{error}");
    }
    assert_eq!(child::tree(folder.path()), before);
    assert_eq!(registry.trash().unwrap()[0].artifacts, 3);
    fs::rename(&aside, item(&folder, &id, 1)).unwrap();
    registry.restore_as_planned(&lost).unwrap();
    assert_eq!(paths(&registry), [ARRAYS[1]]);
    // All of the rest.
    fs::remove_dir_all(item(&folder, &id, 0).parent().unwrap()).unwrap();
    let rest = RestoreTarget::Removal(id.clone());
    assert_eq!(code(registry.restore_as_planned(&rest)), "lost-in-trash");
    let (operation, _) = newest(&registry, Action::Remove);
    assert_eq!(code(registry.undo(operation)), "lost-in-trash");
    registry.purge_removals(&[id], &Silent).unwrap();
    assert_eq!(registry.trash().unwrap(), []);
    assert_eq!(code(registry.restore(&rest)), "not-restorable");
}

#[test]
fn what_is_not_asked_for_is_not_taken_for_lost() {
    let (folder, registry, id) = removed();
    let aside = folder.path().join("aside");
    fs::rename(item(&folder, &id, 1), &aside).unwrap();
    let report = registry.restore_as_planned(&RestoreTarget::Path(ARRAYS[0].into()));
    assert_eq!(report.unwrap().skipped, []);
    assert_eq!(registry.trash().unwrap()[0].artifacts, 2);
    fs::rename(&aside, item(&folder, &id, 1)).unwrap();
    let report = registry.restore_as_planned(&RestoreTarget::Removal(id));
    assert_eq!(report.unwrap().artifacts.len(), 2);
}

#[test]
fn beside_what_was_recorded_since_only_the_trash_forgets_what_is_lost() {
    let (folder, registry, id) = removed();
    fs::remove_dir_all(item(&folder, &id, 1)).unwrap();
    registry.record(&key(ARRAYS[1])).unwrap();
    // This one stays in the trash.
    write(folder.path(), ARRAYS[2]);
    let report = registry.restore_as_planned(&RestoreTarget::Removal(id.clone()));
    let codes: Vec<_> = report.unwrap().skipped.iter().map(|one| one.code).collect();
    assert_eq!(codes, ["lost-in-trash", "occupied"]);
    let row = registry.get(&target(ARRAYS[1])).unwrap().unwrap();
    assert_eq!(row.state, State::Reserved);
    assert_eq!(registry.trash().unwrap()[0].artifacts, 1);
    fs::remove_dir_all(folder.path().join(ARRAYS[2])).unwrap();
    let report = registry.restore_as_planned(&RestoreTarget::Removal(id));
    assert_eq!(report.unwrap().skipped, []);
    assert_eq!(paths(&registry), ARRAYS);
}

#[test]
fn another_thing_with_the_name_of_an_item_stays_and_the_rest_comes_back() {
    let (folder, registry, id) = removed();
    let item = item(&folder, &id, 1);
    fs::remove_dir_all(&item).unwrap();
    fs::write(&item, "?").unwrap();
    let restored = registry.restore_as_planned(&RestoreTarget::Removal(id.clone()));
    let skipped = restored.unwrap().skipped;
    assert_eq!(skipped.len(), 1);
    assert_eq!(skipped[0].code, "not-a-folder");
    assert_eq!(skipped[0].path, folder.path().join(ARRAYS[1]));
    assert_eq!(paths(&registry), [ARRAYS[0], ARRAYS[2]]);
    assert_eq!(registry.trash().unwrap()[0].artifacts, 1);
    let again = registry.restore_as_planned(&RestoreTarget::Removal(id));
    assert_eq!(code(again), "not-a-folder");
    assert_eq!(fs::read_to_string(&item).unwrap(), "?");
}

const CONTAINER: &str = "r/validation.zarr";

/// A container of which all went by one rename, with an array deleted in the trash.
fn container_without(lost: &[&str]) -> (TempDir, Registry, RemovalId) {
    let (folder, registry) = base();
    for path in ARRAYS {
        array(&registry, path);
    }
    let pin =
        dalsegno::PinSelection::Artifacts(vec![registry.get(&target(ARRAYS[1])).unwrap().unwrap()]);
    registry
        .pin(&"p".parse().unwrap(), Some("why"), &pin)
        .unwrap();
    let forced = kept().force_pinned(true);
    let removed = registry.remove_target(&target(CONTAINER), &forced, &Silent);
    let id = removed.unwrap().removal.unwrap();
    for path in lost {
        let part = path.strip_prefix(CONTAINER).unwrap();
        fs::remove_dir_all(item(&folder, &id, 0).join(&part[1..])).unwrap();
    }
    (folder, registry, id)
}

fn states(registry: &Registry) -> Vec<(String, State)> {
    let state = |path: String| {
        let row = registry.get(&target(&path)).unwrap().unwrap();
        (path, row.state)
    };
    paths(registry).into_iter().map(state).collect()
}

/// In a container that comes back by one rename, and in one that comes back part by part.
#[test]
fn what_was_deleted_within_a_container_comes_back_as_missing_and_is_named() {
    const NEW: &str = "r/validation.zarr/3/a/prediction";
    for (by_undo, is_taken) in [(false, false), (false, true), (true, false), (true, true)] {
        let (folder, registry, id) = container_without(&[ARRAYS[1]]);
        if is_taken {
            array(&registry, NEW);
        }
        let (artifacts, skipped) = match by_undo {
            false => {
                let what = RestoreTarget::Path(CONTAINER.into());
                let report = registry.restore_as_planned(&what).unwrap();
                (report.artifacts, report.skipped)
            }
            true => {
                let (operation, _) = newest(&registry, Action::Remove);
                let report = registry.undo(operation).unwrap();
                (report.artifacts, report.skipped)
            }
        };
        let back: Vec<String> = artifacts.iter().map(|row| row.location().path()).collect();
        assert_eq!(back, [ARRAYS[0], ARRAYS[2]]);
        assert_eq!(skipped.len(), 1, "{skipped:?}");
        assert_eq!(skipped[0].code, "lost-in-trash");
        assert_eq!(skipped[0].path, folder.path().join(ARRAYS[1]));
        let mut expected = vec![
            (ARRAYS[0].to_owned(), State::Present),
            (ARRAYS[1].to_owned(), State::Missing),
            (ARRAYS[2].to_owned(), State::Present),
        ];
        expected.extend(is_taken.then(|| (NEW.to_owned(), State::Present)));
        assert_eq!(states(&registry), expected);
        let lost = registry.get(&target(ARRAYS[1])).unwrap().unwrap();
        assert_eq!(lost.pins, ["p"]);
        let (_, detail) = newest(&registry, Action::Restore);
        assert!(
            detail.contains(&format!("\"lost_artifacts\":[{}]", lost.id.0)),
            "{detail}"
        );
        assert_eq!(registry.trash().unwrap(), []);
        assert!(is_trash_empty(folder.path()));
        child::assert_sound(registry.catalog_path());
        assert_eq!(
            code(registry.restore(&RestoreTarget::Removal(id))),
            "not-restorable"
        );
    }
}

/// Of a container that a part of is in the way of, with an array that was lost and put back: by the
/// id of the removal its row is present again, at once and with its number and pins.
#[test]
fn the_row_of_what_is_put_back_into_the_trash_is_present_again() {
    for is_copy in [false, true] {
        let (folder, registry, id) = container_without(&[]);
        let before = registry.trash().unwrap();
        let in_trash = |path: &str| {
            let part = path.strip_prefix(CONTAINER).unwrap();
            item(&folder, &id, 0).join(&part[1..])
        };
        let away = folder.path().join("away");
        fs::rename(in_trash(ARRAYS[1]), &away).unwrap();
        // Something new is at the place of the last.
        array(&registry, ARRAYS[2]);
        let all = RestoreTarget::Removal(id.clone());
        let report = registry.restore_as_planned(&all).unwrap();
        let codes: Vec<_> = report.skipped.iter().map(|one| one.code).collect();
        assert_eq!(codes, ["occupied", "lost-in-trash"]);
        let lost = registry.get(&target(ARRAYS[1])).unwrap().unwrap();
        assert_eq!(lost.state, State::Missing);
        assert_eq!(before[0].artifacts, 3);
        assert_eq!(registry.trash().unwrap()[0].artifacts, 1);
        // The folders that it was in went when nothing was left in them.
        fs::create_dir_all(in_trash(ARRAYS[1]).parent().unwrap()).unwrap();
        if is_copy {
            // It has times of its own: what it holds is found by the next look.
            copy(&away, &in_trash(ARRAYS[1]));
        } else {
            fs::rename(&away, in_trash(ARRAYS[1])).unwrap();
        }
        let report = registry.restore_as_planned(&all).unwrap();
        assert_eq!(report.skipped.len(), 1, "{report:?}");
        assert_eq!(report.skipped[0].path, folder.path().join(ARRAYS[2]));
        assert!(folder.path().join(ARRAYS[1]).join(".zarray").exists());
        let back = registry.get(&target(ARRAYS[1])).unwrap().unwrap();
        assert_eq!((back.id, &back.pins), (lost.id, &vec!["p".to_owned()]));
        let state = if is_copy {
            assert_eq!(report.artifacts, []);
            State::Missing
        } else {
            assert_eq!(report.artifacts.len(), 1);
            assert_eq!(report.artifacts[0].state, State::Present);
            assert_eq!(back.size, lost.size);
            State::Present
        };
        assert_eq!(back.state, state);
        child::assert_sound(registry.catalog_path());
        let found = registry.verify(&Filter::default(), VerifyOptions::new(), &Silent);
        let found = found.unwrap().findings;
        let classes: Vec<_> = found.iter().map(|found| found.class.as_str()).collect();
        let is_found = classes.contains(&"data-is-back");
        assert_eq!(is_found, is_copy, "{classes:?}");
    }
}

/// Copies the files of an array beside its chunks, with times that they do not have.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_dir() {
            continue;
        }
        let file = to.join(entry.file_name());
        fs::copy(entry.path(), &file).unwrap();
        let file = fs::File::options().write(true).open(file).unwrap();
        let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000);
        file.set_modified(time).unwrap();
    }
}

#[test]
fn a_container_without_the_metadata_of_an_array_has_lost_the_array() {
    let (folder, registry, id) = container_without(&[]);
    let part = ARRAYS[2].strip_prefix(CONTAINER).unwrap();
    let array = item(&folder, &id, 0).join(&part[1..]);
    for entry in fs::read_dir(&array).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::remove_file(path).unwrap();
        }
    }
    let report = registry.restore_as_planned(&RestoreTarget::Removal(id));
    assert_eq!(report.unwrap().skipped[0].code, "lost-in-trash");
    assert_eq!(states(&registry)[2].1, State::Missing);
}

#[test]
fn if_nothing_that_is_asked_for_is_left_in_a_container_it_stays_as_it_is() {
    for is_taken in [false, true] {
        let (folder, registry, id) = container_without(&ARRAYS);
        if is_taken {
            array(&registry, "r/validation.zarr/3/a/prediction");
        }
        let before = child::tree(folder.path());
        let all = RestoreTarget::Removal(id.clone());
        assert_eq!(code(registry.restore_as_planned(&all)), "lost-in-trash");
        assert_eq!(child::tree(folder.path()), before);
        assert_eq!(registry.trash().unwrap()[0].artifacts, 3);
        registry.purge_removals(&[id], &Silent).unwrap();
        assert_eq!(registry.trash().unwrap(), []);
    }
    // What is asked for is lost, and what is beside it was not asked for.
    let (folder, registry, id) = container_without(&[ARRAYS[2]]);
    let before = child::tree(folder.path());
    let one = RestoreTarget::Path(ARRAYS[2].into());
    assert_eq!(code(registry.restore_as_planned(&one)), "lost-in-trash");
    assert_eq!(child::tree(folder.path()), before);
    // Files that the registry does not know come back, and the rows of what they were with.
    let report = registry.restore_as_planned(&RestoreTarget::Removal(id));
    assert_eq!(report.unwrap().artifacts.len(), 2);
    let (folder, registry, id) = container_without(&ARRAYS);
    fs::write(item(&folder, &id, 0).join("notes.txt"), "precious").unwrap();
    let report = registry.restore_as_planned(&RestoreTarget::Removal(id));
    let report = report.unwrap();
    assert_eq!((report.artifacts.len(), report.skipped.len()), (0, 3));
    assert!(folder.path().join(CONTAINER).join("notes.txt").exists());
    assert!(
        states(&registry)
            .iter()
            .all(|(_, state)| *state == State::Missing)
    );
}

/// A restore that was killed after its rename is completed by what is at the old places.
#[test]
fn a_killed_restore_of_a_container_without_an_array_brings_its_row_back_as_missing() {
    let (folder, registry, id) = container_without(&[ARRAYS[1]]);
    drop(registry);
    let removal = folder.path().join(TRASH).join(id.as_str());
    let text = fs::read_to_string(removal.join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    let note = serde_json::json!({ "items": manifest["items"] }).to_string();
    fs::write(removal.join("restoring.json"), note).unwrap();
    let place = folder.path().join(CONTAINER);
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::rename(removal.join("0"), place).unwrap();
    let registry = crate::open_at(folder.path(), crate::NOW);
    assert_eq!(registry.recovery().undone, [id]);
    let found: Vec<State> = states(&registry).iter().map(|(_, state)| *state).collect();
    assert_eq!(found, [State::Present, State::Missing, State::Present]);
    assert_eq!(registry.trash().unwrap(), []);
    child::assert_sound(registry.catalog_path());
}
