//! Random changes of arrays: after each, a scan that knows the files gives what a first scan gives.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use proptest::prelude::*;

use crate::scene::{
    Format, present, registry, replace, scan, write, write_array, write_dated_back,
};

/// Where arrays are, and folders that may become arrays or pyramids.
const PLACES: [&str; 6] = [
    "r/validation.zarr/1/d/prediction",
    "r/validation.zarr/2/d/prediction",
    "r/validation.zarr/2/d/prediction/s0",
    "r/validation.zarr/2/d/output/p",
    "r/snapshot.zarr/raw",
    "s/data.n5/a",
];

#[derive(Debug, Clone)]
enum Change {
    Write(Format, u64),
    DateBack(Format, u64),
    Replace(Format, u64),
    Damage(Format),
    Remove(Format),
    RemoveAll,
    Iterations(u64),
    Mode(u32),
    Exchange,
}

fn changes() -> impl Strategy<Value = (usize, Change)> {
    let format = || prop::sample::select(Format::ALL.to_vec());
    let change = prop_oneof![
        3 => (format(), 10..14_u64).prop_map(|(format, length)| Change::Write(format, length)),
        2 => (format(), 10..14_u64).prop_map(|(format, length)| Change::DateBack(format, length)),
        2 => (format(), 10..14_u64).prop_map(|(format, length)| Change::Replace(format, length)),
        1 => format().prop_map(Change::Damage),
        1 => format().prop_map(Change::Remove),
        1 => Just(Change::RemoveAll),
        2 => (0..3_u64).prop_map(Change::Iterations),
        1 => prop::sample::select(vec![0o600, 0o644]).prop_map(Change::Mode),
        1 => Just(Change::Exchange),
    ];
    (0..PLACES.len(), change)
}

fn perform(base: &Path, place: usize, change: &Change) {
    let path = PLACES[place];
    let folder = base.join(path);
    match change {
        Change::Write(format, length) => drop(write_array(base, path, *format, *length)),
        Change::DateBack(format, length) if folder.join(format.file()).is_file() => {
            write_dated_back(&folder.join(format.file()), &format.text(*length));
        }
        Change::Replace(format, length) if folder.join(format.file()).is_file() => {
            replace(&folder.join(format.file()), &format.text(*length));
        }
        Change::Damage(format) if folder.is_dir() => write(&folder.join(format.file()), "{"),
        Change::Iterations(number) if folder.is_dir() => {
            write(
                &folder.join(".zattrs"),
                &format!(r#"{{"iterations":[{number}]}}"#),
            );
        }
        Change::Mode(mode) if folder.join(".zarray").is_file() => {
            let mode = fs::Permissions::from_mode(*mode);
            fs::set_permissions(folder.join(".zarray"), mode).unwrap();
        }
        Change::Remove(format) => {
            let _ = fs::remove_file(folder.join(format.file()));
            // Chunks whose metadata is gone keep their row, which a first scan would not make.
            let is_left = |format: Format| folder.join(format.file()).exists();
            if !Format::ALL.into_iter().any(is_left) {
                let _ = fs::remove_dir_all(folder);
            }
        }
        Change::RemoveAll => drop(fs::remove_dir_all(folder)),
        Change::Exchange => {
            let other = base.join(PLACES[(place + 3) % PLACES.len()]);
            let aside = base.join("aside");
            if folder.is_dir() && other.is_dir() {
                fs::rename(&folder, &aside).unwrap();
                fs::rename(&other, &folder).unwrap();
                fs::rename(&aside, &other).unwrap();
            }
        }
        Change::DateBack(..) | Change::Replace(..) | Change::Damage(_) => {}
        Change::Iterations(_) | Change::Mode(_) => {}
    }
}

/// What a first scan into a catalog of its own gives.
fn first_scan(base: &Path) -> (u64, Vec<String>) {
    let (own, aside) = (base.join(".dalsegno"), base.with_extension("aside"));
    fs::rename(&own, &aside).unwrap();
    let fresh = registry(base);
    let found = scan(&fresh).arrays;
    let rows = present(&fresh);
    drop(fresh);
    fs::remove_dir_all(&own).unwrap();
    fs::rename(&aside, &own).unwrap();
    (found, rows)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_changes_give_the_rows_of_a_first_scan(
        changes in prop::collection::vec((changes(), any::<bool>()), 1..12)
    ) {
        // In memory if there is a tmpfs: that is quicker.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let folder = folder.unwrap();
        let base = folder.path().join("base");
        fs::create_dir(&base).unwrap();
        for (place, format) in [(0, Format::Zarr2), (1, Format::Zarr3), (3, Format::Zarr2),
            (4, Format::Zarr2), (5, Format::N5)] {
            write_array(&base, PLACES[place], format, 10);
        }
        scan(&registry(&base));
        for ((place, change), is_scanned) in changes {
            perform(&base, place, &change);
            // Several changes may come between two scans.
            if is_scanned {
                let again = registry(&base);
                let found = (scan(&again).arrays, present(&again));
                drop(again);
                prop_assert_eq!(found, first_scan(&base), "{:?} of {}", change, PLACES[place]);
            }
        }
    }
}
