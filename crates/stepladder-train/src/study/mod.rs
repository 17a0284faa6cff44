//! Studies: several configurations (arms), each with several seeds, and one report over all of them.
//!
//! The embedded studies are in `studies/`. A study is a TOML file:
//!
//! ```toml
//! axis = "demonstration games"        # label of the horizontal axis of the plot
//! measure = "score"                   # what is compared; success if absent
//! seeds = [1, 2, 3]                   # run seeds of the arms that name none
//! baseline = "from scratch step_hrl"  # line that the others are compared with, where both have the same `x`
//!
//! [[arms]]
//! name = "games-30"                   # directory of its runs
//! config = "smollm2-alfworld"         # preset, or TOML file relative to the study file
//! set = ["data.games=30"]             # as --set
//! label = "SmolLM2"                   # the results of agent `flat` form the line "SmolLM2 flat"
//! x = 30                              # place on the axis
//! seeds = [1]
//!
//! [[arms]]
//! name = "games-30-grpo"
//! config = "my-grpo.toml"
//! take = "games-30"                   # earlier arm whose cloned agents its runs take over, as `train --take`
//!
//! [[arms]]
//! name = "untrained"
//! config = "smollm2-alfworld"
//! untrained = { agent = "step_hrl", examples = 3 }  # its pretrained model plays, nothing is trained
//! ```

mod measure;
mod report;
pub mod results;

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;
use stepladder_core::choices;
use toml::Table;

pub use measure::{Cell, cells, of_evaluation, of_run};
pub use report::Report;
pub use results::Played;

use crate::config;
use crate::error::{Error, Result};

macro_rules! studies {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../../../studies/", $name, ".toml")))),+]
    };
}

/// The embedded studies by name.
pub const STUDIES: &[(&str, &str)] = studies![
    "smollm2-rows",
    "offline-diagnosis",
    "mixed-quality",
    "mixed-scienceworld",
    "sokoban",
    "chains",
    "webshop"
];

choices! {
    /// What a study compares.
    pub enum Measure {
        /// Share of the tasks that were solved.
        Success = "success",
        /// Score of the benchmark as a share of its range; for environments that have one.
        Score = "score",
    }
}

/// A study.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Study {
    /// Label of the horizontal axis of the plot.
    pub axis: Option<String>,
    /// Run seeds of the arms that name none.
    #[serde(default)]
    pub seeds: Vec<u64>,
    /// What table and plot show; success if absent.
    pub measure: Option<Measure>,
    /// Line that the others are compared with, at the same place on the axis.
    pub baseline: Option<String>,
    /// Arms, in the order in which they run.
    pub arms: Vec<Arm>,
}

/// A configuration of a study.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// Name of the directory of its runs.
    pub name: String,
    /// Preset, or path of a TOML file.
    pub config: String,
    /// Overrides `KEY=VALUE`.
    #[serde(default)]
    pub set: Vec<String>,
    /// Run seeds; those of the study if there are none.
    #[serde(default)]
    pub seeds: Vec<u64>,
    /// First part of the names of its lines; the second is the name of the agent.
    pub label: Option<String>,
    /// Place on the horizontal axis; without it, the arm is in the table only.
    pub x: Option<f64>,
    /// Earlier arm whose run with the same seed has the cloned agents of this arm too: those that both have with the same settings are
    /// copied from it.
    pub take: Option<String>,
    /// Plays the pretrained model of the configuration in place of training.
    pub untrained: Option<Untrained>,
}

/// Evaluation of a pretrained model as it is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Untrained {
    /// Agent whose roles it plays.
    pub agent: String,
    /// Examples per role in its prompts.
    #[serde(default)]
    pub examples: usize,
}

impl Study {
    /// Returns what table and plot show.
    pub fn measure(&self) -> Measure {
        self.measure.unwrap_or(Measure::Success)
    }

    /// Checks that the environments of an arm have what the study compares.
    ///
    /// # Errors
    /// If scores are asked for and an environment has none.
    pub fn check_measure(&self, arm: &Arm, config: &config::Config) -> Result<()> {
        if self.measure() == Measure::Success {
            return Ok(());
        }
        for target in config.targets() {
            let id = target.split_once('/').map_or(target.as_str(), |(id, _)| id);
            if score_range(id).is_none() {
                return Err(Error::usage(format!(
                    "measure is \"score\", but {id}, which arm {} plays, has no scores: leave out measure",
                    arm.name
                )));
            }
        }
        Ok(())
    }
}

/// Range of an environment's scores; none without scores.
pub(crate) fn score_range(id: &str) -> Option<(f64, f64)> {
    stepladder_families::named(id).ok().and_then(|family| family.spec.score_range)
}

impl Arm {
    /// Returns the name of the line of an agent.
    pub fn line(&self, agent: &str) -> String {
        match &self.label {
            Some(label) => format!("{label} {agent}"),
            None => agent.to_owned(),
        }
    }
}

