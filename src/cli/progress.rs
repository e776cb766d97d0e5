//! Progress on stderr: on a terminal a bar once a command takes over a second, else a line every 30
//! s. A thread of its own draws it, so it also moves while a single statement or call goes on.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::interrupt::{self, Working};
use super::render::{folded, number};
use crate::model::progress::{Monitor, Phase, Progress};
use crate::model::size::ByteCount;

/// How long a command goes on before a bar appears. A build without optimisation is slower by far.
const PATIENCE: Duration = Duration::from_secs(if cfg!(debug_assertions) { 3 } else { 1 });
/// How long a later part of it goes on before its bar appears: none that is over at once flickers.
const BLINK: Duration = Duration::from_millis(100);
/// Ten frames a second look alive.
const FRAME: Duration = Duration::from_millis(100);
/// How often a line is printed if stderr is not a terminal.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// Whether the line of the cursor shows a bar. Held while one is drawn or a message is printed, so
/// that these do not mix.
static DRAWN: Mutex<bool> = Mutex::new(false);

fn drawn() -> MutexGuard<'static, bool> {
    // A panic elsewhere while it was held does not matter for a display.
    DRAWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// When the command began, or was last answered: a bar appears some time after this.
static BEGUN: Mutex<Option<Instant>> = Mutex::new(None);

/// Begins the time after which bars appear. Each call of a command does, and each answer of a user,
/// whose thinking is no work.
pub(super) fn begin() {
    *BEGUN.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
}

fn begun() -> Instant {
    let mut begun = BEGUN.lock().unwrap_or_else(PoisonError::into_inner);
    *begun.get_or_insert_with(Instant::now)
}

/// A text as stderr shows it: folded on a terminal, as it is elsewhere.
pub(super) fn fitting(text: &str) -> String {
    match rustix::termios::tcgetwinsize(std::io::stderr()) {
        // Some terminals say 0 if they do not know their width.
        Ok(size) if size.ws_col > 0 => folded(text, usize::from(size.ws_col)),
        _ => text.to_owned(),
    }
}

/// Prints a line on stderr, in the place of a bar that is shown; the bar goes on below it.
pub(super) fn print(line: &str) {
    let line = fitting(line);
    let mut drawn = drawn();
    let clear = if *drawn { "\r\x1b[2K" } else { "" };
    *drawn = false;
    // A closed stderr must not end the command.
    let _ = writeln!(std::io::stderr().lock(), "{clear}{line}");
}

/// A progress bar, hidden until the command has lasted a second.
pub(super) struct Bar {
    counts: Arc<Counts>,
    /// Ends with the sender: what draws, unless the command is quiet.
    drawing: Option<(Sender<()>, JoinHandle<()>)>,
    /// While it lives, Ctrl-C cancels the work.
    working: Option<Working>,
}

impl Bar {
    /// The bar of work that is called `work` while no phase of it is known.
    pub(super) fn new(terminal: bool, quiet: bool, work: &'static str) -> Self {
        let counts = Arc::new(Counts {
            work,
            phase: Mutex::new((None, None)),
            items: AtomicU64::new(0),
            files: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        });
        let (ends, ended) = mpsc::channel();
        let shown = Arc::clone(&counts);
        let draw = move || {
            let pause = |pause| ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout);
            match terminal {
                true => draw_bar(&shown, pause),
                false => print_lines(&shown, pause),
            }
        };
        // Without a thread the work goes on unseen.
        let drawing = (!quiet)
            .then(|| {
                thread::Builder::new()
                    .name("progress".to_owned())
                    .spawn(draw)
            })
            .and_then(Result::ok)
            .map(|thread| (ends, thread));
        Self {
            counts,
            drawing,
            working: None,
        }
    }

    /// Lets Ctrl-C cancel the work.
    pub(super) fn interruptible(mut self) -> Self {
        self.working = Some(Working::begin());
        self
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some((ends, thread)) = self.drawing.take() {
            drop(ends);
            // What is printed next must not stand behind the bar.
            let _ = thread.join();
        }
    }
}

