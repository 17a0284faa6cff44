//! Augmentation for word-level models, which cannot copy names that are absent from the demonstrations:
//! renamed episodes ([`rename`]) and practice worlds ([`practice`]). The environment and the expert do not
//! depend on it.

pub mod practice;
mod prelude;
mod readings;
pub mod rename;
mod twins;

pub use practice::{Practice, WithPractice};
