//! `evaluate --blueprints` through the binary: whose sub-goals a HiMAC agent follows.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::{episodes, folder, json, ok, run};
use stepladder_core::trace::Episode;
use stepladder_core::{Role, blueprint};

/// Where the run of the tests lies, and the options that its evaluations share. The model is hardly trained, so it samples, and the
/// blueprints of two tasks differ.
const EVALUATE: [&str; 7] = ["evaluate", "run", "--temperature", "1", "--episodes", "6", "--agent"];

fn trained(folder: &Path) {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tiny.toml");
    fs_err::copy(config, folder.join("tiny.toml")).unwrap();
    let sets = [
        "--set",
        "agents.step_hrl=false",
        "--set",
        "agents.flat.budget={ steps = 2 }",
        "--set",
        "agents.himac={ kind = \"himac\", algo = \"bc\", budget = { steps = 20 }, batch_tokens = 256 }",
    ];
    ok(folder, &[&["train", "tiny.toml", "--run-dir", "run"], &sets[..]].concat());
}

fn played(folder: &Path, blueprints: &str) -> BTreeMap<String, Episode> {
    let more = ["himac", "--blueprints", blueprints, "--trace", "trace.jsonl"];
    let table = ok(folder, &[&EVALUATE[..], &more].concat());
    assert_eq!(table.contains(&format!(", blueprints: {blueprints}")), blueprints != "own", "{table}");
    let found = episodes(&folder.join("trace.jsonl"));
    assert_eq!(found.len(), 6);
    found.into_iter().map(|episode| (episode.task.to_string(), episode)).collect()
}

fn texts(episode: &Episode) -> Vec<&str> {
    episode.subtasks.iter().map(|subtask| subtask.text.as_str()).collect()
}

#[test]
fn an_agent_follows_the_blueprints_that_it_is_given() {
    let temporary = folder();
    let folder = temporary.path();
    trained(folder);
    let own = played(folder, "own");
    let written: BTreeMap<&str, Vec<String>> = own
        .iter()
        .map(|(task, episode)| {
            let turn = episode.subtasks[0].turn.as_ref().unwrap();
            assert_eq!(turn.role, Role::Macro);
            (task.as_str(), blueprint::parse(&turn.reply, 8).unwrap_or_default())
        })
        .collect();
    // Empty ones are the task itself.
    let begins = |episode: &Episode, subgoals: &[String]| match subgoals {
        [] => texts(episode) == [episode.start.task.as_str()],
        _ => subgoals.iter().map(String::as_str).collect::<Vec<_>>().starts_with(&texts(episode)),
    };
    assert!(own.iter().all(|(task, episode)| begins(episode, &written[task.as_str()])));

    for (task, episode) in &played(folder, "other") {
        assert!(episode.turns().all(|turn| turn.role == Role::Micro), "{task}");
        let others =
            written.iter().filter(|(other, subgoals)| *other != task && **subgoals != written[task.as_str()]);
        assert!(others.map(|(_, subgoals)| subgoals).any(|subgoals| begins(episode, subgoals)), "{task}");
    }
    for (task, episode) in &played(folder, "none") {
        assert!(episode.turns().all(|turn| turn.role == Role::Micro), "{task}");
        assert_eq!(texts(episode), [episode.start.task.as_str()]);
    }
    ok(
        folder,
        &["demonstrate", "--env", "household", "--split", "dev", "--max-steps", "6", "-o", "expert.jsonl"],
    );
    let solutions: BTreeMap<String, Episode> = episodes(&folder.join("expert.jsonl"))
        .into_iter()
        .map(|episode| (episode.task.to_string(), episode))
        .collect();
    let of_expert = played(folder, "expert");
    let solved = of_expert.keys().filter(|task| solutions[*task].won).count();
    assert!(solved > 0 && solved < 6, "{solved} of 6: both cases");
    for (task, episode) in &of_expert {
        let solution = &solutions[task];
        let subgoals: Vec<String> = match solution.won {
            true => texts(solution).into_iter().map(str::to_owned).collect(),
            false => Vec::new(),
        };
        assert!(begins(episode, &subgoals), "{task}: {:?}, expected {subgoals:?}", texts(episode));
    }
    let report = json(folder, &[&EVALUATE[..], &["himac", "--blueprints", "expert", "--json"]].concat());
    assert_eq!(report["blueprints"], "expert");
    assert!(json(folder, &[&EVALUATE[..], &["himac", "--json"]].concat()).get("blueprints").is_none());
}

