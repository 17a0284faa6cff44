//! `model show` and `model check`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use fs_err as fs;
use stepladder_model::checkpoint;
use stepladder_model::footprint::{BATCH, Footprint, RANK};
use stepladder_model::probe::check_logits;
use stepladder_model::{Device, Kind, ModelConfig};
use stepladder_train::memory;
use stepladder_train::pretrained::Examined;

use super::super::say;

/// Text whose logits must be finite.
const PROBE: &str = "You are in a kitchen. What do you do next?";

/// Prints what is known of a model without loading it.
pub(super) fn show(directory: &Path) -> Result<()> {
    let (config, sizes) = (checkpoint::read_config(directory)?, checkpoint::sizes(directory)?);
    describe(directory, &config, &sizes)
}

/// Prints the same, and checks weights, tokenizer and chat template: first what needs no weights, then a forward pass.
pub(super) fn check(directory: &Path) -> Result<()> {
    let Examined { config, sizes, tokenizer, .. } = Examined::read(directory, None)?;
    memory::enough_to_load(directory, config.bytes_in_f32())?;
    let frozen: BTreeSet<String> = config.parameters().into_iter().map(|parameter| parameter.name).collect();
    let weights = checkpoint::load(directory, &frozen, Device::Cpu)?;
    let weights = weights.with_tokens(tokenizer.vocab())?.cast_frozen(Kind::Float);
    check_logits(&weights, &[tokenizer.prefix(), &tokenizer.encode(PROBE)].concat())
        .with_context(|| directory.display().to_string())?;
    describe(directory, &config, &sizes)?;
    say("weights and tokenizer load, and logits are finite: the model can be used");
    Ok(())
}

fn describe(directory: &Path, config: &ModelConfig, sizes: &BTreeMap<String, u64>) -> Result<()> {
    let shape = &config.shape;
    let dtypes: Vec<&str> = sizes.keys().map(String::as_str).collect();
    let footprint = Footprint::estimate(config, sizes.values().sum());
    let (files, bytes) = files(directory)?;
    let megabytes = |bytes: u64| format!("{} MB", grouped((bytes + 500_000) / 1_000_000));
    let count = |value: i64| grouped(u64::try_from(value).unwrap_or_default());
    say(format_args!(
        "architecture: {}, {} layers of width {}, {} heads of {} over {}, {} head",
        config.architecture.family.class(),
        shape.layers,
        shape.width,
        shape.heads,
        config.head_dim(),
        shape.kv_heads,
        if shape.tied { "tied" } else { "separate" }
    ));
    say(format_args!("parameters:   {}", count(config.parameter_count())));
    say(format_args!("dtype:        {}", dtypes.join(", ")));
    say(format_args!("vocabulary:   {}", count(config.vocab)));
    say(format_args!("context:      {} tokens", count(shape.max_positions)));
    say(format_args!("files:        {}; {}", files.join(", "), megabytes(bytes)));
    say("memory, estimated:");
    say(format_args!("  inference:     {} (one sequence of full length)", megabytes(footprint.inference)));
    let batch = grouped(BATCH);
    say(format_args!(
        "  LoRA:          {} (rank {RANK}, batches of {batch} tokens)",
        megabytes(footprint.lora)
    ));
    say(format_args!("  full training: {} (batches of {batch} tokens)", megabytes(footprint.full)));
    Ok(())
}

/// Lists the files of a directory, sorted, and their size in bytes.
fn files(directory: &Path) -> Result<(Vec<String>, u64)> {
    let (mut names, mut bytes) = (Vec::new(), 0);
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        // Downloads are often links into a cache.
        let about = fs::metadata(entry.path())?;
        if about.is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
            bytes += about.len();
        }
    }
    names.sort();
    Ok((names, bytes))
}

/// Formats a number with commas between groups of three digits.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
