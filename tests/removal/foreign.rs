//! Data that is another run's by its time, because a run was renamed by hand to another's name.

use std::fs;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use dalsegno::model::artifact::State;
use dalsegno::model::filter::Filter;
use dalsegno::model::progress::Silent;
use dalsegno::{PinSelection, RefreshOptions, Registry, RemoveOptions, ScanOptions};
use tempfile::TempDir;

use crate::{array, base, code, kept, key, of_run, paths, target, write};

const OTHER: &str = "er/validation.zarr/1/a/prediction";
const ITS_OWN: &str = "er/validation.zarr/2/a/prediction";
const OWNER: &str = "mito/validation.zarr/1/a/prediction";

/// `mito`, whose iteration 1 is pinned, lies in the folder of `er`; an array of `er` was copied
/// back into it.
fn renamed() -> (TempDir, Registry) {
    let (folder, registry) = base();
    for (path, seconds) in [(OTHER, 100), (ITS_OWN, 200), (OWNER, 300)] {
        registry.record(&key(path)).unwrap();
        write(folder.path(), path);
        let metadata = fs::File::options()
            .write(true)
            .open(folder.path().join(path).join(".zarray"));
        let written = UNIX_EPOCH + Duration::from_secs(1_600_000_000 + seconds);
        metadata.unwrap().set_modified(written).unwrap();
        registry.seal(&target(path)).unwrap();
    }
    let at = |path: &str| folder.path().join(path);
    fs::rename(at("er"), at("old")).unwrap();
    fs::rename(at("mito"), at("er")).unwrap();
    fs::rename(at("old/validation.zarr/2"), at("er/validation.zarr/2")).unwrap();
    (folder, registry)
}

#[test]
fn what_is_another_runs_by_its_time_is_refused_in_every_removal() {
    let (folder, registry) = renamed();
    let before = paths(&registry);
    for options in [RemoveOptions::default(), kept()] {
        let removed = registry.remove_target(&target(OTHER), &options, &Silent);
        let error = removed.unwrap_err();
        assert_eq!(error.code(), "of-another-run");
        assert!(error.to_string().contains(OWNER), "{error}");
        let removed = registry.remove_target(&target("er/validation.zarr"), &options, &Silent);
        assert_eq!(code(removed), "of-another-run");
        let removed = registry.remove_many(&of_run("er"), &options, &Silent);
        assert_eq!(code(removed), "of-another-run");
        let run = registry.plan_run_removal(&"er".parse().unwrap()).unwrap();
        let removed = registry.remove_planned(&run, &options, &Silent);
        assert_eq!(code(removed), "of-another-run");
    }
    assert_eq!(
        code(registry.remove_artifact(&target(OTHER))),
        "of-another-run"
    );
    assert_eq!(paths(&registry), before);
    assert!(folder.path().join(OTHER).is_dir());
}

#[test]
fn a_preview_names_it_and_the_rest_goes_on_its_own() {
    let (folder, registry) = renamed();
    let chosen = registry.to_remove_selected(&of_run("er")).unwrap();
    let plan = registry.plan_removal(chosen).unwrap();
    let bound = registry
        .protected(&plan, &RemoveOptions::default())
        .unwrap();
    assert_eq!(bound.len(), 1);
    assert_eq!(bound[0].code, "of-another-run");
    assert!(bound[0].path.ends_with(OTHER));
    let forced = RemoveOptions::default().force_pinned(true);
    assert!(registry.protected(&plan, &forced).unwrap().is_empty());

    let options = RemoveOptions::default().keep_going(true);
    let report = registry.remove_planned(&plan, &options, &Silent).unwrap();
    assert_eq!((report.moved, report.skipped.len()), (1, 1));
    assert_eq!(report.skipped[0].code, "of-another-run");
    assert!(folder.path().join(OTHER).is_dir() && !folder.path().join(ITS_OWN).exists());

    registry
        .remove_target(&target(OTHER), &forced, &Silent)
        .unwrap();
    assert!(!folder.path().join(OTHER).exists());
}

