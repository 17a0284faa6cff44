//! Results of one agent over its runs.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::config::AgentConfig;
use crate::envs::Chosen;
use crate::results::{self, ByTask, Results};
use crate::statistics::{Difference, Estimate, Scope};

/// Results of one agent in all runs that train it.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Name in the configurations; with constrained decoding `NAME, constrained`, in the row after its own; with what differs from
    /// the first run in parentheses, where that was allowed.
    pub agent: String,
    /// Environment and split, as `ENV/SPLIT`.
    pub target: String,
    /// Run seeds, in the order of the runs.
    pub seeds: Vec<u64>,
    /// Success rate per run.
    pub success: Vec<f64>,
    /// Mean score per run, in points of 100, if the benchmark defines a score.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub score: Vec<f64>,
    /// Episodes per run.
    pub n: Vec<u64>,
    /// Options of the environment that differ from their defaults; the same for all rows.
    #[serde(skip_serializing_if = "Chosen::is_empty")]
    pub options: Chosen,
    /// Descriptions of the subsets that were played, where a run did not play the whole split.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub subsets: BTreeSet<String>,
    /// Success rate, mean over the runs.
    pub mean: f64,
    /// 95 % interval of `mean`.
    pub interval: [f64; 2],
    /// What the intervals of the row generalise to.
    pub scope: Scope,
    /// Score with its interval, in points of 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score_mean: Option<Estimate>,
    /// Environment steps per episode, averaged over the runs.
    pub mean_steps: f64,
    /// Prompt and completion tokens per environment step, summed over the roles.
    pub tokens_per_step: f64,
    /// Fraction of the replies that could not be parsed, averaged over the runs; `None` if an evaluation of release 0.1.0 is
    /// among them, which did not record it. The same holds for the next two.
    pub unparsable_share: Option<f64>,
    /// Fraction of the actions that the environment did not understand.
    pub invalid_share: Option<f64>,
    /// Fraction of the prompts that were shortened to fit into the context window.
    pub shortened_share: Option<f64>,
    /// Training minutes of the agent and of the agents that it started from, without the time for collecting episodes.
    pub training_minutes: f64,
    /// Trained tokens in millions, of the same agents.
    pub training_mtokens: f64,
    /// Seeds of the runs in which a cap on minutes ended training early, for this agent or one that it started from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub capped: Vec<u64>,
    /// Gain over the agent that it started from, or over the requested agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gain: Option<Gain>,
    /// Success by the number of sub-goals of the expert, if asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by_subgoals: Vec<Class>,
    /// Agent that the gain is measured against, with and without what differs from the first run.
    #[serde(skip)]
    pub(super) bases: Vec<String>,
    #[serde(skip)]
    pub(super) configured: Option<AgentConfig>,
    /// Success by task.
    #[serde(skip)]
    pub(super) results: Results,
    /// Scores by task, as fractions of the range.
    #[serde(skip)]
    pub(super) scores: Results,
    /// Range of the score.
    #[serde(skip)]
    pub(super) range: Option<(f64, f64)>,
}

/// Difference to another agent, in points of 100: of scores where the benchmark defines one, else of success.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gain {
    /// Name of the other agent.
    pub over: String,
    /// Mean difference of each run to the other agent's run of the same seed.
    pub by_seed: Vec<f64>,
    /// Mean over seeds and tasks, its interval and p values.
    #[serde(flatten)]
    pub difference: Difference,
}

/// Success of an agent on the tasks of a class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Class {
    /// Number of subtasks in the expert's solution, which as sub-goals are its blueprint; the last class holds larger ones too. None if
    /// the expert does not solve the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subgoals: Option<usize>,
    /// Number of tasks.
    pub tasks: usize,
    /// Success with its interval, over the same runs as that on all tasks.
    #[serde(flatten)]
    pub success: Estimate,
}

