//! Prices of a shop.

use crate::product::Product;
use crate::python::Random;

/// Draws the price of every product, in dollars (`engine.py`, `generate_product_prices`): the listed one, or one between two.
pub fn draw(products: &[Product], random: &mut Random) -> Vec<f64> {
    let price = |product: &Product| match *product.pricing {
        [] => 100.0,
        [price] => price,
        [low, high, ..] => random.uniform(low, high),
    };
    products.iter().map(price).collect()
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
        let mut random = Random::seeded(42);
        // random.seed(42); random.uniform(19.99, 27.99)
        assert_eq!(draw(&products, &mut random), [30.0, 25.105414387663068, 1e16]);
        let mut expected = Random::seeded(42);
        expected.random();
        assert_eq!(random.word(), expected.word());
    }
}
