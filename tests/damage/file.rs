//! Damage to the catalog's file: truncated, flipped, emptied, replaced; its log missing or
//! another's.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rusqlite::Connection;

use crate::calls::{CALLS, Call, answer_of, code, meet};
use crate::scene::{CATALOG, NOW, Scene, TRASHED, key, listed, open, sql};

pub(crate) fn catalog(base: &Path) -> std::path::PathBuf {
    base.join(CATALOG)
}

/// Moves the catalog to a name that the registry does not look at.
fn set_aside(base: &Path) {
    fs::remove_file(catalog(base)).unwrap();
}

/// A registry of another base directory with the same runs, as if a user copied the wrong file.
fn of_another(base: &Path) {
    let other = Scene::with(&|other| {
        fs::remove_dir_all(other.join(".dalsegno")).unwrap();
        let registry = open(other, NOW, true).unwrap();
        registry
            .scan(
                dalsegno::ScanOptions::default(),
                &dalsegno::model::progress::Silent,
            )
            .unwrap();
    });
    fs::copy(catalog(&other.base()), catalog(base)).unwrap();
}

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) damage: fn(&Path),
    /// The outcome of every command.
    pub(crate) code: &'static str,
}

/// Files that are not a catalog, in the place of the catalog.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "emptied",
        damage: |base| fs::write(catalog(base), "").unwrap(),
        code: "catalog-damaged",
    },
    Case {
        name: "cut within its header",
        damage: |base| {
            let file = fs::File::options().write(true).open(catalog(base));
            file.unwrap().set_len(60).unwrap();
        },
        code: "catalog-damaged",
    },
    Case {
        name: "zeros",
        damage: |base| fs::write(catalog(base), vec![0; 65_536]).unwrap(),
        code: "catalog-damaged",
    },
    Case {
        name: "no database",
        damage: |base| fs::write(catalog(base), "iteration,voi\n".repeat(1000)).unwrap(),
        code: "catalog-damaged",
    },
    Case {
        name: "a folder",
        damage: |base| {
            set_aside(base);
            fs::create_dir(catalog(base)).unwrap();
        },
        code: "catalog-not-a-file",
    },
    Case {
        name: "a symbolic link to a catalog",
        damage: |base| {
            let aside = base.with_file_name("catalog-elsewhere");
            fs::rename(catalog(base), &aside).unwrap();
            symlink(&aside, catalog(base)).unwrap();
        },
        code: "catalog-not-a-file",
    },
    Case {
        name: "a symbolic link that leads nowhere",
        damage: |base| {
            set_aside(base);
            symlink("/nowhere/catalog", catalog(base)).unwrap();
        },
        code: "catalog-not-a-file",
    },
    Case {
        name: "a FIFO",
        damage: |base| {
            set_aside(base);
            let made = std::process::Command::new("mkfifo")
                .arg(catalog(base))
                .status();
            assert!(made.unwrap().success());
        },
        code: "catalog-not-a-file",
    },
    Case {
        name: "gone",
        damage: set_aside,
        code: "catalog-missing",
    },
    Case {
        name: "another program's",
        damage: |base| {
            set_aside(base);
            let other = Connection::open(catalog(base)).unwrap();
            other
                .execute_batch("PRAGMA application_id = 1; CREATE TABLE artifact (id); ")
                .unwrap();
        },
        code: "catalog-foreign",
    },
    Case {
        name: "a database without tables that says it is a catalog",
        damage: |base| {
            set_aside(base);
            let other = Connection::open(catalog(base)).unwrap();
            other
                .execute_batch("PRAGMA application_id = 1681093479; PRAGMA user_version = 4")
                .unwrap();
        },
        code: "catalog-damaged",
    },
    Case {
        name: "a catalog whose tables are gone",
        damage: |base| {
            sql(
                base,
                "DROP TABLE pinned; DROP TABLE image; DROP TABLE moved",
            )
        },
        code: "catalog-damaged",
    },
    Case {
        name: "another registry's",
        damage: of_another,
        code: "catalog-mismatch",
    },
    Case {
        name: "of a newer version",
        damage: |base| sql(base, "PRAGMA user_version = 99"),
        code: "catalog-too-new",
    },
];

#[test]
fn what_is_no_catalog_is_refused_by_every_command_and_left_as_it_is() {
    for case in CASES {
        for call in CALLS {
            let answer = meet(case.name, &case.damage, call);
            // A command that reads none of the missing tables does not notice.
            let may_be_right = case.name == "a catalog whose tables are gone";
            let found = code(&answer);
            assert!(
                found == case.code || (may_be_right && found == "ok"),
                "{}, {call:?}: {found}",
                case.name
            );
        }
    }
}

#[test]
fn a_catalog_cut_at_any_page_costs_no_data_whatever_is_called() {
    let bytes = fs::read(catalog(&Scene::with(&|_| {}).base())).unwrap();
    let pages = bytes.len() / 4096;
    assert!(pages > 30, "{pages}");
    let mut reported = 0;
    for page in 1..pages {
        // Each page is tested with two calls that remove or repair, and two others in turn.
        let turn = |step: usize| CALLS[(2 * page + step) % CALLS.len()];
        for call in [Call::GcApply, Call::Verify, turn(0), turn(1)] {
            let cut = |base: &Path| fs::write(catalog(base), &bytes[..4096 * page]).unwrap();
            let answer = meet(&format!("cut at page {page}"), &cut, call);
            let findings = answer.as_ref().map_or(&[][..], |answer| &answer.listed[..]);
            let is_found = call == Call::Verify && !findings.is_empty();
            reported += usize::from(answer.is_err() || is_found);
            // A truncated catalog is never accepted as whole.
            assert!(
                call != Call::Verify || is_found || answer.is_err(),
                "{page}"
            );
        }
    }
    assert!(
        reported > 2 * pages,
        "only {reported} answers about {pages} pages report it"
    );
}

