//! Results of the arms of a study, from the episodes that its runs kept.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;
use stepladder_core::trace::{Episode, Subtask, Turn};

use super::results::{self, Played};
use super::{Arm, Measure, Untrained, score_range};
use crate::directory::RunDir;
use crate::envs::Chosen;
use crate::error::{Result, bail};
use crate::results::Results;
use crate::statistics::Scope;
use crate::{envs, evaluated, trace_file};

/// Steps after which prompts of a growing history are long.
const LATE: usize = 10;

/// Results of one agent of an arm on one split.
#[derive(Debug, Clone, Serialize)]
pub struct Cell {
    /// Name of the arm.
    pub arm: String,
    /// Agent.
    pub agent: String,
    /// Name of its line in the plot.
    pub line: String,
    /// Place on the horizontal axis.
    pub x: Option<f64>,
    /// Environment and split, as `ENV/SPLIT`.
    pub target: String,
    /// Options of the environment that differ from their defaults.
    #[serde(skip_serializing_if = "Chosen::is_empty")]
    pub options: Chosen,
    /// Seeds of the finished runs; empty for an untrained model.
    pub seeds: Vec<u64>,
    /// Tasks, the same for all runs.
    pub n: usize,
    /// What `by_seed`, `mean` and `interval` are of.
    pub measure: Measure,
    /// Mean over the tasks per run.
    pub by_seed: Vec<f64>,
    /// Mean over all runs.
    pub mean: f64,
    /// 95 % interval of `mean`.
    pub interval: [f64; 2],
    /// What the interval generalises to.
    pub scope: Scope,
    /// Environment steps per episode.
    pub steps: f64,
    /// Prompt tokens per environment step.
    pub prompt_tokens: f64,
    /// Prompt tokens per environment step after the tenth; none without such steps.
    pub late_prompt_tokens: Option<f64>,
    /// New tokens per environment step.
    pub new_tokens: f64,
    /// Seconds of playing per environment step.
    pub seconds_per_step: f64,
    /// Fraction of the replies that could not be parsed.
    pub unparsable_share: f64,
    /// Training minutes of the agent and of those that it started from, mean over the runs.
    pub training_minutes: f64,
    /// Trained tokens in millions, of the same agents, mean over the runs.
    pub training_mtokens: f64,
    /// The measure per run and task.
    #[serde(skip)]
    pub(super) results: Results,
    /// Names of the tasks.
    #[serde(skip)]
    pub(super) tasks: Vec<String>,
}

impl Cell {
    /// Heading of the table that holds it.
    pub(super) fn heading(&self) -> String {
        format!("{}{}", self.target, envs::suffix(&self.options))
    }
}

/// Reads the results of the agents of an arm from a finished run.
///
/// # Errors
/// If a file of the run cannot be read.
pub fn of_run(arm: &Arm, path: &Path) -> Result<Vec<Played>> {
    let (run, config, info) = RunDir::open(path)?;
    let configuration = results::fingerprint(&config);
    let mut found = Vec::new();
    for agent in config.agents.keys() {
        for target in &config.targets() {
            let stem = evaluated::stem(target, false);
            let episodes = run.agent(agent).join(format!("{stem}.jsonl.zst"));
            if !episodes.exists() {
                continue;
            }
            let cost = evaluated::cost(&run, &config, agent)?;
            let id = target.split_once('/').map_or(target.as_str(), |(id, _)| id);
            let options = envs::chosen_for(&config, id)?;
            let timed = run.agent(agent).join(evaluated::timing(target, false));
            // A run of an earlier version kept none.
            let seconds = if timed.exists() { fs_err::read_to_string(&timed)? } else { String::new() };
            let counted = counted(&trace_file::load(&episodes)?, score_range(id));
            found.push(Played {
                arm: arm.name.clone(),
                configuration: configuration.clone(),
                agent: agent.clone(),
                target: target.clone(),
                options: options.clone(),
                seed: Some(info.seed),
                seconds: seconds.trim().parse().ok(),
                training_minutes: cost.minutes,
                training_mtokens: cost.mtokens,
                ..counted
            });
        }
    }
    Ok(found)
}

