//! Threads that share a stack of tasks, each of which may leave further ones.
//!
//! Last in, first out: what a task leaves is done before what was there, so the stack stays as
//! small as the tree is deep. Results go to the thread that called, and where it fails, all end.

use std::sync::mpsc::{self, SyncSender};
use std::sync::{Condvar, Mutex, PoisonError};

/// Whoever takes the results has ended: the work is to end.
pub(super) struct Stopped;

/// Takes results; waits where they are not taken fast enough.
pub(super) type Sender<V> = SyncSender<V>;

struct Stack<T> {
    tasks: Vec<T>,
    /// Tasks taken and not finished.
    running: usize,
    stop: bool,
}

struct Pool<T> {
    stack: Mutex<Stack<T>>,
    changed: Condvar,
}

/// As many threads as most commands take: waiting for the disk counts more than computing.
pub(super) fn default_threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (2 * cores).clamp(4, 16)
}

/// Performs tasks, the last first, until none is left, and gives each result to `emit`, on this
/// thread. `perform` gets what `scratch` made for its thread, a place for further tasks, and where
/// results go.
///
/// # Errors
/// Whatever `emit` returns; the work then ends.
pub(super) fn run<T: Send, S, V: Send, E>(
    threads: usize,
    tasks: Vec<T>,
    scratch: impl Fn() -> S + Sync,
    perform: impl Fn(T, &mut S, &mut Vec<T>, &Sender<V>) -> Result<(), Stopped> + Sync,
    mut emit: impl FnMut(V) -> Result<(), E>,
) -> Result<(), E> {
    let pool = Pool {
        stack: Mutex::new(Stack {
            tasks,
            running: 0,
            stop: false,
        }),
        changed: Condvar::new(),
    };
    let (sender, receiver) = mpsc::sync_channel(4096);
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            let (pool, scratch, perform, sender) = (&pool, &scratch, &perform, sender.clone());
            scope.spawn(move || {
                let mut scratch = scratch();
                pool.work(|task, more| perform(task, &mut scratch, more, &sender));
            });
        }
        drop(sender);
        // Where `emit` fails the receiver is dropped, and sending ends every worker.
        receiver.into_iter().try_for_each(&mut emit)
    })
}

impl<T> Pool<T> {
    fn work(&self, mut perform: impl FnMut(T, &mut Vec<T>) -> Result<(), Stopped>) {
        loop {
            let mut stack = self.stack.lock().unwrap_or_else(PoisonError::into_inner);
            let task = loop {
                if stack.stop || (stack.tasks.is_empty() && stack.running == 0) {
                    self.changed.notify_all();
                    return;
                }
                if let Some(task) = stack.tasks.pop() {
                    break task;
                }
                stack = self
                    .changed
                    .wait(stack)
                    .unwrap_or_else(PoisonError::into_inner);
            };
            stack.running += 1;
            drop(stack);
            let mut more = Vec::new();
            let result = perform(task, &mut more);
            let mut stack = self.stack.lock().unwrap_or_else(PoisonError::into_inner);
            stack.running -= 1;
            stack.stop |= result.is_err();
            let wake = more.len() > 1 || stack.stop || stack.running == 0;
            stack.tasks.append(&mut more);
            drop(stack);
            if wake {
                self.changed.notify_all();
            }
        }
    }
}
