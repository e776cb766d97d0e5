//! Removed artifacts: what they were, who removed them, and whether they can be restored.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::json;

use super::context::Context;
use super::opening::MOST_LINES;
use super::render::{Column, Record, count, in_sentence, shell_word, size_text};
use crate::model::artifact::Artifact;
use crate::model::name::REGISTRY_DIR;
use crate::model::removal::{Removal, RemovalId, RemovalState};
use crate::ops::restore::RestoreTarget;
use crate::registry::{FormerArtifact, Registry};

/// Prints on stderr what became of a removed artifact.
pub(super) fn say_former(context: &Context, former: &FormerArtifact, older: Option<&Removal>) {
    for line in about_former(context, former, older) {
        context.say(&line);
    }
}

/// What was removed, its size, by whom, why, and whether it can be restored.
fn about_former(
    context: &Context,
    former: &FormerArtifact,
    older: Option<&Removal>,
) -> [String; 2] {
    let FormerArtifact { removed, removal } = former;
    let artifact = &removed.artifact;
    let size = artifact.size.map_or("not counted".to_owned(), |size| {
        size_text(size.bytes, size.files)
    });
    let reason = removal.reason.as_deref();
    let first = format!(
        "{} was removed: {} ({size}), by {}@{} at {} (removal {}){}",
        in_sentence(&artifact.location().path()),
        artifact.key.kind(),
        removal.actor.user,
        removal.actor.host,
        removal.removed_at,
        removal.id,
        reason.map_or(String::new(), |reason| format!(": {reason}")),
    );
    [first, context.with_base(&way_back(former, older))]
}

/// Where the trash has what a removal took, from the base directory.
fn place(removal: &Removal) -> String {
    format!("{REGISTRY_DIR}/trash/{}", removal.id)
}

/// Says where several removed artifacts are, and how each removal is restored.
pub(super) fn say_in_trash(context: &Context, shown: &[Shown]) {
    let mut removals: BTreeMap<&RemovalId, (&Removal, u64)> = BTreeMap::new();
    for shown in shown {
        let Shown::Former(former, _) = shown else {
            continue;
        };
        let removal = &former.removal;
        if removal.state == RemovalState::Kept {
            removals.entry(&removal.id).or_insert((removal, 0)).1 += 1;
        }
    }
    for (id, (removal, artifacts)) in removals.iter().take(MOST_LINES) {
        let actor = &removal.actor;
        let reason = removal.reason.as_deref();
        let reason = reason.map_or(String::new(), |reason| format!(": {reason}"));
        let (them, are) = match artifacts {
            1 => ("it", "is"),
            _ => ("them", "are"),
        };
        context.say(&context.with_base(&format!(
            "{} {are} in the trash, in {}, removed by {}@{} at {}{reason}; restore {them} with: \
             dalsegno restore {}",
            count(*artifacts, "artifact"),
            place(removal),
            actor.user,
            actor.host,
            removal.removed_at,
            shell_word(id.as_str()),
        )));
    }
    let more = removals.len().saturating_sub(MOST_LINES);
    if more > 0 {
        let hint = context.with_base("see: dalsegno trash list");
        context.say(&format!(
            "and {} in the trash; {hint}",
            count(more, "other removal")
        ));
    }
}

impl Context {
    /// What the trash has of a target, and the call of `restore` that brings it back; none if it
    /// has nothing, or cannot be read.
    pub(super) fn in_trash(
        &self,
        registry: &Registry,
        target: &RestoreTarget,
        call: &str,
    ) -> Option<String> {
        let removed = registry.restorable(target).ok()?.len();
        let (are, them) = match removed {
            0 => return None,
            1 => ("is", "it"),
            _ => ("are", "them"),
        };
        Some(self.with_base(&format!(
            "{} of it {are} in the trash; restore {them} with: dalsegno restore {call}",
            count(removed, "artifact")
        )))
    }
}

/// What was last removed from a path, of all that was, the newest first; and, if that cannot be
/// restored, the newest removal before it that can.
pub(super) fn last_removed(all: Vec<FormerArtifact>) -> Option<(FormerArtifact, Option<Removal>)> {
    let mut all = all.into_iter();
    let last = all.next()?;
    let older = match last.can_be_restored() {
        true => None,
        false => all.find(FormerArtifact::can_be_restored),
    };
    Some((last, older.map(|older| older.removal)))
}

/// Whether a removed artifact can be restored, and how; and if not, what was there before.
fn way_back(former: &FormerArtifact, older: Option<&Removal>) -> String {
    let last = way_back_of(former);
    let Some(older) = older else {
        return last;
    };
    let (place, id) = (place(older), shell_word(older.id.as_str()));
    format!(
        "{last}; what was removed from the same path before, at {}, is in the trash, in {place}; \
         restore that with: dalsegno restore {id}",
        older.removed_at
    )
}

