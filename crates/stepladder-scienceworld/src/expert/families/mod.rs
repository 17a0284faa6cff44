//! One file per group of task types that are solved alike.

pub(crate) mod chemistry;
pub(crate) mod circuit;
mod conductivity;
pub(crate) mod find;
pub(crate) mod growing;
pub(crate) mod life_stages;
pub(crate) mod lifespan;
pub(crate) mod matter;
mod mixing;
pub(crate) mod paint;
pub(crate) mod thermometer;

use super::Family;

/// Every family; a task belongs to the first that plans for it.
pub(super) const ALL: &[&dyn Family] = &[
    &circuit::Circuit,
    &conductivity::Conductivity,
    &find::Find,
    &growing::Growing,
    &life_stages::LifeStages,
    &lifespan::Lifespan,
    &chemistry::Chemistry,
    &paint::Paint,
    &matter::Matter,
    &thermometer::Thermometer,
];
