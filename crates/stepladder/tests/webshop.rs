//! WebShop through the program.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use common::{Outcome, command, episodes, folder, json, ok, refused, run};
use serde_json::{Value, json};
use stepladder_testing::data_root;

/// Products of our own in the form of the official files: ten synthetic goals, two written by people.
fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/webshop")
}

const PRODUCTS: &str = "items_shuffle_1000.json";
const ATTRIBUTES: &str = "items_ins_v2_1000.json";
const HUMAN: &str = "items_human_ins.json";

/// Arguments that play the small catalogue, which has no table of nouns.
const SMALL: [&str; 6] = ["--split", "paper-test", "--data", "data", "--option", "nouns=stub"];

/// Puts the small catalogue below the data root `data` of a folder.
fn catalogue(folder: &Path) -> PathBuf {
    let place = folder.join("data/webshop");
    fs_err::create_dir_all(&place).unwrap();
    for name in [PRODUCTS, ATTRIBUTES, HUMAN] {
        fs_err::copy(fixtures().join(name), place.join(name)).unwrap();
    }
    place
}

/// Changes the text of a file.
fn edit(path: &Path, change: impl FnOnce(String) -> String) {
    let text = fs_err::read_to_string(path).unwrap();
    fs_err::write(path, change(text)).unwrap();
}

