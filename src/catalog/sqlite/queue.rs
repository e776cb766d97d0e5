//! The queue in front of write transactions.
//!
//! SQLite's own busy handler starves writers. So a writer takes the `queue` lock,
//! then the `turn` lock, writes, and lets both go. The kernel hands locks out in order and takes
//! them back from killed processes. Both are [`LockFile`]s beside the catalog, opened again for
//! every turn, so that threads queue like processes and a fork in another thread inherits nothing
//! that outlives the unlock.
//!
//! Handing the catalog over after every single write costs half as much as the write. So a writer
//! that comes back soon takes `turn` again without getting in line, for as long as its [`SLICE`]
//! lasts, and the first in line looks now and then rather than being woken. Slices are equally
//! long, so shares are nearly equal.
//!
//! Locks: `<catalog>.queue` from being the first in line to the end of the slice's first
//! transaction, `<catalog>.turn` for as long as a transaction lasts. Were `queue` let go before the
//! first transaction, a writer that was overtaken within its slice would be back in line before
//! those who wait have woken. A crash leaves two empty files.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use rustix::fs::FileType;

use super::changes;
use super::place::Place;
use crate::catalog::error::CatalogError;
use crate::disk::LockFile;
use crate::model::progress::Interrupt;

/// After this long, a waiting writer learns which process holds the lock.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);
/// How often the kernel's list of locks is read for one. It comes in pieces: if others before it
/// are freed meanwhile, it is left out.
const LOOKS: usize = 4;

/// How often a waiting writer asks whether it is to go on waiting.
const GLANCE: Duration = Duration::from_millis(100);

/// A wait that begins so soon after another is part of it.
const SOON: Duration = Duration::from_secs(1);

/// For so long a handle may take the turn again without getting in line. With 4 instead of 3 ms
/// others waited 1.25 times as long, for the same rate; 2 ms took a tenth off the rate.
const SLICE: Duration = Duration::from_millis(3);

/// The first in line naps for this long before it looks again, or for this share of how long it has
/// been the first.
const NAP: Duration = Duration::from_micros(200);
const NAP_SHARE: u32 = 16;

/// Called with the process that holds the catalog when a writer has waited for a while.
pub type OnWait = dyn Fn(&str) + Send + Sync;

/// Hands out turns to write to one catalog.
pub(crate) struct WriteQueue {
    catalog: Arc<Place>,
    timeout: Duration,
    interrupt: Option<Interrupt>,
    /// When this handle last came to its turn by getting in line.
    slice: Mutex<Option<Instant>>,
    /// A wait that opening gave up, or was over with: the next one goes on with it.
    before: Mutex<Option<Before>>,
}

/// A wait that is over.
struct Before {
    began: Instant,
    ended: Instant,
}

/// The right to write, until it is dropped.
pub(crate) struct Turn {
    _turn: Lock,
    _queue: Option<Lock>,
}

/// What the names of the lock files end in.
pub(super) const QUEUE: &str = ".queue";
pub(super) const TURN: &str = ".turn";

/// A lock file and its path.
struct Lock {
    path: PathBuf,
    file: LockFile,
}

/// How long a writer goes on waiting.
struct Patience<'a> {
    queue: &'a WriteQueue,
    on_wait: &'a OnWait,
    timeout: Duration,
    start: Instant,
    is_reported: bool,
}

impl Patience<'_> {
    /// How long to wait before this is asked again. Reports the holder once [`PATIENCE`] is over.
    ///
    /// # Errors
    /// [`CatalogError::LockTimeout`] if the queue's timeout is over, [`CatalogError::Interrupted`]
    /// if the caller cancels.
    fn glance(&mut self) -> Result<Duration, CatalogError> {
        let queue = self.queue;
        if queue
            .interrupt
            .as_ref()
            .is_some_and(|interrupt| interrupt())
        {
            return Err(CatalogError::Interrupted {
                path: queue.catalog.path().to_owned(),
            });
        }
        let waited = self.start.elapsed();
        let left = self.timeout.saturating_sub(waited);
        if left.is_zero() {
            return Err(CatalogError::LockTimeout {
                path: queue.catalog.path().to_owned(),
                waited: self.timeout,
                holder: queue.holder(),
            });
        }
        if !self.is_reported && waited >= PATIENCE {
            self.is_reported = true;
            let holder = queue.holder();
            (self.on_wait)(holder.as_deref().unwrap_or("another process"));
        }
        Ok(left.min(GLANCE))
    }
}

