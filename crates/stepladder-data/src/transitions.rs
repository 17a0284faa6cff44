//! Step-level transitions of the three streams, exactly as spec/algorithms 3.1.
//!
//! | stream | one sample per | reward | done |
//! |---|---|---|---|
//! | planner | subtask k | Σ environment rewards over its steps | terminated flag of its last step |
//! | executor | step (k, j) | 1 if j = n_k else 0; −1 where the action was not recognised | j = n_k |
//! | progress | step (k, j) with a progress text | the executor's of the same step | j = n_k |
//!
//! Where noise played another action than the actor's (`TraceStep::expert`), the sample is about what was played: the
//! played action with the flag that the agent acted on. That flag judged the action that was not played, so ending the
//! subtask with it earns nothing, unless the played action solved the task after all. (The released code has no noise.)

use stepladder_core::reply::{Profile, clean_progress, executor_reply};
use stepladder_core::trace::Episode;
use stepladder_core::{End, Query};

use crate::streams::{StepView, view};

/// What the episode came to, for the prompts that follow its last sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The final score is 1.
    Success,
    /// The final score lies strictly between 0 and 1.
    Partial,
    /// Anything else.
    Failure,
}

impl Outcome {
    /// The sentinel text.
    pub fn text(self) -> &'static str {
        match self {
            Self::Success => "The task is done.",
            Self::Partial => "The task is done in part.",
            Self::Failure => "The task has failed.",
        }
    }
}

/// What follows a sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// This prompt of the same role.
    Prompt(Query),
    /// Nothing but the outcome.
    Outcome(Outcome),
}

/// One sample of one stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// The prompt.
    pub query: Query,
    /// The reply, as native text.
    pub reply: String,
    /// The reply was cut by its token budget and has no end token (spec/algorithms 1.3).
    pub cut: bool,
    /// Rewards of the level, one per environment step that the decision lasted: n_k of the planner, one of the others.
    pub rewards: Vec<f64>,
    /// No value is bootstrapped from what follows.
    pub done: bool,
    /// What follows.
    pub next: Next,
}

impl Transition {
    /// Σᵢ rᵢ, what the released code learns from.
    pub fn reward(&self) -> f64 {
        self.rewards.iter().sum()
    }
}

/// The three streams of one episode.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Streams {
    /// One per subtask.
    pub planner: Vec<Transition>,
    /// One per step.
    pub executor: Vec<Transition>,
    /// One per labelled step.
    pub progress: Vec<Transition>,
}

/// How the last subtask ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tail {
    /// By the executor's word, or by success.
    Closed,
    /// The step limit cut it off.
    Truncated,
    /// The environment ended the episode without success.
    Failed,
}

fn tail(episode: &Episode) -> Tail {
    let Some(last) = episode.steps().last() else { return Tail::Closed };
    match last.end {
        Some(End::Terminated) if episode.won => Tail::Closed,
        _ if last.finished => Tail::Closed,
        Some(End::Terminated) => Tail::Failed,
        Some(End::Truncated) | None => Tail::Truncated,
    }
}

/// The outcome of an episode, from its final score.
pub fn outcome(episode: &Episode) -> Outcome {
    if episode.won || episode.score >= 1.0 {
        Outcome::Success
    } else if episode.score > 0.0 {
        Outcome::Partial
    } else {
        Outcome::Failure
    }
}

/// Reward, done and flag of one executor sample.
struct Low {
    reward: f64,
    done: bool,
    flag: bool,
}

fn low_label(view: &StepView<'_>, last_of_subtask: bool, open_tail: Option<Tail>, profile: Profile) -> Low {
    // An open tail is the last step of an episode whose subtask nobody had declared finished.
    let mut low = match open_tail {
        Some(tail) if profile == Profile::Fixed => {
            Low { reward: 0.0, done: tail == Tail::Failed, flag: false }
        }
        _ => {
            let earned = last_of_subtask && (view.step.expert.is_none() || view.step.won);
            Low { reward: f64::from(u8::from(earned)), done: last_of_subtask, flag: last_of_subtask }
        }
    };
    if view.step.unknown_action {
        low.reward = -1.0;
    }
    low
}

