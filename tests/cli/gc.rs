//! `gc`: plans on the screen and in files, what is refused, and what is carried out.

use std::fs::{self, File, FileTimes};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use crate::assert_transcript;
use crate::terminal::answered;
use crate::world::{World, stdout};

const DAY: u64 = 86_400;

/// Says that an array of the world was written some days ago.
pub(crate) fn date(world: &World, path: &str, days: u64) {
    // Half an hour more, so that no slow test makes it another day.
    let age = Duration::from_secs(DAY * days + 1800);
    // One moment for all, so that what is equally old stays so.
    static STARTED: LazyLock<SystemTime> = LazyLock::new(SystemTime::now);
    let times = FileTimes::new().set_modified(*STARTED - age);
    let metadata = world.base.join(path);
    File::open(&metadata).unwrap().set_times(times).unwrap();
    if metadata.ends_with(".zarray") {
        let array = metadata.parent().unwrap();
        let chunks = fs::read_dir(array).unwrap();
        let chunks = chunks.map(|entry| entry.unwrap().path());
        for path in chunks.chain([array.to_path_buf()]) {
            File::open(path).unwrap().set_times(times).unwrap();
        }
    }
}

fn write(world: &World, path: &str, days: u64) {
    world.write_array(path);
    date(world, &format!("{path}/.zarray"), days);
}

/// Two runs with predictions at 9000, 9900 and 10000 and outputs, 50 to 70 days old; `er` is 100
/// days older. Taken in, not counted.
fn world() -> World {
    let world = World::new();
    for (run, more) in [("mito", 0), ("er", 100)] {
        for (iteration, days) in [(9000, 70), (9900, 60), (10_000, 50)] {
            for array in ["prediction", "output/t=1"] {
                let path = format!("{run}/validation.zarr/{iteration}/crop1/{array}");
                write(&world, &path, days + more);
            }
        }
    }
    write(&world, "mito/snapshot.zarr/volumes/raw", 60);
    for call in ["init --here --quiet", "scan --quiet"] {
        assert_eq!(world.transcript(call), format!("$ dalsegno {call}\n"));
    }
    world
}

/// A transcript whose ages in seconds are replaced.
fn transcript(world: &World, lines: &str) -> String {
    ageless(&world.transcript(lines))
}

/// An age is between a blank and a comma or blank: digits in an id do not.
fn ageless(text: &str) -> String {
    let mut out = String::new();
    let mut number = String::new();
    for character in text.chars().chain(['\0']) {
        if character.is_ascii_digit() {
            number.push(character);
            continue;
        }
        let is_age = matches!(number.parse(), Ok(4_000_000..20_000_000_u64))
            && out.ends_with([' ', '\t', ':'])
            && [',', '\t', '\n'].contains(&character);
        out.push_str(if is_age { "[AGE]" } else { &number });
        number.clear();
        out.push(character);
    }
    out.trim_end_matches('\0').to_owned()
}

/// Takes out how much space is free on the file system.
fn without_free(text: &str) -> String {
    let lines = text.lines().map(|line| {
        for (before, after) in [("oldest first; ", " are free"), ("only ", " would be free")] {
            if let Some((start, rest)) = line.split_once(before)
                && let Some((_, end)) = rest.split_once(after)
            {
                return format!("{start}{before}[FREE]{after}{end}\n");
            }
        }
        format!("{line}\n")
    });
    lines.collect()
}

/// Everything in the base directory but the folder of the registry.
fn data(world: &World) -> Vec<(PathBuf, Vec<u8>)> {
    let registry = world.base.join(".dalsegno");
    let tree = world.tree().into_iter();
    tree.filter(|(path, _)| !path.starts_with(&registry))
        .collect()
}

