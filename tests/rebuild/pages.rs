//! A catalog with damaged pages: what only it knew is read from it, page by page, and from its log.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use dalsegno::model::artifact::{Artifact, State};
use dalsegno::model::filter::Filter;
use dalsegno::model::key::Key;
use dalsegno::model::score::Score;
use dalsegno::{PinSelection, RebuildOptions, RebuildReport, RebuildSalvage, Registry, ScoreQuery};
use rusqlite::Connection;

use crate::scene::{A1, A2, A3, Scene, remove, reserved, rows, with};

/// Identifiers without data: no scan finds them.
const RESERVED: i64 = 1500;

fn score(iteration: i64) -> Score {
    Score::new(
        "run".parse().unwrap(),
        iteration,
        "f1".parse().unwrap(),
        0.5,
    )
}

/// What must be there after a rebuild.
struct Before {
    scene: Scene,
    rows: BTreeMap<String, Artifact>,
}

impl Before {
    /// A registry whose newest backup lacks identifiers, a seal, a pin and scores.
    fn new() -> Self {
        let scene = Scene::recorded(&[A1, A2]);
        drop(scene.back_up());
        let registry = scene.open();
        scene.array(&registry, A3);
        let keys: Vec<Key> = (10..10 + RESERVED).map(reserved).collect();
        for keys in keys.chunks(100) {
            registry.record_many(keys).unwrap();
        }
        let chosen = rows(&registry).remove(&path(11)).unwrap();
        let iterations = Filter::default()
            .runs(["run"])
            .iterations(["15..16".parse().unwrap()]);
        for selection in [
            PinSelection::Artifacts(vec![chosen]),
            PinSelection::Filter(iterations),
        ] {
            registry
                .pin(&"best".parse().unwrap(), Some("a reason"), &selection)
                .unwrap();
        }
        let scores: Vec<Score> = (10..20).map(score).collect();
        registry.score(&scores).unwrap();
        let rows = rows(&registry);
        drop(registry);
        Self { scene, rows }
    }

    fn catalog(&self) -> PathBuf {
        self.scene.catalog()
    }

    fn rebuild(&self) -> (Registry, RebuildReport, RebuildSalvage) {
        let (registry, report) = self.scene.rebuild();
        let salvage = report.salvaged.clone();
        let salvage = salvage.unwrap_or_else(|| panic!("{report:?}"));
        (registry, report, salvage)
    }

    /// Checks that nothing is lost but what is named.
    fn assert_whole(&self, registry: &Registry, lost: usize) {
        let found = rows(registry);
        let missing = self.rows.keys().filter(|path| !found.contains_key(*path));
        assert_eq!(missing.count(), lost);
        for (path, row) in &found {
            let before = &self.rows[path];
            assert_eq!((row.id, &row.key), (before.id, &before.key), "{path}");
            assert_eq!(row.state, before.state, "{path}");
            assert_eq!(row.recorded_at, before.recorded_at, "{path}");
            assert_eq!(row.pins, before.pins, "{path}");
        }
        assert!(found[A3].sealed_at.is_some());
        assert_eq!(registry.pins().unwrap()[0].reason, "a reason");
        assert_eq!(scores(registry), 10);
    }
}

fn path(iteration: i64) -> String {
    format!("run/validation.zarr/{iteration}/a/prediction")
}

fn scores(registry: &Registry) -> usize {
    let mut scores = 0;
    registry
        .scores(&ScoreQuery::default(), |_| {
            scores += 1;
            Ok(())
        })
        .unwrap();
    scores
}

/// Numbers of the pages of a table or index of a sound catalog: those inside, and the leaves.
fn pages(catalog: &Path, name: &str) -> (Vec<u64>, Vec<u64>) {
    let root: u64 = Connection::open(catalog)
        .unwrap()
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = ?1",
            [name],
            |row| row.get(0),
        )
        .unwrap();
    let file = fs::File::open(catalog).unwrap();
    let (mut inside, mut leaves) = (Vec::new(), Vec::new());
    let mut left = vec![root];
    while let Some(number) = left.pop() {
        let mut page = [0; 4096];
        file.read_exact_at(&mut page, (number - 1) * 4096).unwrap();
        let two = |at: usize| u16::from_be_bytes([page[at], page[at + 1]]);
        let four = |at: usize| u32::from_be_bytes(page[at..at + 4].try_into().unwrap());
        if !matches!(page[0], 2 | 5) {
            leaves.push(number);
            continue;
        }
        inside.push(number);
        let cells = (0..usize::from(two(3))).map(|cell| four(two(12 + 2 * cell).into()));
        left.extend(cells.chain([four(8)]).map(u64::from));
    }
    leaves.sort_unstable();
    (inside, leaves)
}

fn damage(catalog: &Path, pages: &[u64]) {
    let file = fs::File::options().write(true).open(catalog).unwrap();
    for page in pages {
        file.write_all_at(&[0xa5; 4096], (page - 1) * 4096).unwrap();
    }
}

