//! The tasks of a purge.

use std::convert::Infallible;
use std::ffi::{CStr, CString, OsStr};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use rustix::fs::{AtFlags, FileType, RawDir, fstat, statat, unlinkat};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use super::claims::Claims;
use super::report::{INNER_REGISTRY, PurgeOptions, PurgeReport};
use super::tree::Dir;
use crate::disk::{is_registry, open_on_mount};
use crate::model::progress::{Monitor, Progress};
use crate::store::dirs::{
    Name, device_of, holds_registry, is_in_memory, may_have_folders, move_in, open_folder,
};
use crate::store::error::StorageError;
use crate::store::trash::{Claim, Intent, ManifestItems, NOTES, TrashFolder};
use crate::store::workers::{self, Stopped};

/// Threads that unlink at once on a disk or over a network. Most of them wait for it: if each call
/// takes 5 ms, 16 threads take twice as long.
const THREADS: usize = 32;
/// Threads if the file system is in memory: more only wait for each other's locks.
const THREADS_IN_MEMORY: usize = 2;
/// Most folders that are kept open at once, whatever the limit allows: a chain of 5,000 folders on
/// tmpfs took 0.6 of the time of `rm -rf` with 64, and as long as it with 256.
const MOST_OPEN: usize = 64;
/// Names of a folder that are read before others may read on.
const CHUNK: usize = 1024;
/// Files that a thread unlinks in one go: few, so that many threads share a large folder.
const PART: usize = 256;
/// Files that are unlinked between two looks at the deadline.
const STEP: usize = 64;
/// How often a folder that fills up again while it is emptied is emptied again.
const MOST_ROUNDS: u32 = 64;
const BUFFER: usize = 64 << 10;

/// Unlinks everything in the folder of a removal but its manifest and notes, where everyone who may
/// have put it there may unlink by himself. `manifest`: what it says of the items.
///
/// Ends early, with `is_done` false, after the deadline, if the monitor cancels, or if something
/// could not be unlinked.
///
/// # Errors
/// [`StorageError::Io`] if the folder itself cannot be opened or listed.
pub fn purge(
    folder: &TrashFolder,
    manifest: Option<&ManifestItems>,
    options: PurgeOptions,
    monitor: &dyn Monitor,
) -> Result<PurgeReport, StorageError> {
    let root = open_folder(&folder.fd, ".")
        .map_err(|errno| StorageError::io("opening", &folder.path, errno))?;
    let device = device_of(root.as_fd(), &folder.path)?;
    // A quarter of what the process may have open: the rest of it needs descriptors too.
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(1024);
    let most_open = usize::try_from(limit / 4)
        .unwrap_or(usize::MAX)
        .clamp(4, MOST_OPEN);
    let threads = match is_in_memory(root.as_fd()) {
        true => THREADS_IN_MEMORY,
        false => THREADS,
    };
    let claims = Claims::new(folder, manifest);
    // The removal's own folder stays; each item brings a claim when it is entered.
    let own = Arc::new(Claim::own());
    let purge = Purge {
        path: folder.path.clone(),
        claims,
        device,
        most_open,
        root: Arc::new(Dir::new(None, CString::default(), root, own, 0)),
        open: AtomicUsize::new(0),
        moved: AtomicU64::new(0),
        is_cut_short: AtomicBool::new(false),
        options,
        monitor,
    };
    let mut report = PurgeReport::default();
    let Ok(()) = workers::run(
        // Each thread has a folder open, besides those above it.
        threads.min(most_open),
        vec![PurgeTask::Read(Arc::clone(&purge.root))],
        || vec![MaybeUninit::uninit(); BUFFER],
        |task, buffer: &mut Vec<_>, more, sender| {
            let mut worker = Worker {
                purge: &purge,
                more,
                sender,
            };
            worker.perform(task, buffer)
        },
        |outcome| {
            match outcome {
                Outcome::Files(files) => report.files += files,
                Outcome::Folder => report.folders += 1,
                Outcome::Failure(path, reason) => report.fail(path, reason),
            }
            Ok::<(), Infallible>(())
        },
    );
    report.moved = purge.moved.into_inner();
    let is_whole = report.failed == 0 && !purge.is_cut_short.into_inner();
    // Asked of the disk: another process may have put something there meanwhile.
    report.is_done = is_whole && folder.is_empty()?;
    Ok(report)
}

enum PurgeTask {
    /// Read names of a folder, from where the last reading ended.
    Read(Arc<Dir>),
    /// Open a subfolder, which was emptied so often before, and read it.
    Enter(Arc<Dir>, CString, u32),
    /// Unlink files of a folder.
    Unlink(Arc<Dir>, Vec<File>),
}

struct File {
    inode: u64,
    name: CString,
}

/// What the calling thread adds up.
enum Outcome {
    Files(u64),
    Folder,
    Failure(PathBuf, String),
}

