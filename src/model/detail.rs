//! The detail of an operation: what the images of artifacts in the history do not say.
//!
//! A detail is stored as JSON text, and the hash of its operation covers that text. So a type here
//! is a format on disk: fields keep their names and their order, absent values are `null`, and what
//! an operation noted is never written again. A detail that does not have just the fields of one of
//! these types, such as one of a newer version, is read as [`Detail::Other`] and stays as it is.
//!
//! Fields that may be `null` have `deserialize_with = "Option::deserialize"`: serde would read a
//! missing one as `None` otherwise, and so take a detail for one of another type.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::artifact::ArtifactId;
use crate::model::clock::Timestamp;
use crate::model::name::{DatasetName, Parameters, RunName};
use crate::model::pin::{PinName, PinScope};
use crate::model::removal::{RemovalId, RemovalState};
use crate::model::score::{MetricName, ScoreValue};

/// What an operation did beside changing rows. `Display` gives the JSON text that is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Detail {
    /// An operation did several things, in this order. First, because serde reads a list as the
    /// fields of a structure too.
    Several(Vec<Detail>),
    /// A removal was made.
    RemovalMade(RemovalMade),
    /// The data of a removal changed its state.
    RemovalStateSet(RemovalStateSet),
    /// An item of a removal was not in the trash.
    ItemNotInTrash(ItemNotInTrash),
    /// An item of a removal was lost in the trash.
    ItemLost(ItemLost),
    /// Artifacts within an item of a removal were lost in the trash.
    ArtifactsLost(ArtifactsLost),
    /// A pin was made or binds more.
    PinBound(PinBound),
    /// A pin was deleted or binds less.
    PinReleased(PinReleased),
    /// A score was recorded, changed or deleted.
    ScoreChanged(ScoreChanged),
    /// The catalog was rebuilt.
    CatalogRebuilt(CatalogRebuilt),
    /// A run was renamed.
    RunRenamed(RunRenamed),
    // Last: serde tries the variants in order, and a `Value` takes any JSON.
    /// A detail of another version.
    Other(Value),
}

/// A removal was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RemovalMade {
    /// Its id.
    pub removal: RemovalId,
    /// Whether its data is kept or being unlinked.
    pub state: RemovalState,
    /// From when on its data may be unlinked; `None` if it is kept until the trash is emptied, or
    /// not kept.
    #[serde(deserialize_with = "Option::deserialize")]
    pub purge_after: Option<Timestamp>,
}

/// The data of a removal changed its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RemovalStateSet {
    /// Id of the removal.
    pub removal: RemovalId,
    /// The new state.
    pub state: RemovalState,
}

/// An item of a removal was not in the trash, because it had been restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ItemNotInTrash {
    /// Id of the removal.
    pub removal: RemovalId,
    /// Number of the item.
    pub not_in_trash: u32,
}

/// An item of a removal was not in the trash when the rest was restored: it had been deleted by
/// hand. The rows of its artifacts came back as missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ItemLost {
    /// Id of the removal.
    pub removal: RemovalId,
    /// Number of the item.
    pub lost: u32,
}

/// Artifacts of a removal were not in the item that they went with any more: they were deleted in it
/// by hand. Their rows came back as missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ArtifactsLost {
    /// Id of the removal.
    pub removal: RemovalId,
    /// Their numbers.
    pub lost_artifacts: Vec<ArtifactId>,
}

/// A pin was made or binds more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PinBound {
    /// Name of the pin.
    pub pin: PinName,
    /// Whether the operation made the pin.
    pub new: bool,
    /// Runs and iterations that it did not bind before.
    pub scopes: Vec<PinScope>,
    /// Artifacts that it did not bind one by one before.
    pub artifacts: Vec<ArtifactId>,
}

