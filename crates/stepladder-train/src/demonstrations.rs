//! Demonstrations: episodes of the expert.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::Context;
use rayon::prelude::*;
use stepladder_agent::himac::given;
use stepladder_agent::{AgentFactory, AgentKind, AgentSpec};
use stepladder_core::label::Expert;
use stepladder_core::seed::stream;
use stepladder_core::trace::{Episode, Turn, VERSION};
use stepladder_core::{Role, Start, TaskKey};
use stepladder_data::divide::divide;
use stepladder_env::{Draw, Env, Subset, TimeLimit};
use stepladder_rollout::scheduler::{Noise, Options};
use stepladder_rollout::{Dropped, Job, demonstrations};

use super::choice::{Choice, suffix};
use super::report::Reporter;
use crate::config::{Config, Demonstrator};
use crate::envs::Registered;
use crate::error::{Result, bail};

/// Settings of a rollout of the expert.
pub struct Rollout {
    /// Kind of agent that the expert plays in.
    pub agent: AgentKind,
    /// What plays.
    pub demonstrator: Demonstrator,
    /// Tasks and seeds.
    pub jobs: Vec<Job>,
    /// Step limit.
    pub max_steps: u32,
    /// Probability per step of another action.
    pub noise: f64,
    /// Seed of the noise.
    pub seed: u64,
}

/// Plays the episodes of a rollout with the expert.
///
/// # Errors
/// If the expert does not answer a role, or `stop` was set.
pub fn expert_rollout(
    env: &Registered,
    rollout: &Rollout,
    label: &str,
    reporter: &dyn Reporter,
    stop: &AtomicBool,
) -> Result<Vec<Episode>> {
    let player = (rollout.demonstrator.name(), env.demonstrator(rollout.demonstrator)?);
    played_by(player, env, rollout, label, reporter, stop)
}

/// Plays random valid sub-goals in the tasks of a rollout, which the expert carries out. Keeps the sub-goals of each episode up to the
/// first that was not carried out, without a planner's replies. Another number selects other sub-goals.
///
/// # Errors
/// If the environment has no random sub-goals, or `stop` was set.
pub fn wander(
    env: &Registered,
    rollout: &Rollout,
    number: u64,
    reporter: &dyn Reporter,
    stop: &AtomicBool,
) -> Result<Vec<Episode>> {
    let (wanderer, expert) = (env.family.wanderer(number)?, env.expert()?);
    let episodes = played_by(("wanderer", &*wanderer), env, rollout, "random sub-goals", reporter, stop)?;
    Ok(episodes.into_iter().map(|episode| given(expert, episode)).collect())
}

/// Plays the episodes of a rollout with an expert, given by name.
fn played_by(
    player: (&str, &dyn Expert),
    env: &Registered,
    rollout: &Rollout,
    label: &str,
    reporter: &dyn Reporter,
    stop: &AtomicBool,
) -> Result<Vec<Episode>> {
    let noise = match rollout.noise {
        probability if probability > 0.0 => Some(Noise { probability, perturb: env.noise()? }),
        _ => None,
    };
    let options = Options {
        max_steps: rollout.max_steps,
        seed: rollout.seed,
        noise,
        stop: Some(stop),
        ..Options::greedy(rollout.agent)
    };
    let status = reporter.begin(label, rollout.jobs.len() as u64);
    let mut done = 0;
    let on_episode = |_: &Episode| {
        done += 1;
        status.at(done, &format!("{done} episodes"));
    };
    Ok(demonstrations::demonstrate(&*env.tasks, player, &rollout.jobs, options, on_episode)?)
}

/// Plays the recorded solutions of tasks, as episodes of a STEP-HRL agent divided into subtasks or of a flat agent.
///
/// # Errors
/// If a STEP-HRL agent is requested and the environment has no segmenter, or a task has no solution.
pub fn walkthroughs(env: &Registered, rollout: &Rollout, reporter: &dyn Reporter) -> Result<Vec<Episode>> {
    let status = reporter.begin("walkthroughs", rollout.jobs.len() as u64);
    let done = AtomicU64::new(0);
    let cutters = match rollout.agent {
        AgentKind::StepHrl => {
            let segmenter = env.segmenter().context("--flat writes solutions without subtasks")?;
            Some((segmenter, env.expert()?))
        }
        _ => None,
    };
    let play = |job: &Job| -> Result<Episode> {
        let mut episode = walkthrough(env, job, rollout.max_steps)?;
        if let Some((segmenter, expert)) = cutters.as_ref().filter(|_| episode.error.is_none()) {
            match divide(&episode, &**segmenter, *expert) {
                Ok(divided) => episode = divided,
                Err(error) => {
                    episode.error = Some(format!("{error}; --flat writes solutions without subtasks"))
                }
            }
        }
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        status.at(done, &format!("{done} episodes"));
        Ok(episode)
    };
    rollout.jobs.par_iter().map(play).collect()
}

