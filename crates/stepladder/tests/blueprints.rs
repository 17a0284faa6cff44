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
    assert!(refused("himac", "mine").contains("use own, other, expert or none"));
}
