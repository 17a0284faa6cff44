//! A scripted environment, and replies that solve it.

use stepladder_core::blueprint;
use stepladder_core::{End, Query, Start, Step, TaskKey};
use stepladder_env::{Env, EnvError, EnvSpec, TaskSet};

const SPEC: EnvSpec = EnvSpec {
    id: "corridor",
    summary: "walk `length` steps east",
    version: 1,
    upstream: "none",
    data_licence: "none",
    splits: &["all"],
    max_steps: 20,
    reward_range: (0.0, 1.0),
    score_range: None,
    deterministic: true,
};

struct Corridor {
    left: Option<usize>,
}

impl Env for Corridor {
    fn spec(&self) -> &EnvSpec {
        &SPEC
    }
    fn reset(&mut self, task: &TaskKey, _seed: u64) -> Result<Start, EnvError> {
        let length = task.id.parse().map_err(|_| EnvError::UnknownTask {
            task: task.clone(),
            reason: "a corridor's id is its length".into(),
        })?;
        self.left = Some(length);
        Ok(Start {
            text: "A corridor.".into(),
            task: "reach the end".into(),
            context: "A corridor.".into(),
            family: if length % 2 == 0 { "even" } else { "odd" }.into(),
        })
    }
    fn step(&mut self, action: &str) -> Result<Step, EnvError> {
        let left = self.left.as_mut().ok_or(EnvError::StepBeforeReset { env: "corridor" })?;
        if action == "break" {
            return Err(EnvError::Backend { env: "corridor", reason: "the floor gave way".into() });
        }
        if action == "east" {
            *left -= 1;
        }
        let won = *left == 0;
        let paid = match action {
            "nan" => f64::NAN,
            "inf" => f64::INFINITY,
            _ => f64::from(u8::from(won)),
        };
        Ok(Step {
            observation: format!("{left} left."),
            reward: paid,
            won,
            unknown_action: action != "east",
            context: None,
            end: won.then_some(End::Terminated),
        })
    }
}

/// Corridors of 1 to 12 steps.
pub(crate) struct Corridors;

impl TaskSet for Corridors {
    fn spec(&self) -> &EnvSpec {
        &SPEC
    }
    fn tasks(&self, _split: &str) -> Result<Vec<TaskKey>, EnvError> {
        Ok((1..=12).map(|length| TaskKey::new("corridor", "all", length.to_string())).collect())
    }
    fn make(&self) -> Result<Box<dyn Env>, EnvError> {
        Ok(Box::new(Corridor { left: None }))
    }
}

/// Replies of a planner that names the subtask "walk", and of an executor that ends it after every second step.
pub(crate) fn walker(query: &Query) -> Option<String> {
    Some(match query {
        Query::Planner { earlier, .. } => format!("walk {}", earlier.len()),
        Query::Executor { progress, .. } => {
            format!("east; {}", if progress == "once" { "True" } else { "False" })
        }
        Query::Progress { progress, .. } => if progress == "None" { "once" } else { "twice" }.to_owned(),
        Query::Flat { .. } => "east".to_owned(),
        Query::Macro { .. } => blueprint::write(&["half", "rest"]),
        Query::Micro { active, .. } => blueprint::write_micro(Some("east"), *active == 0),
    })
}
