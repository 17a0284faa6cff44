//! Compares similarities and rewards with those that the originals computed.
//!
//! ```text
//! webshop_parity ratios PAIRS.jsonl          # of parity/webshop_fuzzy.py
//! webshop_parity rewards ROWS.jsonl DATA     # of parity/webshop_rewards.py; DATA holds the official files and the table of nouns
//! ```
#![allow(clippy::print_stdout, reason = "the report of an example")]

use std::error::Error;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use stepladder_env::transcript::read_rows;
use stepladder_webshop::fuzzy::Tokens;
use stepladder_webshop::reward::Kind;
use stepladder_webshop::{Catalogue, Files, Goal, Reward, Tagger};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (rows, different) = match arguments[..] {
        ["ratios", pairs] => ratios(Path::new(pairs))?,
        ["rewards", rows, data] => rewards(Path::new(rows), Path::new(data))?,
        _ => return Err("usage: webshop_parity ratios PAIRS.jsonl | rewards ROWS.jsonl DATA".into()),
    };
    println!("{rows} rows, {different} different");
    Ok(())
}

fn ratios(path: &Path) -> Result<(usize, usize), Box<dyn Error>> {
    let rows = read_rows(path)?;
    let mut different = 0;
    for row in &rows {
        let (one, other, score): (String, String, u32) = serde_json::from_value(row.clone())?;
        let found = Tokens::new(&one).set_ratio(&Tokens::new(&other));
        if found != score {
            different += 1;
            println!("{found} is not {score}: {one:?} and {other:?}");
        }
    }
    Ok((rows.len(), different))
}

#[derive(Deserialize)]
struct Row {
    /// Identifier of the product of the goal.
    goal: String,
    bought: String,
    price: f64,
    attributes: Vec<Box<str>>,
    /// An object, or an array of texts.
    goal_options: Value,
    price_upper: f64,
    chosen: Vec<String>,
    reward: f64,
    info: Value,
}

fn rewards(path: &Path, data: &Path) -> Result<(usize, usize), Box<dyn Error>> {
    let files = Files {
        products: data.join("items_shuffle_1000.json"),
        attributes: data.join("items_ins_v2_1000.json"),
        human: None,
        nouns: Tagger::Table(data.join("nouns_en_core_web_sm_3.8.0.json")),
    };
    let catalogue = Catalogue::load(&files, None)?;
    let rows = read_rows(path)?;
    let mut different = 0;
    for row in &rows {
        let row: Row = serde_json::from_value(row.clone())?;
        let find = |asin: &str| catalogue.find(asin).ok_or_else(|| format!("there is no product {asin}"));
        let (wanted, bought) = (find(&row.goal)?, find(&row.bought)?);
        let text = |value: &Value| -> Box<str> { value.as_str().unwrap_or_default().into() };
        let options = match &row.goal_options {
            Value::Object(options) => {
                options.iter().map(|(name, value)| (name.as_str().into(), text(value))).collect()
            }
            Value::Array(options) => options.iter().map(|value| ("".into(), text(value))).collect(),
            _ => return Err("goal_options must be an object or an array".into()),
        };
        let goal = Goal {
            product: wanted,
            instruction: "".into(),
            attributes: row.attributes.into(),
            price_upper: row.price_upper,
            options,
            weight: 1.0,
        };
        let of = |number: u32| (&catalogue.products[number as usize], catalogue.nouns.get(number));
        let ((product, nouns), (wanted, wanted_nouns)) = (of(bought), of(wanted));
        let kind = Kind::new(product, nouns, wanted, wanted_nouns);
        let reward = Reward::new(kind, &goal, product, row.price, row.chosen.iter().map(String::as_str));
        let mut info = serde_json::json!({
            "r_type": kind.r_type, "query_match": kind.query_match, "category_match": kind.category_match,
            "title_score": kind.title_score, "r_att": reward.r_att, "w_att": reward.w_att, "r_price": reward.r_price,
            "w_price": reward.w_price,
        });
        if let (Some(r_option), Some(w_option)) = (reward.r_option, reward.w_option) {
            info["r_option"] = r_option.into();
            info["w_option"] = w_option.into();
        }
        if (reward.total, &info) != (row.reward, &row.info) {
            different += 1;
            println!("{} for {}: {info} is not {}", row.bought, row.goal, row.info);
        }
    }
    Ok((rows.len(), different))
}
