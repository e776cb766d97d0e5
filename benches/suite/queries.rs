//! Rows about questions: lookup, iterations, plans, listings, and the memory that they take.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use dalsegno::Durability;
use dalsegno::model::filter::Filter;
use dalsegno::retention::{KeepRules, Policy, SelectRules};
use dalsegno::{GcRequest, GcRules};
use dalsegno::{Registry, Target};

use crate::catalogs::{self, create};
use crate::keys::{ITERATIONS, OUTPUTS, Place, spread};
use crate::measure::{Done, Result, Side, Stats, compare, lines, output, timed};
use crate::peak;
use crate::plain::Plain;
use crate::report::{Aim, Row, Unit};
use crate::{Bench, Point};

/// Memory that a listing, a plan or a verification may take at most.
const MOST_MEMORY: f64 = 200.0 * 1_048_576.0;

fn open(base: &Path) -> Result<(Registry, Plain)> {
    let registry = create(base, Durability::Full)?;
    let plain = Plain::open(registry.catalog_path(), true)?;
    Ok((registry, plain))
}

/// Rows in words: 10^6.
fn power(rows: usize) -> String {
    format!("10^{}", rows.ilog10())
}

pub(crate) fn lookup(bench: &mut Bench) -> Result<()> {
    let mut found = Vec::new();
    for rows in bench.sizes() {
        let base = catalogs::sized(bench, rows, true)?;
        let (registry, plain) = open(&base)?;
        let places: Vec<Place> = spread(10_000, rows).into_iter().map(Place::at).collect();
        let targets = places.iter().map(|place| Ok(Target::Key(place.key()?)));
        let targets: Vec<Target> = targets.collect::<Result<_>>()?;
        let ours = || {
            let start = Instant::now();
            let mut sum = 0;
            for target in &targets {
                sum += registry.get(target)?.ok_or("not found")?.id.0 as u64;
            }
            Ok(Done::new(start.elapsed(), targets.len(), sum))
        };
        let theirs = || {
            let start = Instant::now();
            let mut sum = 0;
            for place in &places {
                sum += plain.find(*place)?.ok_or("not found")? as u64;
            }
            Ok(Done::new(start.elapsed(), places.len(), sum))
        };
        // Warm: each side has seen every page that it will ask for.
        let warm: Result<Vec<Done>> = [ours(), theirs()].into_iter().collect();
        warm?;
        let sides = vec![
            Side::new("dalsegno", |_| ours()),
            Side::new("SELECT", |_| theirs()),
        ];
        let stats = compare(bench.rounds(9), sides)?;
        bench.push(Row::new(
            "lookup",
            format!("by key, {} rows, warm", power(rows)),
            "plain prepared SELECT",
            stats[0],
            Some(stats[1]),
            Some(Aim::Ratio(1.3)),
        ));
        bench.point(Point::new("lookup by key", rows, stats[0].median));
        found.push((rows, stats[0]));
    }
    bench.push_growth("lookup", "by key, warm", &found);
    Ok(())
}

pub(crate) fn iterations(bench: &mut Bench) -> Result<()> {
    let mut found = Vec::new();
    for rows in bench.sizes() {
        let base = catalogs::sized(bench, rows, true)?;
        let (registry, plain) = open(&base)?;
        let runs = rows / (ITERATIONS * OUTPUTS);
        // The same few runs again and again, so that they are warm.
        let runs: Vec<String> = (0..10)
            .map(|index| Place::at(index * runs / 10 * ITERATIONS * OUTPUTS).run())
            .collect();
        let filters: Vec<Filter> = runs
            .iter()
            .map(|run| Filter::default().runs([run.as_str()]))
            .collect();
        let sides = vec![
            Side::new("dalsegno", |_| {
                let (mut iterations, mut outputs) = (0, 0);
                let start = Instant::now();
                for filter in &filters {
                    registry.iterations(filter, |row| {
                        iterations += 1;
                        outputs += row.outputs;
                        Ok(())
                    })?;
                }
                Ok(Done::new(
                    start.elapsed(),
                    filters.len(),
                    iterations * 1_000_000 + outputs,
                ))
            }),
            Side::new("SELECT", |_| {
                let (mut iterations, mut outputs) = (0, 0);
                let start = Instant::now();
                for run in &runs {
                    for (_, count) in plain.iterations(run)? {
                        iterations += 1;
                        outputs += count;
                    }
                }
                Ok(Done::new(
                    start.elapsed(),
                    runs.len(),
                    iterations * 1_000_000 + outputs,
                ))
            }),
        ];
        let stats = compare(bench.rounds(9), sides)?;
        bench.push(Row::new(
            "iterations",
            format!("of a run of 100 × 100 outputs, {} rows", power(rows)),
            "plain prepared SELECT",
            stats[0],
            Some(stats[1]),
            Some(Aim::Ratio(1.5)),
        ));
        bench.point(Point::new("iterations of a run", rows, stats[0].median));
        found.push((rows, stats[0]));
    }
    bench.push_growth("iterations", "of a run of 100 × 100 outputs", &found);
    Ok(())
}

