//! What can be typed.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Command as Clap, CommandFactory, FromArgMatches, Parser, Subcommand};
use stepladder_train::envs;
use stepladder_train::evaluate::Source;

/// Train and evaluate hierarchical LLM agents on text environments.
#[derive(Debug, Parser)]
#[command(
    name = "stepladder",
    version,
    arg_required_else_help = true,
    after_help = "Example:\n  stepladder train demo"
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// Reads the command line of this process.
    ///
    /// Where clap would take `-1` for an unknown option and advise `-- -1`, the option that it stands behind complains. Usage
    /// lines in complaints are those of the help pages; clap's would show options that the environment sets as required.
    ///
    /// # Errors
    /// What is to be printed, which may be a help page.
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

/// Points to `--option` where an unknown flag has the name of an option of some environment.
fn with_option(mut error: clap::Error) -> clap::Error {
    let flag = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(flag)) if error.kind() == ErrorKind::UnknownArgument => flag.clone(),
        _ => return error,
    };
    let families = envs::families();
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
    /// Evaluate the agents of a run, or one checkpoint
    #[command(after_help = "Example:\n  stepladder evaluate runs/demo-1 --env household --split dev --json")]
    Evaluate(Evaluate),
    /// Let the expert play and write its episodes as a trace
    #[command(
        after_help = "Example:\n  stepladder demonstrate --env household --split dev --count 10 -o demos.jsonl"
    )]
    Demonstrate(Demonstrate),
    /// Let a trained agent play and write its episodes as a trace
    #[command(
        after_help = "Example:\n  stepladder collect runs/demo-1 --env household --split train --count 100 --temperature 1 -o play.jsonl"
    )]
    Collect(Collect),
    /// Train a preset with several seeds, one after the other, and compare them
    #[command(after_help = "Example:\n  stepladder study alfworld-cpu --seeds 1,2,3 --dir runs/study")]
    Study(Study),
    /// One table over several runs: every seed, the median, steps, tokens
    #[command(after_help = "Example:\n  stepladder compare runs/study/seed-* --on alfworld/valid_seen")]
    Compare(Compare),
    /// Success, tokens, time and memory against the number of goals of a task
    #[command(
        after_help = "Example:\n  stepladder horizon runs/horizon-1 --goals 1,2,3,4,5,6,7,8 -o docs/horizon"
    )]
    Horizon(Horizon),
    /// Methods that learn by playing, against environment steps and tokens
    #[command(
        after_help = "Example:\n  stepladder curves runs/sokoban/seed-1 runs/sokoban/seed-2 -o docs/sokoban-6x6"
    )]
    Curves(Curves),
    /// Environments: list, play, bench, verify, generate
    #[command(after_help = "Example:\n  stepladder env list")]
    Env {
        /// Which of them.
        #[command(subcommand)]
        command: EnvCommand,
    },
    /// Official data sets: what is there, fetching
    #[command(after_help = "Example:\n  stepladder data status")]
    Data {
        /// What about them.
        #[command(subcommand)]
        command: DataCommand,
    },
    /// Configurations: show, check
    #[command(after_help = "Example:\n  stepladder config show demo")]
    Config {
        /// Which of them.
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
    /// Override one value; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE", conflicts_with = "resume")]
    pub(crate) sets: Vec<String>,
    /// Directory of the run; default runs/PRESET-NUMBER
    #[arg(long, conflicts_with = "resume")]
    pub(crate) run_dir: Option<PathBuf>,
    /// Continue the run in this directory
    #[arg(long, value_name = "DIR")]
    pub(crate) resume: Option<PathBuf>,
    /// cpu, cuda or cuda:N; default cpu, or what the continued run was started on
    #[arg(long, value_parser = device)]
    pub(crate) device: Option<String>,
    #[command(flatten)]
    pub(crate) data: DataRoot,
}

/// Where the official data sets are.
#[derive(Debug, Args)]
#[command(about = None, long_about = None)]
pub(crate) struct DataRoot {
    /// Data root; default STEPLADDER_DATA
    #[arg(long = "data", value_name = "DATA", env = "STEPLADDER_DATA", hide_env_values = true)]
    root: Option<PathBuf>,
}

impl DataRoot {
    /// The directory, if one was named.
    pub(crate) fn as_deref(&self) -> Option<&Path> {
        self.root.as_deref()
    }
}

/// Options of the environment.
#[derive(Debug, Args)]
#[command(about = None, long_about = None)]
pub(crate) struct EnvOptions {
    /// Option of the environment (`stepladder env list` names them); may be given several times
    #[arg(long = "option", value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) pairs: Vec<(String, String)>,
}

