//! Rows about unlinking: `trash empty` against what removes trees otherwise.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Bench;
use crate::bare;
use crate::measure::{Done, Result, Side, compare, timed};
use crate::report::{Aim, Row};
use crate::trees::{self, Shape, Site};

/// Threads of the bare calls on a disk that answers slowly.
const MANY: &str = "16";

/// Path of the tree that is an artifact, below the base directory.
const ARRAY: &str = "run/validation.zarr/1000/crop/prediction";

/// Moves a tree into the trash of a registry that is made for it.
pub(crate) fn throw_away(bench: &Bench, base: &Path, catalog: Option<&Path>) -> Result<()> {
    let dalsegno = || {
        let mut command = bench.dalsegno(base);
        if let Some(catalog) = catalog {
            command.arg("--catalog").arg(catalog);
        }
        command
    };
    if !base.join(".dalsegno").exists() {
        timed(dalsegno().arg("init"))?;
    }
    timed(dalsegno().args(["scan", "--quiet"]))?;
    timed(dalsegno().args(["rm", "--run", "run", "--trash", "--yes", "--quiet"]))?;
    if base.join(ARRAY).exists() {
        return Err("the tree is not in the trash".into());
    }
    Ok(())
}

pub(crate) fn array(base: &Path) -> PathBuf {
    base.join(ARRAY)
}

/// Folders of removals whose data is still there.
pub(crate) fn left_in_trash(base: &Path) -> Result<usize> {
    Ok(fs::read_dir(base.join(".dalsegno/trash"))?.count())
}

fn settle(path: &Path, cold: bool) -> Result<()> {
    trees::sync(path)?;
    if cold && !trees::cool() {
        return Err("caches cannot be dropped".into());
    }
    Ok(())
}

fn ours(bench: &Bench, base: &Path, shape: Shape, files: usize, cold: bool) -> Result<Done> {
    shape.grow(&array(base), files)?;
    throw_away(bench, base, None)?;
    settle(base, cold)?;
    let time = timed(
        bench
            .dalsegno(base)
            .args(["trash", "empty", "--yes", "--quiet"]),
    )?;
    match left_in_trash(base)? {
        0 => Ok(Done::new(time, 1, 0)),
        left => Err(format!("{left} removals are left").into()),
    }
}

fn theirs(words: &[&str], tree: &Path, shape: Shape, files: usize, cold: bool) -> Result<Done> {
    shape.grow(tree, files)?;
    settle(tree, cold)?;
    let mut command = Command::new(words[0]);
    for word in &words[1..] {
        match *word {
            "TREE" => command.arg(tree),
            word => command.arg(word),
        };
    }
    let time = timed(&mut command)?;
    Ok(Done::new(time, 1, u64::from(tree.exists())))
}

/// The bare calls, if they can unlink a tree of this shape.
fn bare_program(shape: Shape) -> Result<Option<String>> {
    let own = std::env::current_exe()?;
    let own = own.to_str().ok_or("the suite has a name that is no text")?;
    Ok(matches!(shape, Shape::Wide | Shape::Flat).then(|| own.to_owned()))
}

fn on(bench: &mut Bench, site: &Site, row: &'static str) -> Result<()> {
    // A disk that others use too takes many times as long, above all to make the trees.
    let (few, many) = match site.is_shared {
        true => (4_000, 20_000),
        false => (20_000, 100_000),
    };
    let files = bench.files.unwrap_or(bench.size(few, many));
    let mut others = vec![
        ("rm -rf", vec!["rm", "-rf", "TREE"]),
        ("find -delete", vec!["find", "TREE", "-delete"]),
    ];
    if bench.tool("rmz").is_some() {
        others.push(("rmz", vec!["rmz", "TREE"]));
    }
    let (base, tree) = (site.folder.join("base"), site.folder.join("tree"));
    for cold in [false, true] {
        if cold && !site.has_cold {
            continue;
        }
        // What takes long is done for fewer shapes in `quick`: caches that are dropped, and a disk
        // that others use too.
        let most = match (bench.full, cold, site.is_shared) {
            (true, ..) | (false, false, false) => Shape::ALL.len(),
            (false, false, true) => 2,
            (false, true, _) => 1,
        };
        let shapes = &Shape::ALL[..most];
        for &shape in shapes {
            if bench.is_late(row) {
                return Ok(());
            }
            let shared: &Bench = bench;
            let own = bare_program(shape)?;
            let bare = own.as_deref().map(|own| vec![own, bare::WORD, "TREE"]);
            // If threads wait for the disk, more of them than cores may help.
            let many = bare.clone().filter(|_| site.is_shared).map(|mut words| {
                words.push(MANY);
                words
            });
            let mut sides = vec![Side::new("dalsegno", |_| {
                ours(shared, &base, shape, files, cold)
            })];
            let all = others.iter().cloned();
            let all = all.chain(bare.map(|words| ("bare calls", words)));
            let all = all.chain(many.map(|words| ("bare calls, 16 threads", words)));
            for (name, words) in all {
                let tree = &tree;
                sides.push(Side::new(name, move |_| {
                    theirs(&words, tree, shape, files, cold)
                }));
            }
            let names: Vec<String> = sides.iter().map(|side| side.name.clone()).collect();
            let stats = compare(bench.few_rounds(), sides)?;
            let state = if cold { "cold" } else { "warm" };
            let what = format!("{files} files, {}, {}, {state}", shape.name(), site.name);
            let best = (1..=others.len())
                .min_by(|a, b| stats[*a].median.total_cmp(&stats[*b].median))
                .ok_or("no reference to compare with")?;
            for (index, name) in names.iter().enumerate().skip(1) {
                let (against, aim) = if index == best {
                    let against = format!("{name}, best of {}", others.len());
                    (against, Some(Aim::Ratio(1.0)))
                } else {
                    (name.clone(), None)
                };
                let theirs = Some(stats[index]);
                bench.push(Row::new(row, &*what, against, stats[0], theirs, aim));
            }
        }
    }
    Ok(())
}

pub(crate) fn in_memory(bench: &mut Bench) -> Result<()> {
    match trees::in_memory(bench)? {
        Some(site) => on(bench, &site, "purge-tmpfs"),
        None => Ok(()),
    }
}

pub(crate) fn on_ext4(bench: &mut Bench) -> Result<()> {
    match trees::journaled(bench) {
        Some(site) => on(bench, &site, "purge-ext4"),
        None => Ok(()),
    }
}

pub(crate) fn on_disk(bench: &mut Bench) -> Result<()> {
    let site = trees::on_disk(bench)?;
    on(bench, &site, "purge-disk")
}
