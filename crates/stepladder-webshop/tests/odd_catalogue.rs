//! A catalogue whose texts are as odd as files allow: every offered action is accepted, and nothing panics.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rand::RngExt;
use serde_json::{Value, json};
use stepladder_core::label::{Expert, Perturb};
use stepladder_core::query::{NO_PROGRESS, Observation, Query};
use stepladder_core::seed::stream;
use stepladder_env::TaskSet;
use stepladder_webshop::{Choices, Form, WebShop, WebshopExpert, WebshopNoise};

fn row(asin: &str, name: &str, pricing: &str, options: &[(&str, &[&str])]) -> Value {
    let values =
        |values: &[&str]| values.iter().map(|value| json!({ "value": value })).collect::<Vec<Value>>();
    let options: serde_json::Map<String, Value> =
        options.iter().map(|(name, all)| ((*name).to_owned(), json!(values(all)))).collect();
    json!({
        "asin": asin, "category": "garden", "query": "lamps", "product_category": "Home › Lamps", "name": name,
        "full_description": null, "small_description": ["Price: $5", null], "pricing": pricing,
        "customization_options": options,
    })
}

/// Identifiers that differ in case alone, that are buttons or no ASCII, options that are buttons, identifiers, separators or empty.
fn write(root: &Path) {
    let directory = root.join("webshop");
    fs::create_dir(&directory).unwrap();
    let odd = [
        "search",
        "B02",
        "b01",
        "",
        " ",
        "a [SEP] b",
        "x]",
        "[x",
        "a\nb",
        "Buy Now",
        "next >",
        "\u{200b}",
        "İs",
        "ΑΣ",
    ];
    let rows = json!([
        row(
            "B01",
            "A lamp",
            "$1,234.50",
            &[("Size", &odd), ("Color", &["search", "red", "red"]), ("", &["x"])]
        ),
        row("b01", "", "$5 - $10", &[]),
        row("B02", "  ", "", &[("None", &[])]),
        row("İ1", "lamp \u{200b}\u{202e}", "$0.1$99999999999999999999", &[("é", &["é", "É"])]),
        row("search", "lamp", "$.5", &[]),
        row("buy now", "lamp [SEP] $5.0", "$0$0", &[("attributes", &["attributes"])]),
        row("next >", "lamp", "$3", &[]),
        row("features", "lamp", "$3", &[]),
    ]);
    fs::write(directory.join("items_shuffle_1000.json"), rows.to_string()).unwrap();
    let instruction = |text: &str| json!({ "instruction": text, "instruction_attributes": ["İ", ""] });
    let all = json!({
        "B01": instruction("Find me a lamp"), "b01": instruction(""), "İ1": instruction("[İ] \u{2028}"),
        "search": instruction("lamp with a: b"), "buy now": instruction("lamp"),
    });
    fs::write(directory.join("items_ins_v2_1000.json"), all.to_string()).unwrap();
}

#[test]
fn every_offered_action_is_accepted_in_a_catalogue_of_odd_texts() {
    let root = tempfile::tempdir().unwrap();
    write(root.path());
    let searches =
        ["lamp", "<q> lamps", "<c> garden", "<r>", "<q> search_results", "item_page lamp", "\u{0}\"b01\""];
    let mut played = BTreeSet::new();
    for form in [Form::Text, Form::Rich] {
        let set = WebShop::new(Some(root.path()), Choices { stub: true, form, ..Choices::default() });
        let tasks = set.tasks("paper-test").unwrap();
        let mut env = set.make().unwrap();
        let mut rng = stream(1, "test", &[]);
        for episode in 0..1500 {
            let start = env.reset(&tasks[episode % tasks.len()], 0).unwrap();
            for _ in 0..15 {
                let offered = env.admissible().unwrap().admissible_actions();
                assert!(offered.windows(2).all(|pair| pair[0] < pair[1]), "{offered:?}");
                let search = rng.random_range(0..8) == 0 || offered.is_empty();
                let action = match search {
                    true => format!("search[{}]", searches[rng.random_range(0..searches.len())]),
                    false => offered[rng.random_range(0..offered.len())].clone(),
                };
                let step = env.step(&action).unwrap();
                assert!(!step.unknown_action, "{action} of {offered:?}");
                assert!((0.0..=1.0).contains(&step.reward), "{}", step.reward);
                let observation = Observation { feedback: step.observation, context: String::new() };
                WebshopNoise.perturb(&action, &observation, &mut rng);
                let (task, earlier, progress) = (start.task.clone(), Vec::new(), NO_PROGRESS.to_owned());
                assert!(
                    WebshopExpert.reply(&Query::Planner { task, earlier, progress, observation }).is_some()
                );
                played.insert(action);
                if step.end.is_some() {
                    break;
                }
            }
        }
    }
    // The walk went to the odd places.
    for action in ["click[b01]", "click[i\u{307}1]", "click[x]]", "click[next >]", "click[b02]"] {
        assert!(played.contains(action), "{action} of {played:?}");
    }
}
