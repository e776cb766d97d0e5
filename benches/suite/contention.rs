//! Rows about many processes that record one artifact at a time: the queue against SQLite's own
//! busy handler.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dalsegno::Durability;
use dalsegno::Registry;
use dalsegno::model::key::Key;
use serde::{Deserialize, Serialize};

use crate::Bench;
use crate::catalogs::{THEN, create};
use crate::keys::{OUTPUTS, Place};
use crate::measure::{Done, Result, Side, Stats, compare};
use crate::plain::{self, Plain};
use crate::report::{Aim, Row, Unit};

/// The word that makes this program one of the processes.
pub(crate) const WORD: &str = "record-on";
/// The side of plain SQLite that queues by two locks, and does nothing else.
const BARE: &str = "bare queue";
/// No write waits longer than this.
const MOST_WAIT: f64 = 0.1;

/// What one process did.
#[derive(Serialize, Deserialize)]
struct Worked {
    rows: u64,
    /// Seconds of the longest write.
    longest: f64,
}

/// One process: records until its time is over, and says what it did.
pub(crate) fn work(words: &[OsString]) -> Result<String> {
    let [side, base, seconds, number] = words else {
        return Err("record-on SIDE BASE SECONDS NUMBER".into());
    };
    let text = |word: &OsString| word.to_string_lossy().into_owned();
    let (base, number) = (Path::new(base), text(number).parse::<usize>()?);
    let seconds = Duration::from_secs_f64(text(seconds).parse()?);
    // A run of its own for each process, so that no two record the same artifact.
    let place = |index: usize| Place {
        run: 1 + number * 100 + index / 10_000,
        ..Place::at(index)
    };
    let mut record: Box<dyn FnMut(usize) -> Result<()>> = if side == "dalsegno" {
        let registry = Registry::open(base)?;
        registry.record(&place(0).key()?)?;
        Box::new(move |index| {
            let key: Key = place(index).key()?;
            registry.record(&key)?;
            Ok(())
        })
    } else {
        let mut plain = Plain::open(&base.join(".dalsegno/catalog.sqlite3"), true)?;
        let names: Vec<Place> = (0..OUTPUTS).map(place).collect();
        plain.know(&names)?;
        plain.record(&[place(0)], THEN.0)?;
        let lock = |suffix: &str| {
            let path = base.join(format!(".dalsegno/catalog.sqlite3{suffix}"));
            File::options().append(true).create(true).open(path)
        };
        let queue = (side == BARE)
            .then(|| -> Result<_> { Ok((lock(".queue")?, lock(".turn")?)) })
            .transpose()?;
        Box::new(move |index| {
            if let Some((queue, turn)) = &queue {
                queue.lock()?;
                turn.lock()?;
                queue.unlock()?;
            }
            plain.record(&[place(index)], THEN.0)?;
            if let Some((_, turn)) = &queue {
                turn.unlock()?;
            }
            Ok(())
        })
    };
    // All processes are ready before the first one begins.
    std::io::stdout().write_all(b"ready\n")?;
    std::io::stdout().flush()?;
    std::io::stdin().read_exact(&mut [0])?;
    let (start, mut rows, mut longest) = (Instant::now(), 0, Duration::ZERO);
    while start.elapsed() < seconds {
        let one = Instant::now();
        record(1 + rows as usize)?;
        longest = longest.max(one.elapsed());
        rows += 1;
    }
    let worked = Worked {
        rows,
        longest: longest.as_secs_f64(),
    };
    Ok(serde_json::to_string(&worked)?)
}

