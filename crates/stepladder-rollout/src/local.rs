//! The [`Generator`] over an engine in this process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};
use stepladder_core::trace::TurnTokens;
use stepladder_core::{Query, Role};
use stepladder_data::encoder::EncoderError;
use stepladder_data::fit::shrink;
use stepladder_data::{Overflow, PromptEncoder, Rendered};

use crate::constrain;
use crate::engine::{Engine, Prompt, Reply};
use crate::generator::{Answer, Completion, GenerateError, Generator, Request, RequestId};
use crate::stop::{Stop, StopStrings};
use crate::trie::{Constraint, Trie};

/// Default limit on the prompt tokens of cached greedy replies: about 50 MB.
pub const DEFAULT_REMEMBERED_TOKENS: usize = 4_000_000;

/// Generator over an engine in this process: renders prompts, completes them and caches greedy replies.
///
/// A request joins those whose replies are being written at the next [`Generator::poll`] that waits, which runs the engine until a
/// reply is finished. Equal greedy requests share one reply.
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
    /// Requests since the last poll that waited.
    submitted: Vec<Request>,
    /// Replies that the engine writes, by its identifier.
    writing: BTreeMap<u64, Writing>,
    /// Greedy replies among them.
    asked: FxHashMap<GreedyKey, u64>,
    /// Identifier of the next prompt.
    next: u64,
    /// Number of requests so far; answers that are found together are in this order.
    count: u64,
}

/// A reply that the engine writes.
struct Writing {
    /// What determines the reply, if it is greedy.
    key: Option<GreedyKey>,
    /// Requests that it answers.
    asking: Vec<Asking>,
}

/// A request that waits for its reply.
struct Asking {
    number: u64,
    id: RequestId,
    session: u64,
    role: Role,
    prompt: Fitted,
    stop: Option<Arc<StopStrings>>,
}

