//! The same questions, asked of a list of rows.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use dalsegno::model::artifact::{Artifact, State};
use dalsegno::model::clock::Timestamp;
use dalsegno::model::filter::{Filter, IterationRange, Pattern};
use dalsegno::model::key::Kind;
use dalsegno::model::layout;
use dalsegno::model::name::BasePath;
use dalsegno::model::size::Total;
use dalsegno::{DuGroup, DuRow, IterationRow, RunRow};

use super::NOW;

/// Patterns as of a shell and of Python's `fnmatch`: `*`, `?`, `[a-z]`, `[!a]`, `[^a]`.
fn glob(pattern: &[char], text: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['*', rest @ ..] => (0..=text.len()).any(|at| glob(rest, &text[at..])),
        ['?', rest @ ..] => !text.is_empty() && glob(rest, &text[1..]),
        ['[', rest @ ..] => {
            let Some((first, after)) = text.split_first() else {
                return false;
            };
            let opened = rest;
            let (inverted, rest) = match rest {
                ['^' | '!', rest @ ..] => (true, rest),
                rest => (false, rest),
            };
            // A `]` that comes first is one of the characters.
            let from = usize::from(rest.first() == Some(&']'));
            let Some(end) = rest.iter().skip(from).position(|&c| c == ']') else {
                // A `[` that is never closed is a character.
                return *first == '[' && glob(opened, after);
            };
            let (set, rest) = (&rest[..from + end], &rest[from + end + 1..]);
            let mut found = false;
            let mut at = 0;
            while at < set.len() {
                if at + 2 < set.len() && set[at + 1] == '-' {
                    found |= (set[at]..=set[at + 2]).contains(first);
                    at += 3;
                } else {
                    found |= set[at] == *first;
                    at += 1;
                }
            }
            found != inverted && glob(rest, after)
        }
        [c, rest @ ..] => text.first() == Some(c) && glob(rest, &text[1..]),
    }
}

/// The names in some rows: of runs, of datasets, of parameters.
type Names<'a> = [BTreeSet<&'a str>; 3];

fn names_of(row: &Artifact) -> [Option<&str>; 3] {
    [
        Some(row.key.run().as_str()),
        row.key.dataset().map(|name| name.as_str()),
        row.key.parameters().map(|name| name.as_str()),
    ]
}

fn known(model: &[Artifact]) -> Names<'_> {
    let mut names = Names::default();
    for row in model {
        for (known, name) in names.iter_mut().zip(names_of(row)) {
            known.extend(name);
        }
    }
    names
}

/// Whether the filter leaves the row out.
fn is_excepted(row: &Artifact, filter: &Filter, known: &Names<'_>) -> bool {
    let except = &filter.except;
    let patterns = [&except.runs, &except.datasets, &except.parameters];
    let by_name =
        patterns
            .into_iter()
            .zip(names_of(row))
            .zip(known)
            .any(|((patterns, name), known)| {
                !patterns.is_empty() && name.is_some() && matches(patterns, name, known)
            });
    by_name || except.kinds.contains(&row.key.kind())
}

/// A pattern that spells a known name matches that name alone.
fn matches(patterns: &[Pattern], name: Option<&str>, known: &BTreeSet<&str>) -> bool {
    let one = |pattern: &Pattern| {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        name.is_some_and(|name| {
            if known.contains(pattern.as_str()) {
                pattern.as_str() == name
            } else {
                glob(&chars(pattern.as_str()), &chars(name))
            }
        })
    };
    patterns.is_empty() || patterns.iter().any(one)
}

fn selects(filter: &Filter, row: &Artifact, known: &Names<'_>) -> bool {
    let in_range = |range: &IterationRange| {
        row.key.iteration().is_some_and(|iteration| {
            range.first.is_none_or(|first| first <= iteration)
                && range.last.is_none_or(|last| iteration <= last)
        })
    };
    let is_before = |moment| row.written_at.unwrap_or(row.recorded_at) < moment;
    let is_older = |age| is_before(NOW.minus(age));
    let of_size = |bytes| row.size.is_some_and(|size| size.bytes.0 >= bytes);
    // Checkpoints are selected only if their kind is named, or a path in their run.
    let is_of_kind = match filter.kinds.as_slice() {
        [] => !filter.below.is_empty() || row.key.kind() != Kind::Checkpoint,
        kinds => kinds.contains(&row.key.kind()),
    };
    let (run, path) = (row.key.run().as_str(), layout::locate(&row.key).path());
    let is_below = |of: &str, path: &str| Path::new(path).starts_with(of);
    let is_at = |at: &BasePath| {
        let at = at.as_str();
        let in_run = is_below(run, at) && run != at;
        let by_kind = !filter.kinds.is_empty() || row.key.kind() != Kind::Checkpoint || in_run;
        let of_run = run == at || !known[0].contains(at);
        of_run && by_kind && is_below(at, &path)
    };
    let patterns = [&filter.runs, &filter.datasets, &filter.parameters];
    patterns
        .into_iter()
        .zip(names_of(row))
        .zip(known)
        .all(|((patterns, name), known)| matches(patterns, name, known))
        && is_of_kind
        && (filter.below.is_empty() || filter.below.iter().any(is_at))
        && (filter.owners.is_empty()
            || row
                .owner
                .is_some_and(|owner| filter.owners.contains(&owner)))
        && (filter.iterations.is_empty() || filter.iterations.iter().any(in_range))
        && (filter.states.is_empty() || filter.states.contains(&row.state))
        && filter.older_than.is_none_or(is_older)
        && filter.written_before.is_none_or(is_before)
        && filter.min_bytes.is_none_or(of_size)
        && filter.written_since.is_none_or(|since| !is_before(since))
        && !is_excepted(row, filter, known)
}

