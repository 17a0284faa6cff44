//! The samples of behaviour cloning: what each role was shown in an episode, and what it should reply.
//!
//! The prompts are rebuilt from the trace, so a trace from any policy, expert or labelled demonstration serves alike.

use stepladder_core::query::NO_PROGRESS;
use stepladder_core::reply::{clean_progress, executor_reply};
use stepladder_core::trace::Episode;
use stepladder_core::{Observation, Query, Role};

/// One prompt and the reply to learn.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sample {
    /// What the role sees.
    pub query: Query,
    /// What it should say, as native text.
    pub reply: String,
}

impl Sample {
    /// Who learns from it.
    pub fn role(&self) -> Role {
        self.query.role()
    }
}

/// The prompts of one environment step, rebuilt.
pub(crate) struct StepView<'a> {
    pub(crate) subtask: usize,
    pub(crate) step: &'a stepladder_core::trace::TraceStep,
    pub(crate) executor: Query,
    pub(crate) progress: Query,
}

/// The prompts of an episode, rebuilt in order: planner prompts per subtask, executor and progress prompts per step.
pub(crate) struct EpisodeView<'a> {
    pub(crate) planner: Vec<Query>,
    pub(crate) steps: Vec<StepView<'a>>,
    /// The planner prompt that would come next if the last subtask ended with the last step.
    pub(crate) next_planner: Query,
    /// The executor prompt that would come next if the last subtask went on.
    pub(crate) next_executor: Query,
    /// Observation after the last step.
    pub(crate) last_observation: Observation,
}

pub(crate) fn view(episode: &Episode) -> EpisodeView<'_> {
    let mut now = Observation::first(&episode.start);
    let mut last_progress = NO_PROGRESS.to_owned();
    let mut issued: Vec<String> = Vec::new();
    let mut planner = Vec::new();
    let mut steps = Vec::new();
    let plan = |issued: &[String], progress: &str, now: &Observation| Query::Planner {
        task: episode.start.task.clone(),
        earlier: issued.to_vec(),
        progress: progress.to_owned(),
        observation: now.clone(),
    };
    for (index, subtask) in episode.subtasks.iter().enumerate() {
        planner.push(plan(&issued, &last_progress, &now));
        issued.push(subtask.text.clone());
        let mut progress = NO_PROGRESS.to_owned();
        for step in &subtask.steps {
            let executor = Query::Executor {
                subtask: subtask.text.clone(),
                observation: now.clone(),
                progress: progress.clone(),
            };
            now.feedback.clone_from(&step.observation);
            if let Some(context) = &step.context {
                now.context.clone_from(context);
            }
            let after = Query::Progress {
                subtask: subtask.text.clone(),
                progress: progress.clone(),
                action: step.action.clone(),
                observation: now.clone(),
            };
            steps.push(StepView { subtask: index, step, executor, progress: after });
            if let Some(written) = &step.progress {
                progress = written.clone();
            }
        }
        last_progress = progress;
    }
    let current = issued.last().cloned().unwrap_or_default();
    EpisodeView {
        next_planner: plan(&issued, &last_progress, &now),
        next_executor: Query::Executor {
            subtask: current,
            observation: now.clone(),
            progress: last_progress.clone(),
        },
        last_observation: now.clone(),
        planner,
        steps,
    }
}

/// The samples of one STEP-HRL episode in the order in which the roles spoke.
///
/// Where the played action was not the expert's (noisy rollouts), the executor's target is what the expert had said.
pub fn hierarchical(episode: &Episode) -> Vec<Sample> {
    let view = view(episode);
    let mut samples = Vec::with_capacity(view.planner.len() + 2 * view.steps.len());
    let mut planner = view.planner.into_iter();
    let mut issued = 0;
    for StepView { subtask, step, executor, progress } in view.steps {
        while issued <= subtask {
            // A subtask that nobody was asked for is no reply (agents without planner).
            let asked = episode.subtasks[issued].turn.is_some();
            if let Some(query) = planner.next().filter(|_| asked) {
                samples.push(Sample { query, reply: episode.subtasks[issued].text.clone() });
            }
            issued += 1;
        }
        let reply = match &step.expert {
            Some(label) => label.clone(),
            None => executor_reply(&step.action, step.finished),
        };
        samples.push(Sample { query: executor, reply });
        if let Some(turn) = &step.progress_turn {
            samples.push(Sample { query: progress, reply: clean_progress(&turn.reply) });
        }
    }
    samples
}

