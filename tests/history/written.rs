//! The operation that each change writes, with the artifacts before and after.

use std::fs;

use dalsegno::RemoveOptions;
use dalsegno::ScanOptions;
use dalsegno::model::filter::Filter;
use dalsegno::model::key::Key;
use dalsegno::model::operation::{Action, Operation};
use dalsegno::model::progress::Silent;
use dalsegno::{PinSelection, RefreshOptions, RestoreTarget};

use crate::{
    ARRAY, OTHER, after, array, base, before, code, get, history, kept, key, made, one, open,
    remove, score, target, write,
};

fn filter(run: &str) -> Filter {
    Filter::default().runs([run])
}

#[test]
fn recording_and_recording_again() {
    let (_folder, registry) = base();
    let (operation, images) = one(&registry, Action::Record, || {
        registry.record(&key(ARRAY)).unwrap();
    });
    assert_eq!((operation.id, operation.artifacts), (1, 1));
    assert_eq!(operation.path.as_deref(), Some(ARRAY));
    assert_eq!(images, [after(&get(&registry, ARRAY))]);
    assert!(made(&registry, || drop(registry.record(&key(ARRAY)))).is_empty());

    let keys = [key(ARRAY), key(OTHER), key("er/extra.zarr/mesh")];
    let (operation, images) = one(&registry, Action::Record, || {
        registry.record_many(&keys).unwrap();
    });
    assert_eq!(operation.artifacts, 2);
    let new = ["er/extra.zarr/mesh", OTHER].map(|path| after(&get(&registry, path)));
    assert_eq!(images, new);
    assert!(made(&registry, || drop(registry.record_many(&keys))).is_empty());
}

#[test]
fn what_a_caller_records_over_a_guess_has_both_sides() {
    let (folder, registry) = base();
    let path = "r/validation.zarr/1/a/prediction";
    write(folder.path(), path);
    registry.scan(ScanOptions::default(), &Silent).unwrap();
    let guess = get(&registry, path);
    let (_, images) = one(&registry, Action::Record, || {
        registry.record(&guess.key).unwrap();
    });
    assert_eq!(images, [before(&guess), after(&get(&registry, path))]);
}

#[test]
fn scanning_refreshing_and_sealing() {
    let (folder, registry) = base();
    write(folder.path(), ARRAY);
    let (_, images) = one(&registry, Action::Scan, || {
        registry.scan(ScanOptions::default(), &Silent).unwrap();
    });
    assert_eq!(images, [after(&get(&registry, ARRAY))]);
    let scan = || drop(registry.scan(ScanOptions::default(), &Silent).unwrap());
    assert!(made(&registry, scan).is_empty());

    registry.record(&key(OTHER)).unwrap();
    let reserved = get(&registry, OTHER);
    write(folder.path(), OTHER);
    let refresh = || {
        let options = RefreshOptions::default();
        registry
            .refresh(&Filter::default(), options, &Silent)
            .unwrap();
    };
    let (_, images) = one(&registry, Action::Refresh, refresh);
    let present = get(&registry, OTHER);
    assert_eq!(images, [before(&reserved), after(&present)]);
    assert!(made(&registry, refresh).is_empty());

    let (_, images) = one(&registry, Action::Seal, || {
        registry.seal(&target(OTHER)).unwrap();
    });
    assert_eq!(images, [before(&present), after(&get(&registry, OTHER))]);
}

/// The detail of an operation as JSON.
fn detail_of(operation: &Operation) -> serde_json::Value {
    serde_json::to_value(operation.detail.as_ref().unwrap()).unwrap()
}

#[test]
fn removing_restoring_and_emptying_the_trash() {
    let (_folder, registry) = base();
    let artifact = array(&registry, ARRAY);
    let (operation, images) = one(&registry, Action::Remove, || remove(&registry, ARRAY));
    assert_eq!(images, [before(&artifact)]);
    assert_eq!(operation.reason.as_deref(), Some("superseded"));
    let detail = detail_of(&operation);
    let id = registry.trash().unwrap()[0].id.clone();
    assert_eq!(detail["removal"], id.as_str());
    assert_eq!(detail["state"], "kept");

    let (operation, images) = one(&registry, Action::Restore, || {
        registry
            .restore(&RestoreTarget::Removal(id.clone()))
            .unwrap();
    });
    assert_eq!(images, [after(&artifact)]);
    assert_eq!(detail_of(&operation)["removal"], id.as_str());

    // The start of the purge is recorded before the first file is unlinked, its end after the last.
    remove(&registry, ARRAY);
    let made = made(&registry, || {
        drop(registry.empty_trash(None, &Silent).unwrap())
    });
    let states: Vec<_> = made
        .iter()
        .map(|(operation, images)| {
            assert_eq!((operation.action, images.len()), (Action::Purge, 0));
            detail_of(operation)["state"].clone()
        })
        .collect();
    assert_eq!(states, ["purging", "purged"]);
}

#[test]
fn removing_for_good_is_a_removal_and_the_end_of_its_purge() {
    let (_folder, registry) = base();
    let artifact = array(&registry, ARRAY);
    let made = made(&registry, || {
        let options = RemoveOptions::default();
        registry
            .remove_target(&target(ARRAY), &options, &Silent)
            .unwrap();
    });
    assert_eq!(made.len(), 2);
    assert_eq!(made[0].0.action, Action::Remove);
    assert_eq!(made[0].1, [before(&artifact)]);
    assert_eq!(made[1].0.action, Action::Purge);
}

