//! Sampling of reply tokens.

use rand::RngExt;
use stepladder_core::seed::Rng;

/// Distribution that reply tokens are drawn from: softmax(logits / temperature), of which `top_k` and then `top_p` keep the most
/// likely tokens, in proportion. Of equally likely tokens the one with the smaller id counts as more likely.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Distribution {
    /// Softmax temperature, above 0.
    pub temperature: f64,
    /// Keeps the smallest set of most likely tokens whose probabilities add up to this, above 0; 1 keeps all tokens.
    pub top_p: f64,
    /// Keeps this number of most likely tokens; 0 keeps all tokens.
    pub top_k: usize,
}

/// Settings of sampling, in place of greedy decoding.
#[derive(Debug, Clone)]
pub struct Sampling {
    /// Distribution of a token.
    pub distribution: Distribution,
    /// Stream of this reply only: a function of (run seed, iteration, task, sample, turn).
    pub rng: Rng,
}

impl Distribution {
    /// Returns the distribution over all tokens at a temperature.
    pub const fn at(temperature: f64) -> Self {
        Self { temperature, top_p: 1.0, top_k: 0 }
    }

    /// Whether some tokens are never drawn.
    pub fn is_truncated(&self) -> bool {
        self.top_p < 1.0 || self.top_k > 0
    }

    /// Checks the ranges of the settings.
    ///
    /// # Errors
    /// Returns the first violation, as the end of a sentence.
    pub fn check(&self) -> Result<(), String> {
        let Self { temperature, top_p, .. } = *self;
        if !(temperature.is_finite() && temperature > 0.0) {
            return Err(format!("its temperature is {temperature}; it must be above 0"));
        }
        if !(top_p > 0.0 && top_p <= 1.0) {
            return Err(format!("its top_p is {top_p}; it must be above 0 and at most 1"));
        }
        Ok(())
    }

    /// Returns the indices that may be drawn, in increasing order, with their weights; `weights` has that of each of the logits.
    fn kept(&self, logits: &[f32], weights: impl Iterator<Item = f64>) -> Vec<(usize, f64)> {
        // The sum turns -0 into 0: greedy decoding takes them as equal, the total order does not.
        let key = |place: usize| logits[place] + 0.0;
        let likelier = |a: &(usize, f64), b: &(usize, f64)| key(b.0).total_cmp(&key(a.0)).then(a.0.cmp(&b.0));
        let mut kept: Vec<(usize, f64)> = weights.enumerate().collect();
        if (1..kept.len()).contains(&self.top_k) {
            kept.select_nth_unstable_by(self.top_k - 1, likelier);
            kept.truncate(self.top_k);
            kept.sort_unstable_by_key(|(place, _)| *place);
        }
        if self.top_p < 1.0 {
            let total: f64 = kept.iter().map(|(_, weight)| weight).sum();
            // Tokens with smaller weights add up to less than 1 - top_p, so none of them is kept: they need not be sorted.
            let least = 0.5 * (1.0 - self.top_p) * total / kept.len() as f64;
            kept.retain(|(_, weight)| *weight >= least);
            kept.sort_unstable_by(likelier);
            let mut sum = 0.0;
            let last = kept.iter().position(|(_, weight)| {
                sum += weight;
                sum >= self.top_p * total
            });
            kept.truncate(last.map_or(kept.len(), |last| last + 1));
            kept.sort_unstable_by_key(|(place, _)| *place);
        }
        kept
    }
}

impl Sampling {
    /// Samples from all tokens at a temperature.
    pub fn at(temperature: f64, rng: Rng) -> Self {
        Self { distribution: Distribution::at(temperature), rng }
    }

