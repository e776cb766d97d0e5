//! Links: what they lead to stays.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use dalsegno::model::progress::Silent;

use crate::child::tree;
use crate::{ARRAY, array, assert_nothing_left, base, count, kept, target};

#[test]
fn the_other_names_of_hard_links_survive() {
    let (folder, registry) = base();
    let path = array(&registry, ARRAY).path();
    let outside = tempfile::tempdir_in(folder.path().parent().unwrap()).unwrap();
    for file in ["0", "1"] {
        fs::write(path.join(file), format!("chunk {file}")).unwrap();
        fs::hard_link(path.join(file), outside.path().join(file)).unwrap();
    }
    let neighbour = array(&registry, "r/validation.zarr/2/a/prediction").path();
    fs::hard_link(path.join("0"), neighbour.join("0")).unwrap();
    registry.remove_artifact(&target(ARRAY)).unwrap();
    assert!(!path.exists());
    for (file, links) in [("0", 2), ("1", 1)] {
        let other = outside.path().join(file);
        assert_eq!(fs::read_to_string(&other).unwrap(), format!("chunk {file}"));
        assert_eq!(other.metadata().unwrap().nlink(), links);
    }
    assert_eq!(fs::read_to_string(neighbour.join("0")).unwrap(), "chunk 0");
}

#[test]
fn links_in_an_array_are_unlinked_and_not_followed() {
    let (folder, registry) = base();
    let canary = folder.path().join("canary");
    fs::create_dir_all(canary.join("deep")).unwrap();
    fs::write(canary.join("deep/file"), "precious").unwrap();
    let before = tree(&canary);
    let path = array(&registry, ARRAY).path();
    fs::create_dir(path.join("0")).unwrap();
    for (name, to) in [
        ("absolute", canary.clone()),
        ("relative", "../../../../../canary".into()),
        ("0/folder", canary.join("deep")),
        ("0/file", canary.join("deep/file")),
        ("0/nowhere", "nowhere".into()),
        ("0/itself", "itself".into()),
        ("0/up", "../..".into()),
    ] {
        symlink(to, path.join(name)).unwrap();
    }
    assert!(path.join("relative/deep/file").exists());
    let report = registry.remove_artifact(&target(ARRAY)).unwrap();
    assert_eq!(report.purge.unwrap().files, 8);
    assert_nothing_left(&registry, &path);
    assert_eq!(tree(&canary), before);
}

#[test]
fn links_in_an_array_come_back_as_they_were() {
    let (_folder, registry) = base();
    let path = array(&registry, ARRAY).path();
    symlink("../nowhere", path.join("link")).unwrap();
    fs::hard_link(path.join(".zarray"), path.join("hard")).unwrap();
    let before = tree(&path);
    let report = registry
        .remove_target(&target(ARRAY), &kept(), &Silent)
        .unwrap();
    let id = report.removal.unwrap();
    registry
        .restore(&dalsegno::RestoreTarget::Removal(id))
        .unwrap();
    assert_eq!(tree(&path), before);
    assert_eq!(path.join("hard").metadata().unwrap().nlink(), 2);
}

#[test]
fn a_run_that_is_a_link_is_refused() {
    let (folder, registry) = base();
    array(&registry, ARRAY);
    fs::rename(folder.path().join("r"), folder.path().join("elsewhere")).unwrap();
    symlink("elsewhere", folder.path().join("r")).unwrap();
    let before = tree(folder.path());
    for path in [ARRAY, "r/validation.zarr"] {
        let error = registry.remove_artifact(&target(path)).unwrap_err();
        assert_eq!(error.code(), "symlink", "{path}");
        let link = folder.path().join("r");
        assert!(error.to_string().contains(link.to_str().unwrap()));
    }
    assert_eq!(count(&registry), 1);
    let data = |tree: std::collections::BTreeMap<String, String>| {
        let is_data = |path: &String| !path.contains(".dalsegno");
        tree.into_iter()
            .filter(|(path, _)| is_data(path))
            .collect::<Vec<_>>()
    };
    assert_eq!(data(tree(folder.path())), data(before));
}

#[test]
fn a_slash_at_the_end_does_not_follow_a_link() {
    let (folder, registry) = base();
    let path = array(&registry, ARRAY).path();
    let canary = folder.path().join("canary");
    fs::rename(&path, &canary).unwrap();
    symlink(&canary, &path).unwrap();
    let before = tree(&canary);
    let with_slash = format!("{}/", path.display());
    let error = registry.remove_artifact(&target(&with_slash)).unwrap_err();
    assert!(["symlink", "name-empty"].contains(&error.code()), "{error}");
    assert_eq!(tree(&canary), before);
    assert_eq!(count(&registry), 1);
    assert!(path.symlink_metadata().unwrap().is_symlink());
}
