//! What every command writes, in each form of output.

use std::fs;
use std::path::Path;

use nix::unistd::{Uid, User};
use serde_json::Value;

use crate::assert_transcript;
use crate::world::{World, stdout};

#[test]
fn init_makes_a_registry_once() {
    let world = World::new();
    let text = world.transcript("init --here\ninit\ninit --json\ninit --jsonl");
    assert_transcript!("init", text);
    let other = World::new();
    assert_transcript!(
        "init_quiet",
        other.transcript("init --here --quiet\ninit --table")
    );
}

#[test]
fn record_prints_the_path_of_each_kind() {
    let world = World::new();
    let text = world.transcript(
        "init --here -q
        record prediction --run mito --iteration 1000 --dataset crop1
        record prediction --run mito --iteration 1000 --dataset crop1 --json
        record output --run mito --iteration 1000 --dataset crop1 --parameters threshold_127 --jsonl
        record output --run mito --iteration -3 --dataset crop1 --parameters threshold_127 --table
        record input-raw --run mito
        record input-gt --run mito --dataset 0
        record best --run mito --parameters f1_score
        record best --run mito --dataset 0 --parameters f1_score
        record snapshot --run mito --dataset volumes/raw
        record snapshot --run mito --iteration 500 --dataset raw
        record snapshot-container --run mito
        record validation-container --run mito
        record array --run mito --container extra.zarr --dataset mesh
        record prediction --run 'a b' --iteration 1 --dataset '[crop]'
        list --table",
    );
    assert_transcript!("record", text);
}

#[test]
fn seal_counts_what_it_seals() {
    let world = World::scanned();
    let text = world.transcript(
        "seal mito/validation.zarr/1000/crop1/prediction
        seal --run mito --iteration 1000 --kind output --table
        seal --run er --json
        seal --run er --jsonl
        seal --run nobody --table",
    );
    assert_transcript!("seal", text);
}

#[test]
fn of_a_large_seal_a_table_has_the_first_rows() {
    let world = World::new();
    for number in 0..22 {
        world.write_array(&format!("r/validation.zarr/{number}/d/prediction"));
    }
    world.transcript("init --here --quiet\nscan --quiet");
    let rows = |line: &str| {
        let text = world.transcript(line);
        let rows = text.lines().filter(|line| line.starts_with("out|")).count() - 1;
        (
            rows,
            text.contains("more are not listed; --verbose lists all"),
        )
    };
    assert_eq!(rows("seal --run r --table"), (20, true));
    assert_eq!(rows("seal --run r --table --verbose"), (22, false));
    assert_eq!(rows("seal --run r"), (22, false));
    assert_eq!(rows("seal --run r --iteration ..19 --table"), (20, false));
}

#[test]
fn one_more_warning_is_one() {
    let world = World::new();
    for number in 0..21 {
        let array = format!("r/validation.zarr/{number}/d/prediction");
        world.write_array(&array);
        std::fs::write(world.base.join(array).join(".zarray"), "x").unwrap();
    }
    world.transcript("init --here --quiet");
    let text = world.transcript("scan");
    assert!(
        text.contains("and 1 more notice; --json lists them all"),
        "{text}"
    );
}

#[test]
fn a_quiet_seal_writes_the_rows_that_are_asked_for() {
    let world = World::scanned();
    assert_eq!(stdout(&mut world.call("seal --run er --quiet")), "");
    for form in ["--table", "--json", "--jsonl"] {
        let text = stdout(&mut world.call(&format!("seal --run er --quiet {form}")));
        assert!(text.contains("crop1"), "{text}");
    }
}

#[test]
fn list_writes_each_form() {
    let world = World::scanned();
    let text = world.transcript(
        "list
        list --table
        list --run mito --iteration 9000 --json
        list --run mito --iteration 9000 --jsonl
        list --run nobody
        list --run nobody --table
        list --run nobody --json
        list --run nobody --jsonl
        list --run nobody -0",
    );
    assert_transcript!("list", text);
}

