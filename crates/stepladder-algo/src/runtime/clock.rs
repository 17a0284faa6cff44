//! Time measurement that includes the time before an interruption.

/// Stopwatch with an initial number of seconds, for resumed runs.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch {
    watch: stepladder_env::clock::Stopwatch,
    before: f64,
}

impl Stopwatch {
    /// Starts with `before` seconds already elapsed.
    pub fn resume(before: f64) -> Self {
        Self { watch: stepladder_env::clock::Stopwatch::start(), before }
    }

    /// Starts from zero.
    pub fn start() -> Self {
        Self::resume(0.0)
    }

    /// Returns the elapsed seconds.
    pub fn seconds(&self) -> f64 {
        self.before + self.watch.elapsed().as_secs_f64()
    }
}
