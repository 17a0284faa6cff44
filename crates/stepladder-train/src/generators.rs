//! The source of generators of a run or player whose caller gives none.

use std::sync::Arc;

use stepladder_model::engine::Memory;
use stepladder_model::{Device, GeneratorSource, LocalSource};

use crate::config::Config;

/// Creates a source of generators in this process, with `threads` threads on the CPU and the cache limits of the run's
/// configuration; without a run, those of the device.
pub(crate) fn local(device: Device, threads: usize, config: Option<&Config>) -> Arc<dyn GeneratorSource> {
    let memory = config.map_or_else(|| Memory::on(device), |config| config.eval.memory(device));
    Arc::new(LocalSource::new(device, threads, memory))
}

/// Cached keys and values of a pretrained model in bytes. The default of small models would hold 3000 tokens of one with 135
/// million parameters, fewer than one of its prompts may have.
const PREFIX_BYTES: usize = 1 << 30;

/// Creates a source of generators of a pretrained model in this process, with `threads` threads on the CPU.
pub(crate) fn pretrained(device: Device, threads: usize) -> Arc<dyn GeneratorSource> {
    let memory = Memory { prefix_bytes: PREFIX_BYTES, ..Memory::on(device) };
    Arc::new(LocalSource::new(device, threads, memory))
}
