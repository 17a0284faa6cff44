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
