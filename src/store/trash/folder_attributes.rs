//! What folders are like: mode, owner, group and access control lists, so that a folder that a
//! restore makes again is what it was.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::fs::{
    Gid, Mode, Uid, XattrFlags, fchmod, fchown, fgetxattr, fremovexattr, fsetxattr, fstat,
};
use rustix::io::Errno;
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};

use super::claim::Claim;
use crate::store::base::Base;
use crate::store::dirs::{IfAbsent, descend};
use crate::store::error::StorageError;

/// The attributes that hold a folder's access control list, and the one that what is made in it
/// gets.
const ACCESS: &str = "system.posix_acl_access";
const DEFAULT: &str = "system.posix_acl_default";
/// Most bytes of a list; more than one has on ext4, XFS and btrfs.
const MOST_BYTES: usize = 64 << 10;
/// Bits of a mode that a folder gets back: a setuid bit means nothing for a folder.
const BITS: u32 = 0o3777;

/// What a folder is like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderForm {
    /// Path that it has, relative to the base directory.
    path: String,
    mode: u32,
    uid: u32,
    gid: u32,
    /// Its access control lists as the kernel gives them, in hexadecimal digits; left out if it has
    /// only a mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    acl: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default_acl: Option<String>,
}

/// What folders are like, by their paths.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FolderForms {
    by_path: BTreeMap<String, FolderForm>,
}

impl FolderForm {
    /// Reads what an open folder is like.
    ///
    /// # Errors
    /// [`StorageError::Io`] if it cannot be read.
    pub(super) fn of(folder: BorrowedFd<'_>, path: &Path) -> Result<Self, StorageError> {
        let reading = |errno| StorageError::io("reading", path, errno);
        let stat = fstat(folder).map_err(reading)?;
        Ok(Self {
            path: path.to_string_lossy().into_owned(),
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            acl: attribute(folder, ACCESS).map_err(reading)?,
            default_acl: attribute(folder, DEFAULT).map_err(reading)?,
        })
    }
}

impl FolderForms {
    /// Collects what folders are like.
    #[must_use]
    pub fn new(forms: impl IntoIterator<Item = FolderForm>) -> Self {
        let forms = forms.into_iter().map(|form| (form.path.clone(), form));
        Self {
            by_path: forms.collect(),
        }
    }

    /// Gives a folder that was just made what it was like. `claim`: who may have said what it was
    /// like. Of what others say only that counts that they could have made themselves: a folder of
    /// their own. Anything that this user may not give is left as it is.
    ///
    /// The bits that let others in come last, so that a folder that a kill left without them is
    /// known by that.
    pub(super) fn give(&self, folder: BorrowedFd<'_>, path: &Path, claim: &Claim) {
        let Some(form) = path.to_str().and_then(|path| self.by_path.get(path)) else {
            return;
        };
        if let Ok(stat) = fstat(folder)
            && let Some(owned) = owners(form, claim, (stat.st_uid, stat.st_gid))
        {
            // A file system that knows no modes, owners or lists leaves it as it was made.
            let _ = form.give(folder, owned);
        }
    }

    /// Whether a folder at this path is to be like something else than its owner's alone.
    pub(super) fn is_open_to_others(&self, path: &Path) -> bool {
        let form = path.to_str().and_then(|path| self.by_path.get(path));
        form.is_some_and(|form| form.mode & 0o777 != 0o700)
    }
}

/// The owner and group that a folder gets; `None` if it is to stay as it was made.
fn owners(form: &FolderForm, claim: &Claim, made: (u32, u32)) -> Option<(u32, u32)> {
    let is_root = geteuid().is_root();
    if claim.is_own() {
        return Some(match is_root {
            true => (form.uid, form.gid),
            // Without the right to give it away, only the group may be another.
            false => (made.0, form.gid),
        });
    }
    let user = claim.only_user().filter(|user| *user == form.uid)?;
    // The user of another's note could have made a folder of his own, in the group of the folder
    // around it, or in one that he is known to belong to.
    let is_group_his = form.gid == made.1 || claim.is_in(form.gid);
    (is_root && is_group_his).then_some((user, form.gid))
}

impl FolderForm {
    fn give(&self, folder: BorrowedFd<'_>, (uid, gid): (u32, u32)) -> Result<(), Errno> {
        let stat = fstat(folder)?;
        if (stat.st_uid, stat.st_gid) != (uid, gid) {
            let uid = (stat.st_uid != uid).then(|| Uid::from_raw(uid));
            let gid = (stat.st_gid != gid).then(|| Gid::from_raw(gid));
            fchown(folder, uid, gid)?;
        }
        let mode = self.mode & BITS;
        // For its owner alone until the lists are as they were.
        fchmod(folder, Mode::from_raw_mode((mode & !0o777) | 0o700))?;
        set_attribute(folder, DEFAULT, self.default_acl.as_deref())?;
        match &self.acl {
            Some(_) => set_attribute(folder, ACCESS, self.acl.as_deref())?,
            None => {
                set_attribute(folder, ACCESS, None)?;
                fchmod(folder, Mode::from_raw_mode(mode))?;
            }
        }
        // Giving a list may have taken the setgid bit.
        match fstat(folder)?.st_mode & 0o7777 == mode {
            true => Ok(()),
            false => fchmod(folder, Mode::from_raw_mode(mode)),
        }
    }
}

/// Reads what the folders above paths are like, each once. Those that are gone are left out.
///
/// # Errors
/// - [`StorageError::Symlink`], [`StorageError::NotAFolder`], [`StorageError::OtherDevice`] if one
///   of them is one.
/// - [`StorageError::Io`] if one cannot be read.
pub fn folders_above<'a>(
    base: &Base,
    paths: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<FolderForm>, StorageError> {
    let mut forms: BTreeMap<&Path, Option<FolderForm>> = BTreeMap::new();
    for path in paths {
        for above in Path::new(path).ancestors().skip(1) {
            // Once a folder was read, all above it were.
            if above.as_os_str().is_empty() || forms.contains_key(above) {
                break;
            }
            let form = match descend(base, above, IfAbsent::ReturnNone)? {
                Some(folder) => Some(FolderForm::of(folder.as_fd(), above)?),
                None => None,
            };
            forms.insert(above, form);
        }
    }
    Ok(forms.into_values().flatten().collect())
}

fn attribute(folder: BorrowedFd<'_>, name: &str) -> Result<Option<String>, Errno> {
    let mut bytes = vec![0; MOST_BYTES];
    let length = match fgetxattr(folder, name, &mut bytes[..]) {
        Ok(length) => length,
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(None),
        Err(errno) => return Err(errno),
    };
    let digits = bytes[..length].iter().map(|byte| format!("{byte:02x}"));
    Ok(Some(digits.collect()))
}

/// Sets an attribute, or takes it away.
fn set_attribute(folder: BorrowedFd<'_>, name: &str, value: Option<&str>) -> Result<(), Errno> {
    let Some(value) = value else {
        return match fremovexattr(folder, name) {
            Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            Err(errno) => Err(errno),
        };
    };
    match fsetxattr(folder, name, &bytes(value)?, XattrFlags::empty()) {
        // A file system without lists: the mode says what it can.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        set => set,
    }
}

/// Reads hexadecimal digits.
fn bytes(digits: &str) -> Result<Vec<u8>, Errno> {
    if digits.len() > 2 * MOST_BYTES || !digits.is_ascii() || !digits.len().is_multiple_of(2) {
        return Err(Errno::INVAL);
    }
    let pairs = (0..digits.len()).step_by(2).map(|at| &digits[at..at + 2]);
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).map_err(|_| Errno::INVAL))
        .collect()
}
