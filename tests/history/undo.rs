//! Undo of removals, pins and scores; and operations that cannot be undone.

use std::fs;

use dalsegno::RemoveOptions;
use dalsegno::RestoreTarget;
use dalsegno::ScanOptions;
use dalsegno::ScoreQuery;
use dalsegno::model::filter::Filter;
use dalsegno::model::name::RunName;
use dalsegno::model::operation::Action;
use dalsegno::model::pin::PinName;
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::TrashKeep;
use dalsegno::{Hint, PinSelection, RefreshOptions, Registry, RenameOptions};

use crate::{
    ARRAY, OTHER, after, array, base, code, get, history, kept, key, made, one, open, remove,
    score, target, write,
};

fn last(registry: &Registry) -> i64 {
    registry.history_head().unwrap().0
}

fn reason(id: i64) -> Option<String> {
    Some(format!("undo of operation {id}"))
}

#[test]
fn a_removal_comes_back_whole() {
    let (folder, registry) = base();
    let artifact = array(&registry, ARRAY);
    remove(&registry, ARRAY);
    let id = last(&registry);
    let (operation, images) = one(&registry, Action::Restore, || {
        let report = registry.undo(id).unwrap();
        assert_eq!(report.artifacts, std::slice::from_ref(&artifact));
    });
    assert_eq!(operation.reason, reason(id));
    assert_eq!(images, [after(&artifact)]);
    assert_eq!(get(&registry, ARRAY), artifact);
    assert_eq!(
        fs::read(folder.path().join(ARRAY).join("0.0")).unwrap(),
        b"a chunk"
    );
    assert!(
        made(&registry, || assert_eq!(
            code(registry.undo(id)),
            "undone-already"
        ))
        .is_empty()
    );
    // The next removal of the same path is another operation.
    remove(&registry, ARRAY);
    assert_eq!(code(registry.undo(id)), "undone-already");
    registry.undo(last(&registry)).unwrap();
}

#[test]
fn a_removal_that_is_unlinked_or_whose_place_is_taken_stays() {
    let (folder, registry) = base();
    array(&registry, ARRAY);
    let options = RemoveOptions::default();
    registry
        .remove_target(&target(ARRAY), &options, &Silent)
        .unwrap();
    let id = last(&registry) - 1;
    assert_eq!(code(registry.undo(id)), "undo-too-late");
    array(&registry, OTHER);
    remove(&registry, OTHER);
    let id = last(&registry);
    write(folder.path(), OTHER);
    assert!(
        made(&registry, || assert_eq!(
            code(registry.undo(id)),
            "occupied"
        ))
        .is_empty()
    );
    fs::remove_dir_all(folder.path().join("mito/validation.zarr")).unwrap();
    registry.undo(id).unwrap();
}

#[test]
fn operations_of_other_kinds_are_never_undone() {
    let (folder, registry) = base();
    array(&registry, ARRAY);
    write(folder.path(), OTHER);
    registry.scan(ScanOptions::default(), &Silent).unwrap();
    write(folder.path(), "er/extra.zarr/mesh");
    registry.record(&key("er/extra.zarr/mesh")).unwrap();
    registry
        .refresh(&Filter::default(), RefreshOptions::default(), &Silent)
        .unwrap();
    remove(&registry, ARRAY);
    registry.undo(last(&registry)).unwrap();
    remove(&registry, ARRAY);
    registry.empty_trash(None, &Silent).unwrap();
    let mut refused = std::collections::BTreeSet::new();
    for operation in history(&registry) {
        if code(registry.undo(operation.id)) == "not-undoable" {
            refused.insert(operation.action);
        }
    }
    let never = [
        Action::Record,
        Action::Scan,
        Action::Refresh,
        Action::Seal,
        Action::Restore,
        Action::Purge,
    ];
    assert_eq!(refused, never.into());
    assert_eq!(code(registry.undo(0)), "no-operation");
    assert_eq!(code(registry.undo(-1)), "no-operation");
}

fn of_run(iteration: Option<i64>) -> PinSelection {
    PinSelection::Filter(
        Filter::default()
            .runs(["mito"])
            .iterations(iteration.into_iter().map(Into::into)),
    )
}

