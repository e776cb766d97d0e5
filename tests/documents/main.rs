//! The documents hold what they show: README.md and every page below docs/.
//!
//! Each page is run by itself, from its first command to its last, in a fresh folder. Blocks of a
//! page by their language:
//! - `console`: every command runs, on a terminal, and must end with exit code 0, or the one that
//!   its comment names. The output that is shown is compared, see [`shown`]; a command without any
//!   is run only. `<!-- $ command -->` runs a command that the page does not show.
//! - `toml`: read as `config.toml`, and added to that of the page's registry.
//! - `json`: must be JSON.
//! - `rust`: run by `cargo test --doc`.
//! - `python`, and `text` with what it prints: run by `python/tests/test_documents.py`, with the
//!   package.
//!
//! Any other language is an error, so no block is left out. `/data/runs` of a page is a folder with
//! the [`example`] in it.
//!
//! `DOCUMENTS_UPDATE=1 cargo test --test documents` writes what was printed into the pages, instead
//! of a report; read the diff then.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are not seen as tests"
)]

mod example;
mod json;
#[path = "../common/left_out.rs"]
mod left_out;
mod links;
mod page;
mod reference;
mod session;
mod shown;

use std::fmt::Write as _;
use std::fs;

use left_out::left_out;
use page::{Call, Page, What};
use session::{Session, is_installed};

/// Commands that are shown and not run here, each with what runs it.
const NOT_RUN: [(&str, &str); 3] = [
    (
        "cargo install --path .",
        "tests/all.sh packs and compiles the crate",
    ),
    (
        "pip install ./python",
        "tests/all.sh builds and installs the package",
    ),
    ("bash tests/all.sh", "it runs this test"),
];

/// Programs that a page may call and that a machine may lack.
const OPTIONAL: [&str; 2] = ["sqlite3", "jq"];

#[test]
fn every_page_does_what_it_shows() {
    let pages = page::all();
    let update = std::env::var_os("DOCUMENTS_UPDATE").is_some();
    let faults: Vec<String> = std::thread::scope(|scope| {
        let runs: Vec<_> = pages
            .iter()
            .map(|page| scope.spawn(move || run(page, update)))
            .collect();
        let faults = runs.into_iter().map(|run| run.join().unwrap());
        faults.collect()
    });
    let faults = faults.concat();
    assert!(faults.is_empty(), "{faults}");
}

/// Runs a page, and says what is not as it shows.
fn run(page: &Page, update: bool) -> String {
    let mut session = Session::new();
    let mut faults = String::new();
    let mut edits = Vec::new();
    let mut python = 0;
    for item in &page.items {
        let fault = match &item.what {
            What::Command(call) => command(page, call, &mut session, update, &mut edits),
            What::Config(text) => config(text, &session),
            What::Json(text) => serde_json::from_str::<serde_json::Value>(text)
                .err()
                .map(|error| format!("this is not JSON: {error}")),
            What::Rust => is_doctest(page),
            What::Python => {
                python += 1;
                None
            }
            What::Printed if python == 0 => Some("no Python block prints this".to_owned()),
            What::Printed => None,
        };
        if let Some(fault) = fault {
            writeln!(faults, "{}: {fault}", page.place(item)).unwrap();
        }
    }
    if python > 0 {
        left_out(&format!(
            "they need the Python package: {python} blocks of {}; tests/all.sh runs them",
            page.name.display()
        ));
    }
    if !edits.is_empty() {
        let mut lines = page.lines.clone();
        for (shown, printed) in edits.into_iter().rev() {
            lines.splice(shown, printed);
        }
        lines.push(String::new());
        fs::write(page::root().join(&page.name), lines.join("\n")).unwrap();
    }
    faults
}

/// A change of a page: the lines that are replaced, and what by.
type Edit = (std::ops::Range<usize>, Vec<String>);

fn command(
    page: &Page,
    call: &Call,
    session: &mut Session,
    update: bool,
    edits: &mut Vec<Edit>,
) -> Option<String> {
    let text = &call.text;
    if let Some((_, why)) = NOT_RUN.iter().find(|(start, _)| text.starts_with(start)) {
        left_out(&format!("{why}: {text}"));
        return None;
    }
    let words = || text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let missing = |program: &&&str| words().any(|word| word == **program) && !is_installed(program);
    if let Some(program) = OPTIONAL.iter().find(missing) {
        left_out(&format!("{program} is not installed: {text}"));
        return None;
    }
    let (printed, code) = session.run(text);
    let shown = &page.lines[call.shown.clone()];
    if code != Some(call.exit) {
        return Some(format!(
            "exit code {code:?}, not {}\n$ {text}\n{printed}",
            call.exit
        ));
    }
    if call.is_hidden || shown.iter().all(|line| line.trim().is_empty()) {
        return None;
    }
    if session.names.agree(shown, &printed) {
        return None;
    }
    let lines_to_show = session.names.lines_to_show(shown, &printed);
    if update {
        // The ids of what is shown from now on are the ones that were printed.
        session.names.agree(&lines_to_show, &printed);
        edits.push((call.shown.clone(), lines_to_show));
        return None;
    }
    Some(format!(
        "another output\n$ {text}\n--- shown\n{}\n--- printed\n{}\n",
        shown.join("\n"),
        lines_to_show.join("\n")
    ))
}

/// Reads a part of `config.toml`, and adds it to that of the page's registry.
fn config(text: &str, session: &Session) -> Option<String> {
    if let Err(error) = toml::from_str::<dalsegno::Config>(text) {
        return Some(error.to_string());
    }
    let file = session.registry().join("config.toml");
    if session.registry().exists() {
        let before = fs::read_to_string(&file).unwrap_or_default();
        fs::write(&file, format!("{before}\n{text}\n")).unwrap();
    }
    None
}

/// Whether `cargo test --doc` runs the Rust blocks of a page.
fn is_doctest(page: &Page) -> Option<String> {
    let library = fs::read_to_string(page::root().join("src/lib.rs")).unwrap();
    let included = format!("include_str!(\"../{}\")", page.name.display());
    (!library.contains(&included)).then(|| format!("src/lib.rs lacks {included}"))
}

#[test]
fn the_readme_stays_short() {
    let page = Page::read("README.md".into());
    assert!(page.lines.len() <= 150, "{} lines", page.lines.len());
}

#[test]
fn every_command_that_is_left_out_is_shown() {
    let pages = page::all();
    for (start, _) in NOT_RUN {
        let is_shown = |page: &Page| {
            page.items.iter().any(
                |item| matches!(&item.what, What::Command(call) if call.text.starts_with(start)),
            )
        };
        assert!(pages.iter().any(is_shown), "no page shows {start}");
    }
}
