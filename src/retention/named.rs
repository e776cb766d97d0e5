//! A policy of the configuration, as a table of TOML: what it is about, and rules for each kind.
//!
//! ```toml
//! [policy.default]
//! run = ["crop*"]
//! older-than = "14d"
//! prediction = { keep-last = 1, keep-best = "voi:min" }
//! output = { keep-best = { count = 3, metric = "voi:min", with = ["checkpoint"] } }
//! ```
//!
//! `older-than` and `allow-empty-group` of the policy hold for every kind that does not set its
//! own; they are written back with the kinds. A policy that was read has passed [`Policy::check`].

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::metric::Metric;
use super::min_free::MinFree;
use super::policy::{KeepBest, KeepRules, Limits, Policy, SelectRules};
use super::strict::{self, WholeNumber};
use super::words::length;
use crate::model::clock::parse_duration;
use crate::model::filter::{IterationRange, Pattern};
use crate::model::key::Kind;
use crate::model::size::ByteCount;

/// A policy that the configuration names: rules for each kind, for some runs and datasets.
///
/// `Display` writes `prediction: keep-last 1; output: keep-best 3 voi:min`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct NamedPolicy {
    /// Runs that it is about; empty means all.
    pub runs: Vec<Pattern>,
    /// Datasets that it is about; empty means all.
    pub datasets: Vec<Pattern>,
    /// The rules of each kind, at least one, in the order of [`Kind::ALL`]. Each selects its own
    /// kind by name.
    pub kinds: Vec<(Kind, Policy)>,
    /// Whether a plan may leave a run without a complete iteration that has one.
    pub allow_incomplete: bool,
}

impl fmt::Display for NamedPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (kind, policy)) in self.kinds.iter().enumerate() {
            let separator = if at == 0 { "" } else { "; " };
            write!(f, "{separator}{kind}: {policy}")?;
        }
        Ok(())
    }
}

/// A key of a policy's table.
enum PolicyKey {
    Run,
    Dataset,
    OlderThan,
    AllowEmptyGroup,
    AllowIncomplete,
    Kind(Kind),
}

impl PolicyKey {
    const SHARED: [(&'static str, Self); 5] = [
        ("run", Self::Run),
        ("dataset", Self::Dataset),
        ("older-than", Self::OlderThan),
        ("allow-empty-group", Self::AllowEmptyGroup),
        ("allow-incomplete", Self::AllowIncomplete),
    ];
}

/// Every key of a policy's table.
static POLICY_KEYS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let shared = PolicyKey::SHARED.map(|(name, _)| name).into_iter();
    shared.chain(Kind::ALL.map(Kind::as_str)).collect()
});

impl<'de> Deserialize<'de> for PolicyKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut shared = Self::SHARED.into_iter();
        match shared.find(|(name, _)| *name == text) {
            Some((_, key)) => Ok(key),
            None => match text.parse() {
                Ok(kind) => Ok(Self::Kind(kind)),
                // As the derived readers say it, so that all unknown keys get the same advice.
                Err(_) => Err(D::Error::unknown_field(&text, &POLICY_KEYS)),
            },
        }
    }
}

struct PolicyVisitor;

impl<'de> Visitor<'de> for PolicyVisitor {
    type Value = NamedPolicy;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of rules for each kind")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NamedPolicy, A::Error> {
        let mut policy = NamedPolicy::default();
        let mut shared = SharedRules::default();
        let mut tables: BTreeMap<Kind, KindTable> = BTreeMap::new();
        // TOML refuses a key that is there twice, so each arm is taken once.
        while let Some(key) = map.next_key()? {
            match key {
                PolicyKey::Run => policy.runs = map.next_value()?,
                PolicyKey::Dataset => policy.datasets = map.next_value()?,
                PolicyKey::OlderThan => {
                    shared.older_than = Some(map.next_value::<Length>()?.0);
                }
                PolicyKey::AllowEmptyGroup => shared.allow_empty_group = map.next_value()?,
                PolicyKey::AllowIncomplete => policy.allow_incomplete = map.next_value()?,
                PolicyKey::Kind(kind) => {
                    tables.insert(kind, map.next_value::<KindTableOnly>()?.0);
                }
            }
        }
        // Only now: the keys that all kinds share may come after them.
        for kind in Kind::ALL {
            // In the order of `Kind::ALL`, whatever the order in the table.
            if let Some(table) = tables.remove(&kind) {
                let rules = table.into_policy(kind, &shared);
                rules
                    .check()
                    .map_err(|error| A::Error::custom(format_args!("{kind}: {error}")))?;
                policy.kinds.push((kind, rules));
            }
        }
        // It would plan nothing, which is hardly what was meant.
        if policy.kinds.is_empty() {
            return Err(A::Error::custom(
                "no kind has rules; write some, such as prediction = { keep-last = 1 }",
            ));
        }
        Ok(policy)
    }
}

