//! Names: what is accepted holds the invariants of [`dalsegno::name`], and is written as it is
//! read.

use std::fmt::{Debug, Display};
use std::path::{Component, Path};
use std::str::FromStr;

use dalsegno::Error;
use dalsegno::model::artifact::State;
use dalsegno::model::filter::IterationRange;
use dalsegno::model::key::Kind;
use dalsegno::model::name::{
    ContainerName, DatasetName, MAX_COMPONENT, NameError, Parameters, RunName, parse_iteration,
};
use dalsegno::model::operation::{Action, OperationHash};
use dalsegno::model::pin::PinName;
use dalsegno::model::removal::RemovalId;
use dalsegno::model::score::MetricName;

/// Reads the bytes as every kind of name.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Some(run) = path_name::<RunName>(text) {
        let first = run.split('/').next().unwrap_or_default().to_lowercase();
        assert_ne!(first, ".dalsegno");
        assert!(!first.starts_with(".dalsegno.new-"), "{first}");
    }
    path_name::<DatasetName>(text);
    path_name::<Parameters>(text);
    if let Some(container) = path_name::<ContainerName>(text) {
        assert!(!container.contains('/'));
    }
    same::<Kind>(text);
    same::<State>(text);
    same::<OperationHash>(text);
    if let Ok(hash) = text.parse::<OperationHash>() {
        assert_eq!(hash.to_string(), text.to_ascii_lowercase());
    }
    same::<IterationRange>(text);
    same::<PinName>(text);
    same::<MetricName>(text);
    if same::<Action>(text) {
        assert!(text.bytes().all(|byte| byte.is_ascii_lowercase()));
    }
    if same::<RemovalId>(text) {
        // It is the name of a folder in the trash.
        let components: Vec<_> = Path::new(text).components().collect();
        assert!(
            matches!(components.as_slice(), [Component::Normal(name)] if *name == text),
            "{text:?}"
        );
        assert!(!text.chars().any(char::is_control));
    }
    match parse_iteration(text) {
        Ok(iteration) => assert_eq!(iteration.to_string(), text),
        Err(error) => refused(&error, text),
    }
}

fn refused(error: &NameError, text: &str) {
    assert!(Error::CODES.contains(&error.code()), "{text:?}");
    let message = error.to_string();
    assert!(!message.is_empty());
    assert!(!message.chars().any(char::is_control), "{message:?}");
}

/// What is accepted stays below whatever folder it is joined to.
fn path_name<T>(text: &str) -> Option<String>
where
    T: FromStr<Err = NameError> + TryFrom<String, Error = NameError> + PartialEq + Debug + Display,
{
    let name = match text.parse::<T>() {
        Ok(name) => name,
        Err(error) => {
            refused(&error, text);
            assert_eq!(T::try_from(text.to_owned()), Err(error));
            return None;
        }
    };
    let held = name.to_string();
    assert_eq!(held.parse::<T>().as_ref(), Ok(&name));
    assert_eq!(T::try_from(text.to_owned()).as_ref(), Ok(&name));
    assert!(!held.starts_with('/'));
    for part in held.split('/') {
        assert!(!matches!(part, "" | "." | ".."), "{held:?}");
        assert!(part.len() <= MAX_COMPONENT, "{held:?}");
        assert!(!part.chars().any(char::is_control), "{held:?}");
    }
    let is_normal = |component| matches!(component, Component::Normal(_));
    assert!(Path::new(&held).components().all(is_normal), "{held:?}");
    let given: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
    assert_eq!(held, given.join("/"), "kept to the byte");
    Some(held)
}

/// Whether the text is read; then it is also what is written.
fn same<T>(text: &str) -> bool
where
    T: FromStr + PartialEq + Debug + Display,
    T::Err: Display,
{
    match text.parse::<T>() {
        Ok(value) => {
            let written = value.to_string();
            assert_eq!(written.parse::<T>().ok(), Some(value), "{text:?}");
            written == text
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}
