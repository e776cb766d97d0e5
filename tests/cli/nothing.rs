//! Selections that match nothing, and the ways in which a run is named.

use std::fs;

use crate::assert_transcript;
use crate::terminal::answered_in;
use crate::world::{World, stdout};

#[test]
fn a_selection_that_matches_nothing_names_the_nearest() {
    let world = World::scanned();
    let text = world.transcript(
        "list --run mitoo --table
        list --run mitoo
        list --run mito --run err -0
        list --run 'm?o' --json
        list --run mito --dataset corp1 --table
        list --run er --dataset crop2 --table
        list --parameters threshold_128 --table
        list --run mito --iteration 7 --table
        iterations --run mitoo --table
        runs --run mitoo --table
        du --run mitoo --table
        show --run mitoo --table
        history --run mitoo --table
        gc --run mitoo --keep-last 1",
    );
    assert_transcript!("nothing_shown", text);
}

#[test]
fn a_name_beside_known_ones_and_one_to_sort_by_is_named_too() {
    let world = World::scanned();
    world.transcript("score --run er --iteration 500 voi_split=0.5 --quiet");
    let text = world.transcript(
        "history --run er --run mitoo --action pin
        history --user nobody-at-all
        score --run mitoo
        score --run er --dataset corp1
        score --iteration 501
        list --run er --iteration 500 --sort score:voi_spilt --columns run,iteration,kind
        runs --run er --sort score:voi_spilt:min --columns run
        pin figure-5 --run er --iteration 501 --reason later
        unpin figure-5 --run mito
        gc --run er --keep-last 1 --explain er",
    );
    assert_transcript!("nothing_beside", text);
}

#[test]
fn a_change_of_nothing_fails_and_says_why() {
    let world = World::scanned();
    world.transcript("pin figure-3 --run er --reason plots --quiet");
    world.transcript("score --run er --iteration 500 voi=0.5 --quiet");
    let before = world.transcript("list -0 --no-refresh --quiet");
    let text = world.transcript(
        "rm --run mitoo --yes
        rm --run mitoo -n
        rm --run mito --dataset corp1 --yes
        rm --run mito --iteration 7 --yes
        rm mito/validation.zarr/1000/crop1/predicton --yes
        rm mitoo/validation.zarr --yes
        rm --whole-run mitoo --yes
        seal --run mitoo
        pin figure-4 --run mitoo --reason why
        unpin figure-4
        unpin figure-3 --run mitoo
        refresh --run mitoo
        verify --run mitoo
        verify --run mito --dataset corp1
        gc --run mitoo --keep-last 1 --apply --yes
        score --run mito --iteration 1000 vio
        gc --keep-best 1 --metric voj:min",
    );
    assert_eq!(world.transcript("list -0 --no-refresh --quiet"), before);
    assert_transcript!("nothing_changed", text);
}

#[test]
fn a_run_that_is_named_beside_others_must_be_there_too() {
    let world = World::scanned();
    assert_transcript!(
        "nothing_partly",
        world.transcript(
            "rm --run er --run mitoo --yes
        rm --run er --run mitoo -n
        seal --run er --run mitoo
        pin figure-1 --run er --run mitoo --reason why
        gc --run er --run mitoo --keep-last 1 --apply --yes
        refresh --run er --run mitoo
        verify --run er --run mitoo
        scan --run er --run mitoo
        list --run er --run mitoo --table
        rm --run er --run 'mitoo*' --yes"
        )
    );
}

