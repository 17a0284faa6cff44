//! Generators that answer late, out of order, partially or never: traces do not depend on it.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use common::{Corridors, walker};
use proptest::prelude::*;
use rand::RngExt;
use rand::seq::SliceRandom;
use stepladder_agent::AgentKind;
use stepladder_core::label::Perturb;
use stepladder_core::seed::{Rng, stream};
use stepladder_core::trace::{Episode, TurnTokens};
use stepladder_core::{Observation, Query, Role};
use stepladder_env::TaskSet;
use stepladder_rollout::evaluation::evaluate;
use stepladder_rollout::generator::{
    Answer, BatchGenerator, Blocking, ByRole, Completion, Request, Scripted,
};
use stepladder_rollout::sampling::Distribution;
use stepladder_rollout::scheduler::{Noise, Options};
use stepladder_rollout::{Dropped, GenerateError, Generator, Job, Scheduler};

const AGENTS: [AgentKind; 3] = [AgentKind::StepHrl, AgentKind::Flat, AgentKind::Himac];

/// Replies by the request's random stream: one action in three has no effect.
fn reply(request: &Request) -> Completion {
    let mut rng = request.sampling.clone().unwrap().rng;
    let drawn: u32 = rng.random_range(0..3);
    let text = walker(&request.query).unwrap();
    let text = if drawn == 0 { text.replace("east", "stand") } else { text };
    let logprobs = Some(vec![-f32::from(drawn as u8)]);
    let tokens = Some(TurnTokens { prompt: vec![7], reply: vec![drawn], logprobs });
    Completion { text, prompt_tokens: 1, new_tokens: 1, tokens, ..Completion::default() }
}

fn answer(request: &Request) -> Answer {
    (request.id, Ok(reply(request)))
}

struct Immediate;

impl BatchGenerator for Immediate {
    fn generate(
        &mut self,
        requests: &[Request],
    ) -> Result<Vec<Result<Completion, GenerateError>>, GenerateError> {
        Ok(requests.iter().map(|request| Ok(reply(request))).collect())
    }
    fn policy(&self) -> String {
        "test".to_owned()
    }
}

struct Stand;

impl Perturb for Stand {
    fn perturb(&self, _action: &str, _seen: &Observation, _rng: &mut Rng) -> Option<String> {
        Some("stand".to_owned())
    }
}

fn jobs() -> Vec<Job> {
    Job::each(&Corridors.tasks("all").unwrap())
}

fn options(agent: AgentKind, slots: usize) -> Options<'static> {
    Options {
        slots,
        sampling: Some(Distribution::at(1.0)),
        keep_tokens: true,
        max_steps: 20,
        noise: Some(Noise { probability: 0.2, perturb: &Stand }),
        ..Options::greedy(agent)
    }
}

fn play(generator: &mut dyn Generator, options: Options<'_>) -> Result<Vec<Episode>, GenerateError> {
    Scheduler::new(&Corridors, generator, options).run(&jobs(), |_| ())
}

fn immediate(agent: AgentKind) -> Vec<Episode> {
    play(&mut Blocking::new(Immediate), options(agent, 5)).unwrap()
}

/// Answers some of the pending requests, in any order.
struct Scheduled {
    pending: Vec<Request>,
    rng: Rng,
}

