//! Bars for a terminal: a size in proportion to the largest one.

use std::ffi::OsStr;

/// Columns of the longest bar.
const LONGEST: u64 = 20;

/// The characters that a bar is drawn with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Ink {
    /// Block characters, to an eighth of a column.
    Blocks,
    /// `#`, for a terminal without block characters.
    Plain,
}

impl Ink {
    /// The characters for the locale; without a locale, block characters.
    pub(in crate::cli) fn of_environment() -> Self {
        let values = ["LC_ALL", "LC_CTYPE", "LANG"].map(std::env::var_os);
        Self::of_locale(values.iter().flatten().map(AsRef::as_ref))
    }

    /// The first variable that is set and not empty decides.
    fn of_locale<'a>(mut values: impl Iterator<Item = &'a OsStr>) -> Self {
        let value = values.find(|value| !value.is_empty());
        let is_utf8 = value.is_none_or(|value| {
            let value = value.to_string_lossy().to_lowercase();
            value.contains("utf-8") || value.contains("utf8")
        });
        if is_utf8 { Self::Blocks } else { Self::Plain }
    }

    /// The bar of `part`, if the longest bar is that of `longest`: empty for 0, else at least a
    /// mark.
    pub(in crate::cli) fn bar(self, part: u64, longest: u64) -> String {
        let steps = match self {
            Self::Blocks => 8,
            Self::Plain => 1,
        };
        // Bytes times steps can exceed 64 bits.
        let whole = u128::from(longest.max(1));
        let scaled = u128::from(part.min(longest)) * u128::from(LONGEST * steps);
        let length = (scaled + whole / 2) / whole;
        // A part that rounds to no step must not look like nothing.
        let length = u64::try_from(length).unwrap_or(0).max(u64::from(part > 0));
        let (full, rest) = (length / steps, length % steps);
        let mut bar: String = (0..full).map(|_| self.full()).collect();
        bar.extend(eighths(rest));
        bar
    }

    fn full(self) -> char {
        match self {
            Self::Blocks => '█',
            Self::Plain => '#',
        }
    }
}

/// The character that fills this many eighths of a column; none for 0.
fn eighths(number: u64) -> Option<char> {
    let index = usize::try_from(number.checked_sub(1)?).ok()?;
    ['▏', '▎', '▍', '▌', '▋', '▊', '▉'].get(index).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_in_proportion_to_the_longest() {
        let bar = |part, longest| Ink::Blocks.bar(part, longest);
        assert_eq!(bar(7, 7), "█".repeat(20));
        assert_eq!(bar(80, 160), "█".repeat(10));
        for (part, end) in (1..8).zip("▏▎▍▌▋▊▉".chars()) {
            assert_eq!(bar(8 + part, 160), format!("█{end}"));
        }
        assert_eq!(bar(0, 160), "");
        assert_eq!(bar(0, 0), "");
        assert_eq!(bar(1, u64::MAX), "▏", "what is not nothing is seen");
        assert_eq!(bar(u64::MAX, u64::MAX), "█".repeat(20));
        assert_eq!(bar(u64::MAX - 1, u64::MAX), "█".repeat(20));
    }

    #[test]
    fn plain_bars_are_as_long() {
        let bar = |part, longest| Ink::Plain.bar(part, longest);
        assert_eq!(bar(7, 7), "#".repeat(20));
        assert_eq!(bar(3, 6), "#".repeat(10));
        assert_eq!(bar(1, 1_000), "#");
        assert_eq!(bar(0, 1_000), "");
    }

    #[test]
    fn the_first_variable_of_the_locale_that_is_set_decides() {
        let ink = |values: &[&str]| Ink::of_locale(values.iter().map(OsStr::new));
        for values in [
            &[][..],
            &[""],
            &["en_US.UTF-8"],
            &["de_DE.utf8"],
            &["", "C.UTF-8", "C"],
        ] {
            assert_eq!(ink(values), Ink::Blocks, "{values:?}");
        }
        for values in [&["C"][..], &["POSIX", "en_US.UTF-8"], &["", "de_DE@euro"]] {
            assert_eq!(ink(values), Ink::Plain, "{values:?}");
        }
    }
}
