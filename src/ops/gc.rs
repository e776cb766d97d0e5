//! Garbage collection: a plan of what may go, and carrying it out.
//!
//! [`GcRequest`] says by which policy and of what; the answer is a [`GcPlan`], which removes
//! nothing. What it would remove can be kept as a file, [`PlanFile`], and carried out later.
//!
//! # Carrying out
//! A plan is carried out as it was shown: the policy is not asked again. It is refused as a whole
//! where it belongs to another registry, or where anything was restored since it was made. Each of
//! its artifacts is looked at again, once before and once within the transaction that removes it:
//! what was pinned, written or recorded anew since stays, and is reported.
//!
//! # Batches
//! Artifacts go in batches, each one removal of its own, so that a stop in the middle leaves whole
//! removals and no lock is held for long. A container that goes whole is never divided, because
//! one rename takes it; else a batch has at most a thousand artifacts.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::catalog::Catalog;
use crate::error::Error;
use crate::model::artifact::{Artifact, ArtifactId, Origin, State};
use crate::model::clock::Timestamp;
use crate::model::content::ContentHash;
use crate::model::filter::Filter;
use crate::model::key::{Key, Kind};
use crate::model::layout;
use crate::model::removal::{RemovalId, TrashKeep};
use crate::model::size::{ByteCount, Size, Total};
use crate::ops::remove::{
    BackupFailure, Binding, Chosen, RemovalPlan, RemovalReport, RemoveOptions, Skipped,
};
use crate::retention::{Decision, NamedPolicy, Plan, PlanLine, Policy, Reason, RunPolicy};
use crate::store::{Base, PurgeReport};

/// Artifacts of one removal, where no container goes whole.
const BATCH: usize = 1000;

/// What a file with a plan calls itself.
const FORMAT: &str = "dalsegno-plan";
/// Version of such files.
const VERSION: u32 = 1;

/// By which rules something may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GcRules {
    /// By iteration, kind and dataset of each run.
    Policy(Policy),
    /// By a policy that the configuration names.
    Named(NamedPolicy),
    /// Whole runs, by their newest artifacts.
    Runs(RunPolicy),
}

/// A question for a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GcRequest {
    /// What is asked about: runs, datasets, parameters, owners. Kinds, iterations and age stand in
    /// the rules; those of the filter are not looked at, but for the kinds where whole runs go.
    pub of: Filter,
    /// By which rules.
    pub rules: GcRules,
    /// Whether best links of DaCapo keep nothing.
    pub ignore_best_links: bool,
    /// The rules in words, for whoever reads the plan later.
    pub words: String,
}

/// A plan, and what it must know to be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GcPlan {
    /// What stays, what goes, and why.
    pub plan: Plan,
    /// What goes, as it can be carried out or kept as a file.
    pub file: PlanFile,
}

/// What a plan removes, as a file has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanFile {
    format: String,
    version: u32,
    /// Id of the plan.
    pub id: String,
    /// Id of the registry that it belongs to.
    pub registry: String,
    /// When it was made.
    pub made_at: Timestamp,
    /// The rules in words.
    pub policy: String,
    /// Whether best links of DaCapo keep nothing.
    pub ignore_best_links: bool,
    /// How many artifacts had ever been restored by then, and when the last was.
    restores: (u64, Option<Timestamp>),
    /// What goes.
    pub items: Vec<PlanItem>,
}

/// An artifact that a plan removes, as it was when the plan was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanItem {
    /// Number.
    pub id: ArtifactId,
    /// What it is.
    pub key: Key,
    state: State,
    origin: Origin,
    bytes: Option<u64>,
    files: Option<u64>,
    recorded_at: Timestamp,
    written_at: Option<Timestamp>,
    sealed_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_hash: Option<ContentHash>,
    /// Why it goes.
    pub reasons: Vec<String>,
}

impl PlanItem {
    fn new(line: &PlanLine) -> Self {
        let artifact = &line.artifact;
        Self {
            id: artifact.id,
            key: artifact.key.clone(),
            state: artifact.state,
            origin: artifact.origin,
            bytes: artifact.size.map(|size| size.bytes.0),
            files: artifact.size.map(|size| size.files),
            recorded_at: artifact.recorded_at,
            written_at: artifact.written_at,
            sealed_at: artifact.sealed_at,
            content_hash: artifact.content_hash,
            reasons: line.reasons.iter().map(ToString::to_string).collect(),
        }
    }

