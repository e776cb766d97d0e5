//! Looking at data in parallel: walking a base directory for arrays and checkpoints, looking for
//! the data of known ones, counting bytes and files.
//!
//! The same threads do all three. Their tasks are a folder to search, a path to look at, and a
//! folder of an array to count; each may leave further tasks. A search never descends into an
//! array: chunk folders are called `0/0/0`, like iterations. It does descend below metadata that
//! cannot be read, which may be that of a group. A search follows no symbolic link.
//!
//! A search that only finds arrays asks for the metadata of each folder by name, and opens no
//! folder that has it. A search that also counts opens every folder once and calls `stat` once for
//! each file while it reads the names; at the end of a folder it knows whether that is an array.

use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, RawDir, StatxFlags, fstat, statat, statx};
use rustix::io::Errno;

use super::event::{Event, Expected, Look, observe, unprobed, unread as unreadable};
use super::marker::{self, Damaged, Marker, MarkerError, MarkersSeen, Memory};
use super::notice::{Notice, NoticeClass};
use super::pyramid;
use crate::disk::{is_registry, stat_below};
use crate::model::clock::Timestamp;
use crate::model::known::KnownArrays;
use crate::model::observation::{Damage, Observation};
use crate::model::progress::{Monitor, Progress};
use crate::model::{layout, name};
use crate::store::base::Base;
use crate::store::content::{Count, CountOf, Counted, Tally};
use crate::store::dirs::{FolderHandles, FolderRef, is_dangling, is_local, is_unlinked};
use crate::store::error::StorageError;
use crate::store::workers::{self, Stopped};

/// How to walk or look.
#[derive(Debug, Clone, Copy)]
pub struct WalkOptions<'a> {
    /// Whether to count bytes and files.
    pub measure: bool,
    /// Most threads to start. They wait for the disk more than they compute, so several a core pay.
    pub threads: usize,
    /// Whether to search for arrays; if not, no container is searched.
    pub arrays: bool,
    /// Whether to search for checkpoints.
    pub checkpoints: bool,
    /// Whether looks at arrays give a symbolic link at the path as what is there. Else it is one
    /// that cannot be looked at.
    pub links: bool,
    /// Whether looks at arrays and containers find when anything in them was last written: their
    /// folders are read and dated, and their files too if they are counted.
    pub times: bool,
    /// Whether counts say which chunks are there.
    pub places: bool,
    /// Arrays whose metadata is read only if it changed.
    pub known: Option<&'a KnownArrays>,
    /// The time now, if metadata that is read is to be known the next time.
    pub began: Option<Timestamp>,
}

impl Default for WalkOptions<'_> {
    fn default() -> Self {
        Self {
            measure: false,
            threads: workers::default_threads(),
            arrays: true,
            checkpoints: false,
            links: false,
            times: false,
            places: false,
            known: None,
            began: None,
        }
    }
}

/// Searches these folders of the base directory for arrays and checkpoints, and gives each event to
/// `emit`, on this thread; the empty path is the base directory. What cannot be read gives a notice;
/// a folder that does not exist counts as empty.
///
/// # Errors
/// - What `emit` returns; the walk then ends.
/// - [`StorageError::Interrupted`] if the monitor cancels.
pub fn walk_from<E: From<StorageError>>(
    base: &Base,
    starts: &[PathBuf],
    options: WalkOptions<'_>,
    monitor: &dyn Monitor,
    emit: impl FnMut(Event) -> Result<(), E>,
) -> Result<(), E> {
    let search = |path: &PathBuf| {
        // A start may lie inside of a container, and then be an array itself.
        let mut names = path.iter().filter_map(OsStr::to_str);
        let in_container = names.any(layout::is_container_folder);
        WalkTask::Search(Search {
            place: FolderRef::below_base(path.clone()),
            in_container,
            may_be_array: in_container && options.arrays,
        })
    };
    Walk::run(
        base,
        options,
        monitor,
        starts.iter().map(search).collect(),
        emit,
    )
}

/// Looks for the data of known paths and gives each event to `emit`, on this thread.
///
/// # Errors
/// As [`walk_from`].
pub fn look_at<E: From<StorageError>>(
    base: &Base,
    options: WalkOptions<'_>,
    monitor: &dyn Monitor,
    paths: Vec<Look>,
    emit: impl FnMut(Event) -> Result<(), E>,
) -> Result<(), E> {
    let tasks = paths.into_iter().map(WalkTask::Look).collect();
    Walk::run(base, options, monitor, tasks, emit)
}

