//! Invariances of losses and gradients of offline actor-critic (docs/spec/algorithms.md 8.2, 8.5): order of rows, padding, rows
//! without a reply, merging, number of workers. Equalities: the textbook losses, and behaviour cloning if all advantages are
//! equal.
#![allow(clippy::unwrap_used)]
#![allow(missing_docs)]

mod common;

use common::textbook::actor_loss;
use common::{
    PAD, compare, critics, factors, gradient, offline_config, offline_rows, params, shape, weights,
};
use rand::seq::SliceRandom;
use stepladder_algo::offline_ac::critics::heads;
use stepladder_algo::offline_ac::{
    OfflineConfig, StepGradients, VTarget, gradients, workers as start_workers,
};
use stepladder_algo::ops::actor::{ActorMode, ActorRule};
use stepladder_algo::ops::critic::{expectile_loss, td_loss, td_target};
use stepladder_algo::runtime::net::Net;
use stepladder_algo::runtime::optimiser::AdamWConfig;
use stepladder_algo::runtime::passes::Passes;
use stepladder_algo::runtime::plan::Mixture;
use stepladder_core::seed::stream;
use stepladder_data::batch::{Reduction, collate_all};
use stepladder_data::offline::merge;
use stepladder_data::rows::Row;
use stepladder_data::{Level, OfflineRow};
use stepladder_model::{Frame, Params};
use tch::{Device, Kind, Tensor};

const ADAM: AdamWConfig = AdamWConfig { beta1: 0.9, beta2: 0.98, eps: 1e-8, weight_decay: 0.01, clip: 1.0 };
const MODES: [ActorMode; 4] = [ActorMode::Awr, ActorMode::Linear, ActorMode::LinearOuter, ActorMode::QLinear];
const MIXTURES: [Mixture; 2] = [Mixture::Pooled, Mixture::Levels];
/// Tolerance relative to the largest entry: only the order of f32 additions differs.
const TOLERANCE: f64 = 3e-6;

struct Same {
    params: Params,
    critics: Net,
}

impl Same {
    fn new() -> Self {
        Self { params: params(shape(), &factors(), 5), critics: critics(ADAM, 7) }
    }

    fn of(&self, config: &OfflineConfig, rows: &[OfflineRow], workers: usize) -> StepGradients {
        self.within(config, rows, workers, Kind::Float.into())
    }

    fn within(
        &self,
        config: &OfflineConfig,
        rows: &[OfflineRow],
        workers: usize,
        passes: Passes,
    ) -> StepGradients {
        let pool = start_workers(workers, &weights(&self.params), config, passes);
        gradients(config, rows.iter().collect(), PAD, (&self.params, &self.critics), true, &pool).unwrap()
    }
}

fn same(what: &str, found: &StepGradients, expected: &StepGradients) -> Result<(), String> {
    for (name, found, expected) in
        [("loss", found.loss, expected.loss), ("actor loss", found.actor_loss, expected.actor_loss)]
    {
        if (found - expected).abs() > TOLERANCE * (1.0 + expected.abs()) {
            return Err(format!("{what}: {name} {found} for {expected}"));
        }
    }
    for (gradient, wanted) in [(&found.actor, &expected.actor), (&found.critics, &expected.critics)] {
        assert!(wanted.abs().max().double_value(&[]) > 1e-4, "{what}: no gradient to compare");
        compare(what, gradient, wanted, TOLERANCE)?;
    }
    for ((_, found), (_, expected)) in found.sums.iter().zip(expected.sums.iter()) {
        let pairs = [
            (found.weight_max, expected.weight_max),
            (found.q, expected.q),
            (found.critic_loss, expected.critic_loss),
            (found.totals.count, expected.totals.count),
        ];
        if pairs.iter().any(|(found, expected)| (found - expected).abs() > 1e-4 * (1.0 + expected.abs())) {
            return Err(format!("{what}: {found:?} for {expected:?}"));
        }
    }
    Ok(())
}

/// A row without a reply.
fn silent(mut row: OfflineRow) -> OfflineRow {
    row.row.replies.clear();
    row
}

