//! What the metadata of an array says, and which chunks it has by that.
//!
//! All of it is as the format writes it: the axes of N5 are in the order of its metadata. What is
//! absent, or not understood, is unknown.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use super::words;

/// Most axes of an array; with more, shape and chunks are unknown.
pub(crate) const MOST_AXES: usize = 64;
/// Most bytes of a text; longer ones are unknown.
pub(crate) const MOST_TEXT: usize = 512;
/// Most bytes of a set of chunks.
const MOST_SET: usize = 64 << 10;

/// What the metadata of an array says.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ArrayMetadata {
    /// Length of each axis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<Vec<u64>>,
    /// Lengths of a chunk; within a shard if there are shards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunks: Option<Vec<u64>>,
    /// Lengths of a shard, which is a file of many chunks; `None` without shards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shards: Option<Vec<u64>>,
    /// Data type, in the words of the format: `|u1`, `uint8`, or JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dtype: Option<String>,
    /// Fill value as JSON, such as `0`, `NaN` or `null`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fill_value: Option<String>,
    /// Names of the compressors, in their order; empty for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compressor: Option<String>,
    /// How chunks are named; `None` if that is not understood.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<ChunkKeys>,
    /// Levels of a pyramid, the finest first; empty for a single array. The other fields are those
    /// of the first level that is there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<LevelMetadata>,
}

/// What is known of one level of a pyramid.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct LevelMetadata {
    /// Its path below the group.
    pub path: String,
    /// What its metadata says; `None` if the group names the level and it is not there.
    pub array: Option<ArrayMetadata>,
}

/// How the files of chunks are named. The names of the variants are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ChunkKeys {
    /// `0.0.1`: zarr 2.
    #[serde(rename = ".")]
    Dotted,
    /// `0/0/1`: zarr 2, N5.
    #[serde(rename = "/")]
    Nested,
    /// Either: zarr 2 without a word on it, which older versions wrote both ways.
    #[serde(rename = "./")]
    Either,
    /// `c/0/0/1`: zarr 3.
    #[serde(rename = "c/")]
    DefaultNested,
    /// `c.0.0.1`: zarr 3.
    #[serde(rename = "c.")]
    DefaultDotted,
}

/// Texts that a thread keeps; more are forgotten all at once.
const MOST_KNOWN: usize = 1024;

thread_local! {
    /// Metadata that was read from rows: the arrays of a run share theirs.
    static KNOWN: RefCell<HashMap<String, Arc<ArrayMetadata>>> = RefCell::default();
    /// Texts that were made of metadata, by its address, which is no other's while it is held here.
    static TEXTS: RefCell<HashMap<usize, (Arc<ArrayMetadata>, MetadataText)>> =
        RefCell::default();
}

/// The form in which the catalog keeps what metadata says: JSON, with the fields in their order.
/// It serializes to a text of JSON.
#[derive(Debug, Clone)]
pub(crate) struct MetadataText {
    text: Arc<str>,
    /// The text as history hashes it for each row: quoted.
    quoted: Arc<RawValue>,
    digest: [u8; 16],
}

/// The first half of the BLAKE3 hash.
pub(crate) fn half_hash(bytes: &[u8]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&blake3::hash(bytes).as_bytes()[..16]);
    half
}

impl MetadataText {
    /// Writes what metadata says, once for all rows that share it.
    pub(crate) fn of(metadata: &Arc<ArrayMetadata>) -> Self {
        TEXTS.with_borrow_mut(|texts| {
            let address = Arc::as_ptr(metadata).addr();
            if let Some((_, text)) = texts.get(&address) {
                return text.clone();
            }
            // Numbers and texts always have a form in JSON.
            let text = serde_json::to_string(&**metadata).unwrap_or_default();
            let quoted = to_raw_value(&text).unwrap_or_default();
            let text = Self {
                digest: half_hash(text.as_bytes()),
                text: text.into(),
                quoted: quoted.into(),
            };
            if texts.len() >= MOST_KNOWN {
                texts.clear();
            }
            texts.insert(address, (Arc::clone(metadata), text.clone()));
            text
        })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The first half of a hash of the text.
    pub(crate) fn digest(&self) -> [u8; 16] {
        self.digest
    }
}

impl Serialize for MetadataText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.quoted.serialize(serializer)
    }
}

