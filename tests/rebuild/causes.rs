//! Whatever happened to the catalog, a rebuild makes a new one and sets the old file aside
//! unchanged.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use dalsegno::model::artifact::State;
use dalsegno::model::progress::Silent;
use dalsegno::{Options, RebuildOptions};
use rusqlite::Connection;

use crate::child::tree;
use crate::scene::{
    A1, Scene, assert_is_a_good_rebuild, code, from_disk, key, listing, measured, rows, with, write,
};

/// The file at the path of the catalog, and those beside it.
fn files_at(path: &Path) -> BTreeMap<&'static str, Vec<String>> {
    let mut found = BTreeMap::new();
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let path = with(path, suffix);
        let Ok(metadata) = path.symlink_metadata() else {
            continue;
        };
        let kind = metadata.file_type();
        let what = if kind.is_symlink() {
            vec![fs::read_link(&path).unwrap().display().to_string()]
        } else if kind.is_fifo() {
            vec!["a pipe".to_owned()]
        } else if kind.is_dir() {
            let mut inside: Vec<String> = tree(&path)
                .into_iter()
                .map(|(inside, what)| {
                    let name = Path::new(&inside).strip_prefix(&path).unwrap();
                    format!("{} {what}", name.display())
                })
                .collect();
            inside.sort();
            inside
        } else {
            vec![format!("{:?}", fs::read(&path).unwrap())]
        };
        found.insert(suffix, what);
    }
    found
}

fn sql(catalog: &Path, statements: &str) {
    let connection = Connection::open(catalog).unwrap();
    connection.execute_batch(statements).unwrap();
}

/// A way to damage a catalog, and the error that opening or listing then returns.
type Cause = (&'static str, fn(&Scene), &'static str);

const CAUSES: [Cause; 16] = [
    ("gone", |scene| scene.lose(), "catalog-missing"),
    (
        "emptied",
        |scene| fs::write(scene.catalog(), "").unwrap(),
        "catalog-damaged",
    ),
    (
        "garbage",
        |scene| fs::write(scene.catalog(), [0xA5; 20_000]).unwrap(),
        "catalog-damaged",
    ),
    (
        "cut",
        |scene| {
            let bytes = fs::read(scene.catalog()).unwrap();
            fs::write(scene.catalog(), &bytes[..8192 + 100]).unwrap();
        },
        "catalog-damaged",
    ),
    (
        "a page overwritten",
        |scene| {
            let mut bytes = fs::read(scene.catalog()).unwrap();
            let pages = bytes.len() / 4096;
            bytes[4096 * (pages / 4)..4096 * (pages / 2)].fill(0xFF);
            fs::write(scene.catalog(), bytes).unwrap();
        },
        "catalog-damaged",
    ),
    (
        "a folder",
        |scene| {
            scene.lose();
            fs::create_dir(scene.catalog()).unwrap();
            fs::write(scene.catalog().join("notes.txt"), "precious").unwrap();
        },
        "catalog-not-a-file",
    ),
    (
        "a link",
        |scene| {
            scene.lose();
            let elsewhere = scene.folder.path().join("elsewhere");
            fs::write(&elsewhere, "precious").unwrap();
            symlink(&elsewhere, scene.catalog()).unwrap();
        },
        "catalog-not-a-file",
    ),
    (
        "a pipe",
        |scene| {
            scene.lose();
            let made = Command::new("mkfifo").arg(scene.catalog()).status();
            assert!(made.unwrap().success());
        },
        "catalog-not-a-file",
    ),
    (
        "another program's database",
        |scene| {
            scene.lose();
            sql(&scene.catalog(), "CREATE TABLE bookmarks (url TEXT)");
        },
        "catalog-foreign",
    ),
    (
        "no table of artifacts",
        |scene| {
            sql(
                &scene.catalog(),
                "PRAGMA foreign_keys = OFF; DROP TABLE artifact",
            );
        },
        "catalog-damaged",
    ),
    (
        "no table of operations",
        |scene| {
            sql(
                &scene.catalog(),
                "PRAGMA foreign_keys = OFF; DROP TABLE operation",
            );
        },
        "ok",
    ),
    (
        "no index of paths",
        |scene| sql(&scene.catalog(), "DROP INDEX artifact_path"),
        "ok",
    ),
    (
        "a trigger less",
        |scene| sql(&scene.catalog(), "DROP TRIGGER image_stays"),
        "ok",
    ),
    (
        "a damaged row",
        |scene| {
            sql(
                &scene.catalog(),
                "UPDATE artifact SET array = '../../victim' WHERE id = 3",
            );
        },
        "catalog-row-damaged",
    ),
    (
        "two rows on one path",
        |scene| {
            sql(
                &scene.catalog(),
                "DROP INDEX artifact_path; \
                 UPDATE artifact SET array = (SELECT array FROM artifact WHERE id = 1), \
                   container_id = (SELECT container_id FROM artifact WHERE id = 1) WHERE id = 2",
            );
        },
        "catalog-row-damaged",
    ),
    (
        "a log of something else",
        |scene| {
            scene.lose();
            fs::write(with(&scene.catalog(), "-wal"), "a log").unwrap();
            fs::write(with(&scene.catalog(), "-journal"), "a journal").unwrap();
        },
        "catalog-missing",
    ),
];

