//! Limits of verify: options, selections, notices, and what cannot be read or written.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use dalsegno::Registry;
use dalsegno::model::progress::Silent;

use super::*;

#[test]
fn a_sound_registry_has_no_findings() {
    let world = World::new();
    for options in [
        VerifyOptions::default(),
        VerifyOptions::new()
            .measure(true)
            .indices(true)
            .threads(Some(1)),
        VerifyOptions::new().quick(true),
    ] {
        let report = world.verify_with(&Filter::default(), options);
        assert_eq!(report.findings, []);
        assert_eq!((report.rows, report.arrays), (5, 5));
        assert_eq!(report.operations.is_none(), options.quick);
        let measured = if options.measure {
            5
        } else {
            u64::from(!options.quick)
        };
        assert_eq!(report.measured, measured);
    }
}

#[test]
fn sizes_are_compared_on_request() {
    let world = World::new();
    fs::remove_file(world.path("a/snapshot.zarr/raw/0.0")).unwrap();
    fs::remove_file(world.path(SEALED).join("0.0")).unwrap();
    let found = |options| lines(&world.verify_with(&Filter::default(), options).findings).len();
    let default = VerifyOptions::default();
    assert_eq!(found(default), 1);
    assert_eq!(found(default.quick(true)), 0);
    assert_eq!(found(default.measure(true)), 2);
}

#[test]
fn a_repair_voids_the_seal_of_what_lost_chunks() {
    let world = World::new();
    fs::remove_file(world.path(SEALED).join("0.0")).unwrap();
    let report = world.verify();
    let detail = &report.findings[0].detail;
    assert!(
        detail.contains("with 6 files, 42 bytes; now 5 files, 37 bytes"),
        "{detail}"
    );
    world.repair(&report.findings);
    let row = world
        .registry
        .get(&Target::Path(SEALED.into()))
        .unwrap()
        .unwrap();
    assert_eq!((row.size.unwrap().files, row.sealed_at), (5, None));
}

#[test]
fn the_selection_restricts_rows_and_runs() {
    let world = World::new();
    fs::remove_dir_all(world.path(SEALED)).unwrap();
    fs::remove_dir_all(world.path("b/validation.zarr/9/other/prediction")).unwrap();
    write(&world.path("a/validation.zarr/3/crop/prediction"));
    write(&world.path("bb/validation.zarr/3/crop/prediction"));
    let found = |filter: Filter| {
        let report = world.verify_with(&filter, VerifyOptions::default());
        let paths = report.findings.into_iter().map(|found| found.path);
        paths.collect::<Vec<_>>()
    };
    let lost = SEALED;
    let new = "a/validation.zarr/3/crop/prediction";
    let runs = |runs: &[&str]| Filter::default().runs(runs.iter().copied());
    assert_eq!(found(runs(&["a"])), [lost, new]);
    assert_eq!(
        found(runs(&["bb"])),
        ["bb/validation.zarr/3/crop/prediction"]
    );
    assert_eq!(found(runs(&["b*"])).len(), 2);
    assert_eq!(found(runs(&["../a", "none"])), [""; 0]);
    let snapshots = Filter::default().kinds([Kind::Snapshot]);
    assert_eq!(found(snapshots), [""; 0]);
    assert_eq!(found(Filter::default()).len(), 4);
}

#[test]
fn what_the_walk_notices_is_no_finding() {
    let world = World::new();
    write(&world.path("loose"));
    fs::create_dir_all(world.path("a/other.zarr/bad")).unwrap();
    fs::write(world.path("a/other.zarr/bad/zarr.json"), "{").unwrap();
    symlink("validation.zarr", world.path("a/link.zarr")).unwrap();
    let report = world.verify();
    assert_eq!(report.findings, []);
    let classes: Vec<&str> = report
        .notices
        .iter()
        .map(|notice| notice.class.as_str())
        .collect();
    assert_eq!(
        classes,
        ["symlink", "damaged-metadata", "outside-container"]
    );
}

#[test]
fn reserved_rows_are_not_compared() {
    let world = World::new();
    let key = dalsegno::model::layout::parse("a/validation.zarr/5/crop/prediction").unwrap();
    let path = world.registry.record(&key).unwrap().artifact.path();
    assert_eq!(world.verify().findings, []);
    write(&path);
    assert_eq!(world.verify().findings, []);
}

#[test]
fn a_catalog_that_cannot_be_written_is_verified_and_not_repaired() {
    let world = World::new();
    fs::remove_dir_all(world.path(SEALED)).unwrap();
    let registry = Registry::open_read_only(world.folder.path()).unwrap();
    let report = registry
        .verify(&Filter::default(), VerifyOptions::default(), &Silent)
        .unwrap();
    assert_eq!(report.findings.len(), 1);
    let error = registry.repair(&report.findings, &Silent).unwrap_err();
    assert_eq!(error.code(), "read-only");
    assert_eq!(registry.repair(&[], &Silent).unwrap().left, []);
}

#[test]
fn a_damaged_file_is_reported_and_not_repaired() {
    let world = World::new();
    fs::remove_dir_all(world.path(SEALED)).unwrap();
    let catalog = world.path(CATALOG);
    world.sql("PRAGMA wal_checkpoint(TRUNCATE)");
    let World { folder, registry } = world;
    drop(registry);
    // The root page of a table that no listing reads.
    let connection = rusqlite::Connection::open(&catalog).unwrap();
    let root: usize = connection
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'score'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    drop(connection);
    let mut bytes = fs::read(&catalog).unwrap();
    bytes[(root - 1) * 4096..][..100].fill(0xEE);
    fs::write(&catalog, bytes).unwrap();
    let registry = Registry::open_read_only(folder.path()).unwrap();
    let report = registry
        .verify(&Filter::default(), VerifyOptions::default(), &Silent)
        .unwrap();
    let counts = report.counts();
    assert!(
        counts.contains_key(&VerifyClass::CatalogDamaged),
        "{report:?}"
    );
    assert_eq!(counts.get(&VerifyClass::RowWithoutData), Some(&1));
    assert!(report.findings.iter().all(|found| found.repair.is_none()));
}

