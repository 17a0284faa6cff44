//! Speed of the engine.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use serde::Serialize;
use stepladder_core::seed::stream;
use stepladder_env::clock::Stopwatch;

use crate::engine::Engine;
use crate::game::Game;
use crate::list::CommandList;
use crate::tasks::SPEC;

/// Steps per episode; then the next game starts.
pub const EPISODE: u64 = 50;

/// Result of a benchmark.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BenchReport {
    /// Environment id.
    pub env: String,
    /// Steps per second on one core. A step lists the admissible commands, chooses one, plays it and writes the answer.
    /// Includes a reset every [`EPISODE`] steps.
    pub steps_per_second: f64,
    /// Resets per second on one core, each with its first text and the admissible commands.
    pub resets_per_second: f64,
    /// Description of the policy that chose the commands.
    pub policy: String,
    /// Number of different games.
    pub games: usize,
    /// Number of steps.
    pub steps: u64,
    /// Checksum of every byte of every text and command. Equal games, steps and seed give equal checksums.
    pub checksum: String,
}

/// Plays `games` in turn for a total of `steps` steps, choosing uniformly among the admissible commands.
///
/// Every step writes the observation and all admissible commands; the checksum reads every byte of them. Returns `None`
/// without games.
pub fn bench(games: &[Arc<Game>], steps: u64, seed: u64) -> Option<BenchReport> {
    let mut engine = Engine::new(games.first()?.clone());
    let mut rng = stream(seed, "alfworld/bench", &[]);
    let mut checksum = Checksum::default();
    let (mut text, mut commands) = (String::new(), CommandList::new());

    let started = Stopwatch::start();
    let mut turn = games.iter().cycle();
    for step in 0..steps {
        if step % EPISODE == 0 {
            begin(&mut engine, turn.next()?, &mut text);
            checksum.add(&text);
        }
        engine.admissible(&mut commands);
        checksum.add(commands.text());
        let command = commands.get(rng.random_range(0..commands.len()))?;
        text.clear();
        let outcome = engine.step(command, &mut text);
        checksum.add(&text);
        checksum.word(0, u64::from(outcome.won));
    }
    let stepping = started.elapsed();

    let resets = (steps / EPISODE).max(games.len() as u64);
    let started = Stopwatch::start();
    for game in games.iter().cycle().take(resets as usize) {
        begin(&mut engine, game, &mut text);
        engine.admissible(&mut commands);
        checksum.add(&text);
        checksum.add(commands.text());
    }
    let resetting = started.elapsed();

    Some(BenchReport {
        env: SPEC.id.to_owned(),
        steps_per_second: rate(steps, stepping),
        resets_per_second: rate(resets, resetting),
        policy: format!("uniformly random admissible command, {EPISODE} steps per episode, one core"),
        games: games.len(),
        steps,
        checksum: format!("{:016x}", checksum.finish()),
    })
}

fn begin(engine: &mut Engine, game: &Arc<Game>, text: &mut String) {
    engine.switch(game);
    text.clear();
    engine.write_intro(text);
}

fn rate(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64().max(f64::MIN_POSITIVE)
}

/// Multiplicative checksum in four lanes of eight bytes: cheap relative to a step, and it reads every byte.
#[derive(Default)]
struct Checksum([u64; 4]);

impl Checksum {
    fn word(&mut self, lane: usize, word: u64) {
        self.0[lane] = (self.0[lane].rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn add(&mut self, text: &str) {
        let (blocks, rest) = text.as_bytes().as_chunks::<32>();
        for block in blocks {
            for (lane, word) in block.as_chunks::<8>().0.iter().enumerate() {
                self.word(lane, u64::from_le_bytes(*word));
            }
        }
        let mut last = [0; 32];
        last[..rest.len()].copy_from_slice(rest);
        for (lane, word) in last.as_chunks::<8>().0.iter().enumerate() {
            self.word(lane, u64::from_le_bytes(*word));
        }
        self.word(0, text.len() as u64);
    }

    fn finish(mut self) -> u64 {
        for lane in 1..4 {
            self.word(0, self.0[lane]);
        }
        self.0[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_sees_every_byte_and_every_border() {
        let sum = |texts: &[&str]| {
            let mut checksum = Checksum::default();
            texts.iter().for_each(|text| checksum.add(text));
            checksum.finish()
        };
        let long = "a mug 1, a mug 2, and a plate 1";
        assert_eq!(sum(&[long]), sum(&[long]));
        for at in 0..long.len() {
            let mut other = long.to_owned();
            other.replace_range(at..=at, "#");
            assert_ne!(sum(&[long]), sum(&[&other]), "{at}");
        }
        assert_ne!(sum(&["ab", "c"]), sum(&["a", "bc"]));
        assert!(bench(&[], 1, 0).is_none());
    }
}
