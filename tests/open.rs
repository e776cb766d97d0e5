//! Opening and making a registry: every way in which it is refused, with its code; a refusal
//! creates and changes nothing. Also read-only folders and mounts, and network file systems.
//!
//! Tests that need another user, a mount or `strace` say on stderr if they are left out.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests are not seen as tests"
)]

mod child;
#[path = "open/elsewhere.rs"]
mod elsewhere;
#[path = "common/lock.rs"]
mod lock;
#[path = "open/network.rs"]
mod network;
#[path = "open/read_only.rs"]
mod read_only;
#[path = "open/salvage.rs"]
mod salvage;
#[path = "child/strace.rs"]
mod strace;

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use child::{answer, command, outcome, prediction, say, tree, write_array};
use dalsegno::model::clock::{FixedClock, Timestamp};
use dalsegno::model::filter::Filter;
use dalsegno::model::progress::Silent;
use dalsegno::{Options, RebuildOptions, Registry};
use rusqlite::Connection;
use tempfile::TempDir;

const CATALOG: &str = ".dalsegno/catalog.sqlite3";
const CONFIG: &str = ".dalsegno/config.toml";
/// A user who owns nothing here.
const NOBODY: u32 = 65534;

/// The body of a child process.
#[test]
fn child_entry() {
    let Ok(action) = std::env::var(child::ACTION) else {
        return;
    };
    let base = PathBuf::from(std::env::var_os(child::BASE).unwrap());
    if std::env::var_os("DALSEGNO_TEST_NOBODY").is_some() {
        become_nobody();
    }
    match action.as_str() {
        "create" => say(&outcome(Options::new().create(&base))),
        "create-single-host" => say(&outcome(Options::new().single_host(true).create(&base))),
        "create-elsewhere" => {
            let catalog = base.with_file_name("catalog");
            say(&outcome(Options::new().catalog(catalog).create(&base)));
        }
        "rebuild-elsewhere" => {
            let options = Options::new().catalog(base.with_file_name("new").join("c.sqlite3"));
            say(&outcome(options.rebuild(
                &base,
                &RebuildOptions::default(),
                &Silent,
            )));
        }
        "keep-elsewhere" => {
            let options = Options::new().catalog(base.with_file_name("new").join("c.sqlite3"));
            say(&outcome(options.keeper(true).create(&base)));
        }
        "open" => report(Registry::open(&base)),
        "open-read-only" => report(Registry::open_read_only(&base)),
        "record" => {
            let recorded = Registry::open(&base)
                .and_then(|registry| registry.record(&prediction("run", 7)).map(|_| ()));
            say(&outcome(recorded));
        }
        "record-and-hang" => {
            let registry = Registry::open(&base).unwrap();
            registry.record(&prediction("run", 2)).unwrap();
            say("recorded");
            let _ = std::io::stdin().read(&mut [0]);
            registry.record(&prediction("run", 3)).unwrap();
            say("again");
            let _ = std::io::stdin().read(&mut [0]);
        }
        other => panic!("no action {other}"),
    }
}

/// Opens and prints the outcome: the error code, or `ok`, the number of rows and the notice.
fn report(registry: dalsegno::Result<Registry>) {
    let registry = match registry {
        Ok(registry) => registry,
        Err(error) => return say(error.code()),
    };
    match registry.select(&Filter::default()) {
        Ok(rows) => say(&format!(
            "ok, {} rows, notice: {}",
            rows.len(),
            registry.notice().unwrap_or("none")
        )),
        Err(error) => say(&format!("opened, then {}", error.code())),
    }
}

fn become_nobody() {
    // SAFETY: plain system calls; glibc applies them to every thread.
    let results = unsafe {
        [
            libc::setgroups(0, std::ptr::null()),
            libc::setgid(NOBODY),
            libc::setuid(NOBODY),
        ]
    };
    assert_eq!(results, [0, 0, 0]);
}

