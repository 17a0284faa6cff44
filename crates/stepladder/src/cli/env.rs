//! Arguments of `env`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{DataRoot, EnvOptions, whole};

#[derive(Debug, Subcommand)]
pub(crate) enum EnvCommand {
    /// List the environments and their splits
    #[command(after_help = "Example:\n  stepladder env list --json")]
    List {
        /// Print one JSON array instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Play a task yourself, or show the expert playing it
    #[command(after_help = "Example:\n  stepladder env play household --split dev --expert")]
    Play {
        /// Environment id
        env: String,
        /// Split
        #[arg(long, default_value = "dev")]
        split: String,
        /// Index of the task in the split, from 0
        #[arg(long, default_value_t = 0, value_parser = whole::<usize>)]
        task: usize,
        /// Play with the expert
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
        /// Number of steps; default that of the environment
        #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
        steps: Option<u64>,
        /// Seed of the random policy
        #[arg(long, default_value_t = 0, value_parser = whole::<u64>)]
        seed: u64,
        /// Print one JSON object instead of a line
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        options: EnvOptions,
        #[command(flatten)]
        data: DataRoot,
    },
    /// Compare with recorded episodes of the original, or count solvable tasks
    #[command(
        after_help = "Examples:\n  stepladder env verify alfworld --transcripts alfworld_train_seen.jsonl.zst --json\n  stepladder env verify webshop --reachable dev"
    )]
    Verify {
        /// Environment id
        env: String,
        /// Transcripts (.jsonl or .jsonl.zst)
        #[arg(long, required_unless_present = "reachable", num_args = 1..)]
        transcripts: Vec<PathBuf>,
        /// Count the tasks of this split that can be solved instead, with the options of play
        #[arg(long, value_name = "SPLIT", conflicts_with = "transcripts")]
        reachable: Option<String>,
        /// Print one JSON object instead of a summary
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
        /// Split whose task distribution is used
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
        /// Print the generated and the official distribution side by side instead of writing games
        #[arg(long)]
        report: bool,
        #[command(flatten)]
        options: EnvOptions,
        #[command(flatten)]
        data: DataRoot,
    },
    /// Serve an environment over the network with the OpenEnv protocol
    #[command(
        after_help = "Examples:\n  stepladder env serve household\n  STEPLADDER_TOKEN=... stepladder env serve alfworld --host 0.0.0.0 --split train --sessions 64\n\nConnections are not encrypted: outside a trusted network put a proxy that ends TLS in front."
    )]
    Serve(Serve),
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Environment id
    pub(crate) env: String,
    /// Split of sessions that name none; default the first of the environment
    #[arg(long)]
    pub(crate) split: Option<String>,
    /// Port; 0 for any free one
    #[arg(long, default_value_t = 8000)]
    pub(crate) port: u16,
    /// Address to listen on; one that other machines reach requires a token
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) host: String,
    /// File with the bearer token that clients must present
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Bearer token, unless there is a file; other users of the machine can read a command line: better set STEPLADDER_TOKEN
    #[arg(long, env = "STEPLADDER_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// Sessions at the same time
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) sessions: u32,
    /// End a session after this time without a request; 0 for never
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    pub(crate) idle: u32,
    /// Environment steps per episode; default that of the split
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_steps: Option<u32>,
    /// Largest message in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 65536, value_parser = clap::value_parser!(u32).range(1024..))]
    pub(crate) message_bytes: u32,
    /// Print address and counts as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) options: EnvOptions,
    #[command(flatten)]
    pub(crate) data: DataRoot,
}
