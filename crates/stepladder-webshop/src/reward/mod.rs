//! Reward of a purchase (`goal.py`, `get_reward`).

mod colours;
mod kind;
#[cfg(test)]
mod tests;

use crate::fuzzy::Tokens;
use crate::goal::Goal;
use crate::product::Product;

pub use kind::Kind;

/// Similarity above which two texts name the same thing, in percent.
const SIMILAR: u32 = 85;

/// Reward of a purchase, with its parts as the original's `info` names them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reward {
    /// The reward, 0 to 1: the share of attributes, options and price that fit, times `kind.r_type`.
    pub total: f64,
    /// Whether the product is what the goal asks for.
    pub kind: Kind,
    /// Share of the goal's attributes that the product has.
    pub r_att: f64,
    /// Weight of the attributes.
    pub w_att: f64,
    /// Share of the goal's options that were chosen. None without options.
    pub r_option: Option<f64>,
    /// Weight of the options. None without options.
    pub w_option: Option<f64>,
    /// Whether the price is within the limit.
    pub r_price: bool,
    /// Weight of the price.
    pub w_price: f64,
}

impl Reward {
    /// Computes the reward of buying a product at a price in dollars, with the values of the chosen options.
    pub fn new<'a>(
        kind: Kind,
        goal: &Goal,
        product: &Product,
        price: f64,
        chosen: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let (attributes, options) = (goal.attributes.len(), goal.options.len());
        let found = attributes_found(goal, product);
        let matched = options_matched(goal, chosen);
        let within = price <= goal.price_upper;
        let all = (attributes + options + 1) as f64;
        let share = |part: usize, whole: usize| part as f64 / whole as f64;
        Self {
            total: (found + matched + usize::from(within)) as f64 / all * kind.r_type,
            kind,
            r_att: share(found, attributes),
            w_att: attributes as f64 / all,
            r_option: (options > 0).then(|| share(matched, options)),
            w_option: (options > 0).then(|| options as f64 / all),
            r_price: within,
            w_price: 1.0 / all,
        }
    }
}

/// Counts the attributes of a goal that a product has: in its list, or in one of its texts (`get_attribute_reward`).
fn attributes_found(goal: &Goal, product: &Product) -> usize {
    let listed: Vec<Tokens> = product.attributes.iter().map(|attribute| Tokens::new(attribute)).collect();
    let mut texts: Option<[String; 3]> = None;
    let mut has = |wanted: &str| {
        let tokens = Tokens::new(wanted);
        listed.iter().any(|attribute| attribute.set_ratio(&tokens) > SIMILAR)
            || texts.get_or_insert_with(|| lower(product)).iter().any(|text| text.contains(wanted))
    };
    goal.attributes.iter().filter(|wanted| has(wanted)).count()
}

/// Texts of a product in lower case: name, features, description.
fn lower(product: &Product) -> [String; 3] {
    [
        product.title.to_lowercase(),
        product.bullets.join(" ").to_lowercase(),
        product.description.to_lowercase(),
    ]
}

/// Counts the options of a goal that one of the chosen values is similar to (`get_option_reward`).
fn options_matched<'a>(goal: &Goal, chosen: impl IntoIterator<Item = &'a str>) -> usize {
    let chosen: Vec<Tokens> = chosen.into_iter().map(|value| Tokens::new(colours::simple(value))).collect();
    let matches = |(name, value): &&(Box<str>, Box<str>)| {
        let wanted = Tokens::new(&colours::of_option(name, value));
        chosen.iter().any(|value| value.set_ratio(&wanted) > SIMILAR)
    };
    goal.options.iter().filter(matches).count()
}