/// Reads the result of an untrained model: the JSON form of its evaluation, and its episodes.
///
/// # Errors
/// If a file cannot be read.
pub fn of_evaluation(
    arm: &Arm,
    untrained: &Untrained,
    configuration: &str,
    evaluation: &Value,
    episodes: &Path,
) -> Result<Played> {
    let text = |key: &str| evaluation[key].as_str().unwrap_or("?").to_owned();
    Ok(Played {
        arm: arm.name.clone(),
        configuration: configuration.to_owned(),
        agent: untrained.agent.clone(),
        target: format!("{}/{}", text("env"), text("split")),
        options: evaluated::options(evaluation),
        seconds: evaluation["seconds"].as_f64(),
        ..counted(&trace_file::load(episodes)?, serde_json::from_value(evaluation["score_range"].clone())?)
    })
}

/// Counts what episodes show, with scores if these have a range; the rest is empty.
fn counted(episodes: &[Episode], range: Option<(f64, f64)>) -> Played {
    let turns = || episodes.iter().flat_map(Episode::turns);
    let late: Vec<u64> =
        episodes.iter().flat_map(|episode| prompt_tokens(episode).into_iter().skip(LATE)).collect();
    Played {
        arm: String::new(),
        configuration: String::new(),
        agent: String::new(),
        target: String::new(),
        options: Chosen::new(),
        seed: None,
        tasks: episodes.iter().map(crate::results::name).collect(),
        won: episodes.iter().map(|episode| episode.won).collect(),
        scores: range.map_or_else(Vec::new, |range| {
            episodes.iter().map(|episode| crate::results::score(episode, range)).collect()
        }),
        steps: episodes.iter().map(Episode::len).sum::<usize>() as u64,
        prompt_tokens: turns().map(|turn| u64::from(turn.prompt_tokens)).sum(),
        late_steps: late.len() as u64,
        late_prompt_tokens: late.iter().sum(),
        new_tokens: turns().map(|turn| u64::from(turn.new_tokens)).sum(),
        turns: turns().count() as u64,
        unparsable: turns().filter(|turn| turn.unparsable).count() as u64,
        seconds: None,
        training_minutes: 0.0,
        training_mtokens: 0.0,
    }
}

/// Combines the results of an arm over its seeds: one cell per agent and target, agents in the given order.
///
/// # Errors
/// If two runs played different tasks, or scores are asked for where there are none.
pub fn cells(measure: Measure, arm: &Arm, agents: &[String], results: &[Played]) -> Result<Vec<Cell>> {
    let mut found: BTreeMap<(usize, &str, &str), Vec<&Played>> = BTreeMap::new();
    for played in results.iter().filter(|played| played.arm == arm.name) {
        let place = agents.iter().position(|agent| *agent == played.agent).unwrap_or(agents.len());
        found.entry((place, &played.agent, &played.target)).or_default().push(played);
    }
    found
        .into_values()
        .map(|mut played| {
            played.sort_by_key(|one| arm.seeds.iter().position(|&seed| Some(seed) == one.seed));
            cell(measure, arm, &played)
        })
        .collect()
}

