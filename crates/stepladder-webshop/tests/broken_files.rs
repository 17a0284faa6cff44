//! Files of a catalogue that cannot be read: what is said, and where.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use stepladder_env::EnvError;
use stepladder_webshop::{Catalogue, Files, Tagger};

fn row(asin: &str) -> Value {
    json!({
        "asin": asin, "category": "garden", "query": "lamps", "product_category": "Home › Lamps", "name": "A lamp",
        "full_description": "It shines.", "small_description": ["Bright"], "pricing": "$30.0", "customization_options": "",
        "images": ["x"], "average_rating": 4.5,
    })
}

/// A catalogue of two products, the first of which has an instruction.
fn write(directory: &Path) -> Files {
    let files = Files {
        products: directory.join("items.json"),
        attributes: directory.join("attributes.json"),
        human: None,
        nouns: Tagger::Stub,
    };
    fs::write(&files.products, json!([row("B000000001"), row("B000000002")]).to_string()).unwrap();
    let attributes = json!({
        "B000000001": {"attributes": ["easy install"], "instruction": "Find me lamps", "instruction_attributes": ["easy install"]},
        "B000000009": {"attributes": 3},
    });
    fs::write(&files.attributes, attributes.to_string()).unwrap();
    files
}

/// Returns the file and the reason of an error.
fn reason(files: &Files) -> (String, String) {
    match Catalogue::load(files, None) {
        Err(EnvError::Data { path, reason }) => {
            (path.file_name().unwrap().to_string_lossy().into_owned(), reason)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_catalogue_is_read_and_what_does_not_count_is_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let files = write(directory.path());
    let rows =
        json!([row("nan"), row("B000000001"), row("B0000000011"), row("B000000001"), row("B000000002")]);
    fs::write(&files.products, rows.to_string()).unwrap();
    let catalogue = Catalogue::load(&files, None).unwrap();
    let products: Vec<_> =
        catalogue.products.iter().map(|product| (&*product.asin, &*product.attributes[0])).collect();
    assert_eq!(products, [("B000000001", "easy install"), ("B000000002", "DUMMY_ATTR")]);
    assert_eq!(
        (catalogue.find("b000000002"), catalogue.find("nan"), catalogue.instructions.len()),
        (Some(1), None, 1)
    );
    assert_eq!(
        Catalogue::load(&files, Some(4)).unwrap().products.len(),
        1,
        "rows are counted before products are left out"
    );
    let (file, reason) = match Catalogue::load(&files, Some(0)) {
        Err(EnvError::Data { path, reason }) => (path, reason),
        other => panic!("{other:?}"),
    };
    assert!(file == files.products && reason.contains("at least one row"), "{reason}");
}

#[test]
fn a_missing_file_is_named() {
    for number in 0..3 {
        let directory = tempfile::tempdir().unwrap();
        let files = Files { human: Some(directory.path().join("human.json")), ..write(directory.path()) };
        fs::write(files.human.as_ref().unwrap(), "{}").unwrap();
        let path = [&files.products, &files.attributes, files.human.as_ref().unwrap()][number];
        fs::remove_file(path).unwrap();
        let (file, reason) = reason(&files);
        assert!(
            path.ends_with(&file) && reason.starts_with("no such file") && reason.contains("STEPLADDER_DATA"),
            "{reason}"
        );
    }
}

#[test]
fn a_directory_is_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let files = Files { products: directory.path().to_owned(), ..write(directory.path()) };
    assert!(reason(&files).1.contains("cannot read the file"), "{:?}", reason(&files));
}

#[test]
fn a_truncated_file_says_in_which_entry_it_ends() {
    let directory = tempfile::tempdir().unwrap();
    let files = write(directory.path());
    let text = fs::read_to_string(&files.products).unwrap();
    for (end, entry) in [(0, 1), (1, 1), (text.len() / 2 + 10, 2), (text.len() - 1, 3)] {
        let end = text.floor_char_boundary(end);
        fs::write(&files.products, &text[..end]).unwrap();
        let (file, reason) = reason(&files);
        assert!(
            file == "items.json"
                && reason.contains(&format!("ends in entry {entry}, which begins near line 1 column ")),
            "{end}: {reason}"
        );
    }
    let files = write(directory.path());
    let text = fs::read_to_string(&files.attributes).unwrap();
    fs::write(&files.attributes, &text[..60]).unwrap();
    let (file, reason) = reason(&files);
    assert!(file == "attributes.json" && reason.contains("ends in entry 1 (`B000000001`)"), "{reason}");
}

#[test]
fn a_malformed_entry_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let files = write(directory.path());
    let broken = |rows: &str, expected: &str| {
        fs::write(&files.products, rows).unwrap();
        let (file, reason) = reason(&files);
        assert!(file == "items.json" && reason.contains(expected), "{reason}");
    };
    let mut second = row("B000000002");
    second["name"] = Value::Null;
    broken(
        &format!("[{},\n{second}]", row("B000000001")),
        "entry 2: invalid type: null, expected a string at line 2 column ",
    );
    second["name"] = json!("A lamp");
    second["pricing"] = json!("free");
    broken(&format!("[{},\n{second}]", row("B000000001")), "entry 2: `B000000002`: `pricing` is `free`");
    broken("[{\"asin\": \"B01\"}]", "entry 1: missing field `category` at line 1 column 16");
    broken("[{]", "entry 1 is not JSON");
    broken("{\"asin\": \"B01\"}", "expected an array of entries at line 1 column 1");
    broken("[] []", "trailing characters");
    broken("[]", "there is no product in this file");
    let rows = json!([row("B0000000011")]).to_string();
    broken(&rows, "there is no product in this file");
}

