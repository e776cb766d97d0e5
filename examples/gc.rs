//! Plans by a policy what may go, shows the reasons, and carries the plan out.
//!
//! Run it with `cargo run --example gc`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod zarr;

use std::error::Error;

use dalsegno::model::filter::Filter;
use dalsegno::model::key::Kind;
use dalsegno::model::progress::Silent;
use dalsegno::retention::{Decision, KeepRules, Policy, SelectRules};
use dalsegno::{GcOptions, GcRequest, GcRules, Registry, ScanOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let base = tempfile::tempdir()?;
    // What a training wrote in the last weeks, without a registry.
    for iteration in [1000, 2000, 3000, 4000, 5000] {
        let path = format!("affinities/validation.zarr/{iteration}/crop7/prediction");
        zarr::write(&base.path().join(path), 30 - iteration / 200)?;
    }

    // A scan gives every array that it finds a row; measuring counts bytes and files.
    let registry = Registry::create(base.path())?;
    let scan = ScanOptions::default().measure(true);
    println!("adopted {} arrays", registry.scan(scan, &Silent)?.adopted);

    // Of the predictions, keep the two newest iterations and each that 3000 divides.
    let policy = Policy::default()
        .select(SelectRules::default().kinds(vec![Kind::Prediction]))
        .keep(KeepRules::default().last(2).every(3000));
    let request = GcRequest::new(
        Filter::default().runs(["affinities"]),
        GcRules::Policy(policy),
    )
    .words("the two newest, and every 3000");

    // A plan removes nothing. Each of its lines says what happens to an artifact, and why.
    let plan = registry.plan_gc(&request)?;
    for line in &plan.plan.lines {
        let verb = match line.decision {
            Decision::Keep => "keep",
            Decision::Remove => "remove",
        };
        let reasons: Vec<String> = line.reasons.iter().map(ToString::to_string).collect();
        println!("{verb} {}: {}", line.artifact.key, reasons.join("; "));
    }

    // Carrying it out removes exactly what the plan names, rows and data together. What was pinned
    // or written again in the meantime stays, and the report says so.
    let options = GcOptions::default().reason("the disk is full");
    let report = registry.apply_gc(&plan.file, &options, &Silent, |_| {})?;
    println!(
        "removed {} artifacts, {} bytes; skipped {}",
        report.artifacts,
        report.total.bytes.0,
        report.skipped.len()
    );
    for artifact in registry.select(&Filter::default())? {
        println!("left: {}", artifact.key);
    }
    Ok(())
}
