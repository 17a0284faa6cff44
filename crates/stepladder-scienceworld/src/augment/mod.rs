//! Augmentation for word-level models, which cannot copy names that no demonstration holds: episodes with other names
//! ([`rename`]) and practice worlds ([`practice`]). The environment and the expert do without it.

pub mod practice;
mod prelude;
mod readings;
pub mod rename;
mod twins;

pub use practice::{Practice, WithPractice};
