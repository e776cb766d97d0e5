//! When the data of artifacts was last written, before it is removed for its age.
//!
//! A row has the time of an array's metadata, which is written first: workers may fill its chunks
//! for hours after that. So whatever goes because of its age, or may be in a writer's hands, is
//! looked at in full: the times of its metadata, its folders and, if asked, its files. Only
//! artifacts that would go are looked at, because this reads every folder of theirs.

use std::collections::HashMap;

use crate::error::Error;
use crate::model::artifact::{Artifact, ArtifactId};
use crate::model::clock::Timestamp;
use crate::ops::refresh;
use crate::ops::remove::{ArtifactToRemove, Skipped};
use crate::store::{self, Base, Event, Expected, WalkOptions};

/// What a look at the times of an artifact's data found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// The newest time.
    At(Timestamp),
    /// There is no data.
    Gone,
    /// Something of it could not be read.
    Unread,
}

/// How closely times are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closely {
    /// Metadata and folders: what makes and replaces chunks changes their folder.
    Folders,
    /// Files too: a chunk may be written in place.
    Files,
}

/// Finds when the data of each artifact was last written. Checkpoints are files, whose rows have
/// their times: they are left out.
///
/// # Errors
/// [`Error::Storage`] if the look cannot be done at all.
pub(crate) fn last_written<'a>(
    base: &Base,
    artifacts: impl IntoIterator<Item = &'a Artifact>,
    closely: Closely,
) -> Result<HashMap<ArtifactId, Written>, Error> {
    let looks: Vec<_> = artifacts
        .into_iter()
        .map(refresh::look)
        .filter(|look| look.expected != Expected::File)
        .collect();
    let ids = looks.iter().map(|look| ArtifactId(look.id));
    // A look that cannot be done gives a notice only.
    let mut times: HashMap<_, _> = ids.map(|id| (id, Written::Unread)).collect();
    if looks.is_empty() {
        return Ok(times);
    }
    let options = WalkOptions {
        measure: closely == Closely::Files,
        times: true,
        ..WalkOptions::default()
    };
    // Without progress: what is looked at here goes in a moment, and is counted then.
    let monitor = &crate::model::progress::Silent;
    store::look_at(base, options, monitor, looks, |event| {
        if let Event::Looked(id, seen) = event {
            let written = match seen.map(|seen| seen.data_written_at) {
                Some(Some(at)) => Written::At(at),
                // It is there, but not all of it could be dated.
                Some(None) => Written::Unread,
                None => Written::Gone,
            };
            times.insert(ArtifactId(id), written);
        }
        Ok::<_, Error>(())
    })?;
    Ok(times)
}

/// The error if data was written after it was looked at for its removal, or could not be read.
fn written_since(artifact: &Artifact, times: &HashMap<ArtifactId, Written>) -> Option<Error> {
    let planned = artifact.data_written_at?;
    match times.get(&artifact.id)? {
        Written::At(at) if *at > planned => Some(Error::ChangedSince {
            path: artifact.path(),
            what: "written",
        }),
        // What is gone has no reason to stay; the removal reports it.
        Written::At(_) | Written::Gone => None,
        Written::Unread => Some(unread(artifact)),
    }
}

fn unread(artifact: &Artifact) -> Error {
    Error::Unreadable {
        path: artifact.path(),
        detail: "a folder in it cannot be read, so when it was last written is unknown".to_owned(),
    }
}

/// The errors of the artifacts that were written since they were looked at. Those that were not
/// looked at are not either now.
///
/// # Errors
/// As [`last_written`].
pub(crate) fn rewritten<'a>(
    base: &Base,
    artifacts: impl Iterator<Item = &'a Artifact>,
    closely: Closely,
) -> Result<HashMap<ArtifactId, Error>, Error> {
    let dated: Vec<&Artifact> = artifacts
        .filter(|artifact| artifact.data_written_at.is_some())
        .collect();
    let times = last_written(base, dated.iter().copied(), closely)?;
    let changed = dated
        .into_iter()
        .filter_map(|artifact| Some((artifact.id, written_since(artifact, &times)?)));
    Ok(changed.collect())
}

/// Leaves out what was written since it was planned, and reports it.
///
/// # Errors
/// As [`last_written`].
pub(crate) fn leave_out_rewritten(
    base: &Base,
    chosen: &mut Vec<ArtifactToRemove>,
    skipped: &mut Vec<Skipped>,
) -> Result<(), Error> {
    let artifacts = chosen.iter().map(|chosen| &chosen.artifact);
    let changed = rewritten(base, artifacts, Closely::Files)?;
    chosen.retain(|chosen| match changed.get(&chosen.artifact.id) {
        Some(error) => {
            skipped.push(Skipped::new(chosen.artifact.path(), error));
            false
        }
        None => true,
    });
    Ok(())
}

/// Keeps of a selection by age what is as old as it was selected for, with its data. What stays is
/// looked at again within the removal.
///
/// # Errors
/// [`Error::Unreadable`] if something of one cannot be read; and as [`last_written`].
pub(crate) fn only_before(
    base: &Base,
    cutoff: Timestamp,
    chosen: &mut Vec<ArtifactToRemove>,
) -> Result<(), Error> {
    let artifacts = chosen.iter().map(|chosen| &chosen.artifact);
    let times = last_written(base, artifacts, Closely::Files)?;
    let mut error = None;
    chosen.retain_mut(|chosen| {
        let artifact = &mut chosen.artifact;
        match times.get(&artifact.id) {
            Some(Written::At(at)) => {
                artifact.data_written_at = Some(*at);
                *at < cutoff
            }
            Some(Written::Unread) => {
                // One is enough: the others most likely have the same cause.
                error = error.take().or_else(|| Some(unread(artifact)));
                false
            }
            // What is gone has no age. Checkpoints were not looked at: their rows have their times.
            Some(Written::Gone) | None => true,
        }
    });
    error.map_or(Ok(()), Err)
}
