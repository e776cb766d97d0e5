//! Listens to the progress of a scan, and cancels another one.
//!
//! Run it with `cargo run --example progress`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod zarr;

use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use dalsegno::model::progress::{Monitor, Phase, Progress};
use dalsegno::{Registry, ScanOptions};

/// Counts what it hears of, and cancels if it is asked to.
///
/// The library calls a monitor from several threads at once, so its state is atomic or locked.
#[derive(Default)]
struct Counter {
    items: AtomicU64,
    cancelled: AtomicBool,
}

impl Monitor for Counter {
    fn begin(&self, phase: Phase, _items: Option<u64>) {
        println!("{phase} begins");
    }

    fn advance(&self, progress: Progress) {
        // A program with a screen would move a bar here. It returns at once: the work waits for it.
        self.items.fetch_add(progress.items, Ordering::Relaxed);
    }

    fn end(&self) {
        println!("it ends after {} items", self.items.load(Ordering::Relaxed));
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let base = tempfile::tempdir()?;
    for iteration in 1..=20 {
        let path = format!("affinities/validation.zarr/{iteration}/crop7/prediction");
        zarr::write(&base.path().join(path), 1)?;
    }
    let registry = Registry::create(base.path())?;

    // Every call that may last takes a monitor; `Silent` is the one that shows nothing.
    let counter = Counter::default();
    let report = registry.scan(ScanOptions::default(), &counter)?;
    println!("the report says {} arrays", report.arrays);

    // Here the monitor cancels from the start; a program would set this when the user gives up.
    counter.cancelled.store(true, Ordering::Relaxed);
    match registry.scan(ScanOptions::default(), &counter) {
        Ok(_) => println!("the scan was finished before it could be cancelled"),
        Err(error) => println!("the second scan: {}", error.code()),
    }
    Ok(())
}
