//! Rows about what one does in Python without a registry: glob over the tree, `shutil.rmtree`.

use std::path::Path;
use std::process::Command;

use crate::Bench;
use crate::keys::Place;
use crate::measure::{Done, Result, Side, compare, output, timed};
use crate::report::{Aim, Row};
use crate::trees;

/// Prints seconds and a count. Its own start is not counted.
const GLOB: &str = r"
import glob, os, sys, time
start = time.perf_counter()
found = {}
for path in glob.glob(os.path.join(sys.argv[1], '*', '*', 'output', '*')):
    iteration = int(path.split(os.sep)[-4])
    found[iteration] = found.get(iteration, 0) + 1
print(time.perf_counter() - start, sum(found.values()))
";
const RMTREE: &str = r"
import os, shutil, sys, time
start = time.perf_counter()
gone = 0
for iteration in os.listdir(sys.argv[1]):
    if iteration.isdigit() and int(iteration) <= int(sys.argv[2]):
        shutil.rmtree(os.path.join(sys.argv[1], iteration))
        gone += 1
print(time.perf_counter() - start, gone)
";
/// The last iteration that goes: half of them.
const LAST: i64 = 50_000;

fn grow(base: &Path) -> Result<()> {
    for index in 0..10_000 {
        trees::array(&base.join(Place::at(index).path()), 2)?;
    }
    trees::sync(base)
}

fn python(command: &mut Command) -> Result<Done> {
    let (_, written) = output(command)?;
    let text = String::from_utf8_lossy(&written).into_owned();
    let (seconds, count) = text.trim().split_once(' ').ok_or("Python said nothing")?;
    Ok(Done {
        value: seconds.parse()?,
        count: count.parse()?,
    })
}

fn gone(container: &Path) -> Result<u64> {
    let left = std::fs::read_dir(container)?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i64>().ok());
    Ok(100 - left.count() as u64)
}

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let Some(python3) = bench.tool("python3") else {
        return Ok(());
    };
    let folder = bench.folder("dacapo")?;
    let (ours, theirs) = (folder.path().join("a"), folder.path().join("b"));
    let run = Place::at(0).run();
    let container = |base: &Path| base.join(Place::at(0).container());
    grow(&ours)?;
    timed(bench.dalsegno(&ours).arg("init"))?;
    timed(bench.dalsegno(&ours).args(["scan", "--quiet"]))?;
    let shared: &Bench = bench;
    let sides = vec![
        Side::new("dalsegno", |_| {
            let mut command = shared.dalsegno(&ours);
            let (time, written) = output(command.args(["iterations", "--run", &run, "--json"]))?;
            let found: serde_json::Value = serde_json::from_slice(&written)?;
            let rows = found["iterations"].as_array().ok_or("no iterations")?;
            let outputs = rows.iter().filter_map(|row| row["outputs"].as_u64()).sum();
            Ok(Done::new(time, 1, outputs))
        }),
        Side::new("glob", |_| {
            python(
                Command::new(&python3)
                    .args(["-c", GLOB])
                    .arg(container(&ours)),
            )
        }),
    ];
    let stats = compare(bench.rounds(7), sides)?;
    let ahead = Some(Aim::Ratio(1.0));
    let what = "iterations of a run of 10^4 outputs, whole process";
    bench.push(Row::new(
        "dacapo",
        what,
        "Python: glob, warm",
        stats[0],
        Some(stats[1]),
        ahead,
    ));

    let shared: &Bench = bench;
    let last = LAST.to_string();
    let sides = vec![
        Side::new("dalsegno", |_| {
            grow(&ours)?;
            timed(shared.dalsegno(&ours).args(["scan", "--quiet"]))?;
            trees::sync(&ours)?;
            let mut command = shared.dalsegno(&ours);
            let range = format!("..{LAST}");
            command.args([
                "rm",
                "--run",
                &run,
                "--iteration",
                &range,
                "--yes",
                "--quiet",
            ]);
            let time = timed(&mut command)?;
            Ok(Done::new(time, 1, gone(&container(&ours))?))
        }),
        Side::new("rmtree", |_| {
            grow(&theirs)?;
            let mut command = Command::new(&python3);
            python(
                command
                    .args(["-c", RMTREE])
                    .arg(container(&theirs))
                    .arg(&last),
            )
        }),
    ];
    let stats = compare(bench.few_rounds(), sides)?;
    let what = "rm of 5,000 of 10^4 arrays, purged, whole process";
    let against = "Python: shutil.rmtree";
    bench.push(Row::new(
        "dacapo",
        what,
        against,
        stats[0],
        Some(stats[1]),
        ahead,
    ));
    Ok(())
}