/// Reads the study with this name, or a TOML file with the key `arms`. Returns `None` for everything else: it is a configuration,
/// or absent.
///
/// # Errors
/// If the study has an unknown key, no arm, an arm without seeds, or two arms or seeds of the same name.
pub fn find(source: &str) -> Result<Option<Study>> {
    if let Some((name, text)) = STUDIES.iter().find(|(name, _)| *name == source) {
        return parse(text, name, None).map(Some);
    }
    let path = Path::new(source);
    if path.extension().is_none_or(|extension| extension != "toml") {
        return Ok(None);
    }
    let Ok(text) = fs_err::read_to_string(path) else { return Ok(None) };
    let is_study = text.parse::<Table>().is_ok_and(|table| table.contains_key("arms"));
    if is_study { parse(&text, source, path.parent()).map(Some) } else { Ok(None) }
}

fn parse(text: &str, source: &str, folder: Option<&Path>) -> Result<Study> {
    let mut study: Study = toml::from_str(text)
        .map_err(|error| Error::usage(format!("{source}: {}", error.to_string().trim_end())))?;
    let refuse = |problem: String| Err(Error::usage(format!("{source}: {problem}")));
    if study.arms.is_empty() {
        return refuse("a study has at least one arm: write a table [[arms]]".to_owned());
    }
    let mut names = BTreeSet::new();
    for arm in &mut study.arms {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if arm.name.is_empty() || arm.name.starts_with('.') || !arm.name.chars().all(allowed) {
            return refuse(format!(
                "arm name {:?}: it names a directory, so use letters, digits, `-`, `_` and `.` only",
                arm.name
            ));
        }
        if !names.insert(arm.name.clone()) {
            return refuse(format!("two arms have the name {}", arm.name));
        }
        if arm.seeds.is_empty() {
            arm.seeds.clone_from(&study.seeds);
        }
        if arm.seeds.is_empty() {
            return refuse(format!(
                "arm {} has no seeds: write `seeds` in it, or at the head of the study",
                arm.name
            ));
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = arm.seeds.iter().find(|seed| !seen.insert(**seed)) {
            return refuse(format!("arm {} names seed {twice} twice", arm.name));
        }
        if arm.x.is_some_and(|x| !x.is_finite()) {
            return refuse(format!("arm {}: `x` must be a finite number", arm.name));
        }
        if let Some(folder) = folder.filter(|_| arm.config.ends_with(".toml")) {
            arm.config = folder.join(&arm.config).to_string_lossy().into_owned();
        }
    }
    for (place, arm) in study.arms.iter().enumerate() {
        let Some(take) = &arm.take else { continue };
        let refuse = |problem: &str| refuse(format!("arm {} takes over from {take}, {problem}", arm.name));
        let Some(earlier) = study.arms[..place].iter().find(|other| other.name == *take) else {
            return refuse("which is no earlier arm");
        };
        if arm.untrained.is_some() || earlier.untrained.is_some() {
            return refuse("but one of them trains nothing");
        }
        if arm.seeds.iter().any(|seed| !earlier.seeds.contains(seed)) {
            return refuse("which lacks one of its seeds");
        }
    }
    Ok(study)
}

/// Renders a Markdown section with the purpose and the arms of every embedded study.
///
/// # Panics
/// Panics if an embedded study is invalid; a test reads each.
pub fn reference() -> String {
    let mut page = "\n# Studies\n\nFrom the files in `studies/`: `stepladder study NAME`. A file of the same form is a study of your own.\n".to_owned();
    for (name, text) in STUDIES {
        let study = parse(text, name, None).expect("every embedded study is valid");
        page.push_str(&format!("\n## `{name}`\n\n{}\n\n", config::purpose(text)));
        page.push_str("| arm | configuration | seeds | line in the plot | values |\n|---|---|---|---|---|\n");
        for arm in &study.arms {
            let seeds: Vec<String> = arm.seeds.iter().map(ToString::to_string).collect();
            let mut values: Vec<String> = arm.set.iter().map(|set| format!("`{set}`")).collect();
            values.extend(arm.take.iter().map(|take| format!("clones of arm {take}")));
            values.extend(arm.untrained.as_ref().map(|untrained| {
                format!("not trained: {}, examples per role: {}", untrained.agent, untrained.examples)
            }));
            page.push_str(&format!(
                "| {} | `{}` | {} | {} | {} |\n",
                arm.name,
                arm.config,
                if arm.untrained.is_some() { "-".to_owned() } else { seeds.join(", ") },
                arm.line("AGENT"),
                values.join("; ")
            ));
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::taken;

    /// Reads a study.
    pub(super) fn study(text: &str) -> Study {
        parse(text, "s.toml", None).unwrap()
    }

    #[test]
    fn scores_are_compared_where_there_are_some() {
        let text = |config: &str| {
            format!("measure = \"score\"\nseeds = [1]\n[[arms]]\nname = \"a\"\nconfig = \"{config}\"")
        };
        let refused = study(&text("demo"));
        let config = config::load("demo", &[]).unwrap().config;
        let error = refused.check_measure(&refused.arms[0], &config).unwrap_err().to_string();
        assert!(error.contains("household, which arm a plays, has no scores: leave out measure"), "{error}");

        let study = study(&text("mixed-scienceworld"));
        let played = Played { scores: vec![0.5, 0.25], ..results::tests::played(1) };
        let cells = |measure, played| cells(measure, &study.arms[0], &["step_hrl".to_owned()], &[played]);
        let by_score = cells(Measure::Score, played.clone()).unwrap();
        assert_eq!((by_score[0].by_seed.as_slice(), by_score[0].mean), (&[0.375][..], 0.375));
        assert_eq!(cells(Measure::Success, played.clone()).unwrap()[0].mean, 0.5);
        let table = Report::new(&study, by_score).markdown(None);
        assert!(table.contains("| score by seed |") && table.contains("| 37.5 |"), "{table}");
        let bare = cells(Measure::Score, Played { scores: Vec::new(), ..played }).unwrap_err();
        assert!(bare.to_string().contains("without scores: an earlier version made them"), "{bare}");
    }

    #[test]
    fn every_embedded_study_has_configurations_that_load() {
        for (name, _) in STUDIES {
            let study = find(name).unwrap().unwrap();
            for arm in &study.arms {
                let loaded = config::load(&arm.config, &arm.set).unwrap();
                study.check_measure(arm, &loaded.config).unwrap();
                if let Some(untrained) = &arm.untrained {
                    assert!(loaded.config.model.from.is_some(), "{name} {}", arm.name);
                    untrained.agent.parse::<stepladder_agent::AgentSpec>().unwrap();
                }
                // Where official data are absent, the same overrides apply to another preset.
                if let Some(other) = &loaded.without_data {
                    config::load(other, &arm.set).unwrap();
                }
                for earlier in study.arms.iter().filter(|other| arm.take.as_deref() == Some(&other.name)) {
                    let earlier = config::load(&earlier.config, &earlier.set).unwrap().config;
                    taken::in_common(&loaded.config, &earlier).unwrap();
                }
            }
            let lines: BTreeSet<String> = study
                .arms
                .iter()
                .flat_map(|arm| {
                    let agents = config::load(&arm.config, &arm.set).unwrap().config.agents;
                    agents.keys().map(|agent| arm.line(agent)).collect::<Vec<_>>()
                })
                .collect();
            assert!(study.baseline.is_none_or(|baseline| lines.contains(&baseline)), "{name} {lines:?}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        let refused = |text: &str| parse(text, "s.toml", None).unwrap_err().to_string();
        let arm = "[[arms]]\nname = \"a\"\nconfig = \"demo\"\n";
        assert!(refused("arms = []").contains("at least one arm"));
        assert!(refused(arm).contains("arm a has no seeds"));
        assert!(refused(&format!("seeds = [1]\n{arm}{arm}")).contains("two arms have the name a"));
        assert!(refused(&format!("seeds = [1, 1]\n{arm}")).contains("seed 1 twice"));
        assert!(refused(&format!("seeds = [1]\n{arm}colour = 3")).contains("colour"));
        assert!(refused(&format!("seeds = [1]\n{arm}x = inf")).contains("finite"));
        assert!(refused(&format!("seeds = [1]\n{arm}take = \"a\"")).contains("which is no earlier arm"));
        let later = "[[arms]]\nname = \"b\"\nconfig = \"demo\"\ntake = \"a\"\nseeds = [1, 2]";
        let text = refused(&format!("seeds = [1]\n{arm}{later}"));
        assert!(text.contains("arm b takes over from a, which lacks one of its seeds"), "{text}");
        let untrained = "untrained = { agent = \"flat\" }\n";
        assert!(refused(&format!("seeds = [1, 2]\n{arm}{untrained}{later}")).contains("trains nothing"));
        assert!(
            refused("seeds = [1]\n[[arms]]\nname = \"../a\"\nconfig = \"demo\"")
                .contains("names a directory")
        );
    }

    #[test]
    fn arms_inherit_seeds_and_files_are_relative_to_the_study() {
        let text = "seeds = [4]\n[[arms]]\nname = \"a\"\nconfig = \"c.toml\"\n[[arms]]\nname = \"b\"\nconfig = \"demo\"\nseeds = [5]\nlabel = \"B\"";
        let study = parse(text, "s.toml", Some(Path::new("folder"))).unwrap();
        let seeds: Vec<&[u64]> = study.arms.iter().map(|arm| &arm.seeds[..]).collect();
        assert_eq!(seeds, [[4], [5]]);
        assert_eq!((study.arms[0].config.as_str(), study.arms[1].config.as_str()), ("folder/c.toml", "demo"));
        assert_eq!(
            (study.arms[0].line("flat"), study.arms[1].line("flat")),
            ("flat".to_owned(), "B flat".to_owned())
        );
    }
}
