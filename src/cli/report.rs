//! Failures on stderr: what happened, what to do next, and the exit code.

use std::error::Error as _;

use super::context::Context;
use super::fail::Failure;
use crate::error::Error;

/// Says why on stderr and gives the exit code.
pub(super) fn report(failure: &Failure, context: &Context) -> u8 {
    match failure {
        Failure::Library(error) => {
            let next = next(error, context);
            context.error(Some(error.code()), &with_causes(error), next.as_deref());
            exit_code(error.code())
        }
        Failure::Usage(what, instead) => {
            context.error(None, what, Some(&context.with_base(instead)));
            2
        }
        Failure::Other(what) => {
            context.error(None, what, None);
            1
        }
        Failure::Outside(what, next) => {
            context.error(None, what, Some(next));
            1
        }
        Failure::Partly => 3,
        Failure::Findings => 4,
        Failure::Reported | Failure::Declined => 1,
        Failure::PipeClosed => 0,
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
