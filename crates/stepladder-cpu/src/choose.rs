//! Choice of the next token of a row.

use pulp::Arch;
use rand::RngExt;
use stepladder_rollout::sampling::Sampling;

use super::kernels::{largest_and_log_sum, weights};

/// Number of weights per partial sum in the search for a drawn token.
const TOGETHER: usize = 64;

/// Returns the most likely token with its log-probability, or a drawn token with its log-probability in softmax(logits /
/// temperature): like [`Sampling::draw`], but fast where all tokens may be drawn. `scratch` has the length of the logits.
pub(crate) fn choose(
    arch: Arch,
    logits: &[f32],
    scratch: &mut [f32],
    sampling: &mut Option<Sampling>,
) -> (u32, f32) {
    if let Some(sampling) = sampling.as_mut().filter(|sampling| sampling.distribution.is_truncated()) {
        let (id, logprob) = sampling.draw(logits);
        return (id as u32, logprob);
    }
    let (largest, mut log_sum) = largest_and_log_sum(arch, logits);
    let mut scale = 1.0;
    let drawn = sampling.as_mut().and_then(|Sampling { distribution, rng }| {
        scale = (1.0 / distribution.temperature) as f32;
        weights(arch, logits, scale, largest, scratch);
        let (place, sum) = draw(scratch, rng.random::<f64>());
        if scale != 1.0 {
            log_sum = sum.ln() as f32;
        }
        place
    });
    // Rounding may leave a remainder, which counts as a draw of the most likely token.
    let id = drawn.or_else(|| logits.iter().position(|&logit| logit == largest)).unwrap_or(0);
    (id as u32, scale * (logits[id] - largest) - log_sum)
}

/// Returns the index at which the cumulative sum of the weights reaches `fraction`, from 0 to 1, of their sum, and the sum.
fn draw(weights: &[f32], fraction: f64) -> (Option<usize>, f64) {
    let sum = |weights: &[f32]| weights.iter().map(|&weight| f64::from(weight)).sum::<f64>();
    let sums: Vec<f64> = weights.chunks(TOGETHER).map(sum).collect();
    let total = sums.iter().sum::<f64>();
    let mut left = fraction * total;
    for (weights, (place, sum)) in weights.chunks(TOGETHER).zip(sums.into_iter().enumerate()) {
        if left > sum {
            left -= sum;
            continue;
        }
        for (at, &weight) in weights.iter().enumerate() {
            left -= f64::from(weight);
            if left <= 0.0 {
                return (Some(place * TOGETHER + at), total);
            }
        }
    }
    (None, total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepladder_core::seed::stream;
    use stepladder_rollout::sampling::Distribution;

    #[test]
    fn sampling_follows_the_tempered_distribution() {
        // The only possible tokens are the two after the first group.
        let mut probabilities = vec![0.0f32; TOGETHER + 2];
        [probabilities[0], probabilities[1], probabilities[TOGETHER + 1]] = [0.5, 0.3, 0.2];
        let logits: Vec<f32> = probabilities.iter().map(|p| p.ln().max(-1e9) + 3.0).collect();
        let mut scratch = vec![0.0; logits.len()];
        for temperature in [0.5, 1.0, 2.0] {
            let mut sampling = Some(Sampling::at(temperature, stream(1, "sampling", &[])));
            let mut counts = vec![0f64; logits.len()];
            const DRAWS: usize = 20_000;
            let tempered = probabilities.iter().map(|&p| f64::from(p).powf(1.0 / temperature));
            let total: f64 = tempered.clone().sum();
            for _ in 0..DRAWS {
                let (id, logprob) = choose(Arch::new(), &logits, &mut scratch, &mut sampling);
                let tempered = f64::from(probabilities[id as usize]).powf(1.0 / temperature);
                assert!((f64::from(logprob) - (tempered / total).ln()).abs() < 1e-5);
                counts[id as usize] += 1.0 / DRAWS as f64;
            }
            for (count, expected) in counts.iter().zip(tempered) {
                assert!((count - expected / total).abs() < 0.015, "{temperature}: {counts:?}");
            }
        }
    }

    #[test]
    fn truncated_draws_are_those_of_the_sampling() {
        let logits: Vec<f32> = (0..200).map(|at| ((at * 37) % 101) as f32 * 0.07).collect();
        let mut scratch = vec![0.0; logits.len()];
        for (top_p, top_k) in [(0.7, 0), (1.0, 5), (0.9, 30)] {
            let distribution = Distribution { temperature: 1.3, top_p, top_k };
            let sampling = || Sampling { distribution, rng: stream(1, "sampling", &[]) };
            let (mut ours, mut expected) = (Some(sampling()), sampling());
            for _ in 0..100 {
                let (id, logprob) = choose(Arch::new(), &logits, &mut scratch, &mut ours);
                assert_eq!((id as usize, logprob), expected.draw(&logits));
            }
        }
    }

    #[test]
    fn the_place_of_a_draw_is_where_its_share_is_reached() {
        let weights: Vec<f32> = (0..200).map(|at| if at % 50 == 49 { 1.0 } else { 0.0 }).collect();
        for (fraction, place) in [(0.1, 49), (0.3, 99), (0.74, 149), (0.76, 199), (1.0, 199)] {
            assert_eq!(draw(&weights, fraction), (Some(place), 4.0), "{fraction}");
        }
    }

    #[test]
    fn the_best_token_is_the_first_of_the_largest() {
        let mut scratch = [0.0; 3];
        let (id, logprob) = choose(Arch::new(), &[1.0, 2.0, 2.0], &mut scratch, &mut None);
        assert_eq!(id, 1);
        assert!((logprob - (-(2.0 + (-1f32).exp()).ln())).abs() < 1e-6);
    }
}