enum WalkTask {
    Search(Search),
    Look(Look),
    Count { place: FolderRef, count: Arc<Count> },
}

/// A folder to search.
struct Search {
    place: FolderRef,
    in_container: bool,
    /// Whether it may be an array itself.
    may_be_array: bool,
}

struct Walk<'a> {
    base: &'a Base,
    folders: FolderHandles<'a>,
    options: WalkOptions<'a>,
    memory: Memory<'a>,
    /// Whether files are dated by a server, whose times this host may have kept for a minute.
    asks_server: bool,
    monitor: &'a dyn Monitor,
}

type WalkSender = workers::Sender<Event>;

impl<'a> Walk<'a> {
    fn run<E: From<StorageError>>(
        base: &'a Base,
        options: WalkOptions<'a>,
        monitor: &'a dyn Monitor,
        tasks: Vec<WalkTask>,
        emit: impl FnMut(Event) -> Result<(), E>,
    ) -> Result<(), E> {
        let is_local = is_local(base.as_fd());
        let walk = Walk {
            base,
            folders: FolderHandles::below(base),
            options,
            memory: Memory {
                known: options.known,
                began: options.began,
                is_local,
            },
            asks_server: options.times && options.measure && !is_local,
            monitor,
        };
        workers::run(
            options.threads,
            tasks,
            // For `getdents`: room for some hundreds of names a call.
            || vec![MaybeUninit::uninit(); 32 << 10],
            |task, buffer: &mut Vec<_>, more, sender| {
                // Before each task, so that a cancelled walk ends within one folder.
                if monitor.is_cancelled() {
                    return Err(Stopped);
                }
                walk.perform(task, buffer, more, sender)
            },
            emit,
        )?;
        // A walk that was cut short looks like one that found less; callers would take the rest for
        // gone.
        if monitor.is_cancelled() {
            let path = base.path().to_path_buf();
            return Err(StorageError::Interrupted { path }.into());
        }
        Ok(())
    }

    fn perform(
        &self,
        task: WalkTask,
        buffer: &mut [MaybeUninit<u8>],
        more: &mut Vec<WalkTask>,
        sender: &WalkSender,
    ) -> Result<(), Stopped> {
        match task {
            WalkTask::Search(search) => self.search(search, buffer, more, sender),
            WalkTask::Look(look) => self.look(look, more, sender),
            WalkTask::Count { place, count } => {
                if let Err(error) = self.count(&place, &count, buffer, more) {
                    // Before `end`, which gives no size then.
                    count.fail();
                    self.send(sender, unreadable(self.base, &place.path, &error))?;
                }
                match count.end() {
                    Some(event) => self.done(sender, event),
                    None => Ok(()),
                }
            }
        }
    }

    fn send(&self, sender: &WalkSender, event: Event) -> Result<(), Stopped> {
        sender.send(event)
    }

