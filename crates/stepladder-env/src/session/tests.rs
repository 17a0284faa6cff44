use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rayon::prelude::*;

use super::*;

static SPEC: EnvSpec = EnvSpec {
    id: "counter",
    summary: "",
    version: 1,
    upstream: "",
    data_licence: "",
    splits: &["train", "test", "empty"],
    max_steps: 4,
    reward_range: (-1.0, 1.0),
    score_range: Some((0.0, 1.0)),
    deterministic: false,
};

/// Tells its seed; `win` ends, `lose` costs 1, `crash` fails.
struct Counter(Option<()>);

impl Env for Counter {
    fn spec(&self) -> &EnvSpec {
        &SPEC
    }
    fn reset(&mut self, task: &TaskKey, seed: u64) -> Result<Start, EnvError> {
        self.0 = Some(());
        let text = |text: &str| text.to_owned();
        Ok(Start {
            text: seed.to_string(),
            task: task.id.clone(),
            context: text("hall"),
            family: text("count"),
        })
    }
    fn step(&mut self, action: &str) -> Result<Step, EnvError> {
        self.0.ok_or(EnvError::StepBeforeReset { env: SPEC.id })?;
        let won = action == "win";
        if action == "crash" {
            return Err(EnvError::Backend { env: SPEC.id, reason: "crashed".to_owned() });
        }
        Ok(Step {
            observation: action.to_owned(),
            reward: if won { 0.5 } else { -f64::from(u8::from(action == "lose")) },
            won,
            unknown_action: false,
            context: won.then(|| "garden".to_owned()),
            end: won.then_some(End::Terminated),
        })
    }
    fn admissible(&mut self) -> Option<&mut dyn crate::Admissible> {
        Some(self)
    }
}

impl crate::Admissible for Counter {
    fn admissible_actions(&mut self) -> Vec<String> {
        ["lose", "win"].map(str::to_owned).to_vec()
    }
}

struct Counters;

impl TaskSet for Counters {
    fn spec(&self) -> &EnvSpec {
        &SPEC
    }
    fn tasks(&self, split: &str) -> Result<Vec<TaskKey>, EnvError> {
        SPEC.known_split(split)?;
        let count = if split == "empty" { 0 } else { 100 };
        Ok((0..count).map(|number| TaskKey::new(SPEC.id, split, format!("task-{number}"))).collect())
    }
    fn max_steps(&self, split: &str) -> u32 {
        if split == "test" { 2 } else { 4 }
    }
    fn make(&self) -> Result<Box<dyn Env>, EnvError> {
        Ok(Box::new(Counter(None)))
    }
}

fn session(seed: u64) -> Session {
    Session::new(SharedTasks::new(Box::new(Counters)), "train", seed).unwrap()
}

fn on(task: TaskChoice) -> Reset {
    Reset { task: Some(task), ..Reset::default() }
}

#[test]
fn an_episode_is_named_by_its_seed_and_drawn_episodes_by_that_of_the_session() {
    let drawn = |seed| {
        let mut session = session(seed);
        let mut next = || session.reset(&Reset::default()).unwrap().clone();
        [next(), next(), next()]
    };
    let (first, again, other) = (drawn(1), drawn(1), drawn(2));
    assert_eq!(first, again);
    assert!(first != other && first[0].task != first[1].task, "{first:?}");
    for episode in &first {
        let mut fresh = session(99);
        let same = fresh.reset(&Reset { seed: Some(episode.seed), ..Reset::default() }).unwrap();
        assert_eq!((same, &*same.start.text), (episode, &*episode.seed.to_string()));
    }
    let mut reseeded = session(2);
    reseeded.reset(&Reset::default()).unwrap();
    reseeded.reseed(1);
    assert_eq!(reseeded.reset(&Reset::default()).unwrap(), &first[0]);
}

#[test]
fn tasks_are_chosen_by_position_or_id_and_a_split_stays() {
    let mut session = session(0);
    let reset = Reset { split: Some("test".to_owned()), ..on(TaskChoice::Index(3)) };
    assert_eq!(session.reset(&reset).unwrap().task, TaskKey::new("counter", "test", "task-3"));
    let episode = session.reset(&on(TaskChoice::Id("task-7".to_owned()))).unwrap();
    assert_eq!((episode.index, &*episode.task.split, episode.max_steps), (7, "test", 2));
}

#[test]
fn a_refused_request_leaves_the_session_as_it_was() {
    let mut session = session(0);
    session.reset(&on(TaskChoice::Index(1))).unwrap();
    session.step("look").unwrap();
    let before = session.episode().cloned();
    let refused = [
        (
            on(TaskChoice::Index(100)),
            "unknown task counter/train/100: the split has 100 tasks, counted from 0",
        ),
        (
            on(TaskChoice::Id("x".to_owned())),
            "unknown task counter/train/x: no task of the split has this id; the first is task-0",
        ),
        (
            Reset { split: Some("dev".to_owned()), ..Reset::default() },
            "counter has no split `dev`; it has train, test, empty",
        ),
        (
            Reset { split: Some("empty".to_owned()), ..Reset::default() },
            "counter has no task in the split `empty`",
        ),
    ];
    for (reset, said) in refused {
        assert_eq!(session.reset(&reset).unwrap_err().to_string(), said);
        assert_eq!(session.episode().cloned(), before);
    }
    session.step("look").unwrap();
    assert_eq!(session.episode().unwrap().steps, 2);
}

