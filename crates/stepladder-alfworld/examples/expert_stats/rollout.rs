//! The episode loop of docs/spec/algorithms.md 2.4 with the expert in every role, for measurements and tests.

use rand::RngExt;
use rand::seq::IndexedRandom;
use stepladder_alfworld::noise::perturb;
use stepladder_core::label::{Demonstration, Expert, Segment};
use stepladder_core::query::NO_PROGRESS;
use stepladder_core::seed::Rng;
use stepladder_core::{Observation, Query, TaskKey};
use stepladder_env::{Env, EnvError};

/// Result of an episode.
pub(crate) struct Rollout {
    /// Task family.
    pub(crate) family: String,
    /// Every query with the expert's reply, in order.
    pub(crate) samples: Vec<(Query, String)>,
    /// Actions with their answers.
    pub(crate) demonstration: Demonstration,
    /// Subtasks of the expert.
    pub(crate) segments: Vec<Segment>,
    /// Whether the goal was reached within the limit.
    pub(crate) won: bool,
}

/// Disturbances of the expert.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Disturbance {
    /// Probability of playing an action other than the expert's. The expert's action remains the label, and the subtask
    /// continues.
    pub(crate) noise: f64,
    /// Number of random admissible actions at the start.
    pub(crate) burst: usize,
}

/// Plays one episode of at most `limit` steps, the burst excluded.
pub(crate) fn play(
    env: &mut dyn Env,
    task: &TaskKey,
    expert: &dyn Expert,
    limit: usize,
    disturbance: Disturbance,
    rng: &mut Rng,
) -> Result<Rollout, EnvError> {
    let start = env.reset(task, 0)?;
    let mut samples = Vec::new();
    let mut ask = |query: Query| {
        let reply = expert.reply(&query).unwrap_or_default();
        samples.push((query, reply.clone()));
        reply
    };
    let mut observation = Observation { feedback: String::new(), context: start.context.clone() };
    let mut earlier: Vec<String> = Vec::new();
    let mut last = NO_PROGRESS.to_owned();
    let mut steps: Vec<(String, String)> = Vec::new();
    let mut segments: Vec<Segment> = Vec::new();
    let mut won = false;
    for _ in 0..disturbance.burst {
        let actions = env.admissible().map(|list| list.admissible_actions()).unwrap_or_default();
        let Some(action) = actions.choose(rng) else { break };
        let step = env.step(action)?;
        observation.feedback = step.observation;
        if step.end.is_some() {
            let demonstration = Demonstration { task: start.task, context: start.context, steps };
            return Ok(Rollout {
                family: start.family,
                samples: Vec::new(),
                demonstration,
                segments,
                won: step.won,
            });
        }
    }
    'episode: while steps.len() < limit {
        let subtask = ask(Query::Planner {
            task: start.task.clone(),
            earlier: earlier.clone(),
            progress: last,
            observation: observation.clone(),
        });
        earlier.push(subtask.clone());
        segments.push(Segment { subtask: subtask.clone(), len: 0 });
        let mut progress = NO_PROGRESS.to_owned();
        loop {
            let reply = ask(Query::Executor {
                subtask: subtask.clone(),
                observation: observation.clone(),
                progress: progress.clone(),
            });
            let (action, flag) = reply.rsplit_once("; ").unwrap_or((&reply, "False"));
            let (mut action, mut finished) = (action.to_owned(), flag == "True");
            if disturbance.noise > 0.0
                && rng.random_bool(disturbance.noise)
                && let Some(other) = perturb(&action, &observation.feedback, &observation.context, rng)
            {
                (action, finished) = (other, false);
            }
            let step = env.step(&action)?;
            steps.push((action.clone(), step.observation.clone()));
            if let Some(segment) = segments.last_mut() {
                segment.len += 1;
            }
            if step.end.is_some() {
                won = step.won;
                break 'episode;
            }
            observation.feedback = step.observation;
            progress = ask(Query::Progress {
                subtask: subtask.clone(),
                progress,
                action,
                observation: observation.clone(),
            });
            if steps.len() >= limit {
                break 'episode;
            }
            if finished {
                break;
            }
        }
        last = progress;
    }
    let demonstration = Demonstration { task: start.task, context: start.context, steps };
    Ok(Rollout { family: start.family, samples, demonstration, segments, won })
}
