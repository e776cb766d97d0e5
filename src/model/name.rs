//! Names of runs, datasets, parameter sets and containers, checked once, when they are parsed.
//!
//! A name becomes part of a path below the base directory, so the rules keep every path inside
//! it. `/` is allowed, as in DaCapo, and separates components; repeated and trailing slashes are
//! dropped, as `pathlib` drops them. Everything else is kept to the byte: `e` with an accent
//! written in two ways makes two names.
//!
//! Invariants of every value of these types: not empty, relative, no component `.` or `..`, no
//! control character, no component over [`MAX_COMPONENT`] bytes. A [`RunName`] and a [`BasePath`]
//! also never start with the registry's own folder.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

/// The registry's own folder in a base directory.
pub const REGISTRY_DIR: &str = ".dalsegno";

/// Follows [`REGISTRY_DIR`] in the name of a registry that is being created.
const NEW: &str = ".new-";

/// The longest component of a name, in bytes: the limit of Linux file systems.
pub const MAX_COMPONENT: usize = 255;

/// A text breaks a rule for names. Each rule has a variant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The name is empty.
    #[error("the {what} name is empty")]
    Empty {
        /// Which name: run, dataset, parameters, container, path.
        what: &'static str,
    },
    /// The name starts with `/`.
    #[error("the {what} name \"{}\" is an absolute path", .name.escape_debug())]
    Absolute {
        /// Which name.
        what: &'static str,
        /// The name as given.
        name: String,
    },
    /// A component is `.`.
    #[error("the {what} name \"{}\" has a component '.'", .name.escape_debug())]
    Dot {
        /// Which name.
        what: &'static str,
        /// The name as given.
        name: String,
    },
    /// A component is `..`.
    #[error("the {what} name \"{}\" has a component '..'", .name.escape_debug())]
    DotDot {
        /// Which name.
        what: &'static str,
        /// The name as given.
        name: String,
    },
    /// The name holds a NUL.
    #[error("the {what} name \"{}\" has a NUL character", .name.escape_debug())]
    Nul {
        /// Which name.
        what: &'static str,
        /// The name as given.
        name: String,
    },
    /// The name holds a control character other than NUL.
    #[error("the {what} name \"{}\" has a control character", .name.escape_debug())]
    Control {
        /// Which name.
        what: &'static str,
        /// The name as given.
        name: String,
    },
    /// The name is not UTF-8.
    #[error("the {what} name \"{name}\" is not UTF-8, so nothing can be recorded there")]
    NotUnicode {
        /// Which name.
        what: &'static str,
        /// The name as given, with other bytes in hexadecimal.
        name: String,
    },
    /// A component is longer than file systems allow.
    #[error(
        "the {what} name \"{}\" has a component of {bytes} bytes; at most 255 fit",
        .name.escape_debug()
    )]
    ComponentTooLong {
        /// Which name.
        what: &'static str,
        /// The name as given.
        name: String,
        /// Length of the component in bytes.
        bytes: usize,
    },
    /// The name leads into the registry's own folder.
    #[error(
        "the {what} name \"{}\" is reserved for the registry's own folder",
        .name.escape_debug()
    )]
    Reserved {
        /// Which name.
        what: &'static str,
        /// The name as given.
        name: String,
    },
    /// The name of a container has a `/`: it is not the name of a folder.
    #[error(
        "the container name \"{}\" is a path; it must be the name of a folder in the run",
        .name.escape_debug()
    )]
    NotAContainer {
        /// The name as given.
        name: String,
    },
    /// An iteration is not an integer as DaCapo writes it.
    #[error("the iteration \"{}\" is not an integer", .text.escape_debug())]
    Iteration {
        /// The text as given.
        text: String,
    },
}

impl NameError {
    /// Stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty { .. } => "name-empty",
            Self::Absolute { .. } => "name-absolute",
            Self::Dot { .. } => "name-dot",
            Self::DotDot { .. } => "name-dot-dot",
            Self::Nul { .. } => "name-nul",
            Self::Control { .. } => "name-control",
            Self::NotUnicode { .. } => "name-not-unicode",
            Self::ComponentTooLong { .. } => "name-component-too-long",
            Self::Reserved { .. } => "name-reserved",
            Self::NotAContainer { .. } => "name-not-a-container",
            Self::Iteration { .. } => "name-iteration",
        }
    }
}

