//! Sixteen processes that record, ask, remove, restore and clean up on one base directory at once;
//! and what it takes to list many rows.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests are not seen as tests"
)]

#[expect(dead_code, reason = "some of the helpers are for other tests")]
mod child;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use child::{answer, assert_sound, command, prediction, say, write_array};
use dalsegno::model::clock::{Clock, FixedClock, SystemClock, Timestamp};
use dalsegno::model::filter::Filter;
use dalsegno::model::key::Key;
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::TrashKeep;
use dalsegno::retention::{self, Policy};
use dalsegno::{GcOptions, GcRequest, GcRules};
use dalsegno::{Options, Registry, RemoveOptions, RestoreTarget, Target, VerifyOptions};

/// Environment variable with the number of a child.
const NUMBER: &str = "DALSEGNO_TEST_NUMBER";
const PROCESSES: usize = 16;
/// How long they work; what is asked of them holds for any time.
const WORK: Duration = Duration::from_secs(6);
/// Rounds after which each has done everything at least once.
const LEAST: i64 = 21;
/// What gc leaves of a run.
const LAST: usize = 3;
/// Rows of a large catalog, and of a small one.
const ROWS: [i64; 2] = [1000, 60_000];
/// Bytes that listing the large one may take more. Its rows, held all at once, take twice that.
const MORE: u64 = 12 << 20;

#[test]
fn child_entry() {
    let Ok(action) = std::env::var(child::ACTION) else {
        return;
    };
    let base = PathBuf::from(std::env::var_os(child::BASE).unwrap());
    match action.as_str() {
        "work" => {
            let number = std::env::var(NUMBER).unwrap();
            Worker::new(&base, &format!("run{number}")).work();
        }
        "list" => {
            let registry = Registry::open_read_only(&base).unwrap();
            let mut rows = 0;
            registry
                .list(&Filter::default(), |artifact| {
                    rows += i64::from(artifact.id.0 > 0);
                    Ok(ControlFlow::Continue(()))
                })
                .unwrap();
            say(&format!("{rows} {}", most_memory()));
        }
        other => panic!("no action {other}"),
    }
}

/// The most memory that this process ever had, in bytes.
fn most_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes: u64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kibibytes << 10
}

/// One of the processes: it works on a run of its own, and knows what there must be of it.
struct Worker {
    base: PathBuf,
    run: String,
    registry: Registry,
    /// The same at a time when nothing counts as new.
    later: Registry,
    there: BTreeSet<i64>,
}

impl Worker {
    fn new(base: &Path, run: &str) -> Self {
        let later = Timestamp(SystemClock.now().0 + 2 * 86_400_000);
        Self {
            base: base.to_owned(),
            run: run.to_owned(),
            registry: Registry::open(base).unwrap(),
            later: Options::new().clock(FixedClock(later)).open(base).unwrap(),
            there: BTreeSet::new(),
        }
    }

    fn filter(&self) -> Filter {
        Filter::default().runs([self.run.as_str()])
    }

    fn work(mut self) {
        let start = Instant::now();
        let mut rounds = 0;
        while start.elapsed() < WORK || rounds < LEAST {
            rounds += 1;
            self.record(rounds);
            match rounds % 7 {
                2 => self.ask(),
                3 => self.remove(rounds - 1, true),
                4 => self.remove(rounds - 2, false),
                5 => self.ask(),
                6 if rounds % 4 == 0 => self.gc(),
                _ => {}
            }
        }
        let there: Vec<String> = self.there.iter().map(i64::to_string).collect();
        say(&format!("{rounds} {}", there.join(",")));
    }

    fn record(&mut self, iteration: i64) {
        let key = prediction(&self.run, iteration);
        write_array(&self.base, &key);
        assert!(self.registry.record(&key).unwrap().is_new);
        self.registry.seal(&Target::Key(key)).unwrap();
        self.there.insert(iteration);
        // A row that all of them want.
        self.registry.record(&prediction("shared", 1)).unwrap();
    }

    fn ask(&self) {
        let rows = self.registry.select(&self.filter()).unwrap();
        let found: BTreeSet<i64> = rows.iter().filter_map(|row| row.key.iteration()).collect();
        assert_eq!(found, self.there);
        let last = self.there.last().copied().unwrap();
        let key = prediction(&self.run, last);
        assert!(self.registry.get(&Target::Key(key)).unwrap().is_some());
    }