struct Purge<'a> {
    path: PathBuf,
    claims: Claims<'a>,
    device: u64,
    most_open: usize,
    root: Arc<Dir>,
    /// Folders that are open, without `root`.
    open: AtomicUsize,
    /// Folders that were moved up into their item.
    moved: AtomicU64,
    is_cut_short: AtomicBool,
    options: PurgeOptions,
    monitor: &'a dyn Monitor,
}

impl Purge<'_> {
    /// Stops after the deadline, or if the monitor cancels.
    fn go_on(&self) -> Result<(), Stopped> {
        let deadline = self.options.deadline;
        let is_late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if is_late || self.monitor.is_cancelled() {
            self.is_cut_short.store(true, Ordering::Relaxed);
            return Err(Stopped);
        }
        Ok(())
    }
}

/// A thread with a task.
struct Worker<'w, 'a> {
    purge: &'w Purge<'a>,
    more: &'w mut Vec<PurgeTask>,
    sender: &'w workers::Sender<Outcome>,
}

impl Worker<'_, '_> {
    fn perform(&mut self, task: PurgeTask, buffer: &mut [MaybeUninit<u8>]) -> Result<(), Stopped> {
        self.purge.go_on()?;
        match task {
            PurgeTask::Read(dir) => {
                self.read(&dir, buffer)?;
                self.end(dir)
            }
            PurgeTask::Enter(parent, name, rounds) => match self.enter(&parent, &name, rounds)? {
                Some(dir) => {
                    self.read(&dir, buffer)?;
                    self.end(dir)
                }
                None => self.end(parent),
            },
            PurgeTask::Unlink(dir, files) => {
                self.unlink(&dir, &files)?;
                self.end(dir)
            }
        }
    }

    /// Opens a subfolder; `None` if it is gone, is not a folder any more, or cannot be opened.
    fn enter(
        &mut self,
        parent: &Arc<Dir>,
        name: &CStr,
        rounds: u32,
    ) -> Result<Option<Arc<Dir>>, Stopped> {
        let fd = match open_on_mount(&parent.fd, name) {
            Ok(fd) => fd,
            Err(Errno::NOENT | Errno::STALE) => return Ok(None),
            Err(Errno::XDEV) => {
                self.fail(parent, name, "something is mounted there".to_owned())?;
                return Ok(None);
            }
            // Replaced by a file or link since its name was read.
            Err(Errno::NOTDIR | Errno::LOOP) => {
                let (inode, name) = (0, name.to_owned());
                self.unlink(parent, &[File { inode, name }])?;
                return Ok(None);
            }
            Err(errno) => {
                self.fail(parent, name, errno.to_string())?;
                return Ok(None);
            }
        };
        let stat = fstat(&fd).ok();
        if stat.map(|stat| stat.st_dev) != Some(self.purge.device) {
            self.fail(parent, name, "it is on another file system".to_owned())?;
            return Ok(None);
        }
        // Before anything in it is touched: its data has rows in the other catalog.
        if stat.is_none_or(|stat| may_have_folders(&stat)) && holds_registry(&fd) {
            self.fail(parent, name, INNER_REGISTRY.to_owned())?;
            return Ok(None);
        }
        // Items are claimed one by one; what is below one has its claim.
        let checked = match parent.parent {
            None => self.purge.claims.of_item(name).map(Arc::new),
            Some(_) => Ok(Arc::clone(&parent.claim)),
        };
        let checked = checked.and_then(|claim| {
            if !claim.is_own() {
                let path = parent.path_of(&self.purge.path, name);
                claim.check(fd.as_fd(), Intent::Unlink, &path, &self.purge.path)?;
            }
            Ok(claim)
        });
        let claim = match checked {
            Ok(claim) => claim,
            Err(error) => {
                let reason = match error {
                    StorageError::Untrusted { why, .. } => why,
                    error => error.to_string(),
                };
                self.fail(parent, name, reason)?;
                return Ok(None);
            }
        };
        self.purge.open.fetch_add(1, Ordering::Relaxed);
        let dir = Dir::new(Some(Arc::clone(parent)), name.to_owned(), fd, claim, rounds);
        Ok(Some(Arc::new(dir)))
    }

