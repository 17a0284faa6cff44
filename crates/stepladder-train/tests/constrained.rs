//! Constrained decoding needs admissible actions: an environment without them is refused before anything is played.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

use stepladder_core::label::Expert;
use stepladder_core::{Query, Role, Start, Step, TaskKey};
use stepladder_env::{Env, EnvError, EnvSpec, Family, TaskSet};
use stepladder_train::{ErrorKind, Place, Run, config};

static SPEC: EnvSpec = EnvSpec {
    id: "mute",
    summary: "lists no actions",
    version: 1,
    upstream: "none",
    data_licence: "none",
    splits: &["all"],
    max_steps: 1,
    reward_range: (0.0, 1.0),
    score_range: None,
    deterministic: true,
};
// Its prompts have the style of the household, so that agents may be transferred.
static MUTE: Family = Family {
    expert: Some(|| Box::new(Mute)),
    ..Family::new(
        &SPEC,
        |_, _| Ok(Box::new(Mute)),
        || (stepladder_families::named("household").unwrap().codec)(),
    )
};

struct Mute;

impl Env for Mute {
    fn spec(&self) -> &EnvSpec {
        &SPEC
    }
    fn reset(&mut self, _: &TaskKey, _: u64) -> Result<Start, EnvError> {
        let (text, task) = ("A room.".to_owned(), "wait".to_owned());
        Ok(Start { context: text.clone(), text, task, family: "room".to_owned() })
    }
    fn step(&mut self, _: &str) -> Result<Step, EnvError> {
        Err(EnvError::StepBeforeReset { env: "mute" })
    }
}

impl Expert for Mute {
    fn reply(&self, _: &Query) -> Option<String> {
        None
    }
    fn answers(&self, _: Role) -> bool {
        true
    }
}

impl TaskSet for Mute {
    fn spec(&self) -> &EnvSpec {
        &SPEC
    }
    fn tasks(&self, split: &str) -> Result<Vec<TaskKey>, EnvError> {
        Ok(vec![TaskKey::new("mute", split, "1")])
    }
    fn make(&self) -> Result<Box<dyn Env>, EnvError> {
        Ok(Box::new(Self))
    }
}

#[test]
fn a_run_that_cannot_be_constrained_does_not_start() {
    stepladder_families::register(&MUTE).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let start = |sets: &[&str]| {
        let own = ["eval.constrained=true", "env.max_steps=1"].iter().chain(sets);
        let sets: Vec<String> = own.map(|set| (*set).to_owned()).collect();
        let place = Place { directory: Some(folder.path()), ..Place::default() };
        Run::start(&config::load("demo", &sets).unwrap(), "demo", place).err().unwrap()
    };
    let expected = "eval.constrained: mute does not list its admissible actions: its agents cannot decode under a constraint";
    for sets in [
        &["env.id=mute", "data.split=all", "data.noise=0.0", "eval.split=all", "eval.transfer=[]"][..],
        // The split of another environment that the final checkpoints play.
        &["eval.transfer=[\"mute/all\"]"],
    ] {
        let error = start(sets);
        assert_eq!((error.kind(), format!("{error:#}").as_str()), (ErrorKind::Usage, expected));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
