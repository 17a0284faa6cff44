//! A whole run through the program: its files, and the commands that read them.

#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::collections::BTreeSet;
use std::path::Path;

use common::{checkpoints, episodes, files, folder, json, metrics, ok, run};
use serde_json::Value;

const AGENTS: [&str; 2] = ["step_hrl", "flat"];

fn names(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Checks the keys of a public evaluation and the ranges of their values.
fn check_evaluation(value: &Value, agent: &str, n: u64) {
    let (found, public) = (
        names(value),
        [
            "env",
            "split",
            "n",
            "success",
            "score",
            "interval",
            "mean_steps",
            "tokens_per_step",
            "per_type",
            "checkpoint",
            "commit",
        ],
    );
    assert!(public.iter().all(|key| found.contains(key)), "{found:?}");
    assert_eq!((value["env"].as_str(), value["split"].as_str()), (Some("household"), Some("dev")));
    assert_eq!((value["agent"].as_str(), value["n"].as_u64()), (Some(agent), Some(n)));
    let [low, success, high] = [&value["interval"][0], &value["success"], &value["interval"][1]]
        .map(|number| number.as_f64().unwrap());
    assert!(0.0 <= low && low <= success && success <= high && high <= 1.0, "{value}");
    assert!((1.0..=6.0).contains(&value["mean_steps"].as_f64().unwrap()));
    assert!(!value["commit"].as_str().unwrap().is_empty());
    let per_type: u64 =
        value["per_type"].as_object().unwrap().values().map(|row| row["n"].as_u64().unwrap()).sum();
    assert_eq!(per_type, n);
    let roles: &[&str] = if agent == "flat" { &["flat"] } else { &["executor", "planner", "progress"] };
    assert_eq!(names(&value["tokens_per_step"]), roles.iter().copied().collect());
    for role in roles {
        let tokens = &value["tokens_per_step"][role];
        let count = |key: &str| tokens[key].as_f64().unwrap();
        assert!(
            count("prompt") >= count("uncached") && count("uncached") > 0.0 && count("new") > 0.0,
            "{value}"
        );
    }
}

/// Counts the records of an event file: length, checksum, data, checksum.
fn records(path: &Path) -> usize {
    let bytes = fs_err::read(path).unwrap();
    let (mut at, mut count) = (0, 0);
    while at < bytes.len() {
        at += 16 + u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
        count += 1;
    }
    assert_eq!(at, bytes.len());
    count
}

fn check_metrics(folder: &Path) {
    let page = ok(folder, &["reference", "metrics"]);
    let documented: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(name, _)| name)
        .chain(["step"])
        .collect();
    let mut logged = BTreeSet::new();
    for agent in AGENTS {
        let lines = metrics(&folder.join("run"), agent);
        let steps: Vec<u64> = lines
            .iter()
            .filter(|line| line["loss"].is_f64())
            .map(|line| line["step"].as_u64().unwrap())
            .collect();
        assert_eq!(steps, (1..=20).collect::<Vec<_>>(), "{agent}");
        assert_eq!(lines.iter().filter(|line| line["probe/success"].is_f64()).count(), 1, "{agent}");
        let loss = |part: &[Value]| part.iter().filter_map(|line| line["loss"].as_f64()).sum::<f64>();
        let (first, last) = (loss(&lines[..5]), loss(&lines[lines.len() - 5..]));
        assert!(last < first, "{agent}: the loss of five steps went from {first} to {last}");
        logged.extend(lines.iter().flat_map(names).map(str::to_owned));
    }
    assert!(logged.iter().all(|name| documented.contains(name.as_str())), "{logged:?}");
}

fn check_checkpoint(directory: &Path) {
    let expected = [
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "trainer.json",
        "trainer.safetensors",
    ];
    assert_eq!(files(directory), expected);
    let bytes = fs_err::read(directory.join("model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(tensors.tensor("model.layers.0.self_attn.q_proj.weight").unwrap().shape(), [16, 16]);
    let config: Value =
        serde_json::from_str(&fs_err::read_to_string(directory.join("config.json")).unwrap()).unwrap();
    assert_eq!((config["model_type"].as_str(), config["hidden_size"].as_u64()), (Some("llama"), Some(16)));
}

/// Returns the version of the linked libtorch from its header.
fn installed_libtorch() -> Option<String> {
    let header = Path::new(env!("LIBTORCH")).join("include/torch/headeronly/version.h");
    let text = fs_err::read_to_string(header).unwrap();
    let number = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("#define TORCH_VERSION_{name} ")));
        Some(line?.trim().to_owned())
    };
    Some([number("MAJOR")?, number("MINOR")?, number("PATCH")?].join("."))
}

