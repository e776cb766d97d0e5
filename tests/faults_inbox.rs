//! Faults while the inbox is folded: the process is killed at every system call that changes
//! something, or every such call fails. Afterwards the next open folds the rest: each note is in
//! the catalog, none twice, nothing is lost. The same for errors while notes are left.
//!
//! To run a single fault: `DALSEGNO_FAULT=kill:fsync:2 cargo test --test faults_inbox`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "helpers of tests are not seen as tests"
)]

#[expect(dead_code, reason = "some of the helpers are for other tests")]
mod child;
#[path = "child/fault.rs"]
mod fault;
#[path = "child/strace.rs"]
mod strace;

use std::fs;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use child::{assert_sound, prediction, say};
use dalsegno::model::filter::Filter;
use dalsegno::model::note::Note;
use dalsegno::model::operation::HistoryFilter;
use dalsegno::{Inbox, Options, Registry};
use fault::{CHANGES, calls, copy, trace};

/// Notes that can be folded; the file has one more line, which is not a note.
const NOTES: usize = 4;

/// The body of a child: prints `ready` and begins when its standard input ends.
#[test]
fn child_entry() {
    let Ok(action) = std::env::var(child::ACTION) else {
        return;
    };
    assert!(["fold", "note"].contains(&action.as_str()));
    let base = PathBuf::from(std::env::var_os(child::BASE).unwrap());
    // SAFETY: a plain system call; it lets strace attach if only parents may trace.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY) };
    say("ready");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    if action == "note" {
        let inbox = Inbox::open(&base).unwrap();
        for number in 0..NOTES {
            let key = prediction("run", i64::try_from(number).unwrap());
            say(&child::outcome(inbox.note(Note::Record(key))));
        }
        return;
    }
    let opened = Options::new()
        .lock_timeout(Duration::from_secs(1))
        .open(&base);
    say(&opened.map_or_else(
        |error| error.code().to_owned(),
        |registry| format!("ok, {} folded", registry.recovery().folded),
    ));
}

/// A base directory with two files of notes, one of which has a line that is refused.
fn prepare(base: &Path) {
    fs::create_dir(base).unwrap();
    drop(Registry::create(base).unwrap());
    for file in 0..2 {
        let inbox = Inbox::open(base).unwrap();
        for note in 0..2 {
            let key = prediction("run", file * 2 + note);
            inbox.note(Note::Record(key)).unwrap();
        }
    }
    let folder = base.join(".dalsegno/inbox");
    let first = fs::read_dir(&folder).unwrap().next().unwrap().unwrap();
    let mut text = fs::read_to_string(first.path()).unwrap();
    text.push_str("no note\n");
    fs::write(first.path(), text).unwrap();
}

