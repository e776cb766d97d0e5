//! Names and paths that are mistyped, in every command that takes them; and what is said first.

use crate::world::World;

/// Calls that name a path.
const OF_PATHS: [&str; 13] = [
    "list PATH --table",
    "show PATH",
    "rm PATH --yes",
    "seal PATH",
    "pin p PATH --reason why",
    "unpin fig PATH",
    "verify PATH",
    "refresh PATH",
    "iterations PATH --table",
    "runs PATH --table",
    "du PATH --table",
    "history PATH --table",
    "gc PATH --keep-last 1",
];

fn pinned() -> World {
    let world = World::scanned();
    world.transcript("pin fig --run er --reason plots --quiet");
    world
}

#[test]
fn every_command_names_what_is_most_like_a_mistyped_path() {
    let world = pinned();
    for (typed, meant) in [
        ("mitoo", "did you mean \"mito\"?"),
        (
            "mitoo/validation.zarr",
            "did you mean \"mito/validation.zarr\"?",
        ),
        (
            "mitoo/validation.zarr/1000/corp1",
            "did you mean \"mito/validation.zarr/1000/crop1\"?",
        ),
        (
            "mitoo/validation.zarr/1100",
            "did you mean \"mito/validation.zarr\"?",
        ),
        (
            "mito/validtion.zarr/1000",
            "did you mean \"mito/validation.zarr/1000\"?",
        ),
        (
            "mito/validation.zarr/1100",
            "iterations near 1100: 1000, 9000",
        ),
        (
            "mito/validation.zarr/10000/crop1/prediction",
            "iterations near 10000: 9000",
        ),
        (
            "mito/validation.zarr/1000/corp1/predicton",
            "did you mean \"mito/validation.zarr/1000/crop1/prediction\"?",
        ),
        (
            "mito/validation.zarr/1000/crop1/output/treshold_127",
            "did you mean \"mito/validation.zarr/1000/crop1/output/threshold_127\"?",
        ),
    ] {
        for call in OF_PATHS {
            let text = world.transcript(&call.replace("PATH", typed));
            assert!(text.contains(meant), "{meant}: {text}");
            assert!(text.ends_with("exit 1\n"), "{text}");
        }
        for call in [
            "scan --run PATH",
            "mv PATH new --yes",
            "score --run PATH --iteration 1 voi=1",
        ] {
            let text = world.transcript(&call.replace("PATH", typed));
            // In a run that is there, or in one that is like it.
            let says = ["did you mean \"mito\"?", "next: give the run: mito"];
            assert!(says.iter().any(|says| text.contains(says)), "{text}");
            assert!(text.ends_with("exit 1\n"), "{text}");
        }
    }
    let text = world.transcript("list mito/validation.zarr/inputs/7/raw --table");
    assert!(!text.contains("near 7"), "it is no iteration: {text}");
}

#[test]
fn a_folder_of_artifacts_is_told_from_an_artifact() {
    let world = World::scanned();
    let text = world.transcript(
        "gc --keep-last 1 --explain mito/validation.zarr/1000
        gc --keep-last 1 --explain mito/validation.zarr/1000/crop1",
    );
    crate::assert_transcript!("near_folder", text);
}

#[test]
fn a_restore_tells_what_is_recorded_from_what_is_mistyped() {
    let world = World::scanned();
    let text = world.transcript(
        "restore --run mitoo
        restore --run mito
        restore mitoo
        restore mito
        restore mito/validation.zarr/1100
        restore --run mito --dataset corp1
        restore --run mito --iteration 1100
        rm --run mito --iteration 9000 --trash --yes --quiet
        restore --run mito --iteration 9100
        restore --run mito --iteration 1000..8000
        restore --run er",
    );
    crate::assert_transcript!("near_restore", text);
}

