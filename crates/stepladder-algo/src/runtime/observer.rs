//! Reports to the program around a training loop.

use stepladder_core::Role;

use crate::AlgoError;
use crate::runtime::trainer::Trainer;

/// Result of one optimiser step or iteration, for an observer.
#[derive(Debug, Clone)]
pub struct StepReport {
    /// Steps taken.
    pub step: u64,
    /// Passes over the data, with fraction.
    pub epoch: f64,
    /// Fraction of the budget that is used.
    pub fraction: f64,
    /// Training seconds used.
    pub seconds: f64,
    /// Seconds that the current phase will probably take from here.
    pub left: f64,
    /// Tokens trained so far.
    pub tokens: u64,
    /// Loss of the step.
    pub loss: f64,
    /// Gradient norm before clipping.
    pub gradient_norm: f64,
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// Sum of row log-probabilities and of weights in this step, by role.
    pub per_role: [(f64, f64); Role::COUNT],
    /// Further metrics of the algorithm, under the names of `runtime::metrics`.
    pub extra: Vec<(&'static str, f64)>,
}

/// Hears of every step; may save, evaluate, print. Its time does not count as training time.
pub trait Observer {
    /// After every step. `trainer.progress` is up to date.
    ///
    /// # Errors
    /// Ends training with this error.
    fn on_step(&mut self, trainer: &Trainer, report: &StepReport) -> Result<(), AlgoError>;

    /// A warning: training goes on without a part of its data or a step. Dropped unless an observer shows it.
    fn on_warning(&mut self, text: &str) {
        let _ = text;
    }
}

/// How training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The budget is used up.
    Complete,
    /// Stopped on request; the trainer can be saved and continued.
    Interrupted,
}
