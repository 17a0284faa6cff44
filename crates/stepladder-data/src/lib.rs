//! Not a trainer: everything between a trace and a batch of token ids.
//!
//! ```text
//! trace ─► annotate (Segmenter, ProgressLabeller) ─► streams (three kinds of samples) ─► transitions (reward, done, next)
//!                                                        └─► rows (token ids, reply spans) ─► batches
//! ```

pub mod annotate;
pub mod batch;
pub mod mixing;
pub mod rows;
pub mod streams;
pub mod tokenizer;
pub mod transitions;

pub use batch::Batch;
pub use rows::Row;
pub use streams::Sample;
pub use tokenizer::WordTokenizer;
pub use transitions::Transition;
