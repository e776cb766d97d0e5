//! Faults while a registry is made, migrated, recorded in, scanned and sealed: the process is
//! killed at every system call that changes something, and every call that can fail fails, once or
//! from then on. Afterwards the base directory opens, its catalog is sound, a change is complete or
//! absent, acknowledged changes are there, and no data was touched.
//!
//! A child does the work; `strace` attaches when it is ready. A first run without a fault lists the
//! calls. To run a single fault and see the child's output:
//!
//! ```text
//! DALSEGNO_FAULT=create:kill:fsync:2 cargo test --test faults_create -- --nocapture
//! ```
//!
//! The parts are the action (`create`, `migrate`, `record`, `scan`, `seal`), the fault (`kill`,
//! `EIO`, `ENOSPC`), and the system call with its number in its thread. Without a working `strace`
//! the tests say so and are left out.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "helpers of tests are not seen as tests"
)]

#[expect(dead_code, reason = "some of the helpers are for other tests")]
mod child;
#[path = "child/fault.rs"]
mod fault;
#[path = "child/strace.rs"]
mod strace;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use child::{assert_sound, prediction, say, tree, write_array};
use dalsegno::ScanOptions;
use dalsegno::model::artifact::{Artifact, State};
use dalsegno::model::clock::Timestamp;
use dalsegno::model::filter::Filter;
use dalsegno::model::key::Key;
use dalsegno::model::progress::Silent;
use dalsegno::testing::backup;
use dalsegno::{Error, Options, Registry, Target};
use fault::{CHANGES, calls, copy, trace};
use tempfile::TempDir;

const CATALOG: &str = ".dalsegno/catalog.sqlite3";

/// Further calls that may fail.
const READS: &str = "pread64,getdents64,statx,newfstatat";
/// Calls that can fail with ENOSPC.
const GROWS: [&str; 12] = [
    "openat",
    "write",
    "pwrite64",
    "ftruncate",
    "fallocate",
    "mkdir",
    "mkdirat",
    "link",
    "linkat",
    "rename",
    "renameat",
    "renameat2",
];

/// The body of a child: prints `ready` and begins when its standard input ends.
#[test]
fn child_entry() {
    let Ok(action) = std::env::var(child::ACTION) else {
        return;
    };
    let base = PathBuf::from(std::env::var_os(child::BASE).unwrap());
    // SAFETY: a plain system call; it lets strace attach if only parents may trace.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY) };
    say("ready");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    let done = match action.as_str() {
        "create" => Registry::create(&base).map(|_| "ok".to_owned()),
        "migrate" => open(&base).map(|_| "ok".to_owned()),
        "record" => open(&base)
            .and_then(|registry| registry.record(&key()))
            .map(|_| "ok".to_owned()),
        "scan" => open(&base)
            .and_then(|registry| registry.scan(options(), &Silent))
            .map(|report| format!("ok, {} findings", report.notices.len())),
        "seal" => open(&base)
            .and_then(|registry| registry.seal(&Target::Key(key())))
            .map(|_| "ok".to_owned()),
        other => panic!("no action {other}"),
    };
    say(&done.unwrap_or_else(|error| error.code().to_owned()));
}

/// Opens with a short lock timeout: some faults leave locks that are released only when the process
/// ends.
fn open(base: &Path) -> dalsegno::Result<Registry> {
    Options::new()
        .lock_timeout(Duration::from_secs(1))
        .open(base)
}

fn options() -> ScanOptions {
    ScanOptions::default().measure(true).threads(Some(1))
}

/// The key that is recorded and sealed.
fn key() -> Key {
    prediction("run", 1)
}

fn arrays() -> [Key; 3] {
    [key(), prediction("run", 2), prediction("other", 1)]
}

/// The action of a child, and what must hold afterwards.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Create,
    Migrate,
    Record,
    Scan,
    Seal,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    Kill,
    Error(&'static str),
}

