//! Environments, demonstrations, configurations and reference pages through the program.

#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use common::{command, episodes, files, folder, json, known_environments, ok, refused, run};
use serde_json::Value;

#[test]
fn the_list_names_every_environment_and_its_splits() {
    let temporary = folder();
    let list = json(temporary.path(), &["env", "list", "--json"]);
    let known: Vec<_> = list.as_array().unwrap().iter().map(|env| env["id"].as_str().unwrap()).collect();
    assert_eq!(known[..5], ["household", "alfworld", "sokoban", "scienceworld", "webshop"]);
    assert_eq!(known.join(", "), known_environments());
    let splits: Vec<&str> =
        list[0]["splits"].as_array().unwrap().iter().filter_map(|name| name.as_str()).collect();
    assert_eq!(splits[..4], ["train", "dev", "test", "train-goals-1"]);
    assert_eq!((splits.len(), splits[28]), (29, "test-500"));
    assert_eq!(list[1]["splits"], serde_json::json!(["train", "train_dev", "valid_seen", "valid_unseen"]));
    let text = ok(temporary.path(), &["env", "list"]);
    assert!(known.iter().all(|id| text.lines().any(|line| line.starts_with(id))), "{text}");
}

#[test]
fn demonstrations_are_solved_and_repeatable() {
    let temporary = folder();
    let folder = temporary.path();
    let demonstrate = |extra: &[&str], file| {
        let basic = ["demonstrate", "--env", "household", "--split", "dev", "--json", "-o", file];
        json(folder, &[&basic, extra].concat())
    };
    let said = demonstrate(&["--count", "5"], "clean.jsonl");
    assert_eq!((said["n"].as_u64(), said["success"].as_f64()), (Some(5), Some(1.0)));
    assert_eq!(said["file"].as_str(), Some("clean.jsonl"));
    let clean = episodes(&folder.join("clean.jsonl"));
    assert!(clean.iter().all(|episode| episode.won && episode.policy == "expert/household"));
    assert!(clean.iter().flat_map(|episode| episode.steps()).all(|step| step.expert.is_none()));

    demonstrate(&["--count", "5", "--noise", "0.5", "--seed", "4"], "noisy.jsonl.zst");
    let noisy = episodes(&folder.join("noisy.jsonl.zst"));
    assert!(noisy.iter().flat_map(|episode| episode.steps()).any(|step| step.expert.is_some()));
    demonstrate(&["--count", "5", "--noise", "0.5", "--seed", "4"], "again.jsonl");
    assert_eq!(noisy, episodes(&folder.join("again.jsonl")));

    let said = demonstrate(&["--count", "40", "--careless"], "careless.jsonl");
    assert!(said["success"].as_f64().is_some_and(|success| success < 1.0), "{said}");
    assert!(said["mean_steps"].as_f64().is_some_and(|steps| steps > 15.0), "{said}");
    let careless = episodes(&folder.join("careless.jsonl"));
    assert!(careless.iter().all(|episode| episode.policy == "careless/household"));
    assert_eq!(
        files(folder),
        ["again.jsonl", "careless.jsonl", "clean.jsonl", "noisy.jsonl.zst", "tiny.toml"]
    );
}

/// Creates a data root with generated games under the names of official ones: nine of one family, then three of another.
fn official_names(folder: &Path) {
    ok(folder, &["env", "generate", "household", "--split", "dev", "--count", "12", "-o", "g"]);
    for number in 0..12 {
        let family = if number < 9 { "look_at_obj_in_light" } else { "pick_two_obj_and_place" };
        let trial =
            format!("data/alfworld/json_2.1.1/valid_seen/{family}-Mug-None-Desk-{number}/trial_{number}");
        fs_err::create_dir_all(folder.join(&trial)).unwrap();
        let game = format!("g/seed-{number}/game.tw-pddl");
        fs_err::rename(folder.join(game), folder.join(trial).join("game.tw-pddl")).unwrap();
    }
}

