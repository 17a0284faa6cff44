//! `metrics.jsonl` and TensorBoard, with the same values.

use std::io::{self, Write};
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::runtime::events::EventWriter;

/// Every metric that training logs: name, unit, meaning. `docs/reference/metrics.md` is generated from this.
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
    ("epoch", "", "passes over the training rows, with fraction"),
    ("seconds", "s", "training time used so far, evaluation and saving left out"),
    ("actor_loss", "", "the actors' part of the loss (offline actor-critic)"),
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
    ("iteration", "", "iterations of playing and learning that are done"),
    (
        "env_steps",
        "",
        "environment steps played to learn from; identical macro replies of a group count once",
    ),
    ("generated_tokens", "", "tokens written while playing to learn"),
    ("train/success", "", "share of the iteration's episodes that were solved, as they were sampled"),
    ("train/return", "", "mean return of the iteration's episodes, without penalties"),
    ("train/steps", "", "mean steps of the iteration's episodes"),
    ("invalid", "", "share of steps with a reply that could not be read or an unknown action"),
    ("flat_groups", "", "share of groups whose returns are all alike: they teach nothing"),
    ("pg_loss", "", "part of the loss from the advantages, mean over the iteration's optimiser steps"),
    ("kl", "nats", "divergence from the starting policy (k3), mean over the iteration's optimiser steps"),
    ("clip_frac", "", "share of reply tokens whose ratio was clipped"),
    (
        "logprob_gap",
        "nats",
        "mean |log-probability recomputed - recorded while sampling|, before the parameters move",
    ),
    ("logprob_gap_max", "nats", "the largest of them"),
    ("distinct_replies", "", "samples of the iteration's updates after merging, as a share of its replies"),
    ("dropped_episodes", "", "episodes of the iteration that an error broke off"),
    ("dropped_groups", "", "groups that were left with fewer than two episodes by that"),
    ("skipped_updates", "", "optimiser steps of the iteration whose gradient was not finite"),
    ("share/generate", "", "share of the iteration's time spent on writing replies"),
    (
        "share/environment",
        "",
        "share of the iteration's time spent in environments and between them and the model",
    ),
    ("share/update", "", "share of the iteration's time spent on learning"),
    ("blueprint/subgoals", "", "mean number of sub-goals of the iteration's readable blueprints"),
    ("blueprint/unreadable", "", "share of blueprints that could not be read"),
    ("value_loss", "", "mean loss of PPO's critic over the iteration's optimiser steps"),
    ("probe/score", "", "mean score of these episodes"),
    ("probe/success", "", "share of solved episodes of a small sample of the development split"),
];

/// Both sinks of one run.
#[derive(Debug)]
pub struct Metrics {
    file: fs_err::File,
    events: EventWriter,
}

impl Metrics {
    /// Appends to `directory/metrics.jsonl` and opens a new event file in `directory/tensorboard`.
    ///
    /// # Errors
    /// Whatever the file system answers.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let file =
            fs_err::OpenOptions::new().create(true).append(true).open(directory.join("metrics.jsonl"))?;
        Ok(Self { file, events: EventWriter::create(&directory.join("tensorboard"))? })
    }

    /// One line: the step and its values. Values that are not finite are written as null.
    ///
    /// # Errors
    /// Whatever the file system answers.
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
