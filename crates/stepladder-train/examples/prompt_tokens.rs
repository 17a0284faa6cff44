//! Counts the tokens of prompts and replies in episodes of the expert, by family, agent and role: with the word-level tokenizer of
//! policies from scratch, and with the tokenizer of a pretrained model in both forms of prompts. Prints a table for
//! docs/prompts.md.
//!
//! `cargo run --release -p stepladder-train --example prompt_tokens -- MODEL_DIR DATA_ROOT [TASKS [FAMILY…]]`

#![allow(clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use rayon::prelude::*;
use stepladder_agent::AgentKind;
use stepladder_core::{Codec, Role};
use stepladder_data::instruct::Form;
use stepladder_data::rows::texts;
use stepladder_data::{
    Budgets, CompactWords, Instruct, PretrainedTokenizer, PromptEncoder, Sample, samples::samples,
};
use stepladder_env::{Draw, Subset};
use stepladder_rollout::Job;
use stepladder_train::config::Demonstrator;
use stepladder_train::demonstrations::{Rollout, expert_rollout};
use stepladder_train::envs::{self, Registered};
use stepladder_train::{Error, Silent};

/// Samples of every agent.
type Samples = Vec<(AgentKind, Vec<Sample>)>;

const AGENTS: [AgentKind; 3] = [AgentKind::StepHrl, AgentKind::Himac, AgentKind::Flat];

/// Returns the samples of every agent in solved episodes of the expert on tasks of the training split, and the number of episodes.
fn played(env: &Registered, tasks: usize) -> Result<(Samples, usize), Error> {
    let split = env.spec().splits[0];
    let tasks = Subset::draw(&*env.tasks, split, tasks, Draw::Training { seed: 0 })?.tasks;
    let rollout = Rollout {
        agent: AgentKind::StepHrl,
        demonstrator: Demonstrator::Expert,
        jobs: Job::each(&tasks),
        max_steps: env.tasks.max_steps(split),
        noise: 0.0,
        seed: 0,
    };
    let mut episodes = expert_rollout(env, &rollout, "expert plays", &Silent, &AtomicBool::new(false))?;
    episodes.retain(|episode| episode.won && episode.error.is_none());
    let mut found = Samples::new();
    for kind in AGENTS {
        let of_agent = episodes.iter().map(|episode| samples(kind.into(), episode));
        let of_agent = of_agent.collect::<Result<Vec<_>, _>>().map_err(anyhow::Error::from)?;
        found.push((kind, of_agent.concat()));
    }
    Ok((found, episodes.len()))
}

/// Builds the encoders in the order of the table's columns.
fn encoders(
    model: &Path,
    codec: &Arc<dyn Codec>,
    samples: &Samples,
) -> Result<Vec<Arc<dyn PromptEncoder>>, Error> {
    let bare = CompactWords::new(codec.clone(), Budgets::default());
    let all: Vec<String> = samples.iter().flat_map(|(_, samples)| texts(samples, &bare)).collect();
    let words = bare.clone().with_words(all.iter().map(String::as_str));
    let mut encoders: Vec<Arc<dyn PromptEncoder>> = vec![Arc::new(words)];
    for form in [Form::Plain, Form::Chat] {
        let tokenizer = PretrainedTokenizer::load(model).map_err(anyhow::Error::from)?;
        let encoder = Instruct::new(tokenizer, codec.clone(), Budgets::default(), form);
        encoders.push(Arc::new(encoder.map_err(anyhow::Error::from)?));
    }
    Ok(encoders)
}

/// Formats mean, median, 95th percentile and maximum.
fn summary(mut lengths: Vec<usize>) -> String {
    lengths.sort_unstable();
    let at = |percent: usize| lengths[(lengths.len() - 1) * percent / 100];
    let mean = lengths.iter().sum::<usize>() as f64 / lengths.len() as f64;
    format!("{mean:.0}, {}, {}, {}", at(50), at(95), at(100))
}

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let mut directory = || arguments.next().map(PathBuf::from).context("name a model and a data root");
    let (model, root) = (directory()?, directory()?);
    let tasks = arguments.next().map_or(Ok(100), |count| count.parse()).map_err(anyhow::Error::from)?;
    let mut families: Vec<String> = arguments.collect();
    if families.is_empty() {
        families = stepladder_families::ids().into_iter().map(str::to_owned).collect();
    }
    println!(
        "| family | agent | role | prompts | words: prompt | reply | plain: prompt | reply | chat: prompt | reply |"
    );
    println!("|---|---|---|---:|---|---|---|---|---|---|");
    for family in families {
        let env = envs::open_with(None, &family, Some(&root), &[])?;
        let (all, episodes) = played(&env, tasks)?;
        let encoders = encoders(&model, &env.codec, &all)?;
        for (kind, samples) in &all {
            for role in Role::ALL {
                let samples: Vec<&Sample> = samples.iter().filter(|sample| sample.role() == role).collect();
                if samples.is_empty() {
                    continue;
                }
                let mut cells = Vec::new();
                for encoder in &encoders {
                    let prompts = samples.par_iter().map(|sample| Ok(encoder.prompt(&sample.query)?.len()));
                    cells.push(summary(prompts.collect::<anyhow::Result<_>>()?));
                    let reply = |sample: &&Sample| encoder.reply(role, &sample.reply, false).len();
                    cells.push(summary(samples.par_iter().map(reply).collect()));
                }
                let (agent, role, count) = (kind.name(), role.name(), samples.len());
                println!("| {family} ({episodes}) | {agent} | {role} | {count} | {} |", cells.join(" | "));
            }
        }
    }
    Ok(())
}
