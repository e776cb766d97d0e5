//! `init`: creates a registry in a base directory.

use std::io::IsTerminal;
use std::path::Path;

use clap::Args;
use serde::Serialize;

use super::context::Context;
use super::fail::Failure;
use super::flags::{Format, Output};
use super::interrupt;
use super::prompt::confirm;
use super::render::{self, shell_word};
use crate::catalog::{self, RegistryDir};
use crate::disk::{LooksLike, looks_like, registry_above, registry_below};
use crate::error::Error;

/// Create a registry in the base directory
///
/// Creates the folder .dalsegno with an empty catalog and touches nothing else. If there is a
/// registry already, nothing happens. The base directory is --base, or the current folder: the one
/// that holds the runs. If it is a run, is below or above another registry, is empty, holds no run
/// or only folders of runs, init asks first; --here answers that. An init is taken back by removing
/// .dalsegno, which touches no run; what is in the trash goes with it. If the base directory is on
/// a network file system, put the catalog on a local disk (--catalog), or make sure that all
/// writers run on this host (--single-host).
///
/// With --catalog, the base directory remembers this host, the keeper. Other hosts answer from a
/// copy that the keeper publishes in .dalsegno, and note what they record for it. If the keeper
/// gets another name, or the catalog is copied to another host, run init --keeper there. A host for
/// which --single-host was given, and which gets another name, does the same.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// All writers run on this host: allows a catalog on a network file system
    #[arg(long)]
    single_host: bool,
    /// This host has the catalog from now on, or is the single host that writes it: it was renamed,
    /// or the catalog given with --catalog was copied to it
    #[arg(long, conflicts_with = "single_host")]
    keeper: bool,
    /// The group of the base directory shares the registry: it may write in .dalsegno, and owns
    /// what is made there
    #[arg(long)]
    shared: bool,
    /// Create it here even if this does not look like the folder that holds the runs
    #[arg(long)]
    here: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Created<'a> {
    base: &'a Path,
    catalog: &'a Path,
    id: String,
    is_new: bool,
}

/// Asks before a registry is made where it is probably not meant.
fn ask(context: &Context, base: &Path) -> Result<(), Failure> {
    // What is there already, or cannot be looked at, the call itself refuses or opens.
    if !base.is_dir() || !matches!(RegistryDir::exists(base), Ok(false)) {
        return Ok(());
    }
    let base = &std::path::absolute(base).unwrap_or_else(|_| base.to_owned());
    let shown = base.display();
    let init = |base: &Path| {
        let base = shell_word(&base.display().to_string());
        format!("create it there with: dalsegno --base {base} init")
    };
    let looks_like = looks_like(base);
    let holds_runs = !matches!(looks_like, LooksLike::Run(_) | LooksLike::InContainer(_));
    let below = holds_runs.then(|| registry_below(base)).flatten();
    let use_that = |base: &Path| {
        let base = shell_word(&base.display().to_string());
        format!("use that one with --base {base}")
    };
    let (why, instead) = match (registry_above(base), below, looks_like) {
        (Some(above), ..) => (
            format!(
                "{shown} is below {}, which has a registry; commands in it would no longer use \
                 that one",
                above.display()
            ),
            use_that(&above),
        ),
        (None, Some(below), _) => (
            format!(
                "{shown} holds {}, which has a registry; what that one records is left out of this \
                 one",
                below.display()
            ),
            use_that(&below),
        ),
        (None, None, LooksLike::Base(group)) if group.as_os_str().is_empty() => return Ok(()),
        (None, None, LooksLike::Base(group)) => (
            format!(
                "the runs that were found are in {}, so their names would begin with {}/",
                base.join(&group).display(),
                group.display()
            ),
            init(&base.join(&group)),
        ),
        (None, None, LooksLike::Empty) => (
            format!("{shown} is empty, and a registry is made in the folder that holds the runs"),
            "give the folder that holds the runs with --base DIR".to_owned(),
        ),
        (None, None, LooksLike::InContainer(container)) => (
            format!("{shown} is in the container {}", container.display()),
            "give the folder that holds the runs with --base DIR".to_owned(),
        ),
        (None, None, LooksLike::Run(name)) => {
            let parent = base.canonicalize().ok();
            let parent = parent.as_deref().and_then(Path::parent).unwrap_or(base);
            (
                format!(
                    "{shown} looks like a run, because it has {name}; a registry is made in the \
                     folder that holds the runs"
                ),
                init(parent),
            )
        }
        (None, None, LooksLike::Other) => (
            format!("no run was found in {shown}: no folder in it has a container or checkpoints"),
            "give the folder that holds the runs with --base DIR".to_owned(),
        ),
    };
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage(
            format!("{why}; nothing was created"),
            format!("{instead}; or create it here all the same with: dalsegno init --here"),
        ));
    }
    let question = format!("{why}\nCreate a registry in {shown} all the same? [y/N] ");
    confirm(context, &question, "nothing was created", &instead)
}

