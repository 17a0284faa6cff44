//! Invalid usage and damaged files: one clear sentence, an exit code, and no loss of data.

#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::path::Path;

use common::{checkpoints, episodes, files, folder, known_environments, metrics, ok, refused, run};

/// Expects wrong usage that the command line detects: exit code 2, and this first line.
fn misused(folder: &Path, arguments: &[&str], first_line: &str) {
    let outcome = run(folder, arguments);
    assert_eq!(outcome.code, Some(2), "{arguments:?}: {outcome:#?}");
    assert_eq!(outcome.err.lines().next(), Some(format!("error: {first_line}").as_str()), "{arguments:?}");
}

#[test]
fn wrong_usage_is_code_2() {
    let temporary = folder();
    let folder = temporary.path();
    misused(folder, &["trian"], "unrecognized subcommand 'trian'");
    misused(folder, &["train"], "the following required arguments were not provided:");
    misused(
        folder,
        &["train", "demo", "--resume", "x"],
        "the argument '[CONFIG]' cannot be used with '--resume <DIR>'",
    );
    misused(folder, &["train", "demo", "--epochs", "3"], "unexpected argument '--epochs' found");
    misused(
        folder,
        &["train", "demo", "--device", "gpu"],
        "invalid value 'gpu' for '--device <DEVICE>': use cpu, cuda or cuda:N",
    );
    for temperature in ["0", "nan", "inf", "warm"] {
        misused(
            folder,
            &["collect", "x", "-o", "y", "--temperature", temperature],
            &format!(
                "invalid value '{temperature}' for '--temperature <TEMPERATURE>': it must be a number above 0; \
                 omit it for greedy decoding"
            ),
        );
    }
    misused(
        folder,
        &["evaluate", "x", "--episodes", "0"],
        "invalid value '0' for '--episodes <EPISODES>': it must be a whole number, 1 or more",
    );
    misused(
        folder,
        &["evaluate", "x", "--max-steps", "0"],
        "invalid value '0' for '--max-steps <MAX_STEPS>': 0 is not in 1..=4294967295",
    );
    misused(folder, &["env", "generate", "household"], "the following required arguments were not provided:");
    refused(
        folder,
        &["demonstrate", "--env", "household", "--split", "dev", "--noise", "1.5", "-o", "d.jsonl"],
        2,
        "--noise 1.5 must be in [0, 1)",
    );
    refused(
        folder,
        &["reference", "paper"],
        2,
        "unknown page `paper`; known are cli, config, presets, metrics",
    );
    refused(
        folder,
        &["env", "play", "household", "--task", "200"],
        2,
        "household/dev has 200 tasks; --task counts from 0",
    );
}

#[test]
fn unknown_names_are_code_2_and_write_nothing() {
    let temporary = folder();
    let folder = temporary.path();
    let known = known_environments();
    let demonstrate = |env, split| ["demonstrate", "--env", env, "--split", split, "-o", "d.jsonl"];
    refused(
        folder,
        &demonstrate("alfwold", "train"),
        2,
        &format!("unknown environment `alfwold`; known are {known}; did you mean alfworld?"),
    );
    refused(
        folder,
        &["env", "bench", "chess"],
        2,
        &format!("unknown environment `chess`; known are {known}"),
    );
    refused(
        folder,
        &demonstrate("household", "valid_seen"),
        2,
        "household has no split `valid_seen`; it has train, dev, test, train-goals-1 to 8, dev-goals-1 to 8, test-goals-1 to 8, train-goals-1-3, test-500",
    );
    refused(
        folder,
        &["env", "generate", "household", "--split", "valid", "-o", "g"],
        2,
        "there is no split `valid` of generated households; there are train, dev and test",
    );
    refused(
        folder,
        &["env", "verify", "chess", "--transcripts", "x"],
        2,
        &format!("unknown environment `chess`; known are {known}"),
    );
    let train = |set| ["train", "tiny.toml", "--run-dir", "run", "--set", set];
    refused(
        folder,
        &train("env.id=housold"),
        2,
        &format!("tiny.toml: env.id is \"housold\" (--set); known are {known}; did you mean household?"),
    );
    refused(
        folder,
        &train("data.split=dve"),
        2,
        "tiny.toml: data.split is \"dve\" (--set); household has train, dev, test, train-goals-1 to 8, dev-goals-1 to 8, test-goals-1 to 8, train-goals-1-3, test-500; did you mean dev?",
    );
    refused(
        folder,
        &train("eval.split=dve"),
        2,
        "tiny.toml: eval.split is \"dve\" (--set); household has train, dev, test, train-goals-1 to 8, dev-goals-1 to 8, test-goals-1 to 8, train-goals-1-3, test-500; did you mean dev?",
    );
    refused(
        folder,
        &train("eval.transfer=['alfworld/test']"),
        2,
        "tiny.toml: eval.transfer is a list with \"alfworld/test\" (--set); alfworld has train, train_dev, valid_seen, valid_unseen",
    );
    assert_eq!(files(folder), ["tiny.toml"]);
}