impl Row {
    pub(super) fn new(agent: &str, target: &str) -> Self {
        Self {
            agent: agent.to_owned(),
            target: target.to_owned(),
            seeds: Vec::new(),
            success: Vec::new(),
            score: Vec::new(),
            n: Vec::new(),
            options: Chosen::new(),
            subsets: BTreeSet::new(),
            mean: 0.0,
            interval: [0.0, 1.0],
            scope: Scope::Tasks,
            score_mean: None,
            mean_steps: 0.0,
            tokens_per_step: 0.0,
            unparsable_share: Some(0.0),
            invalid_share: Some(0.0),
            shortened_share: Some(0.0),
            training_minutes: 0.0,
            training_mtokens: 0.0,
            capped: Vec::new(),
            gain: None,
            by_subgoals: Vec::new(),
            bases: Vec::new(),
            configured: None,
            results: Results::default(),
            scores: Results::default(),
            range: None,
        }
    }

    /// Adds what a run played, task by task.
    pub(super) fn played(&mut self, seed: u64, won: ByTask, score: Option<ByTask>) {
        self.results.add(Some(seed), won);
        if let Some(score) = score {
            self.scores.add(Some(seed), score);
        }
    }

    /// Turns sums into means and computes the intervals.
    pub(super) fn finish(&mut self) {
        let count = self.success.len().max(1) as f64;
        for sum in [
            &mut self.mean_steps,
            &mut self.tokens_per_step,
            &mut self.training_minutes,
            &mut self.training_mtokens,
        ] {
            *sum /= count;
        }
        for sum in [&mut self.unparsable_share, &mut self.invalid_share, &mut self.shortened_share] {
            *sum = sum.map(|sum| sum / count);
        }
        let estimate = self
            .estimate(&self.results)
            // A run of an earlier version kept no episodes, or one run is left for several lists of tasks.
            .unwrap_or_else(|| results::of_rates(&self.success, self.n.first().copied().unwrap_or(0)));
        (self.mean, self.interval, self.scope) = (estimate.mean, estimate.interval, estimate.scope);
        if let Some((low, high)) = self.range {
            let points = |share: f64| 100.0 * (low + share * (high - low));
            self.score_mean = self.estimate(&self.scores).map(|Estimate { mean, interval, scope }| {
                Estimate { mean: points(mean), interval: interval.map(points), scope }
            });
        }
    }

    /// Estimates the mean of some of its results; none if a run kept no episodes.
    pub(super) fn estimate(&self, results: &Results) -> Option<Estimate> {
        results.estimate().filter(|_| results.seeds() == self.success.len())
    }

    /// Difference to another row, as a fraction.
    pub(super) fn minus(&self, other: &Self) -> Option<Difference> {
        match self.range {
            Some(_) => self.scores.minus(&other.scores),
            None => self.results.minus(&other.results),
        }
    }

    /// Points that a fraction stands for.
    pub(super) fn scale(&self) -> f64 {
        100.0 * self.range.map_or(1.0, |(low, high)| high - low)
    }

    /// Sets the gain over another row, from fractions.
    pub(super) fn set_gain(&mut self, over: String, by_seed: &[f64], difference: &Difference) {
        let scale = self.scale();
        let by_seed = by_seed.iter().map(|gain| scale * gain).collect();
        self.gain = Some(Gain { over, by_seed, difference: difference.scaled(scale) });
    }

    /// Mean difference of each run to the other row's run of the same seed, as a fraction.
    pub(super) fn by_seed(&self, other: &Self) -> Vec<f64> {
        match self.range {
            Some(_) => self.scores.by_seed(&other.scores),
            None => self.results.by_seed(&other.results),
        }
    }
}

impl Gain {
    /// Renders a table cell.
    pub(super) fn cell(&self) -> String {
        let seeds: Vec<String> = self.by_seed.iter().map(|gain| format!("{gain:+.1}")).collect();
        format!("{}: {}; {}", self.over, seeds.join(", "), results::points(&self.difference))
    }
}
