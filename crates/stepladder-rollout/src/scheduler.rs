//! Drives many episodes at once: submits requests as they arise, takes completions as they arrive, and runs environment
//! steps on all cores (docs/design.md D2).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::RngExt;
use rayon::prelude::*;
use stepladder_agent::himac::Blueprint;
use stepladder_agent::{Agent, AgentFactory, Want};
use stepladder_core::label::Perturb;
use stepladder_core::reply::NO_ACTION;
use stepladder_core::reply::parses;
use stepladder_core::seed::{Rng, fingerprint, stream};
use stepladder_core::trace::{Episode, Turn, VERSION};
use stepladder_core::{End, Observation, Query, Role, Start, Step, TaskKey};
use stepladder_env::{Env, EnvError, TaskSet, TimeLimit};

use crate::constrain;
use crate::generator::{Completion, GenerateError, Generator, Request, RequestId};
use crate::sampling::{Distribution, Sampling};

/// Time that one poll of the generator may wait.
const PATIENCE: Duration = Duration::from_secs(1);

/// One episode to play.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Task of the episode.
    pub task: TaskKey,
    /// Seed of the environment's reset.
    pub seed: u64,
    /// Index of this episode among those of the same task (samples of a group).
    pub sample: u64,
    /// Source of the blueprint, for agents that follow one.
    pub blueprint: Blueprint,
}

impl Job {
    /// Creates one job per task, with environment seed 0.
    pub fn each(tasks: &[TaskKey]) -> Vec<Self> {
        tasks.iter().map(|task| Self::sampled(task, 0)).collect()
    }

    /// Creates the job of sample `sample` of a task, with environment seed 0.
    pub fn sampled(task: &TaskKey, sample: u64) -> Self {
        Self { task: task.clone(), seed: 0, sample, blueprint: Blueprint::Own }
    }
}

/// Noise of a rollout: with `probability`, a step plays a proposed action instead of the agent's; the label remains the
/// agent's reply.
#[derive(Clone, Copy)]
pub struct Noise<'a> {
    /// Probability per step.
    pub probability: f64,
    /// Source of proposed actions.
    pub perturb: &'a dyn Perturb,
}

/// Options of a rollout.
#[derive(Clone)]
pub struct Options<'a> {
    /// Agent of the episodes.
    pub agent: Arc<dyn AgentFactory>,
    /// Environment steps per episode (T_max).
    pub max_steps: u32,
    /// Maximum number of episodes running at once.
    pub slots: usize,
    /// Distribution that replies are sampled from; `None` decodes greedily.
    pub sampling: Option<Distribution>,
    /// Stop strings of all replies ([`Request::stop`]).
    pub stop_strings: Option<Arc<[String]>>,
    /// With sampling, the only role that samples while the others are greedy; `None` lets all roles sample.
    pub sample_only: Option<Role>,
    /// Whether turns keep their token ids, which online algorithms need.
    pub keep_tokens: bool,
    /// Run seed of all streams.
    pub seed: u64,
    /// Iteration in the streams of sampled tokens.
    pub iteration: u64,
    /// Noise on actions, if any.
    pub noise: Option<Noise<'a>>,
    /// Whether turns keep their rendered prompts, which take most of the memory of a long episode.
    pub keep_prompts: bool,
    /// Whether roles that act reply with an admissible action of the environment ([`constrain::replies`]). For evaluation: the
    /// log-probabilities of such replies are not those of the policy.
    pub constrained: bool,
    /// Flag that ends the rollout with [`GenerateError::Stopped`] before the next poll of the generator; `None` plays to the end.
    pub stop: Option<&'a AtomicBool>,
}

impl Options<'_> {
    /// Returns the options of greedy episodes of `agent` with the published limit of 50 steps.
    pub fn greedy(agent: impl AgentFactory + 'static) -> Self {
        Self {
            agent: Arc::new(agent),
            max_steps: 50,
            slots: 64,
            sampling: None,
            stop_strings: None,
            sample_only: None,
            keep_tokens: false,
            seed: 0,
            iteration: 0,
            noise: None,
            keep_prompts: true,
            constrained: false,
            stop: None,
        }
    }
}

