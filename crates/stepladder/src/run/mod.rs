//! Runs: what stands in a run directory, and how it comes about.

pub(crate) mod agents;
pub(crate) mod choice;
pub(crate) mod demonstrations;
pub(crate) mod directory;
pub(crate) mod evaluated;
pub(crate) mod labels;
pub(crate) mod learn;
pub(crate) mod memory;
pub(crate) mod output;
pub(crate) mod play;
pub(crate) mod progress;
pub(crate) mod rows;
pub(crate) mod table;
pub(crate) mod trace_file;
pub(crate) mod training;
pub(crate) mod unchanged;
pub(crate) mod watcher;
