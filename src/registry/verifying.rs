//! Verifying and repairing: the face of the protocol.

use super::Registry;
use crate::error::Result;
use crate::model::filter::Filter;
use crate::model::progress::Monitor;
use crate::ops::verify::{self, RepairReport, VerifyFinding, VerifyOptions, VerifyReport};

impl Registry {
    /// Compares catalog and disk, both ways, and the trash with both. Changes nothing, and needs
    /// no right to write. The rows of the selection are compared; data without a row is looked for
    /// below the runs that the selection names, of the kinds that it names.
    ///
    /// # Errors
    /// [`Error`](crate::Error) where the catalog or the trash cannot be read at all. What cannot
    /// be read besides is in the report.
    pub fn verify(
        &self,
        filter: &Filter,
        options: VerifyOptions,
        monitor: &dyn Monitor,
    ) -> Result<VerifyReport> {
        let now = self.clock.now();
        verify::verify(&self.catalog, &self.base, now, filter, options, monitor)
    }

    /// Mends in the catalog what findings of [`Registry::verify`] say, as far as
    /// [`VerifyFinding::repair`] goes: any of them, in any order, also twice. Never touches data.
    ///
    /// # Errors
    /// [`Error`](crate::Error) of the catalog; what was mended before stays.
    pub fn repair(
        &self,
        findings: &[VerifyFinding],
        monitor: &dyn Monitor,
    ) -> Result<RepairReport> {
        let now = self.clock.now();
        verify::repair(&self.catalog, &self.base, now, findings, monitor)
    }
}
