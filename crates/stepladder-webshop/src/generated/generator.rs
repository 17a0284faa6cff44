//! Draws the products of a shop.

use std::ops::Range;

use stepladder_core::seed::{self, Rng};

use super::Pages;
use super::asin::Asins;
use super::plan::Plan;
use super::text;
use crate::Product;

/// A product with what is known of it beyond the official format.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    /// The product.
    pub product: Product,
    /// Price in dollars that the customer pays, within the listed range.
    pub price: f64,
    /// Lower-case nouns of the title in their order; repeated ones are kept.
    pub nouns: Vec<Box<str>>,
}

/// Draws the products of a shop.
///
/// ```
/// use stepladder_webshop::generated::{Generator, Pages};
/// let shop = Generator::new(7, Pages::Full);
/// let product = shop.product(3).product;
/// assert_eq!(product, Generator::new(7, Pages::Full).product(3).product);
/// assert_eq!(product.asin.len(), 10);
/// ```
#[derive(Debug, Clone)]
pub struct Generator {
    seed: u64,
    pages: Pages,
    asins: Asins,
}

impl Generator {
    /// Opens the shop of a seed.
    pub fn new(seed: u64, pages: Pages) -> Self {
        Self { seed, pages, asins: Asins::new(seed, pages) }
    }

    /// Seed of the shop.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Length of its pages.
    pub fn pages(&self) -> Pages {
        self.pages
    }

    /// Draws a product. Identifiers are distinct below [`MOST_PRODUCTS`](super::MOST_PRODUCTS).
    pub fn product(&self, number: u32) -> Drawn {
        let rng = &mut self.stream(number);
        let plan = Plan::draw(self.pages, rng);
        let texts = text::write(&plan, self.pages, rng);
        let category = plan.department();
        let product = Product {
            asin: self.asins.asin(u64::from(number)),
            category: category.into(),
            query: plan.kind.query.into(),
            product_category: plan.kind.path.into(),
            title: texts.title.into(),
            description: texts.description.into(),
            bullets: texts.bullets.into_iter().map(String::into_boxed_str).collect(),
            pricing: plan.pricing,
            options: plan.choices.into(),
            attributes: plan
                .attributes
                .iter()
                .map(|attribute| attribute.phrase.text.as_str().into())
                .collect(),
        };
        Drawn { product, price: plan.price, nouns: texts.nouns }
    }

    /// Draws a product without its texts.
    pub(super) fn plan(&self, number: u32) -> Plan {
        Plan::draw(self.pages, &mut self.stream(number))
    }

    fn stream(&self, number: u32) -> Rng {
        seed::stream(self.seed, "webshop/product", &[u64::from(number)])
    }

    /// Draws products one after another.
    pub fn products(&self, numbers: Range<u32>) -> impl Iterator<Item = Drawn> {
        numbers.map(|number| self.product(number))
    }
}
