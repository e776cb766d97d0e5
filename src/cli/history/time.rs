//! Times on the command line: RFC 3339, days, ages.

use chrono::{DateTime, NaiveDate, NaiveTime};

use crate::model::clock::{Clock, SystemClock, Timestamp};

/// A time that was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment(pub(super) Timestamp);

/// Parses the start of a period: a day counts from its first millisecond.
pub(super) fn since(text: &str) -> Result<Moment, String> {
    read(text, NaiveTime::MIN)
}

/// Parses the end of a period: a day counts to its last millisecond.
pub(super) fn until(text: &str) -> Result<Moment, String> {
    let last = NaiveTime::from_hms_milli_opt(23, 59, 59, 999);
    read(text, last.unwrap_or(NaiveTime::MIN))
}

fn read(text: &str, of_day: NaiveTime) -> Result<Moment, String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(Moment(Timestamp(time.timestamp_millis())));
    }
    if let Ok(day) = text.parse::<NaiveDate>() {
        let time = day.and_time(of_day).and_utc();
        return Ok(Moment(Timestamp(time.timestamp_millis())));
    }
    humantime::parse_duration(text)
        .map(|age| Moment(SystemClock.now().minus(age)))
        .map_err(|_| "write 2026-11-20, 2026-11-20T08:00:00Z, or an age such as 7d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_and_ends_in_utc() {
        assert_eq!(since("1970-01-02"), Ok(Moment(Timestamp(86_400_000))));
        assert_eq!(until("1970-01-01"), Ok(Moment(Timestamp(86_399_999))));
        for read in [since, until] {
            let hour = read("1970-01-01T01:00:00+01:00");
            assert_eq!(hour, Ok(Moment(Timestamp(0))));
            assert!(read("7d").unwrap().0 < SystemClock.now());
            for text in ["", "yesterday", "2026-13-01", "7"] {
                assert!(read(text).is_err(), "{text}");
            }
        }
    }
}
