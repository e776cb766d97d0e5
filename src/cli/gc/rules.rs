//! The flags of `gc` that say what stays and how much, and the request that they make.

use std::time::Duration;

use clap::Args;

use crate::cli::fail::Failure;
use crate::cli::render::shell_word;
use crate::cli::selection::kind;
use crate::cli::time;
use crate::model::artifact::State;
use crate::model::filter::{Filter, Pattern};
use crate::model::key::Kind;
use crate::model::name;
use crate::model::nearest::{did_you_mean, nearest};
use crate::model::size::{ByteCount, ParseSizeError};
use crate::ops::gc::{GcRequest, GcRules};
use crate::registry::Registry;
use crate::retention::{
    KeepBest, KeepRules, Limits, Metric, MinFree, Policy, RunPolicy, SelectRules,
};

/// The rules, limits and policy of `gc`.
#[derive(Debug, Clone, Args)]
pub(super) struct Rules {
    /// Keep the N highest iterations
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        help_heading = "Rules (what any of them keeps stays)"
    )]
    keep_last: Option<u64>,
    /// Keep the N lowest iterations
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        help_heading = "Rules (what any of them keeps stays)"
    )]
    keep_first: Option<u64>,
    /// Keep iterations that are divisible by K
    #[arg(
        long,
        value_name = "K",
        allow_negative_numbers = true,
        help_heading = "Rules (what any of them keeps stays)"
    )]
    keep_every: Option<u64>,
    /// Keep these iterations
    #[arg(
        long,
        value_name = "A,B",
        value_delimiter = ',',
        value_parser = name::parse_iteration,
        allow_hyphen_values = true,
        help_heading = "Rules (what any of them keeps stays)"
    )]
    keep_iterations: Vec<i64>,
    /// Keep what was written within this time, such as 14d, or since 2026-05-18
    #[arg(
        long,
        value_name = "TIME",
        value_parser = time::age,
        help_heading = "Rules (what any of them keeps stays)"
    )]
    keep_within: Option<Duration>,
    /// Keep the N best by a metric: outputs, or the kinds that --kind names
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        requires = "metric",
        help_heading = "Rules (what any of them keeps stays)"
    )]
    keep_best: Option<u64>,
    /// The metric of --keep-best, such as voi:min or f1:max; DaCapo's need no direction
    #[arg(
        long,
        value_name = "NAME[:min|max]",
        requires = "keep_best",
        help_heading = "Rules (what any of them keeps stays)"
    )]
    metric: Option<Metric>,
    /// Also keep what belongs to the best outputs: prediction, checkpoint
    #[arg(
        long,
        value_name = "KIND",
        value_delimiter = ',',
        value_parser = kind,
        requires = "keep_best",
        help_heading = "Rules (what any of them keeps stays)"
    )]
    best_with: Vec<Kind>,
    /// Keep at most this much, such as 500GB
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = "Limits")]
    max_size: Option<u64>,
    /// Keep at most this many files
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        help_heading = "Limits"
    )]
    max_files: Option<u64>,
    /// Remove until this much is free on the file system, such as 1TB, or 10% of its size
    #[arg(long, value_name = "SIZE|PERCENT", help_heading = "Limits")]
    min_free: Option<MinFree>,
    /// Use this policy of .dalsegno/config.toml
    #[arg(long, value_name = "NAME", help_heading = "Policy")]
    policy: Option<String>,
    /// Remove whole runs, judged by their newest artifacts; combine with --older-than, --keep-last,
    /// --keep-within or limits
    #[arg(long, conflicts_with = "policy", help_heading = "Policy")]
    runs: bool,
    /// Allow a plan that removes everything that a run has of a kind and dataset
    #[arg(long, help_heading = "Policy")]
    allow_empty_group: bool,
    /// Allow a plan that leaves a run without a complete iteration
    #[arg(long, help_heading = "Policy")]
    allow_incomplete: bool,
    /// Do not protect the iterations that DaCapo's checkpoints call best
    #[arg(long, help_heading = "Policy")]
    ignore_best_links: bool,
}

