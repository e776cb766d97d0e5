//! Verifying and repairing: the face of the protocol.

use super::Registry;
use crate::error::Result;
use crate::model::clock::Timestamp;
use crate::model::filter::Filter;
use crate::model::progress::Monitor;
use crate::ops::verify::{
    self, ComparedAt, RepairReport, VerifyFinding, VerifyOptions, VerifyReport,
};

impl Registry {
    /// Compares catalog and disk in both directions, and the trash with both. Changes nothing, and
    /// needs no right to write. Compares the rows of the selection, and searches the runs and kinds
    /// that it names for data without a row. Data whose key waits in the inbox is no finding.
    ///
    /// On a host without the catalog the published copy is compared: data without a row that was
    /// written since is no finding either, and what the keeper changed since may be one.
    ///
    /// # Errors
    /// [`Error`](crate::Error) if the catalog or the trash cannot be read at all. Other data that
    /// cannot be read is in the report.
    pub fn verify(
        &self,
        filter: &Filter,
        options: VerifyOptions,
        monitor: &dyn Monitor,
    ) -> Result<VerifyReport> {
        let times = ComparedAt {
            now: self.clock.now(),
            // What is younger than a copy of an unknown time is unknown too: no array is a finding.
            copied_at: self
                .published()?
                .map(|copy| copy.at.unwrap_or(Timestamp(0))),
        };
        verify::verify(&self.catalog, &self.base, times, filter, options, monitor)
    }

    /// Repairs the catalog by the findings of [`Registry::verify`] that have a
    /// [`VerifyFinding::repair`]: any of them, in any order, repeated ones too. Never changes data.
    ///
    /// # Errors
    /// [`Error::Catalog`](crate::Error::Catalog) if the catalog cannot be written; repairs that
    /// were made before the error stay.
    pub fn repair(
        &self,
        findings: &[VerifyFinding],
        monitor: &dyn Monitor,
    ) -> Result<RepairReport> {
        let _publishing = self.catalog.publishing();
        let now = self.clock.now();
        verify::repair(&self.catalog, &self.base, now, findings, monitor)
    }
}
