//! Measures the expert on whole splits: success and steps per family, and per role the number of samples, contradictory
//! replies and encoded lengths.
//!
//! `STEPLADDER_DATA=DIR cargo run --release -p stepladder-alfworld --example expert_stats -- [--env alfworld|household]
//! [--split NAME]... [--every N] [--noise P] [--burst N] [--wording 0.3|0.4] [--failures N]`
//!
//! `--noise P` plays another action with probability P, `--burst N` starts with N random admissible actions, `--every
//! N` selects each N-th game, `--failures N` prints up to N lost episodes per split. Wording 0.3 is for households
//! only: official game files define their own.
#![expect(clippy::disallowed_methods, reason = "the data root is named by the environment")]

mod rollout;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Write;
use std::path::PathBuf;

use rayon::prelude::*;
use rollout::{Disturbance, Rollout, play};
use stepladder_alfworld::dialect::Wording;
use stepladder_alfworld::{
    Alfworld, AlfworldCodec, AlfworldExpert, AlfworldSegmenter, Households, Options, generate, households,
};
use stepladder_core::label::Segmenter;
use stepladder_core::{Codec, Query, TaskKey, seed};
use stepladder_env::TaskSet;

type Failure = Box<dyn std::error::Error + Send + Sync>;

struct Arguments {
    household: bool,
    wording: Wording,
    disturbance: Disturbance,
    splits: Vec<String>,
    every: usize,
    failures: usize,
}

fn arguments() -> Result<Arguments, Failure> {
    let mut parsed = Arguments {
        household: false,
        wording: Wording::V04,
        disturbance: Disturbance::default(),
        splits: Vec::new(),
        every: 1,
        failures: 0,
    };
    let mut words = std::env::args().skip(1);
    while let Some(name) = words.next() {
        let value = words.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--env" => parsed.household = value == "household",
            "--wording" => parsed.wording = if value == "0.3" { Wording::V03 } else { Wording::V04 },
            "--noise" => parsed.disturbance.noise = value.parse()?,
            "--burst" => parsed.disturbance.burst = value.parse()?,
            "--split" => parsed.splits.push(value),
            "--every" => parsed.every = value.parse::<usize>()?.max(1),
            "--failures" => parsed.failures = value.parse()?,
            _ => return Err(format!("unknown option {name}").into()),
        }
    }
    if parsed.splits.is_empty() {
        let official = ["train", "train_dev", "valid_seen"];
        let splits = if parsed.household { &official[..1] } else { &official };
        parsed.splits = splits.iter().map(|split| (*split).to_owned()).collect();
    }
    Ok(parsed)
}

/// Returns the encoded fields of a prompt, in the order of the compact style. Progress prompts omit the room.
fn fields(query: &Query) -> Vec<(&'static str, String)> {
    let code = |text: &str| AlfworldCodec.encode(text);
    match query {
        Query::Planner { task, earlier, progress, observation } => vec![
            ("context", code(&observation.context)),
            ("task", code(task)),
            ("earlier", earlier.iter().map(|text| code(text)).collect::<Vec<_>>().join(" ")),
            ("progress", code(progress)),
            ("feedback", code(&observation.feedback)),
        ],
        Query::Executor { subtask, observation, progress } => vec![
            ("context", code(&observation.context)),
            ("subtask", code(subtask)),
            ("feedback", code(&observation.feedback)),
            ("progress", code(progress)),
        ],
        Query::Progress { subtask, progress, action, observation } => vec![
            ("subtask", code(subtask)),
            ("progress", code(progress)),
            ("action", code(action)),
            ("feedback", code(&observation.feedback)),
        ],
        Query::Flat { .. } | Query::Macro { .. } | Query::Micro { .. } => Vec::new(),
    }
}

#[derive(Default)]
struct Count {
    sum: usize,
    max: usize,
}

#[derive(Default)]
struct Stream {
    samples: usize,
    replies: HashMap<String, String>,
    contradictions: Vec<(String, String, String)>,
    lossy: usize,
    counts: BTreeMap<&'static str, Count>,
}

impl Stream {
    fn add(&mut self, query: &Query, reply: &str) {
        self.samples += 1;
        let fields = fields(query);
        let reply_code = AlfworldCodec.encode(reply);
        self.lossy += usize::from(AlfworldCodec.decode(&reply_code) != reply);
        let mut total = 0;
        for (name, code) in &fields {
            let tokens = code.split_whitespace().count();
            total += tokens;
            self.count(name, tokens);
        }
        self.count("= prompt", total);
        self.count("reply", reply_code.split_whitespace().count());
        let prompt = fields.into_iter().map(|(_, code)| code).collect::<Vec<_>>().join(" | ");
        match self.replies.get(&prompt) {
            Some(known) if *known != reply_code => {
                self.contradictions.push((prompt, known.clone(), reply_code));
            }
            Some(_) => {}
            None => {
                self.replies.insert(prompt, reply_code);
            }
        }
    }

    fn count(&mut self, name: &'static str, tokens: usize) {
        let count = self.counts.entry(name).or_default();
        count.sum += tokens;
        count.max = count.max.max(tokens);
    }
}

