//! The steps, what each does to a registry, and what to the model.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use dalsegno::RemoveOptions;
use dalsegno::model::clock::{FixedClock, Timestamp};
use dalsegno::model::filter::Filter;
use dalsegno::model::key::Kind;
use dalsegno::model::layout;
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::TrashKeep;
use dalsegno::{Options, RefreshOptions, Registry, RestoreTarget, Target};
use proptest::prelude::*;

use crate::disk::{Row, Seen};

/// Present moment of every registry.
const NOW: Timestamp = Timestamp(1_700_000_000_000);
const RUNS: usize = 2;
const ARRAYS: usize = 4;
/// Number of a run's checkpoint, behind its arrays.
const CHECKPOINT: usize = ARRAYS;
const ID: &str = "20261122-163000-";

/// An array or checkpoint: run and number in it.
type Array = (usize, usize);

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Record(Array),
    Write(Array),
    /// The data goes without the registry.
    Lose(Array),
    Seal(Array),
    Refresh,
    Remove(Array, bool),
    RemoveRun(usize, bool),
    /// As [`Step::RemoveRun`], but a file is at the path of one array and may be left out.
    RemoveAround(Array, bool, bool),
    RestorePath(Array),
    RestoreRemoval(usize),
    Empty,
    Reopen,
    /// A removal is killed when it has moved some of these arrays; a word says how many.
    KilledRemoval(Vec<Array>, usize),
    /// A restore is killed when it has moved an item.
    KilledRestore(usize),
    /// A purge is killed when it has unlinked some files.
    KilledPurge(usize, usize),
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let array = || (0..RUNS, 0..=CHECKPOINT);
    let only_array = (0..RUNS, 0..ARRAYS);
    prop_oneof![
        3 => array().prop_map(Step::Record),
        5 => array().prop_map(Step::Write),
        1 => array().prop_map(Step::Lose),
        2 => array().prop_map(Step::Seal),
        2 => Just(Step::Refresh),
        4 => (array(), any::<bool>()).prop_map(|(array, kept)| Step::Remove(array, kept)),
        2 => (0..RUNS, any::<bool>()).prop_map(|(run, kept)| Step::RemoveRun(run, kept)),
        1 => (only_array, any::<bool>(), any::<bool>())
            .prop_map(|(array, kept, going)| Step::RemoveAround(array, kept, going)),
        3 => array().prop_map(Step::RestorePath),
        2 => any::<usize>().prop_map(Step::RestoreRemoval),
        1 => Just(Step::Empty),
        1 => Just(Step::Reopen),
        2 => (prop::collection::vec(array(), 1..4), 0..4_usize)
            .prop_map(|(arrays, moved)| Step::KilledRemoval(arrays, moved)),
        1 => any::<usize>().prop_map(Step::KilledRestore),
        1 => (any::<usize>(), 0..6_usize).prop_map(|(at, files)| Step::KilledPurge(at, files)),
    ]
}

/// An artifact in the trash.
#[derive(Debug, Clone)]
struct Kept {
    row: Row,
    /// `None` if there was no data.
    item: Option<(usize, BTreeMap<String, String>)>,
}

/// A registry and its model.
pub(crate) struct World {
    _folder: tempfile::TempDir,
    base: PathBuf,
    registry: Option<Registry>,
    rows: BTreeMap<Array, Row>,
    /// Files of each array that has data.
    data: BTreeMap<Array, BTreeMap<String, String>>,
    /// Kept removals in their order, with what is not restored.
    kept: Vec<(String, BTreeMap<Array, Kept>)>,
    /// Removals that are over.
    over: BTreeMap<String, i64>,
    next_row: i64,
    next_text: usize,
}

fn path_of((run, number): Array) -> String {
    if number == CHECKPOINT {
        return format!("run{run}/checkpoints/iterations/7");
    }
    format!(
        "run{run}/validation.zarr/{}/crop{}/prediction",
        number / 2,
        number % 2
    )
}

/// The path of a file in an array; that of a checkpoint has no name in it.
fn inside(folder: &str, file: &str) -> String {
    if file.is_empty() {
        folder.to_owned()
    } else {
        format!("{folder}/{file}")
    }
}

