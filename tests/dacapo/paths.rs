//! The identifiers that the store hands out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use dalsegno::model::filter::Filter;
use dalsegno::model::name::parse_iteration;
use dalsegno::{ArrayStore, Error, LocalArrayIdentifier, LocalContainerIdentifier, Registry};
use serde_json::Value;

use crate::vectors;

/// Cases without an identifier, with the error code; `argument` if an argument of that type cannot
/// be passed.
const REFUSED: &[(&str, &str)] = &[
    ("p0034", "name-dot"),                // run/.
    ("p0036", "name-absolute"),           // /abs
    ("p0040", "name-dot-dot"),            // ..
    ("p0042", "name-dot-dot"),            // ../x
    ("p0043", "name-dot-dot"),            // ../x
    ("p0050", "name-dot"),                // .
    ("p0051", "name-empty"),              // the empty name
    ("p0053", "name-empty"),              // the empty name
    ("p0087", "name-control"),            // run\ttab
    ("p0088", "name-control"),            // run\ttab
    ("p0089", "name-control"),            // run\ttab
    ("p0144", "name-component-too-long"), // 300 times n
    ("p0146", "name-component-too-long"), // 300 times n
    ("p0149", "name-nul"),                // nul\0x
    ("p0151", "argument"),                // 5
    ("p0152", "argument"),                // 5
    ("p0154", "argument"),                // None
    ("p0155", "argument"),                // None
    ("p0182", "name-empty"),              // the empty name
    ("p0184", "name-dot"),                // .
    ("p0186", "name-dot-dot"),            // ..
    ("p0188", "name-dot-dot"),            // ../x
    ("p0189", "name-absolute"),           // /abs
    ("p0219", "argument"),                // None
    ("p0247", "name-iteration"),          // True
    ("p0249", "name-iteration"),          // latest
    ("p0251", "name-iteration"),          // 007
    ("p0255", "name-iteration"),          // 1.0
    ("p0256", "name-iteration"),          // 1.0
    ("p0258", "name-iteration"),          // 1000000.0
    ("p0260", "name-iteration"),          // 1e+22
    ("p0265", "name-iteration"),          // 2.0
    ("p0266", "name-iteration"),          // 2.0
    ("p0306", "name-empty"),              // the empty name
    ("p0307", "name-dot"),                // .
    ("p0308", "name-dot-dot"),            // ..
    ("p0329", "name-empty"),              // the empty name
    ("p0334", "argument"),                // None
    ("p0336", "name-empty"),              // the empty name
    ("p0370", "base-unusable"),           // file:///base
    ("p0373", "base-unusable"),           // s3://bucket/base
    ("p0374", "base-unusable"),           // s3://bucket/base
    ("p0381", "name-empty"),              // the empty name
    ("p0384", "name-dot-dot"),            // ..
    ("p0385", "argument"),                // None
    ("p0386", "argument"),                // None
    ("p0388", "argument"),                // 5
];

/// Cases whose dataset has redundant slashes, which are dropped; the path is the same.
const SLASHES: &[&str] = &["p0191", "p0192"];

/// An identifier as text, relative to the root of the test.
#[derive(Debug, PartialEq, Eq)]
struct Handed {
    container: String,
    dataset: Option<String>,
    display: String,
    path: String,
}

impl From<LocalArrayIdentifier> for Handed {
    fn from(identifier: LocalArrayIdentifier) -> Self {
        Self {
            container: identifier.container.to_str().unwrap().to_owned(),
            display: identifier.to_string(),
            path: identifier.path().to_str().unwrap().to_owned(),
            dataset: Some(identifier.dataset),
        }
    }
}

impl From<LocalContainerIdentifier> for Handed {
    fn from(identifier: LocalContainerIdentifier) -> Self {
        Self {
            container: identifier.container.to_str().unwrap().to_owned(),
            dataset: None,
            display: identifier.to_string(),
            path: identifier.path().to_str().unwrap().to_owned(),
        }
    }
}

