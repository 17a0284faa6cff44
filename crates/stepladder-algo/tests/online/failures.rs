//! A stop, an aborted episode and gradients that are not finite.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::echo::*;
use stepladder_agent::AgentSpec;
use stepladder_algo::AlgoError;
use stepladder_algo::grpo::Grpo;
use stepladder_algo::online::rollouts::{Rollouts, Sampled, group};
use stepladder_algo::online::{Method, OnlineConfig, train};
use stepladder_algo::runtime::counters::Counters;
use stepladder_algo::runtime::observer::Ending;
use stepladder_algo::runtime::trainer::Trainer;
use stepladder_core::TaskKey;
use stepladder_data::PromptEncoder;
use stepladder_env::TaskSet;
use stepladder_model::{GeneratorSource, ModelError, Weights};
use stepladder_rollout::{Answer, GenerateError, Generator, Request};
use tch::Tensor;

/// Generators of a policy; those that are opened after the first `left` never answer, and the caller asks to stop meanwhile.
struct FallsSilent {
    inner: Arc<dyn GeneratorSource>,
    left: AtomicUsize,
    stop: &'static AtomicBool,
}

impl GeneratorSource for FallsSilent {
    fn open(
        &self,
        weights: &Weights,
        encoder: Arc<dyn PromptEncoder>,
        policy: String,
    ) -> Result<Box<dyn Generator>, ModelError> {
        let left = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        match left {
            Ok(_) => self.inner.open(weights, encoder, policy),
            Err(_) => Ok(Box::new(Mute { polls: 0, stop: self.stop })),
        }
    }
}

struct Mute {
    polls: usize,
    stop: &'static AtomicBool,
}

impl Generator for Mute {
    fn submit(&mut self, _requests: Vec<Request>) {}
    fn poll(&mut self, _wait: Duration) -> Result<Vec<Answer>, GenerateError> {
        self.polls += 1;
        assert!(self.polls < 9, "the flag is ignored");
        self.stop.store(true, Ordering::Relaxed);
        Ok(Vec::new())
    }
    fn policy(&self) -> String {
        "mute".to_owned()
    }
}

