//! Constrained decoding from an environment's admissible actions to the replies of a generator.
#![allow(clippy::unwrap_used)]
#![allow(missing_docs)]

mod common;

use std::sync::{Arc, Mutex};

use common::{Corridors, walker};
use proptest::prelude::*;
use rand::RngExt;
use stepladder_agent::AgentKind;
use stepladder_core::codec::Plain;
use stepladder_core::seed::stream;
use stepladder_core::{Observation, Query, Role, Start, Step, TaskKey};
use stepladder_data::{Budgets, CompactWords, PromptEncoder};
use stepladder_env::{Admissible, Env, EnvError, EnvSpec, TaskSet};
use stepladder_rollout::constrain::{replies, trie};
use stepladder_rollout::engine::{Engine, EngineError, Prompt, Reply};
use stepladder_rollout::generator::{Blocking, Scripted};
use stepladder_rollout::sampling::Sampling;
use stepladder_rollout::scheduler::Options;
use stepladder_rollout::{
    BatchGenerator, Completion, GenerateError, Job, LocalGenerator, Request, RequestId, Scheduler,
};

/// Corridors that list their actions, as many as there are steps left.
struct Listed;

struct Lister {
    inner: Box<dyn Env>,
    left: usize,
}

const ACTIONS: [&str; 3] = ["east", "sing", "stand"];

impl Env for Lister {
    fn spec(&self) -> &EnvSpec {
        self.inner.spec()
    }
    fn reset(&mut self, task: &TaskKey, seed: u64) -> Result<Start, EnvError> {
        self.left = task.id.parse().unwrap();
        self.inner.reset(task, seed)
    }
    fn step(&mut self, action: &str) -> Result<Step, EnvError> {
        self.left -= usize::from(action == "east");
        self.inner.step(action)
    }
    fn admissible(&mut self) -> Option<&mut dyn Admissible> {
        Some(self)
    }
}

impl Admissible for Lister {
    fn admissible_actions(&mut self) -> Vec<String> {
        // A corridor of 12 steps is damaged: it lists nothing.
        ACTIONS[..if self.left == 12 { 0 } else { self.left.min(3) }]
            .iter()
            .map(|&action| action.into())
            .collect()
    }
}

impl TaskSet for Listed {
    fn spec(&self) -> &EnvSpec {
        Corridors.spec()
    }
    fn tasks(&self, split: &str) -> Result<Vec<TaskKey>, EnvError> {
        Corridors.tasks(split)
    }
    fn make(&self) -> Result<Box<dyn Env>, EnvError> {
        Ok(Box::new(Lister { inner: Corridors.make()?, left: 0 }))
    }
}

/// Replies like [`walker`] and records the allowed replies of each request.
#[derive(Default)]
struct Noting(Vec<(Role, Option<Vec<String>>)>);

impl BatchGenerator for Noting {
    fn generate(
        &mut self,
        requests: &[Request],
    ) -> Result<Vec<Result<Completion, GenerateError>>, GenerateError> {
        let noted = requests
            .iter()
            .map(|request| (request.query.role(), request.allowed.as_ref().map(|allowed| allowed.to_vec())));
        self.0.extend(noted);
        Ok(requests.iter().map(|request| Ok(Completion::text(walker(&request.query).unwrap()))).collect())
    }
    fn policy(&self) -> String {
        "noting".to_owned()
    }
}

fn jobs(lengths: &[&str]) -> Vec<Job> {
    let tasks: Vec<TaskKey> = lengths.iter().map(|length| TaskKey::new("corridor", "all", *length)).collect();
    Job::each(&tasks)
}

#[test]
fn requests_of_acting_roles_have_the_admissible_replies_of_the_state() {
    for agent in [AgentKind::StepHrl, AgentKind::Flat, AgentKind::Himac] {
        let mut generator = Blocking::new(Noting::default());
        let options = Options { constrained: true, ..Options::greedy(agent) };
        let episodes = Scheduler::new(&Listed, &mut generator, options).run(&jobs(&["4"]), |_| ()).unwrap();
        assert!(episodes[0].won && episodes[0].error.is_none());
        assert_eq!(episodes[0].policy, "noting, constrained");
        let mut counts = Vec::new();
        for (role, allowed) in generator.into_inner().0 {
            match role {
                Role::Executor | Role::Micro | Role::Flat => counts.push(allowed.unwrap().len()),
                _ => assert_eq!(allowed, None),
            }
        }
        let forms = if agent == AgentKind::Flat { 1 } else { 2 };
        assert_eq!(counts, [3, 3, 2, 1].map(|actions| actions * forms));

        let mut free = Blocking::new(Noting::default());
        Scheduler::new(&Listed, &mut free, Options::greedy(agent)).run(&jobs(&["4"]), |_| ()).unwrap();
        assert!(free.into_inner().0.iter().all(|(_, allowed)| allowed.is_none()));
    }
}

