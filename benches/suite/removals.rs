//! Rows about a removal that is committed and keeps its data in the trash.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use dalsegno::Durability;
use dalsegno::model::filter::Filter;
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::TrashKeep;
use dalsegno::{Registry, RemoveOptions, RestoreTarget};
use rusqlite::{Connection, TransactionBehavior, params};

use crate::Bench;
use crate::catalogs::create;
use crate::keys::{OUTPUTS, Place};
use crate::measure::{Done, Result, Side, compare, timed};
use crate::plain::Plain;
use crate::report::{Aim, Row};
use crate::trees;

/// What is removed: arrays of the first run, and files in each of them.
#[derive(Clone, Copy)]
struct Load {
    arrays: usize,
    files: usize,
}

impl Load {
    /// The iterations that go. One more stays, so that arrays go one by one and not with their
    /// container.
    fn last_iteration(self) -> i64 {
        Place::at(self.arrays - 1).iteration()
    }

    fn grow(self, base: &Path) -> Result<()> {
        let staying = self.arrays.next_multiple_of(OUTPUTS);
        for index in (0..self.arrays).chain([staying]) {
            trees::array(&base.join(Place::at(index).path()), self.files)?;
        }
        trees::sync(base)
    }

    fn standing(self, base: &Path) -> u64 {
        let is_there = |index: &usize| base.join(Place::at(*index).path()).exists();
        (0..self.arrays).filter(is_there).count() as u64
    }

    fn filter(self) -> Result<Filter> {
        Ok(Filter::default()
            .runs([Place::at(0).run().as_str()])
            .iterations([format!("..{}", self.last_iteration()).parse()?]))
    }
}

/// `dalsegno rm --trash`, whole process; the arrays stand again afterwards.
fn process(bench: &Bench, base: &Path, load: Load) -> Result<Done> {
    let range = format!("..{}", load.last_iteration());
    let mut command = bench.dalsegno(base);
    command.args(["rm", "--trash", "--yes", "--quiet"]);
    command.args(["--run", &Place::at(0).run(), "--iteration", &range]);
    trees::sync(base)?;
    let time = timed(&mut command)?;
    let left = load.standing(base);
    let mut restore = bench.dalsegno(base);
    timed(restore.args(["restore", "--quiet", "--run", &Place::at(0).run()]))?;
    if load.standing(base) != load.arrays as u64 {
        return Err("restore did not bring everything back".into());
    }
    Ok(Done::new(time, 1, left))
}

fn rm(base: &Path, load: Load) -> Result<Done> {
    load.grow(base)?;
    let iterations = base.join(Place::at(0).container());
    let mut command = Command::new("rm");
    command.arg("-rf");
    for iteration in (1000..=load.last_iteration()).step_by(1000) {
        command.arg(iterations.join(iteration.to_string()));
    }
    let time = timed(&mut command)?;
    Ok(Done::new(time, 1, load.standing(base)))
}

fn against_rm(bench: &mut Bench, load: Load, what: &str, aim: f64) -> Result<()> {
    let folder = bench.folder("remove")?;
    let (ours, theirs) = (folder.path().join("a"), folder.path().join("b"));
    load.grow(&ours)?;
    timed(bench.dalsegno(&ours).arg("init"))?;
    timed(bench.dalsegno(&ours).args(["scan", "--quiet"]))?;
    let shared: &Bench = bench;
    let sides = vec![
        Side::new("dalsegno", |_| process(shared, &ours, load)),
        Side::new("rm -rf", |_| rm(&theirs, load)),
    ];
    let stats = compare(bench.few_rounds(), sides)?;
    let aim = Some(Aim::Ratio(aim));
    bench.push(Row::new(
        "remove",
        what,
        "rm -rf",
        stats[0],
        Some(stats[1]),
        aim,
    ));
    Ok(())
}

/// The protocol with nothing around it: manifest, rows, renames, syncs, commit.
struct Bare {
    base: PathBuf,
    connection: Connection,
}

const CHOSEN: &str = "SELECT a.id, container.path || '/' || a.array FROM run \
     JOIN artifact AS a ON a.run_id = run.id JOIN container ON container.id = a.container_id \
     WHERE run.name = ?1 AND a.iteration <= ?2";
const REMOVAL: &str = "INSERT INTO removal (id, removed_at, user, host, pid, reason, state, \
     purge_after, ended_at) VALUES (?1, 0, 'bench', 'bench', 0, NULL, 0, NULL, NULL)";
const MOVED: &str = "INSERT INTO moved (removal_id, item, path) VALUES (?1, ?2, ?3)";
const REMOVED: &str = "INSERT INTO removed (removal_id, artifact_id, item, run_id, kind_id, \
     iteration, dataset_id, parameters_id, container_id, array, origin, state, bytes, files, \
     recorded_at, written_at, sealed_at, restored_at, owner) \
     SELECT ?1, id, ?3, run_id, kind_id, iteration, dataset_id, parameters_id, container_id, \
     array, origin, state, bytes, files, recorded_at, written_at, sealed_at, NULL, owner \
     FROM artifact WHERE id = ?2";
const IMAGE: &str = "INSERT INTO image (operation_id, number, artifact_id, side, run_id, kind_id, \
     iteration, dataset_id, parameters_id, container_id, array, origin, state, bytes, files, \
     recorded_at, written_at, sealed_at, owner) \
     SELECT ?1, ?3, id, 0, run_id, kind_id, iteration, dataset_id, parameters_id, container_id, \
     array, origin, state, bytes, files, recorded_at, written_at, sealed_at, owner \
     FROM artifact WHERE id = ?2";