impl PartialEq for MetadataText {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for MetadataText {}

impl Hash for MetadataText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl ArrayMetadata {
    /// Reads what a [`MetadataText`] says; `None` if it is something else.
    pub(crate) fn parse(text: &str) -> Option<Arc<Self>> {
        KNOWN.with_borrow_mut(|known| {
            // A listing has the same text in thousands of rows; parsing each would take most of its
            // time.
            if let Some(metadata) = known.get(text) {
                return Some(Arc::clone(metadata));
            }
            let metadata: Arc<Self> = Arc::new(serde_json::from_str(text).ok()?);
            if known.len() >= MOST_KNOWN {
                // As a whole: what is still in use comes back with the next row.
                known.clear();
            }
            known.insert(text.to_owned(), Arc::clone(&metadata));
            Some(metadata)
        })
    }

    /// The fill value as a value of JSON.
    pub(crate) fn fill(&self) -> Option<serde_json::Value> {
        serde_json::from_str(self.fill_value.as_ref()?).ok()
    }

    /// What the metadata of a pyramid says: that of its levels together.
    pub(crate) fn of_levels(levels: Vec<LevelMetadata>) -> Self {
        let first = levels.iter().find_map(|level| level.array.clone());
        Self {
            levels,
            ..first.unwrap_or_default()
        }
    }

    /// Levels that a pyramid names and that are not there, as a clause that names them: `level s1
    /// is missing`; `None` if all are there.
    pub(crate) fn missing_levels(&self) -> Option<String> {
        let absent = self.levels.iter().filter(|level| level.array.is_none());
        name_levels(absent.map(|level| level.path.as_str()))
    }

    /// Number of chunks, or shards, if all are there, of all levels if it is a pyramid. `None` if
    /// that is unknown, as it is if a level is not there.
    #[must_use]
    pub fn chunks_expected(&self) -> Option<u64> {
        let are_all = self.levels.iter().all(|level| level.array.is_some());
        let grid = self.grid().filter(|_| are_all);
        grid.map(|grid| grid.total())
    }

    /// The chunks, or shards, that the array has if all are there; `None` if that is unknown. Those
    /// of a pyramid are the chunks of all levels that are there, one level after the other.
    #[must_use]
    pub fn grid(&self) -> Option<ChunkGrid> {
        let mut grid = ChunkGrid {
            parts: Vec::with_capacity(self.levels.len().max(1)),
        };
        if self.levels.is_empty() {
            grid.add("", self)?;
        }
        for LevelMetadata { path, array } in &self.levels {
            if let Some(array) = array {
                grid.add(path, array)?;
            }
        }
        Some(grid)
    }
}

/// Names levels that are missing; `None` if there are none.
pub(crate) fn name_levels<'a>(paths: impl Iterator<Item = &'a str>) -> Option<String> {
    let paths: Vec<&str> = paths.collect();
    match paths.as_slice() {
        [] => None,
        [path] => Some(format!("level {path} is missing")),
        paths => Some(format!("levels {} are missing", paths.join(", "))),
    }
}

/// Most chunks of a grid, so that sums over ten million arrays stay in the range of the catalog's
/// integers.
const MOST_CHUNKS: u64 = 1 << 38;

/// The chunks, or shards, of an array, or of the levels of a pyramid. Each has a place: its number
/// in C order, after those of the levels before its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkGrid {
    parts: Vec<GridPart>,
}

/// The chunks of a single array.
#[derive(Debug, Clone, PartialEq, Eq)]
struct GridPart {
    /// Path of the level, with a `/` after it; empty for a single array.
    folder: String,
    /// Place of its first chunk.
    first: u64,
    counts: Vec<u64>,
    total: u64,
    keys: ChunkKeys,
}