impl Generator for Scheduled {
    fn submit(&mut self, requests: Vec<Request>) {
        self.pending.extend(requests);
    }
    fn poll(&mut self, _wait: Duration) -> Result<Vec<Answer>, GenerateError> {
        self.pending.shuffle(&mut self.rng);
        let count = self.rng.random_range(0..=self.pending.len());
        Ok(self.pending.drain(..count).map(|request| answer(&request)).collect())
    }
    fn policy(&self) -> String {
        "test".to_owned()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_completions_gives_the_same_traces(seed: u64, slots in 1usize..14, agent in 0usize..3) {
        let agent = AGENTS[agent];
        let mut generator = Scheduled { pending: Vec::new(), rng: stream(seed, "schedule", &[]) };
        let episodes = play(&mut generator, options(agent, slots)).unwrap();
        prop_assert_eq!(episodes, immediate(agent));
    }
}

/// Answers from several threads, after random delays.
struct Threaded {
    requests: Option<mpsc::Sender<Request>>,
    answers: mpsc::Receiver<Answer>,
    threads: Vec<JoinHandle<()>>,
    /// Ended sessions.
    ended: BTreeSet<u64>,
    /// Polls before it returns that it was stopped.
    polls_left: usize,
}

impl Threaded {
    fn new(seed: u64) -> Self {
        let (requests, todo) = mpsc::channel::<Request>();
        let (done, answers) = mpsc::channel();
        let todo = Arc::new(Mutex::new(todo));
        let threads = (0..4).map(|thread| {
            let (todo, done) = (todo.clone(), done.clone());
            let mut rng = stream(seed, "delays", &[thread]);
            std::thread::spawn(move || {
                loop {
                    let Ok(request) = todo.lock().unwrap().recv() else { return };
                    std::thread::sleep(Duration::from_micros(rng.random_range(0..2000)));
                    if done.send(answer(&request)).is_err() {
                        return;
                    }
                }
            })
        });
        let threads = threads.collect();
        Self { requests: Some(requests), answers, threads, ended: BTreeSet::new(), polls_left: usize::MAX }
    }
}

impl Generator for Threaded {
    fn submit(&mut self, requests: Vec<Request>) {
        for request in requests {
            self.requests.as_ref().unwrap().send(request).unwrap();
        }
    }
    fn poll(&mut self, wait: Duration) -> Result<Vec<Answer>, GenerateError> {
        self.polls_left = self.polls_left.checked_sub(1).ok_or(GenerateError::Stopped)?;
        let first = self.answers.recv_timeout(wait).ok();
        Ok(first.into_iter().chain(self.answers.try_iter()).collect())
    }
    fn end_session(&mut self, session: u64) {
        self.ended.insert(session);
    }
    fn policy(&self) -> String {
        "test".to_owned()
    }
}

impl Drop for Threaded {
    fn drop(&mut self) {
        self.requests = None;
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}

#[test]
fn replies_from_threads_give_the_same_traces() {
    for (seed, agent) in AGENTS.into_iter().enumerate() {
        let mut generator = Threaded::new(seed as u64);
        assert_eq!(play(&mut generator, options(agent, 5)).unwrap(), immediate(agent));
        assert_eq!(generator.ended.len(), jobs().len());
    }
}

#[test]
fn a_generator_can_stop_in_the_middle_of_a_run_and_be_dropped_or_used_again() {
    let agent = AgentKind::StepHrl;
    let mut generator = Threaded::new(9);
    generator.polls_left = 7;
    let error = play(&mut generator, options(agent, 5)).unwrap_err();
    assert!(matches!(error, GenerateError::Stopped), "{error}");
    assert!((0..5).all(|session| generator.ended.contains(&session)), "{:?}", generator.ended);
    // Late completions of the stopped run are ignored.
    generator.polls_left = usize::MAX;
    assert_eq!(play(&mut generator, options(agent, 5)).unwrap(), immediate(agent));
    generator.polls_left = 2;
    assert!(play(&mut generator, options(agent, 12)).is_err());
    drop(generator);
}

/// Never answers; the caller asks to stop while it waits for the second time.
struct Mute<'a> {
    polls: usize,
    stop: &'a AtomicBool,
    ended: BTreeSet<u64>,
}

impl Generator for Mute<'_> {
    fn submit(&mut self, _requests: Vec<Request>) {}
    fn poll(&mut self, _wait: Duration) -> Result<Vec<Answer>, GenerateError> {
        self.polls += 1;
        self.stop.store(self.polls == 2, Ordering::Relaxed);
        assert!(self.polls < 9, "the scheduler ignores the flag");
        Ok(Vec::new())
    }
    fn end_session(&mut self, session: u64) {
        self.ended.insert(session);
    }
    fn policy(&self) -> String {
        "test".to_owned()
    }
}

#[test]
fn a_generator_that_never_answers_does_not_keep_a_rollout_from_stopping() {
    let stop = AtomicBool::new(false);
    let mut generator = Mute { polls: 0, stop: &stop, ended: BTreeSet::new() };
    let options = Options { stop: Some(&stop), ..options(AgentKind::Flat, 5) };
    let error = play(&mut generator, options).unwrap_err();
    assert!(matches!(error, GenerateError::Stopped), "{error}");
    assert_eq!(generator.polls, 2);
    assert_eq!(generator.ended, BTreeSet::from_iter(0..5), "its requests are withdrawn");
}

/// Keeps the requests of session 0 until all other episodes have ended; answers the others at once.
struct Withholding {
    pending: Vec<Request>,
    ended: Arc<AtomicUsize>,
    others: usize,
    empty: usize,
}

impl Withholding {
    fn new(ended: &Arc<AtomicUsize>) -> Self {
        Self { pending: Vec::new(), ended: ended.clone(), others: jobs().len() - 1, empty: 0 }
    }
}

impl Generator for Withholding {
    fn submit(&mut self, requests: Vec<Request>) {
        self.pending.extend(requests);
    }
    fn poll(&mut self, _wait: Duration) -> Result<Vec<Answer>, GenerateError> {
        let release = self.ended.load(Ordering::Relaxed) == self.others;
        let ready = |request: &mut Request| release || request.session != 0;
        let answers: Vec<Answer> =
            self.pending.extract_if(.., ready).map(|request| answer(&request)).collect();
        self.empty = if answers.is_empty() { self.empty + 1 } else { 0 };
        assert!(self.empty < 100_000, "{:?} of {} other episodes have ended", self.ended, self.others);
        Ok(answers)
    }
    fn policy(&self) -> String {
        "test".to_owned()
    }
}

