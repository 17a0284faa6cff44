//! Replay of recorded episodes of the original.

use std::path::Path;

use serde_json::{Map, Value, json};
use stepladder_core::TaskKey;
use stepladder_env::transcript::{Replay, Report, Row, Schema};
use stepladder_env::{Env, EnvError};

use crate::env::WebShopEnv;
use crate::goal::Goal;
use crate::pages::{Form, Page, Store};
use crate::reward::Reward;
use crate::shop::Shop;
use crate::splits::{OFFICIAL, Order, Split};
use crate::tasks::{SPEC, WebShop};

/// Fields of a row.
const SCHEMA: Schema = Schema {
    first_steps: &[0],
    episode: &["episode", "mode"],
    played: &["command"],
    required: &["observation", "reward", "done"],
    optional: &["observation_rich", "admissible", "goal", "reward_info"],
};

/// Replays a transcript and compares every row.
///
/// Episode 17 is that of goal 17 of the published list: of synthetic goals, in the order of the paper. Step 0 starts it; later steps play their
/// `command`. `observation` (of the mode `text`), `reward` and `done` are required in every row; `observation_rich`,
/// `admissible`, `goal` and `reward_info` are compared where present.
///
/// # Errors
/// [`EnvError::Data`] with file and row if the transcript cannot be read or replayed, and the errors of the shop.
pub fn verify(path: &Path, set: &WebShop) -> Result<Report, EnvError> {
    let mut replay = Replay::new(SPEC.id, path);
    let rows = replay.rows()?;
    let mut env = set.env();
    let floor = set.floor(Order::Paper)?;
    for value in &rows {
        let row = replay.row(&SCHEMA, value)?;
        let found = play(&mut env, &floor.shop, &row)?;
        replay.compare(&row, &format!("episode {}", value["episode"]), found);
    }
    Ok(replay.finish())
}

/// Plays one row. Returns the value of every field that a row may have.
fn play(env: &mut WebShopEnv, shop: &Shop, row: &Row<'_>) -> Result<Vec<(&'static str, Value)>, EnvError> {
    let (text, reward, done) = if row.begins {
        row.plays_nothing("command")?;
        let number = row.whole("episode")?;
        let split = in_order_of_the_paper(number);
        let task = TaskKey::new(SPEC.id, split, format!("goal-{number}"));
        let start = env.reset(&task, 0).map_err(|error| match error {
            EnvError::UnknownTask { .. } => row.broken(error),
            other => other,
        })?;
        (start.text, 0.0, false)
    } else {
        let step = env.step(row.text("command")?).map_err(|error| row.broken(error))?;
        (step.observation, step.reward, step.end.is_some())
    };
    let (Some(store), Some(visit)) = (env.store(), env.visit()) else {
        return Err(row.broken("no episode has begun"));
    };
    let admissible =
        json!({ "has_search_bar": visit.has_search_bar(), "clickables": visit.clickables(store) });
    let info = match (visit.page(), visit.item()) {
        (Page::Done(_), Some(product)) => info(&shop.reward(visit.goal(), product, visit.chosen())),
        _ => Value::Null,
    };
    Ok(vec![
        ("observation", json!(text)),
        ("observation_rich", json!(visit.text(store, Form::Rich))),
        ("reward", json!(reward)),
        ("done", json!(done)),
        ("admissible", admissible),
        ("reward_info", info),
        ("goal", goal(store, visit.goal())),
    ])
}

/// Name of the split of the paper that holds a goal; the last one has no end.
fn in_order_of_the_paper(number: u64) -> &'static str {
    let mut paper = OFFICIAL.iter().filter(|split| split.order == Order::Paper);
    let number = usize::try_from(number).unwrap_or(usize::MAX);
    let holds = |split: &&Split| split.numbers(usize::MAX).contains(&number);
    paper.find(holds).map_or("paper-train", |split| split.name)
}

/// Writes the parts of a reward as the original's `info` holds them.
fn info(reward: &Reward) -> Value {
    let mut info = json!({
        "r_type": reward.kind.r_type,
        "query_match": reward.kind.query_match,
        "category_match": reward.kind.category_match,
        "title_score": reward.kind.title_score,
        "r_att": reward.r_att,
        "w_att": reward.w_att,
        "r_price": reward.r_price,
        "w_price": reward.w_price,
    });
    if let (Some(fit), Some(weight)) = (reward.r_option, reward.w_option) {
        info["r_option"] = json!(fit);
        info["w_option"] = json!(weight);
    }
    info
}

/// Writes a goal as the original holds it.
fn goal(store: &dyn Store, goal: &Goal) -> Value {
    let product = &store.products()[goal.product as usize];
    let options: Map<String, Value> =
        goal.options.iter().map(|(name, value)| (name.to_string(), json!(value))).collect();
    json!({
        "asin": product.asin,
        "category": product.category,
        "query": product.query,
        "name": product.title,
        "product_category": product.product_category,
        "instruction_text": goal.instruction,
        "attributes": goal.attributes,
        "price_upper": goal.price_upper,
        "goal_options": options,
        "weight": goal.weight,
    })
}
