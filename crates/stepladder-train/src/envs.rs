//! Environments of a run, opened with its options.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use stepladder_core::label::{Expert, Perturb, Segmenter};
use stepladder_core::trace::{Episode, TraceStep};
use stepladder_core::{Codec, Role};
use stepladder_env::{EnvError, EnvSpec, Family, Options, Reader, TaskSet};
use stepladder_rollout::evaluation::{Evaluation, evaluate_within};

use stepladder_families::named;

use crate::config::{Config, Demonstrator};
use crate::error::{Error, Result};

/// An opened environment.
pub struct Registered {
    /// Family of the environment.
    pub family: &'static Family,
    /// Tasks of the environment.
    pub tasks: Box<dyn TaskSet>,
    /// Compact encoding of its texts for word-level models.
    pub codec: Arc<dyn Codec>,
    /// Options that it was opened with.
    pub options: Options,
    expert: Result<Box<dyn Expert>, EnvError>,
    careless: Result<Box<dyn Expert>, EnvError>,
    noise: Result<Box<dyn Perturb>, EnvError>,
}

impl Registered {
    fn open(family: &'static Family, data_root: Option<&Path>, options: Options) -> Result<Self> {
        Ok(Self {
            family,
            tasks: family.open(data_root, &options)?,
            codec: (family.codec)(),
            options,
            expert: family.expert(),
            careless: family.careless(),
            noise: family.noise(),
        })
    }

    /// Returns the facts about the environment.
    pub fn spec(&self) -> &'static EnvSpec {
        self.family.spec
    }

    /// Returns the rule-based expert.
    ///
    /// # Errors
    /// If the family has none.
    pub fn expert(&self) -> Result<&dyn Expert> {
        self.expert.as_deref().map_err(|lacking| Error::usage(lacking.to_string()))
    }

    /// Returns what plays the demonstrations of a run.
    ///
    /// # Errors
    /// If the family has no such demonstrator.
    pub fn demonstrator(&self, demonstrator: Demonstrator) -> Result<&dyn Expert> {
        match demonstrator {
            Demonstrator::Expert => self.expert(),
            Demonstrator::Careless => {
                self.careless.as_deref().map_err(|lacking| Error::usage(lacking.to_string()))
            }
        }
    }

    /// Returns the source of perturbed actions.
    ///
    /// # Errors
    /// If the family has none.
    pub fn noise(&self) -> Result<&dyn Perturb> {
        self.noise.as_deref().map_err(|lacking| Error::usage(lacking.to_string()))
    }

    /// Returns the segmenter of recorded solutions.
    ///
    /// # Errors
    /// If the family has none.
    pub fn segmenter(&self) -> Result<Box<dyn Segmenter>> {
        Ok(self.family.segmenter()?)
    }

    /// Checks that the environment lists its admissible actions, which constrained decoding needs, in the first task of a split.
    ///
    /// # Errors
    /// If it does not, or the task cannot be started.
    pub fn check_admissible(&self, split: &str) -> Result<()> {
        let Some(task) = self.tasks.tasks(split)?.into_iter().next() else { return Ok(()) };
        let mut env = self.tasks.make()?;
        env.reset(&task, 0)?;
        match env.admissible() {
            Some(_) => Ok(()),
            None => Err(Error::usage(format!(
                "{} does not list its admissible actions: its agents cannot decode under a constraint",
                self.spec().id
            ))),
        }
    }

    /// Summarises episodes by the rules of the benchmark.
    pub fn evaluate(&self, episodes: &[Episode]) -> Evaluation {
        let refused = |step: &TraceStep| step.unknown_action || self.codec.refuses(&step.observation);
        evaluate_within(episodes, self.spec().score_range, &refused)
    }

    /// Returns the step limit for a split: the run's own limit if the split has the same natural limit as the training split,
    /// else the limit of the split.
    pub fn max_steps(&self, config: &Config, split: &str) -> u32 {
        let suitable = self.tasks.max_steps(split);
        let alike = config.env.id == self.spec().id && self.tasks.max_steps(&config.data.split) == suitable;
        if alike { config.env.max_steps } else { suitable }
    }
}

/// `key=value` pairs of a command line.
pub type Pairs = [(String, String)];

/// Options of an environment that differ from their defaults, by name.
pub type Chosen = BTreeMap<String, String>;

