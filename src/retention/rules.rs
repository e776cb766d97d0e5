//! The rules: whether one keeps an artifact, and on what grounds.
//!
//! Plans and explanations are written from the same [`Grounds`].

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::best::Standing;
use super::check::divisible;
use super::inventory::InventoryRow;
use super::metric::Metric;
use super::plan::Reason;
use super::policy::{KeepRules, Policy};
use super::words::{joined, length};
use crate::model::artifact::{Artifact, Origin};
use crate::model::clock::Timestamp;
use crate::model::key::Kind;

/// Artifacts that were recorded or written within this time stay: a writer may still be at work.
pub const RECENT: Duration = Duration::from_secs(3600);

/// The name of every rule that a [`Reason`] can give.
pub const RULES: [&str; 24] = [
    "keep-last",
    "keep-first",
    "keep-every",
    "keep-iterations",
    "keep-within",
    "keep-best",
    "older-than",
    "pinned",
    "pinned-elsewhere",
    "best-link",
    "newest-checkpoint",
    "last-complete",
    "recent",
    "future",
    "unreadable",
    "damaged",
    "no-metric",
    "no-iteration",
    "no-rule",
    "within-budget",
    "not-kept",
    "max-size",
    "max-files",
    "min-free",
];

/// A keep rule of a policy.
pub(super) struct Rule<'a> {
    pub(super) name: &'static str,
    pub(super) setting: Arc<str>,
    test: Test<'a>,
}

enum Test<'a> {
    Last(u64),
    First(u64),
    Every(u64),
    Iterations(BTreeSet<i64>),
    Within(Duration),
    Best { count: u64, metric: &'a Metric },
}

/// What the rules need to know about an artifact.
pub(super) struct Facts<'a> {
    pub(super) row: &'a InventoryRow,
    /// Rank of its iteration in its group, from 1 for the lowest.
    pub(super) nth: u64,
    /// Number of iterations in its group.
    pub(super) of: u64,
    /// Its rank among the iterations of its group that count as complete, from 1 for the lowest,
    /// and their number; `None` if it does not count, or all do.
    pub(super) complete: Option<(u64, u64)>,
    /// Time since it was written, or recorded if it was never written; `None` in the future.
    pub(super) age: Option<Duration>,
    /// What `keep-best` makes of it, if the policy has that rule.
    pub(super) standing: Standing<'a>,
    /// The same among artifacts of iterations that count as complete, if others do not.
    pub(super) complete_standing: Option<Standing<'a>>,
    /// Whether it is here only to stay with what `keep-best` keeps: the policy names kinds, and not
    /// this one. Then its own policy decides on it, and no other rule or limit of this one applies.
    pub(super) is_guest: bool,
}

/// The grounds on which a rule keeps an artifact or does not.
pub(super) enum Grounds<'a> {
    /// Its rank among others.
    Nth {
        nth: u64,
        of: u64,
        end: &'static str,
        what: &'static str,
    },
    /// Whether its iteration is divisible.
    Divisible { iteration: i64, by: u64, is: bool },
    /// Whether its iteration is named.
    Named { iteration: i64, is: bool },
    /// How old it is.
    Aged {
        verb: &'static str,
        age: Option<Duration>,
    },
    /// What `keep-best` makes of it.
    Best {
        standing: Standing<'a>,
        metric: &'a str,
        kind: Kind,
        iteration: Option<i64>,
    },
    /// It has no iteration.
    NoIteration,
}

impl<'a> Rule<'a> {
    /// The keep rules of a policy.
    pub(super) fn all(keep: &'a KeepRules) -> Vec<Self> {
        let mut rules = Vec::new();
        let mut push = |name, setting: String, test| {
            rules.push(Self {
                name,
                setting: setting.into(),
                test,
            });
        };
        if let Some(count) = keep.last {
            push("keep-last", count.to_string(), Test::Last(count));
        }
        if let Some(count) = keep.first {
            push("keep-first", count.to_string(), Test::First(count));
        }
        if let Some(every) = keep.every {
            push("keep-every", every.to_string(), Test::Every(every));
        }
        if !keep.iterations.is_empty() {
            let iterations = keep.iterations.iter().copied().collect();
            push(
                "keep-iterations",
                joined(&keep.iterations, ", "),
                Test::Iterations(iterations),
            );
        }
        if let Some(within) = keep.within {
            push("keep-within", length(within), Test::Within(within));
        }
        if let Some(best) = &keep.best {
            let (count, metric) = (best.count, &best.metric);
            push(
                "keep-best",
                format!("{count} {metric}"),
                Test::Best { count, metric },
            );
        }
        rules
    }

