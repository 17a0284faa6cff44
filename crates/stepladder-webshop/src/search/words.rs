//! Words of a text: Lucene 9's `StandardTokenizer` (`org.apache.lucene.analysis.standard`).
//!
//! Its rules are those of UAX #29 for words that have a letter, digit, syllable or ideograph, and of UTS #51 for sequences of
//! emoji. At every place the longest match counts; where nothing matches, one character is passed over. Every rule is a small
//! state machine here.

use super::classes::Class;

/// Longest word in UTF-16 units; a longer one is cut there.
const LONGEST: usize = 255;

/// Words of a text in their order.
pub(super) struct Words<'t> {
    rest: &'t str,
}

impl<'t> Words<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { rest: text }
    }
}

impl<'t> Iterator for Words<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        loop {
            let first = self.rest.chars().next()?;
            let length = match Class::of(first) {
                Class::Letter | Class::Digit | Class::Numeric | Class::Hangul | Class::Hebrew => {
                    longest(self.rest, Word::Joiner)
                }
                Class::Katakana | Class::ExtendNumLet => longest(self.rest, Word::Joiner),
                Class::EmojiLetter => longest(self.rest, Word::Joiner).max(longest(self.rest, Emoji::Start)),
                Class::Pictograph | Class::Modifier | Class::ZeroWidthJoiner => {
                    longest(self.rest, Emoji::Start)
                }
                Class::KeyCapBase => longest(self.rest, KeyCap::Start),
                Class::RegionalIndicator => longest(self.rest, Flag::Start),
                Class::Complex | Class::ComplexExtend => longest(self.rest, Run::Complex),
                Class::Ideograph | Class::Hiragana => longest(self.rest, Run::Start),
                _ => 0,
            };
            let (word, rest) = self.rest.split_at(if length > 0 { length } else { first.len_utf8() });
            self.rest = rest;
            if length > 0 {
                return Some(word);
            }
        }
    }
}

/// A rule as a state machine.
trait Rule: Copy {
    /// The state after one more character; `None` where the rule allows no such character.
    fn after(self, class: Class) -> Option<Self>;

    /// Whether the characters so far are a word.
    fn is_word(self) -> bool;
}

/// Length in bytes of the longest word at the start of a text; 0 if there is none.
fn longest(text: &str, start: impl Rule) -> usize {
    let (mut state, mut found, mut units) = (start, 0, 0);
    for (at, character) in text.char_indices() {
        units += character.len_utf16();
        if units > LONGEST {
            break;
        }
        let Some(next) = state.after(Class::of(character)) else { break };
        state = next;
        if state.is_word() {
            found = at + character.len_utf8();
        }
    }
    found
}

/// Letters, numbers, katakana and what joins them: the last that was seen, marks aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// Nothing but characters like "_".
    Joiner,
    Letter,
    /// A Hebrew letter that quotation marks may follow.
    Hebrew,
    /// A Hebrew letter with the quotation mark or the pair that belongs to it.
    HebrewQuoted,
    Number,
    Katakana,
    /// A character like "_" after one of the above.
    Joined,
    /// A character between letters, as in "don't".
    BetweenLetters,
    /// A character between digits, as in "1,000".
    BetweenNumbers,
    /// A double quotation mark after a Hebrew letter.
    BetweenHebrew,
}

impl Rule for Word {
    fn after(self, class: Class) -> Option<Self> {
        use Class as C;
        match class {
            class if class.extends() => Some(self),
            C::Letter | C::Hangul | C::EmojiLetter => match self {
                Self::Katakana | Self::BetweenNumbers | Self::BetweenHebrew => None,
                _ => Some(Self::Letter),
            },
            C::Digit | C::Numeric => match self {
                Self::Katakana | Self::BetweenLetters | Self::BetweenHebrew => None,
                _ => Some(Self::Number),
            },
            C::Hebrew => match self {
                Self::Katakana | Self::BetweenNumbers => None,
                Self::BetweenLetters => Some(Self::Letter),
                Self::BetweenHebrew => Some(Self::HebrewQuoted),
                _ => Some(Self::Hebrew),
            },
            C::Katakana => {
                matches!(self, Self::Joiner | Self::Joined | Self::Katakana).then_some(Self::Katakana)
            }
            C::ExtendNumLet => match self {
                Self::Joiner => Some(Self::Joiner),
                Self::BetweenLetters | Self::BetweenNumbers | Self::BetweenHebrew => None,
                _ => Some(Self::Joined),
            },
            C::SingleQuote | C::MidNumLet | C::MidLetter | C::MidNum => match self {
                Self::Hebrew if class == C::SingleQuote => Some(Self::HebrewQuoted),
                Self::Letter | Self::Hebrew if class != C::MidNum => Some(Self::BetweenLetters),
                Self::Number if class != C::MidLetter => Some(Self::BetweenNumbers),
                _ => None,
            },
            C::DoubleQuote => (self == Self::Hebrew).then_some(Self::BetweenHebrew),
            _ => None,
        }
    }

