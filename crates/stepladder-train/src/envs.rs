//! The environments this program knows, each with what belongs to it: tasks, texts' encoding, expert, noise.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use stepladder_alfworld::env::Options;
use stepladder_alfworld::{
    Alfworld, AlfworldCodec, AlfworldExpert, AlfworldSegmenter, Households, households, noise, tasks,
};
use stepladder_core::label::Perturb;
use stepladder_core::label::{Expert, Segmenter};
use stepladder_core::seed::Rng;
use stepladder_core::style::PromptStyle;
use stepladder_core::trace::Episode;
use stepladder_core::{Codec, Observation, Role};
use stepladder_data::Compact;
use stepladder_env::{EnvError, EnvSpec, TaskSet};
use stepladder_rollout::evaluation::{Evaluation, evaluate_within};
use stepladder_scienceworld::augment::WithPractice;
use stepladder_scienceworld::{ScienceWorld, ScienceWorldCodec, ScienceWorldExpert, ScienceWorldSegmenter};
use stepladder_sokoban::{Sokoban, SokobanCodec, SokobanExpert};

use crate::Usage;
use crate::config::{Config, nearest, shorten};

/// A registered environment. What a new one needs is a variant here and an answer in every `match` below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Household,
    Alfworld,
    Sokoban,
    ScienceWorld,
}

/// One environment and what belongs to it.
pub struct Registered {
    /// Its tasks.
    pub tasks: Box<dyn TaskSet>,
    /// How prompts look for small models.
    pub style: Arc<dyn PromptStyle>,
    /// Who demonstrates.
    pub expert: Box<dyn Expert>,
    /// Who cuts the solutions that tasks come with into subtasks.
    pub segmenter: Option<Box<dyn Segmenter>>,
    /// Who proposes wrong actions.
    pub noise: Box<dyn Perturb>,
    /// Gives the things of an episode other names, where that changes nothing else.
    pub rename: Option<Rename>,
}

/// An episode with other names, drawn from a stream.
pub type Rename = fn(&Episode, &mut Rng) -> Episode;

impl Registered {
    /// What is known about the environment.
    pub fn spec(&self) -> &EnvSpec {
        self.tasks.spec()
    }

    /// Summarises episodes the way the benchmark does.
    pub fn evaluate(&self, episodes: &[Episode]) -> Evaluation {
        evaluate_within(episodes, self.spec().score_range)
    }

