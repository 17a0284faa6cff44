//! Benchmark of the simulators: steps, resets and worlds per second.

use std::time::Duration;

use serde::Serialize;
use stepladder_env::clock::Stopwatch;

use crate::env::FIRST_ACTION;
use crate::failure::Failure;
use crate::instance::Instance;
use crate::pool::Pool;
use crate::spec::SPEC;

/// Tasks of the benchmark and their variations: short and long ones, some with many objects, some that wait
/// for plants to grow.
pub const COURSE: [(&str, u32); 8] = [
    ("boil", 0),
    ("chemistry-mix", 0),
    ("find-animal", 0),
    ("grow-plant", 0),
    ("lifespan-longest-lived", 0),
    ("power-component", 0),
    ("test-conductivity", 0),
    ("use-thermometer", 0),
];

/// Tasks of the benchmark with their actions, the simulator's gold paths.
#[derive(Debug, Clone)]
pub struct Course {
    episodes: Vec<(&'static str, u32, Vec<String>)>,
}

impl Course {
    /// Generates the gold paths of [`COURSE`].
    ///
    /// # Errors
    /// [`Failure`] if a gold path cannot be generated.
    pub fn prepare(pool: &Pool) -> Result<Self, Failure> {
        let episodes = COURSE.iter().map(|&(task, variation)| {
            let gold = pool.gold(task, variation, "")?;
            Ok((task, variation, gold))
        });
        Ok(Self { episodes: episodes.collect::<Result<_, Failure>>()? })
    }

    /// Plays all tasks once. Each step fetches the observation, room, inventory, score and completion; with
    /// `valid` also the list of admissible actions.
    ///
    /// # Errors
    /// [`Failure`] of a load, step or list.
    pub fn play(&self, instance: &mut Instance, valid: bool) -> Result<Lap, Failure> {
        let mut lap = Lap::default();
        for (task, variation, gold) in &self.episodes {
            let started = Stopwatch::start();
            instance.load(task, *variation, "")?;
            instance.step(FIRST_ACTION)?;
            lap.resetting += started.elapsed();
            lap.resets += 1;
            let started = Stopwatch::start();
            for action in gold {
                let view = instance.step(action)?;
                for text in [&view.observation, &view.look, &view.inventory] {
                    lap.add(text.len() as u64);
                }
                lap.add(view.score.to_bits());
                lap.steps += 1;
                if valid {
                    lap.add(instance.valid()?.len() as u64);
                }
                if view.completed {
                    break;
                }
            }
            lap.stepping += started.elapsed();
        }
        Ok(lap)
    }
}

/// Measurements of one pass over the course.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lap {
    /// Steps played, without the first look around of each episode.
    pub steps: u64,
    /// Time spent in these steps.
    pub stepping: Duration,
    /// Episodes started.
    pub resets: u64,
    /// Time spent in loading them and in their first look around.
    pub resetting: Duration,
    /// Checksum over text lengths, scores and numbers of admissible actions; equal for equal episodes.
    pub checksum: u64,
}

impl Lap {
    fn add(&mut self, word: u64) {
        self.checksum = (self.checksum.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    /// Returns the steps per second.
    pub fn steps_per_second(&self) -> f64 {
        rate(self.steps, self.stepping)
    }
}

fn rate(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64().max(f64::MIN_POSITIVE)
}

/// Report of a benchmark.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BenchReport {
    /// Environment id.
    pub env: String,
    /// Steps per second in one JVM; a step fetches observation, room, inventory and score.
    pub steps_per_second: f64,
    /// Steps per second in one JVM if each step also lists the admissible actions.
    pub steps_per_second_with_valid_actions: f64,
    /// Episodes started per second in one JVM, with their first look around.
    pub resets_per_second: f64,
    /// Steps per second of two worlds in two JVMs, loading included.
    pub steps_per_second_of_two: f64,
    /// Ratio of the throughput of two JVMs to that of one, loading included in both.
    pub two_over_one: f64,
    /// Source of the actions.
    pub policy: String,
    /// Number of different tasks.
    pub games: usize,
    /// Steps played without lists of actions; as many were played with them.
    pub steps: u64,
    /// Checksum over text lengths, scores and numbers of admissible actions; equal for equal simulators.
    pub checksum: String,
}

/// Plays the course until `steps` steps are reached, after a warm-up of the same length. Passes with, without
/// lists of actions and with two worlds alternate, so that a drift of the machine affects all three.
///
/// # Errors
/// [`Failure`] of a load, step or list.
pub fn bench(pool: &Pool, steps: u64) -> Result<BenchReport, Failure> {
    let course = Course::prepare(pool)?;
    let mut pair = [Instance::new(pool), Instance::new(pool)];
    let checksum = course.play(&mut pair[0], true)?.checksum;
    let length = course.play(&mut pair[0], false)?.steps.max(1);
    let laps = steps.div_ceil(length);
    both(&course, &mut pair, laps)?;
    let mut sums = [Lap::default(), Lap::default()];
    let (mut together, mut of_two) = (Duration::ZERO, 0);
    for _ in 0..laps {
        for valid in [false, true] {
            let lap = course.play(&mut pair[0], valid)?;
            let sum = &mut sums[usize::from(valid)];
            sum.steps += lap.steps;
            sum.stepping += lap.stepping;
            sum.resets += lap.resets;
            sum.resetting += lap.resetting;
        }
        let (stepped, time) = both(&course, &mut pair, 1)?;
        of_two += stepped;
        together += time;
    }
    let [off, on] = sums;
    // The rate of two JVMs includes loading.
    let one = rate(off.steps, off.stepping + off.resetting);
    Ok(BenchReport {
        env: SPEC.id.to_owned(),
        steps_per_second: off.steps_per_second(),
        steps_per_second_with_valid_actions: on.steps_per_second(),
        resets_per_second: rate(off.resets + on.resets, off.resetting + on.resetting),
        steps_per_second_of_two: rate(of_two, together),
        two_over_one: rate(of_two, together) / one,
        policy: "gold paths, one JVM per core".to_owned(),
        games: COURSE.len(),
        steps: off.steps,
        checksum: format!("{checksum:016x}"),
    })
}

/// Plays two worlds in parallel. Returns the steps of both and the time until the slower one is done.
fn both(course: &Course, pair: &mut [Instance; 2], laps: u64) -> Result<(u64, Duration), Failure> {
    let started = Stopwatch::start();
    let play = |instance: &mut Instance| -> Result<u64, Failure> {
        let mut steps = 0;
        for _ in 0..laps {
            steps += course.play(instance, false)?.steps;
        }
        Ok(steps)
    };
    let steps = std::thread::scope(|scope| {
        let [one, other] = pair;
        let other = scope.spawn(|| play(other));
        let one = play(one);
        let lost = |_| Err(Failure::Broken("a benchmark thread panicked".to_owned()));
        Ok::<u64, Failure>(one? + other.join().unwrap_or_else(lost)?)
    })?;
    Ok((steps, started.elapsed()))
}
