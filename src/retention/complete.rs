//! Which iterations of a run are complete.
//!
//! An iteration is complete if it has every prediction and output, by dataset and parameters, that
//! any iteration of the run has, none of them damaged and none short. An array is short if chunks
//! of it are missing, it is not sealed, and the same array of another iteration is sealed and has
//! them all; or if it is sealed and lost chunks since. A pyramid that is not sealed is short too if
//! it names a level that is not there, or if the same pyramid of another iteration has more levels.
//! A crash in mid-validation leaves an iteration that is not complete.
//!
//! If parameter sets changed, no iteration has all of them. Then rules count those that have each
//! kind for each dataset and are not part of another. If there are none either, rules count every
//! iteration.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::model::artifact::{Artifact, State};
use crate::model::key::{Key, Kind};
use crate::model::name::{DatasetName, Parameters, RunName};
use crate::model::words;

/// A prediction or an output of an iteration. `Display` writes `crop7/output/threshold_127`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    dataset: Option<DatasetName>,
    kind: Kind,
    parameters: Option<Parameters>,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(dataset) = &self.dataset {
            write!(f, "{dataset}/")?;
        }
        write!(f, "{}", self.kind)?;
        match &self.parameters {
            Some(parameters) => write!(f, "/{parameters}"),
            None => Ok(()),
        }
    }
}

impl Part {
    fn of(key: &Key) -> Option<(i64, Self)> {
        let is_validation = matches!(key.kind(), Kind::Prediction | Kind::Output);
        let part = || Self {
            dataset: key.dataset().cloned(),
            kind: key.kind(),
            parameters: key.parameters().cloned(),
        };
        key.iteration()
            .filter(|_| is_validation)
            .map(|iteration| (iteration, part()))
    }
}

/// What a run has of each iteration: its present predictions and outputs, selected or not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RunParts {
    iterations: BTreeMap<i64, BTreeSet<Part>>,
    /// What is there of each iteration and not whole, and why.
    faulty: BTreeMap<i64, BTreeMap<Part, String>>,
    /// Present parts that lack chunks: how many are there, and how many there should be.
    with_gaps: BTreeMap<(i64, Part), (u64, u64)>,
    /// Parts of which an iteration has a sealed one with every chunk.
    whole_if_sealed: BTreeSet<Part>,
    /// Numbers of levels of pyramids that are not sealed.
    levels: BTreeMap<(i64, Part), usize>,
    /// The most levels of a pyramid in any iteration.
    most_levels: BTreeMap<Part, usize>,
}

/// The parts of each run.
pub type PartsByRun = BTreeMap<RunName, RunParts>;

impl RunParts {
    /// Adds a present artifact; only predictions and outputs count.
    pub fn add(&mut self, key: &Key) {
        if let Some((iteration, part)) = Part::of(key) {
            self.iterations.entry(iteration).or_default().insert(part);
        }
    }

    /// Adds an artifact by its state, seal and chunks; only predictions and outputs count. After
    /// the last one call [`settle`](Self::settle).
    pub fn add_artifact(&mut self, artifact: &Artifact) {
        let Some((iteration, part)) = Part::of(&artifact.key) else {
            return;
        };
        match artifact.state {
            State::Present => self.add(&artifact.key),
            State::Damaged => {
                // It is there, but its iteration is not complete by it.
                let faulty = self.faulty.entry(iteration).or_default();
                faulty.insert(part, "damaged".to_owned());
                return;
            }
            State::Reserved | State::Missing => return,
        }
        let metadata = artifact.metadata.as_ref();
        let absent = metadata.and_then(|metadata| metadata.missing_levels());
        let levels = artifact.levels.len();
        if levels > 0 {
            let most = self.most_levels.entry(part.clone()).or_default();
            *most = levels.max(*most);
        }
        match (artifact.sealed_at, absent) {
            // The writer's word that it is whole counts more than what the group names.
            (Some(_), _) => {}
            (None, Some(absent)) => return self.add_loss(&artifact.key, &absent),
            (None, None) if levels > 0 => {
                self.levels.insert((iteration, part.clone()), levels);
            }
            (None, None) => {}
        }
        // If its chunks were not counted, it counts as whole.
        if let Some((there, expected)) = artifact.chunk_counts() {
            match (artifact.sealed_at, there < expected) {
                (Some(_), _) if artifact.has_lost_chunks() => {
                    self.add_loss(
                        &artifact.key,
                        &format!("chunks {}", words::of(there, expected)),
                    );
                    if artifact.sealed_count() == Some(expected) {
                        self.whole_if_sealed.insert(part);
                    }
                }
                (None, true) => {
                    self.with_gaps.insert((iteration, part), (there, expected));
                }
                (Some(_), false) => {
                    self.whole_if_sealed.insert(part);
                }
                // The writer's word that it is whole: chunks of the fill value are left out.
                (Some(_), true) | (None, false) => {}
            }
        }
    }