#[test]
fn every_damaged_catalog_is_set_aside_and_rebuilt() {
    for (name, damage, expected) in CAUSES {
        let scene = Scene::scanned();
        let before = listing(&scene.open());
        let data = scene.data();
        damage(&scene);
        let old = files_at(&scene.catalog());
        // Taken before an open, which may leave an empty log.
        let (registry, report) = scene
            .try_rebuild(&from_disk())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_is_a_good_rebuild(&registry);
        assert_eq!(listing(&registry), before, "{name}");
        assert_eq!(scene.data(), data, "{name}");
        assert_eq!(report.problems, Vec::<String>::new(), "{name}");
        assert_eq!(report.present, before.len() as u64, "{name}");
        match report.set_aside {
            None => assert!(old.is_empty(), "{name}"),
            Some(aside) => {
                let aside = aside.to_str().unwrap();
                let aside = aside.strip_suffix("-wal").unwrap_or(aside);
                let found = files_at(Path::new(aside));
                for (suffix, what) in &old {
                    assert_eq!(found.get(suffix), Some(what), "{name}: {suffix}");
                }
            }
        }
        // The error before it must lead users to a rebuild.
        let again = Scene::scanned();
        damage(&again);
        let used = Options::new()
            .open(&again.base)
            .and_then(|registry| registry.select(&crate::scene::everything()));
        assert_eq!(code(used), expected, "{name}");
    }
}