#[test]
fn a_run_is_also_named_by_the_path_of_its_folder() {
    let world = World::scanned();
    let expected = stdout(&mut world.call("list --run er"));
    let base = world.base.to_str().unwrap().to_owned();
    let folders = [
        (
            "",
            vec![
                "er/",
                "./er",
                "./er/",
                "./e?",
                &format!("{base}/er"),
                &format!("{base}/er/"),
            ],
        ),
        ("er", vec![".", "./", "../er", "er", "er/", "../e*"]),
        ("er/validation.zarr", vec!["..", "../../er/", "../.", "er/"]),
    ]
    .map(|(folder, names)| {
        (
            folder,
            names.into_iter().map(str::to_owned).collect::<Vec<_>>(),
        )
    });
    for (folder, names) in folders {
        for name in names {
            let mut command = world.call(&format!("list --run {name} --quiet"));
            command.current_dir(world.base.join(folder));
            assert_eq!(stdout(&mut command), expected, "{name} in {folder}");
        }
    }
    let mut outside = world.call(&format!(
        "--base {base} list --run {base}/er/ --exclude-run ./mito"
    ));
    assert_eq!(stdout(outside.current_dir(&world.dir)), expected);
    let taken = stdout(&mut world.call(&format!("mv {base}/er/ ./nucleus/ --yes --quiet")));
    assert_eq!(taken, "");
    assert!(world.base.join("nucleus").is_dir());
    stdout(&mut world.call("rm --whole-run ./nucleus/ --yes --quiet"));
    assert!(!world.base.join("nucleus").exists());
}

#[test]
fn a_name_that_is_to_be_left_out_and_is_unknown_stops_a_removal() {
    let world = World::scanned();
    for wrong in [
        "--exclude-run mito,er",
        "--exclude-run mitto",
        "--exclude-dataset crop01",
        "--exclude-parameters none",
    ] {
        for command in [
            format!("rm --run '*' {wrong} --yes"),
            format!("gc {wrong} --keep-within 1s --apply --yes"),
        ] {
            let text = world.transcript(&command);
            assert!(text.contains("error[exclusion-unknown]"), "{text}");
            assert!(text.contains("next:") && text.contains("exit 1"), "{text}");
        }
    }
    // A pattern may match nothing.
    let text = world.transcript("rm --run '*' --exclude-run 'x*' --dry-run");
    assert!(text.contains("would remove"), "{text}");
    let text = world.transcript("list --table");
    assert!(text.contains("mito") && text.contains("er "), "{text}");
}

#[test]
fn a_name_that_is_to_be_left_out_and_is_unknown_is_warned_of_by_all_others() {
    let world = World::scanned();
    world.transcript("pin fig --run er --reason plots --quiet");
    for call in [
        "list --table",
        "list --json",
        "iterations --table",
        "runs --table",
        "du --table",
        "show --run er",
        "refresh",
        "verify",
        "seal",
        "pin fig",
        "unpin fig",
    ] {
        let call = format!("{call} --state present --exclude-run mitto");
        let text = world.transcript(&call);
        let says = "nothing is left out: no run \"mitto\"; did you mean \"mito\"?";
        assert_eq!(text.matches(says).count(), 1, "{text}");
        assert!(!text.contains("exit 1"), "{text}");
    }
    world.transcript("rm --run er --yes --quiet");
    // A run that is gone, what is there, and a pattern.
    let text = world.transcript("list --exclude-run er --exclude-dataset crop1 --exclude-run 'x*'");
    assert!(!text.contains("left out"), "{text}");
}

