//! The toy environment of the online tests, and a policy that is right half the time.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::common::shape;
use stepladder_agent::{AgentKind, AgentSpec};
use stepladder_algo::AlgoError;
use stepladder_algo::bc::{self, BcConfig};
use stepladder_algo::himac::{Himac, HimacConfig, Phases, Selection};
use stepladder_algo::online::reward::Reward;
use stepladder_algo::online::rollouts::{Rollouts, Sampled};
use stepladder_algo::online::{Method, OnlineConfig, train};
use stepladder_algo::runtime::budget::Budget;
use stepladder_algo::runtime::counters::Counters;
use stepladder_algo::runtime::observer::{Ending, Observer, StepReport};
use stepladder_algo::runtime::optimiser::{AdamW, AdamWConfig};
use stepladder_algo::runtime::plan::Mixture;
use stepladder_algo::runtime::schedule::Schedule;
use stepladder_algo::runtime::trainer::{Identity, Trainer};
use stepladder_algo::runtime::workers::Workers;
use stepladder_core::blueprint::{write, write_micro};
use stepladder_core::codec::Plain;
use stepladder_core::trace::Episode;
use stepladder_core::{End, Observation, Query, Start, Step, TaskKey};
use stepladder_data::batch::Reduction;
use stepladder_data::rows::{row, texts};
use stepladder_data::{Budgets, CompactWords, PromptEncoder, Sample as Demonstrated};
use stepladder_env::{Env, EnvError, EnvSpec, TaskSet};
use stepladder_model::checkpoint::{BaseId, Bases, WEIGHTS, save};
use stepladder_model::engine::Memory;
use stepladder_model::{Factors, LocalSource, Lora, ModelConfig, Shape, Weights};
use tch::{Device, Kind};

pub(crate) const SPEC: EnvSpec = EnvSpec {
    id: "echo",
    summary: "say what is shown",
    version: 1,
    upstream: "none",
    data_licence: "none",
    splits: &["all"],
    max_steps: 4,
    reward_range: (0.0, 1.0),
    score_range: None,
    deterministic: true,
};
pub(crate) const WORDS: [&str; 3] = ["red", "green", "blue"];
pub(crate) const LIMIT: u32 = 4;
pub(crate) static NEVER: AtomicBool = AtomicBool::new(false);

/// Shows a word and pays 1 if the action is that word; four words per episode. Task `broken` fails at its second step.
pub(crate) struct Echo {
    number: usize,
    step: usize,
    broken: bool,
}

impl Echo {
    fn shown(&self) -> &'static str {
        WORDS[(self.number / 3usize.pow(self.step as u32 % 3) + self.step) % 3]
    }
}

impl Env for Echo {
    fn spec(&self) -> &EnvSpec {
        &SPEC
    }
    fn reset(&mut self, task: &TaskKey, _seed: u64) -> Result<Start, EnvError> {
        self.broken = task.id == "broken";
        self.number = task.id.parse().unwrap_or(0);
        self.step = 0;
        let text = self.shown().to_owned();
        Ok(Start { text, task: "echo".into(), context: String::new(), family: "echo".into() })
    }
    fn step(&mut self, action: &str) -> Result<Step, EnvError> {
        if self.broken && self.step == 1 {
            return Err(EnvError::Backend { env: "echo", reason: "lost its voice".into() });
        }
        let right = action == self.shown();
        self.step += 1;
        Ok(Step {
            observation: self.shown().to_owned(),
            reward: f64::from(u8::from(right)),
            won: right,
            unknown_action: !WORDS.contains(&action),
            context: None,
            end: (self.step >= LIMIT as usize).then_some(End::Truncated),
        })
    }
}

pub(crate) struct Echoes;

impl TaskSet for Echoes {
    fn spec(&self) -> &EnvSpec {
        &SPEC
    }
    fn tasks(&self, _split: &str) -> Result<Vec<TaskKey>, EnvError> {
        Ok((0..27).map(|number| TaskKey::new("echo", "all", number.to_string())).collect())
    }
    fn make(&self) -> Result<Box<dyn Env>, EnvError> {
        Ok(Box::new(Echo { number: 0, step: 0, broken: false }))
    }
}

