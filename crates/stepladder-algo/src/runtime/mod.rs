//! Training state and services for all algorithms: the trainer and its networks, optimiser, schedules, counters and budgets,
//! data-parallel workers, checkpoints, metrics. Contains no algorithm.

pub mod budget;
pub mod checkpoint;
pub mod clock;
pub mod counters;
pub(crate) mod epochs;
pub mod events;
pub mod metrics;
pub mod net;
pub mod observer;
pub mod optimiser;
pub mod passes;
pub mod plan;
pub mod pool;
pub mod schedule;
pub mod score;
mod sweep;
pub mod trainer;
pub mod workers;
