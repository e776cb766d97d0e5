//! What array metadata says, read as the field writes it.
//!
//! Python's `json` writes `NaN`, `Infinity` and `-Infinity`, and zarr-python stores attributes and
//! fill values with it; editors add a byte order mark. All of this is read, as is nesting of any
//! depth, half of a surrogate pair, and of a repeated key the last counts, as in Python. Of the
//! fields only those are looked at that say what a node is and which chunks it has: a field may be
//! absent, but not have another form than its format defines.

use std::borrow::Cow;
use std::sync::Arc;

use jiter::{Jiter, JiterError, JsonValue, Peek};

use serde::Serialize;

use crate::model::array::{ArrayMetadata, ChunkKeys, MOST_AXES, MOST_TEXT};

/// The format of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ArrayFormat {
    /// zarr version 2.
    Zarr2,
    /// zarr version 3.
    Zarr3,
    /// N5: the format of Java tools, with `attributes.json`.
    N5,
}

/// What a metadata file makes of its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    /// An array, and what is understood of it.
    Array(Arc<ArrayMetadata>),
    Group,
}

impl Node {
    fn array(metadata: ArrayMetadata) -> Self {
        Self::Array(Arc::new(metadata))
    }
}

/// Reads the text of a metadata file.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn node(format: ArrayFormat, text: &[u8]) -> Result<Node, String> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    // A writer that was killed leaves an empty file, which the parser's error would not say.
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err("it is empty".to_owned());
    }
    // Java replaces what is not UTF-8; Python, which reads zarr, refuses the file.
    if format != ArrayFormat::N5 && std::str::from_utf8(text).is_err() {
        return Err("it is not UTF-8".to_owned());
    }
    let fields = Fields::read(text).map_err(|error| error.to_string())?;
    match format {
        ArrayFormat::Zarr2 => fields.zarr2(),
        ArrayFormat::Zarr3 => fields.zarr3(),
        ArrayFormat::N5 => fields.n5(),
    }
}

/// The fields that are looked at; `None` if one is absent.
#[derive(Default)]
struct Fields<'t> {
    zarr_format: Option<JsonValue<'t>>,
    node_type: Option<JsonValue<'t>>,
    shape: Option<JsonValue<'t>>,
    chunks: Option<JsonValue<'t>>,
    chunk_grid: Option<JsonValue<'t>>,
    dtype: Option<JsonValue<'t>>,
    data_type: Option<JsonValue<'t>>,
    dimensions: Option<JsonValue<'t>>,
    block_size: Option<JsonValue<'t>>,
    n5_data_type: Option<JsonValue<'t>>,
    /// Fields that say what is shown and counted. Nothing in them makes an array damaged.
    more: More<'t>,
}

/// The JSON of these fields.
#[derive(Default)]
struct More<'t> {
    dimension_separator: Option<&'t [u8]>,
    chunk_key_encoding: Option<&'t [u8]>,
    codecs: Option<&'t [u8]>,
    fill_value: Option<&'t [u8]>,
    compressor: Option<&'t [u8]>,
    compression: Option<&'t [u8]>,
    compression_type: Option<&'t [u8]>,
}

impl<'t> More<'t> {
    fn field(&mut self, name: &str) -> Option<&mut Option<&'t [u8]>> {
        Some(match name {
            "dimension_separator" => &mut self.dimension_separator,
            "chunk_key_encoding" => &mut self.chunk_key_encoding,
            "codecs" => &mut self.codecs,
            "fill_value" => &mut self.fill_value,
            "compressor" => &mut self.compressor,
            "compression" => &mut self.compression,
            "compressionType" => &mut self.compression_type,
            _ => return None,
        })
    }
}

/// The value of such a field; `None` if it is absent or not understood.
fn value<'t>(json: Option<&'t [u8]>) -> Option<JsonValue<'t>> {
    JsonValue::parse(json?, true).ok()
}

