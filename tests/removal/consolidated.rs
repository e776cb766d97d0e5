//! Consolidated metadata of groups: what is removed is taken out of it, and a restore puts it back.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use dalsegno::model::filter::Filter;
use dalsegno::model::progress::Silent;
use dalsegno::{Registry, RestoreTarget, ScanOptions, VerifyClass, VerifyOptions};

use crate::{base, kept, target};

const ONE: &str = "r/validation.zarr/1/v/prediction";
const TWO: &str = "r/validation.zarr/2/v/prediction";
const V2: &str = "r/validation.zarr/.zmetadata";
const V3: &str = "r/validation.zarr/zarr.json";

const ARRAY2: &str = r#"{"zarr_format": 2, "shape": [4], "chunks": [4], "fill_value": NaN, "n": 123456789012345678901}"#;
const ARRAY3: &str = r#"{"zarr_format":3,"node_type":"array","shape":[4],"fill_value":-Infinity}"#;

fn put(base: &Path, path: &str, text: &str) {
    fs::create_dir_all(base.join(path).parent().unwrap()).unwrap();
    fs::write(base.join(path), text).unwrap();
}

/// Two arrays in a consolidated group of each format.
fn scene(format: u32) -> (tempfile::TempDir, Registry, &'static str) {
    let (folder, registry) = base();
    let at = |path: &str, text: &str| put(folder.path(), path, text);
    let (list, text) = match format {
        2 => (
            V2,
            format!(
                "{{\n    \"metadata\": {{\n        \".zgroup\": {{\n            \"zarr_format\": 2\n        }},\n        \
                 \"1/v/prediction/.zarray\": {ARRAY2},\n        \"1/v/prediction/.zattrs\": {{\"voi\": NaN}},\n        \
                 \"2/v/prediction/.zarray\": {ARRAY2}\n    }},\n    \"zarr_consolidated_format\": 1\n}}"
            ),
        ),
        _ => (
            V3,
            format!(
                r#"{{"attributes":{{"voi":NaN,"big":123456789012345678901}},"zarr_format":3,"consolidated_metadata":{{"kind":"inline","must_understand":false,"metadata":{{"1/v/prediction":{ARRAY3},"2/v/prediction":{ARRAY3}}}}},"node_type":"group"}}"#
            ),
        ),
    };
    at(list, &text);
    for path in [ONE, TWO] {
        match format {
            2 => at(&format!("{path}/.zarray"), ARRAY2),
            _ => at(&format!("{path}/zarr.json"), ARRAY3),
        }
        at(&format!("{path}/0"), "x");
    }
    if format == 2 {
        at("r/validation.zarr/.zgroup", r#"{"zarr_format": 2}"#);
        at(&format!("{ONE}/.zattrs"), "{\"voi\": NaN}\n");
    }
    let path = folder.path().join(list);
    fs::set_permissions(path, fs::Permissions::from_mode(0o640)).unwrap();
    registry.scan(ScanOptions::default(), &Silent).unwrap();
    (folder, registry, list)
}

fn stale(registry: &Registry) -> Vec<dalsegno::VerifyFinding> {
    let options = VerifyOptions::default();
    let report = registry
        .verify(&Filter::default(), options, &Silent)
        .unwrap();
    let mut findings = report.findings;
    findings.retain(|found| found.class == VerifyClass::StaleList);
    findings
}

#[test]
fn what_is_removed_is_taken_out_and_a_restore_puts_it_back() {
    for format in [2, 3] {
        let (folder, registry, list) = scene(format);
        let read = || fs::read_to_string(folder.path().join(list)).unwrap();
        let stat = || fs::metadata(folder.path().join(list)).unwrap();
        let (before, owner) = (read(), (stat().mode(), stat().uid(), stat().gid()));
        let report = registry
            .remove_target(&target(ONE), &kept(), &Silent)
            .unwrap();
        assert_eq!(report.stale_lists, []);
        let cut = read();
        assert!(
            !cut.contains("1/v/prediction") && cut.contains("2/v/prediction"),
            "{cut}"
        );
        assert!(cut.contains("123456789012345678901") && cut.starts_with(&before[..30]));
        assert_eq!((stat().mode(), stat().uid(), stat().gid()), owner);
        assert_eq!(stale(&registry), []);
        let id = report.removal.unwrap();
        let report = registry.restore(&RestoreTarget::Removal(id)).unwrap();
        assert_eq!(report.stale_lists, []);
        assert_eq!(read(), before, "zarr {format}");
        // The last one, too, and for good.
        registry.remove_artifact(&target(ONE)).unwrap();
        registry.remove_artifact(&target(TWO)).unwrap();
        assert!(!read().contains("prediction"), "{}", read());
        assert_eq!(stale(&registry), []);
    }
}

#[test]
fn a_list_behind_a_link_is_reported_and_never_written() {
    for format in [2, 3] {
        let (folder, registry, list) = scene(format);
        let (link, file) = (folder.path().join(list), folder.path().join("annexed"));
        fs::rename(&link, &file).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let before = fs::read(&file).unwrap();
        let report = registry
            .remove_target(&target(ONE), &kept(), &Silent)
            .unwrap();
        assert_eq!(report.stale_lists.len(), 1, "zarr {format}");
        assert_eq!(report.stale_lists[0].path, link);
        assert!(report.stale_lists[0].reason.contains("symbolic link"));
        let found = stale(&registry);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].path, "r/validation.zarr");
        assert!(found[0].detail.contains("symbolic link"), "{found:?}");
        assert!(found[0].repair.is_none());
        assert_eq!(fs::read(&file).unwrap(), before);
        assert!(link.is_symlink());
    }
}

