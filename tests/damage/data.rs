//! Arrays whose chunks or metadata are missing or replaced by something else.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::calls::{CALLS, Call, code, meet};
use crate::scene::{GC_PATHS, VICTIM};

struct Case {
    name: &'static str,
    damage: fn(&Path),
    /// The classes that a verification finds.
    found: &'static [&'static str],
    /// The outcome of `rm` for the array.
    removed: &'static str,
}

const CASES: &[Case] = &[
    Case {
        name: "a chunk is gone",
        damage: |base| fs::remove_file(base.join(VICTIM).join("0/1")).unwrap(),
        found: &["changed-files"],
        removed: "ok",
    },
    Case {
        name: "all chunks are gone",
        damage: |base| fs::remove_dir_all(base.join(VICTIM).join("0")).unwrap(),
        found: &["changed-files"],
        removed: "ok",
    },
    Case {
        name: "a chunk is cut",
        damage: |base| fs::write(base.join(VICTIM).join("0/1"), "").unwrap(),
        found: &["changed-size"],
        removed: "ok",
    },
    Case {
        name: "the metadata are gone",
        damage: |base| {
            for name in [".zarray", ".zattrs"] {
                fs::remove_file(base.join(VICTIM).join(name)).unwrap();
            }
        },
        found: &["no-metadata"],
        removed: "ok",
    },
    Case {
        name: "the metadata are empty",
        damage: |base| fs::write(base.join(VICTIM).join(".zarray"), "").unwrap(),
        found: &["damaged-metadata"],
        removed: "ok",
    },
    Case {
        name: "the array is gone",
        damage: |base| fs::remove_dir_all(base.join(VICTIM)).unwrap(),
        found: &["row-without-data"],
        removed: "ok",
    },
    Case {
        name: "a file is in its place",
        damage: |base| {
            fs::remove_dir_all(base.join(VICTIM)).unwrap();
            fs::write(base.join(VICTIM), "mine").unwrap();
        },
        found: &["wrong-type"],
        removed: "not-a-folder",
    },
    Case {
        name: "a link to what lies beside the base directory",
        damage: |base| {
            fs::remove_dir_all(base.join(VICTIM)).unwrap();
            let beside = base.with_file_name("beside/validation.zarr/1/crop/prediction");
            symlink(beside, base.join(VICTIM)).unwrap();
        },
        found: &["wrong-type"],
        removed: "symlink",
    },
    Case {
        name: "a link above it",
        damage: |base| {
            let (run, aside) = (base.join("a"), base.with_file_name("moved-away"));
            fs::rename(&run, &aside).unwrap();
            symlink(&aside, &run).unwrap();
        },
        found: &[],
        removed: "symlink",
    },
    Case {
        name: "a run that is gone",
        damage: |base| fs::remove_dir_all(base.join("b")).unwrap(),
        found: &["row-without-data"],
        removed: "ok",
    },
];

#[test]
fn damaged_arrays_are_found_and_nothing_but_what_was_asked_for_goes() {
    for case in CASES {
        for call in CALLS {
            let answer = meet(case.name, &case.damage, call);
            let found = code(&answer);
            match call {
                Call::Remove => assert_eq!(found, case.removed, "{}", case.name),
                Call::Verify => {
                    let listed = answer.unwrap().listed;
                    let is_there = |class: &&str| listed.iter().any(|found| found == class);
                    assert!(case.found.iter().all(is_there), "{listed:?}");
                }
                Call::GcApply => assert_eq!(answer.unwrap().gone, GC_PATHS, "{}", case.name),
                Call::RemoveContainer if case.name == "a link above it" => {
                    assert_eq!(found, "symlink");
                }
                _ => assert_eq!(found, "ok", "{}, {call:?}", case.name),
            }
        }
    }
}

#[test]
fn what_cannot_be_read_stops_a_verification_of_it_and_not_the_rest() {
    use std::os::unix::fs::PermissionsExt;
    if rustix::process::geteuid().is_root() {
        return;
    }
    let scene = crate::scene::Scene::with(&|_| {});
    let folder = scene.base().join("a/validation.zarr/1");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o000)).unwrap();
    let listed = Call::Verify.run(&scene.base()).unwrap().listed;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(listed, ["unreadable"]);
}