impl Case {
    fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Migrate => "migrate",
            Self::Record => "record",
            Self::Scan => "scan",
            Self::Seal => "seal",
        }
    }

    /// Makes the base directory that the child finds.
    fn prepare(self, base: &Path) {
        if self == Self::Migrate {
            return unpack_older(base);
        }
        fs::create_dir(base).unwrap();
        for key in arrays() {
            write_array(base, &key);
        }
        if self != Self::Create {
            let registry = Registry::create(base).unwrap();
            registry.record(&prediction("earlier", 1)).unwrap();
            if self == Self::Seal {
                registry.record(&key()).unwrap();
            }
        }
    }

    /// Checks the state after the child printed `said`.
    fn check(self, base: &Path, said: &[String]) {
        let is_acknowledged = said.first().is_some_and(|said| said.starts_with("ok"));
        if self == Self::Migrate {
            return check_migrated(base, is_acknowledged);
        }
        if self == Self::Create {
            if base.join(".dalsegno").exists() {
                Registry::open(base).unwrap();
            } else {
                assert!(!is_acknowledged);
                assert_eq!(Registry::open(base).err().unwrap().code(), "no-registry");
                Registry::create(base).unwrap();
            }
        }
        let registry = Registry::open(base).unwrap();
        let mut rows = registry.select(&Filter::default()).unwrap();
        if self != Self::Create {
            let earlier = rows
                .iter()
                .position(|row| row.key == prediction("earlier", 1));
            rows.remove(earlier.unwrap());
        }
        let of_key = rows.iter().find(|row| row.key == key());
        match self {
            Self::Create | Self::Migrate => assert!(rows.is_empty()),
            Self::Record => {
                assert_eq!(rows.len(), usize::from(of_key.is_some()));
                assert!(of_key.is_some() || !is_acknowledged);
                assert!(of_key.is_none_or(|row| row.state == State::Reserved));
            }
            Self::Scan => {
                let is_whole = said.first().is_some_and(|said| said == "ok, 0 findings");
                assert!(rows.len() == 3 || !is_whole);
                // One transaction adopts everything that was found.
                assert!(rows.is_empty() || rows.len() == 3 || is_acknowledged);
                for row in rows {
                    // A size that could not be counted is unknown, never a wrong number.
                    let is_uncounted = is_acknowledged && !is_whole && row.size.is_none();
                    assert!(is_seen(&row) || is_uncounted, "{row:?}");
                    assert_eq!(row.sealed_at, None);
                }
            }
            Self::Seal => {
                let row = of_key.unwrap();
                let is_sealed = is_seen(row) && row.sealed_at.is_some();
                let is_as_before =
                    row.state == State::Reserved && row.size.is_none() && row.sealed_at.is_none();
                assert!(is_sealed || (is_as_before && !is_acknowledged), "{row:?}");
            }
        }
        // The interrupted action can be completed now.
        registry.record(&key()).unwrap();
        registry.seal(&Target::Key(key())).unwrap();
        let report = registry.scan(options(), &Silent).unwrap();
        assert_eq!((report.arrays, report.notices.len()), (3, 0));
    }
}

/// The version that the catalog to be migrated has.
const OLDER: i64 = 3;

/// Makes a base directory with a catalog of that version.
fn unpack_older(base: &Path) {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let archive = fs::File::open(data.join(format!("catalog_v{OLDER}.tar.gz"))).unwrap();
    let unpacked = base.with_extension("unpacked");
    tar::Archive::new(flate2::read::GzDecoder::new(archive))
        .unpack(&unpacked)
        .unwrap();
    fs::rename(unpacked.join("base"), base).unwrap();
    fs::remove_dir(unpacked).unwrap();
}

/// Checks that the catalog has the old or the new version, and the new one only with a backup.
fn check_migrated(base: &Path, is_acknowledged: bool) {
    let version: i64 = rusqlite::Connection::open(base.join(CATALOG))
        .unwrap()
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert!(version > OLDER || !is_acknowledged);
    let backups = || {
        let found = backup::list(&base.join(".dalsegno/backups"), Timestamp(i64::MAX)).unwrap();
        for found in &found {
            assert_eq!(backup::check(&found.path).unwrap().schema, OLDER);
            assert_sound(&found.path);
        }
        found.len()
    };
    assert!(version == OLDER || backups() > 0);
    let registry = Registry::open(base).unwrap();
    assert_eq!(registry.select(&Filter::default()).unwrap().len(), 9);
    assert!(registry.check_history(None).unwrap().is_whole());
    // A backup made before the fault equals the next one.
    assert_eq!(backups(), 1);
    registry.record(&key()).unwrap();
}

/// Whether a row has everything that an observation of its data gives.
fn is_seen(row: &Artifact) -> bool {
    let size = row.size.map(|size| (size.bytes.0, size.files));
    row.state == State::Present && row.written_at.is_some() && size == Some((7, 2))
}

/// The data in a base directory: everything except the registry's files.
fn data(base: &Path) -> BTreeMap<String, String> {
    let own = base.join(".dalsegno").display().to_string();
    let mut data = tree(base);
    data.retain(|path, _| !path.starts_with(&own));
    data
}

/// Checks that there is only data, a registry, and leftovers of a killed creation or backup.
fn assert_no_leftovers(base: &Path) {
    let names = |folder: PathBuf| -> BTreeSet<String> {
        fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    };
    for name in names(base.to_owned()) {
        let is_known = ["run", "other", "er", "mito", ".dalsegno"].contains(&name.as_str());
        assert!(is_known || name.starts_with(".dalsegno.new-"), "{name}");
    }
    for name in names(base.join(".dalsegno")) {
        let is_known = ["trash", "backups", "config.toml"].contains(&name.as_str());
        assert!(is_known || name.starts_with("catalog.sqlite3"), "{name}");
    }
}

