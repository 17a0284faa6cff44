//! Tests of continuous batching.

use std::sync::Arc;

use proptest::prelude::*;
use rand::RngExt;
use stepladder_core::seed::{Rng, stream};
use stepladder_rollout::sampling::Sampling;
use stepladder_rollout::trie::{Constraint, Trie};

use super::*;
use crate::architecture::{Activation, Architecture};
use crate::cache::generate;
use crate::config::{ModelConfig, tiny};
use crate::linear::Linear;
use crate::{Frame, Lora, Weights};

/// Two workers; the second call starts from prefixes that the first one cached.
#[test]
fn workers_give_what_one_batch_gives() {
    let config = ModelConfig::new(tiny(), 20, 0).expect("a model");
    let weights = Weights::init(&config, 1, Device::Cpu);
    let frame = Frame::new(&weights, Kind::Float);
    let decoder = || frame.decoder(&weights.trained.buffer);
    let mut engine = BatchEngine::new(decoder(), 2, Device::Cpu, Kind::Float, 1 << 20);
    let (mut same, mut total) = (0, 0);
    for call in 0..2 {
        let prompts: Vec<Prompt> = (0..70u32)
            .map(|index| {
                let ids = (0..1 + index / 3 + call).map(|at| (at * at + index % 3) % 20).collect();
                Prompt { ids, budget: 1 + index as usize % 7, sampling: None, constraint: None, stop: None }
            })
            .collect();
        let expected = generate(&decoder(), &prompts, &[3], Device::Cpu).unwrap();
        for (found, expected) in engine.complete(prompts, &[3]).unwrap().iter().zip(&expected) {
            total += 1;
            if found.ids == expected.ids {
                same += 1;
                let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-4;
                assert!(found.logprobs.iter().zip(&expected.logprobs).all(close));
            }
        }
    }
    // Near-ties may resolve differently.
    assert!(same * 100 >= total * 98, "{same} of {total} replies are the same");
    assert!(!engine.prefixes.find(&[0, 1, 4, 9]).is_empty());
    let unknown = Prompt { ids: vec![1, 20], budget: 1, sampling: None, constraint: None, stop: None };
    let error = engine.complete(vec![unknown], &[3]).unwrap_err().to_string();
    assert_eq!(error, "prompt 0 of the call: token 20 is not in the vocabulary of 20");
}

/// Workers of a model with adapters use the tensors of its weights.
#[test]
fn workers_share_what_is_frozen() {
    let config = ModelConfig::new(tiny(), 20, 0).expect("a model");
    let weights = Weights::init(&config, 1, Device::Cpu).with_lora(&Lora::default(), 1).expect("adapters");
    for dtype in [Kind::Float, Kind::BFloat16] {
        let weights = weights.merged().unwrap().cast_frozen(dtype).with_lora(&Lora::default(), 1).unwrap();
        let own = |name: &str| weights.frozen()[name].data_ptr();
        let decoder = Frame::new(&weights, Kind::Float).decoder(&weights.trained.buffer);
        let engine = BatchEngine::new(decoder, 2, Device::Cpu, Kind::Float, 1 << 20);
        // Small matrices in f32 have one transposed copy in all.
        let copies = usize::from(dtype == Kind::Float);
        let [first, second] = [0, 1].map(|worker: usize| &engine.workers[worker].decoder);
        let check = |[one, other]: [&Linear; 2], name: &str| {
            assert_eq!(one.matrices(), other.matrices());
            assert_eq!((one.matrices()[0], one.matrices().len()), (own(name), 1 + copies));
        };
        assert_eq!([first, second].map(|decoder| decoder.table().data_ptr()), [own("embed.own"); 2]);
        check([first.head(), second.head()], "embed.own");
        for layer in 0..2 {
            let of = |name: &str| format!("layers.{layer}.{name}");
            let [one, other] = [first, second].map(|decoder| &decoder.blocks[layer]);
            check([&one.qkv, &other.qkv], &of("qkv"));
            check([&one.out, &other.out], &of("out"));
            check([&one.gate_up, &other.gate_up], &of("gate_up"));
            check([&one.down, &other.down], &of("down"));
        }
    }
    let trained = Frame::new(&Weights::init(&config, 1, Device::Cpu), Kind::Float);
    let decoder = trained.decoder(&Weights::init(&config, 1, Device::Cpu).trained.buffer);
    let engine = BatchEngine::new(decoder, 2, Device::Cpu, Kind::Float, 1 << 20);
    let [first, second] = [0, 1].map(|worker| engine.workers[worker].decoder.blocks[0].qkv.matrices());
    assert!(first == second && first.len() == 2, "a trained matrix has one transposed copy in all");
}

