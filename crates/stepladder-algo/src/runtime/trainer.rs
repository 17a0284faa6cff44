//! State of a training run: the policy, the networks that an algorithm trains beside it, and the run's position.

use stepladder_model::{Factors, Weights};

use crate::runtime::net::Nets;
use crate::runtime::optimiser::{AdamW, AdamWConfig};
use crate::runtime::progress::Progress;

/// Identity of a run besides its tensors; a run is resumed only from a checkpoint that has the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Name of the agent it was trained as.
    pub agent: String,
    /// Prompt style id.
    pub style: String,
    /// Fingerprint of the configuration and data that a resumed run must share.
    pub data: String,
}

/// A policy in training.
#[derive(Debug)]
pub struct Trainer {
    /// Parameters of the policy, trained and frozen.
    pub weights: Weights,
    /// Factors of the vocabulary.
    pub factors: Factors,
    /// Optimiser of the policy with its moments.
    pub optimiser: AdamW,
    /// Networks of the algorithm beside the policy.
    pub nets: Nets,
    /// Position of the run.
    pub progress: Progress,
    /// Identity of the run.
    pub identity: Identity,
}

impl Trainer {
    /// Starts a run with these weights: zero moments, no other networks, no progress.
    pub fn new(weights: Weights, factors: Factors, config: AdamWConfig, identity: Identity) -> Self {
        let optimiser = AdamW::new(config, &weights.trained.flat);
        Self { weights, factors, optimiser, nets: Nets::default(), progress: Progress::start(), identity }
    }
}