/// Shows a bar until `pause` says that the work is over. Short work must not flicker.
fn draw_bar(counts: &Counts, pause: impl Fn(Duration) -> bool) {
    let start = begun();
    if !pause(PATIENCE.saturating_sub(start.elapsed()).max(BLINK)) {
        return;
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{spinner} {msg}  {elapsed}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    let bar = bar.with_elapsed(start.elapsed());
    loop {
        let mut is_drawn = drawn();
        bar.set_message(counts.text());
        bar.tick();
        *is_drawn = true;
        drop(is_drawn);
        if !pause(FRAME) {
            let mut is_drawn = drawn();
            *is_drawn = false;
            return bar.finish_and_clear();
        }
    }
}

/// Prints a line from time to time until `pause` says that the work is over.
fn print_lines(counts: &Counts, pause: impl Fn(Duration) -> bool) {
    while pause(LINE_EVERY) {
        print(&counts.text());
    }
}

/// What was done so far.
struct Counts {
    /// The name of the work while its phase is not known.
    work: &'static str,
    phase: Mutex<(Option<Phase>, Option<u64>)>,
    items: AtomicU64,
    files: AtomicU64,
    bytes: AtomicU64,
}

impl Counts {
    fn set(&self, phase: Option<Phase>, items: Option<u64>) {
        // A panic elsewhere while the lock was held does not matter for a display.
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = (phase, items);
        // Each phase counts from zero; its total is of this phase.
        for count in [&self.items, &self.files, &self.bytes] {
            count.store(0, Ordering::Relaxed);
        }
    }

    fn text(&self) -> String {
        let (phase, total) = *self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = phase.map_or(self.work.to_owned(), |phase| phase.to_string());
        // Relaxed: the numbers are for display, and need not be of one moment.
        let (items, files) = (
            self.items.load(Ordering::Relaxed),
            self.files.load(Ordering::Relaxed),
        );
        // Some phases count nothing.
        if items > 0 || files > 0 || total.is_some() {
            text.push_str(&format!(" {}", number(items)));
        }
        if let Some(total) = total {
            text.push_str(&format!(" of {}", number(total)));
        }
        // If each item is one file, the number is shown once.
        if files > 0 && files == items {
            text.push_str(" files");
        } else if files > 0 {
            text.push_str(&format!(", {} files", number(files)));
        }
        let bytes = self.bytes.load(Ordering::Relaxed);
        if bytes > 0 {
            text.push_str(&format!(", {}", ByteCount(bytes)));
        }
        text
    }
}

impl Monitor for Bar {
    fn begin(&self, phase: Phase, items: Option<u64>) {
        self.counts.set(Some(phase), items);
    }

    fn advance(&self, progress: Progress) {
        let counts = &self.counts;
        counts.items.fetch_add(progress.items, Ordering::Relaxed);
        counts.files.fetch_add(progress.files, Ordering::Relaxed);
        counts.bytes.fetch_add(progress.bytes, Ordering::Relaxed);
    }

    fn end(&self) {
        self.counts.set(None, None);
    }

    fn is_cancelled(&self) -> bool {
        self.working.is_some() && interrupt::is_interrupted()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_that_counts_nothing_shows_no_number() {
        let bar = Bar::new(false, true, "reading the catalog");
        bar.begin(Phase::Backup, None);
        bar.advance(Progress::default());
        assert_eq!(bar.counts.text(), "backing up the catalog");
    }

    #[test]
    fn a_later_part_of_a_command_shows_its_bar_at_once() {
        let bar = Bar::new(false, true, "planning");
        let waits = || {
            let waited = std::cell::Cell::new(Duration::ZERO);
            draw_bar(&bar.counts, |pause| {
                waited.set(pause);
                false
            });
            waited.get()
        };
        begin();
        assert!(waits() > PATIENCE - BLINK);
        let earlier = Instant::now().checked_sub(PATIENCE);
        *BEGUN.lock().unwrap() = earlier;
        assert_eq!(waits(), BLINK);
        // An answer begins the time anew.
        begin();
        assert!(waits() > PATIENCE - BLINK);
    }

    #[test]
    fn progress_counts_items_files_and_bytes() {
        let bar = Bar::new(false, true, "reading the catalog");
        bar.begin(Phase::Scan, Some(7));
        bar.advance(Progress {
            items: 2,
            files: 3,
            bytes: 1536,
        });
        bar.advance(Progress {
            items: 1,
            ..Progress::default()
        });
        assert_eq!(bar.counts.text(), "scanning 3 of 7 files, 1.5 KiB");
        bar.advance(Progress {
            files: 1,
            ..Progress::default()
        });
        assert_eq!(bar.counts.text(), "scanning 3 of 7, 4 files, 1.5 KiB");
        bar.begin(Phase::Measure, None);
        assert_eq!(bar.counts.text(), "measuring");
        bar.end();
        assert_eq!(bar.counts.text(), "reading the catalog");
    }
}
