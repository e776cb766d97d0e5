//! Edits of a JSON document: its leaves get other values, so that what is read past the first
//! check is met too.

use arbitrary::{Result, Unstructured};
use serde_json::{Number, Value};

/// Texts that a reader must not trust.
pub const TEXTS: [&str; 23] = [
    "",
    "../outside",
    "../outside.zarr",
    "../outside.zarr/a",
    "../outside/canary",
    "a/../../outside",
    "/etc/passwd",
    "/",
    ".",
    "..",
    ".dalsegno",
    ".dalsegno/trash",
    ".dalsegno/catalog.sqlite3",
    "r/validation.zarr",
    "r/validation.zarr/../../../outside",
    "r/validation.zarr/.",
    "r//validation.zarr/",
    "link/validation.zarr/a",
    "link.zarr/a",
    "r/link.zarr/a",
    "elsewhere",
    "elsewhere/keep.txt",
    "a\0b",
];

/// Numbers at the ends of what is read.
const NUMBERS: [i64; 10] = [
    0,
    1,
    -1,
    2,
    255,
    u32::MAX as i64,
    u32::MAX as i64 + 1,
    i64::MAX,
    i64::MIN,
    1_700_000_000_000,
];

/// Changes some leaves, elements and fields of a document.
///
/// # Errors
/// If the input is at its end; what was changed until then stays.
pub fn edit(document: &mut Value, input: &mut Unstructured<'_>) -> Result<()> {
    while !input.is_empty() {
        let count = leaves(document);
        let mut at = input.int_in_range(0..=count.saturating_sub(1))?;
        change(document, &mut at, input)?;
    }
    Ok(())
}

fn children(value: &mut Value) -> Vec<&mut Value> {
    match value {
        Value::Array(elements) => elements.iter_mut().collect(),
        Value::Object(fields) => fields.values_mut().collect(),
        _ => Vec::new(),
    }
}

/// Values in a document, itself included.
fn leaves(document: &mut Value) -> usize {
    1 + children(document).into_iter().map(leaves).sum::<usize>()
}

fn change(value: &mut Value, at: &mut usize, input: &mut Unstructured<'_>) -> Result<()> {
    if *at > 0 {
        *at -= 1;
        for child in children(value) {
            let before = *at;
            let inside = leaves(child);
            if before < inside {
                return change(child, at, input);
            }
            *at = before - inside;
        }
        return Ok(());
    }
    *value = match (input.int_in_range(0..=9_u8)?, &mut *value) {
        (0, Value::Array(elements)) if elements.len() < 8 && !elements.is_empty() => {
            let again = input.choose(elements)?.clone();
            elements.push(again);
            return Ok(());
        }
        (1, Value::Array(elements)) if !elements.is_empty() => {
            let at = input.choose_index(elements.len())?;
            elements.remove(at);
            return Ok(());
        }
        (0, Value::Object(fields)) => {
            fields.insert(input.arbitrary::<&str>()?.to_owned(), Value::Null);
            return Ok(());
        }
        (1, Value::Object(fields)) if !fields.is_empty() => {
            let names: Vec<String> = fields.keys().cloned().collect();
            fields.remove(input.choose(&names)?);
            return Ok(());
        }
        // What has parts is changed as a whole only seldom.
        (2..=8, Value::Array(_) | Value::Object(_)) => return Ok(()),
        (0..=4, _) => Value::String((*input.choose(&TEXTS)?).to_owned()),
        (5, _) => Value::String(input.arbitrary::<&str>()?.to_owned()),
        (6, _) => Value::Number((*input.choose(&NUMBERS)?).into()),
        (7, _) => Value::Number(input.arbitrary::<u64>()?.into()),
        (8, _) => Number::from_f64(input.arbitrary()?).map_or(Value::Null, Value::Number),
        _ => Value::Null,
    };
    Ok(())
}
