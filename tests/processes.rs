//! Several processes on one base directory: making it, recording, scanning; which process waits,
//! how long, and what happens to the queue if a waiting process is killed.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests are not seen as tests"
)]

#[expect(dead_code, reason = "some of the helpers are for other tests")]
mod child;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::io::{BufRead, BufReader, Lines, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use child::{assert_sound, command, outcome, prediction, say, write_array};
use dalsegno::ScanOptions;
use dalsegno::model::filter::Filter;
use dalsegno::model::key::Key;
use dalsegno::model::progress::Silent;
use dalsegno::{Options, Registry};
use rusqlite::Connection;
use tempfile::TempDir;

const CATALOG: &str = ".dalsegno/catalog.sqlite3";
/// Environment variable with the number of a child among its kind.
const NUMBER: &str = "DALSEGNO_TEST_NUMBER";
const RECORDS: i64 = 50;

/// The body of a child: prints `ready` and begins when its standard input ends.
#[test]
fn child_entry() {
    let Ok(action) = std::env::var(child::ACTION) else {
        return;
    };
    let base = PathBuf::from(std::env::var_os(child::BASE).unwrap());
    let number = std::env::var(NUMBER).unwrap();
    if action == "hold" {
        return hold(&base);
    }
    say("ready");
    wait_for_the_end_of_input();
    match action.as_str() {
        "create" => made(Options::new(), &base),
        "create-elsewhere" => made(Options::new().catalog(elsewhere(&base)), &base),
        "record" => {
            let registry = Registry::open(&base).unwrap();
            for n in 0..RECORDS {
                let own = registry.record(&prediction(&format!("own{number}"), n));
                let shared = registry.record(&prediction("shared", n));
                let [own, shared] = [own, shared].map(|recorded| recorded.unwrap().artifact.id);
                say(&format!("{n} {own} {shared}"));
            }
        }
        "record-one" => {
            let options = Options::new().on_wait(|_| say("waiting"));
            let registry = options.open(&base).unwrap();
            say(&outcome(registry.record(&prediction("one", 1))));
        }
        "scan" => {
            let registry = Registry::open(&base).unwrap();
            let report = registry.scan(ScanOptions::default(), &Silent).unwrap();
            say(&format!("{} {}", report.arrays, report.adopted));
        }
        other => panic!("no action {other}"),
    }
}

fn made(options: Options, base: &Path) {
    match options.create(base) {
        Ok((registry, made)) => say(&format!("{made} {}", registry.id().unwrap())),
        Err(error) => say(error.code()),
    }
}

/// Takes its turn to write, and keeps it until its standard input ends.
fn hold(base: &Path) {
    let keys = [prediction("held", 1), prediction("held", 2)];
    let registry = Registry::open(base).unwrap();
    let slow = keys.iter().inspect(|key| {
        if key.iteration() == Some(2) {
            say("ready");
            wait_for_the_end_of_input();
        }
    });
    say(&outcome(registry.record_many(slow)));
}

fn wait_for_the_end_of_input() {
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

fn elsewhere(base: &Path) -> PathBuf {
    base.with_file_name("local").join("catalog")
}

/// A child that has printed `ready`.
struct Ready {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Ready {
    fn start(action: &str, base: &Path, number: usize) -> Self {
        let mut process = command(&[], action, base)
            .env(NUMBER, number.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut ready = Self { process, lines };
        ready.wait_for("ready");
        ready
    }

    fn wait_for(&mut self, word: &str) {
        let said = format!("@{word}");
        assert!(
            self.lines.any(|line| line.unwrap() == said),
            "the child never said {word}"
        );
    }

    fn go(&mut self) {
        drop(self.process.stdin.take());
    }

    /// Its output since `ready`.
    fn finish(mut self) -> Vec<String> {
        self.go();
        let said = self
            .lines
            .by_ref()
            .filter_map(|line| line.unwrap().strip_prefix('@').map(str::to_owned))
            .collect();
        assert!(self.process.wait().unwrap().success());
        said
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// Starts children, lets them begin together, and returns the output of each.
fn together(count: usize, action: &str, base: &Path) -> Vec<Vec<String>> {
    let mut children: Vec<Ready> = (0..count)
        .map(|number| Ready::start(action, base, number))
        .collect();
    children.iter_mut().for_each(Ready::go);
    children.into_iter().map(Ready::finish).collect()
}

/// An empty base directory in a folder of its own.
fn base() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base");
    fs::create_dir(&base).unwrap();
    (folder, base)
}

fn base_with_registry() -> (TempDir, PathBuf) {
    let (folder, base) = base();
    Registry::create(&base).unwrap();
    (folder, base)
}

fn keys(registry: &Registry) -> BTreeMap<i64, Key> {
    let rows = registry.select(&Filter::default()).unwrap();
    let keys: BTreeMap<_, _> = rows.into_iter().map(|row| (row.id.0, row.key)).collect();
    keys
}

fn names(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// Checks that one child made the registry, the others found it, and all have the same one.
fn assert_one_was_made(said: &[Vec<String>], base: &Path) {
    let said: Vec<&str> = said.iter().map(|lines| lines[0].as_str()).collect();
    let id = Registry::open(base).unwrap().id().unwrap();
    let count = |line: String| said.iter().filter(|said| **said == line).count();
    assert_eq!(count(format!("true {id}")), 1, "{said:?}");
    assert_eq!(count(format!("false {id}")), said.len() - 1, "{said:?}");
}

#[test]
fn sixteen_processes_make_one_registry() {
    for _ in 0..3 {
        let (_folder, base) = base();
        let said = together(16, "create", &base);
        assert_one_was_made(&said, &base);
        assert_eq!(names(&base), BTreeSet::from([".dalsegno".to_owned()]));
        assert_sound(&base.join(CATALOG));
    }
}

#[test]
fn sixteen_processes_make_one_registry_with_a_catalog_elsewhere() {
    for _ in 0..3 {
        let (_folder, base) = base();
        let catalog = elsewhere(&base);
        fs::create_dir(catalog.parent().unwrap()).unwrap();
        let said = together(16, "create-elsewhere", &base);
        assert_one_was_made(&said, &base);
        assert_eq!(names(&base), BTreeSet::from([".dalsegno".to_owned()]));
        let local = names(catalog.parent().unwrap());
        assert!(
            local.iter().all(|name| name.starts_with("catalog")),
            "{local:?}"
        );
        assert_eq!(Registry::open(&base).unwrap().catalog_path(), catalog);
        assert_sound(&catalog);
    }
}

#[test]
fn eight_processes_record_and_no_row_is_lost() {
    let (_folder, base) = base_with_registry();
    let said = together(8, "record", &base);
    let registry = Registry::open(&base).unwrap();
    let rows = keys(&registry);
    assert_eq!(rows.len() as i64, 8 * RECORDS + RECORDS);
    for (number, lines) in said.iter().enumerate() {
        assert_eq!(lines.len() as i64, RECORDS);
        for line in lines {
            let ids: Vec<i64> = line.split(' ').map(|id| id.parse().unwrap()).collect();
            let own = prediction(&format!("own{number}"), ids[0]);
            assert_eq!(rows[&ids[1]], own);
            assert_eq!(rows[&ids[2]], prediction("shared", ids[0]));
        }
    }
    drop(registry);
    assert_sound(&base.join(CATALOG));
}

#[test]
fn two_scans_at_once_give_each_array_one_row() {
    const ARRAYS: i64 = 200;
    let (_folder, base) = base_with_registry();
    for n in 0..ARRAYS {
        let run = ["run/a", "b"][n as usize % 2];
        write_array(&base, &prediction(run, n));
    }
    let adopted: i64 = together(2, "scan", &base)
        .iter()
        .map(|lines| {
            let (arrays, adopted) = lines[0].split_once(' ').unwrap();
            assert_eq!(arrays.parse::<i64>().unwrap(), ARRAYS);
            adopted.parse::<i64>().unwrap()
        })
        .sum();
    assert_eq!(adopted, ARRAYS);
    let rows = keys(&Registry::open(&base).unwrap());
    assert_eq!(rows.len() as i64, ARRAYS);
    assert_eq!(rows.values().collect::<HashSet<_>>().len() as i64, ARRAYS);
    assert_sound(&base.join(CATALOG));
}

/// A handle that waits for `timeout` and reports which process it waits for.
fn patient(base: &Path, timeout: Duration) -> (Registry, mpsc::Receiver<String>) {
    let (sender, receiver) = mpsc::channel();
    let registry = Options::new()
        .lock_timeout(timeout)
        .on_wait(move |holder| sender.send(holder.to_owned()).unwrap())
        .open(base)
        .unwrap();
    (registry, receiver)
}

#[test]
fn a_writer_gives_up_after_its_timeout_and_names_the_holder() {
    let (_folder, base) = base_with_registry();
    let holder = Ready::start("hold", &base, 0);
    let pid = format!("pid {} (", holder.process.id());

    let (hasty, notices) = patient(&base, Duration::ZERO);
    let error = hasty.record(&prediction("one", 1)).unwrap_err();
    assert_eq!(error.code(), "lock-timeout");
    assert!(error.to_string().contains(&pid), "{error}");
    assert_eq!(
        notices.try_iter().count(),
        0,
        "no notice comes before two seconds"
    );

    let (registry, notices) = patient(&base, Duration::from_millis(2100));
    let error = registry.record(&prediction("one", 1)).unwrap_err();
    assert_eq!(error.code(), "lock-timeout");
    assert!(
        error.to_string().contains("locked for 2s 100ms by pid"),
        "{error}"
    );
    let notices: Vec<String> = notices.try_iter().collect();
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(notices[0].starts_with(&pid), "{notices:?}");
    // Readers do not wait, and do not see uncommitted changes.
    assert!(keys(&registry).is_empty());

    assert_eq!(holder.finish(), ["ok"]);
    assert_eq!(keys(&registry).len(), 2);
    registry.record(&prediction("one", 1)).unwrap();
}

#[test]
fn a_writer_gives_up_on_another_program_after_its_timeout() {
    let (_folder, base) = base_with_registry();
    let other = Connection::open(base.join(CATALOG)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (registry, notices) = patient(&base, Duration::from_millis(2100));
    let error = registry.record(&prediction("one", 1)).unwrap_err();
    assert_eq!(error.code(), "lock-timeout");
    let name = "another program that has it open";
    assert!(
        error
            .to_string()
            .contains(&format!("for 2s 100ms by {name}")),
        "{error}"
    );
    assert_eq!(notices.try_iter().collect::<Vec<_>>(), [name]);
    other.execute_batch("ROLLBACK").unwrap();
    registry.record(&prediction("one", 1)).unwrap();
}

#[test]
fn a_holder_that_is_killed_lets_go() {
    let (_folder, base) = base_with_registry();
    let holder = Ready::start("hold", &base, 0);
    let (registry, notices) = patient(&base, Duration::from_secs(60));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| registry.record(&prediction("one", 1)).map(|_| ()));
        notices.recv().unwrap();
        holder.kill();
        assert_eq!(outcome(waiting.join().unwrap()), "ok");
    });
    let rows = keys(&registry);
    let rows: Vec<&Key> = rows.values().collect();
    assert_eq!(
        rows,
        [&prediction("one", 1)],
        "nothing of the killed one is left"
    );
    drop(registry);
    assert_sound(&base.join(CATALOG));
}

#[test]
fn a_killed_waiter_does_not_break_the_line() {
    let (_folder, base) = base_with_registry();
    let holder = Ready::start("hold", &base, 0);
    // The first waits for its turn, the second for a place in the queue.
    let mut waiters = [0, 1].map(|number| Ready::start("record-one", &base, number));
    for waiter in &mut waiters {
        waiter.go();
        waiter.wait_for("waiting");
    }
    let (registry, notices) = patient(&base, Duration::from_secs(60));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| registry.record(&prediction("two", 2)).map(|_| ()));
        notices.recv().unwrap();
        waiters.into_iter().for_each(Ready::kill);
        assert_eq!(holder.finish(), ["ok"]);
        assert_eq!(outcome(waiting.join().unwrap()), "ok");
    });
    let rows = keys(&registry);
    let rows: Vec<&Key> = rows.values().collect();
    let [one, two, own] = [
        prediction("held", 1),
        prediction("held", 2),
        prediction("two", 2),
    ];
    assert_eq!(rows, [&one, &two, &own]);
}

#[test]
fn a_listing_shows_what_was_there_when_it_began() {
    let (_folder, base) = base_with_registry();
    let reader = Registry::open(&base).unwrap();
    let first: Vec<Key> = (0..10).map(|n| prediction("run", n)).collect();
    reader.record_many(&first).unwrap();
    let writer = Registry::open(&base).unwrap();
    let mut seen = 0;
    reader
        .list(&Filter::default(), |_| {
            writer.record(&prediction("run", 100 + seen))?;
            seen += 1;
            Ok(std::ops::ControlFlow::Continue(()))
        })
        .unwrap();
    assert_eq!(seen, 10);
    assert_eq!(keys(&reader).len(), 20);
}