/// An unreadable folder is reported once, and nothing below it is judged. Runs as an unprivileged
/// user.
pub(crate) fn unreadable(base: &Path) {
    let registry = common::create(base);
    for array in ARRAYS {
        write(&base.join("a").join(array));
    }
    registry.scan(ScanOptions::default(), &Silent).unwrap();
    let folder = base.join("a/validation.zarr");
    fs::remove_dir_all(base.join("a").join(ARRAYS[0])).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o000)).unwrap();
    let report = registry
        .verify(&Filter::default(), VerifyOptions::default(), &Silent)
        .unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(
        lines(&report.findings),
        ["unreadable a/validation.zarr [-]"]
    );
    assert!(!report.is_complete);
    let repaired = registry.repair(&report.findings, &Silent).unwrap();
    assert_eq!((repaired.repaired.len(), repaired.left.len()), (0, 1));
    let report = registry
        .verify(&Filter::default(), VerifyOptions::default(), &Silent)
        .unwrap();
    assert_eq!(report.findings.len(), 1);
}

#[test]
fn a_folder_that_cannot_be_read_is_reported_and_nothing_below_it_is_judged() {
    use std::os::unix::process::CommandExt;
    let folder = tempfile::tempdir().unwrap();
    if !rustix::process::geteuid().is_root() {
        return unreadable(folder.path());
    }
    // Root ignores file modes, so the test runs itself again as the user `nobody`.
    let user = 65_534;
    std::os::unix::fs::chown(folder.path(), Some(user), Some(user)).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "limits::child_entry", "--nocapture"])
        .env("DALSEGNO_TEST_BASE", folder.path())
        .uid(user)
        .gid(user);
    match command.output() {
        Ok(output) => assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(error) => crate::left_out::left_out(&format!(
            "the user `nobody` cannot run this program: {error}"
        )),
    }
}

/// The body of the child.
#[test]
fn child_entry() {
    if let Some(base) = std::env::var_os("DALSEGNO_TEST_BASE") {
        unreadable(Path::new(&base));
    }
}

/// A list of another program may name very many. If each were looked for in all others, this test
/// would take many minutes.
#[test]
fn a_list_that_names_very_many_that_are_gone_is_compared_and_repaired() {
    const NAMES: usize = 20_000;
    let world = World::new();
    let container = world.path("a/validation.zarr");
    let entries = |end: &str| {
        let names = (0..NAMES).map(|at| format!("\"x{at}{end}\":{{}}"));
        names.collect::<Vec<_>>().join(",")
    };
    let zarr2 = format!("{{\"metadata\":{{{}}}}}", entries("/.zarray"));
    let zarr3 = format!(
        "{{\"node_type\":\"group\",\"zarr_format\":3,\"consolidated_metadata\":\
         {{\"metadata\":{{{}}}}}}}",
        entries("")
    );
    for (file, list) in [(".zmetadata", zarr2), ("zarr.json", zarr3)] {
        fs::write(container.join(file), list).unwrap();
        let report = world.verify_with(&Filter::default(), VerifyOptions::new().quick(true));
        let found: Vec<_> = report.findings.iter().map(|found| found.class).collect();
        assert_eq!(found, [VerifyClass::StaleList], "{file}");
        let detail = &report.findings[0].detail;
        assert!(detail.ends_with("and 19,997 more"), "{detail}");
        world.repair(&report.findings);
        let text = fs::read_to_string(container.join(file)).unwrap();
        assert!(!text.contains("\"x"), "{file}");
        // A removal reads the list too.
        fs::remove_file(container.join(file)).unwrap();
    }
}

/// Beyond that, each folder would be opened again from the base directory, one name at a time.
#[test]
fn an_array_below_the_longest_path_is_one_finding() {
    const DEPTH: usize = 25;
    let name = "d".repeat(200);
    let world = World::new();
    let mut folder = rustix::fs::open(
        world.path("a/validation.zarr"),
        rustix::fs::OFlags::DIRECTORY,
        rustix::fs::Mode::empty(),
    )
    .unwrap();
    for _ in 0..DEPTH {
        rustix::fs::mkdirat(&folder, &*name, rustix::fs::Mode::from_raw_mode(0o755)).unwrap();
        folder = rustix::fs::openat(
            &folder,
            &*name,
            rustix::fs::OFlags::DIRECTORY,
            rustix::fs::Mode::empty(),
        )
        .unwrap();
    }
    let flags = rustix::fs::OFlags::CREATE | rustix::fs::OFlags::WRONLY;
    let array = rustix::fs::openat(
        &folder,
        ".zarray",
        flags,
        rustix::fs::Mode::from_raw_mode(0o644),
    )
    .unwrap();
    rustix::io::write(&array, b"{}").unwrap();
    let quick = VerifyOptions::new().quick(true);
    let report = world.registry.verify(&Filter::default(), quick, &Silent);
    let found = report.unwrap().findings;
    let found: Vec<_> = found.iter().map(|it| (it.class, it.path.len())).collect();
    let length = "a/validation.zarr".len() + DEPTH * (1 + name.len());
    assert_eq!(found, [(VerifyClass::Unreadable, length)]);
    // What ends a test cannot unlink it.
    let mut rm = Command::new("rm");
    let removed = rm
        .arg("-rf")
        .arg(world.path("a/validation.zarr").join(&name));
    assert!(removed.status().unwrap().success());
}
