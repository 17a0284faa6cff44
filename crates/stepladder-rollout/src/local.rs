//! The [`BatchGenerator`] over an engine in this process.

use std::sync::Arc;

use rayon::prelude::*;
use rustc_hash::FxHashMap;
use stepladder_core::Query;
use stepladder_core::trace::TurnTokens;
use stepladder_data::fit::shrink;
use stepladder_data::{PromptEncoder, Rendered};

use crate::engine::{Engine, Prompt, Reply};
use crate::generator::{BatchGenerator, Completion, GenerateError, Request};

/// Default of the tokens of prompts whose greedy replies are remembered: some 50 MB.
pub const DEFAULT_REMEMBERED_TOKENS: usize = 4_000_000;

/// Everything that turns a query into a reply.
pub struct LocalGenerator {
    engine: Box<dyn Engine>,
    encoder: Arc<dyn PromptEncoder>,
    policy: String,
    sessions: FxHashMap<u64, Seen>,
    /// Greedy replies by prompt and budget: nothing else decides them, and a looping episode asks the same again.
    greedy: FxHashMap<(Vec<u32>, usize), Reply>,
    /// Prompt tokens in `greedy`, and the limit beyond which it is emptied.
    remembered: usize,
    remembered_tokens: usize,
}

/// A prompt as the model reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fitted {
    /// The prompt's text.
    pub text: String,
    /// Its tokens.
    pub ids: Vec<u32>,
    /// New tokens that fit behind it, at most those asked for.
    pub budget: usize,
}

/// The prompt of `query`, shortened until it and the budget of its role fit into `window` tokens. Where shortening is not
/// enough, the budget is smaller.
///
/// # Errors
/// [`GenerateError::Window`] if not one new token fits.
pub fn fit(query: &Query, window: usize, encoder: &dyn PromptEncoder) -> Result<Fitted, GenerateError> {
    let budget = encoder.budget(query.role()) as usize;
    let Rendered { text, ids } = encoder.render(query);
    if ids.len() + budget <= window {
        return Ok(Fitted { text, ids, budget });
    }
    let mut shorter = query.clone();
    loop {
        let more = shrink(&mut shorter);
        let Rendered { text, ids } = encoder.render(&shorter);
        if ids.len() + budget <= window {
            return Ok(Fitted { text, ids, budget });
        }
        if more {
            continue;
        }
        // An untrained model's own words can fill a prompt; its next reply is cut rather than the run ended.
        return match window.checked_sub(ids.len()) {
            Some(room @ 1..) => Ok(Fitted { text, ids, budget: room }),
            _ => Err(GenerateError::Window { role: query.role(), needed: ids.len() + 1, window }),
        };
    }
}

impl LocalGenerator {
    /// A generator over an engine; `policy` names it in traces. It remembers greedy replies until their prompts have more than
    /// `remembered_tokens` tokens ([`DEFAULT_REMEMBERED_TOKENS`]).
    pub fn new(
        engine: Box<dyn Engine>,
        encoder: Arc<dyn PromptEncoder>,
        remembered_tokens: usize,
        policy: String,
    ) -> Self {
        Self {
            engine,
            encoder,
            policy,
            sessions: FxHashMap::default(),
            greedy: FxHashMap::default(),
            remembered: 0,
            remembered_tokens,
        }
    }

    /// A reply to every request, in order: remembered, the same as an equal request's, or written.
    fn replies(&mut self, requests: &[&Request], prepared: &[&Fitted]) -> Result<Vec<Reply>, GenerateError> {
        let key = |index: usize| (prepared[index].ids.clone(), prepared[index].budget);
        if self.remembered > self.remembered_tokens {
            self.greedy.clear();
            self.remembered = 0;
        }
        let mut asked: FxHashMap<(Vec<u32>, usize), usize> = FxHashMap::default();
        let mut writing: Vec<usize> = Vec::new();
        for (index, request) in requests.iter().enumerate() {
            if request.sampling.is_some() {
                writing.push(index);
                continue;
            }
            let key = key(index);
            if !self.greedy.contains_key(&key) {
                asked.entry(key).or_insert_with(|| {
                    writing.push(index);
                    index
                });
            }
        }
        let mut sampled: FxHashMap<usize, Reply> = FxHashMap::default();
        for (index, reply) in self.write(&writing, requests, prepared)? {
            if requests[index].sampling.is_some() {
                sampled.insert(index, reply);
            } else {
                self.remembered += prepared[index].ids.len();
                self.greedy.insert(key(index), reply);
            }
        }
        let reply = |index: usize| {
            sampled.remove(&index).or_else(|| self.greedy.get(&key(index)).cloned()).unwrap_or_default()
        };
        Ok((0..requests.len()).map(reply).collect())
    }

