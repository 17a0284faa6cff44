//! Pages of recorded episodes, with the products found and the rewards taken from the recording.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::HashMap;

use serde_json::Value;
use stepladder_env::transcript::read_rows;
use stepladder_testing::data_root;
use stepladder_webshop::{Action, Choice, Form, Product, Store, Visit};

struct Recorded {
    products: Vec<Product>,
    found: Vec<u32>,
    instruction: String,
    reward: f64,
}

impl Store for Recorded {
    fn products(&self) -> &[Product] {
        &self.products
    }
    fn search(&self, _query: &str) -> Vec<u32> {
        self.found.clone()
    }
    fn instruction(&self, _goal: u32) -> &str {
        &self.instruction
    }
    fn reward(&self, _goal: u32, _product: u32, _chosen: &[(Box<str>, Box<str>)]) -> f64 {
        self.reward
    }
}

fn text(value: &Value) -> Box<str> {
    value.as_str().unwrap().into()
}

fn product(item: &Value) -> Product {
    let pricing = item["pricing"].as_str().unwrap_or_default().split('$').skip(1);
    let mut pricing: Vec<f64> = pricing
        .map(|price| price.replace(',', "").trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap())
        .collect();
    if pricing.is_empty() {
        pricing.push(100.0);
    }
    let options = item["customization_options"].as_object().into_iter().flatten();
    let options = options.filter(|(_, values)| !values.is_null()).map(|(name, values)| Choice {
        name: name.to_lowercase().into(),
        values: values
            .as_array()
            .unwrap()
            .iter()
            .map(|value| value["value"].as_str().unwrap().trim().replace('/', " | ").to_lowercase().into())
            .collect(),
    });
    Product {
        asin: text(&item["asin"]),
        category: text(&item["category"]),
        query: text(&item["query"]),
        product_category: text(&item["product_category"]),
        title: text(&item["name"]),
        description: text(&item["full_description"]),
        bullets: item["small_description"].as_array().map_or_else(
            || [text(&item["small_description"])].into(),
            |lines| lines.iter().map(text).collect(),
        ),
        pricing: pricing.into(),
        options: options.collect(),
        attributes: Box::new([]),
    }
}

#[test]
fn recorded_pages_are_reproduced() {
    let Some(root) = data_root("transcripts/webshop_1k_synthetic.jsonl.zst") else { return };
    let items: Value =
        serde_json::from_str(&std::fs::read_to_string(root.join("webshop/items_shuffle_1000.json")).unwrap())
            .unwrap();
    let products: Vec<Product> = items.as_array().unwrap().iter().map(product).collect();
    let numbers: HashMap<String, u32> = (0..).zip(&products).map(|(n, p)| (p.asin.to_string(), n)).collect();
    let mut store = Recorded { products, found: Vec::new(), instruction: String::new(), reward: 0.0 };
    let mut visit = Visit::new(0);
    let rows = read_rows(&root.join("transcripts/webshop_1k_synthetic.jsonl.zst")).unwrap();
    for (line, row) in rows.iter().enumerate() {
        let recorded = row["observation"].as_str().unwrap();
        if row["step"] == 0 {
            store.instruction = row["goal"]["instruction_text"].as_str().unwrap().to_owned();
            visit = Visit::new(0);
        }
        store.reward = row["reward"].as_f64().unwrap();
        if let Some(page) = recorded.split("Page ").nth(1).filter(|_| recorded.contains("(Total results: ")) {
            let page_number: usize = page.split(' ').next().unwrap().parse().unwrap();
            let total: usize =
                page.split("results: ").nth(1).unwrap().split(')').next().unwrap().parse().unwrap();
            store.found = vec![999; total];
            let shown = recorded.split(" [SEP] ").filter_map(|text| numbers.get(text));
            for (place, number) in shown.enumerate() {
                store.found[(page_number - 1) * 10 + place] = *number;
            }
        }
        if let Some(command) = row["command"].as_str()
            && let Some(action) = Action::parse(command)
        {
            visit.act(&store, &action);
        }
        assert_eq!(visit.text(&store, Form::Text), recorded, "row {line}");
        assert_eq!(visit.text(&store, Form::Rich), row["observation_rich"].as_str().unwrap(), "row {line}");
        assert_eq!(
            serde_json::json!(visit.clickables(&store)),
            row["admissible"]["clickables"],
            "row {line}"
        );
        assert_eq!(visit.has_search_bar(), row["admissible"]["has_search_bar"] == true, "row {line}");
    }
}
