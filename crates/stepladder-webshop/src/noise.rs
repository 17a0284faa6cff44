//! Harmless wrong clicks for noisy expert rollouts (DART): the expert's label is kept, another action is played, and the following labels show
//! how to recover.

use rand::RngExt;
use rand::seq::IndexedRandom;
use stepladder_core::Observation;
use stepladder_core::label::Perturb;
use stepladder_core::seed::Rng;

use crate::action::Action;
use crate::expert::shown;
use crate::view::{View, Wish, instruction};

/// Source of wrong clicks: another product, a page about the product, another value of an option, back to the results, to the next page or to
/// the search. None of them buys anything.
#[derive(Debug, Clone, Copy, Default)]
pub struct WebshopNoise;

impl Perturb for WebshopNoise {
    fn perturb(&self, action: &str, seen: &Observation, rng: &mut Rng) -> Option<String> {
        let page = shown(seen);
        let text = match View::parse(page) {
            View::Results(results) => match rng.random_range(0..8) {
                0 => "Next >",
                1 => "Back to Search",
                _ => results.listed.choose(rng)?.asin,
            },
            View::Item(item) => match rng.random_range(0..8) {
                0 => "Description",
                1 => "Reviews",
                2 => "Features",
                3 => "< Prev",
                4 => "Back to Search",
                _ => {
                    let Some(Action::Click(chosen)) = Action::parse(action) else { return None };
                    let wish = Wish::parse(instruction(page)?);
                    let values = item.beside(&chosen, &wish);
                    values.choose(rng).copied()?
                }
            },
            View::Sub(_) => match rng.random_range(0..4) {
                0 => "Back to Search",
                _ => "Next >", // Does nothing there.
            },
            View::Start | View::Done | View::Other => return None,
        };
        let proposal = format!("click[{text}]");
        let read = Action::parse(&proposal)?;
        (Some(read) != Action::parse(action)).then_some(proposal)
    }
}

#[cfg(test)]
mod tests {
    use stepladder_core::seed::stream;

    use super::*;
    use crate::expert::tests::{item, results, start};

    const TASK: &str = "Find me boxes with color: red, and size: 2 in, and price lower than 9.00 dollars";

    fn proposals(action: &str, page: &str) -> Vec<String> {
        let seen = Observation { feedback: page.to_owned(), context: String::new() };
        let propose = |index| WebshopNoise.perturb(action, &seen, &mut stream(1, "noise", &[index]));
        let all: Vec<String> = (0..200).filter_map(propose).collect();
        assert_eq!(all, (0..200).filter_map(propose).collect::<Vec<_>>());
        all
    }

    #[test]
    fn proposals_are_other_clicks_that_buy_nothing() {
        let list = results(TASK, &[("B01", "A box", "$5.0"), ("B02", "A bag", "$5.0")]);
        let page = item(TASK, "color [SEP] red [SEP] blue [SEP] size [SEP] 2 in", "A box", "$5.0");
        for (action, page, wanted) in [
            ("click[B01]", &list, vec!["click[B02]", "click[Next >]"]),
            ("click[red]", &page, vec!["click[blue]", "click[Features]", "click[< Prev]"]),
            ("click[Buy Now]", &page, vec!["click[Reviews]"]),
        ] {
            let all = proposals(action, page);
            assert!(
                all.len() > 50 && all.iter().all(|text| text != action && text != "click[Buy Now]"),
                "{all:?}"
            );
            for text in wanted {
                assert!(all.iter().any(|one| one == text), "{text}");
            }
        }
        assert_eq!(proposals("click[red]", &page).iter().filter(|text| *text == "click[2 in]").count(), 0);
        assert!(proposals("search[x]", &start(TASK)).is_empty());
        assert!(proposals("click[x]", "").is_empty());
    }
}
