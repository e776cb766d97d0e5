//! A scan that counts finds what one that does not finds, and counts it right.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use dalsegno::NoticeClass;
use dalsegno::model::artifact::State;
use dalsegno::model::filter::Filter;
use dalsegno::model::key::Kind;
use dalsegno::model::layout;
use dalsegno::model::progress::Silent;
use dalsegno::model::size::{ByteCount, Size};
use dalsegno::{ScanOptions, ScanReport};

use crate::common::create;

/// Another user than root: root may read everything.
const USER: u32 = 61_001;
/// More levels than folders are kept open.
const LEVELS: usize = 70;

const ARRAY_3: &str = r#"{"zarr_format":3,"node_type":"array"}"#;
const GROUP_3: &str = r#"{"zarr_format":3,"node_type":"group"}"#;
const N5: &str = r#"{"dimensions":[1],"dataType":"uint8","blockSize":[1]}"#;

fn write(base: &Path, path: &str, text: &str) {
    let path = base.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Bytes and files below a folder, counted another way.
fn count(folder: &Path) -> Size {
    let mut size = Size::default();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        size.add(if metadata.is_dir() {
            count(&entry.path())
        } else {
            Size {
                bytes: ByteCount(metadata.len()),
                files: 1,
            }
        });
    }
    size
}

