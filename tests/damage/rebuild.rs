//! A rebuild after every kind of damage: everything that the disk and the backup hold is in the new
//! catalog, and nothing is lost.

use std::fs;
use std::path::Path;

use dalsegno::model::clock::FixedClock;
use dalsegno::model::filter::Filter;
use dalsegno::model::progress::Silent;
use dalsegno::{
    Options, RebuildOptions, RebuildReport, RestoreTarget, Result, Target, VerifyOptions,
};

use crate::file::{CASES, catalog, flips};
use crate::rows;
use crate::scene::{ARRAYS, NOW, PINNED, Scene, Standing, TRASHED, VICTIM, open};

fn rebuild(base: &Path, force: bool) -> Result<RebuildReport> {
    let options = RebuildOptions::default().force(force);
    let made = Options::new()
        .clock(FixedClock(NOW))
        .rebuild(base, &options, &Silent);
    made.map(|(_, report)| report)
}

/// Checks that everything is as before: the tree, its rows, pins, seals and what can be restored.
fn assert_whole(scene: &Scene, name: &str) {
    scene.assert_nothing_lost(&[], name);
    let registry = open(&scene.base(), NOW, false).unwrap();
    let options = VerifyOptions::new().indices(true).measure(true);
    let everything = Filter::default();
    let report = registry.verify(&everything, options, &Silent).unwrap();
    assert!(report.is_complete, "{name}");
    assert_eq!(report.findings, [], "{name}");
    for path in ARRAYS.into_iter().filter(|path| *path != TRASHED) {
        let row = registry.get(&Target::Path(path.into())).unwrap();
        assert!(row.is_some(), "{name}: {path}");
    }
    let row = |path: &str| registry.get(&Target::Path(path.into())).unwrap().unwrap();
    assert_eq!(row(PINNED).pins, ["paper"], "{name}");
    assert!(row(VICTIM).sealed_at.is_some(), "{name}");
    let target = RestoreTarget::Path(TRASHED.into());
    assert_eq!(registry.restorable(&target).unwrap().len(), 1, "{name}");
}

/// Damages a scene and rebuilds it; returns the error code, or `ok`.
fn rebuilt(name: &str, damage: &dyn Fn(&Path)) -> &'static str {
    let scene = Scene::with(damage);
    let before = Standing::of(&catalog(&scene.base()));
    match rebuild(&scene.base(), false) {
        Ok(report) => {
            assert_whole(&scene, name);
            let aside = report.set_aside.map(|path| Standing::of(&path));
            assert_eq!(aside.unwrap_or(Standing::Nothing), before, "{name}");
            assert!(report.backup.is_some(), "{name}");
            assert_eq!(report.problems, [""; 0], "{name}");
            "ok"
        }
        Err(error) => {
            crate::calls::assert_clear(&error, name);
            scene.assert_nothing_lost(&[], name);
            scene.assert_no_new_catalog(&before, name);
            error.code()
        }
    }
}

#[test]
fn what_is_no_catalog_is_set_aside_unless_another_user_owns_it() {
    for case in CASES {
        let expected = match case.code {
            code @ ("catalog-too-new" | "catalog-mismatch") => code,
            _ => "ok",
        };
        assert_eq!(rebuilt(case.name, &case.damage), expected, "{}", case.name);
    }
}

#[test]
fn a_catalog_cut_at_any_page_is_rebuilt() {
    let bytes = fs::read(catalog(&Scene::with(&|_| {}).base())).unwrap();
    for page in 1..bytes.len() / 4096 {
        let cut = |base: &Path| fs::write(catalog(base), &bytes[..4096 * page]).unwrap();
        assert_eq!(rebuilt(&format!("cut at page {page}"), &cut), "ok");
    }
}

#[test]
fn a_catalog_with_flipped_bytes_is_rebuilt_or_sound() {
    let mut rebuilds = 0;
    for (name, damaged) in flips(24) {
        let damage = |base: &Path| fs::write(catalog(base), &damaged).unwrap();
        match rebuilt(&name, &damage) {
            "ok" => rebuilds += 1,
            // Damage that neither SQLite nor the checks of rows can find, in values or free space;
            // or a flipped version or id, which looks like another registry's.
            code => assert!(
                ["catalog-sound", "catalog-too-new", "catalog-mismatch"].contains(&code),
                "{name}: {code}"
            ),
        }
    }
    assert!(rebuilds > 5, "only {rebuilds} were damaged");
}

#[test]
fn rows_that_break_the_rules_go_with_the_old_catalog() {
    for case in rows::cases() {
        let damage = |base: &Path| crate::scene::sql(base, &case.sql);
        assert_eq!(rebuilt(case.name, &damage), "ok", "{}", case.name);
    }
}

#[test]
fn a_sound_catalog_is_left_alone_unless_forced() {
    assert_eq!(rebuilt("none", &|_| {}), "catalog-sound");
    let scene = Scene::with(&|_| {});
    rebuild(&scene.base(), true).unwrap();
    assert_whole(&scene, "forced");
}
