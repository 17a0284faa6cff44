//! Worked examples for the prompts of pretrained models: episodes of the expert on the training split.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::sync::atomic::AtomicBool;

use anyhow::anyhow;
use stepladder_agent::{AgentKind, AgentSpec};
use stepladder_core::Role;
use stepladder_core::trace::Episode;
use stepladder_data::instruct::Examples;
use stepladder_data::{Instruct, examples};
use stepladder_env::{Draw, Family, Subset};
use stepladder_rollout::Job;

use crate::config::Demonstrator;
use crate::demonstrations::{Rollout, expert_rollout};
use crate::envs::Registered;
use crate::error::{Error, Result, bail};
use crate::report::Reporter;

/// Demonstrations per example: the expert may fail.
const SPARE: usize = 4;

/// Returns the split whose tasks may be shown to a model that plays `split`.
fn training_split<'a>(family: &Family, split: &'a str) -> Cow<'a, str> {
    const HELD_OUT: [&str; 3] = ["dev", "test", "valid"];
    let of_split: Vec<&str> =
        split.split('-').map(|word| if HELD_OUT.contains(&word) { "train" } else { word }).collect();
    let renamed = of_split.join("-");
    if renamed != split && family.known_split(&renamed).is_ok() {
        return renamed.into();
    }
    let shared = |name: &str| name.bytes().zip(split.bytes()).take_while(|(a, b)| a == b).count();
    let training = family.spec.splits.iter().filter(|name| name.split('-').any(|word| word == "train"));
    let nearest = training.min_by_key(|name| Reverse(shared(name)));
    nearest.copied().unwrap_or(family.spec.splits.first().copied().unwrap_or(split)).into()
}

/// Chooses `count` examples per role from demonstrations on the training split, for a model with this context window.
///
/// # Errors
/// If the environment has no expert, the expert solves too few tasks, or the examples fill more than half of the window.
pub(crate) fn worked(
    env: &Registered,
    split: &str,
    agent: AgentSpec,
    encoder: Instruct,
    (count, window): (usize, usize),
    reporter: &dyn Reporter,
) -> Result<Examples> {
    let id = env.spec().id;
    let split = training_split(env.family, split);
    let expert = env.expert()?;
    let levels = [Role::Planner, Role::Executor, Role::Progress];
    let labelled = levels.iter().all(|role| expert.answers(*role));
    let kind = if labelled { AgentKind::StepHrl } else { AgentKind::Flat };
    let drawn = count.saturating_mul(SPARE);
    let tasks = Subset::draw(&*env.tasks, &split, drawn, Draw::Training { seed: 0 })?.tasks;
    let rollout = Rollout {
        agent: kind,
        demonstrator: Demonstrator::Expert,
        jobs: Job::each(&tasks),
        max_steps: env.tasks.max_steps(&split),
        noise: 0.0,
        seed: 0,
    };
    let mut episodes = expert_rollout(env, &rollout, "expert plays", reporter, &AtomicBool::new(false))?;
    episodes.retain(|episode: &Episode| episode.won && episode.error.is_none());
    if episodes.len() < count {
        bail!(
            "--examples {count}: the expert solved {} of {} tasks of {id}/{split}; ask for at most {}",
            episodes.len(),
            tasks.len(),
            episodes.len()
        );
    }
    // Subtasks cannot be invented: a flat expert labels the flat role only.
    let chosen = match labelled || agent.kind == AgentKind::Flat {
        true => examples::choose(agent, &episodes, &encoder, (count, window / 2 / count))
            .map_err(|error| anyhow!("{id}/{split}: {error}"))?,
        false => Examples::new(),
    };
    let without: Vec<&str> = Role::ALL
        .into_iter()
        .filter(|role| agent.has(*role) && chosen.get(role).is_none_or(Vec::is_empty))
        .map(Role::name)
        .collect();
    if !without.is_empty() {
        reporter.note(&format!(
            "the expert of {id} does not label these roles, so that their prompts have no examples: {}",
            without.join(", ")
        ));
    }
    let encoder = encoder.with_examples(chosen.clone())?;
    let longest = chosen.keys().map(|role| (encoder.example_tokens(*role), *role)).max();
    match longest {
        Some((tokens, role)) if tokens > window / 2 => Err(Error::usage(format!(
            "--examples {count}: the examples of the role {} have {tokens} tokens, more than half of the context window of {window}; ask for fewer",
            role.name()
        ))),
        _ => Ok(chosen),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_come_from_the_training_split_that_resembles_the_played_one() {
        for (id, split, expected) in [
            ("household", "dev", "train"),
            ("household", "test-goals-2", "train-goals-2"),
            ("household", "train-goals-1-3", "train-goals-1-3"),
            ("household", "test-500", "train"),
            ("alfworld", "valid_seen", "train"),
            ("alfworld", "train_dev", "train"),
            ("sokoban", "dev-8x8-2", "train-8x8-2"),
            ("sokoban", "boxoban-medium-valid", "boxoban-medium-train"),
            ("sokoban", "boxoban-hard", "boxoban-unfiltered-train"),
            ("scienceworld", "dev", "train"),
            ("scienceworld", "all-test-easy", "all-train-easy"),
            ("scienceworld", "practice", "train"),
        ] {
            assert_eq!(
                training_split(stepladder_families::named(id).unwrap(), split),
                expected,
                "{id}/{split}"
            );
        }
    }
}