#[test]
fn a_run_that_was_not_scanned_is_told_from_one_that_does_not_exist() {
    let world = World::runs();
    for (path, text) in [
        ("chk/checkpoints/iterations/1", "model"),
        ("logs/train.log", "epoch 1\n"),
    ] {
        let path = world.base.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    world.transcript("init --quiet");
    let mut text = String::new();
    let shown = "iterations --run RUN --table\nlist --run RUN --table";
    for run in ["er", "chk", "logs", "none", "../runs", "e?"] {
        text += &world.transcript(&shown.replace("RUN", run));
    }
    text += &world.transcript("du --run er --table\nrm --run er --yes\nrm --run chk --yes");
    // What is to be typed is what helps.
    let all = "scan --quiet\nscan --kind checkpoint --quiet";
    text += &world.transcript(&format!("{all}\nlist --run chk --kind checkpoint --table"));
    for run in ["er", "chk", "logs"] {
        text += &world.transcript(&shown.replace("RUN", run));
    }
    assert_transcript!("nothing_scanned", text);
}

#[test]
fn a_path_means_the_run_or_the_folder_that_it_names() {
    let world = World::scanned();
    let folder = world.base.join("mito/checkpoints/iterations");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("9000"), "weights").unwrap();
    world.write_array("mito/sub/validation.zarr/7/crop1/prediction");
    world.transcript("scan --quiet\nscan --kind checkpoint --quiet");
    let paths = |line: &str| {
        let text = stdout(&mut world.call(&format!("{line} -0 --quiet")));
        let base = format!("{}/", world.base.display());
        let paths = text.split_terminator('\0');
        let paths = paths.map(|path| path.strip_prefix(&base).unwrap().to_owned());
        paths.collect::<Vec<String>>()
    };
    // A run in the folder of another is another run.
    for (path, flags) in [
        ("mito", "--run mito"),
        ("mito/", "--run mito"),
        ("mito er", "--run mito --run er"),
        ("mito/sub", "--run mito/sub"),
        ("mito/validation.zarr/1000", "--run mito --iteration 1000"),
        (
            "mito/validation.zarr/1000/crop2 mito/validation.zarr/9000/crop2",
            "--run mito --dataset crop2",
        ),
        (
            "mito/validation.zarr/1000/crop1/output",
            "--run mito --iteration 1000 --dataset crop1 --kind output",
        ),
        ("mito/snapshot.zarr", "--run mito --kind snapshot"),
        ("mito/checkpoints", "--run mito --kind checkpoint"),
        (
            "mito/checkpoints/iterations/9000",
            "--run mito --kind checkpoint",
        ),
        ("mito/extra.zarr/mesh", "--run mito --kind array"),
        ("mito --kind output", "--run mito --kind output"),
        (
            "mito/validation.zarr er --iteration 500..1000 --kind prediction",
            "--run mito --run er --iteration 500..1000 --kind prediction",
        ),
        (".", "--run '*'"),
    ] {
        let found = paths(&format!("list {path}"));
        assert!(!found.is_empty(), "{path}");
        assert_eq!(found, paths(&format!("list {flags}")), "{path}");
    }
    // Of a name that is the start of another nothing is taken.
    let text = world.transcript("list mito/validation.zarr/100 -0 --quiet");
    assert!(
        !text.contains("out|") && text.ends_with("exit 1\n"),
        "{text}"
    );
    let same = |one: &str, other: &str| {
        let [one, other] =
            [one, other].map(|line| stdout(&mut world.call(&format!("{line} --quiet"))));
        assert_eq!(one, other);
    };
    same("iterations mito --jsonl", "iterations --run mito --jsonl");
    same("runs er --jsonl", "runs --run er --jsonl");
    same("du mito --jsonl", "du --run mito --jsonl");
    same("show er --jsonl", "show --run er --jsonl");
    same("verify er --json", "verify --run er --json");
    same(
        "rm mito/validation.zarr/1000 --dry-run --jsonl",
        "rm --run mito --iteration 1000 --dry-run --jsonl",
    );
    same(
        "rm mito --dry-run --jsonl",
        "rm --run mito --dry-run --jsonl",
    );
}

#[test]
fn a_folder_is_pinned_sealed_verified_and_removed_as_a_selection_is() {
    let world = World::scanned();
    let text = world.transcript(
        "pin figure-1 mito --reason plots
        unpin figure-1
        pin figure-2 mito/validation.zarr/9000 --reason plots
        pin figure-2 mito/validation.zarr/9000 --kind output
        seal mito/validation.zarr/1000/crop1
        verify mito/validation.zarr/1000
        verify mito/validation.zarr/1000/crop1/prediction
        rm mito/validation.zarr/9000 --yes
        rm mito/validation.zarr/1000/crop1 mito/validation.zarr/1000/crop1/prediction --yes
        rm mito/validation.zarr --kind output --iteration 1000 --dry-run --table
        rm --id 999 --kind output --yes
        rm mito/validation.zarr/7 --yes
        rm mito/validation.zarr/1000/corp2 --yes
        list mito/validation.zarr/1000/corp2
        list mitoo
        verify mitoo
        seal mitoo
        show mitoo
        show mito/validation.zarr/9000 --table
        list mito --table",
    );
    assert_transcript!("folders", text);
}

