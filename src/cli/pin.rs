//! `pin`: protects artifacts from removal, under a name and with a reason.

use std::collections::BTreeSet;

use clap::Args;

use super::context::Context;
use super::fail::Failure;
use super::flags::{Format, Output};
use super::pins::{target, write};
use super::render::{Rows, count};
use super::subjects::{Named, Subjects};
use crate::model::filter::Filter;
use crate::model::pin::{Pin, PinName};
use crate::registry::PinSelection;

/// Pin artifacts, so that no command and no policy removes them until they are unpinned
///
/// With only --run and --iteration, the pin binds those runs and iterations: every kind, and also
/// what is recorded there later. Otherwise it binds the artifacts that are selected now. An
/// artifact may have several pins. The path of a container means what is in it now.
#[derive(Debug, Args)]
pub(super) struct PinCommand {
    /// Name of the pin, such as figure-3
    #[arg(value_name = "NAME", required_unless_present = "list")]
    name: Option<PinName>,
    #[command(flatten)]
    subjects: Subjects,
    /// Reason; required for a new pin
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// List the pins; with a selection, those that bind anything of it
    #[arg(long, short, conflicts_with_all = ["name", "reason"])]
    list: bool,
    #[command(flatten)]
    output: Output,
}

/// Lists the pins, or those that bind anything of what is selected.
fn list(context: &mut Context, subjects: &Subjects, format: Format) -> Result<(), Failure> {
    let registry = context.open_read_only()?;
    let (pins, filter) = match subjects.is_empty() {
        true => (registry.pins()?, None),
        false => match subjects.named(context, &registry, "pin --list", "list the pins of")? {
            Named::Selected(filter) => (registry.pins_on(&filter)?, Some(filter)),
            named @ Named::Each(_) => {
                let found = subjects.find(&registry, &named)?;
                let named: BTreeSet<&String> = found.iter().flat_map(|one| &one.pins).collect();
                let mut pins = registry.pins()?;
                pins.retain(|pin| named.iter().any(|name| *name == pin.name.as_str()));
                (pins, None)
            }
        },
    };
    let mut rows = Rows::new::<Pin>(context, format)?;
    for pin in &pins {
        rows.push(pin)?;
    }
    let nothing = match subjects.is_empty() {
        true => "nothing is pinned",
        false => "nothing of what is selected is pinned",
    };
    rows.finish(nothing)?;
    match filter {
        Some(filter) => context.require_runs(&registry, &filter, ""),
        None => Ok(()),
    }
}

pub(super) fn run(context: &mut Context, command: &PinCommand) -> Result<(), Failure> {
    let format = context.format(command.output);
    // Without a name it is `--list`: the parser requires one of the two.
    let Some(name) = &command.name else {
        return list(context, &command.subjects, format);
    };
    let registry = context.open()?;
    let target = target(context, &registry, &command.subjects, name, "pin")?;
    if let PinSelection::Filter(filter) = &target {
        context.say_excluded(&registry, filter)?;
        // Other names may be those of what is recorded later.
        let runs = Filter::default().runs(filter.runs.clone());
        context.require_runs(&registry, &runs, "nothing was pinned")?;
    }
    let reason = command.reason.as_deref();
    let change = context.waiting("pinning", || registry.pin(name, reason, &target));
    if let (PinSelection::Filter(filter), Err(_)) = (&target, &change) {
        context.say_unmatched(&registry, filter)?;
    }
    let change = change?;
    if let (PinSelection::Filter(filter), 0) = (&target, change.artifacts)
        // A range without an end is of what is to come; other iterations may be mistyped.
        && filter.iterations.iter().all(|range| range.last.is_some())
    {
        context.say_unmatched(&registry, filter)?;
    }
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
    context.purge_due(&registry);
    write(context, &registry, name, &change, format)
}