/// Why a call failed: an error code, or `argument`.
type Refusal = &'static str;

/// The arguments of a call, by position or by name.
struct Arguments<'a> {
    case: &'a Value,
}

impl Arguments<'_> {
    fn get(&self, position: usize, name: &str) -> Option<&Value> {
        let positional = self.case["args"].as_array().unwrap().get(position);
        positional.or_else(|| self.case["kwargs"].get(name))
    }

    /// An argument as DaCapo formats it into a path. `None` is not a name.
    fn formatted(&self, position: usize, name: &str) -> Result<String, Refusal> {
        match self.get(position, name).unwrap() {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            Value::Object(object) => Ok(object["str"].as_str().unwrap().to_owned()),
            _ => Err("argument"),
        }
    }

    /// An argument that DaCapo accepts only as a path.
    fn path(&self, position: usize, name: &str) -> Result<String, Refusal> {
        match self.get(position, name).unwrap() {
            Value::Number(_) => Err("argument"),
            _ => self.formatted(position, name),
        }
    }

    fn index(&self, position: usize) -> Result<Option<String>, Refusal> {
        match self.get(position, "index") {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.formatted(position, "index").map(Some),
        }
    }

    fn iteration(&self) -> Result<i64, Refusal> {
        parse_iteration(&self.formatted(1, "iteration")?).map_err(|error| error.code())
    }
}

/// Makes the call of a case.
fn call(registry: &Registry, case: &Value) -> Result<Vec<Handed>, Refusal> {
    let arguments = Arguments { case };
    let code = |error: Error| error.code();
    let run = arguments.path(0, "run_name")?;
    let array = |result: Result<LocalArrayIdentifier, Error>| match result {
        Ok(identifier) => Ok(vec![identifier.into()]),
        Err(error) => Err(code(error)),
    };
    let container = |result: Result<LocalContainerIdentifier, Error>| match result {
        Ok(identifier) => Ok(vec![identifier.into()]),
        Err(error) => Err(code(error)),
    };
    let in_container = |container: Result<LocalContainerIdentifier, Error>| {
        let dataset = arguments.path(1, "dataset")?;
        let identifier = container.map_err(code)?.array_identifier(dataset);
        let recorded = registry.record_identifier(&identifier).map_err(code)?;
        assert_eq!(
            recorded.artifact.identifier().unwrap().path(),
            identifier.path()
        );
        Ok(vec![identifier.into()])
    };
    match case["method"].as_str().unwrap() {
        "validation_prediction_array" => {
            let dataset = arguments.formatted(2, "dataset")?;
            array(registry.validation_prediction_array(&run, arguments.iteration()?, &dataset))
        }
        "validation_output_array" => {
            let parameters = arguments.formatted(2, "parameters")?;
            let dataset = arguments.formatted(3, "dataset")?;
            let iteration = arguments.iteration()?;
            array(registry.validation_output_array(&run, iteration, &parameters, &dataset))
        }
        "validation_input_arrays" => {
            let index = arguments.index(1)?;
            let (raw, gt) = registry
                .validation_input_arrays(&run, index.as_deref())
                .map_err(code)?;
            Ok(vec![raw.into(), gt.into()])
        }
        "best_validation_array" => {
            let criterion = arguments.formatted(1, "criterion")?;
            let index = arguments.index(2)?;
            array(registry.best_validation_array(&run, &criterion, index.as_deref()))
        }
        "snapshot_container" => container(registry.snapshot_container(&run)),
        "validation_container" => container(registry.validation_container(&run)),
        "ci:snapshot_container" => in_container(registry.snapshot_container(&run)),
        "ci:validation_container" => in_container(registry.validation_container(&run)),
        other => unreachable!("unknown method {other}"),
    }
}

