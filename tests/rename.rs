//! Renaming runs: what goes along, what stays, and what is refused.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use dalsegno::model::clock::{FixedClock, Timestamp};
use dalsegno::model::filter::Filter;
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::TrashKeep;
use dalsegno::model::score::Score;
use dalsegno::{
    Options, PinSelection, RefreshOptions, Registry, RemoveOptions, RenameOptions, RestoreTarget,
    ScanOptions, ScoreQuery, Target, VerifyOptions,
};
use tempfile::TempDir;

const ONE: &str = "a/validation.zarr/1000/crop7/prediction";
const TWO: &str = "a/validation.zarr/1000/crop7/output/threshold_127";

/// Writes an array of long ago.
fn write(base: &Path, path: &str) {
    let folder = base.join(path);
    fs::create_dir_all(&folder).unwrap();
    let metadata = r#"{"zarr_format":3,"node_type":"array"}"#;
    for (name, text) in [("zarr.json", metadata), ("0", "x")] {
        fs::write(folder.join(name), text).unwrap();
        let old = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        File::open(folder.join(name))
            .unwrap()
            .set_modified(old)
            .unwrap();
    }
    let old = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    File::open(&folder).unwrap().set_modified(old).unwrap();
}

fn base(paths: &[&str]) -> (TempDir, Registry) {
    let folder = tempfile::tempdir().unwrap();
    for path in paths {
        write(folder.path(), path);
    }
    let registry = Registry::create(folder.path()).unwrap();
    registry.scan(ScanOptions::default(), &Silent).unwrap();
    (folder, registry)
}

fn rename(registry: &Registry, from: &str, to: &str) -> dalsegno::Result<dalsegno::RenameReport> {
    let options = RenameOptions::default();
    registry.rename_run(&from.parse().unwrap(), &to.parse().unwrap(), &options)
}

/// Rows by path, with their number, seal and pins.
fn rows(registry: &Registry) -> BTreeMap<String, (i64, bool, Vec<String>)> {
    let rows = registry.select(&Filter::default()).unwrap().into_iter();
    rows.map(|row| {
        let path = row.location().path();
        (path, (row.id.0, row.sealed_at.is_some(), row.pins))
    })
    .collect()
}

fn scores(registry: &Registry) -> Vec<String> {
    let mut found = Vec::new();
    registry
        .scores(&ScoreQuery::default(), |score| {
            found.push(format!("{} {} {}", score.run, score.metric, score.value));
            Ok(())
        })
        .unwrap();
    found
}

fn score(run: &str) -> Score {
    Score::new(run.parse().unwrap(), 1000, "voi".parse().unwrap(), 0.5)
}

fn pin(registry: &Registry, name: &str, filter: Filter) {
    registry
        .pin(
            &name.parse().unwrap(),
            Some("x"),
            &PinSelection::Filter(filter),
        )
        .unwrap();
}

fn assert_whole(registry: &Registry) {
    let report = registry
        .verify(
            &Filter::default(),
            VerifyOptions::new().indices(true),
            &Silent,
        )
        .unwrap();
    assert_eq!(report.findings, []);
    assert_eq!(registry.check_history(None).unwrap().broken, None);
}

