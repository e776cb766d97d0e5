//! How a command ends when it does not end well.

use std::error::Error as _;
use std::io::ErrorKind;

use super::context::Context;
use crate::error::Error;
use crate::model::key::UnknownKind;
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
    Said,
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

    /// Says why on stderr and gives the exit code.
    pub(super) fn report(&self, context: &Context) -> u8 {
        match self {
            Self::Library(error) => {
                let next = next(error, context);
                context.error(Some(error.code()), &with_causes(error), next.as_deref());
                exit_code(error.code())
            }
            Self::Usage(what, instead) => {
                context.error(None, what, Some(&context.with_base(instead)));
                2
            }
            Self::Other(what) => {
                context.error(None, what, None);
                1
            }
            Self::Outside(what, next) => {
                context.error(None, what, Some(next));
                1
            }
            Self::Partly => 3,
            Self::Findings => 4,
            Self::Said | Self::Declined => 1,
            Self::PipeClosed => 0,
        }
    }
}

/// An error and what caused it, on one line.
pub(super) fn with_causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

/// What to do about an error; where that is a command, it names the base directory that is meant.
pub(super) fn next(error: &Error, context: &Context) -> Option<String> {
    let hint = match error.code() {
        "base-not-found" => {
            "check the path; where there is to be a new base directory: mkdir DIR && dalsegno \
             --base DIR init"
        }
        "catalog-io" | "catalog-sql" | "storage-io" | "unreadable" => {
            "mend the cause, then run the same command again"
        }
        "base-unusable" => "give a folder of this machine, by a name in UTF-8",
        "not-recorded" => {
            "see what is recorded with: dalsegno list; or take in what is on disk with: dalsegno \
             scan"
        }
        "read-only" => "run it as a user who may write the catalog and the folder around it",
        code if code.starts_with("name-") => {
            "names are relative, without the components . and ..; see: dalsegno record --help"
        }
        _ => error.hint()?,
    };
    Some(context.with_base(hint))
}

/// The exit code that belongs to an error code.
fn exit_code(code: &str) -> u8 {
    match code {
        "no-registry" => 10,
        "lock-timeout" => 11,
        "catalog-missing"
        | "catalog-not-a-file"
        | "catalog-damaged"
        | "catalog-foreign"
        | "catalog-mismatch"
        | "catalog-folder-missing"
        | "catalog-row-damaged" => 12,
        "catalog-too-new" => 13,
        // The call makes no sense.
        code if code.starts_with("policy-") => 2,
        _ => 1,
    }
}

/// Turns a name that the rules refuse into what clap shows.
pub(super) fn name_error(error: NameError) -> String {
    error.to_string()
}

/// Turns an unknown kind into what clap shows.
pub(super) fn kind_error(error: UnknownKind) -> String {
    error.to_string()
}
