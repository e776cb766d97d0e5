//! A process that is stopped (SIGSTOP) in the middle of a change, with the turn to write in its
//! hand: every query answers, whatever the change had reached. When it is killed, a process that
//! waited for its turn settles what it left, and goes on.
//!
//! strace stops the program at a system call. Without a working `strace` the tests say so and are
//! left out.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

#[path = "child/strace.rs"]
mod strace;

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::{Duration, Instant};

use dalsegno::model::filter::Filter;
use dalsegno::{Options, Registry, Target};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_dalsegno");
/// No query takes longer, on the slowest machine.
const SOON: Duration = Duration::from_secs(30);

fn array(base: &Path, iteration: u32) -> PathBuf {
    base.join(format!("r/validation.zarr/{iteration}/d/prediction"))
}

fn write_array(path: &Path) {
    fs::create_dir_all(path).unwrap();
    let metadata = r#"{"chunks":[2],"compressor":null,"dtype":"|u1","fill_value":0,"filters":null,"order":"C","shape":[2],"zarr_format":2}"#;
    fs::write(path.join(".zarray"), metadata).unwrap();
    fs::write(path.join("0"), "xx").unwrap();
}

/// A base directory with three arrays, and a row without data, for which a query looks on disk.
fn base() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base");
    fs::create_dir(&base).unwrap();
    (1..=3).for_each(|iteration| write_array(&array(&base, iteration)));
    let registry = Registry::create(&base).unwrap();
    let done = run(&base, &["scan", "--quiet"]);
    assert!(done.status.success(), "{done:?}");
    let recorded = ["record", "prediction", "--run", "r", "--iteration", "4"];
    let done = run(&base, &[&recorded[..], &["--dataset", "d"]].concat());
    assert!(done.status.success(), "{done:?}");
    // So that a query has something to write: the row has data now.
    write_array(&array(&base, 4));
    drop(registry);
    (folder, base)
}

fn run(base: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.arg("--base").arg(base).args(words);
    command.stdin(Stdio::null()).output().unwrap()
}

/// A command that is stopped.
struct Stopped {
    pid: Pid,
    strace: Child,
    /// Held open: strace and the command write to it as they go on.
    stderr: Lines<BufReader<ChildStderr>>,
}

impl Stopped {
    /// Runs a command until its nth call of this name, at which it is stopped.
    fn at(base: &Path, call: &str, number: usize, words: &[&str]) -> Self {
        let mut strace = Command::new("strace")
            .args(["-f", "-e", &format!("trace={call}"), "-e"])
            .arg(format!("inject={call}:signal=SIGSTOP:when={number}"))
            .args([
                "sh",
                "-c",
                "echo $$ && exec \"$@\"",
                "sh",
                PROGRAM,
                "--base",
            ])
            .arg(base)
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pid = String::new();
        let mut stdout = BufReader::new(strace.stdout.take().unwrap());
        stdout.read_line(&mut pid).unwrap();
        let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
        let mut stderr = BufReader::new(strace.stderr.take().unwrap()).lines();
        let is_stopped = stderr.any(|line| line.unwrap().contains("stopped by SIGSTOP"));
        assert!(is_stopped, "{words:?} makes no {number} calls of {call}");
        Self {
            pid,
            strace,
            stderr,
        }
    }

    /// Lets it go on; says whether it succeeded.
    fn go_on(mut self) -> bool {
        kill_process(self.pid, Signal::CONT).unwrap();
        self.stderr.by_ref().for_each(drop);
        self.strace.wait().unwrap().success()
    }

    fn kill(mut self) {
        kill_process(self.pid, Signal::KILL).unwrap();
        self.strace.wait().unwrap();
    }
}

/// Every query answers soon, and says the same as ever.
fn assert_queries_answer(base: &Path, point: &str) {
    let shown = array(base, 1);
    let queries: [&[&str]; 12] = [
        &["list"],
        &["list", "--json"],
        &["iterations"],
        &["runs"],
        &["du"],
        &["show", shown.to_str().unwrap()],
        &["history"],
        &["score", "--run", "r", "--iteration", "1"],
        &["trash", "list"],
        &["doctor"],
        &["gc", "--keep-last", "1"],
        &["rm", "--run", "r", "--iteration", "3", "--dry-run"],
    ];
    for words in queries {
        let start = Instant::now();
        let done = run(base, words);
        // `doctor` names the removal that is in flight, with the exit code of findings.
        let is_doctor = words == ["doctor"] && done.status.code() == Some(4);
        assert!(
            done.status.success() || is_doctor,
            "{point}, {words:?}: {done:?}"
        );
        assert!(start.elapsed() < SOON, "{point}, {words:?}");
    }
    let start = Instant::now();
    // A handle for writing, too, as a training or a notebook has it.
    let registry = Options::new().open(base).unwrap();
    let rows = registry.select(&Filter::default()).unwrap();
    // Five if the log has all of a scan's commit already and just its sync is held up.
    assert!((3..=5).contains(&rows.len()), "{point}: {rows:?}");
    let one = rows
        .iter()
        .find(|row| row.key.iteration() == Some(2))
        .unwrap();
    assert_eq!(
        registry
            .get(&Target::Key(one.key.clone()))
            .unwrap()
            .as_ref(),
        Some(one),
        "{point}"
    );
    assert!(start.elapsed() < SOON, "{point}");
}

const REMOVE: [&str; 7] = ["rm", "--run", "r", "--iteration", "1", "--yes", "--trash"];
const RECORD: [&str; 8] = [
    "record",
    "prediction",
    "--run",
    "r",
    "--iteration",
    "9",
    "--dataset",
    "d",
];
const REMOVE_NEXT: [&str; 6] = ["rm", "--run", "r", "--iteration", "2", "--yes"];