/// Checks a relative path against the rules and drops repeated and trailing slashes.
fn normalise(what: &'static str, text: &str) -> Result<String, NameError> {
    let name = || text.to_owned();
    if text.is_empty() {
        return Err(NameError::Empty { what });
    }
    // Nearly all names are printable ASCII: one pass over the bytes saves two over the characters.
    let is_plain = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    // NUL is a control character too; it comes first because it has an error of its own.
    if !is_plain && text.contains('\0') {
        return Err(NameError::Nul { what, name: name() });
    }
    if !is_plain && text.chars().any(char::is_control) {
        return Err(NameError::Control { what, name: name() });
    }
    if text.starts_with('/') {
        return Err(NameError::Absolute { what, name: name() });
    }
    let mut out = String::with_capacity(text.len());
    for component in text.split('/').filter(|component| !component.is_empty()) {
        match component {
            "." => return Err(NameError::Dot { what, name: name() }),
            ".." => return Err(NameError::DotDot { what, name: name() }),
            _ if component.len() > MAX_COMPONENT => {
                let bytes = component.len();
                return Err(NameError::ComponentTooLong {
                    what,
                    name: name(),
                    bytes,
                });
            }
            _ => {}
        }
        if !out.is_empty() {
            out.push('/');
        }
        out.push_str(component);
    }
    // Not empty: the text is neither empty nor absolute, so it begins with a component.
    Ok(out)
}

macro_rules! name_type {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $type(String);

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl $type {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }
    };
}

name_type!(
    /// The name of a run: the path of its folder below the base directory.
    RunName,
    "run"
);
name_type!(
    /// The name of a dataset, an index of inputs, or an array's path in its container.
    DatasetName,
    "dataset"
);
name_type!(
    /// A parameter set as text, or the criterion of a best array.
    Parameters,
    "parameters"
);
name_type!(
    /// The folder name of a container in its run: one component. Most end in `.zarr`, `.n5`,
    /// `.zarr3` or `.zr3`.
    ContainerName,
    "container"
);

name_type!(
    /// A folder or file in the base directory, by its path relative to it.
    BasePath,
    "path"
);

impl FromStr for BasePath {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let name = normalise("path", text)?;
        let first = name.split('/').next().unwrap_or_default();
        if is_registry_dir(first) {
            return Err(NameError::Reserved { what: "path", name });
        }
        Ok(Self(name))
    }
}

impl FromStr for RunName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let name = normalise("run", text)?;
        // Only a first component can lead there: the registry's folder lies in the base directory.
        let first = name.split('/').next().unwrap_or_default();
        if is_registry_dir(first) {
            return Err(NameError::Reserved { what: "run", name });
        }
        Ok(Self(name))
    }
}

impl FromStr for DatasetName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        normalise("dataset", text).map(Self)
    }
}

impl FromStr for Parameters {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        normalise("parameters", text).map(Self)
    }
}

impl FromStr for ContainerName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let name = normalise("container", text)?;
        // One component: all folders above it are part of the name of the run.
        if name.contains('/') {
            return Err(NameError::NotAContainer { name });
        }
        // It would make the folder of the run one of a registry.
        if is_registry_dir(&name) {
            let what = "container";
            return Err(NameError::Reserved { what, name });
        }
        Ok(Self(name))
    }
}

/// Whether a folder of this name in the base directory belongs to the registry: its own folder, or
/// that of a registry that is being created. Ignores case, as some file systems do.
#[must_use]
pub fn is_registry_dir(component: &str) -> bool {
    // `get`, because the length may end inside a character.
    let (head, tail) = match component.get(..REGISTRY_DIR.len()) {
        Some(head) => (head, &component[REGISTRY_DIR.len()..]),
        None => return false,
    };
    let is_new = |tail: &str| {
        tail.get(..NEW.len())
            .is_some_and(|mark| mark.eq_ignore_ascii_case(NEW))
    };
    head.eq_ignore_ascii_case(REGISTRY_DIR) && (tail.is_empty() || is_new(tail))
}

/// Name of the container of a run's validations.
pub const VALIDATION_CONTAINER: &str = "validation.zarr";

/// Endings of the names of containers.
pub(super) const CONTAINER_ENDINGS: [&str; 4] = [".zarr", ".n5", ".zarr3", ".zr3"];

/// Whether a folder of this name is a container by its ending.
#[must_use]
pub fn is_container_name(component: &str) -> bool {
    // A folder that is called only `.zarr` has no name before the ending.
    CONTAINER_ENDINGS
        .iter()
        .any(|suffix| component.len() > suffix.len() && component.ends_with(suffix))
}

