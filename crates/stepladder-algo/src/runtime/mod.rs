//! What every algorithm needs around it.

pub mod checkpoint;
pub mod clock;
pub(crate) mod epochs;
pub mod events;
pub mod metrics;
pub mod net;
pub mod observer;
pub mod optimiser;
pub mod plan;
pub mod pool;
pub mod progress;
pub mod schedule;
pub mod score;
pub mod stderr;
mod sweep;
pub mod trainer;
pub mod workers;