#[test]
fn nothing_is_lost_with_the_pages_of_an_index() {
    for index in ["artifact_path", "artifact_key", "image_artifact"] {
        let before = Before::new();
        let (_, leaves) = pages(&before.catalog(), index);
        damage(&before.catalog(), &leaves[..2]);
        let (registry, report, salvage) = before.rebuild();
        assert!(report.refused.is_empty(), "{report:?}");
        assert!(report.backup.is_some());
        // `A3` and those without data.
        assert_eq!(salvage.artifacts, RESERVED as u64 + 1, "{index}");
        assert_eq!((salvage.pins, salvage.scores), (1, 10), "{index}");
        assert_eq!((salvage.unread, salvage.is_cut), (0, false), "{index}");
        before.assert_whole(&registry, 0);
    }
}

#[test]
fn rows_of_damaged_pages_of_the_artifacts_come_from_the_history() {
    for is_inside in [false, true] {
        let before = Before::new();
        let (inside, leaves) = pages(&before.catalog(), "artifact");
        let chosen = match is_inside {
            true => inside,
            false => vec![leaves[3], leaves[4], leaves[leaves.len() - 1]],
        };
        damage(&before.catalog(), &chosen);
        let (registry, _, salvage) = before.rebuild();
        assert_eq!(salvage.unread, 0, "{is_inside}");
        before.assert_whole(&registry, 0);
    }
}

#[test]
fn what_neither_a_page_nor_the_history_has_is_counted_and_the_rest_is_there() {
    let before = Before::new();
    let (_, rows) = pages(&before.catalog(), "artifact");
    let (_, history) = pages(&before.catalog(), "image_artifact");
    damage(&before.catalog(), &rows[3..5]);
    damage(&before.catalog(), &history);
    let (registry, _, salvage) = before.rebuild();
    let lost = RESERVED + 1 - i64::try_from(salvage.artifacts).unwrap();
    assert!((20..400).contains(&lost), "{salvage:?}");
    assert!(salvage.unread >= lost as u64, "{salvage:?}");
    before.assert_whole(&registry, lost as usize);
}

#[test]
fn names_whose_page_is_damaged_come_from_their_index() {
    for table in ["run", "dataset", "container", "metric"] {
        let before = Before::new();
        let (_, leaves) = pages(&before.catalog(), table);
        damage(&before.catalog(), &leaves);
        let (registry, _, salvage) = before.rebuild();
        assert_eq!(salvage.unread, 0, "{table}");
        before.assert_whole(&registry, 0);
    }
}

#[test]
fn without_a_backup_the_id_may_be_in_a_damaged_page() {
    let before = Before::new();
    fs::remove_dir_all(before.catalog().with_file_name("backups")).unwrap();
    let (_, leaves) = pages(&before.catalog(), "registry");
    damage(&before.catalog(), &leaves);
    let (registry, report, salvage) = before.rebuild();
    assert!(report.backup.is_none());
    assert_eq!(salvage.unread, 0);
    before.assert_whole(&registry, 0);
}

#[test]
fn without_a_backup_the_list_of_tables_may_be_damaged_too() {
    let before = Before::new();
    fs::remove_dir_all(before.catalog().with_file_name("backups")).unwrap();
    let catalog = before.catalog();
    let kept = ["artifact", "run", "dataset", "parameters", "container"];
    let kept = kept.map(|table| pages(&catalog, table));
    let kept: Vec<u64> = kept
        .into_iter()
        .flat_map(|(inside, leaves)| [inside, leaves])
        .flatten()
        .collect();
    let last = fs::metadata(&catalog).unwrap().len() / 4096;
    let others: Vec<u64> = (2..=last).filter(|page| !kept.contains(page)).collect();
    assert!(others.len() > 50);
    damage(&catalog, &others);
    let (registry, _, _) = before.rebuild();
    let found = rows(&registry);
    assert!(before.rows.keys().all(|path| found.contains_key(path)));
}

/// Copies the catalog with a log, as a killed process leaves them.
fn killed(before: &Before, keys: std::ops::Range<i64>) -> (PathBuf, PathBuf) {
    let folder = before.scene.folder.path();
    let registry = before.scene.open();
    for key in keys {
        registry.record(&reserved(key)).unwrap();
    }
    let (file, log) = (folder.join("file"), folder.join("log"));
    fs::copy(with(&before.catalog(), "-wal"), &log).unwrap();
    // By another program: closing the file here would drop the locks of SQLite.
    let cp = std::process::Command::new("cp")
        .args([&before.catalog(), &file])
        .status();
    assert!(cp.unwrap().success());
    drop(registry);
    before.scene.lose();
    fs::copy(&file, before.catalog()).unwrap();
    fs::copy(&log, with(&before.catalog(), "-wal")).unwrap();
    (before.catalog(), with(&before.catalog(), "-wal"))
}

