//! The layers of the crate, held by reading `src/`: who may import whom, where SQL, files, printing
//! and the clock may stand, and that the list of error codes is the list of the errors' codes.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read the sources has failed"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use dalsegno::Error;

/// A source file: its path below `src/`, and its text without comments and unit tests.
struct Source {
    path: String,
    code: String,
    lines: usize,
}

impl Source {
    /// The module of the first level that the file belongs to.
    fn module(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.trim_end_matches(".rs")
    }

    /// Whether the file lies in one of these folders, or is one of these files.
    fn is_in(&self, places: &[&str]) -> bool {
        places
            .iter()
            .any(|place| self.path == *place || self.path.starts_with(&format!("{place}/")))
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// What is left of a file without comments, and without the unit tests, which close a file.
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
    assert!(sources.len() > 20, "the sources were not found");
    sources
}

/// Where a module stands in the table of `lib.rs`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    level: usize,
    /// Groups of a level, parted by `;` in the table, do not import from each other.
    group: usize,
    /// Within a group, each imports only from those before it.
    rank: usize,
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for character in name.chars() {
        if character.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(character.to_lowercase());
    }
    snake
}

/// Reads the table of levels in the documentation of `lib.rs`.
fn places() -> BTreeMap<String, Place> {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let rows = lib
        .lines()
        .skip_while(|line| !line.starts_with("//! | level | modules |"))
        .skip(2)
        .take_while(|line| line.starts_with("//! |"));
    let mut places = BTreeMap::new();
    for (level, row) in rows.enumerate() {
        let modules = row.split('|').nth(2).unwrap();
        for (group, modules) in modules.split(';').enumerate() {
            for (rank, name) in modules.split('`').skip(1).step_by(2).enumerate() {
                places.insert(snake_case(name), Place { level, group, rank });
            }
        }
    }
    places
}

/// What `lib.rs` hands out at the top of the crate, with the module that it comes from.
fn exports(lib: &str) -> BTreeMap<String, String> {
    let mut exports = BTreeMap::new();
    for statement in lib.split("pub use ").skip(1) {
        let (module, names) = statement
            .split(';')
            .next()
            .unwrap()
            .split_once("::")
            .unwrap();
        for name in names.trim_matches(['{', '}']).split(',') {
            exports.insert(name.trim().to_owned(), module.to_owned());
        }
    }
    exports
}

/// Every first word after `crate::`, of `crate::a::b` and of `crate::{a::b, c}`.
fn imports(code: &str) -> BTreeSet<String> {
    let word = |text: &str| -> String {
        text.trim_start()
            .chars()
            .take_while(|character| character.is_alphanumeric() || *character == '_')
            .collect()
    };
    let mut words = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let Some(list) = rest.strip_prefix('{') else {
            words.insert(word(rest));
            continue;
        };
        words.insert(word(list));
        let mut depth = 1;
        for (at, character) in list.char_indices() {
            match character {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => {
                    words.insert(word(&list[at + 1..]));
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    words.remove("");
    words
}

/// The files in which a text stands, outside of the places where it may.
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

#[test]
fn imports_are_read_from_every_form() {
    let code = code_of(
        "use crate::{a::{x, y}, b, c::z};\nfn f() { crate::d::g() }\n/// crate::comment\n\
         \n#[cfg(test)]\nmod tests {\nuse crate::test;\n}\n",
    );
    let expected = ["a", "b", "c", "d"].map(str::to_owned);
    assert_eq!(imports(&code), BTreeSet::from(expected));
    let lib = "pub use a::B;\npub use c::{D, E};\n";
    assert_eq!(exports(lib)["E"], "c");
    assert_eq!(snake_case("ArrayStore"), "array_store");
}

/// Each module stands in one place of an order and imports only from those before it, so there
/// are no cycles either.
#[test]
fn modules_import_only_from_those_above_them() {
    let places = places();
    assert_eq!(places["name"].level, 0);
    assert!(places["cli"].level > places["registry"].level);
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let exports = exports(&lib);
    let mut wrong = Vec::new();
    for source in sources() {
        let module = source.module();
        if source.is_in(&["lib.rs", "main.rs"]) {
            continue;
        }
        let Some(own) = places.get(module) else {
            wrong.push(format!(
                "src/{} stands in no level: give the module `{module}` its place in the table of \
                 src/lib.rs",
                source.path
            ));
            continue;
        };
        for word in imports(&source.code) {
            let imported = exports.get(&word).unwrap_or(&word);
            if imported == module {
                continue;
            }
            let may = places.get(imported).is_some_and(|place| {
                place.level < own.level
                    || (place.level == own.level
                        && place.group == own.group
                        && place.rank < own.rank)
            });
            if !may {
                wrong.push(format!("src/{} imports crate::{word}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_module_of_the_table_exists() {
    let modules: BTreeSet<String> = sources()
        .iter()
        .map(|source| source.module().to_owned())
        .collect();
    for module in places().keys() {
        assert!(modules.contains(module), "{module} is in the table only");
    }
}

#[test]
fn sql_stands_only_in_the_catalog() {
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
fn files_are_touched_only_in_storage_and_catalog() {
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
    let allowed = [
        "storage",
        "catalog",
        "cli/demo.rs",
        "cli/zarr.rs",
        "cli/files.rs",
    ];
    assert_eq!(files_with(&words, &allowed), Vec::<String>::new());
}

#[test]
fn whole_trees_are_never_removed_by_path() {
    assert_eq!(
        files_with(&["remove_dir_all"], &[]),
        Vec::<String>::new(),
        "it follows symbolic links in parents; storage::remove_tree does not"
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
    assert_eq!(files_with(&words, &["clock.rs"]), Vec::<String>::new());
}

#[test]
fn values_know_neither_disk_nor_environment() {
    let values: Vec<String> = places()
        .into_iter()
        .filter(|(_, place)| place.level == 0)
        .map(|(module, _)| module)
        .collect();
    let words = ["std::env", "std::fs", "std::process", "rustix", "std::io"];
    for source in sources() {
        if values.iter().any(|value| value == source.module()) {
            for word in words {
                assert!(!source.code.contains(word), "src/{}: {word}", source.path);
            }
        }
    }
}

#[test]
fn no_file_is_over_600_lines() {
    let mut long: Vec<String> = sources()
        .iter()
        .filter(|source| source.lines > 600)
        .map(|source| format!("src/{}: {} lines", source.path, source.lines))
        .collect();
    let python = python_sources();
    let of_python = python.iter().filter(|(_, text)| text.lines().count() > 600);
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
    assert!(sources.len() > 30, "the sources were not found");
    sources
}

/// What PyO3 makes of a panic is no `Exception`: so each call that does more than read a field is
/// wrapped.
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

/// The bodies of the functions `code` of the library that give a text.
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
    let error = fs::read_to_string(root().join("src/error.rs")).unwrap();
    let hints = error.split("pub fn hint(").nth(1).unwrap();
    let arms: Vec<&str> = hints
        .lines()
        .filter(|line| line.contains("=>") && line.trim_start().starts_with(['"', '|']))
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