    /// The artifact as it was when the plan was made.
    fn artifact(&self, base: &Base) -> Artifact {
        let size = self.bytes.zip(self.files).map(|(bytes, files)| Size {
            bytes: ByteCount(bytes),
            files,
        });
        Artifact {
            id: self.id,
            key: self.key.clone(),
            state: self.state,
            origin: self.origin,
            size,
            recorded_at: self.recorded_at,
            written_at: self.written_at,
            sealed_at: self.sealed_at,
            content_hash: self.content_hash,
            owner: None,
            pins: Vec::new(),
            base: base.path().clone(),
        }
    }
}

impl PlanFile {
    /// Reads a plan that was kept as text.
    ///
    /// # Errors
    /// [`Error::Plan`] where the text is no plan of this version.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let invalid = |detail: String| Error::Plan { detail };
        let value: serde_json::Value = serde_json::from_str(text)
            .map_err(|error| invalid(format!("it cannot be read as JSON: {error}")))?;
        let field = |name: &str| value.get(name).cloned().unwrap_or_default();
        if field("format") != FORMAT {
            return Err(invalid("it is another kind of file".to_owned()));
        }
        if field("version") != VERSION {
            return Err(invalid(format!(
                "it has version {}; this program reads version {VERSION}",
                field("version")
            )));
        }
        serde_json::from_value(value).map_err(|error| invalid(error.to_string()))
    }

    /// The plan as text, to be kept.
    ///
    /// # Errors
    /// [`Error::Internal`] where it cannot be written as JSON.
    pub fn text(&self) -> Result<String, Error> {
        serde_json::to_string_pretty(self).map_err(|error| Error::Internal {
            detail: error.to_string(),
        })
    }

    /// What the arrays and checkpoints of the plan take, as far as they were counted.
    #[must_use]
    pub fn total(&self) -> Total {
        let mut total = Total::default();
        let takes_space =
            |item: &&PlanItem| item.state == State::Present && !item.key.kind().is_container();
        for item in self.items.iter().filter(takes_space) {
            let size = item.bytes.zip(item.files);
            total.add(size.map(|(bytes, files)| Size {
                bytes: ByteCount(bytes),
                files,
            }));
        }
        total
    }
}

/// Makes of a plan what can be carried out.
pub(crate) fn file_of(
    catalog: &Catalog,
    plan: &Plan,
    request: &GcRequest,
    id: String,
    now: Timestamp,
) -> Result<PlanFile, Error> {
    Ok(PlanFile {
        format: FORMAT.to_owned(),
        version: VERSION,
        id,
        registry: catalog.registry_id()?,
        made_at: now,
        policy: request.words.clone(),
        ignore_best_links: request.ignore_best_links,
        restores: catalog.restores()?,
        items: plan.removed().map(PlanItem::new).collect(),
    })
}

/// How a plan is carried out.
#[derive(Debug, Clone, Default)]
pub struct GcOptions {
    /// Why; is remembered. Without, the plan and its rules are.
    pub reason: Option<String>,
    /// How long the data can be restored.
    pub keep: TrashKeep,
}

impl GcOptions {
    pub(crate) fn removing(&self, plan: &PlanFile) -> RemoveOptions {
        let reason = || format!("gc, plan {}: {}", plan.id, plan.policy);
        RemoveOptions {
            reason: Some(self.reason.clone().unwrap_or_else(reason)),
            keep: self.keep,
            keep_going: true,
            force_pinned: false,
            ignore_best_links: plan.ignore_best_links,
            unchanged: true,
        }
    }
}

/// What carrying out a plan did.
#[derive(Debug, Default, Serialize)]
pub struct GcReport {
    /// Id of the plan.
    pub plan: String,
    /// Its removals, in their order.
    pub removals: Vec<RemovalId>,
    /// Number of artifacts that are gone.
    pub artifacts: u64,
    /// Bytes and files of what is gone, as far as they were counted.
    #[serde(flatten)]
    pub total: Total,
    /// Number of artifacts whose data was missing.
    pub missing: u64,
    /// What was left out.
    pub skipped: Vec<Skipped>,
    /// What the purges did; none where the data is kept in the trash.
    pub purge: Option<PurgeReport>,
    /// Why the catalog could not be backed up before, where that was due.
    pub backup_failed: Option<BackupFailure>,
}

