//! Calls on a damaged registry, and the outcomes that are allowed.

use std::path::Path;

use dalsegno::RemoveOptions;
use dalsegno::model::filter::Filter;
use dalsegno::model::progress::Silent;
use dalsegno::retention::{self, Policy};
use dalsegno::{Error, RefreshOptions, RestoreTarget, Result, Target, VerifyOptions};
use dalsegno::{GcOptions, GcRequest, GcRules};

use crate::scene::{
    self, CONTAINER, GC_PATHS, GC_RUN, NOW, Scene, Standing, TRASHED, VICTIM, listed,
};

/// A call. Rebuilds are tested in `rebuild`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// Refreshes and lists.
    List,
    /// Removes an array.
    Remove,
    /// Removes a container with everything in it.
    RemoveContainer,
    /// Makes a plan.
    Gc,
    /// Makes a plan and carries it out.
    GcApply,
    /// Verifies the whole registry.
    Verify,
    /// Verifies and repairs.
    Repair,
    /// Restores everything in the trash.
    Restore,
    /// Empties the trash.
    Empty,
}

use Call::{Empty, Gc, GcApply, List, Remove, RemoveContainer, Repair, Restore, Verify};

pub(crate) const CALLS: [Call; 9] = [
    List,
    Remove,
    RemoveContainer,
    Gc,
    GcApply,
    Verify,
    Repair,
    Restore,
    Empty,
];

/// The outcome of a call.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// Paths of the artifacts that it reports as gone.
    pub(crate) gone: Vec<String>,
    /// The rest of its answer: rows, findings.
    pub(crate) listed: Vec<String>,
}

impl Call {
    /// Makes the call on a base directory.
    pub(crate) fn run(self, base: &Path) -> Result<Answer> {
        let registry = scene::open(base, NOW, false)?;
        let mut answer = Answer::default();
        match self {
            List => {
                let options = RefreshOptions::default();
                registry.refresh(&Filter::default(), options, &Silent)?;
                answer.listed = listed(&registry)?;
            }
            Remove | RemoveContainer => {
                let path = if self == Remove { VICTIM } else { CONTAINER };
                let options = RemoveOptions::default();
                let target = Target::Path(path.into());
                let report = registry.remove_target(&target, &options, &Silent)?;
                if report.moved > 0 {
                    answer.gone.push(path.to_owned());
                }
            }
            Gc | GcApply => {
                registry.refresh(&Filter::default(), RefreshOptions::default(), &Silent)?;
                let plan = registry.plan_gc(&keep_last())?;
                let lines = plan.plan.removed();
                answer.listed = lines.map(|line| line.artifact.location().path()).collect();
                if self == GcApply {
                    let options = GcOptions::default();
                    let report = registry.apply_gc(&plan.file, &options, &Silent, |_| {})?;
                    let stays = |path: &String| {
                        let is_skipped = |skipped: &dalsegno::Skipped| {
                            skipped.path == registry.base().join(path)
                        };
                        report.skipped.iter().any(is_skipped)
                    };
                    answer.gone = answer.listed.clone();
                    answer.gone.retain(|path| !stays(path));
                    assert_eq!(report.artifacts as usize, answer.gone.len());
                }
            }
            Verify | Repair => {
                let options = VerifyOptions::new().indices(true);
                let report = registry.verify(&Filter::default(), options, &Silent)?;
                let findings = report.findings.iter();
                answer.listed = findings.map(|found| found.class.to_string()).collect();
                if self == Repair {
                    registry.repair(&report.findings, &Silent)?;
                }
            }
            Restore => {
                registry.restore(&RestoreTarget::Path(TRASHED.into()))?;
            }
            Empty => {
                let report = registry.empty_trash(None, &Silent)?;
                if report.purge.files > 0 {
                    answer.gone.push(TRASHED.to_owned());
                }
            }
        }
        Ok(answer)
    }

    /// Paths that the call may report as gone.
    fn may_remove(self) -> Vec<&'static str> {
        match self {
            Remove => vec![VICTIM],
            RemoveContainer => vec![CONTAINER],
            GcApply => GC_PATHS.to_vec(),
            Empty => vec![TRASHED],
            _ => Vec::new(),
        }
    }
}

/// Keeps the last iteration of one run.
fn keep_last() -> GcRequest {
    GcRequest::new(
        Filter::default().runs([GC_RUN]),
        GcRules::Policy(Policy::default().keep(retention::KeepRules::default().last(1))),
    )
    .words("keep-last 1")
}

/// Checks that a user can act on the error: its code is known, and it has a hint.
pub(crate) fn assert_clear(error: &Error, name: &str) {
    let (code, hint) = (error.code(), error.hint());
    assert!(Error::CODES.contains(&code), "{name}: {code}: {error}");
    assert!(hint.is_some(), "{name}: {code}: {error}");
    assert_ne!(code, "internal", "{name}: {error}");
}

/// Damages a scene, makes a call, checks what must hold after any damage, and returns the answer.
pub(crate) fn meet(name: &str, damage: &dyn Fn(&Path), call: Call) -> Result<Answer> {
    let scene = Scene::with(damage);
    let before = Standing::of(&scene.base().join(scene::CATALOG));
    let name = format!("{name}, {call:?}");
    let answer = answer_of(&name, &scene, call);
    scene.assert_no_new_catalog(&before, &name);
    answer
}

/// The same in a scene that is already damaged; the catalog may end in any state.
pub(crate) fn answer_of(name: &str, scene: &Scene, call: Call) -> Result<Answer> {
    let answer = call.run(&scene.base());
    match &answer {
        Ok(answer) => {
            let may = call.may_remove();
            let is_asked = |gone: &String| may.contains(&gone.as_str());
            assert!(answer.gone.iter().all(is_asked), "{name}: {answer:?}");
            scene.assert_nothing_lost(&answer.gone, name);
        }
        Err(error) => {
            assert_clear(error, name);
            scene.assert_nothing_lost(&[], name);
        }
    }
    answer
}

/// The error code of an answer; `ok` without an error.
pub(crate) fn code(answer: &Result<Answer>) -> &'static str {
    answer.as_ref().map_or_else(Error::code, |_| "ok")
}

#[test]
fn without_damage_every_call_is_answered_as_asked() {
    for call in CALLS {
        let answer = meet("none", &|_| {}, call).unwrap();
        assert_eq!(answer.gone, call.may_remove(), "{call:?}");
        if matches!(call, Verify | Repair) {
            assert_eq!(answer.listed, Vec::<String>::new());
        }
    }
}
