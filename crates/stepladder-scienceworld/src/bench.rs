//! How fast the simulators play.

use std::time::Duration;

use serde::Serialize;
use stepladder_env::clock::Stopwatch;

use crate::env::FIRST_ACTION;
use crate::failure::Failure;
use crate::instance::Instance;
use crate::pool::Pool;
use crate::spec::SPEC;

/// What is played: tasks of every length, some with many objects about, some that wait for plants to grow.
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

/// Tasks with the actions that are played in them: the simulator's gold paths.
#[derive(Debug, Clone)]
pub struct Course {
    episodes: Vec<(&'static str, u32, Vec<String>)>,
}

impl Course {
    /// The course of every benchmark.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn prepare(pool: &Pool) -> Result<Self, Failure> {
        let episodes = COURSE.iter().map(|&(task, variation)| {
            let gold = pool.gold(task, variation, "")?;
            Ok((task, variation, gold))
        });
        Ok(Self { episodes: episodes.collect::<Result<_, Failure>>()? })
    }

    /// Plays everything once. Every step fetches the answer, the room, the inventory, the score and whether it is over;
    /// `valid`: also the list of possible actions.
    ///
    /// # Errors
    /// [`Failure`].
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

/// One pass over the course.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lap {
    /// Steps played, first looks around not counted.
    pub steps: u64,
    /// Time in them.
    pub stepping: Duration,
    /// Episodes begun.
    pub resets: u64,
    /// Time in loading them and looking around.
    pub resetting: Duration,
    /// Over lengths of texts, scores, numbers of possible actions; equal for equal episodes.
    pub checksum: u64,
}

impl Lap {
    fn add(&mut self, word: u64) {
        self.checksum = (self.checksum.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    /// Steps per second.
    pub fn steps_per_second(&self) -> f64 {
        rate(self.steps, self.stepping)
    }
}

fn rate(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64().max(f64::MIN_POSITIVE)
}

/// What a benchmark found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BenchReport {
    /// Environment id.
    pub env: String,
    /// Steps per second in one JVM; a step fetches answer, room, inventory, score.
    pub steps_per_second: f64,
    /// The same when every step also asks for the list of possible actions.
    pub steps_per_second_with_valid_actions: f64,
    /// Episodes begun per second in one JVM, first look around included.
    pub resets_per_second: f64,
    /// Steps per second of two worlds in two JVMs.
    pub steps_per_second_of_two: f64,
    /// That, over the steps per second of one.
    pub two_over_one: f64,
    /// How actions were chosen.
    pub policy: String,
    /// Number of different tasks played in turn.
    pub games: usize,
    /// Steps played of each kind.
    pub steps: u64,
    /// Over texts' lengths, scores, numbers of possible actions; equal for equal simulators.
    pub checksum: String,
}

/// Plays the course until the given number of steps is reached, after as many to warm up; the kinds take turns.
///
/// # Errors
/// [`Failure`].
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
    // Loading counts for two, so it must count for one.
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

/// Two worlds play at once: steps, and the time until the slower one is done.
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
        let lost = |_| Err(Failure::Broken("a thread of the benchmark failed".to_owned()));
        Ok::<u64, Failure>(one? + other.join().unwrap_or_else(lost)?)
    })?;
    Ok((steps, started.elapsed()))
}
