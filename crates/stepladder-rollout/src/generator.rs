//! Writing replies (`docs/design.md` D3): requests in, completions out.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use stepladder_core::label::Expert;
use stepladder_core::seed::Rng;
use stepladder_core::trace::TurnTokens;
use stepladder_core::{Query, Role};

/// Sampling instead of taking the most likely token.
#[derive(Debug, Clone)]
pub struct Sampling {
    /// Softmax temperature, above 0.
    pub temperature: f64,
    /// Stream of this reply alone: a function of (run seed, iteration, task, sample, turn).
    pub rng: Rng,
}

/// Names a request; no two requests of a process have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u64);

impl RequestId {
    /// A name that no request has yet. A late completion for a run that has ended is thereby never taken for an answer to
    /// another run's request.
    pub fn fresh() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// One wanted reply.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its name, which comes back with the completion.
    pub id: RequestId,
    /// Contents of the prompt.
    pub query: Query,
    /// Running episode that asks: generators may keep what they computed for it.
    pub session: u64,
    /// None decodes greedily.
    pub sampling: Option<Sampling>,
}

/// One reply.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Completion {
    /// The reply as native text.
    pub text: String,
    /// The prompt as the model read it; empty for policies that read none.
    pub prompt: String,
    /// Tokens of the prompt; 0 where they are not known.
    pub prompt_tokens: u32,
    /// Prompt tokens that no earlier call of the session had computed already.
    pub uncached_tokens: u32,
    /// New tokens, end token included; 0 where they are not known.
    pub new_tokens: u32,
    /// Token ids of prompt and reply, from policies that know them. Algorithms that learn from played episodes need them,
    /// with log-probabilities.
    pub tokens: Option<TurnTokens>,
    /// The budget ended the reply.
    pub cut: bool,
}

impl Completion {
    /// A reply without a model behind it: text, and nothing about tokens.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

/// Why no reply came: to one request, or to any.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// Even the fixed parts of a prompt exceed the context window.
    #[error(
        "the shortest possible {role} prompt needs {needed} tokens, one token of reply included, but the context window \
         of the model is {window}: train with a larger model.max_positions", role = role.name()
    )]
    Window {
        /// Role of the request.
        role: Role,
        /// Tokens of the shortest possible prompt and one of reply.
        needed: usize,
        /// Tokens the model can hold.
        window: usize,
    },
    /// A script has no reply for this prompt.
    #[error("the scripted generator has no reply left for {0}")]
    Script(String),
    /// An expert was asked in a role that it does not play.
    #[error("{policy} does not play the role {}", role.name())]
    Unplayed {
        /// Role of the request.
        role: Role,
        /// The expert's name.
        policy: String,
    },
    /// The model or server failed.
    #[error("{0}")]
    Backend(String),
    /// A stop was requested.
    #[error("stopped while episodes were played")]
    Stopped,
}

/// The completion of one request, or the error that ends the episode that asked.
pub type Answer = (RequestId, Result<Completion, GenerateError>);

/// Takes requests as they arise and gives completions as they come.
///
/// A reply depends on its own request alone, not on others, up to near-ties of floating-point arithmetic
/// (`docs/design.md` D3). Implement [`BatchGenerator`] instead where replies are computed by one blocking call.
pub trait Generator: Send {
    /// Adds requests. Does not wait for replies.
    fn submit(&mut self, requests: Vec<Request>);

    /// Takes the completions that are there, in any order. Where there are none, waits up to `wait` for the first one of the
    /// pending requests. A generator that computes on the calling thread does so here, and only if `wait` is not zero, so
    /// that its batches are as large as they can be.
    ///
    /// # Errors
    /// [`GenerateError`] if no request can be answered any more, or ever could: it ends the run. The error of one request is
    /// its [`Answer`].
    fn poll(&mut self, wait: Duration) -> Result<Vec<Answer>, GenerateError>;

    /// The episode is over or given up: its pending requests need no reply, and what was kept for it may go.
    fn end_session(&mut self, session: u64) {
        let _ = session;
    }

    /// Name of the policy in traces.
    fn policy(&self) -> String;
}

impl<G: Generator + ?Sized> Generator for Box<G> {
    fn submit(&mut self, requests: Vec<Request>) {
        (**self).submit(requests);
    }

    fn poll(&mut self, wait: Duration) -> Result<Vec<Answer>, GenerateError> {
        (**self).poll(wait)
    }

    fn end_session(&mut self, session: u64) {
        (**self).end_session(session);
    }

    fn policy(&self) -> String {
        (**self).policy()
    }
}

/// Replies to a whole batch of requests in one blocking call; [`Blocking`] makes a [`Generator`] of it.
pub trait BatchGenerator: Send {
    /// One result per request, in order. An error in the list ends the episode of its request.
    ///
    /// # Errors
    /// [`GenerateError`] if no request can be answered: it ends the run.
    fn generate(
        &mut self,
        requests: &[Request],
    ) -> Result<Vec<Result<Completion, GenerateError>>, GenerateError>;

    /// As [`Generator::end_session`].
    fn end_session(&mut self, session: u64) {
        let _ = session;
    }

    /// As [`Generator::policy`].
    fn policy(&self) -> String;
}

/// A blocking generator as a [`Generator`]: collects requests until the scheduler has nothing else to do, then answers all
/// of them with one call.
pub struct Blocking<G> {
    inner: G,
    submitted: Vec<Request>,
}

impl<G> Blocking<G> {
    /// Serves `inner`.
    pub fn new(inner: G) -> Self {
        Self { inner, submitted: Vec::new() }
    }

