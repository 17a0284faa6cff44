//! Stored evaluations of a run.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Returns the name, without extension, of the files of an agent's evaluation on `target` (`ENV/SPLIT`).
pub(crate) fn stem(target: &str, constrained: bool) -> String {
    format!("{}{}", target.replace('/', "-"), if constrained { "-constrained" } else { "" })
}

/// Returns the name of the file with the seconds that an agent's evaluation took. They differ from run to run, unlike everything in
/// the evaluation itself.
pub(crate) fn timing(target: &str, constrained: bool) -> String {
    format!("{}.seconds", stem(target, constrained))
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
