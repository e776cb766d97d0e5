//! `history` and `undo`: who did what, whether all of it is there, and taking it back.

use std::fs;

use rusqlite::Connection;

use crate::assert_transcript;
use crate::world::{World, stdout};

const ARRAY: &str = "mito/validation.zarr/1000/crop1/prediction";

/// A base directory with a history: scan, refresh, pin, score, remove, remove and purge, unpin.
fn world() -> World {
    let world = World::scanned();
    world.transcript(&format!(
        "refresh --measure --quiet
        pin figure-3 --run mito --iteration 9000 --reason 'figure 3' --quiet
        score --run mito --iteration 1000 voi=0.5 f1=0.8 --quiet
        rm {ARRAY} --yes --trash --reason superseded --quiet
        rm --run er --yes --quiet
        unpin figure-3 --quiet"
    ));
    world
}

#[test]
fn the_last_operations_come_first() {
    let world = world();
    let before = world.tree();
    let text = world.transcript(
        "history --table
        history --run er --table
        history --run mito --action pin,score,unpin --table
        history --id 99 --table
        history --since 2020-01-01 --until 2020-01-02 --table
        history --user nobody-at-all --json
        history --since 1h --limit 1 --jsonl
        history --action pin --json",
    );
    assert!(world.tree() == before);
    assert_transcript!("history", text);
    let table = stdout(&mut world.call("history"));
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("id\tat\taction\tuser\thost\tpid\tcommand\t"));
    assert_eq!(lines.len(), 9);
}

#[test]
fn options_of_every_command_may_stand_before_a_subcommand() {
    let world = world();
    let plain = stdout(&mut world.call("history head --json"));
    let base = world.base.display();
    let before = stdout(&mut world.call(&format!("history --base {base} --quiet head --json")));
    assert_eq!(before, plain);
    for line in [
        "history --run mito head",
        "history --json head",
        "history x head",
    ] {
        assert_eq!(
            world.call(line).output().unwrap().status.code(),
            Some(2),
            "{line}"
        );
    }
}

#[test]
fn what_is_gone_says_what_it_was() {
    let world = world();
    let gone = "er/validation.zarr/500/crop1/prediction";
    let text = world.transcript(&format!(
        "history {ARRAY} --table
        show {ARRAY} --table
        show {ARRAY}
        show {ARRAY} --json
        history {gone} --table
        show {gone} --table
        history mito/nothing.zarr/a
        show mito/nothing.zarr/a"
    ));
    assert_transcript!("history_gone", text);
}

#[test]
fn an_operation_is_shown_whole() {
    let world = world();
    let text = world.transcript(
        "history show 5
        history show 3
        history show 5 --json
        history show 5 --jsonl
        history show 99
        history show 0",
    );
    let refresh = world.transcript("history show 2");
    assert!(
        refresh.contains("bytes - → 64") && refresh.contains("files - → 2"),
        "{refresh}"
    );
    assert!(refresh.contains(ARRAY), "{refresh}");
    assert_transcript!("history_show", text);
}