#[test]
fn a_pin_lets_go_what_the_operation_bound_and_no_more() {
    let (_folder, registry) = base();
    let first = array(&registry, ARRAY);
    let second = array(&registry, OTHER);
    let name = "p".parse().unwrap();
    let artifacts = |all: &[&dalsegno::model::artifact::Artifact]| {
        PinSelection::Artifacts(all.iter().map(|&artifact| artifact.clone()).collect())
    };
    registry
        .pin(&name, Some("why"), &artifacts(&[&first]))
        .unwrap();
    registry
        .pin(&name, None, &artifacts(&[&first, &second]))
        .unwrap();
    let more = last(&registry);
    let (operation, _) = one(&registry, Action::Unpin, || {
        let report = registry.undo(more).unwrap();
        assert_eq!(report.pin.unwrap().artifacts, 1);
    });
    assert_eq!(operation.reason, reason(more));
    assert_eq!(get(&registry, ARRAY).pins, ["p"]);
    assert!(get(&registry, OTHER).pins.is_empty());
    assert_eq!(code(registry.undo(more)), "undone-already");
    // The undo is undone, and then the pin itself, which then is gone.
    registry.undo(last(&registry)).unwrap();
    assert_eq!(get(&registry, OTHER).pins, ["p"]);
    registry.unpin(&name, None).unwrap();
    assert!(registry.pins().unwrap().is_empty());
    // A new pin of the same name does not belong to this operation.
    registry
        .pin(&name, Some("other"), &artifacts(&[&first]))
        .unwrap();
    assert_eq!(code(registry.undo(more - 1)), "undone-already");
    assert_eq!(get(&registry, ARRAY).pins, ["p"]);
}

#[test]
fn what_was_unpinned_is_bound_again() {
    let (_folder, registry) = base();
    let artifact = array(&registry, ARRAY);
    let name = "p".parse().unwrap();
    registry
        .pin(&name, Some("why"), &of_run(Some(1000)))
        .unwrap();
    registry.pin(&name, None, &of_run(None)).unwrap();
    registry
        .pin(&name, None, &PinSelection::Artifacts(vec![artifact]))
        .unwrap();
    let pins = registry.pins().unwrap();
    registry.unpin(&name, None).unwrap();
    let gone = last(&registry);
    let (operation, _) = one(&registry, Action::Pin, || {
        let report = registry.undo(gone).unwrap();
        assert!(report.pin.unwrap().whole);
    });
    assert_eq!(operation.reason, reason(gone));
    assert_eq!(registry.pins().unwrap(), pins);
    assert_eq!(code(registry.undo(gone)), "undone-already");
    // Undoing that undo removes the same scores again.
    registry.undo(last(&registry)).unwrap();
    assert!(registry.pins().unwrap().is_empty());
    registry.pin(&name, Some("other"), &of_run(None)).unwrap();
    assert_eq!(code(registry.undo(gone)), "pin-taken");
    assert!(registry.check_history(None).unwrap().is_whole());
}

/// An artifact that was unpinned and then removed is pinned when it is restored.
#[test]
fn what_was_unpinned_and_removed_is_bound_when_it_comes_back() {
    let (_folder, registry) = base();
    let artifact = array(&registry, ARRAY);
    let name = "p".parse().unwrap();
    let one = PinSelection::Artifacts(vec![artifact]);
    registry.pin(&name, Some("why"), &one).unwrap();
    registry.unpin(&name, None).unwrap();
    remove(&registry, ARRAY);
    let removed = last(&registry);
    registry.undo(removed - 1).unwrap();
    registry.undo(removed).unwrap();
    assert_eq!(get(&registry, ARRAY).pins, ["p"]);
}

fn scores(registry: &Registry) -> Vec<(i64, String)> {
    let mut all = Vec::new();
    registry
        .scores(&ScoreQuery::default(), |score| {
            all.push((score.iteration, format!("{} {}", score.metric, score.value)));
            Ok(())
        })
        .unwrap();
    all
}

#[test]
fn scores_are_what_they_were() {
    let (_folder, registry) = base();
    // A value with a long shortest decimal is restored to the bit.
    let odd = 0.1 + 0.2;
    registry
        .score(&[score(1, "voi", odd), score(2, "voi", f64::INFINITY)])
        .unwrap();
    let before = scores(&registry);
    let new = [
        score(1, "voi", f64::NAN),
        score(2, "voi", 7.0),
        score(2, "voi", 1e300),
        score(3, "voi", 9.0),
    ];
    registry.score(&new).unwrap();
    let id = last(&registry);
    let (operation, _) = one(&registry, Action::Score, || {
        assert_eq!(registry.undo(id).unwrap().scores, 3);
    });
    assert_eq!(operation.reason, reason(id));
    assert_eq!(scores(&registry), before);
    assert_eq!(code(registry.undo(id)), "undone-already");
    let redo = last(&registry);
    registry.undo(redo).unwrap();
    assert_eq!(scores(&registry).len(), 3);
    registry.undo(last(&registry)).unwrap();
    assert_eq!(scores(&registry), before);

    registry.unscore(&[score(1, "voi", 0.0)]).unwrap();
    let id = last(&registry);
    one(&registry, Action::Score, || {
        drop(registry.undo(id).unwrap())
    });
    assert_eq!(scores(&registry), before);
    let first = 1;
    // Everything was changed and changed back since: the last state counts.
    one(&registry, Action::Unscore, || {
        drop(registry.undo(first).unwrap())
    });
    assert!(scores(&registry).is_empty());
}

