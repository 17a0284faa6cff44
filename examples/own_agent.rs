//! An agent of your own: it sends every prompt three times before an action and plays the most frequent reply. With a policy that
//! errs in every fourth reply, it solves more Sokoban boards than an agent that asks once.
#![allow(clippy::print_stdout)]

use rand::RngExt;
use stepladder_agent::{Agent, AgentFactory, AgentKind, Want, himac::Blueprint, replay};
use stepladder_core::trace::{Subtask, TraceStep, Turn};
use stepladder_core::{Query, Start, Step, label::Expert};
use stepladder_rollout::generator::{BatchGenerator, Blocking, Completion, GenerateError, Request};
use stepladder_rollout::sampling::{Distribution, Sampling};
use stepladder_rollout::{Job, scheduler::Options};
use stepladder_train::table::{self, Line};
use stepladder_train::{Error, Silent, envs, play::play};
const MOVES: [&str; 4] = ["up", "down", "left", "right"];
type Replies = Result<Vec<Result<Completion, GenerateError>>, GenerateError>;
/// Creates a [`Vote`] per episode.
struct Votes;
impl AgentFactory for Votes {
    fn name(&self) -> &str {
        "vote"
    }
    fn make(&self, _limit: u32, _blueprint: &Blueprint) -> Box<dyn Agent> {
        Box::new(Vote::default())
    }
}
#[derive(Default)]
struct Vote {
    start: (String, String),
    turns: Vec<Turn>,
    steps: Vec<TraceStep>,
}
impl Vote {
    fn ask(&self) -> Want {
        let (task, context) = self.start.clone();
        Want::Reply(Query::Flat { task, context, history: Vec::new() })
    }
}
impl Agent for Vote {
    fn start(&mut self, start: &Start) -> Want {
        *self = Self { start: (start.task.clone(), start.text.clone()), ..Self::default() };
        self.ask()
    }
    fn on_reply(&mut self, turn: Turn) -> Want {
        self.turns.push(turn);
        if self.turns.len() < 3 {
            return self.ask();
        }
        let votes = |turn: &Turn| self.turns.iter().filter(|other| other.reply == turn.reply).count();
        let chosen = (0..3).max_by_key(|&at| votes(&self.turns[at])).unwrap_or(0);
        self.turns.swap(chosen, 2);
        Want::Act(self.turns[2].reply.clone())
    }
    fn substitute(&mut self, _action: &str) {}
    fn on_step(&mut self, step: &Step) -> Want {
        let Some(turn) = self.turns.pop() else { return Want::Finished };
        let (action, idle) = (turn.reply.clone(), std::mem::take(&mut self.turns));
        self.steps.push(TraceStep { idle, ..TraceStep::new(turn, action, false, false, step) });
        self.start.1.clone_from(&step.observation);
        if step.end.is_some() { Want::Finished } else { self.ask() }
    }
    fn trace(&mut self) -> Vec<Subtask> {
        vec![Subtask { text: String::new(), turn: None, steps: std::mem::take(&mut self.steps) }]
    }
}
/// The expert, with a random direction in every fourth reply.
struct Erring<'a>(&'a dyn Expert);
impl BatchGenerator for Erring<'_> {
    fn generate(&mut self, requests: &[Request]) -> Replies {
        let reply = |request: &Request| {
            let random = request.sampling.clone().and_then(|Sampling { mut rng, .. }| {
                rng.random_bool(0.25).then(|| MOVES[rng.random_range(0..4)].to_owned())
            });
            Ok(Completion::text(random.or_else(|| self.0.reply(&request.query)).unwrap_or_default()))
        };
        Ok(requests.iter().map(reply).collect())
    }
    fn policy(&self) -> String {
        "erring".to_owned()
    }
}

pub(crate) fn main() -> Result<(), Error> {
    let env = envs::open_with(None, "sokoban", None, &[])?;
    let jobs = Job::each(&env.tasks.tasks("dev-6x6-1")?[..100]);
    let (mut lines, mut last) = (Vec::new(), Vec::new());
    for options in [Options::greedy(AgentKind::Flat), Options::greedy(Votes)] {
        let options = Options { sampling: Some(Distribution::at(1.0)), max_steps: 40, ..options };
        let (name, mut policy) = (options.agent.name().to_owned(), Blocking::new(Erring(env.expert()?)));
        last = play(&env, &mut policy, &jobs, options, &name, &Silent)?;
        lines.push(Line { name, evaluation: env.evaluate(&last) });
    }
    println!("{}", table::render("sokoban/dev-6x6-1", &lines));
    // Replay reproduces every prompt of the agent: data for training.
    let replayed = replay::drive(&mut Vote::default(), &last[0]).map(|replay| replay.decisions.len());
    let [once, voted] = [&lines[0], &lines[1]].map(|line| line.evaluation.all.success);
    if voted <= once || replayed.ok() != Some(3 * last[0].len()) {
        return Err(Error::failed(format!("asking once solves {once:.2}, voting {voted:.2}")));
    }
    Ok(())
}