#[test]
fn a_reply_that_does_not_come_holds_up_no_other_episode() {
    for agent in AGENTS {
        let ended = Arc::new(AtomicUsize::new(0));
        let mut order = Vec::new();
        let episodes = Scheduler::new(&Corridors, &mut Withholding::new(&ended), options(agent, 3))
            .run(&jobs(), |episode| {
                order.push(episode.task.id.clone());
                ended.fetch_add(1, Ordering::Relaxed);
            })
            .unwrap();
        assert_eq!((order.len(), order.last().unwrap().as_str()), (12, "1"));
        assert_eq!(episodes, immediate(agent));
    }
}

#[test]
fn a_slow_generator_of_one_role_holds_up_no_episode_that_asks_another() {
    let ended = Arc::new(AtomicUsize::new(0));
    let routes: Vec<(Role, Box<dyn Generator>)> = vec![
        (Role::Planner, Box::new(Withholding::new(&ended))),
        (Role::Executor, Box::new(Blocking::new(Immediate))),
        (Role::Progress, Box::new(Threaded::new(3))),
    ];
    let mut generator = ByRole::new(routes);
    let policy = generator.policy();
    assert_eq!(policy, "planner:test+executor:test+progress:test");
    let episodes = Scheduler::new(&Corridors, &mut generator, options(AgentKind::StepHrl, 3))
        .run(&jobs(), |_| {
            ended.fetch_add(1, Ordering::Relaxed);
        })
        .unwrap();
    let expected = immediate(AgentKind::StepHrl).into_iter();
    let expected: Vec<Episode> =
        expected.map(|episode| Episode { policy: policy.clone(), ..episode }).collect();
    assert_eq!(episodes, expected);
}

#[test]
fn a_role_without_a_generator_ends_the_run() {
    let mut generator = ByRole::new(vec![(Role::Planner, Box::new(Blocking::new(Immediate)))]);
    let error = play(&mut generator, options(AgentKind::StepHrl, 3)).unwrap_err().to_string();
    assert_eq!(error, "there is no model for the executor");
}

/// Answers all requests but the second of session 4, which fails.
struct Failing {
    asked: usize,
}

impl BatchGenerator for Failing {
    fn generate(
        &mut self,
        requests: &[Request],
    ) -> Result<Vec<Result<Completion, GenerateError>>, GenerateError> {
        let answer = |request: &Request| {
            self.asked += usize::from(request.session == 4);
            if request.session == 4 && self.asked == 2 {
                return Err(GenerateError::Backend("the connection was reset".to_owned()));
            }
            Ok(reply(request))
        };
        Ok(requests.iter().map(answer).collect())
    }
    fn policy(&self) -> String {
        "test".to_owned()
    }
}

#[test]
fn a_request_that_fails_ends_its_own_episode_only() {
    let mut episodes = play(&mut Blocking::new(Failing { asked: 0 }), options(AgentKind::Flat, 3)).unwrap();
    let whole = immediate(AgentKind::Flat);
    assert_eq!(episodes.len(), whole.len());
    for (place, (episode, whole)) in episodes.iter().zip(&whole).enumerate() {
        if place == 4 {
            assert_eq!(episode.error.as_deref(), Some("the connection was reset"));
            assert_eq!((episode.len(), episode.end, episode.won), (1, None, false));
            assert_eq!(episode.steps().next(), whole.steps().next());
        } else {
            assert_eq!(episode, whole);
        }
    }
    assert_eq!(evaluate(&episodes).errors, 1);
    let dropped = Dropped::take_from(&mut episodes).unwrap();
    assert_eq!((dropped.episodes, dropped.of, episodes.len()), (1, 12, 11));
    assert_eq!(dropped.first.as_deref(), Some("corridor/all/5: the connection was reset"));
}

#[test]
fn a_script_without_a_reply_ends_its_own_episode_only() {
    let silent = |query: &Query| match query {
        Query::Flat { history, .. } if history.len() == 4 => None,
        query => walker(query),
    };
    let options = Options { noise: None, sampling: None, ..options(AgentKind::Flat, 5) };
    let episodes = play(&mut Blocking::new(Scripted(silent)), options).unwrap();
    let aborted: Vec<bool> = episodes.iter().map(|episode| episode.error.is_some()).collect();
    assert_eq!(aborted.iter().filter(|&&aborted| aborted).count(), 8);
    assert!(aborted[..4].iter().all(|&aborted| !aborted));
}

/// Loses the last request of every batch.
struct Forgetful;

impl BatchGenerator for Forgetful {
    fn generate(
        &mut self,
        requests: &[Request],
    ) -> Result<Vec<Result<Completion, GenerateError>>, GenerateError> {
        Ok(requests[1..].iter().map(|request| Ok(reply(request))).collect())
    }
    fn policy(&self) -> String {
        "forgetful".to_owned()
    }
}

#[test]
fn a_batch_that_is_not_answered_whole_ends_the_run() {
    let error = play(&mut Blocking::new(Forgetful), options(AgentKind::Flat, 3)).unwrap_err().to_string();
    assert_eq!(error, "forgetful answered 2 of 3 requests; it must answer each");
}