/// Checks what the next opens make of the state that a fault left.
fn check(base: &Path) {
    for _ in 0..2 {
        drop(Registry::open(base).unwrap());
    }
    let registry = Registry::open(base).unwrap();
    assert_eq!(registry.recovery().problems, Vec::<String>::new());
    assert_eq!(registry.select(&Filter::default()).unwrap().len(), NOTES);
    let mut operations = 0;
    registry
        .history(&HistoryFilter::default(), |_| {
            operations += 1;
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    assert_eq!(operations, NOTES, "a note was folded twice");
    assert!(registry.check_history(None).unwrap().is_whole());
    let state = Inbox::open(base).unwrap().state().unwrap();
    assert!(state.waiting.is_empty() && state.strangers.is_empty());
    assert_eq!(state.refused.len(), 1);
    assert_eq!(state.refused[0].problems.len(), 1);
    let kept = base.join(".dalsegno/inbox/refused");
    let kept = fs::read_to_string(kept.join(&state.refused[0].name)).unwrap();
    assert_eq!(kept.lines().count(), 3);
    drop(registry);
    assert_sound(&base.join(".dalsegno/catalog.sqlite3"));
}

/// Moves the file that was set aside back to its old name, without this line; says whether there
/// is one.
fn put_back(base: &Path, without: Option<&str>) -> bool {
    let inbox = base.join(".dalsegno/inbox");
    let Ok(entries) = fs::read_dir(inbox.join("refused")) else {
        return false;
    };
    let kept: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    for kept in &kept {
        let name = kept.file_name().unwrap().to_str().unwrap();
        let (stem, _) = name.split_once(".put-aside-").unwrap();
        let text = fs::read_to_string(kept).unwrap();
        let text = without.map_or(text.clone(), |line| text.replace(line, ""));
        fs::remove_file(kept).unwrap();
        fs::write(inbox.join(format!("{stem}.jsonl")), text).unwrap();
    }
    !kept.is_empty()
}

/// Checks that a corrected file that was put back is folded, and nothing is left over.
fn check_corrected(base: &Path) {
    drop(Registry::open(base).unwrap());
    let registry = Registry::open(base).unwrap();
    assert_eq!(registry.recovery().problems, Vec::<String>::new());
    assert_eq!(registry.select(&Filter::default()).unwrap().len(), NOTES);
    let state = Inbox::open(base).unwrap().state().unwrap();
    assert!(state.waiting.is_empty() && state.strangers.is_empty());
    assert!(state.refused.is_empty(), "{:?}", state.refused);
}

fn sweep(what: &str, injection: impl Fn(&str, usize) -> Option<String>) {
    let only = std::env::var("DALSEGNO_FAULT").ok();
    if !strace::works(what) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let template = folder.path().join("template");
    prepare(&template);
    let base = folder.path().join("traced");
    copy(&template, &base);
    let output = folder.path().join("trace");
    let Some(traced) = trace("fold", &base, &format!("trace={CHANGES}"), &output) else {
        eprintln!("left out, because strace cannot join a process here: {what}");
        return;
    };
    assert_eq!(traced.said, ["ok, 4 folded"]);
    check(&base);
    let calls = calls(&fs::read_to_string(&output).unwrap());
    assert!(calls.len() > 20, "{what}: only {} calls", calls.len());
    let mut points = 0;
    for (call, number) in calls {
        let point = format!("{what}:{call}:{number}");
        let Some(injection) = injection(&call, number) else {
            continue;
        };
        let is_asked = only
            .as_ref()
            .map_or_else(|| fault::is_in_sample(&call, number), |only| *only == point);
        if !is_asked {
            continue;
        }
        points += 1;
        eprintln!("{point}");
        let base = folder.path().join("base");
        copy(&template, &base);
        let expression = format!("inject={call}:{injection}");
        let traced = trace("fold", &base, &expression, Path::new("/dev/null")).unwrap();
        assert!(!traced.stderr.contains("panicked"), "{}", traced.stderr);
        // What a fault set aside is put back at once, as it is.
        put_back(&base, None);
        check(&base);
        // Corrected and put back under the name that the catalog may still know, it is folded, or
        // found.
        fs::remove_dir_all(&base).unwrap();
        copy(&template, &base);
        trace("fold", &base, &expression, Path::new("/dev/null")).unwrap();
        if put_back(&base, Some("no note\n")) {
            check_corrected(&base);
        }
        fs::remove_dir_all(&base).unwrap();
    }
    assert!(points > 0, "there is no such call");
}

#[test]
fn folding_survives_a_kill_at_every_call() {
    sweep("kill", |_, number| {
        Some(format!("signal=SIGKILL:when={number}"))
    });
}

#[test]
fn folding_survives_an_error_of_every_call() {
    sweep("EIO", |call, number| {
        // If a lock cannot be released, SQLite waits for itself for ten seconds.
        let is_wanted = !["close", "fcntl"].contains(&call);
        is_wanted.then(|| format!("error=EIO:when={number}"))
    });
}

#[test]
fn folding_survives_a_full_disk() {
    sweep("ENOSPC", |call, number| {
        let grows = [
            "openat",
            "write",
            "pwrite64",
            "ftruncate",
            "mkdirat",
            "renameat",
        ];
        grows
            .contains(&call)
            .then(|| format!("error=ENOSPC:when={number}+"))
    });
}

/// What a network file system answers after its server lost the lock on an open file.
#[test]
fn notes_go_into_a_new_file_if_the_old_one_cannot_be_written() {
    if !strace::works("notes beside an error of the disk") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base");
    fs::create_dir(&base).unwrap();
    drop(Registry::create(&base).unwrap());
    let template = folder.path().join("template");
    copy(&base, &template);
    let output = folder.path().join("trace");
    let Some(traced) = trace("note", &base, "trace=write,fdatasync,flock", &output) else {
        eprintln!("left out, because strace cannot join a process here");
        return;
    };
    assert_eq!(traced.said, ["ok"; NOTES]);
    let calls = calls(&fs::read_to_string(&output).unwrap());
    let writes = calls.iter().filter(|(call, _)| call == "write").count();
    assert_eq!(writes, NOTES, "{calls:?}");
    for error in ["EIO", "ESTALE"] {
        for (call, number) in &calls {
            fs::remove_dir_all(&base).unwrap();
            copy(&template, &base);
            let expression = format!("inject={call}:error={error}:when={number}");
            let traced = trace("note", &base, &expression, Path::new("/dev/null")).unwrap();
            assert_eq!(traced.said, ["ok"; NOTES], "{expression}");
            let files = fs::read_dir(base.join(".dalsegno/inbox")).unwrap().count();
            let expected = if call == "flock" { 1 } else { 2 };
            assert_eq!(files, expected, "{expression}");
            let registry = Registry::open(&base).unwrap();
            assert_eq!(registry.recovery().problems, Vec::<String>::new());
            assert_eq!(registry.select(&Filter::default()).unwrap().len(), NOTES);
        }
    }
    // A disk that is broken for good is said to be so.
    fs::remove_dir_all(&base).unwrap();
    copy(&template, &base);
    let expression = "inject=fdatasync:error=EIO";
    let traced = trace("note", &base, expression, Path::new("/dev/null")).unwrap();
    assert_eq!(traced.said, ["storage-io"; NOTES]);
}
