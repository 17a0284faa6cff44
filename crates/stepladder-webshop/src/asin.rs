//! Lookup of products by identifier.

use std::hash::{Hash as _, Hasher as _};

use rustc_hash::{FxHashMap, FxHasher};

use crate::product::Product;

/// Numbers of products by identifier. Pages show identifiers in upper case and links in lower case, so that case is ignored
/// where no identifier equals exactly.
///
/// Keys are hashes, since a million identifiers would take more memory than their numbers.
#[derive(Debug, Clone, Default)]
pub struct ByAsin {
    numbers: FxHashMap<u64, u32>,
}

impl ByAsin {
    /// Indexes products.
    pub fn new(products: &[Product]) -> Self {
        let mut index = Self::default();
        for number in 0..products.len() {
            index.add(products, number);
        }
        index
    }

    /// Adds a product. Returns false, and leaves it out, if a product before it has exactly its identifier.
    pub fn add(&mut self, products: &[Product], number: usize) -> bool {
        let asin = &products[number].asin;
        let mut key = hash(asin);
        while let Some(&other) = self.numbers.get(&key) {
            if products[other as usize].asin == *asin {
                return false;
            }
            key = key.wrapping_add(1);
        }
        self.numbers.insert(key, number as u32);
        true
    }

    /// Finds the product with exactly this identifier.
    pub fn exactly(&self, products: &[Product], asin: &str) -> Option<u32> {
        self.chain(asin).find(|&number| *products[number as usize].asin == *asin)
    }

    /// Finds the product with this identifier, in any case.
    pub fn find(&self, products: &[Product], asin: &str) -> Option<u32> {
        let similar = |&number: &u32| products[number as usize].asin.eq_ignore_ascii_case(asin);
        self.exactly(products, asin).or_else(|| self.chain(asin).find(similar))
    }

    /// Lists the products whose identifiers may be this one.
    fn chain(&self, asin: &str) -> impl Iterator<Item = u32> {
        let first = hash(asin);
        (0..).map_while(move |step| self.numbers.get(&first.wrapping_add(step)).copied())
    }
}

fn hash(asin: &str) -> u64 {
    let mut hasher = FxHasher::default();
    for byte in asin.bytes() {
        byte.to_ascii_lowercase().hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::product;

    #[test]
    fn products_are_found_in_any_case_and_exact_ones_first() {
        let products = ["B01", "b01", "B02", "b0x"].map(product);
        let index = ByAsin::new(&products);
        let find = |asin| index.find(&products, asin);
        assert_eq!(
            ["B01", "b01", "b02", "B0X", "b0X", "B03"].map(find),
            [Some(0), Some(1), Some(2), Some(3), Some(3), None]
        );
        assert_eq!(index.exactly(&products, "b02"), None);
    }

    #[test]
    fn a_repeated_identifier_is_refused() {
        let products = ["B01", "B02", "B01"].map(product);
        let mut index = ByAsin::default();
        assert_eq!([0, 1, 2].map(|number| index.add(&products, number)), [true, true, false]);
        assert_eq!(index.find(&products, "B01"), Some(0));
    }

    #[test]
    fn every_one_of_many_is_found() {
        let products: Vec<_> = (0..20_000).map(|number| product(&format!("B{number:09}"))).collect();
        let index = ByAsin::new(&products);
        for (number, product) in products.iter().enumerate() {
            assert_eq!(index.find(&products, &product.asin.to_lowercase()), Some(number as u32));
        }
    }
}
