//! A damaged catalog: bytes changed, the end cut off, rows that say something else. Every question
//! is answered or refused, and what changes the catalog or removes data touches nothing outside
//! the base directory.

use std::fs;
use std::ops::ControlFlow;

use arbitrary::{Arbitrary, Result, Unstructured};
use dalsegno::model::artifact::State;
use dalsegno::model::filter::Filter;
use dalsegno::model::key::Kind;
use dalsegno::model::layout;
use dalsegno::model::operation::HistoryFilter;
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::TrashKeep;
use dalsegno::retention::{self, Policy};
use dalsegno::{DuGroup, ScoreQuery};
use dalsegno::{GcOptions, GcRequest, GcRules};
use dalsegno::{
    PinSelection, RefreshOptions, Registry, RemoveOptions, RestoreTarget, ScanOptions,
    VerifyOptions,
};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::types::Value;

use super::edit::TEXTS;
use super::world::{CATALOG, World, given};

/// Columns of rows that say where something is or what became of it.
const COLUMNS: [&str; 40] = [
    "run.name",
    "dataset.name",
    "parameters.text",
    "container.path",
    "container.run_id",
    "kind.name",
    "artifact.array",
    "artifact.run_id",
    "artifact.kind_id",
    "artifact.iteration",
    "artifact.dataset_id",
    "artifact.parameters_id",
    "artifact.container_id",
    "artifact.origin",
    "artifact.state",
    "artifact.bytes",
    "artifact.files",
    "artifact.recorded_at",
    "artifact.written_at",
    "artifact.owner",
    "moved.path",
    "moved.item",
    "removal.id",
    "removal.state",
    "removal.removed_at",
    "removal.purge_after",
    "removed.array",
    "removed.item",
    "removed.container_id",
    "removed.kind_id",
    "removed.bytes",
    "pin.name",
    "pin_scope.first",
    "pin_scope.run_id",
    "pinned.artifact_id",
    "score.value",
    "score.iteration",
    "metric.name",
    "operation.detail",
    "operation.action",
];

/// Texts that rows have.
const WORDS: [&str; 10] = [
    "b",
    "run/a",
    "run/a/validation.zarr",
    "b/validation.zarr",
    "9900/crop/prediction",
    "elsewhere/x.zarr",
    "run/a/checkpoints",
    "iterations/1",
    "prediction",
    "remove",
];

/// One damage.
#[derive(Debug, Arbitrary)]
enum Damage {
    /// Bytes at a place in the file.
    Bytes(u32, [u8; 4]),
    /// One byte at a place in the file.
    Byte(u32, u8),
    /// One byte in the header or in the first page, where the schema is.
    Head(u8, u8),
    /// The file ends here.
    Cut(u32),
    /// A number in a row.
    Number(u8, u8, i64),
    /// A small number in a row.
    Small(u8, u8, i8),
    /// A text of [`TEXTS`] or [`WORDS`] in a row.
    Known(u8, u8, u8),
    /// Any text in a row.
    Text(u8, u8, String),
    /// Nothing in a row.
    Null(u8, u8),
    /// A row that is gone.
    Gone(u8, u8),
}

impl Damage {
    /// Damages rows, as a user with `sqlite3` could.
    fn rows(&self, catalog: &Connection) {
        let (column, row, value) = match self {
            Self::Number(column, row, number) => (column, row, Value::Integer(*number)),
            Self::Small(column, row, number) => (column, row, Value::Integer((*number).into())),
            Self::Known(column, row, at) => {
                let texts: Vec<&str> = TEXTS.into_iter().chain(WORDS).collect();
                let text = texts[usize::from(*at) % texts.len()];
                (column, row, Value::Text(text.to_owned()))
            }
            Self::Text(column, row, text) => (column, row, Value::Text(text.clone())),
            Self::Null(column, row) | Self::Gone(column, row) => (column, row, Value::Null),
            _ => return,
        };
        let column = COLUMNS[usize::from(*column) % COLUMNS.len()];
        let (table, name) = column.split_once('.').unwrap();
        let count = format!("SELECT count(*) FROM {table}");
        let Ok(count) = catalog.query_row(&count, [], |row| row.get::<_, i64>(0)) else {
            return;
        };
        let at = i64::from(*row) % count.max(1);
        // Every table has a column of its key first; which row it is does not matter.
        let key = match table {
            "moved" | "removed" => "removal_id",
            "removal" => "id",
            "pinned" => "artifact_id",
            _ => "rowid",
        };
        let one = format!("{key} = (SELECT {key} FROM {table} LIMIT 1 OFFSET {at})");
        let _ = match self {
            Self::Gone(..) => catalog.execute(&format!("DELETE FROM {table} WHERE {one}"), []),
            _ => catalog.execute(
                &format!("UPDATE OR IGNORE {table} SET {name} = ?1 WHERE {one}"),
                [value],
            ),
        };
    }

    /// Damages the file.
    fn file(&self, bytes: &mut Vec<u8>) {
        let length = bytes.len();
        let mut put = |at: usize, new: &[u8]| {
            for (at, new) in (at..).zip(new) {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = *new;
                }
            }
        };
        match self {
            Self::Bytes(at, new) => put(*at as usize % length.max(1), new),
            Self::Byte(at, new) => put(*at as usize % length.max(1), &[*new]),
            Self::Head(at, new) => put(usize::from(*at), &[*new]),
            Self::Cut(at) => bytes.truncate(*at as usize % length.max(1)),
            _ => {}
        }
    }
}

/// What is done with the catalog.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Work {
    Look,
    Record,
    Remove,
    Trash,
    Repair,
    Plan,
}

