//! What sealed arrays have lost that stay in place of what goes.
//!
//! The row of a sealed array has what was counted at the seal, as evidence. So a plan that keeps an
//! iteration because it is complete looks at the sealed predictions and outputs of it, and is made
//! again without what turns out to lack data. It looks at the newest complete iteration that each
//! run is left with too.
//!
//! Other sealed arrays are not looked at, because this counts files: what only an age, a pin or a
//! number keeps. If one of them lacks data, nothing good goes for it. Rules that count iterations
//! give their reason to each that they count, so all of these are looked at. A rule by age, a pin
//! or a number keeps the same whatever is complete, limits take the oldest first, and a run keeps a
//! complete iteration only by one that was looked at.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::Path;

use super::request::GcRequest;
use crate::catalog::{Catalog, Selected};
use crate::error::Error;
use crate::model::artifact::{Artifact, ArtifactId, State};
use crate::model::clock::Timestamp;
use crate::model::filter::{Filter, Pattern};
use crate::model::key::{Key, Kind};
use crate::model::name::RunName;
use crate::model::observation::Observation;
use crate::model::progress::Silent;
use crate::model::words;
use crate::ops::held::Held;
use crate::ops::refresh;
use crate::retention::{PartsByRun, Plan, Reason};
use crate::store::{self, Base, Event, Notice, NoticeClass, WalkOptions};

/// The losses that were found so far.
#[derive(Default)]
pub(super) struct Losses {
    seen: HashSet<ArtifactId>,
    lost: Vec<(Key, String)>,
    /// What could not be read.
    unread: HashSet<ArtifactId>,
}

impl Losses {
    /// What a look at the disk could not read of what the rules decide on, or what lies in a removal
    /// that was interrupted. Its rows say what they said before, which nothing shows to be true
    /// now.
    ///
    /// # Errors
    /// [`Error`] if the catalog or the trash cannot be read.
    pub(super) fn of_unread(
        catalog: &Catalog,
        base: &Base,
        request: &GcRequest,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let mut found = Self::default();
        let held = Held::of(catalog, base)?;
        if request.unread.is_empty() && held.is_empty() {
            return Ok(found);
        }
        for selection in request.selections() {
            catalog.list(&selection, now, Selected::All, |artifact| {
                if is_unread(request, &artifact) || held.has(base, &artifact.location().path()) {
                    found.unread.insert(artifact.id);
                    found.lost.push((artifact.key, "unreadable".to_owned()));
                }
                Ok::<_, Error>(ControlFlow::Continue(()))
            })?;
        }
        Ok(found)
    }

    /// Whether this could not be read.
    pub(super) fn is_unread(&self, id: ArtifactId) -> bool {
        self.unread.contains(&id)
    }

    /// Takes what was lost out of what runs have.
    pub(super) fn mark(&self, parts: &mut PartsByRun) {
        for (key, detail) in &self.lost {
            if let Some(run) = parts.get_mut(key.run()) {
                run.add_loss(key, detail);
            }
        }
    }

    /// Looks at what the plan keeps as complete. Says whether anything was looked at: then the plan
    /// is to be made again.
    ///
    /// # Errors
    /// [`Error`] if the catalog cannot be read, or the look cannot be done at all.
    pub(super) fn look(
        &mut self,
        catalog: &Catalog,
        base: &Base,
        plan: &Plan,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let mut gone: BTreeMap<&RunName, Vec<&Key>> = BTreeMap::new();
        for line in plan.removed() {
            let key = &line.artifact.key;
            gone.entry(key.run()).or_default().push(key);
        }
        let kept = plan.kept();
        let kept = kept.filter(|line| line.reasons.iter().any(counts_iterations));
        let relied = kept.filter_map(|line| {
            let key = &line.artifact.key;
            Some((key.run().clone(), line.artifact.newest_iteration()?))
        });
        self.look_at(catalog, base, &gone, relied.collect(), now)
    }