/// Plays the recorded solution of a task; an error of the environment ends the episode.
fn walkthrough(env: &Registered, job: &Job, max_steps: u32) -> Result<Episode> {
    let id = env.spec().id;
    let spec = AgentSpec::from(AgentKind::Flat);
    let mut agent = spec.make(max_steps, &job.blueprint);
    let mut episode = Episode {
        version: VERSION,
        task: job.task.clone(),
        seed: job.seed,
        agent: spec.kind.name().to_owned(),
        policy: format!("walkthrough/{id}"),
        start: Start {
            text: String::new(),
            task: String::new(),
            context: String::new(),
            family: "unknown".to_owned(),
        },
        subtasks: Vec::new(),
        won: false,
        score: 0.0,
        end: None,
        error: None,
    };
    let begun = env.tasks.make().and_then(|game| {
        let mut game = TimeLimit::new(game, max_steps);
        let start = game.reset(&job.task, job.seed)?;
        Ok((game, start))
    });
    let (mut game, start) = match begun {
        Ok(begun) => begun,
        Err(error) => return Ok(Episode { error: Some(error.to_string()), ..episode }),
    };
    let solution = game.walkthrough().map(|known| known.solution()).unwrap_or_default();
    if solution.is_empty() {
        bail!("{} has no recorded solution; omit --walkthrough to play with the expert of {id}", job.task);
    }
    agent.start(&start);
    episode.start = start;
    for action in solution {
        agent.on_reply(Turn::said(Role::Flat, action.as_str()));
        let step = match game.step(&action) {
            Ok(step) => step,
            Err(error) => {
                episode.error = Some(error.to_string());
                break;
            }
        };
        episode.won |= step.won;
        episode.score += step.reward;
        episode.end = step.end;
        agent.on_step(&step);
        if step.end.is_some() {
            break;
        }
    }
    episode.subtasks = agent.trace();
    Ok(episode)
}

/// Demonstrations of a run.
pub struct Demonstrations {
    /// Solved episodes.
    pub episodes: Vec<Episode>,
    /// Aborted episodes.
    pub dropped: Dropped,
    /// Descriptions of the tasks, for every split that was not played completely.
    pub subsets: Vec<String>,
}

/// Plays the demonstrations of a run: one clean pass, then the noisy passes. Keeps solved episodes only. Then adds renamed copies
/// as configured, and the demonstrations of practice tasks.
///
/// # Errors
/// If a split is unknown, its data are absent, the expert solves no task, or `stop` was set.
pub fn demonstrate(
    env: &Registered,
    config: &Config,
    choice: Choice,
    reporter: &dyn Reporter,
    stop: &AtomicBool,
) -> Result<Demonstrations> {
    let mut subsets = Vec::new();
    let mut draw = |split: &str, count| -> Result<Subset> {
        let subset = choice.tasks(env, split, count, Draw::Training { seed: config.seed })?;
        let place = format!("{}/{split}", config.env.id);
        reporter.note(&format!("demonstrations of {place}{}", suffix(&subset)));
        subsets.extend(subset.text().map(|text| format!("{place}, {text}")));
        Ok(subset)
    };
    let tasks = draw(&config.data.split, config.data.games)?.tasks;
    let (mut kept, mut dropped) = (Vec::new(), Dropped::default());
    for pass in 0..=config.data.noisy_passes {
        let noise = if pass == 0 { 0.0 } else { config.data.noise };
        kept.extend(won(env, config, &tasks, (pass, noise), &mut dropped, (reporter, stop))?);
    }
    if config.data.renamed > 0 {
        let rename = env.family.augment()?;
        let copies: Vec<Episode> = balanced_copies(&kept, config.data.renamed)
            .into_par_iter()
            .map(|(number, copy)| {
                rename(&kept[number], &mut stream(config.seed, "rename", &[copy as u64, number as u64]))
            })
            .collect();
        kept.extend(copies);
    }
    if let Some(split) = &config.data.practice {
        let tasks = draw(split, config.data.practice_games)?.tasks;
        kept.extend(won(env, config, &tasks, (0, config.data.noise), &mut dropped, (reporter, stop))?);
    }
    if kept.is_empty() {
        bail!(
            "the {} solved none of the {} tasks of {}/{}",
            config.data.demonstrator.title(),
            tasks.len(),
            config.env.id,
            config.data.split
        );
    }
    Ok(Demonstrations { episodes: kept, dropped, subsets })
}

