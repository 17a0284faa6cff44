//! Speed of playing and of generating boards.

use std::time::Duration;

use rand::RngExt;
use serde::Serialize;
use stepladder_core::seed::stream;
use stepladder_env::clock::Stopwatch;

use crate::action::Action;
use crate::board::{Board, Direction};
use crate::env::Options;
use crate::episode::Episode;
use crate::generate::Generator;
use crate::tasks::SPEC;

/// Result of a benchmark.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BenchReport {
    /// Environment id.
    pub env: String,
    /// Steps per second on one core. A step draws one of the four moves, plays it, computes reward and end, and adds
    /// the whole board to the checksum. Includes the reset at the end of every episode; no text is written.
    pub steps_per_second: f64,
    /// Steps per second with every board written as text, the first board of each episode included.
    pub text_steps_per_second: f64,
    /// Resets per second, with the text of the first board.
    pub resets_per_second: f64,
    /// Boards generated per second on one core. `None` for splits from files.
    pub generated_per_second: Option<f64>,
    /// Description of the policy that chose the moves.
    pub policy: String,
    /// Number of different levels.
    pub games: usize,
    /// Steps of each of the two measurements.
    pub steps: u64,
    /// Checksum of every board, reward and text. Equal levels, steps and seed give equal checksums.
    pub checksum: String,
}

/// Workload of a benchmark.
#[derive(Debug)]
pub struct Workload<'a> {
    /// Levels, played in turn.
    pub boards: &'a [Board],
    /// Step limit of an episode.
    pub max_steps: u32,
    /// Rule set and text form.
    pub options: Options,
    /// Total number of steps.
    pub steps: u64,
    /// Seed of the moves.
    pub seed: u64,
    /// Generator to measure and the number of boards to draw. `None` for levels from files.
    pub generator: Option<(Generator, u64)>,
}

/// Plays levels in turn with uniformly random moves. Returns `None` without levels.
pub fn bench(mut workload: Workload<'_>) -> Option<BenchReport> {
    let mut checksum = 0;
    let stepping = workload.play(&mut checksum, false)?;
    let writing = workload.play(&mut checksum, true)?;

    let resets = (workload.steps / 10).max(workload.boards.len() as u64);
    let mut text = String::with_capacity(1024);
    let started = Stopwatch::start();
    for board in workload.boards.iter().cycle().take(resets as usize) {
        let episode = Episode::new(*board, workload.options.variant, workload.max_steps);
        text.clear();
        episode.board().write(workload.options.form, &mut text);
        add_text(&mut checksum, &text);
    }
    let resetting = started.elapsed();

    let generated = workload.generator.take().map(|(mut generator, count)| {
        let started = Stopwatch::start();
        let mut drawn = 0u64;
        for number in 0..count {
            if let Ok(board) =
                generator.board(&mut stream(workload.seed, "sokoban/bench/generate", &[number]))
            {
                add_board(&mut checksum, &board);
                drawn += 1;
            }
        }
        rate(drawn, started.elapsed())
    });
    Some(BenchReport {
        env: SPEC.id.to_owned(),
        steps_per_second: rate(workload.steps, stepping),
        text_steps_per_second: rate(workload.steps, writing),
        resets_per_second: rate(resets, resetting),
        generated_per_second: generated,
        policy: format!("uniformly random move, at most {} steps per episode, one core", workload.max_steps),
        games: workload.boards.len(),
        steps: workload.steps,
        checksum: format!("{checksum:016x}"),
    })
}

impl Workload<'_> {
    fn play(&self, checksum: &mut u64, with_text: bool) -> Option<Duration> {
        let mut rng = stream(self.seed, "sokoban/bench", &[]);
        let mut turn = self.boards.iter().cycle();
        let mut text = String::with_capacity(1024);
        let mut write = |episode: &Episode, checksum: &mut u64| {
            if with_text {
                text.clear();
                episode.board().write(self.options.form, &mut text);
                add_text(checksum, &text);
            }
        };
        let begin = |board: &Board| Episode::new(*board, self.options.variant, self.max_steps);
        let started = Stopwatch::start();
        let mut episode = begin(turn.next()?);
        write(&episode, checksum);
        // One draw gives the moves of 32 steps, two bits each.
        let (mut bits, mut left) = (0u64, 0);
        for _ in 0..self.steps {
            if left == 0 {
                (bits, left) = (rng.random(), 32);
            }
            let direction = Direction::ALL[(bits & 3) as usize];
            (bits, left) = (bits >> 2, left - 1);
            let outcome = episode.step(Action::Push(direction));
            add(checksum, outcome.reward.to_bits());
            add_board(checksum, episode.board());
            write(&episode, checksum);
            if outcome.done {
                episode = begin(turn.next()?);
                write(&episode, checksum);
            }
        }
        Some(started.elapsed())
    }
}

fn rate(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64().max(f64::MIN_POSITIVE)
}

fn add(checksum: &mut u64, word: u64) {
    *checksum = (checksum.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
}

fn add_board(checksum: &mut u64, board: &Board) {
    add(checksum, board.player().index() as u64);
    board.boxes().words().into_iter().for_each(|word| add(checksum, word));
}

fn add_text(checksum: &mut u64, text: &str) {
    let (words, rest) = text.as_bytes().as_chunks::<8>();
    words.iter().for_each(|word| add(checksum, u64::from_le_bytes(*word)));
    rest.iter().for_each(|byte| add(checksum, u64::from(*byte)));
    add(checksum, text.len() as u64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_depends_on_levels_steps_and_seed() {
        let board: Board = "######\n#P___#\n#_XO_#\n#____#\n######".parse().unwrap();
        let run = |boards: &[Board], steps, seed| {
            let workload =
                Workload { boards, max_steps: 15, options: Options::default(), steps, seed, generator: None };
            bench(workload).map(|report| report.checksum)
        };
        let other: Board = "######\n#P___#\n#_OX_#\n#____#\n######".parse().unwrap();
        assert_eq!(run(&[board], 100, 0), run(&[board], 100, 0));
        for different in [run(&[board], 100, 1), run(&[board], 101, 0), run(&[other], 100, 0)] {
            assert_ne!(run(&[board], 100, 0), different);
        }
        assert_eq!(run(&[], 100, 0), None);
    }
}
