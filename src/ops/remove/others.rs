//! What a removal takes beside the data of its artifacts: checkpoints, logs, arrays without a row,
//! the metadata of groups.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::plan::{PlannedItem, RemovalPlan};
use crate::error::Error;
use crate::model::progress::Monitor;
use crate::model::size::Size;
use crate::store::{self, Base};

/// Counts what the items of a plan hold beside their artifacts, into [`PlannedItem::others`].
///
/// # Errors
/// [`Error`] if the monitor cancels. What cannot be read leaves its item uncounted.
pub(crate) fn count_others(
    base: &Base,
    plan: &mut RemovalPlan,
    monitor: &dyn Monitor,
) -> Result<(), Error> {
    for item in &mut plan.items {
        let counted = counted(item);
        let folder = PathBuf::from(&item.path);
        if counted.contains(&folder) {
            item.others = Some(Size::default());
            continue;
        }
        let is_counted = |path: &Path| counted.contains(path);
        let found = store::count_others(base, [folder], &is_counted, monitor)?;
        item.others = found.notices.is_empty().then_some(found.size);
    }
    Ok(())
}

/// The paths of an item whose bytes are in the total of its artifacts.
fn counted(item: &PlannedItem) -> HashSet<PathBuf> {
    // A row that only reserves its path counts as nothing, and the size of a container is that of
    // its arrays.
    let counts = item
        .artifacts
        .iter()
        .filter(|artifact| artifact.state.has_data() && !artifact.key.kind().is_container());
    counts
        .map(|artifact| PathBuf::from(artifact.location().path()))
        .collect()
}
