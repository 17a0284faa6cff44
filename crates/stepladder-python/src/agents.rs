//! Classes `Agent` and `Expert`: agents as state machines, and the rule-based policies of the environments.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use stepladder_agent::himac::Blueprint;
use stepladder_agent::{AgentFactory, AgentSpec, Want};
use stepladder_core::label;
use stepladder_core::reply::parses;
use stepladder_core::trace::{Episode, Turn, VERSION};
use stepladder_core::{End, Query, Role, Start, Step, TaskKey};
use stepladder_families::named;

use crate::episodes::json;
use crate::errors::Fault;

/// Form of a request in Python: its kind, and a query as JSON or an action.
type Wanted = (&'static str, String);

/// An agent and the episode that it plays.
#[pyclass(frozen, module = "stepladder._stepladder")]
pub(crate) struct Agent {
    state: Mutex<State>,
}

struct State {
    agent: Box<dyn stepladder_agent::Agent>,
    waiting: Waiting,
    episode: Episode,
}

/// Event that an agent waits for.
enum Waiting {
    Start,
    Reply(Role),
    Step,
    Nothing,
}

impl State {
    fn take(&mut self, want: Want) -> Result<Wanted, Fault> {
        let (waiting, wanted) = match want {
            Want::Reply(query) => {
                let text = serde_json::to_string(&query).map_err(|error| Fault::Usage(error.to_string()))?;
                (Waiting::Reply(query.role()), ("reply", text))
            }
            Want::Act(action) => (Waiting::Step, ("act", action)),
            Want::Finished => (Waiting::Nothing, ("finished", String::new())),
        };
        self.waiting = waiting;
        Ok(wanted)
    }

    fn unexpected(&self, event: &str) -> Fault {
        let due = match self.waiting {
            Waiting::Start => "start",
            Waiting::Reply(_) => "a reply",
            Waiting::Step => "a step",
            Waiting::Nothing => "nothing, as the episode is over",
        };
        Fault::Usage(format!("the agent got {event}, but waits for {due}"))
    }
}

impl Agent {
    fn with<T>(&self, work: impl FnOnce(&mut State) -> Result<T, Fault>) -> PyResult<T> {
        Ok(work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))?)
    }
}

#[pymethods]
impl Agent {
    #[new]
    fn new(spec: &str, max_steps: u32) -> PyResult<Self> {
        let spec: AgentSpec = spec.parse().map_err(Fault::Usage)?;
        let start =
            Start { text: String::new(), task: String::new(), context: String::new(), family: String::new() };
        let episode = Episode {
            version: VERSION,
            task: TaskKey::new("", "", ""),
            seed: 0,
            agent: spec.kind.name().to_owned(),
            policy: String::new(),
            start,
            subtasks: Vec::new(),
            won: false,
            score: 0.0,
            end: None,
            error: None,
        };
        let agent = spec.make(max_steps, &Blueprint::Own);
        Ok(Self { state: Mutex::new(State { agent, waiting: Waiting::Start, episode }) })
    }

    fn start(&self, text: String, task: String, context: String, family: String) -> PyResult<Wanted> {
        self.with(|state| {
            let start = Start { text, task, context, family };
            let want = state.agent.start(&start);
            state.episode = Episode {
                start,
                subtasks: Vec::new(),
                won: false,
                score: 0.0,
                end: None,
                ..state.episode.clone()
            };
            state.take(want)
        })
    }

    fn on_reply(&self, reply: &str) -> PyResult<Wanted> {
        self.with(|state| {
            let Waiting::Reply(role) = state.waiting else { return Err(state.unexpected("a reply")) };
            let turn = Turn { unparsable: !parses(role, reply), ..Turn::said(role, reply) };
            let want = state.agent.on_reply(turn);
            state.take(want)
        })
    }

    #[pyo3(signature = (observation, reward, won, unknown_action, context, terminated, truncated))]
    #[expect(clippy::too_many_arguments, reason = "a step")]
    fn on_step(
        &self,
        observation: String,
        reward: f64,
        won: bool,
        unknown_action: bool,
        context: Option<String>,
        terminated: bool,
        truncated: bool,
    ) -> PyResult<Wanted> {
        self.with(|state| {
            if !matches!(state.waiting, Waiting::Step) {
                return Err(state.unexpected("a step"));
            }
            let end = match (terminated, truncated) {
                (true, _) => Some(End::Terminated),
                (false, true) => Some(End::Truncated),
                (false, false) => None,
            };
            let step = Step { observation, reward, won, unknown_action, context, end };
            state.episode.won |= step.won;
            state.episode.score += step.reward;
            state.episode.end = step.end;
            let want = state.agent.on_step(&step);
            state.take(want)
        })
    }

    /// Takes out the episode as JSON.
    fn episode(
        &self,
        env: String,
        split: String,
        task_id: String,
        seed: u64,
        policy: String,
    ) -> PyResult<String> {
        self.with(|state| {
            let task = TaskKey { env, split, id: task_id };
            let subtasks = state.agent.trace();
            json(&Episode { task, seed, policy, subtasks, ..state.episode.clone() })
        })
    }
}

/// The rule-based policy of an environment.
#[pyclass(frozen, module = "stepladder._stepladder")]
pub(crate) struct Expert {
    id: &'static str,
    expert: Box<dyn label::Expert>,
}

#[pymethods]
impl Expert {
    #[new]
    fn new(id: &str) -> PyResult<Self> {
        let family = named(id).map_err(Fault::UnknownEnvironment)?;
        Ok(Self { id: family.spec.id, expert: family.expert().map_err(Fault::from)? })
    }

    fn reply(&self, query: &str) -> PyResult<String> {
        let query: Query = serde_json::from_str(query)
            .map_err(|error| Fault::Usage(format!("not a query of an agent: {error}")))?;
        let reply = self.expert.reply(&query);
        let role = query.role().name();
        Ok(reply.ok_or_else(|| {
            Fault::Usage(format!("the expert of {} does not play the role {role}", self.id))
        })?)
    }
}
