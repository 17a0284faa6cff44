//! A study of several configurations.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use stepladder_agent::AgentSpec;
use stepladder_train::config::Config;
use stepladder_train::directory::replace_file;
use stepladder_train::study::{Arm, Played, Report, Study, Untrained, cells, of_evaluation, of_run, results};
use stepladder_train::taken;

use super::{Plan, Usage, child, is_complete, program, say};
use crate::cli;
use crate::commands::model;
use crate::stderr::note;

/// Files of an evaluation without training, in the directory of its arm.
const EVALUATION: &str = "evaluation.json";
const EPISODES: &str = "episodes.jsonl.zst";

/// Results of all runs of the study, in its directory.
const RESULTS: &str = "results.json";

/// Runs or continues the arms seed by seed, and writes the report after each run.
pub(super) fn run(arguments: &cli::Study, study: &Study) -> Result<()> {
    let root = super::directory(arguments);
    let wanted = |seed: &u64| arguments.seeds.is_empty() || arguments.seeds.contains(seed);
    // Checked before the first run, which can take an hour.
    let mut plans = Vec::new();
    for arm in &study.arms {
        let plan =
            Plan::load(arguments, &arm.config, &arm.set).with_context(|| format!("arm {}", arm.name))?;
        let pretrained = plan.loaded.config.model.from.as_deref();
        if let Some(untrained) = &arm.untrained {
            let refuse = |problem: String| Usage(format!("arm {}: {problem}", arm.name));
            untrained.agent.parse::<AgentSpec>().map_err(refuse)?;
            if pretrained.is_none() {
                let problem = format!("{} has no pretrained model to evaluate: set model.from", arm.config);
                return Err(refuse(problem).into());
            }
        }
        plan.check(&arm.seeds)?;
        study.check_measure(arm, &plan.loaded.config)?;
        plans.push(plan);
    }
    for (arm, plan) in study.arms.iter().zip(&plans) {
        if let Some(earlier) = earlier(study, arm) {
            taken::in_common(&plan.loaded.config, &plans[earlier].loaded.config)
                .with_context(|| format!("arm {} takes over from {}", arm.name, study.arms[earlier].name))?;
        }
    }
    let seeds: BTreeSet<u64> = study.arms.iter().flat_map(|arm| &arm.seeds).copied().filter(wanted).collect();
    if seeds.is_empty() {
        let known: BTreeSet<u64> = study.arms.iter().flat_map(|arm| &arm.seeds).copied().collect();
        return Err(Usage(format!("--seeds {:?}: the study has the seeds {known:?}", arguments.seeds)).into());
    }
    for plan in &plans {
        model::fetch_absent(plan.loaded.config.model.from.as_deref(), arguments.data.as_deref())?;
    }
    let configurations: Vec<String> =
        study.arms.iter().zip(&plans).map(|(arm, plan)| configuration(arm, &plan.loaded.config)).collect();
    let mut given = Vec::new();
    for path in &arguments.results {
        given.extend(results::read(path, study, &configurations)?);
    }
    let state = State { study, plans: &plans, configurations: &configurations, given: &given, root: &root };
    fs_err::create_dir_all(&root)?;
    for (arm, plan) in study.arms.iter().zip(&plans) {
        if let Some(untrained) = arm.untrained.as_ref().filter(|_| !state.is_given(arm)) {
            evaluate(arguments, &plan.loaded.config, untrained, &root.join(&arm.name))
                .with_context(|| format!("arm {}", arm.name))?;
        }
    }
    state.report()?;
    for seed in seeds {
        for (arm, plan) in study.arms.iter().zip(&plans) {
            if state.is_due(arm, seed)? {
                note!("arm {}, seed {seed}", arm.name);
                let take = earlier(study, arm).map(|number| place(&root, &study.arms[number], seed));
                plan.train(arguments, seed, &place(&root, arm, seed), take.as_deref())
                    .with_context(|| format!("arm {}", arm.name))?;
                state.report()?;
            }
        }
    }
    state.report()?;
    say(fs_err::read_to_string(root.join("table.md"))?.trim_end());
    Ok(())
}

/// Returns the place among the arms of the one that this arm takes agents over from.
fn earlier(study: &Study, arm: &Arm) -> Option<usize> {
    let take = arm.take.as_deref()?;
    study.arms.iter().position(|other| other.name == take)
}

fn place(root: &Path, arm: &Arm, seed: u64) -> PathBuf {
    root.join(&arm.name).join(format!("seed-{seed}"))
}

/// A study, its configurations, and results of other places.
struct State<'a> {
    study: &'a Study,
    plans: &'a [Plan],
    configurations: &'a [String],
    given: &'a [Played],
    root: &'a Path,
}

