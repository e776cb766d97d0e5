//! `pin` and `unpin`: what is to stay, by name and with a reason.

use clap::Args;

use super::args::Output;
use super::context::{Context, Form};
use super::fail::Failure;
use super::render::{self, Align, Column, Record, Rows, count, short_time};
use super::show::Subjects;
use crate::catalog::PinChange;
use crate::model::pin::{Pin, PinName};
use crate::registry::{PinTarget, Registry};

/// Pin artifacts: nothing removes them, by hand or by policy, until the pin is taken away
///
/// Where only --run and --iteration are given, the pin binds those runs and iterations, of every
/// kind, with whatever is recorded there later; else it binds the artifacts that are selected now.
/// One artifact may have several pins. The path of a container stands for what is in it now.
#[derive(Debug, Args)]
pub(super) struct PinCommand {
    /// Name of the pin, such as figure-3
    #[arg(value_name = "NAME", required_unless_present = "list")]
    name: Option<PinName>,
    #[command(flatten)]
    subjects: Subjects,
    /// Why; a new pin must have a reason
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// List the pins
    #[arg(long, short, conflicts_with_all = ["name", "reason"])]
    list: bool,
    #[command(flatten)]
    output: Output,
}

/// Take a pin away, as a whole or from some artifacts
#[derive(Debug, Args)]
pub(super) struct UnpinCommand {
    /// Name of the pin
    #[arg(value_name = "NAME")]
    name: PinName,
    #[command(flatten)]
    subjects: Subjects,
    #[command(flatten)]
    output: Output,
}

impl Record for Pin {
    const NAME: &'static str = "pins";
    const COLUMNS: &'static [Column] = &[
        Column("PIN", Align::Left),
        Column("BINDS", Align::Text),
        Column("REASON", Align::Text),
        Column("BY", Align::Left),
        Column("SINCE", Align::Left),
    ];
    const FIELDS: &'static [&'static str] = &[
        "name",
        "reason",
        "pinned_at",
        "user",
        "host",
        "pid",
        "scopes",
        "artifacts",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.to_string(),
            binds(self),
            self.reason.clone(),
            self.actor.user.clone(),
            short_time(self.pinned_at),
        ]
    }

    fn fields(&self) -> Vec<String> {
        let scopes: Vec<String> = self.scopes.iter().map(ToString::to_string).collect();
        vec![
            self.name.to_string(),
            self.reason.clone(),
            self.pinned_at.to_string(),
            self.actor.user.clone(),
            self.actor.host.clone(),
            self.actor.pid.to_string(),
            scopes.join("; "),
            self.artifacts.to_string(),
        ]
    }
}

/// What a pin binds, in words.
fn binds(pin: &Pin) -> String {
    let mut words: Vec<String> = pin.scopes.iter().map(ToString::to_string).collect();
    // What it bound may have been removed by force, and may come back.
    if pin.artifacts > 0 || words.is_empty() {
        words.push(count(pin.artifacts, "artifact"));
    }
    words.join("; ")
}

/// What a command is about: a selection alone keeps its meaning as runs and iterations.
fn target(
    context: &Context,
    registry: &Registry,
    subjects: &Subjects,
    verb: &str,
) -> Result<PinTarget, Failure> {
    if let Some(filter) = subjects.only_selection() {
        return Ok(PinTarget::Filter(filter));
    }
    let mut artifacts = Vec::new();
    let command = format!("{verb} NAME");
    for chosen in subjects.choose(context, registry, &command, verb)? {
        if chosen.whole_container {
            artifacts.extend(registry.in_container(&chosen.artifact)?);
        } else {
            artifacts.push(chosen.artifact);
        }
    }
    artifacts.sort_by_key(|artifact| artifact.id);
    artifacts.dedup_by_key(|artifact| artifact.id);
    Ok(PinTarget::Artifacts(artifacts))
}

pub(super) fn run(context: &mut Context, command: &PinCommand) -> Result<(), Failure> {
    let form = context.form(command.output);
    let Some(name) = &command.name else {
        let registry = context.open_read_only()?;
        let mut rows = Rows::new::<Pin>(context, form)?;
        for pin in registry.pins()? {
            rows.push(&pin)?;
        }
        return rows.finish("nothing is pinned").map(|_| ());
    };
    let registry = context.open()?;
    let target = target(context, &registry, &command.subjects, "pin")?;
    let change = registry.pin(name, command.reason.as_deref(), &target)?;
    let later = if change.scopes.is_empty() {
        String::new()
    } else {
        let scopes: Vec<String> = change.scopes.iter().map(ToString::to_string).collect();
        format!(
            " in {}, and what is recorded there later",
            scopes.join("; ")
        )
    };
    context.say(&format!(
        "{name} binds {}{later}",
        count(change.artifacts, "artifact")
    ));
    tell(context, &registry, name, &change, form)
}

pub(super) fn run_unpin(context: &mut Context, command: &UnpinCommand) -> Result<(), Failure> {
    let registry = context.open()?;
    let form = context.form(command.output);
    let name = &command.name;
    let target = match command.subjects.is_empty() {
        true => None,
        false => Some(target(context, &registry, &command.subjects, "unpin")?),
    };
    let change = registry.unpin(name, target.as_ref())?;
    if change.whole {
        context.say(&format!(
            "{name} is gone; it bound {}",
            count(change.artifacts, "artifact")
        ));
    } else {
        context.say(&format!(
            "{name} lets {} go",
            count(change.artifacts, "artifact")
        ));
        still_bound(context, &registry, name, target.as_ref())?;
    }
    tell(context, &registry, name, &change, form)
}

/// Says what of a target the pin still binds: a pin on a run binds all that is in it.
fn still_bound(
    context: &Context,
    registry: &Registry,
    name: &PinName,
    target: Option<&PinTarget>,
) -> Result<(), Failure> {
    let artifacts = match target {
        Some(PinTarget::Filter(filter)) => registry.select(filter)?,
        Some(PinTarget::Artifacts(artifacts)) => {
            let mut now = Vec::new();
            for artifact in artifacts {
                now.extend(registry.get(&crate::registry::Target::Id(artifact.id))?);
            }
            now
        }
        None => Vec::new(),
    };
    let is_bound = |pins: &[String]| pins.iter().any(|pin| pin == name.as_str());
    let bound = artifacts
        .iter()
        .filter(|artifact| is_bound(&artifact.pins))
        .count();
    if bound > 0 {
        let hint = context.with_base("see: dalsegno pin --list");
        context.warn(&format!(
            "{name} still binds {} of these, by the runs or iterations that it binds; {hint}",
            count(bound, "artifact")
        ));
    }
    Ok(())
}

/// Writes the pin as it is now to stdout, where it is to be read by programs.
fn tell(
    context: &mut Context,
    registry: &Registry,
    name: &PinName,
    change: &PinChange,
    form: Form,
) -> Result<(), Failure> {
    let pin = registry.pins()?.into_iter().find(|pin| pin.name == *name);
    debug_assert!(pin.is_some() || change.whole);
    match form {
        Form::Json => render::document(context, "pin", &pin),
        Form::Jsonl => {
            let line = render::json(&pin)?;
            context.line(&line)
        }
        Form::Table | Form::Tsv => Ok(()),
    }
}
