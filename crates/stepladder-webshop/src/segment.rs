//! Rule-based segmentation of recorded visits (docs/spec/algorithms.md 3.0, step 2) into the subtasks of the expert.

use stepladder_core::label::{Demonstration, Segment, Segmenter};

use crate::action::Action;
use crate::expert::Subtask;
use crate::view::{View, Wish};

/// Segmenter of WebShop: a search ends a subtask; so do the click that opens or keeps the product whose options are chosen next, the choice
/// of a wanted option, and the purchase.
#[derive(Debug, Clone, Copy, Default)]
pub struct WebshopSegmenter;

/// What an action is for.
enum Deed<'a> {
    Search,
    Choose {
        name: &'a str,
        value: &'a str,
    },
    Buy,
    /// Looking at pages; the page of a product is open afterwards.
    Look {
        item: bool,
    },
}

impl Segmenter for WebshopSegmenter {
    fn segment(&self, demonstration: &Demonstration) -> Result<Vec<Segment>, String> {
        let wish = Wish::parse(&demonstration.task);
        let mut segments: Vec<Segment> = Vec::new();
        let mut push = |subtask: Subtask<'_>, len: usize| {
            if len > 0 {
                segments.push(Segment { subtask: subtask.to_string(), len });
            }
        };
        // Actions that no segment holds yet, and whether they or an earlier segment opened a product.
        let (mut waiting, mut opened) = (0, false);
        for (action, answer) in &demonstration.steps {
            waiting += 1;
            let done = |waiting: usize| if opened { (0, waiting) } else { (waiting - 1, 1) };
            match deed(action, answer, &wish) {
                None => {
                    return Err(format!(
                        "the action `{action}` is neither `search[…]` nor `click[…]`, so it belongs to no subtask"
                    ));
                }
                Some(Deed::Search) => {
                    push(Subtask::Open, waiting - 1);
                    push(Subtask::Search { product: &wish.product }, 1);
                    (waiting, opened) = (0, false);
                }
                Some(Deed::Choose { name, value }) => {
                    let (before, own) = done(waiting);
                    push(Subtask::Open, before);
                    push(Subtask::Choose { name, value }, own);
                    (waiting, opened) = (0, true);
                }
                Some(Deed::Buy) => {
                    let (before, own) = done(waiting);
                    push(Subtask::Open, before);
                    push(Subtask::Buy, own);
                    (waiting, opened) = (0, false);
                }
                Some(Deed::Look { item }) => opened &= item,
            }
        }
        push(Subtask::Open, waiting);
        Ok(segments)
    }
}

fn deed<'a>(action: &str, answer: &str, wish: &'a Wish) -> Option<Deed<'a>> {
    let click = match Action::parse(action)? {
        Action::Search(_) => return Some(Deed::Search),
        Action::Click(text) => text,
    };
    Some(match View::parse(answer) {
        View::Done => Deed::Buy,
        View::Item(item) => {
            let wanted = wish.options.iter().find(|(name, value)| {
                let offered = item.value(name, value, wish);
                offered.is_some_and(|offered| offered.eq_ignore_ascii_case(&click))
            });
            match wanted {
                Some((name, value)) => Deed::Choose { name, value },
                None => Deed::Look { item: true },
            }
        }
        View::Sub(_) => Deed::Look { item: true },
        View::Start | View::Results(_) | View::Other => Deed::Look { item: false },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expert::tests::{item, results, start, sub};

    const TASK: &str =
        "Find me easy clean boxes with color: red, and size: 2 in, and price lower than 9.00 dollars";

    fn cut(steps: &[(&str, String)]) -> Result<Vec<(String, usize)>, String> {
        let steps = steps.iter().map(|(action, answer)| ((*action).to_owned(), answer.clone())).collect();
        let demonstration = Demonstration { task: TASK.into(), context: String::new(), steps };
        let segments = WebshopSegmenter.segment(&demonstration)?;
        Ok(segments.into_iter().map(|segment| (segment.subtask, segment.len)).collect())
    }

    #[test]
    fn deeds_end_subtasks() {
        let page = || item(TASK, "color [SEP] red [SEP] size [SEP] 2 in", "A box", "$5.0");
        let list = || results(TASK, &[("B01", "A box", "$5.0")]);
        let steps = [
            ("search[boxes]", list()),
            ("click[B02]", item(TASK, "size [SEP] 2 in", "A bag", "$5.0")),
            ("click[< Prev]", list()),
            ("click[B01]", page()),
            ("click[Features]", sub(TASK, "Easy to clean.")),
            ("click[< Prev]", page()),
            ("click[red]", page()),
            ("click[Reviews]", sub(TASK, "")),
            ("click[< Prev]", page()),
            ("click[2 in]", page()),
            ("click[Buy Now]", "Thank you for shopping with us!".to_owned()),
        ];
        let expected = [
            ("search for boxes", 1),
            ("open a fitting product", 5),
            ("choose color: red", 1),
            ("choose size: 2 in", 3),
            ("buy the product", 1),
        ];
        let expected: Vec<(String, usize)> =
            expected.iter().map(|(text, len)| ((*text).to_owned(), *len)).collect();
        assert_eq!(cut(&steps).unwrap(), expected);
        // A visit that stops early keeps its last actions.
        assert_eq!(
            cut(&steps[..4]).unwrap(),
            [expected[0].clone(), ("open a fitting product".to_owned(), 3)]
        );
        assert_eq!(cut(&[]).unwrap(), []);
    }

    #[test]
    fn an_action_of_another_form_is_refused() {
        let error = cut(&[("look", start(TASK))]).unwrap_err();
        assert!(error.contains("`look`"), "{error}");
    }
}
