//! Rewards of the original: worked rows of the type reward, and recorded purchases.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use stepladder_testing::data_root;
use stepladder_webshop::reward::Kind;
use stepladder_webshop::{Catalogue, Files, Goal, Seeds, Shop, Tagger};

const NOUNS: &str = "webshop/nouns_en_core_web_sm_3.8.0.json";

fn shop(root: &Path, nouns: Tagger) -> Shop {
    let file = |name: &str| root.join("webshop").join(name);
    let files = Files {
        products: file("items_shuffle_1000.json"),
        attributes: file("items_ins_v2_1000.json"),
        human: None,
        nouns,
    };
    Shop::new(Arc::new(Catalogue::load(&files, None).unwrap()), Seeds::ORIGINAL).unwrap()
}

#[derive(Deserialize)]
struct Worked {
    bought: String,
    goal: String,
    query_match: bool,
    category_match: bool,
    shared_nouns: usize,
    title_score: f64,
    r_type: f64,
}

#[derive(Deserialize)]
struct Rows {
    rows: Vec<Worked>,
}

#[test]
fn every_worked_row_of_the_type_reward() {
    let Some(root) = data_root("webshop/type_reward_golden.json") else { return };
    let shop = shop(&root, Tagger::Table(root.join(NOUNS)));
    let text = std::fs::read_to_string(root.join("webshop/type_reward_golden.json")).unwrap();
    let rows = serde_json::from_str::<Rows>(&text).unwrap().rows;
    assert_eq!(rows.len(), 250);
    for row in rows {
        let (bought, wanted) = (shop.find(&row.bought).unwrap(), shop.find(&row.goal).unwrap());
        let of = |number| (shop.product(number).unwrap(), shop.catalogue.nouns.get(number));
        let ((bought, bought_nouns), (wanted, wanted_nouns)) = (of(bought), of(wanted));
        let expected = Kind {
            r_type: row.r_type,
            query_match: row.query_match,
            category_match: row.category_match,
            shared_nouns: row.shared_nouns,
            title_score: row.title_score,
        };
        assert_eq!(
            Kind::new(bought, bought_nouns, wanted, wanted_nouns),
            expected,
            "{} for {}",
            row.bought,
            row.goal
        );
    }
}

/// A step of a recorded episode.
#[derive(Deserialize)]
struct Step {
    observation: String,
    reward: f64,
    done: bool,
    goal: Option<Recorded>,
    reward_info: Option<Value>,
}

#[derive(Deserialize)]
struct Recorded {
    instruction_text: String,
}

/// Options by name.
type Options = Vec<(Box<str>, Box<str>)>;

/// What the last page says was bought: identifier and options.
fn bought(observation: &str) -> (&str, Options) {
    let texts: Vec<&str> = observation.split(" [SEP] ").collect();
    let after = |label: &str| texts[texts.iter().position(|&text| text == label).unwrap() + 1];
    let options: serde_json::Map<String, Value> = serde_json::from_str(after("options")).unwrap();
    (
        after("asin"),
        options.iter().map(|(name, value)| (name.as_str().into(), value.as_str().unwrap().into())).collect(),
    )
}

#[test]
fn every_recorded_purchase() {
    let transcript = "transcripts/webshop_1k_synthetic.jsonl.zst";
    let Some(root) = data_root(transcript) else { return };
    let shop = shop(&root, Tagger::Stub);
    let goals: Vec<Goal> = (0..shop.goals.len()).map(|index| shop.goal(index).unwrap()).collect();
    let (mut goal, mut purchases) = (None, 0);
    for row in stepladder_env::transcript::read_rows(&root.join(transcript)).unwrap() {
        let step: Step = serde_json::from_value(row).unwrap();
        if let Some(recorded) = &step.goal {
            goal = goals.iter().find(|goal| *goal.instruction == *recorded.instruction_text);
        }
        if !step.done {
            continue;
        }
        purchases += 1;
        let (asin, options) = bought(&step.observation);
        let reward = shop.reward(goal.unwrap(), shop.find(asin).unwrap(), &options);
        let mut info = serde_json::json!({
            "r_type": reward.kind.r_type, "r_att": reward.r_att, "w_att": reward.w_att,
            "query_match": reward.kind.query_match, "category_match": reward.kind.category_match,
            "title_score": reward.kind.title_score, "r_price": reward.r_price, "w_price": reward.w_price,
        });
        if let (Some(r_option), Some(w_option)) = (reward.r_option, reward.w_option) {
            info["r_option"] = r_option.into();
            info["w_option"] = w_option.into();
        }
        assert_eq!((reward.total, info), (step.reward, step.reward_info.unwrap()), "{asin}");
    }
    assert_eq!(purchases, 36);
}
