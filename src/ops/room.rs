//! Steps of a call that frees space, on a full disk.
//!
//! Even deleting rows needs space in the log of the catalog, and a removal makes a folder in the
//! trash. If a step fails because the disk is full, some of the reserve is given up and the step is
//! run again, until it succeeds or nothing of the reserve is left. So each step leaves things such
//! that it can be run again: what it committed before it failed is not done twice.

use crate::catalog::{Catalog, Share};
use crate::error::Error;

/// Runs a step without which nothing is freed.
///
/// # Errors
/// Those of the step.
pub(crate) fn with_room<T>(
    catalog: &Catalog,
    step: impl FnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    with_share(catalog, Share::All, step)
}

/// Runs a step that comes before a removal, with a share of the reserve. A handle that spares the
/// reserve runs it once.
///
/// # Errors
/// Those of the step.
pub(crate) fn with_room_before<T>(
    catalog: &Catalog,
    share: Share,
    mut step: impl FnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    match catalog.spares_reserve() {
        true => step(),
        false => with_share(catalog, share, step),
    }
}

fn with_share<T>(
    catalog: &Catalog,
    share: Share,
    mut step: impl FnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    // Doubled: each try of a large removal moves and puts back what it takes.
    let mut slices = 1;
    loop {
        match step() {
            Err(error) if error.is_full() && catalog.give_up_reserve(slices, share) => slices *= 2,
            done => return done,
        }
    }
}
