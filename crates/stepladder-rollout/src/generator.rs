//! Generators of replies (docs/design.md D3): requests in, completions out.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use stepladder_core::label::Expert;
use stepladder_core::trace::TurnTokens;
use stepladder_core::{Query, Role};

use crate::sampling::Sampling;

/// Identifier of a request, unique in the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u64);

impl RequestId {
    /// Returns an unused identifier. Since identifiers are never reused, a late completion of an ended run cannot be
    /// mistaken for an answer to another run's request.
    pub fn fresh() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Request for one reply.
#[derive(Debug, Clone)]
pub struct Request {
    /// Identifier, returned with the completion.
    pub id: RequestId,
    /// Contents of the prompt.
    pub query: Query,
    /// Running episode of the request; generators may cache by session.
    pub session: u64,
    /// Sampling; `None` decodes greedily.
    pub sampling: Option<Sampling>,
    /// Native replies that may be given; `None` allows any. A reply that is not among them ends its episode with an error.
    pub allowed: Option<Arc<[String]>>,
    /// Stop strings: the reply ends with the token that completes the first of them, and its text ends before it. Constrained
    /// replies have none; generators without a model may ignore them.
    pub stop: Option<Arc<[String]>>,
}

/// Reply to one request.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Completion {
    /// The reply as native text.
    pub text: String,
    /// The rendered prompt; empty for policies without one.
    pub prompt: String,
    /// Number of prompt tokens; 0 where unknown.
    pub prompt_tokens: u32,
    /// Number of prompt tokens that no earlier request of the session had already computed.
    pub uncached_tokens: u32,
    /// Number of new tokens, end token included; 0 where unknown.
    pub new_tokens: u32,
    /// Token ids of prompt and reply with log-probabilities, where the policy has them. Online algorithms need them.
    pub tokens: Option<TurnTokens>,
    /// Whether the budget ended the reply.
    pub cut: bool,
    /// Number of parts that were removed from the prompt so that it fits into the context window.
    pub shortened: u32,
}

impl Completion {
    /// Returns a completion of text without token counts, for policies without a model.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

/// Error of one request, or of the whole generator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// Even the fixed parts of a prompt exceed the context window.
    #[error(
        "the shortest possible {role} prompt needs {needed} tokens, one token of reply included, but the context window \
         of the model is {context}: use a model with a longer one (model.scratch.max_positions)", role = role.name()
    )]
    Window {
        /// Role of the request.
        role: Role,
        /// Tokens of the shortest possible prompt and one reply token.
        needed: usize,
        /// Context window of the model.
        context: usize,
    },
    /// None of the allowed replies can be written.
    #[error(
        "none of the {count} admissible replies of the role {role} can be written: each has a word that the vocabulary \
         lacks, or more tokens than the budget of {budget}", role = role.name()
    )]
    Constraint {
        /// Role of the request.
        role: Role,
        /// Number of allowed replies.
        count: usize,
        /// Maximum number of new tokens.
        budget: usize,
    },
    /// A prompt exceeds the context window, and prompts must not be shortened.
    #[error(
        "the {role} prompt needs {needed} tokens with its reply, but the context window of the model is {context}, and \
         generation.overflow = \"stop\" forbids to shorten it", role = role.name()
    )]
    Overflow {
        /// Role of the request.
        role: Role,
        /// Tokens of the prompt, and the budget of its reply.
        needed: usize,
        /// Context window of the model.
        context: usize,
    },
    /// Stop strings for a prompt style without text.
    #[error(
        "replies of the prompt style {style} have no text to search stop strings in: they are for pretrained models; \
         omit them (generation.stop)"
    )]
    StopStrings {
        /// Id of the style.
        style: String,
    },
    /// A prompt could not be rendered.
    #[error("the {} prompt cannot be rendered: {reason}", role.name())]
    Prompt {
        /// Role of the request.
        role: Role,
        /// The encoder's error.
        reason: String,
    },
    /// A script has no reply for this prompt.
    #[error("the scripted generator has no reply left for {0}")]
    Script(String),
    /// A role that the expert does not play.
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

/// Completion of one request, or the error that ends its episode.
pub type Answer = (RequestId, Result<Completion, GenerateError>);

/// Takes requests and returns completions, asynchronously.
///
/// A reply depends on its own request only, up to near-ties of floating-point arithmetic (docs/design.md D3). Implement
/// [`BatchGenerator`] instead where one blocking call computes the replies.
pub trait Generator: Send {
    /// Adds requests without waiting for their replies.
    fn submit(&mut self, requests: Vec<Request>);

