//! Constrained decoding through the program: beside the unconstrained numbers, which it does not change.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::path::Path;

use common::{episodes, folder, json, ok, run};
use serde_json::Value;
use stepladder_core::trace::Episode;
use stepladder_train::envs;

const HIMAC: &str =
    r#"agents.himac={ kind = "himac", algo = "bc", budget = { steps = 20 }, batch_tokens = 256 }"#;

fn train(folder: &Path, sets: &[&str]) -> String {
    let mut arguments = vec!["train", "tiny.toml", "--run-dir", "run"];
    arguments.extend(sets.iter().flat_map(|set| ["--set", set]));
    ok(folder, &arguments)
}

/// Checks that every action is in the environment's list at its time, by playing the episode again.
fn all_admissible(env: &str, episode: &Episode) {
    let env = envs::open_with(None, env, None, &[]).unwrap();
    let mut game = env.tasks.make().unwrap();
    game.reset(&episode.task, episode.seed).unwrap();
    for step in episode.steps() {
        let listed = game.admissible().unwrap().admissible_actions();
        assert!(listed.contains(&step.action), "{}: {}", episode.task, step.action);
        assert!(!step.unparsable && !step.unknown_action && !step.turn.cut);
        assert_eq!(game.step(&step.action).unwrap().observation, step.observation);
    }
}

fn without_times(mut value: Value) -> Value {
    for measured in ["seconds", "seconds_per_step", "peak_memory_bytes"] {
        value.as_object_mut().unwrap().remove(measured);
    }
    value
}

#[test]
fn every_agent_of_a_run_has_a_constrained_line_beside_its_own() {
    let temporary = folder();
    let folder = temporary.path();
    let free = train(folder, &["eval.constrained=false", "eval.probes=0", HIMAC]);
    assert!(!free.contains("constrained"), "{free}");
    let read = |name: &str| -> Value {
        serde_json::from_str(&fs_err::read_to_string(folder.join("run").join(name)).unwrap()).unwrap()
    };
    let before = ["step_hrl", "flat", "himac"].map(|agent| read(&format!("{agent}/household-dev.json")));
    // The finished run is continued for the constrained episodes alone.
    let config = folder.join("run/config.toml");
    let text = fs_err::read_to_string(&config).unwrap();
    assert!(text.contains("constrained = false"));
    fs_err::write(&config, text.replace("constrained = false", "constrained = true")).unwrap();
    let table = ok(folder, &["train", "--resume", "run"]);
    let lines: Vec<&str> = table.lines().filter(|line| line.contains("  all  ")).collect();
    for (at, agent) in ["step_hrl", "flat", "himac"].into_iter().enumerate() {
        let names = [1 + 2 * at, 2 + 2 * at].map(|line| lines[line].split("  ").next().unwrap());
        assert_eq!(names, [agent, &format!("{agent}, constrained")], "{table}");
        assert_eq!(read(&format!("{agent}/household-dev.json")), before[at]);
        let value = read(&format!("{agent}/household-dev-constrained.json"));
        assert_eq!(
            (&value["agent"], &value["constrained"], &value["n"]),
            (&agent.into(), &true.into(), &4.into())
        );
        let shares = ["unparsable", "invalid_share"].map(|name| value[name].as_f64());
        assert_eq!((&value["errors"], shares), (&0.into(), [Some(0.0); 2]));
        let played = episodes(&folder.join(format!("run/{agent}/household-dev-constrained.jsonl.zst")));
        assert!(played.len() == 4 && played.iter().all(|episode| episode.policy.ends_with(", constrained")));
        played.iter().for_each(|episode| all_admissible("household", episode));
    }
    // It is finished now: another session repeats nothing.
    assert_eq!(ok(folder, &["train", "--resume", "run"]).lines().count(), table.lines().count());

    let compared = json(folder, &["compare", "run", "--over", "flat", "--json"]);
    let rows = compared.as_array().unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row["agent"].as_str().unwrap()).collect();
    let expected =
        ["step_hrl", "flat", "himac"].map(|agent| [agent.to_owned(), format!("{agent}, constrained")]);
    assert_eq!(names, expected.concat());
    let over: Vec<Option<&str>> = rows.iter().map(|row| row["gain"]["over"].as_str()).collect();
    let flat = [Some("flat"), Some("flat, constrained")];
    assert_eq!(over, [flat, [None; 2], flat].concat());

    // `evaluate` plays both, greedily and with sampling.
    for temperature in [None, Some("2.0")] {
        let mut arguments = vec!["evaluate", "run", "--agent", "flat", "--episodes", "4", "--json"];
        arguments.extend(["--trace", "t.jsonl", "--option", "penalise_noop=true"]);
        arguments.extend(temperature.iter().flat_map(|temperature| ["--temperature", temperature]));
        let alone = without_times(json(folder, &arguments));
        let wrong = episodes(&folder.join("t.jsonl"));
        assert!(wrong.iter().flat_map(Episode::steps).any(|step| step.unknown_action), "all is understood");
        arguments.push("--constrained");
        let mut both = without_times(json(folder, &arguments));
        let constrained = both.as_object_mut().unwrap().remove("constrained").unwrap();
        assert_eq!(both, alone);
        assert_eq!((&constrained["n"], &constrained["errors"]), (&4.into(), &0.into()));
        let played = episodes(&folder.join("t.jsonl"));
        assert_eq!(played[..4], wrong);
        played[4..].iter().for_each(|episode| all_admissible("household", episode));
        assert_eq!(played.len(), 8);
        if temperature.is_none() {
            let own = episodes(&folder.join("run/flat/household-dev-constrained.jsonl.zst"));
            let actions = |episodes: &[Episode]| -> Vec<String> {
                episodes.iter().flat_map(Episode::steps).map(|step| step.action.clone()).collect()
            };
            assert_eq!(actions(&played[4..]), actions(&own));
        }
    }
    let table = ok(folder, &["evaluate", "run", "--agent", "himac", "--episodes", "4", "--constrained"]);
    let names: Vec<&str> = table
        .lines()
        .filter(|line| line.contains("  all  "))
        .filter_map(|line| line.split("  ").next())
        .collect();
    assert_eq!(names, ["himac", "himac, constrained"], "{table}");

    // Without tokens for any action the reason is told.
    let text = fs_err::read_to_string(&config).unwrap();
    assert!(text.contains("short = 32"));
    fs_err::write(&config, text.replace("short = 32", "short = 1")).unwrap();
    let outcome = run(folder, &["evaluate", "run", "--agent", "flat", "--episodes", "2", "--constrained"]);
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    let (start, end) =
        outcome.err[outcome.err.find("error: ").unwrap()..].split_once(": none of the ").unwrap();
    assert!(start.starts_with("error: 2 of 2 episodes aborted; the first, household/dev/"), "{start}");
    assert!(
        end.ends_with(
            "admissible replies of the role flat can be written: each has a word that the vocabulary lacks, or more tokens \
             than the budget of 1\n"
        ),
        "{end}"
    );
}
