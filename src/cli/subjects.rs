//! The artifacts that a command works on: paths, ids, or a selection.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use clap::Args;

use super::context::Context;
use super::fail::Failure;
use super::selection::Selection;
use crate::error::Error;
use crate::model::artifact::{Artifact, ArtifactId};
use crate::model::filter::Filter;
use crate::model::key::Key;
use crate::model::layout;
use crate::ops::remove::ArtifactToRemove;
use crate::registry::{Inbox, Registry, Target};

/// The artifacts that a command works on. With flags, paths and ids name what the flags narrow.
#[derive(Debug, Args)]
pub(super) struct Subjects {
    /// Paths of runs, containers, folders of iterations and datasets, arrays, checkpoints
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Ids of artifacts, as show prints them
    #[arg(long, value_name = "N")]
    id: Vec<i64>,
    #[command(flatten)]
    selection: Selection,
}

/// What [`Subjects`] name in an open registry.
pub(super) enum Named {
    /// Each of these, whole.
    Each(Vec<Target>),
    /// What the flags select; at the paths, if there are any.
    Selected(Box<Filter>),
}

impl Named {
    /// The filter of a selection; of single artifacts one that selects everything.
    pub(super) fn filter(&self) -> Filter {
        match self {
            Self::Each(_) => Filter::default(),
            Self::Selected(filter) => *filter.clone(),
        }
    }
}

impl Subjects {
    /// Finds out what is named. It is a usage error if nothing is named at all; with flags, a path
    /// or an id of which nothing is recorded is an error.
    pub(super) fn named(
        &self,
        context: &Context,
        registry: &Registry,
        command: &str,
        verb: &str,
    ) -> Result<Named, Failure> {
        let mut missing = Vec::new();
        let named = self.named_or_missing(context, registry, [command, verb], &mut missing)?;
        match missing.into_iter().next() {
            Some(error) => Err(error.into()),
            None => Ok(named),
        }
    }

    /// The same for a command that shows, and does what else is named: with flags, a path or an id
    /// of which nothing is recorded becomes an error in `missing`, unless nothing else is named.
    pub(super) fn named_or_missing(
        &self,
        context: &Context,
        registry: &Registry,
        [command, verb]: [&str; 2],
        missing: &mut Vec<Error>,
    ) -> Result<Named, Failure> {
        let targets = self.targets(context, registry.base(), command, verb)?;
        let filter = self.selection.filter(context);
        if filter.is_all() {
            return Ok(Named::Each(targets));
        }
        registry.require_runs(&filter)?;
        let mut paths = Vec::with_capacity(targets.len());
        for target in &targets {
            let is_known = match target {
                Target::Path(path) => !registry.at(path)?.is_empty(),
                _ => registry.get(target)?.is_some(),
            };
            if !is_known {
                missing.push(registry.not_recorded(target));
                continue;
            }
            paths.push(match target {
                Target::Path(path) => registry.base_path(path)?,
                target => match registry.get(target)? {
                    Some(artifact) => registry.base_path(artifact.path())?,
                    None => return Err(registry.not_recorded(target).into()),
                },
            });
        }
        // Without a path, the flags alone would select everywhere.
        if paths.is_empty() && !missing.is_empty() {
            return Err(missing.swap_remove(0).into());
        }
        match paths.is_empty() {
            true => Ok(Named::Selected(Box::new(filter))),
            false => Ok(Named::Selected(Box::new(
                registry.narrowed(filter, &paths)?,
            ))),
        }
    }

    /// Finds them. A path or an id of which nothing is recorded is an error.
    pub(super) fn find(
        &self,
        registry: &Registry,
        named: &Named,
    ) -> Result<Vec<Artifact>, Failure> {
        let targets = match named {
            Named::Selected(filter) => return Ok(registry.select(filter)?),
            Named::Each(targets) => targets,
        };
        let mut found = Vec::new();
        for target in targets {
            let here = match target {
                Target::Path(path) => registry.at(path)?,
                target => registry.get(target)?.into_iter().collect(),
            };
            if here.is_empty() {
                return Err(registry.not_recorded(target).into());
            }
            found.extend(here);
        }
        Ok(distinct(found, |artifact| artifact.id))
    }

