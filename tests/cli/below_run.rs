//! Paths of what is in a run, given as if they were names of runs.

use std::fs;

use crate::world::{World, stdout};

/// What the program says in a folder of a world.
fn said_in(world: &World, folder: &str, line: &str) -> String {
    let mut command = world.call(line);
    command.current_dir(world.base.join(folder));
    world.say(line, &mut command)
}

#[test]
fn a_path_below_a_run_is_not_the_run_in_any_command() {
    let world = World::scanned();
    world.write_array("group/new/validation.zarr/1/crop1/prediction");
    world.transcript("scan --quiet");
    let all = || stdout(&mut world.call("list -0 --no-refresh --quiet"));
    let before = all();
    let below = world.base.join("mito/validation.zarr/1000");
    let spelled = [
        ("", "mito/validation.zarr".to_owned()),
        ("", "mito/validation.zarr/1000/".to_owned()),
        ("", "./mito/validation.zarr/1000".to_owned()),
        ("", format!("{}/", below.display())),
        ("", below.display().to_string()),
        ("mito", "./validation.zarr".to_owned()),
        ("mito/validation.zarr", ".".to_owned()),
        ("er", "../mito/validation.zarr/".to_owned()),
        ("", "./mito/logs".to_owned()),
        ("", "mito/checkpoints/".to_owned()),
        ("", "group/new/validation.zarr/".to_owned()),
    ];
    for (folder, text) in &spelled {
        for line in [
            format!("rm --run {text} --yes"),
            format!("rm --run er --run {text} --yes"),
            format!("rm --run '*' --exclude-run {text} --yes"),
            format!("list --run {text}"),
        ] {
            let said = said_in(&world, folder, &line);
            let run = if text.contains("group") {
                "group/new"
            } else {
                "mito"
            };
            assert!(
                said.contains("error[below-run]:")
                    && said.contains(&format!("is a folder of run {run}, not a run"))
                    && said.contains("type it without --run: dalsegno ")
                    && said.ends_with("exit 1\n"),
                "{said}"
            );
        }
    }
    for line in [
        "gc --run mito/validation.zarr/ --keep-last 1 --apply --yes",
        "gc --runs --run mito/validation.zarr/ --keep-last 1",
        "iterations --run mito/validation.zarr/",
        "runs --run mito/validation.zarr/",
        "du --run mito/validation.zarr/",
        "show --run mito/validation.zarr/",
        "pin p --run mito/validation.zarr/ --reason why",
        "unpin p --run mito/validation.zarr/",
        "seal --run mito/validation.zarr/",
        "refresh --run mito/validation.zarr/",
        "verify --run mito/validation.zarr/",
        "history --run mito/validation.zarr/",
        "restore --run mito/validation.zarr/",
        "scan --run mito/validation.zarr/",
        "score --run mito/validation.zarr/",
        "score --run mito/validation.zarr/ --iteration 1000 voi=0.5",
        "mv mito/validation.zarr/ other --yes",
    ] {
        let said = said_in(&world, "", line);
        assert!(
            said.contains("is a folder of run mito, not a run") && said.ends_with("exit 1\n"),
            "{said}"
        );
    }
    assert_eq!(all(), before);
    let said = said_in(&world, "mito", "rm --run ./validation.zarr/1000/ --yes");
    let next = "  next: for what is below it, type it without --run: dalsegno rm \
                validation.zarr/1000; for the whole run give mito";
    let said: String = said
        .replace("err| ", "")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(said.contains(next.trim()), "{said}");
}

#[test]
fn the_folder_of_a_run_is_the_run_however_it_is_spelled() {
    let world = World::scanned();
    world.write_array("group/new/validation.zarr/1/crop1/prediction");
    world.write_array("group/old/validation.zarr/1/crop1/prediction");
    fs::create_dir_all(world.base.join("mito/logs")).unwrap();
    world.transcript("scan --quiet");
    for (run, folder, text) in [
        ("mito", "", "mito/".to_owned()),
        ("mito", "", "./mito".to_owned()),
        ("mito", "", world.base.join("mito/").display().to_string()),
        ("mito", "mito", ".".to_owned()),
        ("mito", "mito/logs", "..".to_owned()),
        ("mito", "er", "../mito/".to_owned()),
        ("group/new", "", "group/new".to_owned()),
        ("group/new", "", "group/new/".to_owned()),
        ("group/new", "", "./group/new".to_owned()),
        ("group/new", "group", "./new/".to_owned()),
        ("group/new", "group/new", ".".to_owned()),
        (
            "group/new",
            "",
            world.base.join("group/new").display().to_string(),
        ),
    ] {
        let mut command = world.call(&format!("runs --run {text} --columns run --quiet"));
        let said = stdout(command.current_dir(world.base.join(folder)));
        assert_eq!(said.lines().last(), Some(run), "{text} in {folder}");
        assert_eq!(said.lines().count(), 2, "{said}");
    }
}

#[test]
fn what_the_trash_has_of_a_run_with_checkpoints_on_disk_comes_first() {
    let world = World::scanned();
    let folder = world.base.join("er/checkpoints/iterations");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("500"), "x").unwrap();
    let text = world.transcript("rm er --trash --yes --quiet");
    assert!(!text.contains("exit"), "{text}");
    let words = "nothing is recorded of run \"er\"; 1 artifact of it is in the trash; restore it \
                 with: dalsegno restore --run er; checkpoints in its folder are not recorded; take \
                 them in with: dalsegno scan --kind checkpoint";
    for line in [
        "list --run er",
        "list er",
        "iterations --run er",
        "rm --run er --yes",
        "gc --run er --keep-last 1",
        "verify --run er",
        "pin p --run er --reason why",
    ] {
        let text = world.transcript(line);
        assert!(text.contains(words) && text.ends_with("exit 1\n"), "{text}");
    }
    let text = world.transcript("rm er --yes");
    let words = "next: 1 artifact of it is in the trash; restore it with: dalsegno restore er; \
                 checkpoints there are not recorded; take them in with: dalsegno scan --kind \
                 checkpoint";
    assert!(text.contains(words), "{text}");
}

#[test]
fn a_folder_of_checkpoints_is_taken_in_by_a_scan_for_them() {
    let world = World::scanned();
    let folder = world.base.join("mito/checkpoints/iterations");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("1000"), "x").unwrap();
    fs::create_dir_all(world.base.join("later/checkpoints/iterations")).unwrap();
    fs::write(world.base.join("later/checkpoints/iterations/5"), "x").unwrap();
    for path in [
        "mito/checkpoints",
        "mito/checkpoints/iterations",
        "mito/checkpoints/iterations/1000",
        "later",
        "later/checkpoints",
    ] {
        let text = world.transcript(&format!("rm {path} --yes"));
        assert!(text.contains("dalsegno scan --kind checkpoint"), "{text}");
    }
    // What is not there is added by no scan for checkpoints.
    for path in ["er/checkpoints", "mitoo"] {
        let text = world.transcript(&format!("rm {path} --yes"));
        assert!(!text.contains("--kind checkpoint"), "{text}");
    }
}

#[test]
fn what_is_refused_before_the_question_is_said_to_be_about_all_runs() {
    let world = World::scanned();
    world.transcript("pin figure-1 --run er --reason plots --quiet");
    let about = "no run is selected, so this is about all runs of [BASE], and not only about mito";
    let said = said_in(&world, "mito", "rm --iteration 500");
    let [warning, error] = [about, "error[pinned]"].map(|text| said.find(text));
    assert!(warning.is_some() && warning < error, "{said}");
}