/// Cuts one episode into its three streams.
pub fn transitions(episode: &Episode, profile: Profile) -> Streams {
    let tail = tail(episode);
    let outcome = outcome(episode);
    let view = view(episode);
    let lengths: Vec<usize> = episode.subtasks.iter().map(|subtask| subtask.steps.len()).collect();
    let mut streams = Streams::default();

    let last_subtask = lengths.iter().rposition(|&len| len > 0);
    for (index, query) in view.planner.iter().enumerate().filter(|(index, _)| lengths[*index] > 0) {
        let steps = &episode.subtasks[index].steps;
        let ends = steps.last().is_some_and(|step| step.end == Some(End::Terminated));
        let next = match (Some(index) == last_subtask, tail, profile) {
            (false, ..) => Next::Prompt(view.planner.get(index + 1).unwrap_or(&view.next_planner).clone()),
            // The described method bootstraps a cut-off planner from the prompt it would have seen next, also where its
            // subtask was finished with the last step.
            (true, _, Profile::Fixed) if !ends => Next::Prompt(view.next_planner.clone()),
            (true, ..) => Next::Outcome(outcome),
        };
        streams.planner.push(Transition {
            query: query.clone(),
            reply: episode.subtasks[index].text.clone(),
            cut: episode.subtasks[index].turn.as_ref().is_some_and(|turn| turn.cut),
            rewards: steps.iter().map(|step| step.reward).collect(),
            done: ends,
            next,
        });
    }

    let count = view.steps.len();
    let mut unlearnt = None;
    for (position, step) in view.steps.iter().enumerate() {
        let last_of_subtask = view.steps.get(position + 1).is_none_or(|next| next.subtask != step.subtask);
        let last = position + 1 == count;
        let open_tail = (last && tail != Tail::Closed).then_some(tail);
        let low = low_label(step, last_of_subtask, open_tail, profile);
        let next = if !last {
            view.steps[position + 1].executor.clone()
        } else if tail == Tail::Truncated && profile == Profile::Fixed {
            view.next_executor.clone()
        } else {
            sentinel_executor(episode, &view.last_observation, outcome)
        };
        streams.executor.push(Transition {
            query: step.executor.clone(),
            reply: executor_reply(&step.step.action, low.flag),
            // Written anew from what was read, hence complete.
            cut: false,
            rewards: vec![low.reward],
            done: low.done,
            next: Next::Prompt(next),
        });
        let Some(text) = &step.step.progress else { continue };
        // The text after the very last action has no successor to bootstrap from. Only a closed subtask needs none; the
        // released code's data never have that text.
        if last && (tail != Tail::Closed || profile == Profile::Code) {
            unlearnt = Some(step.progress.clone());
            continue;
        }
        streams.progress.push(Transition {
            query: step.progress.clone(),
            reply: clean_progress(text),
            cut: step.step.progress_turn.as_ref().is_some_and(|turn| turn.cut),
            rewards: vec![low.reward],
            done: low.done,
            next: Next::Outcome(outcome),
        });
    }
    // A cut-off episode goes on behind its last sample; every other one credits it with how the episode ended.
    let successor = unlearnt.filter(|_| profile == Profile::Fixed && tail == Tail::Truncated);
    link_progress(&mut streams, successor);
    streams
}

/// Each progress sample is followed by the next one's prompt, the last by `successor`; without one it takes reward and
/// done of the last executor sample.
fn link_progress(streams: &mut Streams, successor: Option<Query>) {
    let prompts: Vec<Query> = streams.progress.iter().map(|sample| sample.query.clone()).collect();
    for (sample, prompt) in streams.progress.iter_mut().zip(prompts.into_iter().skip(1)) {
        sample.next = Next::Prompt(prompt);
    }
    match (successor, streams.progress.last_mut(), streams.executor.last()) {
        (Some(prompt), Some(sample), _) => sample.next = Next::Prompt(prompt),
        (None, Some(sample), Some(low)) => {
            sample.rewards.clone_from(&low.rewards);
            sample.done = low.done;
        }
        _ => {}
    }
}

fn sentinel_executor(
    episode: &Episode,
    observation: &stepladder_core::Observation,
    outcome: Outcome,
) -> Query {
    Query::Executor {
        subtask: episode.subtasks.last().map(|subtask| subtask.text.clone()).unwrap_or_default(),
        observation: observation.clone(),
        progress: outcome.text().to_owned(),
    }
}
