//! Files that lie in `.dalsegno` when a command begins.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use super::scene::{Scene, make_fifo, rm};

/// What is put in the place of a file.
#[derive(Clone, Copy, Debug)]
enum Plant {
    Link,
    Dangling,
    Fifo,
    SecondName,
    Folder,
}

const PLANTS: [Plant; 5] = [
    Plant::Link,
    Plant::Dangling,
    Plant::Fifo,
    Plant::SecondName,
    Plant::Folder,
];

impl Plant {
    fn put(self, scene: &Scene, at: &Path, canary: &str) {
        let _ = fs::remove_file(at);
        match self {
            Self::Link => symlink(scene.outside(canary), at).unwrap(),
            Self::Dangling => symlink(scene.outside("new"), at).unwrap(),
            Self::Fifo => make_fifo(at),
            Self::SecondName => fs::hard_link(scene.outside(canary), at).unwrap(),
            Self::Folder => fs::create_dir(at).unwrap(),
        }
    }
}

#[test]
fn a_reserve_that_is_something_else_is_left_alone() {
    for plant in PLANTS {
        let scene = Scene::new();
        plant.put(&scene, &scene.own("catalog.sqlite3.reserve"), "canary");
        scene.succeeds(&rm("1"));
        scene.outside_is_untouched(&format!("{plant:?}"));
    }
}

#[test]
fn lock_files_that_are_something_else_are_named_and_nothing_is_made_or_waited_for() {
    for lock in ["catalog.sqlite3.turn", "catalog.sqlite3.queue"] {
        for plant in PLANTS {
            let scene = Scene::new();
            plant.put(&scene, &scene.own(lock), "canary");
            let said = scene.fails(&["pin", "keep", "--run", "run", "--reason", "r"]);
            assert!(said.contains(lock), "{plant:?}: {said}");
            scene.outside_is_untouched(&format!("{lock}, {plant:?}"));
        }
    }
    for plant in PLANTS {
        let scene = Scene::new();
        fs::create_dir_all(scene.own("backups")).unwrap();
        plant.put(&scene, &scene.own("backups/lock"), "canary");
        // The removal goes on without its backup, and says so.
        scene.run(&rm("1"));
        scene.outside_is_untouched(&format!("backups/lock, {plant:?}"));
    }
}

#[test]
fn a_configuration_that_is_something_else_is_refused_and_not_shown() {
    for plant in [Plant::Link, Plant::Dangling, Plant::Fifo, Plant::Folder] {
        let scene = Scene::new();
        plant.put(&scene, &scene.own("config.toml"), "canary");
        for arguments in [
            &["list"][..],
            &["doctor"],
            &["doctor", "--redact"],
            &["scan"],
        ] {
            let said = super::scene::text(&scene.run(arguments));
            assert!(!said.contains("password"), "{plant:?}: {said}");
        }
        let said = scene.fails(&["list"]);
        assert!(said.contains("config.toml"), "{plant:?}: {said}");
        scene.outside_is_untouched(&format!("{plant:?}"));
    }
    let scene = Scene::new();
    let config = fs::File::create(scene.own("config.toml")).unwrap();
    config.set_len(3 << 30).unwrap();
    let said = scene.fails(&["list"]);
    assert!(said.contains("larger than"), "{said}");
}

#[test]
fn a_configuration_that_names_a_file_of_another_program_says_how_to_take_it_back() {
    for file in ["canary", "canary.sqlite3", "missing"] {
        let scene = Scene::new();
        let config = fs::read_to_string(scene.own("config.toml")).unwrap();
        let path = format!("[catalog]\npath = {:?}\n", scene.outside(file));
        let named = config.replace("[catalog]\n", &path);
        fs::write(scene.own("config.toml"), named).unwrap();
        let given = scene.outside(file);
        for arguments in [
            &["list"][..],
            &["scan"],
            &["rebuild"],
            &["init", "--here", "--catalog", given.to_str().unwrap()],
        ] {
            let said = scene.fails(arguments);
            let way_out = match file {
                "missing" if arguments[0] == "init" => "rebuild",
                // Another host may have it, so nothing makes a second one.
                "missing" => "init --keeper",
                _ => "take the line `path` out",
            };
            assert!(said.contains(way_out), "{file}, {arguments:?}: {said}");
        }
        scene.outside_is_untouched(file);
    }
}

