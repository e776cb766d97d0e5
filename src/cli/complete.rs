//! Completion in shells: names from the catalog, as they are now.
//!
//! The script of `completions` calls this program with [`VARIABLE`] set and the words typed so far.
//! The catalog is read, never written, in a thread of its own, and not waited for beyond
//! [`PATIENCE`]: a shell that waits for a lock or a file system is worse than no completion. So is
//! one that prints an error, and every error gives no names.
//!
//! What is on the line narrows the names: paths and selection flags, as they narrow the command.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use clap::Arg;
use clap_complete::engine::{
    ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter,
};
use clap_complete::env::CompleteEnv;

use super::columns::{Listed, SCORE, names};
use super::opening::nearest_base;
use super::shells::{SHELLS, words};
use super::target::{below, below_base};
use crate::catalog::NameOf;
use crate::error::{Error, Result};
use crate::model::artifact::State;
use crate::model::filter::{Filter, Pattern};
use crate::model::key::Kind;
use crate::model::removal::RemovedArtifact;
use crate::ops::restore::RestoreTarget;
use crate::registry::{Options, Registry};

/// The environment variable that asks for completion; its value is the shell.
const VARIABLE: &str = "_DALSEGNO_COMPLETE";
/// How long the catalog may take. A build without optimisation is slower by far.
const PATIENCE: Duration = Duration::from_millis(if cfg!(debug_assertions) { 5_000 } else { 40 });
/// Names that are offered; more would fill the screen.
const MOST: usize = 1_000;
/// Operations that are offered: the newest.
const MOST_OPERATIONS: usize = 50;

/// What an argument names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Completes {
    Name(NameOf),
    Kinds,
    Iterations,
    States,
    Policies,
    Metrics,
    Operations,
    /// Operations, or `last`.
    Undone,
    Removals,
    /// Removals, or runs and paths in the trash.
    Restorable,
    /// Paths, and runs.
    Paths,
}

/// The arguments by their ids, which mean the same in every command.
const ARGUMENTS: [(&str, Completes); 22] = [
    ("run", Completes::Name(NameOf::Run)),
    ("exclude_run", Completes::Name(NameOf::Run)),
    ("whole_run", Completes::Name(NameOf::Run)),
    ("dataset", Completes::Name(NameOf::Dataset)),
    ("exclude_dataset", Completes::Name(NameOf::Dataset)),
    ("parameters", Completes::Name(NameOf::Parameters)),
    ("exclude_parameters", Completes::Name(NameOf::Parameters)),
    ("name", Completes::Name(NameOf::Pin)),
    ("kind", Completes::Kinds),
    ("exclude_kind", Completes::Kinds),
    ("iteration", Completes::Iterations),
    ("keep_iterations", Completes::Iterations),
    ("state", Completes::States),
    ("policy", Completes::Policies),
    ("metric", Completes::Metrics),
    ("values", Completes::Metrics),
    ("operation", Completes::Operations),
    ("undone", Completes::Undone),
    ("removals", Completes::Removals),
    ("what", Completes::Restorable),
    ("paths", Completes::Paths),
    ("explain", Completes::Paths),
];

/// Answers a shell that completes a command line of the program. Says whether one did.
pub(super) fn complete(arguments: &[OsString], program: fn() -> clap::Command) -> bool {
    if std::env::var_os(VARIABLE).is_none() {
        return false;
    }
    let here = std::env::current_dir().ok();
    // A word that cannot be completed is no error.
    let factory = || {
        let program = program();
        FLAGS_WITH_VALUE.get_or_init(|| flags_with_value(&program));
        completed(program)
    };
    CompleteEnv::with_factory(factory)
        .var(VARIABLE)
        .shells(SHELLS)
        .try_complete(arguments.iter().cloned(), here.as_deref())
        .unwrap_or(true)
}

