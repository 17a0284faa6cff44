//! What an instruction asks for.

use crate::generated;

/// An instruction by its parts.
///
/// ```
/// use stepladder_webshop::view::Wish;
/// let wish = Wish::parse(
///     "Find me low noise, hand made men's cuckoo clocks with carved door, oak case for mountain hut with color: moss, \
///      and bird type: big, and price lower than 50.00 dollars",
/// );
/// assert_eq!(wish.product, "men's cuckoo clocks");
/// assert_eq!(wish.attributes, ["low noise", "hand made", "carved door", "oak case", "mountain hut"]);
/// assert_eq!(wish.options[1], ("bird type".to_owned(), "big".to_owned()));
/// assert_eq!(wish.limit, Some(50.0));
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Wish {
    /// What is to be bought, as the instruction says it.
    pub product: String,
    /// What it must be, have or be for.
    pub attributes: Vec<String>,
    /// Names and values of what must be chosen.
    pub options: Vec<(String, String)>,
    /// The price must be lower than this number of dollars.
    pub limit: Option<f64>,
}

/// Longest name of an option in bytes.
const LONGEST_NAME: usize = 32;

/// Words of a search.
const SEARCH_WORDS: usize = 16;

impl Wish {
    /// Parses an instruction: one of a generated shop, or of the form `Find me A, B PRODUCT with C, D for E with NAME: VALUE, and NAME:
    /// VALUE, and price lower than N dollars`, of which each part may be absent. Nothing separates the last attribute before the product
    /// from the product: attributes have two words, and a word with `'s`, `&` or `and` begins or continues the product.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        if let Some(request) = generated::read(text) {
            return Self::own(request.query, request.attributes, request.options, Some(request.price_upper));
        }
        let text = text.strip_prefix("Find me ").or_else(|| text.strip_prefix("find me ")).unwrap_or(text);
        let (text, limit) = limit(text);
        let (text, options) = options(text);
        let ends = [" with ", " for "].into_iter().filter_map(|word| text.find(word));
        let (head, tail) = text.split_at(ends.min().unwrap_or(text.len()));
        let (product, mut attributes) = head_parts(head);
        let rest =
            tail.split(" with ").flat_map(|part| part.split(" for ")).flat_map(|part| part.split(", "));
        for attribute in rest.map(str::trim).filter(|part| !part.is_empty()) {
            if !attributes.contains(&attribute) {
                attributes.push(attribute);
            }
        }
        Self::own(product, attributes, options, limit)
    }

    fn own(product: &str, attributes: Vec<&str>, options: Vec<(&str, &str)>, limit: Option<f64>) -> Self {
        Self {
            product: product.to_owned(),
            attributes: attributes.into_iter().map(str::to_owned).collect(),
            options: options.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            limit,
        }
    }

    /// Words for a search: product, options and attributes, each word once, then the options again, since few products have them; 16 words
    /// or a few more. That bound costs no success, and a reply of 32 tokens holds them.
    pub fn search(&self) -> String {
        let chosen: Vec<&str> = self.options.iter().flat_map(|(_, value)| search_words(value)).collect();
        let asked = self.attributes.iter().flat_map(|attribute| search_words(attribute));
        let mut words: Vec<&str> = Vec::new();
        for word in search_words(&self.product).chain(chosen.iter().copied()).chain(asked) {
            if !words.contains(&word) {
                words.push(word);
            }
        }
        words.truncate(SEARCH_WORDS.saturating_sub(chosen.len()));
        words.extend(chosen);
        words.join(" ")
    }
}

/// Words of a text, without brackets, which end an action.
fn search_words(text: &str) -> impl Iterator<Item = &str> {
    let ends = |char: char| char.is_whitespace() || matches!(char, '[' | ']');
    text.split(ends).filter(|word| !word.is_empty())
}

/// Splits off the highest price.
fn limit(text: &str) -> (&str, Option<f64>) {
    let found = || {
        let (before, after) = text.rsplit_once("price lower than ")?;
        let number = after.trim_start_matches('$').split_whitespace().next()?;
        let limit = number.parse::<f64>().ok().filter(|limit| limit.is_finite())?;
        let before = before.trim_end().trim_end_matches("and").trim_end();
        Some((before.strip_suffix(',').unwrap_or(before), limit))
    };
    found().map_or((text, None), |(before, limit)| (before, Some(limit)))
}

