//! The kind of file system that a path is on.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::fs::{StatFs, fstatvfs};

use crate::store::base::Base;
use crate::store::error::StorageError;

/// A kind of file system, as it matters to a catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FsKind {
    /// Local: locks and shared memory work between all processes that can reach it.
    Local,
    /// Other hosts may reach it, too. The name of the kind.
    Network(&'static str),
}

/// Numbers of `statfs` for file systems that other hosts may reach. FUSE counts as one, because
/// anything can be behind it.
const NETWORK: [(u32, &str); 15] = [
    (0x6969, "NFS"),
    (0x517B, "SMB"),
    (0xFF53_4D42, "CIFS"),
    (0xFE53_4D42, "SMB2"),
    (0x0BD0_0BD0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x1983_0326, "BeeGFS"),
    (0x00C3_6400, "CephFS"),
    (0x6573_5546, "FUSE"),
    (0x0102_1997, "9p"),
    (0x5346_414F, "AFS"),
    (0x6B41_4653, "AFS"),
    (0x7375_7245, "Coda"),
    (0x7461_636F, "OCFS2"),
    (0x0116_1970, "GFS2"),
];

/// Numbers of `statfs` for tmpfs and ramfs.
const IN_MEMORY: [u32; 2] = [0x0102_1994, 0x8584_58F6];

/// Finds the kind of file system that `path` is on.
///
/// # Errors
/// [`StorageError::Io`] if `statfs` fails.
pub fn fs_kind(path: &Path) -> Result<FsKind, StorageError> {
    let stat = rustix::fs::statfs(path)
        .map_err(|errno| StorageError::io("asking for the file system of", path, errno))?;
    Ok(classify(number_of(&stat)))
}

/// Whether a file system keeps everything in memory: tmpfs or ramfs. False if it cannot be asked.
pub(crate) fn is_in_memory(file: BorrowedFd<'_>) -> bool {
    let stat = rustix::fs::fstatfs(file);
    stat.is_ok_and(|stat| IN_MEMORY.contains(&number_of(&stat)))
}

/// Bytes that a user other than root can still write on the file system of the base directory.
///
/// # Errors
/// [`StorageError::Io`] if the file system cannot be asked.
pub fn free_bytes(base: &Base) -> Result<u64, StorageError> {
    fstatvfs(base.as_fd())
        .map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize))
        .map_err(|errno| StorageError::io("reading the free space of", base.path(), errno))
}

/// The type of a file system is 32 bits wide; its C type is signed and wider on most machines.
fn number_of(stat: &StatFs) -> u32 {
    (stat.f_type & 0xFFFF_FFFF) as u32
}

fn classify(number: u32) -> FsKind {
    NETWORK
        .into_iter()
        .find(|(known, _)| *known == number)
        .map_or(FsKind::Local, |(_, name)| FsKind::Network(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_told_from_local_ones() {
        assert_eq!(classify(0x6969), FsKind::Network("NFS"));
        assert_eq!(classify(0xFF53_4D42), FsKind::Network("CIFS"));
        for local in [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0x794C_7630] {
            assert_eq!(classify(local), FsKind::Local);
        }
        assert_eq!(fs_kind(Path::new("/proc")).unwrap(), FsKind::Local);
    }
}