impl<'t> Fields<'t> {
    fn read(text: &'t [u8]) -> Result<Self, JiterError> {
        let mut fields = Self::default();
        let mut json = Jiter::new(text).with_allow_inf_nan();
        // A copy, because the parser lends the key only until it reads on.
        let mut key = json.next_object()?.map(str::to_owned);
        while let Some(name) = key {
            match fields.field(&name) {
                // In place of an earlier one: of a repeated key the last counts.
                Some(field) => *field = Some(json.next_value()?),
                // Attributes may be megabytes: they are passed over without a copy.
                None => {
                    let start = json.current_index();
                    skip(&mut json)?;
                    if let Some(field) = fields.more.field(&name) {
                        // As text: these few are parsed later, and nothing in them makes the array
                        // damaged.
                        *field = text.get(start..json.current_index());
                    }
                }
            }
            key = json.next_key()?.map(str::to_owned);
        }
        // Text behind the object is damage, such as the end of an older, longer file.
        json.finish()?;
        Ok(fields)
    }

    fn field(&mut self, name: &str) -> Option<&mut Option<JsonValue<'t>>> {
        Some(match name {
            "zarr_format" => &mut self.zarr_format,
            "node_type" => &mut self.node_type,
            "shape" => &mut self.shape,
            "chunks" => &mut self.chunks,
            "chunk_grid" => &mut self.chunk_grid,
            "dtype" => &mut self.dtype,
            "data_type" => &mut self.data_type,
            "dimensions" => &mut self.dimensions,
            "blockSize" => &mut self.block_size,
            "dataType" => &mut self.n5_data_type,
            _ => return None,
        })
    }

    fn zarr2(&self) -> Result<Node, String> {
        version(self.zarr_format.as_ref(), 2)?;
        grid(
            ("shape", self.shape.as_ref()),
            ("chunks", self.chunks.as_ref()),
        )?;
        // Text, or a list for a structured type; anything else has no meaning in zarr 2.
        let is_type =
            |dtype: &JsonValue<'_>| matches!(dtype, JsonValue::Str(_) | JsonValue::Array(_));
        if !self.dtype.as_ref().is_none_or(is_type) {
            return Err("\"dtype\" is not a data type".to_owned());
        }
        Ok(Node::array(ArrayMetadata {
            keys: match value(self.more.dimension_separator) {
                None if self.more.dimension_separator.is_none() => Some(ChunkKeys::Either),
                Some(JsonValue::Null) => Some(ChunkKeys::Either),
                Some(JsonValue::Str(text)) if text == "." => Some(ChunkKeys::Dotted),
                Some(JsonValue::Str(text)) if text == "/" => Some(ChunkKeys::Nested),
                _ => None,
            },
            shape: lengths(self.shape.as_ref()),
            chunks: lengths(self.chunks.as_ref()),
            shards: None,
            dtype: self.dtype.as_ref().and_then(words),
            fill_value: self.more.fill_value.and_then(number_or_json),
            // Empty for none, which differs from unknown.
            compressor: match value(self.more.compressor) {
                Some(JsonValue::Null) => Some(String::new()),
                Some(JsonValue::Object(fields)) => last(&fields, "id").and_then(words),
                _ => None,
            },
            levels: Vec::new(),
        }))
    }

    fn zarr3(&self) -> Result<Node, String> {
        version(self.zarr_format.as_ref(), 3)?;
        match &self.node_type {
            Some(JsonValue::Str(name)) if name == "group" => return Ok(Node::Group),
            Some(JsonValue::Str(name)) if name == "array" => {}
            Some(_) => return Err("\"node_type\" is neither \"array\" nor \"group\"".to_owned()),
            None => return Err("\"node_type\" is absent".to_owned()),
        }
        let chunk_shape = match &self.chunk_grid {
            Some(JsonValue::Object(fields)) => {
                let configuration = last(fields, "configuration");
                match configuration {
                    Some(JsonValue::Object(fields)) => last(fields, "chunk_shape"),
                    _ => None,
                }
            }
            Some(_) => return Err("\"chunk_grid\" is not an object".to_owned()),
            None => None,
        };
        // Grids other than the regular one may give sizes in another form.
        let chunk_shape = chunk_shape.filter(|_| self.has_regular_grid());
        grid(("shape", self.shape.as_ref()), ("chunk_shape", chunk_shape))?;
        match self.data_type {
            None | Some(JsonValue::Str(_) | JsonValue::Object(_)) => {}
            Some(_) => return Err("\"data_type\" is not a data type".to_owned()),
        }
        let grid = lengths(chunk_shape);
        let codecs = value(self.more.codecs);
        let codecs = codecs.as_ref().map(Codecs::read);
        let inner = codecs.as_ref().and_then(|codecs| codecs.sharding);
        // With shards, the grid of zarr 3 is theirs, and the chunks are in the codec's
        // configuration.
        let (chunks, shards) = match inner {
            Some(configuration) => (lengths(last(configuration, "chunk_shape")), grid),
            None => (grid, None),
        };
        Ok(Node::array(ArrayMetadata {
            shape: lengths(self.shape.as_ref()),
            chunks,
            shards,
            dtype: self.data_type.as_ref().and_then(words),
            fill_value: self.more.fill_value.and_then(number_or_json),
            compressor: codecs.and_then(|codecs| codecs.compressor),
            keys: value(self.more.chunk_key_encoding)
                .as_ref()
                .and_then(chunk_keys),
            levels: Vec::new(),
        }))
    }

    fn has_regular_grid(&self) -> bool {
        let Some(JsonValue::Object(fields)) = &self.chunk_grid else {
            return false;
        };
        matches!(last(fields, "name"), Some(JsonValue::Str(name)) if name == "regular")
    }

    fn n5(&self) -> Result<Node, String> {
        // N5 has one file for both; that of an array has these two fields.
        if self.dimensions.is_none() || self.n5_data_type.is_none() {
            return Ok(Node::Group);
        }
        grid(
            ("dimensions", self.dimensions.as_ref()),
            ("blockSize", self.block_size.as_ref()),
        )?;
        if !matches!(self.n5_data_type, Some(JsonValue::Str(_))) {
            return Err("\"dataType\" is not text".to_owned());
        }
        // Version 1 of the format had a name only.
        let compressor = match value(self.more.compression) {
            Some(JsonValue::Object(fields)) => last(&fields, "type").and_then(words),
            _ => value(self.more.compression_type).as_ref().and_then(words),
        };
        Ok(Node::array(ArrayMetadata {
            shape: lengths(self.dimensions.as_ref()),
            chunks: lengths(self.block_size.as_ref()),
            shards: None,
            dtype: self.n5_data_type.as_ref().and_then(words),
            fill_value: None,
            compressor: compressor.map(|name| match name.as_str() {
                // N5's word for no compression.
                "raw" => String::new(),
                _ => name,
            }),
            // N5 has no other form.
            keys: Some(ChunkKeys::Nested),
            levels: Vec::new(),
        }))
    }
}

