//! `rm`: what is named, asked, said and removed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use crate::assert_transcript;
use crate::terminal::answered;
use crate::world::{World, stdout};

const ARRAY: &str = "mito/validation.zarr/1000/crop1/prediction";
const OTHER: &str = "mito/validation.zarr/1000/crop2/prediction";

/// A base directory whose arrays are counted.
fn world() -> World {
    let world = World::scanned();
    world.transcript("refresh --measure --quiet");
    world
}

/// Everything in the base directory but the folder of the registry.
fn data(world: &World) -> Vec<(PathBuf, Vec<u8>)> {
    let registry = world.base.join(".dalsegno");
    let tree = world.tree().into_iter();
    tree.filter(|(path, _)| !path.starts_with(&registry))
        .collect()
}

/// The number of an artifact.
fn number(world: &World, path: &str) -> String {
    let line = stdout(&mut world.call(&format!("show {path} --jsonl")));
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    value["id"].to_string()
}

#[test]
fn rm_takes_paths_numbers_and_selections() {
    let world = world();
    let id = number(&world, OTHER);
    let text = world.transcript(&format!(
        "rm {ARRAY} --yes
        rm {ARRAY} --yes
        list --run mito --iteration 1000 --kind prediction --table
        rm --id {id} --yes --json
        rm --id 999999 --yes
        rm --run mito --iteration 1000 --kind output --yes --table
        rm --run mito --iteration 1000 --yes
        rm --run mito --iteration 1000 --yes --json
        runs --table"
    ));
    assert!(!world.base.join("mito/validation.zarr/1000").exists());
    let text = text.replace(&format!("--id {id}"), "--id [ID]");
    assert_transcript!("rm", text);
}

#[test]
fn a_container_named_by_path_or_kind_goes_with_all_that_is_in_it() {
    let world = world();
    fs::write(world.base.join("mito/validation.zarr/notes.txt"), "mine").unwrap();
    fs::write(world.base.join("mito/snapshot.zarr/notes.txt"), "mine").unwrap();
    let text = world.transcript(
        "rm mito/validation.zarr --dry-run --table
        rm mito/validation.zarr --yes
        record snapshot-container --run mito --quiet
        rm --kind snapshot-container --yes
        list --table",
    );
    assert!(!world.base.join("mito/validation.zarr").exists());
    assert!(!world.base.join("mito/snapshot.zarr").exists());
    assert_transcript!("rm_container", text);
}

#[test]
fn strangers_are_named_and_stay() {
    let world = world();
    let note = world.base.join("mito/validation.zarr/1000/notes.txt");
    fs::write(&note, "mine").unwrap();
    let text = world.transcript(
        "rm --run mito --dry-run --table
        rm --run mito --yes",
    );
    assert_eq!(fs::read(note).unwrap(), b"mine");
    assert_transcript!("rm_strangers", text);
}

#[test]
fn a_dry_run_says_what_must_stay() {
    let world = world();
    let before = data(&world);
    let text = world.transcript(
        "pin figure-3 --reason shown --run mito --iteration 9000
        rm --run mito --kind prediction --dry-run --table
        rm --run mito --kind prediction --dry-run --table --force-pinned
        rm --run mito --iteration 9000 --dataset crop2 --dry-run --json",
    );
    assert_transcript!("rm_dry_run_pinned", text);
    assert_eq!(data(&world), before);
}

#[test]
fn a_dry_run_changes_nothing_in_any_form() {
    let world = world();
    // Not the bytes of the catalog: the look before it may note which file the metadata is, once
    // that is some seconds old.
    let known = || {
        let said = |line| stdout(&mut world.call(line));
        (
            data(&world),
            said("list --no-refresh --json"),
            said("history --json"),
        )
    };
    let before = known();
    let text = world.transcript(
        "rm --run mito --kind output --dry-run
        rm --run mito --kind output -n --table
        rm --run mito --kind output -n --json
        rm --run mito --kind output -n --jsonl
        rm --run nobody -n
        rm --run nobody -n --json
        rm er/validation.zarr -n --table",
    );
    assert!(known() == before);
    assert_transcript!("rm_dry_run", text);
}

#[test]
fn rm_asks_on_a_terminal_and_only_yes_is_yes() {
    let world = world();
    let before = world.tree();
    let call = "rm --run mito --iteration 1000";
    let mut text = String::new();
    for answer in ["n\n", "\n", "maybe\n"] {
        text.push_str(&answered(&world, call, answer));
        assert!(world.tree() == before);
    }
    text.push_str(&answered(&world, "rm --run mito", "n\n"));
    text.push_str(&answered(&world, &format!("{call} --trash-for 72h"), "y\n"));
    text.push_str(&answered(&world, "rm --run er --trash", "yes\n"));
    assert!(!world.base.join(ARRAY).exists());
    assert_transcript!("rm_prompt", text);
}