#[test]
fn configurations_that_cannot_be_trained_are_code_2_and_write_nothing() {
    let temporary = folder();
    let folder = temporary.path();
    refused(
        folder,
        &["train", "dmeo"],
        2,
        "unknown preset \"dmeo\"; did you mean demo? presets are ablations, alfworld, alfworld-cpu, demo, himac-ablations, himac-sokoban, horizon, mixed-household, mixed-scienceworld, offline-controls, rl-chains, rl-chains-flat, rl-household, rl-sokoban, rl-sokoban-7x7, rl-webshop, scienceworld, scienceworld-ablations, scienceworld-cpu, smollm2-alfworld, smollm2-alfworld-scratch, smollm2-household, smollm2-household-scratch, smollm2-webshop, webshop-ablations, webshop-cpu, webshop-small, and a file is given by a path that \
         ends in .toml or contains /",
    );
    refused(
        folder,
        &["train", "demo.toml"],
        2,
        "demo.toml: no such file; did you mean the preset demo? presets are ablations, alfworld, alfworld-cpu, demo, himac-ablations, himac-sokoban, horizon, mixed-household, mixed-scienceworld, offline-controls, rl-chains, rl-chains-flat, rl-household, rl-sokoban, rl-sokoban-7x7, rl-webshop, scienceworld, scienceworld-ablations, scienceworld-cpu, smollm2-alfworld, smollm2-alfworld-scratch, smollm2-household, smollm2-household-scratch, smollm2-webshop, webshop-ablations, webshop-cpu, webshop-small",
    );
    fs_err::write(folder.join("typo.toml"), "preset = \"demo\"\n\n[env]\nmax_step = 9\n").unwrap();
    refused(
        folder,
        &["train", "typo.toml"],
        2,
        "typo.toml:4: unknown key env.max_step; did you mean env.max_steps? [env] takes id, max_steps, penalise_noop, options\n    max_step = 9",
    );
    fs_err::write(folder.join("broken.toml"), "preset = \"demo\"\n[env\n").unwrap();
    let broken = run(folder, &["config", "check", "broken.toml"]);
    assert_eq!(broken.code, Some(2));
    assert!(broken.err.starts_with("error: broken.toml:2: not valid TOML: "), "{}", broken.err);
    let with = |set| ["train", "tiny.toml", "--set", set];
    refused(
        folder,
        &with("model.scratch.width"),
        2,
        "--set model.scratch.width: there is no =; write --set KEY=VALUE, for example --set algo.adamw.clip=0.5",
    );
    refused(
        folder,
        &with("model.width=wide"),
        2,
        "--set model.width=wide: model.scratch.width is \"wide\" (a string); expected a whole number",
    );
    refused(
        folder,
        &with("model.heads=3"),
        2,
        "tiny.toml: [model.scratch]: width 16 is not a multiple of heads 3; nearest are 15 and 18 (width from \
         tiny.toml:15, heads from --set)",
    );
    refused(
        folder,
        &["train", "tiny.toml", "--set", "model.width=1048576", "--set", "model.layers=1000"],
        2,
        "tiny.toml: [model.scratch]: width 1048576, ffn 24 and layers 1000 give 3.3e15 parameters; at most 4.0e9 \
         are supported (width from --set, layers from --set, ffn from tiny.toml:19)",
    );
    assert_eq!(files(folder), ["broken.toml", "tiny.toml", "typo.toml"]);
}

