//! Who may have put something into the trash.
//!
//! Several users may write in the trash, and what one of them puts there moves or unlinks data when
//! another user's process recovers, restores or purges. So data goes back, leaves its place or is
//! unlinked only in folders where every user in question may write by himself. A [`Claim`] lists
//! these users: the owner of the removal's folder, the owner of the note that names the item, and,
//! if others can write in that folder or note, those others.
//!
//! Root and the user of this process are always believed: the kernel checks what they may do.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use nix::unistd::{Gid, Uid, User, getgrouplist};
use rustix::fs::{AtFlags, FileType, Stat, fgetxattr, fstat};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::private;
use crate::disk::whose;
use crate::model::shell::shell_word;
use crate::store::dirs::born;
use crate::store::error::StorageError;

/// Bits of a mode.
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// A user, or users, that may have put something into the trash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claimant {
    /// The owner of a file, and the group of that file if the owner is known to belong to it by
    /// that; other groups of the user are asked for.
    User { uid: u32, gid: Option<u32> },
    /// Each member of a group.
    Group(u32),
    /// Each user of the machine.
    Anyone,
}

/// What a process wants to do in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intent {
    /// Add a name.
    Add,
    /// Move what is there.
    Take,
    /// Unlink what is there.
    Unlink,
}

/// The users that may have put something into the trash. Without any it is this process itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claim {
    claimants: Vec<Claimant>,
    /// When the note that is claimed was made, if the file system knows it: seconds, nanoseconds.
    noted: Option<(i64, u32)>,
}

impl Claim {
    /// The claim of a process on what it has moved itself.
    #[must_use]
    pub fn own() -> Self {
        Self::default()
    }

    /// The claim of a note, without those who may have written it.
    pub(super) fn of_note(note: BorrowedFd<'_>) -> Self {
        Self {
            claimants: Vec::new(),
            noted: born(note, "", AtFlags::EMPTY_PATH),
        }
    }

    /// Whether only root and the user of this process are in question.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.claimants.iter().all(Claimant::is_believed)
    }

    /// The one user in question beside root and the user of this process; `None` if there are
    /// others, or none.
    pub(super) fn only_user(&self) -> Option<u32> {
        let mut others = self.claimants.iter().filter(|one| !one.is_believed());
        let Some(Claimant::User { uid, .. }) = others.next() else {
            return None;
        };
        let is_same =
            |other: &Claimant| matches!(other, Claimant::User { uid: other, .. } if other == uid);
        others.all(is_same).then_some(*uid)
    }

    /// Whether a user in question is known to belong to a group.
    pub(super) fn is_in(&self, group: u32) -> bool {
        self.claimants
            .iter()
            .any(|one| matches!(one, Claimant::User { gid: Some(gid), .. } if *gid == group))
    }

    /// Adds the owner of a file. `knows_groups`: only members of the file's group can have made it.
    pub(super) fn add_owner(&mut self, file: &Stat, knows_groups: bool) {
        self.add(Claimant::User {
            uid: file.st_uid,
            gid: knows_groups.then_some(file.st_gid),
        });
    }

    /// Adds the users that can write a file or folder besides its owner.
    pub(super) fn add_writers(&mut self, file: &Stat, list: &AclList) {
        if file.st_mode & OTHERS_WRITE != 0 {
            self.add(Claimant::Anyone);
        }
        match list {
            None if file.st_mode & GROUP_WRITES != 0 => self.add(Claimant::Group(file.st_gid)),
            None => {}
            Some(list) => {
                for entry in list.iter().filter(|entry| may_write(list, entry)) {
                    match entry.tag {
                        AclEntry::GROUP_OWNER => self.add(Claimant::Group(file.st_gid)),
                        AclEntry::GROUP => self.add(Claimant::Group(entry.id)),
                        AclEntry::USER => self.add(Claimant::User {
                            uid: entry.id,
                            gid: None,
                        }),
                        _ => {}
                    }
                }
            }
        }
    }

    fn add(&mut self, claimant: Claimant) {
        let claimant = claimant.or_only_member();
        if !self.claimants.contains(&claimant) {
            self.claimants.push(claimant);
        }
    }

    /// Checks that each of these users may change the folder by himself; `path` is its path. An
    /// error says what its owner types to allow it.
    ///
    /// # Errors
    /// - [`StorageError::Untrusted`] if one of them may not.
    /// - [`StorageError::Io`] if the folder cannot be read.
    pub(crate) fn check(
        &self,
        folder: BorrowedFd<'_>,
        change: Intent,
        path: &Path,
        trash: &Path,
    ) -> Result<(), StorageError> {
        if self.is_own() {
            return Ok(());
        }
        let rights = Rights::of(folder, path)?;
        for claimant in &self.claimants {
            if !claimant.may(&rights, change) {
                let mut why = format!(
                    "{claimant} {} write in {}",
                    match claimant.is_unknown(&rights, change) {
                        true => "is not known to be allowed to",
                        false => "may not",
                    },
                    path.display()
                );
                let is_by_group = claimant.is_known_in(rights.group)
                    && (change == Intent::Add || !rights.is_sticky);
                if change == Intent::Unlink {
                    let stat = fstat(folder);
                    let whose = stat.map(|stat| format!(", which {}", whose(&stat)));
                    why += &whose.unwrap_or_default();
                    if is_by_group {
                        let item = item_of(path, trash, rights.owner);
                        why += &format!(
                            "; if it is to be unlinked, its owner, or root, allows that with: \
                             chmod -R g+rwX {}",
                            shell_word(&item.display().to_string())
                        );
                    }
                } else if is_by_group && !rights.group_writes {
                    why += &format!(
                        "; if they are to, its owner, or root, allows that with: chmod g+w {}",
                        shell_word(&path.display().to_string())
                    );
                }
                return Err(StorageError::Untrusted {
                    path: trash.to_owned(),
                    why,
                });
            }
        }
        Ok(())
    }
}

