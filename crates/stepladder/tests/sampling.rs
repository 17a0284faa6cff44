//! Sampling and stop strings through the program, with a tiny random pretrained model.

#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::{episodes, folder, ok, run, tiny_llama};
use stepladder_core::trace::{Episode, Turn};

/// Plays household with the model `tiny` and returns the episodes.
fn play(folder: &Path, agent: &str, more: &[&str]) -> Vec<Episode> {
    let fixed = ["evaluate", "tiny", "--style", "instruct", "--env", "household", "--split", "dev"];
    let trace = ["--max-steps", "2", "--trace", "t.jsonl", "--trace-tokens", "--agent", agent];
    ok(folder, &[&fixed[..], &trace, more].concat());
    episodes(&folder.join("t.jsonl"))
}

fn turns(episodes: &[Episode]) -> Vec<&Turn> {
    episodes.iter().flat_map(|episode| episode.turns()).collect()
}

fn ids(turn: &Turn) -> &[u32] {
    &turn.tokens.as_ref().unwrap().reply
}

/// Ids of the replies of each episode, by task.
fn replies(episodes: &[Episode]) -> BTreeMap<String, Vec<Vec<u32>>> {
    let of = |episode: &Episode| episode.turns().map(|turn| ids(turn).to_vec()).collect();
    episodes.iter().map(|episode| (episode.task.to_string(), of(episode))).collect()
}

#[test]
fn a_sampled_episode_depends_on_its_seed_alone() {
    let temporary = folder();
    let folder = temporary.path();
    tiny_llama::write(folder, "tiny", 8192, 1);
    let sampled = |more: &[&str]| {
        let how = ["--temperature", "1.2", "--top-p", "0.9", "--top-k", "40"];
        replies(&play(folder, "step_hrl", &[&how, more].concat()))
    };
    let expected = sampled(&["--seed", "7", "--episodes", "6"]);
    // One after the other.
    assert!(sampled(&["--seed", "7", "--episodes", "6", "--slots", "1"]) == expected);
    // Among other games.
    let more = sampled(&["--seed", "7", "--episodes", "24"]);
    let common: Vec<&String> = expected.keys().filter(|task| more.contains_key(*task)).collect();
    assert!(!common.is_empty() && common.iter().all(|task| more[*task] == expected[*task]));
    assert!(sampled(&["--seed", "8", "--episodes", "6"]) != expected);
    // Without --seed it is 0.
    assert!(sampled(&["--episodes", "6"]) == sampled(&["--seed", "0", "--episodes", "6"]));
}

#[test]
fn one_most_likely_token_is_the_greedy_one() {
    let temporary = folder();
    let folder = temporary.path();
    tiny_llama::write(folder, "tiny", 8192, 1);
    let greedy = play(folder, "flat", &["--episodes", "4"]);
    for limit in [["--top-k", "1"], ["--top-p", "1e-9"]] {
        let how = [&["--episodes", "4", "--temperature", "3"], &limit[..]].concat();
        assert!(replies(&play(folder, "flat", &how)) == replies(&greedy));
    }
    let free = play(folder, "flat", &["--episodes", "4", "--temperature", "3"]);
    assert!(replies(&free) != replies(&greedy));
}

#[test]
fn a_reply_ends_before_a_stop_string() {
    let temporary = folder();
    let folder = temporary.path();
    tiny_llama::write(folder, "tiny", 8192, 1);
    let free = play(folder, "step_hrl", &["--episodes", "4"]);
    let first = |episodes: &[Episode]| -> Vec<Turn> {
        episodes.iter().map(|episode| episode.turns().next().unwrap().clone()).collect()
    };
    let free = first(&free);
    // A letter of each reply, from its middle: inside of a token, or a whole one.
    let letter = |turn: &Turn| -> String {
        let letters: Vec<char> = turn.reply.chars().filter(char::is_ascii_alphanumeric).collect();
        letters[letters.len() / 2].to_string()
    };
    let stops: Vec<String> = free.iter().map(letter).collect();
    let mut arguments = vec!["--episodes", "4"];
    arguments.extend(stops.iter().flat_map(|stop| ["--stop", stop]));
    let stopped = play(folder, "step_hrl", &arguments);
    for (stopped, free) in first(&stopped).iter().zip(&free) {
        assert!(!stopped.cut && stopped.tokens.as_ref().unwrap().logprobs.is_some());
        // The trace has the token that completes the stop string, the text ends before it.
        assert!(ids(free).starts_with(ids(stopped)) && ids(stopped).len() < ids(free).len());
        assert_eq!(stopped.new_tokens as usize, ids(stopped).len());
    }
    for turn in turns(&stopped) {
        assert!(!stops.iter().any(|stop| turn.reply.contains(stop)), "{stops:?}: {}", turn.reply);
    }
    // Where none of them occurs, nothing changes.
    let escaped = play(folder, "step_hrl", &["--episodes", "4", "--stop", "no such \\n\\t\\\\ text"]);
    assert_eq!(first(&escaped), free);
}

