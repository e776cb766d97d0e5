//! From rows to the disk.

use std::path::Path;

use super::comparison::{BATCH, InFlight, Verify};
use super::finding::{Repair, VerifyClass, VerifyFinding};
use crate::catalog::{CatalogError, RowRead};
use crate::error::Error;
use crate::model::artifact::{Artifact, ArtifactId, State};
use crate::model::key::Key;
use crate::model::layout;
use crate::model::observation::Observation;
use crate::model::progress::Phase;
use crate::model::words;
use crate::ops::refresh;
use crate::store::{self, Base, Hashed, PathState, StorageError};

/// What is wrong with rows, and how many of them were read in full.
type Judged<'a> = (Vec<(&'a Artifact, VerifyFinding)>, u64);

impl Verify<'_> {
    /// Compares every row of the selection with what is on disk. Reserved rows say nothing that
    /// could be wrong.
    pub(super) fn check_rows(&mut self) -> Result<(), Error> {
        let (catalog, filter) = (self.catalog, self.filter);
        self.monitor.begin(Phase::Verify, None);
        let mut batch = Vec::new();
        let mut last: Option<(Key, ArtifactId)> = None;
        catalog.each_row(filter, self.now, |row| {
            self.report.rows += 1;
            match row {
                RowRead::Damaged { id, path, detail } => self.damaged_row(id, &path, detail)?,
                RowRead::Whole(artifact) => {
                    // Rows of one key follow each other.
                    if let Some((key, other)) = &last
                        && *key == artifact.key
                    {
                        self.find(VerifyFinding {
                            class: VerifyClass::TwoRowsOnePath,
                            path: artifact.location().path(),
                            artifact: Some(artifact.id),
                            detail: format!("the path is that of artifact {other} too"),
                            repair: None,
                            follows: None,
                        });
                    }
                    last = Some((artifact.key.clone(), artifact.id));
                    self.lost.count(&artifact);
                    if artifact.state != State::Reserved {
                        batch.push(*artifact);
                    }
                }
            }
            if batch.len() >= BATCH {
                self.compare(&mut batch)?;
            }
            Ok::<_, Error>(())
        })?;
        self.compare(&mut batch)?;
        self.monitor.end();
        Ok(())
    }

    fn damaged_row(&mut self, id: ArtifactId, path: &str, detail: String) -> Result<(), Error> {
        // It may be the path of another row, spelled with `//` or `/./`.
        let other = match layout::split(&plain(path)) {
            Ok(place) => self.catalog.at(&place),
            Err(_) => Ok(None),
        };
        let (class, detail) = match other {
            Ok(Some(other)) if other.id != id => (
                VerifyClass::TwoRowsOnePath,
                format!("the path is that of artifact {} too", other.id),
            ),
            Ok(_) | Err(CatalogError::Row { .. }) => (VerifyClass::RowDamaged, detail),
            Err(error) => return Err(error.into()),
        };
        self.find(VerifyFinding {
            class,
            path: store::escape(path.as_ref()),
            artifact: Some(id),
            detail,
            repair: None,
            follows: None,
        });
        Ok(())
    }

    /// Looks at a batch of rows, and once more at those that look wrong.
    fn compare(&mut self, batch: &mut Vec<Artifact>) -> Result<(), Error> {
        let rows = std::mem::take(batch);
        let measured = rows.iter().filter(|row| self.measures(row)).count();
        self.report.measured += measured as u64;
        if self.options.read_data {
            let unhashed = rows.iter().filter(|row| is_unhashed(row)).count();
            self.report.unhashed += unhashed as u64;
        }
        let (found, read) = self.judge_all(&rows, false)?;
        self.report.read += read;
        let suspects: Vec<ArtifactId> =
            found.into_iter().map(|(artifact, _)| artifact.id).collect();
        if suspects.is_empty() {
            return Ok(());
        }
        // In this order: what was removed or brought back meanwhile is seen by one of the three.
        let in_flight = InFlight::read(self.catalog, self.base, self.now)?;
        let mut again = Vec::new();
        for id in suspects {
            match self.catalog.by_id(id) {
                Ok(row) => again.extend(row),
                // The listing has reported the row as damaged.
                Err(CatalogError::Row { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        again.retain(|artifact| !in_flight.covers(&artifact.location().path()));
        for (_, finding) in self.judge_all(&again, true)?.0 {
            self.find(finding);
        }
        Ok(())
    }

    /// Judges rows by what is on disk; also returns how many were read in full. `again` says that
    /// this is the second look, after any writer of the data has had time to finish.
    fn judge_all<'b>(&mut self, rows: &'b [Artifact], again: bool) -> Result<Judged<'b>, Error> {
        let mut findings = Vec::new();
        let mut to_read: Vec<&Artifact> = Vec::new();
        // Only what has to be counted is walked.
        for measure in [false, true] {
            let rows: Vec<&Artifact> = rows
                .iter()
                .filter(|artifact| self.measures(artifact) == measure)
                .collect();
            if rows.is_empty() {
                continue;
            }
            let looks = rows
                .iter()
                .map(|artifact| refresh::look(artifact))
                .collect();
            // Which chunks are there is asked only of those that look wrong.
            let sights = self.look_closely(looks, measure, again)?;
            for artifact in rows {
                let sight = match sights.get(&artifact.id.0) {
                    Some(sight) => sight,
                    // It went while it was looked at.
                    None if self.base.is_absent(&artifact.location().path()) => &None,
                    None => continue,
                };
                let is_home = sight.as_ref().is_some_and(|sight| {
                    sight.damage.is_some() || Some(sight.written_at) == artifact.written_at
                });
                // A row that is known to be without data is not looked at again.
                let is_known = artifact.state == State::Missing && sight.is_none();
                if !is_home && (again || is_known) {
                    let other = sight.as_ref().map(|sight| sight.written_at);
                    self.lost.add(artifact, other);
                }
                match judge(self.base, artifact, sight.as_ref()) {
                    Ok(Some(finding)) => findings.push((artifact, finding)),
                    // Contents are read only if the size is as before; otherwise the size is the
                    // finding.
                    Ok(None) if sight.as_ref().is_some_and(|sight| sight.size.is_some()) => {
                        to_read.push(artifact);
                    }
                    Ok(None) => {}
                    Err(error) => self.unreadable(&artifact.location().path(), &error),
                }
            }
        }
        to_read.retain(|artifact| self.reads(artifact));
        let contents = self.read(&to_read)?;
        for artifact in to_read {
            let content = match contents.get(&artifact.id.0) {
                Some(Err(path)) if again => {
                    // A writer is at work: that nothing can be said about the data is a finding.
                    if !self.base.is_absent(&artifact.location().path()) {
                        self.find(VerifyFinding {
                            class: VerifyClass::Unreadable,
                            path: store::escape(path.as_os_str()),
                            artifact: None,
                            detail: "it changed while it was read, twice".to_owned(),
                            repair: None,
                            follows: None,
                        });
                    }
                    continue;
                }
                Some(content) => content.as_ref().ok(),
                // It could not be read, which is a finding already.
                None => continue,
            };
            if let Some(finding) = changed_content(artifact, content) {
                findings.push((artifact, finding));
            }
        }
        let read = contents.values().filter(|content| content.is_ok()).count();
        Ok((findings, read as u64))
    }
}

/// Whether a row is sealed and could have a content hash, and has none.
fn is_unhashed(artifact: &Artifact) -> bool {
    artifact.state == State::Present
        && artifact.sealed_at.is_some()
        && artifact.content_hash.is_none()
        && !artifact.key.kind().is_container()
}

/// The finding if the data of a sealed row has another hash. `content` is `None` if the data
/// changed while it was read, so that its hash is unknown.
fn changed_content(artifact: &Artifact, content: Option<&Hashed>) -> Option<VerifyFinding> {
    let sealed = artifact
        .content_hash
        .filter(|_| artifact.sealed_at.is_some())?;
    if content.is_some_and(|content| content.hash == sealed) {
        return None;
    }
    let found = content.map_or("something else".to_owned(), |found| found.hash.to_string());
    let detail = format!(
        "was sealed with the contents {sealed}; now as many files and bytes have other contents: \
         {found}"
    );
    Some(VerifyFinding {
        class: VerifyClass::ChangedContent,
        path: artifact.location().path(),
        artifact: Some(artifact.id),
        detail,
        repair: Some(Repair::UpdateRow),
        follows: None,
    })
}

/// What is wrong between a row and what was seen of its data.
pub(super) fn judge(
    base: &Base,
    artifact: &Artifact,
    sight: Option<&Observation>,
) -> Result<Option<VerifyFinding>, StorageError> {
    let path = artifact.location().path();
    let found = match (artifact.state, sight) {
        (State::Reserved, _) => None,
        (_, Some(sight)) if sight.is_link => Some((
            VerifyClass::WrongType,
            "its path is a symbolic link; the target of the link cannot be removed".to_owned(),
            // The row can at least say that something is there; the link needs manual action.
            (artifact.state == State::Missing).then_some(Repair::MarkPresent),
        )),
        (_, Some(sight)) if sight.damage.is_some() => Some((
            VerifyClass::DamagedMetadata,
            "its metadata cannot be read; no program reads it as an array".to_owned(),
            (artifact.state != State::Damaged).then_some(Repair::MarkDamaged),
        )),
        (State::Missing | State::Damaged, Some(_)) => Some((
            VerifyClass::DataIsBack,
            match artifact.state {
                State::Damaged => "the row says that its metadata is damaged",
                _ => "the row says that it is gone",
            }
            .to_owned(),
            Some(Repair::MarkPresent),
        )),
        (State::Present, Some(sight)) => {
            changed(artifact, sight).map(|(class, detail)| (class, detail, Some(Repair::UpdateRow)))
        }
        (state, None) => {
            // A row that says so already needs no repair.
            let repair = (state != State::Missing).then_some(Repair::MarkMissing);
            let is_file = artifact.key.kind().is_file();
            match store::path_state(base, Path::new(&path))? {
                PathState::Nothing => gone(state, "nothing is at its path"),
                PathState::Folder if !is_file => {
                    gone(state, "only a folder without data is at its path")
                }
                // It came while this looked.
                PathState::File if is_file => None,
                PathState::Chunks if !is_file => Some((
                    VerifyClass::NoMetadata,
                    "files without array metadata; no program reads them as an array".to_owned(),
                    repair,
                )),
                instead => Some((
                    VerifyClass::WrongType,
                    format!("{} is at its path", what(instead)),
                    repair,
                )),
            }
        }
    };
    Ok(found.map(|(class, detail, repair)| VerifyFinding {
        class,
        path,
        artifact: Some(artifact.id),
        detail,
        repair,
        follows: None,
    }))
}

fn gone(state: State, detail: &str) -> Option<(VerifyClass, String, Option<Repair>)> {
    (state != State::Missing).then(|| {
        let repair = Some(Repair::MarkMissing);
        (VerifyClass::RowWithoutData, detail.to_owned(), repair)
    })
}

fn what(instead: PathState) -> &'static str {
    match instead {
        PathState::Nothing => "nothing",
        PathState::Folder | PathState::Chunks => "a folder",
        PathState::File => "a file",
        PathState::Symlink => "a symbolic link",
        PathState::Special => "a special file",
    }
}

