//! Who writes replies (design D3): one batch of requests in, completions out.

use stepladder_core::label::Expert;
use stepladder_core::seed::Rng;
use stepladder_core::{Query, Role};

/// Limits on new tokens per reply (spec/algorithms 2.2).
pub fn budget(role: Role) -> u32 {
    match role {
        Role::Planner | Role::Executor | Role::Flat | Role::Micro => 32,
        Role::Progress | Role::Macro => 150,
    }
}

/// Sampling instead of taking the most likely token.
#[derive(Debug, Clone)]
pub struct Sampling {
    /// Softmax temperature, above 0.
    pub temperature: f64,
    /// Stream of this reply alone: a function of (run seed, iteration, task, sample, turn).
    pub rng: Rng,
}

/// One wanted reply.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// What the prompt contains.
    pub query: &'a Query,
    /// Limit on new tokens.
    pub budget: u32,
    /// Which running episode asks: generators may keep what they computed for it.
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
    /// The prompt's token ids; empty for policies that read none.
    pub prompt_ids: Vec<u32>,
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Prompt tokens that no earlier call of the session had computed already.
    pub uncached_tokens: u32,
    /// New token ids, end token included where one was written.
    pub tokens: Vec<i64>,
    /// Log-probability of each new token under the policy, at the temperature it was sampled at (greedy: 1).
    pub logprobs: Vec<f32>,
    /// The budget ended the reply.
    pub cut: bool,
}

/// Why no replies came.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// Even the fixed parts of a prompt exceed the window.
    #[error(
        "a {role} prompt with all that can be cut cut away, and one token of reply, are {needed} tokens, but the model's \
         window holds {window}: train with a larger model.max_positions", role = role.name()
    )]
    Window {
        /// Who was asked.
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
        /// Who was asked.
        role: Role,
        /// The expert's name.
        policy: String,
    },
    /// The model or server failed.
    #[error("{0}")]
    Backend(String),
    /// Somebody asked to stop.
    #[error("stopped while episodes were played")]
    Stopped,
}

/// Writes replies.
pub trait Generator: Send {
    /// Replies to all requests, in order. A reply depends on its own request alone, not on its neighbours, up to
    /// near-ties of floating-point arithmetic (design D3).
    ///
    /// # Errors
    /// See [`GenerateError`]; nothing is generated then.
    fn generate(&mut self, requests: &[Request<'_>]) -> Result<Vec<Completion>, GenerateError>;

    /// The episode is over: what was kept for it may go.
    fn end_session(&mut self, session: u64) {
        let _ = session;
    }

    /// What stands in every trace for who played.
    fn policy(&self) -> String;
}

/// A generator of its own for each role.
pub struct ByRole {
    parts: Vec<(Role, Box<dyn Generator>)>,
}

impl ByRole {
    /// Requests of a role go to its part.
    pub fn new(parts: Vec<(Role, Box<dyn Generator>)>) -> Self {
        Self { parts }
    }
}

impl Generator for ByRole {
    fn generate(&mut self, requests: &[Request<'_>]) -> Result<Vec<Completion>, GenerateError> {
        let mut completions: Vec<Completion> = vec![Completion::default(); requests.len()];
        let roles: Vec<Role> = self.parts.iter().map(|(role, _)| *role).collect();
        let part_of = |role: Role| roles.iter().position(|&known| known == role);
        if let Some(request) = requests.iter().find(|request| part_of(request.query.role()).is_none()) {
            let role = request.query.role().name();
            return Err(GenerateError::Backend(format!("there is no model for the {role}")));
        }
        for (number, (_, generator)) in self.parts.iter_mut().enumerate() {
            let places: Vec<usize> = (0..requests.len())
                .filter(|&place| part_of(requests[place].query.role()) == Some(number))
                .collect();
            let own: Vec<Request<'_>> = places.iter().map(|&place| requests[place].clone()).collect();
            if own.is_empty() {
                continue;
            }
            for (place, completion) in places.into_iter().zip(generator.generate(&own)?) {
                completions[place] = completion;
            }
        }
        Ok(completions)
    }

    fn end_session(&mut self, session: u64) {
        for (_, generator) in &mut self.parts {
            generator.end_session(session);
        }
    }

    fn policy(&self) -> String {
        let parts =
            self.parts.iter().map(|(role, generator)| format!("{}:{}", role.name(), generator.policy()));
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

impl<E: Expert> Generator for ExpertGenerator<E> {
    fn generate(&mut self, requests: &[Request<'_>]) -> Result<Vec<Completion>, GenerateError> {
        use rayon::prelude::*;
        let answer = |request: &Request<'_>| {
            let text = self.expert.reply(request.query).ok_or_else(|| GenerateError::Unplayed {
                role: request.query.role(),
                policy: self.name.clone(),
            })?;
            Ok(Completion { text, ..Completion::default() })
        };
        requests.par_iter().map(answer).collect()
    }

    fn policy(&self) -> String {
        self.name.clone()
    }
}

/// Replies from a function: the fake of all tests.
pub struct Scripted<F>(pub F);

impl<F: FnMut(&Query) -> Option<String> + Send> Generator for Scripted<F> {
    fn generate(&mut self, requests: &[Request<'_>]) -> Result<Vec<Completion>, GenerateError> {
        requests
            .iter()
            .map(|request| {
                let text = (self.0)(request.query)
                    .ok_or_else(|| GenerateError::Script(format!("{:?}", request.query)))?;
                Ok(Completion { text, ..Completion::default() })
            })
            .collect()
    }

    fn policy(&self) -> String {
        "scripted".to_owned()
    }
}