pub(crate) fn selection<'a>(filter: &Filter, model: &'a [Artifact]) -> Vec<&'a Artifact> {
    let known = known(model);
    model
        .iter()
        .filter(|row| selects(filter, row, &known))
        .collect()
}

fn total<'a>(rows: impl IntoIterator<Item = &'a &'a Artifact>) -> Total {
    let mut total = Total::default();
    rows.into_iter().for_each(|row| total.add(row.size));
    total
}

fn is_present(row: &&&Artifact) -> bool {
    row.state == State::Present
}

/// Rows of arrays, by a part of their key.
fn grouped<'a, K: Ord>(
    rows: &[&'a Artifact],
    by: impl Fn(&Artifact) -> K,
) -> BTreeMap<K, Vec<&'a Artifact>> {
    let mut groups: BTreeMap<K, Vec<&Artifact>> = BTreeMap::new();
    for row in rows.iter().filter(|row| !row.key.kind().is_container()) {
        groups.entry(by(row)).or_default().push(row);
    }
    groups
}

fn dataset(row: &Artifact) -> Option<String> {
    row.key.dataset().map(ToString::to_string)
}

fn run(row: &Artifact) -> String {
    row.key.run().to_string()
}

/// In the order of what is missing.
fn missing(row: &Artifact) -> (Option<String>, Kind, Option<String>) {
    let parameters = row.key.parameters().map(ToString::to_string);
    (dataset(row), row.key.kind(), parameters)
}

pub(crate) fn iterations(filter: &Filter, model: &[Artifact]) -> Vec<IterationRow> {
    let wants_outputs = filter.kinds.is_empty() || filter.kinds.contains(&Kind::Output);
    let mut rows = Vec::new();
    for (run, of_run) in grouped(&selection(filter, model), run) {
        let with_iteration: Vec<&Artifact> = of_run
            .into_iter()
            .filter(|row| row.key.iteration().is_some())
            .collect();
        let counts = |row: &&&Artifact| !wants_outputs || row.key.kind() != Kind::Snapshot;
        let datasets_of_run: BTreeSet<String> = with_iteration
            .iter()
            .filter(counts)
            .filter_map(|row| dataset(row))
            .collect();
        for (iteration, rows_of) in grouped(&with_iteration, |row| row.key.iteration().unwrap()) {
            let present: Vec<&Artifact> = rows_of.iter().filter(is_present).copied().collect();
            let number = |kind| present.iter().filter(|row| row.key.kind() == kind).count() as u64;
            let (outputs, predictions) = (number(Kind::Output), number(Kind::Prediction));
            let having: BTreeSet<String> = present
                .iter()
                .filter(|row| !wants_outputs || row.key.kind() == Kind::Output)
                .filter_map(|row| dataset(row))
                .collect();
            let datasets: BTreeSet<String> = present
                .iter()
                .filter(counts)
                .filter_map(|row| dataset(row))
                .collect();
            if present.is_empty() {
                continue;
            }
            let mut row = IterationRow::default();
            row.run = run.clone();
            row.iteration = iteration;
            row.datasets = datasets.into_iter().collect();
            row.datasets_of_run = datasets_of_run.len() as u64;
            let is_part = |kind: &Kind| matches!(kind, Kind::Prediction | Kind::Output);
            let wants_parts = filter.kinds.is_empty() || filter.kinds.iter().any(is_part);
            let part = |row: &Artifact| {
                let key = &row.key;
                let parameters = key.parameters().map(ToString::to_string);
                let dataset = key.dataset().map(ToString::to_string);
                format!("{dataset:?} {} {parameters:?}", key.kind())
            };
            let of_whole_run: Vec<&Artifact> = model
                .iter()
                .filter(|row| wants_parts && row.key.run().as_str() == run)
                .filter(|row| row.state == State::Present && is_part(&row.key.kind()))
                .filter(|row| row.key.iteration().is_some())
                .collect();
            let wanted: BTreeSet<String> = of_whole_run.iter().map(|row| part(row)).collect();
            let has: BTreeSet<String> = of_whole_run
                .iter()
                .filter(|row| row.key.iteration() == Some(iteration))
                .map(|row| part(row))
                .collect();
            row.complete = match wanted.is_empty() {
                true => (!datasets_of_run.is_empty()).then(|| having == datasets_of_run),
                false => (!has.is_empty()).then(|| has == wanted),
            };
            if wanted.is_empty() {
                // Without parts, datasets are compared.
                row.missing = datasets_of_run.difference(&having).cloned().collect();
            } else if !has.is_empty() {
                row.missing = of_whole_run
                    .iter()
                    .filter(|row| !has.contains(&part(row)))
                    .map(|row| missing(row))
                    .collect::<BTreeSet<_>>()
                    .into_iter()
                    .map(|(dataset, kind, parameters)| {
                        let parts = [dataset, Some(kind.to_string()), parameters];
                        parts.into_iter().flatten().collect::<Vec<_>>().join("/")
                    })
                    .collect();
            }
            row.outputs = outputs;
            row.predictions = predictions;
            row.others = present.len() as u64 - outputs - predictions;
            row.last_written_at = newest(&rows_of);
            row.sealed = sealed(&present);
            row.pinned = Some(pinned(&present));
            row.total = total(&present);
            rows.push(row);
        }
    }
    rows
}

