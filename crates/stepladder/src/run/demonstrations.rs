//! The expert's episodes.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, bail};
use rayon::prelude::*;
use stepladder_agent::generator::ExpertGenerator;
use stepladder_agent::scheduler::{Noise, Options};
use stepladder_agent::{AgentKind, AgentSpec, Job, Scheduler};
use stepladder_core::label::Expert;
use stepladder_core::seed::stream;
use stepladder_core::trace::{Episode, Turn, VERSION};
use stepladder_core::{Query, Role};
use stepladder_env::{Env, TimeLimit};

use super::progress::Reporter;
use crate::config::Config;
use crate::envs::Registered;

/// Which episodes the expert plays.
pub(crate) struct Rollout {
    /// In which agent it speaks.
    pub(crate) agent: AgentKind,
    /// Tasks.
    pub(crate) jobs: Vec<Job>,
    /// Step limit.
    pub(crate) max_steps: u32,
    /// Chance of another action per step.
    pub(crate) noise: f64,
    /// Seed of the noise.
    pub(crate) seed: u64,
}

/// Borrows an expert as one.
struct Borrowed<'a>(&'a dyn Expert);

impl Expert for Borrowed<'_> {
    fn reply(&self, query: &Query) -> String {
        self.0.reply(query)
    }
}

/// Plays them all.
pub(crate) fn expert_rollout(
    env: &Registered,
    rollout: &Rollout,
    reporter: &Reporter,
) -> Result<Vec<Episode>> {
    let mut generator = ExpertGenerator::new(Borrowed(&*env.expert), format!("expert/{}", env.spec().id));
    let noise = (rollout.noise > 0.0).then_some(Noise { probability: rollout.noise, perturb: &*env.noise });
    let options = Options {
        max_steps: rollout.max_steps,
        seed: rollout.seed,
        slots: 256,
        noise,
        ..Options::greedy(rollout.agent)
    };
    let mut done = 0;
    let episodes = Scheduler::new(&*env.tasks, &mut generator, options).run(&rollout.jobs, |_| {
        done += 1;
        reporter.at(done, &format!("{done} episodes"));
    })?;
    reporter.done();
    Ok(episodes)
}

/// Plays the solutions that tasks come with, as a flat agent's episodes.
pub(crate) fn walkthroughs(env: &Registered, rollout: &Rollout, reporter: &Reporter) -> Result<Vec<Episode>> {
    let done = AtomicU64::new(0);
    let play = |job: &Job| {
        let episode = walkthrough(env, job, rollout.max_steps);
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        reporter.at(done, &format!("{done} episodes"));
        episode
    };
    let episodes = rollout.jobs.par_iter().map(play).collect::<Result<_>>()?;
    reporter.done();
    Ok(episodes)
}

fn walkthrough(env: &Registered, job: &Job, max_steps: u32) -> Result<Episode> {
    let id = env.spec().id;
    let mut game = TimeLimit::new(env.tasks.make()?, max_steps);
    let start = game.reset(&job.task, job.seed)?;
    let solution = game.walkthrough().map(|known| known.solution()).unwrap_or_default();
    if solution.is_empty() {
        bail!("{} comes with no solution; leave out --walkthrough to have {id}'s expert play", job.task);
    }
    let spec = AgentSpec::from(AgentKind::Flat);
    let mut agent = spec.make(max_steps, &job.blueprint);
    agent.start(&start);
    let (mut won, mut score, mut end) = (false, 0.0, None);
    for action in solution {
        agent.on_reply(Turn::said(Role::Flat, action.as_str()));
        let step = game.step(&action)?;
        (won, score, end) = (won || step.won, score + step.reward, step.end);
        agent.on_step(&step);
        if end.is_some() {
            break;
        }
    }
    Ok(Episode {
        version: VERSION,
        task: job.task.clone(),
        seed: job.seed,
        agent: spec.kind.name().to_owned(),
        policy: format!("walkthrough/{id}"),
        start,
        subtasks: agent.trace(),
        won,
        score,
        end,
        error: None,
    })
}

/// The demonstrations of a run: one clean pass, then the noisy ones; only solved episodes are kept. Then all of them with
/// other names, as often as the configuration says.
pub(crate) fn demonstrate(env: &Registered, config: &Config) -> Result<Vec<Episode>> {
    let mut tasks = env.tasks.tasks(&config.data.split)?;
    if config.data.games > 0 {
        tasks.truncate(config.data.games);
    }
    let mut kept = Vec::new();
    for pass in 0..=config.data.noisy_passes {
        let rollout = Rollout {
            agent: AgentKind::StepHrl,
            jobs: tasks.iter().map(|task| Job::sampled(task, pass)).collect(),
            max_steps: config.env.max_steps,
            noise: if pass == 0 { 0.0 } else { config.data.noise },
            seed: config.seed,
        };
        let episodes = expert_rollout(env, &rollout, &Reporter::new("expert plays", tasks.len() as u64))?;
        if let Some(error) = episodes.iter().find_map(|episode| episode.error.as_ref()) {
            bail!("a demonstration broke off: {error}");
        }
        kept.extend(episodes.into_iter().filter(|episode| episode.won));
    }
    if let Some(rename) = env.rename {
        let played = kept.clone();
        for copy in 0..config.data.renamed {
            kept.extend(played.iter().zip(0..).map(|(episode, number)| {
                rename(episode, &mut stream(config.seed, "rename", &[copy, number]))
            }));
        }
    }
    if kept.is_empty() {
        bail!(
            "the expert solved none of the {} tasks of {}/{}",
            tasks.len(),
            config.env.id,
            config.data.split
        );
    }
    Ok(kept)
}
