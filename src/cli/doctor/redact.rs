//! `doctor --redact`: takes paths and the names of users and hosts out of a report.

use serde_json::Value;

/// Replaces the catalog, the base directory, the home directory, the host and the user.
pub(super) fn redact(report: &mut Value) {
    let text = |pointer: &str| report.pointer(pointer).and_then(Value::as_str);
    let variable = |name| std::env::var(name).ok();
    let mut words: Vec<(String, &str)> = Vec::new();
    let mut hide = |found: Option<String>, word| {
        words.extend(
            found
                // The base directory `/`, or a host of one letter, would be replaced in every word.
                .filter(|found| found.len() > 1)
                .map(|found| (found, word)),
        );
    };
    hide(text("/base/path").map(str::to_owned), "[BASE]");
    hide(text("/catalog/path").map(str::to_owned), "[CATALOG]");
    hide(text("/config/catalog.path").map(str::to_owned), "[CATALOG]");
    hide(variable("DALSEGNO_BASE"), "[BASE]");
    hide(variable("DALSEGNO_CATALOG"), "[CATALOG]");
    hide(variable("HOME"), "[HOME]");
    hide(text("/machine/host").map(str::to_owned), "[HOST]");
    hide(text("/config/catalog.host").map(str::to_owned), "[HOST]");
    hide(
        text("/config/catalog.single-host").map(str::to_owned),
        "[HOST]",
    );
    // A catalog in the base directory keeps its path below [BASE], which says more.
    let base = words.first().cloned().filter(|(_, word)| *word == "[BASE]");
    if let Some((base, _)) = base {
        words.retain(|(path, word)| *word != "[CATALOG]" || !path.starts_with(&base));
    }
    // Longest first, because one path may be the beginning of another.
    words.sort_by_key(|(found, _)| std::cmp::Reverse(found.len()));
    let user = [variable("USER"), variable("LOGNAME")]
        .into_iter()
        .flatten();
    let users: Vec<String> = user.filter(|user| !user.is_empty()).collect();
    replace(report, &words, &users);
}

fn replace(value: &mut Value, words: &[(String, &str)], users: &[String]) {
    match value {
        Value::String(text) => {
            for (found, word) in words {
                *text = text.replace(found, word);
            }
            // A user name may be an ordinary word, so it is replaced only as part of a path.
            if text.contains('/') {
                let is_user = |part: &str| users.iter().any(|user| user == part);
                let parts = text.split('/');
                let parts = parts.map(|part| if is_user(part) { "[USER]" } else { part });
                *text = parts.collect::<Vec<_>>().join("/");
            }
        }
        Value::Array(values) => values
            .iter_mut()
            .for_each(|value| replace(value, words, users)),
        Value::Object(fields) => fields
            .values_mut()
            .for_each(|value| replace(value, words, users)),
        _ => {}
    }
}
