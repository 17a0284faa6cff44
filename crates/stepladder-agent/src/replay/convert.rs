//! Converts an episode of one agent to an episode of another one: the same steps, with the other agent's replies.

use std::borrow::Cow;

use stepladder_core::Role;
use stepladder_core::blueprint::{parse_micro, write, write_micro};
use stepladder_core::query::NO_PROGRESS;
use stepladder_core::reply::{NO_ACTION, Profile, executor_reply, parse_action_done};
use stepladder_core::trace::{Episode, Subtask, TraceStep, Turn};

use super::error::{Fault, Place, ReplayError};
use crate::agent::Agent;
use crate::factory::AgentFactory;
use crate::himac::{Blueprint, HISTORY, Himac, HimacOptions, Limits, Numbers, without_unknown};
use crate::spec::{AgentKind, AgentSpec};
use crate::step_hrl::ProgressSlot;

/// Creates an agent of `spec`, and converts the episode to one that this agent can replay.
///
/// # Errors
/// [`ReplayError`] if the agent needs a blueprint and a subtask of the episode has no text.
pub(super) fn convert(
    spec: AgentSpec,
    episode: &Episode,
) -> Result<(Box<dyn Agent>, Cow<'_, Episode>), ReplayError> {
    match spec.kind {
        AgentKind::Flat => Ok((spec.make(0, &Blueprint::Own), Cow::Owned(flat(episode)))),
        AgentKind::StepHrl => Ok((spec.make(0, &Blueprint::Own), step_hrl(spec, episode))),
        AgentKind::Himac => himac(spec, episode),
    }
}

/// Parses the action and the flag of a reply.
fn read(role: Role, reply: &str) -> (String, bool) {
    match role {
        Role::Micro => {
            let read = parse_micro(reply);
            (read.action.unwrap_or_else(|| NO_ACTION.to_owned()), read.done)
        }
        Role::Flat => (reply.to_owned(), false),
        _ => {
            let read = parse_action_done(reply, Profile::Fixed);
            (read.action, read.finished)
        }
    }
}

/// Returns the episode with other subtasks, without cloning the recorded ones.
fn with(episode: &Episode, subtasks: Vec<Subtask>) -> Episode {
    Episode {
        version: episode.version,
        task: episode.task.clone(),
        seed: episode.seed,
        agent: episode.agent.clone(),
        policy: episode.policy.clone(),
        start: episode.start.clone(),
        subtasks,
        won: episode.won,
        score: episode.score,
        end: episode.end,
        error: episode.error.clone(),
    }
}

/// Returns the step with another reply, which is the expert's label if `labelled` (noise replaced the action).
fn with_turn(step: &TraceStep, turn: Turn, finished: bool, labelled: bool) -> TraceStep {
    TraceStep {
        idle: Vec::new(),
        expert: labelled.then(|| turn.reply.clone()),
        turn,
        action: step.action.clone(),
        finished,
        unparsable: step.unparsable,
        observation: step.observation.clone(),
        reward: step.reward,
        won: step.won,
        unknown_action: step.unknown_action,
        context: step.context.clone(),
        end: step.end,
        progress: None,
        progress_turn: None,
    }
}

/// Converts to an episode of the flat agent: the steps without their hierarchy.
fn flat(episode: &Episode) -> Episode {
    let to_flat = |step: &TraceStep| {
        let label = step.expert.as_deref().map(|reply| read(step.turn.role, reply).0);
        let reply = label.as_ref().unwrap_or(&step.action);
        with_turn(step, Turn::said(Role::Flat, reply), false, label.is_some())
    };
    let steps = episode.steps().map(to_flat).collect();
    with(episode, vec![Subtask { text: String::new(), turn: None, steps }])
}

/// Removes the replies of roles that an agent with ablations lacks.
fn step_hrl(spec: AgentSpec, episode: &Episode) -> Cow<'_, Episode> {
    let mut converted = Cow::Borrowed(episode);
    if spec.progress != ProgressSlot::Written && episode.steps().any(|step| step.progress_turn.is_some()) {
        for step in converted.to_mut().subtasks.iter_mut().flat_map(|subtask| &mut subtask.steps) {
            (step.progress, step.progress_turn) = (None, None);
        }
    }
    if !spec.planner && episode.is_planned() {
        converted = Cow::Owned(without_planner(converted.into_owned()));
    }
    converted
}

