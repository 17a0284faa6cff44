//! Pretrained models that play without a run: a Hugging Face directory, an optional adapter, prompts in natural language with
//! or without examples of the expert.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use stepladder_agent::{AgentKind, AgentSpec};
use stepladder_core::codec::Plain;
use stepladder_data::instruct::{Examples, Form};
use stepladder_data::{Budgets, Instruct, PretrainedTokenizer, encoders};
use stepladder_hub::HubError;
use stepladder_model::checkpoint::{self, CONFIG};
use stepladder_model::{Device, Kind, ModelConfig, Weights, fingerprint};

use crate::envs::Registered;
use crate::error::{Error, Result};
use crate::models;

/// The prompt style of pretrained models.
pub const STYLE: &str = "instruct";

/// Requested prompts and adapter of a pretrained model.
#[derive(Debug, Clone, Copy, Default)]
pub struct Prompting<'a> {
    /// Prompt style; [`STYLE`] is the only one.
    pub style: Option<&'a str>,
    /// Form of the prompts; `None` takes a dialogue if the model has a chat template.
    pub form: Option<Form>,
    /// PEFT directory.
    pub adapter: Option<&'a Path>,
    /// Number of examples per role.
    pub examples: usize,
}

impl Prompting<'_> {
    /// Refuses options of pretrained models for a trained policy.
    pub(crate) fn refuse(&self, path: &Path) -> Result<()> {
        let given = [
            ("--style", self.style.is_some()),
            ("--form", self.form.is_some()),
            ("--adapter", self.adapter.is_some()),
            ("--examples", self.examples > 0),
        ];
        match given.iter().find(|(_, given)| *given) {
            Some((option, _)) => Err(Error::usage(format!(
                "{option} is for pretrained models, and {} is a run or a checkpoint, which records its prompts and weights: omit it",
                path.display()
            ))),
            None => Ok(()),
        }
    }
}

/// Files of a pretrained model that fit each other. No tensor was read.
#[derive(Clone)]
pub struct Examined {
    /// Configuration, limited to the ids of the tokenizer.
    pub config: ModelConfig,
    /// Bytes of the tensors by dtype.
    pub sizes: BTreeMap<String, u64>,
    /// Tokenizer.
    pub tokenizer: PretrainedTokenizer,
    /// Form of the prompts.
    pub form: Form,
}

impl Examined {
    /// Checks configuration, headers of the tensor files, tokenizer and chat template of a directory. Without a form, prompts are
    /// dialogues if the model has a chat template.
    ///
    /// # Errors
    /// If a file is missing, incomplete or invalid, if one does not fit the others, or if the template refuses a dialogue.
    pub fn read(directory: &Path, form: Option<Form>) -> Result<Self> {
        let config = checkpoint::read_config(directory)?;
        let sizes = checkpoint::sizes(directory)?;
        let rows = usize::try_from(config.vocab).unwrap_or_default();
        let tokenizer = PretrainedTokenizer::load_for(directory, rows)?;
        let form = form.unwrap_or(match tokenizer.template() {
            Some(_) => Form::Chat,
            None => Form::Plain,
        });
        Instruct::new(tokenizer.clone(), Arc::new(Plain), Budgets::default(), form)?;
        Ok(Self { config: config.with_tokens(tokenizer.vocab())?, sizes, tokenizer, form })
    }

    /// Checks that replies leave tokens for prompts in a context window.
    pub(crate) fn check_budgets(directory: &Path, context: i64, budgets: Budgets) -> Result<()> {
        let longest = budgets.short.max(budgets.long);
        if i64::from(longest) < context {
            return Ok(());
        }
        Err(Error::usage(format!(
            "replies may have {longest} tokens, but the context window of {} is {context} tokens, prompt and reply together: take a model with a longer context, or smaller budgets (generation.short, generation.long)",
            directory.display()
        )))
    }
}

/// Returns the directory of a pretrained model: the one at this path, the one with this name in the directory of all models
/// ([`models::directory`]), or that of a hub name.
///
/// # Errors
/// If there is none, or if it cannot be fetched from the hub.
pub fn locate(name: &str, data_root: Option<&Path>) -> Result<PathBuf> {
    let stored = models::directory(data_root).map(|models| models.join(name));
    if let Some(stored) = stored.filter(|stored| !Path::new(name).exists() && stored.is_dir()) {
        return Ok(stored);
    }
    match stepladder_hub::resolve(name) {
        Ok(directory) => Ok(std::path::absolute(directory)?),
        Err(HubError::Neither(_)) => Err(Error::usage(format!(
            "there is no directory {name:?}, and no model of this name among those that were fetched; `stepladder model list` lists those that are there, `stepladder model get NAME` fetches one"
        ))),
        Err(error) => Err(error.into()),
    }
}

/// How a pretrained model plays.
#[derive(Debug, Clone)]
pub struct Pretrained {
    /// Hugging Face directory.
    pub directory: PathBuf,
    /// PEFT directory.
    pub adapter: Option<PathBuf>,
    /// Agent whose roles it plays.
    pub agent: AgentSpec,
    /// Form of its prompts.
    pub form: Form,
    /// Configuration of the model, without the adapter.
    pub config: ModelConfig,
    /// Examples in its prompts.
    pub examples: Examples,
}