/// Arrays of every format, groups, and what may be taken for either.
fn zoo(base: &Path) -> Vec<String> {
    let container = "r/validation.zarr";
    let at = |path: &str| format!("{container}/{path}");
    write(base, &at(".zgroup"), "{}");
    write(base, &at("1/a/.zgroup"), "{}");
    write(base, &at("1/a/.zattrs"), "{}");
    write(base, &at("1/a/prediction/.zarray"), "{}");
    write(base, &at("1/a/prediction/0.0"), "chunk");
    fs::hard_link(
        base.join(at("1/a/prediction/0.0")),
        base.join(at("1/a/prediction/0.1")),
    )
    .unwrap();
    // A link in an array is a file of it, and not followed.
    symlink("../../..", base.join(at("1/a/prediction/up"))).unwrap();
    // In a group it is a finding if it leads to a folder.
    symlink("a", base.join(at("1/b"))).unwrap();
    symlink("nowhere", base.join(at("1/dangling"))).unwrap();
    write(base, &at("1/c/zarr.json"), GROUP_3);
    write(base, &at("1/c/prediction/zarr.json"), ARRAY_3);
    write(base, &at("1/c/prediction/c/0/0"), "a chunk");
    write(base, &at("1/c/prediction/c/0/1/2"), "one more");
    // What looks like an array in an array is chunks.
    write(base, &at("1/c/prediction/c/.zarray"), "{}");
    write(base, &at("1/n5/attributes.json"), r#"{"n5":"2.0.0"}"#);
    write(base, &at("1/n5/prediction/attributes.json"), N5);
    write(base, &at("1/n5/prediction/0/0"), "");
    write(base, &at("1/damaged/zarr.json"), "{");
    write(base, &at("1/damaged/below/.zarray"), "{}");
    // It has the name of metadata, and is a folder.
    fs::create_dir_all(base.join(at("1/d/prediction/.zarray"))).unwrap();
    write(base, &at("1/d/prediction/.zarray/in"), "counted");
    fs::create_dir_all(base.join(at("1/empty/prediction"))).unwrap();
    write(base, &at("1/file"), "no folder");
    write(base, "loose/.zarray", "{}");
    // In no container by its name, one of them counted below a folder of its own.
    write(base, "r/outside/.zarray", "{}");
    write(base, "r/validation/1/plain/prediction/.zarray", "{}");
    write(base, "r/validation/1/plain/prediction/0/0", "plain");
    let deep = "d/".repeat(LEVELS);
    write(base, &at(&format!("{deep}array/.zarray")), "{}");
    write(base, &at(&format!("{deep}array/{deep}chunk")), "deep");
    // A container that is an array itself.
    write(base, "s/snapshot.zarr/.zarray", "{}");
    write(base, "s/snapshot.zarr/0.0", "whole");
    write(base, "s/checkpoints/iterations/1000", "checkpoint");
    // A run that is called like a container.
    write(base, "t.zarr/checkpoints/iterations/1000", "checkpoint");
    let arrays = ["1/a", "1/c", "1/n5"].map(|path| at(&format!("{path}/prediction")));
    let below_damage = at("1/damaged/below");
    let others = [
        at(&format!("{deep}array")),
        "s/snapshot.zarr".to_owned(),
        below_damage,
        "r/outside".to_owned(),
        "r/validation/1/plain/prediction".to_owned(),
    ];
    arrays.into_iter().chain(others).collect()
}

fn scan(base: &Path, measure: bool, threads: usize) -> (ScanReport, Vec<(String, Option<Size>)>) {
    let registry = create(base);
    let options = ScanOptions::default()
        .kinds(Kind::ALL)
        .measure(measure)
        .threads(Some(threads));
    let report = registry.scan(options, &Silent).unwrap();
    let rows = registry.select(&Filter::default()).unwrap();
    let mut rows: Vec<_> = rows
        .into_iter()
        .filter(|row| row.key.kind() != Kind::Checkpoint && row.state == State::Present)
        .map(|row| (layout::canonical_location(&row.key).path(), row.size))
        .collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    drop(registry);
    fs::remove_dir_all(base.join(".dalsegno")).unwrap();
    (report, rows)
}

#[test]
fn a_scan_that_counts_finds_the_same_and_counts_every_file_once() {
    let base = tempfile::tempdir().unwrap();
    let mut arrays = zoo(base.path());
    arrays.sort();
    let expected = |path: &String| (path.clone(), Some(count(&base.path().join(path))));
    let expected: Vec<_> = arrays.iter().map(expected).collect();
    let findings = [
        (NoticeClass::OutsideContainer, "loose"),
        (NoticeClass::Symlink, "r/validation.zarr/1/b"),
        (
            NoticeClass::DamagedMetadata,
            "r/validation.zarr/1/d/prediction",
        ),
        (NoticeClass::DamagedMetadata, "r/validation.zarr/1/damaged"),
    ];
    for threads in [1, 8] {
        let (plain, rows) = scan(base.path(), false, threads);
        let names: Vec<_> = rows.into_iter().map(|(path, _)| path).collect();
        assert_eq!(names, arrays, "{threads} threads");
        let (measured, rows) = scan(base.path(), true, threads);
        assert_eq!(rows, expected, "{threads} threads");
        assert_eq!(measured.notices, plain.notices);
        let said: Vec<(NoticeClass, &str)> = measured
            .notices
            .iter()
            .map(|finding| (finding.class, finding.path.as_str()))
            .collect();
        assert_eq!(said, findings);
        assert_eq!(measured.arrays, plain.arrays);
        assert_eq!((measured.checkpoints, plain.checkpoints), (2, 2));
        assert_eq!(measured.total.uncounted, 0);
    }
}

#[test]
fn what_cannot_be_read_is_found_with_an_unknown_size_or_named() {
    let base = tempfile::tempdir().unwrap();
    let is_root = rustix::process::geteuid().is_root();
    let container = base.path().join("r/validation.zarr/1");
    let array = |name: &str| format!("r/validation.zarr/1/{name}/prediction");
    for name in ["a", "b", "c", "e"] {
        write(base.path(), &format!("{}/.zarray", array(name)), "{}");
        write(base.path(), &format!("{}/0/0", array(name)), "chunk");
    }
    fs::create_dir(container.join("d")).unwrap();
    if is_root {
        give_away(base.path());
    }
    let modes = [
        ("b/prediction", 0o311),
        ("c/prediction", 0o444),
        ("d", 0o000),
        ("e/prediction/0", 0o000),
    ];
    let set_mode = |path: &str, mode| {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(container.join(path), mode).unwrap();
    };
    for (path, mode) in modes {
        set_mode(path, mode);
    }
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dalsegno"));
        command.args(arguments).current_dir(base.path());
        if is_root {
            command.uid(USER).gid(USER);
        }
        command.output()
    };
    match run(&["init"]) {
        Ok(made) => assert!(made.status.success(), "{made:?}"),
        // Another user may not enter the folder that the tests were built in.
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "left out: {error}");
            return;
        }
    }
    // First without counting: the rows that are made learn their sizes from the second.
    for measure in [false, true] {
        let mut arguments = vec!["scan", "--json"];
        arguments.extend(measure.then_some("--measure"));
        let output = run(&arguments).unwrap();
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let report = &report["scan"];
        assert_eq!(report["arrays"], 3, "{report}");
        assert_eq!(report["uncounted"], if measure { 2 } else { 3 }, "{report}");
        let findings: Vec<(&str, &str)> = report["notices"]
            .as_array()
            .unwrap()
            .iter()
            .map(|finding| {
                let text = |field: &str| finding[field].as_str().unwrap();
                (text("class"), text("path"))
            })
            .collect();
        let mut expected = vec![array("c"), "r/validation.zarr/1/d".to_owned()];
        if measure {
            expected.extend([array("b"), format!("{}/0", array("e"))]);
            expected.sort();
        }
        let expected: Vec<_> = expected
            .iter()
            .map(|path| ("unreadable", path.as_str()))
            .collect();
        assert_eq!(findings, expected);
    }
    for (path, _) in modes {
        set_mode(path, 0o755);
    }
}

