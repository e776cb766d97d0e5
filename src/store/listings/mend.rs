//! Making lists agree with what is on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Stat, Uid, fchmod, fchown, fstat, fsync, openat,
    renameat, statat, unlinkat,
};
use rustix::io::Errno;
use serde::Serialize;

use super::list::{LINK, List, has_below, is_gone, links_of, lists_of};
use super::text::{FILES_OF_ZARR2, ListFormat};
use crate::disk;
use crate::store::base::Base;
use crate::store::dirs::{IfAbsent, descend, open_folder};
use crate::store::error::StorageError;
use crate::store::json::without_lone_surrogates;
use crate::store::look::is_array;
use crate::store::trash::{Claim, Intent, TrashItem};

/// Folders below each other that are searched for arrays that a list is to name.
const MOST_DEPTH: usize = 32;
/// Name of a new list on its way to its place.
const NEW: &str = ".dalsegno-list.new";
/// Most bytes of a metadata file that goes into a list.
const MOST_BYTES: u64 = 16 << 20;

/// A list that names what is gone, or does not name what is back, because it could not be written;
/// or one behind a symbolic link, of which that is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StaleList {
    /// Path of its file.
    pub path: PathBuf,
    /// Why it was not written.
    pub reason: String,
}

/// Makes the lists that name these items agree with the disk: what is gone is cut out, and what is
/// back is put in. Returns the lists that could not be written; what others list is left alone.
/// `claim`: who may have said, in the trash, which lists name the items.
pub fn mend_lists(base: &Base, trash: &Path, items: &[TrashItem], claim: &Claim) -> Vec<StaleList> {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    // By group, so that each list is read and written once.
    for item in items {
        for group in &item.listed_in {
            groups.entry(group).or_default().push(&item.path);
        }
    }
    let mut stale = Vec::new();
    for (group, paths) in groups {
        mend_group(
            base,
            (group, Wrong::Named(&paths)),
            (trash, claim),
            &mut stale,
        );
    }
    stale
}

/// Makes the lists of these groups name a folder by its new path; both paths are relative to the
/// base directory. Returns the lists that could not be written. `claim`: who may have said, in the
/// trash, that it was renamed.
pub fn rename_in_lists(
    base: &Base,
    trash: &Path,
    groups: &[String],
    paths: [&str; 2],
    claim: &Claim,
) -> Vec<StaleList> {
    let mut stale = Vec::new();
    for group in groups {
        mend_group(
            base,
            (group, Wrong::Named(&paths)),
            (trash, claim),
            &mut stale,
        );
    }
    stale
}

/// Makes the lists of these groups name folders by the new paths that they have on disk: each pair
/// is an old path and a new one, also of folders that have exchanged their paths. What is at an old
/// path now is other data, so its entries are read from the disk. Returns the lists that could not
/// be written. `claim`: who may have said, in the trash, that they were renamed.
pub fn exchange_in_lists(
    base: &Base,
    trash: &Path,
    groups: &BTreeSet<String>,
    renames: &[[&str; 2]],
    claim: &Claim,
) -> Vec<StaleList> {
    let mut stale = Vec::new();
    for group in groups {
        let renamed = (group.as_str(), Wrong::Exchanged(renames));
        mend_group(base, renamed, (trash, claim), &mut stale);
    }
    stale
}

/// Cuts out of the lists of a group all that is gone. Returns those that could not be written.
pub fn mend_all(base: &Base, group: &str) -> Vec<StaleList> {
    let mut stale = Vec::new();
    let own = (&**base.path(), &Claim::own());
    mend_group(base, (group, Wrong::All), own, &mut stale);
    stale
}

/// What may be wrong in a list. Paths are relative to the base directory.
#[derive(Clone, Copy)]
enum Wrong<'a> {
    /// Anything: what is gone is cut out.
    All,
    /// These paths: entries that are gone are cut out, and those that are back are put in.
    Named(&'a [&'a str]),
    /// The old paths and the new ones of folders that were renamed.
    Exchanged(&'a [[&'a str; 2]]),
}