/// The codecs of zarr 3, as far as they say how data lies in files.
struct Codecs<'f, 't> {
    /// The configuration of shards, if there are any.
    sharding: Option<&'f [(Cow<'t, str>, JsonValue<'t>)]>,
    compressor: Option<String>,
}

impl<'f, 't> Codecs<'f, 't> {
    fn read(codecs: &'f JsonValue<'t>) -> Self {
        /// Codecs that compress nothing.
        const OTHERS: [&str; 6] = [
            "bytes",
            "endian",
            "transpose",
            "crc32c",
            "vlen-utf8",
            "vlen-bytes",
        ];
        let mut read = Self {
            sharding: None,
            compressor: None,
        };
        let JsonValue::Array(codecs) = codecs else {
            return read;
        };
        let mut names = Vec::new();
        for codec in codecs.iter() {
            let (name, configuration) = match codec {
                // A codec without configuration may be a mere name.
                JsonValue::Str(name) => (name.as_ref(), None),
                JsonValue::Object(fields) => match last(fields, "name") {
                    Some(JsonValue::Str(name)) => (name.as_ref(), last(fields, "configuration")),
                    _ => return read,
                },
                // A form that is not known leaves the compressor unknown.
                _ => return read,
            };
            match (name, configuration) {
                ("sharding_indexed", Some(JsonValue::Object(fields))) => {
                    read.sharding = Some(fields);
                    // Shards are compressed by the codecs of their inner chunks.
                    let inner = last(fields, "codecs").map(Codecs::read);
                    names.extend(inner.and_then(|inner| inner.compressor));
                }
                (name, _) if OTHERS.contains(&name) => {}
                (name, _) => names.push(name.to_owned()),
            }
        }
        // Inner codecs that compress nothing give an empty name.
        names.retain(|name| !name.is_empty());
        let names = names.join(", ");
        read.compressor = (names.len() <= MOST_TEXT).then_some(names);
        read
    }
}