fn cell(measure: Measure, arm: &Arm, played: &[&Played]) -> Result<Cell> {
    let Some(first) = played.first() else { bail!("arm {} has no results", arm.name) };
    if played.iter().any(|run| run.tasks != first.tasks) {
        bail!("the runs of arm {} played different tasks of {}; their data differ", arm.name, first.target);
    }
    let mut results = Results::default();
    let mut by_seed = Vec::with_capacity(played.len());
    for run in played {
        let values: Vec<f64> = match measure {
            Measure::Success => run.won.iter().map(|&won| f64::from(u8::from(won))).collect(),
            Measure::Score => run.scores.clone(),
        };
        if values.len() != run.tasks.len() {
            bail!(
                "arm {} has results of {} without scores: an earlier version made them; leave their file out",
                arm.name,
                first.target
            );
        }
        by_seed.push(values.iter().sum::<f64>() / values.len().max(1) as f64);
        results.add(run.seed, run.tasks.iter().cloned().zip(values).collect());
    }
    let Some(estimate) = results.estimate() else {
        bail!("arm {} played no task of {}", arm.name, first.target)
    };
    let sum = |of: fn(&Played) -> u64| played.iter().map(|run| of(run)).sum::<u64>() as f64;
    let steps = sum(|run| run.steps);
    let per_run =
        |of: fn(&Played) -> f64| played.iter().map(|run| of(run)).sum::<f64>() / played.len() as f64;
    let seconds = |run: &Played| run.seconds.unwrap_or(f64::NAN);
    let late = sum(|run| run.late_steps);
    Ok(Cell {
        arm: arm.name.clone(),
        agent: first.agent.clone(),
        line: arm.line(&first.agent),
        x: arm.x,
        target: first.target.clone(),
        options: first.options.clone(),
        seeds: played.iter().filter_map(|run| run.seed).collect(),
        n: first.tasks.len(),
        measure,
        by_seed,
        mean: estimate.mean,
        interval: estimate.interval,
        scope: estimate.scope,
        steps: steps / played.iter().map(|run| run.won.len()).sum::<usize>().max(1) as f64,
        prompt_tokens: sum(|run| run.prompt_tokens) / steps.max(1.0),
        late_prompt_tokens: (late > 0.0).then(|| sum(|run| run.late_prompt_tokens) / late),
        new_tokens: sum(|run| run.new_tokens) / steps.max(1.0),
        seconds_per_step: played.iter().map(|run| seconds(run)).sum::<f64>() / steps.max(1.0),
        unparsable_share: sum(|run| run.unparsable) / sum(|run| run.turns).max(1.0),
        training_minutes: per_run(|run| run.training_minutes),
        training_mtokens: per_run(|run| run.training_mtokens),
        results,
        tasks: first.tasks.clone(),
    })
}

/// Returns the prompt tokens of each environment step. The prompt of a subtask counts in its first step, that of a progress text
/// in the step before it; a subtask without steps counts in none.
fn prompt_tokens(episode: &Episode) -> Vec<u64> {
    let of = |turn: &Turn| u64::from(turn.prompt_tokens);
    let steps = |subtask: &Subtask| {
        let mut issued = subtask.turn.as_ref().map_or(0, of);
        let step = |step: &stepladder_core::trace::TraceStep| {
            let replies = step.idle.iter().chain([&step.turn]).chain(step.progress_turn.iter());
            std::mem::take(&mut issued) + replies.map(of).sum::<u64>()
        };
        subtask.steps.iter().map(step).collect::<Vec<_>>()
    };
    episode.subtasks.iter().flat_map(steps).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepladder_core::Role;
    use stepladder_core::trace::TraceStep;
    use stepladder_core::{End, Start, Step, TaskKey};

    fn turn(role: Role, prompt_tokens: u32) -> Turn {
        Turn { prompt_tokens, ..Turn::said(role, "look") }
    }

    fn step(executor: u32, progress: u32) -> TraceStep {
        let answer = Step {
            observation: String::new(),
            reward: 0.0,
            won: false,
            unknown_action: false,
            context: None,
            end: None,
        };
        TraceStep {
            progress_turn: Some(turn(Role::Progress, progress)),
            ..TraceStep::new(turn(Role::Executor, executor), "look".to_owned(), false, false, &answer)
        }
    }

    #[test]
    fn every_prompt_counts_in_one_step() {
        let subtask =
            |planner, steps| Subtask { text: String::new(), turn: Some(turn(Role::Planner, planner)), steps };
        let none = String::new;
        let episode = Episode {
            version: 1,
            task: TaskKey::new("household", "dev", "1"),
            seed: 0,
            agent: "step_hrl".to_owned(),
            policy: String::new(),
            start: Start { text: none(), task: none(), context: none(), family: none() },
            subtasks: vec![subtask(100, vec![step(10, 1), step(20, 2)]), subtask(200, vec![step(30, 3)])],
            won: false,
            score: 0.0,
            end: Some(End::Truncated),
            error: None,
        };
        assert_eq!(prompt_tokens(&episode), [111, 22, 233]);
        assert_eq!(
            prompt_tokens(&episode).iter().sum::<u64>(),
            episode.turns().map(|turn| u64::from(turn.prompt_tokens)).sum::<u64>()
        );
    }
}