    /// Whether the rule applies to an artifact.
    pub(super) fn is_for(&self, facts: &Facts<'_>) -> bool {
        // A guest is here for `keep-best` alone.
        !facts.is_guest || matches!(self.test, Test::Best { .. })
    }

    /// Decides whether the rule keeps an artifact, and gives what it found.
    pub(super) fn judge(&self, facts: &Facts<'a>) -> (bool, Grounds<'a>) {
        let artifact = &facts.row.artifact;
        let Facts { nth, of, .. } = *facts;
        let iteration = match (&self.test, artifact.newest_iteration()) {
            // By time alone, so it keeps artifacts without an iteration too.
            (Test::Within(within), _) => {
                // In the future it has no age; a guard keeps it then.
                let keeps = facts.age.is_some_and(|age| age <= *within);
                return (keeps, aged(artifact, facts.age));
            }
            (_, None) => return (false, Grounds::NoIteration),
            (_, Some(iteration)) => iteration,
        };
        let place = |nth, end| Grounds::Nth {
            nth,
            of,
            end,
            what: "iteration",
        };
        match &self.test {
            // Incomplete iterations take no place from complete ones.
            Test::Last(count) => match facts.complete {
                Some((low, of)) if of.saturating_sub(low) < *count => (
                    true,
                    complete_place(of.saturating_sub(low) + 1, of, "newest"),
                ),
                _ => {
                    let nth = of.saturating_sub(nth) + 1;
                    (nth <= *count, place(nth, "newest"))
                }
            },
            Test::First(count) => match facts.complete {
                Some((nth, of)) if nth <= *count => (true, complete_place(nth, of, "oldest")),
                _ => (nth <= *count, place(nth, "oldest")),
            },
            Test::Every(every) => {
                let is = divisible(iteration, *every);
                let by = *every;
                (is, Grounds::Divisible { iteration, by, is })
            }
            Test::Iterations(named) => {
                let is = named.contains(&iteration);
                (is, Grounds::Named { iteration, is })
            }
            // Decided above, where no iteration is needed.
            Test::Within(_) => (false, aged(artifact, facts.age)),
            Test::Best { count, metric } => {
                let is_kept = |standing: &Standing<'_>| match standing {
                    Standing::Ranked(rank) => rank.nth <= *count,
                    Standing::Along(kept) => kept.is_some(),
                    _ => false,
                };
                // A place among complete iterations keeps; it takes nothing away from what a place
                // among all iterations keeps.
                let of_complete = facts.complete_standing.filter(is_kept);
                let standing = of_complete.unwrap_or(facts.standing);
                let keeps = is_kept(&standing);
                let grounds = Grounds::Best {
                    standing,
                    metric: metric.name(),
                    kind: artifact.key.kind(),
                    iteration: Some(iteration),
                };
                (keeps, grounds)
            }
        }
    }

    /// The rule as a reason.
    pub(super) fn reason(&self, grounds: &Grounds<'_>) -> Reason {
        Reason {
            rule: self.name,
            setting: Some(Arc::clone(&self.setting)),
            detail: grounds.to_string(),
        }
    }
}

/// Reasons to keep an artifact that no keep rule can overrule. The policy cannot decide on an
/// artifact without iteration or metric, so that one stays.
pub(super) fn guards(policy: &Policy, facts: &Facts<'_>, now: Timestamp) -> Vec<Reason> {
    let artifact = &facts.row.artifact;
    let kind = artifact.key.kind();
    // Pins and links come first: they are what a user set.
    let mut reasons = bound(facts.row);
    // A user who selects an iteration by its number means this very checkpoint.
    if !policy.select.names(artifact.key.iteration()) {
        reasons.extend(resumed_from(facts.row));
    }
    reasons.extend(in_use(artifact, now));
    reasons.extend(unread(facts.row));
    if artifact.newest_iteration().is_none() {
        reasons.push(Reason::new(
            "no-iteration",
            Grounds::NoIteration.to_string(),
        ));
    }
    if let Some(best) = &policy.keep.best {
        // What has no score may be the best one.
        if facts.standing == Standing::Unknown {
            let name = best.metric.name();
            reasons.push(Reason::new("no-metric", format!("its {name} is unknown")));
        }
        // Among these, no rule can say which is the best.
        if facts.standing == Standing::NoNumber {
            let name = best.metric.name();
            let detail = format!("no {name} that it is compared with is a number");
            reasons.push(Reason::new("no-metric", detail));
        }
        // Kinds that the only rule does not rank would go without any rule about them.
        if facts.standing == Standing::Apart && policy.keep.is_only_best() {
            let detail = format!("the policy has no keep rule for kind {kind}");
            reasons.push(Reason::new("no-rule", detail));
        }
    }
    reasons
}

