//! Each list of the reference is held against the code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use dalsegno::model::key::Kind;
use dalsegno::{Config, Error};
use regex::Regex;

use crate::page::{self, Page};
use crate::session::Session;

pub(crate) fn reference(name: &str) -> Page {
    Page::read(Path::new("docs/src/reference").join(name))
}

/// The rows of the tables below each heading of a page: the cells, without the heading of the
/// table.
pub(crate) fn tables(page: &Page) -> BTreeMap<String, Vec<Vec<String>>> {
    let mut tables: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
    let mut heading = String::new();
    let mut is_body = false;
    for line in &page.lines {
        if line.starts_with('#') {
            heading = line.trim_start_matches('#').trim().to_owned();
        }
        if !line.starts_with('|') {
            is_body = false;
        } else if line.starts_with("|---") {
            is_body = true;
        } else if is_body {
            let cells = line.trim_matches('|').split(" | ");
            let cells = cells.map(|cell| cell.trim().to_owned()).collect();
            tables.entry(heading.clone()).or_default().push(cells);
        }
    }
    tables
}

/// What a cell has in backticks.
fn quoted(cell: &str) -> Vec<String> {
    let code = Regex::new("`([^`]+)`").unwrap();
    let quoted = code.captures_iter(cell);
    quoted.map(|found| found[1].to_owned()).collect()
}

/// What the first cells of some rows have in backticks. Each may be there once.
pub(crate) fn names(rows: &[Vec<String>]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for name in rows.iter().flat_map(|row| quoted(&row[0])) {
        assert!(names.insert(name.clone()), "{name} is listed twice");
    }
    names
}

#[test]
fn every_error_code_is_listed() {
    let tables = tables(&reference("error-codes.md"));
    let rows: Vec<Vec<String>> = tables.into_values().flatten().collect();
    let codes: BTreeSet<String> = Error::CODES.into_iter().map(str::to_owned).collect();
    assert_eq!(names(&rows), codes);
}

#[test]
fn every_exit_code_is_listed() {
    let tables = tables(&reference("exit-codes.md"));
    let rows = tables.values().flatten();
    let listed: Vec<String> = rows.map(|row| row[0].clone()).collect();
    let (help, _) = Session::new().run("dalsegno --help");
    let (_, codes) = help
        .replace('\n', " ")
        .split_once("Exit codes:")
        .map(owned)
        .unwrap();
    let number = Regex::new(r"\d+").unwrap();
    let said: Vec<String> = number
        .find_iter(&codes)
        .map(|found| found.as_str().to_owned())
        .collect();
    assert_eq!(listed, said);
}

fn owned((before, after): (&str, &str)) -> (String, String) {
    (before.to_owned(), after.to_owned())
}

/// The keys that a section of the configuration may have, as the error for another key says them.
fn keys_of(section: &str) -> BTreeSet<String> {
    let text = section.replace("KEY", "zzzzzz");
    let error = toml::from_str::<Config>(&text).unwrap_err().to_string();
    let said = error.rsplit_once(", expected ");
    let (_, keys) = said.unwrap_or_else(|| panic!("no keys are named: {error}"));
    quoted(keys).into_iter().collect()
}

#[test]
fn every_key_of_the_configuration_is_listed_with_a_value_that_it_takes() {
    let tables = tables(&reference("configuration.md"));
    let kinds: BTreeSet<String> = Kind::ALL.map(|kind| kind.as_str().to_owned()).into();
    let sections = [
        ("[catalog]", "[catalog]\nKEY = 1", "[catalog]\nKEY = VALUE"),
        ("[trash]", "[trash]\nKEY = 1", "[trash]\nKEY = VALUE"),
        (
            "Policies",
            "[policy.a]\nKEY = 1",
            "[policy.a]\nprediction = { keep-last = 1 }\nKEY = VALUE",
        ),
        (
            "Rules of a kind",
            "[policy.a.prediction]\nKEY = 1",
            "[policy.a.prediction]\nmax-files = 7\nKEY = VALUE",
        ),
        (
            "Table keep-best",
            "[policy.a.prediction.keep-best]\nKEY = 1",
            "[policy.a.output.keep-best]\nmetric = \"voi:min\"\nKEY = VALUE",
        ),
    ];
    assert_eq!(tables.len(), sections.len());
    for (heading, unknown, known) in sections {
        let rows = &tables[heading];
        let mut keys = keys_of(unknown);
        if heading == "Policies" {
            keys = keys.difference(&kinds).cloned().collect();
        }
        assert_eq!(names(rows), keys, "{heading}");
        for row in rows {
            let key = &quoted(&row[0])[0];
            let given = format!("\n{key} = ");
            let text = known
                .replace("KEY", key)
                .replace("VALUE", &quoted(&row[1])[0]);
            // A key that the frame has already is given there.
            let text = match text.matches(&given).count() {
                2 => text.replacen(&format!("{given}7"), "", 1).replacen(
                    &format!("{given}\"voi:min\""),
                    "",
                    1,
                ),
                _ => text,
            };
            toml::from_str::<Config>(&text).unwrap_or_else(|error| panic!("{text}\n{error}"));
        }
    }
    let page = reference("configuration.md").lines.join("\n");
    for kind in kinds {
        assert!(page.contains(&format!("`{kind}`")), "{kind}");
    }
}

