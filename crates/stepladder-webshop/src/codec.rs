//! Texts of WebShop for models: as they are.
//!
//! Titles and features are free text, so there is no compact form that would help; a tokenizer of pieces learns the rest. Only white space
//! other than single spaces is spelled out (names of colors have some), since a compact form is a sequence of words.
//!
//! ```
//! use stepladder_core::Codec;
//! use stepladder_webshop::WebshopCodec;
//! assert_eq!(WebshopCodec.encode("click[dark red]; True"), "click[dark red]; True");
//! assert_eq!(WebshopCodec.encode("dark\u{a0}red  2"), "\\dark\\x{a0}red \\ 2");
//! ```

use stepladder_core::Codec;
use stepladder_core::codec::{Briefing, unescape};

/// Begins a word that is spelled out.
const ESCAPE: char = '\\';

/// Codec of WebShop: words as they are.
#[derive(Debug, Clone, Copy, Default)]
pub struct WebshopCodec;

fn spelled(word: &str) -> String {
    let odd = |char: char| char.is_whitespace() || char.is_control();
    if !word.is_empty() && !word.starts_with(ESCAPE) && !word.contains(odd) {
        return word.to_owned();
    }
    let mut spelled = String::from(ESCAPE);
    for char in word.chars() {
        match char {
            ESCAPE => spelled.push_str("\\\\"),
            _ if odd(char) => spelled.push_str(&format!("\\x{{{:x}}}", u32::from(char))),
            _ => spelled.push(char),
        }
    }
    spelled
}

impl Codec for WebshopCodec {
    fn id(&self) -> &'static str {
        "webshop/1"
    }

    fn encode(&self, text: &str) -> String {
        if text.is_empty() {
            return String::new();
        }
        text.split(' ').map(spelled).collect::<Vec<_>>().join(" ")
    }

    fn decode(&self, compact: &str) -> String {
        let words = compact.split(' ').filter(|word| !word.is_empty());
        words.map(unescape).collect::<Vec<_>>().join(" ")
    }

    fn factors(&self, _word: &str) -> Vec<String> {
        Vec::new()
    }

    fn briefing(&self) -> Briefing {
        Briefing {
            scene: "You shop in an online store: buy the product that the instruction asks for, with the options it names.",
            actions: "Actions: search[WORDS]; click[TEXT], where TEXT is what the page shows: the identifier of a product, an option, \
                      Features, Description, < Prev, Next >, Back to Search, Buy Now. Buying ends the visit.",
            context: "Page",
            legend: "[SEP] separates the strings of a page. A list of results shows identifier, name and price of each product.",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn texts_are_decoded_as_they_were(text in "(?s).{0,40}|[ \\\\x{}\na-c\u{a0}]{0,12}") {
            let compact = WebshopCodec.encode(&text);
            prop_assert!(text.is_empty() || compact.split(' ').all(|word| !word.is_empty() && !word.contains(char::is_whitespace)));
            prop_assert_eq!(WebshopCodec.decode(&compact), text);
        }
    }
}
