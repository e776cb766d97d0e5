//! Ctrl-C: the first one ends the work at its next boundary, and the command says what state is
//! left and what to type; a second one ends the process at once.
//!
//! Only while a [`Working`] lives is the first one held back. At any other moment, such as at a
//! question, Ctrl-C ends the process as it always does: nothing is under way then. Before the first
//! [`Working`], a thread says so if nothing can have been changed yet.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals as Arrivals;
use signal_hook::{flag, low_level};

use super::files;
use crate::catalog::changes;

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

/// Ctrl-C was pressed since [`watch`]; the first work takes it over.
static PRESSED: OnceLock<Arc<AtomicBool>> = OnceLock::new();
/// The thread needs less to end the process.
const LONGEST: Duration = Duration::from_secs(5);

static SIGNALS: OnceLock<Option<Signals>> = OnceLock::new();
/// Whether a thread waits for the signal.
static IS_WATCHED: AtomicBool = AtomicBool::new(false);
/// What a command that only reads says of a Ctrl-C while no work is under way.
static AT_REST: Mutex<Option<fn()>> = Mutex::new(None);

fn at_rest() -> Option<fn()> {
    *AT_REST.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets a command that only reads say so if Ctrl-C ends it between its work, such as while it
/// prints.
pub(super) fn only_reads(say: fn()) {
    if IS_WATCHED.load(Ordering::SeqCst) {
        *AT_REST.lock().unwrap_or_else(PoisonError::into_inner) = Some(say);
    }
}

/// Listens from the first call on. None if the signal is ignored, as in the background of a script,
/// or cannot be listened for.
fn signals() -> Option<&'static Signals> {
    let listen = || {
        if files::ignores_signal(SIGINT) {
            return None;
        }
        let came = Arc::clone(PRESSED.get_or_init(Arc::default));
        let ends = Arc::new(AtomicBool::new(at_rest().is_none()));
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

/// Lets a Ctrl-C before the first work end the process with a word.
pub(super) fn watch() {
    if files::ignores_signal(SIGINT) {
        return;
    }
    // First: the flag is set when the thread wakes.
    let Ok(_) = flag::register(SIGINT, Arc::clone(PRESSED.get_or_init(Arc::default))) else {
        return;
    };
    let Ok(mut arrivals) = Arrivals::new([SIGINT]) else {
        let _ = flag::register_conditional_default(SIGINT, Arc::new(AtomicBool::new(true)));
        return;
    };
    IS_WATCHED.store(true, Ordering::SeqCst);
    let watching = std::thread::Builder::new()
        .name("interrupt".to_owned())
        .spawn(move || arrivals.forever().for_each(|_| arrived()));
    if watching.is_err() {
        IS_WATCHED.store(false, Ordering::SeqCst);
        // Without the thread, Ctrl-C ends the process without a word.
        let _ = flag::register_conditional_default(SIGINT, Arc::new(AtomicBool::new(true)));
    }
}

/// Lets the thread end the process at the end of the command, if Ctrl-C was pressed before.
pub(super) fn finish() {
    let is_pressed = PRESSED
        .get()
        .is_some_and(|pressed| pressed.load(Ordering::SeqCst));
    if is_pressed && SIGNALS.get().is_none() {
        std::thread::sleep(LONGEST);
    }
}

/// What the thread does at a Ctrl-C.
fn arrived() {
    // Work has begun to listen: it sees the flag, or the handler has ended the process.
    if let Some(signals) = SIGNALS.get() {
        let is_at_rest = signals
            .as_ref()
            .is_some_and(|signals| signals.works.load(Ordering::SeqCst) == 0);
        if let Some(say) = at_rest().filter(|_| is_at_rest) {
            say();
            end_process();
        }
        return;
    }
    if changes::end_before_any() {
        let _ = writeln!(
            std::io::stderr().lock(),
            "interrupted before anything was changed"
        );
    }
    end_process();
}

/// Says that files may be made or changed from now on, other than with a turn to write a catalog.
pub(super) fn changes() {
    changes::begin();
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
            // The thread ends the process, with a word.
            signals.ends.store(at_rest().is_none(), Ordering::SeqCst);
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
