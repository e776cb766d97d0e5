//! Catalogs whose pages lead to the same page again and again: small files that hold more rows than
//! SQLite could ever read. Every command ends, says that the catalog is damaged, and fills no disk;
//! `rebuild` mends it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::scene::{Scene, text};

/// Bytes of the largest file that a command may make, temporary files included: see
/// `docs/src/security.md`.
const LARGEST: u64 = 64 << 20;

/// No question takes so long, on a slow machine and without optimisation either.
const PATIENCE: Duration = Duration::from_secs(110);

/// A number of at most 9 bytes at the beginning of `bytes`, and how many bytes it has.
fn number(bytes: &[u8]) -> (usize, usize) {
    let mut value = 0;
    for (index, byte) in bytes.iter().enumerate() {
        value = value << 7 | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return (value, index + 1);
        }
    }
    panic!("no number");
}

fn be16(page: &[u8], at: usize) -> usize {
    usize::from(u16::from_be_bytes([page[at], page[at + 1]]))
}

fn be32(page: &[u8], at: usize) -> usize {
    u32::from_be_bytes(page[at..at + 4].try_into().unwrap()) as usize
}

/// Gives a table or index of a database a tree of so many levels of inner pages, all of whose
/// entries lead to one page of the next level, and at last to a leaf with its own first rows.
fn plant(path: &Path, name: &str, levels: usize, most: usize) {
    let connection = rusqlite::Connection::open(path).unwrap();
    // So that the file alone is the database.
    connection
        .pragma_update_and_check(None, "wal_checkpoint", "TRUNCATE", |_| Ok(()))
        .ok();
    let root: usize = connection
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = ?1",
            [name],
            |row| row.get(0),
        )
        .unwrap();
    connection.close().unwrap();
    let mut file = fs::read(path).unwrap();
    let size = be16(&file, 16);
    let page = |file: &[u8], number: usize| file[(number - 1) * size..number * size].to_vec();
    let mut leaf = page(&file, root);
    // 5 and 2 are inner pages of a table and of an index, 13 and 10 their leaves.
    while [5, 2].contains(&leaf[0]) {
        let first = be16(&leaf, 12);
        leaf = page(&file, be32(&leaf, first));
    }
    let (kind, entry) = match leaf[0] {
        // The key of the last row below: any will do.
        13 => (5, vec![0x7f]),
        10 => {
            // Entries of an index are rows of it, so they have to be whole.
            let first = be16(&leaf, 8);
            let (length, head) = number(&leaf[first..]);
            (2, leaf[first..first + head + length].to_vec())
        }
        other => panic!("a page of kind {other}"),
    };
    file.extend_from_slice(&leaf);
    let mut child = u32::try_from(file.len() / size).unwrap();
    let length = 4 + entry.len();
    let entries = most.min((size - 12) / (length + 2));
    for level in 1..=levels {
        let mut inner = vec![0; size];
        inner[0] = kind;
        inner[3..5].copy_from_slice(&u16::try_from(entries).unwrap().to_be_bytes());
        for index in 0..entries {
            let at = size - (index + 1) * length;
            inner[at..at + 4].copy_from_slice(&child.to_be_bytes());
            inner[at + 4..at + length].copy_from_slice(&entry);
            let pointer = u16::try_from(at).unwrap().to_be_bytes();
            inner[12 + 2 * index..14 + 2 * index].copy_from_slice(&pointer);
            inner[5..7].copy_from_slice(&pointer);
        }
        inner[8..12].copy_from_slice(&child.to_be_bytes());
        if level == levels {
            file[(root - 1) * size..root * size].copy_from_slice(&inner);
        } else {
            file.extend_from_slice(&inner);
            child = u32::try_from(file.len() / size).unwrap();
        }
    }
    let pages = u32::try_from(file.len() / size).unwrap();
    file[28..32].copy_from_slice(&pages.to_be_bytes());
    // The number of pages counts only if these two are equal.
    let changes: [u8; 4] = file[24..28].try_into().unwrap();
    file[92..96].copy_from_slice(&changes);
    fs::write(path, file).unwrap();
}

fn catalog(scene: &Scene) -> PathBuf {
    scene.own("catalog.sqlite3")
}

const RECORD: &[&str] = &[
    "record",
    "prediction",
    "--run",
    "run",
    "--iteration",
    "77",
    "--dataset",
    "c",
];
const LIST: &[&str] = &["list"];
const RUNS: &[&str] = &["runs"];
const DU: &[&str] = &["du"];
const GC: &[&str] = &["gc", "--keep-last", "1", "--apply", "--yes"];
const RM: &[&str] = &["rm", "--yes", "--run", "run", "--iteration", "1"];
const SCAN: &[&str] = &["scan"];
const VERIFY: &[&str] = &["verify", "--indices"];
const HISTORY: &[&str] = &["history"];
const DOCTOR: &[&str] = &["doctor"];
const REBUILD: &[&str] = &["rebuild"];

