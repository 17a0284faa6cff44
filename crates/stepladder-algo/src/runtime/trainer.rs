//! State of a training run: the policy, the other networks of the algorithm, and the position of the run.

use stepladder_model::Weights;
use stepladder_model::checkpoint::BaseId;

use crate::runtime::counters::Counters;
use crate::runtime::net::Nets;
use crate::runtime::optimiser::{AdamW, AdamWConfig};

/// Identity of a run; a run resumes only from a checkpoint with the same identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Name of the trained agent.
    pub agent: String,
    /// Id of the prompt style.
    pub style: String,
    /// Fingerprint of the configuration and data.
    pub data: String,
    /// Pretrained model that the policy was trained from; `None` for a policy that began with random weights.
    pub base: Option<BaseId>,
}

/// State of a training run.
#[derive(Debug)]
pub struct Trainer {
    /// Parameters of the policy, trained and frozen.
    pub weights: Weights,
    /// Optimiser of the policy with its moments.
    pub optimiser: AdamW,
    /// Optimiser of the policy in HiMAC's phase B, if it has its own state.
    pub adapt: Option<AdamW>,
    /// Other networks of the algorithm.
    pub nets: Nets,
    /// Counters of the run.
    pub counters: Counters,
    /// Identity of the run.
    pub identity: Identity,
}

impl Trainer {
    /// Creates the state at the beginning of a run: zero moments, no other networks, all counters 0.
    pub fn new(weights: Weights, config: AdamWConfig, identity: Identity) -> Self {
        let optimiser = AdamW::new(config, &weights.trained.buffer);
        Self { weights, optimiser, adapt: None, nets: Nets::default(), counters: Counters::start(), identity }
    }
}