/// A generator falls silent in the second iteration, in each of its rollouts: the first is what stays, and the rest is
/// played again.
#[test]
fn a_stop_inside_an_iteration_leaves_the_one_before_it() {
    static STOP: AtomicBool = AtomicBool::new(false);
    let fixture = Fixture::new();
    let reference = fixture.warm().weights.trained.buffer.copy();
    let pool = Echoes.tasks("all").unwrap();
    let state = |trainer: &Trainer| {
        let values = |tensor: &Tensor| Vec::<f32>::try_from(tensor).unwrap();
        let Trainer { weights, optimiser, counters, .. } = trainer;
        let tensors = [&weights.trained.buffer, &optimiser.first, &optimiser.second].map(values);
        (tensors, optimiser.steps, Counters { seconds: 0.0, ..counters.clone() })
    };
    let grpo = || -> Box<dyn Method> { Box::new(Grpo::Grpo) };
    let himac_method = || -> Box<dyn Method> { Box::new(best()) };
    type Make<'a> = &'a dyn Fn() -> Box<dyn Method>;
    // Rollouts that are answered: GRPO has one in an iteration, HiMAC two.
    let cases: [(Make<'_>, AgentSpec, usize); 3] =
        [(&grpo, flat(), 1), (&himac_method, himac(), 2), (&himac_method, himac(), 3)];
    for (method, agent, answered) in cases {
        let run = |trainer: &mut Trainer, iterations, rollouts: &Rollouts<'_>| {
            let mut curve = Curve(vec![], vec![]);
            train(&mut *method(), &config(iterations), rollouts, trainer, &reference, &mut curve).unwrap()
        };
        let whole = fixture.rollouts(&pool, 1, agent);
        let mut first = fixture.warm();
        run(&mut first, 1.0, &whole);
        let mut stopped = fixture.warm();
        STOP.store(false, Ordering::Relaxed);
        let silent =
            FallsSilent { inner: whole.generators.clone(), left: AtomicUsize::new(answered), stop: &STOP };
        let rollouts =
            Rollouts { generators: Arc::new(silent), stop: &STOP, ..fixture.rollouts(&pool, 1, agent) };
        assert_eq!(run(&mut stopped, 2.0, &rollouts), Ending::Interrupted);
        assert!(state(&stopped) == state(&first), "{answered} rollouts");
        run(&mut stopped, 2.0, &whole);
        run(&mut first, 2.0, &whole);
        assert!(state(&stopped) == state(&first), "{answered} rollouts");
    }
}

#[test]
fn what_fails_is_dropped_and_the_rest_goes_on() {
    let fixture = Fixture::new();
    let mut trainer = fixture.warm();
    let pool: Vec<TaskKey> = ["1", "broken"].map(|id| TaskKey::new("echo", "all", id)).into();
    let rollouts = fixture.rollouts(&pool, 1, flat());
    let jobs: Vec<_> = pool
        .iter()
        .flat_map(|task| (0..3).map(|sample| stepladder_rollout::Job::sampled(task, sample)))
        .collect();
    let sampled = Sampled { temperature: 1.0, only: None };
    let (episodes, _) = rollouts.play(&trainer, &jobs, sampled, 0).unwrap();
    let (groups, lost) = group(episodes, 2).unwrap();
    assert_eq!(groups.len(), 1);
    assert_eq!((groups[0].episodes.len(), lost.dropped.episodes, lost.groups), (3, 3, 1));
    assert!(lost.dropped.first.unwrap().contains("lost its voice"));
    let reference = trainer.weights.trained.buffer.copy();
    let methods: [(Box<dyn Method>, AgentSpec); 2] =
        [(Box::new(Grpo::Grpo), flat()), (Box::new(best()), himac())];
    for (mut method, agent) in methods {
        let rollouts = fixture.rollouts(&pool, 1, agent);
        let mut heard = Heard { steps: 0, warnings: Vec::new() };
        trainer.counters = Counters::start();
        train(&mut *method, &config(2.0), &rollouts, &mut trainer, &reference, &mut heard).unwrap();
        assert_eq!(heard.steps, 2);
        let dropped =
            |text: &String| text.contains("lost its voice") && text.contains("groups with too few episodes");
        assert!(!heard.warnings.is_empty() && heard.warnings.iter().all(dropped), "{:?}", heard.warnings);
    }
    // An environment in which all episodes fail ends the run.
    let broken = [TaskKey::new("echo", "all", "broken")];
    trainer.counters = Counters::start();
    let mut curve = Curve(vec![], vec![]);
    let error = train(
        &mut Grpo::Grpo,
        &config(2.0),
        &fixture.rollouts(&broken, 1, flat()),
        &mut trainer,
        &reference,
        &mut curve,
    )
    .unwrap_err();
    assert!(
        matches!(error, AlgoError::Aborted(_)) && error.to_string().contains("lost its voice"),
        "{error}"
    );
}

#[test]
fn five_gradients_that_are_not_finite_end_the_run() {
    let fixture = Fixture::new();
    let mut trainer = fixture.warm();
    let pool = Echoes.tasks("all").unwrap();
    let before = trainer.weights.trained.buffer.copy();
    // An infinite KL weight makes every loss infinite from the first step on.
    let config = OnlineConfig { kl: f64::INFINITY, ..config(9.0) };
    let reference = &before * 0.5;
    let mut curve = Curve(vec![], vec![]);
    let error = train(
        &mut Grpo::Grpo,
        &config,
        &fixture.rollouts(&pool, 1, flat()),
        &mut trainer,
        &reference,
        &mut curve,
    )
    .unwrap_err();
    assert!(matches!(error, AlgoError::NotFinite { times: 5, .. }), "{error}");
    assert_eq!(
        Vec::<f32>::try_from(&trainer.weights.trained.buffer).unwrap(),
        Vec::<f32>::try_from(&before).unwrap()
    );
}
