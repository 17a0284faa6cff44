//! `compare` refuses runs that differ in tasks, splits or budgets, and shows them where that is allowed.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::path::Path;

use common::{folder, json, ok, run};

fn train(folder: &Path, seed: &str, place: &str, sets: &[&str]) {
    let seed = format!("seed={seed}");
    let all = [&["agents.step_hrl=false", "agents.flat.budget={ steps = 2 }", "eval.probes=0", &seed], sets]
        .concat();
    let sets: Vec<&str> = all.iter().flat_map(|set| ["--set", set]).collect();
    ok(folder, &[&["train", "tiny.toml", "--run-dir", place], &sets[..]].concat());
}

#[test]
fn runs_that_differ_are_refused_by_name_unless_that_is_allowed() {
    let temporary = folder();
    let folder = temporary.path();
    train(folder, "1", "first", &[]);
    train(folder, "2", "second", &[]);
    train(folder, "3", "longer", &["agents.flat.budget={ steps = 3 }"]);
    train(folder, "3", "fewer", &["eval.episodes=2"]);
    train(folder, "3", "chains", &["data.split=\"train-goals-1\""]);
    train(folder, "3", "elsewhere", &["eval.split=\"test\""]);

    let table = ok(folder, &["compare", "first", "second"]);
    assert!(
        table.contains("\nIntervals: 95 %, over seeds and tasks (2 seeds, 4 tasks). See docs/statistics.md."),
        "{table}"
    );
    for (other, aspect, problem) in [
        ("longer", "budgets", "longer: agents.flat.budget = { steps = 3 }, but { steps = 2 } in first"),
        ("fewer", "tasks", "fewer: flat played 2 tasks of household/dev, "),
        ("chains", "splits", "chains: data.split = \"train-goals-1\", but \"train\" in first"),
        (
            "elsewhere",
            "splits",
            "elsewhere: no agent was evaluated on household/dev; the run plays household/test",
        ),
    ] {
        let outcome = run(folder, &["compare", "first", "second", other]);
        let hint = format!("; runs with other {aspect} are compared with --allow-different {aspect} only");
        assert!(
            outcome.code == Some(1) && outcome.err.contains(problem) && outcome.err.contains(&hint),
            "{outcome:?}"
        );
        let allowed = ok(folder, &["compare", "first", "second", other, "--allow-different", aspect]);
        assert!(allowed.contains(&format!("\n* {problem}")), "{allowed}");
        // Allowing something else does not help.
        let wrong = if aspect == "tasks" { "budgets" } else { "tasks" };
        assert_eq!(run(folder, &["compare", "first", other, "--allow-different", wrong]).code, Some(1));
    }
    let allow = [
        "compare",
        "first",
        "second",
        "longer",
        "--allow-different",
        "budgets,splits",
        "--over",
        "flat",
        "--json",
    ];
    let rows = json(folder, &allow);
    let names: Vec<&str> =
        rows.as_array().unwrap().iter().map(|row| row["agent"].as_str().unwrap()).collect();
    assert_eq!(names, ["flat", "flat (budget = { steps = 3 })"]);
    assert_eq!(rows[0]["seeds"], serde_json::json!([1, 2]));
    assert!(rows[0]["gain"].is_null() && rows[1]["gain"]["over"] == "flat", "{rows}");
    // Runs with other tasks have an interval over seeds.
    let mixed = json(folder, &["compare", "first", "fewer", "--allow-different", "tasks", "--json"]);
    assert_eq!((&mixed[0]["scope"], &mixed[0]["n"]), (&"seeds".into(), &serde_json::json!([4, 2])));
    let outcome = run(folder, &["compare", "first", "--allow-different", "budget"]);
    assert!(outcome.code == Some(2) && outcome.err.contains("none of tasks, splits, budgets"), "{outcome:?}");
}

#[test]
fn success_is_shown_by_the_number_of_subgoals_of_the_expert() {
    let temporary = folder();
    let folder = temporary.path();
    train(folder, "1", "first", &[]);
    train(folder, "2", "second", &[]);
    let table = ok(folder, &["compare", "first", "second", "--by-subgoals"]);
    let (all, classes) =
        table.split_once("\n| success by the expert's number of sub-goals (tasks) |").unwrap();
    assert_eq!(all, ok(folder, &["compare", "first", "second"]).trim_end_matches('\n').to_owned() + "\n");
    // The classes hold every task once.
    let counts =
        classes.lines().next().unwrap().split('(').skip(1).map(|part| part.split(')').next().unwrap());
    assert_eq!(counts.map(|count| count.parse::<usize>().unwrap()).sum::<usize>(), 4, "{classes}");
    assert!(classes.lines().any(|line| line.starts_with("| flat | ")), "{classes}");

    let rows = json(folder, &["compare", "first", "second", "--by-subgoals", "--json"]);
    for class in rows[0]["by_subgoals"].as_array().unwrap() {
        let (mean, low, high) = (&class["mean"], &class["interval"][0], &class["interval"][1]);
        assert!(low.as_f64() <= mean.as_f64() && mean.as_f64() <= high.as_f64(), "{class}");
    }
    // One file of the expert's solutions is enough; without any there is nothing to count.
    std::fs::remove_file(folder.join("first/expert-household-dev.jsonl.zst")).unwrap();
    assert_eq!(ok(folder, &["compare", "first", "second", "--by-subgoals"]), table);
    std::fs::remove_file(folder.join("second/expert-household-dev.jsonl.zst")).unwrap();
    let outcome = run(folder, &["compare", "first", "second", "--by-subgoals"]);
    assert!(
        outcome.code == Some(1)
            && outcome.err.contains("none of these runs has expert-household-dev.jsonl.zst"),
        "{outcome:?}"
    );
}
