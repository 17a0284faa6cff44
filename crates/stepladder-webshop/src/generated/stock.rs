//! All products of a generated shop.

use super::{Generator, NoGoal, Pages, Split};
use crate::{Goal, Product};

/// A generated shop with its products drawn.
#[derive(Debug, Clone)]
pub struct Stock {
    generator: Generator,
    /// Products.
    pub products: Vec<Product>,
    /// Price of each product in dollars.
    pub prices: Vec<f64>,
    /// Lower-case nouns of each title in their order; repeated ones are kept.
    pub nouns: Vec<Box<[Box<str>]>>,
}

impl Stock {
    /// Draws the first `products` products of a shop.
    pub fn draw(products: u32, shop_seed: u64, pages: Pages) -> Self {
        let generator = Generator::new(shop_seed, pages);
        let number = products as usize;
        let mut stock = Self {
            generator: generator.clone(),
            products: Vec::with_capacity(number),
            prices: Vec::with_capacity(number),
            nouns: Vec::with_capacity(number),
        };
        for drawn in generator.products(0..products) {
            stock.products.push(drawn.product);
            stock.prices.push(drawn.price);
            stock.nouns.push(drawn.nouns.into());
        }
        stock
    }

    /// What draws products and goals.
    pub fn generator(&self) -> &Generator {
        &self.generator
    }

    /// Draws a goal of a split.
    ///
    /// # Errors
    /// As [`Generator::goal`].
    pub fn goal(&self, split: Split, number: u64) -> Result<Goal, NoGoal> {
        self.generator.goal(self.products.len() as u32, split, number)
    }
}
