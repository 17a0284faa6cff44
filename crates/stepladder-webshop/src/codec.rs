//! Texts of WebShop for models: words and punctuation apart.
//!
//! Titles and features are free text, and a tokenizer of pieces learns its words. But what an action names must be the same pieces in
//! the action and on the page, so that a small model can copy it: `click[B01]` and `B01` share no piece as whole words. So the beginnings
//! of actions and the marks around words are words of their own; `~` is where a space is missing. An identifier is a word per two
//! characters: these few words are known to a tokenizer, and rarely two products of a page share one. A
//! price is dollars and cents. White space other than single
//! spaces is spelled out (names of colors have some), since a compact form is a sequence of words.
//!
//! ```
//! use stepladder_core::Codec;
//! use stepladder_webshop::WebshopCodec;
//! assert_eq!(WebshopCodec.encode("click[dark red]; True"), "click[~ dark red ~] ~; True");
//! assert_eq!(WebshopCodec.encode("click[B0C99M]"), "click[~ B0 ~C9 ~9M ~]");
//! assert_eq!(WebshopCodec.encode("[SEP] Find me red lamps, and price"), "[SEP] Find me red lamps ~, and price");
//! assert_eq!(WebshopCodec.encode("dark\u{a0}red  2"), "\\dark\\x{a0}red \\ 2");
//! ```

use stepladder_core::Codec;
use stepladder_core::codec::{Briefing, unescape};

/// Begins a word that is spelled out.
const ESCAPE: char = '\\';

/// Ends a word that no space follows, and begins one that no space precedes.
const GLUE: char = '~';

/// Words of their own at the beginning of a word.
const BEFORE: [&str; 3] = ["click[", "search[", "("];

/// Words of their own at the end of a word.
const AFTER: [char; 8] = [',', '.', ':', ';', '?', '!', ')', ']'];

/// Characters of an identifier that are one word.
const PAIR: usize = 2;

/// Whether a word is an identifier: `B0` and four, six or eight digits and capitals.
fn is_identifier(word: &str) -> bool {
    let rest = word.strip_prefix("B0").map_or(&[][..], str::as_bytes);
    matches!(rest.len(), 4 | 6 | 8)
        && rest.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// An identifier as words of two characters.
fn pairs(identifier: &str) -> String {
    let pairs: Vec<String> = identifier
        .as_bytes()
        .chunks(PAIR)
        .map(|pair| pair.iter().copied().map(char::from).collect())
        .collect();
    pairs.join(&format!(" {GLUE}"))
}

/// Codec of WebShop: words and punctuation apart.
#[derive(Debug, Clone, Copy, Default)]
pub struct WebshopCodec;

/// The word with its marks as words of their own.
fn apart(word: &str) -> String {
    let before = BEFORE.into_iter().find_map(|mark| {
        let rest = word.strip_prefix(mark)?;
        (!rest.is_empty() && !rest.starts_with(ESCAPE)).then_some((mark, rest))
    });
    let (mut apart, mut core) = match before {
        Some((mark, rest)) => (format!("{mark}{GLUE} "), rest),
        None => (String::new(), word),
    };
    let mut after = Vec::new();
    // Separators such as `[SEP]` stay whole.
    while !core.starts_with('[')
        && let Some(mark) = core.chars().next_back().filter(|mark| AFTER.contains(mark))
        && core.len() > mark.len_utf8()
    {
        core = &core[..core.len() - mark.len_utf8()];
        after.push(mark);
    }
    match core.strip_prefix('$').and_then(|price| price.split_once('.')) {
        _ if is_identifier(core) => apart.push_str(&pairs(core)),
        Some((dollars, cents)) if !dollars.is_empty() && !cents.is_empty() => {
            apart.push_str(&format!("${dollars} {GLUE}.{cents}"));
        }
        _ => apart.push_str(core),
    }
    for mark in after.into_iter().rev() {
        apart.extend([' ', GLUE, mark]);
    }
    apart
}

fn spelled(word: &str) -> String {
    let odd = |char: char| char.is_whitespace() || char.is_control() || char == GLUE;
    if !word.is_empty() && !word.starts_with(ESCAPE) && !word.contains(odd) {
        return apart(word);
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
        "webshop/3"
    }

    fn encode(&self, text: &str) -> String {
        if text.is_empty() {
            return String::new();
        }
        text.split(' ').map(spelled).collect::<Vec<_>>().join(" ")
    }

    fn decode(&self, compact: &str) -> String {
        let (mut text, mut joined) = (String::new(), true);
        for word in compact.split(' ').filter(|word| !word.is_empty()) {
            let (bare, follows) = match word.strip_prefix(GLUE) {
                Some(bare) => (bare, true),
                None => (word, joined),
            };
            if !follows {
                text.push(' ');
            }
            let (bare, joins) = match bare.strip_suffix(GLUE) {
                Some(bare) => (bare, true),
                None => (bare, false),
            };
            text.push_str(&unescape(bare));
            joined = joins;
        }
        text
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

    #[test]
    fn what_an_action_names_has_the_words_of_the_page() {
        for (text, compact) in [
            ("click[B01]", "click[~ B01 ~]"),
            ("search[red lamps 2.5 in]", "search[~ red lamps 2.5 in ~]"),
            ("size: 24 fl oz, and", "size ~: 24 fl oz ~, and"),
            ("click[B0C99M]", "click[~ B0 ~C9 ~9M ~]"),
            ("[SEP] B09QKP7XQL [SEP]", "[SEP] B0 ~9Q ~KP ~7X ~QL [SEP]"),
            ("B0C9M B0c99M B0C99M, A0C99M", "B0C9M B0c99M B0 ~C9 ~9M ~, A0C99M"),
            ("$13.95, to $1.5. $.9 $7. $", "$13 ~.95 ~, to $1 ~.5 ~. $.9 $7 ~. $"),
            ("Page 1 (Total results: 50)", "Page 1 (~ Total results ~: 50 ~)"),
            ("[Checked: B02 no size, B03 lacks 2]", "[Checked: B02 no size ~, B03 lacks 2 ~]"),
            ("click[] ... a~b", "click[~ ] . ~. ~. \\a\\x{7e}b"),
        ] {
            assert_eq!(WebshopCodec.encode(text), compact);
            assert_eq!(WebshopCodec.decode(compact), text);
        }
        // What a model may write.
        assert_eq!(WebshopCodec.decode("~ ~, ~~ a~ ~ b"), ",a b");
    }

    proptest! {
        #[test]
        fn texts_are_decoded_as_they_were(text in "(?s).{0,40}|[ \\\\x{}\na-c\u{a0}]{0,12}|(B0C99M|\\$1|click\\[|search\\[|[(),.:;?!~\\[\\] a-c\\\\]){0,12}") {
            let compact = WebshopCodec.encode(&text);
            prop_assert!(text.is_empty() || compact.split(' ').all(|word| !word.is_empty() && !word.contains(char::is_whitespace)));
            prop_assert_eq!(WebshopCodec.decode(&compact), text);
        }
    }
}
