//! The fields of `--json` in the reference are those that the commands print.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::reference::{names, reference, tables};
use crate::session::Session;

/// Commands, each with the heading of the reference that lists the fields of its document. Those
/// without a heading only prepare.
const CALLS: &[(&str, &str)] = &[
    ("init", "init"),
    (
        "",
        "mkdir -p \"$(printf 'mito/a\\tb.zarr/x')\" && cp affinities/validation.zarr/1000/crop7/prediction/.zarray mito/*/x/",
    ),
    ("scan, refresh", "scan --measure"),
    (
        "record",
        "record prediction --run a --iteration 1 --dataset d",
    ),
    ("list, show, seal", "list --run affinities"),
    (
        "list, show, seal",
        "show affinities/validation.zarr/1000/crop7/prediction",
    ),
    ("list, show, seal", "seal --run affinities --iteration 1000"),
    ("iterations", "iterations"),
    ("runs", "runs"),
    ("du", "du --by owner"),
    ("scan, refresh", "refresh --all"),
    (
        "score",
        "score --run affinities --iteration 1000 --dataset crop voi=0.5",
    ),
    (
        "",
        "score --run affinities --iteration 1000 --dataset crop --remove voi",
    ),
    ("score", "score --run affinities"),
    (
        "pin, unpin",
        "pin figure --reason r --run affinities --iteration 1000..2000",
    ),
    ("pin --list", "pin --list"),
    ("pin, unpin", "unpin figure"),
    (
        "undo",
        "undo $(dalsegno history --action unpin --table | awk 'NR == 2 { print $1 }')",
    ),
    ("", "unpin figure --quiet"),
    ("", "echo x > distances/validation.zarr/1000/note"),
    (
        "rm --dry-run",
        "rm --run distances --iteration 1000 --dry-run",
    ),
    ("rm --dry-run", "rm distances/validation.zarr --dry-run"),
    ("rm", "rm --run distances --iteration 1000 --trash --yes"),
    (
        "",
        "rm --quiet --run distances --iteration 2000 --yes --trash-for 1h",
    ),
    (
        "rm",
        "rm --run distances --iteration 3000 --kind output --yes",
    ),
    ("trash list", "trash list"),
    (
        "restore",
        "restore --run distances --iteration 1000 --dry-run",
    ),
    ("restore", "restore --run distances --iteration 1000"),
    (
        "list, show, seal",
        "show distances/validation.zarr/2000/crop7/prediction",
    ),
    ("mv", "mv affinities renamed --dry-run"),
    (
        "gc",
        "gc --run affinities --kind prediction --keep-last 1 --min-free 1%",
    ),
    (
        "gc --explain",
        "gc --keep-last 1 --explain affinities/validation.zarr/1000/crop7/prediction",
    ),
    (
        "",
        "gc --run affinities --kind prediction --keep-last 1 --plan-out plan",
    ),
    (
        "",
        "pin keep --quiet --reason r --run affinities --iteration 1000",
    ),
    ("gc --apply", "gc --apply plan --yes"),
    (
        "gc --apply",
        "gc --run affinities --kind output --keep-last 1 --apply --trash --yes",
    ),
    ("trash empty", "trash empty --yes"),
    ("history", "history"),
    ("history show", "history show 1"),
    ("history verify", "history verify"),
    ("history head", "history head"),
    ("", "rm -r affinities/validation.zarr/1000/crop7/prediction"),
    ("verify", "verify"),
    ("verify", "verify --repair"),
    ("rebuild", "rebuild --force"),
    (
        "",
        "echo damage | dd of=.dalsegno/catalog.sqlite3 bs=4096 seek=5 conv=notrunc status=none",
    ),
    ("rebuild", "rebuild"),
    ("doctor", "doctor"),
    ("", "mkdir /data/other"),
    (
        "",
        "init --here --quiet --base /data/other --catalog /local/disk/other.sqlite3",
    ),
    ("publish", "publish --base /data/other"),
];

/// Fields whose own fields are not listed: they differ from action to action, or from class to
/// class.
const FREE: [&str; 5] = [
    "operation.detail",
    "operations[].detail",
    "verify.counts",
    "verify.repaired",
    "doctor.",
];

fn is_free(path: &str) -> bool {
    FREE.iter().any(|free| match free.strip_suffix('.') {
        Some(top) => path.starts_with(&format!("{top}.")) && path.matches('.').count() == 1,
        None => path == *free,
    })
}

/// Adds the paths of all fields of a value. Those of an artifact are left out.
fn paths(value: &Value, path: &str, artifact: &BTreeSet<String>, into: &mut BTreeSet<String>) {
    if is_free(path) {
        into.insert(path.to_owned());
        return;
    }
    match value {
        Value::Object(fields) => {
            let is_artifact = artifact.iter().all(|field| fields.contains_key(field));
            into.insert(path.to_owned());
            for (name, value) in fields {
                if !(is_artifact && artifact.contains(name)) {
                    let path = format!("{path}.{name}");
                    paths(value, path.trim_start_matches('.'), artifact, into);
                }
            }
        }
        Value::Array(values) => {
            let path = format!("{path}[]");
            into.insert(path.clone());
            for value in values {
                paths(value, &path, artifact, into);
            }
        }
        _ => {
            into.insert(path.to_owned());
        }
    }
}

#[test]
fn every_field_is_listed_and_no_other() {
    let tables = tables(&reference("json.md"));
    let artifact = names(&tables["artifact"]);
    let session = Session::new();
    let mut printed: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    session.run("cd /data/runs");
    for (heading, call) in CALLS {
        if heading.is_empty() {
            let is_shell = ["mkdir", "echo", "rm -r"]
                .iter()
                .any(|start| call.starts_with(start));
            let command = if is_shell {
                (*call).to_owned()
            } else {
                format!("dalsegno {call}")
            };
            let (text, code) = session.run(&command);
            assert_eq!(code, Some(0), "{call}\n{text}");
            continue;
        }
        let (text, _) = session.run(&format!("dalsegno {call} --json 2>/dev/null"));
        let document: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{call}: {error}\n{text}"));
        paths(
            &document,
            "",
            &artifact,
            printed.entry(heading).or_default(),
        );
    }
    let mut faults = String::new();
    for (heading, fields) in &mut printed {
        let mut listed = tables
            .get(*heading)
            .map_or(BTreeSet::new(), |rows| names(rows));
        listed.insert("schema_version".to_owned());
        // A field that has fields of its own is listed by them.
        let has_fields = |path: &String| {
            let all = listed.union(fields);
            path.is_empty()
                || all.into_iter().any(|other| {
                    let rest = other.strip_prefix(path.as_str());
                    rest.is_some_and(|rest| rest.starts_with('.') || rest.starts_with("[]"))
                })
        };
        let leaves = |set: &BTreeSet<String>| -> BTreeSet<String> {
            set.iter()
                .filter(|path| !has_fields(path))
                .cloned()
                .collect()
        };
        let (listed, printed) = (leaves(&listed), leaves(fields));
        for path in printed.difference(&listed) {
            faults.push_str(&format!("{heading}: {path} is not listed\n"));
        }
        for path in listed.difference(&printed) {
            faults.push_str(&format!("{heading}: {path} is never printed\n"));
        }
    }
    let headings: BTreeSet<&str> = tables.keys().map(String::as_str).collect();
    for heading in headings {
        if heading != "artifact" && !printed.contains_key(heading) {
            faults.push_str(&format!("{heading}: no command prints this\n"));
        }
    }
    assert!(faults.is_empty(), "{faults}");
}
