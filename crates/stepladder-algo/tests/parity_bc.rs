//! Behaviour cloning and AdamW against PyTorch (parity/bc_gradients): loss, gradients, and parameters after one and five
//! steps, with the tolerances that `meta.json` states and explains.
#![allow(clippy::unwrap_used)]
#![allow(missing_docs)]

mod common;

use std::collections::BTreeSet;
use std::path::PathBuf;

use common::{compare, compare_all, gradient_of, named, read_json};
use serde_json::Value;
use stepladder_algo::AlgoError;
use stepladder_algo::runtime::optimiser::{AdamW, AdamWConfig};
use stepladder_algo::runtime::score::{Loss, LossParts, weighted_nll};
use stepladder_algo::runtime::workers::Workers;
use stepladder_core::Role;
use stepladder_data::Batch;
use stepladder_data::batch::{Reduction, collate_all};
use stepladder_data::rows::{Row, Span};
use stepladder_data::tokenizer::WordTokenizer;
use stepladder_model::{Decoder, Params, checkpoint};
use tch::{Device, Kind, Tensor};

struct Fixture {
    params: Params,
    tokenizer: WordTokenizer,
    rows: Vec<Row>,
    case: Value,
    meta: Value,
    expected: Vec<(String, Tensor)>,
}

fn fixture() -> Fixture {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/parity/bc");
    let weights = checkpoint::load(&directory, &BTreeSet::new(), Device::Cpu).unwrap();
    let tokenizer = WordTokenizer::load(&directory.join("tokenizer.json")).unwrap();
    let case = read_json(&directory.join("case.json"));
    let number = |value: &Value| value.as_u64().unwrap() as u32;
    let rows = case["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| Row {
            role: Role::Executor,
            ids: row["ids"].as_array().unwrap().iter().map(number).collect(),
            replies: row["replies"]
                .as_array()
                .unwrap()
                .iter()
                .map(|span| Span { start: number(&span[0]), len: number(&span[1]) })
                .collect(),
            prompts: Vec::new(),
            weight: row["weight"].as_f64().unwrap() as f32,
        })
        .collect();
    let expected = checkpoint::read_tensors(&directory.join("expected.safetensors")).unwrap();
    Fixture {
        params: weights.trained,
        tokenizer,
        rows,
        case,
        meta: read_json(&directory.join("meta.json")),
        expected: expected.into_iter().collect(),
    }
}

impl Fixture {
    fn batch(&self, reduction: Reduction) -> Batch {
        assert_eq!(u64::from(self.tokenizer.pad()), self.case["pad"].as_u64().unwrap());
        collate_all(&self.rows.iter().collect::<Vec<_>>(), reduction)
    }

    fn expected(&self, prefix: &str) -> Vec<(String, Tensor)> {
        self.expected
            .iter()
            .filter_map(|(name, tensor)| {
                Some((name.strip_prefix(prefix)?.strip_prefix('/')?.to_owned(), tensor.shallow_clone()))
            })
            .collect()
    }

    fn tolerance(&self, what: &str, kind: &str) -> f64 {
        self.meta["tolerance"][what][kind].as_f64().unwrap()
    }

    fn optimiser(&self) -> (AdamW, f64) {
        let number = |name: &str| self.case["optimiser"][name].as_f64().unwrap();
        let config = AdamWConfig {
            beta1: number("beta1"),
            beta2: number("beta2"),
            eps: number("eps"),
            weight_decay: number("weight_decay"),
            clip: number("clip"),
        };
        (AdamW::new(config, &self.params.buffer), number("learning_rate"))
    }

    /// Change of each tensor in a step.
    fn updates(&self, after: &[(String, Tensor)]) -> Vec<(String, Tensor)> {
        let start = named(&self.params);
        assert_eq!(start.len(), after.len());
        after
            .iter()
            .map(|(name, tensor)| {
                let (_, before) = start.iter().find(|(other, _)| other == name).unwrap();
                (name.clone(), tensor.to_kind(Kind::Double) - before.to_kind(Kind::Double))
            })
            .collect()
    }

    /// Loss and gradient of `loss` against PyTorch's.
    fn check(&self, loss: Loss) -> Result<f64, String> {
        let (found, gradient) = gradient_of(&self.params, vec![self.batch(Reduction::RowMean)], 1, loss);
        let expected = self.meta["loss_row_mean"].as_f64().unwrap();
        compare("loss", &Tensor::from(found), &Tensor::from(expected), self.tolerance("loss", "relative"))?;
        let tolerance = self.tolerance("gradient", "relative_to_largest_entry");
        compare_all(&named(&gradient), &self.expected("gradient"), tolerance)
    }
}

