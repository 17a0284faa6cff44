//! Golden cases of the groups `logprob` and `bc` (spec/golden.json).
#![allow(clippy::unwrap_used)]
#![allow(missing_docs)]

mod common;

use common::{PAD, VOCAB, factors, params, rows, shape};
use serde_json::Value;
use stepladder_algo::bc::weighted_nll;
use stepladder_algo::ops::logprob::IGNORE;
use stepladder_algo::ops::{behaviour_cloning, row_logprobs, token_logprobs};
use stepladder_data::batch::{Reduction, collate_all};
use stepladder_model::Decoder;
use stepladder_model::decoder::rotations;
use tch::{Device, Kind, Tensor};

fn cases(group: &str) -> Vec<Value> {
    let golden: Value = serde_json::from_str(include_str!("../../../tests/golden.json")).unwrap();
    let cases: Vec<Value> =
        golden["cases"].as_array().unwrap().iter().filter(|case| case["group"] == group).cloned().collect();
    assert!(!cases.is_empty(), "no golden case of group {group}");
    cases
}

fn vector(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect()
}

fn integers(value: &Value) -> Vec<i64> {
    value.as_array().unwrap().iter().map(|number| number.as_i64().unwrap()).collect()
}

/// abs(a − b) ≤ tol + tol·abs(b), the rule of the file.
fn close(case: &Value, what: &str, actual: f64, expected: f64) {
    let tolerance = case["tol"].as_f64().unwrap();
    assert!(
        (actual - expected).abs() <= tolerance + tolerance * expected.abs(),
        "{} {what}: {actual} for {expected}",
        case["id"]
    );
}

fn matrix(value: &Value) -> Tensor {
    let rows: Vec<Vec<f32>> = value.as_array().unwrap().iter().map(vector).collect();
    Tensor::from_slice2(&rows)
}

#[test]
fn token_logprobs_are_shifted_and_masked() {
    for case in cases("logprob") {
        let inputs = &case["inputs"];
        let labels = integers(&inputs["labels"]);
        let (logprobs, mask) =
            token_logprobs(&matrix(&inputs["logits"]).unsqueeze(0), &Tensor::from_slice2(&[&labels]))
                .unwrap();
        let expected = vector(&case["expected"]["token_logprobs"]);
        let found: Vec<f32> = Vec::try_from(logprobs.masked_select(&mask)).unwrap();
        assert_eq!(found.len(), expected.len(), "{}", case["id"]);
        for (&found, &expected) in found.iter().zip(&expected) {
            close(&case, "token", f64::from(found), f64::from(expected));
        }
        let sum = logprobs.sum(Kind::Float).double_value(&[]);
        close(&case, "sum", sum, case["expected"]["sum"].as_f64().unwrap());
        let mean = row_logprobs(&logprobs, &mask).unwrap().double_value(&[0]);
        close(&case, "mean", mean, case["expected"]["mean"].as_f64().unwrap());
        // A label says which token its own row of ids holds.
        let ids = integers(&inputs["ids"]);
        assert!(
            labels.iter().zip(&ids).all(|(&label, &id)| label == IGNORE || label == id),
            "{}",
            case["id"]
        );
    }
}

#[test]
fn row_logprobs_and_loss_of_behaviour_cloning() {
    let mut empty_rows = 0;
    for case in cases("bc") {
        let logprobs = matrix(&case["inputs"]["token_logprobs"]);
        let mask = matrix(&case["inputs"]["mask"]);
        let found = row_logprobs(&logprobs, &mask).unwrap();
        for (row, expected) in case["expected"]["row_logprob"].as_array().unwrap().iter().enumerate() {
            match expected.as_f64() {
                Some(expected) => close(&case, "row", found.double_value(&[row as i64]), expected),
                None => empty_rows += 1,
            }
        }
        let loss = behaviour_cloning(&logprobs, &mask).unwrap().double_value(&[]);
        close(&case, "loss", loss, case["expected"]["loss"].as_f64().unwrap());
    }
    assert!(empty_rows > 0, "no golden case has an empty row");
}

#[test]
fn a_batch_without_tokens_has_loss_and_gradient_zero() {
    let logprobs = Tensor::from_slice2(&[[-1.0f32, -2.0]]).set_requires_grad(true);
    let loss = behaviour_cloning(&logprobs, &Tensor::from_slice2(&[[0.0f32, 0.0]])).unwrap();
    loss.backward();
    assert_eq!(loss.double_value(&[]), 0.0);
    assert_eq!(Vec::<f32>::try_from(logprobs.grad().view([-1])).unwrap(), [0.0, 0.0]);
}

#[test]
fn shapes_that_do_not_fit_are_errors() {
    let logits = Tensor::zeros([2, 3, 4], (Kind::Float, Device::Cpu));
    let labels = Tensor::zeros([2, 2], (Kind::Int64, Device::Cpu));
    assert!(token_logprobs(&logits, &labels).is_err());
    assert!(token_logprobs(&logits.select(0, 0), &labels).is_err());
    assert!(row_logprobs(&labels, &logits.select(0, 0)).is_err());
}

/// What the trainer computes for a collated batch is the textbook loss of the full logits.
#[test]
fn the_trained_path_equals_the_textbook_loss() {
    let factors = factors();
    let params = params(shape(), &factors, 1);
    let incidence = factors.matrix(Device::Cpu);
    let rotations = rotations(&shape(), Device::Cpu);
    let decoder = Decoder::new(&params.layout, &params.flat, incidence.as_ref(), &rotations, Kind::Float);
    for seed in 0..5 {
        let mut rows = rows(seed, 9);
        // The textbook form knows one reply per row, each once.
        for row in &mut rows {
            row.replies.truncate(1);
            row.weight = 1.0;
        }
        // A row that teaches nothing.
        rows[4].replies.clear();
        let batch = collate_all(&rows.iter().collect::<Vec<_>>(), PAD, Reduction::RowMean);
        let (count, len) = (batch.rows as i64, batch.len as i64);
        let ids = Tensor::from_slice(&batch.ids).view([count, len]);
        let logits = decoder.logits(&decoder.hidden(&ids).view([count * len, -1])).view([count, len, -1]);
        assert_eq!(logits.size(), [count, len, i64::from(VOCAB)]);
        let mut labels = vec![IGNORE; batch.ids.len()];
        for (index, row) in rows.iter().enumerate() {
            for span in &row.replies {
                for position in span.start as usize..(span.start + span.len) as usize {
                    labels[index * batch.len + position] = i64::from(row.ids[position]);
                }
            }
        }
        let (logprobs, mask) =
            token_logprobs(&logits, &Tensor::from_slice(&labels).view([count, len])).unwrap();
        let expected = behaviour_cloning(&logprobs, &mask).unwrap().double_value(&[]);
        let found = weighted_nll(&decoder, &batch, Device::Cpu).unwrap().loss.double_value(&[]);
        assert!(expected > 0.1 && (found - expected).abs() < 1e-5, "{found} for {expected}");
    }
}
