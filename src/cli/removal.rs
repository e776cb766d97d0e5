//! Shared by the commands that remove: the trash flags, and the messages after a removal.

use clap::Args;

use super::context::Context;
use super::flags::duration;
use super::render::count;
use crate::model::removal::TrashKeep;
use crate::ops::remove::{BackupFailure, Skipped};
use crate::registry::Registry;
use crate::retention::length;
use crate::store::StaleList;

/// The flags that say how long removed data stays in the trash.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct TrashFlags {
    /// Keep the data in the trash until it is emptied
    #[arg(long, conflicts_with_all = ["no_trash", "trash_for"])]
    trash: bool,
    /// Keep the data in the trash for this long, such as 72h
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with = "no_trash")]
    trash_for: Option<std::time::Duration>,
    /// Unlink the data at once, even if config.toml sets trash.keep
    #[arg(long)]
    no_trash: bool,
}

impl TrashFlags {
    /// How long the data can be restored.
    pub(super) fn keep(self) -> TrashKeep {
        match self.trash_for {
            Some(time) => TrashKeep::For(time),
            None if self.trash => TrashKeep::UntilEmptied,
            None if self.no_trash => TrashKeep::No,
            None => TrashKeep::Configured,
        }
    }
}

/// Where removed data goes, as a phrase.
pub(super) fn destination(registry: &Registry, keep: TrashKeep) -> String {
    match registry.resolve_keep(keep) {
        // `resolve_keep` has replaced Configured, so it means no trash here.
        TrashKeep::No | TrashKeep::Configured => "for good".to_owned(),
        TrashKeep::UntilEmptied => "into the trash".to_owned(),
        TrashKeep::For(time) => format!("into the trash for {}", length(time)),
    }
}

/// Says of a removal that was to be kept in the trash and had no data that nothing is there.
pub(super) fn say_nothing_kept(context: &Context, registry: &Registry, keep: TrashKeep) {
    if registry.resolve_keep(keep) != TrashKeep::No {
        context.say("there was no data to move to the trash, so nothing can be restored");
    }
}

/// Warns that a removal went on without a backup of the catalog.
pub(super) fn warn_no_backup(context: &Context, failure: &BackupFailure) {
    context.warn(&format!(
        "the catalog could not be backed up before the removal: {}",
        failure.reason
    ));
}

/// Warns of what was skipped.
pub(super) fn warn_skipped(context: &Context, skipped: &[Skipped]) {
    let texts = skipped.iter().map(|skipped| {
        let (path, reason) = (skipped.path.display().to_string(), &skipped.reason);
        // Most reasons name the path.
        if reason.contains(&path) {
            format!("skipped: {reason}")
        } else {
            format!("skipped {path}: {reason}")
        }
    });
    context.warn_of(texts, "skipped");
}

/// Warns of consolidated metadata that could not be written.
pub(super) fn warn_stale_lists(context: &Context, lists: &[StaleList]) {
    let texts = lists.iter().map(|list| {
        format!(
            "the consolidated metadata {} does not agree with what is there, and could not be \
             written: {}",
            list.path.display(),
            list.reason
        )
    });
    context.warn_of(texts, "such lists");
    if !lists.is_empty() {
        // The repair rewrites the list from what is there, once the folder can be written.
        let hint = "make its folder writable, then run: dalsegno verify --repair";
        context.say(&context.with_base(hint));
    }
}

/// Warns of what a purge could not unlink, or says that another process unlinks it.
pub(super) fn report_purge(context: &Context, purge: &crate::store::PurgeReport) {
    let texts = purge
        .failures
        .iter()
        .map(|(path, reason)| format!("could not unlink {}: {reason}", path.display()));
    context.warn_of(texts, "paths");
    // Failures first: without any, what is left is being unlinked by another process.
    if purge.failed > 0 {
        let hint = context.with_base("fix the cause, then run: dalsegno trash empty");
        let failed = count(purge.failed, "path");
        context.warn(&format!("{failed} could not be unlinked; {hint}"));
    } else if !purge.is_done {
        let hint = context.with_base("see: dalsegno trash list");
        context.say(&format!("another process is unlinking the rest; {hint}"));
    }
}
