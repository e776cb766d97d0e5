//! The queue in front of write transactions.
//!
//! SQLite's own busy handler starves writers. So whoever wants to write takes the `queue` lock,
//! then the `turn` lock, lets `queue` go, writes, and lets `turn` go. The kernel hands locks out
//! in order and takes them back from killed processes. Both are `flock`s on empty files beside
//! the catalog, opened anew for every turn, so that threads queue like processes and a fork in
//! another thread inherits nothing that outlives the unlock.
//!
//! A turn is for a few writes: whoever comes back soon takes `turn` again without getting in line,
//! [`SLICE`] times at most, and the first in line leaves it that much time by looking now and then
//! rather than being woken at once: handing the catalog over after every single write costs half as
//! much as the write. Shares stay equal, because a slice is counted in writes, and nobody waits long,
//! because it is short.
//!
//! Locks: `<catalog>.queue` from being the first in line to having the turn, `<catalog>.turn` for as
//! long as the transaction lasts. A crash leaves two empty files.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::error::CatalogError;
use crate::monitor::Interrupt;

/// After this long, whoever waits is told who holds the lock.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);
/// How often the kernel's list of locks is read for one. It comes in pieces: where others before it are
/// freed meanwhile, it is left out.
const LOOKS: usize = 4;

/// How often a waiting writer asks whether it is to go on waiting.
const GLANCE: Duration = Duration::from_millis(100);

/// So many times a handle may write without getting in line again.
const SLICE: u32 = 8;

/// After this long a slice is over, however often its handle has written. Where a write took about a
/// millisecond, 4 instead of 2 let others wait 1.6 times as long, for a rate that differed by less
/// than the rounds did.
const SLICE_TIME: Duration = Duration::from_millis(2);

/// How often the first in line looks, for as long as a slice lasts.
const NAP: Duration = Duration::from_micros(300);

/// Is told who holds the catalog when a writer has waited for a while.
pub type OnWait = dyn Fn(&str) + Send + Sync;

/// Hands out turns to write to one catalog.
pub(crate) struct WriteQueue {
    catalog: PathBuf,
    queue: PathBuf,
    turn: PathBuf,
    timeout: Duration,
    interrupt: Option<Interrupt>,
    /// When this handle last came to its turn by getting in line, and how often it may still take
    /// it again; none before it did.
    slice: Mutex<Option<(Instant, u32)>>,
}

/// The right to write, until it is dropped.
pub(crate) struct Turn {
    _lock: Lock,
}

/// A lock file, and the lock on it where it was taken.
struct Lock {
    path: PathBuf,
    file: File,
}

