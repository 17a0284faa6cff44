//! Rows of one level in a shard, their losses, and the sums that shards exchange.

use stepladder_data::PerLevel;
use tch::Tensor;

use crate::ops::actor::Totals;

/// B rows of one level.
pub struct LevelBatch<'a> {
    /// h(x): `[B, d]`.
    pub state: Tensor,
    /// h(x, y): `[B, d]`.
    pub action: Tensor,
    /// h(x'): `[B, d]`, arbitrary for done rows; none if no row of the shard has a next prompt.
    pub next: Option<Tensor>,
    /// Rewards of the steps of each decision.
    pub rewards: &'a [Vec<f64>],
    /// d of each decision.
    pub dones: &'a [bool],
    /// Advantage of an oracle for each decision.
    pub oracle: &'a [f32],
}

/// Losses of B rows of one level.
pub struct Losses {
    /// L_Q + L_V: `[B]`, with gradient to the heads.
    pub critic: Tensor,
    /// V(h(x)): `[B]`.
    pub v: Tensor,
    /// Q(h(x, y)): `[B]`.
    pub q: Tensor,
    /// A: `[B]`, f64, without gradient.
    pub advantage: Tensor,
    /// f, the actor's weight before normalisation: `[B]`, without gradient.
    pub factor: Tensor,
}

/// Names of [`LevelSums::metrics`].
pub(super) const METRICS: PerLevel<[&str; 7]> = PerLevel {
    planner: [
        "critic_loss/planner",
        "q/planner",
        "v/planner",
        "advantage/planner",
        "advantage_std/planner",
        "weight_max/planner",
        "weight_mean/planner",
    ],
    executor: [
        "critic_loss/executor",
        "q/executor",
        "v/executor",
        "advantage/executor",
        "advantage_std/executor",
        "weight_max/executor",
        "weight_mean/executor",
    ],
    progress: [
        "critic_loss/progress",
        "q/progress",
        "v/progress",
        "advantage/progress",
        "advantage_std/progress",
        "weight_max/progress",
        "weight_mean/progress",
    ],
};

/// Weighted sums over rows of one level.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LevelSums {
    /// Sums over the rows that the policy learns from, for the actor's scale; their advantages are those of the actor's weights.
    pub totals: Totals,
    /// Σ c.
    pub count: f64,
    /// Σ c A.
    pub advantage: f64,
    /// Σ c (L_Q + L_V).
    pub critic_loss: f64,
    /// Σ c Q.
    pub q: f64,
    /// Σ c V.
    pub v: f64,
    /// Σ c A².
    pub advantage_square: f64,
    /// Largest factor f of the rows that the policy learns from; after scaling, largest weight relative to 1 / Σ c.
    pub weight_max: f64,
    /// Mean weight relative to 1 / Σ c, after scaling: 1 where weights are divided by their mean in the step.
    pub weight_mean: f64,
    /// Σ c LP over the rows that the policy learns from.
    pub logprob: f64,
}

impl LevelSums {
    pub(super) fn add(&mut self, other: &Self) {
        // Sums without rows have no largest factor; 0 would be wrong if all factors are negative.
        self.weight_max = match (self.totals.count > 0.0, other.totals.count > 0.0) {
            (true, true) => self.weight_max.max(other.weight_max),
            (true, false) => self.weight_max,
            _ => other.weight_max,
        };
        self.weight_mean += other.weight_mean;
        self.count += other.count;
        self.advantage += other.advantage;
        self.totals.count += other.totals.count;
        self.totals.factor += other.totals.factor;
        self.totals.advantage += other.totals.advantage;
        self.critic_loss += other.critic_loss;
        self.q += other.q;
        self.v += other.v;
        self.advantage_square += other.advantage_square;
        self.logprob += other.logprob;
    }

    /// Returns mean critic loss, Q, V and advantage, standard deviation of the advantage, and largest and mean weight.
    pub(super) fn metrics(&self) -> [f64; 7] {
        let mean = |sum: f64| sum / self.count;
        let advantage = mean(self.advantage);
        let variance = (mean(self.advantage_square) - advantage * advantage).max(0.0);
        let Self { weight_max, weight_mean, .. } = *self;
        [
            mean(self.critic_loss),
            mean(self.q),
            mean(self.v),
            advantage,
            variance.sqrt(),
            weight_max,
            weight_mean,
        ]
    }
}
