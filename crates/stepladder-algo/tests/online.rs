//! Online methods on a toy environment: every method improves, masks isolate the roles, recorded log-probabilities equal
//! recomputed ones, and failures drop only the affected episodes.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;
#[path = "online/dagger.rs"]
mod dagger;
#[path = "online/echo.rs"]
mod echo;
#[path = "online/failures.rs"]
mod failures;
#[path = "online/phases.rs"]
mod phases;

use echo::*;
use stepladder_agent::AgentSpec;
use stepladder_algo::AlgoError;
use stepladder_algo::gigpo::{Gigpo, GigpoConfig};
use stepladder_algo::grpo::Grpo;
use stepladder_algo::himac::{Himac, Selection};
use stepladder_algo::online::rollouts::Sampled;
use stepladder_algo::online::samples::{Sample, merge, of_role};
use stepladder_algo::online::update::SurrogateWorkers;
use stepladder_algo::online::{Method, OnlineConfig, train};
use stepladder_algo::ops::surrogate::{Aggregate, SurrogateRule};
use stepladder_algo::ppo::{Ppo, PpoConfig, ValueWorkers, value};
use stepladder_algo::runtime::checkpoint;
use stepladder_algo::runtime::counters::Counters;
use stepladder_algo::runtime::observer::{Observer, StepReport};
use stepladder_algo::runtime::passes::Passes;
use stepladder_algo::runtime::trainer::Trainer;
use stepladder_core::Role;
use stepladder_env::TaskSet;
use stepladder_model::checkpoint::{BaseId, Bases, load};
use tch::{Device, Kind, Tensor};