/// A pin was deleted or binds less.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PinReleased {
    /// Name of the pin.
    pub pin: PinName,
    /// Whether the operation deleted the pin.
    pub gone: bool,
    /// Reason of the pin, so that undoing can make it again.
    pub reason: String,
    /// Runs and iterations that it does not bind any more.
    pub scopes: Vec<PinScope>,
    /// Artifacts that it does not bind one by one any more.
    pub artifacts: Vec<ArtifactId>,
}

/// A score was recorded, changed or deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ScoreChanged {
    /// Name of the run.
    pub run: RunName,
    /// Iteration of the training.
    pub iteration: i64,
    /// Dataset; `None` if the score is of all datasets.
    #[serde(deserialize_with = "Option::deserialize")]
    pub dataset: Option<DatasetName>,
    /// Parameters; `None` if the score is of all parameter sets.
    #[serde(deserialize_with = "Option::deserialize")]
    pub parameters: Option<Parameters>,
    /// Name of the metric.
    pub metric: MetricName,
    /// Value before the operation; `None` if there was no score.
    #[serde(deserialize_with = "Option::deserialize")]
    pub before: Option<ScoreValue>,
    /// Value after the operation; `None` if it deleted the score.
    #[serde(deserialize_with = "Option::deserialize")]
    pub after: Option<ScoreValue>,
}

/// A run was renamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RunRenamed {
    /// Id of the rename.
    pub rename: RemovalId,
    /// Old name.
    pub from: RunName,
    /// New name.
    pub to: RunName,
    /// Number of scores that went along.
    pub scores: u64,
    /// Number of runs and iterations bound by pins that went along.
    pub scopes: u64,
}

/// The catalog was rebuilt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct CatalogRebuilt {
    /// What was wrong with the old catalog.
    pub cause: String,
    /// The backup that the new catalog began with; `None` if it was made from the disk alone.
    #[serde(deserialize_with = "Option::deserialize")]
    pub backup: Option<BackupUsed>,
    /// Number of artifacts that the scan added.
    pub adopted: u64,
    /// Removals in the trash that the backup did not have.
    pub removals: Vec<RemovalId>,
}

/// The backup that a rebuild began with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct BackupUsed {
    /// Its file; bytes that are not UTF-8 are replaced.
    pub path: String,
    /// When it was made.
    pub at: Timestamp,
    /// Whether it is the old catalog itself, of which only the header was damaged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_old_catalog: bool,
}

impl Detail {
    /// Makes the detail of an operation from what it did: `None` for nothing.
    #[must_use]
    pub fn from_entries(mut entries: Vec<Self>) -> Option<Self> {
        match entries.len() {
            // A single entry is stored bare and not as a list of one: the text is part of the hash.
            0 | 1 => entries.pop(),
            _ => Some(Self::Several(entries)),
        }
    }

