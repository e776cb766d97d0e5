//! Completion: what the program answers to shells, and what shells make of it.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::lock::take;
use crate::terminal::spoken;
use crate::world::{World, stdout};

const PROGRAM: &str = env!("CARGO_BIN_EXE_dalsegno");

/// A world in which something of each sort has a name.
fn named() -> World {
    let world = World::scanned();
    let config = world.base.join(".dalsegno/config.toml");
    let mut text = fs::read_to_string(&config).unwrap_or_default();
    text.push_str("\n[policy.weekly]\nrun = [\"mito\"]\n[policy.weekly.output]\nkeep-last = 1\n");
    fs::write(&config, text).unwrap();
    let said = world.transcript(
        "record output --run 'run [a]' --iteration 1 --dataset 'crop 3' --parameters 't:0.5'
        pin figure-3 --run er --reason plots
        score --run mito --iteration 1000 voi=0.5
        rm mito/extra.zarr/mesh --trash --yes",
    );
    assert!(!said.contains("exit"), "{said}");
    world
}

/// What a shell is answered that completes the last of these words, as it asks for itself.
fn answer(world: &World, folder: &Path, shell: &str, words: &[&str]) -> Vec<String> {
    let mut command = asked(world, folder, shell, words);
    let text = stdout(&mut command);
    let lines = text.lines().filter(|line| !line.is_empty());
    lines.map(str::to_owned).collect()
}

fn asked(world: &World, folder: &Path, shell: &str, words: &[&str]) -> Command {
    let mut command = world.program();
    command
        .current_dir(folder)
        .env("_DALSEGNO_COMPLETE", shell)
        .env("_CLAP_COMPLETE_INDEX", words.len().to_string())
        .env("_CLAP_IFS", "\n")
        .args(["--", "dalsegno"])
        .args(words);
    command
}

