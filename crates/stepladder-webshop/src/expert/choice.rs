//! Which product to open next, and whether there are steps left for it.

use crate::view::words::{opposed, says, telling, words};
use crate::view::{Listed, Results, Wish};

use super::STEPS;
use super::progress::{Progress, Verdict};

/// A product far below the limit is rarely the wanted one: limits are round numbers not far above the price.
const NEAR: f64 = 40.0;

/// Products of a page whose lowest price is within the limit and that were not looked at, the most promising first.
pub(super) fn candidates<'a>(results: &Results<'a>, wish: &Wish, progress: &Progress) -> Vec<Listed<'a>> {
    let product = telling(&wish.product);
    let limit = wish.limit.unwrap_or(f64::INFINITY);
    let within = |listed: &&Listed<'_>| listed.price.0 <= limit && progress.verdict(listed.asin).is_none();
    let open = results.listed.iter().enumerate().filter(|(_, listed)| within(listed));
    let mut rated: Vec<(i64, &Listed<'_>)> =
        open.map(|(rank, listed)| (rate(listed, wish, &product, rank as i64), listed)).collect();
    // A stable sort: products of the same rate stay in the order of the results.
    rated.sort_by_key(|(rate, _)| -rate);
    rated.into_iter().map(|(_, listed)| *listed).collect()
}

/// Rates a product by its place, its name and its price, with weights that were tuned on 600 official training goals. Success changes by
/// at most two percent when one of them is doubled or halved.
fn rate(listed: &Listed<'_>, wish: &Wish, product: &[String], rank: i64) -> i64 {
    const PLACE: i64 = 100;
    const WORDS: i64 = 1000;
    const OPPOSED: i64 = 2000;
    const PRICE: i64 = 500;
    let title = words(listed.title);
    let share = |number: usize, of: usize| WORDS * number as i64 / of.max(1) as i64;
    let named = product.iter().filter(|word| title.contains(word)).count();
    let told = wish.attributes.iter().filter(|attribute| says(&title, attribute)).count();
    let mut rate = share(named, product.len()) + share(told, wish.attributes.len()) - PLACE * rank;
    if opposed(product, &title) {
        rate -= OPPOSED;
    }
    if let Some(limit) = wish.limit {
        if limit - listed.price.1 > NEAR {
            rate -= PRICE;
        }
        if listed.price.1 > limit {
            rate -= PRICE;
        }
    }
    rate
}

/// Steps spent so far on a page of results, as far as the progress text tells: search, next pages, two for a product that lacks an option,
/// four for one whose features were read.
pub(super) fn spent(progress: &Progress, page: u32) -> usize {
    let looks: usize = progress.checked.iter().map(|(_, verdict)| cost(verdict)).sum();
    1 + looks + page.saturating_sub(1) as usize
}

fn cost(verdict: &Verdict) -> usize {
    match verdict {
        Verdict::Lacks(..) => 4,
        Verdict::NoOption(_) | Verdict::ToCheck(_) => 2,
    }
}

/// Steps to choose all options of the open product and to buy it.
pub(super) fn closing(wish: &Wish) -> usize {
    wish.options.len() + 1
}

/// Whether `more` steps and the purchase fit into an episode.
pub(super) fn affords(spent: usize, more: usize, wish: &Wish) -> bool {
    spent + more + closing(wish) <= STEPS
}

/// Steps to open a product, read its features and come back to its page.
pub(super) const LOOK: usize = 3;

/// Steps to go back to the results and open the best product found.
pub(super) const RETURN: usize = 2;
