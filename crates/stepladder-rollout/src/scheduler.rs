//! Drives many episodes at once: every round all wanted replies go to the generator as one batch, then all wanted
//! actions are played on all cores (design D2).

use rand::RngExt;
use rayon::prelude::*;
use stepladder_agent::himac::Blueprint;
use stepladder_agent::{Agent, AgentSpec, Want};
use stepladder_core::label::Perturb;
use stepladder_core::seed::{Rng, fingerprint, stream};
use stepladder_core::trace::{Episode, Turn, TurnTokens, VERSION};
use stepladder_core::{End, Observation, Role, Start, Step, TaskKey};
use stepladder_env::{Env, EnvError, TaskSet, TimeLimit};

use crate::generator::{Completion, GenerateError, Generator, Request, Sampling, budget};

/// One episode to play.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Which task.
    pub task: TaskKey,
    /// Seed of the environment's reset.
    pub seed: u64,
    /// Number of this episode among those of the same task (samples of a group).
    pub sample: u64,
    /// Where the blueprint comes from, for agents that follow one.
    pub blueprint: Blueprint,
}

impl Job {
    /// One episode per task, environment seed 0.
    pub fn each(tasks: &[TaskKey]) -> Vec<Self> {
        tasks.iter().map(|task| Self::sampled(task, 0)).collect()
    }

    /// Sample `sample` of a task, environment seed 0.
    pub fn sampled(task: &TaskKey, sample: u64) -> Self {
        Self { task: task.clone(), seed: 0, sample, blueprint: Blueprint::Own }
    }
}

/// Noise of a rollout: with `probability` a proposed action is played instead of the wanted one; the label stays.
#[derive(Clone, Copy)]
pub struct Noise<'a> {
    /// Chance per step.
    pub probability: f64,
    /// Who proposes.
    pub perturb: &'a dyn Perturb,
}

/// How episodes are driven.
#[derive(Clone)]
pub struct Options<'a> {
    /// Which agent plays.
    pub agent: AgentSpec,
    /// Environment steps per episode (T_max).
    pub max_steps: u32,
    /// Episodes running at once.
    pub slots: usize,
    /// None decodes greedily.
    pub temperature: Option<f64>,
    /// The only role that samples, where there is a temperature; the others are greedy. None: all sample.
    pub sample_only: Option<Role>,
    /// Whether turns hold their tokens, for whoever learns from them.
    pub keep_tokens: bool,
    /// Run seed of all streams.
    pub seed: u64,
    /// Iteration number in the streams of sampled tokens.
    pub iteration: u64,
    /// Noise on actions, if any.
    pub noise: Option<Noise<'a>>,
    /// Whether episodes hold the prompts as the model read them; they are most of a long episode's memory.
    pub keep_prompts: bool,
}

impl Options<'_> {
    /// Greedy episodes of `agent` with the published limit of 50 steps.
    pub fn greedy(agent: impl Into<AgentSpec>) -> Self {
        Self {
            agent: agent.into(),
            max_steps: 50,
            slots: 64,
            temperature: None,
            sample_only: None,
            keep_tokens: false,
            seed: 0,
            iteration: 0,
            noise: None,
            keep_prompts: true,
        }
    }
}

/// Runs episodes of one task set with one generator.
pub struct Scheduler<'a> {
    tasks: &'a dyn TaskSet,
    generator: &'a mut dyn Generator,
    options: Options<'a>,
}

struct Running {
    index: usize,
    job: Job,
    env: TimeLimit<Box<dyn Env>>,
    agent: Box<dyn Agent>,
    start: Option<Start>,
    want: Want,
    turn: u64,
    noise: Rng,
    seen: Observation,
    score: f64,
    won: bool,
    end: Option<End>,
    error: Option<String>,
}

impl<'a> Scheduler<'a> {
    /// A scheduler over `tasks` that asks `generator`.
    pub fn new(tasks: &'a dyn TaskSet, generator: &'a mut dyn Generator, options: Options<'a>) -> Self {
        Self { tasks, generator, options }
    }

