//! The planner: the next subtask.

use crate::action::Action;
use crate::view::View;

use super::{Scene, Subtask};

/// Returns the next subtask.
pub(super) fn plan(scene: &Scene<'_>, earlier: &[String], progress: &str) -> String {
    match &scene.view {
        View::Start => Subtask::Search { product: &scene.wish.product }.to_string(),
        View::Item(_) | View::Sub(_) => bought(scene, earlier, progress).to_string(),
        View::Results(_) | View::Other => Subtask::Open.to_string(),
        View::Done => Subtask::Buy.to_string(),
    }
}

/// Returns the subtask on the page of a product or below: the first option that is not chosen yet, in the order of the instruction.
///
/// No page shows what is chosen. An option counts as chosen if a subtask said so since the product was opened; for the last of these
/// subtasks, only if its progress text confirms it.
fn bought<'a>(scene: &'a Scene<'a>, earlier: &'a [String], progress: &str) -> Subtask<'a> {
    let subtasks: Vec<Subtask<'_>> = earlier.iter().filter_map(|text| Subtask::parse(text)).collect();
    let Some(opened) = subtasks.iter().rposition(|subtask| *subtask == Subtask::Open) else {
        return Subtask::Open;
    };
    let since = &subtasks[opened + 1..];
    let chosen = |name: &str, value: &str| {
        let last = since
            .iter()
            .rposition(|subtask| matches!(subtask, Subtask::Choose { name: other, .. } if *other == name));
        let Some(last) = last else { return false };
        if last + 1 < since.len() {
            return true;
        }
        progress == super::recorder::chose(name, value)
    };
    for (name, wanted) in &scene.wish.options {
        let value = match &scene.view {
            View::Item(item) => item.value(name, wanted, &scene.wish),
            _ => Some(wanted.as_str()),
        };
        let Some(value) = value.filter(|value| Action::click(value).is_some()) else { continue };
        if !chosen(name, value) {
            return Subtask::Choose { name, value };
        }
    }
    Subtask::Buy
}