    fn search(
        &self,
        search: Search,
        buffer: &mut [MaybeUninit<u8>],
        more: &mut Vec<WalkTask>,
        sender: &WalkSender,
    ) -> Result<(), Stopped> {
        let Search {
            place,
            in_container,
            may_be_array,
        } = search;
        let path = &place.path;
        let fd = match self.folders.open(&place) {
            Ok(fd) => fd,
            // It cannot be opened; its metadata may be readable all the same.
            Err(errno) if may_be_array => {
                let probed = pyramid::probe(self.base.as_fd(), path, Some(path), self.memory);
                let is_gone = matches!(errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP);
                return match probed {
                    Ok(None) if is_gone => Ok(()),
                    probed => self.uncounted(place.path, probed, errno, sender),
                };
            }
            // Removed or replaced since its name was read.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) if !path.as_os_str().is_empty() => {
                return Ok(());
            }
            Err(errno) => return self.send(sender, unreadable(self.base, path, &errno.into())),
        };
        let has_checkpoints =
            self.options.checkpoints && path.to_str().is_some_and(layout::holds_checkpoints);
        let listing = match Listing::read(&fd, buffer, may_be_array, has_checkpoints) {
            Ok(listing) => listing,
            Err(errno) if may_be_array => {
                let probed = pyramid::probe(fd.as_fd(), Path::new("."), Some(path), self.memory);
                return self.uncounted(place.path, probed, errno, sender);
            }
            Err(errno) => return self.send(sender, unreadable(self.base, path, &errno.into())),
        };
        if may_be_array {
            match pyramid::probe_seen(&listing.markers, fd.as_fd(), path, self.memory) {
                Ok(Some(marker)) => {
                    let found = (place.path, marker.into());
                    return self.array(found, fd, listing, more, sender);
                }
                Ok(None) => {}
                Err(error) => {
                    if self.ends_at(path, error, more, sender)? {
                        return Ok(());
                    }
                }
            }
        }
        // What is in another registry is that one's to record and to remove.
        let inner = |name: &OsString| is_registry(&fd, name.as_bytes(), FileType::Directory);
        if !path.as_os_str().is_empty() && listing.folders.iter().any(inner) {
            let finding = Notice::new(
                NoticeClass::InnerRegistry,
                path,
                "the base directory of another registry is not searched",
            );
            return self.send(sender, Event::Notice(finding));
        }
        for link in listing.links {
            // Links to files are common, and no array is behind one.
            if leads_to_folder(&fd, &link) {
                let finding = Notice::new(
                    NoticeClass::Symlink,
                    &path.join(link),
                    "a symbolic link to a folder is not followed",
                );
                self.send(sender, Event::Notice(finding))?;
            }
        }
        for file in listing.files {
            self.checkpoint(&fd, path, &file, sender)?;
        }
        // Only looked into if the listing shows a name: most folders have none.
        if !in_container && self.options.arrays && listing.has_marker {
            match pyramid::probe(fd.as_fd(), Path::new("."), Some(path), self.memory) {
                Ok(Some(marker)) => return self.plain(path, marker, more, sender),
                Ok(None) => {}
                Err(error) => {
                    if self.ends_at(path, error, more, sender)? {
                        return Ok(());
                    }
                }
            }
        }
        let parent = self.folders.keep(fd);
        for folder in listing.folders {
            let child = joined(path, &folder);
            // A name that is not UTF-8 is neither a container nor the registry's folder; it is
            // searched.
            let text = folder.to_str().unwrap_or_default();
            if path.as_os_str().is_empty() && name::is_registry_dir(text) {
                continue;
            }
            let in_container = in_container || layout::is_container_folder(text);
            // A run may be called like a container; below the first level it is one, and the layout
            // has no checkpoints in containers.
            let is_first = path.as_os_str().is_empty();
            if !self.options.arrays && !is_first && name::is_container_name(text) {
                continue;
            }
            let may_be_array = in_container && self.options.arrays;
            // A search that counts reads the folder anyway, and finds the metadata there.
            let probed = if may_be_array && !self.options.measure {
                pyramid::probe(
                    parent.fd.as_fd(),
                    Path::new(&folder),
                    Some(&child),
                    self.memory,
                )
            } else {
                Ok(None)
            };
            match probed {
                Ok(Some(marker)) => {
                    self.done(sender, Event::Found(child, marker.into()))?;
                    continue;
                }
                Ok(None) => {}
                Err(error) => {
                    if self.ends_at(&child, error, more, sender)? {
                        continue;
                    }
                }
            }
            more.push(WalkTask::Search(Search {
                place: self.folders.subfolder(child, &parent),
                in_container,
                may_be_array: may_be_array && self.options.measure,
            }));
        }
        Ok(())
    }

    /// Sends what is wrong with the metadata in a folder. Says whether the search ends there.
    fn ends_at(
        &self,
        path: &Path,
        error: MarkerError,
        more: &mut Vec<WalkTask>,
        sender: &WalkSender,
    ) -> Result<bool, Stopped> {
        match error {
            // It may be the metadata of a group: what is below is searched all the same.
            MarkerError::Damaged(damaged) => {
                let is_pyramid = damaged.marker.is_pyramid();
                self.damaged(path, damaged, more, sender)?;
                Ok(is_pyramid)
            }
            error => {
                self.send(sender, unprobed(self.base, path, error))?;
                Ok(true)
            }
        }
    }

    /// Sends what is known of data whose metadata cannot be read, or leaves its folder to count.
    fn damaged(
        &self,
        path: &Path,
        damaged: Damaged,
        more: &mut Vec<WalkTask>,
        sender: &WalkSender,
    ) -> Result<(), Stopped> {
        let seen = Observation::from(&damaged);
        // The event too: without it, callers would take the array for gone.
        self.send(
            sender,
            unprobed(self.base, path, MarkerError::Damaged(damaged)),
        )?;
        // What may be a group is not counted: the arrays below it are, each by itself.
        if self.options.measure && seen.damage == Some(Damage::OfArray) {
            self.count_all(CountOf::Found(path.to_path_buf()), path, seen, more);
            return Ok(());
        }
        self.send(sender, Event::Found(path.to_path_buf(), seen))
    }

    /// Sends an array in no folder that is known for a container, or leaves it to count.
    fn plain(
        &self,
        path: &Path,
        marker: Marker,
        more: &mut Vec<WalkTask>,
        sender: &WalkSender,
    ) -> Result<(), Stopped> {
        // In the base directory itself, or the base directory.
        if path.iter().nth(1).is_none() {
            let finding = Notice::new(
                NoticeClass::OutsideContainer,
                path,
                "an array that is not in the folder of a run",
            );
            return self.send(sender, Event::Notice(finding));
        }
        if self.options.measure {
            self.count_all(
                CountOf::Found(path.to_path_buf()),
                path,
                marker.into(),
                more,
            );
            return Ok(());
        }
        self.done(sender, Event::Found(path.to_path_buf(), marker.into()))
    }

    /// Sends an array whose own files were counted, or leaves its folders to count.
    fn array(
        &self,
        (path, sight): (PathBuf, Observation),
        fd: OwnedFd,
        listing: Listing,
        more: &mut Vec<WalkTask>,
        sender: &WalkSender,
    ) -> Result<(), Stopped> {
        if let Some(errno) = listing.failed {
            self.send(sender, unreadable(self.base, &path, &errno.into()))?;
        }
        let parent = self.folders.keep(fd);
        let place = |folder| self.folders.subfolder(path.join(folder), &parent);
        let places: Vec<FolderRef> = listing.folders.into_iter().map(place).collect();
        // One more, for the array's own folder.
        let of = CountOf::Found(path.clone());
        let count = Arc::new(Count::of(
            of,
            (sight, path.clone()),
            places.len() + 1,
            self.counted(),
        ));
        let mut tally = listing.tally;
        if let Some(mut chunks) = count.chunks_in(&path) {
            let names = listing.names.split(|byte| *byte == 0);
            tally.chunks = names.filter(|name| chunks.take(name)).count() as u64;
            count.add_places(Some(chunks));
        }
        count.add(&tally);
        self.advance(u64::from(places.is_empty()), &tally);
        if listing.failed.is_some() {
            count.fail();
        }
        if let Some(event) = count.end() {
            return self.send(sender, event);
        }
        more.extend(places.into_iter().map(|place| WalkTask::Count {
            place,
            count: Arc::clone(&count),
        }));
        Ok(())
    }

    /// Sends what is known of a folder that could not be read and may be an array.
    fn uncounted(
        &self,
        path: PathBuf,
        probed: Result<Option<Marker>, MarkerError>,
        errno: Errno,
        sender: &WalkSender,
    ) -> Result<(), Stopped> {
        match probed {
            Ok(None) => self.send(sender, unreadable(self.base, &path, &errno.into())),
            Ok(Some(marker)) => {
                self.send(sender, unreadable(self.base, &path, &errno.into()))?;
                self.done(sender, Event::Found(path, marker.into()))
            }
            Err(error) => self.send(sender, unprobed(self.base, &path, error)),
        }
    }

    /// Sends a file if its name is that of a checkpoint.
    fn checkpoint(
        &self,
        folder: &OwnedFd,
        path: &Path,
        name: &OsStr,
        sender: &WalkSender,
    ) -> Result<(), Stopped> {
        let text = name.to_str().unwrap_or_default();
        // DaCapo names a checkpoint by its iteration, without an ending.
        if name::parse_iteration(text).is_err() {
            return Ok(());
        }
        let path = path.join(name);
        match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => match observe(&stat, FileType::RegularFile) {
                Some(sight) => self.done(sender, Event::Found(path, sight)),
                None => Ok(()),
            },
            Err(Errno::NOENT) => Ok(()),
            Err(errno) => self.send(sender, unreadable(self.base, &path, &errno.into())),
        }
    }

    /// Sends the event of an item that is done.
    fn done(&self, sender: &WalkSender, event: Event) -> Result<(), Stopped> {
        self.advance(1, &Tally::default());
        self.send(sender, event)
    }

    fn look(
        &self,
        look: Look,
        more: &mut Vec<WalkTask>,
        sender: &WalkSender,
    ) -> Result<(), Stopped> {
        let sight = match self.sight(&look) {
            Ok(sight) => sight,
            Err(MarkerError::Damaged(damaged)) => {
                let seen = Observation::from(&damaged);
                self.send(
                    sender,
                    unprobed(self.base, &look.path, MarkerError::Damaged(damaged)),
                )?;
                // What was just written must not be taken for old because its metadata is damaged.
                if self.options.measure || self.options.times {
                    self.count_all(CountOf::Known(look.id), &look.path, seen, more);
                    return Ok(());
                }
                return self.done(sender, Event::Looked(look.id, Some(seen)));
            }
            Err(error) => return self.done(sender, unprobed(self.base, &look.path, error)),
        };
        match sight {
            // A file has its size from `stat` already.
            Some(sight) if (self.options.measure || self.options.times) && sight.size.is_none() => {
                self.count_all(CountOf::Known(look.id), &look.path, sight, more);
                Ok(())
            }
            sight => self.done(sender, Event::Looked(look.id, sight)),
        }
    }

    /// What is counted of an array.
    fn counted(&self) -> Counted {
        match (self.options.measure, self.options.places) {
            (false, _) => Counted::Times,
            (true, false) => Counted::Files,
            (true, true) => Counted::Places,
        }
    }

    /// Leaves a folder to count with all that is below it.
    fn count_all(&self, of: CountOf, path: &Path, sight: Observation, more: &mut Vec<WalkTask>) {
        let top = path.to_path_buf();
        more.push(WalkTask::Count {
            place: FolderRef::below_base(top.clone()),
            count: Arc::new(Count::of(of, (sight, top), 1, self.counted())),
        });
    }

    fn sight(&self, look: &Look) -> Result<Option<Observation>, MarkerError> {
        let expected = match look.expected {
            Expected::Array => {
                let probed =
                    pyramid::probe(self.base.as_fd(), &look.path, Some(&look.path), self.memory);
                return match probed {
                    Err(MarkerError::Io(error)) if self.options.links && is_loop(&error) => {
                        self.link(&look.path)
                    }
                    probed => probed.map(|marker| marker.map(Observation::from)),
                };
            }
            Expected::Container => FileType::Directory,
            Expected::File => FileType::RegularFile,
        };
        match stat_below(self.base, &look.path) {
            Ok(stat) => Ok(observe(&stat, expected)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// What is at the path of an array that a link keeps from being looked at: the link itself.
    fn link(&self, path: &Path) -> Result<Option<Observation>, MarkerError> {
        match stat_below(self.base, path) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => {
                let mut sight = Observation::new(marker::modified(&stat)).owner(stat.st_uid);
                sight.is_link = true;
                Ok(Some(sight))
            }
            // It was exchanged since.
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Counts the files of one folder of an array; its folders become tasks.
    fn count(
        &self,
        place: &FolderRef,
        count: &Arc<Count>,
        buffer: &mut [MaybeUninit<u8>],
        more: &mut Vec<WalkTask>,
    ) -> Result<(), std::io::Error> {
        let fd = self.folders.open(place)?;
        let mut tally = Tally::default();
        let stat = fstat(&fd)?;
        tally.add_folder(&stat);
        // As of when it is counted, or when it was last written.
        tally.date(&stat);
        let mut folders = Vec::new();
        let mut chunks = count.chunks_in(&place.path);
        let mut entries = RawDir::new(&fd, buffer);
        let read = loop {
            let entry = match entries.next() {
                Some(Ok(entry)) => entry,
                Some(Err(errno)) => break Err(errno.into()),
                None => break Ok(()),
            };
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") || is_unlinked(name.to_bytes()) {
                continue;
            }
            let mut kind = entry.file_type();
            // Only if size or type are unknown: `stat` is most of what a walk takes.
            let is_dated = self.options.measure || kind == FileType::Unknown;
            if kind != FileType::Directory && is_dated {
                if self.asks_server {
                    // Another host may write a chunk in place, which changes no folder. What the
                    // server answers is what the call below then finds.
                    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::STATX_FORCE_SYNC;
                    let _ = statx(&fd, name, flags, StatxFlags::MTIME);
                }
                match statat(&fd, name, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => {
                        kind = FileType::from_raw_mode(stat.st_mode);
                        tally.add(kind, &stat);
                        let is_chunk = kind != FileType::Directory
                            && !(kind == FileType::Symlink && is_dangling(&fd, name))
                            && chunks.as_mut().is_some_and(|it| it.take(name.to_bytes()));
                        tally.chunks += u64::from(is_chunk);
                    }
                    // A writer may replace a chunk at any moment.
                    Err(Errno::NOENT) => continue,
                    Err(errno) => break Err(errno.into()),
                }
            }
            if kind == FileType::Directory {
                folders.push(place.path.join(OsStr::from_bytes(name.to_bytes())));
            }
        };
        // After an error too: the event of the array waits for these folders.
        if !folders.is_empty() {
            // Before this folder ends, so that the count cannot end early.
            count.grow(folders.len());
            let parent = self.folders.keep(fd);
            more.extend(folders.into_iter().map(|path| WalkTask::Count {
                place: self.folders.subfolder(path, &parent),
                count: Arc::clone(count),
            }));
        }
        count.add_places(chunks);
        count.add(&tally);
        self.advance(0, &tally);
        read
    }

    /// Reports items that are done, and files that were counted, to the monitor.
    fn advance(&self, items: u64, tally: &Tally) {
        self.monitor.advance(Progress {
            items,
            files: tally.files,
            bytes: tally.bytes,
        });
    }
}

/// What is in a folder that is searched.
#[derive(Default)]
struct Listing {
    folders: Vec<OsString>,
    links: Vec<OsString>,
    /// Regular files; empty unless the search asks for them.
    files: Vec<OsString>,
    has_marker: bool,
    /// If files are counted: the metadata among them.
    markers: MarkersSeen,
    /// If files are counted: their sum.
    tally: Tally,
    /// If files are counted: the names that may be those of chunks, with a NUL after each.
    names: Vec<u8>,
    /// Why the sum is incomplete.
    failed: Option<Errno>,
}

impl Listing {
    /// Reads a folder; `count` calls `stat` for its files, too.
    fn read(
        fd: &OwnedFd,
        buffer: &mut [MaybeUninit<u8>],
        count: bool,
        keep_files: bool,
    ) -> Result<Self, Errno> {
        let mut listing = Self::default();
        if count {
            let stat = fstat(fd)?;
            listing.tally.add_folder(&stat);
            listing.tally.date(&stat);
        }
        let mut entries = RawDir::new(fd, buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") || is_unlinked(name.to_bytes()) {
                continue;
            }
            let mut kind = entry.file_type();
            let is_marker = marker::is_marker(name.to_bytes());
            listing.has_marker |= is_marker;
            // After a failure the sum is unknown anyway: `stat` is called only to find types.
            let is_counted = count && kind != FileType::Directory && listing.failed.is_none();
            if is_counted || (count && is_marker) || kind == FileType::Unknown {
                match statat(fd, name, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => {
                        kind = FileType::from_raw_mode(stat.st_mode);
                        listing.tally.add(kind, &stat);
                        let name = name.to_bytes();
                        // Names of chunks begin with a digit, or with the `c` of zarr 3.
                        let may_be_chunk =
                            matches!(name.first(), Some(b'0'..=b'9' | b'c')) && is_counted;
                        let is_missing = kind == FileType::Symlink
                            && may_be_chunk
                            && is_dangling(fd, entry.file_name());
                        if may_be_chunk && kind != FileType::Directory && !is_missing {
                            listing.names.extend_from_slice(name);
                            listing.names.push(0);
                        }
                        listing.markers.add(name, &stat);
                    }
                    Err(Errno::NOENT) => continue,
                    // Then it is unknown whether the folder is an array.
                    Err(errno) if count && is_marker => return Err(errno),
                    Err(errno) => listing.failed = listing.failed.or(Some(errno)),
                }
            }
            let name = || OsStr::from_bytes(name.to_bytes()).to_owned();
            match kind {
                FileType::Directory => listing.folders.push(name()),
                FileType::Symlink => listing.links.push(name()),
                FileType::RegularFile if keep_files => listing.files.push(name()),
                _ => {}
            }
        }
        Ok(listing)
    }
}

/// Joins a name to a path in one allocation; `Path::join` takes two.
fn joined(path: &Path, name: &OsStr) -> PathBuf {
    let mut joined = PathBuf::with_capacity(path.as_os_str().len() + 1 + name.len());
    joined.push(path);
    joined.push(name);
    joined
}

fn is_loop(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(Errno::LOOP.raw_os_error())
}

fn leads_to_folder(folder: &OwnedFd, name: &OsStr) -> bool {
    statat(folder, name, AtFlags::empty())
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}