/// The item of a removal's folder that a path is in, if it is the same owner's; else the path.
fn item_of(path: &Path, trash: &Path, owner: u32) -> PathBuf {
    let below = path.strip_prefix(trash).ok();
    let item = below.and_then(|below| Some(trash.join(below.components().next()?)));
    let is_theirs = |item: &PathBuf| {
        let found = item.symlink_metadata();
        found.is_ok_and(|found| found.uid() == owner)
    };
    item.filter(is_theirs).unwrap_or_else(|| path.to_owned())
}

impl Claimant {
    /// The only member of a group that is that user's own.
    fn or_only_member(self) -> Self {
        match self {
            Self::Group(gid) => private::owner_of(gid).map_or(self, |uid| Self::User {
                uid,
                gid: Some(gid),
            }),
            _ => self,
        }
    }

    /// Whether it is known that the rights of this group are rights of it.
    fn is_known_in(&self, group: u32) -> bool {
        match self {
            Self::User { gid: Some(gid), .. } | Self::Group(gid) if *gid == group => true,
            Self::User { uid, .. } => groups_of(*uid).is_some_and(|groups| groups.contains(&group)),
            _ => false,
        }
    }

    fn is_believed(&self) -> bool {
        matches!(self, Self::User { uid, .. } if *uid == 0 || *uid == geteuid().as_raw())
    }

    fn may(&self, rights: &Rights, change: Intent) -> bool {
        if self.is_believed() || matches!(self, Self::User { uid, .. } if *uid == rights.owner) {
            return true;
        }
        // In a sticky folder only the owner of a name moves it.
        if change != Intent::Add && rights.is_sticky {
            return false;
        }
        match self {
            // The entry of a user counts before those of its groups, as in the kernel.
            Self::User { uid, .. } if rights.denied.contains(uid) => false,
            Self::User { uid, .. } if rights.users.contains(uid) => true,
            // Some of the group may be denied what the group may.
            Self::Group(_) | Self::Anyone if !rights.denied.is_empty() => false,
            Self::User { gid: Some(gid), .. } | Self::Group(gid) if *gid == rights.group => {
                rights.group_writes
            }
            Self::Group(gid) if rights.groups.contains(gid) => true,
            Self::User { uid, .. } if rights.is_for_groups() => {
                let groups = groups_of(*uid).unwrap_or_default();
                let writes = |gid: &u32| {
                    rights.groups.contains(gid) || (rights.group_writes && *gid == rights.group)
                };
                groups.iter().any(writes) || (rights.group_writes && rights.others_write)
            }
            // If its group may not write, its members may not, whatever all others may.
            _ => rights.group_writes && rights.others_write,
        }
    }

    /// Whether a group of this user may be allowed to change a folder, and its groups are unknown.
    fn is_unknown(&self, rights: &Rights, change: Intent) -> bool {
        let Self::User { uid, .. } = self else {
            return false;
        };
        let is_refused = change != Intent::Add && rights.is_sticky || rights.denied.contains(uid);
        !is_refused && rights.is_for_groups() && groups_of(*uid).is_none()
    }
}

/// The groups that the system's user database gives a user; `None` if it does not know the user.
fn groups_of(uid: u32) -> Option<Vec<u32>> {
    // Asked once a user: the database may be on another machine.
    static KNOWN: Mutex<BTreeMap<u32, Option<Vec<u32>>>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let groups = known.entry(uid).or_insert_with(|| {
        let user = User::from_uid(Uid::from_raw(uid)).ok().flatten()?;
        let name = CString::new(user.name).ok()?;
        let groups = getgrouplist(&name, user.gid).ok()?;
        Some(groups.into_iter().map(Gid::as_raw).collect())
    });
    groups.clone()
}

impl std::fmt::Display for Claimant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User { uid, .. } => write!(f, "user {uid}, who may have put it there,"),
            Self::Group(gid) => write!(f, "each of group {gid}, which may have put it there,"),
            Self::Anyone => write!(f, "each user, who may have put it there,"),
        }
    }
}

