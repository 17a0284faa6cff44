//! Engine on libtorch with continuous batching: prompts join the batch of a worker when they arrive, and a reply is returned
//! when it ends. All workers share one copy of the weights and one cache of prefixes.
//!
//! Workers advance in rounds. A round is as long as the longest first pass of a worker; the others make more passes meanwhile,
//! counted in tokens, not in time: replies are a function of the calls alone.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use stepladder_cpu::prefixes::Prefixes;
use stepladder_rollout::engine::{Engine, EngineError, Prompt, Reply};
use tch::{Device, Kind};

use crate::ModelError;
use crate::cache::{Batch, Join, MORE, Passed, Piece, Row};
use crate::decoder::Decoder;

/// Limits of one worker.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Rows that it decodes together.
    rows: usize,
    /// Prompt tokens that join in one pass: enough to use matrix products well, few enough to bound the memory of activations.
    new_tokens: usize,
}

const ON_CPU: Limits = Limits { rows: 96, new_tokens: 512 };
const ON_GPU: Limits = Limits { rows: 256, new_tokens: 8192 };
/// Cost of a pass without tokens, in tokens (docs/benchmarks.md).
const PASS: usize = 10;
/// Prompts that go to different workers and share at least this number of tokens beyond the known ones have these computed
/// first, by one worker.
const STEM: usize = 16;

/// Engine with one decoder and one batch per worker.
pub(crate) struct Tiles {
    workers: Vec<Worker>,
    /// One thread per worker. They outlive the rounds: the first operations of libtorch in a new thread cost more than a pass of a small
    /// model. `None` for one worker, and where threads cannot be started: workers then take turns.
    threads: Option<ThreadPool>,
    prefixes: Prefixes<Piece>,
    /// Prompts since the last round.
    arrived: Vec<Waiting>,
    /// Earlier prompts, in the order in which they join. Those that arrived together are in the order of their tokens, so that
    /// those with a common prefix join together.
    queue: VecDeque<Waiting>,
    limits: Limits,
    /// Limit of the cache of prefixes, in tokens.
    kept: usize,
    context: usize,
    vocab: usize,
}

struct Worker {
    decoder: Decoder,
    batch: Batch,
}

/// A prompt that has not joined a batch.
struct Waiting {
    id: u64,
    prompt: Prompt,
    end: Arc<[u32]>,
}

impl Waiting {
    /// Returns an estimate of the tokens to compute, with this number of new prompt tokens.
    fn work(&self, new: usize) -> usize {
        new + self.prompt.budget.min(MORE)
    }
}

/// Returns the number of tokens at the beginning of both, without the last token of either.
fn shared(a: &[u32], b: &[u32]) -> usize {
    let most = a.len().min(b.len()).saturating_sub(1);
    a.iter().zip(b).take(most).take_while(|(a, b)| a == b).count()
}

impl Worker {
    /// Returns an estimate of the tokens that are left to compute.
    fn work(&self) -> usize {
        self.batch.rows().iter().map(|row| (row.prompt.budget - row.reply.ids.len()).min(MORE)).sum()
    }

    /// Computes the prompts that join, and then as many tokens of every reply as fit into a round of this cost.
    fn round(
        &mut self,
        joins: Vec<Join>,
        cost: usize,
        expected: (usize, usize),
    ) -> Result<Passed, ModelError> {
        let mut spent = self.cost(&joins);
        let mut passed = self.batch.pass(&self.decoder, joins, expected)?;
        while !self.batch.rows().is_empty() {
            let next = self.cost(&[]);
            if spent + next / 2 >= cost {
                break;
            }
            spent += next;
            let Passed { pieces, done } = self.batch.pass(&self.decoder, Vec::new(), expected)?;
            passed.pieces.extend(pieces);
            passed.done.extend(done);
        }
        Ok(passed)
    }

