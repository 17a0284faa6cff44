//! Tiny checkpoints of every model family compute what transformers computes: hidden states, logits, gradients, greedy replies.
//! `parity/transformers/families.py` made the fixtures.
#![allow(clippy::unwrap_used)]
#![allow(missing_docs)]

mod common;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use common::encoder;
use serde_json::{Value, json};
use stepladder_core::seed::stream;
use stepladder_model::checkpoint::{CONFIG, INDEX, export, load, read_config, read_tensors, save};
use stepladder_model::{Decoder, Device, Frame, Kind, Params, Weights, engine, families};
use stepladder_rollout::engine::Prompt;
use stepladder_rollout::sampling::Sampling;
use tch::Tensor;

/// Both sides compute in f32 and round sums in another order: relative differences up to 2e-5 were seen in values of order 1.
const TOLERANCE: f64 = 1e-4;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/families")
}

/// All fixtures with their weights; every parameter is trained.
fn fixtures() -> Vec<(PathBuf, Weights)> {
    let mut folders: Vec<PathBuf> =
        fs_err::read_dir(root()).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    assert_eq!(folders.len(), 6);
    let open = |folder: PathBuf| {
        let weights = load(&folder, &BTreeSet::new(), Device::Cpu).unwrap();
        (folder, weights)
    };
    folders.into_iter().map(open).collect()
}