/// Returns the options that differ from their defaults.
pub fn chosen(options: &Options) -> Chosen {
    options.chosen().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Describes options behind the name of a split: `, nouns=stub, pages=short`. Empty for none.
pub fn suffix(chosen: &Chosen) -> String {
    chosen.iter().map(|(name, value)| format!(", {name}={value}")).collect()
}

/// Returns the options of a run's configuration for an environment, overridden by those of a command line. Options of the
/// configuration that the family does not declare are ignored, since an agent may play another environment than that of its run.
///
/// # Errors
/// The errors of the family.
fn options(family: &'static Family, config: Option<&Config>, pairs: &Pairs) -> Result<Options> {
    let configured = config.map(|config| config.env.options()).unwrap_or_default();
    let declared = |name: &str| {
        let found = family.options.iter().find(|option| option.name == name);
        found.is_some_and(|option| option.readers.contains(&Reader::Play))
    };
    let configured = configured.iter().filter(|(key, _)| declared(key));
    let pairs = configured.chain(pairs).map(|(key, value)| (&**key, &**value));
    Ok(family.options(Reader::Play, pairs)?)
}

/// Returns the options that differ from their defaults where a run plays an environment; opens nothing.
///
/// # Errors
/// [`ErrorKind::Usage`](crate::ErrorKind) for an unknown environment, and the errors of its family.
pub(crate) fn chosen_for(config: &Config, id: &str) -> Result<Chosen> {
    Ok(chosen(&options(named(id)?, Some(config), &[])?))
}

/// Opens an environment with the options of a run's configuration, overridden by those of a command line.
///
/// # Errors
/// The errors of the family, and [`ErrorKind::Usage`](crate::ErrorKind) for an unknown environment.
pub fn open_with(
    config: Option<&Config>,
    id: &str,
    data_root: Option<&Path>,
    pairs: &Pairs,
) -> Result<Registered> {
    let family = named(id)?;
    Registered::open(family, data_root, options(family, config, pairs)?)
}

/// Opens an environment with the options of a run's configuration.
///
/// # Errors
/// As [`open_with`].
pub fn open_for(config: &Config, id: &str, data_root: Option<&Path>) -> Result<Registered> {
    open_with(Some(config), id, data_root, &[])
}

/// Whether the expert of an environment answers a role; needs no data. True for an unknown id, which another check refuses.
pub fn expert_plays(id: &str, role: Role) -> bool {
    named(id).map_or(true, |family| family.expert().is_ok_and(|expert| expert.answers(role)))
}

#[cfg(test)]
mod tests {
    use stepladder_core::codec::Plain;

    use super::*;
    use crate::config::load;

    fn open(id: &str, data_root: Option<&Path>) -> Result<Registered> {
        open_with(None, id, data_root, &[])
    }

    #[test]
    fn a_run_decides_whether_an_action_without_effect_counts_as_unknown_and_the_command_line_may_differ() {
        let played = |config: &Config, pairs: &[(&str, &str)]| {
            let pairs: Vec<(String, String)> =
                pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            let env = open_with(Some(config), "household", None, &pairs).unwrap();
            let task = env.tasks.tasks("dev").unwrap().remove(0);
            let mut game = env.tasks.make().unwrap();
            game.reset(&task, 0).unwrap();
            game.step("dance").unwrap().unknown_action
        };
        for wanted in [false, true] {
            let config = load("demo", &[format!("env.penalise_noop={wanted}")]).unwrap().config;
            assert_eq!(played(&config, &[]), wanted);
            assert!(played(&config, &[("penalise_noop", "true")]));
            assert!(open_for(&config, "sokoban", None).is_ok(), "options of another family do not count");
        }
    }

    #[test]
    fn options_that_change_what_is_measured_are_named() {
        let sets = ["env.options=[\"pages=short\", \"products=1000\"]".to_owned()];
        let config = load("webshop-cpu", &sets).unwrap().config;
        let stub = [("nouns".to_owned(), "stub".to_owned())];
        let env = open_with(Some(&config), "webshop", None, &stub).unwrap();
        assert_eq!(suffix(&chosen(&env.options)), ", nouns=stub, pages=short");
        assert_eq!(suffix(&chosen_for(&config, "webshop").unwrap()), ", pages=short");
        assert!(chosen_for(&config, "household").unwrap().is_empty());
        let subset = stepladder_env::Subset::first(Vec::new(), 0);
        let json = crate::table::json((&env, "dev", &subset), "a", "b", "c", &Evaluation::default());
        assert_eq!(json["options"], serde_json::json!({"nouns": "stub", "pages": "short"}));
        assert_eq!(crate::evaluated::options(&json), chosen(&env.options));
        let plain = open_with(None, "webshop", None, &[("nouns".to_owned(), "table".to_owned())]).unwrap();
        assert_eq!(suffix(&chosen(&plain.options)), "");
        let json = crate::table::json((&plain, "dev", &subset), "a", "b", "c", &Evaluation::default());
        assert!(json.get("options").is_none() && crate::evaluated::options(&json).is_empty());
    }

    static SPEC: EnvSpec = EnvSpec {
        id: "toy",
        summary: "",
        version: 1,
        upstream: "",
        data_licence: "",
        splits: &["train"],
        max_steps: 1,
        reward_range: (0.0, 1.0),
        score_range: None,
        deterministic: true,
    };
    static TOY: Family =
        Family::new(&SPEC, |_, _| Ok(Box::new(stepladder_sokoban::Sokoban::default())), || Arc::new(Plain));

    #[test]
    fn a_registered_family_opens_and_has_no_expert_of_another_one() {
        stepladder_families::register(&TOY).unwrap();
        let toy = open("toy", None).unwrap();
        assert_eq!(toy.expert().err().unwrap().to_string(), "toy has no expert");
        assert!(!expert_plays("toy", Role::Flat) && toy.noise().is_err() && toy.segmenter().is_err());
    }
}