/// A removal that was killed before its commit is not an operation. Nor is rolling it back, unless
/// something cannot be moved back.
#[test]
fn a_killed_removal_is_settled_without_an_operation_or_by_one() {
    let (folder, registry) = base();
    let artifact = array(&registry, ARRAY);
    drop(registry);
    let id = "20231114-221320-abcdef";
    let trash = folder.path().join(".dalsegno/trash").join(id);
    let taken = || {
        fs::create_dir_all(&trash).unwrap();
        fs::rename(folder.path().join(ARRAY), trash.join("0")).unwrap();
        let entry = fs::symlink_metadata(trash.join("0")).unwrap();
        use std::os::unix::fs::MetadataExt;
        let item = serde_json::json!({
            "item": 0, "path": ARRAY,
            "device": entry.dev(), "inode": entry.ino(),
        });
        let manifest = serde_json::json!({ "version": 1, "items": [item] });
        fs::write(trash.join("manifest.json"), manifest.to_string()).unwrap();
    };
    taken();
    let registry = open(folder.path());
    assert_eq!(registry.recovery().problems, Vec::<String>::new());
    assert_eq!(registry.recovery().undone.len(), 1);
    assert_eq!(history(&registry).last().unwrap().action, Action::Seal);
    assert_eq!(get(&registry, ARRAY), artifact);
    drop(registry);

    taken();
    write(folder.path(), ARRAY);
    let registry = open(folder.path());
    let last = history(&registry).pop().unwrap();
    assert_eq!((last.action, last.images), (Action::Recover, 0));
    assert_eq!(detail_of(&last)["removal"], id);
    assert!(registry.check_history(None).unwrap().is_whole());
}

#[test]
fn pins_and_unpins() {
    let (_folder, registry) = base();
    array(&registry, ARRAY);
    let name = "figure-3".parse().unwrap();
    let of_run = PinSelection::Filter(filter("mito"));
    let (operation, images) = one(&registry, Action::Pin, || {
        registry.pin(&name, Some("why"), &of_run).unwrap();
    });
    assert!(images.is_empty());
    assert_eq!(operation.reason.as_deref(), Some("why"));
    let detail = detail_of(&operation);
    assert_eq!(detail["scopes"][0]["run"], "mito");
    assert_eq!(detail["new"], true);
    assert!(made(&registry, || drop(registry.pin(&name, None, &of_run))).is_empty());
    let artifacts = PinSelection::Artifacts(vec![get(&registry, ARRAY)]);
    let (operation, _) = one(&registry, Action::Pin, || {
        registry.pin(&name, None, &artifacts).unwrap();
    });
    let detail = detail_of(&operation);
    assert_eq!(
        (&detail["new"], &detail["artifacts"][0]),
        (&false.into(), &1.into())
    );

    // A run and, one by one, what is in it: still one operation.
    let (operation, _) = one(&registry, Action::Unpin, || {
        registry.unpin(&name, Some(&of_run)).unwrap();
    });
    let detail = detail_of(&operation);
    assert_eq!(
        (&detail["gone"], &detail["reason"]),
        (&true.into(), &"why".into())
    );
    assert_eq!(detail["artifacts"][0], 1);
    let failed = || assert_eq!(code(registry.unpin(&name, None)), "no-pin");
    assert!(made(&registry, failed).is_empty());
}

#[test]
fn scores() {
    let (_folder, registry) = base();
    let put = |value| drop(registry.score(&[score(1000, "voi", value)]).unwrap());
    let (operation, _) = one(&registry, Action::Score, || put(0.5));
    let detail = detail_of(&operation);
    assert!(detail["before"].is_null() && detail["after"] == 0.5);
    assert!(made(&registry, || put(0.5)).is_empty());
    let (operation, _) = one(&registry, Action::Score, || put(f64::NAN));
    let detail = detail_of(&operation);
    assert!(detail["before"] == 0.5 && detail["after"] == "NaN");
    let take = || assert!(registry.unscore(&[score(1000, "voi", 0.0)]).is_ok());
    let (operation, _) = one(&registry, Action::Unscore, take);
    let detail = detail_of(&operation);
    assert!(detail["before"] == "NaN" && detail["after"].is_null());
    assert!(made(&registry, take).is_empty());
}

#[test]
fn what_fails_leaves_no_operation() {
    let (folder, registry) = base();
    array(&registry, ARRAY);
    registry.record(&key(OTHER)).unwrap();
    let name = "p".parse().unwrap();
    let of_run = PinSelection::Filter(filter("mito"));
    registry.pin(&name, Some("why"), &of_run).unwrap();
    let taken = Key::Output {
        run: "mito".parse().unwrap(),
        iteration: 1000,
        dataset: "crop1".parse().unwrap(),
        parameters: "prediction".parse().unwrap(),
        container: None,
    };
    let clash = Key::Prediction {
        run: "mito".parse().unwrap(),
        iteration: 1000,
        dataset: "crop1/output".parse().unwrap(),
        container: None,
    };
    let keys = [key("new/a.zarr/b"), taken, clash];
    let none = made(&registry, || {
        assert_eq!(code(registry.record_many(&keys)), "path-taken");
        let removed = registry.remove_target(&target(ARRAY), &kept("x"), &Silent);
        assert_eq!(code(removed), "pinned");
        assert_eq!(code(registry.seal(&target(OTHER))), "nothing-written");
        assert_eq!(
            code(registry.pin(&name, Some("other"), &of_run)),
            "pin-taken"
        );
        let missing = RestoreTarget::Path(OTHER.into());
        assert_eq!(code(registry.restore(&missing)), "not-in-trash");
        assert_eq!(code(registry.undo(99)), "no-operation");
    });
    assert!(none.is_empty(), "{none:#?}");
    assert!(folder.path().join(ARRAY).exists());
}
