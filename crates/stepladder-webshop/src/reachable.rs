//! Which goals can be reached: some product and some options score 1, and a search that the instruction suggests finds that product.

use std::collections::BTreeSet;

use stepladder_env::family::Reachable;
use stepladder_env::{Env, EnvError, TaskSet};

use crate::goal::Goal;
use crate::nouns;
use crate::pages::Store;
use crate::product::Product;
use crate::tasks::WebShop;

/// Whether a goal can be reached, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It can.
    Reached,
    /// No product scores 1; its own would, were it not too dear.
    Price,
    /// No product scores 1; its own would, if its options could be chosen.
    Options,
    /// No product scores 1, for another reason.
    Product,
    /// A product scores 1, but no query finds it.
    Rank,
}

impl Reach {
    /// Name of a reason in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::Price => "price",
            Self::Options => "options",
            Self::Product => "product",
            Self::Rank => "rank",
        }
    }
}

/// Counts the goals of a split that can be reached.
///
/// # Errors
/// Those of the tasks.
pub fn count(set: &WebShop, split: &str) -> Result<Reachable, EnvError> {
    let mut found = Reachable::default();
    let mut env = set.env();
    for task in set.tasks(split)? {
        env.reset(&task, 0)?;
        if let (Some(store), Some(visit)) = (env.store(), env.visit()) {
            let reach = reach(store, visit.goal());
            found.count((reach != Reach::Reached).then_some(reach.name()));
        }
    }
    Ok(found)
}

/// Finds out whether a goal can be reached. Queries are the instruction, the attributes, the nouns of the instruction, and every pair of these
/// nouns; a query finds the products of all its pages.
pub fn reach(store: &dyn Store, goal: &Goal) -> Reach {
    let own = goal.product;
    let own_scores = scores(store, goal, own);
    let mut others: BTreeSet<u32> = BTreeSet::new();
    for query in queries(goal) {
        for product in store.search(&query) {
            if product != own && others.insert(product) && !own_scores && scores(store, goal, product) {
                return Reach::Reached;
            }
            if product == own && own_scores {
                return Reach::Reached;
            }
        }
    }
    if own_scores {
        let another = others.iter().any(|product| scores(store, goal, *product));
        return if another { Reach::Reached } else { Reach::Rank };
    }
    let all = 0..store.products().len() as u32;
    if all.into_iter().any(|product| !others.contains(&product) && scores(store, goal, product)) {
        return Reach::Rank;
    }
    if scores(store, &Goal { price_upper: f64::INFINITY, ..goal.clone() }, own) {
        Reach::Price
    } else if scores(store, &Goal { options: [].into(), ..goal.clone() }, own) {
        Reach::Options
    } else {
        Reach::Product
    }
}