/// What the program says in a folder of a world.
fn said_in(world: &World, folder: &str, line: &str) -> String {
    let mut command = world.call(line);
    command.current_dir(world.base.join(folder));
    world.say(&format!("{line}   # in {folder}"), &mut command)
}

#[test]
fn in_a_folder_of_a_run_it_is_said_what_a_command_is_about() {
    let world = World::runs();
    let old = "mito/validation.zarr/1000/crop1/prediction/.zarray";
    crate::gc::date(&world, old, 9);
    world.transcript("init --quiet\nscan --quiet");
    fs::create_dir_all(world.base.join("group/new")).unwrap();
    let mut text = String::new();
    for (folder, line) in [
        ("mito", "runs --table"),
        ("mito", "runs --table --quiet"),
        ("mito/validation.zarr", "rm --kind output --dry-run --table"),
        ("mito", "rm --run er --kind output --dry-run --table"),
        ("mito", "rm . --kind output --dry-run --table"),
        (
            "mito",
            "rm validation.zarr/1000/crop1/prediction --dry-run --table",
        ),
        ("group/new", "rm --kind input-gt --yes"),
    ] {
        text += &said_in(&world, folder, line);
    }
    text += &answered_in(&world, "mito", "rm --kind prediction --quiet", "n\n");
    assert_transcript!("in_a_run", text);
    let about_all =
        "no run is selected, so this is about all runs of [BASE], and not only about mito";
    let rules = "gc --kind prediction --keep-within 1d --allow-incomplete";
    for (line, says) in [
        (rules.to_owned(), true),
        (format!("{rules} --run mito"), false),
        (format!("{rules} --apply --yes"), true),
    ] {
        let said = said_in(&world, "mito", &line);
        assert!(
            said.contains("remove 1 artifact") || said.contains("removed 1 artifact"),
            "{said}"
        );
        assert_eq!(
            said.contains(&format!("warning: {about_all}")),
            says,
            "{said}"
        );
        if line == rules {
            let said = answered_in(&world, "mito", &format!("{rules} --apply --quiet"), "n\n");
            assert!(
                said.contains(&format!("\n{about_all}\nRemove 1 artifact")),
                "{said}"
            );
        }
    }
}

#[test]
fn the_environment_is_named_in_another_base_directory() {
    let [world, other] = [World::scanned(), World::scanned()];
    let said = |folder: &std::path::Path, value: &std::path::Path| {
        let mut command = world.call("runs");
        command.current_dir(folder).env("DALSEGNO_BASE", value);
        String::from_utf8(command.output().unwrap().stderr).unwrap()
    };
    let line = format!("base directory: {} (DALSEGNO_BASE)\n", other.base.display());
    assert_eq!(said(&world.base.join("mito"), &other.base), line);
    for folder in [&world.dir, &other.base, &other.base.join("er")] {
        assert_eq!(said(folder, &other.base), "", "{}", folder.display());
    }
}

