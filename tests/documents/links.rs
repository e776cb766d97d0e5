//! The book is whole: SUMMARY.md names each page once, and no link leads nowhere.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex::Regex;

use crate::page::{self, Page};

const SUMMARY: &str = "docs/src/SUMMARY.md";

/// The links of a page outside its blocks, as they are written.
fn links(page: &Page) -> Vec<String> {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let mut is_block = false;
    let mut links = Vec::new();
    for line in &page.lines {
        if line.trim_start().starts_with("```") {
            is_block = !is_block;
        } else if !is_block {
            links.extend(link.captures_iter(line).map(|found| found[1].to_owned()));
        }
    }
    links
}

/// The anchors of a page, as mdBook and GitHub make them from its headings.
fn anchors(page: &Page) -> BTreeSet<String> {
    let mut is_block = false;
    let mut anchors = BTreeSet::new();
    for line in &page.lines {
        if line.trim_start().starts_with("```") {
            is_block = !is_block;
        }
        let heading = line.trim_start_matches('#');
        if !is_block && heading.starts_with(' ') && heading.len() < line.len() {
            let kept = |c: char| match c {
                ' ' => Some('-'),
                '-' | '_' => Some(c),
                c if c.is_alphanumeric() => Some(c.to_ascii_lowercase()),
                _ => None,
            };
            anchors.insert(heading.trim().chars().filter_map(kept).collect());
        }
    }
    anchors
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => assert!(plain.pop(), "{}", path.display()),
            std::path::Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

#[test]
fn the_summary_names_each_page_once() {
    let pages = page::all();
    let summary = Page::read(SUMMARY.into());
    let mut named: Vec<PathBuf> = links(&summary)
        .iter()
        .map(|link| Path::new("docs/src").join(link))
        .collect();
    named.sort();
    let is_book = |name: &Path| name.starts_with("docs") && name != Path::new(SUMMARY);
    let book: Vec<PathBuf> = pages
        .into_iter()
        .map(|page| page.name)
        .filter(|name| is_book(name))
        .collect();
    assert_eq!(named, book);
}

#[test]
fn every_link_leads_somewhere() {
    let pages = page::all();
    for page in &pages {
        for link in links(page) {
            assert!(
                !link.starts_with("http:"),
                "{}: {link}",
                page.name.display()
            );
            if link.starts_with("https:") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match path {
                "" => page.name.clone(),
                path => plain(&page.name.with_file_name("").join(path)),
            };
            let place = format!("{}: {link}", page.name.display());
            assert!(page::root().join(&target).exists(), "{place}");
            if !anchor.is_empty() {
                let target = pages.iter().find(|page| page.name == target);
                let target = target.expect("an anchor is in a page");
                assert!(anchors(target).contains(anchor), "{place}");
            }
        }
    }
}

#[test]
fn the_book_links_to_itself_alone() {
    // mdBook copies the pages, and nothing of the repository beside them.
    for page in page::all() {
        if page.name.starts_with("docs") {
            for link in links(&page) {
                let is_outside = !link.starts_with("https:")
                    && !plain(&page.name.with_file_name("").join(&link)).starts_with("docs/src");
                assert!(!is_outside, "{}: {link}", page.name.display());
            }
        }
    }
}
