//! A text world of your own: demonstrations of its expert, behaviour cloning for seconds, evaluation on unseen tasks. A lamp
//! shows a colour; the agent presses the button of that colour, in three rounds.
#![allow(clippy::print_stdout)]
use std::sync::{Arc, atomic::AtomicBool};
use stepladder_core::{End, Query, Role, Start, Step, TaskKey, codec::Plain, label::Expert};
use stepladder_env::{Env, EnvError, EnvSpec, Family, TaskSet};
use stepladder_train::evaluate::{Player, Settings, Source};
use stepladder_train::{Error, Place, Run, Silent, config};
const TASK: &str = "press the colour of the lamp";
const SETTINGS: &str = "env.id=lamp env.max_steps=5 data.games=0 data.noisy_passes=0 threads=1 model.width=32 \
    model.layers=1 model.heads=2 model.kv_heads=1 model.ffn=64 model.max_positions=128 agents.step_hrl=false \
    agents.flat.budget={steps=150} agents.flat.batch_tokens=256 eval.split=test eval.probes=0 eval.transfer=[]";
static SPEC: EnvSpec = EnvSpec {
    id: "lamp",
    summary: "press the colour of a lamp",
    version: 1,
    upstream: "none",
    data_licence: "none needed",
    splits: &["train", "test"],
    max_steps: 5,
    reward_range: (0.0, 1.0),
    score_range: None,
    deterministic: true,
};
static LAMP: Family = Family {
    expert: Some(|| Box::new(Presser)),
    ..Family::new(&SPEC, |_data_root, _options| Ok(Box::new(Tasks)), || Arc::new(Plain))
};
struct Tasks;
impl TaskSet for Tasks {
    fn spec(&self) -> &EnvSpec {
        &SPEC
    }
    /// The digits of a task's number in base 4 are its colours; every fifth task is in the test split.
    fn tasks(&self, split: &str) -> Result<Vec<TaskKey>, EnvError> {
        let numbers = (0..64).filter(|number| (number % 5 == 0) == (split == "test"));
        SPEC.known_split(split)
            .map(|()| numbers.map(|n| TaskKey::new("lamp", split, n.to_string())).collect())
    }
    fn make(&self) -> Result<Box<dyn Env>, EnvError> {
        Ok(Box::new(Lamp(Vec::new())))
    }
}
/// Colours of the remaining rounds, the current one last.
struct Lamp(Vec<&'static str>);
impl Env for Lamp {
    fn spec(&self) -> &EnvSpec {
        &SPEC
    }
    fn reset(&mut self, task: &TaskKey, _seed: u64) -> Result<Start, EnvError> {
        let unknown =
            |_| EnvError::UnknownTask { task: task.clone(), reason: "it must be a number".to_owned() };
        let number: usize = task.id.parse().map_err(unknown)?;
        self.0 = [1, 4, 16].map(|place| ["red", "green", "blue", "white"][number / place % 4]).to_vec();
        let text = format!("the lamp is {}", self.0[2]);
        Ok(Start { text, task: TASK.to_owned(), context: String::new(), family: "lamp".to_owned() })
    }
    fn step(&mut self, action: &str) -> Result<Step, EnvError> {
        let colour = self.0.pop().ok_or(EnvError::StepBeforeReset { env: "lamp" })?;
        let (right, last) = (action == format!("press {colour}"), self.0.is_empty());
        let end = (last || !right).then_some(End::Terminated);
        let observation = format!("the lamp is {}", self.0.last().unwrap_or(&"out"));
        let reward = f64::from(u8::from(right && last));
        Ok(Step { observation, reward, won: right && last, unknown_action: false, context: None, end })
    }
}
/// The expert is a function of the prompt's contents. It answers as planner, executor and progress writer.
struct Presser;
impl Expert for Presser {
    fn reply(&self, query: &Query) -> Option<String> {
        match query {
            Query::Planner { .. } => Some(TASK.to_owned()),
            Query::Executor { observation, .. } => {
                Some(format!("press {}; False", observation.text().replace("the lamp is ", "")))
            }
            Query::Progress { .. } => Some("None".to_owned()),
            _ => None,
        }
    }
    fn answers(&self, role: Role) -> bool {
        matches!(role, Role::Planner | Role::Executor | Role::Progress)
    }
}

pub(crate) fn main() -> Result<(), Error> {
    stepladder_families::register(&LAMP)?;
    let settings: Vec<String> = SETTINGS.split_whitespace().map(str::to_owned).collect();
    let (folder, stop) = (tempfile::tempdir()?, AtomicBool::new(false));
    let place = Place { directory: Some(folder.path()), ..Place::default() };
    Run::start(&config::load("demo", &settings)?, "demo", place)?.train(&Silent, &stop)?;
    let player = Player::open(&Source::run(folder.path()), |config| &config.eval.split, &Silent)?;
    let games = player.evaluation(0, 1, None)?;
    let played = player.play(&games, Settings::default(), &Silent, &stop)?;
    println!("{}", player.table(&games, &played, None));
    match player.env.evaluate(&played.episodes).all.success {
        0.9.. => Ok(()),
        success => Err(Error::failed(format!("it solves {success:.2} of the test"))),
    }
}
