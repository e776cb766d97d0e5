//! The renames that take an entry into a folder of the registry and out again.
//!
//! Both use `RENAME_NOREPLACE`: a name that is taken is never replaced. NFS does not know that
//! flag, nor do some FUSE and parallel file systems; they answer EINVAL, ENOSYS or EOPNOTSUPP.
//! There, each move goes another way:
//!
//! - [`move_in`] is a plain rename, if nothing has the name yet. What another process puts under
//!   that name in the same moment is not protected; this program alone gives the name.
//! - [`move_out`] of a folder is the same; the kernel refuses a target that is a file or has
//!   something in it. An empty folder that is made there in the same moment is replaced.
//! - [`move_out`] of a file is `link`, which never replaces, then `unlink`. After a kill between
//!   the two calls the file has both names.
//! - [`move_out`] of a file that may not be linked makes an empty file under the name, which never
//!   replaces, then renames the file onto it. What another process writes into the empty file in
//!   the same moment is lost, and a kill between the two calls leaves it.
//!
//! A file may not be linked if the file system has no hard links, or if it belongs to another user
//! and the system protects those (`fs.protected_hardlinks`).
//!
//! A server that restarts can carry a request out twice, and then reports what the first one did as
//! an error: the source is gone, or the name is taken. So after such an error the target is looked
//! at, and the entry itself counts as arrived.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, RenameFlags, linkat, openat, renameat, renameat_with, statat,
    unlinkat,
};
use rustix::io::Errno;

/// Environment variable that makes every rename behave as on a file system that does not know
/// `RENAME_NOREPLACE`, for tests.
#[cfg(feature = "testing")]
pub const WITHOUT_NOREPLACE: &str = "DALSEGNO_TEST_WITHOUT_NOREPLACE";

/// A name in an open folder.
#[derive(Clone, Copy)]
pub(crate) struct Name<'a> {
    folder: BorrowedFd<'a>,
    name: &'a OsStr,
}

impl<'a> Name<'a> {
    pub(crate) fn new(folder: &'a impl AsFd, name: &'a (impl AsRef<OsStr> + ?Sized)) -> Self {
        Self {
            folder: folder.as_fd(),
            name: name.as_ref(),
        }
    }

    /// Type, device and inode of what has the name.
    fn look(self) -> Result<(FileType, u64, u64), Errno> {
        let stat = statat(self.folder, self.name, AtFlags::SYMLINK_NOFOLLOW)?;
        let file_type = FileType::from_raw_mode(stat.st_mode);
        Ok((file_type, stat.st_dev, stat.st_ino))
    }

    fn require_free(self) -> Result<(), Errno> {
        match self.look() {
            Ok(_) => Err(Errno::EXIST),
            Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    fn unlink(self) -> Result<(), Errno> {
        match unlinkat(self.folder, self.name, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            done => done,
        }
    }
}

/// Moves an entry to a name that this program alone gives, in a folder of the registry.
///
/// # Errors
/// EXIST if the name is taken, NOENT if the entry is gone, and what `rename` answers.
pub(crate) fn move_in(from: Name<'_>, to: Name<'_>) -> Result<(), Errno> {
    match rename_noreplace(from, to) {
        Err(errno) if is_unknown(errno) => {
            to.require_free()?;
            rename(from, to)
        }
        done => done,
    }
}

/// Moves an entry from a folder of the registry to a name that any process may take.
///
/// # Errors
/// EXIST if the name is taken, and what `rename` and `link` answer.
pub(crate) fn move_out(from: Name<'_>, to: Name<'_>) -> Result<(), Errno> {
    let done = match rename_noreplace(from, to) {
        Err(errno) if is_unknown(errno) => match from.look()?.0 {
            FileType::Directory => to.require_free().and_then(|()| rename(from, to)),
            _ => link(from, to).and_then(|()| from.unlink()),
        },
        done => done,
    };
    match done {
        // What `rename` answers if the name is taken by a folder with content or another type.
        Err(Errno::NOTEMPTY | Errno::NOTDIR | Errno::ISDIR) => Err(Errno::EXIST),
        done => done,
    }
}

/// Moves a folder to a name that an empty folder has, and replaces that. The kernel refuses a
/// target that has something in it.
///
/// # Errors
/// EXIST if anything but an empty folder has the name, and what `rename` answers.
pub(crate) fn move_onto_empty(from: Name<'_>, to: Name<'_>) -> Result<(), Errno> {
    match rename(from, to) {
        Err(Errno::NOTEMPTY | Errno::NOTDIR | Errno::ISDIR) => Err(Errno::EXIST),
        done => done,
    }
}

/// Whether two names are those of one file or folder.
pub(crate) fn are_one(one: Name<'_>, other: Name<'_>) -> Result<bool, Errno> {
    match (one.look(), other.look()) {
        (Ok(one), Ok(other)) => Ok(one == other),
        (Err(Errno::NOENT), _) | (_, Err(Errno::NOENT)) => Ok(false),
        (Err(errno), _) | (_, Err(errno)) => Err(errno),
    }
}

fn rename_noreplace(from: Name<'_>, to: Name<'_>) -> Result<(), Errno> {
    #[cfg(feature = "testing")]
    if std::env::var_os(WITHOUT_NOREPLACE).is_some() {
        return Err(Errno::INVAL);
    }
    let flags = RenameFlags::NOREPLACE;
    renameat_with(from.folder, from.name, to.folder, to.name, flags)
}

fn is_unknown(errno: Errno) -> bool {
    matches!(errno, Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP)
}

/// A plain rename. If the source is gone and is the target, a repeated request has moved it.
fn rename(from: Name<'_>, to: Name<'_>) -> Result<(), Errno> {
    // Looked at before, because an entry that has arrived is known by its inode alone.
    let source = from.look()?;
    match renameat(from.folder, from.name, to.folder, to.name) {
        Err(Errno::NOENT) if to.look() == Ok(source) => Ok(()),
        done => done,
    }
}

/// Gives a file a second name, or an empty file that the source is then renamed onto.
fn link(from: Name<'_>, to: Name<'_>) -> Result<(), Errno> {
    match linkat(from.folder, from.name, to.folder, to.name, AtFlags::empty()) {
        // Linked before a kill, or by the same request before.
        Err(Errno::EXIST) if are_one(from, to)? => Ok(()),
        Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK) => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            drop(openat(to.folder, to.name, flags, Mode::RUSR | Mode::WUSR)?);
            rename(from, to).inspect_err(|_| {
                // The error that is reported is that of the rename.
                let _ = to.unlink();
            })
        }
        done => done,
    }
}
