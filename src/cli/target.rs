//! The artifact that a path on the command line means.

use std::path::{Component, Path, PathBuf};

use super::context::Context;
use crate::registry::Target;

impl Context {
    /// The artifact at a path: relative to the current folder if that is in the base directory,
    /// else relative to the base directory.
    pub(super) fn target(&self, base: &Path, path: &Path) -> Target {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let is_plain = |path: &Path| !path.components().any(|part| part == Component::ParentDir);
        if absolute.starts_with(base) && is_plain(&absolute) {
            return Target::Path(absolute);
        }
        let real = base.canonicalize().unwrap_or_else(|_| base.to_owned());
        // The last component is not resolved: a link never means what it points to.
        let resolved = absolute.parent().zip(absolute.file_name());
        let resolved =
            resolved.and_then(|(parent, name)| Some(parent.canonicalize().ok()?.join(name)));
        let typed = absolute.clone();
        for place in std::iter::once(absolute).chain(resolved) {
            if let Ok(relative) = place.strip_prefix(&real)
                && is_plain(relative)
            {
                return Target::Path(base.join(relative));
            }
        }
        // Outside of the base directory as a path, so it is relative to it; resolve `..` by its
        // text.
        let mut tidy = PathBuf::new();
        let start = if is_plain(path) { path } else { &typed };
        for part in start.components() {
            match part {
                Component::CurDir => {}
                Component::ParentDir => {
                    tidy.pop();
                }
                part => tidy.push(part),
            }
        }
        Target::Path(tidy)
    }
}
