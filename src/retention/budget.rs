//! Limits on what is left, counted down while a plan lets artifacts go. Plans for artifacts and for
//! runs share this.

use std::sync::Arc;

use super::inventory::{Disk, freed_by, size_of, takes_space};
use super::min_free::MinFree;
use super::plan::{FreeGoal, PlanError, Reason};
use super::policy::{Limits, MAX_FILES, MAX_SIZE, MIN_FREE};
use super::words::length;
use crate::model::artifact::Artifact;
use crate::model::removal::TrashKeep;
use crate::model::size::ByteCount;
use crate::model::words;

/// Bytes, files and free space at one point of a plan, and the limits on them.
pub(super) struct Budget {
    limits: Vec<Limit>,
    bytes: u64,
    files: u64,
    /// Free now.
    free: u64,
    /// In the trash: free as soon as it is emptied.
    trash: u64,
    /// What the plan removes.
    going: u64,
    /// How long the trash keeps what the plan removes.
    keep: TrashKeep,
}

struct Limit {
    rule: &'static str,
    value: u64,
    setting: Arc<str>,
}

impl Budget {
    /// Starts with all artifacts in place; `None` if the policy has no limit.
    ///
    /// # Errors
    /// [`PlanError::Unmeasured`] if a size is unknown, [`PlanError::FreeUnknown`] if the free space
    /// is: neither is taken as 0.
    pub(super) fn new<'a>(
        limit: &Limits,
        artifacts: impl Iterator<Item = &'a Artifact>,
        disk: &Disk,
    ) -> Result<Option<Self>, PlanError> {
        // Some file systems say that they have 0 bytes: of these, every percentage would be met.
        let disk_size = disk.size.filter(|&size| size > 0);
        if let (Some(min_free @ MinFree::Percent(_)), None) = (limit.min_free, disk_size) {
            return Err(PlanError::DiskSizeUnknown { min_free });
        }
        let disk_size = disk_size.unwrap_or_default();
        // Both list the limits that are set, in the same order.
        let limits: Vec<Limit> = limit
            .values(disk_size)
            .zip(limit.settings())
            .map(|((rule, value), (_, setting))| Limit {
                rule,
                value,
                setting: match (rule, limit.min_free) {
                    (MIN_FREE, Some(MinFree::Percent(percent))) => {
                        format!("{percent} % of {}", ByteCount(disk_size)).into()
                    }
                    _ => setting.into(),
                },
            })
            .collect();
        if limits.is_empty() {
            return Ok(None);
        }
        if limit.min_free.is_some() && disk.free.is_none() {
            return Err(PlanError::FreeUnknown);
        }
        let mut budget = Self {
            limits,
            bytes: 0,
            files: 0,
            // Only a limit asks for it, and then it is known: see above.
            free: disk.free.unwrap_or_default(),
            trash: disk.trash,
            going: 0,
            keep: disk.keep,
        };
        let mut unmeasured = Vec::new();
        for artifact in artifacts {
            if artifact.size.is_none() && takes_space(artifact) {
                unmeasured.push(artifact.path());
            }
            let size = size_of(artifact);
            // Rows may hold any number.
            budget.bytes = budget.bytes.saturating_add(size.bytes.0);
            budget.files = budget.files.saturating_add(size.files);
        }
        if unmeasured.is_empty() {
            Ok(Some(budget))
        } else {
            // In order, so that the same registry gives the same error.
            unmeasured.sort();
            Err(PlanError::Unmeasured { paths: unmeasured })
        }
    }

    /// Why the next artifact must go; empty if every limit is met.
    pub(super) fn needs(&self) -> Vec<Reason> {
        self.over()
            .map(|bound| Reason {
                rule: bound.rule,
                setting: Some(Arc::clone(&bound.setting)),
                detail: format!("oldest first; {} with it", self.state(bound.rule)),
            })
            .collect()
    }

    /// Counts an artifact as gone.
    pub(super) fn remove(&mut self, artifact: &Artifact) {
        let size = size_of(artifact);
        self.bytes = self.bytes.saturating_sub(size.bytes.0);
        self.files = self.files.saturating_sub(size.files);
        self.going = self.going.saturating_add(freed_by(artifact).0);
    }

    /// One sentence for each limit that is not met.
    pub(super) fn unmet(&self) -> Vec<String> {
        self.over()
            .map(|bound| {
                let left = match bound.rule {
                    MAX_SIZE => format!(
                        "{} would still be there, kept by rules",
                        ByteCount(self.bytes)
                    ),
                    MAX_FILES => {
                        let files = words::count(self.files, "file");
                        format!("{files} would still be there, kept by rules")
                    }
                    // Not "kept by rules" if nothing is left to take.
                    _ if self.bytes == 0 => format!(
                        "only {} would be free{}, although everything that is selected goes",
                        ByteCount(self.in_the_end()),
                        self.once_emptied()
                    ),
                    _ => format!(
                        "only {} would be free{}, the rest is kept by rules",
                        ByteCount(self.in_the_end()),
                        self.once_emptied()
                    ),
                };
                format!("{} {}: {left}", bound.rule, bound.setting)
            })
            .collect()
    }

    /// Free as soon as the trash is emptied.
    fn in_the_end(&self) -> u64 {
        let freed = self.trash.saturating_add(self.going);
        self.free.saturating_add(freed)
    }

    /// Whether the trash keeps what the plan removes.
    fn goes_to_trash(&self) -> bool {
        // If nothing goes, the trash does not matter for this plan.
        matches!(self.keep, TrashKeep::For(_) | TrashKeep::UntilEmptied) && self.going > 0
    }

    /// The condition of [`Self::in_the_end`] in words; empty if all of it is free at once.
    fn once_emptied(&self) -> &'static str {
        match self.trash > 0 || self.goes_to_trash() {
            true => " once the trash is emptied",
            false => "",
        }
    }

    /// What `min-free` came to.
    pub(super) fn free_goal(&self) -> Option<FreeGoal> {
        let bound = self.limits.iter().find(|bound| bound.rule == MIN_FREE)?;
        Some(FreeGoal {
            setting: bound.setting.to_string(),
            bytes: ByteCount(bound.value),
        })
    }

    /// What to know about `min-free` if something is in the trash, or goes there.
    pub(super) fn notices(&self) -> Vec<String> {
        let mut notices = Vec::new();
        let Some(bound) = self.limits.iter().find(|bound| bound.rule == MIN_FREE) else {
            return notices;
        };
        // What is free does not meet the limit; the trash explains why the plan takes no more.
        if self.trash > 0 && self.free < bound.value {
            notices.push(format!(
                "min-free {}: {} are free; the trash has {}, which are free only when it is \
                 emptied: the plan takes no more in their place; free them with: dalsegno trash \
                 empty",
                bound.setting,
                ByteCount(self.free),
                ByteCount(self.trash)
            ));
        }
        if self.goes_to_trash() {
            let until = match self.keep {
                TrashKeep::For(time) => format!("it has been there for {}", length(time)),
                _ => "the trash is emptied".to_owned(),
            };
            notices.push(format!(
                "min-free {}: what the plan removes, {}, goes to the trash and frees nothing until \
                 {until}; without the trash, it is free at once: --no-trash",
                bound.setting,
                ByteCount(self.going)
            ));
        }
        notices
    }

    fn over(&self) -> impl Iterator<Item = &Limit> {
        self.limits.iter().filter(|bound| match bound.rule {
            MAX_SIZE => self.bytes > bound.value,
            MAX_FILES => self.files > bound.value,
            // What is in the trash or about to go there counts as free: otherwise each plan would
            // take more in place of data that the last one took.
            _ => self.in_the_end() < bound.value,
        })
    }

    fn state(&self, rule: &str) -> String {
        match rule {
            MAX_SIZE => format!("{} are left", ByteCount(self.bytes)),
            MAX_FILES => format!("{} files are left", words::number(self.files)),
            _ => format!(
                "{} are free{}",
                ByteCount(self.in_the_end()),
                self.once_emptied()
            ),
        }
    }
}
