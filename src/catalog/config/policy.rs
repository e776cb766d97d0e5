//! The sections `[policy.NAME]`: a policy for each kind, and what all of them are about.
//!
//! ```toml
//! [policy.default]
//! run = ["crop*"]
//! older-than = "14d"
//! prediction = { keep-last = 1, keep-best = "voi:min" }
//! output = { keep-best = { count = 3, metric = "voi:min", with = ["checkpoint"] } }
//! ```
//!
//! `older-than` and `allow-empty-group` of a policy hold for each of its kinds that does not say
//! otherwise; they are written back with the kinds.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use toml::{Table, Value};

use super::section::{self, Fault, Section};
use crate::model::filter::{IterationRange, Pattern};
use crate::model::key::Kind;
use crate::retention::{KeepBest, KeepRules, Limits, Metric, Policy, SelectRules, length};

/// What a policy may say beside its kinds.
const COMMON: [&str; 4] = ["run", "dataset", "older-than", "allow-empty-group"];

/// What a policy may say of a kind.
const KEYS: [&str; 12] = [
    "keep-last",
    "keep-first",
    "keep-every",
    "keep-iterations",
    "keep-within",
    "keep-best",
    "max-size",
    "max-files",
    "min-free",
    "older-than",
    "iterations",
    "allow-empty-group",
];

/// A section `[policy.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NamedPolicy {
    /// Runs that it is about; empty is all.
    pub runs: Vec<Pattern>,
    /// Datasets that it is about; empty is all.
    pub datasets: Vec<Pattern>,
    /// The rules for each kind, at least one, in the order of kinds. Each selects its own kind by
    /// name.
    pub kinds: Vec<(Kind, Policy)>,
}

/// Reads every section `[policy.NAME]`.
pub(super) fn read(root: &mut Section) -> Result<BTreeMap<String, NamedPolicy>, Fault> {
    let Some(value) = root.take("policy") else {
        return Ok(BTreeMap::new());
    };
    let Value::Table(table) = value else {
        return Err(root.fault("policy", "a table [policy.NAME] is expected"));
    };
    let known: Vec<&str> = COMMON
        .into_iter()
        .chain(Kind::ALL.map(Kind::as_str))
        .collect();
    let names: Vec<String> = table.keys().cloned().collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut policies = Section::new("policy".to_owned(), Value::Table(table), &names)?;
    let mut read = BTreeMap::new();
    for name in names {
        if let Some(section) = policies.section(name, &known)? {
            read.insert(name.to_owned(), NamedPolicy::read(section)?);
        }
    }
    Ok(read)
}

impl NamedPolicy {
    fn read(mut section: Section) -> Result<Self, Fault> {
        let pattern = |value| section::text(value).map(Pattern::from);
        let mut policy = Self {
            runs: section.list("run", pattern)?,
            datasets: section.list("dataset", pattern)?,
            kinds: Vec::new(),
        };
        let common = Policy {
            select: SelectRules {
                older_than: section.time("older-than")?,
                ..SelectRules::default()
            },
            allow_empty_group: section.flag("allow-empty-group")?.unwrap_or(false),
            ..Policy::default()
        };
        for kind in Kind::ALL {
            if let Some(rules) = section.section(kind.as_str(), &KEYS)? {
                policy.kinds.push((kind, rules_of(kind, rules, &common)?));
            }
        }
        if policy.kinds.is_empty() {
            let what =
                "it has rules for no kind; write some, such as prediction = { keep-last = 1 }";
            return Err(Fault::new(section.place(), what));
        }
        Ok(policy)
    }
}