#[test]
fn a_plan_has_four_forms() {
    let world = world();
    let text = transcript(
        &world,
        "gc --keep-last 1 --run mito --table
        gc --keep-last 1 --run mito --kind prediction
        gc --keep-last 1 --run mito --kind prediction --json
        gc --keep-last 1 --run mito --kind prediction --jsonl
        gc --keep-last 9 --run mito --kind prediction --table
        gc --keep-last 1 --run nothing --table
        gc --keep-last 1 --run nothing --json",
    );
    assert_transcript!("gc", text);
}

#[test]
fn policies_that_make_no_sense_are_refused() {
    let world = world();
    let before = data(&world);
    let text = transcript(
        &world,
        "gc
        gc --older-than 5d --kind output
        gc --run mito --allow-empty-group
        gc --apply --yes
        gc --keep-last 0
        gc --keep-first 0 --kind output
        gc --keep-every 0
        gc --keep-within 0s
        gc --keep-best 0 --metric voi
        gc --keep-best 1
        gc --metric voi
        gc --keep-last -1
        gc --keep-last 1.5
        gc --max-size 0
        gc --max-size much
        gc --max-files -5
        gc --older-than 5d --keep-within 3d
        gc --keep-last 1 --state missing
        gc --keep-last 1 --pinned
        gc --keep-iterations 1 --older-than 1d
        gc --keep-iterations 1 --older-than 1d --apply --yes
        gc --max-files 1
        gc --runs
        gc --runs --older-than 1d --apply --yes
        gc --runs --keep-last 0
        gc --runs --keep-every 5
        gc --runs --older-than 1d --iteration 5
        gc --runs --policy x",
    );
    assert_eq!(data(&world), before);
    assert_transcript!("gc_refused", text);
}

#[test]
fn gc_removes_only_with_apply_and_needs_yes_without_a_terminal() {
    let world = world();
    let before = data(&world);
    let text = transcript(
        &world,
        "gc --keep-last 1 --run er --quiet
        gc --keep-last 1 --run er --plan-out ../plan.json --quiet
        gc --keep-last 1 --run er --plan-out ../plan.json --table --quiet
        gc --keep-last 1 --run er --plan-out ../no/plan.json --quiet
        gc --keep-last 1 --apply
        gc --apply ../plan.json
        gc --apply ../plan.json --run er --yes
        gc --apply ../plan.json --keep-last 1 --yes
        gc --apply ../nothing.json --yes",
    );
    assert_eq!(data(&world), before);
    assert_transcript!("gc_not_applied", text);
}

#[test]
fn a_plan_of_data_that_is_gone_leaves_nothing_to_restore_and_says_so() {
    for (flag, is_said) in [("--trash", true), ("--no-trash", false)] {
        let world = world();
        world.transcript("gc --keep-last 1 --run er --plan-out ../plan.json --quiet");
        let container = world.base.join("er/validation.zarr");
        let names = fs::read_dir(&container)
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        let numbers = names.filter_map(|name| name.to_str().unwrap().parse::<i64>().ok());
        let mut numbers: Vec<i64> = numbers.collect();
        numbers.sort_unstable();
        numbers.pop();
        for number in numbers {
            fs::remove_dir_all(container.join(number.to_string())).unwrap();
        }
        let text = world.transcript(&format!("gc --apply ../plan.json --yes {flag}"));
        assert!(text.contains("removed 4 artifacts"), "{text}");
        assert_eq!(text.contains("nothing can be restored"), is_said, "{text}");
        assert!(!text.contains("restore it with"), "{text}");
    }
}