    /// Environment steps per episode of a split, for the agents of a run: the run's own limit for tasks as long as
    /// those it was trained on, and otherwise what suits the split.
    pub fn max_steps(&self, config: &Config, split: &str) -> u32 {
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

impl Family {
    /// All of them, in the order of `env list`.
    pub const ALL: [Self; 4] = [Self::Household, Self::Alfworld, Self::Sokoban, Self::ScienceWorld];

    /// The environment with this id.
    pub fn named(id: &str) -> Result<Self> {
        let ids = Self::ALL.map(|family| family.spec().id);
        Self::ALL.into_iter().find(|family| family.spec().id == id).ok_or_else(|| {
            let meant = nearest(id, ids).map(|name| format!("; did you mean {name}?")).unwrap_or_default();
            let id = shorten(id);
            Usage(format!("unknown environment `{id}`; known are {}{meant}", ids.join(", "))).into()
        })
    }

    /// What is known about it, whether or not its data are there.
    pub fn spec(self) -> &'static EnvSpec {
        match self {
            Self::Household => &households::SPEC,
            Self::Alfworld => &tasks::SPEC,
            Self::Sokoban => &stepladder_sokoban::tasks::SPEC,
            Self::ScienceWorld => &stepladder_scienceworld::spec::SPEC,
        }
    }

    /// Checks that it has a split, whether or not its data are there.
    pub fn known_split(self, split: &str) -> Result<(), EnvError> {
        if let Self::ScienceWorld = self {
            // Splits can be combined with simplifications, so there is no list of them all.
            return stepladder_scienceworld::splits::Split::named(split).map(drop);
        }
        let spec = self.spec();
        if spec.splits.contains(&split) {
            return Ok(());
        }
        Err(EnvError::UnknownSplit { env: spec.id, split: split.to_owned(), known: spec.split_list() })
    }

    /// How its prompts look for small models.
    pub fn style(self) -> Arc<dyn PromptStyle> {
        let codec: Arc<dyn Codec> = match self {
            Self::Household | Self::Alfworld => Arc::new(AlfworldCodec),
            Self::Sokoban => Arc::new(SokobanCodec),
            Self::ScienceWorld => Arc::new(ScienceWorldCodec),
        };
        Arc::new(Compact::new(codec))
    }

    /// The environment and everything that belongs to it; its data are looked for only when they are needed.
    ///
    /// `household` is how games of ALFWorld and generated households are played.
    fn open(self, data_root: Option<&Path>, household: Options) -> Result<Registered> {
        let style = self.style();
        Ok(match self {
            Self::Household => Registered {
                tasks: Box::new(Households::new(households::Options {
                    env: household,
                    ..Default::default()
                })),
                style,
                expert: Box::new(AlfworldExpert::default()),
                segmenter: Some(Box::new(AlfworldSegmenter)),
                noise: Box::new(AlfworldNoise),
                rename: None,
            },
            Self::Alfworld => {
                let root = data_root.ok_or_else(|| {
                    anyhow!("no data root for the official ALFWorld games: set STEPLADDER_DATA or pass --data DIR (DIR holds alfworld/json_2.1.1/<split>/…; `stepladder data status` says where the games come from)")
                })?;
                Registered {
                    tasks: Box::new(Alfworld::new(root, household)),
                    style,
                    expert: Box::new(AlfworldExpert::default()),
                    segmenter: Some(Box::new(AlfworldSegmenter)),
                    noise: Box::new(AlfworldNoise),
                    rename: None,
                }
            }
            Self::Sokoban => Registered {
                tasks: Box::new(Sokoban::new(data_root, stepladder_sokoban::Options::default())),
                style,
                expert: Box::new(SokobanExpert),
                segmenter: None,
                noise: Box::new(SokobanNoise),
                rename: None,
            },
            Self::ScienceWorld => Registered {
                tasks: Box::new(WithPractice(ScienceWorld::new(
                    data_root,
                    stepladder_scienceworld::Options::default(),
                ))),
                style,
                expert: Box::new(ScienceWorldExpert),
                segmenter: Some(Box::new(ScienceWorldSegmenter)),
                noise: Box::new(ScienceWorldNoise),
                rename: Some(stepladder_scienceworld::augment::rename::rename),
            },
        })
    }
}

/// The environment behind an id, as a run's configuration wants it where it has something to say about it.
pub fn open_for(config: Option<&Config>, id: &str, data_root: Option<&Path>) -> Result<Registered> {
    let penalise_noop = config.is_some_and(|config| config.env.penalise_noop);
    Family::named(id)?.open(data_root, Options { penalise_noop })
}

/// The environment behind an id; its data are looked for only when they are needed.
pub fn open(id: &str, data_root: Option<&Path>) -> Result<Registered> {
    Family::named(id)?.open(data_root, Options::default())
}

/// Whether the expert of an environment plays a role; no data are needed to know. An unknown id is refused elsewhere.
pub fn expert_plays(id: &str, role: Role) -> bool {
    match Family::named(id) {
        Ok(Family::Household | Family::Alfworld) => AlfworldExpert::default().answers(role),
        Ok(Family::Sokoban) => SokobanExpert.answers(role),
        Ok(Family::ScienceWorld) => ScienceWorldExpert.answers(role),
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    #[test]
    fn every_environment_opens_under_its_own_id() {
        for family in Family::ALL {
            assert_eq!(Family::named(family.spec().id).unwrap(), family);
            let opened = open(family.spec().id, Some(Path::new("."))).unwrap();
            assert_eq!(opened.spec(), family.spec());
            assert!(family.known_split(family.spec().splits[0]).is_ok());
            assert!(family.known_split("../x").is_err());
        }
        // One prompt style per kind of text: only the two household environments share theirs.
        let styles = Family::ALL.map(|family| family.style().id());
        assert_eq!(styles[0], styles[1]);
        assert!(styles[1] != styles[2] && styles[2] != styles[3] && styles[1] != styles[3], "{styles:?}");
    }

    #[test]
    fn an_unknown_environment_gets_nobodys_expert() {
        let error = open("webshop", None).err().unwrap().to_string();
        assert_eq!(
            error,
            "unknown environment `webshop`; known are household, alfworld, sokoban, scienceworld"
        );
    }

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
