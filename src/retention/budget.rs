//! Limits on what is left, counted down while a plan lets artifacts go. Plans for artifacts and for
//! runs share this.

use std::sync::Arc;

use super::inventory::{size_of, takes_space};
use super::plan::{PlanError, Reason};
use super::policy::{Limits, MAX_FILES, MAX_SIZE, MIN_FREE};
use crate::model::artifact::Artifact;
use crate::model::size::{ByteCount, Size};

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
        free_bytes: Option<u64>,
        trash_bytes: u64,
    ) -> Result<Option<Self>, PlanError> {
        // Both list the limits that are set, in the same order.
        let limits: Vec<Limit> = limit
            .values()
            .zip(limit.settings())
            .map(|((rule, value), (_, setting))| Limit {
                rule,
                value,
                setting: setting.into(),
            })
            .collect();
        if limits.is_empty() {
            return Ok(None);
        }
        if limit.min_free.is_some() && free_bytes.is_none() {
            return Err(PlanError::FreeUnknown);
        }
        let mut budget = Self {
            limits,
            bytes: 0,
            files: 0,
            free: free_bytes.unwrap_or_default(),
            trash: trash_bytes,
            going: 0,
        };
        let mut unmeasured = Vec::new();
        for artifact in artifacts {
            if artifact.size.is_none() && takes_space(artifact) {
                unmeasured.push(artifact.path());
            }
            let size = size_of(artifact);
            budget.bytes = budget.bytes.saturating_add(size.bytes.0);
            budget.files = budget.files.saturating_add(size.files);
        }
        if unmeasured.is_empty() {
            Ok(Some(budget))
        } else {
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

    /// Counts an artifact of this size as gone.
    pub(super) fn remove(&mut self, size: Size) {
        self.bytes = self.bytes.saturating_sub(size.bytes.0);
        self.files = self.files.saturating_sub(size.files);
        self.going = self.going.saturating_add(size.bytes.0);
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
                        format!("{} files would still be there, kept by rules", self.files)
                    }
                    // Not "kept by rules" if nothing is left to take.
                    _ if self.bytes == 0 => format!(
                        "only {} would be free, although everything that is selected goes",
                        ByteCount(self.in_the_end())
                    ),
                    _ => format!(
                        "only {} would be free, the rest is kept by rules",
                        ByteCount(self.in_the_end())
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

    /// What to know about `min-free` if something is in the trash.
    pub(super) fn notice(&self) -> Option<String> {
        let bound = self.limits.iter().find(|bound| bound.rule == MIN_FREE)?;
        (self.trash > 0 && self.free < bound.value).then(|| {
            format!(
                "min-free {}: {} are free; the trash has {}, which are free only when it is \
                 emptied: the plan takes no more in their place; free them with: dalsegno trash \
                 empty",
                bound.setting,
                ByteCount(self.free),
                ByteCount(self.trash)
            )
        })
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
            MAX_FILES => format!("{} files are left", self.files),
            _ => format!("{} are free", ByteCount(self.in_the_end())),
        }
    }
}
