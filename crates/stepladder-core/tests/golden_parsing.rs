//! Golden cases of the group `parsing` (tests/golden.json).
#![allow(missing_docs, clippy::unwrap_used)]

use serde_json::Value;
use stepladder_core::reply::{Profile, clean_progress, parse_action_done};

fn case(id: &str) -> Value {
    let golden: Value = serde_json::from_str(include_str!("../../../tests/golden.json")).unwrap();
    golden["cases"].as_array().unwrap().iter().find(|case| case["id"] == id).expect("case exists").clone()
}

#[test]
fn parse_action_done_matches_the_released_rule() {
    let case = case("parse_action_done");
    let texts = case["inputs"]["texts"].as_array().unwrap();
    assert!(texts.len() >= 8);
    for (text, expected) in texts.iter().zip(case["expected"].as_array().unwrap()) {
        let reply = parse_action_done(text.as_str().unwrap(), Profile::Code);
        assert_eq!(serde_json::json!([reply.action, reply.finished]), *expected, "{text}");
    }
}

#[test]
fn clean_progress_matches() {
    let case = case("clean_progress");
    for (text, expected) in
        case["inputs"]["texts"].as_array().unwrap().iter().zip(case["expected"].as_array().unwrap())
    {
        assert_eq!(clean_progress(text.as_str().unwrap()), expected.as_str().unwrap(), "{text}");
    }
}
