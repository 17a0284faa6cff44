//! Behaviour of CPython 3.11 that WebShop's goals, pages and rewards depend on.
//!
//! * [`Random`]: module `random`, number for number
//! * [`float`], [`quoted`], [`strip`], [`json()`]: texts of numbers and strings
//! * [`is_space`], [`is_word`], [`is_printable`]: classes of characters

mod json;
mod random;
mod text;
mod unicode;

pub use json::json;
pub use random::Random;
pub use text::{float, is_space, quoted, strip};
pub use unicode::{is_printable, is_word};
