//! Pages and instructions as an agent reads them: the strings of the page.
//!
//! Every parser is total: a text of another form is [`View::Other`].

pub mod wish;
pub mod words;

pub use wish::Wish;

/// Separator of the strings of a page.
const SEPARATOR: &str = " [SEP] ";
const INSTRUCTION: &str = "Instruction:";
const PREVIOUS: &str = "< Prev";
/// Beginning of the lines of `text_rich` about what was clicked.
const CLICKED: &str = "You have clicked ";

/// A page.
#[derive(Debug, Clone, PartialEq)]
pub enum View<'a> {
    /// The first page, with the search bar.
    Start,
    /// A page of results.
    Results(Results<'a>),
    /// A product.
    Item(Item<'a>),
    /// A text about a product: its strings.
    Sub(Vec<&'a str>),
    /// The end.
    Done,
    /// None of these.
    Other,
}

/// A page of results.
#[derive(Debug, Clone, PartialEq)]
pub struct Results<'a> {
    /// Number of the page, from 1.
    pub page: u32,
    /// Products on all pages.
    pub total: u32,
    /// Products on this page, the best first.
    pub listed: Vec<Listed<'a>>,
}

/// A product on a page of results.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Listed<'a> {
    /// Identifier.
    pub asin: &'a str,
    /// Name; empty if the product has none.
    pub title: &'a str,
    /// Lowest and highest price in dollars.
    pub price: (f64, f64),
}

/// The page of a product.
#[derive(Debug, Clone, PartialEq)]
pub struct Item<'a> {
    /// Names of options and their values, in the order of the page. The page does not tell names from values.
    pub choices: Vec<&'a str>,
    /// Name; empty if the product has none.
    pub title: &'a str,
    /// Lowest and highest price in dollars.
    pub price: (f64, f64),
}

impl<'a> View<'a> {
    /// Parses a page.
    pub fn parse(text: &'a str) -> Self {
        let strings = strings(text);
        match strings.as_slice() {
            ["Thank you for shopping with us!", ..] => Self::Done,
            ["WebShop", INSTRUCTION, ..] => Self::Start,
            [INSTRUCTION, _, "Back to Search", rest @ ..] => match rest {
                [head, rest @ ..] if head.starts_with("Page ") => {
                    results(head, rest).map_or(Self::Other, Self::Results)
                }
                [PREVIOUS, rest @ ..] => item(rest).map_or_else(|| Self::Sub(rest.to_vec()), Self::Item),
                _ => Self::Other,
            },
            _ => Self::Other,
        }
    }
}

/// Strings of a page: those of `text`, or the lines of `text_rich` without their marks.
fn strings(text: &str) -> Vec<&str> {
    if text.contains(SEPARATOR) || !text.contains('\n') {
        return text.split(SEPARATOR).collect();
    }
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(CLICKED));
    lines.map(unmarked).collect()
}

/// A line of `text_rich` without the marks of a button.
fn unmarked(line: &str) -> &str {
    let marks = [("[button] ", " [button_]"), ("[clicked button] ", " [clicked button_]")];
    let inner = marks.into_iter().find_map(|(before, after)| line.strip_prefix(before)?.strip_suffix(after));
    inner.unwrap_or(line).trim()
}

/// Instruction on a page; none on the last page.
pub fn instruction(text: &str) -> Option<&str> {
    let mut strings = strings(text).into_iter();
    strings.find(|string| *string == INSTRUCTION)?;
    strings.next()
}

fn results<'a>(head: &str, rest: &[&'a str]) -> Option<Results<'a>> {
    let (page, total) = head.strip_prefix("Page ")?.split_once(" (Total results: ")?;
    let (page, total) = (page.parse().ok()?, total.strip_suffix(')')?.parse().ok()?);
    let rest = rest.strip_prefix(&[PREVIOUS]).unwrap_or(rest);
    let mut rest = rest.strip_prefix(&["Next >"]).unwrap_or(rest);
    let mut listed = Vec::new();
    while let [asin, after @ ..] = rest {
        // An empty title is left out.
        let Some(end) = after.iter().take(2).position(|string| price(string).is_some()) else { break };
        let title = if end == 0 { "" } else { after[0] };
        listed.push(Listed { asin, title, price: price(after[end])? });
        rest = &after[end + 1..];
    }
    Some(Results { page, total, listed })
}