impl GcReport {
    pub(crate) fn add(&mut self, removal: RemovalReport) {
        self.removals.extend(removal.removal);
        self.artifacts += removal.artifacts.len() as u64;
        self.total.merge(removal.total);
        self.missing += removal.missing.len() as u64;
        self.skipped.extend(removal.skipped);
        if let Some(purge) = removal.purge {
            match &mut self.purge {
                Some(all) => all.merge(purge),
                None => self.purge = Some(purge),
            }
        }
    }
}

/// Refuses a plan that does not fit this registry any more.
///
/// # Errors
/// [`Error::PlanElsewhere`], [`Error::PlanOutdated`].
pub(crate) fn check(catalog: &Catalog, plan: &PlanFile) -> Result<(), Error> {
    let registry = catalog.registry_id()?;
    if plan.registry != registry {
        return Err(Error::PlanElsewhere {
            id: plan.id.clone(),
            registry: plan.registry.clone(),
        });
    }
    let restores = catalog.restores()?;
    if restores != plan.restores {
        return Err(Error::PlanOutdated {
            id: plan.id.clone(),
            restored_at: restores.1.unwrap_or(plan.made_at),
        });
    }
    Ok(())
}

/// The artifacts of a plan that can still go, in batches. Those that cannot are told.
///
/// # Errors
/// [`Error`] of the catalog.
pub(crate) fn batches(
    catalog: &Catalog,
    base: &Base,
    plan: &PlanFile,
    options: &RemoveOptions,
    skipped: &mut Vec<Skipped>,
) -> Result<Vec<Vec<Chosen>>, Error> {
    let mut binding = Binding::new(base, options);
    let mut containers: BTreeMap<String, Vec<Chosen>> = BTreeMap::new();
    for item in &plan.items {
        let planned = item.artifact(base);
        match still(catalog, &mut binding, &planned) {
            Ok(()) => {
                let chosen = Chosen {
                    artifact: planned,
                    whole_container: false,
                };
                let container = layout::canonical_location(&item.key).container;
                containers.entry(container).or_default().push(chosen);
            }
            Err(error) if error.ends_all() => return Err(error),
            Err(error) => skipped.push(Skipped {
                path: planned.path(),
                code: error.code(),
                reason: error.to_string(),
            }),
        }
    }
    let mut batches = Vec::new();
    let mut batch = Vec::new();
    for (container, chosen) in containers {
        let is_files = chosen
            .first()
            .is_some_and(|chosen| chosen.artifact.key.kind() == Kind::Checkpoint);
        let is_whole =
            !is_files && catalog.count_in_container(&container, chosen.len() + 1)? == chosen.len();
        let chosen = match is_whole {
            true => chosen,
            false => without_container(catalog, &container, chosen, skipped)?,
        };
        if is_whole {
            batch.extend(chosen);
        } else {
            let mut chosen = chosen.into_iter().peekable();
            while chosen.peek().is_some() {
                let room = BATCH.saturating_sub(batch.len());
                batch.extend(chosen.by_ref().take(room));
                if batch.len() >= BATCH {
                    batches.push(std::mem::take(&mut batch));
                }
            }
        }
        if batch.len() >= BATCH {
            batches.push(std::mem::take(&mut batch));
        }
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    Ok(batches)
}

/// What of a container can go where something that is recorded in it stays: not the container.
fn without_container(
    catalog: &Catalog,
    container: &str,
    chosen: Vec<Chosen>,
    skipped: &mut Vec<Skipped>,
) -> Result<Vec<Chosen>, Error> {
    let is_container = |chosen: &Chosen| chosen.artifact.key.kind().is_container();
    let (outer, inner): (Vec<Chosen>, Vec<Chosen>) = chosen.into_iter().partition(is_container);
    if outer.is_empty() {
        return Ok(inner);
    }
    let goes: HashSet<ArtifactId> = inner
        .iter()
        .chain(&outer)
        .map(|chosen| chosen.artifact.id)
        .collect();
    let recorded = catalog.in_container(container)?;
    let stays = recorded.iter().find(|known| !goes.contains(&known.id));
    for outer in outer {
        let path = outer.artifact.path();
        let inner = stays.map_or_else(|| path.clone(), Artifact::path);
        let error = Error::Nested { outer: path, inner };
        skipped.push(Skipped {
            path: outer.artifact.path(),
            code: error.code(),
            reason: error.to_string(),
        });
    }
    Ok(inner)
}

/// Takes out of a batch the containers that hold what the registry does not know: the removal that
/// was planned for it says what that is.
pub(crate) fn leave_occupied(
    base: &Base,
    removal: &RemovalPlan,
    batch: &mut Vec<Chosen>,
    skipped: &mut Vec<Skipped>,
) -> bool {
    let before = batch.len();
    batch.retain(|chosen| {
        let path = chosen.artifact.location().path();
        let stranger = removal.stays.iter().find(|stays| stays.starts_with(&path));
        let Some(stranger) = stranger.filter(|_| chosen.artifact.key.kind().is_container()) else {
            return true;
        };
        let error = Error::Nested {
            outer: chosen.artifact.path(),
            inner: base.path().join(stranger),
        };
        skipped.push(Skipped {
            path: chosen.artifact.path(),
            code: error.code(),
            reason: format!("{error}; the registry does not know it"),
        });
        false
    });
    batch.len() < before
}

/// Lets the containers of a plan stay in which something that is recorded stays.
///
/// # Errors
/// [`Error`] of the catalog.
pub(crate) fn hold_containers(catalog: &Catalog, plan: &mut Plan) -> Result<(), Error> {
    let container = |line: &PlanLine| layout::canonical_location(&line.artifact.key).container;
    let mut going: HashMap<String, usize> = HashMap::new();
    let mut staying: HashMap<String, Vec<Reason>> = HashMap::new();
    for line in &plan.lines {
        match line.decision {
            Decision::Remove => *going.entry(container(line)).or_default() += 1,
            Decision::Keep => {
                let reasons = staying.entry(container(line)).or_default();
                for reason in &line.reasons {
                    if !reasons.contains(reason) {
                        reasons.push(reason.clone());
                    }
                }
            }
        }
    }
    for line in &mut plan.lines {
        if line.decision == Decision::Keep || !line.artifact.key.kind().is_container() {
            continue;
        }
        let path = container(line);
        let count = going.get(&path).copied().unwrap_or_default();
        let reasons = match staying.remove(&path) {
            Some(reasons) => reasons,
            None if catalog.count_in_container(&path, count + 1)? > count => vec![Reason {
                rule: "no-rule",
                setting: None,
                detail: "something is recorded in it that was not selected".to_owned(),
            }],
            None => continue,
        };
        line.decision = Decision::Keep;
        line.reasons = reasons;
    }
    Ok(())
}

/// Refuses an artifact that is not as it was planned.
fn still(catalog: &Catalog, binding: &mut Binding<'_>, planned: &Artifact) -> Result<(), Error> {
    match catalog.by_id(planned.id)? {
        Some(now) if now.key == planned.key => binding.check(planned, &now),
        Some(_) => Err(Error::ChangedSince {
            path: planned.path(),
            what: "recorded anew",
        }),
        None => match catalog.at(&layout::canonical_location(&planned.key))? {
            Some(_) => Err(Error::ChangedSince {
                path: planned.path(),
                what: "recorded anew",
            }),
            None => Err(Error::ChangedSince {
                path: planned.path(),
                what: "removed",
            }),
        },
    }
}

/// The line of the artifact at a path relative to the base directory.
#[must_use]
pub fn line_at<'a>(plan: &'a Plan, path: &Path) -> Option<&'a PlanLine> {
    let is_it = |line: &&PlanLine| Path::new(&line.artifact.location().path()) == path;
    plan.lines.iter().find(is_it)
}

/// Whether a line goes.
#[must_use]
pub fn goes(line: &PlanLine) -> bool {
    line.decision == Decision::Remove
}