#[test]
fn a_window_too_small_for_the_demonstrations_is_noticed_before_training() {
    let temporary = folder();
    let folder = temporary.path();
    // Noisy demonstrations wander, so that histories outgrow the prompts of single steps.
    let wandering = ["--set", "env.max_steps=50", "--set", "data.noise=0.4", "--set", "data.noisy_passes=1"];
    let needed = |window: &str, agent: &str, more: &[&str]| -> u32 {
        let set = format!("model.max_positions={window}");
        let train = ["train", "tiny.toml", "--run-dir", "run", "--set", &set];
        let outcome = run(folder, &[&train[..], &wandering, more].concat());
        assert_eq!(outcome.code, Some(1), "{outcome:#?}");
        let message = outcome.err.lines().last().unwrap();
        let needed: u32 = message
            .strip_prefix(&format!("error: model.scratch.max_positions is {window}, but {agent} needs "))
            .and_then(|rest| rest.split_once(' '))
            .map(|(number, _)| number.parse().unwrap())
            .unwrap_or_else(|| panic!("{message}"));
        let rest =
            format!("prompt and reply together in these demonstrations: raise it to at least {needed}");
        assert!(message.ends_with(&rest), "{message}");
        assert!(!folder.join("run/step_hrl/checkpoints").exists(), "the first agent was not trained");
        fs_err::remove_dir_all(folder.join("run")).unwrap();
        needed
    };
    let alone = ["--set", "agents.flat=false"];
    let step_hrl = needed("40", "step_hrl", &alone);
    assert!(step_hrl > 150, "{step_hrl}");
    // The agent with the largest need is named, even if it is trained last.
    let flat = needed(&step_hrl.to_string(), "flat", &[]);
    assert!(flat > step_hrl, "{flat} and {step_hrl}");
    // The advised size suffices, even for the long texts of an untrained model.
    let window = format!("model.max_positions={step_hrl}");
    let steps = ["--set", "agents.step_hrl.budget={ steps = 2 }"];
    ok(folder, &[&["train", "tiny.toml", "--set", &window], &wandering[..], &alone[..], &steps[..]].concat());
}