fn give_away(folder: &Path) {
    chown(folder, Some(USER), Some(USER)).unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => give_away(&entry.path()),
            false => chown(entry.path(), Some(USER), Some(USER)).unwrap(),
        }
    }
}

#[test]
fn metadata_as_the_field_writes_it_hides_no_array() {
    let groups = [
        (
            "zarr.json",
            r#"{"zarr_format":3,"node_type":"group","attributes":{"voi":NaN}}"#,
        ),
        (
            "zarr.json",
            "\u{feff}{\"zarr_format\":3,\"node_type\":\"group\"}",
        ),
        (
            "zarr.json",
            r#"{"node_type":"array","node_type":"group","a":[-Infinity]}"#,
        ),
        ("attributes.json", r#"{"n5":"2.0.0","voi":Infinity}"#),
    ];
    for (file, text) in groups {
        for measure in [false, true] {
            let base = tempfile::tempdir().unwrap();
            write(base.path(), &format!("a/validation.zarr/{file}"), text);
            write(base.path(), &format!("a/validation.zarr/1/v/{file}"), text);
            let array = "a/validation.zarr/1/v/prediction";
            write(base.path(), &format!("{array}/zarr.json"), ARRAY_3);
            let (report, rows) = scan(base.path(), measure, 1);
            assert_eq!(report.notices, [], "{text}");
            assert_eq!(rows.len(), 1, "{text}");
            assert_eq!(rows[0].0, array);
        }
    }
}

#[test]
fn half_of_a_surrogate_pair_is_no_damage() {
    let attributes = r#""attributes":{"n\udc80":"\ud800","iterations":[7]}"#;
    let array =
        format!(r#"{{"node_type":"array","shape":[4],"fill_value":"\uDFFF",{attributes}}}"#);
    let group = format!(r#"{{"node_type":"group",{attributes}}}"#);
    for measure in [false, true] {
        let base = tempfile::tempdir().unwrap();
        write(base.path(), "a/validation.zarr/zarr.json", &group);
        let path = "a/validation.zarr/1/v/prediction";
        write(base.path(), &format!("{path}/zarr.json"), &array);
        let (report, rows) = scan(base.path(), measure, 1);
        assert_eq!(report.notices, []);
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].0, path);
    }
}

#[test]
fn unreadable_metadata_is_that_of_an_array_by_its_place_or_its_chunks() {
    let damaged = [
        // The layout has an array here.
        ("a/validation.zarr/1/v/prediction", &[][..]),
        ("a/validation.zarr/2/v/prediction", &["c/0/0"]),
        // Chunks are beside it.
        ("a/other.zarr/x", &["c/0"]),
        ("a/other.zarr/point", &["c"]),
        ("a/other.zarr/dotted", &["c.0.1"]),
        ("a/other.zarr/old", &["0.0"]),
        ("a/other.zarr/nested", &["0/1/2"]),
    ];
    let groups = [
        // Arrays are below it, or nothing that tells.
        (
            "a/validation.zarr/3/v/prediction",
            &["deep/er/zarr.json"][..],
        ),
        ("a/validation.zarr/4", &["v/prediction/zarr.json"]),
        ("a/other.zarr/group", &["0/zarr.json", "c/zarr.json"]),
        ("a/other.zarr/empty", &[]),
        ("a/other.zarr/notes", &["notes.txt", "cat", "0x1"]),
    ];
    let arrays = [
        "a/validation.zarr/3/v/prediction/deep/er",
        "a/validation.zarr/4/v/prediction",
        "a/other.zarr/group/0",
        "a/other.zarr/group/c",
    ];
    for (text, file) in [
        ("", "zarr.json"),
        ("null", "zarr.json"),
        ("{\"node_type\":\"arr", "zarr.json"),
        (r#"{"node_type":"array","shape":[-4]}"#, "zarr.json"),
        ("[]", "attributes.json"),
    ] {
        for measure in [false, true] {
            let base = tempfile::tempdir().unwrap();
            for (path, files) in damaged.iter().chain(&groups) {
                write(base.path(), &format!("{path}/{file}"), text);
                for below in *files {
                    write(base.path(), &format!("{path}/{below}"), ARRAY_3);
                }
            }
            let registry = create(base.path());
            let options = ScanOptions::default().measure(measure);
            registry.scan(options, &Silent).unwrap();
            let paths = |state| {
                let rows = registry.select(&Filter::default().states([state])).unwrap();
                let paths = rows
                    .iter()
                    .map(|row| layout::canonical_location(&row.key).path());
                paths.collect::<std::collections::BTreeSet<_>>()
            };
            let expected = damaged.map(|(path, _)| path.to_owned());
            assert_eq!(paths(State::Damaged), expected.into(), "{text} {measure}");
            assert_eq!(
                paths(State::Present),
                arrays.map(str::to_owned).into(),
                "{text}"
            );
            // None is whole, and each can be removed.
            for (path, _) in damaged {
                let target = dalsegno::Target::Path(path.into());
                assert_eq!(
                    registry.seal(&target).unwrap_err().code(),
                    "damaged-metadata"
                );
                registry.remove_artifact(&target).unwrap();
                assert!(!base.path().join(path).exists(), "{path}");
            }
        }
    }
}

#[test]
fn a_zarray_is_looked_into() {
    type Make = fn(&Path);
    let cases: [(&str, Make); 6] = [
        ("it is empty", |file| fs::write(file, "").unwrap()),
        ("expected", |file| fs::write(file, "junk").unwrap()),
        ("it is a folder", |file| fs::create_dir(file).unwrap()),
        ("symbolic link", |file| symlink("nowhere", file).unwrap()),
        ("pipe, socket or device", |file| {
            rustix::fs::mkfifoat(rustix::fs::CWD, file, 0o600.into()).unwrap();
        }),
        ("at most", |file| {
            fs::File::create(file).unwrap().set_len(1 << 30).unwrap();
        }),
    ];
    for (detail, make) in cases {
        for measure in [false, true] {
            let base = tempfile::tempdir().unwrap();
            let folder = base.path().join("a/validation.zarr/1/v/prediction");
            fs::create_dir_all(&folder).unwrap();
            make(&folder.join(".zarray"));
            let (report, _) = scan(base.path(), measure, 1);
            assert_eq!(report.arrays, 0, "{detail}");
            assert_eq!(report.notices.len(), 1, "{detail}");
            let finding = &report.notices[0];
            assert_eq!(finding.class, NoticeClass::DamagedMetadata);
            assert!(finding.detail.contains(detail), "{}", finding.detail);
        }
    }
}
