//! `config check` refuses what `train` refuses, with the same sentence.

#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::path::Path;

use common::{files, folder, known_environments, ok, refused, run};

/// Expects both commands to refuse these settings with this message and to write nothing.
fn both_refuse(folder: &Path, sets: &[&str], message: &str) {
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", *set]).collect();
    refused(folder, &[&["config", "check", "tiny.toml"], &sets[..]].concat(), 2, message);
    refused(folder, &[&["train", "tiny.toml", "--run-dir", "run"], &sets[..]].concat(), 2, message);
    assert_eq!(files(folder), ["tiny.toml"]);
}

const HOUSEHOLD: &str = "household has train, dev, test, train-goals-1 to 8, dev-goals-1 to 8, test-goals-1 to 8, train-goals-1-3, test-500";

#[test]
fn names_of_environments_and_splits_are_checked_without_their_data() {
    let temporary = folder();
    let folder = temporary.path();
    let known = known_environments();
    both_refuse(
        folder,
        &["env.id=minigrid"],
        &format!("tiny.toml: env.id is \"minigrid\" (--set); known are {known}"),
    );
    both_refuse(
        folder,
        &["data.split=../x"],
        &format!("tiny.toml: data.split is \"../x\" (--set); {HOUSEHOLD}"),
    );
    for key in ["data.practice", "eval.split"] {
        let set = format!("{key}=tran");
        let message = format!("tiny.toml: {key} is \"tran\" (--set); {HOUSEHOLD}; did you mean train?");
        both_refuse(folder, &[&set], &message);
    }
    for (target, allowed) in [
        ("alfworld", "expected ENV/SPLIT, for example alfworld/valid_seen"),
        ("alfworld/", "expected ENV/SPLIT, for example alfworld/valid_seen"),
        ("alfworld/valid_seen/x", "expected ENV/SPLIT, for example alfworld/valid_seen"),
        ("minigrid/test", &format!("known environments are {known}")),
        (
            "alfworld/valid-seen",
            "alfworld has train, train_dev, valid_seen, valid_unseen; did you mean valid_seen?",
        ),
        ("sokoban/dev-6x6-1", "agents of household cannot play it: prompts of sokoban are of another style"),
    ] {
        let set = format!("eval.transfer=['household/test', '{target}']");
        let message = format!("tiny.toml: eval.transfer is a list with \"{target}\" (--set); {allowed}");
        both_refuse(folder, &[&set], &message);
    }
    let outcome = run(
        folder,
        &[
            "config",
            "check",
            "rl-household",
            "--set",
            "algo.online.tasks=sokoban/train-6x6-1",
            "--set",
            "env.id=houshold",
        ],
    );
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.err.contains("did you mean household?"), "{}", outcome.err);
    let outcome =
        run(folder, &["config", "check", "rl-household", "--set", "algo.online.tasks=sokoban/train-6x6-1"]);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.err.contains("algo.online.tasks is \"sokoban/train-6x6-1\""), "{}", outcome.err);
    // Checks that need data are left to `train`; ScienceWorld's splits take simplifications.
    ok(folder, &["config", "check", "alfworld-cpu"]);
    ok(folder, &["config", "check", "scienceworld-cpu", "--set", "eval.split=dev+openDoors"]);
}

#[test]
fn agents_that_are_not_there_cannot_be_left_out() {
    let temporary = folder();
    let folder = temporary.path();
    both_refuse(
        folder,
        &["agents.flta=false"],
        "--set agents.flta=false: unknown key agents.flta; did you mean agents.flat? the agents are step_hrl, flat",
    );
    both_refuse(
        folder,
        &["agents.stranger=false"],
        "--set agents.stranger=false: unknown key agents.stranger; the agents are step_hrl, flat",
    );
    // A repeated setting has the same effect.
    ok(folder, &["config", "check", "tiny.toml", "--set", "agents.flat=false", "--set", "agents.flat=false"]);
}

/// Returns the settings of a further agent like `flat`, under this name.
fn copied(name: &str) -> Vec<String> {
    ["kind=flat", "algo=bc", "budget={ steps = 2 }", "batch_tokens=256", "learning_rate=1e-3"]
        .map(|setting| format!("agents.{name}.{setting}"))
        .to_vec()
}

#[test]
fn agents_cannot_have_the_names_of_files_and_rows_of_a_run() {
    let temporary = folder();
    let folder = temporary.path();
    let long = "a".repeat(65);
    let shown = format!("{}…", "a".repeat(60));
    for (name, message) in [
        ("lock", "[agents.lock]: a run directory has a file of this name".to_owned()),
        ("Expert", "[agents.Expert]: tables have a row of this name".to_owned()),
        (
            "FLAT",
            "[agents.FLAT]: [agents.flat] differs in case alone, which not every file system can tell apart"
                .to_owned(),
        ),
        (&long, format!("[agents.{shown}]: the name has 65 characters, and may have 64")),
        ("-x", "[agents.-x]: on the command line it would be an option".to_owned()),
    ] {
        let sets = copied(name);
        let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
        both_refuse(folder, &sets, &format!("tiny.toml: {message}; choose another name"));
    }
    for name in ["a/b", "a.b", "..", "é"] {
        let set = format!("[agents.\"{name}\"]\nkind = \"flat\"\n");
        let text = format!("{}\n{set}", fs_err::read_to_string(folder.join("tiny.toml")).unwrap());
        fs_err::write(folder.join("named.toml"), text).unwrap();
        let outcome = run(folder, &["config", "check", "named.toml"]);
        assert_eq!(outcome.code, Some(2));
        let message = format!("unknown key agents.{name:?}; an agent's name has letters, digits, _ and -\n");
        assert!(outcome.err.contains(&message), "{}", outcome.err);
        fs_err::remove_file(folder.join("named.toml")).unwrap();
    }
}

#[test]
fn sentences_about_values_fit_them() {
    let temporary = folder();
    let folder = temporary.path();
    both_refuse(
        folder,
        &["model.width=1"],
        "tiny.toml: [model.scratch]: width 1 is not a multiple of heads 2; the nearest is 2 (width from --set, heads from tiny.toml:17)",
    );
    both_refuse(
        folder,
        &["agents=5"],
        "--set agents=5: agents is 5 (a whole number); expected a table [agents.NAME] for each agent",
    );
    both_refuse(
        folder,
        &["agents.flat.from=flat"],
        "tiny.toml: agents.flat.from is \"flat\" (--set); an agent cannot start from itself",
    );
    let large = "a number is too large: whole numbers end at 2^63 - 1, others at 1.8e308";
    for set in ["model.rope_theta=1e400", "seed=9223372036854775808"] {
        let message =
            format!("--set {set}: {large}; write --set KEY=VALUE, for example --set algo.adamw.clip=0.5");
        both_refuse(folder, &[set], &message);
    }
    both_refuse(
        folder,
        &["seed=-1"],
        "--set seed=-1: seed is -1 (a whole number); expected a whole number from 0 to 2^63 - 1",
    );
}