    /// Looks at these iterations of the runs that lose something, and at the newest complete one
    /// that each of them is left with.
    ///
    /// # Errors
    /// As [`look`](Self::look).
    pub(super) fn look_at(
        &mut self,
        catalog: &Catalog,
        base: &Base,
        gone: &BTreeMap<&RunName, Vec<&Key>>,
        mut relied: BTreeSet<(RunName, i64)>,
        now: Timestamp,
    ) -> Result<bool, Error> {
        if gone.is_empty() {
            return Ok(false);
        }
        let of_runs = Filter {
            runs: gone.keys().map(|run| Pattern::from(run.as_str())).collect(),
            kinds: vec![Kind::Prediction, Kind::Output],
            states: vec![State::Present],
            ..Filter::default()
        };
        let mut parts = catalog.parts(&of_runs, now)?;
        self.mark(&mut parts);
        for (run, keys) in gone {
            let newest = parts
                .get(*run)
                .and_then(|parts| parts.newest_complete_without(keys.iter().copied()));
            relied.extend(newest.map(|iteration| ((*run).clone(), iteration)));
        }
        let going: HashSet<&Key> = gone.values().flatten().copied().collect();
        let mut due: Vec<Artifact> = Vec::new();
        catalog.list(&of_runs, now, Selected::All, |artifact| {
            let at = artifact.key.iteration();
            let at = at.map(|iteration| (artifact.key.run().clone(), iteration));
            if artifact.sealed_at.is_some()
                && at.is_some_and(|at| relied.contains(&at))
                && !going.contains(&artifact.key)
                && self.seen.insert(artifact.id)
            {
                due.push(artifact);
            }
            Ok::<_, Error>(ControlFlow::Continue(()))
        })?;
        self.count(base, &due)?;
        Ok(!due.is_empty())
    }

    fn count(&mut self, base: &Base, due: &[Artifact]) -> Result<(), Error> {
        if due.is_empty() {
            return Ok(());
        }
        let rows: HashMap<i64, &Artifact> = due.iter().map(|row| (row.id.0, row)).collect();
        let options = WalkOptions {
            measure: true,
            ..WalkOptions::default()
        };
        let looks = due.iter().map(refresh::look).collect();
        store::look_at(base, options, &Silent, looks, |event| {
            if let Event::Looked(id, seen) = event
                && let Some(row) = rows.get(&id)
                && let Some(detail) = loss(row, seen.as_ref())
            {
                self.lost.push((row.key.clone(), detail));
            }
            Ok::<_, Error>(())
        })
    }
}

/// Whether the data of an artifact, or a folder above it, could not be read.
fn is_unread(request: &GcRequest, artifact: &Artifact) -> bool {
    let path = artifact.location().path();
    let mut folders = Path::new(&path).ancestors();
    folders.any(|folder| {
        // In the form that notices have.
        let notice = Notice::new(NoticeClass::Unreadable, folder, String::new());
        request.unread.contains(&notice.path)
    })
}

/// Whether a reason is a rule that counts complete iterations. Others keep by age, pin or number,
/// whatever is complete.
fn counts_iterations(reason: &Reason) -> bool {
    matches!(
        reason.rule,
        "keep-last" | "keep-first" | "keep-every" | "keep-best" | "last-complete"
    )
}

/// What sealed data lacks now of what was counted at the seal.
fn loss(row: &Artifact, seen: Option<&Observation>) -> Option<String> {
    let Some(seen) = seen else {
        return Some("gone".to_owned());
    };
    if seen.damage.is_some() {
        return Some("damaged".to_owned());
    }
    if let (Some(sealed), Some(there)) = (row.sealed_count(), seen.chunks)
        && there < sealed
    {
        let expected = row.chunks_expected().unwrap_or(sealed);
        return Some(format!("chunks {}", words::of(there, expected)));
    }
    let (sealed, there) = (row.size?, seen.size?);
    if there.files < sealed.files {
        return Some(format!("files {}", words::of(there.files, sealed.files)));
    }
    // A chunk that was cut off is lost as well.
    let is_cut = there.bytes < sealed.bytes;
    is_cut.then(|| format!("bytes {}", words::of(there.bytes.0, sealed.bytes.0)))
}
