//! Returns, and advantages from rewards over time (docs/spec/algorithms.md 6.3, 6.4; GAE, arXiv:1506.02438).

/// Computes discounted returns  Gₜ = rₜ + γ Gₜ₊₁.
///
/// ```
/// use stepladder_algo::ops::returns::returns_to_go;
/// assert_eq!(returns_to_go(&[0.0, -1.0, 4.0], 0.5), [0.5, 1.0, 4.0]);
/// ```
pub fn returns_to_go(rewards: &[f64], gamma: f64) -> Vec<f64> {
    let mut later = 0.0;
    let mut returns: Vec<f64> = rewards
        .iter()
        .rev()
        .map(|reward| {
            later = reward + gamma * later;
            later
        })
        .collect();
    returns.reverse();
    returns
}

/// Computes the return of a decision that lasted n steps, Σᵢ γⁱ rᵢ, and the discount of the value after it, γⁿ
/// (docs/spec/algorithms.md 3.4). For a decision of one step these are its reward and γ.
///
/// ```
/// use stepladder_algo::ops::returns::decision_return;
/// assert_eq!(decision_return(&[1.0, 2.0, 4.0], 0.5), (3.0, 0.125));
/// assert_eq!(decision_return(&[7.0], 0.5), (7.0, 0.5));
/// ```
pub fn decision_return(rewards: &[f64], gamma: f64) -> (f64, f64) {
    let earned = returns_to_go(rewards, gamma).first().copied().unwrap_or(0.0);
    (earned, gamma.powi(rewards.len() as i32))
}

/// Places the reward of each turn on its last token, with 0 on all others; a turn has at least its end token.
///
/// ```
/// use stepladder_algo::ops::returns::place_rewards;
/// assert_eq!(place_rewards(&[2, 1], &[-0.5, 7.0]), [0.0, -0.5, 7.0]);
/// ```
pub fn place_rewards(turn_lens: &[usize], turn_rewards: &[f64]) -> Vec<f64> {
    let mut placed = Vec::with_capacity(turn_lens.iter().sum());
    for (&len, &reward) in turn_lens.iter().zip(turn_rewards) {
        placed.resize(placed.len() + len.saturating_sub(1), 0.0);
        placed.push(reward);
    }
    placed
}

/// Hyperparameters of generalised advantage estimation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gae {
    /// γ.
    pub gamma: f64,
    /// λ.
    pub lambda: f64,
}

impl Gae {
    /// Computes the advantages and returns of one sequence of tokens:
    ///
    /// ```text
    /// δₜ = rₜ + γ Vₜ₊₁ − Vₜ,   Aₜ = δₜ + γ λ Aₜ₊₁,   retₜ = Aₜ + Vₜ;   V after the last token = `bootstrap`
    /// ```
    /// `bootstrap` is 0 if the episode terminated, and the value of the next prompt if it was truncated.
    ///
    /// # Panics
    /// If there are fewer values than rewards.
    ///
    /// ```
    /// use stepladder_algo::ops::returns::Gae;
    /// let (advantages, returns) = Gae { gamma: 1.0, lambda: 1.0 }.estimate(&[0.0, 1.0], &[0.25, 0.5], 0.0);
    /// assert_eq!(advantages, [0.75, 0.5]);
    /// assert_eq!(returns, [1.0, 1.0]);
    /// ```
    pub fn estimate(self, rewards: &[f64], values: &[f64], bootstrap: f64) -> (Vec<f64>, Vec<f64>) {
        let mut advantages = vec![0.0; rewards.len()];
        let (mut next_value, mut next_advantage) = (bootstrap, 0.0);
        for t in (0..rewards.len()).rev() {
            let delta = rewards[t] + self.gamma * next_value - values[t];
            next_advantage = delta + self.gamma * self.lambda * next_advantage;
            next_value = values[t];
            advantages[t] = next_advantage;
        }
        let returns = advantages.iter().zip(values).map(|(advantage, value)| advantage + value).collect();
        (advantages, returns)
    }
}

/// Normalises to mean 0 and sample variance 1 (plus 1e-8) over all tokens of a batch. Fewer than two values do not change.
///
/// ```
/// use stepladder_algo::ops::returns::whiten;
/// let mut advantages = [1.0, 3.0];
/// whiten(&mut advantages);
/// assert!((advantages[1] - 0.5f64.sqrt()).abs() < 1e-6);
/// ```
pub fn whiten(advantages: &mut [f64]) {
    if advantages.len() < 2 {
        return;
    }
    let count = advantages.len() as f64;
    let mean = advantages.iter().sum::<f64>() / count;
    let variance = advantages.iter().map(|advantage| (advantage - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let scale = 1.0 / (variance + 1e-8).sqrt();
    advantages.iter_mut().for_each(|advantage| *advantage = (*advantage - mean) * scale);
}