#[test]
fn init_asks_where_no_registry_is_meant() {
    let world = World::runs();
    fs::create_dir_all(world.base.join("../elsewhere/notes")).unwrap();
    fs::create_dir_all(world.base.join("../empty")).unwrap();
    let mut text = String::new();
    for folder in ["mito", "mito/validation.zarr/1000", "../elsewhere"] {
        text += &said_in(&world, folder, "init");
        text += &answered_in(&world, folder, "init", "n\n");
        assert!(
            !world.base.join(folder).join(".dalsegno").exists(),
            "{folder}"
        );
    }
    text += &said_in(&world, "../empty", "init");
    text += &answered_in(&world, "../empty", "init", "n\n");
    assert!(!world.base.join("../empty/.dalsegno").exists());
    text += &said_in(&world, "../empty", "init --here");
    text += &said_in(&world, "../elsewhere", "init --here");
    text += &said_in(&world, "", "init");
    for folder in ["mito", "er", "mito/validation.zarr"] {
        text += &said_in(&world, folder, "init");
    }
    // There is one: nothing is asked.
    text += &said_in(&world, "", "init");
    text += &answered_in(&world, "mito", "init", "y\n");
    text += &said_in(&world, "mito", "scan");
    // A folder above a registry.
    for folder in ["..", "../above"] {
        fs::create_dir_all(world.base.join("../above/group/runs/.dalsegno")).unwrap();
        text += &said_in(&world, folder, "init");
        text += &answered_in(&world, folder, "init", "n\n");
        assert!(
            !world.base.join(folder).join(".dalsegno").exists(),
            "{folder}"
        );
    }
    assert_transcript!("init_asks", text);
}

#[test]
fn a_missing_registry_names_one_that_is_near() {
    let world = World::scanned();
    let mut text = String::new();
    for (folder, line) in [
        ("..", "list"),
        ("", "list --base mito"),
        ("", "list --base .."),
        ("..", "doctor"),
    ] {
        let said = said_in(&world, folder, line);
        assert!(said.contains("has no registry; [BASE] has one"), "{said}");
        let lines = said
            .lines()
            .filter(|line| line.starts_with("err|") || line.starts_with("$"));
        text.extend(lines.map(|line| format!("{line}\n")));
    }
    assert_transcript!("near", text);
}

#[test]
fn a_scan_of_a_run_looks_at_no_other() {
    let world = World::scanned();
    let new = ["mito", "er", "fresh"].map(|run| {
        let path = format!("{run}/validation.zarr/77/crop9/prediction");
        world.write_array(&path);
        path
    });
    let rows = |world: &World| world.transcript("list -0 --no-refresh --quiet");
    let of_mito = world.transcript("list --run mito -0 --no-refresh --quiet");
    let text = world.transcript(
        "scan --run mitoo
        scan --run mito
        scan --run ./fresh/ --kind output
        scan --run fresh --run fresh
        scan --run fresh
        scan --run 'm*' --json",
    );
    assert_transcript!("scan_of_a_run", text);
    assert_ne!(
        world.transcript("list --run mito -0 --no-refresh --quiet"),
        of_mito
    );
    let [mito, er, fresh] = &new;
    assert!(rows(&world).contains(mito) && rows(&world).contains(fresh));
    assert!(!rows(&world).contains(er));
    fs::remove_dir_all(world.base.join(mito)).unwrap();
    fs::remove_dir_all(world.base.join("er")).unwrap();
    let gone = world.transcript("scan --run mito");
    assert!(gone.contains("gone"), "{gone}");
    let er = world.transcript("list --run er --state missing -0 --no-refresh --quiet");
    assert!(
        !er.contains("er/validation.zarr"),
        "no row of another run changes: {er}"
    );
    // A run whose folder is gone is still a run.
    let text = world.transcript("scan --run er --run 'nothing*'");
    assert!(
        text.contains("gone") && !text.contains("no run \"er\""),
        "{text}"
    );
}