/// How zarr 3 names chunks; `None` if that is not understood.
fn chunk_keys(encoding: &JsonValue<'_>) -> Option<ChunkKeys> {
    let (name, separator) = match encoding {
        JsonValue::Str(name) => (name, None),
        JsonValue::Object(fields) => {
            let Some(JsonValue::Str(name)) = last(fields, "name") else {
                return None;
            };
            let separator = match last(fields, "configuration") {
                Some(JsonValue::Object(fields)) => last(fields, "separator"),
                _ => None,
            };
            (name, separator)
        }
        _ => return None,
    };
    let separator = match separator {
        None => None,
        Some(JsonValue::Str(text)) => Some(text.as_ref()),
        Some(_) => return None,
    };
    match (name.as_ref(), separator) {
        // Without a separator, `default` means `/` and `v2` means `.`, by the specification.
        ("default", None | Some("/")) => Some(ChunkKeys::DefaultNested),
        ("default", Some(".")) => Some(ChunkKeys::DefaultDotted),
        ("v2", None | Some(".")) => Some(ChunkKeys::Dotted),
        ("v2", Some("/")) => Some(ChunkKeys::Nested),
        _ => None,
    }
}

/// A list of lengths; `None` if it is none, or too long to be kept.
fn lengths(field: Option<&JsonValue<'_>>) -> Option<Vec<u64>> {
    // What is wrong in form was reported by `grid`; this is only what is shown.
    let numbers = numbers("", field).ok()??;
    let numbers = numbers.into_iter().map(u64::try_from);
    let numbers: Vec<u64> = numbers.collect::<Result<_, _>>().ok()?;
    (numbers.len() <= MOST_AXES).then_some(numbers)
}

/// A text as it is, anything else as JSON; `None` if it is too long to be kept.
fn words(value: &JsonValue<'_>) -> Option<String> {
    match value {
        JsonValue::Str(text) => (text.len() <= MOST_TEXT).then(|| text.to_string()),
        value => json(value),
    }
}

/// A value as JSON, with numbers that JSON does not have as texts; `None` if it is too long to be
/// kept.
fn json(value: &JsonValue<'_>) -> Option<String> {
    let mut text = String::new();
    write_json(value, &mut text).then_some(text)
}

/// The same of a value that may be an integer of any length.
fn number_or_json(text: &[u8]) -> Option<String> {
    if let Some(value) = value(Some(text)) {
        return json(&value);
    }
    // Too long for the parser's integers: the digits are kept as they are.
    let number = std::str::from_utf8(text).ok()?.trim();
    let digits = number.strip_prefix('-').unwrap_or(number);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && number.len() <= MOST_TEXT).then(|| number.to_owned())
}

/// Whether the whole value found room.
fn write_json(value: &JsonValue<'_>, out: &mut String) -> bool {
    let quoted = |text: &str| serde_json::to_string(text).unwrap_or_default();
    match value {
        JsonValue::Null => out.push_str("null"),
        JsonValue::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        JsonValue::Int(number) => out.push_str(&number.to_string()),
        JsonValue::Float(number) if number.is_nan() => out.push_str("\"NaN\""),
        JsonValue::Float(number) if number.is_infinite() => out.push_str(match number > &0.0 {
            true => "\"Infinity\"",
            false => "\"-Infinity\"",
        }),
        JsonValue::Float(number) => out.push_str(&number.to_string()),
        // Before it is quoted, which would copy it.
        JsonValue::Str(text) if text.len() > MOST_TEXT => return false,
        JsonValue::Str(text) => out.push_str(&quoted(text)),
        JsonValue::Array(values) => {
            out.push('[');
            for (at, value) in values.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                if !write_json(value, out) {
                    return false;
                }
            }
            out.push(']');
        }
        JsonValue::Object(fields) => {
            out.push('{');
            for (at, (name, value)) in fields.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                if name.len() > MOST_TEXT {
                    return false;
                }
                out.push_str(&quoted(name));
                out.push(':');
                if !write_json(value, out) {
                    return false;
                }
            }
            out.push('}');
        }
    }
    out.len() <= MOST_TEXT
}