fn is_root(what: &str) -> bool {
    // SAFETY: cannot fail.
    let is_root = unsafe { libc::geteuid() } == 0;
    if !is_root {
        strace::left_out::left_out(&format!("it needs root: {what}"));
    }
    is_root
}

/// An empty folder that other users can enter.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    folder
}

/// A base directory `base` in a folder of its own, with one array, recorded.
fn base_with_registry() -> (TempDir, PathBuf) {
    let folder = folder();
    let base = folder.path().join("base");
    fs::create_dir(&base).unwrap();
    let key = prediction("run", 1);
    write_array(&base, &key);
    Registry::create(&base).unwrap().record(&key).unwrap();
    (folder, base)
}

/// Runs a child and returns its output.
fn ask(wrapper: &[&str], action: &str, base: &Path) -> String {
    answer(&command(wrapper, action, base).output().unwrap()).join("; ")
}

fn ask_as_nobody(action: &str, base: &Path) -> String {
    let mut command = command(&[], action, base);
    answer(&command.env("DALSEGNO_TEST_NOBODY", "1").output().unwrap()).join("; ")
}

fn code<T>(result: dalsegno::Result<T>) -> &'static str {
    result.err().unwrap().code()
}

/// Checks that opening for writing or reading fails with `code` and changes nothing in `watched`.
fn open_is_refused(expected: &str, base: &Path, watched: &Path) {
    let before = tree(watched);
    assert_eq!(code(Registry::open(base)), expected, "open");
    assert_eq!(code(Registry::open_read_only(base)), expected, "read-only");
    assert_eq!(tree(watched), before, "{expected}");
}

/// The same, and creating a registry there fails, too.
fn all_is_refused(expected: &str, base: &Path, watched: &Path) {
    open_is_refused(expected, base, watched);
    let before = tree(watched);
    assert_eq!(code(Registry::create(base)), expected, "create");
    assert_eq!(tree(watched), before, "{expected}");
}

#[test]
fn a_missing_base_directory_is_refused_and_not_made() {
    let folder = folder();
    let base = folder.path().join("missing");
    all_is_refused("base-not-found", &base, folder.path());
}

#[test]
fn a_file_as_base_directory_is_refused() {
    let folder = folder();
    let base = folder.path().join("file");
    fs::write(&base, "x").unwrap();
    all_is_refused("base-not-a-folder", &base, folder.path());
    all_is_refused("base-not-a-folder", &base.join("below"), folder.path());
}

#[test]
fn a_url_or_a_name_that_is_not_utf8_is_refused_as_base_directory() {
    let folder = folder();
    let odd = folder.path().join(OsStr::from_bytes(b"caf\xe9"));
    fs::create_dir(&odd).unwrap();
    all_is_refused(
        "base-unusable",
        Path::new("s3://bucket/runs"),
        folder.path(),
    );
    all_is_refused("base-unusable", &odd, folder.path());
    assert!(!Path::new("s3:").exists());
}

#[test]
fn a_base_directory_that_may_not_be_read_is_refused() {
    if !is_root("a base directory of another user") {
        return;
    }
    let (folder, base) = base_with_registry();
    for mode in [0o700, 0o711, 0o744] {
        fs::set_permissions(&base, PermissionsExt::from_mode(mode)).unwrap();
        let before = tree(folder.path());
        for action in ["open", "open-read-only", "create"] {
            assert_eq!(
                ask_as_nobody(action, &base),
                "base-not-readable",
                "{action} {mode:o}"
            );
        }
        assert_eq!(tree(folder.path()), before);
    }
}

#[test]
fn a_base_directory_without_a_registry_is_refused() {
    let folder = folder();
    open_is_refused("no-registry", folder.path(), folder.path());
    fs::create_dir(folder.path().join("run")).unwrap();
    open_is_refused("no-registry", folder.path(), folder.path());
}