    /// Draws an index from the distribution over these logits; log-probabilities serve as logits. Returns the index and its
    /// log-probability in softmax(logits / temperature), the distribution before `top_k` and `top_p`: that of the policy, which
    /// does not depend on how replies were drawn from it.
    pub fn draw(&mut self, logits: &[f32]) -> (usize, f32) {
        let Self { distribution, rng } = self;
        let Distribution { temperature, .. } = *distribution;
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weight = |value: f32| (f64::from(value - largest) / temperature).exp();
        let weights = || logits.iter().map(|&value| weight(value));
        let total: f64 = weights().sum();
        let fraction = rng.random::<f64>();
        let drawn = if distribution.is_truncated() {
            let kept = distribution.kept(logits, weights());
            let total: f64 = kept.iter().map(|(_, weight)| weight).sum();
            reached(kept.into_iter(), fraction * total)
        } else {
            reached(weights().enumerate(), fraction * total)
        };
        // Rounding can leave a positive rest; the most likely index takes it.
        let most_likely = || logits.iter().position(|&value| value == largest);
        let place = drawn.or_else(most_likely).unwrap_or(0);
        let value = logits.get(place).copied().unwrap_or(largest);
        (place, (f64::from(value - largest) / temperature - total.ln()) as f32)
    }
}

