//! Whose blueprint a HiMAC agent follows in an evaluation. What it loses with another one measures how much its executor reads it.

use std::sync::atomic::AtomicBool;

use stepladder_agent::himac::Blueprint;
use stepladder_agent::replay::replay;
use stepladder_agent::{AgentKind, AgentSpec};
use stepladder_algo::himac::blueprint_of;
use stepladder_core::Role;
use stepladder_core::trace::Episode;
use stepladder_rollout::Job;

use crate::config::Demonstrator;
use crate::demonstrations::{Rollout, expert_rollout, wander};
use crate::error::{Error, Result, bail};
use crate::evaluate::{Blueprints, Games, Player, Settings};
use crate::report::Reporter;

impl Player {
    /// Returns the games with the blueprints that the agent is to follow.
    ///
    /// # Errors
    /// If the agent has no blueprints, the environment's expert has no subtasks, all own blueprints are equal, or generation fails.
    pub fn with_blueprints(
        &self,
        games: Games,
        blueprints: Blueprints,
        settings: &Settings,
        reporter: &dyn Reporter,
        stop: &AtomicBool,
    ) -> Result<Games> {
        let agent = self.policy.agent;
        if blueprints != Blueprints::Own && agent.kind != AgentKind::Himac {
            return Err(Error::usage(format!(
                "--blueprints {} is for agents of kind himac; {} is of kind {}",
                blueprints.name(),
                self.policy.name,
                agent.kind.name()
            )));
        }
        let followed: Vec<Vec<String>> = match blueprints {
            Blueprints::Own => return Ok(games),
            Blueprints::None => vec![Vec::new(); games.jobs.len()],
            Blueprints::Expert | Blueprints::Random => {
                self.played_for(&games, blueprints, settings, reporter, stop)?
            }
            Blueprints::Other => {
                let played = self.play(&games, settings.clone(), reporter, stop)?;
                let own = |episode| blueprint_of(episode, agent.max_subgoals).unwrap_or_default();
                exchanged(&games.jobs, &played.episodes.iter().map(own).collect::<Vec<_>>())?
            }
        };
        let follow =
            |(job, subgoals): (Job, Vec<String>)| Job { blueprint: Blueprint::Follow(subgoals), ..job };
        let mut pairs: Vec<(Job, Vec<String>)> = games.jobs.into_iter().zip(followed).collect();
        if blueprints == Blueprints::Random {
            let all = pairs.len();
            pairs.retain(|(_, subgoals)| !subgoals.is_empty());
            if pairs.is_empty() {
                bail!("no random sub-goal of these {all} episodes can be carried out: choose other tasks");
            }
            if pairs.len() < all {
                let without = all - pairs.len();
                reporter
                    .warn(&format!("{without} of {all} episodes have no random sub-goal and are left out"));
            }
        }
        let jobs = pairs.into_iter().map(follow).collect();
        Ok(Games { jobs, blueprints, ..games })
    }

    /// Returns the blueprints of the expert's episodes, or of random sub-goals.
    fn played_for(
        &self,
        games: &Games,
        blueprints: Blueprints,
        settings: &Settings,
        reporter: &dyn Reporter,
        stop: &AtomicBool,
    ) -> Result<Vec<Vec<String>>> {
        let expert = self.env.expert()?;
        if blueprints == Blueprints::Expert
            && ![Role::Planner, Role::Executor].into_iter().all(|role| expert.answers(role))
        {
            bail!(
                "the expert of {} has no subtasks that could be a blueprint: choose --blueprints own, other, random or none",
                self.env.spec().id
            );
        }
        let rollout = Rollout {
            agent: AgentKind::StepHrl,
            demonstrator: Demonstrator::Expert,
            jobs: games.jobs.clone(),
            max_steps: self.policy.max_steps(settings.max_steps, &self.env, &self.split),
            noise: 0.0,
            seed: settings.seed,
        };
        let agent = self.policy.agent;
        match blueprints {
            Blueprints::Random => {
                let episodes = wander(&self.env, &rollout, settings.seed, reporter, stop)?;
                episodes.iter().map(|episode| subgoals(agent, episode)).collect()
            }
            _ => {
                let episodes = expert_rollout(&self.env, &rollout, "expert plays", reporter, stop)?;
                episodes.iter().map(|episode| of_demonstration(agent, episode)).collect()
            }
        }
    }
}

/// Returns the blueprint of a demonstration as cloning reads it; empty if the task was not solved.
fn of_demonstration(agent: AgentSpec, episode: &Episode) -> Result<Vec<String>> {
    if !episode.won {
        return Ok(Vec::new());
    }
    subgoals(agent, episode)
}

/// Returns the subtasks of an episode as cloning reads them.
fn subgoals(agent: AgentSpec, episode: &Episode) -> Result<Vec<String>> {
    let replayed = replay(agent, episode).map_err(anyhow::Error::from)?;
    Ok(replayed.episode.subtasks.iter().map(|subtask| subtask.text.clone()).collect())
}

/// Gives each job the blueprint of the next job with the same sample that has another task and a different blueprint.
fn exchanged(jobs: &[Job], own: &[Vec<String>]) -> Result<Vec<Vec<String>>> {
    let of = |index: usize| (jobs[index].sample, &jobs[index].task, &own[index]);
    let other_of = |index: usize| {
        let (sample, task, subgoals) = of(index);
        let later = (1..jobs.len()).map(|offset| (index + offset) % jobs.len());
        later.map(of).find(|other| other.0 == sample && other.1 != task && other.2 != subgoals)
    };
    (0..jobs.len())
        .map(|index| match other_of(index) {
            Some((_, _, subgoals)) => Ok(subgoals.clone()),
            None => bail!("all tasks have the same blueprint, so none is another task's: play more tasks"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepladder_core::TaskKey;

    #[test]
    fn each_task_gets_the_next_different_blueprint_of_its_sample() {
        let job = |id: &str, sample: u64| Job::sampled(&TaskKey::new("toy", "dev", id), sample);
        let jobs = [job("a", 0), job("b", 0), job("c", 0), job("a", 1), job("b", 1)];
        let own: Vec<Vec<String>> =
            ["x", "x", "y", "p", "q"].iter().map(|text| vec![(*text).to_owned()]).collect();
        let found: Vec<String> = exchanged(&jobs, &own).unwrap().into_iter().flatten().collect();
        assert_eq!(found, ["y", "y", "x", "q", "p"]);
        let error = exchanged(&jobs[..2], &own[..2]).unwrap_err();
        assert!(error.to_string().contains("all tasks have the same blueprint"));
    }
}