#[test]
fn score_end_and_context_follow_the_steps() {
    let mut session = session(0);
    let said = |error: EnvError| error.to_string();
    assert_eq!(session.step("look").map_err(said).unwrap_err(), "counter: step before reset");
    assert_eq!(session.admissible_actions(), None);
    session.reset(&Reset::default()).unwrap();
    assert_eq!(session.admissible_actions().unwrap(), ["lose", "win"]);
    session.step("lose").unwrap();
    assert_eq!(session.episode().unwrap().score, 0.0, "clamped to the range");
    session.step("win").unwrap();
    let episode = session.episode().unwrap();
    assert_eq!((episode.score, episode.won, episode.end), (0.0, true, Some(End::Terminated)));
    assert_eq!(episode.context, "garden");
    assert_eq!(session.admissible_actions(), None);
    let over = "counter: the episode is over; reset before the next step";
    assert_eq!(session.step("look").map_err(said).unwrap_err(), over);
    session.reset(&Reset { split: Some("test".to_owned()), ..Reset::default() }).unwrap();
    assert_eq!(session.step("look").unwrap().end, None);
    assert_eq!(session.step("look").unwrap().end, Some(End::Truncated));
    let mut short = self::session(0).limited(Some(1));
    short.reset(&Reset::default()).unwrap();
    assert_eq!(short.step("look").unwrap().end, Some(End::Truncated));
}

#[test]
fn a_failed_environment_is_replaced_at_the_next_reset() {
    let mut session = session(0);
    session.reset(&Reset::default()).unwrap();
    assert_eq!(session.step("crash").unwrap_err().to_string(), "counter: crashed");
    assert!(session.episode().is_none());
    assert_eq!(session.step("look").unwrap_err().to_string(), "counter: step before reset");
    session.reset(&Reset::default()).unwrap();
    assert!(session.step("look").is_ok());
}

/// Tasks whose splits are slow to read, with parallel work; the first reading of `test` fails.
#[derive(Default)]
struct Slow {
    readings: Arc<AtomicUsize>,
}

impl TaskSet for Slow {
    fn spec(&self) -> &EnvSpec {
        &SPEC
    }
    fn tasks(&self, split: &str) -> Result<Vec<TaskKey>, EnvError> {
        let earlier = self.readings.fetch_add(1, Ordering::SeqCst);
        (0..64).into_par_iter().for_each(|_| std::thread::sleep(Duration::from_millis(2)));
        // A thread of a pool does other work while it waits.
        rayon::yield_now();
        if split == "test" && earlier == 0 {
            return Err(EnvError::Backend { env: SPEC.id, reason: "not now".to_owned() });
        }
        Ok(vec![TaskKey::new(SPEC.id, split, "a")])
    }
    fn make(&self) -> Result<Box<dyn Env>, EnvError> {
        Ok(Box::new(Counter(None)))
    }
}

#[test]
fn callers_at_the_same_time_read_a_split_once_and_a_failure_is_not_kept() {
    let slow = Slow::default();
    let readings = slow.readings.clone();
    let shared = SharedTasks::new(Box::new(slow));
    let barrier = Barrier::new(8);
    let ask = || {
        barrier.wait();
        shared.split("train").map(|split| split.keys().len()).unwrap_or(0)
    };
    let found: Vec<usize> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!((found, readings.load(Ordering::SeqCst)), (vec![1; 8], 1));

    let slow = Slow::default();
    let readings = slow.readings.clone();
    let shared = SharedTasks::new(Box::new(slow));
    assert_eq!(shared.split("test").unwrap_err().to_string(), "counter: not now");
    assert_eq!(shared.split("test").unwrap().keys().len(), 1);
    assert_eq!(readings.load(Ordering::SeqCst), 2);
    assert!(shared.reading.lock().unwrap().is_empty());
}

#[test]
fn threads_of_a_pool_do_not_wait_for_each_other() {
    let shared = SharedTasks::new(Box::new(Slow::default()));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
    let found: Vec<usize> = pool
        .install(|| (0..64).into_par_iter().map(|_| shared.split("train").unwrap().keys().len()).collect());
    assert_eq!(found, [1; 64]);
}

#[test]
fn drawn_seeds_fit_into_signed_integers() {
    let mut session = session(0);
    for _ in 0..64 {
        let seed = session.reset(&Reset::default()).unwrap().seed;
        assert!(i64::try_from(seed).is_ok(), "{seed}");
    }
}

#[test]
fn an_abandoned_session_makes_a_new_environment() {
    let mut session = session(0);
    session.reset(&Reset { split: Some("test".to_owned()), ..on(TaskChoice::Index(3)) }).unwrap();
    session.abandon();
    assert!(session.episode().is_none());
    assert!(matches!(session.step("look"), Err(EnvError::StepBeforeReset { .. })));
    assert_eq!(
        session.reset(&on(TaskChoice::Index(5))).unwrap().task,
        TaskKey::new("counter", "test", "task-5")
    );
}