impl ChunkGrid {
    /// Adds the chunks of a level; `None` if they are unknown, or too many.
    fn add(&mut self, path: &str, array: &ArrayMetadata) -> Option<()> {
        let shape = array.shape.as_ref()?;
        // With shards, a file is a shard, and files are what is counted.
        let lengths = array.shards.as_ref().or(array.chunks.as_ref())?;
        let keys = array.keys?;
        // Nothing checks a row for this: they may differ in a damaged one.
        if shape.len() != lengths.len() {
            return None;
        }
        let counts: Vec<u64> = shape
            .iter()
            .zip(lengths)
            .map(|(extent, length)| match extent {
                // Along an axis without extent there are no chunks, whatever their length.
                0 => Some(0),
                _ => (*length > 0).then(|| extent.div_ceil(*length)),
            })
            .collect::<Option<_>>()?;
        let total = counts.iter().try_fold(1_u64, |total, &count| {
            total
                .checked_mul(count)
                .filter(|&total| total <= MOST_CHUNKS)
        });
        // A product of 0 is 0 whatever the other factors are.
        let total = match counts.contains(&0) {
            true => 0,
            false => total?,
        };
        let first = self.total();
        if first + total > MOST_CHUNKS {
            return None;
        }
        let folder = match path {
            "" => String::new(),
            path => format!("{path}/"),
        };
        self.parts.push(GridPart {
            folder,
            first,
            counts,
            total,
            keys,
        });
        Some(())
    }

    /// Number of chunks if all are there.
    #[must_use]
    pub fn total(&self) -> u64 {
        // Both are bounded, so the sum does not overflow.
        self.parts.last().map_or(0, |part| part.first + part.total)
    }

    /// The place of a chunk, by its path relative to the array or to the group of the pyramid;
    /// `None` if the path is not that of a chunk.
    #[must_use]
    pub fn index_of(&self, path: &str) -> Option<u64> {
        self.parts.iter().find_map(|part| {
            let index = part.index_of(path.strip_prefix(&part.folder)?)?;
            Some(part.first + index)
        })
    }

    /// The path of a chunk relative to the array, or to the group of the pyramid, by its place.
    #[must_use]
    pub fn key(&self, index: u64) -> String {
        let mut parts = self.parts.iter();
        let part = parts.find(|part| index < part.first + part.total);
        let key = |part: &GridPart| format!("{}{}", part.folder, part.key(index - part.first));
        part.map(key).unwrap_or_default()
    }

    /// Names chunks that are missing: `chunk 0/0/1 is missing`. `lost`: the first of them, and the
    /// number of all.
    pub(crate) fn missing(&self, (first, count): &(Vec<u64>, u64)) -> String {
        let keys: Vec<String> = first.iter().map(|&index| self.key(index)).collect();
        let more = count.saturating_sub(first.len() as u64);
        match (*count, more) {
            (1, 0) => format!("chunk {} is missing", keys.join("")),
            (_, 0) => format!("chunks {} are missing", keys.join(", ")),
            _ => {
                let more = words::number(more);
                format!("chunks {} and {more} more are missing", keys.join(", "))
            }
        }
    }

    /// The chunks of this grid that a set of another one has, level by level. Levels that the other
    /// one does not have give none. `None` if a level has other chunks in it than here.
    pub(crate) fn take_over(&self, other: &Self, set: &ChunkSet) -> Option<ChunkSet> {
        if self == other {
            return Some(set.clone());
        }
        let mut runs = Vec::new();
        for part in &self.parts {
            let mut parts = other.parts.iter();
            if let Some(there) = parts.find(|there| there.folder == part.folder) {
                runs.extend(part.take_over(there, set)?);
            }
        }
        ChunkSet::of_runs(runs)
    }

    /// The chunks of this grid that its levels have by themselves, given with their paths and grids.
    /// `None` if a level has other chunks in it than here.
    pub(crate) fn of_levels(&self, levels: &[(&str, Self, ChunkSet)]) -> Option<ChunkSet> {
        let mut runs = Vec::new();
        for part in &self.parts {
            let path = part.folder.trim_end_matches('/');
            let (_, grid, set) = levels.iter().find(|(level, ..)| *level == path)?;
            let [there] = grid.parts.as_slice() else {
                return None;
            };
            runs.extend(part.take_over(there, set)?);
        }
        ChunkSet::of_runs(runs)
    }
}

