//! WebShop as in princeton-nlp/WebShop and verl-agent, in Rust without Java or Python.
//!
//! * [`product`] and [`goal`]: what a shop sells, and what a customer asks for

#![warn(clippy::print_stderr)] // `eprintln!` panics if standard error is closed.

pub mod goal;
pub mod product;

pub use goal::Goal;
pub use product::{Choice, Product};
