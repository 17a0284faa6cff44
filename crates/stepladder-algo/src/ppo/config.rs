//! Hyperparameters of PPO beside those of `online`.

use crate::ops::returns::Gae;

/// Hyperparameters of PPO.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PpoConfig {
    /// γ and λ.
    pub gae: Gae,
    /// How far a value may move from where it was.
    pub value_clip: f64,
    /// Learning rate of the critic.
    pub learning_rate: f64,
}
