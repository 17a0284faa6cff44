//! Measures cloning of a pretrained model with adapters on rows of STEP-HRL: rows and tokens per second, and peak memory.
//!
//! ```text
//! cloning_speed export MODEL FILE [SETTING=VALUE…]           plays the expert and writes its rows as JSON lines
//! cloning_speed train MODEL FILE [SETTING=VALUE…]            takes optimiser steps on these rows and prints one line of JSON
//! ```
//! MODEL is a directory with weights and tokenizer; `train` needs no tokenizer, and draws random weights on the device where there are
//! none beside `config.json`. Each line of FILE is `{"role", "ids", "start", "weight"}`: the reply is
//! everything from `start` on. Settings of `export`: env (household or alfworld, which needs `STEPLADDER_DATA`), games. Settings of
//! `train`: rows (of the file, 0 for all), tokens (of a step), group_rows, workers, device (cpu, cuda or cuda:N), dtype (f32 or bf16: of the frozen weights, and on a GPU of all products), rank, dropout, steps
//! (0 for the rest of an epoch), warmup (steps before the clock starts), recompute, micro_tokens, seed.
#![allow(clippy::print_stdout)]
#![expect(
    clippy::disallowed_methods,
    reason = "it measures time, and the data root is named by the environment"
)]

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};
use stepladder_agent::AgentKind;
use stepladder_alfworld::{Alfworld, AlfworldCodec, AlfworldExpert, Households};
use stepladder_algo::AlgoError;
use stepladder_algo::bc::{BcConfig, plan_epoch, train};
use stepladder_algo::runtime::budget::Budget;
use stepladder_algo::runtime::observer::{Observer, StepReport};
use stepladder_algo::runtime::optimiser::AdamWConfig;
use stepladder_algo::runtime::passes::Passes;
use stepladder_algo::runtime::trainer::{Identity, Trainer};
use stepladder_algo::runtime::workers::Workers;
use stepladder_core::Role;
use stepladder_data::instruct::Form;
use stepladder_data::rows::{Span, merge, row};
use stepladder_data::{Budgets, Instruct, PretrainedTokenizer, Row, Sample};
use stepladder_env::TaskSet;
use stepladder_model::checkpoint::{INDEX, WEIGHTS, load, read_config};
use stepladder_model::{Device, Kind, Lora, Weights, device};
use stepladder_rollout::generator::{Blocking, ExpertGenerator};
use stepladder_rollout::scheduler::Options;
use stepladder_rollout::{Job, Scheduler};

const SEED: u64 = 1;

/// Settings of the command line.
struct Settings(Vec<String>);

impl Settings {
    fn get<T: FromStr>(&self, name: &str, default: T) -> Result<T> {
        let found = self.0.iter().find_map(|text| text.strip_prefix(name)?.strip_prefix('='));
        found.map_or(Ok(default), |text| text.parse().map_err(|_| anyhow!("{name}={text} cannot be read")))
    }
}

/// Returns a line of `/proc/self/status` in MiB; 0 on other systems.
fn memory(name: &str) -> u64 {
    let text = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}

/// Returns the processor seconds of this process; 0 on systems other than Linux.
fn processor() -> f64 {
    let text = fs_err::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    // utime and stime, in hundredths of a second.
    fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>()
        / 100.0
}

/// Plays the expert of STEP-HRL once in tasks spread over the training split.
fn samples(tasks: &dyn TaskSet, games: usize) -> Result<Vec<Sample>> {
    let keys = tasks.tasks("train")?;
    let stride = (keys.len() / games.max(1)).max(1);
    let jobs: Vec<Job> = keys.iter().step_by(stride).take(games).map(|task| Job::sampled(task, 0)).collect();
    let options = Options { seed: SEED, slots: 64, ..Options::greedy(AgentKind::StepHrl) };
    let mut expert = Blocking::new(ExpertGenerator::new(AlfworldExpert::default(), "expert"));
    let episodes = Scheduler::new(tasks, &mut expert, options).run(&jobs, |_| ())?;
    let mut samples = Vec::new();
    for episode in episodes.iter().filter(|episode| episode.won) {
        samples.extend(stepladder_data::samples::samples(AgentKind::StepHrl.into(), episode)?);
    }
    Ok(samples)
}

