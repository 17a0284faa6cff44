//! Networks that an algorithm trains in addition to the policy, by name.

use std::collections::BTreeMap;

use tch::Tensor;

use crate::AlgoError;
use crate::runtime::optimiser::{AdamW, AdamWConfig};

/// A network with its training state.
#[derive(Debug)]
pub struct Net {
    /// All parameters in one buffer: `[P]`, f32.
    pub params: Tensor,
    /// Target network, if the algorithm uses one: `[P]`.
    pub target: Option<Tensor>,
    /// Optimiser with its moments.
    pub optimiser: AdamW,
}

impl Net {
    /// Creates a network with zero moments and without target network.
    pub fn new(params: Tensor, config: AdamWConfig) -> Self {
        Self { optimiser: AdamW::new(config, &params), target: None, params }
    }

    /// Adds a target network with the same parameters.
    pub fn with_target(self) -> Self {
        Self { target: Some(self.params.copy()), ..self }
    }
}

/// Networks by name, which is also their name in checkpoints (`runtime::checkpoint`).
#[derive(Debug, Default)]
pub struct Nets(BTreeMap<String, Net>);

impl Nets {
    /// Adds a network or replaces the one with this name.
    pub fn insert(&mut self, name: &str, net: Net) {
        self.0.insert(name.to_owned(), net);
    }

    /// Whether a network with this name exists.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Returns the network with this name, which must have `len` parameters.
    ///
    /// # Errors
    /// [`AlgoError::Net`] if it is absent or has another size.
    pub fn get(&self, name: &str, len: i64) -> Result<&Net, AlgoError> {
        let net = self.0.get(name).ok_or_else(|| missing(name))?;
        check(name, net, len)?;
        Ok(net)
    }

    /// Returns the network with this name for training; it must have `len` parameters.
    ///
    /// # Errors
    /// As [`Nets::get`].
    pub fn get_mut(&mut self, name: &str, len: i64) -> Result<&mut Net, AlgoError> {
        let net = self.0.get_mut(name).ok_or_else(|| missing(name))?;
        check(name, net, len)?;
        Ok(net)
    }

    /// Iterates over all networks in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Net)> {
        self.0.iter().map(|(name, net)| (name.as_str(), net))
    }
}

fn missing(name: &str) -> AlgoError {
    let reason = "the trainer has none; start it with the algorithm that trains this network, or load a checkpoint \
                  of that algorithm";
    AlgoError::Net { name: name.to_owned(), reason: reason.to_owned() }
}

fn check(name: &str, net: &Net, len: i64) -> Result<(), AlgoError> {
    let found = net.params.size();
    if found == [len] {
        return Ok(());
    }
    let reason =
        format!("its shape is {found:?}, the model needs [{len}]; load the checkpoint of one run as a whole");
    Err(AlgoError::Net { name: name.to_owned(), reason })
}
