//! Arrays that were written since they were counted.
//!
//! A row has the newest time of the data when it was counted. New chunks change the folder that they
//! are made in, so an array whose folders have no newer time is as it was counted. That takes one
//! `stat` an array; only folders with folders in them are read, as those of chunks with separator
//! `/`. What is written in place changes no folder and is not seen.

use std::collections::HashMap;

use crate::catalog::Catalog;
use crate::error::Error;
use crate::model::artifact::Artifact;
use crate::model::clock::Timestamp;
use crate::model::progress::Silent;
use crate::store::{self, Base, Event, Expected, Look, WalkOptions};

/// Those of these artifacts that are counted and have grown since, or of which it is unknown as of when
/// they were counted. What cannot be looked at has not grown.
///
/// # Errors
/// [`Error`] if the catalog cannot be read, or the look cannot be done at all.
pub(crate) fn grown(
    catalog: &Catalog,
    base: &Base,
    artifacts: Vec<Artifact>,
) -> Result<Vec<Artifact>, Error> {
    let mut grown = Vec::new();
    let mut deep = Vec::new();
    for artifact in artifacts {
        let kind = artifact.key.kind();
        // A container has no count of its own, and the row of a checkpoint has its size by each look.
        if kind.is_container() || kind.is_file() || artifact.size.is_none() {
            continue;
        }
        let Some(counted) = catalog.counted_as_of(artifact.id)? else {
            grown.push(artifact);
            continue;
        };
        match store::folder_times(base, artifact.location().path().as_ref()) {
            Some(times) if times.written_at > counted => grown.push(artifact),
            Some(times) if times.may_have_folders => deep.push((artifact, counted)),
            _ => {}
        }
    }
    let looks = deep
        .iter()
        .map(|(artifact, _): &(Artifact, Timestamp)| Look {
            id: artifact.id.0,
            path: artifact.location().path().into(),
            expected: Expected::Array,
        });
    let options = WalkOptions {
        times: true,
        ..WalkOptions::default()
    };
    let mut times = HashMap::new();
    store::look_at(base, options, &Silent, looks.collect(), |event| {
        if let Event::Looked(id, Some(seen)) = event {
            times.insert(id, seen.data_written_at);
        }
        Ok::<_, Error>(())
    })?;
    for (artifact, counted) in deep {
        if matches!(times.get(&artifact.id.0), Some(Some(at)) if *at > counted) {
            grown.push(artifact);
        }
    }
    Ok(grown)
}
