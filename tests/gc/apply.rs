//! A plan is carried out as it was shown, but for what changed since.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use dalsegno::model::artifact::State;
use dalsegno::model::filter::Filter;
use dalsegno::model::key::Kind;
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::TrashKeep;
use dalsegno::retention::{self, Limits, Policy, SelectRules};
use dalsegno::{GcOptions, GcPlan, GcReport, GcRequest, GcRules, PlanFile};
use dalsegno::{Question, Registry, RestoreTarget};

use crate::child::tree;
use crate::scene::{
    NOW, base, date, date_all, days, get, key, of_kinds, of_run, paths, pin, prediction, scan,
    target, write_aged, write_checkpoint,
};

pub(crate) fn keep_last(count: u64) -> GcRequest {
    GcRequest::new(
        Filter::default(),
        GcRules::Policy(Policy::default().keep(retention::KeepRules::default().last(count))),
    )
    .words(format!("keep-last {count}"))
}

/// Two runs, iterations 9000, 9900 and 10000 of each, and what else lies there.
pub(crate) fn runs() -> (tempfile::TempDir, Registry) {
    let (folder, registry) = base();
    let base = folder.path();
    for run in ["mito", "er"] {
        for (age, iteration) in [(70, 9000), (60, 9900), (50, 10_000)] {
            for array in ["prediction", "output/a=1", "output/a=2"] {
                let path = format!("{run}/validation.zarr/{iteration}/crop1/{array}");
                write_aged(base, &path, days(age));
            }
            write_checkpoint(base, run, iteration, days(age));
        }
        write_aged(base, &format!("{run}/snapshot.zarr/volumes/raw"), days(60));
        fs::write(base.join(run).join("config.yaml"), "a: 1").unwrap();
        fs::write(base.join(run).join("validation.zarr/.zgroup"), "{}").unwrap();
    }
    scan(&registry);
    (folder, registry)
}

pub(crate) fn removed(plan: &GcPlan) -> Vec<String> {
    let mut paths: Vec<String> = plan
        .plan
        .removed()
        .map(|line| line.artifact.location().path())
        .collect();
    paths.sort();
    paths
}

pub(crate) fn apply(registry: &Registry, plan: &PlanFile, keep: TrashKeep) -> GcReport {
    let options = GcOptions::default().keep(keep);
    let report = registry.apply_gc(plan, &options, &Silent, |_| {}).unwrap();
    // The history has the rows as they were, not as the plan knew them.
    assert_eq!(registry.check_history(None).unwrap().broken, None);
    report
}

/// The data below a base directory, without the folder of the registry.
pub(crate) fn data(base: &Path) -> BTreeMap<String, String> {
    let registry = base.join(".dalsegno");
    let registry = registry.to_str().unwrap();
    let mut tree = tree(base);
    tree.retain(|path, _| !path.starts_with(registry));
    tree
}