    /// What the operation did, one by one.
    #[must_use]
    pub fn entries(&self) -> &[Self] {
        match self {
            Self::Several(entries) => entries,
            one => std::slice::from_ref(one),
        }
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Numbers and texts always have JSON.
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn removal() -> RemovalId {
        "20261122-221517-07be3e".parse().unwrap()
    }

    fn score(before: Option<f64>, after: Option<f64>, is_of_all: bool) -> Detail {
        Detail::ScoreChanged(ScoreChanged {
            run: "mito".parse().unwrap(),
            iteration: 1000,
            dataset: (!is_of_all).then(|| "crop1".parse().unwrap()),
            parameters: (!is_of_all).then(|| "t=0.5, \"x\"".parse().unwrap()),
            metric: "voi".parse().unwrap(),
            before: before.map(ScoreValue),
            after: after.map(ScoreValue),
        })
    }

    /// Every variant, with the text that is on disk since the history began.
    fn table() -> Vec<(Detail, &'static str)> {
        let state_set = Detail::RemovalStateSet(RemovalStateSet {
            removal: removal(),
            state: RemovalState::Purged,
        });
        vec![
            (
                Detail::RemovalMade(RemovalMade {
                    removal: removal(),
                    state: RemovalState::Kept,
                    purge_after: Some(Timestamp(1_700_000_000_123)),
                }),
                r#"{"removal":"20261122-221517-07be3e","state":"kept","purge_after":"2023-11-14T22:13:20.123Z"}"#,
            ),
            (
                Detail::RemovalMade(RemovalMade {
                    removal: removal(),
                    state: RemovalState::Purging,
                    purge_after: None,
                }),
                r#"{"removal":"20261122-221517-07be3e","state":"purging","purge_after":null}"#,
            ),
            (
                state_set.clone(),
                r#"{"removal":"20261122-221517-07be3e","state":"purged"}"#,
            ),
            (
                Detail::ItemNotInTrash(ItemNotInTrash {
                    removal: removal(),
                    not_in_trash: 3,
                }),
                r#"{"removal":"20261122-221517-07be3e","not_in_trash":3}"#,
            ),
            (
                Detail::ItemLost(ItemLost {
                    removal: removal(),
                    lost: 3,
                }),
                r#"{"removal":"20261122-221517-07be3e","lost":3}"#,
            ),
            (
                Detail::ArtifactsLost(ArtifactsLost {
                    removal: removal(),
                    lost_artifacts: vec![ArtifactId(7)],
                }),
                r#"{"removal":"20261122-221517-07be3e","lost_artifacts":[7]}"#,
            ),
            (
                Detail::PinBound(PinBound {
                    pin: "figure-3".parse().unwrap(),
                    new: true,
                    scopes: vec![
                        PinScope {
                            run: "mito".to_owned(),
                            first: Some(1000),
                            last: Some(1000),
                        },
                        PinScope {
                            run: "er".to_owned(),
                            first: None,
                            last: None,
                        },
                    ],
                    artifacts: vec![ArtifactId(4)],
                }),
                r#"{"pin":"figure-3","new":true,"scopes":[{"run":"mito","first":1000,"last":1000},{"run":"er","first":null,"last":null}],"artifacts":[4]}"#,
            ),
            (
                Detail::PinReleased(PinReleased {
                    pin: "extra".parse().unwrap(),
                    gone: true,
                    reason: "for a moment".to_owned(),
                    scopes: Vec::new(),
                    artifacts: vec![ArtifactId(6)],
                }),
                r#"{"pin":"extra","gone":true,"reason":"for a moment","scopes":[],"artifacts":[6]}"#,
            ),
            (
                score(None, Some(0.31), false),
                r#"{"run":"mito","iteration":1000,"dataset":"crop1","parameters":"t=0.5, \"x\"","metric":"voi","before":null,"after":0.31}"#,
            ),
            (
                score(Some(2.0), Some(f64::NAN), true),
                r#"{"run":"mito","iteration":1000,"dataset":null,"parameters":null,"metric":"voi","before":2.0,"after":"NaN"}"#,
            ),
            (
                score(Some(f64::NEG_INFINITY), Some(f64::INFINITY), true),
                r#"{"run":"mito","iteration":1000,"dataset":null,"parameters":null,"metric":"voi","before":"-inf","after":"inf"}"#,
            ),
            (
                score(Some(1e-300), None, true),
                r#"{"run":"mito","iteration":1000,"dataset":null,"parameters":null,"metric":"voi","before":1e-300,"after":null}"#,
            ),
            (
                Detail::CatalogRebuilt(CatalogRebuilt {
                    cause: "no such table: artifact".to_owned(),
                    backup: Some(BackupUsed {
                        path: "/base/.dalsegno/backups/a.sqlite3".to_owned(),
                        at: Timestamp(0),
                        is_old_catalog: false,
                    }),
                    adopted: 7,
                    removals: vec![removal()],
                }),
                r#"{"cause":"no such table: artifact","backup":{"path":"/base/.dalsegno/backups/a.sqlite3","at":"1970-01-01T00:00:00.000Z"},"adopted":7,"removals":["20261122-221517-07be3e"]}"#,
            ),
            (
                Detail::CatalogRebuilt(CatalogRebuilt {
                    cause: "file is not a database".to_owned(),
                    backup: Some(BackupUsed {
                        path: "/base/.dalsegno/catalog.sqlite3".to_owned(),
                        at: Timestamp(0),
                        is_old_catalog: true,
                    }),
                    adopted: 0,
                    removals: Vec::new(),
                }),
                r#"{"cause":"file is not a database","backup":{"path":"/base/.dalsegno/catalog.sqlite3","at":"1970-01-01T00:00:00.000Z","is_old_catalog":true},"adopted":0,"removals":[]}"#,
            ),
            (
                Detail::CatalogRebuilt(CatalogRebuilt {
                    cause: "it is missing".to_owned(),
                    backup: None,
                    adopted: 0,
                    removals: Vec::new(),
                }),
                r#"{"cause":"it is missing","backup":null,"adopted":0,"removals":[]}"#,
            ),
            (
                Detail::RunRenamed(RunRenamed {
                    rename: removal(),
                    from: "mito".parse().unwrap(),
                    to: "m/1".parse().unwrap(),
                    scores: 2,
                    scopes: 1,
                }),
                r#"{"rename":"20261122-221517-07be3e","from":"mito","to":"m/1","scores":2,"scopes":1}"#,
            ),
            (
                Detail::Several(vec![state_set, score(Some(1.5), Some(0.5), true)]),
                r#"[{"removal":"20261122-221517-07be3e","state":"purged"},{"run":"mito","iteration":1000,"dataset":null,"parameters":null,"metric":"voi","before":1.5,"after":0.5}]"#,
            ),
        ]
    }

    #[test]
    fn every_detail_reads_and_writes_the_text_on_disk() {
        for (detail, text) in table() {
            assert_eq!(detail.to_string(), text);
            assert_eq!(serde_json::from_str::<Detail>(text).unwrap(), detail);
        }
    }

    /// Each text with a field more, and each with any one of its fields taken away.
    #[test]
    fn a_detail_of_another_version_stays_as_it_is() {
        let is_other = |value: &Value| {
            let text = value.to_string();
            let detail: Detail = serde_json::from_str(&text).unwrap();
            // What is left after a field went may be another detail: its text is the same.
            assert_eq!(detail.to_string(), text);
            matches!(detail, Detail::Other(_))
        };
        for (_, text) in table() {
            let Ok(Value::Object(fields)) = serde_json::from_str(text) else {
                continue;
            };
            let mut more = fields.clone();
            more.insert("since".to_owned(), Value::from(2));
            assert!(is_other(&Value::Object(more)), "{text}");
            for name in fields.keys() {
                let mut less = fields.clone();
                less.shift_remove(name);
                let is_still_known = name == "purge_after";
                assert_eq!(is_other(&Value::Object(less)), !is_still_known, "{name}");
            }
        }
        for text in [
            r#""a""#,
            "5",
            "{}",
            r#"{"removal":"x","state":"purged"}"#,
            r#"{"removal":"20261122-221517-07be3e","state":"sold"}"#,
            r#"{"run":"r","iteration":1,"dataset":null,"parameters":null,"metric":"m","before":"0.5","after":null}"#,
        ] {
            assert!(is_other(&serde_json::from_str(text).unwrap()), "{text}");
        }
        // An old entry among new ones leaves these as they are.
        let mixed = r#"[{"since":2},{"removal":"20261122-221517-07be3e","state":"purged"}]"#;
        let detail: Detail = serde_json::from_str(mixed).unwrap();
        assert_eq!(detail.to_string(), mixed);
        let [Detail::Other(_), Detail::RemovalStateSet(_)] = detail.entries() else {
            panic!("{detail:?}");
        };
    }
}
