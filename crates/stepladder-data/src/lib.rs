//! Not a trainer: everything between a trace and a batch of token ids.
//!
//! ```text
//! trace ─► annotate (Segmenter, ProgressLabeller) ─► streams (three kinds of samples) ─► transitions (reward, done, next)
//!                 │                 ▲                     └─► rows (token ids, reply spans) ─► batches
//!                 └─► ablate (an agent that lacks a part) · relabel (what an expert would have said) ┘
//! trace ─► himac (blueprints in hindsight)
//! transitions ─► offline (rows with reward, done and next prompt) ─► offline_batch
//! ```
//! [`compact`] is the prompt style of small models; [`fit`] shortens prompts that exceed the context window.

#![warn(clippy::print_stderr)] // Panics where standard error is closed; see `stepladder_algo::runtime::stderr`.

pub mod ablate;
pub mod annotate;
pub mod batch;
pub mod compact;
pub mod fit;
pub mod himac;
pub mod level;
pub mod mixing;
pub mod offline;
pub mod offline_batch;
pub mod relabel;
pub mod rows;
pub mod streams;
pub mod tokenizer;
pub mod transitions;

pub use batch::Batch;
pub use compact::Compact;
pub use level::{Level, PerLevel};
pub use offline::OfflineRow;
pub use offline_batch::OfflineBatch;
pub use rows::Row;
pub use streams::Sample;
pub use tokenizer::WordTokenizer;
pub use transitions::Transition;
