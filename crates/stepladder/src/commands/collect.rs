//! `collect`: a trained agent plays, the trace is written.

use std::num::NonZeroUsize;

use anyhow::{Result, anyhow};
use stepladder_agent::Job;
use stepladder_agent::scheduler::Options;
use stepladder_model::device;

use super::{Usage, all_played, say};
use crate::cli::Collect;
use crate::envs;
use crate::run::play::{Policy, play};
use crate::run::trace_file;
use crate::run::training::split_tasks;
use crate::threads;

pub(super) fn run(arguments: &Collect) -> Result<()> {
    let opened = device::open(&arguments.device)?;
    device::one_thread_each();
    let policy = Policy::open(&arguments.run, arguments.agent.as_deref(), opened)?;
    let of_run = |pick: fn(&crate::config::Config) -> String| policy.run.as_ref().map(pick);
    let missing =
        |what: &str| anyhow!(Usage(format!("a checkpoint alone does not say which {what}: pass --{what}")));
    let id = arguments
        .env
        .clone()
        .or_else(|| of_run(|config| config.env.id.clone()))
        .ok_or_else(|| missing("env"))?;
    let split = arguments
        .split
        .clone()
        .or_else(|| of_run(|config| config.data.split.clone()))
        .ok_or_else(|| missing("split"))?;
    let env = envs::open(&id, arguments.data.as_deref())?;
    let jobs = Job::each(&split_tasks(&env, &split, arguments.count.map_or(0, NonZeroUsize::get))?);
    let writer = trace_file::Writer::create(&arguments.output)?;
    let mut generator = policy.generator(&env, threads::workers(0))?;
    let options = Options {
        max_steps: policy.max_steps(arguments.max_steps, &env, &split),
        temperature: arguments.temperature,
        seed: arguments.seed,
        slots: 100,
        ..Options::greedy(policy.agent)
    };
    let episodes = play(&env, &mut *generator, &jobs, options, &policy.name)?;
    writer.write_all(&episodes)?;
    let all = env.evaluate(&episodes).all;
    say(format_args!(
        "{} episodes, {:.1} % solved, {:.2} steps on average: {}",
        all.n,
        100.0 * all.success,
        all.mean_steps,
        arguments.output.display()
    ));
    all_played(&episodes)
}