fn newest(rows: &[&Artifact]) -> Timestamp {
    let times = rows
        .iter()
        .map(|row| row.written_at.unwrap_or(row.recorded_at));
    times.max().unwrap()
}

fn sealed(rows: &[&Artifact]) -> u64 {
    rows.iter().filter(|row| row.sealed_at.is_some()).count() as u64
}

fn pinned(rows: &[&Artifact]) -> u64 {
    rows.iter().filter(|row| !row.pins.is_empty()).count() as u64
}

pub(crate) fn runs(filter: &Filter, model: &[Artifact]) -> Vec<RunRow> {
    let runs = grouped(&selection(filter, model), run);
    let row = |(run, rows): (String, Vec<&Artifact>)| {
        let present: Vec<&Artifact> = rows.iter().filter(is_present).copied().collect();
        let iterations: BTreeSet<i64> = present
            .iter()
            .filter_map(|row| row.key.iteration())
            .collect();
        let number = |state| rows.iter().filter(|row| row.state == state).count() as u64;
        let mut row = RunRow::default();
        row.run = run;
        row.iterations = iterations.len() as u64;
        row.last_iteration = iterations.last().copied();
        row.present = present.len() as u64;
        row.reserved = number(State::Reserved);
        row.missing = number(State::Missing);
        row.last_written_at = newest(&rows);
        row.sealed = sealed(&present);
        row.pinned = Some(pinned(&present));
        row.total = total(&present);
        row
    };
    runs.into_iter().map(row).collect()
}

/// Disk use by group, largest first; equally large ones in the order of their names.
pub(crate) fn du(filter: &Filter, group: DuGroup, model: &[Artifact]) -> Vec<DuRow> {
    let mut selection = selection(filter, model);
    selection.retain(|row| row.state != State::Missing);
    let groups = grouped(&selection, |row| match group {
        DuGroup::Run => (Some(run(row)), None, None, None, None),
        DuGroup::Kind => (None, Some(row.key.kind()), None, None, None),
        DuGroup::Iteration => (Some(run(row)), None, row.key.iteration(), None, None),
        DuGroup::Dataset => (None, None, None, dataset(row), None),
        DuGroup::Owner => (None, None, None, None, row.owner),
        _ => (None, None, None, None, None),
    });
    let row = |((run, kind, iteration, dataset, owner), rows): (_, Vec<&Artifact>)| {
        let present: Vec<&Artifact> = rows.iter().filter(is_present).copied().collect();
        let mut row = DuRow::default();
        row.run = run;
        row.kind = kind;
        row.iteration = iteration;
        row.dataset = dataset;
        row.owner = owner;
        row.arrays = present.len() as u64;
        row.reserved = (rows.len() - present.len()) as u64;
        row.total = total(&present);
        row
    };
    let mut rows: Vec<DuRow> = groups.into_iter().map(row).collect();
    rows.sort_by_key(|row| Reverse(row.total.bytes));
    rows
}