impl Lock {
    fn open(catalog: &Place, suffix: &str) -> Result<Self, CatalogError> {
        let path = catalog.path().with_file_name(catalog.beside(suffix));
        match LockFile::open(catalog, &catalog.beside(suffix)) {
            Ok(file) => Ok(Self { path, file }),
            Err(error) => {
                // The system's own words ("too many levels of links") do not say what to do.
                let found = catalog.stat(suffix).ok().flatten();
                let what = match found.map(|stat| FileType::from_raw_mode(stat.st_mode)) {
                    Some(FileType::Symlink) => {
                        "it is a symbolic link; move away the link itself, not what it points to"
                    }
                    Some(FileType::RegularFile) | None => {
                        return Err(CatalogError::io("opening", &path, error));
                    }
                    Some(_) => "it is not a regular file; move it away",
                };
                let error = std::io::Error::new(error.kind(), what);
                Err(CatalogError::io("opening", &path, error))
            }
        }
    }

    /// Whether the lock could be taken at once.
    fn is_taken_at_once(&self) -> Result<bool, CatalogError> {
        self.file.try_take().map_err(|error| self.error(error))
    }

    /// Takes the lock, however long that lasts.
    fn take(&self) -> Result<(), CatalogError> {
        self.file.take().map_err(|error| self.error(error))
    }

    fn error(&self, error: std::io::Error) -> CatalogError {
        CatalogError::io("locking", &self.path, error)
    }
}

impl WriteQueue {
    pub(in crate::catalog) fn new(catalog: Arc<Place>, timeout: Duration) -> Self {
        Self {
            catalog,
            timeout,
            interrupt: None,
            slice: Mutex::new(None),
            before: Mutex::new(None),
        }
    }

    /// Lets the next wait, if it begins soon, have begun at a time in the past: opening has waited
    /// since then, and the caller gave one timeout for both.
    pub(in crate::catalog) fn waits_since(&self, began: Instant) {
        let ended = Instant::now();
        *self.lock_before() = Some(Before { began, ended });
    }

    /// When a wait that begins now has begun.
    fn start(&self) -> Instant {
        let before = self.lock_before().take();
        let before = before.filter(|before| before.ended.elapsed() < SOON);
        before.map_or_else(Instant::now, |before| before.began)
    }

    fn lock_before(&self) -> MutexGuard<'_, Option<Before>> {
        self.before.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the interrupt that ends a wait.
    pub(crate) fn interrupted_by(mut self, interrupt: Option<Interrupt>) -> Self {
        self.interrupt = interrupt;
        self
    }

