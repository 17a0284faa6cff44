//! Texts of WebShop for models: as they are.
//!
//! Titles and features are free text, so there is no compact form that would help; a tokenizer of pieces learns the rest.

use stepladder_core::Codec;
use stepladder_core::codec::Briefing;

/// Codec of WebShop: the identity.
#[derive(Debug, Clone, Copy, Default)]
pub struct WebshopCodec;

impl Codec for WebshopCodec {
    fn id(&self) -> &'static str {
        "webshop/1"
    }

    fn encode(&self, text: &str) -> String {
        text.to_owned()
    }

    fn decode(&self, compact: &str) -> String {
        compact.to_owned()
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
        fn texts_are_decoded_as_they_were(text in ".{0,40}") {
            prop_assert_eq!(WebshopCodec.decode(&WebshopCodec.encode(&text)), text);
        }
    }
}
