//! How a command ends when it does not end well.

use std::io::ErrorKind;

use crate::error::Error;
use crate::model::key::ParseKindError;
use crate::model::name::NameError;

/// Why a command ended.
#[derive(Debug)]
pub(super) enum Failure {
    /// The library reports an error.
    Library(Box<Error>),
    /// The call makes no sense; what, and what to type instead.
    Usage(String, String),
    /// Something outside the registry failed.
    Other(String),
    /// The same; what, and what to do about it.
    Outside(String, &'static str),
    /// Some of it is done; what is not was said already.
    Partly,
    /// Something was found that is to be looked at; it was said already.
    Findings,
    /// It failed, and that was said already.
    Reported,
    /// The user said no.
    Declined,
    /// Nobody reads the output any more.
    PipeClosed,
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        // An error of stdout travels through the library as an ordinary one.
        Self::Library(Box::new(error))
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::PipeClosed,
            _ => Self::Outside(
                format!("writing the output failed: {error}"),
                "let the output go where there is space for it, and run the same command again",
            ),
        }
    }
}

impl Failure {
    pub(super) fn usage(what: impl Into<String>, instead: impl Into<String>) -> Self {
        Self::Usage(what.into(), instead.into())
    }
}

/// Turns a name that the rules refuse into what clap shows.
pub(super) fn name_error(error: NameError) -> String {
    error.to_string()
}

/// Turns an unknown kind into what clap shows.
pub(super) fn kind_error(error: ParseKindError) -> String {
    error.to_string()
}