/// The script by which a shell calls [`complete`].
pub(super) fn script(shell: &str) -> std::io::Result<Vec<u8>> {
    let mut script = Vec::new();
    let shell = SHELLS.completer(shell);
    let shell = shell.ok_or_else(|| std::io::Error::other("this shell has no completion"))?;
    // By its name: the shell finds the program that it runs.
    let name = "dalsegno";
    shell.write_registration(VARIABLE, name, name, name, &mut script)?;
    Ok(script)
}

/// A command, and those below it, with what their arguments complete.
fn completed(command: clap::Command) -> clap::Command {
    command
        .mut_args(|argument| match completes(&argument) {
            Some(what) => argument.add(ArgValueCompleter::new(move |typed: &OsStr| {
                candidates(what, typed)
            })),
            None => argument,
        })
        .mut_subcommands(completed)
}

fn completes(argument: &Arg) -> Option<Completes> {
    // A flag has no value.
    if !argument.get_action().takes_values() {
        return None;
    }
    let id = argument.get_id().as_str();
    let known = ARGUMENTS.iter().find(|(known, _)| *known == id);
    known.map(|(_, what)| *what)
}

fn candidates(what: Completes, typed: &OsStr) -> Vec<CompletionCandidate> {
    let mut found = match what {
        Completes::Paths => PathCompleter::any().complete(typed),
        _ => Vec::new(),
    };
    let Some(typed) = typed.to_str() else {
        return found;
    };
    if what == Completes::Name(NameOf::Run) && is_path(typed) {
        return runs_at(typed);
    }
    let names = match what {
        Completes::Kinds => {
            let known = in_time(what, typed.to_owned());
            let all = || Kind::ALL.iter().map(ToString::to_string).collect();
            Some(known)
                .filter(|known| !known.is_empty())
                .unwrap_or_else(all)
        }
        Completes::States => State::ALL.iter().map(ToString::to_string).collect(),
        Completes::Undone => {
            let last = ["last".to_owned()];
            last.into_iter()
                .chain(in_time(what, typed.to_owned()))
                .collect()
        }
        // A path that is there says more than a run of the same name.
        Completes::Paths if !found.is_empty() => Vec::new(),
        what => in_time(what, typed.to_owned()),
    };
    let names = names.into_iter().filter(|name| name.starts_with(typed));
    found.extend(names.take(MOST).map(CompletionCandidate::new));
    found
}

/// Whether a run is typed as the path of its folder.
fn is_path(typed: &str) -> bool {
    ["/", "./", "../"]
        .iter()
        .any(|start| typed.starts_with(start))
}

/// Runs as paths that begin with what is typed; outside of the base directory, the folders that may
/// lead to it.
fn runs_at(typed: &str) -> Vec<CompletionCandidate> {
    let folder = typed.rfind('/').map_or("", |end| &typed[..=end]);
    let inside = base().and_then(|base| {
        let base = std::path::absolute(&base).unwrap_or(base);
        below(&base, &std::path::absolute(folder).ok()?)
    });
    let Some(inside) = inside else {
        return PathCompleter::dir().complete(OsStr::new(typed));
    };
    let inside = match inside.to_str() {
        Some("") => String::new(),
        Some(inside) => format!("{inside}/"),
        None => return Vec::new(),
    };
    let start = format!("{inside}{}", &typed[folder.len()..]);
    let names = in_time(Completes::Name(NameOf::Run), start.clone()).into_iter();
    let names = names.filter(|name| name.starts_with(&start));
    let names = names.map(|name| format!("{folder}{}", &name[inside.len()..]));
    names.take(MOST).map(CompletionCandidate::new).collect()
}