/// Half of the prompts have a constraint, and half of those sample; the others reply as without them.
#[test]
fn constrained_replies_are_allowed_and_change_no_other() {
    let config = ModelConfig::new(tiny(), 20, 0).expect("a model");
    let weights = Weights::init(&config, 1, Device::Cpu);
    let frame = Frame::new(&weights, Kind::Float);
    let decoder = || frame.decoder(&weights.trained.buffer);
    let engine = || BatchEngine::new(decoder(), 2, Device::Cpu, Kind::Float, 1 << 20);
    let prompt = |index: u32| {
        let ids = (0..1 + index / 3).map(|at| (at * at + index % 3) % 20).collect();
        Prompt { ids, budget: 6, sampling: None, constraint: None, stop: None }
    };
    let free: Vec<Prompt> = (0..60).map(prompt).collect();
    let allowed = vec![vec![4, 3], vec![4, 5, 3], vec![4, 5, 6, 3], vec![7, 7, 8, 3]];
    let constraint = Constraint::new(Arc::new(Trie::new(allowed.clone())));
    let sampling = |index: u64| Sampling::at(2.0, stream(1, "sampling", &[index]));
    let bound = free.iter().zip(0..).map(|(prompt, index)| Prompt {
        sampling: (index % 2 == 0).then(|| sampling(index)),
        constraint: Some(constraint.clone()),
        ..prompt.clone()
    });
    let mixed = free.iter().cloned().chain(bound).collect();
    let found = engine().complete(mixed, &[3]).unwrap();
    let alone = engine().complete(free.clone(), &[3]).unwrap();
    let same = found.iter().zip(&alone).filter(|(found, alone)| found.ids == alone.ids).count();
    assert!(same >= 58, "{same} of 60 free replies are the same");
    let mut counts = [0; 4];
    for reply in &found[60..] {
        assert!(!reply.cut && reply.logprobs.len() == reply.ids.len());
        counts[allowed.iter().position(|allowed| *allowed == reply.ids).unwrap()] += 1;
    }
    assert!(counts.iter().filter(|&&count| count > 0).count() > 1, "{counts:?}");
    // A token that is the only one has probability 1.
    assert!(found[60..].iter().all(|reply| reply.ids[0] != 7 || reply.logprobs[1..] == [0.0; 3]));

    // The greedy replies themselves as the constraint of each.
    let (prompts, replies): (Vec<_>, Vec<_>) =
        free.into_iter().zip(alone).filter(|(_, reply)| !reply.cut).unzip();
    let constraint = Trie::new(replies.iter().map(|reply: &Reply| reply.ids.clone()).collect());
    let constraint = Some(Constraint::new(Arc::new(constraint)));
    let bound = |prompt: Prompt| Prompt { constraint: constraint.clone(), ..prompt };
    let found = engine().complete(prompts.into_iter().map(bound).collect(), &[3]).unwrap();
    let same = found.iter().zip(&replies).filter(|(found, reply)| found.ids == reply.ids).count();
    assert!(!replies.is_empty() && same * 100 >= replies.len() * 95, "{same} of {}", replies.len());
}

fn prompt(ids: Vec<u32>, budget: usize) -> Prompt {
    Prompt { ids, budget, sampling: None, constraint: None, stop: None }
}

fn random(count: usize, rng: &mut Rng) -> Vec<u32> {
    (0..count).map(|_| rng.random_range(0..20)).collect()
}

/// Tiny models of two families, with gains and varied replies.
fn models() -> [Decoder; 2] {
    let gemma = Architecture {
        gemma_norm: true,
        qk_norm: true,
        head_dim: Some(6),
        activation: Activation::GeluTanh,
        ..Architecture::default()
    };
    [(Architecture::default(), 1), (gemma, 2)].map(|(architecture, seed)| {
        let config = ModelConfig::pretrained(tiny(), architecture, 20).unwrap();
        let mut weights = Weights::init(&config, seed, Device::Cpu);
        let mut rng = stream(seed, "test-noise", &[]);
        let noise: Vec<f32> = (0..weights.trained.count()).map(|_| rng.random_range(-0.25..0.25)).collect();
        weights.trained.buffer = &weights.trained.buffer + tch::Tensor::from_slice(&noise);
        Frame::new(&weights, Kind::Float).decoder(&weights.trained.buffer)
    })
}

/// A beginning that prompts of one call share is computed once, whatever the number of workers; the next call computes only
/// the last tokens.
#[test]
fn a_shared_token_is_computed_once() {
    let [decoder, _] = models();
    let mut rng = stream(1, "test-ids", &[]);
    let room = random(20, &mut rng);
    let own = |first: u32, rng: &mut Rng| [&room[..], &[first], &random(4, rng)].concat();
    let prompts: Vec<Prompt> =
        (0..12).map(|first| prompt(own(first, &mut rng), 1 + first as usize % 3)).collect();
    let replies: usize = prompts.iter().map(|prompt| prompt.budget - 1).sum();
    for workers in [1, 2, 3] {
        let mut engine = BatchEngine::new(decoder.handle(), workers, Device::Cpu, Kind::Float, 1 << 20);
        engine.complete(prompts.clone(), &[]).unwrap();
        assert_eq!(engine.computed(), 20 + 12 * 5 + replies, "{workers} workers");
        engine.complete(prompts.clone(), &[]).unwrap();
        assert_eq!(engine.computed(), 20 + 12 * 5 + 12 + 2 * replies, "{workers} workers");
        // Equal prompts of one call, sampled or not.
        let before = engine.computed();
        engine.complete(vec![prompt(random(9, &mut rng), 1); 4], &[]).unwrap();
        assert!(engine.computed() - before <= 9 * workers, "{workers} workers");
    }
}

