//! The handwritten kitchen of the tests, with any goal.

use std::sync::Arc;

use serde_json::Value;

use crate::error::GameError;
use crate::game::Game;

const KITCHEN: &str = include_str!("../tests/kitchen/kitchen.tw-pddl");

/// Loads the kitchen with another goal.
pub(crate) fn kitchen(goal: &str) -> Result<Arc<Game>, GameError> {
    let mut file: Value = serde_json::from_str(KITCHEN)?;
    let problem = file["pddl_problem"].as_str().unwrap_or_default();
    let world = problem.split("(:goal").next().unwrap_or_default();
    file["pddl_problem"] = format!("{world}(:goal {goal}))").into();
    // The family depends on the goal.
    file["family"] = "".into();
    Game::from_json(&file.to_string()).map(Arc::new)
}
