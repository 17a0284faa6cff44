//! A shop: a catalogue with prices and goals.

use std::sync::Arc;

use stepladder_env::EnvError;

use crate::catalogue::Catalogue;
use crate::generated::Stock;
use crate::goal::Goal;
use crate::goals::Goals;
use crate::prices;
use crate::product::Product;
use crate::python::Random;
use crate::reward::{Kind, Reward};

/// Seeds of the generator that a shop draws from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seeds {
    /// Prices, then price limits of goals. The original leaves it to its caller.
    pub prices: u64,
    /// Order of the goals.
    pub order: u64,
}

impl Seeds {
    /// Seeds of the published list of goals: the original orders goals by 233.
    pub const ORIGINAL: Self = Self { prices: 42, order: 233 };

    /// Seeds of verl-agent's environment with that seed, which orders goals by the same.
    pub const fn verl_agent(seed: u64) -> Self {
        Self { prices: seed, order: seed }
    }
}

/// A shop. Shops of several seeds share their catalogue.
#[derive(Debug, Clone)]
pub struct Shop {
    /// Products and instructions.
    pub catalogue: Arc<Catalogue>,
    /// Price of each product in dollars.
    pub prices: Arc<[f64]>,
    /// Goals.
    pub goals: Arc<Goals>,
    /// Generator after the goals were ordered, from which the original draws names of sessions and random products.
    pub random: Random,
}

impl Shop {
    /// Draws prices and goals.
    ///
    /// # Errors
    /// [`EnvError::Usage`] if there are more than four billion goals.
    pub fn new(catalogue: Arc<Catalogue>, seeds: Seeds) -> Result<Self, EnvError> {
        let mut random = Random::seeded(seeds.prices);
        let prices = prices::draw(&catalogue.products, &mut random);
        let mut goals = Goals::draw(&catalogue, &prices, &mut random)?;
        let mut random = Random::seeded(seeds.order);
        goals.shuffle(&mut random);
        Ok(Self { catalogue, prices: prices.into(), goals: goals.into(), random })
    }

    /// Takes a generated shop, whose goals are drawn one by one ([`Stock::goal`]): its list of goals is empty.
    pub fn generated(stock: Stock) -> Self {
        let catalogue = Catalogue::new(stock.products, Vec::new(), stock.nouns);
        Self {
            catalogue: catalogue.into(),
            prices: stock.prices.into(),
            goals: Goals::default().into(),
            random: Random::seeded(Seeds::ORIGINAL.order),
        }
    }

    /// Returns all products.
    pub fn products(&self) -> &[Product] {
        &self.catalogue.products
    }

    /// Returns the product of a number.
    pub fn product(&self, number: u32) -> Option<&Product> {
        self.catalogue.products.get(number as usize)
    }

    /// Finds a product by identifier, in any case.
    pub fn find(&self, asin: &str) -> Option<u32> {
        self.catalogue.find(asin)
    }

    /// Returns the price of a product in dollars.
    pub fn price(&self, number: u32) -> Option<f64> {
        self.prices.get(number as usize).copied()
    }

    /// Makes the goal of an index.
    pub fn goal(&self, index: usize) -> Option<Goal> {
        self.goals.get(&self.catalogue, index)
    }

    /// Computes the reward of buying a product with the chosen options, given by name and value.
    ///
    /// # Panics
    /// If the shop has no product of that number.
    pub fn reward(&self, goal: &Goal, product: u32, chosen: &[(Box<str>, Box<str>)]) -> Reward {
        let products = &self.catalogue.products;
        let (bought, wanted) = (&products[product as usize], &products[goal.product as usize]);
        let nouns = &self.catalogue.nouns;
        let kind = Kind::new(bought, nouns.get(product), wanted, nouns.get(goal.product));
        let values = chosen.iter().map(|(_, value)| &**value);
        Reward::new(kind, goal, bought, self.prices[product as usize], values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generated::{Pages, Split};

    #[test]
    fn what_a_generated_goal_asks_for_has_the_full_reward() {
        let stock = Stock::draw(200, 3, Pages::Full);
        let goals: Vec<Goal> = (0..40).map(|number| stock.goal(Split::Train, number).unwrap()).collect();
        let shop = Shop::generated(stock);
        assert!(shop.goals.is_empty() && shop.goal(0).is_none());
        for goal in &goals {
            let reward = shop.reward(goal, goal.product, &goal.options);
            assert_eq!(reward.total, 1.0, "{goal:?}");
            let product = shop.product(goal.product).unwrap();
            assert_eq!(shop.find(&product.asin.to_lowercase()), Some(goal.product));
        }
        let other = (goals[0].product + 1) % 200;
        assert!(shop.reward(&goals[0], other, &[]).total < 1.0);
    }
}