/// One decision of a flat episode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlatStep {
    /// The action that was played and stands in the history from then on.
    pub action: String,
    /// The environment's answer.
    pub answer: String,
    /// Whether the played action is the one to learn; false where noise replaced the expert's.
    pub target: bool,
    /// The context after it, where it changed.
    pub context: Option<String>,
}

/// A flat episode: one growing prompt whose actions are all targets at once where its context stands (`rows::flat_rows`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlatEpisode {
    /// Task text.
    pub task: String,
    /// Context at the start.
    pub context: String,
    /// What the reset showed, where there is no standing context.
    pub opening: String,
    /// Decisions in order.
    pub steps: Vec<FlatStep>,
}

impl FlatEpisode {
    /// The pairs that a flat agent has seen before decision `at`, oldest first (`stepladder_agent::flat`).
    pub fn history(&self, at: usize) -> Vec<(String, String)> {
        let opening = (!self.opening.is_empty()).then(|| (String::new(), self.opening.clone()));
        let pairs = self.steps[..at].iter().map(|step| (step.action.clone(), step.answer.clone()));
        opening.into_iter().chain(pairs).collect()
    }

    /// The context that stands in the prompt of decision `at`.
    pub fn context(&self, at: usize) -> &str {
        let changed = self.steps[..at].iter().rev().find_map(|step| step.context.as_deref());
        changed.unwrap_or(&self.context)
    }

    /// Whether the context never changes, so that every prompt is a beginning of the next one.
    pub fn standing(&self) -> bool {
        self.steps.iter().all(|step| step.context.is_none())
    }
}

/// The flat view of an episode of any agent: its actions and answers without the hierarchy.
pub fn flat(episode: &Episode) -> FlatEpisode {
    FlatEpisode {
        task: episode.start.task.clone(),
        context: episode.start.context.clone(),
        opening: stepladder_core::Observation::first(&episode.start).feedback,
        steps: episode
            .steps()
            .map(|step| FlatStep {
                action: step.action.clone(),
                answer: step.observation.clone(),
                target: step.expert.is_none(),
                context: step.context.clone(),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fixture's episode in an environment that shows a new room after every step.
    fn walk() -> Episode {
        let line = include_str!("../../stepladder-core/tests/trace-v1.jsonl");
        let mut episode = stepladder_core::trace::read(line.as_bytes()).next().unwrap().unwrap();
        episode.start.context = "room 0".into();
        let steps = episode.subtasks.iter_mut().flat_map(|subtask| &mut subtask.steps);
        for (number, step) in steps.enumerate() {
            step.context = Some(format!("room {}", number + 1));
        }
        episode
    }

    #[test]
    fn every_prompt_shows_the_context_of_its_moment() {
        let episode = walk();
        let view = view(&episode);
        let room = |query: &Query| match query {
            Query::Executor { observation, .. }
            | Query::Progress { observation, .. }
            | Query::Planner { observation, .. } => observation.context.clone(),
            other => panic!("{other:?}"),
        };
        for (number, step) in view.steps.iter().enumerate() {
            assert_eq!(room(&step.executor), format!("room {number}"));
            assert_eq!(room(&step.progress), format!("room {}", number + 1));
        }
        assert_eq!(room(&view.next_planner), format!("room {}", view.steps.len()));
        let flat = flat(&episode);
        let rooms: Vec<&str> = (0..flat.steps.len()).map(|at| flat.context(at)).collect();
        assert!(rooms.iter().enumerate().all(|(number, room)| *room == format!("room {number}")));
        assert!(!flat.standing());
    }
}
