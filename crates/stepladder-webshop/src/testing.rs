//! Products for unit tests.

use crate::product::Product;

/// A product of which only the identifier matters.
pub(crate) fn product(asin: &str) -> Product {
    Product {
        asin: asin.into(),
        category: "garden".into(),
        query: "lamps".into(),
        product_category: "Home › Lamps".into(),
        title: "A lamp".into(),
        description: "It shines.".into(),
        bullets: ["Bright".into()].into(),
        pricing: [30.0].into(),
        options: [].into(),
        attributes: ["easy install".into()].into(),
    }
}