/// What a selection says besides, for people: `of run a*, kind output`.
fn selection_words(filter: &Filter) -> Option<String> {
    let mut words = Vec::new();
    let mut say = |flag: &str, values: Vec<String>| {
        if !values.is_empty() {
            words.push(format!("{flag} {}", values.join(" ")));
        }
    };
    let patterns = |patterns: &[Pattern]| -> Vec<String> {
        // Quoted as on the command line: the words are kept in the plan, and are copied from there.
        let quoted = |pattern: &Pattern| shell_word(pattern.as_str());
        patterns.iter().map(quoted).collect()
    };
    say("run", patterns(&filter.runs));
    let paths = filter.below.iter().map(|path| path.as_str().to_owned());
    say("path", paths.collect());
    say(
        "kind",
        filter.kinds.iter().map(ToString::to_string).collect(),
    );
    say(
        "iteration",
        filter.iterations.iter().map(ToString::to_string).collect(),
    );
    say("dataset", patterns(&filter.datasets));
    say("parameters", patterns(&filter.parameters));
    say(
        "owner",
        filter.owners.iter().map(ToString::to_string).collect(),
    );
    say(
        "before",
        filter
            .written_before
            .iter()
            .map(ToString::to_string)
            .collect(),
    );
    say(
        "since",
        filter
            .written_since
            .iter()
            .map(ToString::to_string)
            .collect(),
    );
    let except = &filter.except;
    say("except run", patterns(&except.runs));
    say(
        "except kind",
        except.kinds.iter().map(ToString::to_string).collect(),
    );
    say("except dataset", patterns(&except.datasets));
    say("except parameters", patterns(&except.parameters));
    (!words.is_empty()).then(|| format!("of {}", words.join(", ")))
}

/// Parses a number of bytes such as `500GB` or `1TiB`.
fn size(text: &str) -> Result<u64, ParseSizeError> {
    text.parse::<ByteCount>().map(|size| size.0)
}

impl Rules {
    /// Whether there is any rule.
    pub(super) fn any(&self) -> bool {
        // Also flags that only loosen a plan: with --apply FILE they would be ignored unnoticed.
        let flags = [
            self.runs,
            self.allow_empty_group,
            self.allow_incomplete,
            self.ignore_best_links,
        ];
        self.policy.is_some() || self.has_rules() || flags.contains(&true)
    }

    /// Whether a rule that keeps, a limit, a policy or rules for runs are given.
    pub(super) fn decides(&self) -> bool {
        self.policy.is_some() || self.runs || self.has_rules()
    }

    /// Whether a rule that keeps or a limit is given.
    fn has_rules(&self) -> bool {
        !self.keep().is_empty() || !self.limit().is_empty()
    }

    fn keep(&self) -> KeepRules {
        // clap requires the two together, so a half is never dropped here.
        let best = self.keep_best.zip(self.metric.clone());
        KeepRules {
            last: self.keep_last,
            first: self.keep_first,
            every: self.keep_every,
            iterations: self.keep_iterations.clone(),
            within: self.keep_within,
            best: best.map(|(count, metric)| KeepBest {
                count,
                metric,
                with: self.best_with.clone(),
            }),
        }
    }

    fn limit(&self) -> Limits {
        Limits {
            max_bytes: self.max_size,
            max_files: self.max_files,
            min_free: self.min_free,
        }
    }

    /// Whether the rules are those of a policy in the configuration.
    pub(super) fn is_named(&self) -> bool {
        self.policy.is_some()
    }

