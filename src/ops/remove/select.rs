//! Which artifacts a removal takes, by what a caller names.

use std::path::Path;

use super::plan::ArtifactToRemove;
use crate::catalog::{Catalog, Selected};
use crate::error::Error;
use crate::model::clock::Timestamp;
use crate::model::filter::Filter;
use crate::model::layout;
use crate::ops::near;
use crate::ops::target::{self, Target};
use crate::ops::unmatched;
use crate::ops::written;
use crate::store::Base;

/// Returns what a removal of a target takes. The path of a container that has no row of its own
/// means every artifact in it, that of a folder without a container's ending every array that lies
/// in it as in a container.
///
/// # Errors
/// [`Error::NotRecorded`], and as [`target::find`].
pub(crate) fn artifacts_of_target(
    catalog: &Catalog,
    base: &Base,
    target: &Target,
) -> Result<Vec<ArtifactToRemove>, Error> {
    if let Some(artifact) = target::find(catalog, base, target)? {
        let whole_container = artifact.location().array.is_none();
        return Ok(vec![ArtifactToRemove {
            artifact,
            whole_container,
        }]);
    }
    let mut chosen = Vec::new();
    if let Target::Path(path) = target {
        let place = target::location(base, path)?;
        if place.array.is_none() {
            // Another folder, such as that of a run or of its checkpoints, is no container: only
            // arrays that lie in it as in one go, one by one.
            let is_named = layout::is_container(&place.container);
            for artifact in catalog.in_container(&place.container)? {
                let of = layout::canonical_location(&artifact.key);
                let is_in_it = of.container == place.container;
                if is_named || (is_in_it && !of.is_checkpoint()) {
                    chosen.push(ArtifactToRemove {
                        artifact,
                        whole_container: is_named && is_in_it,
                    });
                }
            }
        }
    }
    if chosen.is_empty() {
        return Err(near::not_recorded(catalog, base, target));
    }
    Ok(chosen)
}

/// Returns what a removal of a path takes: of an artifact or a container as of a target, of a run or
/// of another folder what a filter selects there.
///
/// # Errors
/// [`Error::NotRecorded`] if nothing is recorded there, and as [`target::base_path`].
pub(crate) fn artifacts_at(
    catalog: &Catalog,
    base: &Base,
    path: &Path,
    now: Timestamp,
) -> Result<Vec<ArtifactToRemove>, Error> {
    let place = target::base_path(base, path)?;
    let target = Target::Path(path.to_owned());
    let is_exact = target::exact(catalog, base, path)?.is_some();
    if is_exact || layout::is_container(place.as_str()) {
        return artifacts_of_target(catalog, base, &target);
    }
    let filter = unmatched::narrowed(catalog, Filter::default(), &[place], now)?;
    let chosen = artifacts_of_filter(catalog, base, &filter, now)?;
    match chosen.is_empty() {
        true => Err(near::not_recorded(catalog, base, &target)),
        false => Ok(chosen),
    }
}

/// Returns what a removal of a selection takes. A container goes whole only if the filter names its
/// kind. If the filter asks for age, data must be as old as that, and not only its metadata.
///
/// # Errors
/// [`Error::Catalog`] if the catalog cannot be read; if the filter asks for age,
/// [`Error::Unreadable`] if something of an artifact cannot be read.
pub(crate) fn artifacts_of_filter(
    catalog: &Catalog,
    base: &Base,
    filter: &Filter,
    now: Timestamp,
) -> Result<Vec<ArtifactToRemove>, Error> {
    unmatched::require_known_exclusions(catalog, filter, now)?;
    let mut chosen = Vec::new();
    catalog.list(filter, now, Selected::All, |artifact| {
        let kind = artifact.key.kind();
        let whole_container = kind.is_container() && filter.kinds.contains(&kind);
        chosen.push(ArtifactToRemove {
            artifact,
            whole_container,
        });
        Ok::<_, Error>(std::ops::ControlFlow::Continue(()))
    })?;
    if let Some(cutoff) = filter.cutoff_at(now) {
        written::only_before(base, cutoff, &mut chosen)?;
    }
    Ok(chosen)
}