fn mend_group(
    base: &Base,
    (group, wrong): (&str, Wrong<'_>),
    (trash, claim): (&Path, &Claim),
    stale: &mut Vec<StaleList>,
) {
    let full = base.path().join(group);
    let mut fail = |path: PathBuf, reason: String| stale.push(StaleList { path, reason });
    let open = match descend(base, Path::new(group), IfAbsent::ReturnNone) {
        Ok(Some(open)) => open,
        // The list went with its group.
        Ok(None) => return,
        Err(error) => return fail(full, error.to_string()),
    };
    // A kill left it: the list beside it is whole.
    let _ = unlinkat(&open, NEW, AtFlags::empty());
    let lists = match lists_of(&open) {
        Ok(lists) => lists,
        Err(errno) => return fail(full, errno.to_string()),
    };
    for name in links_of(&open) {
        fail(full.join(name), LINK.to_owned());
    }
    for list in lists {
        let path = full.join(list.format.file());
        let mended = match mended((base, group, &open), &list, wrong) {
            Ok(Some(text)) => text,
            Ok(None) => continue,
            Err(errno) => {
                fail(path, errno.to_string());
                continue;
            }
        };
        // A manifest of another user may name any group: a list is changed only if that user may
        // write there too.
        let checked = claim.check(open.as_fd(), Intent::Take, &full, trash);
        let replaced = checked.and_then(|()| {
            let failed = |errno| StorageError::io("writing", &path, errno);
            replace(&open, &list, &mended).map_err(failed)
        });
        if let Err(error) = replaced {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            fail(path, cause.unwrap_or_else(|| error.to_string()));
        }
    }
}

/// The text that a list should have; `None` if it is right.
fn mended(
    (base, at, group): (&Base, &str, &OwnedFd),
    list: &List,
    wrong: Wrong<'_>,
) -> Result<Option<Vec<u8>>, Errno> {
    let names = list.names();
    let mut text = list.text.clone();
    let (cut, put) = match wrong {
        // Of a whole list only what is gone is known to be wrong.
        Wrong::All => {
            let gone = names.iter().filter(|name| is_gone(group, name));
            (gone.map(String::as_str).collect(), BTreeSet::new())
        }
        Wrong::Named(paths) => {
            let paths = paths.iter().filter_map(|path| below(at, path));
            let (gone, there): (BTreeSet<&str>, BTreeSet<&str>) =
                paths.partition(|name| is_gone(group, name));
            // Entries that are listed stay as they are, byte by byte.
            let put = there.into_iter().filter(|name| !has_below(&names, name));
            (gone, put.collect())
        }
        Wrong::Exchanged(renames) => exchanged((at, group), &names, renames),
    };
    if let Some(shorter) = list.format.without(&text, &cut) {
        text = shorter;
    }
    let mut entries = Vec::new();
    for name in put {
        collect(
            (base, at, group),
            list.format,
            name,
            MOST_DEPTH,
            &mut entries,
        )?;
    }
    if !entries.is_empty() {
        text = list.format.with(&text, &entries).ok_or(Errno::INVAL)?;
    }
    Ok((text != list.text).then_some(text))
}

/// A path relative to a group; `None` if it is not in it.
fn below<'a>(group: &str, path: &'a str) -> Option<&'a str> {
    Path::new(path).strip_prefix(group).ok()?.to_str()
}

