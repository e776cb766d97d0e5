//! `unpin`: removes a pin, entirely or from some artifacts.

use clap::Args;

use super::context::Context;
use super::fail::Failure;
use super::flags::Output;
use super::pins::{target, write};
use super::render::count;
use super::subjects::Subjects;
use crate::model::pin::PinName;
use crate::registry::{PinSelection, Registry, Target};

/// Remove a pin, entirely or from some artifacts
///
/// Without a PATH and without a selection, the pin is removed entirely.
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

pub(super) fn run(context: &mut Context, command: &UnpinCommand) -> Result<(), Failure> {
    let registry = context.open()?;
    let format = context.format(command.output);
    let name = &command.name;
    let target = match command.subjects.is_empty() {
        // A name alone means the whole pin.
        true => None,
        false => Some(target(
            context,
            &registry,
            &command.subjects,
            name,
            "unpin",
        )?),
    };
    if let Some(PinSelection::Filter(filter)) = &target {
        context.say_excluded(&registry, filter)?;
    }
    let change = context.waiting("unpinning", || registry.unpin(name, target.as_ref()))?;
    let is_nothing = !change.whole && change.artifacts == 0 && change.scopes.is_empty();
    if let Some(target) = target.as_ref().filter(|_| is_nothing) {
        let next = "see what each pin binds with: dalsegno pin --list";
        // Of what is bound with its run or iteration it is said how.
        if still_bound(context, &registry, name, Some(target))? {
            return Err(Failure::Nothing("nothing was unpinned".to_owned(), next));
        }
        let undone = format!("{name} binds nothing of it; nothing was unpinned");
        return Err(match target {
            PinSelection::Filter(filter) if !registry.names_any(filter)? => {
                context.nothing_selected(&registry, filter, &undone)?
            }
            _ => Failure::Nothing(undone, next),
        });
    }
    if change.whole {
        context.say(&format!(
            "removed the pin {name}; it bound {}",
            count(change.artifacts, "artifact")
        ));
    } else {
        context.say(&format!(
            "unpinned {} from {name}",
            count(change.artifacts, "artifact")
        ));
        // Only after a part was unpinned: a pin that is gone binds nothing.
        still_bound(context, &registry, name, target.as_ref())?;
    }
    context.purge_due(&registry);
    write(context, &registry, name, &change, format)
}

/// Warns of artifacts that the pin still binds: a pin of a run binds everything in it. Says whether
/// there are any.
fn still_bound(
    context: &Context,
    registry: &Registry,
    name: &PinName,
    target: Option<&PinSelection>,
) -> Result<bool, Failure> {
    let artifacts = match target {
        Some(PinSelection::Filter(filter)) => registry.select(filter)?,
        Some(PinSelection::Artifacts(artifacts)) => {
            // Read again, because the call has changed their pins.
            let mut now = Vec::new();
            for artifact in artifacts {
                now.extend(registry.get(&Target::Id(artifact.id))?);
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
            "{name} still binds {bound} of these, because it binds their runs or iterations; {hint}"
        ));
    }
    Ok(bound > 0)
}
