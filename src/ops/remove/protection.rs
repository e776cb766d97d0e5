//! What keeps an artifact from being removed: pins, best links, and changes since it was planned.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::plan::{PlannedItem, unknown};
use super::report::RemoveOptions;
use crate::catalog::PinView;
use crate::error::Error;
use crate::model::artifact::{Artifact, State};
use crate::model::key::{Key, Kind};
use crate::model::layout;
use crate::model::name::{self, RunName};
use crate::model::progress::Silent;
use crate::ops::twins;
use crate::store::{self, Base, BestLink};

/// Checks what binds artifacts. Reads the best links of a run once.
pub(crate) struct Protection<'a> {
    base: &'a Base,
    options: &'a RemoveOptions,
    links: HashMap<String, Vec<BestLink>>,
}

impl<'a> Protection<'a> {
    pub(crate) fn new(base: &'a Base, options: &'a RemoveOptions) -> Self {
        Self {
            base,
            options,
            links: HashMap::new(),
        }
    }

    /// Refuses an artifact that a pin or a best link binds, or that changed since it was planned.
    /// `now` is its row within the transaction.
    pub(crate) fn check(&mut self, planned: &Artifact, now: &Artifact) -> Result<(), Error> {
        self.check_pins(now)?;
        if self.options.unchanged {
            unchanged(self.base, planned, now)?;
        }
        Ok(())
    }

    /// The same for files in a container that the registry does not know: a pin on their run or
    /// iteration binds them. Looks them up when it is called, because something may have been
    /// written there since the plan.
    pub(super) fn check_unknown(
        &mut self,
        view: &PinView<'_>,
        planned: &PlannedItem,
    ) -> Result<(), Error> {
        // A container that was not named goes only if it holds nothing unknown.
        if !planned.by_name || self.options.force_pinned {
            return Ok(());
        }
        if let Some(run) = &planned.run {
            // A pin of any of its iterations binds the folder, which may hold their data.
            let pins = view.pins_of_run(run)?;
            if !pins.is_empty() {
                return Err(Error::Pinned {
                    path: self.base.path().join(&planned.path),
                    pins: pins.join(", "),
                });
            }
            return self.check_renamed(view, planned, &planned.unknown);
        }
        let container = layout::parse(&planned.path)?;
        let has_links = !self.options.ignore_best_links && !self.links(&container)?.is_empty();
        // Nothing could bind what is in it: spares the walk.
        if !has_links && !view.has_pins()? {
            return Ok(());
        }
        let folder = Path::new(&planned.path);
        let contents = store::list_container(self.base, folder, &Silent)?;
        let unknown = unknown(&planned.path, &contents, &planned.artifacts);
        for unknown in &unknown {
            let key = key_of(&container, unknown);
            let pins = view.pins_of_unknown(&key)?;
            let iterations = Vec::from_iter(key.iteration());
            self.check_protected((key.run(), &iterations), &pins, || {
                self.base.path().join(folder).join(unknown)
            })?;
        }
        self.check_renamed(view, planned, &unknown)
    }

    /// Refuses what has no row and is, by its time, pinned data that was renamed.
    fn check_renamed(
        &self,
        view: &PinView<'_>,
        planned: &PlannedItem,
        unknown: &[PathBuf],
    ) -> Result<(), Error> {
        let folder = Path::new(&planned.path);
        // Rows have paths of text: nothing else can be theirs.
        let paths = unknown
            .iter()
            .filter_map(|path| Some(folder.join(path).to_str()?.to_owned()));
        match twins::unknown_pinned_elsewhere(self.base, view, paths)? {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn check_pins(&mut self, now: &Artifact) -> Result<(), Error> {
        if now.held_iterations().next().is_some() && !self.is_off() {
            // Fills the cache that the check reads.
            self.links(&now.key)?;
        }
        let iterations: Vec<i64> = now.held_iterations().collect();
        self.check_protected((now.key.run(), &iterations), &now.pins, || now.path())
    }

    /// Whether best links are ignored.
    fn is_off(&self) -> bool {
        self.options.force_pinned || self.options.ignore_best_links
    }

    /// The best links of a key's run.
    fn links(&mut self, key: &Key) -> Result<&[BestLink], Error> {
        let run = key.run().as_str();
        if !self.links.contains_key(run) {
            let links = store::best_links(self.base, run)?;
            self.links.insert(run.to_owned(), links);
        }
        Ok(self.links.get(run).map_or(&[], Vec::as_slice))
    }

    /// Refuses what a pin binds, or a best link that was read: one on any of the iterations.
    fn check_protected(
        &self,
        (run, iterations): (&RunName, &[i64]),
        pins: &[String],
        path: impl Fn() -> PathBuf,
    ) -> Result<(), Error> {
        if self.options.force_pinned {
            return Ok(());
        }
        if !pins.is_empty() {
            return Err(Error::Pinned {
                path: path(),
                pins: pins.join(", "),
            });
        }
        let binds = |link: &&BestLink| !self.is_off() && iterations.contains(&link.iteration);
        let mut links = self.links.get(run.as_str()).into_iter().flatten();
        match links.find(binds) {
            Some(link) => Err(Error::BestLinked {
                path: path(),
                link: link.name.clone(),
            }),
            None => Ok(()),
        }
    }
}

/// A key for something unknown in a container, with its run and the iteration whose folder it is
/// in. It need not be an array: chunks whose metadata is lost belong to the iteration too.
fn key_of(container: &Key, unknown: &Path) -> Key {
    let head = unknown.components().next();
    let head = head.and_then(|head| head.as_os_str().to_str());
    let is_by_iteration = matches!(
        container.kind(),
        Kind::ValidationContainer | Kind::SnapshotContainer
    );
    match head.map(name::parse_iteration) {
        // Any kind with an iteration would do: pins of an iteration bind every kind.
        Some(Ok(iteration)) if is_by_iteration => Key::Checkpoint {
            run: container.run().clone(),
            iteration,
        },
        _ => container.clone(),
    }
}

/// Refuses an artifact whose row or data changed since it was planned.
fn unchanged(base: &Base, planned: &Artifact, now: &Artifact) -> Result<(), Error> {
    let changed = |what| {
        Err(Error::ChangedSince {
            path: now.path(),
            what,
        })
    };
    if now.origin != planned.origin || now.recorded_at != planned.recorded_at {
        return changed("recorded again");
    }
    if now.sealed_at != planned.sealed_at {
        return changed("sealed");
    }
    if now.written_at != planned.written_at {
        return changed("rewritten");
    }
    if now.state != planned.state {
        return changed("seen in another state");
    }
    let path = now.location().path();
    // Damaged metadata gives no time to compare.
    if planned.state == State::Damaged {
        return Ok(());
    }
    match store::written_at(base, Path::new(&path), now.key.kind())? {
        Some(written_at) if Some(written_at) != planned.written_at => changed("rewritten"),
        // Data that is gone is no reason to keep the row: the report calls it missing.
        _ => Ok(()),
    }
}
