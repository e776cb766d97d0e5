//! Looking at data in parallel: walking a base directory for arrays and checkpoints, looking for
//! the data of known ones, counting bytes and files.
//!
//! One pool serves all three. Its tasks are a folder to search, a path to look at, and a folder
//! of an array to count; each may leave further ones. A search never descends into an array: chunk
//! folders are called `0/0/0`, like iterations. Nothing here writes, and no symbolic link is
//! followed by a search.

use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, openat, statat};
use rustix::io::Errno;

use super::finding::{Finding, FindingClass};
use super::marker::{self, Marker, MarkerError};
use super::pool::{self, Stopped};
use super::sight::{Event, Look, Sight, Subject};
use super::{Base, StorageError};
use crate::monitor::{Monitor, Progress};
use crate::size::{ByteCount, Size};
use crate::{layout, name};

/// How to look.
#[derive(Debug, Clone, Copy)]
pub struct WalkOptions {
    /// Count bytes and files.
    pub measure: bool,
    /// Threads; waiting for the disk counts more than computing.
    pub threads: usize,
    /// Search for arrays; without, no container is searched.
    pub arrays: bool,
    /// Search for checkpoints.
    pub checkpoints: bool,
    /// Tell of a known array whether a symbolic link stands in its place; costs a call an array.
    pub links: bool,
}

impl Default for WalkOptions {
    fn default() -> Self {
        Self {
            measure: false,
            threads: pool::default_threads(),
            arrays: true,
            checkpoints: false,
            links: false,
        }
    }
}

/// Searches the base directory for arrays, or checkpoints, and gives each event to `emit`, on this thread.
///
/// # Errors
/// Whatever `emit` returns; the walk then ends. [`StorageError::Interrupted`] where the monitor
/// cancels. What cannot be read is a finding.
pub fn walk<E: From<StorageError>>(
    base: &Base,
    options: WalkOptions,
    monitor: &dyn Monitor,
    emit: impl FnMut(Event) -> Result<(), E>,
) -> Result<(), E> {
    walk_from(base, &[PathBuf::new()], options, monitor, emit)
}

