//! The threads that do the work of this folder: they share a stack of tasks, each of which may
//! leave further tasks.
//!
//! The stack is last in, first out: what a task leaves is done before what was there, so the stack
//! stays as small as the tree is deep. Threads are started as tasks pile up, so a small job costs
//! one thread. Results go to the calling thread in batches; if it refuses one, all threads end.
//!
//! The threads have a lower priority than the calling thread. In a scan that thread writes every
//! row and all wait for it: with an equal share of the cores it would fall behind. A purge runs
//! beside trainings and should not take their cores.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;

use rustix::process::{getpriority_process, setpriority_process};

/// The work is to end: results are no longer taken, or the task saw a reason to stop.
pub(crate) struct Stopped;

/// Results that are sent together: waking the receiver costs more than finding one result.
const BATCH: usize = 128;

/// Batches that may wait for the receiver before senders block.
const MOST_BATCHES: usize = 32;

/// What the threads add to the nice value of the calling thread. 5 is a third of an equal share of
/// a core.
const NICE: i32 = 5;
/// The lowest priority of Linux.
const NICEST: i32 = 19;

/// Takes the results of one thread; blocks if the calling thread falls behind.
pub(crate) struct Sender<V> {
    channel: SyncSender<Vec<V>>,
    batch: RefCell<Vec<V>>,
}

impl<V> Sender<V> {
    fn new(channel: SyncSender<Vec<V>>) -> Self {
        Self {
            channel,
            batch: RefCell::default(),
        }
    }

    /// Sends a result.
    ///
    /// # Errors
    /// [`Stopped`] if the calling thread takes no more results.
    pub(crate) fn send(&self, result: V) -> Result<(), Stopped> {
        let mut batch = self.batch.borrow_mut();
        batch.push(result);
        if batch.len() < BATCH {
            return Ok(());
        }
        self.channel
            .send(std::mem::take(&mut *batch))
            .map_err(|_| Stopped)
    }

    fn flush(&self) -> Result<(), Stopped> {
        let batch = self.batch.take();
        match batch.is_empty() {
            true => Ok(()),
            false => self.channel.send(batch).map_err(|_| Stopped),
        }
    }
}

/// What the threads share.
struct PoolState<T> {
    tasks: Vec<T>,
    /// Tasks that were taken and are not finished.
    running: usize,
    /// Threads that wait for a task.
    idle: usize,
    /// Threads that were started.
    threads: usize,
    is_stopped: bool,
    /// The first panic of a task.
    panic: Option<Box<dyn Any + Send>>,
}

impl<T> PoolState<T> {
    fn is_over(&self) -> bool {
        self.is_stopped || (self.tasks.is_empty() && self.running == 0)
    }
}

type Perform<'a, T, S, V> =
    &'a (dyn Fn(T, &mut S, &mut Vec<T>, &Sender<V>) -> Result<(), Stopped> + Sync);

struct Pool<'a, T, S, V> {
    state: Mutex<PoolState<T>>,
    changed: Condvar,
    most_threads: usize,
    /// Nice value of the threads; `None` if the system does not give that of the calling thread.
    nice: Option<i32>,
    scratch: &'a (dyn Fn() -> S + Sync),
    perform: Perform<'a, T, S, V>,
}

/// The number of threads that most commands use: they wait for the disk more than they compute.
pub(crate) fn default_threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (4 * cores).clamp(8, 16)
}

/// Performs tasks, the last first, until none is left, and gives each result to `emit`, on this
/// thread. `perform` gets a task, what `scratch` made for its thread, a list for the tasks that
/// follow from it (the last is done first), and the sender of results.
///
/// # Errors
/// What `emit` returns; the work then ends.
///
/// # Panics
/// If a task panics: all threads end, and the panic goes on here. If not even one thread can be
/// started.
pub(crate) fn run<T: Send, S, V: Send, E>(
    most_threads: usize,
    tasks: Vec<T>,
    scratch: impl Fn() -> S + Sync,
    perform: impl Fn(T, &mut S, &mut Vec<T>, &Sender<V>) -> Result<(), Stopped> + Sync,
    mut emit: impl FnMut(V) -> Result<(), E>,
) -> Result<(), E> {
    let most_threads = most_threads.max(1);
    let nice = getpriority_process(None).ok();
    let pool = Pool {
        state: Mutex::new(PoolState {
            tasks,
            running: 0,
            idle: 0,
            threads: 1,
            is_stopped: false,
            panic: None,
        }),
        changed: Condvar::new(),
        most_threads,
        nice: nice.map(|own| (own + NICE).min(NICEST)),
        scratch: &scratch,
        perform: &perform,
    };
    let (channel, results) = mpsc::sync_channel(MOST_BATCHES);
    let result = std::thread::scope(|scope| {
        let (pool, first) = (&pool, Sender::new(channel.clone()));
        scope.spawn(move || pool.work(scope, &first));
        // Else the results never end: they do once the last sender is dropped.
        drop(channel);
        // If `emit` fails, the receiver is dropped here, and sending ends every thread.
        results.into_iter().flatten().try_for_each(&mut emit)
    });
    let state = pool.state.into_inner();
    if let Some(panic) = state.unwrap_or_else(PoisonError::into_inner).panic {
        resume_unwind(panic);
    }
    result
}