/// Name of an option at the beginning of a text, and the rest after the colon.
fn name(text: &str) -> Option<(&str, &str)> {
    // Only the beginning is looked at, so that a long text with many places to begin at takes no longer.
    let beginning = &text[..text.floor_char_boundary(LONGEST_NAME + ": ".len())];
    let (name, _) = beginning.split_once(": ")?;
    let rest = &text[name.len() + ": ".len()..];
    let plain = |char: char| char.is_alphanumeric() || matches!(char, ' ' | '-' | '_');
    (!name.is_empty() && name.chars().all(plain) && !name.contains(" with ")).then_some((name, rest))
}

/// Splits off the options.
fn options(text: &str) -> (&str, Vec<(&str, &str)>) {
    const WITH: &str = " with ";
    const AND: &str = ", and ";
    let starts = text.match_indices(WITH).find(|(at, _)| name(&text[at + WITH.len()..]).is_some());
    let Some((at, _)) = starts else { return (text, Vec::new()) };
    let mut options = Vec::new();
    let mut rest = &text[at + WITH.len()..];
    while let Some((name_, after)) = name(rest) {
        let next = after.match_indices(AND).find(|(at, _)| name(&after[at + AND.len()..]).is_some());
        let (value, left) = next.map_or((after, ""), |(at, _)| (&after[..at], &after[at + AND.len()..]));
        options.push((name_, value.trim()));
        rest = left;
    }
    (&text[..at], options)
}

/// Splits the part before the product from the product.
fn head_parts(head: &str) -> (&str, Vec<&str>) {
    let mut attributes = Vec::new();
    let mut rest = head.trim();
    loop {
        let (part, after) = rest.split_once(", ").map_or((rest, None), |(part, after)| (part, Some(after)));
        let mut ends = part.match_indices(' ').map(|(at, _)| at);
        let (_, second) = (ends.next(), ends.next());
        let pair = &part[..second.unwrap_or(part.len())];
        let ordinary = |word: &str| !word.contains('\'') && !matches!(word, "&" | "and" | "or");
        if !(pair.contains(' ') && pair.split(' ').all(ordinary)) {
            return (rest, attributes);
        }
        match (second, after) {
            (Some(end), _) if !part[end..].trim_start().starts_with(['&']) => {
                attributes.push(pair);
                return (rest[end..].trim_start(), attributes);
            }
            (None, Some(after)) => {
                attributes.push(pair);
                rest = after;
            }
            _ => return (rest, attributes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Product, attributes, options and limit of an instruction.
    fn parse(text: &str) -> (String, String, String, Option<f64>) {
        let Wish { product, attributes, options, limit } = Wish::parse(text);
        let options: Vec<String> = options.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (product, attributes.join(";"), options.join(";"), limit)
    }

    #[test]
    fn parts_may_be_absent() {
        for (text, product, attributes, options, limit) in [
            (
                "Find me snow proof women's capes, hoods & muffs with wide hem with color: a, b, and size: x | y",
                "women's capes, hoods & muffs",
                "snow proof;wide hem",
                "color=a, b;size=x | y",
                None,
            ),
            ("Find me soundbars, and price lower than 130.00 dollars", "soundbars", "", "", Some(130.0)),
            (
                "Find me kites & paper lanterns for windy days, and price lower than 50.00 dollars",
                "kites & paper lanterns",
                "windy days",
                "",
                Some(50.0),
            ),
            (
                "Find me easy use, light weight lamps for living room with size: 5, and 6, and price lower than $9 dollars",
                "lamps",
                "easy use;light weight;living room",
                "size=5, and 6",
                Some(9.0),
            ),
            (
                "Order bar soaps, dye free, for spa evening, scent: fig, under 20 dollars.",
                "bar soaps",
                "dye free;spa evening",
                "scent=fig",
                Some(20.0),
            ),
            ("", "", "", "", None),
        ] {
            let expected = (product.to_owned(), attributes.to_owned(), options.to_owned(), limit);
            assert_eq!(parse(text), expected);
        }
    }

    #[test]
    fn searches_name_what_is_chosen_twice() {
        let wish = Wish::parse("Find me red [x] lamps with color: a [b], and price lower than 2.00 dollars");
        assert_eq!(wish.search(), "lamps a b red x a b");
        let long = Wish::parse(
            "Find me slim fit, machine wash men's shirts with slim sleeve, a b, c d, e f with color: red, and size: x l, and price lower \
             than 2.00 dollars",
        );
        assert_eq!(long.search(), "men's shirts red x l slim fit machine wash sleeve a b c red x l");
    }
}
