//! The registry's `config.toml`: a value, read and written as text.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What a base directory's `.dalsegno/config.toml` may say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Where and how the catalog is kept, where that is not the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog: Option<CatalogConfig>,
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
        };
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<Config>(&text).unwrap(), config);
        let error = toml::from_str::<Config>("[catalogue]\n")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("catalogue") && error.contains("catalog"),
            "{error}"
        );
    }
}
