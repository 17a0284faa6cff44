//! Plays the expert as a STEP-HRL agent plays (docs/spec/algorithms.md 2.4).

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test uses a part of it")]

use rand::RngExt;
use stepladder_core::label::{Demonstration, Expert, Perturb};
use stepladder_core::query::{NO_PROGRESS, Observation, Query};
use stepladder_core::reply::{Profile, clean_progress, parse_action_done};
use stepladder_core::seed::Rng;
use stepladder_core::{Start, TaskKey};
use stepladder_env::Env;
use stepladder_webshop::{WebshopExpert, WebshopNoise};

/// A played episode.
#[derive(Debug, Clone)]
pub struct Played {
    pub start: Start,
    /// Subtasks with the number of their steps.
    pub subtasks: Vec<(String, usize)>,
    /// Actions of the executor, some of which noise replaced.
    pub said: Vec<String>,
    /// Actions with their answers.
    pub steps: Vec<(String, String)>,
    /// Steps whose action was understood.
    pub understood: usize,
    pub reward: f64,
    pub ended: bool,
    /// Longest reply of each role in bytes: planner, executor, progress writer.
    pub longest: [usize; 3],
}

impl Played {
    pub fn won(&self) -> bool {
        self.reward == 1.0
    }

    /// Identifier of the product that was bought.
    pub fn bought(&self) -> Option<&str> {
        let (_, page) = self.steps.last().filter(|_| self.ended)?;
        page.split_once("[SEP] asin [SEP] ")?.1.split(" [SEP] ").next()
    }

    pub fn demonstration(&self) -> Demonstration {
        let Start { task, context, .. } = &self.start;
        Demonstration { task: task.clone(), context: context.clone(), steps: self.steps.clone() }
    }

    /// Query of a flat agent before a step.
    pub fn flat(&self, step: usize) -> Query {
        let opening = (String::new(), self.start.text.clone());
        let history = std::iter::once(opening).chain(self.steps[..step].iter().cloned()).collect();
        Query::Flat { task: self.start.task.clone(), context: self.start.context.clone(), history }
    }
}

fn say(query: &Query, longest: &mut usize) -> String {
    let reply = WebshopExpert.reply(query).unwrap();
    *longest = (*longest).max(reply.len());
    reply
}

/// Plays a task for at most `limit` steps. With `noise`, wrong clicks replace that share of the actions.
pub fn play(env: &mut dyn Env, task: &TaskKey, limit: usize, noise: Option<(f64, &mut Rng)>) -> Played {
    let start = env.reset(task, 0).unwrap();
    let mut noise = noise;
    let mut seen = Observation::first(&start);
    let mut progress = NO_PROGRESS.to_owned();
    let mut played = Played {
        start,
        subtasks: Vec::new(),
        said: Vec::new(),
        steps: Vec::new(),
        understood: 0,
        reward: 0.0,
        ended: false,
        longest: [0; 3],
    };
    'episode: while played.steps.len() < limit {
        let subtask = say(
            &Query::Planner {
                task: played.start.task.clone(),
                earlier: played.subtasks.iter().map(|(text, _)| text.clone()).collect(),
                progress: progress.clone(),
                observation: seen.clone(),
            },
            &mut played.longest[0],
        );
        played.subtasks.push((subtask.clone(), 0));
        NO_PROGRESS.clone_into(&mut progress);
        loop {
            let (subtask, observation, known) = (subtask.clone(), seen.clone(), progress.clone());
            let query = Query::Executor { subtask: subtask.clone(), observation, progress: known };
            let reply = parse_action_done(&say(&query, &mut played.longest[1]), Profile::Fixed);
            let wrong = noise.as_mut().and_then(|(share, rng)| {
                if rng.random::<f64>() >= *share {
                    return None;
                }
                WebshopNoise.perturb(&reply.action, &seen, rng)
            });
            played.said.push(reply.action.clone());
            let action = wrong.unwrap_or(reply.action);
            let step = env.step(&action).unwrap();
            played.steps.push((action.clone(), step.observation.clone()));
            played.understood += usize::from(!step.unknown_action);
            played.subtasks.last_mut().unwrap().1 += 1;
            seen.feedback = step.observation;
            if step.end.is_some() {
                (played.reward, played.ended) = (step.reward, true);
                break 'episode;
            }
            if played.steps.len() == limit {
                break 'episode;
            }
            let query = Query::Progress { subtask, progress, action, observation: seen.clone() };
            progress = clean_progress(&say(&query, &mut played.longest[2]));
            if reply.finished {
                break;
            }
        }
    }
    played
}
