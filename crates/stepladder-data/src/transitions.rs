//! Step-level transitions of the three streams of STEP-HRL (arXiv:2604.05808), as defined in docs/spec/algorithms.md 3.1.
//!
//! | stream | one sample per | reward | done |
//! |---|---|---|---|
//! | planner | subtask k | Σ environment rewards over its steps | terminated flag of its last step |
//! | executor | step (k, j) | 1 if j = n_k else 0; −1 where the action was not recognised | j = n_k |
//! | progress | step (k, j) with a progress text | the executor's of the same step | j = n_k |
//!
//! Where noise replaced the agent's action (`TraceStep::expert`), the sample has the played action with the flag of the
//! original reply. The flag refers to the replaced action, so ending the subtask with it has no reward, unless the played
//! action solved the task. (The released code has no noise.)
//!
//! [`Labels`] has the rules of docs/spec/algorithms.md 9.1: whether the step limit ends a return, and other rewards of executor and
//! progress writer.

use rustc_hash::FxHashMap;
use stepladder_agent::AgentSpec;
use stepladder_agent::replay::{Decision, Fault, Place, ReplayError, replay};
use stepladder_agent::step_hrl::outcome_prompt;
use stepladder_core::reply::{Profile, clean_progress, executor_reply, parse_action_done};
use stepladder_core::trace::{Episode, TraceStep};
use stepladder_core::{End, Query, Role};

use crate::encoder::EncoderError;
use crate::labels::{Intrinsic, Labels};

/// Outcome of an episode, for the prompts that follow its last sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The final score is 1.
    Success,
    /// The final score is strictly between 0 and 1.
    Partial,
    /// Any other final score.
    Failure,
}

impl Outcome {
    /// Returns the sentinel text.
    pub fn text(self) -> &'static str {
        match self {
            Self::Success => "The task is done.",
            Self::Partial => "The task is done in part.",
            Self::Failure => "The task has failed.",
        }
    }
}

/// One sample of one stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// The prompt.
    pub query: Query,
    /// The reply, as native text.
    pub reply: String,
    /// Whether the generation budget cut the reply, which then has no end token (docs/spec/algorithms.md 1.3).
    pub cut: bool,
    /// Rewards of the level, one per environment step of the decision: n_k for the planner, one for the others.
    pub rewards: Vec<f64>,
    /// Prompt that the target bootstraps from; `None` for the last decision of the return.
    pub next: Option<Query>,
    /// Whether noise replaced the action of the reply, which is then the noise's.
    pub substituted: bool,
}

impl Transition {
    /// Whether the target is not bootstrapped.
    pub fn done(&self) -> bool {
        self.next.is_none()
    }

    /// Returns Σᵢ rᵢ, the reward of the released code.
    pub fn reward(&self) -> f64 {
        self.rewards.iter().sum()
    }
}

/// Transitions of one episode by stream.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Streams {
    /// One transition per subtask.
    pub planner: Vec<Transition>,
    /// One transition per step.
    pub executor: Vec<Transition>,
    /// One transition per step with a progress text.
    pub progress: Vec<Transition>,
}

/// End of the last subtask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tail {
    /// The executor declared it finished, or the episode is a success.
    Closed,
    /// The step limit cut it off.
    Truncated,
    /// The step limit ended it, and nothing follows.
    Limit,
    /// The environment ended the episode without success.
    Failed,
}

fn tail(episode: &Episode, labels: &Labels<'_>) -> Tail {
    let Some(last) = episode.steps().last() else { return Tail::Closed };
    match last.end {
        Some(End::Terminated) if episode.won => Tail::Closed,
        _ if last.finished => Tail::Closed,
        Some(End::Terminated) => Tail::Failed,
        Some(End::Truncated) if labels.ends(last.end) => Tail::Limit,
        Some(End::Truncated) | None => Tail::Truncated,
    }
}

/// Determines the outcome of an episode from its final score.
pub fn outcome(episode: &Episode) -> Outcome {
    if episode.won || episode.score >= 1.0 {
        Outcome::Success
    } else if episode.score > 0.0 {
        Outcome::Partial
    } else {
        Outcome::Failure
    }
}

/// Error of an episode that has no transitions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransitionError {
    /// The trace does not fit the agent.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// A prompt could not be rendered.
    #[error(transparent)]
    Prompt(#[from] EncoderError),
    /// The agent has a role without a stream.
    #[error(
        "{task}: the role {role} has no stream of transitions, only planner, executor and progress have one; \
         offline_ac is for kind = \"step_hrl\"",
        role = role.name()
    )]
    Role {
        /// Key of the episode's task.
        task: String,
        /// Role of the prompt.
        role: Role,
    },
}