#[test]
fn names_come_from_the_catalog() {
    let world = named();
    let trash = stdout(world.program().args(["trash", "list", "--jsonl"]));
    let removal: serde_json::Value = serde_json::from_str(&trash).unwrap();
    let removal = removal["removal"]
        .as_str()
        .or(removal["id"].as_str())
        .unwrap();
    let cases: [(&[&str], &[&str]); 47] = [
        (&["list", "--run", ""], &["er", "mito", "run [a]"]),
        (&["list", "--run", "m"], &["mito"]),
        (&["list", "--run=m"], &["--run=mito"]),
        (&["gc", "--exclude-run", "e"], &["er"]),
        (&["rm", "--whole-run", "mi"], &["mito"]),
        (&["mv", "mi"], &["mito"]),
        (&["record", "output", "--run", "mi"], &["mito"]),
        (&["list", "--dataset", "cro"], &["crop 3", "crop1", "crop2"]),
        (&["list", "--parameters", "thr"], &["threshold_127"]),
        (
            &["list", "--kind", "snap"],
            &["snapshot", "snapshot-container"],
        ),
        (&["list", "--kind", "output,pre"], &["output,prediction"]),
        (&["list", "--state", "re"], &["reserved"]),
        (&["unpin", "f"], &["figure-3"]),
        (&["pin", "f"], &["figure-3"]),
        (&["gc", "--policy", ""], &["weekly"]),
        (&["gc", "--metric", "v"], &["voi"]),
        (&["score", "v"], &["voi"]),
        (&["restore", &removal[..8]], &[removal]),
        (&["trash", "empty", &removal[..8]], &[removal]),
        (&["history", "show", "1"], &["1"]),
        (&["list", "mi"], &["mito/"]),
        (&["list", "--run", "none"], &[]),
        // What the words before select narrows the names.
        (&["list", "--run", "er", "--dataset", ""], &["crop1"]),
        (
            &["list", "--run=./mito/", "--dataset", "cro"],
            &["crop1", "crop2"],
        ),
        (
            &[
                "list",
                "--run",
                "mi*",
                "--kind",
                "prediction",
                "--dataset",
                "v",
            ],
            &[],
        ),
        (&["list", "--run", "er", "--kind", ""], &["prediction"]),
        (&["list", "--run", "er", "--parameters", ""], &[]),
        (
            &["list", "--run", "mito", "--parameters", ""],
            &["threshold_127"],
        ),
        (
            &["list", "--iteration", "..100", "--dataset", ""],
            &["crop 3"],
        ),
        (
            &[
                "list",
                "--iteration",
                "9000",
                "--run",
                "mito",
                "--kind",
                "out",
            ],
            &["output"],
        ),
        (
            &["list", "--run", "mito", "--iteration", ""],
            &["1000", "9000"],
        ),
        (&["list", "--run", "er", "--iteration", ""], &["500"]),
        (&["list", "--iteration", "1000..9"], &["1000..9000"]),
        (
            &["list", "--run", "mito", "--iteration", "500,9"],
            &["500,9000"],
        ),
        (&["score", "--run", "er", "--iteration", ""], &["500"]),
        // But what is recorded need not be there yet, and what is in the trash is there no longer.
        (
            &["record", "output", "--run", "er", "--dataset", "cro"],
            &["crop 3", "crop1", "crop2"],
        ),
        (&["restore", "--run", "er", "--kind", "best"], &["best"]),
        (&["list", "--run", "none", "--dataset", ""], &[]),
        (&["undo", "la"], &["last"]),
        // What is in the trash, not what is on disk.
        (&["restore", "--run", ""], &["mito"]),
        (&["restore", "m"], &["mito"]),
        (&["restore", "e"], &[]),
        (&["restore", "mito/e"], &["mito/extra.zarr/mesh"]),
        (&["list", "--sort", "si"], &["size"]),
        (&["runs", "--sort", "pr"], &["present"]),
        (&["list", "--columns", "run,da"], &["run,dataset"]),
        (&["iterations", "--columns", "score:v"], &["score:voi"]),
    ];
    for (words, expected) in cases {
        let mut found = answer(&world, &world.base, "fish", words);
        // fish shows a description behind a tab.
        found.iter_mut().for_each(|line| {
            line.truncate(line.find('\t').unwrap_or(line.len()));
        });
        assert_eq!(found, expected, "{words:?}");
    }
    // Of the operations only a pin, a score and a removal into the trash can be undone.
    for shell in ["fish", "zsh", "bash"] {
        let mut undo = answer(&world, &world.base, shell, &["undo", ""]);
        undo.truncate(5);
        // zsh would show flags first, because they have a description.
        let flag = (shell != "zsh").then(|| undo.pop().unwrap_or_default());
        assert_eq!(undo, ["last", "6", "4", "3"], "{shell}");
        assert!(flag.is_none_or(|flag| flag.starts_with('-')), "{shell}");
        // Flags come behind what they are about.
        for (command, name) in [("unpin", "figure-3"), ("restore", removal)] {
            let answers = answer(&world, &world.base, shell, &[command, ""]);
            assert!(answers.iter().any(|answer| answer == name), "{answers:?}");
            let flags = answers.iter().skip_while(|word| !word.starts_with('-'));
            assert_eq!(flags.clone().count() > 2, shell != "zsh", "{answers:?}");
            for flag in flags {
                assert!(flag.starts_with('-'), "{answers:?}");
            }
        }
    }
    // Runs as paths, from the base directory and from elsewhere.
    let absolute = format!("{}/", world.base.display());
    for (folder, typed, expected) in [
        ("", "./", vec!["./er", "./mito", "./run [a]"]),
        ("", "./m", vec!["./mito"]),
        ("mito", "../m", vec!["../mito"]),
        ("mito", "../", vec!["../er", "../mito", "../run [a]"]),
        ("mito", "./", vec![]),
    ] {
        for words in [["list", "--run", typed], ["gc", "--exclude-run", typed]] {
            let folder = world.base.join(folder);
            assert_eq!(
                answer(&world, &folder, "fish", &words),
                expected,
                "{words:?}"
            );
        }
    }
    let typed = format!("{absolute}m");
    let words = ["list", "--run", typed.as_str()];
    assert_eq!(
        answer(&world, &world.base, "fish", &words),
        [format!("{absolute}mito")]
    );
    let typed = world.dir.join("ba");
    let words = ["list", "--run", typed.to_str().unwrap()];
    assert_eq!(
        answer(&world, &world.base, "fish", &words),
        std::slice::from_ref(&absolute)
    );
    // Paths on the line narrow what comes later, as --run does.
    let run = format!("{absolute}er");
    for (folder, words, expected) in [
        ("", vec!["list", "er", "--dataset", ""], vec!["crop1"]),
        ("", vec!["list", "./er/", "--dataset", ""], vec!["crop1"]),
        ("", vec!["list", &run, "--dataset", ""], vec!["crop1"]),
        ("er", vec!["list", ".", "--dataset", ""], vec!["crop1"]),
        (
            "",
            vec!["pin", "figure-4", "er", "--dataset", ""],
            vec!["crop1"],
        ),
        (
            "",
            vec!["rm", "--reason", "mito", "er", "--parameters", ""],
            vec![],
        ),
        ("", vec!["gc", "er", "--iteration", ""], vec!["500"]),
        (
            "",
            vec!["gc", "mito/validation.zarr/9000", "--iteration", ""],
            vec!["1000", "9000"],
        ),
        (
            "",
            vec!["list", "mito/validation.zarr/9000/crop2", "--kind", ""],
            vec!["prediction"],
        ),
        (
            "",
            vec!["list", "--run", "./er", "--dataset", ""],
            vec!["crop1"],
        ),
        ("", vec!["list", ".", "--dataset", "crop 3"], vec!["crop 3"]),
    ] {
        let folder = world.base.join(folder);
        assert_eq!(
            answer(&world, &folder, "fish", &words),
            expected,
            "{words:?}"
        );
    }
    // From elsewhere, with the base directory among the words.
    let base = world.base.to_str().unwrap();
    for words in [
        ["--base", base, "list", "--run", "m"].as_slice(),
        &["list", &format!("--base={base}"), "--run", "m"],
    ] {
        assert_eq!(
            answer(&world, &world.dir, "fish", words),
            ["mito"],
            "{words:?}"
        );
    }
    // A run is offered where no path is; from a run's folder the catalog is found too.
    let words = ["--base", base, "list", "mi"];
    assert_eq!(answer(&world, &world.dir, "fish", &words), ["mito"]);
    let inside = world.base.join("mito/validation.zarr");
    assert_eq!(
        answer(&world, &inside, "fish", &["du", "--run", "e"]),
        ["er"]
    );
}

