//! Opening files that others may have put there.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;

use super::make::off_standard_streams;

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Only reading.
    Read,
    /// Reading and writing: then the file has no other name, which could be one elsewhere.
    Write,
}

/// Opens a regular file. Follows no link and waits for nothing; a file that is opened for writing
/// has one name.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] with words if something else has that name; others as the system
/// gives them.
pub(crate) fn open_file(
    folder: impl AsFd,
    name: impl rustix::path::Arg,
    access: Access,
) -> io::Result<OwnedFd> {
    let way = match access {
        Access::Read => OFlags::RDONLY,
        Access::Write => OFlags::RDWR,
    };
    // NONBLOCK, because opening a FIFO would wait for its other end; NOCTTY, because a terminal
    // would become that of this process.
    let flags = way | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = openat(folder, name, flags, Mode::empty()).map_err(|errno| match errno {
        Errno::LOOP => unfit("it is a symbolic link"),
        Errno::ISDIR => unfit("it is a folder"),
        // A FIFO without a reader, a socket, a device that is not there.
        Errno::NXIO | Errno::NODEV => unfit("it is not a regular file"),
        errno => errno.into(),
    })?;
    let file = off_standard_streams(file)?;
    let stat = fstat(&file)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {}
        FileType::Directory => return Err(unfit("it is a folder")),
        _ => return Err(unfit("it is not a regular file")),
    }
    // The other name may be a file elsewhere, which writing here would change.
    if access == Access::Write && stat.st_nlink > 1 {
        return Err(unfit("it has more than one name"));
    }
    Ok(file)
}

/// Reads a regular file of at most `most` bytes.
///
/// # Errors
/// As [`open_file`]; also if it is larger.
pub(crate) fn read_file(
    folder: impl AsFd,
    name: impl rustix::path::Arg,
    most: u64,
) -> io::Result<Vec<u8>> {
    read_opened(open_file(folder, name, Access::Read)?, most)
}

/// Reads an open file of at most `most` bytes.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] with words if it is larger; others as the system gives them.
pub(crate) fn read_opened(file: OwnedFd, most: u64) -> io::Result<Vec<u8>> {
    let file = File::from(file);
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(unfit(&format!("it is larger than {most} bytes")));
    }
    Ok(bytes)
}

fn unfit(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, why)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, mknodat};

    use super::*;
    use crate::disk::Folder;

    #[test]
    fn only_regular_files_are_opened_and_nothing_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), "text").unwrap();
        symlink("file", at("link")).unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        std::fs::create_dir(at("folder")).unwrap();
        mknodat(
            CWD,
            at("fifo"),
            FileType::Fifo,
            Mode::from_raw_mode(0o666),
            0,
        )
        .unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        let open = Folder::open(folder.path()).unwrap();
        for access in [Access::Read, Access::Write] {
            open_file(&open, "file", access).unwrap();
            for name in ["link", "dangling", "folder", "fifo", "socket"] {
                let error = open_file(&open, name, access).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}: {error}");
            }
            let error = open_file(&open, "absent", access).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
        }
        assert_eq!(read_file(&open, "file", 4).unwrap(), b"text");
        assert!(read_file(&open, "file", 3).is_err());
        std::fs::hard_link(at("file"), at("other")).unwrap();
        open_file(&open, "file", Access::Read).unwrap();
        open_file(&open, "file", Access::Write).unwrap_err();
    }
}