/// Queries that an instruction suggests, the most promising first.
fn queries(goal: &Goal) -> impl Iterator<Item = String> {
    let mut words: Vec<String> = Vec::new();
    for word in nouns::stub(&goal.instruction) {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    let all = [goal.instruction.to_lowercase(), goal.attributes.join(" "), words.join(" ")];
    let pairs: Vec<String> = (0..words.len())
        .flat_map(|one| (one + 1..words.len()).map(move |other| (one, other)))
        .map(|(one, other)| format!("{} {}", words[one], words[other]))
        .collect();
    all.into_iter().chain(pairs)
}

/// Whether a product scores 1 with some options.
fn scores(store: &dyn Store, goal: &Goal, number: u32) -> bool {
    let Some(product) = store.products().get(number as usize) else { return false };
    let reward = |chosen: &[(Box<str>, Box<str>)]| store.reward(goal, number, chosen);
    if number == goal.product && offers(product, &goal.options) && reward(&goal.options) == 1.0 {
        return true;
    }
    // Everything but the options must fit already.
    let without = Goal { options: [].into(), ..goal.clone() };
    if store.reward(&without, number, &[]) != 1.0 {
        return false;
    }
    // For each option of the goal, the first value that counts, of its own choice if there is one of that name.
    let mut chosen: Vec<(Box<str>, Box<str>)> = Vec::new();
    for option in &goal.options {
        let single = Goal { options: [option.clone()].into(), ..goal.clone() };
        let mut choices: Vec<_> = product.options.iter().collect();
        choices.sort_by_key(|choice| choice.name != option.0);
        let free = choices.into_iter().filter(|choice| chosen.iter().all(|(name, _)| *name != choice.name));
        let pairs =
            free.flat_map(|choice| choice.values.iter().map(|value| (choice.name.clone(), value.clone())));
        let fits =
            pairs.into_iter().find(|pair| store.reward(&single, number, std::slice::from_ref(pair)) == 1.0);
        chosen.extend(fits);
    }
    reward(&chosen) == 1.0
}

/// Whether a product offers all these options.
fn offers(product: &Product, options: &[(Box<str>, Box<str>)]) -> bool {
    options.iter().all(|(name, value)| {
        product.options.iter().any(|choice| choice.name == *name && choice.values.contains(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::product::Choice;
    use crate::testing::product;

    /// A shop in which a search finds the products with a word of the query in their name, and the reward is 1 for everything that fits.
    struct Shelf {
        products: Vec<Product>,
        prices: Vec<f64>,
    }

    impl Store for Shelf {
        fn products(&self) -> &[Product] {
            &self.products
        }

        fn search(&self, query: &str) -> Vec<u32> {
            let named = |product: &Product| query.split(' ').any(|word| *product.title == *word);
            (0..)
                .zip(&self.products)
                .filter(|(_, product)| named(product))
                .map(|(number, _)| number)
                .collect()
        }

        fn reward(&self, goal: &Goal, product: u32, chosen: &[(Box<str>, Box<str>)]) -> f64 {
            let sold = &self.products[product as usize];
            let attributes = goal.attributes.iter().all(|wanted| sold.attributes.contains(wanted));
            let options = goal.options.iter().all(|wanted| chosen.contains(wanted));
            f64::from(u8::from(attributes && options && self.prices[product as usize] <= goal.price_upper))
        }
    }

    fn sold(title: &str, attributes: &[&str], sizes: &[&str]) -> Product {
        let choice =
            Choice { name: "size".into(), values: sizes.iter().map(|size| Box::from(*size)).collect() };
        Product {
            title: title.into(),
            attributes: attributes.iter().map(|attribute| Box::from(*attribute)).collect(),
            options: [choice].into(),
            ..product(title)
        }
    }

    #[test]
    fn every_reason_is_told() {
        let shelf = |own: &str, price: f64, other: &str| Shelf {
            products: vec![sold(own, &["soft"], &["s", "m"]), sold(other, &["soft", "red"], &["m", "l"])],
            prices: vec![price, 5.0],
        };
        let goal = |instruction: &str, attribute: &str, size: &str| Goal {
            product: 0,
            instruction: instruction.into(),
            attributes: [attribute.into()].into(),
            price_upper: 10.0,
            options: [("size".into(), size.into())].into(),
            weight: 1.0,
        };
        let near = shelf("lamp", 5.0, "desk");
        for (store, goal, expected) in [
            (&near, goal("a lamp", "soft", "s"), Reach::Reached),
            // Another product has it.
            (&near, goal("a desk", "red", "l"), Reach::Reached),
            (&near, goal("a desk", "soft", "m"), Reach::Reached),
            (&near, goal("a chair", "soft", "s"), Reach::Rank),
            (&near, goal("a chair", "red", "l"), Reach::Rank),
            (&near, goal("a lamp", "soft", "xl"), Reach::Options),
            (&near, goal("a lamp", "hard", "s"), Reach::Product),
            (&shelf("lamp", 50.0, "desk"), goal("a lamp", "soft", "s"), Reach::Price),
        ] {
            assert_eq!(reach(store, &goal), expected, "{goal:?}");
        }
    }

    #[test]
    fn queries_are_the_instruction_its_parts_and_pairs_of_its_nouns() {
        let goal = Goal {
            product: 0,
            instruction: "Find a lamp of wood".into(),
            attributes: ["soft".into(), "red".into()].into(),
            price_upper: 1.0,
            options: [].into(),
            weight: 1.0,
        };
        let expected =
            ["find a lamp of wood", "soft red", "find lamp wood", "find lamp", "find wood", "lamp wood"];
        assert_eq!(queries(&goal).collect::<Vec<_>>(), expected);
    }
}
