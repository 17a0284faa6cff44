//! What every algorithm needs around it.

pub mod checkpoint;
pub mod clock;
pub(crate) mod epochs;
pub mod events;
pub mod metrics;
pub mod optimiser;
pub mod plan;
pub mod pool;
pub mod schedule;
pub mod stderr;
mod sweep;
pub mod workers;