    /// Sets how long [`WriteQueue::wait`] waits.
    pub(in crate::catalog) fn wait_by_default(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// [`CatalogError::LockTimeout`] after the queue's timeout, naming the holder;
    /// [`CatalogError::Interrupted`] if the caller cancels.
    pub(crate) fn wait(&self, on_wait: &OnWait) -> Result<Turn, CatalogError> {
        self.wait_at_most(self.timeout, on_wait)
    }

    /// The same with a timeout of its own.
    ///
    /// # Errors
    /// As [`WriteQueue::wait`].
    pub(crate) fn wait_at_most(
        &self,
        timeout: Duration,
        on_wait: &OnWait,
    ) -> Result<Turn, CatalogError> {
        let turn = Lock::open(&self.catalog, TURN)?;
        // If another process took the turn within the slice, this one gets in line like all others.
        if self.is_in_slice() && turn.is_taken_at_once()? {
            changes::begin();
            return Ok(Turn {
                _turn: turn,
                _queue: None,
            });
        }
        let turn = self.wait_in_line(turn, timeout, on_wait)?;
        changes::begin();
        // The slice begins with the turn, not with the wait.
        *self.lock_slice() = Some(Instant::now());
        Ok(turn)
    }

    fn is_in_slice(&self) -> bool {
        self.lock_slice()
            .is_some_and(|start| start.elapsed() < SLICE)
    }

    fn lock_slice(&self) -> MutexGuard<'_, Option<Instant>> {
        self.slice.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_in_line(
        &self,
        turn: Lock,
        timeout: Duration,
        on_wait: &OnWait,
    ) -> Result<Turn, CatalogError> {
        let mut patience = Patience {
            queue: self,
            on_wait,
            timeout,
            start: self.start(),
            is_reported: false,
        };
        let mut queue = Lock::open(&self.catalog, QUEUE)?;
        // Mostly it is free, and no thread is needed to wait for it.
        if !queue.is_taken_at_once()? {
            queue = self.wait_for(queue, &mut patience)?;
        }
        // Only the first in line polls for the turn. Lock order is always queue before turn.
        let first = Instant::now();
        while !turn.is_taken_at_once()? {
            // Naps grow with the wait, so that they cost the writer little.
            let nap = (first.elapsed() / NAP_SHARE).max(NAP);
            std::thread::sleep(nap.min(patience.glance()?));
        }
        Ok(Turn {
            _turn: turn,
            _queue: Some(queue),
        })
    }

    /// Waits to be the first in line. Only a waiting call keeps its place in the kernel's line, and
    /// it has no timeout: so a thread waits. If its caller has given up, it lets the
    /// lock go as soon as it has it.
    fn wait_for(&self, queue: Lock, patience: &mut Patience<'_>) -> Result<Lock, CatalogError> {
        let (sender, receiver) = mpsc::sync_channel(1);
        std::thread::Builder::new()
            .name("dalsegno-queue".to_owned())
            .spawn(move || {
                // If the caller has given up, sending fails and drops the lock.
                let _ = sender.send(queue.take().map(|()| queue));
            })
            .map_err(|error| CatalogError::io("waiting for", self.catalog.path(), error))?;
        loop {
            if let Ok(queue) = receiver.recv_timeout(patience.glance()?) {
                return queue;
            }
        }
    }

    /// The process that holds the turn, as `pid 12 (command line)`, if the kernel shows it.
    pub(crate) fn holder(&self) -> Option<String> {
        holder_of_file(&self.catalog, TURN)
    }
}

/// The process that holds the lock file beside a catalog whose name ends in `suffix`, as
/// [`WriteQueue::holder`].
pub(super) fn holder_of_file(catalog: &Place, suffix: &str) -> Option<String> {
    let inode = catalog.stat(suffix).ok()??.st_ino;
    let pid = (0..LOOKS).find_map(|_| {
        let locks = std::fs::read_to_string("/proc/locks").ok()?;
        locks
            .lines()
            .find_map(|line| holder_of(line, "FLOCK", inode))
    });
    // A process that took the lock and did not show itself.
    Some(process(pid.or_else(|| opened_with_lock(inode))?))
}

/// The process with a file open by which it holds a lock on this inode: the kernel's list names
/// none for such a lock. Of other users' processes only root sees it.
fn opened_with_lock(inode: u64) -> Option<u32> {
    let holds = |info: PathBuf| {
        let text = std::fs::read_to_string(info).unwrap_or_default();
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("lock:"));
        lines.any(|line| {
            let mut words = line.split_whitespace().skip(1);
            let is_open = words.next() == Some("OFDLCK");
            let place = words.nth(3).unwrap_or_default();
            is_open && place.rsplit(':').next().and_then(|last| last.parse().ok()) == Some(inode)
        })
    };
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.find(|pid: &u32| {
        let files = std::fs::read_dir(format!("/proc/{pid}/fdinfo")).ok();
        files.is_some_and(|files| files.flatten().any(|file| holds(file.path())))
    })
}

/// The process that keeps all others from opening a catalog because it reads the log again, as
/// after a writer was killed, if the kernel shows it. Says whether it is stopped.
pub(super) fn recovering(catalog: &Place) -> Option<String> {
    let inode = catalog.stat("-shm").ok()??.st_ino;
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let pid = locks
        .lines()
        .filter(|line| line.contains(" WRITE "))
        .find_map(|line| holder_of(line, "POSIX", inode))?;
    // `12 (name) T …`; a name may hold anything. `t`: by a debugger.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let is_stopped = state.starts_with(['T', 't']);
    let stopped = if is_stopped { ", which is stopped" } else { "" };
    Some(format!("{}{stopped}", process(pid)))
}

/// A process with its command line.
fn process(pid: u32) -> String {
    // Another user's process may hide it; the pid alone still helps.
    let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let command = command.trim_end_matches('\0').replace('\0', " ");
    match command.as_str() {
        "" => format!("pid {pid}"),
        command => format!("pid {pid} ({})", command.escape_debug()),
    }
}

/// `pid 12 (/usr/bin/python train.py --key K)` without what follows the program.
pub(super) fn without_arguments(holder: &str) -> String {
    match holder.split_once(" (") {
        Some((pid, command)) => {
            let program = command.trim_end_matches(')').split(' ').next();
            format!("{pid} ({})", program.unwrap_or_default())
        }
        None => holder.to_owned(),
    }
}