#[test]
fn what_is_most_likely_wrong_is_said_first() {
    let world = World::scanned();
    for call in ["pin p --run mitoo", "pin p mitoo"] {
        let text = world.transcript(call);
        assert!(text.contains("did you mean \"mito\"?"), "{text}");
        assert!(!text.contains("reason"), "{text}");
        assert!(text.ends_with("exit 1\n"), "{text}");
    }
    let text = world.transcript("pin p --run mito");
    assert!(text.contains("error[pin-without-reason]"), "{text}");
    let text = world.transcript("pin --list --table");
    assert!(text.contains("nothing is pinned"), "{text}");
    for rules in ["", "--keep-best 1 --metric voi", "--keep-last 0"] {
        let text = world.transcript(&format!("gc --run mitoo {rules}"));
        let warned = text.find("did you mean \"mito\"?");
        assert!(warned.is_some(), "{text}");
        assert!(warned < text.find("error[policy-"), "{text}");
    }
    world.transcript("score --run mito --iteration 1000 voi=0.5 --quiet");
    let text = world.transcript("score --run mito --iteration 1100 voi=0.5");
    assert!(text.contains("iterations near 1100: 1000, 9000"), "{text}");
    let text = world.transcript("score --run mito --iteration 1000 voii --remove");
    assert!(
        text.contains("no metric \"voii\"; did you mean \"voi\"?"),
        "{text}"
    );
}

#[test]
fn a_dry_run_says_what_goes_and_what_stays() {
    let world = World::scanned();
    world.transcript("pin fig --run mito --iteration 9000 --reason plots --quiet");
    let text = world.transcript(
        "rm --run mito --dataset crop1 -n
        rm --run mito --dataset crop1 -n --keep-going
        rm --run mito --iteration 9000 -n
        rm --run mito --iteration 9000 -n --keep-going
        rm mito/validation.zarr mito/snapshot.zarr -n --keep-going
        rm mito/validation.zarr mito/snapshot.zarr --keep-going --yes --trash",
    );
    let json = crate::world::stdout(&mut world.call("rm --run mito --dataset crop1 -n --json"));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let plan = &json["plan"];
    assert_eq!(plan["artifacts"], 6, "{plan}");
    assert_eq!(plan["would_go"]["artifacts"], 4, "{plan}");
    assert_eq!(plan["would_go"]["bytes"], 256, "{plan}");
    crate::assert_transcript!("dry_run_bound", text);
}

#[test]
fn where_nothing_is_recorded_it_is_said_what_to_type() {
    let world = World::runs();
    world.transcript("init --quiet");
    for call in ["list", "history", "runs", "iterations", "du"] {
        for flags in ["", " --table", " --jsonl"] {
            let call = format!("{call}{flags}");
            let text = world.transcript(&call);
            let said = text
                .matches("add what is on disk with: dalsegno scan")
                .count();
            assert_eq!(said, 1, "{text}");
        }
    }
    world.transcript("scan --quiet");
    for call in ["list", "history", "runs", "iterations", "du"] {
        let text = world.transcript(&format!("{call} --table"));
        assert!(!text.contains("dalsegno scan"), "{text}");
    }
}

#[test]
fn missing_rows_are_named_with_what_can_be_done() {
    let world = World::scanned();
    std::fs::remove_dir_all(world.base.join("er")).unwrap();
    world.transcript("verify --repair --quiet");
    let text = world.transcript("verify");
    let next = "list with: dalsegno list --state missing; if their folder was renamed by hand: \
                dalsegno verify --repair; else take the rows out with: dalsegno rm --state missing";
    assert!(text.contains(&format!("missing; {next}")), "{text}");
    assert!(!text.contains("exit"), "{text}");
    assert!(
        world
            .transcript("doctor")
            .contains("1 recorded artifact is missing")
    );
    let text = world.transcript("verify --json");
    assert!(text.contains("\"missing\": 1,"), "{text}");
    let text = world.transcript("rm --state missing --yes --quiet\nverify");
    assert!(!text.contains("missing;"), "{text}");
}

#[test]
fn a_check_of_a_selection_that_matches_nothing_fails() {
    let world = World::scanned();
    world.transcript("pin kk --run mito --reason plots --quiet");
    for line in [
        "verify --older-than 400d",
        "verify --state missing",
        "verify --owner 4242",
        "verify --pinned --run er",
        "refresh --older-than 400d",
        "refresh --state missing",
        "refresh --owner 4242",
        "refresh --pinned --run er",
        "unpin kk --run er",
        "unpin kk er",
        "unpin kk --older-than 400d",
        "unpin kk mito/validation.zarr/1000/crop1/prediction",
    ] {
        let text = world.transcript(line);
        assert!(text.ends_with("exit 1\n"), "{text}");
        assert!(text.contains("err| error[not-recorded]: "), "{text}");
        assert!(text.contains("nothing was "), "{text}");
        assert!(text.contains("err|   next: "), "{text}");
        assert!(
            !text.contains("finding") && !text.contains("agree"),
            "{text}"
        );
    }
    // What it matches is looked at.
    for line in ["verify --run mito", "refresh --run er", "verify --pinned"] {
        let text = world.transcript(line);
        assert!(!text.contains("exit"), "{text}");
    }
    let text = world.transcript("pin --list");
    assert!(text.contains("mito"), "{text}");
}

