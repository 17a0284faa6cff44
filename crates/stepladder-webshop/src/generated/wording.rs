//! Instructions of generated goals, written and read.

use stepladder_core::seed::Rng;

use super::plan::pick;
use super::vocabulary::{Attribute, Role};

/// Beginnings and ends of instructions, around the list of wishes and the price limit. No beginning or end is part of another.
const WORDINGS: [(&str, &str, &str); 8] = [
    ("Find me ", ", for less than ", " dollars."),
    ("Please buy ", ", price below ", " dollars."),
    ("We need ", ", priced under ", " dollars."),
    ("Order ", ", under ", " dollars."),
    ("My list says ", ", up to ", " dollars."),
    ("Show me ", ", costing up to ", " dollars."),
    ("Get ", ", at most ", " dollars."),
    ("I want ", ", within ", " dollars."),
];

/// What an instruction of a generated goal asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Request<'a> {
    /// Kind of product, as in [`Product::query`](crate::Product::query).
    pub query: &'a str,
    /// Attributes.
    pub attributes: Vec<&'a str>,
    /// Names and values of options.
    pub options: Vec<(&'a str, &'a str)>,
    /// Price limit in dollars.
    pub price_upper: f64,
}

/// Writes an instruction: one of eight wordings around `KIND, ATTRIBUTE, with ATTRIBUTE, for ATTRIBUTE, NAME: VALUE`.
pub(super) fn write(
    query: &str,
    attributes: &[&Attribute],
    options: &[(Box<str>, Box<str>)],
    price_upper: f64,
    rng: &mut Rng,
) -> String {
    let (beginning, limit, end) = pick(rng, &WORDINGS);
    let mut text = format!("{beginning}{query}");
    for role in Role::ALL {
        for attribute in attributes.iter().filter(|attribute| attribute.role == role) {
            text.extend([", ", role.link(), &attribute.phrase.text]);
        }
    }
    for (name, value) in options {
        text.extend([", ", name, ": ", value]);
    }
    text.push_str(&format!("{limit}{price_upper}{end}"));
    text
}

/// Reads an instruction of a generated goal; `None` for other texts.
///
/// ```
/// use stepladder_webshop::generated::read;
/// let request = read("Order bar soaps, dye free, for spa evening, scent: fig, under 20 dollars.");
/// let request = request.ok_or("another text")?;
/// assert_eq!((request.query, request.price_upper), ("bar soaps", 20.0));
/// assert_eq!(request.attributes, ["dye free", "spa evening"]);
/// assert_eq!(request.options, [("scent", "fig")]);
/// assert!(read("Find me bar soaps").is_none());
/// # Ok::<(), &str>(())
/// ```
pub fn read(instruction: &str) -> Option<Request<'_>> {
    WORDINGS.iter().find_map(|(beginning, limit, end)| {
        let text = instruction.strip_prefix(beginning)?.strip_suffix(end)?;
        let (list, price) = text.rsplit_once(limit)?;
        let mut items = list.split(", ");
        let mut request = Request {
            query: items.next()?,
            attributes: Vec::new(),
            options: Vec::new(),
            price_upper: price.parse().ok()?,
        };
        for item in items {
            match item.split_once(": ") {
                Some((name, value)) => request.options.push((name, value)),
                None => {
                    let linked = item.strip_prefix(Role::Has.link()).or(item.strip_prefix(Role::For.link()));
                    request.attributes.push(linked.unwrap_or(item));
                }
            }
        }
        Some(request)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_wording_reads_another() {
        for (number, (beginning, limit, end)) in WORDINGS.iter().enumerate() {
            let text = format!("{beginning}bar soaps, dye free{limit}30{end}");
            let readers = WORDINGS.iter().filter(|(beginning, _, _)| text.starts_with(beginning)).count();
            assert_eq!(readers, 1, "{number}");
            assert!(WORDINGS.iter().all(|(_, other, _)| other == limit || !text.contains(other)), "{number}");
            assert_eq!(read(&text).map(|request| request.price_upper), Some(30.0));
        }
    }
}