pub(crate) fn plan(bench: &mut Bench) -> Result<()> {
    let mut found = Vec::new();
    for rows in bench.sizes() {
        let base = catalogs::sized(bench, rows, true)?;
        let registry = Registry::open(&base)?;
        let request = GcRequest::new(
            Filter::default().runs([Place::at(rows / 2).run().as_str()]),
            GcRules::Policy(
                Policy::default()
                    .select(SelectRules::default())
                    .keep(KeepRules::default().last(2)),
            ),
        )
        .words("keep-last 2");
        let sides = vec![Side::new("dalsegno", |_| {
            let start = Instant::now();
            let items = registry.plan_gc(&request)?.file.items.len();
            if items != (ITERATIONS - 2) * OUTPUTS {
                return Err(format!("no result: {items} artifacts would go").into());
            }
            Ok(Done::new(start.elapsed(), 1, items as u64))
        })];
        let stats = compare(bench.rounds(5), sides)?;
        bench.point(Point::new("gc plan of a run", rows, stats[0].median));
        found.push((rows, stats[0]));
    }
    bench.push_growth("gc-plan", "of a run of 100 × 100 outputs", &found);
    Ok(())
}

pub(crate) fn list(bench: &mut Bench) -> Result<()> {
    let rows = 1_000_000;
    let base = catalogs::sized(bench, rows, true)?;
    let catalog = &base.join(".dalsegno/catalog.sqlite3");
    let listing = |bench: &Bench| {
        let mut command = bench.dalsegno(&base);
        command.args(["list", "--jsonl", "--no-refresh"]);
        command
    };
    let memory = peak::of(&mut listing(bench))?;
    let sqlite3 = bench.tool("sqlite3");
    let mut sides = vec![Side::new("dalsegno", |_| {
        let (time, lines) = lines(&mut listing(bench))?;
        Ok(Done::new(time, 1, lines))
    })];
    if let Some(sqlite3) = &sqlite3 {
        sides.push(Side::new("sqlite3", move |_| {
            let mut command = Command::new(sqlite3);
            command.args(["-readonly", "-json"]).arg(catalog);
            let (time, lines) = lines(command.arg("SELECT * FROM artifact_view"))?;
            Ok(Done::new(time, 1, lines))
        }));
    }
    let stats = compare(bench.few_rounds(), sides)?;
    bench.push(Row::new(
        "list",
        "--jsonl of 10^6 rows, into a pipe",
        "sqlite3 -json of artifact_view",
        stats[0],
        stats.get(1).copied(),
        Some(Aim::Ratio(0.7)),
    ));
    let memory = Stats::single(memory as f64);
    let aim = Some(Aim::Value(MOST_MEMORY));
    let row = Row::new("list", "memory of it, at most", "", memory, None, aim);
    bench.push(row.unit(Unit::Bytes));
    Ok(())
}

