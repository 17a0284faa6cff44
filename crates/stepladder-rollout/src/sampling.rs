//! Sampling of reply tokens.

use rand::RngExt;
use stepladder_core::seed::Rng;

/// Settings of sampling, in place of greedy decoding.
#[derive(Debug, Clone)]
pub struct Sampling {
    /// Softmax temperature, above 0.
    pub temperature: f64,
    /// Stream of this reply only: a function of (run seed, iteration, task, sample, turn).
    pub rng: Rng,
}

impl Sampling {
    /// Draws an index from softmax(logits / temperature); log-probabilities serve as logits. Returns the index and its
    /// log-probability in that distribution.
    pub fn draw(&mut self, logits: &[f32]) -> (usize, f32) {
        let Self { temperature, rng } = self;
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weight = |value: f32| (f64::from(value - largest) / *temperature).exp();
        let total: f64 = logits.iter().map(|&value| weight(value)).sum();
        let tempered = |value: f32| (f64::from(value - largest) / *temperature - total.ln()) as f32;
        let mut left = rng.random::<f64>() * total;
        for (place, &value) in logits.iter().enumerate() {
            left -= weight(value);
            if left <= 0.0 {
                return (place, tempered(value));
            }
        }
        // Rounding can leave a positive rest; the most likely index takes it.
        let place = logits.iter().position(|&value| value == largest).unwrap_or(0);
        (place, tempered(largest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepladder_core::seed::stream;

    #[test]
    fn sampling_follows_the_tempered_distribution() {
        let probabilities = [0.5f32, 0.3, 0.2];
        let logprobs = probabilities.map(f32::ln);
        for temperature in [0.5, 1.0, 2.0] {
            let mut sampling = Sampling { temperature, rng: stream(1, "sampling", &[]) };
            let mut counts = [0f64; 3];
            const DRAWS: usize = 20_000;
            for _ in 0..DRAWS {
                counts[sampling.draw(&logprobs).0] += 1.0 / DRAWS as f64;
            }
            let tempered = probabilities.map(|p| f64::from(p).powf(1.0 / temperature));
            let total: f64 = tempered.iter().sum();
            for (count, expected) in counts.iter().zip(tempered) {
                assert!((count - expected / total).abs() < 0.015, "{temperature}: {counts:?}");
            }
        }
    }
}
