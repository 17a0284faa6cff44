//! Studies of several configurations through the program.

#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::path::Path;

use common::{files, folder, ok, run, tiny_llama};
use serde_json::Value;

const STUDY: &str = r#"
axis = "games"
seeds = [5, 6]
baseline = "from scratch step_hrl"

[[arms]]
name = "untrained"
config = "pretrained.toml"
label = "untrained"
untrained = { agent = "flat:history=1", examples = 1 }

[[arms]]
name = "scratch"
config = "tiny.toml"
set = ["data.games=6", "agents.flat=false"]
label = "from scratch"
x = 6

[[arms]]
name = "adapters"
config = "pretrained.toml"
set = ["data.games=6", "eval.episodes=4"]
label = "adapters"
x = 6
seeds = [5]
"#;

/// A folder with `study.toml`, its configurations and its model; of the adapters only `step_hrl` and `flat` are trained.
fn place() -> tempfile::TempDir {
    let temporary = folder();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let text = fs_err::read_to_string(tests.join("pretrained.toml")).unwrap();
    let (head, _) = text.split_once("[agents.dagger]").unwrap();
    let flat = "[agents.flat]\nkind = \"flat\"\nalgo = \"bc\"\nhistory = 1\nbudget = { steps = 3 }\nbatch_tokens = 2048\n";
    let rest = "[eval]\nepisodes = 2\nslots = 4\nprobes = 0\ntransfer = []\n";
    fs_err::write(temporary.path().join("pretrained.toml"), format!("{head}{flat}{rest}")).unwrap();
    fs_err::write(temporary.path().join("study.toml"), STUDY).unwrap();
    tiny_llama::write(temporary.path(), "llama", 4096, 1);
    temporary
}

fn report(folder: &Path) -> Value {
    serde_json::from_str(&fs_err::read_to_string(folder.join("runs/study/study.json")).unwrap()).unwrap()
}

#[test]
fn arms_are_trained_compared_and_drawn_and_a_stopped_study_goes_on() {
    let temporary = place();
    let folder = temporary.path();
    // One seed first: the arms and seeds that it leaves out are added by the next command.
    let first = ok(folder, &["study", "study.toml", "--seeds", "6"]);
    assert!(first.contains("| scratch | step_hrl | 6: ") && !first.contains("| adapters |"), "{first}");
    let root = folder.join("runs/study");
    let kept = fs_err::read(root.join("untrained/episodes.jsonl.zst")).unwrap();
    // As if killed between the run and the report.
    fs_err::remove_file(root.join("table.md")).unwrap();
    let said = ok(folder, &["study", "study.toml"]);
    assert_eq!(fs_err::read(root.join("untrained/episodes.jsonl.zst")).unwrap(), kept);
    let table = fs_err::read_to_string(root.join("table.md")).unwrap().trim_end().to_owned() + "\n";
    assert!(said.ends_with(&table), "{said}");

    let value = report(folder);
    let cells = value["cells"].as_array().unwrap();
    let about = |cell: &Value| {
        let text = |key: &str| cell[key].as_str().unwrap().to_owned();
        (text("line"), cell["n"].as_u64().unwrap(), cell["seeds"].as_array().unwrap().len())
    };
    let expected = [
        ("untrained flat:history=1", 2, 0),
        ("from scratch step_hrl", 4, 2),
        ("adapters step_hrl", 4, 1),
        ("adapters flat", 4, 1),
    ];
    assert_eq!(
        cells.iter().map(about).collect::<Vec<_>>(),
        expected.map(|(line, n, seeds)| (line.to_owned(), n, seeds))
    );
    for cell in cells {
        for key in ["prompt_tokens", "new_tokens", "seconds_per_step"] {
            assert!(cell[key].as_f64().unwrap() > 0.0, "{key}: {cell}");
        }
        let trained = cell["line"] != "untrained flat:history=1";
        assert_eq!(cell["training_mtokens"].as_f64().unwrap() > 0.0, trained, "{cell}");
    }
    // Adapters and the baseline played the same tasks; the untrained model has no place on the axis.
    let gains: Vec<bool> = value["gains"].as_array().unwrap().iter().map(Value::is_object).collect();
    assert_eq!(gains, [false, false, true, true]);
    assert!(table.contains("points over from scratch step_hrl"), "{table}");
    let gain = &value["gains"][2];
    let number = |key: &str| gain[key].as_f64().unwrap();
    assert!(number("p_holm") >= number("p") && number("tasks") == 4.0, "{gain}");
    assert!(
        table.contains("over seeds and tasks (2 seeds, 4 tasks) for scratch step_hrl; over tasks only"),
        "{table}"
    );
    assert!(table.contains("after Holm over 2 gains of this table"), "{table}");
    let plot = fs_err::read_to_string(root.join("plot.svg")).unwrap();
    for text in ["adapters flat", "from scratch step_hrl", "games", "success, %"] {
        assert!(plot.contains(text), "{text}");
    }
    assert!(!plot.contains("untrained"));

    // Nothing is left to do.
    let before = files(folder);
    assert_eq!(ok(folder, &["study", "study.toml"]), table);
    assert_eq!(files(folder), before);
    // Other arguments are refused, not mixed in.
    let other = run(folder, &["study", "study.toml", "--set", "eval.episodes=3"]);
    assert_eq!(other.code, Some(1));
    assert!(other.err.contains("arm untrained") && other.err.contains("choose another --dir"), "{other:?}");
}

