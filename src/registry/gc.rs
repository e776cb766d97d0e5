//! Garbage collection: the face of retention and of its protocol.

use std::collections::BTreeMap;

use super::Registry;
use crate::error::Result;
use crate::model::artifact::ArtifactId;
use crate::model::name::RunName;
use crate::model::progress::Monitor;
use crate::ops::gc::{self, GcOptions, GcPlan, GcReport, GcRequest, PlanFile};
use crate::retention::Explanation;
use crate::retention::NamedPolicy;

impl Registry {
    /// The policies that the configuration names.
    #[must_use]
    pub fn policies(&self) -> &BTreeMap<String, NamedPolicy> {
        &self.policies
    }

    /// Plans what may go. Removes nothing, and looks at no data except DaCapo's best links: see
    /// [`Registry::refresh_for`].
    ///
    /// # Errors
    /// [`Error::Retention`](crate::Error::Retention) if the policy is refused, sizes are unknown
    /// that a limit needs, or a group would be emptied.
    pub fn plan_gc(&self, request: &GcRequest) -> Result<GcPlan> {
        // The plan says where the data would go, so it needs what the configuration makes of that.
        let request = self.with_keep(request);
        gc::plan(&self.catalog, &self.base, &request, self.clock.now())
    }

    /// Explains what every rule of a request says of one artifact; `None` if the request does not
    /// select it, or asks about whole runs.
    ///
    /// # Errors
    /// As [`Registry::plan_gc`].
    pub fn explain_gc(&self, request: &GcRequest, id: ArtifactId) -> Result<Option<Explanation>> {
        let mut request = self.with_keep(request);
        if let Some(artifact) = self.catalog.by_id(id)? {
            request = self.for_run(request, artifact.key.run())?;
        }
        gc::explain(&self.catalog, &self.base, &request, id, self.clock.now())
    }

    /// The request for one run, if that changes nothing for it: a look at the disk then reads that
    /// run alone.
    pub(crate) fn for_run(&self, request: GcRequest, run: &RunName) -> Result<GcRequest> {
        Ok(request.for_run(run, |runs| self.catalog.run_names(runs))?)
    }

    /// A request that knows what `trash.keep` of the configuration says.
    fn with_keep(&self, request: &GcRequest) -> GcRequest {
        request.clone().keep(self.resolve_keep(request.keep))
    }

    /// Carries a plan out, batch by batch; `each` sees the report after every batch. What was
    /// pinned, written or recorded again since the plan was made stays, and is in the report.
    ///
    /// # Errors
    /// [`Error`](crate::Error) with code `plan-elsewhere` or `plan-outdated`; any other if a batch
    /// fails as a whole, or the monitor cancels: then it is as before, and the batches before it
    /// are done.
    pub fn apply_gc(
        &self,
        plan: &PlanFile,
        options: &GcOptions,
        monitor: &dyn Monitor,
        each: impl FnMut(&GcReport),
    ) -> Result<GcReport> {
        let _publishing = self.catalog.publishing();
        gc::apply(&self.removing(monitor), &*self.clock, plan, options, each)
    }
}
