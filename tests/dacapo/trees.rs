//! Base directories that DaCapo wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use dalsegno::model::filter::Filter;
use dalsegno::model::key::Kind;
use dalsegno::model::progress::Silent;
use dalsegno::{NoticeClass, ScanOptions};
use dalsegno::{Registry, ScanReport, Target};
use serde_json::Value;

use crate::{common, data};

/// Unpacks a tree and returns its base directory.
fn unpack(tree: &str, folder: &Path) -> PathBuf {
    let archive = fs::File::open(data(&format!("{tree}.tar.gz"))).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    archive.unpack(folder).unwrap();
    folder.join("base")
}

/// An array, in a form that manifest and catalog share.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    path: String,
    container: String,
    array: String,
    run: String,
    kind: String,
    iteration: Option<i64>,
    dataset: Option<String>,
    parameters: Option<String>,
    bytes: u64,
    files: u64,
}

fn manifest(tree: &str) -> BTreeSet<Line> {
    let text = fs::read_to_string(data(&format!("{tree}.manifest.jsonl"))).unwrap();
    let lines = text.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = |field: &str| line[field].as_str().map(str::to_owned);
        let array = text("dataset_path").unwrap();
        let kind = text("kind").unwrap().replace('_', "-");
        // For snapshots the manifest has only the path; the dataset is what follows the iteration.
        let dataset = match (kind.as_str(), line["iteration"].as_i64()) {
            ("snapshot", Some(iteration)) => {
                let prefix = format!("{iteration}/");
                Some(array.strip_prefix(&prefix).unwrap().to_owned())
            }
            ("snapshot", None) => Some(array.clone()),
            _ => text("dataset").or_else(|| text("index")),
        };
        Line {
            path: text("path").unwrap(),
            container: text("container").unwrap(),
            array,
            run: text("run").unwrap(),
            kind,
            iteration: line["iteration"].as_i64(),
            dataset,
            parameters: text("parameters").or_else(|| text("criterion")),
            bytes: line["bytes"].as_u64().unwrap(),
            files: line["files"].as_u64().unwrap(),
        }
    });
    lines.collect()
}

/// The catalog in the form of the manifest, read from the JSON of its artifacts.
fn catalog(registry: &Registry) -> Vec<Line> {
    let rows = registry.select(&Filter::default()).unwrap();
    let lines = rows.iter().map(|row| {
        let row = serde_json::to_value(row).unwrap();
        let text = |field: &str| row[field].as_str().map(str::to_owned);
        let relative = |field: &str| {
            let path = text(field).unwrap();
            let path = Path::new(&path).strip_prefix(registry.base()).unwrap();
            path.to_str().unwrap().to_owned()
        };
        assert_eq!(row["state"], "present");
        Line {
            path: relative("path"),
            container: relative("container"),
            array: text("array").unwrap(),
            run: text("run").unwrap(),
            kind: text("kind").unwrap(),
            iteration: row["iteration"].as_i64(),
            dataset: text("dataset"),
            parameters: text("parameters"),
            bytes: row["bytes"].as_u64().unwrap(),
            files: row["files"].as_u64().unwrap(),
        }
    });
    lines.collect()
}

fn measure(registry: &Registry) -> ScanReport {
    let options = ScanOptions::default().measure(true);
    registry.scan(options, &Silent).unwrap()
}

/// No path in the two trees is ambiguous: the only best arrays are `crop7/f1_score` and
/// `crop7/voi`, which do not begin with a number, so every path reads as in the manifest.
fn check_tree(tree: &str, arrays: usize) {
    let folder = tempfile::tempdir().unwrap();
    let base = unpack(tree, folder.path());
    let expected = manifest(tree);
    assert_eq!(expected.len(), arrays);
    let registry = common::create(&base);
    let report = measure(&registry);
    let rows = catalog(&registry);
    assert_eq!(rows.iter().cloned().collect::<BTreeSet<_>>(), expected);
    assert_eq!(rows.len(), arrays, "no row is there twice");
    assert_eq!(report.arrays, arrays as u64);
    assert_eq!(report.adopted, arrays as u64);
    assert_eq!(report.updated, 0);
    assert_eq!(
        report.total.bytes.0,
        expected.iter().map(|line| line.bytes).sum::<u64>()
    );
    assert_eq!(
        report.total.files,
        expected.iter().map(|line| line.files).sum::<u64>()
    );
    assert_eq!(report.total.uncounted, 0);
    // The links of best checkpoints point to missing files, never to a folder.
    assert_eq!(report.notices, []);

    let before = registry.select(&Filter::default()).unwrap();
    drop(registry);
    let again = Registry::open(&base).unwrap();
    let report = measure(&again);
    assert_eq!(
        (report.arrays, report.adopted, report.updated),
        (arrays as u64, 0, 0)
    );
    let report = again.scan(ScanOptions::default(), &Silent).unwrap();
    assert_eq!(
        (report.adopted, report.updated),
        (0, 0),
        "sizes stay if they are not counted"
    );
    assert_eq!(again.select(&Filter::default()).unwrap(), before);

    for line in &expected {
        let found = again
            .get(&Target::Path(line.path.clone().into()))
            .unwrap()
            .unwrap();
        assert_eq!(found.identifier().unwrap().dataset, line.array);
    }
}

