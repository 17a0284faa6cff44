//! The [`Generator`] over a model in this process.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use stepladder_agent::fit::shrink;
use stepladder_agent::generator::{Completion, GenerateError, Generator, Request};
use stepladder_core::style::PromptStyle;
use stepladder_data::WordTokenizer;
use tch::{Device, Kind, Tensor};

use crate::cache::{Prompt, Reply, generate};
use crate::decoder::{Decoder, rotations};
use crate::factors::Factors;
use crate::params::Params;

/// Rows decoded together by one worker. Chosen on a 2-core machine; `benches/` has the sweep.
const TILE: usize = 64;

/// Everything that turns a query into a reply.
pub struct LocalGenerator {
    decoders: Vec<Decoder>,
    style: Arc<dyn PromptStyle>,
    tokenizer: Arc<WordTokenizer>,
    device: Device,
    policy: String,
    sessions: FxHashMap<u64, Vec<Vec<u32>>>,
}

struct Prepared {
    text: String,
    ids: Vec<u32>,
    /// New tokens that fit behind it, at most those asked for.
    budget: usize,
    shortened: bool,
}

impl LocalGenerator {
    /// A generator over `params` with `workers` threads; `policy` names it in traces.
    pub fn new(
        params: &Params,
        factors: &Factors,
        style: Arc<dyn PromptStyle>,
        tokenizer: Arc<WordTokenizer>,
        workers: usize,
        kind: Kind,
        policy: String,
    ) -> Self {
        let device = params.flat.device();
        let decoders = tch::no_grad(|| {
            let incidence = factors.matrix(device);
            let rotations = rotations(&params.layout.config().shape, device);
            (0..workers.max(1))
                .map(|_| Decoder::new(&params.layout, &params.flat, incidence.as_ref(), &rotations, kind))
                .collect()
        });
        Self { decoders, style, tokenizer, device, policy, sessions: FxHashMap::default() }
    }

    fn prepare(&self, request: &Request<'_>) -> Result<Prepared, GenerateError> {
        let window = self.decoders[0].shape().max_positions as usize;
        let budget = request.budget as usize;
        let text = self.style.prompt(request.query);
        let ids = self.tokenizer.encode(&text);
        if ids.len() + budget <= window {
            return Ok(Prepared { text, ids, budget, shortened: false });
        }
        let mut query = request.query.clone();
        loop {
            let more = shrink(&mut query);
            let text = self.style.prompt(&query);
            let ids = self.tokenizer.encode(&text);
            if ids.len() + budget <= window {
                return Ok(Prepared { text, ids, budget, shortened: true });
            }
            if more {
                continue;
            }
            // An untrained model's own words can fill a prompt; its next reply is cut rather than the run ended.
            return match window.checked_sub(ids.len()) {
                Some(room @ 1..) => Ok(Prepared { text, ids, budget: room, shortened: true }),
                _ => Err(GenerateError::Window { role: request.query.role(), needed: ids.len() + 1, window }),
            };
        }
    }

    /// Tokens of `ids` that no earlier call of the session began with.
    fn uncached(&self, session: u64, ids: &[u32]) -> usize {
        let shared = self
            .sessions
            .get(&session)
            .into_iter()
            .flatten()
            .map(|earlier| earlier.iter().zip(ids).take_while(|(a, b)| a == b).count());
        // The last prompt token is always computed: its output is the first new token.
        ids.len() - shared.max().unwrap_or(0).min(ids.len().saturating_sub(1))
    }
}

/// The least probability gap below which two decodings may differ (design D3).
pub const NEAR_TIE: f64 = 1e-4;

impl Generator for LocalGenerator {
    fn generate(&mut self, requests: &[Request<'_>]) -> Result<Vec<Completion>, GenerateError> {
        let prepared: Vec<Prepared> =
            requests.iter().map(|request| self.prepare(request)).collect::<Result<_, _>>()?;
        let mut order: Vec<usize> = (0..requests.len()).collect();
        order.sort_by_key(|&index| (prepared[index].ids.len(), index));
        // Smaller tiles than TILE where there is too little work for all workers.
        let tile = requests.len().div_ceil(self.decoders.len()).clamp(1, TILE);
        let tiles: Vec<&[usize]> = order.chunks(tile).collect();
        let prompts_of = |tile: &[usize]| -> Vec<Prompt> {
            tile.iter()
                .map(|&index| Prompt {
                    ids: prepared[index].ids.clone(),
                    budget: prepared[index].budget,
                    sampling: requests[index].sampling.as_ref().map(|s| (s.temperature, s.rng.clone())),
                })
                .collect()
        };
        let (end, pad, device) = (self.tokenizer.end(), self.tokenizer.pad(), self.device);
        let workers = self.decoders.len();
        let mut replies: Vec<Option<Reply>> = vec![None; requests.len()];
        let run = |worker: usize, decoder: &Decoder| -> Vec<(usize, Reply)> {
            let mut written = Vec::new();
            for tile in tiles.iter().skip(worker).step_by(workers) {
                let mut prompts = prompts_of(tile);
                let tile_replies = generate(decoder, &mut prompts, end, pad, device);
                written.extend(tile.iter().copied().zip(tile_replies));
            }
            written
        };
        let written: Vec<Vec<(usize, Reply)>> = if workers == 1 || tiles.len() == 1 {
            (0..workers).map(|worker| run(worker, &self.decoders[0])).collect()
        } else {
            let run = &run;
            std::thread::scope(|scope| {
                let handles: Vec<_> = self
                    .decoders
                    .iter_mut()
                    .enumerate()
                    .map(|(worker, decoder)| scope.spawn(move || run(worker, decoder)))
                    .collect();
                handles.into_iter().map(|handle| handle.join().expect("a decoding thread panicked")).collect()
            })
        };
        for (index, reply) in written.into_iter().flatten() {
            replies[index] = Some(reply);
        }
        let mut completions = Vec::with_capacity(requests.len());
        for ((request, prepared), reply) in requests.iter().zip(prepared).zip(replies) {
            let reply = reply.unwrap_or_default();
            let uncached = self.uncached(request.session, &prepared.ids);
            let words: &[u32] =
                if reply.ids.last() == Some(&end) { &reply.ids[..reply.ids.len() - 1] } else { &reply.ids };
            let text = self.style.decode_reply(request.query.role(), &self.tokenizer.decode(words));
            let mut sequence = prepared.ids.clone();
            sequence.extend(&reply.ids);
            self.sessions.entry(request.session).or_default().push(sequence);
            completions.push(Completion {
                text,
                prompt: prepared.text,
                prompt_tokens: prepared.ids.len() as u32,
                uncached_tokens: uncached as u32,
                tokens: reply.ids.iter().map(|&id| i64::from(id)).collect(),
                logprobs: reply.logprobs,
                cut: reply.cut,
                shortened: prepared.shortened,
            });
        }
        Ok(completions)
    }

    fn end_session(&mut self, session: u64) {
        self.sessions.remove(&session);
    }

    fn policy(&self) -> String {
        self.policy.clone()
    }
}

/// A short name for a set of parameters: the first 64 bits of the SHA-256 of their bytes, in hexadecimal.
pub fn fingerprint(flat: &Tensor) -> String {
    let values: Vec<f32> = Vec::try_from(flat.to_device(Device::Cpu)).expect("a vector of f32");
    let mut text = String::with_capacity(values.len() * 8);
    for value in values {
        use std::fmt::Write;
        let _ = write!(text, "{:08x}", value.to_bits());
    }
    format!("{:016x}", stepladder_core::seed::fingerprint(&text))
}