/// Plays with lines of a person. The end of the input ends the game.
fn told(folder: &Path, arguments: &[&str], lines: &[&str]) -> Outcome {
    let mut play = command(folder, &[&["env", "play", "webshop"], arguments].concat());
    play.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut play = play.spawn().unwrap();
    play.stdin.take().unwrap().write_all(format!("{}\n", lines.join("\n")).as_bytes()).unwrap();
    let output = play.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Outcome { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// Pages that a person sees, from the first one.
fn pages(folder: &Path, arguments: &[&str], lines: &[&str]) -> Vec<String> {
    let outcome = told(folder, arguments, lines);
    assert_eq!((outcome.code, outcome.err.as_str()), (Some(0), ""), "{outcome:?}");
    outcome.out.split("\n\n").map(|page| page.trim_start_matches("> ").to_owned()).collect()
}

#[test]
fn the_list_says_what_there_is() {
    let temporary = folder();
    let list = json(temporary.path(), &["env", "list", "--json"]);
    let shop = list.as_array().unwrap().iter().find(|env| env["id"] == "webshop").unwrap();
    assert_eq!(shop["max_steps"], 15);
    let splits: Vec<&str> = shop["splits"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!((&splits[..4], splits.len()), (&["train", "dev", "test", "paper-test"][..], 10));
    assert!(shop["data_licence"].as_str().unwrap().starts_with("none needed for the generated shop; "));
    let said = ok(temporary.path(), &["env", "list"]);
    for option in ["observation=text|text_rich", "goals=synthetic|human", "nouns=table|stub", "products=N"] {
        assert!(said.contains(&format!("option: {option} (playing, env bench")), "{option}: {said}");
    }
}

#[test]
fn recorded_episodes_of_the_original_agree() {
    let file = "transcripts/webshop_1k_synthetic.jsonl.zst";
    let Some(root) = data_root(file) else { return };
    let (file, root) = (root.join(file), root.to_str().unwrap().to_owned());
    let temporary = folder();
    let arguments = ["env", "verify", "webshop", "--transcripts", file.to_str().unwrap(), "--data", &root];
    let report = json(temporary.path(), &[&arguments[..], &["--json"]].concat());
    assert_eq!((&report["rows"], &report["mismatches"]), (&json!(659), &json!(0)), "{report}");
    // A goal stands in the first row of each of 45 episodes.
    let compared = json!({
        "admissible": 659, "done": 659, "goal": 45, "observation": 659, "observation_rich": 659, "reward": 659,
        "reward_info": 614,
    });
    assert_eq!((&report["compared_fields"], &report["first_difference"]), (&compared, &Value::Null));
    let said = ok(temporary.path(), &arguments);
    assert!(
        said.starts_with("webshop: 659 rows, 0 mismatches\ncompared: admissible, done, goal (in 45 rows), "),
        "{said}"
    );
    assert!(
        said.contains(
            "\nnot compared: rewards with the official tagger's nouns (the episodes were recorded with "
        ),
        "{said}"
    );
    assert!(said.contains("nouns=stub"), "{said}");
}

#[test]
fn the_bench_depends_on_the_seed_alone() {
    let temporary = folder();
    let folder = temporary.path();
    catalogue(folder);
    let generated = ["--split", "dev", "--option", "products=100", "--option", "pages=short"];
    for (place, goals) in [(generated, 200), (SMALL, 10)] {
        let bench = |seed| {
            let arguments = ["env", "bench", "webshop", "--steps", "2000", "--seed", seed];
            let arguments = [&arguments[..], &place].concat();
            let report = json(folder, &[&arguments[..], &["--json"]].concat());
            assert_eq!((&report["env"], &report["games"]), (&json!("webshop"), &json!(goals)));
            for number in ["steps_per_second", "searches", "purchases", "resets_per_second", "start_seconds"]
            {
                assert!(report[number].as_f64().unwrap() > 0.0, "{report}");
            }
            let checksum = report["checksum"].as_str().unwrap().to_owned();
            assert!(ok(folder, &arguments).ends_with(&format!("checksum {checksum}\n")));
            checksum
        };
        assert_eq!(bench("0"), bench("0"));
        assert_ne!(bench("0"), bench("1"));
    }
}

#[test]
fn a_person_searches_looks_and_buys() {
    let temporary = folder();
    let folder = temporary.path();
    catalogue(folder);
    let lines = [
        "?",
        "search[clamp lamp]",
        "click[B0LADDER02]",
        "click[features]",
        "click[< Prev]",
        "?",
        "click[buy now]",
    ];
    let shown = pages(folder, &[&SMALL[..], &["--task", "3"]].concat(), &lines);
    assert!(
        shown[0].starts_with("[webshop/paper-test/goal-3]\nWebShop [SEP] Instruction: [SEP] Find me "),
        "{shown:#?}"
    );
    // Its one action stands before the page that follows.
    assert!(shown[1].starts_with("search[Find me "), "{shown:#?}");
    assert!(
        shown[1].contains(" [SEP] Page 1 (Total results: ")
            && shown[1].contains(" [SEP] B0LADDER02 [SEP] Gooseneck"),
        "{shown:#?}"
    );
    assert!(
        shown[2].contains(" [SEP] Price: $19.0 to $29.0 [SEP] Rating: N.A. [SEP] Description "),
        "{shown:#?}"
    );
    assert!(shown[3].ends_with(" [SEP] < Prev [SEP] Energy efficient"), "{shown:#?}");
    assert!(
        shown[5].starts_with("click[< prev]\nclick[back to search]\nclick[buy now]\nclick[description]\n"),
        "{shown:#?}"
    );
    assert!(shown[6].starts_with("Terminated after 5 steps, won: "), "{shown:#?}");
    // Without data, too.
    let shown = pages(folder, &["--split", "dev", "--option", "products=100"], &["search[blue lamp]"]);
    assert!(shown[1].contains(" [SEP] Back to Search [SEP] Page 1 (Total results: "), "{shown:#?}");
}

#[test]
fn the_expert_plays_and_demonstrates() {
    let temporary = folder();
    let folder = temporary.path();
    let played = ok(folder, &["env", "play", "webshop", "--split", "dev", "--expert"]);
    assert!(played.starts_with("[webshop/dev/goal-0]\nWebShop [SEP] Instruction: [SEP] "), "{played}");
    let deeds = [
        "\nsubtask: search for ",
        "\n> search[",
        "\nsubtask: open a fitting product\n",
        "\n> click[B0",
        "\nsubtask: buy the product\n> click[Buy Now]\n",
    ];
    let places: Vec<usize> =
        deeds.iter().map(|deed| played.find(deed).unwrap_or_else(|| panic!("{deed}: {played}"))).collect();
    assert!(places.is_sorted(), "{played}");
    let steps = played.lines().filter(|line| line.starts_with("> ")).count();
    assert!(played.contains(&format!("\nTerminated after {steps} steps, won: ")), "{played}");

    let demonstrate = |file: &str, more: &[&str]| {
        let arguments =
            ["demonstrate", "--env", "webshop", "--split", "dev", "--count", "20", "--json", "-o", file];
        let said = json(folder, &[&arguments[..], more].concat());
        (said, episodes(&folder.join(file)))
    };
    let (said, clean) = demonstrate("clean.jsonl", &[]);
    assert_eq!((&said["n"], &said["split_tasks"]), (&json!(20), &json!(200)), "{said}");
    let won = clean.iter().filter(|episode| episode.won).count();
    assert_eq!(said["success"].as_f64(), Some(won as f64 / 20.0));
    assert!(won >= 14, "{said}");
    assert!(clean.iter().all(|episode| episode.policy == "expert/webshop" && episode.len() <= 15));
    assert_eq!(demonstrate("again.jsonl", &[]).1, clean);
    let (_, noisy) = demonstrate("noisy.jsonl", &["--noise", "0.3"]);
    assert!(noisy.iter().flat_map(|episode| episode.steps()).any(|step| step.expert.is_some()));
    // Texts with marks of buttons instead of separators are played as well.
    let (_, rich) = demonstrate("rich.jsonl", &["--option", "observation=text_rich"]);
    assert!(rich.iter().all(|episode| episode.start.text.contains("\n[button] Search [button_]")));
    assert!(rich.iter().filter(|episode| episode.won).count() >= 14);
}

#[test]
fn known_solutions_are_written_with_the_subtasks_of_the_expert() {
    let temporary = folder();
    let folder = temporary.path();
    let demonstrate = |more: &[&str]| {
        let arguments =
            ["demonstrate", "--env", "webshop", "--split", "dev", "--walkthrough", "--count", "20", "--json"];
        let said = json(folder, &[&arguments[..], &["-o", "d.jsonl"], more].concat());
        assert_eq!((&said["n"], &said["success"]), (&json!(20), &json!(1.0)), "{said}");
        episodes(&folder.join("d.jsonl"))
    };
    let divided = demonstrate(&[]);
    let flat = demonstrate(&["--flat"]);
    for (divided, flat) in divided.iter().zip(&flat) {
        assert_eq!((divided.agent.as_str(), flat.agent.as_str()), ("step_hrl", "flat"));
        assert_eq!((&divided.task, divided.policy.as_str()), (&flat.task, "walkthrough/webshop"));
        let actions = |episode: &stepladder_core::trace::Episode| {
            episode.steps().map(|step| step.action.clone()).collect::<Vec<_>>()
        };
        assert_eq!(actions(divided), actions(flat), "{}", flat.task);
        let texts: Vec<&str> = divided.subtasks.iter().map(|subtask| subtask.text.as_str()).collect();
        assert!(texts[0].starts_with("search for ") && texts[1] == "open a fitting product", "{texts:?}");
        assert_eq!(texts.last(), Some(&"buy the product"));
        assert!(texts[2..texts.len() - 1].iter().all(|text| text.starts_with("choose ")), "{texts:?}");
    }
}

/// Expects every command that needs the catalogue to fail with a message that begins and goes on like this.
fn unusable(folder: &Path, begins: &str, contains: &[&str]) {
    let play = ["env", "play", "webshop"];
    let bench = ["env", "bench", "webshop"];
    let demonstrate = ["demonstrate", "--env", "webshop", "--count", "1", "-o", "d.jsonl"];
    for arguments in [&play[..], &bench, &demonstrate] {
        let outcome = run(folder, &[arguments, &SMALL].concat());
        assert_eq!(outcome.code, Some(1), "{arguments:?}: {outcome:#?}");
        assert!(outcome.err.starts_with(&format!("error: {begins}")), "{begins}: {}", outcome.err);
        assert!(contains.iter().all(|part| outcome.err.contains(part)), "{contains:?}: {}", outcome.err);
        assert!(!folder.join("d.jsonl").exists());
    }
}

#[test]
fn a_missing_or_broken_file_is_named_with_the_place_and_the_remedy() {
    let temporary = folder();
    let folder = temporary.path();
    unusable(
        folder,
        "data/webshop/items_shuffle_1000.json: this file of the official catalogue is missing; ",
        &["`stepladder data status`", "--data or STEPLADDER_DATA"],
    );
    let place = catalogue(folder);
    let (products, attributes) = (place.join(PRODUCTS), place.join(ATTRIBUTES));
    assert!(
        ok(
            folder,
            &[
                "env", "bench", "webshop", "--steps", "10", SMALL[0], SMALL[1], SMALL[2], SMALL[3], SMALL[4],
                SMALL[5]
            ]
        )
        .starts_with("webshop: ")
    );

    let named = "data/webshop/items_shuffle_1000.json: ";
    let good = fs_err::read_to_string(&products).unwrap();
    for (broken, reason, remedy) in [
        (
            good[..good.len() / 2].to_owned(),
            "the file ends in entry 2, which begins near line 3 column 1: it is truncated",
            "fetch it again",
        ),
        (good[..good.len() - 2].to_owned(), "the file ends in entry 5", "fetch it again"),
        (String::new(), "the file ends in entry 1", "fetch it again"),
        (
            good.replace("\"$19.00$29.00\"", "\"free\""),
            "entry 2: `B0LADDER02`: `pricing` is `free`, without a price that follows a dollar sign (it ends at line 3 column ",
            "correct this entry, or fetch the file again",
        ),
        (
            good.replace("\"name\": \"Mill", "\"title\": \"Mill"),
            "entry 3: missing field `name` at line 4 column ",
            "correct this entry, or fetch the file again",
        ),
        (
            good.replace("\"name\": \"Mill", "\"name\": 7, \"x\": \"Mill"),
            "entry 3: invalid type: integer `7`, expected a string at line 4 column ",
            "correct this entry",
        ),
        (good.replace("Rubber sole\",", "Rubber sole\""), "entry 4 is not JSON: ", "fetch the file again"),
        (
            "<!DOCTYPE html>\n".to_owned(),
            "expected an array of entries at line 1 column 1: this is another file",
            "fetch it again",
        ),
        ("[]\n".to_owned(), "there is no product in this file", ""),
    ] {
        fs_err::write(&products, broken).unwrap();
        unusable(folder, &format!("{named}{reason}"), &[remedy]);
    }
    fs_err::write(&products, &good).unwrap();

    let named = "data/webshop/items_ins_v2_1000.json: ";
    let good = fs_err::read_to_string(&attributes).unwrap();
    fs_err::write(&attributes, good.replace("B0LADDER", "B0SHELF00")).unwrap();
    let foreign = "no entry is for any of the 4 products of data/webshop/items_shuffle_1000.json: the files belong to different catalogues";
    unusable(folder, &format!("{named}{foreign}"), &["fetch both files of one catalogue"]);
    fs_err::write(&attributes, good.replace("[\"rubber sole\"]}", "[]}")).unwrap();
    unusable(
        folder,
        &format!(
            "{named}entry 4 (`B0LADDER04`): an instruction needs at least one entry in `instruction_attributes`"
        ),
        &["line 5"],
    );
    fs_err::remove_file(&attributes).unwrap();
    unusable(
        folder,
        &format!("{named}this file of the official catalogue is missing; "),
        &["`stepladder data status`"],
    );
    fs_err::write(&attributes, good).unwrap();
}

#[test]
fn goals_of_people_need_their_file() {
    let temporary = folder();
    let folder = temporary.path();
    let human = catalogue(folder).join(HUMAN);
    let play = [&["env", "play", "webshop"], &SMALL[..], &["--option", "goals=human"]].concat();
    assert!(ok(folder, &play).contains(" [SEP] i "), "an instruction written by a person");
    edit(&human, |text| text.replace("B0LADDER", "B0SHELF00"));
    let outcome = run(folder, &play);
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.err.starts_with(
            "error: data/webshop/items_human_ins.json: no instruction is for any of the 4 products of "
        ),
        "{}",
        outcome.err
    );
    fs_err::remove_file(&human).unwrap();
    refused(
        folder,
        &play,
        1,
        "data/webshop/items_human_ins.json: this file of the official catalogue is missing; `stepladder data status` shows where it comes from, and --data or STEPLADDER_DATA the directory above",
    );
}

#[test]
fn a_catalogue_without_nouns_is_played_with_those_of_a_rule_alone() {
    let temporary = folder();
    let folder = temporary.path();
    let place = catalogue(folder);
    let play = ["env", "play", "webshop", "--split", "paper-test", "--data", "data"];
    let remedy = "make the table with parity/webshop_nouns.py from the file of products, or choose the option nouns=stub, whose rewards are not those of the original";
    let table = "data/webshop/nouns_en_core_web_sm_3.8.0.json";
    refused(
        folder,
        &play,
        1,
        &format!(
            "{table}: the table of nouns of this catalogue's names is missing, and rewards need it; {remedy}"
        ),
    );
    assert!(
        ok(folder, &["env", "play", "webshop", SMALL[0], SMALL[1], SMALL[2], SMALL[3], SMALL[4], SMALL[5]])
            .contains("Find me ")
    );
    // The table of another catalogue.
    let names =
        json!({ "nouns": { "Brightwell Folding Desk Lamp with Dimmer": ["desk", "lamp", "dimmer"] } });
    fs_err::write(place.join("nouns_en_core_web_sm_3.8.0.json"), names.to_string()).unwrap();
    refused(
        folder,
        &play,
        1,
        &format!(
            "{table}: 3 of 4 product names are not in this table, the first one is `Gooseneck Clamp Lamp for Workbenches`; {remedy}"
        ),
    );
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../parity/webshop_nouns.py");
    assert!(script.is_file(), "the script that messages name");
}

#[test]
fn actions_that_the_page_does_not_offer_change_nothing() {
    let temporary = folder();
    let folder = temporary.path();
    catalogue(folder);
    let start = pages(folder, &SMALL, &[])[0].split_once('\n').unwrap().1.to_owned();
    let lines =
        ["search[]", "", "buy it", "click[Buy Now]", "click[search]", "click[B0LADDER01]", "Search[lamp]"];
    let shown = pages(folder, &SMALL, &lines);
    assert_eq!(shown[1..=lines.len()], vec![start; lines.len()]);
    // An option that the product does not have, a button of another page, and a product that is not there.
    let lines = [
        "search[desk lamp]",
        "click[B0LADDER09]",
        "click[B0LADDER01]",
        "click[purple]",
        "click[Next >]",
        "click[B0LADDER02]",
        "click[red]",
    ];
    let shown = pages(folder, &SMALL, &lines);
    assert!(shown[1].contains("Page 1 (Total results: ") && shown[2] == shown[1], "{shown:#?}");
    assert!(shown[3].contains("Brightwell Folding Desk Lamp with Dimmer [SEP] Price: $24.5"), "{shown:#?}");
    assert!(shown[4..=7].iter().all(|page| *page == shown[3]), "{shown:#?}");
}

#[test]
fn queries_of_any_length_are_answered() {
    let temporary = folder();
    let folder = temporary.path();
    catalogue(folder);
    let found = "Page 1 (Total results: 2) [SEP] Next > [SEP] B0LADDER0";
    let none = "Page 1 (Total results: 0) [SEP] Next >";
    for (query, expected) in [
        ("lamp ".repeat(2_000), found),
        ("lamp".repeat(2_500), none),
        ("é".repeat(10_000), none),
        (" ".to_owned(), none),
        ("~^*?:\\\"() AND OR NOT".to_owned(), none),
    ] {
        let shown = pages(folder, &SMALL, &[&format!("search[{query}]"), "click[Next >]"]);
        assert!(shown[1].contains(expected), "{}", shown[1]);
        assert!(
            shown[2].ends_with(" [SEP] Page 2 (Total results: 2) [SEP] < Prev [SEP] Next >")
                || expected == none,
            "{}",
            shown[2]
        );
    }
}

#[test]
fn what_the_shop_does_not_have_is_refused_with_what_it_has() {
    let temporary = folder();
    let folder = temporary.path();
    catalogue(folder);
    let play = ["env", "play", "webshop"];
    let splits = "train, dev, test, paper-test, paper-eval, paper-train, verl-val, verl-train, verl-train_dev, verl-train_fit";
    for (arguments, code, message) in [
        (&["--split", "paper"][..], 2, format!("webshop has no split `paper`; it has {splits}")),
        (&["--option", "products=49"], 2, "option `products` of webshop is `49`; it takes a whole number from 50 to 1000000".to_owned()),
        (&["--option", "products=many"], 2, "option `products` of webshop is `many`; it takes a whole number from 50 to 1000000".to_owned()),
        (&["--option", "catalogue=medium"], 2, "option `catalogue` of webshop is `medium`; it takes small or full".to_owned()),
        (&["--split", "dev", "--task", "200"], 2, "webshop/dev has 200 tasks; --task counts from 0".to_owned()),
        (
            &["--split", "paper-eval", "--data", "data", "--option", "nouns=stub"],
            1,
            "data/webshop: these files make 10 goals, and the split `paper-eval` begins after them".to_owned(),
        ),
        (
            &["--split", "paper-test"],
            1,
            "webshop: no data root for the official catalogue: set STEPLADDER_DATA or pass --data DIR (DIR holds webshop/items_shuffle_1000.json, …; `stepladder data status` shows where the files come from)".to_owned(),
        ),
    ] {
        refused(folder, &[&play[..], arguments].concat(), code, &message);
    }
    let outcome = run(folder, &[&play[..], &["--option", "colour=red"]].concat());
    assert_eq!(outcome.code, Some(2));
    assert!(
        outcome.err.starts_with(
            "error: webshop has no option `colour`; it has observation=text|text_rich (playing, env bench), "
        ),
        "{}",
        outcome.err
    );
    let verify = ["env", "verify", "webshop", "--transcripts", "x", "--option", "nouns=table"];
    refused(folder, &verify, 2, "option `nouns` of webshop is for playing, env bench, not for env verify");
}

#[test]
fn the_state_of_the_data_names_what_is_missing() {
    let temporary = folder();
    let folder = temporary.path();
    let status = ["data", "status", "--data", "data"];
    fs_err::create_dir_all(folder.join("data")).unwrap();
    assert!(ok(folder, &status).contains("\nwebshop: absent\n"));
    catalogue(folder);
    let said = ok(folder, &status);
    assert!(
        said.contains(
            "\nwebshop: 1,000 products without nouns_en_core_web_sm_3.8.0.json; all products absent\n"
        ),
        "{said}"
    );
}