#[test]
fn rows_scores_pins_seals_and_the_folder_go_along() {
    let (folder, registry) = base(&[ONE, TWO, "ab/validation.zarr/1/d/prediction"]);
    registry.seal(&Target::Path(ONE.into())).unwrap();
    registry.score(&[score("a"), score("ab")]).unwrap();
    pin(&registry, "whole", Filter::default().runs(["a"]));
    let one = Filter::default().runs(["a"]).datasets(["crop7"]);
    pin(&registry, "one", one);
    let before = rows(&registry);
    let plan = registry
        .plan_rename(&"a".parse().unwrap(), &"b c".parse().unwrap())
        .unwrap();
    assert_eq!(rows(&registry), before);
    let report = rename(&registry, "a", "b c").unwrap();
    assert_eq!(report, plan);
    assert_eq!((report.artifacts, report.scores, report.scopes), (2, 1, 1));
    let expected: BTreeMap<_, _> = before
        .into_iter()
        .map(|(path, row)| match path.strip_prefix("a/") {
            Some(rest) => (format!("b c/{rest}"), row),
            None => (path, row),
        })
        .collect();
    assert_eq!(rows(&registry), expected);
    assert_eq!(expected[&ONE.replacen('a', "b c", 1)].2, ["one", "whole"]);
    assert_eq!(scores(&registry), ["ab voi 0.5", "b c voi 0.5"]);
    assert!(!folder.path().join("a").exists());
    assert_whole(&registry);
    // The pins bind what they bound.
    let options = RemoveOptions::default();
    let filter = Filter::default().runs(["b c"]);
    let error = registry
        .remove_many(&filter, &options, &Silent)
        .unwrap_err();
    assert_eq!(error.code(), "pinned");
    assert_eq!(
        rename(&registry, "a", "c").unwrap_err().code(),
        "not-recorded"
    );
    assert_eq!(
        fs::read_dir(folder.path().join(".dalsegno/trash"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn lists_of_the_groups_above_name_it_by_its_new_name() {
    let path = ONE.replacen('a', "lab/a", 1);
    let (folder, registry) = base(&[&path]);
    let read = |path: &str| fs::read_to_string(folder.path().join(path)).unwrap();
    let list = |path: &str| {
        let metadata = r#"{"zarr_format":3,"node_type":"array"}"#;
        let inner = format!(r#"{{"metadata":{{"x":{{}},"{path}":{metadata}}}}}"#);
        format!(r#"{{"zarr_format":3,"node_type":"group","consolidated_metadata":{inner}}}"#)
    };
    let below = |path: &str| path.strip_prefix("lab/").unwrap().to_owned();
    fs::write(folder.path().join("zarr.json"), list(&path)).unwrap();
    fs::write(folder.path().join("lab/zarr.json"), list(&below(&path))).unwrap();
    let report = rename(&registry, "lab/a", "lab/z").unwrap();
    assert_eq!(report.stale_lists, []);
    let new = path.replacen("/a/", "/z/", 1);
    assert_eq!(read("zarr.json"), list(&new));
    assert_eq!(read("lab/zarr.json"), list(&below(&new)));
    // Out of the group: its list names it no more.
    rename(&registry, "lab/z", "b").unwrap();
    assert_eq!(
        read("zarr.json"),
        list(&new.replacen("lab/z", "b", 1))
            .replace(r#""x":{},"#, "")
            .replace(r#""metadata":{"#, r#""metadata":{"x":{},"#)
    );
    assert!(!read("lab/zarr.json").contains("/z/") && !read("lab/zarr.json").contains("\"z/"));
    // One that may not be written is said.
    let linked = folder.path().join("zarr.json");
    fs::rename(&linked, folder.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere", &linked).unwrap();
    let report = rename(&registry, "b", "c").unwrap();
    assert_eq!(report.stale_lists.len(), 1, "{:?}", report.stale_lists);
}

#[test]
fn runs_in_its_folder_go_along_and_folders_above_the_new_one_are_made() {
    let (folder, registry) = base(&[ONE, "a/sub/validation.zarr/1/d/prediction"]);
    registry.score(&[score("a/sub")]).unwrap();
    rename(&registry, "a", "x/y").unwrap();
    let paths: Vec<String> = rows(&registry).into_keys().collect();
    assert_eq!(
        paths,
        [
            "x/y/sub/validation.zarr/1/d/prediction".to_owned(),
            ONE.replacen('a', "x/y", 1)
        ]
    );
    assert_eq!(scores(&registry), ["x/y/sub voi 0.5"]);
    assert!(folder.path().join("x/y/sub").is_dir());
    assert_whole(&registry);
    rename(&registry, "x/y/sub", "sub").unwrap();
    assert_whole(&registry);
}

#[test]
fn a_name_that_is_taken_is_refused_and_nothing_changes() {
    let paths = [
        ONE,
        "recorded/validation.zarr/1/d/prediction",
        "c/validation.zarr/1/d/prediction",
    ];
    let (folder, registry) = base(&paths);
    let base = folder.path();
    fs::remove_dir_all(base.join("recorded")).unwrap();
    fs::create_dir(base.join("folder")).unwrap();
    fs::write(base.join("file"), "").unwrap();
    std::os::unix::fs::symlink("nowhere", base.join("link")).unwrap();
    registry.score(&[score("scored")]).unwrap();
    let kept = RemoveOptions::default().keep(TrashKeep::UntilEmptied);
    let removed = "removed/validation.zarr/1/d/prediction";
    write(base, removed);
    registry.scan(ScanOptions::default(), &Silent).unwrap();
    registry
        .remove_target(&Target::Path(removed.into()), &kept, &Silent)
        .unwrap();
    let before = rows(&registry);
    for to in [
        "recorded",
        "folder",
        "file",
        "link",
        "scored",
        "removed",
        "a",
        "a/b",
        "c/validation.zarr/d",
    ] {
        let error = rename(&registry, "a", to).unwrap_err();
        assert_eq!(error.code(), "run-taken", "{to}");
        assert_eq!(rows(&registry), before);
    }
    assert!(base.join(ONE).is_dir());
}

#[test]
fn a_run_that_was_written_to_a_moment_ago_is_refused_unless_it_is_allowed() {
    let (folder, registry) = base(&[ONE]);
    fs::write(
        folder
            .path()
            .join(TWO)
            .parent()
            .unwrap()
            .with_file_name("x"),
        "",
    )
    .unwrap();
    let key = dalsegno::model::layout::parse(TWO).unwrap();
    registry.record(&key).unwrap();
    let error = rename(&registry, "a", "b").unwrap_err();
    assert_eq!(error.code(), "run-active");
    assert!(folder.path().join(ONE).is_dir());
    let options = RenameOptions::default()
        .active(true)
        .reason("wrong name".to_owned());
    let report = registry
        .rename_run(&"a".parse().unwrap(), &"b".parse().unwrap(), &options)
        .unwrap();
    assert!(report.active_at.is_some());
}

#[test]
fn what_is_in_the_trash_keeps_the_old_name() {
    let (folder, registry) = base(&[ONE, TWO]);
    let kept = RemoveOptions::default().keep(TrashKeep::UntilEmptied);
    let removed = registry
        .remove_target(&Target::Path(TWO.into()), &kept, &Silent)
        .unwrap();
    assert_eq!(rename(&registry, "a", "b").unwrap().in_trash, 1);
    let target = RestoreTarget::Removal(removed.removal.unwrap());
    registry.restore(&target).unwrap();
    assert!(folder.path().join(TWO).is_dir());
    assert_whole(&registry);
}

#[test]
fn what_is_no_folder_of_its_own_is_refused() {
    let (folder, registry) = base(&[
        ONE,
        "c/validation.zarr/1/d/prediction",
        "d/validation.zarr/1/d/prediction",
    ]);
    let base = folder.path();
    fs::rename(base.join("a"), base.join("aside")).unwrap();
    assert_eq!(
        rename(&registry, "a", "b").unwrap_err().code(),
        "run-folder-gone"
    );
    std::os::unix::fs::symlink("aside", base.join("a")).unwrap();
    assert_eq!(rename(&registry, "a", "b").unwrap_err().code(), "symlink");
    Registry::create(base.join("c")).unwrap();
    assert_eq!(
        rename(&registry, "c", "b").unwrap_err().code(),
        "inner-registry"
    );
    fs::create_dir_all(base.join("d/checkpoints/crop7")).unwrap();
    std::os::unix::fs::symlink(
        base.join("d/checkpoints/iterations/1000"),
        base.join("d/checkpoints/crop7/voi"),
    )
    .unwrap();
    fs::create_dir_all(base.join("stats/validation_scores")).unwrap();
    fs::write(base.join("stats/validation_scores/d"), "").unwrap();
    let report = rename(&registry, "d", "e").unwrap();
    assert_eq!(report.links, 1);
    assert_eq!(report.left, [Path::new("stats/validation_scores/d")]);
}

#[test]
fn a_note_of_a_rename_that_makes_no_sense_does_nothing() {
    let (folder, registry) = base(&[ONE, "c/validation.zarr/1/d/prediction"]);
    drop(registry);
    use std::os::unix::fs::MetadataExt;
    let base = folder.path();
    let inode = fs::metadata(base.join("c")).unwrap().ino();
    let note = |id: &str, from: &str, to: &str| {
        format!(
            r#"{{"rename":"{id}","from":"{from}","to":"{to}","operation":99,"device":1,"inode":{inode}}}"#
        )
    };
    let id = "20260101-000000-abcdef";
    let other = "20260101-000000-abcdee";
    for (text, is_problem) in [
        (String::new(), false),
        ("{".to_owned(), false),
        (note(other, "x", "c"), false),
        (note(id, "../x", "c"), true),
        (note(id, "x", "/etc"), true),
        // The run has rows, and the one that it would get its name back has none.
        (note(id, "x", "c"), false),
        (note(id, "a", "c"), false),
    ] {
        let trash = base.join(".dalsegno/trash").join(id);
        fs::create_dir_all(&trash).unwrap();
        fs::write(trash.join("renaming.json"), &text).unwrap();
        let registry = Registry::open(base).unwrap();
        assert_eq!(
            !registry.recovery().problems.is_empty(),
            is_problem,
            "{text}"
        );
        assert!(!trash.exists(), "{text}");
        assert!(
            base.join("c/validation.zarr").is_dir() && !base.join("x").exists(),
            "{text}"
        );
    }
}

/// Verifies and repairs; gives the classes of what is left.
fn repair(registry: &Registry) -> Vec<String> {
    let found = registry
        .verify(&Filter::default(), VerifyOptions::new(), &Silent)
        .unwrap();
    let report = registry.repair(&found.findings, &Silent).unwrap();
    report
        .left
        .iter()
        .map(|left| left.class.to_string())
        .collect()
}

#[test]
fn pins_scores_and_seals_follow_a_run_that_was_renamed_by_hand() {
    let (folder, registry) = base(&[ONE, TWO, "other/validation.zarr/1/d/prediction"]);
    let container = dalsegno::model::layout::parse("a/validation.zarr").unwrap();
    registry.record(&container).unwrap();
    let checkpoint = "a/checkpoints/iterations/1000";
    fs::create_dir_all(folder.path().join("a/checkpoints/iterations")).unwrap();
    fs::write(folder.path().join(checkpoint), "x").unwrap();
    let options = ScanOptions::default().kinds([dalsegno::model::key::Kind::Checkpoint]);
    registry.scan(options, &Silent).unwrap();
    registry.seal(&Target::Path(ONE.into())).unwrap();
    registry.score(&[score("a"), score("other")]).unwrap();
    pin(&registry, "whole", Filter::default().runs(["a"]));
    pin(
        &registry,
        "one",
        Filter::default().runs(["a"]).datasets(["crop7"]),
    );
    // The list of a group above is not in the folder.
    let list = |path: &str| {
        let metadata = r#"{"zarr_format":3,"node_type":"array"}"#;
        let inner = format!(r#"{{"metadata":{{"{path}":{metadata}}}}}"#);
        format!(r#"{{"zarr_format":3,"node_type":"group","consolidated_metadata":{inner}}}"#)
    };
    let listing = folder.path().join("zarr.json");
    fs::write(&listing, list(ONE)).unwrap();
    let before = rows(&registry);
    fs::rename(folder.path().join("a"), folder.path().join("b")).unwrap();
    assert_eq!(repair(&registry), [""; 0]);
    let listed = fs::read_to_string(&listing).unwrap();
    assert!(listed.contains(&ONE.replacen('a', "b", 1)), "{listed}");
    assert!(!listed.contains(&format!("\"{ONE}")), "{listed}");
    let expected: BTreeMap<_, _> = before
        .into_iter()
        .map(|(path, row)| match path.strip_prefix("a/") {
            Some(rest) => (format!("b/{rest}"), row),
            None => (path, row),
        })
        .collect();
    assert_eq!(rows(&registry), expected);
    assert_eq!(scores(&registry), ["b voi 0.5", "other voi 0.5"]);
    assert_whole(&registry);
    let filter = Filter::default().runs(["b"]);
    let error = registry.remove_many(&filter, &RemoveOptions::default(), &Silent);
    assert_eq!(error.unwrap_err().code(), "pinned");
    // Back again, by the command.
    rename(&registry, "b", "a").unwrap_err();
    let options = RenameOptions::default().active(true);
    registry
        .rename_run(&"b".parse().unwrap(), &"a".parse().unwrap(), &options)
        .unwrap();
    assert_whole(&registry);
}

#[test]
fn pins_follow_a_container_that_was_moved_to_another_run() {
    let (folder, registry) = base(&[ONE, "other/x.zarr/y"]);
    pin(
        &registry,
        "one",
        Filter::default().runs(["a"]).datasets(["crop7"]),
    );
    let id = rows(&registry)[ONE].0;
    fs::rename(
        folder.path().join("a/validation.zarr"),
        folder.path().join("other/validation.zarr"),
    )
    .unwrap();
    assert_eq!(repair(&registry), [""; 0]);
    let new = ONE.replacen('a', "other", 1);
    assert_eq!(rows(&registry)[&new], (id, false, vec!["one".to_owned()]));
    assert_eq!(rows(&registry).len(), 2);
    assert_whole(&registry);
}

#[test]
fn what_may_have_come_from_two_runs_follows_neither() {
    let paths = [
        "a/validation.zarr/1/d/prediction",
        "b/validation.zarr/1/d/prediction",
    ];
    let (folder, registry) = base(&paths);
    pin(&registry, "p", Filter::default().runs(["a"]));
    fs::rename(folder.path().join("a"), folder.path().join("c")).unwrap();
    fs::rename(folder.path().join("b"), folder.path().join("d")).unwrap();
    assert_eq!(
        repair(&registry),
        ["moved", "moved", "data-without-row", "data-without-row"]
    );
    let rows = rows(&registry);
    assert_eq!(rows.len(), 2, "what may be pinned is not taken in as new");
    assert_eq!(rows["a/validation.zarr/1/d/prediction"].2, ["p"]);
}

/// Writes an array of a run with times of its own.
fn write_at(base: &Path, path: &str, seconds: u64) {
    write(base, path);
    let old = UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds);
    let metadata = File::open(base.join(path).join("zarr.json")).unwrap();
    metadata.set_modified(old).unwrap();
}

/// Runs `a`, `b` and `c` with two iterations each; an array of each is pinned by its name, and each
/// is scored with a number of its own.
fn three_runs() -> (TempDir, Registry) {
    let folder = tempfile::tempdir().unwrap();
    for (index, run) in (1..).zip(["a", "b", "c"]) {
        for iteration in [1, 2] {
            let path = format!("{run}/validation.zarr/{iteration}/v/prediction");
            write_at(folder.path(), &path, index * 100 + iteration);
        }
    }
    let registry = Registry::create(folder.path()).unwrap();
    registry.scan(ScanOptions::default(), &Silent).unwrap();
    for (value, run) in [(0.1, "a"), (0.2, "b"), (0.3, "c")] {
        let one = format!("{run}/validation.zarr/1/v/prediction");
        registry.seal(&Target::Path((&one).into())).unwrap();
        let filter = Filter::default().runs([run]).datasets(["v"]);
        let filter = filter.iterations(["1".parse().unwrap()]);
        pin(&registry, run, filter);
        pin(
            &registry,
            &format!("run-{run}"),
            Filter::default().runs([run]),
        );
        let score = Score::new(run.parse().unwrap(), 1, "voi".parse().unwrap(), value);
        registry.score(&[score]).unwrap();
    }
    (folder, registry)
}

/// What is bound to the data of each run, by the run's name and the time of the data.
fn bound(base: &Path, registry: &Registry) -> BTreeMap<String, String> {
    let rows = registry.select(&Filter::default()).unwrap();
    let scores = scores(registry);
    rows.iter()
        .filter_map(|row| {
            // A scan between made a row under a name that the run has left again.
            let metadata = fs::metadata(row.path().join("zarr.json")).ok()?;
            let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
            let run = row.key.run().as_str();
            let scored: Vec<&String> = scores
                .iter()
                .filter(|score| score.starts_with(&format!("{run} ")))
                .collect();
            let values: Vec<&str> = scored
                .iter()
                .map(|score| score.rsplit(' ').next().unwrap())
                .collect();
            let sealed = row.sealed_at.is_some();
            assert!(row.path().starts_with(base));
            Some((
                inode.to_string(),
                format!("{} {sealed} {:?} {values:?}", row.id, row.pins),
            ))
        })
        .collect()
}

fn mv(base: &Path, from: &str, to: &str) {
    fs::rename(base.join(from), base.join(to)).unwrap();
}

#[test]
fn pins_scores_and_seals_follow_a_run_to_a_name_that_had_rows() {
    let (folder, registry) = three_runs();
    let before = bound(folder.path(), &registry);
    mv(folder.path(), "b", "old");
    mv(folder.path(), "a", "b");
    assert_eq!(repair(&registry), [""; 0]);
    assert_eq!(bound(folder.path(), &registry), before);
    assert_eq!(scores(&registry), ["b voi 0.1", "c voi 0.3", "old voi 0.2"]);
    assert_whole(&registry);
}

#[test]
fn pins_scores_and_seals_follow_runs_that_swapped_their_names() {
    let (folder, registry) = three_runs();
    let before = bound(folder.path(), &registry);
    mv(folder.path(), "b", "old");
    mv(folder.path(), "a", "b");
    mv(folder.path(), "old", "a");
    assert_eq!(repair(&registry), [""; 0]);
    assert_eq!(bound(folder.path(), &registry), before);
    assert_eq!(scores(&registry), ["a voi 0.2", "b voi 0.1", "c voi 0.3"]);
    assert_whole(&registry);
}

#[test]
fn lists_name_the_data_that_runs_have_after_they_swapped_their_names() {
    let (folder, registry) = three_runs();
    let entry = |run: &str| format!(r#"{{"zarr_format":3,"node_type":"array","of":"{run}"}}"#);
    let path = |run: &str| format!("{run}/validation.zarr/1/v/prediction");
    let list = |of: [(&str, &str); 2]| {
        let entries = of.map(|(run, of)| format!(r#""{}":{}"#, path(run), entry(of)));
        let inner = format!(r#"{{"metadata":{{{}}}}}"#, entries.join(","));
        format!(r#"{{"zarr_format":3,"node_type":"group","consolidated_metadata":{inner}}}"#)
    };
    for run in ["a", "b"] {
        let metadata = folder.path().join(path(run)).join("zarr.json");
        let time = fs::metadata(&metadata).unwrap().modified().unwrap();
        fs::write(&metadata, entry(run)).unwrap();
        let written = File::options().write(true).open(&metadata).unwrap();
        written.set_modified(time).unwrap();
        fs::remove_dir_all(folder.path().join(path(run).replace("/1/", "/2/"))).unwrap();
    }
    let listing = folder.path().join("zarr.json");
    fs::write(&listing, list([("a", "a"), ("b", "b")])).unwrap();
    assert_eq!(repair(&registry), [""; 0]);
    mv(folder.path(), "b", "old");
    mv(folder.path(), "a", "b");
    mv(folder.path(), "old", "a");
    assert_eq!(repair(&registry), [""; 0]);
    let listed = || fs::read_to_string(&listing).unwrap().replace(' ', "");
    assert_eq!(listed(), list([("a", "b"), ("b", "a")]));
    // A chain ends at a name that the list has not had.
    mv(folder.path(), "b", "z");
    mv(folder.path(), "a", "b");
    assert_eq!(repair(&registry), [""; 0]);
    assert_eq!(listed(), list([("b", "b"), ("z", "a")]));
}

/// The findings of a verification, each with its class, path and what follows it.
fn found(registry: &Registry) -> Vec<String> {
    let report = registry.verify(&Filter::default(), VerifyOptions::new(), &Silent);
    let findings = report.unwrap().findings.into_iter();
    findings
        .map(|found| {
            let follows = found.follows.map(|follows| {
                let parts = follows.findings.len();
                let (to, arrays) = (follows.to, follows.arrays);
                let bound = (follows.pins, follows.scores);
                format!(" {to} {arrays} {bound:?} {parts}")
            });
            format!(
                "{} {}{}",
                found.class,
                found.path,
                follows.unwrap_or_default()
            )
        })
        .collect()
}

#[test]
fn a_rename_by_hand_is_one_finding_with_what_follows_it() {
    let (folder, registry) = three_runs();
    mv(folder.path(), "b", "old");
    assert_eq!(found(&registry), ["moved b old 2 (2, 1) 4"]);
    // A chain: other data is at the old paths.
    mv(folder.path(), "a", "b");
    let chain = ["moved a b 2 (2, 1) 2", "moved b old 2 (2, 1) 4"];
    assert_eq!(found(&registry), chain);
    mv(folder.path(), "old", "a");
    let swap = ["moved a b 2 (2, 1) 2", "moved b a 2 (2, 1) 2"];
    assert_eq!(found(&registry), swap);
    assert_eq!(repair(&registry), [""; 0]);
    assert_eq!(found(&registry), [""; 0]);
    // What is new beside it is a finding of its own.
    mv(folder.path(), "a", "d");
    write(folder.path(), "d/validation.zarr/3/v/prediction");
    let beside = [
        "moved a d 2 (2, 1) 4",
        "data-without-row d/validation.zarr/3/v/prediction",
    ];
    assert_eq!(found(&registry), beside);
    let report = registry
        .verify(&Filter::default(), VerifyOptions::new(), &Silent)
        .unwrap();
    let moved = report.findings.first().unwrap();
    let detail = "it is now d: 2 arrays, 2 pins and 1 score follow";
    assert_eq!(moved.detail, detail);
    // The finding alone says all that a repair needs.
    let alone = std::slice::from_ref(moved);
    let repaired = registry.repair(alone, &Silent).unwrap();
    assert_eq!(repaired.repaired, alone);
    assert_eq!(scores(&registry), ["b voi 0.1", "c voi 0.3", "d voi 0.2"]);
}

#[test]
fn a_rename_of_a_thousand_arrays_is_one_finding() {
    let paths: Vec<String> = (0..1000)
        .map(|iteration| format!("a/validation.zarr/{iteration}/v/prediction"))
        .collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let (folder, registry) = base(&paths);
    mv(folder.path(), "a", "b");
    assert_eq!(found(&registry), ["moved a b 1000 (0, 0) 2000"]);
    assert_eq!(repair(&registry), [""; 0]);
    assert_eq!(found(&registry), [""; 0]);
}

#[test]
fn a_question_between_a_rename_and_its_repair_costs_no_pin() {
    let (folder, registry) = three_runs();
    let before = bound(folder.path(), &registry);
    mv(folder.path(), "a", "d");
    let options = dalsegno::RefreshOptions::new().all(true);
    let filter = Filter::default().runs(["a"]);
    registry.refresh(&filter, options, &Silent).unwrap();
    let gone = registry.select(&filter).unwrap();
    assert!(
        gone.iter()
            .all(|row| row.state == dalsegno::model::artifact::State::Missing)
    );
    assert_eq!(repair(&registry), [""; 0]);
    assert_eq!(bound(folder.path(), &registry), before);
    assert_whole(&registry);
}

fn scan(registry: &Registry) {
    registry.scan(ScanOptions::default(), &Silent).unwrap();
}

#[test]
fn pins_scores_and_seals_follow_runs_that_a_scan_saw_on_their_way() {
    let (folder, registry) = three_runs();
    let (base, before) = (folder.path(), bound(folder.path(), &registry));
    mv(base, "a", "tmp");
    mv(base, "b", "a");
    scan(&registry);
    mv(base, "tmp", "b");
    let found = found(&registry);
    assert!(found[0].starts_with("moved a b 2 (2, 1)"), "{found:?}");
    assert!(found[1].starts_with("moved b a 2 (2, 1)"), "{found:?}");
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(repair(&registry), [""; 0]);
    assert_eq!(bound(base, &registry), before);
    assert_eq!(rows(&registry).len(), 6, "no row of tmp is left");
    // Seen at each step, and the names on the way are taken again.
    mv(base, "a", "x");
    scan(&registry);
    mv(base, "x", "y");
    scan(&registry);
    mv(base, "y", "z");
    mv(base, "b", "x");
    scan(&registry);
    mv(base, "c", "y");
    assert_eq!(repair(&registry), [""; 0]);
    assert_eq!(bound(base, &registry), before);
    assert_eq!(rows(&registry).len(), 6);
    assert_eq!(scores(&registry), ["x voi 0.1", "y voi 0.3", "z voi 0.2"]);
    assert_whole(&registry);
}

/// Tries to remove every row, one by one and by rules, and checks that no array of runs that were
/// pinned goes.
fn assert_nothing_goes(base: &Path, registry: &Registry) {
    let arrays = || {
        let runs = fs::read_dir(base).unwrap().map(|run| run.unwrap().path());
        let iterations =
            runs.flat_map(|run| [1, 2].map(|n| run.join(format!("validation.zarr/{n}"))));
        iterations
            .filter(|iteration| iteration.join("v/prediction/zarr.json").exists())
            .count()
    };
    let before = arrays();
    for row in registry.select(&Filter::default()).unwrap() {
        let target = Target::Path(row.location().path().into());
        if row.path().exists() {
            let removed = registry.remove_target(&target, &RemoveOptions::default(), &Silent);
            assert!(removed.is_err(), "{}", row.location().path());
        }
    }
    let options = RemoveOptions::default().keep_going(true);
    let _ = registry.remove_many(&Filter::default(), &options, &Silent);
    assert_eq!(arrays(), before);
}

#[test]
fn what_a_pin_binds_under_an_old_name_is_not_removed_under_the_new_one() {
    let (folder, registry) = three_runs();
    mv(folder.path(), "a", "d");
    scan(&registry);
    let new = Filter::default().runs(["d"]);
    let plan = registry
        .plan_removal(registry.to_remove_selected(&new).unwrap())
        .unwrap();
    let bound = registry
        .protected(&plan, &RemoveOptions::default())
        .unwrap();
    assert_eq!(bound.len(), 2);
    assert!(bound.iter().all(|one| one.code == "pinned-elsewhere"));
    let error = registry.remove_many(&new, &RemoveOptions::default(), &Silent);
    let error = error.unwrap_err();
    assert_eq!(error.code(), "pinned-elsewhere");
    let text = error.to_string();
    let owner = "the data of a/validation.zarr/1/v/prediction, which is pinned: a, run-a";
    assert!(text.contains(owner), "{text}");
    assert_nothing_goes(folder.path(), &registry);
    // Other data at the path of the row.
    mv(folder.path(), "b", "old");
    mv(folder.path(), "c", "b");
    assert_nothing_goes(folder.path(), &registry);
    assert_eq!(repair(&registry), [""; 0]);
    let forced = RemoveOptions::default().force_pinned(true);
    registry.remove_many(&new, &forced, &Silent).unwrap();
    assert!(!folder.path().join("d/validation.zarr/1").exists());
}

#[test]
fn what_was_pinned_until_its_old_name_was_written_again_stays() {
    for scans_between in [false, true] {
        let (folder, registry) = three_runs();
        mv(folder.path(), "a", "d");
        if scans_between {
            scan(&registry);
        }
        for iteration in [1, 2] {
            let path = format!("a/validation.zarr/{iteration}/v/prediction");
            write_at(folder.path(), &path, 900 + iteration);
        }
        scan(&registry);
        assert_nothing_goes(folder.path(), &registry);
        let new = Filter::default().runs(["d"]);
        let error = registry.remove_many(&new, &RemoveOptions::default(), &Silent);
        assert_eq!(error.unwrap_err().code(), "pinned-elsewhere");
        // Pins that are younger than the data of today bind only that.
        for name in ["a", "run-a"] {
            registry.unpin(&name.parse().unwrap(), None).unwrap();
        }
        pin(&registry, "now", Filter::default().runs(["a"]));
        registry
            .remove_many(&new, &RemoveOptions::default(), &Silent)
            .unwrap();
        assert!(!folder.path().join("d/validation.zarr/1").exists());
        assert!(folder.path().join("a/validation.zarr/1").exists());
    }
}

/// Moves folders by hand, from and to.
type Moves = &'static [(&'static str, &'static str)];

#[test]
fn pinned_data_stays_when_folders_were_exchanged_and_looked_at() {
    const ROTATED: Moves = &[
        ("r/a.zarr/1", "t"),
        ("r/a.zarr/2", "r/a.zarr/1"),
        ("r/a.zarr/3", "r/a.zarr/2"),
        ("t", "r/a.zarr/3"),
    ];
    let exchanged: [(Moves, &str); 5] = [
        (
            &[
                ("r/a.zarr/1", "t"),
                ("r/a.zarr/2", "r/a.zarr/1"),
                ("t", "r/a.zarr/2"),
            ],
            "r/a.zarr/2/v/prediction",
        ),
        (
            &[
                ("r/a.zarr/1/v/prediction", "t"),
                ("r/a.zarr/2/v/prediction", "r/a.zarr/1/v/prediction"),
                ("t", "r/a.zarr/2/v/prediction"),
            ],
            "r/a.zarr/2/v/prediction",
        ),
        (
            &[
                ("r/a.zarr", "t"),
                ("r/b.zarr", "r/a.zarr"),
                ("t", "r/b.zarr"),
            ],
            "r/b.zarr/1/v/prediction",
        ),
        (
            &[
                ("r/a.zarr/1", "t"),
                ("r/b.zarr/1", "r/a.zarr/1"),
                ("t", "r/b.zarr/1"),
            ],
            "r/b.zarr/1/v/prediction",
        ),
        (ROTATED, "r/a.zarr/3/v/prediction"),
    ];
    for (moves, now_at) in exchanged {
        let folder = tempfile::tempdir().unwrap();
        let mut seconds = 100;
        for container in ["a.zarr", "b.zarr"] {
            for iteration in 1..=3 {
                seconds += 1;
                let path = format!("r/{container}/{iteration}/v/prediction");
                write_at(folder.path(), &path, seconds);
            }
        }
        let registry = Registry::create(folder.path()).unwrap();
        scan(&registry);
        let name = "p".parse().unwrap();
        let mut first = registry.select(&Filter::default()).unwrap();
        first.retain(|row| row.location().path() == "r/a.zarr/1/v/prediction");
        registry
            .pin(&name, Some("figure"), &PinSelection::Artifacts(first))
            .unwrap();
        for (from, to) in moves {
            mv(folder.path(), from, to);
        }
        scan(&registry);
        let target = Target::Path(now_at.into());
        let removed = registry.remove_target(&target, &RemoveOptions::default(), &Silent);
        assert_eq!(removed.unwrap_err().code(), "pinned-elsewhere", "{moves:?}");
        // All that is not pinned may go, and nothing else.
        let options = RemoveOptions::default().keep_going(true);
        registry
            .remove_many(&Filter::default(), &options, &Silent)
            .unwrap();
        let arrays = registry.select(&Filter::default()).unwrap();
        let left: Vec<String> = arrays.iter().map(|row| row.location().path()).collect();
        assert_eq!(left, ["r/a.zarr/1/v/prediction", now_at], "{moves:?}");
    }
}

#[test]
fn in_a_tree_of_one_time_data_that_was_written_over_binds_no_other_run() {
    let folder = tempfile::tempdir().unwrap();
    for run in ["a", "b"] {
        write_at(
            folder.path(),
            &format!("{run}/validation.zarr/1/v/prediction"),
            100,
        );
    }
    let registry = Registry::create(folder.path()).unwrap();
    scan(&registry);
    pin(&registry, "a", Filter::default().runs(["a"]));
    write_at(folder.path(), "a/validation.zarr/1/v/prediction", 900);
    scan(&registry);
    let other = Filter::default().runs(["b"]);
    registry
        .remove_many(&other, &RemoveOptions::default(), &Silent)
        .unwrap();
    assert!(!folder.path().join("b/validation.zarr/1").exists());
}

#[test]
fn what_is_pinned_under_two_names_follows_neither_and_stays() {
    let (folder, registry) = three_runs();
    // Bound before there was anything else: since then no pin would be taken.
    let key = dalsegno::model::layout::parse("tmp/validation.zarr/7/v/prediction").unwrap();
    registry.record(&key).unwrap();
    pin(&registry, "on-the-way", Filter::default().runs(["tmp"]));
    mv(folder.path(), "a", "tmp");
    scan(&registry);
    mv(folder.path(), "tmp", "d");
    for is_scanned in [false, true] {
        if is_scanned {
            scan(&registry);
        }
        let found = found(&registry);
        assert!(found.contains(&"moved a".to_owned()), "{found:?}");
        assert!(found.contains(&"moved tmp".to_owned()), "{found:?}");
        assert!(repair(&registry).contains(&"moved".to_owned()));
        assert_nothing_goes(folder.path(), &registry);
    }
    // Back by hand, as the finding says.
    mv(folder.path(), "d", "a");
    repair(&registry);
    assert_nothing_goes(folder.path(), &registry);
}

#[test]
fn a_name_whose_own_data_is_gone_is_left_to_a_person() {
    let (folder, registry) = three_runs();
    let rows_before = rows(&registry);
    fs::remove_dir_all(folder.path().join("b")).unwrap();
    mv(folder.path(), "a", "b");
    let scan = registry.scan(ScanOptions::default(), &Silent).unwrap();
    assert!(!scan.notices.is_empty());
    let left = repair(&registry);
    assert!(left.contains(&"moved".to_owned()), "{left:?}");
    assert_eq!(rows(&registry), rows_before, "no row has changed");
    // Back by hand, as the finding says.
    mv(folder.path(), "b", "a");
    repair(&registry);
    let rows = rows(&registry);
    assert_eq!(
        rows["a/validation.zarr/1/v/prediction"],
        rows_before["a/validation.zarr/1/v/prediction"]
    );
}

/// Runs `a` and `b` with three iterations each; one of `b` is pinned, and it is scored.
fn two_runs() -> (TempDir, Registry) {
    let folder = tempfile::tempdir().unwrap();
    for (index, run) in (1..).zip(["a", "b"]) {
        for iteration in [1, 2, 3] {
            let path = format!("{run}/validation.zarr/{iteration}/v/prediction");
            write_at(folder.path(), &path, index * 100 + iteration);
        }
    }
    let registry = Registry::create(folder.path()).unwrap();
    scan(&registry);
    let filter = Filter::default().runs(["b"]);
    pin(&registry, "p", filter.iterations(["2".parse().unwrap()]));
    registry.score(&[score("b")]).unwrap();
    (folder, registry)
}

#[test]
fn a_run_follows_though_an_array_was_written_again_or_is_gone() {
    // To a free name, and to that of another run, which has another now.
    for names in [&[("b", "c")][..], &[("a", "old"), ("b", "a")]] {
        for is_scanned in [false, true] {
            for is_gone in [false, true] {
                let (folder, registry) = two_runs();
                let (base, mut before) = (folder.path(), rows(&registry));
                names.iter().for_each(|(old, new)| mv(base, old, new));
                let new = names.last().unwrap().1;
                let first = format!("{new}/validation.zarr/1/v/prediction");
                match is_gone {
                    true => fs::remove_dir_all(base.join(&first)).unwrap(),
                    false => write_at(base, &first, 900),
                }
                if is_scanned {
                    scan(&registry);
                }
                assert!(
                    found(&registry)
                        .iter()
                        .any(|line| line.starts_with("moved b "))
                );
                assert_eq!(repair(&registry), [""; 0]);
                assert_eq!(found(&registry), [""; 0]);
                let rows = rows(&registry);
                assert_eq!(rows.len(), 6);
                for iteration in [1, 2, 3] {
                    let at = |run: &str| format!("{run}/validation.zarr/{iteration}/v/prediction");
                    assert_eq!(rows[&at(new)], before.remove(&at("b")).unwrap());
                }
                assert!(scores(&registry)[0].starts_with(&format!("{new} ")));
            }
        }
    }
}

#[test]
fn a_run_of_which_less_is_elsewhere_is_named_with_its_count() {
    let (folder, registry) = two_runs();
    mv(folder.path(), "b", "c");
    for iteration in [1, 3] {
        let path = format!("c/validation.zarr/{iteration}/v/prediction");
        write_at(folder.path(), &path, 900);
    }
    let report = registry.verify(&Filter::default(), VerifyOptions::new(), &Silent);
    let findings = report.unwrap().findings;
    let first = findings.first().unwrap();
    assert_eq!((first.class.as_str(), first.path.as_str()), ("moved", "b"));
    let count = "1 of 3 arrays of b is, by time, in c";
    assert!(first.detail.starts_with(count), "{}", first.detail);
    assert!(
        findings
            .iter()
            .all(|found| found.class.as_str() != "copied")
    );
    scan(&registry);
    assert!(found(&registry).contains(&"moved b".to_owned()));
}

/// Makes a registry whose rows say that data was seen an hour from now, so later than any folder
/// here was made.
fn an_hour_later(base: &Path) -> Registry {
    let now = std::time::SystemTime::now().duration_since(UNIX_EPOCH);
    let now = i64::try_from(now.unwrap().as_millis()).unwrap();
    let clock = FixedClock(Timestamp(now).plus(Duration::from_secs(3600)));
    Options::new().clock(clock).create(base).unwrap().0
}

/// In an unpacked archive all files may have one time. A run of it that is deleted is not the one
/// beside it, which was there before the row of the deleted one was made.
#[test]
fn a_deleted_run_of_an_archive_with_one_time_is_no_other_run_of_it() {
    let folder = tempfile::tempdir().unwrap();
    for run in ["a", "b"] {
        for iteration in [1, 2] {
            let path = format!("{run}/validation.zarr/{iteration}/v/prediction");
            write_at(folder.path(), &path, 1);
        }
    }
    let registry = an_hour_later(folder.path());
    scan(&registry);
    pin(&registry, "p", Filter::default().runs(["a"]));
    let before = rows(&registry);
    fs::remove_dir_all(folder.path().join("a")).unwrap();
    let gone = [
        "row-without-data a/validation.zarr/1/v/prediction",
        "row-without-data a/validation.zarr/2/v/prediction",
    ];
    assert_eq!(found(&registry), gone);
    // The row of a deleted run is no reason to refuse a word about another.
    let other = Target::Path("b/validation.zarr/1/v/prediction".into());
    registry.seal(&other).unwrap();
    repair(&registry);
    let after = rows(&registry);
    for (path, (id, _, pins)) in before {
        assert_eq!((after[&path].0, &after[&path].2), (id, &pins), "{path}");
    }
}

/// What is unpacked again has the one time of its archive again, as has a run that was deleted: that
/// is no sign of a rename. A folder that got its name since, with the same files, is one.
#[test]
fn the_one_time_of_an_archive_is_no_sign_of_a_rename_by_itself() {
    let array =
        |run: &str, iteration: u32| format!("{run}/validation.zarr/{iteration}/v/prediction");
    let all = ["a", "b", "c"].map(|run| [1000, 2000].map(|iteration| array(run, iteration)));
    let all: Vec<&str> = all.iter().flatten().map(String::as_str).collect();
    let (folder, registry) = base(&all);
    let refresh = || {
        let options = RefreshOptions::new().all(true);
        let report = registry.refresh(&Filter::default(), options, &Silent);
        report.unwrap().notices
    };
    for iteration in [1000, 2000] {
        let metadata = folder.path().join(array("b", iteration)).join("zarr.json");
        File::open(&metadata)
            .unwrap()
            .set_modified(UNIX_EPOCH)
            .unwrap();
    }
    assert_eq!(refresh(), []);
    let again = array("b", 1000);
    fs::remove_dir_all(folder.path().join(&again)).unwrap();
    fs::remove_dir_all(folder.path().join(array("c", 1000))).unwrap();
    write(folder.path(), &again);
    assert_eq!(refresh(), []);
    registry.seal(&Target::Path(again.into())).unwrap();
    fs::remove_dir_all(folder.path().join("b")).unwrap();
    fs::rename(folder.path().join("c"), folder.path().join("b")).unwrap();
    let findings = refresh();
    let [moved] = findings.as_slice() else {
        panic!("{findings:?}");
    };
    assert_eq!(moved.class.as_str(), "moved");
    assert_eq!(moved.path, array("b", 2000));
    assert!(moved.detail.contains(&array("c", 2000)), "{}", moved.detail);
}

#[test]
fn a_pin_of_the_new_name_is_named_with_what_frees_the_rows() {
    let (folder, registry) = three_runs();
    // Bound before there was anything else: since then no pin would be taken.
    let key = dalsegno::model::layout::parse("d/validation.zarr/7/v/prediction").unwrap();
    registry.record(&key).unwrap();
    pin(&registry, "new-name", Filter::default().runs(["d"]));
    let before = bound(folder.path(), &registry);
    mv(folder.path(), "a", "d");
    scan(&registry);
    let report = registry.verify(&Filter::default(), VerifyOptions::new(), &Silent);
    let findings = report.unwrap().findings;
    let first = findings.first().unwrap();
    assert_eq!((first.class.as_str(), first.path.as_str()), ("moved", "a"));
    let command = "dalsegno unpin new-name";
    assert!(first.detail.contains(command), "{}", first.detail);
    assert!(repair(&registry).contains(&"moved".to_owned()));
    assert_nothing_goes(folder.path(), &registry);
    registry.unpin(&"new-name".parse().unwrap(), None).unwrap();
    assert_eq!(repair(&registry), [""; 0]);
    assert_eq!(bound(folder.path(), &registry), before);
}

/// As a version before this one took it.
#[test]
fn a_seal_under_the_new_name_goes_to_the_row_that_follows() {
    let (folder, registry) = three_runs();
    let before = rows(&registry);
    mv(folder.path(), "a", "d");
    scan(&registry);
    drop(registry);
    let catalog = folder.path().join(".dalsegno/catalog.sqlite3");
    let connection = rusqlite::Connection::open(catalog).unwrap();
    let sealed = "UPDATE artifact SET sealed_at = 1700000000000, bytes = 38, files = 2 \
                  WHERE run_id = (SELECT id FROM run WHERE name = 'd')";
    assert_eq!(connection.execute(sealed, []).unwrap(), 2);
    drop(connection);
    let registry = Registry::open(folder.path()).unwrap();
    assert_eq!(repair(&registry), [""; 0]);
    let rows = rows(&registry);
    for iteration in [1, 2] {
        let at = |run: &str| format!("{run}/validation.zarr/{iteration}/v/prediction");
        let (id, _, pins) = &before[&at("a")];
        assert_eq!(rows[&at("d")], (*id, true, pins.clone()));
    }
    assert_whole(&registry);
}

/// What a process with an open registry records between a crash of `mv` and the next open belongs to
/// the data that has the old name then; what was bound before belongs to the renamed folder.
#[test]
fn a_rename_that_was_interrupted_is_completed_if_its_old_name_was_taken_again() {
    use std::os::unix::fs::MetadataExt;
    let at = |run: &str, n: i64| format!("{run}/validation.zarr/{n}/v/prediction");
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path();
    for n in [1, 2] {
        write_at(base, &at("a", n), u64::try_from(n).unwrap());
    }
    let began = Timestamp(1_700_000_000_000);
    let opened = |later| {
        let clock = FixedClock(began.plus(Duration::from_secs(later)));
        Options::new().clock(clock)
    };
    let (registry, _) = opened(0).create(base).unwrap();
    scan(&registry);
    pin(&registry, "p", Filter::default().runs(["a"]));
    registry.score(&[score("a")]).unwrap();
    let before = rows(&registry);
    let open = opened(5).open(base).unwrap();
    drop(registry);
    // As `mv` leaves it that is killed before its commit.
    let inode = fs::metadata(base.join("a")).unwrap().ino();
    mv(base, "a", "b");
    let id = "20260101-000000-abcdef";
    let trash = base.join(".dalsegno/trash").join(id);
    fs::create_dir_all(&trash).unwrap();
    let last = before.values().map(|row| row.0).max().unwrap();
    let note = format!(
        r#"{{"rename":"{id}","from":"a","to":"b","operation":99,"at":"{began}","last_row":{last},"device":1,"inode":{inode}}}"#
    );
    fs::write(trash.join("renaming.json"), note).unwrap();
    for n in [1, 9] {
        write_at(base, &at("a", n), 900 + u64::try_from(n).unwrap());
    }
    scan(&open);
    pin(&open, "new", Filter::default().runs(["a"]));
    let later = Score::new("a".parse().unwrap(), 9, "voi".parse().unwrap(), 0.9);
    open.score(&[later]).unwrap();
    drop(open);
    let registry = opened(9).open(base).unwrap();
    assert_eq!(registry.recovery().problems, [""; 0]);
    assert!(!trash.exists());
    scan(&registry);
    let rows = rows(&registry);
    assert_eq!(rows.len(), 4);
    for n in [1, 2] {
        let (id, _, pins) = &before[&at("a", n)];
        assert_eq!((rows[&at("b", n)].0, &rows[&at("b", n)].2), (*id, pins));
    }
    for n in [1, 9] {
        assert_eq!(rows[&at("a", n)].2, ["new"]);
    }
    assert_eq!(scores(&registry), ["a voi 0.9", "b voi 0.5"]);
    assert_whole(&registry);
}

mod random {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 12,
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// Names are exchanged in any way, with looks between; what is bound follows the data.
        #[test]
        fn whatever_runs_are_renamed_to_pins_follow_their_data(
            steps in prop::collection::vec((0..5_usize, 0..5_usize, 1..5_u8), 1..8),
            is_scanned in any::<bool>(),
        ) {
            let (folder, registry) = three_runs();
            let base = folder.path();
            let before = bound(base, &registry);
            let names = ["a", "b", "c", "d", "e"];
            for (one, other, look) in steps {
                let (one, other) = (base.join(names[one]), base.join(names[other]));
                let aside = base.join("aside");
                for (from, to) in [(&one, &aside), (&other, &one), (&aside, &other)] {
                    if from.exists() && !to.exists() {
                        fs::rename(from, to).unwrap();
                    }
                }
                match look {
                    1 => {
                        let options = dalsegno::RefreshOptions::new().all(true);
                        registry.refresh(&Filter::default(), options, &Silent).unwrap();
                    }
                    2 => prop_assert_eq!(repair(&registry), [""; 0]),
                    3 => scan(&registry),
                    _ => {}
                }
            }
            if is_scanned {
                registry.scan(ScanOptions::default(), &Silent).unwrap();
            }
            prop_assert_eq!(repair(&registry), [""; 0]);
            prop_assert_eq!(bound(base, &registry), before);
            assert_whole(&registry);
        }
    }
}