/// Converts to an episode of STEP-HRL without planner: the task is the only subtask, and each progress text begins with the
/// last text of every finished subtask, oldest first.
///
/// The progress text is such an agent's only memory, so it must keep the facts that a planner would have read. Only the
/// executor's last reply has the flag `True`.
fn without_planner(episode: Episode) -> Episode {
    let mut finished: Vec<String> = Vec::new();
    let mut steps = Vec::with_capacity(episode.len());
    let count = episode.subtasks.len();
    for (index, subtask) in episode.subtasks.into_iter().enumerate() {
        let mut last = NO_PROGRESS.to_owned();
        for mut step in subtask.steps {
            let together = |text: &str| {
                let parts: Vec<&str> = finished.iter().map(String::as_str).chain([text]).collect();
                parts.join(" ; ")
            };
            if let Some(text) = &mut step.progress {
                last.clone_from(text);
                *text = together(text);
            }
            if let Some(turn) = &mut step.progress_turn {
                turn.reply = together(&turn.reply);
            }
            if index + 1 < count {
                step.finished = false;
                step.turn.reply = open(&step.turn.reply);
                step.expert = step.expert.map(|reply| open(&reply));
            }
            steps.push(step);
        }
        // The list of searched places is useless once the search is over.
        finished.push(unchecked(&last).to_owned());
    }
    let whole = Subtask { text: episode.start.task.clone(), turn: None, steps };
    Episode { subtasks: vec![whole], ..episode }
}

/// Sets the flag of an executor's reply to `False`.
fn open(reply: &str) -> String {
    executor_reply(&parse_action_done(reply, Profile::Fixed).action, false)
}

/// Returns a progress text without its `[Checked: …]` list.
///
/// ```
/// use stepladder_agent::replay::unchecked;
/// assert_eq!(unchecked("searching || [Checked: shelf 1, shelf 2]"), "searching");
/// assert_eq!(unchecked("at desk 1"), "at desk 1");
/// ```
pub fn unchecked(text: &str) -> &str {
    let end = text.find("|| [Checked:").unwrap_or(text.len());
    text[..end].trim()
}

/// Converts to an episode of HiMAC: the subtasks become the blueprint, and the last reply of each subtask has `<sub_done>`.
///
/// The steps of subtasks beyond K_max belong to the last sub-goal; those of given ones are left out. The blueprint is given, not the macro
/// role's reply, where no planner wrote the subtasks, or where noise replaced actions: some of its sub-goals only repair the effects
/// of the noise. `spec.numbers` says which numbers of things the sub-goals keep.
fn himac(spec: AgentSpec, episode: &Episode) -> Result<(Box<dyn Agent>, Cow<'_, Episode>), ReplayError> {
    let written = episode.is_planned();
    // What was done towards other given sub-goals says nothing about the last one.
    let most = if written { usize::MAX } else { spec.max_subgoals };
    let issued =
        episode.subtasks.iter().enumerate().filter(|(_, subtask)| !subtask.steps.is_empty()).take(most);
    let mut converted: Vec<Subtask> = Vec::new();
    for (number, subtask) in issued {
        if converted.len() < spec.max_subgoals {
            let words: Vec<&str> = subtask.text.split_whitespace().collect();
            if words.is_empty() {
                let place = Place { subtask: number, step: None };
                return Err(ReplayError { task: episode.task.to_string(), place, fault: Fault::NoText });
            }
            converted.push(Subtask { text: words.join(" "), turn: None, steps: Vec::new() });
        }
        let last = subtask.steps.len() - 1;
        let steps = subtask.steps.iter().enumerate().map(|(place, step)| {
            let label = step.expert.as_deref().map(|reply| read(step.turn.role, reply));
            let labelled = label.is_some();
            let (action, ends) = label.unwrap_or_else(|| (step.action.clone(), place == last));
            let done = ends && spec.sub_done;
            with_turn(step, Turn::said(Role::Micro, write_micro(Some(&action), done)), done, labelled)
        });
        if let Some(segment) = converted.last_mut() {
            segment.steps.extend(steps);
        }
    }
    if spec.numbers == Numbers::Known {
        let start = &episode.start;
        let known = [start.task.as_str(), &start.text, &start.context].join("\n");
        for subtask in &mut converted {
            subtask.text = without_unknown(&subtask.text, &known);
        }
    }
    let subgoals: Vec<String> = converted.iter().map(|subtask| subtask.text.clone()).collect();
    let lengths = converted.iter().map(|subtask| subtask.steps.len() as u32).collect();
    let noisy = episode.steps().any(|step| step.expert.is_some());
    let blueprint = match converted.first_mut() {
        Some(first) if written && !noisy => {
            first.turn = Some(Turn::said(Role::Macro, write(&subgoals)));
            Blueprint::Own
        }
        _ => Blueprint::Follow(subgoals),
    };
    let agent = Himac::new(HimacOptions {
        limit: 0,
        history: spec.history.unwrap_or(HISTORY),
        limits: Limits::Recorded(lengths),
        max_subgoals: spec.max_subgoals,
        max_idle: spec.max_idle,
        sees: spec.sees,
        blueprint,
    });
    Ok((Box::new(agent), Cow::Owned(with(episode, converted))))
}
