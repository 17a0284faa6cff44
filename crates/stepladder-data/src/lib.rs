//! Not a trainer: everything between a trace and a batch of token ids.
//!
//! ```text
//! trace ─► annotate (subtasks and progress texts) ─► samples (prompt, target) ─► rows (token ids, reply spans) ─► batch
//!                                                └─► relabel (targets of an expert) ┘
//! trace ─► transitions (reward, done, next) ─► offline (rows with reward, done and next prompt) ─► offline_batch
//! ```
//! Samples and transitions replay the trace ([`stepladder_agent::replay`]): no module here builds a prompt.
//! [`encoder`] is the door to token ids, [`words`] that of small models; [`fit`] shortens prompts that exceed the context window.

#![warn(clippy::print_stderr)] // Panics where standard error is closed.

pub mod ablate;
pub mod annotate;
pub mod batch;
mod compact;
pub mod encoder;
pub mod fit;
pub mod level;
pub mod mixing;
pub mod offline;
pub mod offline_batch;
pub mod relabel;
pub mod rows;
pub mod samples;
pub mod tokenizer;
pub mod transitions;
pub mod words;

pub use batch::Batch;
pub use encoder::{Budgets, PromptEncoder, Rendered};
pub use level::{Level, PerLevel};
pub use offline::OfflineRow;
pub use offline_batch::OfflineBatch;
pub use rows::Row;
pub use samples::Sample;
pub use transitions::Transition;
pub use words::CompactWords;
