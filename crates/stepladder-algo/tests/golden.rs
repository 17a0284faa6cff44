//! Golden cases of the groups `logprob`, `bc`, `critic` and `actor` (tests/golden.json).
#![allow(clippy::unwrap_used)]
#![allow(missing_docs)]

mod common;

use common::textbook::{IGNORE, actor_loss, behaviour_cloning, row_logprobs, token_logprobs};
use common::{PAD, VOCAB, cases, factors, params, rows, shape, weights};
use serde_json::Value;
use stepladder_algo::ops::actor::{ActorMode, ActorRule, Totals, advantage as op_advantage};
use stepladder_algo::ops::critic::{expectile_loss, polyak, td_loss, td_target};
use stepladder_algo::ops::logprob::nll;
use stepladder_algo::runtime::score::weighted_nll;
use stepladder_data::batch::{Reduction, collate_all};
use stepladder_model::Frame;
use tch::{Device, Kind, Tensor};

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
            token_logprobs(&matrix(&inputs["logits"]).unsqueeze(0), &Tensor::from_slice2(&[&labels]));
        let expected = vector(&case["expected"]["token_logprobs"]);
        let found: Vec<f32> = Vec::try_from(logprobs.masked_select(&mask)).unwrap();
        assert_eq!(found.len(), expected.len(), "{}", case["id"]);
        for (&found, &expected) in found.iter().zip(&expected) {
            close(&case, "token", f64::from(found), f64::from(expected));
        }
        let sum = logprobs.sum(Kind::Float).double_value(&[]);
        close(&case, "sum", sum, case["expected"]["sum"].as_f64().unwrap());
        let mean = row_logprobs(&logprobs, &mask).double_value(&[0]);
        close(&case, "mean", mean, case["expected"]["mean"].as_f64().unwrap());
        // A label is the token at the same position of its row.
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
        let found = row_logprobs(&logprobs, &mask);
        for (row, expected) in case["expected"]["row_logprob"].as_array().unwrap().iter().enumerate() {
            match expected.as_f64() {
                Some(expected) => close(&case, "row", found.double_value(&[row as i64]), expected),
                None => empty_rows += 1,
            }
        }
        let loss = case["expected"]["loss"].as_f64().unwrap();
        close(&case, "textbook", behaviour_cloning(&logprobs, &mask).double_value(&[]), loss);
        // As in training: reply tokens in one row, each with its weight in the mean of means.
        let tokens = mask.sum_dim_intlist(-1, true, Kind::Float);
        let rows = tokens.gt(0.0).sum(Kind::Float);
        let weights =
            (mask.ones_like() / (tokens.clamp_min(1.0) * rows.clamp_min(1.0))).masked_select(&mask.gt(0.0));
        let found = nll(&logprobs.masked_select(&mask.gt(0.0)), &weights).unwrap();
        close(&case, "loss", found.double_value(&[]), loss);
    }
    assert!(empty_rows > 0, "no golden case has an empty row");
}

/// Compares all values of a tensor with a list of the case.
fn close_all(case: &Value, what: &str, actual: &Tensor, expected: &Value) {
    let (actual, expected) = (Vec::<f32>::try_from(actual).unwrap(), vector(expected));
    assert_eq!(actual.len(), expected.len(), "{} {what}", case["id"]);
    for (actual, expected) in actual.into_iter().zip(expected) {
        close(case, what, f64::from(actual), f64::from(expected));
    }
}

