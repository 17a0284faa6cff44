//! A shop without data: products and goals from a seed, in words of our own.
//!
//! Product `n` of a shop is a function of the shop's seed, the length of its pages and `n` alone: a shop of 1000 products is the
//! beginning of the shop of 1,000,000 products with the same seed.
//!
//! No text is from the original's data. The numbers of words, choices, attributes and dollars have the order of magnitude of the
//! official set of 1000 products.

mod asin;
mod brand;
mod generator;
mod goals;
mod pages;
mod plan;
mod report;
mod spread;
pub mod statistics;
mod stock;
mod text;
mod vocabulary;
mod wording;

pub use generator::{Drawn, Generator};
pub use goals::{NoGoal, Split};
pub use pages::Pages;
pub use report::{Statistics, report, table};
pub use spread::{Ranks, Spread};
pub use stock::Stock;
pub use wording::{Request, read};

/// Version of the generator, raised when a seed and number may give another product or goal.
pub const VERSION: u32 = 3;

/// Smallest shop.
pub const FEWEST_PRODUCTS: u32 = 50;

/// Largest shop.
pub const MOST_PRODUCTS: u32 = 1_000_000;

/// Products of a shop unless said otherwise.
pub const PRODUCTS: u32 = 1000;
