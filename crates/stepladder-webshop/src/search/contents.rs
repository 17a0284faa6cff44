//! The text by which a product is found.

use crate::Product;

/// The text of a product that the original indexes (`convert_product_file_format.py`): title, description, first line of the
/// features and options with their values, in lower case.
///
/// A product without features, on which the original fails, has an empty line there.
pub fn contents(product: &Product) -> String {
    let feature = product.bullets.first().map_or("", |line| line);
    let mut text = format!("{} {} {} ", product.title, product.description, feature);
    for (number, choice) in product.options.iter().enumerate() {
        text += if number > 0 { ", and " } else { "" };
        text += &choice.name;
        text += ": ";
        for (number, value) in choice.values.iter().enumerate() {
            text += if number > 0 { ", " } else { "" };
            text += value;
        }
    }
    text.to_lowercase()
}
