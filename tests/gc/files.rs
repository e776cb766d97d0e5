//! Plans as files: what is carried out, and what is refused.

use std::fs;

use dalsegno::model::progress::Silent;
use dalsegno::model::removal::TrashKeep;
use dalsegno::{Error, Registry, RestoreTarget};
use dalsegno::{GcOptions, PlanFile};
use serde_json::{Value, json};

use crate::apply::{apply, data, keep_last, removed, runs, skipped};
use crate::child::tree;
use crate::scene::{NOW, open_at, paths, prediction, target};

fn plan(registry: &Registry) -> Value {
    let plan = registry.plan_gc(&keep_last(1)).unwrap();
    serde_json::from_str(&plan.file.text().unwrap()).unwrap()
}

fn carry_out(registry: &Registry, plan: &Value) -> Result<Vec<String>, Error> {
    let plan = PlanFile::parse(&plan.to_string())?;
    let report = registry.apply_gc(&plan, &GcOptions::default(), &Silent, |_| {})?;
    Ok(skipped(registry, &report))
}

#[test]
fn a_plan_is_the_same_after_it_was_kept_as_a_file() {
    let (_folder, registry) = runs();
    let plan = registry.plan_gc(&keep_last(1)).unwrap();
    let text = plan.file.text().unwrap();
    assert_eq!(PlanFile::parse(&text).unwrap(), plan.file);
    let report = apply(&registry, &PlanFile::parse(&text).unwrap(), TrashKeep::No);
    assert_eq!(report.artifacts as usize, removed(&plan).len());
}

#[test]
fn a_plan_that_was_carried_out_removes_nothing_the_second_time() {
    let (folder, registry) = runs();
    let file = plan(&registry);
    assert_eq!(carry_out(&registry, &file).unwrap(), [""; 0]);
    let (left, rows) = (data(folder.path()), paths(&registry));
    let lines = carry_out(&registry, &file).unwrap();
    assert_eq!(lines.len(), 12);
    assert!(
        lines
            .iter()
            .all(|line| line.ends_with("was removed since it was planned"))
    );
    assert_eq!((data(folder.path()), paths(&registry)), (left, rows));
}

#[test]
fn a_plan_of_another_registry_is_refused() {
    let (_folder, registry) = runs();
    let (_other_folder, other) = runs();
    let error = carry_out(&registry, &plan(&other)).unwrap_err();
    assert_eq!(error.code(), "plan-elsewhere");
    assert_eq!(paths(&registry).len(), 26);
}

#[test]
fn a_plan_from_before_a_restore_is_refused() {
    let (_folder, registry) = runs();
    let file = plan(&registry);
    let options = dalsegno::RemoveOptions::default().keep(TrashKeep::UntilEmptied);
    let report = registry
        .remove_target(&target(&prediction(9000)), &options, &Silent)
        .unwrap();
    registry
        .restore(&RestoreTarget::Removal(report.removal.unwrap()))
        .unwrap();
    let error = carry_out(&registry, &file).unwrap_err();
    assert_eq!(error.code(), "plan-outdated");
    // Also if the clock was set back since.
    drop(registry);
    let registry = open_at(_folder.path(), NOW.minus(crate::scene::days(400)));
    let error = carry_out(&registry, &file).unwrap_err();
    assert_eq!(error.code(), "plan-outdated");
    assert_eq!(paths(&registry).len(), 26);
}