fn item<'a>(strings: &[&'a str]) -> Option<Item<'a>> {
    let (last, rest) = strings.split_last()?;
    if *last != "Buy Now" {
        return None;
    }
    let end = rest.iter().rposition(|string| string.starts_with("Price: "))?;
    let price = price(rest[end].strip_prefix("Price: ")?)?;
    let (title, choices) =
        rest[..end].split_last().map_or(("", &[][..]), |(title, choices)| (*title, choices));
    Some(Item { choices: choices.to_vec(), title, price })
}

/// Parses `$7.8` and `$10.99 to $18.99`.
fn price(text: &str) -> Option<(f64, f64)> {
    let dollars = |text: &str| text.strip_prefix('$')?.parse::<f64>().ok().filter(|price| price.is_finite());
    match text.split_once(" to ") {
        Some((low, high)) => Some((dollars(low)?, dollars(high)?)),
        None => dollars(text).map(|price| (price, price)),
    }
}

impl<'a> Item<'a> {
    /// Values of the choice with this name. `names` are the names that end its list; a value may be followed by the values of a choice
    /// that none of them names.
    fn values(&self, name: &str, wish: &Wish) -> &[&'a str] {
        let Some(start) = self.choices.iter().position(|string| *string == name) else { return &[] };
        let rest = &self.choices[start + 1..];
        let names = |string: &&str| wish.options.iter().any(|(other, _)| other == *string && other != name);
        &rest[..rest.iter().position(names).unwrap_or(rest.len())]
    }

