//! Making files and folders for all who may use the folder around them.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, Stat, fchmod, fchown, fstat, mkdirat, openat, unlinkat,
};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

/// Makes a file under a free name, and opens it for reading and writing.
///
/// # Errors
/// [`Errno::EXIST`] if anything has that name, a link that leads nowhere included.
pub(crate) fn make_file(folder: impl AsFd, name: impl rustix::path::Arg) -> Result<OwnedFd, Errno> {
    make_file_of(folder, name, 0o666)
}

/// Makes a file as [`make_file`] does that only its owner may write: who owns it answers for what
/// is in it.
///
/// # Errors
/// As [`make_file`].
pub(crate) fn make_own_file(
    folder: impl AsFd,
    name: impl rustix::path::Arg,
) -> Result<OwnedFd, Errno> {
    make_file_of(folder, name, 0o644)
}

/// Makes a file as [`make_file`] does that those may open who may write it, and no others.
///
/// # Errors
/// As [`make_file`].
pub(super) fn make_file_for_writers(
    folder: impl AsFd,
    name: impl rustix::path::Arg,
) -> Result<OwnedFd, Errno> {
    let around = fstat(folder.as_fd())?;
    make_file_of(folder, name, without_mere_readers(around.st_mode & 0o666))
}

/// A file's mode without the right to read of those who may not write: the group, all others.
pub(super) fn without_mere_readers(mode: u32) -> u32 {
    mode & !((!mode & 0o022) << 1)
}

/// Makes a file that has, of these bits, those of the folder.
fn make_file_of(
    folder: impl AsFd,
    name: impl rustix::path::Arg,
    bits: u32,
) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDWR
        | OFlags::CREATE
        | OFlags::EXCL
        | OFlags::NOFOLLOW
        | OFlags::NONBLOCK
        | OFlags::CLOEXEC;
    let around = fstat(folder.as_fd())?;
    // For the owner alone until it has its group and mode.
    let file = openat(folder.as_fd(), name, flags, Mode::from_raw_mode(0o600))?;
    let file = off_standard_streams(file)?;
    give(&file, &around, around.st_mode & bits)?;
    Ok(file)
}

/// Gives an open file another number if it has that of a standard stream. A process that was
/// started without these streams has their numbers free, and prints into what gets one.
///
/// # Errors
/// As the system gives them.
pub(crate) fn off_standard_streams(file: OwnedFd) -> Result<OwnedFd, Errno> {
    const FIRST_OTHER: RawFd = 3;
    match file.as_raw_fd() < FIRST_OTHER {
        true => fcntl_dupfd_cloexec(&file, FIRST_OTHER),
        false => Ok(file),
    }
}

/// Makes a folder under a free name, and opens it. It does not take the sticky bit: in a sticky
/// folder no user could replace or unlink what another one has made, as commands do.
///
/// # Errors
/// [`Errno::EXIST`] if anything has that name; [`Errno::LOOP`] or [`Errno::NOTDIR`] if something
/// else has taken its place meanwhile, and [`Errno::PERM`] if another user's folder has.
pub(crate) fn make_folder(
    folder: impl AsFd,
    name: impl rustix::path::Arg + Copy,
) -> Result<OwnedFd, Errno> {
    let (made, around) = make_private_folder(&folder, name)?;
    let given = is_own(&made).and_then(|is_own| match is_own {
        true => give(&made, &around, around.st_mode & 0o2777),
        false => Ok(()),
    });
    match given {
        Ok(()) => Ok(made),
        Err(errno) => Err(take_back(&folder, name, errno)),
    }
}

/// Removes a folder that was made and could not be given its mode: left behind, it would keep all
/// others out of what is put there later. It is removed only if nothing is in it.
fn take_back(folder: impl AsFd, name: impl rustix::path::Arg, errno: Errno) -> Errno {
    let _ = unlinkat(folder, name, AtFlags::REMOVEDIR);
    errno
}