    /// Finds their keys on a host without the catalog, in its published copy. What the copy does
    /// not have can be named by path.
    pub(super) fn keys_to_note(
        &self,
        context: &Context,
        inbox: &Inbox,
        command: &str,
    ) -> Result<Vec<Key>, Failure> {
        let targets = self.targets(context, inbox.base(), command, command)?;
        let only_paths = self.id.is_empty() && self.selection.filter(context).is_all();
        let registry = match context.open_read_only() {
            // There is no copy, or a damaged one: paths say their keys by themselves.
            Err(Failure::Library(error)) if only_paths && matches!(*error, Error::Catalog(_)) => {
                None
            }
            opened => Some(opened?),
        };
        let Some(registry) = registry else {
            let mut keys = Vec::new();
            for target in &targets {
                let Target::Path(path) = target else { continue };
                let there = inbox.keys_at(path, &context.monitor())?;
                match there.is_empty() {
                    true => keys.push(inbox.key_at(path)?),
                    false => keys.extend(there),
                }
            }
            return Ok(distinct(keys, Key::to_string));
        };
        let targets = match self.named(context, &registry, command, command)? {
            Named::Each(targets) => targets,
            Named::Selected(filter) => {
                let selected = registry.select(&filter)?;
                return Ok(selected.into_iter().map(|artifact| artifact.key).collect());
            }
        };
        let mut keys = Vec::new();
        for target in &targets {
            let Target::Path(path) = target else {
                keys.push(registry.key_to_note(inbox, target)?);
                continue;
            };
            let before = keys.len();
            let known = registry.at(path)?;
            let known: Vec<Key> = known.into_iter().map(|artifact| artifact.key).collect();
            let places: HashSet<String> =
                known.iter().map(|key| layout::locate(key).path()).collect();
            keys.extend(known);
            // Those that the copy does not have are sealed too, unless it has the path itself.
            let place = registry.base_path(path)?;
            if !places.contains(place.as_str()) {
                let mut there = inbox.keys_at(path, &context.monitor())?;
                there.retain(|key| !places.contains(&layout::locate(key).path()));
                keys.extend(there);
            }
            if keys.len() == before {
                let is_folder = path.is_dir();
                let key = registry.key_to_note(inbox, target)?;
                // A folder without any array: it is not that data is missing.
                if is_folder {
                    return Err(registry.not_recorded(target).into());
                }
                keys.push(key);
            }
        }
        Ok(distinct(keys, Key::to_string))
    }

    /// Finds them for a removal: a container that is named by path or kind includes what is in it.
    pub(super) fn to_remove(
        &self,
        registry: &Registry,
        named: &Named,
    ) -> Result<Vec<ArtifactToRemove>, Failure> {
        let targets = match named {
            Named::Selected(filter) => return Ok(registry.to_remove_selected(filter)?),
            Named::Each(targets) => targets,
        };
        let mut chosen = Vec::new();
        for target in targets {
            chosen.extend(match target {
                Target::Path(path) => registry.to_remove_at(path)?,
                target => registry.to_remove(target)?,
            });
        }
        Ok(chosen)
    }

    /// Whether there are no paths, no ids and no selection flags.
    pub(super) fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.id.is_empty() && self.selection.is_empty()
    }

    /// Those that are given by path or id. It is a usage error if nothing is given at all.
    fn targets(
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
        let paths = self.paths.iter().map(|path| context.below_base(base, path));
        let paths: Vec<PathBuf> = paths.collect();
        if paths
            .iter()
            .any(|path| path.as_os_str().is_empty() || path == base)
        {
            return Err(Failure::usage(
                "the base directory itself is not an artifact",
                "give the path of a run, or of something in one",
            ));
        }
        let ids = self.id.iter().map(|&id| Target::Id(ArtifactId(id)));
        Ok(paths.into_iter().map(Target::Path).chain(ids).collect())
    }
}

/// Each thing once, in the order of their first places: paths may lie in each other.
fn distinct<T, K: Eq + std::hash::Hash>(all: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T> {
    let mut seen = HashSet::new();
    all.into_iter()
        .filter(|one| seen.insert(key(one)))
        .collect()
}
