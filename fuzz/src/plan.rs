//! Plans that `gc --plan-out` wrote: a text is read or refused, what is read is written so that it
//! reads the same, and carrying it out touches nothing but what it may.

use arbitrary::Unstructured;
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::TrashKeep;
use dalsegno::{GcOptions, PlanFile};

use super::edit::edit;
use super::world::{World, given, known};

/// A plan for the registry of the seed.
const PLAN: &str = include_str!("../corpus/plan/seed");

/// Reads the bytes as a plan; if they do not look like one, as edits of a plan.
pub fn check(data: &[u8]) {
    match std::str::from_utf8(data) {
        Ok(text) if text.starts_with('{') => plan(text),
        _ => {
            let mut document = serde_json::from_str(PLAN).unwrap();
            // What was edited before the input ended is a plan too.
            let _ = edit(&mut document, &mut Unstructured::new(data));
            plan(&document.to_string());
        }
    }
}

fn plan(text: &str) {
    let plan = match PlanFile::parse(text) {
        Ok(plan) => plan,
        Err(error) => return known(&error),
    };
    let written = plan.text().unwrap();
    assert_eq!(PlanFile::parse(&written).unwrap(), plan, "{written}");
    assert!(plan.total().uncounted <= plan.items.len() as u64);
    let world = World::new();
    let Some(registry) = world.open(false) else {
        return;
    };
    let options = GcOptions::default().keep(TrashKeep::No);
    if let Some(report) = given(registry.apply_gc(&plan, &options, &Silent, |_| {})) {
        assert!(report.artifacts <= plan.items.len() as u64);
    }
    world.check();
}
