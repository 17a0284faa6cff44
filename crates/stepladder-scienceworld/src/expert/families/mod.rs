//! One file per task family.

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

/// All families; a task belongs to the first that returns a plan.
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
