//! WebShop as in princeton-nlp/WebShop and verl-agent, in Rust without Java or Python.
//!
//! * [`product`] and [`goal`]: what a shop sells, and what a customer asks for
//! * [`action`] and [`pages`]: what a customer does and reads

#![warn(clippy::print_stderr)] // `eprintln!` panics if standard error is closed.

pub mod action;
pub mod goal;
pub mod pages;
pub mod product;

pub use action::Action;
pub use goal::Goal;
pub use pages::{Form, Page, Store, Visit};
pub use product::{Choice, Product};
