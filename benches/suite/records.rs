//! Rows about recording, and about the bytes that it costs.

use std::fs;
use std::path::Path;
use std::time::Instant;

use dalsegno::Durability;
use dalsegno::Registry;
use dalsegno::model::key::Key;

use crate::catalogs::{self, THEN, create};
use crate::keys::{Place, spread};
use crate::measure::{Done, Result, Side, Stats, compare};
use crate::plain::{self, Plain};
use crate::report::{Aim, Row, Unit};
use crate::{Bench, Point};

/// Rows that are there before anything is measured.
const BEFORE: usize = 2000;

fn catalog_bytes(base: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(base.join(".dalsegno"))? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("catalog.sqlite3") && !name.ends_with(".reserve") {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}

/// Two registries that are equal, one of them to be written by plain SQLite.
struct Pair {
    folder: tempfile::TempDir,
    registry: Registry,
    plain: Plain,
}

impl Pair {
    fn new(bench: &Bench, durability: Durability) -> Result<Self> {
        let folder = bench.folder("record")?;
        let keys = catalogs::keys(0..BEFORE)?;
        let registry = create(&folder.path().join("a"), durability)?;
        registry.record_many(&keys)?;
        let other = create(&folder.path().join("b"), durability)?;
        other.record_many(&keys)?;
        let catalog = other.catalog_path().to_path_buf();
        drop(other);
        let plain = Plain::open(&catalog, durability == Durability::Full)?;
        Ok(Self {
            folder,
            registry,
            plain,
        })
    }

    fn catalog(&self, side: &str) -> std::path::PathBuf {
        self.folder
            .path()
            .join(side)
            .join(".dalsegno/catalog.sqlite3")
    }
}

/// Records `each` rounds of `batches` transactions of `batch` rows on both sides.
fn record(
    bench: &mut Bench,
    name: &'static str,
    what: &str,
    durability: Durability,
    (batches, batch): (usize, usize),
) -> Result<()> {
    let Pair {
        folder,
        registry,
        mut plain,
    } = Pair::new(bench, durability)?;
    let count = batches * batch;
    let first = |round: usize| BEFORE + round * count;
    let catalog = |side: &str| folder.path().join(side).join(".dalsegno/catalog.sqlite3");
    let (ours, theirs) = (catalog("a"), catalog("b"));
    let stats = compare(
        bench.rounds(7),
        vec![
            Side::new("dalsegno", |round| {
                let keys = catalogs::keys(first(round)..first(round) + count)?;
                let start = Instant::now();
                for keys in keys.chunks(batch) {
                    if let [key] = keys {
                        registry.record(key)?;
                    } else {
                        registry.record_many(keys)?;
                    }
                }
                Ok(Done::new(start.elapsed(), count, plain::rows(&ours)?))
            }),
            Side::new("rusqlite", |round| {
                let places: Vec<Place> = (first(round)..first(round) + count)
                    .map(Place::at)
                    .collect();
                let start = Instant::now();
                for places in places.chunks(batch) {
                    plain.record(places, THEN.0)?;
                }
                Ok(Done::new(start.elapsed(), count, plain::rows(&theirs)?))
            }),
        ],
    )?;
    bench.push(Row::new(
        name,
        what,
        "plain rusqlite, same rows and pragmas",
        stats[0],
        Some(stats[1]),
        Some(Aim::Ratio(1.5)),
    ));
    Ok(())
}

pub(crate) fn one(bench: &mut Bench) -> Result<()> {
    let (full, relaxed) = (bench.size(100, 300), bench.size(2000, 5000));
    record(
        bench,
        "record",
        "one artifact, FULL",
        Durability::Full,
        (full, 1),
    )?;
    record(
        bench,
        "record",
        "one artifact, relaxed",
        Durability::Relaxed,
        (relaxed, 1),
    )
}

pub(crate) fn many(bench: &mut Bench) -> Result<()> {
    let batches = bench.size(10, 30);
    record(
        bench,
        "record-many",
        "1,000 a batch, FULL",
        Durability::Full,
        (batches, 1000),
    )?;
    record(
        bench,
        "record-many",
        "1,000 a batch, relaxed",
        Durability::Relaxed,
        (batches, 1000),
    )
}

pub(crate) fn known(bench: &mut Bench) -> Result<()> {
    let pair = Pair::new(bench, Durability::Full)?;
    let places: Vec<Place> = spread(20_000, BEFORE).into_iter().map(Place::at).collect();
    let keys: Vec<Key> = places
        .iter()
        .map(|place| place.key())
        .collect::<Result<_>>()?;
    let before = (
        plain::rows(&pair.catalog("a"))?,
        catalog_bytes(&pair.folder.path().join("a"))?,
    );
    let stats = compare(
        bench.rounds(9),
        vec![
            Side::new("dalsegno", |_| {
                let start = Instant::now();
                let mut sum = 0;
                for key in &keys {
                    sum += pair.registry.record(key)?.artifact.id.0 as u64;
                }
                Ok(Done::new(start.elapsed(), keys.len(), sum))
            }),
            Side::new("SELECT", |_| {
                let start = Instant::now();
                let mut sum = 0;
                for place in &places {
                    sum += pair.plain.find(*place)?.ok_or("not found")? as u64;
                }
                Ok(Done::new(start.elapsed(), places.len(), sum))
            }),
        ],
    )?;
    let after = (
        plain::rows(&pair.catalog("a"))?,
        catalog_bytes(&pair.folder.path().join("a"))?,
    );
    if before != after {
        return Err("no result: recording what is there has written something".into());
    }
    bench.push(Row::new(
        "record-known",
        "a key that is there",
        "plain prepared SELECT",
        stats[0],
        Some(stats[1]),
        Some(Aim::Ratio(1.5)),
    ));
    Ok(())
}

/// What recording one artifact costs in catalogs of several sizes.
pub(crate) fn by_size(bench: &mut Bench) -> Result<()> {
    let count = 1000;
    let mut found = Vec::new();
    for rows in bench.sizes() {
        let base = catalogs::sized(bench, rows, true)?;
        let registry = create(&base, Durability::Relaxed)?;
        // A run of its own for every time that this is called, in a catalog that stays.
        let run = format!("recorded-{}", uuid::Uuid::new_v4().simple());
        let key = |index: usize| -> Result<Key> {
            let place = Place::at(index);
            Ok(Key::Output {
                run: run.parse()?,
                iteration: place.iteration(),
                dataset: place.dataset().parse()?,
                parameters: place.parameters().parse()?,
                container: None,
            })
        };
        let stats = compare(
            bench.rounds(5),
            vec![Side::new("dalsegno", |round| {
                let first = round * count;
                let keys: Vec<Key> = (first..first + count).map(key).collect::<Result<_>>()?;
                let start = Instant::now();
                let mut new = 0;
                for key in &keys {
                    new += u64::from(registry.record(key)?.is_new);
                }
                Ok(Done::new(start.elapsed(), count, new))
            })],
        )?;
        forget(&registry, &run)?;
        bench.point(Point::new("record, relaxed", rows, stats[0].median));
        found.push((rows, stats[0]));
    }
    bench.push_growth("record-by-size", "one artifact, relaxed", &found);
    Ok(())
}

/// Takes rows out again that a benchmark put into a catalog that is kept; their history stays.
fn forget(registry: &Registry, run: &str) -> Result<()> {
    let connection = rusqlite::Connection::open(registry.catalog_path())?;
    connection.execute(
        "DELETE FROM artifact WHERE run_id = (SELECT id FROM run WHERE name = ?1)",
        [run],
    )?;
    Ok(())
}

pub(crate) fn bytes(bench: &mut Bench) -> Result<()> {
    let count = bench.size(20_000, 100_000);
    for (what, batch) in [("recorded one by one", 1), ("recorded 1,000 a batch", 1000)] {
        let folder = bench.folder("bytes")?;
        {
            let registry = create(folder.path(), Durability::Relaxed)?;
            let keys = catalogs::keys(0..count)?;
            for keys in keys.chunks(batch) {
                registry.record_many(keys)?;
            }
        }
        let bytes = catalog_bytes(folder.path())?;
        let rows = plain::rows(&folder.path().join(".dalsegno/catalog.sqlite3"))?;
        if rows != (2 * count + count / batch) as u64 {
            return Err(format!("no result: {rows} rows for {count} artifacts").into());
        }
        bench.push(
            Row::new(
                "bytes",
                format!("of catalog an artifact, {what}"),
                "",
                Stats::single(bytes as f64 / count as f64),
                None,
                Some(Aim::Value(500.0)),
            )
            .unit(Unit::Bytes),
        );
    }
    Ok(())
}
