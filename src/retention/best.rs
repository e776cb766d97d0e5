//! The ranking of `keep-best`.
//!
//! A ranking orders the scores of one group. An artifact's own score is the most specific one that
//! fits its dataset and parameters. An artifact without parameters takes the best of the scores
//! that have some. An artifact without a dataset is ranked once for each dataset, and its best rank
//! counts.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use super::inventory::{InventoryRow, InventoryScore};
use super::metric::Direction;
use super::policy::KeepBest;
use crate::model::key::Kind;
use crate::model::name::RunName;

/// What `keep-best` makes of an artifact.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Standing<'a> {
    /// The rule does not apply to its kind.
    Apart,
    /// It has no iteration, so no score.
    NoIteration,
    /// Its metric is unknown.
    Unknown,
    /// Its metric is not a number, and that of others is.
    NotANumber,
    /// No metric of those that it would be ranked with is a number.
    NoNumber,
    /// It has a rank.
    Ranked(Rank<'a>),
    /// It stays with ranked artifacts: the kind of one that is among the best, if there is one.
    Along(Option<Kind>),
}

/// A rank in a ranking.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rank<'a> {
    /// From 1 on.
    pub(super) nth: u64,
    /// Number of ranked scores.
    pub(super) of: u64,
    /// The score.
    pub(super) value: f64,
    /// Whether others have the same score: the later iteration, then the first parameters come
    /// first.
    pub(super) is_tied: bool,
    /// Dataset of the ranking, if the artifact itself has none.
    pub(super) dataset: Option<&'a str>,
}

/// A score, which several artifacts may share.
#[derive(Debug, Clone, Copy)]
struct ScoreEntry<'a> {
    dataset: Option<&'a str>,
    parameters: Option<&'a str>,
    value: f64,
}

/// The scores of one iteration of one run.
#[derive(Default)]
struct Scores<'a> {
    lists: Vec<&'a Arc<[InventoryScore]>>,
    entries: BTreeMap<(Option<&'a str>, Option<&'a str>), ScoreEntry<'a>>,
    /// For each dataset, the best of its scores that have parameters.
    finest: BTreeMap<Option<&'a str>, ScoreEntry<'a>>,
}

/// An artifact that takes part in a ranking with a score.
struct Candidate<'a> {
    ranking: Option<&'a str>,
    iteration: i64,
    entry: ScoreEntry<'a>,
    row: usize,
}

/// Orders the better value first and NaN last.
fn by_value(direction: Direction, a: f64, b: f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (false, false) => {
            let rising = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
            match direction {
                Direction::Min => rising,
                Direction::Max => rising.reverse(),
            }
        }
        // False before true, so NaN is last in either direction.
        (a, b) => a.cmp(&b),
    }
}

impl<'a> Scores<'a> {
    fn add(&mut self, list: &'a Arc<[InventoryScore]>, direction: Direction) {
        if self
            .lists
            .last()
            .is_some_and(|last| Arc::ptr_eq(last, list))
        {
            return;
        }
        // Rows of one iteration share their list, which is then added once.
        self.lists.push(list);
        for score in list.iter() {
            let entry = ScoreEntry {
                dataset: score.dataset.as_deref(),
                parameters: score.parameters.as_deref(),
                value: score.value,
            };
            // A place that the inventory gives twice has the better value, in whatever order.
            self.entries
                .entry((entry.dataset, entry.parameters))
                .and_modify(|known| {
                    if by_value(direction, entry.value, known.value).is_lt() {
                        *known = entry;
                    }
                })
                .or_insert(entry);
            if entry.parameters.is_some() {
                let finest = self.finest.entry(entry.dataset).or_insert(entry);
                // Parameters break ties, so that the order of the inventory changes nothing.
                let order = by_value(direction, entry.value, finest.value)
                    .then(entry.parameters.cmp(&finest.parameters));
                if order.is_lt() {
                    *finest = entry;
                }
            }
        }
    }