#[test]
fn changes_behind_a_damaged_page_of_the_log_are_not_lost() {
    for is_frame in [false, true] {
        let mut before = Before::new();
        let registry = before.scene.open();
        let ids = 10_000..10_040;
        let (_, log) = {
            drop(registry);
            killed(&before, ids.clone())
        };
        let bytes = fs::metadata(&log).unwrap().len();
        let frame = 32 + bytes / 4120 / 3 * 4120;
        let file = fs::File::options().write(true).open(&log).unwrap();
        let at = frame + if is_frame { 8 } else { 24 };
        file.write_all_at(&[0xa5; 64], at).unwrap();
        drop(file);
        let (registry, report, salvage) = before.rebuild();
        assert!(report.cause.contains("log"), "{}", report.cause);
        let found = rows(&registry);
        for id in ids {
            assert!(found.contains_key(&path(id)), "{id} {salvage:?}");
        }
        before.rows = found;
        before.assert_whole(&registry, 0);
    }
}

#[test]
fn a_damaged_page_behind_a_header_that_was_overwritten_too_loses_no_more() {
    let before = Before::new();
    let (_, leaves) = pages(&before.catalog(), "artifact");
    damage(&before.catalog(), &leaves[5..6]);
    let file = fs::File::options().write(true).open(before.catalog());
    file.unwrap().write_all_at(&[0; 100], 0).unwrap();
    let (registry, report, _) = before.rebuild();
    assert!(report.refused.is_empty(), "{report:?}");
    before.assert_whole(&registry, 0);
}

#[test]
fn what_was_removed_does_not_come_back() {
    let mut before = Before::new();
    let held = fs::read(before.catalog()).unwrap();
    // The page of a time before the removals is there again, as a disk may give it.
    let (_, leaves) = pages(&before.catalog(), "artifact");
    let registry = before.scene.open();
    registry.unpin(&"best".parse().unwrap(), None).unwrap();
    remove(&registry, &[A3]);
    let gone = rows(&registry).remove(&path(12)).unwrap();
    drop(registry);
    let file = fs::File::options().write(true).open(before.catalog());
    let file = file.unwrap();
    for leaf in &leaves {
        let at = (leaf - 1) * 4096;
        file.write_all_at(&held[at as usize..at as usize + 4096], at)
            .unwrap();
    }
    drop(file);
    let (_, paths) = pages(&before.catalog(), "artifact_path");
    damage(&before.catalog(), &paths[..1]);
    let (registry, report) = before.scene.rebuild();
    assert_eq!(report.removals.len(), 1);
    let found = rows(&registry);
    assert!(!found.contains_key(A3));
    assert_eq!(found[&path(12)].id, gone.id);
    assert_eq!(found[&path(12)].state, State::Reserved);
    before.rows = found;
}

#[test]
fn nothing_is_taken_from_the_catalog_of_another_registry() {
    let before = Before::new();
    let other = Before::new();
    let (_, leaves) = pages(&other.catalog(), "artifact_path");
    damage(&other.catalog(), &leaves[..1]);
    // Its id cannot be read.
    let (_, registry) = pages(&other.catalog(), "registry");
    damage(&other.catalog(), &registry);
    before.scene.lose();
    fs::copy(other.catalog(), before.catalog()).unwrap();
    let (rebuilt, report) = before.scene.rebuild();
    assert_eq!(report.salvaged, None);
    assert!(
        report
            .refused
            .iter()
            .any(|refused| refused.path == before.catalog())
    );
    assert_eq!(rows(&rebuilt).len(), 3);
}

#[test]
fn what_is_asked_to_come_from_elsewhere_gets_nothing_of_the_damaged_catalog() {
    let before = Before::new();
    let (_, leaves) = pages(&before.catalog(), "artifact_path");
    damage(&before.catalog(), &leaves[..1]);
    let options = RebuildOptions::default().from(dalsegno::RebuildFrom::Disk);
    let (registry, report) = before.scene.try_rebuild(&options).unwrap();
    assert_eq!(report.salvaged, None);
    assert_eq!(rows(&registry).len(), 3);
}

#[test]
fn a_command_says_how_many_it_took() {
    let before = Before::new();
    let (_, rows) = pages(&before.catalog(), "artifact");
    let (_, history) = pages(&before.catalog(), "image_artifact");
    damage(&before.catalog(), &rows[3..4]);
    damage(&before.catalog(), &history);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_dalsegno"));
    command.arg("--base").arg(&before.scene.base).arg("rebuild");
    let said = command.output().unwrap();
    assert_eq!(said.status.code(), Some(0));
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.contains("read from the old catalog: 1,4"), "{said}");
    assert!(said.contains("identifiers, 1 pin and 10 scores"), "{said}");
    assert!(said.contains("could not be read"), "{said}");
}
