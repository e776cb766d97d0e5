//! What keeps an artifact from being removed: pins, best links, and changes since it was planned.

use std::collections::HashMap;
use std::path::Path;

use super::{PlannedItem, RemoveOptions};
use crate::artifact::Artifact;
use crate::catalog::Change;
use crate::error::Error;
use crate::key::Key;
use crate::layout;
use crate::storage::{self, Base, BestLink};

/// Looks at what binds artifacts. The best links of a run are read once.
pub(crate) struct Binding<'a> {
    base: &'a Base,
    options: &'a RemoveOptions,
    links: HashMap<String, Vec<BestLink>>,
}

impl<'a> Binding<'a> {
    pub(crate) fn new(base: &'a Base, options: &'a RemoveOptions) -> Self {
        Self {
            base,
            options,
            links: HashMap::new(),
        }
    }

    /// Refuses an artifact that a pin or a best link binds, or that is not as it was planned.
    /// `now` is its row within the transaction.
    pub(crate) fn check(&mut self, planned: &Artifact, now: &Artifact) -> Result<(), Error> {
        self.check_pins(&now.key, &now.pins)?;
        if self.options.unchanged {
            unchanged(self.base, planned, now)?;
        }
        Ok(())
    }

    /// The same for what goes along with a container though the registry does not know it: a pin
    /// on its run or iteration would bind it.
    pub(super) fn check_unknown(
        &mut self,
        change: &Change<'_>,
        planned: &PlannedItem,
    ) -> Result<(), Error> {
        for unknown in &planned.unknown {
            let path = Path::new(&planned.path).join(unknown);
            if let Some(key) = path.to_str().and_then(|path| layout::read(path).ok()) {
                let pins = change.pins_of_unknown(&key)?;
                self.check_pins(&key, &pins)?;
            }
        }
        Ok(())
    }

    fn check_pins(&mut self, key: &Key, pins: &[String]) -> Result<(), Error> {
        if self.options.force_pinned {
            return Ok(());
        }
        let path = || self.base.path().join(layout::locate(key).path());
        if !pins.is_empty() {
            return Err(Error::Pinned {
                path: path(),
                pins: pins.join(", "),
            });
        }
        let Some(iteration) = key.iteration().filter(|_| !self.options.ignore_best_links) else {
            return Ok(());
        };
        let run = key.run().as_str();
        if !self.links.contains_key(run) {
            let links = storage::best_links(self.base, run)?;
            self.links.insert(run.to_owned(), links);
        }
        let mut links = self.links.get(run).into_iter().flatten();
        match links.find(|link| link.iteration == iteration) {
            Some(link) => Err(Error::BestLinked {
                path: path(),
                link: link.name.clone(),
            }),
            None => Ok(()),
        }
    }
}

/// Refuses an artifact whose row, or whose data, is not as it was planned.
fn unchanged(base: &Base, planned: &Artifact, now: &Artifact) -> Result<(), Error> {
    let changed = |what| {
        Err(Error::ChangedSince {
            path: now.path(),
            what,
        })
    };
    if now.origin != planned.origin || now.recorded_at != planned.recorded_at {
        return changed("recorded anew");
    }
    if now.sealed_at != planned.sealed_at {
        return changed("sealed");
    }
    if now.written_at != planned.written_at {
        return changed("rewritten");
    }
    let path = now.location().path();
    match storage::written_at(base, Path::new(&path), now.key.kind())? {
        Some(written_at) if Some(written_at) != planned.written_at => changed("rewritten"),
        _ => Ok(()),
    }
}
