//! Solutions: how to find and buy the product that a goal was made from.

use crate::action::Action;
use crate::pages::{Page, Store, Visit};

/// Actions from the first page to a purchase with reward 1: a search, the way to the page of results with the product, the product, its
/// options, the purchase.
///
/// It searches for the words by which the goal's product was collected, for the instruction, and for the product's name, and takes the
/// shortest way to that product. If there is none, it takes the first product on a first page of results that is worth as much with the
/// same options. `None` if there is no such product either.
pub fn solve(store: &dyn Store, visit: &Visit) -> Option<Vec<String>> {
    let goal = visit.goal();
    let product = &store.products()[goal.product as usize];
    let queries = [&product.query, &goal.instruction, &product.title];
    let searches: Vec<String> = queries.into_iter().filter_map(|query| Action::search(query)).collect();
    let ways = searches.iter().filter_map(|search| buy(store, visit.again(), search, goal.product));
    ways.min_by_key(Vec::len).or_else(|| {
        searches.iter().find_map(|search| {
            let mut first = visit.again();
            first.act(store, &Action::parse(search)?);
            first.shown(store).iter().find_map(|&other| buy(store, visit.again(), search, other))
        })
    })
}

/// Buys a product after a search, with the options of the goal.
fn buy(store: &dyn Store, mut visit: Visit, search: &str, product: u32) -> Option<Vec<String>> {
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