/// Completes the columns of a listing that `may_be` takes, and the metrics of its scores.
pub(super) fn columns<R: Listed>(
    may_be: impl Fn(&str) -> bool + Send + Sync + 'static,
) -> ArgValueCompleter {
    ArgValueCompleter::new(move |typed: &OsStr| {
        let Some(typed) = typed.to_str() else {
            return Vec::new();
        };
        let metrics = match typed.strip_prefix(SCORE) {
            Some(start) => in_time(Completes::Metrics, start.to_owned()),
            None => Vec::new(),
        };
        let metrics = metrics.iter().map(|metric| format!("{SCORE}{metric}"));
        let names = names::<R>().filter(|name| may_be(name));
        let names = names.chain([SCORE]).map(str::to_owned);
        let names = names.filter(|name| name != typed).chain(metrics);
        let names = names.filter(|name| name.starts_with(typed));
        names.map(CompletionCandidate::new).collect()
    })
}

/// What is asked for is not in the catalog yet, or no longer: names are those of everything there.
const NOT_NARROWED: [&str; 3] = ["record", "restore", "trash"];

/// Commands that take paths of what they are about, and how many words come before these.
const WITH_PATHS: [(&str, usize); 14] = [
    ("du", 0),
    ("gc", 0),
    ("history", 0),
    ("iterations", 0),
    ("list", 0),
    ("pin", 1),
    ("refresh", 0),
    ("rm", 0),
    ("runs", 0),
    ("scan", 0),
    ("seal", 0),
    ("show", 0),
    ("unpin", 1),
    ("verify", 0),
];

/// Flags that are followed by their value, in any command.
static FLAGS_WITH_VALUE: OnceLock<BTreeSet<String>> = OnceLock::new();

fn flags_with_value(command: &clap::Command) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for argument in command.get_arguments() {
        // A value that may be left out is given after `=`.
        let least = argument
            .get_num_args()
            .map_or(1, |range| range.min_values());
        if argument.get_action().takes_values() && least > 0 {
            found.extend(argument.get_long().map(|name| format!("--{name}")));
            found.extend(argument.get_short().map(|name| format!("-{name}")));
        }
    }
    found.extend(command.get_subcommands().flat_map(flags_with_value));
    found
}

/// The words that are neither flags nor their values: the command, then what it is given.
fn plain_words(words: &[String]) -> Vec<&str> {
    let flags = FLAGS_WITH_VALUE.get();
    let mut before = "";
    let mut plain = Vec::new();
    // The program is the first.
    for word in words.iter().skip_while(|word| *word == "--").skip(1) {
        let is_value = flags.is_some_and(|flags| flags.contains(before));
        before = word;
        if !is_value && !word.starts_with('-') {
            plain.push(word.as_str());
        }
    }
    plain
}

/// The selection that the words before name, for the names of something in it.
fn narrowed(but: Completes, registry: &Registry) -> Result<Filter> {
    let words = words();
    let words: Vec<String> = words
        .into_iter()
        .filter_map(|word| word.into_string().ok())
        .collect();
    let plain = plain_words(&words);
    let (command, rest) = plain.split_first().unwrap_or((&"", &[]));
    if NOT_NARROWED.contains(command) {
        return Ok(Filter::default());
    }
    let base = registry.base();
    let typed = |flag: &str| -> Vec<String> {
        let values = values(flag).into_iter();
        values
            .filter_map(|value| value.into_string().ok())
            .collect()
    };
    // Shells complete folders, so a run may be written as one.
    let runs = typed("--run").into_iter().chain(typed("--whole-run"));
    let runs = runs.map(|run| match is_path(&run) {
        true => {
            let place = below_base(base, Path::new(&run));
            let inside = place.strip_prefix(base).unwrap_or(&place);
            inside.display().to_string()
        }
        false => run.trim_end_matches('/').to_owned(),
    });
    let listed = |flag: &str| -> Vec<String> {
        let values = typed(flag).into_iter();
        values
            .flat_map(|value| value.split(',').map(str::to_owned).collect::<Vec<_>>())
            .collect()
    };
    let patterns = |texts: Vec<String>| texts.into_iter().map(|text| Pattern::from(text.as_str()));
    let mut filter = Filter::default().runs(patterns(runs.collect()));
    let before = WITH_PATHS.iter().find(|(name, _)| name == command);
    let paths = before.map_or(&[][..], |(_, before)| rest.get(*before..).unwrap_or(&[]));
    let mut places = Vec::new();
    for path in paths {
        let place = below_base(base, Path::new(path));
        // The base directory means all that is in it.
        if place.as_os_str().is_empty() || place == base {
            places.clear();
            break;
        }
        places.push(registry.base_path(place)?);
    }
    if !places.is_empty() {
        filter = registry.narrowed(filter, &places)?;
    }
    if but == Completes::Iterations {
        return Ok(filter);
    }
    filter = filter.iterations(
        listed("--iteration")
            .iter()
            .filter_map(|text| text.parse().ok()),
    );
    // Without either, every row of the catalog would be looked at.
    if filter.runs.is_empty() && filter.below.is_empty() && filter.iterations.is_empty() {
        return Ok(filter);
    }
    if but != Completes::Kinds {
        filter = filter.kinds(listed("--kind").iter().filter_map(|text| text.parse().ok()));
    }
    if but != Completes::Name(NameOf::Dataset) {
        filter = filter.datasets(patterns(typed("--dataset")));
    }
    if but != Completes::Name(NameOf::Parameters) {
        filter = filter.parameters(patterns(typed("--parameters")));
    }
    Ok(filter)
}

