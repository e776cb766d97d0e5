//! Checks the layers of the crate by reading `src/`: which folder may import from which, that no
//! files import each other in a circle, where SQL, files, printing and the clock may be used, and
//! that the list of error codes equals the codes of the errors.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read the sources has failed"
)]

#[path = "layers/imports.rs"]
mod imports;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use dalsegno::Error;
use imports::Imports;

/// The folders (or single files) of `src/`, from the lowest layer to the highest. Those of one
/// layer do not import from each other.
const LAYERS: [&[&str]; 8] = [
    &["model"],
    &["retention"],
    &["disk"],
    &["catalog", "store"],
    &["error"],
    &["ops"],
    &["registry"],
    &["cli"],
];

/// Files of the crate's top: they import from every layer.
const TOP: [&str; 3] = ["lib.rs", "main.rs", "testing.rs"];

/// A source file: its path below `src/`, and its text without comments and unit tests.
struct Source {
    path: String,
    code: String,
    lines: usize,
}

impl Source {
    /// The folder or file of the first level that the file belongs to.
    fn folder(&self) -> &str {
        folder_of(&self.path)
    }

    /// Whether the file lies in one of these folders, or is one of these files.
    fn is_in(&self, places: &[&str]) -> bool {
        places
            .iter()
            .any(|place| self.path == *place || self.path.starts_with(&format!("{place}/")))
    }
}

fn folder_of(path: &str) -> &str {
    path.split('/').next().unwrap_or_default()
}

fn layer_of(folder: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&folder))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A file's text without comments, and without the unit tests, which are at its end.
fn code_of(text: &str) -> String {
    let body = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
    let mut code = String::new();
    for line in body.lines() {
        if !line.trim_start().starts_with("//") {
            code.push_str(line.split(" // ").next().unwrap());
        }
        code.push('\n');
    }
    code
}

fn sources() -> Vec<Source> {
    let src = root().join("src");
    let mut folders = vec![src.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                sources.push(Source {
                    path: path
                        .strip_prefix(&src)
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .to_owned(),
                    code: code_of(&text),
                    lines: text.lines().count(),
                });
            }
        }
    }
    assert!(sources.len() > 20, "too few sources were found");
    sources
}

/// The files that hold one of these texts, outside the places where it is allowed.
fn files_with(texts: &[&str], allowed: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources() {
        for text in texts {
            if !source.is_in(allowed) && source.code.contains(text) {
                found.push(format!("src/{}: {text}", source.path));
            }
        }
    }
    found
}

fn imports_of(sources: &[Source]) -> Imports {
    Imports::read(
        sources
            .iter()
            .map(|source| (source.path.as_str(), source.code.as_str())),
    )
}

#[test]
fn imports_are_read_from_every_form() {
    let code = code_of(
        "use crate::a::{self, b::{X, Y as Z}};\npub use c::W;\nfn f() { crate::d::g(); super::e() }\n\
         /// crate::comment\n\n#[cfg(test)]\nmod tests {\nuse crate::test;\n}\n",
    );
    let imports = Imports::read([
        ("lib.rs", "pub fn e() {}"),
        ("m/mod.rs", &code),
        ("m/c.rs", "use super::Z;"),
        ("a/mod.rs", "mod b;\npub use b::V;"),
        ("a/b.rs", ""),
        ("d.rs", "use crate::m::W;\nuse crate::a::V;"),
        ("test.rs", ""),
    ]);
    let edges = imports.edges();
    let of = |file: &str| edges[file].iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(of("m/mod.rs"), ["a/b.rs", "a/mod.rs", "d.rs", "lib.rs"]);
    assert_eq!(of("m/c.rs"), ["a/b.rs"]);
    assert_eq!(of("d.rs"), ["a/b.rs", "m/c.rs"]);
    assert_eq!(imports.circles(), Vec::<BTreeSet<String>>::new());
    let circle = Imports::read([
        ("a.rs", "use crate::b::B;"),
        ("b.rs", "fn f() -> crate::a::A {}"),
    ]);
    assert_eq!(
        circle.circles(),
        [BTreeSet::from(["a.rs", "b.rs"].map(str::to_owned))]
    );
}

#[test]
fn every_file_lies_in_a_layer() {
    for source in sources() {
        assert!(
            layer_of(source.folder()).is_some() || source.is_in(&TOP),
            "src/{} lies in no layer: see LAYERS",
            source.path
        );
    }
}