#[test]
fn files_of_the_catalog_that_are_something_else_are_not_opened() {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        for plant in PLANTS {
            let scene = Scene::new();
            let path = scene.own(&format!("catalog.sqlite3{suffix}"));
            plant.put(&scene, &path, "canary.sqlite3");
            for arguments in [&["list", "--no-refresh"][..], &["scan"], &["verify"]] {
                scene.run(arguments);
            }
            scene.run(&rm("1"));
            scene.outside_is_untouched(&format!("{suffix}, {plant:?}"));
        }
    }
}

#[test]
fn a_link_is_no_folder_of_a_registry() {
    for name in [".dalsegno", ".dalsegno/backups", ".dalsegno/trash"] {
        let scene = Scene::new();
        let _ = fs::create_dir(scene.base().join(name));
        fs::rename(scene.base().join(name), scene.base().join("moved")).unwrap();
        symlink(scene.outside(""), scene.base().join(name)).unwrap();
        for arguments in [
            &["scan"][..],
            &["init", "--here"],
            &["rebuild"],
            &["trash", "list"],
        ] {
            scene.run(arguments);
        }
        scene.run(&rm("1"));
        scene.outside_is_untouched(name);
    }
}

/// A journal that ends with the name of a super-journal: once it is rolled back, SQLite deletes
/// that file.
fn journal_naming(file: &Path, pages: u32) -> Vec<u8> {
    const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    let name = file.to_str().unwrap().as_bytes();
    let mut journal = MAGIC.to_vec();
    // No pages, a nonce, the pages of the database, sizes of a sector and a page.
    for word in [0, 0, pages, 512, 4096] {
        journal.extend(u32::to_be_bytes(word));
    }
    journal.resize(512, 0);
    journal.extend(u32::to_be_bytes((1 << 30) / 4096 + 1));
    journal.extend(name);
    journal.extend(u32::to_be_bytes(u32::try_from(name.len()).unwrap()));
    journal.extend(u32::to_be_bytes(
        name.iter().map(|byte| u32::from(*byte)).sum(),
    ));
    journal.extend(MAGIC);
    journal
}

#[test]
fn a_journal_that_names_another_file_deletes_nothing() {
    let scene = Scene::new();
    let catalog = scene.own("catalog.sqlite3");
    let pages = u32::try_from(fs::metadata(&catalog).unwrap().len() / 4096).unwrap();
    // SQLite follows such a journal to a file that names the journal.
    let copy = scene.base().join("copy");
    let victim = scene.base().join("victim-mj0123459AB");
    fs::copy(&catalog, &copy).unwrap();
    let journal = scene.base().join("copy-journal");
    fs::write(&victim, format!("{}\0", journal.display())).unwrap();
    fs::write(&journal, journal_naming(&victim, pages)).unwrap();
    let _ = rusqlite::Connection::open(&copy).unwrap().query_row(
        "SELECT count(*) FROM artifact",
        [],
        |_| Ok(()),
    );
    assert!(
        !victim.exists(),
        "the journal is not one that SQLite follows"
    );
    for arguments in [
        &["list", "--no-refresh"][..],
        &["scan"],
        &["verify"],
        &["doctor"],
    ] {
        fs::write(
            scene.own("catalog.sqlite3-journal"),
            journal_naming(&scene.outside("canary-mj0123459AB"), pages),
        )
        .unwrap();
        scene.run(arguments);
        scene.outside_is_untouched(&format!("{arguments:?}"));
    }
}

