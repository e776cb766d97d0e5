//! Removal takes just what it is asked to.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use dalsegno::model::artifact::Artifact;
use dalsegno::{ArrayStore, LocalArrayIdentifier, Registry, Target};

use crate::common::{ARRAY_FILES, create, write_array};
use crate::{code, count, key};

const PATH: &str = "r/validation.zarr/1/a/prediction";

/// A base directory with one written array, and a folder beside it that nothing may touch.
struct Scene {
    folder: tempfile::TempDir,
    registry: Registry,
    array: Artifact,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("base");
        fs::create_dir(&base).unwrap();
        let registry = create(&base);
        let array = registry.record(&key(PATH)).unwrap().artifact;
        write_array(&array.path());
        write_array(&folder.path().join("victim/1/a/prediction"));
        Self {
            folder,
            registry,
            array,
        }
    }

    fn victim(&self) -> std::path::PathBuf {
        self.folder.path().join("victim")
    }

    fn is_victim_whole(&self) -> bool {
        is_whole(&self.victim().join("1/a/prediction"))
    }

    fn target(&self) -> Target {
        Target::Id(self.array.id)
    }
}

fn is_whole(array: &Path) -> bool {
    ARRAY_FILES
        .iter()
        .all(|(file, text)| fs::read_to_string(array.join(file)).is_ok_and(|read| read == *text))
}

#[test]
fn a_removed_array_takes_its_row_and_nothing_else() {
    let scene = Scene::new();
    let neighbour = scene.array.path().with_file_name("prediction2");
    write_array(&neighbour);
    let removed = scene.registry.remove_artifact(&scene.target()).unwrap();
    assert_eq!(removed.artifacts, std::slice::from_ref(&scene.array));
    let purge = removed.purge.unwrap();
    assert!(purge.is_done);
    assert_eq!(purge.files, 3);
    assert!(!scene.array.path().exists());
    assert!(is_whole(&neighbour));
    assert_eq!(count(&scene.registry), 0);
    let again = scene.registry.remove_artifact(&scene.target());
    assert_eq!(code(again), Some("not-recorded"));
}

#[test]
fn the_row_goes_where_the_data_is_gone_already() {
    for gone in ["", "r/validation.zarr/1", "r"] {
        let scene = Scene::new();
        let base = scene.registry.base().to_owned();
        let gone = if gone.is_empty() { PATH } else { gone };
        fs::remove_dir_all(base.join(gone)).unwrap();
        let removed = scene.registry.remove_artifact(&scene.target()).unwrap();
        assert_eq!(removed.moved, 0, "{gone}");
        assert!(removed.purge.is_none(), "{gone}");
        assert_eq!(count(&scene.registry), 0);
    }
}

#[test]
fn what_is_at_the_path_of_an_array_is_refused_and_stays() {
    type Replace = fn(&Scene);
    let cases: [(&str, &str, Replace); 5] = [
        ("a link to a folder", "symlink", |scene| {
            symlink(scene.victim().join("1/a/prediction"), scene.array.path()).unwrap();
        }),
        ("a link to a file", "symlink", |scene| {
            let file = scene.victim().join("1/a/prediction/.zarray");
            symlink(file, scene.array.path()).unwrap();
        }),
        ("a link to nowhere", "symlink", |scene| {
            symlink("nowhere", scene.array.path()).unwrap();
        }),
        ("a file", "not-a-folder", |scene| {
            fs::write(scene.array.path(), "precious").unwrap();
        }),
        ("a FIFO", "not-a-folder", |scene| {
            use rustix::fs::{CWD, FileType, Mode, mknodat};
            mknodat(CWD, scene.array.path(), FileType::Fifo, Mode::RUSR, 0).unwrap();
        }),
    ];
    for (what, expected, replace) in cases {
        let scene = Scene::new();
        fs::remove_dir_all(scene.array.path()).unwrap();
        replace(&scene);
        let result = scene.registry.remove_artifact(&scene.target());
        assert_eq!(code(result), Some(expected), "{what}");
        let path = scene.array.path();
        assert!(path.symlink_metadata().is_ok(), "{what} stays");
        assert!(scene.is_victim_whole(), "{what}");
        assert_eq!(count(&scene.registry), 1, "{what}: the row stays");
    }
}

#[test]
fn no_parent_that_is_a_link_is_followed() {
    for (parent, inside) in [
        ("r/validation.zarr/1/a", "1/a"),
        ("r/validation.zarr/1", "1"),
        ("r/validation.zarr", ""),
    ] {
        let scene = Scene::new();
        let parent = scene.registry.base().join(parent);
        fs::remove_dir_all(&parent).unwrap();
        symlink(scene.victim().join(inside), &parent).unwrap();
        assert!(
            scene.array.path().join(".zarray").exists(),
            "reached by the link"
        );
        let error = scene.registry.remove_artifact(&scene.target()).unwrap_err();
        assert_eq!(error.code(), "symlink", "{}", parent.display());
        assert!(
            error.to_string().contains(parent.to_str().unwrap()),
            "{error}"
        );
        assert!(scene.is_victim_whole(), "{}", parent.display());
        assert_eq!(count(&scene.registry), 1);
    }
}

#[test]
fn links_inside_an_array_go_and_their_targets_stay() {
    let scene = Scene::new();
    symlink(scene.victim(), scene.array.path().join("0/0/folder")).unwrap();
    let file = scene.victim().join("1/a/prediction/.zarray");
    symlink(&file, scene.array.path().join("0/0/file")).unwrap();
    fs::hard_link(&file, scene.array.path().join("0/0/hard")).unwrap();
    scene.registry.remove_artifact(&scene.target()).unwrap();
    assert!(!scene.array.path().exists());
    assert!(scene.is_victim_whole());
}

#[test]
fn an_identifier_that_leads_out_of_the_base_directory_is_refused() {
    let scene = Scene::new();
    write_array(&scene.folder.path().join("victim/r/validation.zarr/a"));
    for (container, dataset, expected) in [
        (
            scene.victim().join("r/validation.zarr"),
            "a",
            "outside-base",
        ),
        (
            scene.registry.base().join("../victim/r/validation.zarr"),
            "a",
            "name-dot-dot",
        ),
        (
            scene.registry.base().join("r/validation.zarr"),
            "../../../victim/r/validation.zarr/a",
            "name-dot-dot",
        ),
        (
            scene.registry.base().join("r/validation.zarr"),
            "",
            "name-empty",
        ),
        (
            scene.registry.base().join("r/validation.zarr"),
            ".",
            "name-dot",
        ),
        (
            scene.registry.base().join("r/validation.zarr"),
            "/etc",
            "name-absolute",
        ),
    ] {
        let identifier = LocalArrayIdentifier {
            container,
            dataset: dataset.to_owned(),
        };
        let result = scene.registry.remove(&identifier);
        assert_eq!(code(result), Some(expected), "{identifier}");
    }
    assert!(is_whole(&scene.victim().join("r/validation.zarr/a")));
    assert!(is_whole(&scene.array.path()));
    assert_eq!(count(&scene.registry), 1);
}