pub(crate) fn show(bench: &mut Bench) -> Result<()> {
    let rows = bench.size(100_000, 1_000_000);
    let base = catalogs::sized(bench, rows, true)?;
    let catalog = base.join(".dalsegno/catalog.sqlite3");
    let Some(sqlite3) = bench.tool("sqlite3") else {
        return Ok(());
    };
    let places: Vec<Place> = spread(30, rows).into_iter().map(Place::at).collect();
    let has = |output: &[u8], place: Place| {
        let path = place.path();
        u64::from(
            output
                .windows(path.len())
                .any(|window| window == path.as_bytes()),
        )
    };
    let sides = vec![
        Side::new("dalsegno", |_| {
            let (mut time, mut found) = (std::time::Duration::ZERO, 0);
            for place in &places {
                let mut command = bench.dalsegno(&base);
                command
                    .args(["show", "--json"])
                    .arg(base.join(place.path()));
                let (took, written) = output(&mut command)?;
                time += took;
                found += has(&written, *place);
            }
            Ok(Done::new(time, places.len(), found))
        }),
        Side::new("sqlite3", |_| {
            let (mut time, mut found) = (std::time::Duration::ZERO, 0);
            for place in &places {
                let select = format!(
                    "SELECT a.id, run.name, kind.name, a.iteration, dataset.name, parameters.text, \
                     container.path || '/' || a.array, a.state, a.bytes, a.files, a.recorded_at, \
                     a.written_at, a.sealed_at, a.owner FROM container \
                     JOIN artifact AS a ON a.container_id = container.id \
                     JOIN run ON run.id = a.run_id JOIN kind ON kind.id = a.kind_id \
                     LEFT JOIN dataset ON dataset.id = a.dataset_id \
                     LEFT JOIN parameters ON parameters.id = a.parameters_id \
                     WHERE container.path = '{}' AND a.array = '{}'",
                    place.container(),
                    place.array()
                );
                let mut command = Command::new(&sqlite3);
                command
                    .args(["-readonly", "-json"])
                    .arg(&catalog)
                    .arg(select);
                let (took, written) = output(&mut command)?;
                time += took;
                found += has(&written, *place);
            }
            Ok(Done::new(time, places.len(), found))
        }),
    ];
    let stats = compare(bench.rounds(7), sides)?;
    bench.push(Row::new(
        "show",
        format!("one artifact of {}, whole process", power(rows)),
        "sqlite3 with the same SELECT",
        stats[0],
        Some(stats[1]),
        Some(Aim::Ratio(1.3)),
    ));
    Ok(())
}

pub(crate) fn memory(bench: &mut Bench) -> Result<()> {
    let rows = bench.largest();
    let base = catalogs::sized(bench, rows, true)?;
    // Nothing of it is on disk, so a catalog without present rows agrees with the disk.
    let reserved = catalogs::sized(bench, rows, false)?;
    let run = Place::at(rows / 2).run();
    let gc = [
        "gc",
        "--run",
        &run,
        "--keep-last",
        "2",
        "--json",
        "--no-refresh",
        "--quiet",
    ];
    for (what, base, words) in [
        (
            "list --jsonl",
            &base,
            &["list", "--jsonl", "--no-refresh"][..],
        ),
        ("gc, plan of one run", &base, &gc[..]),
        (
            "verify --quick",
            &reserved,
            &["verify", "--quick", "--json", "--quiet"][..],
        ),
    ] {
        let mut command = bench.dalsegno(base);
        command.args(words);
        let (start, peak) = (Instant::now(), peak::of(&mut command)?);
        bench.say(&format!("{what}: {:.1} s", start.elapsed().as_secs_f64()));
        bench.push(
            Row::new(
                "memory",
                format!("{what}, {} rows, at most", power(rows)),
                "",
                Stats::single(peak as f64),
                None,
                Some(Aim::Value(MOST_MEMORY)),
            )
            .unit(Unit::Bytes),
        );
    }
    Ok(())
}

/// What starting the program costs, to be taken off in thought from every row that starts one.
pub(crate) fn start(bench: &mut Bench) -> Result<()> {
    let program = bench.program.clone();
    let sides = vec![
        Side::new("dalsegno", |_| {
            let mut time = std::time::Duration::ZERO;
            for _ in 0..30 {
                time += timed(Command::new(&program).arg("--version"))?;
            }
            Ok(Done::new(time, 30, 0))
        }),
        Side::new("true", |_| {
            let mut time = std::time::Duration::ZERO;
            for _ in 0..30 {
                time += timed(&mut Command::new("true"))?;
            }
            Ok(Done::new(time, 30, 0))
        }),
    ];
    let stats = compare(bench.rounds(5), sides)?;
    let row = Row::new(
        "start",
        "--version, whole process",
        "true",
        stats[0],
        Some(stats[1]),
        None,
    );
    bench.push(row);
    Ok(())
}