#[test]
fn places_that_cannot_be_used_are_named() {
    let temporary = folder();
    let folder = temporary.path();
    // Below a regular file nothing can be created, not even by root.
    refused(
        folder,
        &["train", "tiny.toml", "--run-dir", "tiny.toml/run"],
        1,
        "cannot write the run directory tiny.toml/run: choose another with --run-dir: failed to create directory \
         `tiny.toml/run`: Not a directory (os error 20)",
    );
    refused(
        folder,
        &["demonstrate", "--env", "household", "--split", "dev", "-o", "nowhere/d.jsonl"],
        1,
        "cannot write nowhere/d.jsonl: No such file or directory (os error 2)",
    );
    let transcript = ["env", "verify", "alfworld", "--transcripts", "none.jsonl"];
    refused(
        folder,
        &transcript,
        1,
        "none.jsonl: cannot open the transcript: failed to open file `none.jsonl`: No such file or directory (os error 2)",
    );
    fs_err::write(folder.join("none.jsonl"), "{\"step\": 0}\n").unwrap();
    refused(
        folder,
        &transcript,
        1,
        "none.jsonl: row 1: no `observation`; every row has `observation`, `reward` and `done`",
    );
    let row =
        r#"{"step": 0, "game": "train/a/b/game.tw-pddl", "observation": "", "reward": 0, "done": false}"#;
    fs_err::write(folder.join("none.jsonl"), row).unwrap();
    refused(
        folder,
        &transcript,
        1,
        "none.jsonl: row 1: there is no game train/a/b/game.tw-pddl; name the data root with --data or STEPLADDER_DATA",
    );
    fs_err::write(folder.join("none.jsonl"), "").unwrap();
    refused(folder, &transcript, 1, "none.jsonl: the transcript holds no row");

    for command in [&["evaluate", "nowhere"][..], &["collect", "nowhere", "-o", "c.jsonl"]] {
        refused(folder, command, 1, "nowhere: no such run or checkpoint");
    }
    fs_err::create_dir(folder.join("empty")).unwrap();
    let neither = "is no run (it has no config.toml), no checkpoint (it has no trainer.json) and no model (it has no config.json)";
    refused(folder, &["evaluate", "empty"], 1, &format!("empty {neither}"));
    refused(folder, &["evaluate", "tiny.toml"], 1, &format!("tiny.toml {neither}"));
    for place in ["empty", "nowhere"] {
        let message = format!("{place} is not a run directory: it has no config.toml");
        refused(folder, &["train", "--resume", place], 1, &message);
    }
}

/// Writes a game in the official layout.
fn put_game(folder: &Path, task: &str, text: &str) {
    put_game_in(folder, "valid_seen", task, text);
}

fn put_game_in(folder: &Path, split: &str, task: &str, text: &str) {
    let directory = folder.join("data/alfworld/json_2.1.1").join(split).join(task).join("trial_1");
    fs_err::create_dir_all(&directory).unwrap();
    fs_err::write(directory.join("game.tw-pddl"), text).unwrap();
}

#[test]
fn absent_and_damaged_games_are_named() {
    let temporary = folder();
    let folder = temporary.path();
    let play = ["demonstrate", "--env", "alfworld", "--split", "valid_seen", "-o", "d.jsonl"];
    let with_data = [&play[..], &["--data", "data"]].concat();
    refused(
        folder,
        &play,
        1,
        "alfworld: no data root for the official games: set STEPLADDER_DATA or pass --data DIR (DIR holds \
         alfworld/json_2.1.1/<split>/…; `stepladder data status` shows where the games come from)",
    );
    let remedy = "name the data root with --data or STEPLADDER_DATA (`stepladder data status` shows where they come from)";
    refused(
        folder,
        &with_data,
        1,
        &format!("data/alfworld/json_2.1.1: the official ALFWorld games are missing; {remedy}"),
    );
    refused(
        folder,
        &["train", "alfworld-cpu", "--run-dir", "run", "--data", "data"],
        1,
        &format!("data/alfworld/json_2.1.1: the official ALFWorld games are missing; {remedy}"),
    );
    fs_err::create_dir_all(folder.join("data/alfworld/json_2.1.1/train")).unwrap();
    refused(
        folder,
        &with_data,
        1,
        &format!(
            "data/alfworld/json_2.1.1/valid_seen: this split of the official ALFWorld games is missing; {remedy}"
        ),
    );

    ok(folder, &["env", "generate", "household", "--count", "1", "-o", "g"]);
    let good = fs_err::read_to_string(folder.join("g/seed-0/game.tw-pddl")).unwrap();
    put_game(folder, "a", &good);
    put_game(folder, "b", &good[..good.len() / 2]);
    let refusal = run(folder, &with_data);
    assert_eq!(refusal.code, Some(1), "{refusal:#?}");
    let place = "error: data/alfworld/json_2.1.1/valid_seen/b/trial_1/game.tw-pddl: ";
    let reason = "not a game file (truncated or corrupt?): EOF while parsing";
    assert!(refusal.err.starts_with(&format!("{place}{reason}")), "{}", refusal.err);
    assert!(!files(folder).iter().any(|file| file.contains("d.jsonl")), "{:?}", files(folder));

    // A game that fails only when it is played costs its own episode: the others are kept.
    let foreign = r#"{"pddl_domain": "(define)", "grammar": "{}", "pddl_problem": "", "solvable": true}"#;
    put_game(folder, "b", foreign);
    let walkthrough = [&with_data[..], &["--walkthrough"]].concat();
    for arguments in [&with_data[..], &walkthrough] {
        let partial = run(folder, arguments);
        assert_eq!(partial.code, Some(0), "{partial:#?}");
        let message = "warning: 1 of 2 episodes aborted and dropped; the first, alfworld/valid_seen/valid_seen/b/trial_1: \
                       data/alfworld/json_2.1.1/valid_seen/b/trial_1/game.tw-pddl: unknown PDDL domain (fingerprint ";
        assert!(partial.err.contains(message), "{}", partial.err);
        let kept = episodes(&folder.join("d.jsonl"));
        assert_eq!(kept.len(), 1);
        assert!(kept[0].won && kept[0].error.is_none());
        fs_err::remove_file(folder.join("d.jsonl")).unwrap();
    }
    // If most episodes are aborted, nothing is written.
    put_game(folder, "a", foreign);
    for arguments in [&with_data[..], &walkthrough] {
        let refusal = run(folder, arguments);
        assert_eq!(refusal.code, Some(1), "{refusal:#?}");
        let message = "error: 2 of 2 episodes aborted, more than half; the first, alfworld/valid_seen/valid_seen/a/trial_1: ";
        assert!(refusal.err.contains(message), "{}", refusal.err);
        assert!(!folder.join("d.jsonl").exists());
    }
    put_game(folder, "a", &good);
    let bench = ["env", "bench", "alfworld", "--split", "valid_seen", "--data", "data"];
    assert_eq!(run(folder, &bench).code, Some(1));
}