    fn completion(&mut self, request: &Request, prompt: Fitted, reply: Reply) -> Completion {
        let seen = self.sessions.entry(request.session).or_default();
        let uncached = seen.uncached(&prompt.ids, &reply.ids);
        Completion {
            text: self.encoder.decode(request.query.role(), &reply.ids),
            prompt: prompt.text,
            prompt_tokens: prompt.ids.len() as u32,
            uncached_tokens: uncached as u32,
            new_tokens: reply.ids.len() as u32,
            tokens: Some(TurnTokens { prompt: prompt.ids, reply: reply.ids, logprobs: Some(reply.logprobs) }),
            cut: reply.cut,
        }
    }

    /// Has the model write the replies of some requests.
    fn write(
        &mut self,
        wanted: &[usize],
        requests: &[&Request],
        prepared: &[&Fitted],
    ) -> Result<Vec<(usize, Reply)>, GenerateError> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let prompts = wanted.iter().map(|&index| Prompt {
            ids: prepared[index].ids.clone(),
            budget: prepared[index].budget,
            sampling: requests[index].sampling.clone(),
        });
        let (end, pad) = (self.encoder.end(), self.encoder.pad());
        let replies = self.engine.complete(prompts.collect(), end, pad);
        let replies = replies.map_err(|error| GenerateError::Backend(error.to_string()))?;
        Ok(wanted.iter().copied().zip(replies).collect())
    }
}

/// Beginnings of the sequences that a session has read and written, for counting what a kept cache would save.
#[derive(Default)]
struct Seen {
    /// (place, next token) → place; place 0 is the beginning.
    next: FxHashMap<(u32, u32), u32>,
}

impl Seen {
    /// Tokens of a prompt that no earlier sequence began with; prompt and reply are known from then on.
    fn uncached(&mut self, prompt: &[u32], reply: &[u32]) -> usize {
        let (mut place, mut known, mut fresh) = (0, 0, false);
        for (at, &id) in prompt.iter().chain(reply).enumerate() {
            let new = self.next.len() as u32 + 1;
            let found = *self.next.entry((place, id)).or_insert(new);
            fresh |= found == new;
            known += usize::from(!fresh && at < prompt.len());
            place = found;
        }
        // The last prompt token is always computed: its output is the first new token.
        prompt.len() - known.min(prompt.len().saturating_sub(1))
    }
}

impl BatchGenerator for LocalGenerator {
    fn generate(
        &mut self,
        requests: &[Request],
    ) -> Result<Vec<Result<Completion, GenerateError>>, GenerateError> {
        let (window, encoder) = (self.engine.context(), &*self.encoder);
        let fitted: Vec<Result<Fitted, GenerateError>> =
            requests.par_iter().map(|request| fit(&request.query, window, encoder)).collect();
        let answerable: Vec<&Request> = requests
            .iter()
            .zip(&fitted)
            .filter(|(_, fitted)| fitted.is_ok())
            .map(|(request, _)| request)
            .collect();
        let prepared: Vec<&Fitted> = fitted.iter().flatten().collect();
        let mut replies = self.replies(&answerable, &prepared)?.into_iter();
        let completions = requests.iter().zip(fitted).map(|(request, fitted)| {
            let fitted = fitted?;
            Ok(self.completion(request, fitted, replies.next().unwrap_or_default()))
        });
        Ok(completions.collect())
    }

    fn end_session(&mut self, session: u64) {
        self.sessions.remove(&session);
    }

    fn policy(&self) -> String {
        self.policy.clone()
    }
}