/// A trained agent, where it plays, and how.
#[derive(Debug, Args)]
#[command(about = None, long_about = None)]
pub(crate) struct PolicyArgs {
    /// A run directory or a checkpoint directory
    pub(crate) run: PathBuf,
    /// Agent of a run, by its name there; default the first that has a checkpoint
    #[arg(long)]
    pub(crate) agent: Option<String>,
    /// Environment id; default the run's
    #[arg(long)]
    pub(crate) env: Option<String>,
    /// Environment steps per episode; default the run's, else the split's
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_steps: Option<u32>,
    /// Sample at this temperature instead of greedy decoding
    #[arg(long, value_parser = temperature)]
    pub(crate) temperature: Option<f64>,
    /// cpu, cuda or cuda:N
    #[arg(long, default_value = "cpu", value_parser = device)]
    pub(crate) device: String,
    #[command(flatten)]
    pub(crate) options: EnvOptions,
    #[command(flatten)]
    pub(crate) data: DataRoot,
}

impl PolicyArgs {
    /// What is to be opened.
    pub(crate) fn source<'a>(&'a self, split: Option<&'a str>) -> Source<'a> {
        Source {
            path: &self.run,
            agent: self.agent.as_deref(),
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
    /// Tasks to play: a sample of the split, stratified by family and the same for every run; default the whole split
    #[arg(long, value_parser = count::<NonZeroUsize>)]
    pub(crate) episodes: Option<NonZeroUsize>,
    /// Environment seeds per task
    #[arg(long, default_value = "1", value_parser = count::<NonZeroU64>)]
    pub(crate) seeds: NonZeroU64,
    /// Episodes running at once
    #[arg(long, default_value = "100", value_parser = count::<NonZeroUsize>)]
    pub(crate) slots: NonZeroUsize,
    /// Keep the episodes as a trace (.jsonl or .jsonl.zst); - is standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Keep token ids and log-probabilities in the trace as well
    #[arg(long, requires = "trace")]
    pub(crate) trace_tokens: bool,
    /// One JSON object instead of a table
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
    /// Chance per step that another action is played; labels stay the expert's
    #[arg(long, default_value_t = 0.0)]
    pub(crate) noise: f64,
    /// Play the solutions that tasks come with instead of the expert
    #[arg(long, conflicts_with = "noise")]
    pub(crate) walkthrough: bool,
    /// Write solutions as they are, without subtasks and progress texts
    #[arg(long, requires = "walkthrough")]
    pub(crate) flat: bool,
    /// Seed of the noise and of the sample of tasks
    #[arg(long, default_value_t = 0, value_parser = whole::<u64>)]
    pub(crate) seed: u64,
    /// Environment steps per episode; default the split's
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_steps: Option<u32>,
    /// One JSON object instead of a summary
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
    /// Preset or file
    pub(crate) config: String,
    /// Run seeds
    #[arg(long, value_delimiter = ',', required = true, value_parser = run_seed)]
    pub(crate) seeds: Vec<u64>,
    /// Directory of the runs; a study that was stopped goes on where it stands
    #[arg(long)]
    pub(crate) dir: PathBuf,
    /// Override one value in all runs; may be given several times
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
    /// ENV/SPLIT that the runs were evaluated on; default the development split of the first
    #[arg(long, value_name = "ENV/SPLIT")]
    pub(crate) on: Option<String>,
    /// Agent over which the others' gains are counted, task by task; default the one that each started from
    #[arg(long, value_name = "AGENT")]
    pub(crate) over: Option<String>,
    /// One JSON array instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Horizon {
    /// A run whose agents were trained on chains of goals
    pub(crate) run: PathBuf,
    /// Numbers of goals
    #[arg(long, value_delimiter = ',', default_value = "1,2,3,4,5,6,7,8", value_parser = whole::<u32>)]
    pub(crate) goals: Vec<u32>,
    /// Episodes of each agent and number: a sample of the split's chains
    #[arg(long, default_value = "100", value_parser = count::<NonZeroUsize>)]
    pub(crate) episodes: NonZeroUsize,
    /// Environment whose splits hold chains of goals; default the run's
    #[arg(long)]
    pub(crate) env: Option<String>,
    /// Split whose chains are played
    #[arg(long, default_value = "dev")]
    pub(crate) split: String,
    /// Where the table (.md) and the plot (.svg) go, without extension
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Curves {
    /// Runs of one configuration, each with a seed of its own
    #[arg(required = true, value_name = "RUN")]
    pub(crate) runs: Vec<PathBuf>,
    /// Where the table (.md) and the plot (.svg) go, without extension
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EnvCommand {
    /// List the environments and their splits
    #[command(after_help = "Example:\n  stepladder env list --json")]
    List {
        /// One JSON array instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Play a task yourself, or let the expert play it
    #[command(after_help = "Example:\n  stepladder env play household --split dev --expert")]
    Play {
        /// Environment id
        env: String,
        /// Split
        #[arg(long, default_value = "dev")]
        split: String,
        /// Number of the task in the split, from 0
        #[arg(long, default_value_t = 0, value_parser = whole::<usize>)]
        task: usize,
        /// Let the expert play
        #[arg(long)]
        expert: bool,
        #[command(flatten)]
        options: EnvOptions,
        #[command(flatten)]
        data: DataRoot,
    },
    /// Measure steps per second on one core
    #[command(after_help = "Example:\n  stepladder env bench alfworld --json")]
    Bench {
        /// Environment id
        env: String,
        /// Split; default the first of the environment
        #[arg(long)]
        split: Option<String>,
        /// Steps to play; default the environment's
        #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
        steps: Option<u64>,
        /// Seed of the random policy
        #[arg(long, default_value_t = 0, value_parser = whole::<u64>)]
        seed: u64,
        /// One JSON object instead of a line
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        options: EnvOptions,
        #[command(flatten)]
        data: DataRoot,
    },
    /// Replay recorded episodes of the original and compare byte for byte
    #[command(
        after_help = "Example:\n  stepladder env verify alfworld --transcripts alfworld_train_seen.jsonl.zst --json"
    )]
    Verify {
        /// Environment id
        env: String,
        /// Transcripts (.jsonl or .jsonl.zst)
        #[arg(long, required = true, num_args = 1..)]
        transcripts: Vec<PathBuf>,
        /// One JSON object instead of a summary
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        options: EnvOptions,
        #[command(flatten)]
        data: DataRoot,
    },
    /// Write new solvable games, or compare their distribution with the official one
    #[command(
        after_help = "Examples:\n  stepladder env generate alfworld --split dev --count 20 --seed 0 -o games/\n  stepladder env generate alfworld --option goals=3 --count 20 -o chains/\n  stepladder env generate sokoban --split train-6x6-1 --count 1000 -o levels/"
    )]
    Generate {
        /// Environment id
        env: String,
        /// Split whose tasks are drawn
        #[arg(long, default_value = "train")]
        split: String,
        /// Number of games
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
        count: u64,
        /// First seed
        #[arg(long, default_value_t = 0, value_parser = whole::<u64>)]
        seed: u64,
        /// Directory to write to
        #[arg(short, long, required_unless_present = "report")]
        output: Option<PathBuf>,
        /// Instead of writing games, print generated and official distribution side by side
        #[arg(long)]
        report: bool,
        #[command(flatten)]
        options: EnvOptions,
        #[command(flatten)]
        data: DataRoot,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Fetch an official set into the data root
    #[command(
        after_help = "Examples:\n  stepladder data get scienceworld --data ~/data\n  stepladder data get scienceworld --option version=1.1.3 --from scienceworld-1.1.3-py3-none-any.whl"
    )]
    Get {
        /// Name of the set
        name: String,
        /// Take it from this archive instead of the network
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
        #[command(flatten)]
        options: EnvOptions,
        #[command(flatten)]
        data: DataRoot,
    },
    /// What the data root holds, and where the official sets come from
    #[command(after_help = "Example:\n  stepladder data status --data ~/data")]
    Status {
        #[command(flatten)]
        data: DataRoot,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print every value and where it came from
    #[command(after_help = "Example:\n  stepladder config show demo --set model.scratch.width=64")]
    Show {
        /// Preset or file
        config: String,
        /// Override one value
        #[arg(long = "set", value_name = "KEY=VALUE")]
        sets: Vec<String>,
    },
    /// Say whether a configuration can be trained
    #[command(after_help = "Example:\n  stepladder config check runs/mine.toml")]
    Check {
        /// Preset or file
        config: String,
        /// Override one value
        #[arg(long = "set", value_name = "KEY=VALUE")]
        sets: Vec<String>,
    },
}

/// A whole number, 1 or more (`NonZeroUsize`, `NonZeroU64`).
fn count<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| too_large(text, "it must be a whole number, 1 or more"))
}

/// A whole number, 0 or more.
fn whole<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| too_large(text, "it must be a whole number, 0 or more"))
}

/// A seed that a configuration can hold.
fn run_seed(text: &str) -> Result<u64, String> {
    let seed = text.parse().ok().filter(|seed| i64::try_from(*seed).is_ok());
    seed.ok_or_else(|| "it must be a whole number from 0 to 2^63 - 1".to_owned())
}

fn too_large(text: &str, otherwise: &str) -> String {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit()) && text.bytes().any(|byte| byte != b'0');
    if is_number { "it is too large".to_owned() } else { otherwise.to_owned() }
}

/// `KEY=VALUE`.
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("it must be KEY=VALUE".to_owned()),
    }
}

fn temperature(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value > 0.0 => Ok(value),
        _ => Err("it must be a number above 0; leave it out for greedy decoding".to_owned()),
    }
}

fn device(text: &str) -> Result<String, String> {
    let known = match text.split_once(':') {
        None => text == "cpu" || text == "cuda",
        Some((kind, index)) => kind == "cuda" && index.parse::<usize>().is_ok(),
    };
    if known { Ok(text.to_owned()) } else { Err("use cpu, cuda or cuda:N".to_owned()) }
}
