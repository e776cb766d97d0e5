//! The other side of a scan's benchmarks: nothing but the system calls that counting a tree takes.

use std::ffi::CString;
use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, openat, statat};

use crate::measure::Result;

/// Levels of folders that are listed before, to be shared out among the threads: run, container,
/// iteration.
const LEVELS: usize = 3;
/// What holds the names of a folder while they are read.
const BUFFER: usize = 32 << 10;
/// What holds the metadata of an array.
const METADATA: usize = 4 << 10;

/// Counts the bytes of the files of a tree by two threads: each folder is opened by its name and
/// read, each file looked at, and, if asked for, the metadata of each array read.
pub(crate) fn count(base: &Path, reads_metadata: bool) -> Result<u64> {
    let mut folders = vec![base.to_path_buf()];
    for _ in 0..LEVELS {
        let inner: std::io::Result<Vec<Vec<PathBuf>>> =
            folders.iter().map(|folder| inside(folder)).collect();
        folders = inner?.into_iter().flatten().collect();
    }
    let (bytes, next) = (AtomicU64::new(0), AtomicUsize::new(0));
    let work = || -> rustix::io::Result<()> {
        while let Some(folder) = folders.get(next.fetch_add(1, Ordering::Relaxed)) {
            let found = below(rustix::fs::CWD, folder, reads_metadata)?;
            bytes.fetch_add(found, Ordering::Relaxed);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(work);
        let here = work();
        here.and(other.join().unwrap_or(Err(rustix::io::Errno::CANCELED)))
    })?;
    Ok(bytes.into_inner())
}

fn inside(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() && entry.file_name() != ".dalsegno" {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn below(
    parent: impl AsFd,
    name: impl rustix::path::Arg,
    reads_metadata: bool,
) -> rustix::io::Result<u64> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder: OwnedFd = openat(parent, name, flags, Mode::empty())?;
    let (mut bytes, mut inner) = (0, Vec::<CString>::new());
    let mut buffer = [MaybeUninit::<u8>::uninit(); BUFFER];
    let mut entries = RawDir::new(&folder, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        match entry.file_type() {
            FileType::Directory if matches!(name.to_bytes(), b"." | b"..") => {}
            FileType::Directory => inner.push(name.to_owned()),
            _ => {
                bytes += statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)?.st_size as u64;
                if reads_metadata && name.to_bytes() == b".zarray" {
                    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                    let file = openat(&folder, name, flags, Mode::empty())?;
                    rustix::io::read(&file, &mut [0; METADATA])?;
                }
            }
        }
    }
    for name in inner {
        bytes += below(&folder, name.as_c_str(), reads_metadata)?;
    }
    Ok(bytes)
}