impl<'de> Deserialize<'de> for NamedPolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PolicyVisitor)
    }
}

impl Serialize for NamedPolicy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        // Only if it is set: false is the default.
        if self.allow_incomplete {
            map.serialize_entry("allow-incomplete", &true)?;
        }
        if !self.datasets.is_empty() {
            map.serialize_entry("dataset", &self.datasets)?;
        }
        if !self.runs.is_empty() {
            map.serialize_entry("run", &self.runs)?;
        }
        // By name, like the keys of the table of each kind.
        let mut kinds: Vec<&(Kind, Policy)> = self.kinds.iter().collect();
        kinds.sort_by_key(|(kind, _)| kind.as_str());
        for (kind, policy) in kinds {
            map.serialize_entry(kind.as_str(), &KindTable::from(policy))?;
        }
        map.end()
    }
}

/// What a policy sets for all its kinds.
#[derive(Default)]
struct SharedRules {
    older_than: Option<Duration>,
    allow_empty_group: bool,
}

/// The table of a kind. Its keys are the names of the rules; they are written in alphabetic order.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct KindTable {
    #[serde(skip_serializing_if = "Option::is_none")]
    allow_empty_group: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    iterations: Vec<RangeText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_best: Option<KeepBest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_every: Option<WholeNumber>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_first: Option<WholeNumber>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    keep_iterations: Vec<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_last: Option<WholeNumber>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_within: Option<Length>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_files: Option<WholeNumber>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_size: Option<Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_free: Option<FreeText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    older_than: Option<Length>,
}

/// A [`KindTable`] that is read from a table only.
struct KindTableOnly(KindTable);

impl<'de> Deserialize<'de> for KindTableOnly {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        strict::table(deserializer).map(Self)
    }
}

impl KindTable {
    fn into_policy(self, kind: Kind, shared: &SharedRules) -> Policy {
        Policy {
            select: SelectRules {
                // The kind's own value wins over the shared one.
                older_than: self.older_than.map(|age| age.0).or(shared.older_than),
                iterations: self.iterations.into_iter().map(|range| range.0).collect(),
                kinds: vec![kind],
                damaged: false,
            },
            keep: KeepRules {
                last: self.keep_last.map(|count| count.0),
                first: self.keep_first.map(|count| count.0),
                every: self.keep_every.map(|count| count.0),
                iterations: self.keep_iterations,
                within: self.keep_within.map(|time| time.0),
                best: self.keep_best,
            },
            limit: Limits {
                max_bytes: self.max_size.map(|size| size.0),
                max_files: self.max_files.map(|count| count.0),
                min_free: self.min_free.map(|least| least.0),
            },
            allow_empty_group: self.allow_empty_group.unwrap_or(shared.allow_empty_group),
        }
    }
}

impl From<&Policy> for KindTable {
    fn from(policy: &Policy) -> Self {
        // Taken apart by name, so that a new rule cannot be left out here.
        let Policy {
            select,
            keep,
            limit,
            allow_empty_group,
        } = policy;
        let KeepRules {
            last,
            first,
            every,
            iterations,
            within,
            best,
        } = keep.clone();
        let Limits {
            max_bytes,
            max_files,
            min_free,
        } = *limit;
        Self {
            // False is the default and is left out.
            allow_empty_group: allow_empty_group.then_some(true),
            iterations: select.iterations.iter().copied().map(RangeText).collect(),
            keep_best: best,
            keep_every: every.map(WholeNumber),
            keep_first: first.map(WholeNumber),
            keep_iterations: iterations,
            keep_last: last.map(WholeNumber),
            keep_within: within.map(Length),
            max_files: max_files.map(WholeNumber),
            max_size: max_bytes.map(Bytes),
            min_free: min_free.map(FreeText),
            older_than: select.older_than.map(Length),
        }
    }
}

