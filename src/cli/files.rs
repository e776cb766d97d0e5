//! Files that the command line reads and writes itself: plans and scores, and what the system says
//! of this process.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use super::fail::Failure;

/// The name of a file in a message.
pub(super) fn name(path: &Path) -> String {
    if path.as_os_str() == "-" {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    }
}

/// Reads a file as text; `-` is standard input. `instead` says what to give if that fails.
pub(super) fn read(path: &Path, instead: &'static str) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().lock().read_to_string(&mut text)
    } else {
        File::open(path).and_then(|mut file| file.read_to_string(&mut text))
    };
    match read {
        Ok(_) => Ok(text),
        Err(error) => Err(Failure::Outside(
            format!("{} cannot be read: {error}", name(path)),
            instead,
        )),
    }
}

/// Whether this process ignores a signal, as one does that a script starts in the background.
pub(super) fn ignores_signal(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// Writes a new file; fails if it exists.
pub(super) fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    // A plan that was reviewed must not be overwritten by another.
    let written = File::create_new(path).and_then(|mut file| {
        file.write_all(text.as_bytes())
            // The plan is carried out later, and must be whole even after a crash.
            .and_then(|()| file.sync_all())
    });
    written.map_err(|error| {
        Failure::Outside(
            format!("{} could not be written: {error}", path.display()),
            "name a new file in a folder that can be written",
        )
    })
}
