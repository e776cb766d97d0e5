//! Names that are exchanged while commands run, for some seconds each.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dalsegno::testing::can_confine;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::end::End;
use super::scene::{Scene, rm};

/// How long names are exchanged.
const WORK: Duration = Duration::from_secs(3);
/// How long they are exchanged at most, if nothing was yet: some names exist only for moments.
const PATIENCE: Duration = Duration::from_secs(120);

/// What SQLite may make if a whole folder is exchanged for a link between two of its calls, on a
/// kernel that confines no thread: docs/src/security.md, "What remains".
const REMAINS: [&str; 3] = [
    "catalog.sqlite3-wal",
    "catalog.sqlite3-shm",
    "catalog.sqlite3-journal",
];

/// Checks that nothing outside was changed while a folder was exchanged.
fn outside_is_as_before(scene: &Scene) {
    let remains = if can_confine() {
        &REMAINS[..0]
    } else {
        &REMAINS
    };
    scene.outside_has_only(remains, "exchanging");
}

/// Exchanges files of `.dalsegno` with links until the work is done. `names` is asked again and
/// again, since some files only come while a command runs.
pub(crate) fn exchange(
    links: &[PathBuf],
    names: impl Fn() -> Vec<PathBuf> + Sync,
    mut work: impl FnMut(usize),
) {
    let is_over = AtomicBool::new(false);
    let exchanged = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                for name in names() {
                    for link in links {
                        let swap =
                            || renameat_with(CWD, &name, CWD, link, RenameFlags::EXCHANGE).is_ok();
                        exchanged.fetch_add(u64::from(swap()), Ordering::Relaxed);
                        std::thread::yield_now();
                        swap();
                    }
                }
            }
        });
        let _end = End(&is_over);
        let was_exchanged = || exchanged.load(Ordering::Relaxed) > 0;
        let start = Instant::now();
        let mut round = 0;
        while start.elapsed() < WORK || !was_exchanged() && start.elapsed() < PATIENCE {
            work(round);
            round += 1;
        }
    });
    assert!(exchanged.into_inner() > 0, "nothing was exchanged");
}

fn link_to(scene: &Scene, target: &str, name: &str) -> PathBuf {
    let link = scene.base().join(name);
    symlink(scene.outside(target), &link).unwrap();
    link
}

/// Only who may write in the folder around can exchange a folder.
fn let_others_write(folder: &Path) {
    fs::set_permissions(folder, PermissionsExt::from_mode(0o777)).unwrap();
}

/// What of `.dalsegno`, or a folder in it, begins and ends so.
fn found(folder: &Path, begins: &str, ends: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            let name = entry.file_name().into_string().unwrap();
            name.starts_with(begins) && name.ends_with(ends)
        })
        .map(|entry| entry.path())
        .collect()
}

#[test]
fn nothing_outside_is_touched_while_the_catalogs_files_are_exchanged() {
    let scene = Scene::new();
    let links = [
        link_to(&scene, "canary", "l1"),
        link_to(&scene, "new", "l2"),
        link_to(&scene, "canary.sqlite3", "l3"),
    ];
    let own = scene.base().join(".dalsegno");
    exchange(
        &links,
        || found(&own, "catalog.sqlite3", ""),
        |round| {
            let iteration = (round % 9 + 1).to_string();
            scene.run(&rm(&iteration));
            scene.run(&["scan"]);
        },
    );
    scene.outside_is_untouched("exchanging");
}

#[test]
fn nothing_outside_is_touched_while_a_backup_is_exchanged() {
    let scene = Scene::new();
    let links = [
        link_to(&scene, "canary.sqlite3", "l1"),
        link_to(&scene, "canary", "l2"),
    ];
    let backups = scene.own("backups");
    exchange(
        &links,
        || found(&backups, "", ""),
        |round| {
            for backup in found(&backups, "2", ".sqlite3") {
                let _ = fs::remove_file(backup);
            }
            let iteration = (round % 9 + 1).to_string();
            scene.run(&rm(&iteration));
        },
    );
    scene.outside_is_untouched("exchanging");
}

#[test]
fn nothing_outside_is_touched_while_a_rebuild_is_exchanged() {
    let scene = Scene::new();
    let links = [
        link_to(&scene, "canary", "l1"),
        link_to(&scene, "new", "l2"),
    ];
    let own = scene.base().join(".dalsegno");
    exchange(
        &links,
        || found(&own, "catalog.sqlite3.rebuild", ""),
        |_| {
            let catalog = scene.own("catalog.sqlite3");
            // A link that was exchanged just before the rebuild's rename: this test must not write
            // where it leads.
            if catalog.is_symlink() {
                let _ = fs::remove_file(&catalog);
            }
            let _ = fs::write(&catalog, "damaged");
            scene.run(&["rebuild"]);
            for aside in found(&own, "catalog.sqlite3.damaged-", "") {
                let _ = fs::remove_file(aside);
            }
        },
    );
    scene.outside_is_untouched("exchanging");
}

#[test]
fn nothing_outside_is_changed_while_the_registrys_folder_is_exchanged() {
    let scene = Scene::new();
    let links = [link_to(&scene, "", "l1")];
    let own = scene.base().join(".dalsegno");
    let_others_write(&scene.base());
    exchange(
        &links,
        || vec![own.clone()],
        |round| {
            let iteration = (round % 9 + 1).to_string();
            scene.run(&rm(&iteration));
            scene.run(&["scan"]);
        },
    );
    outside_is_as_before(&scene);
}

#[test]
fn nothing_outside_is_changed_while_a_creation_is_exchanged() {
    let scene = Scene::bare();
    let links = [link_to(&scene, "", "l1")];
    let base = scene.base();
    let_others_write(&base);
    exchange(
        &links,
        || found(&base, ".dalsegno.new-", ""),
        |_| {
            scene.run(&["init", "--here"]);
            let own = base.join(".dalsegno");
            if own.symlink_metadata().is_ok_and(|found| found.is_symlink()) {
                fs::remove_file(own).unwrap();
            } else {
                let _ = fs::remove_dir_all(own);
            }
        },
    );
    outside_is_as_before(&scene);
}
