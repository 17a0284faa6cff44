//! Training data: from traces to batches of token ids.
//!
//! ```text
//! trace ─► divide (subtasks and progress texts) ─► samples (prompt, target) ─► rows (token ids, reply spans) ─► batch
//!                                              └─► relabel (targets of an expert) ┘
//! trace ─► transitions (reward, done, next) ─► offline (rows with reward, done and next prompt) ─► offline_batch
//! ```
//! Samples and transitions replay the trace ([`stepladder_agent::replay`]), so no module here builds a prompt.
//! [`encoder`] converts prompts and replies to token ids, [`words`] does so for small models; [`pretrained`] holds the tokenizers
//! and chat templates of pretrained models, [`instruct`] writes prompts for them, with [`examples`]; [`encoders`] opens the encoder of a checkpoint;
//! [`fit`] shortens prompts that
//! exceed the context window.

#![warn(clippy::print_stderr)] // Panics where standard error is closed.
#![deny(missing_docs, clippy::missing_errors_doc, clippy::missing_panics_doc)]

pub mod ablate;
pub mod batch;
mod compact;
pub mod compact_pieces;
pub mod divide;
pub mod encoder;
pub mod encoders;
pub mod examples;
pub mod fit;
pub mod instruct;
pub mod labels;
pub mod level;
pub mod mixing;
pub mod offline;
pub mod offline_batch;
pub mod pieces;
pub mod pretrained;
pub mod relabel;
pub mod rows;
pub mod samples;
pub mod sharing;
pub mod token_bytes;
pub mod tokenizer;
pub mod transitions;
pub mod words;

pub use batch::Batch;
pub use compact::Compact;
pub use compact_pieces::CompactPieces;
pub use encoder::{Budgets, Overflow, PromptEncoder, Rendered};
pub use instruct::Instruct;
pub use labels::{Intrinsic, Labels, Noise, Returns, Truncation};
pub use level::{Level, PerLevel};
pub use offline::OfflineRow;
pub use offline_batch::OfflineBatch;
pub use pretrained::PretrainedTokenizer;
pub use rows::Row;
pub use samples::Sample;
pub use transitions::Transition;
pub use words::CompactWords;