/// The pins and best links of an artifact, as reasons to keep it.
pub(super) fn bound(row: &InventoryRow) -> Vec<Reason> {
    let pins = row.artifact.pins.iter().map(|pin| ("pinned", pin));
    let links = row.best_links.iter().map(|link| ("best-link", link));
    let owner = row.pinned_elsewhere.iter();
    let owner = owner.map(|path| {
        (
            "pinned-elsewhere",
            format!("the data of {path}, which is pinned"),
        )
    });
    pins.chain(links)
        .map(|(rule, name)| (rule, name.clone()))
        .chain(owner)
        .map(|(rule, detail)| Reason::new(rule, detail))
        .collect()
}

/// The reason to keep what could not be looked at.
pub(super) fn unread(row: &InventoryRow) -> Option<Reason> {
    row.is_unread.then(|| {
        let detail = "its folders cannot be read, so when it was last written is unknown";
        Reason::new("unreadable", detail)
    })
}

/// What binds an array whose metadata cannot be read, or shows that it is in use.
pub(super) fn guards_of_damaged(row: &InventoryRow, now: Timestamp) -> Vec<Reason> {
    let mut reasons = bound(row);
    reasons.extend(in_use(&row.artifact, now));
    reasons.extend(unread(row));
    reasons
}

/// The reason to keep the newest checkpoint of a run.
fn resumed_from(row: &InventoryRow) -> Option<Reason> {
    row.is_newest_checkpoint.then(|| {
        let detail = "a training resumes from it, and forgets the statistics after it";
        Reason::new("newest-checkpoint", detail)
    })
}

/// Reasons to believe that a writer is at work on an artifact: it is recent or dated in the future.
pub(super) fn in_use(artifact: &Artifact, now: Timestamp) -> Vec<Reason> {
    let recorded = ("recorded", artifact.recorded_at);
    let written = artifact.written_at.max(artifact.data_written_at);
    let written = written.map(|at| ("written", at));
    let is_recent = |at: Timestamp| now.minus(RECENT) <= at && at <= now;
    // A scan records old data just now, so its moment of recording says nothing about the writer.
    let said = (artifact.origin == Origin::Recorded).then_some(recorded);
    let mut reasons = Vec::new();
    // The time of writing first: it says more than when the row was made.
    if let Some((verb, at)) = written
        .into_iter()
        .chain(said)
        .find(|(_, at)| is_recent(*at))
    {
        let age = at.age_at(now);
        reasons.push(Reason::new(
            "recent",
            Grounds::Aged { verb, age }.to_string(),
        ));
    }
    // A time in the future means a wrong clock: the age is unknown, so the artifact stays.
    // Whatever its origin, a row from the future shows a clock that is wrong.
    let mut times = written.into_iter().chain([recorded]);
    if let Some((verb, at)) = times.find(|(_, at)| *at > now) {
        reasons.push(Reason::new("future", format!("{verb} at {at}")));
    }
    reasons
}

fn complete_place<'a>(nth: u64, of: u64, end: &'static str) -> Grounds<'a> {
    Grounds::Nth {
        nth,
        of,
        end,
        what: "complete iteration",
    }
}

fn aged<'a>(artifact: &Artifact, age: Option<Duration>) -> Grounds<'a> {
    let verb = match artifact.written_at {
        Some(_) => "written",
        None => "recorded",
    };
    Grounds::Aged { verb, age }
}

