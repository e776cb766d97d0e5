//! Writes data to stdout: rows as tables, TSV or JSON, JSON documents, values as text.

mod bar;
mod cut;
mod fit;
mod fold;
mod heads;
mod json;
mod lines;
mod pieces;
mod rows;
mod table;
mod text;

pub(super) use crate::model::shell::shell_word;
pub(super) use crate::model::words::in_sentence;
pub(super) use bar::Ink;
pub(super) use heads::{Align, Column, Heads};
pub(super) use json::{document, json, write_json};
pub(super) use lines::{folded, folded_at, folded_value, plain, unbroken, whole_value};
pub(super) use rows::{Record, Rows};
pub(super) use table::Room;
pub(super) use text::{
    count, escape, number, or_dash, or_empty, others_text, short_age, short_time, size_cells,
    size_fields, size_text, total_cells, total_fields, total_text,
};
