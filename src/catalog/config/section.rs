//! A table of the configuration while it is read: every value with the place that it stands at.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use toml::{Table, Value};

/// How alike a mistyped key and a known one must be, from 0 to 1.
const ALIKE: f64 = 0.75;

/// A mistake in the configuration, and its place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    place: String,
    what: String,
}

impl Fault {
    pub(super) fn new(place: impl Into<String>, what: impl fmt::Display) -> Self {
        Self {
            place: place.into(),
            what: what.to_string(),
        }
    }

    fn expected(place: impl Into<String>, expected: &str, value: &Value) -> Self {
        let found = value.type_str();
        Self::new(
            place,
            format!("{expected} is expected, and this is of type {found}"),
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// A table whose keys are all known. Reading a value takes it out.
#[derive(Debug)]
pub(super) struct Section {
    place: String,
    table: Table,
}

impl Section {
    /// The whole configuration.
    pub(super) fn root(table: Table, known: &[&str]) -> Result<Self, Fault> {
        Self::checked(String::new(), table, known)
    }

    /// A table at a place.
    pub(super) fn new(place: String, value: Value, known: &[&str]) -> Result<Self, Fault> {
        match value {
            Value::Table(table) => Self::checked(place, table, known),
            value => Err(Fault::expected(place, "a table", &value)),
        }
    }

    fn checked(place: String, table: Table, known: &[&str]) -> Result<Self, Fault> {
        let section = Self { place, table };
        match section
            .table
            .keys()
            .find(|key| !known.contains(&key.as_str()))
        {
            None => Ok(section),
            Some(key) => {
                let nearest = known
                    .iter()
                    .map(|known| (strsim::jaro_winkler(key, known), known))
                    .filter(|(alike, _)| *alike >= ALIKE)
                    .max_by(|(a, _), (b, _)| a.total_cmp(b));
                let advice = match nearest {
                    Some((_, known)) => format!("did you mean {known}?"),
                    None => format!("the keys are {}", known.join(", ")),
                };
                Err(section.fault(key, format!("there is no such key; {advice}")))
            }
        }
    }

    /// Where the table stands.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Where a key of the table stands.
    pub(super) fn place_of(&self, key: &str) -> String {
        let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let key = if !key.is_empty() && key.chars().all(is_bare) {
            key.to_owned()
        } else {
            format!("\"{}\"", key.escape_debug())
        };
        match self.place.as_str() {
            "" => key,
            place => format!("{place}.{key}"),
        }
    }

    pub(super) fn fault(&self, key: &str, what: impl fmt::Display) -> Fault {
        Fault::new(self.place_of(key), what)
    }

    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.table.remove(key)
    }

    pub(super) fn section(&mut self, key: &str, known: &[&str]) -> Result<Option<Self>, Fault> {
        self.take(key)
            .map(|value| Self::new(self.place_of(key), value, known))
            .transpose()
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, Fault> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(value) => Err(Fault::expected(self.place_of(key), "text", &value)),
        }
    }

    /// Reads text as a value of its own.
    pub(super) fn parsed<T: FromStr<Err: fmt::Display>>(
        &mut self,
        key: &str,
    ) -> Result<Option<T>, Fault> {
        let text = self.text(key)?;
        text.map(|text| text.parse().map_err(|error| self.fault(key, error)))
            .transpose()
    }

    pub(super) fn flag(&mut self, key: &str) -> Result<Option<bool>, Fault> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Boolean(flag)) => Ok(Some(flag)),
            Some(value) => Err(Fault::expected(self.place_of(key), "true or false", &value)),
        }
    }

    pub(super) fn time(&mut self, key: &str) -> Result<Option<Duration>, Fault> {
        let Some(text) = self.text(key)? else {
            return Ok(None);
        };
        humantime::parse_duration(&text).map(Some).map_err(|error| {
            let text = text.escape_debug();
            self.fault(
                key,
                format!("\"{text}\" is no length of time such as 72h: {error}"),
            )
        })
    }

    /// Reads a number of things.
    pub(super) fn count(&mut self, key: &str) -> Result<Option<u64>, Fault> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        match value {
            Value::Integer(number) => match u64::try_from(number) {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(self.fault(key, format!("{number} is negative"))),
            },
            value => Err(Fault::expected(self.place_of(key), "an integer", &value)),
        }
    }

    /// Reads a number of bytes: an integer, or text such as `500GB`.
    pub(super) fn bytes(&mut self, key: &str) -> Result<Option<u64>, Fault> {
        let text = match self.table.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Integer(_)) | None => return self.count(key),
            Some(value) => {
                let expected = "an integer, or text such as \"500GB\",";
                return Err(Fault::expected(self.place_of(key), expected, value));
            }
        };
        self.table.remove(key);
        let size: Result<ByteSize, _> = text.parse();
        size.map(|size| Some(size.0)).map_err(|_| {
            let text = text.escape_debug();
            self.fault(
                key,
                format!("\"{text}\" is no size such as 500GB or 1.5TiB"),
            )
        })
    }

    /// Reads a list; each value by `read`, which says what it expects where it reads none.
    pub(super) fn list<T>(
        &mut self,
        key: &str,
        read: impl Fn(Value) -> Result<T, String>,
    ) -> Result<Vec<T>, Fault> {
        match self.take(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(values)) => values
                .into_iter()
                .enumerate()
                .map(|(at, value)| {
                    let place = format!("{}[{at}]", self.place_of(key));
                    read(value).map_err(|what| Fault::new(place, what))
                })
                .collect(),
            Some(value) => Err(Fault::expected(self.place_of(key), "a list", &value)),
        }
    }
}

/// The text of a value in a list.
pub(super) fn text(value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        value => Err(format!(
            "text is expected, and this is of type {}",
            value.type_str()
        )),
    }
}
