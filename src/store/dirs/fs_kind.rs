//! The kind of file system that a path is on.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::fs::{StatFs, fstatvfs};

use super::mounts::Mount;
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

/// Why a file system was taken for what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FsReason {
    /// The number that `statfs` gives is known.
    Number,
    /// The number is not known, but the type of its mount is.
    MountType,
    /// Neither is known, but the source of the mount is `host:/path` or `//host/share`.
    MountSource,
    /// Neither is known, and the source of the mount names no host: taken for local.
    Unknown,
}

#[cfg(feature = "cli")]
impl FsReason {
    /// The reason as words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Number => "by its statfs number",
            Self::MountType => "by its mount type",
            Self::MountSource => "by its mount source, which names a host",
            Self::Unknown => "unknown type, whose mount source names no host",
        }
    }
}

/// Numbers of `statfs` for file systems that other hosts may reach. FUSE counts as one, because
/// anything can be behind it; virtiofs has its number.
const NETWORK: [(u32, &str); 24] = [
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
    (0xAAD7_AAEA, "PanFS"),
    (0x2003_0528, "OrangeFS"),
    (0x6163_6673, "ACFS"),
    (0x0131_11A8, "IBRIX"),
    (0xBEEF_DEAD, "StorNext"),
    (0x564C, "NCP"),
    (0x786F_4256, "VirtualBox"),
    (0xBACB_ACBC, "VMware"),
    (0x7C7C_6673, "Parallels"),
];

/// Types of mounts that other hosts may reach, for file systems whose number is not known.
const NETWORK_TYPES: [(&str, &str); 20] = [
    ("wekafs", "Weka"),
    ("panfs", "PanFS"),
    ("pvfs2", "OrangeFS"),
    ("orangefs", "OrangeFS"),
    ("acfs", "ACFS"),
    ("gpfs", "GPFS"),
    ("mmfs", "GPFS"),
    ("ceph", "CephFS"),
    ("9p", "9p"),
    ("virtiofs", "virtiofs"),
    ("lustre", "Lustre"),
    ("beegfs", "BeeGFS"),
    ("afs", "AFS"),
    ("coda", "Coda"),
    ("cifs", "CIFS"),
    ("smb3", "SMB2"),
    ("nfs", "NFS"),
    ("nfs4", "NFS"),
    ("glusterfs", "GlusterFS"),
    ("dvs", "DVS"),
];

/// Numbers of `statfs` for local file systems, for which no list of mounts is read: ext2 to ext4,
/// XFS, Btrfs, tmpfs, ramfs, OverlayFS, ZFS, F2FS, JFS, ReiserFS, bcachefs, NILFS, FAT, exFAT,
/// SquashFS, ISO 9660, proc.
const LOCAL: [u32; 17] = [
    0xEF53,
    0x5846_5342,
    0x9123_683E,
    0x0102_1994,
    0x8584_58F6,
    0x794C_7630,
    0x2FC1_2FC1,
    0xF2F5_2010,
    0x3153_464A,
    0x5265_4973,
    0xCA45_1A4E,
    0x3434,
    0x4D44,
    0x2011_BAB0,
    0x7371_7368,
    0x9660,
    0x9FA0,
];

/// Numbers of `statfs` for tmpfs and ramfs.
const IN_MEMORY: [u32; 2] = [0x0102_1994, 0x8584_58F6];

/// Finds the kind of file system that `path` is on.
///
/// # Errors
/// [`StorageError::Io`] if `statfs` fails.
pub fn fs_kind(path: &Path) -> Result<FsKind, StorageError> {
    fs_kind_and_reason(path).map(|(kind, _)| kind)
}

/// Finds the kind of file system that `path` is on, and why it is taken for that.
///
/// # Errors
/// [`StorageError::Io`] if `statfs` fails.
pub fn fs_kind_and_reason(path: &Path) -> Result<(FsKind, FsReason), StorageError> {
    let stat = rustix::fs::statfs(path)
        .map_err(|errno| StorageError::io("asking for the file system of", path, errno))?;
    Ok(classify(number_of(&stat), || {
        let mount = Mount::of(path)?;
        Some((mount.fs_type, mount.source))
    }))
}

/// Whether a file system keeps everything in memory: tmpfs or ramfs. False if it cannot be asked.
pub(crate) fn is_in_memory(file: BorrowedFd<'_>) -> bool {
    let stat = rustix::fs::fstatfs(file);
    stat.is_ok_and(|stat| IN_MEMORY.contains(&number_of(&stat)))
}

/// Whether a file system is known to be on this host alone.
pub(crate) fn is_local(file: BorrowedFd<'_>) -> bool {
    let stat = rustix::fs::fstatfs(file);
    stat.is_ok_and(|stat| LOCAL.contains(&number_of(&stat)))
}

