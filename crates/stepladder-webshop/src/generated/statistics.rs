//! Statistics of a shop, to compare generated shops with the official set.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use rustc_hash::FxHashMap;

use crate::{Goal, Product};

/// Products that a search finds (`SEARCH_RETURN_N` of the original).
const FOUND: usize = 50;

/// Products on the first page of results in the original.
const FIRST_PAGE: usize = 10;

/// Values of a quantity, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spread(Vec<f64>);

impl Spread {
    /// Value below which a part of all values lies, 0 to 1; 0 without values.
    pub fn quantile(&self, part: f64) -> f64 {
        let index = (part * self.0.len() as f64) as usize;
        self.0.get(index.min(self.0.len().saturating_sub(1))).copied().unwrap_or_default()
    }

    /// Mean; 0 without values.
    pub fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len().max(1) as f64
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<f64> for Spread {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        Self(values)
    }
}

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

    fn name(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Attributes => "kind and attributes",
            Self::Options => "kind, attributes and options",
            Self::Instruction => "whole instruction",
        }
    }
}

/// Ranks of the goals' products, from 1; none: not among the products found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ranks(Vec<Option<usize>>);

impl Ranks {
    /// Part of the goals whose product is among the first `number`.
    pub fn within(&self, number: usize) -> f64 {
        let found = self.0.iter().flatten().filter(|rank| **rank <= number).count();
        found as f64 / self.0.len().max(1) as f64
    }

    /// Middle rank; none if more than half of the products are not found.
    pub fn median(&self) -> Option<usize> {
        let mut ranks = self.0.clone();
        ranks.sort_unstable_by_key(|rank| rank.unwrap_or(usize::MAX));
        ranks.get(ranks.len() / 2).copied().flatten()
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
}

impl GoalStatistics {
    /// Computes the statistics of goals; `search` returns numbers of products, the best first.
    pub fn of(
        products: &[Product],
        prices: &[f64],
        goals: &[Goal],
        search: impl Fn(&str) -> Vec<u32>,
    ) -> Self {
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
        for goal in goals {
            let kind = products.get(goal.product as usize).map_or("", |product| &*product.query);
            let found = Query::ALL.map(|query| {
                let found = search(&query.words(kind, goal));
                found.iter().take(FOUND).position(|number| *number == goal.product).map(|place| place + 1)
            });
            for (ranks, rank) in ranks.iter_mut().zip(found) {
                ranks.0.push(rank);
            }
            best.0.push(found.into_iter().flatten().min());
        }
        let slack = |goal: &Goal| Some(goal.price_upper - prices.get(goal.product as usize)?);
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
        }
    }
}

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

/// Statistics of a shop, for a column of [`table`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statistics {
    /// Name of the shop.
    pub name: String,
    /// Its products.
    pub products: ProductStatistics,
    /// Its goals.
    pub goals: GoalStatistics,
}

