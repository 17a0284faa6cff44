//! Stored results of a run: evaluations, and what training cost.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::config::Config;
use crate::directory::RunDir;
use crate::envs::Chosen;

/// Cost of training an agent and the agents that it started from.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) minutes: f64,
    /// Trained tokens in millions.
    pub(crate) mtokens: f64,
    /// A cap on minutes ended the training of one of them.
    pub(crate) capped: bool,
}

/// Reads the cost of a trained agent.
pub(crate) fn cost(run: &RunDir, config: &Config, agent: &str) -> Result<Cost> {
    let mut cost = Cost::default();
    let mut next = Some(agent);
    while let Some(name) = next {
        let path = run.agent(name).join("trained.json");
        let text = fs_err::read_to_string(&path)?;
        let training: Value = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        cost.minutes += training["seconds"].as_f64().unwrap_or(0.0) / 60.0;
        cost.mtokens += training["tokens"].as_f64().unwrap_or(0.0) / 1e6;
        cost.capped |= training["capped"] == true;
        next = config.agents.get(name).and_then(|configured| configured.from.as_deref());
    }
    Ok(cost)
}

/// Returns the name, without extension, of the files of an agent's evaluation on `target` (`ENV/SPLIT`).
pub(crate) fn stem(target: &str, constrained: bool) -> String {
    format!("{}{}", target.replace('/', "-"), if constrained { "-constrained" } else { "" })
}

/// Returns the name of the file with the seconds that an agent's evaluation took. They differ from run to run, unlike everything in
/// the evaluation itself.
pub(crate) fn timing(target: &str, constrained: bool) -> String {
    format!("{}.seconds", stem(target, constrained))
}

/// Returns the options of the environment that an evaluation names.
pub(crate) fn options(evaluation: &Value) -> Chosen {
    let options = evaluation["options"].as_object().into_iter().flatten();
    options.map(|(name, value)| (name.clone(), value.as_str().unwrap_or("?").to_owned())).collect()
}

/// Reads the evaluation of `agent` on `target` (`ENV/SPLIT`); refuses a file about another agent or target.
pub(crate) fn read(path: &Path, target: &str, agent: &str) -> Result<Value> {
    let place = || path.display().to_string();
    let value: Value = serde_json::from_str(&fs_err::read_to_string(path)?).with_context(place)?;
    let said = |name: &str| value[name].as_str().unwrap_or("?").to_owned();
    let about = format!("{}/{}", said("env"), said("split"));
    if about != target || said("agent") != agent {
        bail!(
            "{}: an evaluation of {} on {about}, not of {agent} on {target}; remove it and continue the run",
            place(),
            said("agent")
        );
    }
    let fraction = value["success"].as_f64().filter(|fraction| (0.0..=1.0).contains(fraction));
    if fraction.is_none() {
        bail!("{}: `success` is {}; expected a fraction from 0 to 1", place(), value["success"]);
    }
    Ok(value)
}
