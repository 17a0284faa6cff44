//! ScienceWorld through the program.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use common::{command, finish, folder, json, ok, playable, refused, run};
use serde_json::{Value, json};
use stepladder_env::clock::Stopwatch;
use stepladder_testing::data_root;

#[test]
fn the_list_says_what_there_is() {
    let temporary = folder();
    let list = json(temporary.path(), &["env", "list", "--json"]);
    let env = list.as_array().unwrap().iter().find(|env| env["id"] == "scienceworld").unwrap();
    assert_eq!((&env["max_steps"], &env["data_licence"]), (&json!(50), &json!("Apache-2.0")));
    let splits: Vec<&str> = env["splits"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(splits[..5], ["train", "dev", "test", "train_dev", "train_fit"]);
    assert!(splits.contains(&"practice") && splits.contains(&"practice_first"), "{splits:?}");
}

#[test]
fn recorded_episodes_of_both_versions_agree() {
    let Some(root) = playable() else { return };
    let temporary = folder();
    let file = "transcripts/scienceworld_hashcode2.jsonl.zst";
    let Some(file) = data_root(file).map(|root| root.join(file)) else { return };
    for version in ["1.2.3", "1.1.3"] {
        let option = format!("version={version}");
        let arguments = ["env", "verify", "scienceworld", "--option", &option, "--transcripts"];
        let rest = [file.to_str().unwrap(), "--data", root.to_str().unwrap(), "--json"];
        let report = json(temporary.path(), &[&arguments[..], &rest].concat());
        assert_eq!(
            report,
            json!({
                "env": "scienceworld", "rows": 217, "mismatches": 0, "skipped_fields": [], "first_difference": null,
                "compared_fields": {
                    "observation": 217, "look": 217, "inventory": 217, "n_valid": 217, "valid_hash": 217, "score": 217,
                    "done": 217,
                },
            })
        );
    }
}

#[test]
fn a_data_root_may_have_a_colon_in_its_name() {
    let Some(root) = playable() else { return };
    let temporary = folder();
    std::os::unix::fs::symlink(root, temporary.path().join("da:ta")).unwrap();
    let demonstrate =
        ["demonstrate", "--env", "scienceworld", "--split", "dev-easy", "--count", "1", "--json"];
    let played = json(temporary.path(), &[&demonstrate[..], &["-o", "d.jsonl", "--data", "da:ta"]].concat());
    assert_eq!((&played["n"], &played["success"]), (&json!(1), &json!(1.0)), "{played}");
}

#[test]
fn a_player_sees_answers_and_what_can_be_done() {
    let Some(root) = playable() else { return };
    let temporary = folder();
    let arguments = ["env", "play", "scienceworld", "--split", "dev-easy", "--task", "16", "--data"];
    let mut play = command(temporary.path(), &[&arguments[..], &[root.to_str().unwrap()]].concat());
    let mut play = play.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    play.stdin.take().unwrap().write_all(b"?\nsing\nfocus on agent\n").unwrap();
    let said = String::from_utf8(play.wait_with_output().unwrap().stdout).unwrap();
    assert!(said.starts_with("[scienceworld/dev-easy/chemistry-mix/18]\nThis room is called "), "{said}");
    assert!(said.contains("\nlook around\n") && said.contains("teleport to kitchen"), "{said}");
    assert!(said.contains("No known action matches that input."), "{said}");
    assert!(said.ends_with("Terminated after 2 steps, won: false\n"), "{said}");
}

#[test]
fn what_is_missing_is_said_with_the_remedy() {
    let temporary = folder();
    let folder = temporary.path();
    let play = ["env", "play", "scienceworld"];
    refused(
        folder,
        &play,
        1,
        "scienceworld: no data root with the simulator: set STEPLADDER_DATA or pass --data DIR, and fetch it there once with `stepladder data get scienceworld`",
    );
    refused(
        folder,
        &[&play[..], &["--data", "."]].concat(),
        1,
        "./scienceworld/1.2.3/scienceworld.jar: the ScienceWorld simulator is not there: fetch it with `stepladder data get scienceworld` (8 MB), or name another data root with STEPLADDER_DATA or --data DIR",
    );
    refused(
        folder,
        &["env", "verify", "scienceworld", "--option", "version=1.0", "--transcripts", "x"],
        2,
        "option `version` of scienceworld is `1.0`; it takes 1.2.3 or 1.1.3",
    );
    refused(
        folder,
        &["env", "bench", "sokoban", "--option", "version=1.2.3"],
        2,
        "sokoban has no option `version`; it has tiles=DIR (env verify)",
    );
    let Some(root) = playable() else { return };
    let mut without = command(folder, &[&play[..], &["--data", root.to_str().unwrap()]].concat());
    without.env_remove("STEPLADDER_JAVA").env_remove("JAVA_HOME").env("PATH", folder);
    let outcome = finish(without);
    assert_eq!(
        (outcome.code, outcome.err.as_str()),
        (
            Some(1),
            "error: scienceworld: Java was not found: STEPLADDER_JAVA is not set, JAVA_HOME is not set, there is no `java` on PATH; install Java 8 or newer (on Debian: apt install default-jre-headless) or set STEPLADDER_JAVA\n"
        )
    );
}

/// Expects every command that would start the simulator below a data root to refuse it with this message.
fn unusable(folder: &Path, message: &str) {
    for command in [
        &["env", "play", "scienceworld", "--data", "root"][..],
        &["env", "bench", "scienceworld", "--data", "root"],
        &["env", "verify", "scienceworld", "--transcripts", "x", "--data", "root"],
        &[
            "demonstrate",
            "--env",
            "scienceworld",
            "--split",
            "dev",
            "--count",
            "1",
            "-o",
            "d.jsonl",
            "--data",
            "root",
        ],
    ] {
        let outcome = run(folder, command);
        assert_eq!(outcome.code, Some(1), "{command:?}: {outcome:#?}");
        assert!(outcome.err.contains(message), "{command:?}: {}", outcome.err);
    }
}

#[test]
fn a_damaged_simulator_is_not_played_and_data_status_says_so() {
    let temporary = folder();
    let folder = temporary.path();
    let place = folder.join("root/scienceworld/1.2.3");
    fs_err::create_dir_all(&place).unwrap();
    let status = ["data", "status", "--data", "root"];
    assert!(ok(folder, &status).contains("\nscienceworld: absent\n"));
    // Truncated, as by a full disk.
    for name in ["scienceworld.jar", "object_type_ids.tsv"] {
        fs_err::write(place.join(name), "PK").unwrap();
    }
    let cut = "root/scienceworld/1.2.3/scienceworld.jar: damaged: its SHA-256 is ";
    unusable(folder, cut);
    let said = ok(folder, &status);
    assert!(said.contains(&format!("\nscienceworld: present: 1.2.3 (damaged)\n  damaged: {cut}")), "{said}");
    assert!(said.contains("; fetch it again with `stepladder data get scienceworld`\n"), "{said}");

    let Some(whole) = playable() else { return };
    for name in ["scienceworld.jar", "object_type_ids.tsv"] {
        fs_err::copy(whole.join("scienceworld/1.2.3").join(name), place.join(name)).unwrap();
    }
    assert!(ok(folder, &status).contains("\nscienceworld: present: 1.2.3 (verified)\n"));
    // One damaged byte of a class, then a damaged table with an intact jar.
    for (name, at) in [("scienceworld.jar", 4_000_000), ("object_type_ids.tsv", 3)] {
        let mut bytes = fs_err::read(whole.join("scienceworld/1.2.3").join(name)).unwrap();
        bytes[at] ^= 1;
        let good = fs_err::read(whole.join("scienceworld/1.2.3").join(name)).unwrap();
        fs_err::write(place.join(name), bytes).unwrap();
        unusable(folder, &format!("root/scienceworld/1.2.3/{name}: damaged: its SHA-256 is "));
        assert!(ok(folder, &status).contains("\nscienceworld: present: 1.2.3 (damaged)\n"));
        fs_err::write(place.join(name), good).unwrap();
    }
}

#[test]
fn the_simulator_is_taken_from_a_wheel_and_only_from_the_published_one() {
    let temporary = folder();
    let folder = temporary.path();
    fs_err::write(folder.join("other.whl"), "something else").unwrap();
    let get = ["data", "get", "scienceworld", "--data", "root"];
    let outcome = run(folder, &[&get[..], &["--from", "other.whl"]].concat());
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.err.starts_with("error: other.whl: the archive is not the published one: its SHA-256 is "),
        "{}",
        outcome.err
    );
    assert!(!folder.join("root").exists());
    refused(
        folder,
        &["data", "get", "scienceworld"],
        2,
        "no data root: set STEPLADDER_DATA or pass --data DIR",
    );
    let outcome = run(folder, &["data", "get", "alfworld", "--data", "root"]);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.err.contains("cannot fetch `alfworld`, only scienceworld;"), "{}", outcome.err);

    let Some(root) = playable() else { return };
    let said = ok(folder, &["data", "get", "scienceworld", "--data", root.to_str().unwrap()]);
    assert!(said.starts_with("scienceworld 1.2.3 is present and complete: "), "{said}");
    let said = ok(folder, &["data", "status", "--data", root.to_str().unwrap()]);
    assert!(said.contains("\nscienceworld: present: "), "{said}");
}