/// Who may write in a folder, by its mode and its access control list.
#[derive(Debug)]
struct Rights {
    owner: u32,
    group: u32,
    group_writes: bool,
    others_write: bool,
    is_sticky: bool,
    /// Users and groups that the list lets write.
    users: Vec<u32>,
    groups: Vec<u32>,
    /// Users that the list does not let write, whatever their groups may.
    denied: Vec<u32>,
}

impl Rights {
    /// Whether members of a group may write, by being members.
    fn is_for_groups(&self) -> bool {
        self.group_writes || !self.groups.is_empty()
    }

    fn of(folder: BorrowedFd<'_>, path: &Path) -> Result<Self, StorageError> {
        let failed = |errno| StorageError::io("reading", path, errno);
        let stat = fstat(folder).map_err(failed)?;
        let mut rights = Self {
            owner: stat.st_uid,
            group: stat.st_gid,
            group_writes: stat.st_mode & GROUP_WRITES != 0,
            others_write: stat.st_mode & OTHERS_WRITE != 0,
            is_sticky: stat.st_mode & STICKY != 0,
            users: Vec::new(),
            groups: Vec::new(),
            denied: Vec::new(),
        };
        // A list that cannot be read is an error: the mode alone would show its mask.
        for (entry, may) in acl(folder)
            .map_err(failed)?
            .iter()
            .flat_map(|list| list.iter().map(|entry| (entry, may_write(list, entry))))
        {
            match (entry.tag, may) {
                // The bits of the group are the mask of the list.
                (AclEntry::GROUP_OWNER, may) => rights.group_writes = may,
                (AclEntry::USER, true) => rights.users.push(entry.id),
                (AclEntry::USER, false) => rights.denied.push(entry.id),
                (AclEntry::GROUP, true) => rights.groups.push(entry.id),
                _ => {}
            }
        }
        Ok(rights)
    }
}

/// An entry of an access control list.
#[derive(Debug, Clone, Copy)]
pub(super) struct AclEntry {
    tag: u16,
    permissions: u16,
    id: u32,
}

impl AclEntry {
    const USER: u16 = 0x02;
    const GROUP_OWNER: u16 = 0x04;
    const GROUP: u16 = 0x08;
    const MASK: u16 = 0x10;
    const WRITE: u16 = 2;
    /// Bytes of an entry, and of what comes before the first.
    const SIZE: usize = 8;
    const HEAD: usize = 4;
}

/// An access control list; `None` if there is only a mode.
pub(super) type AclList = Option<Vec<AclEntry>>;

/// Whether an entry lets its user or group write, within the mask of the list.
fn may_write(list: &[AclEntry], entry: &AclEntry) -> bool {
    // The mask limits users and groups, and never the owner or all others.
    let mask = list.iter().find(|entry| entry.tag == AclEntry::MASK);
    entry.permissions & mask.map_or(AclEntry::WRITE, |mask| mask.permissions) & AclEntry::WRITE != 0
}

/// Reads the access control list of a file or folder.
pub(super) fn acl(file: impl AsFd) -> Result<AclList, Errno> {
    // More than a list has on ext4, XFS and btrfs.
    let mut bytes = vec![0; 64 << 10];
    let length = match fgetxattr(file, "system.posix_acl_access", &mut bytes[..]) {
        Ok(length) => length,
        // No list, or a file system without lists: the mode says all.
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(None),
        Err(errno) => return Err(errno),
    };
    let entries = bytes[..length].get(AclEntry::HEAD..).unwrap_or_default();
    let entries = entries.chunks_exact(AclEntry::SIZE).map(|entry| AclEntry {
        tag: u16::from_le_bytes([entry[0], entry[1]]),
        permissions: u16::from_le_bytes([entry[2], entry[3]]),
        id: u32::from_le_bytes([entry[4], entry[5], entry[6], entry[7]]),
    });
    Ok(Some(entries.collect()))
}

/// Whether a file was made before the note of a claim; `None` if the file system does not know.
pub(super) fn is_older(folder: BorrowedFd<'_>, name: &str, note: &Claim) -> Option<bool> {
    let born = born(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Some(born <= note.noted?)
}

/// Whether only its owner and members of its group can write in a folder.
pub(super) fn only_group_writes(folder: BorrowedFd<'_>) -> Result<bool, Errno> {
    let stat = fstat(folder)?;
    let lists_others = |list: &Vec<AclEntry>| {
        list.iter().any(|entry| {
            matches!(entry.tag, AclEntry::USER | AclEntry::GROUP) && may_write(list, entry)
        })
    };
    Ok(stat.st_mode & OTHERS_WRITE == 0 && !acl(folder)?.as_ref().is_some_and(lists_others))
}

/// Whether it is a regular file.
pub(super) fn is_regular(file: &Stat) -> bool {
    FileType::from_raw_mode(file.st_mode) == FileType::RegularFile
}
