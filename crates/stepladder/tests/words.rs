//! Messages that match the command line.

#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use common::{command, episodes, finish, folder, known_environments, ok, refused, run};

#[test]
fn a_negative_number_is_the_options_own_complaint() {
    let temporary = folder();
    let evaluate = ["evaluate", "run"];
    let play = ["env", "play", "household"];
    let demonstrate = ["demonstrate", "--env", "household", "--split", "dev", "-o", "d.jsonl"];
    let generate = ["env", "generate", "household", "-o", "g"];
    let horizon = ["horizon", "run", "-o", "h"];
    let positive = "it must be a whole number, 1 or more";
    let whole = "it must be a whole number, 0 or more";
    for (arguments, option, value, message) in [
        (&evaluate[..], "--episodes <EPISODES>", "-1", positive),
        (&evaluate, "--slots <SLOTS>", "-1", positive),
        (&evaluate, "--seeds <SEEDS>", "-1", positive),
        (&evaluate, "--seeds <SEEDS>", "99999999999999999999", "it is too large"),
        (&evaluate, "--max-steps <MAX_STEPS>", "-1", "-1 is not in 1..=4294967295"),
        (
            &evaluate,
            "--temperature <TEMPERATURE>",
            "-0.5",
            "it must be a number above 0; omit it for greedy decoding",
        ),
        (&play, "--task <TASK>", "-1", whole),
        (&play, "--task <TASK>", "x", whole),
        (&demonstrate, "--count <COUNT>", "-1", positive),
        (&demonstrate, "--seed <SEED>", "-1", whole),
        (&generate, "--seed <SEED>", "-1", whole),
        (&generate, "--option <KEY=VALUE>", "goals", "it must be KEY=VALUE"),
        (&horizon, "--goals <GOALS>", "-1", whole),
    ] {
        let flag = option.split(' ').next().unwrap();
        let outcome = run(temporary.path(), &[arguments, &[flag, value]].concat());
        assert_eq!(outcome.code, Some(2), "{outcome:#?}");
        let first = format!("error: invalid value '{value}' for '{option}': {message}");
        assert_eq!(outcome.err.lines().next(), Some(first.as_str()));
        assert!(!outcome.err.contains("-- -"), "{}", outcome.err);
    }
    refused(
        temporary.path(),
        &[&demonstrate[..], &["--noise", "-1"]].concat(),
        2,
        "--noise -1 must be in [0, 1)",
    );
}

#[test]
fn usage_lines_do_not_depend_on_the_environment() {
    let temporary = folder();
    for arguments in [
        &["evaluate", "run", "--episodes", "0"][..],
        &["evaluate"],
        &["demonstrate", "--env", "household"],
        &["env", "verify", "alfworld"],
        &["data", "get"],
        &["train", "demo", "--resume", "x"],
    ] {
        let mut with_data = command(temporary.path(), arguments);
        with_data.env("STEPLADDER_DATA", temporary.path());
        let with_data = finish(with_data);
        assert_eq!(with_data.code, Some(2), "{with_data:#?}");
        assert_eq!(with_data.err, run(temporary.path(), arguments).err);
        assert!(!with_data.err.contains("--data"), "{}", with_data.err);
    }
    let outcome = run(temporary.path(), &["evaluate"]);
    assert!(outcome.err.contains("\nUsage: stepladder evaluate [OPTIONS] <RUN>\n"), "{}", outcome.err);
}

#[test]
fn seeds_that_no_configuration_can_hold_are_refused_at_once() {
    let temporary = folder();
    let outcome =
        run(temporary.path(), &["study", "tiny.toml", "--dir", "s", "--seeds", "1,18446744073709551615"]);
    assert_eq!(outcome.code, Some(2), "{outcome:#?}");
    let first = "error: invalid value '18446744073709551615' for '--seeds <SEEDS>': it must be a whole number from 0 to 2^63 - 1";
    assert_eq!(outcome.err.lines().next(), Some(first));
    assert!(!temporary.path().join("s").exists());
}