    /// Takes out what is short: chunks are missing that the sealed ones of other iterations have, or
    /// levels that any other has.
    pub fn settle(&mut self) {
        for ((iteration, part), levels) in std::mem::take(&mut self.levels) {
            if let Some(&most) = self.most_levels.get(&part)
                && levels < most
            {
                self.take_out(iteration, part, format!("levels {levels}/{most}"));
            }
        }
        for ((iteration, part), (there, expected)) in std::mem::take(&mut self.with_gaps) {
            // No sealed one has every chunk, so gaps may be chunks of the fill value.
            if self.whole_if_sealed.contains(&part) {
                self.take_out(
                    iteration,
                    part,
                    format!("chunks {}", words::of(there, expected)),
                );
            }
        }
    }

    /// Counts a part as not whole, for this reason.
    fn take_out(&mut self, iteration: i64, part: Part, why: String) {
        if let Some(parts) = self.iterations.get_mut(&iteration) {
            parts.remove(&part);
        }
        self.faulty.entry(iteration).or_default().insert(part, why);
    }

    fn wanted(&self) -> BTreeSet<&Part> {
        // What a single iteration has is wanted of all of them.
        self.iterations.values().flatten().collect()
    }

    /// The iteration of a prediction or an output; `None` for other artifacts.
    pub(super) fn iteration_of(key: &Key) -> Option<i64> {
        Part::of(key).map(|(iteration, _)| iteration)
    }

    /// Whether the iteration has any prediction or output.
    #[must_use]
    pub fn has(&self, iteration: i64) -> bool {
        self.iterations.contains_key(&iteration) || self.faulty.contains_key(&iteration)
    }

    /// Whether these are all iterations.
    pub(super) fn are_all(&self, counted: &BTreeSet<i64>) -> bool {
        counted.len() == self.iterations.len()
    }

    /// What each iteration lacks that others have, such as `crop7/output/threshold_127`; only
    /// iterations that have a prediction or output and are not complete.
    #[must_use]
    pub fn missing(&self) -> BTreeMap<i64, Vec<String>> {
        let wanted = self.wanted();
        let (no_parts, no_faults) = (BTreeSet::new(), BTreeMap::new());
        let lacks = |iteration: &i64| -> Vec<String> {
            let parts = self.iterations.get(iteration).unwrap_or(&no_parts);
            let faulty = self.faulty.get(iteration).unwrap_or(&no_faults);
            let absent = wanted.iter().filter(|part| !parts.contains(part));
            let all: BTreeSet<&Part> = absent.copied().chain(faulty.keys()).collect();
            let name = |part: &Part| match faulty.get(part) {
                Some(fault) => format!("{part} ({fault})"),
                None => part.to_string(),
            };
            all.into_iter().map(name).collect()
        };
        let iterations: BTreeSet<&i64> = self.iterations.keys().chain(self.faulty.keys()).collect();
        iterations
            .into_iter()
            .map(|iteration| (*iteration, lacks(iteration)))
            .filter(|(_, missing)| !missing.is_empty())
            .collect()
    }

    fn complete(&self) -> BTreeSet<i64> {
        let wanted = self.wanted().len();
        // Parts are a subset of what is wanted, so equal numbers mean equal sets.
        let is_complete = |(iteration, parts): &(&i64, &BTreeSet<Part>)| {
            parts.len() == wanted && !self.faulty.contains_key(iteration)
        };
        let complete = self.iterations.iter().filter(is_complete);
        complete.map(|(iteration, _)| *iteration).collect()
    }

