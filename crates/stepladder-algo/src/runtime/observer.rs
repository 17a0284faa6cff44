//! Reports of a training loop to its caller.

use stepladder_core::Role;

use crate::AlgoError;
use crate::runtime::trainer::Trainer;

/// Report of one optimiser step or iteration.
#[derive(Debug, Clone)]
pub struct StepReport {
    /// Steps taken.
    pub step: u64,
    /// Passes over the data, with fraction.
    pub epoch: f64,
    /// Used fraction of the budget.
    pub fraction: f64,
    /// Training seconds used.
    pub seconds: f64,
    /// Estimated remaining seconds of the current phase.
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
    /// Further metrics of the algorithm, by their names in `runtime::metrics`.
    pub extra: Vec<(&'static str, f64)>,
}

/// Callback of a training loop, which may save, evaluate or print. Its time does not count as training time.
pub trait Observer {
    /// Called after every step or iteration, with `trainer.counters` up to date.
    ///
    /// # Errors
    /// An error ends training.
    fn on_step(&mut self, trainer: &Trainer, report: &StepReport) -> Result<(), AlgoError>;

    /// Whether training ends before its budget, as complete; asked before every step of the loop over fixed rows. Never by default.
    fn is_reached(&self) -> bool {
        false
    }

    /// Called when training continues without some data or without a step. Ignored by default.
    fn on_warning(&mut self, text: &str) {
        let _ = text;
    }
}

/// Reason for the end of training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The budget is used up, or the observer's goal is reached.
    Complete,
    /// Stopped on request; the trainer can be saved and continued.
    Interrupted,
}