#[test]
fn attributes_and_instructions_that_fit_no_product() {
    let directory = tempfile::tempdir().unwrap();
    let files = write(directory.path());
    let attributes = |text: Value| fs::write(&files.attributes, text.to_string()).unwrap();
    attributes(json!({"B000000008": {"attributes": []}}));
    assert!(reason(&files).1.contains("no entry is for any of the 2 products of "));
    attributes(json!({"B000000001": {"attributes": []}}));
    let (file, text) = reason(&files);
    assert!(
        file == "attributes.json" && text.contains("no instruction is for any of the 2 products of "),
        "{text}"
    );
    attributes(json!({"B000000001": {"instruction": "Find me lamps", "instruction_attributes": []}}));
    let (_, text) = reason(&files);
    assert!(
        text.contains(
            "entry 1 (`B000000001`): an instruction needs at least one entry in `instruction_attributes`"
        ),
        "{text}"
    );

    let files = Files { human: Some(directory.path().join("human.json")), ..write(directory.path()) };
    let human = |text: &str| fs::write(files.human.as_ref().unwrap(), text).unwrap();
    human("{\"B000000008\": [{\"instruction\": 1}]}");
    let (file, text) = reason(&files);
    assert!(file == "human.json" && text.contains("no instruction is for any of the 2 products"), "{text}");
    human("{\"B000000001\": [{\"instruction\": \"x\"}]}");
    assert!(reason(&files).1.contains("entry 1 (`B000000001`): missing field `instruction_attributes`"));
    let written = json!([{"instruction": "A lamp.", "instruction_attributes": [], "instruction_options": []},
                         {"instruction": "..A red lamp.", "instruction_attributes": ["red"], "instruction_options": ["red"]}]);
    human(&json!({"B000000002": written}).to_string());
    let catalogue = Catalogue::load(&files, None).unwrap();
    assert_eq!(catalogue.instructions.len(), 1, "an instruction without attributes makes no goal");
    assert_eq!((&*catalogue.instructions[0].text, catalogue.instructions[0].product), ("A red lamp", 1));
}