#[test]
fn rm_refuses_what_is_pinned_before_it_asks() {
    let world = world();
    world.transcript("pin paper --run mito --iteration 1000 --reason figure");
    let before = world.tree();
    let said = answered(&world, "rm --run mito", "y\n");
    assert!(said.contains("error[pinned]"), "{said}");
    assert!(!said.contains("[y/N]"), "{said}");
    assert!(world.tree() == before);
    let said = answered(&world, "rm --run mito --keep-going", "n\n");
    assert!(said.contains("[y/N]"), "{said}");
}

#[test]
fn without_a_terminal_and_without_yes_nothing_is_removed() {
    let world = world();
    let before = world.tree();
    let base = world.base.display();
    let text = world.transcript(&format!(
        "rm {ARRAY}
        rm --run mito --base {base}
        rm"
    ));
    assert!(world.tree() == before);
    assert_transcript!("rm_no_terminal", text);
}

#[test]
fn the_trash_is_kept_as_the_flags_say_else_as_the_configuration_says() {
    let world = world();
    let text = world.transcript(&format!(
        "rm {ARRAY} --yes --trash --reason 'bad threshold'
        rm {OTHER} --yes --trash-for 2h --json
        rm --run er --yes --trash --no-trash
        rm --run er --yes --trash-for soon"
    ));
    let config = world.base.join(".dalsegno/config.toml");
    fs::write(config, "[trash]\nkeep = \"72h\"\n").unwrap();
    let more = world.transcript(
        "rm --run er --yes
        rm --run mito --kind output --yes --no-trash
        trash list --table
        trash list",
    );
    let base = world.base.display();
    let named = world.transcript(&format!(
        "rm mito/extra.zarr/mesh --yes --trash --base {base}
        trash list --table --base {base}
        trash empty --base {base}
        restore --run nobody --base {base}"
    ));
    let text = text + &more + &named;
    assert_transcript!("rm_trash", text);
}

#[test]
fn data_that_is_gone_and_paths_without_a_row() {
    let world = world();
    fs::remove_dir_all(world.base.join(ARRAY)).unwrap();
    let text = world.transcript(&format!(
        "rm {ARRAY} --yes
        rm {ARRAY} --yes
        rm mito/nothing.zarr --yes
        rm mito/other --yes
        rm /tmp/elsewhere.zarr --yes
        rm . --yes
        rm .. --yes
        rm --run nobody --yes
        rm --run nobody --yes --json"
    ));
    assert_transcript!("rm_missing", text);
}

#[test]
fn a_symbolic_link_is_refused_unless_it_is_left_out() {
    let world = world();
    let (array, away) = (world.base.join(ARRAY), world.dir.join("away"));
    fs::rename(&array, &away).unwrap();
    symlink(&away, &array).unwrap();
    let before = data(&world);
    let call = "rm --run mito --iteration 1000 --kind prediction --yes";
    let refused = world.transcript(call);
    assert!(data(&world) == before);
    assert_eq!(stdout(&mut world.call("trash list")).lines().count(), 1);
    assert!(away.join(".zarray").exists());
    let text = world.transcript(&format!(
        "{call} --keep-going\nlist --run mito --iteration 1000 --table"
    ));
    assert!(away.join(".zarray").exists() && array.is_symlink());
    assert!(!world.base.join(OTHER).exists());
    assert_transcript!("rm_symlink", refused + &text);
}

/// Straight after a training no row knows its data: what rm says is what is on disk.
#[test]
fn rm_counts_what_a_training_has_just_written() {
    let world = World::new();
    world.transcript("init --here --quiet");
    for iteration in [1, 2] {
        let path = world.transcript(&format!(
            "record prediction --run new --iteration {iteration} --dataset d"
        ));
        assert!(path.contains("prediction"));
        let folder = world
            .base
            .join(format!("new/validation.zarr/{iteration}/d/prediction"));
        std::fs::create_dir_all(folder.join("0")).unwrap();
        std::fs::write(folder.join(".zarray"), "{}").unwrap();
        std::fs::write(folder.join("0/0"), "a chunk").unwrap();
    }
    let text = world.transcript(
        "rm --run new --dry-run --no-count
        rm --run new --iteration 1 --dry-run
        rm --run new --trash --yes
        list --no-refresh
        restore --run new
        list --no-refresh",
    );
    assert_transcript!("rm_counts", text);
}

#[test]
fn a_whole_run_goes_with_what_the_registry_does_not_know() {
    let world = world();
    for file in ["mito/log.txt", "mito/checkpoints/trace.pt"] {
        fs::create_dir_all(world.base.join(file).parent().unwrap()).unwrap();
        fs::write(world.base.join(file), "mine").unwrap();
    }
    let before = data(&world);
    let text = world.transcript(
        "rm --whole-run mito
        rm --whole-run mito --run mito
        rm --whole-run nothing --yes
        rm --whole-run mito --dry-run
        rm --whole-run mito --dry-run --table
        pin p --reason x --run mito --iteration 9000 --quiet
        rm --whole-run mito --yes
        unpin p --quiet
        rm --whole-run mito --yes --trash",
    );
    assert!(!world.base.join("mito").exists());
    assert_transcript!("rm_whole_run", text);
    world.transcript("restore --run mito");
    assert!(data(&world) == before);
}

