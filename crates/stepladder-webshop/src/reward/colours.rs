//! Colours by which options are compared (`normalize.py`, `normalize_color`).

use std::borrow::Cow;

use crate::python::quoted;

/// Names of colours. The first that fits counts.
#[rustfmt::skip]
const COLOURS: [&str; 102] = [
    "alabaster", "apricot", "aqua", "ash", "asphalt", "azure", "banana", "beige", "black", "blue",
    "blush", "bordeaux", "bronze", "brown", "burgundy", "camel", "camo", "caramel", "champagne",
    "charcoal", "cheetah", "chestnut", "chocolate", "christmas", "coffee", "cognac", "copper", "coral",
    "cranberry", "cream", "crystal", "dark", "denim", "eggplant", "elephant", "espresso", "fuchsia",
    "gold", "granite", "grape", "graphite", "grass", "gray", "green", "grey", "heather", "indigo",
    "ivory", "ivy", "khaki", "lavender", "lemon", "leopard", "light", "lilac", "lime", "magenta",
    "maroon", "mauve", "merlot", "midnight", "mint", "mocha", "multicolor", "mushroom", "mustard",
    "natural", "navy", "nude", "olive", "orange", "peach", "pewter", "pink", "plum", "purple", "rainbow",
    "red", "rose", "royal", "rust", "sand", "sapphire", "seashell", "silver", "skull", "slate", "steel",
    "stone", "stonewash", "sunflower", "tan", "taupe", "teal", "tiger", "turquoise", "violet", "walnut",
    "wheat", "white", "wine", "yellow",
];

/// Replaces a text by the first colour that occurs in it, if any.
pub(super) fn simple(text: &str) -> &str {
    COLOURS.into_iter().find(|colour| text.contains(colour)).unwrap_or(text)
}

/// Writes an option of a goal as the original compares it.
///
/// An option that a person wrote is a text. One of a synthetic goal reaches the comparison as Python's tuple of name and value: a colour
/// counts only where it is the name or the value, and otherwise the tuple is written as `str` writes it.
pub(super) fn of_option<'a>(name: &'a str, value: &'a str) -> Cow<'a, str> {
    if name.is_empty() {
        return simple(value).into();
    }
    match COLOURS.into_iter().find(|&colour| colour == name || colour == value) {
        Some(colour) => colour.into(),
        None => format!("({}, {})", quoted(name), quoted(value)).into(),
    }
}
