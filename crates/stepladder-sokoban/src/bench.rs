//! How fast Sokoban plays and how fast boards are generated.

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

/// What a benchmark found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BenchReport {
    /// Environment id.
    pub env: String,
    /// Steps per second on one core. A step is: draw one of the four moves, play it, reward and end, the whole board into
    /// the checksum. Resets at the end of every episode are counted in; nothing is written.
    pub steps_per_second: f64,
    /// The same with every board written as text, the first of an episode included.
    pub text_steps_per_second: f64,
    /// Resets per second, each with its text.
    pub resets_per_second: f64,
    /// Boards generated per second on one core, where the split is generated.
    pub generated_per_second: Option<f64>,
    /// How moves were chosen.
    pub policy: String,
    /// Number of different levels played in turn.
    pub games: usize,
    /// Steps played of each kind.
    pub steps: u64,
    /// Over every board, reward and text; equal for equal levels, steps and seed.
    pub checksum: String,
}

/// What to measure.
#[derive(Debug)]
pub struct Plan<'a> {
    /// Levels, played in turn.
    pub boards: &'a [Board],
    /// Steps of an episode that is not solved before.
    pub max_steps: u32,
    /// Rules and texts.
    pub options: Options,
    /// Steps altogether.
    pub steps: u64,
    /// Seed of the moves.
    pub seed: u64,
    /// What to generate, and how many boards; none for levels from files.
    pub generator: Option<(Generator, u64)>,
}

/// Plays levels in turn with uniformly random moves. `None` without levels.
pub fn bench(mut plan: Plan<'_>) -> Option<BenchReport> {
    let mut checksum = 0;
    let stepping = plan.play(&mut checksum, false)?;
    let writing = plan.play(&mut checksum, true)?;

    let resets = (plan.steps / 10).max(plan.boards.len() as u64);
    let mut text = String::with_capacity(1024);
    let started = Stopwatch::start();
    for board in plan.boards.iter().cycle().take(resets as usize) {
        let episode = Episode::new(*board, plan.options.variant, plan.max_steps);
        text.clear();
        episode.board().write(plan.options.form, &mut text);
        add_text(&mut checksum, &text);
    }
    let resetting = started.elapsed();

    let generated = plan.generator.take().map(|(mut generator, count)| {
        let started = Stopwatch::start();
        let mut drawn = 0u64;
        for number in 0..count {
            if let Ok(board) = generator.board(&mut stream(plan.seed, "sokoban/bench/generate", &[number])) {
                add_board(&mut checksum, &board);
                drawn += 1;
            }
        }
        rate(drawn, started.elapsed())
    });
    Some(BenchReport {
        env: SPEC.id.to_owned(),
        steps_per_second: rate(plan.steps, stepping),
        text_steps_per_second: rate(plan.steps, writing),
        resets_per_second: rate(resets, resetting),
        generated_per_second: generated,
        policy: format!("uniformly random move, at most {} steps per episode, one core", plan.max_steps),
        games: plan.boards.len(),
        steps: plan.steps,
        checksum: format!("{checksum:016x}"),
    })
}

impl Plan<'_> {
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
            let plan =
                Plan { boards, max_steps: 15, options: Options::default(), steps, seed, generator: None };
            bench(plan).map(|report| report.checksum)
        };
        let other: Board = "######\n#P___#\n#_OX_#\n#____#\n######".parse().unwrap();
        assert_eq!(run(&[board], 100, 0), run(&[board], 100, 0));
        for different in [run(&[board], 100, 1), run(&[board], 101, 0), run(&[other], 100, 0)] {
            assert_ne!(run(&[board], 100, 0), different);
        }
        assert_eq!(run(&[], 100, 0), None);
    }
}
