//! Exactness on recorded episodes of the originals, and errors for broken recordings.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::io::Write;

use serde_json::{Value, json};
use stepladder_env::transcript::{Report, read_rows};
use stepladder_sokoban::verify;
use stepladder_testing::data_root;

#[test]
fn recorded_episodes_of_both_originals_are_reproduced() {
    for (name, rows) in [("sokoban_gym006", 451), ("sokoban_verl_agent", 3386)] {
        let file = format!("transcripts/{name}.jsonl.zst");
        let Some(root) = data_root(&file) else { return };
        let report = verify(&root.join(file), None).unwrap();
        assert_eq!((report.rows, report.mismatches), (rows, 0), "{:#?}", report.first_difference);
        // Pictures need the original's tiles; the report must name the field as not compared.
        assert_eq!(report.skipped_fields.len(), 1);
        assert!(report.skipped_fields[0].starts_with("rgb_sha"), "{:?}", report.skipped_fields);
    }
}

/// Replays handwritten rows.
fn replay(rows: &[Value]) -> Result<Report, String> {
    let mut file = tempfile::Builder::new().suffix(".jsonl").tempfile().unwrap();
    for row in rows {
        writeln!(file, "{row}").unwrap();
    }
    verify(file.path(), None)
        .map_err(|error| error.to_string().replace(&file.path().display().to_string(), "FILE"))
}

const BOARD: &str = " # \t # \t # \t # \t # \t\n # \t P \t X \t O \t # \t\n # \t # \t # \t # \t # \t";

fn gym(step: u64, action: Option<u64>, state: [u8; 3], reward: f64, done: bool) -> Value {
    let walls = [0; 5];
    json!({
        "step": step, "action": action, "reward": reward, "done": done,
        "room_fixed": [walls, [0, 1, 1, 2, 0], walls],
        "room_state": [walls, [0, state[0], state[1], state[2], 0], walls],
    })
}

#[test]
fn every_field_is_compared() {
    let rows = [gym(0, None, [5, 4, 2], 0.0, false), gym(1, Some(4), [1, 5, 3], 10.9, true)];
    assert_eq!(replay(&rows).unwrap().mismatches, 0);
    for (field, wrong) in [
        ("reward", json!(10.8)),
        ("done", json!(false)),
        ("won", json!(false)),
        ("tiny_sha", json!("0000")),
        ("room_state", json!([[0]])),
        ("room_fixed", json!([[0]])),
    ] {
        let mut doctored = rows.clone();
        doctored[1][field] = wrong;
        let report = replay(&doctored).unwrap();
        assert_eq!((report.rows, report.mismatches), (2, 1), "{field}");
        assert_eq!(report.first_difference.unwrap().field, field);
    }
    let message = json!({ "seed": 3, "step": 0, "max_steps": 9, "text": BOARD, "reward": 0, "done": true });
    let difference = replay(&[message]).unwrap().first_difference.unwrap();
    assert_eq!((difference.field.as_str(), difference.task.as_str()), ("done", "seed 3"));
}

#[test]
fn broken_recordings_are_refused_with_their_row() {
    let start = json!({ "step": 0, "text": BOARD });
    // Adds the two fields required in every row.
    let full = |mut row: Value| {
        row["reward"] = json!(0);
        row["done"] = json!(false);
        row
    };
    let error = |row: Value| replay(&[full(start.clone()), full(row)]).unwrap_err();
    let required = "every row has `text`, `reward` and `done`";
    assert_eq!(error(json!({ "step": 1 })), format!("FILE: row 2: no `text`; {required}"));
    assert_eq!(
        replay(std::slice::from_ref(&start)).unwrap_err(),
        format!("FILE: row 1: no `reward`; {required}")
    );
    assert_eq!(error(json!({ "text": BOARD })), "FILE: row 2: no `step`");
    assert_eq!(error(json!({ "step": 1, "text": BOARD })), "FILE: row 2: no `action`");
    assert_eq!(
        error(json!({ "step": 1, "action": 5, "text": BOARD })),
        "FILE: row 2: action 5 does not exist in this rule set"
    );
    assert_eq!(
        error(json!({ "step": 1, "action": 1, "text": BOARD, "seed": 4 })),
        "FILE: row 2: `seed` is 4 in an episode that began without it; an episode begins with step 0"
    );
    assert_eq!(
        error(json!({ "step": 0, "text": "###" })),
        "FILE: row 2: `text`: a board of 1 rows and 3 columns with 3 cells: it must be a rectangle of 3 to 16 rows and columns"
    );
    assert!(error(json!({ "step": 0, "room_state": [[0]], "room_fixed": [[0, 0]] })).contains("rectangles"));
    assert!(
        error(json!({ "step": 0, "room_state": 7, "room_fixed": 7 }))
            .starts_with("FILE: row 2: `room_fixed`: ")
    );
    assert_eq!(
        error(json!({ "step": 0, "room_stat": [[0]], "room_fixed": [[0]] })),
        "FILE: row 2: unknown field `room_stat`; did you mean `room_state`?"
    );
    assert_eq!(
        replay(&[full(json!({ "step": 1, "action": 1, "text": BOARD }))]).unwrap_err(),
        "FILE: row 1: `step` is 1, but a transcript begins with step 0"
    );
}

/// The transcripts contain every reward, won and unfinished episodes, and both kinds of no-operation.
#[test]
fn the_recordings_cover_the_rules() {
    let Some(root) = data_root("transcripts/sokoban_verl_agent.jsonl.zst") else { return };
    let rows = read_rows(&root.join("transcripts/sokoban_verl_agent.jsonl.zst")).unwrap();
    let count = |wanted: fn(&Value) -> bool| rows.iter().filter(|row| wanted(row)).count();
    assert!(count(|row| row["reward"] == json!(-1.1)) > 0);
    assert!(count(|row| row["reward"] == json!(0.9)) > 0);
    assert!(count(|row| row["action"] == json!(0)) > 0);
    assert!(count(|row| row["done"] == json!(true) && row["won"] == json!(false)) > 0);
}
