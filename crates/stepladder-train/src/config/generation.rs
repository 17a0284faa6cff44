//! Generation of replies.

use std::sync::Arc;

use stepladder_core::section;
use stepladder_core::section::Bound;
use stepladder_data::{Budgets, Overflow};
use stepladder_rollout::sampling::Distribution;

section! {
    /// Generation of the agents' replies, in training and evaluation.
    pub struct GenerationConfig {
        /// New tokens of a reply of one sentence or action: planner, executor, flat and micro.
        pub short: u32 = Budgets::DEFAULT.short => [Bound::AtLeast(1)],
        /// New tokens of a reply of several sentences: progress and macro.
        pub long: u32 = Budgets::DEFAULT.long => [Bound::AtLeast(1)],
        /// Treatment of a prompt that exceeds the context window, together with the budget of its reply. A shortened prompt loses
        /// the oldest entries of its history, then the end of its observation; tables show the fraction of shortened prompts.
        pub overflow: Overflow = Budgets::DEFAULT.overflow,
        /// Where replies are sampled, draws from the smallest set of most likely tokens whose probabilities add up to this; 1 draws
        /// from all tokens. For rollouts of `dagger` and `offline_ac` and for evaluation, not for online methods.
        pub top_p: f64 = 1.0 => [Bound::Rate],
        /// Where replies are sampled, draws from this number of most likely tokens, before `top_p`; 0 draws from all tokens. For the
        /// same methods.
        pub top_k: usize = 0,
        /// Stop strings: a reply ends as soon as its text contains one of them, and its text ends before it. For pretrained models.
        pub stop: Vec<String> = Vec::new(),
    }
}

impl GenerationConfig {
    /// Returns the token limits of replies and the treatment of prompts that leave no tokens for them.
    pub fn budgets(&self) -> Budgets {
        Budgets { short: self.short, long: self.long, overflow: self.overflow }
    }

    /// Returns the distribution that replies are sampled from at a temperature.
    pub fn distribution(&self, temperature: f64) -> Distribution {
        Distribution { temperature, top_p: self.top_p, top_k: self.top_k }
    }

    /// Returns the stop strings of requests.
    pub fn stop_strings(&self) -> Option<Arc<[String]>> {
        (!self.stop.is_empty()).then(|| self.stop.as_slice().into())
    }
}
