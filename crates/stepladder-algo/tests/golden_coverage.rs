//! Every case of `tests/golden.json` is used by a test, or listed here with the reason why there is nothing to compare.
#![allow(clippy::unwrap_used)]
#![allow(missing_docs)]

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

/// Cases by prefix of their id, and the test file that reads them. Tests of a whole group fail for an unknown case; the others
/// name their case.
const CONSUMED: &[(&str, &str, &str)] = &[
    ("grpo", "", "crates/stepladder-algo/tests/golden_group.rs"),
    ("rloo", "", "crates/stepladder-algo/tests/golden_group.rs"),
    ("gigpo", "", "crates/stepladder-algo/tests/golden_group.rs"),
    ("ppo", "", "crates/stepladder-algo/tests/golden_group.rs"),
    ("surrogate", "", "crates/stepladder-algo/tests/golden_group.rs"),
    ("himac", "himac_macro", "crates/stepladder-algo/tests/golden_group.rs"),
    ("himac", "himac_micro", "crates/stepladder-algo/tests/golden_group.rs"),
    ("himac", "himac_masks", "crates/stepladder-algo/tests/online.rs"),
    ("himac", "himac_pointer", "crates/stepladder-agent/src/himac/pointer.rs"),
    ("himac", "himac_parse_blueprint", "crates/stepladder-agent/src/himac/pointer.rs"),
    ("critic", "", "crates/stepladder-algo/tests/golden.rs"),
    ("logprob", "", "crates/stepladder-algo/tests/golden.rs"),
    ("bc", "", "crates/stepladder-algo/tests/golden.rs"),
    ("actor", "", "crates/stepladder-algo/tests/golden.rs"),
    ("other_methods", "glider_sarsa", "crates/stepladder-algo/tests/golden.rs"),
    ("parsing", "parse_action_done", "crates/stepladder-core/tests/golden_parsing.rs"),
    ("parsing", "clean_progress", "crates/stepladder-core/tests/golden_parsing.rs"),
    ("transitions", "", "crates/stepladder-data/tests/golden.rs"),
    ("mixing", "", "crates/stepladder-data/tests/golden.rs"),
    ("score", "score_sciworld", "crates/stepladder-rollout/tests/scheduler.rs"),
];

/// Cases of methods that are not implemented.
const NOT_IMPLEMENTED: &[(&str, &str)] = &[
    ("hae_done", "hierarchical advantage estimation: no method here has critics for turns and for segments"),
    ("hae_truncated", "hierarchical advantage estimation, as above"),
    (
        "dpo",
        "preference optimisation over pairs of trajectories (ETO): no method here learns from preferences",
    ),
    ("archer_adv", "ArCHer takes the smaller of two Q and of two V: critics here come one of a kind"),
];

#[test]
fn every_golden_case_is_consumed_or_named_with_a_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: &str| fs_err::read_to_string(root.join(path)).unwrap();
    let golden: Value = serde_json::from_str(&read("tests/golden.json")).unwrap();
    let cases: BTreeMap<&str, &str> = golden["cases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|case| (case["id"].as_str().unwrap(), case["group"].as_str().unwrap()))
        .collect();
    assert_eq!(cases.len() as u64, golden["meta"]["cases"].as_u64().unwrap(), "an id occurs twice");

    for (id, group) in &cases {
        let consumers = CONSUMED.iter().filter(|(of, start, _)| of == group && id.starts_with(start)).count();
        let excused = NOT_IMPLEMENTED.iter().filter(|(name, _)| name == id).count();
        assert_eq!(consumers + excused, 1, "{group} {id}: {consumers} consumers, excused {excused} times");
    }
    for (group, start, path) in CONSUMED {
        let any = cases.iter().any(|(id, of)| of == group && id.starts_with(start));
        assert!(any, "{group} {start}: no such case");
        let named = if start.is_empty() { group } else { start };
        assert!(read(path).contains(&format!("\"{named}")), "{path} does not read {named}");
    }
    for (id, reason) in NOT_IMPLEMENTED {
        assert!(cases.contains_key(id) && !reason.is_empty(), "{id}: no such case");
    }
}
