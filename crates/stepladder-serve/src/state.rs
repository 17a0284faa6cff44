//! State that all connections of a server share.

use std::sync::Arc;

use stepladder_env::session::SharedTasks;
use tokio::sync::watch;

use crate::capacity::Counts;
use crate::config::Config;
use crate::worker::Place;

/// State that all connections of a server share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) tasks: Arc<SharedTasks>,
    pub(crate) counts: Arc<Counts>,
    /// Turns true when the server ends.
    pub(crate) ending: watch::Receiver<bool>,
}

impl Shared {
    /// Returns the place where the steps of this environment run.
    pub(crate) fn steps(&self) -> Place {
        if self.tasks.tasks().has_fast_steps() { Place::Here } else { Place::Pool }
    }
}

/// Waits for the end of the server.
pub(crate) async fn end(ending: &mut watch::Receiver<bool>) {
    // An error means that the server is gone, which is an end, too.
    let _ = ending.wait_for(|ending| *ending).await;
}