#[test]
fn selection_flags_are_anded_and_their_values_ored() {
    let world = World::scanned();
    world.transcript("record prediction --run mito --iteration -3 --dataset crop1");
    let text = world.transcript(
        "list --table --run er --run mi*
        list --table --kind output,best
        list --table --kind prediction --iteration 1000..9000 --dataset crop2
        list --table --iteration -5..-1
        list --table --iteration ..500
        list --table --iteration 500,9000..
        list --table --parameters threshold_*
        list --table --state reserved
        list --table --state present,missing --run er
        list --table --older-than 14d
        list --table --older-than 0s --run er
        show --run er --table
        du --table --run mito --kind output
        runs --table --run er
        iterations --table --dataset crop1 --iteration 9000",
    );
    assert_transcript!("selection", text);
}

#[test]
fn show_describes_artifacts() {
    let world = World::scanned();
    let text = world.transcript(
        "show --run er --table
        seal --run mito --kind snapshot -q --jsonl
        show mito/snapshot.zarr/volumes/raw mito/validation.zarr/inputs/crop1/raw --table
        show mito/snapshot.zarr/volumes/raw
        show mito/snapshot.zarr/volumes/raw --json
        show mito/snapshot.zarr/volumes/raw --jsonl
        show --run nobody --table",
    );
    assert_transcript!("show", text);
}

#[test]
fn iterations_say_which_are_complete() {
    let world = World::scanned();
    let text = world.transcript(
        "iterations
        iterations --table
        iterations --run mito --json
        iterations --run mito --jsonl
        iterations --run mito --kind output --table
        iterations --run nobody --table
        iterations --run nobody --json",
    );
    assert_transcript!("iterations", text);
}

#[test]
fn runs_say_what_each_has() {
    let world = World::scanned();
    fs::remove_dir_all(world.base.join("mito/extra.zarr/mesh")).unwrap();
    let text = world.transcript(
        "refresh --all -q
        runs
        runs --table
        runs --json
        runs --jsonl
        runs --run nobody --table",
    );
    assert_transcript!("runs", text);
}

#[test]
fn du_sums_what_is_present() {
    let world = World::scanned();
    let text = world.transcript(
        "du --no-refresh
        du --no-refresh --table
        du --no-refresh --jsonl
        du
        du --table
        du --by kind --table
        du --by iteration --table
        du --by dataset --table
        du --by dataset --json
        du --by kind --jsonl
        du --run nobody --table",
    );
    assert_transcript!("du", text);
}

#[test]
fn du_shows_what_is_reserved_apart() {
    let world = World::scanned();
    for iteration in [600, 700] {
        world.transcript(&format!(
            "record prediction --run er --iteration {iteration} --dataset crop1"
        ));
    }
    world.transcript("record prediction --run new --iteration 1 --dataset crop1");
    world.transcript("rm --run mito --iteration 1000 --trash --yes");
    let text = world.transcript(
        "du --table
        du
        du --jsonl
        du --run er --table
        du --run er --by iteration --table
        du --run new --table
        du --run new --json
        du --state present --table
        du --state reserved --by kind --table",
    );
    assert_transcript!("du_reserved", text);
}