/// Scans, checks and rebuilds count what lies outside runs, and name each if they are asked to.
#[test]
fn what_lies_outside_runs_is_said_in_one_line() {
    let world = World::scanned();
    world.write_array("stray.zarr/a");
    let one = world.transcript("scan");
    assert_eq!(one.matches("outside-run").count(), 1, "{one}");
    for name in ["b", "c"] {
        world.write_array(&format!("stray.zarr/{name}"));
    }
    for command in ["scan", "verify", "rebuild --force"] {
        let text = world.transcript(command);
        let line = "outside-run: 3 arrays are in containers outside any run, such as stray.zarr/a";
        assert_eq!(text.matches("outside-run").count(), 1, "{text}");
        assert!(text.contains(line), "{text}");
        let text = world.transcript(&format!("{command} --verbose"));
        assert_eq!(
            text.matches("outside-run: stray.zarr/").count(),
            3,
            "{text}"
        );
        let text = world.transcript(&format!("{command} --json"));
        assert_eq!(text.matches("\"outside-run\"").count(), 3, "{text}");
    }
}

#[test]
fn the_nearest_name_is_named_by_every_command() {
    let world = World::scanned();
    let config = world.base.join(".dalsegno/config.toml");
    let mut text = fs::read_to_string(&config).unwrap();
    text.push_str("[policy.nightly.prediction]\nkeep-last = 3\n");
    fs::write(&config, text).unwrap();
    world.transcript("rm mito/validation.zarr/1000/crop1 --trash --yes --quiet");
    let trash = stdout(&mut world.call("trash list --jsonl --quiet"));
    let trash: serde_json::Value = serde_json::from_str(&trash).unwrap();
    let id = trash["id"].as_str().unwrap().to_owned();
    let other = match id.strip_suffix('0') {
        Some(start) => format!("{start}1"),
        None => format!("{}0", &id[..id.len() - 1]),
    };
    let day = &id[..15];
    for (line, says) in [
        (
            format!("restore {other}"),
            format!("there is no removal {other}; did you mean \"{id}\"?"),
        ),
        (
            format!("restore {day}"),
            format!("is in the trash; did you mean \"{id}\"?"),
        ),
        (
            format!("trash empty {other} --yes"),
            format!("there is no removal {other}; did you mean \"{id}\"?"),
        ),
        (
            "restore 20010101-000000-aaaaaa".to_owned(),
            "there is no removal 20010101-000000-aaaaaa\n".to_owned(),
        ),
    ] {
        let text = world.transcript(&line);
        assert!(text.contains(&says), "{says}: {text}");
        assert!(text.ends_with("exit 1\n"), "{text}");
    }
    let text = world.transcript(
        "restore mitoo
        restore mito/validation.zarr/1000/corp1
        restore --run mitoo
        restore --run mito --dataset corp1
        restore --run mito --parameters threshold_128
        mv mitoo nucleus
        list --parameters 127 --table
        list --kind predicton
        list --state damagd
        list --run mito --iteration 7000,9000 --table
        list --run mito --iteration 20000.. --table
        iterations --iteration ..-1 --table
        rm --run mito --iteration 7 --yes
        gc --policy nigthly
        score --run mitoo --iteration 1000 voi=0.3
        score --run mitoo --iteration 1000 --remove voi
        score --run mito --iteration 1000 --dataset corp2 voi=0.3",
    );
    assert_transcript!("nothing_nearest", text);
}

#[test]
fn a_run_of_which_nothing_is_left_is_neither_pinned_nor_scored() {
    let world = World::scanned();
    world.transcript("mv er err2 --yes --quiet\nrm --run err2 --yes --quiet");
    let text = world.transcript(
        "pin figure-1 --run er --reason why
        pin figure-1 --run err2 --reason why
        pin figure-1 er --reason why
        score --run err2 --iteration 500 voi=0.5
        pin --list --table
        pin figure-2 --run mito --iteration 20000.. --reason later",
    );
    assert_transcript!("nothing_left", text);
}