#[test]
fn the_chain_is_checked_and_the_first_that_does_not_fit_is_named() {
    let world = world();
    let head = stdout(&mut world.call("history head"));
    let (number, hash) = head.trim().split_once(' ').unwrap();
    assert_eq!((number, hash.len()), ("8", 64));
    let mut text = world.transcript(&format!(
        "history head
        history head --json
        history verify
        history verify --head {hash}
        history verify --json
        history verify --head 12
        --quiet history verify"
    ));
    let connection = Connection::open(world.catalog()).unwrap();
    let run = |sql: &str| connection.execute_batch(sql).unwrap();
    run("PRAGMA foreign_keys = OFF;
         DROP TRIGGER operation_stays; DROP TRIGGER operation_stays_as_it_is;
         DROP TRIGGER image_stays;
         DELETE FROM operation WHERE id > 6; DELETE FROM image WHERE operation_id > 6");
    text.push_str(&world.transcript(&format!(
        "history verify
        history verify --head {hash}"
    )));
    run("UPDATE operation SET reason = 'nothing to see' WHERE id = 5");
    text.push_str(&world.transcript(&format!(
        "history verify
        --quiet history verify --head {hash}
        history verify --jsonl"
    )));
    assert_transcript!("history_verify", text);
}

#[test]
fn everything_can_be_exported() {
    let world = World::new();
    world.write_array("er/validation.zarr/500/crop1/prediction");
    world.transcript(
        "init --here --quiet\nscan --quiet\nscore --run er --iteration 500 voi=0.5 --quiet",
    );
    let text = world.transcript(
        "history export
        history export --format csv
        history export --format xml",
    );
    assert_transcript!("history_export", text);
}

#[test]
fn undo_takes_back_what_can_be() {
    let world = world();
    let text = world.transcript(&format!(
        "undo 5
        undo 5
        show {ARRAY}
        undo 8 --json
        pin --list --json
        undo 4
        score
        undo 3
        undo 6
        undo 1
        undo 99
        undo
        history --table --limit 4"
    ));
    assert_transcript!("undo", text);
}

#[test]
fn a_new_registry_has_no_history() {
    let world = World::new();
    let text = world.transcript(
        "init --here --quiet
        history
        history --table
        history --json
        history head
        history verify
        history export
        history --since yesterday
        history --action delete",
    );
    assert_transcript!("history_nothing", text);
}

/// Who did it: the command as it was typed, the version, the batch job.
#[test]
fn an_operation_knows_its_command_and_its_job() {
    let world = World::runs();
    world.transcript("init --here --quiet");
    let mut scan = world.call("scan --quiet");
    assert!(scan.env("SLURM_JOB_ID", "4711").status().unwrap().success());
    let mut score = world.call("score --run mito --iteration 1000 voi=0.5 --quiet");
    assert!(score.env("LSB_JOBID", "17").status().unwrap().success());
    world.transcript("score --run mito --iteration 2000 voi=0.5 --quiet");
    let lines = stdout(&mut world.call("history --jsonl"));
    let operations: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let jobs: Vec<_> = operations
        .iter()
        .map(|operation| &operation["job"])
        .collect();
    assert_eq!(
        jobs,
        [&serde_json::Value::Null, &"17".into(), &"4711".into()]
    );
    let command = operations[2]["command"].as_str().unwrap();
    assert!(command.ends_with("dalsegno scan --quiet"), "{command}");
    assert_eq!(operations[2]["version"], env!("CARGO_PKG_VERSION"));
    assert!(
        operations
            .iter()
            .all(|operation| operation["pid"].as_u64() > Some(1))
    );
}

/// Whom nothing lets write gets every answer.
#[test]
fn a_user_who_may_only_read_gets_answers() {
    use std::os::unix::fs::PermissionsExt;
    let world = world();
    let folder = world.base.join(".dalsegno");
    for path in [&world.dir, &world.base, &folder] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    for (line, part) in [
        ("history --table", "superseded"),
        ("history head", "8 "),
        ("history export", "\"action\":\"scan\""),
        (
            "show mito/validation.zarr/1000/crop1/prediction --json",
            "can_be_restored",
        ),
    ] {
        let mut command = world.program_of_a_stranger();
        let output = command.args(line.split(' ')).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.success() && text.contains(part),
            "{line}\n{text}{error}"
        );
    }
    let mut command = world.program_of_a_stranger();
    let output = command.args(["history", "verify"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_table_shows_the_last_fifty_and_says_so() {
    let world = World::new();
    let registry = dalsegno::Registry::create(&world.base).unwrap();
    for iteration in 0..51 {
        let path = format!("r/validation.zarr/{iteration}/a/prediction");
        registry
            .record(&dalsegno::model::layout::parse(&path).unwrap())
            .unwrap();
    }
    drop(registry);
    let rows = |line: &str| {
        let text = world.transcript(line);
        let rows = text
            .lines()
            .filter(|line| line.starts_with("out| "))
            .count()
            - 1;
        (
            rows,
            text.contains("err| these are the last 50; see more with: dalsegno history --limit N"),
        )
    };
    assert_eq!(rows("history --table"), (50, true));
    assert_eq!(rows("history --table --limit 51"), (51, false));
    assert_eq!(rows("history --table --limit 3"), (3, false));
    assert_eq!(rows("history"), (51, false));
    assert_eq!(rows("history --limit 3"), (3, false));
}

#[test]
fn options_of_every_command_stand_before_or_behind() {
    let world = World::scanned();
    let base = world.base.display().to_string();
    let expected = stdout(&mut world.call("history head"));
    for line in [
        format!("--base {base} history head"),
        format!("history head --base {base}"),
    ] {
        assert_eq!(stdout(&mut world.call(&line)), expected, "{line}");
    }
}

/// A pin changes no row, and is about artifacts all the same.
#[test]
fn the_history_counts_what_a_pin_is_put_on() {
    let world = World::scanned();
    world.transcript("pin one --reason x mito/extra.zarr/mesh --quiet");
    world.transcript("pin whole --reason x --run er --quiet");
    world.transcript("unpin one --quiet");
    let text = world.transcript("history --action pin,unpin --table");
    let cells = |line: &str| {
        let line = text.lines().find(|it| it.contains(line)).unwrap();
        let after = line.split_once("pin  ").unwrap().1.trim_start();
        after.split("  ").next().unwrap().to_owned()
    };
    assert_eq!(cells("one binds"), "1", "{text}");
    assert_eq!(cells("one releases"), "1", "{text}");
    assert_eq!(cells("whole binds"), "-", "{text}");
    // Programs get the number of rows that were changed.
    let text = world.transcript("history --action pin --json");
    assert!(text.contains("\"artifacts\":0"), "{text}");
}

#[test]
fn what_was_removed_before_and_can_be_restored_is_in_the_document() {
    let world = World::scanned();
    let path = "mito/extra.zarr/mesh";
    world.transcript(&format!("rm --yes --trash {path} --quiet"));
    world.write_array(path);
    world.transcript(&format!(
        "scan --quiet\nrm --yes --no-trash {path} --reason again --quiet"
    ));
    let text = world.transcript(&format!("show {path} --table"));
    assert!(
        text.contains("what was removed from the same path before"),
        "{text}"
    );
    let shown = stdout(&mut world.call(&format!("show --json {path} --quiet")));
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let removed = &shown["artifacts"][0]["removed"];
    assert_eq!(removed["can_be_restored"], false, "{shown}");
    assert_eq!(removed["older"]["state"], "kept", "{shown}");
    let id = removed["older"]["removal"].as_str().unwrap();
    let text = world.transcript(&format!("restore {id}\nshow --json {path}"));
    assert!(text.contains("restored 1 artifact"), "{text}");
    assert!(!text.contains("\"older\""), "{text}");
}