    /// Returns the cost of the next pass, in tokens.
    fn cost(&self, joins: &[Join]) -> usize {
        PASS + self.batch.rows().len() + joins.iter().map(Join::new_tokens).sum::<usize>()
    }
}

impl Tiles {
    /// Creates an engine with `workers` threads over the tensors of one decoder, with matrix products in `dtype`; it caches at
    /// most `prefix_bytes` of keys and values.
    pub(crate) fn new(
        decoder: Decoder,
        workers: usize,
        device: Device,
        dtype: Kind,
        prefix_bytes: usize,
    ) -> Self {
        let config = decoder.config();
        let shape = &config.shape;
        let width = if dtype == Kind::Float { 4 } else { 2 };
        let bytes_per_token = (2 * shape.layers * shape.kv_heads * config.head_dim() * width) as usize;
        let kept = prefix_bytes / bytes_per_token;
        let (context, vocab) = (shape.max_positions as usize, decoder.table().size()[0] as usize);
        let decoder = decoder.for_replies();
        let worker = |_| Worker { decoder: decoder.handle(), batch: Batch::new(device, kept > 0) };
        Self {
            workers: (0..workers).map(worker).collect(),
            threads: (workers > 1)
                .then(|| ThreadPoolBuilder::new().num_threads(workers).build().ok())
                .flatten(),
            prefixes: Prefixes::new(kept),
            arrived: Vec::new(),
            queue: VecDeque::new(),
            limits: if device == Device::Cpu { ON_CPU } else { ON_GPU },
            kept,
            context,
            vocab,
        }
    }

    /// Returns the number of tokens that were computed.
    #[cfg(test)]
    fn computed(&self) -> usize {
        self.workers.iter().map(|worker| worker.batch.computed()).sum()
    }

    /// Runs rounds until a reply has ended; returns none if nothing is open.
    fn run(&mut self) -> Result<Vec<(u64, Reply)>, ModelError> {
        loop {
            let chosen = self.admit();
            if chosen.is_empty() && self.workers.iter().all(|worker| worker.batch.rows().is_empty()) {
                return Ok(Vec::new());
            }
            let parts = self.split(chosen);
            let stems = self.stems(&parts);
            let mut done = if stems.is_empty() { Vec::new() } else { self.round(stems)? };
            let join = |waiting: Waiting| {
                let Waiting { id, prompt, end } = waiting;
                let known = self.prefixes.find(&prompt.ids);
                Join { row: Row::new(Some(id), prompt, end), known }
            };
            let mut join = join;
            let joins = parts.into_iter().map(|part| part.into_iter().map(&mut join).collect()).collect();
            done.extend(self.round(joins)?);
            if !done.is_empty() {
                return Ok(done);
            }
        }
    }

    /// Takes the prompts that join in the next round, each with its number of new tokens.
    fn admit(&mut self) -> Vec<(Waiting, usize)> {
        let mut arrived = std::mem::take(&mut self.arrived);
        arrived.sort_by(|a, b| a.prompt.ids.cmp(&b.prompt.ids).then(a.id.cmp(&b.id)));
        self.queue.extend(arrived);
        let Limits { rows, new_tokens } = self.limits;
        let open: usize = self.workers.iter().map(|worker| worker.batch.rows().len()).sum();
        let count = (rows * self.workers.len()).saturating_sub(open);
        let most = new_tokens * self.workers.len();
        let (mut taken, mut tokens): (Vec<(Waiting, usize)>, usize) = (Vec::new(), 0);
        while taken.len() < count && tokens < most {
            let Some(waiting) = self.queue.pop_front() else { break };
            let ids = &waiting.prompt.ids;
            let known: i64 = self.prefixes.find(ids).iter().map(|(_, _, count)| count).sum();
            let before = taken.last().map_or(0, |(last, _)| shared(&last.prompt.ids, ids));
            let new = ids.len() - before.max(known as usize);
            tokens += new;
            taken.push((waiting, new));
        }
        taken
    }

