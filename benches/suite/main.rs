//! The benchmark suite: dalsegno against what one would use without it, on the same data, in turn.
//!
//! `benches/run.sh` runs it; `benches/README.md` says what each row means. A row is a function of
//! [`ROWS`] that measures, checks that both sides did the same thing, and pushes its lines.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it is a program that prints"
)]

mod bare;
mod bare_walk;
mod catalogs;
mod clean;
mod contention;
mod dacapo;
mod history;
mod keys;
mod measure;
mod peak;
mod plain;
mod plot;
mod purges;
mod queries;
mod records;
mod removals;
mod report;
mod scans;
mod slow;
mod trees;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use serde::Serialize;

use measure::{Result, Stats};
use report::{Aim, Machine, Row};

const USAGE: &str = "suite [quick|full] [--only ROW]… [--json FILE] [--plot FILE] [--data DIR] \
     [--program FILE] [--rounds N] [--files N] [--list]";

/// After this long `quick` begins nothing more, so that it ends within ten minutes.
const QUICK: Duration = Duration::from_secs(8 * 60);

/// A benchmark: its name, what it is about, how it runs.
type Benchmark = (&'static str, &'static str, fn(&mut Bench) -> Result<()>);

const ROWS: [Benchmark; 21] = [
    ("start", "starting the program at all", queries::start),
    ("record", "recording one artifact", records::one),
    ("record-known", "recording what is there", records::known),
    ("record-many", "recording 1,000 at once", records::many),
    ("history", "history's share of recording", history::run),
    ("bytes", "bytes of catalog", records::bytes),
    ("lookup", "one artifact by its key", queries::lookup),
    ("iterations", "the iterations of a run", queries::iterations),
    ("gc-plan", "what of a run may go", queries::plan),
    (
        "record-by-size",
        "recording into large catalogs",
        records::by_size,
    ),
    ("list", "listing 10^6 artifacts", queries::list),
    ("show", "one artifact on the command line", queries::show),
    ("contention", "many processes that record", contention::run),
    ("scan", "taking in a tree", scans::run),
    ("remove", "a removal, committed", removals::run),
    ("latency", "unlinking if every call takes 1 ms", slow::run),
    ("dacapo", "Python's glob and rmtree", dacapo::run),
    ("memory", "memory of the largest catalog", queries::memory),
    ("purge-tmpfs", "unlinking in memory", purges::in_memory),
    (
        "purge-ext4",
        "unlinking on an ext4 with a journal",
        purges::on_ext4,
    ),
    (
        "purge-disk",
        "unlinking on the disk of the data folder",
        purges::on_disk,
    ),
];

/// One value of a curve over the size of the catalog.
#[derive(Debug, Serialize)]
pub(crate) struct Point {
    series: &'static str,
    rows: usize,
    seconds: f64,
}

impl Point {
    pub(crate) fn new(series: &'static str, rows: usize, seconds: f64) -> Self {
        Self {
            series,
            rows,
            seconds,
        }
    }
}

/// What every benchmark works with, and what they found.
pub(crate) struct Bench {
    full: bool,
    /// Instead of those of `quick` and `full`.
    rounds: Option<usize>,
    /// Of a tree that is purged, instead of those of `quick` and `full`.
    files: Option<usize>,
    data: PathBuf,
    program: PathBuf,
    started: Instant,
    rows: Vec<Row>,
    points: Vec<Point>,
    notes: Vec<String>,
}

impl Bench {
    /// The smaller number in `quick`, the larger one in `full`.
    fn size(&self, quick: usize, full: usize) -> usize {
        if self.full { full } else { quick }
    }

    /// Rounds of a comparison; a few less in `quick`.
    fn rounds(&self, full: usize) -> usize {
        let rounds = if self.full { full } else { full.min(5) };
        self.rounds.unwrap_or(rounds)
    }

    /// Rounds of a comparison that takes long.
    fn few_rounds(&self) -> usize {
        self.rounds.unwrap_or(self.size(3, 5))
    }

