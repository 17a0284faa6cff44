//! Training state and services for all algorithms: the trainer and its networks, optimiser, schedules, budgets,
//! data-parallel workers, checkpoints, metrics. Contains no algorithm.

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
mod sweep;
pub mod trainer;
pub mod workers;
