//! The executor: the next action, and whether it completes the subtask.

use crate::action::Action;
use crate::view::{Results, View};

use super::choice::{LOOK, RETURN, affords, candidates, spent};
use super::progress::{Progress, Verdict};
use super::{Scene, Subtask};

/// An action and whether it completes the subtask.
type Move = (String, bool);

const PREVIOUS: &str = "< Prev";
const NEXT: &str = "Next >";
const BACK: &str = "Back to Search";
const FEATURES: &str = "Features";
/// Action with which a subtask is given back, but on the first page.
pub(super) const BACK_TO_SEARCH: &str = "click[Back to Search]";
const BUY: &str = "Buy Now";

fn click(text: &str) -> String {
    format!("click[{text}]")
}

/// Returns the next action.
pub(super) fn act(scene: &Scene<'_>, subtask: &str, progress: &str) -> Move {
    match Subtask::parse(subtask) {
        Some(Subtask::Search { .. }) => (search(scene), true),
        Some(Subtask::Open) => open(scene, &Progress::parse(progress)),
        Some(Subtask::Choose { value, .. }) => match &scene.view {
            View::Item(item) if item.shows(value) && Action::click(value).is_some() => (click(value), true),
            View::Item(_) => give_back(scene),
            View::Sub(_) => (click(PREVIOUS), false),
            _ => give_back(scene),
        },
        Some(Subtask::Buy) => match &scene.view {
            View::Item(_) => (click(BUY), true),
            View::Sub(_) => (click(PREVIOUS), false),
            _ => give_back(scene),
        },
        None => give_back(scene),
    }
}

fn search(scene: &Scene<'_>) -> String {
    Action::search(&scene.wish.search()).unwrap_or_else(|| "search[product]".to_owned())
}

/// Ends a subtask that cannot be pursued, so that the planner decides again: on the first page, where nothing is chosen.
fn give_back(scene: &Scene<'_>) -> Move {
    match scene.view {
        View::Start => (search(scene), true),
        _ => (click(BACK), true),
    }
}

/// Opens products until one fits, or until the steps suffice only for the best one found.
fn open(scene: &Scene<'_>, progress: &Progress) -> Move {
    let known = progress.at.as_ref().map(|(_, verdict)| verdict);
    match (&scene.view, known) {
        (View::Start | View::Other, _) => (search(scene), false),
        (View::Results(results), _) => choose(scene, results, progress),
        (View::Item(item), known) => {
            let lacks_option = item.lacks(&scene.wish).is_some();
            // After the features of a product that does not do, its page is only passed through.
            let passed =
                known.and_then(Verdict::lacking).is_some_and(|number| !accepts(scene, progress, number));
            (click(if lacks_option || passed { PREVIOUS } else { FEATURES }), false)
        }
        (View::Sub(_), known) => {
            let accepted =
                known.and_then(Verdict::lacking).is_some_and(|number| accepts(scene, progress, number));
            (click(PREVIOUS), accepted)
        }
        (View::Done, _) => (click(BACK), true),
    }
}

/// Whether to buy the open product, which lacks a number of attributes: it lacks none, or it is the best found and there are no steps left
/// to look at another and to come back to this one.
fn accepts(scene: &Scene<'_>, progress: &Progress, lacking: usize) -> bool {
    let spent = spent(progress, 1) + LOOK;
    let better = progress.best().is_some_and(|(_, other)| other <= lacking);
    lacking == 0 || (!better && !affords(spent, 1 + LOOK + RETURN, &scene.wish))
}

/// Chooses a product of a page of results.
fn choose(scene: &Scene<'_>, results: &Results<'_>, progress: &Progress) -> Move {
    let wish = &scene.wish;
    let spent = spent(progress, results.page);
    let next = candidates(results, wish, progress).into_iter().next();
    let held = progress.best().map(|(asin, _)| asin);
    if results.page > 1 && progress.checked.is_empty() {
        return (click(PREVIOUS), false);
    }
    match (held, next) {
        (Some(_), Some(next)) if affords(spent, LOOK + RETURN, wish) => (click(next.asin), false),
        (Some(held), _) => match results.listed.iter().any(|listed| listed.asin == held) {
            true => (click(held), true),
            false if results.page > 1 => (click(PREVIOUS), false),
            false => (search(scene), false),
        },
        (None, Some(next)) if affords(spent, LOOK, wish) => (click(next.asin), false),
        // No steps are left for a look.
        (None, Some(next)) => (click(next.asin), true),
        (None, None) => {
            let more = results.total as usize > results.listed.len() * results.page as usize;
            match results.listed.first() {
                Some(_) if more && !progress.checked.is_empty() && affords(spent, 1 + LOOK, wish) => {
                    (click(NEXT), false)
                }
                Some(first) => (click(first.asin), true),
                None => (search(scene), true),
            }
        }
    }
}
