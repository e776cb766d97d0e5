//! One finding for a rename by hand, with what is found at both paths only because of it.

use std::collections::{BTreeSet, HashMap};

use super::comparison::Verify;
use super::finding::{Follows, Repair, VerifyClass, VerifyFinding, VerifyPart};
use super::renames::Rename;
use crate::error::Error;
use crate::model::artifact::ArtifactId;
use crate::model::name::RunName;
use crate::model::words;
use crate::store::Base;

/// Which rename explains what is found about a row, or about data that has none.
struct Explained<'a> {
    rows: HashMap<ArtifactId, usize>,
    paths: HashMap<String, usize>,
    renames: &'a [Rename],
}

impl<'a> Explained<'a> {
    fn new(base: &Base, renames: &'a [Rename]) -> Self {
        let mut explained = Self {
            rows: HashMap::new(),
            paths: HashMap::new(),
            renames,
        };
        for (index, rename) in renames.iter().enumerate() {
            for (before, after) in &rename.fit.rows {
                let path = after.location().path();
                // A checkpoint that is at neither path is gone, whatever became of its run.
                if !base.is_absent(&path) {
                    explained.rows.insert(before.id, index);
                    explained.paths.insert(path, index);
                }
            }
            // Rows that go because others get their paths.
            let dropped = rename.fit.occupants.iter().filter(|(_, is_free)| *is_free);
            let dropped = dropped.map(|(row, _)| row).chain(&rename.fit.replaced);
            for row in dropped.chain(rename.dropped()) {
                explained.rows.entry(row.id).or_insert(index);
            }
        }
        explained
    }

    /// The rename that explains a finding.
    fn by(&self, found: &VerifyFinding) -> Option<usize> {
        match (found.class, found.artifact) {
            (VerifyClass::DataWithoutRow, _) => self.paths.get(&found.path).copied(),
            (
                VerifyClass::RowWithoutData
                | VerifyClass::DataIsBack
                | VerifyClass::Rewritten
                | VerifyClass::ChangedFiles
                | VerifyClass::ChangedSize
                | VerifyClass::ChangedContent,
                Some(row),
            ) => self.rows.get(&row).copied(),
            _ => None,
        }
    }
}

impl Verify<'_> {
    /// Reports renames, each as one finding.
    ///
    /// # Errors
    /// [`Error`] if the catalog cannot be read.
    pub(super) fn find_renames(&mut self, renames: &[Rename]) -> Result<(), Error> {
        let explained = Explained::new(self.base, renames);
        let mut parts: Vec<Vec<VerifyPart>> = renames.iter().map(|_| Vec::new()).collect();
        let mut findings = std::mem::take(&mut self.report.findings);
        findings.retain(|found| match explained.by(found) {
            None => true,
            Some(index) => {
                parts[index].push(VerifyPart {
                    class: found.class,
                    path: found.path.clone(),
                    artifact: found.artifact,
                    detail: found.detail.clone(),
                });
                false
            }
        });
        self.report.findings = findings;
        for (rename, mut findings) in explained.renames.iter().zip(parts) {
            findings.sort_by(|a, b| (a.class, &a.path).cmp(&(b.class, &b.path)));
            let (scores, mut pins) = match rename.old.parse::<RunName>() {
                Ok(run) if rename.is_run => self.catalog.bound_to(&run)?,
                _ => (0, BTreeSet::new()),
            };
            let rows = rename.fit.rows.iter().map(|(before, _)| before);
            pins.extend(rows.flat_map(|row| row.pins.iter().cloned()));
            let follows = Follows {
                to: rename.new.clone(),
                arrays: rename.fit.arrays as u64,
                pins: pins.len() as u64,
                scores,
                passed: rename.passed.iter().map(|(old, _)| old.clone()).collect(),
                findings,
            };
            self.find(VerifyFinding {
                class: VerifyClass::Moved,
                path: rename.old.clone(),
                artifact: None,
                detail: detail(&follows, rename),
                repair: Some(Repair::Follow),
                follows: Some(follows),
            });
        }
        Ok(())
    }
}

/// What follows a rename, in words.
fn detail(follows: &Follows, rename: &Rename) -> String {
    let adopted = match rename.fit.adopted > 0 {
        true => ", where a scan took its data for new",
        false => "",
    };
    let mut what = vec![rename.fit.counted()];
    for (count, noun) in [(follows.pins, "pin"), (follows.scores, "score")] {
        if count > 0 {
            what.push(words::count(count, noun));
        }
    }
    let follow = match (what.len(), follows.arrays) {
        (1, 1) => "follows",
        _ => "follow",
    };
    let what = match what.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, first)) => format!("{} and {last}", first.join(", ")),
        None => String::new(),
    };
    let passed = match follows.passed.is_empty() {
        true => String::new(),
        false => format!(
            "; a scan saw its data as {} in between, whose rows go",
            follows.passed.join(" and as ")
        ),
    };
    let others = match rename.fit.changed.len() {
        0 => "",
        1 => ", and the row of the other, which was written again or is gone",
        _ => ", and the rows of the others, which were written again or are gone",
    };
    format!(
        "it is now {}{adopted}: {what} {follow}{others}{passed}",
        follows.to
    )
}
