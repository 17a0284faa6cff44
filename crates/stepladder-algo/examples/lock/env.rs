//! The combination lock (docs/spec/algorithms.md 9.3): an environment in which the order of three sub-goals decides, and nothing
//! but the end tells.
//!
//! Six stations lie [`Lock::moves`] moves from a hall. The task names three of them by words that stand nowhere else, in any order. Their
//! levers must be pulled in the order of [`RANK`], which no text and no demonstration shows. Each visit is scripted after its first
//! move, so an episode has three decisions among many actions.

use stepladder_core::label::Expert;
use stepladder_core::reply::executor_reply;
use stepladder_core::{End, Query, Role, Start, Step, TaskKey};
use stepladder_env::{Env, EnvError, EnvSpec, TaskSet};

pub(crate) const SPEC: EnvSpec = EnvSpec {
    id: "lock",
    summary: "pull three levers in the right order",
    version: 1,
    upstream: "none",
    data_licence: "none",
    splits: &["all"],
    max_steps: 60,
    reward_range: (0.0, 1.0),
    score_range: None,
    deterministic: true,
};

/// Stations, as places and sub-goals name them.
pub(crate) const STATIONS: [&str; 6] = ["red", "green", "blue", "white", "black", "brown"];
/// The stations in tasks.
pub(crate) const SYNONYMS: [&str; 6] = ["fire", "grass", "sky", "snow", "coal", "earth"];
/// Place of each station in the order in which levers must be pulled.
pub(crate) const RANK: [usize; 6] = [3, 0, 5, 1, 4, 2];
/// Levers of a task.
pub(crate) const LEVERS: usize = 3;

/// Returns the order in which the levers of a task must be pulled.
pub(crate) fn code(mut named: Vec<usize>) -> Vec<usize> {
    named.sort_by_key(|&station| RANK[station]);
    named
}

/// The stations of every task, in the order in which it names them.
pub(crate) fn named() -> Vec<[usize; LEVERS]> {
    let all = 0..STATIONS.len();
    let mut tasks = Vec::new();
    for first in all.clone() {
        for second in all.clone().filter(|&station| station != first) {
            let others = all.clone().filter(|&station| station != first && station != second);
            tasks.extend(others.map(|third| [first, second, third]));
        }
    }
    tasks
}

/// Writes the task that names these stations.
pub(crate) fn task(named: &[usize]) -> String {
    named.iter().map(|&station| SYNONYMS[station]).collect::<Vec<_>>().join(" ")
}

/// Returns the stations that a task names.
pub(crate) fn stations(key: &TaskKey) -> Vec<usize> {
    key.id.bytes().map(|digit| usize::from(digit - b'0')).collect()
}

/// Writes the hall after these levers were pulled.
pub(crate) fn hall(pulled: &[usize]) -> String {
    let names: Vec<&str> = pulled.iter().map(|&station| STATIONS[station]).collect();
    ["hall", &names.join(" ")].join(" ").trim_end().to_owned()
}

/// Writes the place after `walked` of `moves` moves to a station.
pub(crate) fn path(station: usize, walked: u32, moves: u32) -> String {
    let name = STATIONS[station];
    if walked == moves { format!("lever {name}") } else { format!("path {name} {walked}") }
}

/// One visit of the lock.
pub(crate) struct Lock {
    moves: u32,
    code: Vec<usize>,
    pulled: Vec<usize>,
    /// Station that the agent walks to, and the moves so far.
    on_path: Option<(usize, u32)>,
}

impl Env for Lock {
    fn spec(&self) -> &EnvSpec {
        &SPEC
    }

    fn reset(&mut self, key: &TaskKey, _seed: u64) -> Result<Start, EnvError> {
        let named = stations(key);
        self.code = code(named.clone());
        (self.pulled, self.on_path) = (Vec::new(), None);
        Ok(Start { text: hall(&[]), task: task(&named), context: String::new(), family: "lock".to_owned() })
    }

    fn step(&mut self, action: &str) -> Result<Step, EnvError> {
        let walks = action.strip_prefix("walk ").and_then(|to| STATIONS.iter().position(|name| *name == to));
        let mut understood = true;
        match (self.on_path, walks) {
            (None, Some(station)) if !self.pulled.contains(&station) => self.on_path = Some((station, 1)),
            (Some((station, walked)), None) if walked < self.moves && action == "on" => {
                self.on_path = Some((station, walked + 1));
            }
            (Some((station, walked)), None) if walked == self.moves && action == "pull" => {
                self.pulled.push(station);
                self.on_path = None;
            }
            _ => understood = false,
        }
        let over = self.pulled.len() == LEVERS;
        let won = over && self.pulled == self.code;
        Ok(Step {
            observation: match self.on_path {
                Some((station, walked)) => path(station, walked, self.moves),
                None => hall(&self.pulled),
            },
            reward: f64::from(u8::from(won)),
            won,
            unknown_action: !understood,
            context: None,
            end: over.then_some(End::Terminated),
        })
    }
}

/// Locks whose stations are `moves` moves away.
pub(crate) struct Locks {
    pub(crate) moves: u32,
}

impl TaskSet for Locks {
    fn spec(&self) -> &EnvSpec {
        &SPEC
    }

    fn tasks(&self, _split: &str) -> Result<Vec<TaskKey>, EnvError> {
        let id = |named: [usize; LEVERS]| named.map(|station| station.to_string()).concat();
        Ok(named().into_iter().map(|named| TaskKey::new("lock", "all", id(named))).collect())
    }

    fn make(&self) -> Result<Box<dyn Env>, EnvError> {
        Ok(Box::new(Lock { moves: self.moves, code: Vec::new(), pulled: Vec::new(), on_path: None }))
    }
}

/// Goes where it is told, as an executor.
pub(crate) struct Guide;

impl Expert for Guide {
    fn reply(&self, query: &Query) -> Option<String> {
        let Query::Executor { subtask, observation, .. } = query else { return None };
        let place: Vec<&str> = observation.feedback.split_whitespace().collect();
        Some(match place[..] {
            ["lever", name] => executor_reply("pull", name == subtask),
            ["path", ..] => executor_reply("on", false),
            _ => executor_reply(&format!("walk {subtask}"), false),
        })
    }

    fn answers(&self, role: Role) -> bool {
        role == Role::Executor
    }
}