    /// Whether `quick` has no time left for another comparison; says so once.
    fn is_late(&mut self, name: &str) -> bool {
        let late = !self.full && self.started.elapsed() > QUICK;
        if late {
            self.note(format!(
                "{name}: left out, or a part of it, because `quick` ends after ten minutes; alone: \
                 --only {name}"
            ));
        }
        late
    }

    /// Rows of the largest catalog.
    fn largest(&self) -> usize {
        self.size(1_000_000, 10_000_000)
    }

    /// Sizes of catalogs, in rows.
    fn sizes(&self) -> Vec<usize> {
        let sizes = [10_000, 100_000, 1_000_000, 10_000_000];
        sizes
            .into_iter()
            .filter(|size| *size <= self.largest())
            .collect()
    }

    fn say(&self, text: &str) {
        eprintln!("{:>6.0} s  {text}", self.started.elapsed().as_secs_f64());
    }

    /// Says at the end what was left out, and why.
    fn note(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    fn push(&mut self, row: Row) {
        self.say(
            report::table(std::slice::from_ref(&row))
                .lines()
                .last()
                .unwrap_or_default(),
        );
        self.rows.push(row);
    }

    fn point(&mut self, point: Point) {
        self.points.push(point);
    }

    /// How much more the largest of several catalogs costs than the smallest.
    fn push_growth(&mut self, name: &'static str, what: &str, found: &[(usize, Stats)]) {
        let (Some((few, smallest)), Some((many, largest))) = (found.first(), found.last()) else {
            return;
        };
        let (few, many) = (few.ilog10(), many.ilog10());
        self.push(Row::new(
            name,
            format!("{what}: 10^{many} rows"),
            format!("itself at 10^{few} rows"),
            *largest,
            Some(*smallest),
            Some(Aim::Ratio(4.0)),
        ));
    }

    /// A folder for one benchmark, on the disk that is measured.
    fn folder(&self, name: &str) -> Result<tempfile::TempDir> {
        Ok(tempfile::Builder::new()
            .prefix(&format!("{name}-"))
            .tempdir_in(&self.data)?)
    }

    /// The program, for a base directory.
    fn dalsegno(&self, base: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--base").arg(base);
        command
    }

    /// A tool if it is installed; else a note says that it is missing.
    fn tool(&mut self, name: &str) -> Option<PathBuf> {
        let found = find_tool(name);
        if found.is_none() {
            self.note(format!("{name} is not installed: its rows are left out"));
        }
        found
    }

    fn require_space(&self, bytes: u64) -> Result<()> {
        let found = rustix::fs::statvfs(&self.data)?;
        let free = found.f_bavail * found.f_frsize;
        if free < bytes * 3 / 2 {
            return Err(format!(
                "{} has {} MiB free, {} MiB are needed; another place: --data DIR",
                self.data.display(),
                free >> 20,
                (bytes * 3 / 2) >> 20
            )
            .into());
        }
        Ok(())
    }
}

fn find_tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// What was asked for.
struct Asked {
    bench: Bench,
    only: Vec<String>,
    json: Option<PathBuf>,
    plot: Option<PathBuf>,
}

fn ask(mut words: impl Iterator<Item = OsString>) -> Result<Option<Asked>> {
    let (mut full, mut only, mut json, mut plot) = (false, Vec::new(), None, None);
    let mut data = std::env::temp_dir().join("dalsegno-bench");
    let mut program = option_env!("CARGO_BIN_EXE_dalsegno").map(PathBuf::from);
    let (mut rounds, mut files) = (None, None);
    while let Some(word) = words.next() {
        let mut value = || {
            words
                .next()
                .ok_or_else(|| format!("a value is missing: {USAGE}"))
        };
        match word.to_str() {
            Some("quick") => full = false,
            Some("full") => full = true,
            Some("--only") => only.push(value()?.to_string_lossy().into_owned()),
            Some("--json") => json = Some(value()?.into()),
            Some("--plot") => plot = Some(value()?.into()),
            Some("--data") => data = value()?.into(),
            Some("--program") => program = Some(value()?.into()),
            Some("--rounds") => rounds = Some(number(&value()?, 1)?),
            // Fewer make no tree of every shape.
            Some("--files") => files = Some(number(&value()?, 1000)?),
            Some("--list") => {
                for (name, about, _) in ROWS {
                    println!("{name:<16}{about}");
                }
                return Ok(None);
            }
            // What `cargo bench` adds.
            Some("--bench") => {}
            _ => return Err(format!("{}? {USAGE}", word.display()).into()),
        }
    }
    for name in &only {
        if !ROWS.iter().any(|(known, ..)| known == name) {
            return Err(format!("there is no row {name}; --list names them").into());
        }
    }
    std::fs::create_dir_all(&data)?;
    // As it is installed: the kernel maps a file that was just linked in smaller pieces than one
    // that was copied.
    let linked = program.ok_or("--program FILE is missing: the feature cli is off")?;
    let program = data.canonicalize()?.join("dalsegno");
    let _ = std::fs::remove_file(&program);
    std::fs::copy(linked, &program)?;
    let bench = Bench {
        full,
        rounds,
        files,
        data: data.canonicalize()?,
        program,
        started: Instant::now(),
        rows: Vec::new(),
        points: Vec::new(),
        notes: Vec::new(),
    };
    Ok(Some(Asked {
        bench,
        only,
        json,
        plot,
    }))
}

fn number(word: &OsString, least: usize) -> Result<usize> {
    let number = word.to_str().and_then(|word| word.parse().ok());
    let number = number.filter(|number| *number >= least);
    number.ok_or_else(|| format!("{} is not a number of at least {least}", word.display()).into())
}

fn run(asked: Asked) -> Result<bool> {
    let Asked {
        mut bench,
        only,
        json,
        plot,
    } = asked;
    let machine = Machine::look(&bench.data, &bench.program);
    clean::leftovers(&bench.data)?;
    let mut failures = Vec::new();
    for (name, about, benchmark) in ROWS {
        if !only.is_empty() && !only.iter().any(|wanted| wanted == name) {
            continue;
        }
        if bench.is_late(name) {
            continue;
        }
        bench.say(&format!("{name}: {about}"));
        if let Err(error) = benchmark(&mut bench) {
            bench.say(&format!("{name}: NO RESULT: {error}"));
            failures.push(format!("{name}: no result: {error}"));
        }
    }
    println!("{}", report::table(&bench.rows));
    println!("{}", machine.text());
    println!(
        "{}: median (lowest…highest) of the rounds; ratio of the medians{}",
        if bench.full { "full" } else { "quick" },
        if bench.full {
            ""
        } else {
            "; catalogs up to 10^6 rows, trees a fifth of those of `full`"
        }
    );
    for line in bench.notes.iter().chain(&failures) {
        println!("{line}");
    }
    if let Some(file) = json {
        let result = serde_json::json!({
            "schema_version": 1,
            "mode": if bench.full { "full" } else { "quick" },
            "machine": machine,
            "rows": bench.rows,
            "points": bench.points,
            "notes": bench.notes,
            "failures": failures,
        });
        std::fs::write(file, serde_json::to_string_pretty(&result)?)?;
    }
    if let Some(file) = plot {
        plot::write(&bench.points, &file)?;
    }
    Ok(failures.is_empty())
}

/// Says what a small program found to the one that started it, which may be gone.
fn print(found: &impl std::fmt::Display) -> Result<bool> {
    use std::io::Write;
    writeln!(std::io::stdout(), "{found}")?;
    Ok(true)
}

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let outcome = match words.split_first() {
        Some((word, words)) if word == peak::WORD => {
            peak::run(words).and_then(|bytes| print(&bytes))
        }
        Some((word, words)) if word == bare::WORD => {
            bare::run(words).and_then(|count| print(&count))
        }
        Some((word, words)) if word == contention::WORD => {
            contention::work(words).and_then(|text| print(&text))
        }
        Some((word, words)) if word == history::WORD => {
            history::work(words).and_then(|seconds| print(&seconds))
        }
        _ => ask(words.into_iter()).and_then(|asked| asked.map_or(Ok(true), run)),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}