/// Makes a folder for the group of the folder around it: setgid, and the group may write.
///
/// # Errors
/// As [`make_folder`]; [`Errno::PERM`] also if the group cannot be given.
pub(crate) fn make_shared_folder(
    folder: impl AsFd,
    name: impl rustix::path::Arg + Copy,
) -> Result<OwnedFd, Errno> {
    let (made, around) = make_private_folder(folder, name)?;
    if fstat(&made)?.st_gid != around.st_gid {
        fchown(&made, None, Some(Gid::from_raw(around.st_gid)))?;
    }
    let mode = (around.st_mode & 0o777) | 0o2070;
    fchmod(&made, Mode::from_raw_mode(mode))?;
    Ok(made)
}

/// Makes a folder that only its owner may use; also returns the `Stat` of the folder around it.
fn make_private_folder(
    folder: impl AsFd,
    name: impl rustix::path::Arg + Copy,
) -> Result<(OwnedFd, Stat), Errno> {
    let around = fstat(folder.as_fd())?;
    mkdirat(folder.as_fd(), name, Mode::from_raw_mode(0o700))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = match openat(folder.as_fd(), name, flags, Mode::empty()) {
        Ok(made) => made,
        Err(errno @ (Errno::LOOP | Errno::NOTDIR | Errno::NOENT)) => return Err(errno),
        Err(errno) => return Err(take_back(&folder, name, errno)),
    };
    let stat = fstat(&made)?;
    // Another folder may have been put in its place. To move a folder one must be able to write in
    // it, so one of ours that lets no others write was not brought here by them.
    let is_private = stat.st_mode & 0o777 == 0o700;
    // A network file system may give root's folders to the user `nobody`.
    match is_private && (is_own(&made)? || rustix::process::geteuid().is_root()) {
        true => Ok((made, around)),
        false => Err(Errno::PERM),
    }
}

fn is_own(made: &OwnedFd) -> Result<bool, Errno> {
    Ok(fstat(made)?.st_uid == rustix::process::geteuid().as_raw())
}

/// Gives mode and group. Without the right to give the group, the group gets what all others get.
fn give(made: impl AsFd, around: &Stat, mut mode: u32) -> Result<(), Errno> {
    let stat = fstat(made.as_fd())?;
    if stat.st_gid != around.st_gid {
        match fchown(made.as_fd(), None, Some(Gid::from_raw(around.st_gid))) {
            Ok(()) => {}
            Err(_) => mode = (mode & !0o2070) | ((mode & 0o007) << 3),
        }
    }
    // Giving the group may have taken the setgid bit.
    if fstat(made.as_fd())?.st_mode & 0o7777 == mode {
        return Ok(());
    }
    match fchmod(made, Mode::from_raw_mode(mode)) {
        // Some file systems have no modes.
        Err(Errno::PERM | Errno::NOTSUP | Errno::INVAL) => Ok(()),
        given => given,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;
    use crate::disk::Folder;

    #[test]
    fn what_is_made_takes_its_mode_from_the_folder_around_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        for (mode, of_folder, of_file, of_lock) in [
            (0o700, 0o700, 0o600, 0o600),
            (0o755, 0o755, 0o644, 0o600),
            (0o2775, 0o2775, 0o664, 0o660),
            (0o3770, 0o2770, 0o660, 0o660),
            (0o2777, 0o2777, 0o666, 0o666),
        ] {
            std::fs::create_dir(&path).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let open = Folder::open(&path).unwrap();
            make_file(&open, "file").unwrap();
            make_file_for_writers(&open, "lock").unwrap();
            make_folder(&open, "folder").unwrap();
            let mode_of = |name| std::fs::metadata(path.join(name)).unwrap().mode() & 0o7777;
            assert_eq!(mode_of("file"), of_file);
            assert_eq!(mode_of("lock"), of_lock);
            assert_eq!(mode_of("folder"), of_folder);
            std::fs::remove_file(path.join("file")).unwrap();
            std::fs::remove_file(path.join("lock")).unwrap();
            std::fs::remove_dir(path.join("folder")).unwrap();
            std::fs::remove_dir(&path).unwrap();
        }
    }

    #[test]
    fn nothing_is_made_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        symlink("target", folder.path().join("link")).unwrap();
        let open = Folder::open(folder.path()).unwrap();
        assert_eq!(make_file(&open, "link").unwrap_err(), Errno::EXIST);
        assert_eq!(make_folder(&open, "link").unwrap_err(), Errno::EXIST);
        assert!(!folder.path().join("target").exists());
    }
}
