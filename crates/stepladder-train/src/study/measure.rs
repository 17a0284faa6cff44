//! Results of the arms of a study, from the episodes that its runs kept.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;
use stepladder_core::trace::{Episode, Subtask, Turn};

use super::bootstrap::{self, Grid};
use super::{Arm, Untrained};
use crate::directory::RunDir;
use crate::error::{Result, bail};
use crate::{evaluated, trace_file};

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
    /// Seeds of the finished runs; empty for an untrained model.
    pub seeds: Vec<u64>,
    /// Tasks, the same for all runs.
    pub n: usize,
    /// Success rate per run.
    pub by_seed: Vec<f64>,
    /// Success rate over all runs.
    pub success: f64,
    /// 95 % bootstrap interval of `success` over runs and tasks.
    pub interval: [f64; 2],
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
    /// Success per run and task.
    #[serde(skip)]
    pub(super) grid: Grid,
    /// Names of the tasks in the grid.
    #[serde(skip)]
    pub(super) tasks: Vec<String>,
}

/// Evaluation of one run.
struct Played {
    seed: Option<u64>,
    episodes: Vec<Episode>,
    seconds: f64,
    minutes: f64,
    mtokens: f64,
}

/// Reads the results of the agents of an arm from its finished runs.
///
/// # Errors
/// If a file of a run cannot be read, or two runs played different tasks.
pub fn cells_of_runs(arm: &Arm, runs: &[PathBuf]) -> Result<Vec<Cell>> {
    let mut found: BTreeMap<(usize, String, String), Vec<Played>> = BTreeMap::new();
    for path in runs {
        let (run, config, info) = RunDir::open(path)?;
        let own = format!("{}/{}", config.env.id, config.eval.split);
        for (place, agent) in config.agents.keys().enumerate() {
            for target in std::iter::once(&own).chain(&config.eval.transfer) {
                let stem = evaluated::stem(target, false);
                let episodes = run.agent(agent).join(format!("{stem}.jsonl.zst"));
                if !episodes.exists() {
                    continue;
                }
                let cost = evaluated::cost(&run, &config, agent)?;
                let timed = run.agent(agent).join(evaluated::timing(target, false));
                // A run of an earlier version kept none.
                let seconds = if timed.exists() { fs_err::read_to_string(&timed)? } else { String::new() };
                let played = Played {
                    seed: Some(info.seed),
                    episodes: trace_file::load(&episodes)?,
                    seconds: seconds.trim().parse().unwrap_or(f64::NAN),
                    minutes: cost.minutes,
                    mtokens: cost.mtokens,
                };
                found.entry((place, agent.clone(), target.clone())).or_default().push(played);
            }
        }
    }
    found.into_iter().map(|((_, agent, target), played)| cell(arm, &agent, target, &played)).collect()
}

/// Reads the result of an untrained model: the JSON form of its evaluation, and its episodes.
///
/// # Errors
/// If a file cannot be read.
pub fn cell_of_evaluation(
    arm: &Arm,
    untrained: &Untrained,
    evaluation: &Value,
    episodes: &Path,
) -> Result<Cell> {
    let text = |key: &str| evaluation[key].as_str().unwrap_or("?").to_owned();
    let played = Played {
        seed: None,
        episodes: trace_file::load(episodes)?,
        seconds: evaluation["seconds"].as_f64().unwrap_or(f64::NAN),
        minutes: 0.0,
        mtokens: 0.0,
    };
    cell(arm, &untrained.agent, format!("{}/{}", text("env"), text("split")), &[played])
}

fn cell(arm: &Arm, agent: &str, target: String, played: &[Played]) -> Result<Cell> {
    let names = |played: &Played| -> Vec<String> {
        played.episodes.iter().map(|episode| format!("{} {}", episode.task, episode.seed)).collect()
    };
    let tasks = played.first().map(names).unwrap_or_default();
    if played.iter().any(|run| names(run) != tasks) {
        bail!("the runs of arm {} played different tasks of {target}; their data differ", arm.name);
    }
    let solved =
        |played: &Played| played.episodes.iter().map(|episode| f64::from(u8::from(episode.won))).collect();
    let grid: Grid = played.iter().map(solved).collect();
    let episodes = || played.iter().flat_map(|run| &run.episodes);
    let steps = episodes().map(Episode::len).sum::<usize>() as f64;
    let turns = || episodes().flat_map(Episode::turns);
    let late: Vec<u64> =
        episodes().flat_map(|episode| prompt_tokens(episode).into_iter().skip(LATE)).collect();
    let per_run = |of: fn(&Played) -> f64| played.iter().map(of).sum::<f64>() / played.len().max(1) as f64;
    Ok(Cell {
        arm: arm.name.clone(),
        agent: agent.to_owned(),
        line: arm.line(agent),
        x: arm.x,
        target,
        seeds: played.iter().filter_map(|run| run.seed).collect(),
        n: tasks.len(),
        by_seed: grid.iter().map(|run| bootstrap::mean(&vec![run.clone()])).collect(),
        success: bootstrap::mean(&grid),
        interval: bootstrap::interval(&grid),
        steps: steps / episodes().count().max(1) as f64,
        prompt_tokens: turns().map(|turn| f64::from(turn.prompt_tokens)).sum::<f64>() / steps.max(1.0),
        late_prompt_tokens: (!late.is_empty()).then(|| late.iter().sum::<u64>() as f64 / late.len() as f64),
        new_tokens: turns().map(|turn| f64::from(turn.new_tokens)).sum::<f64>() / steps.max(1.0),
        seconds_per_step: played.iter().map(|run| run.seconds).sum::<f64>() / steps.max(1.0),
        unparsable_share: turns().filter(|turn| turn.unparsable).count() as f64
            / turns().count().max(1) as f64,
        training_minutes: per_run(|run| run.minutes),
        training_mtokens: per_run(|run| run.mtokens),
        grid,
        tasks,
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
