//! The iterations that DaCapo's checkpoints call best.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use dalsegno::RemoveOptions;
use dalsegno::model::progress::Silent;
use dalsegno::retention::{Decision, KeepRules, Policy};
use dalsegno::{Error, Registry};
use dalsegno::{GcRequest, GcRules};

use crate::scene::{base, days, of_run, prediction, scan, target, write_aged};

const LINK: &str = "mito/checkpoints/crop1/voi";

/// Two runs with predictions at iterations 1000, 2000 and 3000.
fn runs() -> (tempfile::TempDir, Registry) {
    let (folder, registry) = base();
    for iteration in [1000, 2000, 3000] {
        write_aged(folder.path(), &prediction(iteration), days(50));
        let other = prediction(iteration).replace("mito", "er");
        write_aged(folder.path(), &other, days(50));
    }
    scan(&registry);
    fs::create_dir_all(folder.path().join("mito/checkpoints/crop1")).unwrap();
    (folder, registry)
}

fn link(base: &Path, target: &str) {
    symlink(target, base.join(LINK)).unwrap();
}

/// Paths, relative to the base directory, of what a policy of `keep-last 1` removes.
fn planned(registry: &Registry, ignore_best_links: bool) -> Result<Vec<String>, Error> {
    let request = GcRequest::new(
        of_run("*"),
        GcRules::Policy(Policy::default().keep(KeepRules::default().last(1))),
    )
    .ignore_best_links(ignore_best_links)
    .words("keep-last 1");
    let plan = registry.plan_gc(&request)?.plan;
    let kept = |rule: &str| {
        let has = |reason: &dalsegno::retention::Reason| reason.rule == rule;
        plan.kept()
            .filter(|line| line.reasons.iter().any(has))
            .count()
    };
    assert!(ignore_best_links || kept("best-link") <= 1);
    let removed = plan
        .lines
        .iter()
        .filter(|line| line.decision == Decision::Remove);
    Ok(removed
        .map(|line| line.artifact.location().path())
        .collect())
}

/// The outcome of removing a path: the error code, or `ok`.
fn removal(registry: &Registry, path: &str, ignore_best_links: bool) -> String {
    let options = RemoveOptions::default().ignore_best_links(ignore_best_links);
    let result = registry.remove_target(&target(path), &options, &Silent);
    result.map_or_else(|error| error.code().to_owned(), |_| "ok".to_owned())
}

fn assert_binds(registry: &Registry, iteration: i64) {
    let (own, others) = (
        prediction(iteration),
        prediction(iteration).replace("mito", "er"),
    );
    let planned = planned(registry, false).unwrap();
    assert!(!planned.contains(&own), "{planned:?}");
    assert!(planned.contains(&others), "{planned:?}");
    assert_eq!(removal(registry, &own, false), "best-linked");
    assert_eq!(removal(registry, &others, false), "ok");
}

#[test]
fn the_iteration_of_a_link_stays_and_links_of_another_run_do_not_bind() {
    let (folder, registry) = runs();
    link(folder.path(), "../iterations/2000");
    assert_binds(&registry, 2000);
}

#[test]
fn an_absolute_link_that_dangles_binds() {
    let (folder, registry) = runs();
    link(
        folder.path(),
        "/moved/away/mito/checkpoints/iterations/2000",
    );
    assert_binds(&registry, 2000);
}

#[test]
fn the_iteration_of_a_note_stays() {
    let (folder, registry) = runs();
    let note = folder.path().join(LINK).with_extension("json");
    fs::write(note, r#"{"iteration": 1000, "voi": 0.5}"#).unwrap();
    assert_binds(&registry, 1000);
}

#[test]
fn links_bind_nothing_if_they_are_ignored() {
    let (folder, registry) = runs();
    link(folder.path(), "/x/iterations/2000");
    let planned = planned(&registry, true).unwrap();
    assert!(planned.contains(&prediction(2000)));
    assert_eq!(removal(&registry, &prediction(2000), true), "ok");
    assert!(folder.path().join(LINK).is_symlink());
}

#[test]
fn a_link_or_note_that_cannot_be_read_stops_everything_of_its_run_and_is_named() {
    type Break = fn(&Path);
    let ways: [(Break, &str); 4] = [
        (|base| link(base, "/somewhere/else"), "crop1/voi"),
        (|base| link(base, "/x/iterations/latest"), "crop1/voi"),
        (
            |base| fs::write(base.join(LINK).with_extension("json"), "{\"iter").unwrap(),
            "crop1/voi.json",
        ),
        (
            |base| {
                let note = base.join(LINK).with_extension("json");
                fs::write(note, [0xff, 0xfe]).unwrap();
            },
            "crop1/voi.json",
        ),
    ];
    for (break_it, named) in ways {
        let (folder, registry) = runs();
        break_it(folder.path());
        let error = planned(&registry, false).unwrap_err();
        assert_eq!(error.code(), "best-link");
        assert!(error.to_string().contains(named), "{error}");
        assert_eq!(removal(&registry, &prediction(1000), false), "best-link");
        // Another run can be removed by hand, and everything if links are ignored.
        let other = prediction(1000).replace("mito", "er");
        assert_eq!(removal(&registry, &other, false), "ok");
        assert_eq!(planned(&registry, true).unwrap().len(), 3);
        assert_eq!(removal(&registry, &prediction(1000), true), "ok");
    }
}

#[test]
fn a_note_about_something_else_binds_nothing() {
    let (folder, registry) = runs();
    let note = folder.path().join(LINK).with_extension("json");
    fs::write(note, r#"{"settings": true}"#).unwrap();
    assert_eq!(planned(&registry, false).unwrap().len(), 4);
}
