//! How often metadata is opened, counted by strace; and what a scan sees of each change.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use dalsegno::ScanOptions;
use dalsegno::model::clock::{Clock, SystemClock};
use dalsegno::model::progress::Silent;

use crate::child::{ACTION, BASE, say};
use crate::fault::trace;
use crate::scene::{
    Format, length, registry, registry_at, replace, scan, write, write_array, write_dated_back,
};
use crate::strace;

/// Arrays of each format.
const ARRAYS: u64 = 20;
const SNAPSHOT: &str = "r/snapshot.zarr/raw";

fn path(format: Format, index: u64) -> String {
    format!("r/validation.zarr/{index}/{format:?}/prediction").to_lowercase()
}

/// Arrays in every format, and one with iterations in attributes of their own.
fn write_all(base: &Path) {
    for format in Format::ALL {
        for index in 0..ARRAYS {
            write_array(base, &path(format, index), format, 10 + index);
        }
    }
    write_array(base, SNAPSHOT, Format::Zarr2, 10);
    write(
        &base.join(SNAPSHOT).join(".zattrs"),
        r#"{"iterations":[1,2]}"#,
    );
}

/// Scans when it is asked to, in the way that the action says.
pub(crate) fn child() {
    let Ok(action) = std::env::var(ACTION) else {
        return;
    };
    let base = std::env::var_os(BASE).unwrap();
    let registry = registry(Path::new(&base));
    say("ready");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    let options = ScanOptions::default().measure(action == "measure");
    let report = registry.scan(options, &Silent).unwrap();
    say(&format!(
        "{} arrays, {} updated",
        report.arrays, report.updated
    ));
}

/// Metadata files that a scan opens; `None` if strace could not join it.
fn opens(action: &str, base: &Path) -> Option<usize> {
    let output = base.with_extension("trace");
    let traced = trace(action, base, "trace=openat,openat2,open", &output)?;
    let said = traced.said.first().unwrap().clone();
    let found = 3 * ARRAYS + 1;
    assert!(said.starts_with(&format!("{found} arrays")), "{said}");
    let text = fs::read_to_string(output).unwrap();
    let names = [".zarray\"", "zarr.json\"", "attributes.json\"", ".zattrs\""];
    // Threads interrupt each other's lines: what a call gave may be in a line of its own.
    let mut begun = HashMap::new();
    let mut count = 0;
    for line in text.lines() {
        let process = line.split_whitespace().next().unwrap_or_default();
        let is_metadata = names.iter().any(|name| line.contains(name));
        let is_metadata = match line.contains("<unfinished") {
            true => {
                begun.insert(process, is_metadata);
                continue;
            }
            false => begun.remove(process).unwrap_or(is_metadata),
        };
        count += usize::from(is_metadata && !line.contains("ENOENT"));
    }
    Some(count)
}