/// Reward, done and flag of one executor sample.
#[derive(Clone, Copy)]
struct Low {
    reward: f64,
    done: bool,
    flag: bool,
}

/// Where a step stands in its episode.
struct Standing {
    /// It is the last of its subtask.
    last_of_subtask: bool,
    /// Set for the last step of an episode whose subtask was not declared finished.
    open_tail: Option<Tail>,
    /// Nothing contradicts that its subtask is finished.
    confirmed: bool,
}

fn low_label(step: &TraceStep, standing: &Standing, labels: &Labels<'_>) -> Low {
    let &Standing { last_of_subtask, open_tail, confirmed } = standing;
    let mut low = match open_tail {
        Some(tail) if labels.profile == Profile::Fixed => {
            Low { reward: 0.0, done: tail != Tail::Truncated, flag: false }
        }
        _ => {
            let earned = last_of_subtask && confirmed && (step.expert.is_none() || step.won);
            Low { reward: f64::from(u8::from(earned)), done: last_of_subtask, flag: last_of_subtask }
        }
    };
    if labels.intrinsic == Intrinsic::Task {
        (low.reward, low.done) = (step.reward, labels.ends(step.end));
    }
    if step.unknown_action {
        low.reward = -1.0;
    }
    low
}

/// The replayed prompts of an episode, by role.
#[derive(Default)]
struct Prompts {
    planner: Vec<Decision>,
    executor: Vec<Decision>,
    progress: Vec<Decision>,
    /// Prompt that would follow the end of the episode.
    next: Option<Query>,
}

impl Prompts {
    fn sort(
        episode: &Episode,
        replayed: Vec<Decision>,
        next: Option<Query>,
    ) -> Result<Self, TransitionError> {
        let mut prompts = Self { next, ..Self::default() };
        for decision in replayed {
            match decision.query.role() {
                Role::Planner => prompts.planner.push(decision),
                Role::Executor => prompts.executor.push(decision),
                Role::Progress => prompts.progress.push(decision),
                role @ (Role::Flat | Role::Macro | Role::Micro) => {
                    return Err(TransitionError::Role { task: episode.task.to_string(), role });
                }
            }
        }
        Ok(prompts)
    }

    /// Returns the prompt that would follow the end of the episode, if it is of this role.
    fn next(&self, role: Role) -> Result<Query, Fault> {
        match &self.next {
            Some(query) if query.role() == role => Ok(query.clone()),
            Some(query) => Err(Fault::Missing { asked: query.role() }),
            None => Err(Fault::Missing { asked: role }),
        }
    }
}

/// Returns the episode with its last subtask finished by its last step.
fn closed(episode: &Episode) -> Episode {
    let mut episode = episode.clone();
    let finish = |reply: &str| executor_reply(&parse_action_done(reply, Profile::Fixed).action, true);
    if let Some(step) = episode.subtasks.iter_mut().rev().find_map(|subtask| subtask.steps.last_mut()) {
        step.finished = true;
        step.turn.reply = finish(&step.turn.reply);
        step.expert = step.expert.as_deref().map(finish);
    }
    episode
}