    fn entry(&self, dataset: Option<&str>, parameters: Option<&str>) -> Option<ScoreEntry<'a>> {
        self.entries.get(&(dataset, parameters)).copied()
    }

    /// Gives the scores that an artifact is ranked by, each with the dataset of its ranking.
    fn of(&self, row: &InventoryRow, mut give: impl FnMut(Option<&'a str>, ScoreEntry<'a>)) {
        let key = &row.artifact.key;
        let dataset = key.dataset().map(|dataset| dataset.as_str());
        let parameters = key.parameters().map(|parameters| parameters.as_str());
        // From the most specific score to that of the whole iteration.
        let own = [
            (dataset, parameters),
            (dataset, None),
            (None, parameters),
            (None, None),
        ]
        .into_iter()
        .find_map(|(dataset, parameters)| self.entry(dataset, parameters));
        if let Some(own) = own {
            return give(None, own);
        }
        // Scores of other parameters say nothing about an artifact that has some.
        if parameters.is_some() {
            return;
        }
        if dataset.is_some() {
            if let Some(entry) = self.finest.get(&dataset).or_else(|| self.finest.get(&None)) {
                give(None, *entry);
            }
            return;
        }
        // Keys are sorted by dataset, so the entries of one dataset follow each other.
        let mut last = None;
        for &(dataset, _) in self.entries.keys() {
            if last == Some(dataset) {
                continue;
            }
            last = Some(dataset);
            let entry = self.entry(dataset, None);
            if let Some(entry) = entry.or_else(|| self.finest.get(&dataset).copied()) {
                give(dataset, entry);
            }
        }
    }

    /// Whether an artifact of this dataset can have a score.
    fn knows(&self, dataset: Option<&str>) -> bool {
        let has = |dataset| {
            // `None` sorts before every text: the range begins at the first score of the dataset.
            let mut from = self.entries.range((dataset, None)..);
            from.next().is_some_and(|((first, _), _)| *first == dataset)
        };
        match dataset {
            Some(dataset) => has(Some(dataset)) || has(None),
            None => !self.entries.is_empty(),
        }
    }
}

/// Ranks every artifact that counts. `groups` are ranges of `rows`; `named` are the kinds that
/// the selection names.
pub(super) fn standings<'a>(
    best: &KeepBest,
    named: &[Kind],
    rows: &[&'a InventoryRow],
    groups: &[Range<usize>],
    counts: &dyn Fn(&InventoryRow) -> bool,
) -> Vec<Standing<'a>> {
    let direction = best.metric.direction();
    let is_ranked = |kind: Kind| match named {
        // Scores rate outputs, unless the caller says otherwise.
        [] => kind == Kind::Output,
        named => named.contains(&kind),
    };
    let goes_along = |kind: Kind| best.with.contains(&kind) && !is_ranked(kind);
    // Scores of every group first: what goes along needs those of the ranked artifacts as well.
    let mut scores: HashMap<(&RunName, i64), Scores<'a>> = HashMap::new();
    for &row in rows {
        let key = &row.artifact.key;
        if let Some(iteration) = row.artifact.newest_iteration()
            && (is_ranked(key.kind()) || goes_along(key.kind()))
        {
            scores
                .entry((key.run(), iteration))
                .or_default()
                .add(&row.scores, direction);
            for (iteration, older) in &row.older_scores {
                let of_iteration = scores.entry((key.run(), *iteration)).or_default();
                of_iteration.add(older, direction);
            }
        }
    }
    let mut standings = vec![Standing::Apart; rows.len()];
    for group in groups {
        let Some(first) = rows.get(group.start) else {
            continue;
        };
        if !is_ranked(first.artifact.key.kind()) {
            continue;
        }
        let mut candidates = Vec::new();
        for at in group.clone() {
            let key = &rows[at].artifact.key;
            let Some(iteration) = rows[at].artifact.newest_iteration() else {
                standings[at] = Standing::NoIteration;
                continue;
            };
            // Unknown until a score is found: a guard keeps what the rule cannot judge.
            standings[at] = Standing::Unknown;
            // What does not count takes no rank from what does.
            if !counts(rows[at]) {
                continue;
            }
            // A snapshot that holds several iterations takes part with each of them.
            let older = rows[at]
                .older_scores
                .iter()
                .map(|(iteration, _)| *iteration);
            for iteration in std::iter::once(iteration).chain(older) {
                let Some(scores) = scores.get(&(key.run(), iteration)) else {
                    continue;
                };
                scores.of(rows[at], |ranking, entry| {
                    candidates.push(Candidate {
                        ranking,
                        iteration,
                        entry,
                        row: at,
                    });
                });
            }
        }
        rank(direction, &mut candidates, &mut standings);
    }
    let kept = kept(best, rows, &standings);
    // What cannot be ranked stays, and so does what goes along with it.
    let unranked: HashSet<(&RunName, i64)> = rows
        .iter()
        .zip(&standings)
        .filter(|(_, standing)| **standing == Standing::NoNumber)
        .filter_map(|(row, _)| Some((row.artifact.key.run(), row.artifact.newest_iteration()?)))
        .collect();
    for (at, row) in rows.iter().enumerate() {
        let key = &row.artifact.key;
        if !goes_along(key.kind()) {
            continue;
        }
        let Some(iteration) = row.artifact.newest_iteration() else {
            standings[at] = Standing::NoIteration;
            continue;
        };
        let place = (key.run(), iteration);
        let dataset = key.dataset().map(|dataset| dataset.as_str());
        let is_known = scores
            .get(&place)
            .is_some_and(|scores| scores.knows(dataset));
        let kinds = kept.get(&place);
        let kind = kinds.and_then(|kinds| match dataset {
            Some(_) => kinds.get(&dataset).or_else(|| kinds.get(&None)).copied(),
            // Without a dataset, as a checkpoint is, it stays with the best of any dataset.
            None => kinds.values().next().copied(),
        });
        standings[at] = match (is_known, kind) {
            (false, _) => Standing::Unknown,
            (true, None) if unranked.contains(&place) => Standing::NoNumber,
            (true, kind) => Standing::Along(kind),
        };
    }
    standings
}