/// Reads the bytes as damages, and as what is done then.
pub fn check(data: &[u8]) {
    let Ok((work, damages)) = read(&mut Unstructured::new(data)) else {
        return;
    };
    let world = World::new();
    let path = world.base().join(CATALOG);
    let catalog = Connection::open(&path).unwrap();
    for (config, on) in [
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false),
    ] {
        catalog.set_db_config(config, on).unwrap();
    }
    catalog
        .execute_batch("PRAGMA ignore_check_constraints = ON; PRAGMA synchronous = OFF")
        .unwrap();
    for damage in &damages {
        damage.rows(&catalog);
    }
    catalog.close().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    for damage in &damages {
        damage.file(&mut bytes);
    }
    fs::write(&path, bytes).unwrap();

    if let Some(registry) = world.open(true) {
        look(&registry);
    }
    world.check();
    if let Some(registry) = world.open(false) {
        change(&registry, work);
    }
    world.check();
}

fn read(input: &mut Unstructured<'_>) -> Result<(Work, Vec<Damage>)> {
    let work = input.arbitrary()?;
    let mut damages = Vec::new();
    while !input.is_empty() && damages.len() < 16 {
        match input.arbitrary() {
            Ok(damage) => damages.push(damage),
            Err(_) => break,
        }
    }
    Ok((work, damages))
}

fn all() -> Filter {
    Filter::default().kinds(Kind::ALL)
}

const VERIFY: VerifyOptions = VerifyOptions::new()
    .measure(true)
    .read_data(true)
    .indices(true)
    .threads(Some(1));

/// Every question.
fn look(registry: &Registry) {
    given(registry.id());
    given(registry.health());
    for artifact in given(registry.select(&all())).unwrap_or_default() {
        let path = artifact.path();
        assert!(path.starts_with(registry.base()), "{}", path.display());
        assert!(!serde_json::to_string(&artifact).unwrap().is_empty());
        given(registry.artifacts_ever_at(&path));
        given(registry.former_at(&path));
    }
    given(registry.iterations(&Filter::default(), |_| Ok(())));
    given(registry.runs(&Filter::default(), |_| Ok(())));
    for group in [DuGroup::Run, DuGroup::Kind, DuGroup::Owner] {
        given(registry.du(&all(), group));
    }
    given(registry.pins());
    given(registry.scores(&ScoreQuery::default(), |_| Ok(())));
    given(registry.trash());
    given(registry.restorable(&RestoreTarget::Filter(all())));
    given(registry.pending());
    let each = |operation: dalsegno::model::operation::Operation| {
        given(registry.operation(operation.id));
        Ok(ControlFlow::Continue(()))
    };
    given(registry.history(&HistoryFilter::default(), each));
    given(registry.whole_history(|_, _| Ok(ControlFlow::Continue(()))));
    given(registry.history_head());
    given(registry.check_history(None));
    given(registry.verify(&all(), VERIFY, &Silent));
}

fn request() -> GcRequest {
    GcRequest::new(
        Filter::default(),
        GcRules::Policy(
            Policy::default()
                .keep(retention::KeepRules::default().last(1))
                .allow_empty_group(true),
        ),
    )
    .words(String::new())
}

fn change(registry: &Registry, work: Work) {
    let removing = |keep| {
        RemoveOptions::default()
            .keep(keep)
            .keep_going(true)
            .force_pinned(true)
    };
    match work {
        Work::Look => look(registry),
        Work::Record => {
            let path = "b/validation.zarr/9901/crop/prediction";
            given(registry.record(&layout::parse(path).unwrap()));
            given(registry.scan(ScanOptions::default(), &Silent));
            let options = RefreshOptions::new().all(true).measure(true);
            given(registry.refresh(&all(), options, &Silent));
            let pin = PinSelection::Filter(all());
            given(registry.pin(&"new".parse().unwrap(), Some("why"), &pin));
            for artifact in given(registry.select(&all())).unwrap_or_default() {
                given(registry.seal(&dalsegno::Target::Id(artifact.id)));
            }
        }
        Work::Remove => {
            let present = all().states([State::Present]);
            let kept = removing(TrashKeep::UntilEmptied);
            given(registry.remove_many(&present, &kept, &Silent));
            for artifact in given(registry.select(&all())).unwrap_or_default() {
                let target = dalsegno::Target::Id(artifact.id);
                given(registry.remove_target(&target, &removing(TrashKeep::No), &Silent));
            }
            given(registry.restore(&RestoreTarget::Filter(all())));
            given(registry.empty_trash(None, &Silent));
        }
        Work::Trash => {
            let mut operations = Vec::new();
            let each = |operation: dalsegno::model::operation::Operation| {
                operations.push(operation.id);
                Ok(ControlFlow::Continue(()))
            };
            given(registry.history(&HistoryFilter::default(), each));
            for id in operations {
                given(registry.undo(id));
            }
            for removal in given(registry.trash()).unwrap_or_default() {
                given(registry.restore(&RestoreTarget::Removal(removal.id)));
            }
            given(registry.empty_trash(None, &Silent));
        }
        Work::Repair => {
            if let Some(report) = given(registry.verify(&all(), VERIFY, &Silent)) {
                given(registry.repair(&report.findings, &Silent));
            }
        }
        Work::Plan => {
            if let Some(plan) = given(registry.plan_gc(&request())) {
                let options = GcOptions::default().keep(TrashKeep::No);
                given(registry.apply_gc(&plan.file, &options, &Silent, |_| {}));
            }
        }
    }
}