#[test]
fn metadata_that_did_not_change_is_not_opened_again() {
    if !strace::works("opens of metadata are not counted") {
        return;
    }
    for (first, second) in [("scan", "scan"), ("scan", "measure"), ("measure", "scan")] {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("base");
        fs::create_dir(&base).unwrap();
        write_all(&base);
        let all = usize::try_from(3 * ARRAYS + 2).unwrap();
        let Some(count) = opens(first, &base) else {
            return;
        };
        assert_eq!(count, all, "{first}");
        assert_eq!(opens(second, &base), Some(0), "{first}, {second}");
        for format in Format::ALL {
            let file = base.join(path(format, 3)).join(format.file());
            write_dated_back(&file, &format.text(77));
            assert_eq!(opens(second, &base), Some(1), "{file:?}");
            assert_eq!(length(&registry(&base), &path(format, 3)), Some(77));
            assert_eq!(opens(second, &base), Some(0), "{file:?}");
        }
        // Attributes are read with the metadata to which they belong.
        let attributes = base.join(SNAPSHOT).join(".zattrs");
        write_dated_back(&attributes, r#"{"iterations":[1,3]}"#);
        assert_eq!(opens(second, &base), Some(2));
        assert_eq!(opens(second, &base), Some(0));
    }
}

/// A row of a catalog that knows no files yet is read, and known from then on.
#[test]
fn what_a_refresh_read_is_not_opened_again() {
    if !strace::works("opens of metadata are not counted") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base");
    fs::create_dir(&base).unwrap();
    write_all(&base);
    scan(&registry(&base));
    forget(&base);
    let all = dalsegno::RefreshOptions::default().all(true);
    let filter = dalsegno::model::filter::Filter::default();
    registry(&base).refresh(&filter, all, &Silent).unwrap();
    if let Some(count) = opens("scan", &base) {
        assert_eq!(count, 0);
    }
}

fn catalog(base: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(base.join(".dalsegno/catalog.sqlite3")).unwrap()
}

/// Makes the catalog one that knows no files.
fn forget(base: &Path) {
    let sql = "UPDATE artifact SET metadata_file = NULL";
    assert!(catalog(base).execute(sql, []).unwrap() > 0);
}

/// Rows whose metadata file is known.
fn known(base: &Path) -> u64 {
    let sql = "SELECT count(metadata_file) FROM artifact";
    catalog(base).query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn learning_a_file_is_no_change_of_a_row() {
    let folder = tempfile::tempdir().unwrap();
    write_all(folder.path());
    scan(&registry(folder.path()));
    let operations = |base: &Path| -> u64 {
        let sql = "SELECT count(*) FROM operation";
        catalog(base).query_row(sql, [], |row| row.get(0)).unwrap()
    };
    let before = operations(folder.path());
    forget(folder.path());
    let report = scan(&registry(folder.path()));
    assert_eq!((report.adopted, report.updated), (0, 0));
    assert_eq!(known(folder.path()), 3 * ARRAYS + 1);
    assert_eq!(operations(folder.path()), before);
}

#[test]
fn a_file_that_changed_just_before_it_was_read_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    write_all(folder.path());
    scan(&registry_at(folder.path(), SystemClock.now()));
    assert_eq!(known(folder.path()), 0);
    // The same of a clock that was set back since.
    let past = SystemClock.now().minus(Duration::from_secs(3600));
    scan(&registry_at(folder.path(), past));
    assert_eq!(known(folder.path()), 0);
    scan(&registry(folder.path()));
    assert_eq!(known(folder.path()), 3 * ARRAYS + 1);
}

#[test]
fn each_way_to_change_metadata_is_seen() {
    type Way = fn(&Path, &str);
    let ways: [(&str, Way); 3] = [
        ("in place", write),
        ("in place, dated back", write_dated_back),
        ("by a rename, dated back", replace),
    ];
    for format in Format::ALL {
        for (name, change) in ways {
            let folder = tempfile::tempdir().unwrap();
            let path = path(format, 1);
            let file = write_array(folder.path(), &path, format, 10);
            let registry = registry(folder.path());
            scan(&registry);
            scan(&registry);
            assert_eq!(length(&registry, &path), Some(10));
            change(&file, &format.text(20));
            let report = scan(&registry);
            assert_eq!((report.arrays, report.updated), (1, 1), "{format:?} {name}");
            assert_eq!(length(&registry, &path), Some(20), "{format:?} {name}");
            change(&file, &"x".repeat(format.text(20).len()));
            let report = scan(&registry);
            assert_eq!((report.arrays, report.damaged), (0, 1), "{format:?} {name}");
            change(&file, &format.text(20));
            assert_eq!(scan(&registry).arrays, 1, "{format:?} {name}");
            assert_eq!(length(&registry, &path), Some(20), "{format:?} {name}");
        }
    }
}

/// A row that says something else than its file gets right, whoever wrote it.
#[test]
fn a_row_that_was_changed_otherwise_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let paths = [1, 2].map(|index| path(Format::Zarr2, index));
    for (path, length) in paths.iter().zip([10, 20]) {
        write_array(folder.path(), path, Format::Zarr2, length);
    }
    let registry = registry(folder.path());
    scan(&registry);
    let exchange = "UPDATE artifact SET metadata_id = \
         (SELECT max(b.metadata_id) FROM artifact AS b WHERE b.id <> artifact.id)";
    assert_eq!(catalog(folder.path()).execute(exchange, []).unwrap(), 2);
    scan(&registry);
    let lengths = paths.map(|path| length(&registry, &path));
    assert_eq!(lengths, [Some(10), Some(20)]);
}

/// The time of the last write comes from folders too, whatever is known of metadata.
#[test]
fn new_chunks_count_as_writes_of_known_arrays() {
    let folder = tempfile::tempdir().unwrap();
    let path = path(Format::Zarr3, 1);
    write_array(folder.path(), &path, Format::Zarr3, 10);
    let registry = registry(folder.path());
    let measure = || {
        let options = ScanOptions::default().measure(true);
        let report = registry.scan(options, &Silent).unwrap();
        (report.total.files, report.arrays)
    };
    assert_eq!(measure(), (2, 1));
    assert_eq!(measure(), (2, 1));
    write(&folder.path().join(&path).join("1"), "chunk");
    assert_eq!(measure(), (3, 1));
}
