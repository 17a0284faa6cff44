//! Golden cases of the groups `grpo`, `rloo`, `gigpo`, `ppo`, `surrogate` and, as far as they are arithmetic, `himac`
//! (tests/golden.json; the others are in `stepladder-agent`).
#![allow(clippy::unwrap_used)]
#![allow(missing_docs)]

mod common;

use common::cases;
use serde_json::Value;
use stepladder_algo::gigpo::{Trajectory, advantages};
use stepladder_algo::himac::best_blueprint;
use stepladder_algo::ops::group::{GroupMode, GroupRule, group_relative, relative};
use stepladder_algo::ops::returns::{Gae, place_rewards, returns_to_go, whiten};
use stepladder_algo::ops::surrogate::{Aggregate, SurrogateRule, value_loss};
use tch::{Kind, Tensor};

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// abs(a − b) ≤ tol + tol·abs(b), the rule of the file.
fn close(case: &Value, what: &str, found: &[f64], expected: &Value) {
    let expected = numbers(expected);
    let tolerance = case["tol"].as_f64().unwrap();
    assert_eq!(found.len(), expected.len(), "{} {what}", case["id"]);
    for (found, expected) in found.iter().zip(&expected) {
        let near = (found - expected).abs() <= tolerance + tolerance * expected.abs();
        assert!(near, "{} {what}: {found} for {expected}", case["id"]);
    }
}

fn rule(inputs: &Value, mode: &Value) -> GroupRule {
    let mode: GroupMode = serde_json::from_value(mode.clone()).unwrap();
    let mut rule = GroupRule::new(mode);
    if let Some(ddof) = inputs["ddof"].as_u64() {
        rule.ddof = ddof as u32;
    }
    if let Some(eps) = inputs["eps"].as_f64() {
        rule.eps = eps;
    }
    rule
}

#[test]
fn group_relative_advantages() {
    for case in cases("grpo").into_iter().chain(cases("rloo")) {
        let inputs = &case["inputs"];
        let rewards = numbers(&inputs["rewards"]);
        match &inputs["modes"] {
            Value::Array(modes) => {
                for mode in modes {
                    let expected = &case["expected"][mode.as_str().unwrap()];
                    close(&case, "advantages", &relative(&rewards, rule(inputs, mode)), expected);
                }
            }
            _ => {
                let groups: Vec<String> = match &inputs["group"] {
                    Value::Array(names) => names.iter().map(Value::to_string).collect(),
                    _ => vec![String::new(); rewards.len()],
                };
                let found = group_relative(&rewards, &groups, rule(inputs, &inputs["mode"]));
                close(&case, "advantages", &found, &case["expected"]);
            }
        }
    }
}

#[test]
fn anchor_states() {
    for case in cases("gigpo") {
        let inputs = &case["inputs"];
        let trajectories: Vec<Trajectory<'_>> = inputs["trajectories"]
            .as_array()
            .unwrap()
            .iter()
            .map(|trajectory| Trajectory {
                anchors: trajectory["states"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|state| state.as_str().unwrap())
                    .collect(),
                rewards: numbers(&trajectory["rewards"]),
            })
            .collect();
        let (gamma, omega) = (inputs["gamma"].as_f64().unwrap(), inputs["omega"].as_f64().unwrap());
        let rule = rule(inputs, &inputs["mode"]);
        let expected = &case["expected"];
        let parts = |per_step: bool| advantages(&trajectories, rule, gamma, omega, per_step);
        if let Some(per_trajectory) = expected.get("per_trajectory_episode_adv") {
            close(&case, "per trajectory", &parts(false).episode, per_trajectory);
            close(&case, "per step", &parts(true).episode, &expected["per_step_episode_adv"]);
            continue;
        }
        let found = parts(false);
        close(&case, "episode", &found.episode, &expected["episode_adv"]);
        for (index, trajectory) in trajectories.iter().enumerate() {
            let returns = returns_to_go(&trajectory.rewards, gamma);
            close(&case, "returns", &returns, &expected["returns_to_go"][index]);
            close(&case, "step", &found.step[index], &expected["step_adv"][index]);
            close(&case, "total", &found.total[index], &expected["total_adv"][index]);
        }
    }
}