type Case = (&'static str, Box<dyn Method>, AgentSpec);

/// Every method with its agent.
fn methods() -> [Case; 5] {
    let critic = PpoConfig { lambda: 0.95, critic_learning_rate: 5e-3, ..PpoConfig::default() };
    [
        ("grpo", Box::new(Grpo::Grpo), flat()),
        ("rloo", Box::new(Grpo::Rloo), flat()),
        ("gigpo", Box::new(Gigpo { config: GigpoConfig::default() }), flat()),
        ("ppo", Box::new(Ppo::new(critic)), flat()),
        ("himac", Box::new(best()), himac()),
    ]
}

/// HiMAC without its selection, and without its phases.
fn variants() -> [Case; 2] {
    [
        ("random", Box::new(Himac { selection: Selection::Random, ..best() }), himac()),
        ("joint", Box::new(Himac { coevolution: false, ..best() }), himac()),
    ]
}

/// Learning rate of adapters.
const ADAPTERS: f64 = 5e-3;

/// Trains with a method and checks that it learns.
fn learns(fixture: &Fixture, mut trainer: Trainer, (name, mut method, agent): Case, config: &OnlineConfig) {
    let Curve(returns, gaps) = learn(fixture, &mut trainer, &mut *method, agent, config);
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let (first, last) = (mean(&returns[..3]), mean(&returns[returns.len() - 3..]));
    assert!(first < 3.3, "{name} began with {first}");
    if config.learning_rate < ADAPTERS {
        assert!(last > first + 0.5 && last > 3.4, "{name}: {first} -> {last}");
    } else {
        // At this rate a policy can forget again: where it ends depends on rounding, how far it came does not.
        let most = returns.windows(3).map(mean).fold(0.0, f64::max);
        assert!(most > first + 1.0 && most > 3.0, "{name}: {first} -> {most}");
    }
    // Log-probabilities recorded while sampling equal those of the training pass.
    for (mean, most) in gaps {
        assert!(mean <= 1e-4 && most <= 1e-3, "{name}: {mean} {most}");
    }
}

#[test]
fn every_method_learns_to_say_what_is_shown() {
    let fixture = Fixture::new();
    for case in methods().into_iter().chain(variants()) {
        learns(&fixture, fixture.warm(), case, &config(16.0));
    }
}

#[test]
fn every_method_learns_with_adapters_over_a_pretrained_model() {
    let (fixture, bases) = (Fixture::new(), Bases::default());
    let folder = tempfile::tempdir().unwrap();
    for case in methods() {
        // HiMAC trains each role in every other iteration.
        let iterations = if case.0 == "himac" { 160.0 } else { 80.0 };
        let config = OnlineConfig { learning_rate: ADAPTERS, ..config(iterations) };
        learns(&fixture, fixture.warm_adapters(folder.path(), &bases), case, &config);
    }
    // The pretrained model itself was left alone.
    let base = bases.get(&BaseId::read(folder.path()).unwrap(), Device::Cpu).unwrap();
    let again = load(folder.path(), &base.frozen().keys().cloned().collect(), Device::Cpu).unwrap();
    for (name, tensor) in base.frozen() {
        assert!(again.get(name).unwrap().equal(tensor), "{name}");
    }
}

#[test]
fn adapters_leave_their_reference_with_the_first_step() {
    let (fixture, bases) = (Fixture::new(), Bases::default());
    let folder = tempfile::tempdir().unwrap();
    let pool = Echoes.tasks("all").unwrap();
    for (name, mut method, agent) in methods() {
        let mut trainer = fixture.warm_adapters(folder.path(), &bases);
        let reference = trainer.weights.trained.buffer.copy();
        let mut kept = Kept(Vec::new());
        // One step in each update.
        let config = OnlineConfig { mini_batch: 10_000, ..config(2.0) };
        let rollouts = fixture.rollouts(&pool, 1, agent);
        train(&mut *method, &config, &rollouts, &mut trainer, &reference, &mut kept).unwrap();
        let first = if name == "himac" { "explore/kl" } else { "kl" };
        assert_eq!(kept.0[0][first], 0.0, "{name}");
        assert!(kept.0[1]["kl"] > 0.0, "{name}");
    }
}

#[test]
fn a_run_continued_from_a_checkpoint_goes_on_as_if_nothing_had_happened() {
    let fixture = Fixture::new();
    let critic = PpoConfig { critic_learning_rate: 1e-3, ..PpoConfig::default() };
    let ppo = || -> Box<dyn Method> { Box::new(Ppo::new(critic.clone())) };
    let himac_method = || -> Box<dyn Method> { Box::new(best()) };
    type Make<'a> = &'a dyn Fn() -> Box<dyn Method>;
    let cases: [(Make<'_>, AgentSpec); 2] = [(&ppo, flat()), (&himac_method, himac())];
    for (method, agent) in cases {
        let warm = fixture.warm();
        let reference = warm.weights.trained.buffer.copy();
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
        let mut resumed = checkpoint::load(&saved, ADAM, Device::Cpu, &Bases::default()).unwrap();
        run(&mut resumed, 4.0);
        let values = |tensor: &Tensor| Vec::<f32>::try_from(tensor).unwrap();
        assert_eq!(values(&resumed.weights.trained.buffer), values(&whole.weights.trained.buffer));
        assert_eq!(
            Counters { seconds: 0.0, ..resumed.counters.clone() },
            Counters { seconds: 0.0, ..whole.counters.clone() }
        );
        let nets = |trainer: &Trainer| -> Vec<(String, Vec<f32>)> {
            trainer.nets.iter().map(|(name, net)| (name.to_owned(), values(&net.params))).collect()
        };
        assert_eq!(nets(&resumed), nets(&whole));
        assert!(whole.counters.env_steps > 0 && whole.counters.generated > 0);
    }
}

/// Keeps the metrics of every iteration.
struct Kept(Vec<std::collections::BTreeMap<&'static str, f64>>);

impl Observer for Kept {
    fn on_step(&mut self, _trainer: &Trainer, report: &StepReport) -> Result<(), AlgoError> {
        self.0.push(report.extra.iter().copied().collect());
        Ok(())
    }
}

#[test]
fn phases_have_metrics_of_their_own() {
    let fixture = Fixture::new();
    let pool = Echoes.tasks("all").unwrap();
    let metrics_of = |(_, mut method, agent): Case| {
        let mut trainer = fixture.warm();
        let reference = trainer.weights.trained.buffer.copy();
        let mut kept = Kept(Vec::new());
        let rollouts = fixture.rollouts(&pool, 1, agent);
        train(&mut *method, &config(2.0), &rollouts, &mut trainer, &reference, &mut kept).unwrap();
        (kept.0, trainer.counters)
    };
    let (himac, counters) = metrics_of(methods().into_iter().last().unwrap());
    let total = |name: &str| himac.iter().map(|metrics| metrics[name]).sum::<f64>();
    assert_eq!(total("explore/env_steps") + total("adapt/env_steps"), counters.env_steps as f64);
    assert_eq!(
        total("explore/generated_tokens") + total("adapt/generated_tokens"),
        counters.generated as f64
    );
    for metrics in &himac {
        let (a, b) = (metrics["explore/entropy"], metrics["adapt/entropy"]);
        assert!(a > 0.0 && b > 0.0 && a.min(b) <= metrics["entropy"] && metrics["entropy"] <= a.max(b));
        // Advantages have deviation 1 in the groups that have differences, and 0 in the others.
        let mixed = 1.0 - metrics["explore/degenerate_groups"];
        assert!((metrics["explore/advantage_std"] - mixed.sqrt()).abs() < 1e-2, "{metrics:?}");
    }
    // A method without phases has none.
    for case in methods().into_iter().take(4).chain(variants().into_iter().skip(1)) {
        let (metrics, _) = metrics_of(case);
        assert!(metrics.iter().all(|metrics| metrics["entropy"] > 0.0));
        assert!(metrics.iter().all(|metrics| metrics.keys().all(|name| !name.starts_with("explore/"))));
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
    let surrogates = SurrogateWorkers::new(2, &trainer.weights, Kind::Float, 1.0);
    let rule = SurrogateRule { clip_low: 0.2, clip_high: 0.2, beta: 0.01 };
    let gradient = |episodes: &[stepladder_core::trace::Episode], role: Role| -> Vec<f32> {
        let samples: Vec<Sample> = episodes
            .iter()
            .enumerate()
            .flat_map(|(index, episode)| of_role(episode, role, index as f64 - 2.5).unwrap())
            .collect();
        let members: Vec<&Sample> = samples.iter().collect();
        let reference = &trainer.weights.trained.buffer * 0.9;
        let numbers = (rule, Aggregate::TokenMean);
        let (_, gradient) =
            surrogates.gradient(&trainer.weights.trained, &reference, &members, numbers, (256, 0)).unwrap();
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
            tokens: Some(Box::new(stepladder_core::trace::TurnTokens {
                prompt: ids[..prompt].to_vec(),
                reply: ids[prompt..].to_vec(),
                logprobs: Some(vec![-1.0; ids.len() - prompt]),
            })),
            ..stepladder_core::trace::Turn::said(role, "")
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
    same_gradients(flat());
}

#[test]
fn workers_and_chunks_change_no_gradient_of_growing_prompts() {
    same_gradients(whole_history());
}

fn same_gradients(agent: AgentSpec) {
    let fixture = Fixture::new();
    let trainer = fixture.warm();
    let episodes = fixture.played(&trainer, agent);
    let mut samples: Vec<Sample> = episodes
        .iter()
        .enumerate()
        .flat_map(|(at, episode)| of_role(episode, Role::Flat, at as f64 - 13.0).unwrap())
        .collect();
    // The same replies with advantages of the other sign.
    let again: Vec<Sample> = samples
        .iter()
        .step_by(3)
        .map(|sample| Sample {
            advantage: sample.advantage.iter().map(|advantage| -advantage).collect(),
            ..sample.clone()
        })
        .collect();
    samples.extend(again);
    let grows = |pair: &[Sample]| pair[1].ids[..pair[1].start].starts_with(&pair[0].ids);
    assert_eq!(samples.windows(2).any(grows), agent.history.is_none());
    let rule = SurrogateRule { clip_low: 0.2, clip_high: 0.2, beta: 0.1 };
    let reference = &trainer.weights.trained.buffer * 0.9;
    let weights = &trainer.weights;
    let surrogates = |workers, temperature| SurrogateWorkers::new(workers, weights, Kind::Float, temperature);
    for aggregate in [Aggregate::TokenMean, Aggregate::SeqMeanTokenMean, Aggregate::SeqMeanTokenSum] {
        let of = |workers: usize, tokens: usize, reversed: bool| {
            let surrogates = surrogates(workers, 1.0);
            let mut members: Vec<&Sample> = samples.iter().collect();
            if reversed {
                members.reverse();
            }
            let (sums, gradient) = surrogates
                .gradient(&trainer.weights.trained, &reference, &members, (rule, aggregate), (tokens, 0))
                .unwrap();
            (sums, gradient)
        };
        let (sums, whole) = of(1, 100_000, false);
        let members: Vec<&Sample> = samples.iter().collect();
        for temperature in [1.0, 1.7] {
            let both = [false, true].map(|libtorch| {
                let surrogates = surrogates(2, temperature);
                let surrogates = if libtorch { surrogates.with_libtorch() } else { surrogates };
                let numbers = (rule, aggregate);
                surrogates
                    .gradient(&trainer.weights.trained, &reference, &members, numbers, (300, 0))
                    .unwrap()
            });
            let [(native, found), (sums, expected)] = both;
            common::compare("gradient", &found, &expected, 1e-5).unwrap();
            assert!((native.loss - sums.loss).abs() < 1e-6 && (native.kl - sums.kl).abs() < 1e-7);
            assert!(native.tokens == sums.tokens && (native.gap - sums.gap).abs() < 1e-3);
            assert_eq!(temperature == 1.0, common::compare("gradient", &found, &whole, 1e-5).is_ok());
        }
        for (recompute, micro_tokens) in [(true, 0), (false, 60), (true, 60)] {
            let passes = Passes { dtype: Kind::Float, recompute, micro_tokens };
            for libtorch in [true, false] {
                let surrogates = SurrogateWorkers::new(2, weights, passes, 1.0);
                let surrogates = if libtorch { surrogates.with_libtorch() } else { surrogates };
                let numbers = (rule, aggregate);
                let (others, gradient) = surrogates
                    .gradient(&trainer.weights.trained, &reference, &members, numbers, (100_000, 0))
                    .unwrap();
                common::compare("gradient", &gradient, &whole, 1e-5).unwrap();
                assert!((sums.loss - others.loss).abs() < 1e-6 && sums.tokens == others.tokens);
            }
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
        let surrogates = surrogates(2, 1.0);
        let gradient = |samples: &[Sample]| {
            let members: Vec<&Sample> = samples.iter().collect();
            surrogates
                .gradient(&trainer.weights.trained, &reference, &members, (rule, aggregate), (300, 0))
                .unwrap()
        };
        let ((a, whole), (b, less)) = (gradient(&thrice), gradient(&merged));
        common::compare("gradient", &less, &whole, 1e-5).unwrap();
        assert!((a.loss - b.loss).abs() < 1e-5 && (a.kl - b.kl).abs() < 1e-6);
    }
    // At lp_new = lp_old = lp_ref the loss is minus the mean advantage, and the KL term has no gradient.
    let surrogates = surrogates(1, 1.0);
    let members: Vec<&Sample> = samples.iter().collect();
    let at_rest = |beta| {
        let rule = SurrogateRule { beta, ..rule };
        let numbers = (rule, Aggregate::TokenMean);
        surrogates
            .gradient(&trainer.weights.trained, &trainer.weights.trained.buffer, &members, numbers, (1000, 0))
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
    same_values(flat());
}

#[test]
fn the_critic_of_growing_prompts_is_the_same_without_libtorch() {
    same_values(whole_history());
}

fn same_values(agent: AgentSpec) {
    let fixture = Fixture::new();
    let trainer = fixture.warm();
    let episodes = fixture.played(&trainer, agent);
    let samples: Vec<Sample> =
        episodes.iter().flat_map(|episode| of_role(episode, Role::Flat, 1.0).unwrap()).collect();
    let adamw = trainer.optimiser.config;
    let critic = PpoConfig { critic_learning_rate: 1e-3, ..PpoConfig::default() };
    let small = Passes { dtype: Kind::Float, recompute: true, micro_tokens: 60 };
    let whole = Passes::from(Kind::Float);
    let runs = [(false, whole), (true, whole), (true, small)];
    let [(found, native), (expected, libtorch), (_, recomputed)] = runs.map(|(libtorch, passes)| {
        let values = ValueWorkers::new(2, &trainer.weights, passes);
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
            (0..3).map(|_| values.step(&mut net, &members, &critic, (200, 0)).unwrap()).collect();
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
    for (a, b) in recomputed.0.iter().zip(&libtorch.0) {
        assert!((a.0 - b.0).abs() < 1e-5 * b.0.abs() && (a.1 - b.1).abs() < 1e-4 * b.1, "{a:?} {b:?}");
    }
    assert!(close(&native.1, &libtorch.1, 1e-3) && close(&recomputed.1, &libtorch.1, 1e-3));
    assert!(!close(&native.1, &found, 1e-2));
}
