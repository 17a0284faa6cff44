//! The only place that looks at the clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Seconds since it was started, plus what an interrupted run had used before.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch {
    start: Instant,
    before: f64,
}

impl Stopwatch {
    /// Starts; `before` seconds count as used already.
    pub fn resume(before: f64) -> Self {
        Self { start: Instant::now(), before }
    }

    /// Starts from zero.
    pub fn start() -> Self {
        Self::resume(0.0)
    }

    /// Seconds used.
    pub fn seconds(&self) -> f64 {
        self.before + self.start.elapsed().as_secs_f64()
    }
}

/// Seconds since 1970.
pub fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |elapsed| elapsed.as_secs_f64())
}
