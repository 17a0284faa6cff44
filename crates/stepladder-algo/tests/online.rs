//! Online methods on a toy environment: every method improves, masks isolate the roles, recorded log-probabilities equal
//! recomputed ones, and failures drop only the affected episodes.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use common::shape;
use stepladder_agent::{AgentKind, AgentSpec};
use stepladder_algo::AlgoError;
use stepladder_algo::bc::{self, BcConfig};
use stepladder_algo::gigpo::Gigpo;
use stepladder_algo::grpo::Grpo;
use stepladder_algo::himac::{Himac, Selection};
use stepladder_algo::online::reward::Reward;
use stepladder_algo::online::rollouts::{Rollouts, Sampled, group};
use stepladder_algo::online::samples::{Sample, merge, of_role};
use stepladder_algo::online::update::SurrogateWorkers;
use stepladder_algo::online::{Method, OnlineConfig, train};
use stepladder_algo::ops::surrogate::{Aggregate, SurrogateRule};
use stepladder_algo::ppo::{Ppo, ValueWorkers, value};
use stepladder_algo::runtime::checkpoint;
use stepladder_algo::runtime::observer::{Ending, Observer, StepReport};
use stepladder_algo::runtime::optimiser::{AdamW, AdamWConfig};
use stepladder_algo::runtime::plan::Mixture;
use stepladder_algo::runtime::progress::{Budget, Progress};
use stepladder_algo::runtime::schedule::Schedule;
use stepladder_algo::runtime::trainer::{Identity, Trainer};
use stepladder_algo::runtime::workers::Workers;
use stepladder_core::blueprint::{write, write_micro};
use stepladder_core::codec::Plain;
use stepladder_core::trace::Episode;
use stepladder_core::{End, Observation, Query, Role, Start, Step, TaskKey};
use stepladder_data::batch::Reduction;
use stepladder_data::rows::{row, texts};
use stepladder_data::{Budgets, CompactWords, PromptEncoder, Sample as Demonstrated};
use stepladder_env::{Env, EnvError, EnvSpec, TaskSet};
use stepladder_model::engine::Memory;
use stepladder_model::{Factors, GeneratorSource, LocalSource, ModelConfig, ModelError, Shape, Weights};
use stepladder_rollout::{Answer, GenerateError, Generator, Request};
use tch::{Device, Kind, Tensor};