#[test]
fn what_is_named_must_be_there_in_every_command_and_what_selects_may_match_nothing() {
    let world = World::scanned();
    for command in [
        "list",
        "iterations",
        "runs",
        "du",
        "show",
        "verify",
        "refresh",
        "seal",
        "gc --keep-last 1",
        "list -0",
        "list --json",
        "runs --jsonl",
    ] {
        for (path, nearest) in [
            ("mitoo", "mito"),
            (
                "mito/validation.zarr/1000/corp1",
                "mito/validation.zarr/1000/crop1",
            ),
        ] {
            // What else is named is shown, or nothing is changed.
            for path in [path.to_owned(), format!("er {path}")] {
                let text = world.transcript(&format!("{command} {path}"));
                assert!(text.ends_with("exit 1\n"), "{text}");
                let says = format!("did you mean \"{nearest}\"?");
                assert_eq!(text.matches(&says).count(), 1, "{text}");
                assert!(text.contains("err| error"), "{text}");
                assert!(text.contains("err|   next: "), "{text}");
            }
        }
    }
    let text = world.transcript("list er mitoo -0");
    assert!(text.contains("er/validation.zarr/500"), "{text}");
    let showing = [
        "list",
        "iterations",
        "runs",
        "du",
        "show",
        "gc --keep-last 1",
        "history",
        "score",
    ];
    // The name of a run names it, as its path does.
    for command in showing {
        for run in ["mitoo", "./mitoo", "er --run mitoo"] {
            if command == "score" && run.contains("--run") {
                continue;
            }
            let text = world.transcript(&format!("{command} --run {run}"));
            assert!(text.contains("did you mean \"mito\"?"), "{text}");
            assert!(
                text.contains("err| error") && text.ends_with("exit 1\n"),
                "{text}"
            );
        }
    }
    // Patterns and other flags select, and nothing may be selected.
    for command in showing {
        let text = world.transcript(&format!("{command} --run 'mitoo*'"));
        assert!(!text.contains("exit"), "{text}");
    }
    for command in [
        "list",
        "iterations",
        "runs",
        "du",
        "show",
        "gc --keep-last 1",
    ] {
        for flags in ["--dataset corp1", "--run mito --iteration 7"] {
            let text = world.transcript(&format!("{command} {flags}"));
            assert!(
                text.contains("no dataset") || text.contains("no iteration"),
                "{text}"
            );
            assert!(!text.contains("exit"), "{text}");
        }
    }
    for command in [
        "rm --yes",
        "seal",
        "refresh",
        "verify",
        "gc --keep-last 1 --apply --yes",
        "pin figure-1 --reason why",
        "scan",
    ] {
        let text = world.transcript(&format!("{command} --run 'mitoo*'"));
        assert!(text.ends_with("exit 1\n"), "{text}");
    }
    for call in ["history --id 9999", "show --id 9999"] {
        let text = world.transcript(call);
        assert!(text.ends_with("exit 1\n"), "{text}");
    }
    // A known path that flags narrow to nothing is there.
    let text = world.transcript("list mito --kind snapshot --dataset crop1");
    assert!(!text.contains("exit"), "{text}");
    // What was removed from a path is shown, and is in no listing.
    world.transcript("rm er --yes --quiet");
    let text = world.transcript("list er");
    assert!(
        text.contains("nothing is recorded of run \"er\"") && text.ends_with("exit 1\n"),
        "{text}"
    );
    let text = world.transcript("show er/validation.zarr/500/crop1/prediction --table");
    assert!(text.contains("removed; it was present"), "{text}");
}

#[test]
fn runs_and_iterations_count_arrays_of_a_size_as_list_does() {
    let world = World::scanned();
    let large = world
        .base
        .join("mito/validation.zarr/9000/crop2/prediction/0.0");
    fs::write(large, [7; 5000]).unwrap();
    world.transcript("refresh --measure --all --quiet");
    for (command, field) in [
        ("list", "iteration"),
        ("iterations", "iteration"),
        ("runs", "last_iteration"),
    ] {
        let text = stdout(&mut world.call(&format!("{command} --min-size 4kB --jsonl --quiet")));
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 1, "{text}");
        assert_eq!(lines[0]["run"], "mito");
        assert_eq!(lines[0][field], 9000, "{text}");
    }
    let text = world.transcript("runs --min-size 1GB --table");
    assert!(text.contains("no run matches"), "{text}");
}

