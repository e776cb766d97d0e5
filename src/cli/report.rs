//! Reports a failure on stderr: what happened and what to do next; and its exit code.

use std::path::Path;
use std::time::Duration;

use super::context::Context;
use super::fail::Failure;
use super::render::shell_word;
use super::{hints, interrupt};
use crate::error::Error;
use crate::model::causes::with_causes;
use crate::model::filter::Filter;
use crate::model::hint::Hint;
use crate::model::nearest::did_you_mean;
use crate::ops::restore::RestoreTarget;
use crate::ops::unmatched::Unmatched;
use crate::ops::unscanned::OnDisk;
use crate::registry::{Options, Registry};

/// The code of a failure of which nothing that is selected is recorded.
const NOTHING: &str = "not-recorded";

/// Prints the failure on stderr and returns the exit code.
pub(super) fn report(failure: &Failure, context: &Context) -> u8 {
    match failure {
        // An answer, such as a list, that was not given; others say what was done.
        Failure::Library(error)
            if matches!(**error, Error::Cancelled { .. }) && interrupt::is_interrupted() =>
        {
            context.interrupted("no data was touched; for an answer, run the same command again")
        }
        Failure::Interrupted(state) => context.interrupted(state),
        Failure::Library(error) => {
            let next = next(error, context);
            context.error(Some(error.code()), &text(error, context), next.as_deref());
            exit_code(error.code())
        }
        Failure::Usage(what, instead) => {
            context.error(None, what, Some(&context.with_base(instead)));
            2
        }
        Failure::Nothing(what, next) => {
            context.error(Some(NOTHING), what, Some(&context.with_base(next)));
            1
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
        Failure::ReportedAs(code) => exit_code(code),
        // The reader of the pipe has seen enough, as with `| head`; that is no failure.
        Failure::PipeClosed => 0,
    }
}

/// What to do about an error. Commands in it include `--base` if it was given.
pub(super) fn next(error: &Error, context: &Context) -> Option<String> {
    // Such a command has just had the reserve.
    if context.frees_space.get() && error.hint() == Some(Hint::FreeByRemoval) {
        return Some(hints::text(Hint::FreeCatalogSpace).to_owned());
    }
    let base = context.base().ok();
    if let Some(next) = in_trash(error, context, base.as_deref()) {
        return Some(next);
    }
    if let Some(unmatched) = not_scanned(error, context)
        && let Some(next) = unmatched.on_disk.and_then(how_to_scan)
    {
        return Some(context.with_base(next));
    }
    if let Error::BelowRun { path, run } = error {
        return Some(context.with_base(&by_path(context, path, run)));
    }
    let next = hints::of(error, base.as_deref(), context.may_skip.get())?;
    Some(context.with_base(&next))
}

/// How a run is given, and what is in it.
fn by_path(context: &Context, path: &str, run: &str) -> String {
    let run = shell_word(run);
    match context.by_path.get() {
        Some(command) => format!(
            "for what is below it, type it without --run: dalsegno {command} {}; for the whole run \
             give {run}",
            shell_word(&context.typable(path))
        ),
        None => format!("give the run: {run}"),
    }
}

/// How a run is taken in of which something is on disk and nothing is recorded; `None` if a scan
/// finds nothing.
pub(super) fn how_to_scan(on_disk: OnDisk) -> Option<&'static str> {
    match on_disk {
        OnDisk::Arrays => Some("take it in with: dalsegno scan"),
        OnDisk::Checkpoints => Some("take them in with: dalsegno scan --kind checkpoint"),
        OnDisk::Others => None,
    }
}

/// The run that an error names and that is on disk, and not scanned.
fn not_scanned(error: &Error, context: &Context) -> Option<Unmatched> {
    let path = unknown_path(error)?;
    let registry = opened(context, context.base().ok().as_deref())?;
    let of_path = Filter::default().below([registry.base_path(path).ok()?]);
    let unmatched = registry.unmatched(&of_path).ok()?.into_iter();
    let mut unmatched = unmatched.filter(|one| one.on_disk.and_then(how_to_scan).is_some());
    unmatched.next()
}

/// The path that an error names of which nothing is recorded.
fn unknown_path(error: &Error) -> Option<&Path> {
    match error {
        Error::NotRecorded {
            path: Some(path),
            is_run: false,
            inside: 0,
            level_of: None,
            ..
        } => Some(path),
        _ => None,
    }
}

/// The registry once more: the call has failed, and this one must not wait or fail too.
fn opened(context: &Context, base: Option<&Path>) -> Option<Registry> {
    let mut options = Options::new()
        .read_only(true)
        .lock_timeout(Duration::ZERO)
        .despite_mistakes(true);
    if let Some(catalog) = &context.global.catalog {
        options = options.catalog(catalog);
    }
    options.open(base?).ok()
}

/// What the trash has of a path of which nothing is recorded.
fn in_trash(error: &Error, context: &Context, base: Option<&Path>) -> Option<String> {
    let path = unknown_path(error)?;
    let registry = opened(context, base)?;
    let place = path.strip_prefix(registry.base()).unwrap_or(path);
    let typed = shell_word(&context.typable(place.to_str()?));
    let in_trash = context.in_trash(&registry, &RestoreTarget::Path(path.to_owned()), &typed)?;
    let take_in = "checkpoints there are not recorded; take them in with: dalsegno scan --kind \
                   checkpoint";
    let is_with_checkpoints = matches!(
        error,
        Error::NotRecorded {
            only_checkpoints: true,
            ..
        }
    );
    Some(match is_with_checkpoints {
        true => format!("{in_trash}; {}", context.with_base(take_in)),
        false => in_trash,
    })
}

/// The text of an error. The nearest path in it is one that can be typed in the current folder.
pub(super) fn text(error: &Error, context: &Context) -> String {
    if let Some(unmatched) = not_scanned(error, context) {
        return unmatched.to_string();
    }
    let text = with_causes(error);
    let Error::NotRecorded {
        path: Some(_),
        nearest: Some(nearest),
        ..
    } = error
    else {
        return text;
    };
    let meant = did_you_mean(Some(nearest));
    text.replacen(&meant, &did_you_mean(Some(&context.typable(nearest))), 1)
}

/// The exit code that belongs to an error code.
fn exit_code(code: &str) -> u8 {
    match code {
        "no-registry" => 10,
        "lock-timeout" => 11,
        // In all of these there is no catalog that can be worked with.
        "catalog-missing"
        | "catalog-not-a-file"
        | "catalog-damaged"
        | "catalog-foreign"
        | "catalog-mismatch"
        | "catalog-folder-missing"
        | "catalog-row-damaged" => 12,
        "catalog-too-new" => 13,
        // A policy comes from the flags of the call.
        code if code.starts_with("policy-") => 2,
        _ => 1,
    }
}
