//! `show`: everything about some artifacts.

use clap::Args;

use super::args::Output;
use super::context::{Context, Form};
use super::fail::Failure;
use super::render::{Rows, or_dash};
use super::selection::Selection;
use crate::artifact::{Artifact, ArtifactId, Origin};
use crate::registry::{Registry, Target};

/// Which artifacts a command is about.
#[derive(Debug, Args)]
pub(super) struct Subjects {
    /// Paths of artifacts
    #[arg(value_name = "PATH")]
    paths: Vec<std::path::PathBuf>,
    /// Artifact number
    #[arg(long, value_name = "N")]
    id: Vec<i64>,
    #[command(flatten)]
    selection: Selection,
}

impl Subjects {
    /// Finds them. A path or number that is not recorded is an error.
    pub(super) fn find(
        &self,
        context: &Context,
        registry: &Registry,
        command: &str,
    ) -> Result<Vec<Artifact>, Failure> {
        let filter = self.selection.filter();
        if self.paths.is_empty() && self.id.is_empty() && filter.is_all() {
            return Err(Failure::usage(
                format!("nothing is selected to {command}"),
                format!("dalsegno {command} PATH, or with flags such as --run NAME --iteration N"),
            ));
        }
        let paths = self.paths.iter().map(|path| context.target(registry, path));
        let ids = self.id.iter().map(|&id| Target::Id(ArtifactId(id)));
        let mut found = Vec::new();
        for target in paths.chain(ids) {
            let artifact = registry
                .get(&target)?
                .ok_or_else(|| registry.not_recorded(&target))?;
            found.push(artifact);
        }
        if !filter.is_all() {
            let selected = registry.select(&filter)?;
            found.extend(selected);
        }
        Ok(found)
    }
}

/// Show everything about some artifacts
#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    subjects: Subjects,
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(context: &mut Context, command: &Show) -> Result<(), Failure> {
    let registry = context.open_read_only()?;
    let artifacts = command.subjects.find(context, &registry, "show")?;
    let form = context.form(command.output);
    if form == Form::Table {
        for (index, artifact) in artifacts.iter().enumerate() {
            if index > 0 {
                context.line("")?;
            }
            for (name, value) in describe(artifact) {
                context.line(&format!("{name:<12}{}", super::context::escape(&value)))?;
            }
        }
        if artifacts.is_empty() {
            context.say("no artifact is selected");
        }
        return Ok(());
    }
    let mut rows = Rows::new::<Artifact>(context, form)?;
    artifacts
        .iter()
        .try_for_each(|artifact| rows.push(artifact))?;
    rows.finish("").map(|_| ())
}

fn describe(artifact: &Artifact) -> Vec<(&'static str, String)> {
    let size = artifact.size.map_or("? (not counted)".to_owned(), |size| {
        format!("{} in {} files", size.bytes, size.files)
    });
    let origin = match artifact.origin {
        Origin::Recorded => "recorded by a caller",
        Origin::Scanned => "read from its path by a scan",
    };
    vec![
        ("id", artifact.id.to_string()),
        ("run", artifact.key.run().to_string()),
        ("kind", artifact.key.kind().to_string()),
        ("iteration", or_dash(artifact.key.iteration())),
        ("dataset", or_dash(artifact.key.dataset())),
        ("parameters", or_dash(artifact.key.parameters())),
        ("container", artifact.container().to_string()),
        ("array", or_dash(artifact.location().array)),
        ("path", artifact.path().display().to_string()),
        ("state", artifact.state.to_string()),
        ("size", size),
        ("key", origin.to_owned()),
        ("recorded", artifact.recorded_at.to_string()),
        ("written", or_dash(artifact.written_at)),
        ("sealed", or_dash(artifact.sealed_at)),
    ]
}

/// Writes artifacts as rows.
pub(super) fn rows(
    context: &mut Context,
    form: Form,
    artifacts: &[Artifact],
) -> Result<(), Failure> {
    let mut rows = Rows::new::<Artifact>(context, form)?;
    artifacts
        .iter()
        .try_for_each(|artifact| rows.push(artifact))?;
    rows.finish("no artifact is selected").map(|_| ())
}