fn json_of(path: &Path) -> Value {
    serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap()
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

fn sequences(folder: &Path) -> Vec<(Vec<u32>, Vec<u32>)> {
    let value = json_of(&folder.join("expected.json"));
    let all = value["sequences"].as_array().unwrap();
    all.iter().map(|each| (ids(&each["ids"]), ids(&each["reply"]))).collect()
}

fn row(ids: &[u32]) -> Tensor {
    let ids: Vec<i64> = ids.iter().map(|&id| i64::from(id)).collect();
    Tensor::from_slice(&ids).view([1, -1])
}

fn assert_close(found: &Tensor, expected: &Tensor, what: &str) {
    assert_eq!(found.size(), expected.size(), "{what}");
    let scale = expected.abs().max().double_value(&[]).max(1.0);
    let worst = (found - expected).abs().max().double_value(&[]);
    assert!(worst <= TOLERANCE * scale, "{what}: differs by {worst}, values up to {scale}");
}

fn decoder(weights: &Weights, leaf: &Tensor) -> Decoder {
    Frame::new(weights, Kind::Float).decoder(leaf)
}

/// All parameters frozen, in f32.
fn frozen(folder: &Path) -> Weights {
    let names = read_config(folder).unwrap().parameters().into_iter().map(|each| each.name).collect();
    load(folder, &names, Device::Cpu).unwrap().cast_frozen(Kind::Float)
}

#[test]
fn hidden_states_and_logits_are_those_of_transformers() {
    for (folder, weights) in fixtures() {
        let expected = read_tensors(&folder.join("expected.safetensors")).unwrap();
        let decoders = [
            decoder(&weights, &weights.trained.buffer),
            decoder(&frozen(&folder), &weights.trained.buffer.narrow(0, 0, 0)),
        ];
        for decoder in decoders {
            for (index, (ids, _)) in sequences(&folder).iter().enumerate() {
                let name = format!("{}, sequence {index}", folder.display());
                let hidden = decoder.hidden(&row(ids)).unwrap().squeeze_dim(0);
                let features = decoder.features(&hidden).unwrap();
                assert_close(&features, &expected[&format!("hidden.{index}")], &name);
                let logits = decoder.logits(&hidden).unwrap();
                let expected = &expected[&format!("logits.{index}")];
                assert!(expected.abs().max().double_value(&[]) > 1.0, "the model says nothing");
                assert_close(&logits, expected, &name);
            }
        }
    }
}

#[test]
fn gradients_are_those_of_transformers() {
    for (folder, weights) in fixtures() {
        let (ids, _) = &sequences(&folder)[0];
        let leaf = weights.trained.leaf();
        let targets = Tensor::from_slice(&(1..ids.len() as i64).collect::<Vec<_>>());
        let logprobs = decoder(&weights, &leaf).logprobs(&row(ids), &targets).unwrap();
        (-logprobs.sum(Kind::Float)).backward();
        let gradient = Params { layout: weights.trained.layout.clone(), buffer: leaf.grad() };
        let gradient = Weights::new(gradient, BTreeMap::new()).unwrap();
        let expected = read_tensors(&folder.join("expected.safetensors")).unwrap();
        let found = export(&gradient);
        assert_eq!(found.len(), expected.keys().filter(|name| name.starts_with("gradient.")).count());
        for (name, tensor) in found {
            let expected = &expected[&format!("gradient.{name}")];
            assert!(expected.abs().max().double_value(&[]) > 0.0, "{name}");
            assert_close(&tensor, expected, &format!("{}: {name}", folder.display()));
        }
    }
}

#[test]
fn greedy_replies_are_those_of_transformers() {
    let mut tokens = 0;
    for (folder, weights) in fixtures() {
        for weights in [weights, frozen(&folder)] {
            let mut engine = engine::open(&weights, Kind::Float, 1, 1 << 20).unwrap();
            // The second round reads the cached prefixes of the first.
            for _ in 0..2 {
                for (ids, expected) in sequences(&folder) {
                    let prompt = Prompt { ids, budget: 8, sampling: None, constraint: None, stop: None };
                    let reply = engine.complete(vec![prompt], &[2]).unwrap().remove(0);
                    assert_eq!(reply.ids, expected, "{}", folder.display());
                    tokens += expected.len();
                }
            }
        }
    }
    assert!(tokens > 200, "{tokens} tokens were compared");
}

/// A padded vocabulary has more embeddings than tokens: the surplus rows take no probability and are never sampled.
#[test]
fn surplus_rows_of_a_padded_vocabulary_have_no_logits() {
    const TOKENS: i64 = 21;
    for (folder, weights) in fixtures() {
        let expected = read_tensors(&folder.join("expected.safetensors")).unwrap();
        let weights = weights.with_tokens(TOKENS as usize).unwrap();
        let decoder = decoder(&weights, &weights.trained.buffer);
        let hidden = decoder
            .hidden(&row(&sequences(&folder)[0].0.iter().map(|id| id % 21).collect::<Vec<_>>()))
            .unwrap();
        let logits = decoder.logits(&hidden.squeeze_dim(0)).unwrap();
        assert_eq!(logits.size()[1], TOKENS);
        assert!(expected["logits.0"].size()[1] > TOKENS);
        let mut engine = engine::open(&weights, Kind::Float, 1, 1 << 20).unwrap();
        let sampling = |at| Some(Sampling::at(3.0, stream(at, "padded", &[])));
        let prompts = (0..40)
            .map(|at| Prompt {
                ids: vec![3, 4],
                budget: 9,
                sampling: sampling(at),
                constraint: None,
                stop: None,
            })
            .collect();
        let replies = engine.complete(prompts, &[2]).unwrap();
        assert!(replies.iter().flat_map(|reply| &reply.ids).all(|&id| i64::from(id) < TOKENS));
    }
    let (_, weights) = fixtures().remove(0);
    let message = weights.with_tokens(31).unwrap_err().to_string();
    assert!(message.contains("the tokenizer has 31 tokens, but the model has 30 embeddings"), "{message}");
}

/// What is saved is read again as the same model, and has the tensors that transformers wrote.
#[test]
fn checkpoints_of_every_family_are_saved_as_they_were() {
    for (folder, weights) in fixtures() {
        let saved = tempfile::tempdir().unwrap();
        save(saved.path(), &weights, &encoder()).unwrap();
        let again = load(saved.path(), &BTreeSet::new(), Device::Cpu).unwrap();
        assert_eq!(again.config(), weights.config(), "{}", folder.display());
        assert!(again.trained.buffer.equal(&weights.trained.buffer), "{}", folder.display());
        let ours = json_of(&saved.path().join(CONFIG));
        for (key, value) in json_of(&folder.join(CONFIG)).as_object().unwrap() {
            let kept = [
                "model_type",
                "architectures",
                "head_dim",
                "rope_parameters",
                "tie_word_embeddings",
                "hidden_act",
            ];
            if kept.contains(&key.as_str()) {
                assert_eq!(ours[key], *value, "{}: {key}", folder.display());
            }
        }
        let mut theirs = HashMap::new();
        for entry in fs_err::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with("model") && name.ends_with(".safetensors") {
                theirs.extend(read_tensors(&path).unwrap());
            }
        }
        let ours = read_tensors(&saved.path().join("model.safetensors")).unwrap();
        assert_eq!(ours.len(), theirs.len());
        for (name, tensor) in theirs {
            assert!(ours[&name].equal(&tensor.to_kind(Kind::Float)), "{}: {name}", folder.display());
        }
    }
}