#[test]
fn du_names_the_users_whose_the_data_is() {
    let world = World::scanned();
    let me = User::from_uid(Uid::effective()).unwrap().unwrap();
    let known = world.transcript("du --by owner --table\ndu --by owner\ndu --by owner --jsonl");
    let (name, number) = (&me.name, me.uid);
    let known = known
        .replace(&format!("  {name}\n"), "  [ME]\n")
        .replace(&format!("\t{name}\t{number}\t"), "\t[ME]\t[UID]\t")
        .replace(
            &format!("\"owner\":\"{name}\",\"uid\":{number},"),
            "\"owner\":\"[ME]\",\"uid\":[UID],",
        );
    let catalog = rusqlite::Connection::open(world.catalog()).unwrap();
    let set = |owner: Option<u32>, run: &str| {
        let sql =
            "UPDATE artifact SET owner = ?1 WHERE run_id = (SELECT id FROM run WHERE name = ?2)";
        catalog.execute(sql, rusqlite::params![owner, run]).unwrap();
    };
    set(None, "mito");
    // No user has this number.
    set(Some(4_294_900_000), "er");
    let unknown = world.transcript(
        "du --by owner --no-refresh --table
        du --by owner --no-refresh
        du --by owner --no-refresh --jsonl
        du --by run --owner 4294900000 --no-refresh --table",
    );
    assert_transcript!("du_owner", known + &unknown);
}

#[test]
fn scan_takes_in_what_is_new() {
    let world = World::runs();
    let text = world.transcript("init --here -q\nscan\nscan");
    world.write_array("mito/validation.zarr/10000/crop1/prediction");
    let more = world.transcript(
        "scan --measure
        scan --measure --json
        scan --jsonl
        scan --threads 1
        scan --quiet",
    );
    assert_transcript!("scan", text + &more);
}

#[test]
fn scan_lists_what_it_leaves_alone() {
    let world = World::runs();
    world.write_array("loose");
    fs::create_dir_all(world.base.join("er/broken.zarr")).unwrap();
    fs::write(world.base.join("er/broken.zarr/zarr.json"), "{").unwrap();
    std::os::unix::fs::symlink(world.base.join("mito"), world.base.join("link")).unwrap();
    let text = world.transcript("init --here -q\nscan\nscan --json\nscan --quiet");
    assert_transcript!("scan_findings", text);
}

#[test]
fn refresh_notes_what_is_there() {
    let world = World::scanned();
    world.transcript("record prediction --run er --iteration 600 --dataset crop1");
    world.write_array("er/validation.zarr/600/crop1/prediction");
    fs::remove_dir_all(world.base.join("mito/extra.zarr/mesh")).unwrap();
    let text = world.transcript(
        "refresh --run mito
        refresh
        refresh --all --json
        refresh --measure --jsonl
        refresh --quiet
        list --table --run er",
    );
    assert_transcript!("refresh", text);
}

#[test]
fn queries_look_on_disk_by_default() {
    let world = World::scanned();
    for iteration in [600, 700, 800] {
        world.transcript(&format!(
            "record output --run er --iteration {iteration} --dataset crop1 --parameters p"
        ));
    }
    world.write_array("er/validation.zarr/600/crop1/output/p");
    let text = world.transcript(
        "list --run er --state present --no-refresh --table
        runs --run er --no-refresh --table
        iterations --run er --no-refresh --table
        runs --run er --table
        iterations --run er --table
        list --run er --state present --no-refresh --table",
    );
    assert_transcript!("no_refresh", text);
}

#[test]
fn demo_shows_each_step() {
    let world = World::new();
    let text = world.transcript("demo ../demo\ndemo\ndemo ../demo");
    assert_transcript!("demo", text);
    let again = stdout(world.program().args(["--base", "../demo", "list", "-0"]));
    assert_eq!(again.matches('\0').count(), 43);
}

#[test]
fn manual_pages_and_completions_are_printed() {
    let world = World::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = stdout(world.program().args(["completions", shell]));
        assert!(script.contains("_DALSEGNO_COMPLETE"), "{shell}");
    }
    let page = stdout(world.program().arg("man"));
    assert!(page.starts_with(".ie"), "{page}");
    assert!(page.contains(".TH dalsegno 1"), "{page}");
    let page = stdout(world.program().args(["man", "iterations"]));
    assert!(page.contains("dalsegno iterations"), "{page}");
    assert!(page.contains(r"\-\-no\-refresh"), "{page}");
    let page = stdout(world.program().args(["man", "trash", "empty"]));
    assert!(page.contains(".TH dalsegno-trash-empty 1"), "{page}");
    let page = stdout(world.program().args(["man", "rm"]));
    assert!(
        page.contains("dalsegno rm mito/validation.zarr/1000"),
        "{page}"
    );
    assert_transcript!(
        "man",
        world.transcript("man nothing\ncompletions nothing\n--version")
    );
}

