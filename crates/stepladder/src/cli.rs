//! Command line.

mod env;
mod model;

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Command as Clap, CommandFactory, FromArgMatches, Parser, Subcommand};
use stepladder_data::instruct::Form;
use stepladder_rollout::sampling::Distribution;
use stepladder_train::compare::Aspect;
use stepladder_train::evaluate::{Blueprints, Source};
use stepladder_train::play::Policy;
use stepladder_train::pretrained::Prompting;

pub(crate) use env::{EnvCommand, Serve};
pub(crate) use model::{INDEX, ModelCommand};

/// Train and evaluate hierarchical LLM agents on text environments.
#[derive(Debug, Parser)]
#[command(
    name = "stepladder",
    version,
    arg_required_else_help = true,
    after_help = "Example:\n  stepladder train demo"
)]
pub(crate) struct Cli {
    /// Subcommand.
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// Reads the command line of this process.
    ///
    /// Reports the option before a negative number where clap would take `-1` for an unknown option and advise `-- -1`. Usage
    /// lines in errors are those of the help pages; clap's would show options that the environment sets as required.
    ///
    /// # Errors
    /// Text to print, which may be a help page.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        let mut command = with_negative_numbers(Self::command());
        command.build();
        Self::from_arg_matches(&with_usage(command).try_get_matches().map_err(with_option)?)
    }
}

fn with_negative_numbers(command: Clap) -> Clap {
    let command = command.mut_args(|arg| {
        let is_value = arg.get_action().takes_values() && !arg.is_positional();
        if is_value { arg.allow_negative_numbers(true) } else { arg }
    });
    command.mut_subcommands(with_negative_numbers)
}

/// Suggests `--option` where an unknown flag has the name of an environment's option.
fn with_option(mut error: clap::Error) -> clap::Error {
    let flag = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(flag)) if error.kind() == ErrorKind::UnknownArgument => flag.clone(),
        _ => return error,
    };
    let families = stepladder_families::all();
    let option =
        families.iter().flat_map(|family| family.options).find(|option| flag == format!("--{}", option.name));
    if let Some(option) = option {
        let tip = format!("use '--option {}={}'", option.name, option.values.placeholder());
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
        error.remove(ContextKind::SuggestedArg);
    }
    error
}

