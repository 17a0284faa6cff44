//! Learning curves: evaluations of an agent in the course of its training, in one run and in all.

use crate::results::ByTask;

/// Evaluation at one point of training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Moment {
    pub(super) env_steps: f64,
    pub(super) iterations: f64,
    pub(super) tokens: f64,
    pub(super) minutes: f64,
    pub(super) success: f64,
    pub(super) score: f64,
}

/// Learning curve of one agent in one run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Curve {
    pub(super) seed: u64,
    /// Evaluations of the initial policy, of the probes, and of the trained policy.
    pub(super) moments: Vec<Moment>,
    /// Episodes of the final evaluation.
    pub(super) n: u64,
    /// Split of the final evaluation, with the options of its environment and the subset that was played; none for a whole split
    /// without options.
    pub(super) played: Option<String>,
    /// Success of the final evaluation by task; none where a run of an earlier version kept no episodes.
    pub(super) won: Option<ByTask>,
    /// Fraction of the replies of the final evaluation that could not be parsed; `None` if it does not record it.
    pub(super) unparsable: Option<f64>,
    pub(super) minutes: f64,
}

/// One agent in all runs.
#[derive(Debug)]
pub(super) struct Method {
    pub(super) agent: String,
    pub(super) curves: Vec<Curve>,
}

/// Quantity on the horizontal axis of a curve.
pub(super) type Axis = fn(&Moment) -> f64;
pub(super) const AXES: [(&str, Axis); 4] = [
    ("environment steps", |moment| moment.env_steps),
    ("iterations", |moment| moment.iterations),
    ("generated tokens", |moment| moment.tokens),
    ("minutes", |moment| moment.minutes),
];