/// An answer with the number of its request.
type Numbered = (u64, Answer);

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
            submitted: Vec::new(),
            writing: BTreeMap::new(),
            asked: FxHashMap::default(),
            next: 0,
            count: 0,
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

    fn completion(&mut self, asking: Asking, reply: Reply) -> Numbered {
        let Asking { number, id, session, role, prompt, stop } = asking;
        let ended = reply.ids.last().is_some_and(|id| self.encoder.end().contains(id));
        let stopped = stop.filter(|_| !ended).and_then(|stop| stop.before(&reply.ids));
        let seen = self.sessions.entry(session).or_default();
        let uncached = seen.uncached(&prompt.ids, &reply.ids);
        let completion = Completion {
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
        };
        (number, (id, Ok(completion)))
    }

    /// Passes the submitted requests to the engine; returns the answers that need no engine.
    fn begin(&mut self) -> Result<Vec<Numbered>, GenerateError> {
        let requests = std::mem::take(&mut self.submitted);
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let (context, encoder) = (self.engine.context(), &*self.encoder);
        let overflow = encoder.overflow();
        let fitted: Vec<Result<Fitted, GenerateError>> =
            requests.par_iter().map(|request| fit(&request.query, context, encoder, overflow)).collect();
        if self.remembered > self.remembered_tokens {
            self.greedy.clear();
            self.tries.clear();
            self.remembered = 0;
        }
        let prepared = self.constrain(&requests, fitted);
        let mut answers = Vec::new();
        let mut new = Vec::new();
        for (request, prepared) in requests.into_iter().zip(prepared) {
            let Request { id, query, session, sampling, stop: strings, .. } = request;
            let (number, role) = (self.count, query.role());
            self.count += 1;
            let Prepared { prompt, trie, stop } = match prepared {
                Ok(prepared) => prepared,
                Err(error) => {
                    answers.push((number, (id, Err(error))));
                    continue;
                }
            };
            let greedy =
                sampling.is_none().then(|| (prompt.ids.clone(), prompt.budget, trie.clone(), strings));
            let (ids, budget) = (prompt.ids.clone(), prompt.budget);
            let search = stop.clone().map(Stop::new);
            let asking = Asking { number, id, session, role, prompt, stop };
            if let Some(key) = &greedy {
                if let Some(reply) = self.greedy.get(key).cloned() {
                    answers.push(self.completion(asking, reply));
                    continue;
                }
                if let Some(writing) = self.asked.get(key).and_then(|id| self.writing.get_mut(id)) {
                    writing.asking.push(asking);
                    continue;
                }
                self.asked.insert(key.clone(), self.next);
            }
            let constraint = trie.map(Constraint::new);
            new.push((self.next, Prompt { ids, budget, sampling, constraint, stop: search }));
            self.writing.insert(self.next, Writing { key: greedy, asking: vec![asking] });
            self.next += 1;
        }
        let roles = new.iter().filter_map(|(id, _)| Some(self.writing.get(id)?.asking[0].role));
        let roles: Vec<Role> = roles.collect();
        answers.extend(self.prime(roles)?);
        for (id, prompt) in new {
            if let Err(error) = self.engine.submit(id, prompt, self.encoder.end()) {
                let reason = error.to_string();
                let error = |asking: Asking| {
                    (asking.number, (asking.id, Err(GenerateError::Backend(reason.clone()))))
                };
                answers.extend(self.written(id).into_iter().flat_map(|writing| writing.asking).map(error));
            }
        }
        Ok(answers)
    }

    /// Removes a reply from those that are being written.
    fn written(&mut self, id: u64) -> Option<Writing> {
        let writing = self.writing.remove(&id)?;
        if let Some(key) = &writing.key {
            self.asked.remove(key);
        }
        Some(writing)
    }

    /// Computes the beginning that all prompts of a role share before the first prompts of that role, so that the engine finds it
    /// in its cache instead of computing it for each of them. Returns the answers that are found meanwhile.
    fn prime(&mut self, roles: Vec<Role>) -> Result<Vec<Numbered>, GenerateError> {
        let mut beginnings = FxHashSet::default();
        for role in roles {
            if self.primed.insert(role) {
                let ids = self.encoder.shared(role);
                // A longer beginning belongs to prompts that do not fit.
                if !ids.is_empty() && ids.len() < self.engine.context() {
                    let prompt = Prompt { ids, budget: 1, sampling: None, constraint: None, stop: None };
                    let submitted = self.engine.submit(self.next, prompt, self.encoder.end());
                    submitted.map_err(|error| GenerateError::Backend(error.to_string()))?;
                    beginnings.insert(self.next);
                    self.next += 1;
                }
            }
        }
        let mut answers = Vec::new();
        while !beginnings.is_empty() {
            for (id, reply) in self.advance()? {
                if !beginnings.remove(&id) {
                    answers.extend(self.finish(id, reply));
                }
            }
        }
        Ok(answers)
    }

    /// Runs the engine until a reply is finished.
    fn advance(&mut self) -> Result<Vec<(u64, Reply)>, GenerateError> {
        let finished = self.engine.advance().map_err(|error| GenerateError::Backend(error.to_string()))?;
        if finished.is_empty() {
            return Err(GenerateError::Backend("the engine did not complete all prompts".to_owned()));
        }
        Ok(finished)
    }

    /// Answers the requests of a finished reply, and caches it if it is greedy.
    fn finish(&mut self, id: u64, reply: Reply) -> Vec<Numbered> {
        let Some(Writing { key, asking }) = self.written(id) else { return Vec::new() };
        let answer = |asking: Asking| self.completion(asking, reply.clone());
        let answers = asking.into_iter().map(answer).collect();
        if let Some(key) = key {
            self.remembered += key.0.len();
            self.greedy.insert(key, reply);
        }
        answers
    }

    /// Answers these requests, in order, while no other request is unanswered.
    ///
    /// # Errors
    /// [`GenerateError`] if no request can be answered. The error of one request is its result.
    pub fn generate(
        &mut self,
        requests: &[Request],
    ) -> Result<Vec<Result<Completion, GenerateError>>, GenerateError> {
        self.submit(requests.to_vec());
        let mut answers = FxHashMap::default();
        while answers.len() < requests.len() {
            let found = self.poll(Duration::MAX)?;
            if found.is_empty() {
                let reason = format!("{} of {} requests were answered", answers.len(), requests.len());
                return Err(GenerateError::Backend(reason));
            }
            answers.extend(found);
        }
        Ok(requests.iter().filter_map(|request| answers.remove(&request.id)).collect())
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

impl Generator for LocalGenerator {
    fn submit(&mut self, requests: Vec<Request>) {
        self.submitted.extend(requests);
    }

    fn poll(&mut self, wait: Duration) -> Result<Vec<Answer>, GenerateError> {
        if wait.is_zero() {
            return Ok(Vec::new());
        }
        let mut poll = || {
            let mut answers = self.begin()?;
            if answers.is_empty() && !self.writing.is_empty() {
                for (id, reply) in self.advance()? {
                    answers.extend(self.finish(id, reply));
                }
            }
            Ok(answers)
        };
        let answers = poll();
        if answers.is_err() {
            // The engine has dropped its prompts.
            self.writing.clear();
            self.asked.clear();
        }
        let mut answers = answers?;
        answers.sort_by_key(|(number, _)| *number);
        Ok(answers.into_iter().map(|(_, answer)| answer).collect())
    }

    fn end_session(&mut self, session: u64) {
        self.sessions.remove(&session);
        self.submitted.retain(|request| request.session != session);
        for writing in self.writing.values_mut() {
            writing.asking.retain(|asking| asking.session != session);
        }
        let abandoned = self.writing.iter().filter(|(_, writing)| writing.asking.is_empty());
        let abandoned: Vec<u64> = abandoned.map(|(&id, _)| id).collect();
        for id in abandoned {
            self.written(id);
            // An engine that fails here fails again at the next poll.
            let _ = self.engine.cancel(id);
        }
    }

    fn policy(&self) -> String {
        self.policy.clone()
    }
}