/// Searches folders of the base directory as [`walk`] does; one that is not there has nothing in it.
///
/// # Errors
/// As [`walk`].
pub fn walk_from<E: From<StorageError>>(
    base: &Base,
    starts: &[PathBuf],
    options: WalkOptions,
    monitor: &dyn Monitor,
    emit: impl FnMut(Event) -> Result<(), E>,
) -> Result<(), E> {
    let names_container = |path: &PathBuf| {
        let mut names = path.iter().filter_map(OsStr::to_str);
        names.any(name::is_container_name)
    };
    let search = |path: &PathBuf| Task::Search {
        path: path.clone(),
        in_container: names_container(path),
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
/// As [`walk`].
pub fn look<E: From<StorageError>>(
    base: &Base,
    options: WalkOptions,
    monitor: &dyn Monitor,
    paths: Vec<Look>,
    emit: impl FnMut(Event) -> Result<(), E>,
) -> Result<(), E> {
    let tasks = paths.into_iter().map(Task::Look).collect();
    Walk::run(base, options, monitor, tasks, emit)
}

enum Task {
    Search { path: PathBuf, in_container: bool },
    Look(Look),
    Count { path: PathBuf, count: Arc<Count> },
}

/// An array that is being counted by several tasks.
struct Count {
    counted: Counted,
    sight: Sight,
    bytes: AtomicU64,
    files: AtomicU64,
    open: AtomicUsize,
    failed: AtomicBool,
}

enum Counted {
    Found(PathBuf),
    Known(i64),
}

struct Walk<'a> {
    base: &'a Base,
    options: WalkOptions,
    monitor: &'a dyn Monitor,
}

type Sender = pool::Sender<Event>;

impl Walk<'_> {
    fn run<E: From<StorageError>>(
        base: &Base,
        options: WalkOptions,
        monitor: &dyn Monitor,
        tasks: Vec<Task>,
        emit: impl FnMut(Event) -> Result<(), E>,
    ) -> Result<(), E> {
        let walk = Walk {
            base,
            options,
            monitor,
        };
        pool::run(
            options.threads,
            tasks,
            || vec![MaybeUninit::uninit(); 32 << 10],
            |task, buffer: &mut Vec<_>, more, sender| {
                if monitor.is_cancelled() {
                    return Err(Stopped);
                }
                walk.perform(task, buffer, more, sender)
            },
            emit,
        )?;
        // A walk that was cut short looks like one that found less: nobody may take it for whole.
        if monitor.is_cancelled() {
            let path = base.path().to_path_buf();
            return Err(StorageError::Interrupted { path }.into());
        }
        Ok(())
    }

    fn perform(
        &self,
        task: Task,
        buffer: &mut [MaybeUninit<u8>],
        more: &mut Vec<Task>,
        sender: &Sender,
    ) -> Result<(), Stopped> {
        match task {
            Task::Search { path, in_container } => {
                self.search(&path, in_container, buffer, more, sender)
            }
            Task::Look(look) => self.look(look, more, sender),
            Task::Count { path, count } => {
                if let Err(error) = self.count(&path, &count, buffer, more) {
                    count.failed.store(true, Ordering::Relaxed);
                    self.send(sender, unreadable(&path, &error))?;
                }
                self.counted(&count, sender)
            }
        }
    }

    fn send(&self, sender: &Sender, event: Event) -> Result<(), Stopped> {
        sender.send(event)
    }

    fn open(&self, path: &Path) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        openat(self.base.as_fd(), path, flags, Mode::empty())
    }

    fn search(
        &self,
        path: &Path,
        in_container: bool,
        buffer: &mut [MaybeUninit<u8>],
        more: &mut Vec<Task>,
        sender: &Sender,
    ) -> Result<(), Stopped> {
        let fd = match self.open(path) {
            Ok(fd) => fd,
            // Gone meanwhile, or replaced: nothing of the tree that was asked about.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) if !path.as_os_str().is_empty() => {
                return Ok(());
            }
            Err(errno) => return self.send(sender, unreadable(path, &errno.into())),
        };
        let mut folders = Vec::new();
        let mut is_marked = false;
        let is_of_checkpoints =
            self.options.checkpoints && path.to_str().is_some_and(layout::holds_checkpoints);
        let mut entries = RawDir::new(&fd, buffer);
        while let Some(entry) = entries.next() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(errno) => return self.send(sender, unreadable(path, &errno.into())),
            };
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => statat(&fd, name, AtFlags::SYMLINK_NOFOLLOW)
                    .map_or(FileType::Unknown, |stat| {
                        FileType::from_raw_mode(stat.st_mode)
                    }),
                kind => kind,
            };
            is_marked |= !in_container && marker::is_marker(name.to_bytes());
            let name = OsStr::from_bytes(name.to_bytes());
            match kind {
                FileType::Directory => folders.push(name.to_owned()),
                FileType::RegularFile if is_of_checkpoints => {
                    self.checkpoint(&fd, path, name, sender)?;
                }
                FileType::Symlink if leads_to_folder(&fd, name) => {
                    let finding = Finding::new(
                        FindingClass::Symlink,
                        &path.join(name),
                        "a symbolic link to a folder is not followed",
                    );
                    self.send(sender, Event::Finding(finding))?;
                }
                _ => {}
            }
        }
        if is_marked && matches!(marker::probe(fd.as_fd(), Path::new(".")), Ok(Some(_))) {
            let finding = Finding::new(
                FindingClass::OutsideContainer,
                path,
                "an array in no container: no folder on its path ends in .zarr or .n5",
            );
            return self.send(sender, Event::Finding(finding));
        }
        for folder in folders {
            let child = path.join(&folder);
            let text = folder.to_str().unwrap_or_default();
            if path.as_os_str().is_empty() && name::is_registry_dir(text) {
                continue;
            }
            let in_container = in_container || name::is_container_name(text);
            // Below the first level a container has no checkpoints in it, for the layout.
            let is_first = path.as_os_str().is_empty();
            if !self.options.arrays && !is_first && name::is_container_name(text) {
                continue;
            }
            let probed = if in_container && self.options.arrays {
                marker::probe(fd.as_fd(), Path::new(&folder))
            } else {
                Ok(None)
            };
            match probed {
                Ok(Some(marker)) => self.found(child, marker, more, sender)?,
                Ok(None) => more.push(Task::Search {
                    path: child,
                    in_container,
                }),
                Err(error) => self.send(sender, unprobed(&child, error))?,
            }
        }
        Ok(())
    }

    /// Hands over a file where its name is that of a checkpoint.
    fn checkpoint(
        &self,
        folder: &OwnedFd,
        path: &Path,
        name: &OsStr,
        sender: &Sender,
    ) -> Result<(), Stopped> {
        let text = name.to_str().unwrap_or_default();
        if name::parse_iteration(text).is_err() {
            return Ok(());
        }
        let path = path.join(name);
        match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => match Sight::of(&stat, FileType::RegularFile) {
                Some(sight) => self.done(sender, Event::Found(path, sight)),
                None => Ok(()),
            },
            Err(Errno::NOENT) => Ok(()),
            Err(errno) => self.send(sender, unreadable(&path, &errno.into())),
        }
    }

    fn found(
        &self,
        path: PathBuf,
        marker: Marker,
        more: &mut Vec<Task>,
        sender: &Sender,
    ) -> Result<(), Stopped> {
        let sight = Sight::of_array(marker);
        if self.options.measure {
            more.push(count(path.clone(), Counted::Found(path), sight));
            return Ok(());
        }
        self.done(sender, Event::Found(path, sight))
    }

    /// Sends the event of an item that is done.
    fn done(&self, sender: &Sender, event: Event) -> Result<(), Stopped> {
        self.monitor.advance(Progress {
            items: 1,
            ..Progress::default()
        });
        self.send(sender, event)
    }

    fn look(&self, look: Look, more: &mut Vec<Task>, sender: &Sender) -> Result<(), Stopped> {
        let sight = match self.sight(&look) {
            Ok(sight) => sight,
            Err(error) => return self.done(sender, unprobed(&look.path, error)),
        };
        match sight {
            Some(sight) if self.options.measure && sight.size.is_none() => {
                more.push(count(look.path, Counted::Known(look.id), sight));
                Ok(())
            }
            sight => self.done(sender, Event::Looked(look.id, sight)),
        }
    }

    fn sight(&self, look: &Look) -> Result<Option<Sight>, MarkerError> {
        let expected = match look.subject {
            Subject::Array => {
                let marker = marker::probe(self.base.as_fd(), &look.path)?;
                let mut sight = marker.map(Sight::of_array);
                if let Some(sight) = sight.as_mut().filter(|_| self.options.links) {
                    match statat(self.base.as_fd(), &look.path, AtFlags::SYMLINK_NOFOLLOW) {
                        Ok(stat) => {
                            let kind = FileType::from_raw_mode(stat.st_mode);
                            sight.is_link = kind == FileType::Symlink;
                        }
                        // It went since its metadata was looked at.
                        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
                        Err(errno) => return Err(errno.into()),
                    }
                }
                return Ok(sight);
            }
            Subject::Container => FileType::Directory,
            Subject::File => FileType::RegularFile,
        };
        match statat(self.base.as_fd(), &look.path, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Sight::of(&stat, expected)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Counts the files of one folder of an array; its folders become tasks.
    fn count(
        &self,
        path: &Path,
        count: &Arc<Count>,
        buffer: &mut [MaybeUninit<u8>],
        more: &mut Vec<Task>,
    ) -> Result<(), std::io::Error> {
        let fd = self.open(path)?;
        let (mut files, mut bytes) = (0, 0);
        let mut entries = RawDir::new(&fd, buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let mut is_folder = entry.file_type() == FileType::Directory;
            if !is_folder {
                let stat = match statat(&fd, name, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => stat,
                    Err(Errno::NOENT) => continue,
                    Err(errno) => return Err(errno.into()),
                };
                is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
                if !is_folder {
                    files += 1;
                    bytes += u64::try_from(stat.st_size).unwrap_or_default();
                }
            }
            if is_folder {
                count.open.fetch_add(1, Ordering::Relaxed);
                more.push(Task::Count {
                    path: path.join(OsStr::from_bytes(name.to_bytes())),
                    count: Arc::clone(count),
                });
            }
        }
        count.files.fetch_add(files, Ordering::Relaxed);
        count.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.monitor.advance(Progress {
            items: 0,
            files,
            bytes,
        });
        Ok(())
    }

    /// Ends one folder of an array; the last one reports the array.
    fn counted(&self, count: &Count, sender: &Sender) -> Result<(), Stopped> {
        if count.open.fetch_sub(1, Ordering::AcqRel) > 1 {
            return Ok(());
        }
        let size = Size {
            bytes: ByteCount(count.bytes.load(Ordering::Relaxed)),
            files: count.files.load(Ordering::Relaxed),
        };
        let size = (!count.failed.load(Ordering::Relaxed)).then_some(size);
        let sight = Sight {
            size,
            ..count.sight
        };
        self.done(
            sender,
            match &count.counted {
                Counted::Found(path) => Event::Found(path.clone(), sight),
                Counted::Known(id) => Event::Looked(*id, Some(sight)),
            },
        )
    }
}

fn count(path: PathBuf, counted: Counted, sight: Sight) -> Task {
    let count = Arc::new(Count {
        counted,
        sight,
        bytes: AtomicU64::new(0),
        files: AtomicU64::new(0),
        open: AtomicUsize::new(1),
        failed: AtomicBool::new(false),
    });
    Task::Count { path, count }
}

fn leads_to_folder(folder: &OwnedFd, name: &OsStr) -> bool {
    statat(folder, name, AtFlags::empty())
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Event {
    Event::Finding(Finding::new(
        FindingClass::Unreadable,
        path,
        error.to_string(),
    ))
}

fn unprobed(path: &Path, error: MarkerError) -> Event {
    match error {
        MarkerError::Io(error) => unreadable(path, &error),
        MarkerError::Damaged(detail) => {
            Event::Finding(Finding::new(FindingClass::DamagedMetadata, path, detail))
        }
    }
}
