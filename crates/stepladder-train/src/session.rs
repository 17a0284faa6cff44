//! One session of a run: the state that its stages share.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use stepladder_model::checkpoint::Bases;
use stepladder_model::{Device, GeneratorSource};

use crate::choice::Choice;
use crate::config::Config;
use crate::directory::RunDir;
use crate::report::Reporter;

/// End of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnding {
    /// Every agent is trained and evaluated, and the table is written.
    Complete,
    /// The caller's flag was set; the state is saved, and [`crate::Run::resume`] continues the run.
    Interrupted,
}

/// A run from its start or resumption to its end or interruption.
pub(crate) struct Session<'a> {
    pub(crate) directory: &'a RunDir,
    pub(crate) config: &'a Config,
    /// Rule by which tasks are selected.
    pub(crate) choice: Choice,
    pub(crate) data_root: Option<&'a Path>,
    pub(crate) device: Device,
    /// Pretrained models of the session.
    pub(crate) bases: Bases,
    pub(crate) generators: &'a Arc<dyn GeneratorSource>,
    pub(crate) reporter: &'a dyn Reporter,
    pub(crate) stop: &'a AtomicBool,
}

impl Session<'_> {
    /// Whether the caller asked to stop.
    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
