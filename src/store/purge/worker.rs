//! The threads of a purge: what each does with a task, and when more of them are started.

use std::ffi::CString;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::thread::Scope;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, FileType, RawDir, RenameFlags, renameat_with, statat, unlinkat};
use rustix::io::Errno;

use super::{Folder, Purge, Task};
use crate::model::progress::Progress;
use crate::store::dirs::{device_of, open_folder};
use crate::store::trash::NOTES;

/// Names that are unlinked together.
const CHUNK: usize = 1024;
/// Chunks that may wait before a reader does its own.
const MOST_WAITING: usize = 64;
/// A mean time of a call above this, for each worker at work that a core has, means that more workers may help:
/// those that share a core wait for each other too. With 30 instead of 40 a purge beside programs that
/// kept the cores busy took waits for threads without a core for waits for the disk.
const SLOW: Duration = Duration::from_micros(40);
/// How long calls are counted before their mean is taken.
const WINDOW: Duration = Duration::from_millis(5);
/// The same in a folder that several workers unlink in, where single waits say less.
const SHARED_WINDOW: Duration = Duration::from_millis(20);
/// Subfolders that are handed out together while their folder is still read.
const TOGETHER: usize = 64;

/// How fast the calls of a worker are answered.
struct Pace {
    since: Instant,
    calls: u32,
    is_slow: bool,
}

impl Pace {
    fn new(is_slow: bool) -> Self {
        Self {
            since: Instant::now(),
            calls: 0,
            is_slow,
        }
    }

    /// Counts a call. Gives the time of a window and its calls where it ends with this one.
    fn step(&mut self, window: Duration) -> Option<(Duration, u32)> {
        self.calls += 1;
        let passed = self.since.elapsed();
        (passed >= window).then_some((passed, self.calls))
    }
}

/// What the kernel says of this thread so far; nothing where it does not tell.
#[derive(Default, Clone, Copy)]
struct Spent {
    /// Time on a core.
    ran: Duration,
    /// Time in which it could have run and had no core.
    unrun: Duration,
}

impl Spent {
    fn so_far() -> Self {
        // Nanoseconds on a core, nanoseconds waiting for one, number of times that it got one.
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        let mut words = text.split(' ').map(|word| word.parse().unwrap_or_default());
        let mut next = || Duration::from_nanos(words.next().unwrap_or_default());
        Self {
            ran: next(),
            unrun: next(),
        }
    }
}

/// A worker with a task. One that panics is done as well: the others do not wait for it.
struct Running<'p, 'a>(&'p Purge<'a>);

impl Drop for Running<'_, '_> {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.running -= 1;
        let idle = queue.running == 0;
        drop(queue);
        if idle {
            self.0.changed.notify_all();
        }
    }
}

/// A thread that does tasks until none is left.
pub(crate) struct Worker<'scope, 'env, 'a> {
    purge: &'scope Purge<'a>,
    scope: &'scope Scope<'scope, 'env>,
    /// Tasks that follow from what it does, not handed out yet.
    more: Vec<Task>,
    pace: Pace,
    /// What the kernel said when it was last asked.
    spent: Spent,
}

