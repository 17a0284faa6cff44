//! Subtasks as texts.

use std::fmt;

const SEARCH: &str = "search for ";
const OPEN: &str = "open a fitting product";
const CHOOSE: &str = "choose ";
const BUY: &str = "buy the product";

/// A subtask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subtask<'a> {
    /// `search for PRODUCT`.
    Search {
        /// What the instruction calls the product.
        product: &'a str,
    },
    /// `open a fitting product`.
    Open,
    /// `choose NAME: VALUE`.
    Choose {
        /// Name of the option.
        name: &'a str,
        /// Its value.
        value: &'a str,
    },
    /// `buy the product`.
    Buy,
}

impl<'a> Subtask<'a> {
    /// Parses a subtask.
    pub fn parse(text: &'a str) -> Option<Self> {
        match text {
            OPEN => Some(Self::Open),
            BUY => Some(Self::Buy),
            _ => {
                if let Some(product) = text.strip_prefix(SEARCH) {
                    return Some(Self::Search { product });
                }
                let (name, value) = text.strip_prefix(CHOOSE)?.split_once(": ")?;
                Some(Self::Choose { name, value })
            }
        }
    }
}

impl fmt::Display for Subtask<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Search { product } => write!(f, "{SEARCH}{product}"),
            Self::Open => f.write_str(OPEN),
            Self::Choose { name, value } => write!(f, "{CHOOSE}{name}: {value}"),
            Self::Buy => f.write_str(BUY),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_written() {
        for subtask in [
            Subtask::Search { product: "red lamps" },
            Subtask::Open,
            Subtask::Choose { name: "fit type", value: "a: b" },
            Subtask::Buy,
        ] {
            assert_eq!(Subtask::parse(&subtask.to_string()), Some(subtask));
        }
        assert_eq!((Subtask::parse("choose red"), Subtask::parse("")), (None, None));
    }
}
