//! Operations, and what was removed, in words.

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::super::context::{Context, shell_word};
use super::super::render::{Column, Record, count, size_text};
use crate::model::artifact::Artifact;
use crate::model::operation::{Action, Operation};
use crate::model::pin::PinScope;
use crate::model::removal::RemovalState;
use crate::registry::Gone;

/// What an operation did, and why.
pub(super) fn of(operation: &Operation) -> String {
    let mut parts = Vec::new();
    match (&operation.path, operation.artifacts) {
        (Some(path), 0 | 1) => parts.push(path.clone()),
        (Some(path), artifacts) => parts.push(format!("{path} and {} more", artifacts - 1)),
        (None, _) => {}
    }
    if let Some(detail) = &operation.detail {
        parts.extend(match operation.action {
            Action::Pin => bindings(detail, "binds"),
            Action::Unpin => bindings(detail, "lets go"),
            Action::Score | Action::Unscore => scores(detail),
            Action::Rebuild => rebuilds(detail),
            _ => removals(detail),
        });
    }
    let mut text = parts.join("; ");
    if let Some(reason) = &operation.reason {
        let gap = if text.is_empty() { "" } else { ": " };
        text = format!("{text}{gap}{reason}");
    }
    match text.is_empty() {
        true => "-".to_owned(),
        false => text,
    }
}

/// The entries of a detail: it is one, or a list of them.
fn entries(detail: &Value) -> &[Value] {
    match detail {
        Value::Array(all) => all,
        one => std::slice::from_ref(one),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    }
}

/// What a rebuild began with; a removal that it found in the trash as any other.
fn rebuilds(detail: &Value) -> Vec<String> {
    let mut parts = removals(detail);
    for entry in entries(detail)
        .iter()
        .filter(|entry| entry["cause"].is_string())
    {
        parts.push(match entry["backup"]["at"].as_str() {
            Some(at) => format!("made anew from the backup of {at}"),
            None => "made anew from the disk and the trash alone".to_owned(),
        });
    }
    parts
}

fn removals(detail: &Value) -> Vec<String> {
    let named = |entry: &Value| {
        let id = entry["removal"].as_str()?;
        let state = entry["state"].as_str().unwrap_or_default();
        let state = match state {
            "" => String::new(),
            state => format!(" ({state})"),
        };
        Some(format!("removal {id}{state}"))
    };
    entries(detail).iter().filter_map(named).collect()
}

fn bindings(detail: &Value, verb: &str) -> Vec<String> {
    let of = |entry: &Value| {
        let scopes = entry["scopes"].as_array().into_iter().flatten();
        let mut parts: Vec<String> = scopes
            .map(|scope| {
                let scope = PinScope {
                    run: text(&scope["run"]),
                    first: scope["first"].as_i64(),
                    last: scope["last"].as_i64(),
                };
                scope.to_string()
            })
            .collect();
        let artifacts = entry["artifacts"].as_array().map_or(0, Vec::len);
        if artifacts > 0 {
            parts.push(count(artifacts, "artifact"));
        }
        format!("{} {verb} {}", text(&entry["pin"]), parts.join("; "))
    };
    entries(detail).iter().map(of).collect()
}

fn scores(detail: &Value) -> Vec<String> {
    let entries = entries(detail);
    let Some(first) = entries.first() else {
        return Vec::new();
    };
    let mut place = format!("{}, iteration {}", text(&first["run"]), first["iteration"]);
    for part in ["dataset", "parameters"] {
        if let Some(name) = first[part].as_str() {
            place.push_str(&format!(", {name}"));
        }
    }
    let values = match (&first["before"], &first["after"]) {
        (Value::Null, after) => format!("= {}", text(after)),
        (before, after) => format!("{} → {}", text(before), text(after)),
    };
    let mut parts = vec![format!("{} {values} of {place}", text(&first["metric"]))];
    if entries.len() > 1 {
        parts.push(format!("and {}", count(entries.len() - 1, "more score")));
    }
    parts
}

/// Says on stderr what became of something that was removed.
pub(in super::super) fn tell_of_gone(context: &Context, gone: &Gone) {
    for line in about_gone(context, gone) {
        context.say(&line);
    }
}

/// What was removed, how large it was, by whom, why, and whether it can come back.
fn about_gone(context: &Context, gone: &Gone) -> [String; 2] {
    let Gone { removed, removal } = gone;
    let artifact = &removed.artifact;
    let size = artifact.size.map_or("not counted".to_owned(), |size| {
        size_text(size.bytes, size.files)
    });
    let reason = removal.reason.as_deref();
    let first = format!(
        "{} is gone: {} ({size}), removed by {}@{} at {} (removal {}){}",
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

/// Whether something that was removed can come back, and how.
fn way_back(gone: &Gone) -> String {
    let removal = &gone.removal;
    match removal.state {
        RemovalState::Kept => {
            let until = removal.purge_after;
            let until = until.map_or(String::new(), |time| format!(" until {time}"));
            let id = shell_word(removal.id.as_str());
            format!("it is in the trash{until}; bring it back with: dalsegno restore {id}")
        }
        RemovalState::Purging => "it is being unlinked; it cannot be restored".to_owned(),
        RemovalState::Purged if gone.removed.item.is_none() => {
            "it had no data; record it again with: dalsegno record".to_owned()
        }
        RemovalState::Purged => "it is unlinked; it cannot be restored".to_owned(),
        RemovalState::Restored => "what of that removal could be restored, is".to_owned(),
    }
}

/// An artifact for `show`: one that is there, or one that was removed.
pub(in super::super) enum Shown {
    Here(Box<Artifact>),
    Gone(Box<Gone>),
}

impl Shown {
    pub(in super::super) fn artifact(&self) -> &Artifact {
        match self {
            Self::Here(artifact) => artifact,
            Self::Gone(gone) => &gone.removed.artifact,
        }
    }

    /// What is to be said of one that was removed.
    pub(in super::super) fn lines(&self, context: &Context) -> Vec<(&'static str, String)> {
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
        // Whoever asks whether it is there must not read that it is.
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
    /// Cells in which what is removed has that for its state.
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
