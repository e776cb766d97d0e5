//! `demo`: the main job, shown on a small base directory with real zarr arrays.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, Parser};

use super::args::Arguments;
use super::context::{Context, shell_word};
use super::fail::Failure;
use super::zarr::{self, Version};

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

/// What the demonstration says and does, in order: a sentence, then a command.
const STEPS: &[(&str, &[&str])] = &[
    (
        "Make a registry in the base directory. Nothing else is touched.",
        &["init"],
    ),
    (
        "Take in what the runs wrote, and count bytes and files.",
        &["scan", "--measure"],
    ),
    ("What does each run have?", &["runs"]),
    (
        "Which iterations have validation outputs? (3000 lacks those of one dataset.)",
        &["iterations", "--run", "affinities"],
    ),
    (
        "Which arrays are those?",
        &[
            "list",
            "--run",
            "affinities",
            "--kind",
            "output",
            "--iteration",
            "2000..",
        ],
    ),
    (
        "Where does an array of a coming validation go? The path is DaCapo's own.",
        &[
            "record",
            "output",
            "--run",
            "affinities",
            "--iteration",
            "4000",
            "--dataset",
            "val_crop7",
            "--parameters",
            "threshold_127",
        ],
    ),
    (
        "Recorded, but nothing was written yet.",
        &["list", "--run", "affinities", "--state", "reserved"],
    ),
    ("What takes the space?", &["du", "--by", "kind"]),
    (
        "Everything about one array.",
        &[
            "show",
            "--run",
            "distances",
            "--kind",
            "prediction",
            "--iteration",
            "2000",
            "--dataset",
            "val_crop7",
        ],
    ),
    (
        "Remove an old iteration, rows and data together, and keep it in the trash for now.",
        &[
            "rm",
            "--run",
            "affinities",
            "--iteration",
            "1000",
            "--trash",
            "--yes",
            "--reason",
            "superseded by iteration 3000",
        ],
    ),
    (
        "It is gone for every reader.",
        &["iterations", "--run", "affinities"],
    ),
    (
        "Who removed what, when and why? What lies in the trash still takes space.",
        &["trash", "list"],
    ),
    (
        "Undo: rows and data are back as they were.",
        &["restore", "--run", "affinities", "--iteration", "1000"],
    ),
    (
        "It has its validation outputs again.",
        &["iterations", "--run", "affinities"],
    ),
    (
        "Remove an iteration for good: its space is free at once.",
        &["rm", "--run", "distances", "--iteration", "1000", "--yes"],
    ),
    ("What is left?", &["runs"]),
    ("Is anything interrupted or left over?", &["doctor"]),
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
    for (text, words) in STEPS {
        step(context, text, words)?;
    }
    let base = base.display();
    context.line(&format!(
        "\nIt is yours to play with: export DALSEGNO_BASE={base}"
    ))
}

fn step(context: &mut Context, text: &str, words: &[&str]) -> Result<(), Failure> {
    let (bold, plain) = if context.colour() {
        ("\x1b[1m", "\x1b[0m")
    } else {
        ("", "")
    };
    context.line(&format!("\n# {text}"))?;
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

/// Writes what two trainings with their validations write.
fn write_runs(base: &Path) -> std::io::Result<()> {
    for (run, version) in [("affinities", Version::V2), ("distances", Version::V3)] {
        let validation = base.join(run).join("validation.zarr");
        for dataset in DATASETS {
            for copy in ["raw", "gt"] {
                zarr::write(
                    &validation.join("inputs").join(dataset).join(copy),
                    version,
                    100,
                )?;
            }
        }
        for iteration in [1000, 2000, 3000] {
            for dataset in DATASETS {
                let place = validation.join(iteration.to_string()).join(dataset);
                zarr::write(&place.join("prediction"), version, iteration / 20)?;
                if (run, iteration, dataset) == ("affinities", 3000, DATASETS[1]) {
                    continue;
                }
                for parameters in PARAMETERS {
                    let output = place.join("output").join(parameters);
                    zarr::write(&output, version, iteration / 30)?;
                }
            }
        }
        for array in ["raw", "target", "prediction"] {
            let snapshot = base
                .join(run)
                .join("snapshot.zarr")
                .join("volumes")
                .join(array);
            zarr::write(&snapshot, version, 50)?;
        }
    }
    Ok(())
}