/// The runs that a filter names or whose folders its paths are in.
fn runs_of(registry: &Registry, filter: Filter) -> Result<Vec<Pattern>> {
    if filter.below.is_empty() {
        return Ok(filter.runs);
    }
    let known = registry.names(NameOf::Run, "")?.into_iter();
    let is_of = |run: &String| {
        let mut places = filter.below.iter();
        places.any(|place| Path::new(place.as_str()).starts_with(run))
    };
    Ok(known.filter(is_of).map(|run| run.as_str().into()).collect())
}

/// Asks the catalog, for no longer than [`PATIENCE`].
fn in_time(what: Completes, start: String) -> Vec<String> {
    let (send, receive) = mpsc::channel();
    // Not joined: a thread that hangs on a file system ends with the process.
    let asked = std::thread::Builder::new().spawn(move || {
        let _ = send.send(ask(what, &start).unwrap_or_default());
    });
    match asked {
        Ok(_) => receive.recv_timeout(PATIENCE).unwrap_or_default(),
        Err(_) => Vec::new(),
    }
}

fn ask(what: Completes, start: &str) -> Result<Vec<String>> {
    let Some(base) = base() else {
        return Ok(Vec::new());
    };
    let mut options = Options::new()
        .read_only(true)
        .lock_timeout(Duration::ZERO)
        .despite_mistakes(true);
    if let Some(catalog) = given("--catalog", "DALSEGNO_CATALOG") {
        options = options.catalog(catalog);
    }
    let registry = options.open(base)?;
    match what {
        // A run is not narrowed by itself.
        Completes::Name(NameOf::Run) if is_restore() => Ok(trash(&registry)?.0),
        Completes::Name(NameOf::Run) => registry.names(NameOf::Run, start),
        Completes::Name(of) => {
            let filter = narrowed(what, &registry)?;
            match filter == Filter::default() {
                true => registry.names(of, start),
                false => registry.names_of(of, start, &filter),
            }
        }
        Completes::Kinds => {
            let filter = narrowed(what, &registry)?;
            if filter == Filter::default() {
                return Ok(Vec::new());
            }
            let kinds = registry.kinds_of(&filter)?;
            Ok(kinds.iter().map(ToString::to_string).collect())
        }
        Completes::Iterations => {
            // The end of a range is completed as an iteration is.
            let first = start.rfind("..").map_or("", |at| &start[..at + 2]);
            let iterations =
                registry.iterations_of(&runs_of(&registry, narrowed(what, &registry)?)?)?;
            Ok(iterations.iter().map(|it| format!("{first}{it}")).collect())
        }
        Completes::Paths => registry.names(NameOf::Run, start),
        Completes::Policies => Ok(registry.policies().keys().cloned().collect()),
        Completes::Metrics => registry.metrics(),
        Completes::Operations | Completes::Undone => {
            let numbers = match what {
                Completes::Undone => registry.undoable(MOST_OPERATIONS)?,
                _ => registry.newest_operations(MOST_OPERATIONS as u32)?,
            };
            Ok(numbers.iter().map(ToString::to_string).collect())
        }
        Completes::Removals | Completes::Restorable => {
            let removals = registry.trash()?.into_iter();
            let mut found: Vec<String> = removals.map(|removal| removal.id.to_string()).collect();
            if what == Completes::Restorable {
                let (runs, paths) = trash(&registry)?;
                // The paths of a run are thousands.
                found.extend(match start.contains('/') {
                    true => paths,
                    false => runs,
                });
            }
            Ok(found)
        }
        Completes::States => Ok(Vec::new()),
    }
}

