//! Behaviour of CPython 3.11 that WebShop's goals, pages and rewards depend on.
//!
//! * [`Random`]: module `random`, number for number
//! * [`quoted`], [`strip`], [`is_space`], [`is_word`]: texts of strings, classes of characters

mod random;
mod text;
mod unicode;

pub use random::Random;
pub use text::{is_space, quoted, strip};
pub use unicode::{is_printable, is_word};