    /// The iterations that rules count; empty only if the run has no prediction and no output.
    pub(super) fn counted(&self) -> BTreeSet<i64> {
        let complete = self.complete();
        if !complete.is_empty() {
            return complete;
        }
        // Parameter sets changed: compare by dataset and kind alone.
        let places = |parts: &BTreeSet<Part>| -> BTreeSet<(Option<DatasetName>, Kind)> {
            let place = |part: &Part| (part.dataset.clone(), part.kind);
            parts.iter().map(place).collect()
        };
        let wanted: BTreeSet<_> = self.iterations.values().flat_map(places).collect();
        let whole: BTreeMap<&i64, &BTreeSet<Part>> = self
            .iterations
            .iter()
            .filter(|(_, parts)| places(parts) == wanted)
            .collect();
        // An iteration that is a part of another one was cut short.
        let is_part = |parts: &BTreeSet<Part>| {
            let mut others = whole.values();
            others.any(|other| parts.len() < other.len() && parts.is_subset(other))
        };
        let counted: BTreeSet<i64> = whole
            .iter()
            .filter(|(_, parts)| !is_part(parts))
            .map(|(iteration, _)| **iteration)
            .collect();
        // If all are cut short, all count: otherwise no rule could keep one.
        match counted.is_empty() {
            true => self.iterations.keys().copied().collect(),
            false => counted,
        }
    }

    /// Counts a part as not whole, for this reason: its data was looked at, and some is lost.
    pub(crate) fn add_loss(&mut self, key: &Key, detail: &str) {
        if let Some((iteration, part)) = Part::of(key) {
            self.take_out(iteration, part, detail.to_owned());
        }
    }