#[test]
fn a_plan_of_a_file_is_carried_out_as_it_is() {
    let world = world();
    let plan = world.dir.join("plan.json");
    let text = transcript(
        &world,
        "gc --keep-last 1 --run er --plan-out ../plan.json --table
        gc --apply ../plan.json --yes --trash --reason space
        list --table --run er
        gc --apply ../plan.json --yes
        trash list --table",
    );
    assert_transcript!("gc_file", text);
    let trash = fs::read_dir(world.base.join(".dalsegno/trash")).unwrap();
    let id = trash.last().unwrap().unwrap().file_name();
    let restored = world.transcript(&format!(
        "restore {}
        gc --apply ../plan.json --yes",
        id.to_str().unwrap()
    ));
    assert!(restored.contains("restored 4 artifacts"), "{restored}");
    assert!(restored.contains("error[plan-outdated]"), "{restored}");
    assert!(restored.ends_with("exit 1\n"));

    let other = World::new();
    other.transcript("init --here --quiet");
    fs::copy(&plan, other.dir.join("plan.json")).unwrap();
    let text = fs::read_to_string(&plan).unwrap();
    for (name, text) in [
        ("cut.json", text[..text.len() / 2].to_owned()),
        ("other.json", "{\"a\": 1}".to_owned()),
        (
            "newer.json",
            text.replace("\"version\": 1", "\"version\": 2"),
        ),
        (
            "field.json",
            text.replace("\"version\": 1", "\"version\": 1, \"path\": \"/\""),
        ),
        (
            "outside.json",
            text.replace("\"run\": \"er\"", "\"run\": \"../..\""),
        ),
    ] {
        fs::write(other.dir.join(name), text).unwrap();
    }
    fs::write(other.dir.join("bytes.json"), [0xff]).unwrap();
    let text = other.transcript(
        "gc --apply ../plan.json --yes
        gc --apply ../cut.json --yes
        gc --apply ../other.json --yes
        gc --apply ../newer.json --yes
        gc --apply ../field.json --yes
        gc --apply ../outside.json --yes
        gc --apply ../bytes.json --yes
        gc --apply .. --yes",
    );
    assert_transcript!("gc_file_refused", text);
}

#[test]
fn what_changed_since_the_plan_is_skipped_with_exit_code_three() {
    let world = world();
    let text = world.transcript("gc --keep-last 1 --plan-out ../plan.json --quiet");
    assert!(!text.contains("exit"), "{text}");
    let at = |path: &str| format!("mito/validation.zarr/{path}");
    world.transcript(&format!(
        "pin figure --reason x {} --quiet
        rm {} --yes --quiet",
        at("9000/crop1/prediction"),
        at("9000/crop1/output/t=1"),
    ));
    date(&world, &at("9900/crop1/prediction/.zarray"), 1);
    fs::remove_dir_all(world.base.join("er/validation.zarr/9000/crop1/prediction")).unwrap();
    let text = world.transcript(
        "gc --apply ../plan.json --yes
        list",
    );
    assert_transcript!("gc_skipped", text);
}

#[test]
fn gc_asks_on_a_terminal() {
    let world = world();
    let before = data(&world);
    let said = answered(&world, "gc --keep-last 1 --run er --apply", "n\n");
    assert!(
        said.contains("Remove 4 artifacts, 256 B in 8 files, for good? [y/N]"),
        "{said}"
    );
    assert!(said.contains("nothing was removed"), "{said}");
    assert_eq!(data(&world), before);
    let said = answered(&world, "gc --keep-last 1 --run er --apply", "y\n");
    assert!(
        said.contains("removed 4 artifacts, 256 B in 8 files (1 removal)"),
        "{said}"
    );
}

#[test]
fn one_artifact_is_explained() {
    let world = world();
    let at = |path: &str| format!("mito/validation.zarr/{path}/crop1/prediction");
    let (old, new) = (at("9000"), at("10000"));
    let text = transcript(
        &world,
        &format!(
            "gc --keep-last 1 --keep-every 5000 --explain {old}
            gc --keep-last 1 --keep-every 5000 --explain {new}
            gc --keep-last 1 --explain {old} --json
            gc --keep-last 1 --explain {new} --jsonl
            gc --keep-last 1 --run er --explain {old}
            gc --keep-last 1 --run er --explain {old} --json
            gc --keep-last 1 --explain mito/snapshot.zarr/volumes/raw
            gc --max-files 22 --explain {old}
            gc --max-files 22 --explain {new}
            gc --runs --older-than 90d --explain {old}
            gc --runs --older-than 90d --explain er/validation.zarr/9000/crop1/prediction
            gc --keep-last 1 --explain mito/validation.zarr/5/crop1/prediction
            gc --explain {old}
            gc --keep-last 1 --explain {old} --apply"
        ),
    );
    assert_transcript!("gc_explain", text);
}

