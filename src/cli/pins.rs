//! Shared by `pin` and `unpin`: pins as rows, and the artifacts that they bind.

use super::context::Context;
use super::fail::Failure;
use super::flags::Format;
use super::render::{self, Align, Column, Record, count, shell_word, short_time};
use super::subjects::{Named, Subjects};
use crate::catalog::PinChange;
use crate::model::pin::{Pin, PinName};
use crate::registry::{PinSelection, Registry};

impl Record for Pin {
    const NAME: &'static str = "pins";
    const COLUMNS: &'static [Column] = &[
        Column("PIN", Align::Left),
        Column("BINDS", Align::Text),
        Column("REASON", Align::Prose),
        Column("BY", Align::Left),
        Column("SINCE", Align::Left),
    ];
    const MINOR: &'static [&'static str] = &["BY", "SINCE"];
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

/// The runs, iterations and artifacts that a pin binds, as text.
fn binds(pin: &Pin) -> String {
    let mut words: Vec<String> = pin.scopes.iter().map(ToString::to_string).collect();
    // A pin without artifacts is still shown: theirs may have been removed by force and be
    // restored.
    if pin.artifacts > 0 || words.is_empty() {
        words.push(count(pin.artifacts, "artifact"));
    }
    words.join("; ")
}

/// What to pin or unpin. A selection alone stays a filter, so that a pin of runs and iterations
/// also binds what is recorded there later.
pub(super) fn target(
    context: &Context,
    registry: &Registry,
    subjects: &Subjects,
    name: &PinName,
    verb: &str,
) -> Result<PinSelection, Failure> {
    let command = format!("{verb} {}", shell_word(name.as_str()));
    Ok(match subjects.named(context, registry, &command, verb)? {
        Named::Selected(filter) => PinSelection::Filter(*filter),
        Named::Each(targets) => registry.to_pin(&targets)?,
    })
}

/// Writes the pin as it is now to stdout, if JSON was asked for.
pub(super) fn write(
    context: &mut Context,
    registry: &Registry,
    name: &PinName,
    change: &PinChange,
    format: Format,
) -> Result<(), Failure> {
    // Read again: the change has only what is new, and the document shows the whole pin.
    let pin = registry.pins()?.into_iter().find(|pin| pin.name == *name);
    debug_assert!(pin.is_some() || change.whole);
    render::write_json(context, format, "pin", &pin)?;
    Ok(())
}
