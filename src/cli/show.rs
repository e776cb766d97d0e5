//! `show`: everything about some artifacts.

use clap::Args;

use super::args::Output;
use super::context::{Context, Form};
use super::fail::Failure;
use super::history::Shown;
use super::render::{Rows, or_dash, size_text};
use super::selection::Selection;
use crate::model::artifact::{Artifact, ArtifactId, Origin};
use crate::model::filter::Filter;
use crate::ops::remove::Chosen;
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
    /// Finds them; where a path is recorded no more, what was removed from it last.
    fn find_ever(&self, context: &Context, registry: &Registry) -> Result<Vec<Shown>, Failure> {
        let mut found = Vec::new();
        for target in self.targets(context, registry, "show", "show")? {
            let gone = match (registry.get(&target)?, &target) {
                (Some(artifact), _) => {
                    found.push(Shown::Here(Box::new(artifact)));
                    continue;
                }
                (None, Target::Path(path)) => registry.gone_from(path)?.into_iter().next(),
                (None, _) => None,
            };
            let gone = gone.ok_or_else(|| registry.not_recorded(&target))?;
            found.push(Shown::Gone(Box::new(gone)));
        }
        let selected = self.selected(registry)?.into_iter();
        found.extend(selected.map(|artifact| Shown::Here(Box::new(artifact))));
        Ok(found)
    }

    /// Finds them. A path or number that is not recorded is an error.
    pub(super) fn find(
        &self,
        context: &Context,
        registry: &Registry,
        command: &str,
    ) -> Result<Vec<Artifact>, Failure> {
        let mut found = Vec::new();
        for target in self.targets(context, registry, command, command)? {
            let artifact = registry.get(&target)?;
            found.push(artifact.ok_or_else(|| registry.not_recorded(&target))?);
        }
        found.extend(self.selected(registry)?);
        Ok(found)
    }

    /// Finds them for a removal: a container named by path or kind takes along what is in it.
    pub(super) fn choose(
        &self,
        context: &Context,
        registry: &Registry,
        command: &str,
        verb: &str,
    ) -> Result<Vec<Chosen>, Failure> {
        let mut chosen = Vec::new();
        for target in self.targets(context, registry, command, verb)? {
            chosen.extend(registry.choose(&target)?);
        }
        let kinds = self.selection.filter().kinds;
        chosen.extend(self.selected(registry)?.into_iter().map(|artifact| {
            let kind = artifact.key.kind();
            let whole_container = kind.is_container() && kinds.contains(&kind);
            Chosen {
                artifact,
                whole_container,
            }
        }));
        Ok(chosen)
    }

    /// Whether nothing is named and nothing selected.
    pub(super) fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.id.is_empty() && self.selection.filter().is_all()
    }

    /// The selection, where nothing is named besides.
    pub(super) fn only_selection(&self) -> Option<Filter> {
        let filter = self.selection.filter();
        let is_alone = self.paths.is_empty() && self.id.is_empty() && !filter.is_all();
        is_alone.then_some(filter)
    }

    /// Those that are named one by one. Nothing named and nothing selected is a usage error.
    fn targets(
        &self,
        context: &Context,
        registry: &Registry,
        command: &str,
        verb: &str,
    ) -> Result<Vec<Target>, Failure> {
        if self.paths.is_empty() && self.id.is_empty() && self.selection.filter().is_all() {
            return Err(Failure::usage(
                format!("nothing is selected to {verb}"),
                format!("dalsegno {command} PATH, or with flags such as --run NAME --iteration N"),
            ));
        }
        let paths = self.paths.iter().map(|path| context.target(registry, path));
        let paths: Vec<Target> = paths.collect();
        let base = registry.base();
        if paths.iter().any(|target| matches!(target, Target::Path(path) if path.as_os_str().is_empty() || path == base)) {
            return Err(Failure::usage(
                "the base directory itself is no artifact",
                "give the path of an array or of a container below it",
            ));
        }
        let ids = self.id.iter().map(|&id| Target::Id(ArtifactId(id)));
        Ok(paths.into_iter().chain(ids).collect())
    }

    /// Those that the selection flags select; none where there are no flags.
    fn selected(&self, registry: &Registry) -> Result<Vec<Artifact>, Failure> {
        let filter = self.selection.filter();
        if filter.is_all() {
            return Ok(Vec::new());
        }
        Ok(registry.select(&filter)?)
    }
}

/// Show everything about some artifacts
///
/// Of a path that is recorded no more, it shows what was removed from it last, by whom, why, and
/// whether it can come back.
#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    subjects: Subjects,
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(context: &mut Context, command: &Show) -> Result<(), Failure> {
    let registry = context.open_read_only()?;
    let shown = command.subjects.find_ever(context, &registry)?;
    let form = context.form(command.output);
    if form == Form::Table {
        for (index, shown) in shown.iter().enumerate() {
            if index > 0 {
                context.line("")?;
            }
            let mut lines = describe(shown.artifact());
            if let Shown::Gone(_) = shown {
                let state = lines.iter_mut().filter(|(name, _)| *name == "state");
                state.for_each(|(_, value)| *value = format!("removed; it was {value}"));
            }
            lines.extend(shown.lines(context));
            for (name, value) in lines {
                context.line(&format!("{name:<12}{}", super::context::escape(&value)))?;
            }
        }
        if shown.is_empty() {
            context.say("no artifact is selected");
        }
        return Ok(());
    }
    let mut rows = Rows::new::<Shown>(context, form)?;
    shown.iter().try_for_each(|shown| rows.push(shown))?;
    rows.finish("").map(|_| ())
}

fn describe(artifact: &Artifact) -> Vec<(&'static str, String)> {
    let size = artifact.size.map_or("? (not counted)".to_owned(), |size| {
        size_text(size.bytes, size.files)
    });
    let pins = (!artifact.pins.is_empty()).then(|| artifact.pins.join(", "));
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
        ("contents", or_dash(artifact.content_hash)),
        ("owner", artifact.owner.map_or("?".to_owned(), user_name)),
        ("pins", or_dash(pins)),
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

/// The name of a user, or the number where it has none.
pub(super) fn user_name(number: u32) -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(number));
    match user {
        Ok(Some(user)) => user.name,
        _ => number.to_string(),
    }
}
