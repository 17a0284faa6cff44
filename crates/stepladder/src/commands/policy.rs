//! What `evaluate` and `collect` share: opening a trained agent and the environment it plays.

use anyhow::{Result, anyhow};
use stepladder_model::device;
use stepladder_rollout::Generator;
use stepladder_rollout::scheduler::Options;

use super::Usage;
use crate::cli::PolicyArgs;
use stepladder_train::config::Config;
use stepladder_train::envs::{self, Registered};
use stepladder_train::memory;
use stepladder_train::play::Policy;
use stepladder_train::workers;

/// A trained agent and the split it plays.
pub(super) struct Opened {
    pub(super) policy: Policy,
    pub(super) env: Registered,
    /// Environment id.
    pub(super) id: String,
    pub(super) split: String,
}

/// Opens the agent and the environment; where the arguments leave environment or split open, its run decides.
pub(super) fn open(
    arguments: &PolicyArgs,
    split: Option<&str>,
    split_of_run: fn(&Config) -> &str,
) -> Result<Opened> {
    memory::enough_to_begin()?;
    let opened = device::open(&arguments.device)?;
    device::one_thread_each();
    let policy = Policy::open(&arguments.run, arguments.agent.as_deref(), opened)?;
    let choose = |what: &str, typed: Option<&str>, of_run: fn(&Config) -> &str| -> Result<String> {
        let chosen = typed.or_else(|| policy.run.as_ref().map(of_run));
        let missing = || Usage(format!("a checkpoint alone does not say which {what}: pass --{what}"));
        chosen.map(str::to_owned).ok_or_else(|| anyhow!(missing()))
    };
    let id = choose("env", arguments.env.as_deref(), |config| &config.env.id)?;
    let split = choose("split", split, split_of_run)?;
    let env = envs::open_with(policy.run.as_ref(), &id, arguments.data.as_deref(), &arguments.options.pairs)?;
    Ok(Opened { policy, env, id, split })
}

impl Opened {
    /// Writes the agent's replies.
    pub(super) fn generator(&self) -> Result<Box<dyn Generator>> {
        self.policy.generator(&self.env, workers(0))
    }

    /// Step limit and temperature as typed.
    pub(super) fn options(&self, arguments: &PolicyArgs) -> Options<'_> {
        Options {
            max_steps: self.policy.max_steps(arguments.max_steps, &self.env, &self.split),
            temperature: arguments.temperature,
            ..Options::greedy(self.policy.agent)
        }
    }
}
