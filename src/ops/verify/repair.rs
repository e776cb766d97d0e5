//! Repair: fixes in the catalog, or in consolidated metadata, what a finding reports. Never changes
//! data.
//!
//! A repair takes from a finding only what it is about. It reads the row and the disk again, and
//! both once more within the transaction. So findings can be repaired in any order, in part, late,
//! and twice.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use serde::Serialize;

use super::comparison::BATCH;
use super::finding::{Repair, VerifyClass, VerifyFinding};
use super::follow::Following;
use super::lists::group_of;
use super::tree;
use crate::catalog::{Catalog, CatalogError, ScannedArtifact};
use crate::error::Error;
use crate::model::artifact::{Artifact, ArtifactId, State};
use crate::model::clock::Timestamp;
use crate::model::key::{Key, Kind};
use crate::model::layout;
use crate::model::observation::Observation;
use crate::model::operation::{Action, NewOperation};
use crate::model::progress::{Monitor, Phase};
use crate::ops::recover;
use crate::ops::refresh;
use crate::ops::scan;
use crate::ops::twins;
use crate::store::{self, Base, Event, Hashed, Look, ReadError, StorageError, Trash, WalkOptions};

/// The reason that the history gives for what a repair does.
const REASON: &str = "verify --repair";

/// What a repair did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct RepairReport {
    /// Findings that were fixed.
    pub repaired: Vec<VerifyFinding>,
    /// Findings that are left, without a repair: they need manual action.
    pub left: Vec<VerifyFinding>,
}

/// Repairs findings of a verification.
///
/// # Errors
/// [`Error`] if the catalog cannot be written; batches that were fixed stay.
pub(crate) fn repair(
    catalog: &Catalog,
    base: &Base,
    now: Timestamp,
    findings: &[VerifyFinding],
    monitor: &dyn Monitor,
) -> Result<RepairReport, Error> {
    let mending = Mending {
        catalog,
        base,
        now,
        monitor,
    };
    if findings.iter().any(|found| found.repair.is_some()) {
        // Before anything is looked at, which may take long.
        catalog.require_writing()?;
    }
    let with = |wanted: &dyn Fn(Repair) -> bool| -> Vec<&VerifyFinding> {
        let findings = findings.iter();
        findings
            .filter(|found| found.repair.is_some_and(wanted))
            .collect()
    };
    let mut mended = BTreeSet::new();
    let settle = with(&|repair| repair == Repair::Settle);
    if !settle.is_empty() {
        // Settles all that is pending, whichever findings were asked for. Again, although opening
        // the registry did this: a handle may stay open for days.
        recover::recover(catalog, base, now, Some(REASON))?;
        // What could not be settled is not fixed.
        let pending = recover::pending(catalog, base, now)?;
        let trash = Trash::open(base)?;
        for found in settle {
            let is_unsettled = pending.unsettled.iter().chain(&pending.due).any(|id| {
                let path = trash.as_ref().map(|trash| trash.folder_path(id));
                path.is_some_and(|path| path == base.path().join(&found.path))
            });
            if !is_unsettled {
                mended.insert(identity(found));
            }
        }
    }
    let following = Following {
        catalog,
        base,
        now,
        reason: REASON,
    };
    // First: the findings below are then about rows whose data is there.
    let moved = with(&|repair| repair == Repair::Follow);
    let followed = following.follow(&moved, findings)?;
    monitor.begin(Phase::Refresh, None);
    let changed: Vec<VerifyFinding> = followed.changed.iter().map(|id| rewritten(*id)).collect();
    for batch in changed.iter().collect::<Vec<_>>().chunks(BATCH) {
        mending.rows(batch)?;
    }
    let rows = with(&|repair| {
        matches!(
            repair,
            Repair::MarkMissing | Repair::MarkPresent | Repair::MarkDamaged | Repair::UpdateRow
        )
    });
    for batch in rows.chunks(BATCH) {
        mended.extend(mending.rows(batch)?);
    }
    let adopted = with(&|repair| repair == Repair::Adopt);
    for batch in adopted.chunks(BATCH) {
        mended.extend(mending.adopt(batch)?);
    }
    monitor.end();
    for found in with(&|repair| repair == Repair::RewriteList) {
        if mending.list(found)? {
            mended.insert(identity(found));
        }
    }
    let mut report = RepairReport::default();
    for found in findings {
        let is_mended = match found.repair {
            None => false,
            Some(Repair::Follow) => followed.folders.contains(&found.path),
            Some(Repair::WithParts) => {
                // A summary is fixed once the findings below its path are.
                let parts = findings.iter().filter(|part| {
                    part.class != found.class && Path::new(&part.path).starts_with(&found.path)
                });
                let mut parts = parts.filter(|part| part.repair.is_some()).peekable();
                parts.peek().is_some() && parts.all(|part| mended.contains(&identity(part)))
            }
            Some(_) => mended.contains(&identity(found)),
        };
        if is_mended {
            report.repaired.push(found.clone());
        } else {
            report.left.push(VerifyFinding {
                repair: None,
                ..found.clone()
            });
        }
    }
    Ok(report)
}