#[test]
fn loss_and_gradients_are_pytorchs() {
    let fixture = fixture();
    println!("worst relative error {:.1e}", fixture.check(weighted_nll).unwrap());
    let (token_mean, _) =
        gradient_of(&fixture.params, vec![fixture.batch(Reduction::TokenMean)], 1, weighted_nll);
    let expected = Tensor::from(fixture.meta["loss_token_mean"].as_f64().unwrap());
    let tolerance = fixture.tolerance("loss", "relative");
    compare("token mean", &Tensor::from(token_mean), &expected, tolerance).unwrap();
}

/// The right value with a gradient of the wrong sign.
fn flipped_gradient(decoder: &Decoder, batch: &Batch, device: Device) -> Result<LossParts, AlgoError> {
    let parts = weighted_nll(decoder, batch, device)?;
    Ok(LossParts { loss: parts.loss.detach() * 2.0 - parts.loss, logprobs: parts.logprobs })
}

fn flipped(decoder: &Decoder, batch: &Batch, device: Device) -> Result<LossParts, AlgoError> {
    let parts = weighted_nll(decoder, batch, device)?;
    Ok(LossParts { loss: -parts.loss, logprobs: parts.logprobs })
}

#[test]
fn a_flipped_sign_does_not_pass() {
    let fixture = fixture();
    assert!(fixture.check(flipped).unwrap_err().starts_with("loss"));
    assert!(fixture.check(flipped_gradient).unwrap_err().starts_with("model."));
}

#[test]
fn adamw_makes_pytorchs_steps() {
    let fixture = fixture();
    let (mut optimiser, rate) = fixture.optimiser();
    let mut params = Params { layout: fixture.params.layout.clone(), buffer: fixture.params.buffer.copy() };
    let workers = Workers::new(1, &common::weights(&params), Kind::Float, weighted_nll);
    let losses = fixture.meta["losses"].as_array().unwrap();
    assert_eq!(losses.len(), 5);
    for (index, loss) in losses.iter().enumerate() {
        let (scored, gradient) =
            workers.gradient(&params, vec![vec![fixture.batch(Reduction::RowMean)]], 0).unwrap();
        let norm = optimiser.step(&mut params.buffer, &gradient, rate);
        let found = [scored[0].loss, norm].map(Tensor::from);
        let expected = [loss.as_f64(), fixture.meta["gradient_norms"][index].as_f64()].map(Option::unwrap);
        for (found, expected) in found.iter().zip(expected) {
            compare(&format!("step {}", index + 1), found, &Tensor::from(expected), 1e-4).unwrap();
        }
        let prefix = format!("after_{}", index + 1);
        let after = fixture.expected(&prefix);
        if !after.is_empty() {
            let tolerance = fixture.tolerance(&prefix, "relative_to_largest_update");
            let (ours, theirs) = (fixture.updates(&named(&params)), fixture.updates(&after));
            let error = compare_all(&ours, &theirs, tolerance).unwrap();
            println!("{prefix}: worst relative error of an update {error:.1e}");
        }
    }
    assert!(!fixture.expected("after_1").is_empty() && !fixture.expected("after_5").is_empty());
}

/// A step with another sign or rate or without decay fails the comparison.
#[test]
fn other_optimisers_do_not_pass() {
    let fixture = fixture();
    let gradient = {
        let batch = fixture.batch(Reduction::RowMean);
        gradient_of(&fixture.params, vec![batch], 1, weighted_nll).1.buffer
    };
    let theirs = fixture.updates(&fixture.expected("after_1"));
    let tolerance = fixture.tolerance("after_1", "relative_to_largest_update");
    let passes = |change: &dyn Fn(&mut AdamWConfig), sign: f64, factor: f64| {
        let (mut optimiser, rate) = fixture.optimiser();
        change(&mut optimiser.config);
        let mut params =
            Params { layout: fixture.params.layout.clone(), buffer: fixture.params.buffer.copy() };
        optimiser.step(&mut params.buffer, &(&gradient * sign), rate * factor);
        compare_all(&fixture.updates(&named(&params)), &theirs, tolerance).is_ok()
    };
    assert!(passes(&|_| {}, 1.0, 1.0));
    assert!(!passes(&|_| {}, -1.0, 1.0));
    assert!(!passes(&|_| {}, 1.0, 1.01));
    assert!(!passes(&|config| config.weight_decay = 0.0, 1.0, 1.0));
    assert!(!passes(&|config| config.clip = 1e9, 1.0, 1.0));
    assert!(!passes(&|config| config.eps = 0.0, 1.0, 1.0));
}
