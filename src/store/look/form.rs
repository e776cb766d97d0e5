//! What array metadata says, read as the field writes it.
//!
//! Python's `json` writes `NaN`, `Infinity` and `-Infinity`, and zarr-python stores attributes and
//! fill values with it; editors add a byte order mark. All of this is read, as is nesting of any
//! depth, and of a repeated key the last counts, as in Python. Of the fields only those are looked
//! at that say what a node is and which chunks it has: a field may be absent, but not have another
//! form than its format defines.

use jiter::{Jiter, JiterError, JsonValue, Peek};

use serde::Serialize;

/// The format of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// zarr version 2.
    Zarr2,
    /// zarr version 3.
    Zarr3,
    /// N5.
    N5,
}

/// What a metadata file makes of its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    Array,
    Group,
}

/// Reads the text of a metadata file.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn node(format: Format, text: &[u8]) -> Result<Node, String> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err("it is empty".to_owned());
    }
    let fields = Fields::read(text).map_err(|error| error.to_string())?;
    match format {
        Format::Zarr2 => fields.zarr2(),
        Format::Zarr3 => fields.zarr3(),
        Format::N5 => fields.n5(),
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
}

impl<'t> Fields<'t> {
    fn read(text: &'t [u8]) -> Result<Self, JiterError> {
        let mut fields = Self::default();
        let mut json = Jiter::new(text).with_allow_inf_nan();
        let mut key = json.next_object()?.map(str::to_owned);
        while let Some(name) = key {
            match fields.field(&name) {
                Some(field) => *field = Some(json.next_value()?),
                // Attributes may be megabytes: they are passed over without a copy.
                None => skip(&mut json)?,
            }
            key = json.next_key()?.map(str::to_owned);
        }
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
        if let Some(JsonValue::Null | JsonValue::Bool(_) | JsonValue::Int(_)) = self.dtype {
            return Err("\"dtype\" is not a data type".to_owned());
        }
        Ok(Node::Array)
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
            None | Some(JsonValue::Str(_) | JsonValue::Object(_)) => Ok(Node::Array),
            Some(_) => Err("\"data_type\" is not a data type".to_owned()),
        }
    }

    fn has_regular_grid(&self) -> bool {
        let Some(JsonValue::Object(fields)) = &self.chunk_grid else {
            return false;
        };
        matches!(last(fields, "name"), Some(JsonValue::Str(name)) if name == "regular")
    }

    fn n5(&self) -> Result<Node, String> {
        if self.dimensions.is_none() || self.n5_data_type.is_none() {
            return Ok(Node::Group);
        }
        grid(
            ("dimensions", self.dimensions.as_ref()),
            ("blockSize", self.block_size.as_ref()),
        )?;
        match self.n5_data_type {
            Some(JsonValue::Str(_)) => Ok(Node::Array),
            _ => Err("\"dataType\" is not text".to_owned()),
        }
    }
}

/// The last value of a key.
fn last<'f, 't>(
    fields: &'f [(std::borrow::Cow<'t, str>, JsonValue<'t>)],
    name: &str,
) -> Option<&'f JsonValue<'t>> {
    let mut named = fields.iter().rev().filter(|(key, _)| key == name);
    named.next().map(|(_, value)| value)
}

fn version(field: Option<&JsonValue<'_>>, expected: i64) -> Result<(), String> {
    match field {
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
fn skip(json: &mut Jiter<'_>) -> Result<(), JiterError> {
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

    #[test]
    fn metadata_is_read_as_the_field_writes_it() {
        let deep = format!(
            r#"{{"node_type":"array","attributes":{{"a":{}1{}}}}}"#,
            "[{\"b\":".repeat(20_000),
            "}]".repeat(20_000)
        );
        let arrays = [
            (Format::Zarr2, "{}"),
            (
                Format::Zarr2,
                "\u{feff}{\"zarr_format\":2,\"fill_value\":NaN}",
            ),
            (
                Format::Zarr2,
                r#"{"shape":[0,4],"chunks":[0,2],"dtype":[["a","<i4"]]}"#,
            ),
            (Format::Zarr3, r#"{"zarr_format":3,"node_type":"array"}"#),
            (
                Format::Zarr3,
                r#"{"node_type":"group","node_type":"array"}"#,
            ),
            (
                Format::Zarr3,
                r#"{"a":[NaN,{"x":-Infinity},[],{}],"node_type":"array"}"#,
            ),
            (Format::Zarr3, deep.as_str()),
            (
                Format::N5,
                "\u{feff}{\"dimensions\":[1],\"dataType\":\"uint8\",\"v\":Infinity}",
            ),
        ];
        for (format, text) in arrays {
            let head: String = text.chars().take(60).collect();
            assert_eq!(node(format, text.as_bytes()), Ok(Node::Array), "{head}");
        }
        let groups = [
            (
                Format::Zarr3,
                r#"{"node_type":"array","node_type":"group"}"#,
            ),
            (
                Format::Zarr3,
                r#"{"node_type":"group","attributes":{"voi":NaN}}"#,
            ),
            (Format::N5, r#"{"n5":"2.0.0","x":NaN}"#),
        ];
        for (format, text) in groups {
            assert_eq!(node(format, text.as_bytes()), Ok(Node::Group), "{text}");
        }
    }

    #[test]
    fn a_field_of_another_form_is_named() {
        let cases = [
            (Format::Zarr2, "", "it is empty"),
            (Format::Zarr2, " \n", "it is empty"),
            (Format::Zarr2, "junk", "expected"),
            (Format::Zarr2, "[]", "expected object but found array"),
            (Format::Zarr2, "{}{}", "trailing"),
            (
                Format::Zarr2,
                r#"{"zarr_format":3}"#,
                "\"zarr_format\" is not 2",
            ),
            (
                Format::Zarr2,
                r#"{"shape":[-1]}"#,
                "\"shape\" is not a list of lengths",
            ),
            (
                Format::Zarr2,
                r#"{"shape":[1.5]}"#,
                "\"shape\" is not a list of lengths",
            ),
            (
                Format::Zarr2,
                r#"{"chunks":[0]}"#,
                "\"chunks\" has a length of 0",
            ),
            (
                Format::Zarr2,
                r#"{"shape":[1,2],"chunks":[1]}"#,
                "2 dimensions",
            ),
            (
                Format::Zarr2,
                r#"{"dtype":7}"#,
                "\"dtype\" is not a data type",
            ),
            (Format::Zarr3, "{}", "\"node_type\" is absent"),
            (Format::Zarr3, r#"{"node_type":"tree"}"#, "neither"),
            (
                Format::Zarr3,
                r#"{"node_type":"array","chunk_grid":{"name":"regular","configuration":{"chunk_shape":[0]}}}"#,
                "\"chunk_shape\" has a length of 0",
            ),
            (
                Format::N5,
                r#"{"dimensions":"1","dataType":"uint8"}"#,
                "\"dimensions\" is not a list of lengths",
            ),
        ];
        for (format, text, expected) in cases {
            let found = node(format, text.as_bytes()).unwrap_err();
            assert!(found.contains(expected), "{text}: {found}");
        }
    }
}