fn rules_of(kind: Kind, mut rules: Section, common: &Policy) -> Result<Policy, Fault> {
    let policy = Policy {
        select: SelectRules {
            older_than: rules.time("older-than")?.or(common.select.older_than),
            iterations: rules.list("iterations", range)?,
            kinds: vec![kind],
        },
        keep: KeepRules {
            last: rules.count("keep-last")?,
            first: rules.count("keep-first")?,
            every: rules.count("keep-every")?,
            iterations: rules.list("keep-iterations", |value| match value {
                Value::Integer(iteration) => Ok(iteration),
                value => Err(format!(
                    "an integer is expected, and this is of type {}",
                    value.type_str()
                )),
            })?,
            within: rules.time("keep-within")?,
            best: best(&mut rules)?,
        },
        limit: Limits {
            max_bytes: rules.bytes("max-size")?,
            max_files: rules.count("max-files")?,
            min_free: rules.bytes("min-free")?,
        },
        allow_empty_group: rules
            .flag("allow-empty-group")?
            .unwrap_or(common.allow_empty_group),
    };
    match policy.check() {
        Ok(()) => Ok(policy),
        Err(error) => Err(Fault::new(rules.place(), error)),
    }
}

/// Reads a range of iterations: text such as `1000..2000`, or an integer.
fn range(value: Value) -> Result<IterationRange, String> {
    match value {
        Value::Integer(iteration) => Ok(iteration.into()),
        value => section::text(value)?
            .parse()
            .map_err(|error: crate::model::filter::ParseRangeError| error.to_string()),
    }
}

/// Reads `keep-best`: a metric, or a table of count, metric and the kinds that go with it.
fn best(rules: &mut Section) -> Result<Option<KeepBest>, Fault> {
    let key = "keep-best";
    let Some(value) = rules.take(key) else {
        return Ok(None);
    };
    match value {
        Value::String(text) => {
            let metric = text.parse().map_err(|error| rules.fault(key, error))?;
            Ok(Some(KeepBest {
                count: 1,
                metric,
                with: Vec::new(),
            }))
        }
        value @ Value::Table(_) => {
            let known = ["count", "metric", "with"];
            let mut table = Section::new(rules.place_of(key), value, &known)?;
            let metric: Option<Metric> = table.parsed("metric")?;
            let Some(metric) = metric else {
                return Err(rules.fault(key, "it has no metric; add metric = \"voi:min\""));
            };
            Ok(Some(KeepBest {
                count: table.count("count")?.unwrap_or(1),
                metric,
                with: table.list("with", |value| {
                    section::text(value)?
                        .parse()
                        .map_err(|error: crate::model::key::ParseKindError| error.to_string())
                })?,
            }))
        }
        value => Err(rules.fault(
            key,
            format!(
                "a metric such as \"voi:min\" or a table is expected, and this is of type {}",
                value.type_str()
            ),
        )),
    }
}

impl Serialize for NamedPolicy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut table = Table::new();
        let patterns = |patterns: &[Pattern]| -> Value {
            let texts = patterns.iter().map(|pattern| pattern.as_str().to_owned());
            texts.collect::<Vec<String>>().into()
        };
        if !self.runs.is_empty() {
            table.insert("run".to_owned(), patterns(&self.runs));
        }
        if !self.datasets.is_empty() {
            table.insert("dataset".to_owned(), patterns(&self.datasets));
        }
        for (kind, policy) in &self.kinds {
            table.insert(kind.as_str().to_owned(), table_of(policy).into());
        }
        table.serialize(serializer)
    }
}

