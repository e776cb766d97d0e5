//! Whether this process may have changed a catalog, for what Ctrl-C says.
//!
//! A process is first [`NOTHING`]; the first turn to write makes it [`CHANGES`] for good. Only from
//! the first state can it be [`ENDED`] as a process that changed nothing, and then it never comes
//! to a turn: what is said is so.

use std::sync::atomic::{AtomicU8, Ordering};

const NOTHING: u8 = 0;
const CHANGES: u8 = 1;
const ENDED: u8 = 2;

static STATE: AtomicU8 = AtomicU8::new(NOTHING);

/// Says that this process may change something from now on. Does not return if it is being ended
/// as one that changed nothing.
pub(crate) fn begin() {
    let begun = STATE.compare_exchange(NOTHING, CHANGES, Ordering::SeqCst, Ordering::SeqCst);
    while begun == Err(ENDED) {
        // Another thread is about to end the process.
        std::thread::park();
    }
}

/// Whether this process has changed nothing; it then never will.
#[cfg(feature = "cli")]
pub(crate) fn end_before_any() -> bool {
    let ended = STATE.compare_exchange(NOTHING, ENDED, Ordering::SeqCst, Ordering::SeqCst);
    ended != Err(CHANGES)
}