#[test]
fn a_limit_of_none_says_how_many_there_are() {
    let world = World::scanned();
    world.transcript("pin kk --run mito --reason plots --quiet");
    for (line, says) in [
        ("list --limit 0 --table", "artifacts\n"),
        ("list --run er --limit 0", "err| 0 of 1 artifact\n"),
        ("list --run er --limit 0 -0", "err| 0 of 1 artifact\n"),
        ("runs --limit 0 --table", "err| 0 of 2 runs\n"),
        ("iterations --limit 0 --table", "iterations\n"),
        ("history --limit 0 --table", "err| 0 of 2 operations\n"),
    ] {
        let text = world.transcript(line);
        assert!(text.contains("err| 0 of ") && text.contains(says), "{text}");
        assert!(!text.contains("match") && !text.contains("exit"), "{text}");
    }
    let text = world.transcript("list --run 'none*' --limit 0");
    assert!(text.contains("no artifact matches"), "{text}");
}

#[test]
fn what_else_is_named_is_shown() {
    let world = World::scanned();
    for line in [
        "show mitoo er",
        "show er mitoo",
        "show mitoo er --kind prediction",
        "show mitoo er mitooo --json",
        "history mitoo er",
        "history er mitoo --json",
    ] {
        let text = world.transcript(line);
        assert!(text.contains("out|"), "{text}");
        assert!(!text.contains("out| []"), "{text}");
        assert!(text.contains("error[not-recorded]"), "{text}");
        assert!(text.ends_with("exit 1\n"), "{text}");
    }
    let text = world.transcript("show mitoo er --kind prediction --jsonl");
    assert!(text.contains("er/validation.zarr/500"), "{text}");
    assert!(!text.contains("mito/validation.zarr/1000"), "{text}");
    for line in [
        "show mitoo",
        "show mitoo --kind prediction",
        "history mitoo",
    ] {
        let text = world.transcript(line);
        assert!(
            !text.contains("out|") && text.ends_with("exit 1\n"),
            "{text}"
        );
    }
}

#[test]
fn of_a_run_in_the_trash_the_way_back_is_named() {
    let world = World::scanned();
    world.transcript("rm er --trash --yes --quiet");
    for command in [
        "list",
        "du",
        "runs",
        "iterations",
        "gc --keep-last 1",
        "seal",
        "refresh",
        "verify",
        "rm --yes",
    ] {
        for (named, call) in [("--run er", "restore --run er"), ("er", "restore ")] {
            let text = world.transcript(&format!("{command} {named}"));
            assert!(text.contains("in the trash; restore"), "{text}");
            let says = format!("with: dalsegno {call}");
            assert!(text.contains(&says), "{text}");
            assert!(text.ends_with("exit 1\n"), "{text}");
        }
    }
    let text = world.transcript("restore --run er --quiet\nlist er");
    assert!(!text.contains("exit"), "{text}");
}

#[test]
fn an_older_removal_of_a_path_that_is_in_the_trash_is_named() {
    let world = World::scanned();
    let path = "er/validation.zarr/500/crop1/prediction";
    world.transcript(&format!("rm {path} --trash --yes --quiet"));
    let listed = world.transcript("trash list");
    let kept = listed.lines().nth(2).unwrap();
    let kept = kept.trim_start_matches("out| ").split('\t').next().unwrap();
    world.write_array(path);
    world.transcript(&format!("scan --quiet\nrm {path} --no-trash --yes --quiet"));
    for line in [format!("show {path} --table"), format!("history {path}")] {
        let text = world.transcript(&line);
        assert!(text.contains("it cannot be restored"), "{text}");
        let back = format!("restore that with: dalsegno restore {kept}");
        assert!(text.contains(&back), "{text}");
    }
}