    /// What is asked for: the rules, on what the filter selects.
    pub(super) fn read(
        &self,
        filter: &Filter,
        older_than: Option<Duration>,
        registry: &Registry,
    ) -> Result<GcRequest, Failure> {
        let mut words = Vec::new();
        // Without iterations, age and kinds: these are rules.
        let of = Filter {
            runs: filter.runs.clone(),
            below: filter.below.clone(),
            datasets: filter.datasets.clone(),
            parameters: filter.parameters.clone(),
            owners: filter.owners.clone(),
            written_before: filter.written_before,
            written_since: filter.written_since,
            except: filter.except.clone(),
            ..Filter::default()
        };
        let rules = if let Some(name) = &self.policy {
            self.named(name, filter, older_than, registry, &mut words)?
        } else if self.runs {
            let policy = self.for_runs(filter, older_than)?;
            words.push(policy.to_string());
            GcRules::Runs(policy)
        } else {
            let policy = Policy {
                select: SelectRules {
                    older_than,
                    iterations: filter.iterations.clone(),
                    kinds: filter.kinds.clone(),
                    // Any other state was refused before.
                    damaged: filter.states == [State::Damaged],
                },
                keep: self.keep(),
                limit: self.limit(),
                allow_empty_group: self.allow_empty_group,
            };
            words.push(policy.to_string());
            GcRules::Policy(policy)
        };
        words.extend(selection_words(filter));
        // Only rules for whole runs leave the kinds to the filter.
        let kinds = match rules {
            GcRules::Runs(_) => filter.kinds.clone(),
            _ => Vec::new(),
        };
        // How long the trash keeps things is no rule: the caller sets it from its own flags.
        Ok(GcRequest::new(Filter { kinds, ..of }, rules)
            .ignore_best_links(self.ignore_best_links)
            .allow_incomplete(self.allow_incomplete)
            .words(words.join(", ")))
    }

    fn named(
        &self,
        name: &str,
        filter: &Filter,
        older_than: Option<Duration>,
        registry: &Registry,
        words: &mut Vec<String>,
    ) -> Result<GcRules, Failure> {
        let has_rules = self.has_rules() || self.allow_empty_group;
        // A mixture could remove more than the author of the policy meant.
        if has_rules || older_than.is_some() || !filter.iterations.is_empty() {
            return Err(Failure::usage(
                "a policy has its own rules, so --policy takes no others",
                format!(
                    "dalsegno gc --policy {name}, with --run, --kind, --dataset or --parameters to \
                     select less"
                ),
            ));
        }
        let Some(policy) = registry.policies().get(name) else {
            let known: Vec<&str> = registry.policies().keys().map(String::as_str).collect();
            let nearest = did_you_mean(nearest(name, known.iter().copied()));
            let known = match known.as_slice() {
                [] => "config.toml defines none".to_owned(),
                known => format!("config.toml defines {}", known.join(", ")),
            };
            return Err(Failure::usage(
                format!("there is no policy {name}; {known}{nearest}"),
                format!("define it in .dalsegno/config.toml as [policy.{name}]"),
            ));
        };
        // --kind narrows a policy; a kind without rules of its own is never added.
        let mut policy = policy.clone();
        let excepted = &filter.except.kinds;
        if !filter.kinds.is_empty() || !excepted.is_empty() {
            let is_named = |kind: &Kind| filter.kinds.is_empty() || filter.kinds.contains(kind);
            policy
                .kinds
                .retain(|(kind, _)| is_named(kind) && !excepted.contains(kind));
            // Without rules the plan would be empty and exit with 0, as if all were clean.
            if policy.kinds.is_empty() {
                return Err(Failure::usage(
                    format!("the policy {name} has no rules for these kinds"),
                    format!("dalsegno gc --policy {name}"),
                ));
            }
        }
        words.push(format!("policy {name}"));
        Ok(GcRules::Named(policy))
    }

    fn for_runs(
        &self,
        filter: &Filter,
        older_than: Option<Duration>,
    ) -> Result<RunPolicy, Failure> {
        let others = [
            ("--keep-first", self.keep_first.is_some()),
            ("--keep-every", self.keep_every.is_some()),
            ("--keep-iterations", !self.keep_iterations.is_empty()),
            ("--keep-best", self.keep_best.is_some()),
            ("--iteration", !filter.iterations.is_empty()),
            // Of runs alone, the paths are names of runs.
            ("a PATH that is no run", !filter.below.is_empty()),
            ("--before", filter.written_before.is_some()),
            ("--since", filter.written_since.is_some()),
        ];
        // Ignored, these flags would make the plan remove more than the user asked for.
        if let Some((flag, _)) = others.iter().find(|(_, given)| *given) {
            return Err(Failure::usage(
                format!("{flag} decides on single artifacts, but --runs decides on whole runs"),
                "dalsegno gc --runs with --older-than, --keep-last, --keep-within or a limit",
            ));
        }
        Ok(RunPolicy {
            older_than,
            last: self.keep_last,
            within: self.keep_within,
            limit: self.limit(),
            allow_empty_group: self.allow_empty_group,
        })
    }
}
