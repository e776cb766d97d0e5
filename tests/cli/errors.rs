//! What is said when something is wrong: what, where, why, the next command. Nothing is created
//! and nothing is lost.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::assert_transcript;
use crate::world::World;

/// One call of each command that opens a registry.
const CALLS: [&str; 10] = [
    "list",
    "list --no-refresh",
    "show --run mito",
    "iterations",
    "runs",
    "du",
    "scan",
    "refresh",
    "seal --run mito",
    "record prediction --run mito --iteration 1 --dataset x",
];

/// Runs each call and `init`; all end with this exit code and a next step, and nothing changes. Only
/// `record` prints its path, which needs no catalog, and leaves a note.
fn assert_all_refuse(world: &World, code: &str, exit: i32) {
    let before = world.tree();
    let is_record = |call: &&&str| call.starts_with("record");
    for call in CALLS.iter().filter(is_record) {
        let text = world.transcript(call);
        assert!(
            text.contains("out| [BASE]/mito/validation.zarr/1/x/"),
            "{text}"
        );
        assert!(text.contains(&format!("({code}); it is noted")), "{text}");
        assert!(!text.contains("exit"), "{text}");
        fs::remove_dir_all(world.base.join(".dalsegno/inbox")).unwrap();
    }
    let others = CALLS.iter().filter(|call| !is_record(call));
    for call in others.chain(&["init"]) {
        let text = world.transcript(call);
        assert!(text.contains(&format!("err| error[{code}]: ")), "{text}");
        assert!(text.contains("err|   next: "), "{text}");
        assert!(text.ends_with(&format!("exit {exit}\n")), "{text}");
        assert!(!text.contains("out|"), "{text}");
    }
    assert!(world.tree() == before, "{code}: something changed");
}

#[test]
fn a_base_directory_that_does_not_serve_is_refused() {
    let world = World::new();
    fs::write(world.dir.join("file"), "").unwrap();
    let before = world.tree();
    let text = world.transcript(
        "list --base ../nothing
        init --base ../nothing
        scan --base ../file
        init --base ../file
        init --base 's3://bucket/runs'
        init --base ''",
    );
    assert_transcript!("base", text.replace("made a registry in [BASE];", "MADE"));
    assert!(!world.dir.join("nothing").exists());
    assert_eq!(before.len(), 0);
}

#[test]
fn without_a_registry_every_command_says_how_to_make_one() {
    let world = World::runs();
    let before = world.tree();
    for call in CALLS {
        let text = world.transcript(call);
        assert!(
            text.contains("err| error[no-registry]: [BASE] has no registry"),
            "{text}"
        );
        assert!(text.ends_with("exit 10\n"), "{text}");
        assert!(!text.contains("out|"), "{text}");
    }
    assert!(world.tree() == before);
    fs::create_dir(world.dir.join("two words")).unwrap();
    let text = world.transcript(
        "list
        list --base .
        list --base '../two words'
        list --catalog ../nothing.sqlite3",
    );
    assert_transcript!("no_registry", text);
}

#[test]
fn a_base_directory_that_cannot_be_read_is_refused() {
    let world = World::scanned();
    fs::set_permissions(&world.base, Permissions::from_mode(0o000)).unwrap();
    let mut text = String::new();
    for call in ["list", "init", "scan"] {
        let mut program = world.program_of_a_stranger();
        program
            .current_dir(&world.dir)
            .args(["--base", "base", call]);
        text.push_str(&world.say(call, &mut program));
    }
    fs::set_permissions(&world.base, Permissions::from_mode(0o755)).unwrap();
    assert_transcript!("base_not_readable", text);
}

/// Sets the mode of everything in the registry's folder and of the base directory.
fn forbid_writing(world: &World) {
    let folder = world.base.join(".dalsegno");
    for entry in fs::read_dir(&folder).unwrap() {
        fs::set_permissions(entry.unwrap().path(), Permissions::from_mode(0o444)).unwrap();
    }
    for folder in [&folder, &world.base] {
        fs::set_permissions(folder, Permissions::from_mode(0o555)).unwrap();
    }
}

