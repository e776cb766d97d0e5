//! Threads that share a stack of tasks, each of which may leave further ones.
//!
//! Last in, first out: what a task leaves is done before what was there, so the stack stays as
//! small as the tree is deep. Results go to the thread that called, many at a time, and where it
//! fails, all end. They give way to that thread: where it writes all that they find, it is what
//! everything waits for, and with an equal share of the cores it would get too little.

use std::cell::RefCell;
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Whoever takes the results has ended: the work is to end.
pub(crate) struct Stopped;

/// Results that are sent together: to wake who takes them costs more than to find one.
const TOGETHER: usize = 128;

/// What the threads add to their nice value. 5 is a third of an equal share of a core.
const NICE: i32 = 5;

/// Takes results; waits where they are not taken fast enough.
pub(crate) struct Sender<V> {
    sender: SyncSender<Vec<V>>,
    kept: RefCell<Vec<V>>,
}

impl<V> Sender<V> {
    /// Takes a result.
    ///
    /// # Errors
    /// [`Stopped`] where nobody takes results any more.
    pub(crate) fn send(&self, result: V) -> Result<(), Stopped> {
        let mut kept = self.kept.borrow_mut();
        kept.push(result);
        match kept.len() {
            TOGETHER.. => self
                .sender
                .send(std::mem::take(&mut *kept))
                .map_err(|_| Stopped),
            _ => Ok(()),
        }
    }

    fn flush(&self) -> Result<(), Stopped> {
        let kept = self.kept.take();
        match kept.is_empty() {
            true => Ok(()),
            false => self.sender.send(kept).map_err(|_| Stopped),
        }
    }
}

struct Stack<T> {
    tasks: Vec<T>,
    /// Tasks taken and not finished.
    running: usize,
    /// Threads without a task.
    idle: usize,
    stop: bool,
}

struct Pool<T> {
    stack: Mutex<Stack<T>>,
    changed: Condvar,
}

/// As many threads as most commands take: waiting for the disk counts more than computing.
pub(crate) fn default_threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (4 * cores).clamp(8, 16)
}

/// Performs tasks, the last first, until none is left, and gives each result to `emit`, on this
/// thread. `perform` gets what `scratch` made for its thread, a place for further tasks, and where
/// results go.
///
/// # Errors
/// Whatever `emit` returns; the work then ends.
///
/// # Panics
/// Where a task does: all end, and its panic goes on here.
pub(crate) fn run<T: Send, S, V: Send, E>(
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
            idle: 0,
            stop: false,
        }),
        changed: Condvar::new(),
    };
    let (sender, receiver) = mpsc::sync_channel(32);
    std::thread::scope(|scope| {
        let worker = |_| {
            let (pool, scratch, perform, sender) = (&pool, &scratch, &perform, sender.clone());
            scope.spawn(move || {
                // Of this thread only. Where that is refused, it takes its equal share.
                let _ = rustix::process::nice(NICE);
                let mut scratch = scratch();
                let sender = Sender {
                    sender,
                    kept: RefCell::default(),
                };
                pool.work(&sender, |task, more| {
                    perform(task, &mut scratch, more, &sender)
                });
            })
        };
        let workers: Vec<_> = (0..threads.max(1)).map(worker).collect();
        drop(sender);
        // Where `emit` fails the receiver is dropped, and sending ends every worker.
        let result = receiver.into_iter().flatten().try_for_each(&mut emit);
        for worker in workers {
            worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
        result
    })
}

impl<T> Pool<T> {
    fn lock(&self) -> MutexGuard<'_, Stack<T>> {
        self.stack.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work<V>(
        &self,
        sender: &Sender<V>,
        mut perform: impl FnMut(T, &mut Vec<T>) -> Result<(), Stopped>,
    ) {
        let mut more = Vec::new();
        let mut stack = self.lock();
        loop {
            let is_over =
                |stack: &Stack<T>| stack.stop || (stack.tasks.is_empty() && stack.running == 0);
            if stack.tasks.is_empty() && !is_over(&stack) {
                // Whoever has nothing to do keeps no result back.
                drop(stack);
                let is_stopped = sender.flush().is_err();
                stack = self.lock();
                stack.stop |= is_stopped;
            }
            while stack.tasks.is_empty() && !is_over(&stack) {
                stack.idle += 1;
                stack = self
                    .changed
                    .wait(stack)
                    .unwrap_or_else(PoisonError::into_inner);
                stack.idle -= 1;
            }
            let task = match stack.tasks.pop() {
                Some(task) if !stack.stop => task,
                _ => break,
            };
            stack.running += 1;
            drop(stack);
            let unfinished = Unfinished(self);
            let result = perform(task, &mut more);
            drop(unfinished);
            stack = self.lock();
            stack.running -= 1;
            stack.stop |= result.is_err();
            // This thread goes on with one of them.
            let others = more.len().saturating_sub(1).min(stack.idle);
            stack.tasks.append(&mut more);
            (0..others).for_each(|_| self.changed.notify_one());
        }
        self.changed.notify_all();
        drop(stack);
        // Who does not take it has ended the work.
        let _ = sender.flush();
    }
}

/// A task that is being performed: where that panics, all end, rather than wait for it.
struct Unfinished<'a, T>(&'a Pool<T>);

impl<T> Drop for Unfinished<'_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut stack = self.0.lock();
            stack.running -= 1;
            stack.stop = true;
            self.0.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threads_give_way_and_the_caller_stays_as_it_is() {
        // Of the thread that asks.
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let before = nice();
        let mut found = Vec::new();
        let result = run(
            2,
            vec![(); 4],
            || (),
            |(), (), _, sender| sender.send(nice()),
            |nice| {
                found.push(nice);
                Ok::<_, ()>(())
            },
        );
        assert_eq!(result, Ok(()));
        assert_eq!(found, [(before + NICE).min(19); 4]);
        assert_eq!(nice(), before);
    }
}