    /// The blocking generator.
    pub fn into_inner(self) -> G {
        self.inner
    }
}

impl<G: BatchGenerator> Generator for Blocking<G> {
    fn submit(&mut self, requests: Vec<Request>) {
        self.submitted.extend(requests);
    }

    fn poll(&mut self, wait: Duration) -> Result<Vec<Answer>, GenerateError> {
        if wait.is_zero() || self.submitted.is_empty() {
            return Ok(Vec::new());
        }
        let requests = std::mem::take(&mut self.submitted);
        let results = self.inner.generate(&requests)?;
        if results.len() != requests.len() {
            return Err(GenerateError::Backend(format!(
                "{} answered {} of {} requests; it must answer each",
                self.policy(),
                results.len(),
                requests.len()
            )));
        }
        Ok(requests.iter().map(|request| request.id).zip(results).collect())
    }

    fn end_session(&mut self, session: u64) {
        self.submitted.retain(|request| request.session != session);
        self.inner.end_session(session);
    }

    fn policy(&self) -> String {
        self.inner.policy()
    }
}

/// A generator of its own for each role.
pub struct ByRole {
    parts: Vec<Part>,
    /// Requests in roles without a generator.
    refused: Option<Role>,
}

struct Part {
    role: Role,
    generator: Box<dyn Generator>,
    /// Requests without a completion, with their sessions.
    pending: HashMap<RequestId, u64>,
}

/// Time for one of several waiting generators before the next is asked.
const TURN: Duration = Duration::from_millis(5);

impl ByRole {
    /// Requests of a role go to its part.
    pub fn new(parts: Vec<(Role, Box<dyn Generator>)>) -> Self {
        let parts =
            parts.into_iter().map(|(role, generator)| Part { role, generator, pending: HashMap::new() });
        Self { parts: parts.collect(), refused: None }
    }
}

impl Generator for ByRole {
    fn submit(&mut self, requests: Vec<Request>) {
        let mut by_part: Vec<Vec<Request>> = self.parts.iter().map(|_| Vec::new()).collect();
        for request in requests {
            let role = request.query.role();
            match self.parts.iter().position(|part| part.role == role) {
                Some(place) => by_part[place].push(request),
                None => self.refused = Some(role),
            }
        }
        for (part, requests) in self.parts.iter_mut().zip(by_part) {
            if !requests.is_empty() {
                part.pending.extend(requests.iter().map(|request| (request.id, request.session)));
                part.generator.submit(requests);
            }
        }
    }

    fn poll(&mut self, wait: Duration) -> Result<Vec<Answer>, GenerateError> {
        if let Some(role) = self.refused.take() {
            return Err(GenerateError::Backend(format!("there is no model for the {}", role.name())));
        }
        let mut left = wait;
        loop {
            let waiting = self.parts.iter().filter(|part| !part.pending.is_empty()).count();
            // One slow generator must not hold up the completions of the others.
            let turn = if waiting > 1 { left.min(TURN) } else { left };
            let mut answers = Vec::new();
            for part in self.parts.iter_mut().filter(|part| !part.pending.is_empty()) {
                let found = part.generator.poll(turn)?;
                for (id, _) in &found {
                    part.pending.remove(id);
                }
                answers.extend(found);
                left = left.saturating_sub(turn);
            }
            if !answers.is_empty() || left.is_zero() || waiting == 0 {
                return Ok(answers);
            }
        }
    }

    fn end_session(&mut self, session: u64) {
        for part in &mut self.parts {
            part.pending.retain(|_, asking| *asking != session);
            part.generator.end_session(session);
        }
    }

    fn policy(&self) -> String {
        let parts = self.parts.iter().map(|part| format!("{}:{}", part.role.name(), part.generator.policy()));
        parts.collect::<Vec<_>>().join("+")
    }
}

/// An expert as a generator: demonstrations are what the scheduler records when it plays one.
pub struct ExpertGenerator<E> {
    expert: E,
    name: String,
}

impl<E: Expert> ExpertGenerator<E> {
    /// An expert under a name.
    pub fn new(expert: E, name: impl Into<String>) -> Self {
        Self { expert, name: name.into() }
    }
}

impl<E: Expert> BatchGenerator for ExpertGenerator<E> {
    /// An expert that does not play a role plays it for no request: that ends the run.
    fn generate(
        &mut self,
        requests: &[Request],
    ) -> Result<Vec<Result<Completion, GenerateError>>, GenerateError> {
        use rayon::prelude::*;
        let answer = |request: &Request| {
            let text = self.expert.reply(&request.query).ok_or_else(|| GenerateError::Unplayed {
                role: request.query.role(),
                policy: self.name.clone(),
            })?;
            Ok(Ok(Completion::text(text)))
        };
        requests.par_iter().map(answer).collect()
    }

    fn policy(&self) -> String {
        self.name.clone()
    }
}

/// Replies from a function: the fake of all tests. A query without a reply is an error of its request.
pub struct Scripted<F>(pub F);

impl<F: FnMut(&Query) -> Option<String> + Send> BatchGenerator for Scripted<F> {
    fn generate(
        &mut self,
        requests: &[Request],
    ) -> Result<Vec<Result<Completion, GenerateError>>, GenerateError> {
        let reply = |request: &Request| match (self.0)(&request.query) {
            Some(text) => Ok(Completion::text(text)),
            None => Err(GenerateError::Script(format!("{:?}", request.query))),
        };
        Ok(requests.iter().map(reply).collect())
    }

    fn policy(&self) -> String {
        "scripted".to_owned()
    }
}
