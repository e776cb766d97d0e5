//! Renaming runs: the face of the protocol.

use super::Registry;
use crate::error::Result;
use crate::model::name::RunName;
use crate::model::progress::Silent;
use crate::ops::remove;
use crate::ops::rename::{self, RenameOptions, RenameReport};
use crate::ops::unmatched;

impl Registry {
    /// Returns what a rename of a run does. Changes nothing.
    ///
    /// # Errors
    /// As [`Registry::rename_run`], but that a run that is written to is no error.
    pub fn plan_rename(&self, run: &RunName, to: &RunName) -> Result<RenameReport> {
        let now = self.clock.now();
        unmatched::require_runs(&self.catalog, std::iter::once(run.as_str()), now)?;
        rename::plan(&self.catalog, &self.base, now, run, to)
    }

    /// Renames a run: its folder, rows, scores, pins and seals, in one transaction. What is in the
    /// trash keeps the old name. The catalog is backed up before, if no backup is younger than a
    /// day.
    ///
    /// # Errors
    /// Nothing has changed then:
    /// - [`Error::BelowRun`](crate::Error::BelowRun) if the name is the path of what is in a run,
    ///   [`Error::NotRecorded`](crate::Error::NotRecorded) if nothing is recorded of the run,
    ///   [`Error::RunFolderGone`](crate::Error::RunFolderGone) if its folder is not there.
    /// - [`Error::RunTaken`](crate::Error::RunTaken) if the new name is taken: on disk, in the
    ///   catalog or in the trash.
    /// - [`Error::RunActive`](crate::Error::RunActive) if data was written within the last hour,
    ///   unless the options allow it.
    /// - [`Error`](crate::Error) if the folder cannot be renamed or the catalog not be written.
    pub fn rename_run(
        &self,
        run: &RunName,
        to: &RunName,
        options: &RenameOptions,
    ) -> Result<RenameReport> {
        let name = std::iter::once(run.as_str());
        unmatched::require_runs(&self.catalog, name, self.clock.now())?;
        let _publishing = self.catalog.publishing();
        let on = self.removing(&Silent);
        // Before the transaction: a backup of a large catalog takes long, and would hold the lock.
        remove::back_up_first(&on)?;
        rename::rename(&on, run, to, options)
    }
}
