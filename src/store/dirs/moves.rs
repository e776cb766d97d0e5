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
//! - [`move_out`] of a file that may not be linked is a plain rename, if nothing has the name yet.
//!   A file that another process makes under that name in the same moment is replaced. An empty
//!   file made there first would keep out only processes that make new files and open none that are
//!   there, and a kill would leave it in the place of the file.
//!
//! No way leaves anything under the name but the entry itself, whenever it is killed.
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
    AtFlags, FileType, RenameFlags, linkat, renameat, renameat_with, statat, unlinkat,
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
        Err(errno) if is_unknown(errno) => rename_to_free(from, to),
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
            FileType::Directory => rename_to_free(from, to),
            _ => move_file_out(from, to, link),
        },
        done => done,
    };
    taken_is_exist(done)
}

/// Moves a file without `RENAME_NOREPLACE`; `link` gives it a second name.
fn move_file_out(
    from: Name<'_>,
    to: Name<'_>,
    link: impl FnOnce(Name<'_>, Name<'_>) -> Result<(), Errno>,
) -> Result<(), Errno> {
    match link(from, to) {
        Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK) => {
            rename_to_free(from, to)
        }
        linked => linked.and_then(|()| from.unlink()),
    }
}

/// Gives what `rename` answers, if the name is taken by a folder with content or by another type,
/// the meaning of a name that is taken.
fn taken_is_exist(done: Result<(), Errno>) -> Result<(), Errno> {
    match done {
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
    taken_is_exist(rename(from, to))
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

/// A plain rename to a name that nothing has when it is looked at.
fn rename_to_free(from: Name<'_>, to: Name<'_>) -> Result<(), Errno> {
    to.require_free()?;
    rename(from, to)
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

/// Gives a file a second name.
fn link(from: Name<'_>, to: Name<'_>) -> Result<(), Errno> {
    match linkat(from.folder, from.name, to.folder, to.name, AtFlags::empty()) {
        // Linked before a kill, or by the same request before.
        Err(Errno::EXIST) if are_one(from, to)? => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::path::Path;

    use super::*;

    /// A folder with the file `a`, and what a move of it to `b` without links came to.
    fn move_unlinkable(prepare: impl FnOnce(&Path)) -> (tempfile::TempDir, Result<(), Errno>) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "data").unwrap();
        prepare(folder.path());
        let open = File::open(folder.path()).unwrap();
        let (from, to) = (Name::new(&open, "a"), Name::new(&open, "b"));
        let done = move_file_out(from, to, |_, _| Err(Errno::PERM));
        (folder, done)
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
        let mut names: Vec<String> = entries.map(|entry| name(entry.unwrap())).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_that_may_not_be_linked_is_renamed() {
        let (folder, done) = move_unlinkable(|_| {});
        assert_eq!(done, Ok(()));
        assert_eq!(names(folder.path()), ["b"]);
        assert_eq!(fs::read(folder.path().join("b")).unwrap(), b"data");
    }

    #[test]
    fn what_has_the_name_of_a_file_that_may_not_be_linked_stays() {
        for content in ["", "theirs"] {
            let (folder, done) =
                move_unlinkable(|folder| fs::write(folder.join("b"), content).unwrap());
            assert_eq!(done, Err(Errno::EXIST));
            assert_eq!(names(folder.path()), ["a", "b"]);
            let kept = fs::read_to_string(folder.path().join("b")).unwrap();
            assert_eq!(kept, content);
        }
        let (folder, done) = move_unlinkable(|folder| fs::create_dir(folder.join("b")).unwrap());
        assert_eq!(done, Err(Errno::EXIST));
        assert!(folder.path().join("b").is_dir());
    }

    #[test]
    fn a_rename_that_fails_leaves_nothing_under_the_name() {
        let (folder, done) = move_unlinkable(|folder| fs::remove_file(folder.join("a")).unwrap());
        assert_eq!(done, Err(Errno::NOENT));
        assert_eq!(names(folder.path()), Vec::<String>::new());
    }

    #[test]
    fn a_file_that_was_linked_before_a_kill_loses_its_old_name() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "data").unwrap();
        fs::hard_link(folder.path().join("a"), folder.path().join("b")).unwrap();
        let open = File::open(folder.path()).unwrap();
        let (from, to) = (Name::new(&open, "a"), Name::new(&open, "b"));
        assert_eq!(move_file_out(from, to, link), Ok(()));
        assert_eq!(names(folder.path()), ["b"]);
    }
}