#[test]
fn a_file_that_is_no_plan_is_refused() {
    let (folder, registry) = runs();
    let good = plan(&registry);
    let text = good.to_string();
    let with = |change: fn(&mut Value)| {
        let mut bad = good.clone();
        change(&mut bad);
        bad.to_string()
    };
    let before = tree(folder.path());
    for (text, says) in [
        (String::new(), "it cannot be read as JSON"),
        (
            text[..text.len() / 2].to_owned(),
            "it cannot be read as JSON",
        ),
        (format!("{text}{text}"), "it cannot be read as JSON"),
        ("[]".to_owned(), "it is another kind of file"),
        ("{\"lines\": []}".to_owned(), "it is another kind of file"),
        (
            with(|plan| plan["version"] = json!(2)),
            "it has version 2; this program reads version 1",
        ),
        (
            with(|plan| plan["version"] = Value::Null),
            "it has version null",
        ),
        (with(|plan| plan["more"] = json!(1)), "unknown field `more`"),
        (
            with(|plan| plan["items"][0]["path"] = json!("/etc")),
            "unknown field `path`",
        ),
        (with(|plan| plan["items"] = json!({})), "invalid type"),
        (
            with(|plan| plan["items"][0]["id"] = json!("1")),
            "invalid type",
        ),
        (
            with(|plan| plan["items"][0]["key"]["kind"] = json!("folder")),
            "folder",
        ),
        (
            with(|plan| plan["items"][0]["key"]["run"] = json!("../../etc")),
            "has a component '..'",
        ),
        (
            with(|plan| plan["items"][0]["key"]["run"] = json!(".dalsegno")),
            "reserved",
        ),
        (
            with(|plan| plan["items"][0]["key"]["dataset"] = json!("/etc")),
            "is an absolute path",
        ),
        (with(|plan| plan["restores"] = Value::Null), "invalid type"),
    ] {
        let error = PlanFile::parse(&text).unwrap_err();
        assert_eq!(error.code(), "plan-invalid", "{error}");
        assert!(error.to_string().contains(says), "{error}\n{says}");
    }
    assert_eq!(tree(folder.path()), before);
}

/// What a file says of an artifact is compared with its row; a row that is not as the file says
/// stays.
#[test]
fn a_tampered_plan_removes_nothing_but_rows_that_are_as_it_says() {
    type Change = fn(&mut Value, &Registry);
    let changes: [(Change, &str); 8] = [
        // The number of something that is to stay, under the key of something that is to go.
        (
            |item, registry| item["id"] = json!(id(registry, &prediction(10_000))),
            "recorded again",
        ),
        // The key of what is to stay, under the number of what is to go.
        (
            |item, _| item["key"]["iteration"] = json!(10_000),
            "recorded again",
        ),
        (
            |item, _| item["key"]["run"] = json!("nowhere"),
            "recorded again",
        ),
        (|item, _| item["id"] = json!(999_999), "recorded again"),
        (
            |item, _| item["recorded_at"] = json!("2020-01-01T00:00:00.000Z"),
            "recorded again",
        ),
        (
            |item, _| item["origin"] = json!("recorded"),
            "recorded again",
        ),
        (
            |item, _| item["sealed_at"] = json!("2020-01-01T00:00:00.000Z"),
            "sealed",
        ),
        (|item, _| item["written_at"] = Value::Null, "rewritten"),
    ];
    for (change, says) in changes {
        let (folder, registry) = runs();
        let mut file = plan(&registry);
        let items = file["items"].as_array_mut().unwrap();
        items.retain(|item| {
            let key = &item["key"];
            key["run"] == "mito" && key["kind"] == "prediction" && key["iteration"] == 9000
        });
        assert_eq!(items.len(), 1);
        change(&mut items[0], &registry);
        let (before, rows) = (data(folder.path()), paths(&registry));
        let lines = carry_out(&registry, &file).unwrap();
        assert_eq!(lines.len(), 1);
        assert!(
            lines[0].ends_with(&format!("was {says} since it was planned")),
            "{lines:?}"
        );
        assert_eq!(data(folder.path()), before);
        assert_eq!(paths(&registry), rows);
    }
}

fn id(registry: &Registry, path: &str) -> i64 {
    crate::scene::get(registry, path).id.0
}

#[test]
fn what_a_file_names_twice_goes_once() {
    let (folder, registry) = runs();
    let mut file = plan(&registry);
    let items = file["items"].as_array_mut().unwrap();
    items.extend(items.clone());
    assert_eq!(carry_out(&registry, &file).unwrap(), [""; 0]);
    assert_eq!(paths(&registry).len(), 14);
    assert!(fs::exists(folder.path().join(prediction(10_000))).unwrap());
}
