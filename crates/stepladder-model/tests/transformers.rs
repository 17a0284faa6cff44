//! Checkpoints written by transformers are read and give the same logits and replies; checkpoints written here have the same
//! fields and tensors. `parity/transformers/fixture.py` made the fixtures, one with transformers 4 and one with 5.
#![allow(clippy::unwrap_used)]
#![allow(missing_docs)]

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::decoder;
use serde_json::Value;
use stepladder_core::codec::Plain;
use stepladder_cpu::{Model, Writer};
use stepladder_data::words::{TOKENIZER, TOKENIZER_CONFIG};
use stepladder_data::{Budgets, CompactWords, PromptEncoder};
use stepladder_model::Weights;
use stepladder_model::checkpoint::{CONFIG, GENERATION, WEIGHTS, load, save};
use stepladder_rollout::engine::Prompt;
use tch::{Device, Tensor};

/// Tolerance for logits. A pass in f32 differs from f64 by up to 4e-6 in either implementation, rotary angles in f32
/// (transformers) add 3e-6, and the fixture is rounded at 5e-7. A wrong rotary pair or base gives far larger differences.
const TOLERANCE: f64 = 3e-5;

fn fixtures() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/llama");
    ["tied-4.57", "untied-5.24"].map(|name| root.join(name)).to_vec()
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap()
}

fn loaded(folder: &Path) -> (Weights, CompactWords) {
    let weights = load(folder, &BTreeSet::new(), Device::Cpu).unwrap();
    let vocab = weights.config().vocab as usize;
    let encoder = CompactWords::load(folder, Arc::new(Plain), vocab, Budgets::default()).unwrap();
    (weights, encoder)
}

fn cases(folder: &Path) -> Vec<Value> {
    let cases = read(&folder.join("expected.json"))["cases"].as_array().unwrap().clone();
    assert_eq!(cases.len(), 3);
    cases
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|number| number.as_u64().unwrap() as u32).collect()
}

#[test]
fn logits_are_those_of_transformers() {
    for folder in fixtures() {
        let (weights, _) = loaded(&folder);
        let decoder = decoder(&weights);
        for case in cases(&folder) {
            let prompt: Vec<i64> = ids(&case["prompt"]).into_iter().map(i64::from).collect();
            let hidden = decoder.hidden(&Tensor::from_slice(&prompt).view([1, -1])).unwrap();
            let logits = decoder.logits(&hidden.squeeze_dim(0)).unwrap();
            let expected: Vec<f64> = case["logits"].as_array().unwrap().iter().flat_map(numbers).collect();
            let expected = Tensor::from_slice(&expected).view([prompt.len() as i64, -1]);
            assert!(expected.abs().max().double_value(&[]) > 1.0, "the model says nothing");
            let worst = (logits - expected).abs().max().double_value(&[]);
            assert!(worst < TOLERANCE, "{}, {} tokens: {worst}", folder.display(), prompt.len());
        }
    }
}

#[test]
fn greedy_replies_are_those_of_transformers() {
    let mut tokens = 0;
    for folder in fixtures() {
        let (weights, encoder) = loaded(&folder);
        let model = Model::new(decoder(&weights).plain().unwrap());
        let mut writer = Writer::new(model, 1, 1 << 20);
        for case in cases(&folder) {
            let prompt =
                Prompt { ids: ids(&case["prompt"]), budget: 8, sampling: None, constraint: None, stop: None };
            let reply = writer.write(vec![prompt], encoder.end()).unwrap().remove(0);
            assert_eq!(reply.ids, ids(&case["reply"]), "{}", folder.display());
            for (found, expected) in reply.logprobs.iter().zip(numbers(&case["logprobs"])) {
                assert!((f64::from(*found) - expected).abs() < TOLERANCE, "{found} for {expected}");
                tokens += 1;
            }
        }
    }
    assert!(tokens > 20, "{tokens} tokens were compared");
}

/// Saving again reproduces the bytes of the weights and the value of every field that has an effect.
#[test]
fn what_is_saved_is_what_transformers_saves() {
    for folder in fixtures() {
        let (weights, encoder) = loaded(&folder);
        let saved = tempfile::tempdir().unwrap();
        save(saved.path(), &weights, &encoder).unwrap();

        let tensors = |folder: &Path| {
            let bytes = fs_err::read(folder.join(WEIGHTS)).unwrap();
            let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
            let mut found: Vec<(String, Vec<usize>, Vec<u8>)> = file
                .tensors()
                .into_iter()
                .map(|(name, view)| (name, view.shape().to_vec(), view.data().to_vec()))
                .collect();
            found.sort();
            found
        };
        assert!(tensors(saved.path()) == tensors(&folder), "{}", folder.display());

        // Fields without effect at inference, and fields that describe the writing program.
        let config =
            ["attention_dropout", "initializer_range", "pretraining_tp", "transformers_version", "use_cache"];
        let generation = [
            "_from_model_config",
            "transformers_version",
            "output_attentions",
            "output_hidden_states",
            "use_cache",
        ];
        // The special tokens are in tokenizer.json; transformers 5 renamed the class and still reads the name of 4.
        let words = ["added_tokens_decoder", "extra_special_tokens", "backend", "tokenizer_class"];
        for (name, left_out) in
            [(CONFIG, &config[..]), (GENERATION, &generation[..]), (TOKENIZER_CONFIG, &words[..])]
        {
            let (ours, theirs) = (read(&saved.path().join(name)), read(&folder.join(name)));
            for (key, value) in theirs.as_object().unwrap() {
                if !left_out.contains(&key.as_str()) {
                    assert_eq!(
                        ours.get(key).unwrap_or(&Value::Null),
                        value,
                        "{}: {key}",
                        folder.join(name).display()
                    );
                }
            }
        }
        assert_eq!(read(&saved.path().join(TOKENIZER_CONFIG))["tokenizer_class"], "PreTrainedTokenizerFast");
        let (ours, theirs) = (read(&saved.path().join(TOKENIZER)), read(&folder.join(TOKENIZER)));
        // transformers 5 writes a post-processor without effect.
        for key in ["model", "added_tokens", "pre_tokenizer", "normalizer", "decoder"] {
            assert_eq!(ours[key], theirs[key], "{key}");
        }
        // Reading again gives the same weights.
        assert!(loaded(saved.path()).0.trained.buffer.equal(&weights.trained.buffer));
    }
}
