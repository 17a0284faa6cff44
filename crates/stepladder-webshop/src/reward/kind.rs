//! Whether a product is what a goal asks for (`goal.py`, `get_type_reward`).

use crate::product::Product;

/// Score of a name without nouns.
const NO_NOUNS: f64 = 0.2;

/// How the kind of a bought product fits the product that a goal was made from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kind {
    /// Factor of the reward: 1, 0.5, 0.1 or 0.
    pub r_type: f64,
    /// Both were collected by the same search.
    pub query_match: bool,
    /// Their paths of categories share two.
    pub category_match: bool,
    /// Number of different nouns that both names have.
    pub shared_nouns: usize,
    /// That number by the number of nouns in the name of the goal's product, repeated ones counted.
    pub title_score: f64,
}

impl Kind {
    /// Compares a bought product with that of a goal. Nouns are those of their names, as numbers.
    pub fn new(bought: &Product, bought_nouns: &[u32], wanted: &Product, wanted_nouns: &[u32]) -> Self {
        let query_match = bought.query == wanted.query;
        let category_match = shared_categories(&bought.product_category, &wanted.product_category) >= 2;
        let mut shared: Vec<u32> =
            wanted_nouns.iter().copied().filter(|noun| bought_nouns.contains(noun)).collect();
        shared.sort_unstable();
        shared.dedup();
        let title_score = match wanted_nouns.len() {
            0 => NO_NOUNS,
            count => shared.len() as f64 / count as f64,
        };
        let r_type = if title_score == 0.0 {
            0.0
        } else if title_score < 0.1 {
            0.1
        } else if query_match || category_match || title_score > NO_NOUNS {
            1.0
        } else {
            0.5
        };
        Self { r_type, query_match, category_match, shared_nouns: shared.len(), title_score }
    }
}

fn shared_categories(one: &str, other: &str) -> usize {
    let names = |path: &'_ str| -> Vec<String> {
        let mut names: Vec<String> =
            path.split('›').map(|name| crate::python::strip(name).to_owned()).collect();
        names.sort_unstable();
        names.dedup();
        names
    };
    let other = names(other);
    names(one).iter().filter(|name| other.contains(name)).count()
}
