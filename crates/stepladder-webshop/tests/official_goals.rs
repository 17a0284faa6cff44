//! The official small catalogue, and the original's goals of it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use stepladder_testing::data_root;
use stepladder_webshop::{Catalogue, Files, Seeds, Shop, Tagger};

/// A goal of the original.
#[derive(Deserialize)]
struct Recorded {
    asin: String,
    category: String,
    query: String,
    name: String,
    product_category: String,
    instruction_text: String,
    attributes: Vec<String>,
    price_upper: f64,
    goal_options: serde_json::Map<String, serde_json::Value>,
    weight: f64,
}

fn files(root: &Path) -> Files {
    let file = |name: &str| root.join("webshop").join(name);
    Files {
        products: file("items_shuffle_1000.json"),
        attributes: file("items_ins_v2_1000.json"),
        human: None,
        nouns: Tagger::Stub,
    }
}

#[test]
fn synthetic_goals_are_those_of_the_original_in_their_order() {
    let Some(root) = data_root("webshop/goals_synthetic_seed42.json") else { return };
    let catalogue = Arc::new(Catalogue::load(&files(&root), None).unwrap());
    assert_eq!((catalogue.products.len(), catalogue.instructions.len()), (1000, 415));
    let shop = Shop::new(catalogue, Seeds::ORIGINAL).unwrap();
    let text = std::fs::read_to_string(root.join("webshop/goals_synthetic_seed42.json")).unwrap();
    let recorded: Vec<Recorded> = serde_json::from_str(&text).unwrap();
    assert_eq!((shop.goals.len(), recorded.len()), (6910, 6910));
    for (index, recorded) in recorded.iter().enumerate() {
        let goal = shop.goal(index).unwrap();
        let product = shop.product(goal.product).unwrap();
        assert_eq!(*product.asin, *recorded.asin, "goal {index}");
        assert_eq!(*product.category, *recorded.category, "goal {index}");
        assert_eq!(*product.query, *recorded.query, "goal {index}");
        assert_eq!(*product.title, *recorded.name, "goal {index}");
        assert_eq!(*product.product_category, *recorded.product_category, "goal {index}");
        assert_eq!(*goal.instruction, *recorded.instruction_text, "goal {index}");
        assert!(goal.attributes.iter().map(|a| &**a).eq(recorded.attributes.iter()), "goal {index}");
        assert_eq!(goal.price_upper, recorded.price_upper, "goal {index}");
        let options = recorded.goal_options.iter().map(|(name, value)| (&**name, value.as_str().unwrap()));
        assert!(goal.options.iter().map(|(name, value)| (&**name, &**value)).eq(options), "goal {index}");
        assert_eq!(goal.weight, recorded.weight, "goal {index}");
    }
}

#[test]
fn goals_of_people_and_the_first_rows() {
    let Some(root) = data_root("webshop/items_human_ins.json") else { return };
    let human = Some(root.join("webshop/items_human_ins.json"));
    let files = Files { human, ..files(&root) };
    let shop = Shop::new(Arc::new(Catalogue::load(&files, None).unwrap()), Seeds::verl_agent(7)).unwrap();
    assert_eq!(shop.goals.len(), 13);
    let goals: Vec<_> = (0..13).map(|index| shop.goal(index).unwrap()).collect();
    assert!(
        goals.iter().all(|goal| goal.weight == 1.0 && goal.options.iter().all(|(name, _)| name.is_empty()))
    );
    let text = std::fs::read_to_string(files.human.as_ref().unwrap()).unwrap();
    let written: HashMap<String, Vec<serde_json::Value>> = serde_json::from_str(&text).unwrap();
    for (asin, written) in &written {
        let product = shop.find(&asin.to_lowercase()).unwrap();
        let goal = goals.iter().find(|goal| goal.product == product).unwrap();
        let limit = format!(", and price lower than {:.2} dollars", goal.price_upper);
        let text = written[0]["instruction"].as_str().unwrap().trim_matches('.');
        assert_eq!(*goal.instruction, format!("{text}{limit}"));
        let options = written[0]["instruction_options"].as_array().unwrap();
        assert!(
            goal.options
                .iter()
                .map(|(_, value)| &**value)
                .eq(options.iter().map(|value| value.as_str().unwrap()))
        );
        assert!(goal.price_upper > shop.price(product).unwrap());
    }

    let few = Catalogue::load(&Files { human: None, ..files }, Some(10)).unwrap();
    assert_eq!(few.products.len(), 10);
    assert!(few.products.iter().zip(shop.products()).all(|(one, other)| one == other));
}
