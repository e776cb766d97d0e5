//! Values of a policy as text: lengths of time and lists.

use std::fmt;
use std::time::Duration;

/// A length of time as people write it, such as `90d` or `1d 12h`. Reads back as it was.
pub(crate) fn length(time: Duration) -> String {
    let mut seconds = time.as_secs();
    let mut parts = Vec::new();
    // `humantime` alone would write months of 30.44 days and years of 365.25.
    for (unit, of_unit) in [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)] {
        if seconds >= of_unit {
            parts.push(format!("{}{unit}", seconds / of_unit));
            seconds %= of_unit;
        }
    }
    let rest = Duration::from_nanos(time.subsec_nanos().into());
    if !rest.is_zero() || parts.is_empty() {
        parts.push(humantime::format_duration(rest).to_string());
    }
    parts.join(" ")
}

/// Values as one text.
pub(super) fn joined<T: fmt::Display>(values: &[T], separator: &str) -> String {
    let texts: Vec<String> = values.iter().map(ToString::to_string).collect();
    texts.join(separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_read_back_as_they_were() {
        let cases = [
            (0, "0s"),
            (1, "1ns"),
            (90 * 86_400_000_000_000, "90d"),
            (129_605_000_000_000, "1d 12h 5s"),
            (60_001_000_000, "1m 1ms"),
        ];
        for (nanoseconds, text) in cases {
            let time = Duration::from_nanos(nanoseconds);
            assert_eq!(length(time), text);
            assert_eq!(humantime::parse_duration(text), Ok(time));
        }
    }
}
