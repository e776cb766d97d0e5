//! Large plans go in several removals, and a kill leaves whole ones.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use dalsegno::Registry;
use dalsegno::model::filter::Filter;
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::TrashKeep;
use dalsegno::{GcOptions, PlanFile};

use crate::apply::{apply, keep_last};
use crate::child::{ACTION, BASE, assert_sound, say};
use crate::fault::{in_order, trace};
use crate::scene::{NOW, base, date, days, open_at, paths};
use crate::strace;

const ITERATIONS: i64 = 1300;

/// A run of 1300 iterations, old, and a small one of two.
fn write(base: &Path) {
    for (run, iterations) in [("big", ITERATIONS), ("small", 2)] {
        for iteration in 1..=iterations {
            let folder = base.join(format!("{run}/validation.zarr/{iteration}/d/prediction"));
            fs::create_dir_all(&folder).unwrap();
            let metadata = folder.join(".zarray");
            fs::write(&metadata, "{}").unwrap();
            date(&metadata, NOW.minus(days(30)));
            date(&folder, NOW.minus(days(30)));
        }
    }
}

/// Scans, plans, and keeps the plan beside the base directory.
fn prepare(base: &Path) -> PathBuf {
    write(base);
    let registry = open_at(base, NOW);
    let options = dalsegno::ScanOptions::default();
    registry.scan(options, &Silent).unwrap();
    let plan = registry.plan_gc(&keep_last(1)).unwrap();
    let file = base.with_extension("plan");
    fs::write(&file, plan.file.text().unwrap()).unwrap();
    file
}

#[test]
fn more_than_a_thousand_artifacts_go_in_several_removals() {
    let (folder, registry) = base();
    prepare(folder.path());
    let plan = registry.plan_gc(&keep_last(1)).unwrap();
    let mut progress = Vec::new();
    let options = GcOptions::default()
        .reason("space")
        .keep(TrashKeep::UntilEmptied);
    let report = registry
        .apply_gc(&plan.file, &options, &Silent, |report| {
            progress.push(report.artifacts)
        })
        .unwrap();
    assert_eq!(progress, [1000, 1300]);
    assert_eq!((report.artifacts, report.removals.len()), (1300, 2));
    let removals = registry.trash().unwrap();
    let sizes: Vec<u64> = removals.iter().map(|removal| removal.artifacts).collect();
    assert_eq!(sizes.iter().sum::<u64>(), 1300);
    assert!(sizes.iter().all(|size| *size <= 1000));
    assert!(
        removals
            .iter()
            .all(|removal| removal.reason.as_deref() == Some("space"))
    );
    assert_eq!(
        paths(&registry),
        [
            format!("big/validation.zarr/{ITERATIONS}/d/prediction"),
            "small/validation.zarr/2/d/prediction".to_owned(),
        ]
    );
}

/// Carries out the plan that lies beside the base directory.
pub(crate) fn child() {
    if std::env::var(ACTION).is_ok_and(|action| action == "apply") {
        let base = PathBuf::from(std::env::var_os(BASE).unwrap());
        let registry = open_at(&base, NOW);
        let text = fs::read_to_string(base.with_extension("plan")).unwrap();
        let plan = PlanFile::parse(&text).unwrap();
        say("ready");
        std::io::stdin().read_line(&mut String::new()).unwrap();
        let report = apply(&registry, &plan, TrashKeep::No);
        say(&report.artifacts.to_string());
    }
}

/// State and number of artifacts of every removal, by SQLite itself.
fn removals(catalog: &Path) -> Vec<(String, usize)> {
    let connection = rusqlite::Connection::open(catalog).unwrap();
    let mut statement = connection
        .prepare("SELECT state, artifacts FROM removal_view")
        .unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

/// Every row has its data and every array its row; what is noted as removed is gone, by whole
/// removals.
fn assert_whole(registry: &Registry, what: &str) {
    let rows = registry.select(&Filter::default()).unwrap();
    for row in &rows {
        assert!(
            row.path().join(".zarray").exists(),
            "{what}: {:?}",
            row.path()
        );
    }
    let base = registry.base();
    let mut on_disk = 0;
    for run in ["big", "small"] {
        for entry in fs::read_dir(base.join(run).join("validation.zarr")).unwrap() {
            on_disk += usize::from(entry.unwrap().path().join("d/prediction/.zarray").exists());
        }
    }
    assert_eq!(on_disk, rows.len(), "{what}");
    let mut gone = 0;
    for (state, artifacts) in removals(registry.catalog_path()) {
        assert!([1000, 300].contains(&artifacts), "{what}");
        assert_eq!(state, "purged", "{what}");
        gone += artifacts;
    }
    assert_eq!(gone + rows.len(), 1302, "{what}");
    let trash = base.join(".dalsegno/trash");
    assert_eq!(fs::read_dir(trash).map_or(0, Iterator::count), 0, "{what}");
    assert_sound(registry.catalog_path());
}

/// Kills at a handful of calls that change something, from the first to the last.
#[test]
fn a_kill_leaves_whole_removals_and_the_next_open_settles() {
    if !strace::works("kills of gc") {
        return;
    }
    // In memory if there is a tmpfs: that is quicker.
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let folder = folder.unwrap();
    let calls = {
        let base = folder.path().join("traced");
        prepare(&base);
        let output = folder.path().join("trace");
        let names = "trace=renameat,renameat2,fsync,fdatasync,syncfs,unlinkat";
        let Some(traced) = trace("apply", &base, names, &output) else {
            return;
        };
        assert_eq!(traced.said, ["1300"], "{}", traced.stderr);
        assert_whole(&open_at(&base, NOW), "no kill");
        in_order(&fs::read_to_string(output).unwrap())
    };
    let mut points: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (name, number) in calls {
        points.entry(name).or_default().push(number);
    }
    let mut killed = 0;
    for (name, numbers) in points {
        let most = numbers.into_iter().max().unwrap();
        let mut chosen = match name.as_str() {
            "renameat" | "renameat2" | "fdatasync" => vec![1, most / 2 + 1, most],
            _ => vec![most / 2 + 1],
        };
        chosen.dedup();
        for number in chosen {
            let what = format!("kill at {name} {number}");
            let base = folder.path().join(format!("{name}{number}"));
            prepare(&base);
            let output = folder.path().join("trace");
            let expression = format!("inject={name}:signal=SIGKILL:when={number}");
            let traced = trace("apply", &base, &expression, &output).unwrap();
            killed += usize::from(traced.said.is_empty());
            let registry = open_at(&base, NOW);
            assert_whole(&registry, &what);
            // What is left of the plan goes on.
            let text = fs::read_to_string(base.with_extension("plan")).unwrap();
            apply(&registry, &PlanFile::parse(&text).unwrap(), TrashKeep::No);
            assert_eq!(paths(&registry).len(), 2, "{what}");
            assert_whole(&registry, &what);
            fs::remove_dir_all(&base).unwrap();
        }
    }
    assert!(killed >= 5, "{killed}");
}
