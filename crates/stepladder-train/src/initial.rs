//! Initial policies of a run: random weights, or a pretrained model.

use std::sync::Arc;

use stepladder_data::PromptEncoder;
use stepladder_model::checkpoint::{BaseId, Bases};
use stepladder_model::{Device, ModelConfig, ModelError, Shape, Weights};

use crate::config::Config;
use crate::scratch::Scratch;
use crate::tuning::Pretrained;

/// Source of the initial policies of a run, which all have one encoder.
pub(crate) enum Initial {
    Scratch(Scratch),
    Pretrained(Box<Pretrained>),
}

impl Initial {
    /// Returns the prompt encoder of the policies.
    pub(crate) fn encoder(&self) -> Arc<dyn PromptEncoder> {
        match self {
            Self::Scratch(scratch) => scratch.encoder(),
            Self::Pretrained(pretrained) => pretrained.encoder(),
        }
    }

    /// Creates the weights of a policy.
    ///
    /// # Errors
    /// [`ModelError`] if no model has the configured shape, or the pretrained model cannot be read.
    pub(crate) fn weights(
        &self,
        config: &Config,
        device: Device,
        bases: &Bases,
    ) -> Result<Weights, ModelError> {
        match self {
            Self::Scratch(scratch) => scratch.weights(&config.model.scratch, config.seed, device),
            Self::Pretrained(pretrained) => pretrained.weights(config.seed, device, bases),
        }
    }

    /// Returns the pretrained model of the policies.
    pub(crate) fn base(&self) -> Option<&BaseId> {
        match self {
            Self::Scratch(_) => None,
            Self::Pretrained(pretrained) => Some(pretrained.id()),
        }
    }

    /// Returns the context window of the policies, in tokens.
    pub(crate) fn context(&self, config: &Config) -> i64 {
        match self {
            Self::Scratch(_) => config.model.scratch.max_positions,
            Self::Pretrained(pretrained) => pretrained.model().shape.max_positions,
        }
    }

    /// Lists the differences of the model of a checkpoint from that of the configuration; empty if there is none.
    pub(crate) fn differences(&self, found: &ModelConfig, config: &Config) -> String {
        match self {
            Self::Scratch(_) => shapes(&found.shape, &config.model.scratch),
            Self::Pretrained(pretrained) if found == pretrained.model() => String::new(),
            Self::Pretrained(pretrained) => {
                let (then, now) = (&found.lora, &pretrained.model().lora);
                match then == now {
                    true => format!("its model is not that of {}", pretrained.id().path.display()),
                    false => format!("its adapters are {then:?}, config.toml says {now:?}"),
                }
            }
        }
    }
}

/// Lists the keys in which two shapes differ, with both values.
fn shapes(found: &Shape, wanted: &Shape) -> String {
    // A shape consists of numbers and a boolean.
    let entries = |shape: &Shape| serde_json::to_value(shape).expect("a shape is JSON");
    let (found, wanted) = (entries(found), entries(wanted));
    let differing =
        found.as_object().into_iter().flatten().filter(|(key, value)| wanted[key.as_str()] != **value);
    let named: Vec<String> = differing
        .map(|(key, value)| {
            format!("its model.scratch.{key} is {value}, config.toml says {}", wanted[key.as_str()])
        })
        .collect();
    named.join(", ")
}