#[test]
fn critics_match_every_golden_case() {
    for case in cases("critic") {
        let (inputs, expected) = (&case["inputs"], &case["expected"]);
        let tensor = |name: &str| Tensor::from_slice(&vector(&inputs[name]));
        match case["id"].as_str().unwrap() {
            "expectile_v_conservative" | "expectile_v_optimistic" => {
                let v = tensor("v").set_requires_grad(true);
                let q = tensor("q_target").set_requires_grad(true);
                let loss = expectile_loss(&v, &q, inputs["omega"].as_f64().unwrap()).unwrap();
                let loss = loss.mean(Kind::Float);
                loss.backward();
                close(&case, "loss", loss.double_value(&[]), expected["loss"].as_f64().unwrap());
                close_all(&case, "grad_v", &v.grad(), &expected["grad_v"]);
                assert!(!q.grad().defined());
            }
            "q_td" => {
                let q = tensor("q").set_requires_grad(true);
                let next = tensor("v_next_target").set_requires_grad(true);
                let discount = (1.0 - tensor("done")) * inputs["gamma"].as_f64().unwrap();
                let target = td_target(&tensor("reward"), &discount, &next).unwrap();
                close_all(&case, "target", &target, &expected["target"]);
                let loss = td_loss(&q, &target).unwrap().mean(Kind::Float);
                loss.backward();
                close(&case, "loss", loss.double_value(&[]), expected["loss"].as_f64().unwrap());
                close_all(&case, "grad_q", &q.grad(), &expected["grad_q"]);
                assert!(!next.grad().defined());
            }
            "polyak" => {
                let number = |name: &str| inputs[name].as_f64().unwrap();
                let mut target = Tensor::from(number("target0") as f32);
                let online = Tensor::from(number("online") as f32);
                let expected = expected.as_array().unwrap();
                assert_eq!(expected.len() as u64, inputs["updates"].as_u64().unwrap());
                for value in expected {
                    polyak(&mut target, &online, number("tau")).unwrap();
                    close(&case, "target", target.double_value(&[]), value.as_f64().unwrap());
                }
            }
            other => panic!("no test for the golden case {other}"),
        }
    }
}

#[test]
fn actors_match_every_golden_case() {
    for case in cases("actor") {
        let (inputs, expected) = (&case["inputs"], &case["expected"]);
        let number = |name: &str| inputs[name].as_f64().unwrap();
        let advantage = Tensor::from_slice(&vector(&inputs["adv"]));
        let one = advantage.ones_like();
        let (temperature, clip) = (number("beta"), number("w_clip"));
        let rule = |mode| ActorRule { mode, temperature, clip };
        // Arbitrary Q and V with this difference.
        let v = &one * 0.25;
        let q = &advantage + &v;
        let raw = rule(ActorMode::Awr).factor(&op_advantage(&q, &v).unwrap(), &q).unwrap();
        close_all(&case, "raw_w", &raw, &expected["raw_w"]);
        let count = advantage.numel() as f64;
        let totals = Totals { count, factor: raw.sum(Kind::Double).double_value(&[]), advantage: 0.0 };
        let weights = &raw * (rule(ActorMode::Awr).scale(&totals) * count);
        close_all(&case, "norm_w", &weights, &expected["norm_w"]);

        let mean_advantage = advantage.mean(Kind::Double).double_value(&[]);
        for (mode, name, row_weights) in [
            (ActorMode::Awr, "loss_awr", weights.shallow_clone()),
            (ActorMode::Linear, "loss_linear", advantage.shallow_clone()),
            (ActorMode::LinearOuter, "loss_linear_outer", &one * mean_advantage),
        ] {
            let logprobs = Tensor::from_slice(&vector(&inputs["row_logprob"])).set_requires_grad(true);
            let critics = [&q, &v].map(|value| value.copy().set_requires_grad(true));
            let loss = trained_actor_loss(&rule(mode), &critics[0], &critics[1], &logprobs);
            loss.backward();
            close(&case, name, loss.double_value(&[]), expected[name].as_f64().unwrap());
            let textbook = actor_loss(&rule(mode), &q, &v, &logprobs, &one);
            close(&case, name, textbook.double_value(&[]), expected[name].as_f64().unwrap());
            // The gradient is minus each row's weight over the number of rows, and does not reach the critics.
            let wanted = row_weights * (-1.0 / count);
            assert!((logprobs.grad() - wanted).abs().max().double_value(&[]) < 1e-6, "{name}");
            assert!(critics.iter().all(|value| !value.grad().defined()), "{name}");
        }
        // Q alone is the advantage over a value of 0.
        let logprobs = Tensor::from_slice(&vector(&inputs["row_logprob"]));
        for loss in [
            trained_actor_loss(&rule(ActorMode::QLinear), &advantage, &v, &logprobs),
            actor_loss(&rule(ActorMode::QLinear), &advantage, &v, &logprobs, &one),
        ] {
            close(&case, "q_linear", loss.double_value(&[]), expected["loss_linear"].as_f64().unwrap());
        }
    }
}