/// The cache of prefixes is within its limit after every step, and changes no reply, whether it holds much or nothing.
#[test]
fn the_cache_of_prefixes_is_bounded() {
    for decoder in models() {
        let mut rng = stream(2, "test-ids", &[]);
        let rooms: Vec<Vec<u32>> = (0..3).map(|_| random(17, &mut rng)).collect();
        let prompts: Vec<Prompt> = (0..60)
            .map(|index| {
                let count = rng.random_range(1..12);
                prompt([&rooms[index % 3][..], &random(count, &mut rng)].concat(), 1 + index % 9)
            })
            .collect();
        let expected = generate(&decoder, &prompts, &[3], Device::Cpu).unwrap();
        let per_token = 2 * 2 * 2 * decoder.config().head_dim() as usize * 4;
        let (mut same, mut computed) = (0, Vec::new());
        for tokens in [0, 40, 100_000] {
            let limit = tokens * per_token;
            let mut engine = BatchEngine::new(decoder.handle(), 2, Device::Cpu, Kind::Float, limit);
            for (id, prompt) in (0..).zip(&prompts) {
                engine.submit(id, prompt.clone(), &[3]).unwrap();
            }
            let mut left = prompts.len();
            while left > 0 {
                let finished = engine.advance().unwrap();
                assert!(!finished.is_empty() && engine.prefixes.size() <= tokens);
                left -= finished.len();
                let same_ids = |(id, reply): &&(u64, Reply)| reply.ids == expected[*id as usize].ids;
                same += finished.iter().filter(same_ids).count();
            }
            assert!(engine.advance().unwrap().is_empty());
            computed.push(engine.computed());
        }
        assert!(computed[0] > computed[2], "{computed:?}");
        assert!(same >= 3 * 60 - 5, "{same} of 180 replies are the same");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Replies are those of each prompt alone, in whatever order prompts arrive and are withdrawn; the same calls give the same
    /// replies to the last bit.
    #[test]
    fn a_reply_does_not_depend_on_the_order_of_arrival(
        seed in any::<u64>(),
        workers in 1usize..4,
        arrivals in proptest::collection::vec(0usize..6, 1..8),
    ) {
        for decoder in models() {
            let mut rng = stream(seed, "test-ids", &[]);
            let room = random(18, &mut rng);
            let count: usize = arrivals.iter().sum();
            let prompts: Vec<Prompt> = (0..count as u64)
                .map(|index| {
                    let beginning = rng.random_range(0..18);
                    let more = rng.random_range(1..16);
                    let ids = [&room[..beginning], &random(more, &mut rng)].concat();
                    let rng = stream(seed, "sampling", &[index]);
                    let sampling = (index % 3 == 0).then(|| Sampling::at(1.5, rng));
                    Prompt { sampling, ..prompt(ids, 1 + index as usize % 11) }
                })
                .collect();
            let run = || {
                let mut engine = BatchEngine::new(decoder.handle(), workers, Device::Cpu, Kind::Float, 5000);
                let mut replies = vec![None; count];
                let mut next = 0;
                for &arriving in &arrivals {
                    for (id, prompt) in (next as u64..).zip(&prompts[next..next + arriving]) {
                        engine.submit(id, prompt.clone(), &[3]).unwrap();
                    }
                    next += arriving;
                    for (id, reply) in engine.advance().unwrap() {
                        replies[id as usize] = Some(reply);
                    }
                    // The youngest is withdrawn if it has no reply yet.
                    if arriving > 3 {
                        engine.cancel(next as u64 - 1).unwrap();
                    }
                }
                loop {
                    let finished = engine.advance().unwrap();
                    if finished.is_empty() {
                        return replies;
                    }
                    for (id, reply) in finished {
                        replies[id as usize] = Some(reply);
                    }
                }
            };
            let replies = run();
            prop_assert_eq!(&replies, &run());
            let given = replies.iter().flatten().count();
            prop_assert!(given + arrivals.iter().filter(|&&count| count > 3).count() >= count);
            let (mut same, mut close) = (0, true);
            for (prompt, reply) in prompts.iter().zip(&replies) {
                let Some(reply) = reply else { continue };
                let one = std::slice::from_ref(prompt);
                let alone = generate(&decoder, one, &[3], Device::Cpu).unwrap().remove(0);
                if alone.ids == reply.ids {
                    same += 1;
                    let pairs = alone.logprobs.iter().zip(&reply.logprobs);
                    close &= alone.cut == reply.cut && pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-4);
                }
            }
            // Near-ties may resolve differently.
            prop_assert!(same + 1 >= given && close, "{same} of {given} replies are the same");
        }
    }
}
