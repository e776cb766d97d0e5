//! Snapshots that hold several iterations in one array: what is bound to any of them holds it.

use std::fs;
use std::path::Path;

use dalsegno::model::filter::{Filter, IterationRange};
use dalsegno::model::key::Kind;
use dalsegno::model::pin::PinName;
use dalsegno::model::progress::Silent;
use dalsegno::model::score::Score;
use dalsegno::retention::{KeepBest, KeepRules, Limits, Policy, SelectRules};
use dalsegno::{PinSelection, Registry, RemoveOptions};

use crate::kept::{planned, removed};
use crate::scene::{NOW, base, date_all, days, get, scan, target, write_aged};

const ARRAY: &str = "mito/snapshot.zarr/volumes/raw";

/// Writes the array as DaCapo does, with its iterations in the attributes.
fn write(base: &Path, iterations: &str) {
    write_aged(base, ARRAY, days(60));
    fs::write(
        base.join(ARRAY).join(".zattrs"),
        format!(r#"{{"iterations":{iterations}}}"#),
    )
    .unwrap();
    date_all(&base.join(ARRAY), NOW.minus(days(60)));
}

fn scene() -> (tempfile::TempDir, Registry) {
    let (folder, registry) = base();
    write(folder.path(), "[1000,2000,3000]");
    scan(&registry);
    (folder, registry)
}

/// A policy that lets every snapshot go that nothing holds.
fn policy() -> Policy {
    Policy::default()
        .select(SelectRules::default().kinds([Kind::Snapshot]))
        .limit(Limits::default().max_files(1))
        .allow_empty_group(true)
}

fn pin(registry: &Registry, range: &str) -> u64 {
    let range: IterationRange = range.parse().unwrap();
    let filter = Filter::default().runs(["mito"]).iterations([range]);
    let name: PinName = "figure".parse().unwrap();
    let selection = PinSelection::Filter(filter);
    let pinned = registry.pin(&name, Some("because"), &selection).unwrap();
    pinned.artifacts
}

fn refusal(registry: &Registry) -> Option<&'static str> {
    let removed = registry.remove_target(&target(ARRAY), &RemoveOptions::default(), &Silent);
    removed.err().map(|error| error.code())
}

#[test]
fn a_pin_on_any_of_its_iterations_binds_it() {
    for (range, binds) in [
        ("1000", true),
        ("1500..2500", true),
        ("3000", true),
        ("1500", false),
        ("3001..9000", false),
    ] {
        let (_folder, registry) = scene();
        assert_eq!(pin(&registry, range), u64::from(binds), "{range}");
        assert_eq!(
            get(&registry, ARRAY).pins.len(),
            usize::from(binds),
            "{range}"
        );
        let pinned = Filter::default().pinned(true);
        let listed = registry.select(&pinned).unwrap().len();
        assert_eq!(listed, usize::from(binds), "{range}");
        let plan = planned(&registry, policy()).unwrap();
        assert_eq!(removed(&plan).is_empty(), binds, "{range}");
        assert_eq!(refusal(&registry), binds.then_some("pinned"), "{range}");
    }
}

#[test]
fn a_best_link_to_any_of_its_iterations_binds_it() {
    for (iteration, binds) in [(1000, true), (3000, true), (1500, false)] {
        let (folder, registry) = scene();
        let best = folder.path().join("mito/checkpoints/crop1");
        fs::create_dir_all(&best).unwrap();
        let note = format!(r#"{{"iteration": {iteration}}}"#);
        fs::write(best.join("voi.json"), note).unwrap();
        let plan = planned(&registry, policy()).unwrap();
        assert_eq!(removed(&plan).is_empty(), binds, "{iteration}");
        let expected = binds.then_some("best-linked");
        assert_eq!(refusal(&registry), expected, "{iteration}");
    }
}

#[test]
fn keep_best_ranks_it_by_the_best_of_its_iterations() {
    let (folder, registry) = base();
    write(folder.path(), "[1000,2000]");
    let other = "mito/snapshot.zarr/3000/volumes/raw";
    write_aged(folder.path(), other, days(50));
    scan(&registry);
    let score = |iteration, value| {
        let (run, metric) = ("mito".parse().unwrap(), "voi".parse().unwrap());
        Score::new(run, iteration, metric, value)
    };
    let best = || {
        let keep = KeepRules::default().best(KeepBest::new(1, "voi".parse().unwrap()));
        let select = SelectRules::default().kinds([Kind::Snapshot]);
        Policy::default().select(select).keep(keep)
    };
    registry
        .score(&[score(1000, 0.25), score(2000, 0.75), score(3000, 0.5)])
        .unwrap();
    assert_eq!(removed(&planned(&registry, best()).unwrap()), [other]);
    // Without the score of its older iteration the other one is better.
    registry.score(&[score(1000, 0.9)]).unwrap();
    assert_eq!(removed(&planned(&registry, best()).unwrap()), [ARRAY]);
}
