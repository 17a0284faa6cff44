//! The [`BatchGenerator`] over an engine in this process.

use std::sync::Arc;

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};
use stepladder_core::trace::TurnTokens;
use stepladder_core::{Query, Role};
use stepladder_data::encoder::EncoderError;
use stepladder_data::fit::shrink;
use stepladder_data::{Overflow, PromptEncoder, Rendered};

use crate::constrain;
use crate::engine::{Engine, Prompt, Reply};
use crate::generator::{BatchGenerator, Completion, GenerateError, Request};
use crate::stop::{Stop, StopStrings};
use crate::trie::{Constraint, Trie};

/// Default limit on the prompt tokens of cached greedy replies: about 50 MB.
pub const DEFAULT_REMEMBERED_TOKENS: usize = 4_000_000;

/// Generator over an engine in this process: renders prompts, completes them and caches greedy replies.
pub struct LocalGenerator {
    engine: Box<dyn Engine>,
    encoder: Arc<dyn PromptEncoder>,
    policy: String,
    sessions: FxHashMap<u64, Seen>,
    /// Greedy replies by what determines them; an episode in a loop repeats its prompts.
    greedy: FxHashMap<GreedyKey, Reply>,
    /// Tries of allowed replies; `None` where none of them can be written.
    tries: FxHashMap<TrieKey, Option<Arc<Trie>>>,
    /// Searches for stop strings by the list of a request; `None` where the prompt style has no text.
    stops: FxHashMap<Arc<[String]>, Option<Arc<StopStrings>>>,
    /// Roles whose shared beginning was computed.
    primed: FxHashSet<Role>,
    /// Prompt tokens in `greedy` and nodes in `tries`, and the limit beyond which both are emptied.
    remembered: usize,
    remembered_tokens: usize,
}

/// Prompt, budget, constraint and stop strings.
type GreedyKey = (Vec<u32>, usize, Option<Arc<Trie>>, Option<Arc<[String]>>);
/// Role, budget and native replies.
type TrieKey = (Role, usize, Arc<[String]>);

/// A prompt with the constraint on its reply.
struct Prepared {
    prompt: Fitted,
    trie: Option<Arc<Trie>>,
    stop: Option<Arc<StopStrings>>,
}

/// A prompt that fits into the context window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fitted {
    /// Text of the prompt.
    pub text: String,
    /// Token ids of the prompt.
    pub ids: Vec<u32>,
    /// Generation budget: the role's, or less where the context window has no more free tokens.
    pub budget: usize,
    /// Number of parts that were removed.
    pub shortened: u32,
}

/// Renders the prompt of `query`. If it exceeds `context` tokens together with the budget of its role, [`Overflow::Shorten`]
/// shortens it until it fits; where that is not enough, it reduces the budget.
///
/// # Errors
/// [`GenerateError::Overflow`] for a prompt that would have to be shortened with [`Overflow::Stop`], [`GenerateError::Window`]
/// if not even one new token fits, and [`GenerateError::Prompt`] if the prompt cannot be rendered.
pub fn fit(
    query: &Query,
    context: usize,
    encoder: &dyn PromptEncoder,
    overflow: Overflow,
) -> Result<Fitted, GenerateError> {
    let role = query.role();
    let render = |query: &Query| {
        let refused = |error: EncoderError| GenerateError::Prompt { role, reason: error.to_string() };
        encoder.render(query).map_err(refused)
    };
    let budget = encoder.budget(role) as usize;
    let Rendered { text, ids } = render(query)?;
    if ids.len() + budget <= context {
        return Ok(Fitted { text, ids, budget, shortened: 0 });
    }
    if overflow == Overflow::Stop {
        return Err(GenerateError::Overflow { role, needed: ids.len() + budget, context });
    }
    let mut shorter = query.clone();
    let mut shortened = 0;
    loop {
        let more = shrink(&mut shorter);
        shortened += u32::from(more);
        let Rendered { text, ids } = render(&shorter)?;
        if ids.len() + budget <= context {
            return Ok(Fitted { text, ids, budget, shortened });
        }
        if more {
            continue;
        }
        // The replies of an untrained model can fill a prompt: cutting the next reply is better than ending the run.
        return match context.checked_sub(ids.len()) {
            Some(free @ 1..) => Ok(Fitted { text, ids, budget: free, shortened }),
            _ => Err(GenerateError::Window { role, needed: ids.len() + 1, context }),
        };
    }
}

