//! Ctrl-C: the program ends as the signal ends it, says what state is left and what to type, and
//! that is so.
//!
//! strace sends the signal at a system call. Without a working `strace` the tests say so and are
//! left out.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::strace;
use crate::terminal::spoken_after;
use crate::world::{World, stdout};

/// What a command wrote to stderr, and whether the signal ended it.
struct Ended {
    stderr: String,
    by_signal: bool,
}

impl Ended {
    /// The words about the interrupt; not those of a second one, which ends the program at once.
    fn words(&self) -> Option<&str> {
        let mut lines = self.stderr.lines();
        let words = lines.find_map(|line| line.strip_prefix("interrupted; "));
        words.filter(|words| !words.starts_with("each "))
    }
}

/// Runs a line of arguments, and presses Ctrl-C at the nth call of this name.
fn pressed(world: &World, call: &str, number: usize, line: &str) -> Ended {
    let program = world.call(line);
    let mut command = Command::new("/usr/bin/env");
    command.current_dir(&world.base).env_clear();
    let environment = program.get_envs();
    command.envs(environment.filter_map(|(name, value)| Some((name, value?))));
    // A shell that runs the tests in the background lets them ignore the signal.
    command.args(["--default-signal=INT", "strace"]);
    command.args(["-f", "-qq", "-o", "/dev/null"]);
    command.args(["-e", &format!("trace={call}"), "-e"]);
    command.arg(format!("inject={call}:signal=SIGINT:when={number}"));
    command.arg(program.get_program()).args(program.get_args());
    let output = command.output().unwrap();
    let by_signal = output.status.signal() == Some(2) || output.status.code() == Some(130);
    let stderr = world.hide(&String::from_utf8(output.stderr).unwrap());
    Ended { stderr, by_signal }
}

/// Presses Ctrl-C at each call of this name, in a scene of its own each time, until the command is
/// done before. Gives the different words, without ids; `check` looks at what they say.
fn words_of(
    call: &str,
    line: &str,
    scene: impl Fn() -> World,
    check: impl Fn(&World, &str),
) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for number in 1.. {
        assert!(number < 400, "it does not end: {found:?}");
        let world = scene();
        let removal = removals(&world).into_iter().next();
        let line = line.replace("REMOVAL", &removal.unwrap_or_default());
        let ended = pressed(&world, call, number, &line);
        if !ended.by_signal {
            assert!(ended.words().is_none(), "{}", ended.stderr);
            break;
        }
        // Two threads may both be at their nth call: the second signal ends the program.
        if let Some(words) = ended.words() {
            check(&world, words);
            let mut words = words.to_owned();
            for id in removals(&world) {
                words = words.replace(&id, "ID");
            }
            found.insert(words);
        }
    }
    found
}

/// The ids of what is in the trash.
fn removals(world: &World) -> Vec<String> {
    if !world.base.join(".dalsegno").exists() {
        return Vec::new();
    }
    let listed = stdout(world.program().args(["trash", "list"]));
    let rows = listed.lines().skip(1);
    rows.map(|row| row.split('\t').next().unwrap().to_owned())
        .collect()
}

fn rows(world: &World) -> usize {
    let listed = stdout(world.program().args(["list", "--no-refresh", "--jsonl"]));
    listed.lines().count()
}

fn arrays(world: &World, count: usize) {
    for number in 0..count {
        world.write_array(&format!("r/validation.zarr/{number}/d/prediction"));
    }
}

/// A base directory with some arrays, taken in.
fn scanned(count: usize) -> World {
    let world = World::new();
    arrays(&world, count);
    world.transcript("init --here --quiet\nscan --quiet");
    world
}

fn has_data(world: &World, number: usize) -> bool {
    let array = format!("r/validation.zarr/{number}/d/prediction/0.0");
    world.base.join(array).exists()
}

