//! A hash lives and dies with its seal.

use std::fs;

use dalsegno::RefreshOptions;
use dalsegno::RemoveOptions;
use dalsegno::model::filter::Filter;
use dalsegno::model::operation::Side;
use dalsegno::model::removal::TrashKeep;

use super::*;

fn refresh(registry: &Registry, measure: bool) {
    let options = RefreshOptions::new().all(true).measure(measure);
    registry
        .refresh(&Filter::default(), options, &Silent)
        .unwrap();
}

#[test]
fn a_seal_has_a_hash_only_where_one_was_asked_for() {
    let (_folder, registry) = base();
    let row = write(&registry, ARRAY);
    let plain = seal(&registry, ARRAY, SealOptions::default()).unwrap();
    assert_eq!(plain.content_hash, None);
    let sealed = seal(&registry, ARRAY, HASHED).unwrap();
    assert_eq!(sealed.content_hash, Some(by_definition(&row.path())));
    let mut expected = plain.clone();
    expected.content_hash = sealed.content_hash;
    assert_eq!(sealed, expected);
    // Again, with and without.
    assert_eq!(seal(&registry, ARRAY, HASHED).unwrap(), sealed);
    fs::write(row.path().join("0/0/0"), "yy").unwrap();
    let other = hashed(&registry, ARRAY);
    assert_ne!(Some(other), sealed.content_hash);
    assert_eq!(registry.seal(&target(ARRAY)).unwrap(), plain);
}

#[test]
fn a_file_that_was_unlinked_while_it_was_open_on_nfs_is_no_part_of_an_array() {
    let (_folder, registry) = base();
    let row = write(&registry, ARRAY);
    let sealed = seal(&registry, ARRAY, HASHED).unwrap();
    for folder in ["", "0"] {
        let name = format!("{folder}/.nfs0000000000a2104f0000001b");
        fs::write(row.path().join(name.trim_start_matches('/')), "old").unwrap();
    }
    refresh(&registry, true);
    assert_eq!(get(&registry, ARRAY), sealed);
    let options = dalsegno::VerifyOptions::new().measure(true).read_data(true);
    let report = registry.verify(&Filter::default(), options, &Silent);
    assert_eq!(report.unwrap().findings, []);
    assert_eq!(seal(&registry, ARRAY, HASHED).unwrap(), sealed);
}

#[test]
fn what_voids_the_seal_voids_the_hash() {
    let (_folder, registry) = base();
    let row = write(&registry, ARRAY);
    let sealed = seal(&registry, ARRAY, HASHED).unwrap();
    refresh(&registry, true);
    assert_eq!(get(&registry, ARRAY), sealed);
    // More bytes: a measurement does not void it.
    fs::write(row.path().join("0/0/0"), "yyy").unwrap();
    refresh(&registry, false);
    assert_eq!(get(&registry, ARRAY), sealed);
    refresh(&registry, true);
    assert_eq!(get(&registry, ARRAY), sealed);
    // Written again.
    hashed(&registry, ARRAY);
    let file = fs::File::options()
        .append(true)
        .open(row.path().join(".zarray"));
    let times = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
    file.unwrap().set_times(times).unwrap();
    refresh(&registry, false);
    let voided = get(&registry, ARRAY);
    assert_eq!((voided.sealed_at, voided.content_hash), (None, None));
}

#[test]
fn what_went_and_came_back_is_as_it_was_sealed() {
    let (folder, registry) = base();
    let row = write(&registry, ARRAY);
    let sealed = seal(&registry, ARRAY, HASHED).unwrap();
    let aside = folder.path().join("aside");
    fs::rename(row.path(), &aside).unwrap();
    refresh(&registry, false);
    assert_eq!(get(&registry, ARRAY).content_hash, sealed.content_hash);
    fs::rename(&aside, row.path()).unwrap();
    refresh(&registry, false);
    assert_eq!(get(&registry, ARRAY), sealed);
}

