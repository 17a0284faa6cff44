//! SmolLM2 as `stepladder model get` leaves it in the data root.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use serde_json::Value;
use stepladder_model::checkpoint::{load, read_config};
use stepladder_model::{Device, Frame, Kind, Weights, engine};
use stepladder_rollout::engine::Prompt;
use stepladder_testing::data_root;
use tch::Tensor;
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

/// Ends a turn: `<|im_end|>`.
const END: u32 = 2;

/// Tolerance for logits, whose sums over 576 terms in 30 blocks are rounded in another order.
const TOLERANCE: f64 = 2e-3;

#[derive(serde::Deserialize)]
struct Case {
    prompt: Vec<u32>,
    /// Ids and logits after the prompt.
    logits: Vec<(i64, f64)>,
    /// Greedy reply: 64 tokens, or those up to and with the end of a turn.
    reply: Vec<u32>,
    /// Steps of the reply at which the two largest logits are close, and the margin between them.
    near: Vec<(usize, f64)>,
}

/// `parity/transformers/smollm2.py` wrote them.
fn cases() -> Vec<Case> {
    #[derive(serde::Deserialize)]
    struct Expected {
        cases: Vec<Case>,
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/smollm2/expected.json");
    let Expected { cases } = serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap();
    assert_eq!(cases.len(), 50);
    cases
}

/// The model in f32, all of it frozen; none without the data.
fn model() -> Option<Weights> {
    let folder =
        data_root("models/smollm2-135m-instruct/model.safetensors")?.join("models/smollm2-135m-instruct");
    let names = read_config(&folder).unwrap().parameters().into_iter().map(|each| each.name).collect();
    Some(load(&folder, &names, Device::Cpu).unwrap())
}

#[test]
fn logits_are_those_of_transformers() {
    let Some(weights) = model() else { return };
    assert_eq!(weights.config().parameter_count(), 134_515_008);
    let mut worst = 0.0f64;
    let frame = Frame::new(&weights, Kind::Float);
    tch::no_grad(|| {
        let decoder = frame.decoder(&weights.trained.buffer);
        for case in &cases() {
            let ids: Vec<i64> = case.prompt.iter().map(|&id| i64::from(id)).collect();
            let last = Tensor::from_slice(&[ids.len() as i64 - 1]);
            let hidden = decoder.hidden_at(&Tensor::from_slice(&ids).view([1, -1]), &last).unwrap();
            let logits = decoder.logits(&hidden).unwrap();
            for &(id, expected) in &case.logits {
                worst = worst.max((logits.double_value(&[0, id]) - expected).abs());
            }
        }
    });
    assert!(worst < TOLERANCE, "logits differ by {worst}");
    println!("logits differ by at most {worst:.1e}");
}

/// Margin between the two largest logits below which two greedy replies may differ: half of [`TOLERANCE`], which both logits
/// may use up.
const TIE: f64 = 1e-3;
/// Prompts whose reply must be that of transformers, token for token.
const EQUAL: usize = 48;

#[test]
fn greedy_replies_are_those_of_transformers() {
    let Some(weights) = model() else { return };
    let cases = cases();
    let prompts = cases.iter().map(|case| Prompt {
        ids: case.prompt.clone(),
        budget: 64,
        sampling: None,
        constraint: None,
        stop: None,
    });
    let mut engine = engine::open(&weights, Kind::Float, 2, 0).unwrap();
    let replies = engine.complete(prompts.collect(), &[END]).unwrap();
    let (mut equal, mut tokens) = (0, 0);
    for (index, (reply, case)) in replies.iter().zip(&cases).enumerate() {
        tokens += case.reply.len();
        if reply.ids == case.reply {
            equal += 1;
            continue;
        }
        let shared = reply.ids.iter().zip(&case.reply).take_while(|(found, expected)| found == expected);
        let step = shared.count();
        let margin = case.near.iter().find(|(near, _)| *near == step).map(|(_, margin)| *margin);
        assert!(
            margin.is_some_and(|margin| margin < TIE),
            "prompt {index} differs at token {step}, which is no tie: {:?} for {:?}, margin {margin:?}",
            reply.ids,
            case.reply,
        );
        println!("prompt {index}: a tie at token {step}, margin {margin:?}");
    }
    println!("{equal} of {} replies with {tokens} tokens in all are equal", cases.len());
    assert!(equal >= EQUAL, "{equal} of {} replies are those of transformers", cases.len());
    assert!(tokens > 1500, "the replies have {tokens} tokens");
}