impl GridPart {
    /// The runs of this part that a set has by the places of another part. `None` if that one has
    /// other chunks.
    fn take_over(&self, there: &Self, set: &ChunkSet) -> Option<Vec<(u64, u64)>> {
        if (&self.counts, self.keys) != (&there.counts, there.keys) {
            return None;
        }
        let last = there.first + there.total;
        let moved = set.runs().filter_map(|(first, length)| {
            let (first, end) = (first.max(there.first), (first + length).min(last));
            (first < end).then(|| (first - there.first + self.first, end - first))
        });
        Some(moved.collect())
    }

    fn index_of(&self, path: &str) -> Option<u64> {
        match self.keys {
            ChunkKeys::Dotted => self.read(path, '.'),
            ChunkKeys::Nested => self.read(path, '/'),
            ChunkKeys::Either => self.read(path, '.').or_else(|| self.read(path, '/')),
            ChunkKeys::DefaultNested => self.after_c(path, '/'),
            ChunkKeys::DefaultDotted => self.after_c(path, '.'),
        }
    }

    fn after_c(&self, path: &str, separator: char) -> Option<u64> {
        let rest = path.strip_prefix('c')?;
        match (self.counts.is_empty(), rest.strip_prefix(separator)) {
            // An array without axes has one chunk, which is called `c`.
            (true, None) if rest.is_empty() => Some(0),
            (false, Some(rest)) => self.read(rest, separator),
            _ => None,
        }
    }

    fn read(&self, path: &str, separator: char) -> Option<u64> {
        if self.counts.is_empty() {
            // In zarr 2, the one chunk of an array without axes is called `0`.
            return (path == "0").then_some(0);
        }
        let mut parts = path.split(separator);
        let mut index = 0_u64;
        for &count in &self.counts {
            let part = parts.next()?;
            // As it is written: no sign, no zeros before it.
            let is_plain = part.bytes().all(|byte| byte.is_ascii_digit())
                && (part.len() == 1 || !part.starts_with('0'));
            let at: u64 = part.parse().ok().filter(|_| is_plain)?;
            if at >= count {
                return None;
            }
            // In C order, which is a mere numbering here: it does not depend on the order in the
            // data.
            index = index.checked_mul(count)?.checked_add(at)?;
        }
        // With more parts than axes it is no chunk.
        parts.next().is_none().then_some(index)
    }

    fn key(&self, mut index: u64) -> String {
        let mut at = Vec::with_capacity(self.counts.len());
        for &count in self.counts.iter().rev() {
            // An axis without chunks has no index; 1 only keeps the division defined.
            at.push((index % count.max(1)).to_string());
            index /= count.max(1);
        }
        at.reverse();
        let (head, separator) = match self.keys {
            ChunkKeys::Dotted | ChunkKeys::Either => ("", "."),
            ChunkKeys::Nested => ("", "/"),
            ChunkKeys::DefaultNested => ("c", "/"),
            ChunkKeys::DefaultDotted => ("c", "."),
        };
        match (head, at.is_empty()) {
            ("", true) => "0".to_owned(),
            ("", false) => at.join(separator),
            (head, true) => head.to_owned(),
            (head, false) => format!("{head}{separator}{}", at.join(separator)),
        }
    }
}

/// Chunks of an array, by their places in the order of its grid. Kept as the lengths of runs that
/// are there and are not there in turn, because what is left out lies together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ChunkSet(Arc<[u8]>);

impl Serialize for ChunkSet {
    /// As hexadecimal digits.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digits = self.0.iter().map(|byte| format!("{byte:02x}"));
        serializer.serialize_str(&digits.collect::<String>())
    }
}