/// Runs episodes of one task set with one generator.
pub struct Scheduler<'a> {
    tasks: &'a dyn TaskSet,
    generator: &'a mut dyn Generator,
    options: Options<'a>,
}

/// State of a running episode.
enum Next {
    /// Has a request to submit.
    Ask(Query),
    /// Waits for the reply of this role.
    Wait(Role),
    /// Has an action for the environment.
    Act(String),
    /// Has ended.
    End,
}

impl From<Want> for Next {
    fn from(want: Want) -> Self {
        match want {
            Want::Reply(query) => Self::Ask(query),
            Want::Act(action) => Self::Act(action),
            Want::Finished => Self::End,
        }
    }
}

struct Running {
    /// Index of the job; also the session of the requests.
    index: usize,
    job: Job,
    env: TimeLimit<Box<dyn Env>>,
    agent: Box<dyn Agent>,
    start: Option<Start>,
    next: Next,
    /// Native replies that the pending request allows; `None` allows any.
    allowed: Option<Arc<[String]>>,
    turn: u64,
    noise: Rng,
    seen: Observation,
    score: f64,
    won: bool,
    end: Option<End>,
    error: Option<String>,
}

impl Running {
    fn fail(&mut self, error: impl ToString) {
        self.error = Some(error.to_string());
        self.next = Next::End;
    }

    /// Whether the pending request allows this reply.
    fn allows(&self, reply: &str) -> bool {
        self.allowed.as_ref().is_none_or(|allowed| allowed.iter().any(|other| other == reply))
    }
}

impl<'a> Scheduler<'a> {
    /// Creates a scheduler for the environment of `tasks` and this generator.
    pub fn new(tasks: &'a dyn TaskSet, generator: &'a mut dyn Generator, options: Options<'a>) -> Self {
        Self { tasks, generator, options }
    }

    /// Plays all jobs and returns their episodes in the order of the jobs; calls `done` with each episode as it ends.
    ///
    /// The error of an environment or of a request ends its own episode (with `error` set), never the run. While a reply is
    /// pending, all other episodes continue.
    ///
    /// # Errors
    /// [`GenerateError`] if the generator can answer no request; [`GenerateError::Stopped`] if [`Options::stop`] was set.
    pub fn run(
        &mut self,
        jobs: &[Job],
        mut done: impl FnMut(&Episode),
    ) -> Result<Vec<Episode>, GenerateError> {
        let mut running = Vec::new();
        let episodes = self.play(jobs, &mut running, &mut done);
        // The generator may serve another run, so the requests of a failed run are withdrawn.
        for episode in running {
            self.generator.end_session(episode.index as u64);
        }
        episodes
    }

    fn play(
        &mut self,
        jobs: &[Job],
        running: &mut Vec<Running>,
        done: &mut impl FnMut(&Episode),
    ) -> Result<Vec<Episode>, GenerateError> {
        let mut episodes: Vec<Option<Episode>> = vec![None; jobs.len()];
        let mut waiting = jobs.iter().cloned().enumerate();
        let mut pending: HashMap<RequestId, usize> = HashMap::new();
        let mut policy = self.generator.policy();
        if self.options.constrained {
            policy.push_str(", constrained");
        }
        loop {
            let free = self.options.slots.max(1) - running.len();
            let fresh: Vec<(usize, Job)> = waiting.by_ref().take(free).collect();
            let (tasks, options) = (self.tasks, &self.options);
            running.par_extend(fresh.into_par_iter().map(|(index, job)| begin(tasks, options, index, job)));
            if running.is_empty() {
                break;
            }
            if self.options.constrained {
                running.par_iter_mut().for_each(constrain);
            }
            self.ask(running, &mut pending);
            self.take_replies(running, &mut pending)?;
            let noise = self.options.noise;
            running.par_iter_mut().for_each(|episode| act(episode, noise));
            for episode in running.extract_if(.., |episode| matches!(episode.next, Next::End)) {
                self.generator.end_session(episode.index as u64);
                let index = episode.index;
                let finished = finish(episode, self.options.agent.name(), &policy);
                done(&finished);
                episodes[index] = Some(finished);
            }
        }
        Ok(episodes.into_iter().flatten().collect())
    }

