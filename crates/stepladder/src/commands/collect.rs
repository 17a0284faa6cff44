//! `collect`: a trained agent plays, the trace is written.

use std::num::NonZeroUsize;

use anyhow::Result;
use stepladder_env::{Draw, Subset};
use stepladder_rollout::Job;
use stepladder_rollout::scheduler::Options;

use super::{policy, sum_up, whole};
use crate::cli::Collect;
use crate::terminal::Terminal;
use stepladder_train::choice::behind;
use stepladder_train::output::Output;
use stepladder_train::play::play;
use stepladder_train::trace_file;

pub(super) fn run(arguments: &Collect) -> Result<()> {
    let opened = policy::open(&arguments.policy, arguments.split.as_deref(), |config| &config.data.split)?;
    let policy::Opened { policy, env, split, .. } = &opened;
    let count = arguments.count.map_or(0, NonZeroUsize::get);
    let subset = Subset::draw(&*env.tasks, split, count, Draw::Training { seed: arguments.seed })?;
    let jobs = Job::each(&subset.tasks);
    let output = Output::create(&arguments.output)?;
    let on_stdout = output.is_stdout();
    let writer = trace_file::Writer::to(output)?;
    let mut generator = opened.generator()?;
    let options = Options { seed: arguments.seed, slots: 100, ..opened.options(&arguments.policy) };
    let mut episodes = play(env, &mut *generator, &jobs, options, &policy.name, &Terminal)?;
    whole(&mut episodes)?;
    writer.write_all(&episodes)?;
    let all = env.evaluate(&episodes).all;
    let played = format_args!(
        "{} episodes{}, {:.1} % solved, {:.2} steps on average: {}",
        all.n,
        behind(&subset),
        100.0 * all.success,
        all.mean_steps,
        arguments.output.display()
    );
    sum_up(on_stdout, played);
    Ok(())
}
