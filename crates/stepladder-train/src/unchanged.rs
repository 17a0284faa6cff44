//! Checks that a continued run has the configuration and the demonstrations that it started with.

use std::io::Read;
use std::path::{Path, PathBuf};
use stepladder_env::names::shorten;

use anyhow::Context;
use sha2::{Digest, Sha256};

use super::directory::{RunDir, RunInfo, Settings, replace_file};
use crate::config::{self, Config};
use crate::error::{Result, bail};

/// Keys that may change between the sessions of a run: they do not affect training, or only in the last bits (`threads`), which
/// causes a warning.
const FREE: [&str; 10] = [
    "threads",
    "eval.slots",
    "eval.prefix_mib",
    "eval.remembered_tokens",
    "eval.constrained",
    "eval.final",
    "eval.transfer",
    "log.every_seconds",
    "log.checkpoint_seconds",
    "log.keep",
];

/// Returns the values that a continuation must not change.
pub(crate) fn settings(config: &Config) -> Settings {
    let all = config::effective(config).into_iter();
    all.filter(|(key, _)| !FREE.contains(&key.as_str()))
        .map(|(key, value)| (key, config::inline(&value)))
        .collect()
}

/// Checks that the configuration is that of the start of the run.
///
/// Runs of older versions recorded only their seed.
pub(crate) fn check_settings(run: &RunDir, config: &Config, info: &RunInfo) -> Result<()> {
    let now = settings(config);
    let recorded = info.settings.clone().unwrap_or_else(|| {
        Settings::from_iter(now.clone().into_iter().chain([("seed".to_owned(), info.seed.to_string())]))
    });
    let then: Settings = recorded.into_iter().map(|(key, value)| (config::current(key), value)).collect();
    // Earlier versions lacked some keys.
    let value =
        |settings: &Settings, key: &str| settings.get(key).cloned().or_else(|| config::earlier_text(key));
    let said = |settings: &Settings, key: &str| match value(settings, key) {
        Some(value) => shorten(&value),
        None => "absent".to_owned(),
    };
    let mut keys: Vec<&String> = then.keys().chain(now.keys()).collect();
    keys.sort();
    keys.dedup();
    let changed: Vec<String> = keys
        .into_iter()
        .filter(|key| value(&then, key) != value(&now, key))
        .map(|key| format!("{key} is {}, was {}", said(&now, key), said(&then, key)))
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    bail!(
        "{}: the configuration was changed since the run was started: {}; put it back as it was, or start a new run (only {} may change)",
        run.root.join("config.toml").display(),
        changed.join(", "),
        FREE.join(", ")
    )
}

/// Returns the path of the checksum of a file of episodes: `demonstrations.sha256` beside `demonstrations.jsonl.zst`.
fn checksum_file(episodes: &Path) -> PathBuf {
    episodes.with_extension("").with_extension("sha256")
}

/// Records the checksum of a run's episodes in the format of `sha256sum`.
pub(crate) fn record_episodes(path: &Path) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    replace_file(&checksum_file(path), &format!("{}  {name}\n", sha256(path)?))
}

/// Checks that episodes are those that the run started with. Records the checksum where there is none: in a run of an older version,
/// or after a kill in that moment.
pub(crate) fn check_episodes(path: &Path) -> Result<()> {
    let noted = checksum_file(path);
    if !noted.exists() {
        return record_episodes(path);
    }
    let text = fs_err::read_to_string(&noted)?;
    let expected = text.split_whitespace().next().unwrap_or_default();
    let found = sha256(path)?;
    if found != expected {
        bail!(
            "{} are not the demonstrations that this run began with: their SHA-256 is {found}, {} says {}; put them back, or remove the file to have the expert play again",
            path.display(),
            noted.display(),
            shorten(expected)
        );
    }
    Ok(())
}

fn sha256(path: &Path) -> Result<String> {
    let mut file = fs_err::File::open(path)?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut chunk).with_context(|| path.display().to_string())?;
        if read == 0 {
            break;
        }
        hash.update(&chunk[..read]);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
