//! Time that counts on where an interrupted run stopped.

pub use stepladder_env::clock::unix_seconds;

/// Seconds since it was started, plus what an interrupted run had used before.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch {
    watch: stepladder_env::clock::Stopwatch,
    before: f64,
}

impl Stopwatch {
    /// Starts; `before` seconds count as used already.
    pub fn resume(before: f64) -> Self {
        Self { watch: stepladder_env::clock::Stopwatch::start(), before }
    }

    /// Starts from zero.
    pub fn start() -> Self {
        Self::resume(0.0)
    }

    /// Seconds used.
    pub fn seconds(&self) -> f64 {
        self.before + self.watch.elapsed().as_secs_f64()
    }
}