#[test]
fn a_run_leaves_everything_that_evaluation_and_collection_need() {
    let temporary = folder();
    let folder = temporary.path();
    let trained = run(folder, &["train", "./tiny.toml", "--run-dir", "run"]);
    assert_eq!(trained.code, Some(0), "{trained:#?}");
    let root = folder.join("run");

    // The table on standard output is the stored one.
    let table = fs_err::read_to_string(root.join("table.txt")).unwrap();
    assert!(trained.out.starts_with(table.trim_end()), "{}", trained.out);
    assert!(trained.out.ends_with("run directory: run\n"), "{}", trained.out);
    let head = "household/dev, greedy, 6 steps, a sample of 4 of 200 tasks, stratified by family\n";
    assert!(table.starts_with(head), "{table}");
    let data = "\ndemonstrations: household/train, a sample of 12 of 4000 tasks, stratified by family\n";
    assert!(table.contains(data), "{table}");
    assert!(
        trained.err.contains(data.trim_start_matches("\ndemonstrations: ").trim_end()),
        "{}",
        trained.err
    );
    assert!(trained.err.contains("steps, a sample of 2 of 4 tasks, stratified by family"), "{}", trained.err);
    for name in ["expert", "step_hrl", "flat"] {
        assert!(table.lines().any(|line| line.starts_with(name) && line.contains(" all ")), "{table}");
    }
    assert!(table.contains("\ntraining: step_hrl 0:0"), "{table}");

    // Record of the run.
    let info: Value = serde_json::from_str(&fs_err::read_to_string(root.join("run.json")).unwrap()).unwrap();
    assert_eq!((info["seed"].as_u64(), info["threads"].as_u64()), (Some(3), Some(1)));
    assert_eq!(info["preset"].as_str(), Some("./tiny.toml"));
    assert_eq!(info["libtorch"].as_str().map(str::to_owned), installed_libtorch());
    let config: toml::Table = fs_err::read_to_string(root.join("config.toml")).unwrap().parse().unwrap();
    assert_eq!(config["model"]["scratch"]["width"].as_integer(), Some(16));
    assert_eq!(config["algo"]["adamw"]["clip"].as_float(), Some(1.0), "defaults are there too");
    ok(folder, &["config", "check", "run/config.toml"]);

    // Only solved demonstrations.
    let demonstrations = episodes(&root.join("demonstrations.jsonl.zst"));
    assert!((3..=12).contains(&demonstrations.len()), "{}", demonstrations.len());
    assert!(demonstrations.iter().all(|episode| episode.won && episode.agent == "step_hrl"));

    check_metrics(folder);
    for agent in AGENTS {
        let kept = checkpoints(&root, agent);
        let names: Vec<_> = kept.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["step-00000019", "step-00000020"], "log.keep is 2");
        for checkpoint in &kept {
            check_checkpoint(checkpoint);
        }
        let events = files(&root.join(agent).join("tensorboard"));
        assert_eq!(events.len(), 1);
        // One record for the version, then one per number.
        let numbers: usize =
            metrics(&root, agent).iter().map(|line| line.as_object().unwrap().len() - 1).sum();
        assert_eq!(records(&root.join(agent).join("tensorboard").join(&events[0])), 1 + numbers);

        let text = fs_err::read_to_string(root.join(agent).join("household-dev.json")).unwrap();
        let evaluation: Value = serde_json::from_str(&text).unwrap();
        check_evaluation(&evaluation, agent, 4);
        let played = episodes(&root.join(agent).join("household-dev.jsonl.zst"));
        let won = played.iter().filter(|episode| episode.won).count();
        assert_eq!(evaluation["subset"].as_str(), Some("a sample of 4 of 200 tasks, stratified by family"));
        assert!(
            played
                .iter()
                .any(|episode| !["seed-0", "seed-1", "seed-2", "seed-3"].contains(&&*episode.task.id))
        );
        assert_eq!((played.len(), evaluation["success"].as_f64().unwrap()), (4, won as f64 / 4.0));
        assert!(played.iter().all(|episode| episode.agent == agent && episode.len() <= 6));
    }

    // `evaluate` repeats the run's own evaluation, with its step limit.
    let mut again = json(folder, &["evaluate", "run", "--episodes", "4", "--json"]);
    // The tokens of a whole evaluation are those per step times the steps.
    let tokens =
        ["prompt_tokens", "new_tokens"].map(|name| again.as_object_mut().unwrap().remove(name).unwrap());
    assert!(tokens.iter().all(|number| number.as_u64().is_some_and(|number| number > 0)), "{tokens:?}");
    let measured = ["seconds", "seconds_per_step", "peak_memory_bytes"];
    let numbers = measured.map(|name| again.as_object_mut().unwrap().remove(name).unwrap());
    assert!(numbers.iter().all(|number| number.as_f64().is_some_and(|number| number > 0.0)), "{numbers:?}");
    let text = fs_err::read_to_string(root.join("step_hrl/household-dev.json")).unwrap();
    assert_eq!(again, serde_json::from_str::<Value>(&text).unwrap());
    let flat = [
        "evaluate",
        "run",
        "--agent",
        "flat",
        "--episodes",
        "2",
        "--seeds",
        "2",
        "--temperature",
        "0.5",
        "--trace",
        "e.jsonl",
        "--json",
    ];
    check_evaluation(&json(folder, &flat), "flat", 4);
    assert_eq!(episodes(&folder.join("e.jsonl")).len(), 4);

    // A checkpoint needs an explicit environment and split.
    let place = "run/flat/checkpoints/step-00000019";
    let arguments = [
        "evaluate",
        place,
        "--env",
        "household",
        "--split",
        "dev",
        "--episodes",
        "3",
        "--max-steps",
        "4",
        "--json",
    ];
    let alone = json(folder, &arguments);
    check_evaluation(&alone, "flat", 3);
    assert_eq!(alone["checkpoint"].as_str(), Some(place));
    let table = ok(folder, &["evaluate", "run", "--episodes", "2", "--split", "test"]);
    assert!(table.starts_with("household/test, a sample of 2 of 200 tasks, stratified by family, run/step_hrl/checkpoints/step-00000020\n"), "{table}");

    // Collected episodes hold prompts, token counts and log-probabilities, and are the same for the same seed.
    let collect = |seed, file| {
        let arguments = ["collect", "run", "--count", "3", "--temperature", "1", "--seed", seed, "-o", file];
        let said = ok(folder, &arguments);
        assert!(
            said.starts_with("3 episodes (a sample of 3 of 4000 tasks, stratified by family), ")
                && said.trim_end().ends_with(file),
            "{said}"
        );
        episodes(&folder.join(file))
    };
    let collected = collect("1", "c.jsonl.zst");
    assert_eq!(collected, collect("1", "again.jsonl"));
    assert_ne!(collected, collect("2", "other.jsonl"));
    for turn in collected.iter().flat_map(|episode| episode.turns()) {
        assert!(!turn.prompt.is_empty() && turn.new_tokens > 0, "{turn:?}");
        assert!(turn.logprob.is_some_and(|logprob| logprob < 0.0), "{turn:?}");
    }
    assert!(collected.iter().all(|episode| episode.task.split == "train"));
}

