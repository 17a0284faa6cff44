//! The progress writer.

use crate::view::View;
use crate::view::words::{says, words};

use super::progress::{Progress, Verdict};
use super::{Scene, Subtask};

/// Progress text after an option was chosen.
pub(super) fn chose(name: &str, value: &str) -> String {
    format!("chose {name}: {value}")
}

/// Text of a click.
fn clicked(action: &str) -> Option<&str> {
    action.strip_prefix("click[")?.strip_suffix(']')
}

/// Returns the progress text after an action, given the page that it led to.
pub(super) fn record(scene: &Scene<'_>, subtask: &str, progress: &str, action: &str) -> String {
    match Subtask::parse(subtask) {
        Some(Subtask::Search { .. }) => match &scene.view {
            View::Results(results) => format!("{} results", results.total),
            _ => progress.to_owned(),
        },
        Some(Subtask::Open) => open(scene, Progress::parse(progress), action).to_string(),
        Some(Subtask::Choose { name, value }) => match (&scene.view, clicked(action)) {
            (View::Item(_), Some(click)) if click.eq_ignore_ascii_case(value) => chose(name, value),
            (View::Item(item), Some(click)) if item.shows(click) => format!("chose {click}"),
            _ => progress.to_owned(),
        },
        Some(Subtask::Buy) | None => progress.to_owned(),
    }
}

fn open(scene: &Scene<'_>, mut progress: Progress, action: &str) -> Progress {
    let click = clicked(action).unwrap_or_default();
    match &scene.view {
        View::Item(item) => {
            let button = matches!(
                click.to_ascii_lowercase().as_str(),
                "< prev" | "features" | "description" | "reviews"
            );
            if click.is_empty() || button || item.shows(click) {
                return progress;
            }
            progress.leave();
            let verdict = progress.verdict(click).cloned().unwrap_or_else(|| match item.lacks(&scene.wish) {
                Some(name) => Verdict::NoOption(name.to_owned()),
                None => to_check(item.title, &scene.wish.attributes),
            });
            progress.at = Some((click.to_owned(), verdict));
        }
        View::Sub(strings) if click.eq_ignore_ascii_case("features") => {
            if let Some((_, verdict)) = &mut progress.at
                && let Verdict::ToCheck(names) = verdict
            {
                let features: Vec<String> = strings.iter().flat_map(|string| words(string)).collect();
                let lacking: Vec<&str> = names.split(", ").filter(|name| !says(&features, name)).collect();
                *verdict = Verdict::Lacks(lacking.len(), lacking.join(", "));
            }
        }
        View::Sub(_) | View::Done | View::Other => {}
        View::Start | View::Results(_) => progress.leave(),
    }
    progress
}

fn to_check(title: &str, attributes: &[String]) -> Verdict {
    let title = words(title);
    let open: Vec<&str> =
        attributes.iter().map(String::as_str).filter(|attribute| !says(&title, attribute)).collect();
    if open.is_empty() { Verdict::Lacks(0, String::new()) } else { Verdict::ToCheck(open.join(", ")) }
}
