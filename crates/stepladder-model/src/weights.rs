//! Trained and frozen parameters of a model.

use std::collections::{BTreeMap, BTreeSet};

use tch::{Device, Kind, Tensor};

use crate::ModelError;
use crate::config::ModelConfig;
use crate::factors::Factors;
use crate::lora::{Lora, a_of, b_of};
use crate::params::{Layout, Params};

/// All parameters of a model (docs/design.md D14).
///
/// Trained parameters are one contiguous f32 buffer; gradients and optimiser moments have the same shape. All other parameters are
/// frozen: no gradient, no moments, any dtype. A newly initialised model has no frozen parameters.
#[derive(Debug)]
pub struct Weights {
    /// Trained parameters. Their values may change, their layout may not.
    pub trained: Params,
    frozen: BTreeMap<String, Tensor>,
    factors: Factors,
}

impl Weights {
    /// Initialises all parameters from the run's `init` stream; all of them are trained. A model with factored embeddings also
    /// needs [`Weights::with_factors`].
    pub fn init(config: &ModelConfig, seed: u64, device: Device) -> Self {
        Self {
            trained: Params::init(config, seed, device),
            frozen: BTreeMap::new(),
            factors: Factors::default(),
        }
    }

    /// Combines trained and frozen parameters, the latter by name. A model with factored embeddings also needs
    /// [`Weights::with_factors`].
    ///
    /// # Errors
    /// [`ModelError::Config`] unless they are exactly the parameters of the model, each once and in its shape.
    pub fn new(trained: Params, frozen: BTreeMap<String, Tensor>) -> Result<Self, ModelError> {
        let mut found: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
        let given = trained.layout.entries.iter().map(|entry| (entry.name.as_str(), entry.shape.clone()));
        for (name, shape) in given.chain(frozen.iter().map(|(name, tensor)| (name.as_str(), tensor.size()))) {
            if found.insert(name, shape).is_some() {
                return Err(ModelError::Config(format!("the parameter `{name}` is both trained and frozen")));
            }
        }
        for parameter in trained.layout.config().parameters() {
            match found.remove(parameter.name.as_str()) {
                Some(shape) if shape == parameter.shape => {}
                Some(shape) => {
                    let (name, needed) = (parameter.name, parameter.shape);
                    return Err(ModelError::Config(format!("`{name}` has shape {shape:?}, not {needed:?}")));
                }
                None => {
                    return Err(ModelError::Config(format!("the parameter `{}` is missing", parameter.name)));
                }
            }
        }
        match found.keys().next() {
            Some(name) => Err(ModelError::Config(format!("the model has no parameter `{name}`"))),
            None => Ok(Self { trained, frozen, factors: Factors::default() }),
        }
    }

    /// Sets the embedding factors of the words (docs/design.md D12).
    ///
    /// # Errors
    /// [`ModelError::Config`] if the factors do not fit the model: another number of factors, or of words.
    pub fn with_factors(self, factors: Factors) -> Result<Self, ModelError> {
        let ModelConfig { vocab, factors: count, .. } = *self.config();
        if factors.len() as i64 != count || !factors.fit(vocab) {
            let (found, words) = (factors.len(), factors.of_word.len());
            return Err(ModelError::Config(format!(
                "{found} embedding factors of {words} words do not fit a model with {count} factors and {vocab} words"
            )));
        }
        Ok(Self { factors, ..self })
    }

    /// Freezes the parameters of these names, converted to `dtype`.
    ///
    /// # Errors
    /// [`ModelError::Config`] for a name that is not a trained parameter.
    pub fn freeze(self, names: &BTreeSet<String>, dtype: Kind) -> Result<Self, ModelError> {
        let Self { trained, mut frozen, factors } = self;
        for name in names {
            let tensor = trained.get(name);
            let tensor =
                tensor.ok_or_else(|| ModelError::Config(format!("no trained parameter `{name}`")))?;
            frozen.insert(name.clone(), tensor.to_kind(dtype).copy());
        }
        let config = trained.layout.config();
        let kept = |name: &str| !names.contains(name) && trained.get(name).is_some();
        let layout = Layout::of(config, config.parameters().into_iter().filter(|each| kept(&each.name)));
        let values: Vec<Tensor> = layout
            .entries
            .iter()
            .filter_map(|entry| trained.get(&entry.name))
            .map(|values| values.view([-1]))
            .collect();
        let buffer = if values.is_empty() { trained.buffer.narrow(0, 0, 0) } else { Tensor::cat(&values, 0) };
        Ok(Self { factors, ..Self::new(Params { layout, buffer }, frozen)? })
    }

    /// Freezes all parameters and adds adapters, which start as zero and are trained; their A matrices come from the run's
    /// `lora` stream. Frozen parameters keep their dtype and are shared, not copied, where they were frozen before.
    ///
    /// # Errors
    /// [`ModelError::Config`] if the adapters are impossible, or if the model has adapters already.
    pub fn with_lora(&self, lora: &Lora, seed: u64) -> Result<Self, ModelError> {
        let config = self.config().clone().with_lora(lora)?;
        let adapters = config.parameters().into_iter().filter(|each| self.get(&each.name).is_none());
        let trained = Params::drawn(&config, adapters.collect(), (seed, "lora"), self.device());
        self.with_adapters(trained)
    }