#[test]
fn a_copy_of_a_run_and_data_that_was_written_again_are_removed() {
    let (folder, registry) = base();
    for path in [OTHER, OWNER] {
        array(&registry, path);
    }
    // As `cp -a` leaves it: the data of the other row is in its place too.
    let metadata = |path: &str| folder.path().join(path).join(".zarray");
    let written = metadata(OWNER).metadata().unwrap().modified().unwrap();
    let copied = fs::File::options().write(true).open(metadata(OTHER));
    copied.unwrap().set_modified(written).unwrap();
    registry.remove_artifact(&target(OTHER)).unwrap();
    fs::File::options()
        .write(true)
        .open(metadata(OWNER))
        .unwrap()
        .set_modified(UNIX_EPOCH + Duration::from_secs(1_600_000_000))
        .unwrap();
    registry.remove_artifact(&target(OWNER)).unwrap();
    assert_eq!(paths(&registry), [""; 0]);
}

const PINNED_FILE: &str = "mito/checkpoints/iterations/1";
const FILE_THERE: &str = "er/checkpoints/iterations/1";

fn pin_all_of(registry: &Registry, run: &str) {
    let what = PinSelection::Filter(of_run(run));
    registry
        .pin(&"paper".parse().unwrap(), Some("figure 2"), &what)
        .unwrap();
}

fn touch(file: &Path, seconds: u64) {
    let file = fs::File::options().write(true).open(file).unwrap();
    let written = UNIX_EPOCH + Duration::from_secs(1_600_000_000 + seconds);
    file.set_modified(written).unwrap();
}

#[test]
fn a_checkpoint_of_a_pinned_row_is_refused_by_its_time_and_size() {
    // Rows of the first file that know it as it was, and as a scan after the rename sees it.
    for (seconds_there, length, expected) in [
        (100, 8, "of-another-run"),
        (300, 8, "pinned-elsewhere"),
        (100, 9, "ok"),
        (300, 9, "ok"),
    ] {
        let (folder, registry) = base();
        for (path, seconds) in [(FILE_THERE, seconds_there), (PINNED_FILE, 300)] {
            let file = folder.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "8 bytes.").unwrap();
            touch(&file, seconds);
            registry.record(&key(path)).unwrap();
            registry.seal(&target(path)).unwrap();
        }
        pin_all_of(&registry, "mito");
        let there = folder.path().join(FILE_THERE);
        fs::rename(folder.path().join(PINNED_FILE), &there).unwrap();
        // Another file of the same moment is not the pinned one.
        fs::write(&there, vec![b'x'; length]).unwrap();
        touch(&there, 300);
        assert_eq!(
            code(registry.remove_artifact(&target(FILE_THERE))),
            expected
        );
        assert_eq!(there.exists(), expected != "ok");
    }
}