/// Writes statistics of shops side by side. A spread is written as its 10, 25, 50, 75 and 90 percent quantiles and its mean.
pub fn table(shops: &[Statistics]) -> String {
    type Cell = fn(&Statistics) -> String;
    let rows: &[(&str, Cell)] = &[
        ("products", |shop| shop.products.products.to_string()),
        ("kinds of product", |shop| shop.products.kinds.to_string()),
        ("words of the title", |shop| spread(&shop.products.title)),
        ("words of the description", |shop| spread(&shop.products.description)),
        ("lines of features", |shop| spread(&shop.products.features)),
        ("words of a line", |shop| spread(&shop.products.feature)),
        ("choices", |shop| spread(&shop.products.choices)),
        ("values of a choice", |shop| spread(&shop.products.values)),
        ("attributes", |shop| spread(&shop.products.attributes)),
        ("listed price in dollars", |shop| spread(&shop.products.price)),
        ("products with a range of prices", |shop| percent(shop.products.ranges)),
        ("goals", |shop| shop.goals.goals.to_string()),
        ("goals per product with goals", |shop| spread(&shop.goals.per_product)),
        ("attributes of a goal", |shop| spread(&shop.goals.attributes)),
        ("the same, a goal per product", |shop| spread(&shop.goals.attributes_by_product)),
        ("options of a goal", |shop| spread(&shop.goals.options)),
        ("the same, a goal per product", |shop| spread(&shop.goals.options_by_product)),
        ("words of the instruction", |shop| spread(&shop.goals.instruction)),
        ("limit above the price in dollars", |shop| spread(&shop.goals.slack)),
    ];
    let mut lines: Vec<Vec<String>> =
        vec![std::iter::once(String::new()).chain(shops.iter().map(|shop| shop.name.clone())).collect()];
    for (name, cell) in rows {
        lines.push(std::iter::once((*name).to_owned()).chain(shops.iter().map(cell)).collect());
    }
    for (number, query) in Query::ALL.into_iter().enumerate() {
        let name = format!("rank, {}", query.name());
        lines.push(
            std::iter::once(name).chain(shops.iter().map(|shop| rank(&shop.goals.ranks[number]))).collect(),
        );
    }
    let best = shops.iter().map(|shop| rank(&shop.goals.best));
    lines.push(std::iter::once("rank, best of these".to_owned()).chain(best).collect());
    let mut text = String::from(
        "Spreads: 10 25 50 75 90 percent (mean). Ranks of the goal's product: median, part on the first page of 10, part among 50.\n\n",
    );
    aligned(&lines, &mut text);
    text
}

fn spread(values: &Spread) -> String {
    let [a, b, c, d, e] = [0.1, 0.25, 0.5, 0.75, 0.9].map(|part| rounded(values.quantile(part)));
    format!("{a} {b} {c} {d} {e} ({:.1})", values.mean())
}

fn rounded(value: f64) -> String {
    format!("{value:.0}")
}

fn percent(part: f64) -> String {
    format!("{:.0} %", 100.0 * part)
}

fn rank(ranks: &Ranks) -> String {
    let median = ranks.median().map_or("-".to_owned(), |rank| rank.to_string());
    format!("{median}, {}, {}", percent(ranks.within(FIRST_PAGE)), percent(ranks.within(FOUND)))
}

/// Writes lines of cells as columns.
fn aligned(lines: &[Vec<String>], text: &mut String) {
    let columns = lines.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|column| lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max())
        .map(Option::unwrap_or_default)
        .collect();
    for line in lines {
        let mut row = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            // Writing to a string does not fail.
            let _ = write!(row, "{cell:width$}  ");
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_of_the_sorted_list() {
        let spread: Spread = [3.0, 1.0, 2.0, 10.0].into_iter().collect();
        assert_eq!(
            [0.0, 0.25, 0.5, 0.75, 1.0].map(|part| spread.quantile(part)),
            [1.0, 2.0, 3.0, 10.0, 10.0]
        );
        assert_eq!((spread.mean(), spread.len()), (4.0, 4));
        let none = Spread::default();
        assert_eq!((none.mean(), none.quantile(0.5), none.is_empty()), (0.0, 0.0, true));
    }

    #[test]
    fn products_that_are_not_found_rank_last() {
        let ranks = Ranks(vec![None, Some(3), Some(50), Some(11), None]);
        assert_eq!((ranks.median(), ranks.within(10), ranks.within(50)), (Some(50), 0.2, 0.6));
        assert_eq!(Ranks(vec![None, None, Some(1)]).median(), None);
        assert_eq!((Ranks::default().median(), Ranks::default().within(50)), (None, 0.0));
    }

    #[test]
    fn columns_are_aligned() {
        let mut text = String::new();
        aligned(&[vec!["a".into(), "b".into()], vec!["ccc".into(), "d".into()]], &mut text);
        assert_eq!(text, "a    b\nccc  d\n");
    }
}