#[test]
fn a_removal_gives_the_hash_back() {
    let (folder, registry) = base();
    write(&registry, ARRAY);
    let sealed = seal(&registry, ARRAY, HASHED).unwrap();
    let hash = sealed.content_hash.unwrap().to_string();
    let remove = || {
        let options = RemoveOptions::default().keep(TrashKeep::UntilEmptied);
        registry
            .remove_target(&target(ARRAY), &options, &Silent)
            .unwrap();
    };
    remove();
    // The trash says it without the catalog, and the history with it.
    let trash = fs::read_dir(folder.path().join(".dalsegno/trash")).unwrap();
    let manifests: Vec<String> = trash
        .map(|removal| fs::read_to_string(removal.unwrap().path().join("manifest.json")).unwrap())
        .collect();
    assert_eq!(manifests.len(), 1);
    assert!(manifests[0].contains(&format!("\"content_hash\":\"{hash}\"")));
    let gone = registry.former_at(ARRAY.as_ref()).unwrap();
    assert_eq!(gone[0].removed.artifact.content_hash, sealed.content_hash);
    let (id, _) = registry.history_head().unwrap();
    registry.undo(id).unwrap();
    assert_eq!(get(&registry, ARRAY), sealed);
    remove();
    registry
        .restore(&dalsegno::RestoreTarget::Path(ARRAY.into()))
        .unwrap();
    assert_eq!(get(&registry, ARRAY), sealed);
    assert!(registry.check_history(None).unwrap().is_whole());
}

#[test]
fn history_keeps_every_hash() {
    let (_folder, registry) = base();
    let row = write(&registry, ARRAY);
    let first = hashed(&registry, ARRAY);
    fs::write(row.path().join("0/0/0"), "yy").unwrap();
    let second = hashed(&registry, ARRAY);
    let (id, _) = registry.history_head().unwrap();
    let (_, images) = registry.operation(id).unwrap();
    let hashes: Vec<_> = images
        .iter()
        .map(|image| (image.side, image.artifact.content_hash))
        .collect();
    assert_eq!(
        hashes,
        [(Side::Before, Some(first)), (Side::After, Some(second))]
    );
}

#[test]
fn a_container_is_sealed_without_a_hash_beside_its_arrays() {
    let (_folder, registry) = base();
    write(&registry, ARRAY);
    let container = "r/validation.zarr";
    registry.record(&key(container)).unwrap();
    let rows = [get(&registry, container), get(&registry, ARRAY)];
    registry.seal_many(&rows, HASHED, &Silent).unwrap();
    let sealed = get(&registry, container);
    assert_eq!(
        (sealed.sealed_at, sealed.content_hash),
        (Some(common::NOW), None)
    );
    assert!(get(&registry, ARRAY).content_hash.is_some());
}

#[test]
fn a_row_whose_hash_is_none_is_a_damaged_one() {
    let (folder, registry) = base();
    write(&registry, ARRAY);
    hashed(&registry, ARRAY);
    let path = folder.path().join(".dalsegno/catalog.sqlite3");
    let connection = rusqlite::Connection::open(path).unwrap();
    let refused = connection.execute("UPDATE artifact SET content = x'00'", []);
    assert!(refused.is_err());
    connection
        .execute_batch("PRAGMA ignore_check_constraints = on; UPDATE artifact SET content = x'00'")
        .unwrap();
    assert_eq!(code(registry.get(&target(ARRAY))), "catalog-row-damaged");
}

#[test]
fn an_array_with_a_link_is_sealed_without_hash_or_not_at_all() {
    let (folder, registry) = base();
    let row = write(&registry, ARRAY);
    fs::write(folder.path().join("object"), "chunk").unwrap();
    for target in ["../../../../../object", "../elsewhere", "0"] {
        symlink(target, row.path().join("0.1")).unwrap();
        let error = seal(&registry, ARRAY, HASHED).unwrap_err();
        assert_eq!(error.code(), "unreadable");
        assert!(error.to_string().contains("a symbolic link"), "{error}");
        assert_eq!(get(&registry, ARRAY).sealed_at, None);
        fs::remove_file(row.path().join("0.1")).unwrap();
    }
    symlink("../elsewhere", row.path().join("0.1")).unwrap();
    let sealed = seal(&registry, ARRAY, SealOptions::default()).unwrap();
    assert!(sealed.sealed_at.is_some());
    assert_eq!(sealed.content_hash, None);
}

#[test]
fn what_was_a_file_when_it_was_hashed_and_is_a_link_now_is_a_finding() {
    let (_folder, registry) = base();
    let row = write(&registry, ARRAY);
    hashed(&registry, ARRAY);
    let size = fs::metadata(row.path().join("0/0/0")).unwrap().len();
    fs::remove_file(row.path().join("0/0/0")).unwrap();
    // As many files and bytes as before.
    let target = "x".repeat(usize::try_from(size).unwrap());
    symlink(target, row.path().join("0/0/0")).unwrap();
    let options = dalsegno::VerifyOptions::new().read_data(true);
    let report = registry
        .verify(&Filter::default(), options, &Silent)
        .unwrap();
    let classes: Vec<&str> = report
        .findings
        .iter()
        .map(|finding| finding.class.as_str())
        .collect();
    assert_eq!(classes, ["unreadable"]);
    assert_eq!(report.read, 0);
}
