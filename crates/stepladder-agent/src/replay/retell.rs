//! An episode as another agent would have recorded it: the same steps with other replies around them.

use std::borrow::Cow;

use stepladder_core::Role;
use stepladder_core::blueprint::{parse_micro, write, write_micro};
use stepladder_core::query::NO_PROGRESS;
use stepladder_core::reply::{NO_ACTION, Profile, executor_reply, parse_action_done};
use stepladder_core::trace::{Episode, Subtask, TraceStep, Turn};

use super::error::{Fault, Place, ReplayError};
use crate::agent::Agent;
use crate::factory::AgentFactory;
use crate::himac::{Blueprint, HISTORY, Himac, HimacOptions, Limits};
use crate::spec::{AgentKind, AgentSpec};
use crate::step_hrl::ProgressSlot;

/// An agent of `spec`, and the episode that drives it.
///
/// # Errors
/// [`ReplayError`] if the episode has no subtasks to make a blueprint of.
pub(super) fn retell(
    spec: AgentSpec,
    episode: &Episode,
) -> Result<(Box<dyn Agent>, Cow<'_, Episode>), ReplayError> {
    match spec.kind {
        AgentKind::Flat => Ok((spec.make(0, &Blueprint::Own), Cow::Owned(flat(episode)))),
        AgentKind::StepHrl => Ok((spec.make(0, &Blueprint::Own), step_hrl(spec, episode))),
        AgentKind::Himac => himac(spec, episode),
    }
}

/// The action and the flag that a reply names.
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

/// The episode with other subtasks; nothing else of it is copied but what a replay reads.
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

/// The step with another reply: its own action, or the label of an expert where noise played another one.
fn said(step: &TraceStep, turn: Turn, finished: bool, labelled: bool) -> TraceStep {
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

/// The actions of an episode without its hierarchy.
fn flat(episode: &Episode) -> Episode {
    let tell = |step: &TraceStep| {
        let label = step.expert.as_deref().map(|reply| read(step.turn.role, reply).0);
        let reply = label.as_ref().unwrap_or(&step.action);
        said(step, Turn::said(Role::Flat, reply), false, label.is_some())
    };
    let steps = episode.steps().map(tell).collect();
    with(episode, vec![Subtask { text: String::new(), turn: None, steps }])
}

/// Less what an agent with ablations lacks.
fn step_hrl(spec: AgentSpec, episode: &Episode) -> Cow<'_, Episode> {
    let mut told = Cow::Borrowed(episode);
    if spec.progress != ProgressSlot::Written && episode.steps().any(|step| step.progress_turn.is_some()) {
        for step in told.to_mut().subtasks.iter_mut().flat_map(|subtask| &mut subtask.steps) {
            (step.progress, step.progress_turn) = (None, None);
        }
    }
    if !spec.planner && episode.subtasks.iter().any(|subtask| subtask.turn.is_some()) {
        told = Cow::Owned(without_planner(told.into_owned()));
    }
    told
}

/// The episode of an agent without planner: the task is its only subtask, and its progress text holds the last one of
/// every finished subtask, oldest first, before the current one.
///
/// Nothing else tells such an agent what it has done already, so the facts that the planner would have read stay in
/// the text. The executor says `True` with the last action only.
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
        // What was searched matters no more once the search is over.
        finished.push(unchecked(&last).to_owned());
    }
    let whole = Subtask { text: episode.start.task.clone(), turn: None, steps };
    Episode { subtasks: vec![whole], ..episode }
}

/// An executor's reply with the flag `False`.
fn open(reply: &str) -> String {
    executor_reply(&parse_action_done(reply, Profile::Fixed).action, false)
}

/// A progress text without its `[Checked: …]` list.
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

/// The episode of an agent whose blueprint, in hindsight, is the list of its subtasks: it says `<sub_done>` where a subtask
/// ends.
///
/// Subtasks beyond K_max have no place in a blueprint: their steps belong to the last sub-goal. Where noise played other
/// actions, the blueprint is followed and no reply is asked for it: part of it only makes good what the noise had done.
fn himac(spec: AgentSpec, episode: &Episode) -> Result<(Box<dyn Agent>, Cow<'_, Episode>), ReplayError> {
    let issued = episode.subtasks.iter().enumerate().filter(|(_, subtask)| !subtask.steps.is_empty());
    let mut told: Vec<Subtask> = Vec::new();
    for (number, subtask) in issued {
        if told.len() < spec.max_subgoals {
            let words: Vec<&str> = subtask.text.split_whitespace().collect();
            if words.is_empty() {
                let place = Place { subtask: number, step: None };
                return Err(ReplayError { task: episode.task.to_string(), place, fault: Fault::NoText });
            }
            told.push(Subtask { text: words.join(" "), turn: None, steps: Vec::new() });
        }
        let last = subtask.steps.len() - 1;
        let steps = subtask.steps.iter().enumerate().map(|(place, step)| {
            let label = step.expert.as_deref().map(|reply| read(step.turn.role, reply));
            let labelled = label.is_some();
            let (action, ends) = label.unwrap_or_else(|| (step.action.clone(), place == last));
            let done = ends && spec.sub_done;
            said(step, Turn::said(Role::Micro, write_micro(Some(&action), done)), done, labelled)
        });
        if let Some(segment) = told.last_mut() {
            segment.steps.extend(steps);
        }
    }
    let subgoals: Vec<String> = told.iter().map(|subtask| subtask.text.clone()).collect();
    let lengths = told.iter().map(|subtask| subtask.steps.len() as u32).collect();
    let noisy = episode.steps().any(|step| step.expert.is_some());
    let blueprint = match told.first_mut() {
        Some(first) if !noisy => {
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
        blueprint,
    });
    Ok((Box::new(agent), Cow::Owned(with(episode, told))))
}