#[test]
fn a_catalog_is_set_aside_with_its_log() {
    let scene = Scene::scanned();
    let catalog = scene.catalog();
    let connection = Connection::open(&catalog).unwrap();
    connection
        .pragma_update(None, "wal_autocheckpoint", 0)
        .unwrap();
    let update = "UPDATE artifact SET array = '../../victim' WHERE id = 3";
    connection.execute(update, []).unwrap();
    let copy = |suffix: &str| fs::read(with(&catalog, suffix)).unwrap();
    let (file, log) = (copy(""), copy("-wal"));
    drop(connection);
    fs::write(&catalog, &file).unwrap();
    fs::write(with(&catalog, "-wal"), &log).unwrap();

    let (_, report) = scene.rebuild_from_disk();
    let aside = report.set_aside.unwrap();
    assert_eq!(fs::read(&aside).unwrap(), file);
    assert_eq!(fs::read(with(&aside, "-wal")).unwrap(), log);
    let old = Connection::open(&aside).unwrap();
    let array: String = old
        .query_row("SELECT array FROM artifact WHERE id = 3", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(array, "../../victim");
}

#[test]
fn what_was_set_aside_once_stays_when_it_happens_again() {
    let scene = Scene::scanned();
    for number in 1..=3 {
        scene.lose();
        fs::write(scene.catalog(), format!("damage {number}")).unwrap();
        // With the same clock.
        let clock = dalsegno::model::clock::FixedClock(crate::scene::NOW);
        let options = Options::new().clock(clock);
        options.rebuild(&scene.base, &from_disk(), &Silent).unwrap();
        assert_eq!(scene.set_aside().len(), number);
    }
    let mut found: Vec<String> = scene
        .set_aside()
        .iter()
        .map(|name| fs::read_to_string(scene.base.join(".dalsegno").join(name)).unwrap())
        .collect();
    found.sort();
    assert_eq!(found, ["damage 1", "damage 2", "damage 3"]);
}

#[test]
fn a_sound_catalog_is_rebuilt_only_when_that_is_said() {
    let scene = Scene::scanned();
    let before = (tree(&scene.base), listing(&scene.open()));
    let refused = scene.try_rebuild(&RebuildOptions::default());
    assert_eq!(code(refused), "catalog-sound");
    assert_eq!((tree(&scene.base), listing(&scene.open())), before);
    let force = from_disk().force(true);
    let bytes = fs::read(scene.catalog()).unwrap();
    let (registry, report) = scene.try_rebuild(&force).unwrap();
    assert_is_a_good_rebuild(&registry);
    assert_eq!(listing(&registry), before.1);
    assert_eq!(fs::read(report.set_aside.unwrap()).unwrap(), bytes);
}

#[test]
fn a_catalog_of_a_newer_version_is_refused_and_untouched() {
    let scene = Scene::scanned();
    sql(&scene.catalog(), "PRAGMA user_version = 999");
    let before = tree(&scene.base);
    for force in [false, true] {
        let options = from_disk().force(force);
        assert_eq!(code(scene.try_rebuild(&options)), "catalog-too-new");
    }
    assert_eq!(without_locks(tree(&scene.base)), without_locks(before));
}

fn without_locks(mut tree: BTreeMap<String, String>) -> BTreeMap<String, String> {
    tree.retain(|path, _| !path.ends_with(".queue") && !path.ends_with(".turn"));
    tree
}

#[test]
fn a_rebuild_needs_a_registry_and_a_writing_handle() {
    let scene = Scene::scanned();
    scene.lose();
    let before = tree(&scene.base);
    let options = RebuildOptions::default();
    let read_only = scene.options().read_only(true);
    let refused = read_only.rebuild(&scene.base, &options, &Silent);
    assert_eq!(code(refused), "read-only");
    assert_eq!(tree(&scene.base), before);

    let other = scene.folder.path().join("no registry");
    fs::create_dir(&other).unwrap();
    let refused = scene.options().rebuild(&other, &options, &Silent);
    assert_eq!(code(refused), "no-registry");
    assert_eq!(fs::read_dir(&other).unwrap().count(), 0);
}

#[test]
fn the_new_catalog_has_the_permissions_of_the_old_one() {
    let scene = Scene::scanned();
    fs::write(scene.catalog(), "damaged").unwrap();
    fs::set_permissions(scene.catalog(), fs::Permissions::from_mode(0o660)).unwrap();
    scene.rebuild_from_disk();
    let mode = scene.catalog().metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
}

#[test]
fn a_row_whose_metadata_cannot_be_read_is_damaged_and_keeps_the_rest() {
    let scene = Scene::recorded(&[A1]);
    scene.back_up();
    let mut before = rows(&scene.open());
    // Invalid metadata is never taken for missing data; size and seal stay as evidence.
    for row in before.values_mut() {
        row.state = State::Damaged;
    }
    fs::remove_file(scene.base.join(A1).join(".zarray")).unwrap();
    fs::write(scene.base.join(A1).join("zarr.json"), "{").unwrap();
    scene.lose();
    let (registry, report) = scene.rebuild();
    let after = rows(&registry);
    assert!(!report.scan.notices.is_empty(), "{report:?}");
    assert_eq!(after, before);
}

/// A random number below `most`, from a state.
fn next(state: &mut u64, most: u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state % most
}

#[test]
fn a_rebuild_from_the_disk_gives_what_a_scan_gave() {
    for seed in 1..=24 {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64 ^ (seed << 20);
        let scene = Scene::empty();
        for _ in 0..next(&mut state, 60) {
            let run = ["r", "group/r", "r 2", "ü"][next(&mut state, 4) as usize];
            let iteration = next(&mut state, 4) * 1000;
            let dataset = ["a", "b/c", "d.e"][next(&mut state, 3) as usize];
            let path = match next(&mut state, 6) {
                0 => format!("{run}/validation.zarr/{iteration}/{dataset}/prediction"),
                1 => format!("{run}/validation.zarr/{iteration}/{dataset}/output/t_0.5"),
                2 => format!("{run}/validation.zarr/inputs/{dataset}/raw"),
                3 => format!("{run}/validation.zarr/{dataset}/voi"),
                4 => format!("{run}/snapshot.zarr/{iteration}/volumes/{dataset}"),
                _ => format!("{run}/{dataset}.n5/mesh"),
            };
            let inside = PathBuf::from(&path);
            // Not inside another array, where no scan looks.
            let is_nested = inside
                .ancestors()
                .any(|above| scene.base.join(above).join(".zarray").exists());
            if !is_nested && !scene.base.join(&path).exists() {
                write(&scene.base, &path);
            }
        }
        let registry = scene.open();
        registry.scan(measured(), &Silent).unwrap();
        let before = listing(&registry);
        drop(registry);
        scene.lose();
        let (registry, _) = scene.rebuild_from_disk();
        assert_eq!(listing(&registry), before, "seed {seed}");
    }
}

#[test]
fn a_record_after_a_rebuild_takes_the_row_that_the_scan_made() {
    let scene = Scene::recorded(&[A1]);
    scene.lose();
    let (registry, _) = scene.rebuild_from_disk();
    let id = rows(&registry)[A1].id;
    let recorded = registry.record(&key(A1)).unwrap();
    assert_eq!((recorded.artifact.id, recorded.is_new), (id, false));
}
