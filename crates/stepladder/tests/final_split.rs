//! The final split of a run: played once at the end, with results of its own.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::path::Path;

use common::{folder, json, ok, run};
use serde_json::Value;

const FLAT: [&str; 2] = ["--set", "agents.step_hrl=false"];

fn train(folder: &Path, sets: &[&str], place: &str) -> String {
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    ok(folder, &[&["train", "tiny.toml", "--run-dir", place], &FLAT[..], &sets].concat())
}

fn value(path: &Path) -> Value {
    serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn a_final_split_is_played_once_and_has_a_table_of_its_own() {
    let temporary = folder();
    let folder = temporary.path();
    let said = train(folder, &["eval.final=\"test\"", "eval.final_episodes=3"], "run");
    let (dev, last) =
        said.split_once("final split household/test, greedy, 6 steps, a sample of 3 of 200 tasks").unwrap();
    assert!(dev.contains("household/dev, greedy, 6 steps") && last.contains("flat "), "{said}");
    let of = |split: &str| value(&folder.join(format!("run/flat/household-{split}.json")));
    assert_eq!(
        (&of("dev")["n"], &of("test")["n"], &of("test")["split"]),
        (&4.into(), &3.into(), &"test".into())
    );
    // Probes stay on the development split: the same training without a final split has the same curve.
    train(folder, &[], "without");
    let metrics = |place: &str| {
        let text = fs_err::read_to_string(folder.join(place).join("flat/metrics.jsonl")).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .filter_map(|line| Some((line["step"].clone(), line.get("probe/success")?.clone())))
            .collect::<Vec<_>>()
    };
    assert!(!metrics("run").is_empty() && metrics("run") == metrics("without"));
    assert!(!folder.join("without/flat/household-test.json").exists());

    // `compare` shows both tables; of one split only where that is asked for.
    let table = ok(folder, &["compare", "run"]);
    assert!(
        table.starts_with("household/dev, ") && table.contains("\nhousehold/test, a sample of 3 of 200"),
        "{table}"
    );
    let rows = json(folder, &["compare", "run", "--json"]);
    let targets: Vec<&Value> = rows.as_array().unwrap().iter().map(|row| &row["target"]).collect();
    assert_eq!(targets, ["household/dev", "household/test"]);
    assert!(!ok(folder, &["compare", "run", "--on", "household/test"]).contains("household/dev"));
}

#[test]
fn a_run_that_gets_a_final_split_later_plays_only_what_is_missing() {
    let temporary = folder();
    let folder = temporary.path();
    train(folder, &[], "run");
    let config = folder.join("run/config.toml");
    let text = fs_err::read_to_string(&config).unwrap();
    fs_err::write(&config, text.replacen("[eval]\n", "[eval]\nfinal = \"test\"\n", 1)).unwrap();
    let kept = |name: &str| fs_err::metadata(folder.join("run/flat").join(name)).unwrap().modified().unwrap();
    let before = ["trained.json", "household-dev.json", "household-dev.jsonl.zst"].map(kept);
    let said = ok(folder, &["train", "--resume", "run"]);
    assert!(
        said.contains("final split household/test, greedy, 6 steps, a sample of 4 of 200 tasks"),
        "{said}"
    );
    assert_eq!(["trained.json", "household-dev.json", "household-dev.jsonl.zst"].map(kept), before);
    let played = kept("household-test.json");
    // Lost between two sessions: that evaluation alone is repeated.
    fs_err::remove_file(folder.join("run/table.txt")).unwrap();
    ok(folder, &["train", "--resume", "run"]);
    assert_eq!(kept("household-test.json"), played);
    assert!(
        fs_err::read_to_string(folder.join("run/table.txt")).unwrap().contains("final split household/test")
    );
}

#[test]
fn a_study_has_a_second_table_and_nothing_else_may_use_the_final_split() {
    let temporary = folder();
    let folder = temporary.path();
    let study = ["study", "tiny.toml", "--seeds", "5,6", "--dir", "runs", "--set", "eval.final=\"test\""];
    let said = ok(folder, &[&study[..], &FLAT].concat());
    for head in ["household/dev, a sample of 4 of 200 tasks", "household/test, a sample of 4 of 200 tasks"] {
        assert!(said.contains(&format!("{head}, stratified by family\n\n| agent |")), "{said}");
    }
    for (set, problem) in [
        (
            "eval.final=\"dev\"",
            "eval.final is \"dev\" (--set); it must be a split that nothing else uses, but it is in eval.split",
        ),
        ("eval.final=\"train\"", "it is in data.split"),
        ("eval.final=\"dve\"", "eval.final is \"dve\" (--set); household has train, dev, test"),
    ] {
        let outcome = run(folder, &["config", "check", "tiny.toml", "--set", set]);
        assert!(outcome.code == Some(2) && outcome.err.contains(problem), "{outcome:?}");
    }
}
