//! `gc --explain`: what every rule says about one artifact.

use std::path::{Path, PathBuf};

use super::plan::word;
use crate::cli::context::Context;
use crate::cli::fail::Failure;
use crate::cli::flags::{Format, Output};
use crate::cli::render::{self, escape, unbroken};
use crate::error::Error;
use crate::model::artifact::Artifact;
use crate::ops::gc::GcRequest;
use crate::registry::{Registry, Target};
use crate::retention::{Explanation, GroupKey};

/// Shows the decision about one artifact, and what every rule says about it.
pub(super) fn explain(
    context: &mut Context,
    registry: &Registry,
    request: &GcRequest,
    path: &Path,
    output: Output,
) -> Result<(), Failure> {
    let found = artifact(context, registry, path)?;
    let path = relative(context, registry, path)?;
    let target = Target::Path(path.clone());
    let artifact = found.ok_or_else(|| registry.not_recorded(&target))?;
    let explanation = context.waiting("planning", || {
        match registry.explain_gc(request, artifact.id)? {
            Some(explanation) => Ok(Some(explanation)),
            None => explain_by_plan(registry, request, &path),
        }
    })?;
    let format = context.format(output);
    let Some(explanation) = explanation else {
        context.say(&format!(
            "{} is not selected, or not present, so it stays",
            artifact.path().display()
        ));
        return match format {
            // Null, so that programs find the field in any case.
            Format::Json => render::document(context, "explanation", &None::<Explanation>),
            _ => Ok(()),
        };
    };
    if render::write_json(context, format, "explanation", &explanation)? {
        return Ok(());
    }
    let mut lines = vec![
        unbroken(&artifact.path().display().to_string()),
        format!("decision    {}", word(explanation.line.decision)),
    ];
    // The heading is for the first of them; the others are indented as far.
    let heads = std::iter::once("because     ").chain(std::iter::repeat("            "));
    lines.extend(
        explanation
            .line
            .reasons
            .iter()
            .zip(heads)
            .map(|(reason, head)| format!("{head}{reason}")),
    );
    let heads = std::iter::once("rules       ").chain(std::iter::repeat("            "));
    lines.extend(
        explanation
            .verdicts
            .iter()
            .zip(heads)
            .map(|(verdict, head)| format!("{head}{verdict}")),
    );
    lines.push(format!(
        "group       {}: {} kept, {} removed",
        explanation.group, explanation.group_kept, explanation.group_removed
    ));
    lines
        .iter()
        .try_for_each(|line| context.folded_line(&escape(line), 12))
}

/// The artifact that is asked about, if it is recorded.
pub(super) fn artifact(
    context: &Context,
    registry: &Registry,
    path: &Path,
) -> Result<Option<Artifact>, Failure> {
    let path = relative(context, registry, path)?;
    Ok(registry.get(&Target::Path(path))?)
}

/// What a plan for whole runs says about an artifact; such a plan has no verdicts of rules.
fn explain_by_plan(
    registry: &Registry,
    request: &GcRequest,
    path: &Path,
) -> Result<Option<Explanation>, Error> {
    // The whole plan, because a run is judged among all others.
    let plan = registry.plan_gc(request)?;
    let Some(line) = plan.line_at(path) else {
        return Ok(None);
    };
    let group = GroupKey::from(&line.artifact.key);
    let of_group = plan
        .plan
        .lines
        .iter()
        .filter(|line| GroupKey::from(&line.artifact.key) == group);
    let removed = of_group.clone().filter(|line| line.is_removed()).count();
    let kept = of_group.count() - removed;
    Ok(Some(Explanation {
        verdicts: Vec::new(),
        group,
        group_kept: kept as u64,
        group_removed: removed as u64,
        line: line.clone(),
    }))
}

/// The path of an artifact that was given on the command line, relative to the base directory.
fn relative(context: &Context, registry: &Registry, path: &Path) -> Result<PathBuf, Failure> {
    let target = context.target(registry.base(), path);
    match &target {
        Target::Path(found) => Ok(found
            .strip_prefix(registry.base())
            .unwrap_or(found)
            .to_path_buf()),
        _ => Err(registry.not_recorded(&target).into()),
    }
}