impl LocalGenerator {
    /// Creates a generator over an engine; `policy` is its name in traces. It caches greedy replies until their prompts have
    /// more than `remembered_tokens` tokens ([`DEFAULT_REMEMBERED_TOKENS`]).
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
            tries: FxHashMap::default(),
            stops: FxHashMap::default(),
            primed: FxHashSet::default(),
            remembered: 0,
            remembered_tokens,
        }
    }

    /// Adds the constraints of the requests to their prompts. A trie is built once for equal lists of allowed replies.
    fn constrain(
        &mut self,
        requests: &[Request],
        fitted: Vec<Result<Fitted, GenerateError>>,
    ) -> Vec<Result<Prepared, GenerateError>> {
        let key = |request: &Request, prompt: &Fitted| -> Option<TrieKey> {
            Some((request.query.role(), prompt.budget, request.allowed.clone()?))
        };
        let pairs = || requests.iter().zip(&fitted);
        let keys: FxHashSet<TrieKey> =
            pairs().filter_map(|(request, prompt)| key(request, prompt.as_ref().ok()?)).collect();
        let missing: Vec<TrieKey> = keys.into_iter().filter(|key| !self.tries.contains_key(key)).collect();
        let encoder = &*self.encoder;
        let build = |(role, budget, replies): TrieKey| {
            let trie = constrain::trie(encoder, role, &replies, budget).map(Arc::new);
            ((role, budget, replies), trie)
        };
        let built: Vec<_> = missing.into_par_iter().map(build).collect();
        self.remembered += built.iter().flat_map(|(_, trie)| trie).map(|trie| trie.size()).sum::<usize>();
        self.tries.extend(built);
        for list in requests.iter().filter_map(|request| request.stop.as_ref()) {
            if !self.stops.contains_key(list) {
                let search = encoder.writing().map(|writing| Arc::new(StopStrings::new(list, writing)));
                self.stops.insert(list.clone(), search);
            }
        }
        let prepare = |(request, prompt): (&Request, Result<Fitted, GenerateError>)| {
            let prompt = prompt?;
            let Some(key) = key(request, &prompt) else {
                let search = |list| self.stops.get(list).cloned().flatten();
                let stop = request.stop.as_ref().map(search);
                if stop == Some(None) {
                    return Err(GenerateError::StopStrings { style: encoder.id() });
                }
                return Ok(Prepared { prompt, trie: None, stop: stop.flatten() });
            };
            match self.tries.get(&key).cloned().flatten() {
                Some(trie) => Ok(Prepared { prompt, trie: Some(trie), stop: None }),
                None => {
                    let (role, budget, replies) = key;
                    Err(GenerateError::Constraint { role, count: replies.len(), budget })
                }
            }
        };
        requests.iter().zip(fitted).map(prepare).collect()
    }

    /// Returns a reply to every request, in order: a cached one, that of an equal request, or a new one.
    fn replies(
        &mut self,
        requests: &[&Request],
        prepared: &[&Prepared],
    ) -> Result<Vec<Reply>, GenerateError> {
        let key = |index: usize| {
            let Prepared { prompt, trie, .. } = prepared[index];
            (prompt.ids.clone(), prompt.budget, trie.clone(), requests[index].stop.clone())
        };
        let mut asked: FxHashMap<GreedyKey, usize> = FxHashMap::default();
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
                self.remembered += prepared[index].prompt.ids.len();
                self.greedy.insert(key(index), reply);
            }
        }
        let reply = |index: usize| {
            sampled.remove(&index).or_else(|| self.greedy.get(&key(index)).cloned()).unwrap_or_default()
        };
        Ok((0..requests.len()).map(reply).collect())
    }

    fn completion(&mut self, request: &Request, prepared: Prepared, reply: Reply) -> Completion {
        let Prepared { prompt, stop, .. } = prepared;
        let role = request.query.role();
        let ended = reply.ids.last().is_some_and(|id| self.encoder.end().contains(id));
        let stopped = stop.filter(|_| !ended).and_then(|stop| stop.before(&reply.ids));
        let seen = self.sessions.entry(request.session).or_default();
        let uncached = seen.uncached(&prompt.ids, &reply.ids);
        Completion {
            text: match stopped {
                Some(before) => self.encoder.native(role, &before),
                None => self.encoder.decode(role, &reply.ids),
            },
            prompt: prompt.text,
            prompt_tokens: prompt.ids.len() as u32,
            uncached_tokens: uncached as u32,
            new_tokens: reply.ids.len() as u32,
            tokens: Some(TurnTokens { prompt: prompt.ids, reply: reply.ids, logprobs: Some(reply.logprobs) }),
            cut: reply.cut,
            shortened: prompt.shortened,
        }
    }

    /// Computes the beginning that all prompts of a role share before the first prompts of that role, so that the engine finds it
    /// in its cache instead of computing it for each of them.
    fn prime(&mut self, roles: impl Iterator<Item = Role>) -> Result<(), GenerateError> {
        let mut beginnings = Vec::new();
        for role in roles {
            if self.primed.insert(role) {
                let ids = self.encoder.shared(role);
                // A longer beginning belongs to prompts that do not fit.
                if !ids.is_empty() && ids.len() < self.engine.context() {
                    beginnings.push(Prompt { ids, budget: 1, sampling: None, constraint: None, stop: None });
                }
            }
        }
        if !beginnings.is_empty() {
            self.complete(beginnings)?;
        }
        Ok(())
    }

    fn complete(&mut self, prompts: Vec<Prompt>) -> Result<Vec<Reply>, GenerateError> {
        let (end, pad) = (self.encoder.end(), self.encoder.pad());
        let replies = self.engine.complete(prompts, end, pad);
        replies.map_err(|error| GenerateError::Backend(error.to_string()))
    }

    /// Completes the prompts of some requests with the engine.
    fn write(
        &mut self,
        wanted: &[usize],
        requests: &[&Request],
        prepared: &[&Prepared],
    ) -> Result<Vec<(usize, Reply)>, GenerateError> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        self.prime(wanted.iter().map(|&index| requests[index].query.role()))?;
        let prompts = wanted.iter().map(|&index| Prompt {
            ids: prepared[index].prompt.ids.clone(),
            budget: prepared[index].prompt.budget,
            sampling: requests[index].sampling.clone(),
            constraint: prepared[index].trie.clone().map(Constraint::new),
            stop: prepared[index].stop.clone().map(Stop::new),
        });
        let replies = self.complete(prompts.collect())?;
        Ok(wanted.iter().copied().zip(replies).collect())
    }
}