#[test]
fn blueprints_are_for_himac() {
    let temporary = folder();
    let folder = temporary.path();
    trained(folder);
    let refused = |agent: &str, blueprints: &str| {
        let outcome = run(folder, &[&EVALUATE[..], &[agent, "--blueprints", blueprints]].concat());
        assert_eq!(outcome.code, Some(2), "{}", outcome.err);
        outcome.err
    };
    let text = refused("flat", "none");
    assert!(text.contains("--blueprints none is for agents of kind himac; flat is of kind flat"), "{text}");
    assert!(refused("himac", "mine").contains("use own, other, expert, random or none"));
}

#[test]
fn random_sub_goals_teach_the_executor_of_himac_alone() {
    let temporary = folder();
    let folder = temporary.path();
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tiny.toml");
    fs_err::copy(config, folder.join("tiny.toml")).unwrap();
    let himac =
        "agents.himac={ kind = \"himac\", algo = \"bc\", budget = { steps = 20 }, batch_tokens = 256 }";
    let samples = |name: &str, more: &[&str]| -> BTreeMap<String, u64> {
        let train = ["train", "tiny.toml", "--run-dir", name, "--set", himac, "--set", "env.max_steps=20"];
        let outcome = run(folder, &[&train[..], more].concat());
        assert_eq!(outcome.code, Some(0), "{}", outcome.err);
        let count = |line: &str| {
            let (agent, rest) = line.split_once(": ")?;
            Some((agent.to_owned(), rest.split_once(" samples")?.0.parse().ok()?))
        };
        outcome.err.lines().filter_map(count).collect()
    };
    let (without, with) = (samples("without", &[]), samples("with", &["--set", "data.wander=2"]));
    let wandering = episodes(&folder.join("with/wandering.jsonl.zst"));
    assert!(!folder.join("without/wandering.jsonl.zst").exists());
    // Sub-goals beyond K_max are left out.
    let learnt = wandering.iter().flat_map(|episode| episode.subtasks.iter().take(8));
    let steps: usize = learnt.map(|subtask| subtask.steps.len()).sum();
    assert!(wandering.iter().flat_map(|episode| &episode.subtasks).all(|subtask| subtask.turn.is_none()));
    let of = |found: &BTreeMap<String, u64>, agent: &str| found[agent];
    // Without an agent that learns from them they are not played.
    samples("alone", &["--set", "data.wander=2", "--set", "agents.himac=false"]);
    assert!(!folder.join("alone/wandering.jsonl.zst").exists());
    assert_eq!(of(&with, "himac"), of(&without, "himac") + steps as u64);
    assert_eq!(of(&with, "step_hrl"), of(&without, "step_hrl"));
    assert_eq!(of(&with, "flat"), of(&without, "flat"));

    let evaluate = ["evaluate", "with", "--episodes", "6", "--agent", "himac", "--blueprints", "random"];
    let table = ok(folder, &[&evaluate[..], &["--trace", "trace.jsonl"]].concat());
    assert!(table.contains(", blueprints: random"), "{table}");
    let played = episodes(&folder.join("trace.jsonl"));
    let begun =
        played.iter().flat_map(|episode| &episode.subtasks).filter(|one| !one.steps.is_empty()).count();
    assert!(table.contains(&format!(" % of {begun} sub-goals were carried out")), "{table}");
    for episode in &played {
        assert!(episode.turns().all(|turn| turn.role == Role::Micro));
        let verbs = ["locate and ", "put ", "heat ", "clean ", "cool "];
        assert!(!texts(episode).contains(&episode.start.task.as_str()), "the task is no random sub-goal");
        assert!(texts(episode).iter().all(|text| verbs.iter().any(|verb| text.starts_with(verb))));
    }
    let report = json(folder, &[&evaluate[..], &["--json"]].concat());
    assert_eq!(report["subgoals"], begun);
    assert!((0.0..=1.0).contains(&report["follow_rate"].as_f64().unwrap()), "{report}");
    let flat = json(folder, &["evaluate", "with", "--episodes", "6", "--agent", "flat", "--json"]);
    assert!(flat.get("follow_rate").is_none(), "{flat}");
}
