//! Exactness on recorded episodes of the original, and errors for broken recordings.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};
use stepladder_env::family::VerifyRequest;
use stepladder_env::transcript::{Report, read_rows};
use stepladder_env::{EnvError, Reader};
use stepladder_testing::data_root;
use stepladder_webshop::FAMILY;

const FILE: &str = "transcripts/webshop_1k_synthetic.jsonl.zst";

fn verify(transcript: &Path, root: &Path) -> Result<Report, EnvError> {
    let options = FAMILY.options(Reader::Verify, []).unwrap();
    let transcripts = [transcript.to_owned()];
    FAMILY.verify(&VerifyRequest { transcripts: &transcripts, data_root: Some(root), options: &options })
}

#[test]
fn recorded_episodes_are_reproduced() {
    let Some(root) = data_root(FILE) else { return };
    let report = verify(&root.join(FILE), &root).unwrap();
    assert_eq!((report.rows, report.mismatches), (659, 0), "{:#?}", report.first_difference);
    let compared: Vec<(&str, usize)> =
        report.compared_fields.iter().map(|(name, rows)| (name.as_str(), *rows)).collect();
    assert_eq!(
        compared,
        [
            ("admissible", 659),
            ("done", 659),
            ("goal", 45),
            ("observation", 659),
            ("observation_rich", 659),
            ("reward", 659),
            ("reward_info", 614)
        ]
    );
    // The report says that the tagger is not the official one.
    assert_eq!(report.skipped_fields.len(), 1);
    assert!(report.skipped_fields[0].contains("nouns=stub"), "{:?}", report.skipped_fields);
}

/// Replays the first rows of the recording, of which `change` changes one.
fn replay(root: &Path, rows: &[Value]) -> Result<Report, String> {
    let mut file = tempfile::Builder::new().suffix(".jsonl").tempfile().unwrap();
    for row in rows {
        writeln!(file, "{row}").unwrap();
    }
    verify(file.path(), root)
        .map_err(|error| error.to_string().replace(&file.path().display().to_string(), "FILE"))
}

#[test]
fn every_field_is_compared_and_broken_recordings_are_refused_with_their_row() {
    let Some(root) = data_root(FILE) else { return };
    let rows = read_rows(&root.join(FILE)).unwrap();
    // The first episode ends with a purchase.
    let last = rows.iter().position(|row| row["done"] == true).unwrap();
    let rows = &rows[..=last];
    let changed = |row: usize, field: &str, value: Value| {
        let mut changed = rows.to_vec();
        changed[row][field] = value;
        replay(&root, &changed)
    };
    let longer = |text: &Value| json!(format!("{} ", text.as_str().unwrap()));
    let mut goal = rows[0]["goal"].clone();
    goal["price_upper"] = json!(40);
    let mut info = rows[last]["reward_info"].clone();
    info["r_att"] = json!(0.5);
    for (row, field, value) in [
        (1, "observation", longer(&rows[1]["observation"])),
        (1, "observation_rich", longer(&rows[1]["observation_rich"])),
        (1, "admissible", json!({ "has_search_bar": false, "clickables": [] })),
        (0, "goal", goal),
        (last, "reward", json!(0.999)),
        (last, "done", json!(false)),
        (last, "reward_info", info),
        (1, "reward_info", json!({})),
    ] {
        let report = changed(row, field, value).unwrap();
        assert_eq!((report.rows, report.mismatches), (last + 1, 1), "{field}");
        let difference = report.first_difference.unwrap();
        assert_eq!((difference.field.as_str(), difference.task.as_str()), (field, "episode 0"));
    }
    let error = changed(0, "episode", json!(6910)).unwrap_err();
    assert!(
        error.starts_with(
            "FILE: row 1: unknown task webshop/paper-train/goal-6910: paper-train has goal-1500 to goal-6909"
        ),
        "{error}"
    );
    assert!(changed(0, "command", json!("search[a]")).unwrap_err().starts_with("FILE: row 1: `command` is "));
    assert!(
        changed(1, "command", json!(7))
            .unwrap_err()
            .starts_with("FILE: row 2: `command` is 7; expected a text")
    );
    assert!(changed(1, "episode", json!(1)).unwrap_err().contains("in an episode that began with 0"));
    let mut over = rows.to_vec();
    over.push(rows[last].clone());
    over[last + 1]["step"] = json!(rows[last]["step"].as_u64().unwrap() + 1);
    assert_eq!(
        replay(&root, &over).unwrap_err(),
        format!("FILE: row {}: webshop: the episode is over; reset before the next step", last + 2)
    );
}