/// Bytes that a user other than root can still write on the file system of the base directory.
///
/// # Errors
/// [`StorageError::Io`] if the file system cannot be asked.
pub fn free_bytes(base: &Base) -> Result<u64, StorageError> {
    fstatvfs(base.as_fd())
        // `f_bavail`, because some of the free blocks are for root alone.
        .map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize))
        .map_err(|errno| StorageError::io("reading the free space of", base.path(), errno))
}

/// Size in bytes of the file system of the base directory; 0 if the file system has none.
///
/// # Errors
/// [`StorageError::Io`] if the file system cannot be asked.
pub fn disk_size(base: &Base) -> Result<u64, StorageError> {
    fstatvfs(base.as_fd())
        .map(|stat| stat.f_blocks.saturating_mul(stat.f_frsize))
        .map_err(|errno| StorageError::io("reading the size of", base.path(), errno))
}

/// The type of a file system is 32 bits wide; its C type is signed and wider on most machines.
fn number_of(stat: &StatFs) -> u32 {
    (stat.f_type & 0xFFFF_FFFF) as u32
}

/// `mount` finds type and source of the mount; it is asked if the number is not known.
fn classify(number: u32, mount: impl FnOnce() -> Option<(String, String)>) -> (FsKind, FsReason) {
    let known = NETWORK.into_iter().find(|(known, _)| *known == number);
    if let Some((_, name)) = known {
        return (FsKind::Network(name), FsReason::Number);
    }
    if LOCAL.contains(&number) {
        return (FsKind::Local, FsReason::Number);
    }
    // Unknown, and no list of mounts: refusing would shut out every new local file system.
    let Some((fs_type, source)) = mount() else {
        return (FsKind::Local, FsReason::Unknown);
    };
    let known = NETWORK_TYPES
        .into_iter()
        .find(|(known, _)| *known == fs_type);
    match known {
        Some((_, name)) => (FsKind::Network(name), FsReason::MountType),
        None if names_a_host(&source) => (FsKind::Network("unknown"), FsReason::MountSource),
        None => (FsKind::Local, FsReason::Unknown),
    }
}

/// Whether a mount source is `host:/path` or `//host/share`.
fn names_a_host(source: &str) -> bool {
    if let Some(rest) = source.strip_prefix("//") {
        return rest
            .split_once('/')
            .is_some_and(|(host, _)| !host.is_empty());
    }
    let host = source.split_once(":/").map(|(host, _)| host);
    // A device such as `/dev/disk:/x` names no host.
    host.is_some_and(|host| !host.is_empty() && !host.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_told_from_local_ones() {
        let unasked = |number| classify(number, || unreachable!("the number is known"));
        let network = |name| (FsKind::Network(name), FsReason::Number);
        for (number, name) in [
            (0x6969, "NFS"),
            (0xFF53_4D42, "CIFS"),
            (0xAAD7_AAEA, "PanFS"),
            (0x2003_0528, "OrangeFS"),
            (0x6163_6673, "ACFS"),
            (0x4750_4653, "GPFS"),
            (0x0102_1997, "9p"),
            (0x6573_5546, "FUSE"),
        ] {
            assert_eq!(unasked(number), network(name));
        }
        for local in [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0x794C_7630] {
            assert_eq!(unasked(local), (FsKind::Local, FsReason::Number));
        }
        assert_eq!(fs_kind(Path::new("/proc")).unwrap(), FsKind::Local);
    }

    #[test]
    fn a_file_system_with_an_unknown_number_is_judged_by_its_mount() {
        let of = |fs_type: &str, source: &str| {
            classify(0x1234_5678, || {
                Some((fs_type.to_owned(), source.to_owned()))
            })
        };
        assert_eq!(
            of("wekafs", "default"),
            (FsKind::Network("Weka"), FsReason::MountType)
        );
        let by_source = (FsKind::Network("unknown"), FsReason::MountSource);
        for source in [
            "host:/path",
            "10.0.0.1@o2ib:/scratch",
            "[fe80::1]:/export",
            "one:6789,two:6789:/",
            "//host/share",
        ] {
            assert_eq!(of("newfs", source), by_source, "{source}");
        }
        for source in [
            "/dev/sda1",
            "pool/data",
            "none",
            "/srv/a:/b",
            "//",
            "///x",
            ":/x",
        ] {
            assert_eq!(
                of("newfs", source),
                (FsKind::Local, FsReason::Unknown),
                "{source}"
            );
        }
        assert_eq!(classify(1, || None), (FsKind::Local, FsReason::Unknown));
    }
}