fn with_usage(mut command: Clap) -> Clap {
    if command.has_subcommands() {
        return command.mut_subcommands(with_usage);
    }
    let usage = command.render_usage().to_string();
    match usage.strip_prefix("Usage: ") {
        Some(line) => command.override_usage(line.to_owned()),
        None => command,
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train the agents of a preset or configuration file, evaluate them, print the table
    #[command(
        after_help = "Examples:\n  stepladder train demo\n  stepladder train runs/mine.toml --set agents.flat.learning_rate=1e-3\n  stepladder train --resume runs/demo-1"
    )]
    Train(Train),
    /// Evaluate the agents of a run, one checkpoint, or a pretrained model
    #[command(
        after_help = "Examples:\n  stepladder evaluate runs/demo-1 --env household --split dev --json\n  stepladder evaluate ~/data/models/smollm2-135m-instruct --agent step_hrl --style instruct --examples 3 --env household --split dev --episodes 20"
    )]
    Evaluate(Evaluate),
    /// Play tasks with the expert and write its episodes as a trace
    #[command(
        after_help = "Example:\n  stepladder demonstrate --env household --split dev --count 10 -o demos.jsonl"
    )]
    Demonstrate(Demonstrate),
    /// Play tasks with a trained agent and write its episodes as a trace
    #[command(
        after_help = "Example:\n  stepladder collect runs/demo-1 --env household --split train --count 100 --temperature 1 -o play.jsonl"
    )]
    Collect(Collect),
    /// Train a preset with several seeds, or the arms of a study, and compare
    #[command(
        after_help = "Examples:\n  stepladder study alfworld-cpu --seeds 1,2,3 --dir runs/study\n  stepladder study smollm2-rows --seeds 1"
    )]
    Study(Study),
    /// Compare several runs in one table: every seed, mean, gains, steps, tokens
    #[command(after_help = "Example:\n  stepladder compare runs/study/seed-* --on alfworld/valid_seen")]
    Compare(Compare),
    /// Report success, tokens, time and memory by number of goals per task
    #[command(
        after_help = "Example:\n  stepladder horizon runs/horizon-1 --goals 1,2,3,4,5,6,7,8 -o docs/horizon"
    )]
    Horizon(Horizon),
    /// Report learning curves of online algorithms over steps, tokens and minutes
    #[command(
        after_help = "Example:\n  stepladder curves runs/sokoban/seed-1 runs/sokoban/seed-2 -o docs/sokoban-6x6"
    )]
    Curves(Curves),
    /// Environments: list, play, bench, verify, generate, serve
    #[command(after_help = "Example:\n  stepladder env list")]
    Env {
        /// Subcommand.
        #[command(subcommand)]
        command: EnvCommand,
    },
    /// Official data sets: status, get
    #[command(after_help = "Example:\n  stepladder data status")]
    Data {
        /// Subcommand.
        #[command(subcommand)]
        command: DataCommand,
    },
    /// Pretrained models: get, list, convert, show, check
    #[command(after_help = "Example:\n  stepladder model list")]
    Model {
        /// Subcommand.
        #[command(subcommand)]
        command: ModelCommand,
    },
    /// Configurations: show, check
    #[command(after_help = "Example:\n  stepladder config show demo")]
    Config {
        /// Subcommand.
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Print a generated reference page (used by `cargo xtask generate`)
    #[command(hide = true)]
    Reference {
        /// `cli`, `config`, `presets` or `metrics`.
        page: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Train {
    /// Name of a preset (demo, alfworld-cpu) or path of a TOML file
    #[arg(required_unless_present = "resume", conflicts_with = "resume")]
    pub(crate) config: Option<String>,
    /// Override one value; repeatable
    #[arg(long = "set", value_name = "KEY=VALUE", conflicts_with = "resume")]
    pub(crate) sets: Vec<String>,
    /// Directory of the run; default runs/PRESET-NUMBER
    #[arg(long, conflicts_with = "resume")]
    pub(crate) run_dir: Option<PathBuf>,
    /// Start with the finished cloned agents of this run and with its demonstrations; agents whose settings differ are trained
    #[arg(long, value_name = "RUN", conflicts_with = "resume")]
    pub(crate) take: Option<PathBuf>,
    /// Continue the run in this directory
    #[arg(long, value_name = "DIR")]
    pub(crate) resume: Option<PathBuf>,
    /// cpu, cuda or cuda:N; default cpu, or the device of the continued run
    #[arg(long, value_parser = device)]
    pub(crate) device: Option<String>,
    #[command(flatten)]
    pub(crate) data: DataRoot,
}

/// Directory of the official data sets.
#[derive(Debug, Args)]
#[command(about = None, long_about = None)]
pub(crate) struct DataRoot {
    /// Data root; default STEPLADDER_DATA
    #[arg(long = "data", value_name = "DATA", env = "STEPLADDER_DATA", hide_env_values = true)]
    root: Option<PathBuf>,
}

impl DataRoot {
    /// Returns the directory, if one was named.
    pub(crate) fn as_deref(&self) -> Option<&Path> {
        self.root.as_deref()
    }
}

/// Options of the environment.
#[derive(Debug, Args)]
#[command(about = None, long_about = None)]
pub(crate) struct EnvOptions {
    /// Option of the environment (`stepladder env list` lists them); repeatable
    #[arg(long = "option", value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) pairs: Vec<(String, String)>,
}

/// Selection of a trained agent or a pretrained model, its environment and its settings.
#[derive(Debug, Args)]
#[command(about = None, long_about = None)]
pub(crate) struct PolicyArgs {
    /// A run directory, a checkpoint directory, or a pretrained model: its Hugging Face directory, its name in the data root, or its hub name
    pub(crate) run: PathBuf,
    /// Name of an agent of the run, default the first that has a checkpoint; pretrained model: step_hrl, flat or himac
    #[arg(long)]
    pub(crate) agent: Option<String>,
    /// Pretrained model: prompt style; instruct is the only one
    #[arg(long)]
    pub(crate) style: Option<String>,
    /// Pretrained model: form of the prompts, chat or plain; default chat if the model has a chat template
    #[arg(long, value_parser = form)]
    pub(crate) form: Option<Form>,
    /// Pretrained model: LoRA adapter, a PEFT directory
    #[arg(long, value_name = "DIR")]
    pub(crate) adapter: Option<PathBuf>,
    /// Pretrained model: examples of the expert in the prompts of each role
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = whole::<usize>)]
    pub(crate) examples: usize,
    /// Environment id; default that of the run
    #[arg(long)]
    pub(crate) env: Option<String>,
    /// Environment steps per episode; default that of the run, else that of the split
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_steps: Option<u32>,
    /// Sample at this temperature instead of greedy decoding
    #[arg(long, value_parser = temperature)]
    pub(crate) temperature: Option<f64>,
    /// Sample from the smallest set of most likely tokens whose probabilities add up to this; default that of the run, else 1
    #[arg(long, requires = "temperature", value_parser = top_p)]
    pub(crate) top_p: Option<f64>,
    /// Sample from this number of most likely tokens, 0 for all; default that of the run, else 0
    #[arg(long, requires = "temperature", value_parser = whole::<usize>)]
    pub(crate) top_k: Option<usize>,
    /// Pretrained model: end replies before this text; \n, \t and \\ are a newline, a tab and a backslash; repeatable; default that of the run
    #[arg(long, value_name = "TEXT", value_parser = stop_string)]
    pub(crate) stop: Vec<String>,
    /// cpu, cuda or cuda:N
    #[arg(long, default_value = "cpu", value_parser = device)]
    pub(crate) device: String,
    #[command(flatten)]
    pub(crate) options: EnvOptions,
    #[command(flatten)]
    pub(crate) data: DataRoot,
}