impl State<'_> {
    /// Whether the run of an arm with this seed is yet to be made or completed here: its results did not come from elsewhere, or a later
    /// arm that is yet to begin takes agents over from it.
    fn is_due(&self, arm: &Arm, seed: u64) -> Result<bool> {
        if arm.untrained.is_some() || !arm.seeds.contains(&seed) {
            return Ok(false);
        }
        let number = self.study.arms.iter().position(|other| other.name == arm.name).unwrap_or_default();
        let plan = &self.plans[number];
        let run = place(self.root, arm, seed);
        let has_begun = plan.has_begun(&run).with_context(|| format!("arm {}", arm.name))?;
        if has_begun && is_complete(&run) {
            return Ok(false);
        }
        if !results::covers(self.given, arm, &plan.loaded.config, seed) {
            return Ok(true);
        }
        for later in self.study.arms.iter().filter(|later| later.take.as_ref() == Some(&arm.name)) {
            if !place(self.root, later, seed).join("config.toml").exists() && self.is_due(later, seed)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the result of an untrained model came from elsewhere.
    fn is_given(&self, arm: &Arm) -> bool {
        self.given.iter().any(|played| played.arm == arm.name)
    }

    /// Reads the results of the runs that are finished here, and adds those of other places.
    fn results(&self) -> Result<Vec<Played>> {
        let mut found = Vec::new();
        for (arm, configuration) in self.study.arms.iter().zip(self.configurations) {
            let directory = self.root.join(&arm.name);
            if let Some(untrained) = &arm.untrained {
                if let Some(kept) = kept(&directory)? {
                    let episodes = directory.join(EPISODES);
                    let evaluation = &kept["evaluation"];
                    found.push(of_evaluation(arm, untrained, configuration, evaluation, &episodes)?);
                }
            } else {
                let mut runs = arm.seeds.iter().map(|&seed| place(self.root, arm, seed)).collect::<Vec<_>>();
                runs.retain(|run| is_complete(run));
                for run in runs {
                    found.extend(of_run(arm, &run)?);
                }
            }
        }
        for given in self.given {
            let of = |played: &Played| {
                (played.arm.clone(), played.agent.clone(), played.target.clone(), played.seed)
            };
            if !found.iter().any(|own| of(own) == of(given)) {
                found.push(given.clone());
            }
        }
        Ok(found)
    }

    /// Writes table, plot, JSON form and results of everything that is finished.
    fn report(&self) -> Result<()> {
        let results = self.results()?;
        let mut all = Vec::new();
        for (arm, plan) in self.study.arms.iter().zip(self.plans) {
            let agents: Vec<String> = plan.loaded.config.agents.keys().cloned().collect();
            all.extend(cells(self.study.measure(), arm, &agents, &results)?);
        }
        let report = Report::new(self.study, all);
        replace_file(&self.root.join("table.md"), &report.markdown(self.study.baseline.as_deref()))?;
        replace_file(&self.root.join("study.json"), &report.json()?)?;
        replace_file(&self.root.join(RESULTS), &results::write(&results)?)?;
        if let Some(plot) = report.plot()? {
            replace_file(&self.root.join("plot.svg"), &plot)?;
        }
        Ok(())
    }
}

/// Identifies what an arm plays and trains.
fn configuration(arm: &Arm, config: &Config) -> String {
    match &arm.untrained {
        Some(untrained) => results::fingerprint_of(&json!(asked(config, untrained)).to_string()),
        None => results::fingerprint(config),
    }
}

/// Reads a finished evaluation and the arguments that it was made with.
fn kept(directory: &Path) -> Result<Option<Value>> {
    let path = directory.join(EVALUATION);
    if !path.exists() {
        return Ok(None);
    }
    let value =
        serde_json::from_str(&fs_err::read_to_string(&path)?).with_context(|| path.display().to_string())?;
    Ok(Some(value))
}

/// Plays the pretrained model of a configuration without training; a finished evaluation is not repeated.
fn evaluate(arguments: &cli::Study, config: &Config, untrained: &Untrained, directory: &Path) -> Result<()> {
    let asked = asked(config, untrained);
    if let Some(found) = kept(directory)? {
        if found["arguments"] != json!(asked) {
            bail!(
                "{} was evaluated with other arguments: choose another --dir, or use the same configuration",
                directory.display()
            );
        }
        return Ok(());
    }
    fs_err::create_dir_all(directory)?;
    let mut command = program()?;
    command.args(&asked).args(["--json", "--device", &arguments.device]);
    command.arg("--trace").arg(directory.join(EPISODES));
    if let Some(data) = arguments.data.as_deref() {
        command.arg("--data").arg(data);
    }
    let output = child(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
    if !output.status.success() {
        bail!("the untrained model could not be evaluated; see the message above");
    }
    let evaluation: Value = serde_json::from_slice(&output.stdout).context("the output of evaluate")?;
    let value = json!({ "arguments": asked, "evaluation": evaluation });
    replace_file(&directory.join(EVALUATION), &(serde_json::to_string_pretty(&value)? + "\n"))?;
    Ok(())
}

/// Arguments of the evaluation of an untrained model.
fn asked(config: &Config, untrained: &Untrained) -> Vec<String> {
    let mut asked = vec![
        "evaluate".to_owned(),
        config.model.from.clone().unwrap_or_default(),
        format!("--agent={}", untrained.agent),
        "--style=instruct".to_owned(),
        format!("--env={}", config.env.id),
        format!("--split={}", config.eval.split),
        format!("--examples={}", untrained.examples),
        format!("--slots={}", config.eval.slots),
        format!("--max-steps={}", config.env.max_steps),
    ];
    if config.eval.episodes > 0 {
        asked.push(format!("--episodes={}", config.eval.episodes));
    }
    asked
}
