//! Learning-rate schedules.

stepladder_core::choices! {
    /// Learning-rate schedule after warm-up.
    pub enum Schedule {
        /// Constant at the peak (docs/spec/algorithms.md 3.3).
        Constant = "constant",
        /// Half a cosine down to `floor` (arXiv:1608.03983).
        Cosine = "cosine",
        /// Linear decay to `floor`.
        Linear = "linear",
    }
}

/// Computes the factor on the peak learning rate at `fraction` (0 to 1) of the run.
///
/// Warm-up is linear over the fraction `warmup` of the run; the rest follows the schedule down to `floor`.
///
/// ```
/// use stepladder_algo::runtime::schedule::{Schedule, factor};
/// assert_eq!(factor(Schedule::Cosine, 0.05, 0.1, 0.02), 0.5);
/// assert_eq!(factor(Schedule::Cosine, 0.1, 0.1, 0.02), 1.0);
/// assert!((factor(Schedule::Cosine, 1.0, 0.1, 0.02) - 0.02).abs() < 1e-12);
/// assert_eq!(factor(Schedule::Constant, 1.0, 0.0, 0.02), 1.0);
/// ```
pub fn factor(schedule: Schedule, fraction: f64, warmup: f64, floor: f64) -> f64 {
    let fraction = fraction.clamp(0.0, 1.0);
    if fraction < warmup {
        return fraction / warmup;
    }
    let rest = if warmup < 1.0 { (fraction - warmup) / (1.0 - warmup) } else { 0.0 };
    match schedule {
        Schedule::Constant => 1.0,
        Schedule::Cosine => floor + (1.0 - floor) * 0.5 * (1.0 + (std::f64::consts::PI * rest).cos()),
        Schedule::Linear => floor + (1.0 - floor) * (1.0 - rest),
    }
}