#[test]
fn in_the_folder_of_a_run_the_nearest_path_can_be_typed_there() {
    let world = World::scanned();
    let array = "validation.zarr/1000/crop1/prediction";
    assert!(
        said_in(&world, "mito", &format!("show {array} --table")).contains("dataset     crop1")
    );
    let elsewhere = world.base.join("er/validation.zarr/500");
    for (folder, typed, meant) in [
        (
            "mito",
            "validation.zarr/1000/corp1",
            "validation.zarr/1000/crop1".to_owned(),
        ),
        ("mito", "validaton.zarr", "validation.zarr".to_owned()),
        (
            "mito/validation.zarr",
            "1000/corp1",
            "1000/crop1".to_owned(),
        ),
        // From the base directory on, as listings show it.
        (
            "mito",
            "mito/validation.zarr/1000",
            "validation.zarr/1000".to_owned(),
        ),
        ("mito", "mito", ".".to_owned()),
        (
            "mito",
            "er/validation.zarr/500",
            elsewhere.display().to_string(),
        ),
    ] {
        for command in ["show", "list", "rm -n"] {
            let said = said_in(&world, folder, &format!("{command} {typed}"));
            let meant = world.hide(&format!("did you mean \"{meant}\"?"));
            assert!(
                said.contains(&meant) && said.ends_with("exit 1\n"),
                "{meant}: {said}"
            );
        }
        let right = said_in(&world, folder, &format!("list {meant}"));
        assert!(!right.contains("exit"), "{right}");
    }
}

#[test]
fn a_refresh_says_what_it_did_not_look_at() {
    let world = World::scanned();
    fs::remove_dir_all(world.base.join("mito")).unwrap();
    let text = world.transcript("refresh mito");
    assert!(
        text.contains(
            "11 rows that were present were not looked at, and may be gone or rewritten; look at \
             each with: dalsegno refresh --all"
        ),
        "{text}"
    );
    let text = world.transcript("refresh mito --all");
    assert!(!text.contains("not looked at"), "{text}");
    assert!(text.contains("11 recorded arrays are gone"), "{text}");
    // They are missing by now, and it is said again.
    let text = world.transcript("refresh mito");
    assert!(text.contains("looked at 11 rows: 0 present"), "{text}");
    assert!(text.contains("11 recorded arrays are gone"), "{text}");
    assert!(!text.contains("not looked at"), "{text}");
}

#[test]
fn a_scan_takes_the_path_of_a_run_as_its_name() {
    let world = World::runs();
    world.write_array("group/deep/validation.zarr/1/crop1/prediction");
    world.write_array("group/deeper/validation.zarr/1/crop1/prediction");
    let base = world.base.to_str().unwrap().to_owned();
    for path in [
        "er",
        "er/",
        "./er",
        "er/validation.zarr/500",
        &format!("{base}/er"),
    ] {
        let _ = fs::remove_dir_all(world.base.join(".dalsegno"));
        world.transcript("init --here --quiet");
        let text = world.transcript(&format!("scan {path}"));
        assert!(text.contains("1 array: 1 new"), "{path}: {text}");
    }
    for (path, new) in [
        ("group/deep", "1 new"),
        ("group", "1 new"),
        ("mito group", "11 new"),
        (".", "0 new"),
    ] {
        let text = world.transcript(&format!("scan {path}"));
        assert!(text.contains(new), "{path}: {text}");
    }
    let text = world.transcript("scan mitoo\nscan ../elsewhere\nscan er --run er");
    assert!(
        text.contains("no run \"mitoo\"; did you mean \"mito\"?"),
        "{text}"
    );
    assert_eq!(text.matches("exit 1\n").count(), 2, "{text}");
    assert_eq!(text.matches("exit 2\n").count(), 1, "{text}");
    // From the folder of a run.
    let text = said_in(&world, "er", "scan .");
    assert!(text.contains("1 array: 0 new"), "{text}");
}
