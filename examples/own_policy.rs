//! A policy of your own: a rule, compared with the expert in one table. Any policy plugs in the same way: implement
//! `BatchGenerator` where replies come from one blocking call, `Generator` where they arrive one by one, as from a server.

#![allow(clippy::print_stdout)]

use rand::RngExt;
use stepladder_agent::AgentKind;
use stepladder_core::Query;
use stepladder_core::seed::stream;
use stepladder_rollout::generator::{
    BatchGenerator, Blocking, Completion, ExpertGenerator, GenerateError, Generator, Request,
};
use stepladder_rollout::{Job, scheduler::Options};
use stepladder_train::table::{self, Line};
use stepladder_train::{Error, Silent, envs, play::play};

type Replies = Result<Vec<Result<Completion, GenerateError>>, GenerateError>;

/// Random walk without an immediate return.
struct Walker {
    moves: u64,
}

impl BatchGenerator for Walker {
    fn generate(&mut self, requests: &[Request]) -> Replies {
        let replies = requests.iter().map(|request| {
            let Query::Flat { history, .. } = &request.query else {
                let (role, policy) = (request.query.role(), self.policy());
                return Err(GenerateError::Unplayed { role, policy });
            };
            let back = match history.last().map(|(action, _)| action.as_str()) {
                Some("up") => "down",
                Some("down") => "up",
                Some("left") => "right",
                Some("right") => "left",
                _ => "",
            };
            let mut directions = vec!["up", "down", "left", "right"];
            directions.retain(|direction| *direction != back);
            let mut rng = stream(0, "walker", &[request.session, history.len() as u64]);
            Ok(Completion::text(directions[rng.random_range(0..directions.len())]))
        });
        let replies = replies.collect::<Vec<_>>();
        self.moves += replies.len() as u64;
        Ok(replies)
    }

    fn policy(&self) -> String {
        "walker".to_owned()
    }
}

pub(crate) fn main() -> Result<(), Error> {
    let env = envs::open_with(None, "sokoban", None, &[])?;
    let jobs = Job::each(&env.tasks.tasks("dev-6x6-1")?[..200]);
    let evaluate = |name: &str, policy: &mut dyn Generator| -> Result<Line, Error> {
        let options = Options { max_steps: 60, ..Options::greedy(AgentKind::Flat) };
        let episodes = play(&env, policy, &jobs, options, name, &Silent)?;
        Ok(Line { name: name.to_owned(), evaluation: env.evaluate(&episodes) })
    };
    let expert = evaluate("expert", &mut Blocking::new(ExpertGenerator::new(env.expert()?, "expert")))?;
    let mut walker = Blocking::new(Walker { moves: 0 });
    let lines = [expert, evaluate("walker", &mut walker)?];
    println!("{}", table::render("sokoban/dev-6x6-1, 60 steps", &lines));
    println!("{} random moves", walker.into_inner().moves);
    let [expert, walker] = [&lines[0], &lines[1]].map(|line| line.evaluation.all.success);
    if expert < 1.0 || walker <= 0.05 || walker >= 0.9 {
        return Err(Error::failed(format!("the expert solves {expert:.2}, the walker {walker:.2}")));
    }
    Ok(())
}
