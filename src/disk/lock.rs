//! Locks between processes, on files that are open for writing.
//!
//! The lock is one of the open file description (`F_OFD_SETLK`), which the kernel gives for writing
//! only if the file is open for writing. A lock for reading, which a file open for reading is enough
//! for, would hold up those who write. So a lock file has no right to read for those who may not
//! write it; a file of an older version loses it when its owner, or root, opens it.
//!
//! Like a `flock` the lock belongs to the opening and not to the process, the kernel hands it out in
//! order, and it ends with the process.
//!
//! The kernel's list of locks shows no process for such a lock. So the holder takes a `flock` too,
//! if it is free: it says who holds the lock, and makes versions of dalsegno wait that know only
//! that. Nothing depends on it.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use rustix::fs::{FlockOperation, Mode, fchmod, flock, fstat};
use rustix::io::Errno;

use super::make::{make_file_for_writers, without_mere_readers};
use super::open::{Access, open_file};

/// How often a file that comes and goes is tried.
const TRIES: usize = 16;

/// A lock file, and the lock on it once it is taken.
#[derive(Debug)]
pub(crate) struct LockFile(File);

impl LockFile {
    /// Opens a lock file, and makes it if nothing has its name.
    pub(crate) fn open(folder: impl AsFd, name: &std::ffi::OsStr) -> io::Result<Self> {
        let mut tries = 0..TRIES;
        loop {
            match open_file(&folder, name, Access::Write) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                opened => {
                    let file = opened?;
                    keep_readers_out(&file);
                    return Ok(Self::from(file));
                }
            }
            match make_file_for_writers(&folder, name) {
                // Another process made it meanwhile.
                Err(Errno::EXIST) if tries.next().is_some() => {}
                made => return Ok(Self::from(made?)),
            }
        }
    }

    /// Takes the lock if it is free. Says whether it has it.
    pub(crate) fn try_take(&self) -> io::Result<bool> {
        loop {
            match fcntl(&self.0, FcntlArg::F_OFD_SETLK(&whole(libc::F_WRLCK))) {
                Ok(_) => break,
                Err(nix::errno::Errno::EINTR) => {}
                Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EACCES) => return Ok(false),
                Err(errno) => return Err(errno.into()),
            }
        }
        self.show();
        Ok(true)
    }

    /// Takes the lock, however long that lasts.
    pub(crate) fn take(&self) -> io::Result<()> {
        loop {
            match fcntl(&self.0, FcntlArg::F_OFD_SETLKW(&whole(libc::F_WRLCK))) {
                Ok(_) => break,
                Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        self.show();
        Ok(())
    }

    /// Lets the lock go.
    pub(crate) fn release(&self) {
        // In this order: the next holder of the lock must find the `flock` free, to show itself.
        let _ = flock(&self.0, FlockOperation::Unlock);
        let _ = fcntl(&self.0, FcntlArg::F_OFD_SETLK(&whole(libc::F_UNLCK)));
    }

    fn show(&self) {
        let _ = flock(&self.0, FlockOperation::NonBlockingLockExclusive);
    }
}

/// Whether users who may not write a lock file may read it by its mode: they could hold up those who
/// write.
pub(crate) fn has_mere_readers(mode: u32) -> bool {
    without_mere_readers(mode) != mode
}

/// Takes the right to read from those who may not write, if this user may.
fn keep_readers_out(file: &OwnedFd) {
    let Ok(stat) = fstat(file) else { return };
    if has_mere_readers(stat.st_mode) {
        // Without the right to change the mode, the lock still serves; `doctor` names the file.
        let mode = without_mere_readers(stat.st_mode) & 0o7777;
        let _ = fchmod(file, Mode::from_raw_mode(mode));
    }
}

/// A lock on a whole file.
fn whole(kind: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: i16::try_from(kind).unwrap_or_default(),
        l_whence: i16::try_from(libc::SEEK_SET).unwrap_or_default(),
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

impl From<OwnedFd> for LockFile {
    fn from(file: OwnedFd) -> Self {
        Self(file.into())
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // By name, not by closing: a child that was forked meanwhile may hold the same file open.
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Folder;

    #[test]
    fn who_may_only_read_the_file_holds_up_no_one() {
        let folder = tempfile::tempdir().unwrap();
        let open = Folder::open(folder.path()).unwrap();
        let name = std::ffi::OsStr::new("lock");
        drop(LockFile::open(&open, name).unwrap());
        let reader = File::open(folder.path().join("lock")).unwrap();
        flock(&reader, FlockOperation::LockExclusive).unwrap();
        let lock = LockFile::from(OwnedFd::from(reader.try_clone().unwrap()));
        assert!(lock.try_take().is_err());
        let lock = LockFile::open(&open, name).unwrap();
        assert!(lock.try_take().unwrap());
        assert!(!LockFile::open(&open, name).unwrap().try_take().unwrap());
        lock.release();
        assert!(LockFile::open(&open, name).unwrap().try_take().unwrap());
    }

    #[test]
    fn a_lock_file_that_others_may_only_read_is_mended_when_it_is_opened() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let open = Folder::open(folder.path()).unwrap();
        let path = folder.path().join("lock");
        std::fs::write(&path, "").unwrap();
        for (before, after) in [
            (0o644, 0o600),
            (0o664, 0o660),
            (0o640, 0o600),
            (0o666, 0o666),
            (0o606, 0o606),
            (0o660, 0o660),
        ] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(before)).unwrap();
            LockFile::open(&open, "lock".as_ref()).unwrap();
            let mode = path.metadata().unwrap().permissions().mode() & 0o7777;
            assert_eq!(mode, after, "{before:o}");
        }
    }

    #[test]
    fn a_lock_file_is_never_made_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let open = Folder::open(folder.path()).unwrap();
        std::os::unix::fs::symlink("target", folder.path().join("lock")).unwrap();
        LockFile::open(&open, "lock".as_ref()).unwrap_err();
        assert!(!folder.path().join("target").exists());
    }
}
