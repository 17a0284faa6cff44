//! Sokoban through the program.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use common::{command, episodes, files, finish, folder, json, ok, run};
use serde_json::{Value, json};
use stepladder_testing::data_root;

#[test]
fn the_list_says_what_there_is() {
    let temporary = folder();
    let list = json(temporary.path(), &["env", "list", "--json"]);
    let sokoban = list.as_array().unwrap().iter().find(|env| env["id"] == "sokoban").unwrap();
    assert_eq!(sokoban["max_steps"], 120);
    let splits: Vec<&str> = sokoban["splits"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!((splits[0], splits.len()), ("train-6x6-1", 18));
}

#[test]
fn recorded_episodes_of_both_originals_agree() {
    let temporary = folder();
    for (name, rows) in [("sokoban_gym006", 451), ("sokoban_verl_agent", 3386)] {
        let file = format!("transcripts/{name}.jsonl.zst");
        let Some(root) = data_root(&file) else { return };
        let file = root.join(file);
        let arguments = ["env", "verify", "sokoban", "--transcripts", file.to_str().unwrap()];
        let report = json(temporary.path(), &[&arguments[..], &["--json"]].concat());
        assert_eq!((&report["rows"], &report["mismatches"]), (&json!(rows), &json!(0)), "{report}");
        assert!(report["skipped_fields"][0].as_str().unwrap().starts_with("rgb_sha"), "{report}");
        let said = ok(temporary.path(), &arguments);
        assert!(said.starts_with(&format!("sokoban: {rows} rows, 0 mismatches\ncompared: done, ")), "{said}");
        assert!(said.contains("\nnot compared: rgb_sha"), "{said}");
    }
}

#[test]
fn differences_and_broken_files_are_told() {
    let temporary = folder();
    let folder = temporary.path();
    let text = " # \t # \t # \t # \t # \t\n # \t P \t X \t O \t # \t\n # \t # \t # \t # \t # \t";
    let rows = [
        json!({ "step": 0, "max_steps": 15, "text": text, "reward": 0, "done": false }),
        json!({ "step": 1, "action": 4, "text": text, "reward": 10.9, "done": true }),
    ];
    fs_err::write(folder.join("t.jsonl"), rows.map(|row| format!("{row}\n")).concat()).unwrap();
    let verify = ["env", "verify", "sokoban", "--transcripts", "t.jsonl"];
    let outcome = run(folder, &[&verify[..], &["--json"]].concat());
    assert_eq!(
        (outcome.code, outcome.err.as_str()),
        (Some(1), "error: 1 of 2 rows differ from the original\n")
    );
    let report: Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!(report["first_difference"]["field"], "text");
    let outcome = run(folder, &[&verify[..], &["--option", "tiles=nowhere"]].concat());
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.err.contains("nowhere/wall.png: cannot read a tile of gym-sokoban"), "{}", outcome.err);
    let outcome =
        run(folder, &["env", "verify", "alfworld", "--transcripts", "t.jsonl", "--option", "tiles=x"]);
    assert_eq!(
        (outcome.code, outcome.err.as_str()),
        (
            Some(2),
            "error: alfworld has no option `tiles`; it has penalise_noop=true|false (playing), goals=N (env generate)\n"
        )
    );
    let outcome = run(folder, &["env", "bench", "sokoban", "--split", "boxoban-hard"]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.err.contains("Boxoban levels need a data root"), "{}", outcome.err);
}

#[test]
fn the_bench_depends_on_the_seed_alone() {
    let temporary = folder();
    let bench = |seed| {
        let arguments =
            ["env", "bench", "sokoban", "--split", "dev-6x6-1", "--steps", "20000", "--seed", seed];
        let report = json(temporary.path(), &[&arguments[..], &["--json"]].concat());
        assert_eq!((&report["env"], &report["games"]), (&json!("sokoban"), &json!(1000)));
        for rate in ["steps_per_second", "text_steps_per_second", "resets_per_second", "generated_per_second"]
        {
            assert!(report[rate].as_f64().unwrap() > 0.0, "{report}");
        }
        assert!(ok(temporary.path(), &arguments).contains("boards generated/s"));
        report["checksum"].clone()
    };
    assert_eq!(bench("0"), bench("0"));
    assert_ne!(bench("0"), bench("1"));
}

#[test]
fn boards_are_written_and_can_be_played_as_levels() {
    let temporary = folder();
    let folder = temporary.path();
    let generate =
        ["env", "generate", "sokoban", "--split", "train-6x6-1", "--seed", "7", "-o", "boxoban/hard"];
    let said = ok(folder, &[&generate[..], &["--count", "1005"]].concat());
    assert_eq!(said, "1005 boards of 6x6-1 (train-6x6-1) in boxoban/hard\n");
    assert_eq!(files(&folder.join("boxoban")), ["hard/000.txt", "hard/001.txt"]);
    let shown = |arguments: &[&str]| ok(folder, arguments).split("\n\n").next().unwrap().replacen('[', "", 1);
    let again = finish(command(folder, &["env", "play", "sokoban", "--split", "train-6x6-1", "--task", "8"]));
    let board = again.out.lines().skip(1).take(6).collect::<Vec<_>>().join("\n");
    let level = shown(&["env", "play", "sokoban", "--split", "boxoban-hard", "--task", "1", "--data", "."]);
    assert_eq!(level, format!("sokoban/boxoban-hard/000/1]\n{board}"));
    let outcome = run(folder, &["env", "generate", "sokoban", "-o", "x"]);
    assert_eq!(
        (outcome.code, outcome.err.as_str()),
        (
            Some(2),
            "error: sokoban generates train-6x6-1, train-7x7-2, train-8x8-2, train-10x10-3; not `train`\n"
        )
    );
}

#[test]
fn the_expert_solves_every_board_within_the_limit() {
    let temporary = folder();
    let folder = temporary.path();
    // Noise can cost more moves than the limit allows.
    for (split, noise, least) in [
        ("dev-6x6-1", "0", 1.0),
        ("dev-7x7-2", "0", 1.0),
        ("dev-10x10-3", "0", 1.0),
        ("train-8x8-2", "0.2", 0.9),
    ] {
        let arguments =
            ["demonstrate", "--env", "sokoban", "--split", split, "--count", "40", "--noise", noise];
        let said = json(folder, &[&arguments[..], &["--json", "-o", "d.jsonl"]].concat());
        let success = said["success"].as_f64().unwrap();
        assert!(said["n"] == 40 && success >= least, "{split}: {said}");
        let won = episodes(&folder.join("d.jsonl")).iter().filter(|episode| episode.won).count();
        assert_eq!(won as f64 / 40.0, success);
    }
    // The limit is that of the split: 15 steps for small boards, not the environment's 120.
    let arguments =
        ["demonstrate", "--env", "sokoban", "--split", "dev-6x6-1", "--count", "40", "--noise", "0.9"];
    json(folder, &[&arguments[..], &["--json", "-o", "d.jsonl"]].concat());
    let longest = episodes(&folder.join("d.jsonl")).iter().map(|episode| episode.len()).max();
    assert_eq!(longest, Some(15));
    let played = ok(folder, &["env", "play", "sokoban", "--split", "dev-6x6-1", "--expert"]);
    assert!(
        played.starts_with("[sokoban/dev-6x6-1/level-0]\n######\n") && played.contains("Terminated"),
        "{played}"
    );
}