fn sweep(case: Case, fault: Fault) {
    let fault_name = match fault {
        Fault::Kill => "kill",
        Fault::Error(error) => error,
    };
    let what = format!("{}:{fault_name}", case.name());
    let only = std::env::var("DALSEGNO_FAULT").ok();
    let is_wanted = |point: &str| only.as_deref().is_none_or(|only| only.starts_with(point));
    if !is_wanted(&format!("{what}:")) || !strace::works(&what) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let template = folder.path().join("template");
    case.prepare(&template);
    let base = folder.path().join("traced");
    copy(&template, &base);
    let output = folder.path().join("trace");
    let expression = match fault {
        Fault::Kill => format!("trace={CHANGES}"),
        Fault::Error(_) => format!("trace={CHANGES},{READS}"),
    };
    let Some(traced) = trace(case.name(), &base, &expression, &output) else {
        strace::left_out::left_out(&format!("strace cannot join a process here: {what}"));
        return;
    };
    assert!(traced.said.iter().any(|said| said.starts_with("ok")));
    let calls = calls(&fs::read_to_string(&output).unwrap());
    assert!(calls.len() > 20, "{what}: only {} calls", calls.len());

    let mut points = 0;
    for (call, number) in calls {
        let point = format!("{what}:{call}:{number}");
        let injection = match fault {
            Fault::Kill => format!("signal=SIGKILL:when={number}"),
            Fault::Error(_) if call == "close" => continue,
            // If a lock cannot be released, SQLite waits for itself for ten seconds.
            Fault::Error(_) if call == "fcntl" && case != Case::Record => continue,
            Fault::Error("ENOSPC") if !GROWS.contains(&call.as_str()) => continue,
            // A disk that is full stays full.
            Fault::Error("ENOSPC") => format!("error=ENOSPC:when={number}+"),
            Fault::Error(error) => format!("error={error}:when={number}"),
        };
        if only.is_none() && !fault::is_in_sample(&call, number) {
            continue;
        }
        if only.as_ref().is_none_or(|only| *only == point) {
            points += 1;
            let expression = format!("inject={call}:{injection}");
            run_with(case, &template, &expression, &point, &folder);
        }
    }
    assert!(points > 0, "there is no such call");
}

/// Runs a child with one fault, and checks the state that it leaves.
fn run_with(case: Case, template: &Path, expression: &str, point: &str, folder: &TempDir) {
    eprintln!("{point}");
    let base = folder.path().join("base");
    copy(template, &base);
    let before = data(&base);
    let traced = trace(case.name(), &base, expression, Path::new("/dev/null")).unwrap();
    eprintln!("  said {:?}", traced.said);
    assert!(!traced.stderr.contains("panicked"), "{}", traced.stderr);
    for said in &traced.said {
        assert!(
            said.starts_with("ok") || Error::CODES.contains(&said.as_str()),
            "{said}"
        );
    }
    // For other calls SQLite does not report that the disk is full.
    if point.contains(":ENOSPC:pwrite64:") {
        let codes = ["ok", "ok, 0 findings", "catalog-full", "no-backup"];
        assert!(codes.contains(&traced.said[0].as_str()));
    }
    case.check(&base, &traced.said);
    assert_eq!(data(&base), before, "data was touched");
    assert_no_leftovers(&base);
    assert_sound(&base.join(CATALOG));
    fs::remove_dir_all(&base).unwrap();
}

#[test]
fn creating_survives_a_kill_at_every_call() {
    sweep(Case::Create, Fault::Kill);
}

#[test]
fn creating_survives_an_error_of_every_call() {
    sweep(Case::Create, Fault::Error("EIO"));
}

#[test]
fn creating_survives_a_full_disk() {
    sweep(Case::Create, Fault::Error("ENOSPC"));
}

#[test]
fn migrating_survives_a_kill_at_every_call() {
    sweep(Case::Migrate, Fault::Kill);
}

#[test]
fn migrating_survives_an_error_of_every_call() {
    sweep(Case::Migrate, Fault::Error("EIO"));
}

#[test]
fn migrating_survives_a_full_disk() {
    sweep(Case::Migrate, Fault::Error("ENOSPC"));
}

#[test]
fn recording_survives_a_kill_at_every_call() {
    sweep(Case::Record, Fault::Kill);
}

#[test]
fn recording_survives_an_error_of_every_call() {
    sweep(Case::Record, Fault::Error("EIO"));
}

#[test]
fn recording_survives_a_full_disk() {
    sweep(Case::Record, Fault::Error("ENOSPC"));
}

#[test]
fn scanning_survives_a_kill_at_every_call() {
    sweep(Case::Scan, Fault::Kill);
}

#[test]
fn scanning_survives_an_error_of_every_call() {
    sweep(Case::Scan, Fault::Error("EIO"));
}

#[test]
fn scanning_survives_a_full_disk() {
    sweep(Case::Scan, Fault::Error("ENOSPC"));
}

#[test]
fn sealing_survives_a_kill_at_every_call() {
    sweep(Case::Seal, Fault::Kill);
}

#[test]
fn sealing_survives_an_error_of_every_call() {
    sweep(Case::Seal, Fault::Error("EIO"));
}

#[test]
fn sealing_survives_a_full_disk() {
    sweep(Case::Seal, Fault::Error("ENOSPC"));
}