#[test]
fn order_padding_silent_rows_merging_workers_and_passes_change_nothing() {
    let fixed = Same::new();
    let rows = offline_rows(3, 17);
    for mode in MODES {
        for mixture in MIXTURES {
            let config = offline_config(mode, mixture);
            let what = |change: &str| format!("{mode:?} {mixture:?} {change}");
            let expected = fixed.of(&config, &rows, 1);

            let mut permuted = rows.clone();
            permuted.shuffle(&mut stream(1, "permutation", &[]));
            same(&what("permuted"), &fixed.of(&config, &permuted, 1), &expected).unwrap();
            for (recompute, micro_tokens) in [(true, 0), (false, 40), (true, 40), (false, 1)] {
                let passes = Passes { dtype: Kind::Float, recompute, micro_tokens };
                for workers in [1, 2] {
                    same(&what("micro-batches"), &fixed.within(&config, &rows, workers, passes), &expected)
                        .unwrap();
                }
            }
            for workers in [2, 3] {
                same(&what("workers"), &fixed.of(&config, &permuted, workers), &expected).unwrap();
            }

            let mut more = rows.clone();
            more.insert(4, silent(offline_rows(9, 3)[1].clone()));
            more.push(silent(offline_rows(9, 3)[2].clone()));
            same(&what("silent rows"), &fixed.of(&config, &more, 2), &expected).unwrap();

            let copies: Vec<OfflineRow> = rows
                .iter()
                .flat_map(|row| {
                    let mut one = row.clone();
                    let times = row.row.weight as usize;
                    one.row.weight = 1.0;
                    std::iter::repeat_n(one, times)
                })
                .collect();
            let merged = merge(copies.clone());
            assert_eq!(merged, rows);
            same(&what("copies"), &fixed.of(&config, &copies, 1), &expected).unwrap();

            let mut changed = rows.clone();
            changed[5].rewards[0] += 0.3;
            assert!(same("another reward", &fixed.of(&config, &changed, 1), &expected).is_err());
            assert!(same("a row less", &fixed.of(&config, &rows[1..], 1), &expected).is_err());
        }
    }
}

/// Also tests padding: the blocks of one level, or of one shard, are narrower than those of all rows.
#[test]
fn levels_add_up_with_their_shares() {
    let fixed = Same::new();
    let rows = offline_rows(4, 15);
    for mode in MODES {
        for mixture in MIXTURES {
            let config = offline_config(mode, mixture);
            let whole = fixed.of(&config, &rows, 2);
            let all: f64 = rows.iter().map(|row| f64::from(row.row.weight)).sum();
            let mut sum = (0.0, whole.actor.zeros_like(), whole.critics.zeros_like());
            for level in Level::ALL {
                let part: Vec<OfflineRow> =
                    rows.iter().filter(|row| row.row.role == level.role()).cloned().collect();
                let weight: f64 = part.iter().map(|row| f64::from(row.row.weight)).sum();
                let fraction = if mixture == Mixture::Pooled { weight / all } else { 1.0 };
                let part = fixed.of(&config, &part, 1);
                sum = (
                    sum.0 + part.loss * fraction,
                    sum.1 + part.actor * fraction,
                    sum.2 + part.critics * fraction,
                );
            }
            assert!((sum.0 - whole.loss).abs() < 1e-5 * (1.0 + whole.loss.abs()));
            compare("actor", &whole.actor, &sum.1, TOLERANCE).unwrap();
            compare("critics", &whole.critics, &sum.2, TOLERANCE).unwrap();
        }
    }
}

#[test]
fn equal_advantages_make_it_behaviour_cloning() {
    let mut fixed = Same::new();
    // With heads of zeros, Q = V = 0 everywhere.
    fixed.critics.params = fixed.critics.params.zeros_like();
    let rows = offline_rows(6, 14);
    let plain: Vec<Row> = rows.iter().map(|row| row.row.clone()).collect();
    let batch = collate_all(&plain.iter().collect::<Vec<_>>(), Reduction::RowMean);
    let (loss, cloned) = gradient(&fixed.params, batch);
    for workers in [1, 2] {
        let found = fixed.of(&offline_config(ActorMode::Awr, Mixture::Pooled), &rows, workers);
        assert!((found.actor_loss - loss).abs() < 1e-5 * loss, "{} for {loss}", found.actor_loss);
        compare("gradient", &found.actor, &cloned.buffer, TOLERANCE).unwrap();
        assert!(found.sums.iter().all(|(_, sums)| (sums.weight_max - 1.0).abs() < 1e-6));
    }
}

