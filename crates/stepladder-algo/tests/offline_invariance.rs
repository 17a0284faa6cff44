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
    LevelShare, OfflineConfig, StepGradients, VTarget, WeightMean, gradients, gradients_after,
    workers as start_workers,
};
use stepladder_algo::ops::actor::{ActorMode, ActorRule, RunningMean, Totals};
use stepladder_algo::ops::critic::{expectile_loss, td_loss, td_target};
use stepladder_algo::runtime::net::Net;
use stepladder_algo::runtime::optimiser::AdamWConfig;
use stepladder_algo::runtime::passes::Passes;
use stepladder_algo::runtime::plan::Mixture;
use stepladder_core::seed::stream;
use stepladder_data::batch::{Reduction, collate_all};
use stepladder_data::offline::merge;
use stepladder_data::offline_batch::CriticReads;
use stepladder_data::rows::Row;
use stepladder_data::{Level, OfflineRow, PerLevel};
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
        for (mixture, level_share) in MIXTURES
            .into_iter()
            .flat_map(|mixture| [LevelShare::Rows, LevelShare::Equal].map(|share| (mixture, share)))
        {
            let config = OfflineConfig { level_share, ..offline_config(mode, mixture) };
            let whole = fixed.of(&config, &rows, 2);
            let all: f64 = rows.iter().map(|row| f64::from(row.row.weight)).sum();
            let mut sum = (0.0, whole.actor.zeros_like(), whole.critics.zeros_like());
            for level in Level::ALL {
                let part: Vec<OfflineRow> =
                    rows.iter().filter(|row| row.row.role == level.role()).cloned().collect();
                let weight: f64 = part.iter().map(|row| f64::from(row.row.weight)).sum();
                let by_rows = mixture == Mixture::Pooled && level_share == LevelShare::Rows;
                let fraction = if by_rows { weight / all } else { 1.0 };
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

/// Rows that noise made: their gradient reaches the critics, and the policy's is that of the other rows alone.
#[test]
fn the_policy_does_not_learn_from_noise_and_the_critics_do() {
    let fixed = Same::new();
    let mut rows = offline_rows(11, 16);
    for mode in MODES {
        for mixture in MIXTURES {
            for weight_mean in [WeightMean::Running, WeightMean::Step] {
                let config = OfflineConfig { weight_mean, ..offline_config(mode, mixture) };
                rows.iter_mut().for_each(|row| row.imitated = true);
                let all = fixed.of(&config, &rows, 1);
                for row in rows.iter_mut().step_by(3) {
                    row.imitated = false;
                }
                let found = fixed.of(&config, &rows, 2);
                compare("critics", &found.critics, &all.critics, TOLERANCE).unwrap();
                let others: Vec<OfflineRow> = rows.iter().filter(|row| row.imitated).cloned().collect();
                let wanted = fixed.of(&config, &others, 1);
                compare("actor", &found.actor, &wanted.actor, TOLERANCE).unwrap();
                assert!(
                    (found.actor_loss - wanted.actor_loss).abs() < 1e-5 * (1.0 + wanted.actor_loss.abs())
                );
                assert!(
                    compare("imitated", &found.actor, &all.actor, 1e-2).is_err(),
                    "{mode:?}: noise is imitated"
                );
            }
        }
    }
}

/// A step of nothing but failures. Its weights are divided by the mean over all data, so they stay small; divided by their own mean
/// the step would be imitated at full strength, as [`WeightMean::Step`] does.
#[test]
fn the_weight_of_a_batch_of_failures_falls() {
    let fixed = Same::new();
    let rows = offline_rows(12, 15);
    let config =
        |weight_mean| OfflineConfig { weight_mean, ..offline_config(ActorMode::Awr, Mixture::Levels) };
    let own = fixed.of(&config(WeightMean::Step), &rows, 1);
    // Elsewhere in the data weights are ten times as large.
    let means = PerLevel::from_fn(|level| {
        let Totals { factor, count, .. } = own.sums[level].totals;
        RunningMean { factor: 1e4 * factor, count: 1e3 * count }
    });
    let after = |weight_mean| {
        let config = config(weight_mean);
        let pool = start_workers(1, &weights(&fixed.params), &config, Kind::Float);
        let nets = (&fixed.params, &fixed.critics);
        gradients_after(&means, &config, rows.iter().collect(), PAD, nets, true, &pool).unwrap()
    };
    let found = after(WeightMean::Running);
    for level in Level::ALL {
        let Totals { factor, count, .. } = own.sums[level].totals;
        let mean = (0.99e4 + 1.0) * factor / ((0.99e3 + 1.0) * count);
        let expected = factor / count / mean;
        assert!((expected - 0.1).abs() < 1e-3);
        assert!((found.sums[level].weight_mean - expected).abs() < 1e-8, "{:?}", found.sums[level]);
        assert!((own.sums[level].weight_mean - 1.0).abs() < 1e-7);
        let largest = own.sums[level].weight_max * expected;
        assert!((found.sums[level].weight_max - largest).abs() < 1e-6 * largest);
    }
    // With a tenth of the weight on every level, a tenth of the gradient.
    compare("actor", &(found.actor * 10.0), &own.actor, 2e-3).unwrap();
    compare("critics", &found.critics, &own.critics, TOLERANCE).unwrap();
    compare("the old rule", &after(WeightMean::Step).actor, &own.actor, TOLERANCE).unwrap();
}

/// Before the first step, the running mean is that of the step's own rows.
#[test]
fn the_first_step_has_both_means() {
    let fixed = Same::new();
    let rows = offline_rows(13, 15);
    let of = |weight_mean| {
        let config = OfflineConfig { weight_mean, ..offline_config(ActorMode::Awr, Mixture::Pooled) };
        fixed.of(&config, &rows, 1)
    };
    same("first step", &of(WeightMean::Running), &of(WeightMean::Step)).unwrap();
}

/// Q of the last token before END equals Q of END for rows that end there.
#[test]
fn critics_read_the_token_that_they_are_told_to() {
    let fixed = Same::new();
    let rows = offline_rows(14, 15);
    let of = |critic_reads, rows: &[OfflineRow]| {
        let config = OfflineConfig { critic_reads, ..offline_config(ActorMode::Awr, Mixture::Levels) };
        fixed.of(&config, rows, 1)
    };
    // The same rows without their last token, whose bootstrapped targets and prompts do not change.
    let mut shorter = rows.clone();
    shorter.retain(|row| row.row.replies[0].len > 1);
    let kept = shorter.clone();
    for row in &mut shorter {
        row.row.ids.pop();
        row.row.replies[0].len -= 1;
    }
    let wanted = of(CriticReads::End, &shorter);
    let found = of(CriticReads::Last, &kept);
    compare("critics", &found.critics, &wanted.critics, TOLERANCE).unwrap();
    assert!(compare("critics", &of(CriticReads::End, &kept).critics, &wanted.critics, 1e-2).is_err());
    // Cut replies have no END.
    let cut: Vec<OfflineRow> = rows.iter().map(|row| OfflineRow { end: 0, ..row.clone() }).collect();
    same("cut", &of(CriticReads::Last, &cut), &of(CriticReads::End, &cut)).unwrap();
}

/// With an oracle the critics learn as ever, and only the outcomes decide what is imitated.
#[test]
fn an_oracle_replaces_the_advantage() {
    let fixed = Same::new();
    let mut rows = offline_rows(15, 14);
    let config = OfflineConfig { temperature: 0.5, ..offline_config(ActorMode::Oracle, Mixture::Pooled) };
    let equal = fixed.of(&config, &rows, 1);
    let plain: Vec<Row> = rows.iter().map(|row| row.row.clone()).collect();
    let (_, cloned) =
        gradient(&fixed.params, collate_all(&plain.iter().collect::<Vec<_>>(), Reduction::RowMean));
    compare("no differences", &equal.actor, &cloned.buffer, TOLERANCE).unwrap();
    for (index, row) in rows.iter_mut().enumerate() {
        row.oracle = if index % 2 == 0 { 0.25 } else { -0.75 };
    }
    let found = fixed.of(&config, &rows, 2);
    compare("critics", &found.critics, &equal.critics, TOLERANCE).unwrap();
    for level in Level::ALL {
        let of = |row: &&OfflineRow| row.row.role == level.role();
        let factor = |row: &OfflineRow| f64::from(row.row.weight) * (f64::from(row.oracle) / 0.5).exp();
        let expected: f64 = rows.iter().filter(of).map(factor).sum();
        assert!((found.sums[level].totals.factor - expected).abs() < 1e-4);
    }
}