/// Whether the words call `restore`, which is about what is in the trash.
fn is_restore() -> bool {
    let words = words();
    let words: Vec<String> = words
        .into_iter()
        .filter_map(|word| word.into_string().ok())
        .collect();
    plain_words(&words).first() == Some(&"restore")
}

/// The runs and the paths of what can be restored, as they are typed.
fn trash(registry: &Registry) -> Result<(Vec<String>, Vec<String>)> {
    let all = RestoreTarget::Filter(Filter::default().kinds(Kind::ALL));
    let removed = match registry.restorable(&all) {
        Err(Error::NotInTrash { .. }) => Vec::new(),
        removed => removed?,
    };
    let run = |removed: &RemovedArtifact| removed.artifact.key.run().to_string();
    let runs: BTreeSet<String> = removed.iter().map(run).collect();
    let path = |removed: &RemovedArtifact| removed.artifact.location().path();
    let paths: BTreeSet<String> = removed.iter().map(path).collect();
    Ok((runs.into_iter().collect(), paths.into_iter().collect()))
}

/// The base directory that the words name, or the environment, or the current folder.
fn base() -> Option<PathBuf> {
    given("--base", "DALSEGNO_BASE").or_else(|| {
        let here = std::env::current_dir().ok()?;
        nearest_base(&here).map(PathBuf::from)
    })
}

/// The values of a flag among the words.
fn values(flag: &str) -> Vec<OsString> {
    let words = words();
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let text = word.to_str().unwrap_or_default();
        match text.strip_prefix(flag) {
            Some("") => found.extend(words.get(at + 1).cloned()),
            Some(value) if value.starts_with('=') => found.push(value[1..].into()),
            _ => {}
        }
    }
    found
}

/// The value of a global flag among the words, or of its environment variable.
fn given(flag: &str, variable: &str) -> Option<PathBuf> {
    let found = values(flag).pop();
    let found = found.or_else(|| std::env::var_os(variable));
    let found = found.filter(|value| !value.is_empty()).map(PathBuf::from)?;
    // The shell has not replaced it yet.
    let below = found.strip_prefix("~").ok().map(ToOwned::to_owned);
    let home = std::env::home_dir();
    Some(
        below
            .zip(home)
            .map_or(found, |(below, home)| home.join(below)),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::commands::full_command;
    use super::*;

    fn ids(command: &clap::Command, found: &mut BTreeSet<String>) {
        let arguments = command
            .get_arguments()
            .filter(|it| it.get_action().takes_values());
        found.extend(arguments.map(|argument| argument.get_id().to_string()));
        command
            .get_subcommands()
            .for_each(|below| ids(below, found));
    }

    #[test]
    fn every_completed_argument_exists() {
        let mut known = BTreeSet::new();
        ids(&full_command(), &mut known);
        for (id, _) in ARGUMENTS {
            assert!(known.contains(id), "{id}");
        }
        completed(full_command()).debug_assert();
    }
}
