//! The report as text: groups under headings, within 80 columns.

use serde_json::Value;

use crate::cli::context::Context;
use crate::cli::fail::Failure;
use crate::cli::render::{Room, escape, folded_value, unbroken, whole_value};
use crate::model::size::ByteCount;

/// Width of a report, which is pasted into mails and bug reports.
const WIDTH: usize = 80;
/// The verdict on a registry of which nothing is wrong.
const ALL_IS_WELL: &str = "all is well";
/// What the verdict did not look at.
const BY_THE_CATALOG: &str = "the arrays on disk are looked at by: dalsegno verify";

/// Column in which values begin.
const VALUES: usize = 24;

/// Writes the verdict, which is what is wrong, and each field of the report as a group.
pub(super) fn lines(
    context: &mut Context,
    report: &Value,
    verdict: &[String],
) -> Result<(), Failure> {
    match verdict.is_empty() {
        true => {
            put(context, "", ALL_IS_WELL)?;
            put(context, "", BY_THE_CATALOG)?;
        }
        false => verdict
            .iter()
            .try_for_each(|wrong| put(context, "", wrong))?,
    }
    let groups = report.as_object().into_iter().flatten();
    for (name, group) in groups {
        context.line("")?;
        context.line(&capital(name))?;
        match group {
            // Without an error, its group is null; any other null group was lost to the error, or
            // only the host with the catalog knows it.
            Value::Null if name == "error" => put(context, "", "none")?,
            Value::Null if report["error"].is_null() => {
                put(context, "", "only the host that has the catalog knows")?;
            }
            Value::Null => put(context, "", "not known: see the error below")?,
            Value::Object(fields) if fields.is_empty() => put(context, "", "nothing is set")?,
            Value::Object(fields) => fields_of(context, "", fields)?,
            Value::Array(values) if values.is_empty() => put(context, "", "none")?,
            Value::Array(values) => {
                for value in values {
                    match value {
                        Value::Object(fields) => fields_of(context, "", fields)?,
                        value => put(context, "", &text(value))?,
                    }
                }
            }
            value => put(context, "", &text(value))?,
        }
    }
    Ok(())
}

fn fields_of(
    context: &mut Context,
    before: &str,
    fields: &serde_json::Map<String, Value>,
) -> Result<(), Failure> {
    for (name, value) in fields {
        let name = format!("{before}{}", name.replace('_', " "));
        match value {
            Value::Object(inner) if name == "file system" => file_system(context, inner)?,
            // The names of the counts say enough without that of the group.
            Value::Object(inner) if name == "counts" => fields_of(context, "", inner)?,
            Value::Object(inner) => fields_of(context, &format!("{name} "), inner)?,
            Value::Array(all) if all.is_empty() => put(context, &name, "none")?,
            Value::Array(all) => {
                // An object with a name, such as a backup, is shown by that name.
                let named = all.iter().map(|value| value.get("name").unwrap_or(value));
                let all: Vec<String> = named.map(text).collect();
                put(context, &name, &all.join(", "))?;
            }
            // Both: the unit to read, the exact number to compare two reports.
            value if name.ends_with("bytes") && value.is_u64() => {
                let bytes = value.as_u64().unwrap_or_default();
                put(context, &name, &format!("{bytes} ({})", ByteCount(bytes)))?;
            }
            value => put(context, &name, &text(value))?,
        }
    }
    Ok(())
}

/// A file system in three lines.
fn file_system(
    context: &mut Context,
    fields: &serde_json::Map<String, Value>,
) -> Result<(), Failure> {
    let of = |name: &str| fields.get(name).map_or_else(|| "-".to_owned(), text);
    let number = |name: &str| fields.get(name).and_then(Value::as_u64);
    let is = |name: &str| fields.get(name).and_then(Value::as_bool) == Some(true);
    let mut words = vec![of("type")];
    words.push(match fields.get("network").and_then(Value::as_str) {
        Some(network) => format!("network ({network}, {})", of("reason")),
        None if of("reason").starts_with("unknown") => format!("local ({})", of("reason")),
        None => "local".to_owned(),
    });
    if let Some(options) = fields.get("options").and_then(Value::as_array) {
        words.extend(options.iter().map(text));
    }
    if is("is_read_only") {
        words.push("mounted read-only".to_owned());
    }
    // With a problem nothing else is known, and a false would mislead.
    let is_there = fields.get("problem").is_none_or(Value::is_null);
    if is_there && !is("may_write") {
        words.push("this user may not write here".to_owned());
    }
    words.extend(
        fields
            .get("problem")
            .and_then(Value::as_str)
            .map(str::to_owned),
    );
    put(context, "file system", &words.join(", "))?;
    if let (Some(free), Some(all)) = (number("free_bytes"), number("bytes")) {
        let text = format!("{} of {}", ByteCount(free), ByteCount(all));
        put(context, "free space", &text)?;
    }
    if let (Some(free), Some(all)) = (number("free_inodes"), number("inodes")) {
        put(context, "free inodes", &format!("{free} of {all}"))?;
    }
    Ok(())
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn capital(name: &str) -> String {
    let name = name.replace('_', " ");
    let (first, rest) = name.split_at(name.chars().next().map_or(0, char::len_utf8));
    format!("{}{rest}", first.to_uppercase())
}

/// Writes a name and a value, in as many lines as it needs. In a file, a word that is longer than a
/// line, such as a path, is not broken.
fn put(context: &mut Context, name: &str, value: &str) -> Result<(), Failure> {
    let at = if name.is_empty() { 2 } else { VALUES };
    let is_path = name.ends_with("path");
    let mut name = match name {
        "" => String::new(),
        name => format!("  {}", escape(name)),
    };
    for line in escape(value).split('\n') {
        let line = match is_path {
            true => unbroken(line),
            false => line.to_owned(),
        };
        let text = match context.room() {
            Room::Columns(columns) => folded_value(&name, &line, at, columns.min(WIDTH)),
            Room::Pipe | Room::Wide => whole_value(&name, &line, at, WIDTH),
        };
        context.line(&text)?;
        name.clear();
    }
    Ok(())
}
