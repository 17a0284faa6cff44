//! One run with every algorithm and every ablation.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::collections::BTreeSet;
use std::path::Path;

use common::{episodes, folder, json, metrics, ok};
use serde_json::Value;
use stepladder_core::Role;
use stepladder_core::trace::Episode;

const AGENTS: [&str; 15] = [
    "step_hrl",
    "flat",
    "dagger",
    "offline",
    "flat_dagger",
    "per_role",
    "no_planner",
    "no_progress",
    "window",
    "blueprints",
    "himac",
    "himac_parts",
    "grpo",
    "gigpo",
    "ppo",
];

fn roles(episodes: &[Episode]) -> BTreeSet<Role> {
    episodes.iter().flat_map(Episode::turns).map(|turn| turn.role).collect()
}

#[test]
fn every_algorithm_and_every_ablation_trains_plays_and_is_compared() {
    let temporary = folder();
    let folder = temporary.path();
    fs_err::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/all.toml"), folder.join("all.toml"))
        .unwrap();
    let study = ok(
        folder,
        &["study", "all.toml", "--seeds", "5,6", "--dir", "runs", "--set", "log.checkpoint_seconds=1"],
    );
    let root = folder.join("runs/seed-5");
    let played = |agent: &str| episodes(&root.join(agent).join("household-dev.jsonl.zst"));
    for agent in AGENTS {
        assert_eq!(played(agent).len(), 4, "{agent}");
        assert!(study.contains(&format!("| {agent} | 5: ")), "{agent}: {study}");
    }
    let (_, compared) = study
        .split_once("household/dev, a sample of 4 of 200 tasks, stratified by family\n\n| agent |")
        .unwrap();

    // Each round plays new tasks, of the configured number.
    let round = |name: &str| episodes(&root.join(name));
    let keys = |episodes: &[Episode]| episodes.iter().map(|e| e.task.to_string()).collect::<BTreeSet<_>>();
    for agent in ["dagger", "flat_dagger"] {
        let rounds =
            [round(&format!("{agent}/round-1.jsonl.zst")), round(&format!("{agent}/round-2.jsonl.zst"))];
        assert!(rounds.iter().all(|episodes| keys(episodes).len() == 6));
        assert_ne!(keys(&rounds[0]), keys(&rounds[1]));
    }
    // Sampled episodes keep the log-probabilities of their tokens.
    let collected = round(&format!("{}/collected.jsonl.zst", "step_hrl"));
    assert_eq!(collected.len(), 6);
    assert!(collected.iter().flat_map(Episode::turns).all(|turn| turn.logprob.is_some_and(|sum| sum <= 0.0)));

    // Omitted roles have no rows.
    let three = BTreeSet::from([Role::Planner, Role::Executor, Role::Progress]);
    for agent in ["step_hrl", "dagger", "offline", "per_role"] {
        assert_eq!(roles(&played(agent)), three, "{agent}");
    }
    assert_eq!(roles(&played("no_planner")), BTreeSet::from([Role::Executor, Role::Progress]));
    assert!(
        played("no_planner")
            .iter()
            .all(|episode| { episode.subtasks.len() == 1 && episode.subtasks[0].text == episode.start.task })
    );
    assert_eq!(roles(&played("no_progress")), BTreeSet::from([Role::Planner, Role::Executor]));
    let blueprint = BTreeSet::from([Role::Macro, Role::Micro]);
    for agent in ["blueprints", "himac", "himac_parts"] {
        assert_eq!(roles(&played(agent)), blueprint, "{agent}");
    }
    let pairs = |episode: &Episode| {
        episode
            .turns()
            .map(|turn| turn.prompt.split(' ').filter(|word| *word == "<o>").count())
            .max()
            .unwrap()
    };
    assert!(played("window").iter().all(|episode| pairs(episode) == 1));
    assert!(played("flat").iter().all(|episode| pairs(episode) == episode.len() - 1));

    // Critics report metrics, and every reported metric is in the reference.
    let page = ok(folder, &["reference", "metrics"]);
    let documented: BTreeSet<&str> =
        page.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split_once("` |")?.0)).collect();
    let models = [
        "step_hrl",
        "flat",
        "dagger",
        "offline",
        "per_role/planner",
        "per_role/executor",
        "blueprints",
        "himac",
        "ppo",
    ];
    let mut logged: BTreeSet<String> = BTreeSet::new();
    for model in models {
        for line in metrics(&root, model) {
            logged.extend(line.as_object().unwrap().keys().filter(|key| *key != "step").cloned());
        }
    }
    // Cloning of a pretrained model alone shares beginnings (`tests/pretrained.rs`).
    logged.insert("computed_tokens".to_owned());
    // Needs two updates with differences in one phase (`stepladder-algo`, tests of the phases).
    logged.insert("kl_idle".to_owned());
    assert_eq!(logged.iter().map(String::as_str).collect::<BTreeSet<_>>(), documented);

    // A policy of several models is evaluated like any other.
    let one = ["evaluate", "runs/seed-5", "--agent", "per_role", "--episodes", "2", "--json"];
    let value = json(folder, &one);
    assert_eq!((value["agent"].as_str(), value["n"].as_u64()), (Some("per_role"), Some(2)));
    let rows: Vec<Value> =
        serde_json::from_str(&ok(folder, &["compare", "runs/seed-5", "runs/seed-6", "--json"])).unwrap();
    assert_eq!(rows.len(), AGENTS.len());
    for row in &rows {
        assert_eq!(row["seeds"], serde_json::json!([5, 6]));
        assert!(row["training_mtokens"].as_f64().unwrap() > 0.0, "{row}");
    }
    // All seeds are evaluated on the same tasks.
    let tasks = |seed: &str| -> Vec<String> {
        let played = episodes(&folder.join(format!("runs/seed-{seed}/flat/household-dev.jsonl.zst")));
        played.into_iter().map(|episode| episode.task.id).collect()
    };
    assert_eq!(tasks("5"), tasks("6"));
    // Gains are measured against the agent that one started from, or against one agent for all.
    let success = |agent: &str, seed: u64| {
        let row = rows.iter().find(|row| row["agent"] == agent).unwrap();
        (row["success"][(seed - 5) as usize].as_f64().unwrap(), row["gain"].clone())
    };
    let (_, gain) = success("offline", 5);
    assert_eq!(gain["over"], "step_hrl");
    for seed in [5, 6] {
        let gained = 100.0 * (success("offline", seed).0 - success("step_hrl", seed).0);
        assert!((gain["by_seed"][(seed - 5) as usize].as_f64().unwrap() - gained).abs() < 1e-9, "{gain}");
    }
    assert!(success("flat", 5).1.is_null());
    let p = |key: &str| gain[key].as_f64().unwrap();
    assert!(p("p_holm") >= p("p") && p("p") > 0.0 && gain["scope"] == "seeds and tasks", "{gain}");
    for row in &rows {
        let mean = row["success"].as_array().unwrap().iter().filter_map(Value::as_f64).sum::<f64>() / 2.0;
        assert!((row["mean"].as_f64().unwrap() - mean).abs() < 1e-12, "{row}");
        assert_eq!((&row["target"], &row["scope"]), (&"household/dev".into(), &"seeds and tasks".into()));
    }
    let over = ok(folder, &["compare", "runs/seed-5", "runs/seed-6", "--over", "flat"]);
    let head = "household/dev, a sample of 4 of 200 tasks, stratified by family\n\n| agent |";
    assert!(over.starts_with(head), "{over}");
    assert_eq!(over.matches("| flat: ").count(), AGENTS.len() - 1, "{over}");
    let line = format!(
        "\nIntervals: 95 %, over seeds and tasks (2 seeds, 4 tasks). Gains: on the same tasks, seeds paired where equal; two-sided \
         p, after Holm over {} gains of this table. See docs/statistics.md.\n",
        AGENTS.len() - 1
    );
    assert!(over.ends_with(&line), "{over}");

    // `horizon` writes a line per agent and number of goals and a plot, and repeats no measurement.
    fs_err::create_dir(folder.join("out")).unwrap();
    let horizon = ["horizon", "runs/seed-5", "--goals", "1", "--episodes", "1", "-o", "out/horizon"];
    let table = ok(folder, &horizon);
    assert_eq!(table.lines().count(), 4 + AGENTS.len(), "{table}");
    assert!(table.contains("Intervals: 95 %, over tasks only (1 seed, 1 task)."), "{table}");
    assert!(table.lines().any(|line| line.starts_with("| window | 1 | 1 of 200 | 0.0 % |")), "{table}");
    let cell = root.join("window/horizon-dev-1.json");
    let measured = fs_err::metadata(&cell).unwrap().modified().unwrap();
    assert_eq!(ok(folder, &horizon), table);
    assert_eq!(fs_err::metadata(&cell).unwrap().modified().unwrap(), measured);
    let plot = fs_err::read_to_string(folder.join("out/horizon.svg")).unwrap();
    assert!(plot.starts_with("<svg") && plot.contains("goals of the task") && plot.contains("no_planner"));

    // `curves` has a mean height on all four axes for every online agent.
    ok(folder, &["curves", "runs/seed-5", "runs/seed-6", "-o", "out/curves"]);
    let curves = fs_err::read_to_string(folder.join("out/curves.json")).unwrap();
    let curves: Value = serde_json::from_str(&curves).unwrap();
    let methods = curves["methods"].as_array().unwrap();
    assert_eq!(methods.len(), 5, "{curves}");
    for method in methods {
        let heights = method["heights"].as_array().unwrap();
        assert!(heights.len() == 4 && heights.iter().all(|height| height["mean"].is_f64()), "{method}");
        assert!(method["minutes"].as_f64().unwrap() > 0.0, "{method}");
    }

    // The same command has nothing left to do.
    let again = ok(
        folder,
        &["study", "all.toml", "--seeds", "5,6", "--dir", "runs", "--set", "log.checkpoint_seconds=1"],
    );
    assert!(again.ends_with(compared), "{again}");
}
