//! Operations as short phrases, for tables of the history.

use crate::model::detail::{Detail, RemovalMade, RemovalStateSet, ScoreChanged};
use crate::model::name::{DatasetName, Parameters};
use crate::model::operation::Operation;
use crate::model::pin::PinScope;
use crate::model::removal::RemovalFate;
use crate::model::score::ScoreValue;
use crate::model::words::{count, in_sentence, number};

impl Operation {
    /// Says what it did, what has become by now of what it removed, and why.
    #[must_use]
    pub fn summary(&self) -> String {
        summary(self)
    }

    /// The number of artifacts that it changed, or that a pin or an unpin is about; `None` if it is
    /// about runs or iterations, whatever is recorded in them, as scores are too.
    #[cfg(feature = "cli")]
    pub(crate) fn artifacts_of(&self) -> Option<u64> {
        let entries = self.detail.iter().flat_map(Detail::entries);
        let of_pins = entries.filter_map(|entry| match entry {
            Detail::PinBound(bound) => Some(bound.artifacts.len()),
            Detail::PinReleased(released) => Some(released.artifacts.len()),
            Detail::ScoreChanged(_) => Some(0),
            _ => None,
        });
        match of_pins.reduce(|all, some| all + some) {
            Some(0) if self.artifacts == 0 => None,
            Some(some) => Some(self.artifacts.max(some as u64)),
            None => Some(self.artifacts),
        }
    }
}

fn summary(operation: &Operation) -> String {
    let mut parts = Vec::new();
    match (&operation.path, operation.artifacts) {
        (Some(path), 0 | 1) => parts.push(in_sentence(path)),
        (Some(path), artifacts) => {
            parts.push(format!(
                "{} and {} more",
                in_sentence(path),
                number(artifacts - 1)
            ));
        }
        (None, _) => {}
    }
    if let Some(detail) = &operation.detail {
        parts.extend(details(detail.entries(), operation.now));
    }
    let mut text = parts.join("; ");
    if let Some(reason) = &operation.reason {
        let gap = if text.is_empty() { "" } else { ": " };
        text = format!("{text}{gap}{reason}");
    }
    match text.is_empty() {
        true => "-".to_owned(),
        false => text,
    }
}

/// What an operation did besides changing rows. Of several scores, only the first is shown, with
/// the number of the others.
fn details(entries: &[Detail], now: Option<RemovalFate>) -> Vec<String> {
    let (scores, others): (Vec<&Detail>, Vec<&Detail>) = entries
        .iter()
        .partition(|entry| matches!(entry, Detail::ScoreChanged(_)));
    let mut parts: Vec<String> = others
        .into_iter()
        .filter_map(|entry| detail(entry, now))
        .collect();
    // One as an example: an import has thousands.
    parts.extend(scores.first().copied().and_then(|entry| detail(entry, now)));
    if scores.len() > 1 {
        parts.push(format!("and {}", count(scores.len() - 1, "more score")));
    }
    parts
}

fn detail(entry: &Detail, now: Option<RemovalFate>) -> Option<String> {
    Some(match (entry, now) {
        // The state that it had then is over; a reader wants to know whether it can come back.
        (Detail::RemovalMade(made), Some(now)) => format!("removal {} ({now})", made.removal),
        (entry, _) => return plain(entry),
    })
}

fn plain(entry: &Detail) -> Option<String> {
    Some(match entry {
        Detail::RemovalMade(RemovalMade { removal, state, .. })
        | Detail::RemovalStateSet(RemovalStateSet { removal, state }) => {
            format!("removal {removal} ({state})")
        }
        Detail::ItemNotInTrash(item) => format!("removal {}", item.removal),
        Detail::ItemLost(item) => {
            format!(
                "item {} of removal {} was lost in the trash",
                item.lost, item.removal
            )
        }
        Detail::ArtifactsLost(lost) => {
            let lost_artifacts = lost.lost_artifacts.len();
            let were = if lost_artifacts == 1 { "was" } else { "were" };
            format!(
                "{} of removal {} {were} lost in the trash",
                count(lost_artifacts, "artifact"),
                lost.removal
            )
        }
        Detail::PinBound(bound) => {
            let what = bindings(&bound.scopes, bound.artifacts.len());
            format!("{} binds {what}", bound.pin)
        }
        Detail::PinReleased(released) => {
            let what = bindings(&released.scopes, released.artifacts.len());
            format!("{} releases {what}", released.pin)
        }
        Detail::ScoreChanged(change) => score(change),
        Detail::CatalogRebuilt(rebuilt) => match &rebuilt.backup {
            Some(backup) if backup.is_old_catalog => {
                "rebuilt from the old catalog, of which only the header was damaged".to_owned()
            }
            Some(backup) => format!("rebuilt from the backup of {}", backup.at),
            None => "rebuilt from the disk and the trash alone".to_owned(),
        },
        Detail::RunRenamed(made) => format!("{} is {} now", made.from, made.to),
        // The parts of several come one by one, from `entries`. The words of another version's
        // detail are not known here.
        Detail::Several(_) | Detail::Other(_) => return None,
    })
}

fn bindings(scopes: &[PinScope], artifacts: usize) -> String {
    let mut parts: Vec<String> = scopes.iter().map(PinScope::to_string).collect();
    if artifacts > 0 {
        parts.push(count(artifacts, "artifact"));
    }
    parts.join("; ")
}

fn score(change: &ScoreChanged) -> String {
    let mut place = format!("{}, iteration {}", change.run, change.iteration);
    let dataset = change.dataset.as_ref().map(DatasetName::as_str);
    let parameters = change.parameters.as_ref().map(Parameters::as_str);
    for name in [dataset, parameters].into_iter().flatten() {
        place.push_str(&format!(", {name}"));
    }
    let text = |value: Option<ScoreValue>| value.map_or("none".to_owned(), |v| v.to_string());
    let values = match (change.before, change.after) {
        // A new score changed from nothing, so there is no arrow.
        (None, after) => format!("= {}", text(after)),
        (before, after) => format!("{} → {}", text(before), text(after)),
    };
    format!("{} {values} of {place}", change.metric)
}