fn start(side: &str, base: &Path, seconds: f64, number: usize) -> Result<Child> {
    Ok(Command::new(std::env::current_exe()?)
        .arg(WORD)
        .arg(side)
        .arg(base)
        .args([seconds.to_string(), number.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?)
}

/// Lets some processes record on one catalog. Gives what each did.
fn race(bench: &Bench, side: &str, processes: usize, seconds: f64) -> Result<Vec<Worked>> {
    let folder = bench.folder("contention")?;
    let catalog = create(folder.path(), Durability::Full)?
        .catalog_path()
        .to_path_buf();
    let mut children = Vec::new();
    for number in 0..processes {
        // One after the other, so that the first rows of all are there before the race.
        let mut child = start(side, folder.path(), seconds, number)?;
        let mut ready = [0; 6];
        child
            .stdout
            .as_mut()
            .ok_or("no pipe")?
            .read_exact(&mut ready)?;
        children.push(child);
    }
    for child in &mut children {
        child.stdin.as_mut().ok_or("no pipe")?.write_all(b"\n")?;
    }
    let mut worked = Vec::new();
    for child in children {
        let output = child.wait_with_output()?;
        if !output.status.success() {
            return Err(format!("a process of {side} failed").into());
        }
        worked.push(serde_json::from_slice::<Worked>(&output.stdout)?);
    }
    // Each row has an image and an operation; one more of each for every process.
    let rows: u64 = worked.iter().map(|one| one.rows).sum::<u64>() + processes as u64;
    let found = plain::rows(&catalog)?;
    if found != 3 * rows {
        return Err(format!("{found} rows of three tables for {rows} artifacts").into());
    }
    Ok(worked)
}

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let seconds = bench.size(3, 8) as f64;
    for processes in [8, 16] {
        // Rows of the slowest and the fastest, longest wait: of each side and round.
        let mut fairness = [const { Vec::new() }; 3];
        let mut longest = [const { Vec::new() }; 3];
        let shared: &Bench = bench;
        let rates = {
            let [fairness_a, fairness_b, fairness_c] = &mut fairness;
            let [longest_a, longest_b, longest_c] = &mut longest;
            let side = |name: &'static str, fairness: &mut Vec<f64>, longest: &mut Vec<f64>| {
                let worked = race(shared, name, processes, seconds)?;
                let rows: Vec<u64> = worked.iter().map(|one| one.rows).collect();
                let (least, most) = (rows.iter().min(), rows.iter().max());
                let (least, most) = (*least.ok_or("no writer")?, *most.ok_or("no writer")?);
                fairness.push(most as f64 / least.max(1) as f64);
                longest.push(worked.iter().map(|one| one.longest).fold(0.0, f64::max));
                let sum: u64 = rows.iter().sum();
                Ok(Done {
                    value: sum as f64 / seconds,
                    count: 0,
                })
            };
            compare(
                3,
                vec![
                    Side::new("dalsegno", |_| side("dalsegno", fairness_a, longest_a)),
                    Side::new("plain", |_| side("plain", fairness_b, longest_b)),
                    Side::new(BARE, |_| side(BARE, fairness_c, longest_c)),
                ],
            )?
        };
        let busy = "SQLite's busy handler";
        let what = |text: &str| format!("{processes} processes: {text}");
        let aim = Some(Aim::RatioAtLeast(0.65));
        let row = Row::new(
            "contention",
            what("total rate"),
            busy,
            rates[0],
            Some(rates[1]),
            aim,
        );
        bench.push(row.unit(Unit::PerSecond));
        // What a turn for every single write costs: no aim.
        let row = Row::new(
            "contention",
            what("total rate"),
            "two bare locks in front of plain SQLite",
            rates[0],
            Some(rates[2]),
            None,
        );
        bench.push(row.unit(Unit::PerSecond));
        let [ours, theirs, _] = fairness.map(Stats::of);
        let aim = Some(Aim::Value(1.5));
        let what_fair = what("rows of the fastest over the slowest");
        let row = Row::new("contention", what_fair, busy, ours, Some(theirs), aim);
        bench.push(row.unit(Unit::Times));
        let [ours, theirs, locks] = longest.map(Stats::of);
        let aim = Some(Aim::Ratio(0.1));
        let wait = what("longest wait");
        bench.push(Row::new(
            "contention",
            wait.clone(),
            busy,
            ours,
            Some(theirs),
            aim,
        ));
        // How long a turn for every single write lets one wait: no aim.
        bench.push(Row::new(
            "contention",
            wait.clone(),
            "two bare locks in front of plain SQLite",
            ours,
            Some(locks),
            None,
        ));
        let aim = Some(Aim::Value(MOST_WAIT));
        bench.push(Row::new("contention", wait, "", ours, None, aim));
    }
    Ok(())
}
