//! Hyperparameters of HiMAC.

use stepladder_core::section::Bound;
use stepladder_core::{choices, section};

choices! {
    /// Phases of an iteration.
    pub enum Phases {
        /// Macro exploration, then micro adaptation.
        Both = "both",
        /// Macro exploration alone: the replies of the micro role do not learn.
        Macro = "macro",
        /// Micro adaptation alone, with the policy's greedy blueprints, which do not learn.
        Micro = "micro",
    }
}

choices! {
    /// Blueprint that phase B executes on a task whose blueprints all have the same return.
    pub enum Degenerate {
        /// The policy's greedy blueprint, written with the parameters after phase A.
        Greedy = "greedy",
        /// The sampled blueprint with the fewest sub-goals.
        Fewest = "fewest",
    }
}

choices! {
    /// What phase B does with a task that no blueprint solved and whose blueprints all have the same return.
    pub enum AllFailed {
        /// Leaves it out.
        Skip = "skip",
        /// Plays it like any other.
        Train = "train",
    }
}

choices! {
    /// Optimiser states of the two phases.
    pub enum Moments {
        /// One state per phase: the moments of blueprints do not move action replies.
        PerPhase = "per_phase",
        /// One state for both.
        Shared = "shared",
    }
}

section! {
    /// Hyperparameters of HiMAC, besides those of all online methods (docs/spec/algorithms.md 9.2).
    pub struct HimacConfig {
        /// Blueprint that phase B executes where the blueprints of a task all have the same return.
        pub degenerate: Degenerate = Degenerate::Greedy,
        /// Whether phase B plays tasks that no blueprint solved and whose blueprints all have the same return.
        pub all_failed: AllFailed = AllFailed::Skip,
        /// Optimiser states of the two phases.
        pub moments: Moments = Moments::PerPhase,
        /// Weight of a KL term on the replies of the role that does not learn in a phase, to the policy at the beginning of the phase. It holds from the
        /// second optimiser step of a phase on (`algo.online.mini_batch`).
        pub kl_idle: f64 = 0.0 => [Bound::NotNegative],
        /// Blueprints per optimiser step of phase A, in place of `algo.online.mini_batch`: an iteration has far fewer of them than of
        /// actions.
        pub explore_mini_batch: Option<usize> = None => [Bound::AtLeast(1)],
        /// Reward in phase B of a sub-goal that was declared done and that the environment's expert confirms; minus half of it for any
        /// other declaration.
        pub subgoal_reward: f64 = 0.0 => [Bound::NotNegative],
    }
}

impl Copy for HimacConfig {}

impl HimacConfig {
    /// The rules before docs/spec/algorithms.md 9.2.
    pub const BEFORE: Self = Self {
        degenerate: Degenerate::Fewest,
        all_failed: AllFailed::Train,
        moments: Moments::Shared,
        kl_idle: 0.0,
        explore_mini_batch: None,
        subgoal_reward: 0.0,
    };
}
