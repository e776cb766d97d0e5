//! Other processes record, write and remove during a verify: there is no false finding.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

#[test]
fn what_others_do_meanwhile_is_no_finding() {
    let world = World::new();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for worker in 0..2 {
            let (world, stop) = (&world, &stop);
            scope.spawn(move || {
                let registry = common::create(world.folder.path());
                let measure = dalsegno::RefreshOptions::new().measure(true);
                for iteration in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let path = format!("w{worker}/validation.zarr/{iteration}/crop/prediction");
                    let key = dalsegno::model::layout::parse(&path).unwrap();
                    let artifact = registry.record(&key).unwrap().artifact;
                    write(&artifact.path());
                    let filter = Filter::default().runs([format!("w{worker}")]);
                    registry.refresh(&filter, measure, &Silent).unwrap();
                    if iteration % 2 == 0 {
                        registry
                            .remove_artifact(&Target::Path(path.into()))
                            .unwrap();
                    }
                }
            });
        }
        for round in 0..60 {
            let options = VerifyOptions::new().measure(round % 2 == 1);
            let report = world
                .registry
                .verify(&Filter::default(), options, &Silent)
                .unwrap();
            let is_false =
                |found: &&VerifyFinding| found.class != dalsegno::VerifyClass::TrashUnsettled;
            let wrong: Vec<_> = report.findings.iter().filter(is_false).collect();
            if !wrong.is_empty() {
                stop.store(true, Ordering::Relaxed);
            }
            assert!(wrong.is_empty(), "{wrong:?}");
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(world.verify().findings, []);
}
