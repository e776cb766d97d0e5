//! JSON on stdout: documents and lines.

use serde::Serialize;
use serde::ser::SerializeMap;

use crate::cli::context::{Context, NotedFor, PublishedCopy};
use crate::cli::fail::Failure;
use crate::cli::flags::Format;

/// Version of the JSON documents; raised if a field is removed or changes its meaning.
pub(super) const SCHEMA_VERSION: u32 = 1;

/// Writes one value as a JSON document with the schema version.
pub(in crate::cli) fn document<T: Serialize>(
    context: &mut Context,
    key: &str,
    value: &T,
) -> Result<(), Failure> {
    let published = context.published.get();
    let document = Document {
        published,
        noted: context.noted.get(),
        key,
        value,
    };
    let text = serde_json::to_string_pretty(&document).map_err(not_json)?;
    context.line(&text)
}

/// A document whose key is a run-time value, with its fields in order.
struct Document<'a, T> {
    published: Option<&'a PublishedCopy>,
    noted: Option<&'a NotedFor>,
    key: &'a str,
    value: &'a T,
}

impl<T: Serialize> Serialize for Document<'_, T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("schema_version", &SCHEMA_VERSION)?;
        if let Some(published) = self.published {
            map.serialize_entry("published", published)?;
        }
        if let Some(noted) = self.noted {
            map.serialize_entry("noted", noted)?;
        }
        map.serialize_entry(self.key, self.value)?;
        map.end()
    }
}

/// Writes a report as JSON if the call asks for that, and says whether it did.
pub(in crate::cli) fn write_json<T: Serialize>(
    context: &mut Context,
    format: Format,
    key: &str,
    report: &T,
) -> Result<bool, Failure> {
    match format {
        Format::Json => document(context, key, report)?,
        Format::Jsonl => {
            // One line and no schema version: a line is read beside others like it.
            let line = json(report)?;
            context.line(&line)?;
        }
        Format::Table | Format::Tsv => return Ok(false),
    }
    Ok(true)
}

/// One value as one line of JSON, without the end of the line.
pub(in crate::cli) fn json<T: Serialize>(value: &T) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(not_json)
}

pub(super) fn not_json(error: serde_json::Error) -> Failure {
    Failure::Other(format!("the result cannot be written as JSON: {error}"))
}