#[test]
fn queries_answer_while_a_removal_is_stopped_and_who_waited_goes_on_when_it_is_killed() {
    if !strace::works("a stopped writer") {
        return;
    }
    // From the first folder in the trash to the sync of the log: in and after the transaction.
    for (call, number) in [("mkdirat", 1), ("renameat2", 1), ("fsync", 1), ("fsync", 4)] {
        let point = format!("{call} {number}");
        let (_folder, base) = base();
        let stopped = Stopped::at(&base, call, number, &REMOVE);
        assert_queries_answer(&base, &point);

        let mut waiter = Command::new(PROGRAM);
        waiter.arg("--base").arg(&base).args(REMOVE_NEXT);
        let mut waiter = waiter
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(waiter.stderr.take().unwrap()).lines();
        // It waits, or is done already because the turn was free at this point.
        let waits = said.any(|line| line.unwrap().contains("waiting"));
        assert!(waits || waiter.try_wait().unwrap().is_none_or(|done| done.success()));
        stopped.kill();
        said.for_each(drop);
        assert!(waiter.wait().unwrap().success(), "{point}");

        let registry = Registry::open(&base).unwrap();
        let rows = registry.select(&Filter::default()).unwrap();
        let has = |iteration| {
            rows.iter()
                .any(|row| row.key.iteration() == Some(iteration))
        };
        for iteration in 1..=4 {
            let is_there = array(&base, iteration).exists();
            assert_eq!(has(i64::from(iteration)), is_there, "{point}: {iteration}");
        }
        assert!(!has(2) && has(3), "{point}");
    }
}

#[test]
fn a_container_that_is_removed_without_a_question_takes_what_is_recorded_in_it_meanwhile() {
    if !strace::works("a stopped removal") {
        return;
    }
    let (_folder, base) = base();
    let container = base.join("r/validation.zarr");
    // After the plan, and before the transaction.
    let words = ["rm", container.to_str().unwrap(), "--yes", "--quiet"];
    let stopped = Stopped::at(&base, "mkdirat", 1, &words);
    write_array(&array(&base, 9));
    let done = run(&base, &RECORD);
    assert!(done.status.success(), "{done:?}");
    assert!(stopped.go_on());
    assert!(!container.exists());
    let registry = Registry::open(&base).unwrap();
    assert_eq!(registry.select(&Filter::default()).unwrap(), []);
}

/// A writer that was killed leaves a log, which the next to open the catalog reads again and indexes,
/// with locks that keep all others out.
#[test]
fn queries_answer_while_the_recovery_of_the_log_is_stopped() {
    if !strace::works("a stopped writer") {
        return;
    }
    let mut beside = 0;
    // The first few calls are those of the loader, and one reads the header of the catalog.
    for number in [7, 9] {
        let (_folder, base) = base();
        Stopped::at(&base, "fsync", 4, &REMOVE).kill();
        fs::remove_file(base.join(".dalsegno/catalog.sqlite3-shm")).unwrap();
        let wal = base.join(".dalsegno/catalog.sqlite3-wal");
        assert!(fs::metadata(wal).unwrap().len() > 0);
        let stopped = Stopped::at(&base, "pread64", number, &RECORD);
        let start = Instant::now();
        let done = run(&base, &["list"]);
        assert!(start.elapsed() < SOON, "{number}: {:?}", start.elapsed());
        assert!(done.status.success(), "{number}: {done:?}");
        let said = String::from_utf8(done.stderr).unwrap();
        beside += usize::from(said.contains("reading a copy"));
        assert_eq!(
            String::from_utf8(done.stdout).unwrap().lines().count(),
            5,
            "{number}"
        );
        stopped.kill();
    }
    assert!(
        beside > 0,
        "no call was made with the locks of the recovery"
    );
}

#[test]
fn a_writer_beside_a_stopped_recovery_waits_for_its_time_out_and_names_the_process() {
    if !strace::works("a stopped writer") {
        return;
    }
    let (_folder, base) = base();
    Stopped::at(&base, "fsync", 4, &REMOVE).kill();
    fs::remove_file(base.join(".dalsegno/catalog.sqlite3-shm")).unwrap();
    let stopped = Stopped::at(&base, "pread64", 9, &RECORD);
    let start = Instant::now();
    let mut words = vec!["--lock-timeout", "3s"];
    words.extend(RECORD);
    let refused = run(&base, &words);
    let took = start.elapsed();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(took >= Duration::from_secs(3), "{took:?}: {said}");
    // A path needs no catalog, so it is printed all the same, and noted.
    assert!(said.contains("(lock-timeout)"), "{said}");
    assert!(refused.status.success(), "{said}");
    assert!(said.contains("locked for 3s"), "{said}");
    let pid = format!("pid {}", stopped.pid.as_raw_nonzero());
    assert!(said.contains(&pid), "{pid}: {said}");
    assert!(said.contains("which is stopped"), "{said}");
    stopped.kill();
    assert!(run(&base, &RECORD).status.success());
}

#[test]
fn queries_answer_while_a_scan_is_stopped_in_its_transaction() {
    if !strace::works("a stopped writer") {
        return;
    }
    let (_folder, base) = base();
    write_array(&array(&base, 5));
    let stopped = Stopped::at(&base, "fsync", 1, &["scan", "--measure"]);
    assert_queries_answer(&base, "scan, fsync 1");
    stopped.kill();
}
