//! `trainer.json`: the state without tensors, and the checksum of every file of the checkpoint, itself included.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stepladder_model::checkpoint::BaseId;
use stepladder_model::{Factors, ModelConfig};

use super::error::fail;
use crate::AlgoError;
use crate::runtime::counters::Counters;

pub(super) const STATE: &str = "trainer.json";
/// Version of the trainer state's format.
///
/// * 1: `trainer.safetensors` contains all parameters, `model.safetensors` a copy for other programs; no checksums
/// * 2: `model.safetensors` contains the weights, `trainer.safetensors` only the parts of factored embeddings; checksums of
///   all files
pub const VERSION: u32 = 2;
/// Version with all parameters in `trainer.safetensors`.
pub(super) const FULL_COPY: u32 = 1;

const REMEDY: &str = "restore it from an intact copy, or use another checkpoint";

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) version: u32,
    #[serde(rename = "progress")]
    pub(super) counters: Counters,
    pub(super) model: ModelConfig,
    pub(super) factors: Factors,
    /// Names of the frozen parameters.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) frozen: BTreeSet<String>,
    pub(super) agent: String,
    pub(super) style: String,
    pub(super) data: String,
    /// Pretrained model that the policy was trained from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) base: Option<BaseId>,
    pub(super) optimiser_steps: u64,
    /// Steps of the optimiser of HiMAC's phase B, if it has its own state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) adapt_optimiser_steps: Option<u64>,
    /// Optimiser steps of each network other than the policy, by `NAME_steps`.
    #[serde(flatten)]
    pub(super) net_steps: BTreeMap<String, u64>,
    /// SHA-256 of every other file, in hexadecimal.
    #[serde(default)]
    pub(super) files: BTreeMap<String, String>,
    /// SHA-256 of this file with an empty string in this field.
    #[serde(default)]
    pub(super) checksum: String,
}

/// Fields common to all versions.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn of_file(path: &Path) -> std::io::Result<String> {
    Ok(hex(&Sha256::digest(fs_err::read(path)?)))
}

fn unreadable(path: &Path, error: &std::io::Error) -> AlgoError {
    match error.kind() {
        ErrorKind::NotFound => fail(path, format!("this file of the checkpoint is missing; {REMEDY}")),
        _ => fail(path, error),
    }
}

fn changed(path: &Path) -> AlgoError {
    fail(path, format!("damaged or edited since it was saved (its SHA-256 differs); {REMEDY}"))
}

/// Returns the checksum field as written in the file.
fn field(checksum: &str) -> String {
    format!("\"checksum\": \"{checksum}\"")
}

impl State {
    /// Writes the state into a checkpoint directory that already contains all other files.
    pub(super) fn write(mut self, directory: &Path) -> Result<(), AlgoError> {
        for entry in fs_err::read_dir(directory).map_err(|error| fail(directory, error))? {
            let entry = entry.map_err(|error| fail(directory, error))?;
            let sum = of_file(&entry.path()).map_err(|error| fail(&entry.path(), error))?;
            self.files.insert(entry.file_name().to_string_lossy().into_owned(), sum);
        }
        let path = directory.join(STATE);
        let text = serde_json::to_string_pretty(&self).map_err(|error| fail(&path, error))? + "\n";
        let sum = hex(&Sha256::digest(&text));
        fs_err::write(&path, text.replacen(&field(""), &field(&sum), 1)).map_err(|error| fail(&path, error))
    }

    /// Reads the state and verifies all checksums.
    pub(super) fn read(directory: &Path) -> Result<Self, AlgoError> {
        let path = directory.join(STATE);
        let text = fs_err::read_to_string(&path).map_err(|error| unreadable(&path, &error))?;
        let Versioned { version } = serde_json::from_str(&text).map_err(|error| fail(&path, error))?;
        if ![FULL_COPY, VERSION].contains(&version) {
            let reason =
                format!("trainer state has version {version}; this program reads {FULL_COPY} and {VERSION}");
            return Err(fail(&path, reason));
        }
        let state: Self = serde_json::from_str(&text).map_err(|error| fail(&path, error))?;
        if version != FULL_COPY {
            let own = text.replacen(&field(&state.checksum), &field(""), 1);
            if hex(&Sha256::digest(&own)) != state.checksum {
                return Err(changed(&path));
            }
            for (name, expected) in &state.files {
                let path = directory.join(name);
                if of_file(&path).map_err(|error| unreadable(&path, &error))? != *expected {
                    return Err(changed(&path));
                }
            }
        }
        if !state.factors.fit(state.model.vocab) {
            return Err(fail(&path, "its `factors` do not fit its vocabulary"));
        }
        Ok(state)
    }
}