#[test]
fn a_removal_is_none_or_whole() {
    if !strace::works("Ctrl-C in a removal") {
        return;
    }
    let line = "rm --run r --no-trash --yes";
    let scene = || scanned(3);
    let found = words_of("renameat2", line, scene, |world, _| {
        assert_eq!(rows(world), 3);
        assert!((0..3).all(|number| has_data(world, number)));
    });
    let nothing = "nothing was removed; to do it, run the same command again";
    assert_eq!(found, BTreeSet::from([nothing.to_owned()]));
    let found = words_of("unlinkat", line, scene, |world, words| {
        let is_removed = !words.starts_with("nothing");
        assert_eq!(rows(world), if is_removed { 0 } else { 3 });
        assert_eq!(has_data(world, 0), !is_removed);
    });
    let left = "3 artifacts were removed; what is left to unlink: dalsegno trash empty ID";
    assert!(found.contains(left), "{found:?}");
}

#[test]
fn a_restore_says_what_came_back() {
    if !strace::works("Ctrl-C in a restore") {
        return;
    }
    let scene = || {
        let world = scanned(3);
        world.transcript("rm --run r --trash --yes --quiet");
        world
    };
    let found = words_of("renameat2", "restore REMOVAL", scene, |world, _| {
        assert_eq!(rows(world), 0);
        assert_eq!(removals(world).len(), 1);
    });
    let nothing = "nothing was restored; what is in the trash: dalsegno trash list";
    assert_eq!(found, BTreeSet::from([nothing.to_owned()]));
    // One removal came back before the second target.
    let world = scanned(3);
    world.transcript(
        "rm --run r --iteration 0 --trash --yes --quiet
        rm --run r --iteration 1 --trash --yes --quiet",
    );
    let ended = pressed(&world, "renameat2", 1, "restore --run r");
    let expected = "1 artifact was restored; what is in the trash: dalsegno trash list";
    assert_eq!(ended.words(), Some(expected));
    assert_eq!((rows(&world), removals(&world).len()), (2, 1));
}

#[test]
fn an_emptied_trash_says_which_removal_is_half_gone() {
    if !strace::works("Ctrl-C in trash empty") {
        return;
    }
    let scene = || {
        let world = scanned(2);
        for iteration in 0..2 {
            let array = format!("r/validation.zarr/{iteration}/d/prediction");
            for chunk in 0..1000 {
                fs::write(world.base.join(&array).join(format!("{chunk}.1")), "").unwrap();
            }
            world.transcript(&format!(
                "rm --run r --iteration {iteration} --trash --yes --quiet"
            ));
        }
        world
    };
    let half = "0 of 2 removals were unlinked; ID is partly unlinked and cannot be restored; the \
        rest is untouched; what is left to unlink: dalsegno trash empty";
    for number in 1..20 {
        let world = scene();
        let ids = removals(&world);
        let ended = pressed(&world, "unlinkat", number, "trash empty --yes");
        // Two threads may both be at their nth call: the second signal ends the program.
        if let Some(words) = ended.words() {
            assert_eq!(words.replace(&ids[0], "ID"), half);
            assert_eq!(removals(&world), ids);
            let text = world.transcript(&format!("restore {} --quiet", ids[1]));
            assert!(!text.contains("exit"), "{text}");
            return;
        }
    }
    panic!("it says nothing");
}

#[test]
fn a_plan_says_how_much_of_it_was_carried_out() {
    if !strace::works("Ctrl-C in gc --apply") {
        return;
    }
    // Two removals of at most 1,000.
    let world = World::new();
    arrays(&world, 1203);
    let touch = "find r -depth -exec touch -d '2 days ago' {} +";
    let mut touched = Command::new("sh");
    touched.args(["-c", touch]).current_dir(&world.base);
    assert!(touched.status().unwrap().success());
    world.transcript("init --here --quiet\nscan --quiet");
    let line = "gc --run r --kind prediction --keep-last 1 --keep-within 1ms --apply --yes --trash";
    let ended = pressed(&world, "renameat2", 1100, line);
    assert!(ended.by_signal, "{}", ended.stderr);
    assert_eq!(
        ended.words(),
        Some(
            "1,000 of 1,202 artifacts were removed; the rest is untouched; to go on, run the same \
             command again"
        )
    );
    assert_eq!(rows(&world), 203);
    assert_eq!(removals(&world).len(), 1);
    let left = (0..1203).filter(|&number| has_data(&world, number)).count();
    assert_eq!(left, 203);
}