/// The finding about a row that followed its run to data that was written again.
fn rewritten(row: ArtifactId) -> VerifyFinding {
    VerifyFinding {
        class: VerifyClass::Rewritten,
        path: String::new(),
        artifact: Some(row),
        detail: String::new(),
        repair: Some(Repair::UpdateRow),
        follows: None,
    }
}

/// What distinguishes a finding from others.
type Identity = (VerifyClass, String, Option<ArtifactId>);

fn identity(found: &VerifyFinding) -> Identity {
    (found.class, found.path.clone(), found.artifact)
}

/// A row that findings are about.
struct Wrong {
    row: Artifact,
    /// Whether its size is to be counted.
    measured: bool,
    /// Whether its contents are to be read.
    contents: bool,
}

struct Mending<'a> {
    catalog: &'a Catalog,
    base: &'a Base,
    now: Timestamp,
    monitor: &'a dyn Monitor,
}

impl Mending<'_> {
    fn new_operation(&self, action: Action) -> NewOperation<'static> {
        NewOperation {
            reason: Some(REASON),
            ..NewOperation::new(action, self.now)
        }
    }

    fn look(
        &self,
        looks: Vec<Look>,
        measure: bool,
    ) -> Result<HashMap<i64, Option<Observation>>, Error> {
        let options = WalkOptions {
            measure,
            ..WalkOptions::default()
        };
        let mut seen_by_id = HashMap::new();
        store::look_at(self.base, options, self.monitor, looks, |event| {
            if let Event::Looked(id, seen) = event {
                seen_by_id.insert(id, seen);
            }
            Ok::<_, Error>(())
        })?;
        Ok(seen_by_id)
    }

    /// Whether the data still is as it was seen.
    fn still(&self, path: &str, kind: Kind, seen: Option<&Observation>) -> bool {
        // A container's time changes with whatever is in it.
        if kind.is_container() {
            return self.base.is_absent(path) == seen.is_none();
        }
        let found = store::written_at(self.base, Path::new(path), kind);
        if seen.is_some_and(|seen| seen.damage.is_some()) {
            return matches!(found, Err(StorageError::DamagedMetadata { .. }));
        }
        found.is_ok_and(|found| found == seen.map(|seen| seen.written_at))
    }

    /// Takes what is gone out of the consolidated metadata of a group. Says whether it is right
    /// now.
    fn list(&self, found: &VerifyFinding) -> Result<bool, Error> {
        // With the turn to write: a removal or restore may be about to write the same list.
        self.catalog
            .change(self.new_operation(Action::Recover), |_| {
                let group = group_of(found);
                store::mend_all(self.base, group);
                let stale = store::stale_entries(self.base, Path::new(group));
                Ok(stale.is_ok_and(|stale| stale.is_empty()))
            })
    }

    /// Writes into rows what is seen of their data. Returns the findings that were fixed.
    fn rows(&self, findings: &[&VerifyFinding]) -> Result<Vec<Identity>, Error> {
        let mut rows: BTreeMap<ArtifactId, Wrong> = BTreeMap::new();
        let mut mended = Vec::new();
        for found in findings {
            let Some(id) = found.artifact else {
                continue;
            };
            match self.catalog.by_id(id) {
                Ok(Some(row)) if row.state != State::Reserved => {
                    let measured = found.repair == Some(Repair::UpdateRow)
                        && row.size.is_some()
                        && !row.key.kind().is_container();
                    let wrong = rows.entry(id).or_insert(Wrong {
                        row,
                        measured: false,
                        contents: false,
                    });
                    wrong.measured |= measured;
                    wrong.contents |= found.class == VerifyClass::ChangedContent;
                }
                // The row was removed since, or changed again: the finding no longer holds.
                Ok(_) => mended.push(identity(found)),
                // A row that cannot be read takes a rebuild; its finding stays.
                Err(CatalogError::Row { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let mut seen_by_id = HashMap::new();
        // Only what has to be counted is walked.
        for measure in [false, true] {
            let rows = rows.values().filter(|wrong| wrong.measured == measure);
            let looks: Vec<Look> = rows.map(|wrong| refresh::look(&wrong.row)).collect();
            if !looks.is_empty() {
                seen_by_id.extend(self.look(looks, measure)?);
            }
        }
        let contents = self.read(&rows, &seen_by_id)?;
        // Data of another row is not written into this one, whichever findings were asked for.
        let mut of_others = BTreeSet::new();
        for (id, Wrong { row, .. }) in &rows {
            if let Some(Some(seen)) = seen_by_id.get(&id.0)
                && twins::owner(self.catalog, self.base, row, seen.written_at)?.is_some()
            {
                of_others.insert(*id);
            }
        }
        let written = self
            .catalog
            .record(self.new_operation(Action::Refresh), |recorder| {
                let mut written = BTreeSet::new();
                for (id, Wrong { row, measured, .. }) in &rows {
                    let Some(seen) = seen_by_id.get(&id.0) else {
                        continue;
                    };
                    let is_another = match contents.get(&id.0) {
                        Some(Ok(content)) => row.content_hash != Some(content.hash),
                        // What was not read in full is not judged.
                        Some(Err(_)) => continue,
                        None => false,
                    };
                    // Counting may have failed half-way: a partial count is not written.
                    let is_counted =
                        !measured || seen.as_ref().is_none_or(|seen| seen.size.is_some());
                    let path = row.location().path();
                    // Only if neither row nor data has changed since it was looked at.
                    if is_counted
                        && !of_others.contains(id)
                        && recorder.artifact(*id)?.as_ref() == Some(row)
                        && self.still(&path, row.key.kind(), seen.as_ref())
                    {
                        match is_another {
                            true => recorder.observe_changed(row, seen.as_ref())?,
                            false => recorder.observe(row, seen.as_ref())?,
                        };
                        written.insert(*id);
                    }
                }
                Ok::<_, Error>(written)
            })?;
        let is_written = |found: &&&VerifyFinding| {
            found.artifact.is_some_and(|id| written.contains(&id))
                // A row cannot fix that another type of file is at its path.
                && !matches!(
                    found.class,
                    VerifyClass::NoMetadata | VerifyClass::DamagedMetadata | VerifyClass::WrongType
                )
        };
        mended.extend(
            findings
                .iter()
                .filter(is_written)
                .map(|found| identity(found)),
        );
        Ok(mended)
    }

    /// Reads the data of rows whose contents are said to have changed, and whose size has not. That
    /// takes long, so it is done before the transaction, which looks at the time only.
    fn read(
        &self,
        rows: &BTreeMap<ArtifactId, Wrong>,
        seen_by_id: &HashMap<i64, Option<Observation>>,
    ) -> Result<HashMap<i64, Result<Hashed, ReadError>>, Error> {
        let is_to_read = |wrong: &&Wrong| {
            let seen = seen_by_id.get(&wrong.row.id.0);
            let seen = seen.and_then(Option::as_ref);
            wrong.contents
                && wrong.row.content_hash.is_some()
                && seen.is_some_and(|seen| seen.size == wrong.row.size)
        };
        let looks = rows.values().filter(is_to_read);
        let looks = looks.map(|wrong| refresh::look(&wrong.row)).collect();
        let mut contents = HashMap::new();
        store::hash(self.base, None, self.monitor, looks, |id, content| {
            contents.insert(id, content);
            Ok::<_, Error>(())
        })?;
        Ok(contents)
    }

    /// Makes rows for data, as a scan does. Returns the findings that were fixed.
    fn adopt(&self, findings: &[&VerifyFinding]) -> Result<Vec<Identity>, Error> {
        let mut keys: Vec<(&VerifyFinding, Key)> = Vec::new();
        for found in findings {
            if let Ok(key) = scan::read(Path::new(&found.path)) {
                keys.push((found, key));
            }
        }
        // In the order of paths, as a scan takes them in.
        keys.sort_by_cached_key(|(_, key)| layout::locate(key));
        let looks = (0..).zip(&keys).map(|(id, (_, key))| tree::look(id, key));
        let seen_by_id = self.look(looks.collect(), false)?;
        self.catalog
            .record(self.new_operation(Action::Scan), |recorder| {
                let mut mended = Vec::new();
                for (id, (found, key)) in (0..).zip(&keys) {
                    let Some(seen) = seen_by_id.get(&id) else {
                        continue;
                    };
                    let path = layout::locate(key).path();
                    if !self.still(&path, key.kind(), seen.as_ref()) {
                        // It was written meanwhile; the next scan takes it in.
                        continue;
                    }
                    // Gone meanwhile: there is nothing to adopt, and the finding no longer holds.
                    if let Some(seen) = seen {
                        let found = ScannedArtifact {
                            key: key.clone(),
                            location: layout::canonical_location(key),
                            seen: seen.clone(),
                        };
                        match recorder.adopt(&found) {
                            Ok(_) => {}
                            // A row that cannot be read has it meanwhile.
                            Err(CatalogError::Row { .. }) => continue,
                            Err(error) => return Err(Error::from(error)),
                        }
                    }
                    mended.push(identity(found));
                }
                Ok(mended)
            })
    }
}