/// Cuts one episode of a STEP-HRL agent into its three streams. `labels` may be a [`Profile`].
///
/// # Errors
/// [`TransitionError`] if the trace does not fit the agent, or the agent is of another kind.
pub fn transitions<'a>(
    spec: AgentSpec,
    episode: &Episode,
    labels: impl Into<Labels<'a>>,
) -> Result<Streams, TransitionError> {
    let labels = labels.into();
    let profile = labels.profile;
    let replayed = replay(spec, episode)?;
    let episode = &*replayed.episode;
    let prompts = Prompts::sort(episode, replayed.decisions, replayed.next)?;
    let at_end = |fault| {
        let last = prompts.executor.last().map(|decision| decision.place);
        let place = last.unwrap_or(Place { subtask: 0, step: None });
        ReplayError { task: episode.task.to_string(), place, fault }
    };
    let tail = tail(episode, &labels);
    let mut streams = Streams::default();

    let last_subtask = episode.subtasks.iter().rposition(|subtask| !subtask.steps.is_empty());
    for (number, Decision { query, place, .. }) in prompts.planner.iter().enumerate() {
        let subtask = &episode.subtasks[place.subtask];
        let Some(last) = subtask.steps.last() else { continue };
        let next = match (prompts.planner.get(number + 1), profile) {
            _ if labels.ends(last.end) => None,
            (Some(next), _) if Some(place.subtask) != last_subtask => Some(next.query.clone()),
            // The published method bootstraps a truncated planner from the prompt that would have followed, also where the
            // last step finished the subtask.
            (_, Profile::Fixed) if tail == Tail::Closed => Some(prompts.next(Role::Planner).map_err(at_end)?),
            (_, Profile::Fixed) => {
                let after = closed(episode);
                let next = Prompts { next: replay(spec, &after)?.next, ..Prompts::default() };
                Some(next.next(Role::Planner).map_err(at_end)?)
            }
            (_, Profile::Code) => Some(outcome_prompt(outcome(episode).text())),
        };
        streams.planner.push(Transition {
            query: query.clone(),
            reply: subtask.text.clone(),
            cut: subtask.turn.as_ref().is_some_and(|turn| turn.cut),
            rewards: subtask.steps.iter().map(|step| step.reward).collect(),
            next,
            substituted: false,
        });
    }

    let count = prompts.executor.len();
    let mut lows: FxHashMap<Place, Low> = FxHashMap::default();
    for (position, Decision { query, place, .. }) in prompts.executor.iter().enumerate() {
        let Some(step) = step(episode, *place) else { continue };
        let following = prompts.executor.get(position + 1);
        let last_of_subtask = following.is_none_or(|next| next.place.subtask != place.subtask);
        let open_tail = (position + 1 == count && tail != Tail::Closed).then_some(tail);
        let verified = labels.intrinsic == Intrinsic::Verified && last_of_subtask;
        let confirmed =
            !verified || open_tail.is_none() && labels.confirms(episode, place.subtask, step, query);
        let low = low_label(step, &Standing { last_of_subtask, open_tail, confirmed }, &labels);
        let next = match following {
            _ if low.done => None,
            Some(next) => Some(next.query.clone()),
            // With rewards of the task the last subtask may be finished while the return is not: no executor's prompt follows.
            None if tail == Tail::Closed => None,
            None => Some(prompts.next(Role::Executor).map_err(at_end)?),
        };
        lows.insert(*place, low);
        streams.executor.push(Transition {
            query: query.clone(),
            reply: executor_reply(&step.action, low.flag),
            // The reply is rebuilt from the parsed one, hence complete.
            cut: false,
            rewards: vec![low.reward],
            next,
            substituted: step.expert.is_some(),
        });
    }
    streams.progress = progress(episode, &prompts, &lows, tail, &labels);
    Ok(streams)
}

fn step(episode: &Episode, place: Place) -> Option<&TraceStep> {
    episode.subtasks.get(place.subtask)?.steps.get(place.step?)
}

/// Builds the stream of progress samples. Each is followed by the next one's prompt. A truncated episode bootstraps its last
/// sample from the prompt that would have followed; otherwise the last sample gets reward and done of the last executor
/// sample. With rewards of the task it gets that reward besides its own.
fn progress(
    episode: &Episode,
    prompts: &Prompts,
    lows: &FxHashMap<Place, Low>,
    tail: Tail,
    labels: &Labels<'_>,
) -> Vec<Transition> {
    let Some(end) = prompts.executor.last().map(|decision| decision.place) else { return Vec::new() };
    let fixed = labels.profile == Profile::Fixed;
    // The text after the last action has no successor to bootstrap from. Only a closed subtask and an episode that the limit ends
    // need none; the released code's data never contain that text.
    let learns_last = matches!(tail, Tail::Closed | Tail::Limit) && fixed;
    let (last, learnt): (Vec<&Decision>, Vec<&Decision>) =
        prompts.progress.iter().partition(|decision| decision.place == end && !learns_last);
    let asked = prompts.next.as_ref().filter(|query| query.role() == Role::Progress);
    let successor = last.first().map(|decision| &decision.query).or(asked);
    let successor = successor.filter(|_| fixed && tail == Tail::Truncated);
    let sample = |(number, decision): (usize, &&Decision)| {
        let step = step(episode, decision.place)?;
        let next = learnt.get(number + 1).map(|next| &next.query).or(successor);
        let (own, final_one) = (lows.get(&decision.place)?, lows.get(&end)?);
        let low = match labels.intrinsic {
            _ if next.is_some() || decision.place == end => *own,
            // What the steps behind the last text earned would be in no reward.
            Intrinsic::Task => Low { reward: own.reward + final_one.reward, ..*final_one },
            // The limit ended the last subtask, which says nothing about the one before it.
            _ if tail == Tail::Limit && fixed => *own,
            _ => *final_one,
        };
        Some(Transition {
            query: decision.query.clone(),
            reply: clean_progress(step.progress.as_deref()?),
            cut: step.progress_turn.as_ref().is_some_and(|turn| turn.cut),
            rewards: vec![low.reward],
            next: next.filter(|_| !low.done).cloned(),
            substituted: false,
        })
    };
    learnt.iter().enumerate().filter_map(sample).collect()
}