impl PolicyArgs {
    /// Returns the distribution that replies are sampled from; `None` for greedy decoding.
    pub(crate) fn sampling(&self, policy: &Policy) -> Option<Distribution> {
        Some(policy.distribution(self.temperature?, self.top_p, self.top_k))
    }

    /// Returns the selected agent or model, environment and device.
    pub(crate) fn source<'a>(&'a self, split: Option<&'a str>) -> Source<'a> {
        Source {
            path: &self.run,
            agent: self.agent.as_deref(),
            prompting: Prompting {
                style: self.style.as_deref(),
                form: self.form,
                adapter: self.adapter.as_deref(),
                examples: self.examples,
            },
            env: self.env.as_deref(),
            split,
            options: &self.options.pairs,
            data_root: self.data.as_deref(),
            device: &self.device,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Evaluate {
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    /// Split; default the run's development split
    #[arg(long)]
    pub(crate) split: Option<String>,
    /// Number of tasks: a sample of the split, stratified by family and the same for every run; default the whole split
    #[arg(long, value_parser = count::<NonZeroUsize>)]
    pub(crate) episodes: Option<NonZeroUsize>,
    /// Seed of sampled tokens
    #[arg(long, requires = "temperature", default_value_t = 0, value_parser = run_seed)]
    pub(crate) seed: u64,
    /// Environment seeds per task
    #[arg(long, default_value = "1", value_parser = count::<NonZeroU64>)]
    pub(crate) seeds: NonZeroU64,
    /// Number of concurrent episodes
    #[arg(long, default_value = "100", value_parser = count::<NonZeroUsize>)]
    pub(crate) slots: NonZeroUsize,
    /// Play the tasks a second time with constrained decoding: every action is an admissible one
    #[arg(long)]
    pub(crate) constrained: bool,
    /// HiMAC: whose blueprints the agent follows: own, other (another task's), expert, random or none
    #[arg(long, default_value = "own", value_parser = blueprints)]
    pub(crate) blueprints: Blueprints,
    /// Write the episodes as a trace (.jsonl or .jsonl.zst); - is standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Write token ids and log-probabilities to the trace as well
    #[arg(long, requires = "trace")]
    pub(crate) trace_tokens: bool,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Demonstrate {
    /// Environment id
    #[arg(long)]
    pub(crate) env: String,
    /// Split
    #[arg(long)]
    pub(crate) split: String,
    /// Trace to write (.jsonl or .jsonl.zst); - is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Number of tasks: a sample of the split, stratified by family; default the whole split
    #[arg(long, value_parser = count::<NonZeroUsize>)]
    pub(crate) count: Option<NonZeroUsize>,
    /// Probability per step of another action; labels stay those of the expert
    #[arg(long, default_value_t = 0.0)]
    pub(crate) noise: f64,
    /// Play the demonstrator of mixed quality instead of the expert
    #[arg(long, conflicts_with_all = ["flat", "walkthrough"])]
    pub(crate) careless: bool,
    /// Play the recorded solutions of the tasks instead of the expert
    #[arg(long, conflicts_with = "noise")]
    pub(crate) walkthrough: bool,
    /// Write solutions without subtasks and progress texts
    #[arg(long, requires = "walkthrough")]
    pub(crate) flat: bool,
    /// Seed of the noise and of the sample of tasks
    #[arg(long, default_value_t = 0, value_parser = whole::<u64>)]
    pub(crate) seed: u64,
    /// Environment steps per episode; default that of the split
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_steps: Option<u32>,
    /// Print one JSON object instead of a summary
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) options: EnvOptions,
    #[command(flatten)]
    pub(crate) data: DataRoot,
}

#[derive(Debug, Args)]
pub(crate) struct Collect {
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    /// Split; default the run's training split
    #[arg(long)]
    pub(crate) split: Option<String>,
    /// Trace to write (.jsonl or .jsonl.zst); - is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Number of tasks: a sample of the split, stratified by family; default the whole split
    #[arg(long, value_parser = count::<NonZeroUsize>)]
    pub(crate) count: Option<NonZeroUsize>,
    /// Seed of the sampling and of the sample of tasks
    #[arg(long, default_value_t = 0, value_parser = whole::<u64>)]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Study {
    /// Name of a study (smollm2-rows, offline-diagnosis, mixed-quality, mixed-scienceworld, sokoban, chains, webshop) or preset, or path of a TOML file with either
    #[arg(value_name = "STUDY|CONFIG")]
    pub(crate) study: String,
    /// Run seeds; a study has its own, and only those given here run
    #[arg(long, value_delimiter = ',', value_parser = run_seed)]
    pub(crate) seeds: Vec<u64>,
    /// Directory of the runs, default runs/NAME; the same command continues a stopped study
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// A results.json of the same study from elsewhere: its runs are not repeated; repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) results: Vec<PathBuf>,
    /// Override one value in all runs; repeatable
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<String>,
    /// cpu, cuda or cuda:N
    #[arg(long, default_value = "cpu", value_parser = device)]
    pub(crate) device: String,
    #[command(flatten)]
    pub(crate) data: DataRoot,
}

#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// Run directories
    #[arg(required = true)]
    pub(crate) runs: Vec<PathBuf>,
    /// ENV/SPLIT of the evaluations; default the development split of the first run
    #[arg(long, value_name = "ENV/SPLIT")]
    pub(crate) on: Option<String>,
    /// Agent that gains are measured against, task by task; default the one that each agent started from
    #[arg(long, value_name = "AGENT")]
    pub(crate) over: Option<String>,
    /// Compare runs that differ in tasks, splits or budgets, and say in what; repeatable, or a list with commas
    #[arg(long, value_name = "ASPECT", value_delimiter = ',', value_parser = aspect)]
    pub(crate) allow_different: Vec<Aspect>,
    /// Add success by the number of sub-goals in the expert's solutions
    #[arg(long)]
    pub(crate) by_subgoals: bool,
    /// Print one JSON array instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Horizon {
    /// Run directories of one configuration with different seeds, of agents trained on chains of goals
    #[arg(required = true, value_name = "RUN")]
    pub(crate) runs: Vec<PathBuf>,
    /// Numbers of goals
    #[arg(long, value_delimiter = ',', default_value = "1,2,3,4,5,6,7,8", value_parser = whole::<u32>)]
    pub(crate) goals: Vec<u32>,
    /// Episodes per agent and number of goals: a sample of the split's chains
    #[arg(long, default_value = "100", value_parser = count::<NonZeroUsize>)]
    pub(crate) episodes: NonZeroUsize,
    /// Environment whose splits hold chains of goals; default that of the run
    #[arg(long)]
    pub(crate) env: Option<String>,
    /// Split of the chains
    #[arg(long, default_value = "dev")]
    pub(crate) split: String,
    /// Agent that success is compared with, at each number of goals, task by task
    #[arg(long, value_name = "AGENT")]
    pub(crate) over: Option<String>,
    /// Path of the table (.md), the plot (.svg) and the numbers (.json), without extension
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Curves {
    /// Run directories of one configuration with different seeds
    #[arg(required = true, value_name = "RUN")]
    pub(crate) runs: Vec<PathBuf>,
    /// Agent that final success is compared with, task by task
    #[arg(long, value_name = "AGENT")]
    pub(crate) over: Option<String>,
    /// Path of the table (.md), the plot (.svg) and the numbers (.json), without extension
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Fetch an official data set into the data root
    #[command(
        after_help = "Examples:\n  stepladder data get scienceworld --data ~/data\n  stepladder data get scienceworld --option version=1.1.3 --from scienceworld-1.1.3-py3-none-any.whl"
    )]
    Get {
        /// Name of the set
        name: String,
        /// Read this archive instead of the network
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
        #[command(flatten)]
        options: EnvOptions,
        #[command(flatten)]
        data: DataRoot,
    },
    /// Show the content of the data root and the origin of the official sets
    #[command(after_help = "Example:\n  stepladder data status --data ~/data")]
    Status {
        #[command(flatten)]
        data: DataRoot,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print every value with its origin
    #[command(after_help = "Example:\n  stepladder config show demo --set model.scratch.width=64")]
    Show {
        /// Name of a preset or path of a TOML file
        config: String,
        /// Override one value
        #[arg(long = "set", value_name = "KEY=VALUE")]
        sets: Vec<String>,
    },
    /// Check whether a configuration can be trained
    #[command(after_help = "Example:\n  stepladder config check runs/mine.toml")]
    Check {
        /// Name of a preset or path of a TOML file
        config: String,
        /// Override one value
        #[arg(long = "set", value_name = "KEY=VALUE")]
        sets: Vec<String>,
    },
}

/// Parses an integer of at least 1 (`NonZeroUsize`, `NonZeroU64`).
fn count<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| too_large(text, "it must be a whole number, 1 or more"))
}

