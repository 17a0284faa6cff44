//! `collect`: a trained agent plays, the trace is written.

use std::num::NonZeroUsize;

use anyhow::Result;
use stepladder_agent::Job;
use stepladder_agent::scheduler::Options;

use super::{all_played, policy, say};
use crate::cli::Collect;
use crate::run::play::play;
use crate::run::trace_file;
use crate::run::training::split_tasks;

pub(super) fn run(arguments: &Collect) -> Result<()> {
    let opened = policy::open(&arguments.policy, arguments.split.as_deref(), |config| &config.data.split)?;
    let policy::Opened { policy, env, split, .. } = &opened;
    let jobs = Job::each(&split_tasks(env, split, arguments.count.map_or(0, NonZeroUsize::get))?);
    let writer = trace_file::Writer::create(&arguments.output)?;
    let mut generator = opened.generator()?;
    let options = Options { seed: arguments.seed, slots: 100, ..opened.options(&arguments.policy) };
    let episodes = play(env, &mut *generator, &jobs, options, &policy.name)?;
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