#[test]
fn a_registry_without_its_catalog_is_never_given_a_new_one() {
    let (folder, base) = base_with_registry();
    fs::remove_file(base.join(CATALOG)).unwrap();
    all_is_refused("catalog-missing", &base, folder.path());
    for entry in fs::read_dir(base.join(".dalsegno")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    all_is_refused("catalog-missing", &base, folder.path());
}

#[test]
fn a_catalog_that_is_no_database_is_refused() {
    let (folder, base) = base_with_registry();
    let catalog = base.join(CATALOG);
    let good = fs::read(&catalog).unwrap();
    let garbage: Vec<u8> = (0..20_000_u32).map(|n| ((n * n) >> 3) as u8).collect();
    let contents: [&[u8]; 7] = [
        b"",
        b"x",
        b"SQLite format 3\0",
        &garbage,
        &good[..99],
        &good[..100],
        &good[..2000],
    ];
    for content in contents {
        fs::write(&catalog, content).unwrap();
        all_is_refused("catalog-damaged", &base, folder.path());
    }
    fs::write(&catalog, &good).unwrap();
    assert_eq!(outcome(Registry::open(&base)), "ok");
}

#[test]
fn a_catalog_that_is_no_regular_file_is_refused() {
    let (folder, base) = base_with_registry();
    let catalog = base.join(CATALOG);
    let moved = folder.path().join("moved");
    fs::rename(&catalog, &moved).unwrap();

    fs::create_dir(&catalog).unwrap();
    all_is_refused("catalog-not-a-file", &base, folder.path());
    fs::remove_dir(&catalog).unwrap();

    for target in [moved.clone(), folder.path().join("nothing")] {
        symlink(target, &catalog).unwrap();
        all_is_refused("catalog-not-a-file", &base, folder.path());
        fs::remove_file(&catalog).unwrap();
    }

    let socket = std::os::unix::net::UnixListener::bind(&catalog).unwrap();
    assert_eq!(code(Registry::open(&base)), "catalog-not-a-file");
    drop(socket);
    fs::remove_file(&catalog).unwrap();

    fs::rename(&moved, &catalog).unwrap();
    assert_eq!(outcome(Registry::open(&base)), "ok");
}

#[test]
fn a_database_of_another_program_is_refused_and_not_touched() {
    let (folder, base) = base_with_registry();
    let catalog = base.join(CATALOG);
    for id in [0, 1] {
        fs::remove_file(&catalog).unwrap();
        Connection::open(&catalog)
            .unwrap()
            .execute_batch(&format!(
                "PRAGMA application_id = {id}; PRAGMA user_version = 1;
                 CREATE TABLE artifact (id INTEGER);"
            ))
            .unwrap();
        all_is_refused("catalog-foreign", &base, folder.path());
    }
}

#[test]
fn a_catalog_of_a_newer_version_is_refused_and_not_touched() {
    let (folder, base) = base_with_registry();
    let catalog = Connection::open(base.join(CATALOG)).unwrap();
    let newest: i64 = catalog
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap();
    catalog
        .pragma_update(None, "user_version", newest + 1)
        .unwrap();
    drop(catalog);
    all_is_refused("catalog-too-new", &base, folder.path());
}

#[test]
fn a_config_that_makes_no_sense_is_refused() {
    let (folder, base) = base_with_registry();
    let texts: [&[u8]; 6] = [
        b"[catalog",
        b"[catalogue]\n",
        b"[catalog]\nfile = \"x\"\n",
        b"[catalog]\npath = 1\n",
        b"colour = true\n",
        b"catalog = \"/somewhere\"\n",
    ];
    for text in texts {
        fs::write(base.join(CONFIG), text).unwrap();
        all_is_refused("config-invalid", &base, folder.path());
    }
    fs::write(base.join(CONFIG), b"\xff\xfe").unwrap();
    all_is_refused("config-invalid", &base, folder.path());
    fs::write(base.join(CONFIG), b"# nothing\n").unwrap();
    assert_eq!(outcome(Registry::open(&base)), "ok");
}

#[test]
fn a_relative_catalog_in_the_config_is_refused() {
    let (folder, base) = base_with_registry();
    fs::write(base.join(CONFIG), "[catalog]\npath = \"c.sqlite3\"\n").unwrap();
    all_is_refused("config-invalid", &base, folder.path());
}

#[test]
fn creating_twice_opens_what_is_there() {
    let (folder, base) = base_with_registry();
    let id = Registry::open(&base).unwrap().id().unwrap();
    let before = tree(folder.path());
    let (registry, made) = Options::new().create(&base).unwrap();
    assert!(!made);
    assert_eq!(registry.id().unwrap(), id);
    assert_eq!(registry.select(&Filter::default()).unwrap().len(), 1);
    drop(registry);
    assert_eq!(tree(folder.path()), before);
}

#[test]
fn a_base_directory_remembers_a_catalog_elsewhere() {
    let folder = folder();
    let base = folder.path().join("base");
    let catalog = folder.path().join("local/c.sqlite3");
    fs::create_dir(&base).unwrap();
    fs::create_dir(catalog.parent().unwrap()).unwrap();
    let create = |path: &Path| Options::new().catalog(path).create(&base);
    let (registry, made) = create(&catalog).unwrap();
    assert!(made);
    registry.record(&prediction("run", 1)).unwrap();
    drop(registry);
    let names = |path: &Path| -> Vec<_> {
        let mut names: Vec<_> = fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(&base), [".dalsegno"]);
    assert_eq!(
        names(&base.join(".dalsegno")),
        [
            "catalog-place.toml",
            "config.toml",
            "published.sqlite3",
            "removals.reserve"
        ]
    );
    assert_eq!(
        names(&folder.path().join("local")),
        [
            "c.sqlite3",
            "c.sqlite3.base",
            "c.sqlite3.publishing",
            "c.sqlite3.queue",
            "c.sqlite3.reserve",
            "c.sqlite3.turn"
        ]
    );

    let before = tree(folder.path());
    let registry = Registry::open(&base).unwrap();
    assert_eq!(registry.catalog_path(), catalog);
    assert_eq!(registry.select(&Filter::default()).unwrap().len(), 1);
    drop(registry);
    assert_eq!(outcome(Options::new().catalog(&catalog).open(&base)), "ok");
    assert!(!create(&catalog).unwrap().1);

    let other = folder.path().join("local/other.sqlite3");
    assert_eq!(
        code(Options::new().catalog(&other).open(&base)),
        "catalog-other-path"
    );
    assert_eq!(code(create(&other)), "catalog-other-path");
    assert_eq!(tree(folder.path()), before);

    fs::remove_file(&catalog).unwrap();
    all_is_refused("catalog-missing", &base, folder.path());
    fs::remove_dir_all(folder.path().join("local")).unwrap();
    all_is_refused("catalog-not-here", &base, folder.path());
}

#[test]
fn a_base_directory_with_its_own_catalog_refuses_another_one() {
    let (folder, base) = base_with_registry();
    let before = tree(folder.path());
    let other = folder.path().join("other.sqlite3");
    for path in [other.as_path(), &base.join(".dalsegno/other")] {
        assert_eq!(
            code(Options::new().catalog(path).open(&base)),
            "catalog-other-path"
        );
        assert_eq!(
            code(Options::new().catalog(path).create(&base)),
            "catalog-other-path"
        );
    }
    assert_eq!(tree(folder.path()), before);
}

#[test]
fn the_catalog_of_another_base_directory_is_refused() {
    let folder = folder();
    let [one, two] = ["one", "two"].map(|name| {
        let base = folder.path().join(name);
        fs::create_dir(&base).unwrap();
        let catalog = folder.path().join(format!("{name}.sqlite3"));
        Options::new().catalog(&catalog).create(&base).unwrap();
        (base, catalog)
    });
    fs::copy(&two.1, &one.1).unwrap();
    all_is_refused("catalog-mismatch", &one.0, folder.path());
    assert_eq!(outcome(Registry::open(&two.0)), "ok");
}

#[test]
fn a_creation_that_fails_leaves_nothing() {
    let folder = folder();
    let base = folder.path().join("base");
    fs::create_dir(&base).unwrap();
    write_array(&base, &prediction("run", 1));
    let before = tree(folder.path());
    let elsewhere = |path: &str| {
        let path = folder.path().join(path);
        code(Options::new().catalog(path).create(&base))
    };
    assert_eq!(elsewhere("missing/c.sqlite3"), "storage-io");
    assert_eq!(elsewhere("base/run"), "catalog-not-a-file");
    assert_eq!(
        elsewhere("base/run/validation.zarr/1/crop1/prediction/.zarray"),
        "catalog-damaged"
    );
    assert_eq!(tree(folder.path()), before);

    fs::write(base.join(".dalsegno"), "a file").unwrap();
    let before = tree(folder.path());
    assert_eq!(code(Registry::create(&base)), "registry-not-a-folder");
    assert_eq!(code(Registry::open(&base)), "registry-not-a-folder");
    assert_eq!(tree(folder.path()), before);
}

#[test]
fn what_a_killed_creation_left_goes_with_a_later_one() {
    let folder = folder();
    let base = folder.path().join("base");
    let local = folder.path().join("local");
    for folder in [&base, &local] {
        let left = folder.join(".dalsegno.new-killed");
        let other = folder.join(".dalsegno.new-with-something-else");
        fs::create_dir_all(&left).unwrap();
        fs::create_dir(&other).unwrap();
        fs::write(left.join("catalog.sqlite3"), "").unwrap();
        fs::write(other.join("mine"), "").unwrap();
    }
    let create = |base: &Path, now: SystemTime| {
        let now = now.duration_since(UNIX_EPOCH).unwrap().as_millis();
        let clock = FixedClock(Timestamp(i64::try_from(now).unwrap()));
        let catalog = local.join(base.file_name().unwrap());
        Options::new().clock(clock).catalog(catalog).create(base)
    };
    let left = |folder: &Path| folder.join(".dalsegno.new-killed").exists();
    // A young leftover may belong to a process that is still at work.
    create(&base, SystemTime::now()).unwrap();
    assert!(left(&base) && left(&local));
    fs::remove_dir_all(base.join(".dalsegno")).unwrap();
    fs::remove_file(local.join("base")).unwrap();
    create(&base, SystemTime::now() + Duration::from_secs(7200)).unwrap();
    assert!(!left(&base) && !left(&local));
    for folder in [&base, &local] {
        assert!(
            folder
                .join(".dalsegno.new-with-something-else/mine")
                .exists()
        );
    }
}

#[test]
fn an_unreadable_registry_is_not_taken_for_absent() {
    if !strace::works("an error of the disk") {
        return;
    }
    let (folder, base) = base_with_registry();
    let before = tree(folder.path());
    let failing = format!("-P{}", base.join(".dalsegno").display());
    let wrapper = [
        "strace",
        "-f",
        "-qq",
        "-o/dev/null",
        &failing,
        "-e",
        "inject=statx,newfstatat:error=ESTALE",
    ];
    for action in ["open", "open-read-only", "create"] {
        assert_eq!(ask(&wrapper, action, &base), "catalog-io", "{action}");
    }
    assert_eq!(tree(folder.path()), before);
}

#[test]
fn a_creation_without_permission_leaves_nothing() {
    if !is_root("a base directory of another user") {
        return;
    }
    let folder = folder();
    let base = folder.path().join("base");
    fs::create_dir(&base).unwrap();
    let before = tree(folder.path());
    assert_eq!(ask_as_nobody("create", &base), "catalog-io");
    assert_eq!(ask_as_nobody("open", &base), "no-registry");
    // The catalog's folder is writable, the base directory is not.
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
    assert_eq!(ask_as_nobody("create-elsewhere", &base), "catalog-io");
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(tree(folder.path()), before);
}

/// A clock that can be set.
#[derive(Clone, Default)]
struct Settable(std::sync::Arc<std::sync::atomic::AtomicI64>);

impl dalsegno::model::clock::Clock for Settable {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(std::sync::atomic::Ordering::SeqCst))
    }
}