/// The last value of a key.
pub(super) fn last<'f, 't>(
    fields: &'f [(Cow<'t, str>, JsonValue<'t>)],
    name: &str,
) -> Option<&'f JsonValue<'t>> {
    let mut named = fields.iter().rev().filter(|(key, _)| key == name);
    named.next().map(|(_, value)| value)
}

fn version(field: Option<&JsonValue<'_>>, expected: i64) -> Result<(), String> {
    match field {
        // The name of the file says the version too.
        None => Ok(()),
        Some(JsonValue::Int(version)) if *version == expected => Ok(()),
        Some(_) => Err(format!("\"zarr_format\" is not {expected}")),
    }
}

/// Checks the form of a shape and of the chunks that divide it.
fn grid(
    (shape_name, shape): (&str, Option<&JsonValue<'_>>),
    (chunks_name, chunks): (&str, Option<&JsonValue<'_>>),
) -> Result<(), String> {
    let shape = numbers(shape_name, shape)?;
    let chunks = numbers(chunks_name, chunks)?;
    let Some(chunks) = chunks else {
        return Ok(());
    };
    if let Some(shape) = &shape
        && shape.len() != chunks.len()
    {
        return Err(format!(
            "\"{shape_name}\" has {} dimensions and \"{chunks_name}\" has {}",
            shape.len(),
            chunks.len()
        ));
    }
    // Along an axis without extent zarr-python writes chunks of length 0 too.
    let extents = shape.unwrap_or_else(|| vec![1; chunks.len()]);
    match chunks
        .iter()
        .zip(extents)
        .any(|(chunk, extent)| *chunk == 0 && extent > 0)
    {
        true => Err(format!("\"{chunks_name}\" has a length of 0")),
        false => Ok(()),
    }
}

fn numbers(name: &str, field: Option<&JsonValue<'_>>) -> Result<Option<Vec<i64>>, String> {
    let number = |value: &JsonValue<'_>| match value {
        JsonValue::Int(number) if *number >= 0 => Some(*number),
        _ => None,
    };
    let numbers = match field {
        None => return Ok(None),
        Some(JsonValue::Array(values)) => values.iter().map(number).collect(),
        Some(_) => None,
    };
    match numbers {
        Some(numbers) => Ok(Some(numbers)),
        None => Err(format!("\"{name}\" is not a list of lengths")),
    }
}

/// Skips a value of any depth; what jiter itself skips is at most 200 levels deep.
pub(super) fn skip(json: &mut Jiter<'_>) -> Result<(), JiterError> {
    let mut open: Vec<Peek> = Vec::new();
    let mut next = Some(json.peek()?);
    loop {
        next = match next {
            Some(Peek::Array) => {
                open.push(Peek::Array);
                json.known_array()?
            }
            Some(Peek::Object) => {
                open.push(Peek::Object);
                match json.known_object()?.is_some() {
                    true => Some(json.peek()?),
                    false => None,
                }
            }
            Some(scalar) => {
                json.known_skip(scalar)?;
                match open.last() {
                    Some(&Peek::Array) => json.array_step()?,
                    Some(_) => following(json)?,
                    None => return Ok(()),
                }
            }
            None => {
                open.pop();
                match open.last() {
                    Some(&Peek::Array) => json.array_step()?,
                    Some(_) => following(json)?,
                    None => return Ok(()),
                }
            }
        };
    }
}

/// The next value of an object that is being skipped.
fn following(json: &mut Jiter<'_>) -> Result<Option<Peek>, JiterError> {
    match json.next_key()?.is_some() {
        true => json.peek().map(Some),
        false => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::array::MetadataText;

    #[test]
    fn metadata_is_read_as_the_field_writes_it() {
        let deep = format!(
            r#"{{"node_type":"array","attributes":{{"a":{}1{}}}}}"#,
            "[{\"b\":".repeat(20_000),
            "}]".repeat(20_000)
        );
        let arrays = [
            (ArrayFormat::Zarr2, "{}"),
            (
                ArrayFormat::Zarr2,
                "\u{feff}{\"zarr_format\":2,\"fill_value\":NaN}",
            ),
            (
                ArrayFormat::Zarr2,
                r#"{"shape":[0,4],"chunks":[0,2],"dtype":[["a","<i4"]]}"#,
            ),
            (
                ArrayFormat::Zarr3,
                r#"{"zarr_format":3,"node_type":"array"}"#,
            ),
            (
                ArrayFormat::Zarr3,
                r#"{"node_type":"group","node_type":"array"}"#,
            ),
            (
                ArrayFormat::Zarr3,
                r#"{"a":[NaN,{"x":-Infinity},[],{}],"node_type":"array"}"#,
            ),
            (ArrayFormat::Zarr3, deep.as_str()),
            (
                ArrayFormat::N5,
                "\u{feff}{\"dimensions\":[1],\"dataType\":\"uint8\",\"v\":Infinity}",
            ),
        ];
        for (format, text) in arrays {
            let head: String = text.chars().take(60).collect();
            let read = node(format, text.as_bytes());
            assert!(matches!(read, Ok(Node::Array(_))), "{head}");
        }
        let groups = [
            (
                ArrayFormat::Zarr3,
                r#"{"node_type":"array","node_type":"group"}"#,
            ),
            (
                ArrayFormat::Zarr3,
                r#"{"node_type":"group","attributes":{"voi":NaN}}"#,
            ),
            (ArrayFormat::N5, r#"{"n5":"2.0.0","x":NaN}"#),
        ];
        for (format, text) in groups {
            assert_eq!(node(format, text.as_bytes()), Ok(Node::Group), "{text}");
        }
    }

    fn text_of(format: ArrayFormat, text: &str) -> String {
        match node(format, text.as_bytes()) {
            Ok(Node::Array(metadata)) => MetadataText::of(&metadata).as_str().to_owned(),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn what_arrays_say_of_themselves_is_taken_as_far_as_it_is_understood() {
        let long = "x".repeat(MOST_TEXT + 1);
        let axes = format!("[{}1]", "1,".repeat(MOST_AXES));
        let cases = [
            (ArrayFormat::Zarr2, "{}".to_owned(), r#"{"keys":"./"}"#),
            (
                ArrayFormat::Zarr2,
                r#"{"shape":[10,20],"chunks":[5,5],"dtype":"|u1","fill_value":NaN,
                    "dimension_separator":"/","compressor":{"id":"blosc","cname":"lz4"}}"#
                    .to_owned(),
                r#"{"shape":[10,20],"chunks":[5,5],"dtype":"|u1","fill_value":"\"NaN\"","compressor":"blosc","keys":"/"}"#,
            ),
            (
                ArrayFormat::Zarr2,
                r#"{"dtype":[["a","<i4"],["b","<f8",[2]]],"compressor":null,"fill_value":null,
                    "dimension_separator":"~"}"#
                    .to_owned(),
                r#"{"dtype":"[[\"a\",\"<i4\"],[\"b\",\"<f8\",[2]]]","fill_value":"null","compressor":""}"#,
            ),
            (
                ArrayFormat::Zarr2,
                format!(
                    r#"{{"fill_value":{},"compressor":{}1{},"dimension_separator":7}}"#,
                    u128::MAX,
                    "[".repeat(1000),
                    "]".repeat(1000)
                ),
                r#"{"fill_value":"340282366920938463463374607431768211455"}"#,
            ),
            (
                ArrayFormat::Zarr2,
                format!(r#"{{"dtype":"{long}","fill_value":["{long}"],"shape":{axes}}}"#),
                r#"{"keys":"./"}"#,
            ),
            (
                ArrayFormat::Zarr3,
                r#"{"node_type":"array","shape":[8],"data_type":"uint8","fill_value":0,
                    "chunk_grid":{"name":"regular","configuration":{"chunk_shape":[4]}},
                    "chunk_key_encoding":{"name":"default","configuration":{"separator":"."}},
                    "codecs":[{"name":"transpose","configuration":{"order":[0]}},
                      {"name":"sharding_indexed","configuration":{"chunk_shape":[2],
                       "codecs":[{"name":"bytes"},{"name":"zstd"}]}},"crc32c"]}"#
                    .to_owned(),
                r#"{"shape":[8],"chunks":[2],"shards":[4],"dtype":"uint8","fill_value":"0","compressor":"zstd","keys":"c."}"#,
            ),
            (
                ArrayFormat::Zarr3,
                r#"{"node_type":"array","data_type":{"name":"numpy.datetime64"},"shape":[3],
                    "chunk_grid":{"name":"rectilinear","configuration":{"chunk_shape":"odd"}},
                    "chunk_key_encoding":{"name":"fanout"},"codecs":[7]}"#
                    .to_owned(),
                r#"{"shape":[3],"dtype":"{\"name\":\"numpy.datetime64\"}"}"#,
            ),
            (
                ArrayFormat::N5,
                r#"{"dimensions":[3,2],"blockSize":[2,2],"dataType":"float32",
                    "compression":{"type":"gzip","level":-1}}"#
                    .to_owned(),
                r#"{"shape":[3,2],"chunks":[2,2],"dtype":"float32","compressor":"gzip","keys":"/"}"#,
            ),
        ];
        for (format, text, expected) in cases {
            assert_eq!(text_of(format, &text), expected);
        }
    }

    #[test]
    fn a_field_of_another_form_is_named() {
        let cases = [
            (ArrayFormat::Zarr2, "", "it is empty"),
            (ArrayFormat::Zarr2, " \n", "it is empty"),
            (ArrayFormat::Zarr2, "junk", "expected"),
            (ArrayFormat::Zarr2, "[]", "expected object but found array"),
            (ArrayFormat::Zarr2, "{}{}", "trailing"),
            (
                ArrayFormat::Zarr2,
                r#"{"zarr_format":3}"#,
                "\"zarr_format\" is not 2",
            ),
            (
                ArrayFormat::Zarr2,
                r#"{"shape":[-1]}"#,
                "\"shape\" is not a list of lengths",
            ),
            (
                ArrayFormat::Zarr2,
                r#"{"shape":[1.5]}"#,
                "\"shape\" is not a list of lengths",
            ),
            (
                ArrayFormat::Zarr2,
                r#"{"chunks":[0]}"#,
                "\"chunks\" has a length of 0",
            ),
            (
                ArrayFormat::Zarr2,
                r#"{"shape":[1,2],"chunks":[1]}"#,
                "2 dimensions",
            ),
            (
                ArrayFormat::Zarr2,
                r#"{"dtype":7}"#,
                "\"dtype\" is not a data type",
            ),
            (
                ArrayFormat::Zarr2,
                r#"{"dtype":{}}"#,
                "\"dtype\" is not a data type",
            ),
            (
                ArrayFormat::Zarr2,
                r#"{"dtype":1.5}"#,
                "\"dtype\" is not a data type",
            ),
            (ArrayFormat::Zarr3, "{}", "\"node_type\" is absent"),
            (ArrayFormat::Zarr3, r#"{"node_type":"tree"}"#, "neither"),
            (
                ArrayFormat::Zarr3,
                r#"{"node_type":"array","chunk_grid":{"name":"regular","configuration":{"chunk_shape":[0]}}}"#,
                "\"chunk_shape\" has a length of 0",
            ),
            (
                ArrayFormat::N5,
                r#"{"dimensions":"1","dataType":"uint8"}"#,
                "\"dimensions\" is not a list of lengths",
            ),
        ];
        for (format, text, expected) in cases {
            let found = node(format, text.as_bytes()).unwrap_err();
            assert!(found.contains(expected), "{text}: {found}");
        }
    }

    #[test]
    fn metadata_of_zarr_in_another_encoding_is_not_read() {
        let text = "{\"node_type\":\"array\",\"x\":\"ü\"}";
        let latin1 = text.replace('ü', "@").into_bytes();
        let latin1 = latin1
            .iter()
            .map(|&byte| if byte == b'@' { 0xfc } else { byte });
        let latin1: Vec<u8> = latin1.collect();
        let utf16: Vec<u8> = std::iter::once(0xfeff)
            .chain(text.encode_utf16())
            .flat_map(u16::to_le_bytes)
            .collect();
        for format in [ArrayFormat::Zarr2, ArrayFormat::Zarr3] {
            for text in [&latin1, &utf16] {
                assert_eq!(node(format, text), Err("it is not UTF-8".to_owned()));
            }
        }
        let n5 = b"{\"dimensions\":[1],\"dataType\":\"uint8\",\"x\":\"\xfc\"}";
        assert!(matches!(node(ArrayFormat::N5, n5), Ok(Node::Array(_))));
    }
}