pub(crate) fn observation(word: &str) -> Observation {
    Observation { feedback: word.into(), context: String::new() }
}

/// The right action as often as both others together, so that the cloned policy is right half the time.
pub(crate) fn demonstrations() -> Vec<Demonstrated> {
    let mut samples = Vec::new();
    for seen in WORDS {
        for plan in WORDS {
            samples.push(Demonstrated {
                query: Query::Macro { task: "echo".into(), observation: observation(seen) },
                reply: write(&[plan]),
            });
            for action in WORDS.into_iter().chain([seen]) {
                samples.push(Demonstrated {
                    query: Query::Micro {
                        task: "echo".into(),
                        blueprint: vec![plan.into()],
                        active: 0,
                        history: vec![],
                        observation: observation(seen),
                    },
                    reply: write_micro(Some(action), false),
                });
            }
        }
        for (action, before) in WORDS
            .into_iter()
            .chain([seen])
            .flat_map(|action| ["", "red", "green", "blue"].map(|before| (action, before)))
        {
            samples.push(Demonstrated {
                query: Query::Flat {
                    task: "echo".into(),
                    context: String::new(),
                    history: vec![(before.into(), seen.into())],
                },
                reply: action.into(),
            });
        }
    }
    samples
}

pub(crate) struct Fixture {
    pub(crate) encoder: Arc<CompactWords>,
}

pub(crate) struct Curve(pub(crate) Vec<f64>, pub(crate) Vec<(f64, f64)>);

impl Observer for Curve {
    fn on_step(&mut self, _trainer: &Trainer, report: &StepReport) -> Result<(), AlgoError> {
        let value =
            |name: &str| report.extra.iter().find(|(known, _)| *known == name).map_or(f64::NAN, |(_, v)| *v);
        self.0.push(value("train/return"));
        self.1.push((value("logprob_gap"), value("logprob_gap_max")));
        Ok(())
    }
}

/// Counts iterations and keeps warnings.
pub(crate) struct Heard {
    pub(crate) steps: usize,
    pub(crate) warnings: Vec<String>,
}

impl Observer for Heard {
    fn on_step(&mut self, _trainer: &Trainer, _report: &StepReport) -> Result<(), AlgoError> {
        self.steps += 1;
        Ok(())
    }

    fn on_warning(&mut self, text: &str) {
        self.warnings.push(text.to_owned());
    }
}

pub(crate) const ADAM: AdamWConfig =
    AdamWConfig { beta1: 0.9, beta2: 0.98, eps: 1e-8, weight_decay: 0.0, clip: 1.0 };

impl Fixture {
    /// Every task once, sampled.
    pub(crate) fn played(&self, trainer: &Trainer, agent: AgentSpec) -> Vec<Episode> {
        let pool = Echoes.tasks("all").unwrap();
        let jobs = stepladder_rollout::Job::each(&pool);
        let sampled = Sampled { temperature: 1.0, only: None };
        self.rollouts(&pool, 1, agent).play(trainer, &jobs, sampled, 0).unwrap().0
    }

    pub(crate) fn new() -> Self {
        let bare = CompactWords::new(Arc::new(Plain), Budgets::default());
        let words: Vec<String> = texts(&demonstrations(), &bare);
        Self { encoder: Arc::new(bare.with_words(words.iter().map(String::as_str))) }
    }

    fn shape(&self) -> ModelConfig {
        let shape = Shape { width: 32, norm_eps: 1e-5, ..shape() };
        ModelConfig::new(shape, self.encoder.vocab(), 0).unwrap()
    }

    /// A policy with well-formed replies that is right half the time.
    pub(crate) fn warm(&self) -> Trainer {
        let factors = Factors { names: vec![], of_word: vec![vec![]; self.encoder.vocab()] };
        let weights = Weights::init(&self.shape(), 1, Device::Cpu).with_factors(factors).unwrap();
        self.cloned(weights, None, 150)
    }

