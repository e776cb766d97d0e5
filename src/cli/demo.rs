//! `demo`: the main job, shown on a small base directory with real zarr arrays.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::{Args, Parser};

use super::args::Arguments;
use super::context::{Context, shell_word};
use super::fail::Failure;
use super::zarr::{self, Version};
use crate::model::clock::{Clock, SystemClock};

/// Make a small base directory with real zarr arrays and show what dalsegno does with it
///
/// Each step is shown with the command that does it. The folder is left to play with.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Folder to make; must not exist or be empty [default: a new one in the temporary folder]
    dir: Option<PathBuf>,
}

/// What to do where the folder does not serve.
const ELSEWHERE: &str = "name a folder that does not exist yet: dalsegno demo DIR";

const DATASETS: [&str; 2] = ["val_crop7", "val_crop9"];
const PARAMETERS: [&str; 2] = ["threshold_127", "threshold_200"];

/// A sentence, and the commands that follow from it.
type Step = (&'static str, &'static [&'static [&'static str]]);

/// What the demonstration says and does, in order.
const STEPS: &[Step] = &[
    (
        "Make a registry in the base directory. Nothing else is touched.",
        &[&["init"]],
    ),
    (
        "Take in what the runs wrote, and count bytes and files.",
        &[&["scan", "--measure"]],
    ),
    ("What does each run have?", &[&["runs"]]),
    (
        "Which iterations have validation outputs? (4000 lacks those of one dataset.)",
        &[&["iterations", "--run", "affinities"]],
    ),
    (
        "Which arrays are those of the last one?",
        &[&[
            "list",
            "--run",
            "affinities",
            "--kind",
            "output",
            "--iteration",
            "4000..",
        ]],
    ),
    (
        "Where does an array of a coming validation go? The path is DaCapo's own.",
        &[&[
            "record",
            "prediction",
            "--run",
            "affinities",
            "--iteration",
            "5000",
            "--dataset",
            "val_crop7",
        ]],
    ),
    (
        "Tell how good each iteration was: variation of information, less is better.",
        &[
            &[
                "score",
                "--run",
                "affinities",
                "--iteration",
                "1000",
                "voi=0.52",
            ],
            &[
                "score",
                "--run",
                "affinities",
                "--iteration",
                "2000",
                "voi=0.38",
            ],
            &[
                "score",
                "--run",
                "affinities",
                "--iteration",
                "3000",
                "voi=0.31",
            ],
            &[
                "score",
                "--run",
                "affinities",
                "--iteration",
                "4000",
                "voi=0.33",
            ],
        ],
    ),
    (
        "What a paper shows must stay, whatever anybody removes.",
        &[&[
            "pin",
            "figure-3",
            "--run",
            "affinities",
            "--iteration",
            "1000",
            "--reason",
            "shown in figure 3",
        ]],
    ),
    (
        "Which predictions may go, if the newest and the best stay? This only plans.",
        &[&[
            "gc",
            "--run",
            "affinities",
            "--kind",
            "prediction",
            "--keep-last",
            "1",
            "--keep-best",
            "1",
            "--metric",
            "voi:min",
        ]],
    ),
    (
        "Carry it out, rows and data together, and keep the data in the trash for now.",
        &[&[
            "gc",
            "--run",
            "affinities",
            "--kind",
            "prediction",
            "--keep-last",
            "1",
            "--keep-best",
            "1",
            "--metric",
            "voi:min",
            "--apply",
            "--trash",
            "--yes",
            "--reason",
            "neither best nor newest",
        ]],
    ),
    (
        "They are gone for every reader.",
        &[&["iterations", "--run", "affinities"]],
    ),
    (
        "Who removed what, and why? The number of a removal begins with its time.",
        &[&["trash", "list"]],
    ),
    (
        "What takes the space? The trash does too, until it is emptied.",
        &[&["du", "--by", "kind"]],
    ),
    (
        "Undo: rows and data are back as they were.",
        &[&["restore", "--run", "affinities", "--iteration", "2000"]],
    ),
    (
        "Remove older iterations for good: their space is free at once.",
        &[&["rm", "--run", "distances", "--iteration", "..2000", "--yes"]],
    ),
    (
        "What is left of that run?",
        &[&["iterations", "--run", "distances"]],
    ),
    (
        "Who did all that? Every change is an operation; `dalsegno history show 1` tells all of one.",
        &[&["history"]],
    ),
];

