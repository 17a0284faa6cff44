//! Reward definition of online methods.

use stepladder_core::trace::Episode;

stepladder_core::choices! {
    /// Source of the reward.
    pub enum Reward {
        /// A fixed reward for success, at the last step (ALFWorld, WebShop).
        Success = "success",
        /// Reward of the environment (Sokoban).
        Return = "return",
    }
}

/// Definition of the rewards of an episode.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RewardRule {
    /// Source of the reward.
    pub source: Reward,
    /// Reward of a solved task under [`Reward::Success`].
    pub success: f64,
    /// Penalty of an invalid reply.
    pub penalty: f64,
}

impl RewardRule {
    /// Returns the reward of each step.
    pub fn steps(self, episode: &Episode) -> Vec<f64> {
        let last = episode.len().saturating_sub(1);
        let of_step = |(place, reward): (usize, f64)| match self.source {
            Reward::Success if place == last && episode.won => self.success,
            Reward::Success => 0.0,
            Reward::Return => reward,
        };
        episode.steps().map(|step| step.reward).enumerate().map(of_step).collect()
    }

    /// Returns the reward of each step, minus the penalty for unreadable replies and unknown actions
    /// (docs/spec/algorithms.md 4).
    pub fn penalised(self, episode: &Episode) -> Vec<f64> {
        let invalid = episode.steps().map(|step| step.unparsable || step.unknown_action);
        self.steps(episode)
            .into_iter()
            .zip(invalid)
            .map(|(reward, invalid)| if invalid { reward - self.penalty } else { reward })
            .collect()
    }

    /// Returns the reward of an unreadable macro reply, which is below all others of the group (docs/spec/algorithms.md 5).
    /// `least` is the lowest return of the group; none if all replies are unreadable.
    pub fn of_unreadable(self, least: Option<f64>) -> f64 {
        match (self.source, least) {
            (Reward::Return, Some(least)) => least - 1.0,
            _ => -1.0,
        }
    }
}