impl<'de> Deserialize<'de> for ChunkSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits: Option<Vec<u8>> = text
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect();
        // A set ends with the run that passes the bound: two numbers of at most ten bytes.
        let bytes = digits.filter(|bytes| bytes.len() <= MOST_SET + 20);
        bytes
            .map(|bytes| Self(bytes.into()))
            .ok_or_else(|| serde::de::Error::custom("this is no set of chunks"))
    }
}

impl ChunkSet {
    /// The set of these chunks; `None` if it takes too much space.
    #[must_use]
    pub fn of(mut indices: Vec<u64>) -> Option<Self> {
        indices.sort_unstable();
        // If either separator may be used, two names can mean one chunk.
        indices.dedup();
        let runs = indices.chunk_by(|one, next| *next == one + 1);
        Self::of_runs(runs.filter_map(|run| Some((*run.first()?, run.len() as u64))))
    }

    /// The set of these runs, which ascend; `None` if it takes too much space.
    fn of_runs(runs: impl IntoIterator<Item = (u64, u64)>) -> Option<Self> {
        let mut bytes = Vec::new();
        let mut end = 0;
        for (first, length) in runs {
            // Gap and length in turn: what is there mostly lies together, so these are few.
            push(&mut bytes, first - end);
            push(&mut bytes, length);
            end = first + length;
            if bytes.len() > MOST_SET {
                return None;
            }
        }
        Some(Self(bytes.into()))
    }

    /// The bytes of the set, for the catalog.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Reads the bytes of a set. What makes no sense in them is left out.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// The set of all chunks of an array that has so many.
    pub(crate) fn all(total: u64) -> Self {
        let mut bytes = Vec::new();
        push(&mut bytes, 0);
        push(&mut bytes, total);
        Self(bytes.into())
    }

    /// How many chunks it has.
    pub(crate) fn count(&self) -> u64 {
        // The sum is at most the end of the last run, which does not overflow.
        self.runs().map(|(_, length)| length).sum()
    }

    /// The runs of chunks that are there: first and number.
    fn runs(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let mut rest: &[u8] = &self.0;
        let mut end = 0_u64;
        std::iter::from_fn(move || {
            // The bytes may be those of a damaged row: a number that overflows ends the set.
            let first = end.checked_add(pull(&mut rest)?)?;
            let length = pull(&mut rest)?;
            end = first.checked_add(length)?;
            Some((first, length))
        })
    }

    /// The first chunks below `total` that are in neither this set nor, if it is given, outside
    /// of `of`; and the number of all of them.
    #[must_use]
    pub fn lacks(&self, of: Option<&Self>, total: u64, most: usize) -> (Vec<u64>, u64) {
        let all = vec![(0, total)];
        let wanted: Vec<(u64, u64)> = of.map_or(all, |of| of.runs().collect());
        let (mut first, mut count) = (Vec::new(), 0_u64);
        let mut here = self.runs().peekable();
        for (start, length) in wanted {
            let (mut at, end) = (start, start.saturating_add(length).min(total));
            while at < end {
                // Both lists ascend, so runs that end before this place are done with.
                while here
                    .next_if(|(first, length)| first + length <= at)
                    .is_some()
                {}
                let next = here.peek().copied().unwrap_or((end, 0));
                if next.0 <= at {
                    at = next.0 + next.1;
                    continue;
                }
                let until = next.0.min(end);
                // All are counted, and only the first few are named.
                count += until - at;
                let room = most - first.len();
                first.extend((at..until).take(room));
                at = until;
            }
        }
        (first, count)
    }
}

