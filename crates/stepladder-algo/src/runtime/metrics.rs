//! Metrics of a run, written to `metrics.jsonl` and TensorBoard.

use std::io::{self, Write};
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::runtime::events::EventWriter;

/// All metrics of training: name, unit, meaning. `docs/reference/metrics.md` is generated from this table.
pub const METRICS: &[(&str, &str, &str)] = &[
    (
        "loss",
        "nats",
        "training loss of the step: weighted mean over replies (row_mean) or tokens (token_mean)",
    ),
    ("loss/planner", "nats", "row-mean loss of the planner's replies since the last line"),
    ("loss/executor", "nats", "row-mean loss of the executor's replies since the last line"),
    ("loss/progress", "nats", "row-mean loss of the progress writer's replies since the last line"),
    ("loss/macro", "nats", "row-mean loss of blueprints since the last line"),
    ("loss/micro", "nats", "row-mean loss of HiMAC's action replies since the last line"),
    ("loss/flat", "nats", "row-mean loss of the flat agent's replies since the last line"),
    ("gradient_norm", "", "global norm of the gradient before clipping"),
    ("learning_rate", "", "learning rate of the step"),
    ("tokens_per_second", "1/s", "trained tokens without padding per second since the last line"),
    (
        "computed_tokens",
        "",
        "tokens of the step that were computed: a beginning that rows of a group share counts once (bc, dagger)",
    ),
    ("epoch", "", "passes over the training rows, with fraction"),
    ("seconds", "s", "training time so far, without evaluation and saving"),
    ("actor_loss", "", "policy loss, summed over levels (offline actor-critic)"),
    ("critic_loss/planner", "", "mean of L_Q + L_V of the planner's rows in the step"),
    ("critic_loss/executor", "", "mean of L_Q + L_V of the executor's rows in the step"),
    ("critic_loss/progress", "", "mean of L_Q + L_V of the progress writer's rows in the step"),
    ("q/planner", "", "mean Q of the planner's replies in the step"),
    ("q/executor", "", "mean Q of the executor's replies in the step"),
    ("q/progress", "", "mean Q of the progress writer's replies in the step"),
    ("v/planner", "", "mean V of the planner's prompts in the step"),
    ("v/executor", "", "mean V of the executor's prompts in the step"),
    ("v/progress", "", "mean V of the progress writer's prompts in the step"),
    ("advantage/planner", "", "mean Q - V of the planner in the step"),
    ("advantage/executor", "", "mean Q - V of the executor in the step"),
    ("advantage/progress", "", "mean Q - V of the progress writer in the step"),
    ("advantage_std/planner", "", "standard deviation of Q - V of the planner in the step"),
    ("advantage_std/executor", "", "standard deviation of Q - V of the executor in the step"),
    ("advantage_std/progress", "", "standard deviation of Q - V of the progress writer in the step"),
    (
        "weight_max/planner",
        "",
        "largest actor weight of the planner's rows in the step, 1 being the mean (awr)",
    ),
    (
        "weight_max/executor",
        "",
        "largest actor weight of the executor's rows in the step, 1 being the mean (awr)",
    ),
    (
        "weight_max/progress",
        "",
        "largest actor weight of the progress writer's rows in the step, 1 being the mean (awr)",
    ),
    (
        "weight_mean/planner",
        "",
        "mean actor weight of the planner's rows in the step; 1 is the running mean of its weights (awr)",
    ),
    (
        "weight_mean/executor",
        "",
        "mean actor weight of the executor's rows in the step; 1 is the running mean of its weights (awr)",
    ),
    (
        "weight_mean/progress",
        "",
        "mean actor weight of the progress writer's rows in the step; 1 is the running mean of its weights (awr)",
    ),
    (
        "auc_q/planner",
        "",
        "area under the ROC curve of Q of the planner's replies for \"episode solved\", on held-out episodes (`held_out`)",
    ),
    (
        "calibration_q/planner",
        "",
        "mean distance of Q of the planner's replies from the fraction of solved episodes, over its deciles, on held-out episodes",
    ),
    (
        "auc_q/executor",
        "",
        "area under the ROC curve of Q of the executor's replies for \"episode solved\", on held-out episodes (`held_out`)",
    ),
    (
        "calibration_q/executor",
        "",
        "mean distance of Q of the executor's replies from the fraction of solved episodes, over its deciles, on held-out episodes",
    ),
    (
        "auc_q/progress",
        "",
        "area under the ROC curve of Q of the progress writer's replies for \"episode solved\", on held-out episodes (`held_out`)",
    ),
    (
        "calibration_q/progress",
        "",
        "mean distance of Q of the progress writer's replies from the fraction of solved episodes, over its deciles, on held-out episodes",
    ),
    (
        "auc_v/planner",
        "",
        "area under the ROC curve of V of the planner's prompts for \"episode solved\", on held-out episodes (`held_out`)",
    ),
    (
        "calibration_v/planner",
        "",
        "mean distance of V of the planner's prompts from the fraction of solved episodes, over its deciles, on held-out episodes",
    ),
    (
        "auc_v/executor",
        "",
        "area under the ROC curve of V of the executor's prompts for \"episode solved\", on held-out episodes (`held_out`)",
    ),
    (
        "calibration_v/executor",
        "",
        "mean distance of V of the executor's prompts from the fraction of solved episodes, over its deciles, on held-out episodes",
    ),
    (
        "auc_v/progress",
        "",
        "area under the ROC curve of V of the progress writer's prompts for \"episode solved\", on held-out episodes (`held_out`)",
    ),
    (
        "calibration_v/progress",
        "",
        "mean distance of V of the progress writer's prompts from the fraction of solved episodes, over its deciles, on held-out episodes",
    ),
    ("iteration", "", "completed iterations"),
    ("env_steps", "", "environment steps of rollouts; identical macro replies of a group count once"),
    ("generated_tokens", "", "tokens generated in rollouts"),
    ("train/success", "", "fraction of solved episodes in the iteration's rollouts"),
    ("train/return", "", "mean return of the iteration's episodes, without penalties"),
    ("train/steps", "", "mean steps of the iteration's episodes"),
    ("invalid", "", "fraction of steps with an unreadable reply or an unknown action"),
    ("unparsable", "", "fraction of replies that could not be parsed"),
    ("shortened", "", "fraction of prompts that were shortened to fit into the context window"),
    ("degenerate_groups", "", "fraction of groups with equal returns, which give zero advantages"),
    ("pg_loss", "", "policy-gradient part of the loss, mean over the iteration's optimiser steps"),
    (
        "kl",
        "nats",
        "KL divergence from the starting policy (k3 estimate), mean over the iteration's optimiser steps",
    ),
    (
        "entropy",
        "nats",
        "mean -log-probability of the trained reply tokens while sampling: an estimate of the policy's entropy per token",
    ),
    ("advantage_std", "", "root mean square of the advantages of the iteration's trained replies"),
    ("clip_frac", "", "fraction of reply tokens whose ratio was clipped"),
    (
        "logprob_gap",
        "nats",
        "mean |log-probability recomputed - recorded while sampling|, before the first optimiser step",
    ),
    ("logprob_gap_max", "nats", "largest |log-probability recomputed - recorded while sampling|"),
    ("distinct_replies", "", "samples after merging as a fraction of the iteration's replies"),
    ("dropped_episodes", "", "episodes of the iteration that were aborted by an error"),
    ("dropped_groups", "", "groups with fewer than two episodes left after that"),
    ("skipped_updates", "", "optimiser steps of the iteration whose gradient was not finite"),
    ("share/generate", "", "fraction of the iteration's time spent on generation"),
    ("share/environment", "", "fraction of the iteration's time spent in environments and scheduling"),
    ("share/update", "", "fraction of the iteration's time spent on updates"),
    ("blueprint/subgoals", "", "mean number of sub-goals of the iteration's readable blueprints"),
    ("blueprint/unreadable", "", "fraction of unreadable blueprints"),
    ("explore/env_steps", "", "`env_steps` of the iteration's macro exploration (phase A) alone"),
    ("explore/generated_tokens", "", "tokens generated in phase A"),
    ("explore/degenerate_groups", "", "`degenerate_groups` of phase A"),
    ("explore/distinct_replies", "", "`distinct_replies` of phase A"),
    ("explore/kl", "nats", "`kl` of the updates of phase A"),
    ("explore/entropy", "nats", "`entropy` of the blueprints of phase A"),
    ("explore/advantage_std", "", "`advantage_std` of the blueprints of phase A"),
    ("adapt/env_steps", "", "`env_steps` of the iteration's micro adaptation (phase B) alone"),
    ("adapt/generated_tokens", "", "tokens generated in phase B"),
    ("adapt/degenerate_groups", "", "`degenerate_groups` of phase B"),
    ("adapt/distinct_replies", "", "`distinct_replies` of phase B"),
    ("adapt/kl", "nats", "`kl` of the updates of phase B"),
    ("adapt/entropy", "nats", "`entropy` of the actions of phase B"),
    ("adapt/advantage_std", "", "`advantage_std` of the actions of phase B"),
    (
        "kl_idle",
        "nats",
        "KL divergence from the starting policy (k3 estimate) of the replies that `algo.himac.kl_idle` holds",
    ),
    (
        "follow_rate",
        "",
        "fraction of phase B's sub-goals that were declared done and that the environment's expert confirms",
    ),
    ("skipped_tasks", "", "fraction of the tasks that phase B left out (`algo.himac.all_failed`)"),
    ("value_loss", "", "mean loss of PPO's critic over the iteration's optimiser steps"),
    ("probe/score", "", "mean score of a probe's episodes"),
    ("probe/success", "", "fraction of a probe's episodes that were solved"),
];

/// Metrics that earlier versions wrote under another name: that name, present name.
pub const RENAMED: &[(&str, &str)] = &[("flat_groups", "degenerate_groups")];

/// Log files of one run.
#[derive(Debug)]
pub struct Metrics {
    file: fs_err::File,
    events: EventWriter,
}

impl Metrics {
    /// Opens `directory/metrics.jsonl` for appending and a new event file in `directory/tensorboard`.
    ///
    /// # Errors
    /// From the file system.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let file =
            fs_err::OpenOptions::new().create(true).append(true).open(directory.join("metrics.jsonl"))?;
        Ok(Self { file, events: EventWriter::create(&directory.join("tensorboard"))? })
    }

    /// Writes the values of a step. Values that are not finite are null in `metrics.jsonl`.
    ///
    /// # Errors
    /// From the file system.
    pub fn log(&mut self, step: u64, values: &[(&str, f64)]) -> io::Result<()> {
        let mut line = Map::new();
        line.insert("step".to_owned(), json!(step));
        for (name, value) in values {
            line.insert((*name).to_owned(), json!(value));
            self.events.scalar(name, step, *value as f32)?;
        }
        let mut text = Value::Object(line).to_string();
        text.push('\n');
        self.file.write_all(text.as_bytes())
    }
}