pub(super) fn run(context: &mut Context, command: &Demo) -> Result<(), Failure> {
    let base = folder(command.dir.as_deref())?;
    context.line(&format!(
        "A base directory with two runs, made for this: {}",
        base.display()
    ))?;
    write_runs(&base).map_err(|error| {
        Failure::Outside(
            format!("writing arrays to {} failed: {error}", base.display()),
            ELSEWHERE,
        )
    })?;
    context.show_for(&base);
    for (text, commands) in STEPS {
        context.line(&format!("\n# {text}"))?;
        for words in *commands {
            step(context, words)?;
        }
    }
    let base = base.display();
    context.line(&format!(
        "\nIt is yours to play with: export DALSEGNO_BASE={base}"
    ))
}

/// Shows a command, and does what it says.
fn step(context: &mut Context, words: &[&str]) -> Result<(), Failure> {
    let (bold, plain) = if context.colour() {
        ("\x1b[1m", "\x1b[0m")
    } else {
        ("", "")
    };
    let shown: Vec<String> = words.iter().map(|word| shell_word(word)).collect();
    context.line(&format!("{bold}$ dalsegno {}{plain}", shown.join(" ")))?;
    context.flush()?;
    let arguments = std::iter::once("dalsegno")
        .chain(words.iter().copied())
        .map(OsString::from);
    let arguments = Arguments::try_parse_from(arguments)
        .map_err(|error| Failure::Outside(format!("the step cannot be run: {error}"), ELSEWHERE))?;
    super::run(context, arguments.command)?;
    context.flush()
}

/// The folder to use: new or empty.
fn folder(given: Option<&Path>) -> Result<PathBuf, Failure> {
    let failed = |path: &Path, error: std::io::Error| {
        Failure::Outside(
            format!("making {} failed: {error}", path.display()),
            ELSEWHERE,
        )
    };
    let Some(path) = given else {
        let temporary = std::env::temp_dir();
        return tempfile::Builder::new()
            .prefix("dalsegno-demo-")
            .tempdir()
            .map(tempfile::TempDir::keep)
            .map_err(|error| failed(&temporary, error));
    };
    let path = std::path::absolute(path).map_err(|error| failed(path, error))?;
    if path.exists() && !path.is_dir() {
        return Err(Failure::usage(
            format!("{} is not a folder", path.display()),
            ELSEWHERE,
        ));
    }
    std::fs::create_dir_all(&path).map_err(|error| failed(&path, error))?;
    let mut entries = std::fs::read_dir(&path).map_err(|error| failed(&path, error))?;
    if entries.next().is_some() {
        return Err(Failure::usage(
            format!("{} is not empty", path.display()),
            ELSEWHERE,
        ));
    }
    Ok(path)
}

/// Writes what two trainings with their validations write, each iteration dated some weeks back:
/// what was written just now always stays.
fn write_runs(base: &Path) -> std::io::Result<()> {
    let runs = [
        ("affinities", Version::V2, 4000),
        ("distances", Version::V3, 3000),
    ];
    for (run, version, last) in runs {
        let validation = base.join(run).join("validation.zarr");
        for dataset in DATASETS {
            for copy in ["raw", "gt"] {
                let input = validation.join("inputs").join(dataset).join(copy);
                zarr::write(&input, version, 100, written(0))?;
            }
        }
        for iteration in (1000..=last).step_by(1000) {
            let date = written(iteration);
            for dataset in DATASETS {
                let place = validation.join(iteration.to_string()).join(dataset);
                zarr::write(&place.join("prediction"), version, iteration / 20, date)?;
                if (iteration, dataset) == (4000, DATASETS[1]) {
                    continue;
                }
                for parameters in PARAMETERS {
                    let output = place.join("output").join(parameters);
                    zarr::write(&output, version, iteration / 30, date)?;
                }
            }
        }
        for array in ["raw", "target", "prediction"] {
            let snapshots = base.join(run).join("snapshot.zarr").join("volumes");
            zarr::write(&snapshots.join(array), version, 50, written(last))?;
        }
    }
    Ok(())
}

/// When an iteration was written: a training of 1000 iterations a week, a week ago.
fn written(iteration: usize) -> SystemTime {
    let days = 35_u64.saturating_sub(iteration as u64 * 7 / 1000);
    let age = Duration::from_secs(days * 24 * 60 * 60);
    let moment = SystemClock.now().minus(age);
    SystemTime::UNIX_EPOCH + Duration::from_millis(moment.0.unsigned_abs())
}