#[test]
fn an_episode_that_cannot_be_constrained_ends_with_the_reason() {
    let options = || Options { constrained: true, ..Options::greedy(AgentKind::Flat) };
    let mut generator = Blocking::new(Scripted(walker));
    let played = Scheduler::new(&Corridors, &mut generator, options()).run(&jobs(&["2"]), |_| ()).unwrap();
    let expected = "corridor does not list admissible actions, so replies cannot be constrained";
    assert_eq!((played[0].error.as_deref(), played[0].len()), (Some(expected), 0));

    // A generator that ignores the constraint.
    let mut generator = Blocking::new(Scripted(|_: &Query| Some("west".to_owned())));
    let played = Scheduler::new(&Listed, &mut generator, options()).run(&jobs(&["12", "2"]), |_| ()).unwrap();
    let errors: Vec<&str> = played.iter().map(|episode| episode.error.as_deref().unwrap()).collect();
    assert_eq!(errors[0], "corridor listed no admissible action");
    assert!(
        errors[1].starts_with("scripted replied `west`, which is not an admissible reply"),
        "{}",
        errors[1]
    );
}

/// Completes prompts with random logits and counts them.
struct Random {
    calls: Arc<Mutex<Vec<usize>>>,
    vocab: usize,
    submitted: Vec<(u64, Prompt)>,
    end: Vec<u32>,
}

impl Engine for Random {
    fn context(&self) -> usize {
        64
    }

    fn submit(&mut self, id: u64, prompt: Prompt, end: &[u32]) -> Result<(), EngineError> {
        prompt.check(64, self.vocab, end).unwrap();
        self.submitted.push((id, prompt));
        self.end = end.to_vec();
        Ok(())
    }

    fn cancel(&mut self, id: u64) -> Result<(), EngineError> {
        self.submitted.retain(|(other, _)| *other != id);
        Ok(())
    }

    fn advance(&mut self) -> Result<Vec<(u64, Reply)>, EngineError> {
        let prompts = std::mem::take(&mut self.submitted);
        self.calls.lock().unwrap().push(prompts.len());
        let end = &self.end;
        let complete = |prompt: Prompt| {
            let mut logits = stream(0, "test-logits", &[]);
            let mut sampling = prompt.sampling;
            let Some(mut constraint) = prompt.constraint else {
                return Reply { ids: vec![end[0]], logprobs: vec![0.0], cut: false };
            };
            let mut reply = Reply::default();
            while !constraint.allowed().is_empty() {
                let values: Vec<f32> =
                    constraint.allowed().iter().map(|_| logits.random_range(-3.0..3.0)).collect();
                let (id, logprob) = constraint.choose(&values, &mut sampling);
                reply.ids.push(id);
                reply.logprobs.push(logprob);
            }
            reply
        };
        Ok(prompts.into_iter().map(|(id, prompt)| (id, complete(prompt))).collect())
    }
}

/// Knows the words of these actions as every role writes them.
fn knowing(actions: &[&str]) -> Arc<CompactWords> {
    let bare = CompactWords::new(Arc::new(Plain), Budgets { short: 6, long: 9, ..Budgets::default() });
    let actions: Vec<String> = actions.iter().map(|&action| action.to_owned()).collect();
    let mut texts = Vec::new();
    for role in [Role::Executor, Role::Micro, Role::Flat] {
        texts.extend(replies(role, &actions).iter().map(|native| bare.written(role, native)));
    }
    Arc::new(bare.with_words(texts.iter().map(String::as_str)))
}

type Calls = Arc<Mutex<Vec<usize>>>;

