//! `env verify` compares what it claims to compare, and reports what it compared.

#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::path::{Path, PathBuf};

use common::{folder, json, ok, refused, run};
use serde_json::{Value, json};
use stepladder_testing::data_root;

/// Transcripts of the originals that come with a checkout, and the name of their rows.
fn kitchen() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../stepladder-alfworld/tests/kitchen")
}

/// Returns the rows of `sink.jsonl`, next to its game in a separate folder.
fn sink(folder: &Path) -> Vec<Value> {
    fs_err::copy(kitchen().join("sink.tw-pddl"), folder.join("sink.tw-pddl")).unwrap();
    let text = fs_err::read_to_string(kitchen().join("sink.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Returns two steps of gym-sokoban.
fn gym() -> Vec<Value> {
    let walls = [0; 5];
    let row = |step: u64, action: Option<u64>, state: [u8; 3], reward: f64, done: bool| {
        json!({
            "step": step, "action": action, "reward": reward, "done": done, "seed": 0,
            "room_fixed": [walls, [0, 1, 1, 2, 0], walls],
            "room_state": [walls, [0, state[0], state[1], state[2], 0], walls],
        })
    };
    vec![
        row(0, None, [5, 4, 2], 0.0, false),
        row(1, Some(0), [5, 4, 2], -0.1, false),
        row(2, Some(4), [1, 5, 3], 10.9, true),
    ]
}

fn write(folder: &Path, rows: &[Value]) {
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    fs_err::write(folder.join("rows.jsonl"), text).unwrap();
}

const OBSERVED: [(&str, &str); 2] = [("alfworld", "observation"), ("sokoban", "room_state")];

#[test]
fn a_row_without_its_observation_is_refused_and_what_was_compared_is_said() {
    let temporary = folder();
    let folder = temporary.path();
    for (env, observation) in OBSERVED {
        let good = if env == "alfworld" { sink(folder) } else { gym() };
        let verify = ["env", "verify", env, "--transcripts", "rows.jsonl"];
        let rejected = |rows: &[Value], message: &str| {
            write(folder, rows);
            let outcome = run(folder, &verify);
            assert_eq!(outcome.code, Some(1), "{outcome:#?}");
            assert!(outcome.err.starts_with(&format!("error: rows.jsonl: {message}")), "{}", outcome.err);
        };
        let changed = |at: usize, change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
            let mut rows = good.clone();
            change(rows[at].as_object_mut().unwrap());
            rows
        };

        write(folder, &good);
        let report = json(folder, &[&verify[..], &["--json"]].concat());
        for field in [observation, "reward", "done"] {
            assert_eq!(report["compared_fields"][field], json!(good.len()), "{report}");
            rejected(
                &changed(1, &|row| drop(row.remove(field))),
                &format!("row 2: no `{field}`; every row has "),
            );
        }
        assert_eq!(report["skipped_fields"], json!([]));
        write(folder, &good);
        let said = ok(folder, &verify);
        assert!(said.contains("\ncompared: ") && said.contains(observation), "{said}");

        // Misspelt: the compared field, and an optional one.
        let misspelt = format!("{observation}s");
        let rows = changed(1, &|row| {
            let value = row.remove(observation).unwrap();
            row.insert(misspelt.clone(), value);
        });
        rejected(&rows, &format!("row 2: unknown field `{misspelt}`; did you mean `{observation}`?"));
        let optional = if env == "alfworld" { ("admissable", "admissible") } else { ("tinysha", "tiny_sha") };
        let rows = changed(1, &|row| {
            row.remove(optional.1);
            row.insert(optional.0.to_owned(), json!([]));
        });
        rejected(&rows, &format!("row 2: unknown field `{}`; did you mean `{}`?", optional.0, optional.1));
        // An additional field is allowed, but not compared.
        write(folder, &changed(1, &|row| drop(row.insert("notebook".to_owned(), json!(1)))));
        let said = ok(folder, &verify);
        assert!(
            said.contains(&format!("\nnot compared: notebook (rows of {env} have no such field)\n")),
            "{said}"
        );
        // A field of only some rows.
        write(folder, &changed(1, &|row| drop(row.remove("won"))));
        if env == "alfworld" {
            let said = ok(folder, &verify);
            assert!(said.contains(&format!("won (in {} rows)", good.len() - 1)), "{said}");
        }

        // A file holds one complete episode.
        let counted = "the rows of an episode count up by one";
        rejected(&[&good[..1], &good[2..]].concat(), &format!("row 2: `step` is 2 after 0; {counted}"));
        rejected(&[&good[..2], &good[1..]].concat(), &format!("row 3: `step` is 1 after 1; {counted}"));
        rejected(&good[1..], "row 1: `step` is 1, but a transcript begins with step 0");
        let place = if env == "alfworld" { "game" } else { "seed" };
        let rows = changed(2, &|row| drop(row.insert(place.to_owned(), json!("other"))));
        rejected(&rows, &format!("row 3: `{place}` is \"other\" in an episode that began with "));
        for step in [json!(-1), json!("1"), json!(1.5), json!(1e30)] {
            let rows = changed(1, &|row| drop(row.insert("step".to_owned(), step.clone())));
            rejected(&rows, &format!("row 2: `step` is {step}; expected a whole number, 0 or more\n"));
        }
        rejected(&[json!([1])], "row 1: [1] is no row");
    }
}

#[test]
fn one_empty_transcript_among_others_is_named() {
    let temporary = folder();
    let folder = temporary.path();
    write(folder, &gym());
    fs_err::write(folder.join("empty.jsonl"), "\n").unwrap();
    refused(
        folder,
        &["env", "verify", "sokoban", "--transcripts", "rows.jsonl", "empty.jsonl"],
        1,
        "empty.jsonl: the transcript holds no row",
    );
}

#[test]
fn recordings_of_the_originals_agree_in_every_field() {
    let Some(root) = data_root("transcripts") else { return };
    let temporary = folder();
    for (env, file, rows, fields) in [
        (
            "alfworld",
            "alfworld_train_seen",
            1029,
            &["admissible", "done", "observation", "reward", "won"][..],
        ),
        ("sokoban", "sokoban_gym006", 451, &["done", "reward", "room_fixed", "room_state", "tiny_sha"]),
        ("sokoban", "sokoban_verl_agent", 3386, &["done", "reward", "text", "won"]),
    ] {
        let file = root.join(format!("transcripts/{file}.jsonl.zst"));
        let (file, data) = (file.to_str().unwrap(), root.to_str().unwrap());
        let arguments = ["env", "verify", env, "--transcripts", file, "--data", data, "--json"];
        let report = json(temporary.path(), &arguments);
        assert_eq!((&report["rows"], &report["mismatches"]), (&json!(rows), &json!(0)));
        let compared: Value = fields.iter().map(|field| ((*field).to_owned(), json!(rows))).collect();
        assert_eq!(report["compared_fields"], compared);
    }
}

#[test]
fn tasks_that_can_be_solved_are_counted() {
    let temporary = folder();
    let folder = temporary.path();
    let count = [
        "env",
        "verify",
        "webshop",
        "--reachable",
        "dev",
        "--option",
        "products=100",
        "--option",
        "pages=short",
    ];
    let text = ok(folder, &count);
    assert!(text.starts_with("webshop dev: ") && text.contains(" of 200 tasks can be solved"), "{text}");
    let found: Value = json(folder, &[&count[..], &["--json"]].concat());
    let unreachable: u64 =
        found["unreachable"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(found["reachable"].as_u64().unwrap() + unreachable, 200);
    assert!(unreachable < 20, "{found}");
    let refusal = "sokoban has no check of which tasks can be solved";
    refused(folder, &["env", "verify", "sokoban", "--reachable", "train-6x6-1"], 2, refusal);
}
