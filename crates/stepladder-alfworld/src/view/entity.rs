//! Entities ("mug 2") and lists of them.

use std::fmt;

/// A numbered receptacle or object of a household.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entity<'a> {
    /// Kind, in lower-case letters: `mug`.
    pub kind: &'a str,
    /// Number within the kind, from 1.
    pub number: u32,
}

impl fmt::Display for Entity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.number)
    }
}

impl<'a> Entity<'a> {
    /// Creates an entity.
    pub fn new(kind: &'a str, number: u32) -> Self {
        Self { kind, number }
    }

    /// Parses a whole text as an entity.
    ///
    /// ```
    /// use stepladder_alfworld::view::Entity;
    /// assert_eq!(Entity::parse("mug 2"), Some(Entity::new("mug", 2)));
    /// assert_eq!(Entity::parse("mug 02"), None);
    /// assert_eq!(Entity::parse("a mug 2"), None);
    /// ```
    pub fn parse(text: &'a str) -> Option<Self> {
        Self::take(text).filter(|(_, rest)| rest.is_empty()).map(|(entity, _)| entity)
    }

    /// Parses the entity at the start of `text`. Also returns the remaining text.
    pub fn take(text: &'a str) -> Option<(Self, &'a str)> {
        let (kind, rest) = take_kind(text)?;
        let rest = rest.strip_prefix(' ')?;
        let (number, rest) = take_number(rest)?;
        Some((Self { kind, number }, rest))
    }
}

/// Parses the word of lower-case letters at the start of `text`. Also returns the remaining text.
pub fn take_kind(text: &str) -> Option<(&str, &str)> {
    let end = text.bytes().position(|byte| !byte.is_ascii_lowercase()).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Parses the number at the start of `text`, in canonical form only. Also returns the remaining text.
pub fn take_number(text: &str) -> Option<(u32, &str)> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let canonical = digits == "0" || (!digits.is_empty() && !digits.starts_with('0'));
    if !canonical {
        return None;
    }
    digits.parse().ok().map(|number| (number, rest))
}

/// Parses the list at the start of `text`: `nothing`, or entities, each after `article`, joined by commas and an `and`
/// before the last. Also returns the remaining text.
///
/// ```
/// use stepladder_alfworld::view::entity::take_list;
/// let (items, rest) = take_list("a mug 2, and a knife 1.", "a ").unwrap();
/// assert_eq!(items.len(), 2);
/// assert_eq!(rest, ".");
/// assert_eq!(take_list("nothing.", "a "), Some((vec![], ".")));
/// ```
pub fn take_list<'a>(text: &'a str, article: &str) -> Option<(Vec<Entity<'a>>, &'a str)> {
    if let Some(rest) = text.strip_prefix("nothing") {
        return Some((Vec::new(), rest));
    }
    let (first, mut rest) = Entity::take(text.strip_prefix(article)?)?;
    let mut items = vec![first];
    while let Some(after) = rest.strip_prefix(", ") {
        let after = after.strip_prefix("and ").unwrap_or(after);
        let Some((item, after)) = after.strip_prefix(article).and_then(Entity::take) else { break };
        items.push(item);
        rest = after;
    }
    Some((items, rest))
}

/// Formats a list as [`take_list`] parses it.
pub fn list_text(items: &[Entity<'_>], article: &str) -> String {
    let Some((last, head)) = items.split_last() else { return "nothing".to_owned() };
    if head.is_empty() {
        return format!("{article}{last}");
    }
    let mut text = String::new();
    for item in head {
        text.push_str(&format!("{article}{item}, "));
    }
    text + &format!("and {article}{last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_print_as_they_were_read() {
        for text in ["nothing", "a mug 1", "a mug 1, and a pan 2", "a mug 1, a pan 2, and a egg 3"] {
            let (items, rest) = take_list(text, "a ").unwrap();
            assert_eq!(rest, "");
            assert_eq!(list_text(&items, "a "), text);
        }
        assert_eq!(take_list("the mug", "a "), None);
    }
}
