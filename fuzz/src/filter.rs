//! Filters, as texts of the command line: what is read compiles to SQL that runs, and the rows are
//! those that a plain matcher of a list of rows gives.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use arbitrary::{Result, Unstructured};
use dalsegno::DuGroup;
use dalsegno::Options;
use dalsegno::Registry;
use dalsegno::SummaryOptions;
use dalsegno::model::actor::{Actor, Agent};
use dalsegno::model::artifact::{Artifact, State};
use dalsegno::model::clock::Timestamp;
use dalsegno::model::filter::{Filter, IterationRange, Pattern};
use dalsegno::model::key::Kind;
use dalsegno::model::layout;
use dalsegno::model::operation::{Action, HistoryFilter, NewOperation};
use dalsegno::model::size::{ByteCount, Size};
use dalsegno::testing::{Catalog, CatalogOptions, Observation, ObservedRow};
use tempfile::TempDir;

use super::world::NOW;

#[path = "../../tests/queries/model.rs"]
mod model;

/// Parts of patterns.
const PARTS: [&str; 20] = [
    "*", "?", "[", "]", "^", "-", "a", "b", "m", "p", "[mito]", "run 2", "\u{e9}", "/", "[a-c]",
    "[^m]", "2", "\\", "'", "R*",
];

/// Runs, datasets and parameters of the rows.
const RUNS: [&str; 7] = ["run", "run 2", "[mito]", "m", "a/b", "R*", "\u{e9}"];
const NAMES: [&str; 9] = [
    "a", "ab", "[mito]", "m", "a/b", "a?c", "p[1-3]*", "p2", "a-]",
];

/// A catalog, and every row of it.
struct Rows {
    registry: Registry,
    rows: Vec<Artifact>,
    _base: TempDir,
}

fn tester() -> Agent {
    Agent::new(Actor::new("tester", "here", 1), "0")
}

impl Rows {
    fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        let clock = dalsegno::model::clock::FixedClock(NOW);
        let (registry, _) = Options::new().clock(clock).create(base.path()).unwrap();
        let (path, options) = (registry.catalog_path(), CatalogOptions::default());
        let catalog = Catalog::open(path, base.path(), Some(tester()), options).unwrap();
        for at in 0..90 {
            let run = RUNS[at % RUNS.len()];
            let (name, other) = (NAMES[at % NAMES.len()], NAMES[at / 7 % NAMES.len()]);
            let n = [-1, 0, 2, 3, i64::MAX][at % 5];
            let path = match at % 11 {
                0..=2 => format!("{run}/validation.zarr/{n}/{name}/output/{other}"),
                3..=4 => format!("{run}/validation.zarr/{n}/{name}/prediction"),
                5 => format!("{run}/validation.zarr/inputs/{name}/raw"),
                6 => format!("{run}/validation.zarr/inputs/gt"),
                7 => format!("{run}/snapshot.zarr/{n}/{name}"),
                8 => format!("{run}/validation.zarr"),
                9 => format!("{run}/checkpoints/iterations/{n}"),
                _ => format!("{run}/other.n5/{name}"),
            };
            let at = i64::try_from(at).unwrap();
            let recorded = NewOperation::new(Action::Record, Timestamp(NOW.0 - 1000 * (at % 3)));
            let key = layout::parse(&path).unwrap();
            let record = catalog.record(recorded, |recorder| recorder.record(&key));
            let id = record.unwrap().artifact.id;
            let size = (at % 4 > 0).then_some(Size {
                bytes: ByteCount([0, 100, 1 << 30, 1 << 40][at as usize % 4]),
                files: 1,
            });
            let note = |state, seen| {
                let noted = ObservedRow {
                    id,
                    state,
                    seen,
                    seal: None,
                };
                let doing = NewOperation::new(Action::Refresh, NOW);
                catalog.observe(doing, &[noted]).unwrap();
            };
            if at % 5 > 0 {
                let seen = Observation::new(Timestamp(NOW.0 + 1000 * (at % 6 - 3)))
                    .size(size)
                    .owner([None, Some(0), Some(7), Some(u32::MAX)][at as usize % 4]);
                note(State::Reserved, Some(seen));
            }
            if at % 5 == 4 {
                note(State::Present, None);
            }
        }
        let all = Filter::default().kinds(Kind::ALL);
        let rows = registry.select(&all).unwrap();
        assert!(rows.len() > 60, "{}", rows.len());
        Self {
            registry,
            rows,
            _base: base,
        }
    }
}

thread_local! {
    static ROWS: Rows = Rows::new();
}

/// Reads the bytes as the flags of a selection.
pub fn check(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let Ok(filter) = read(&mut input) else {
        return;
    };
    ROWS.with(|rows| compare(rows, &filter));
    if let Ok(history) = read_history(&mut input, filter.runs) {
        ROWS.with(|rows| {
            let most = history.most;
            let mut found = 0;
            let each = |_| {
                found += 1;
                Ok(ControlFlow::Continue(()))
            };
            rows.registry.history(&history, each).unwrap();
            assert!(most.is_none_or(|most| found <= most));
        });
    }
}