/// Parses an integer of at least 0.
fn whole<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| too_large(text, "it must be a whole number, 0 or more"))
}

/// Parses a seed in the range of a configuration.
fn run_seed(text: &str) -> Result<u64, String> {
    let seed = text.parse().ok().filter(|seed| i64::try_from(*seed).is_ok());
    seed.ok_or_else(|| "it must be a whole number from 0 to 2^63 - 1".to_owned())
}

fn too_large(text: &str, otherwise: &str) -> String {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit()) && text.bytes().any(|byte| byte != b'0');
    if is_number { "it is too large".to_owned() } else { otherwise.to_owned() }
}

/// Parses `KEY=VALUE`.
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("it must be KEY=VALUE".to_owned()),
    }
}

fn temperature(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value > 0.0 => Ok(value),
        _ => Err("it must be a number above 0; omit it for greedy decoding".to_owned()),
    }
}

fn top_p(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value <= 1.0 => Ok(value),
        _ => Err("it must be a number above 0, at most 1".to_owned()),
    }
}

/// Parses a stop string with escapes.
fn stop_string(text: &str) -> Result<String, String> {
    let mut string = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        string.push(match character {
            '\\' => match characters.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('\\') => '\\',
                _ => return Err("a backslash must be followed by n, t or another backslash".to_owned()),
            },
            other => other,
        });
    }
    if string.is_empty() { Err("it must have at least one character".to_owned()) } else { Ok(string) }
}

fn form(text: &str) -> Result<Form, String> {
    let found = Form::ALL.iter().copied().find(|form| form.name() == text);
    found.ok_or_else(|| "use chat or plain".to_owned())
}

fn blueprints(text: &str) -> Result<Blueprints, String> {
    let found = Blueprints::ALL.iter().copied().find(|known| known.name() == text);
    found.ok_or_else(|| "use own, other, expert, random or none".to_owned())
}

fn aspect(text: &str) -> Result<Aspect, String> {
    text.parse()
}

fn device(text: &str) -> Result<String, String> {
    let known = match text.split_once(':') {
        None => text == "cpu" || text == "cuda",
        Some((kind, index)) => kind == "cuda" && index.parse::<usize>().is_ok(),
    };
    if known { Ok(text.to_owned()) } else { Err("use cpu, cuda or cuda:N".to_owned()) }
}
