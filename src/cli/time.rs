//! Times on the command line: RFC 3339, days, ages.

use std::time::Duration;

use crate::model::clock::{Clock, SystemClock, Timestamp};

/// Parses the start of a period: a day counts from its first millisecond.
pub(super) fn since(text: &str) -> Result<Timestamp, String> {
    read(text, Duration::ZERO)
}

/// Parses the end of a period: a day counts to its last millisecond.
pub(super) fn until(text: &str) -> Result<Timestamp, String> {
    read(text, Duration::from_millis(86_399_999))
}

/// Parses an age; a day or a time means the age that it has now.
pub(super) fn age(text: &str) -> Result<Duration, String> {
    // Read as a time first: its error names every form that is allowed.
    let time = since(text)?;
    if let Ok(age) = humantime::parse_duration(text) {
        return Ok(age);
    }
    let age = time.age_at(SystemClock.now());
    age.ok_or_else(|| "this time is in the future".to_owned())
}

fn read(text: &str, into_the_day: Duration) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        // A day has no time behind it; RFC 3339 allows a small `t` too.
        let is_day = !text.contains([':', 'T', 't']);
        return Ok(if is_day {
            time.plus(into_the_day)
        } else {
            time
        });
    }
    humantime::parse_duration(text)
        .map(|age| SystemClock.now().minus(age))
        .map_err(|_| "write 2026-11-20, 2026-11-20T08:00:00Z, or an age such as 7d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_and_ends_in_utc() {
        assert_eq!(since("1970-01-02"), Ok(Timestamp(86_400_000)));
        assert_eq!(until("1970-01-01"), Ok(Timestamp(86_399_999)));
        for read in [since, until] {
            let hour = read("1970-01-01T01:00:00+01:00");
            assert_eq!(hour, Ok(Timestamp(0)));
            assert!(read("7d").unwrap() < SystemClock.now());
            for text in ["", "yesterday", "2026-13-01", "7"] {
                assert!(read(text).is_err(), "{text}");
            }
        }
    }

    #[test]
    fn an_age_is_a_length_or_a_time_that_has_passed() {
        assert_eq!(age("14d"), Ok(Duration::from_secs(14 * 86_400)));
        let years = age("1970-01-01").unwrap();
        assert!(years > Duration::from_secs(50 * 365 * 86_400));
        assert!(age("9999-01-01").unwrap_err().contains("future"));
        assert!(age("soon").is_err());
    }
}