impl<T: Send, S, V: Send> Pool<'_, T, S, V> {
    fn lock(&self) -> MutexGuard<'_, PoolState<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a thread that was counted. If the system has none left, the others do its work.
    fn start<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, channel: &SyncSender<Vec<V>>) {
        let sender = Sender::new(channel.clone());
        let work = move || self.work(scope, &sender);
        if std::thread::Builder::new()
            .spawn_scoped(scope, work)
            .is_err()
        {
            self.lock().threads -= 1;
        }
    }

    fn work<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, sender: &Sender<V>) {
        if let Some(nice) = self.nice {
            // Linux sets this thread only. If it is refused, the thread takes an equal share.
            let _ = setpriority_process(None, nice);
        }
        let mut scratch = (self.scratch)();
        let mut more = Vec::new();
        let mut state = self.lock();
        loop {
            if state.tasks.is_empty() && !state.is_over() {
                // The calling thread may be waiting for what this thread has found.
                drop(state);
                let is_stopped = sender.flush().is_err();
                state = self.lock();
                state.is_stopped |= is_stopped;
            }
            while state.tasks.is_empty() && !state.is_over() {
                state.idle += 1;
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            }
            let task = match state.tasks.pop() {
                Some(task) if !state.is_stopped => task,
                _ => break,
            };
            state.running += 1;
            // Before this task, which may take long: the new thread starts the next one likewise.
            let is_short = state.tasks.len() > state.idle && state.threads < self.most_threads;
            state.threads += usize::from(is_short);
            drop(state);
            if is_short {
                self.start(scope, &sender.channel);
            }
            let perform = || (self.perform)(task, &mut scratch, &mut more, sender);
            let done = catch_unwind(AssertUnwindSafe(perform));
            state = self.lock();
            state.running -= 1;
            match done {
                Ok(done) => state.is_stopped |= done.is_err(),
                Err(panic) => {
                    state.is_stopped = true;
                    state.panic.get_or_insert(panic);
                }
            }
            // This thread goes on with one of those that it leaves, others with the rest.
            let for_others = more.len().saturating_sub(1).min(state.idle);
            state.tasks.append(&mut more);
            (0..for_others).for_each(|_| self.changed.notify_one());
        }
        self.changed.notify_all();
        drop(state);
        // If this fails, the calling thread has ended the work itself.
        let _ = sender.flush();
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn the_threads_have_a_lower_priority_and_the_caller_keeps_its_own() {
        // Of the thread that asks.
        let nice = || getpriority_process(None).unwrap();
        let before = nice();
        let mut found = Vec::new();
        let result = run(
            4,
            vec![2; 4],
            || (),
            |depth, (), more, sender| {
                // Threads that a thread starts have its own priority, no lower one.
                more.extend(vec![depth - 1; if depth > 0 { 4 } else { 0 }]);
                sender.send(nice())
            },
            |nice| {
                found.push(nice);
                Ok::<_, Infallible>(())
            },
        );
        assert_eq!(result, Ok(()));
        assert_eq!(found, vec![(before + NICE).min(NICEST); 4 + 16 + 64]);
        assert_eq!(nice(), before);
    }

    #[test]
    fn a_chain_of_tasks_takes_one_thread() {
        let threads = AtomicUsize::new(0);
        let mut sum = 0;
        let result = run(
            16,
            vec![100],
            || threads.fetch_add(1, Ordering::Relaxed),
            |left, _, more, sender| {
                more.extend((left > 1).then(|| left - 1));
                sender.send(left)
            },
            |left| {
                sum += left;
                Ok::<_, Infallible>(())
            },
        );
        assert_eq!(result, Ok(()));
        assert_eq!((sum, threads.into_inner()), (5050, 1));
    }

    #[test]
    fn the_panic_of_a_task_ends_all_and_goes_on_in_the_caller() {
        let work = || {
            run(
                4,
                (0..100).collect(),
                || (),
                |task, (), _, sender| match task {
                    50 => panic!("of task {task}"),
                    task => sender.send(task),
                },
                |_| Ok::<_, Infallible>(()),
            )
        };
        let panic = catch_unwind(work).unwrap_err();
        assert_eq!(panic.downcast_ref::<String>().unwrap(), "of task 50");
    }
}
