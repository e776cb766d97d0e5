//! What the help of each command ends with, and which of its flags come last.

use clap::Command;

/// Flags that few need, by their ids: the help shows them behind the others.
const RARE: [&str; 7] = [
    "id",
    "whole_run",
    "explain",
    "plan_out",
    "indices",
    "quick",
    "threads",
];
/// Behind every flag that has its place by its order.
const LAST: usize = 500;

/// Three calls of each command.
const EXAMPLES: [(&str, [&str; 3]); 33] = [
    (
        "init",
        [
            "dalsegno init",
            "dalsegno --base /data/runs init --shared",
            "dalsegno --base /nfs/runs init --catalog /local/runs.sqlite3",
        ],
    ),
    (
        "record",
        [
            "dalsegno record prediction --run mito --iteration 1000 --dataset crop1",
            "dalsegno record output --run mito --iteration 1000 --dataset crop1 --parameters threshold_127",
            "dalsegno record array --run mito --container extra.zarr --dataset mesh",
        ],
    ),
    (
        "seal",
        [
            "dalsegno seal mito/validation.zarr/1000",
            "dalsegno seal --run mito --iteration 1000 --hash",
            "dalsegno seal mito --kind prediction --complete",
        ],
    ),
    (
        "list",
        [
            "dalsegno list mito",
            "dalsegno list --kind output --iteration 5000.. --older-than 14d",
            "dalsegno list --run mito --columns iteration,dataset,bytes,path",
        ],
    ),
    (
        "show",
        [
            "dalsegno show mito/validation.zarr/1000/crop1/prediction",
            "dalsegno show mito",
            "dalsegno show --id 17 --json",
        ],
    ),
    (
        "iterations",
        [
            "dalsegno iterations",
            "dalsegno iterations mito --kind output",
            "dalsegno iterations --run 'mito*' --since 7d --jsonl",
        ],
    ),
    (
        "runs",
        [
            "dalsegno runs",
            "dalsegno runs --run 'mito*'",
            "dalsegno runs --older-than 60d --no-refresh",
        ],
    ),
    (
        "du",
        [
            "dalsegno du",
            "dalsegno du mito --by iteration",
            "dalsegno du --by owner --older-than 30d",
        ],
    ),
    (
        "rm",
        [
            "dalsegno rm mito/validation.zarr/1000 --dry-run",
            "dalsegno rm --run mito --kind output --iteration ..5000 --trash",
            "dalsegno rm --whole-run mito --trash-for 72h --reason 'wrong data'",
        ],
    ),
    (
        "mv",
        [
            "dalsegno mv mito mito-2026",
            "dalsegno mv mito old/mito --dry-run",
            "dalsegno mv mito mito-2026 --reason 'name of the paper'",
        ],
    ),
    (
        "pin",
        [
            "dalsegno pin figure-3 --run mito --iteration 10000 --reason 'figure 3'",
            "dalsegno pin figure-3 mito/validation.zarr/9000",
            "dalsegno pin --list",
        ],
    ),
    (
        "unpin",
        [
            "dalsegno unpin figure-3",
            "dalsegno unpin figure-3 --run mito --iteration 9000",
            "dalsegno unpin figure-3 mito/validation.zarr/9000",
        ],
    ),
    (
        "score",
        [
            "dalsegno score --run mito --iteration 1000 voi=0.31 f1=0.8",
            "dalsegno score --run mito",
            "dalsegno score --import scores.csv",
        ],
    ),
    (
        "gc",
        [
            "dalsegno gc --run mito --kind output --keep-last 3",
            "dalsegno gc --kind output --keep-best 3 --metric voi:min --apply --trash",
            "dalsegno gc --policy weekly --apply --yes",
        ],
    ),
    (
        "history",
        [
            "dalsegno history",
            "dalsegno history --run mito --since 7d",
            "dalsegno history show 12",
        ],
    ),
    (
        "history show",
        [
            "dalsegno history show 12",
            "dalsegno history show 12 --json",
            "dalsegno --base /data/runs history show 12 --wide",
        ],
    ),
    (
        "history head",
        [
            "dalsegno history head",
            "dalsegno history head --json",
            "dalsegno --base /data/runs history head",
        ],
    ),
    (
        "history verify",
        [
            "dalsegno history verify",
            "dalsegno history verify --json",
            "dalsegno --base /data/runs history verify",
        ],
    ),
    (
        "history export",
        [
            "dalsegno history export",
            "dalsegno --base /data/runs history export",
            "dalsegno history export --quiet",
        ],
    ),
    (
        "undo",
        [
            "dalsegno undo 12",
            "dalsegno undo 12 --json",
            "dalsegno --base /data/runs undo 12",
        ],
    ),
    (
        "restore",
        [
            "dalsegno restore 20261128-150812-e26ae9",
            "dalsegno restore mito/validation.zarr/1000 --dry-run",
            "dalsegno restore --run mito --last",
        ],
    ),
    (
        "trash",
        [
            "dalsegno trash list",
            "dalsegno trash empty --older-than 72h",
            "dalsegno trash empty 20261128-150812-e26ae9",
        ],
    ),
    (
        "trash list",
        [
            "dalsegno trash list",
            "dalsegno trash list --json",
            "dalsegno --base /data/runs trash list --wide",
        ],
    ),
    (
        "trash empty",
        [
            "dalsegno trash empty",
            "dalsegno trash empty --older-than 72h --yes",
            "dalsegno trash empty 20261128-150812-e26ae9",
        ],
    ),
    (
        "scan",
        [
            "dalsegno scan",
            "dalsegno scan --measure",
            "dalsegno scan --kind checkpoint",
        ],
    ),
    (
        "refresh",
        [
            "dalsegno refresh mito",
            "dalsegno refresh --measure",
            "dalsegno refresh --all --run 'mito*'",
        ],
    ),
    (
        "verify",
        [
            "dalsegno verify",
            "dalsegno verify mito --measure",
            "dalsegno verify --read-data --repair",
        ],
    ),
    (
        "rebuild",
        [
            "dalsegno rebuild",
            "dalsegno rebuild --from-disk",
            "dalsegno rebuild --from /data/runs/.dalsegno/backups/FILE",
        ],
    ),
    (
        "publish",
        [
            "dalsegno publish",
            "dalsegno publish --json",
            "dalsegno --base /data/runs publish",
        ],
    ),
    (
        "doctor",
        [
            "dalsegno doctor",
            "dalsegno doctor --json",
            "dalsegno --base /data/runs doctor",
        ],
    ),
    (
        "demo",
        [
            "dalsegno demo",
            "dalsegno demo /tmp/demo",
            "dalsegno demo --quiet",
        ],
    ),
    (
        "completions",
        [
            "dalsegno completions bash",
            "dalsegno completions zsh",
            "dalsegno completions fish",
        ],
    ),
    (
        "man",
        [
            "dalsegno man",
            "dalsegno man rm",
            "dalsegno man trash empty",
        ],
    ),
];