impl Lock {
    fn open(path: &Path) -> Result<Self, CatalogError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|error| CatalogError::io("opening", path, error))?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    /// Whether the lock could be taken at once.
    fn is_taken_at_once(&self) -> Result<bool, CatalogError> {
        match flock(&self.file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(errno) => Err(self.error(errno)),
        }
    }

    /// Takes the lock, however long that lasts. Who has it already goes on having it.
    fn take(&self) -> Result<(), CatalogError> {
        loop {
            match flock(&self.file, FlockOperation::LockExclusive) {
                Ok(()) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(self.error(errno)),
            }
        }
    }

    /// Takes the lock, and leaves whoever has it the rest of its slice first: a waiting call would be
    /// given it as soon as it is free for a moment.
    fn take_after_slice(&self) -> Result<(), CatalogError> {
        let start = Instant::now();
        while start.elapsed() < SLICE_TIME {
            if self.is_taken_at_once()? {
                return Ok(());
            }
            std::thread::sleep(NAP);
        }
        self.take()
    }

    fn error(&self, errno: Errno) -> CatalogError {
        CatalogError::io("locking", &self.path, errno.into())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Unlocked by name, not by closing: a child forked meanwhile may hold the same file open.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

impl WriteQueue {
    pub(crate) fn new(catalog: &Path, timeout: Duration) -> Self {
        let beside = |suffix: &str| {
            let mut name = catalog.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        Self {
            catalog: catalog.to_owned(),
            queue: beside(".queue"),
            turn: beside(".turn"),
            timeout,
            interrupt: None,
            slice: Mutex::new(None),
        }
    }

    /// Waits no longer than this allows.
    pub(crate) fn interrupted_by(mut self, interrupt: Option<Interrupt>) -> Self {
        self.interrupt = interrupt;
        self
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// [`CatalogError::LockTimeout`] after the queue's timeout, naming the holder;
    /// [`CatalogError::Interrupted`].
    pub(crate) fn wait(&self, on_wait: &OnWait) -> Result<Turn, CatalogError> {
        let turn = Lock::open(&self.turn)?;
        if self.is_in_slice() && turn.is_taken_at_once()? {
            return Ok(Turn { _lock: turn });
        }
        let turn = self.wait_in_line(turn, on_wait)?;
        *self.lock_slice() = Some((Instant::now(), SLICE - 1));
        Ok(turn)
    }

    /// Whether the turn may be taken once more; counts that.
    fn is_in_slice(&self) -> bool {
        match &mut *self.lock_slice() {
            Some((start, left)) if *left > 0 && start.elapsed() < SLICE_TIME => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }

    fn lock_slice(&self) -> MutexGuard<'_, Option<(Instant, u32)>> {
        self.slice.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_in_line(&self, turn: Lock, on_wait: &OnWait) -> Result<Turn, CatalogError> {
        let queue = Lock::open(&self.queue)?;
        if queue.is_taken_at_once()? && turn.is_taken_at_once()? {
            return Ok(Turn { _lock: turn });
        }
        // Only a waiting call keeps its place in the kernel's line, and it has no timeout: so a
        // thread waits, for both locks one after the other. Where nobody waits for the thread any
        // more, the turn comes to nothing, and is let go as soon as it is there.
        let (sender, receiver) = mpsc::sync_channel(1);
        std::thread::Builder::new()
            .name("dalsegno-queue".to_owned())
            .spawn(move || {
                let taken = queue.take().and_then(|()| turn.take_after_slice());
                drop(queue);
                let _ = sender.send(taken.map(|()| Turn { _lock: turn }));
            })
            .map_err(|error| CatalogError::io("waiting for", &self.queue, error))?;
        self.receive(&receiver, on_wait)
    }

    fn receive(
        &self,
        turn: &mpsc::Receiver<Result<Turn, CatalogError>>,
        on_wait: &OnWait,
    ) -> Result<Turn, CatalogError> {
        let start = Instant::now();
        let mut told = false;
        loop {
            let waited = start.elapsed();
            let limit = if told {
                self.timeout
            } else {
                self.timeout.min(PATIENCE)
            };
            let mut patience = limit.saturating_sub(waited);
            if let Some(interrupt) = &self.interrupt {
                if interrupt() {
                    let path = self.catalog.clone();
                    return Err(CatalogError::Interrupted { path });
                }
                patience = patience.min(GLANCE);
            }
            match turn.recv_timeout(patience) {
                Ok(turn) => return turn,
                Err(_) if start.elapsed() < limit => {}
                Err(_) if start.elapsed() >= self.timeout => {
                    return Err(CatalogError::LockTimeout {
                        path: self.catalog.clone(),
                        waited: self.timeout,
                        holder: self.holder(),
                    });
                }
                Err(_) if !told => {
                    told = true;
                    on_wait(
                        &self
                            .holder()
                            .unwrap_or_else(|| "another process".to_owned()),
                    );
                }
                Err(_) => {}
            }
        }
    }

    /// The process that holds the turn, as `pid 12 (command line)`, where the kernel tells.
    pub(crate) fn holder(&self) -> Option<String> {
        use std::os::unix::fs::MetadataExt;
        let inode = std::fs::metadata(&self.turn).ok()?.ino();
        let pid = (0..LOOKS).find_map(|_| {
            let locks = std::fs::read_to_string("/proc/locks").ok()?;
            locks.lines().find_map(|line| holder_of(line, inode))
        })?;
        let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let command = command.trim_end_matches('\0').replace('\0', " ");
        Some(match command.as_str() {
            "" => format!("pid {pid}"),
            command => format!("pid {pid} ({})", command.escape_debug()),
        })
    }
}

/// The pid of a line of `/proc/locks`, where it is a held lock on this inode:
/// `1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF`. Waiting ones have `->` behind the number.
fn holder_of(line: &str, inode: u64) -> Option<u32> {
    let mut words = line.split_whitespace().skip(1);
    if words.next()? != "FLOCK" {
        return None;
    }
    let mut words = words.skip(2);
    let pid = words.next()?.parse().ok()?;
    let place = words.next()?;
    (place.rsplit(':').next()?.parse() == Ok(inode)).then_some(pid)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn held_locks_are_told_from_waiting_ones() {
        let line = "1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF";
        assert_eq!(holder_of(line, 5678), Some(1234));
        assert_eq!(holder_of(line, 5679), None);
        assert_eq!(
            holder_of("1: -> FLOCK  ADVISORY  WRITE 99 fe:00:5678 0 EOF", 5678),
            None
        );
        assert_eq!(
            holder_of("2: POSIX  ADVISORY  WRITE 99 fe:00:5678 0 EOF", 5678),
            None
        );
    }

    #[test]
    fn a_turn_that_is_held_times_out_and_names_this_process() {
        let folder = tempfile::tempdir().unwrap();
        let queue = WriteQueue::new(&folder.path().join("c"), Duration::ZERO);
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
        let patient = WriteQueue::new(&folder.path().join("c"), Duration::from_secs(60));
        patient.wait(&|_| {}).unwrap();
    }

    #[test]
    fn who_waits_in_line_lets_one_slice_pass_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = folder.path().join("c");
        let first = WriteQueue::new(&catalog, Duration::from_secs(60));
        let second = WriteQueue::new(&catalog, Duration::from_secs(60));
        let is_served = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let turn = first.wait(&|_| {}).unwrap();
            scope.spawn(|| {
                let _turn = second.wait(&|_| {}).unwrap();
                is_served.store(true, Ordering::SeqCst);
            });
            // It is the first in line once it holds the queue.
            let queue = Lock::open(&first.queue).unwrap();
            while queue.is_taken_at_once().unwrap() {
                flock(&queue.file, FlockOperation::Unlock).unwrap();
                std::thread::yield_now();
            }
            drop(turn);
            let mut again = 0;
            loop {
                let _turn = first.wait(&|_| {}).unwrap();
                if is_served.load(Ordering::SeqCst) {
                    break;
                }
                again += 1;
                assert!(again < SLICE, "its slice does not end");
            }
        });
    }

    #[test]
    fn threads_never_hold_a_turn_together() {
        let folder = tempfile::tempdir().unwrap();
        let queue = WriteQueue::new(&folder.path().join("c"), Duration::from_secs(60));
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
