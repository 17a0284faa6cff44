//! Conformance checks of an environment over its own tasks; each family calls [`check`] from a test.

use stepladder_core::{End, TaskKey};

use crate::contract::{Env, EnvError, TaskSet};
use crate::wrappers::TimeLimit;

/// Form of an environment's list of admissible actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// Lists every name of every action; a walkthrough's actions are listed.
    All,
    /// Lists every action under one of its names.
    OneEach,
}

/// Runs every check on `tasks`; each must come with a walkthrough.
///
/// # Errors
/// A sentence naming the task and the violated rule.
pub fn check(set: &dyn TaskSet, tasks: &[TaskKey]) -> Result<(), String> {
    check_with(set, tasks, Names::All)
}

/// [`check`] for an environment with this form of list.
///
/// # Errors
/// As [`check`].
pub fn check_with(set: &dyn TaskSet, tasks: &[TaskKey], names: Names) -> Result<(), String> {
    if tasks.is_empty() {
        return Err("no task to check".to_owned());
    }
    for task in tasks {
        check_task(set, task, names).map_err(|reason| format!("{task}: {reason}"))?;
    }
    Ok(())
}

/// [`check`] for a task without a walkthrough: `actions` must reach an end.
///
/// # Errors
/// As [`check`].
pub fn check_script(set: &dyn TaskSet, task: &TaskKey, actions: &[&str], names: Names) -> Result<(), String> {
    let actions: Vec<String> = actions.iter().map(|action| (*action).to_owned()).collect();
    check_actions(set, task, Some(actions), names).map_err(|reason| format!("{task}: {reason}"))
}

fn check_task(set: &dyn TaskSet, task: &TaskKey, names: Names) -> Result<(), String> {
    check_actions(set, task, None, names)
}

fn check_actions(
    set: &dyn TaskSet,
    task: &TaskKey,
    script: Option<Vec<String>>,
    names: Names,
) -> Result<(), String> {
    let show = |error: EnvError| error.to_string();
    let mut env = set.make().map_err(show)?;
    let (low, high) = env.spec().reward_range;
    if !matches!(env.step("look"), Err(EnvError::StepBeforeReset { .. })) {
        return Err("a step before the first reset must fail".to_owned());
    }
    let first = env.reset(task, 0).map_err(show)?;
    if let Some(family) = set.family(task).filter(|family| *family != first.family) {
        return Err(format!("the task set calls it `{family}`, its episode `{}`", first.family));
    }
    let again = env.reset(task, 0).map_err(show)?;
    if first != again {
        return Err("two resets with one seed differ".to_owned());
    }
    if env.spec().deterministic && env.reset(task, 1).map_err(show)? != first {
        return Err("declared deterministic, but another seed starts another episode".to_owned());
    }
    let solution = match script {
        Some(script) => script,
        None => env.walkthrough().ok_or("no walkthrough")?.solution(),
    };
    let transcript = play(&mut *env, task, &solution, (low, high), names)?;
    if transcript.1 != Some(End::Terminated) {
        return Err("the walkthrough does not reach the end".to_owned());
    }
    if !matches!(env.step("look"), Err(EnvError::EpisodeOver { .. })) {
        return Err("a step after the end must fail".to_owned());
    }
    if play(&mut *env, task, &solution, (low, high), names)? != transcript {
        return Err("the same actions gave another episode".to_owned());
    }
    let mut limited = TimeLimit::new(set.make().map_err(show)?, 2);
    limited.reset(task, 0).map_err(show)?;
    let end = |step: Result<stepladder_core::Step, EnvError>| step.map(|step| step.end).map_err(show);
    if end(limited.step("no such action"))?.is_some()
        || end(limited.step("no such action"))? != Some(End::Truncated)
    {
        return Err("a limit of 2 must truncate exactly the second step".to_owned());
    }
    if !matches!(limited.step("look"), Err(EnvError::EpisodeOver { .. })) {
        return Err("a step after a truncation must fail".to_owned());
    }
    Ok(())
}

type Played = (Vec<(String, f64, Vec<String>)>, Option<End>);

fn play(
    env: &mut dyn Env,
    task: &TaskKey,
    actions: &[String],
    range: (f64, f64),
    names: Names,
) -> Result<Played, String> {
    env.reset(task, 0).map_err(|error| error.to_string())?;
    let mut rows = Vec::new();
    let mut last = None;
    for action in actions {
        let offered = env.admissible().map(|list| list.admissible_actions()).unwrap_or_default();
        if !offered.is_empty() {
            if !offered.windows(2).all(|pair| pair[0] < pair[1]) {
                return Err(format!("before `{action}` the admissible actions are not sorted and unique"));
            }
            if names == Names::All && !offered.contains(action) {
                return Err(format!("the walkthrough's `{action}` is not admissible"));
            }
        }
        let step = env.step(action).map_err(|error| error.to_string())?;
        if !(range.0..=range.1).contains(&step.reward) {
            return Err(format!("reward {} of `{action}` lies outside {range:?}", step.reward));
        }
        if step.unknown_action {
            return Err(format!("the walkthrough's `{action}` was not understood"));
        }
        last = step.end;
        rows.push((step.observation, step.reward, offered));
        if last.is_some() {
            break;
        }
    }
    Ok((rows, last))
}
