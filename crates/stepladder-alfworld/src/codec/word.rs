//! Words for entities, counts and ranges, and the escape for all other words.

use crate::view::Entity;
use crate::view::entity::{take_kind, take_number};

/// Largest number in a count or range: a model may write any number, and decoding must not exhaust memory.
const LONGEST_RUN: u32 = 99;

/// A word that consists of a kind and a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word<'a> {
    /// `mug_2`
    Entity(Entity<'a>),
    /// `cabinet*10`: cabinet 10, 9, .. 1
    Count(Entity<'a>),
    /// `cabinet<=4`: cabinet 1, 2, 3, 4
    UpTo(Entity<'a>),
}

impl<'a> Word<'a> {
    pub(super) fn parse(word: &'a str) -> Option<Self> {
        let (kind, rest) = take_kind(word)?;
        let number = |rest| take_number(rest).filter(|(_, end)| end.is_empty()).map(|(number, _)| number);
        let run = |rest| number(rest).filter(|number| (1..=LONGEST_RUN).contains(number));
        if let Some(rest) = rest.strip_prefix('_') {
            number(rest).map(|number| Self::Entity(Entity { kind, number }))
        } else if let Some(rest) = rest.strip_prefix('*') {
            run(rest).map(|number| Self::Count(Entity { kind, number }))
        } else {
            run(rest.strip_prefix("<=")?).map(|number| Self::UpTo(Entity { kind, number }))
        }
    }

    /// Expands to the entities, in order.
    pub(super) fn entities(self) -> Vec<Entity<'a>> {
        let at = |kind| move |number| Entity { kind, number };
        match self {
            Self::Entity(entity) => vec![entity],
            Self::Count(Entity { kind, number }) => (1..=number).rev().map(at(kind)).collect(),
            Self::UpTo(Entity { kind, number }) => (1..=number).map(at(kind)).collect(),
        }
    }
}

pub(super) fn entity_word(entity: &Entity<'_>) -> String {
    format!("{}_{}", entity.kind, entity.number)
}

/// Encodes a room description: `kind*n` for n, n-1, .. 1.
pub(super) fn count_words(items: &[Entity<'_>]) -> Vec<String> {
    runs(items, |first, index| (index < first).then(|| first - index), "*")
}

/// Encodes a list of receptacles: `kind<=n` for 1, 2, .. n.
pub(super) fn range_words(items: &[Entity<'_>]) -> Vec<String> {
    runs(items, |first, index| (first == 1).then_some(index + 1), "<=")
}

/// Folds runs of one kind. `expected(first, index)` is the expected number of the element at `index` of a run.
fn runs(items: &[Entity<'_>], expected: impl Fn(u32, u32) -> Option<u32>, mark: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = items;
    while let Some(first) = rest.first() {
        let len = rest
            .iter()
            .zip(0..LONGEST_RUN)
            .take_while(|(item, index)| {
                item.kind == first.kind && expected(first.number, *index) == Some(item.number)
            })
            .count();
        let last = rest[..len].last();
        // A descending run is complete only if it ends at 1; an ascending run starts there.
        let complete = last.is_some_and(|last| first.number == 1 || last.number == 1);
        if complete {
            words.push(format!("{}{mark}{len}", first.kind));
            rest = &rest[len..];
        } else {
            words.push(entity_word(first));
            rest = &rest[1..];
        }
    }
    words
}

/// Marks a literal word.
const ESCAPE: char = '\\';

/// Encodes a word of text that no other rule covers.
pub(super) fn raw_word(text: &str, reserved: impl Fn(&str) -> bool) -> String {
    let unprintable = |c: char| c.is_whitespace() || c.is_control();
    let safe = !text.is_empty()
        && !text.starts_with(ESCAPE)
        && !text.contains(unprintable)
        && Word::parse(text).is_none()
        && !reserved(text);
    if safe {
        return text.to_owned();
    }
    let mut word = String::from(ESCAPE);
    for c in text.chars() {
        if c == ESCAPE {
            word.push_str("\\\\");
        } else if unprintable(c) {
            word.push_str(&format!("\\x{{{:x}}}", u32::from(c)));
        } else {
            word.push(c);
        }
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepladder_core::codec::unescape;

    fn entities(text: &str) -> Vec<Entity<'_>> {
        text.split(", ").map(|item| Entity::parse(item).unwrap()).collect()
    }

    #[test]
    fn runs_fold_only_when_complete() {
        assert_eq!(count_words(&entities("shelf 3, shelf 2, shelf 1, bed 1")), ["shelf*3", "bed*1"]);
        assert_eq!(count_words(&entities("shelf 3, shelf 2, bed 2")), ["shelf_3", "shelf_2", "bed_2"]);
        assert_eq!(range_words(&entities("shelf 1, shelf 2, bed 2, bed 1")), ["shelf<=2", "bed_2", "bed<=1"]);
        assert_eq!(range_words(&entities("shelf 1, shelf 3")), ["shelf<=1", "shelf_3"]);
    }

    #[test]
    fn words_give_back_their_entities() {
        for (word, text) in
            [("shelf*2", "shelf 2, shelf 1"), ("shelf<=2", "shelf 1, shelf 2"), ("mug_7", "mug 7")]
        {
            assert_eq!(Word::parse(word).unwrap().entities(), entities(text));
        }
        for word in ["mug", "mug_", "mug_02", "shelf*0", "shelf*100", "shelf<3", "Mug_1", "shelf<=4000000000"]
        {
            assert_eq!(Word::parse(word), None, "{word}");
        }
    }

    #[test]
    fn escapes_give_back_their_text() {
        for text in ["", "\\", "a\nb", "\\x{41}", "mug_2", "look", "\u{a0}", "plain"] {
            let word = raw_word(text, |word| word == "look");
            assert!(!word.contains(char::is_whitespace));
            assert_eq!(unescape(&word), text);
        }
    }
}