fn push(bytes: &mut Vec<u8>, mut number: u64) {
    // LEB128: seven bits a byte, and the highest bit says that more follow.
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn pull(bytes: &mut &[u8]) -> Option<u64> {
    let (mut number, mut shift) = (0_u64, 0);
    loop {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        // Ten bytes hold 64 bits; a longer number is damage.
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return Some(number);
        }
        shift += 7;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(shape: &[u64], chunks: &[u64], keys: ChunkKeys) -> ChunkGrid {
        let metadata = ArrayMetadata {
            shape: Some(shape.to_vec()),
            chunks: Some(chunks.to_vec()),
            keys: Some(keys),
            ..ArrayMetadata::default()
        };
        assert_eq!(
            ArrayMetadata::parse(MetadataText::of(&Arc::new(metadata.clone())).as_str()).as_deref(),
            Some(&metadata)
        );
        metadata.grid().unwrap()
    }

    #[test]
    fn keys_and_places_are_one_both_ways() {
        use ChunkKeys::{DefaultDotted, DefaultNested, Dotted, Either, Nested};
        let cases = [
            (Dotted, "1.0.2"),
            (Nested, "1/0/2"),
            (Either, "1.0.2"),
            (DefaultNested, "c/1/0/2"),
            (DefaultDotted, "c.1.0.2"),
        ];
        for (keys, key) in cases {
            let grid = grid(&[4, 1, 9], &[2, 1, 3], keys);
            assert_eq!(grid.total(), 6);
            assert_eq!(grid.index_of(key), Some(5), "{key}");
            for index in 0..6 {
                assert_eq!(grid.index_of(&grid.key(index)), Some(index));
            }
            for other in [
                "1",
                "1.0",
                "2.0.0",
                "c/2/0/0",
                "0.0.00",
                "0.0.+1",
                "a",
                "",
                ".zarray",
                "c",
                "c/",
                "zarr.json",
                "0.0.0.partial",
                "0.0.0.0",
                "c/0/0/0/0",
            ] {
                assert_eq!(grid.index_of(other), None, "{keys:?} {other}");
            }
        }
        let either = grid(&[4, 4], &[2, 2], Either);
        assert_eq!(either.index_of("1/0"), Some(2));
    }

    #[test]
    fn an_array_without_axes_has_one_chunk_and_one_without_extent_none() {
        for (keys, key) in [
            (ChunkKeys::Dotted, "0"),
            (ChunkKeys::Nested, "0"),
            (ChunkKeys::DefaultNested, "c"),
            (ChunkKeys::DefaultDotted, "c"),
        ] {
            let point = grid(&[], &[], keys);
            assert_eq!((point.total(), point.key(0).as_str()), (1, key));
            assert_eq!(point.index_of(key), Some(0));
            assert_eq!(point.index_of("1"), None);
            let empty = grid(&[0, 4], &[0, 2], keys);
            assert_eq!(empty.total(), 0);
            assert_eq!(empty.index_of("0.0"), None);
        }
    }

    #[test]
    fn a_grid_that_cannot_be_counted_is_unknown() {
        let metadata = ArrayMetadata {
            shape: Some(vec![u64::MAX, u64::MAX]),
            chunks: Some(vec![1, 1]),
            keys: Some(ChunkKeys::Dotted),
            ..ArrayMetadata::default()
        };
        assert_eq!(metadata.grid(), None);
        let shorter = ArrayMetadata {
            shape: Some(vec![1]),
            ..metadata
        };
        assert_eq!(shorter.grid(), None);
    }

    #[test]
    fn a_set_says_what_it_lacks() {
        let set = ChunkSet::of(vec![7, 0, 1, 2, 5, 1]).unwrap();
        assert_eq!(ChunkSet::from_bytes(set.as_bytes()), set);
        assert_eq!(set.lacks(None, 9, 10), (vec![3, 4, 6, 8], 4));
        assert_eq!(set.lacks(None, 9, 2), (vec![3, 4], 4));
        let sealed = ChunkSet::of(vec![0, 3, 7, 8]).unwrap();
        assert_eq!(set.lacks(Some(&sealed), 9, 10), (vec![3, 8], 2));
        let none = ChunkSet::of(Vec::new()).unwrap();
        assert_eq!(none.lacks(None, 2, 10), (vec![0, 1], 2));
        assert_eq!(none.lacks(None, 0, 10), (vec![], 0));
        // Every other chunk of many takes too much space.
        assert_eq!(ChunkSet::of((0..100_000).map(|at| at * 2).collect()), None);
        // Bytes of a row may be anything.
        let odd = ChunkSet::from_bytes(&[0xff; 32]);
        assert_eq!(odd.lacks(None, 3, 10), (vec![0, 1, 2], 3));
    }
}