#[test]
fn pinned_data_without_a_row_in_the_folder_of_another_run_is_refused() {
    let (folder, registry) = base();
    array(&registry, OWNER);
    registry.record(&key("er/validation.zarr")).unwrap();
    pin_all_of(&registry, "mito");
    let at = |path: &str| folder.path().join(path);
    let rename = |from: &str, to: &str| fs::rename(at(from), at(to)).unwrap();
    let _ = fs::remove_dir_all(at("er"));
    rename("mito", "er");
    let container = target("er/validation.zarr");
    let remove = |options| registry.remove_target(&container, &options, &Silent);
    let error = remove(RemoveOptions::default()).unwrap_err();
    assert_eq!(error.code(), "pinned-elsewhere");
    assert!(error.to_string().contains(OTHER), "{error}");
    let run = registry.plan_run_removal(&"er".parse().unwrap()).unwrap();
    let chosen = registry.to_remove(&container).unwrap();
    let plan = registry.plan_removal(chosen).unwrap();
    for (plan, item) in [(&plan, "er/validation.zarr"), (&run, "er")] {
        let bound = registry.protected(plan, &RemoveOptions::default()).unwrap();
        assert_eq!(bound.len(), 1);
        assert_eq!(bound[0].code, "pinned-elsewhere");
        assert_eq!(bound[0].path, at(item));
        let forced = RemoveOptions::default().force_pinned(true);
        assert!(registry.protected(plan, &forced).unwrap().is_empty());
    }
    let removed = registry.remove_planned(&run, &RemoveOptions::default(), &Silent);
    assert_eq!(code(removed), "pinned-elsewhere");
    assert!(at(OTHER).is_dir());

    // With the pinned data at home, what is here is a copy.
    write(folder.path(), OWNER);
    let seen = at(OTHER).join(".zarray").metadata().unwrap();
    let copy = fs::File::options()
        .write(true)
        .open(at(OWNER).join(".zarray"));
    copy.unwrap()
        .set_modified(seen.modified().unwrap())
        .unwrap();
    remove(RemoveOptions::default()).unwrap();
    assert!(!at(OTHER).exists() && at(OWNER).is_dir());
}

/// `mito`, which is not pinned, lies in the folder of `er`, which has only identifiers.
fn renamed_onto_identifiers() -> (TempDir, Registry) {
    let (folder, registry) = base();
    array(&registry, OWNER);
    registry.record(&key(OTHER)).unwrap();
    let at = |path: &str| folder.path().join(path);
    fs::rename(at("mito"), at("er")).unwrap();
    (folder, registry)
}

#[test]
fn an_identifier_without_data_is_removed_without_the_data_of_a_run_renamed_to_it() {
    let (folder, registry) = renamed_onto_identifiers();
    registry
        .refresh(&Filter::default(), RefreshOptions::default(), &Silent)
        .unwrap();
    let rows = registry.select(&of_run("er")).unwrap();
    assert_eq!(rows[0].state, State::Reserved);
    let plan = registry
        .plan_removal(registry.to_remove_selected(&of_run("er")).unwrap())
        .unwrap();
    let bound = registry
        .protected(&plan, &RemoveOptions::default())
        .unwrap();
    assert_eq!(bound.len(), 1);
    assert_eq!(bound[0].code, "of-another-run");
    let removed = registry.remove_many(&of_run("er"), &RemoveOptions::default(), &Silent);
    assert_eq!(code(removed), "of-another-run");
    let removed = registry.remove_artifact(&target(OTHER));
    assert_eq!(code(removed), "of-another-run");
    assert!(folder.path().join(OTHER).is_dir());

    // A scan says whose it is.
    registry.scan(ScanOptions::default(), &Silent).unwrap();
    let rows = registry.select(&of_run("er")).unwrap();
    assert_eq!(rows[0].state, State::Present);
    registry.remove_artifact(&target(OTHER)).unwrap();
    assert!(!folder.path().join(OTHER).exists());
}

#[test]
fn a_copy_at_an_identifier_without_data_is_its_data() {
    let (folder, registry) = renamed_onto_identifiers();
    // As `cp -a` leaves it: the data of the other row is in its place too.
    write(folder.path(), OWNER);
    let metadata = |path: &str| folder.path().join(path).join(".zarray");
    let written = metadata(OTHER).metadata().unwrap().modified().unwrap();
    let home = fs::File::options().write(true).open(metadata(OWNER));
    home.unwrap().set_modified(written).unwrap();
    registry
        .refresh(&Filter::default(), RefreshOptions::default(), &Silent)
        .unwrap();
    let rows = registry.select(&of_run("er")).unwrap();
    assert_eq!(rows[0].state, State::Present);
    registry.remove_artifact(&target(OTHER)).unwrap();
    assert!(!folder.path().join(OTHER).exists() && folder.path().join(OWNER).is_dir());
}
