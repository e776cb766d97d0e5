//! Operations in words.

use serde_json::Value;

use crate::cli::render::count;
use crate::model::operation::{Action, Operation};
use crate::model::pin::PinScope;

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
