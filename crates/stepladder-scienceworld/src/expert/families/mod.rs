//! One file per group of task types that are solved alike.

mod chemistry;
mod circuit;
mod conductivity;
mod find;
mod growing;
mod life_stages;
mod lifespan;
mod matter;
mod mixing;
mod paint;
mod thermometer;

use super::plan::TaskFamily;

/// Every family; a task belongs to the first that plans for it.
pub(super) const ALL: &[&dyn TaskFamily] = &[
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