/// Code and reason of all that was skipped, by path relative to the base directory.
pub(crate) fn skipped(registry: &Registry, report: &GcReport) -> Vec<String> {
    let mut lines: Vec<String> = report
        .skipped
        .iter()
        .map(|skipped| {
            let path = skipped.path.strip_prefix(registry.base()).unwrap();
            let base = format!("{}/", registry.base().display());
            let reason = skipped.reason.replace(&base, "");
            format!("{} {}: {reason}", path.display(), skipped.code)
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn making_a_plan_changes_nothing() {
    let (folder, registry) = runs();
    let before = tree(folder.path());
    let plan = registry.plan_gc(&keep_last(1)).unwrap();
    assert_eq!(removed(&plan).len(), 12);
    assert_eq!(tree(folder.path()), before);
}

#[test]
fn a_plan_removes_what_it_shows_and_nothing_else() {
    let (folder, registry) = runs();
    let plan = registry.plan_gc(&keep_last(1)).unwrap();
    // Iterations are integers: 9000 < 9900 < 10000.
    let gone = removed(&plan);
    assert!(
        gone.iter()
            .all(|path| path.contains("/9000/") || path.contains("/9900/"))
    );
    let rows = registry.select(&of_kinds(&Kind::ALL)).unwrap();
    let before = data(folder.path());

    let report = apply(&registry, &plan.file, TrashKeep::No);
    assert_eq!((report.artifacts, report.removals.len()), (12, 1));
    assert_eq!((report.total.bytes.0, report.total.files), (12 * 9, 24));
    assert_eq!(report.total.bytes, plan.plan.totals().removed.size.bytes);
    assert!(report.skipped.is_empty());

    let is_gone = |path: &str| {
        let path = Path::new(path).strip_prefix(folder.path()).unwrap();
        let mut above = path.ancestors();
        // The arrays, and the folders that held nothing but them.
        above.any(|path| {
            let path = path.to_str().unwrap();
            gone.iter().any(|gone| gone == path)
                || path.ends_with("/9000")
                || path.ends_with("/9900")
        }) && !path.to_str().unwrap().contains("checkpoints")
    };
    let expected: BTreeMap<String, String> = before
        .into_iter()
        .filter(|(path, _)| !is_gone(path))
        .collect();
    assert_eq!(data(folder.path()), expected);
    let left: Vec<_> = rows
        .into_iter()
        .filter(|row| !gone.contains(&row.location().path()))
        .collect();
    assert_eq!(registry.select(&of_kinds(&Kind::ALL)).unwrap(), left);
    assert_eq!(
        fs::read_dir(folder.path().join(".dalsegno/trash"))
            .unwrap()
            .count(),
        0
    );
}

type Change = fn(&Registry);

/// What happens to the prediction of iteration 9000 since the plan, and what is said of it.
const CHANGES: [(Change, &str); 9] = [
    (
        |registry| pin(registry, "late", &prediction(9000)),
        "pinned: @ is pinned: late",
    ),
    (
        |registry| {
            let metadata = registry.base().join(prediction(9000)).join(".zarray");
            date(&metadata, NOW.minus(days(3)));
        },
        "changed-since-plan: @ was rewritten since it was planned",
    ),
    (
        |registry| {
            let metadata = registry.base().join(prediction(9000)).join(".zarray");
            date(&metadata, NOW.minus(days(3)));
            scan(registry);
        },
        "changed-since-plan: @ was rewritten since it was planned",
    ),
    (
        |registry| {
            registry.seal(&target(&prediction(9000))).unwrap();
        },
        "changed-since-plan: @ was sealed since it was planned",
    ),
    (
        |registry| {
            registry
                .remove_artifact(&target(&prediction(9000)))
                .unwrap();
        },
        "changed-since-plan: @ was removed since it was planned",
    ),
    (
        |registry| {
            registry
                .remove_artifact(&target(&prediction(9000)))
                .unwrap();
            registry.record(&key(&prediction(9000))).unwrap();
        },
        "changed-since-plan: @ was recorded again since it was planned",
    ),
    (
        |registry| {
            registry
                .remove_artifact(&target(&prediction(9000)))
                .unwrap();
            write_aged(registry.base(), &prediction(9000), days(70));
            scan(registry);
        },
        "changed-since-plan: @ was recorded again since it was planned",
    ),
    (
        |registry| {
            registry.record(&key(&prediction(9000))).unwrap();
        },
        "changed-since-plan: @ was recorded again since it was planned",
    ),
    (
        |registry| {
            // It is the folder of another run that is linked to.
            let note = registry.base().join("mito/checkpoints/crop1");
            fs::create_dir_all(&note).unwrap();
            fs::write(note.join("voi.json"), r#"{"iteration": 9000}"#).unwrap();
        },
        "best-linked: @ belongs to a best iteration: crop1/voi",
    ),
];

#[test]
fn what_changed_since_the_plan_stays_and_is_reported() {
    for (change, says) in CHANGES {
        let (folder, registry) = runs();
        let plan = registry.plan_gc(&keep_last(1)).unwrap();
        change(&registry);
        let was_there = folder.path().join(prediction(9000)).exists();
        let row = registry.get(&target(&prediction(9000))).unwrap();
        let report = apply(&registry, &plan.file, TrashKeep::No);
        let lines = skipped(&registry, &report);
        let path = prediction(9000);
        let expected = format!("{path} {}", says.replace('@', &path));
        assert!(lines.contains(&expected), "{lines:?}");
        // Everything of an iteration that is best stays; else only this one.
        let others = if says.starts_with("best") { 2 } else { 0 };
        assert_eq!(lines.len(), 1 + others, "{lines:?}");
        assert_eq!(report.artifacts as usize, 12 - lines.len(), "{says}");
        assert_eq!(folder.path().join(prediction(9000)).exists(), was_there);
        assert_eq!(registry.get(&target(&prediction(9000))).unwrap(), row);
    }
}

#[test]
fn a_best_link_that_cannot_be_read_since_keeps_all_of_its_run() {
    let (folder, registry) = runs();
    let plan = registry.plan_gc(&keep_last(1)).unwrap();
    let best = folder.path().join("mito/checkpoints/crop1");
    fs::create_dir_all(&best).unwrap();
    fs::write(best.join("voi.json"), "{").unwrap();
    let report = apply(&registry, &plan.file, TrashKeep::No);
    let lines = skipped(&registry, &report);
    assert_eq!((lines.len(), report.artifacts), (6, 6));
    assert!(
        lines.iter().all(|line| line.starts_with("mito/")
            && line.contains(" best-link: ")
            && line.contains("crop1/voi.json")),
        "{lines:?}"
    );
}

#[test]
fn the_row_of_data_that_has_disappeared_goes_and_is_reported() {
    let (folder, registry) = runs();
    let plan = registry.plan_gc(&keep_last(1)).unwrap();
    fs::remove_dir_all(folder.path().join(prediction(9000))).unwrap();
    let report = apply(&registry, &plan.file, TrashKeep::No);
    assert_eq!((report.artifacts, report.missing), (12, 1));
    assert_eq!(report.total.bytes.0, 11 * 9);
    assert!(report.skipped.is_empty());
    assert!(!paths(&registry).contains(&prediction(9000)));
}

#[test]
fn the_row_of_data_that_was_renamed_since_stays_and_the_rest_goes() {
    let (folder, registry) = runs();
    let plan = registry.plan_gc(&keep_last(1)).unwrap();
    let at = |path: &str| folder.path().join(path);
    fs::rename(
        at("mito/validation.zarr/9000"),
        at("mito/validation.zarr/9000_old"),
    )
    .unwrap();
    let report = apply(&registry, &plan.file, TrashKeep::No);
    let codes: Vec<_> = report.skipped.iter().map(|one| one.code).collect();
    assert_eq!(codes, ["renamed-by-hand"; 3]);
    assert_eq!((report.artifacts, report.missing), (9, 0));
    assert!(paths(&registry).contains(&prediction(9000)));

    // A container that is emptied, and was renamed.
    let (folder, registry) = runs();
    let plan = registry.plan_gc(&keep_last(1)).unwrap();
    let at = |path: &str| folder.path().join(path);
    fs::rename(at("mito"), at("mito2")).unwrap();
    let report = apply(&registry, &plan.file, TrashKeep::No);
    let codes: Vec<_> = report.skipped.iter().map(|one| one.code).collect();
    assert_eq!(codes, ["renamed-by-hand"; 6]);
}

#[test]
fn what_went_to_the_trash_comes_back_as_it_was() {
    let (folder, registry) = runs();
    let plan = registry.plan_gc(&keep_last(1)).unwrap();
    let (before, rows) = (
        data(folder.path()),
        registry.select(&of_kinds(&Kind::ALL)).unwrap(),
    );
    let report = apply(&registry, &plan.file, TrashKeep::UntilEmptied);
    assert!(report.purge.is_none());
    let reason = registry.trash().unwrap()[0].reason.clone().unwrap();
    assert_eq!(reason, format!("gc, plan {}: keep-last 1", plan.file.id));
    for removal in report.removals {
        registry.restore(&RestoreTarget::Removal(removal)).unwrap();
    }
    assert_eq!(data(folder.path()), before);
    assert_eq!(registry.select(&of_kinds(&Kind::ALL)).unwrap(), rows);
}

#[test]
fn a_container_of_which_everything_goes_is_moved_by_one_rename() {
    let (folder, registry) = runs();
    let GcRules::Policy(mut policy) = keep_last(1).rules else {
        panic!("a policy was made");
    };
    policy.keep = retention::KeepRules::default();
    policy.limit.max_files = Some(1);
    policy.allow_empty_group = true;
    let request = keep_last(1)
        .of(of_run("mito"))
        .rules(GcRules::Policy(policy));
    let plan = registry.plan_gc(&request).unwrap();
    assert_eq!(removed(&plan).len(), 9);
    let report = apply(&registry, &plan.file, TrashKeep::UntilEmptied);
    let [removal] = report.removals.as_slice() else {
        panic!("{:?}", report.removals);
    };
    let folder = folder.path();
    let trash = folder.join(".dalsegno/trash").join(removal.as_str());
    let mut items: Vec<String> = fs::read_dir(trash)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    items.sort();
    assert_eq!(items, ["0", "manifest.json"]);
    assert!(!folder.join("mito/validation.zarr").exists());
}

#[test]
fn a_limit_on_bytes_is_refused_while_sizes_are_unknown() {
    let (folder, registry) = runs();
    write_aged(folder.path(), &prediction(8000), days(80));
    let options = dalsegno::ScanOptions::default();
    registry.scan(options, &Silent).unwrap();
    let request = |limit| {
        keep_last(1).rules(GcRules::Policy(
            Policy::default()
                .limit(limit)
                .select(SelectRules::default()),
        ))
    };
    for limit in [
        Limits::default().max_bytes(100),
        Limits::default().max_files(10),
        Limits::default().min_free(u64::MAX),
    ] {
        let error = registry.plan_gc(&request(limit)).unwrap_err();
        assert_eq!(error.code(), "plan-unmeasured");
    }
    assert!(get(&registry, &prediction(8000)).size.is_none());
    scan(&registry);
    let limit = Limits::default().max_files(40);
    let plan = registry.plan_gc(&request(limit)).unwrap();
    // The oldest goes first: 21 arrays of two files, and one may go.
    assert_eq!(removed(&plan), [prediction(8000)]);
}

#[test]
fn what_was_written_within_the_hour_stays_whatever_the_rules() {
    let (folder, registry) = base();
    for (iteration, age) in [(1, 7200), (2, 3599), (3, 3600), (4, 3601), (9, 7200)] {
        write_aged(
            folder.path(),
            &prediction(iteration),
            Duration::from_secs(age),
        );
    }
    scan(&registry);
    let plan = registry.plan_gc(&keep_last(1)).unwrap();
    assert_eq!(removed(&plan), [prediction(1), prediction(4)]);
}

#[test]
fn a_filter_of_which_a_part_would_be_ignored_is_refused() {
    let (_folder, registry) = runs();
    for (of, part) in [
        (of_kinds(&[Kind::Output]), "kind"),
        (Filter::default().iterations([9000.into()]), "iteration"),
        (Filter::default().older_than(days(1)), "age"),
        (Filter::default().states([State::Present]), "state"),
    ] {
        let request = keep_last(1).of(of);
        let error = registry.plan_gc(&request).unwrap_err();
        assert_eq!(error.code(), "policy-useless-rule");
        assert!(error.to_string().contains(&format!("selects by {part}")));
        let id = registry.select(&Filter::default()).unwrap()[0].id;
        let explained = registry.explain_gc(&request, id).unwrap_err();
        assert_eq!(explained.to_string(), error.to_string());
    }
}

#[test]
fn a_damaged_array_is_never_the_newest() {
    let (folder, registry) = base();
    for iteration in [1, 2] {
        write_aged(folder.path(), &prediction(iteration), days(2));
    }
    scan(&registry);
    fs::write(folder.path().join(prediction(2)).join(".zarray"), "").unwrap();
    let request = keep_last(1);
    let question = dalsegno::Question::Gc(&request);
    let report = registry.refresh_for(question, &Silent).unwrap();
    assert_eq!(report.notices[0].class.as_str(), "damaged-metadata");
    assert_eq!(get(&registry, &prediction(2)).state, State::Damaged);
    let plan = registry.plan_gc(&request).unwrap();
    assert_eq!(plan.file.items, []);
}

/// The row of a sealed array keeps the counts of the seal; a limit goes by what is on disk.
#[test]
fn a_limit_counts_what_is_there_of_a_sealed_array_that_has_grown() {
    let (folder, registry) = base();
    for (iteration, age) in [(1, 30), (2, 20), (3, 10)] {
        write_aged(folder.path(), &prediction(iteration), days(age));
    }
    scan(&registry);
    for iteration in 1..=3 {
        registry.seal(&target(&prediction(iteration))).unwrap();
    }
    let grown = folder.path().join(prediction(2));
    for chunk in 1..=10 {
        fs::write(grown.join(format!("{chunk}.0")), [1; 1000]).unwrap();
    }
    date_all(&grown, NOW.minus(days(15)));
    // The metadata is as it was sealed.
    date(&grown.join(".zarray"), NOW.minus(days(20)));
    let sealed = get(&registry, &prediction(2));
    let limited = |limit: Limits| {
        let rules = Policy::default()
            .limit(limit)
            .select(SelectRules::default());
        let request = keep_last(1).rules(GcRules::Policy(rules));
        let seen = registry
            .refresh_for(Question::Gc(&request), &Silent)
            .unwrap();
        assert_eq!(seen.notices.len(), 1, "{seen:?}");
        request.unread(&seen.notices).counts(&seen.counts)
    };
    // By the seals, six files of 27 bytes.
    for limit in [
        Limits::default().max_files(8),
        Limits::default().max_bytes(100),
    ] {
        let plan = registry.plan_gc(&limited(limit)).unwrap();
        assert_eq!(removed(&plan), [prediction(1), prediction(2)]);
        assert_eq!(plan.file.total().files, 14);
        assert_eq!(get(&registry, &prediction(2)), sealed);
    }
    let fits = registry.plan_gc(&limited(Limits::default().max_files(16)));
    assert_eq!(removed(&fits.unwrap()), [""; 0]);
    // From a file, which also has what was sealed.
    let plan = registry.plan_gc(&limited(Limits::default().max_files(8)));
    let file = PlanFile::parse(&plan.unwrap().file.text().unwrap()).unwrap();
    let kept = GcOptions::default().keep(TrashKeep::UntilEmptied);
    let report = registry.apply_gc(&file, &kept, &Silent, |_| {}).unwrap();
    assert_eq!(report.total.files, 14, "{report:?}");
    registry
        .restore(&RestoreTarget::Path(prediction(2).into()))
        .unwrap();
    assert_eq!(get(&registry, &prediction(2)).size, sealed.size);
    assert_eq!(get(&registry, &prediction(2)).sealed_at, sealed.sealed_at);
}
