//! How SQLite reaches files in a folder where others may exchange them.
//!
//! SQLite opens by path: the catalog, and beside it `-wal`, `-shm` and `-journal`. A [`Place`]
//! gives it the path `/proc/self/fd/N/name`, which leads through the open descriptor of the folder.
//! SQLite's own way to files, its VFS `unix`, is used but for four things:
//!
//! | call | change | else |
//! |---|---|---|
//! | `xFullPathname` | such a path stays as it is | SQLite would follow it back to the path |
//! | `open` | no waiting; a regular file, with one name if it is written; a new one has mode and group of its folder | a FIFO would be waited for, a file elsewhere that has a name here would be written |
//! | `xOpen` | no super-journals | a forged journal may name a file elsewhere, which is read into memory and, if it looks like a super-journal, deleted |
//! | `xDelete` | only the files beside the catalog | |
//!
//! Links are never followed: SQLite opens with `O_NOFOLLOW`. One process of the catalog's never
//! changes two databases in one transaction, so no journal of its own names a super-journal.
//!
//! This is the one module with unsafe code: SQLite takes these functions only as C functions.
//!
//! [`Place`]: super::place::Place

#![expect(
    unsafe_code,
    reason = "SQLite takes a way to files only as a struct of C functions"
)]

use std::ffi::{CStr, OsStr, c_char, c_int};
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::OnceLock;

use nix::libc;
use rusqlite::{Connection, OpenFlags, ffi};

use crate::disk::make_file;

/// The name of the VFS.
const NAME: &CStr = c"dalsegno";
/// What the paths of files in an open folder begin with.
const PREFIX: &[u8] = b"/proc/self/fd/";

/// SQLite's own VFS, which does all the work.
struct Own(*mut ffi::sqlite3_vfs);

// SAFETY: SQLite never changes or frees its own VFS, and calls it from every thread.
unsafe impl Send for Own {}
// SAFETY: as above.
unsafe impl Sync for Own {}

/// `None` if SQLite has no VFS of its own.
static OWN: OnceLock<Option<Own>> = OnceLock::new();

/// Opens a database by a path of [`Place::for_sqlite`](super::place::Place::for_sqlite), or a URI
/// with it. The place must be kept for longer than the connection.
pub(super) fn open(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    match OWN.get_or_init(register) {
        Some(_) => Connection::open_with_flags_and_vfs(path, flags, NAME),
        None => Err(rusqlite::Error::SqliteFailure(
            ffi::Error::new(ffi::SQLITE_ERROR),
            Some("SQLite did not take the catalog's way to files".to_owned()),
        )),
    }
}

fn register() -> Option<Own> {
    // SAFETY: both calls may be made at any time and initialise SQLite; the new VFS is leaked, so
    // it lives for as long as the process, and it is a copy whose pointers SQLite set.
    unsafe {
        let own = ffi::sqlite3_vfs_find(std::ptr::null());
        let mut vfs = *own.as_ref()?;
        vfs.pNext = std::ptr::null_mut();
        vfs.zName = NAME.as_ptr();
        vfs.xOpen = Some(open_file);
        vfs.xDelete = Some(delete);
        vfs.xFullPathname = Some(full_path);
        let set = vfs.xSetSystemCall?;
        let call: unsafe extern "C" fn(*const c_char, c_int, c_int) -> c_int = open_call;
        let call = std::mem::transmute::<
            unsafe extern "C" fn(*const c_char, c_int, c_int) -> c_int,
            unsafe extern "C" fn(),
        >(call);
        if set(own, c"open".as_ptr(), Some(call)) != ffi::SQLITE_OK
            || ffi::sqlite3_vfs_register(Box::leak(Box::new(vfs)), 0) != ffi::SQLITE_OK
        {
            return None;
        }
        Some(Own(own))
    }
}

/// SQLite's own VFS. It is known: only the new one, made from it, calls this.
fn own() -> Option<(*mut ffi::sqlite3_vfs, ffi::sqlite3_vfs)> {
    let own = OWN.get()?.as_ref()?;
    // SAFETY: SQLite never frees its own VFS.
    unsafe { Some((own.0, *own.0)) }
}

/// Splits `/proc/self/fd/N/name`.
fn parts(path: &[u8]) -> Option<(c_int, &OsStr)> {
    let rest = path.strip_prefix(PREFIX)?;
    let slash = rest.iter().position(|byte| *byte == b'/')?;
    let folder = std::str::from_utf8(&rest[..slash]).ok()?.parse().ok()?;
    let name = &rest[slash + 1..];
    let is_name = !name.is_empty() && name != b"." && name != b".." && !name.contains(&b'/');
    (is_name && folder >= 0).then(|| (folder, OsStr::from_bytes(name)))
}

/// The bytes of a path from SQLite; none if there is none.
///
/// # Safety
/// `path` is null or ends in a NUL.
unsafe fn bytes<'a>(path: *const c_char) -> &'a [u8] {
    match path.is_null() {
        true => &[],
        // SAFETY: as the caller promises.
        false => unsafe { CStr::from_ptr(path) }.to_bytes(),
    }
}