    /// Returns the available completions, in any order. Without any, waits up to `wait` for the first completion of a
    /// pending request. A generator that computes on the calling thread does so here, and only if `wait` is not zero, so
    /// that its batches are as large as possible.
    ///
    /// # Errors
    /// [`GenerateError`] if the generator can answer no request: it ends the run. The error of one request is its
    /// [`Answer`].
    fn poll(&mut self, wait: Duration) -> Result<Vec<Answer>, GenerateError>;

    /// Ends the session of an episode: drops its pending requests and its cache.
    fn end_session(&mut self, session: u64) {
        let _ = session;
    }

    /// Returns the name of the policy in traces.
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

/// Replies to a batch of requests in one blocking call; [`Blocking`] turns it into a [`Generator`].
pub trait BatchGenerator: Send {
    /// Returns one result per request, in order. An error in the list ends the episode of its request.
    ///
    /// # Errors
    /// [`GenerateError`] if no request can be answered: it ends the run.
    fn generate(
        &mut self,
        requests: &[Request],
    ) -> Result<Vec<Result<Completion, GenerateError>>, GenerateError>;

    /// See [`Generator::end_session`].
    fn end_session(&mut self, session: u64) {
        let _ = session;
    }

    /// See [`Generator::policy`].
    fn policy(&self) -> String;
}

/// Adapts a [`BatchGenerator`] to a [`Generator`]: collects requests until the scheduler has nothing else to do, then
/// answers all of them with one call.
pub struct Blocking<G> {
    inner: G,
    submitted: Vec<Request>,
}

impl<G> Blocking<G> {
    /// Wraps a blocking generator.
    pub fn new(inner: G) -> Self {
        Self { inner, submitted: Vec::new() }
    }

    /// Returns the blocking generator.
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

/// Routes requests to one generator per role.
pub struct ByRole {
    routes: Vec<Route>,
    /// Requests in roles without a generator.
    refused: Option<Role>,
}

struct Route {
    role: Role,
    generator: Box<dyn Generator>,
    /// Requests without a completion, with their sessions.
    pending: HashMap<RequestId, u64>,
}

/// Time to wait for one of several generators before polling the next.
const TURN: Duration = Duration::from_millis(5);

impl ByRole {
    /// Creates a generator that routes the requests of each role to its generator.
    pub fn new(routes: Vec<(Role, Box<dyn Generator>)>) -> Self {
        let routes =
            routes.into_iter().map(|(role, generator)| Route { role, generator, pending: HashMap::new() });
        Self { routes: routes.collect(), refused: None }
    }
}

impl Generator for ByRole {
    fn submit(&mut self, requests: Vec<Request>) {
        let mut by_route: Vec<Vec<Request>> = self.routes.iter().map(|_| Vec::new()).collect();
        for request in requests {
            let role = request.query.role();
            match self.routes.iter().position(|route| route.role == role) {
                Some(place) => by_route[place].push(request),
                None => self.refused = Some(role),
            }
        }
        for (route, requests) in self.routes.iter_mut().zip(by_route) {
            if !requests.is_empty() {
                route.pending.extend(requests.iter().map(|request| (request.id, request.session)));
                route.generator.submit(requests);
            }
        }
    }

    fn poll(&mut self, wait: Duration) -> Result<Vec<Answer>, GenerateError> {
        if let Some(role) = self.refused.take() {
            return Err(GenerateError::Backend(format!("there is no model for the {}", role.name())));
        }
        let mut left = wait;
        loop {
            let waiting = self.routes.iter().filter(|route| !route.pending.is_empty()).count();
            // One slow generator must not delay the completions of the others.
            let turn = if waiting > 1 { left.min(TURN) } else { left };
            let mut answers = Vec::new();
            for route in self.routes.iter_mut().filter(|route| !route.pending.is_empty()) {
                let found = route.generator.poll(turn)?;
                for (id, _) in &found {
                    route.pending.remove(id);
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
        for route in &mut self.routes {
            route.pending.retain(|_, asking| *asking != session);
            route.generator.end_session(session);
        }
    }

    fn policy(&self) -> String {
        let routes =
            self.routes.iter().map(|route| format!("{}:{}", route.role.name(), route.generator.policy()));
        routes.collect::<Vec<_>>().join("+")
    }
}

/// Adapts an expert to a generator; a demonstration is an episode that the scheduler plays with it.
pub struct ExpertGenerator<E> {
    expert: E,
    name: String,
}

impl<E: Expert> ExpertGenerator<E> {
    /// Wraps an expert under this name.
    pub fn new(expert: E, name: impl Into<String>) -> Self {
        Self { expert, name: name.into() }
    }
}

impl<E: Expert> BatchGenerator for ExpertGenerator<E> {
    // A role that the expert does not play fails for every request, so the error ends the run.
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

/// Replies from a function, for tests. A query without a reply is an error of its request.
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
