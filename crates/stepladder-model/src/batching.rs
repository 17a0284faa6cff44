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

const ON_CPU: Limits = Limits { rows: 96, new_tokens: 1024 };
const ON_GPU: Limits = Limits { rows: 256, new_tokens: 8192 };
/// Cost of a pass without tokens, in tokens (docs/benchmarks.md).
const PASS: usize = 10;
/// Prompts that go to different workers and share at least this number of tokens beyond the known ones have these computed
/// first, by one worker.
const STEM: usize = 16;

/// Engine with one decoder and one batch per worker.
pub(crate) struct BatchEngine {
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

impl BatchEngine {
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

impl Engine for BatchEngine {
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
mod tests;