#[test]
fn a_pin_that_was_released_and_bound_again_is_offered_once() {
    let world = World::scanned();
    world.transcript(
        "pin kk --run er --reason plots --quiet
        unpin kk --quiet
        pin kk --run er --reason plots --quiet",
    );
    let history = stdout(world.program().args(["history", "--limit", "1"]));
    let newest = history.lines().nth(1).unwrap();
    let newest: i64 = newest.split('\t').next().unwrap().parse().unwrap();
    let mut offered = answer(&world, &world.base, "zsh", &["undo", ""]);
    offered.retain(|word| !word.starts_with('-'));
    assert_eq!(offered, ["last".to_owned(), newest.to_string()]);
    for older in [newest - 2, newest - 1] {
        let text = world.transcript(&format!("undo {older}"));
        assert!(text.contains("undone-already"), "{text}");
    }
}

#[test]
fn a_removal_whose_place_is_taken_is_not_offered() {
    let world = World::scanned();
    let path = "mito/extra.zarr/mesh";
    world.transcript(&format!("rm {path} --yes --trash --quiet"));
    let history = stdout(world.program().args(["history", "--limit", "1"]));
    let removal = history.lines().nth(1).unwrap().split('\t').next().unwrap();
    let offered = || {
        let mut offered = answer(&world, &world.base, "zsh", &["undo", ""]);
        offered.retain(|word| !word.starts_with('-'));
        offered
    };
    assert_eq!(offered(), ["last", removal]);
    world.write_array(path);
    assert_eq!(offered(), ["last"]);
    let text = world.transcript(&format!("undo {removal}"));
    assert!(text.contains("error[occupied]"), "{text}");
}

#[test]
fn completion_changes_nothing_and_is_silent_on_every_error() {
    let world = named();
    let ask = |world: &World, folder: &Path| {
        let output = asked(world, folder, "bash", &["list", "--run", ""])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
        String::from_utf8(output.stdout).unwrap()
    };
    let before = world.tree();
    assert!(ask(&world, &world.base).contains("mito"));
    assert!(world.tree() == before);
    // Others work: a reader waits for nobody.
    let mut turn = world.catalog().into_os_string();
    turn.push(".turn");
    let locked = take(turn.as_ref());
    assert!(ask(&world, &world.base).contains("mito"));
    drop(locked);
    assert_eq!(ask(&world, &world.dir), "", "no registry");
    let config = world.base.join(".dalsegno/config.toml");
    fs::write(&config, [0xff, b'\n']).unwrap();
    assert_eq!(ask(&world, &world.base), "");
    fs::remove_file(config).unwrap();
    fs::write(world.catalog(), "no database").unwrap();
    assert_eq!(ask(&world, &world.base), "");
    let mut command = asked(&world, &world.base, "none", &["list", ""]);
    let output = command.output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}