/// Assigns the ranks of a group's rankings.
fn rank<'a>(
    direction: Direction,
    candidates: &mut [Candidate<'a>],
    standings: &mut [Standing<'a>],
) {
    candidates.sort_by(|a, b| {
        a.ranking
            .cmp(&b.ranking)
            .then_with(|| by_value(direction, a.entry.value, b.entry.value))
            // Of equal values the later iteration is better; the rest only makes the order total.
            .then_with(|| b.iteration.cmp(&a.iteration))
            .then_with(|| a.entry.parameters.cmp(&b.entry.parameters))
            .then_with(|| a.entry.dataset.cmp(&b.entry.dataset))
    });
    let unit = |candidate: &Candidate<'a>| {
        let ScoreEntry {
            dataset,
            parameters,
            ..
        } = candidate.entry;
        (candidate.iteration, parameters, dataset)
    };
    // NaN sorts last in a ranking and gets no rank.
    for ranking in candidates.chunk_by(|a, b| a.ranking == b.ranking) {
        let numbers = ranking.partition_point(|candidate| !candidate.entry.value.is_nan());
        let (numbers, rest) = ranking.split_at(numbers);
        let units: Vec<&[Candidate<'a>]> = numbers.chunk_by(|a, b| unit(a) == unit(b)).collect();
        let of = units.len() as u64;
        let value = |at: usize| units.get(at)?.first().map(|first| first.entry.value);
        // Artifacts that share a score, because it is for a whole iteration, share a rank.
        for (at, shared) in units.iter().enumerate() {
            let nth = at as u64 + 1;
            let before = at.checked_sub(1).and_then(value);
            let is_tied = value(at) == before || value(at) == value(at + 1);
            for candidate in *shared {
                let standing = &mut standings[candidate.row];
                // A row without a dataset is in a ranking for each dataset; its best rank counts.
                if !matches!(standing, Standing::Ranked(rank) if rank.nth <= nth) {
                    *standing = Standing::Ranked(Rank {
                        nth,
                        of,
                        value: candidate.entry.value,
                        is_tied,
                        dataset: candidate.ranking,
                    });
                }
            }
        }
        for candidate in rest {
            let standing = &mut standings[candidate.row];
            // A number in another ranking wins over NaN in this one.
            match standing {
                Standing::Unknown | Standing::NotANumber if of == 0 => {
                    *standing = Standing::NoNumber;
                }
                Standing::Unknown => *standing = Standing::NotANumber,
                _ => {}
            }
        }
    }
}

type KeptKinds<'a> = HashMap<(&'a RunName, i64), BTreeMap<Option<&'a str>, Kind>>;

/// The kinds of the ranked artifacts that are among the best, by run, iteration and dataset.
fn kept<'a>(
    best: &KeepBest,
    rows: &[&'a InventoryRow],
    standings: &[Standing<'a>],
) -> KeptKinds<'a> {
    let mut kept = KeptKinds::new();
    for (row, standing) in rows.iter().zip(standings) {
        let key = &row.artifact.key;
        if let (Standing::Ranked(rank), Some(iteration)) =
            (standing, row.artifact.newest_iteration())
            && rank.nth <= best.count
        {
            kept.entry((key.run(), iteration))
                .or_default()
                .entry(key.dataset().map(|dataset| dataset.as_str()))
                // Any of them will do: the kind is only named in the reason.
                .or_insert(key.kind());
        }
    }
    kept
}
