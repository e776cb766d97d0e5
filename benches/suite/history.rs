//! What history costs of a record: this program, and the same built without history.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use dalsegno::Durability;

use crate::Bench;
use crate::catalogs::{self, create};
use crate::measure::{self, Done, Result, Side, compare};
use crate::report::{Aim, Row};

/// The word that starts one side.
pub(crate) const WORD: &str = "record-alone";
/// Names the suite that was built without history.
const WITHOUT: &str = "DALSEGNO_BENCH_WITHOUT_HISTORY";
const FULL: &str = "full";
const RELAXED: &str = "relaxed";
/// Rows that are there before anything is measured.
const BEFORE: usize = 2000;

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let Some(without) = std::env::var_os(WITHOUT).map(PathBuf::from) else {
        bench.note(format!(
            "history: left out, because {WITHOUT} names no suite; benches/run.sh --only history \
             builds one"
        ));
        return Ok(());
    };
    let with = std::env::current_exe()?;
    // Enough that both sides copy the log into the catalog several times.
    let (few, many) = (bench.size(1000, 5000), bench.size(20_000, 50_000));
    for (what, durability, count, batch) in [
        ("one artifact, FULL", FULL, few, 1),
        ("one artifact, relaxed", RELAXED, many, 1),
        ("1,000 a batch, relaxed", RELAXED, many, 1000),
    ] {
        let side = |suite: PathBuf| {
            let place = bench.data.clone();
            move |_: usize| -> Result<Done> {
                let folder = tempfile::Builder::new()
                    .prefix("history-")
                    .tempdir_in(&place)?;
                let mut command = Command::new(&suite);
                command.arg(WORD).arg(folder.path()).arg(durability);
                command.args([count.to_string(), batch.to_string()]);
                let (_, said) = measure::output(&mut command)?;
                let said = String::from_utf8(said)?;
                let seconds: f64 = said.trim().parse()?;
                let registry = dalsegno::Registry::open_read_only(folder.path())?;
                let rows = registry.counts()?.artifacts;
                Ok(Done::new(Duration::from_secs_f64(seconds), count, rows))
            }
        };
        let stats = compare(
            bench.rounds(15),
            vec![
                Side::new("dalsegno", side(with.clone())),
                Side::new("without history", side(without.clone())),
            ],
        )?;
        bench.push(Row::new(
            "history",
            what,
            "itself, built without history",
            stats[0],
            Some(stats[1]),
            Some(Aim::Ratio(1.5)),
        ));
    }
    Ok(())
}

/// Records artifacts in a new registry. Gives the seconds that it took.
pub(crate) fn work(words: &[OsString]) -> Result<f64> {
    let [base, durability, count, batch] = words else {
        return Err(format!("{WORD} BASE {FULL}|{RELAXED} COUNT BATCH").into());
    };
    let number =
        |word: &OsString| -> Result<usize> { Ok(word.to_str().ok_or("not a number")?.parse()?) };
    let (count, batch) = (number(count)?, number(batch)?);
    let durability = match durability == FULL {
        true => Durability::Full,
        false => Durability::Relaxed,
    };
    let registry = create(base.as_ref(), durability)?;
    registry.record_many(&catalogs::keys(0..BEFORE)?)?;
    let keys = catalogs::keys(BEFORE..BEFORE + count)?;
    let start = Instant::now();
    for keys in keys.chunks(batch) {
        if let [key] = keys {
            registry.record(key)?;
        } else {
            registry.record_many(keys)?;
        }
    }
    Ok(start.elapsed().as_secs_f64())
}