/// Nearly all that fits into each page.
const WIDE: (usize, usize) = (5, usize::MAX);
/// Few in each page, so that a check of the pages finds fewer faults than it lists.
const DEEP: (usize, usize) = (18, 4);

/// Makes such a catalog, and asks it with these commands, each of which has to say that it is
/// damaged; all others end, and may be right, because they meet few of the rows.
fn meet(planted: &str, (levels, most): (usize, usize), damaged: &[&[&str]], others: &[&[&str]]) {
    let scene = Scene::new();
    plant(&catalog(&scene), planted, levels, most);
    let file = fs::read(catalog(&scene)).unwrap();
    assert!(file.len() < 400_000, "{} bytes", file.len());
    let ask = |arguments: &[&str]| {
        // A command may have changed it, and left a log.
        for end in ["-wal", "-shm"] {
            let _ = fs::remove_file(scene.own(&format!("catalog.sqlite3{end}")));
        }
        fs::write(catalog(&scene), &file).unwrap();
        let start = Instant::now();
        let output = scene.run_within(LARGEST, arguments);
        let (took, said) = (start.elapsed(), text(&output));
        assert!(took < PATIENCE, "{arguments:?} took {took:?}: {said}");
        let code = output.status.code();
        assert!(code.is_some(), "{arguments:?}: {:?}: {said}", output.status);
        let is_said = said.contains("catalog-damaged") || said.contains("is damaged");
        (code == Some(0), is_said, said)
    };
    for arguments in damaged {
        let (is_done, is_said, said) = ask(arguments);
        assert!(!is_done && is_said, "{planted}: {arguments:?}: {said}");
    }
    for arguments in others {
        let (is_done, is_said, said) = ask(arguments);
        assert!(is_done || is_said, "{planted}: {arguments:?}: {said}");
    }
    let (is_done, _, said) = ask(REBUILD);
    assert!(is_done, "{planted}: {said}");
    let listed = scene.succeeds(LIST);
    for iteration in 1..10 {
        let path = format!("validation.zarr/{iteration}/d/prediction");
        assert!(listed.contains(&path), "{planted}: {listed}");
    }
    scene.outside_is_untouched(planted);
}

#[test]
fn runs_without_end_are_damage_to_every_command_and_are_rebuilt() {
    let damaged: &[&[&str]] = &[LIST, RUNS, DU, SCAN, VERIFY, RM, DOCTOR];
    meet("run", WIDE, damaged, &[RECORD, GC, HISTORY]);
    meet("run", DEEP, &[LIST, VERIFY], &[RECORD]);
}

#[test]
fn names_of_runs_without_end_in_an_index_are_damage_to_every_command_and_are_rebuilt() {
    let damaged: &[&[&str]] = &[LIST, VERIFY, RM];
    meet("sqlite_autoindex_run_1", WIDE, damaged, &[RECORD, DOCTOR]);
    meet("sqlite_autoindex_run_1", DEEP, &[LIST, VERIFY], &[RECORD]);
}

#[test]
fn artifacts_without_end_are_damage_to_every_check_and_are_rebuilt() {
    let others: &[&[&str]] = &[RECORD, LIST, RUNS, DU, SCAN, GC, HISTORY, DOCTOR];
    meet("artifact", WIDE, &[VERIFY, RM], others);
    meet("artifact", DEEP, &[VERIFY, RM], &[RECORD, LIST, SCAN]);
}

#[test]
fn artifacts_without_end_in_an_index_are_damage_and_are_rebuilt() {
    meet("artifact_key", WIDE, &[LIST, VERIFY, RM, DOCTOR], &[RECORD]);
    // Fewer faults than a check lists: counting the index would not end.
    meet("artifact_path", DEEP, &[VERIFY, RM], &[RECORD, SCAN]);
}

#[test]
fn a_history_without_end_is_damage_and_is_rebuilt() {
    meet("operation", WIDE, &[HISTORY, VERIFY, RM], &[RECORD]);
    let history: &[&str] = &["history", "verify"];
    meet("image_artifact", DEEP, &[VERIFY, RM], &[HISTORY, history]);
}

#[test]
fn a_small_catalog_takes_in_many_more_rows_than_it_has_and_is_sound() {
    let scene = Scene::new();
    let before = catalog(&scene).metadata().unwrap().len();
    let key = |iteration| dalsegno::model::key::Key::Prediction {
        run: "many".parse().unwrap(),
        iteration,
        dataset: "d".parse().unwrap(),
        container: None,
    };
    // In one change, which takes more steps than the bytes of the catalog allow.
    let keys: Vec<_> = (0..40_000).map(key).collect();
    let registry = dalsegno::Registry::open(scene.base()).unwrap();
    registry.record_many(&keys).unwrap();
    // Again: nothing is new, and each key is looked up.
    registry.record_many(&keys).unwrap();
    drop(registry);
    assert!(catalog(&scene).metadata().unwrap().len() > 20 * before);
    scene.succeeds(&["runs", "--no-refresh"]);
    scene.succeeds(&["verify", "--indices"]);
    scene.succeeds(&["history", "verify"]);
}