#[test]
fn a_clock_before_1970_is_an_error_whenever_it_is_set_so() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Settable::default();
    let set = |to| clock.0.store(to, std::sync::atomic::Ordering::SeqCst);
    let options = || Options::new().clock(clock.clone());
    set(-1);
    let made = options().create(folder.path()).map(drop);
    assert_eq!(outcome(made), "clock-before-epoch");
    assert!(!folder.path().join(".dalsegno").exists());
    set(0);
    let (registry, _) = options().create(folder.path()).unwrap();
    registry.record(&prediction("run", 1)).unwrap();
    set(-1);
    let recorded = registry.record(&prediction("run", 2));
    assert_eq!(outcome(recorded), "clock-before-epoch");
    for read_only in [false, true] {
        let opened = options().read_only(read_only).open(folder.path());
        assert_eq!(outcome(opened), "clock-before-epoch");
    }
    set(5);
    let rows = registry.select(&Filter::default()).unwrap();
    assert_eq!(rows.len(), 1);
}

#[test]
fn a_clock_after_9999_is_an_error_and_its_last_second_has_one_backup() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Settable::default();
    let set = |to| clock.0.store(to, std::sync::atomic::Ordering::SeqCst);
    let options = || Options::new().clock(clock.clone());
    let last = 253_402_300_799_999;
    set(last + 1);
    let made = options().create(folder.path()).map(drop);
    assert_eq!(outcome(made), "clock-too-far");
    assert!(!folder.path().join(".dalsegno").exists());
    set(0);
    let (registry, _) = options().create(folder.path()).unwrap();
    let key = prediction("run", 1);
    registry.record(&key).unwrap();
    set(last + 1);
    let recorded = registry.record(&prediction("run", 2));
    assert_eq!(outcome(recorded), "clock-too-far");
    for read_only in [false, true] {
        let opened = options().read_only(read_only).open(folder.path());
        assert_eq!(outcome(opened), "clock-too-far");
    }
    set(i64::MAX);
    let removed = registry.remove_artifact(&dalsegno::Target::Key(key.clone()));
    assert_eq!(outcome(removed.map(drop)), "clock-too-far");
    // A name that is taken and has no next one is no reason to look for ever.
    set(last);
    let backups = folder.path().join(".dalsegno/backups");
    std::fs::create_dir_all(&backups).unwrap();
    std::fs::create_dir(backups.join("99991231T235959Z.sqlite3")).unwrap();
    let report = registry
        .remove_artifact(&dalsegno::Target::Key(key))
        .unwrap();
    let failed = report.backup_failed.unwrap();
    assert_eq!(failed.code, "catalog-io");
    assert!(
        failed.reason.contains("naming a backup"),
        "{}",
        failed.reason
    );
}

#[test]
fn opening_and_the_change_after_it_wait_for_one_timeout_together() {
    let (_folder, base) = base_with_registry();
    // What a removal in flight looks like: opening waits for its turn to settle it.
    fs::create_dir_all(base.join(".dalsegno/trash/20261130-000000-abcdef")).unwrap();
    let turn = lock::take(&base.join(".dalsegno/catalog.sqlite3.turn"));
    let timeout = Duration::from_secs(2);
    let start = std::time::Instant::now();
    let registry = Options::new().lock_timeout(timeout).open(&base).unwrap();
    let opened = start.elapsed();
    assert!(opened >= timeout, "it did not wait: {opened:?}");
    let key = dalsegno::model::layout::parse("r/validation.zarr/1/a/prediction").unwrap();
    let begun = std::time::Instant::now();
    assert_eq!(code(registry.record(&key)), "lock-timeout");
    assert!(begun.elapsed() < timeout / 2, "{:?}", begun.elapsed());
    // A call for which nothing was waited before has the whole time.
    let begun = std::time::Instant::now();
    assert_eq!(code(registry.record(&key)), "lock-timeout");
    assert!(begun.elapsed() >= timeout, "{:?}", begun.elapsed());
    drop(turn);
    registry.record(&key).unwrap();
}