#[test]
fn a_stale_creation_that_is_a_link_leaves_the_registry_behind_it() {
    let scene = Scene::bare();
    let other = Scene::new();
    symlink(
        other.base().join(".dalsegno"),
        scene.base().join(".dalsegno.new-old"),
    )
    .unwrap();
    let long_ago = std::time::SystemTime::UNIX_EPOCH;
    fs::File::open(other.base().join(".dalsegno"))
        .unwrap()
        .set_modified(long_ago)
        .unwrap();
    scene.succeeds(&["init", "--here"]);
    assert!(other.own("catalog.sqlite3").exists());
    other.succeeds(&["list", "--no-refresh"]);
}

#[test]
fn a_lock_by_someone_who_may_only_read_holds_up_no_writer() {
    let scene = Scene::new();
    scene.succeeds(&rm("1"));
    let mut held = Vec::new();
    for lock in [
        "catalog.sqlite3.turn",
        "catalog.sqlite3.queue",
        "backups/lock",
    ] {
        let file = fs::File::open(scene.own(lock)).unwrap();
        rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
        held.push(file);
    }
    scene.succeeds(&rm("2"));
}

#[test]
fn a_lock_file_may_be_read_only_by_those_who_may_write_it() {
    let scene = Scene::new();
    let locks = [
        "catalog.sqlite3.turn",
        "catalog.sqlite3.queue",
        "backups/lock",
    ];
    scene.succeeds(&rm("1"));
    let mode_of = |lock: &str| fs::metadata(scene.own(lock)).unwrap().mode() & 0o777;
    for lock in locks {
        // A lock for reading holds up writers, and a file open for reading is enough for it.
        let mode = mode_of(lock);
        assert_eq!(mode & 0o044 & !((mode & 0o022) << 1), 0, "{lock}: {mode:o}");
    }
    // Older versions made them readable for all.
    for lock in &locks[..2] {
        fs::set_permissions(scene.own(lock), fs::Permissions::from_mode(0o644)).unwrap();
    }
    let doctor = scene.run(&["doctor"]);
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(said.contains("may only read the lock files"), "{said}");
    scene.succeeds(&rm("2"));
    for lock in locks {
        assert_eq!(mode_of(lock), 0o600, "{lock}");
    }
}

#[test]
fn a_log_that_a_killed_rebuild_gave_a_second_name_is_written_again() {
    let scene = Scene::new();
    let reader = rusqlite::Connection::open(scene.own("catalog.sqlite3")).unwrap();
    let count = |_: &_| reader.query_row("SELECT count(*) FROM artifact", [], |row| row.get(0));
    let _: i64 = count(&()).unwrap();
    let aside = scene.own("catalog.sqlite3.damaged-20260101T000000Z-wal");
    fs::hard_link(scene.own("catalog.sqlite3-wal"), &aside).unwrap();
    scene.succeeds(&rm("1"));
    assert!(!aside.exists());
    assert_eq!(count(&()), Ok(8));
}

/// Files that a command line names may lie in the shared base directory.
#[test]
fn a_named_file_that_is_a_fifo_or_too_large_is_refused_and_not_waited_for() {
    let scene = Scene::new();
    let fifo = scene.base().join("fifo");
    make_fifo(&fifo);
    let large = scene.base().join("large");
    let file = fs::File::create(&large).unwrap();
    file.set_len((4 << 30) + 1).unwrap();
    for (path, why) in [(&fifo, "not a regular file"), (&large, "more than 4 GiB")] {
        let path = path.to_str().unwrap();
        for command in [
            ["gc", "--apply", path, "--yes"].as_slice(),
            &["score", "--import", path],
        ] {
            let said = scene.fails(command);
            assert!(said.contains(why), "{command:?}: {said}");
        }
    }
    let fifo = fifo.to_str().unwrap();
    scene.fails(&["rebuild", "--from", fifo, "--yes"]);
    scene.fails(&["list", "--catalog", fifo]);
}