#[test]
fn a_mistake_in_the_settings_stops_only_what_needs_them() {
    let world = named();
    let config = world.base.join(".dalsegno/config.toml");
    let right = fs::read_to_string(&config).unwrap();
    let said = |words: &[&str]| answer(&world, &world.base, "fish", words);
    for mistake in [
        "no toml",
        "[trash]\nkeep = \"72 moons\"",
        "[trsh]\nkeep = \"72h\"",
    ] {
        fs::write(&config, format!("{right}\n{mistake}\n")).unwrap();
        assert_eq!(said(&["list", "--run", "m"]), ["mito"], "{mistake}");
        assert_eq!(said(&["gc", "--policy", ""]), ["weekly"], "{mistake}");
        assert_eq!(said(&["list", "--sort", "si"]), ["size"], "{mistake}");
    }
    fs::write(&config, right.replace("keep-last", "keep-lost")).unwrap();
    assert_eq!(said(&["unpin", "f"]), ["figure-3"]);
    // Every other command names the mistake.
    let said = world.transcript("list");
    assert!(said.contains("config-invalid"), "{said}");
}

/// A shell with the program on its path, if the shell is installed.
fn shell(world: &World, name: &str, arguments: &[&str]) -> Option<Command> {
    let found = Command::new(name).arg("-c").arg("true").output();
    if !found.is_ok_and(|output| output.status.success()) {
        crate::left_out::left_out(&format!("{name} is not installed: completion in it"));
        return None;
    }
    let folder = Path::new(PROGRAM).parent().unwrap().to_str().unwrap();
    let command = world.program();
    let path = format!("{folder}:/usr/local/bin:/usr/bin:/bin");
    let mut shell = Command::new(name);
    shell.args(arguments).current_dir(&world.base).env_clear();
    let environment = command
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    shell
        .envs(environment)
        .env("PATH", path)
        .env("PS1", "")
        .env("LC_ALL", "C.UTF-8");
    Some(shell)
}

/// What a person types whose shell has read the script: a run, completed, and one with spaces.
fn typed(setup: &str) -> String {
    format!(
        "{setup}\ndalsegno list --no-refresh --jsonl --limit 1 --run mi\t\n\
         dalsegno list --no-refresh --jsonl --limit 1 --run run\t\n\
         dalsegno list --no-refresh --columns path --run \"run\t\n\
         dalsegno unp\tfig\t\nexit\n"
    )
}

fn assert_completed(world: &World, said: &str) {
    assert!(said.contains("{\"id\":"), "{said}");
    assert!(said.contains("\"run\":\"mito\""), "{said}");
    assert!(said.contains("\"run\":\"run [a]\""), "{said}");
    assert!(said.contains("run [a]/validation.zarr/1/"), "{said}");
    assert!(said.contains("removed the pin figure-3"), "{said}");
    let pins = stdout(world.program().args(["pin", "--list", "--jsonl"]));
    assert_eq!(pins, "");
}

#[test]
fn bash_completes_on_a_terminal() {
    let world = named();
    let Some(mut bash) = shell(&world, "bash", &["--norc", "--noprofile", "-i"]) else {
        return;
    };
    let setup = "source <(dalsegno completions bash)";
    let (said, _) = spoken(&mut bash, 100, &typed(setup), &[]);
    assert_completed(&world, &said);
}

