//! Equality with recorded episodes of the original, and rejection of malformed recordings.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::io::Write;

use common::{pool, pool_with};
use serde_json::{Value, json};
use stepladder_env::transcript::{Report, read_rows};
use stepladder_scienceworld::{Pool, PoolOptions, verify};
use stepladder_testing::data_root;

const RECORDED: &str = "transcripts/scienceworld_hashcode2.jsonl.zst";

#[test]
fn recorded_episodes_are_reproduced_by_both_versions() {
    let Some(root) = data_root(RECORDED) else { return };
    for version in ["1.2.3", "1.1.3"] {
        let Some(pool) = pool_with(version, PoolOptions { jvms: 1, ..PoolOptions::default() }) else {
            return;
        };
        let report = verify(&root.join(RECORDED), &pool).unwrap();
        assert_eq!((report.rows, report.mismatches), (217, 0), "{version}: {:#?}", report.first_difference);
        assert_eq!(report.skipped_fields, Vec::<String>::new());
    }
}

/// Replays a transcript of the given rows.
fn replay(pool: &Pool, rows: &[Value]) -> Result<Report, String> {
    let mut file = tempfile::Builder::new().suffix(".jsonl").tempfile().unwrap();
    for row in rows {
        writeln!(file, "{row}").unwrap();
    }
    verify(file.path(), pool)
        .map_err(|error| error.to_string().replace(&file.path().display().to_string(), "FILE"))
}

#[test]
fn every_field_is_compared() {
    let Some(root) = data_root(RECORDED) else { return };
    let Some(pool) = pool() else { return };
    let rows: Vec<Value> = read_rows(&root.join(RECORDED)).unwrap().into_iter().take(2).collect();
    assert_eq!(replay(&pool, &rows).unwrap().mismatches, 0);
    for (field, wrong) in [
        ("observation", json!("You see a unicorn.")),
        ("look", json!("")),
        ("inventory", json!("")),
        ("score", json!(0.5)),
        ("done", json!(true)),
        ("moves", json!(17)),
        ("n_valid", json!(1)),
        ("valid_hash", json!(1)),
        ("valid", json!(["wait"])),
        ("description", json!("Sing.")),
    ] {
        let mut doctored = rows.clone();
        doctored[1][field] = wrong;
        let report = replay(&pool, &doctored).unwrap();
        assert_eq!((report.rows, report.mismatches), (2, 1), "{field}");
        let difference = report.first_difference.unwrap();
        assert_eq!((difference.field.as_str(), difference.row), (field, 2));
        assert_eq!(difference.task, "boil/21 (easy), step 2");
    }
}

#[test]
fn broken_recordings_are_refused_with_their_row() {
    let Some(pool) = pool() else { return };
    // Every row has these three fields.
    let full = |mut row: Value| {
        row["observation"] = json!("");
        row["score"] = json!(0);
        row["done"] = json!(false);
        row
    };
    let good = full(json!({ "task": "boil", "variation": 0, "step": 0 }));
    let error = |row: Value| replay(&pool, &[good.clone(), full(row)]).unwrap_err();
    assert_eq!(
        error(json!({ "task": "melt", "variation": 0, "step": 1 })),
        "FILE: row 2: `task` is \"melt\" in an episode that began with \"boil\"; an episode begins with step 0"
    );
    assert_eq!(error(json!({ "variation": 0, "step": 0 })), "FILE: row 2: no `task`");
    assert_eq!(error(json!({ "task": "boil", "step": 0 })), "FILE: row 2: no `variation`");
    assert_eq!(error(json!({ "task": "boil", "variation": 0 })), "FILE: row 2: no `step`");
    assert_eq!(error(json!({ "task": "boil", "variation": 0, "step": 1 })), "FILE: row 2: no `command`");
    assert_eq!(
        error(json!({ "task": "boil", "variation": 0, "step": 2, "command": "wait" })),
        "FILE: row 2: `step` is 2 after 0; the rows of an episode count up by one"
    );
    let bare = json!({ "task": "boil", "variation": 0, "step": 0 });
    assert_eq!(
        replay(&pool, &[bare]).unwrap_err(),
        "FILE: row 1: no `observation`; every row has `observation`, `score` and `done`"
    );
    let begun = full(json!({ "task": "boil", "variation": 0, "step": 2, "command": "wait" }));
    assert_eq!(
        replay(&pool, &[begun]).unwrap_err(),
        "FILE: row 1: `step` is 2, but a transcript begins with step 0 or 1"
    );
    let error = error(json!({ "task": "fry", "variation": 0, "step": 0 }));
    assert!(error.starts_with("scienceworld: row 2, fry/0 (), step 0: the simulator failed: "), "{error}");
}