#[test]
fn runs_and_checkpoints_that_do_not_fit_are_refused_and_left_alone() {
    let temporary = folder();
    let folder = temporary.path();
    let short = ["--set", "agents.step_hrl=false", "--set", "agents.flat.budget={ steps = 3 }"];
    ok(folder, &[&["train", "tiny.toml", "--run-dir", "run"], &short[..]].concat());
    let root = folder.join("run");
    let before = files(&root);
    refused(
        folder,
        &["train", "tiny.toml", "--run-dir", "run"],
        1,
        "run already holds a run: continue it with `stepladder train --resume run` or choose another --run-dir",
    );
    refused(
        folder,
        &["evaluate", "run", "--agent", "step_hrl"],
        1,
        "run has no agent `step_hrl`; it has flat",
    );
    refused(
        folder,
        &["compare", "run", "--on", "alfworld"],
        2,
        "--on alfworld must be ENV/SPLIT, for example alfworld/valid_seen",
    );
    refused(
        folder,
        &["compare", "run", "--on", "alfworld/valid_seen"],
        1,
        "no agent of these runs was evaluated on alfworld/valid_seen",
    );
    refused(folder, &["compare", "run", "--over", "stranger"], 1, "run has no agent `stranger`; it has flat");
    refused(folder, &["compare", "nowhere"], 1, "nowhere is not a run directory: it has no config.toml");
    let newest = "run/flat/checkpoints/step-00000003";
    refused(
        folder,
        &["evaluate", newest, "--split", "dev"],
        2,
        "a checkpoint does not record its env: pass --env",
    );
    refused(
        folder,
        &["evaluate", newest, "--agent", "step_hrl", "--env", "household", "--split", "dev"],
        1,
        &format!("{newest} is a checkpoint of flat, not of step_hrl"),
    );
    refused(
        folder,
        &["collect", "run", "--count", "2", "-o", "nowhere/c.jsonl"],
        1,
        "cannot write nowhere/c.jsonl: No such file or directory (os error 2)",
    );
    assert_eq!(files(&root), before);

    // As if training had been stopped before its end.
    fs_err::remove_file(root.join("flat/trained.json")).unwrap();
    let resume = ["train", "--resume", "run"];
    let edit = |from: &str, to: &str| {
        let text = fs_err::read_to_string(root.join("config.toml")).unwrap();
        assert!(text.contains(from));
        fs_err::write(root.join("config.toml"), text.replace(from, to)).unwrap();
    };
    edit("width = 16", "width = 32");
    refused(
        folder,
        &resume,
        1,
        "run/config.toml: the configuration was changed since the run was started: model.scratch.width is 32, was 16; put it \
         back as it was, or start a new run (only threads, eval.slots, eval.prefix_mib, \
         eval.remembered_tokens, eval.constrained, eval.final, eval.transfer, log.every_seconds, log.checkpoint_seconds, log.keep may change)",
    );
    edit("width = 32", "widht = 32");
    refused(
        folder,
        &resume,
        2,
        "run/config.toml:29: unknown key model.scratch.widht; did you mean model.scratch.width? [model.scratch] takes width, layers, heads, \
         kv_heads, ffn, max_positions, rope_theta, norm_eps, tied\n    widht = 32",
    );
    edit("widht = 32", "width = 16");

    let tensors = root.join("flat/checkpoints/step-00000003/trainer.safetensors");
    let whole = fs_err::read(&tensors).unwrap();
    fs_err::write(&tensors, &whole[..whole.len() / 2]).unwrap();
    let damage = format!("{newest}/trainer.safetensors: damaged or edited since it was saved");
    let refusal = run(folder, &resume);
    assert_eq!(refusal.code, Some(1), "{refusal:#?}");
    let advice = format!("remove {newest} to continue from step-00000002: {damage}");
    let message = refusal.err.lines().last().unwrap();
    assert!(
        message.starts_with(&format!("error: the newest checkpoint cannot be loaded; {advice}")),
        "{message}"
    );
    let refusal = run(folder, &["evaluate", newest, "--env", "household", "--split", "dev"]);
    assert_eq!(refusal.code, Some(1), "{refusal:#?}");
    assert!(refusal.err.starts_with(&format!("error: {damage}")), "{}", refusal.err);
    assert_eq!(checkpoints(&root, "flat").len(), 2, "nothing was removed");
    // The advised remedy works.
    fs_err::remove_dir_all(folder.join(newest)).unwrap();
    ok(folder, &resume);
    assert_eq!(fs_err::read(&tensors).unwrap(), whole);

    fs_err::remove_file(root.join("flat/trained.json")).unwrap();
    fs_err::write(root.join("demonstrations.jsonl.zst"), "not compressed").unwrap();
    let refusal = run(folder, &resume);
    assert_eq!(refusal.code, Some(1), "{refusal:#?}");
    let message = "error: run/demonstrations.jsonl.zst are not the demonstrations that this run began with: their SHA-256 is ";
    assert!(refusal.err.starts_with(message), "{}", refusal.err);
    let advice = "; put them back, or remove the file to have the expert play again\n";
    assert!(refusal.err.ends_with(advice), "{}", refusal.err);
    fs_err::remove_file(root.join("demonstrations.jsonl.zst")).unwrap();
    ok(folder, &resume);
}