    fn is_word(self) -> bool {
        !matches!(self, Self::Joiner | Self::BetweenLetters | Self::BetweenNumbers | Self::BetweenHebrew)
    }
}

/// Emoji with modifiers, joined by U+200D, or one with tags.
#[derive(Debug, Clone, Copy)]
enum Emoji {
    Start,
    /// Joiners that only a pictograph may follow.
    Joiners {
        first: bool,
    },
    /// A pictograph, or a modifier by itself, with what extends it.
    Symbol {
        /// Whether it is the first of its sequence.
        first: bool,
        /// Whether U+FE0F may follow.
        selectable: bool,
        /// Whether a joiner was last.
        joined: bool,
    },
    /// U+FE0F after a pictograph.
    Selected {
        first: bool,
    },
    /// One joiner after U+FE0F.
    SelectedJoiner,
    Tags,
    End,
}

impl Emoji {
    fn symbol(first: bool) -> Self {
        Self::Symbol { first, selectable: true, joined: false }
    }
}

impl Rule for Emoji {
    fn after(self, class: Class) -> Option<Self> {
        use Class as C;
        let pictograph = matches!(class, C::Pictograph | C::EmojiLetter);
        let joiner = class == C::ZeroWidthJoiner;
        match self {
            Self::Start if joiner => Some(Self::Joiners { first: true }),
            Self::Joiners { .. } if joiner => Some(self),
            Self::Joiners { first } if pictograph => Some(Self::symbol(first)),
            Self::Start if pictograph => Some(Self::symbol(true)),
            Self::Start | Self::SelectedJoiner if class == C::Modifier => {
                Some(Self::Symbol { first: true, selectable: false, joined: false })
            }
            Self::Symbol { joined: true, .. } | Self::SelectedJoiner if pictograph => {
                Some(Self::symbol(false))
            }
            Self::SelectedJoiner if joiner => Some(Self::Joiners { first: false }),
            Self::Symbol { first, selectable: true, .. } if class == C::EmojiSelector => {
                Some(Self::Selected { first })
            }
            Self::Symbol { first, selectable, .. } if class.extends_emoji() => {
                Some(Self::Symbol { first, selectable, joined: joiner })
            }
            Self::Selected { .. } if joiner => Some(Self::SelectedJoiner),
            Self::Selected { first: true } | Self::Tags if class == C::Tag => Some(Self::Tags),
            Self::Tags if class == C::TagEnd => Some(Self::End),
            _ => None,
        }
    }

    fn is_word(self) -> bool {
        matches!(self, Self::Symbol { .. } | Self::Selected { .. } | Self::End)
    }
}

/// "#" or "*" with U+20E3.
#[derive(Debug, Clone, Copy)]
enum KeyCap {
    Start,
    Base,
    Capped,
    /// U+FE0F, which only U+20E3 may follow.
    Selected,
    SelectedCapped,
}

impl Rule for KeyCap {
    fn after(self, class: Class) -> Option<Self> {
        match (self, class) {
            (Self::Start, _) => Some(Self::Base),
            (Self::Base, Class::KeyCap) => Some(Self::Capped),
            (Self::Base | Self::Capped, Class::EmojiSelector) => Some(Self::Selected),
            (Self::Selected, Class::KeyCap) => Some(Self::SelectedCapped),
            (Self::Selected, _) => None,
            _ => class.extends_emoji().then_some(self),
        }
    }

    fn is_word(self) -> bool {
        matches!(self, Self::Capped | Self::SelectedCapped)
    }
}

/// Two regional indicators.
#[derive(Debug, Clone, Copy)]
enum Flag {
    Start,
    Half,
    Whole,
}

impl Rule for Flag {
    fn after(self, class: Class) -> Option<Self> {
        match self {
            _ if class.extends() => Some(self),
            Self::Start => Some(Self::Half),
            Self::Half if class == Class::RegionalIndicator => Some(Self::Whole),
            _ => None,
        }
    }

    fn is_word(self) -> bool {
        matches!(self, Self::Whole)
    }
}

/// Characters of South East Asia in a row, or one ideograph or hiragana.
#[derive(Debug, Clone, Copy)]
enum Run {
    Start,
    One,
    Complex,
}

impl Rule for Run {
    fn after(self, class: Class) -> Option<Self> {
        match self {
            Self::Start => Some(Self::One),
            Self::Complex if matches!(class, Class::Complex | Class::ComplexExtend) => Some(self),
            _ => class.extends().then_some(self),
        }
    }

    fn is_word(self) -> bool {
        !matches!(self, Self::Start)
    }
}