/// The files below a folder of the repository whose names end so.
fn sources(folder: &str, ending: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut folders = vec![page::root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_str().unwrap().ends_with(ending) {
                texts.push(fs::read_to_string(path).unwrap());
            }
        }
    }
    assert!(!texts.is_empty());
    texts
}

#[test]
fn every_environment_variable_is_listed() {
    // A variable is a text of capitals in quotes, in a file that reads the environment, unless it
    // names a value in the help.
    let variable = Regex::new(r#"(value_name = )?"([A-Z][A-Z0-9_]{2,}[A-Z0-9])""#).unwrap();
    let mut read = BTreeSet::new();
    let rust = sources("src", ".rs");
    // Without the tests of a file, which may read variables of their own.
    let rust = rust
        .iter()
        .filter_map(|text| text.split("#[cfg(test)]").next())
        .filter(|text| text.contains("env::var") || text.contains("env = \""));
    let python = sources("python/package", ".py");
    let python = python
        .iter()
        .map(String::as_str)
        .filter(|text| text.contains("os.environ"));
    for text in rust.chain(python) {
        let found = variable.captures_iter(text);
        let found = found.filter(|found| found.get(1).is_none());
        read.extend(found.map(|found| found[2].to_owned()));
    }
    // Names of locales, and a variable of the build.
    for other in ["POSIX", "CARGO_PKG_VERSION"] {
        read.remove(other);
    }
    // Read by the standard library, for the folder of temporary files.
    read.insert("TMPDIR".to_owned());
    // What only tests set.
    read.retain(|name| !name.starts_with("DALSEGNO_TEST_"));
    let page = reference("environment.md");
    let rows: Vec<Vec<String>> = tables(&page).into_values().flatten().collect();
    let mut listed = names(&rows);
    assert!(page.lines.iter().any(|line| line.contains("`TERM`")));
    listed.insert("TERM".to_owned());
    assert_eq!(listed, read);
}

#[test]
fn every_view_is_listed_with_its_columns() {
    let base = tempfile::tempdir().unwrap();
    dalsegno::Registry::create(base.path()).unwrap();
    let catalog = base.path().join(".dalsegno/catalog.sqlite3");
    let catalog = rusqlite::Connection::open(catalog).unwrap();
    let mut columns = catalog
        .prepare(
            "SELECT view.name, c.name FROM sqlite_schema AS view, pragma_table_info(view.name) AS c \
             WHERE view.type = 'view'",
        )
        .unwrap();
    let mut views: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let rows = columns.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    for row in rows.unwrap() {
        let (view, column): (String, String) = row.unwrap();
        views.entry(view).or_default().insert(column);
    }
    let listed = tables(&reference("sql.md"));
    let listed: BTreeMap<String, BTreeSet<String>> = listed
        .into_iter()
        .map(|(view, rows)| (view, names(&rows)))
        .collect();
    assert_eq!(listed, views);
}

#[test]
fn every_file_that_commands_leave_is_listed() {
    let rows: Vec<Vec<String>> = tables(&reference("files.md"))
        .into_values()
        .flatten()
        .collect();
    let listed: Vec<Regex> = names(&rows)
        .into_iter()
        .map(|name| {
            Regex::new(&format!("^{}$", regex::escape(&name).replace(r"\*", ".*"))).unwrap()
        })
        .collect();
    let session = Session::new();
    let printed = session.run(
        "cd /data/runs && dalsegno init && dalsegno scan --measure \
         && dalsegno rm --run affinities --iteration 1000 --trash --yes \
         && dalsegno rm --run distances --iteration 1000 --yes \
         && dalsegno rebuild --force && dalsegno verify --repair \
         && sqlite3 .dalsegno/catalog.sqlite3 'PRAGMA user_version' || true",
    );
    let base = session.registry();
    let base = base.parent().unwrap();
    let mut found = 0;
    let mut folders = vec![base.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path
                .strip_prefix(base)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            if !name.starts_with(".dalsegno") {
                continue;
            }
            let is_folder = path.is_dir();
            if is_folder && !name.starts_with(".dalsegno/trash/") {
                folders.push(path);
            } else {
                found += 1;
                assert!(listed.iter().any(|known| known.is_match(&name)), "{name}");
            }
        }
    }
    assert!(found >= 8, "{found} files\n{printed:?}");
}
