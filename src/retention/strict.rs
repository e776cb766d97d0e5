//! Readers of configuration values that refuse what serde's derived readers would take.
//!
//! A derived struct also reads a list, field by field in the order of its definition: a mistake in
//! `config.toml` would then become a policy that removes data. So every table is read by [`table`].

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

struct TableVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for TableVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// Reads a struct from a table, and from nothing else.
///
/// # Errors
/// That of the deserializer if the value is not a table, or a field of it is wrong.
pub fn table<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    // `any`, so that the visitor sees what is there and can refuse it.
    deserializer.deserialize_any(TableVisitor(PhantomData))
}

/// The same for a table that may be absent.
///
/// # Errors
/// As [`table`].
pub fn optional_table<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    table(deserializer).map(Some)
}

/// A count or number of bytes, within the integers of TOML: 0 to 2^63 - 1.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct WholeNumber(pub(super) u64);

impl WholeNumber {
    /// Checks an integer.
    pub(super) fn new<E: Error>(number: i128) -> Result<Self, E> {
        if number < 0 {
            return Err(E::custom(format_args!("{number} is negative")));
        }
        // Integers of TOML have 63 bits and a sign, so a larger one could not be written back.
        match i64::try_from(number) {
            Ok(number) => Ok(Self(number.unsigned_abs())),
            Err(_) => Err(E::custom(format_args!("{number} is over {}", i64::MAX))),
        }
    }
}

impl<'de> Deserialize<'de> for WholeNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CountVisitor;

        impl Visitor<'_> for CountVisitor {
            type Value = WholeNumber;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<WholeNumber, E> {
                WholeNumber::new(number.into())
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<WholeNumber, E> {
                WholeNumber::new(number.into())
            }

            fn visit_i128<E: Error>(self, number: i128) -> Result<WholeNumber, E> {
                WholeNumber::new(number)
            }
        }

        deserializer.deserialize_any(CountVisitor)
    }
}
