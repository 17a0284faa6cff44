//! Weighted draws.

use rand::RngExt;
use stepladder_core::seed::Rng;

/// Draws one of `items` with probability proportional to its weight. `None` if no weight is positive.
pub(super) fn weighted<'a, T>(rng: &mut Rng, items: &'a [T], weight: impl Fn(&T) -> f64) -> Option<&'a T> {
    weighted_by(rng, items.iter(), |item| weight(item))
}

/// As [`weighted`], for any cloneable iterator.
pub(super) fn weighted_by<I>(rng: &mut Rng, items: I, weight: impl Fn(&I::Item) -> f64) -> Option<I::Item>
where
    I: Iterator + Clone,
{
    let total: f64 = items.clone().map(|item| weight(&item)).sum();
    if total <= 0.0 {
        return None;
    }
    let mut left = rng.random::<f64>() * total;
    let mut last = None;
    for item in items {
        let weight = weight(&item);
        if weight <= 0.0 {
            continue;
        }
        left -= weight;
        last = Some(item);
        if left < 0.0 {
            break;
        }
    }
    last
}
