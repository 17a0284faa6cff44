//! `demonstrate`: plays tasks with the expert and writes the trace.

use std::num::NonZeroUsize;

use anyhow::Result;
use serde_json::json;
use stepladder_agent::AgentKind;
use stepladder_env::{Draw, Subset};
use stepladder_rollout::Job;

use super::{Usage, one_on_stdout, say, sum_up, whole};
use crate::cli::Demonstrate;
use crate::signals;
use crate::stdout;
use crate::terminal::Terminal;
use stepladder_train::choice::behind;
use stepladder_train::config::Demonstrator;
use stepladder_train::demonstrations::{Rollout, expert_rollout, walkthroughs};
use stepladder_train::envs;
use stepladder_train::labels::Labels;
use stepladder_train::trace_file;

pub(super) fn run(arguments: &Demonstrate) -> Result<()> {
    if !(0.0..1.0).contains(&arguments.noise) {
        return Err(Usage(format!("--noise {} must be in [0, 1)", arguments.noise)).into());
    }
    let env = envs::open_with(None, &arguments.env, arguments.data.as_deref(), &arguments.options.pairs)?;
    let count = arguments.count.map_or(0, NonZeroUsize::get);
    let draw = Draw::Training { seed: arguments.seed };
    let subset = Subset::draw(&*env.tasks, &arguments.split, count, draw)?;
    let tasks = &subset.tasks;
    let output = stdout::open(&arguments.output)?;
    one_on_stdout(&arguments.output, arguments.json)?;
    let on_stdout = stdout::is_named(&arguments.output);
    let writer = trace_file::Writer::to(output)?;
    let demonstrator = if arguments.careless { Demonstrator::Careless } else { Demonstrator::Expert };
    let rollout = Rollout {
        agent: if arguments.flat { AgentKind::Flat } else { AgentKind::StepHrl },
        demonstrator,
        jobs: Job::each(tasks),
        max_steps: arguments.max_steps.unwrap_or_else(|| env.tasks.max_steps(&arguments.split)),
        noise: arguments.noise,
        seed: arguments.seed,
    };
    let mut episodes = if arguments.walkthrough {
        walkthroughs(&env, &rollout, &Terminal)?
    } else {
        expert_rollout(
            &env,
            &rollout,
            &format!("{} plays", demonstrator.title()),
            &Terminal,
            &signals::stop(),
        )?
    };
    let dropped = whole(&mut episodes)?;
    writer.write_all(&episodes)?;
    let summary = env.evaluate(&episodes).all;
    let divided = episodes.iter().any(|episode| episode.agent == AgentKind::StepHrl.name());
    let labels = divided.then(|| Labels::of(&episodes, &env.codec)).transpose()?;
    if arguments.json {
        say(json!({
            "env": arguments.env, "split": arguments.split, "dropped": dropped.episodes, "split_tasks": subset.of, "subset": subset.text(), "n": summary.n, "success": summary.success,
            "interval": summary.interval, "score": summary.score, "mean_steps": summary.mean_steps, "file": arguments.output,
            "labels": labels, "labels_by_family": divided.then(|| Labels::by_family(&episodes, &env.codec)).transpose()?,
        }));
    } else {
        sum_up(
            on_stdout,
            format_args!(
                "{} episodes{}, {:.1} % solved [{:.1}, {:.1}], {:.2} steps on average: {}",
                summary.n,
                behind(&subset),
                100.0 * summary.success,
                100.0 * summary.interval[0],
                100.0 * summary.interval[1],
                summary.mean_steps,
                arguments.output.display()
            ),
        );
        if let Some(labels) = labels {
            sum_up(
                on_stdout,
                format_args!(
                    "{} subtasks with a median of {} actions, {:.1} % named after their objects; {} prompts, {:.2} % with contradictory labels",
                    labels.subtasks,
                    labels.median_actions,
                    100.0 * labels.named,
                    labels.prompts,
                    100.0 * labels.contradictory,
                ),
            );
        }
    }
    Ok(())
}