/// Copies a fixture.
fn copied(name: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs_err::read_dir(root().join(name)).unwrap() {
        let path = entry.unwrap().path();
        fs_err::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    copy
}

fn refusal(folder: &Path) -> String {
    load(folder, &BTreeSet::new(), Device::Cpu).unwrap_err().to_string()
}

#[test]
fn missing_and_truncated_shards_are_named() {
    let copy = copied("mistral-shards");
    let shard = copy.path().join("model-00003-of-00004.safetensors");
    let bytes = fs_err::read(&shard).unwrap();
    fs_err::write(&shard, &bytes[..bytes.len() - 4]).unwrap();
    let message = refusal(copy.path());
    assert!(message.contains("model-00003-of-00004.safetensors: "), "{message}");
    assert!(message.contains("the file is incomplete; fetch it again"), "{message}");
    fs_err::remove_file(&shard).unwrap();
    let message = refusal(copy.path());
    assert!(
        message.ends_with("this shard is missing, but model.safetensors.index.json names it; fetch it again"),
        "{message}"
    );
    let index = copy.path().join(INDEX);
    let text = fs_err::read_to_string(&index).unwrap();
    fs_err::write(&index, text.replace("model-00003-of-00004", "../elsewhere")).unwrap();
    assert!(refusal(copy.path()).contains("has no file name"), "{}", refusal(copy.path()));
}

#[test]
fn unsupported_fields_are_refused_by_name() {
    let base = json_of(&root().join("qwen3").join(CONFIG));
    let read = |key: &str, value: Value| {
        let mut changed = base.clone();
        changed[key] = value;
        families::read(&changed)
    };
    assert!(read("attention_dropout", json!(0.1)).is_ok());
    // Published files of Qwen2.5 have it.
    assert!(read("use_mrope", json!(false)).is_ok());
    for (key, value, expected) in [
        (
            "model_type",
            json!("qwen3_moe"),
            "model_type is qwen3_moe; this program reads llama, mistral, qwen2, qwen3, gemma",
        ),
        (
            "architectures",
            json!(["Qwen3Model"]),
            "`architectures` is [\"Qwen3Model\"]; this program computes [\"Qwen3ForCausalLM\"]",
        ),
        ("num_experts", json!(4), "`num_experts` is not supported"),
        ("quantization_config", json!({}), "`quantization_config` is not supported"),
        (
            "hidden_act",
            json!("relu"),
            "`hidden_act` is \"relu\"; this program computes \"silu\", \"gelu\" and \"gelu_pytorch_tanh\"",
        ),
        ("dtype", json!("float8"), "`dtype` is \"float8\"; weights may be float32, bfloat16 or float16"),
        ("is_encoder_decoder", json!(true), "`is_encoder_decoder` is true, which is not supported"),
        ("use_mrope", json!(true), "`use_mrope` is true, which is not supported"),
        ("head_dim", json!(7), "a head is 7 wide; rotary positions need an even number above 0"),
        ("num_key_value_heads", json!(3), "heads 2 is not a multiple of kv_heads 3"),
        (
            "rope_parameters",
            json!({ "rope_type": "yarn", "rope_theta": 40.0 }),
            "`rope_parameters.rope_type` is \"yarn\"",
        ),
        (
            "rope_parameters",
            json!({ "rope_type": "linear", "rope_theta": 40.0 }),
            "no number under `rope_parameters.factor`",
        ),
        ("hidden_size", json!("12"), "no whole number under `hidden_size`"),
        ("tie_word_embeddings", json!("no"), "`tie_word_embeddings` must be true or false"),
    ] {
        let message = read(key, value).unwrap_err();
        assert!(message.contains(expected), "{key}: {message}");
    }
}

#[test]
fn a_sliding_window_limits_the_context() {
    let config = read_config(&root().join("mistral-shards")).unwrap();
    assert_eq!(config.shape.max_positions, 40);
    let mut qwen = json_of(&root().join("qwen3").join(CONFIG));
    qwen["sliding_window"] = json!(20);
    assert_eq!(families::read(&qwen).unwrap().shape.max_positions, 64, "`use_sliding_window` is false");
    qwen["use_sliding_window"] = json!(true);
    qwen["layer_types"] = json!(["full_attention", "sliding_attention"]);
    assert_eq!(families::read(&qwen).unwrap().shape.max_positions, 20);
}
