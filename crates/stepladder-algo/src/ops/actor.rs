//! Advantage weights of the actor's loss (docs/spec/algorithms.md 3.5; AWR, arXiv:1910.00177).
//!
//! Every variant is `L = − s Σᵢ cᵢ fᵢ LPᵢ`: cᵢ is the number of samples merged into row i, the factor fᵢ depends on row i only,
//! and the scale s depends on all rows of the level ([`Totals`]). So the shards of a step exchange only sums, and no shard is
//! normalised separately.
//!
//! | variant | loss | fᵢ | s |
//! |---|---|---|---|
//! | `awr` | `− mean w̃ LP`, w̃ = w / (mean w + 1e-8) | w = min(exp(A/b), clip) | 1 / (Σ c w + 1e-8 Σ c) |
//! | `linear` | `− mean A LP` | A | 1 / Σ c |
//! | `linear_outer` | `− (mean A) (mean LP)` | 1 | (Σ c A / Σ c) / Σ c |
//! | `q_linear` | `− mean Q LP` | Q | 1 / Σ c |
//! | `oracle` | as `awr`, with the oracle's advantage | min(exp(A*/b), clip) | as `awr` |
//!
//! Divided by the mean weight of the step's rows, a step of nothing but bad rows has the same total weight as one of good rows. With
//! a [`RunningMean`] m, s of `awr` is 1 / (Σ c (m + 1e-8)), where m is that of the level's weights (docs/spec/algorithms.md 9.1).

use tch::{Kind, Tensor};

use crate::AlgoError;
use crate::ops::same;

/// Lower bound of the mean weight, against division by zero.
const EPSILON: f64 = 1e-8;

stepladder_core::choices! {
    /// Weights of log-probabilities in the actor's loss.
    pub enum ActorMode {
        /// Advantage-weighted regression: imitates all replies, those with a higher advantage more.
        Awr = "awr",
        /// Weights proportional to the advantage, of either sign.
        Linear = "linear",
        /// The mean advantage as the weight of all rows, as the released code computes by broadcasting.
        LinearOuter = "linear_outer",
        /// [`ActorMode::Linear`] without the baseline V.
        QLinear = "q_linear",
        /// For diagnosis: [`ActorMode::Awr`] with the advantage of an oracle, the episode's outcome (1 solved, 0 not) minus the mean
        /// outcome. What it does not gain, no critic can.
        Oracle = "oracle",
    }
}

/// Hyperparameters of the actor's loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ActorRule {
    /// Variant.
    pub mode: ActorMode,
    /// b: increase of the advantage that multiplies a weight by e.
    pub temperature: f64,
    /// Largest weight before normalisation.
    pub clip: f64,
}

/// Sums over all rows of a level.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Totals {
    /// Σ cᵢ.
    pub count: f64,
    /// Σ cᵢ fᵢ.
    pub factor: f64,
    /// Σ cᵢ Aᵢ.
    pub advantage: f64,
}

/// Part of a running sum that a step keeps: sums reach back a hundred steps or so.
pub const KEEP: f64 = 0.99;

/// Running sums of the weights of a level, and so their running mean  m = S_f / S_c:
///
/// ```text
/// S_f ← κ S_f + Σ c f,   S_c ← κ S_c + Σ c,   κ = 0.99
/// ```
/// Rows count by their weights c, so a level with few rows in a step needs no correction, and neither does the start.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct RunningMean {
    /// S_f.
    pub factor: f64,
    /// S_c.
    pub count: f64,
}

impl RunningMean {
    /// Returns the sums after a step with these totals. Totals that are not finite change nothing.
    ///
    /// ```
    /// use stepladder_algo::ops::actor::{RunningMean, Totals};
    /// let step = |factor| Totals { count: 2.0, factor, advantage: 0.0 };
    /// let mean = RunningMean::default().after(&step(6.0));
    /// assert_eq!(mean.value(), Some(3.0));
    /// // (0.99 · 6 + 1) / (0.99 · 2 + 2)
    /// assert!((mean.after(&step(1.0)).value().unwrap() - 6.94 / 3.98).abs() < 1e-12);
    /// assert_eq!(mean.after(&step(f64::NAN)), mean);
    /// ```
    #[must_use]
    pub fn after(&self, step: &Totals) -> Self {
        if !(step.factor.is_finite() && step.count.is_finite()) {
            return *self;
        }
        Self { factor: KEEP * self.factor + step.factor, count: KEEP * self.count + step.count }
    }

    /// Returns m, or `None` before the first row.
    pub fn value(&self) -> Option<f64> {
        (self.count > 0.0).then(|| self.factor / self.count)
    }
}

/// Computes the advantage  Aᵢ = Q(xᵢ, yᵢ) − V(xᵢ)      (Eq. 5; docs/spec/algorithms.md 3.5): the planner advantage, executor
/// advantage or progress advantage, depending on the level of the critics.
///
/// # Shapes
/// q, v: `[B]` → `[B]`, f64
/// # Gradient
/// none.
/// # Errors
/// [`AlgoError::Shape`] if the shapes differ.
pub fn advantage(q: &Tensor, v: &Tensor) -> Result<Tensor, AlgoError> {
    same("advantage", q, v)?;
    Ok(q.detach().to_kind(Kind::Double) - v.detach().to_kind(Kind::Double))
}

