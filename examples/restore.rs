//! Removes an array to the trash, and brings it back.
//!
//! Run it with `cargo run --example restore`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod zarr;

use std::error::Error;
use std::time::Duration;

use dalsegno::model::progress::Silent;
use dalsegno::model::removal::TrashKeep;
use dalsegno::{ArrayStore, Registry, RemoveOptions, RestoreTarget, Target};

fn main() -> Result<(), Box<dyn Error>> {
    let base = tempfile::tempdir()?;
    let registry = Registry::create(base.path())?;
    let array = registry.validation_prediction_array("affinities", 1000, "crop7")?;
    zarr::write(&array.path(), 0)?;
    let target = Target::Path(array.path());
    registry.seal(&target)?;

    // Row and data go in one transaction. Kept for three days, the data waits in the trash; by
    // default it would be deleted as soon as the removal is committed.
    let options = RemoveOptions::default()
        .reason("written with the wrong weights")
        .keep(TrashKeep::For(Duration::from_secs(3 * 24 * 60 * 60)));
    let removed = registry.remove_target(&target, &options, &Silent)?;
    println!("removed {} artifact", removed.artifacts.len());
    println!(
        "its data is {}",
        if array.path().exists() {
            "there"
        } else {
            "gone"
        }
    );

    // The trash remembers who removed what, and why.
    for removal in registry.trash()? {
        println!(
            "in the trash: {} artifact, because it was {}",
            removal.artifacts,
            removal.reason.unwrap_or_default()
        );
    }

    // Row and data come back as they were, the seal included.
    let restored = registry.restore(&RestoreTarget::Path(array.path()))?;
    for artifact in &restored.artifacts {
        println!(
            "restored {}, {}",
            artifact.key,
            match artifact.sealed_at {
                Some(_) => "sealed",
                None => "not sealed",
            }
        );
    }
    println!(
        "its data is {}",
        if array.path().exists() {
            "there"
        } else {
            "gone"
        }
    );
    Ok(())
}