pub(super) fn run(context: &mut Context, command: &Init) -> Result<(), Failure> {
    // Not the nearest parent with a registry, as for other commands: a new one is made here.
    let base = context.global.base.clone().unwrap_or_else(|| ".".into());
    if !command.here {
        ask(context, &base)?;
    }
    // Afterwards: it begins a progress bar, which would be drawn over the question.
    let options = context
        .options()
        .single_host(command.single_host)
        .keeper(command.keeper)
        .shared(command.shared);
    interrupt::changes();
    // What config.toml has lost is taken up again.
    let was_lost = RegistryDir::find(&base).is_ok_and(|folder| folder.lost().is_some());
    let (registry, is_new) = options.create(base)?;
    let format = context.format(command.output);
    // Only these print a result; for people, the messages below say it.
    if matches!(format, Format::Json | Format::Jsonl) {
        let created = Created {
            base: registry.base(),
            catalog: registry.catalog_path(),
            id: registry.id()?,
            is_new,
        };
        render::write_json(context, format, "registry", &created)?;
        return Ok(());
    }
    let base = registry.base().display();
    let artifacts = match is_new || was_lost {
        true => registry.counts()?.artifacts,
        false => 0,
    };
    if artifacts > 0 {
        let next = context.with_base("add what was written since with: dalsegno scan");
        context.say(&format!(
            "took up the catalog {} of {base} again, with {}, pins, scores and history; {next}",
            registry.catalog_path().display(),
            render::count(artifacts, "artifact")
        ));
        return Ok(());
    }
    if is_new {
        let next = context.with_base("add what is on disk with: dalsegno scan");
        context.say(&format!("created a registry in {base}; {next}"));
        if !registry.has_reserve() {
            context.say(
                "its disk is too small, or too full, for a reserve: once that is full, a removal may \
                 fail too; keep some space free",
            );
        }
        let folder = RegistryDir::find(registry.base()).map_err(Error::from)?;
        if let Some(group) = catalog::shared_with(&folder) {
            context.say(&format!(
                "it is shared with {group}: its members may record, seal, pin and score, and remove \
                 and restore what the file system lets them move"
            ));
        }
        return Ok(());
    }
    let catalog = registry.catalog_path().display();
    let folder = RegistryDir::find(registry.base()).map_err(Error::from)?;
    context.say(&match (
        command.keeper,
        command.single_host,
        folder.elsewhere(),
        folder.single_host(),
    ) {
        (true, _, Some(_), _) => {
            format!("the catalog {catalog} of {base} is on this host from now on")
        }
        (true, _, None, Some(host)) => {
            format!("from now on only this host, {host}, writes the catalog of {base}")
        }
        (true, _, None, None) => format!(
            "the catalog of {base} is in it, for all hosts that mount it; nothing was changed"
        ),
        (false, true, _, Some(host)) => {
            let hint = context.with_base(
                "if another host is to be that one from now on, run there: dalsegno init \
                     --keeper",
            );
            format!("{base} already has a registry, which only host {host} writes; {hint}")
        }
        (false, true, _, None) => format!(
            "{base} already has a registry, which was made without --single-host; nothing was \
                 changed"
        ),
        (false, false, ..) => format!("{base} already has a registry"),
    });
    Ok(())
}