/// Writes the rules of a kind.
fn table_of(policy: &Policy) -> Table {
    let Policy {
        select,
        keep,
        limit,
        allow_empty_group,
    } = policy;
    let mut table = Table::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            table.insert(key.to_owned(), value);
        }
    };
    let time = |time| Value::from(length(time));
    // TOML's integers end where those of i64 do; a larger size is written as text.
    let number = |number: u64| match i64::try_from(number) {
        Ok(number) => Value::from(number),
        Err(_) => Value::from(format!("{number} B")),
    };
    put("older-than", select.older_than.map(time));
    if !select.iterations.is_empty() {
        let ranges: Vec<String> = select.iterations.iter().map(ToString::to_string).collect();
        put("iterations", Some(ranges.into()));
    }
    put("keep-last", keep.last.map(number));
    put("keep-first", keep.first.map(number));
    put("keep-every", keep.every.map(number));
    if !keep.iterations.is_empty() {
        put("keep-iterations", Some(keep.iterations.clone().into()));
    }
    put("keep-within", keep.within.map(time));
    put(
        "keep-best",
        keep.best.as_ref().map(|best| {
            let mut table = Table::new();
            table.insert("count".to_owned(), number(best.count));
            table.insert("metric".to_owned(), best.metric.to_string().into());
            if !best.with.is_empty() {
                let with: Vec<&str> = best.with.iter().map(|kind| kind.as_str()).collect();
                table.insert("with".to_owned(), with.into());
            }
            table.into()
        }),
    );
    put("max-size", limit.max_bytes.map(number));
    put("max-files", limit.max_files.map(number));
    put("min-free", limit.min_free.map(number));
    put("allow-empty-group", allow_empty_group.then(|| true.into()));
    table
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Config;
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn read(text: &str) -> BTreeMap<String, NamedPolicy> {
        let config: Config = toml::from_str(text).unwrap();
        let again: Config = toml::from_str(&toml::to_string(&config).unwrap()).unwrap();
        assert_eq!(again, config);
        config.policy
    }

    fn rules(policy: &NamedPolicy, kind: Kind) -> &Policy {
        let mut kinds = policy.kinds.iter();
        &kinds.find(|(known, _)| *known == kind).unwrap().1
    }

    #[test]
    fn a_policy_reads_every_key_and_what_it_writes() {
        let policies = read(
            r#"
            [policy.default]
            run = ["crop*", "b"]
            dataset = ["x"]
            older-than = "14d"
            allow-empty-group = true
            prediction = { keep-last = 1, keep-best = "voi:min" }
            snapshot = { max-files = 10, min-free = 5000, older-than = "3d 4h" }

            [policy.default.output]
            keep-last = 3
            keep-first = 2
            keep-every = 1000
            keep-iterations = [1500, -7]
            keep-within = "30d"
            keep-best = { count = 3, metric = "f1", with = ["prediction", "checkpoint"] }
            max-size = "500GB"
            iterations = ["1000..2000", "..-1", 5]
            allow-empty-group = false

            [policy."my own"]
            checkpoint = { max-size = "1.5 TiB" }
            "#,
        );
        assert_eq!(policies.len(), 2);
        let policy = &policies["default"];
        assert_eq!(policy.runs, ["crop*".into(), Pattern::from("b")]);
        assert_eq!(policy.datasets, [Pattern::from("x")]);
        let prediction = rules(policy, Kind::Prediction);
        assert_eq!(prediction.select.older_than, Some(14 * DAY));
        assert_eq!(prediction.select.kinds, [Kind::Prediction]);
        assert!(prediction.allow_empty_group);
        let best = prediction.keep.best.as_ref().unwrap();
        assert_eq!(
            (best.count, best.metric.to_string().as_str()),
            (1, "voi:min")
        );
        let snapshot = rules(policy, Kind::Snapshot);
        assert_eq!(snapshot.select.older_than, Some(3 * DAY + DAY / 6));
        assert_eq!(snapshot.limit.max_files, Some(10));
        assert_eq!(snapshot.limit.min_free, Some(5000));
        let output = rules(policy, Kind::Output);
        assert!(!output.allow_empty_group);
        assert_eq!(output.limit.max_bytes, Some(500_000_000_000));
        assert_eq!(output.keep.last, Some(3));
        assert_eq!(output.keep.first, Some(2));
        assert_eq!(output.keep.every, Some(1000));
        assert_eq!(output.keep.iterations, [1500, -7]);
        assert_eq!(output.keep.within, Some(30 * DAY));
        let best = output.keep.best.as_ref().unwrap();
        assert_eq!(best.with, [Kind::Prediction, Kind::Checkpoint]);
        assert_eq!(
            (best.count, best.metric.to_string().as_str()),
            (3, "f1:max")
        );
        let own = rules(&policies["my own"], Kind::Checkpoint);
        assert_eq!(own.limit.max_bytes, Some(3 << 39));
    }

    #[test]
    fn a_size_beyond_the_integers_of_toml_is_written_too() {
        let rules = Policy {
            select: SelectRules {
                kinds: vec![Kind::Output],
                ..SelectRules::default()
            },
            limit: Limits {
                max_bytes: Some((1 << 63) + 2048),
                ..Limits::default()
            },
            ..Policy::default()
        };
        let config = Config {
            policy: BTreeMap::from([(
                "p".to_owned(),
                NamedPolicy {
                    kinds: vec![(Kind::Output, rules)],
                    ..NamedPolicy::default()
                },
            )]),
            ..Config::default()
        };
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<Config>(&text).unwrap(), config);
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let in_prediction = [
            (
                "keep-lst = 1",
                "keep-lst: there is no such key; did you mean keep-last?",
            ),
            (
                "keep-last = \"1\"",
                "keep-last: an integer is expected, and this is of type string",
            ),
            ("keep-last = -1", "keep-last: -1 is negative"),
            ("keep-first = 1.5", "keep-first: an integer is expected"),
            (
                "keep-iterations = [1, \"a\"]",
                "keep-iterations[1]: an integer is expected",
            ),
            ("keep-iterations = 5", "keep-iterations: a list is expected"),
            (
                "keep-within = \"soon\"",
                "keep-within: \"soon\" is no length of time",
            ),
            ("keep-within = 14", "keep-within: text is expected"),
            (
                "keep-best = \"voi:low\"",
                "keep-best: \"voi:low\" is no metric",
            ),
            ("keep-best = 3", "keep-best: a metric such as"),
            ("keep-best = { count = 3 }", "keep-best: it has no metric"),
            (
                "keep-best = { metrc = \"voi\" }",
                "keep-best.metrc: there is no such key; did you mean metric?",
            ),
            (
                "keep-best = { metric = \"a:b:min\" }",
                "keep-best.metric: \"a:b:min\" is no metric",
            ),
            (
                "keep-best = { metric = \"voi\", with = [\"outputs\"] }",
                "keep-best.with[0]: there is no kind \"outputs\"",
            ),
            (
                "max-size = \"lots\"",
                "max-size: \"lots\" is no size such as 500GB",
            ),
            ("max-size = -5", "max-size: -5 is negative"),
            ("max-size = true", "max-size: an integer, or text such as"),
            ("max-files = \"5k\"", "max-files: an integer is expected"),
            (
                "iterations = [\"5..1\"]",
                "iterations[0]: \"5..1\" selects no iteration",
            ),
            (
                "allow-empty-group = 1",
                "allow-empty-group: true or false is expected",
            ),
        ];
        for (rule, expected) in in_prediction {
            let text = format!("[policy.default.prediction]\n{rule}\n");
            let error = toml::from_str::<Config>(&text).unwrap_err().to_string();
            let expected = format!("policy.default.prediction.{expected}");
            assert!(error.contains(&expected), "{error}\n{expected}");
        }
        let elsewhere = [
            ("policy = 5", "policy: a table [policy.NAME] is expected"),
            ("[policy]\nrun = [\"a\"]", "policy.run: a table is expected"),
            (
                "[policy.a]\nrun = [\"a\"]",
                "policy.a: it has rules for no kind",
            ),
            (
                "[policy.\"a b\"]\npredictions = {}",
                "policy.\"a b\".predictions: there is no such key; did you mean prediction?",
            ),
            (
                "[policy.a]\nrun = \"a\"",
                "policy.a.run: a list is expected",
            ),
            (
                "[policy.a]\nprediction = {}",
                "policy.a.prediction: the policy has no rule",
            ),
            (
                "[policy.a]\nprediction = { keep-last = 0 }",
                "policy.a.prediction: keep-last 0 keeps nothing",
            ),
            (
                "[policy.a]\nolder-than = \"2d\"\noutput = { keep-within = \"1d\" }",
                "policy.a.output: keep-within 1d keeps nothing",
            ),
        ];
        for (text, expected) in elsewhere {
            let error = toml::from_str::<Config>(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}\n{expected}");
        }
    }
}
