//! The artifact that a path on the command line means.

use std::path::{Component, Path, PathBuf};

use super::context::Context;
use super::fail::Failure;
use crate::model::filter::Filter;
use crate::model::name::{NameError, RunName};
use crate::registry::{Registry, Target};

impl Context {
    /// The run that an argument names; see [`Context::run_text`].
    pub(super) fn run_name(&self, text: &str) -> Result<RunName, Failure> {
        self.run_text(text).parse().map_err(|error: NameError| {
            Failure::usage(
                error.to_string(),
                "give the name of a run, or the path of its folder",
            )
        })
    }

    /// The name or glob of a run as a filter takes it, from how shells complete folders: with a
    /// slash at the end, from the current folder, or as an absolute path. What the path of
    /// anything else gives is refused by [`Registry::require_runs`].
    pub(super) fn run_text(&self, text: &str) -> String {
        let is_dots = matches!(text, "." | "..");
        let is_path = is_dots
            || ["/", "./", "../"]
                .iter()
                .any(|start| text.starts_with(start));
        if !is_path && !text.ends_with('/') {
            return text.to_owned();
        }
        // Without a base directory the command fails when it opens the registry.
        let Ok(base) = self.base() else {
            return text.to_owned();
        };
        let base = std::path::absolute(&base).unwrap_or(base);
        let typed = std::path::absolute(text).unwrap_or_else(|_| text.into());
        let found = below(&base, &typed).filter(|found| {
            // A name with a slash at the end is one all the same.
            is_path || typed.symlink_metadata().is_ok() || found.as_os_str() == text
        });
        // From outside the base directory, a path is relative to it; none leads out of it.
        let is_plain = !Path::new(text)
            .components()
            .any(|part| matches!(part, Component::ParentDir | Component::RootDir));
        let inside = || is_plain.then(|| tidy(Path::new(text)));
        let Some(found) = found.or_else(inside) else {
            return text.to_owned();
        };
        let found = found.to_str().filter(|found| !found.is_empty());
        found.unwrap_or(text).to_owned()
    }

    /// A path relative to the base directory as it is typed in the current folder: in a folder of a
    /// run it is relative to that, or absolute if it leads elsewhere.
    pub(super) fn typable(&self, path: &str) -> String {
        let (Ok(base), Ok(here)) = (self.base(), std::env::current_dir()) else {
            return path.to_owned();
        };
        let base = std::path::absolute(&base).unwrap_or(base);
        let inside = below(&base, &here).filter(|inside| !inside.as_os_str().is_empty());
        let Some(inside) = inside else {
            return path.to_owned();
        };
        match Path::new(path).strip_prefix(&inside) {
            Ok(rest) if rest.as_os_str().is_empty() => ".".to_owned(),
            Ok(rest) => rest.display().to_string(),
            Err(_) => base.join(path).display().to_string(),
        }
    }

    /// What to say of a removal that names no run, and is called in the folder of one: it is about
    /// all of the base directory. None if it names a run, or is called elsewhere.
    pub(super) fn about_all_runs(&self, registry: &Registry, filter: &Filter) -> Option<String> {
        let base = registry.base();
        if !(filter.runs.is_empty() && filter.below.is_empty() && filter.except.runs.is_empty()) {
            return None;
        }
        let here = std::env::current_dir().ok()?;
        let inside = below(base, &here).filter(|path| !path.as_os_str().is_empty())?;
        let inside = inside.to_str()?;
        let above = registry.run_above(inside).ok().flatten();
        let run = above.unwrap_or_else(|| inside.to_owned());
        Some(format!(
            "no run is selected, so this is about all runs of {}, and not only about {run}",
            base.display()
        ))
    }

    /// The artifact at a path; see [`Context::below_base`].
    pub(super) fn target(&self, base: &Path, path: &Path) -> Target {
        Target::Path(self.below_base(base, path))
    }

    /// A path relative to the current folder if that is in the base directory, else relative to the
    /// base directory.
    #[expect(
        clippy::unused_self,
        reason = "a path is read as the others of the call"
    )]
    pub(super) fn below_base(&self, base: &Path, path: &Path) -> PathBuf {
        below_base(base, path)
    }
}

/// See [`Context::below_base`].
pub(super) fn below_base(base: &Path, path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let is_plain = |path: &Path| !path.components().any(|part| part == Component::ParentDir);
    if absolute.starts_with(base) && is_plain(&absolute) {
        return absolute;
    }
    let real = base.canonicalize().unwrap_or_else(|_| base.to_owned());
    // The last component is not resolved: a link never means what it points to.
    let resolved = absolute.parent().zip(absolute.file_name());
    let resolved = resolved.and_then(|(parent, name)| Some(parent.canonicalize().ok()?.join(name)));
    let typed = absolute.clone();
    for place in std::iter::once(absolute).chain(resolved) {
        if let Ok(relative) = place.strip_prefix(&real)
            && is_plain(relative)
        {
            return base.join(relative);
        }
    }
    // Outside of the base directory as a path, so it is relative to it; resolve `..` by its
    // text.
    let start = if is_plain(path) { path } else { &typed };
    tidy(start)
}

/// What is left of an absolute path below the base directory, by its text or by where its folder
/// really is; none if it is not below it.
pub(super) fn below(base: &Path, typed: &Path) -> Option<PathBuf> {
    let by_text = tidy(typed).strip_prefix(base).ok().map(Path::to_path_buf);
    by_text.or_else(|| {
        let real = base.canonicalize().ok()?;
        let (parent, name) = (typed.parent()?.canonicalize().ok()?, typed.file_name());
        // `..` has no name; the whole path is resolved then.
        let typed = match name {
            Some(name) => parent.join(name),
            None => typed.canonicalize().ok()?,
        };
        typed.strip_prefix(real).ok().map(Path::to_path_buf)
    })
}

/// A path without `.` and `..`, by its text.
fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                tidy.pop();
            }
            part => tidy.push(part),
        }
    }
    tidy
}
