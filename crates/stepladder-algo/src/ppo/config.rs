//! Hyperparameters of PPO.

use stepladder_core::section;
use stepladder_core::section::Bound;

use crate::ops::returns::Gae;

section! {
    /// Hyperparameters of PPO, besides those of all online methods.
    pub struct PpoConfig {
        /// Discount (docs/spec/algorithms.md 6.3).
        pub gamma: f64 = 1.0 => [Bound::Between(0, 1)],
        /// λ of the advantages.
        pub lambda: f64 = 1.0 => [Bound::Between(0, 1)],
        /// Clip range of the value around its old value.
        pub value_clip: f64 = 0.5 => [Bound::Positive],
        /// Learning rate of the critic.
        pub critic_learning_rate: f64 = 5e-4 => [Bound::Positive],
    }
}

impl PpoConfig {
    /// Returns γ and λ.
    pub fn gae(&self) -> Gae {
        Gae { gamma: self.gamma, lambda: self.lambda }
    }
}
