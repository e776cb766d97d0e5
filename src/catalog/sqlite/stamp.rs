//! Whether a file is the one that was read, as it was.

use rustix::fs::Stat;

/// What shows that a file is another one, or was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    size: i64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(stat: &Stat) -> Self {
        #[expect(
            clippy::unnecessary_cast,
            clippy::cast_possible_wrap,
            reason = "the types of these fields differ between systems; they are only compared"
        )]
        Self {
            inode: stat.st_ino as u64,
            size: stat.st_size as i64,
            modified: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            changed: (stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        }
    }
}