#[test]
fn a_score_that_changed_since_is_named_and_nothing_is_changed() {
    let (_folder, registry) = base();
    registry
        .score(&[score(1, "voi", 1.0), score(2, "voi", 1.0)])
        .unwrap();
    registry.score(&[score(2, "voi", 2.0)]).unwrap();
    let before = scores(&registry);
    let none = made(&registry, || {
        let error = registry.undo(1).unwrap_err();
        assert_eq!(error.code(), "changed-since-operation");
        let text = error.to_string();
        assert!(
            text.contains("the score voi of mito, iteration 2"),
            "{text}"
        );
    });
    assert!(none.is_empty());
    assert_eq!(scores(&registry), before);
    registry.undo(2).unwrap();
    registry.undo(1).unwrap();
    assert!(scores(&registry).is_empty());
}

#[test]
fn an_operation_of_another_version_is_refused_in_words() {
    let (folder, registry) = base();
    array(&registry, ARRAY);
    remove(&registry, ARRAY);
    let removed = last(&registry);
    registry.score(&[score(1, "f1", 0.5)]).unwrap();
    let scored = last(&registry);
    let catalog = crate::chain::freed(folder.path());
    for detail in [
        "NULL",
        "'{\"removal\": 7, \"new\": true}'",
        "'[{\"new\": 1}, {\"newer\": 2}]'",
    ] {
        catalog
            .execute(&format!("UPDATE operation SET detail = {detail}"), [])
            .unwrap();
        let error = registry.undo(removed).unwrap_err();
        assert_eq!(error.code(), "not-undoable", "{detail}");
        assert!(error.to_string().contains("another version"), "{error}");
        if detail != "NULL" {
            assert_eq!(code(registry.undo(scored)), "not-undoable", "{detail}");
        }
        assert_eq!(registry.trash().unwrap().len(), 1);
    }
}

/// What `history` says of the newest removal.
fn now(registry: &Registry) -> String {
    let removals = history(registry);
    let mut removals = removals.iter().rev();
    let newest = removals.find(|operation| operation.action == Action::Remove);
    let now = newest.unwrap().now.unwrap().to_string();
    now.split(" at ").next().unwrap().to_owned()
}

#[test]
fn the_history_says_what_has_become_of_a_removal() {
    let (_folder, registry) = base();
    array(&registry, ARRAY);
    array(&registry, OTHER);
    let keep = RemoveOptions::default().keep(TrashKeep::UntilEmptied);
    let remove_all = || {
        registry
            .remove_many(&Filter::default(), &keep, &Silent)
            .unwrap()
    };
    let removal = remove_all().removal.unwrap();
    assert_eq!(now(&registry), "in the trash");
    let path = RestoreTarget::Path(registry.base().join(ARRAY));
    registry.restore(&path).unwrap();
    assert_eq!(
        now(&registry),
        "partly restored: 1 of 2; the rest is in the trash"
    );
    registry.restore(&RestoreTarget::Removal(removal)).unwrap();
    assert_eq!(now(&registry), "restored");
    remove_all();
    registry.empty_trash(None, &Silent).unwrap();
    assert_eq!(now(&registry), "purged");
    // Other operations made no removal.
    let scans = history(&registry)
        .into_iter()
        .filter(|one| one.action != Action::Remove);
    assert!(scans.into_iter().all(|one| one.now.is_none()));
}

#[test]
fn the_artifacts_of_an_operation_are_in_their_natural_order() {
    let (_folder, registry) = base();
    let path = |iteration: i64| format!("r/validation.zarr/{iteration}/d/prediction");
    let paths: Vec<String> = [1000, 9, 200, 10].map(path).to_vec();
    paths.iter().for_each(|path| drop(array(&registry, path)));
    let keep = RemoveOptions::default().keep(TrashKeep::UntilEmptied);
    let targets = paths
        .iter()
        .map(|path| registry.to_remove(&target(path)).unwrap());
    let chosen = targets.flatten().collect();
    registry.remove_artifacts(chosen, &keep, &Silent).unwrap();
    let (_, images) = registry.operation(last(&registry)).unwrap();
    let iterations: Vec<_> = images
        .iter()
        .map(|image| image.artifact.key.iteration())
        .collect();
    assert_eq!(iterations, [9, 10, 200, 1000].map(Some));
}