/// `tiny.toml` with an agent trained by DAgger.
const IMITATION: &str = r#"
[algo.dagger]
rounds = 1
games = 0
temperature = 0.0

[agents.dagger]
kind = "step_hrl"
algo = "dagger"
from = "step_hrl"
budget = { steps = 2 }
batch_tokens = 256
learning_rate = 1e-3
"#;

#[test]
fn a_game_that_breaks_costs_its_own_episode_in_every_part_of_a_run() {
    let temporary = folder();
    let folder = temporary.path();
    ok(folder, &["env", "generate", "household", "--count", "8", "-o", "g"]);
    for number in 0..8 {
        let game = fs_err::read_to_string(folder.join(format!("g/seed-{number}/game.tw-pddl"))).unwrap();
        put_game(folder, &format!("good-{number}"), &game);
    }
    let foreign = r#"{"pddl_domain": "(define)", "grammar": "{}", "pddl_problem": "", "solvable": true}"#;
    put_game(folder, "broken", foreign);
    let tiny = fs_err::read_to_string(folder.join("tiny.toml")).unwrap();
    fs_err::write(folder.join("mine.toml"), tiny + IMITATION).unwrap();
    let sets = [
        "env.id=alfworld",
        "env.max_steps=50",
        "data.split=valid_seen",
        "data.games=0",
        "eval.split=valid_seen",
    ];
    let mut train =
        vec!["train", "mine.toml", "--run-dir", "run", "--data", "data", "--set", "agents.flat=false"];
    train.extend(sets.iter().flat_map(|set| ["--set", *set]));
    let trained = run(folder, &train);
    assert_eq!(trained.code, Some(0), "{trained:#?}");
    let lost =
        "1 of 9 episodes aborted and dropped; the first, alfworld/valid_seen/valid_seen/broken/trial_1: ";
    for what in ["demonstrations", "dagger plays round 1"] {
        assert!(trained.err.contains(&format!("warning: {what}: {lost}")), "{}", trained.err);
    }
    let table = fs_err::read_to_string(folder.join("run/table.txt")).unwrap();
    let said =
        "\ndropped: dagger plays round 1, 1 of 9 episodes aborted; demonstrations, 1 of 9 episodes aborted\n";
    assert!(table.contains(said), "{table}");
    let kept: serde_json::Value =
        serde_json::from_str(&fs_err::read_to_string(folder.join("run/dropped.json")).unwrap()).unwrap();
    assert_eq!(kept["demonstrations"]["episodes"], 1, "{kept}");
    assert_eq!(episodes(&folder.join("run/dagger/round-1.jsonl.zst")).len(), 8);

    // If most episodes are aborted, the run stops.
    for number in 0..4 {
        put_game(folder, &format!("good-{number}"), foreign);
    }
    train[3] = "again";
    refused_with(
        folder,
        &train,
        "5 of 9 episodes aborted, more than half; the first, alfworld/valid_seen/valid_seen/broken/trial_1: ",
    );
}