const CONFIG: &str = r#"
[policy.thin]
older-than = "10d"
prediction = { keep-last = 1 }
output = { keep-last = 2 }

[policy.mine]
run = ["mito"]
prediction = { max-files = 4 }
"#;

#[test]
fn policies_of_the_configuration_have_rules_for_each_kind() {
    let world = world();
    let config = world.base.join(".dalsegno/config.toml");
    fs::write(&config, CONFIG).unwrap();
    let mut text = transcript(
        &world,
        "gc --policy thin --table
        gc --policy thin --kind output --run mito --table
        gc --policy mine --table
        gc --policy mine --run er --table
        gc --policy thin --kind snapshot
        gc --policy thick
        gc --policy thin --keep-last 5
        gc --policy thin --older-than 1d
        gc --policy thin --iteration 9000
        gc --policy thin --explain mito/validation.zarr/9000/crop1/output/t=1
        gc --policy thin --kind output --run er --apply --yes
        list --run er --table",
    );
    for (from, to) in [
        ("keep-last", "keep-lats"),
        ("older-than = \"10d\"", "older-than = 10"),
        ("prediction =", "predictoin ="),
        ("keep-last = 1", "keep-last = 0"),
        ("keep-last = 1", "keep-last = 0"),
    ] {
        fs::write(&config, CONFIG.replacen(from, to, 1)).unwrap();
        text.push_str(&transcript(&world, "gc --policy thin --run er"));
    }
    assert_transcript!("gc_policy", text);
}

#[test]
fn whole_runs_go_but_for_what_is_pinned() {
    let world = world();
    let mut text = transcript(
        &world,
        "gc --runs --older-than 90d --table
        gc --runs --older-than 10d --keep-last 1 --table
        pin figure er/validation.zarr/9000/crop1/prediction --reason x
        gc --runs --older-than 90d --keep-last 1 --apply --yes
        list --run er --table
        unpin figure
        gc --runs --older-than 90d --kind prediction --apply --yes
        list --table",
    );
    text.push_str(if world.base.join("er").exists() {
        "er is there\n"
    } else {
        "er is gone\n"
    });
    assert_transcript!("gc_runs", text);
}

#[test]
fn checkpoints_are_looked_at_where_their_kind_is_named() {
    let world = world();
    let folder = world.base.join("mito/checkpoints/iterations");
    fs::create_dir_all(&folder).unwrap();
    for (iteration, days) in [(9000, 70), (9900, 60), (10_000, 50)] {
        fs::write(folder.join(iteration.to_string()), "weights").unwrap();
        date(
            &world,
            &format!("mito/checkpoints/iterations/{iteration}"),
            days,
        );
    }
    let best = world.base.join("mito/checkpoints/crop1");
    fs::create_dir_all(&best).unwrap();
    symlink("/moved/mito/checkpoints/iterations/9000", best.join("voi")).unwrap();
    world.transcript("scan --kind checkpoint --quiet");
    let text = transcript(
        &world,
        "gc --keep-last 1 --run mito --kind checkpoint --table
        gc --keep-last 1 --run mito --kind checkpoint --ignore-best-links --table --quiet
        gc --keep-last 1 --run mito --kind checkpoint --apply --yes
        gc --keep-last 1 --run mito --table --quiet
        rm --run mito --iteration 9000 --yes",
    );
    fs::remove_file(best.join("voi")).unwrap();
    symlink("/somewhere", best.join("voi")).unwrap();
    let text = text
        + &transcript(
            &world,
            "gc --keep-last 1 --run mito --table
            rm --run mito --iteration 9900 --yes
            gc --keep-last 1 --run er --table --quiet",
        );
    assert_transcript!("gc_best", text);
}