impl Grounds<'_> {
    /// The grounds as a clause about the artifact.
    pub(super) fn sentence(&self) -> String {
        match self {
            Self::Nth { .. }
            | Self::Best {
                standing: Standing::Ranked(_),
                ..
            } => format!("it is the {self}"),
            Self::Aged { age: Some(_), .. } => format!("it was {self}"),
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for Grounds<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nth { nth, of, end, what } => {
                let plural = if *of == 1 { "" } else { "s" };
                write!(f, "{}{end} of {of} {what}{plural}", Nth(*nth))
            }
            Self::Divisible { iteration, by, is } => {
                let not = if *is { "" } else { "not " };
                write!(f, "{iteration} is {not}divisible by {by}")
            }
            Self::Named { iteration, is } => {
                let not = if *is { "" } else { "not " };
                write!(f, "iteration {iteration} is {not}named")
            }
            Self::Aged {
                verb,
                age: Some(age),
            } => write!(f, "{verb} {} ago", span(*age)),
            Self::Aged { verb, age: None } => write!(f, "it is {verb} in the future"),
            Self::NoIteration => f.write_str("it has no iteration"),
            Self::Best {
                standing,
                metric,
                kind,
                iteration,
            } => match standing {
                Standing::Apart => write!(f, "it is not for kind {kind}"),
                Standing::NoIteration => f.write_str("it has no iteration"),
                Standing::Unknown => write!(f, "its {metric} is unknown"),
                Standing::NotANumber => write!(f, "its {metric} is not a number"),
                Standing::NoNumber => {
                    write!(f, "no {metric} that it is compared with is a number")
                }
                Standing::Ranked(rank) => {
                    let (nth, of) = (Nth(rank.nth), rank.of);
                    write!(f, "{nth}best of {of}, {metric} {}", ShownScore(rank.value))?;
                    if let Some(dataset) = rank.dataset {
                        write!(f, " on {dataset}")?;
                    }
                    if rank.is_tied {
                        f.write_str("; of equal scores the latest iteration is the best")?;
                    }
                    Ok(())
                }
                Standing::Along(kept) => {
                    // Only what has an iteration can stay with others of it.
                    let iteration = iteration.unwrap_or_default();
                    match kept {
                        Some(kind) => {
                            write!(f, "an artifact of kind {kind} of iteration {iteration} is")?;
                        }
                        None => write!(f, "nothing of iteration {iteration} is")?,
                    }
                    f.write_str(" among the best")
                }
            },
        }
    }
}

/// An ordinal before a superlative: `2nd `, and nothing for the first.
struct Nth(u64);

impl fmt::Display for Nth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = match (self.0 % 10, self.0 % 100) {
            _ if self.0 == 1 => return Ok(()),
            // 11th to 13th, and 111th to 113th, end in `th`.
            (1, teen) if teen != 11 => "st",
            (2, teen) if teen != 12 => "nd",
            (3, teen) if teen != 13 => "rd",
            _ => "th",
        };
        write!(f, "{}{suffix} ", self.0)
    }
}

/// A score; with an exponent if it is very large or small.
struct ShownScore(f64);

impl fmt::Display for ShownScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.0.abs();
        // `{}` would write out every zero of 1e300.
        if size.is_finite() && size != 0.0 && !(1e-5..1e16).contains(&size) {
            write!(f, "{:e}", self.0)
        } else {
            write!(f, "{}", self.0)
        }
    }
}

/// A length of time as text: to the hour from a day on, to the minute from an hour on.
pub(super) fn span(age: Duration) -> String {
    let seconds = age.as_secs();
    // Rounded down, so that no age is given as more than it is.
    let unit = match seconds {
        ..3600 => 1,
        3600..86_400 => 60,
        _ => 3600,
    };
    length(Duration::from_secs(seconds - seconds % unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinals_and_values_read_as_people_write_them() {
        let text = |n| Nth(n).to_string();
        assert_eq!(
            [1, 2, 3, 4, 11, 12, 13, 21, 22, 103, 111].map(text),
            [
                "", "2nd ", "3rd ", "4th ", "11th ", "12th ", "13th ", "21st ", "22nd ", "103rd ",
                "111th "
            ]
        );
        let value = |value| ShownScore(value).to_string();
        assert_eq!(
            [0.51, 0.0, -3.0, 1e300, 1e-9, f64::NEG_INFINITY].map(value),
            ["0.51", "0", "-3", "1e300", "1e-9", "-inf"]
        );
    }

    #[test]
    fn spans_are_rounded_down_to_a_readable_unit() {
        let span = |seconds| span(Duration::from_secs(seconds));
        assert_eq!(
            [0, 59, 3599, 3661, 90 * 86_400 + 3600 + 60 + 1].map(span),
            ["0s", "59s", "59m 59s", "1h 1m", "90d 1h"]
        );
    }
}