impl<'scope, 'env, 'a: 'scope> Worker<'scope, 'env, 'a> {
    pub(crate) fn new(purge: &'scope Purge<'a>, scope: &'scope Scope<'scope, 'env>) -> Self {
        Self {
            purge,
            scope,
            more: Vec::new(),
            pace: Pace::new(false),
            spent: Spent::so_far(),
        }
    }

    pub(crate) fn work(mut self) {
        let mut buffer = vec![MaybeUninit::uninit(); 64 << 10];
        while let Some(task) = self.take() {
            let running = Running(self.purge);
            let mut next = Some(task);
            while let Some(task) = next.take() {
                if self.purge.is_late() {
                    self.purge.leave(task);
                } else {
                    self.perform(task, &mut buffer);
                }
                // The last subfolder is entered at once, by this worker: a chain of folders never
                // goes through the queue.
                next = self.more.pop();
                self.hand_out();
            }
            drop(running);
        }
    }

    /// Waits for a task; none where all are done.
    fn take(&mut self) -> Option<Task> {
        let mut queue = self.purge.lock();
        loop {
            if let Some(task) = queue.tasks.pop() {
                queue.running += 1;
                return Some(task);
            }
            if queue.running == 0 {
                self.purge.changed.notify_all();
                return None;
            }
            queue = self
                .purge
                .changed
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
            // The wait for something to do says nothing of the disk.
            self.pace = Pace::new(self.pace.is_slow);
        }
    }

    /// Puts what follows where other workers find it. Where calls wait and no worker is free,
    /// one more is started.
    fn hand_out(&mut self) {
        let is_slow = self.pace.is_slow;
        if self.more.is_empty() && !is_slow {
            return;
        }
        let purge = self.purge;
        let mut queue = purge.lock();
        let found = self.more.len();
        queue.tasks.append(&mut self.more);
        let free = queue.workers - queue.running;
        if is_slow && queue.tasks.len() > free && queue.workers < purge.most_workers() {
            purge.start_worker(self.scope, &mut queue);
        }
        drop(queue);
        (0..found.min(free)).for_each(|_| purge.changed.notify_one());
    }

    /// Notes that a call has returned; where calls wait, others get what there is to do.
    /// `is_shared`: others unlink in the same folder.
    fn step(&mut self, is_shared: bool) {
        let window = if is_shared { SHARED_WINDOW } else { WINDOW };
        let Some((passed, calls)) = self.pace.step(window) else {
            return;
        };
        // Those that wait for something to do share no core.
        let running = u32::try_from(self.purge.lock().running).unwrap_or(u32::MAX);
        let workers = running.max(self.purge.cores);
        let limit = SLOW * workers / self.purge.cores;
        self.pace = Pace::new(
            passed / calls > limit && {
                let Spent { ran, unrun } = self.spent_of(passed);
                let answered = passed - unrun;
                match is_shared {
                    false => answered / calls > limit && answered > ran * 2,
                    true => answered * 4 > ran * workers * 5,
                }
            },
        );
        if self.pace.is_slow {
            self.hand_out();
        }
    }

    /// How it spent the time that has passed, and the time before that in which nobody asked.
    fn spent_of(&mut self, passed: Duration) -> Spent {
        let now = Spent::so_far();
        let before = std::mem::replace(&mut self.spent, now);
        Spent {
            ran: now.ran.saturating_sub(before.ran),
            unrun: now.unrun.saturating_sub(before.unrun).min(passed),
        }
    }

    fn perform(&mut self, task: Task, buffer: &mut [MaybeUninit<u8>]) {
        match task {
            Task::List(folder) => {
                self.list(&folder, buffer);
                self.purge.finish(folder);
            }
            Task::Enter(parent, name, rounds) => self.enter(parent, name, rounds, buffer),
            Task::Unlink(folder, names) => {
                self.unlink(&folder, names);
                self.purge.finish(folder);
            }
        }
    }

    fn enter(
        &mut self,
        parent: Arc<Folder>,
        name: CString,
        rounds: u32,
        buffer: &mut [MaybeUninit<u8>],
    ) {
        let purge = self.purge;
        let opened = open_folder(&parent.fd, name.as_c_str());
        self.step(false);
        let fd = match opened {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return purge.finish(parent),
            // Swapped for something that is no folder since its name was read: a name to unlink.
            Err(Errno::NOTDIR | Errno::LOOP) => {
                self.unlink(&parent, vec![(0, name)]);
                return purge.finish(parent);
            }
            Err(errno) => {
                purge.fail(&parent, &name, &errno.to_string());
                return purge.finish(parent);
            }
        };
        if device_of(fd.as_fd(), &purge.path).ok() != Some(purge.device) {
            purge.fail(&parent, &name, "it is on another file system");
            return purge.finish(parent);
        }
        purge.live.fetch_add(1, Ordering::Relaxed);
        let folder = Arc::new(Folder {
            parent: Some(parent),
            name,
            fd,
            open: AtomicUsize::new(1),
            shared: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            rounds,
        });
        self.list(&folder, buffer);
        purge.finish(folder);
    }

    /// Reads a folder: files are unlinked in chunks, subfolders become tasks.
    fn list(&mut self, folder: &Arc<Folder>, buffer: &mut [MaybeUninit<u8>]) {
        let is_root = folder.parent.is_none();
        let mut chunk = Vec::new();
        // Every listing has a descriptor that was opened for it, so it starts at the first entry.
        let mut entries = RawDir::new(&folder.fd, buffer);
        while let Some(entry) = entries.next() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(errno) => {
                    self.purge.fail(folder, c".", &errno.to_string());
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
                FileType::Unknown => statat(&folder.fd, name, AtFlags::SYMLINK_NOFOLLOW)
                    .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory),
                _ => false,
            };
            if is_folder {
                self.subfolder(folder, name.to_owned());
                if self.more.len() >= TOGETHER {
                    self.hand_out();
                }
                continue;
            }
            chunk.push((entry.ino(), name.to_owned()));
            if chunk.len() == CHUNK {
                self.hand_over(folder, std::mem::take(&mut chunk));
            }
        }
        if self.pace.is_slow {
            self.hand_out();
        }
        self.unlink(folder, chunk);
    }

    /// Lets another worker unlink a chunk, unless enough are waiting.
    fn hand_over(&mut self, folder: &Arc<Folder>, chunk: Vec<(u64, CString)>) {
        folder.shared.store(true, Ordering::Relaxed);
        let mut queue = self.purge.lock();
        if queue.tasks.len() >= MOST_WAITING {
            drop(queue);
            return self.unlink(folder, chunk);
        }
        folder.open.fetch_add(1, Ordering::Relaxed);
        queue.tasks.push(Task::Unlink(Arc::clone(folder), chunk));
        drop(queue);
        self.purge.changed.notify_one();
    }

    fn subfolder(&mut self, folder: &Arc<Folder>, name: CString) {
        let purge = self.purge;
        let parent =
            if folder.parent.is_some() && purge.live.load(Ordering::Relaxed) >= purge.budget {
                // Too many folders are open above this one: it goes up and no longer holds them.
                let up = format!(
                    "deep-{}-{}",
                    std::process::id(),
                    purge.moved.fetch_add(1, Ordering::Relaxed)
                );
                let Ok(up) = CString::new(up) else { return };
                let flags = RenameFlags::NOREPLACE;
                match renameat_with(
                    &folder.fd,
                    name.as_c_str(),
                    &purge.root.fd,
                    up.as_c_str(),
                    flags,
                ) {
                    Ok(()) => {
                        purge.root.open.fetch_add(1, Ordering::Relaxed);
                        self.more.push(Task::Enter(Arc::clone(&purge.root), up, 0));
                        return;
                    }
                    Err(_) => folder,
                }
            } else {
                folder
            };
        parent.open.fetch_add(1, Ordering::Relaxed);
        self.more.push(Task::Enter(Arc::clone(parent), name, 0));
    }

    fn unlink(&mut self, folder: &Arc<Folder>, mut names: Vec<(u64, CString)>) {
        names.sort_unstable_by_key(|(inode, _)| *inode);
        let is_shared = folder.shared.load(Ordering::Relaxed);
        let mut files = 0;
        for (_, name) in names {
            match unlinkat(&folder.fd, name.as_c_str(), AtFlags::empty()) {
                Ok(()) => files += 1,
                Err(Errno::NOENT) => {}
                Err(Errno::ISDIR) => self.subfolder(folder, name),
                Err(errno) => self.purge.fail(folder, &name, &errno.to_string()),
            }
            self.step(is_shared);
        }
        if files == 0 {
            return;
        }
        self.purge
            .report
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .files += files;
        self.purge.monitor.advance(Progress {
            items: files,
            files,
            bytes: files * self.purge.options.mean_bytes,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::progress::Silent;
    use crate::store::purge::PurgeOptions;
    use crate::store::trash::TrashFolder;

    /// In a chain of folders one worker is left with all of it, where it keeps what it finds to itself.
    #[test]
    fn workers_that_wait_for_something_to_do_do_not_make_the_disk_seem_fast() {
        let folder = tempfile::tempdir().unwrap();
        let trash = TrashFolder {
            fd: open_folder(rustix::fs::CWD, folder.path()).unwrap(),
            path: folder.path().to_owned(),
        };
        let purge = Purge::of(&trash, PurgeOptions::default(), &Silent).unwrap();
        {
            let mut queue = purge.lock();
            queue.workers = purge.most_workers();
            queue.running = 1;
        }
        std::thread::scope(|scope| {
            let mut worker = Worker::new(&purge, scope);
            // Calls of a tenth of a millisecond, in which the worker is off its core.
            worker.pace.calls = 99;
            std::thread::sleep(WINDOW * 2);
            worker.step(false);
            assert!(worker.pace.is_slow);
        });
    }
}