impl fmt::Display for Pretrained {
    /// Writes prompts and adapter for the title of a table: `instruct chat, 3 examples, adapter runs/a`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{STYLE} {}", self.form.name())?;
        match self.shown() {
            0 => {}
            1 => write!(f, ", 1 example")?,
            count => write!(f, ", {count} examples")?,
        }
        self.adapter.as_ref().map_or(Ok(()), |adapter| write!(f, ", adapter {}", adapter.display()))
    }
}

impl Pretrained {
    /// Checks the request for a directory that holds a pretrained model. Reads no weights; the model shows no examples yet.
    ///
    /// # Errors
    /// If style or agent are missing or unknown, or the tokenizer cannot be read.
    pub(crate) fn choose(directory: &Path, agent: Option<&str>, prompting: &Prompting<'_>) -> Result<Self> {
        match prompting.style {
            Some(STYLE) => {}
            Some(other) => {
                return Err(Error::usage(format!(
                    "unknown prompt style `{other}`; a pretrained model plays with --style {STYLE}"
                )));
            }
            None => {
                return Err(Error::usage(format!(
                    "{} is a pretrained model (it has no trainer.json), which records no prompts: pass --style {STYLE}",
                    directory.display()
                )));
            }
        }
        let agent = read_agent(directory, agent)?;
        let examined = Examined::read(directory, prompting.form)?;
        if let Some(adapter) = prompting.adapter {
            checkpoint::check_adapter(adapter, &examined.config)?;
        }
        Ok(Self {
            directory: directory.to_owned(),
            adapter: prompting.adapter.map(Path::to_owned),
            agent,
            form: examined.form,
            config: examined.config,
            examples: Examples::new(),
        })
    }

    /// Reads the weights, all frozen, and the adapter.
    pub(crate) fn weights(&self, device: Device) -> Result<Weights> {
        let frozen: BTreeSet<String> =
            self.config.parameters().into_iter().map(|parameter| parameter.name).collect();
        let mut weights = checkpoint::load(&self.directory, &frozen, device)?;
        if let Some(tokens) = self.config.tokens {
            weights = weights.with_tokens(tokens as usize)?;
        }
        if device == Device::Cpu {
            // Its products are in f32; converted once, all workers have one copy.
            weights = weights.cast_frozen(Kind::Float);
        }
        match &self.adapter {
            None => Ok(weights),
            Some(adapter) => Ok(checkpoint::load_adapter(adapter, &weights)?),
        }
    }

    /// Returns the number of examples per role.
    fn shown(&self) -> usize {
        self.examples.values().map(Vec::len).max().unwrap_or(0)
    }

    /// Adds prompts and adapter to the JSON form of an evaluation.
    pub(crate) fn describe(&self, value: &mut Value) {
        value["style"] = json!(STYLE);
        value["form"] = json!(self.form.name());
        value["examples"] = json!(self.shown());
        value["adapter"] = json!(self.adapter.as_ref().map(|adapter| adapter.display().to_string()));
    }

    /// Opens the encoder for prompts of an environment.
    pub(crate) fn encoder(&self, env: &Registered, budgets: Budgets) -> Result<Instruct> {
        let vocab = self.config.vocab as usize;
        let encoder = encoders::instruct(&self.directory, env.codec.clone(), vocab, budgets, self.form)?;
        Ok(encoder.with_examples(self.examples.clone())?)
    }

    /// Returns the name of the policy in traces: that of the directory, and the fingerprint of the adapter.
    pub(crate) fn fingerprint(&self, weights: &Weights) -> Result<String> {
        let absolute = std::path::absolute(&self.directory)?;
        let name = absolute.file_name().unwrap_or(absolute.as_os_str()).to_string_lossy();
        Ok(match self.adapter {
            None => format!("pretrained/{name}"),
            Some(_) => format!("pretrained/{name}+{}", fingerprint(&weights.trained.buffer)?),
        })
    }
}

/// Whether a directory holds a pretrained model, and no checkpoint or run.
pub(crate) fn is_model(path: &Path) -> bool {
    let has = |name: &str| path.join(name).exists();
    has(CONFIG) && !has("trainer.json") && !has("config.toml")
}

/// Reads the agent that a pretrained model is to play.
fn read_agent(directory: &Path, named: Option<&str>) -> Result<AgentSpec> {
    let kinds: Vec<&str> = AgentKind::ALL.iter().map(|kind| kind.name()).collect();
    let kinds = kinds.join(", ");
    match named {
        None => Err(Error::usage(format!(
            "{} is a pretrained model, which can play every agent: pass --agent with one of {kinds}",
            directory.display()
        ))),
        Some(name) => name.parse().map_err(|error: String| {
            Error::usage(format!("{error}; a pretrained model plays one of {kinds}"))
        }),
    }
}