/// The command of the program, with examples in the help of each command below it.
pub(super) fn with_examples(program: Command) -> Command {
    EXAMPLES.iter().fold(program, |program, (path, calls)| {
        let names: Vec<&str> = path.split(' ').collect();
        with_examples_of(program, &names, &text(calls))
    })
}

/// Calls as the help of a command ends with them.
pub(super) fn text(calls: &[&str]) -> String {
    format!("Examples:\n  {}", calls.join("\n  "))
}

/// The same command, with a text behind the help of the one below it that `path` leads to.
fn with_examples_of(command: Command, path: &[&str], text: &str) -> Command {
    let Some((name, below)) = path.split_first() else {
        let command =
            command.mut_args(
                |argument| match RARE.contains(&argument.get_id().as_str()) {
                    true => argument.display_order(LAST),
                    false => argument,
                },
            );
        return command.after_help(text.to_owned());
    };
    command.mut_subcommand(name, |command| with_examples_of(command, below, text))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::commands::full_command;
    use super::*;

    /// Splits a line as a shell does; only single quotes are known.
    fn words(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        for (at, part) in line.split('\'').enumerate() {
            let mut parts = if at % 2 == 0 {
                part.split(' ').collect()
            } else {
                vec![part]
            };
            let rest = parts.split_off(1);
            words.last_mut().unwrap().push_str(parts[0]);
            words.extend(rest.into_iter().map(str::to_owned));
        }
        words.retain(|word| !word.is_empty());
        words
    }

    #[test]
    fn every_example_is_a_call_of_its_command() {
        for (path, calls) in EXAMPLES {
            let different: BTreeSet<&str> = calls.into_iter().collect();
            assert_eq!(different.len(), 3, "{path}");
            for call in calls {
                let parsed = full_command().try_get_matches_from(words(call));
                assert!(parsed.is_ok(), "{call}: {}", parsed.unwrap_err());
                let mut matches = &parsed.unwrap();
                for name in path.split(' ') {
                    let below = matches.subcommand();
                    assert_eq!(below.map(|(name, _)| name), Some(name), "{call}");
                    matches = below.unwrap().1;
                }
            }
        }
    }

    /// Paths of the commands below one.
    fn paths(command: &Command, before: &str, found: &mut BTreeSet<String>) {
        for below in command.get_subcommands() {
            let path = format!("{before} {}", below.get_name());
            let path = path.trim_start();
            found.insert(path.to_owned());
            paths(below, path, found);
        }
    }

    #[test]
    fn every_command_has_examples() {
        let mut all = BTreeSet::new();
        paths(&full_command(), "", &mut all);
        let with_examples = EXAMPLES.iter().map(|(path, _)| (*path).to_owned());
        assert_eq!(all, with_examples.collect());
    }
}
