//! Similarity of texts as thefuzz 0.19.0 computes it without python-Levenshtein, on which rewards depend.

mod difflib;
mod token_set;

pub use difflib::ratio;
pub use token_set::Tokens;