#[test]
fn a_run_without_a_directory_gets_a_numbered_one() {
    let temporary = folder();
    let folder = temporary.path();
    let short =
        ["train", "tiny.toml", "--set", "agents.flat=false", "--set", "agents.step_hrl.budget={ steps = 1 }"];
    for number in 1..=2 {
        let said = ok(folder, &short);
        assert!(said.ends_with(&format!("run directory: runs/tiny-{number}\n")), "{said}");
    }
    assert!(!folder.join("runs/tiny-1/flat").exists());
}

#[test]
fn the_configurations_of_fingerprints_are_accepted_and_cover_every_algorithm() {
    let temporary = folder();
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../xtask/fingerprint");
    let mut all = String::new();
    for entry in fs_err::read_dir(place).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let said = ok(temporary.path(), &["config", "check", path.to_str().unwrap()]);
        assert_eq!(said, format!("{name}: ok\n"));
        let text = fs_err::read_to_string(&path).unwrap();
        // Another commit reads them with its own presets, and a clock would make two runs of one tree differ.
        assert!(!text.contains("preset =") && !text.contains("minutes") && text.contains("\nthreads = 1\n"));
        if name != "levels" {
            for algo in ["bc", "dagger", "offline_ac", "himac", "grpo", "rloo", "gigpo", "ppo"] {
                assert!(text.contains(&format!("\nalgo = \"{algo}\"\n")), "{name} has no {algo}");
            }
            assert!(text.contains("per_role"), "{name}");
        }
        all.push_str(&text);
    }
    for id in ["household", "sokoban"] {
        assert!(all.contains(&format!("\nid = \"{id}\"\n")), "{id}");
    }
}