/// Catalogs with flipped bytes: one byte, or a range like a bad sector.
pub(crate) fn flips(rounds: usize) -> Vec<(String, Vec<u8>)> {
    let bytes = fs::read(catalog(&Scene::with(&|_| {}).base())).unwrap();
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let flip = |round: usize| {
        let (at, length) = (next(bytes.len()), [1, 1, 64, 512][round % 4]);
        let mut damaged = bytes.clone();
        for byte in damaged.iter_mut().skip(at).take(length) {
            *byte ^= 1 + next(255) as u8;
        }
        (format!("{length} bytes at {at}"), damaged)
    };
    (0..rounds).map(flip).collect()
}

#[test]
fn flipped_bytes_cost_no_data_whatever_is_called() {
    let mut reported = 0;
    for (round, (name, damaged)) in flips(40).into_iter().enumerate() {
        let damage = |base: &Path| fs::write(catalog(base), &damaged).unwrap();
        for call in [CALLS[round % CALLS.len()], Call::GcApply, Call::Verify] {
            let answer = meet(&name, &damage, call);
            reported += usize::from(answer.is_err());
        }
    }
    assert!(reported > 10, "only {reported} were reported");
}

/// Catalog, log and index of the log, as they are while the registry is open.
fn beside(base: &Path) -> [Vec<u8>; 3] {
    ["", "-wal", "-shm"].map(|end| fs::read(base.join(format!("{CATALOG}{end}"))).unwrap())
}

/// The catalog as of its last checkpoint; later changes were only in the log. SQLite does not
/// notice, but a comparison with the disk does.
#[test]
fn a_log_that_is_gone_takes_rows_and_no_data() {
    let lose_log = |base: &Path| {
        let registry = open(base, NOW, false).unwrap();
        crate::scene::write_array(&base.join("c/validation.zarr/7/crop/prediction"));
        registry.record(&key("c", 7)).unwrap();
        let removal = registry.trash().unwrap().remove(0).id;
        let target = dalsegno::RestoreTarget::Removal(removal);
        registry.restore(&target).unwrap();
        // The process is killed, and a user deletes the log.
        let [catalog_alone, ..] = beside(base);
        drop(registry);
        fs::write(catalog(base), catalog_alone).unwrap();
    };
    for call in CALLS {
        let answer = meet("log gone", &lose_log, call);
        match call {
            Call::List => {
                let rows = answer.unwrap().listed;
                assert!(
                    !rows
                        .iter()
                        .any(|row| row.starts_with("c/validation.zarr/7/"))
                );
            }
            Call::Verify => {
                // The removal was rolled back, and its data is back in place.
                let listed = answer.unwrap().listed;
                assert_eq!(
                    listed,
                    ["data-without-row", "data-without-row", "trash-missing"]
                );
            }
            _ => drop(answer),
        }
    }
}

#[test]
fn a_log_of_another_catalog_costs_no_data() {
    // The log of a catalog with the same page layout, and of one with nothing in common.
    let of = |is_same: bool| {
        let scene = Scene::with(&|_| {});
        let base = scene.base();
        if !is_same {
            fs::remove_dir_all(base.join(".dalsegno")).unwrap();
        }
        let registry = open(&base, NOW, true).unwrap();
        let keys: Vec<_> = (0..50).map(|iteration| key("other", iteration)).collect();
        registry.record_many(&keys).unwrap();
        let [_, log, index] = beside(&base);
        assert!(log.len() > 4096);
        [("-wal", log), ("-shm", index)]
    };
    for (name, files) in [("same", of(true)), ("different", of(false))] {
        for ends in [&["-wal", "-shm"][..], &["-wal"], &["-shm"]] {
            for call in CALLS {
                let damage = |base: &Path| {
                    for (end, bytes) in files.iter().filter(|(end, _)| ends.contains(end)) {
                        fs::write(base.join(format!("{CATALOG}{end}")), bytes).unwrap();
                    }
                };
                // SQLite applies the foreign log, and may truncate the file to its length.
                let scene = Scene::with(&damage);
                let answer = answer_of(&format!("{name} {ends:?}, {call:?}"), &scene, call);
                // An index without its log is ignored.
                let is_index = ends.len() == 1 && ends[0] == "-shm";
                assert!(!is_index || code(&answer) == "ok", "{name} {call:?}");
            }
        }
    }
}

#[test]
fn noise_in_the_place_of_the_log_is_no_log() {
    for call in CALLS {
        let damage = |base: &Path| {
            for end in ["-wal", "-shm"] {
                let noise: Vec<u8> = (0..40_000_u32).map(|n| (n * 7 % 251) as u8).collect();
                fs::write(base.join(format!("{CATALOG}{end}")), noise).unwrap();
            }
        };
        let answer = meet("noise", &damage, call);
        assert_eq!(code(&answer), "ok", "{call:?}");
        if call == Call::Empty {
            assert_eq!(answer.unwrap().gone, [TRASHED]);
        } else if call == Call::List {
            assert!(answer.unwrap().listed.len() > 400);
        }
    }
    let scene = Scene::with(&|_| {});
    assert!(listed(&open(&scene.base(), NOW, false).unwrap()).is_ok());
}