/// A length of time, as text such as `14d`.
struct Length(Duration);

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As text only, because a bare number has no unit.
        let text = String::deserialize(deserializer)?;
        parse_duration(&text).map(Self).map_err(D::Error::custom)
    }
}

impl Serialize for Length {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&length(self.0))
    }
}

/// A number of bytes: an integer, or text such as `500GB`.
struct Bytes(u64);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BytesVisitor;

        impl Visitor<'_> for BytesVisitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes, or text such as \"500GB\"")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Bytes, E> {
                WholeNumber::new(number.into()).map(|count| Bytes(count.0))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Bytes, E> {
                WholeNumber::new(number.into()).map(|count| Bytes(count.0))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Bytes, E> {
                let size: Result<ByteCount, _> = text.parse();
                size.map(|size| Bytes(size.0)).map_err(E::custom)
            }
        }

        // The visitor takes either type, and refuses any other.
        deserializer.deserialize_any(BytesVisitor)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Integers of TOML have 63 bits.
        match i64::try_from(self.0) {
            Ok(number) => serializer.serialize_i64(number),
            // With a unit it reads back as text.
            Err(_) => serializer.collect_str(&format_args!("{} B", self.0)),
        }
    }
}

/// How much must be free: an integer, or text such as `1TB` or `10%`.
struct FreeText(MinFree);

impl<'de> Deserialize<'de> for FreeText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FreeVisitor;

        impl Visitor<'_> for FreeVisitor {
            type Value = FreeText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes, or text such as \"1TB\" or \"10%\"")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<FreeText, E> {
                let bytes = WholeNumber::new(number.into())?;
                Ok(FreeText(MinFree::Bytes(bytes.0)))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<FreeText, E> {
                let bytes = WholeNumber::new(number.into())?;
                Ok(FreeText(MinFree::Bytes(bytes.0)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<FreeText, E> {
                text.parse().map(FreeText).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(FreeVisitor)
    }
}

impl Serialize for FreeText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            MinFree::Bytes(bytes) => Bytes(bytes).serialize(serializer),
            percent @ MinFree::Percent(_) => serializer.collect_str(&percent),
        }
    }
}

/// A range of iterations: an integer, or text such as `1000..2000`.
struct RangeText(IterationRange);

impl<'de> Deserialize<'de> for RangeText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RangeVisitor;

        impl Visitor<'_> for RangeVisitor {
            type Value = RangeText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an iteration, or text such as \"1000..2000\"")
            }

            fn visit_i64<E: Error>(self, iteration: i64) -> Result<RangeText, E> {
                Ok(RangeText(iteration.into()))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<RangeText, E> {
                text.parse().map(RangeText).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(RangeVisitor)
    }
}

impl Serialize for RangeText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// `keep-best` as a table.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BestTable {
    #[serde(default = "one")]
    count: WholeNumber,
    // Optional, so that the error of a missing metric says what to write.
    metric: Option<Metric>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    with: Vec<Kind>,
}

fn one() -> WholeNumber {
    WholeNumber(1)
}

impl<'de> Deserialize<'de> for KeepBest {
    /// Reads a metric, which means the best one by it, or a table.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BestVisitor;

        impl<'de> Visitor<'de> for BestVisitor {
            type Value = KeepBest;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a metric such as \"voi:min\" or a table")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<KeepBest, E> {
                Ok(KeepBest {
                    count: 1,
                    metric: Metric::deserialize(StrDeserializer::new(text))?,
                    with: Vec::new(),
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<KeepBest, A::Error> {
                let table = BestTable::deserialize(MapAccessDeserializer::new(map))?;
                let Some(metric) = table.metric else {
                    return Err(A::Error::custom(
                        "keep-best has no metric; add metric = \"voi:min\"",
                    ));
                };
                Ok(KeepBest {
                    count: table.count.0,
                    metric,
                    with: table.with,
                })
            }
        }

        deserializer.deserialize_any(BestVisitor)
    }
}

impl Serialize for KeepBest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // As a table in any case, because a metric alone would lose the count.
        let table = BestTable {
            count: WholeNumber(self.count),
            metric: Some(self.metric.clone()),
            with: self.with.clone(),
        };
        table.serialize(serializer)
    }
}
