//! Spreads of quantities and of ranks.

/// Values of a quantity, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spread(Vec<f64>);

impl Spread {
    /// Value below which a part of all values lies, 0 to 1; 0 without values.
    pub fn quantile(&self, part: f64) -> f64 {
        let index = (part * self.0.len() as f64) as usize;
        self.0.get(index.min(self.0.len().saturating_sub(1))).copied().unwrap_or_default()
    }

    /// Part of the values that are smaller than a number, 0 to 1; 0 without values.
    pub fn below(&self, number: f64) -> f64 {
        self.0.partition_point(|value| *value < number) as f64 / self.0.len().max(1) as f64
    }

    /// Mean; 0 without values.
    pub fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len().max(1) as f64
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<f64> for Spread {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        Self(values)
    }
}

/// Ranks of the goals' products, from 1; none: not among the products found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ranks(pub(super) Vec<Option<usize>>);

impl Ranks {
    /// Part of the goals whose product is among the first `number`.
    pub fn within(&self, number: usize) -> f64 {
        let found = self.0.iter().flatten().filter(|rank| **rank <= number).count();
        found as f64 / self.0.len().max(1) as f64
    }

    /// Middle rank; none if more than half of the products are not found.
    pub fn median(&self) -> Option<usize> {
        let mut ranks = self.0.clone();
        ranks.sort_unstable_by_key(|rank| rank.unwrap_or(usize::MAX));
        ranks.get(ranks.len() / 2).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_of_the_sorted_list() {
        let spread: Spread = [3.0, 1.0, 2.0, 10.0].into_iter().collect();
        assert_eq!(
            [0.0, 0.25, 0.5, 0.75, 1.0].map(|part| spread.quantile(part)),
            [1.0, 2.0, 3.0, 10.0, 10.0]
        );
        assert_eq!((spread.mean(), spread.len(), spread.below(3.0)), (4.0, 4, 0.5));
        let none = Spread::default();
        assert_eq!((none.mean(), none.quantile(0.5), none.is_empty()), (0.0, 0.0, true));
    }

    #[test]
    fn products_that_are_not_found_rank_last() {
        let ranks = Ranks(vec![None, Some(3), Some(50), Some(11), None]);
        assert_eq!((ranks.median(), ranks.within(10), ranks.within(50)), (Some(50), 0.2, 0.6));
        assert_eq!(Ranks(vec![None, None, Some(1)]).median(), None);
        assert_eq!((Ranks::default().median(), Ranks::default().within(50)), (None, 0.0));
    }
}