#[test]
fn a_scan_finds_every_array_of_today_s_dacapo() {
    check_tree("head_zarr2", 74);
}

#[test]
fn a_scan_finds_every_array_of_release_0_3_5_and_of_a_crashed_run() {
    check_tree("pypi035_zarr2", 27);
}

/// The outputs of each iteration of a run, by the manifest: iteration, datasets, outputs.
fn outputs(lines: &BTreeSet<Line>, run: &str) -> Vec<(i64, BTreeSet<String>, u64)> {
    let mut all: BTreeMap<i64, (BTreeSet<String>, u64)> = BTreeMap::new();
    for line in lines
        .iter()
        .filter(|line| line.run == run && line.kind == "output")
    {
        let entry = all.entry(line.iteration.unwrap()).or_default();
        entry.0.extend(line.dataset.clone());
        entry.1 += 1;
    }
    all.into_iter()
        .map(|(iteration, (datasets, outputs))| (iteration, datasets, outputs))
        .collect()
}

#[test]
fn the_iterations_with_outputs_are_those_of_the_manifest() {
    for tree in ["head_zarr2", "pypi035_zarr2"] {
        let folder = tempfile::tempdir().unwrap();
        let registry = common::create(&unpack(tree, folder.path()));
        registry.scan(ScanOptions::default(), &Silent).unwrap();
        let expected = manifest(tree);
        let runs: BTreeSet<&String> = expected.iter().map(|line| &line.run).collect();
        for run in runs {
            let filter = Filter::default().runs([run.as_str()]).kinds([Kind::Output]);
            let mut rows = Vec::new();
            registry
                .iterations(&filter, |row| {
                    assert_eq!(&row.run, run);
                    assert_eq!(row.complete, Some(true), "{run} {}", row.iteration);
                    assert_eq!(row.total.uncounted, row.outputs);
                    rows.push((
                        row.iteration,
                        row.datasets.into_iter().collect(),
                        row.outputs,
                    ));
                    Ok(())
                })
                .unwrap();
            assert_eq!(rows, outputs(&expected, run), "{tree} {run}");
        }
    }
    assert_eq!(
        outputs(&manifest("head_zarr2"), "affs_run")
            .into_iter()
            .map(|(iteration, _, outputs)| (iteration, outputs))
            .collect::<Vec<_>>(),
        [(1, 5), (2, 5)]
    );
}

#[test]
fn a_scan_says_what_it_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let base = unpack("head_zarr2", folder.path());
    let elsewhere = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), base.join("linked_run")).unwrap();
    common::write_array(&base.join("affs_run/validation.zarr/1/a\tb/prediction"));
    common::write_array(&base.join("loose.zarr/a"));
    fs::create_dir_all(base.join("affs_run/validation.zarr/1/damaged")).unwrap();
    fs::write(
        base.join("affs_run/validation.zarr/1/damaged/zarr.json"),
        "{",
    )
    .unwrap();
    let registry = common::create(&base);
    let report = measure(&registry);
    let findings: Vec<(NoticeClass, &str)> = report
        .notices
        .iter()
        .map(|finding| (finding.class, finding.path.as_str()))
        .collect();
    assert_eq!(
        findings,
        [
            (
                NoticeClass::Unnameable,
                "affs_run/validation.zarr/1/a\\tb/prediction"
            ),
            (
                NoticeClass::DamagedMetadata,
                "affs_run/validation.zarr/1/damaged"
            ),
            (NoticeClass::Symlink, "linked_run"),
            (NoticeClass::OutsideRun, "loose.zarr/a"),
        ]
    );
    assert_eq!(
        catalog(&registry).into_iter().collect::<BTreeSet<_>>(),
        manifest("head_zarr2")
    );
}

#[test]
fn a_scan_reads_every_format_and_never_looks_inside_an_array() {
    let base = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = base.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let (array, group) = (r#"{"node_type":"array"}"#, r#"{"node_type":"group"}"#);
    write("r/validation.zarr/zarr.json", group);
    write("r/validation.zarr/1/zarr.json", group);
    write("r/validation.zarr/1/a/prediction/zarr.json", array);
    write("r/validation.zarr/1/a/prediction/c/0/zarr.json", array);
    write("r/x.n5/attributes.json", r#"{"n5":"2.0.0"}"#);
    write(
        "r/x.n5/s0/attributes.json",
        r#"{"dimensions":[1],"dataType":"uint8"}"#,
    );
    write("r/whole.zarr/.zarray", "{}");
    let nested = base.path().join("r/validation.zarr/2/a/prediction");
    common::write_array(&nested);
    common::write_array(&nested.join("0/0/nested"));
    let registry = common::create(base.path());
    let report = measure(&registry);
    assert_eq!(report.notices, []);
    let rows = registry.select(&Filter::default()).unwrap();
    let found: BTreeMap<String, u64> = rows
        .iter()
        .map(|row| (row.location().path(), row.size.unwrap().files))
        .collect();
    let expected = [
        ("r/validation.zarr/1/a/prediction", 2),
        ("r/validation.zarr/2/a/prediction", 6),
        ("r/whole.zarr", 1),
        ("r/x.n5/s0", 1),
    ];
    assert_eq!(
        found,
        expected
            .map(|(path, files)| (path.to_owned(), files))
            .into()
    );
}