/// Returns the index at which the cumulative sum of the weights reaches `left`.
fn reached(mut weights: impl Iterator<Item = (usize, f64)>, mut left: f64) -> Option<usize> {
    let found = weights.find(|(_, weight)| {
        left -= weight;
        left <= 0.0
    });
    Some(found?.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use stepladder_core::seed::stream;

    use super::*;

    fn sampling(distribution: Distribution, seed: u64) -> Sampling {
        Sampling { distribution, rng: stream(seed, "sampling", &[]) }
    }

    /// Probabilities of softmax(logits / temperature).
    fn softmax(logits: &[f32], temperature: f64) -> Vec<f64> {
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weights: Vec<f64> =
            logits.iter().map(|&value| (f64::from(value - largest) / temperature).exp()).collect();
        let total: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / total).collect()
    }

    /// The same distribution by sorting everything, as published implementations do: top-k, then top-p of what is left.
    fn truncated(logits: &[f32], Distribution { temperature, top_p, top_k }: Distribution) -> Vec<f64> {
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
        let mut probabilities = softmax(logits, temperature);
        let renormalise = |probabilities: &mut Vec<f64>, dropped: &[usize]| {
            for &place in dropped {
                probabilities[place] = 0.0;
            }
            let total: f64 = probabilities.iter().sum();
            probabilities.iter_mut().for_each(|probability| *probability /= total);
        };
        if top_k > 0 {
            renormalise(&mut probabilities, &order[top_k.min(order.len())..]);
        }
        let mut sum = 0.0;
        let needed = order.iter().take_while(|&&place| {
            let missing = sum < top_p;
            sum += probabilities[place];
            missing
        });
        let needed = needed.count();
        renormalise(&mut probabilities, &order[needed..]);
        probabilities
    }

    fn logits() -> impl Strategy<Value = Vec<f32>> {
        proptest::collection::vec(-9f32..9.0, 1..40)
    }

    proptest! {
        #[test]
        fn a_draw_is_among_the_most_likely(
            logits in logits(), temperature in 0.05f64..5.0, top_p in 0.01f64..1.0, top_k in 0usize..45, seed in any::<u64>()
        ) {
            let distribution = Distribution { temperature, top_p, top_k };
            prop_assert_eq!(distribution.check(), Ok(()));
            let expected = truncated(&logits, distribution);
            let plain = softmax(&logits, temperature);
            let mut sampling = sampling(distribution, seed);
            for _ in 0..20 {
                let (place, logprob) = sampling.draw(&logits);
                prop_assert!(expected[place] > 0.0, "{} of {:?}", place, expected);
                // Recorded is the distribution before truncation.
                prop_assert!((f64::from(logprob) - plain[place].ln()).abs() < 1e-4);
            }
        }

        #[test]
        fn one_token_is_the_greedy_one(logits in proptest::collection::vec(-2i8..3, 1..30), seed in any::<u64>()) {
            // Small integers, so that the largest often occurs more than once; and both zeros.
            let logits: Vec<f32> = logits.iter().map(|&value| f32::from(value) * -0.5).collect();
            let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let first = logits.iter().position(|&value| value == largest).unwrap();
            for (top_p, top_k) in [(1.0, 1), (1e-9, 0), (1e-9, 3)] {
                let distribution = Distribution { temperature: 2.0, top_p, top_k };
                prop_assert_eq!(sampling(distribution, seed).draw(&logits).0, first);
            }
        }

        /// Seeded draws of earlier versions, to the last bit.
        #[test]
        fn draws_from_all_tokens_walk_along_their_weights(
            logits in logits(), temperature in 0.05f64..5.0, seed in any::<u64>()
        ) {
            let mut plain = sampling(Distribution::at(temperature), seed);
            let mut rng = stream(seed, "sampling", &[]);
            let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let weight = |value: f32| (f64::from(value - largest) / temperature).exp();
            let total: f64 = logits.iter().map(|&value| weight(value)).sum();
            for _ in 0..20 {
                let mut left = rng.random::<f64>() * total;
                let place = logits.iter().position(|&value| {
                    left -= weight(value);
                    left <= 0.0
                });
                let likeliest = logits.iter().position(|&value| value == largest).unwrap();
                let place = place.unwrap_or(likeliest);
                let logprob = (f64::from(logits[place] - largest) / temperature - total.ln()) as f32;
                prop_assert_eq!(plain.draw(&logits), (place, logprob));
            }
        }

        #[test]
        fn a_truncation_that_keeps_all_tokens_changes_no_draw(
            logits in logits(), temperature in 0.05f64..5.0, seed in any::<u64>()
        ) {
            let all = Distribution { temperature, top_p: 1.0, top_k: logits.len() };
            let (mut all, mut plain) = (sampling(all, seed), sampling(Distribution::at(temperature), seed));
            for _ in 0..20 {
                prop_assert_eq!(all.draw(&logits), plain.draw(&logits));
            }
        }
    }

    #[test]
    fn draws_follow_the_truncated_distribution() {
        const DRAWS: usize = 40_000;
        let mut random = stream(3, "test-logits", &[]);
        let logits: Vec<f32> = (0..60).map(|_| random.random_range(-2.0..2.0)).collect();
        for (temperature, top_p, top_k) in
            [(0.7, 1.0, 0), (1.0, 0.8, 0), (1.0, 1.0, 12), (1.5, 0.9, 20), (0.5, 0.5, 40)]
        {
            let distribution = Distribution { temperature, top_p, top_k };
            let expected = truncated(&logits, distribution);
            let mut counts = vec![0usize; logits.len()];
            let mut sampling = sampling(distribution, 1);
            for _ in 0..DRAWS {
                counts[sampling.draw(&logits).0] += 1;
            }
            let kept = expected.iter().filter(|&&probability| probability > 0.0).count();
            let term = |(&count, &probability): (&usize, &f64)| {
                let wanted = probability * DRAWS as f64;
                if probability > 0.0 { (count as f64 - wanted).powi(2) / wanted } else { count as f64 * 1e9 }
            };
            let statistic: f64 = counts.iter().zip(&expected).map(term).sum();
            // Mean and deviation of chi-square are its degrees of freedom d and the root of 2 d.
            let freedom = (kept - 1) as f64;
            let limit = freedom + 4.0 * (2.0 * freedom).sqrt();
            assert!(statistic < limit, "{distribution:?}: {statistic:.1} for {freedom} degrees of freedom");
        }
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let check = |temperature, top_p| Distribution { temperature, top_p, top_k: 0 }.check().unwrap_err();
        assert_eq!(check(0.0, 1.0), "its temperature is 0; it must be above 0");
        assert_eq!(check(f64::NAN, 1.0), "its temperature is NaN; it must be above 0");
        for (top_p, text) in [(0.0, "0"), (1.5, "1.5"), (f64::NAN, "NaN")] {
            assert_eq!(check(1.0, top_p), format!("its top_p is {text}; it must be above 0 and at most 1"));
        }
    }

    #[test]
    fn sampling_follows_the_tempered_distribution() {
        let probabilities = [0.5f32, 0.3, 0.2];
        let logprobs = probabilities.map(f32::ln);
        for temperature in [0.5, 1.0, 2.0] {
            let mut sampling = sampling(Distribution::at(temperature), 1);
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
