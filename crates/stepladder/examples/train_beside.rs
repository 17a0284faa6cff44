//! Our half of `parity/train_speed`: exports the training data of two PyTorch loops, and runs the same training with our trainer.
//!
//! ```text
//! train_beside export DIRECTORY GAMES [household|alfworld]   plays the expert, writes case.json and params.safetensors
//! train_beside gradient DIRECTORY                            adds gradient.safetensors: the sum over an epoch
//! train_beside train DIRECTORY PARTS                         trains a part of an epoch for every line that it reads
//! ```
//! Official games need `STEPLADDER_DATA`.
#![allow(clippy::print_stdout)]
#![expect(clippy::disallowed_methods, reason = "the data root is named by the environment")]

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use stepladder_agent::AgentKind;
use stepladder_alfworld::{Alfworld, AlfworldCodec, AlfworldExpert, Households, noise};
use stepladder_algo::AlgoError;
use stepladder_algo::bc::{BcConfig, batches, plan_epoch, train};
use stepladder_algo::runtime::budget::Budget;
use stepladder_algo::runtime::observer::{Observer, StepReport};
use stepladder_algo::runtime::optimiser::AdamWConfig;
use stepladder_algo::runtime::plan::Mixture;
use stepladder_algo::runtime::schedule::Schedule;
use stepladder_algo::runtime::trainer::{Identity, Trainer};
use stepladder_algo::runtime::workers::Workers;
use stepladder_core::label::Perturb;
use stepladder_core::seed::Rng;
use stepladder_core::{Observation, Role};
use stepladder_data::batch::{Reduction, mass};
use stepladder_data::rows::{Span, merge, row, texts};
use stepladder_data::{Budgets, CompactWords, PromptEncoder, Row, Sample};
use stepladder_env::TaskSet;
use stepladder_model::checkpoint::{read_tensors, write_tensors};
use stepladder_model::{Device, Factors, Kind, Layout, ModelConfig, Params, Shape, Weights, device};
use stepladder_rollout::generator::{Blocking, ExpertGenerator};
use stepladder_rollout::scheduler::{Noise, Options};
use stepladder_rollout::{Job, Scheduler};

const SEED: u64 = 1;
/// As in `presets/alfworld-cpu.toml`.
const NOISE: f64 = 0.2;
const BATCH_TOKENS: usize = 1536;
const OPTIMISER: AdamWConfig =
    AdamWConfig { beta1: 0.9, beta2: 0.98, eps: 1e-8, weight_decay: 0.05, clip: 1.0 };
const LEARNING_RATE: f64 = 1e-3;

struct WrongActions;

impl Perturb for WrongActions {
    fn perturb(&self, action: &str, seen: &Observation, rng: &mut Rng) -> Option<String> {
        noise::perturb(action, &seen.feedback, &seen.context, rng)
    }
}

fn shape() -> Shape {
    Shape {
        width: 128,
        layers: 4,
        heads: 4,
        kv_heads: 2,
        ffn: 352,
        max_positions: 1024,
        rope_theta: 10_000.0,
        norm_eps: 1e-5,
        tied: true,
    }
}

/// Returns the samples of one clean and one noisy pass of the expert, as in the presets.
fn samples(tasks: &dyn TaskSet, games: usize) -> Result<Vec<Sample>> {
    let mut keys = tasks.tasks("train")?;
    // Spread over the split: neighbours in the official order are variations of one task.
    let stride = (keys.len() / games.max(1)).max(1);
    keys = keys.into_iter().step_by(stride).take(games).collect();
    let mut samples = Vec::new();
    for pass in 0..2 {
        let jobs: Vec<Job> = keys.iter().map(|task| Job::sampled(task, pass)).collect();
        let options = Options {
            seed: SEED,
            slots: 256,
            noise: (pass > 0).then_some(Noise { probability: NOISE, perturb: &WrongActions }),
            ..Options::greedy(AgentKind::StepHrl)
        };
        let mut expert = Blocking::new(ExpertGenerator::new(AlfworldExpert::default(), "expert"));
        let episodes = Scheduler::new(tasks, &mut expert, options).run(&jobs, |_| ())?;
        for episode in episodes.iter().filter(|episode| episode.won) {
            samples.extend(stepladder_data::samples::samples(AgentKind::StepHrl.into(), episode)?);
        }
    }
    Ok(samples)
}

