//! Which file of `src/` imports from which, read from the sources.
//!
//! Every path that begins with `crate`, `super` or `self`, or with the name of a child module, is
//! followed to the file that defines the item: through modules, then through the `use` statements
//! of the module that it ends in. A re-export is not an import: what it hands on counts for
//! the file that uses it.

use std::collections::{BTreeMap, BTreeSet};

/// A `use` statement: names that it brings in, each with the path that it means.
struct Use {
    is_export: bool,
    /// Local name, or `*`, and absolute path.
    names: Vec<(String, Vec<String>)>,
}

struct Module {
    /// Path of the module, such as `["catalog", "sqlite"]`.
    path: Vec<String>,
    uses: Vec<Use>,
    /// Absolute paths that are written out in the code.
    inline: Vec<Vec<String>>,
}

/// The imports of a crate, file by file.
pub(crate) struct Imports {
    modules: BTreeMap<String, Module>,
    /// File of each module, by its path joined with `::`.
    files: BTreeMap<String, String>,
}

impl Imports {
    /// Reads sources: paths below `src/`, and code without comments and tests.
    pub(crate) fn read<'a>(sources: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let sources: Vec<(&str, &str)> = sources.into_iter().collect();
        let files: BTreeMap<String, String> = sources
            .iter()
            .map(|(file, _)| (module_of(file).join("::"), (*file).to_owned()))
            .collect();
        let module = |(file, code): &(&str, &str)| {
            let module = Module::read(module_of(file), code, &files);
            ((*file).to_owned(), module)
        };
        Self {
            modules: sources.iter().map(module).collect(),
            files,
        }
    }

    /// The files that each file imports from.
    pub(crate) fn edges(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut edges = BTreeMap::new();
        for (file, module) in &self.modules {
            let mut to = BTreeSet::new();
            let imported = module.uses.iter().filter(|import| !import.is_export);
            let paths = imported.flat_map(|import| import.names.iter().map(|(_, path)| path));
            for path in paths.chain(&module.inline) {
                to.extend(self.defining_file(path, 0));
            }
            to.remove(file);
            edges.insert(file.clone(), to);
        }
        edges
    }

    /// The file that defines what a path names.
    fn defining_file(&self, path: &[String], depth: usize) -> Option<String> {
        let mut known = path.len();
        while known > 0 && !self.files.contains_key(&path[..known].join("::")) {
            known -= 1;
        }
        let file = self
            .files
            .get(&path[..known].join("::"))
            .map_or("lib.rs", String::as_str);
        let Some(name) = path.get(known).filter(|_| depth < 8) else {
            return Some(file.to_owned());
        };
        let module = self.modules.get(file)?;
        let names = || module.uses.iter().flat_map(|import| &import.names);
        if let Some((_, target)) = names().find(|(local, _)| local == name) {
            let mut target = target.clone();
            target.extend_from_slice(&path[known + 1..]);
            return self.defining_file(&target, depth + 1);
        }
        Some(file.to_owned())
    }

    /// Sets of files that import each other in a circle.
    pub(crate) fn circles(&self) -> Vec<BTreeSet<String>> {
        circles(&self.edges())
    }
}

/// Sets of files that import each other in a circle, by the files that each imports.
pub(crate) fn circles(edges: &BTreeMap<String, BTreeSet<String>>) -> Vec<BTreeSet<String>> {
    let reached: BTreeMap<&String, BTreeSet<String>> = edges
        .keys()
        .map(|file| (file, reach(edges, file)))
        .collect();
    let mut circles: Vec<BTreeSet<String>> = Vec::new();
    for file in edges.keys() {
        if !reached[file].contains(file) || circles.iter().any(|circle| circle.contains(file)) {
            continue;
        }
        let circle = reached[file]
            .iter()
            .filter(|other| reached[other].contains(file));
        circles.push(circle.cloned().collect());
    }
    circles
}

/// The files that can be reached from one, itself only if it lies on a circle.
fn reach(edges: &BTreeMap<String, BTreeSet<String>>, from: &String) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&String> = edges[from].iter().collect();
    while let Some(file) = open.pop() {
        if reached.insert(file.clone())
            && let Some(next) = edges.get(file)
        {
            open.extend(next);
        }
    }
    reached
}

/// The module path of a file: `catalog/sqlite/mod.rs` is `catalog::sqlite`, `lib.rs` the root.
fn module_of(file: &str) -> Vec<String> {
    let stem = file.trim_end_matches(".rs");
    let stem = stem.strip_suffix("/mod").unwrap_or(stem);
    match stem {
        "lib" | "main" => Vec::new(),
        stem => stem.split('/').map(str::to_owned).collect(),
    }
}