#[test]
fn what_only_looks_says_that_nothing_was_changed() {
    if !strace::works("Ctrl-C in a look") {
        return;
    }
    let world = World::new();
    arrays(&world, 40);
    world.transcript("init --here --quiet");
    let state = |world: &World| fs::read(world.catalog()).unwrap();
    let before = state(&world);
    let ended = pressed(&world, "getdents64", 5, "scan --threads 1");
    assert_eq!(
        ended.words(),
        Some("nothing was added; add the rest with: dalsegno scan --threads 1")
    );
    assert_eq!(state(&world), before);
    world.transcript("scan --quiet");
    let cases = [
        ("seal --run r --threads 1", "nothing was sealed"),
        ("verify --threads 1", "nothing was changed"),
        (
            "refresh --all --measure --run r",
            "no row was updated; look for the rest with: dalsegno refresh --all --measure --run r",
        ),
        ("du", "no data was touched"),
        ("rebuild --force --threads 1", "the catalog was not rebuilt"),
    ];
    for (line, start) in cases {
        let before = stdout(world.program().args(["history", "--limit", "1"]));
        let mut words = None;
        for number in 1..60 {
            let ended = pressed(&world, "getdents64", number, line);
            if !ended.by_signal {
                break;
            }
            words = words.or(ended.words().map(str::to_owned));
            let after = stdout(world.program().args(["history", "--limit", "1"]));
            assert_eq!(after, before, "{line}: {number}");
            if words.is_some() {
                break;
            }
        }
        let words = words.unwrap_or_else(|| panic!("{line} says nothing"));
        assert!(words.starts_with(start), "{line}: {words}");
    }
}

#[test]
fn an_interrupted_check_of_the_history_is_no_finding() {
    if !strace::works("Ctrl-C in history verify") {
        return;
    }
    let world = scanned(300);
    let mut words = BTreeSet::new();
    for number in 1..200 {
        let ended = pressed(&world, "pread64", number, "history verify");
        assert!(!ended.stderr.contains("broken"), "{}", ended.stderr);
        words.extend(ended.words().map(str::to_owned));
        if !ended.by_signal || !words.is_empty() {
            break;
        }
    }
    let expected = "the history was not checked to its end, and nothing was changed; to do it, run \
        the same command again";
    assert_eq!(words, BTreeSet::from([expected.to_owned()]));
}

#[test]
fn before_a_change_it_is_said_that_there_was_none() {
    if !strace::works("Ctrl-C before a change") {
        return;
    }
    let world = scanned(3);
    let pins = |world: &World| world.transcript("pin --list --table");
    let none = pins(&world);
    let mut said = 0;
    // While the catalog is opened and read, and when the turn to write has come.
    for call in ["flock", "fcntl", "openat"] {
        for number in 1..400 {
            let ended = pressed(&world, call, number, "pin mine --run r --reason plots");
            if !ended.by_signal {
                world.transcript("unpin mine --quiet");
                break;
            }
            let is_said = ended
                .stderr
                .lines()
                .any(|line| line == "interrupted before anything was changed");
            if is_said {
                said += 1;
                assert_eq!(pins(&world), none, "{call} {number}");
            }
            world.transcript("unpin mine --quiet");
        }
    }
    assert!(said > 2, "it was said {said} times");
}

#[test]
fn what_only_reads_says_so_while_it_prints() {
    if !strace::works("Ctrl-C while rows are printed") {
        return;
    }
    let world = scanned(40);
    for (line, start) in [
        ("gc --keep-last 1", "nothing was removed"),
        ("list", "no data was touched"),
        ("history", "interrupted before anything was changed"),
    ] {
        // Some of these calls print: while one does, the work is over.
        // A busy machine may let a call end before its signal is looked at: then once more.
        let mut words = BTreeSet::new();
        let begins = |words: &BTreeSet<String>| words.iter().any(|said| said.starts_with(start));
        for number in (1..40).chain(1..40).chain(1..40) {
            let ended = pressed(&world, "write", number, line);
            if !ended.by_signal {
                if begins(&words) {
                    break;
                }
                continue;
            }
            let said = ended.words().or_else(|| {
                let mut lines = ended.stderr.lines();
                lines.find(|line| line.starts_with("interrupted before anything"))
            });
            words.insert(said.unwrap_or("silent").to_owned());
        }
        assert!(!words.contains("silent"), "{line}: {words:?}");
        assert!(begins(&words), "{line}: {words:?}");
        assert_eq!(rows(&world), 40);
    }
}