/// Trains only the flat agent of `tiny.toml`; returns its final counters and the output.
fn flat_until(folder: &Path, budget: &str, run: &str) -> (Value, String) {
    let budget = format!("agents.flat.budget={budget}");
    let sets = ["--set", "agents.step_hrl=false", "--set", "log.keep=100", "--set", &budget];
    let said = ok(folder, &[&["train", "tiny.toml", "--run-dir", run], &sets[..]].concat());
    let trained = fs_err::read_to_string(folder.join(run).join("flat/trained.json")).unwrap();
    (serde_json::from_str(&trained).unwrap(), said)
}

#[test]
fn a_budget_of_tokens_ends_with_the_step_that_reaches_it_and_resumes_to_the_same_weights() {
    let temporary = folder();
    let folder = temporary.path();
    let (seven, _) = flat_until(folder, "{ steps = 7 }", "steps");
    let tokens = seven["tokens"].as_u64().unwrap();
    let (exact, said) = flat_until(folder, &format!("{{ tokens = {tokens}, minutes = 60 }}"), "exact");
    assert_eq!((&exact["step"], &exact["tokens"]), (&seven["step"], &seven["tokens"]));
    assert_eq!(exact["capped"], false);
    assert!(said.starts_with("household/dev, greedy"), "{said}");
    let (more, _) = flat_until(folder, &format!("{{ tokens = {} }}", tokens + 1), "more");
    assert_eq!(more["step"], 8);
    // The learning rate follows the tokens: at the end it is near its floor, with any cap.
    let rate =
        |run: &str| metrics(&folder.join(run), "flat").last().unwrap()["learning_rate"].as_f64().unwrap();
    let (full, _) = flat_until(folder, &format!("{{ tokens = {} }}", 4 * tokens), "long");
    assert!(full["step"].as_u64().unwrap() > 20 && rate("exact") < 0.5 * 2e-3, "{} {full}", rate("exact"));

    // After a kill at the third step, the continued run reaches the same weights.
    let root = folder.join("exact");
    let last = checkpoints(&root, "flat").pop().unwrap();
    let model = |name: &str| fs_err::read(last.join(name)).unwrap();
    let whole = (model("model.safetensors"), model("trainer.safetensors"));
    for checkpoint in &checkpoints(&root, "flat")[3..] {
        fs_err::remove_dir_all(checkpoint).unwrap();
    }
    for file in ["flat/trained.json", "flat/household-dev.json", "flat/household-dev.jsonl.zst", "table.txt"]
    {
        fs_err::remove_file(root.join(file)).unwrap();
    }
    let again = ok(folder, &["train", "--resume", "exact"]);
    let table = |said: &str| said.split_once("\ntraining: ").unwrap().0.to_owned();
    assert_eq!(table(&again), table(&said));
    assert!((model("model.safetensors"), model("trainer.safetensors")) == whole);
}

#[test]
fn a_run_that_the_cap_on_minutes_ended_says_so_above_its_table() {
    let temporary = folder();
    let folder = temporary.path();
    let (trained, said) = flat_until(folder, "{ tokens = 9000000, minutes = 1e-9 }", "capped");
    // The cap is checked between steps, so one step is taken.
    assert_eq!((&trained["step"], &trained["capped"]), (&Value::from(1), &Value::from(true)));
    let note = "flat: the cap of 0.000000001 minutes ended training before its budget of 9.0 million tokens (0.0 million \
                trained in all); a faster machine gives other results\n\nhousehold/dev, greedy";
    assert!(said.starts_with(note), "{said}");
    let kept = fs_err::read_to_string(folder.join("capped/table.txt")).unwrap();
    assert!(kept.starts_with(note), "{kept}");
    assert_eq!(json_file(&folder.join("capped/flat/household-dev.json"))["training_capped"], true);
    let compared = ok(folder, &["compare", "capped"]);
    let line = "\n\nflat: a cap on minutes ended training early (seed 3)\n\n| agent |";
    assert!(compared.contains(line), "{compared}");
    assert_eq!(json(folder, &["compare", "capped", "--json"])[0]["capped"], serde_json::json!([3]));
    // A run that ended before its cap has none of this.
    let (trained, said) = flat_until(folder, "{ tokens = 1 }", "plain");
    assert_eq!(trained["capped"], false);
    assert!(said.starts_with("household/dev, greedy"), "{said}");
    assert!(json_file(&folder.join("plain/flat/household-dev.json")).get("training_capped").is_none());
    assert!(!ok(folder, &["compare", "plain"]).contains("a cap on minutes"));
}

fn json_file(path: &Path) -> Value {
    serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap()
}