#[test]
fn half_of_a_surrogate_pair_hides_no_list() {
    let (folder, registry, list) = scene(2);
    let path = folder.path().join(list);
    let text = fs::read_to_string(&path).unwrap();
    // The second is a name of one byte that is not UTF-8, as Python writes it.
    let text = text.replace(
        "\".zgroup\": {",
        r#"".zattrs": {"n": "\ud800"}, "\udcff/.zarray": {}, ".zgroup": {"#,
    );
    fs::write(&path, &text).unwrap();
    assert_eq!(stale(&registry), []);
    registry.remove_artifact(&target(ONE)).unwrap();
    let cut = fs::read_to_string(&path).unwrap();
    assert!(!cut.contains("1/v/prediction"), "{cut}");
    assert!(
        cut.contains(r#"\ud800"#) && cut.contains(r#"\udcff/.zarray"#),
        "{cut}"
    );
}

#[test]
fn what_was_not_listed_is_not_put_in() {
    let (folder, registry, list) = scene(3);
    let path = folder.path().join(list);
    put(
        folder.path(),
        "r/validation.zarr/3/v/prediction/zarr.json",
        ARRAY3,
    );
    registry.scan(ScanOptions::default(), &Silent).unwrap();
    let (before, inode) = (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().ino());
    let three = target("r/validation.zarr/3/v/prediction");
    let report = registry.remove_target(&three, &kept(), &Silent).unwrap();
    registry
        .restore(&RestoreTarget::Removal(report.removal.unwrap()))
        .unwrap();
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(
        fs::metadata(&path).unwrap().ino(),
        inode,
        "it was not written at all"
    );
}

#[test]
fn what_others_removed_is_found_and_repaired() {
    for format in [2, 3] {
        let (folder, registry, list) = scene(format);
        assert_eq!(stale(&registry), []);
        fs::remove_dir_all(folder.path().join("r/validation.zarr/1")).unwrap();
        let found = stale(&registry);
        assert_eq!(found.len(), 1, "zarr {format}");
        assert_eq!(found[0].path, "r/validation.zarr");
        assert!(found[0].detail.contains(ONE), "{}", found[0].detail);
        let report = registry.repair(&found, &Silent).unwrap();
        assert_eq!((report.repaired.len(), report.left.len()), (1, 0));
        assert_eq!(stale(&registry), []);
        let text = fs::read_to_string(folder.path().join(list)).unwrap();
        assert!(!text.contains("1/v/prediction") && text.contains("2/v/prediction"));
    }
}

#[test]
fn no_file_is_written_through_a_link_and_none_is_left_behind() {
    let (folder, registry, list) = scene(2);
    let path = folder.path().join(list);
    let elsewhere = folder.path().join("elsewhere");
    fs::rename(&path, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    let before = fs::read(&elsewhere).unwrap();
    registry.remove_artifact(&target(ONE)).unwrap();
    assert_eq!(fs::read(&elsewhere).unwrap(), before);
    assert!(path.symlink_metadata().unwrap().is_symlink());
    // What a killed command left goes with the next.
    fs::remove_file(&path).unwrap();
    fs::rename(&elsewhere, &path).unwrap();
    let left = path.with_file_name(".dalsegno-list.new");
    fs::write(&left, "{").unwrap();
    registry.remove_artifact(&target(TWO)).unwrap();
    assert!(!left.exists());
}

#[test]
fn a_list_that_may_not_be_written_is_said_and_holds_up_nothing() {
    let (folder, registry, list) = scene(3);
    // A folder of the name that the new list gets first: nothing can be made there.
    let path = folder.path().join(list);
    fs::create_dir(path.with_file_name(".dalsegno-list.new")).unwrap();
    let report = registry
        .remove_target(&target(ONE), &kept(), &Silent)
        .unwrap();
    assert_eq!(report.stale_lists.len(), 1);
    assert_eq!(report.stale_lists[0].path, path);
    assert!(!folder.path().join(ONE).exists());
    let found = stale(&registry);
    let repaired = registry.repair(&found, &Silent).unwrap();
    assert_eq!((repaired.repaired.len(), repaired.left.len()), (0, 1));
    fs::remove_dir(path.with_file_name(".dalsegno-list.new")).unwrap();
    let repaired = registry.repair(&found, &Silent).unwrap();
    assert_eq!((repaired.repaired.len(), repaired.left.len()), (1, 0));
}

#[test]
fn the_list_of_the_base_directory_is_one_too() {
    let (folder, registry, _) = scene(2);
    let path = folder.path().join(".zmetadata");
    let list = format!(
        r#"{{"metadata":{{"{ONE}/.zarray":{ARRAY2},"{TWO}/.zarray":{ARRAY2}}},"zarr_consolidated_format":1}}"#
    );
    fs::write(&path, &list).unwrap();
    let report = registry
        .remove_target(&target(ONE), &kept(), &Silent)
        .unwrap();
    let cut = fs::read_to_string(&path).unwrap();
    assert!(!cut.contains(ONE) && cut.contains(TWO), "{cut}");
    registry
        .restore(&RestoreTarget::Removal(report.removal.unwrap()))
        .unwrap();
    assert!(fs::read_to_string(&path).unwrap().contains(ONE));
    // What others removed is found, and taken out.
    fs::remove_dir_all(folder.path().join(ONE)).unwrap();
    let found = stale(&registry);
    assert!(found.iter().any(|found| found.path == "."), "{found:?}");
    registry.repair(&found, &Silent).unwrap();
    assert!(!fs::read_to_string(&path).unwrap().contains(ONE));
    assert_eq!(stale(&registry), []);
}
