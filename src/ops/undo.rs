//! Undo: reverts an operation of the history, if it can be reverted.
//!
//! A removal is restored from the trash, a pin is removed, an unpin is pinned again, scores get
//! their former values. The undo is an operation too; its reason names the operation that it
//! undoes.

use std::collections::{BTreeSet, HashSet};
use std::ops::ControlFlow;

use serde::Serialize;

use crate::catalog::{self, Catalog, CatalogError, PinChange, place_of_score as place};
use crate::error::Error;
use crate::model::artifact::Artifact;
use crate::model::clock::Timestamp;
use crate::model::detail::Detail;
use crate::model::name::RunName;
use crate::model::operation::{
    Action, HistoryFilter, NewOperation, Operation, UndoError, undo_of, undone_by,
};
use crate::model::pin::PinScope;
use crate::model::removal::{RemovalId, RemovalState};
use crate::ops::remove::Skipped;
use crate::ops::restore::{self, RestoreTarget};
use crate::store::Base;

/// What an undo did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UndoReport {
    /// Number of the operation that is undone.
    pub operation: i64,
    /// What the operation had done.
    pub action: Action,
    /// Artifacts that were restored.
    pub artifacts: Vec<Artifact>,
    /// What could not be restored, and why, as in
    /// [`RestoreReport::skipped`](crate::RestoreReport::skipped).
    pub skipped: Vec<Skipped>,
    /// Number of things that a pin binds again, or no longer binds.
    pub pin: Option<PinChange>,
    /// Number of scores that have their former values.
    pub scores: u64,
}

/// Undoes an operation.
///
/// # Errors
/// [`UndoError`] if nothing of it can be undone, and as [`restore::restore_target`]; nothing is
/// changed then.
pub(crate) fn undo(
    catalog: &Catalog,
    base: &Base,
    id: i64,
    now: Timestamp,
) -> Result<UndoReport, Error> {
    let found = catalog.operation(id)?;
    let (operation, _) = found.ok_or_else(|| refused(UndoError::Unknown { id }))?;
    let reason = undo_of(id);
    let new_operation = |action| NewOperation {
        action,
        at: now,
        reason: Some(&reason),
    };
    let mut entries = operation.detail.iter().flat_map(Detail::entries);
    // The part that this version cannot read would stay done, without a word.
    if entries.any(|entry| matches!(entry, Detail::Other(_))) {
        return Err(of_another_version(&operation));
    }
    let mut report = UndoReport {
        operation: id,
        action: operation.action,
        artifacts: Vec::new(),
        skipped: Vec::new(),
        pin: None,
        scores: 0,
    };
    let later = changed_since(catalog, &operation)?;
    // Each arm is a protocol of its own, with its checks and its transaction.
    match operation.action {
        Action::Remove => {
            let removal = kept_removal(catalog, &operation)?;
            let target = RestoreTarget::Removal(removal);
            let new_operation = new_operation(Action::Restore);
            let restored = restore::restore_target(catalog, base, &target, new_operation)?;
            report.artifacts = restored.artifacts;
            report.skipped = restored.skipped;
        }
        Action::Pin => {
            let change = catalog.release_bound_by(&operation, new_operation(Action::Unpin))?;
            report.pin = Some(change);
        }
        Action::Unpin => {
            let change = catalog.bind_released_by(&operation, new_operation(Action::Pin))?;
            report.pin = Some(change);
        }
        Action::Score | Action::Unscore => {
            // The same action: what the operation set is set once more, to the values before.
            let reset = new_operation(operation.action);
            report.scores = catalog.reset_scores_of(&operation, later, reset)?;
        }
        action => {
            let why = why_never(action);
            return Err(refused(UndoError::Never {
                id,
                action,
                why,
                before: None,
            }));
        }
    }
    Ok(report)
}