fn export(model: &Path, file: &Path, settings: &Settings) -> Result<()> {
    let tasks: Box<dyn TaskSet> = match settings.get("env", "household".to_owned())?.as_str() {
        "household" => Box::new(Households::default()),
        "alfworld" => {
            let root = std::env::var_os("STEPLADDER_DATA").context("STEPLADDER_DATA is not set")?;
            Box::new(Alfworld::new(Path::new(&root), Default::default()))
        }
        other => bail!("unknown environment `{other}`"),
    };
    let tokenizer = PretrainedTokenizer::load(model)?;
    let encoder = Instruct::new(tokenizer, Arc::new(AlfworldCodec), Budgets::default(), Form::Chat)?;
    let samples = samples(&*tasks, settings.get("games", 20)?)?;
    let rows = samples.iter().map(|sample| Ok(row(sample, &encoder)?)).collect::<Result<Vec<Row>>>()?;
    let lines = merge(rows).into_iter().map(|row| {
        let Row { role, ids, replies, weight, .. } = row;
        json!({ "role": role.name(), "ids": ids, "start": replies[0].start, "weight": weight }).to_string()
    });
    fs_err::write(file, lines.collect::<Vec<_>>().join("\n") + "\n")?;
    println!("{}", json!({ "samples": samples.len() }));
    Ok(())
}

fn rows(file: &Path) -> Result<Vec<Row>> {
    let text = fs_err::read_to_string(file)?;
    let parse = |line: &str| -> Result<Row> {
        let value: Value = serde_json::from_str(line)?;
        let ids: Vec<u32> = serde_json::from_value(value["ids"].clone())?;
        let start = value["start"].as_u64().context("start")? as u32;
        let name = value["role"].as_str().context("role")?;
        let role = Role::ALL.into_iter().find(|role| role.name() == name).context("unknown role")?;
        let replies = vec![Span { start, len: ids.len() as u32 - start }];
        Ok(Row {
            role,
            ids,
            replies,
            prompts: Vec::new(),
            weight: value["weight"].as_f64().unwrap_or(1.0) as f32,
        })
    };
    text.lines().map(parse).collect()
}

/// Counts what the measured steps did.
struct Measured {
    warmup: u64,
    begun: Option<(Instant, f64)>,
    tokens_before: u64,
    tokens: u64,
    computed: f64,
    loss: f64,
}

impl Observer for Measured {
    fn on_step(&mut self, _trainer: &Trainer, report: &StepReport) -> Result<(), AlgoError> {
        if report.step == self.warmup {
            self.begun = Some((Instant::now(), processor()));
            self.tokens_before = report.tokens;
        } else if report.step > self.warmup {
            self.tokens = report.tokens - self.tokens_before;
            self.loss = report.loss;
            self.computed +=
                report.extra.iter().find(|(name, _)| *name == "computed_tokens").map_or(0.0, |(_, n)| *n);
        }
        Ok(())
    }
}

/// Reads a model, or draws it where there are no weights; all of it frozen.
fn opened(model: &Path, dtype: Kind, device: Device) -> Result<Weights> {
    let config = read_config(model)?;
    if ![WEIGHTS, INDEX].iter().any(|name| model.join(name).exists()) {
        return Ok(Weights::drawn_on(&config, SEED, (dtype, device))?);
    }
    let names = config.parameters().into_iter().map(|each| each.name).collect();
    Ok(load(model, &names, device)?.cast_frozen(dtype))
}

