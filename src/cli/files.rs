//! Files that the command line reads and writes itself: plans and scores, and what the system says
//! of this process.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::fail::Failure;

/// The name of a file in a message.
pub(super) fn name(path: &Path) -> String {
    if path.as_os_str() == "-" {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    }
}

const NOT_REGULAR: &str = "it is not a regular file; standard input is read if - is given";
const TOO_LARGE: &str = "it has more than 4 GiB, and no more are read";

/// Most bytes that are read of a file, or of standard input; a plan of ten million artifacts has
/// fewer.
const MOST_BYTES: u64 = 4 << 30;

/// Reads a regular file as text; `-` is standard input. `instead` says what to give if that fails.
///
/// Another user may have put a pipe in the place of the file: it is not waited for.
pub(super) fn read(path: &Path, instead: &'static str) -> Result<String, Failure> {
    let read = if path.as_os_str() == "-" {
        read_all(std::io::stdin().lock())
    } else {
        open_regular(path).and_then(read_all)
    };
    match read {
        Ok(text) => Ok(text),
        Err(error) => Err(Failure::Outside(
            format!("{} cannot be read: {error}", name(path)),
            instead,
        )),
    }
}

fn open_regular(path: &Path) -> io::Result<File> {
    let unfit = |why: &str| Err(io::Error::new(ErrorKind::InvalidInput, why));
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        // A socket, or a device that is not there.
        Err(Errno::NXIO | Errno::NODEV) => return unfit(NOT_REGULAR),
        Err(errno) => return Err(errno.into()),
    };
    let found = file.metadata()?;
    match found.is_file() {
        true if found.len() > MOST_BYTES => unfit(TOO_LARGE),
        true => Ok(file),
        false if found.is_dir() => Err(Errno::ISDIR.into()),
        false => unfit(NOT_REGULAR),
    }
}

fn read_all(from: impl Read) -> io::Result<String> {
    let mut text = String::new();
    // Bounded, because a file may grow while it is read.
    from.take(MOST_BYTES + 1).read_to_string(&mut text)?;
    match text.len() as u64 > MOST_BYTES {
        true => Err(io::Error::new(ErrorKind::InvalidInput, TOO_LARGE)),
        false => Ok(text),
    }
}

/// Whether this process ignores a signal, as one does that a script starts in the background.
pub(super) fn ignores_signal(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// Gives a folder a name beside it that nothing has.
pub(super) fn set_aside(folder: &Path, aside: &Path) -> Result<(), Failure> {
    let renamed = rustix::fs::renameat_with(CWD, folder, CWD, aside, RenameFlags::NOREPLACE);
    renamed.map_err(|errno| {
        Failure::Outside(
            format!(
                "{} could not be renamed to {}: {}; nothing was changed",
                folder.display(),
                aside.display(),
                io::Error::from(errno)
            ),
            "move the folder away by hand, then run the same command again",
        )
    })
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