#[test]
fn the_newest_is_undone_and_then_the_one_before_it() {
    let (_folder, registry) = base();
    assert_eq!(code(registry.undo_last()), "nothing-to-undo");
    array(&registry, ARRAY);
    array(&registry, OTHER);
    remove(&registry, ARRAY);
    let first = last(&registry);
    remove(&registry, OTHER);
    let second = last(&registry);
    // Notes of what is so are passed over.
    registry.scan(ScanOptions::default(), &Silent).unwrap();
    assert_eq!(registry.undo_last().unwrap().operation, second);
    assert_eq!(registry.undo_last().unwrap().operation, first);
    assert_eq!(code(registry.undo_last()), "nothing-to-undo");
    // What cannot be undone is refused, and nothing older is undone in its place.
    remove(&registry, ARRAY);
    remove(&registry, OTHER);
    let (operation, _) = registry.operation(last(&registry)).unwrap();
    let newest = operation.removal_made().unwrap().removal.clone();
    registry.purge_removals(&[newest], &Silent).unwrap();
    let error = registry.undo_last().unwrap_err();
    assert_eq!(error.code(), "undo-too-late");
    assert_eq!(registry.trash().unwrap().len(), 1);
    // The one before it that can be is named, and can be.
    let says = error.to_string();
    let before = operation.id - 1;
    assert!(
        says.contains(&format!("operation {} cannot", operation.id)),
        "{says}"
    );
    assert!(
        says.ends_with(&format!("that can be is operation {before}")),
        "{says}"
    );
    assert_eq!(registry.undo(before).unwrap().operation, before);
}