/// The actor's loss as in training, for rows of one token and one sample each.
fn trained_actor_loss(rule: &ActorRule, q: &Tensor, v: &Tensor, logprobs: &Tensor) -> Tensor {
    let advantage = op_advantage(q, v).unwrap();
    let factor = rule.factor(&advantage, q).unwrap();
    let sum = |values: &Tensor| values.sum(Kind::Double).double_value(&[]);
    let totals = Totals { count: q.numel() as f64, factor: sum(&factor), advantage: sum(&advantage) };
    nll(logprobs, &(factor * rule.scale(&totals))).unwrap()
}

/// GLIDER's released high level (SARSA on the actions in the data) has the same target.
#[test]
fn the_target_of_q_of_the_next_action_in_the_data() {
    let case = cases("other_methods").into_iter().find(|case| case["id"] == "glider_sarsa").unwrap();
    let tensor = |name: &str| Tensor::from_slice(&vector(&case["inputs"][name]));
    let discount = (1.0 - tensor("done")) * case["inputs"]["gamma"].as_f64().unwrap();
    // The successor of a sample is the next one of the same episode; the last has none.
    let next = tensor("qbar").roll([-1], [0]);
    let target = td_target(&tensor("reward"), &discount, &next).unwrap();
    close_all(&case, "target", &target, &case["expected"]);
}

#[test]
fn a_batch_without_tokens_has_loss_and_gradient_zero() {
    let logprobs = Tensor::from_slice2(&[[-1.0f32, -2.0]]).set_requires_grad(true);
    let loss = behaviour_cloning(&logprobs, &Tensor::from_slice2(&[[0.0f32, 0.0]]));
    loss.backward();
    assert_eq!(loss.double_value(&[]), 0.0);
    assert_eq!(Vec::<f32>::try_from(logprobs.grad().view([-1])).unwrap(), [0.0, 0.0]);
}

/// The loss of a collated batch equals the textbook loss on full logits.
#[test]
fn the_trained_path_equals_the_textbook_loss() {
    let factors = factors();
    let params = params(shape(), &factors, 1);
    let decoder = Frame::new(&weights(&params), Kind::Float).decoder(&params.buffer);
    for seed in 0..5 {
        let mut rows = rows(seed, 9);
        // The textbook form has one reply per row, with weight 1.
        for row in &mut rows {
            row.replies.truncate(1);
            row.weight = 1.0;
        }
        // A row without a reply.
        rows[4].replies.clear();
        let batch = collate_all(&rows.iter().collect::<Vec<_>>(), Reduction::RowMean);
        let (count, len) = (rows.len(), rows.iter().map(|row| row.ids.len()).max().unwrap());
        let mut ids = vec![PAD; count * len];
        let mut labels = vec![IGNORE; count * len];
        for (index, row) in rows.iter().enumerate() {
            ids[index * len..][..row.ids.len()].copy_from_slice(&row.ids);
            for span in &row.replies {
                for position in span.start as usize..(span.start + span.len) as usize {
                    labels[index * len + position] = i64::from(row.ids[position]);
                }
            }
        }
        let (count, len) = (count as i64, len as i64);
        let ids = stepladder_model::decoder::index(&ids).view([count, len]);
        let logits = decoder
            .logits(&decoder.hidden(&ids).unwrap().view([count * len, -1]))
            .unwrap()
            .view([count, len, -1]);
        assert_eq!(logits.size(), [count, len, i64::from(VOCAB)]);
        let (logprobs, mask) = token_logprobs(&logits, &Tensor::from_slice(&labels).view([count, len]));
        let expected = behaviour_cloning(&logprobs, &mask).double_value(&[]);
        let found = weighted_nll(&decoder, &batch, Device::Cpu).unwrap().loss.double_value(&[]);
        assert!(expected > 0.1 && (found - expected).abs() < 1e-5, "{found} for {expected}");
    }
}
