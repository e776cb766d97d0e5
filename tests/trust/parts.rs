//! What comes back in parts, beside a container that a training writes, if the folders in the trash
//! can be written by a group.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use dalsegno::model::filter::Filter;
use dalsegno::model::key::{Key, Kind};
use dalsegno::model::layout;
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::TrashKeep;
use dalsegno::{Options, Registry, RemoveOptions, RestoreTarget};

use crate::child::{prediction, write_array};
use crate::scene::{GROUP, ROOT};

const RUN: &str = "mito";

fn output(iteration: i64) -> Key {
    Key::Output {
        run: RUN.parse().unwrap(),
        iteration,
        dataset: "crop1".parse().unwrap(),
        parameters: "t1".parse().unwrap(),
        container: None,
    }
}

/// Gives what is at a path, and below it, to root and a group.
fn give_all(path: &Path, group: u32, folders: u32) {
    chown(path, Some(ROOT), Some(group)).unwrap();
    if path.is_dir() {
        fs::set_permissions(path, PermissionsExt::from_mode(folders)).unwrap();
        for entry in fs::read_dir(path).unwrap() {
            give_all(&entry.unwrap().path(), group, folders);
        }
    }
}

/// A container of three iterations goes into the trash, whose folders the group may write, and a
/// training writes the prediction of the first again, in folders that only root may write.
fn removed(group: u32, above: u32) -> Option<(tempfile::TempDir, PathBuf, Registry)> {
    if !rustix::process::geteuid().is_root() {
        crate::strace::left_out::left_out("it takes root: folders of a group");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().to_path_buf();
    let registry = Options::new().create(&base).unwrap().0;
    for iteration in 1..4 {
        for key in [prediction(RUN, iteration), output(iteration)] {
            write_array(&base, &key);
            registry.record(&key).unwrap();
        }
    }
    let run = base.join(RUN);
    give_all(&run, group, 0o2775);
    let filter = Filter::default().runs([RUN]).kinds([
        Kind::ValidationContainer,
        Kind::Prediction,
        Kind::Output,
    ]);
    registry
        .record(&Key::ValidationContainer {
            run: RUN.parse().unwrap(),
        })
        .unwrap();
    let options = RemoveOptions::default().keep(TrashKeep::UntilEmptied);
    let report = registry.remove_many(&filter, &options, &Silent).unwrap();
    assert_eq!(report.moved, 1, "it goes as a whole");
    let key = prediction(RUN, 1);
    write_array(&base, &key);
    registry.record(&key).unwrap();
    give_all(&run.join("validation.zarr"), group, 0o755);
    let container = run.join("validation.zarr");
    fs::set_permissions(container, PermissionsExt::from_mode(above)).unwrap();
    Some((folder, base, registry))
}

fn restored(registry: &Registry) -> (usize, Vec<(&'static str, String)>) {
    let target = RestoreTarget::Filter(Filter::default().runs([RUN]));
    let planned = registry.plan_restore(std::slice::from_ref(&target));
    let report = registry.restore(&target);
    let of = |report: dalsegno::RestoreReport| {
        let skipped = report.skipped.into_iter();
        let skipped = skipped.map(|one| (one.code, one.reason)).collect();
        (report.artifacts.len(), skipped)
    };
    let refused = |error: dalsegno::Error| (0, vec![(error.code(), error.to_string())]);
    let done = report.map_or_else(refused, of);
    // The dry run says the same.
    assert_eq!(planned.map_or_else(refused, of), done);
    done
}

#[test]
fn a_group_in_which_only_the_owner_is_hinders_no_restore() {
    let Some((_folder, base, registry)) = removed(ROOT, 0o755) else {
        return;
    };
    let (back, skipped) = restored(&registry);
    // The row of the container too.
    assert_eq!(back, 6, "{skipped:?}");
    let codes: Vec<_> = skipped.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, ["occupied"], "{skipped:?}");
    let path = base.join(layout::locate(&prediction(RUN, 3)).path());
    assert!(path.join("0.0.0").exists());
}

#[test]
fn only_what_a_group_may_not_put_back_stays_and_what_to_type_is_said() {
    let Some((_folder, base, registry)) = removed(GROUP, 0o2775) else {
        return;
    };
    let (back, skipped) = restored(&registry);
    // The other iterations go into a folder in which the group may write.
    assert_eq!(back, 5, "{skipped:?}");
    let refused: Vec<_> = skipped
        .iter()
        .filter(|(code, _)| *code == "trash-untrusted")
        .collect();
    assert_eq!((refused.len(), skipped.len()), (1, 2), "{skipped:?}");
    let at = base.join(RUN).join("validation.zarr/1/crop1");
    let next = format!("chmod g+w {}", at.display());
    assert!(refused[0].1.ends_with(&next), "{skipped:?}");
    fs::set_permissions(&at, PermissionsExt::from_mode(0o775)).unwrap();
    assert_eq!(restored(&registry).0, 1);
}

#[test]
fn nothing_comes_back_into_a_folder_that_the_group_may_not_write() {
    let Some((_folder, base, registry)) = removed(GROUP, 0o755) else {
        return;
    };
    let (back, skipped) = restored(&registry);
    // The row of the container, which has no data of its own.
    assert_eq!(back, 1);
    assert_eq!(skipped.len(), 6);
    let count = |wanted: &str| skipped.iter().filter(|(code, _)| *code == wanted).count();
    assert_eq!(
        (count("trash-untrusted"), count("occupied")),
        (5, 1),
        "{skipped:?}"
    );
    let path = base.join(layout::locate(&prediction(RUN, 3)).path());
    assert!(!path.exists());
}
