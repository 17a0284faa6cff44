//! `model merge`: a pretrained model with trained adapters added to its matrices.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use stepladder_algo::runtime::checkpoint::latest;
use stepladder_model::Kind;
use stepladder_model::checkpoint::{self, ADAPTER_CONFIG, CONFIG};
use stepladder_train::directory::RunDir;
use stepladder_train::pretrained;

use super::super::{Usage, say};
use super::create;

/// Writes the merged model into a new directory, which appears when it is complete.
///
/// # Errors
/// One sentence with the file and the cause. Nothing is left behind.
pub(super) fn merge(
    adapter: &Path,
    agent: Option<&str>,
    (base, data_root): (Option<&str>, Option<&Path>),
    dtype: Option<&str>,
    directory: &Path,
) -> Result<()> {
    let adapter = locate(adapter, agent)?;
    let base = match base {
        Some(name) => pretrained::locate(name, data_root)?,
        None => named_base(&adapter, data_root)?,
    };
    let dtype = dtype.map(|dtype| if dtype == "bf16" { Kind::BFloat16 } else { Kind::Float });
    create(directory, |partial| Ok(checkpoint::merge(&base, &adapter, dtype, partial)?))?;
    say(format_args!(
        "{}: {} with the adapters of {}, a Hugging Face directory",
        directory.display(),
        base.display(),
        adapter.display()
    ));
    Ok(())
}

/// Returns the PEFT directory of a run's agent, or the directory itself.
fn locate(path: &Path, agent: Option<&str>) -> Result<PathBuf> {
    let found = if path.join("config.toml").exists() {
        let (run, config, _) = RunDir::open(path)?;
        let names: Vec<&str> = config.agents.keys().map(String::as_str).collect();
        let name = match (agent, &names[..]) {
            (Some(name), _) => {
                run.check_agent(&config, name)?;
                name
            }
            (None, [only]) => only,
            (None, _) => {
                let problem =
                    format!("{} trains {}: pass --agent with one of them", path.display(), names.join(", "));
                return Err(Usage(problem).into());
            }
        };
        latest(&run.agent(name).join("checkpoints"))
            .with_context(|| format!("{} has no checkpoint of {name} with all its roles", path.display()))?
    } else if let Some(agent) = agent {
        return Err(Usage(format!(
            "--agent {agent} selects an agent of a run, and {} is none",
            path.display()
        ))
        .into());
    } else {
        path.to_owned()
    };
    if found.join(ADAPTER_CONFIG).is_file() {
        return Ok(found);
    }
    if found.join(CONFIG).is_file() {
        bail!("{} has no adapters: it is a complete Hugging Face directory already", found.display());
    }
    bail!(
        "{} is no run (config.toml), no checkpoint and no PEFT directory ({ADAPTER_CONFIG})",
        found.display()
    )
}

/// Returns the pretrained model that adapters name.
fn named_base(adapter: &Path, data_root: Option<&Path>) -> Result<PathBuf> {
    let path = adapter.join(ADAPTER_CONFIG);
    let place = || path.display().to_string();
    let value: serde_json::Value =
        serde_json::from_str(&fs_err::read_to_string(&path)?).with_context(place)?;
    let name = value["base_model_name_or_path"].as_str();
    let name = name.with_context(|| format!("{} names no pretrained model: pass --base MODEL", place()))?;
    pretrained::locate(name, data_root)
        .with_context(|| format!("the model that {} names; pass --base MODEL", place()))
}
