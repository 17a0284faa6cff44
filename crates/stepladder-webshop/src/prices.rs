//! Prices of a shop.

use crate::product::Product;
use crate::python::{Random, float_text};

/// Draws the price of every product, in dollars (`engine.py`, `generate_product_prices`): the listed one, or one between two.
pub fn draw(products: &[Product], random: &mut Random) -> Vec<f64> {
    let price = |product: &Product| match *product.pricing {
        [] => 100.0,
        [price] => price,
        [low, high, ..] => random.uniform(low, high),
    };
    products.iter().map(price).collect()
}

/// Writes the listed price as pages show it: `$19.99`, or `$19.99 to $27.99`.
pub fn tag(product: &Product) -> String {
    match *product.pricing {
        [] => "$100.0".to_owned(),
        [price] => format!("${}", float_text(price)),
        [low, high, ..] => format!("${} to ${}", float_text(low), float_text(high)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::product;

    #[test]
    fn only_ranges_are_drawn() {
        let mut products = ["B01", "B02", "B03"].map(product);
        products[1].pricing = [19.99, 27.99].into();
        products[2].pricing = [1e16].into();
        assert_eq!(products.each_ref().map(tag), ["$30.0", "$19.99 to $27.99", "$1e+16"]);
        let mut random = Random::seeded(42);
        // random.seed(42); random.uniform(19.99, 27.99)
        assert_eq!(draw(&products, &mut random), [30.0, 25.105414387663068, 1e16]);
        let mut expected = Random::seeded(42);
        expected.random();
        assert_eq!(random.word(), expected.word());
    }
}