/// Games of the evaluation break while a run is continued: its probes and its evaluations fail, and nothing of them is kept.
#[test]
fn an_evaluation_that_is_mostly_aborted_is_played_again_when_the_run_continues() {
    let temporary = folder();
    let folder = temporary.path();
    ok(folder, &["env", "generate", "household", "--count", "3", "-o", "g"]);
    let game =
        |number: usize| fs_err::read_to_string(folder.join(format!("g/seed-{number}/game.tw-pddl"))).unwrap();
    for number in 0..3 {
        put_game(folder, &format!("game-{number}"), &game(number));
        put_game_in(folder, "valid_unseen", &format!("game-{number}"), &game(number));
    }
    let foreign = r#"{"pddl_domain": "(define)", "grammar": "{}", "pddl_problem": "", "solvable": true}"#;
    let breaks = |numbers: std::ops::Range<usize>| {
        numbers.for_each(|number| put_game_in(folder, "valid_unseen", &format!("game-{number}"), foreign));
    };
    let mended = |numbers: std::ops::Range<usize>| {
        numbers.for_each(|number| {
            put_game_in(folder, "valid_unseen", &format!("game-{number}"), &game(number));
        });
    };
    let sets = [
        "env.id=alfworld",
        "env.max_steps=50",
        "data.split=valid_seen",
        "data.games=0",
        "eval.split=valid_unseen",
        "eval.probe_episodes=3",
        "agents.step_hrl=false",
        "agents.flat.budget={ steps = 4 }",
    ];
    let mut train = vec!["train", "tiny.toml", "--run-dir", "run", "--data", "data"];
    train.extend(sets.iter().flat_map(|set| ["--set", *set]));
    let resume = ["train", "--resume", "run", "--data", "data"];
    let first = "the first, alfworld/valid_unseen/valid_unseen/game-0/trial_1: ";
    let most = format!("2 of 3 episodes aborted, more than half; {first}");
    let run_dir = folder.join("run");
    let (kept, table) = ("alfworld-valid_unseen.jsonl.zst", "alfworld-valid_unseen.json");

    breaks(0..2);
    refused_with(folder, &train, &format!("expert on valid_unseen: {most}"));
    assert!(!run_dir.join(format!("expert-{kept}")).exists());
    mended(1..2);
    // One in three is counted, shown, and no error.
    let outcome = run(folder, &resume);
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    assert!(outcome.err.contains(&format!("warning: 1 of 3 episodes aborted; {first}")), "{}", outcome.err);
    let text = fs_err::read_to_string(run_dir.join("table.txt")).unwrap();
    let shown = "\ncounted as failed: expert, 1 of 3 episodes aborted; flat, 1 of 3 episodes aborted\n";
    assert!(text.contains(shown), "{text}");

    let agent = run_dir.join("flat");
    for file in [kept, table] {
        fs_err::remove_file(agent.join(file)).unwrap();
    }
    breaks(1..2);
    refused_with(folder, &resume, &format!("flat on valid_unseen: {most}"));
    assert!(!agent.join(kept).exists() && !agent.join(table).exists());
    mended(0..2);
    ok(folder, &resume);
    assert_eq!(episodes(&agent.join(kept)).len(), 3);

    fs_err::remove_dir_all(&agent).unwrap();
    breaks(0..2);
    refused_with(folder, &resume, &format!("a probe of flat failed: {most}"));
    let probes = || metrics(&run_dir, "flat").iter().filter(|line| !line["probe/success"].is_null()).count();
    assert_eq!(probes(), 0);
    mended(0..2);
    ok(folder, &resume);
    assert_eq!(probes(), 1);
}

