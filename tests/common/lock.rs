//! Takes the locks of a registry as another process does.

use std::fs::File;
use std::path::Path;

use nix::fcntl::{FcntlArg, fcntl};

/// Takes a lock file until it is dropped.
pub(crate) fn take(path: &Path) -> File {
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .unwrap();
    let whole = libc::flock {
        l_type: libc::F_WRLCK as i16,
        l_whence: libc::SEEK_SET as i16,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(&file, FcntlArg::F_OFD_SETLK(&whole)).unwrap();
    // It shows who holds the other one.
    file.lock().unwrap();
    file
}