/// What a manifest says of an item.
fn item(number: usize, array: Array, found: &fs::Metadata) -> serde_json::Value {
    let mut item = serde_json::json!({
        "item": number,
        "path": path_of(array),
        "device": found.dev(),
        "inode": found.ino(),
    });
    if array.1 == CHECKPOINT {
        item["form"] = "file".into();
    }
    item
}

fn target(array: Array) -> Target {
    Target::Path(path_of(array).into())
}

fn keep(kept: bool) -> TrashKeep {
    if kept {
        TrashKeep::UntilEmptied
    } else {
        TrashKeep::No
    }
}

fn of_run(run: usize) -> Filter {
    Filter::default().runs([format!("run{run}").as_str()])
}

fn in_run(run: usize) -> impl Iterator<Item = Array> {
    (0..ARRAYS).map(move |number| (run, number))
}

fn open(base: &Path) -> Registry {
    let options = Options::new().clock(FixedClock(NOW));
    options.create(base).unwrap().0
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("base");
        // Must not be touched: a neighbour in each container that the registry does not know.
        for run in 0..RUNS {
            let neighbour = base.join(format!("run{run}/validation.zarr/neighbour"));
            fs::create_dir_all(&neighbour).unwrap();
            fs::write(neighbour.join(".zarray"), "{}").unwrap();
        }
        Self {
            registry: Some(open(&base)),
            base,
            _folder: folder,
            rows: BTreeMap::new(),
            data: BTreeMap::new(),
            kept: Vec::new(),
            over: BTreeMap::new(),
            next_row: 1,
            next_text: 0,
        }
    }

    fn registry(&self) -> &Registry {
        self.registry.as_ref().unwrap()
    }

    /// Takes a step and compares.
    pub(crate) fn take(&mut self, step: &Step) {
        match step {
            Step::Record(array) => self.record(*array),
            Step::Write(array) => self.write(*array),
            Step::Lose(array) => {
                if self.data.remove(array).is_some() {
                    let path = self.base.join(path_of(*array));
                    match array.1 {
                        CHECKPOINT => fs::remove_file(path).unwrap(),
                        _ => fs::remove_dir_all(path).unwrap(),
                    }
                }
            }
            Step::Seal(array) => self.seal(*array),
            Step::Refresh => self.refresh(),
            Step::Remove(array, kept) => self.remove(*array, *kept),
            Step::RemoveRun(run, kept) => self.remove_run(*run, *kept, None, false),
            Step::RemoveAround(array, kept, going) => {
                self.remove_run(array.0, *kept, Some(*array), *going);
            }
            Step::RestorePath(array) => self.restore_path(*array),
            Step::RestoreRemoval(at) => self.restore_removal(*at),
            Step::Empty => self.empty(),
            Step::Reopen => self.reopen(),
            Step::KilledRemoval(arrays, moved) => self.killed_removal(arrays, *moved),
            Step::KilledRestore(at) => self.killed_restore(*at),
            Step::KilledPurge(at, files) => self.killed_purge(*at, *files),
        }
        self.compare();
    }

    pub(crate) fn reopen(&mut self) {
        self.registry = None;
        let registry = open(&self.base);
        assert_eq!(registry.recovery().problems, Vec::<String>::new());
        assert!(registry.pending().unwrap().is_empty());
        assert_eq!(registry.check_history(None).unwrap().broken, None);
        self.registry = Some(registry);
        self.compare();
    }

    fn compare(&self) {
        let mut seen = Seen::of(&self.base);
        // Empty folders belong to no row, except those that a removal leaves: see `removed`.
        seen.empty.clear();
        let mut model = Seen {
            removals: self.over.clone(),
            ..Seen::default()
        };
        for (array, row) in &self.rows {
            model.rows.insert(path_of(*array), *row);
        }
        for (array, files) in &self.data {
            for (file, text) in files {
                let path = inside(&path_of(*array), file);
                model.files.insert(path, text.clone());
            }
        }
        for run in 0..RUNS {
            let neighbour = format!("run{run}/validation.zarr/neighbour/.zarray");
            model.files.insert(neighbour, "{}".to_owned());
        }
        for (id, artifacts) in &self.kept {
            model.removals.insert(id.clone(), 0);
            let mut files = BTreeMap::new();
            for (item, of_item) in artifacts.values().filter_map(|kept| kept.item.as_ref()) {
                files.extend(
                    of_item
                        .iter()
                        .map(|(file, text)| (inside(&item.to_string(), file), text.clone())),
                );
            }
            model.trash.insert(id.clone(), files);
        }
        assert_eq!(seen, model);
    }

    fn record(&mut self, array: Array) {
        let key = layout::parse(&path_of(array)).unwrap();
        let recorded = self.registry().record(&key).unwrap();
        assert_eq!(recorded.is_new, !self.rows.contains_key(&array));
        if recorded.is_new {
            assert!(
                recorded.artifact.id.0 >= self.next_row,
                "a number was given out twice"
            );
            self.next_row = recorded.artifact.id.0 + 1;
            self.rows
                .insert(array, (recorded.artifact.id.0, 0, None, None, false));
        }
    }

    fn write(&mut self, array: Array) {
        if self.data.contains_key(&array) {
            return;
        }
        let names: &[&str] = match array.1 {
            CHECKPOINT => &[""],
            _ => &[".zarray", "0/0/0"],
        };
        let mut files = BTreeMap::new();
        for &file in names {
            self.next_text += 1;
            let text = format!("{{\"n\":{:4}}}", self.next_text);
            let path = self.base.join(inside(&path_of(array), file));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, &text).unwrap();
            files.insert(file.to_owned(), text);
        }
        self.data.insert(array, files);
    }

    fn size(&self, array: Array) -> (Option<i64>, Option<i64>) {
        let files = &self.data[&array];
        let bytes: usize = files.values().map(String::len).sum();
        (i64::try_from(bytes).ok(), i64::try_from(files.len()).ok())
    }

    fn seal(&mut self, array: Array) {
        let sealed = self.registry().seal(&target(array));
        let Some(row) = self.rows.get(&array).copied() else {
            return assert_eq!(sealed.unwrap_err().code(), "not-recorded");
        };
        if !self.data.contains_key(&array) {
            return assert_eq!(sealed.unwrap_err().code(), "nothing-written");
        }
        sealed.unwrap();
        let (bytes, files) = self.size(array);
        self.rows.insert(array, (row.0, 1, bytes, files, true));
    }

    fn refresh(&mut self) {
        let options = RefreshOptions::new().all(true).measure(true);
        let everything = Filter::default().kinds(Kind::ALL);
        self.registry()
            .refresh(&everything, options, &Silent)
            .unwrap();
        for (array, (id, state, bytes, files, sealed)) in self.rows.clone() {
            let row = if self.data.contains_key(&array) {
                let (bytes, files) = self.size(array);
                (id, 1, bytes, files, sealed)
            } else if state == 0 {
                continue;
            } else {
                (id, 2, bytes, files, sealed)
            };
            self.rows.insert(array, row);
        }
    }

    /// Moves arrays in the model, in the order of their paths, which numbers the items.
    fn removed(&mut self, id: String, arrays: &[Array], kept: bool) {
        let mut gone = BTreeMap::new();
        let had_data: Vec<Array> = arrays
            .iter()
            .copied()
            .filter(|array| self.data.contains_key(array))
            .collect();
        for (number, array) in arrays.iter().enumerate() {
            let row = self.rows.remove(array).unwrap();
            let item = self.data.remove(array).map(|files| (number, files));
            gone.insert(*array, Kept { row, item });
        }
        // Without data there is nothing to keep.
        if kept && gone.values().any(|kept| kept.item.is_some()) {
            self.kept.push((id, gone));
            self.kept.sort_by(|a, b| a.0.cmp(&b.0));
        } else {
            self.over.insert(id, 2);
        }
        let seen = Seen::of(&self.base);
        for array in had_data {
            let path = format!("{}/", path_of(array));
            let left = seen.empty.iter().find(|empty| path.starts_with(*empty));
            // The folders of checkpoints are DaCapo's.
            let is_checkpoint = array.1 == CHECKPOINT;
            assert_eq!(left.is_some(), is_checkpoint, "{left:?} was left empty");
        }
    }

    fn remove(&mut self, array: Array, kept: bool) {
        let options = RemoveOptions::default().keep(keep(kept));
        let removed = self
            .registry()
            .remove_target(&target(array), &options, &Silent);
        if !self.rows.contains_key(&array) {
            return assert_eq!(removed.unwrap_err().code(), "not-recorded");
        }
        let report = removed.unwrap();
        assert_eq!(report.moved, u64::from(self.data.contains_key(&array)));
        self.removed(report.removal.unwrap().to_string(), &[array], kept);
    }

    /// Removes a run but its checkpoint; with an obstacle, a file is at the path of one of its
    /// arrays.
    fn remove_run(&mut self, run: usize, kept: bool, obstacle: Option<Array>, going: bool) {
        let obstacle = obstacle
            .filter(|array| self.rows.contains_key(array) && !self.data.contains_key(array));
        if let Some(array) = obstacle {
            let path = self.base.join(path_of(array));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let _ = fs::remove_dir(&path);
            fs::write(path, "in the way").unwrap();
        }
        let options = RemoveOptions::default().keep(keep(kept)).keep_going(going);
        let removed = self.registry().remove_many(&of_run(run), &options, &Silent);
        if let Some(array) = obstacle {
            let path = self.base.join(path_of(array));
            assert_eq!(fs::read_to_string(&path).unwrap(), "in the way");
            fs::remove_file(path).unwrap();
            if !going {
                return assert_eq!(removed.unwrap_err().code(), "not-a-folder");
            }
        }
        let report = removed.unwrap();
        assert_eq!(report.skipped.len(), usize::from(obstacle.is_some()));
        let arrays: Vec<Array> = in_run(run)
            .filter(|array| self.rows.contains_key(array) && obstacle != Some(*array))
            .collect();
        assert_eq!(report.removal.is_some(), !arrays.is_empty());
        if let Some(id) = report.removal {
            self.removed(id.to_string(), &arrays, kept);
        }
    }

    /// Whether an artifact of the trash can come back: a row without data is no obstacle.
    fn is_free(&self, array: Array, kept: &Kept) -> bool {
        let is_row_free = self.rows.get(&array).is_none_or(|row| {
            let has_data = row.1 == 1;
            row.0 == kept.row.0 || !has_data
        });
        is_row_free && !self.data.contains_key(&array)
    }

    fn bring_back(&mut self, at: usize, arrays: &[Array]) {
        for array in arrays {
            let kept = self.kept[at].1.remove(array).unwrap();
            // A row that is there keeps its number.
            let number = self.rows.get(array).map_or(kept.row.0, |row| row.0);
            let (_, state, bytes, files, sealed) = kept.row;
            self.rows
                .insert(*array, (number, state, bytes, files, sealed));
            if let Some((_, files)) = kept.item {
                self.data.insert(*array, files);
            }
        }
        if self.kept[at].1.values().all(|kept| kept.item.is_none()) {
            let (id, _) = self.kept.remove(at);
            self.over.insert(id, 3);
        }
    }

    fn restore_path(&mut self, array: Array) {
        let target = RestoreTarget::Path(path_of(array).into());
        let restored = self.registry().restore(&target);
        let at = self
            .kept
            .iter()
            .rposition(|(_, kept)| kept.contains_key(&array));
        let Some(at) = at else {
            return assert_eq!(restored.unwrap_err().code(), "not-in-trash");
        };
        if !self.is_free(array, &self.kept[at].1[&array]) {
            return assert_eq!(restored.unwrap_err().code(), "occupied");
        }
        assert_eq!(restored.unwrap().artifacts.len(), 1);
        self.bring_back(at, &[array]);
    }

    fn restore_removal(&mut self, at: usize) {
        if self.kept.is_empty() {
            return;
        }
        let at = at % self.kept.len();
        let (id, artifacts) = &self.kept[at];
        let target = RestoreTarget::Removal(id.parse().unwrap());
        let restored = self.registry().restore(&target);
        // What has something in its place stays in the trash, and the rest comes back.
        let is_free = |(array, kept): &(&Array, &Kept)| self.is_free(**array, kept);
        let (free, taken): (Vec<_>, Vec<_>) = artifacts.iter().partition(is_free);
        if free.is_empty() {
            return assert_eq!(restored.unwrap_err().code(), "occupied");
        }
        let arrays: Vec<Array> = free.into_iter().map(|(array, _)| *array).collect();
        let report = restored.unwrap();
        assert_eq!(report.artifacts.len(), arrays.len());
        assert_eq!(report.skipped.len(), taken.len());
        self.bring_back(at, &arrays);
    }

    fn empty(&mut self) {
        let report = self.registry().empty_trash(None, &Silent).unwrap();
        assert!(report.purge.is_done && report.left.is_empty());
        let purged: BTreeSet<String> = report.purged.iter().map(ToString::to_string).collect();
        let kept: BTreeSet<String> = self.kept.iter().map(|(id, _)| id.clone()).collect();
        assert_eq!(purged, kept);
        self.kept.clear();
        self.over.extend(purged.into_iter().map(|id| (id, 2)));
    }

    /// Leaves what a removal leaves that is killed before its commit: a manifest, and some of the
    /// folders in the trash. The next open puts everything back.
    fn killed_removal(&mut self, arrays: &[Array], moved: usize) {
        self.registry = None;
        let folder = self
            .base
            .join(".dalsegno/trash")
            .join(format!("{ID}{:06x}", self.next_text));
        fs::create_dir_all(&folder).unwrap();
        let arrays: BTreeSet<&Array> = arrays
            .iter()
            .filter(|array| self.data.contains_key(array))
            .collect();
        let items: Vec<_> = (0..)
            .zip(&arrays)
            .map(|(number, array)| {
                let found = self.base.join(path_of(**array)).metadata().unwrap();
                item(number, **array, &found)
            })
            .collect();
        let manifest = serde_json::json!({ "version": 1, "items": items }).to_string();
        // Before the first folder moves the manifest is whole; until then it may be torn.
        let written = if moved == 0 {
            manifest.len() / 2
        } else {
            manifest.len()
        };
        fs::write(folder.join("manifest.json"), &manifest[..written]).unwrap();
        for (item, array) in arrays.iter().enumerate().take(moved) {
            fs::rename(
                self.base.join(path_of(**array)),
                folder.join(item.to_string()),
            )
            .unwrap();
        }
        self.reopen();
    }

    /// Leaves what a restore leaves that is killed before its commit: a note, and an item at its
    /// old place. The next open gives what is there its rows; the rest stays in the trash.
    fn killed_restore(&mut self, at: usize) {
        if self.kept.is_empty() {
            return;
        }
        self.registry = None;
        let at = at % self.kept.len();
        let (id, artifacts) = &self.kept[at];
        let folder = self.base.join(".dalsegno/trash").join(id);
        let (mut items, mut back) = (Vec::new(), Vec::new());
        for (array, kept) in artifacts {
            let place = self.base.join(path_of(*array));
            let Some((number, _)) = &kept.item else {
                continue;
            };
            if place.exists() {
                continue;
            }
            let from = folder.join(number.to_string());
            let found = from.metadata().unwrap();
            items.push(item(*number, *array, &found));
            if items.len() < 3 {
                fs::create_dir_all(place.parent().unwrap()).unwrap();
                fs::rename(from, place).unwrap();
                back.push(*array);
            }
        }
        let note = serde_json::json!({ "items": items }).to_string();
        fs::write(folder.join("restoring.json"), note).unwrap();
        if !back.is_empty() {
            self.bring_back(at, &back);
        }
        self.reopen();
    }

    /// Leaves what emptying the trash leaves that is killed midway: a removal that is noted as
    /// being purged, and some of its files. The next open goes on.
    fn killed_purge(&mut self, at: usize, files: usize) {
        if self.kept.is_empty() {
            return;
        }
        self.registry = None;
        let (id, artifacts) = self.kept.remove(at % self.kept.len());
        let catalog = self.base.join(".dalsegno/catalog.sqlite3");
        let connection = rusqlite::Connection::open(catalog).unwrap();
        let purging = "UPDATE removal SET state = 1 WHERE id = ?1 AND state = 0";
        assert_eq!(connection.execute(purging, [&id]), Ok(1));
        drop(connection);
        let folder = self.base.join(".dalsegno/trash").join(&id);
        let items = artifacts.values().filter_map(|kept| kept.item.as_ref());
        let all = items.flat_map(|(item, of_item)| of_item.keys().map(move |file| (item, file)));
        for (item, file) in all.take(files) {
            fs::remove_file(folder.join(inside(&item.to_string(), file))).unwrap();
        }
        self.over.insert(id, 2);
        self.reopen();
    }
}
