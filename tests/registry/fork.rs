//! A process that forks while the registry is open, as data loaders do.
//!
//! A fork copies the locks of all other threads as they are. So each test runs itself again, alone
//! in a process of its own, and forks there.

use std::path::{Path, PathBuf};
use std::process::Command;

use dalsegno::ScanOptions;
use dalsegno::model::filter::Filter;
use dalsegno::model::progress::Silent;
use dalsegno::{ArrayStore, RefreshOptions, Registry, Target};

use crate::common::create;
use crate::{code, count, key};

const ALONE: &str = "DALSEGNO_TEST_ALONE";

/// Runs `body` in a process that has no other test.
fn alone(test: &str, body: impl FnOnce()) {
    if std::env::var_os(ALONE).is_some_and(|name| name == test) {
        return body();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--test-threads=1", test])
        .env(ALONE, test)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Forks, and gives the position of the first check that failed in the child; 0 for none.
fn failed_in_child(checks: impl FnOnce() -> Vec<bool>) -> i32 {
    // SAFETY: the process has no second thread that is running, so the child may do anything.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "{}", std::io::Error::last_os_error());
    if child == 0 {
        // SAFETY: ends the child if it hangs.
        unsafe { libc::alarm(60) };
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(checks));
        let failed = match result {
            Ok(checks) => checks
                .iter()
                .position(|check| !check)
                .map_or(0, |at| at + 1),
            Err(_) => 100,
        };
        // SAFETY: leaves without the destructors of what belongs to the parent.
        unsafe { libc::_exit(i32::try_from(failed).unwrap_or(101)) };
    }
    let mut status = 0;
    // SAFETY: `status` lives as long as the call.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(waited, child);
    assert!(libc::WIFEXITED(status), "the child was killed: {status}");
    libc::WEXITSTATUS(status)
}

/// The open files in the registry's folder. A forked child leaves SQLite's as they are: its
/// connections believe in locks that only the parent has.
fn open_files(base: &Path) -> Vec<PathBuf> {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = open.filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok());
    let folder = base.join(".dalsegno");
    let mut files: Vec<PathBuf> = targets.filter(|file| file.starts_with(&folder)).collect();
    files.sort();
    files
}

fn integrity(registry: &Registry) -> String {
    rusqlite::Connection::open(registry.catalog_path())
        .unwrap()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap()
}

#[test]
fn a_handle_is_refused_in_a_forked_child() {
    alone("fork::a_handle_is_refused_in_a_forked_child", || {
        let base = tempfile::tempdir().unwrap();
        let registry = create(base.path());
        let known = key("r/validation.zarr/1/a/prediction");
        let row = registry.record(&known).unwrap().artifact;
        let failed = failed_in_child(|| {
            let forked = Some("forked");
            let target = Target::Id(row.id);
            let all = Filter::default();
            vec![
                code(registry.record(&known)) == forked,
                code(registry.record_many([&known])) == forked,
                code(registry.get(&target)) == forked,
                code(registry.select(&all)) == forked,
                code(registry.iterations(&all, |_| Ok(()))) == forked,
                code(registry.runs(&all, |_| Ok(()))) == forked,
                code(registry.seal(&target)) == forked,
                code(registry.refresh(&all, RefreshOptions::default(), &Silent)) == forked,
                code(registry.remove_artifact(&target)) == forked,
                code(registry.validation_container("r")) == forked,
                code(registry.id()) == forked,
            ]
        });
        assert_eq!(failed, 0);
        assert_eq!(count(&registry), 1);
        registry.scan(ScanOptions::default(), &Silent).unwrap();
    });
}

#[test]
fn a_child_cannot_open_what_its_parent_had_open() {
    alone("fork::a_child_cannot_open_what_its_parent_had_open", || {
        let base = tempfile::tempdir().unwrap();
        let registry = create(base.path());
        let failed = failed_in_child(|| {
            vec![
                code(Registry::open(base.path())) == Some("forked"),
                code(Registry::open_read_only(base.path())) == Some("forked"),
                code(Registry::create(base.path())) == Some("forked"),
            ]
        });
        assert_eq!(failed, 0);
        registry.validation_container("r").unwrap();
    });
}

#[test]
fn a_child_that_drops_the_handle_does_no_harm() {
    alone("fork::a_child_that_drops_the_handle_does_no_harm", || {
        let base = tempfile::tempdir().unwrap();
        let registry = create(base.path());
        registry.validation_container("r").unwrap();
        let mut handle = Some(registry);
        for round in 0..3 {
            let failed = failed_in_child(|| {
                let before = open_files(base.path());
                drop(handle.take());
                vec![
                    code(Registry::open(base.path())) == Some("forked"),
                    !before.is_empty() && open_files(base.path()) == before,
                ]
            });
            assert_eq!(failed, 0);
            let registry = handle.as_ref().unwrap();
            registry.snapshot_container(&format!("r{round}")).unwrap();
            let other = Registry::open(base.path()).unwrap();
            other.validation_container(&format!("r{round}")).unwrap();
        }
        let registry = handle.unwrap();
        assert_eq!(count(&registry), 7);
        assert_eq!(integrity(&registry), "ok");
    });
}

#[test]
fn a_child_can_open_what_its_parent_closed_before_the_fork() {
    alone(
        "fork::a_child_can_open_what_its_parent_closed_before_the_fork",
        || {
            let base = tempfile::tempdir().unwrap();
            drop(create(base.path()));
            let failed = failed_in_child(|| {
                let registry = Registry::open(base.path()).unwrap();
                vec![
                    registry.validation_container("child").is_ok(),
                    registry
                        .get(&Target::Path("child/validation.zarr".into()))
                        .is_ok(),
                ]
            });
            assert_eq!(failed, 0);
            let registry = Registry::open(base.path()).unwrap();
            registry.validation_container("parent").unwrap();
            assert_eq!(count(&registry), 2);
            assert_eq!(integrity(&registry), "ok");
        },
    );
}
