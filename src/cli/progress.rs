//! Progress on stderr: on a terminal a bar for work that takes over a second, else a line every 30
//! s.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::interrupt::{self, Working};
use crate::model::progress::{Monitor, Phase, Progress};
use crate::model::size::ByteCount;

/// How long work goes on before a bar appears.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often a line is printed if stderr is not a terminal.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// A progress bar, hidden until the work has lasted a second.
pub(super) struct Bar {
    bar: Option<ProgressBar>,
    /// While it lives, Ctrl-C cancels the work.
    working: Option<Working>,
    quiet: bool,
    start: Instant,
    shown: AtomicBool,
    phase: Mutex<(Option<Phase>, Option<u64>)>,
    items: AtomicU64,
    files: AtomicU64,
    bytes: AtomicU64,
    /// Milliseconds since `start` at which the next line or frame is due.
    due: AtomicU64,
}

impl Bar {
    pub(super) fn new(terminal: bool, quiet: bool) -> Self {
        let bar = (terminal && !quiet).then(|| {
            // Hidden until `show` gives it a target: short work must not flicker.
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
            let style = ProgressStyle::with_template("{spinner} {msg}  {elapsed}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar
        });
        Self {
            bar,
            working: None,
            quiet,
            start: Instant::now(),
            shown: AtomicBool::new(false),
            phase: Mutex::new((None, None)),
            items: AtomicU64::new(0),
            files: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            due: AtomicU64::new(0),
        }
    }

    /// Lets Ctrl-C cancel the work.
    pub(super) fn interruptible(mut self) -> Self {
        self.working = Some(Working::begin());
        self
    }

    fn text(&self) -> String {
        // A panic elsewhere while the lock was held does not matter for a display.
        let (phase, total) = *self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = phase.map_or(String::new(), |phase| phase.to_string());
        // Relaxed: the numbers are for display, and need not be of one moment.
        let (items, files) = (
            self.items.load(Ordering::Relaxed),
            self.files.load(Ordering::Relaxed),
        );
        // Some phases count nothing.
        if items > 0 || files > 0 || total.is_some() {
            text.push_str(&format!(" {items}"));
        }
        if let Some(total) = total {
            text.push_str(&format!(" of {total}"));
        }
        // If each item is one file, the number is shown once.
        if files > 0 && files == items {
            text.push_str(" files");
        } else if files > 0 {
            text.push_str(&format!(", {files} files"));
        }
        let bytes = self.bytes.load(Ordering::Relaxed);
        if bytes > 0 {
            text.push_str(&format!(", {}", ByteCount(bytes)));
        }
        text
    }

    fn show(&self) {
        let elapsed = self.start.elapsed();
        let (wait, every) = match self.bar {
            // Ten frames a second look alive, and cost the workers next to nothing.
            Some(_) => (PATIENCE, Duration::from_millis(100)),
            None => (LINE_EVERY, LINE_EVERY),
        };
        let now = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let due = self.due.load(Ordering::Relaxed);
        if self.quiet || elapsed < wait || now < due {
            return;
        }
        let next = now + u64::try_from(every.as_millis()).unwrap_or(u64::MAX);
        // Workers call this from many threads: the one that moves `due` on is the one that draws.
        let claimed = self
            .due
            .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed);
        if claimed.is_err() {
            return;
        }
        match &self.bar {
            Some(bar) => {
                if !self.shown.swap(true, Ordering::Relaxed) {
                    bar.set_draw_target(ProgressDrawTarget::stderr());
                }
                bar.set_message(self.text());
                bar.tick();
            }
            None => {
                // A closed stderr must not stop the work.
                let _ = writeln!(std::io::stderr().lock(), "{}", self.text());
            }
        }
    }
}

impl Monitor for Bar {
    fn begin(&self, phase: Phase, items: Option<u64>) {
        // Each phase counts from zero; its total is of this phase.
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = (Some(phase), items);
        for count in [&self.items, &self.files, &self.bytes] {
            count.store(0, Ordering::Relaxed);
        }
    }

    fn advance(&self, progress: Progress) {
        self.items.fetch_add(progress.items, Ordering::Relaxed);
        self.files.fetch_add(progress.files, Ordering::Relaxed);
        self.bytes.fetch_add(progress.bytes, Ordering::Relaxed);
        self.show();
    }

    fn is_cancelled(&self) -> bool {
        self.working.is_some() && interrupt::is_interrupted()
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_that_counts_nothing_shows_no_number() {
        let bar = Bar::new(false, true);
        bar.begin(Phase::Backup, None);
        bar.advance(Progress::default());
        assert_eq!(bar.text(), "backing up the catalog");
    }

    #[test]
    fn progress_counts_items_files_and_bytes() {
        let bar = Bar::new(false, true);
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
        assert_eq!(bar.text(), "scanning 3 of 7 files, 1.5 KiB");
        bar.advance(Progress {
            files: 1,
            ..Progress::default()
        });
        assert_eq!(bar.text(), "scanning 3 of 7, 4 files, 1.5 KiB");
        bar.begin(Phase::Measure, None);
        assert_eq!(bar.text(), "measuring");
    }
}