    fn remove(&mut self, iteration: i64, and_back: bool) {
        let key = prediction(&self.run, iteration);
        let options = RemoveOptions::default().keep(if and_back {
            TrashKeep::UntilEmptied
        } else {
            TrashKeep::No
        });
        let report = self
            .registry
            .remove_target(&Target::Key(key), &options, &Silent)
            .unwrap();
        assert_eq!(report.artifacts.len(), 1);
        match and_back {
            true => {
                let removal = report.removal.unwrap();
                let target = RestoreTarget::Removal(removal);
                let restored = self.registry.restore(&target).unwrap();
                assert_eq!(restored.artifacts.len(), 1);
            }
            false => assert!(self.there.remove(&iteration)),
        }
    }

    fn gc(&mut self) {
        let request = GcRequest::new(
            self.filter(),
            GcRules::Policy(
                Policy::default().keep(retention::KeepRules::default().last(LAST as u64)),
            ),
        )
        .words("the last");
        let plan = self.later.plan_gc(&request).unwrap();
        let options = GcOptions::default().keep(TrashKeep::UntilEmptied);
        let report = self
            .later
            .apply_gc(&plan.file, &options, &Silent, |_| {})
            .unwrap();
        assert_eq!(report.skipped.len(), 0, "{:?}", report.skipped);
        let go = self.there.len().saturating_sub(LAST);
        assert_eq!(report.artifacts, go as u64);
        self.there = self.there.iter().copied().skip(go).collect();
    }
}

#[test]
fn sixteen_processes_do_everything_at_once_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path();
    let registry = Registry::create(base).unwrap();
    let children: Vec<_> = (0..PROCESSES)
        .map(|number| {
            command(&[], "work", base)
                .env(NUMBER, number.to_string())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut expected: BTreeMap<String, BTreeSet<i64>> = BTreeMap::new();
    expected.insert("shared".to_owned(), BTreeSet::from([1]));
    let mut rounds = Vec::new();
    for (number, child) in children.into_iter().enumerate() {
        let output = child.wait_with_output().unwrap();
        let said = answer(&output);
        let [line] = &said[..] else {
            panic!("{number} said {said:?}");
        };
        let (worked, there) = line.split_once(' ').unwrap();
        rounds.push(worked.parse::<u64>().unwrap());
        let there = there.split(',').map(|word| word.parse().unwrap()).collect();
        expected.insert(format!("run{number}"), there);
    }
    let mut found: BTreeMap<String, BTreeSet<i64>> = BTreeMap::new();
    for row in registry.select(&Filter::default()).unwrap() {
        let run = row.key.run().as_str().to_owned();
        let is_there = base.join(row.location().path()).join("0.0.0").exists();
        assert_eq!(is_there, run != "shared", "{}", row.location().path());
        found
            .entry(run)
            .or_default()
            .insert(row.key.iteration().unwrap());
    }
    assert_eq!(found, expected);
    // No process starved.
    rounds.sort_unstable();
    assert!(rounds[0] * 10 >= rounds[rounds.len() / 2], "{rounds:?}");
    // What was removed for good is gone, the rest is as the catalog says.
    registry.empty_trash(None, &Silent).unwrap();
    let report = registry
        .verify(&Filter::default(), VerifyOptions::default(), &Silent)
        .unwrap();
    assert_eq!(report.findings, []);
    assert!(registry.check_history(None).unwrap().is_whole());
    assert_sound(registry.catalog_path());
}

#[test]
fn listing_many_rows_takes_no_more_memory_than_listing_few() {
    let [few, many] = ROWS.map(|rows| {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::create(folder.path()).unwrap();
        let keys: Vec<Key> = (0..rows).map(|n| prediction("run", n)).collect();
        registry.record_many(&keys).unwrap();
        drop(registry);
        let output = command(&[], "list", folder.path()).output().unwrap();
        let said = answer(&output);
        let (found, memory) = said[0].split_once(' ').unwrap();
        assert_eq!(found, rows.to_string());
        memory.parse::<u64>().unwrap()
    });
    assert!(many < few + MORE, "{many} bytes, {few} for few rows");
}