/// Bash breaks words at `=` and `:`, passes quotes as they are typed, and inserts what it is told.
#[test]
fn bash_completes_words_with_marks_and_quotes() {
    let world = named();
    fs::create_dir(world.base.join("a (b)")).unwrap();
    fs::create_dir(world.base.join("a (b)/c d")).unwrap();
    let Some(mut bash) = shell(&world, "bash", &["--norc", "--noprofile", "-i"]) else {
        return;
    };
    let lines = [
        ("list --run=mi\t", "--run=mito"),
        ("list --run \"run\t", "--run|run [a]"),
        ("list --run='run\t", "--run=run [a]"),
        ("list a\t", "a (b)/"),
        ("list a\\ \\(b\\)/\t", "a (b)/c d/"),
        ("list \"a (b)/c\t", "a (b)/c d/"),
        ("list --columns score:v\t", "--columns|score:voi"),
        ("list --sort sc\t", "--sort|score:"),
        ("list --run er --dataset \t", "--run|er|--dataset|crop1"),
        (
            "list --run=mito --iteration=1\t",
            "--run=mito|--iteration=1000",
        ),
    ];
    // A function that is completed as the program is, and shows its words.
    let mut typed = "source <(dalsegno completions bash)\n\
        shown() { local IFS='|'; echo \"<$*>\"; }\n\
        source <(complete -p dalsegno | sed 's/dalsegno$/shown/')\n"
        .to_owned();
    for (line, _) in lines {
        typed.push_str(&format!("shown {line}\n"));
    }
    typed.push_str("exit\n");
    let (said, _) = spoken(&mut bash, 100, &typed, &[]);
    for (line, words) in lines {
        let subject = if line.starts_with("list") { "list" } else { "" };
        assert!(
            said.contains(&format!("<{subject}|{words}>")),
            "{line}: {said}"
        );
    }
}

#[test]
fn zsh_completes_on_a_terminal() {
    let world = named();
    let Some(mut zsh) = shell(&world, "zsh", &["-f", "-i"]) else {
        return;
    };
    let setup = "autoload -Uz compinit; compinit -u -D; source <(dalsegno completions zsh)";
    let (said, _) = spoken(&mut zsh, 100, &typed(setup), &[]);
    assert_completed(&world, &said);
}

/// Flags are followed by an empty word there, and what narrows it comes before or is a range.
#[test]
fn zsh_completes_values_after_flags() {
    let world = named();
    let Some(mut zsh) = shell(&world, "zsh", &["-f", "-i"]) else {
        return;
    };
    let lines = [
        ("list --run er --dataset \t", "--run|er|--dataset|crop1"),
        (
            "list --run mito --parameters \t",
            "--run|mito|--parameters|threshold_127",
        ),
        ("list --run er --iteration \t", "--run|er|--iteration|500"),
        ("list --run er --kind \t", "--run|er|--kind|prediction"),
        ("list --run=er --kind=\t", "--run=er|--kind=prediction"),
        ("list --run mi\t", "--run|mito"),
        ("list --sort si\t", "--sort|size"),
        ("unpin f\t", "figure-3"),
        ("unpin \t", "figure-3"),
        ("unpin --id 1 --tab\t", "--id|1|--table"),
        ("list --run ./m\t", "--run|./mito"),
        ("gc --policy \t", "--policy|weekly"),
    ];
    let mut typed = "autoload -Uz compinit; compinit -u -D; \
        source <(dalsegno completions zsh)\n\
        shown() { local IFS='|'; shift; echo \"<$*>\"; }\n\
        compdef shown=dalsegno\n"
        .to_owned();
    for (line, _) in lines {
        typed.push_str(&format!("dalsegno {line}\n"));
    }
    typed.push_str("exit\n");
    // The words as the program gets them: a function is in its place, with its completion.
    let typed = typed.replace(
        "compdef shown=dalsegno\n",
        "dalsegno() { if [[ $1 == -- ]]; then command dalsegno \"$@\"; else shown \"$@\"; fi }\n",
    );
    let (said, _) = spoken(&mut zsh, 100, &typed, &[]);
    for (line, words) in lines {
        assert!(said.contains(&format!("<{words}>")), "{line}: {said}");
    }
}

#[test]
fn fish_completes() {
    let world = named();
    let Some(mut fish) = shell(&world, "fish", &["--no-config", "-c"]) else {
        return;
    };
    let text = stdout(fish.arg(
        "dalsegno completions fish | source
        complete -C 'dalsegno list --run '
        complete -C 'dalsegno unpin f'
        complete -C 'dalsegno list mi'
        complete -C 'dalsegno list --run er --dataset '
        complete -C 'dalsegno list --run \"run'
        complete -C 'dalsegno list --run run\\ ['",
    ));
    let values: Vec<&str> = text
        .lines()
        .map(|line| line.split('\t').next().unwrap())
        .collect();
    assert_eq!(
        values,
        [
            "er", "mito", "run [a]", "figure-3", "mito/", "crop1", "run [a]", "run [a]"
        ],
        "{text}"
    );
}
