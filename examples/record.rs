//! Records an array, writes it, seals it, and finds it again.
//!
//! Run it with `cargo run --example record`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod zarr;

use std::error::Error;

use dalsegno::model::filter::Filter;
use dalsegno::{ArrayStore, Registry, Target};

fn main() -> Result<(), Box<dyn Error>> {
    // A base directory is the folder that holds your runs; here it is a temporary one.
    let base = tempfile::tempdir()?;
    // Makes `.dalsegno/` in it, or opens the registry that is already there.
    let registry = Registry::create(base.path())?;

    // Ask for the path of an array. It depends only on the arguments, and the registry now knows
    // that the array is going to be written.
    let array = registry.validation_output_array("affinities", 1000, "threshold_127", "crop7")?;
    let path = array.path();
    println!(
        "the array goes to {}",
        path.strip_prefix(base.path())?.display()
    );
    // The artifact is the catalog's row of the array: what it is, its state, its size.
    let target = Target::Path(array.path());
    let artifact = registry.get(&target)?.ok_or("the array has no row")?;
    println!("before it is written it is {}", artifact.state);

    // Write it with the library of your choice, then say that it is whole.
    zarr::write(&array.path(), 0)?;
    let sealed = registry.seal(&target)?;
    println!(
        "after sealing it is {}{}",
        sealed.state,
        match sealed.size {
            Some(size) => format!(", {} bytes in {} files", size.bytes.0, size.files),
            None => String::new(),
        }
    );

    // Questions are answered from the catalog; the disk is not walked.
    let filter = Filter::default().runs(["aff*"]);
    for artifact in registry.select(&filter)? {
        println!("found: {}", artifact.key);
    }
    Ok(())
}