#[test]
fn what_goes_without_a_row_is_in_the_numbers_that_are_confirmed() {
    let world = world();
    let array = world
        .base
        .join("mito/validation.zarr/1000/later/prediction");
    fs::create_dir_all(&array).unwrap();
    fs::write(array.join(".zarray"), "{}").unwrap();
    fs::write(array.join("0"), [0; 1000]).unwrap();
    let mut text = world.transcript(
        "rm mito/validation.zarr --dry-run
        rm mito/validation.zarr --dry-run --table
        rm mito/validation.zarr --dry-run --no-count",
    );
    let plan = stdout(&mut world.call("rm mito/validation.zarr --dry-run --json"));
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    for counted in [&plan["plan"], &plan["plan"]["items"][0]] {
        assert_eq!(
            (&counted["other_bytes"], &counted["other_files"]),
            (&1002.into(), &2.into())
        );
    }
    text.push_str(&answered(&world, "rm mito/validation.zarr", "n\n"));
    text.push_str(&world.transcript("rm mito/validation.zarr --yes --trash"));
    assert_transcript!("rm_without_rows", text);
}

#[test]
fn the_next_step_for_an_inner_registry_works_when_typed() {
    let world = World::scanned();
    let inner = world
        .base
        .join("mito/validation.zarr/9000/crop1/prediction/d'p");
    fs::create_dir_all(&inner).unwrap();
    let base = world.base.to_str().unwrap();
    world.say(
        "init",
        Command::new(env!("CARGO_BIN_EXE_dalsegno"))
            .args(["init", "--here", "--base"])
            .arg(&inner),
    );
    let path = "mito/validation.zarr/9000/crop1/prediction";
    for line in [
        format!("--base {base} rm {base}/{path} --yes"),
        format!("--base {base} rm {base}/{path} --yes --no-count"),
        format!("--base {base} mv mito other --yes"),
    ] {
        let output = world.call(&line).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{line}");
        let text = String::from_utf8(output.stderr).unwrap();
        let (_, hint) = text.split_once(": dalsegno ").unwrap();
        let (typed, _) = hint.split_once("; ").unwrap();
        // As a shell reads it: it lists the inner registry, which is empty.
        let program = world.program();
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("\"$0\" {typed} --json")]);
        shell.arg(program.get_program());
        let listed = shell.output().unwrap();
        assert!(listed.status.success(), "{typed}");
        let listed = String::from_utf8(listed.stdout).unwrap();
        assert!(listed.contains("\"artifacts\": []"), "{listed}");
    }
    assert!(inner.join(".dalsegno/catalog.sqlite3").is_file());
}

#[test]
fn what_stays_below_a_folder_that_is_named_is_named() {
    let world = world();
    let folder = "mito/validation.zarr/1000";
    // Beside the arrays, between them, and in a folder whose name begins alike.
    fs::write(world.base.join(folder).join("notes.txt"), "mine").unwrap();
    fs::write(
        world.base.join(folder).join("crop1/output/more.txt"),
        "mine",
    )
    .unwrap();
    fs::create_dir(world.base.join("mito/validation.zarr/10001")).unwrap();
    fs::write(world.base.join("mito/validation.zarr/10001/no.txt"), "mine").unwrap();
    let stays = format!(
        "err| these are in the same folders and stay:\nerr|   {folder}/crop1/output/more.txt\nerr|   \
         {folder}/notes.txt\n"
    );
    let preview = world.transcript(&format!("rm {folder} --dry-run"));
    assert!(preview.contains(&stays), "{preview}");
    let document = stdout(&mut world.call(&format!("rm {folder} --dry-run --json")));
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_eq!(
        document["plan"]["stays"].as_array().unwrap().len(),
        2,
        "{document}"
    );
    let removed = world.transcript(&format!("rm {folder} --yes"));
    assert!(removed.contains(&stays), "{removed}");
    assert!(world.base.join(folder).join("notes.txt").is_file());
}

#[test]
fn whole_run_of_what_is_a_part_of_a_run_says_what_to_type() {
    let world = world();
    for (part, what) in [
        ("mito/validation.zarr", "a container"),
        ("mito/validation.zarr/1000", "a part"),
    ] {
        let said = world.transcript(&format!("rm --whole-run {part} --yes"));
        assert!(
            said.contains(&format!("{part} is {what} of run mito")),
            "{said}"
        );
        assert!(said.contains(&format!("dalsegno rm {part};")), "{said}");
        assert!(said.contains("dalsegno rm --whole-run mito"), "{said}");
        assert!(
            said.contains("exit 2") && world.base.join(part).is_dir(),
            "{said}"
        );
    }
}
