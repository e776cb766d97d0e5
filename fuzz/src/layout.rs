//! The layout, both ways: a path that reads as a key is that key's path, and a key that its path
//! determines is read from it again.

use std::path::{Component, Path};

use arbitrary::{Result, Unstructured};
use dalsegno::Error;
use dalsegno::model::key::{Key, Kind};
use dalsegno::model::layout;
use dalsegno::model::name::{ContainerName, NameError, is_registry_dir};

/// Components that mean something to the layout, and a few that mean nothing.
const WORDS: [&str; 24] = [
    "a",
    "validation.zarr",
    "snapshot.zarr",
    "checkpoints",
    "iterations",
    "output",
    "prediction",
    "inputs",
    "raw",
    "gt",
    "1",
    "-3",
    "007",
    "x.zarr",
    "x.n5",
    ".zarr",
    "[m]",
    "e\u{301}",
    ".dalsegno",
    ".dalsegno.new-1",
    "..",
    ".",
    "",
    "voi",
];

/// Reads the bytes as a path, and as the parts of a key.
pub fn check(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        path(text);
    }
    let mut input = Unstructured::new(data);
    if let Ok(parts) = joined(&mut input) {
        path(&parts);
    }
    if let Ok(Some(read)) = key(&mut input) {
        of_key(&read);
    }
}

fn path(text: &str) {
    let key = match layout::parse(text) {
        Ok(key) => key,
        Err(error) => {
            assert!(Error::CODES.contains(&error.code()), "{text:?}");
            assert!(!error.to_string().chars().any(char::is_control));
            return;
        }
    };
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
    let location = layout::locate(&key);
    assert_eq!(location.path(), parts.join("/"), "{key:?}");
    assert_eq!(
        layout::canonical_location(&key).path(),
        location.path(),
        "{key:?}"
    );
    assert_eq!(layout::parse(&location.path()).as_ref(), Ok(&key));
    assert!(layout::round_trips(&key), "{key:?}");
    of_key(&key);
}

fn of_key(key: &Key) {
    let path = layout::locate(key).path();
    let is_normal = |component| matches!(component, Component::Normal(_));
    assert!(Path::new(&path).components().all(is_normal), "{path:?}");
    assert!(!path.starts_with('/') && !path.ends_with('/') && !path.contains("//"));
    assert!(!is_registry_dir(path.split('/').next().unwrap_or_default()));
    assert_eq!(layout::canonical_location(key).path(), path);
    // Whatever it reads as has the same place, and is certain.
    let read = layout::parse(&path).unwrap();
    assert_eq!(layout::locate(&read).path(), path);
    assert_eq!(
        layout::canonical_location(&read),
        layout::canonical_location(key)
    );
    assert_eq!(layout::round_trips(key), read == *key);
    let json = serde_json::to_string(key).unwrap();
    assert_eq!(serde_json::from_str::<Key>(&json).unwrap(), *key);
}

/// A path of components that the layout knows, and of others.
fn joined(input: &mut Unstructured<'_>) -> Result<String> {
    let mut parts = Vec::new();
    for _ in 0..input.int_in_range(1..=6_u8)? {
        parts.push(if input.ratio(5_u8, 6_u8)? {
            *input.choose(&WORDS)?
        } else {
            input.arbitrary::<&str>()?
        });
    }
    Ok(parts.join("/"))
}

/// A key of any kind; `None` if its names are refused.
fn key(input: &mut Unstructured<'_>) -> Result<Option<Key>> {
    let kind = *input.choose(&Kind::ALL)?;
    let (run, iteration) = (joined(input)?, input.arbitrary()?);
    let (dataset, parameters) = (joined(input)?, joined(input)?);
    let (has_dataset, has_iteration): (bool, bool) = (input.arbitrary()?, input.arbitrary()?);
    let container = *input.choose(&["x.zarr", "x.n5", "validation.zarr", "snapshot.zarr"])?;
    let make = || -> std::result::Result<Key, NameError> {
        let run = run.parse()?;
        let name = || dataset.parse();
        let index = has_dataset.then(name).transpose();
        Ok(match kind {
            Kind::Prediction => Key::Prediction {
                run,
                iteration,
                dataset: name()?,
                container: None,
            },
            Kind::Output => Key::Output {
                run,
                iteration,
                dataset: name()?,
                parameters: parameters.parse()?,
                container: None,
            },
            Kind::InputRaw => Key::InputRaw { run, index: index? },
            Kind::InputGt => Key::InputGt { run, index: index? },
            Kind::Best => Key::Best {
                run,
                criterion: parameters.parse()?,
                index: index?,
            },
            Kind::Snapshot => Key::Snapshot {
                run,
                iteration: has_iteration.then_some(iteration),
                dataset: name()?,
            },
            Kind::SnapshotContainer => Key::SnapshotContainer { run },
            Kind::ValidationContainer => Key::ValidationContainer { run },
            Kind::Array => Key::Array {
                run,
                container: container.parse::<ContainerName>()?,
                dataset: index?,
            },
            Kind::Checkpoint => Key::Checkpoint { run, iteration },
            kind => unreachable!("no key is made of the kind {kind} here"),
        })
    };
    Ok(make().ok())
}