fn generator(encoder: Arc<CompactWords>) -> (LocalGenerator, Calls) {
    let calls = Calls::default();
    let (submitted, end) = (Vec::new(), Vec::new());
    let engine = Random { calls: calls.clone(), vocab: encoder.vocab(), submitted, end };
    (LocalGenerator::new(Box::new(engine), encoder, 1000, "random".to_owned()), calls)
}

fn request(role: Role, actions: Option<&[&str]>, sampling: Option<Sampling>) -> Request {
    let observation = Observation { feedback: "a".into(), context: "b".into() };
    let query = match role {
        Role::Executor => Query::Executor { subtask: "a".into(), observation, progress: "None".into() },
        Role::Micro => Query::Micro {
            task: "a".into(),
            blueprint: vec!["b".into()],
            active: 0,
            history: Vec::new(),
            observation,
        },
        _ => Query::Flat { task: "a".into(), context: "b".into(), history: Vec::new() },
    };
    let listed = |actions: &[&str]| actions.iter().map(|&action| action.to_owned()).collect::<Vec<_>>();
    let allowed = actions.map(|actions| replies(role, &listed(actions)));
    Request { id: RequestId::fresh(), query, session: 1, sampling, allowed, stop: None }
}

proptest! {
    #[test]
    fn a_constrained_reply_is_one_of_the_allowed_ones(
        actions in proptest::collection::btree_set("[a-c]( [a-c]){0,2}", 1..6),
        temperature in proptest::option::of(0.01f64..100.0),
        seed in any::<u64>(),
    ) {
        let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
        let (mut generator, _) = generator(knowing(&["a", "b", "c", "a b c"]));
        for role in [Role::Executor, Role::Flat, Role::Micro] {
            let rng = stream(seed, "sampling", &[]);
            let sampling = temperature.map(|temperature| Sampling::at(temperature, rng));
            let request = request(role, Some(&actions), sampling);
            let found = generator.generate(std::slice::from_ref(&request)).unwrap().remove(0).unwrap();
            prop_assert!(request.allowed.unwrap().contains(&found.text), "{}", found.text);
            prop_assert!(!found.cut);
        }
    }
}

#[test]
fn replies_that_the_model_cannot_write_are_left_out() {
    let encoder = knowing(&["go", "take a"]);
    let written = |native: &str| encoder.reply(Role::Executor, native, false);
    let of = |actions: &[&str], budget| {
        let actions: Vec<String> = actions.iter().map(|&action| action.to_owned()).collect();
        trie(&*encoder, Role::Executor, &replies(Role::Executor, &actions), budget)
    };
    let both = |native| vec![written(&format!("{native}; False")), written(&format!("{native}; True"))];
    let expected = stepladder_rollout::trie::Trie::new(both("go"));
    // An unknown word, and a reply that is longer than the budget.
    let longest = both("go")[0].len();
    assert_eq!(of(&["go", "north", "take a"], longest), Some(expected));
    assert_eq!(of(&["north", "take a"], longest), None);
    let (mut generator, calls) = generator(encoder.clone());
    let requests =
        [request(Role::Executor, Some(&["north"]), None), request(Role::Executor, Some(&["go"]), None)];
    let found = generator.generate(&requests).unwrap();
    assert_eq!(
        found[0].as_ref().unwrap_err().to_string(),
        "none of the 2 admissible replies of the role executor can be written: each has a word that the vocabulary lacks, \
         or more tokens than the budget of 6"
    );
    assert!(found[1].as_ref().unwrap().text.starts_with("go; "));
    assert_eq!(*calls.lock().unwrap(), [1]);
}

#[test]
fn cached_greedy_replies_belong_to_their_constraint() {
    let (mut generator, calls) = generator(knowing(&["go", "take"]));
    let ask = |actions| request(Role::Flat, actions, None);
    let requests = [
        ask(Some(&["go"][..])),
        ask(Some(&["take"])),
        ask(None),
        ask(Some(&["go"])),
        ask(Some(&["go", "take"])),
    ];
    let text = |found: Vec<Result<Completion, GenerateError>>| -> Vec<String> {
        found.into_iter().map(|found| found.unwrap().text).collect()
    };
    let first = text(generator.generate(&requests).unwrap());
    assert_eq!(first[..4], ["go", "take", "", "go"]);
    assert_eq!(text(generator.generate(&requests).unwrap()), first);
    // Four different requests, once.
    assert_eq!(*calls.lock().unwrap(), [4]);
}