unsafe extern "C" fn open_file(
    _vfs: *mut ffi::sqlite3_vfs,
    path: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives the memory of a file, which has no methods if it was not opened.
    unsafe { (*file).pMethods = std::ptr::null() };
    match own() {
        Some((own, vfs)) if flags & ffi::SQLITE_OPEN_SUPER_JOURNAL == 0 => match vfs.xOpen {
            // SAFETY: the arguments are those of SQLite.
            Some(open) => unsafe { open(own, path, file, flags, out) },
            None => ffi::SQLITE_CANTOPEN,
        },
        _ => ffi::SQLITE_CANTOPEN,
    }
}

unsafe extern "C" fn delete(
    _vfs: *mut ffi::sqlite3_vfs,
    path: *const c_char,
    sync_folder: c_int,
) -> c_int {
    // SAFETY: SQLite's paths end in a NUL.
    let name = unsafe { bytes(path) };
    if !(name.ends_with(b"-journal") || name.ends_with(b"-wal")) {
        return ffi::SQLITE_IOERR_DELETE;
    }
    match own().and_then(|(own, vfs)| Some((own, vfs.xDelete?))) {
        // SAFETY: the arguments are those of SQLite.
        Some((own, delete)) => unsafe { delete(own, path, sync_folder) },
        None => ffi::SQLITE_IOERR_DELETE,
    }
}

unsafe extern "C" fn full_path(
    _vfs: *mut ffi::sqlite3_vfs,
    path: *const c_char,
    room: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: SQLite's paths end in a NUL.
    let given = unsafe { bytes(path) };
    if parts(given).is_some() {
        if usize::try_from(room).is_ok_and(|room| given.len() < room) {
            // SAFETY: there is room for the path and its NUL.
            unsafe { std::ptr::copy_nonoverlapping(path, out, given.len() + 1) };
            return ffi::SQLITE_OK;
        }
        return ffi::SQLITE_CANTOPEN;
    }
    match own().and_then(|(own, vfs)| Some((own, vfs.xFullPathname?))) {
        // SAFETY: the arguments are those of SQLite.
        Some((own, full_path)) => unsafe { full_path(own, path, room, out) },
        None => ffi::SQLITE_CANTOPEN,
    }
}

fn fail(errno: c_int) -> c_int {
    nix::errno::Errno::from_raw(errno).set();
    -1
}

/// The system call `open`, as SQLite makes it for all its files: those of other databases in this
/// process too, for which nothing changes.
unsafe extern "C" fn open_call(path: *const c_char, flags: c_int, mode: c_int) -> c_int {
    // SAFETY: SQLite's paths end in a NUL.
    let Some((folder, name)) = parts(unsafe { bytes(path) }) else {
        // SAFETY: the arguments are those of SQLite.
        return unsafe { libc::open(path, flags, mode) };
    };
    let plain = (flags & !(libc::O_CREAT | libc::O_EXCL))
        | libc::O_NOFOLLOW
        | libc::O_NONBLOCK
        | libc::O_NOCTTY;
    if flags & libc::O_EXCL == 0 {
        // SAFETY: as above.
        let file = unsafe { libc::open(path, plain, 0) };
        if file >= 0 {
            return checked(file, flags);
        }
        let is_absent = nix::errno::Errno::last_raw() == libc::ENOENT;
        if !is_absent || flags & libc::O_CREAT == 0 {
            return -1;
        }
    }
    // SAFETY: the place that the path comes from holds the folder open.
    let folder = unsafe { BorrowedFd::borrow_raw(folder) };
    match make_file(folder, name) {
        Ok(file) => std::os::fd::IntoRawFd::into_raw_fd(file),
        Err(errno) => fail(errno.raw_os_error()),
    }
}

/// Refuses a file that is not to be used.
fn checked(file: c_int, flags: c_int) -> c_int {
    // SAFETY: the descriptor was opened just now, and no other code knows it.
    let found = rustix::fs::fstat(unsafe { BorrowedFd::borrow_raw(file) });
    let Ok(found) = found else {
        return fail(libc::EIO);
    };
    let is_regular = found.st_mode & libc::S_IFMT == libc::S_IFREG;
    if !is_regular {
        // SAFETY: as above; it is closed once.
        unsafe { libc::close(file) };
        return fail(libc::ELOOP);
    }
    if flags & libc::O_ACCMODE != libc::O_RDONLY && found.st_nlink > 1 {
        // Not closed: it may be the catalog, whose locks closing it would drop.
        return fail(libc::EMLINK);
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_in_an_open_folder_are_taken_apart() {
        let parts = |path: &'static str| parts(path.as_bytes());
        assert_eq!(
            parts("/proc/self/fd/7/c-wal"),
            Some((7, OsStr::new("c-wal")))
        );
        for path in [
            "",
            "/etc/passwd",
            "/proc/self/fd/7",
            "/proc/self/fd/7/",
            "/proc/self/fd/7/..",
            "/proc/self/fd/7/a/b",
            "/proc/self/fd/-1/a",
            "/proc/self/fd/x/a",
        ] {
            assert_eq!(parts(path), None, "{path}");
        }
    }
}
