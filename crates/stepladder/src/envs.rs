//! The environments this program knows, each with what belongs to it: tasks, texts' encoding, expert, noise.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use stepladder_agent::Compact;
use stepladder_agent::evaluation::{Evaluation, evaluate_within};
use stepladder_agent::scheduler::Perturb;
use stepladder_alfworld::env::Options;
use stepladder_alfworld::{
    Alfworld, AlfworldCodec, AlfworldExpert, AlfworldSegmenter, Households, households, noise, tasks,
};
use stepladder_core::label::{Expert, Segmenter};
use stepladder_core::seed::Rng;
use stepladder_core::style::PromptStyle;
use stepladder_core::trace::Episode;
use stepladder_core::{Observation, Role};
use stepladder_env::{Codec, EnvError, EnvSpec, TaskSet};
use stepladder_scienceworld::{ScienceWorld, ScienceWorldCodec, ScienceWorldExpert, ScienceWorldSegmenter};
use stepladder_sokoban::{Sokoban, SokobanCodec, SokobanExpert};

use crate::commands::Usage;
use crate::config::{Config, nearest};

/// Registered ids, in the order of `env list`.
pub(crate) const IDS: [&str; 4] = ["household", "alfworld", "sokoban", "scienceworld"];

/// One environment and what belongs to it.
pub(crate) struct Registered {
    /// Its tasks.
    pub(crate) tasks: Box<dyn TaskSet>,
    /// How prompts look for small models.
    pub(crate) style: Arc<dyn PromptStyle>,
    /// Who demonstrates.
    pub(crate) expert: Box<dyn Expert>,
    /// Who cuts the solutions that tasks come with into subtasks.
    pub(crate) segmenter: Option<Box<dyn Segmenter>>,
    /// Who proposes wrong actions.
    pub(crate) noise: Box<dyn Perturb>,
    /// Gives the things of an episode other names, where that changes nothing else.
    pub(crate) rename: Option<Rename>,
}

/// An episode with other names, drawn from a stream.
pub(crate) type Rename = fn(&Episode, &mut Rng) -> Episode;

impl Registered {
    /// What is known about the environment.
    pub(crate) fn spec(&self) -> &EnvSpec {
        self.tasks.spec()
    }

    /// Summarises episodes the way the benchmark does.
    pub(crate) fn evaluate(&self, episodes: &[Episode]) -> Evaluation {
        evaluate_within(episodes, self.spec().score_range)
    }

    /// Environment steps per episode of a split, for the agents of a run: the run's own limit for tasks as long as
    /// those it was trained on, and otherwise what suits the split.
    pub(crate) fn max_steps(&self, config: &Config, split: &str) -> u32 {
        let suitable = self.tasks.max_steps(split);
        let alike = config.env.id == self.spec().id && self.tasks.max_steps(&config.data.split) == suitable;
        if alike { config.env.max_steps } else { suitable }
    }
}

struct AlfworldNoise;

impl Perturb for AlfworldNoise {
    fn perturb(&self, action: &str, seen: &Observation, rng: &mut Rng) -> Option<String> {
        noise::perturb(action, &seen.feedback, &seen.context, rng)
    }
}

struct SokobanNoise;

impl Perturb for SokobanNoise {
    fn perturb(&self, action: &str, seen: &Observation, rng: &mut Rng) -> Option<String> {
        let board = if seen.feedback.is_empty() { &seen.context } else { &seen.feedback };
        stepladder_sokoban::noise::perturb(action, board, rng)
    }
}

struct ScienceWorldNoise;

impl Perturb for ScienceWorldNoise {
    fn perturb(&self, action: &str, seen: &Observation, rng: &mut Rng) -> Option<String> {
        stepladder_scienceworld::noise::perturb(action, seen, rng)
    }
}

fn unknown(id: &str) -> anyhow::Error {
    let meant = nearest(id, IDS).map(|name| format!("; did you mean {name}?")).unwrap_or_default();
    Usage(format!("unknown environment `{id}`; known are {}{meant}", IDS.join(", "))).into()
}

