//! What a product is, before it is put into words.

use rand::RngExt;
use stepladder_core::seed::Rng;

use super::Pages;
use super::brand::{self, brand, short_brand};
use super::vocabulary::{Attribute, ChoiceSet, DEPARTMENTS, Kind, Phrase, VOCABULARY};
use crate::Choice;

/// Products without a listed price, which the original sells for 100 dollars, in percent.
const UNPRICED: u32 = 2;

/// Price of a product without a listed one, as in the original.
const UNPRICED_DOLLARS: f64 = 100.0;

/// A product before it is put into words.
#[derive(Debug)]
pub(super) struct Plan {
    pub kind: &'static Kind,
    pub brand: String,
    pub look: &'static Phrase,
    /// None for kinds whose material is in their name.
    pub material: Option<&'static Phrase>,
    pub attributes: Vec<&'static Attribute>,
    pub choices: Vec<Choice>,
    /// Listed prices.
    pub pricing: Box<[f64]>,
    /// Price that the customer pays.
    pub price: f64,
}

/// How much of everything products have. Lists of equally likely numbers.
struct Amounts {
    features: &'static [usize],
    uses: &'static [usize],
    choices: &'static [usize],
    values: &'static [usize],
    /// Products with a listed range of prices, in percent.
    ranges: u32,
}

impl Pages {
    fn amounts(self) -> Amounts {
        match self {
            Self::Full => Amounts {
                features: &[1, 2, 2, 3, 3, 4, 5, 6],
                uses: &[0, 1, 1, 2],
                choices: &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3],
                values: &[2, 2, 3, 3, 4, 4, 5, 5, 6, 7, 9, 12],
                ranges: 9,
            },
            Self::Short => Amounts {
                features: &[1, 2, 2],
                uses: &[0, 1],
                choices: &[0, 0, 1, 1, 1, 2],
                values: &[2, 3, 3],
                ranges: 0,
            },
        }
    }
}

impl Plan {
    /// Draws a product.
    pub(super) fn draw(pages: Pages, rng: &mut Rng) -> Self {
        let amounts = pages.amounts();
        let kinds = &VOCABULARY.kinds[department(rng)];
        let kind = pick(rng, kinds);
        let number = rng.random_range(0..brand::BRANDS);
        let brand = match pages {
            Pages::Full => brand(number),
            Pages::Short => short_brand(number),
        };
        let look = pick(rng, &kind.looks);
        let material = (!kind.materials.is_empty()).then(|| pick(rng, &kind.materials));
        let mut attributes: Vec<&Attribute> = Vec::new();
        let features = *pick(rng, amounts.features);
        for group in sample(rng, &kind.features, features) {
            attributes.push(pick(rng, group));
        }
        let uses = *pick(rng, amounts.uses);
        attributes.extend(sample(rng, &kind.uses, uses));
        let number = (*pick(rng, amounts.choices)).min(kind.choices.len());
        let mut chosen: Vec<usize> = sample_numbers(rng, kind.choices.len(), number);
        chosen.sort_unstable();
        let choices = chosen
            .into_iter()
            .map(|index| {
                let most = *pick(rng, amounts.values);
                values(rng, &kind.choices[index], most)
            })
            .collect();
        let (pricing, price) = prices(rng, kind, amounts.ranges);
        Self { kind, brand, look, material, attributes, choices, pricing, price }
    }

    /// Name of the department.
    pub(super) fn department(&self) -> &'static str {
        DEPARTMENTS[self.kind.department].0
    }
}

fn department(rng: &mut Rng) -> usize {
    let mut left = rng.random_range(0..100_u32);
    for (index, (_, percent)) in DEPARTMENTS.iter().enumerate() {
        if left < *percent {
            return index;
        }
        left -= percent;
    }
    0
}

fn values(rng: &mut Rng, set: &ChoiceSet, most: usize) -> Choice {
    let number = most.min(set.values.len());
    let values: Vec<&str> = if set.ordered {
        let first = below(rng, set.values.len() - number + 1);
        set.values[first..first + number].to_vec()
    } else {
        sample(rng, &set.values, number).copied().collect()
    };
    Choice { name: set.name.into(), values: values.into_iter().map(Box::from).collect() }
}

/// Draws listed prices and the price that the customer pays.
fn prices(rng: &mut Rng, kind: &Kind, ranges: u32) -> (Box<[f64]>, f64) {
    let (low, high) = kind.price;
    let base = low * (high / low).powf(rng.random::<f64>());
    let listed = ending(rng, base);
    match rng.random_range(0..100_u32) {
        chance if chance < UNPRICED => ([UNPRICED_DOLLARS].into(), UNPRICED_DOLLARS),
        chance if chance < UNPRICED + ranges => {
            let factor = 1.1 + 0.7 * rng.random::<f64>();
            let top = ending(rng, base * factor).max(listed + 1.0);
            let paid = listed + (top - listed) * rng.random::<f64>();
            ([listed, top].into(), cents(paid))
        }
        _ => ([listed].into(), listed),
    }
}

/// Rounds a price to a usual ending.
fn ending(rng: &mut Rng, price: f64) -> f64 {
    let dollars = price.floor();
    match rng.random_range(0..10_u32) {
        0..=5 => dollars + 0.99,
        6 => dollars + 0.95,
        7 => dollars + 0.49,
        8 => dollars,
        _ => cents(price),
    }
}

/// Rounds to whole cents.
fn cents(price: f64) -> f64 {
    (price * 100.0).round() / 100.0
}

/// Draws a number below `end`, which is positive. The draw has 32 bits, so that all platforms draw the same.
pub(super) fn below(rng: &mut Rng, end: usize) -> usize {
    rng.random_range(0..end as u32) as usize
}

/// Draws one of `items`, which are not empty.
pub(super) fn pick<'a, T>(rng: &mut Rng, items: &'a [T]) -> &'a T {
    &items[below(rng, items.len())]
}

/// Draws different items, at most `number`, in random order.
pub(super) fn sample<'a, T>(
    rng: &mut Rng,
    items: &'a [T],
    number: usize,
) -> impl Iterator<Item = &'a T> + use<'a, T> {
    sample_numbers(rng, items.len(), number).into_iter().map(|index| &items[index])
}

fn sample_numbers(rng: &mut Rng, end: usize, number: usize) -> Vec<usize> {
    let mut all: Vec<usize> = (0..end).collect();
    let number = number.min(end);
    for place in 0..number {
        let other = place + below(rng, end - place);
        all.swap(place, other);
    }
    all.truncate(number);
    all
}
