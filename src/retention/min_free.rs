//! The limit `min-free`: a number of bytes, or a percentage of the file system.

use std::fmt;
use std::str::FromStr;

use crate::model::size::ByteCount;

/// How much must be free on the file system.
///
/// `FromStr` reads a size such as `1TB`, or a percentage with at most two decimals such as `10%`.
/// `Display` writes `931.3 GiB` or `10%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MinFree {
    /// This many bytes.
    Bytes(u64),
    /// This part of the size of the file system that has the base directory.
    Percent(Percent),
}

/// A percentage above 0 and up to 100, in steps of a hundredth. `Display` writes `2.5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percent {
    hundredths: u16,
}

/// Hundredths of a percent in a whole.
const WHOLE: u16 = 10_000;

/// The text is neither a size nor a percentage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseMinFreeError {
    /// It has no `%` and is not a size.
    #[error(
        "\"{}\" is not a size; write 500GB, 1.5TiB, a number of bytes, or 10% of the file system",
        .0.escape_debug()
    )]
    Size(String),
    /// It ends in `%`, and what is before that is not a number with at most two decimals.
    #[error(
        "\"{}\" is not a percentage; write 10%, 2.5%, or a size such as 500GB",
        .0.escape_debug()
    )]
    Percent(String),
    /// The percentage is 0.
    #[error("{0} means nothing: it always holds; write more than 0%, such as 10%, or leave it out")]
    Zero(String),
    /// The percentage is above 100.
    #[error(
        "{0} is more than the file system has; write at most 100%, such as 10%, or a size such as \
         500GB"
    )]
    TooMuch(String),
}

impl MinFree {
    /// The bytes that must be free on a file system of this size.
    #[must_use]
    pub fn bytes_of(self, disk_bytes: u64) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Percent(percent) => percent.of(disk_bytes),
        }
    }
}

impl Percent {
    /// This part of a number of bytes, rounded up.
    fn of(self, bytes: u64) -> u64 {
        let part = u128::from(bytes) * u128::from(self.hundredths);
        // At most the whole, so it fits.
        u64::try_from(part.div_ceil(u128::from(WHOLE))).unwrap_or(u64::MAX)
    }

    /// Reads what is before the `%`.
    fn read(text: &str, number: &str) -> Result<Self, ParseMinFreeError> {
        let unread = || ParseMinFreeError::Percent(text.to_owned());
        let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
        let is_number =
            |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        // Digits only: the parser of integers would take a sign.
        if !is_number(whole) || !is_number(decimals) {
            return Err(unread());
        }
        let decimals = decimals.trim_end_matches('0');
        if decimals.len() > 2 {
            return Err(unread());
        }
        // Only a number that is out of range in any case does not parse.
        let whole = whole.parse::<u64>().unwrap_or(u64::MAX);
        let decimals = format!("{decimals:0<2}").parse::<u64>().unwrap_or(0);
        let hundredths = whole.saturating_mul(100).saturating_add(decimals);
        match u16::try_from(hundredths) {
            Ok(0) => Err(ParseMinFreeError::Zero(text.to_owned())),
            Ok(hundredths) if hundredths <= WHOLE => Ok(Self { hundredths }),
            _ => Err(ParseMinFreeError::TooMuch(text.to_owned())),
        }
    }
}

impl From<u64> for MinFree {
    fn from(bytes: u64) -> Self {
        Self::Bytes(bytes)
    }
}

impl FromStr for MinFree {
    type Err = ParseMinFreeError;

    fn from_str(text: &str) -> Result<Self, ParseMinFreeError> {
        match text.strip_suffix('%') {
            Some(number) => Percent::read(text, number.trim()).map(Self::Percent),
            None => match text.parse::<ByteCount>() {
                Ok(size) => Ok(Self::Bytes(size.0)),
                Err(error) => Err(ParseMinFreeError::Size(error.0)),
            },
        }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, decimals) = (self.hundredths / 100, self.hundredths % 100);
        match decimals {
            0 => write!(f, "{whole}"),
            _ if decimals % 10 == 0 => write!(f, "{whole}.{}", decimals / 10),
            _ => write!(f, "{whole}.{decimals:02}"),
        }
    }
}

impl fmt::Display for MinFree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => ByteCount(*bytes).fmt(f),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_of_the_file_system() {
        for (text, disk, bytes) in [
            ("10%", 1000, 100),
            ("10 %", 1000, 100),
            ("100%", 1000, 1000),
            ("2.5%", 1000, 25),
            ("0.01%", 10_000, 1),
            // Rounded up: less would not be the percentage.
            ("10%", 1001, 101),
            ("0.01%", 1, 1),
            ("100.00%", u64::MAX, u64::MAX),
            ("50%", u64::MAX, 1 << 63),
            ("1KiB", 5, 1024),
        ] {
            let min_free: MinFree = text.parse().unwrap();
            assert_eq!(min_free.bytes_of(disk), bytes, "{text} of {disk}");
        }
    }

    #[test]
    fn it_is_written_as_it_is_typed() {
        for (text, written) in [
            ("10%", "10%"),
            ("010.0 %", "10%"),
            ("2.50%", "2.5%"),
            ("0.05%", "0.05%"),
            ("5GiB", "5.0 GiB"),
        ] {
            let min_free: MinFree = text.parse().unwrap();
            assert_eq!(min_free.to_string(), written);
        }
    }

    #[test]
    fn what_is_no_percentage_says_what_to_write() {
        for (text, says) in [
            (
                "0%",
                "0% means nothing: it always holds; write more than 0%",
            ),
            ("0.00%", "0.00% means nothing"),
            (
                "100.01%",
                "100.01% is more than the file system has; write at most 100%",
            ),
            ("150%", "150% is more than"),
            (
                "99999999999999999999999%",
                "is more than the file system has",
            ),
            ("%", "\"%\" is not a percentage; write 10%"),
            ("-5%", "is not a percentage"),
            ("+5%", "is not a percentage"),
            ("1.%", "is not a percentage"),
            (".5%", "is not a percentage"),
            ("1.005%", "is not a percentage"),
            ("1e1%", "is not a percentage"),
            ("10%%", "is not a percentage"),
            ("NaN%", "is not a percentage"),
            (
                "%10",
                "is not a size; write 500GB, 1.5TiB, a number of bytes, or 10%",
            ),
            ("much", "is not a size"),
        ] {
            let error = text.parse::<MinFree>().unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
