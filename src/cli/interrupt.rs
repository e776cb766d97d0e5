//! Ctrl-C: the first one ends the work at its next boundary, and the command says what state is
//! left and what to type; a second one ends the process at once.
//!
//! Only while a [`Working`] lives is the first one held back. At any other moment, such as at a
//! question, Ctrl-C ends the process as it always does: nothing is under way then.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::SIGINT;
use signal_hook::{flag, low_level};

use super::files;

/// Exit code of a command that Ctrl-C ended: what a shell says of a process that the signal ended.
pub(super) const EXIT_CODE: u8 = 130;

struct Signals {
    /// Ctrl-C was pressed.
    came: Arc<AtomicBool>,
    /// The next Ctrl-C ends the process.
    ends: Arc<AtomicBool>,
    /// Number of [`Working`] that live.
    works: AtomicUsize,
}

static SIGNALS: OnceLock<Option<Signals>> = OnceLock::new();

/// Listens from the first call on. None if the signal is ignored, as in the background of a script,
/// or cannot be listened for.
fn signals() -> Option<&'static Signals> {
    let listen = || {
        if files::ignores_signal(SIGINT) {
            return None;
        }
        let [came, ends] = [false, true].map(|is_set| Arc::new(AtomicBool::new(is_set)));
        // They are called in this order: the first Ctrl-C ends nothing, and arms the second.
        flag::register_conditional_default(SIGINT, Arc::clone(&ends)).ok()?;
        flag::register(SIGINT, Arc::clone(&came)).ok()?;
        flag::register(SIGINT, Arc::clone(&ends)).ok()?;
        Some(Signals {
            came,
            ends,
            works: AtomicUsize::new(0),
        })
    };
    SIGNALS.get_or_init(listen).as_ref()
}

/// Work that the first Ctrl-C ends at its next boundary.
#[derive(Debug)]
pub(super) struct Working(());

impl Working {
    pub(super) fn begin() -> Self {
        if let Some(signals) = signals() {
            signals.works.fetch_add(1, Ordering::SeqCst);
            signals.ends.store(false, Ordering::SeqCst);
            // Pressed during earlier work: that was the first.
            if signals.came.load(Ordering::SeqCst) {
                signals.ends.store(true, Ordering::SeqCst);
            }
        }
        Self(())
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        if let Some(signals) = signals()
            && signals.works.fetch_sub(1, Ordering::SeqCst) == 1
        {
            signals.ends.store(true, Ordering::SeqCst);
        }
    }
}

/// Whether Ctrl-C was pressed.
pub(super) fn is_interrupted() -> bool {
    // Without listening to it: a command that did not work yet was not interrupted.
    let signals = SIGNALS.get().and_then(Option::as_ref);
    signals.is_some_and(|signals| signals.came.load(Ordering::SeqCst))
}

/// Whether a call of the library is to end, because Ctrl-C was pressed during its work. What is
/// asked afterwards, to say what was done, is answered.
pub(super) fn ends_call() -> bool {
    let signals = SIGNALS.get().and_then(Option::as_ref);
    signals.is_some_and(|signals| {
        signals.works.load(Ordering::SeqCst) > 0 && signals.came.load(Ordering::SeqCst)
    })
}

/// Ends the process as Ctrl-C does: a shell then ends its loop too.
pub(super) fn end_process() {
    let _ = low_level::emulate_default_handler(SIGINT);
}
