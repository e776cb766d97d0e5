//! What a file system is and what it allows, for `doctor`.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, StatVfsMountFlags, access, statvfs};
use serde::Serialize;

use super::fs_kind::{FsKind, fs_kind_and_reason};
use super::mounts::Mount;
use crate::model::name::REGISTRY_DIR;

/// Mount options that change what is safe or visible. Others are left out: they may hold names of
/// users and hosts.
const OPTIONS: [&str; 15] = [
    "ro",
    "sync",
    "soft",
    "softerr",
    "hard",
    "nolock",
    "nobrl",
    "nobarrier",
    "barrier",
    "local_lock",
    "vers",
    "cache",
    "data",
    "errors",
    "actimeo",
];

/// Folders of a registry, and of its trash, that have the sticky bit: in them no user may replace or
/// unlink what another one has made. Sorted; what cannot be read is left out.
pub fn sticky_folders(base: &Path) -> Vec<PathBuf> {
    let registry = base.join(REGISTRY_DIR);
    let mut found = vec![registry.clone()];
    let below = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        entries.flatten().map(|entry| entry.path()).collect()
    };
    let inner = below(&registry);
    let removals = below(&registry.join("trash"));
    found.extend(inner);
    found.extend(removals);
    found.retain(|path| {
        // Links are not followed: what they lead to is not the registry's.
        let stat = path.symlink_metadata();
        stat.is_ok_and(|stat| stat.is_dir() && stat.mode() & 0o1000 != 0)
    });
    found.sort();
    found
}

/// A file system, and what this user may do at a path on it. `None` is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FileSystem {
    /// Its type, such as `ext4` or `nfs4`.
    #[serde(rename = "type")]
    pub name: Option<String>,
    /// The kind of network file system, `unknown` if only its mount source says that it is one;
    /// `None` if it is local.
    pub network: Option<&'static str>,
    /// Why it is taken for that; `None` if it could not be asked.
    pub reason: Option<&'static str>,
    /// Mount options that change what is safe or visible.
    pub options: Vec<String>,
    /// Whether it is mounted read-only.
    pub is_read_only: Option<bool>,
    /// Whether this user may write at the path.
    pub may_write: bool,
    /// Size in bytes.
    pub bytes: Option<u64>,
    /// Bytes that a user other than root can still write.
    pub free_bytes: Option<u64>,
    /// Number of inodes; 0 if the file system makes them as needed.
    pub inodes: Option<u64>,
    /// Inodes that a user other than root can still use.
    pub free_inodes: Option<u64>,
    /// Why the file system could not be asked.
    pub problem: Option<String>,
}

impl FileSystem {
    /// Asks the system about the file system that `path` is on. Reads no data.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let (network, reason, problem) = match fs_kind_and_reason(path) {
            Ok((FsKind::Local, reason)) => (None, Some(reason.as_str()), None),
            Ok((FsKind::Network(name), reason)) => (Some(name), Some(reason.as_str()), None),
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                (None, None, Some(cause.unwrap_or_else(|| error.to_string())))
            }
        };
        // What cannot be asked is unknown in the report and not an error of it.
        let stat = statvfs(path).ok();
        let stat = stat.as_ref();
        let mount = Mount::of(path);
        Self {
            options: mount.as_ref().map(shown).unwrap_or_default(),
            name: mount.map(|mount| mount.fs_type),
            network,
            reason,
            is_read_only: stat.map(|stat| stat.f_flag.contains(StatVfsMountFlags::RDONLY)),
            may_write: access(path, Access::WRITE_OK).is_ok(),
            bytes: stat.map(|stat| stat.f_blocks.saturating_mul(stat.f_frsize)),
            free_bytes: stat.map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize)),
            inodes: stat.map(|stat| stat.f_files),
            free_inodes: stat.map(|stat| stat.f_favail),
            problem,
        }
    }
}

/// The mount options that are shown.
fn shown(mount: &Mount) -> Vec<String> {
    let mut options: Vec<String> = Vec::new();
    for option in &mount.options {
        let key = option.split('=').next().unwrap_or_default();
        // Options of the mount and of the file system may repeat each other.
        if OPTIONS.contains(&key) && !options.contains(option) {
            options.push(option.clone());
        }
    }
    options
}

/// The umask of this process, in octal; `None` if `/proc` does not say.
#[must_use]
pub fn umask() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Umask:"))?;
    Some(line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
30 22 0:40 / /data\\040two rw,nosuid - nfs4 host:/export rw,vers=4.2,soft,addr=10.0.0.1,clientaddr=1
31 30 0:41 / /data\\040two/in rw - tmpfs tmpfs rw,size=1k
32 30 0:42 / /data\\040two/in ro,noatime - cifs //host/share ro,username=somebody,nobrl
";

    #[test]
    fn the_mount_of_a_path_is_the_deepest_and_the_last() {
        let of = |path: &str| {
            let mount = Mount::find(MOUNTS, Path::new(path)).unwrap();
            (mount.fs_type.clone(), shown(&mount))
        };
        let texts = |options: &[&str]| -> Vec<String> {
            options.iter().map(|&option| option.to_owned()).collect()
        };
        assert_eq!(
            of("/home/x"),
            ("ext4".to_owned(), texts(&["errors=remount-ro"]))
        );
        assert_eq!(
            of("/data two/x"),
            ("nfs4".to_owned(), texts(&["vers=4.2", "soft"]))
        );
        assert_eq!(
            of("/data two/in/x"),
            ("cifs".to_owned(), texts(&["ro", "nobrl"]))
        );
        assert_eq!(of("/data two more"), of("/"));
    }

    #[test]
    fn a_path_that_is_not_there_has_a_problem_and_no_size() {
        let found = FileSystem::of(Path::new("/proc/nothing/here"));
        assert!(found.problem.is_some());
        assert!(!found.may_write);
        assert_eq!(found.bytes, None);
        let found = FileSystem::of(Path::new("/proc"));
        assert_eq!(found.name.as_deref(), Some("proc"));
    }
}
