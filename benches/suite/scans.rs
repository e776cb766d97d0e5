//! Rows about taking in a tree, against what walks a tree otherwise.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::keys::Place;
use crate::measure::{Done, Result, Side, compare, lines, output, timed};
use crate::plain::Plain;
use crate::report::{Aim, Row};
use crate::trees;
use crate::{Bench, bare_walk};

/// Files of an array.
const FILES: usize = 4;
/// Rows that a scan writes in one transaction.
const BATCH: usize = 4096;

/// Scans once more into a catalog that knows all of it.
fn again(bench: &Bench, base: &Path, arrays: usize, cold: bool) -> Result<Done> {
    let registry = base.join(".dalsegno");
    if registry.exists() {
        fs::remove_dir_all(&registry)?;
    }
    timed(bench.dalsegno(base).arg("init"))?;
    timed(bench.dalsegno(base).args(["scan", "--quiet"]))?;
    settle(base, cold)?;
    let (time, written) = output(bench.dalsegno(base).args(["scan", "--json", "--quiet"]))?;
    let report: serde_json::Value = serde_json::from_slice(&written)?;
    let number = |field: &str| report["scan"][field].as_u64().unwrap_or_default();
    if (number("adopted"), number("arrays")) != (0, arrays as u64) {
        return Err(format!("of {arrays} arrays it found {}", number("arrays")).into());
    }
    Ok(Done::new(time, 1, arrays as u64))
}

/// Scans into a catalog that knows nothing yet.
fn scan(bench: &Bench, base: &Path, arrays: usize, measure: bool, cold: bool) -> Result<Done> {
    let registry = base.join(".dalsegno");
    if registry.exists() {
        fs::remove_dir_all(&registry)?;
    }
    timed(bench.dalsegno(base).arg("init"))?;
    let mut command = bench.dalsegno(base);
    command.args(["scan", "--json", "--quiet"]);
    if measure {
        command.arg("--measure");
    }
    settle(base, cold)?;
    let (time, written) = output(&mut command)?;
    let report: serde_json::Value = serde_json::from_slice(&written)?;
    let report = &report["scan"];
    let number = |field: &str| report[field].as_u64().unwrap_or_default();
    if number("adopted") != arrays as u64 {
        return Err(format!("it took in {} of {arrays} arrays", number("adopted")).into());
    }
    let bytes = arrays as u64 * trees::array_bytes(FILES);
    if measure && number("bytes") != bytes {
        return Err(format!("it counted {} of {bytes} bytes", number("bytes")).into());
    }
    Ok(Done::new(time, 1, number("arrays")))
}

fn settle(base: &Path, cold: bool) -> Result<()> {
    trees::sync(base)?;
    if cold && !trees::cool() {
        return Err("caches cannot be dropped".into());
    }
    Ok(())
}

fn find(base: &Path, cold: bool) -> Result<Done> {
    settle(base, cold)?;
    let (time, found) = lines(Command::new("find").arg(base).args(["-name", ".zarray"]))?;
    Ok(Done::new(time, 1, found))
}

fn du(base: &Path, arrays: usize, cold: bool) -> Result<Done> {
    settle(base, cold)?;
    let (time, written) = output(Command::new("du").arg("-sb").arg(base))?;
    let text = String::from_utf8_lossy(&written);
    let bytes: u64 = text
        .split_whitespace()
        .next()
        .ok_or("du said nothing")?
        .parse()?;
    // It counts folders too.
    let all = bytes >= arrays as u64 * trees::array_bytes(FILES);
    Ok(Done::new(time, 1, if all { arrays as u64 } else { bytes }))
}

/// What a bare walk does besides looking at every file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Besides {
    Nothing,
    /// Plain SQLite writes the rows of a scan beside it.
    Rows,
    /// That, and the metadata of each array is read.
    RowsAndMetadata,
}

/// Nothing but the system calls of a walk that looks at every file, by two threads; and what else
/// is asked for.
fn bare(base: &Path, arrays: usize, besides: Besides, cold: bool) -> Result<Done> {
    let (with_rows, reads) = (
        besides != Besides::Nothing,
        besides == Besides::RowsAndMetadata,
    );
    let catalog = with_rows.then(|| empty(base)).transpose()?;
    let mut plain = catalog.map(|path| Plain::open(&path, true)).transpose()?;
    let places: Vec<Place> = (0..arrays).map(Place::at).collect();
    settle(base, cold)?;
    let start = Instant::now();
    let bytes = std::thread::scope(|scope| {
        let walk = scope.spawn(|| bare_walk::count(base, reads).map_err(|error| error.to_string()));
        if let Some(plain) = &mut plain {
            for (number, places) in places.chunks(BATCH).enumerate() {
                plain.record(places, number as i64)?;
            }
        }
        walk.join()
            .map_err(|_| "the walk panicked")?
            .map_err(Into::into)
    });
    drop(plain);
    let (time, bytes): (_, Result<u64>) = (start.elapsed(), bytes);
    let bytes = bytes?;
    if bytes != arrays as u64 * trees::array_bytes(FILES) {
        return Err(format!("the bare walk counted {bytes} bytes").into());
    }
    Ok(Done::new(time, 1, arrays as u64))
}

