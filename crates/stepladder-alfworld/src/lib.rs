//! ALFWorld's text games, natively: no planner, no Python.

pub mod generate;
