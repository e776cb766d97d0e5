//! What a scan, a refresh and the queries see of checkpoints.

use std::fs;
use std::os::unix::fs::symlink;

use dalsegno::DuGroup;
use dalsegno::RefreshOptions;
use dalsegno::model::artifact::{Origin, State};
use dalsegno::model::filter::Filter;
use dalsegno::model::key::{Key, Kind};
use dalsegno::model::layout;
use dalsegno::model::progress::Silent;

use crate::{base, code, common, of_kinds, paths, scan, target, unpack, write};

const OF_HEAD: [&str; 6] = [
    "affs_run/checkpoints/iterations/1",
    "affs_run/checkpoints/iterations/2",
    "distance run/checkpoints/iterations/1",
    "distance run/checkpoints/iterations/2",
    "onehot_run/checkpoints/iterations/1",
    "rawgt_run/checkpoints/iterations/1",
];

#[test]
fn a_scan_adopts_checkpoints_only_if_their_kind_is_named() {
    let (_folder, tree) = unpack("head_zarr2");
    let registry = common::create(&tree);
    let report = scan(&registry, &[]);
    assert_eq!((report.arrays, report.checkpoints), (74, 0));
    assert_eq!(paths(&registry, &Kind::ALL).len(), 74);
    let findings = report.notices;

    let report = scan(&registry, &[Kind::Checkpoint]);
    assert_eq!((report.arrays, report.checkpoints), (0, 6));
    assert_eq!((report.adopted, report.updated), (6, 0));
    assert_eq!(report.total.files, 6);
    assert_eq!(report.total.bytes.0, 3 * 9639 + 3 * 9447);
    assert_eq!(report.total.uncounted, 0);
    assert!(report.notices.len() <= findings.len());
    assert_eq!(paths(&registry, &[Kind::Checkpoint]), OF_HEAD);
    assert_eq!(paths(&registry, &Kind::ALL).len(), 80);
    assert_eq!(paths(&registry, &[]).len(), 74);

    let again = scan(&registry, &[Kind::Checkpoint, Kind::Output]);
    assert_eq!((again.adopted, again.updated), (0, 0));
    assert_eq!(again.checkpoints, 6);
    let outputs = paths(&registry, &[Kind::Output]).len();
    assert_eq!(again.arrays, outputs as u64);
}

#[test]
fn both_kinds_of_thing_are_taken_in_at_once() {
    let (_folder, tree) = unpack("pypi035_zarr2");
    let registry = common::create(&tree);
    let report = scan(&registry, &Kind::ALL);
    assert_eq!((report.arrays, report.checkpoints), (27, 4));
    assert_eq!(report.adopted, 31);
    assert_eq!(report.total.uncounted, 27, "arrays were not counted");
}

#[test]
fn only_regular_files_that_are_called_like_iterations_are_checkpoints() {
    let (folder, registry) = base();
    let first = write(folder.path(), "r", 5);
    let negative = write(folder.path(), "a/b", -1);
    let odd = write(folder.path(), "r.zarr", 7);
    let there = folder.path().join("r/checkpoints/iterations");
    for name in ["007", "5.tmp", "latest", "5~"] {
        fs::write(there.join(name), "x").unwrap();
    }
    fs::create_dir(there.join("6")).unwrap();
    symlink("5", there.join("8")).unwrap();
    fs::write(folder.path().join("r/checkpoints/9"), "x").unwrap();
    fs::create_dir_all(folder.path().join("checkpoints/iterations")).unwrap();
    fs::write(folder.path().join("checkpoints/iterations/1"), "x").unwrap();
    // In a container, a file is part of the container.
    write(folder.path(), "r/validation.zarr", 1);
    common::write_array(&folder.path().join("r/validation.zarr/1/d/prediction"));

    let report = scan(&registry, &[Kind::Checkpoint]);
    assert_eq!(report.notices, []);
    assert_eq!(paths(&registry, &Kind::ALL), [negative, odd, first]);
    let report = scan(&registry, &Kind::ALL);
    assert_eq!((report.arrays, report.checkpoints), (1, 3));
}

#[test]
fn a_checkpoint_is_recorded_seen_and_sealed_like_an_array() {
    let (folder, registry) = base();
    let key = Key::Checkpoint {
        run: "r".parse().unwrap(),
        iteration: 5,
    };
    let recorded = registry.record(&key).unwrap().artifact;
    assert_eq!(recorded.state, State::Reserved);
    assert_eq!(layout::parse(&recorded.location().path()), Ok(key.clone()));
    assert_eq!(
        code(registry.seal(&target("r/checkpoints/iterations/5"))),
        "nothing-written"
    );
    let path = write(folder.path(), "r", 5);
    assert!(recorded.path().ends_with(&path));

    let options = RefreshOptions::default();
    let report = registry
        .refresh(&Filter::default(), options, &Silent)
        .unwrap();
    assert_eq!(report.looked_at, 0, "the kind was not named");
    let filter = of_kinds(&[Kind::Checkpoint]);
    let report = registry.refresh(&filter, options, &Silent).unwrap();
    assert_eq!((report.present, report.changed), (1, 1));
    let seen = registry.get(&target(&path)).unwrap().unwrap();
    assert_eq!(seen.state, State::Present);
    assert_eq!(seen.origin, Origin::Recorded);
    let size = seen.size.unwrap();
    assert_eq!((size.bytes.0, size.files), (12, 1));
    assert!(seen.written_at.is_some() && seen.owner.is_some());
    let sealed = registry.seal(&target(&path)).unwrap();
    assert_eq!(sealed.sealed_at, Some(common::NOW));

    let rows = registry.du(&Filter::default(), DuGroup::Kind).unwrap();
    assert!(rows.is_empty(), "{rows:?}");
    let rows = registry.du(&filter, DuGroup::Kind).unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].total.bytes.0, 12);
    let mut iterations = Vec::new();
    let each = |row| {
        iterations.push(row);
        dalsegno::Result::Ok(())
    };
    registry.iterations(&filter, each).unwrap();
    assert_eq!(iterations.len(), 1);
    assert_eq!((iterations[0].iteration, iterations[0].others), (5, 1));
}

#[test]
fn anything_but_a_regular_file_is_no_data() {
    let (folder, registry) = base();
    let all = RefreshOptions::new().all(true);
    let path = write(folder.path(), "r", 5);
    scan(&registry, &[Kind::Checkpoint]);
    let full = folder.path().join(&path);
    for turn in ["symlink", "folder", "nothing"] {
        fs::write(folder.path().join("elsewhere"), "x").unwrap();
        fs::remove_file(&full).unwrap();
        match turn {
            "symlink" => symlink(folder.path().join("elsewhere"), &full).unwrap(),
            "folder" => fs::create_dir(&full).unwrap(),
            _ => {}
        }
        let filter = of_kinds(&[Kind::Checkpoint]);
        registry.refresh(&filter, all, &Silent).unwrap();
        let row = registry.get(&target(&path)).unwrap().unwrap();
        assert_eq!(row.state, State::Missing, "{turn}");
        let _ = fs::remove_dir(&full);
        let _ = fs::remove_file(&full);
        write(folder.path(), "r", 5);
        registry.refresh(&filter, all, &Silent).unwrap();
        let row = registry.get(&target(&path)).unwrap().unwrap();
        assert_eq!(row.state, State::Present, "{turn}");
    }
}