/// What a list names wrongly after renames, and what it is to name.
fn exchanged<'a>(
    (at, group): (&str, &OwnedFd),
    names: &BTreeSet<String>,
    renames: &[[&'a str; 2]],
) -> (BTreeSet<&'a str>, BTreeSet<&'a str>) {
    let (mut cut, mut put) = (BTreeSet::new(), BTreeSet::new());
    // Cuts the old path, even if something else has that name now.
    for old in renames.iter().filter_map(|[old, _]| below(at, old)) {
        cut.insert(old);
        if has_below(names, old) && !is_gone(group, old) {
            put.insert(old);
        }
    }
    for [old, new] in renames {
        let was_listed = below(at, old).is_some_and(|old| has_below(names, old));
        if let Some(new) = below(at, new)
            && was_listed
            && !is_gone(group, new)
            && (cut.contains(new) || !has_below(names, new))
        {
            put.insert(new);
        }
    }
    (cut, put)
}

/// Collects the entries of the arrays and groups at and below a path, as consolidation does: each
/// is the text of its metadata file.
fn collect(
    (base, at, group): (&Base, &str, &OwnedFd),
    format: ListFormat,
    name: &str,
    depth: usize,
    entries: &mut Vec<(String, Vec<u8>)>,
) -> Result<(), Errno> {
    let folder = match open_folder(group, name) {
        Ok(folder) => folder,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
        Err(errno) => return Err(errno),
    };
    match format {
        ListFormat::Zarr2 => {
            for file in FILES_OF_ZARR2 {
                let text = read(&folder, file)?;
                entries.extend(text.map(|text| (format!("{name}/{file}"), text)));
            }
        }
        ListFormat::Zarr3 => {
            let text = read(&folder, "zarr.json")?;
            entries.extend(text.map(|text| (name.to_owned(), text)));
        }
    }
    let is_array = is_array(base, &Path::new(at).join(name));
    // No list names anything below an array; damaged metadata may be that of one.
    if depth == 0 || is_array.unwrap_or(true) {
        return Ok(());
    }
    for entry in rustix::fs::Dir::read_from(&folder)? {
        let entry = entry?;
        let Ok(child) = entry.file_name().to_str() else {
            continue;
        };
        // If the type is unknown, opening it shows whether it is a folder.
        let is_folder = matches!(entry.file_type(), FileType::Directory | FileType::Unknown);
        if is_folder && !matches!(child, "." | "..") {
            let name = format!("{name}/{child}");
            collect((base, at, group), format, &name, depth - 1, entries)?;
        }
    }
    Ok(())
}

/// Reads a metadata file without the blanks around its text.
fn read(folder: &OwnedFd, name: &str) -> Result<Option<Vec<u8>>, Errno> {
    use std::io::Read;

    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = match openat(folder, name, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => return Ok(None),
        Err(errno) => return Err(errno),
    };
    if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
        return Ok(None);
    }
    let mut text = Vec::new();
    std::fs::File::from(file)
        .take(MOST_BYTES)
        .read_to_end(&mut text)
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    // What cannot be read as JSON would make the whole list unreadable.
    let text = text.trim_ascii();
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let clean = without_lone_surrogates(text);
    let mut json = jiter::Jiter::new(&clean).with_allow_inf_nan();
    let is_json = text.starts_with(b"{") && json.next_skip().is_ok() && json.finish().is_ok();
    Ok(is_json.then(|| text.to_vec()))
}

/// Puts a new text in the place of a list, with its mode, owner, group and access control list. A
/// kill leaves the old list or the new one.
fn replace(group: &OwnedFd, list: &List, text: &[u8]) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    // In the group's own folder: who can exchange it there can write the list as well.
    let new = openat(group, NEW, flags, Mode::from_raw_mode(0o600))?;
    let new = disk::off_standard_streams(new)?;
    let replaced = write(new, group, list, text);
    if replaced.is_err() {
        let _ = unlinkat(group, NEW, AtFlags::empty());
    }
    replaced
}

fn write(new: OwnedFd, group: &OwnedFd, list: &List, text: &[u8]) -> Result<(), Errno> {
    // Before the text, which must not be readable for more users than the old list.
    give(&new, list)?;
    let mut file = std::fs::File::from(new);
    file.write_all(text)
        .and_then(|()| file.sync_all())
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    // Another process may have written it since it was read: then that stays.
    let now = statat(group, list.format.file(), AtFlags::SYMLINK_NOFOLLOW)?;
    if identity(&now) != identity(&list.stat) {
        return Err(Errno::AGAIN);
    }
    renameat(group, NEW, group, list.format.file())?;
    // The rename survives a power cut only if the folder is synced.
    fsync(group)
}

fn give(new: &OwnedFd, list: &List) -> Result<(), Errno> {
    let (had, has) = (list.stat, fstat(new)?);
    if (had.st_uid, had.st_gid) != (has.st_uid, has.st_gid) {
        let uid = (had.st_uid != has.st_uid).then(|| Uid::from_raw(had.st_uid));
        let gid = (had.st_gid != has.st_gid).then(|| Gid::from_raw(had.st_gid));
        fchown(new, uid, gid)?;
    }
    fchmod(new, Mode::from_raw_mode(had.st_mode & 0o777))?;
    const ACL: &str = "system.posix_acl_access";
    let mut bytes = vec![0; 64 << 10];
    match rustix::fs::fgetxattr(&list.file, ACL, &mut bytes[..]) {
        Ok(length) => {
            rustix::fs::fsetxattr(new, ACL, &bytes[..length], rustix::fs::XattrFlags::empty())
        }
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// What tells whether a file is the one that was read, and unchanged.
fn identity(stat: &Stat) -> (u64, u64, i64, (i64, u64), (i64, u64)) {
    (
        stat.st_dev,
        stat.st_ino,
        stat.st_size,
        (stat.st_mtime, stat.st_mtime_nsec),
        (stat.st_ctime, stat.st_ctime_nsec),
    )
}
