//! Opening what is below an open folder by a path of several names, none of which is a link.
//!
//! `O_NOFOLLOW` is about the last name only: a folder on the way that another user exchanges for a
//! link would lead elsewhere. `openat2` refuses a link in any name, in one call. Kernels before 5.6
//! and some sandboxes lack it; there each folder on the way is opened from the one above.

use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2, statat,
};
use rustix::io::Errno;
use rustix::path::Arg;

/// Set in a test, each path is walked as on a kernel without `openat2`.
#[cfg(any(test, feature = "testing"))]
pub const WITHOUT_OPENAT2: &str = "DALSEGNO_TEST_WITHOUT_OPENAT2";

/// Opens what is at a path below an open folder, with no link in any of its names.
///
/// # Errors
/// `LOOP` if a folder on the way is a link, or what is to be opened; `NOTDIR` in place of that if a
/// folder was to be opened. `XDEV` if the path leads out of the folder. Others as the system gives
/// them.
pub(crate) fn open_below(
    parent: impl AsFd,
    path: impl Arg,
    flags: OFlags,
) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    path.into_with_c_str(|path| open_c(parent.as_fd(), path, flags))
}

/// Opens a subfolder of an open folder, by its name, that is on the same mount: what is mounted
/// there, also a part of the same file system, is not what the folder holds. Where the kernel cannot
/// tell, it is opened.
///
/// # Errors
/// `XDEV` if something is mounted there; `LOOP` or `NOTDIR` if it is a link. Others as the system
/// gives them.
pub(crate) fn open_on_mount(parent: impl AsFd, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    if !is_walked() {
        match openat2(parent.as_fd(), name, flags, Mode::empty(), resolve) {
            Err(Errno::NOSYS | Errno::PERM) => {}
            opened => return opened,
        }
    }
    openat(parent, name, flags, Mode::empty())
}

/// Looks at what is at a path below an open folder; a link is looked at itself. A path of several
/// names takes three system calls.
///
/// # Errors
/// `LOOP` if a folder on the way is a link; others as of [`open_below`].
pub(crate) fn stat_below(parent: impl AsFd, path: impl Arg) -> Result<Stat, Errno> {
    path.into_with_c_str(|path| {
        let path = without_dot(path);
        if is_one_name(path) {
            return statat(parent.as_fd(), path, AtFlags::SYMLINK_NOFOLLOW);
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        fstat(open_c(parent.as_fd(), path, flags)?)
    })
}

fn open_c(parent: BorrowedFd<'_>, path: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    let path = without_dot(path);
    if path == c".." {
        return Err(Errno::XDEV);
    }
    if is_one_name(path) {
        return openat(parent, path, flags, Mode::empty());
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    if !is_walked() {
        match openat2(parent, path, flags, Mode::empty(), resolve) {
            // Some sandboxes answer with PERM to calls that they do not know.
            Err(Errno::NOSYS | Errno::PERM) => {}
            opened => return opened,
        }
    }
    walk(parent, path, flags)
}

fn is_walked() -> bool {
    #[cfg(any(test, feature = "testing"))]
    if std::env::var_os(WITHOUT_OPENAT2).is_some() {
        return true;
    }
    false
}

/// `./x` is `x`.
fn without_dot(path: &CStr) -> &CStr {
    match path.to_bytes_with_nul().strip_prefix(b"./") {
        Some(rest) if rest.len() > 1 => CStr::from_bytes_with_nul(rest).unwrap_or(path),
        _ => path,
    }
}

fn is_one_name(path: &CStr) -> bool {
    !path.to_bytes().contains(&b'/')
}

/// Opens each folder from the one above it.
fn walk(parent: BorrowedFd<'_>, path: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    let path = path.to_bytes();
    if path.starts_with(b"/") {
        return Err(Errno::XDEV);
    }
    let names = path.split(|&byte| byte == b'/');
    let mut names = names.filter(|name| !matches!(*name, b"" | b".")).peekable();
    let mut folder: Option<OwnedFd> = None;
    while let Some(name) = names.next() {
        if name == b".." {
            return Err(Errno::XDEV);
        }
        let above = folder.as_ref().map_or(parent, AsFd::as_fd);
        let name = OsStr::from_bytes(name);
        if names.peek().is_none() {
            return openat(above, name, flags, Mode::empty());
        }
        // PATH needs no right to list the folder.
        let on_the_way = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let next = match openat(above, name, on_the_way, Mode::empty()) {
            Err(Errno::NOTDIR) if is_link(above, name) => return Err(Errno::LOOP),
            opened => opened?,
        };
        folder = Some(next);
    }
    openat(parent, ".", flags, Mode::empty())
}

fn is_link(folder: BorrowedFd<'_>, name: &OsStr) -> bool {
    statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;

    #[test]
    fn both_ways_open_the_same_and_follow_no_link() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("base/a/b")).unwrap();
        fs::write(at("base/a/b/file"), "").unwrap();
        fs::create_dir(at("outside")).unwrap();
        fs::write(at("outside/file"), "").unwrap();
        symlink(at("outside"), at("base/a/out")).unwrap();
        symlink("b", at("base/a/in")).unwrap();
        symlink("file", at("base/a/b/link")).unwrap();
        let base = File::open(at("base")).unwrap();
        let absolute = at("base/a/b/file");
        let cases = [
            ("a/b/file", Ok(())),
            ("./a/./b//file", Ok(())),
            ("a/b", Ok(())),
            (".", Ok(())),
            ("./a", Ok(())),
            ("a/b/gone", Err(Errno::NOENT)),
            ("gone/b/file", Err(Errno::NOENT)),
            ("a/b/file/c/d", Err(Errno::NOTDIR)),
            ("a/out/file", Err(Errno::LOOP)),
            ("a/in/file", Err(Errno::LOOP)),
            ("a/b/link", Err(Errno::LOOP)),
            ("..", Err(Errno::XDEV)),
            ("../outside/file", Err(Errno::XDEV)),
            ("a/../../outside/file", Err(Errno::XDEV)),
            (absolute.to_str().unwrap(), Err(Errno::XDEV)),
        ];
        for (path, expected) in cases {
            let opened = open_below(&base, path, OFlags::RDONLY).map(drop);
            assert_eq!(opened, expected, "{path}");
            let c_path = std::ffi::CString::new(path).unwrap();
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW;
            let walked = walk(base.as_fd(), &c_path, flags).map(drop);
            assert_eq!(walked, expected, "{path}, walked");
        }
        for (path, link) in [("a/b/link", true), ("a/b/file", false), ("a", false)] {
            let stat = stat_below(&base, Path::new(path)).unwrap();
            let is_link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
            assert_eq!(is_link, link, "{path}");
        }
        assert_eq!(stat_below(&base, "a/out/file").unwrap_err(), Errno::LOOP);
    }
}
