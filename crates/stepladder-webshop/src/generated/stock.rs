//! All products of a generated shop.

use super::{Generator, NoGoal, Pages, Split};
use crate::nouns::Nouns;
use crate::{Goal, Product};

/// A generated shop with its products drawn.
#[derive(Debug, Clone)]
pub struct Stock {
    generator: Generator,
    /// Products.
    pub products: Vec<Product>,
    /// Price of each product in dollars.
    pub prices: Vec<f64>,
    /// Nouns of the titles.
    pub nouns: Nouns,
}

impl Stock {
    /// Draws the first `products` products of a shop.
    pub fn draw(products: u32, shop_seed: u64, pages: Pages) -> Self {
        let generator = Generator::new(shop_seed, pages);
        let number = products as usize;
        let (mut all, mut prices) = (Vec::with_capacity(number), Vec::with_capacity(number));
        // Nouns become numbers at once: a million lists of words would take more memory than titles.
        let nouns = Nouns::new(generator.products(0..products).map(|drawn| {
            all.push(drawn.product);
            prices.push(drawn.price);
            drawn.nouns
        }));
        Self { generator, products: all, prices, nouns }
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
