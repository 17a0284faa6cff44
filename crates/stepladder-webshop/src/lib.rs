//! WebShop as in princeton-nlp/WebShop and verl-agent, in Rust without Java or Python.
//!
//! * [`product`] and [`goal`]: what a shop sells, and what a customer asks for
//! * [`catalogue`]: products and instructions, from the files of the original
//! * [`shop`]: a catalogue with [`prices`] and [`goals`], drawn by the generator of [`python`]
//! * [`search`]: which products a query finds, ranked as the original ranks them
//! * [`reward`]: what a purchase is worth, by [`fuzzy`] comparison and the [`nouns`] of names
//! * [`action`] and [`pages`]: what a customer does and reads
//! * [`generated`]: a shop of our own from a seed, without data
//! * [`reachable`]: which goals can be reached
//! * [`view`]: pages and instructions as an agent reads them; [`expert`], [`segment`], [`noise`], [`codec`]: labels and texts for agents
//!
//! Environment:
//! * [`mod@env`]: implementation of the contract over a [`floor`], a shop with search and rewards; [`solution`]: purchases with reward 1
//! * [`tasks`], [`splits`], [`files`]: available goals
//! * [`mod@verify`]: replay of the original's recorded episodes; [`mod@bench`]: speed
//! * [`family`]: the environment family, which combines everything here

#![warn(clippy::print_stderr)] // `eprintln!` panics if standard error is closed.

pub mod action;
mod asin;
pub mod bench;
pub mod catalogue;
pub mod codec;
pub mod env;
pub mod expert;
pub mod family;
pub mod files;
pub mod floor;
pub mod fuzzy;
pub mod generated;
pub mod goal;
pub mod goals;
pub mod noise;
pub mod nouns;
pub mod pages;
pub mod prices;
pub mod product;
pub mod python;
pub mod reachable;
pub mod reward;
pub mod search;
pub mod segment;
pub mod shop;
pub mod solution;
pub mod splits;
pub mod tasks;
#[cfg(test)]
mod testing;
pub mod verify;
pub mod view;

pub use action::Action;
pub use asin::ByAsin;
pub use catalogue::{Catalogue, Files, Instruction};
pub use codec::WebshopCodec;
pub use env::{GoalSource, WebShopEnv};
pub use expert::WebshopExpert;
pub use family::FAMILY;
pub use floor::Floor;
pub use goal::Goal;
pub use goals::Goals;
pub use noise::WebshopNoise;
pub use nouns::{Nouns, Tagger};
pub use pages::{Form, Page, Store, Visit};
pub use product::{Choice, Product};
pub use reward::Reward;
pub use segment::WebshopSegmenter;
pub use shop::{Seeds, Shop};
pub use tasks::{Choices, WebShop};
pub use verify::verify;