/// The same with data that is two days old, as rules want it.
fn aged(count: usize) -> World {
    let world = World::new();
    arrays(&world, count);
    let touch = "find r -depth -exec touch -d '2 days ago' {} +";
    let mut touched = Command::new("sh");
    touched.args(["-c", touch]).current_dir(&world.base);
    assert!(touched.status().unwrap().success());
    world.transcript("init --here --quiet\nscan --quiet");
    world
}

#[test]
fn every_moment_of_a_removal_leaves_one_line() {
    if !strace::works("Ctrl-C at every moment") {
        return;
    }
    let line = "gc --run r --kind prediction --keep-last 1 --keep-within 1ms --apply --yes --trash";
    let mut found = BTreeSet::new();
    let mut done = 0;
    for number in (1..).step_by(5) {
        assert!(number < 1000, "it does not end: {found:?}");
        let world = aged(3);
        // Of a lock of SQLite, which each transaction takes: before, between and after all work.
        let ended = pressed(&world, "fcntl", number, line);
        if !ended.by_signal {
            // Work that has no boundary left is done all the same; after some more it is over.
            assert!(
                ended.stderr.contains("removed 2 artifacts"),
                "{}",
                ended.stderr
            );
            done += 1;
            if done > 12 {
                break;
            }
            continue;
        }
        let lines = ended.stderr.lines();
        let said: Vec<&str> = lines
            .filter(|line| line.starts_with("interrupted"))
            .collect();
        assert_eq!(said.len(), 1, "{number}: {}", ended.stderr);
        let is_whole = said[0].starts_with("interrupted; each artifact is whole or removed")
            || said[0].starts_with("interrupted; 2 of 2 artifacts were removed")
            || said[0].starts_with("interrupted; the plan was carried out before");
        let left = rows(&world);
        assert!(left == 3 || (is_whole && left == 1), "{number}: {said:?}");
        found.insert(said[0].to_owned());
    }
    let says = |start: &str| found.iter().any(|words| words.starts_with(start));
    assert!(says("interrupted before anything was changed"), "{found:?}");
    assert!(
        says("interrupted; nothing was removed; to do it"),
        "{found:?}"
    );
    // That nothing is left to do is said only if the signal is looked at before the call ends,
    // which a busy machine may not do: a unit test holds the words.
}

#[test]
fn at_a_question_it_is_said_that_nothing_was_changed() {
    let world = aged(3);
    world.transcript("rm --run r --iteration 2 --trash --yes --quiet\ndu --quiet");
    for (line, nothing) in [
        ("rm --run r --iteration 0", "nothing was removed"),
        (
            "gc --run r --kind prediction --keep-last 1 --keep-within 1ms --apply",
            "nothing was removed",
        ),
        ("trash empty", "nothing was unlinked"),
    ] {
        let program = world.call(line);
        let pid_file = world.dir.join("pid");
        let mut command = Command::new("/usr/bin/env");
        command.current_dir(&world.base).env_clear();
        let environment = program.get_envs();
        command.envs(environment.filter_map(|(name, value)| Some((name, value?))));
        // A shell that runs the tests in the background lets them ignore the signal.
        command.args([
            "--default-signal=INT",
            "sh",
            "-c",
            "echo $$ > \"$0\"; exec \"$@\"",
        ]);
        command.arg(&pid_file);
        command.arg(program.get_program()).args(program.get_args());
        let before = removals(&world);
        let press = || {
            let pid = fs::read_to_string(&pid_file).unwrap();
            let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
            kill_process(pid, Signal::INT).unwrap();
            // The answer must not be read first.
            let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            waitid(WaitId::Pid(pid), ended).unwrap();
        };
        let (text, code) = spoken_after(&mut command, 400, "[y/N]", &press, "n\n", &[]);
        assert_eq!(code, None, "{line}: {text}");
        let said = text.lines().last().unwrap();
        let again = format!("interrupted; {nothing}; to do it, run the same command again");
        assert!(
            said == "interrupted before anything was changed" || said == again,
            "{line}: {text}"
        );
        assert_eq!(text.matches("interrupted").count(), 1, "{line}: {text}");
        assert_eq!((rows(&world), removals(&world)), (2, before), "{line}");
    }
}
