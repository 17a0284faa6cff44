//! Rewards of small purchases, by hand.

use super::*;
use crate::testing::product;

fn goal(attributes: &[&str], options: &[(&str, &str)]) -> Goal {
    Goal {
        product: 0,
        instruction: "".into(),
        attributes: attributes.iter().map(|&attribute| attribute.into()).collect(),
        price_upper: 40.0,
        options: options.iter().map(|&(name, value)| (name.into(), value.into())).collect(),
        weight: 1.0,
    }
}

fn same() -> Kind {
    Kind::new(&product("B01"), &[1, 2], &product("B02"), &[1, 2])
}

#[test]
fn parts_and_weights() {
    let goal =
        goal(&["easy to install", "bright", "shines.", "waterproof"], &[("size", "large"), ("color", "red")]);
    let reward = Reward::new(same(), &goal, &product("B01"), 40.0, ["x-large", "brick red"]);
    // `easy install` is listed, `bright` is a feature, `shines.` stands in the description; red matches and x-large does not.
    assert_eq!((reward.r_att, reward.r_option, reward.r_price), (0.75, Some(0.5), true));
    assert_eq!((reward.w_att, reward.w_option, reward.w_price), (4.0 / 7.0, Some(2.0 / 7.0), 1.0 / 7.0));
    assert_eq!(reward.total, 5.0 / 7.0);
    let dear = Reward::new(same(), &goal, &product("B01"), 40.01, []);
    assert_eq!((dear.r_option, dear.r_price, dear.total), (Some(0.0), false, 3.0 / 7.0));
}

#[test]
fn a_goal_without_options_has_no_part_for_them() {
    let reward = Reward::new(same(), &goal(&["bright"], &[]), &product("B01"), 30.0, ["red"]);
    assert_eq!((reward.r_option, reward.w_option, reward.w_att, reward.total), (None, None, 0.5, 1.0));
}

#[test]
fn options_are_compared_as_the_original_writes_them() {
    let matched = |option: (&str, &str), value: &str| options_matched(&goal(&["a"], &[option]), [value]) == 1;
    // As tuples.
    assert!(!matched(("size", "large"), "x-large"), "83 of 100");
    assert!(matched(("size", "large"), "large"));
    assert!(
        matched(("color", "red"), "wine red"),
        "the first colour of the value is red, and so is that of the tuple"
    );
    assert!(!matched(("color", "infrared"), "infrared"), "the value becomes red, the tuple keeps its word");
    assert!(matched(("color", "b. dark"), "dark"), "dark is a word of the tuple");
    assert!(matched(("tan", "x"), "tan"), "the name counts as well");
    assert!(matched(("style", "a\u{200b}b"), "u200bb a b"), "what is not printable is escaped");
    // As texts.
    assert!(matched(("", "dark red"), "dark navy"), "both become dark");
    assert!(matched(("", "large"), "x-large"), "a word more");
    assert!(!matched(("", "★"), "★"), "no words");
}

#[test]
fn kinds() {
    let bought = product("B01");
    let far = Product { query: "desks".into(), product_category: "Office ›Lamps".into(), ..bought.clone() };
    let kind = |wanted: &Product, bought_nouns: &[u32], nouns: &[u32]| {
        Kind::new(&bought, bought_nouns, wanted, nouns)
    };
    assert_eq!(
        kind(&bought, &[1], &[1]),
        Kind { r_type: 1.0, query_match: true, category_match: true, shared_nouns: 1, title_score: 1.0 }
    );
    assert_eq!(
        kind(&far, &[1], &[1, 2, 3, 4, 1]),
        Kind { r_type: 0.5, query_match: false, category_match: false, shared_nouns: 1, title_score: 0.2 }
    );
    assert_eq!(kind(&far, &[1], &[1, 2, 3, 4]).r_type, 1.0, "a quarter of the nouns");
    let many: Vec<u32> = (1..12).collect();
    assert_eq!(kind(&bought, &[1], &many).r_type, 0.1);
    assert_eq!(kind(&bought, &[1], &many[..10]).r_type, 1.0);
    assert_eq!(kind(&bought, &[1], &[2]).r_type, 0.0, "whatever else fits");
    let none = kind(&bought, &[1], &[]);
    assert_eq!((none.r_type, none.title_score), (1.0, 0.2));
    let once = Product { product_category: "Lamps › Lamps ›  Home".into(), ..far };
    assert!(kind(&once, &[], &[]).category_match);
    let twice = Product { product_category: "Lamps › Lamps".into(), ..once };
    assert!(!kind(&twice, &[], &[]).category_match, "a repeated category counts once");
}