    /// Reads a folder: its files are unlinked, its subfolders become tasks. A large folder is read
    /// in parts, each left to the next free thread, so that its width takes no memory.
    fn read(&mut self, dir: &Arc<Dir>, buffer: &mut [MaybeUninit<u8>]) -> Result<(), Stopped> {
        let is_root = dir.parent.is_none();
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        let mut has_more = false;
        // The kernel keeps the position in the descriptor, and no two tasks read a folder at once.
        let mut entries = RawDir::new(&dir.fd, buffer);
        while let Some(entry) = entries.next() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(errno) => {
                    self.fail(dir, c".", errno.to_string())?;
                    break;
                }
            };
            let name = entry.file_name();
            let bytes = name.to_bytes();
            if matches!(bytes, b"." | b"..")
                || (is_root && NOTES.iter().any(|note| note.as_bytes() == bytes))
            {
                continue;
            }
            let is_folder = match entry.file_type() {
                FileType::Directory => true,
                FileType::Unknown => statat(&dir.fd, name, AtFlags::SYMLINK_NOFOLLOW)
                    .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory),
                _ => false,
            };
            let (inode, name) = (entry.ino(), name.to_owned());
            match is_folder {
                // Only met here if the file system counts no links of folders, or it is new.
                true if !is_root && is_registry(&dir.fd, bytes, FileType::Directory) => {
                    self.fail(dir, &name, INNER_REGISTRY.to_owned())?;
                }
                true => folders.push(name),
                false => files.push(File { inode, name }),
            }
            // Names that the kernel gave already would be lost.
            if files.len() + folders.len() >= CHUNK && entries.is_buffer_empty() {
                has_more = true;
                break;
            }
        }
        if has_more {
            // Below the others, so that what was read is done first.
            dir.begin();
            self.more.push(PurgeTask::Read(Arc::clone(dir)));
        }
        for name in folders {
            self.subfolder(dir, name);
        }
        // Ordered by inode, which saves seeks in the inode table; the lowest end on top.
        files.sort_unstable_by_key(|file| file.inode);
        while files.len() > PART {
            let part = files.split_off(files.len() - PART);
            dir.begin();
            self.more.push(PurgeTask::Unlink(Arc::clone(dir), part));
        }
        if self.more.is_empty() || files.is_empty() {
            return self.unlink(dir, &files);
        }
        // A task of its own, so that the others need not wait for it to end.
        dir.begin();
        self.more.push(PurgeTask::Unlink(Arc::clone(dir), files));
        Ok(())
    }

    /// Leaves a subfolder as a task.
    fn subfolder(&mut self, dir: &Arc<Dir>, name: CString) {
        let purge = self.purge;
        let mut parent = Arc::clone(dir);
        let mut task = name;
        if dir.parent.is_some() && purge.open.load(Ordering::Relaxed) >= purge.most_open {
            // Too many folders above this one are open, and it would hold them until it is empty.
            // So it moves up, but within its item: a purge that is cut short still knows its claim.
            let item = dir.item();
            let number = purge.moved.fetch_add(1, Ordering::Relaxed);
            // With the process: a purge that was killed may have left such names.
            let up = format!("deep-{}-{number}", std::process::id());
            let up = CString::new(up).unwrap_or_default();
            let from = OsStr::from_bytes(task.to_bytes());
            let to = OsStr::from_bytes(up.to_bytes());
            if move_in(Name::new(&dir.fd, from), Name::new(&item.fd, to)).is_ok() {
                (parent, task) = (item, up);
            }
        }
        parent.begin();
        self.more.push(PurgeTask::Enter(parent, task, 0));
    }

    fn unlink(&mut self, dir: &Arc<Dir>, files: &[File]) -> Result<(), Stopped> {
        for files in files.chunks(STEP) {
            self.purge.go_on()?;
            let mut unlinked = 0;
            for File { name, .. } in files {
                match unlinkat(&dir.fd, name.as_c_str(), AtFlags::empty()) {
                    Ok(()) => unlinked += 1,
                    Err(Errno::NOENT) => {}
                    // Replaced by a folder since its name was read.
                    Err(Errno::ISDIR) => self.subfolder(dir, name.clone()),
                    Err(errno) => self.fail(dir, name, errno.to_string())?,
                }
            }
            self.purge.monitor.advance(Progress {
                items: unlinked,
                files: unlinked,
                bytes: unlinked * self.purge.options.mean_bytes,
            });
            self.sender.send(Outcome::Files(unlinked))?;
        }
        Ok(())
    }

    /// Ends a task of a folder. The last one removes the folder, and with it ends a task of the
    /// folder above.
    fn end(&mut self, mut dir: Arc<Dir>) -> Result<(), Stopped> {
        while dir.end() {
            let Some(parent) = dir.parent.clone() else {
                return Ok(());
            };
            let mut again = None;
            if dir.has_failed() {
                parent.fail();
            } else {
                match unlinkat(&parent.fd, dir.name.as_c_str(), AtFlags::REMOVEDIR) {
                    Ok(()) => self.sender.send(Outcome::Folder)?,
                    Err(Errno::NOENT) => {}
                    // Another process wrote into it, or reading it skipped an entry.
                    Err(Errno::NOTEMPTY | Errno::EXIST) if dir.rounds < MOST_ROUNDS => {
                        again = Some((dir.name.clone(), dir.rounds + 1));
                    }
                    Err(errno) => self.fail(&parent, &dir.name, errno.to_string())?,
                }
            }
            // Closed before it counts as closed.
            dir = parent;
            self.purge.open.fetch_sub(1, Ordering::Relaxed);
            if let Some((name, rounds)) = again {
                // Its task of the folder above goes on as this one.
                self.more.push(PurgeTask::Enter(dir, name, rounds));
                return Ok(());
            }
        }
        Ok(())
    }

    fn fail(&mut self, dir: &Arc<Dir>, name: &CStr, reason: String) -> Result<(), Stopped> {
        dir.fail();
        let path = dir.path_of(&self.purge.path, name);
        self.sender.send(Outcome::Failure(path, reason))
    }
}
