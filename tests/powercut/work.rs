//! The workload: artifacts whose steps follow from their numbers, and a line for each step done.

use std::fs::{self, File};
use std::path::Path;

use dalsegno::model::filter::Filter;
use dalsegno::model::key::Key;
use dalsegno::model::layout;
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::TrashKeep;
use dalsegno::{Registry, RestoreTarget, Target};
use dalsegno::{RemoveOptions, RenameOptions};

use crate::child::say;
use crate::{Protocol, Random};

/// What happens to an artifact after it was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Stays,
    /// Removed and purged.
    Removed,
    /// Removed and kept in the trash.
    Kept,
    /// Removed, kept, restored.
    Restored,
    /// Removed and purged with the rest of its run, by one removal.
    WithItsRun,
}

/// Artifacts of a run that are removed together.
pub(crate) const PER_RUN: u64 = 5;
/// Artifacts, after which the workload ends.
const MOST: u64 = 600;

impl Life {
    pub(crate) fn of(number: u64) -> Self {
        // Every fourth run goes as a whole, container and all.
        if (number / PER_RUN) % 4 == 3 {
            return Self::WithItsRun;
        }
        match number % PER_RUN {
            0 => Self::Stays,
            1 | 4 => Self::Removed,
            2 => Self::Kept,
            _ => Self::Restored,
        }
    }
}

/// Where an artifact lies.
pub(crate) fn path(number: u64) -> String {
    let run = number / PER_RUN;
    format!("run{run}/validation.zarr/{number}/a/prediction")
}

pub(crate) fn key(number: u64) -> Key {
    layout::parse(&path(number)).unwrap()
}

/// The files of an artifact.
pub(crate) fn files(number: u64) -> [(&'static str, String); 3] {
    [
        (".zarray", "{}".to_owned()),
        ("0/0", format!("first chunk of {number}")),
        ("0/1", format!("{number} ").repeat(1500)),
    ]
}

/// Where the artifact of a run lies that is renamed once it is sealed: before, and afterwards.
pub(crate) fn renamed(number: u64) -> [String; 2] {
    ["old", "new"].map(|name| format!("{name}{number}/validation.zarr/1/a/prediction"))
}

/// Writes and syncs an artifact, so that a sealed one is on disk.
fn write(base: &Path, path: &str, number: u64) {
    let folder = base.join(path);
    fs::create_dir_all(folder.join("0")).unwrap();
    for (file, text) in files(number) {
        fs::write(folder.join(file), text).unwrap();
        File::open(folder.join(file)).unwrap().sync_all().unwrap();
    }
    let inner = folder.join("0");
    for folder in inner.ancestors() {
        File::open(folder).unwrap().sync_all().unwrap();
        if folder == base {
            break;
        }
    }
}

pub(crate) fn work(base: &Path, protocol: Protocol, seed: u64) {
    match protocol {
        Protocol::Registry => with_the_registry(base, seed),
        Protocol::Careless => without_syncs(base),
    }
}

fn seal(registry: &Registry, number: u64) {
    seal_at(registry, &path(number), number);
    say(&format!("sealed {number}"));
}

fn seal_at(registry: &Registry, path: &str, number: u64) {
    let key = layout::parse(path).unwrap();
    registry.record(&key).unwrap();
    write(registry.base(), path, number);
    registry.seal(&Target::Key(key)).unwrap();
}

/// Seals the artifact of a run of its own, and renames the run.
fn rename(registry: &Registry, number: u64) {
    let [from, to] = renamed(number);
    seal_at(registry, &from, number);
    say(&format!("named {number}"));
    let name = |path: &str| path.split('/').next().unwrap().parse().unwrap();
    let options = RenameOptions::default().active(true);
    registry
        .rename_run(&name(&from), &name(&to), &options)
        .unwrap();
    say(&format!("renamed {number}"));
}

fn with_the_registry(base: &Path, seed: u64) {
    let mut random = Random::new(seed);
    let registry = Registry::create(base).unwrap();
    let keeping = |keep| RemoveOptions::default().keep(keep);
    for run in 0..MOST / PER_RUN {
        let numbers = run * PER_RUN..(run + 1) * PER_RUN;
        for number in numbers.clone() {
            seal(&registry, number);
        }
        rename(&registry, numbers.start);
        let mut order: Vec<u64> = numbers.clone().collect();
        for at in (1..order.len()).rev() {
            let other = usize::try_from(random.below(at as u64 + 1)).unwrap();
            order.swap(at, other);
        }
        for number in order {
            let target = Target::Key(key(number));
            let remove = |keep| {
                let report = registry
                    .remove_target(&target, &keeping(keep), &Silent)
                    .unwrap();
                say(&format!("removed {number}"));
                report.removal.unwrap()
            };
            match Life::of(number) {
                Life::Stays => {}
                Life::Removed => drop(remove(TrashKeep::No)),
                Life::Kept => drop(remove(TrashKeep::UntilEmptied)),
                Life::Restored => {
                    let id = remove(TrashKeep::UntilEmptied);
                    registry.restore(&RestoreTarget::Removal(id)).unwrap();
                    say(&format!("restored {number}"));
                }
                Life::WithItsRun => {
                    let filter = Filter::default().runs([format!("run{run}")]);
                    registry
                        .remove_many(&filter, &keeping(TrashKeep::No), &Silent)
                        .unwrap();
                    for number in numbers {
                        say(&format!("removed {number}"));
                    }
                    break;
                }
            }
        }
    }
}

/// The control: artifacts are synced and sealed, then removed in the registry's order, but without
/// any sync.
fn without_syncs(base: &Path) {
    let registry = Registry::create(base).unwrap();
    let catalog = rusqlite::Connection::open(registry.catalog_path()).unwrap();
    catalog.pragma_update(None, "synchronous", "OFF").unwrap();
    let going = |number: &u64| Life::of(*number) == Life::Removed;
    let mut first = 0;
    loop {
        let numbers = first..first + 100;
        first += 100;
        for number in numbers.clone().filter(going) {
            seal(&registry, number);
        }
        for number in numbers.filter(going) {
            let artifact = registry.get(&Target::Key(key(number))).unwrap().unwrap();
            catalog.execute_batch("BEGIN IMMEDIATE").unwrap();
            catalog
                .execute("DELETE FROM artifact WHERE id = ?1", [artifact.id.0])
                .unwrap();
            let aside = base.join(format!("gone-{number}"));
            fs::rename(artifact.path(), &aside).unwrap();
            catalog.execute_batch("COMMIT").unwrap();
            fs::remove_dir_all(&aside).unwrap();
            say(&format!("removed {number}"));
        }
    }
}
