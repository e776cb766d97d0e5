//! Content hashes: they cover the bytes of an artifact's data, not its path or its times.
//!
//! # Definition
//! Other programs can compute the same hash. Every hash is BLAKE3 with 32 bytes of output.
//!
//! Each regular file below the folder of an array is an entry; folders are left out, and so are
//! files that were unlinked on NFS while they were open: `.nfs` and 24 hexadecimal digits. The
//! content of a file is its bytes. The array's hash is the hash over its entries, sorted by the
//! bytes of their paths, each written as
//!
//! | bytes | what |
//! |---|---|
//! | 1 | `f` (0x66) a file |
//! | 8 | length of the path in bytes, little endian |
//! | that many | the path relative to the array's folder, parts joined by `/` |
//! | 32 | the hash of the content |
//!
//! A checkpoint is one file: one entry with an empty path. An array that holds anything else, such
//! as a pipe or a symbolic link, whose data is elsewhere, has no hash. A container has no hash: its
//! content changes whenever an array is added. The hash covers names, sizes and contents; it does
//! not cover times, owners, permissions or the path of the array itself.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The hash of an artifact's data. `Display` writes 64 hexadecimal digits, in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentHash(pub [u8; 32]);

/// The type of an entry. Exhaustive: the definition of the hash fixes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A symbolic link, with its target as content. Only seals of earlier versions cover links.
    Link,
}

/// A file or symbolic link of an artifact, with the hash of its content. Exhaustive: the definition
/// of the hash fixes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Path relative to the artifact's folder; empty if the artifact is a file.
    pub path: Box<[u8]>,
    /// File or link.
    pub kind: EntryKind,
    /// BLAKE3 hash of its content.
    pub content: [u8; 32],
}

impl ContentHash {
    /// Hashes the entries of an artifact; their order does not matter.
    #[must_use]
    pub fn of(mut entries: Vec<Entry>) -> Self {
        // Sorted, so that the hash does not depend on the order in which a disk lists names.
        entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let mut hasher = blake3::Hasher::new();
        for entry in &entries {
            hasher.update(match entry.kind {
                EntryKind::File => b"f",
                EntryKind::Link => b"l",
            });
            // The length sets path and content apart: otherwise two lists of entries could give the
            // same bytes.
            hasher.update(&(entry.path.len() as u64).to_le_bytes());
            hasher.update(&entry.path);
            hasher.update(&entry.content);
        }
        Self(hasher.finalize().into())
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

/// The text is not a content hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{}\" is not a content hash; it has 64 hexadecimal digits", .0.escape_debug())]
#[non_exhaustive]
pub struct ParseContentHashError(pub String);

impl FromStr for ContentHash {
    type Err = ParseContentHashError;

    fn from_str(text: &str) -> Result<Self, ParseContentHashError> {
        // In either case of letters: other programs may write capitals.
        blake3::Hash::from_hex(text)
            .map(|hash| Self(hash.into()))
            .map_err(|_| ParseContentHashError(text.to_owned()))
    }
}

impl Serialize for ContentHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContentHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, kind: EntryKind, content: &str) -> Entry {
        Entry {
            path: path.as_bytes().into(),
            kind,
            content: blake3::hash(content.as_bytes()).into(),
        }
    }

    #[test]
    fn text_and_hash_are_one_both_ways() {
        let hash = ContentHash::of(vec![entry("0.0", EntryKind::File, "chunk")]);
        let text = hash.to_string();
        assert_eq!(text.len(), 64);
        assert_eq!(text.parse(), Ok(hash));
        assert_eq!(text.to_uppercase().parse(), Ok(hash));
        for bad in ["", &text[1..], &format!("{text}0"), &text.replace('a', "g")] {
            let bad = bad.to_owned();
            if bad != text {
                assert_eq!(bad.parse::<ContentHash>(), Err(ParseContentHashError(bad)));
            }
        }
    }

    /// The definition, byte by byte: it is what other programs rely on.
    #[test]
    fn the_hash_is_over_entries_in_the_order_of_their_paths() {
        let mut bytes = Vec::new();
        // '-' comes before '/', and that before '0': not the order of a walk.
        for (tag, path, content) in [
            (b'f', ".zarray", "{}"),
            (b'l', "a-b", "../elsewhere"),
            (b'f', "a/b", ""),
            (b'f', "a0", "x"),
        ] {
            bytes.push(tag);
            bytes.extend((path.len() as u64).to_le_bytes());
            bytes.extend(path.as_bytes());
            bytes.extend(blake3::hash(content.as_bytes()).as_bytes());
        }
        let expected = ContentHash(blake3::hash(&bytes).into());
        let mut entries = vec![
            entry("a/b", EntryKind::File, ""),
            entry("a0", EntryKind::File, "x"),
            entry("a-b", EntryKind::Link, "../elsewhere"),
            entry(".zarray", EntryKind::File, "{}"),
        ];
        assert_eq!(ContentHash::of(entries.clone()), expected);
        entries.reverse();
        assert_eq!(ContentHash::of(entries), expected);
    }

    #[test]
    fn whatever_an_entry_says_counts() {
        use EntryKind::{File, Link};
        let hashes = [
            ContentHash::of(vec![]),
            ContentHash::of(vec![entry("a", File, "x")]),
            ContentHash::of(vec![entry("a", Link, "x")]),
            ContentHash::of(vec![entry("b", File, "x")]),
            ContentHash::of(vec![entry("a", File, "y")]),
            ContentHash::of(vec![entry("", File, "x")]),
            ContentHash::of(vec![entry("a", File, "x"), entry("b", File, "x")]),
        ];
        for (at, hash) in hashes.iter().enumerate() {
            assert!(!hashes[..at].contains(hash), "{at}");
        }
    }
}
