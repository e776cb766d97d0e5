//! The registry's `config.toml`: a value, read and written as text.
//!
//! Everything is checked when it is read: a mistake names its place, such as
//! `policy.default.prediction.keep-lst`, and the key that was probably meant. So a policy that
//! was read can be planned with.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

mod policy;
mod section;

pub use policy::NamedPolicy;
use section::{Fault, Section};

/// What a base directory's `.dalsegno/config.toml` may say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Config {
    /// Where and how the catalog is kept, where that is not the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catalog: Option<CatalogConfig>,
    /// What becomes of removed data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trash: Option<TrashConfig>,
    /// Policies of retention, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub policy: BTreeMap<String, NamedPolicy>,
}

/// The section `[trash]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TrashConfig {
    /// How long removed data can be restored, such as `72h`; none is not at all.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "length")]
    pub keep: Option<Duration>,
}

/// The section `[catalog]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CatalogConfig {
    /// The catalog file, absolute; none is `.dalsegno/catalog.sqlite3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Which registry the catalog must be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry: Option<String>,
    /// The one host that may write; the catalog then works on a network file system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub single_host: Option<String>,
}

fn length<S: Serializer>(value: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    value
        .map(|value| humantime::format_duration(value).to_string())
        .serialize(serializer)
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = toml::Table::deserialize(deserializer)?;
        Self::read(table).map_err(D::Error::custom)
    }
}

impl Config {
    fn read(table: toml::Table) -> Result<Self, Fault> {
        let mut root = Section::root(table, &["catalog", "trash", "policy"])?;
        let catalog = root.section("catalog", &["path", "registry", "single-host"])?;
        let trash = root.section("trash", &["keep"])?;
        Ok(Self {
            catalog: catalog.map(CatalogConfig::read).transpose()?,
            trash: trash.map(TrashConfig::read).transpose()?,
            policy: policy::read(&mut root)?,
        })
    }
}

impl CatalogConfig {
    fn read(mut section: Section) -> Result<Self, Fault> {
        Ok(Self {
            path: section.text("path")?.map(PathBuf::from),
            registry: section.text("registry")?,
            single_host: section.text("single-host")?,
        })
    }
}

impl TrashConfig {
    fn read(mut section: Section) -> Result<Self, Fault> {
        Ok(Self {
            keep: section.time("keep")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_reads_what_it_writes_and_refuses_unknown_keys() {
        let config = Config {
            catalog: Some(CatalogConfig {
                path: Some("/local/c.sqlite3".into()),
                registry: Some("r".into()),
                single_host: None,
            }),
            trash: Some(TrashConfig {
                keep: Some(Duration::from_secs(72 * 3600)),
            }),
            policy: BTreeMap::new(),
        };
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<Config>(&text).unwrap(), config);
    }

    #[test]
    fn mistakes_are_named_with_their_place_and_the_nearest_key() {
        let cases = [
            (
                "[catalogue]\n",
                "catalogue: there is no such key; did you mean catalog?",
            ),
            (
                "[trash]\nkept = \"1h\"\n",
                "trash.kept: there is no such key; did you mean keep?",
            ),
            (
                "[catalog]\nsinglehost = \"a\"\n",
                "catalog.singlehost: there is no such key; did you mean single-host?",
            ),
            (
                "[catalog]\nzzz = 1\n",
                "catalog.zzz: there is no such key; the keys are path, registry, single-host",
            ),
            (
                "trash = 5\n",
                "trash: a table is expected, and this is of type integer",
            ),
            (
                "[catalog]\npath = 5\n",
                "catalog.path: text is expected, and this is of type integer",
            ),
            (
                "[trash]\nkeep = \"72 moons\"\n",
                "trash.keep: \"72 moons\" is no length of time such as 72h",
            ),
        ];
        for (text, expected) in cases {
            let error = toml::from_str::<Config>(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