fn export(directory: &Path, games: usize, env: &str) -> Result<()> {
    let tasks: Box<dyn TaskSet> = match env {
        "household" => Box::new(Households::default()),
        "alfworld" => {
            let root = std::env::var_os("STEPLADDER_DATA").context("STEPLADDER_DATA is not set")?;
            Box::new(Alfworld::new(Path::new(&root), Default::default()))
        }
        _ => bail!("unknown environment `{env}`"),
    };
    let bare = CompactWords::new(Arc::new(AlfworldCodec), Budgets::default());
    let samples = samples(&*tasks, games)?;
    let words = texts(&samples, &bare);
    let encoder = bare.with_words(words.iter().map(String::as_str));
    let factors = Factors::collect(encoder.words(), |word| encoder.factors(word));
    let config = ModelConfig::new(shape(), encoder.vocab(), factors.len())?;
    let params = Params::init(&config, SEED, Device::Cpu);
    let rows: Vec<Value> = samples
        .iter()
        .map(|sample| {
            let row = row(sample, &encoder)?;
            Ok(json!([row.role as usize, row.ids, row.replies[0].start, row.replies[0].len]))
        })
        .collect::<Result<_>>()?;
    let case = json!({
        "env": env,
        "games": games,
        "shape": shape(),
        "vocab": encoder.vocab(),
        "factors": factors,
        "pad": encoder.pad(),
        "batch_tokens": BATCH_TOKENS,
        "optimiser": OPTIMISER,
        "learning_rate": LEARNING_RATE,
        "rows": rows,
    });
    fs_err::create_dir_all(directory)?;
    fs_err::write(directory.join("case.json"), case.to_string())?;
    save(&directory.join("params.safetensors"), &params)?;
    println!("{} samples", samples.len());
    Ok(())
}

fn save(path: &Path, params: &Params) -> Result<()> {
    let entries = &params.layout.entries;
    let tensors: Vec<_> =
        entries.iter().filter_map(|entry| Some((entry.name.clone(), params.get(&entry.name)?))).collect();
    Ok(write_tensors(path, &tensors)?)
}

/// Content of an export: merged rows and a fresh trainer.
struct Case {
    rows: Vec<Row>,
    trainer: Trainer,
}

fn load(directory: &Path) -> Result<Case> {
    let case: Value = serde_json::from_str(&fs_err::read_to_string(directory.join("case.json"))?)?;
    let factors: Factors = serde_json::from_value(case["factors"].clone())?;
    let vocab = case["vocab"].as_u64().context("vocab")? as usize;
    let config = ModelConfig::new(serde_json::from_value(case["shape"].clone())?, vocab, factors.len())?;
    let params = Params::zeros(Layout::new(&config), Device::Cpu);
    for (name, values) in read_tensors(&directory.join("params.safetensors"))? {
        params.get(&name).with_context(|| name.clone())?.copy_(&values);
    }
    let samples: Vec<(usize, Vec<u32>, u32, u32)> = serde_json::from_value(case["rows"].clone())?;
    let rows = samples
        .into_iter()
        .map(|(role, ids, start, len)| Row {
            role: Role::ALL[role],
            ids,
            replies: vec![Span { start, len }],
            prompts: Vec::new(),
            weight: 1.0,
        })
        .collect();
    let identity = Identity { agent: String::new(), style: String::new(), data: String::new(), base: None };
    let trainer =
        Trainer::new(Weights::new(params, BTreeMap::new())?.with_factors(factors)?, OPTIMISER, identity);
    Ok(Case { rows: merge(rows), trainer })
}

fn config() -> BcConfig {
    BcConfig {
        learning_rate: LEARNING_RATE,
        schedule: Schedule::Constant,
        warmup: 0.0,
        floor: 1.0,
        reduction: Reduction::TokenMean,
        mixture: Mixture::Pooled,
        batch_tokens: BATCH_TOKENS,
        batch_rows: 16,
        planner_every: 4,
        budget: Budget::Epochs(f64::MAX),
        group_rows: 0,
        ..BcConfig::default()
    }
}

fn workers(trainer: &Trainer) -> Workers {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    Workers::cloning(count, &trainer.weights, Kind::Float)
}

