//! Quality of predictions of an outcome: area under the ROC curve and calibration.

/// Computes the area under the ROC curve: the probability that a random positive has a larger value than a random negative, equal
/// values counting half (Mann and Whitney's U, normalised). Each example is drawn in proportion to its weight. NaN without a positive or
/// a negative.
///
/// ```
/// use stepladder_algo::ops::ranking::auc;
/// let solved = [false, false, true, true];
/// // Of the four pairs three are in order.
/// assert_eq!(auc(&[0.1, 0.4, 0.35, 0.8], &solved, &[1.0; 4]), 0.75);
/// assert_eq!(auc(&[0.5; 4], &solved, &[1.0; 4]), 0.5);
/// // The negative that is in the wrong order with one positive weighs three times as much as the other.
/// assert_eq!(auc(&[0.1, 0.4, 0.35, 0.8], &solved, &[1.0, 3.0, 1.0, 1.0]), 0.625);
/// assert!(auc(&[0.5], &[true], &[1.0]).is_nan());
/// ```
///
/// # Panics
/// If the lists differ in length.
pub fn auc(values: &[f64], positive: &[bool], weights: &[f64]) -> f64 {
    assert!(values.len() == positive.len() && values.len() == weights.len());
    let order = ascending(values);
    let (mut negatives, mut positives, mut pairs) = (0.0, 0.0, 0.0);
    for same in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let of = |wanted: bool| -> f64 {
            same.iter().filter(|&&index| positive[index] == wanted).map(|&index| weights[index]).sum()
        };
        let (above, level) = (of(true), of(false));
        pairs += above * (negatives + 0.5 * level);
        negatives += level;
        positives += above;
    }
    // 0 / 0 without a pair.
    pairs / (positives * negatives)
}

/// Examples with similar predictions.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Bin {
    /// Fraction of all weight.
    pub part: f64,
    /// Mean prediction.
    pub predicted: f64,
    /// Fraction of positives.
    pub observed: f64,
}

/// Sorts examples by prediction into at most `count` bins of equal weight, and compares prediction and outcome in each.
///
/// ```
/// use stepladder_algo::ops::ranking::calibration;
/// let bins = calibration(&[0.9, 0.1, 0.7, 0.3], &[true, false, false, false], &[1.0; 4], 2);
/// let found: Vec<_> = bins.iter().map(|bin| (bin.part, bin.predicted, bin.observed)).collect();
/// assert_eq!(found, [(0.5, 0.2, 0.0), (0.5, 0.8, 0.5)]);
/// ```
///
/// # Panics
/// If the lists differ in length.
pub fn calibration(values: &[f64], positive: &[bool], weights: &[f64], count: usize) -> Vec<Bin> {
    assert!(values.len() == positive.len() && values.len() == weights.len());
    let total: f64 = weights.iter().sum();
    let mut sums = vec![[0.0; 3]; count];
    let mut before = 0.0;
    for index in ascending(values) {
        let weight = weights[index];
        // The bin of the middle of its weight.
        let at = (count as f64 * (before + 0.5 * weight) / total) as usize;
        before += weight;
        let Some(sum) = sums.get_mut(at.min(count.saturating_sub(1))) else { continue };
        sum[0] += weight;
        sum[1] += weight * values[index];
        sum[2] += if positive[index] { weight } else { 0.0 };
    }
    let bin = |&[weight, predicted, observed]: &[f64; 3]| Bin {
        part: weight / total,
        predicted: predicted / weight,
        observed: observed / weight,
    };
    sums.iter().filter(|sum| sum[0] > 0.0).map(bin).collect()
}

/// Computes the expected calibration error:  Σ_bins part · |predicted − observed|.
///
/// ```
/// use stepladder_algo::ops::ranking::{calibration, calibration_error};
/// let bins = calibration(&[0.9, 0.1, 0.7, 0.3], &[true, false, false, false], &[1.0; 4], 2);
/// assert!((calibration_error(&bins) - 0.25).abs() < 1e-12);
/// ```
pub fn calibration_error(bins: &[Bin]) -> f64 {
    bins.iter().map(|bin| bin.part * (bin.predicted - bin.observed).abs()).sum()
}

fn ascending(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    order
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use stepladder_core::seed::stream;

    use super::*;

    #[test]
    fn the_area_is_the_share_of_ordered_pairs() {
        let mut rng = stream(1, "test-ranking", &[]);
        for _ in 0..200 {
            let count = rng.random_range(2..30);
            let values: Vec<f64> = (0..count).map(|_| f64::from(rng.random_range(0..6)) / 5.0).collect();
            let positive: Vec<bool> = (0..count).map(|_| rng.random_bool(0.5)).collect();
            let weights: Vec<f64> = (0..count).map(|_| f64::from(rng.random_range(1..4))).collect();
            let (mut ordered, mut all) = (0.0, 0.0);
            for a in (0..count).filter(|&a| positive[a]) {
                for b in (0..count).filter(|&b| !positive[b]) {
                    let pair = weights[a] * weights[b];
                    all += pair;
                    ordered += match values[a].total_cmp(&values[b]) {
                        std::cmp::Ordering::Greater => pair,
                        std::cmp::Ordering::Equal => 0.5 * pair,
                        std::cmp::Ordering::Less => 0.0,
                    };
                }
            }
            let found = auc(&values, &positive, &weights);
            if all == 0.0 {
                assert!(found.is_nan());
            } else {
                assert!((found - ordered / all).abs() < 1e-12);
                // Turned round, it is the rest.
                let turned: Vec<f64> = values.iter().map(|value| -value).collect();
                assert!((auc(&turned, &positive, &weights) + found - 1.0).abs() < 1e-12);
            }
            let bins = calibration(&values, &positive, &weights, 10);
            assert!(bins.len() <= 10);
            assert!((bins.iter().map(|bin| bin.part).sum::<f64>() - 1.0).abs() < 1e-12);
            assert!(bins.windows(2).all(|pair| pair[0].predicted <= pair[1].predicted + 1e-12));
            let total: f64 = weights.iter().sum();
            let mean = values.iter().zip(&weights).map(|(value, weight)| value * weight).sum::<f64>() / total;
            assert!((bins.iter().map(|bin| bin.part * bin.predicted).sum::<f64>() - mean).abs() < 1e-12);
        }
    }

    #[test]
    fn nothing_to_judge_is_no_number() {
        assert!(auc(&[], &[], &[]).is_nan());
        assert_eq!(calibration(&[], &[], &[], 10), []);
        assert_eq!(calibration_error(&[]), 0.0);
    }
}
