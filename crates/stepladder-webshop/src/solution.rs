//! Solutions: how to find and buy the product that a goal was made from.

use crate::action::Action;
use crate::pages::{Page, Store, Visit};

/// Actions from the first page to a purchase with reward 1: a search, the way to the page of results with the product, the product, its
/// options, the purchase. `None` if neither the words by which the product was collected, nor the instruction, nor its name finds it, or
/// if the purchase has a lower reward.
pub fn solve(store: &dyn Store, visit: &Visit) -> Option<Vec<String>> {
    let product = &store.products()[visit.goal().product as usize];
    let queries = [&product.query, &visit.goal().instruction, &product.title];
    let mut ways: Vec<Vec<String>> =
        queries.into_iter().filter_map(|query| buy(store, visit.again(), &Action::search(query)?)).collect();
    ways.sort_by_key(Vec::len);
    ways.into_iter().next()
}

/// Buys the goal's product after a search.
fn buy(store: &dyn Store, mut visit: Visit, search: &str) -> Option<Vec<String>> {
    let product = visit.goal().product;
    let mut actions = Vec::new();
    let mut play = |visit: &mut Visit, action: String| {
        let understood = visit.act(store, &Action::parse(&action)?);
        actions.push(action);
        understood.then_some(())
    };
    play(&mut visit, search.to_owned())?;
    while !visit.shown(store).contains(&product) {
        // Beyond the last page there is another, empty one.
        if visit.shown(store).is_empty() {
            return None;
        }
        play(&mut visit, "click[Next >]".to_owned())?;
    }
    play(&mut visit, format!("click[{}]", store.products()[product as usize].asin))?;
    for (_, value) in visit.goal().options.clone() {
        play(&mut visit, Action::click(&value)?)?;
    }
    play(&mut visit, "click[Buy Now]".to_owned())?;
    (visit.page() == Page::Done(1.0)).then_some(actions)
}
