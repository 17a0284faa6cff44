//! Exactness on generated games, against episodes of the original ALFWorld on them (`parity/README.md`).
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use stepladder_alfworld::game::FAMILIES;
use stepladder_alfworld::{Game, verify};
use stepladder_env::transcript::read_rows;

const VERSIONS: [&str; 2] = ["alfworld-0.4.2", "alfworld-0.3.4"];

fn suite(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/generated").join(version)
}

fn meta(version: &str) -> Value {
    serde_json::from_str(&fs_err::read_to_string(suite(version).join("meta.json")).unwrap()).unwrap()
}

fn rows(version: &str) -> Vec<Value> {
    read_rows(&suite(version).join("transcript.jsonl.zst")).unwrap()
}

#[test]
fn the_originals_episodes_are_reproduced_byte_for_byte() {
    for version in VERSIONS {
        let report = verify(&suite(version).join("transcript.jsonl.zst"), None).unwrap();
        assert_eq!(report.mismatches, 0, "{version}: {:#?}", report.first_difference);
        assert_eq!(Some(report.rows as u64), meta(version)["rows"].as_u64(), "{version}");
        assert_eq!(report.skipped_fields, Vec::<String>::new(), "{version}");
    }
}

#[test]
fn the_episodes_cover_every_family_command_and_text() {
    for version in VERSIONS {
        let put = if version == "alfworld-0.4.2" { "You move the " } else { "You put the " };
        let rows = rows(version);
        let games = meta(version)["games"].as_array().unwrap().clone();
        let families: BTreeSet<String> = games
            .iter()
            .map(|game| Game::load(&suite(version).join(game.as_str().unwrap())).unwrap().family().to_owned())
            .collect();
        assert_eq!(families, FAMILIES.map(str::to_owned).into(), "{version}");
        let observed =
            |text: &str| rows.iter().any(|row| row["observation"].as_str().unwrap().contains(text));
        let texts = [
            put,
            "You open the ",
            "You close the ",
            "You heat the ",
            "You cool the ",
            "You clean the ",
            "You sliced the ",
            "You turn on the ",
            "You are carrying: a ",
            "In it, you see nothing.",
            "This is a sliced ",
            "This is a hot sliced ",
            "This is a cool sliced ",
            "This is a clean sliced ",
            "This is a hot and clean sliced ",
            "This is a cool and clean sliced ",
            "This is a hot and clean ",
            "This is a cool and clean ",
            "This is a cold ",
            "This is a normal ",
            "There's nothing special about ",
            "Nothing happens.",
        ];
        for text in texts {
            assert!(observed(text), "{version}: no episode with the text `{text}`");
        }
        assert_eq!(observed("Available commands:"), version == "alfworld-0.4.2");
        assert_eq!(observed("You arrive at loc "), version == "alfworld-0.3.4");
        let on_the_floor = |row: &Value| {
            let text = row["observation"].as_str().unwrap();
            text.split_once("Next to it, you see ").is_some_and(|(_, floor)| floor != "nothing.")
        };
        assert!(rows.iter().any(on_the_floor), "{version}: no object is on the floor");
        let lost_again = rows
            .windows(2)
            .any(|pair| pair[0]["won"] == true && pair[1]["won"] == false && pair[1]["step"] != 0);
        assert!(lost_again, "{version}: no goal is lost again after it was reached");
    }
}