fn way_back_of(former: &FormerArtifact) -> String {
    let removal = &former.removal;
    match removal.state {
        RemovalState::Kept => {
            let until = removal.purge_after;
            let until = until.map_or(String::new(), |time| format!(" until {time}"));
            let id = shell_word(removal.id.as_str());
            let place = place(removal);
            format!("it is in the trash, in {place}{until}; restore it with: dalsegno restore {id}")
        }
        RemovalState::Purging => "it is being unlinked; it cannot be restored".to_owned(),
        // What has no item in the trash had no data to move.
        RemovalState::Purged if former.removed.item.is_none() => {
            "it had no data; record it again with: dalsegno record".to_owned()
        }
        RemovalState::Purged => "it has been unlinked; it cannot be restored".to_owned(),
        RemovalState::Restored => {
            "what could be restored of that removal has been restored".to_owned()
        }
    }
}

/// An artifact for `show`: a recorded one, or a removed one.
pub(super) enum Shown {
    Here(Box<Artifact>),
    /// With the newest removal before, if that can be restored and this one cannot.
    Former(Box<FormerArtifact>, Option<Box<Removal>>),
}

impl Shown {
    pub(super) fn artifact(&self) -> &Artifact {
        match self {
            Self::Here(artifact) => artifact,
            Self::Former(former, _) => &former.removed.artifact,
        }
    }

    /// The lines about the removal of a removed artifact; none for a recorded one.
    pub(super) fn lines(&self, context: &Context) -> Vec<(&'static str, String)> {
        let Self::Former(former, older) = self else {
            return Vec::new();
        };
        let removal = &former.removal;
        let actor = &removal.actor;
        vec![
            ("removed", removal.removed_at.to_string()),
            (
                "by",
                format!("{}@{}, pid {}", actor.user, actor.host, actor.pid),
            ),
            (
                "reason",
                removal.reason.clone().unwrap_or_else(|| "-".to_owned()),
            ),
            ("removal", format!("{} ({})", removal.id, removal.state)),
            (
                "way back",
                context.with_base(&way_back(former, older.as_deref())),
            ),
        ]
    }
}

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (former, older) = match self {
            Self::Here(artifact) => return artifact.serialize(serializer),
            Self::Former(former, older) => (former, older),
        };
        let failed = serde::ser::Error::custom::<serde_json::Error>;
        // As a value, because the artifact writes its own fields and two more belong beside them.
        let mut value = serde_json::to_value(self.artifact()).map_err(failed)?;
        // The state at removal, such as present, would read as if the data were still there.
        value["state"] = "removed".into();
        value["removed"] = json!({
            "removal": former.removal.id,
            "removed_at": former.removal.removed_at,
            "user": former.removal.actor.user,
            "host": former.removal.actor.host,
            "pid": former.removal.actor.pid,
            "reason": former.removal.reason,
            "state": former.removal.state,
            "can_be_restored": former.can_be_restored(),
            // Only of the last removal that cannot be restored.
            "older": older.as_ref().map(|older| json!({
                "removal": older.id,
                "removed_at": older.removed_at,
                "user": older.actor.user,
                "host": older.actor.host,
                "pid": older.actor.pid,
                "reason": older.reason,
                "state": older.state,
            })),
        });
        value.serialize(serializer)
    }
}

impl Record for Shown {
    const NAME: &'static str = Artifact::NAME;
    const COLUMNS: &'static [Column] = Artifact::COLUMNS;
    const MINOR: &'static [&'static str] = Artifact::MINOR;
    const FIELDS: &'static [&'static str] = Artifact::FIELDS;

    fn cells(&self) -> Vec<String> {
        self.removed(self.artifact().cells(), "STATE", |column| {
            Self::COLUMNS[column].0
        })
    }

    fn fields(&self) -> Vec<String> {
        self.removed(self.artifact().fields(), "state", |column| {
            Self::FIELDS[column]
        })
    }
}

impl Shown {
    /// Cells in which the state of a removed artifact is `removed`.
    fn removed(
        &self,
        mut cells: Vec<String>,
        state: &str,
        name: impl Fn(usize) -> &'static str,
    ) -> Vec<String> {
        if matches!(self, Self::Former(..)) {
            // By the name of the column, so that a new column before it does no harm.
            for (column, cell) in cells.iter_mut().enumerate() {
                if name(column) == state {
                    *cell = "removed".to_owned();
                }
            }
        }
        cells
    }
}
