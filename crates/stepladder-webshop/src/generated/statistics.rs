//! Statistics of a shop, to compare generated shops with the official set.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use super::spread::{Ranks, Spread};
use crate::floor::Floor;
use crate::pages::Store as _;
use crate::{Goal, Product, Shop};

/// What of a goal a customer types into the search bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Query {
    /// The kind of product: `throw blankets`.
    Kind,
    /// Attributes and kind: `machine washable throw blankets`.
    Attributes,
    /// Attributes, kind and values of options: `machine washable throw blankets navy blue`.
    Options,
    /// The whole instruction.
    Instruction,
}

impl Query {
    /// All queries.
    pub const ALL: [Self; 4] = [Self::Kind, Self::Attributes, Self::Options, Self::Instruction];

    /// Words of the search for a goal, whose product was collected by `kind`.
    pub fn words(self, kind: &str, goal: &Goal) -> String {
        if self == Self::Instruction {
            return goal.instruction.to_string();
        }
        let mut words: Vec<&str> = Vec::new();
        if self != Self::Kind {
            words.extend(goal.attributes.iter().map(|attribute| &**attribute));
        }
        words.push(kind);
        if self == Self::Options {
            words.extend(goal.options.iter().map(|(_, value)| &**value));
        }
        words.join(" ")
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Attributes => "kind and attributes",
            Self::Options => "kind, attributes and options",
            Self::Instruction => "whole instruction",
        }
    }
}

/// Statistics of products.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProductStatistics {
    /// Number of products.
    pub products: usize,
    /// Number of different queries by which products were collected.
    pub kinds: usize,
    /// Words of titles.
    pub title: Spread,
    /// Words of descriptions.
    pub description: Spread,
    /// Lines of features per product.
    pub features: Spread,
    /// Words of a line of features.
    pub feature: Spread,
    /// Choices per product.
    pub choices: Spread,
    /// Values per choice.
    pub values: Spread,
    /// Attributes per product.
    pub attributes: Spread,
    /// First listed price in dollars.
    pub price: Spread,
    /// Part of the products with two listed prices.
    pub ranges: f64,
}

impl ProductStatistics {
    /// Computes the statistics of products.
    pub fn of(products: &[Product]) -> Self {
        let spread = |quantity: &dyn Fn(&Product) -> usize| -> Spread {
            products.iter().map(|product| quantity(product) as f64).collect()
        };
        let kinds: BTreeSet<&str> = products.iter().map(|product| &*product.query).collect();
        let lines = products.iter().flat_map(|product| &product.bullets);
        let choices = products.iter().flat_map(|product| &product.options);
        let ranges = products.iter().filter(|product| product.pricing.len() > 1).count();
        Self {
            products: products.len(),
            kinds: kinds.len(),
            title: spread(&|product| words(&product.title)),
            description: spread(&|product| words(&product.description)),
            features: spread(&|product| product.bullets.len()),
            feature: lines.map(|line| words(line) as f64).collect(),
            choices: spread(&|product| product.options.len()),
            values: choices.map(|choice| choice.values.len() as f64).collect(),
            attributes: spread(&|product| product.attributes.len()),
            price: products.iter().filter_map(|product| product.pricing.first().copied()).collect(),
            ranges: ranges as f64 / products.len().max(1) as f64,
        }
    }
}

/// Statistics of goals.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GoalStatistics {
    /// Number of goals.
    pub goals: usize,
    /// Attributes per goal.
    pub attributes: Spread,
    /// Attributes per goal, where every product with goals counts once, with its first goal.
    pub attributes_by_product: Spread,
    /// Options per goal.
    pub options: Spread,
    /// Options per goal, where every product with goals counts once.
    pub options_by_product: Spread,
    /// Words of instructions.
    pub instruction: Spread,
    /// Price limit minus price of the goal's product, in dollars.
    pub slack: Spread,
    /// Goals per product that has any.
    pub per_product: Spread,
    /// Ranks by query, as in [`Query::ALL`].
    pub ranks: [Ranks; 4],
    /// Best rank of all queries.
    pub best: Ranks,
    /// Best reward of the products that [`Query::Options`] finds, bought with those options of the goal that they have.
    pub reward: Spread,
}

impl GoalStatistics {
    /// Computes the statistics of goals of a shop.
    pub fn of(floor: &Floor, goals: &[Goal]) -> Self {
        let shop = &floor.shop;
        let mut firsts = Vec::new();
        let mut number: FxHashMap<u32, u32> = FxHashMap::default();
        for goal in goals {
            let count = number.entry(goal.product).or_default();
            if *count == 0 {
                firsts.push(goal);
            }
            *count += 1;
        }
        let mut ranks: [Ranks; 4] = Default::default();
        let mut best = Ranks::default();
        let mut rewards = Vec::with_capacity(goals.len());
        for goal in goals {
            let kind = shop.product(goal.product).map_or("", |product| &*product.query);
            let found = Query::ALL.map(|query| floor.search(&query.words(kind, goal)));
            let places = found
                .each_ref()
                .map(|found| found.iter().position(|number| *number == goal.product).map(|place| place + 1));
            for (ranks, rank) in ranks.iter_mut().zip(places) {
                ranks.0.push(rank);
            }
            best.0.push(places.into_iter().flatten().min());
            rewards.push(best_reward(shop, goal, &found[2]));
        }
        let slack = |goal: &Goal| Some(goal.price_upper - shop.price(goal.product)?);
        Self {
            goals: goals.len(),
            attributes: goals.iter().map(|goal| goal.attributes.len() as f64).collect(),
            attributes_by_product: firsts.iter().map(|goal| goal.attributes.len() as f64).collect(),
            options: goals.iter().map(|goal| goal.options.len() as f64).collect(),
            options_by_product: firsts.iter().map(|goal| goal.options.len() as f64).collect(),
            instruction: goals.iter().map(|goal| words(&goal.instruction) as f64).collect(),
            slack: goals.iter().filter_map(slack).collect(),
            per_product: number.into_values().map(f64::from).collect(),
            ranks,
            best,
            reward: rewards.into_iter().collect(),
        }
    }
}

/// Best reward of some products, bought with those options of the goal that they have.
fn best_reward(shop: &Shop, goal: &Goal, found: &[u32]) -> f64 {
    let mut best = 0.0;
    for &number in found {
        let Some(product) = shop.product(number) else { continue };
        let offered = |name: &str, value: &str| {
            product
                .options
                .iter()
                .any(|choice| *choice.name == *name && choice.values.iter().any(|one| **one == *value))
        };
        let chosen: Vec<_> =
            goal.options.iter().filter(|(name, value)| offered(name, value)).cloned().collect();
        best = f64::max(best, shop.reward(goal, number, &chosen).total);
        if best == 1.0 {
            break;
        }
    }
    best
}

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}