fn main() -> Result<(), Failure> {
    let arguments = arguments()?;
    let tasks_of: Box<dyn TaskSet> = if arguments.household {
        let generate = generate::GeneratorOptions {
            wording: arguments.wording,
            ..generate::GeneratorOptions::default()
        };
        Box::new(Households::new(households::Options { generate, env: Options::default() }))
    } else {
        let root = std::env::var_os("STEPLADDER_DATA").ok_or("set STEPLADDER_DATA to the data root")?;
        Box::new(Alfworld::new(&PathBuf::from(root), Options::default()))
    };
    let expert = AlfworldExpert::new(arguments.wording);
    let mut out = std::io::stdout().lock();
    let mut streams: BTreeMap<&'static str, Stream> = BTreeMap::new();
    let mut vocabulary: HashSet<String> = HashSet::new();
    for split in &arguments.splits {
        let tasks: Vec<TaskKey> = tasks_of.tasks(split)?.into_iter().step_by(arguments.every).collect();
        let limit = tasks_of.max_steps(split) as usize;
        let rollouts: Vec<Rollout> = tasks
            .par_iter()
            .enumerate()
            .map_init(
                || tasks_of.make(),
                |env, (index, task)| {
                    let env = env.as_mut().map_err(|error| error.to_string())?;
                    let mut rng = seed::stream(1, "noise", &[index as u64]);
                    play(&mut **env, task, &expert, limit, arguments.disturbance, &mut rng)
                        .map_err(|error| error.to_string())
                },
            )
            .collect::<Result<_, String>>()?;
        report_success(&mut out, split, &rollouts)?;
        let lost = rollouts.iter().zip(&tasks).filter(|(rollout, _)| !rollout.won);
        for (rollout, task) in lost.take(arguments.failures) {
            report_failure(&mut out, task, rollout)?;
        }
        for (query, reply) in rollouts.iter().flat_map(|rollout| &rollout.samples) {
            streams.entry(query.role().name()).or_default().add(query, reply);
            let words = fields(query).into_iter().map(|(_, code)| code).chain([AlfworldCodec.encode(reply)]);
            vocabulary.extend(words.flat_map(|code| code.split(' ').map(str::to_owned).collect::<Vec<_>>()));
        }
        let cut_alike = rollouts.iter().filter(|rollout| {
            AlfworldSegmenter
                .segment(&rollout.demonstration)
                .is_ok_and(|segments| segments == rollout.segments)
        });
        writeln!(
            out,
            "segmentation equal to the expert's subtasks: {} of {}\n",
            cut_alike.count(),
            rollouts.len()
        )?;
    }
    for (role, stream) in &streams {
        report_stream(&mut out, role, stream)?;
    }
    writeln!(out, "vocabulary: {} words", vocabulary.len())?;
    let known: HashSet<String> = vocabulary.iter().filter(|word| word.starts_with('\\')).cloned().collect();
    writeln!(out, "escaped words: {known:?}")?;
    Ok(())
}

fn report_success(out: &mut impl Write, split: &str, rollouts: &[Rollout]) -> std::io::Result<()> {
    let mut families: BTreeMap<&str, Vec<&Rollout>> = BTreeMap::new();
    for rollout in rollouts {
        families.entry(&rollout.family).or_default().push(rollout);
        families.entry("all").or_default().push(rollout);
    }
    for (family, rollouts) in families {
        let won: Vec<f64> =
            rollouts.iter().filter(|r| r.won).map(|r| r.demonstration.steps.len() as f64).collect();
        writeln!(
            out,
            "{split:12} {family:34} {:5} games  won {:6.2}%  steps {:5.2}",
            rollouts.len(),
            100.0 * won.len() as f64 / rollouts.len() as f64,
            won.iter().sum::<f64>() / won.len().max(1) as f64,
        )?;
    }
    Ok(())
}

fn report_failure(out: &mut impl Write, task: &TaskKey, rollout: &Rollout) -> std::io::Result<()> {
    writeln!(out, "--- {task}: {}", rollout.demonstration.task)?;
    for (query, reply) in &rollout.samples {
        let prompt = fields(query).into_iter().filter(|(name, _)| *name != "context").map(|(_, code)| code);
        writeln!(
            out,
            "{:9} {}  => {}",
            query.role().name(),
            prompt.collect::<Vec<_>>().join(" | "),
            AlfworldCodec.encode(reply)
        )?;
    }
    Ok(())
}

fn report_stream(out: &mut impl Write, role: &str, stream: &Stream) -> std::io::Result<()> {
    writeln!(
        out,
        "{role}: {} samples, {} unique ({:.1}%), {} contradictions, {} lossy",
        stream.samples,
        stream.replies.len(),
        100.0 * stream.replies.len() as f64 / stream.samples as f64,
        stream.contradictions.len(),
        stream.lossy,
    )?;
    for (prompt, first, second) in stream.contradictions.iter().take(5) {
        writeln!(out, "    {prompt}\n      -> {first}\n      -> {second}")?;
    }
    for (name, count) in &stream.counts {
        writeln!(
            out,
            "    {name:10} mean {:5.1}  max {}",
            count.sum as f64 / stream.samples as f64,
            count.max
        )?;
    }
    Ok(())
}
