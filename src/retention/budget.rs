//! Limits on what is left, counted down while a plan lets artifacts go. Plans for artifacts and for
//! runs share this.

use std::sync::Arc;

use super::inventory::{size_of, takes_space};
use super::plan::{PlanError, Reason};
use super::policy::{Limits, MAX_FILES, MAX_SIZE};
use crate::model::artifact::Artifact;
use crate::model::size::{ByteCount, Size};

/// Bytes, files and free space at one point of a plan, and the limits on them.
pub(super) struct Budget {
    limits: Vec<Bound>,
    bytes: u64,
    files: u64,
    free: u64,
}

struct Bound {
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
    ) -> Result<Option<Self>, PlanError> {
        let limits: Vec<Bound> = limit
            .values()
            .zip(limit.settings())
            .map(|((rule, value), (_, setting))| Bound {
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
        self.free = self.free.saturating_add(size.bytes.0);
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
                    _ => format!(
                        "only {} would be free, the rest is kept by rules",
                        ByteCount(self.free)
                    ),
                };
                format!("{} {}: {left}", bound.rule, bound.setting)
            })
            .collect()
    }

    fn over(&self) -> impl Iterator<Item = &Bound> {
        self.limits.iter().filter(|bound| match bound.rule {
            MAX_SIZE => self.bytes > bound.value,
            MAX_FILES => self.files > bound.value,
            _ => self.free < bound.value,
        })
    }

    fn state(&self, rule: &str) -> String {
        match rule {
            MAX_SIZE => format!("{} are left", ByteCount(self.bytes)),
            MAX_FILES => format!("{} files are left", self.files),
            _ => format!("{} are free", ByteCount(self.free)),
        }
    }
}
