//! Why a command failed.

use std::io::ErrorKind;

use crate::error::Error;
use crate::model::key::ParseKindError;
use crate::model::name::NameError;

/// Why a command failed, or ended without success.
#[derive(Debug)]
pub(super) enum Failure {
    /// The library reports an error.
    Library(Box<Error>),
    /// The call is wrong: why, and what to type instead.
    Usage(String, String),
    /// What was selected to be changed is nothing: why, and what to type.
    Nothing(String, &'static str),
    /// Something outside the registry failed.
    Other(String),
    /// The same, with what to do about it.
    Outside(String, &'static str),
    /// Ctrl-C ended it: what state is left, and what to type.
    Interrupted(String),
    /// Partly done; the rest was already reported.
    Partly,
    /// There are findings, which were already reported.
    Findings,
    /// Failed, and the error was already printed.
    Reported,
    /// Failed with this error code, and the error was already printed.
    ReportedAs(&'static str),
    /// The user did not confirm.
    Declined,
    /// The reader of the output closed the pipe.
    PipeClosed,
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        Self::Library(Box::new(error))
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            // `| head` ends a listing, and that is not an error.
            ErrorKind::BrokenPipe => Self::PipeClosed,
            _ => Self::Outside(
                format!("writing the output failed: {error}"),
                "write the output to a place with free space, and run the same command again",
            ),
        }
    }
}

impl Failure {
    pub(super) fn usage(what: impl Into<String>, instead: impl Into<String>) -> Self {
        Self::Usage(what.into(), instead.into())
    }
}

/// The text of a bad name, for clap.
pub(super) fn name_error(error: NameError) -> String {
    error.to_string()
}

/// The text of an unknown kind, for clap.
pub(super) fn kind_error(error: ParseKindError) -> String {
    error.to_string()
}
