//! What metadata texts say, read once for all arrays that have the same: mostly those of a run.

use std::cell::RefCell;
use std::collections::HashMap;

use super::form::{self, ArrayFormat, Node};

/// Most bytes of a text that is kept: with more it has attributes, and they differ.
const MOST_BYTES: usize = 4 << 10;
/// Texts that a thread keeps; more are forgotten all at once.
const MOST_TEXTS: usize = 256;

thread_local! {
    static READ: RefCell<HashMap<ArrayFormat, HashMap<Vec<u8>, Node>>> = RefCell::default();
}

/// Reads the text of a metadata file.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn node(format: ArrayFormat, text: &[u8]) -> Result<Node, String> {
    if text.len() > MOST_BYTES {
        return form::node(format, text);
    }
    READ.with_borrow_mut(|read| {
        let read = read.entry(format).or_default();
        if let Some(node) = read.get(text) {
            return Ok(node.clone());
        }
        let node = form::node(format, text)?;
        if read.len() >= MOST_TEXTS {
            // As a whole: what is still met comes back with the next array.
            read.clear();
        }
        read.insert(text.to_vec(), node.clone());
        Ok(node)
    })
}
