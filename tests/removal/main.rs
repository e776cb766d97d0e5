//! What a removal takes and leaves, what a restore brings back, and how long the trash keeps it.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests are not seen as tests"
)]

mod beside;
#[expect(dead_code, reason = "some of the helpers are for other tests")]
#[path = "../child/mod.rs"]
mod child;
mod consolidated;
mod containers;
mod deleted;
mod exchanged;
mod foreign;
mod inner;
mod keep;
mod lost;
mod moved;
mod restore;
mod whole_run;

use std::fs;
use std::path::Path;

use dalsegno::RemoveOptions;
use dalsegno::model::artifact::Artifact;
use dalsegno::model::clock::{FixedClock, Timestamp};
use dalsegno::model::filter::Filter;
use dalsegno::model::key::Key;
use dalsegno::model::layout;
use dalsegno::model::removal::TrashKeep;
use dalsegno::{Options, Registry, RestoreReport, RestoreTarget, Target};
use tempfile::TempDir;

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const TRASH: &str = ".dalsegno/trash";

/// A restore whose plan is what it does.
trait RestoreAsPlanned {
    fn restore_as_planned(&self, target: &RestoreTarget) -> dalsegno::Result<RestoreReport>;
}

impl RestoreAsPlanned for Registry {
    fn restore_as_planned(&self, target: &RestoreTarget) -> dalsegno::Result<RestoreReport> {
        let before = child::tree(self.base());
        let planned = self.plan_restore(std::slice::from_ref(target));
        assert_eq!(child::tree(self.base()), before, "a plan changes nothing");
        let done = self.restore(target);
        let summary = |report: &dalsegno::Result<RestoreReport>| match report {
            Ok(report) => {
                let back = report.artifacts.iter().map(Artifact::path);
                let back: Vec<_> = back.collect();
                let (removals, skipped) = (report.removals.clone(), report.skipped.clone());
                Ok((removals, back, report.moved, skipped))
            }
            Err(error) => Err(error.code()),
        };
        assert_eq!(summary(&planned), summary(&done));
        done
    }
}

/// Opens the registry of a base directory, or makes one, at a moment.
fn open_at(base: &Path, now: Timestamp) -> Registry {
    let options = Options::new().clock(FixedClock(now));
    options.create(base).unwrap().0
}

fn base() -> (TempDir, Registry) {
    let folder = tempfile::tempdir().unwrap();
    let registry = open_at(folder.path(), NOW);
    (folder, registry)
}

fn key(path: &str) -> Key {
    layout::parse(path).unwrap()
}

/// Writes an array with some chunks at `path`.
fn write(base: &Path, path: &str) {
    let path = base.join(path);
    fs::create_dir_all(path.join("0/0")).unwrap();
    fs::write(path.join(".zarray"), "{}").unwrap();
    fs::write(path.join("0/0/0"), "a chunk").unwrap();
}

/// Records and writes the array at `path`, and seals it.
fn array(registry: &Registry, path: &str) -> Artifact {
    registry.record(&key(path)).unwrap();
    write(registry.base(), path);
    registry.seal(&target(path)).unwrap()
}

fn target(path: &str) -> Target {
    Target::Path(path.into())
}

fn paths(registry: &Registry) -> Vec<String> {
    let artifacts = registry.select(&Filter::default()).unwrap();
    let mut paths: Vec<String> = artifacts
        .iter()
        .map(|artifact| artifact.location().path())
        .collect();
    paths.sort();
    paths
}

fn of_run(run: &str) -> Filter {
    Filter::default().runs([run])
}

fn kept() -> RemoveOptions {
    RemoveOptions::default().keep(TrashKeep::UntilEmptied)
}

fn is_trash_empty(base: &Path) -> bool {
    fs::read_dir(base.join(TRASH)).map_or(0, Iterator::count) == 0
}

fn code<T>(result: dalsegno::Result<T>) -> &'static str {
    result.err().map_or("ok", |error| error.code())
}