/// Makes an empty catalog for the base directory.
fn empty(base: &Path) -> Result<PathBuf> {
    let registry = base.join(".dalsegno");
    if registry.exists() {
        fs::remove_dir_all(&registry)?;
    }
    let registry = dalsegno::Registry::create(base)?;
    Ok(registry.catalog_path().to_path_buf())
}

/// One of the newer programs for disk use. What it prints is for people, so only that it ends well
/// is checked.
fn newer(tool: &Path, base: &Path, arrays: usize, cold: bool) -> Result<Done> {
    settle(base, cold)?;
    let mut command = Command::new(tool);
    match tool.file_name().and_then(|name| name.to_str()) {
        Some("dua") => command.args(["aggregate"]),
        Some("dust") => command.args(["-d", "0", "-b"]),
        _ => &mut command,
    };
    let time = timed(command.arg(base))?;
    Ok(Done::new(time, 1, arrays as u64))
}

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let arrays = bench.size(20_000, 100_000);
    let folder = bench.folder("scan")?;
    let base = folder.path();
    bench.say(&format!("making {arrays} arrays of {FILES} files"));
    for index in 0..arrays {
        trees::array(&base.join(Place::at(index).path()), FILES)?;
    }
    let newer_tools: Vec<(&str, PathBuf)> = ["dua", "dust", "diskus"]
        .into_iter()
        .filter_map(|name| Some((name, bench.tool(name)?)))
        .collect();
    for cold in [false, true] {
        if bench.is_late("scan") {
            break;
        }
        if cold && !trees::cool() {
            bench.note("not root: caches cannot be dropped, so the cold rows are left out");
            continue;
        }
        let state = if cold { "cold" } else { "warm" };
        let shared: &Bench = bench;
        let mut sides = vec![
            Side::new("scan", |_| scan(shared, base, arrays, false, cold)),
            Side::new("scan --measure", |_| scan(shared, base, arrays, true, cold)),
            Side::new("find -name .zarray", |_| find(base, cold)),
            Side::new("du -sb", |_| du(base, arrays, cold)),
            Side::new("bare walk", |_| bare(base, arrays, Besides::Nothing, cold)),
            Side::new("bare walk and rows", |_| {
                bare(base, arrays, Besides::Rows, cold)
            }),
            Side::new("scan again", |_| again(shared, base, arrays, cold)),
            Side::new("bare walk, metadata and rows", |_| {
                bare(base, arrays, Besides::RowsAndMetadata, cold)
            }),
        ];
        let first_newer = sides.len();
        for (name, tool) in &newer_tools {
            sides.push(Side::new(*name, |_| newer(tool, base, arrays, cold)));
        }
        let names: Vec<String> = sides.iter().map(|side| side.name.clone()).collect();
        let stats = compare(bench.few_rounds(), sides)?;
        let plain = format!("{arrays} arrays, {state}");
        let measured = format!("{arrays} arrays, --measure, {state}");
        let within = Some(Aim::Ratio(1.0));
        let row = |what: &String, ours: usize, other: usize, aim| {
            Row::new(
                "scan",
                what,
                &names[other],
                stats[ours],
                Some(stats[other]),
                aim,
            )
        };
        bench.push(row(&plain, 0, 2, within));
        bench.push(row(&plain, 0, 3, within));
        let of_du = Some(Aim::Ratio(if cold { 1.0 } else { 0.6 }));
        bench.push(row(&measured, 1, 3, of_du));
        // How far the aims are from what the system calls, and plain rows, cost alone.
        for (side, other) in [(4, 3), (5, 3), (5, 2)] {
            let what = format!("{arrays} arrays, {}, {state}", names[side]);
            bench.push(row(&what, side, other, None));
        }
        bench.push(row(&measured, 1, 5, None));
        // Metadata that did not change is not read again, and its rows are not touched.
        let once_more = format!("{arrays} arrays, known, {state}");
        bench.push(row(&plain, 0, 7, None));
        bench.push(row(&once_more, 6, 0, Some(Aim::Ratio(1.0))));
        bench.push(row(&once_more, 6, 4, None));
        for other in first_newer..names.len() {
            bench.push(row(&measured, 1, other, within));
        }
    }
    Ok(())
}