    /// Combines this model, all of it frozen, with the adapters `trained`.
    pub(crate) fn with_adapters(&self, trained: Params) -> Result<Self, ModelError> {
        let own = self.config().parameters().into_iter();
        let frozen = own.filter_map(|each| self.get(&each.name).map(|tensor| (each.name, tensor.detach())));
        let adapted = Self::new(trained, frozen.collect())?;
        Ok(Self { factors: self.factors.clone(), ..adapted })
    }

    /// Returns the model with the adapters added to its matrices, all of it frozen; a model without adapters as it is.
    ///
    /// # Errors
    /// From libtorch: out of memory.
    pub fn merged(&self) -> Result<Self, ModelError> {
        let Some(lora) = &self.config().lora else {
            return self.with_adapters(Params::zeros(Layout::of(self.config(), []), self.device()));
        };
        let base = ModelConfig { lora: None, ..self.config().clone() };
        let fused: [(&str, &[&str]); 4] = [
            ("qkv", &["q_proj", "k_proj", "v_proj"]),
            ("out", &["o_proj"]),
            ("gate_up", &["gate_proj", "up_proj"]),
            ("down", &["down_proj"]),
        ];
        let mut frozen = BTreeMap::new();
        tch::no_grad(|| -> Result<(), ModelError> {
            for parameter in base.parameters() {
                let Some(tensor) = self.get(&parameter.name) else { continue };
                let place = parameter.name.strip_prefix("layers.").and_then(|rest| rest.split_once('.'));
                let found = place.and_then(|(layer, name)| {
                    fused.iter().find(|(fused, _)| *fused == name).map(|(_, modules)| (layer, *modules))
                });
                let mut sum = tensor.shallow_clone();
                if let Some((layer, modules)) = found {
                    let layer = layer.parse().unwrap_or_default();
                    let mut from = 0;
                    for module in modules {
                        let (a, b) = (self.get(&a_of(layer, module)), self.get(&b_of(layer, module)));
                        let rows = base.rows_of(module);
                        if let Some((a, b)) = a.zip(b) {
                            let delta = (b.f_mul_scalar(lora.scale())?).f_matmul(&a)?;
                            let before = sum.f_narrow(0, 0, from)?;
                            let own = sum.f_narrow(0, from, rows)?.f_to_kind(Kind::Float)?.f_add(&delta)?;
                            let after = sum.f_narrow(0, from + rows, sum.size()[0] - from - rows)?;
                            sum = Tensor::f_cat(&[before, own.f_to_kind(tensor.kind())?, after], 0)?;
                        }
                        from += rows;
                    }
                }
                frozen.insert(parameter.name, sum);
            }
            Ok(())
        })?;
        let merged = Self::new(Params::zeros(Layout::of(&base, []), self.device()), frozen)?;
        Ok(Self { factors: self.factors.clone(), ..merged })
    }

    /// Limits the logits to those of a tokenizer's ids ([`ModelConfig::with_tokens`]).
    ///
    /// # Errors
    /// [`ModelError::Config`] if the embedding table has fewer rows than the tokenizer has tokens.
    pub fn with_tokens(self, tokens: usize) -> Result<Self, ModelError> {
        let Self { trained: Params { layout, buffer }, frozen, factors } = self;
        let config = layout.config().clone().with_tokens(tokens)?;
        let layout = layout.with_config(config);
        Ok(Self { trained: Params { layout, buffer }, frozen, factors })
    }

    /// Shortens the context window.
    ///
    /// # Errors
    /// [`ModelError::Config`] if the model has a shorter one, or for 0.
    pub fn with_context(self, context: i64) -> Result<Self, ModelError> {
        let Self { trained: Params { layout, buffer }, frozen, factors } = self;
        let config = layout.config().clone().with_context(context)?;
        let layout = layout.with_config(config);
        Ok(Self { trained: Params { layout, buffer }, frozen, factors })
    }

    /// Converts the frozen parameters to the dtype of matrix products, one at a time.
    pub fn cast_frozen(self, dtype: Kind) -> Self {
        let cast = |(name, tensor): (String, Tensor)| (name, tensor.to_kind(dtype));
        Self { frozen: self.frozen.into_iter().map(cast).collect(), ..self }
    }

    /// Returns the frozen parameters by name.
    pub fn frozen(&self) -> &BTreeMap<String, Tensor> {
        &self.frozen
    }

    /// Returns the embedding factors of the words; empty for a model without factored embeddings.
    pub fn factors(&self) -> &Factors {
        &self.factors
    }

    /// Returns one parameter, trained or frozen; none for an unknown name.
    pub fn get(&self, name: &str) -> Option<Tensor> {
        self.trained.get(name).or_else(|| self.frozen.get(name).map(Tensor::shallow_clone))
    }

    /// Returns the configuration of the model.
    pub fn config(&self) -> &ModelConfig {
        self.trained.layout.config()
    }

    /// Returns the device of the trained parameters, on which all computation takes place.
    pub fn device(&self) -> Device {
        self.trained.buffer.device()
    }
}