    /// Plays all jobs and returns their episodes in the order of the jobs; `done` hears of each as it ends.
    ///
    /// An environment that fails ends its own episode (with `error` set), never the run.
    ///
    /// # Errors
    /// [`GenerateError`] if the generator fails.
    pub fn run(
        &mut self,
        jobs: &[Job],
        mut done: impl FnMut(&Episode),
    ) -> Result<Vec<Episode>, GenerateError> {
        let mut episodes: Vec<Option<Episode>> = vec![None; jobs.len()];
        let mut waiting = jobs.iter().cloned().enumerate();
        let mut running: Vec<Running> = Vec::new();
        let policy = self.generator.policy();
        loop {
            let free = self.options.slots.max(1) - running.len();
            let fresh: Vec<(usize, Job)> = waiting.by_ref().take(free).collect();
            let (tasks, options) = (self.tasks, &self.options);
            let begun: Vec<Running> =
                fresh.into_par_iter().map(|(index, job)| begin(tasks, options, index, job)).collect();
            running.extend(begun);
            if running.is_empty() {
                break;
            }
            self.reply(&mut running)?;
            let noise = self.options.noise;
            running.par_iter_mut().for_each(|episode| act(episode, noise));
            let mut kept = Vec::with_capacity(running.len());
            for mut episode in running {
                if episode.want == Want::Finished {
                    self.generator.end_session(episode.index as u64);
                    let finished = finish(&mut episode, self.options.agent, &policy);
                    done(&finished);
                    episodes[episode.index] = Some(finished);
                } else {
                    kept.push(episode);
                }
            }
            running = kept;
        }
        Ok(episodes.into_iter().flatten().collect())
    }

    /// Asks once for every episode that wants a reply. Those that then want to act need not wait for those that want
    /// another reply (planner, then executor): fewer and larger batches, and no episode's replies depend on another's.
    fn reply(&mut self, running: &mut [Running]) -> Result<(), GenerateError> {
        let asking: Vec<usize> =
            (0..running.len()).filter(|&position| matches!(running[position].want, Want::Reply(_))).collect();
        if asking.is_empty() {
            return Ok(());
        }
        let requests: Vec<Request<'_>> =
            asking.iter().filter_map(|&position| self.request(&running[position])).collect();
        let completions = self.generator.generate(&requests)?;
        drop(requests);
        for (&position, completion) in asking.iter().zip(completions) {
            let episode = &mut running[position];
            episode.turn += 1;
            let Want::Reply(query) = &episode.want else { continue };
            let mut turn = to_turn(query.role(), completion, self.options.keep_tokens);
            if !self.options.keep_prompts {
                turn.prompt = String::new();
            }
            episode.want = episode.agent.on_reply(turn);
        }
        Ok(())
    }

    fn request<'q>(&self, episode: &'q Running) -> Option<Request<'q>> {
        let Want::Reply(query) = &episode.want else { return None };
        let samples = self.options.sample_only.is_none_or(|role| role == query.role());
        let sampling = self.options.temperature.filter(|_| samples).map(|temperature| Sampling {
            temperature,
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
        Some(Request { query, budget: budget(query.role()), session: episode.index as u64, sampling })
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
                want,
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
            want: Want::Finished,
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

fn to_turn(role: Role, completion: Completion, keep_tokens: bool) -> Turn {
    let logprob = (!completion.logprobs.is_empty())
        .then(|| completion.logprobs.iter().map(|&value| f64::from(value)).sum());
    Turn {
        role,
        prompt: completion.prompt,
        reply: completion.text,
        prompt_tokens: completion.prompt_tokens,
        uncached_tokens: completion.uncached_tokens,
        new_tokens: completion.tokens.len() as u32,
        logprob,
        cut: completion.cut,
        tokens: keep_tokens.then(|| {
            Box::new(TurnTokens {
                prompt: completion.prompt_ids,
                reply: completion.tokens.iter().map(|&id| id as u32).collect(),
                logprobs: completion.logprobs,
            })
        }),
    }
}

fn act(episode: &mut Running, noise: Option<Noise<'_>>) {
    let Want::Act(wanted) = &episode.want else { return };
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
            episode.want = episode.agent.on_step(&step);
        }
        Err(error) => {
            episode.error = Some(error.to_string());
            episode.want = Want::Finished;
        }
    }
}

fn note(episode: &mut Running, step: &Step) {
    episode.score += step.reward;
    episode.won |= step.won;
    episode.end = step.end;
}

fn finish(episode: &mut Running, agent: AgentSpec, policy: &str) -> Episode {
    let empty = || Start {
        text: String::new(),
        task: String::new(),
        context: String::new(),
        family: "unknown".to_owned(),
    };
    Episode {
        version: VERSION,
        task: episode.job.task.clone(),
        seed: episode.job.seed,
        agent: agent.kind.name().to_owned(),
        policy: policy.to_owned(),
        start: episode.start.take().unwrap_or_else(empty),
        subtasks: episode.agent.trace(),
        won: episode.won,
        score: episode.score,
        end: episode.end,
        error: episode.error.take(),
    }
}

/// Stands in for an environment that could not be made; nothing is ever asked of it.
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
