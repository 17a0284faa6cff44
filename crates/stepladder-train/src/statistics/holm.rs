//! Adjustment of p values for several comparisons.

use super::Difference;

/// Adjusts p values by Holm's step-down method (1979): the smallest of k is multiplied by k, the next by k − 1, and so on, and none
/// becomes smaller than one before it. The probability of any false claim stays below the level, whatever depends on what.
///
/// ```
/// use stepladder_train::statistics::holm;
/// assert_eq!(holm(&[0.01, 0.04, 0.03]), [0.03, 0.06, 0.06]);
/// ```
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut adjusted = vec![0.0; p.len()];
    let mut least: f64 = 0.0;
    for (rank, place) in order.into_iter().enumerate() {
        least = least.max((p[place] * (p.len() - rank) as f64).min(1.0));
        adjusted[place] = least;
    }
    adjusted
}

/// Sets the adjusted p values of the differences of one table.
pub fn adjust<'a>(differences: impl IntoIterator<Item = &'a mut Difference>) {
    let mut differences: Vec<&mut Difference> = differences.into_iter().collect();
    let adjusted = holm(&differences.iter().map(|difference| difference.p).collect::<Vec<_>>());
    for (difference, p) in differences.iter_mut().zip(adjusted) {
        difference.p_holm = p;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_r() {
        // p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm"), and Wright (1992) with ties and values above 1.
        let close = |found: &[f64], expected: &[f64]| {
            found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12)
        };
        assert!(close(&holm(&[0.01, 0.02, 0.03, 0.04, 0.05]), &[0.05, 0.08, 0.09, 0.09, 0.09]));
        assert!(close(&holm(&[0.5, 0.9, 0.5]), &[1.0, 1.0, 1.0]));
        assert!(close(&holm(&[0.2]), &[0.2]) && holm(&[]).is_empty());
    }
}