/// The fields of an artifact, in order.
const FIELDS: [&str; 28] = [
    "id",
    "run",
    "kind",
    "iteration",
    "dataset",
    "parameters",
    "container",
    "array",
    "path",
    "state",
    "bytes",
    "files",
    "disk_bytes",
    "recorded_at",
    "written_at",
    "sealed_at",
    "content_hash",
    "levels",
    "iterations",
    "pins",
    "shape",
    "chunks",
    "shards",
    "dtype",
    "fill_value",
    "compressor",
    "chunks_there",
    "chunks_expected",
];

#[test]
fn an_artifact_in_json_has_every_field_and_null_for_what_is_absent() {
    let world = World::scanned();
    let lines = stdout(world.program().args(["list", "--jsonl"]));
    assert_eq!(lines.lines().count(), 12);
    for line in lines.lines() {
        let artifact: Value = serde_json::from_str(line).unwrap();
        let mut found: Vec<&str> = artifact
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let mut expected = FIELDS;
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
        let places: Vec<usize> = FIELDS
            .iter()
            .map(|field| line.find(&format!("\"{field}\":")).unwrap())
            .collect();
        assert!(places.is_sorted(), "{line}");
        assert!(Path::new(artifact["path"].as_str().unwrap()).is_absolute());
        assert_eq!(artifact["sealed_at"], Value::Null);
        assert_eq!(artifact["bytes"], Value::Null);
    }
    let header = stdout(world.program().arg("list"));
    assert_eq!(header.lines().next().unwrap(), FIELDS.join("\t"));
}

#[test]
fn every_json_document_has_a_schema_version() {
    let world = World::scanned();
    let calls = [
        "init --json",
        "record prediction --run er --iteration 1 --dataset x --json",
        "seal --run mito --kind snapshot --json",
        "list --json",
        "list --run 'nobody*' --json --quiet",
        "show --run er --json",
        "iterations --json",
        "runs --json",
        "du --json",
        "scan --json",
        "refresh --json",
    ];
    for call in calls {
        let text = stdout(&mut world.call(call));
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["schema_version"], 1, "{call}");
        // Answers say besides what they know of the disk.
        let keys = document.as_object().unwrap().keys();
        let keys = keys.filter(|key| !matches!(key.as_str(), "gone" | "as_of"));
        assert_eq!(keys.count(), 2, "{call}");
        assert!(
            text.starts_with("{\n  \"schema_version\": 1,\n"),
            "{call}: {text}"
        );
    }
}

#[test]
fn null_output_is_exact() {
    let world = World::new();
    world.write_array("a b/validation.zarr/1/[crop]  ü/prediction");
    world.transcript("init --here -q\nscan -q");
    let path = world
        .base
        .join("a b/validation.zarr/1/[crop]  ü/prediction");
    assert_eq!(
        stdout(world.program().args(["list", "-0"])),
        format!("{}\0", path.display())
    );
    assert_eq!(
        stdout(
            world
                .program()
                .args(["list", "--null", "--dataset", "[crop]  ü"])
        ),
        format!("{}\0", path.display())
    );
}

#[test]
fn what_was_just_written_is_found_whatever_is_asked_of_it() {
    let world = World::scanned();
    stdout(&mut world.call("record prediction --run mito --iteration 77 --dataset crop1"));
    let path = "mito/validation.zarr/77/crop1/prediction";
    world.write_array(path);
    let listed = |line: &str| stdout(&mut world.call(line)).contains(path);
    assert!(!listed("list --state present --no-refresh --json"));
    assert!(listed("list --state present --json"));
}
