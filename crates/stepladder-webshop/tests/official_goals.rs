//! The official small catalogue, and the original's goals of it.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

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

/// Identifier of the product, and price limit, of goals.
fn limits(shop: &Shop, indices: impl IntoIterator<Item = usize>) -> Vec<(String, f64)> {
    let goals = indices.into_iter().map(|index| shop.goal(index).unwrap());
    goals.map(|goal| (shop.product(goal.product).unwrap().asin.to_string(), goal.price_upper)).collect()
}

fn named(rows: &[(&str, f64)]) -> Vec<(String, f64)> {
    rows.iter().map(|&(asin, limit)| (asin.to_owned(), limit)).collect()
}

/// Recorded from the original's functions on CPython 3.11, with the next number of the generator.
#[test]
fn draws_and_order_of_other_seeds() {
    let Some(root) = data_root("webshop/items_human_ins.json") else { return };
    let synthetic = Arc::new(Catalogue::load(&files(&root), None).unwrap());
    let sum = |shop: &Shop| limits(shop, 0..shop.goals.len()).iter().map(|(_, limit)| limit).sum::<f64>();
    let places = [0, 1, 499, 500, 6909];

    let shop = Shop::new(synthetic.clone(), Seeds::verl_agent(7)).unwrap();
    let expected = [
        ("B09T756KQ5", 30.0),
        ("B07JVVDJ6L", 50.0),
        ("B07S7HDC88", 70.0),
        ("B079PH6955", 50.0),
        ("B09QCP4579", 40.0),
    ];
    assert_eq!(limits(&shop, places), named(&expected));
    assert_eq!((sum(&shop), shop.random.clone().word()), (15_428_220.0, 4_216_173_803));

    let shop = Shop::new(synthetic, Seeds::verl_agent((1 << 40) + 1)).unwrap();
    let expected = [
        ("B09GL561XH", 60.0),
        ("B08LKKSL8F", 80.0),
        ("B08P8LRFZ4", 130.0),
        ("B09M63B87V", 30.0),
        ("B08LKKSL8F", 80.0),
    ];
    assert_eq!(limits(&shop, places), named(&expected));
    assert_eq!((sum(&shop), shop.random.clone().word()), (15_422_430.0, 3_042_564_888));

    let hundred = Catalogue::load(&files(&root), Some(100)).unwrap();
    let shop = Shop::new(Arc::new(hundred), Seeds::verl_agent(7)).unwrap();
    assert_eq!(limits(&shop, [0, 500]), named(&[("B07MGB73NJ", 50.0), ("B09688C4XM", 1_000_000.0)]));
    assert_eq!((shop.goals.len(), shop.random.clone().word()), (501, 2_304_674_667));

    let human = Files { human: Some(root.join("webshop/items_human_ins.json")), ..files(&root) };
    let shop = Shop::new(Arc::new(Catalogue::load(&human, None).unwrap()), Seeds::ORIGINAL).unwrap();
    let expected = [
        ("B09MW563KN", 50.0),
        ("B003I567W4", 60.0),
        ("B07S7HDC88", 60.0),
        ("B09NTCCVGX", 170.0),
        ("B07FYPSNH8", 50.0),
        ("B09R4RJSFP", 120.0),
        ("B08G14B779", 40.0),
        ("B09HX5CD2D", 70.0),
        ("B09PY89B1S", 60.0),
        ("B09KP78G37", 80.0),
        ("B099231V35", 50.0),
        ("B005X7IXTK", 70.0),
        ("B087Y28XLM", 40.0),
    ];
    assert_eq!(limits(&shop, 0..13), named(&expected));
    assert_eq!(shop.random.clone().word(), 2_977_971_909);
}
