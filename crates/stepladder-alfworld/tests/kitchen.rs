//! Replay of the original on a handwritten game; needs no data.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stepladder_alfworld::verify;
use stepladder_env::transcript::read_rows;

fn kitchen() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kitchen")
}

#[test]
fn the_kitchen_is_played_as_the_original_plays_it() {
    for (file, rows) in [("kitchen.jsonl.zst", 147), ("kitchen-0.3.jsonl.zst", 147), ("sink.jsonl", 9)] {
        let report = verify(&kitchen().join(file), None).unwrap();
        assert_eq!((report.rows, report.mismatches), (rows, 0), "{file}: {:#?}", report.first_difference);
    }
}

/// Writes rows next to a copy of the game and verifies them.
fn verify_rows(rows: &[Value]) -> Result<stepladder_env::transcript::Report, String> {
    let directory = tempfile::tempdir().unwrap();
    fs_err::copy(kitchen().join("sink.tw-pddl"), directory.path().join("sink.tw-pddl")).unwrap();
    let path = directory.path().join("rows.jsonl");
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    fs_err::write(&path, lines.join("\n")).unwrap();
    verify(&path, None).map_err(|error| error.to_string())
}

#[test]
fn every_compared_field_is_compared() {
    let rows = read_rows(&kitchen().join("sink.jsonl")).unwrap();
    assert_eq!(verify_rows(&rows).unwrap().mismatches, 0);
    for (field, wrong) in [
        ("observation", json!("You see a grue.")),
        ("reward", json!(1)),
        ("done", json!(true)),
        ("won", json!(true)),
        ("admissible", json!(["look"])),
    ] {
        let mut rows = rows.clone();
        for row in [2, 5] {
            rows[row][field] = wrong.clone();
        }
        let report = verify_rows(&rows).unwrap();
        assert_eq!((report.rows, report.mismatches), (9, 2), "{field}");
        let first = report.first_difference.unwrap();
        assert_eq!((first.row, &*first.field, &*first.task), (3, field, "sink.tw-pddl"));
        assert_eq!(first.expected, wrong);
    }
}

#[test]
fn a_transcript_that_cannot_be_replayed_says_why() {
    let rows = read_rows(&kitchen().join("sink.jsonl")).unwrap();
    let with = |row: usize, field: &str, value: Value| {
        let mut rows = rows.clone();
        rows[row][field] = value;
        rows
    };
    let without = |row: usize, field: &str| {
        let mut rows = rows.clone();
        rows[row].as_object_mut().unwrap().remove(field);
        rows
    };
    let mut other_game = rows.clone();
    other_game.iter_mut().skip(3).for_each(|row| row["game"] = json!("nowhere.tw-pddl"));
    for (rows, expected) in [
        (with(0, "game", json!("nowhere.tw-pddl")), "row 1: there is no game "),
        (rows[1..].to_vec(), "row 1: `step` is 1, but a transcript begins with step 0"),
        (without(1, "command"), "row 2: no `command`"),
        (without(0, "game"), "row 1: no `game`"),
        (with(0, "game", json!(5)), "row 1: `game` is 5; expected a text"),
        (
            without(2, "observation"),
            "row 3: no `observation`; every row has `observation`, `reward` and `done`",
        ),
        (with(0, "command", json!("look")), "row 1: `command` is \"look\", but step 0 begins the episode"),
        (other_game, "row 4: `game` is \"nowhere.tw-pddl\" in an episode that began with \"sink.tw-pddl\""),
        (
            [&rows[..4], &rows[5..]].concat(),
            "row 5: `step` is 5 after 3; the rows of an episode count up by one",
        ),
        (
            [&rows[..4], &rows[3..]].concat(),
            "row 5: `step` is 3 after 3; the rows of an episode count up by one",
        ),
    ] {
        let error = verify_rows(&rows).unwrap_err();
        assert!(error.contains("rows.jsonl: ") && error.contains(expected), "{error}");
    }
}
