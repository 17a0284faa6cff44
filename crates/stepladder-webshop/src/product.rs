//! Products as the shop shows them.

/// A product.
///
/// Texts are those that pages show (`engine.py`, `load_products`): the query is lower case, option names and values are lower case.
#[derive(Debug, Clone, PartialEq)]
pub struct Product {
    /// Identifier, at most ten characters.
    pub asin: Box<str>,
    /// Department: `beauty`, `electronics`, `fashion`, `garden`, `grocery`.
    pub category: Box<str>,
    /// Search by which the product was collected.
    pub query: Box<str>,
    /// Path of categories, separated by ` › `.
    pub product_category: Box<str>,
    /// Name.
    pub title: Box<str>,
    /// Text of the page Description.
    pub description: Box<str>,
    /// Lines of the page Features.
    pub bullets: Box<[Box<str>]>,
    /// Listed prices in dollars, at least one; two mean a range.
    pub pricing: Box<[f64]>,
    /// What can be chosen, in the order of the page.
    pub options: Box<[Choice]>,
    /// Attributes that a goal may ask for.
    pub attributes: Box<[Box<str>]>,
}

/// A choice of a product: size, color.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Name.
    pub name: Box<str>,
    /// Values, in the order of the page.
    pub values: Box<[Box<str>]>,
}
