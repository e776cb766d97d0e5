//! The bare system calls of unlinking, with nothing of ours around them: what is left to gain.
//!
//! This program, called with `unlink TREE [THREADS]`, takes a tree of one level away by so many
//! threads, or by a thread a core: each takes the next folder, reads it, unlinks its files in the
//! order of their inodes, and removes it; then chunks of the files beside the folders. It checks
//! nothing, reports nothing and syncs nothing.

use std::ffi::{CString, OsString};
use std::os::fd::OwnedFd;
use std::sync::Mutex;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, unlinkat};

use crate::measure::Result;

/// The word that makes this program the bare one.
pub(crate) const WORD: &str = "unlink";

/// Files beside the folders that a thread unlinks together.
const CHUNK: usize = 1024;

type Names = Vec<(u64, CString)>;

/// Opens a folder; gives its folders and its files.
fn list(
    parent: impl std::os::fd::AsFd,
    name: impl rustix::path::Arg,
) -> Result<(OwnedFd, Names, Names)> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = openat(parent, name, flags, Mode::empty())?;
    let (mut folders, mut files) = (Vec::new(), Vec::new());
    for entry in Dir::read_from(&folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let list = match entry.file_type() {
            FileType::Directory => &mut folders,
            _ => &mut files,
        };
        list.push((entry.ino(), name.to_owned()));
    }
    Ok((folder, folders, files))
}

fn unlink(folder: &OwnedFd, files: &mut [(u64, CString)]) -> Result<()> {
    files.sort_unstable();
    for (_, name) in files {
        unlinkat(folder, name.as_c_str(), AtFlags::empty())?;
    }
    Ok(())
}

/// Takes the tree away.
pub(crate) fn run(words: &[OsString]) -> Result<u64> {
    let tree = words.first().ok_or("which tree?")?;
    let (top, folders, files) = list(CWD, tree)?;
    let count = files.len() as u64;
    let chunks: Vec<Names> = files.chunks(CHUNK).map(<[_]>::to_vec).collect();
    let next = Mutex::new((folders.into_iter(), chunks.into_iter()));
    let work = || -> Result<()> {
        let take = || {
            let mut next = next.lock().map_err(|_| "another thread failed")?;
            let folder = next.0.next();
            let chunk = if folder.is_none() {
                next.1.next()
            } else {
                None
            };
            Ok::<_, Box<dyn std::error::Error>>((folder, chunk))
        };
        loop {
            match take()? {
                (Some((_, name)), _) => {
                    let (folder, _, mut files) = list(&top, name.as_c_str())?;
                    unlink(&folder, &mut files)?;
                    unlinkat(&top, name.as_c_str(), AtFlags::REMOVEDIR)?;
                }
                (None, Some(mut chunk)) => unlink(&top, &mut chunk)?,
                (None, None) => return Ok(()),
            }
        }
    };
    let threads = match words.get(1) {
        Some(threads) => threads.to_str().ok_or("how many threads?")?.parse()?,
        None => std::thread::available_parallelism()?.get(),
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| work().map_err(|error| error.to_string())))
            .collect();
        workers.into_iter().try_for_each(|worker| {
            let ended = worker.join().map_err(|_| "a thread failed".to_owned());
            ended.flatten()
        })
    })?;
    unlinkat(CWD, tree, AtFlags::REMOVEDIR)?;
    Ok(count)
}