/// The pid of a line of `/proc/locks`, if it is a held lock of this kind on this inode:
/// `1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF`. Waiting ones have `->` behind the number.
fn holder_of(line: &str, kind: &str, inode: u64) -> Option<u32> {
    let mut words = line.split_whitespace().skip(1);
    if words.next()? != kind {
        return None;
    }
    let mut words = words.skip(2);
    let pid = words.next()?.parse().ok()?;
    let place = words.next()?;
    // The device is left out: for btrfs it is not the one that `stat` gives.
    (place.rsplit(':').next()?.parse() == Ok(inode)).then_some(pid)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn queue_of(catalog: &std::path::Path, timeout: Duration) -> WriteQueue {
        WriteQueue::new(Arc::new(Place::of(catalog).unwrap()), timeout)
    }

    #[test]
    fn held_locks_are_told_from_waiting_ones() {
        let line = "1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF";
        assert_eq!(holder_of(line, "FLOCK", 5678), Some(1234));
        assert_eq!(holder_of(line, "FLOCK", 5679), None);
        assert_eq!(
            holder_of(
                "1: -> FLOCK  ADVISORY  WRITE 99 fe:00:5678 0 EOF",
                "FLOCK",
                5678
            ),
            None
        );
        assert_eq!(
            holder_of(
                "2: POSIX  ADVISORY  WRITE 99 fe:00:5678 0 EOF",
                "FLOCK",
                5678
            ),
            None
        );
    }

    #[test]
    fn a_turn_that_is_held_times_out_and_names_this_process() {
        let folder = tempfile::tempdir().unwrap();
        let queue = queue_of(&folder.path().join("c"), Duration::ZERO);
        let turn = queue.wait(&|_| {}).unwrap();
        let Err(CatalogError::LockTimeout { holder, .. }) = queue.wait(&|_| {}) else {
            panic!("a second turn was given out");
        };
        assert!(
            holder
                .unwrap()
                .starts_with(&format!("pid {} ", std::process::id()))
        );
        drop(turn);
        // The waiter that was given up on may have the lock for a moment.
        let patient = queue_of(&folder.path().join("c"), Duration::from_secs(60));
        patient.wait(&|_| {}).unwrap();
    }

    #[test]
    fn whose_slice_is_over_gets_in_line_behind_who_waits() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = folder.path().join("c");
        let first = queue_of(&catalog, Duration::from_secs(60));
        let second = queue_of(&catalog, Duration::from_secs(60));
        let is_served = AtomicBool::new(false);
        std::thread::scope(|scope| {
            // The first turn lets the queue go, and the slice goes on.
            drop(first.wait(&|_| {}).unwrap());
            let turn = Lock::open(&first.catalog, TURN).unwrap();
            assert!(turn.is_taken_at_once().unwrap());
            scope.spawn(|| {
                let _turn = second.wait(&|_| {}).unwrap();
                is_served.store(true, Ordering::SeqCst);
            });
            // It is the first in line once it holds the queue.
            let queue = Lock::open(&first.catalog, QUEUE).unwrap();
            while queue.is_taken_at_once().unwrap() {
                queue.file.release();
                std::thread::yield_now();
            }
            std::thread::sleep(SLICE);
            drop(turn);
            let _turn = first.wait(&|_| {}).unwrap();
            assert!(is_served.load(Ordering::SeqCst));
        });
    }

    #[test]
    fn whoever_waits_to_be_the_first_is_told_who_writes_and_may_stop() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = folder.path().join("c");
        // Its first transaction: both locks.
        let holder = queue_of(&catalog, Duration::from_secs(60));
        let _turn = holder.wait(&|_| {}).unwrap();
        let is_reported = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&is_reported);
        let queue = queue_of(&catalog, Duration::from_secs(60))
            .interrupted_by(Some(Arc::new(move || asked.load(Ordering::SeqCst))));
        let result = queue.wait(&move |holder| {
            assert!(holder.starts_with(&format!("pid {} ", std::process::id())));
            is_reported.store(true, Ordering::SeqCst);
        });
        assert!(matches!(result, Err(CatalogError::Interrupted { .. })));
    }

    #[test]
    fn threads_never_hold_a_turn_together() {
        let folder = tempfile::tempdir().unwrap();
        let queue = queue_of(&folder.path().join("c"), Duration::from_secs(60));
        let held = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let turn = queue.wait(&|_| {}).unwrap();
                        assert!(!held.swap(true, Ordering::SeqCst));
                        assert!(held.swap(false, Ordering::SeqCst));
                        drop(turn);
                    }
                });
            }
        });
    }
}
