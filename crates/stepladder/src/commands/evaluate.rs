//! `evaluate`: a trained agent on a split.

use std::num::NonZeroUsize;

use anyhow::Result;
use serde_json::json;
use stepladder_algo::note;
use stepladder_algo::runtime::clock::Stopwatch;
use stepladder_core::trace::Episode;
use stepladder_env::{Draw, Subset};
use stepladder_rollout::Job;
use stepladder_rollout::scheduler::Options;

use super::{Usage, all_played, one_on_stdout, policy, say, sum_up};
use crate::cli::Evaluate;
use crate::terminal::Terminal;
use stepladder_train::choice::suffix;
use stepladder_train::directory::commit;
use stepladder_train::memory;
use stepladder_train::output::Output;
use stepladder_train::play::play;
use stepladder_train::table::{self, Line};
use stepladder_train::trace_file;

/// All are kept until the table is made.
const MOST_EPISODES: u64 = 1_000_000;

pub(super) fn run(arguments: &Evaluate) -> Result<()> {
    let opened = policy::open(&arguments.policy, arguments.split.as_deref(), |config| &config.eval.split)?;
    let policy::Opened { policy, env, id, split } = &opened;
    let count = arguments.episodes.map_or(0, NonZeroUsize::get);
    let subset = Subset::draw(&*env.tasks, split, count, Draw::Evaluation)?;
    if arguments.seeds.get() > 1 && arguments.policy.temperature.is_none() && env.spec().deterministic {
        let problem = format!(
            "{id} ignores seeds and decoding is greedy: --seeds {} would play the same",
            arguments.seeds
        );
        return Err(Usage(problem + " episodes again; add --temperature, or leave --seeds out").into());
    }
    let count = subset.tasks.len();
    let number = (count as u64).saturating_mul(arguments.seeds.get());
    if number > MOST_EPISODES {
        let problem = format!("--seeds {} on {count} tasks are {number} episodes", arguments.seeds);
        return Err(Usage(format!("{problem}; at most {MOST_EPISODES} are played at a time")).into());
    }
    let output = arguments.trace.as_deref().map(Output::create).transpose()?;
    let on_stdout = output.as_ref().is_some_and(Output::is_stdout);
    if let Some(output) = &output {
        one_on_stdout(output, arguments.json)?;
    }
    let writer = output.map(trace_file::Writer::to).transpose()?;
    let jobs: Vec<Job> = (0..arguments.seeds.get())
        .flat_map(|seed| subset.tasks.iter().map(move |task| Job { seed, ..Job::sampled(task, seed) }))
        .collect();
    let mut generator = opened.generator()?;
    let options = Options {
        slots: arguments.slots.get(),
        keep_prompts: arguments.trace.is_some(),
        keep_tokens: arguments.trace_tokens,
        ..opened.options(&arguments.policy)
    };
    let clock = Stopwatch::start();
    let episodes = play(env, &mut *generator, &jobs, options, &policy.name, &Terminal)?;
    let seconds = clock.seconds();
    note!("{} episodes in {seconds:.2} s", episodes.len());
    if let Some(writer) = writer {
        writer.write_all(&episodes)?;
    }
    let evaluation = env.evaluate(&episodes);
    let place = policy.checkpoint.display().to_string();
    if arguments.json {
        let mut value = table::json((id, split, &subset), &policy.name, &place, commit(), &evaluation);
        let steps: usize = episodes.iter().map(Episode::len).sum();
        value["seconds"] = json!(seconds);
        value["seconds_per_step"] = json!(seconds / steps.max(1) as f64);
        value["peak_memory_bytes"] = json!(memory::peak_bytes());
        say(value);
    } else {
        let lines = [Line { name: policy.name.clone(), evaluation }];
        sum_up(
            on_stdout,
            table::render(&format!("{id}/{split}{}, {place}", suffix(&subset)), &lines).trim_end(),
        );
    }
    all_played(&episodes)
}
