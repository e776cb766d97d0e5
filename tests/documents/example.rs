//! The base directory of the pages: two runs, as DaCapo writes them.
//!
//! `affinities` has four validations in zarr v2, `distances` three in zarr v3; each has
//! checkpoints. Chunks are sparse: they have a size and take no space.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

const KIB: u64 = 1 << 10;
const DATASETS: [&str; 2] = ["crop7", "crop9"];
const PARAMETERS: [&str; 2] = ["threshold_127", "threshold_200"];

/// Bytes of a chunk of a prediction and of any other array.
const PREDICTION: u64 = 1024 * KIB;
const OTHER: u64 = 256 * KIB;

pub(crate) fn write(base: &Path) {
    for (run, version, last) in [("affinities", 2, 4000), ("distances", 3, 3000)] {
        let run = base.join(run);
        let validation = run.join("validation.zarr");
        for dataset in DATASETS {
            for copy in ["raw", "gt"] {
                let input = validation.join("inputs").join(dataset).join(copy);
                array(&input, version, OTHER, written(0));
            }
        }
        for iteration in (1000..=last).step_by(1000) {
            let date = written(iteration);
            for dataset in DATASETS {
                let folder = validation.join(iteration.to_string()).join(dataset);
                array(&folder.join("prediction"), version, PREDICTION, date);
                if (iteration, dataset) == (4000, "crop9") {
                    continue;
                }
                for parameters in PARAMETERS {
                    let output = folder.join("output").join(parameters);
                    array(&output, version, OTHER, date);
                }
            }
            let checkpoints = run.join("checkpoints/iterations");
            fs::create_dir_all(&checkpoints).unwrap();
            file(
                &checkpoints.join(iteration.to_string()),
                b"",
                64 * 1024 * KIB,
                date,
            );
        }
    }
}

/// When an iteration was written: 1000 a week, the 4000th a week ago.
fn written(iteration: u64) -> SystemTime {
    let days = 35 - iteration * 7 / 1000;
    SystemTime::now() - Duration::from_secs(days * 24 * 60 * 60)
}

/// Writes an array of two chunks in each of three dimensions.
fn array(path: &Path, version: u8, bytes: u64, date: SystemTime) {
    let (name, metadata, chunks) = match version {
        2 => (
            ".zarray",
            r#"{"zarr_format":2,"shape":[128,128,128],"chunks":[64,64,64],"dtype":"|u1","compressor":null,"fill_value":0,"filters":null,"order":"C"}"#,
            ".",
        ),
        _ => (
            "zarr.json",
            r#"{"zarr_format":3,"node_type":"array","shape":[128,128,128],"data_type":"uint8","chunk_grid":{"name":"regular","configuration":{"chunk_shape":[64,64,64]}},"chunk_key_encoding":{"name":"default","configuration":{"separator":"/"}},"fill_value":0,"codecs":[{"name":"bytes"}],"attributes":{}}"#,
            "/",
        ),
    };
    fs::create_dir_all(path).unwrap();
    file(&path.join(name), metadata.as_bytes(), 0, date);
    for chunk in 0..8 {
        let at = [chunk >> 2, chunk >> 1 & 1, chunk & 1].map(|at| at.to_string());
        let folder = if version == 2 { "" } else { "c/" };
        let chunk = path.join(format!("{folder}{}", at.join(chunks)));
        fs::create_dir_all(chunk.parent().unwrap()).unwrap();
        file(&chunk, b"", bytes, date);
    }
    date_folders(path, date);
}

/// The folders of an array are as old as its chunks.
fn date_folders(path: &Path, date: SystemTime) {
    for entry in fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            date_folders(&entry.path(), date);
        }
    }
    fs::File::open(path).unwrap().set_modified(date).unwrap();
}

fn file(path: &Path, content: &[u8], bytes: u64, date: SystemTime) {
    fs::write(path, content).unwrap();
    let file = File::options().write(true).open(path).unwrap();
    if bytes > 0 {
        file.set_len(bytes).unwrap();
    }
    file.set_modified(date).unwrap();
}