#[test]
fn advantages_over_time() {
    let mut seen = 0;
    for case in cases("ppo") {
        let inputs = &case["inputs"];
        let id = case["id"].as_str().unwrap();
        let masked = |name: &str| -> Vec<f64> {
            let mask = numbers(&inputs["mask"]);
            numbers(&inputs[name])
                .into_iter()
                .zip(mask)
                .filter(|(_, mask)| *mask > 0.0)
                .map(|(v, _)| v)
                .collect()
        };
        let spread = |values: Vec<f64>| -> Vec<f64> {
            let mut values = values.into_iter();
            let mask = numbers(&inputs["mask"]);
            mask.iter().map(|&mask| if mask > 0.0 { values.next().unwrap() } else { 0.0 }).collect()
        };
        let expected = &case["expected"];
        if id.starts_with("gae") {
            let gae =
                Gae { gamma: inputs["gamma"].as_f64().unwrap(), lambda: inputs["lambda"].as_f64().unwrap() };
            let bootstrap = inputs["bootstrap"].as_f64().unwrap();
            let (advantages, returns) = gae.estimate(&masked("rewards"), &masked("values"), bootstrap);
            close(&case, "advantages", &spread(advantages), &expected["advantages"]);
            close(&case, "returns", &spread(returns), &expected["returns"]);
        } else if id == "whiten" {
            let mut advantages = masked("advantages");
            whiten(&mut advantages);
            close(&case, "advantages", &spread(advantages), expected);
        } else if id == "reward_placement" {
            let lens: Vec<usize> =
                numbers(&inputs["turn_lengths"]).into_iter().map(|len| len as usize).collect();
            close(&case, "rewards", &place_rewards(&lens, &numbers(&inputs["turn_rewards"])), expected);
        } else {
            assert_eq!(id, "ppo_value_clip");
            let tensor = |name: &str| Tensor::from_slice(&numbers(&inputs[name])).to_kind(Kind::Float);
            let mask = tensor("mask");
            let weight = &mask / mask.sum(Kind::Float);
            let clip = inputs["clip"].as_f64().unwrap();
            let loss =
                value_loss(&tensor("v_new"), &tensor("v_old"), &tensor("returns"), &weight, clip).unwrap();
            let expected = serde_json::json!([expected]);
            close(&case, "loss", &[loss.double_value(&[])], &expected);
        }
        seen += 1;
    }
    assert_eq!(seen, 9);
}

/// Rows of a case as concatenated reply tokens, and the weights of their mean.
fn surrogate(inputs: &Value, aggregate: Aggregate) -> (Vec<Tensor>, Tensor, Vec<(usize, usize)>) {
    let rows =
        |name: &str| -> Vec<Vec<f64>> { inputs[name].as_array().unwrap().iter().map(numbers).collect() };
    let mask = rows("mask");
    let places: Vec<(usize, usize)> = (0..mask.len())
        .flat_map(|row| (0..mask[row].len()).map(move |column| (row, column)))
        .filter(|&(row, column)| mask[row][column] > 0.0)
        .collect();
    let lens: Vec<(usize, f64)> =
        mask.iter().map(|row| (row.iter().filter(|&&on| on > 0.0).count(), 1.0)).collect();
    let weights = aggregate.weights(&lens);
    let weights: Vec<f32> = places.iter().map(|&(row, _)| weights[row] as f32).collect();
    let vectors = ["new", "old", "ref", "adv"].map(|name| {
        let rows = rows(name);
        let picked: Vec<f32> = places.iter().map(|&(row, column)| rows[row][column] as f32).collect();
        Tensor::from_slice(&picked)
    });
    (vectors.into(), Tensor::from_slice(&weights), places)
}

#[test]
fn clipped_surrogate() {
    for case in cases("surrogate") {
        let inputs = &case["inputs"];
        let number = |name: &str| inputs[name].as_f64().unwrap();
        let rule = SurrogateRule {
            clip_low: number("eps_low"),
            clip_high: number("eps_high"),
            beta: number("beta_kl"),
        };
        let aggregate = match &inputs["agg"] {
            Value::Null => Aggregate::TokenMean,
            named => serde_json::from_value(named.clone()).unwrap(),
        };
        let (vectors, weights, places) = surrogate(inputs, aggregate);
        let new = vectors[0].set_requires_grad(true);
        let found = rule.evaluate(&new, &vectors[1], &vectors[2], &vectors[3], &weights).unwrap();
        let expected = &case["expected"];
        if case["id"] == "surrogate_grad" {
            found.total.backward();
            let gradient: Vec<f32> = Vec::try_from(new.grad()).unwrap();
            let mut rows: Vec<Vec<f64>> = expected.as_array().unwrap().iter().map(numbers).collect();
            for (&(row, column), &value) in places.iter().zip(&gradient) {
                let wanted = std::mem::replace(&mut rows[row][column], 0.0);
                close(&case, "gradient", &[f64::from(value)], &serde_json::json!([wanted]));
            }
            assert!(rows.iter().flatten().all(|&rest| rest == 0.0), "gradient outside of the mask");
            continue;
        }
        for (name, value) in [
            ("pg_loss", &found.pg_loss),
            ("kl", &found.kl),
            ("total", &found.total),
            ("clip_frac", &found.clip_frac),
        ] {
            let expected = serde_json::json!([expected[name]]);
            close(&case, name, &[value.double_value(&[])], &expected);
        }
    }
}

#[test]
fn blueprints_and_executions() {
    let mut seen = 0;
    for case in cases("himac") {
        let inputs = &case["inputs"];
        let id = case["id"].as_str().unwrap();
        if id.starts_with("himac_macro") {
            let returns = numbers(&inputs["returns"]);
            let advantages = relative(&returns, rule(inputs, &inputs["mode"]));
            close(&case, "advantages", &advantages, &case["expected"]["adv"]);
            let counts: Vec<usize> =
                numbers(&inputs["num_subgoals"]).into_iter().map(|count| count as usize).collect();
            let best = best_blueprint(&returns, &counts);
            assert_eq!(best.map(|best| best as u64), case["expected"]["best_index"].as_u64(), "{id}");
            seen += 1;
        } else if id == "himac_micro" {
            let advantages = relative(&numbers(&inputs["returns"]), rule(inputs, &inputs["mode"]));
            close(&case, "advantages", &advantages, &case["expected"]);
            seen += 1;
        }
    }
    assert_eq!(seen, 4);
}