/// Computes AWR's weight before normalisation:  wᵢ = min(exp(Aᵢ / b), clip)      (Eq. 5; docs/spec/algorithms.md 3.5)
///
/// A/b is clamped to ln clip before the exponential, so nothing overflows.
///
/// # Shapes
/// `[B]` → `[B]`
/// # Gradient
/// none.
pub fn awr_weight(advantage: &Tensor, temperature: f64, clip: f64) -> Tensor {
    (advantage.detach() / temperature).clamp_max(clip.ln()).exp()
}

impl ActorRule {
    /// Computes fᵢ of the module's table from [`advantage`], in the dtype of q. With [`ActorMode::Oracle`], `advantage` is the oracle's.
    ///
    /// # Shapes
    /// advantage, q: `[B]` → `[B]`
    /// # Gradient
    /// none.
    /// # Errors
    /// [`AlgoError::Shape`] if the shapes differ.
    pub fn factor(&self, advantage: &Tensor, q: &Tensor) -> Result<Tensor, AlgoError> {
        same("actor factor", advantage, q)?;
        let advantage = advantage.to_kind(q.kind());
        Ok(match self.mode {
            ActorMode::Awr | ActorMode::Oracle => awr_weight(&advantage, self.temperature, self.clip),
            ActorMode::Linear => advantage,
            ActorMode::LinearOuter => advantage.ones_like(),
            ActorMode::QLinear => q.detach(),
        })
    }

    /// Computes s of the module's table; 0 for a level without rows. The loss of the level is [`crate::ops::logprob::nll`] with the
    /// weight s cᵢ fᵢ / |yᵢ| on every token of row i.
    ///
    /// ```
    /// # use tch::{Kind, Tensor};
    /// use stepladder_algo::ops::actor::{ActorMode, ActorRule, Totals};
    /// let q = Tensor::from_slice(&[4.0f32, 0.0]); // and V = 0, so A = Q
    /// let rule = |mode| ActorRule { mode, temperature: 1.0, clip: 20.0 };
    /// // exp(4) is clipped to 20: factors 20 and 1.
    /// let factor = rule(ActorMode::Awr).factor(&q, &q)?;
    /// assert!((factor.double_value(&[0]) - 20.0).abs() < 1e-5 && factor.double_value(&[1]) == 1.0);
    /// let totals = Totals { count: 2.0, factor: 21.0, advantage: 4.0 };
    /// assert!((rule(ActorMode::Awr).scale(&totals) - 1.0 / 21.0).abs() < 1e-8);
    /// assert_eq!(rule(ActorMode::Linear).scale(&totals), 0.5);
    /// assert_eq!(rule(ActorMode::LinearOuter).scale(&totals), 1.0); // mean A = 2, divided by the count
    /// # Ok::<(), stepladder_algo::AlgoError>(())
    /// ```
    pub fn scale(&self, totals: &Totals) -> f64 {
        if totals.count <= 0.0 {
            return 0.0;
        }
        match self.mode {
            ActorMode::Awr | ActorMode::Oracle => 1.0 / (totals.factor + EPSILON * totals.count),
            ActorMode::Linear | ActorMode::QLinear => 1.0 / totals.count,
            ActorMode::LinearOuter => totals.advantage / totals.count / totals.count,
        }
    }

    /// Computes s of the module's table with a running mean of the level's weights in place of the mean of the step's rows; `before` are
    /// the sums up to the last step. The step's own rows count in the mean too. Modes without such a mean have [`ActorRule::scale`].
    ///
    /// ```
    /// use stepladder_algo::ops::actor::{ActorMode, ActorRule, RunningMean, Totals};
    /// let rule = ActorRule { mode: ActorMode::Awr, temperature: 1.0, clip: 20.0 };
    /// // 98 rows of good episodes with weight 3, then 2 rows of failures with weight 0.5.
    /// let before = RunningMean { factor: 294.0 / 0.99, count: 98.0 / 0.99 };
    /// let failures = Totals { count: 2.0, factor: 1.0, advantage: -1.4 };
    /// let total = |scale: f64| scale * failures.factor;
    /// assert!((total(rule.scale(&failures)) - 1.0).abs() < 1e-7);
    /// assert!((total(rule.scale_over(&before, &failures)) - 0.5 / 2.95).abs() < 1e-7);
    /// ```
    pub fn scale_over(&self, before: &RunningMean, totals: &Totals) -> f64 {
        match (self.mode, before.after(totals).value()) {
            (ActorMode::Awr | ActorMode::Oracle, Some(mean)) if totals.count > 0.0 => {
                1.0 / (totals.count * (mean + EPSILON))
            }
            _ => self.scale(totals),
        }
    }
}