#[test]
fn limits_first_count_what_has_no_size() {
    let world = world();
    let text = transcript(
        &world,
        "list --run er --table
        gc --run er --max-size 300B --table
        gc --run er --max-files 6 --table --quiet
        gc --run er --max-size 300B --apply --yes
        du --table
        gc --run mito --min-free 1B --table
        gc --run mito --min-free 1B --apply --yes
        gc --run mito --min-free 15EB --keep-last 1 --table
        gc --max-size 1B --no-refresh",
    );
    assert_transcript!("gc_limits", without_free(&text));
}

#[test]
fn gc_looks_on_disk_first() {
    let world = world();
    let path = "mito/validation.zarr/9500/crop1/prediction";
    let recorded =
        world.transcript("record prediction --run mito --iteration 9500 --dataset crop1 --quiet");
    assert!(recorded.contains(path), "{recorded}");
    write(&world, path, 65);
    let missing = world
        .base
        .join("mito/validation.zarr/9000/crop1/prediction");
    fs::remove_dir_all(missing).unwrap();
    let text = transcript(
        &world,
        "gc --run mito --kind prediction --keep-last 1 --table --no-refresh
        gc --run mito --kind prediction --keep-last 1 --table",
    );
    // It was recorded just now, so a writer may be at work on it.
    assert_transcript!("gc_refresh", text);
}

#[test]
fn a_plan_goes_to_a_pipe_and_comes_from_standard_input() {
    let world = world();
    world.transcript("gc --run er --keep-last 1 --plan-out ../plan.json --quiet");
    let plan = fs::read(world.dir.join("plan.json")).unwrap();
    let mut child = world
        .call("gc --apply - --yes --quiet")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&plan).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(!world.base.join("er/validation.zarr/9000").exists());
}

#[test]
fn a_plan_for_people_has_a_line_for_each_run_and_then_what_goes() {
    let world = world();
    let text = transcript(
        &world,
        "pin figure --reason paper mito/validation.zarr/9000/crop1/prediction
        gc --keep-last 1 --table
        gc --keep-last 1 --table --all --run er --kind output
        gc --keep-last 9 --table
        gc --runs --older-than 100d --table --allow-empty-group",
    );
    assert_transcript!("gc_short", text);
}

#[test]
fn many_that_are_skipped_are_counted() {
    let world = World::new();
    for iteration in 1..=25 {
        let path = format!("mito/validation.zarr/{iteration}/crop1/prediction");
        write(&world, &path, 60);
    }
    let text = world.transcript(
        "init --here --quiet
        scan --quiet
        gc --keep-last 1 --plan-out ../plan.json --quiet
        pin all --reason x --run mito --quiet
        gc --apply ../plan.json --yes",
    );
    assert_eq!(text.matches("skipped").count(), 21, "{text}");
    assert!(
        text.contains("and 4 more skipped; --json lists them all"),
        "{text}"
    );
}

#[test]
fn a_path_narrows_what_gc_decides_on() {
    let world = World::scanned();
    let plans = |arguments: &str| -> usize {
        let line =
            format!("gc {arguments} --keep-within 1ms --allow-empty-group --allow-incomplete");
        let text = stdout(&mut world.call(&format!("{line} --quiet --jsonl")));
        text.lines().count()
    };
    let all = plans("mito --kind prediction");
    assert_eq!(all, plans("--run mito --kind prediction"));
    assert!(all > 2, "{all}");
    assert_eq!(plans("mito/validation.zarr/1000 --kind prediction"), 2);
    assert_eq!(
        plans("mito/validation.zarr/1000/crop1 --kind prediction"),
        1
    );
    let text = world.transcript(
        "gc mito/validation.zarr --runs --older-than 1d
        gc mito --apply plan.json",
    );
    assert!(text.contains("a PATH that is no run"), "{text}");
    assert!(text.contains("takes no selection"), "{text}");
}
