//! Stopwatch and wall-clock time; no other file of the product reads a clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A stopwatch.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts from zero.
    #[expect(clippy::disallowed_methods, reason = "this module owns the clock")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Elapsed time.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "this module owns the clock")]
pub fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |elapsed| elapsed.as_secs_f64())
}