#[test]
fn runs_of_several_places_make_one_report() {
    let temporary = place();
    let folder = temporary.path();
    let study = |seeds: &str, dir: &str, more: &[&str]| {
        let arguments = [&["study", "study.toml", "--seeds", seeds, "--dir", dir][..], more].concat();
        ok(folder, &arguments)
    };
    study("5", "here", &[]);
    // Elsewhere only the other seed is played, and its report has both.
    let table = study("6", "there", &["--results", "here/results.json"]);
    assert!(!folder.join("there/untrained").exists() && !folder.join("there/adapters").exists());
    assert!(table.contains("| scratch | step_hrl | 5: ") && table.contains(", 6: "), "{table}");
    assert!(table.contains("| adapters | flat | 5: "), "{table}");
    // The results of both places alone are enough for the same report, and nothing is played.
    let json = |dir: &str| fs_err::read(folder.join(dir).join("study.json")).unwrap();
    let again = study("5,6", "report", &["--results", "there/results.json"]);
    assert!(table.trim_end().ends_with(again.trim_end()), "{again}");
    assert_eq!(json("report"), json("there"));
    let mut made: Vec<String> = fs_err::read_dir(folder.join("report"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    made.sort();
    assert_eq!(made, ["plot.svg", "results.json", "study.json", "table.md"]);

    // Results of another configuration are refused before anything is played.
    let other = run(
        folder,
        &[
            "study",
            "study.toml",
            "--set",
            "eval.episodes=3",
            "--dir",
            "new",
            "--results",
            "here/results.json",
        ],
    );
    assert!(other.code == Some(1) && !folder.join("new").exists(), "{other:?}");
    assert!(
        other.err.contains("here/results.json") && other.err.contains("another configuration"),
        "{other:?}"
    );
    let preset = run(folder, &["study", "tiny.toml", "--seeds", "5", "--results", "here/results.json"]);
    assert!(preset.code == Some(2) && preset.err.contains("no study of several arms"), "{preset:?}");
}

#[test]
fn a_study_is_checked_before_its_first_run() {
    let temporary = place();
    let folder = temporary.path();
    let said = |arguments: &[&str]| {
        let outcome = run(folder, arguments);
        assert!(outcome.code == Some(2) && !folder.join("runs").exists(), "{outcome:?}");
        outcome.err
    };
    let with = |from: &str, to: &str| {
        assert!(STUDY.contains(from));
        fs_err::write(folder.join("study.toml"), STUDY.replace(from, to)).unwrap();
        said(&["study", "study.toml"])
    };
    for (from, to, expected) in [
        ("data.games=6\", \"agents", "data.gamse=6\", \"agents", ["arm scratch", "data.gamse"]),
        ("flat:history=1", "flta", ["arm untrained", "flta"]),
        (
            "config = \"pretrained.toml\"\nlabel = \"untrained\"",
            "config = \"tiny.toml\"",
            ["arm untrained", "no pretrained model"],
        ),
        ("seeds = [5, 6]", "seeds = [5, 5]", ["study.toml", "seed 5 twice"]),
    ] {
        let text = with(from, to);
        assert!(expected.iter().all(|part| text.contains(part)), "{text}");
    }
    fs_err::write(folder.join("study.toml"), STUDY).unwrap();
    let text = said(&["study", "study.toml", "--seeds", "9"]);
    assert!(text.contains("[9]") && text.contains("{5, 6}"), "{text}");
    let text = said(&["study", "tiny.toml"]);
    assert!(text.contains("pass --seeds"), "{text}");
}