    /// Divides prompts among the workers, neighbours together, so that all have about the same work.
    fn split(&self, chosen: Vec<(Waiting, usize)>) -> Vec<Vec<Waiting>> {
        let mut loads: Vec<usize> = self.workers.iter().map(Worker::work).collect();
        let new: usize = chosen.iter().map(|(waiting, new)| waiting.work(*new)).sum();
        let target = (loads.iter().sum::<usize>() + new).div_ceil(loads.len());
        let mut order: Vec<usize> = (0..loads.len()).collect();
        order.sort_by_key(|&worker| (loads[worker], worker));
        let mut parts: Vec<Vec<Waiting>> = loads.iter().map(|_| Vec::new()).collect();
        let mut at = 0;
        for (waiting, new) in chosen {
            let work = waiting.work(new);
            while at + 1 < order.len() && loads[order[at]] + work / 2 >= target {
                at += 1;
            }
            loads[order[at]] += work;
            parts[order[at]].push(waiting);
        }
        parts
    }

    /// Returns the beginnings, shared by prompts of different workers, that one worker computes first; none if there are none.
    fn stems(&mut self, parts: &[Vec<Waiting>]) -> Vec<Vec<Join>> {
        let mut stems: Vec<Join> = Vec::new();
        let ends: Vec<&Waiting> =
            parts.iter().flat_map(|part| [part.first(), part.last()]).flatten().collect();
        for (at, one) in ends.iter().enumerate() {
            let ids = &one.prompt.ids;
            let of_others = ends[at + 1..].iter().map(|other| shared(ids, &other.prompt.ids));
            let Some(len) = of_others.max().filter(|&len| (STEM..=self.kept).contains(&len)) else {
                continue;
            };
            // One more token than is asked for: the last one is not looked up.
            let known = self.prefixes.find(&ids[..=len]);
            let repeated = stems.iter().any(|stem| shared(&stem.row.prompt.ids, &ids[..=len]) + 1 >= len);
            let new = len - known.iter().map(|(_, _, count)| *count as usize).sum::<usize>();
            if new >= STEM && !repeated {
                let (sampling, constraint, stop) = (None, None, None);
                let prompt = Prompt { ids: ids[..len].to_vec(), budget: 0, sampling, constraint, stop };
                stems.push(Join { row: Row::new(None, prompt, [].into()), known });
            }
        }
        if stems.is_empty() {
            return Vec::new();
        }
        let mut joins: Vec<Vec<Join>> = parts.iter().map(|_| Vec::new()).collect();
        joins[0] = stems;
        joins
    }

    /// Runs one round of all workers and adds what they computed to the cache of prefixes.
    fn round(&mut self, joins: Vec<Vec<Join>>) -> Result<Vec<(u64, Reply)>, ModelError> {
        let costs = self.workers.iter().zip(&joins).map(|(worker, joins)| worker.cost(joins));
        let cost = costs.max().unwrap_or(0);
        let waiting = self.queue.len().div_ceil(self.workers.len());
        let longest = self.queue.iter().map(|waiting| waiting.prompt.ids.len() + MORE).max().unwrap_or(0);
        let rows = self.limits.rows;
        let run = |worker: &mut Worker, joins: Vec<Join>| {
            let rows = (worker.batch.rows().len() + joins.len() + waiting).min(rows);
            worker.round(joins, cost, (rows, longest))
        };
        let mut busy: Vec<(&mut Worker, Vec<Join>)> = self
            .workers
            .iter_mut()
            .zip(joins)
            .filter(|(worker, joins)| !(joins.is_empty() && worker.batch.rows().is_empty()))
            .collect();
        let passed: Vec<Result<Passed, ModelError>> = if busy.len() == 1 {
            busy.drain(..).map(|(worker, joins)| run(worker, joins)).collect()
        } else {
            let caught = |(worker, joins)| {
                let passed = catch_unwind(AssertUnwindSafe(|| run(worker, joins)));
                passed.unwrap_or_else(|payload| Err(ModelError::thread(&*payload)))
            };
            match &self.threads {
                Some(threads) => threads.install(|| busy.into_par_iter().map(caught).collect()),
                None => busy.into_iter().map(caught).collect(),
            }
        };
        let mut done = Vec::new();
        for passed in passed {
            let passed = passed?;
            for (ids, before, piece) in passed.pieces {
                let count = (ids.len() - before) as i64;
                self.prefixes.insert(&ids, before, [(piece, 0, count)]);
                self.prefixes.trim();
            }
            done.extend(passed.done);
        }
        Ok(done)
    }
}