    /// The value to choose for an option: the wanted one, else one of the same color; none if the product has neither.
    pub fn value(&self, name: &str, value: &str, wish: &Wish) -> Option<&'a str> {
        let values = self.values(name, wish);
        let same = values.iter().find(|offered| **offered == value);
        let color = || {
            let color = words::color(value)?;
            values.iter().find(|offered| words::color(offered) == Some(color))
        };
        same.or_else(color).copied()
    }

    /// Name of the first option whose wanted value the product lacks.
    pub fn lacks<'w>(&self, wish: &'w Wish) -> Option<&'w str> {
        let lacking = |(name, value): &&(String, String)| !self.values(name, wish).contains(&value.as_str());
        wish.options.iter().find(lacking).map(|(name, _)| name.as_str())
    }

    /// Values of the same choice as a value, without it; none if no wanted option has the value.
    pub fn beside(&self, value: &str, wish: &Wish) -> Vec<&'a str> {
        let lists = wish.options.iter().map(|(name, _)| self.values(name, wish));
        let list = lists.into_iter().find(|list| list.iter().any(|other| other.eq_ignore_ascii_case(value)));
        list.unwrap_or_default().iter().copied().filter(|other| !other.eq_ignore_ascii_case(value)).collect()
    }

    /// Whether the page shows this value, whatever its name.
    pub fn shows(&self, value: &str) -> bool {
        self.choices.iter().any(|string| string.eq_ignore_ascii_case(value))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str = "Instruction: [SEP] Find me big boxes with color: red, and size: 2 in, and price lower than 9.00 dollars [SEP] \
                        Back to Search [SEP] ";

    #[test]
    fn pages_are_told_apart() {
        let page = |rest: &str| format!("{HEAD}{rest}");
        let results = page(
            "Page 2 (Total results: 50) [SEP] < Prev [SEP] Next > [SEP] B01 [SEP] A box [SEP] $7.8 [SEP] B02 [SEP] $3.0 to $4.5",
        );
        let View::Results(results) = View::parse(&results) else { panic!("no results") };
        assert_eq!((results.page, results.total), (2, 50));
        let listed: Vec<_> = results.listed.iter().map(|one| (one.asin, one.title, one.price)).collect();
        assert_eq!(listed, [("B01", "A box", (7.8, 7.8)), ("B02", "", (3.0, 4.5))]);

        let text = page(
            "< Prev [SEP] color [SEP] red [SEP] dark blue [SEP] size [SEP] 1 in [SEP] 2 in [SEP] A box [SEP] Price: $7.8 [SEP] \
             Rating: N.A. [SEP] Description [SEP] Features [SEP] Reviews [SEP] Buy Now",
        );
        let View::Item(item) = View::parse(&text) else { panic!("no item") };
        let wish = Wish::parse(instruction(&text).unwrap());
        assert_eq!((item.title, item.price), ("A box", (7.8, 7.8)));
        assert_eq!((item.value("color", "red", &wish), item.lacks(&wish)), (Some("red"), None));
        assert_eq!(item.value("color", "blue", &wish), Some("dark blue"));
        assert_eq!((item.value("color", "1 in", &wish), item.value("height", "2 in", &wish)), (None, None));
        let other = Wish { options: vec![("size".to_owned(), "3 in".to_owned())], ..wish.clone() };
        assert_eq!(item.lacks(&other), Some("size"));

        assert_eq!(View::parse(&page("< Prev [SEP] Strong. [SEP] Red.")), View::Sub(vec!["Strong.", "Red."]));
        assert_eq!(View::parse(&page("< Prev")), View::Sub(vec![]));
        assert_eq!(View::parse("WebShop [SEP] Instruction: [SEP] Find me x [SEP] Search"), View::Start);
        assert_eq!(View::parse("Thank you for shopping with us! [SEP] Your code:"), View::Done);
        for other in ["", "x", HEAD, &page("Page x (Total results: 50)"), &page("Next >")] {
            assert_eq!(View::parse(other), View::Other, "{other}");
        }
    }

    #[test]
    fn rich_pages_have_the_same_strings() {
        let rich = "You have clicked red.\nInstruction:\nFind me x\n[button] Back to Search [button_]\n[button] < Prev [button_]\ncolor\n  \
                    [clicked button] red [clicked button_]\n  [button] blue [button_]\nA box\nPrice: $7.8\nRating: N.A.\n\
                    [button] Description [button_]\n[button] Features [button_]\n[button] Reviews [button_]\n\
                    [button] Buy Now [button_]\n";
        let plain = "Instruction: [SEP] Find me x [SEP] Back to Search [SEP] < Prev [SEP] color [SEP] red [SEP] blue [SEP] A box [SEP] \
                     Price: $7.8 [SEP] Rating: N.A. [SEP] Description [SEP] Features [SEP] Reviews [SEP] Buy Now";
        assert_eq!(View::parse(rich), View::parse(plain));
        assert_eq!(instruction(rich), Some("Find me x"));
    }

    proptest! {
        #[test]
        fn no_text_stops_the_parsers(
            parts in prop::collection::vec(
                prop_oneof![
                    ".{0,12}",
                    prop::sample::select(vec![
                        "Instruction:", "Back to Search", "< Prev", "Next >", "Page 1 (Total results: 50)", "$1.0", "$1 to $2",
                        "Price: $3.5", "Buy Now", "Find me a, b c with d: e, and f: g, and price lower than 3 dollars", "WebShop",
                    ])
                    .prop_map(str::to_owned),
                ],
                0..14,
            ),
        ) {
            let text = parts.join(SEPARATOR);
            let wish = Wish::parse(instruction(&text).unwrap_or(&text));
            if let View::Item(item) = View::parse(&text) {
                item.lacks(&wish);
                item.value("d", "e", &wish);
            }
            Wish::parse(&text);
        }
    }
}