const SPEC: EnvSpec = EnvSpec {
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
const WORDS: [&str; 3] = ["red", "green", "blue"];
const LIMIT: u32 = 4;
static NEVER: AtomicBool = AtomicBool::new(false);

/// Shows a word and pays 1 if the action is that word; four words per episode. Task `broken` fails at its second step.
struct Echo {
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

struct Echoes;

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

fn observation(word: &str) -> Observation {
    Observation { feedback: word.into(), context: String::new() }
}

/// The right action as often as both others together, so that the cloned policy is right half the time.
fn demonstrations() -> Vec<Demonstrated> {
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

struct Fixture {
    encoder: Arc<CompactWords>,
}

struct Curve(Vec<f64>, Vec<(f64, f64)>);

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
struct Heard {
    steps: usize,
    warnings: Vec<String>,
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

const ADAM: AdamWConfig = AdamWConfig { beta1: 0.9, beta2: 0.98, eps: 1e-8, weight_decay: 0.0, clip: 1.0 };

impl Fixture {
    /// Every task once, sampled.
    fn played(&self, trainer: &Trainer) -> Vec<Episode> {
        let pool = Echoes.tasks("all").unwrap();
        let jobs = stepladder_rollout::Job::each(&pool);
        let sampled = Sampled { temperature: 1.0, only: None };
        self.rollouts(&pool, 1, flat()).play(trainer, &jobs, sampled, 0).unwrap().0
    }

    fn new() -> Self {
        let bare = CompactWords::new(Arc::new(Plain), Budgets::default());
        let words: Vec<String> = texts(&demonstrations(), &bare);
        Self { encoder: Arc::new(bare.with_words(words.iter().map(String::as_str))) }
    }

    /// A policy with well-formed replies that is right half the time.
    fn warm(&self) -> Trainer {
        let shape = Shape { width: 32, norm_eps: 1e-5, ..shape() };
        let config = ModelConfig::new(shape, self.encoder.vocab(), 0).unwrap();
        let factors = Factors { names: vec![], of_word: vec![vec![]; self.encoder.vocab()] };
        let weights = Weights::init(&config, 1, Device::Cpu);
        let identity = Identity { agent: "t".into(), style: "t".into(), data: "t".into() };
        let mut trainer = Trainer::new(weights, factors, ADAM, identity);
        let rows: Vec<_> = demonstrations().iter().map(|sample| row(sample, &*self.encoder)).collect();
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
            budget: Budget::Steps(150),
            ..BcConfig::default()
        };
        let workers = Workers::cloning(1, &trainer.weights, &trainer.factors, Kind::Float);
        let stop = AtomicBool::new(false);
        bc::train(
            &config,
            &rows,
            (self.encoder.pad(), 1),
            &mut trainer,
            &workers,
            &stop,
            &mut Curve(vec![], vec![]),
        )
        .unwrap();
        trainer.progress = Progress::start();
        trainer.optimiser = AdamW::new(ADAM, &trainer.weights.trained.flat);
        trainer
    }

    fn rollouts<'a>(&self, pool: &'a [TaskKey], workers: usize, agent: AgentSpec) -> Rollouts<'a> {
        Rollouts {
            tasks: &Echoes,
            pool,
            encoder: self.encoder.clone(),
            generators: Arc::new(LocalSource::new(
                self.encoder.clone(),
                Device::Cpu,
                workers,
                Memory::on(Device::Cpu),
            )),
            limit: LIMIT,
            slots: 100,
            workers,
            dtype: Kind::Float,
            seed: 3,
            agent,
            stop: &NEVER,
        }
    }
}

fn flat() -> AgentSpec {
    AgentSpec { history: Some(1), ..AgentSpec::from(AgentKind::Flat) }
}

const BEST: Himac = Himac { selection: Selection::Best, coevolution: true };

fn himac() -> AgentSpec {
    AgentSpec { history: Some(0), ..AgentSpec::from(AgentKind::Himac) }
}

fn config(iterations: f64) -> OnlineConfig {
    OnlineConfig {
        tasks_per_iteration: 6,
        group: 6,
        reward: Reward::Return,
        mini_batch: 48,
        batch_tokens: 512,
        learning_rate: 2e-3,
        critic_learning_rate: 1e-3,
        budget: Budget::Epochs(iterations),
        ..OnlineConfig::default()
    }
}

fn learn(
    fixture: &Fixture,
    trainer: &mut Trainer,
    method: &mut dyn Method,
    agent: AgentSpec,
    config: &OnlineConfig,
) -> Curve {
    let pool = Echoes.tasks("all").unwrap();
    let reference = trainer.weights.trained.flat.copy();
    let mut curve = Curve(vec![], vec![]);
    let ending =
        train(method, config, &fixture.rollouts(&pool, 1, agent), trainer, &reference, &mut curve).unwrap();
    assert_eq!(ending, Ending::Complete);
    curve
}

#[test]
fn every_method_learns_to_say_what_is_shown() {
    let fixture = Fixture::new();
    let config = OnlineConfig { gae_lambda: 0.95, critic_learning_rate: 5e-3, ..config(16.0) };
    let cases: [(&str, Box<dyn Method>, AgentSpec); 7] = [
        ("grpo", Box::new(Grpo::Grpo), flat()),
        ("rloo", Box::new(Grpo::Rloo), flat()),
        ("gigpo", Box::new(Gigpo), flat()),
        ("ppo", Box::new(Ppo::default()), flat()),
        ("himac", Box::new(BEST), himac()),
        ("random", Box::new(Himac { selection: Selection::Random, ..BEST }), himac()),
        ("joint", Box::new(Himac { coevolution: false, ..BEST }), himac()),
    ];
    for (name, mut method, agent) in cases {
        let mut trainer = fixture.warm();
        let Curve(returns, gaps) = learn(&fixture, &mut trainer, &mut *method, agent, &config);
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        let (first, last) = (mean(&returns[..3]), mean(&returns[13..]));
        println!("{name}: return {first:.2} -> {last:.2} of 4");
        assert!(first < 3.3, "{name} began with {first}");
        assert!(last > first + 0.5 && last > 3.4, "{name}: {first} -> {last}");
        // Log-probabilities recorded while sampling equal those of the training pass.
        for (mean, most) in gaps {
            assert!(mean <= 1e-4 && most <= 1e-3, "{name}: {mean} {most}");
        }
    }
}

#[test]
fn a_run_continued_from_a_checkpoint_goes_on_as_if_nothing_had_happened() {
    let fixture = Fixture::new();
    let ppo = || -> Box<dyn Method> { Box::new(Ppo::default()) };
    let himac_method = || -> Box<dyn Method> { Box::new(BEST) };
    type Make<'a> = &'a dyn Fn() -> Box<dyn Method>;
    let cases: [(Make<'_>, AgentSpec); 2] = [(&ppo, flat()), (&himac_method, himac())];
    for (method, agent) in cases {
        let warm = fixture.warm();
        let reference = warm.weights.trained.flat.copy();
        let pool = Echoes.tasks("all").unwrap();
        let run = |trainer: &mut Trainer, iterations| {
            let (rollouts, mut curve) = (fixture.rollouts(&pool, 2, agent), Curve(vec![], vec![]));
            train(&mut *method(), &config(iterations), &rollouts, trainer, &reference, &mut curve).unwrap();
        };
        let mut whole = fixture.warm();
        run(&mut whole, 4.0);
        let mut half = warm;
        run(&mut half, 2.0);
        let folder = tempfile::tempdir().unwrap();
        let saved = checkpoint::save(folder.path(), &half, &*fixture.encoder, 1).unwrap();
        let mut resumed = checkpoint::load(&saved, ADAM, Device::Cpu).unwrap();
        run(&mut resumed, 4.0);
        let values = |tensor: &Tensor| Vec::<f32>::try_from(tensor).unwrap();
        assert_eq!(values(&resumed.weights.trained.flat), values(&whole.weights.trained.flat));
        assert_eq!(
            Progress { seconds: 0.0, ..resumed.progress.clone() },
            Progress { seconds: 0.0, ..whole.progress.clone() }
        );
        let nets = |trainer: &Trainer| -> Vec<(String, Vec<f32>)> {
            trainer.nets.iter().map(|(name, net)| (name.to_owned(), values(&net.params))).collect()
        };
        assert_eq!(nets(&resumed), nets(&whole));
        assert!(whole.progress.env_steps > 0 && whole.progress.generated > 0);
    }
}

#[test]
fn masks_isolate_the_roles() {
    let fixture = Fixture::new();
    let trainer = fixture.warm();
    let pool = Echoes.tasks("all").unwrap();
    let rollouts = fixture.rollouts(&pool, 1, himac());
    let jobs = stepladder_rollout::Job::each(&pool[..6]);
    let sampled = Sampled { temperature: 1.0, only: None };
    let (episodes, _) = rollouts.play(&trainer, &jobs, sampled, 0).unwrap();
    let learners = SurrogateWorkers::new(2, &trainer.weights, &trainer.factors, Kind::Float, 1.0);
    let rule = SurrogateRule { clip_low: 0.2, clip_high: 0.2, beta: 0.01 };
    let gradient = |episodes: &[stepladder_core::trace::Episode], role: Role| -> Vec<f32> {
        let samples: Vec<Sample> = episodes
            .iter()
            .enumerate()
            .flat_map(|(index, episode)| of_role(episode, role, index as f64 - 2.5).unwrap())
            .collect();
        let members: Vec<&Sample> = samples.iter().collect();
        let reference = &trainer.weights.trained.flat * 0.9;
        let numbers = (rule, Aggregate::TokenMean);
        let (_, gradient) =
            learners.gradient(&trainer.weights.trained, &reference, &members, numbers, (256, 0)).unwrap();
        Vec::try_from(gradient).unwrap()
    };
    // Change reply and log-probabilities of one role.
    let changed = |role: Role| {
        let mut episodes = episodes.clone();
        for episode in &mut episodes {
            for subtask in &mut episode.subtasks {
                let turns =
                    subtask.turn.iter_mut().chain(subtask.steps.iter_mut().map(|step| &mut step.turn));
                for turn in turns.filter(|turn| turn.role == role) {
                    let tokens = turn.tokens.as_mut().unwrap();
                    tokens.reply.reverse();
                    tokens.logprobs.iter_mut().flatten().for_each(|logprob| *logprob -= 0.7);
                }
            }
        }
        episodes
    };
    for (learning, other) in [(Role::Macro, Role::Micro), (Role::Micro, Role::Macro)] {
        let before = gradient(&episodes, learning);
        assert!(before.iter().any(|&value| value != 0.0));
        assert_eq!(before, gradient(&changed(other), learning));
        assert_ne!(before, gradient(&changed(learning), learning));
    }
}

#[test]
fn the_golden_masks() {
    let golden: serde_json::Value = serde_json::from_str(include_str!("../../../tests/golden.json")).unwrap();
    let case = golden["cases"].as_array().unwrap().iter().find(|case| case["id"] == "himac_masks").unwrap();
    // P is the prompt; everything else is the reply.
    let turn = |role: Role, text: &str| {
        let prompt = text.chars().take_while(|&c| c == 'P').count();
        let ids: Vec<u32> = text.chars().map(u32::from).collect();
        stepladder_core::trace::Turn {
            role,
            prompt: String::new(),
            reply: String::new(),
            prompt_tokens: 0,
            uncached_tokens: 0,
            new_tokens: 0,
            logprob: None,
            cut: false,
            tokens: Some(Box::new(stepladder_core::trace::TurnTokens {
                prompt: ids[..prompt].to_vec(),
                reply: ids[prompt..].to_vec(),
                logprobs: Some(vec![-1.0; ids.len() - prompt]),
            })),
        }
    };
    let calls = case["inputs"]["micro_calls"].as_array().unwrap();
    let calls: Vec<&str> = calls.iter().map(|text| text.as_str().unwrap()).collect();
    let macro_call = case["inputs"]["macro_call"].as_str().unwrap();
    let turns: Vec<_> = std::iter::once(turn(Role::Macro, macro_call))
        .chain(calls.iter().map(|text| turn(Role::Micro, text)))
        .collect();
    let masks = |role: Role| -> Vec<Vec<u64>> {
        let mask = |turn: &stepladder_core::trace::Turn| {
            let sample = Sample::of(turn, 1.0).unwrap();
            let learns = turn.role == role;
            (0..sample.ids.len()).map(|at| u64::from(learns && at >= sample.start)).collect()
        };
        turns.iter().map(mask).collect()
    };
    for (phase, role) in [("macro_phase", Role::Macro), ("micro_phase", Role::Micro)] {
        let expected = &case["expected"][phase];
        let found = masks(role);
        assert_eq!(serde_json::json!(found[0]), expected["macro_call"], "{phase}");
        assert_eq!(serde_json::json!(found[1..]), expected["micro_calls"], "{phase}");
    }
}

#[test]
fn workers_and_chunks_change_no_gradient() {
    let fixture = Fixture::new();
    let trainer = fixture.warm();
    let episodes = fixture.played(&trainer);
    let samples: Vec<Sample> = episodes
        .iter()
        .enumerate()
        .flat_map(|(at, episode)| of_role(episode, Role::Flat, at as f64 - 13.0).unwrap())
        .collect();
    let rule = SurrogateRule { clip_low: 0.2, clip_high: 0.2, beta: 0.1 };
    let reference = &trainer.weights.trained.flat * 0.9;
    let (weights, factors) = (&trainer.weights, &trainer.factors);
    let learners =
        |workers, temperature| SurrogateWorkers::new(workers, weights, factors, Kind::Float, temperature);
    for aggregate in [Aggregate::TokenMean, Aggregate::SeqMeanTokenMean, Aggregate::SeqMeanTokenSum] {
        let of = |workers: usize, tokens: usize, reversed: bool| {
            let learners = learners(workers, 1.0);
            let mut members: Vec<&Sample> = samples.iter().collect();
            if reversed {
                members.reverse();
            }
            let (sums, gradient) = learners
                .gradient(&trainer.weights.trained, &reference, &members, (rule, aggregate), (tokens, 0))
                .unwrap();
            (sums, gradient)
        };
        let (sums, whole) = of(1, 100_000, false);
        let members: Vec<&Sample> = samples.iter().collect();
        for temperature in [1.0, 1.7] {
            let both = [false, true].map(|libtorch| {
                let learners = learners(2, temperature);
                let learners = if libtorch { learners.with_libtorch() } else { learners };
                let numbers = (rule, aggregate);
                learners.gradient(&trainer.weights.trained, &reference, &members, numbers, (300, 0)).unwrap()
            });
            let [(native, found), (sums, expected)] = both;
            common::compare("gradient", &found, &expected, 1e-5).unwrap();
            assert!((native.loss - sums.loss).abs() < 1e-6 && (native.kl - sums.kl).abs() < 1e-7);
            assert!(native.tokens == sums.tokens && (native.gap - sums.gap).abs() < 1e-3);
            assert_eq!(temperature == 1.0, common::compare("gradient", &found, &whole, 1e-5).is_ok());
        }
        for (workers, tokens, reversed) in [(1, 64, false), (2, 128, true), (3, 1, false)] {
            let (others, gradient) = of(workers, tokens, reversed);
            common::compare("gradient", &gradient, &whole, 1e-5).unwrap();
            assert!((sums.loss - others.loss).abs() < 1e-6 && sums.tokens == others.tokens);
        }
    }
    // Merged samples have the same gradient: every reply three times, with advantages of both signs.
    let thrice: Vec<Sample> = samples
        .iter()
        .flat_map(|sample| {
            [0.5, -1.0, 2.0].map(|factor| {
                let mut sample = sample.clone();
                sample.advantage.iter_mut().for_each(|advantage| *advantage *= factor);
                sample
            })
        })
        .collect();
    let merged = merge(thrice.clone());
    assert!(merged.len() < thrice.len() * 2 / 3 + 1, "{} of {}", merged.len(), thrice.len());
    for aggregate in [Aggregate::TokenMean, Aggregate::SeqMeanTokenMean, Aggregate::SeqMeanTokenSum] {
        let learners = learners(2, 1.0);
        let gradient = |samples: &[Sample]| {
            let members: Vec<&Sample> = samples.iter().collect();
            learners
                .gradient(&trainer.weights.trained, &reference, &members, (rule, aggregate), (300, 0))
                .unwrap()
        };
        let ((a, whole), (b, less)) = (gradient(&thrice), gradient(&merged));
        common::compare("gradient", &less, &whole, 1e-5).unwrap();
        assert!((a.loss - b.loss).abs() < 1e-5 && (a.kl - b.kl).abs() < 1e-6);
    }
    // At lp_new = lp_old = lp_ref the loss is minus the mean advantage, and the KL term has no gradient.
    let learners = learners(1, 1.0);
    let members: Vec<&Sample> = samples.iter().collect();
    let at_rest = |beta| {
        let rule = SurrogateRule { beta, ..rule };
        let numbers = (rule, Aggregate::TokenMean);
        learners
            .gradient(&trainer.weights.trained, &trainer.weights.trained.flat, &members, numbers, (1000, 0))
            .unwrap()
    };
    let ((sums, with), (_, without)) = (at_rest(0.5), at_rest(0.0));
    let advantages: Vec<f32> = samples.iter().flat_map(|sample| sample.advantage.clone()).collect();
    let mean = advantages.iter().sum::<f32>() / advantages.len() as f32;
    assert!((sums.loss + f64::from(mean)).abs() < 1e-3, "{} {mean}", sums.loss);
    assert!(sums.kl.abs() < 1e-6);
    common::compare("gradient", &with, &without, 1e-4).unwrap();
}

#[test]
fn the_critic_is_the_same_without_libtorch() {
    let fixture = Fixture::new();
    let trainer = fixture.warm();
    let episodes = fixture.played(&trainer);
    let samples: Vec<Sample> =
        episodes.iter().flat_map(|episode| of_role(episode, Role::Flat, 1.0).unwrap()).collect();
    let adamw = trainer.optimiser.config;
    let config = config(1.0);
    let [(found, native), (expected, libtorch)] = [false, true].map(|libtorch| {
        let values = ValueWorkers::new(2, &trainer.weights, &trainer.factors, Kind::Float);
        let values = if libtorch { values.with_libtorch() } else { values };
        let mut net = value::start(&trainer.weights.trained, adamw);
        // A head other than zero, so that gradients reach the transformer.
        net.params = &net.params
            + (Tensor::arange(net.params.numel() as i64, (Kind::Float, Device::Cpu)) * 0.7).sin() * 0.02;
        let known = values.evaluate(&net, &samples, (200, 0)).unwrap();
        let returns: Vec<Vec<f32>> = samples.iter().map(|sample| vec![0.3; sample.len()]).collect();
        let members: Vec<(&Sample, &[f32], &[f32])> = samples
            .iter()
            .zip(&known)
            .zip(&returns)
            .map(|((sample, known), returns)| (sample, known.as_slice(), returns.as_slice()))
            .collect();
        let steps: Vec<(f64, f64)> =
            (0..3).map(|_| values.step(&mut net, &members, &config, (200, 0)).unwrap()).collect();
        (known, (steps, values.evaluate(&net, &samples, (200, 0)).unwrap()))
    });
    let close = |a: &[Vec<f32>], b: &[Vec<f32>], off: f32| {
        a.len() == b.len()
            && a.iter()
                .zip(b)
                .all(|(a, b)| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < off))
    };
    assert!(close(&found, &expected, 1e-5));
    for (a, b) in native.0.iter().zip(&libtorch.0) {
        assert!((a.0 - b.0).abs() < 1e-5 * b.0.abs() && (a.1 - b.1).abs() < 1e-4 * b.1, "{a:?} {b:?}");
    }
    assert!(close(&native.1, &libtorch.1, 1e-3));
    assert!(!close(&native.1, &found, 1e-2));
}

/// Generators of a policy; those that are opened after the first `left` never answer, and the caller asks to stop meanwhile.
struct FallsSilent {
    inner: Arc<dyn GeneratorSource>,
    left: AtomicUsize,
    stop: &'static AtomicBool,
}

impl GeneratorSource for FallsSilent {
    fn open(
        &self,
        weights: &Weights,
        factors: &Factors,
        policy: String,
    ) -> Result<Box<dyn Generator>, ModelError> {
        let left = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        match left {
            Ok(_) => self.inner.open(weights, factors, policy),
            Err(_) => Ok(Box::new(Mute { polls: 0, stop: self.stop })),
        }
    }
}

struct Mute {
    polls: usize,
    stop: &'static AtomicBool,
}

impl Generator for Mute {
    fn submit(&mut self, _requests: Vec<Request>) {}
    fn poll(&mut self, _wait: Duration) -> Result<Vec<Answer>, GenerateError> {
        self.polls += 1;
        assert!(self.polls < 9, "the flag is ignored");
        self.stop.store(true, Ordering::Relaxed);
        Ok(Vec::new())
    }
    fn policy(&self) -> String {
        "mute".to_owned()
    }
}

/// A generator falls silent in the second iteration, in each of its rollouts: the first is what stays, and the rest is
/// played again.
#[test]
fn a_stop_inside_an_iteration_leaves_the_one_before_it() {
    static STOP: AtomicBool = AtomicBool::new(false);
    let fixture = Fixture::new();
    let reference = fixture.warm().weights.trained.flat.copy();
    let pool = Echoes.tasks("all").unwrap();
    let state = |trainer: &Trainer| {
        let values = |tensor: &Tensor| Vec::<f32>::try_from(tensor).unwrap();
        let Trainer { weights, optimiser, progress, .. } = trainer;
        let tensors = [&weights.trained.flat, &optimiser.first, &optimiser.second].map(values);
        (tensors, optimiser.steps, Progress { seconds: 0.0, ..progress.clone() })
    };
    let grpo = || -> Box<dyn Method> { Box::new(Grpo::Grpo) };
    let himac_method = || -> Box<dyn Method> { Box::new(BEST) };
    type Make<'a> = &'a dyn Fn() -> Box<dyn Method>;
    // Rollouts that are answered: GRPO has one in an iteration, HiMAC two.
    let cases: [(Make<'_>, AgentSpec, usize); 3] =
        [(&grpo, flat(), 1), (&himac_method, himac(), 2), (&himac_method, himac(), 3)];
    for (method, agent, answered) in cases {
        let run = |trainer: &mut Trainer, iterations, rollouts: &Rollouts<'_>| {
            let mut curve = Curve(vec![], vec![]);
            train(&mut *method(), &config(iterations), rollouts, trainer, &reference, &mut curve).unwrap()
        };
        let whole = fixture.rollouts(&pool, 1, agent);
        let mut first = fixture.warm();
        run(&mut first, 1.0, &whole);
        let mut stopped = fixture.warm();
        STOP.store(false, Ordering::Relaxed);
        let silent =
            FallsSilent { inner: whole.generators.clone(), left: AtomicUsize::new(answered), stop: &STOP };
        let rollouts =
            Rollouts { generators: Arc::new(silent), stop: &STOP, ..fixture.rollouts(&pool, 1, agent) };
        assert_eq!(run(&mut stopped, 2.0, &rollouts), Ending::Interrupted);
        assert!(state(&stopped) == state(&first), "{answered} rollouts");
        run(&mut stopped, 2.0, &whole);
        run(&mut first, 2.0, &whole);
        assert!(state(&stopped) == state(&first), "{answered} rollouts");
    }
}

#[test]
fn what_fails_is_dropped_and_the_rest_goes_on() {
    let fixture = Fixture::new();
    let mut trainer = fixture.warm();
    let pool: Vec<TaskKey> = ["1", "broken"].map(|id| TaskKey::new("echo", "all", id)).into();
    let rollouts = fixture.rollouts(&pool, 1, flat());
    let jobs: Vec<_> = pool
        .iter()
        .flat_map(|task| (0..3).map(|sample| stepladder_rollout::Job::sampled(task, sample)))
        .collect();
    let sampled = Sampled { temperature: 1.0, only: None };
    let (episodes, _) = rollouts.play(&trainer, &jobs, sampled, 0).unwrap();
    let (groups, lost) = group(episodes, 2).unwrap();
    assert_eq!(groups.len(), 1);
    assert_eq!((groups[0].episodes.len(), lost.dropped.episodes, lost.groups), (3, 3, 1));
    assert!(lost.dropped.first.unwrap().contains("lost its voice"));
    let reference = trainer.weights.trained.flat.copy();
    let methods: [(Box<dyn Method>, AgentSpec); 2] =
        [(Box::new(Grpo::Grpo), flat()), (Box::new(BEST), himac())];
    for (mut method, agent) in methods {
        let rollouts = fixture.rollouts(&pool, 1, agent);
        let mut heard = Heard { steps: 0, warnings: Vec::new() };
        trainer.progress = Progress::start();
        train(&mut *method, &config(2.0), &rollouts, &mut trainer, &reference, &mut heard).unwrap();
        assert_eq!(heard.steps, 2);
        let dropped =
            |text: &String| text.contains("lost its voice") && text.contains("groups with too few episodes");
        assert!(!heard.warnings.is_empty() && heard.warnings.iter().all(dropped), "{:?}", heard.warnings);
    }
    // An environment in which all episodes fail ends the run.
    let broken = [TaskKey::new("echo", "all", "broken")];
    trainer.progress = Progress::start();
    let mut curve = Curve(vec![], vec![]);
    let error = train(
        &mut Grpo::Grpo,
        &config(2.0),
        &fixture.rollouts(&broken, 1, flat()),
        &mut trainer,
        &reference,
        &mut curve,
    )
    .unwrap_err();
    assert!(matches!(error, AlgoError::Broken(_)) && error.to_string().contains("lost its voice"), "{error}");
}

#[test]
fn five_gradients_that_are_not_finite_end_the_run() {
    let fixture = Fixture::new();
    let mut trainer = fixture.warm();
    let pool = Echoes.tasks("all").unwrap();
    let before = trainer.weights.trained.flat.copy();
    // An infinite KL weight makes every loss infinite from the first step on.
    let config = OnlineConfig { kl: f64::INFINITY, ..config(9.0) };
    let reference = &before * 0.5;
    let mut curve = Curve(vec![], vec![]);
    let error = train(
        &mut Grpo::Grpo,
        &config,
        &fixture.rollouts(&pool, 1, flat()),
        &mut trainer,
        &reference,
        &mut curve,
    )
    .unwrap_err();
    assert!(matches!(error, AlgoError::NotFinite { times: 5, .. }), "{error}");
    assert_eq!(
        Vec::<f32>::try_from(&trainer.weights.trained.flat).unwrap(),
        Vec::<f32>::try_from(&before).unwrap()
    );
}
