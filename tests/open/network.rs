//! Network file systems, recognised by the type that `statfs` returns.

use std::fs;

use super::child::{assert_sound, tree};
use super::{CATALOG, CONFIG, ask, base_with_registry, folder, strace};

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
fn a_catalog_on_a_network_file_system_is_refused() {
    if !strace::works("a network file system") {
        return;
    }
    let folder = folder();
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    for action in ["create", "create-elsewhere"] {
        assert_eq!(
            ask(&ON_NFS, action, &empty),
            "catalog-on-network",
            "{action}"
        );
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(fs::read_dir(&empty).unwrap().count(), 0);

    let (folder, base) = base_with_registry();
    let before = tree(folder.path());
    for action in ["open", "create", "record"] {
        assert_eq!(
            ask(&ON_NFS, action, &base),
            "catalog-on-network",
            "{action}"
        );
    }
    assert_eq!(tree(folder.path()), before);
}

#[test]
fn one_host_may_keep_a_catalog_on_a_network_file_system() {
    if !strace::works("a network file system") {
        return;
    }
    let folder = folder();
    let base = folder.path().join("base");
    fs::create_dir(&base).unwrap();
    assert_eq!(ask(&ON_NFS, "create-single-host", &base), "ok");
    assert_eq!(ask(&ON_NFS, "record", &base), "ok");
    assert_eq!(ask(&ON_NFS, "open", &base), "ok, 1 rows, notice: none");
    // A rollback journal that is truncated after each change, and no shared memory.
    let journal = base.join(".dalsegno/catalog.sqlite3-journal");
    assert_eq!(journal.metadata().unwrap().len(), 0);
    for suffix in ["-wal", "-shm"] {
        assert!(!base.join(format!("{CATALOG}{suffix}")).exists());
    }
    let header = fs::read(base.join(CATALOG)).unwrap();
    assert_eq!(header[18..20], [1, 1], "the file is not for WAL");
    assert_sound(&base.join(CATALOG));

    let config = fs::read_to_string(base.join(CONFIG)).unwrap();
    let (key, _) = config.split_once("single-host = ").unwrap();
    fs::write(
        base.join(CONFIG),
        format!("{key}single-host = \"elsewhere\"\n"),
    )
    .unwrap();
    let before = tree(folder.path());
    assert_eq!(ask(&ON_NFS, "open", &base), "catalog-other-host");
    assert_eq!(ask(&ON_NFS, "record", &base), "catalog-other-host");
    assert_eq!(
        ask(&ON_NFS, "open-read-only", &base),
        "ok, 1 rows, notice: none"
    );
    assert_eq!(tree(folder.path()), before);
}
