//! Ctrl-C: the first one ends the work at its next boundary, and the command says what state is
//! left and what to type; a second one ends the process at once.
//!
//! Only while a [`Working`] lives is the first one held back. At any other moment of the program,
//! such as at a question or while a plan is made, a thread says what state is left and ends the
//! process. What it says is there from the first moment to the last: that nothing was changed, or
//! what the command [`leaves`]. Who says it first, the thread or the command, is the only one.
//!
//! A host that ends the process itself, such as Python, has no such thread: there, Ctrl-C outside
//! of work does what it does in that host.

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
    /// The next Ctrl-C ends the process, without a word.
    ends: Arc<AtomicBool>,
    /// Whether the thread waits for the signal.
    is_watched: bool,
}

/// None if the signal is ignored, as in the background of a script, or cannot be listened for.
static SIGNALS: OnceLock<Option<Signals>> = OnceLock::new();
/// Number of [`Working`] that live.
static WORKS: AtomicUsize = AtomicUsize::new(0);
/// Whether there was any.
static HAS_WORKED: AtomicBool = AtomicBool::new(false);
/// Ctrl-C was pressed during work, which ended by it or was done: the thread leaves that one alone.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);
/// The thread knows of a Ctrl-C.
static IS_KNOWN: AtomicBool = AtomicBool::new(false);
/// What state is left was said, or is being said.
static IS_SAID: AtomicBool = AtomicBool::new(false);
/// The cursor is behind a question.
static AT_QUESTION: AtomicBool = AtomicBool::new(false);

/// The thread needs less to end the process.
const LONGEST: Duration = Duration::from_secs(5);

/// What a Ctrl-C leaves while no work is under way.
struct Left {
    text: String,
    only_reads: bool,
}

static LEFT: Mutex<Option<Left>> = Mutex::new(None);

/// Sets what is said from now on if Ctrl-C ends the process between its work, such as while a plan
/// is made or rows are printed. A command that changes nothing so far is said to have changed
/// nothing, instead of this.
pub(super) fn leaves(text: String) {
    set_left(text, false);
}

/// The same for a command that only reads: its text is said as soon as it has begun to work.
pub(super) fn only_reads(text: String) {
    set_left(text, true);
}

fn set_left(text: String, only_reads: bool) {
    *LEFT.lock().unwrap_or_else(PoisonError::into_inner) = Some(Left { text, only_reads });
}

/// Listens from the first call on.
fn signals() -> Option<&'static Signals> {
    SIGNALS.get_or_init(|| listen(false)).as_ref()
}

fn listen(is_watched: bool) -> Option<Signals> {
    if files::ignores_signal(SIGINT) {
        return None;
    }
    let came = Arc::new(AtomicBool::new(false));
    let ends = Arc::new(AtomicBool::new(!is_watched));
    // They are called in this order: the first Ctrl-C during work ends nothing, and arms the second.
    flag::register_conditional_default(SIGINT, Arc::clone(&ends)).ok()?;
    flag::register(SIGINT, Arc::clone(&came)).ok()?;
    if !is_watched {
        flag::register(SIGINT, Arc::clone(&ends)).ok()?;
    }
    Some(Signals {
        came,
        ends,
        is_watched,
    })
}

/// Lets a thread end the process at each Ctrl-C that no work takes; before, it passes to `print`
/// what state is left.
pub(super) fn watch(print: fn(&str)) {
    if files::ignores_signal(SIGINT) {
        return;
    }
    // The flags are registered first, so that they are set when the thread wakes.
    let signals = SIGNALS.get_or_init(|| listen(true));
    let watching = Arrivals::new([SIGINT]).and_then(|mut arrivals| {
        std::thread::Builder::new()
            .name("interrupt".to_owned())
            .spawn(move || arrivals.forever().for_each(|_| arrived(print)))
    });
    if let (Err(_), Some(signals)) = (watching, signals) {
        // Without the thread, Ctrl-C ends the process without a word.
        signals.ends.store(true, Ordering::SeqCst);
    }
}

