//! ALFWorld's text games, natively: no planner, no Python.

pub mod codec;
pub mod expert;
pub mod noise;
pub mod segment;
pub mod view;