#[test]
fn level_files_have_any_name_and_an_empty_split_is_an_error() {
    let temporary = folder();
    let folder = temporary.path();
    let place = folder.join("data/boxoban/hard");
    fs_err::create_dir_all(&place).unwrap();
    let demonstrate =
        ["demonstrate", "--env", "sokoban", "--split", "boxoban-hard", "-o", "d.jsonl", "--data", "data"];
    let play = ["env", "play", "sokoban", "--split", "boxoban-hard", "--expert", "--data", "data"];
    let empty = "data/boxoban/hard: this directory has no Boxoban level (`stepladder data status` shows where they come from)";
    refused(folder, &demonstrate, 1, empty);
    refused(folder, &play, 1, empty);
    assert!(!folder.join("d.jsonl").exists());
    // A directory with a file but without a level counts as empty.
    fs_err::write(place.join("000.txt"), "").unwrap();
    refused(folder, &demonstrate, 1, empty);

    fs_err::write(place.join("é (2)-ß.txt"), "; 0\n#####\n#@$.#\n#####\n").unwrap();
    ok(folder, &demonstrate);
    let played = episodes(&folder.join("d.jsonl"));
    assert_eq!((played.len(), played[0].task.id.as_str(), played[0].won), (1, "é (2)-ß/0", true));
    assert!(ok(folder, &play).starts_with("[sokoban/boxoban-hard/é (2)-ß/0]\n"));

    // The same for ALFWorld: no solvable game.
    let game = folder.join("data/alfworld/json_2.1.1/valid_seen/a/b");
    fs_err::create_dir_all(&game).unwrap();
    fs_err::write(game.join("game.tw-pddl"), "{\"solvable\": false}").unwrap();
    let arguments =
        ["demonstrate", "--env", "alfworld", "--split", "valid_seen", "-o", "a.jsonl", "--data", "data"];
    let outcome = run(folder, &arguments);
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    let message = "error: data/alfworld/json_2.1.1/valid_seen: this split has no solvable game; ";
    assert!(outcome.err.starts_with(message), "{}", outcome.err);
}

#[test]
fn what_is_repeated_is_shortened() {
    let temporary = folder();
    let folder = temporary.path();
    let long = "a".repeat(1 << 20);
    let check = |text: String| {
        fs_err::write(folder.join("long.toml"), text).unwrap();
        let outcome = run(folder, &["config", "check", "long.toml"]);
        assert_eq!(outcome.code, Some(2));
        assert!(outcome.err.len() < 4000, "{} bytes", outcome.err.len());
        outcome.err
    };
    let said = check(format!("preset = {long:?}\n"));
    assert!(said.contains(&format!("unknown preset \"{}…\"; ", &long[..60])), "{said}");
    let said = check(format!("preset = \"demo\"\n[env]\nid = {long:?}\n"));
    assert!(said.contains(&format!("; known are {}", known_environments())), "{said}");
    check(format!("preset = \"demo\"\n{long} = 1\n"));
    check(format!("preset = \"demo\"\n[eval]\ntransfer = [{long:?}]\n"));
    check(format!("preset = \"demo\"\n[agents.{long}]\nkind = \"flat\"\n"));

    // An argument may have 128 KiB.
    let long = &long[..100_000];
    let set = format!("--set={long}=1");
    for arguments in [
        &["config", "check", long][..],
        &["config", "check", "demo", &set],
        &["env", "play", long],
        &["env", "play", "household", "--split", long],
        &["evaluate", long],
        &["evaluate", "x", "--episodes", long],
        &["env", "verify", "sokoban", "--transcripts", long],
        &[long],
    ] {
        let outcome = run(folder, arguments);
        assert!(matches!(outcome.code, Some(1 | 2)), "{:?}", outcome.code);
        assert!(outcome.err.len() < 4000, "{} bytes: {}", outcome.err.len(), &outcome.err[..200]);
    }
}
