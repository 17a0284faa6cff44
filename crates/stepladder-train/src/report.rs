//! Interface for the output of the library, for the caller to print, log or ignore. The library itself writes to no terminal.

use stepladder_rollout::evaluation::Evaluation;

/// Receiver of all output of the library. [`Silent`] ignores it.
pub trait Reporter: Sync {
    /// Begins work of `total` units under a name; dropping the handle ends it.
    fn begin(&self, name: &str, total: u64) -> Box<dyn StatusLine + '_>;

    /// Shows a line about the course of the work.
    fn note(&self, text: &str);

    /// Shows a warning: the work continues, but its result may not be what the user intended.
    fn warn(&self, text: &str);

    /// Shows a result, such as the table at the end of a run.
    fn table(&self, text: &str);

    /// Receives every finished stage of a run, including those of an earlier session.
    fn finished(&self, stage: Stage<'_>) {
        let _ = stage;
    }
}

/// Status line of a piece of work.
pub trait StatusLine: Send + Sync {
    /// Updates the number of finished units and the message.
    fn at(&self, done: u64, message: &str);

    /// Shows a permanent line.
    fn note(&self, text: &str);
}

/// A finished stage of a run.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Stage<'a> {
    /// The demonstrations are available.
    Demonstrations {
        /// Number of episodes.
        episodes: usize,
    },
    /// An agent is trained.
    Trained {
        /// Name in the configuration.
        agent: &'a str,
    },
    /// An agent was evaluated.
    Evaluated {
        /// Name in the configuration.
        agent: &'a str,
        /// Whether decoding was constrained.
        constrained: bool,
        /// Environment and split, as `ENV/SPLIT`.
        target: &'a str,
        /// Success, score and costs.
        evaluation: &'a Evaluation,
    },
}

/// A reporter without output.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Reporter for Silent {
    fn begin(&self, _: &str, _: u64) -> Box<dyn StatusLine + '_> {
        Box::new(Self)
    }

    fn note(&self, _: &str) {}

    fn warn(&self, _: &str) {}

    fn table(&self, _: &str) {}
}

impl StatusLine for Silent {
    fn at(&self, _: u64, _: &str) {}

    fn note(&self, _: &str) {}
}

/// Formats seconds as `3:07`.
pub(crate) fn minutes(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    format!("{}:{:02}", whole / 60, whole % 60)
}