    /// Submits the requests of all episodes that have one.
    fn ask(&mut self, running: &mut [Running], pending: &mut HashMap<RequestId, usize>) {
        let mut requests = Vec::new();
        for episode in running {
            if let Next::Ask(query) = &episode.next {
                let role = query.role();
                let Next::Ask(query) = std::mem::replace(&mut episode.next, Next::Wait(role)) else {
                    continue;
                };
                let request = self.request(episode, query);
                pending.insert(request.id, episode.index);
                requests.push(request);
            }
        }
        if !requests.is_empty() {
            self.generator.submit(requests);
        }
    }

    /// Passes completions to their episodes; waits for one if no episode has anything else to do. Episodes that then have
    /// an action do not wait for those with another request (planner, then executor), which gives fewer and larger batches.
    fn take_replies(
        &mut self,
        running: &mut [Running],
        pending: &mut HashMap<RequestId, usize>,
    ) -> Result<(), GenerateError> {
        let idle = running.iter().all(|episode| matches!(episode.next, Next::Wait(_)));
        let answers = loop {
            // In the loop: a generator that never answers must not keep the caller from stopping.
            if self.options.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                return Err(GenerateError::Stopped);
            }
            let answers = self.generator.poll(if idle { PATIENCE } else { Duration::ZERO })?;
            if !(idle && answers.is_empty()) {
                break answers;
            }
        };
        for (id, result) in answers {
            let Some(index) = pending.remove(&id) else { continue };
            // Jobs begin in order, so the episodes are sorted by index.
            let Ok(place) = running.binary_search_by_key(&index, |episode| episode.index) else { continue };
            let episode = &mut running[place];
            let Next::Wait(role) = episode.next else { continue };
            episode.turn += 1;
            match result {
                Ok(completion) if !episode.allows(&completion.text) => episode.fail(format!(
                    "{} replied `{}`, which is not an admissible reply: it cannot constrain its replies",
                    self.generator.policy(),
                    completion.text
                )),
                Ok(completion) => {
                    let turn = to_turn(role, completion, &self.options);
                    episode.next = episode.agent.on_reply(turn).into();
                }
                Err(error) => episode.fail(error),
            }
        }
        Ok(())
    }

    fn request(&self, episode: &Running, query: Query) -> Request {
        let samples = self.options.sample_only.is_none_or(|role| role == query.role());
        let sampling = self.options.sampling.filter(|_| samples).map(|distribution| Sampling {
            distribution,
            rng: stream(
                self.options.seed,
                "sampling",
                &[
                    self.options.iteration,
                    fingerprint(&episode.job.task.to_string()),
                    episode.job.sample,
                    episode.turn,
                ],
            ),
        });
        let (session, allowed) = (episode.index as u64, episode.allowed.clone());
        let stop = self.options.stop_strings.clone();
        Request { id: RequestId::fresh(), query, session, sampling, allowed, stop }
    }
}

fn begin(tasks: &dyn TaskSet, options: &Options<'_>, index: usize, job: Job) -> Running {
    let noise = stream(options.seed, "noise", &[fingerprint(&job.task.to_string()), job.sample]);
    let mut agent = options.agent.make(options.max_steps, &job.blueprint);
    let made = tasks.make().and_then(|env| {
        let mut env = TimeLimit::new(env, options.max_steps);
        let start = env.reset(&job.task, job.seed)?;
        Ok((env, start))
    });
    match made {
        Ok((env, start)) => {
            let want = agent.start(&start);
            let seen = Observation::first(&start);
            Running {
                index,
                job,
                env,
                agent,
                start: Some(start),
                next: want.into(),
                allowed: None,
                turn: 0,
                noise,
                seen,
                score: 0.0,
                won: false,
                end: None,
                error: None,
            }
        }
        Err(error) => Running {
            index,
            job,
            env: TimeLimit::new(Box::new(Broken), 1),
            agent,
            start: None,
            next: Next::End,
            allowed: None,
            turn: 0,
            noise,
            seen: Observation { feedback: String::new(), context: String::new() },
            score: 0.0,
            won: false,
            end: None,
            error: Some(error.to_string()),
        },
    }
}

