//! The shop floor: what a visit needs of a shop, in one place.

use std::sync::Arc;

use crate::generated::Stock;
use crate::goal::Goal;
use crate::pages::{MOST, PER_PAGE, Store};
use crate::product::Product;
use crate::search::{self, Index};
use crate::shop::Shop;

/// A shop with its search.
pub struct Floor {
    /// Products, prices and goals.
    pub shop: Shop,
    index: Arc<Index>,
    per_page: u32,
}

impl Floor {
    /// Opens a shop with the index of its products.
    pub fn new(shop: Shop, index: Arc<Index>) -> Self {
        Self { shop, index, per_page: PER_PAGE }
    }

    /// Opens a generated shop, whose goals are drawn one by one ([`Stock::goal`]).
    pub fn generated(stock: Stock) -> Self {
        let per_page = stock.generator().pages().per_page() as u32;
        let index = Arc::new(Self::index(&stock.products));
        Self { per_page, ..Self::new(Shop::generated(stock), index) }
    }

    /// Indexes products.
    pub fn index(products: &[Product]) -> Index {
        Index::build(products.iter().map(|product| (&*product.asin, search::contents(product))))
    }
}

impl Store for Floor {
    fn products(&self) -> &[Product] {
        self.shop.products()
    }

    fn search(&self, query: &str) -> Vec<u32> {
        self.index.search(query, MOST)
    }

    fn per_page(&self) -> u32 {
        self.per_page
    }

    fn reward(&self, goal: &Goal, product: u32, chosen: &[(Box<str>, Box<str>)]) -> f64 {
        self.shop.reward(goal, product, chosen).total
    }
}
