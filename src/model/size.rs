//! Bytes and files, together: quotas count both.

use std::fmt;
use std::str::FromStr;

use bytesize::ByteSize;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

/// A number of bytes. `Display` writes binary units, such as `1.2 GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct ByteCount(pub u64);

impl fmt::Display for ByteCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&ByteSize(self.0).display().iec().to_string())
    }
}

/// The text is not a number of bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{}\" is not a size; write 500GB, 1.5TiB, or a number of bytes",
    .0.escape_debug()
)]
#[non_exhaustive]
pub struct ParseSizeError(pub String);

impl FromStr for ByteCount {
    type Err = ParseSizeError;

    /// Reads a number with a decimal or binary unit, such as `500GB` or `1.5TiB`, or a number of
    /// bytes.
    fn from_str(text: &str) -> Result<Self, ParseSizeError> {
        let size: Result<ByteSize, _> = text.parse();
        size.map(|size| Self(size.as_u64()))
            .map_err(|_| ParseSizeError(text.to_owned()))
    }
}

/// Bytes and files of one artifact. Exhaustive: quotas count these two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Size {
    /// Sum of the lengths of its files, not of their blocks on disk.
    pub bytes: ByteCount,
    /// Number of files; folders are not counted.
    pub files: u64,
}

impl Size {
    /// Adds another size; stops at the highest number.
    pub fn add(&mut self, other: Self) {
        // Damaged rows can hold numbers whose sum is out of range.
        self.bytes.0 = self.bytes.0.saturating_add(other.bytes.0);
        self.files = self.files.saturating_add(other.files);
    }
}

/// Writes the size of what lies beside artifacts as the fields `other_bytes` and `other_files`;
/// both are `null` if it was not counted.
pub(crate) fn as_others<S: Serializer>(
    size: &Option<Size>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut out = serializer.serialize_struct("Others", 2)?;
    out.serialize_field("other_bytes", &size.map(|size| size.bytes))?;
    out.serialize_field("other_files", &size.map(|size| size.files))?;
    out.end()
}

/// Bytes and files of several artifacts, some of which may not have been counted.
///
/// A size that was not counted is unknown, never 0: `uncounted` is the number of such artifacts. If
/// none was counted, `bytes` and `files` serialize to `null`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Total {
    /// Bytes of the counted artifacts.
    pub bytes: ByteCount,
    /// Files of the counted artifacts.
    pub files: u64,
    /// Number of artifacts that were not counted.
    pub uncounted: u64,
}

impl Total {
    /// Adds one artifact; stops at the highest number, because sizes come from files and rows,
    /// which can hold any number.
    pub fn add(&mut self, size: Option<Size>) {
        match size {
            Some(size) => {
                self.bytes.0 = self.bytes.0.saturating_add(size.bytes.0);
                self.files = self.files.saturating_add(size.files);
            }
            None => self.uncounted += 1,
        }
    }

    /// Whether any artifact was counted, or there is none to count.
    #[must_use]
    pub fn is_known(&self) -> bool {
        // Without a file or a byte, nothing shows that any was counted.
        self.uncounted == 0 || self.files > 0 || self.bytes > ByteCount(0)
    }

    /// Adds another total; stops at the highest number.
    pub fn merge(&mut self, other: Self) {
        self.bytes.0 = self.bytes.0.saturating_add(other.bytes.0);
        self.files = self.files.saturating_add(other.files);
        self.uncounted = self.uncounted.saturating_add(other.uncounted);
    }
}

impl Serialize for Total {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // `null` and not 0 if nothing was counted: a script must not take unknown for empty.
        let known = self.is_known();
        let mut out = serializer.serialize_struct("Total", 3)?;
        out.serialize_field("bytes", &known.then_some(self.bytes))?;
        out.serialize_field("files", &known.then_some(self.files))?;
        out.serialize_field("uncounted", &self.uncounted)?;
        out.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_print_in_binary_units() {
        assert_eq!(ByteCount(0).to_string(), "0 B");
        assert_eq!(ByteCount(1023).to_string(), "1023 B");
        assert_eq!(ByteCount(1536).to_string(), "1.5 KiB");
        assert_eq!(ByteCount(5 << 30).to_string(), "5.0 GiB");
    }

    #[test]
    fn sizes_are_read_in_decimal_and_binary_units() {
        for (text, bytes) in [
            ("0", 0),
            ("12", 12),
            ("500GB", 500_000_000_000),
            ("1.5KiB", 1536),
        ] {
            assert_eq!(text.parse(), Ok(ByteCount(bytes)), "{text}");
        }
        for text in ["", "much", "5 apples", "-1", "GB"] {
            let error = text.parse::<ByteCount>().unwrap_err();
            assert_eq!(error, ParseSizeError(text.to_owned()));
            assert!(error.to_string().contains("is not a size; write 500GB"));
        }
    }

    #[test]
    fn sums_end_at_the_highest_number() {
        let most = Size {
            bytes: ByteCount(u64::MAX),
            files: u64::MAX,
        };
        let mut size = most;
        size.add(most);
        assert_eq!(size, most);
        let mut total = Total::default();
        total.add(Some(most));
        total.add(Some(most));
        total.merge(total);
        assert_eq!((total.bytes, total.files), (most.bytes, most.files));
    }

    #[test]
    fn an_unknown_size_is_never_zero() {
        let mut total = Total::default();
        total.add(Some(Size {
            bytes: ByteCount(7),
            files: 2,
        }));
        total.add(None);
        assert_eq!(
            total,
            Total {
                bytes: ByteCount(7),
                files: 2,
                uncounted: 1
            }
        );
        let uncounted = Total {
            uncounted: 2,
            ..Total::default()
        };
        let json = |total: Total| serde_json::to_string(&total).unwrap();
        assert_eq!(
            json(uncounted),
            r#"{"bytes":null,"files":null,"uncounted":2}"#
        );
        assert_eq!(json(total), r#"{"bytes":7,"files":2,"uncounted":1}"#);
        assert_eq!(
            json(Total::default()),
            r#"{"bytes":0,"files":0,"uncounted":0}"#
        );
    }
}
