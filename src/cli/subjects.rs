//! The artifacts that a command works on: paths, ids, or a selection.

use std::path::Path;

use clap::Args;

use super::context::Context;
use super::fail::Failure;
use super::selection::Selection;
use crate::model::artifact::{Artifact, ArtifactId};
use crate::model::filter::Filter;
use crate::model::key::Key;
use crate::ops::remove::ArtifactToRemove;
use crate::registry::{Inbox, Registry, Target};

/// The artifacts that a command works on.
#[derive(Debug, Args)]
pub(super) struct Subjects {
    /// Paths of artifacts
    #[arg(value_name = "PATH")]
    paths: Vec<std::path::PathBuf>,
    /// Ids of artifacts, as show prints them
    #[arg(long, value_name = "N")]
    id: Vec<i64>,
    #[command(flatten)]
    selection: Selection,
}

impl Subjects {
    /// Finds them. A path or an id that is not recorded is an error.
    pub(super) fn find(
        &self,
        context: &Context,
        registry: &Registry,
        command: &str,
    ) -> Result<Vec<Artifact>, Failure> {
        let mut found = Vec::new();
        for target in self.targets(context, registry.base(), command, command)? {
            let artifact = registry.get(&target)?;
            found.push(artifact.ok_or_else(|| registry.not_recorded(&target))?);
        }
        found.extend(self.selected(context, registry)?);
        Ok(found)
    }

    /// Finds their keys on a host without the catalog, in its published copy. What the copy does not
    /// have can be named by path.
    pub(super) fn keys_to_note(
        &self,
        context: &Context,
        inbox: &Inbox,
        command: &str,
    ) -> Result<Vec<Key>, Failure> {
        let targets = self.targets(context, inbox.base(), command, command)?;
        let only_paths = self.id.is_empty() && self.selection.filter(context).is_all();
        let registry = match context.open_read_only() {
            // Paths say their keys by themselves.
            Err(Failure::Library(error)) if only_paths && error.code() == "not-published" => None,
            opened => Some(opened?),
        };
        let mut keys = Vec::new();
        for target in &targets {
            keys.push(match (&registry, target) {
                (Some(registry), target) => registry.key_to_note(inbox, target)?,
                (None, Target::Path(path)) => inbox.key_at(path)?,
                (None, Target::Key(key)) => key.clone(),
                // Without a copy there are only paths.
                (None, _) => continue,
            });
        }
        if let Some(registry) = &registry {
            let selected = self.selected(context, registry)?;
            keys.extend(selected.into_iter().map(|artifact| artifact.key));
        }
        Ok(keys)
    }

    /// Finds them for a removal: a container that is named by path or kind includes what is in it.
    pub(super) fn to_remove(
        &self,
        context: &Context,
        registry: &Registry,
        command: &str,
        verb: &str,
    ) -> Result<Vec<ArtifactToRemove>, Failure> {
        let mut chosen = Vec::new();
        for target in self.targets(context, registry.base(), command, verb)? {
            chosen.extend(registry.to_remove(&target)?);
        }
        let filter = self.selection.filter(context);
        // Without flags the filter matches every artifact, which is never meant here.
        if !filter.is_all() {
            chosen.extend(registry.to_remove_selected(&filter)?);
        }
        Ok(chosen)
    }

    /// Whether there are no paths, no ids and no selection flags.
    pub(super) fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.id.is_empty() && self.selection.is_empty()
    }

    /// The filter that the selection flags make.
    pub(super) fn filter(&self, context: &Context) -> Filter {
        self.selection.filter(context)
    }

    /// The selection, if there are no paths and no ids besides it.
    pub(super) fn only_selection(&self, context: &Context) -> Option<Filter> {
        let filter = self.selection.filter(context);
        let is_alone = self.paths.is_empty() && self.id.is_empty() && !filter.is_all();
        is_alone.then_some(filter)
    }

    /// Those that are given by path or id. It is a usage error if nothing is given at all.
    pub(super) fn targets(
        &self,
        context: &Context,
        base: &Path,
        command: &str,
        verb: &str,
    ) -> Result<Vec<Target>, Failure> {
        if self.is_empty() {
            return Err(Failure::usage(
                format!("nothing is selected to {verb}"),
                format!(
                    "dalsegno {command} PATH, or select with flags such as --run NAME --iteration N"
                ),
            ));
        }
        let paths = self.paths.iter().map(|path| context.target(base, path));
        let paths: Vec<Target> = paths.collect();
        let is_base = |target: &Target| match target {
            Target::Path(path) => path.as_os_str().is_empty() || path == base,
            _ => false,
        };
        if paths.iter().any(is_base) {
            return Err(Failure::usage(
                "the base directory itself is not an artifact",
                "give the path of an array or of a container below it",
            ));
        }
        let ids = self.id.iter().map(|&id| Target::Id(ArtifactId(id)));
        Ok(paths.into_iter().chain(ids).collect())
    }

    /// Those that the selection flags select; none if there are no flags.
    pub(super) fn selected(
        &self,
        context: &Context,
        registry: &Registry,
    ) -> Result<Vec<Artifact>, Failure> {
        let filter = self.selection.filter(context);
        // Without flags the filter matches every artifact, which is never meant here.
        if filter.is_all() {
            return Ok(Vec::new());
        }
        Ok(registry.select(&filter)?)
    }
}