const OPERATION: &str = "INSERT INTO operation (id, at, agent_id, action, reason, detail, images, \
     hash) SELECT ?1, 0, min(id), 'remove', NULL, NULL, ?2, ?3 FROM agent";
const BACK: &str = "INSERT INTO artifact (id, run_id, kind_id, iteration, dataset_id, \
     parameters_id, container_id, array, origin, state, bytes, files, recorded_at, written_at, \
     sealed_at, owner) \
     SELECT artifact_id, run_id, kind_id, iteration, dataset_id, parameters_id, container_id, \
     array, origin, state, bytes, files, recorded_at, written_at, sealed_at, owner \
     FROM removed WHERE removal_id = ?1";

impl Bare {
    fn remove(&self, load: Load, round: usize) -> Result<Done> {
        let id = format!("bare-{round}");
        let trash = self.base.join(".dalsegno/trash");
        fs::create_dir_all(&trash)?;
        let start = Instant::now();
        let folder = trash.join(&id);
        let transaction =
            rusqlite::Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
        let chosen: Vec<(i64, String)> = transaction
            .prepare_cached(CHOSEN)?
            .query_map(params![Place::at(0).run(), load.last_iteration()], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .collect::<rusqlite::Result<_>>()?;
        fs::create_dir(&folder)?;
        let manifest = File::create(folder.join("manifest.json"))?;
        serde_json::to_writer(std::io::BufWriter::new(&manifest), &chosen)?;
        manifest.sync_all()?;
        File::open(&folder)?.sync_all()?;
        File::open(&trash)?.sync_all()?;
        let operation: i64 = transaction
            .prepare_cached("SELECT ifnull(max(id), 0) + 1 FROM operation")?
            .query_row([], |row| row.get(0))?;
        transaction.prepare_cached(REMOVAL)?.execute([&id])?;
        let mut parents = std::collections::BTreeSet::new();
        for (number, (artifact, path)) in chosen.iter().enumerate() {
            transaction
                .prepare_cached(MOVED)?
                .execute(params![id, number, path])?;
            transaction
                .prepare_cached(REMOVED)?
                .execute(params![id, artifact, number])?;
            transaction
                .prepare_cached(IMAGE)?
                .execute(params![operation, artifact, number])?;
            transaction
                .prepare_cached("DELETE FROM artifact WHERE id = ?1")?
                .execute([artifact])?;
            let path = self.base.join(path);
            fs::rename(&path, folder.join(number.to_string()))?;
            parents.extend(path.parent().map(Path::to_owned));
        }
        File::open(&folder)?.sync_all()?;
        for parent in parents {
            File::open(parent)?.sync_all()?;
        }
        transaction.prepare_cached(OPERATION)?.execute(params![
            operation,
            chosen.len(),
            [0_u8; 32]
        ])?;
        transaction.commit()?;
        let time = start.elapsed();
        let left = load.standing(&self.base);
        // Back, so that the next round finds the same.
        for (number, (_, path)) in chosen.iter().enumerate() {
            fs::rename(folder.join(number.to_string()), self.base.join(path))?;
        }
        self.connection.execute(BACK, [&id])?;
        self.connection
            .execute("UPDATE removal SET state = 3 WHERE id = ?1", [&id])?;
        fs::remove_dir_all(&folder)?;
        Ok(Done::new(time, 1, left))
    }
}

fn library(registry: &Registry, load: Load) -> Result<Done> {
    let options = RemoveOptions::default().keep(TrashKeep::UntilEmptied);
    let filter = load.filter()?;
    let start = Instant::now();
    let report = registry.remove_many(&filter, &options, &Silent)?;
    let time = start.elapsed();
    let left = load.standing(registry.base());
    let id = report.removal.ok_or("nothing was removed")?;
    registry.restore(&RestoreTarget::Removal(id))?;
    Ok(Done::new(time, 1, left))
}

fn against_bare(bench: &mut Bench, load: Load, what: &str) -> Result<()> {
    let folder = bench.folder("remove")?;
    let bases = ["a", "b"].map(|name| folder.path().join(name));
    for base in &bases {
        load.grow(base)?;
        let registry = create(base, Durability::Full)?;
        registry.scan(dalsegno::ScanOptions::default(), &Silent)?;
    }
    let registry = Registry::open(&bases[0])?;
    let catalog = bases[1].join(".dalsegno/catalog.sqlite3");
    let bare = Bare {
        base: bases[1].clone(),
        connection: Plain::open(&catalog, true)?.connection,
    };
    let sides = vec![
        Side::new("dalsegno", |_| {
            trees::sync(folder.path())?;
            library(&registry, load)
        }),
        Side::new("bare", |round| {
            trees::sync(folder.path())?;
            bare.remove(load, round)
        }),
    ];
    let stats = compare(bench.rounds(9), sides)?;
    let against = "the bare protocol: renames, syncs, commit";
    let aim = Some(Aim::Ratio(2.0));
    bench.push(Row::new(
        "remove",
        what,
        against,
        stats[0],
        Some(stats[1]),
        aim,
    ));
    Ok(())
}

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let small = |arrays| Load { arrays, files: 4 };
    against_bare(bench, small(1), "remove_many with trash, 1 array")?;
    against_bare(bench, small(1000), "remove_many with trash, 1,000 arrays")?;
    let large = Load {
        arrays: 1,
        files: bench.size(20_000, 100_000),
    };
    let what = format!("rm --trash, 1 array of {} files", large.files);
    against_rm(bench, large, &what, 0.01)?;
    if bench.is_late("remove") {
        return Ok(());
    }
    let many = Load {
        arrays: 1000,
        files: bench.size(20, 100),
    };
    let what = format!("rm --trash, 1,000 arrays of {} files", many.files);
    against_rm(bench, many, &what, 0.1)?;
    Ok(())
}