    /// The same as adapters over a pretrained model, a random one in `folder`.
    pub(crate) fn warm_adapters(&self, folder: &Path, bases: &Bases) -> Trainer {
        if !folder.join(WEIGHTS).exists() {
            let weights = Weights::init(&self.shape(), 1, Device::Cpu);
            // Vectors of the length of pretrained ones; adapters do not reach the output matrix.
            let _ = weights.get("embed.own").unwrap().g_mul_scalar_(25.0);
            save(folder, &weights, &*self.encoder).unwrap();
        }
        let id = BaseId::read(folder).unwrap();
        let lora = Lora { rank: 8, alpha: 16.0, ..Lora::default() };
        let weights = bases.get(&id, Device::Cpu).unwrap().with_lora(&lora, 1).unwrap();
        self.cloned(weights, Some(id), 200)
    }

    /// Clones the demonstrations; the counters and the optimiser begin anew.
    fn cloned(&self, weights: Weights, base: Option<BaseId>, steps: u64) -> Trainer {
        // As in a run.
        let group_rows = if base.is_some() { 8 } else { 0 };
        let identity = Identity { agent: "t".into(), style: "t".into(), data: "t".into(), base };
        let mut trainer = Trainer::new(weights, ADAM, identity);
        let rows: Vec<_> =
            demonstrations().iter().map(|sample| row(sample, &*self.encoder).unwrap()).collect();
        let config = BcConfig {
            learning_rate: 1e-2,
            schedule: Schedule::Cosine,
            warmup: 0.1,
            floor: 0.1,
            reduction: Reduction::RowMean,
            mixture: Mixture::Pooled,
            batch_tokens: 4096,
            batch_rows: 1,
            planner_every: 1,
            budget: Budget::Steps(steps),
            group_rows,
            ..BcConfig::default()
        };
        let workers = Workers::cloning(1, &trainer.weights, Kind::Float);
        let stop = AtomicBool::new(false);
        bc::train(&config, &rows, 1, &mut trainer, &workers, &stop, &mut Curve(vec![], vec![])).unwrap();
        trainer.counters = Counters::start();
        trainer.optimiser = AdamW::new(ADAM, &trainer.weights.trained.buffer);
        trainer
    }

    pub(crate) fn rollouts<'a>(&self, pool: &'a [TaskKey], workers: usize, agent: AgentSpec) -> Rollouts<'a> {
        Rollouts {
            tasks: &Echoes,
            pool,
            encoder: self.encoder.clone(),
            generators: Arc::new(LocalSource::new(Device::Cpu, workers, Memory::on(Device::Cpu))),
            limit: LIMIT,
            slots: 100,
            stop_strings: None,
            workers,
            passes: Kind::Float.into(),
            seed: 3,
            agent,
            expert: None,
            stop: &NEVER,
        }
    }
}

pub(crate) fn flat() -> AgentSpec {
    AgentSpec { history: Some(1), ..AgentSpec::from(AgentKind::Flat) }
}

/// Reads its whole history: each prompt begins with the one before and its reply.
pub(crate) fn whole_history() -> AgentSpec {
    AgentSpec { history: None, ..flat() }
}

pub(crate) fn best() -> Himac {
    Himac {
        selection: Selection::Best,
        coevolution: true,
        phases: Phases::Both,
        config: HimacConfig::default(),
    }
}

pub(crate) fn himac() -> AgentSpec {
    AgentSpec { history: Some(0), ..AgentSpec::from(AgentKind::Himac) }
}

pub(crate) fn config(iterations: f64) -> OnlineConfig {
    OnlineConfig {
        tasks_per_iteration: 6,
        group: 6,
        reward: Reward::Return,
        mini_batch: 48,
        batch_tokens: 512,
        learning_rate: 2e-3,
        budget: Budget::Epochs(iterations),
        ..OnlineConfig::default()
    }
}

pub(crate) fn learn(
    fixture: &Fixture,
    trainer: &mut Trainer,
    method: &mut dyn Method,
    agent: AgentSpec,
    config: &OnlineConfig,
) -> Curve {
    let pool = Echoes.tasks("all").unwrap();
    let reference = trainer.weights.trained.buffer.copy();
    let mut curve = Curve(vec![], vec![]);
    let ending =
        train(method, config, &fixture.rollouts(&pool, 1, agent), trainer, &reference, &mut curve).unwrap();
    assert_eq!(ending, Ending::Complete);
    curve
}