/// The vocabulary has the words of the split that an agent practises in. Its episodes are played once, so that a continued run
/// has the same words, whichever episodes are aborted later.
#[test]
fn the_words_of_a_practice_split_are_kept_with_the_run() {
    let temporary = folder();
    let folder = temporary.path();
    let tiny = fs_err::read_to_string(folder.join("tiny.toml")).unwrap();
    fs_err::write(folder.join("mine.toml"), tiny + IMITATION).unwrap();
    let practice = [
        "--set",
        "agents.flat=false",
        "--set",
        "algo.dagger.tasks=household/test",
        "--set",
        "data.word_games=7",
    ];
    ok(folder, &[&["train", "mine.toml", "--run-dir", "run"], &practice[..]].concat());
    let table = fs_err::read_to_string(folder.join("run/table.txt")).unwrap();
    let words = folder.join("run/words-household-test.jsonl.zst");
    assert_eq!(episodes(&words).len(), 7);
    let kept = fs_err::read(&words).unwrap();
    fs_err::write(&words, "no trace").unwrap();
    refused_with(folder, &["train", "--resume", "run"], "run/words-household-test.jsonl.zst");
    fs_err::write(&words, kept).unwrap();
    ok(folder, &["train", "--resume", "run"]);
    let again = fs_err::read_to_string(folder.join("run/table.txt")).unwrap();
    let before_times = |text: &str| text.split_once("\ntraining: ").unwrap().0.to_owned();
    assert_eq!(before_times(&again), before_times(&table));
}

/// Expects a command to fail with this beginning of its message.
fn refused_with(folder: &Path, arguments: &[&str], start: &str) {
    let outcome = run(folder, arguments);
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    assert!(outcome.err.contains(&format!("error: {start}")), "{}", outcome.err);
}