#[test]
fn part_of_a_split_is_a_sample_of_all_its_families() {
    let temporary = folder();
    let folder = temporary.path();
    official_names(folder);
    let demonstrate = |count: &str, seed: &str| {
        let arguments =
            ["demonstrate", "--env", "alfworld", "--split", "valid_seen", "--data", "data", "-o", "d.jsonl"];
        let said = json(folder, &[&arguments[..], &["--json", "--count", count, "--seed", seed]].concat());
        let tasks: Vec<String> =
            episodes(&folder.join("d.jsonl")).into_iter().map(|episode| episode.task.id).collect();
        (said, tasks)
    };
    let two = |tasks: &[String]| tasks.iter().filter(|task| task.contains("pick_two")).count();
    let (said, four) = demonstrate("4", "1");
    assert_eq!((four.len(), two(&four)), (4, 1), "{four:?}");
    assert!(four.is_sorted(), "in the order of the split: {four:?}");
    assert_eq!(said["subset"].as_str(), Some("a sample of 4 of 12 tasks, stratified by family"));
    assert_eq!(said["split_tasks"].as_u64(), Some(12));
    assert_eq!(demonstrate("4", "1").1, four);
    assert!((2..9).any(|seed| demonstrate("4", &seed.to_string()).1 != four));
    let eight = demonstrate("8", "1").1;
    assert!(two(&eight) == 2 && four.iter().all(|task| eight.contains(task)), "{four:?} {eight:?}");
    let (said, all) = demonstrate("12", "1");
    assert_eq!((all.len(), said["subset"].is_null()), (12, true));
    let said =
        ok(folder, &["demonstrate", "--env", "household", "--split", "dev", "--count", "2", "-o", "e.jsonl"]);
    assert!(said.starts_with("2 episodes (a sample of 2 of 200 tasks, stratified by family), "), "{said}");
}

#[test]
fn generated_games_are_written_and_differ_by_split_and_seed() {
    let temporary = folder();
    let folder = temporary.path();
    let said = ok(
        folder,
        &["env", "generate", "household", "--split", "dev", "--count", "2", "--seed", "5", "-o", "g"],
    );
    assert_eq!(said, "2 games of split dev in g\n");
    assert_eq!(files(&folder.join("g")), ["seed-5/game.tw-pddl", "seed-6/game.tw-pddl"]);
    ok(folder, &["env", "generate", "alfworld", "--split", "test", "--count", "1", "--seed", "5", "-o", "t"]);
    let read = |path: &str| fs_err::read_to_string(folder.join(path)).unwrap();
    let all = ["g/seed-5", "g/seed-6", "t/seed-5"].map(|game| read(&format!("{game}/game.tw-pddl")));
    assert!(all[0] != all[1] && all[0] != all[2]);
    let game: Value = serde_json::from_str(&all[0]).unwrap();
    assert!(game["pddl_problem"].as_str().unwrap().contains("(:goal"));
}

#[test]
fn options_are_those_that_the_environment_declares_for_the_command() {
    let temporary = folder();
    let folder = temporary.path();
    let said = ok(folder, &["env", "list"]);
    assert!(said.contains("option: tiles=DIR (env verify): tiles of an installed original"), "{said}");
    let generate = ["env", "generate", "household", "-o", "g", "--count", "1"];
    ok(folder, &[&generate[..], &["--option", "goals=2"]].concat());
    let game = fs_err::read_to_string(folder.join("g/seed-0/game.tw-pddl")).unwrap();
    assert!(game.contains("under the desklamp, then ") || game.contains(", then "), "{game}");
    for (option, message) in [
        ("goals=9", "option `goals` of household is `9`; it takes a whole number from 1 to 8"),
        ("penalise_noop=true", "option `penalise_noop` of household is for playing, not for env generate"),
        (
            "tiles=x",
            "household has no option `tiles`; it has penalise_noop=true|false (playing), goals=N (env generate)",
        ),
    ] {
        refused(folder, &[&generate[..], &["--option", option]].concat(), 2, message);
    }
    for (arguments, message) in [
        (&["env", "generate", "scienceworld", "-o", "x"][..], "scienceworld has no generator"),
        (&["env", "generate", "sokoban", "--report"], "sokoban has no report of its distribution"),
        (
            &["demonstrate", "--env", "sokoban", "--split", "dev-6x6-1", "--walkthrough", "-o", "x.jsonl"],
            "--flat writes solutions without subtasks: sokoban has no segmenter",
        ),
        (
            &["demonstrate", "--env", "sokoban", "--split", "dev-6x6-1", "--careless", "-o", "x.jsonl"],
            "sokoban has no careless demonstrator",
        ),
        (
            &["config", "show", "himac-sokoban", "--set", "data.demonstrator=careless"],
            "himac-sokoban: data.demonstrator is \"careless\" (--set); sokoban has no careless demonstrator",
        ),
        (
            &["config", "show", "webshop-cpu", "--set", "data.wander=1"],
            "webshop-cpu: data.wander is 1 (--set); webshop has no random sub-goals",
        ),
        (
            &["env", "generate", "household", "--report", "--option", "goals=2", "--data", "."],
            "--report compares games with one goal; leave out --option goals",
        ),
    ] {
        refused(folder, arguments, 2, message);
    }
    let outcome = run(folder, &["env", "verify", "sokoban", "--transcripts", "t.jsonl", "--tiles", "x"]);
    assert_eq!(outcome.code, Some(2), "{outcome:#?}");
    assert!(outcome.err.contains("use '--option tiles=DIR'"), "{outcome:#?}");
}

