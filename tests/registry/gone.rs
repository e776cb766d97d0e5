//! What a look before an answer finds to have gone.

use std::fs;

use dalsegno::model::artifact::State;
use dalsegno::model::filter::Filter;
use dalsegno::model::layout;
use dalsegno::model::operation::{Action, NewOperation};
use dalsegno::model::progress::Silent;
use dalsegno::testing::{Catalog, CatalogOptions, Observation, ScannedArtifact};
use dalsegno::{CatalogError, Question, RefreshOptions, RefreshReport, Registry, ScanOptions};

use crate::agent::agent;
use crate::common::{NOW, create};
use crate::key;

/// A base directory with so many predictions in each of two runs, taken in.
fn base(each: u32) -> (tempfile::TempDir, Registry) {
    let folder = tempfile::tempdir().unwrap();
    for run in ["a", "b"] {
        for iteration in 0..each {
            let array = format!("{run}/validation.zarr/{iteration}/v/prediction");
            let array = folder.path().join(array);
            fs::create_dir_all(&array).unwrap();
            fs::write(array.join(".zarray"), "{}").unwrap();
        }
    }
    let registry = Registry::create(folder.path()).unwrap();
    registry.scan(ScanOptions::default(), &Silent).unwrap();
    (folder, registry)
}

fn look(registry: &Registry, filter: &Filter) -> RefreshReport {
    let question = Question::Selection(filter, RefreshOptions::new().gone(true));
    registry.refresh_for(question, &Silent).unwrap()
}

fn missing(registry: &Registry) -> usize {
    let filter = Filter::default().states([State::Missing]);
    registry.select(&filter).unwrap().len()
}

#[test]
fn each_row_of_a_small_selection_is_looked_for() {
    let (folder, registry) = base(3);
    let of_a = Filter::default().runs(["a"]);
    fs::remove_dir_all(folder.path().join("a/validation.zarr/1/v/prediction")).unwrap();
    fs::remove_dir_all(folder.path().join("b")).unwrap();
    let report = look(&registry, &of_a);
    assert_eq!((report.gone, report.only_containers), (1, false));
    assert_eq!(missing(&registry), 1);
    assert_eq!(look(&registry, &Filter::default()).gone, 4);
    // What came back is present again.
    let array = folder.path().join("b/validation.zarr/2/v/prediction");
    fs::create_dir_all(&array).unwrap();
    fs::write(array.join(".zarray"), "{}").unwrap();
    assert_eq!(look(&registry, &Filter::default()).gone, 3);
}

#[test]
fn of_a_large_selection_the_containers_are_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let registry = create(folder.path());
    let found = |array: String| {
        let key = key(&array);
        ScannedArtifact {
            location: layout::canonical_location(&key),
            key,
            seen: Observation::new(NOW),
        }
    };
    let arrays = |run| (0..8_200).map(move |array| format!("{run}/extra.zarr/{array:04}"));
    let options = CatalogOptions::default();
    let path = registry.catalog_path();
    let catalog = Catalog::open(path, folder.path(), Some(agent()), options).unwrap();
    let scan = NewOperation::new(Action::Scan, NOW);
    let all: Vec<ScannedArtifact> = arrays("a").chain(arrays("b")).map(found).collect();
    let done = catalog.record(scan, |recorder| {
        recorder.adopt_all(&all.iter().collect::<Vec<_>>())
    });
    let done: Result<_, CatalogError> = done;
    assert_eq!(done.unwrap().new, 16_400);
    // The container of one run is there, with one array.
    fs::create_dir_all(folder.path().join("a/extra.zarr/0007")).unwrap();
    fs::write(folder.path().join("a/extra.zarr/0007/.zarray"), "{}").unwrap();
    let report = look(&registry, &Filter::default());
    assert_eq!((report.gone, report.only_containers), (8_200, true));
    let of_a = Filter::default().runs(["a"]);
    let report = look(&registry, &of_a);
    assert_eq!((report.gone, report.only_containers), (8_199, false));
}

#[test]
fn a_scan_looks_for_what_it_did_not_find() {
    let (folder, registry) = base(3);
    fs::remove_dir_all(folder.path().join("a/validation.zarr/1")).unwrap();
    let report = registry.scan(ScanOptions::default(), &Silent).unwrap();
    assert_eq!((report.arrays, report.updated, report.gone), (5, 1, 1));
    let report = registry.scan(ScanOptions::default(), &Silent).unwrap();
    assert_eq!((report.updated, report.gone), (0, 1));
}

#[test]
fn what_cannot_be_looked_at_is_not_gone() {
    use std::os::unix::fs::PermissionsExt;
    if rustix::process::geteuid().is_root() {
        return;
    }
    let (folder, registry) = base(3);
    let run = folder.path().join("a");
    fs::set_permissions(&run, fs::Permissions::from_mode(0o000)).unwrap();
    let looked = look(&registry, &Filter::default()).gone;
    let scanned = registry.scan(ScanOptions::default(), &Silent).unwrap().gone;
    fs::set_permissions(&run, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!((looked, scanned), (0, 0));
}
