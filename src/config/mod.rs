//! The registry's `config.toml`: a value, read and written as text.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a base directory's `.dalsegno/config.toml` may say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Where and how the catalog is kept, where that is not the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog: Option<CatalogConfig>,
    /// What becomes of removed data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trash: Option<TrashConfig>,
}

/// The section `[trash]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TrashConfig {
    /// How long removed data can be restored, such as `72h`; none is not at all.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "length")]
    pub keep: Option<Duration>,
}

/// Lengths of time as text, such as `72h`.
mod length {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(&humantime::format_duration(*value)),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map(Some).map_err(|error| {
            serde::de::Error::custom(format!(
                "\"{text}\" is no length of time such as 72h: {error}"
            ))
        })
    }
}

/// The section `[catalog]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CatalogConfig {
    /// The catalog file, absolute; none is `.dalsegno/catalog.sqlite3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Which registry the file at `path` must be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<String>,
    /// The one host that may write; the catalog then works on a network file system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub single_host: Option<String>,
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
        };
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<Config>(&text).unwrap(), config);
        assert!(toml::from_str::<Config>("[trash]\nkeep = \"72 moons\"\n").is_err());
        let error = toml::from_str::<Config>("[catalogue]\n")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("catalogue") && error.contains("catalog"),
            "{error}"
        );
    }
}
