//! What ARCHITECTURE.md and CONTRIBUTING.md name exists: files, folders, tests, types, commands.
//!
//! Every text in backticks is looked at. A path must exist in the repository or below `src/`; a
//! name, or each part of `Type::name`, must be defined in the sources; a command is looked at word
//! by word, for the paths in it.

#![expect(
    clippy::unwrap_used,
    reason = "a document that cannot be read has failed"
)]

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

const DOCUMENTS: [&str; 2] = ["ARCHITECTURE.md", "CONTRIBUTING.md"];

/// Folders whose Rust files define names.
const SOURCES: [&str; 3] = ["src", "tests", "examples"];

/// Words that precede a name in its definition.
const DEFINING: [&str; 8] = [
    "fn",
    "struct",
    "enum",
    "trait",
    "type",
    "const",
    "mod",
    "macro_rules!",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Gives every Rust file below a folder.
fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Names of the standard library that the documents use.
const FOREIGN: [&str; 2] = ["unwrap", "expect"];

/// Every name that the sources define; the suites of `tests/`; what `Cargo.toml` says.
fn defined_names() -> HashSet<String> {
    let mut files = Vec::new();
    for folder in SOURCES {
        rust_files(&root().join(folder), &mut files);
    }
    let mut names: HashSet<String> = FOREIGN.map(str::to_owned).into();
    for file in files {
        let is_suite = file.parent() == Some(&root().join("tests"));
        if is_suite || file.ends_with("main.rs") {
            let suite = if is_suite {
                Some(file.as_path())
            } else {
                file.parent()
            };
            names.extend(suite.and_then(|path| Some(path.file_stem()?.to_str()?.to_owned())));
        }
        let text = fs::read_to_string(file).unwrap();
        let words: Vec<&str> = text.split_whitespace().collect();
        for pair in words.windows(2) {
            if DEFINING.contains(&pair[0]) {
                let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
                let name = pair[1].split(|letter| !is_part(letter)).next().unwrap();
                names.insert(name.to_owned());
            }
        }
    }
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml"))
        .unwrap()
        .parse()
        .unwrap();
    names.extend(manifest.keys().cloned());
    names.extend(manifest["package"].as_table().unwrap().keys().cloned());
    names.extend(manifest["features"].as_table().unwrap().keys().cloned());
    names
}

/// The texts in backticks of a document, blocks of code left out. One may go on in the next line.
fn quoted(document: &str) -> Vec<String> {
    let outside_blocks = document.split("```").step_by(2);
    outside_blocks
        .flat_map(|text| text.split('`').skip(1).step_by(2))
        .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

fn is_path(text: &str) -> bool {
    let extension = Path::new(text).extension();
    text.contains('/') || extension.is_some_and(|found| found.to_str().is_some_and(is_extension))
}

fn is_extension(text: &str) -> bool {
    ["rs", "md", "sh", "toml", "txt", "py", "sql", "lock"].contains(&text)
}

fn exists(path: &str) -> bool {
    // What a build makes is there only after it.
    path.starts_with("target/")
        || ["", "src"]
            .iter()
            .any(|below| root().join(below).join(path).exists())
}

/// Why a quoted text names nothing, if it does not.
fn stale(text: &str, names: &HashSet<String>) -> Option<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        [word] if is_path(word) => (!exists(word)).then(|| format!("no file {word}")),
        [word] => word
            .split("::")
            .map(|part| part.trim_end_matches("()").trim_end_matches('!'))
            .find(|part| !names.contains(*part))
            .map(|part| format!("nothing is called {part}")),
        _ => words
            .iter()
            .find(|word| is_path(word) && !exists(word))
            .map(|word| format!("no file {word} in {text}")),
    }
}

#[test]
fn what_the_documents_name_exists() {
    let names = defined_names();
    let mut wrong = Vec::new();
    for document in DOCUMENTS {
        let text = fs::read_to_string(root().join(document)).unwrap();
        let quoted = quoted(&text);
        assert!(quoted.len() > 20, "the names in {document} were not found");
        let stale = quoted.iter().filter_map(|text| stale(text, &names));
        wrong.extend(stale.map(|why| format!("{document}: {why}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn stale_names_are_found() {
    let names = HashSet::from(["Registry", "open"].map(str::to_owned));
    for right in [
        "Registry",
        "Registry::open",
        "src/lib.rs",
        "lib.rs",
        "bash tests/all.sh",
    ] {
        assert_eq!(stale(right, &names), None, "{right}");
    }
    for wrong in [
        "FormerArtifact",
        "Registry::gone",
        "src/gone.rs",
        "gone/",
        "bash tests/gone.sh",
    ] {
        assert!(stale(wrong, &names).is_some(), "{wrong}");
    }
}