/// Losses and gradients of a step, composed of the named operations row by row, without batching.
#[test]
fn the_trained_path_equals_the_textbook_losses() {
    let fixed = Same::new();
    let rows = offline_rows(8, 13);
    let frame = Frame::new(&weights(&fixed.params), Kind::Float);
    for mode in MODES {
        for v_target_at in [VTarget::ActionEnd, VTarget::StateEnd] {
            let config = OfflineConfig { v_target_at, ..offline_config(mode, Mixture::Levels) };
            let leaf = fixed.params.leaf();
            let online = fixed.critics.params.detach().set_requires_grad(true);
            let decoder = frame.decoder(&leaf);
            let (now, slow) =
                (heads(&online, shape().width), heads(fixed.critics.target.as_ref().unwrap(), shape().width));
            let ids = |ids: &[u32]| {
                let ids: Vec<i64> = ids.iter().map(|&id| i64::from(id)).collect();
                Tensor::from_slice(&ids).unsqueeze(0)
            };
            let last = |words: &[u32]| {
                decoder.features(&decoder.hidden(&ids(words)).unwrap().select(1, -1)).unwrap().detach()
            };
            let (mut actor, mut critic) = (Tensor::from(0.0f32), Tensor::from(0.0f32));
            for level in Level::ALL {
                let mut columns: [Vec<Tensor>; 8] = Default::default();
                for row in rows.iter().filter(|row| row.row.role == level.role()) {
                    let span = row.row.replies[0];
                    let (start, len) = (i64::from(span.start), i64::from(span.len));
                    let targets = Tensor::arange(len, (Kind::Int64, Device::Cpu)) + start;
                    let state = last(&row.row.ids[..span.start as usize]);
                    let action = last(&row.row.ids);
                    let next = if row.done {
                        Tensor::zeros([1], (Kind::Float, Device::Cpu))
                    } else {
                        slow[level].v.value(&last(&row.next)).unwrap()
                    };
                    let discount = if row.done { 0.0 } else { config.gamma.powi(row.rewards.len() as i32) };
                    let one = |value: f64| Tensor::from_slice(&[value as f32]);
                    let values = [
                        now[level].v.value(&state).unwrap(),
                        now[level].q.value(&action).unwrap(),
                        slow[level]
                            .q
                            .value(if v_target_at == VTarget::ActionEnd { &action } else { &state })
                            .unwrap(),
                        next,
                        one(row.rewards[0]),
                        one(discount),
                        one(f64::from(row.row.weight)),
                        decoder.logprobs(&ids(&row.row.ids), &targets).unwrap().mean(Kind::Float).view([1]),
                    ];
                    for (column, value) in columns.iter_mut().zip(values) {
                        column.push(value);
                    }
                }
                let [v, q, reference, next, reward, discount, weight, logprob] =
                    columns.map(|column| Tensor::cat(&column, 0));
                let target = td_target(&reward, &discount, &next).unwrap();
                let losses =
                    td_loss(&q, &target).unwrap() + expectile_loss(&v, &reference, config.omega).unwrap();
                critic = critic + (losses * &weight).sum(Kind::Float) / weight.sum(Kind::Float);
                let rule = ActorRule { mode, temperature: config.temperature, clip: config.weight_clip };
                actor = actor + actor_loss(&rule, &q, &v, &logprob, &weight);
            }
            let wanted = actor.double_value(&[]);
            (&actor + critic).backward();
            let found = fixed.of(&config, &rows, 2);
            assert!(
                (found.actor_loss - wanted).abs() < 1e-5 * (1.0 + wanted.abs()),
                "{mode:?}: {} for {wanted}",
                found.actor_loss
            );
            compare("actor", &found.actor, &leaf.grad(), 1e-5).unwrap();
            compare("critics", &found.critics, &online.grad(), 1e-5).unwrap();
        }
    }
}
