//! Everything that a run shows, for the caller to print, log or ignore. The library itself writes to no terminal.

use stepladder_rollout::evaluation::Evaluation;

/// Receives everything that the library has to show. [`Silent`] ignores it.
pub trait Reporter: Sync {
    /// Begins a piece of work of `total` units under a name; dropping the handle ends it.
    fn begin(&self, name: &str, total: u64) -> Box<dyn Progress + '_>;

    /// Shows a line about the course of the work.
    fn note(&self, text: &str);

    /// Shows a warning: the work goes on, but its result may not be what was meant.
    fn warn(&self, text: &str);

    /// Shows a result, such as the table at the end of a run.
    fn table(&self, text: &str);

    /// Hears of every finished stage of a run, also of those that an earlier session finished.
    fn finished(&self, stage: Stage<'_>) {
        let _ = stage;
    }
}

/// A piece of work on its way.
pub trait Progress: Send + Sync {
    /// `done` units are done; `message` says more.
    fn at(&self, done: u64, message: &str);

    /// Shows a line that stays.
    fn note(&self, text: &str);
}

/// A finished stage of a run.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Stage<'a> {
    /// The demonstrations are there.
    Demonstrations {
        /// Their number.
        episodes: usize,
    },
    /// An agent is trained.
    Trained {
        /// Its name in the configuration.
        agent: &'a str,
    },
    /// An agent was evaluated.
    Evaluated {
        /// Its name in the configuration.
        agent: &'a str,
        /// `ENV/SPLIT`.
        target: &'a str,
        /// Success, score and costs.
        evaluation: &'a Evaluation,
    },
}

/// A reporter that shows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Reporter for Silent {
    fn begin(&self, _: &str, _: u64) -> Box<dyn Progress + '_> {
        Box::new(Self)
    }

    fn note(&self, _: &str) {}

    fn warn(&self, _: &str) {}

    fn table(&self, _: &str) {}
}

impl Progress for Silent {
    fn at(&self, _: u64, _: &str) {}

    fn note(&self, _: &str) {}
}

/// Seconds as `3:07`.
pub(crate) fn minutes(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    format!("{}:{:02}", whole / 60, whole % 60)
}