/// Writes loss and gradient of all samples at the initial parameters, with equal weight for every reply token.
fn gradient(directory: &Path) -> Result<()> {
    let Case { rows, trainer } = load(directory)?;
    let (config, pool) = (config(), workers(&trainer));
    let scale = 1.0 / rows.iter().map(|row| mass(row, config.reduction)).sum::<f64>();
    let mut loss = 0.0;
    let mut total = Params::zeros(trainer.weights.trained.layout.clone(), Device::Cpu);
    for group in plan_epoch(&config, &rows, SEED, 0) {
        let scaled = group.iter().map(|&index| (&rows[index], scale)).collect();
        let batches = batches(&config, scaled, pool.count(), pool.passes());
        let (scored, gradient) = pool.gradient(&trainer.weights.trained, batches, 0)?;
        loss += scored.iter().map(|shard| shard.loss).sum::<f64>();
        total.buffer = total.buffer + gradient;
    }
    save(&directory.join("gradient.safetensors"), &total)?;
    println!("{}", json!({ "loss": loss }));
    Ok(())
}

/// Observer that waits for a line at the end of every part of an epoch and prints the duration of the part.
struct Parts<'a> {
    /// Tokens of the samples up to every step of the measured epoch.
    tokens: Vec<f64>,
    /// Steps per part.
    part: usize,
    begun: usize,
    seconds: f64,
    rows: &'a [Row],
    config: &'a BcConfig,
}

impl Parts<'_> {
    fn of(&self, epoch: u64) -> Vec<f64> {
        let real = |&index: &usize| f64::from(self.rows[index].weight) * self.rows[index].ids.len() as f64;
        plan_epoch(self.config, self.rows, SEED, epoch)
            .iter()
            .map(|group| group.iter().map(real).sum())
            .collect()
    }

    fn wait(&self) -> bool {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).is_ok_and(|read| read > 0)
    }
}

impl Observer for Parts<'_> {
    fn on_step(&mut self, trainer: &Trainer, report: &StepReport) -> Result<(), AlgoError> {
        let cursor = trainer.counters.cursor as usize;
        if cursor < self.tokens.len() && cursor < self.begun + self.part {
            return Ok(());
        }
        let tokens: f64 = self.tokens[self.begun..cursor].iter().sum();
        let seconds = report.seconds - self.seconds;
        println!(
            "{}",
            json!({ "seconds": seconds, "tokens": tokens, "steps": cursor - self.begun, "loss": report.loss })
        );
        let _ = std::io::stdout().flush();
        (self.begun, self.seconds) = (cursor, report.seconds);
        if cursor == self.tokens.len() {
            self.begun = 0;
            self.tokens = self.of(trainer.counters.epoch + 1);
        }
        if self.wait() { Ok(()) } else { Err(AlgoError::Observer("the input is closed".to_owned())) }
    }
}

fn train_parts(directory: &Path, parts: usize) -> Result<()> {
    let Case { rows, mut trainer } = load(directory)?;
    let config = config();
    let pool = workers(&trainer);
    let mut observer =
        Parts { tokens: Vec::new(), part: 0, begun: 0, seconds: 0.0, rows: &rows, config: &config };
    observer.tokens = observer.of(0);
    observer.part = observer.tokens.len().div_ceil(parts.max(1));
    println!("{}", json!({ "rows": rows.len(), "steps": observer.tokens.len() }));
    if observer.wait() {
        // The process ends when the input ends.
        let _ = train(&config, &rows, SEED, &mut trainer, &pool, &AtomicBool::new(false), &mut observer);
    }
    Ok(())
}

fn main() -> Result<()> {
    device::one_thread_each();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let texts: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *texts.as_slice() {
        ["export", directory, games] => export(&PathBuf::from(directory), games.parse()?, "alfworld"),
        ["export", directory, games, env] => export(&PathBuf::from(directory), games.parse()?, env),
        ["gradient", directory] => gradient(&PathBuf::from(directory)),
        ["train", directory, parts] => train_parts(&PathBuf::from(directory), parts.parse()?),
        _ => bail!(
            "usage: train_beside export DIRECTORY GAMES [ENV] | gradient DIRECTORY | train DIRECTORY PARTS"
        ),
    }
}