/// Parses an iteration as DaCapo writes it: an integer without leading zeros or a `+`.
///
/// # Errors
/// [`NameError::Iteration`] for any other text, including `007`, which would be a second name of 7.
pub fn parse_iteration(text: &str) -> Result<i64, NameError> {
    text.parse::<i64>()
        .ok()
        .filter(|iteration| iteration.to_string() == text)
        .ok_or_else(|| NameError::Iteration {
            text: text.to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_its_own_error() {
        let long = "n".repeat(256);
        let cases: [(&str, &str); 12] = [
            ("", "name-empty"),
            ("/abs", "name-absolute"),
            ("/", "name-absolute"),
            (".", "name-dot"),
            ("run/.", "name-dot"),
            ("..", "name-dot-dot"),
            ("a/../b", "name-dot-dot"),
            ("a\0b", "name-nul"),
            ("a\tb", "name-control"),
            ("a\u{1b}[31mb", "name-control"),
            (&long, "name-component-too-long"),
            ("a\u{85}b", "name-control"),
        ];
        for (name, code) in cases {
            assert_eq!(
                name.parse::<RunName>().unwrap_err().code(),
                code,
                "{name:?}"
            );
            assert_eq!(
                name.parse::<DatasetName>().unwrap_err().code(),
                code,
                "{name:?}"
            );
            assert_eq!(
                name.parse::<Parameters>().unwrap_err().code(),
                code,
                "{name:?}"
            );
        }
    }

    #[test]
    fn only_a_run_can_land_in_the_registry_folder() {
        for name in [
            ".dalsegno",
            ".dalsegno/trash",
            ".DALSEGNO/x",
            ".dalsegno.new-ab12",
            ".Dalsegno.NEW-ab12/x",
        ] {
            assert_eq!(
                name.parse::<RunName>().unwrap_err().code(),
                "name-reserved",
                "{name}"
            );
            assert!(name.parse::<DatasetName>().is_ok(), "{name}");
        }
        for name in [".dalsegno2", "a/.dalsegno", ".dalsegn", ".dalsegno.old"] {
            assert!(name.parse::<RunName>().is_ok(), "{name}");
        }
    }

    #[test]
    fn superfluous_slashes_go_as_with_pathlib() {
        assert_eq!("a//b/".parse::<RunName>().unwrap().as_str(), "a/b");
        assert_eq!("ds/".parse::<DatasetName>().unwrap().as_str(), "ds");
    }

    #[test]
    fn two_spellings_of_one_letter_stay_two_names() {
        assert_ne!(
            "\u{e9}".parse::<RunName>().unwrap(),
            "e\u{301}".parse::<RunName>().unwrap()
        );
    }

    #[test]
    fn iterations_are_canonical_integers() {
        for (text, iteration) in [("0", 0), ("-1", -1), ("1000000000000", 1_000_000_000_000)] {
            assert_eq!(parse_iteration(text), Ok(iteration));
        }
        for text in [
            "",
            "007",
            "+1",
            "1.0",
            "latest",
            "-0",
            " 1",
            "99999999999999999999",
        ] {
            assert_eq!(
                parse_iteration(text).unwrap_err().code(),
                "name-iteration",
                "{text}"
            );
        }
    }

    #[test]
    fn a_container_is_one_folder_and_may_have_an_ending() {
        for (name, has_ending) in [
            ("validation.zarr", true),
            ("x.n5", true),
            ("x.zarr3", true),
            ("x.zr3", true),
            (".zarr", false),
            ("validation.ZARR", false),
            ("a.zarr.bak", false),
            ("validation", false),
        ] {
            assert!(name.parse::<ContainerName>().is_ok(), "{name}");
            assert_eq!(is_container_name(name), has_ending, "{name}");
        }
        let error = "a/b.zarr".parse::<ContainerName>().unwrap_err();
        assert_eq!(error.code(), "name-not-a-container");
        for name in [".dalsegno", ".DALSEGNO", ".dalsegno.new-ab12"] {
            let error = name.parse::<ContainerName>().unwrap_err();
            assert_eq!(error.code(), "name-reserved", "{name}");
        }
    }

    #[test]
    fn serde_checks_what_it_reads() {
        assert!(serde_json::from_str::<RunName>("\"a/b\"").is_ok());
        assert!(serde_json::from_str::<RunName>("\"../b\"").is_err());
    }
}
