//! Reading and recording in a catalog that is truncated or has flipped bits. Truncation is an
//! error, or the answers are right. SQLite keeps no checksums, so a flipped bit can change an
//! answer; its integrity check, which compares rows with indices, then finds it.

use std::fs;
use std::path::{Path, PathBuf};

use dalsegno::model::clock::{FixedClock, Timestamp};
use dalsegno::model::filter::Filter;
use dalsegno::model::key::Key;
use dalsegno::{Error, Options, Registry};
use rusqlite::Connection;
use tempfile::TempDir;

const CATALOG: &str = ".dalsegno/catalog.sqlite3";

fn prediction(run: &str, iteration: i64) -> Key {
    Key::Prediction {
        run: run.parse().unwrap(),
        iteration,
        dataset: "crop1".parse().unwrap(),
        container: None,
    }
}

/// A catalog of a few pages: its bytes, and its listing.
struct Catalog {
    folder: TempDir,
    bytes: Vec<u8>,
    listed: Vec<String>,
}

/// The outcome of using a damaged catalog.
#[derive(Debug, PartialEq, Eq)]
enum Use {
    /// A call failed.
    Reported,
    /// Every answer equals that of the undamaged catalog.
    Right,
    /// An answer differs, without an error. Says whether SQLite's integrity check, which compares
    /// rows with indices, finds the damage.
    Wrong { integrity_check_tells: bool },
}

impl Catalog {
    fn new() -> Self {
        let folder = crate::scene::scratch();
        let base = folder.path().join("good");
        fs::create_dir(&base).unwrap();
        let clock = FixedClock(Timestamp(1_700_000_000_000));
        let (registry, _) = Options::new().clock(clock).create(&base).unwrap();
        let keys: Vec<_> = (0..400_i64)
            .map(|n| {
                let run = ["run/a", "run/b", "c"][n as usize % 3];
                prediction(run, 1000 * n)
            })
            .collect();
        registry.record_many(&keys).unwrap();
        let listed = listing(&registry).unwrap();
        assert_eq!(listed.len(), 400);
        drop(registry);
        Self {
            bytes: fs::read(base.join(CATALOG)).unwrap(),
            folder,
            listed,
        }
    }

    fn pages(&self) -> usize {
        self.bytes.len() / 4096
    }

    /// Writes these bytes as the catalog, opens it, lists and records.
    fn use_damaged(&self, bytes: &[u8], name: &str) -> Use {
        let base = self.folder.path().join(name);
        fs::create_dir_all(base.join(".dalsegno")).unwrap();
        let catalog = base.join(CATALOG);
        fs::write(&catalog, bytes).unwrap();
        let integrity_check_tells = !integrity_check(&catalog);
        fs::write(&catalog, bytes).unwrap();
        let mut reported = false;
        let mut wrong = false;
        for read_only in [true, false] {
            match Options::new().read_only(read_only).open(&base) {
                Ok(registry) => {
                    match listing(&registry) {
                        Ok(listed) => wrong |= listed != self.listed,
                        Err(error) => reported |= is_known(&error, name),
                    }
                    if !read_only && let Err(error) = registry.record(&prediction("new", 1)) {
                        reported |= is_known(&error, name);
                    }
                }
                Err(error) => reported |= is_known(&error, name),
            }
        }
        self.assert_no_new_catalog(&base, bytes.len() as u64);
        match (wrong, reported) {
            (true, _) => Use::Wrong {
                integrity_check_tells,
            },
            (_, true) => Use::Reported,
            _ => Use::Right,
        }
    }

    /// Checks that the catalog was not replaced, and that nothing was added beside it.
    fn assert_no_new_catalog(&self, base: &Path, length: u64) {
        let found = base.join(CATALOG).metadata().unwrap().len();
        assert!(found >= length, "{found} bytes of {length} are left");
        let beside: Vec<PathBuf> = fs::read_dir(base)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert_eq!(beside, [base.join(".dalsegno")]);
    }
}

fn is_known(error: &Error, name: &str) -> bool {
    assert!(
        error.code().starts_with("catalog-") || error.code() == "read-only",
        "{name}: {error}"
    );
    true
}

fn integrity_check(catalog: &Path) -> bool {
    let result = Connection::open(catalog).and_then(|connection| {
        connection.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0))
    });
    result.as_deref() == Ok("ok")
}

/// The columns that indices hold too. Sizes, times and the origin are only in the rows, so a
/// flipped bit in them cannot be found. The state is only in a partial index, and SQLite's check
/// does not report an entry of such an index whose row is gone.
fn listing(registry: &Registry) -> dalsegno::Result<Vec<String>> {
    let rows = registry.select(&Filter::default())?;
    let lines = rows.iter().map(|row| format!("{} {}", row.id, row.key));
    Ok(lines.collect())
}

#[test]
fn a_whole_catalog_is_right() {
    let catalog = Catalog::new();
    assert_eq!(catalog.use_damaged(&catalog.bytes, "whole"), Use::Right);
}

#[test]
fn a_catalog_cut_at_any_page_is_refused_or_right() {
    let catalog = Catalog::new();
    let pages = catalog.pages();
    assert!(pages > 20, "{pages}");
    let mut reported = 0;
    for page in 1..pages {
        for length in [4096 * page, 4096 * page + 1000] {
            let found = catalog.use_damaged(&catalog.bytes[..length], &format!("cut-{length}"));
            assert!(
                found == Use::Reported || found == Use::Right,
                "{length}: {found:?}"
            );
            reported += usize::from(found == Use::Reported);
        }
    }
    assert!(
        reported > pages,
        "only {reported} of {} were reported",
        2 * pages - 2
    );
}

#[test]
fn no_flipped_bit_changes_an_answer_unnoticed_by_the_integrity_check() {
    let catalog = Catalog::new();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    // Every byte of the header, then bits anywhere.
    let mut flips: Vec<(usize, u8)> = (0..100).map(|at| (at, 1 << (at % 8))).collect();
    flips.extend((0..400).map(|_| (next(catalog.bytes.len()), 1 << next(8))));
    let mut reported = 0;
    let mut unnoticed = Vec::new();
    for (at, bit) in flips {
        let mut damaged = catalog.bytes.clone();
        damaged[at] ^= bit;
        match catalog.use_damaged(&damaged, &format!("flip-{at}-{bit}")) {
            Use::Reported => reported += 1,
            Use::Right
            | Use::Wrong {
                integrity_check_tells: true,
            } => {}
            Use::Wrong { .. } => unnoticed.push((at, bit)),
        }
    }
    // Most of such a small file is free space, whose bits do not matter.
    assert!(reported > 50, "only {reported} were reported");
    assert!(unnoticed.is_empty(), "{unnoticed:?}");
}