/// Lists the processes whose parent is this one.
fn children(parent: u32) -> Vec<u32> {
    let all = fs_err::read_dir("/proc").unwrap().flatten();
    all.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs_err::read_to_string(entry.path().join("stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        (fields[1] == parent.to_string()).then_some(pid)
    })
    .collect()
}

fn gone(pid: u32) -> bool {
    let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    matches!(stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next()), None | Some('Z'))
}

/// Kills the program without warning and checks that nothing remains.
fn killed_leaves_nothing(mut program: Child, java: &[u32]) {
    assert!(!java.is_empty());
    program.kill().unwrap();
    program.wait().unwrap();
    let started = Stopwatch::start();
    while !java.iter().all(|pid| gone(*pid)) {
        assert!(started.elapsed() < Duration::from_secs(10), "a simulator outlived the program");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_killed_program_leaves_no_simulator_behind() {
    let Some(root) = playable() else { return };
    let temporary = folder();
    let scratch = temporary.path().join("scratch");
    fs_err::create_dir(&scratch).unwrap();
    let start = |arguments: &[&str]| {
        let arguments = [arguments, &["--data", root.to_str().unwrap()]].concat();
        let mut program = command(temporary.path(), &arguments);
        program.env("TMPDIR", &scratch).stdin(Stdio::piped()).stdout(Stdio::piped());
        program.spawn().unwrap()
    };
    // Waiting for input: the simulator is idle.
    let mut playing = start(&["env", "play", "scienceworld"]);
    let mut line = String::new();
    BufReader::new(playing.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("[scienceworld/dev/boil/14]"), "{line}");
    let java = children(playing.id());
    killed_leaves_nothing(playing, &java);

    // While it works.
    let benching = start(&["env", "bench", "scienceworld"]);
    let started = Stopwatch::start();
    let busy = |pid: &u32| {
        let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields: Vec<String> =
            stat.rsplit(')').next().unwrap().split_whitespace().map(str::to_owned).collect();
        // Two seconds of processor time: the simulator is loaded and generates a gold path.
        fields.get(11).and_then(|ticks| ticks.parse::<u64>().ok()).is_some_and(|ticks| ticks > 200)
    };
    while !children(benching.id()).iter().any(busy) {
        assert!(started.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(20));
    }
    let java = children(benching.id());
    killed_leaves_nothing(benching, &java);
    // The files that it ran from are removed, too.
    let started = Stopwatch::start();
    while fs_err::read_dir(&scratch).unwrap().count() > 0 {
        assert!(started.elapsed() < Duration::from_secs(10), "files are left behind");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Its expert answers the roles of a hierarchy, and no prompts of a flat agent.
#[test]
fn the_expert_plays_in_its_roles_and_labels_no_flat_prompts() {
    let temporary = folder();
    let folder = temporary.path();
    let mine = "preset = \"demo\"\n[env]\nid = \"scienceworld\"\n[data]\nsplit = \"train\"\n[eval]\nsplit = \"dev\"\n\
                transfer = []\n[algo.dagger]\nrounds = 1\ngames = 4\ntemperature = 0.0\n[agents.flat]\nalgo = \"dagger\"\n";
    fs_err::write(folder.join("mine.toml"), mine).unwrap();
    refused(
        folder,
        &["config", "check", "mine.toml"],
        2,
        "mine.toml: agents.flat.algo is \"dagger\" (mine.toml:14); the expert of env.id = \"scienceworld\" does not label what an agent \
         of kind = \"flat\" is asked: choose algo = \"bc\", or kind = \"step_hrl\"",
    );
    assert_eq!(ok(folder, &["config", "check", "mine.toml", "--set", "env.id=household"]), "mine: ok\n");

    let Some(root) = playable() else { return };
    let play = ["env", "play", "scienceworld", "--split", "dev", "--task", "100", "--expert", "--data"];
    let played = ok(folder, &[&play[..], &[root.to_str().unwrap()]].concat());
    assert!(played.contains("\nsubtask: ") && !played.contains("> None"), "{played}");
    assert!(played.ends_with(" steps, won: true\n"), "{played}");
}
