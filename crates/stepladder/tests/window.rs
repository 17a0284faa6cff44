//! Prompts that exceed the context window, and replies that cannot be parsed: nothing is lost silently.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::path::Path;

use common::{episodes, folder, json, ok, run};
use stepladder_core::trace::Turn;

/// Trains an agent of `tiny.toml` for one step.
fn train(folder: &Path, agent: &str, other: &str, changes: &[&str]) {
    let small = [format!("agents.{agent}.budget={{ steps = 1 }}"), format!("agents.{other}=false")];
    let sets = small.iter().map(String::as_str).chain(changes.iter().copied());
    let sets: Vec<&str> = sets.flat_map(|change| ["--set", change]).collect();
    ok(folder, &[&["train", "tiny.toml", "--run-dir", "run"], sets.as_slice()].concat());
}

fn share(path: &Path, count: impl Fn(&Turn) -> bool) -> f64 {
    let episodes = episodes(path);
    let turns: Vec<&Turn> = episodes.iter().flat_map(|episode| episode.turns()).collect();
    turns.iter().filter(|turn| count(turn)).count() as f64 / turns.len() as f64
}

#[test]
fn shortened_prompts_are_counted_in_the_trace_and_in_the_table() {
    let temporary = folder();
    let folder = temporary.path();
    train(folder, "flat", "step_hrl", &["model.max_positions=256"]);
    let long = ["evaluate", "run", "--episodes", "1", "--max-steps", "10", "--trace", "long.jsonl"];
    let table = ok(folder, &long);
    let head: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(head[head.len() - 3..], ["unparsable", "invalid", "shortened"], "{table}");
    let expected = share(&folder.join("long.jsonl"), |turn| turn.shortened > 0);
    assert!(expected > 0.0 && expected < 1.0, "{expected}");
    assert!(table.lines().nth(2).unwrap().ends_with(&format!(" {:.1} %", 100.0 * expected)), "{table}");
    let value = json(folder, &[&long[..], &["--json"]].concat());
    assert_eq!(value["shortened_share"].as_f64(), Some(expected));
    // Prompts of short episodes fit, so neither trace nor table mentions it.
    let short = ["evaluate", "run", "--episodes", "1", "--max-steps", "2", "--trace", "short.jsonl"];
    assert!(!ok(folder, &short).contains("shortened"));
    assert!(!std::fs::read_to_string(folder.join("short.jsonl")).unwrap().contains("\"shortened\""));
}

#[test]
fn an_overflow_aborts_its_episode_where_prompts_must_not_be_shortened() {
    let temporary = folder();
    let folder = temporary.path();
    train(folder, "flat", "step_hrl", &["model.max_positions=400", "generation.overflow=\"stop\""]);
    let arguments = ["evaluate", "run", "--episodes", "2", "--max-steps", "14", "--trace", "long.jsonl"];
    let outcome = run(folder, &arguments);
    // The other episode goes on, and the table is printed.
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    assert!(outcome.err.contains("2 of 2 episodes aborted"), "{outcome:#?}");
    assert!(outcome.out.lines().nth(2).unwrap().starts_with("flat   all"), "{outcome:#?}");
    for episode in episodes(&folder.join("long.jsonl")) {
        let error = episode.error.as_deref().unwrap();
        assert!(error.starts_with("the flat prompt needs ") && error.contains("is 400, and"), "{error}");
        assert!(error.ends_with("generation.overflow = \"stop\" forbids to shorten it"), "{error}");
        assert!((6..14).contains(&episode.len()), "{}", episode.len());
        assert!(episode.turns().all(|turn| turn.shortened == 0));
    }
}

#[test]
fn replies_that_cannot_be_parsed_are_counted_in_the_trace_and_in_the_table() {
    let temporary = folder();
    let folder = temporary.path();
    train(folder, "step_hrl", "flat", &[]);
    let arguments = ["evaluate", "run", "--episodes", "1", "--max-steps", "3", "--trace", "t.jsonl"];
    let table = ok(folder, &arguments);
    let expected = share(&folder.join("t.jsonl"), |turn| turn.unparsable);
    // No reply of an untrained executor has the form of an action with its flag.
    assert!(expected > 0.0, "{expected}");
    let played = episodes(&folder.join("t.jsonl"));
    assert!(played[0].steps().all(|step| step.turn.unparsable == step.unparsable));
    let value = json(folder, &[&arguments[..], &["--json"]].concat());
    assert_eq!(value["unparsable_share"].as_f64(), Some(expected));
    assert_eq!(value["invalid_share"].as_f64(), Some(1.0));
    let line = table.lines().nth(2).unwrap();
    assert!(line.ends_with("  100.0 %") && line.contains(&format!(" {:.1} %", 100.0 * expected)), "{table}");
    let compared = ok(folder, &["compare", "run"]);
    assert!(compared.contains("| unparsable | invalid |"), "{compared}");
}
