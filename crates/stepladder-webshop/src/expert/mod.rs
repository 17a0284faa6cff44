//! Rule-based expert: functions of the query (docs/design.md D11).
//!
//! It reads what an agent reads: page, instruction, earlier subtasks, progress text. Subtasks:
//!
//! | subtask | actions |
//! |---|---|
//! | `search for PRODUCT` | one search by the words of the instruction |
//! | `open a fitting product` | opens products of the results, the most promising first; goes back from one that lacks a wanted option; reads the features of one that has them all; ends on the page of a product |
//! | `choose NAME: VALUE` | one click |
//! | `buy the product` | one click |
//!
//! No subtask names a product, so a blueprint (HiMAC) is a function of the instruction. The progress text of the second subtask is the
//! memory of the comparison: what the open product lacks, and which products were looked at. It also tells how many of the 15 steps are
//! spent: the expert opens another product only while there are enough left to buy the best one found.

mod choice;
mod executor;
mod flat;
mod planner;
mod progress;
mod recorder;
mod subtask;

use stepladder_core::label::{Expert, would_end};
use stepladder_core::query::{NO_PROGRESS, Observation, Query, Role};
use stepladder_core::reply::executor_reply;

use crate::view::{View, Wish, instruction};

pub use progress::{Progress, Verdict};
pub use subtask::Subtask;

/// Steps that the expert plans for: the limit of an episode (docs/spec/algorithms.md 4).
pub const STEPS: usize = 15;

/// Expert of WebShop and of generated shops.
#[derive(Debug, Clone, Copy, Default)]
pub struct WebshopExpert;

/// Text of the page that an observation shows.
pub(crate) fn shown(observation: &Observation) -> &str {
    if observation.feedback.is_empty() { &observation.context } else { &observation.feedback }
}

/// A page and what is asked for.
struct Scene<'a> {
    view: View<'a>,
    wish: Wish,
}

impl<'a> Scene<'a> {
    /// Reads a page. The instruction is on the page, else it is the task.
    fn new(page: &'a str, task: &'a str) -> Self {
        Self { view: View::parse(page), wish: Wish::parse(instruction(page).unwrap_or(task)) }
    }
}

impl Expert for WebshopExpert {
    fn reply(&self, query: &Query) -> Option<String> {
        Some(match query {
            Query::Planner { task, earlier, progress, observation } => {
                planner::plan(&Scene::new(shown(observation), task), earlier, progress)
            }
            Query::Executor { subtask, observation, progress } => {
                let (action, finished) =
                    executor::act(&Scene::new(shown(observation), ""), subtask, progress);
                executor_reply(&action, finished)
            }
            Query::Progress { subtask, progress, action, observation } => {
                recorder::record(&Scene::new(shown(observation), ""), subtask, progress, action)
            }
            Query::Flat { task, context, history } => flat::act(task, context, history),
            // Blueprints are derived from its episodes (`stepladder_agent::replay`).
            Query::Macro { .. } | Query::Micro { .. } => return None,
        })
    }

    fn answers(&self, role: Role) -> bool {
        !matches!(role, Role::Macro | Role::Micro)
    }

    fn completes(&self, subgoal: &str, seen: &Observation, action: &str, _answer: &str) -> bool {
        let searches = matches!(Subtask::parse(subgoal), Some(Subtask::Search { .. }));
        // It gives back with the button of this name, or with a search where there is none.
        let pursued = Subtask::parse(subgoal).is_some() && action != executor::BACK_TO_SEARCH;
        let given_back = action.starts_with("search[") && !searches;
        pursued && !given_back && would_end(self, (subgoal, NO_PROGRESS), seen, action)
    }
}

#[cfg(test)]
pub(crate) mod tests;