    fn without<'a>(&self, gone: impl Iterator<Item = &'a Key>) -> Self {
        let mut left = self.clone();
        for (iteration, part) in gone.filter_map(Part::of) {
            if let Some(parts) = left.iterations.get_mut(&iteration) {
                parts.remove(&part);
            }
            if let Some(parts) = left.faulty.get_mut(&iteration) {
                parts.remove(&part);
            }
        }
        left
    }

    /// The newest complete iteration that is left without `gone`, by what the run has now.
    pub(crate) fn newest_complete_without<'a>(
        &self,
        gone: impl Iterator<Item = &'a Key>,
    ) -> Option<i64> {
        let wanted = self.wanted().len();
        let left = self.without(gone);
        let mut newest_first = left.iterations.iter().rev();
        let (newest, _) = newest_first.find(|(iteration, parts)| {
            parts.len() == wanted && !self.faulty.contains_key(iteration)
        })?;
        Some(*newest)
    }

    /// The newest complete iteration, if without `gone` the run would have predictions or outputs
    /// but no complete iteration, and has one now.
    pub(crate) fn last_complete_without<'a>(
        &self,
        gone: impl Iterator<Item = &'a Key>,
    ) -> Option<i64> {
        let left = self.without(gone);
        // By what the run has now: once every output is gone, bare predictions would be complete.
        let wanted = self.wanted().len();
        let mut complete = left.iterations.iter();
        let is_kept = complete.any(|(iteration, parts)| {
            parts.len() == wanted && !self.faulty.contains_key(iteration)
        });
        // A run that loses all of them is not left incomplete.
        let is_gone = left.iterations.values().all(BTreeSet::is_empty)
            && left.faulty.values().all(BTreeMap::is_empty);
        match is_kept || is_gone {
            true => None,
            false => self.complete().last().copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::array::{ArrayMetadata, ChunkSet};
    use crate::model::artifact::ArtifactId;
    use crate::model::clock::Timestamp;
    use crate::model::layout;

    /// Each word is `iteration:dataset`, a prediction, or `iteration:dataset:parameters`.
    fn run(text: &str) -> RunParts {
        let mut run = RunParts::default();
        for word in text.split_whitespace() {
            let path = match word.split(':').collect::<Vec<_>>()[..] {
                [iteration, dataset] => format!("{iteration}/{dataset}/prediction"),
                [iteration, dataset, set] => format!("{iteration}/{dataset}/output/{set}"),
                _ => panic!("{word}"),
            };
            run.add(&layout::parse(&format!("a/validation.zarr/{path}")).unwrap());
        }
        run
    }

    #[test]
    fn rules_count_complete_iterations() {
        let cases: [(&str, &[i64]); 7] = [
            ("1:v 1:v:t 1:w 1:w:t 2:v 2:v:t", &[1]),
            ("1:v 2:v 3:v", &[1, 2, 3]),
            // A dataset was added later.
            ("1:v 1:v:t 2:v 2:v:t 2:w 2:w:t", &[2]),
            // Parameter sets changed; 3 was validated with them, 4 crashed.
            ("1:v 1:v:a 2:v 2:v:a 3:v 3:v:b 4:v", &[1, 2, 3]),
            // 3 crashed in the first validation with other parameters.
            ("1:v 1:v:a 1:w 1:w:a 3:v 3:v:b", &[1]),
            // No iteration was ever complete: every one counts.
            ("1:v 2:w", &[1, 2]),
            ("", &[]),
        ];
        for (text, counted) in cases {
            let counted: BTreeSet<i64> = counted.iter().copied().collect();
            assert_eq!(run(text).counted(), counted, "{text}");
        }
    }

    /// The artifact of a word of [`run`], as it is made present.
    fn artifact(word: &str) -> Artifact {
        let parts = run(word);
        let (iteration, kinds) = parts.iterations.first_key_value().unwrap();
        let part = kinds.first().unwrap();
        let path = format!("a/validation.zarr/{iteration}/{part}");
        let key = layout::parse(&path).unwrap();
        let base = std::path::Path::new("/base");
        let mut artifact = Artifact::new(ArtifactId(1), key, Timestamp(0), base);
        artifact.state = State::Present;
        artifact.metadata = ArrayMetadata::parse(r#"{"shape":[4],"chunks":[1],"keys":"."}"#);
        artifact
    }

    #[test]
    fn what_is_damaged_or_short_makes_an_iteration_incomplete() {
        let all = ["1:v", "1:v:t", "2:v", "2:v:t", "3:v", "3:v:t"];
        let mut parts = RunParts::default();
        for word in all {
            let mut artifact = artifact(word);
            match word {
                "1:v" => {
                    artifact.sealed_at = Some(Timestamp(1));
                    artifact.chunks_there = Some(4);
                }
                "2:v" => artifact.chunks_there = Some(3),
                // Outputs are sparse, and none is sealed as whole.
                "2:v:t" => artifact.chunks_there = Some(1),
                "3:v:t" => artifact.state = State::Damaged,
                _ => {}
            }
            parts.add_artifact(&artifact);
        }
        parts.settle();
        assert_eq!(parts.counted(), BTreeSet::from([1]));
        let missing = BTreeMap::from([
            (2, vec!["v/prediction (chunks 3/4)".to_owned()]),
            (3, vec!["v/output/t (damaged)".to_owned()]),
        ]);
        assert_eq!(parts.missing(), missing);
        let gone = [artifact("1:v").key, artifact("1:v:t").key];
        assert_eq!(parts.last_complete_without(gone.iter()), Some(1));
    }

    #[test]
    fn what_lost_chunks_since_it_was_sealed_makes_an_iteration_incomplete() {
        let mut parts = RunParts::default();
        for (word, there, sealed) in [
            ("1:v", 4, None),
            // Sealed as it is: what is not there is of the fill value.
            ("2:v", 2, Some(vec![0, 1])),
            ("3:v", 3, Some(vec![0, 1, 2, 3])),
            ("4:v", 1, Some(vec![0, 1])),
        ] {
            let mut artifact = artifact(word);
            artifact.sealed_at = Some(Timestamp(1));
            artifact.chunks_there = Some(there);
            artifact.sealed_chunks = sealed.and_then(ChunkSet::of);
            parts.add_artifact(&artifact);
        }
        parts.settle();
        assert_eq!(parts.counted(), BTreeSet::from([1, 2]));
        let missing = BTreeMap::from([
            (3, vec!["v/prediction (chunks 3/4)".to_owned()]),
            (4, vec!["v/prediction (chunks 1/4)".to_owned()]),
        ]);
        assert_eq!(parts.missing(), missing);
    }

    #[test]
    fn a_loss_that_a_look_found_makes_an_iteration_incomplete() {
        let mut parts = run("1:v 2:v 3:v");
        let gone = [artifact("1:v").key];
        assert_eq!(parts.newest_complete_without(gone.iter()), Some(3));
        parts.add_loss(&artifact("3:v").key, "files 1/3");
        assert_eq!(parts.newest_complete_without(gone.iter()), Some(2));
        assert_eq!(parts.last_complete_without(gone.iter()), None);
        parts.add_loss(&artifact("2:v").key, "files 1/3");
        assert_eq!(parts.newest_complete_without(gone.iter()), None);
        assert_eq!(parts.last_complete_without(gone.iter()), Some(1));
        assert_eq!(parts.counted(), BTreeSet::from([1]));
        assert_eq!(parts.missing()[&3], ["v/prediction (files 1/3)"]);
    }

    #[test]
    fn what_is_missing_is_named() {
        let missing = run("1:v 1:v:t 1:w 1:w:t 2:v").missing();
        let of_2 = ["v/output/t", "w/prediction", "w/output/t"].map(str::to_owned);
        assert_eq!(missing, BTreeMap::from([(2, of_2.to_vec())]));
    }
}