/// Which score of an operation a later one in effect changed, in words; `None` if none did.
///
/// # Errors
/// [`UndoError::Changed`] if a run that the operation names has another name since: what it was about
/// went along, and the name may be that of another run.
fn changed_since(catalog: &Catalog, operation: &Operation) -> Result<Option<String>, Error> {
    let entries = || operation.detail.iter().flat_map(Detail::entries);
    let mut runs: BTreeSet<RunName> = BTreeSet::new();
    let name = |scope: &PinScope| scope.run.parse::<RunName>().ok();
    let mut places = HashSet::new();
    for entry in entries() {
        match entry {
            Detail::PinBound(bound) => runs.extend(bound.scopes.iter().filter_map(name)),
            Detail::PinReleased(free) => runs.extend(free.scopes.iter().filter_map(name)),
            Detail::ScoreChanged(change) => {
                runs.insert(change.run.clone());
                places.insert(place(change));
            }
            _ => {}
        }
    }
    if runs.is_empty() {
        return Ok(None);
    }
    let actions = [
        Action::Rename,
        Action::Recover,
        Action::Score,
        Action::Unscore,
    ];
    let filter = HistoryFilter::default().actions(actions);
    let mut undone = BTreeSet::new();
    let mut renames = Vec::new();
    let mut later = None;
    catalog.history(&filter, |found| {
        if found.id <= operation.id {
            return Ok::<_, Error>(ControlFlow::Break(()));
        }
        // The newest comes first: what was undone is passed over with its undo.
        let undid = found.reason.as_deref().and_then(undone_by);
        let is_undo = undid.is_some_and(|undid| undid < found.id);
        let is_in_effect = !undone.contains(&found.id);
        if is_in_effect {
            undone.extend(undid.filter(|_| is_undo));
        }
        for entry in found.detail.iter().flat_map(Detail::entries) {
            match entry {
                Detail::RunRenamed(rename) => renames.push((found.id, rename.clone())),
                Detail::ScoreChanged(change) if is_in_effect && !is_undo => {
                    let place = place(change);
                    if places.contains(&place) {
                        later = Some(format!("{place} (by operation {})", found.id));
                    }
                }
                _ => {}
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    for run in runs {
        let (mut name, mut by) = (run.clone(), operation.id);
        for (id, rename) in renames.iter().rev() {
            if let Some(Ok(new)) = catalog::renamed(&name, &rename.from, &rename.to) {
                (name, by) = (new, *id);
            }
        }
        if name != run {
            return Err(refused(UndoError::Changed {
                id: operation.id,
                what: format!("the name of run {run} ({name} by operation {by})"),
                before: None,
            }));
        }
    }
    Ok(later)
}

/// What a user did and may want to take back. Scans, looks, seals and the like note what is so,
/// often beside the user, and are passed over.
const DEEDS: [Action; 8] = [
    Action::Remove,
    Action::Restore,
    Action::Pin,
    Action::Unpin,
    Action::Score,
    Action::Unscore,
    Action::Rebuild,
    Action::Rename,
];

/// The newest operation that took something away, brought it back or named it otherwise, and that
/// is in effect: no undo that is in effect itself undid it. Undos are passed over with what they
/// undid, so that the next one goes on before them.
///
/// # Errors
/// [`UndoError::Nothing`] if there is none; [`Error::Catalog`] if the history cannot be read.
fn newest(catalog: &Catalog) -> Result<i64, Error> {
    let newest = not_undone(catalog, 1, None)?.into_iter().next();
    let newest = newest.map(|operation| operation.id);
    newest.ok_or_else(|| refused(UndoError::Nothing))
}

/// Undoes the newest operation that was not undone. If that one cannot be, the error names the one
/// before it that can.
///
/// # Errors
/// As [`newest`] and [`undo`].
pub(crate) fn undo_last(
    catalog: &Catalog,
    base: &Base,
    now: Timestamp,
) -> Result<UndoReport, Error> {
    let id = newest(catalog)?;
    undo(catalog, base, id, now).map_err(|mut error| {
        if let Error::Catalog(CatalogError::Undo(
            UndoError::Never { before, .. }
            | UndoError::Already { before, .. }
            | UndoError::TooLate { before, .. }
            | UndoError::Changed { before, .. },
        )) = &mut error
        {
            // What cannot be read is no answer; the error says why this one stays.
            *before = undoable_before(catalog, id).ok().flatten();
        }
        error
    })
}

/// The newest operation before another that was not undone and can be.
fn undoable_before(catalog: &Catalog, id: i64) -> Result<Option<i64>, Error> {
    /// Operations that are looked at.
    const MOST: usize = 100;
    let mut before = not_undone(catalog, MOST, None)?.into_iter();
    let before = before.find(|operation| operation.id < id && can_be_undone(catalog, operation));
    Ok(before.map(|operation| operation.id))
}

/// The newest operations that were not undone and can be, at most so many, the newest first. Only
/// the last of a long history are looked at. The removal of a single artifact is left out if
/// something else is at its place; of larger ones, the rest may come back.
///
/// # Errors
/// [`Error::Catalog`] if the history cannot be read.
#[cfg(feature = "cli")]
pub(crate) fn undoable(catalog: &Catalog, base: &Base, most: usize) -> Result<Vec<i64>, Error> {
    /// Operations that are looked at, whatever they did.
    const LAST: u64 = 1_000;
    let mut found = not_undone(catalog, most, Some(LAST))?;
    let is_taken = |operation: &Operation| {
        let path = operation.path.as_deref().unwrap_or_default();
        operation.action == Action::Remove && operation.artifacts == 1 && !base.is_absent(path)
    };
    found.retain(|operation| can_be_undone(catalog, operation) && !is_taken(operation));
    leave_out_superseded(&mut found);
    Ok(found.iter().map(|operation| operation.id).collect())
}

/// Leaves out pins and unpins of operations, the newest first, all of which newer ones of the same
/// pin let go or bound again: there is nothing of them left to reverse.
#[cfg(feature = "cli")]
fn leave_out_superseded(found: &mut Vec<Operation>) {
    let mut scopes: HashSet<(String, String)> = HashSet::new();
    let mut artifacts: HashSet<(String, crate::model::artifact::ArtifactId)> = HashSet::new();
    found.retain(|operation| {
        let mut is_newest = false;
        let mut is_of_pin = false;
        for entry in operation.detail.iter().flat_map(Detail::entries) {
            let (pin, of_scopes, of_artifacts) = match entry {
                Detail::PinBound(bound) => (&bound.pin, &bound.scopes, &bound.artifacts),
                Detail::PinReleased(free) => (&free.pin, &free.scopes, &free.artifacts),
                _ => continue,
            };
            is_of_pin = true;
            for scope in of_scopes {
                is_newest |= scopes.insert((pin.to_string(), scope.to_string()));
            }
            for artifact in of_artifacts {
                is_newest |= artifacts.insert((pin.to_string(), *artifact));
            }
        }
        is_newest || !is_of_pin
    });
}

/// Whether an operation that was not undone can be.
fn can_be_undone(catalog: &Catalog, operation: &Operation) -> bool {
    match operation.action {
        Action::Remove => kept_removal(catalog, operation).is_ok(),
        // What was renamed or set again since is refused too.
        action => {
            why_never(action).is_empty() && matches!(changed_since(catalog, operation), Ok(None))
        }
    }
}

/// The newest of what users did that was not undone, at most so many, and if it is given, among so
/// many operations of any kind.
fn not_undone(catalog: &Catalog, most: usize, last: Option<u64>) -> Result<Vec<Operation>, Error> {
    let filter = match last {
        None => HistoryFilter::default().actions(DEEDS),
        // Without an index of actions, a selection would go through the whole history.
        Some(_) => HistoryFilter {
            most: last,
            ..HistoryFilter::default()
        },
    };
    let mut undone = BTreeSet::new();
    let mut found = Vec::new();
    catalog.history(&filter, |operation| {
        // The newest comes first: what undid an undo is known before it.
        if undone.contains(&operation.id) || !DEEDS.contains(&operation.action) {
            return Ok(ControlFlow::Continue(()));
        }
        let undid = operation.reason.as_deref().and_then(undone_by);
        match undid.filter(|undid| *undid < operation.id) {
            Some(undid) => {
                undone.insert(undid);
            }
            None => found.push(operation),
        }
        Ok::<_, Error>(match found.len() < most {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        })
    })?;
    Ok(found)
}

/// The removal that an operation made, if its data is still in the trash.
fn kept_removal(catalog: &Catalog, operation: &Operation) -> Result<RemovalId, Error> {
    let id = operation.id;
    let entries = operation.detail.iter().flat_map(Detail::entries);
    let mut made = entries.filter_map(|entry| match entry {
        Detail::RemovalMade(made) => Some(made.removal.clone()),
        _ => None,
    });
    let removal = made
        .next_back()
        .ok_or_else(|| of_another_version(operation))?;
    let found = catalog.removal(&removal)?;
    let state = found.map(|removal| removal.state);
    match state {
        Some(RemovalState::Kept) => Ok(removal),
        Some(RemovalState::Restored) => Err(refused(UndoError::Already {
            id,
            why: format!("removal {removal} is restored"),
            before: None,
        })),
        Some(state) => Err(refused(UndoError::TooLate {
            id,
            why: format!("removal {removal} is {state}"),
            before: None,
        })),
        None => Err(Error::NoRemoval {
            id: removal.to_string(),
            nearest: None,
        }),
    }
}

/// The error of an operation that does not say in known words what it did.
fn of_another_version(operation: &Operation) -> Error {
    refused(UndoError::Never {
        id: operation.id,
        action: operation.action,
        why: "another version of dalsegno wrote it, and this one cannot read what it did; undo it \
              with that version, or restore a removal by its id",
        before: None,
    })
}

fn refused(error: UndoError) -> Error {
    Error::Catalog(error.into())
}

/// Why operations of a kind are never undone.
fn why_never(action: Action) -> &'static str {
    match action {
        Action::Record => "a path that was handed out stays valid; remove the artifact instead",
        Action::Scan => "what was found is on disk; remove it with dalsegno rm",
        Action::Refresh => "it noted what is on disk",
        Action::Seal => "it noted a writer's word",
        Action::Restore => "remove the artifacts again with dalsegno rm",
        Action::Purge => "what is unlinked is gone",
        Action::Recover => "it settled what a crash had left",
        Action::Rebuild => "it noted what the trash and the disk hold",
        Action::Rename => "give the run its old name with dalsegno mv",
        // These are undone, so nothing asks.
        Action::Remove | Action::Pin | Action::Unpin | Action::Score | Action::Unscore => "",
    }
}
