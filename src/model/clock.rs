//! Points in time as the catalog stores them, lengths of time as text, and the one place that reads
//! the clock.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, SecondsFormat, Timelike, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time: milliseconds since 1970-01-01 UTC. `Display` and serde write RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The last that a name or a text with a year of four digits can have.
    pub(crate) const LAST: Self = Self(253_402_300_799_999);

    /// The time itself, if it is one from 1970 to the year 9999; `None` of another number, which some
    /// other program wrote.
    #[must_use]
    pub fn if_known(self) -> Option<Self> {
        (Self(0)..=Self::LAST).contains(&self).then_some(self)
    }

    /// The time this much earlier; stops at the lowest number of milliseconds.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// The time this much later; stops at the highest number of milliseconds.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// The time to the second as `20231114T221320Z`, for file names.
    #[must_use]
    pub fn compact(self) -> String {
        // Beyond chrono's range the name falls back to 1970: it must only be a valid file name.
        let time = DateTime::<Utc>::from_timestamp_millis(self.0).unwrap_or_default();
        time.format("%Y%m%dT%H%M%SZ").to_string()
    }

    /// The age at `now`; `None` if the time is after `now`.
    #[must_use]
    pub fn age_at(self, now: Self) -> Option<Duration> {
        // A time after `now` gives a negative number, which has no `u64`.
        u64::try_from(now.0.saturating_sub(self.0))
            .ok()
            .map(Duration::from_millis)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(time) = DateTime::<Utc>::from_timestamp_millis(self.0) else {
            // Rows and files can hold any 64-bit number; chrono has dates for about 262,000 years.
            return write!(f, "{} ms", self.0);
        };
        match text_of(&time) {
            Some(text) => f.pad(str::from_utf8(&text).unwrap_or_default()),
            // Other years have a sign or more than four digits.
            None => f.pad(&time.to_rfc3339_opts(SecondsFormat::Millis, true)),
        }
    }
}

/// RFC 3339 of a year with four digits. A listing writes three times a row, and chrono's formatter
/// takes several times as long.
fn text_of(time: &DateTime<Utc>) -> Option<[u8; 24]> {
    // RFC 3339 has four digits for a year.
    let year = u32::try_from(time.year())
        .ok()
        .filter(|year| *year <= 9999)?;
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let mut put = |at: usize, digits: usize, mut number: u32| {
        for digit in text[at..at + digits].iter_mut().rev() {
            *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
            number /= 10;
        }
    };
    put(0, 4, year);
    put(5, 2, time.month());
    put(8, 2, time.day());
    put(11, 2, time.hour());
    put(14, 2, time.minute());
    put(17, 2, time.second());
    put(20, 3, time.timestamp_subsec_millis());
    Some(text)
}

/// The text is not a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{}\" is not a time; write 2026-11-20, or 2026-11-20T08:00:00Z", .0.escape_debug())]
#[non_exhaustive]
pub struct ParseTimeError(pub String);

impl FromStr for Timestamp {
    type Err = ParseTimeError;

    /// Reads RFC 3339, such as `2026-11-20T08:00:00+01:00`, or a day, which is its first
    /// millisecond in UTC.
    fn from_str(text: &str) -> Result<Self, ParseTimeError> {
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self(time.timestamp_millis()));
        }
        // A day is taken in UTC on every host, so that a filter selects the same everywhere.
        let day = text.parse::<NaiveDate>();
        let day = day.map_err(|_| ParseTimeError(text.to_owned()))?;
        Ok(Self(
            day.and_time(NaiveTime::MIN).and_utc().timestamp_millis(),
        ))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // Only whole times: unlike a filter, what is read here was written by a program.
        let time = DateTime::parse_from_rfc3339(&text).map_err(|error| {
            serde::de::Error::custom(format!(
                "\"{text}\" is not a time in RFC 3339, such as 2026-11-22T16:30:00Z: {error}"
            ))
        })?;
        Ok(Self(time.timestamp_millis()))
    }
}

/// The text is not a length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{}\" is not a length of time such as 72h: {why}", .text.escape_debug())]
#[non_exhaustive]
pub struct ParseDurationError {
    /// The text as given.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
}

/// Reads a length of time such as `14d` or `1d 12h`.
///
/// # Errors
/// [`ParseDurationError`] if the text is empty, a number has no unit, or a unit is unknown.
pub fn parse_duration(text: &str) -> Result<Duration, ParseDurationError> {
    humantime::parse_duration(text).map_err(|error| ParseDurationError {
        text: text.to_owned(),
        why: error.to_string(),
    })
}

/// A source of time for a registry. Programs may implement it: new methods get a default.
pub trait Clock: Send + Sync {
    /// The current time.
    fn now(&self) -> Timestamp;
}

/// The clock of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // chrono's own question panics before 1970, where a machine without a battery may begin.
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        Timestamp(since.map_or_else(|before| -millis(before.duration()), millis))
    }
}

/// A clock that always gives the same time, for tests and reproducible results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixedClock(pub Timestamp);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_with_units() {
        for (text, seconds) in [("90s", 90), ("72h", 259_200), ("1d 12h", 129_600)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)));
        }
        for text in ["", "soon", "72", "72 moons"] {
            let error = parse_duration(text).unwrap_err();
            assert_eq!(error.text, text);
            let start = format!("\"{text}\" is not a length of time such as 72h: ");
            assert!(error.to_string().starts_with(&start), "{error}");
        }
    }

    #[test]
    fn times_print_as_rfc_3339_in_utc() {
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(
            Timestamp(1_700_000_000_123).to_string(),
            "2023-11-14T22:13:20.123Z"
        );
    }

    #[test]
    fn every_time_prints_as_chrono_prints_it() {
        let mut times = vec![
            i64::MIN,
            -62_167_219_200_001,
            -62_167_219_200_000,
            -1,
            253_402_300_799_999,
            253_402_300_800_000,
            i64::MAX,
        ];
        times.extend((0..2000).map(|n| n * 12_345_678_901_i64 - 9_000_000_000_000));
        for time in times {
            let chrono = DateTime::<Utc>::from_timestamp_millis(time).map_or_else(
                || format!("{time} ms"),
                |time| time.to_rfc3339_opts(SecondsFormat::Millis, true),
            );
            assert_eq!(Timestamp(time).to_string(), chrono);
        }
    }

    #[test]
    fn the_future_has_no_age() {
        assert_eq!(Timestamp(5).age_at(Timestamp(4)), None);
        assert_eq!(
            Timestamp(4).age_at(Timestamp(5)),
            Some(Duration::from_millis(1))
        );
    }
}
