//! Summary of episodes: success with interval, steps, tokens and counts of failures.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use stepladder_core::Role;
use stepladder_core::trace::{Episode, TraceStep};

/// Computes the 95 % Wilson score interval of a proportion.
///
/// centre = (p + z²/2n) / (1 + z²/n), half = z √(p(1−p)/n + z²/4n²) / (1 + z²/n), z = 1.96 (Wilson 1927).
///
/// ```
/// use stepladder_rollout::evaluation::wilson;
/// let [low, high] = wilson(139, 140);
/// assert!((low - 0.9606).abs() < 1e-4 && (high - 0.9987).abs() < 1e-4);
/// assert_eq!(wilson(0, 0), [0.0, 1.0]);
/// assert_eq!(wilson(0, 200)[0], 0.0);
/// assert_eq!(wilson(200, 200)[1], 1.0);
/// ```
pub fn wilson(successes: usize, n: usize) -> [f64; 2] {
    if n == 0 {
        return [0.0, 1.0];
    }
    const Z: f64 = 1.959_963_984_540_054;
    let n = n as f64;
    let p = successes as f64 / n;
    let denominator = 1.0 + Z * Z / n;
    let centre = (p + Z * Z / (2.0 * n)) / denominator;
    let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt() / denominator;
    // Exact at both ends, where rounding would give 1e-17 and 0.999….
    let low = if successes == 0 { 0.0 } else { (centre - half).max(0.0) };
    let high = if p >= 1.0 { 1.0 } else { (centre + half).min(1.0) };
    [low, high]
}

/// Tokens per environment step of one role.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct TokensPerStep {
    /// Prompt tokens, without a cache.
    pub prompt: f64,
    /// Prompt tokens that a cache over the whole episode would not contain.
    pub uncached: f64,
    /// New tokens.
    pub new: f64,
}

/// Summary of a set of episodes.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Number of episodes, aborted ones included (they count as failed).
    pub n: usize,
    /// Fraction of solved episodes.
    pub success: f64,
    /// 95 % Wilson interval of `success`.
    pub interval: [f64; 2],
    /// Mean sum of rewards; where the benchmark has a score range, each sum is clamped to it.
    pub score: f64,
    /// 95 % interval of `score`, by the normal approximation: mean ± 1.96 s / √n, inside the range.
    pub score_interval: [f64; 2],
    /// Mean number of environment steps, the terminal one included.
    pub mean_steps: f64,
    /// Mean number of environment steps of the solved episodes.
    pub mean_steps_won: f64,
}

/// Computes the 95 % interval of a mean: mean ± 1.96 s / √n with the sample's standard deviation s; the mean itself for n < 2.
///
/// ```
/// use stepladder_rollout::evaluation::normal;
/// let [low, high] = normal(&[0.0, 1.0, 0.5, 0.5]);
/// assert!((low - 0.0999).abs() < 1e-3 && (high - 0.9001).abs() < 1e-3);
/// assert_eq!(normal(&[]), [0.0, 0.0]);
/// ```
pub fn normal(values: &[f64]) -> [f64; 2] {
    const Z: f64 = 1.959_963_984_540_054;
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n.max(1.0);
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    let half = if values.len() < 2 { 0.0 } else { Z * (variance / n).sqrt() };
    [mean - half, mean + half]
}

/// Result of an evaluation.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Evaluation {
    /// Summary of all episodes.
    pub all: Summary,
    /// Summaries by task family.
    pub per_type: BTreeMap<String, Summary>,
    /// Tokens by role name.
    pub tokens_per_step: BTreeMap<String, TokensPerStep>,
    /// Mean number of subtasks issued per episode.
    pub subtasks: f64,
    /// Mean number of repeated subtasks per episode (see [`repeated_subtasks`]).
    pub repeated_subtasks: f64,
    /// Fraction of episodes with a loop (see [`loops`]).
    pub loops: f64,
    /// Mean number of replies without a readable action per episode.
    pub unparsable: f64,
    /// Fraction of all replies that could not be parsed as answers of their roles.
    pub unparsable_share: f64,
    /// Fraction of the actions that the environment refused, among them those sent for unparsable replies: it did not understand
    /// them, or answered as if it had not ([`stepladder_core::Codec::refuses`]).
    pub invalid_share: f64,
    /// Fraction of the prompts that were shortened to fit into the context window.
    pub shortened_share: f64,
    /// Mean number of replies cut by their budget per episode.
    pub cut: f64,
    /// Number of aborted episodes.
    pub errors: usize,
    /// Score range of the benchmark; `None` where it reports success only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score_range: Option<(f64, f64)>,
}

/// Computes the score of an episode: the sum of rewards, clamped to the range; the range's minimum for an aborted episode
/// (docs/spec/algorithms.md 2.5).
fn counted(episode: &Episode, range: Option<(f64, f64)>) -> f64 {
    match range {
        Some((low, _)) if episode.error.is_some() => low,
        Some((low, high)) => episode.score.clamp(low, high),
        None => episode.score,
    }
}