impl Module {
    fn read(path: Vec<String>, code: &str, files: &BTreeMap<String, String>) -> Self {
        let mut module = Self {
            path,
            uses: Vec::new(),
            inline: Vec::new(),
        };
        let mut rest = code;
        let mut code_without_uses = String::new();
        while let Some(at) = next_use(rest) {
            let (before, from) = rest.split_at(at);
            let statement = from.split(';').next().unwrap_or_default();
            let line = before.rsplit('\n').next().unwrap_or_default();
            let mut names = Vec::new();
            tree(
                &mut Vec::new(),
                statement["use ".len()..].trim(),
                &mut names,
            );
            let names = names
                .into_iter()
                .filter_map(|(name, path)| Some((name, module.absolute(&path, files)?)))
                .collect();
            module.uses.push(Use {
                is_export: line.trim_start().starts_with("pub"),
                names,
            });
            code_without_uses.push_str(before);
            rest = &from[statement.len()..];
        }
        code_without_uses.push_str(rest);
        for path in inline_paths(&code_without_uses) {
            module.inline.extend(module.absolute(&path, files));
        }
        module
    }

    /// The path from the crate's root; none for a path of another crate.
    fn absolute(&self, path: &[String], files: &BTreeMap<String, String>) -> Option<Vec<String>> {
        let mut base = self.path.clone();
        let mut path = path;
        match path.first().map(String::as_str) {
            Some("crate") => {
                base.clear();
                path = &path[1..];
            }
            Some("self") => path = &path[1..],
            Some("super") => {
                while path.first().is_some_and(|segment| segment == "super") {
                    base.pop();
                    path = &path[1..];
                }
            }
            Some(name) => {
                let mut child = base.clone();
                child.push(name.to_owned());
                files.get(&child.join("::"))?;
            }
            None => return None,
        }
        base.extend_from_slice(path);
        Some(base)
    }
}

/// Where the next `use` statement begins.
fn next_use(code: &str) -> Option<usize> {
    let is_start = |at: usize| {
        let line = code[..at].rsplit('\n').next().unwrap_or_default().trim();
        line.is_empty() || (line.starts_with("pub") && !line.contains('='))
    };
    code.match_indices("use ")
        .map(|(at, _)| at)
        .find(|&at| is_start(at))
}

/// Takes the tree of a `use` statement apart: local names and their paths.
fn tree(prefix: &mut Vec<String>, text: &str, names: &mut Vec<(String, Vec<String>)>) {
    let text = text.trim();
    if let Some(list) = text.strip_prefix('{') {
        let list = list.trim_end().trim_end_matches('}');
        for item in split_list(list) {
            tree(prefix, item, names);
        }
        return;
    }
    let segment: String = text
        .chars()
        .take_while(|character| character.is_alphanumeric() || matches!(character, '_' | '*'))
        .collect();
    if segment.is_empty() {
        return;
    }
    let rest = text[segment.len()..].trim_start();
    if let Some(rest) = rest.strip_prefix("::") {
        prefix.push(segment);
        tree(prefix, rest, names);
        prefix.pop();
        return;
    }
    let mut path = prefix.clone();
    let mut local = segment.clone();
    if segment == "self" {
        local = path.last().cloned().unwrap_or_default();
    } else if segment != "*" {
        path.push(segment);
    }
    if let Some(alias) = rest.strip_prefix("as ") {
        local = alias.trim().to_owned();
    }
    names.push((local, path));
}

/// The items of a list, at its own depth.
fn split_list(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut items) = (0, 0, Vec::new());
    for (at, character) in list.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items.push(&list[start..]);
    items
}

/// Paths that are written out in code, such as `crate::model::Key` and `removals::state_of`.
fn inline_paths(code: &str) -> Vec<Vec<String>> {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    let mut paths = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("::") {
        let head = &rest[..at];
        let first: String = {
            let word = head.rsplit(|character| !is_word(character)).next();
            word.unwrap_or_default().to_owned()
        };
        let mut path = vec![first];
        rest = &rest[at..];
        while let Some(tail) = rest.strip_prefix("::") {
            let word: String = tail
                .chars()
                .take_while(|&character| is_word(character))
                .collect();
            rest = &tail[word.len()..];
            if word.is_empty() {
                break;
            }
            path.push(word);
        }
        // `pub(in crate::cli)` says who may use an item; it imports nothing.
        let is_visibility = head.trim_end_matches(is_word).ends_with("pub(in ");
        if !path[0].is_empty() && !is_visibility {
            paths.push(path);
        }
    }
    paths
}