/// Plays the random sub-goals of a run (`data.wander`) in the tasks of its demonstrations; also returns the number of aborted
/// episodes.
///
/// # Errors
/// If the environment has no random sub-goals, all were without effect, or `stop` was set.
pub(crate) fn wandering(
    env: &Registered,
    config: &Config,
    choice: Choice,
    reporter: &dyn Reporter,
    stop: &AtomicBool,
) -> Result<(Vec<Episode>, Dropped)> {
    let split = &config.data.split;
    let tasks = choice.tasks(env, split, config.data.games, Draw::Training { seed: config.seed })?.tasks;
    let (mut all, mut dropped) = (Vec::new(), Dropped::default());
    for pass in 0..config.data.wander {
        let rollout = Rollout {
            agent: AgentKind::StepHrl,
            demonstrator: Demonstrator::Expert,
            jobs: tasks.iter().map(|task| Job::sampled(task, pass)).collect(),
            max_steps: env.max_steps(config, split),
            noise: 0.0,
            seed: config.seed,
        };
        let mut episodes = wander(env, &rollout, pass, reporter, stop)?;
        dropped.add(Dropped::take_from(&mut episodes)?);
        all.extend(episodes.into_iter().filter(|episode| !episode.is_empty()));
    }
    if all.is_empty() {
        bail!("no random sub-goal of {}/{split} was carried out within data.wander passes", config.env.id);
    }
    Ok((all, dropped))
}

/// Returns the expert's solved episodes of these tasks in one pass. Drops and counts aborted episodes.
fn won(
    env: &Registered,
    config: &Config,
    tasks: &[TaskKey],
    (pass, noise): (u64, f64),
    dropped: &mut Dropped,
    (reporter, stop): (&dyn Reporter, &AtomicBool),
) -> Result<Vec<Episode>> {
    let split = tasks.first().map_or(config.data.split.as_str(), |task| task.split.as_str());
    let rollout = Rollout {
        agent: AgentKind::StepHrl,
        demonstrator: config.data.demonstrator,
        jobs: tasks.iter().map(|task| Job::sampled(task, pass)).collect(),
        max_steps: env.max_steps(config, split),
        noise,
        seed: config.seed,
    };
    let label = format!("{} plays", config.data.demonstrator.title());
    let mut episodes = expert_rollout(env, &rollout, &label, reporter, stop)?;
    dropped.add(Dropped::take_from(&mut episodes)?);
    episodes.retain(|episode| episode.won);
    Ok(episodes)
}

/// Selects the episodes to copy, `times` as many as there are, balanced so that every task type reaches the same number of
/// episodes where possible. Returns pairs of episode index and copy index.
fn balanced_copies(episodes: &[Episode], times: u64) -> Vec<(usize, usize)> {
    let mut families: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (number, episode) in episodes.iter().enumerate() {
        families.entry(&episode.start.family).or_default().push(number);
    }
    let copies = episodes.len() * times as usize;
    // Water filling: raise the smallest counts to one common level.
    let mut sizes: Vec<usize> = families.values().map(Vec::len).collect();
    sizes.sort_unstable();
    let (mut level, mut held) = (0, 0);
    for (poured, size) in sizes.iter().enumerate() {
        if poured > 0 && level <= *size {
            break;
        }
        held += size;
        level = (held + copies) / (poured + 1);
    }
    families
        .values()
        .flat_map(|of_family| {
            (0..level.saturating_sub(of_family.len()))
                .map(|copy| (of_family[copy % of_family.len()], copy / of_family.len()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn episodes(families: &[(&str, usize)]) -> Vec<Episode> {
        let line = include_str!("../../stepladder-core/tests/trace-v1.jsonl");
        let episode = stepladder_core::trace::read(line.as_bytes()).next().unwrap().unwrap();
        let of = |kind: &str| {
            let mut episode = episode.clone();
            kind.clone_into(&mut episode.start.family);
            episode
        };
        families.iter().flat_map(|(kind, count)| std::iter::repeat_n(of(kind), *count)).collect()
    }

    #[test]
    fn copies_make_up_for_rare_kinds() {
        let dealt = |families: &[(&str, usize)], times: u64| {
            let episodes = episodes(families);
            let mut counts: Vec<usize> = families.iter().map(|(_, count)| *count).collect();
            let copies = balanced_copies(&episodes, times);
            assert!(copies.len() <= episodes.len() * times as usize);
            let mut unique = copies.clone();
            unique.sort_unstable();
            unique.dedup();
            assert_eq!(unique.len(), copies.len());
            for (number, _) in copies {
                let kind = &episodes[number].start.family;
                counts[families.iter().position(|(name, _)| name == kind).unwrap()] += 1;
            }
            counts
        };
        assert_eq!(dealt(&[("a", 2), ("b", 6)], 1), [8, 8]);
        assert_eq!(dealt(&[("a", 1), ("b", 19), ("c", 4)], 1), [14, 19, 14]);
        assert_eq!(dealt(&[("a", 3), ("b", 3)], 2), [9, 9]);
        assert_eq!(dealt(&[("a", 3), ("b", 1)], 0), [3, 1]);
        assert_eq!(dealt(&[], 3), [0; 0]);
    }
}