#[test]
fn a_base_directory_that_cannot_be_written_answers_questions() {
    let world = World::scanned();
    forbid_writing(&world);
    let before = world.tree();
    let mut text = String::new();
    for call in [
        "list --run er --table",
        "show --run er --jsonl",
        "runs",
        "iterations --table",
        "du --run er",
        "list --run er --table --quiet",
        "scan",
        "refresh",
        "seal --run er",
        "record prediction --run er --iteration 1 --dataset x",
        "record prediction --run er --iteration 500 --dataset crop1",
    ] {
        let mut program = world.program_of_a_stranger();
        program.args(call.split(' '));
        text.push_str(&world.say(call, &mut program));
    }
    assert_transcript!("read_only", text);
    assert!(world.tree() == before);
    fs::set_permissions(&world.base, Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn no_registry_is_made_where_nothing_can_be_written() {
    let world = World::new();
    fs::set_permissions(&world.base, Permissions::from_mode(0o555)).unwrap();
    let mut program = world.program_of_a_stranger();
    let text = world.say("init", program.args(["init", "--here"]));
    assert_transcript!("init_read_only", filter_names(&text));
    assert!(world.tree().is_empty());
}

/// Replaces the name of a folder that is made under another name first.
fn filter_names(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(".dalsegno.new-") {
        let (head, tail) = rest.split_at(at + ".dalsegno.new-".len());
        out.push_str(head);
        rest = tail.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
    }
    out + rest
}

#[test]
fn a_damaged_catalog_is_refused_and_left_alone() {
    type Damage = fn(&Path);
    let cases: [(&str, &str, Damage); 8] = [
        ("empty", "catalog-damaged", |path| {
            File::create(path).unwrap();
        }),
        ("text", "catalog-damaged", |path| {
            fs::write(path, "hello\n").unwrap();
        }),
        ("noise", "catalog-damaged", |path| {
            fs::write(path, vec![0xa5; 8192]).unwrap();
        }),
        ("cut", "catalog-damaged", |path| {
            File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_len(8192)
                .unwrap();
        }),
        ("folder", "catalog-not-a-file", |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        }),
        ("link", "catalog-not-a-file", |path| {
            let real = path.with_file_name("real");
            fs::rename(path, &real).unwrap();
            symlink(&real, path).unwrap();
        }),
        ("gone", "catalog-missing", |path| {
            fs::remove_file(path).unwrap();
        }),
        ("foreign", "catalog-foreign", |path| {
            let connection = rusqlite::Connection::open(path).unwrap();
            connection.pragma_update(None, "application_id", 1).unwrap();
        }),
    ];
    let mut text = String::new();
    for (name, code, damage) in cases {
        let world = World::scanned();
        damage(&world.catalog());
        assert_all_refuse(&world, code, 12);
        text.push_str(&format!("# {name}\n{}", world.transcript("list")));
    }
    assert_transcript!("damaged", text);
}

#[test]
fn a_newer_catalog_is_refused_and_left_alone() {
    let world = World::scanned();
    let connection = rusqlite::Connection::open(world.catalog()).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    assert_all_refuse(&world, "catalog-too-new", 13);
    let text = world.transcript("scan");
    assert!(
        text.contains("has version 99; this program knows versions up to "),
        "{text}"
    );
}

#[test]
fn a_broken_configuration_is_refused() {
    let world = World::scanned();
    fs::write(world.base.join(".dalsegno/config.toml"), "no toml").unwrap();
    assert_all_refuse(&world, "config-invalid", 1);
    assert_transcript!("config", world.transcript("list"));
}

#[test]
fn wrong_calls_end_with_2_and_change_nothing() {
    let world = World::scanned();
    let before = world.tree();
    let text = world.transcript(
        "record nothing --run mito
        record prediction --run mito --iteration 1 --dataset x --parameters p
        record prediction --run mito --iteration 1
        record output --run mito --iteration 1 --dataset x
        record best --run mito
        record input-raw --run mito --iteration 1
        record validation-container --run mito --dataset x
        record array --run mito --dataset x
        record prediction --iteration 1 --dataset x
        record prediction --run mito --iteration 1.5 --dataset x
        record prediction --run mito --iteration 01 --dataset x
        record prediction --run mito --iteration 99999999999999999999 --dataset x
        record prediction --run '' --iteration 1 --dataset x
        record prediction --run /mito --iteration 1 --dataset x
        record prediction --run ../mito --iteration 1 --dataset x
        record prediction --run ./mito --iteration 1 --dataset x
        record prediction --run .dalsegno/x --iteration 1 --dataset x
        record prediction --run mito --iteration 1 --dataset a/../b
        record array --run mito --container extra/x.zarr --dataset x
        list --iteration 5..1
        list --iteration ..
        list --iteration one
        list --kind nothing
        list --state gone
        list --older-than soon
        list --json --table
        list -0 --jsonl
        list --nothing
        gc extra
        nothing
        show
        seal
        scan --threads 0
        scan --threads 1000
        du --by size
        list --lock-timeout never
        demo ../base",
    );
    assert_transcript!("usage", text);
    for call in text.split("$ dalsegno ").skip(1) {
        assert!(
            call.ends_with("exit 2\n") && !call.contains("out|"),
            "{call}"
        );
    }
    assert!(world.tree() == before);
    let long = "x".repeat(256);
    let text = world.transcript(&format!("record input-raw --run {long}"));
    assert!(
        text.contains("has a component of 256 bytes; at most 255 fit"),
        "{text}"
    );
}

#[test]
fn what_is_not_recorded_is_not_made_up() {
    let world = World::scanned();
    let before = world.tree();
    let text = world.transcript(
        "show mito/validation.zarr/1/crop1/prediction
        show --id 999
        seal mito/validation.zarr/1/crop1/prediction
        show /etc/passwd
        seal ../elsewhere.zarr/x
        show mito
        show mito/../../x.zarr/y",
    );
    assert_transcript!("not_recorded", text);
    assert!(world.tree() == before);
}

#[test]
fn only_what_has_data_is_sealed() {
    let world = World::scanned();
    world.transcript("record prediction --run mito --iteration 1 --dataset x");
    let text = world.transcript(
        "seal --run mito --kind prediction
        list --run mito --kind prediction --no-refresh --table",
    );
    assert_transcript!("seal_reserved", text);
}

#[test]
fn two_keys_never_share_a_path() {
    let world = World::new();
    let text = world.transcript(
        "init --here -q
        record prediction --run mito --iteration 1 --dataset a
        record array --run mito --container validation.zarr --dataset 1/a/prediction",
    );
    assert_transcript!("path_taken", text);
}

#[test]
fn a_lock_timeout_names_the_holder() {
    let world = World::scanned();
    let turn = super::lock::take(&world.base.join(".dalsegno/catalog.sqlite3.turn"));
    let text = world.transcript(
        "record prediction --run er --iteration 1 --dataset x --lock-timeout 100ms
        scan --lock-timeout 2200ms
        scan --lock-timeout 2200ms --quiet
        list --run er --table --no-refresh --lock-timeout 0s",
    );
    assert_transcript!("lock_timeout", text);
    drop(turn);
    assert_eq!(
        world.transcript("scan --quiet --lock-timeout 0s"),
        "$ dalsegno scan --quiet --lock-timeout 0s\n"
    );
}

#[test]
fn a_reader_waits_for_a_program_that_has_the_catalog_to_itself() {
    let world = World::scanned();
    let other = rusqlite::Connection::open(world.catalog()).unwrap();
    other
        .execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;")
        .unwrap();
    let start = std::time::Instant::now();
    let text = world.transcript("list --run er --no-refresh --lock-timeout 1500ms");
    assert!(start.elapsed().as_millis() >= 1500, "{text}");
    assert!(text.contains("locked"), "{text}");
    drop(other);
    let text = world.transcript("list --run er --no-refresh --table --lock-timeout 0s");
    assert!(text.contains("prediction"), "{text}");
}

#[test]
fn what_is_in_the_place_of_the_registrys_folder_is_refused_by_every_command() {
    let commands = [
        "init",
        "init --shared",
        "scan",
        "list",
        "rm --run mito --yes",
        "gc",
        "gc --apply --yes",
        "mv mito other --yes",
        "verify",
        "verify --repair",
        "trash list",
        "trash empty",
        "restore 20260101-000000-000000",
        "history",
        "pin x --run mito",
        "score --run mito --iteration 1 m=1",
        "publish",
        "rebuild",
        "doctor",
    ];
    for form in ["file", "dangling", "link"] {
        let world = World::scanned();
        let place = world.base.join(".dalsegno");
        let aside = world.dir.join("aside");
        fs::rename(&place, &aside).unwrap();
        match form {
            "file" => fs::write(&place, "").unwrap(),
            "dangling" => symlink(world.dir.join("nowhere"), &place).unwrap(),
            _ => symlink(&aside, &place).unwrap(),
        }
        // An outer registry is not taken instead.
        let mut outer = world.program();
        outer
            .current_dir(&world.dir)
            .args(["init", "--here", "--quiet", "--base", "."]);
        assert!(outer.status().unwrap().success());
        let before = world.tree();
        for line in commands {
            for at in [&world.base, &world.base.join("mito")] {
                // Without --base, except for the one command that makes a registry here.
                let is_init = line.starts_with("init");
                if is_init && *at != world.base {
                    continue;
                }
                let mut call = world.call(line);
                let output = call.current_dir(at).output().unwrap();
                let said = String::from_utf8(output.stderr).unwrap();
                let case = format!("{form}, {line}: {said}");
                assert!(said.contains("error[registry-not-a-folder]"), "{case}");
                assert!(said.contains("move it away"), "{case}");
                assert_eq!(output.status.code(), Some(1), "{case}");
            }
        }
        assert!(world.tree() == before, "{form}");
    }
}