/// DaCapo's outcome, with `at` before its paths; and whether `joined` is the path that `pathlib`
/// makes, without redundant slashes.
fn expected(case: &Value, at: &str) -> Option<(Vec<Handed>, bool)> {
    let ok = case["expect"].get("ok")?;
    let all = match ok.get("tuple") {
        Some(tuple) => tuple.as_array().unwrap().clone(),
        None => vec![ok.clone()],
    };
    let text = |value: &Value| format!("{at}{}", value.as_str().unwrap());
    let mut exact = true;
    let all = all.iter().map(|one| {
        let container = text(&one["container"]);
        if one["type"] == "LocalContainerIdentifier" {
            return Handed {
                display: container.clone(),
                path: container.clone(),
                container,
                dataset: None,
            };
        }
        exact &= one["joined"] == one["truediv"];
        Handed {
            container,
            dataset: Some(one["dataset"].as_str().unwrap_or_default().to_owned()),
            display: text(&one["joined"]),
            path: one["truediv"]
                .as_str()
                .map_or(String::new(), |path| format!("{at}{path}")),
        }
    });
    Some((all.collect(), exact))
}

/// The base directory of a case below `root`, which represents both `/` and the working directory;
/// and the prefix of DaCapo's paths.
fn place_of(basedir: &str, root: &str) -> (String, String) {
    if basedir.contains("://") {
        return (basedir.to_owned(), String::new());
    }
    match basedir.strip_prefix('/') {
        Some(_) => (format!("{root}{basedir}"), root.to_owned()),
        None => (basedir.to_owned(), format!("{root}/")),
    }
}

#[test]
fn the_store_gives_dacapo_s_paths_but_for_the_names_that_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_str().unwrap();
    // Relative base directories are relative to the working directory; nothing else here is.
    std::env::set_current_dir(root).unwrap();
    let mut refused = BTreeMap::new();
    let mut slashes = BTreeSet::new();
    let mut handed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for case in vectors()["path_cases"].as_array().unwrap() {
        let id = case["id"].as_str().unwrap().to_owned();
        let (base, at) = place_of(case["basedir"].as_str().unwrap(), root);
        if !base.contains("://") {
            let _ = fs::create_dir_all(base.split("..").next().unwrap());
            fs::create_dir_all(Path::new(".").join(&base)).unwrap();
        }
        let result = Registry::create(&base)
            .map_err(|error| error.code())
            .and_then(|registry| {
                let result = call(&registry, case)?;
                assert_eq!(call(&registry, case).as_ref(), Ok(&result), "{id} twice");
                handed
                    .entry(base.clone())
                    .or_default()
                    .extend(result.iter().map(|handed| handed.path.clone()));
                Ok(result)
            });
        let result = match result {
            Ok(result) => result,
            Err(code) => {
                refused.insert(id, code);
                continue;
            }
        };
        let (expected, exact) = expected(case, &at).unwrap();
        if exact {
            assert_eq!(result, expected, "{id}");
            continue;
        }
        for (result, expected) in result.iter().zip(&expected) {
            assert_eq!(result.container, expected.container, "{id}");
            assert_eq!(result.path, expected.path, "{id}");
            assert_eq!(result.display, expected.path, "{id}");
        }
        assert_eq!(result.len(), expected.len(), "{id}");
        slashes.insert(id);
    }
    assert_eq!(
        refused,
        REFUSED
            .iter()
            .map(|&(id, code)| (id.to_owned(), code))
            .collect()
    );
    assert_eq!(slashes, SLASHES.iter().map(|&id| id.to_owned()).collect());
    let base = format!("{root}/base");
    let rows = Registry::open(&base)
        .unwrap()
        .select(&Filter::default())
        .unwrap();
    let paths: BTreeSet<String> = rows
        .iter()
        .filter(|row| !row.key.kind().is_container())
        .map(|row| row.path().to_str().unwrap().to_owned())
        .collect();
    let handed: BTreeSet<String> = handed[&base]
        .iter()
        .filter(|path| !path.ends_with(".zarr"))
        .cloned()
        .collect();
    assert_eq!(
        paths, handed,
        "every path that was handed out has its row, and no other"
    );
}
