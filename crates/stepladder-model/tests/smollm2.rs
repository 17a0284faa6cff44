//! SmolLM2 as `stepladder model get` leaves it in the data root.

use std::path::Path;

use serde_json::Value;
use stepladder_testing::data_root;
use tokenizers::Tokenizer;

/// `tests/gguf/smollm2.json` is written by `parity/gguf/smollm.py`, an encoder of its own after llama.cpp's rule.
#[test]
fn ids_are_those_of_llama_cpp_on_a_corpus_of_all_scripts() {
    let Some(root) = data_root("models/smollm2-135m-instruct/tokenizer.json") else { return };
    let tokenizer = Tokenizer::from_file(root.join("models/smollm2-135m-instruct/tokenizer.json")).unwrap();
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gguf/smollm2.json");
    let cases: Vec<Value> = serde_json::from_slice(&fs_err::read(cases).unwrap()).unwrap();
    assert!(cases.len() > 300, "{}", cases.len());
    for case in cases {
        let text = case["text"].as_str().unwrap();
        let expected: Vec<u32> = serde_json::from_value(case["ids"].clone()).unwrap();
        assert_eq!(tokenizer.encode(text, true).unwrap().get_ids(), expected, "{text:?}");
    }
}
