//! Goals of a generated shop.
//!
//! A goal belongs to one split by two marks, so that nothing learned from a training goal answers a goal of another split:
//!
//! * its product: number modulo 5 is 0, 1 or 2 for train, 3 for dev, 4 for test. Otherwise a policy that remembers where a product of
//!   its training stands would find it again.
//! * what it asks for, namely kind, attributes and options: a fingerprint modulo 10 is below 6 for train, 6 or 7 for dev, 8 or 9 for test.
//!   Otherwise two products of a kind could be asked for in the same words in two splits. The fingerprint knows no seed: no shop
//!   trains on what another is tested with.

use rand::RngExt;
use stepladder_core::seed::{self, Rng};

use super::plan::{Plan, pick, sample};
use super::vocabulary::Attribute;
use super::{Generator, Pages, wording};
use crate::Goal;

/// Draws before giving up. A shop of 50 short products, the hardest, needs about ten on average.
const ATTEMPTS: u32 = 10_000;

/// Splits of the goals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Split {
    /// Training.
    Train,
    /// Development: choices of hyperparameters.
    Dev,
    /// Final evaluation.
    Test,
}

impl Split {
    /// All splits.
    pub const ALL: [Self; 3] = [Self::Train, Self::Dev, Self::Test];

    /// Registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Dev => "dev",
            Self::Test => "test",
        }
    }

    /// Returns the split of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|split| split.name() == name)
    }

    /// Goals that the split lists. Goals of higher numbers exist too.
    pub fn listed(self) -> u64 {
        match self {
            Self::Train => 4000,
            Self::Dev | Self::Test => 200,
        }
    }

    /// Returns the split whose goals may be made from a product.
    pub fn of_product(number: u32) -> Self {
        match number % 5 {
            0..=2 => Self::Train,
            3 => Self::Dev,
            _ => Self::Test,
        }
    }

    /// Remainders of the numbers of its products.
    fn remainders(self) -> std::ops::Range<u32> {
        match self {
            Self::Train => 0..3,
            Self::Dev => 3..4,
            Self::Test => 4..5,
        }
    }

    /// Draws the number of one of its products below `products`.
    fn product(self, products: u32, rng: &mut Rng) -> u32 {
        let remainders = self.remainders();
        let each = remainders.len() as u32;
        let last = (products % 5).clamp(remainders.start, remainders.end) - remainders.start;
        let drawn = rng.random_range(0..products / 5 * each + last);
        drawn / each * 5 + remainders.start + drawn % each
    }

    /// Returns the split that asks for these things. Attributes and options are compared without regard to their order.
    fn of_request(query: &str, attributes: &[&Attribute], options: &[(Box<str>, Box<str>)]) -> Self {
        let mut parts: Vec<String> =
            attributes.iter().map(|attribute| attribute.phrase.text.clone()).collect();
        parts.extend(options.iter().map(|(name, value)| format!("{name}: {value}")));
        parts.sort_unstable();
        match seed::fingerprint(&format!("{query}\n{}", parts.join("\n"))) % 10 {
            0..=5 => Self::Train,
            6 | 7 => Self::Dev,
            _ => Self::Test,
        }
    }
}

/// A shop in which no goal of a split was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the generated shop of seed {seed} with {products} products has no goal {number} of split {}: take another seed or more products",
    split.name()
)]
pub struct NoGoal {
    /// Seed of the shop.
    pub seed: u64,
    /// Products of the shop.
    pub products: u32,
    /// Split.
    pub split: Split,
    /// Number of the goal in its split.
    pub number: u64,
}

impl Pages {
    /// Equally likely numbers of attributes of a goal.
    fn attributes_of_goals(self) -> &'static [usize] {
        match self {
            Self::Full => &[1, 2, 2, 2, 3, 3, 4, 5],
            Self::Short => &[1, 1, 2],
        }
    }
}

impl Generator {
    /// Draws goal `number` of a split of the shop with `products` products. Its product, with its options, has reward 1.
    ///
    /// # Errors
    /// [`NoGoal`] if no product of the split suits, which is possible below
    /// [`FEWEST_PRODUCTS`](super::FEWEST_PRODUCTS) and very unlikely above.
    ///
    /// ```
    /// use stepladder_webshop::generated::{Generator, Pages, Split};
    /// let shop = Generator::new(7, Pages::Full);
    /// let goal = shop.goal(1000, Split::Dev, 0)?;
    /// let product = shop.product(goal.product).product;
    /// assert!(goal.attributes.iter().all(|asked| product.attributes.contains(asked)));
    /// # Ok::<(), stepladder_webshop::generated::NoGoal>(())
    /// ```
    pub fn goal(&self, products: u32, split: Split, number: u64) -> Result<Goal, NoGoal> {
        let name = format!("webshop/goal/{}", split.name());
        let rng = &mut seed::stream(self.seed(), &name, &[u64::from(products), number]);
        let no_goal = NoGoal { seed: self.seed(), products, split, number };
        if products < 5 {
            return Err(no_goal);
        }
        for _ in 0..ATTEMPTS {
            let product = split.product(products, rng);
            let plan = self.plan(product);
            let most = *pick(rng, self.pages().attributes_of_goals());
            let attributes: Vec<&Attribute> = sample(rng, &plan.attributes, most).copied().collect();
            let options = options(&plan, rng);
            if Split::of_request(plan.kind.query, &attributes, &options) != split {
                continue;
            }
            let price_upper = price_limit(plan.price, rng);
            let instruction = wording::write(plan.kind.query, &attributes, &options, price_upper, rng);
            return Ok(Goal {
                product,
                instruction: instruction.into(),
                attributes: attributes
                    .iter()
                    .map(|attribute| attribute.phrase.text.as_str().into())
                    .collect(),
                price_upper,
                options: options.into(),
                weight: 1.0,
            });
        }
        Err(no_goal)
    }
}

/// Draws two of the next four multiples of ten dollars above a price, and takes the higher one, as the original.
fn price_limit(price: f64, rng: &mut Rng) -> f64 {
    let above = sample(rng, &[1.0, 2.0, 3.0, 4.0], 2).copied().fold(0.0, f64::max);
    10.0 * ((price / 10.0).floor() + above)
}

/// Draws a value of every choice.
fn options(plan: &Plan, rng: &mut Rng) -> Vec<(Box<str>, Box<str>)> {
    plan.choices.iter().map(|choice| (choice.name.clone(), pick(rng, &choice.values).clone())).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_product_of_a_split_is_drawn_and_no_other() {
        for products in [50_u32, 51, 52, 53, 54, 1000] {
            let rng = &mut seed::stream(0, "test", &[]);
            for split in Split::ALL {
                let mut drawn: BTreeMap<u32, u32> = BTreeMap::new();
                for _ in 0..60 * products {
                    *drawn.entry(split.product(products, rng)).or_default() += 1;
                }
                let own: Vec<u32> =
                    (0..products).filter(|number| Split::of_product(*number) == split).collect();
                assert!(drawn.keys().eq(&own), "{products} {split:?} {drawn:?}");
                let (least, most) = (drawn.values().min(), drawn.values().max());
                assert!(most < least.map(|least| 4 * least).as_ref(), "{least:?} {most:?}");
            }
        }
    }

    #[test]
    fn too_few_products_are_an_error_that_names_the_shop() {
        let error = Generator::new(3, Pages::Full).goal(4, Split::Test, 9).unwrap_err().to_string();
        assert!(
            error.starts_with("the generated shop of seed 3 with 4 products has no goal 9 of split test")
        );
    }
}