/// What a restore that was killed had brought back is restored by the next open, which is no deed of a
/// user: the newest is the removal.
#[test]
fn what_is_restored_already_and_what_was_renamed_since_name_the_one_before_that_can_be_undone() {
    let (folder, registry) = base();
    array(&registry, ARRAY);
    array(&registry, OTHER);
    remove(&registry, ARRAY);
    let first = last(&registry);
    let name: PinName = "p".parse().unwrap();
    registry.pin(&name, Some("why"), &of_run(None)).unwrap();
    let forced = kept("forced").force_pinned(true);
    registry
        .remove_target(&target(OTHER), &forced, &Silent)
        .unwrap();
    let second = last(&registry);
    let (operation, _) = registry.operation(second).unwrap();
    let removal = operation.removal_made().unwrap().removal.clone();
    drop(registry);
    let trash = folder.path().join(".dalsegno/trash").join(removal.as_str());
    let manifest = fs::read_to_string(trash.join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let note = serde_json::json!({ "items": manifest["items"] });
    fs::write(trash.join("restoring.json"), note.to_string()).unwrap();
    let place = folder.path().join(OTHER);
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::rename(trash.join("0"), place).unwrap();
    let registry = open(folder.path());
    let refused = |code: &str, before: i64| {
        let error = registry.undo_last().unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        let says = format!("that can be is operation {before}");
        assert!(error.to_string().ends_with(&says), "{error}");
        assert_eq!(error.hint(), Some(Hint::UndoBefore));
    };
    refused("undone-already", second - 1);
    // The pin went along with a rename, so it is passed over.
    let [mito, other]: [RunName; 2] = ["mito", "other"].map(|run| run.parse().unwrap());
    registry
        .rename_run(&mito, &other, &RenameOptions::default().active(true))
        .unwrap();
    refused("not-undoable", first);
    // Straight after a restore, it says how to take that back, and names what is before.
    registry
        .restore(&RestoreTarget::Path(ARRAY.into()))
        .unwrap();
    remove(&registry, ARRAY);
    let third = last(&registry);
    registry
        .restore(&RestoreTarget::Path(ARRAY.into()))
        .unwrap();
    let error = registry.undo_last().unwrap_err();
    assert_eq!(error.code(), "not-undoable");
    assert!(error.to_string().contains("dalsegno rm"), "{error}");
    assert_eq!(code(registry.undo(third)), "undone-already");
}

/// What was unpinned went along with a rename too: it is not bound under the old name.
#[test]
fn an_unpin_is_not_undone_after_a_rename() {
    let (_folder, registry) = base();
    array(&registry, ARRAY);
    let name: PinName = "p".parse().unwrap();
    registry.pin(&name, Some("why"), &of_run(None)).unwrap();
    registry.unpin(&name, None).unwrap();
    let unpinned = last(&registry);
    let [mito, other]: [RunName; 2] = ["mito", "other"].map(|run| run.parse().unwrap());
    let options = RenameOptions::default().active(true);
    registry.rename_run(&mito, &other, &options).unwrap();
    assert_eq!(code(registry.undo(unpinned)), "changed-since-operation");
    assert_eq!(registry.pins().unwrap(), []);
    // With its old name it is the same run again.
    registry.rename_run(&other, &mito, &options).unwrap();
    registry.undo(unpinned).unwrap();
    assert_eq!(get(&registry, ARRAY).pins, ["p"]);
}

/// Undos of undos bring back what they undid, and the next `undo last` goes on before both.
#[test]
fn the_newest_in_effect_is_found_behind_undos_of_undos() {
    let (_folder, registry) = base();
    array(&registry, ARRAY);
    let name: PinName = "p".parse().unwrap();
    let is_pinned = || get(&registry, ARRAY).pins == ["p"];
    let undone = || registry.undo_last().unwrap().operation;
    registry.pin(&name, Some("why"), &of_run(None)).unwrap();
    let pinned = last(&registry);
    registry.unpin(&name, None).unwrap();
    let unpinned = last(&registry);
    assert_eq!(undone(), unpinned);
    assert!(is_pinned());
    // The pin is in effect again, by an undo.
    assert_eq!(undone(), pinned);
    assert!(!is_pinned());
    assert_eq!(code(registry.undo_last()), "nothing-to-undo");
    // The undo of an undo: the pin again, then nothing.
    registry.undo(last(&registry)).unwrap();
    assert!(is_pinned());
    assert_eq!(undone(), pinned);
    assert!(!is_pinned());
    assert_eq!(code(registry.undo_last()), "nothing-to-undo");
    // Of two that bind the same, only the newer is undone, and then the older.
    registry
        .pin(&name, Some("why"), &of_run(Some(1000)))
        .unwrap();
    let older = last(&registry);
    registry.pin(&name, None, &of_run(None)).unwrap();
    let newer = last(&registry);
    registry.undo(newer).unwrap();
    let error = registry.undo(newer).unwrap_err().to_string();
    assert!(
        error.ends_with("; what it binds now, other operations bound"),
        "{error}"
    );
    assert_eq!(undone(), older);
}

/// After a rename, the name that an operation used may be that of another run.
#[test]
fn what_followed_a_renamed_run_is_not_undone_under_the_old_name() {
    let (folder, registry) = base();
    array(&registry, ARRAY);
    let name: PinName = "p".parse().unwrap();
    registry.pin(&name, Some("why"), &of_run(None)).unwrap();
    let pinned = last(&registry);
    registry.score(&[score(1000, "voi", 1.0)]).unwrap();
    let scored = last(&registry);
    let [mito, other]: [RunName; 2] = ["mito", "other"].map(|run| run.parse().unwrap());
    registry
        .rename_run(&mito, &other, &RenameOptions::default().active(true))
        .unwrap();
    let renamed = last(&registry);
    array(&registry, ARRAY);
    registry.pin(&name, None, &of_run(None)).unwrap();
    registry.score(&[score(1000, "voi", 1.0)]).unwrap();
    for id in [pinned, scored] {
        let error = registry.undo(id).unwrap_err();
        assert_eq!(error.code(), "changed-since-operation");
        let why = format!("the name of run mito (other by operation {renamed}) changed since");
        assert!(error.to_string().ends_with(&why), "{error}");
    }
    assert_eq!(get(&registry, ARRAY).pins, ["p"]);
    assert_eq!(scores(&registry).len(), 2);
    drop(folder);
}

/// A later operation may have left the value that an earlier one did.
#[test]
fn scores_that_were_set_again_are_not_undone_by_the_first() {
    let (_folder, registry) = base();
    let mut set = |value: f64| {
        registry.score(&[score(1, "voi", value)]).unwrap();
        last(&registry)
    };
    let [first, second, third] = [1.0, 2.0, 1.0].map(&mut set);
    let error = registry.undo(first).unwrap_err();
    assert_eq!(error.code(), "changed-since-operation");
    assert!(
        error
            .to_string()
            .contains(&format!("(by operation {second})")),
        "{error}"
    );
    // One by one, the newest first.
    for id in [third, second, first] {
        assert_eq!(registry.undo(id).unwrap().scores, 1);
    }
    assert_eq!(scores(&registry).len(), 0);
}