fn summarise(episodes: &[&Episode], range: Option<(f64, f64)>) -> Summary {
    let n = episodes.len();
    let won = episodes.iter().filter(|episode| episode.won).count();
    let mean = |total: f64, count: usize| if count == 0 { 0.0 } else { total / count as f64 };
    let steps = |only_won: bool| {
        episodes.iter().filter(|episode| episode.won || !only_won).map(|episode| episode.len() as f64).sum()
    };
    let scores: Vec<f64> = episodes.iter().map(|episode| counted(episode, range)).collect();
    Summary {
        n,
        success: mean(won as f64, n),
        interval: wilson(won, n),
        score: mean(scores.iter().sum(), n),
        score_interval: match range {
            Some((low, high)) => normal(&scores).map(|end| end.clamp(low, high)),
            None => normal(&scores),
        },
        mean_steps: mean(steps(false), n),
        mean_steps_won: mean(steps(true), won),
    }
}

/// Whether the episode has a loop: an action that got the same answer at least three times.
pub fn loops(episode: &Episode) -> bool {
    let mut seen: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    episode.steps().any(|step| {
        let count = seen.entry((&step.action, &step.observation)).or_default();
        *count += 1;
        *count >= 3
    })
}

/// Counts the issued subtasks that had been issued before in the same episode.
pub fn repeated_subtasks(episode: &Episode) -> usize {
    let mut seen = BTreeSet::new();
    episode.subtasks.iter().filter(|subtask| subtask.turn.is_some() && !seen.insert(&subtask.text)).count()
}

/// Summarises episodes of one agent in an environment without a score range.
pub fn evaluate(episodes: &[Episode]) -> Evaluation {
    evaluate_within(episodes, None, &|step| step.unknown_action)
}

/// Summarises episodes of one agent, with scores clamped to the benchmark's score range (`EnvSpec::score_range`); `refused` says
/// whether the environment refused the action of a step.
pub fn evaluate_within(
    episodes: &[Episode],
    range: Option<(f64, f64)>,
    refused: &dyn Fn(&TraceStep) -> bool,
) -> Evaluation {
    let all: Vec<&Episode> = episodes.iter().collect();
    let mut families: BTreeMap<String, Vec<&Episode>> = BTreeMap::new();
    for episode in episodes {
        families.entry(episode.start.family.clone()).or_default().push(episode);
    }
    let env_steps: usize = episodes.iter().map(Episode::len).sum();
    let mut tokens_per_step = BTreeMap::new();
    for role in Role::ALL {
        let mut total = TokensPerStep::default();
        let mut calls = 0usize;
        for turn in episodes.iter().flat_map(Episode::turns).filter(|turn| turn.role == role) {
            total.prompt += f64::from(turn.prompt_tokens);
            total.uncached += f64::from(turn.uncached_tokens);
            total.new += f64::from(turn.new_tokens);
            calls += 1;
        }
        if calls > 0 && env_steps > 0 {
            let steps = env_steps as f64;
            tokens_per_step.insert(
                role.name().to_owned(),
                TokensPerStep {
                    prompt: total.prompt / steps,
                    uncached: total.uncached / steps,
                    new: total.new / steps,
                },
            );
        }
    }
    let per_episode = |count: &dyn Fn(&Episode) -> usize| {
        if episodes.is_empty() {
            0.0
        } else {
            episodes.iter().map(|episode| count(episode) as f64).sum::<f64>() / episodes.len() as f64
        }
    };
    let turns = || episodes.iter().flat_map(Episode::turns);
    let replies = turns().count();
    let share = |count: usize, of: usize| count as f64 / of.max(1) as f64;
    Evaluation {
        all: summarise(&all, range),
        per_type: families
            .into_iter()
            .map(|(family, members)| (family, summarise(&members, range)))
            .collect(),
        tokens_per_step,
        subtasks: per_episode(&|episode| episode.subtasks.iter().filter(|s| s.turn.is_some()).count()),
        repeated_subtasks: per_episode(&repeated_subtasks),
        loops: per_episode(&|episode| usize::from(loops(episode))),
        unparsable: per_episode(&|episode| episode.steps().filter(|step| step.unparsable).count()),
        unparsable_share: share(turns().filter(|turn| turn.unparsable).count(), replies),
        invalid_share: share(
            episodes.iter().flat_map(Episode::steps).filter(|step| refused(step)).count(),
            env_steps,
        ),
        shortened_share: share(turns().filter(|turn| turn.shortened > 0).count(), replies),
        cut: per_episode(&|episode| episode.turns().filter(|turn| turn.cut).count()),
        errors: episodes.iter().filter(|episode| episode.error.is_some()).count(),
        score_range: range,
    }
}