/// Returns the committed episodes of an original with their games.
fn fixtures(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../stepladder-alfworld/tests/parity/generated").join(version)
}

#[test]
fn verifying_says_how_many_rows_agree() {
    let temporary = folder();
    for version in ["alfworld-0.4.2", "alfworld-0.3.4"] {
        let transcript = fixtures(version).join("transcript.jsonl.zst");
        let arguments =
            ["env", "verify", "alfworld", "--transcripts", transcript.to_str().unwrap(), "--json"];
        let report = json(temporary.path(), &arguments);
        let meta: Value =
            serde_json::from_str(&fs_err::read_to_string(fixtures(version).join("meta.json")).unwrap())
                .unwrap();
        assert_eq!(report["env"].as_str(), Some("alfworld"));
        assert_eq!((report["mismatches"].as_u64(), &report["rows"]), (Some(0), &meta["rows"]), "{version}");
        assert_eq!(report["skipped_fields"], serde_json::json!([]));
        assert!(report["first_difference"].is_null());
    }
}

#[test]
fn a_doctored_transcript_fails_with_its_first_difference() {
    let temporary = folder();
    let folder = temporary.path();
    for file in files(&fixtures("alfworld-0.4.2")) {
        let target = folder.join("copy").join(&file);
        fs_err::create_dir_all(target.parent().unwrap()).unwrap();
        fs_err::copy(fixtures("alfworld-0.4.2").join(&file), target).unwrap();
    }
    let original = fs_err::read(folder.join("copy/transcript.jsonl.zst")).unwrap();
    let text = String::from_utf8(zstd::decode_all(original.as_slice()).unwrap()).unwrap();
    let mut rows: Vec<Value> =
        text.lines().take(60).map(|line| serde_json::from_str(line).unwrap()).collect();
    let truth = rows[6]["observation"].clone();
    rows[6]["observation"] = "You see a unicorn.".into();
    rows[40]["won"] = true.into();
    let doctored: String = rows.iter().map(|row| format!("{row}\n")).collect();
    fs_err::write(folder.join("copy/doctored.jsonl"), doctored).unwrap();

    let arguments = ["env", "verify", "alfworld", "--transcripts", "copy/doctored.jsonl"];
    let outcome = run(folder, &[&arguments[..], &["--json"]].concat());
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    assert_eq!(outcome.err, "error: 2 of 60 rows differ from the original\n");
    let report: Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!((report["rows"].as_u64(), report["mismatches"].as_u64()), (Some(60), Some(2)));
    let first = &report["first_difference"];
    assert_eq!((first["row"].as_u64(), first["field"].as_str()), (Some(7), Some("observation")));
    assert_eq!((first["expected"].as_str(), &first["found"]), (Some("You see a unicorn."), &truth));

    let outcome = run(folder, &arguments);
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome
            .out
            .starts_with("alfworld: 60 rows, 2 mismatches\ncompared: admissible, done, observation, reward, won\nfirst difference: copy/doctored.jsonl row 7, ")
    );
    assert!(outcome.out.contains("original: \"You see a unicorn.\""), "{}", outcome.out);
}

#[test]
fn the_bench_reports_speed_and_a_checksum_that_depends_on_the_seed_alone() {
    let temporary = folder();
    let bench = |seed| {
        let arguments =
            ["env", "bench", "household", "--split", "dev", "--steps", "20000", "--seed", seed, "--json"];
        let report = json(temporary.path(), &arguments);
        assert_eq!(report["env"].as_str(), Some("household"));
        assert!(report["steps_per_second"].as_f64().unwrap() > 1000.0, "{report}");
        assert!(report["resets_per_second"].as_f64().unwrap() > 100.0, "{report}");
        assert_eq!(report["games"].as_u64(), Some(200));
        assert!(!report["policy"].as_str().unwrap().is_empty());
        report["checksum"].as_str().unwrap().to_owned()
    };
    assert_eq!(bench("0"), bench("0"));
    assert_ne!(bench("0"), bench("1"));
}