fn measure(model: &Path, file: &Path, settings: &Settings) -> Result<()> {
    let mut rows = rows(file)?;
    match settings.get("rows", 0)? {
        0 => {}
        count => rows.truncate(count),
    }
    let dtype = match settings.get("dtype", "f32".to_owned())?.as_str() {
        "f32" => Kind::Float,
        "bf16" => Kind::BFloat16,
        other => bail!("dtype={other} is neither f32 nor bf16"),
    };
    let lora =
        Lora { rank: settings.get("rank", 16)?, dropout: settings.get("dropout", 0.0)?, ..Lora::default() };
    // Before any other call of libtorch.
    let device = device::open(&settings.get("device", "cpu".to_owned())?)?;
    device::one_thread_each();
    let weights = opened(model, dtype, device)?.with_lora(&lora, SEED)?;
    let identity = Identity { agent: String::new(), style: String::new(), data: String::new(), base: None };
    let mut trainer = Trainer::new(weights, AdamWConfig::default(), identity);
    let passes = Passes {
        dtype: if device == Device::Cpu { Kind::Float } else { dtype },
        recompute: settings.get("recompute", false)?,
        micro_tokens: settings.get("micro_tokens", 0)?,
    };
    let (warmup, wanted): (u64, u64) = (settings.get("warmup", 1)?, settings.get("steps", 5)?);
    let mut config = BcConfig {
        batch_tokens: settings.get("tokens", 1536)?,
        group_rows: settings.get("group_rows", BcConfig::default().group_rows)?,
        ..BcConfig::default()
    };
    let seed = settings.get("seed", SEED)?;
    let plan = plan_epoch(&config, &rows, seed, 0);
    let steps = if wanted == 0 { (plan.len() as u64).saturating_sub(warmup) } else { wanted };
    config.budget = Budget::Steps(warmup + steps);
    if steps == 0 || plan.len() < (warmup + steps) as usize {
        bail!("{} rows make {} steps, fewer than warmup and steps", rows.len(), plan.len());
    }
    let trained: usize = plan[warmup as usize..(warmup + steps) as usize].iter().map(Vec::len).sum();
    let pool = Workers::new(
        settings.get("workers", 1)?,
        &trainer.weights,
        passes,
        stepladder_algo::runtime::score::weighted_nll,
    );
    let loaded = memory("VmHWM");
    let mut measured = Measured {
        warmup,
        begun: Some((Instant::now(), processor())),
        tokens_before: 0,
        tokens: 0,
        computed: 0.0,
        loss: 0.0,
    };
    train(&config, &rows, seed, &mut trainer, &pool, &AtomicBool::new(false), &mut measured)?;
    let (begun, before) = measured.begun.context("no step was taken")?;
    let (seconds, cpu) = (begun.elapsed().as_secs_f64(), processor() - before);
    let computed = if config.group_rows > 0 { measured.computed } else { measured.tokens as f64 };
    println!(
        "{}",
        json!({
            "rows": trained,
            "tokens": measured.tokens,
            "computed_tokens": computed,
            "steps": steps,
            "seconds": seconds,
            "processor_seconds": cpu,
            "rows_per_second": trained as f64 / seconds,
            "tokens_per_second": measured.tokens as f64 / seconds,
            "computed_tokens_per_second": computed / seconds,
            "rows_per_processor_second": trained as f64 / cpu,
            "loaded_mib": loaded,
            "peak_mib": memory("VmHWM"),
            "loss": measured.loss,
        })
    );
    Ok(())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [command, model, file, settings @ ..] = arguments.as_slice() else {
        bail!("usage: cloning_speed export|train MODEL FILE [SETTING=VALUE…]");
    };
    let (model, file, settings) = (Path::new(model), Path::new(file), Settings(settings.to_vec()));
    match command.as_str() {
        "export" => export(model, file, &settings),
        "train" => measure(model, file, &settings),
        other => bail!("unknown command `{other}`"),
    }
}
