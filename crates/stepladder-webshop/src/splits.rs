//! Splits: of a generated shop, and of the official goals.

use std::ops::Range;

use stepladder_env::EnvError;

use crate::generated;
use crate::tasks::SPEC;

/// Goals of a split, by the shop that they belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// Those that a generated shop draws.
    Generated(generated::Split),
    /// Official ones.
    Official(&'static Split),
}

impl Listing {
    /// Finds the split of a name.
    ///
    /// # Errors
    /// [`EnvError::UnknownSplit`].
    pub fn named(name: &str) -> Result<Self, EnvError> {
        let generated = generated::Split::named(name).map(Self::Generated);
        generated.or_else(|| Split::named(name).map(Self::Official)).ok_or_else(|| EnvError::UnknownSplit {
            env: SPEC.id,
            split: name.to_owned(),
            known: SPEC.split_list(),
        })
    }
}

/// Order of the goals that a split counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// princeton-nlp/WebShop: shuffled with 233, whatever the seed of the prices is.
    Paper,
    /// verl-agent: shuffled with the seed itself.
    VerlAgent,
}

/// A split: goals of an order from the first to the one before the last; without a last, to the end.
#[derive(Debug, PartialEq, Eq)]
pub struct Split {
    /// Name.
    pub name: &'static str,
    /// Order of the goals.
    pub order: Order,
    first: usize,
    end: Option<usize>,
}

const fn split(name: &'static str, order: Order, first: usize, end: Option<usize>) -> Split {
    Split { name, order, first, end }
}

/// Splits of the official goals.
///
/// `verl-train` is the published one. `verl-train_dev` is held out for tuning: its first 500 goals, a random sample since goals are
/// shuffled. `verl-train_fit` is the rest.
pub static OFFICIAL: [Split; 7] = [
    split("paper-test", Order::Paper, 0, Some(500)),
    split("paper-eval", Order::Paper, 500, Some(1500)),
    split("paper-train", Order::Paper, 1500, None),
    split("verl-val", Order::VerlAgent, 0, Some(500)),
    split("verl-train", Order::VerlAgent, 500, None),
    split("verl-train_dev", Order::VerlAgent, 500, Some(1000)),
    split("verl-train_fit", Order::VerlAgent, 1000, None),
];

impl Split {
    /// Finds an official split by name.
    pub fn named(name: &str) -> Option<&'static Self> {
        OFFICIAL.iter().find(|split| split.name == name)
    }

    /// Numbers of its goals, given the number of all.
    pub fn numbers(&self, goals: usize) -> Range<usize> {
        let end = self.end.unwrap_or(goals).min(goals);
        self.first.min(end)..end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_registered_split_is_known() {
        assert!(SPEC.splits.iter().all(|name| Listing::named(name).is_ok()));
        assert_eq!(SPEC.splits.len(), OFFICIAL.len() + generated::Split::ALL.len());
        let error = Listing::named("paper").unwrap_err().to_string();
        assert!(
            error.starts_with("webshop has no split `paper`; it has train, dev, test, paper-test, "),
            "{error}"
        );
    }

    #[test]
    fn splits_are_those_that_were_published() {
        let sizes = |goals: usize| OFFICIAL.each_ref().map(|split| split.numbers(goals).len());
        assert_eq!(sizes(6910), [500, 1000, 5410, 500, 6410, 500, 5910]);
        assert_eq!(sizes(12_087)[..2], [500, 1000]);
        assert_eq!(sizes(13), [13, 0, 0, 13, 0, 0, 0]);
        assert_eq!(Split::named("verl-train_dev").unwrap().numbers(6910), 500..1000);
        assert_eq!(Split::named("train"), None);
    }
}