fn compare(rows: &Rows, filter: &Filter) {
    let registry = &rows.registry;
    let expected: Vec<&Artifact> = model::selection(filter, &rows.rows);
    let found = registry.select(filter).unwrap();
    assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filter:?}");
    let mut iterations = Vec::new();
    let each = |row| {
        iterations.push(row);
        Ok(ControlFlow::Continue(()))
    };
    // The numbers of pinned artifacts too, which cost more and have to be asked for.
    let options = SummaryOptions::default().pinned(true);
    registry.iterations_by(filter, &options, each).unwrap();
    assert_eq!(iterations, model::iterations(filter, &rows.rows));
    let mut runs = Vec::new();
    let each = |row| {
        runs.push(row);
        Ok(ControlFlow::Continue(()))
    };
    let options = SummaryOptions::default().pinned(true);
    registry.runs_by(filter, &options, each).unwrap();
    assert_eq!(runs, model::runs(filter, &rows.rows));
    let groups = [
        DuGroup::Run,
        DuGroup::Kind,
        DuGroup::Iteration,
        DuGroup::Dataset,
        DuGroup::Owner,
    ];
    for group in groups {
        let found = registry.du(filter, group).unwrap();
        assert_eq!(found, model::du(filter, group, &rows.rows), "{filter:?}");
    }
}

fn several<'a, T>(
    input: &mut Unstructured<'a>,
    one: impl Fn(&mut Unstructured<'a>) -> Result<Option<T>>,
) -> Result<Vec<T>> {
    let mut found = Vec::new();
    for _ in 0..input.int_in_range(0..=3_u8)? {
        found.extend(one(input)?);
    }
    Ok(found)
}

fn read(input: &mut Unstructured<'_>) -> Result<Filter> {
    let patterns = |input: &mut Unstructured<'_>| several(input, |input| pattern(input).map(Some));
    let runs = patterns(input)?;
    let datasets = patterns(input)?;
    let parameters = patterns(input)?;
    let kinds = several(input, |input| input.choose(&Kind::ALL).copied().map(Some))?;
    let states = several(input, |input| input.choose(&State::ALL).copied().map(Some))?;
    let owners = [0, 7, 8, u32::MAX];
    let owners = several(input, |input| input.choose(&owners).copied().map(Some))?;
    let iterations = several(input, range)?;
    let age = text(input, &["0s", "1s", "14d", "72h", "1year", "-1s"])?;
    let age = humantime::parse_duration(&age).ok();
    let bytes = text(input, &["0", "1", "100", "1GiB", "1 TB", "16EiB", "8EiB"])?;
    let bytes = bytes.parse::<bytesize::ByteSize>().ok();
    Ok(Filter::default()
        .runs(runs)
        .kinds(kinds)
        .iterations(iterations)
        .datasets(datasets)
        .parameters(parameters)
        .states(states)
        .older_than(age)
        .written_before(None)
        .pinned(false)
        .owners(owners)
        .min_bytes(bytes.map(|bytes| bytes.as_u64())))
}

/// Few stars: the plain matcher tries every way to part a name.
fn pattern(input: &mut Unstructured<'_>) -> Result<Pattern> {
    let mut text = String::new();
    for _ in 0..input.int_in_range(1..=6_u8)? {
        match input.int_in_range(0..=9_u8)? {
            0 => text.push(input.arbitrary()?),
            1 => text.push_str(input.choose(&NAMES)?),
            2 => text.push_str(input.choose(&RUNS)?),
            _ => text.push_str(input.choose(&PARTS)?),
        }
    }
    Ok(text.into())
}

/// One of the texts, or any.
fn text(input: &mut Unstructured<'_>, some: &[&str]) -> Result<String> {
    Ok(if input.ratio(3_u8, 4_u8)? {
        (*input.choose(some)?).to_owned()
    } else {
        input.arbitrary::<&str>()?.chars().take(24).collect()
    })
}

/// What is read as a range is written as one that reads the same.
fn range(input: &mut Unstructured<'_>) -> Result<Option<IterationRange>> {
    let ends = ["", "-1", "0", "2", "3", "9223372036854775807", "007", "a"];
    let mut range = text(input, &ends)?;
    if input.arbitrary()? {
        range.push_str("..");
        range.push_str(&text(input, &ends)?);
    }
    let Ok(read) = range.parse::<IterationRange>() else {
        return Ok(None);
    };
    assert_eq!(read.to_string().parse(), Ok(read), "{range:?}");
    assert!(
        read.first
            .is_none_or(|first| read.last.is_none_or(|last| first <= last))
    );
    Ok(Some(read))
}

fn read_history(input: &mut Unstructured<'_>, runs: Vec<Pattern>) -> Result<HistoryFilter> {
    let users: BTreeSet<String> = several(input, |input| text(input, &["tester"]).map(Some))?
        .into_iter()
        .collect();
    let time = |input: &mut Unstructured<'_>| -> Result<Option<Timestamp>> {
        Ok(match input.int_in_range(0..=2_u8)? {
            0 => None,
            1 => Some(NOW),
            _ => Some(Timestamp(input.arbitrary()?)),
        })
    };
    let actions = several(input, |input| {
        Ok(text(input, &["record", "refresh", "remove"])?.parse().ok())
    })?;
    let (since, until) = (time(input)?, time(input)?);
    let artifacts = several(input, |input| {
        Ok(Some(dalsegno::model::artifact::ArtifactId(
            input.arbitrary()?,
        )))
    })?;
    let most: Option<u64> = input.arbitrary()?;
    let before: Option<i64> = input.arbitrary()?;
    Ok(HistoryFilter::default()
        .actions(actions)
        .users(users)
        .since(since)
        .until(until)
        .runs(runs)
        .artifacts(artifacts)
        .most(most)
        .before(before))
}