/// A folder imports only from lower layers and from itself.
#[test]
fn folders_import_only_from_lower_layers() {
    let mut wrong = Vec::new();
    for (file, imported) in imports_of(&sources()).edges() {
        let Some(own) = layer_of(folder_of(&file)) else {
            continue;
        };
        for other in imported {
            let is_own = folder_of(&other) == folder_of(&file);
            if !is_own && layer_of(folder_of(&other)).is_none_or(|layer| layer >= own) {
                wrong.push(format!("src/{file} imports from src/{other}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let circles = imports_of(&sources()).circles();
    assert!(circles.is_empty(), "{circles:#?}");
}

/// The modules of its own package that a Python file imports.
fn python_imports(text: &str) -> BTreeSet<String> {
    let mut imported = BTreeSet::new();
    for line in text.lines().map(str::trim_start) {
        let Some((module, names)) = line
            .strip_prefix("from .")
            .and_then(|rest| rest.split_once(" import "))
        else {
            continue;
        };
        match module {
            // `from . import _a, _b as b`
            "" => imported.extend(names.split(',').filter_map(|name| {
                let name = name.split_whitespace().next()?;
                Some(name.trim_matches('(').to_owned())
            })),
            module => drop(imported.insert(module.to_owned())),
        }
    }
    imported
}

#[test]
fn python_imports_are_read_from_every_form() {
    let text = "from . import _a, _b as b\nfrom ._c import D\nif TYPE_CHECKING:\n    from .e import F\n\
                import os\n";
    let imported = python_imports(text);
    assert_eq!(imported, ["_a", "_b", "_c", "e"].map(str::to_owned).into());
}

#[test]
fn no_files_of_the_python_package_import_each_other_in_a_circle() {
    let mut edges = BTreeMap::new();
    for entry in fs::read_dir(root().join("python/package/dalsegno")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "py") {
            let module = path.file_stem().unwrap().to_str().unwrap().to_owned();
            edges.insert(module, python_imports(&fs::read_to_string(&path).unwrap()));
        }
    }
    assert!(edges["registry"].contains("_removing"), "{edges:#?}");
    // `_native` is the compiled half, so it is no file of the package.
    let files: BTreeSet<String> = edges.keys().cloned().collect();
    edges
        .values_mut()
        .for_each(|imported| imported.retain(|module| files.contains(module)));
    let circles = imports::circles(&edges);
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn sql_is_used_only_in_the_catalog() {
    let words = [
        "SELECT ",
        "INSERT INTO",
        "UPDATE artifact",
        "DELETE FROM",
        "PRAGMA ",
        "rusqlite",
    ];
    assert_eq!(files_with(&words, &["catalog"]), Vec::<String>::new());
}

#[test]
fn files_are_touched_only_in_disk_store_and_catalog() {
    let words = [
        "std::fs",
        "rustix::fs",
        "fs::read",
        "fs::write",
        "fs::remove",
        "OpenOptions",
        "tempfile",
    ];
    // The demonstration writes arrays of its own; plans and scores are files that a user names.
    let allowed = ["disk", "store", "catalog", "cli/demo", "cli/files.rs"];
    assert_eq!(files_with(&words, &allowed), Vec::<String>::new());
}

#[test]
fn whole_trees_are_never_removed_by_path() {
    assert_eq!(
        files_with(&["remove_dir_all"], &[]),
        Vec::<String>::new(),
        "it follows symbolic links in parents; the purge of `store` does not"
    );
}

#[test]
fn printing_happens_only_on_the_command_line() {
    let words = [
        "println!",
        "eprintln!",
        "print!(",
        "dbg!",
        "io::stdout",
        "io::stderr",
    ];
    assert_eq!(
        files_with(&words, &["cli", "main.rs"]),
        Vec::<String>::new()
    );
}

#[test]
fn the_time_is_read_in_one_place() {
    let words = ["Utc::now", "Local::now", "SystemTime::now"];
    assert_eq!(
        files_with(&words, &["model/clock.rs"]),
        Vec::<String>::new()
    );
}

#[test]
fn values_and_policies_know_neither_disk_nor_environment() {
    let words = ["std::env", "std::fs", "std::process", "rustix", "std::io"];
    for source in sources() {
        if source.is_in(&["model", "retention"]) {
            for word in words {
                assert!(!source.code.contains(word), "src/{}: {word}", source.path);
            }
        }
    }
}

#[test]
fn no_file_is_over_800_lines() {
    let mut long: Vec<String> = sources()
        .iter()
        .filter(|source| source.lines > 800)
        .map(|source| format!("src/{}: {} lines", source.path, source.lines))
        .collect();
    let python = python_sources();
    let of_python = python.iter().filter(|(_, text)| text.lines().count() > 800);
    long.extend(of_python.map(|(path, _)| path.clone()));
    assert!(long.is_empty(), "{long:#?}");
}

/// The sources of the Python package, native half, face and tests: paths from the top, and texts.
fn python_sources() -> Vec<(String, String)> {
    let mut folders = ["python/src", "python/package", "python/tests"]
        .map(|folder| root().join(folder))
        .to_vec();
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let extension = path.extension().and_then(|extension| extension.to_str());
            if path.is_dir() {
                folders.push(path);
            } else if matches!(extension, Some("rs" | "py" | "pyi")) {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(root()).unwrap();
                sources.push((path.to_str().unwrap().to_owned(), text));
            }
        }
    }
    assert!(sources.len() > 30, "too few sources were found");
    sources
}

/// PyO3 turns a panic into a `BaseException`, which `except Exception` does not catch. So each call
/// that does more than read a field is wrapped.
#[test]
fn every_call_of_the_python_package_turns_panics_into_errors() {
    let mut calls = 0;
    let mut bare = Vec::new();
    for (path, text) in python_sources() {
        let is_calls = path.starts_with("python/src/registry/") || path == "python/src/gc.rs";
        if !is_calls {
            continue;
        }
        for part in text.split("#[pymethods]").skip(1) {
            let methods = part.split("\n}\n").next().unwrap();
            for method in methods.split("\n    fn ").skip(1) {
                let name = method.split(['(', '<']).next().unwrap();
                let head = method.split(" {\n").next().unwrap();
                calls += 1;
                if head.contains("-> PyResult<") && !method.contains("whole(") {
                    bare.push(format!("{path}: {name}"));
                }
            }
        }
        for part in text.split("#[pyfunction]").skip(1) {
            let function = part.split("\n}\n").next().unwrap();
            calls += 1;
            if !function.contains("whole(") && !function.contains("quick(") {
                bare.push(format!("{path}: {}", function.lines().nth(1).unwrap()));
            }
        }
    }
    assert!(calls > 40, "the calls were not found");
    assert!(bare.is_empty(), "{bare:#?}");
}

#[test]
fn unsafe_code_is_forbidden() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    assert!(lib.contains("\n#![forbid(unsafe_code)]\n"));
}

/// The bodies of the library's functions `code` that return text.
fn code_functions() -> Vec<(String, String)> {
    let mut functions = Vec::new();
    for source in sources() {
        if source.is_in(&["cli", "main.rs"]) {
            continue;
        }
        for rest in source
            .code
            .split("pub fn code(&self) -> &'static str {")
            .skip(1)
        {
            let body = rest.split("\n    }\n").next().unwrap();
            functions.push((source.path.clone(), body.to_owned()));
        }
    }
    functions
}

fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').skip(1).step_by(2)
}

#[test]
fn the_list_of_codes_is_the_list_of_the_errors() {
    let mut given = BTreeSet::new();
    for (path, body) in code_functions() {
        for code in quoted(&body) {
            assert!(
                given.insert(code.to_owned()),
                "{code} is given twice, the second time in src/{path}"
            );
        }
    }
    let listed: BTreeSet<String> = Error::CODES.map(str::to_owned).into();
    assert_eq!(listed.len(), Error::CODES.len(), "a code is listed twice");
    assert_eq!(given, listed);
}

#[test]
fn codes_are_in_kebab_case() {
    for code in Error::CODES {
        let is_kebab = code
            .split('-')
            .all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()));
        assert!(is_kebab, "{code}");
    }
}

#[test]
fn hints_are_for_codes_that_exist() {
    let error = fs::read_to_string(root().join("src/error/hint.rs")).unwrap();
    let hints = error.split("pub fn hint(").nth(1).unwrap();
    let hints = hints.split("\n    }\n").next().unwrap();
    let arms: Vec<&str> = hints
        .lines()
        .filter(|line| line.trim_start().starts_with(['"', '|']))
        .flat_map(|line| quoted(line.split("=>").next().unwrap()))
        .collect();
    assert!(arms.len() > 10, "the hints were not found");
    for code in arms {
        assert!(Error::CODES.contains(&code), "{code}");
    }
}

#[test]
fn migrations_have_the_same_line_endings_everywhere() {
    let attributes = fs::read_to_string(root().join(".gitattributes")).unwrap();
    assert!(
        attributes
            .lines()
            .any(|line| line == "migrations/*.sql text eol=lf"),
        "a checksum of a migration must not depend on the checkout"
    );
    for entry in fs::read_dir(root().join("migrations")).unwrap() {
        let path = entry.unwrap().path();
        assert!(!has_carriage_return(&path), "{}", path.display());
    }
}

fn has_carriage_return(path: &Path) -> bool {
    fs::read(path).unwrap().contains(&b'\r')
}