/// Lists the replies that the next request of an episode allows.
fn constrain(episode: &mut Running) {
    let Next::Ask(query) = &episode.next else { return };
    let role = query.role();
    episode.allowed = None;
    if !constrain::acts(role) {
        return;
    }
    let Some(actions) = episode.env.admissible().map(|list| list.admissible_actions()) else {
        let id = episode.env.spec().id;
        return episode
            .fail(format!("{id} does not list admissible actions, so replies cannot be constrained"));
    };
    if actions.is_empty() {
        // A simulator that failed says so at the next step.
        let none = format!("{} listed no admissible action", episode.env.spec().id);
        let reason = episode.env.step(NO_ACTION).map_or_else(|error| error.to_string(), |_| none);
        return episode.fail(reason);
    }
    episode.allowed = Some(constrain::replies(role, &actions));
}

fn to_turn(role: Role, completion: Completion, options: &Options<'_>) -> Turn {
    let logprobs = completion.tokens.as_ref().and_then(|tokens| tokens.logprobs.as_ref());
    let unparsable = !parses(role, &completion.text);
    Turn {
        role,
        logprob: logprobs.map(|logprobs| logprobs.iter().map(|&value| f64::from(value)).sum()),
        prompt: if options.keep_prompts { completion.prompt } else { String::new() },
        reply: completion.text,
        prompt_tokens: completion.prompt_tokens,
        uncached_tokens: completion.uncached_tokens,
        new_tokens: completion.new_tokens,
        cut: completion.cut,
        shortened: completion.shortened,
        unparsable,
        tokens: completion.tokens.filter(|_| options.keep_tokens).map(Box::new),
    }
}

fn act(episode: &mut Running, noise: Option<Noise<'_>>) {
    let Next::Act(wanted) = &episode.next else { return };
    let mut action = wanted.clone();
    if let Some(noise) = noise
        && episode.noise.random_bool(noise.probability)
        && let Some(other) = noise.perturb.perturb(&action, &episode.seen, &mut episode.noise)
        && other != action
    {
        episode.agent.substitute(&other);
        action = other;
    }
    match episode.env.step(&action) {
        Ok(step) => {
            episode.seen.feedback.clone_from(&step.observation);
            if let Some(context) = &step.context {
                episode.seen.context.clone_from(context);
            }
            note(episode, &step);
            episode.next = episode.agent.on_step(&step).into();
        }
        Err(error) => episode.fail(error),
    }
}

fn note(episode: &mut Running, step: &Step) {
    episode.score += step.reward;
    episode.won |= step.won;
    episode.end = step.end;
}

fn finish(mut episode: Running, agent: &str, policy: &str) -> Episode {
    let empty = || Start {
        text: String::new(),
        task: String::new(),
        context: String::new(),
        family: "unknown".to_owned(),
    };
    Episode {
        version: VERSION,
        task: episode.job.task,
        seed: episode.job.seed,
        agent: agent.to_owned(),
        policy: policy.to_owned(),
        start: episode.start.unwrap_or_else(empty),
        subtasks: episode.agent.trace(),
        won: episode.won,
        score: episode.score,
        end: episode.end,
        error: episode.error,
    }
}

/// Placeholder for an environment that could not be made; it is never stepped.
struct Broken;

impl Env for Broken {
    fn spec(&self) -> &stepladder_env::EnvSpec {
        const SPEC: &stepladder_env::EnvSpec = &stepladder_env::EnvSpec {
            id: "broken",
            summary: "",
            version: 0,
            upstream: "",
            data_licence: "",
            splits: &[],
            max_steps: 1,
            reward_range: (0.0, 0.0),
            score_range: None,
            deterministic: true,
        };
        SPEC
    }

    fn reset(&mut self, task: &TaskKey, _seed: u64) -> Result<Start, EnvError> {
        Err(EnvError::UnknownTask { task: task.clone(), reason: "the environment could not be made".into() })
    }

    fn step(&mut self, _action: &str) -> Result<Step, EnvError> {
        Err(EnvError::StepBeforeReset { env: "broken" })
    }
}
