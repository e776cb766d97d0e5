//! What the attributes of a node say: the levels of a pyramid, the iterations of a snapshot.

use jiter::{Jiter, JsonValue, Peek};

use super::form::{last, skip};
use crate::model::artifact::MOST_ITERATIONS;

/// Paths of the levels that the attributes of a group name; `None` if it is no pyramid by them.
/// Empty if they say that it is one, and no paths.
///
/// OME-Zarr has `multiscales` in the attributes, from 0.5 on below `ome`; N5 and plain zarr groups
/// have the same list, or `multiScale` alone.
pub(super) fn levels(text: &[u8]) -> Option<Vec<String>> {
    // zarr 3 has attributes below a key of their own, zarr 2 and N5 have not. The first one counts.
    let routes: [&[&str]; 5] = [
        &["attributes", "ome", "multiscales"],
        &["attributes", "multiscales"],
        &["ome", "multiscales"],
        &["multiscales"],
        &["multiScale"],
    ];
    let said = routes.iter().find_map(|route| value_at(text, route))?;
    match &said {
        JsonValue::Bool(false) | JsonValue::Null => None,
        JsonValue::Array(scales) => {
            let mut paths = Vec::new();
            for scale in scales.iter() {
                // One entry that is not understood does not spoil the others.
                let JsonValue::Object(fields) = scale else {
                    continue;
                };
                let Some(JsonValue::Array(datasets)) = last(fields, "datasets") else {
                    continue;
                };
                paths.extend(datasets.iter().filter_map(level_path));
            }
            // Several images of a group may name the same level.
            let mut known = std::collections::HashSet::new();
            paths.retain(|path| known.insert(path.clone()));
            Some(paths)
        }
        _ => Some(Vec::new()),
    }
}

/// The path of a level below its group; `None` if it leads elsewhere.
fn level_path(dataset: &JsonValue<'_>) -> Option<String> {
    let JsonValue::Object(fields) = dataset else {
        return None;
    };
    let Some(JsonValue::Str(path)) = last(fields, "path") else {
        return None;
    };
    // Some programs write `./s0` or `/s0`.
    let path = path.trim_start_matches("./").trim_matches('/');
    let is_below = !path.is_empty()
        // The path comes from the data, and must not lead out of the group.
        && path
            .split('/')
            .all(|name| !matches!(name, "" | "." | "..") && !name.chars().any(char::is_control));
    is_below.then(|| path.to_owned())
}

/// Iterations that the attributes of an array say it holds, ascending: DaCapo appends each snapshot
/// to one array and notes its iteration. At most the newest [`MOST_ITERATIONS`].
pub(super) fn iterations(text: &[u8]) -> Vec<i64> {
    let routes: [&[&str]; 2] = [&["attributes", "iterations"], &["iterations"]];
    let said = routes.iter().find_map(|route| value_at(text, route));
    let Some(JsonValue::Array(values)) = said else {
        return Vec::new();
    };
    let number = |value: &JsonValue<'_>| match value {
        JsonValue::Int(number) => Some(*number),
        _ => None,
    };
    let mut iterations: Vec<i64> = values.iter().filter_map(number).collect();
    iterations.sort_unstable();
    iterations.dedup();
    iterations.split_off(iterations.len().saturating_sub(MOST_ITERATIONS))
}

/// The value that lies at a route of keys; `None` if there is none, or if it cannot be read.
fn value_at<'t>(text: &'t [u8], route: &[&str]) -> Option<JsonValue<'t>> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut json = Jiter::new(text).with_allow_inf_nan();
    let (last, above) = route.split_last()?;
    for step in above {
        enter(&mut json, step)?;
    }
    let mut found = None;
    let mut key = json.next_object().ok()?.map(str::to_owned);
    while let Some(name) = key {
        match name == *last {
            // To the end of the object: of a repeated key the last counts.
            true => found = Some(json.next_value().ok()?),
            false => skip(&mut json).ok()?,
        }
        key = json.next_key().ok()?.map(str::to_owned);
    }
    found
}

/// Goes to the value of the first such key of an object, which must be an object too.
fn enter(json: &mut Jiter<'_>, step: &str) -> Option<()> {
    let mut key = json.next_object().ok()?.map(str::to_owned);
    while let Some(name) = key {
        if name == step {
            return matches!(json.peek().ok()?, Peek::Object).then_some(());
        }
        skip(json).ok()?;
        key = json.next_key().ok()?.map(str::to_owned);
    }
    None
}
