//! Reporter for a terminal: a status line with a bar, or plain lines where standard error is not a terminal; tables on standard output.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::Duration;

use crate::stderr::note;
use indicatif::{ProgressBar, ProgressStyle};
use stepladder_algo::runtime::clock::Stopwatch;
use stepladder_train::{Reporter, StatusLine};

use crate::stdout::say;

/// Reporter that prints everything.
pub(crate) struct Terminal;

impl Reporter for Terminal {
    fn begin(&self, name: &str, total: u64) -> Box<dyn StatusLine + '_> {
        Box::new(Bar::new(name, total))
    }

    fn note(&self, text: &str) {
        note!("{text}");
    }

    fn warn(&self, text: &str) {
        note!("warning: {text}");
    }

    fn table(&self, text: &str) {
        say(text);
    }
}

/// Status line with a bar, or its plain lines.
struct Bar {
    name: String,
    total: u64,
    bar: Option<ProgressBar>,
    clock: Stopwatch,
    last_line: Mutex<f64>,
}

/// Seconds between plain lines.
const LINE_EVERY: f64 = 5.0;

impl Bar {
    fn new(name: &str, total: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total);
            let style = ProgressStyle::with_template("{prefix:>14} {bar:32} {percent:>3} % {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(style);
            bar.set_prefix(name.to_owned());
            bar.enable_steady_tick(Duration::from_millis(250));
            bar
        });
        Self { name: name.to_owned(), total, bar, clock: Stopwatch::start(), last_line: Mutex::new(0.0) }
    }
}

impl StatusLine for Bar {
    fn at(&self, done: u64, message: &str) {
        match &self.bar {
            Some(bar) => {
                bar.set_position(done.min(self.total));
                bar.set_message(message.to_owned());
            }
            None => {
                let now = self.clock.seconds();
                let mut last = self.last_line.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                if now - *last >= LINE_EVERY || (done >= self.total && *last > 0.0) {
                    *last = now;
                    let percent = 100 * done.min(self.total) / self.total.max(1);
                    note!("{}: {percent} % {message}", self.name);
                }
            }
        }
    }

    fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => note!("{text}"),
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