impl Engine for Tiles {
    fn context(&self) -> usize {
        self.context
    }

    fn submit(&mut self, id: u64, prompt: Prompt, end: &[u32]) -> Result<(), EngineError> {
        // On a GPU an id outside the vocabulary aborts the process.
        prompt.check(self.context, self.vocab, end).map_err(EngineError::new)?;
        self.arrived.push(Waiting { id, prompt, end: end.into() });
        Ok(())
    }

    fn advance(&mut self) -> Result<Vec<(u64, Reply)>, EngineError> {
        let result = self.run();
        if result.is_err() {
            self.arrived.clear();
            self.queue.clear();
            self.workers.iter_mut().for_each(|worker| worker.batch.clear());
        }
        result.map_err(EngineError::new)
    }

    fn cancel(&mut self, id: u64) -> Result<(), EngineError> {
        self.arrived.retain(|waiting| waiting.id != id);
        self.queue.retain(|waiting| waiting.id != id);
        for worker in &mut self.workers {
            worker.batch.cancel(id).map_err(EngineError::new)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
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
    fn tiles_give_what_one_batch_gives() {
        let config = ModelConfig::new(tiny(), 20, 0).expect("a model");
        let weights = Weights::init(&config, 1, Device::Cpu);
        let frame = Frame::new(&weights, Kind::Float);
        let decoder = || frame.decoder(&weights.trained.buffer);
        let mut tiles = Tiles::new(decoder(), 2, Device::Cpu, Kind::Float, 1 << 20);
        let (mut same, mut total) = (0, 0);
        for call in 0..2 {
            let prompts: Vec<Prompt> = (0..70u32)
                .map(|index| {
                    let ids = (0..1 + index / 3 + call).map(|at| (at * at + index % 3) % 20).collect();
                    Prompt {
                        ids,
                        budget: 1 + index as usize % 7,
                        sampling: None,
                        constraint: None,
                        stop: None,
                    }
                })
                .collect();
            let expected = generate(&decoder(), &prompts, &[3], Device::Cpu).unwrap();
            for (found, expected) in tiles.complete(prompts, &[3]).unwrap().iter().zip(&expected) {
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
        assert!(!tiles.prefixes.find(&[0, 1, 4, 9]).is_empty());
        let unknown = Prompt { ids: vec![1, 20], budget: 1, sampling: None, constraint: None, stop: None };
        let error = tiles.complete(vec![unknown], &[3]).unwrap_err().to_string();
        assert_eq!(error, "prompt 0 of the call: token 20 is not in the vocabulary of 20");
    }

    /// Workers of a model with adapters use the tensors of its weights.
    #[test]
    fn workers_share_what_is_frozen() {
        let config = ModelConfig::new(tiny(), 20, 0).expect("a model");
        let weights =
            Weights::init(&config, 1, Device::Cpu).with_lora(&Lora::default(), 1).expect("adapters");
        for dtype in [Kind::Float, Kind::BFloat16] {
            let weights =
                weights.merged().unwrap().cast_frozen(dtype).with_lora(&Lora::default(), 1).unwrap();
            let own = |name: &str| weights.frozen()[name].data_ptr();
            let decoder = Frame::new(&weights, Kind::Float).decoder(&weights.trained.buffer);
            let tiles = Tiles::new(decoder, 2, Device::Cpu, Kind::Float, 1 << 20);
            // Small matrices in f32 have one transposed copy in all.
            let copies = usize::from(dtype == Kind::Float);
            let [first, second] = [0, 1].map(|worker: usize| &tiles.workers[worker].decoder);
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
        let tiles = Tiles::new(decoder, 2, Device::Cpu, Kind::Float, 1 << 20);
        let [first, second] = [0, 1].map(|worker| tiles.workers[worker].decoder.blocks[0].qkv.matrices());
        assert!(first == second && first.len() == 2, "a trained matrix has one transposed copy in all");
    }

    /// Half of the prompts have a constraint, and half of those sample; the others reply as without them.
    #[test]
    fn constrained_replies_are_allowed_and_change_no_other() {
        let config = ModelConfig::new(tiny(), 20, 0).expect("a model");
        let weights = Weights::init(&config, 1, Device::Cpu);
        let frame = Frame::new(&weights, Kind::Float);
        let decoder = || frame.decoder(&weights.trained.buffer);
        let tiles = || Tiles::new(decoder(), 2, Device::Cpu, Kind::Float, 1 << 20);
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
        let found = tiles().complete(mixed, &[3]).unwrap();
        let alone = tiles().complete(free.clone(), &[3]).unwrap();
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
        let found = tiles().complete(prompts.into_iter().map(bound).collect(), &[3]).unwrap();
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
            let noise: Vec<f32> =
                (0..weights.trained.count()).map(|_| rng.random_range(-0.25..0.25)).collect();
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
            let mut tiles = Tiles::new(decoder.handle(), workers, Device::Cpu, Kind::Float, 1 << 20);
            tiles.complete(prompts.clone(), &[]).unwrap();
            assert_eq!(tiles.computed(), 20 + 12 * 5 + replies, "{workers} workers");
            tiles.complete(prompts.clone(), &[]).unwrap();
            assert_eq!(tiles.computed(), 20 + 12 * 5 + 12 + 2 * replies, "{workers} workers");
            // Equal prompts of one call, sampled or not.
            let before = tiles.computed();
            tiles.complete(vec![prompt(random(9, &mut rng), 1); 4], &[]).unwrap();
            assert!(tiles.computed() - before <= 9 * workers, "{workers} workers");
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
                let mut tiles = Tiles::new(decoder.handle(), 2, Device::Cpu, Kind::Float, limit);
                for (id, prompt) in (0..).zip(&prompts) {
                    tiles.submit(id, prompt.clone(), &[3]).unwrap();
                }
                let mut left = prompts.len();
                while left > 0 {
                    let finished = tiles.advance().unwrap();
                    assert!(!finished.is_empty() && tiles.prefixes.size() <= tokens);
                    left -= finished.len();
                    let same_ids = |(id, reply): &&(u64, Reply)| reply.ids == expected[*id as usize].ids;
                    same += finished.iter().filter(same_ids).count();
                }
                assert!(tiles.advance().unwrap().is_empty());
                computed.push(tiles.computed());
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
                    let mut tiles = Tiles::new(decoder.handle(), workers, Device::Cpu, Kind::Float, 5000);
                    let mut replies = vec![None; count];
                    let mut next = 0;
                    for &arriving in &arrivals {
                        for (id, prompt) in (next as u64..).zip(&prompts[next..next + arriving]) {
                            tiles.submit(id, prompt.clone(), &[3]).unwrap();
                        }
                        next += arriving;
                        for (id, reply) in tiles.advance().unwrap() {
                            replies[id as usize] = Some(reply);
                        }
                        // The youngest is withdrawn if it has no reply yet.
                        if arriving > 3 {
                            tiles.cancel(next as u64 - 1).unwrap();
                        }
                    }
                    loop {
                        let finished = tiles.advance().unwrap();
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
}