/// Rollouts of training and final tables end replies with the stop strings of the run, and so does its evaluation.
#[test]
fn a_run_has_its_own_stop_strings_and_limits() {
    let temporary = folder();
    let folder = temporary.path();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    fs_err::copy(tests.join("pretrained.toml"), folder.join("pretrained.toml")).unwrap();
    tiny_llama::write(folder, "llama", 4096, 1);
    let mut arguments =
        vec!["train", "pretrained.toml", "--run-dir", "run", "--set", "generation.stop=[\"o\"]"];
    for agent in ["offline", "per_role", "blueprints", "himac", "rloo", "gigpo", "ppo"] {
        arguments.extend(["--set", Box::leak(format!("agents.{agent}=false").into_boxed_str())]);
    }
    ok(folder, &arguments);
    let unstopped = |path: &str| {
        let played = episodes(&folder.join(path));
        let turns = turns(&played);
        assert!(!turns.is_empty(), "{path}");
        turns.iter().filter(|turn| turn.reply.contains('o')).count()
    };
    ok(folder, &["evaluate", "run", "--agent", "step_hrl", "--episodes", "2", "--trace", "run.jsonl"]);
    ok(
        folder,
        &[
            "evaluate",
            "run",
            "--agent",
            "step_hrl",
            "--episodes",
            "2",
            "--trace",
            "own.jsonl",
            "--stop",
            "qq",
        ],
    );
    for path in ["run/dagger/round-1.jsonl.zst", "run/grpo/household-dev.jsonl.zst", "run.jsonl"] {
        assert_eq!(unstopped(path), 0, "{path}");
    }
    assert!(unstopped("own.jsonl") > 0);
    for (set, error) in [
        (
            "generation.top_p=0.9",
            "generation.top_p is 0.9 (--set); it must be 1 while agents.himac learns with algo = \"himac\", whose probability ratios count every token that could be drawn",
        ),
        (
            "generation.stop=[\"\"]",
            "generation.stop is [\"\"] (--set); a stop string has at least one character",
        ),
    ] {
        let outcome = run(folder, &["train", "pretrained.toml", "--run-dir", "other", "--set", set]);
        assert!(outcome.code == Some(2) && outcome.err.contains(error), "{outcome:?}");
    }
    let outcome = run(folder, &["train", "demo", "--run-dir", "other", "--set", "generation.stop=[\"x\"]"]);
    let error = "generation.stop is [\"x\"] (--set); it is for pretrained models: name one with model.from, or remove this key";
    assert!(outcome.code == Some(2) && outcome.err.contains(error), "{outcome:?}");
}

#[test]
fn limits_and_stop_strings_out_of_range_are_refused() {
    let temporary = folder();
    for (arguments, error) in [
        (
            &["--top-p", "0", "--temperature", "1"][..],
            "invalid value '0' for '--top-p <TOP_P>': it must be a number above 0, at most 1",
        ),
        (
            &["--top-p", "1.1", "--temperature", "1"],
            "invalid value '1.1' for '--top-p <TOP_P>': it must be a number above 0, at most 1",
        ),
        (
            &["--top-k", "-1", "--temperature", "1"],
            "invalid value '-1' for '--top-k <TOP_K>': it must be a whole number, 0 or more",
        ),
        (&["--stop", ""], "invalid value '' for '--stop <TEXT>': it must have at least one character"),
        (
            &["--stop", "a\\q"],
            "invalid value 'a\\q' for '--stop <TEXT>': a backslash must be followed by n, t or another backslash",
        ),
        (&["--top-k", "3"], "the following required arguments were not provided:"),
        (&["--seed", "3"], "the following required arguments were not provided:"),
    ] {
        let outcome = run(temporary.path(), &[&["evaluate", "run"], arguments].concat());
        assert!(outcome.code == Some(2) && outcome.err.contains(error), "{outcome:?}");
    }
}
