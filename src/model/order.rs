//! The order of a listing.

use std::str::FromStr;

/// By which value artifacts are sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SortKey {
    /// Name of the run.
    Run,
    /// Iteration.
    Iteration,
    /// Kind.
    Kind,
    /// Dataset.
    Dataset,
    /// Parameters.
    Parameters,
    /// Path of the container.
    Container,
    /// State.
    State,
    /// Bytes; of an array whose size was not counted it is absent.
    Bytes,
    /// Files.
    Files,
    /// Bytes on disk.
    DiskBytes,
    /// When it was recorded.
    RecordedAt,
    /// When it was written or, if no data was seen, recorded.
    WrittenAt,
    /// Time since then, the youngest first.
    Age,
    /// When it was sealed.
    SealedAt,
    /// Whether a pin binds it, those first.
    Pinned,
    /// A metric: of the scores that are for it, that which names most of dataset and parameters.
    Score(String),
}

/// Names that [`SortKey`] is parsed from, besides `score:METRIC`.
const NAMES: [(&str, SortKey); 20] = [
    ("run", SortKey::Run),
    ("iteration", SortKey::Iteration),
    ("kind", SortKey::Kind),
    ("dataset", SortKey::Dataset),
    ("parameters", SortKey::Parameters),
    ("container", SortKey::Container),
    ("state", SortKey::State),
    ("size", SortKey::Bytes),
    ("bytes", SortKey::Bytes),
    ("files", SortKey::Files),
    ("disk_bytes", SortKey::DiskBytes),
    ("recorded", SortKey::RecordedAt),
    ("recorded_at", SortKey::RecordedAt),
    ("written", SortKey::WrittenAt),
    ("written_at", SortKey::WrittenAt),
    ("age", SortKey::Age),
    ("sealed", SortKey::SealedAt),
    ("sealed_at", SortKey::SealedAt),
    ("pinned", SortKey::Pinned),
    ("pins", SortKey::Pinned),
];

/// The text is no [`SortKey`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "artifacts are not sorted by that; sort by age, size, files, iteration, run, kind, dataset, \
     parameters, container, state, written, recorded, sealed, pinned, disk_bytes or \
     score:METRIC"
)]
#[non_exhaustive]
pub struct ParseSortKeyError;

impl FromStr for SortKey {
    type Err = ParseSortKeyError;

    /// Reads the name of a column, or `score:METRIC`.
    ///
    /// # Errors
    /// [`ParseSortKeyError`] if it is neither.
    fn from_str(text: &str) -> Result<Self, ParseSortKeyError> {
        if let Some(metric) = text.strip_prefix("score:").filter(|it| !it.is_empty()) {
            return Ok(Self::Score(metric.to_owned()));
        }
        let named = NAMES.iter().find(|(name, _)| *name == text);
        named.map(|(_, key)| key.clone()).ok_or(ParseSortKeyError)
    }
}

/// The order of a listing. What has no value comes last, in either direction.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Order<K = SortKey> {
    /// The value.
    pub by: K,
    /// Whether the highest comes first.
    pub reverse: bool,
}

impl<K> Order<K> {
    /// Sorts by a value, the lowest first.
    #[must_use]
    pub fn new(by: K) -> Self {
        Self { by, reverse: false }
    }

    /// Sets whether the highest comes first.
    #[must_use]
    pub fn reverse(mut self, reverse: bool) -> Self {
        self.reverse = reverse;
        self
    }
}

/// A key by which paths sort as people read them: numbers in them as numbers.
pub(crate) fn natural(path: &str) -> Vec<(String, Option<u64>)> {
    let mut parts = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        let is_digit = |c: char| c.is_ascii_digit();
        let (text, behind) = rest.split_at(rest.find(is_digit).unwrap_or(rest.len()));
        let end = behind.find(|c| !is_digit(c)).unwrap_or(behind.len());
        let (number, behind) = behind.split_at(end);
        parts.push((text.to_owned(), number.parse().ok()));
        rest = behind;
    }
    parts
}