fn changed(artifact: &Artifact, sight: &Observation) -> Option<(VerifyClass, String)> {
    // A container's folder changes with whatever lies in it.
    if artifact.key.kind().is_container() {
        return None;
    }
    let sealed = match artifact.sealed_at {
        Some(_) => "was sealed; now ",
        None => "",
    };
    let compared = |counted, seen| {
        let then = match artifact.sealed_at {
            Some(_) => "sealed",
            None => "counted",
        };
        format!(
            "was {then} with {}; now {}",
            words::exact(counted),
            words::exact(seen)
        )
    };
    // Before the time, which is that of the newest level: it may be the one that has gone.
    if let Some(lost) = sight.lost_levels_of(artifact) {
        let lost = sight.lost_parts_of(artifact).unwrap_or(lost);
        let detail = match (artifact.size, sight.size) {
            (Some(counted), Some(seen)) => format!("{}: {lost}", compared(counted, seen)),
            _ => format!("{sealed}{lost}"),
        };
        return Some((VerifyClass::ChangedFiles, detail));
    }
    // Time before size: data that was rewritten may well have another size.
    if let Some(noted) = artifact.written_at
        && noted != sight.written_at
    {
        return Some((
            VerifyClass::Rewritten,
            match artifact.sealed_at {
                Some(_) => format!("was sealed as written at {noted}; now {}", sight.written_at),
                None => format!("was written at {noted}; now {}", sight.written_at),
            },
        ));
    }
    let (counted, seen) = (artifact.size?, sight.size?);
    if counted == seen && !sight.has_other_chunks_than(artifact) {
        return None;
    }
    let lost = match sight.lost_parts_of(artifact) {
        Some(lost) => format!(": {lost}"),
        None => String::new(),
    };
    // With as many files as before, their bytes are what changed.
    let class = match counted.files == seen.files && counted != seen {
        true => VerifyClass::ChangedSize,
        false => VerifyClass::ChangedFiles,
    };
    Some((class, format!("{}{lost}", compared(counted, seen))))
}

/// A normalized path: without empty components and `.`.
fn plain(path: &str) -> String {
    let parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
    parts.collect::<Vec<_>>().join("/")
}
