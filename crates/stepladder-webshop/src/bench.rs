//! Speed of the environment.

use std::time::Duration;

use rand::RngExt;
use rand::seq::IndexedRandom as _;
use serde::Serialize;
use stepladder_core::seed::{Rng, stream};
use stepladder_core::{Step, TaskKey};
use stepladder_env::clock::Stopwatch;
use stepladder_env::{Env, EnvError, TaskSet};

use crate::action::Action;
use crate::env::WebShopEnv;
use crate::tasks::{SPEC, WebShop};

/// Share of searches among the steps on other pages than the first.
const SEARCHES: f64 = 0.3;

/// Result of a benchmark.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BenchReport {
    /// Environment id.
    pub env: String,
    /// Steps per second on one core. A step chooses an action, plays it, writes the page, and adds it to the checksum. Includes a reset at
    /// the end of every episode.
    pub steps_per_second: f64,
    /// Share of steps that search.
    pub searches: f64,
    /// Share of steps that buy.
    pub purchases: f64,
    /// Resets per second, each with its first page.
    pub resets_per_second: f64,
    /// Seconds from nothing to the first page: reading the catalogue, prices, goals and the index.
    pub start_seconds: f64,
    /// Description of the policy.
    pub policy: String,
    /// Number of different goals.
    pub games: usize,
    /// Episodes that were begun.
    pub episodes: u64,
    /// Number of steps.
    pub steps: u64,
    /// Checksum of every page and reward. Equal tasks, steps and seed give equal checksums.
    pub checksum: String,
}

/// Plays the tasks of a split in random order with random actions.
///
/// On the first page it searches; elsewhere, in 30 of 100 steps and otherwise clicks on anything that can be clicked. It searches for the
/// instruction, the name of a product or the words by which a product was collected, one as often as the other.
///
/// # Errors
/// Those of the shop and the split.
pub fn bench(set: &WebShop, split: &str, steps: u64, seed: u64) -> Result<BenchReport, EnvError> {
    let started = Stopwatch::start();
    let tasks = set.tasks(split)?;
    let mut env = set.env();
    let mut checksum = Checksum(0);
    checksum.text(&env.reset(&tasks[0], 0)?.text);
    let starting = started.elapsed();

    let mut rng = stream(seed, "webshop/bench", &[]);
    let (mut searches, mut purchases, mut episodes) = (0, 0, 0);
    let started = Stopwatch::start();
    let mut left = 0;
    for _ in 0..steps {
        if left == 0 {
            checksum.text(&env.reset(next(&tasks, &mut rng), 0)?.text);
            (left, episodes) = (SPEC.max_steps, episodes + 1);
        }
        let action = choose(&env, &mut rng);
        searches += u64::from(action.starts_with("search"));
        let Step { observation, reward, end, .. } = env.step(&action)?;
        checksum.text(&observation);
        checksum.word(reward.to_bits());
        purchases += u64::from(end.is_some());
        left = if end.is_some() { 0 } else { left - 1 };
    }
    let stepping = started.elapsed();

    let resets = (steps / 10).max(1);
    let started = Stopwatch::start();
    for _ in 0..resets {
        checksum.text(&env.reset(next(&tasks, &mut rng), 0)?.text);
    }
    let resetting = started.elapsed();

    let share = |count: u64| count as f64 / steps.max(1) as f64;
    Ok(BenchReport {
        env: SPEC.id.to_owned(),
        steps_per_second: rate(steps, stepping),
        searches: share(searches),
        purchases: share(purchases),
        resets_per_second: rate(resets, resetting),
        start_seconds: starting.as_secs_f64(),
        policy: format!(
            "random clicks, {:.0} % searches beside those on the first page, at most {} steps per episode, one core",
            SEARCHES * 100.0,
            SPEC.max_steps
        ),
        games: tasks.len(),
        episodes,
        steps,
        checksum: format!("{:016x}", checksum.0),
    })
}

fn next<'a>(tasks: &'a [TaskKey], rng: &mut Rng) -> &'a TaskKey {
    &tasks[rng.random_range(0..tasks.len())]
}

fn choose(env: &WebShopEnv, rng: &mut Rng) -> String {
    let (Some(store), Some(visit)) = (env.store(), env.visit()) else { return String::new() };
    if visit.has_search_bar() || rng.random_bool(SEARCHES) {
        let products = store.products();
        let product = &products[rng.random_range(0..products.len())];
        let text = match rng.random_range(0..3) {
            0 => &visit.goal().instruction,
            1 => &product.title,
            _ => &product.query,
        };
        return Action::search(text).unwrap_or_default();
    }
    let clickables = visit.clickables(store);
    clickables.choose(rng).and_then(|text| Action::click(text)).unwrap_or_default()
}

fn rate(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64().max(f64::MIN_POSITIVE)
}

struct Checksum(u64);

impl Checksum {
    fn word(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn text(&mut self, text: &str) {
        let (words, rest) = text.as_bytes().as_chunks::<8>();
        words.iter().for_each(|word| self.word(u64::from_le_bytes(*word)));
        rest.iter().for_each(|byte| self.word(u64::from(*byte)));
        self.word(text.len() as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::Choices;

    #[test]
    fn the_checksum_depends_on_shop_steps_and_seed() {
        let run = |shop_seed, split, steps, seed| {
            let set = WebShop::new(None, Choices { products: 60, shop_seed, ..Choices::default() });
            bench(&set, split, steps, seed).unwrap()
        };
        let first = run(0, "dev", 400, 0);
        assert_eq!(first.checksum, run(0, "dev", 400, 0).checksum);
        for other in
            [run(1, "dev", 400, 0), run(0, "test", 400, 0), run(0, "dev", 401, 0), run(0, "dev", 400, 1)]
        {
            assert_ne!(first.checksum, other.checksum);
        }
        assert!(first.searches > 0.3 && first.searches < 0.5, "{first:?}");
        assert!(first.purchases > 0.0 && first.episodes > 400 / 15 && first.games == 200, "{first:?}");
        let set = WebShop::new(None, Choices::default());
        assert!(matches!(bench(&set, "paper-test", 10, 0), Err(EnvError::NoDataRoot { .. })));
    }
}