/// What is known about the environment behind an id, whether or not its data are there.
pub(crate) fn spec(id: &str) -> Result<&'static EnvSpec> {
    match id {
        "household" => Ok(&households::SPEC),
        "alfworld" => Ok(&tasks::SPEC),
        "sokoban" => Ok(&stepladder_sokoban::tasks::SPEC),
        "scienceworld" => Ok(&stepladder_scienceworld::tasks::SPEC),
        _ => Err(unknown(id)),
    }
}

/// Whether an environment has a split, whether or not its data are there.
pub(crate) fn known_split(id: &str, split: &str) -> Result<()> {
    let spec = spec(id)?;
    if spec.splits.contains(&split) {
        return Ok(());
    }
    Err(EnvError::UnknownSplit { env: spec.id, split: split.to_owned(), known: spec.split_list() }.into())
}

/// The environment behind an id, as a run's configuration wants it where it has something to say about it.
pub(crate) fn open_for(config: Option<&Config>, id: &str, data_root: Option<&Path>) -> Result<Registered> {
    let penalise_noop = config.is_some_and(|config| config.env.penalise_noop);
    open_with(id, data_root, Options { penalise_noop })
}

/// The environment behind an id; its data are looked for only when they are needed.
pub(crate) fn open(id: &str, data_root: Option<&Path>) -> Result<Registered> {
    open_with(id, data_root, Options::default())
}

fn open_with(id: &str, data_root: Option<&Path>, alfworld: Options) -> Result<Registered> {
    let tasks: Box<dyn TaskSet> = match id {
        "household" => Box::new(Households::new(households::Options { env: alfworld, ..Default::default() })),
        "alfworld" => {
            let root = data_root.ok_or_else(|| {
                anyhow!("no data root for the official ALFWorld games: set STEPLADDER_DATA or pass --data DIR (DIR holds alfworld/json_2.1.1/<split>/…; `stepladder data status` says where the games come from)")
            })?;
            Box::new(Alfworld::new(root, alfworld))
        }
        "sokoban" => Box::new(Sokoban::new(data_root, stepladder_sokoban::Options::default())),
        "scienceworld" => Box::new(ScienceWorld::new(data_root, stepladder_scienceworld::Options::default())),
        _ => return Err(unknown(id)),
    };
    let (codec, expert, noise): (Arc<dyn Codec>, Box<dyn Expert>, Box<dyn Perturb>) = match id {
        "sokoban" => (Arc::new(SokobanCodec), Box::new(SokobanExpert), Box::new(SokobanNoise)),
        "scienceworld" => {
            (Arc::new(ScienceWorldCodec), Box::new(ScienceWorldExpert), Box::new(ScienceWorldNoise))
        }
        _ => (Arc::new(AlfworldCodec), Box::new(AlfworldExpert::default()), Box::new(AlfworldNoise)),
    };
    let segmenter: Option<Box<dyn Segmenter>> = match id {
        "household" | "alfworld" => Some(Box::new(AlfworldSegmenter)),
        "scienceworld" => Some(Box::new(ScienceWorldSegmenter)),
        _ => None,
    };
    let rename = (id == "scienceworld").then_some(stepladder_scienceworld::rename::rename as Rename);
    Ok(Registered { tasks, style: Arc::new(Compact::new(codec)), expert, segmenter, noise, rename })
}

/// Whether the expert of an environment plays a role; no data are needed to know. An unknown id is refused elsewhere.
pub(crate) fn expert_plays(id: &str, role: Role) -> bool {
    match id {
        "household" | "alfworld" => AlfworldExpert::default().answers(role),
        "sokoban" => SokobanExpert.answers(role),
        "scienceworld" => ScienceWorldExpert.answers(role),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    #[test]
    fn a_run_decides_whether_an_action_without_effect_counts_as_unknown() {
        for wanted in [false, true] {
            let config = load("demo", &[format!("env.penalise_noop={wanted}")]).unwrap().config;
            let env = open_for(Some(&config), "household", None).unwrap();
            let task = env.tasks.tasks("dev").unwrap().remove(0);
            let mut game = env.tasks.make().unwrap();
            game.reset(&task, 0).unwrap();
            assert_eq!(game.step("dance").unwrap().unknown_action, wanted);
        }
    }
}
