//! Removed artifacts: what they were, who removed them, and whether they can be restored.

use serde::{Serialize, Serializer};
use serde_json::json;

use super::context::Context;
use super::render::{Column, Record, shell_word, size_text};
use crate::model::artifact::Artifact;
use crate::model::removal::RemovalState;
use crate::registry::Gone;

/// Prints on stderr what became of a removed artifact.
pub(super) fn say_gone(context: &Context, gone: &Gone) {
    for line in about_gone(context, gone) {
        context.say(&line);
    }
}

/// What was removed, its size, by whom, why, and whether it can be restored.
fn about_gone(context: &Context, gone: &Gone) -> [String; 2] {
    let Gone { removed, removal } = gone;
    let artifact = &removed.artifact;
    let size = artifact.size.map_or("not counted".to_owned(), |size| {
        size_text(size.bytes, size.files)
    });
    let reason = removal.reason.as_deref();
    let first = format!(
        "{} was removed: {} ({size}), by {}@{} at {} (removal {}){}",
        artifact.location().path(),
        artifact.key.kind(),
        removal.actor.user,
        removal.actor.host,
        removal.removed_at,
        removal.id,
        reason.map_or(String::new(), |reason| format!(": {reason}")),
    );
    [first, context.with_base(&way_back(gone))]
}

/// Whether a removed artifact can be restored, and how.
fn way_back(gone: &Gone) -> String {
    let removal = &gone.removal;
    match removal.state {
        RemovalState::Kept => {
            let until = removal.purge_after;
            let until = until.map_or(String::new(), |time| format!(" until {time}"));
            let id = shell_word(removal.id.as_str());
            format!("it is in the trash{until}; restore it with: dalsegno restore {id}")
        }
        RemovalState::Purging => "it is being unlinked; it cannot be restored".to_owned(),
        RemovalState::Purged if gone.removed.item.is_none() => {
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
    Gone(Box<Gone>),
}

impl Shown {
    pub(super) fn artifact(&self) -> &Artifact {
        match self {
            Self::Here(artifact) => artifact,
            Self::Gone(gone) => &gone.removed.artifact,
        }
    }

    /// The lines about the removal of a removed artifact; none for a recorded one.
    pub(super) fn lines(&self, context: &Context) -> Vec<(&'static str, String)> {
        let Self::Gone(gone) = self else {
            return Vec::new();
        };
        let removal = &gone.removal;
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
            ("way back", context.with_base(&way_back(gone))),
        ]
    }
}

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let gone = match self {
            Self::Here(artifact) => return artifact.serialize(serializer),
            Self::Gone(gone) => gone,
        };
        let failed = serde::ser::Error::custom::<serde_json::Error>;
        let mut value = serde_json::to_value(self.artifact()).map_err(failed)?;
        // The state at removal, such as present, would read as if the data were still there.
        value["state"] = "removed".into();
        value["removed"] = json!({
            "removal": gone.removal.id,
            "removed_at": gone.removal.removed_at,
            "user": gone.removal.actor.user,
            "host": gone.removal.actor.host,
            "pid": gone.removal.actor.pid,
            "reason": gone.removal.reason,
            "state": gone.removal.state,
            "can_be_restored": gone.can_be_restored(),
        });
        value.serialize(serializer)
    }
}

impl Record for Shown {
    const NAME: &'static str = Artifact::NAME;
    const COLUMNS: &'static [Column] = Artifact::COLUMNS;
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
        if matches!(self, Self::Gone(_)) {
            for (column, cell) in cells.iter_mut().enumerate() {
                if name(column) == state {
                    *cell = "removed".to_owned();
                }
            }
        }
        cells
    }
}