/// Sequences of a session as a prefix tree, to count the tokens that a cache would save.
#[derive(Default)]
struct Seen {
    /// (node, next token) → node; node 0 is the root.
    next: FxHashMap<(u32, u32), u32>,
}

impl Seen {
    /// Counts the tokens of a prompt that are in no earlier sequence's prefix, then adds prompt and reply.
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
        let (context, encoder) = (self.engine.context(), &*self.encoder);
        let overflow = encoder.overflow();
        let fitted: Vec<Result<Fitted, GenerateError>> =
            requests.par_iter().map(|request| fit(&request.query, context, encoder, overflow)).collect();
        if self.remembered > self.remembered_tokens {
            self.greedy.clear();
            self.tries.clear();
            self.remembered = 0;
        }
        let prepared: Vec<Result<Prepared, GenerateError>> = self.constrain(requests, fitted);
        let answerable: Vec<&Request> = requests
            .iter()
            .zip(&prepared)
            .filter(|(_, prepared)| prepared.is_ok())
            .map(|(request, _)| request)
            .collect();
        let prompts: Vec<&Prepared> = prepared.iter().flatten().collect();
        let mut replies = self.replies(&answerable, &prompts)?.into_iter();
        let completions = requests.iter().zip(prepared).map(|(request, prepared)| {
            let prepared = prepared?;
            Ok(self.completion(request, prepared, replies.next().unwrap_or_default()))
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
