//! A catalog outside the base directory, and one on a network file system.

use std::fs;
use std::path::PathBuf;

use dalsegno::model::progress::Silent;
use dalsegno::{Hint, Options, Registry};

use crate::child::{command, tree};
use crate::scene::{A1, Scene, assert_is_a_good_rebuild, code, from_disk, listing, write};
use crate::strace;

/// A base directory whose catalog lies in a folder of its own.
struct Elsewhere {
    folder: tempfile::TempDir,
    base: PathBuf,
    catalog: PathBuf,
    id: String,
    listed: Vec<String>,
}

impl Elsewhere {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (base, disk) = (folder.path().join("base"), folder.path().join("disk"));
        fs::create_dir(&base).unwrap();
        fs::create_dir(&disk).unwrap();
        let catalog = disk.join("catalog.sqlite3");
        write(&base, A1);
        let options = Options::new().catalog(&catalog);
        let (registry, _) = options.create(&base).unwrap();
        registry.scan(crate::scene::measured(), &Silent).unwrap();
        Self {
            id: registry.id().unwrap(),
            listed: listing(&registry),
            folder,
            base,
            catalog,
        }
    }

    fn rebuild(&self) -> dalsegno::Result<Registry> {
        let rebuilt = Options::new().rebuild(&self.base, &from_disk(), &Silent);
        rebuilt.map(|(registry, _)| registry)
    }

    fn assert_is_the_same(&self, registry: &Registry) {
        assert_is_a_good_rebuild(registry);
        assert_eq!(registry.catalog_path(), self.catalog);
        assert_eq!(registry.id().unwrap(), self.id);
        assert_eq!(listing(registry), self.listed);
        drop(Registry::open(&self.base).unwrap());
    }
}

#[test]
fn a_catalog_elsewhere_is_rebuilt_in_place_and_keeps_its_registry_id() {
    let scene = Elsewhere::new();
    fs::remove_file(&scene.catalog).unwrap();
    scene.assert_is_the_same(&scene.rebuild().unwrap());
    fs::write(&scene.catalog, "damaged").unwrap();
    scene.assert_is_the_same(&scene.rebuild().unwrap());
    assert!(!scene.base.join(".dalsegno/catalog.sqlite3").exists());
}

#[test]
fn a_folder_that_went_with_its_catalog_is_named_and_not_made() {
    let scene = Elsewhere::new();
    let disk = scene.folder.path().join("disk");
    fs::rename(&disk, scene.folder.path().join("lost")).unwrap();
    let before = tree(scene.folder.path());
    let error = scene.rebuild().err().unwrap();
    assert_eq!(error.code(), "catalog-not-here");
    assert!(
        error.to_string().contains(disk.to_str().unwrap()),
        "{error}"
    );
    assert_eq!(error.hint(), Some(Hint::FindCatalog));
    assert_eq!(tree(scene.folder.path()), before);
    // Named by the user, it may be the mount point of a disk that is not mounted.
    let named = || {
        let options = Options::new().catalog(&scene.catalog);
        let rebuilt = options.rebuild(&scene.base, &from_disk(), &Silent);
        rebuilt.map(|(registry, _)| registry)
    };
    let error = named().err().unwrap();
    assert_eq!(error.code(), "catalog-folder-missing");
    assert_eq!(error.hint(), Some(Hint::BringCatalogFolderBack));
    assert_eq!(tree(scene.folder.path()), before);
    fs::create_dir(&disk).unwrap();
    assert_eq!(code(scene.rebuild()), "catalog-not-here");
    let registry = named().unwrap();
    scene.assert_is_the_same(&registry);
    // A new disk has no reserve for a removal on a full disk.
    assert!(disk.join("catalog.sqlite3.reserve").exists());
}

#[test]
fn files_of_another_user_are_not_set_aside() {
    let scene = Elsewhere::new();
    let other = Scene::scanned();
    fs::copy(other.catalog(), &scene.catalog).unwrap();
    let force = from_disk().force(true);
    for options in [from_disk(), force] {
        let refused = Options::new().rebuild(&scene.base, &options, &Silent);
        assert_eq!(code(refused), "catalog-mismatch");
    }
    let (found, expected) = (fs::read(&scene.catalog), fs::read(other.catalog()));
    assert_eq!(found.unwrap(), expected.unwrap());

    fs::remove_file(&scene.catalog).unwrap();
    let database = rusqlite::Connection::open(&scene.catalog).unwrap();
    database
        .execute("CREATE TABLE bookmarks (url TEXT)", [])
        .unwrap();
    drop(database);
    let before = fs::read(&scene.catalog).unwrap();
    assert_eq!(code(scene.rebuild()), "catalog-foreign");
    assert_eq!(fs::read(&scene.catalog).unwrap(), before);
}

#[test]
fn a_base_directory_without_a_registry_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = folder.path().join("catalog.sqlite3");
    let options = Options::new().catalog(&catalog);
    let refused = options.rebuild(folder.path(), &from_disk(), &Silent);
    assert_eq!(code(refused), "no-registry");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Starts a child that sees every file system as NFS.
const ON_NFS: [&str; 8] = [
    "strace",
    "-f",
    "-qq",
    "-o/dev/null",
    "-e",
    "trace=statfs",
    "-e",
    "inject=statfs:poke_exit=@arg2=6969000000000000",
];

#[test]
fn on_a_network_file_system_one_host_rebuilds_and_no_other() {
    if !strace::works("a network file system") {
        return;
    }
    let said = |scene: &Scene| {
        let mut command = command(&ON_NFS, "rebuild", &scene.base);
        crate::child::answer(&command.output().unwrap())
    };
    let scene = Scene::scanned();
    scene.lose();
    let before = tree(&scene.base);
    assert_eq!(said(&scene), ["ready", "catalog-on-network"]);
    assert_eq!(tree(&scene.base), before);

    let config = scene.base.join(".dalsegno/config.toml");
    let host = |name: &str| {
        fs::write(&config, format!("[catalog]\nsingle-host = \"{name}\"\n")).unwrap();
    };
    host("elsewhere");
    assert_eq!(said(&scene), ["ready", "catalog-other-host"]);
    host(rustix::system::uname().nodename().to_str().unwrap());
    assert_eq!(said(&scene), ["ready", "ok"]);
    let header = fs::read(scene.catalog()).unwrap();
    assert_eq!(header[18..20], [1, 1], "the file is not for WAL");
    crate::child::assert_sound(&scene.catalog());
}