/// Lets the thread end the process at the end of the command, if Ctrl-C was pressed and no work
/// took it.
pub(super) fn finish() {
    let signals = SIGNALS.get().and_then(Option::as_ref);
    let is_pressed =
        signals.is_some_and(|signals| signals.is_watched && signals.came.load(Ordering::SeqCst));
    if is_pressed && !IS_TAKEN.load(Ordering::SeqCst) && !IS_SAID.load(Ordering::SeqCst) {
        std::thread::sleep(LONGEST);
    }
}

/// What the thread does at a Ctrl-C.
fn arrived(print: fn(&str)) {
    let is_first = !IS_KNOWN.swap(true, Ordering::SeqCst);
    let is_of_work = WORKS.load(Ordering::SeqCst) > 0 || IS_TAKEN.load(Ordering::SeqCst);
    // Work ends by the first one at its next boundary, and the command says what it left.
    if is_first && is_of_work {
        return;
    }
    if may_say() {
        say(print);
        end_process();
    }
}

/// Whether the caller is the first one to say what state Ctrl-C left: then it must.
fn may_say() -> bool {
    !IS_SAID.swap(true, Ordering::SeqCst)
}

/// Before a command says what state Ctrl-C left. Does not return if the thread says it already.
pub(super) fn says() {
    while !may_say() {
        // The thread is about to end the process.
        std::thread::park();
    }
}

/// Says what state is left.
fn say(print: fn(&str)) {
    if AT_QUESTION.load(Ordering::SeqCst) {
        let _ = writeln!(std::io::stderr().lock());
    }
    let left = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
    let reads = left.as_ref().is_some_and(|left| left.only_reads);
    let is_answering = reads && HAS_WORKED.load(Ordering::SeqCst);
    if !is_answering && changes::end_before_any() {
        print("interrupted before anything was changed");
        return;
    }
    let text = left.as_ref().map_or(CHANGED, |left| &left.text);
    print(&format!("interrupted; {text}"));
}

/// What a command leaves that changes something, if it says no more.
pub(super) const CHANGED: &str =
    "each change was made as a whole or not at all; see what was done with: dalsegno history";

/// Says that files may be made or changed from now on, other than with a turn to write a catalog.
pub(super) fn changes() {
    changes::begin();
}

/// While it lives, a question is on the terminal.
pub(super) struct Asking(());

impl Asking {
    pub(super) fn begin() -> Self {
        AT_QUESTION.store(true, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        AT_QUESTION.store(false, Ordering::SeqCst);
    }
}

/// Work that the first Ctrl-C ends at its next boundary.
#[derive(Debug)]
pub(super) struct Working(());

impl Working {
    pub(super) fn begin() -> Self {
        HAS_WORKED.store(true, Ordering::SeqCst);
        WORKS.fetch_add(1, Ordering::SeqCst);
        if let Some(signals) = signals().filter(|signals| !signals.is_watched) {
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
        let is_last = WORKS.fetch_sub(1, Ordering::SeqCst) == 1;
        let Some(signals) = signals() else {
            return;
        };
        // After the count: one that comes in between is then the thread's or taken, never lost.
        if signals.came.load(Ordering::SeqCst) {
            IS_TAKEN.store(true, Ordering::SeqCst);
        }
        if is_last && !signals.is_watched {
            signals.ends.store(true, Ordering::SeqCst);
        }
    }
}

/// Whether Ctrl-C was pressed.
pub(super) fn is_interrupted() -> bool {
    let signals = SIGNALS.get().and_then(Option::as_ref);
    signals.is_some_and(|signals| signals.came.load(Ordering::SeqCst))
}

/// Whether a call of the library is to end, because Ctrl-C was pressed during its work. What is
/// asked afterwards, to say what was done, is answered.
pub(super) fn ends_call() -> bool {
    WORKS.load(Ordering::SeqCst) > 0 && is_interrupted()
}

/// Ends the process as Ctrl-C does: a shell then ends its loop too.
pub(super) fn end_process() {
    let _ = low_level::emulate_default_handler(SIGINT);
}