#[test]
fn the_expert_plays_a_task_to_its_end_and_a_person_can_play_too() {
    let temporary = folder();
    let played =
        ok(temporary.path(), &["env", "play", "household", "--split", "dev", "--task", "1", "--expert"]);
    assert!(played.starts_with("[household/dev/seed-1]\n"), "{played}");
    assert!(played.contains("\nsubtask: locate and "), "{played}");
    let steps = played.lines().filter(|line| line.starts_with("> ")).count();
    assert!(played.ends_with(&format!("Terminated after {steps} steps, won: true\n")), "{played}");

    let mut person = command(temporary.path(), &["env", "play", "household"]);
    let mut person = person.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    person.stdin.take().unwrap().write_all(b"?\nlook\nfly away\n").unwrap();
    let output = person.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "the end of the input ends the game");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("> inventory\n") || text.contains("\ninventory\n"), "{text}");
    assert!(text.contains("Nothing happens."), "{text}");
}

#[test]
fn configurations_are_shown_with_origins_and_checked() {
    let temporary = folder();
    let folder = temporary.path();
    let shown = ok(folder, &["config", "show", "tiny.toml", "--set", "model.width=8"]);
    let line = |key: &str| shown.lines().find(|line| line.starts_with(key)).unwrap_or_default();
    assert!(line("width = 8").ends_with("# --set"), "{shown}");
    assert!(line("ffn = 24").ends_with("# tiny.toml:19"), "{shown}");
    assert!(line("clip = 1.0").ends_with("# default"), "{shown}");
    let code = "algo.offline_ac.profile=code";
    let shown =
        ok(folder, &["config", "show", "alfworld", "--set", code, "--set", "algo.offline_ac.omega=0.5"]);
    for (line, origin) in [
        ("profile = \"code\"", "--set"),
        ("omega = 0.5", "--set"),
        ("actor_mode = \"linear_outer\"", "algo.offline_ac.profile"),
        ("v_target_at = \"state_end\"", "algo.offline_ac.profile"),
        ("target_update = \"before_step\"", "algo.offline_ac.profile"),
    ] {
        let found = shown.lines().find(|shown| shown.starts_with(line)).unwrap_or_default();
        assert!(found.ends_with(&format!("# {origin}")), "{line}: {shown}");
    }
    for config in ["demo", "alfworld-cpu", "tiny.toml"] {
        let name = config.trim_end_matches(".toml");
        assert_eq!(ok(folder, &["config", "check", config]), format!("{name}: ok\n"));
    }
}

#[test]
fn the_state_of_the_data_is_told_with_and_without_a_root() {
    let temporary = folder();
    let folder = temporary.path();
    let said = ok(folder, &["data", "status"]);
    assert!(
        said.starts_with("no data root: set STEPLADDER_DATA or pass --data DIR\nalfworld: not checked\n")
    );
    assert!(ok(folder, &["data", "status", "--data", "."]).contains("alfworld: absent\n"));
    fs_err::create_dir_all(folder.join("alfworld/json_2.1.1/train/some-task")).unwrap();
    let said = ok(folder, &["data", "status", "--data", "."]);
    assert!(said.contains("alfworld: present: train (1 entries)\n"), "{said}");
    assert!(
        said.contains("place:   <data root>/alfworld/json_2.1.1\n") && said.contains("licence: MIT\n"),
        "{said}"
    );
}

#[test]
fn reference_pages_are_generated() {
    let temporary = folder();
    for (page, title, part) in [
        ("cli", "# Command line\n", "## `stepladder env verify`\n"),
        ("config", "# Configuration\n", "| `max_positions` |"),
        ("metrics", "# Metrics\n", "| `probe/success` |"),
    ] {
        let text = ok(temporary.path(), &["reference", page]);
        assert!(text.starts_with(title) && text.contains(part), "{page}: {text}");
    }
}

/// Collects every command from the help of its parent.
fn commands(folder: &Path, parents: &[&str], into: &mut Vec<Vec<String>>) {
    let help = ok(folder, &[parents, &["--help"]].concat());
    into.push(parents.iter().map(|name| (*name).to_owned()).collect());
    let Some((_, list)) = help.split_once("Commands:\n") else { return };
    for line in list.lines().take_while(|line| !line.is_empty()) {
        let name = line.split_whitespace().next().unwrap();
        if name != "help" {
            commands(folder, &[parents, &[name]].concat(), into);
        }
    }
}

#[test]
fn every_help_page_has_an_example_of_its_command() {
    let temporary = folder();
    let mut all = Vec::new();
    commands(temporary.path(), &[], &mut all);
    assert_eq!(all.len(), 29, "{all:?}");
    for names in all {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let help = ok(temporary.path(), &[&names[..], &["--help"]].concat());
        let example = help.split_once("Example").map(|(_, text)| text).unwrap_or_default();
        assert!(example.contains(&[&["stepladder"], &names[..]].concat().join(" ")), "{names:?}: {help}");
    }
}
